// SPDX-License-Identifier: Apache-2.0
// Messages, read back by decoders of the test's own; and values that must not get into one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "mail_reader.h"
#include "net/mime_text.h"
#include "net/smtp_message.h"

#define MESSAGE_BYTES_MAX ((size_t)32 * 1024 * 1024)

static const struct smtp_message plain = {
    .from = "exports@example.com",
    .to = "a.b+c@example.org",
    .message_id = "<job-1.0@example.com>",
    .date_ms = INT64_C(1795993363999), // 2026-11-29 23:02:43
    .subject = "Export of orders",
    .text = "one\ntwo\n",
};

// All bytes, read in pieces of at most piece_bytes.
static void write_message(const struct smtp_message *message, size_t piece_bytes,
                          struct buf *ret_bytes)
{
    struct smtp_writer writer CLEANUP(smtp_writer_clear);
    struct err err = {0};
    if (!smtp_writer_init(&writer, message, &err))
        fail_msg("%s", err.message);
    for (;;) {
        size_t got = 0;
        char *room = buf_reserve(ret_bytes, piece_bytes);
        assert_non_null(room);
        if (!smtp_writer_read(&writer, room, piece_bytes, &got, &err))
            fail_msg("%s", err.message);
        if (got == 0)
            break;
        buf_advance(ret_bytes, got);
    }
    assert_int_equal(smtp_writer_size(&writer), ret_bytes->size_bytes);
}

static void expect_refused(const struct smtp_message *message, enum err_kind kind)
{
    struct smtp_writer writer CLEANUP(smtp_writer_clear);
    struct err err = {0};
    assert_false(smtp_writer_init(&writer, message, &err));
    if (err.kind != kind)
        fail_msg("%s", err.message);
}

// --- The whole

static void test_the_bytes_of_a_plain_message(void **state)
{
    (void)state;
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    write_message(&plain, 1, &bytes);
    assert_string_equal(buf_text(&bytes), "Date: Sun, 29 Nov 2026 23:02:43 +0000\r\n"
                                          "From: <exports@example.com>\r\n"
                                          "To: <a.b+c@example.org>\r\n"
                                          "Message-ID: <job-1.0@example.com>\r\n"
                                          "Subject: Export of orders\r\n"
                                          "Auto-Submitted: auto-generated\r\n"
                                          "MIME-Version: 1.0\r\n"
                                          "Content-Type: text/plain; charset=utf-8\r\n"
                                          "Content-Transfer-Encoding: quoted-printable\r\n"
                                          "\r\n"
                                          "one\r\ntwo\r\n");
    struct buf again CLEANUP(buf_clear);
    buf_init(&again, MESSAGE_BYTES_MAX);
    write_message(&plain, 1000, &again);
    assert_string_equal(buf_text(&again), buf_text(&bytes));
}

static void test_text_and_html_say_the_same(void **state)
{
    (void)state;
    const struct smtp_header headers[] = {{"List-Unsubscribe", "<https://example.com/u?a=b>"},
                                          {"X-Job", "1"}};
    struct smtp_message message = plain;
    message.from_name = "Exports - Example_1";
    message.html = "<p>gr\u00fc\u00dfe</p>";
    message.headers = headers;
    message.header_count = ARRAY_COUNT(headers);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    write_message(&message, 77, &bytes);
    const struct slice whole = buf_slice(&bytes);
    mail_expect_lines(whole, 78);
    struct buf value CLEANUP(buf_clear);
    buf_init(&value, 1000);
    mail_header(whole, "Content-Type", &value);
    assert_string_equal(buf_text(&value),
                        "multipart/alternative; boundary=\"=_milkrun_alternative\"");
    buf_reset(&value);
    mail_header(whole, "List-Unsubscribe", &value);
    assert_string_equal(buf_text(&value), "<https://example.com/u?a=b>");
    buf_reset(&value);
    mail_header(whole, "From", &value);
    assert_string_equal(buf_text(&value), "Exports - Example_1 <exports@example.com>");
    buf_reset(&value);
    mail_decode_body(mail_part(whole, "=_milkrun_alternative", 0), &value);
    assert_string_equal(buf_text(&value), "one\r\ntwo\r\n");
    buf_reset(&value);
    mail_decode_body(mail_part(whole, "=_milkrun_alternative", 1), &value);
    assert_string_equal(buf_text(&value), "<p>gr\u00fc\u00dfe</p>\r\n");
}

