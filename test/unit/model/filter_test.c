// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "model/filter.h"

static const struct schema_field fields[] = {
    {.name = "id", .type = FIELD_TEXT},         {.name = "name", .type = FIELD_TEXT},
    {.name = "count", .type = FIELD_INT64},     {.name = "price", .type = FIELD_DOUBLE},
    {.name = "attributed", .type = FIELD_BOOL}, {.name = "tags", .type = FIELD_JSON},
    {.name = "seen", .type = FIELD_TIME},       {.name = "odd\"name", .type = FIELD_TEXT},
};
static const struct schema schema = {
    .topic_name = "t", .fields = fields, .field_count = ARRAY_COUNT(fields)};

struct fixture {
    struct arena arena;
    struct json_tree *tree;
    struct buf text;
};

static int setup(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena);
    fixture.tree = NULL;
    buf_init(&fixture.text, (size_t)4 * 1024 * 1024);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    json_tree_free(&fixture->tree);
    arena_clear(&fixture->arena);
    buf_clear(&fixture->text);
    return 0;
}

static bool try_parse(struct fixture *fixture, const char *json, const struct filter **ret_filter,
                      struct err *err)
{
    json_tree_free(&fixture->tree);
    struct err broken = {0};
    if (!json_tree_parse(slice_text(json), &fixture->tree, &broken))
        fail_msg("the test's own JSON: %s", broken.message);
    const bool is_parsed = filter_parse(json_tree_root(fixture->tree), &schema, &fixture->arena,
                                        ret_filter, err);
    json_tree_free(&fixture->tree); // the filter has copied what it needs
    return is_parsed;
}

static const struct filter *parse(struct fixture *fixture, const char *json)
{
    const struct filter *filter = NULL;
    struct err err = {0};
    if (!try_parse(fixture, json, &filter, &err))
        fail_msg("%s: %s", json, err.message);
    return filter;
}

static void assert_refused(struct fixture *fixture, const char *json, const char *message)
{
    const struct filter *filter = NULL;
    struct err err = {0};
    if (try_parse(fixture, json, &filter, &err))
        fail_msg("accepted: %.200s", json);
    assert_null(filter);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, message);
}

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

static void assert_sql(struct fixture *fixture, const char *json, const char *expected)
{
    const struct filter *filter = parse(fixture, json);
    buf_reset(&fixture->text);
    size_t column_count = 0;
    filter_append_sql(filter, append_column, &column_count, &fixture->text);
    assert_string_equal(buf_text(&fixture->text), expected);
    assert_int_equal(column_count == 0, filter == NULL);
}

// Stores, loads without the schema, stores again: the same bytes, which are `expected`.
static void assert_stored(struct fixture *fixture, const char *json, const char *expected)
{
    buf_reset(&fixture->text);
    filter_store(parse(fixture, json), &fixture->text);
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
    struct fixture *fixture = *state;
    const struct filter *filter = NULL;
    struct err err = {0};
    assert_true(filter_parse(NULL, &schema, &fixture->arena, &filter, &err));
    assert_null(filter);
    assert_null(parse(fixture, "null"));
    assert_null(parse(fixture, "[]"));
    assert_null(parse(fixture, "\"[]\""));
    assert_sql(fixture, "[]", "TRUE");
    assert_stored(fixture, "[]", "null");
}

static void operators_are_printed(void **state)
{
    struct fixture *fixture = *state;
    assert_sql(fixture, "[\"eq\",\"name\",\"PURCHASE\"]", "(\"name\" = 'PURCHASE')");
    assert_sql(fixture, "[\"gt\",\"count\",7]", "(\"count\" > CAST('7' AS BIGINT))");
    assert_sql(fixture, "[\"gte\",\"count\",\"7\"]", "(\"count\" >= CAST('7' AS BIGINT))");
    assert_sql(fixture, "[\"lt\",\"price\",0.1]", "(\"price\" < CAST('0.1' AS DOUBLE))");
    assert_sql(fixture, "[\"lte\",\"price\",-3]", "(\"price\" <= CAST('-3' AS DOUBLE))");
    assert_sql(fixture, "[\"eq\",\"attributed\",\"true\"]", "(\"attributed\" = TRUE)");
    assert_sql(fixture, "[\"eq\",\"attributed\",false]", "(\"attributed\" = FALSE)");
    assert_sql(fixture, "[\"like\",\"name\",\"50\\\\%_x\"]",
               "(\"name\" LIKE '50\\%_x' ESCAPE '\\')");
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
    struct fixture *fixture = *state;
    assert_sql(fixture, "[\"eq\",\"name\",null]", "(\"name\" IS NULL)");
    assert_sql(fixture, "[\"in\",\"name\",[null]]", "(\"name\" IS NULL)");
    assert_sql(fixture, "[\"in\",\"name\",[\"a\",null,\"b\",null]]",
               "(\"name\" IS NULL OR \"name\" IN ('a', 'b'))");
    assert_refused(fixture, "[\"gt\",\"count\",null]", "Invalid filter value");
    assert_refused(fixture, "[\"like\",\"name\",null]", "Invalid filter value");
    assert_refused(fixture, "[\"between\",\"count\",1,null]", "Invalid filter value");
    assert_refused(fixture, "[\"array_contains\",\"tags\",null]", "Invalid filter value");
}

