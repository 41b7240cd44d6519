// SPDX-License-Identifier: Apache-2.0
// Bodies, suspended requests, slow and vanishing clients, TLS, and the end of the server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "http_fixture.h"
#include "raw_client.h"

#define MIB ((size_t)1024 * 1024)

static int64_t now_ms(void)
{
    return clock_boot_ms(clock_system());
}

static void send_chunk(struct raw_client *client, const void *bytes, size_t size_bytes)
{
    char head[32];
    (void)snprintf(head, sizeof head, "%zx\r\n", size_bytes);
    raw_send(client, head);
    raw_send_bytes(client, bytes, size_bytes);
    raw_send(client, "\r\n");
}

static int read_status(struct raw_client *client)
{
    struct raw_reply reply;
    raw_read(client, &reply, false);
    raw_reply_clear(&reply);
    return reply.status;
}

// --- Bodies

static long peak_kib(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void test_big_bodies_stream_with_flat_memory(void **state)
{
    struct fixture *fixture = *state;
    static char piece[MIB];
    struct raw_client client;
    struct raw_reply reply;
    raw_connect(&client, fixture->port);
    const long before_kib = peak_kib();
    raw_send(&client, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 134217728\r\n\r\n");
    for (int i = 0; i < 128; i++)
        raw_send_bytes(&client, piece, sizeof piece);
    raw_read(&client, &reply, false);
    assert_string_equal(buf_text(&reply.body), "134217728");
    raw_reply_clear(&reply);

    raw_send(&client, "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 64; i++)
        send_chunk(&client, piece, sizeof piece);
    raw_send(&client, "0\r\n\r\n");
    raw_read(&client, &reply, false);
    assert_string_equal(buf_text(&reply.body), "67108864");
    raw_reply_clear(&reply);
    assert_in_range(peak_kib() - before_kib, 0, 16L * 1024);
    raw_close(&client);
}

static void test_bytes_arrive_as_sent(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[MIB];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 % 251);
    struct raw_client client;
    raw_connect(&client, fixture->port);
    static const char *const paths[] = {"/echo", "/suspend"};
    for (size_t p = 0; p < ARRAY_COUNT(paths); p++) {
        for (size_t chunk = 7; chunk < MIB; chunk = chunk * 31 + 1) {
            char head[200];
            (void)snprintf(head, sizeof head,
                           "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                           paths[p]);
            raw_send(&client, head);
            const size_t total = chunk < 1000 ? 5000 : MIB;
            for (size_t at = 0; at < total; at += chunk)
                send_chunk(&client, bytes + at, total - at < chunk ? total - at : chunk);
            raw_send(&client, "0\r\n\r\n");
            struct raw_reply reply;
            raw_read(&client, &reply, false);
            assert_int_equal(reply.status, 200);
            assert_int_equal(reply.body.size_bytes, total);
            assert_memory_equal(reply.body.data, bytes, total);
            raw_reply_clear(&reply);
        }
    }
    raw_close(&client);
}

// Sends two bodies, one after the other, and wants both back.
static void expect_echo(struct raw_client *client, const char *path, const char *bytes,
                        size_t size_bytes, size_t chunk_bytes)
{
    struct raw_reply reply;
    char head[200];
    (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                   path, size_bytes);
    raw_send(client, head);
    raw_send_bytes(client, bytes, size_bytes);
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", path);
    raw_send(client, head);
    for (size_t at = 0; at < size_bytes; at += chunk_bytes)
        send_chunk(client, bytes + at,
                   size_bytes - at < chunk_bytes ? size_bytes - at : chunk_bytes);
    raw_send(client, "0\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        raw_read(client, &reply, false);
        assert_int_equal(reply.status, 200);
        assert_int_equal(reply.body.size_bytes, size_bytes);
        assert_memory_equal(reply.body.data, bytes, size_bytes);
        raw_reply_clear(&reply);
    }
}

// The handler leaves most of each piece for later; both requests are on their way before that.
static void test_handlers_take_what_they_want(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[MIB];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 11 % 251);
    struct raw_client client;
    raw_connect(&client, fixture->port);
    const int before = atomic_load(&fixture->body_call_count);
    expect_echo(&client, "/sip", bytes, 1001, 1001);
    expect_echo(&client, "/sip", bytes, 30000, 1003);
    expect_echo(&client, "/sip", bytes, 300000, 70000);
    expect_echo(&client, "/sip-suspend", bytes, 50000, 999);
    expect_echo(&client, "/sip-suspend", bytes, MIB, 123456);
    assert_in_range(atomic_load(&fixture->body_call_count) - before, 2800, 6000);
    raw_close(&client);
}

// Clients that go while bytes of theirs are left, and bodies that become too long meanwhile.
static void test_leavers_with_bytes_left(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[MIB / 4];
    struct raw_client client;
    for (int i = 0; i < 20; i++) {
        raw_connect(&client, fixture->port);
        raw_send(&client, i % 2 == 0
                              ? "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
                              : "POST /sip HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
        raw_send_bytes(&client, bytes,
                       i % 2 == 0 ? 200 : 8000); // the slow ones are read to the end
        if (i % 4 < 2)
            (void)usleep(5000);
        raw_close(&client);
    }
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /sip HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        char head[32];
        (void)snprintf(head, sizeof head, "%zx\r\n", sizeof bytes);
        if (!raw_try_send(&client, head, strlen(head)) ||
            !raw_try_send(&client, bytes, sizeof bytes) || !raw_try_send(&client, "\r\n", 2))
            break;
    }
    (void)raw_try_send(&client, "0\r\n\r\n", 5);
    assert_int_equal(read_status(&client), 413);
    raw_close(&client);
    assert_true(fixture_all_ended(fixture));
}

// 3,000 bytes that take 3 s of a thread, on both threads: others are served in between.
static void test_slow_bodies_let_others_in(void **state)
{
    struct fixture *fixture = *state;
    static char bytes[3000];
    struct raw_client slow[4];
    for (size_t i = 0; i < ARRAY_COUNT(slow); i++) {
        raw_connect(&slow[i], fixture->port);
        raw_send(&slow[i], "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n");
        raw_send_bytes(&slow[i], bytes, i < 2 ? sizeof bytes : sizeof bytes - 1);
    }
    (void)usleep(20000);
    const int64_t start_ms = now_ms();
    for (int i = 0; i < 20; i++) {
        char body[1024];
        assert_int_equal(
            raw_once(fixture->port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", body, NULL), 200);
    }
    const int64_t others_ms = now_ms() - start_ms;
    assert_int_equal(read_status(&slow[0]), 200);
    const int64_t slow_ms = now_ms() - start_ms;
    if (others_ms >= slow_ms / 2)
        fail_msg("others %lld ms, slow one %lld ms", (long long)others_ms, (long long)slow_ms);
    for (size_t i = 0; i < ARRAY_COUNT(slow); i++)
        raw_close(&slow[i]);
    assert_true(fixture_all_ended(fixture));
}

// Clients that send no more are owed their answers: also when the library reads of that end between
// a request and its answer, or between two pieces of a body that is taken slowly.
static void test_end_of_requests_is_not_the_end_of_answers(void **state)
{
    struct fixture *fixture = *state;
    static const char *const paths[] = {"/suspend", "/sip-suspend", "/sip", "/echo"};
    static char body[20000];
    memset(body, 'x', sizeof body);
    struct raw_client clients[64];
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        raw_connect(&clients[i], fixture->port);
        struct buf train CLEANUP(buf_clear);
        buf_init(&train, 4 * sizeof body);
        for (size_t k = 0; k < 3; k++) {
            buf_append_format(&train, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                              paths[(i + k) % ARRAY_COUNT(paths)], sizeof body);
            buf_append(&train, slice_of(body, sizeof body));
        }
        // The last request of every other client is not whole.
        raw_send_bytes(&clients[i], train.data, train.size_bytes - i % 2);
        assert_int_equal(shutdown(clients[i].fd, SHUT_WR), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        for (size_t k = i % 2; k < 3; k++) {
            struct raw_reply reply;
            raw_read(&clients[i], &reply, false);
            assert_int_equal(reply.status, 200);
            assert_int_equal(reply.body.size_bytes, sizeof body);
            raw_reply_clear(&reply);
        }
        assert_true(raw_is_closed(&clients[i], 5000));
        raw_close(&clients[i]);
    }
    assert_true(fixture_all_ended(fixture));
}

static void test_expect_continue(void **state)
{
    struct fixture *fixture = *state;
    struct raw_client client;
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 3\r\n\r\n");
    assert_int_equal(read_status(&client), 100);
    raw_send(&client, "abc");
    assert_int_equal(read_status(&client), 200);
    // A reply from the head comes instead of the 100.
    raw_send(&client, "POST /early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 3\r\n\r\n");
    assert_int_equal(read_status(&client), 400);
    assert_true(raw_is_closed(&client, 1000));
    raw_close(&client);
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                      "Content-Length: 99999999\r\n\r\n");
    assert_int_equal(read_status(&client), 413);
    raw_close(&client);
}

static void test_early_reply_without_body_keeps_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct raw_client client;
    raw_connect(&client, fixture->port);
    for (int i = 0; i < 3; i++) {
        raw_send(&client, "POST /early HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(read_status(&client), 400);
    }
    raw_close(&client);
}

// A reply found in the body: what is left of a short body is dropped and the connection lives; of a
// long one, the reply comes in the middle and the connection ends.
static void test_reply_from_the_middle_of_a_body(void **state)
{
    struct fixture *fixture = *state;
    static char piece[MIB / 4];
    struct raw_client client;
    struct raw_reply reply;
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /midway HTTP/1.1\r\nHost: a\r\nContent-Length: 524288\r\n\r\n");
    raw_send_bytes(&client, piece, sizeof piece);
    raw_send_bytes(&client, piece, sizeof piece);
    assert_int_equal(read_status(&client), 409);

    raw_send(&client, "POST /midway HTTP/1.1\r\nHost: a\r\nX-Request-Id: me\r\n"
                      "Content-Length: 3000000000\r\n\r\n");
    for (int i = 0; i < 40 && raw_try_send(&client, piece, sizeof piece); i++)
        ;
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 409);
    assert_string_equal(buf_text(&reply.body), "{\"midway\":true}");
    assert_string_equal(raw_header(&reply, "Connection"), "close");
    assert_string_equal(raw_header(&reply, "X-Request-Id"), "me");
    assert_string_equal(raw_header(&reply, "Cache-Control"), "no-store");
    assert_int_equal(strlen(raw_header(&reply, "Date")), 29);
    raw_reply_clear(&reply);
    raw_close(&client);
    assert_true(fixture_all_ended(fixture));
}

static void test_chunked_body_over_the_limit(void **state)
{
    struct fixture *fixture = *state;
    static char piece[MIB / 4];
    struct raw_client client;
    const int completes = atomic_load(&fixture->complete_count);
    raw_connect(&client, fixture->port);
    raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++)
        send_chunk(&client, piece, sizeof piece);
    raw_send(&client, "0\r\n\r\n");
    struct raw_reply reply;
    raw_read(&client, &reply, false);
    assert_int_equal(reply.status, 413);
    assert_string_equal(raw_header(&reply, "Connection"), "close");
    raw_reply_clear(&reply);
    raw_close(&client);
    raw_connect(&client, fixture->port); // a GET may bring 8 KiB
    raw_send(&client, "GET /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    send_chunk(&client, piece, 8193);
    raw_send(&client, "0\r\n\r\n");
    assert_int_equal(read_status(&client), 413);
    raw_close(&client);
    assert_int_equal(atomic_load(&fixture->complete_count), completes);
}

// The client goes in the middle of a body, in all ways: each head has one end, nothing is
// completed.
static void test_aborted_uploads(void **state)
{
    struct fixture *fixture = *state;
    static const char *const starts[] = {
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n40 bytes of hundred",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nxyz\r\n",
        "POST /midway HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx",
    };
    const int heads = atomic_load(&fixture->head_count);
    const int completes = atomic_load(&fixture->complete_count);
    for (size_t i = 0; i < ARRAY_COUNT(starts) * 2; i++) {
        struct raw_client client;
        raw_connect(&client, fixture->port);
        raw_send(&client, starts[i / 2]);
        (void)usleep(20000);
        const struct linger reset = {.l_onoff = i % 2};
        assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        raw_close(&client);
    }
    assert_true(fixture_all_ended(fixture));
    assert_int_equal(atomic_load(&fixture->head_count), heads + 2 * (int)ARRAY_COUNT(starts));
    assert_int_equal(atomic_load(&fixture->complete_count), completes);
}

// --- Suspended requests

static void test_many_suspended_requests(void **state)
{
    struct fixture *fixture = *state;
    static struct raw_client clients[200];
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        raw_connect(&clients[i], fixture->port);
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
            char request[300];
            if (i % 2 == 0)
                (void)snprintf(
                    request, sizeof request,
                    "POST /suspend HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n%06zu", i);
            else
                (void)snprintf(request, sizeof request,
                               "POST /suspend HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                               "\r\n1\r\n0\r\n5\r\n%05zu\r\n0\r\n\r\n",
                               i);
            raw_send(&clients[i], request);
        }
        for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
            struct raw_reply reply;
            raw_read(&clients[i], &reply, false);
            assert_int_equal(reply.status, 200);
            assert_int_equal(strtoul(buf_text(&reply.body), NULL, 10), i);
            raw_reply_clear(&reply);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
        raw_close(&clients[i]);
    assert_true(fixture_all_ended(fixture));
}

static void test_client_that_leaves_while_suspended(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 50; i++) {
        struct raw_client client;
        raw_connect(&client, fixture->port);
        raw_send(&client, "POST /suspend HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        raw_close(&client);
    }
    assert_true(fixture_all_ended(fixture));
}

// --- Slow clients

static void test_slow_heads_are_cut(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.head_timeout_ms = 400;
    limits.idle_timeout_ms = 60000;
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client silent;
    struct raw_client dripping;
    raw_connect(&silent, fixture.port);
    raw_connect(&dripping, fixture.port);
    const int64_t start_ms = now_ms();
    static const char head[] = "GET /hello HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    size_t sent = 0;
    while (sent < sizeof head - 1 && raw_try_send(&dripping, head + sent, 1)) {
        (void)usleep(50000);
        sent++;
    }
    assert_true(sent < sizeof head - 1);
    assert_in_range(now_ms() - start_ms, 300, 2000);
    assert_true(raw_is_closed(&silent, 1000));
    raw_close(&silent);
    raw_close(&dripping);
    assert_int_equal(atomic_load(&fixture.head_count), 0);
    fixture_close(&fixture);
}

// The head's deadline holds for the next request on a connection as well, from its first byte on.
static void test_slow_second_head_is_cut(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.head_timeout_ms = 300;
    limits.idle_timeout_ms = 2000;
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client client;
    raw_connect(&client, fixture.port);
    raw_send(&client, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(read_status(&client), 200);
    const int64_t start_ms = now_ms();
    while (raw_try_send(&client, "G", 1) && now_ms() - start_ms < 5000)
        (void)usleep(50000);
    assert_in_range(now_ms() - start_ms, 250, 1500);
    raw_close(&client);
    fixture_close(&fixture);
}

static void test_slow_bodies_are_cut(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.rate_window_ms = 500;
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client slow;
    struct raw_client steady;
    raw_connect(&slow, fixture.port);
    raw_connect(&steady, fixture.port);
    static char piece[400];
    raw_send(&slow, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    raw_send(&steady, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8000\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        raw_send_bytes(&steady, piece, sizeof piece);
        (void)raw_try_send(&slow, piece, 1);
        (void)usleep(50000);
    }
    struct raw_reply reply;
    raw_read(&slow, &reply, false);
    assert_int_equal(reply.status, 408);
    assert_string_equal(buf_text(&reply.body),
                        "{\"error\":{\"message\":\"Request timeout\",\"code\":408}}");
    assert_string_equal(raw_header(&reply, "Connection"), "close");
    raw_reply_clear(&reply);
    assert_true(raw_is_closed(&slow, 1000));
    assert_int_equal(read_status(&steady), 200);
    raw_close(&slow);
    raw_close(&steady);
    assert_true(fixture_all_ended(&fixture));
    assert_int_equal(atomic_load(&fixture.complete_count), 1);
    fixture_close(&fixture);
}

static void test_slow_readers_are_cut(void **state)
{
    (void)state;
    struct http_limits limits = fixture_limits();
    limits.reply_stall_ms = 600;
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    fixture_make_file(&fixture, 64 * MIB);
    struct raw_client stalled;
    struct raw_client steady;
    raw_connect_small(&stalled, fixture.port, 4096);
    raw_connect_small(&steady, fixture.port, 4096);
    static const char request[] = "GET /file?offset=0&size=67108864 HTTP/1.1\r\nHost: a\r\n\r\n";
    raw_send(&stalled, request);
    raw_send(&steady, request);
    const int64_t start_ms = now_ms();
    char bytes[8192];
    while (atomic_load(&fixture.ended_count) == 0 && now_ms() - start_ms < 5000) {
        assert_true(recv(steady.fd, bytes, sizeof bytes, 0) > 0);
        (void)recv(stalled.fd, bytes, 1, MSG_DONTWAIT);
        (void)usleep(20000);
    }
    assert_int_equal(atomic_load(&fixture.ended_count), 1);
    assert_in_range(now_ms() - start_ms, 500, 4000);
    assert_true(recv(steady.fd, bytes, sizeof bytes, 0) > 0);
    raw_close(&stalled);
    raw_close(&steady);
    fixture_close(&fixture);
}

// Half heads hold nobody up.
static void test_many_half_heads(void **state)
{
    struct fixture *fixture = *state;
    static struct raw_client idle[500];
    for (size_t i = 0; i < ARRAY_COUNT(idle); i++) {
        raw_connect(&idle[i], fixture->port);
        raw_send(&idle[i], "GET /hello HTTP/1.1\r\nHo");
    }
    char body[1024];
    assert_int_equal(raw_once(fixture->port,
                              "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", body,
                              NULL),
                     200);
    for (size_t i = 0; i < ARRAY_COUNT(idle); i++)
        raw_close(&idle[i]);
}

// --- The end of the server

static void close_with_drain(void *context)
{
    struct fixture *fixture = context;
    http_server_close(&fixture->server, 3000);
}

static void test_close_lets_requests_finish(void **state)
{
    (void)state;
    const struct http_limits limits = fixture_limits();
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client busy;
    struct raw_client idle;
    raw_connect(&busy, fixture.port);
    raw_connect(&idle, fixture.port);
    raw_send(&busy, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    while (atomic_load(&fixture.body_bytes) < 2)
        (void)usleep(1000);
    struct thread closer = {0};
    thread_start(&closer, close_with_drain, &fixture);
    (void)usleep(100000);
    raw_send(&busy, "cd");
    struct raw_reply reply;
    raw_read(&busy, &reply, false);
    assert_int_equal(reply.status, 200);
    assert_string_equal(raw_header(&reply, "Connection"), "close");
    raw_reply_clear(&reply);
    thread_join(&closer);
    assert_true(raw_is_closed(&idle, 1000));
    raw_close(&busy);
    raw_close(&idle);
    fixture_close(&fixture);
}

static void test_close_cuts_what_does_not_finish(void **state)
{
    (void)state;
    const struct http_limits limits = fixture_limits();
    struct fixture fixture;
    fixture_open(&fixture, &limits);
    struct raw_client client;
    raw_connect(&client, fixture.port);
    raw_send(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    while (atomic_load(&fixture.body_bytes) < 2)
        (void)usleep(1000);
    const int64_t start_ms = now_ms();
    http_server_close(&fixture.server, 200);
    assert_in_range(now_ms() - start_ms, 200, 2000);
    assert_int_equal(atomic_load(&fixture.ended_count), 1);
    assert_true(raw_is_closed(&client, 1000));
    raw_close(&client);
    fixture_close(&fixture);
}

// Several processes accept from one socket; one of them ends without taking the socket from the
// others.
static void test_close_cuts_bytes_left(void **state)
{
    (void)state;
    static struct fixture fixture;
    static char bytes[5000];
    const struct http_limits limits = fixture_limits();
    fixture_open(&fixture, &limits);
    struct raw_client slow[3];
    for (size_t i = 0; i < ARRAY_COUNT(slow); i++) {
        raw_connect(&slow[i], fixture.port);
        raw_send(&slow[i], "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n");
        raw_send_bytes(&slow[i], bytes, sizeof bytes);
    }
    (void)usleep(20000);
    const int64_t start_ms = now_ms();
    fixture_close(&fixture); // drains for 1 s
    assert_in_range(now_ms() - start_ms, 900, 3000);
    assert_int_equal(atomic_load(&fixture.complete_count), 0);
    for (size_t i = 0; i < ARRAY_COUNT(slow); i++)
        raw_close(&slow[i]);
}

static void test_servers_share_a_listening_socket(void **state)
{
    (void)state;
    const struct http_limits limits = fixture_limits();
    struct fixture first;
    fixture_open(&first, &limits);
    struct http_server_config config = {.thread_count = 1, .limits = limits};
    fixture_handler(&first, &config.handler);
    config.listen_fd = dup(first.listen_fd);
    assert_true(config.listen_fd >= 0);
    struct http_server *second = NULL;
    struct err err = {0};
    assert_true(http_server_open(&config, &second, &err));
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    char body[1024];
    for (int i = 0; i < 20; i++)
        assert_int_equal(raw_once(first.port, request, body, NULL), 200);
    http_server_close(&second, 1000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(raw_once(first.port, request, body, NULL), 200);
    fixture_close(&first);
}

// Traffic, suspended requests among it, while the server closes: nothing hangs, nothing is lost
// track of.
static void test_close_under_load(void **state)
{
    (void)state;
    const struct http_limits limits = fixture_limits();
    for (int round = 0; round < 10; round++) {
        struct fixture fixture;
        fixture_open(&fixture, &limits);
        static struct raw_client clients[30];
        static const char request[] =
            "POST /suspend HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
        for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
            raw_connect(&clients[i], fixture.port);
            for (int k = 0; k < 10; k++)
                (void)raw_try_send(&clients[i], request, sizeof request - 1);
        }
        http_server_close(&fixture.server, round % 2 == 0 ? 0 : 50);
        for (size_t i = 0; i < ARRAY_COUNT(clients); i++)
            raw_close(&clients[i]);
        fixture_close(&fixture);
    }
}

int main(void)
{
    static struct fixture fixture;
    const struct http_limits limits = fixture_limits();
    fixture_open(&fixture, &limits);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_big_bodies_stream_with_flat_memory, &fixture),
        cmocka_unit_test_prestate(test_bytes_arrive_as_sent, &fixture),
        cmocka_unit_test_prestate(test_handlers_take_what_they_want, &fixture),
        cmocka_unit_test_prestate(test_leavers_with_bytes_left, &fixture),
        cmocka_unit_test_prestate(test_slow_bodies_let_others_in, &fixture),
        cmocka_unit_test_prestate(test_end_of_requests_is_not_the_end_of_answers, &fixture),
        cmocka_unit_test_prestate(test_expect_continue, &fixture),
        cmocka_unit_test_prestate(test_early_reply_without_body_keeps_the_connection, &fixture),
        cmocka_unit_test_prestate(test_reply_from_the_middle_of_a_body, &fixture),
        cmocka_unit_test_prestate(test_chunked_body_over_the_limit, &fixture),
        cmocka_unit_test_prestate(test_aborted_uploads, &fixture),
        cmocka_unit_test_prestate(test_many_suspended_requests, &fixture),
        cmocka_unit_test_prestate(test_client_that_leaves_while_suspended, &fixture),
        cmocka_unit_test_prestate(test_many_half_heads, &fixture),
        cmocka_unit_test(test_slow_heads_are_cut),
        cmocka_unit_test(test_slow_second_head_is_cut),
        cmocka_unit_test(test_slow_bodies_are_cut),
        cmocka_unit_test(test_slow_readers_are_cut),
        cmocka_unit_test(test_close_lets_requests_finish),
        cmocka_unit_test(test_close_cuts_what_does_not_finish),
        cmocka_unit_test(test_close_cuts_bytes_left),
        cmocka_unit_test(test_servers_share_a_listening_socket),
        cmocka_unit_test(test_close_under_load),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_close(&fixture);
    return failed;
}