// --- Text

static void expect_text(struct slice text, const char *expected)
{
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    mime_append_quoted_printable(&bytes, text);
    assert_string_equal(buf_text(&bytes), expected);
}

static void test_quoted_printable(void **state)
{
    (void)state;
    expect_text(slice_text(""), "");
    expect_text(slice_text("a"), "a\r\n");
    expect_text(slice_text("a\n"), "a\r\n");
    expect_text(slice_text("a\r\n"), "a\r\n");
    expect_text(slice_text("a\r\rb\r"), "a=0D=0Db=0D\r\n");
    expect_text(slice_text("\n\n"), "\r\n\r\n");
    expect_text(slice_text("a b\tc"), "a b\tc\r\n");
    expect_text(slice_text("a \nb\t\r\nc "), "a=20\r\nb=09\r\nc=20\r\n");
    expect_text(slice_text("1=2 \u00e4"), "1=3D2 =C3=A4\r\n");
    expect_text(slice_of("\0\x7f\xff", 3), "=00=7F=FF\r\n");
    expect_text(slice_text(".\n..\n"), ".\r\n..\r\n");
    char longest[200];
    char expected[200];
    (void)snprintf(longest, sizeof longest, "%075d%075d", 0, 0);
    (void)snprintf(expected, sizeof expected, "%075d=\r\n%075d\r\n", 0, 0);
    expect_text(slice_text(longest), expected);
    (void)snprintf(longest, sizeof longest, "%073d==", 0); // a token is not cut in two
    (void)snprintf(expected, sizeof expected, "%073d=\r\n=3D=3D\r\n", 0);
    expect_text(slice_text(longest), expected);
}

static void expect_body(const char *text, const char *expected)
{
    struct smtp_message message = plain;
    message.text = text;
    struct buf bytes CLEANUP(buf_clear);
    struct buf body CLEANUP(buf_clear);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    buf_init(&body, MESSAGE_BYTES_MAX);
    write_message(&message, 65536, &bytes);
    mail_expect_lines(buf_slice(&bytes), 78);
    mail_decode_body(buf_slice(&bytes), &body);
    assert_int_equal(body.size_bytes, strlen(expected));
    assert_memory_equal(buf_text(&body), expected, body.size_bytes);
}

static void test_any_text_arrives(void **state)
{
    (void)state;
    expect_body("", "");
    expect_body("\u65e5\u672c\u8a9e \U0001f600 =20 --=_milkrun_mixed\n.\n",
                "\u65e5\u672c\u8a9e \U0001f600 =20 --=_milkrun_mixed\r\n.\r\n");
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, MESSAGE_BYTES_MAX);
    buf_append_text(&text, "https://example.com/?");
    for (int i = 0; i < 20000; i++)
        buf_append_format(&text, "%d=\u00e4", i);
    buf_append_text(&text, "\r\n");
    expect_body(buf_text(&text), buf_text(&text));
    while (text.size_bytes <= SMTP_TEXT_BYTES_MAX)
        buf_append_char(&text, 'x');
    struct smtp_message message = plain;
    message.text = buf_text(&text);
    expect_refused(&message, ERR_LIMIT);
    message = plain;
    message.html = buf_text(&text);
    expect_refused(&message, ERR_LIMIT);
    message.html = "\xff";
    expect_refused(&message, ERR_INVALID);
    message = plain;
    message.text = "\xc3";
    expect_refused(&message, ERR_INVALID);
}

