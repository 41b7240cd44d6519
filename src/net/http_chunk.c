// SPDX-License-Identifier: Apache-2.0
#include "net/http_chunk.h"

#include "base/check.h"
#include "base/hash.h"
#include "net/http_check.h"

static bool http_chunk_is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

// Behind something complete.
static enum http_chunk_place http_chunk_after(uint8_t byte)
{
    if (byte == ';')
        return HTTP_CHUNK_SEMICOLON;
    if (byte == '\r')
        return HTTP_CHUNK_CR;
    return http_chunk_is_blank(byte) ? HTTP_CHUNK_BLANK : HTTP_CHUNK_LINE_IS_BAD;
}

static enum http_chunk_place http_chunk_in_name(uint8_t byte)
{
    if (byte == '=')
        return HTTP_CHUNK_EQUALS;
    if (http_chunk_is_blank(byte))
        return HTTP_CHUNK_NAME_BLANK;
    return http_is_token_char(byte) ? HTTP_CHUNK_NAME : http_chunk_after(byte);
}

static enum http_chunk_place http_chunk_behind_equals(uint8_t byte)
{
    if (byte == '"')
        return HTTP_CHUNK_QUOTED;
    if (http_chunk_is_blank(byte))
        return HTTP_CHUNK_EQUALS;
    return http_is_token_char(byte) ? HTTP_CHUNK_VALUE : HTTP_CHUNK_LINE_IS_BAD;
}

static enum http_chunk_place http_chunk_in_quotes(uint8_t byte)
{
    if (byte == '"')
        return HTTP_CHUNK_QUOTED_END;
    if (byte == '\\')
        return HTTP_CHUNK_QUOTED_PAIR;
    return (byte >= ' ' && byte != 0x7f) || byte == '\t' ? HTTP_CHUNK_QUOTED
                                                         : HTTP_CHUNK_LINE_IS_BAD;
}

static enum http_chunk_place http_chunk_in_size(struct http_chunk_line *line, uint8_t byte)
{
    if (hex_digit((char)byte) < 0)
        return line->digit_count == 0 ? HTTP_CHUNK_LINE_IS_BAD : http_chunk_after(byte);
    if (line->digit_count == HTTP_CHUNK_DIGITS_MAX)
        return HTTP_CHUNK_LINE_IS_BAD;
    line->digits[line->digit_count++] = (char)byte;
    return HTTP_CHUNK_SIZE;
}

static enum http_chunk_place http_chunk_next(struct http_chunk_line *line, uint8_t byte)
{
    const bool is_blank = http_chunk_is_blank(byte);
    switch (line->place) {
    case HTTP_CHUNK_SIZE:
        return http_chunk_in_size(line, byte);
    case HTTP_CHUNK_BLANK:
        return byte == '\r' ? HTTP_CHUNK_LINE_IS_BAD : http_chunk_after(byte);
    case HTTP_CHUNK_SEMICOLON:
        if (is_blank)
            return HTTP_CHUNK_SEMICOLON;
        return http_is_token_char(byte) ? HTTP_CHUNK_NAME : HTTP_CHUNK_LINE_IS_BAD;
    case HTTP_CHUNK_NAME:
        return http_chunk_in_name(byte);
    case HTTP_CHUNK_NAME_BLANK:
        if (is_blank)
            return HTTP_CHUNK_NAME_BLANK;
        if (byte == ';')
            return HTTP_CHUNK_SEMICOLON;
        return byte == '=' ? HTTP_CHUNK_EQUALS : HTTP_CHUNK_LINE_IS_BAD;
    case HTTP_CHUNK_EQUALS:
        return http_chunk_behind_equals(byte);
    case HTTP_CHUNK_VALUE:
        return http_is_token_char(byte) ? HTTP_CHUNK_VALUE : http_chunk_after(byte);
    case HTTP_CHUNK_QUOTED:
        return http_chunk_in_quotes(byte);
    case HTTP_CHUNK_QUOTED_PAIR:
        return (byte >= ' ' && byte != 0x7f) || byte == '\t' ? HTTP_CHUNK_QUOTED
                                                             : HTTP_CHUNK_LINE_IS_BAD;
    case HTTP_CHUNK_QUOTED_END:
        return http_chunk_after(byte);
    case HTTP_CHUNK_CR:
        return byte == '\n' ? HTTP_CHUNK_LINE_IS_DONE : HTTP_CHUNK_LINE_IS_BAD;
    case HTTP_CHUNK_LINE_IS_DONE:
    case HTTP_CHUNK_LINE_IS_BAD:
        break;
    }
    return HTTP_CHUNK_LINE_IS_BAD;
}

void http_chunk_line_take(struct http_chunk_line *line, uint8_t byte)
{
    ASSERT(line->place < HTTP_CHUNK_LINE_IS_DONE);
    line->place = http_chunk_next(line, byte);
    if (line->place > HTTP_CHUNK_SIZE && line->place < HTTP_CHUNK_CR &&
        ++line->extension_bytes > HTTP_CHUNK_EXTENSION_MAX)
        line->place = HTTP_CHUNK_LINE_IS_BAD;
}

uint64_t http_chunk_line_size(const struct http_chunk_line *line)
{
    uint64_t size = 0;
    for (size_t i = 0; i < line->digit_count; i++)
        size = size << 4 | (uint64_t)hex_digit(line->digits[i]);
    return size;
}
