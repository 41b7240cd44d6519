// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "base/civil.h"

struct civil_case {
    const char *text;
    int64_t time_ms; // -1: refused
};

static void test_what_is_read_and_what_is_refused(void **state)
{
    (void)state;
    static const struct civil_case cases[] = {
        {"1970-01-01", 0},
        {"2023-05-19T00:00:00.000-00:00", 1684454400000},
        {"2023-05-19T00:00:00Z", 1684454400000},
        {"2023-05-19T00:00:00z", 1684454400000},
        {"2023-05-19T00:00:00+0000", 1684454400000},
        {"2023-05-19T02:00:00+02", 1684454400000},
        {"2023-05-18T18:30:00-05:30", 1684454400000},
        {"2023-05-19T00:00", 1684454400000},
        {"2023-05-30T19:59:59", 1685476799000},
        {"2023-05-30T19:59:59.9995Z", 1685476799999},
        {"2016-01-01T23:59:59:999Z", 1451692799999},
        {"2026-11-23T11:56:11.086419Z", 1795434971086},
        {"2024-02-29", 1709164800000},
        {"2000-02-29", 951782400000},
        {"2023-02-29T00:00:00Z", -1},
        {"1900-02-29", -1},
        {"2023-13-01", -1},
        {"2023-00-10", -1},
        {"2023-04-31", -1},
        {"2023-01-01T24:00:00", -1},
        {"2023-01-01T23:60:00", -1},
        {"2023-01-01T23:59:60", -1},
        {"2023-01-01T00:00:00+25:00", -1},
        {"2023-01-01T00:00:00+00:60", -1},
        {"2023-05-30 19:59:59Z", -1},
        {"2023-05-30t19:59:59", -1},
        {"2023-05-30T19:59:59.1234567890Z", -1},
        {"2023-05-30T19:59:59.", -1},
        {"now", -1},
        {"2023-W20-1", -1},
        {"2023-139", -1},
        {" 2023-05-30", -1},
        {"2023-05-30 ", -1},
        {"2023-05-30T", -1},
        {"2023-05-30T1:00", -1},
        {"", -1},
        {"2023-05-30T19:59:59ZZ", -1},
        {"2023-05-30T19:59:59+1", -1},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
        {"9999-12-31T23:59:59.999-00:01", -1}, // the year 10000
        {"0000-01-01T00:00:00Z", -62167219200000},
        {"0000-01-01T00:00:00+00:01", -1},                              // the year before 0
        {"\xd9\xa2\xd9\xa0\xd9\xa2\xd9\xa3-05-30", -1},                 // Arabic-Indic digits
        {"\xef\xbc\x92\xef\xbc\x90\xef\xbc\x92\xef\xbc\x93-05-30", -1}, // full-width digits
        {"May 5 2023", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t time_ms = -1;
        const bool is_read = civil_parse(slice_text(cases[i].text), &time_ms);
        if (time_ms != cases[i].time_ms || is_read != (cases[i].time_ms != -1))
            fail_msg("%s gave %lld", cases[i].text, (long long)time_ms);
    }
}

struct civil_unit_case {
    const char *text;
    enum civil_unit unit;
    bool has_offset;
    int offset_minutes;
};

static void test_the_last_unit_and_the_offset_are_known(void **state)
{
    (void)state;
    static const struct civil_unit_case cases[] = {
        {"2023-05-19", CIVIL_UNIT_DAY, false, 0},
        {"2023-05-19T10:00", CIVIL_UNIT_MINUTE, false, 0},
        {"2023-05-19T10:00Z", CIVIL_UNIT_MINUTE, true, 0},
        {"2023-05-19T10:00:00", CIVIL_UNIT_SECOND, false, 0},
        {"2023-05-19T10:00:00-05:30", CIVIL_UNIT_SECOND, true, -330},
        {"2023-05-19T10:00:00-00:00", CIVIL_UNIT_SECOND, true, 0},
        {"2023-05-19T10:00:00.0", CIVIL_UNIT_MILLISECOND, false, 0},
        {"2023-05-19T10:00:00:000z", CIVIL_UNIT_MILLISECOND, true, 0},
        {"2023-05-19T10:00:00.000000+01", CIVIL_UNIT_MILLISECOND, true, 60},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct civil_text read;
        assert_true(civil_read(slice_text(cases[i].text), &read));
        assert_int_equal(read.unit, cases[i].unit);
        assert_int_equal(read.has_offset, cases[i].has_offset);
        assert_int_equal(read.offset_ms, cases[i].offset_minutes * CIVIL_MINUTE_MS);
    }
}

static void test_the_form_with_a_space_is_that_form_only(void **state)
{
    (void)state;
    struct civil_text read;
    assert_true(civil_read_spaced(slice_text("2024-01-05 01:02:03"), &read));
    assert_int_equal(civil_to_ms(read.civil), 1704416523000);
    assert_false(read.has_offset);
    static const char *const refused[] = {
        "2024-01-05T01:02:03", "2024-01-05 01:02:03Z", "2024-01-05 01:02:03.000",
        "2024-01-05 01:02",    "2024-01-05",           "2024-01-05  01:02:03",
        "2024-01-05 24:00:00", "2023-02-29 00:00:00",  "2024-01-05 01:02:03 ",
        " 2024-01-05 01:02:3", "2024-01-05\t01:02:03", "",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (civil_read_spaced(slice_text(refused[i]), &read))
            fail_msg("%s was read", refused[i]);
    }
}

static void test_every_day_of_four_centuries_goes_there_and_back(void **state)
{
    (void)state;
    const int64_t first_ms = civil_to_ms((struct civil){.year = 1900, .month = 1, .day = 1});
    struct civil before = civil_from_ms(first_ms);
    for (int64_t day = 1; day < 146097; day++) {
        const int64_t time_ms = first_ms + day * CIVIL_DAY_MS + 86399999;
        const struct civil civil = civil_from_ms(time_ms);
        assert_true(civil_is_valid(civil));
        assert_int_equal(civil_to_ms(civil), time_ms);
        assert_true(civil.day == before.day + 1 || civil.day == 1);
        before = civil;
    }
}

static void test_formats(void **state)
{
    (void)state;
    char api[CIVIL_API_CHARS + 1];
    civil_format_api(1684454400000, api);
    assert_string_equal(api, "2023-05-19T00:00:00.000-00:00");
    char basic[17];
    civil_format_basic(1684454400000, basic);
    assert_string_equal(basic, "20230519T000000Z");
}

static void test_dates_of_http(void **state)
{
    (void)state;
    char text[CIVIL_HTTP_CHARS + 1];
    int64_t time_ms = 0;
    civil_format_http(INT64_C(784111777000), text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    for (int64_t ms = INT64_C(-86400000) * 400; ms < INT64_C(86400000) * 400; ms += 43201000) {
        civil_format_http(ms, text);
        assert_true(civil_parse_http(slice_text(text), &time_ms));
        assert_int_equal(time_ms, ms);
    }
    static const char *const others[] = {"",
                                         "Sun, 06 Nov 1994 08:49:37 UTC",
                                         "Mon, 06 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 nov 1994 08:49:37 GMT",
                                         "Sun, 6 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 Nov 1994 08:49:37 GMT ",
                                         "Sun, 31 Nov 1994 08:49:37 GMT",
                                         "Sun, 06 Nov 1994 24:49:37 GMT",
                                         "Sunday, 06-Nov-94 08:49:37 GMT",
                                         "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (civil_parse_http(slice_text(others[i]), &time_ms))
            fail_msg("%s", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read_and_what_is_refused),
        cmocka_unit_test(test_the_last_unit_and_the_offset_are_known),
        cmocka_unit_test(test_the_form_with_a_space_is_that_form_only),
        cmocka_unit_test(test_every_day_of_four_centuries_goes_there_and_back),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_dates_of_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
