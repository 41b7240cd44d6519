// SPDX-License-Identifier: Apache-2.0
// Patterns of `like`. The engine's LIKE ... ESCAPE tries every split of the text for every percent
// sign: eight of them took a minute over one text of 60 characters. Its LIKE without ESCAPE knows
// no escapes, but splits a pattern of percent signs into parts once and looks for each of them
// once. So a pattern whose escapes can be resolved goes there, and any other becomes a regular
// expression, whose engine (RE2) does not try again. Both need at worst time of pattern times text.
#include "base/check.h"
#include "base/mem.h"
#include "model/filter_internal.h"

// One step through a pattern: a wildcard, or a byte that stands for itself.
struct filter_like_step {
    char byte;
    bool is_wildcard;
};

static struct filter_like_step filter_like_next(struct slice pattern, size_t *at)
{
    const char *bytes = slice_chars(pattern);
    ASSERT(*at < pattern.size_bytes);
    const char byte = bytes[(*at)++];
    if (byte != '\\')
        return (struct filter_like_step){byte, byte == '%' || byte == '_'};
    ASSERT(*at < pattern.size_bytes); // filter_like_check
    return (struct filter_like_step){bytes[(*at)++], false};
}

bool filter_like_check(const struct filter_reader *reader, struct slice pattern, struct err *err)
{
    const char *bytes = slice_chars(pattern);
    size_t wildcards = 0;
    for (size_t i = 0; i < pattern.size_bytes; i++) {
        wildcards += bytes[i] == '%' || bytes[i] == '_';
        if (bytes[i] == '\\' && ++i == pattern.size_bytes)
            return filter_reader_refuse(reader, "Invalid filter value",
                                        "nothing follows the last backslash", err);
    }
    if (wildcards > FILTER_WILDCARDS_MAX)
        return filter_reader_refuse_size(reader, FILTER_WILDCARDS_MAX, "wildcards", err);
    if (pattern.size_bytes > FILTER_PATTERN_BYTES_MAX)
        return filter_reader_refuse_size(reader, FILTER_PATTERN_BYTES_MAX, "bytes of pattern", err);
    return true;
}

// What begins with "x" and goes on, the engine narrows to texts from "x" up to "y", and fails the
// query when one more than the last byte is no UTF-8: behind U+007F, and behind the last of 64
// characters that share their other bytes, as in "ÿ%x".
static bool filter_like_breaks_range(struct slice pattern)
{
    char last = 0;
    for (size_t at = 0; at < pattern.size_bytes;) {
        const struct filter_like_step step = filter_like_next(pattern, &at);
        if (step.is_wildcard)
            return last == '\x7f' || last == '\xbf';
        last = step.byte;
    }
    return false;
}

// Whether only percent signs are wild, and no other percent sign or underscore is in the pattern.
static bool filter_like_is_plain(struct slice pattern)
{
    for (size_t at = 0; at < pattern.size_bytes;) {
        const struct filter_like_step step = filter_like_next(pattern, &at);
        if (step.is_wildcard ? step.byte != '%' : step.byte == '%' || step.byte == '_')
            return false;
    }
    return !filter_like_breaks_range(pattern);
}

static void filter_like_append_plain(struct slice pattern, struct buf *text)
{
    for (size_t at = 0; at < pattern.size_bytes;)
        buf_append_char(text, filter_like_next(pattern, &at).byte);
}

// (?s): a dot is any character, a line feed too.
static void filter_like_append_regex(struct slice pattern, struct buf *text)
{
    static const char specials[] = "\\.+*?()|[]{}^$";
    buf_append_text(text, "(?s)");
    for (size_t at = 0; at < pattern.size_bytes;) {
        const struct filter_like_step step = filter_like_next(pattern, &at);
        if (step.is_wildcard) {
            buf_append_text(text, step.byte == '%' ? ".*" : ".");
            continue;
        }
        if (memchr(specials, step.byte, sizeof specials - 1) != NULL)
            buf_append_char(text, '\\');
        buf_append_char(text, step.byte);
    }
}

void filter_like_append_sql(struct slice pattern, struct buf *sql)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, pattern.size_bytes * 2 + 16);
    const bool is_plain = filter_like_is_plain(pattern);
    if (is_plain)
        filter_like_append_plain(pattern, &text);
    else
        filter_like_append_regex(pattern, &text);
    ASSERT(!text.overflowed);
    buf_append_text(sql, is_plain ? " LIKE " : " ~ "); // ~ is a match of the whole text
    filter_append_quoted(sql, buf_slice(&text));
}
