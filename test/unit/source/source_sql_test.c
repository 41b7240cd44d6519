// SPDX-License-Identifier: Apache-2.0
// Conversions between the types of a field, run by the engine itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "source/source_internal.h"
#include "source_fixture.h"

struct conversion {
    const char *value; // an expression of type `from`
    enum field_type from;
    enum field_type to;
    const char *wanted;
};

static void test_conversions(void **state)
{
    struct source_fixture *fixture = *state;
    static const struct conversion conversions[] = {
        // Text takes everything, as our encoders print it.
        {"42::BIGINT", FIELD_INT64, FIELD_TEXT, "42"},
        {"9223372036854775807", FIELD_INT64, FIELD_TEXT, "9223372036854775807"},
        {"-1::BIGINT", FIELD_TIME, FIELD_TEXT, "-1"},
        {"TRUE", FIELD_BOOL, FIELD_TEXT, "true"},
        {"FALSE", FIELD_BOOL, FIELD_JSON, "false"},
        {"'{\"a\":1}'::JSON", FIELD_JSON, FIELD_TEXT, "{\"a\":1}"},
        {"'an \"x\"'", FIELD_TEXT, FIELD_JSON, "\"an \\\"x\\\"\""},
        {"''", FIELD_TEXT, FIELD_TEXT, ""},
        {"1.0::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "1"},
        {"-250.0::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "-250"},
        {"0.1::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "0.1"},
        {"19.99::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "19.99"},
        {"(0.1::DOUBLE + 0.2::DOUBLE)", FIELD_DOUBLE, FIELD_TEXT, "0.30000000000000004"},
        {"1e-5::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "1e-05"},
        {"1e300::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "1e+300"},
        {"1.5e300::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "1.5e+300"},
        {"NULL::DOUBLE", FIELD_DOUBLE, FIELD_TEXT, "~"},
        // Long takes what is a whole number, and never rounds.
        {"'12'", FIELD_TEXT, FIELD_INT64, "12"},
        {"'-12'", FIELD_JSON, FIELD_TIME, "-12"},
        {"'1.5'", FIELD_TEXT, FIELD_INT64, "~"},
        {"' 1'", FIELD_TEXT, FIELD_INT64, "~"},
        {"''", FIELD_TEXT, FIELD_INT64, "~"},
        {"'99999999999999999999'", FIELD_TEXT, FIELD_INT64, "~"},
        {"'abc'", FIELD_TEXT, FIELD_INT64, "~"},
        {"2.0::DOUBLE", FIELD_DOUBLE, FIELD_INT64, "2"},
        {"2.5::DOUBLE", FIELD_DOUBLE, FIELD_INT64, "~"},
        {"1e300::DOUBLE", FIELD_DOUBLE, FIELD_INT64, "~"},
        {"5::BIGINT", FIELD_TIME, FIELD_INT64, "5"},
        {"TRUE", FIELD_BOOL, FIELD_INT64, "~"},
        // Double takes finite numbers.
        {"3::BIGINT", FIELD_INT64, FIELD_DOUBLE, "3"},
        {"'2.5'", FIELD_TEXT, FIELD_DOUBLE, "2.5"},
        {"'-1e3'", FIELD_TEXT, FIELD_DOUBLE, "-1000"},
        {"'inf'", FIELD_TEXT, FIELD_DOUBLE, "~"},
        {"'nan'", FIELD_TEXT, FIELD_DOUBLE, "~"},
        {"'1e999'", FIELD_TEXT, FIELD_DOUBLE, "~"},
        {"FALSE", FIELD_BOOL, FIELD_DOUBLE, "~"},
        // Boolean takes its two words.
        {"'true'", FIELD_TEXT, FIELD_BOOL, "true"},
        {"'false'", FIELD_JSON, FIELD_BOOL, "false"},
        {"'t'", FIELD_TEXT, FIELD_BOOL, "~"},
        {"1::BIGINT", FIELD_INT64, FIELD_BOOL, "~"},
        {"0.0::DOUBLE", FIELD_DOUBLE, FIELD_BOOL, "~"},
    };
    for (size_t i = 0; i < sizeof conversions / sizeof conversions[0]; i++) {
        const struct conversion *conversion = &conversions[i];
        struct buf sql CLEANUP(buf_clear);
        struct buf text CLEANUP(buf_clear);
        buf_init(&sql, 4096);
        buf_init(&text, 4096);
        buf_append_text(&sql, "SELECT ");
        source_append_conversion(&sql, slice_text("v"), conversion->from, conversion->to);
        // More than one row, so that nothing is folded away before it runs.
        buf_append_format(&sql, " FROM (SELECT %s AS v FROM range(2))", conversion->value);
        source_fixture_query(fixture, buf_text(&sql), &conversion->to, 1, &text);
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s|\n%s|\n", conversion->wanted, conversion->wanted);
        assert_string_equal(buf_text(&text), wanted);
    }
}

static void test_every_pair_of_types_has_the_wanted_type(void **state)
{
    struct source_fixture *fixture = *state;
    static const char *const nulls[FIELD_TYPE_COUNT] = {
        "NULL::VARCHAR", "NULL::BIGINT", "NULL::DOUBLE",
        "NULL::BOOLEAN", "NULL::BIGINT", "NULL::JSON",
    };
    for (unsigned from = 0; from < FIELD_TYPE_COUNT; from++) {
        for (unsigned to = 0; to < FIELD_TYPE_COUNT; to++) {
            const enum field_type wanted = (enum field_type)to;
            struct buf sql CLEANUP(buf_clear);
            struct buf text CLEANUP(buf_clear);
            buf_init(&sql, 4096);
            buf_init(&text, 4096);
            buf_append_text(&sql, "SELECT ");
            source_append_conversion(&sql, slice_text("v"), (enum field_type)from, wanted);
            buf_append_format(&sql, " FROM (SELECT %s AS v FROM range(1))", nulls[from]);
            source_fixture_query(fixture, buf_text(&sql), &wanted, 1, &text);
            assert_string_equal(buf_text(&text), "~|\n");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_every_pair_of_types_has_the_wanted_type),
    };
    return cmocka_run_group_tests(tests, source_fixture_set_up, source_fixture_tear_down);
}
