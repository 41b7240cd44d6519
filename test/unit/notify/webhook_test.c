// SPDX-License-Identifier: Apache-2.0
// Attempts at webhooks that answer rightly, wrongly and not at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "../net/scripted_server.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/address_guard.h"
#include "notify/webhook.h"

#define SIGNATURE "5945b5007c37543928ad0d32034b4764eb7f555dc466bf368c1b7654fa45b342"
#define BODY      "{\"notice_id\":\"n-1\",\"event\":\"test\"}"

struct hook {
    struct scripted_server server;
    const char *reply;    // NULL: none
    size_t padding_bytes; // behind the reply
    bool reads_body;
    bool resets;
    struct buf head;
    struct buf body;
};

static void hook_serve(void *context, struct scripted_peer *peer)
{
    struct hook *hook = context;
    buf_reset(&hook->head);
    buf_reset(&hook->body);
    if (!scripted_read_until(peer, "\r\n\r\n", &hook->head))
        return;
    if (hook->reads_body && !scripted_read(peer, strlen(BODY), &hook->body))
        return;
    if (hook->resets) {
        scripted_reset(peer);
        return;
    }
    static const char padding[4096] = "x";
    bool goes_on = hook->reply != NULL && scripted_send(peer, hook->reply);
    for (size_t sent = 0; goes_on && sent < hook->padding_bytes; sent += sizeof padding)
        goes_on = scripted_send_bytes(peer, padding, sizeof padding);
    if (hook->reply == NULL)
        (void)scripted_read(peer, 1, &hook->body); // until the client gives up
}

static void hook_open(struct hook *hook)
{
    buf_init(&hook->head, SCRIPTED_BYTES_MAX);
    buf_init(&hook->body, SCRIPTED_BYTES_MAX);
    hook->reads_body = true;
    scripted_open(&hook->server, hook_serve, hook);
}

static void hook_close(struct hook *hook)
{
    scripted_close(&hook->server);
    buf_clear(&hook->head);
    buf_clear(&hook->body);
}

struct sending {
    struct arena arena;
    struct http_client *client;
    struct address_guard *guard;
    bool (*keep_going)(void *context);
};

static void sending_open(struct sending *sending, const char *network)
{
    struct err err = {0};
    arena_init(&sending->arena);
    assert_true(address_guard_new(&network, network == NULL ? 0 : 1, &sending->guard, &err));
    const struct http_client_config config = {
        .connect_timeout_ms = 2000, .total_timeout_ms = 2000, .guard = sending->guard};
    http_client_open(&config, &sending->client);
}

static void sending_close(struct sending *sending)
{
    http_client_close(&sending->client);
    address_guard_free(&sending->guard);
    arena_clear(&sending->arena);
}

static struct notice_attempt send_to(struct sending *sending, int port)
{
    const struct notice notice = {
        .id = "n-1",
        .event = NOTICE_TEST,
        .body = BODY,
        .try_count = 1,
        .notification = {.target = arena_format(&sending->arena, "http://127.0.0.1:%d/in?k=1",
                                                port)},
    };
    const struct secret secret = secret_copy(&sending->arena, slice_text("whsec_first"));
    const struct webhook_call call = {
        .notice = &notice,
        .secrets = &secret,
        .secret_count = 1,
        .now_s = 1795442700,
        .keep_going = sending->keep_going,
    };
    return webhook_send(sending->client, &call, &sending->arena);
}

static struct notice_attempt answer(struct hook *hook, const char *reply, struct arena *arena)
{
    struct sending sending = {0};
    hook->reply = reply;
    sending_open(&sending, "127.0.0.0/8");
    struct notice_attempt attempt = send_to(&sending, hook->server.port);
    if (attempt.reason != NULL)
        attempt.reason = arena_copy_text(arena, attempt.reason);
    sending_close(&sending);
    return attempt;
}

