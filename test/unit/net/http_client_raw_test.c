// SPDX-License-Identifier: Apache-2.0
// The client on the wire: what it sends for each method, and replies that no good server gives.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "scripted_server.h"
#include "test_certificate.h"

#define MANY_BYTES ((size_t)3 * 1024 * 1024)

static const struct http_client_config plain_config = {
    .connect_timeout_ms = 2000, .total_timeout_ms = 10000, .stall_timeout_ms = 5000};

// What the server does with each request, and what it saw.
struct script {
    const char *reply;
    struct slice more;    // sent after the reply
    size_t body_bytes;    // read before the reply
    const char *body_end; // or up to this
    bool closes;          // after the reply; else it waits for the next request
    bool stays_silent;    // until the client goes
    struct buf head;      // of the requests, one after another
    struct buf body;
    struct scripted_server server;
};

static void script_serve(void *context, struct scripted_peer *peer)
{
    struct script *script = context;
    while (scripted_read_until(peer, "\r\n\r\n", &script->head)) {
        if (script->stays_silent)
            continue;
        if (!scripted_read(peer, script->body_bytes, &script->body))
            return;
        if (script->body_end != NULL && !scripted_read_until(peer, script->body_end, &script->body))
            return;
        (void)scripted_send(peer, script->reply); // the client may have gone
        (void)scripted_send_bytes(peer, script->more.data, script->more.size_bytes);
        if (script->closes)
            return;
    }
}

static void script_open(struct script *script)
{
    buf_init(&script->head, SCRIPTED_BYTES_MAX);
    buf_init(&script->body, SCRIPTED_BYTES_MAX);
    scripted_open(&script->server, script_serve, script);
}

static void script_clear(struct script *script)
{
    buf_clear(&script->head);
    buf_clear(&script->body);
}

struct outcome {
    bool is_reply;
    struct http_client_reply reply;
    struct arena arena;
    struct buf body;
    struct err err;
};

static void outcome_clear(struct outcome *outcome)
{
    arena_clear(&outcome->arena);
    buf_clear(&outcome->body);
}

static void send_to(struct http_client *client, const char *url, struct http_client_call call,
                    struct outcome *ret_outcome)
{
    *ret_outcome = (struct outcome){0};
    arena_init(&ret_outcome->arena);
    buf_init(&ret_outcome->body, MANY_BYTES);
    call.url = url;
    call.arena = &ret_outcome->arena;
    ret_outcome->is_reply = http_client_send(client, &call, &ret_outcome->reply, &ret_outcome->body,
                                             &ret_outcome->err);
}

// One call on a client of its own; the server has ended afterwards.
static void run(struct script *script, const struct http_client_config *config, const char *path,
                struct http_client_call call, struct outcome *ret_outcome)
{
    script_open(script);
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(config, &client);
    char url[300];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d%s", script->server.port, path);
    send_to(client, url, call, ret_outcome);
    http_client_close(&client);
    scripted_close(&script->server);
}

static void expect_error(const struct outcome *outcome, enum err_kind kind)
{
    assert_false(outcome->is_reply);
    if (outcome->err.kind != kind)
        fail_msg("%s: %s", err_kind_name(outcome->err.kind), outcome->err.message);
}

static bool read_xs(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                    struct err *err)
{
    (void)err;
    size_t *left_bytes = context;
    const size_t part = *left_bytes < capacity_bytes ? *left_bytes : capacity_bytes;
    memset(ret_data, 'x', part);
    *left_bytes -= part;
    *ret_bytes = part;
    return true;
}

// --- What is sent

