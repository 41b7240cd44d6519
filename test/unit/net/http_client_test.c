// SPDX-License-Identifier: Apache-2.0
// The client against the real server, in plain text and over TLS, and against servers that fail.
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
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "http_fixture.h"
#include "net/http_client.h"
#include "raw_client.h"
#include "test_certificate.h"

static const struct http_client_config plain_config = {
    .connect_timeout_ms = 2000, .total_timeout_ms = 10000, .stall_timeout_ms = 5000};

// A body of size_bytes bytes 'x', in pieces of at most piece_bytes.
struct source {
    size_t size_bytes;
    size_t piece_bytes;
    size_t fail_after_bytes; // 0: never
    size_t given_bytes;
};

static bool source_read(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                        struct err *err)
{
    struct source *source = context;
    if (source->fail_after_bytes > 0 && source->given_bytes >= source->fail_after_bytes)
        return err_set(err, ERR_CORRUPT, "the file is torn");
    size_t part = source->size_bytes - source->given_bytes;
    if (part > capacity_bytes)
        part = capacity_bytes;
    if (part > source->piece_bytes)
        part = source->piece_bytes;
    memset(ret_data, 'x', part);
    source->given_bytes += part;
    *ret_bytes = part;
    return true;
}

struct outcome {
    bool is_reply;
    struct http_client_reply reply;
    struct buf body;
    struct err err;
};

static void call(struct http_client *client, const char *url, struct source *source,
                 bool is_chunked, struct outcome *ret_outcome)
{
    *ret_outcome = (struct outcome){0};
    buf_init(&ret_outcome->body, 2 * HTTP_CLIENT_REPLY_BYTES_MAX);
    const struct http_client_header headers[] = {{"X-Test", "one"}, {"X-Empty", ""}};
    const struct http_client_call call = {.url = url,
                                          .headers = headers,
                                          .header_count = ARRAY_COUNT(headers),
                                          .body_bytes = is_chunked ? -1
                                                                   : (int64_t)source->size_bytes,
                                          .read = source_read,
                                          .context = source};
    ret_outcome->is_reply = http_client_send(client, &call, &ret_outcome->reply, &ret_outcome->body,
                                             &ret_outcome->err);
}

static void url_of(const struct fixture *fixture, const char *scheme, const char *path,
                   char ret_url[200])
{
    (void)snprintf(ret_url, 200, "%s://127.0.0.1:%d%s", scheme, fixture->port, path);
}

static void expect_reply(struct http_client *client, const char *url, size_t size_bytes,
                         bool is_chunked, int status, const char *body)
{
    struct source source = {.size_bytes = size_bytes, .piece_bytes = 100000};
    struct outcome outcome;
    call(client, url, &source, is_chunked, &outcome);
    if (!outcome.is_reply)
        fail_msg("%s", outcome.err.message);
    assert_int_equal(outcome.reply.status, status);
    assert_int_equal(outcome.reply.retry_after_s, 0);
    if (body != NULL)
        assert_string_equal(buf_text(&outcome.body), body);
    buf_clear(&outcome.body);
}

static void test_posts(void **state)
{
    struct fixture *fixture = *state;
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    url_of(fixture, "http", "/count", url);
    expect_reply(client, url, 10000000, false, 200, "10000000");
    expect_reply(client, url, 10000000, true, 200, "10000000");
    expect_reply(client, url, 0, false, 200, "0");
    expect_reply(client, url, 0, true, 200, "0");
    url_of(fixture, "http", "/info?a=b", url);
    char info[200];
    (void)snprintf(info, sizeof info,
                   "method=POST path=/info raw=/info?a=b peer=127.0.0.1 size=0 x-test=1:one "
                   "query=a:b");
    expect_reply(client, url, 0, false, 200, info);
    url_of(fixture, "http", "/suspend", url);
    expect_reply(client, url, 3, false, 200, "xxx");
}

// size_bytes 0: no body. What the server says begins with `expected`.
static void expect_method(const struct fixture *fixture, const char *method, const char *path,
                          size_t size_bytes, const char *expected)
{
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    url_of(fixture, "http", path, url);
    struct source source = {.size_bytes = size_bytes, .piece_bytes = 1};
    const struct http_client_call call = {.method = method,
                                          .url = url,
                                          .body_bytes = (int64_t)size_bytes,
                                          .read = size_bytes == 0 ? NULL : source_read,
                                          .context = &source};
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, 1000);
    struct http_client_reply reply;
    struct err err;
    if (!http_client_send(client, &call, &reply, &body, &err))
        fail_msg("%s", err.message);
    assert_int_equal(reply.status, 200);
    if (strncmp(buf_text(&body), expected, strlen(expected)) != 0)
        fail_msg("%s", buf_text(&body));
}

