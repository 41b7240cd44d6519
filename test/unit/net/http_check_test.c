// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "net/http_check.h"

struct head_row {
    const char *method;
    struct http_field fields[4];
    int status; // 0: sound
    const char *message;
    bool closes;
};

#define FIELD(field_name, field_value)                                                             \
    {                                                                                              \
        {field_name, sizeof(field_name) - 1},                                                      \
        {                                                                                          \
            field_value, sizeof(field_value) - 1                                                   \
        }                                                                                          \
    }
#define HOST FIELD("Host", "a:1")

static const struct head_row head_rows[] = {
    {"GET", {HOST}, 0, "", false},
    {"GET", {{{0}, {0}}}, 400, "Missing Host header", true},
    {"GET", {HOST, HOST}, 400, "Duplicate Host header", true},
    {"GET", {FIELD("Host", "a b")}, 400, "Invalid Host header", true},
    {"GET", {FIELD("hOST", "[::1]:80")}, 0, "", false},
    {"POST",
     {HOST, FIELD("Content-Length", "5"), FIELD("Transfer-Encoding", "chunked")},
     400,
     "Ambiguous message length",
     true},
    {"POST",
     {HOST, FIELD("Content-Length", "5"), FIELD("content-length", "5")},
     400,
     "Ambiguous message length",
     true},
    {"POST",
     {HOST, FIELD("Transfer-Encoding", "chunked"), FIELD("Transfer-Encoding", "chunked")},
     400,
     "Ambiguous message length",
     true},
    {"POST",
     {HOST, FIELD("Transfer-Encoding", "chunked, Chunked")},
     400,
     "Ambiguous message length",
     true},
    {"POST", {HOST, FIELD("Transfer-Encoding", "Chunked")}, 0, "", false},
    {"POST",
     {HOST, FIELD("Transfer-Encoding", "chunked;a")},
     501,
     "Transfer coding not implemented",
     true},
    {"POST",
     {HOST, FIELD("Transfer-Encoding", "identity")},
     501,
     "Transfer coding not implemented",
     true},
    {"POST",
     {HOST, FIELD("Transfer-Encoding", "gzip, chunked")},
     501,
     "Transfer coding not implemented",
     true},
    {"POST", {HOST, FIELD("Transfer-Encoding", "")}, 501, "Transfer coding not implemented", true},
    {"POST", {HOST, FIELD("Content-Length", "-1")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "+5")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "5, 5")}, 400, "Ambiguous message length", true},
    {"POST", {HOST, FIELD("Content-Length", "5,")}, 400, "Ambiguous message length", true},
    {"POST", {HOST, FIELD("Content-Length", ",5")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "5 5")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "5, x")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "0x5")}, 400, "Invalid Content-Length", true},
    {"POST",
     {HOST, FIELD("Content-Length", "9223372036854775808")},
     413,
     "Request body too large",
     true},
    {"POST", {HOST, FIELD("Content-Length", "007")}, 0, "", false},
    {"POST", {HOST, FIELD("Expect", "200-ok")}, 417, "Expectation failed", true},
    {"POST", {HOST, FIELD("Expect", "100-Continue")}, 0, "", false},
};

static struct http_head head_of(const struct head_row *row)
{
    struct http_head head = {
        .method = slice_text(row->method), .target = slice_text("/"), .fields = row->fields};
    while (head.field_count < ARRAY_COUNT(row->fields) &&
           row->fields[head.field_count].name.data != NULL)
        head.field_count++;
    return head;
}

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(head_rows); i++) {
        const struct head_row *row = &head_rows[i];
        const struct http_head head = head_of(row);
        struct http_framing framing;
        struct http_refusal refusal = {0, "", false};
        const bool is_sound = http_check_head(&head, &framing, &refusal);
        if (is_sound != (row->status == 0) || refusal.status != row->status ||
            strcmp(refusal.message, row->message) != 0 || refusal.closes != row->closes)
            fail_msg("row %zu: %d %s", i, refusal.status, refusal.message);
    }
}

static void test_framing_of_sound_heads(void **state)
{
    (void)state;
    const struct head_row row = {
        .method = "POST",
        .fields = {HOST, FIELD("Content-Length", "0012"), FIELD("Expect", "100-continue")}};
    struct http_head head = head_of(&row);
    struct http_framing framing;
    struct http_refusal refusal;
    assert_true(http_check_head(&head, &framing, &refusal));
    assert_false(framing.is_chunked);
    assert_int_equal(framing.length_bytes, 12);
    assert_true(framing.expects_continue);
    head.is_version_1_0 = true;
    assert_true(http_check_head(&head, &framing, &refusal));
    assert_false(framing.expects_continue);
}

