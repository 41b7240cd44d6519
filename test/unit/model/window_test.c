// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/civil.h"
#include "model/window.h"

static int64_t at(const char *text)
{
    int64_t time_ms = 0;
    assert_true(civil_parse(slice_text(text), &time_ms));
    return time_ms;
}

static void cadences_have_names(void **state)
{
    (void)state;
    enum cadence cadence = CADENCE_HOURLY;
    assert_true(cadence_parse(slice_text("daily"), &cadence));
    assert_int_equal(cadence, CADENCE_DAILY);
    assert_true(cadence_parse(slice_text("hourly"), &cadence));
    assert_int_equal(cadence, CADENCE_HOURLY);
    assert_false(cadence_parse(slice_text("HOURLY"), &cadence));
    assert_false(cadence_parse(slice_text("minutely"), &cadence));
    assert_false(cadence_parse(slice_text(""), &cadence));
    assert_string_equal(cadence_name(CADENCE_HOURLY), "hourly");
    assert_string_equal(cadence_name(CADENCE_DAILY), "daily");
    assert_true(cadence_ms(CADENCE_HOURLY) == 3600000);
    assert_true(cadence_ms(CADENCE_DAILY) == 86400000);
}

static void instants_belong_to_one_window(void **state)
{
    (void)state;
    const int64_t noon = at("2023-05-19T12:00:00");
    assert_true(window_start_of(CADENCE_HOURLY, noon) == noon);
    assert_true(window_start_of(CADENCE_HOURLY, noon + 3599999) == noon);
    assert_true(window_start_of(CADENCE_HOURLY, noon - 1) == noon - 3600000);
    assert_true(window_start_of(CADENCE_DAILY, noon) == at("2023-05-19"));
    assert_true(window_start_of(CADENCE_DAILY, at("2024-02-29T23:59:59.999")) == at("2024-02-29"));
    assert_true(window_is_edge(CADENCE_HOURLY, noon));
    assert_false(window_is_edge(CADENCE_HOURLY, noon + 1));
    assert_false(window_is_edge(CADENCE_DAILY, noon));
    assert_true(window_is_edge(CADENCE_DAILY, at("2023-05-19")));
}

static void before_1970_rounds_down_too(void **state)
{
    (void)state;
    assert_true(window_start_of(CADENCE_HOURLY, -1) == -3600000);
    assert_true(window_start_of(CADENCE_HOURLY, -3600000) == -3600000);
    assert_true(window_start_of(CADENCE_DAILY, -86400001) == -2 * INT64_C(86400000));
    assert_true(window_is_edge(CADENCE_DAILY, -86400000));
}

static void neighbours_of_an_instant(void **state)
{
    (void)state;
    const int64_t noon = at("2023-05-19T12:00:00");
    // The window that ends at noon has ended at noon.
    assert_true(window_first_ending_after(CADENCE_HOURLY, noon) == noon);
    assert_true(window_last_complete(CADENCE_HOURLY, noon) == noon - 3600000);
    assert_true(window_first_ending_after(CADENCE_HOURLY, noon - 1) == noon - 3600000);
    assert_true(window_last_complete(CADENCE_HOURLY, noon - 1) == noon - 2 * 3600000);
    assert_true(window_first_ending_after(CADENCE_DAILY, noon) == at("2023-05-19"));
    assert_true(window_last_complete(CADENCE_DAILY, noon) == at("2023-05-18"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cadences_have_names),
        cmocka_unit_test(instants_belong_to_one_window),
        cmocka_unit_test(before_1970_rounds_down_too),
        cmocka_unit_test(neighbours_of_an_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
