// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/schema.h"

static const struct schema_field own_fields[] = {
    {.name = "referrer", .type = FIELD_TEXT, .origin = FIELD_DECLARED},
    {.name = "Referrer", .type = FIELD_INT64, .origin = FIELD_LEARNED},
    {.name = "app_name", .type = FIELD_TEXT, .origin = FIELD_LEARNED}, // no built-in one
};
static const struct schema own = {
    .topic_name = "own", .fields = own_fields, .field_count = ARRAY_COUNT(own_fields)};

static void fields_are_found(void **state)
{
    (void)state;
    assert_ptr_equal(schema_find(&own, slice_text("referrer")), &own_fields[0]);
    assert_ptr_equal(schema_find(&own, slice_text("Referrer")), &own_fields[1]);
    assert_null(schema_find(&own, slice_text("REFERRER")));
    assert_null(schema_find(&own, slice_text("")));
    assert_ptr_equal(schema_find(&own, slice_text("timestamp")), &schema_system_fields[2]);
    assert_int_equal(schema_find(&own, slice_text("timestamp"))->type, FIELD_TIME);
    assert_int_equal(schema_find(&own, slice_text("app_id"))->type, FIELD_INT64);
    assert_int_equal(schema_find(&own, slice_text("organization_id"))->type, FIELD_INT64);
}

static void builtin_topics_are_complete(void **state)
{
    (void)state;
    size_t count = 0;
    for (; schema_builtin_name(count) != NULL; count++) {
        const struct schema *schema = schema_builtin(slice_text(schema_builtin_name(count)));
        assert_non_null(schema);
        assert_string_equal(schema->topic_name, schema_builtin_name(count));
        assert_int_equal(schema->topic_id, 0);
        assert_true(schema_topic_name_is_valid(slice_text(schema->topic_name)));
    }
    assert_int_equal(count, 34);
    assert_null(schema_builtin_name(1000));
    assert_null(schema_builtin(slice_text("eo_unknown")));
    assert_null(schema_builtin(slice_text("EO_OPEN")));
    assert_null(schema_builtin(slice_text("")));
    assert_non_null(schema_builtin(slice_text("eo_web_to_app_auto_redirect_blocked")));
}

static void assert_builtin(const char *name, enum field_type type, bool is_sensitive)
{
    const struct schema *schema = schema_builtin(slice_text("eo_click"));
    const struct schema_field *field = schema_find(schema, slice_text(name));
    assert_non_null(field);
    assert_int_equal(field->type, type);
    assert_int_equal(field->origin, FIELD_BUILTIN);
    assert_int_equal(field->is_sensitive, is_sensitive);
}

static void builtin_fields_have_types(void **state)
{
    (void)state;
    assert_builtin("id", FIELD_TEXT, false);
    assert_builtin("name", FIELD_TEXT, false);
    assert_builtin("attributed", FIELD_BOOL, false);
    assert_builtin("event_data_revenue", FIELD_DOUBLE, false);
    assert_builtin("user_data_geo_lat", FIELD_DOUBLE, true);
    assert_builtin("user_data_screen_height", FIELD_INT64, false);
    assert_builtin("user_data_ip", FIELD_TEXT, true);
    assert_builtin("user_data_idfa", FIELD_TEXT, true);
    assert_builtin("user_data_developer_identity", FIELD_TEXT, true);
    assert_builtin("custom_data", FIELD_JSON, false);
    assert_builtin("event_data_custom_param_3", FIELD_TEXT, false);
    assert_builtin("last_attributed_touch_data_tilde_campaign", FIELD_TEXT, false);
    const struct schema *schema = schema_builtin(slice_text("eo_click"));
    assert_null(schema_find(schema, slice_text("datasource"))); // never exported
    assert_int_equal(schema->field_count, 352);
    for (size_t i = 0; i < schema->field_count; i++) {
        assert_ptr_equal(schema_find(schema, slice_text(schema->fields[i].name)),
                         &schema->fields[i]); // no duplicates, no system column
    }
}

static void indexes_agree_with_the_schema(void **state)
{
    (void)state;
    const struct schema *schema = schema_builtin(slice_text("eo_open"));
    struct schema_index *index = schema_index_new(schema);
    for (size_t i = 0; i < schema->field_count; i++)
        assert_int_equal(schema_index_find(index, slice_text(schema->fields[i].name)), (int)i);
    assert_int_equal(schema_index_find(index, slice_text("no_such_field")), -1);
    assert_int_equal(schema_index_find(index, slice_text("timestamp")), -1);
    assert_int_equal(schema_index_find(index, slice_of(NULL, 0)), -1);
    schema_index_free(&index);
    assert_null(index);
    schema_index_free(&index);
    const struct schema empty = {.topic_name = "empty"};
    index = schema_index_new(&empty);
    assert_int_equal(schema_index_find(index, slice_text("a")), -1);
    schema_index_free(&index);
}