static void test_methods(void **state)
{
    static const char *const methods[] = {"GET", "DELETE", "POST", "PATCH"};
    const struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        char info[100];
        (void)snprintf(info, sizeof info, "method=%s path=/info ", methods[i]);
        expect_method(fixture, methods[i], "/info", 0, info);
    }
    expect_method(fixture, "PATCH", "/echo", 3, "xxx");
}

static void test_reply_before_the_end_of_the_body(void **state)
{
    struct fixture *fixture = *state;
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    url_of(fixture, "http", "/early", url);
    for (int i = 0; i < 5; i++)
        expect_reply(client, url, 50000000, true, 400, "{\"early\":true}");
    url_of(fixture, "http", "/midway", url);
    for (int i = 0; i < 5; i++)
        expect_reply(client, url, 50000000, false, 409, "{\"midway\":true}");
    url_of(fixture, "http", "/echo", url);
    expect_reply(client, url, 50000000, false, 413, NULL);
    expect_reply(client, url, 50000000, true, 413, NULL);
}

static void expect_failure(const struct http_client_config *config, const char *url,
                           enum err_kind kind)
{
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(config, &client);
    struct source source = {0};
    struct outcome outcome;
    call(client, url, &source, false, &outcome);
    assert_false(outcome.is_reply);
    if (outcome.err.kind != kind)
        fail_msg("%s: %s", url, outcome.err.message);
    // Whose server it is may be nobody else's business.
    assert_true(kind != ERR_UNAVAILABLE || strstr(outcome.err.message, "127.0.0.1") == NULL);
    buf_clear(&outcome.body);
}

