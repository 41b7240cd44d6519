// SPDX-License-Identifier: Apache-2.0
#include "net/http_target.h"

#include <string.h>
#include <strings.h>

static bool http_refuse(struct http_refusal *ret_refusal, int status, const char *message,
                        bool closes)
{
    *ret_refusal = (struct http_refusal){status, message, closes};
    return false;
}

static int http_hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

// False: '%' without two hexadecimal digits.
static bool http_percent_decode(struct slice text, struct arena *arena, struct slice *ret_decoded)
{
    if (text.size_bytes == 0 || memchr(text.data, '%', text.size_bytes) == NULL) {
        *ret_decoded = text;
        return true;
    }
    const char *from = slice_chars(text);
    char *to = arena_alloc(arena, text.size_bytes);
    size_t size_bytes = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (from[i] != '%') {
            to[size_bytes++] = from[i];
            continue;
        }
        if (text.size_bytes - i < 3)
            return false;
        const int high = http_hex_value(from[i + 1]);
        const int low = http_hex_value(from[i + 2]);
        if (high < 0 || low < 0)
            return false;
        to[size_bytes++] = (char)(high * 16 + low);
        i += 2;
    }
    *ret_decoded = slice_of(to, size_bytes);
    return true;
}

// Bytes of the character that starts here, 0: none does. Shortest forms up to U+10FFFF, no
// surrogates.
static size_t http_utf8_size(const uint8_t *bytes, size_t left)
{
    if (bytes[0] < 0x80)
        return 1;
    size_t size = 0;
    uint32_t code = 0;
    uint32_t least = 0;
    if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf) {
        size = 2;
        code = bytes[0] & 0x1f;
        least = 0x80;
    } else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef) {
        size = 3;
        code = bytes[0] & 0x0f;
        least = 0x800;
    } else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4) {
        size = 4;
        code = bytes[0] & 0x07;
        least = 0x10000;
    }
    if (size == 0 || left < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least || code > 0x10ffff || is_surrogate ? 0 : size;
}

