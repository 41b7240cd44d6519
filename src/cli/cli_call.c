// SPDX-License-Identifier: Apache-2.0
#include "cli/cli_call.h"

#include <string.h>

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

bool cli_call_fail(int status, const struct json_node *reply, struct err *err)
{
    const struct json_node *message = json_node_get(json_node_get(reply, "error"), "message");
    const char *text = slice_chars(json_node_text(message));
    return err_set(err, cli_call_kind(status), "status %d: %s", status, text == NULL ? "" : text);
}
