// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/json_tree.h"
#include "base/mem.h"
#include "job/recipe.h"

struct fixture {
    struct arena arena;
    struct err err;
};

#define assert_done(call)                                                                          \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, fixture->err.message);                                       \
    } while (0)

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

static const struct schema_field fields[] = {
    {.name = "name", .type = FIELD_TEXT},
    {.name = "size", .type = FIELD_INT64},
    {.name = "tags", .type = FIELD_JSON},
};
static const struct schema schema = {
    .topic_id = 3,
    .schema_id = 5,
    .topic_name = "milk_click",
    .fields = fields,
    .field_count = 3,
};

static const char *const asked[] = {"size", "name", "timestamp"};

static struct report report_of(const char *filter_typed)
{
    return (struct report){
        .format = REPORT_JSON,
        .compression = REPORT_ZSTD,
        .topic_name = "milk_click",
        .fields = asked,
        .field_count = 3,
        .filter_typed = filter_typed,
    };
}

static struct recipe_request request_of(const struct report *report)
{
    return (struct recipe_request){
        .report = report,
        .schema = &schema,
        .seq_lo = 7,
        .seq_hi = INT64_MAX,
        .csv_formula_guard = true,
        .part_bytes = 12345,
    };
}

static const char *filter_text(struct fixture *fixture, const char *source)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const struct filter *filter = NULL;
    assert_done(json_tree_parse(slice_text(source), &tree, &fixture->err));
    assert_done(
        filter_parse(json_tree_root(tree), &schema, &fixture->arena, &filter, &fixture->err));
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 65536);
    filter_store(filter, &text);
    return arena_copy_text(&fixture->arena, buf_text(&text));
}

static const char *store(struct fixture *fixture, const struct recipe *recipe)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 65536);
    recipe_store(recipe, &text);
    assert_done(buf_check(&text, &fixture->err));
    return arena_copy_text(&fixture->arena, buf_text(&text));
}

static void test_stored_recipe_comes_back(void **state)
{
    struct fixture *fixture = *state;
    const struct report report = report_of(filter_text(
        fixture,
        "[\"and\",[\"eq\",\"name\",\"a\\\"'\\u00e9\"],[\"gt\",\"size\",9007199254740993]]"));
    const struct recipe_request request = request_of(&report);
    struct recipe made;
    struct recipe loaded;
    assert_done(recipe_make(&request, &fixture->arena, &made, &fixture->err));
    const char *text = store(fixture, &made);
    assert_done(recipe_load(slice_text(text), &fixture->arena, &loaded, &fixture->err));
    assert_string_equal(store(fixture, &loaded), text);
    assert_int_equal(loaded.seq_lo, 7);
    assert_true(loaded.seq_hi == INT64_MAX);
    assert_int_equal(loaded.schema_id, 5);
    assert_int_equal(loaded.format, REPORT_JSON);
    assert_int_equal(loaded.compression, REPORT_ZSTD);
    assert_int_equal(loaded.part_bytes, 12345);
    assert_true(loaded.csv_formula_guard);
    assert_int_equal(loaded.column_count, 3);
    assert_string_equal(loaded.columns[0].name, "size");
    assert_int_equal(loaded.columns[0].type, FIELD_INT64);
    assert_string_equal(loaded.columns[2].name, "timestamp");
    assert_int_equal(loaded.columns[2].type, FIELD_TIME);
    assert_non_null(loaded.filter);
    assert_non_null(strstr(text, "9007199254740993"));
    assert_string_equal(loaded.encoder,
                        recipe_encoder_id(REPORT_JSON, REPORT_ZSTD, &fixture->arena));
}

static void test_no_filter_comes_back_as_none(void **state)
{
    struct fixture *fixture = *state;
    const struct report report = report_of(NULL);
    const struct recipe_request request = request_of(&report);
    struct recipe made;
    struct recipe loaded;
    assert_done(recipe_make(&request, &fixture->arena, &made, &fixture->err));
    assert_null(made.filter);
    assert_done(
        recipe_load(slice_text(store(fixture, &made)), &fixture->arena, &loaded, &fixture->err));
    assert_null(loaded.filter);
}

