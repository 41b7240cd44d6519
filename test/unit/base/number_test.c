// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/rng.h"

static void assert_double_text(double value, const char *expected)
{
    char text[NUMBER_CHARS_MAX + 1];
    text[number_format_double(value, text)] = '\0';
    assert_string_equal(text, expected);
}

static void test_doubles_are_short(void **state)
{
    (void)state;
    assert_double_text(0.1, "0.1");
    assert_double_text(5, "5");
    assert_double_text(-0.0, "-0.0");
    assert_double_text(19.99, "19.99");
    assert_double_text(-1234.5, "-1234.5");
    assert_double_text(0.000001, "1e-06");
    assert_double_text(1e300, "1e+300");
    assert_double_text(1e9, "1000000000");
    assert_double_text(123456789012345, "123456789012345");
    assert_double_text(1e15, "1e+15");
    assert_double_text(0.1 + 0.2, "0.30000000000000004");
    assert_double_text(123456789.123456, "123456789.123456");
    assert_double_text(5e-324, "5e-324");
    assert_double_text(1.7976931348623157e308, "1.7976931348623157e+308");
}

static void test_doubles_read_back_and_no_shorter_text_does(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        double value;
        if (i % 2 == 0)
            rng_fill(&rng.base, &value, sizeof value);
        else
            value = (double)rng_below(&rng.base, 100000000) / 1000.0;
        if (!isfinite(value))
            continue;
        char text[NUMBER_CHARS_MAX + 1];
        text[number_format_double(value, text)] = '\0';
        assert_true(strtod(text, NULL) == value);
        double back;
        assert_true(number_parse_double(slice_text(text), &back));
        assert_true(back == value);
        for (int digits = 1; digits < 17; digits++) {
            char other[64];
            (void)snprintf(other, sizeof other, "%.*g", digits, value);
            if (strtod(other, NULL) != value)
                continue;
            assert_true(strlen(text) <= strlen(other) || strchr(other, 'e') != NULL);
            break;
        }
    }
}

static void test_integers_are_exact(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 9007199254740993, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[NUMBER_CHARS_MAX];
        const size_t size = number_format_int64(values[i], text);
        int64_t back = 7;
        assert_true(number_parse_int64(slice_of(text, size), &back));
        assert_int_equal(back, values[i]);
    }
}

static void test_what_is_no_integer(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "-",
                                        "+1",
                                        "01",
                                        "-0",
                                        " 5",
                                        "5 ",
                                        "0x10",
                                        "1.5",
                                        "1e2",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t value = 7;
        if (number_parse_int64(slice_text(texts[i]), &value))
            fail_msg("%s was read as %lld", texts[i], (long long)value);
        assert_int_equal(value, 7);
    }
}

static void test_what_is_no_double(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      "-",   "+1",  "01",    ".5", "1.",   "1e",
                                        "0x1p3", "nan", "inf", "1e999", " 1", "1_000"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double value;
        if (number_parse_double(slice_text(texts[i]), &value))
            fail_msg("%s was read as %g", texts[i], value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_are_short),
        cmocka_unit_test(test_doubles_read_back_and_no_shorter_text_does),
        cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_what_is_no_integer),
        cmocka_unit_test(test_what_is_no_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