// --- Headers

static void expect_subject(const char *subject, bool is_plain)
{
    struct smtp_message message = plain;
    message.subject = subject;
    message.from_name = subject;
    struct buf bytes CLEANUP(buf_clear);
    struct buf value CLEANUP(buf_clear);
    struct buf text CLEANUP(buf_clear);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    buf_init(&value, MESSAGE_BYTES_MAX);
    buf_init(&text, MESSAGE_BYTES_MAX);
    write_message(&message, 65536, &bytes);
    mail_expect_lines(buf_slice(&bytes), 76);
    mail_header(buf_slice(&bytes), "Subject", &value);
    assert_int_equal(strcmp(buf_text(&value), subject) == 0, is_plain);
    mail_decode_words(buf_slice(&value), &text);
    assert_string_equal(buf_text(&text), subject);
    if (subject[0] == '\0')
        return;
    buf_reset(&value);
    buf_reset(&text);
    mail_header(buf_slice(&bytes), "From", &value);
    mail_decode_words(buf_slice(&value), &text);
    char expected[3000];
    (void)snprintf(expected, sizeof expected, "%s <exports@example.com>", subject);
    assert_string_equal(buf_text(&text), expected);
}

static void test_subjects_of_any_language(void **state)
{
    (void)state;
    expect_subject("", true);
    expect_subject("plain", true);
    expect_subject("a, \"b\" <c@d> (e); f: g", true);
    expect_subject("=?UTF-8?Q?evil?=", false); // is text, not an encoded word
    expect_subject("gr\u00fc\u00dfe", false);
    expect_subject("\u65e5\u672c\u8a9e \U0001f600 and some more text that goes on and on", false);
    char text[200] = "";
    for (size_t i = 0; i < 66; i++) { // as long as a line is; then longer
        memset(text, 'x', i);
        expect_subject(text, true);
    }
    memset(text, 'x', 68);
    expect_subject(text, false);
    for (size_t i = 0; i < 60; i++) { // no character is cut
        memset(text, 'x', i);
        (void)snprintf(text + i, sizeof text - i, "%s",
                       "\u00e4\u20ac\U0001f600\u00e4\u20ac\U0001f600\u00e4\u20ac\U0001f600"
                       "\u00e4\u20ac\U0001f600\u00e4\u20ac\U0001f600\u00e4\u20ac\U0001f600");
        expect_subject(text, false);
    }
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        int64_t time_ms;
        const char *text;
    } dates[] = {{0, "Thu, 01 Jan 1970 00:00:00 +0000"},
                 {-1, "Wed, 31 Dec 1969 23:59:59 +0000"},
                 {INT64_C(951782400000), "Tue, 29 Feb 2000 00:00:00 +0000"},
                 {INT64_C(4102444799999), "Thu, 31 Dec 2099 23:59:59 +0000"}};
    for (size_t i = 0; i < ARRAY_COUNT(dates); i++) {
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, 100);
        mime_append_date(&text, dates[i].time_ms);
        assert_string_equal(buf_text(&text), dates[i].text);
    }
}

