// SPDX-License-Identifier: Apache-2.0
// JSON strings: UTF-8, escapes and surrogate pairs, strictly.
#include "base/check.h"
#include "base/hash.h"
#include "model/event_internal.h"

static bool event_is_continuation(const unsigned char *at, const unsigned char *end)
{
    return at < end && (*at & 0xc0) == 0x80;
}

// After one well-formed sequence of two to four bytes (Unicode table 3-7), or NULL.
static const char *event_skip_sequence(const char *start, const char *limit)
{
    const unsigned char *at = (const unsigned char *)start;
    const unsigned char *end = (const unsigned char *)limit;
    const unsigned char lead = *at++;
    if (lead < 0xc2 || lead > 0xf4 || !event_is_continuation(at, end))
        return NULL;
    if (lead < 0xe0)
        return start + 2;
    // The second byte rules out overlong forms, surrogates and what lies beyond U+10FFFF.
    if ((lead == 0xe0 && *at < 0xa0) || (lead == 0xed && *at > 0x9f) ||
        (lead == 0xf0 && *at < 0x90) || (lead == 0xf4 && *at > 0x8f))
        return NULL;
    if (!event_is_continuation(++at, end))
        return NULL;
    if (lead < 0xf0)
        return start + 3;
    return event_is_continuation(++at, end) ? start + 4 : NULL;
}

// The number of four hexadecimal digits, or -1.
static int event_hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// at is behind "\u". A high surrogate must be followed by an escaped low one; NUL is no text.
static const char *event_skip_unicode(const char *at, const char *end)
{
    const int unit = event_hex4(at, end);
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return NULL;
    at += 4;
    if (unit < 0xd800 || unit > 0xdbff)
        return at;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return NULL;
    const int low = event_hex4(at + 2, end);
    return low >= 0xdc00 && low <= 0xdfff ? at + 6 : NULL;
}

// at is behind the backslash.
static const char *event_skip_escape(const char *at, const char *end)
{
    if (at == end)
        return NULL;
    switch (*at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 1;
    case 'u':
        return event_skip_unicode(at + 1, end);
    default:
        return NULL;
    }
}

const char *event_skip_string_slowly(const char *at, const char *end, bool *ret_has_escapes)
{
    bool has_escapes = false;
    while (at != NULL && at < end) {
        const unsigned char character = (unsigned char)*at;
        if (character == '"') {
            *ret_has_escapes = has_escapes;
            return at;
        }
        if (character < 0x20)
            return NULL;
        if (character == '\\') {
            has_escapes = true;
            at = event_skip_escape(at + 1, end);
        } else if (character >= 0x80) {
            at = event_skip_sequence(at, end);
        } else {
            at = event_skip_plain(at, end);
        }
    }
    return NULL;
}

static size_t event_encode_utf8(uint32_t point, char ret_text[4])
{
    if (point < 0x80) {
        ret_text[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        ret_text[0] = (char)(0xc0 | point >> 6);
        ret_text[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        ret_text[0] = (char)(0xe0 | point >> 12);
        ret_text[1] = (char)(0x80 | (point >> 6 & 0x3f));
        ret_text[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    ret_text[0] = (char)(0xf0 | point >> 18);
    ret_text[1] = (char)(0x80 | (point >> 12 & 0x3f));
    ret_text[2] = (char)(0x80 | (point >> 6 & 0x3f));
    ret_text[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

static char event_short_escape(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; // quote, backslash, slash
    }
}

// *at is at a backslash of a checked string; moves behind the escape.
static size_t event_decode_escape(const char **at, const char *end, char ret_text[4])
{
    const char *cursor = *at + 1;
    if (*cursor != 'u') {
        ret_text[0] = event_short_escape(*cursor);
        *at = cursor + 1;
        return 1;
    }
    const int unit = event_hex4(cursor + 1, end);
    ASSERT(unit > 0);
    cursor += 5;
    uint32_t point = (uint32_t)unit;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        const int low = event_hex4(cursor + 2, end);
        ASSERT(low >= 0xdc00);
        point = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
        cursor += 6;
    }
    *at = cursor;
    return event_encode_utf8(point, ret_text);
}

size_t event_unescape(struct slice written, char *ret_text)
{
    const char *at = slice_chars(written);
    const char *end = at + written.size_bytes;
    char *target = ret_text;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape == NULL ? end : escape;
        memcpy(target, at, (size_t)(stop - at));
        target += stop - at;
        at = stop;
        if (at < end)
            target += event_decode_escape(&at, end, target);
    }
    return (size_t)(target - ret_text);
}

size_t event_unescaped_size(struct slice written)
{
    const char *at = slice_chars(written);
    const char *end = at + written.size_bytes;
    size_t size_bytes = 0;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape == NULL ? end : escape;
        size_bytes += (size_t)(stop - at);
        at = stop;
        char text[4];
        if (at < end)
            size_bytes += event_decode_escape(&at, end, text);
    }
    return size_bytes;
}
