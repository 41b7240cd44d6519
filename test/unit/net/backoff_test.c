// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/backoff.h"

// Draws evenly from 0 to bound_ms, both included.
static void expect_range(struct rng *rng, int attempt, int64_t base_ms, int64_t max_ms,
                         int64_t bound_ms)
{
    int64_t least_ms = INT64_MAX;
    int64_t most_ms = 0;
    int64_t sum_ms = 0;
    for (int i = 0; i < 2000; i++) {
        const int64_t drawn_ms = backoff_ms(attempt, base_ms, max_ms, rng);
        assert_true(drawn_ms >= 0 && drawn_ms <= bound_ms);
        least_ms = drawn_ms < least_ms ? drawn_ms : least_ms;
        most_ms = drawn_ms > most_ms ? drawn_ms : most_ms;
        sum_ms += drawn_ms;
    }
    assert_true(least_ms <= bound_ms / 50);
    assert_true(most_ms >= bound_ms - bound_ms / 50);
    assert_in_range(sum_ms / 2000, bound_ms / 2 - bound_ms / 20 - 1, bound_ms / 2 + bound_ms / 20);
}

static void test_pauses_double_up_to_the_most(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    expect_range(&rng.base, 1, 10000, 1000000, 10000);
    expect_range(&rng.base, 2, 10000, 1000000, 20000);
    expect_range(&rng.base, 5, 10000, 1000000, 160000);
    expect_range(&rng.base, 7, 10000, 1000000, 640000);
    expect_range(&rng.base, 8, 10000, 1000000, 1000000);
    expect_range(&rng.base, 1000000000, 10000, 1000000, 1000000);
    expect_range(&rng.base, 3, 50000, 50000, 50000);
    assert_int_equal(backoff_ms(100, 0, 0, &rng.base), 0);
    assert_int_equal(backoff_ms(100, 0, 1000, &rng.base), 0);
    for (int attempt = 1; attempt < 200; attempt++)
        assert_true(backoff_ms(attempt, 3, INT64_MAX, &rng.base) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pauses_double_up_to_the_most)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