static void test_no_value_begins_another_header(void **state)
{
    (void)state;
    static const char *const texts[] = {"a\r\nBcc: x@evil.example",
                                        "a\nBcc: x",
                                        "a\rb",
                                        "\n",
                                        "a\x01",
                                        "a\x7f",
                                        "a\tb",
                                        "\xff",
                                        "a\r\n\r\nbody"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct smtp_message message = plain;
        message.subject = texts[i];
        expect_refused(&message, ERR_INVALID);
        message = plain;
        message.from_name = texts[i];
        expect_refused(&message, ERR_INVALID);
        const struct smtp_header header = {"X-Test", texts[i]};
        message = plain;
        message.headers = &header;
        message.header_count = 1;
        expect_refused(&message, ERR_INVALID);
        const struct smtp_attachment attachment = {.name = texts[i], .fd = -1};
        message = plain;
        message.attachment = &attachment;
        expect_refused(&message, ERR_INVALID);
        const struct smtp_attachment typed = {.name = "a", .type = texts[i], .fd = -1};
        message.attachment = &typed;
        expect_refused(&message, ERR_INVALID);
    }
    static const char *const names[] = {"", "X Test", "X-Test:", "X\r\nBcc", "\u00e4"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct smtp_header header = {names[i], "a"};
        struct smtp_message message = plain;
        message.headers = &header;
        message.header_count = 1;
        expect_refused(&message, ERR_INVALID);
    }
    char *longest = mem_alloc(3000);
    memset(longest, 'x', 2001);
    struct smtp_message message = plain;
    message.subject = longest;
    expect_refused(&message, ERR_INVALID);
    const struct smtp_header header = {"X-Test", longest};
    message = plain;
    message.headers = &header;
    message.header_count = 1;
    expect_refused(&message, ERR_INVALID);
    mem_free(longest);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "@",
                                      "a",
                                      "a@",
                                      "@b.com",
                                      "a@b@c",
                                      "a b@c.com",
                                      "\"a b\"@b.com",
                                      "a@[127.0.0.1]",
                                      "Eve <a@b.com>",
                                      "<a@b.com>",
                                      "a@b.com>",
                                      "a@b.com\r\nBcc: x@evil",
                                      "a@b.com\n",
                                      "a@b.com ",
                                      " a@b.com",
                                      "a@b.com,c@d.com",
                                      "a@b.com;c@d.com",
                                      "a@b.com SIZE=1",
                                      ".a@b.com",
                                      "a.@b.com",
                                      "a..b@c.com",
                                      "a@.b.com",
                                      "a@b..com",
                                      "a@b.com.",
                                      "a@b_c.com",
                                      "a@b.com\x7f",
                                      "\u00e4@b.com",
                                      "a@\u00e4.com",
                                      "a\\b@c.com",
                                      "a(b)@c.com",
                                      "a:b@c.com",
                                      "a@b:25"};
    static const char *const good[] = {"a@b.com", "a.b.c@d-e.f1.org", "a@localhost",
                                       "!#$%&'*+-/=?^_`{|}~1Z@b.com", "-oQ@b.com"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (smtp_address_is_valid(bad[i]))
            fail_msg("%s", bad[i]);
        struct smtp_message message = plain;
        message.to = bad[i];
        expect_refused(&message, ERR_INVALID);
        message = plain;
        message.from = bad[i];
        expect_refused(&message, ERR_INVALID);
    }
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        if (!smtp_address_is_valid(good[i]))
            fail_msg("%s", good[i]);
    char text[400];
    (void)snprintf(text, sizeof text, "%064d@b.com", 0);
    assert_true(smtp_address_is_valid(text));
    (void)snprintf(text, sizeof text, "%065d@b.com", 0);
    assert_false(smtp_address_is_valid(text));
    (void)snprintf(text, sizeof text, "a@%0252d", 0);
    assert_true(smtp_address_is_valid(text));
    (void)snprintf(text, sizeof text, "a@%0253d", 0);
    assert_false(smtp_address_is_valid(text));
    static const char *const ids[] = {
        "",          "<>",      "a@b",     "<a@b",        "a@b>",
        "<ab>",      "<@b>",    "<a@>",    "<a b@c>",     "<a@b>\r\nX: 1",
        "<a@b\r\n>", "<<a@b>>", "<a@b@c>", "<a@b> <c@d>", "<\u00e4@b>"};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        struct smtp_message message = plain;
        message.message_id = ids[i];
        expect_refused(&message, ERR_INVALID);
    }
}

// --- Attachments

static int make_file(size_t size_bytes, struct buf *ret_bytes)
{
    char path[] = "/tmp/smtp_message_test.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    struct rng_seeded rng;
    rng_seeded_init(&rng, size_bytes);
    char *room = buf_reserve(ret_bytes, size_bytes);
    rng_fill(&rng.base, room, size_bytes);
    buf_advance(ret_bytes, size_bytes);
    assert_int_equal(write(fd, room, size_bytes), size_bytes);
    return fd;
}

