// SPDX-License-Identifier: Apache-2.0
#include "api/api_cors.h"

#include "base/check.h"

#define API_ORIGIN_BYTES_MAX ((size_t)512)

static const char api_cors_headers[] =
    "Access-Token, Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-Match, "
    "If-None-Match, If-Range, Range, X-Request-Id";
static const char api_cors_exposed[] =
    "Content-Disposition, Content-Range, ETag, Idempotency-Replayed, Link, Retry-After, "
    "X-Request-Id";

static bool api_origin_is_valid(struct slice origin)
{
    const struct slice mark = slice_text("://");
    const char *colon = slice_is_empty(origin) ? NULL : memchr(origin.data, ':', origin.size_bytes);
    if (colon == NULL || colon == origin.data || origin.size_bytes > API_ORIGIN_BYTES_MAX)
        return false;
    const struct slice rest = slice_from(origin, (size_t)(colon - slice_chars(origin)));
    if (!slice_starts_with(rest, mark) || rest.size_bytes == mark.size_bytes)
        return false;
    const char *bytes = slice_chars(origin);
    for (size_t i = 0; i < origin.size_bytes; i++) {
        const bool is_mark = bytes + i >= colon && bytes + i < colon + mark.size_bytes;
        if (bytes[i] <= ' ' || bytes[i] >= 127 || strchr("?#@\"\\<>,*", bytes[i]) != NULL ||
            (bytes[i] == '/' && !is_mark))
            return false;
    }
    return true;
}

bool api_cors_check(const struct api_settings *settings, struct err *err)
{
    const struct option_list *origins = &settings->cors_origins;
    for (size_t i = 0; i < origins->count; i++) {
        if (strcmp(origins->items[i], "*") != 0 &&
            !api_origin_is_valid(slice_text(origins->items[i])))
            return err_set(err, ERR_INVALID,
                           "api.cors_origins %s: * or scheme://HOST[:PORT] expected",
                           origins->items[i]);
    }
    return true;
}

static bool api_allows_all(const struct option_list *origins)
{
    for (size_t i = 0; i < origins->count; i++) {
        if (strcmp(origins->items[i], "*") == 0)
            return true;
    }
    return false;
}

static const char *api_allowed_origin(const struct option_list *origins, struct slice origin)
{
    for (size_t i = 0; i < origins->count; i++) {
        if (slice_equal_text(origin, origins->items[i]))
            return origins->items[i];
    }
    return NULL;
}

void api_cors_begin(struct api_call *call)
{
    const struct option_list *origins = &call->api->config.settings.cors_origins;
    if (origins->count == 0)
        return;
    const bool is_for_all = api_allows_all(origins);
    if (!is_for_all) // also where none came: a cache must not give that reply to a browser
        http_add_header(call->request, "Vary", "Origin");
    size_t count = 0;
    const struct slice origin = http_header(call->request, "Origin", &count);
    if (count != 1)
        return;
    const char *allowed = is_for_all ? "*" : api_allowed_origin(origins, origin);
    if (allowed == NULL)
        return;
    http_add_header(call->request, "Access-Control-Allow-Origin", allowed);
    http_add_header(call->request, "Access-Control-Expose-Headers", api_cors_exposed);
    call->is_cross_origin = true;
}

void api_cors_preflight(struct api_call *call, const char *methods)
{
    if (!call->is_cross_origin ||
        slice_is_empty(http_header(call->request, "Access-Control-Request-Method", NULL)))
        return;
    http_add_header(call->request, "Access-Control-Allow-Methods", methods);
    http_add_header(call->request, "Access-Control-Allow-Headers", api_cors_headers);
    http_add_header(call->request, "Access-Control-Max-Age", "7200");
}
