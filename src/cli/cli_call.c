// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_call.h"

#include <string.h>

#include "base/mem.h"

bool cli_call_append_base(struct buf *url, const char *base, struct err *err)
{
    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "--url: http://HOST:PORT expected, not %s", base);
    const size_t size = strlen(base);
    const bool has_slash = base[size - 1] == '/';
    buf_append(url, slice_of(base, size - (has_slash ? 1 : 0)));
    return true;
}

bool cli_call_read_slice(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                         struct err *err)
{
    (void)err;
    struct slice *rest = context;
    const size_t part = rest->size_bytes < capacity_bytes ? rest->size_bytes : capacity_bytes;
    memcpy(ret_data, rest->data, part);
    *rest = slice_from(*rest, part);
    *ret_bytes = part;
    return true;
}

static enum err_kind cli_call_kind(int status)
{
    if (status == 429 || status >= 500)
        return ERR_UNAVAILABLE;
    switch (status) {
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
    case 412:
        return ERR_CONFLICT;
    default:
        return ERR_INVALID;
    }
}

void cli_call_append_visible(struct buf *destination, struct slice text)
{
    const uint8_t *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++) {
        // U+0080 to U+009F are 0xc2 and a byte below 0xa0.
        const bool is_high = bytes[i] == 0xc2 && i + 1 < text.size_bytes && bytes[i + 1] < 0xa0;
        const bool is_control = is_high || bytes[i] < 0x20 || bytes[i] == 0x7f;
        buf_append_char(destination, is_control ? '?' : (char)bytes[i]);
        i += is_high;
    }
}

bool cli_call_fail(int status, const struct json_node *reply, struct err *err)
{
    const struct json_node *message = json_node_get(json_node_get(reply, "error"), "message");
    struct slice said = json_node_text(message);
    if (said.size_bytes > sizeof err->message)
        said.size_bytes = sizeof err->message; // more is not kept
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, sizeof err->message);
    cli_call_append_visible(&text, said);
    return err_set(err, cli_call_kind(status), "status %d: %s", status, buf_text(&text));
}