static void expect_attachment(size_t size_bytes, const char *name, const char *disposition)
{
    struct buf file CLEANUP(buf_clear);
    struct buf bytes CLEANUP(buf_clear);
    struct buf value CLEANUP(buf_clear);
    buf_init(&file, MESSAGE_BYTES_MAX);
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    buf_init(&value, MESSAGE_BYTES_MAX);
    const int fd = make_file(size_bytes, &file);
    const struct smtp_attachment attachment = {
        .name = name, .type = "text/csv", .fd = fd, .size_bytes = size_bytes};
    struct smtp_message message = plain;
    message.html = "<p>one</p>";
    message.attachment = &attachment;
    write_message(&message, 1000, &bytes);
    assert_int_equal(close(fd), 0);
    mail_expect_lines(buf_slice(&bytes), 200);
    const struct slice texts = mail_part(buf_slice(&bytes), "=_milkrun_mixed", 0);
    mail_decode_body(mail_part(texts, "=_milkrun_alternative", 0), &value);
    assert_string_equal(buf_text(&value), "one\r\ntwo\r\n");
    const struct slice part = mail_part(buf_slice(&bytes), "=_milkrun_mixed", 1);
    buf_reset(&value);
    mail_header(part, "Content-Type", &value);
    assert_string_equal(buf_text(&value), "text/csv");
    buf_reset(&value);
    mail_header(part, "Content-Disposition", &value);
    assert_string_equal(buf_text(&value), disposition);
    buf_reset(&value);
    mail_decode_body(part, &value);
    assert_true(slice_equal(buf_slice(&value), buf_slice(&file)));
}

static void test_an_attachment_arrives_as_it_is(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 56, 57, 58, 114, 14591, 14592, 14593, 3000000};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++)
        expect_attachment(sizes[i], "orders-20261123T140000Z-r0.csv.gz",
                          "attachment; filename=\"orders-20261123T140000Z-r0.csv.gz\"");
    expect_attachment(5, "a b.csv", "attachment; filename=\"a b.csv\"");
    expect_attachment(5, "a\"b.csv", "attachment; filename*=UTF-8''a%22b.csv");
    expect_attachment(5, "\u00e4;\\.csv", "attachment; filename*=UTF-8''%C3%A4%3B%5C.csv");
}

static void test_an_attachment_that_is_shorter_than_said(void **state)
{
    (void)state;
    struct buf file CLEANUP(buf_clear);
    buf_init(&file, MESSAGE_BYTES_MAX);
    const int fd = make_file(1000, &file);
    const struct smtp_attachment attachment = {.name = "a", .fd = fd, .size_bytes = 1001};
    struct smtp_message message = plain;
    message.attachment = &attachment;
    struct smtp_writer writer CLEANUP(smtp_writer_clear);
    struct err err = {0};
    assert_true(smtp_writer_init(&writer, &message, &err));
    char bytes[10000];
    size_t got = 0;
    assert_false(smtp_writer_read(&writer, bytes, sizeof bytes, &got, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_int_equal(close(fd), 0);
    smtp_writer_clear(&writer);
    assert_true(smtp_writer_init(&writer, &message, &err));
    assert_false(smtp_writer_read(&writer, bytes, sizeof bytes, &got, &err));
    assert_int_equal(err.kind, ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_of_a_plain_message),
        cmocka_unit_test(test_text_and_html_say_the_same),
        cmocka_unit_test(test_quoted_printable),
        cmocka_unit_test(test_any_text_arrives),
        cmocka_unit_test(test_subjects_of_any_language),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_no_value_begins_another_header),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_an_attachment_arrives_as_it_is),
        cmocka_unit_test(test_an_attachment_that_is_shorter_than_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