static void literals_cannot_break_out(void **state)
{
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
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

static void values_that_do_not_fit_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char *const filters[] = {
        "[\"gt\",\"timestamp\",\"abc\"]",
        "[\"eq\",\"id\",{}]",
        "[\"eq\",\"id\",[1]]",
        "[\"eq\",\"tags\",[1]]",
        "[\"eq\",\"count\",\"x\"]",
        "[\"eq\",\"count\",\"\"]",
        "[\"eq\",\"count\",1.5]",
        "[\"eq\",\"count\",1e300]",
        "[\"eq\",\"count\",\"9223372036854775808\"]",
        "[\"eq\",\"count\",true]",
        "[\"eq\",\"price\",\"NaN\"]",
        "[\"eq\",\"price\",\"1e999\"]",
        "[\"eq\",\"price\",\"0x10\"]",
        "[\"eq\",\"price\",\" 1\"]",
        "[\"eq\",\"price\",false]",
        "[\"eq\",\"attributed\",\"TRUE\"]",
        "[\"eq\",\"attributed\",1]",
        "[\"eq\",\"seen\",true]",
        "[\"eq\",\"seen\",\"2023-02-29\"]",
        "[\"in\",\"count\",[1,\"x\"]]",
        "[\"in\",\"count\",[1],2]",
        "[\"in\",\"count\",[[1]]]",
        "[\"array_contains\",\"tags\",[1]]",
        "[\"array_contains\",\"tags\",{}]",
        "[\"like\",\"name\",\"a\\\\\"]",
    };
    for (size_t i = 0; i < ARRAY_COUNT(filters); i++)
        assert_refused(fixture, filters[i], "Invalid filter value");
}

