// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "base/check.h"
#include "base/mem.h"
#include "model/export_dates.h"

struct fixture {
    struct arena arena;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static const struct zone *load(struct fixture *fixture, const char *name)
{
    const struct zone *zone = NULL;
    if (name != NULL)
        assert_true(
            zone_load(ZONE_DIRECTORY, slice_text(name), &fixture->arena, &zone, &fixture->err));
    return zone;
}

static int64_t at(const char *text)
{
    int64_t time_ms = 0;
    assert_true(civil_parse(slice_text(text), &time_ms));
    return time_ms;
}

struct bound_case {
    const char *zone; // NULL: UTC
    const char *text;
    const char *start; // what it means as a start, and as an end, which is exclusive
    const char *end;
};

static void check_bounds(struct fixture *fixture, const struct bound_case *bound)
{
    const struct zone *zone = load(fixture, bound->zone);
    int64_t start_ms = 0;
    int64_t end_ms = 0;
    assert_true(export_dates_parse_start(slice_text(bound->text), zone, &start_ms, &fixture->err));
    assert_true(export_dates_parse_end(slice_text(bound->text), zone, &end_ms, &fixture->err));
    if (start_ms != at(bound->start) || end_ms != at(bound->end))
        fail_msg("%s %s: %lld, %lld", bound->zone == NULL ? "" : bound->zone, bound->text,
                 (long long)start_ms, (long long)end_ms);
}

static void test_every_form_and_what_it_covers(void **state)
{
    static const struct bound_case cases[] = {
        {NULL, "2023-05-15", "2023-05-15T00:00:00Z", "2023-05-16T00:00:00Z"},
        {NULL, "2023-12-31", "2023-12-31T00:00:00Z", "2024-01-01T00:00:00Z"},
        {NULL, "2023-05-15T01:59:59Z", "2023-05-15T01:59:59Z", "2023-05-15T02:00:00Z"},
        {NULL, "2023-05-30T19:59:59", "2023-05-30T19:59:59Z", "2023-05-30T20:00:00Z"},
        {NULL, "2023-05-30T19:59", "2023-05-30T19:59:00Z", "2023-05-30T20:00:00Z"},
        {NULL, "2023-05-30T20:00:00Z", "2023-05-30T20:00:00Z", "2023-05-30T20:00:01Z"},
        {NULL, "2023-05-30T20:00:00.000Z", "2023-05-30T20:00:00Z", "2023-05-30T20:00:00.001Z"},
        {NULL, "2023-05-30T19:59:59.999Z", "2023-05-30T19:59:59.999Z", "2023-05-30T20:00:00Z"},
        {NULL, "2023-05-30T19:59:59.9995Z", "2023-05-30T19:59:59.999Z", "2023-05-30T20:00:00Z"},
        {NULL, "2023-05-30T19:59:59.5Z", "2023-05-30T19:59:59.5Z", "2023-05-30T19:59:59.501Z"},
        {NULL, "2016-01-01T23:59:59:999Z", "2016-01-01T23:59:59.999Z", "2016-01-02T00:00:00Z"},
        {NULL, "2026-11-23T11:56:11.086419Z", "2026-11-23T11:56:11.086Z",
         "2026-11-23T11:56:11.087Z"},
        {NULL, "2023-05-15T00:00:00-07:00", "2023-05-15T07:00:00Z", "2023-05-15T07:00:01Z"},
        {NULL, "2023-05-15T00:00:00.000-00:00", "2023-05-15T00:00:00Z", "2023-05-15T00:00:00.001Z"},
        // Without an offset, in the zone; with one, not.
        {"America/Los_Angeles", "2023-05-15T00:00:00", "2023-05-15T07:00:00Z",
         "2023-05-15T07:00:01Z"},
        {"America/Los_Angeles", "2023-05-15T00:00:00:500", "2023-05-15T07:00:00.5Z",
         "2023-05-15T07:00:00.501Z"},
        {"America/Los_Angeles", "2023-05-15T00:00:00Z", "2023-05-15T00:00:00Z",
         "2023-05-15T00:00:01Z"},
        {"America/Los_Angeles", "2023-05-15T00:00:00+0530", "2023-05-14T18:30:00Z",
         "2023-05-14T18:30:01Z"},
        // Days of 24, 23 and 25 hours.
        {"Europe/Berlin", "2024-03-30", "2024-03-29T23:00:00Z", "2024-03-30T23:00:00Z"},
        {"Europe/Berlin", "2024-03-31", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"},
        {"Europe/Berlin", "2024-10-27", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"},
        // Shown twice: the start is the first, the end the last.
        {"Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00Z", "2024-10-27T01:30:01Z"},
        {"Europe/Berlin", "2024-10-27T02:59:59.999", "2024-10-27T00:59:59.999Z",
         "2024-10-27T02:00:00Z"},
        // Skipped: forward by the hour that is missing.
        {"Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T01:30:00Z", "2024-03-31T01:30:01Z"},
        {"Europe/Berlin", "2024-03-31T02:59", "2024-03-31T01:59:00Z", "2024-03-31T02:00:00Z"},
        // 00:00 of the 3rd comes twice: the 2nd ends before the first, the 3rd begins with it.
        {"America/Havana", "2024-11-02", "2024-11-02T04:00:00Z", "2024-11-03T04:00:00Z"},
        {"America/Havana", "2024-11-03", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"},
        // 00:00 of the 10th does not exist.
        {"America/Havana", "2024-03-09", "2024-03-09T05:00:00Z", "2024-03-10T05:00:00Z"},
        {"America/Havana", "2024-03-10", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"},
        // The 23rd hour comes twice: the day has both.
        {"America/Asuncion", "2023-03-25", "2023-03-25T03:00:00Z", "2023-03-26T04:00:00Z"},
        {NULL, "9999-12-31T23:59:59.998", "9999-12-31T23:59:59.998Z", "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        check_bounds(*state, &cases[i]);
}

static void check_refused(struct fixture *fixture, const char *text)
{
    int64_t time_ms = 7;
    if (export_dates_parse_start(slice_text(text), NULL, &time_ms, &fixture->err))
        fail_msg("%s is a start", text);
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_string_equal(fixture->err.message, "Invalid date: start_date");
    if (export_dates_parse_end(slice_text(text), NULL, &time_ms, &fixture->err))
        fail_msg("%s is an end", text);
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_string_equal(fixture->err.message, "Invalid date: end_date");
    assert_int_equal(time_ms, 7);
}

static void test_what_is_no_date(void **state)
{
    static const char *const texts[] = {
        "2023-02-29T00:00:00Z",
        "2023-13-01",
        "2023-00-10",
        "2023-04-31",
        "2023-01-01T24:00:00",
        "2023-01-01T23:60:00",
        "2023-01-01T23:59:60",
        "2023-01-01T00:00:00+25:00",
        "2023-01-01T00:00:00+00:60",
        "2023-05-30 19:59:59Z",
        "2023-05-30 19:59:59",
        "2023-05-30t19:59:59",
        "2023-05-30T19:59:59.1234567890Z",
        "2023-05-30T19:59:59.",
        "2023-05-30T19:59:59:",
        "2023-05-30T19:59:59:Z",
        "now",
        "2023-W20-1",
        "2023-139",
        "May 5 2023",
        "1684454400000",
        "\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa3-05-30",
        " 2023-05-30",
        "2023-05-30 ",
        "2023-05-30T19:59:59Z\n",
        "2023-05-30T19:59:59Z/2023-05-31",
        "2023-05-30T19:59:59 Europe/Berlin",
        "",
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59.999-00:01",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        check_refused(*state, texts[i]);
}

static void test_the_last_instant_has_no_end(void **state)
{
    struct fixture *fixture = *state;
    int64_t time_ms = 7;
    assert_false(export_dates_parse_end(slice_text("9999-12-31"), NULL, &time_ms, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    const struct zone *zone = load(fixture, "Pacific/Honolulu");
    assert_false(
        export_dates_parse_start(slice_text("9999-12-31T23:00:00"), zone, &time_ms, &fixture->err));
    zone = load(fixture, "Asia/Tokyo");
    assert_false(export_dates_parse_start(slice_text("0000-01-01"), zone, &time_ms, &fixture->err));
    assert_int_equal(time_ms, 7);
}

static void test_hours_of_readiness_and_days_of_daily_exports(void **state)
{
    struct fixture *fixture = *state;
    struct export_dates dates = {0};
    assert_true(export_dates_parse_hour(slice_text("2024-01-05 01:00:00"), &dates, &fixture->err));
    assert_int_equal(dates.start_ms, at("2024-01-05T01:00:00Z"));
    assert_int_equal(dates.end_ms, at("2024-01-05T02:00:00Z"));
    assert_true(export_dates_parse_hour(slice_text("2024-01-05 01:59:59"), &dates, &fixture->err));
    assert_int_equal(dates.start_ms, at("2024-01-05T01:00:00Z"));
    assert_true(export_dates_parse_day(slice_text("2024-02-29"), &dates, &fixture->err));
    assert_int_equal(dates.start_ms, at("2024-02-29T00:00:00Z"));
    assert_int_equal(dates.end_ms, at("2024-03-01T00:00:00Z"));

    static const char *const no_hours[] = {"2024-01-05T01:00:00", "2024-01-05", "",
                                           "2024-01-05 01:00:00Z", "9999-12-31 23:00:00"};
    for (size_t i = 0; i < ARRAY_COUNT(no_hours); i++) {
        assert_false(export_dates_parse_hour(slice_text(no_hours[i]), &dates, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
        assert_string_equal(fixture->err.message, "Invalid date: date");
    }
    static const char *const no_days[] = {"2024-01-05T00:00:00",
                                          "2024-01-05 01:00:00",
                                          "",
                                          "2023-02-29",
                                          "9999-12-31",
                                          "2024-1-5",
                                          "20240105"};
    for (size_t i = 0; i < ARRAY_COUNT(no_days); i++) {
        assert_false(export_dates_parse_day(slice_text(no_days[i]), &dates, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
        assert_string_equal(fixture->err.message, "Invalid date: export_date");
    }
    assert_int_equal(dates.start_ms, at("2024-02-29T00:00:00Z"));
}

// The message, or NULL when the dates pass: at noon of 28 April 2024, with 60 and 120 days.
static const char *refusal(struct fixture *fixture, const char *zone_name, const char *start,
                           const char *end)
{
    const struct zone *zone = load(fixture, zone_name);
    const struct export_dates_limits limits = {.span_days = 60, .look_back_days = 120};
    struct export_dates dates = {0};
    assert_true(export_dates_parse_start(slice_text(start), zone, &dates.start_ms, &fixture->err));
    assert_true(export_dates_parse_end(slice_text(end), zone, &dates.end_ms, &fixture->err));
    if (export_dates_check(&dates, zone, &limits, at("2024-04-28T12:00:00Z"), &fixture->err))
        return NULL;
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    return fixture->err.message;
}

static void test_limits(void **state)
{
    struct fixture *fixture = *state;
    const char *const order = "Invalid date range: start_date is after end_date";
    const char *const span = "Invalid date range: at most 60 days between start_date and end_date";
    const char *const past = "Invalid date: start_date is more than 120 days ago";
    assert_null(refusal(fixture, NULL, "2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z"));
    assert_null(refusal(fixture, NULL, "2024-02-01", "2024-02-01"));
    assert_string_equal(refusal(fixture, NULL, "2024-02-02", "2024-02-01"), order);
    assert_string_equal(refusal(fixture, NULL, "2024-02-01T01:00:00", "2024-02-01T00:59:59"),
                        order);
    // 60 days: 1 February to 31 March are 60, and 1 April 00:00 brings a second more.
    assert_null(refusal(fixture, NULL, "2024-02-01", "2024-03-31"));
    assert_null(refusal(fixture, NULL, "2024-02-01T00:00:00Z", "2024-04-01T00:00:00Z"));
    assert_null(refusal(fixture, NULL, "2024-02-01T00:00", "2024-04-01T00:00"));
    assert_string_equal(refusal(fixture, NULL, "2024-02-01", "2024-04-01"), span);
    assert_string_equal(refusal(fixture, NULL, "2024-02-01T00:00:00Z", "2024-04-01T00:01:00Z"),
                        span);
    // Clocks went forward in between: 60 local days are an hour short, 60 x 24 hours still pass.
    assert_null(refusal(fixture, "Europe/Berlin", "2024-02-01", "2024-03-31"));
    assert_null(refusal(fixture, "Europe/Berlin", "2024-02-01T00:00:00Z", "2024-03-31T23:59:59Z"));
    assert_string_equal(refusal(fixture, "Europe/Berlin", "2024-02-01", "2024-04-01"), span);
    // Clocks went back in between, in the south: 60 local days are an hour long.
    assert_null(refusal(fixture, "Australia/Sydney", "2024-02-08", "2024-04-07"));
    assert_string_equal(refusal(fixture, "Australia/Sydney", "2024-02-08", "2024-04-08"), span);
    // 30 December is 120 days ago.
    assert_null(refusal(fixture, NULL, "2023-12-30", "2023-12-31"));
    assert_null(refusal(fixture, NULL, "2024-05-01", "2024-05-02"));
    assert_string_equal(refusal(fixture, NULL, "2023-12-29", "2023-12-31"), past);
    // The start was skipped and moves to 03:30, past the end.
    assert_string_equal(
        refusal(fixture, "Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T03:00:00"), order);

    const struct export_dates_limits none = {0};
    const struct export_dates ages = {CIVIL_FIRST_MS, CIVIL_LAST_MS};
    assert_true(export_dates_check(&ages, NULL, &none, at("2024-04-28"), &fixture->err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_and_what_it_covers),
        cmocka_unit_test(test_what_is_no_date),
        cmocka_unit_test(test_the_last_instant_has_no_end),
        cmocka_unit_test(test_hours_of_readiness_and_days_of_daily_exports),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