// The request's head, with the port and the version left out.
static void expect_request(struct http_client_call call, size_t body_bytes, const char *expected)
{
    size_t left_bytes = body_bytes;
    struct script script = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    script.body_bytes = call.body_bytes < 0 ? 0 : body_bytes;
    script.body_end = call.body_bytes < 0 ? "0\r\n\r\n" : NULL;
    call.read = body_bytes == 0 ? NULL : read_xs;
    call.context = &left_bytes;
    struct outcome outcome CLEANUP(outcome_clear);
    run(&script, &plain_config, "/a/../b//c?d", call, &outcome);
    if (!outcome.is_reply)
        fail_msg("%s", outcome.err.message);
    assert_true(outcome.reply.was_sent_whole);
    char head[400];
    (void)snprintf(head, sizeof head,
                   "%s /a/../b//c?d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: milkrun/%s\r\n"
                   "Accept: */*\r\n%s\r\n",
                   call.method == NULL ? "POST" : call.method, script.server.port, MILKRUN_VERSION,
                   expected);
    assert_string_equal(buf_text(&script.head), head);
    script_clear(&script);
}

static void test_each_method_says_what_follows(void **state)
{
    (void)state;
    const struct http_client_header header = {"X-Test", "one"};
    expect_request((struct http_client_call){.method = "GET"}, 0, "");
    expect_request((struct http_client_call){.method = "HEAD"}, 0, "");
    expect_request((struct http_client_call){.method = "DELETE"}, 0, "");
    expect_request((struct http_client_call){.method = "PUT"}, 0, "Content-Length: 0\r\n");
    expect_request((struct http_client_call){.method = "POST"}, 0, "Content-Length: 0\r\n");
    expect_request((struct http_client_call){.headers = &header, .header_count = 1}, 0,
                   "X-Test: one\r\nContent-Length: 0\r\n");
    expect_request((struct http_client_call){.method = "PUT", .body_bytes = 70000}, 70000,
                   "Content-Length: 70000\r\n");
    expect_request((struct http_client_call){.method = "POST", .body_bytes = 3}, 3,
                   "Content-Length: 3\r\n");
    expect_request((struct http_client_call){.method = "PUT", .body_bytes = -1}, 70000,
                   "Transfer-Encoding: chunked\r\n");
}

static void test_headers_that_cannot_be(void **state)
{
    (void)state;
    static const struct http_client_header bad[] = {{"X-Test", "a\r\nEvil: 1"},
                                                    {"X-Test", "a\n"},
                                                    {"X-Test", "a\x01"},
                                                    {"X-Test", "\x7f"},
                                                    {"X:Test", "a"},
                                                    {"X-Test\r\n", "a"},
                                                    {"X Test", "a"},
                                                    {"", "a"}};
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct outcome outcome CLEANUP(outcome_clear);
        send_to(client, "http://127.0.0.1:1/",
                (struct http_client_call){.headers = &bad[i], .header_count = 1}, &outcome);
        expect_error(&outcome, ERR_INVALID);
    }
}

static void test_a_name_in_the_url_is_refused(void **state)
{
    (void)state;
    struct script script = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    script_open(&script);
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    (void)snprintf(url, sizeof url, "http://good.example@127.0.0.1:%d/", script.server.port);
    struct outcome outcome CLEANUP(outcome_clear);
    send_to(client, url, (struct http_client_call){0}, &outcome);
    expect_error(&outcome, ERR_INVALID);
    scripted_close(&script.server);
    assert_int_equal(atomic_load(&script.server.connection_count), 0);
    script_clear(&script);
}

// --- Replies

static void test_headers_of_the_reply(void **state)
{
    (void)state;
    struct script script = {.reply = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nETag: no\r\n\r\n"
                                     "HTTP/1.1 200 OK\r\nETag:  \"a b\" \t\r\nX-Twice: 1\r\n"
                                     "x-twice: 2\r\nX-Empty:\r\n: no name\r\n"
                                     "Retry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     "3\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n"};
    struct outcome outcome CLEANUP(outcome_clear);
    run(&script, &plain_config, "/", (struct http_client_call){.method = "GET"}, &outcome);
    if (!outcome.is_reply)
        fail_msg("%s", outcome.err.message);
    const struct http_client_reply *reply = &outcome.reply;
    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->retry_after_s, 7);
    assert_string_equal(http_client_reply_header(reply, "etag"), "\"a b\"");
    assert_string_equal(http_client_reply_header(reply, "X-TWICE"), "1");
    assert_string_equal(http_client_reply_header(reply, "x-empty"), "");
    assert_null(http_client_reply_header(reply, "Link"));
    assert_null(http_client_reply_header(reply, "X-Trailer"));
    assert_int_equal(reply->header_count, 6);
    assert_string_equal(buf_text(&outcome.body), "abc");
    script_clear(&script);
}

