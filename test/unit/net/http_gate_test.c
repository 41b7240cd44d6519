// SPDX-License-Identifier: Apache-2.0
// The gate without a server: what it lets through, what it keeps, what shuts it; in one piece and
// in any other cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/http_gate.h"
#include "net/http_server.h"

static const struct http_limits limits = {
    .request_line_bytes = 8192, .header_bytes = 32768, .header_count = 100};

#define MESSAGES_MAX ((uint64_t)1000)

// Feeds the bytes in pieces of step_bytes, as the intake does. out gets what passed and the ending.
static void feed(struct http_gate *gate, struct slice bytes, size_t step_bytes, struct buf *out)
{
    while (bytes.size_bytes > 0) {
        const size_t size = step_bytes < bytes.size_bytes ? step_bytes : bytes.size_bytes;
        const size_t held = http_gate_held(gate);
        uint8_t *area = mem_alloc(held + size); // its end is watched by AddressSanitizer
        memcpy(area + held, bytes.data, size);
        buf_append(out, slice_of(area, http_gate_pass(gate, area, held, size)));
        mem_free(area);
        bytes = slice_from(bytes, size);
    }
    uint8_t ending[64];
    buf_append(out, slice_of(ending, http_gate_take_ending(gate, ending, sizeof ending)));
}

// What is wrong with the last message, in its head or its body.
static struct http_refusal refusal_of(struct http_gate *gate)
{
    struct http_refusal refusal = {0};
    struct http_message *message;
    while ((message = http_gate_take_message(gate)) != NULL) {
        assert_int_equal(refusal.status, 0); // nothing comes behind a refusal
        refusal = message->refusal;
        if (refusal.status == 0)
            refusal = http_gate_body_refusal(gate, message->number);
        http_message_free(&message);
    }
    assert_true(refusal.status == 0 || http_gate_is_shut(gate));
    return refusal;
}

// --- What passes

static void expect_passed(const char *text, const char *expected)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        struct http_gate gate;
        struct buf out CLEANUP(buf_clear);
        buf_init(&out, 100000);
        http_gate_init(&gate, &limits, MESSAGES_MAX);
        feed(&gate, slice_text(text), step, &out);
        assert_string_equal(buf_text(&out), expected);
        assert_int_equal(refusal_of(&gate).status, 0);
        http_gate_clear(&gate);
    }
}