static void shapes_are_checked(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *filter;
        const char *message;
    } cases[] = {
        {"[\"regex\",\"name\",\"a\"]", "Unknown filter operator"},
        {"[\"neq\",\"name\",\"a\"]", "Unknown filter operator"},
        {"[\"EQ\",\"name\",\"a\"]", "Unknown filter operator"},
        {"[null]", "Unknown filter operator"},
        {"[[]]", "Unknown filter operator"},
        {"[7]", "Unknown filter operator"},
        {"[\"and\",[[\"eq\",\"name\",\"a\"]]]", "Unknown filter operator"}, // only at the top
        {"[\"and\"]", "Invalid filter: wrong number of operands"},
        {"[\"or\"]", "Invalid filter: wrong number of operands"},
        {"[\"not\"]", "Invalid filter: wrong number of operands"},
        {"[\"not\",[\"and\"],[\"or\"]]", "Invalid filter: wrong number of operands"},
        {"[\"eq\",\"name\"]", "Invalid filter: wrong number of operands"},
        {"[\"eq\",\"name\",\"a\",\"b\"]", "Invalid filter: wrong number of operands"},
        {"[\"between\",\"count\",1]", "Invalid filter: wrong number of operands"},
        {"[\"in\",\"name\"]", "Invalid filter: wrong number of operands"},
        {"[\"in\",\"name\",[]]", "Invalid filter: wrong number of operands"},
        {"\"eq\"", "Invalid filter: array expected"},
        {"{\"eq\":[\"name\",\"a\"]}", "Invalid filter: array expected"},
        {"5", "Invalid filter: array expected"},
        {"true", "Invalid filter: array expected"},
        {"\"\"", "Invalid filter: array expected"},
        {"[\"and\",\"x\"]", "Invalid filter: array expected"},
        {"[[\"eq\",\"name\",\"a\"],5]", "Invalid filter: array expected"},
        {"[\"eq\",5,\"a\"]", "Invalid filter: field name expected"},
        {"[\"eq\",{\"f\":\"name\",\"t\":\"string\"},\"a\"]", "Invalid filter: field name expected"},
        {"[\"eq\",\"no_such_field\",\"x\"]", "no_such_field field is not available for exports"},
        {"[\"eq\",\"Name\",\"x\"]", "Name field is not available for exports"},
        {"[\"eq\",\"name\\\"; DROP TABLE x; --\",1]", "field is not available for exports"},
        {"[\"like\",\"count\",\"1%\"]", "Invalid filter: like needs a string field"},
        {"[\"array_contains\",\"count\",1]", "Invalid filter: array_contains needs an array field"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_refused(fixture, cases[i].filter, cases[i].message);
}

static void texts_may_hold_the_array(void **state)
{
    struct fixture *fixture = *state;
    const char *stored = "[\"eq\",{\"f\":\"name\",\"t\":\"string\"},\"50%25+\"]";
    assert_stored(fixture, "\"[\\\"eq\\\",\\\"name\\\",\\\"50%25+\\\"]\"", stored);
    assert_stored(fixture, "\"%5B%22eq%22%2c%22name%22%2C%2250%2525+%22%5D\"", stored);
    assert_stored(fixture, "\"[%22eq%22,%22name%22,%2250%2525+%22]\"", stored);
    static const char *const texts[] = {"\"eq\"",        "\"{}\"",         "\"%5B\"",  "\"%\"",
                                        "\"%5\"",        "\"%zz\"",        "\"5\"",    "\"null\"",
                                        "\"%5B%00%5D\"", "\"\\\"[]\\\"\"", "\"[%ff]\""};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        assert_refused(fixture, texts[i], "Invalid filter: array expected");
}

static void normalized(struct fixture *fixture, const char *json, const char *expected)
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
    struct fixture *fixture = *state;
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

// count times "not" around a comparison: depth count + 1.
static const char *nested(struct fixture *fixture, size_t count)
{
    buf_reset(&fixture->text);
    for (size_t i = 0; i < count; i++)
        buf_append_text(&fixture->text, "[\"not\",");
    buf_append_text(&fixture->text, "[\"eq\",\"name\",\"a\"]");
    for (size_t i = 0; i < count; i++)
        buf_append_char(&fixture->text, ']');
    return arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
}

static const char *repeated(struct fixture *fixture, const char *start, const char *item,
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
    struct fixture *fixture = *state;
    const char *complex = "Filter too complex";
    assert_non_null(parse(fixture, nested(fixture, 31)));
    assert_refused(fixture, nested(fixture, 32), complex);
    const char *clause = "[\"eq\",\"name\",\"a\"]";
    assert_non_null(parse(fixture, repeated(fixture, "[\"or\",", clause, 999, "]")));
    assert_refused(fixture, repeated(fixture, "[\"or\",", clause, 1000, "]"), complex);
    assert_refused(fixture, repeated(fixture, "[\"or\",", clause, 5000, "]"), complex);
    assert_refused(fixture, repeated(fixture, "[", clause, 1000, "]"), complex);
    assert_non_null(parse(fixture, repeated(fixture, "[\"in\",\"count\",[", "1", 10000, "]]")));
    assert_refused(fixture, repeated(fixture, "[\"in\",\"count\",[", "1", 10001, "]]"), complex);
    assert_refused(fixture, repeated(fixture, "[\"in\",\"count\",", "1", 10001, "]"), complex);
    assert_non_null(parse(fixture, repeated(fixture, "[\"like\",\"name\",\"", "%", 50, "\"]")));
    assert_non_null(
        parse(fixture, repeated(fixture, "[\"like\",\"name\",\"%_", "%\\\\%", 48, "\"]")));
    assert_refused(fixture, repeated(fixture, "[\"like\",\"name\",\"", "%a", 51, "\"]"), complex);
}

static void values_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    for (size_t size = 65536; size <= 65537; size++) {
        buf_reset(&fixture->text);
        buf_append_text(&fixture->text, "[\"eq\",\"name\",\"");
        for (size_t i = 0; i < size; i++)
            buf_append_char(&fixture->text, 'a');
        buf_append_text(&fixture->text, "\"]");
        const char *json = arena_copy_slice(&fixture->arena, buf_slice(&fixture->text));
        if (size == 65536)
            assert_non_null(parse(fixture, json));
        else
            assert_refused(fixture, json, "Filter value too long");
    }
}

static void append_name(const struct column *column, void *context)
{
    struct buf *names = context;
    buf_append_format(names, "%s:%s ", column->name, field_type_name(column->type));
}

static void columns_come_once(void **state)
{
    struct fixture *fixture = *state;
    const struct filter *filter =
        parse(fixture, "[\"or\",[\"eq\",\"name\",\"a\"],[\"gt\",\"count\",1],"
                       "[\"not\",[\"eq\",\"name\",\"b\"]],[\"lt\",\"timestamp\",0]]");
    buf_reset(&fixture->text);
    filter_each_column(filter, append_name, &fixture->text);
    assert_string_equal(buf_text(&fixture->text), "name:string count:long timestamp:timestamp ");
    filter_each_column(NULL, append_name, NULL);
}

static void loading_keeps_the_types(void **state)
{
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
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
        cmocka_unit_test_setup_teardown(nothing_is_no_filter, setup, teardown),
        cmocka_unit_test_setup_teardown(operators_are_printed, setup, teardown),
        cmocka_unit_test_setup_teardown(nulls_are_tests, setup, teardown),
        cmocka_unit_test_setup_teardown(literals_cannot_break_out, setup, teardown),
        cmocka_unit_test_setup_teardown(elements_are_numbers_and_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(values_take_the_type_of_the_field, setup, teardown),
        cmocka_unit_test_setup_teardown(values_that_do_not_fit_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(shapes_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_may_hold_the_array, setup, teardown),
        cmocka_unit_test_setup_teardown(echoes_are_arrays, setup, teardown),
        cmocka_unit_test_setup_teardown(operators_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(values_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(columns_come_once, setup, teardown),
        cmocka_unit_test_setup_teardown(loading_keeps_the_types, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_filters_are_corrupt, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