bool http_utf8_is_valid(struct slice text)
{
    const uint8_t *bytes = text.data;
    for (size_t at = 0; at < text.size_bytes;) {
        const size_t size = http_utf8_size(bytes + at, text.size_bytes - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

// Neither blanks, controls and bytes beyond ASCII, which must be percent-encoded, nor a fragment.
static bool http_target_has_fit_bytes(struct slice raw)
{
    const uint8_t *bytes = raw.data;
    for (size_t i = 0; i < raw.size_bytes; i++)
        if (bytes[i] <= 0x20 || bytes[i] >= 0x7f || bytes[i] == '#')
            return false;
    return raw.size_bytes > 0;
}

static bool http_authority_is(struct slice authority, struct slice name)
{
    return authority.size_bytes == name.size_bytes && name.size_bytes > 0 &&
           strncasecmp(authority.data, name.data, name.size_bytes) == 0;
}

static bool http_authority_is_ours(struct slice authority,
                                   const struct http_authorities *authorities)
{
    if (http_authority_is(authority, authorities->host))
        return true;
    for (size_t i = 0; i < authorities->own_count; i++)
        if (http_authority_is(authority, slice_text(authorities->own[i])))
            return true;
    return false;
}

// "http://host:port/path": *rest becomes "/path". False: the authority is not ours.
static bool http_target_strip_authority(struct slice *rest,
                                        const struct http_authorities *authorities,
                                        struct http_refusal *ret_refusal)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        const size_t scheme_chars = strlen(schemes[i]);
        if (rest->size_bytes < scheme_chars ||
            strncasecmp(rest->data, schemes[i], scheme_chars) != 0)
            continue;
        const struct slice after = slice_from(*rest, scheme_chars);
        size_t end = 0;
        while (end < after.size_bytes && strchr("/?", slice_chars(after)[end]) == NULL)
            end++;
        if (!http_authority_is_ours(slice_part(after, 0, end), authorities))
            return http_refuse(ret_refusal, 421, "Misdirected request", true);
        *rest = slice_from(after, end);
        return true;
    }
    return true;
}

static bool http_path_has_parent(struct slice path)
{
    const char *chars = slice_chars(path);
    size_t start = 0;
    for (size_t i = 0; i <= path.size_bytes; i++) {
        if (i < path.size_bytes && chars[i] != '/')
            continue;
        if (i - start == 2 && chars[start] == '.' && chars[start + 1] == '.')
            return true;
        start = i + 1;
    }
    return false;
}

static bool http_path_has_control(struct slice path)
{
    const uint8_t *bytes = path.data;
    for (size_t i = 0; i < path.size_bytes; i++)
        if (bytes[i] < 0x20 || bytes[i] == 0x7f || bytes[i] == '\\')
            return true;
    return false;
}

// A decoded slash would move the borders of segments after somebody in front of us looked at them.
static bool http_path_has_encoded_slash(struct slice raw_path)
{
    const char *chars = slice_chars(raw_path);
    for (size_t i = 0; i + 2 < raw_path.size_bytes; i++)
        if (chars[i] == '%' && chars[i + 1] == '2' && (chars[i + 2] | 0x20) == 'f')
            return true;
    return false;
}

static bool http_target_decode_path(struct http_target *target, struct arena *arena,
                                    struct http_refusal *ret_refusal)
{
    if (!http_percent_decode(target->raw_path, arena, &target->path))
        return http_refuse(ret_refusal, 400, "Invalid percent-encoding", false);
    if (!http_utf8_is_valid(target->path))
        return http_refuse(ret_refusal, 400, "Invalid UTF-8 in path", false);
    if (http_path_has_encoded_slash(target->raw_path) || http_path_has_control(target->path) ||
        http_path_has_parent(target->path))
        return http_refuse(ret_refusal, 400, "Invalid path", false);
    return true;
}

static bool http_target_decode_pair(struct slice text, struct arena *arena,
                                    struct http_pair *ret_pair, struct http_refusal *ret_refusal)
{
    const char *equals = memchr(text.data, '=', text.size_bytes);
    const size_t name_bytes = equals == NULL ? text.size_bytes
                                             : (size_t)(equals - slice_chars(text));
    struct slice value = {0};
    if (equals != NULL)
        value = slice_from(text, name_bytes + 1);
    struct http_pair pair;
    if (!http_percent_decode(slice_part(text, 0, name_bytes), arena, &pair.name) ||
        !http_percent_decode(value, arena, &pair.value))
        return http_refuse(ret_refusal, 400, "Invalid percent-encoding", false);
    if (!http_utf8_is_valid(pair.name) || !http_utf8_is_valid(pair.value))
        return http_refuse(ret_refusal, 400, "Invalid UTF-8 in query", false);
    *ret_pair = pair;
    return true;
}

static bool http_target_decode_query(struct http_target *target, struct arena *arena,
                                     struct http_refusal *ret_refusal)
{
    const struct slice query = target->raw_query;
    const char *chars = slice_chars(query);
    size_t room = query.size_bytes > 0;
    for (size_t i = 0; i < query.size_bytes; i++)
        room += chars[i] == '&';
    struct http_pair *pairs = arena_alloc_array(arena, room, sizeof *pairs);
    size_t count = 0;
    for (size_t start = 0; start < query.size_bytes;) {
        size_t end = start;
        while (end < query.size_bytes && chars[end] != '&')
            end++;
        if (end > start) {
            const struct slice text = slice_part(query, start, end - start);
            if (!http_target_decode_pair(text, arena, &pairs[count], ret_refusal))
                return false;
            count++;
        }
        start = end + 1;
    }
    target->pairs = pairs;
    target->pair_count = count;
    return true;
}

bool http_target_parse(struct slice raw, const struct http_authorities *authorities,
                       struct arena *arena, struct http_target *ret_target,
                       struct http_refusal *ret_refusal)
{
    struct http_target target = {0};
    if (!http_target_has_fit_bytes(raw))
        return http_refuse(ret_refusal, 400, "Invalid request target", true);
    if (slice_equal_text(raw, "*")) {
        target.is_asterisk = true;
        *ret_target = target;
        return true;
    }
    struct slice rest = raw;
    if (!http_target_strip_authority(&rest, authorities, ret_refusal))
        return false;
    const bool has_authority = rest.size_bytes < raw.size_bytes;
    const char *question = rest.size_bytes == 0 ? NULL : memchr(rest.data, '?', rest.size_bytes);
    const size_t path_bytes = question == NULL ? rest.size_bytes
                                               : (size_t)(question - slice_chars(rest));
    target.raw_path = slice_of(rest.data, path_bytes);
    if (question != NULL)
        target.raw_query = slice_from(rest, path_bytes + 1);
    if (path_bytes == 0 && has_authority)
        target.raw_path = slice_text("/");
    if (!slice_starts_with(target.raw_path, slice_text("/")))
        return http_refuse(ret_refusal, 400, "Invalid request target", true);
    if (!http_target_decode_path(&target, arena, ret_refusal) ||
        !http_target_decode_query(&target, arena, ret_refusal))
        return false;
    *ret_target = target;
    return true;
}