static void test_a_head_is_bounded(void **state)
{
    (void)state;
    struct buf more CLEANUP(buf_clear);
    buf_init(&more, MANY_BYTES);
    while (more.size_bytes < HTTP_CLIENT_HEAD_BYTES_MAX)
        buf_append_format(&more, "X-Long: %01000d\r\n", 0);
    struct script script = {.reply = "HTTP/1.1 200 OK\r\n", .more = buf_slice(&more)};
    struct outcome outcome CLEANUP(outcome_clear);
    run(&script, &plain_config, "/", (struct http_client_call){.method = "GET"}, &outcome);
    expect_error(&outcome, ERR_LIMIT);
    script_clear(&script);

    buf_reset(&more);
    for (int i = 0; i < 201; i++)
        buf_append_format(&more, "X-%d: 1\r\n", i);
    script = (struct script){.reply = "HTTP/1.1 200 OK\r\n", .more = buf_slice(&more)};
    struct outcome many CLEANUP(outcome_clear);
    run(&script, &plain_config, "/", (struct http_client_call){.method = "GET"}, &many);
    expect_error(&many, ERR_LIMIT);
    script_clear(&script);
}

static void test_a_reply_that_is_cut_is_none(void **state)
{
    (void)state;
    static const char *const cut[] = {
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(cut); i++) {
        struct script script = {.reply = cut[i], .closes = true};
        struct outcome outcome CLEANUP(outcome_clear);
        run(&script, &plain_config, "/", (struct http_client_call){.method = "GET"}, &outcome);
        expect_error(&outcome, ERR_UNAVAILABLE);
        script_clear(&script);
    }
}

static void test_a_redirect_is_not_followed(void **state)
{
    (void)state;
    static const int statuses[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        char reply[200];
        (void)snprintf(reply, sizeof reply,
                       "HTTP/1.1 %d Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
                       statuses[i]);
        struct script script = {.reply = reply};
        struct outcome outcome CLEANUP(outcome_clear);
        run(&script, &plain_config, "/", (struct http_client_call){0}, &outcome);
        assert_true(outcome.is_reply);
        assert_int_equal(outcome.reply.status, statuses[i]);
        assert_string_equal(http_client_reply_header(&outcome.reply, "Location"), "/elsewhere");
        assert_null(strstr(buf_text(&script.head), "elsewhere"));
        script_clear(&script);
    }
}

static void test_a_reply_before_the_end_of_the_body_is_told(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(replies); i++) {
        size_t left_bytes = 100000000;
        const bool is_chunked = i >= ARRAY_COUNT(replies);
        struct script script = {.reply = replies[i % ARRAY_COUNT(replies)], .closes = true};
        struct outcome outcome CLEANUP(outcome_clear);
        run(&script, &plain_config, "/",
            (struct http_client_call){.method = "PUT",
                                      .body_bytes = is_chunked ? -1 : 100000000,
                                      .read = read_xs,
                                      .context = &left_bytes},
            &outcome);
        // The connection may be reset before the reply is read.
        if (outcome.is_reply)
            assert_false(outcome.reply.was_sent_whole);
        else
            expect_error(&outcome, ERR_UNAVAILABLE);
        script_clear(&script);
    }
}

// --- Streams

struct taken {
    size_t size_bytes;
    size_t fail_after_bytes; // 0: never
    bool goes_on;
    int asked_count;
};

static bool take_bytes(void *context, struct slice bytes, struct err *err)
{
    struct taken *taken = context;
    taken->size_bytes += bytes.size_bytes;
    if (taken->fail_after_bytes > 0 && taken->size_bytes > taken->fail_after_bytes)
        return err_set(err, ERR_FULL, "no room");
    return true;
}

