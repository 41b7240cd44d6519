// SPDX-License-Identifier: Apache-2.0
#include "api/api_media.h"

#include <strings.h>

// Digits, saturating: a position beyond 2^64 is beyond the end of every object. False for no
// digits.
static bool api_parse_position(struct slice digits, uint64_t *ret_value)
{
    const char *bytes = slice_chars(digits);
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size_bytes; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
        const uint64_t digit = (uint64_t)(bytes[i] - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *ret_value = value;
    return digits.size_bytes > 0;
}

static struct api_range api_range_suffix(uint64_t size_bytes, uint64_t object_bytes)
{
    if (size_bytes == 0 || object_bytes == 0)
        return (struct api_range){.kind = API_RANGE_UNSATISFIABLE};
    if (size_bytes > object_bytes)
        size_bytes = object_bytes;
    return (struct api_range){API_RANGE_PART, object_bytes - size_bytes, size_bytes};
}

struct api_range api_range_parse(struct slice header, uint64_t object_bytes)
{
    const struct api_range whole = {.kind = API_RANGE_WHOLE};
    const struct slice unit = slice_text("bytes=");
    if (header.size_bytes <= unit.size_bytes ||
        strncasecmp(header.data, unit.data, unit.size_bytes) != 0)
        return whole;
    const struct slice set = slice_from(header, unit.size_bytes);
    const char *dash = memchr(set.data, '-', set.size_bytes);
    if (dash == NULL)
        return whole;
    const size_t first_size = (size_t)(dash - slice_chars(set));
    const struct slice first_text = slice_part(set, 0, first_size);
    const struct slice last_text = slice_from(set, first_size + 1);
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    if (!slice_is_empty(last_text) && !api_parse_position(last_text, &last))
        return whole;
    if (slice_is_empty(first_text))
        return slice_is_empty(last_text) ? whole : api_range_suffix(last, object_bytes);
    if (!api_parse_position(first_text, &first) || last < first)
        return whole;
    if (first >= object_bytes)
        return (struct api_range){.kind = API_RANGE_UNSATISFIABLE};
    if (last >= object_bytes)
        last = object_bytes - 1;
    return (struct api_range){API_RANGE_PART, first, last - first + 1};
}

struct slice api_trimmed(struct slice text)
{
    if (slice_is_empty(text))
        return text;
    const char *bytes = slice_chars(text);
    size_t start = 0;
    size_t end = text.size_bytes;
    while (start < end && (bytes[start] == ' ' || bytes[start] == '\t'))
        start++;
    while (end > start && (bytes[end - 1] == ' ' || bytes[end - 1] == '\t'))
        end--;
    return slice_part(text, start, end - start);
}

static bool api_etag_is_in(struct slice list, const char *etag, bool takes_weak)
{
    while (!slice_is_empty(list)) {
        const char *comma = memchr(list.data, ',', list.size_bytes);
        const size_t size = comma == NULL ? list.size_bytes : (size_t)(comma - slice_chars(list));
        struct slice item = api_trimmed(slice_part(list, 0, size));
        if (takes_weak && slice_starts_with(item, slice_text("W/")))
            item = slice_from(item, 2);
        if (slice_equal_text(item, "*") || slice_equal_text(item, etag))
            return true;
        list = slice_from(list, comma == NULL ? size : size + 1);
    }
    return false;
}

bool api_etag_list_has(struct slice list, const char *etag)
{
    return api_etag_is_in(list, etag, true);
}

bool api_etag_list_has_strong(struct slice list, const char *etag)
{
    return api_etag_is_in(list, etag, false);
}

bool api_media_type_is(struct slice content_type, const char *media_type)
{
    const char *end = slice_is_empty(content_type)
                          ? NULL
                          : memchr(content_type.data, ';', content_type.size_bytes);
    if (end != NULL)
        content_type = slice_part(content_type, 0, (size_t)(end - slice_chars(content_type)));
    content_type = api_trimmed(content_type);
    const struct slice wanted = slice_text(media_type);
    return content_type.size_bytes == wanted.size_bytes &&
           strncasecmp(content_type.data, wanted.data, wanted.size_bytes) == 0;
}
