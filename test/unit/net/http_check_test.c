// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "net/http_check.h"
#include "net/http_server.h"

static const struct http_limits limits = {
    .request_line_bytes = 8192, .header_bytes = 32768, .header_count = 100};

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
    {"PO(ST", {HOST}, 400, "Malformed request line", true},
    {"post", {HOST}, 501, "Method not implemented", false},
    {"CONNECT", {HOST}, 501, "Method not implemented", false},
    {"TRACE", {HOST}, 405, "Method not allowed", false},
    {"PATCH", {HOST}, 0, "", false},
    {"GET", {HOST, FIELD("a b", "1")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a@b", "1")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a\x80", "1")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("", "1")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a", "\x01")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a", "x\x1b")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a", "x\r")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a", "x\x7f")}, 400, "Malformed header", true},
    {"GET", {HOST, FIELD("a", "x\ty \xc3\xa4")}, 0, "", false},
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
     {HOST, FIELD("Transfer-Encoding", "chunked ")},
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
    {"POST",
     {HOST, FIELD("Transfer-Encoding", "\x0b"
                                       "chunked")},
     400,
     "Malformed header",
     true},
    {"POST", {HOST, FIELD("Content-Length", "-1")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "+5")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "")}, 400, "Invalid Content-Length", true},
    {"POST", {HOST, FIELD("Content-Length", "5, 5")}, 400, "Invalid Content-Length", true},
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
        const bool is_sound = http_check_head(&head, &limits, &framing, &refusal);
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
    assert_true(http_check_head(&head, &limits, &framing, &refusal));
    assert_false(framing.is_chunked);
    assert_int_equal(framing.length_bytes, 12);
    assert_true(framing.expects_continue);
    head.is_version_1_0 = true;
    assert_true(http_check_head(&head, &limits, &framing, &refusal));
    assert_false(framing.expects_continue);
}

static void test_old_version_needs_no_host_and_knows_no_chunks(void **state)
{
    (void)state;
    const struct head_row plain = {.method = "GET"};
    struct http_head head = head_of(&plain);
    head.is_version_1_0 = true;
    struct http_framing framing;
    struct http_refusal refusal;
    assert_true(http_check_head(&head, &limits, &framing, &refusal));
    assert_int_equal(framing.length_bytes, -1);
    const struct head_row chunked = {.method = "POST",
                                     .fields = {FIELD("Transfer-Encoding", "chunked")}};
    head = head_of(&chunked);
    head.is_version_1_0 = true;
    assert_false(http_check_head(&head, &limits, &framing, &refusal));
    assert_string_equal(refusal.message, "Ambiguous message length");
}

static void test_sizes(void **state)
{
    (void)state;
    static char long_text[8193];
    memset(long_text, 'a', sizeof long_text);
    const struct head_row row = {.method = "GET", .fields = {HOST}};
    struct http_framing framing;
    struct http_refusal refusal;

    struct http_head head = head_of(&row);
    head.target = slice_of(long_text, 8192);
    assert_true(http_check_head(&head, &limits, &framing, &refusal));
    head.target = slice_of(long_text, 8193);
    assert_false(http_check_head(&head, &limits, &framing, &refusal));
    assert_int_equal(refusal.status, 414);

    head = head_of(&row);
    head.field_bytes = 32769;
    assert_false(http_check_head(&head, &limits, &framing, &refusal));
    assert_int_equal(refusal.status, 431);

    struct http_field fields[101];
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
        fields[i] = (struct http_field){slice_text(i == 0 ? "Host" : "x"), slice_text("1")};
    head = (struct http_head){.method = slice_text("GET"), .fields = fields, .field_count = 100};
    assert_true(http_check_head(&head, &limits, &framing, &refusal));
    head.field_count = 101;
    assert_false(http_check_head(&head, &limits, &framing, &refusal));
    assert_string_equal(refusal.message, "Too many header fields");

    head.field_count = 2;
    fields[1] = (struct http_field){slice_text("x"), slice_of(long_text, 8189)}; // 8,192 with ": "
    assert_true(http_check_head(&head, &limits, &framing, &refusal));
    fields[1] = (struct http_field){slice_text("x"), slice_of(long_text, 8190)};
    assert_false(http_check_head(&head, &limits, &framing, &refusal));
    assert_string_equal(refusal.message, "Header field too large");
}

// A head as the library leaves it: line ends, colons and the blanks of the first line became NUL.
static const char layout_bytes[] = "GET\0/x?y\0HTTP/1.1\0\0Host\0 a\0\0b\0\0\0\0\0";

static struct http_layout make_layout(struct http_field fields[2])
{
    const char *base = layout_bytes;
    fields[0] = (struct http_field){slice_of(base + 19, 4), slice_of(base + 25, 1)};
    fields[1] = (struct http_field){slice_of(base + 28, 1), slice_of(base + 30, 0)};
    return (struct http_layout){.start = base,
                                .size_bytes = 34,
                                .target = base + 4,
                                .target_bytes = 4,
                                .version = base + 9,
                                .fields = fields,
                                .field_count = 2};
}

static void expect_layout(const struct http_layout *layout, const char *message)
{
    struct http_refusal refusal = {0, "sound", false};
    const bool is_sound = http_check_layout(layout, &refusal);
    assert_string_equal(refusal.message, message);
    assert_int_equal(is_sound, strcmp(message, "sound") == 0);
}

static void test_layout(void **state)
{
    (void)state;
    struct http_field fields[2];
    struct http_layout layout = make_layout(fields);
    expect_layout(&layout, "sound");

    layout.field_count = 0; // one line was left out: folded, or hidden by a NUL
    expect_layout(&layout, "Malformed header");
    layout.size_bytes = 21;
    expect_layout(&layout, "sound");

    layout = make_layout(fields);
    layout.size_bytes--;
    expect_layout(&layout, "Bare LF in message head");
    layout = make_layout(fields);
    fields[0].name = slice_of(layout_bytes + 18, 5);
    expect_layout(&layout, "Bare LF in message head");
    layout = make_layout(fields);
    fields[0].value.size_bytes = 0; // the value was cut
    expect_layout(&layout, "Malformed header");
    layout = make_layout(fields);
    fields[1].value = slice_of(layout_bytes, 0); // before its name
    expect_layout(&layout, "Malformed header");
    layout = make_layout(fields);
    layout.target++; // two blanks
    expect_layout(&layout, "Malformed request line");
    layout = make_layout(fields);
    layout.target_bytes--; // cut by a NUL
    expect_layout(&layout, "Malformed request line");
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
        cmocka_unit_test(test_old_version_needs_no_host_and_knows_no_chunks),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_request_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