static void test_field_that_is_gone_is_said(void **state)
{
    struct fixture *fixture = *state;
    static const char *const gone[] = {"name", "no_such_field"};
    struct report report = report_of(NULL);
    report.fields = gone;
    report.field_count = 2;
    const struct recipe_request request = request_of(&report);
    struct recipe made;
    assert_false(recipe_make(&request, &fixture->arena, &made, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_string_equal(fixture->err.message,
                        "schema_changed: field no_such_field of report_fields "
                        "is not in topic milk_click any more");
}

// It would read as missing, and `not` would pass every row.
static void test_field_of_the_filter_that_is_gone_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct report report = report_of(filter_text(
        fixture, "[\"or\",[\"eq\",\"name\",\"a\"],[\"not\",[\"array_contains\",\"tags\",1]]]"));
    struct recipe_request request = request_of(&report);
    struct recipe made;
    assert_done(recipe_make(&request, &fixture->arena, &made, &fixture->err));
    struct schema smaller = schema;
    smaller.field_count = 2; // without tags
    request.schema = &smaller;
    assert_false(recipe_make(&request, &fixture->arena, &made, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID); // not tried again
    assert_string_equal(fixture->err.message, "schema_changed: field tags of the filter is not in "
                                              "topic milk_click any more");
    report.wants_all = true;
    assert_false(recipe_make(&request, &fixture->arena, &made, &fixture->err));
}

static void test_damaged_recipes_are_corrupt(void **state)
{
    struct fixture *fixture = *state;
    static const char *const replacements[][2] = {
        {"{\"seq_lo\":7", "\"seq_lo\":7"},
        {"\"seq_lo\":7", "\"seq_low\":7"},
        {"\"seq_lo\":7", "\"seq_lo\":\"7\""},
        {"\"seq_hi\":9223372036854775807", "\"seq_hi\":6"},
        {"\"schema_id\":5", "\"schema_id\":null"},
        {"\"format\":1", "\"format\":3"},
        {"\"format\":1", "\"format\":-1"},
        {"\"format\":1", "\"format\":4294967297"},
        {"\"compression\":2", "\"compression\":4"},
        {"\"part_bytes\":12345", "\"part_bytes\":0"},
        {"\"encoder\":\"", "\"encoder\":1,\"x\":\""},
        {"\"long\"", "\"longer\""},
        {"\"columns\":[", "\"columns\":[],\"x\":["},
        {"\"filter\":null", "\"filter\":{\"a\":1}"},
    };
    const struct report report = report_of(NULL);
    const struct recipe_request request = request_of(&report);
    struct recipe recipe;
    assert_done(recipe_make(&request, &fixture->arena, &recipe, &fixture->err));
    const char *text = store(fixture, &recipe);
    for (size_t i = 0; i < sizeof replacements / sizeof replacements[0]; i++) {
        const char *at = strstr(text, replacements[i][0]);
        if (at == NULL)
            fail_msg("%s is not in %s", replacements[i][0], text);
        const char *damaged = arena_format(&fixture->arena, "%.*s%s%s", (int)(at - text), text,
                                           replacements[i][1], at + strlen(replacements[i][0]));
        if (recipe_load(slice_text(damaged), &fixture->arena, &recipe, &fixture->err))
            fail_msg("%s was taken", damaged);
        if (fixture->err.kind != ERR_CORRUPT)
            fail_msg("%s: %s", damaged, err_kind_name(fixture->err.kind));
    }
}

// Parquet compresses inside, text around.
static void test_what_old_recipes_do_not_say_is_none(void **state)
{
    struct fixture *fixture = *state;
    struct report report = report_of(NULL);
    struct recipe_request request = request_of(&report);
    struct recipe recipe;
    assert_done(recipe_make(&request, &fixture->arena, &recipe, &fixture->err));
    const char *text = store(fixture, &recipe);
    assert_null(strstr(text, "row_limit"));
    assert_null(strstr(text, "part_rows"));
    assert_null(strstr(text, "apps"));
    assert_done(recipe_load(slice_text(text), &fixture->arena, &recipe, &fixture->err));
    assert_int_equal(recipe.row_limit, 0);
    assert_int_equal(recipe.part_rows, 0);
    assert_null(recipe.app_ids);

    static const char *const apps[] = {"123456789012345678", "1234567890123456789"};
    report.row_limit = 100;
    report.part_rows = 7;
    report.compression = REPORT_UNCOMPRESSED;
    request.app_ids = apps;
    request.app_count = 2;
    assert_done(recipe_make(&request, &fixture->arena, &recipe, &fixture->err));
    text = store(fixture, &recipe);
    assert_done(recipe_load(slice_text(text), &fixture->arena, &recipe, &fixture->err));
    assert_int_equal(recipe.row_limit, 100);
    assert_int_equal(recipe.part_rows, 7);
    assert_int_equal(recipe.compression, REPORT_UNCOMPRESSED);
    assert_int_equal(recipe_compress_method(&recipe), COMPRESS_NONE);
    assert_int_equal(recipe.app_count, 2);
    assert_string_equal(recipe.app_ids[1], apps[1]);

    request.app_count = 0; // an organization without apps is not a job of one app
    assert_done(recipe_make(&request, &fixture->arena, &recipe, &fixture->err));
    text = store(fixture, &recipe);
    assert_done(recipe_load(slice_text(text), &fixture->arena, &recipe, &fixture->err));
    assert_non_null(recipe.app_ids);
    assert_int_equal(recipe.app_count, 0);
}

static void test_where_compression_happens(void **state)
{
    (void)state;
    struct recipe recipe = {.format = REPORT_PARQUET, .compression = REPORT_SNAPPY};
    assert_int_equal(recipe_codec(&recipe), ENCODER_CODEC_SNAPPY);
    assert_int_equal(recipe_compress_method(&recipe), COMPRESS_NONE);
    recipe.compression = REPORT_GZ;
    assert_int_equal(recipe_codec(&recipe), ENCODER_CODEC_GZIP);
    recipe.compression = REPORT_ZSTD;
    assert_int_equal(recipe_codec(&recipe), ENCODER_CODEC_ZSTD);
    recipe.format = REPORT_CSV;
    assert_int_equal(recipe_codec(&recipe), ENCODER_CODEC_NONE);
    assert_int_equal(recipe_compress_method(&recipe), COMPRESS_ZSTD);
    recipe.compression = REPORT_SNAPPY;
    assert_int_equal(recipe_compress_method(&recipe), COMPRESS_SNAPPY);
    recipe.compression = REPORT_GZ;
    assert_int_equal(recipe_compress_method(&recipe), COMPRESS_GZIP);
    assert_int_equal(recipe_encoder_format(REPORT_CSV), ENCODER_CSV);
    assert_int_equal(recipe_encoder_format(REPORT_JSON), ENCODER_JSON);
    assert_int_equal(recipe_encoder_format(REPORT_PARQUET), ENCODER_PARQUET);
}

// Two that write other bytes have other ids.
static void test_encoder_ids_differ(void **state)
{
    struct fixture *fixture = *state;
    const char *ids[9];
    for (size_t i = 0; i < 9; i++) {
        ids[i] = recipe_encoder_id((enum report_format)(i / 3), (enum report_compression)(i % 3),
                                   &fixture->arena);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stored_recipe_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_filter_comes_back_as_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_field_that_is_gone_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_field_of_the_filter_that_is_gone_is_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_recipes_are_corrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_old_recipes_do_not_say_is_none, set_up,
                                        tear_down),
        cmocka_unit_test(test_where_compression_happens),
        cmocka_unit_test_setup_teardown(test_encoder_ids_differ, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