static void test_what_the_library_sees(void **state)
{
    (void)state;
    expect_passed("GET /hello HTTP/1.1\r\nHost: a\r\nAny: thing\r\n\r\n",
                  "GET /-------------------------- HTTP/1.1\r\n\r\n");
    expect_passed("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
    expect_passed("HEAD / HTTP/1.7\r\nHost:\r\nConnection: x, CLOSE\r\n\r\n",
                  "HEAD /----------- HTTP/1.1\r\nConnection:close\r\n\r\n");
    expect_passed("GET / HTTP/1.0\r\nConnection:Keep-alive\r\n\r\n",
                  "GET / HTTP/1.0\r\nConnection:keep-alive\r\n\r\n");
    expect_passed("PUT /x HTTP/1.1\r\nhost:a\r\nCONTENT-LENGTH:\t 003 \r\nExpect:100-Continue\r\n"
                  "\r\nabcGET / HTTP/1.1\r\nHost:\r\n\r\n",
                  "PUT /-------------- HTTP/1.1\r\nContent-Length:3\r\nExpect:100-continue\r\n"
                  "\r\nabcGET /------- HTTP/1.1\r\n\r\n");
    expect_passed("\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n\r\n",
                  "GET /------- HTTP/1.1\r\n\r\nGET /------- HTTP/1.1\r\n\r\n");
}

#define CHUNKED "POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding:Chunked\r\n\r\n"
#define PASSED  "POST /------- HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n"

static void test_chunks_that_pass(void **state)
{
    (void)state;
    expect_passed(CHUNKED "3\r\nabc\r\n0a\r\n0123456789\r\n000\r\n\r\n",
                  PASSED "3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n");
    expect_passed(CHUNKED "3;n;n=v ; n = \"q\\\"\t;\xc3\xa4\" ;x\r\nabc\r\n0;e\r\n\r\n",
                  PASSED "3\r\nabc\r\n0\r\n\r\n");
    expect_passed(CHUNKED "0\r\nContent-Length: 9\r\nHost: evil\r\n\r\nGET / HTTP/1.1\r\nHost:\r\n"
                          "\r\n",
                  PASSED "0\r\n\r\nGET /------- HTTP/1.1\r\n\r\n");
    expect_passed(CHUNKED "0000000000000001\r\n0\r\n0\r\n\r\n",
                  PASSED "0000000000000001\r\n0\r\n0\r\n\r\n");
}

static void test_what_answerers_are_given(void **state)
{
    (void)state;
    static const char text[] =
        "DELETE /a?b#c HTTP/1.1\r\nHost: h\r\nX: \xc3\xa4 \r\nContent-Length: 2\r\n\r\nhi"
        "GET / HTTP/1.0\r\n\r\n";
    for (size_t step = 1; step < sizeof text; step++) {
        struct http_gate gate;
        struct buf out CLEANUP(buf_clear);
        buf_init(&out, 1000);
        http_gate_init(&gate, &limits, MESSAGES_MAX);
        feed(&gate, slice_text(text), step, &out);
        struct http_message *message = http_gate_take_message(&gate);
        assert_int_equal(message->number, 1);
        assert_true(slice_equal_text(message->head.method, "DELETE"));
        assert_true(slice_equal_text(message->head.target, "/a?b#c"));
        assert_int_equal(message->head.field_count, 3);
        assert_true(slice_equal_text(message->head.fields[1].name, "X"));
        assert_true(slice_equal_text(message->head.fields[1].value, "\xc3\xa4"));
        assert_int_equal(message->framing.length_bytes, 2);
        http_message_free(&message);
        message = http_gate_take_message(&gate);
        assert_int_equal(message->number, 2);
        assert_true(message->head.is_version_1_0);
        assert_int_equal(message->framing.length_bytes, -1);
        http_message_free(&message);
        assert_null(http_gate_take_message(&gate));
        http_gate_clear(&gate);
    }
}

// --- What shuts it

struct refusal_row {
    const char *text;
    int status;
    const char *message;
};

#define GOOD "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct refusal_row refusal_rows[] = {
    {"\r\n\r\n" GOOD, 400, "Malformed request line"},
    {"\rGET" GOOD, 400, "Malformed request line"},
    {" " GOOD, 400, "Malformed request line"},
    {"\n" GOOD, 400, "Bare LF in message head"},
    {"GET /\r\n", 400, "Malformed request line"},
    {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "Bare LF in message head"},
    {"GET / HTTP/1.1\r\nHost: a\n", 400, "Bare LF in message head"},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "Bare LF in message head"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400, "Malformed header"},
    {"GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n", 400, "Malformed header"},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "Malformed header"},
    {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400, "Malformed header"},
    {"GET / HTTP/1.1\r\n\r\n", 400, "Missing Host header"},
    {"HEAD / HTTP/3.0\r\n", 505, "HTTP version not supported"},
    {CHUNKED "\r\n", 400, "Malformed chunk"},
    {CHUNKED "g\r\n", 400, "Malformed chunk"},
    {CHUNKED "-1\r\n", 400, "Malformed chunk"},
    {CHUNKED "0x1\r\n", 400, "Malformed chunk"},
    {CHUNKED " 1\r\n", 400, "Malformed chunk"},
    {CHUNKED "1 \r\n", 400, "Malformed chunk"},
    {CHUNKED "1\n", 400, "Malformed chunk"},
    {CHUNKED "1\r\r\n", 400, "Malformed chunk"},
    {CHUNKED "1;\r\n", 400, "Malformed chunk"},
    {CHUNKED "1;a=\r\n", 400, "Malformed chunk"},
    {CHUNKED "1;a=b \r\n", 400, "Malformed chunk"},
    {CHUNKED "1;a \r\n", 400, "Malformed chunk"},
    {CHUNKED "1;a=\"b\r\n", 400, "Malformed chunk"},
    {CHUNKED "1;a=\"b\"c\r\n", 400, "Malformed chunk"},
    {CHUNKED "1;a\x01\r\n", 400, "Malformed chunk"},
    {CHUNKED "00000000000000001\r\n", 400, "Malformed chunk"},
    {CHUNKED "FFFFFFFFFFFFFFFFF\r\n", 400, "Malformed chunk"},
    {CHUNKED "8000000000000000\r\n", 413, "Request body too large"},
    {CHUNKED "1\r\nab\r\n", 400, "Malformed chunk"},
    {CHUNKED "1\r\na\n", 400, "Malformed chunk"},
    {CHUNKED "1\r\na\rb", 400, "Malformed chunk"},
    {CHUNKED "1\r\na\r\n\r\n", 400, "Malformed chunk"},
    {CHUNKED "0\r\n\n", 400, "Malformed trailer"},
    {CHUNKED "0\r\na\r\n\r\n", 400, "Malformed trailer"},
    {CHUNKED "0\r\na : b\r\n\r\n", 400, "Malformed trailer"},
    {CHUNKED "0\r\na: b\n\r\n", 400, "Malformed trailer"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(refusal_rows); i++) {
        const struct refusal_row *row = &refusal_rows[i];
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, 10000);
        buf_append_format(&text, "%s%s%s", GOOD, row->text, GOOD);
        for (size_t step = 1; step <= text.size_bytes; step++) {
            struct http_gate gate;
            struct buf out CLEANUP(buf_clear);
            buf_init(&out, 10000);
            http_gate_init(&gate, &limits, MESSAGES_MAX);
            feed(&gate, buf_slice(&text), step, &out);
            const struct http_refusal refusal = refusal_of(&gate);
            if (refusal.status != row->status || strcmp(refusal.message, row->message) != 0)
                fail_msg("row %zu by %zu: %d %s", i, step, refusal.status, refusal.message);
            assert_true(refusal.closes);
            http_gate_clear(&gate);
        }
    }
}

