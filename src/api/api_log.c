// SPDX-License-Identifier: Apache-2.0
#include "api/api_log.h"

#include <strings.h>

#include "base/check.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/mem.h"

#define API_LOG_VALUE_BYTES ((size_t)256)
#define API_LOG_LINE_BYTES  ((size_t)32 * 1024)
#define API_LOG_HIDDEN      "***"

// --- What is left out

// Parts of names, in lower case without '-' and '_'.
static const char *const api_secret_names[] = {
    "token", "secret", "signature", "password", "passwd", "authorization", "apikey", "cookie",
};

// What our own secrets begin with; letters, digits, '_' and '-' follow.
static const char *const api_secret_prefixes[] = {"api_app_", "api_adm_", "secret_"};

bool api_log_is_secret(struct slice name)
{
    char plain[64];
    size_t size = 0;
    for (size_t i = 0; i < name.size_bytes && size < sizeof plain - 1; i++) {
        const char character = slice_chars(name)[i];
        if (character == '-' || character == '_')
            continue;
        const bool is_upper = character >= 'A' && character <= 'Z';
        plain[size++] = (char)(is_upper ? character + ('a' - 'A') : character);
    }
    plain[size] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(api_secret_names); i++) {
        if (strstr(plain, api_secret_names[i]) != NULL)
            return true;
    }
    return false;
}

static size_t api_secret_prefix_bytes(struct slice text)
{
    for (size_t i = 0; i < ARRAY_COUNT(api_secret_prefixes); i++) {
        const struct slice prefix = slice_text(api_secret_prefixes[i]);
        if (slice_starts_with(text, prefix))
            return prefix.size_bytes;
    }
    return 0;
}

static bool api_is_secret_letter(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '_' || character == '-';
}

// --- Text that is safe in a line, on a terminal, and as JSON

#define API_REPLACEMENT 0xfffdU

// The next character of text that claims to be UTF-8; a byte that is none counts as one character.
static uint32_t api_next_character(struct slice text, size_t *ret_bytes)
{
    const unsigned char *bytes = text.data;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char lead = bytes[0];
    const size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    *ret_bytes = 1;
    if (size == 1)
        return lead;
    if (lead < 0xc2 || lead > 0xf4 || size > text.size_bytes)
        return API_REPLACEMENT;
    uint32_t character = lead & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return API_REPLACEMENT;
        character = character << 6 | (bytes[i] & 0x3fU);
    }
    if (character < smallest[size] || character > 0x10ffff ||
        (character >= 0xd800 && character < 0xe000))
        return API_REPLACEMENT;
    *ret_bytes = size;
    return character;
}

static void api_append_character(struct buf *line, uint32_t character)
{
    if (character == '"' || character == '\\')
        buf_append_format(line, "\\%c", (char)character);
    else if (character >= ' ' && character < 127)
        buf_append_char(line, (char)character);
    else if (character < 0x10000)
        buf_append_format(line, "\\u%04x", character);
    else
        buf_append_format(line, "\\u%04x\\u%04x", 0xd7c0 + (character >> 10),
                          0xdc00 + (character & 0x3ff));
}

void api_log_append(struct buf *line, struct slice text)
{
    size_t written = 0; // bytes of text: what is hidden counts for nothing
    while (!slice_is_empty(text)) {
        size_t size = api_secret_prefix_bytes(text);
        if (size > 0) {
            buf_append(line, slice_part(text, 0, size));
            buf_append_text(line, API_LOG_HIDDEN);
            while (size < text.size_bytes && api_is_secret_letter(slice_chars(text)[size]))
                size++;
            text = slice_from(text, size);
            continue;
        }
        const uint32_t character = api_next_character(text, &size);
        written += size;
        if (written > API_LOG_VALUE_BYTES) {
            buf_append_text(line, "...");
            return;
        }
        api_append_character(line, character);
        text = slice_from(text, size);
    }
}

// --- The line

static void api_log_member(struct buf *line, const char *name, struct slice value)
{
    if (slice_is_empty(value))
        return;
    buf_append_format(line, ",\"%s\":\"", name);
    api_log_append(line, value);
    buf_append_char(line, '"');
}

static void api_log_text(struct buf *line, const char *name, const char *value)
{
    if (value != NULL)
        api_log_member(line, name, slice_text(value));
}

struct api_log_query {
    struct buf text;
    bool is_later;
};

static void api_log_parameter(struct slice name, struct slice value, void *context)
{
    struct api_log_query *query = context;
    if (query->is_later)
        buf_append_char(&query->text, '&');
    query->is_later = true;
    buf_append(&query->text, name);
    buf_append_char(&query->text, '=');
    buf_append(&query->text, api_log_is_secret(name) && !slice_is_empty(value)
                                 ? slice_text(API_LOG_HIDDEN)
                                 : value);
}

// Decoded, since secrets are found by decoded names.
static void api_log_query(struct buf *line, const struct api_call *call)
{
    struct api_log_query query = {0};
    buf_init(&query.text, API_LOG_LINE_BYTES);
    http_each_query(call->request, api_log_parameter, &query);
    api_log_member(line, "query", buf_slice(&query.text));
    buf_clear(&query.text);
}

static enum log_level api_log_level(const struct api_call *call, int status)
{
    if (call->is_alarm)
        return LOG_ERROR;
    if (status >= 500)
        return LOG_WARN;
    return call->api->config.settings.logs_access ? LOG_INFO : LOG_DEBUG;
}

void api_log_request(const struct api_call *call, int status)
{
    const enum log_level level = api_log_level(call, status);
    if (level < log_level())
        return;
    struct buf line CLEANUP(buf_clear);
    buf_init(&line, API_LOG_LINE_BYTES);
    const struct api_route *route = call->match.route;
    const int64_t taken_ms = clock_boot_ms(call->api->config.clock) - call->started_boot_ms;
    buf_append_format(&line, ",\"status\":%d,\"ms\":%lld", status, (long long)taken_ms);
    api_log_member(&line, "request_id", http_request_id(call->request));
    api_log_member(&line, "method", http_method(call->request));
    api_log_member(&line, "path", http_path(call->request));
    api_log_query(&line, call);
    api_log_text(&line, "route", route == NULL ? NULL : route->pattern);
    api_log_member(&line, "peer", http_peer(call->request));
    api_log_member(&line, "user_agent", http_header(call->request, "User-Agent", NULL));
    api_log_text(&line, "organization", call->identity.organization_id);
    api_log_text(&line, "key", call->identity.key_id);
    api_log_text(&line, "reason", call->failure);
    log_json(level, "request", buf_slice(&line));
}
