// SPDX-License-Identifier: Apache-2.0
// The line before a chunk, byte by byte (RFC 9112, 7.1): its size in hexadecimal, extensions, which
// are checked and dropped, and CRLF. Pure; private to net/.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HTTP_CHUNK_DIGITS_MAX    ((size_t)16)
#define HTTP_CHUNK_EXTENSION_MAX ((size_t)256) // bytes of a line between size and CRLF

enum http_chunk_place {
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_BLANK,        // behind the size or an extension: a ';' must follow
    HTTP_CHUNK_SEMICOLON,    // behind it: a name must follow
    HTTP_CHUNK_NAME,         //
    HTTP_CHUNK_NAME_BLANK,   // '=' or ';' must follow
    HTTP_CHUNK_EQUALS,       // a value must follow
    HTTP_CHUNK_VALUE,        //
    HTTP_CHUNK_QUOTED,       // in quotes
    HTTP_CHUNK_QUOTED_PAIR,  // behind a backslash
    HTTP_CHUNK_QUOTED_END,   // behind the closing quote
    HTTP_CHUNK_CR,           // behind the CR
    HTTP_CHUNK_LINE_IS_DONE, // behind the LF
    HTTP_CHUNK_LINE_IS_BAD,
};

// Zeroed at the start of a line.
struct http_chunk_line {
    enum http_chunk_place place;
    char digits[HTTP_CHUNK_DIGITS_MAX]; // of the size, as received
    size_t digit_count;
    size_t extension_bytes;
};

// Not after DONE or BAD.
void http_chunk_line_take(struct http_chunk_line *line, uint8_t byte);
uint64_t http_chunk_line_size(const struct http_chunk_line *line);
