// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/api_rate.h"

static int set_up(void **state)
{
    *state = api_rate_new();
    return 0;
}

static int tear_down(void **state)
{
    struct api_rate *rate = *state;
    api_rate_free(&rate);
    api_rate_free(&rate);
    return 0;
}

static int64_t take(struct api_rate *rate, const char *name, int64_t count, int64_t period_ms,
                    int64_t now_ms)
{
    const struct api_rate_claim claim = {name, count, period_ms};
    return api_rate_take(rate, &claim, 1, now_ms);
}

static void a_bucket_empties_and_fills_again(void **state)
{
    struct api_rate *rate = *state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(rate, "a", 10, 60000, 1000), 0);
    assert_int_equal(take(rate, "a", 10, 60000, 1000), 6000);
    assert_int_equal(take(rate, "a", 10, 60000, 6999), 1); // what is refused costs nothing
    assert_int_equal(take(rate, "a", 10, 60000, 7000), 0);
    assert_int_equal(take(rate, "a", 10, 60000, 7000), 6000);
    for (int i = 0; i < 10; i++) // full again, and no fuller
        assert_int_equal(take(rate, "a", 10, 60000, 1000000), 0);
    assert_true(take(rate, "a", 10, 60000, 1000000) > 0);
}

static void buckets_do_not_know_each_other(void **state)
{
    struct api_rate *rate = *state;
    assert_int_equal(take(rate, "a", 1, 1000, 5), 0);
    assert_int_equal(take(rate, "a", 1, 1000, 5), 1000);
    assert_int_equal(take(rate, "b", 1, 1000, 5), 0);
}

static void several_limits_hold_together(void **state)
{
    struct api_rate *rate = *state;
    const struct api_rate_claim claims[] = {
        {"minute", 2, 60000}, {"off", 0, 1000}, {"hour", 3, 3600000}};
    int64_t now_ms = 0;
    assert_int_equal(api_rate_take(rate, claims, 3, now_ms), 0);
    assert_int_equal(api_rate_take(rate, claims, 3, now_ms), 0);
    assert_int_equal(api_rate_take(rate, claims, 3, now_ms), 30000);
    now_ms = 30000;
    assert_int_equal(api_rate_take(rate, claims, 3, now_ms), 0);
    now_ms = 60000; // the minute's bucket has one, the hour's none: neither is taken from
    assert_int_equal(api_rate_take(rate, claims, 3, now_ms), 1200000 - 60000);
    assert_int_equal(take(rate, "minute", 2, 60000, now_ms), 0);
    assert_true(take(rate, "minute", 2, 60000, now_ms) > 0);
}

// However many come by, memory stays, and who is known still has their limit unless there is no
// room at all.
static void many_callers_have_room(void **state)
{
    struct api_rate *rate = *state;
    char name[32];
    for (int i = 0; i < 200000; i++) {
        (void)snprintf(name, sizeof name, "caller %d", i);
        // Each is full again when the next thousand come.
        assert_int_equal(take(rate, name, 1, 1000, i), 0);
    }
    (void)snprintf(name, sizeof name, "caller %d", 199999);
    assert_int_equal(take(rate, name, 1, 1000, 200000), 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bucket_empties_and_fills_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(buckets_do_not_know_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_limits_hold_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_callers_have_room, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