static void test_failures(void **state)
{
    struct fixture *fixture = *state;
    expect_failure(&plain_config, "ftp://127.0.0.1/", ERR_INVALID);
    expect_failure(&plain_config, "file:///etc/passwd", ERR_INVALID);
    expect_failure(&plain_config, "http://", ERR_INVALID);
    expect_failure(&plain_config, "http://127.0.0.1:99999/", ERR_INVALID);
    expect_failure(&plain_config, "http://127.0.0.1:1/", ERR_UNAVAILABLE);

    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    url_of(fixture, "http", "/count", url);
    struct source source = {.size_bytes = 1000000, .piece_bytes = 1000, .fail_after_bytes = 5000};
    struct outcome outcome;
    call(client, url, &source, false, &outcome);
    assert_false(outcome.is_reply);
    assert_int_equal(outcome.err.kind, ERR_CORRUPT);
    assert_string_equal(outcome.err.message, "the file is torn");
    buf_clear(&outcome.body);
    expect_reply(client, url, 5, false, 200, "5"); // it is as good as before

    const struct http_client_header header = {"X-Test", "a\r\nEvil: 1"};
    const struct http_client_call call = {
        .url = url, .headers = &header, .header_count = 1, .read = source_read, .context = &source};
    struct http_client_reply reply;
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, 100);
    struct err err = {0};
    assert_false(http_client_send(client, &call, &reply, &body, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

static void test_reply_that_is_too_large(void **state)
{
    struct fixture *fixture = *state;
    fixture_make_file(fixture, HTTP_CLIENT_REPLY_BYTES_MAX + 1);
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    url_of(fixture, "http", "/file?offset=1&size=1048576", url);
    expect_reply(client, url, 0, false, 200, NULL);
    url_of(fixture, "http", "/file?offset=0&size=1048577", url);
    expect_failure(&plain_config, url, ERR_LIMIT);
    struct http_client_config wide_config = plain_config;
    wide_config.reply_bytes_max = HTTP_CLIENT_REPLY_BYTES_MAX + 1;
    struct http_client *wide CLEANUP(http_client_close) = NULL;
    http_client_open(&wide_config, &wide);
    expect_reply(wide, url, 0, false, 200, NULL);
}

// Somebody listens and never says a word.
static void test_time_outs(void **state)
{
    (void)state;
    struct err err = {0};
    int fd = -1;
    int port = 0;
    assert_true(http_listen("127.0.0.1:0", &fd, &port, &err));
    char url[200];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    const int64_t start_ms = clock_boot_ms(clock_system());
    struct http_client_config config = {.connect_timeout_ms = 1000, .total_timeout_ms = 300};
    expect_failure(&config, url, ERR_UNAVAILABLE);
    assert_in_range(clock_boot_ms(clock_system()) - start_ms, 250, 2000);
    config = (struct http_client_config){.connect_timeout_ms = 1000, .stall_timeout_ms = 1000};
    expect_failure(&config, url, ERR_UNAVAILABLE);
    assert_in_range(clock_boot_ms(clock_system()) - start_ms, 1250, 6000);
    assert_int_equal(close(fd), 0);
}

// --- TLS

struct tls {
    struct fixture fixture;
    char *certificate;
    char *key;
    char ca_file[64];
};

static void tls_open(struct tls *tls, const struct http_limits *limits)
{
    test_certificate_make(&tls->certificate, &tls->key);
    (void)snprintf(tls->ca_file, sizeof tls->ca_file, "/tmp/http_client_test.%d.pem", getpid());
    struct err err = {0};
    assert_true(file_replace(tls->ca_file, slice_text(tls->certificate), &err));
    fixture_open_tls(&tls->fixture, limits, tls->certificate, tls->key);
}

static void tls_close(struct tls *tls)
{
    fixture_close(&tls->fixture);
    (void)unlink(tls->ca_file);
    mem_free(tls->certificate);
    mem_free(tls->key);
}

static void test_tls(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.head_timeout_ms = 500;
    static struct tls tls;
    tls_open(&tls, &limits);
    fixture_make_file(&tls.fixture, 1000000);
    char url[200];
    url_of(&tls.fixture, "https", "/count", url);
    expect_failure(&plain_config, url, ERR_DENIED); // not trusted
    struct http_client_config config = plain_config;
    config.ca_file = tls.ca_file;
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    expect_reply(client, url, 5000000, false, 200, "5000000");
    expect_reply(client, url, 5000000, true, 200, "5000000");
    static char echo[200001];
    memset(echo, 'x', sizeof echo - 1);
    url_of(&tls.fixture, "https", "/sip", url);
    expect_reply(client, url, sizeof echo - 1, false, 200, echo);
    expect_reply(client, url, sizeof echo - 1, true, 200, echo);
    url_of(&tls.fixture, "https", "/suspend", url);
    expect_reply(client, url, 4, false, 200, "xxxx");
    url_of(&tls.fixture, "https", "/file?offset=5&size=900000", url);
    expect_reply(client, url, 0, false, 200, NULL);
    url_of(&tls.fixture, "https", "/early", url);
    expect_reply(client, url, 0, false, 400, "{\"early\":true}");

    struct raw_client silent;
    raw_connect(&silent, tls.fixture.port); // no handshake within the head's time
    assert_true(raw_is_closed(&silent, 2000));
    raw_close(&silent);
    tls_close(&tls);
}

static void test_tls_port_speaks_tls_only(void **state)
{
    (void)state;
    const struct http_limits limits = fixture_limits();
    static struct tls tls;
    tls_open(&tls, &limits);
    struct raw_client client;
    char bytes[1024];
    raw_connect(&client, tls.fixture.port);
    raw_send(&client, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    const ssize_t got = recv(client.fd, bytes, sizeof bytes, 0);
    assert_true(got <= 0 || memmem(bytes, (size_t)got, "HTTP", 4) == NULL);
    assert_true(got <= 0 || raw_is_closed(&client, 1000));
    raw_close(&client);

    // A ClientHello of TLS 1.1 with TLS_RSA_WITH_AES_128_CBC_SHA and its ECDHE brother.
    static const unsigned char hello[] = {
        0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x02, 1,    2,
        3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
        16,   17,   18,   19,   20,   21,   22,   23,   24,   25,   26,   27,   28,
        29,   30,   31,   32,   0x00, 0x00, 0x04, 0x00, 0x2f, 0xc0, 0x13, 0x01, 0x00};
    raw_connect(&client, tls.fixture.port);
    raw_send_bytes(&client, hello, sizeof hello);
    assert_true(raw_is_closed(&client, 1000)); // the library sends no alert
    raw_close(&client);
    assert_int_equal(atomic_load(&tls.fixture.head_count), 0);
    tls_close(&tls);
}

int main(void)
{
    static struct fixture fixture;
    const struct http_limits limits = fixture_limits();
    fixture_open(&fixture, &limits);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_posts, &fixture),
        cmocka_unit_test_prestate(test_methods, &fixture),
        cmocka_unit_test_prestate(test_reply_before_the_end_of_the_body, &fixture),
        cmocka_unit_test_prestate(test_failures, &fixture),
        cmocka_unit_test_prestate(test_reply_that_is_too_large, &fixture),
        cmocka_unit_test(test_time_outs),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_port_speaks_tls_only),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_close(&fixture);
    return failed;
}
