// SPDX-License-Identifier: Apache-2.0
#include "net/mime_text.h"

#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"

#define MIME_LINE_CHARS       ((size_t)76)
#define MIME_WORD_FRAME_CHARS (sizeof "=?UTF-8?B?" - 1 + sizeof "?=" - 1)
#define MIME_FIRST_COLUMN_MAX ((size_t)40)

// --- Quoted-printable

struct mime_line {
    struct buf *destination;
    size_t column;
};

// A soft line break where the token would not fit beside the '=' of one.
static void mime_put(struct mime_line *line, const char *token, size_t size_chars)
{
    if (line->column + size_chars > MIME_LINE_CHARS - 1) {
        buf_append_text(line->destination, "=\r\n");
        line->column = 0;
    }
    buf_append(line->destination, slice_of(token, size_chars));
    line->column += size_chars;
}

static void mime_put_byte(struct mime_line *line, char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned value = (unsigned char)byte;
    const char token[] = {'=', digits[value >> 4], digits[value & 15]};
    mime_put(line, token, sizeof token);
}

static bool mime_is_line_end(struct slice text, size_t at)
{
    const char *chars = slice_chars(text);
    return at >= text.size_bytes || chars[at] == '\n' ||
           (chars[at] == '\r' && at + 1 < text.size_bytes && chars[at + 1] == '\n');
}

void mime_append_quoted_printable(struct buf *destination, struct slice text)
{
    const char *chars = slice_chars(text);
    struct mime_line line = {.destination = destination};
    for (size_t i = 0; i < text.size_bytes; i++) {
        const bool is_blank = chars[i] == ' ' || chars[i] == '\t';
        const bool is_plain = chars[i] > ' ' && chars[i] < 0x7f && chars[i] != '=';
        if (mime_is_line_end(text, i)) {
            i += chars[i] == '\r' ? 1 : 0;
            buf_append_text(destination, "\r\n");
            line.column = 0;
        } else if (is_plain || (is_blank && !mime_is_line_end(text, i + 1))) {
            mime_put(&line, &chars[i], 1);
        } else {
            mime_put_byte(&line, chars[i]); // blanks at the end of a line may get lost on the way
        }
    }
    if (line.column > 0)
        buf_append_text(destination, "\r\n");
}

// --- Headers

bool mime_is_ascii(struct slice text)
{
    const char *chars = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++)
        if (chars[i] < ' ' || chars[i] >= 0x7f)
            return false;
    return true;
}

// How many bytes of the text a word takes that begins in that column, without cutting a character
// in two.
static size_t mime_word_bytes(struct slice text, size_t column)
{
    size_t size_bytes = (MIME_LINE_CHARS - column - MIME_WORD_FRAME_CHARS) / 4 * 3;
    if (text.size_bytes <= size_bytes)
        return text.size_bytes;
    while (size_bytes > 1 && (slice_chars(text)[size_bytes] & 0xc0) == 0x80)
        size_bytes--;
    return size_bytes;
}

void mime_append_encoded_words(struct buf *destination, struct slice text, size_t first_column)
{
    ASSERT(first_column <= MIME_FIRST_COLUMN_MAX);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    size_t column = first_column;
    while (text.size_bytes > 0) {
        const size_t word_bytes = mime_word_bytes(text, column);
        const struct slice word = slice_part(text, 0, word_bytes);
        // The line break between two words is not part of the text.
        buf_append_format(destination, "%s=?UTF-8?B?%s?=", column == first_column ? "" : "\r\n ",
                          base64_encode(BASE64_STANDARD, word, &arena));
        text = slice_from(text, word_bytes);
        column = 1;
    }
}

void mime_append_unstructured(struct buf *destination, struct slice text, size_t first_column)
{
    const bool looks_encoded = text.size_bytes > 1 &&
                               memmem(text.data, text.size_bytes, "=?", 2) != NULL;
    if (mime_is_ascii(text) && !looks_encoded && first_column + text.size_bytes <= MIME_LINE_CHARS)
        buf_append(destination, text);
    else
        mime_append_encoded_words(destination, text, first_column);
}

// As HTTP has it, but for the name of the zone, which is obsolete in mail.
void mime_append_date(struct buf *destination, int64_t time_ms)
{
    char text[CIVIL_HTTP_CHARS + 1];
    civil_format_http(time_ms, text);
    buf_append(destination, slice_of(text, CIVIL_HTTP_CHARS - strlen("GMT")));
    buf_append_text(destination, "+0000");
}
