// SPDX-License-Identifier: Apache-2.0
// Heads, replies and connections: a real server on a loopback port, bytes as a hostile client
// writes them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "http_fixture.h"
#include "raw_client.h"

#define CLOSES true
#define LIVES  false

struct wire_row {
    const char *request;
    int status;          // 0: closed without a reply
    const char *message; // of the error body; "": not looked at
    bool closes;
};

static const struct wire_row wire_rows[] = {
    {"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "", LIVES},
    {"\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Malformed request line", CLOSES},
    {"\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Bare LF in message head", CLOSES},
    {"\x16\x03\x01\x02", 400, "Malformed request line", CLOSES},
    {"\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "", LIVES},
    {"GET /hello HTTP/1.2\r\nHost: a\r\n\r\n", 200, "", LIVES},
    {"GET /hello HTTP/1.0\r\n\r\n", 200, "", CLOSES},
    {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "", LIVES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200, "", CLOSES},
    {"GET / HTTP/1.1\r\n\r\n", 400, "Missing Host header", CLOSES},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Duplicate Host header", CLOSES},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "Duplicate Host header", CLOSES},
    {"GET /\r\n", 400, "Malformed request line", CLOSES},
    {"POST /echo HTTP/2.0\r\nHost: a\r\n\r\n", 505, "HTTP version not supported", CLOSES},
    {"POST /echo HTTP/0.9\r\nHost: a\r\n\r\n", 505, "HTTP version not supported", CLOSES},
    {"POST /echo http/1.1\r\nHost: a\r\n\r\n", 400, "Malformed request line", CLOSES},
    {"POST  /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Malformed request line", CLOSES},
    {"POST /echo  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Malformed request line", CLOSES},
    {"GET /hello HTTP/1.1\nHost: a\r\n\r\n", 400, "Bare LF in message head", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "Bare LF in message head", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\n\r\n", 400, "Bare LF in message head", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\n\n", 400, "Bare LF in message head", CLOSES},
    {"GET foo HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid request target", CLOSES},
    {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 421, "Misdirected request", CLOSES},
    {"GET http://a/hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "", LIVES},
    {"GET https://OWN.example:8443/hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "", LIVES},
    {"GET https://own.example/hello HTTP/1.1\r\nHost: a\r\n\r\n", 421, "Misdirected request",
     CLOSES},
    {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Method not allowed", LIVES},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204, "", LIVES},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid request target", CLOSES},
    {"FOO /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501, "Method not implemented", LIVES},
    {"post /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501, "Method not implemented", LIVES},
    {"PO(ST /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Malformed request line", CLOSES},
    {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid request target", CLOSES},
    {"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid percent-encoding", LIVES},
    {"GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid percent-encoding", LIVES},
    {"GET /%c0%af..%c0%afetc HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid UTF-8 in path", LIVES},
    {"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid path", LIVES},
    {"GET /a/%2e%2e/b?X-Amz-Date=1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Invalid path", LIVES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX : 5\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX: 5\r\n y\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX: 5\r\n y\r\nZ: 1\r\n\r\n", 400, "Malformed header",
     CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX: 5\r\n\ty: 1\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\n: 5\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\na@b: 1\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\na\x80: 1\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400, "Malformed header", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nX: a\x1bz\r\n\r\n", 400, "Malformed header", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417,
     "Expectation failed", CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 200, "",
     LIVES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nAccept: nonsense\r\nCookie: a=b; c\r\n\r\n", 200, "",
     LIVES},
    {"GET /silent HTTP/1.1\r\nHost: a\r\n\r\n", 500, "Internal server error", LIVES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     400, "Ambiguous message length", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501,
     "Transfer coding not implemented", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501,
     "Transfer coding not implemented", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked \r\n\r\n0\r\n\r\n", 200, "",
     LIVES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400,
     "Ambiguous message length", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     400, "Ambiguous message length", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400, "Malformed header", CLOSES},
    {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "Ambiguous message length",
     CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", 400,
     "Ambiguous message length", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", 400,
     "Ambiguous message length", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nabcde", 400,
     "Ambiguous message length", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "Invalid Content-Length",
     CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 413,
     "Request body too large", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 413,
     "Request body too large", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413,
     "Request body too large", CLOSES},
    {"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 413, "Request body too large",
     CLOSES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", 200, "", LIVES},
    {"GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", 413,
     "Request body too large", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200, "", LIVES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "FFFFFFFFFFFFFFFFF\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "FFFFFFFFFFFFFFFF\r\n",
     413, "Request body too large", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0x5\r\nabcde\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "-1\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5 \r\nabcde\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "\r\nabcde\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\nabcde\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nabcde\n0\r\n\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5\r\nabcdef\r\n",
     400, "Malformed chunk", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\nX\r\n\r\n",
     400, "Malformed trailer", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0\r\n\n",
     400, "Malformed trailer", CLOSES},
    {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;a=b\r\nabcde\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n",
     200, "", LIVES},
    {"POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", 400,
     "", CLOSES},
};

static void test_rows(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(wire_rows); i++) {
        const struct wire_row *row = &wire_rows[i];
        char body[1024];
        bool closed = false;
        const int status = raw_once(fixture->port, row->request, body, &closed);
        char expected[200] = "";
        if (row->message[0] != '\0')
            (void)snprintf(expected, sizeof expected,
                           "{\"error\":{\"message\":\"%s\",\"code\":%d}}", row->message,
                           row->status);
        const bool is_right = expected[0] == '\0' || strcmp(body, expected) == 0;
        if (status != row->status || !is_right || closed != row->closes)
            fail_msg("row %zu: %d %s %s\n%s\n", i, status, body, closed ? "closed" : "open",
                     row->request);
    }
    assert_true(fixture_all_ended(fixture));
}

// --- Bytes that C strings cannot show

struct bytes_row {
    const char *bytes;
    size_t size_bytes;
    int status;
    const char *message;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct bytes_row bytes_rows[] = {
    {BYTES("GET /he\0llo HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "Malformed request line"},
    {BYTES("G\0T /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "Malformed request line"},
    {BYTES("GET /\0HTTP/1.1\0\0 HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "Malformed request line"},
    {BYTES("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"), 400, "Malformed header"},
    {BYTES("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0\0Y: b\r\n\r\n"), 400, "Malformed header"},
    {BYTES("GET /hello HTTP/1.1\r\nHost: a\0\r\n\r\n"), 400, "Malformed header"},
    {BYTES("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\0\r\n\r\n"), 400,
     "Malformed header"},
};

static void test_nul_bytes(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(bytes_rows); i++) {
        const struct bytes_row *row = &bytes_rows[i];
        char body[1024];
        bool closed = false;
        const int status = raw_once_bytes(fixture->port, row->bytes, row->size_bytes, body,
                                          &closed);
        if (status != row->status || strstr(body, row->message) == NULL || !closed)
            fail_msg("row %zu: %d %s", i, status, body);
    }
}

static void test_query_floods(void **state)
{
    struct fixture *fixture = *state;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 200000);
    buf_append_text(&text, "GET /hello?");
    while (text.size_bytes < 8000)
        buf_append_text(&text, "a&");
    buf_append_text(&text, " HTTP/1.1\r\nHost: a\r\n\r\n");
    char body[1024];
    assert_int_equal(raw_once(fixture->port, buf_text(&text), body, NULL), 200);
}

static int status_with(int port, const char *start, size_t fill_bytes, size_t line_bytes,
                       const char *end)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 300000);
    buf_append_text(&text, start);
    for (size_t i = 0; i < fill_bytes; i++) {
        if (line_bytes > 0 && i % line_bytes == 0)
            buf_append_text(&text, "\r\nx: ");
        else
            buf_append_char(&text, 'a');
    }
    buf_append_text(&text, end);
    char body[1024];
    bool closed = false;
    const int status = raw_once(port, buf_text(&text), body, &closed);
    assert_true(status == 200 || closed);
    return status;
}

static void test_size_limits(void **state)
{
    struct fixture *fixture = *state;
    const int port = fixture->port;
    static const char host[] = "GET /hello HTTP/1.1\r\nHost: a";
    static const char end[] = "\r\n\r\n";
    static const char version[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    // "/" and the version's line are there, too.
    assert_int_equal(status_with(port, "GET /", 8191, 0, version), 200);
    assert_int_equal(status_with(port, "GET /", 8192, 0, version), 414);
    assert_int_equal(status_with(port, "GET /", 200000, 0, version), 414);
    assert_int_equal(status_with(port, host, 100 * 2 - 2, 2, end), 200); // 99 lines and Host
    assert_int_equal(status_with(port, host, 100 * 2, 2, end), 431);
    assert_int_equal(status_with(port, host, 8190, 8190, end), 200); // "x: " and 8,189 bytes
    assert_int_equal(status_with(port, host, 8191, 8191, end), 431);
    assert_int_equal(status_with(port, host, 32000, 4000, end), 200);
    assert_int_equal(status_with(port, host, 33000, 4000, end), 431);
    assert_int_equal(status_with(port, host, 250000, 4000, end), 431);
}

// --- Replies

static void test_headers_of_replies(void **state)
{
    struct fixture *fixture = *state;
    struct raw_client client;
    struct raw_reply reply;
    raw_connect(&client, fixture->port);
    raw_send(&client, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: a.b_C-9\r\n\r\n");
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_string_equal(raw_header(&reply, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(raw_header(&reply, "X-Request-Id"), "a.b_C-9");
    assert_string_equal(raw_header(&reply, "Cache-Control"), "no-store");
    assert_string_equal(raw_header(&reply, "Content-Type"), "application/json; charset=utf-8");
    assert_string_equal(raw_header(&reply, "Content-Length"), "14");
    assert_non_null(raw_header(&reply, "Date"));
    assert_null(raw_header(&reply, "Server"));
    assert_null(raw_header(&reply, "Connection"));
    assert_string_equal(buf_text(&reply.body), "{\"hello\":true}");
    raw_reply_clear(&reply);

    raw_send(&client, "HEAD /hello HTTP/1.1\r\nHost: a\r\nX-Request-Id: a b\r\n\r\n");
    raw_read(&client, &reply, true);
    assert_int_equal(reply.status, 200);
    assert_string_equal(raw_header(&reply, "Content-Length"), "14");
    assert_int_equal(strlen(raw_header(&reply, "X-Request-Id")), 20);
    raw_reply_clear(&reply);

    raw_send(&client, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 204);
    assert_non_null(strstr(raw_header(&reply, "Allow"), "DELETE"));
    assert_null(raw_header(&reply, "Content-Type"));
    raw_reply_clear(&reply);

    raw_send(&client, "TRACE / HTTP/1.1\r\nHost: a\r\nAccess-Token: secret\r\n\r\n");
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 405);
    assert_non_null(raw_header(&reply, "Allow"));
    assert_null(strstr(reply.head, "secret"));
    assert_null(strstr(buf_text(&reply.body), "secret"));
    raw_reply_clear(&reply);
    raw_close(&client);
}

static void test_what_handlers_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct raw_client client;
    struct raw_reply reply;
    raw_connect(&client, fixture->port);
    raw_send(&client, "GET /info?b=1%20x&b=%26&c HTTP/1.1\r\nHost: a\r\nX-Test:  one \t\r\n"
                      "x-TEST: two\r\nEmpty:\r\nX-Each-b: 1\r\nX-Forwarded-For: 1.2.3.4\r\n"
                      "X-EachA:2\t\r\nX-Each-b:\r\n\r\n");
    raw_read(&client, &reply, false);
    assert_string_equal(
        buf_text(&reply.body),
        "method=GET path=/info raw=/info?b=1%20x&b=%26&c peer=127.0.0.1 size=-1 "
        "x-test=2:one query=b:1 x query=b:& query=c: X-Each-b=1 X-EachA=2 X-Each-b=");
    assert_string_equal(raw_header(&reply, "Content-Type"), "text/plain");
    assert_string_equal(raw_header(&reply, "X-Split"), "a  X-Injected: 1");
    assert_null(raw_header(&reply, "X-Injected"));
    raw_reply_clear(&reply);
    raw_close(&client);
}

static void expect_file(struct raw_client *client, const char *method, size_t offset, size_t size)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%s /file?offset=%zu&size=%zu HTTP/1.1\r\nHost: a\r\n\r\n",
                   method, offset, size);
    raw_send(client, text);
    struct raw_reply reply;
    const bool is_head = strcmp(method, "HEAD") == 0;
    raw_read(client, &reply, is_head);
    assert_int_equal(reply.status, 200);
    assert_int_equal(strtoul(raw_header(&reply, "Content-Length"), NULL, 10), size);
    assert_string_equal(raw_header(&reply, "Cache-Control"), "private");
    const uint8_t *bytes = (const uint8_t *)reply.body.data;
    for (size_t i = 0; i < reply.body.size_bytes; i++)
        assert_int_equal(bytes[i], (offset + i) % 251);
    raw_reply_clear(&reply);
}

static void test_file_replies(void **state)
{
    struct fixture *fixture = *state;
    fixture_make_file(fixture, 5000000);
    struct raw_client client;
    raw_connect(&client, fixture->port);
    expect_file(&client, "GET", 0, 5000000);
    expect_file(&client, "GET", 1234567, 3000000);
    expect_file(&client, "GET", 4999999, 1);
    expect_file(&client, "GET", 5, 0);
    expect_file(&client, "HEAD", 0, 5000000);
    raw_close(&client);
}

// A reset in the middle of a download frees everything.
static void test_reader_that_goes_away(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 20; i++) {
        struct raw_client client;
        raw_connect_small(&client, fixture->port, 4096);
        raw_send(&client, "GET /file?offset=0&size=5000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        char bytes[100];
        assert_true(recv(client.fd, bytes, sizeof bytes, 0) > 0);
        const struct linger reset = {.l_onoff = 1};
        assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        raw_close(&client);
    }
    assert_true(fixture_all_ended(fixture));
}

// --- Connections

static void test_pipelining(void **state)
{
    struct fixture *fixture = *state;
    struct raw_client client;
    struct raw_reply reply;
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
                      "POST /suspend HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "1\r\nt\r\n2\r\nwo\r\n0\r\n\r\n"
                      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree");
    static const char *const expected[] = {"one", "two", "three"};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        raw_read(&client, &reply, false);
        assert_int_equal(reply.status, 200);
        assert_string_equal(buf_text(&reply.body), expected[i]);
        raw_reply_clear(&reply);
    }
    raw_close(&client);
}

static void test_nothing_runs_after_a_framing_error(void **state)
{
    struct fixture *fixture = *state;
    const int heads = atomic_load(&fixture->head_count);
    struct raw_client client;
    struct raw_reply reply;
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n"
                      "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 400);
    assert_string_equal(raw_header(&reply, "Connection"), "close");
    raw_reply_clear(&reply);
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 0);
    raw_reply_clear(&reply);
    raw_close(&client);
    assert_int_equal(atomic_load(&fixture->head_count), heads);
}

static void test_a_connection_has_1000_requests(void **state)
{
    struct fixture *fixture = *state;
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    struct buf train CLEANUP(buf_clear);
    buf_init(&train, 1000000);
    for (int i = 0; i < 3000; i++)
        buf_append_text(&train, request);
    struct raw_client client;
    raw_connect(&client, fixture->port);
    raw_send_bytes(&client, train.data, train.size_bytes);
    for (int i = 1; i <= 1000; i++) {
        struct raw_reply reply;
        raw_read(&client, &reply, false);
        assert_int_equal(reply.status, 200);
        if (i == 1000)
            assert_string_equal(raw_header(&reply, "Connection"), "close");
        else
            assert_null(raw_header(&reply, "Connection"));
        raw_reply_clear(&reply);
    }
    assert_true(raw_is_closed(&client, 1000));
    raw_close(&client);
}

// The answer arrives although the client goes on sending: no reset overtakes it.
static void test_refused_upload_hears_why(void **state)
{
    struct fixture *fixture = *state;
    static char piece[65536];
    for (int i = 0; i < 20; i++) {
        struct raw_client client;
        struct raw_reply reply;
        raw_connect(&client, fixture->port);
        raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n");
        for (int sent = 0; sent < 80; sent++)
            if (!raw_try_send(&client, piece, sizeof piece))
                break;
        raw_read(&client, &reply, false);
        assert_int_equal(reply.status, 413);
        assert_string_equal(raw_header(&reply, "Connection"), "close");
        raw_reply_clear(&reply);
        raw_close(&client);
    }
    assert_true(fixture_all_ended(fixture));
}

static void test_limits_of_connections(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.connections_per_address = 3;
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client clients[4];
    struct raw_reply reply;
    for (size_t i = 0; i < 3; i++) {
        raw_connect(&clients[i], fixture.port);
        raw_send(&clients[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        raw_read(&clients[i], &reply, false);
        assert_int_equal(reply.status, 200);
        raw_reply_clear(&reply);
    }
    raw_connect(&clients[3], fixture.port);
    assert_true(raw_is_closed(&clients[3], 1000));
    raw_close(&clients[0]);
    raw_close(&clients[3]);
    (void)usleep(100000);
    raw_connect(&clients[3], fixture.port);
    raw_send(&clients[3], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    raw_read(&clients[3], &reply, false);
    assert_int_equal(reply.status, 200);
    raw_reply_clear(&reply);
    for (size_t i = 1; i < 4; i++)
        raw_close(&clients[i]);
    fixture_close(&fixture);
}

// Beyond the limit connections wait in the kernel's queue until one ends.
static void test_connections_beyond_the_limit_wait(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.connection_count = 4;
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client clients[5];
    struct raw_reply reply;
    for (size_t i = 0; i < 5; i++) {
        raw_connect(&clients[i], fixture.port);
        raw_send(&clients[i], "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i == 4)
            raw_close(&clients[0]);
        raw_read(&clients[i], &reply, false);
        assert_int_equal(reply.status, 200);
        raw_reply_clear(&reply);
    }
    for (size_t i = 1; i < 5; i++)
        raw_close(&clients[i]);
    fixture_close(&fixture);
}

static void test_listen_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:0", "localhost:0", ":0", "[::1]:0", "[::]:0"};
    static const char *const bad[] = {"",         "127.0.0.1",     "127.0.0.1:", "a:70000",
                                      "a:-1",     "::1:0",         "[::1:0",     "127.0.0.1:1x",
                                      "[::1]x:0", "no such host:0"};
    struct err err = {0};
    int fd = -1;
    int port = 0;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        const bool is_v6 = strchr(good[i], '[') != NULL;
        if (!http_listen(good[i], &fd, &port, &err)) {
            if (!is_v6) // the machine may have no IPv6
                fail_msg("%s: %s", good[i], err.message);
            continue;
        }
        assert_in_range(port, 1, 65535);
        assert_int_equal(close(fd), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        if (http_listen(bad[i], &fd, &port, &err))
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.kind, ERR_INVALID);
    }
    assert_true(http_listen("127.0.0.1:0", &fd, &port, &err));
    char address[64];
    (void)snprintf(address, sizeof address, "127.0.0.1:%d", port);
    int other_fd = -1;
    assert_false(http_listen(address, &other_fd, &port, &err)); // in use
    assert_int_equal(close(fd), 0);
}

static void test_bad_certificate(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    const struct http_limits limits = fixture_limits();
    fixture_open(&fixture, &limits); // for its handler's shape only
    fixture_close(&fixture);
    struct http_server_config config = {.thread_count = 2,
                                        .limits = limits,
                                        .tls_certificate_pem = "no certificate",
                                        .tls_key_pem = "no key"};
    struct err err = {0};
    int port = 0;
    assert_true(http_listen("127.0.0.1:0", &config.listen_fd, &port, &err));
    fixture_handler(&fixture, &config.handler);
    struct http_server *server = NULL;
    assert_false(http_server_open(&config, &server, &err));
    assert_null(server);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.message, "certificate"));
}

int main(void)
{
    static struct fixture fixture;
    const struct http_limits limits = fixture_limits();
    fixture_open(&fixture, &limits);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_rows, &fixture),
        cmocka_unit_test_prestate(test_nul_bytes, &fixture),
        cmocka_unit_test_prestate(test_query_floods, &fixture),
        cmocka_unit_test_prestate(test_size_limits, &fixture),
        cmocka_unit_test_prestate(test_headers_of_replies, &fixture),
        cmocka_unit_test_prestate(test_what_handlers_are_told, &fixture),
        cmocka_unit_test_prestate(test_file_replies, &fixture),
        cmocka_unit_test_prestate(test_reader_that_goes_away, &fixture),
        cmocka_unit_test_prestate(test_pipelining, &fixture),
        cmocka_unit_test_prestate(test_nothing_runs_after_a_framing_error, &fixture),
        cmocka_unit_test_prestate(test_a_connection_has_1000_requests, &fixture),
        cmocka_unit_test_prestate(test_refused_upload_hears_why, &fixture),
        cmocka_unit_test(test_limits_of_connections),
        cmocka_unit_test(test_connections_beyond_the_limit_wait),
        cmocka_unit_test(test_listen_addresses),
        cmocka_unit_test(test_bad_certificate),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_close(&fixture);
    return failed;
}
