// SPDX-License-Identifier: Apache-2.0
#include "mail_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const char *find(struct slice text, const char *wanted)
{
    return text.size_bytes == 0 ? NULL : memmem(text.data, text.size_bytes, wanted, strlen(wanted));
}

// The next line without its CR LF; false at the end.
static bool next_line(struct slice *rest, struct slice *ret_line)
{
    const char *end = find(*rest, "\r\n");
    if (end == NULL)
        return false;
    const size_t size = (size_t)(end - slice_chars(*rest));
    *ret_line = slice_part(*rest, 0, size);
    *rest = slice_from(*rest, size + 2);
    return true;
}

void mail_remove_dots(struct slice wire, struct buf *ret_message)
{
    struct slice line;
    while (next_line(&wire, &line)) {
        if (slice_equal_text(line, "."))
            return;
        if (slice_starts_with(line, slice_text(".")))
            line = slice_from(line, 1);
        buf_append(ret_message, line);
        buf_append_text(ret_message, "\r\n");
    }
    fail_msg("no final dot");
}

void mail_expect_lines(struct slice message, size_t chars_max)
{
    struct slice line;
    while (next_line(&message, &line)) {
        if (line.size_bytes > chars_max || find(line, "\r") != NULL || find(line, "\n") != NULL)
            fail_msg("%.*s", (int)line.size_bytes, slice_chars(line));
    }
    assert_int_equal(message.size_bytes, 0);
}

void mail_header(struct slice part, const char *name, struct buf *ret_value)
{
    struct slice line;
    bool is_inside = false;
    const size_t name_chars = strlen(name);
    while (next_line(&part, &line) && line.size_bytes > 0) {
        const char *chars = slice_chars(line);
        if (chars[0] == ' ' || chars[0] == '\t') {
            if (is_inside)
                buf_append(ret_value, line);
            continue;
        }
        if (is_inside)
            return;
        is_inside = line.size_bytes > name_chars + 1 && chars[name_chars] == ':' &&
                    strncasecmp(chars, name, name_chars) == 0;
        if (is_inside)
            buf_append(ret_value, slice_from(line, name_chars + 2));
    }
}

// Without white space; may be empty.
static void decode_base64(struct slice text, struct buf *ret_bytes)
{
    assert_int_equal(text.size_bytes % 4, 0);
    if (text.size_bytes == 0)
        return;
    char *room = buf_reserve(ret_bytes, text.size_bytes);
    assert_non_null(room);
    const int size = EVP_DecodeBlock((unsigned char *)room, text.data, (int)text.size_bytes);
    assert_true(size > 0);
    const char *end = slice_chars(text) + text.size_bytes;
    const int padding = (end[-1] == '=' ? 1 : 0) + (end[-2] == '=' ? 1 : 0);
    buf_advance(ret_bytes, (size_t)(size - padding));
}

void mail_decode_words(struct slice value, struct buf *ret_text)
{
    static const char start[] = "=?UTF-8?B?";
    bool was_word = false;
    while (value.size_bytes > 0) {
        if (!slice_starts_with(value, slice_text(start))) {
            const bool is_blank = slice_chars(value)[0] == ' ';
            if (!(was_word && is_blank &&
                  slice_starts_with(slice_from(value, 1), slice_text(start))))
                buf_append(ret_text, slice_part(value, 0, 1));
            value = slice_from(value, 1);
            continue;
        }
        const char *end = find(value, "?=");
        assert_non_null(end);
        const size_t size = (size_t)(end - slice_chars(value));
        assert_true(size + 2 <= 75);
        decode_base64(slice_part(value, strlen(start), size - strlen(start)), ret_text);
        value = slice_from(value, size + 2);
        was_word = true;
    }
}

struct slice mail_part(struct slice multipart, const char *boundary, int number)
{
    char delimiter[100];
    (void)snprintf(delimiter, sizeof delimiter, "\r\n--%s", boundary);
    const char *start = find(multipart, delimiter);
    for (int i = 0; start != NULL; i++) {
        const char *first = start + strlen(delimiter);
        const size_t left = multipart.size_bytes - (size_t)(first - slice_chars(multipart));
        if (strncmp(first, "--", 2) == 0)
            break;
        assert_int_equal(strncmp(first, "\r\n", 2), 0);
        const char *end = find(slice_of(first, left), delimiter);
        assert_non_null(end);
        if (i == number)
            return slice_of(first + 2, (size_t)(end - first) - 2);
        start = end;
    }
    fail_msg("no part %d of %s", number, boundary);
    return slice_of(NULL, 0);
}

static void decode_quoted_printable(struct slice text, struct buf *ret_bytes)
{
    const char *chars = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (chars[i] != '=') {
            buf_append_char(ret_bytes, chars[i]);
            continue;
        }
        assert_true(i + 2 < text.size_bytes);
        const char digits[3] = {chars[i + 1], chars[i + 2], '\0'};
        if (strcmp(digits, "\r\n") != 0)
            buf_append_char(ret_bytes, (char)strtol(digits, NULL, 16));
        i += 2;
    }
}

void mail_decode_body(struct slice part, struct buf *ret_bytes)
{
    struct buf encoding CLEANUP(buf_clear);
    buf_init(&encoding, 100);
    mail_header(part, "Content-Transfer-Encoding", &encoding);
    const char *head_end = find(part, "\r\n\r\n");
    assert_non_null(head_end);
    struct slice body = slice_from(part, (size_t)(head_end - slice_chars(part)) + 4);
    if (strcmp(buf_text(&encoding), "quoted-printable") == 0) {
        decode_quoted_printable(body, ret_bytes);
        return;
    }
    assert_string_equal(buf_text(&encoding), "base64");
    struct buf joined CLEANUP(buf_clear);
    buf_init(&joined, body.size_bytes + 1);
    struct slice line;
    while (next_line(&body, &line)) {
        assert_true(line.size_bytes <= 76);
        buf_append(&joined, line);
    }
    buf_append(&joined, body);
    decode_base64(buf_slice(&joined), ret_bytes);
}