static void a_notice_is_signed_and_named(void **state)
{
    (void)state;
    struct hook hook = {0};
    struct arena arena;
    arena_init(&arena);
    hook_open(&hook);
    const struct notice_attempt attempt = answer(&hook, "HTTP/1.1 204 No Content\r\n\r\n", &arena);
    scripted_close(&hook.server);
    assert_int_equal(attempt.verdict, NOTICE_DELIVERED);
    assert_int_equal(attempt.status, 204);
    assert_null(attempt.reason);
    static const char *const lines[] = {
        "POST /in?k=1 HTTP/1.1\r\n",
        "\r\nContent-Type: application/json\r\n",
        "\r\nMilkrun-Event: test\r\n",
        "\r\nMilkrun-Notice-Id: n-1\r\n",
        "\r\nMilkrun-Signature: t=1795442700,v1=" SIGNATURE "\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++)
        assert_non_null(strstr(buf_text(&hook.head), lines[i]));
    assert_string_equal(buf_text(&hook.body), BODY);
    buf_clear(&hook.head);
    buf_clear(&hook.body);
    arena_clear(&arena);
}

static void answers_are_judged(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        enum notice_verdict verdict;
        int status;
        int64_t retry_after_s;
        const char *reason;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", NOTICE_DELIVERED, 200, 0, NULL},
        {"HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", NOTICE_DELIVERED, 299, 0, NULL},
        {"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         NOTICE_FAILED, 301, 0, "answered 301; redirects are not followed"},
        {"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", NOTICE_FAILED, 400, 0, "answered 400"},
        {"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", NOTICE_REFUSED, 410, 0, "answered 410"},
        {"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", NOTICE_FAILED, 429, 7,
         "answered 429"},
        {"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", NOTICE_FAILED, 500, 0,
         "answered 500"},
    };
    struct hook hook = {0};
    struct arena arena;
    arena_init(&arena);
    hook_open(&hook);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct notice_attempt attempt = answer(&hook, rows[i].reply, &arena);
        assert_int_equal(attempt.verdict, rows[i].verdict);
        assert_int_equal(attempt.status, rows[i].status);
        assert_int_equal(attempt.retry_after_s, rows[i].retry_after_s);
        if (rows[i].reason == NULL)
            assert_null(attempt.reason);
        else
            assert_string_equal(attempt.reason, rows[i].reason);
    }
    hook_close(&hook);
    arena_clear(&arena);
}

static void no_answer_is_a_failure(void **state)
{
    (void)state;
    struct hook hook = {0};
    struct arena arena;
    arena_init(&arena);
    hook_open(&hook);
    struct notice_attempt attempt = answer(&hook, NULL, &arena); // time-out
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    assert_int_equal(attempt.status, 0);
    assert_non_null(attempt.reason);
    hook.resets = true;
    attempt = answer(&hook, "", &arena);
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    hook.resets = false;
    attempt = answer(&hook, "HTTP/1.1 2", &arena);
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    attempt = answer(&hook, "not HTTP at all\r\n\r\n", &arena);
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    hook_close(&hook);
    attempt = answer(&hook, NULL, &arena); // nobody listens
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    assert_non_null(attempt.reason);
    arena_clear(&arena);
}

static void a_reply_has_its_bound(void **state)
{
    (void)state;
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 Oops\r\n\r\n"};
    struct hook hook = {.padding_bytes = (size_t)64 << 20};
    struct arena arena;
    arena_init(&arena);
    hook_open(&hook);
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        const struct notice_attempt attempt = answer(&hook, heads[i], &arena);
        assert_int_equal(attempt.verdict, NOTICE_FAILED);
        assert_string_equal(attempt.reason, "the reply is too large");
    }
    hook_close(&hook);
    arena_clear(&arena);
}

static void addresses_are_judged_when_connecting(void **state)
{
    (void)state;
    struct hook hook = {.reply = "HTTP/1.1 204 No Content\r\n\r\n"};
    struct sending sending = {0};
    hook_open(&hook);
    sending_open(&sending, NULL);
    const struct notice_attempt attempt = send_to(&sending, hook.server.port);
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    assert_int_equal(attempt.status, 0);
    assert_non_null(strstr(attempt.reason, "Endpoint not allowed"));
    sending_close(&sending);
    hook_close(&hook);
    assert_int_equal(hook.server.connection_count, 0);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void a_stop_is_no_failure(void **state)
{
    (void)state;
    struct hook hook = {0};
    struct sending sending = {.keep_going = never};
    hook_open(&hook);
    sending_open(&sending, "127.0.0.1");
    const struct notice_attempt attempt = send_to(&sending, hook.server.port);
    assert_int_equal(attempt.verdict, NOTICE_STOPPED);
    sending_close(&sending);
    hook_close(&hook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_is_signed_and_named),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(no_answer_is_a_failure),
        cmocka_unit_test(a_reply_has_its_bound),
        cmocka_unit_test(addresses_are_judged_when_connecting),
        cmocka_unit_test(a_stop_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
