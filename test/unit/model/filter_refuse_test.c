// SPDX-License-Identifier: Apache-2.0
// What filters are refused, with which text, and where the bounds are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "filter_fixture.h"

static void values_that_do_not_fit_are_refused(void **state)
{
    struct filter_fixture *fixture = *state;
    static const struct {
        const char *filter;
        const char *where; // and why
    } cases[] = {
        {"[\"gt\",\"timestamp\",\"abc\"]", "[2]: milliseconds or ISO 8601 expected"},
        {"[\"eq\",\"seen\",true]", "[2]: milliseconds or ISO 8601 expected"},
        {"[\"eq\",\"seen\",\"2023-02-29\"]", "[2]: milliseconds or ISO 8601 expected"},
        {"[\"eq\",\"seen\",1e16]", "[2]: number out of range"},
        {"[\"eq\",\"id\",{}]", "[2]: string, number or boolean expected"},
        {"[\"eq\",\"id\",[1]]", "[2]: string, number or boolean expected"},
        {"[\"eq\",\"tags\",[1]]", "[2]: string, number or boolean expected"},
        {"[\"eq\",\"count\",\"x\"]", "[2]: number expected"},
        {"[\"eq\",\"count\",\"\"]", "[2]: number expected"},
        {"[\"eq\",\"count\",\"+1\"]", "[2]: number expected"},
        {"[\"eq\",\"count\",\"01\"]", "[2]: number expected"},
        {"[\"eq\",\"count\",true]", "[2]: number expected"},
        {"[\"eq\",\"count\",{}]", "[2]: number expected"},
        {"[\"eq\",\"count\",1e300]", "[2]: number out of range"},
        {"[\"gt\",\"count\",\"9223372036854775808\"]", "[2]: number out of range"},
        {"[\"gt\",\"count\",\"-9223372036854775809\"]", "[2]: number out of range"},
        {"[\"gt\",\"count\",9007199254740992.0]", "[2]: number out of range"},
        {"[\"eq\",\"price\",\"NaN\"]", "[2]: number expected"},
        {"[\"eq\",\"price\",\"Infinity\"]", "[2]: number expected"},
        {"[\"eq\",\"price\",\"1e999\"]", "[2]: number expected"},
        {"[\"eq\",\"price\",\"0x10\"]", "[2]: number expected"},
        {"[\"eq\",\"price\",\" 1\"]", "[2]: number expected"},
        {"[\"eq\",\"price\",false]", "[2]: number expected"},
        {"[\"between\",\"price\",1,\"x\"]", "[3]: number expected"},
        {"[\"eq\",\"attributed\",\"TRUE\"]", "[2]: true or false expected"},
        {"[\"eq\",\"attributed\",1]", "[2]: true or false expected"},
        {"[\"in\",\"count\",[1,\"x\"]]", "[2][1]: number expected"},
        {"[\"in\",\"count\",1,\"x\"]", "[3]: number expected"},
        {"[\"in\",\"count\",[1],2]", "[2]: number expected"},
        {"[\"in\",\"count\",[[1]]]", "[2][0]: number expected"},
        {"[\"array_contains\",\"tags\",[1]]", "[2]: string, number or boolean expected"},
        {"[\"array_contains\",\"tags\",{}]", "[2]: string, number or boolean expected"},
        {"[\"like\",\"name\",\"a\\\\\"]", "[2]: nothing follows the last backslash"},
        {"[\"like\",\"name\",\"a\\\\\\\\\\\\\"]", "[2]: nothing follows the last backslash"},
        // The operand is named however deep it is, and wherever the array came from.
        {"[\"and\",[\"eq\",\"name\",\"a\"],[\"not\",[\"gt\",\"count\",\"x\"]]]",
         "[2][1][2]: number expected"},
        {"[[\"eq\",\"name\",\"a\"],[\"gt\",\"count\",\"x\"]]", "[1][2]: number expected"},
        {"\"%5B%22gt%22%2C%22count%22%2C%22x%22%5D\"", "[2]: number expected"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        filter_fixture_refuse(
            fixture, cases[i].filter,
            arena_format(&fixture->arena, "Invalid filter value at filter%s", cases[i].where));
}

static void operators_are_checked(void **state)
{
    struct filter_fixture *fixture = *state;
    static const char *const cases[][2] = {
        {"[\"regex\",\"name\",\"a\"]", "[0]"},
        {"[\"neq\",\"name\",\"a\"]", "[0]"},
        {"[\"EQ\",\"name\",\"a\"]", "[0]"},
        {"[null]", "[0]"},
        {"[7]", "[0]"},
        {"[{}]", "[0]"},
        {"[[]]", "[0][0]"},
        {"[[[\"eq\",\"name\",\"a\"]]]", "[0][0]"}, // an implicit "and" is at the top only
        {"[\"and\",[[\"eq\",\"name\",\"a\"]]]", "[1][0]"},
        {"[\"or\",[\"eq\",\"name\",\"a\"],[\"\"]]", "[2][0]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        filter_fixture_refuse(
            fixture, cases[i][0],
            arena_format(&fixture->arena,
                         "Unknown filter operator at filter%s: one of eq, gt, gte, lt, "
                         "lte, like, between, in, and, or, not, array_contains expected",
                         cases[i][1]));
}

static void operands_are_counted(void **state)
{
    struct filter_fixture *fixture = *state;
    static const char *const cases[][2] = {
        {"[\"and\"]", ": one or more filters"},
        {"[\"or\"]", ": one or more filters"},
        {"[\"not\"]", ": one filter"},
        {"[\"not\",[\"and\"],[\"or\"]]", ": one filter"},
        {"[\"eq\"]", ": a field and a value"},
        {"[\"eq\",\"name\"]", ": a field and a value"},
        {"[\"gte\",\"name\",\"a\",\"b\"]", ": a field and a value"},
        {"[\"like\",\"name\"]", ": a field and a pattern"},
        {"[\"between\",\"count\",1]", ": a field, a low and a high value"},
        {"[\"between\",\"count\",[1,2]]", ": a field, a low and a high value"},
        {"[\"in\",\"name\"]", ": a field and one or more values"},
        {"[\"array_contains\",\"tags\",1,2]", ": a field and a value"},
        {"[\"not\",[\"or\"]]", " at filter[1]: one or more filters"},
        {"[[\"eq\",\"name\",\"a\"],[\"lt\"]]", " at filter[1]: a field and a value"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        filter_fixture_refuse(fixture, cases[i][0],
                              arena_format(&fixture->arena,
                                           "Invalid filter: wrong number of operands%s expected",
                                           cases[i][1]));
}

static void shapes_are_checked(void **state)
{
    struct filter_fixture *fixture = *state;
    static const struct {
        const char *filter;
        const char *message;
    } cases[] = {
        {"\"eq\"", "Invalid filter: array expected"},
        {"{\"eq\":[\"name\",\"a\"]}", "Invalid filter: array expected"},
        {"5", "Invalid filter: array expected"},
        {"true", "Invalid filter: array expected"},
        {"\"\"", "Invalid filter: array expected"},
        {"[\"and\",\"x\"]", "Invalid filter: array expected at filter[1]"},
        {"[\"not\",null]", "Invalid filter: array expected at filter[1]"},
        {"[[\"eq\",\"name\",\"a\"],5]", "Invalid filter: array expected at filter[1]"},
        {"[\"eq\",5,\"a\"]", "Invalid filter: field name expected at filter[1]"},
        {"[\"eq\",{\"f\":\"name\",\"t\":\"string\"},\"a\"]",
         "Invalid filter: field name expected at filter[1]"},
        {"[\"eq\",\"no_such_field\",\"x\"]", "no_such_field field is not available for exports"},
        {"[\"not\",[\"eq\",\"no_such_field\",\"x\"]]",
         "no_such_field field is not available for exports"},
        {"[\"eq\",\"Name\",\"x\"]", "Name field is not available for exports"},
        {"[\"eq\",\"\",\"x\"]", "field is not available for exports"},
        {"[\"eq\",\"name\\\"; DROP TABLE x; --\",1]", "field is not available for exports"},
        {"[\"like\",\"count\",\"1%\"]", "Invalid filter: like needs a string field at filter[1]"},
        {"[\"array_contains\",\"count\",1]",
         "Invalid filter: array_contains needs an array field at filter[1]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        filter_fixture_refuse(fixture, cases[i].filter, cases[i].message);
}

// count times "not" around a comparison: depth count + 1.
static const char *nested(struct filter_fixture *fixture, size_t count)
{
    buf_reset(&fixture->text);
    for (size_t i = 0; i < count; i++)
        buf_append_text(&fixture->text, "[\"not\",");
    buf_append_text(&fixture->text, "[\"eq\",\"name\",\"a\"]");
    for (size_t i = 0; i < count; i++)
        buf_append_char(&fixture->text, ']');
    return arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
}

static const char *repeated(struct filter_fixture *fixture, const char *start, const char *item,
                            size_t count, const char *end)
{
    buf_reset(&fixture->text);
    buf_append_text(&fixture->text, start);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && item[0] != '%')
            buf_append_char(&fixture->text, ',');
        buf_append_text(&fixture->text, item);
    }
    buf_append_text(&fixture->text, end);
    return arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
}

static void sizes_are_bounded(void **state)
{
    struct filter_fixture *fixture = *state;
    const char *operators = "Filter too complex: more than 1000 operators";
    const char *clause = "[\"eq\",\"name\",\"a\"]";
    assert_non_null(filter_fixture_parse(fixture, repeated(fixture, "[\"or\",", clause, 999, "]")));
    filter_fixture_refuse(fixture, repeated(fixture, "[\"or\",", clause, 1001, "]"), operators);
    filter_fixture_refuse(fixture, repeated(fixture, "[\"or\",", clause, 5000, "]"), operators);
    filter_fixture_refuse(fixture, repeated(fixture, "[\"or\",", clause, 1000, "]"),
                          "Filter too complex at filter[1000]: more than 1000 operators");
    filter_fixture_refuse(fixture, repeated(fixture, "[", clause, 1000, "]"),
                          "Filter too complex at filter[999]: more than 1000 operators");
    const char *values = "Filter too complex: more than 10000 values";
    assert_non_null(
        filter_fixture_parse(fixture, repeated(fixture, "[\"in\",\"count\",[", "1", 10000, "]]")));
    assert_non_null(
        filter_fixture_parse(fixture, repeated(fixture, "[\"in\",\"count\",", "1", 10000, "]")));
    filter_fixture_refuse(fixture, repeated(fixture, "[\"in\",\"count\",[", "1", 10001, "]]"),
                          "Filter too complex at filter[2]: more than 10000 values");
    filter_fixture_refuse(fixture, repeated(fixture, "[\"in\",\"count\",", "1", 10001, "]"),
                          values);
}

static void depth_is_bounded(void **state)
{
    struct filter_fixture *fixture = *state;
    assert_non_null(filter_fixture_parse(fixture, nested(fixture, 31)));
    const struct filter *filter = NULL;
    struct err err = {0};
    assert_false(filter_fixture_try(fixture, nested(fixture, 32), &filter, &err));
    const char *start = "Filter too complex at filter[1][1]";
    assert_memory_equal(err.message, start, strlen(start));
    assert_non_null(strstr(err.message, "[1]: more than 32 levels"));
    // The deepest place of all: a value in a list under 31 operators.
    buf_reset(&fixture->text);
    for (size_t i = 0; i < 31; i++)
        buf_append_text(&fixture->text, "[\"not\",");
    buf_append_text(&fixture->text, "[\"in\",\"count\",[1,\"x\"]]");
    for (size_t i = 0; i < 31; i++)
        buf_append_char(&fixture->text, ']');
    const char *json = arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
    assert_false(filter_fixture_try(fixture, json, &filter, &err));
    assert_non_null(strstr(err.message, "[1][2][1]: number expected"));
}

static void patterns_are_bounded(void **state)
{
    struct filter_fixture *fixture = *state;
    const char *wildcards = "Filter too complex at filter[2]: more than 50 wildcards";
    assert_non_null(
        filter_fixture_parse(fixture, repeated(fixture, "[\"like\",\"name\",\"", "%", 50, "\"]")));
    filter_fixture_refuse(fixture, repeated(fixture, "[\"like\",\"name\",\"", "%a", 51, "\"]"),
                          wildcards);
    filter_fixture_refuse(fixture, repeated(fixture, "[\"like\",\"name\",\"", "%a", 1000, "\"]"),
                          wildcards);
    // Escaped ones are not wild; escapes at the end are whole.
    assert_non_null(filter_fixture_parse(
        fixture, repeated(fixture, "[\"like\",\"name\",\"__", "%\\\\%", 48, "\\\\\\\\\"]")));
    filter_fixture_refuse(
        fixture, repeated(fixture, "[\"like\",\"name\",\"__", "%\\\\%", 49, "\"]"), wildcards);
    for (size_t size = 1000; size <= 1001; size++) {
        buf_reset(&fixture->text);
        buf_append_text(&fixture->text, "[\"like\",\"name\",\"");
        for (size_t i = 0; i < size; i++)
            buf_append_char(&fixture->text, 'a');
        buf_append_text(&fixture->text, "\"]");
        const char *json = arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
        if (size == 1000)
            assert_non_null(filter_fixture_parse(fixture, json));
        else
            filter_fixture_refuse(
                fixture, json, "Filter too complex at filter[2]: more than 1000 bytes of pattern");
    }
}

static void values_are_bounded(void **state)
{
    struct filter_fixture *fixture = *state;
    for (size_t size = 65536; size <= 65537; size++) {
        buf_reset(&fixture->text);
        buf_append_text(&fixture->text, "[\"eq\",\"name\",\"");
        for (size_t i = 0; i < size; i++)
            buf_append_char(&fixture->text, 'a');
        buf_append_text(&fixture->text, "\"]");
        const char *json = arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
        if (size == 65536)
            assert_non_null(filter_fixture_parse(fixture, json));
        else
            filter_fixture_refuse(fixture, json, "Filter value too long at filter[2]");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_that_do_not_fit_are_refused, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(operators_are_checked, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(operands_are_counted, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(shapes_are_checked, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(sizes_are_bounded, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(depth_is_bounded, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(patterns_are_bounded, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(values_are_bounded, filter_fixture_set_up,
                                        filter_fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