static void expect_ending(const char *text, const char *expected)
{
    struct http_gate gate;
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, 10000);
    http_gate_init(&gate, &limits, MESSAGES_MAX);
    feed(&gate, slice_text(text), 1000, &out);
    assert_string_equal(buf_text(&out), expected);
    assert_true(http_gate_is_shut(&gate));
    http_gate_clear(&gate);
}

// A refused head becomes a request that asks for the answer, a refused body comes to its end.
static void test_endings(void **state)
{
    (void)state;
    expect_ending("GET /\r\n" GOOD, "GET / HTTP/1.1\r\nConnection:close\r\n\r\n");
    expect_ending("HEAD / HTTP/1.1\r\n\r\n", "HEAD / HTTP/1.1\r\nConnection:close\r\n\r\n");
    expect_ending(CHUNKED "1\r\na\r\nx", PASSED "1\r\na\r\n0\r\n\r\n");
    expect_ending(CHUNKED "1\r\nab", PASSED "1\r\na\r\n0\r\n\r\n");
    expect_ending(CHUNKED "1\r\na\r\r", PASSED "1\r\na\r\n0\r\n\r\n");
    expect_ending(CHUNKED "0\r\nx\r\n", PASSED "0\r\n\r\n");
}

static void test_nothing_passes_behind_the_last_message(void **state)
{
    (void)state;
    expect_ending("GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n" GOOD,
                  "GET /-------- HTTP/1.1\r\nConnection:close\r\n\r\n");
    expect_ending("GET / HTTP/1.0\r\n\r\n" GOOD, "GET / HTTP/1.0\r\n\r\n");
    struct http_gate gate;
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, 10000);
    http_gate_init(&gate, &limits, 2);
    feed(&gate, slice_text(GOOD GOOD GOOD), 1000, &out);
    assert_int_equal(out.size_bytes, 2 * strlen(GOOD));
    assert_int_equal(refusal_of(&gate).status, 0);
    assert_true(http_gate_is_shut(&gate));
    http_gate_clear(&gate);
}

// --- Sizes

// Appends count times text, each followed by fill_count letters and end.
static void append_lines(struct buf *out, size_t count, const char *text, size_t fill_count,
                         const char *end)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_text(out, text);
        for (size_t k = 0; k < fill_count; k++)
            buf_append_char(out, 'a');
        buf_append_text(out, end);
    }
}

static void expect_size(const struct buf *text, int status, const char *message)
{
    static const size_t steps[] = {1, 7, 1000, 4096, 8191, 8192, 8193, 8194, 65536, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct http_gate gate;
        struct buf out CLEANUP(buf_clear);
        buf_init(&out, 4000000);
        http_gate_init(&gate, &limits, MESSAGES_MAX);
        feed(&gate, buf_slice(text), steps[i], &out);
        const struct http_refusal refusal = refusal_of(&gate);
        if (refusal.status != status || (status != 0 && strcmp(refusal.message, message) != 0))
            fail_msg("by %zu: %d %s instead of %s", steps[i], refusal.status, refusal.message,
                     message);
        http_gate_clear(&gate);
    }
}

