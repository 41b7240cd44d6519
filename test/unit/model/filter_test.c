// SPDX-License-Identifier: Apache-2.0
// What filters become: expressions and stored texts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/json_text.h"
#include "filter_fixture.h"

static void append_column(struct buf *sql, const struct column *column, void *context)
{
    if (context != NULL)
        (*(size_t *)context)++;
    buf_append_char(sql, '"');
    for (const char *at = column->name; *at != '\0'; at++) {
        if (*at == '"')
            buf_append_char(sql, '"');
        buf_append_char(sql, *at);
    }
    buf_append_char(sql, '"');
}

static void assert_sql(struct filter_fixture *fixture, const char *json, const char *expected)
{
    const struct filter *filter = filter_fixture_parse(fixture, json);
    buf_reset(&fixture->text);
    size_t column_count = 0;
    filter_append_sql(filter, append_column, &column_count, &fixture->text);
    assert_string_equal(buf_text(&fixture->text), expected);
    assert_int_equal(column_count == 0, filter == NULL);
}

// Stores, loads without the schema, stores again: the same bytes, which are `expected`.
static void assert_stored(struct filter_fixture *fixture, const char *json, const char *expected)
{
    buf_reset(&fixture->text);
    filter_store(filter_fixture_parse(fixture, json), &fixture->text);
    assert_string_equal(buf_text(&fixture->text), expected);

    struct err err = {0};
    assert_true(json_tree_parse(buf_slice(&fixture->text), &fixture->tree, &err));
    const struct filter *loaded = NULL;
    if (!filter_load(json_tree_root(fixture->tree), &fixture->arena, &loaded, &err))
        fail_msg("%s: %s", expected, err.message);
    json_tree_free(&fixture->tree);
    buf_reset(&fixture->text);
    filter_store(loaded, &fixture->text);
    assert_string_equal(buf_text(&fixture->text), expected);
}

static void nothing_is_no_filter(void **state)
{
    struct filter_fixture *fixture = *state;
    const struct filter *filter = NULL;
    struct err err = {0};
    assert_true(filter_parse(NULL, &filter_fixture_schema, &fixture->arena, &filter, &err));
    assert_null(filter);
    assert_null(filter_fixture_parse(fixture, "null"));
    assert_null(filter_fixture_parse(fixture, "[]"));
    assert_null(filter_fixture_parse(fixture, "\"[]\""));
    assert_sql(fixture, "[]", "TRUE");
    assert_stored(fixture, "[]", "null");
}

static void operators_are_printed(void **state)
{
    struct filter_fixture *fixture = *state;
    assert_sql(fixture, "[\"eq\",\"name\",\"PURCHASE\"]", "(\"name\" = 'PURCHASE')");
    assert_sql(fixture, "[\"gt\",\"count\",7]", "(\"count\" > CAST('7' AS BIGINT))");
    assert_sql(fixture, "[\"gte\",\"count\",\"7\"]", "(\"count\" >= CAST('7' AS BIGINT))");
    assert_sql(fixture, "[\"lt\",\"price\",0.1]", "(\"price\" < CAST('0.1' AS DOUBLE))");
    assert_sql(fixture, "[\"lte\",\"price\",-3]", "(\"price\" <= CAST('-3' AS DOUBLE))");
    assert_sql(fixture, "[\"eq\",\"attributed\",\"true\"]", "(\"attributed\" = TRUE)");
    assert_sql(fixture, "[\"eq\",\"attributed\",false]", "(\"attributed\" = FALSE)");
    assert_sql(fixture, "[\"between\",\"id\",5,1]", "(\"id\" BETWEEN '5' AND '1')");
    assert_sql(fixture, "[\"in\",\"name\",\"a\",\"b\"]", "(\"name\" IN ('a', 'b'))");
    assert_sql(fixture, "[\"in\",\"count\",[1,\"2\"]]",
               "(\"count\" IN (CAST('1' AS BIGINT), CAST('2' AS BIGINT)))");
    assert_sql(fixture, "[\"not\",[\"eq\",\"name\",\"a\"]]", "((\"name\" = 'a') IS NOT TRUE)");
    assert_sql(fixture, "[\"or\",[\"eq\",\"name\",\"a\"],[\"and\",[\"eq\",\"id\",\"b\"]]]",
               "((\"name\" = 'a') OR ((\"id\" = 'b')))");
    assert_sql(fixture, "[[\"eq\",\"name\",\"a\"],[\"eq\",\"id\",\"b\"]]",
               "((\"name\" = 'a') AND (\"id\" = 'b'))");
    assert_sql(fixture, "[\"gt\",\"timestamp\",1604015756000]",
               "(\"timestamp\" > CAST('1604015756000' AS BIGINT))");
    assert_sql(fixture, "[\"gt\",\"app_id\",7]", "(\"app_id\" > CAST('7' AS BIGINT))");
}