static void topic_names_are_checked(void **state)
{
    (void)state;
    char longest[129];
    memset(longest, 'a', sizeof longest);
    assert_true(schema_topic_name_is_valid(slice_of(longest, 128)));
    assert_false(schema_topic_name_is_valid(slice_of(longest, 129)));
    assert_true(schema_topic_name_is_valid(slice_text("Page.View-2_x")));
    assert_true(schema_topic_name_is_valid(slice_text("9")));
    static const char *const names[] = {"",    "_a", ".a",       "-a", "a b",
                                        "a/b", "a%", "\xc3\xa9", "a\n"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_false(schema_topic_name_is_valid(slice_text(names[i])));
    assert_false(schema_topic_name_is_valid(slice_of("a\0", 2)));
}

static void types_widen_without_loss(void **state)
{
    (void)state;
    assert_int_equal(schema_widen(FIELD_INT64, false, FIELD_INT64, true), FIELD_INT64);
    assert_int_equal(schema_widen(FIELD_INT64, false, FIELD_DOUBLE, false), FIELD_DOUBLE);
    assert_int_equal(schema_widen(FIELD_INT64, true, FIELD_DOUBLE, false), FIELD_TEXT);
    assert_int_equal(schema_widen(FIELD_DOUBLE, false, FIELD_INT64, false), FIELD_DOUBLE);
    assert_int_equal(schema_widen(FIELD_DOUBLE, false, FIELD_INT64, true), FIELD_TEXT);
    for (int known = 0; known < FIELD_TYPE_COUNT; known++) {
        for (int seen = 0; seen < FIELD_TYPE_COUNT; seen++) {
            const bool is_number = (known == FIELD_INT64 || known == FIELD_DOUBLE) &&
                                   (seen == FIELD_INT64 || seen == FIELD_DOUBLE);
            if (is_number && known != seen)
                continue;
            assert_int_equal(
                schema_widen((enum field_type)known, false, (enum field_type)seen, false),
                known == seen ? (enum field_type)known : FIELD_TEXT);
        }
    }
}

static size_t position_of(const struct column *columns, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(columns[i].name, name) == 0)
            return i;
    }
    fail_msg("no column %s", name);
    return 0;
}

static void all_has_the_documented_order(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct column *columns = NULL;
    const size_t count = schema_all_columns(schema_builtin(slice_text("eo_open")), &arena,
                                            &columns);
    assert_int_equal(count, 355);
    assert_string_equal(columns[0].name, "app_id");
    assert_string_equal(columns[1].name, "app_name");
    assert_int_equal(position_of(columns, count, "organization_id"), 167);
    assert_int_equal(position_of(columns, count, "timestamp"), 213);
    assert_string_equal(columns[214].name, "timestamp_iso");
    assert_int_equal(columns[213].type, FIELD_TIME);
    // After the 290 of the custom exports: what subscriptions list besides, then the rest.
    assert_string_equal(columns[290].name, "event_data_custom_param_1");
    assert_string_equal(columns[292].name, "event_data_custom_param_3");
    arena_clear(&arena);
}

static void learned_fields_come_last(void **state)
{
    (void)state;
    const struct schema *builtin = schema_builtin(slice_text("eo_open"));
    struct arena arena;
    arena_init(&arena);
    struct schema_field *fields = arena_alloc_array(&arena, builtin->field_count + 1,
                                                    sizeof *fields);
    memcpy(fields, builtin->fields, builtin->field_count * sizeof *fields);
    fields[builtin->field_count] =
        (struct schema_field){.name = "zz", .type = FIELD_INT64, .origin = FIELD_LEARNED};
    const struct schema schema = {
        .topic_name = "eo_open", .fields = fields, .field_count = builtin->field_count + 1};
    struct column *columns = NULL;
    const size_t count = schema_all_columns(&schema, &arena, &columns);
    assert_int_equal(count, 356);
    assert_string_equal(columns[355].name, "zz");
    assert_string_equal(columns[213].name, "timestamp");
    arena_clear(&arena);
}

static void own_topics_start_with_the_system_columns(void **state)
{
    (void)state;
    static const char *const names[] = {"app_id",   "organization_id", "timestamp",
                                        "referrer", "Referrer",        "app_name"};
    struct arena arena;
    arena_init(&arena);
    struct column *columns = NULL;
    assert_int_equal(schema_all_columns(&own, &arena, &columns), ARRAY_COUNT(names));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_string_equal(columns[i].name, names[i]);
    const struct schema empty = {.topic_name = "empty"};
    assert_int_equal(schema_all_columns(&empty, &arena, &columns), 3);
    arena_clear(&arena);
}

static void unavailable_fields_are_named_when_plain(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(schema_set_unavailable(&err, slice_text("no_such_field")));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, "no_such_field field is not available for exports");
    assert_false(schema_set_unavailable(&err, slice_text("name\"; DROP TABLE x; --")));
    assert_string_equal(err.message, "field is not available for exports");
    assert_false(schema_set_unavailable(&err, slice_text("")));
    assert_string_equal(err.message, "field is not available for exports");
    char longest[257];
    memset(longest, 'a', sizeof longest);
    assert_false(schema_set_unavailable(&err, slice_of(longest, 257)));
    assert_string_equal(err.message, "field is not available for exports");
}

static void test_every_topic_can_be_asked_for_the_event_id(void **state)
{
    (void)state;
    const struct schema_field fields[] = {{.name = "a", .type = FIELD_INT64}};
    const struct schema schema = {.topic_name = "t", .fields = fields, .field_count = 1};
    const struct schema_field *id = schema_find(&schema, slice_text("id"));
    assert_non_null(id);
    assert_int_equal(id->type, FIELD_TEXT);
    assert_null(schema_find(&schema, slice_text("ID")));
    struct arena arena;
    arena_init(&arena);
    struct column *columns = NULL;
    assert_int_equal(schema_all_columns(&schema, &arena, &columns),
                     4); // three of the system, and a
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_topic_can_be_asked_for_the_event_id),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(builtin_topics_are_complete),
        cmocka_unit_test(builtin_fields_have_types),
        cmocka_unit_test(indexes_agree_with_the_schema),
        cmocka_unit_test(topic_names_are_checked),
        cmocka_unit_test(types_widen_without_loss),
        cmocka_unit_test(all_has_the_documented_order),
        cmocka_unit_test(learned_fields_come_last),
        cmocka_unit_test(own_topics_start_with_the_system_columns),
        cmocka_unit_test(unavailable_fields_are_named_when_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
