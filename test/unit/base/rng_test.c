// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/rng.h"

static void test_seed_decides(void **state)
{
    (void)state;
    struct rng_seeded one;
    struct rng_seeded same;
    struct rng_seeded other;
    rng_seeded_init(&one, 7);
    rng_seeded_init(&same, 7);
    rng_seeded_init(&other, 8);
    uint8_t bytes[3][29];
    rng_fill(&one.base, bytes[0], sizeof bytes[0]);
    rng_fill(&same.base, bytes[1], sizeof bytes[1]);
    rng_fill(&other.base, bytes[2], sizeof bytes[2]);
    assert_memory_equal(bytes[0], bytes[1], sizeof bytes[0]);
    assert_memory_not_equal(bytes[0], bytes[2], sizeof bytes[0]);
}

static void test_system_never_repeats(void **state)
{
    (void)state;
    uint8_t one[32] = {0};
    uint8_t other[32] = {0};
    rng_fill(rng_system(), one, sizeof one);
    rng_fill(rng_system(), other, sizeof other);
    assert_memory_not_equal(one, other, sizeof one);
}

static void test_below_is_even_and_inside(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    int counts[7] = {0};
    for (int i = 0; i < 70000; i++) {
        const uint64_t value = rng_below(&rng.base, 7);
        assert_true(value < 7);
        counts[value]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rng_below(&rng.base, 1), 0);
        assert_true(rng_below(&rng.base, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

static void test_text_has_all_letters_and_digits(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 2);
    char text[10001];
    memset(text, '!', sizeof text);
    rng_text(&rng.base, text, 10000);
    assert_int_equal(strlen(text), 10000);
    int counts[128] = {0};
    for (size_t i = 0; i < 10000; i++) {
        assert_true(isalnum((unsigned char)text[i]));
        counts[(unsigned char)text[i]]++;
    }
    for (int i = 0; i < 128; i++) {
        if (isalnum(i))
            assert_in_range(counts[i], 100, 230); // 161 each
    }
    rng_text(&rng.base, text, 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_system_never_repeats),
        cmocka_unit_test(test_below_is_even_and_inside),
        cmocka_unit_test(test_text_has_all_letters_and_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