static void nulls_are_tests(void **state)
{
    struct filter_fixture *fixture = *state;
    assert_sql(fixture, "[\"eq\",\"name\",null]", "(\"name\" IS NULL)");
    assert_sql(fixture, "[\"in\",\"name\",[null]]", "(\"name\" IS NULL)");
    assert_sql(fixture, "[\"in\",\"name\",[\"a\",null,\"b\",null]]",
               "(\"name\" IS NULL OR \"name\" IN ('a', 'b'))");
    const char *message = "Invalid filter value at filter[2]: null is for eq and in";
    filter_fixture_refuse(fixture, "[\"gt\",\"count\",null]", message);
    filter_fixture_refuse(fixture, "[\"like\",\"name\",null]", message);
    filter_fixture_refuse(fixture, "[\"array_contains\",\"tags\",null]", message);
    filter_fixture_refuse(fixture, "[\"between\",\"count\",1,null]",
                          "Invalid filter value at filter[3]: null is for eq and in");
}

// The engine's own LIKE ... ESCAPE takes exponential time, so it never appears.
static void patterns_are_printed(void **state)
{
    struct filter_fixture *fixture = *state;
    static const struct {
        const char *pattern; // as JSON text
        const char *sql;
    } cases[] = {
        {"", " LIKE ''"},
        {"%", " LIKE '%'"},
        {"%a%b%", " LIKE '%a%b%'"},
        {"a\\\\bc\\\\\\\\", " LIKE 'abc\\'"}, // \b is b
        {"'%", " LIKE '\'\'%'"},
        {"a.b*", " LIKE 'a.b*'"},
        {"\xc3\xbf%x", " ~ '(?s)\xc3\xbf.*x'"}, // one more than the last byte is no UTF-8
        {"a\x7f%", " ~ '(?s)a\x7f.*'"},
        {"\xc3\xbf", " LIKE '\xc3\xbf'"},
        {"%\xc3\xbf%", " LIKE '%\xc3\xbf%'"},
        {"a_", " ~ '(?s)a.'"},
        {"50\\\\%_x", " ~ '(?s)50%.x'"},
        {"\\\\_%", " ~ '(?s)_.*'"},
        {"\\\\%", " ~ '(?s)%'"},
        {"_'", " ~ '(?s).\'\''"},
        {"_\xc3\xa9", " ~ '(?s).\xc3\xa9'"},
        {"_\\\\\\\\.+*?()|[]{}^$-/#", " ~ '(?s).\\\\\\.\\+\\*\\?\\(\\)\\|\\[\\]\\{\\}\\^\\$-/#'"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_sql(fixture,
                   arena_format(&fixture->arena, "[\"like\",\"name\",\"%s\"]", cases[i].pattern),
                   arena_format(&fixture->arena, "(\"name\"%s)", cases[i].sql));
}

// A fraction lies between two whole numbers: ordered operators move to the one that gives the same
// rows, and nothing equals it.
static void fractions_meet_whole_numbers(void **state)
{
    struct filter_fixture *fixture = *state;
    static const struct {
        const char *filter;
        const char *sql;
    } cases[] = {
        {"[\"gt\",\"count\",1.5]", "(\"count\" > CAST('1' AS BIGINT))"},
        {"[\"gte\",\"count\",1.5]", "(\"count\" >= CAST('2' AS BIGINT))"},
        {"[\"lt\",\"count\",1.5]", "(\"count\" < CAST('2' AS BIGINT))"},
        {"[\"lte\",\"count\",1.5]", "(\"count\" <= CAST('1' AS BIGINT))"},
        {"[\"gt\",\"count\",\"-1.5\"]", "(\"count\" > CAST('-2' AS BIGINT))"},
        {"[\"lt\",\"count\",-0.5]", "(\"count\" < CAST('0' AS BIGINT))"},
        {"[\"gt\",\"seen\",0.5]", "(\"seen\" > CAST('0' AS BIGINT))"},
        {"[\"between\",\"count\",1.5,\"3.5\"]",
         "(\"count\" BETWEEN CAST('2' AS BIGINT) AND CAST('3' AS BIGINT))"},
        {"[\"eq\",\"count\",1.5]", "(FALSE)"},
        {"[\"in\",\"count\",1.5,2.5]", "(FALSE)"},
        {"[\"in\",\"count\",[1.5,2,null]]",
         "(\"count\" IS NULL OR \"count\" IN (CAST('2' AS BIGINT)))"},
        {"[\"in\",\"count\",[1.5,null]]", "(\"count\" IS NULL)"},
        {"[\"in\",\"count\",[]]", "(FALSE)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct filter *filter = filter_fixture_parse(fixture, cases[i].filter);
        buf_reset(&fixture->text);
        filter_append_sql(filter, append_column, NULL, &fixture->text);
        assert_string_equal(buf_text(&fixture->text), cases[i].sql);
    }
}

static void literals_cannot_break_out(void **state)
{
    struct filter_fixture *fixture = *state;
    assert_sql(fixture, "[\"eq\",\"name\",\"a'; DROP TABLE x; --\"]",
               "(\"name\" = 'a''; DROP TABLE x; --')");
    assert_sql(fixture, "[\"eq\",\"name\",\"''\"]", "(\"name\" = '''''')");
    assert_sql(fixture, "[\"eq\",\"name\",\"\\\\'\"]", "(\"name\" = '\\''')");
    assert_sql(fixture, "[\"eq\",\"name\",\"\"]", "(\"name\" = '')");
    assert_sql(fixture, "[\"eq\",\"odd\\\"name\",\"\xc3\xa9\"]", "(\"odd\"\"name\" = '\xc3\xa9')");
    assert_sql(fixture, "[\"array_contains\",\"tags\",\"'\"]",
               "(CASE WHEN \"tags\" IS NULL THEN NULL WHEN NOT json_valid(\"tags\") THEN FALSE "
               "ELSE list_has_any(json_extract(\"tags\", '$[*]'), [to_json('''')]) END)");
}

static void elements_are_numbers_and_texts(void **state)
{
    struct filter_fixture *fixture = *state;
    static const struct {
        const char *value;
        const char *elements;
    } cases[] = {
        {"\"x\"", "[to_json('x')]"},
        {"true", "[to_json('true'), to_json(TRUE)]"},
        {"\"false\"", "[to_json('false'), to_json(FALSE)]"},
        {"5", "[to_json('5'), to_json(CAST('5' AS BIGINT)), to_json(CAST('5' AS DOUBLE))]"},
        {"\"5.0\"", "[to_json('5.0'), to_json(CAST('5' AS BIGINT)), to_json(CAST('5' AS DOUBLE))]"},
        {"0.5", "[to_json('0.5'), to_json(CAST('0.5' AS DOUBLE))]"},
        {"9007199254740993",
         "[to_json('9007199254740993'), to_json(CAST('9007199254740993' AS BIGINT))]"},
        {"1e300", "[to_json('1e+300'), to_json(CAST('1e+300' AS DOUBLE))]"},
        {"9007199254740994", "[to_json('9007199254740994'), to_json(CAST('9007199254740994' AS "
                             "BIGINT)), to_json(CAST('9007199254740994' AS DOUBLE))]"},
        {"1e16", "[to_json('1e+16'), to_json(CAST('10000000000000000' AS BIGINT)), "
                 "to_json(CAST('1e+16' AS DOUBLE))]"},
        {"9223372036854775807",
         "[to_json('9223372036854775807'), to_json(CAST('9223372036854775807' AS BIGINT))]"},
        {"-9223372036854775808",
         "[to_json('-9223372036854775808'), to_json(CAST('-9223372036854775808' AS BIGINT)), "
         "to_json(CAST('-9.223372036854776e+18' AS DOUBLE))]"},
        {"0", "[to_json('0'), to_json(CAST('0' AS BIGINT)), to_json(CAST('0' AS DOUBLE)), "
              "to_json(CAST('-0.0' AS DOUBLE))]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *json = arena_format(&fixture->arena, "[\"array_contains\",\"tags\",%s]",
                                  cases[i].value);
        char *expected = arena_format(
            &fixture->arena,
            "(CASE WHEN \"tags\" IS NULL THEN NULL WHEN NOT json_valid(\"tags\") THEN FALSE "
            "ELSE list_has_any(json_extract(\"tags\", '$[*]'), %s) END)",
            cases[i].elements);
        assert_sql(fixture, json, expected);
    }
}

static void values_take_the_type_of_the_field(void **state)
{
    struct filter_fixture *fixture = *state;
    static const struct {
        const char *filter;
        const char *stored;
    } cases[] = {
        {"[\"eq\",\"id\",9007199254740993]",
         "[\"eq\",{\"f\":\"id\",\"t\":\"string\"},\"9007199254740993\"]"},
        {"[\"eq\",\"id\",5.50]", "[\"eq\",{\"f\":\"id\",\"t\":\"string\"},\"5.5\"]"},
        {"[\"eq\",\"id\",true]", "[\"eq\",{\"f\":\"id\",\"t\":\"string\"},\"true\"]"},
        {"[\"eq\",\"tags\",\"[1]\"]", "[\"eq\",{\"f\":\"tags\",\"t\":\"json\"},\"[1]\"]"},
        {"[\"eq\",\"count\",\"-9223372036854775808\"]",
         "[\"eq\",{\"f\":\"count\",\"t\":\"long\"},-9223372036854775808]"},
        {"[\"eq\",\"count\",5.0]", "[\"eq\",{\"f\":\"count\",\"t\":\"long\"},5]"},
        {"[\"eq\",\"count\",\"-0\"]", "[\"eq\",{\"f\":\"count\",\"t\":\"long\"},0]"},
        {"[\"eq\",\"count\",1.5]", "[\"eq\",{\"f\":\"count\",\"t\":\"long\"},1.5]"},
        {"[\"gt\",\"count\",1.5]", "[\"gt\",{\"f\":\"count\",\"t\":\"long\"},1]"},
        {"[\"in\",\"count\",[]]", "[\"in\",{\"f\":\"count\",\"t\":\"long\"},[]]"},
        {"[\"eq\",\"price\",9007199254740993]",
         "[\"eq\",{\"f\":\"price\",\"t\":\"double\"},9007199254740992]"},
        {"[\"eq\",\"price\",1e19]", "[\"eq\",{\"f\":\"price\",\"t\":\"double\"},1e+19]"},
        {"[\"eq\",\"price\",\"1.7976931348623157e308\"]",
         "[\"eq\",{\"f\":\"price\",\"t\":\"double\"},1.7976931348623157e+308]"},
        {"[\"eq\",\"seen\",\"2023-05-19T00:00:00.0009999Z\"]",
         "[\"eq\",{\"f\":\"seen\",\"t\":\"timestamp\"},1684454400000]"},
        {"[\"eq\",\"count\",\"1e3\"]", "[\"eq\",{\"f\":\"count\",\"t\":\"long\"},1000]"},
        {"[\"eq\",\"price\",\"0.10\"]", "[\"eq\",{\"f\":\"price\",\"t\":\"double\"},0.1]"},
        {"[\"eq\",\"price\",5]", "[\"eq\",{\"f\":\"price\",\"t\":\"double\"},5]"},
        {"[\"eq\",\"price\",-0.0]", "[\"eq\",{\"f\":\"price\",\"t\":\"double\"},0]"},
        {"[\"eq\",\"attributed\",\"false\"]",
         "[\"eq\",{\"f\":\"attributed\",\"t\":\"boolean\"},false]"},
        {"[\"eq\",\"seen\",\"2023-05-19T00:00:00Z\"]",
         "[\"eq\",{\"f\":\"seen\",\"t\":\"timestamp\"},1684454400000]"},
        {"[\"eq\",\"seen\",\"1684454400000\"]",
         "[\"eq\",{\"f\":\"seen\",\"t\":\"timestamp\"},1684454400000]"},
        {"[\"gt\",\"timestamp\",\"1969-12-31T23:59:59.999Z\"]",
         "[\"gt\",{\"f\":\"timestamp\",\"t\":\"timestamp\"},-1]"},
        {"[\"in\",\"name\",\"a\"]", "[\"in\",{\"f\":\"name\",\"t\":\"string\"},[\"a\"]]"},
        {"[\"in\",\"name\",[\"a\",null]]",
         "[\"in\",{\"f\":\"name\",\"t\":\"string\"},[\"a\",null]]"},
        {"[\"between\",\"count\",1,\"2\"]", "[\"between\",{\"f\":\"count\",\"t\":\"long\"},1,2]"},
        {"[\"array_contains\",\"tags\",5]",
         "[\"array_contains\",{\"f\":\"tags\",\"t\":\"json\"},5]"},
        {"[\"array_contains\",\"tags\",\"5\"]",
         "[\"array_contains\",{\"f\":\"tags\",\"t\":\"json\"},\"5\"]"},
        {"[\"array_contains\",\"tags\",0.5]",
         "[\"array_contains\",{\"f\":\"tags\",\"t\":\"json\"},0.5]"},
        {"[\"array_contains\",\"tags\",true]",
         "[\"array_contains\",{\"f\":\"tags\",\"t\":\"json\"},true]"},
        {"[[\"not\",[\"eq\",\"name\",null]]]",
         "[\"and\",[\"not\",[\"eq\",{\"f\":\"name\",\"t\":\"string\"},null]]]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_stored(fixture, cases[i].filter, cases[i].stored);
}

static void texts_may_hold_the_array(void **state)
{
    struct filter_fixture *fixture = *state;
    const char *stored = "[\"eq\",{\"f\":\"name\",\"t\":\"string\"},\"50%25+\"]";
    assert_stored(fixture, "\"[\\\"eq\\\",\\\"name\\\",\\\"50%25+\\\"]\"", stored);
    assert_stored(fixture, "\"%5B%22eq%22%2c%22name%22%2C%2250%2525+%22%5D\"", stored);
    assert_stored(fixture, "\"[%22eq%22,%22name%22,%2250%2525+%22]\"", stored);
    static const char *const texts[] = {"\"eq\"",        "\"{}\"",         "\"%5B\"",  "\"%\"",
                                        "\"%5\"",        "\"%zz\"",        "\"5\"",    "\"null\"",
                                        "\"%5B%00%5D\"", "\"\\\"[]\\\"\"", "\"[%ff]\""};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        filter_fixture_refuse(fixture, texts[i], "Invalid filter: array expected");
}

static void normalized(struct filter_fixture *fixture, const char *json, const char *expected)
{
    struct err err = {0};
    assert_true(json_tree_parse(slice_text(json), &fixture->tree, &err));
    const char *text = "untouched";
    assert_true(filter_normalize(json_tree_root(fixture->tree), &fixture->arena, &text, &err));
    json_tree_free(&fixture->tree);
    if (expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expected);
}

static void echoes_are_arrays(void **state)
{
    struct filter_fixture *fixture = *state;
    normalized(fixture, " [ \"eq\" , \"name\", 5 ] ", "[\"eq\",\"name\",5]");
    normalized(fixture, "\"%5B%22eq%22%2C %22name%22,1%5D\"", "[\"eq\",\"name\",1]");
    normalized(fixture, "[]", NULL);
    normalized(fixture, "null", NULL);
    struct err err = {0};
    assert_true(json_tree_parse(slice_text("{}"), &fixture->tree, &err));
    const char *text = "untouched";
    assert_false(filter_normalize(json_tree_root(fixture->tree), &fixture->arena, &text, &err));
    assert_string_equal(err.message, "Invalid filter: array expected");
    assert_string_equal(text, "untouched");
}

static void operators_are_known(void **state)
{
    (void)state;
    static const char *const names[] = {"eq",      "gt", "gte", "lt", "lte", "like",
                                        "between", "in", "and", "or", "not", "array_contains"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_true(filter_operator_is_known(slice_text(names[i])));
    assert_false(filter_operator_is_known(slice_text("neq")));
    assert_false(filter_operator_is_known(slice_text("")));
}

static void append_name(const struct column *column, void *context)
{
    struct buf *names = context;
    buf_append_format(names, "%s:%s ", column->name, field_type_name(column->type));
}

static void columns_come_once(void **state)
{
    struct filter_fixture *fixture = *state;
    const struct filter *filter = filter_fixture_parse(
        fixture, "[\"or\",[\"eq\",\"name\",\"a\"],[\"gt\",\"count\",1],"
                 "[\"not\",[\"eq\",\"name\",\"b\"]],[\"lt\",\"timestamp\",0]]");
    buf_reset(&fixture->text);
    filter_each_column(filter, append_name, &fixture->text);
    assert_string_equal(buf_text(&fixture->text), "name:string count:long timestamp:timestamp ");
    filter_each_column(NULL, append_name, NULL);
}

static void loading_keeps_the_types(void **state)
{
    struct filter_fixture *fixture = *state;
    // The field has another type by now, or is gone: the filter is what it was.
    struct err err = {0};
    assert_true(json_tree_parse(slice_text("[\"or\",[\"eq\",{\"f\":\"count\",\"t\":\"double\"},5],"
                                           "[\"gt\",{\"f\":\"gone\",\"t\":\"string\"},\"x\"]]"),
                                &fixture->tree, &err));
    const struct filter *filter = NULL;
    assert_true(filter_load(json_tree_root(fixture->tree), &fixture->arena, &filter, &err));
    filter_append_sql(filter, append_column, NULL, &fixture->text);
    assert_string_equal(buf_text(&fixture->text),
                        "((\"count\" = CAST('5' AS DOUBLE)) OR (\"gone\" > 'x'))");
    assert_true(filter_load(NULL, &fixture->arena, &filter, &err));
    assert_null(filter);
}

static void damaged_filters_are_corrupt(void **state)
{
    struct filter_fixture *fixture = *state;
    static const char *const texts[] = {
        "{}",
        "\"[]\"",
        "[]",
        "[\"eq\",\"name\",\"a\"]",
        "[\"eq\",{\"f\":\"name\"},\"a\"]",
        "[\"eq\",{\"f\":\"name\",\"t\":\"text\"},\"a\"]",
        "[\"eq\",{\"f\":\"name\",\"t\":\"long\"},\"a\"]",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct err err = {0};
        assert_true(json_tree_parse(slice_text(texts[i]), &fixture->tree, &err));
        const struct filter *filter = NULL;
        assert_false(filter_load(json_tree_root(fixture->tree), &fixture->arena, &filter, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        assert_null(filter);
        json_tree_free(&fixture->tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_no_filter, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(operators_are_printed, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(nulls_are_tests, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(patterns_are_printed, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(fractions_meet_whole_numbers, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(literals_cannot_break_out, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(elements_are_numbers_and_texts, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(values_take_the_type_of_the_field, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(texts_may_hold_the_array, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(echoes_are_arrays, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(operators_are_known, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(columns_come_once, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(loading_keeps_the_types, filter_fixture_set_up,
                                        filter_fixture_tear_down),
        cmocka_unit_test_setup_teardown(damaged_filters_are_corrupt, filter_fixture_set_up,
                                        filter_fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