static bool goes_on(void *context)
{
    struct taken *taken = context;
    taken->asked_count++;
    return taken->goes_on;
}

static void test_a_body_of_any_size_is_streamed(void **state)
{
    (void)state;
    char *bytes = mem_alloc(MANY_BYTES);
    const struct slice many = slice_of(bytes, MANY_BYTES);
    struct taken taken = {0};
    struct http_client_call call = {.method = "GET", .write = take_bytes, .context = &taken};
    struct script script = {.reply = "HTTP/1.1 206 Part\r\nContent-Length: 3145728\r\n\r\n",
                            .more = many};
    struct outcome outcome CLEANUP(outcome_clear);
    run(&script, &plain_config, "/", call, &outcome);
    if (!outcome.is_reply)
        fail_msg("%s", outcome.err.message);
    assert_int_equal(taken.size_bytes, MANY_BYTES);
    assert_int_equal(outcome.body.size_bytes, 0);
    script_clear(&script);

    taken = (struct taken){.fail_after_bytes = 100000};
    script = (struct script){.reply = script.reply, .more = many};
    struct outcome full CLEANUP(outcome_clear);
    run(&script, &plain_config, "/", call, &full);
    expect_error(&full, ERR_FULL);
    assert_string_equal(full.err.message, "no room");
    script_clear(&script);

    taken = (struct taken){0};
    script = (struct script){.reply = "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc"};
    struct outcome missing CLEANUP(outcome_clear);
    run(&script, &plain_config, "/", call, &missing);
    assert_int_equal(missing.reply.status, 404);
    assert_string_equal(buf_text(&missing.body), "abc");
    assert_int_equal(taken.size_bytes, 0);
    script_clear(&script);
    mem_free(bytes);
}

static void test_a_call_is_canceled_within_a_second(void **state)
{
    (void)state;
    const int64_t start_ms = clock_boot_ms(clock_system());
    struct taken taken = {0};
    struct script script = {.stays_silent = true};
    struct outcome outcome CLEANUP(outcome_clear);
    run(&script, &plain_config, "/",
        (struct http_client_call){.method = "GET", .keep_going = goes_on, .context = &taken},
        &outcome);
    expect_error(&outcome, ERR_CANCELED);
    assert_int_equal(taken.asked_count, 1);
    assert_in_range(clock_boot_ms(clock_system()) - start_ms, 0, 1500);
    script_clear(&script);

    taken = (struct taken){.goes_on = true};
    script = (struct script){.stays_silent = true};
    struct outcome late CLEANUP(outcome_clear);
    run(&script, &plain_config, "/",
        (struct http_client_call){
            .method = "GET", .keep_going = goes_on, .context = &taken, .total_timeout_ms = 2500},
        &late);
    expect_error(&late, ERR_UNAVAILABLE);
    assert_in_range(taken.asked_count, 3, 15);
    script_clear(&script);
}

// --- Connections

struct tls_script {
    char *certificate;
    char *key;
    char ca_file[64];
};

static void tls_open(struct tls_script *script, bool is_expired)
{
    struct err err = {0};
    if (is_expired)
        test_certificate_make_expired(&script->certificate, &script->key);
    else
        test_certificate_make(&script->certificate, &script->key);
    (void)snprintf(script->ca_file, sizeof script->ca_file, "/tmp/http_client_raw_test.%d.pem",
                   getpid());
    assert_true(file_replace(script->ca_file, slice_text(script->certificate), &err));
}

static void tls_clear(struct tls_script *script)
{
    (void)unlink(script->ca_file);
    mem_free(script->certificate);
    mem_free(script->key);
}

static void serve_tls(void *context, struct scripted_peer *peer)
{
    const struct tls_script *script = context;
    struct buf head CLEANUP(buf_clear);
    buf_init(&head, SCRIPTED_BYTES_MAX);
    if (!scripted_start_tls(peer, script->certificate, script->key) ||
        !scripted_read_until(peer, "\r\n\r\n", &head))
        return;
    if (slice_starts_with(buf_slice(&head), slice_text("GET ")))
        (void)scripted_send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    else
        scripted_reset(peer);
}

