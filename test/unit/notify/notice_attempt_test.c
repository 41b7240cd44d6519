// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/civil.h"
#include "notify/notice_attempt.h"

#define MADE_MS INT64_C(1795442700000)

static const struct notice_policy policy = {
    .back_off_ms = 5000,
    .back_off_max_ms = CIVIL_HOUR_MS,
    .limit_ms = 3 * CIVIL_DAY_MS,
};

static struct notice notice_after(int64_t try_count)
{
    return (struct notice){.id = "n-1", .created_at_ms = MADE_MS, .try_count = try_count};
}

static struct notice_attempt failure_at(int64_t at_ms)
{
    return (struct notice_attempt){.verdict = NOTICE_FAILED,
                                   .status = 500,
                                   .reason = "answered 500",
                                   .at_ms = at_ms,
                                   .took_ms = 100};
}

// The longest and the shortest of many pauses.
static void pauses_after(int64_t try_count, int64_t *ret_min_ms, int64_t *ret_max_ms)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, 7);
    const struct notice notice = notice_after(try_count);
    const struct notice_attempt attempt = failure_at(MADE_MS);
    *ret_min_ms = INT64_MAX;
    *ret_max_ms = 0;
    for (int i = 0; i < 2000; i++) {
        const struct notice_result result = notice_conclude(&policy, &notice, &attempt, &rng.base);
        assert_int_equal(result.state, NOTICE_WAITING);
        const int64_t pause_ms = result.next_try_at_ms - (MADE_MS + 100);
        assert_true(pause_ms >= 0);
        if (pause_ms < *ret_min_ms)
            *ret_min_ms = pause_ms;
        if (pause_ms > *ret_max_ms)
            *ret_max_ms = pause_ms;
    }
}

static void pauses_grow_up_to_the_longest(void **state)
{
    (void)state;
    static const struct {
        int64_t try_count;
        int64_t bound_ms;
    } rows[] = {{1, 5000},     {2, 10000},          {5, 80000},
                {10, 2560000}, {11, CIVIL_HOUR_MS}, {500, CIVIL_HOUR_MS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t min_ms;
        int64_t max_ms;
        pauses_after(rows[i].try_count, &min_ms, &max_ms);
        assert_true(max_ms <= rows[i].bound_ms);
        assert_true(max_ms > rows[i].bound_ms * 9 / 10); // the whole range is drawn from
        assert_true(min_ms < rows[i].bound_ms / 10);
    }
}

static int64_t pause_when_asked_for_ms(int64_t retry_after_s)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    const struct notice notice = notice_after(1);
    struct notice_attempt attempt = failure_at(MADE_MS);
    attempt.retry_after_s = retry_after_s;
    return notice_conclude(&policy, &notice, &attempt, &rng.base).next_try_at_ms - MADE_MS - 100;
}

static void a_wish_to_wait_is_kept(void **state)
{
    (void)state;
    assert_int_equal(pause_when_asked_for_ms(600), 600000);
    assert_int_equal(pause_when_asked_for_ms(3599), 3599000);
    assert_int_equal(pause_when_asked_for_ms(3600), CIVIL_HOUR_MS);
    assert_int_equal(pause_when_asked_for_ms(INT64_MAX), CIVIL_HOUR_MS);
}

static void the_last_try_is_at_the_limit(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    const int64_t limit_at_ms = MADE_MS + policy.limit_ms;
    const struct notice notice = notice_after(200);
    struct notice_attempt attempt = failure_at(limit_at_ms - 1000);
    attempt.retry_after_s = 3000;
    struct notice_result result = notice_conclude(&policy, &notice, &attempt, &rng.base);
    assert_int_equal(result.state, NOTICE_WAITING);
    assert_int_equal(result.next_try_at_ms, limit_at_ms);
    attempt = failure_at(limit_at_ms);
    result = notice_conclude(&policy, &notice, &attempt, &rng.base);
    assert_int_equal(result.state, NOTICE_GIVEN_UP);
    assert_int_equal(result.status, 500);
    assert_string_equal(result.reason, "answered 500");
    assert_int_equal(result.at_ms, limit_at_ms);
    assert_int_equal(result.took_ms, 100);
}

static void verdicts_end_a_notice_or_not(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    const struct notice notice = notice_after(1);
    struct notice_attempt attempt = failure_at(MADE_MS);
    attempt.verdict = NOTICE_DELIVERED;
    assert_int_equal(notice_conclude(&policy, &notice, &attempt, &rng.base).state, NOTICE_SENT);
    attempt.verdict = NOTICE_REFUSED;
    assert_int_equal(notice_conclude(&policy, &notice, &attempt, &rng.base).state, NOTICE_GIVEN_UP);
    attempt.verdict = NOTICE_STOPPED;
    const struct notice_result stopped = notice_conclude(&policy, &notice, &attempt, &rng.base);
    assert_int_equal(stopped.state, NOTICE_WAITING);
    assert_int_equal(stopped.next_try_at_ms, MADE_MS); // the next process goes on at once
}

static void reasons_are_plain(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_string_equal(notice_plain_reason("a\r\nb\x7f\xc3\xa9 c~", &arena), "a??b??? c~");
    char text[1000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(strlen(notice_plain_reason(text, &arena)), 200);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_grow_up_to_the_longest),
        cmocka_unit_test(a_wish_to_wait_is_kept),
        cmocka_unit_test(the_last_try_is_at_the_limit),
        cmocka_unit_test(verdicts_end_a_notice_or_not),
        cmocka_unit_test(reasons_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