static void test_nothing_continues_without_a_body(void **state)
{
    (void)state;
    static const struct head_row rows[] = {
        {.method = "GET", .fields = {HOST, FIELD("Expect", "100-continue")}},
        {.method = "POST",
         .fields = {HOST, FIELD("Expect", "100-continue"), FIELD("Content-Length", "0")}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct http_head head = head_of(&rows[i]);
        struct http_framing framing;
        struct http_refusal refusal;
        assert_true(http_check_head(&head, &framing, &refusal));
        assert_false(framing.expects_continue);
    }
}

static void test_old_version_needs_no_host_and_knows_no_chunks(void **state)
{
    (void)state;
    const struct head_row plain = {.method = "GET"};
    struct http_head head = head_of(&plain);
    head.is_version_1_0 = true;
    struct http_framing framing;
    struct http_refusal refusal;
    assert_true(http_check_head(&head, &framing, &refusal));
    assert_int_equal(framing.length_bytes, -1);
    const struct head_row chunked = {.method = "POST",
                                     .fields = {FIELD("Transfer-Encoding", "chunked")}};
    head = head_of(&chunked);
    head.is_version_1_0 = true;
    assert_false(http_check_head(&head, &framing, &refusal));
    assert_string_equal(refusal.message, "Ambiguous message length");
}

struct line_row {
    struct slice line;
    const char *message; // NULL: sound
};

#define LINE(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct line_row request_lines[] = {
    {LINE("GET / HTTP/1.1"), NULL},
    {LINE("x!#$%&'*+-.^_`|~9 * HTTP/1.9"), NULL},
    {LINE("GET /\xc3\xa4 HTTP/1.0"), NULL}, // refused as a target
    {LINE("GET /"), "Malformed request line"},
    {LINE("GET / "), "Malformed request line"},
    {LINE("GET"), "Malformed request line"},
    {LINE(" GET / HTTP/1.1"), "Malformed request line"},
    {LINE("GET  / HTTP/1.1"), "Malformed request line"},
    {LINE("GET /  HTTP/1.1"), "Malformed request line"},
    {LINE("GET / HTTP/1.1 "), "Malformed request line"},
    {LINE("GET\t/ HTTP/1.1"), "Malformed request line"},
    {LINE("GET /\t HTTP/1.1"), "Malformed request line"},
    {LINE("GET /a b HTTP/1.1"), "Malformed request line"},
    {LINE("GET /a\0b HTTP/1.1"), "Malformed request line"},
    {LINE("GET /\r HTTP/1.1"), "Malformed request line"},
    {LINE("G\0T / HTTP/1.1"), "Malformed request line"},
    {LINE("PO(ST / HTTP/1.1"), "Malformed request line"},
    {LINE("GET / http/1.1"), "Malformed request line"},
    {LINE("GET / HTTP/1"), "Malformed request line"},
    {LINE("GET / HTTP/11"), "Malformed request line"},
    {LINE("GET / HTTP/1.10"), "Malformed request line"},
    {LINE("GET / HTTP/1,1"), "Malformed request line"},
    {LINE("GET / HTTP/x.1"), "Malformed request line"},
    {LINE("GET / HTTP/2.0"), "HTTP version not supported"},
    {LINE("PRI * HTTP/2.0"), "HTTP version not supported"},
    {LINE("GET / HTTP/0.9"), "HTTP version not supported"},
};

static void test_request_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(request_lines); i++) {
        const struct line_row *row = &request_lines[i];
        struct http_head head;
        struct http_refusal refusal = {0, "sound", false};
        const bool is_sound = http_check_request_line(row->line, &head, &refusal);
        if (is_sound != (row->message == NULL) ||
            strcmp(refusal.message, is_sound ? "sound" : row->message) != 0)
            fail_msg("row %zu: %s", i, refusal.message);
    }
    struct http_head head;
    struct http_refusal refusal;
    assert_true(http_check_request_line(slice_text("PUT /a?b HTTP/1.0"), &head, &refusal));
    assert_true(slice_equal_text(head.method, "PUT"));
    assert_true(slice_equal_text(head.target, "/a?b"));
    assert_true(head.is_version_1_0);
    assert_true(http_check_request_line(slice_text("PUT / HTTP/1.2"), &head, &refusal));
    assert_false(head.is_version_1_0);
}

