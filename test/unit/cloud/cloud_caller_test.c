// SPDX-License-Identifier: Apache-2.0
// Calling again, and keeping what was given for a while.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "cloud/cloud_caller.h"
#include "cloud/ticket.h"
#include "fake_http.h"

#define START_MS INT64_C(1764590400000) // 2025-12-01T12:00:00Z

static struct rng_seeded test_rng;

// --- Retries

static int64_t now_ms(void)
{
    return clock_boot_ms(clock_system());
}

static void test_waits_are_bounded_and_grow(void **state)
{
    (void)state;
    static const struct retry_limits limits = {.attempts = 6, .base_ms = 8, .max_ms = 40};
    struct retry retry;
    retry_init(&retry, &limits, &test_rng.base);
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "HTTP 503");
    const int64_t start_ms = now_ms();
    for (int i = 0; i < 5; i++)
        assert_true(retry_wait(&retry, 0, &err));
    assert_in_range(now_ms() - start_ms, 0, 8 + 16 + 32 + 40 + 40 + 200);
    assert_false(retry_wait(&retry, 0, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_string_equal(err.message, "after 6 tries: HTTP 503");
}

static void test_progress_gives_new_attempts(void **state)
{
    (void)state;
    static const struct retry_limits limits = {.attempts = 2, .base_ms = 0, .max_ms = 0};
    struct retry retry;
    retry_init(&retry, &limits, &test_rng.base);
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "x");
    for (int i = 0; i < 100; i++) {
        assert_true(retry_wait(&retry, 0, &err));
        retry_note_progress(&retry);
    }
    assert_true(retry_wait(&retry, 0, &err));
    assert_false(retry_wait(&retry, 0, &err));
}

static void test_what_the_server_asks_for_is_waited_up_to_the_bound(void **state)
{
    (void)state;
    static const struct retry_limits limits = {.attempts = 9, .base_ms = 0, .max_ms = 60};
    struct retry retry;
    retry_init(&retry, &limits, &test_rng.base);
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "x");
    int64_t start_ms = now_ms();
    assert_true(retry_wait(&retry, 30, &err));
    assert_in_range(now_ms() - start_ms, 30, 500);
    start_ms = now_ms();
    assert_true(retry_wait(&retry, 3600000, &err));
    assert_in_range(now_ms() - start_ms, 60, 600);
}