static void expect_certificate(bool is_expired, const char *host, bool is_good)
{
    struct tls_script script;
    tls_open(&script, is_expired);
    struct scripted_server server;
    scripted_open(&server, serve_tls, &script);
    struct http_client_config config = plain_config;
    config.ca_file = script.ca_file;
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    char url[100];
    (void)snprintf(url, sizeof url, "https://%s:%d/", host, server.port);
    struct outcome outcome CLEANUP(outcome_clear);
    send_to(client, url, (struct http_client_call){.method = "GET"}, &outcome);
    if (!is_good) {
        expect_error(&outcome, ERR_DENIED);
        assert_int_equal(strncmp(outcome.err.message, "TLS: ", 5), 0);
    } else if (!outcome.is_reply) {
        fail_msg("%s", outcome.err.message);
    }
    http_client_close(&client);
    scripted_close(&server);
    tls_clear(&script);
}

static void test_certificates_are_verified(void **state)
{
    (void)state;
    expect_certificate(false, "localhost", true);
    expect_certificate(false, "127.0.0.1", true);
    expect_certificate(false, "[::ffff:127.0.0.1]", false); // not a name in it
    expect_certificate(true, "localhost", false);
}

// The write that finds it gone must not end the process (SIGPIPE).
static void test_a_peer_that_goes_during_tls(void **state)
{
    (void)state;
    assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
    struct tls_script script;
    tls_open(&script, false);
    struct scripted_server server;
    scripted_open(&server, serve_tls, &script);
    struct http_client_config config = plain_config;
    config.ca_file = script.ca_file;
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    char url[100];
    (void)snprintf(url, sizeof url, "https://localhost:%d/", server.port);
    for (int i = 0; i < 20; i++) {
        size_t left_bytes = 50000000;
        struct outcome outcome CLEANUP(outcome_clear);
        send_to(
            client, url,
            (struct http_client_call){
                .method = "PUT", .body_bytes = 50000000, .read = read_xs, .context = &left_bytes},
            &outcome);
        expect_error(&outcome, ERR_UNAVAILABLE);
    }
    http_client_close(&client);
    scripted_close(&server);
    tls_clear(&script);
}

static void test_connections_are_kept(void **state)
{
    (void)state;
    struct script script = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"};
    script_open(&script);
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", script.server.port);
    for (int i = 0; i < 5; i++) {
        struct outcome outcome CLEANUP(outcome_clear);
        send_to(client, url, (struct http_client_call){.method = "GET"}, &outcome);
        assert_true(outcome.is_reply);
    }
    http_client_close(&client);
    scripted_close(&script.server);
    assert_int_equal(atomic_load(&script.server.connection_count), 1);
    script_clear(&script);
}

// One that came with the answer before it, or after it, is not taken for the next one.
static void test_answers_that_nobody_asked_for_are_not_read(void **state)
{
    (void)state;
    static const char first[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
    struct script script = {.reply = first, .more = slice_text(first)};
    script_open(&script);
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&plain_config, &client);
    char url[200];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", script.server.port);
    for (int i = 0; i < 20; i++) {
        struct outcome outcome CLEANUP(outcome_clear);
        send_to(client, url, (struct http_client_call){.method = "GET"}, &outcome);
        assert_true(outcome.is_reply);
        (void)poll(NULL, 0, 5); // so that the second one is there
    }
    http_client_close(&client);
    scripted_close(&script.server);
    assert_int_equal(atomic_load(&script.server.connection_count), 20);
    script_clear(&script);
}

static void test_proxies_of_the_environment_are_not_used(void **state)
{
    (void)state;
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy",
                                        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(setenv(names[i], "http://127.0.0.1:1", 1), 0);
    expect_request((struct http_client_call){.method = "GET"}, 0, "");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(unsetenv(names[i]), 0);
}