static const struct line_row field_lines[] = {
    {LINE("a: b"), NULL},
    {LINE("a:"), NULL},
    {LINE("a:\t x\ty \xc3\xa4 "), NULL},
    {LINE("a"), "Malformed header"},
    {LINE(": 1"), "Malformed header"},
    {LINE("a : 1"), "Malformed header"},
    {LINE(" a: 1"), "Malformed header"},
    {LINE("\ta: 1"), "Malformed header"},
    {LINE("a b: 1"), "Malformed header"},
    {LINE("a@b: 1"), "Malformed header"},
    {LINE("a\x80: 1"), "Malformed header"},
    {LINE("a\0: 1"), "Malformed header"},
    {LINE("a: \x01"), "Malformed header"},
    {LINE("a: x\x1b"), "Malformed header"},
    {LINE("a: x\ry"), "Malformed header"},
    {LINE("a: x\0"), "Malformed header"},
    {LINE("a: x\x7f"), "Malformed header"},
    {LINE("a: \x0b"
          "chunked"),
     "Malformed header"},
};

static void test_field_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(field_lines); i++) {
        const struct line_row *row = &field_lines[i];
        struct http_field field;
        struct http_refusal refusal = {0, "sound", false};
        const bool is_sound = http_check_field_line(row->line, &field, &refusal);
        if (is_sound != (row->message == NULL) ||
            strcmp(refusal.message, is_sound ? "sound" : row->message) != 0)
            fail_msg("row %zu: %s", i, refusal.message);
    }
    struct http_field field;
    struct http_refusal refusal;
    assert_true(http_check_field_line(slice_text("Name:\t a: b \t"), &field, &refusal));
    assert_true(slice_equal_text(field.name, "Name"));
    assert_true(slice_equal_text(field.value, "a: b"));
}

static void test_methods(void **state)
{
    (void)state;
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    static const char *const unknown[] = {"FOO", "post", "CONNECT", "GETS", "GE", "PROPFIND"};
    struct http_refusal refusal;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        assert_true(http_check_method(slice_text(known[i]), &refusal));
        assert_non_null(strstr(HTTP_METHODS_ALLOWED, known[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(unknown); i++) {
        assert_false(http_check_method(slice_text(unknown[i]), &refusal));
        assert_int_equal(refusal.status, 501);
        assert_false(refusal.closes);
    }
    assert_false(http_check_method(slice_text("TRACE"), &refusal));
    assert_int_equal(refusal.status, 405);
    assert_false(refusal.closes);
}

static bool closes_with(bool is_version_1_0, const char *connection)
{
    const struct http_field fields[] = {{slice_text("Host"), slice_text("a")},
                                        {slice_text("connection"), slice_text("x, y")},
                                        {slice_text("Connection"), slice_text(connection)}};
    const struct http_head head = {.method = slice_text("GET"),
                                   .is_version_1_0 = is_version_1_0,
                                   .fields = fields,
                                   .field_count = ARRAY_COUNT(fields)};
    struct http_framing framing;
    struct http_refusal refusal;
    assert_true(http_check_head(&head, &framing, &refusal));
    return framing.closes;
}

static void test_who_wants_the_connection_closed(void **state)
{
    (void)state;
    assert_false(closes_with(false, "Keep-Alive"));
    assert_false(closes_with(false, "closed"));
    assert_true(closes_with(false, "close"));
    assert_true(closes_with(false, "upgrade,\tClose , z"));
    assert_true(closes_with(true, "upgrade"));
    assert_true(closes_with(true, "keep-alive, close"));
    assert_false(closes_with(true, "upgrade, Keep-Alive"));
}

static void test_request_ids(void **state)
{
    (void)state;
    assert_true(http_request_id_is_valid(slice_text("aZ0._-")));
    assert_false(http_request_id_is_valid(slice_text("")));
    assert_false(http_request_id_is_valid(slice_text("a b")));
    char text[66];
    memset(text, 'x', sizeof text);
    assert_true(http_request_id_is_valid(slice_of(text, 64)));
    assert_false(http_request_id_is_valid(slice_of(text, 65)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_framing_of_sound_heads),
        cmocka_unit_test(test_nothing_continues_without_a_body),
        cmocka_unit_test(test_old_version_needs_no_host_and_knows_no_chunks),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_field_lines),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_who_wants_the_connection_closed),
        cmocka_unit_test(test_request_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