static void test_other_failures_are_not_repeated(void **state)
{
    (void)state;
    static const struct retry_limits limits = {.attempts = 9, .base_ms = 0, .max_ms = 0};
    struct retry retry;
    retry_init(&retry, &limits, &test_rng.base);
    struct err err = {0};
    (void)err_set(&err, ERR_DENIED, "no");
    assert_false(retry_wait(&retry, 0, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_string_equal(err.message, "no");
}

static bool count_down(void *context)
{
    return --*(int *)context > 0;
}

static void test_a_wait_can_be_ended(void **state)
{
    (void)state;
    static const struct retry_limits limits = {.attempts = 9, .base_ms = 60000, .max_ms = 60000};
    struct retry retry;
    retry_init(&retry, &limits, &test_rng.base);
    int left = 2;
    retry.keep_going = count_down;
    retry.context = &left;
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "x");
    const int64_t start_ms = now_ms();
    assert_false(retry_wait(&retry, 60000, &err));
    assert_int_equal(err.kind, ERR_CANCELED);
    assert_in_range(now_ms() - start_ms, 400, 3000);
}

// --- Calls

struct script {
    int first_status; // so often as `failures`
    int failures;
    int last_status;
    size_t body_bytes;
};

static void answer_script(void *context, struct fake_http *fake, const struct fake_request *request,
                          struct fake_reply *ret_reply)
{
    const struct script *script = context;
    ret_reply->status = request->number <= script->failures ? script->first_status
                                                            : script->last_status;
    char *body = arena_alloc(&fake->arena, script->body_bytes + 1);
    memset(body, 'x', script->body_bytes);
    ret_reply->body = script->body_bytes == 0 ? request->body : slice_text(body);
}

static bool call_script_by(const struct cloud_config *config, struct script *script,
                           int *ret_request_count, struct slice *ret_body, struct arena *arena,
                           struct err *err)
{
    static struct fake_http fake;
    fake_http_open(&fake, answer_script, script);
    struct cloud_caller caller CLEANUP(cloud_caller_close);
    cloud_caller_open(config, &caller);
    const struct cloud_call call = {.url = fake.url, .body = slice_text("a=b")};
    struct cloud_reply reply = {0};
    const bool is_done = cloud_caller_send(&caller, &call, arena, &reply, err);
    *ret_body = reply.body;
    *ret_request_count = atomic_load(&fake.request_count);
    fake_http_close(&fake);
    return is_done;
}

static bool call_script(struct script *script, int *ret_request_count, struct slice *ret_body,
                        struct arena *arena, struct err *err)
{
    const struct cloud_config config = {
        .http = {.connect_timeout_ms = 1000, .total_timeout_ms = 5000},
        .retry = {.attempts = 3, .base_ms = 1, .max_ms = 2},
        .rng = &test_rng.base};
    return call_script_by(&config, script, ret_request_count, ret_body, arena, err);
}

static void test_what_the_config_does_not_say_is_usual(void **state)
{
    (void)state;
    static const struct cloud_config config = {.http = {.connect_timeout_ms = 1000}};
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct err err = {0};
    struct slice body;
    int count;
    struct script script = {.first_status = 503, .failures = 2, .last_status = 200};
    assert_true(call_script_by(&config, &script, &count, &body, &arena, &err));
    assert_int_equal(count, 3);
}

static void test_answers_that_may_change_are_asked_for_again(void **state)
{
    (void)state;
    static const int passing[] = {408, 429, 500, 502, 503, 504};
    static const int final[] = {200, 204, 301, 400, 401, 403, 404, 409};
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct err err = {0};
    struct slice body;
    int count;
    for (size_t i = 0; i < ARRAY_COUNT(passing); i++) {
        struct script script = {.first_status = passing[i], .failures = 2, .last_status = 200};
        assert_true(call_script(&script, &count, &body, &arena, &err));
        assert_int_equal(count, 3);
        assert_true(slice_equal_text(body, "a=b"));
        script.failures = 3;
        assert_false(call_script(&script, &count, &body, &arena, &err));
        assert_int_equal(count, 3);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_string_equal(err.message,
                            arena_format(&arena, "after 3 tries: HTTP %d", passing[i]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(final); i++) {
        struct script script = {.last_status = final[i]};
        assert_true(call_script(&script, &count, &body, &arena, &err));
        assert_int_equal(count, 1);
    }
}

static void test_answers_are_bounded(void **state)
{
    (void)state;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct err err = {0};
    struct slice body;
    int count;
    struct script script = {.last_status = 200, .body_bytes = CLOUD_REPLY_BYTES_MAX};
    assert_true(call_script(&script, &count, &body, &arena, &err));
    assert_int_equal(body.size_bytes, CLOUD_REPLY_BYTES_MAX);
    script.body_bytes++;
    assert_false(call_script(&script, &count, &body, &arena, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

// --- Texts

static void test_what_others_say_is_shown_with_care(void **state)
{
    (void)state;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct secret secret = secret_copy(&arena, slice_text("hush"));
    const struct secret none = {0};
    assert_string_equal(cloud_quote(slice_text("a\r\nb\x1b[1m\xc3\xa9"), NULL, &arena),
                        "a  b [1m  ");
    assert_string_equal(cloud_quote(slice_text("token hush!"), &secret, &arena), "");
    assert_string_equal(cloud_quote(slice_text("fine"), &none, &arena), "fine");
    assert_string_equal(cloud_quote(slice_of(NULL, 0), &secret, &arena), "");
    char text[300];
    memset(text, 'x', sizeof text);
    assert_int_equal(strlen(cloud_quote(slice_of(text, sizeof text), NULL, &arena)), 200);
}

// --- Tickets

struct desk {
    struct clock_fixed *clock;
    int64_t life_ms;
    int count;
    enum err_kind trouble;
};

static bool give(void *context, struct arena *arena, struct ticket *ret_ticket, struct err *err)
{
    struct desk *desk = context;
    desk->count++;
    if (desk->trouble != ERR_NONE)
        return err_set(err, desk->trouble, "the desk is closed");
    *ret_ticket = (struct ticket){.expires_at_ms = desk->clock->now_wall_ms + desk->life_ms};
    const char *text = arena_format(arena, "ticket %d", desk->count);
    ret_ticket->texts[1] = secret_copy(arena, slice_text(text));
    return true;
}

static void assert_ticket(struct ticket_cache *cache, struct desk *desk, unsigned key,
                          const char *expected)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    uint8_t bytes[TICKET_KEY_BYTES] = {(uint8_t)(key >> 8), (uint8_t)key};
    const struct ticket_source source = {give, desk};
    struct ticket ticket;
    struct err err = {0};
    if (!ticket_cache_get(cache, bytes, false, &source, &arena, &ticket, &err))
        fail_msg("%s", err.message);
    assert_string_equal(slice_chars(secret_reveal(&ticket.texts[1])), expected);
    assert_true(secret_is_empty(&ticket.texts[0]));
}

static void test_the_oldest_ticket_makes_room(void **state)
{
    (void)state;
    struct clock_fixed clock;
    clock_fixed_init(&clock, START_MS, 0);
    struct ticket_cache *cache CLEANUP(ticket_cache_free) = ticket_cache_new(&clock.base);
    struct desk desk = {.clock = &clock, .life_ms = CIVIL_HOUR_MS};
    for (unsigned i = 0; i < TICKET_COUNT_MAX; i++) {
        char expected[32];
        (void)snprintf(expected, sizeof expected, "ticket %u", i + 1);
        assert_ticket(cache, &desk, i, expected);
    }
    desk.count = 1000;
    assert_ticket(cache, &desk, 0, "ticket 1"); // used again
    assert_ticket(cache, &desk, 5000, "ticket 1001");
    assert_ticket(cache, &desk, 0, "ticket 1");
    assert_ticket(cache, &desk, 2, "ticket 3");
    assert_ticket(cache, &desk, 1, "ticket 1002"); // that one had to go
}

static void test_short_tickets_are_used_for_a_minute(void **state)
{
    (void)state;
    struct clock_fixed clock;
    clock_fixed_init(&clock, START_MS, 0);
    struct ticket_cache *cache CLEANUP(ticket_cache_free) = ticket_cache_new(&clock.base);
    struct desk desk = {.clock = &clock, .life_ms = -CIVIL_HOUR_MS}; // it has ended already
    assert_ticket(cache, &desk, 0, "ticket 1");
    clock.now_wall_ms += CIVIL_MINUTE_MS - 1;
    assert_ticket(cache, &desk, 0, "ticket 1");
    clock.now_wall_ms += 1;
    assert_ticket(cache, &desk, 0, "ticket 2");
}

static void test_a_refusal_is_not_hidden_by_an_old_ticket(void **state)
{
    (void)state;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct clock_fixed clock;
    clock_fixed_init(&clock, START_MS, 0);
    struct ticket_cache *cache CLEANUP(ticket_cache_free) = ticket_cache_new(&clock.base);
    struct desk desk = {.clock = &clock, .life_ms = CIVIL_HOUR_MS};
    assert_ticket(cache, &desk, 0, "ticket 1");
    clock.now_wall_ms += CIVIL_HOUR_MS - 2 * CIVIL_MINUTE_MS;
    desk.trouble = ERR_UNAVAILABLE;
    assert_ticket(cache, &desk, 0, "ticket 1");
    clock.now_wall_ms += CIVIL_MINUTE_MS;
    desk.trouble = ERR_DENIED;
    const uint8_t key[TICKET_KEY_BYTES] = {0};
    const struct ticket_source source = {give, &desk};
    struct ticket ticket;
    struct err err = {0};
    assert_false(ticket_cache_get(cache, key, false, &source, &arena, &ticket, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    desk.trouble = ERR_UNAVAILABLE; // nor when it was refused
    assert_false(ticket_cache_get(cache, key, true, &source, &arena, &ticket, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static int start(void **state)
{
    (void)state;
    rng_seeded_init(&test_rng, 1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_are_bounded_and_grow),
        cmocka_unit_test(test_progress_gives_new_attempts),
        cmocka_unit_test(test_what_the_server_asks_for_is_waited_up_to_the_bound),
        cmocka_unit_test(test_other_failures_are_not_repeated),
        cmocka_unit_test(test_a_wait_can_be_ended),
        cmocka_unit_test(test_answers_that_may_change_are_asked_for_again),
        cmocka_unit_test(test_what_the_config_does_not_say_is_usual),
        cmocka_unit_test(test_answers_are_bounded),
        cmocka_unit_test(test_what_others_say_is_shown_with_care),
        cmocka_unit_test(test_the_oldest_ticket_makes_room),
        cmocka_unit_test(test_short_tickets_are_used_for_a_minute),
        cmocka_unit_test(test_a_refusal_is_not_hidden_by_an_old_ticket),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