static void test_sizes_of_heads(void **state)
{
    (void)state;
    static const char line[] = "GET / HTTP/1.1\r\nHost: a\r\n";
    static const char end[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4000000);
    static const struct {
        const char *start;
        size_t count;
        const char *line;
        size_t fill_count;
        const char *line_end;
        const char *end;
        int status;
        const char *message;
    } rows[] = {
        {"GET ", 1, "/", 8191, "", end, 0, NULL},
        {"GET ", 1, "/", 8192, "", end, 414, "URI too long"},
        {"GET ", 1, "/", 100000, "", "", 414, "URI too long"},
        {"", 1, "", 100000, "", "", 414, "URI too long"},
        {line, 99, "x:", 0, "\r\n", "\r\n", 0, NULL},
        {line, 100, "x:", 0, "\r\n", "\r\n", 431, "Too many header fields"},
        {line, 1, "x:", 8190, "\r\n", "\r\n", 0, NULL},
        {line, 1, "x:", 8191, "\r\n", "\r\n", 431, "Header field too large"},
        {line, 1, "x:", 8191, "\n", "\r\n", 400, "Bare LF in message head"},
        {line, 1, "x:", 50000, "", "", 431, "Header field too large"},
        {line, 5, "x:", 7000, "\r\n", "\r\n", 431, "Header fields too large"},
        // 9 + 4 * 8,002 and the last line: the sum is reached first, or the line
        {line, 4, "x:", 8000, "\r\n", "x: 751 bytes are left", 0, NULL},
        {line, 5, "x:", 8190, "\r\n", "\r\n", 431, "Header fields too large"},
        {line, 3, "x:", 8000, "\r\nx: aaaaaaaaaaaa\r\n", "x:", 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        buf_reset(&text);
        buf_append_text(&text, rows[i].start);
        append_lines(&text, rows[i].count, rows[i].line, rows[i].fill_count, rows[i].line_end);
        buf_append_text(&text, rows[i].end);
        expect_size(&text, rows[i].status, rows[i].message);
    }
}

static void test_sizes_of_extensions_and_trailers(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4000000);
    static const struct {
        size_t count;
        const char *line;
        size_t fill_count;
        const char *line_end;
        int status;
        const char *message;
    } rows[] = {
        {1, "1;", 255, "\r\na\r\n", 0, NULL},
        {1, "1;", 256, "\r\na\r\n", 400, "Malformed chunk"},
        {1, "1;", 300, "", 400, "Malformed chunk"},
        {163, "1;", 99, "\r\na\r\n", 0, NULL}, // 16 KiB of extensions in all
        {164, "1;", 99, "\r\na\r\n", 400, "Malformed chunk"},
        {1, "0\r\nx:", 30000, "\r\n\r\n", 0, NULL},
        {1, "0\r\nx:", 33000, "\r\n\r\n", 400, "Malformed trailer"},
        {1, "0\r\nx:", 33000, "", 400, "Malformed trailer"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        buf_reset(&text);
        buf_append_text(&text, CHUNKED);
        append_lines(&text, rows[i].count, rows[i].line, rows[i].fill_count, rows[i].line_end);
        expect_size(&text, rows[i].status, rows[i].message);
    }
    buf_reset(&text);
    buf_append_text(&text, CHUNKED "0\r\n");
    append_lines(&text, 100, "x:", 0, "\r\n");
    expect_size(&text, 0, NULL);
    append_lines(&text, 1, "x:", 0, "\r\n");
    expect_size(&text, 400, "Malformed trailer");
    // The sum is each body's own.
    buf_reset(&text);
    for (int i = 0; i < 3; i++) {
        buf_append_text(&text, CHUNKED);
        append_lines(&text, 100, "1;", 99, "\r\na\r\n");
        buf_append_text(&text, "0\r\n\r\n");
    }
    expect_size(&text, 0, NULL);
}

// Large bodies are counted, and lie where they were read.
static void test_bodies_are_not_moved(void **state)
{
    (void)state;
    struct http_gate gate;
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, 10000);
    http_gate_init(&gate, &limits, MESSAGES_MAX);
    feed(&gate, slice_text("PUT / HTTP/1.1\r\nHost:\r\nContent-Length:9000000000000000000\r\n\r\n"),
         SIZE_MAX, &out);
    for (int i = 0; i < 10; i++) { // read-only bytes: a write would end the test
        static const uint8_t bytes[65536];
        assert_int_equal(http_gate_held(&gate), 0);
        union {
            const uint8_t *from;
            uint8_t *to;
        } area = {.from = bytes};
        assert_int_equal(http_gate_pass(&gate, area.to, 0, sizeof bytes), sizeof bytes);
    }
    assert_int_equal(refusal_of(&gate).status, 0);
    http_gate_clear(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_library_sees),
        cmocka_unit_test(test_chunks_that_pass),
        cmocka_unit_test(test_what_answerers_are_given),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_nothing_passes_behind_the_last_message),
        cmocka_unit_test(test_sizes_of_heads),
        cmocka_unit_test(test_sizes_of_extensions_and_trailers),
        cmocka_unit_test(test_bodies_are_not_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