static void test_the_proxy_of_the_configuration_is_used(void **state)
{
    (void)state;
    struct address_guard *guard CLEANUP(address_guard_free) = NULL;
    struct err err = {0};
    assert_true(address_guard_new(NULL, 0, &guard, &err));
    struct script script = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    script_open(&script);
    char proxy[100];
    (void)snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", script.server.port);
    struct http_client_config config = plain_config;
    config.proxy = proxy;
    config.guard = guard; // the proxy is the operator's
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(&config, &client);
    assert_int_equal(setenv("no_proxy", "*", 1), 0);
    struct outcome outcome CLEANUP(outcome_clear);
    send_to(client, "http://bucket.invalid/a", (struct http_client_call){.method = "GET"},
            &outcome);
    assert_int_equal(unsetenv("no_proxy"), 0);
    if (!outcome.is_reply)
        fail_msg("%s", outcome.err.message);
    http_client_close(&client);
    scripted_close(&script.server);
    assert_true(slice_starts_with(buf_slice(&script.head),
                                  slice_text("GET http://bucket.invalid/a HTTP/1.1\r\n")));
    script_clear(&script);
}

static void expect_guarded(const struct http_client_config *config, const char *host, bool is_open)
{
    struct script script = {.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    script_open(&script);
    struct http_client *client CLEANUP(http_client_close) = NULL;
    http_client_open(config, &client);
    char url[200];
    (void)snprintf(url, sizeof url, "http://%s:%d/", host, script.server.port);
    struct outcome outcome CLEANUP(outcome_clear);
    send_to(client, url, (struct http_client_call){.method = "GET"}, &outcome);
    http_client_close(&client);
    scripted_close(&script.server);
    if (is_open) {
        assert_true(outcome.is_reply);
    } else {
        expect_error(&outcome, ERR_DENIED);
        assert_string_equal(outcome.err.message, "Endpoint not allowed");
    }
    assert_int_equal(atomic_load(&script.server.connection_count), is_open ? 1 : 0);
    script_clear(&script);
}

// Names as well: what they resolve to is looked at when it is connected to.
static void test_the_address_that_is_connected_to_is_judged(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1",  "localhost", "2130706433",
                                        "0x7f000001", "127.1",     "[::ffff:127.0.0.1]"};
    static const char *const networks[] = {"127.0.0.0/8", "::1"};
    struct err err = {0};
    struct address_guard *public CLEANUP(address_guard_free) = NULL;
    struct address_guard *local CLEANUP(address_guard_free) = NULL;
    assert_true(address_guard_new(NULL, 0, &public, &err));
    assert_true(address_guard_new(networks, ARRAY_COUNT(networks), &local, &err));
    struct http_client_config config = plain_config;
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        config.guard = public;
        expect_guarded(&config, hosts[i], false);
        config.guard = local;
        expect_guarded(&config, hosts[i], true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_method_says_what_follows),
        cmocka_unit_test(test_headers_that_cannot_be),
        cmocka_unit_test(test_a_name_in_the_url_is_refused),
        cmocka_unit_test(test_headers_of_the_reply),
        cmocka_unit_test(test_a_head_is_bounded),
        cmocka_unit_test(test_a_reply_that_is_cut_is_none),
        cmocka_unit_test(test_a_redirect_is_not_followed),
        cmocka_unit_test(test_a_reply_before_the_end_of_the_body_is_told),
        cmocka_unit_test(test_a_body_of_any_size_is_streamed),
        cmocka_unit_test(test_a_call_is_canceled_within_a_second),
        cmocka_unit_test(test_certificates_are_verified),
        cmocka_unit_test(test_a_peer_that_goes_during_tls),
        cmocka_unit_test(test_connections_are_kept),
        cmocka_unit_test(test_answers_that_nobody_asked_for_are_not_read),
        cmocka_unit_test(test_proxies_of_the_environment_are_not_used),
        cmocka_unit_test(test_the_proxy_of_the_configuration_is_used),
        cmocka_unit_test(test_the_address_that_is_connected_to_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
