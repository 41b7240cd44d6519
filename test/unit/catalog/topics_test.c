// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"
#include "catalog/topics.h"

#define NOW_MS  INT64_C(1700000000000)
#define ORG     "100000000000000001"
#define OTHER   "100000000000000002"
#define BUILTIN "eo_click"

struct fixture {
    struct catalog *catalog;
    struct arena arena;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    if (!catalog_create(":memory:", &fixture->catalog, &fixture->err))
        return -1;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(&fixture->catalog);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static const struct schema *learn(struct fixture *fixture, const char *name,
                                  const struct topic_sighting *sightings, size_t count)
{
    const struct schema *schema = NULL;
    if (!topic_learn(fixture->catalog, ORG, slice_text(name), sightings, count, NOW_MS,
                     &fixture->arena, &schema, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return schema;
}

static const struct schema *declare(struct fixture *fixture, const char *name,
                                    const struct schema_field *fields, size_t count)
{
    const struct schema *schema = NULL;
    if (!topic_declare(fixture->catalog, ORG, slice_text(name), fields, count, NOW_MS,
                       &fixture->arena, &schema, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return schema;
}

static void assert_not_learned(struct fixture *fixture, const char *name,
                               const struct topic_sighting *sightings, size_t count,
                               enum err_kind kind)
{
    const struct schema *schema = NULL;
    assert_false(topic_learn(fixture->catalog, ORG, slice_text(name), sightings, count, NOW_MS,
                             &fixture->arena, &schema, &fixture->err));
    assert_int_equal(fixture->err.kind, kind);
    assert_null(schema);
}

static void assert_not_declared(struct fixture *fixture, const char *name,
                                const struct schema_field *fields, size_t count, enum err_kind kind)
{
    const struct schema *schema = NULL;
    assert_false(topic_declare(fixture->catalog, ORG, slice_text(name), fields, count, NOW_MS,
                               &fixture->arena, &schema, &fixture->err));
    assert_int_equal(fixture->err.kind, kind);
    assert_null(schema);
}

static const struct schema *get(struct fixture *fixture, const char *name)
{
    const struct schema *schema = NULL;
    if (!topic_get(fixture->catalog, ORG, slice_text(name), &fixture->arena, &schema,
                   &fixture->err))
        fail_msg("%s: %s", name, fixture->err.message);
    assert_string_equal(schema->topic_name, name);
    return schema;
}

static void assert_same(const struct schema *left, const struct schema *right)
{
    assert_int_equal(left->topic_id, right->topic_id);
    assert_int_equal(left->schema_id, right->schema_id);
    assert_string_equal(left->topic_name, right->topic_name);
    assert_int_equal(left->field_count, right->field_count);
    for (size_t i = 0; i < left->field_count; i++) {
        assert_string_equal(left->fields[i].name, right->fields[i].name);
        assert_int_equal(left->fields[i].type, right->fields[i].type);
        assert_int_equal(left->fields[i].origin, right->fields[i].origin);
        assert_int_equal(left->fields[i].is_sensitive, right->fields[i].is_sensitive);
        assert_int_equal(left->fields[i].is_wide, right->fields[i].is_wide);
    }
}

// --- Learning

static void a_topic_is_made_by_its_first_events(void **state)
{
    struct fixture *fixture = *state;
    const struct schema *schema = NULL;
    assert_false(topic_get(fixture->catalog, ORG, slice_text("orders"), &fixture->arena, &schema,
                           &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    static const struct topic_sighting sightings[] = {
        {"price", FIELD_INT64, false}, {"item", FIELD_TEXT, false}, {"big", FIELD_INT64, true}};
    schema = learn(fixture, "orders", sightings, ARRAY_COUNT(sightings));
    assert_true(schema->topic_id > 0);
    assert_int_equal(schema->schema_id, 1);
    assert_int_equal(schema->field_count, 3);
    assert_string_equal(schema->fields[0].name, "price");
    assert_string_equal(schema->fields[1].name, "item");
    assert_int_equal(schema->fields[1].type, FIELD_TEXT);
    assert_int_equal(schema->fields[1].origin, FIELD_LEARNED);
    assert_true(schema->fields[2].is_wide);
    assert_same(get(fixture, "orders"), schema);
}

static void nothing_new_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting sightings[] = {{"price", FIELD_DOUBLE, false},
                                                      {"item", FIELD_TEXT, false}};
    const struct schema *first = learn(fixture, "orders", sightings, ARRAY_COUNT(sightings));
    static const struct topic_sighting again[] = {{"item", FIELD_TEXT, false},
                                                  {"price", FIELD_INT64, false},
                                                  {"timestamp", FIELD_INT64, false},
                                                  {"app_id", FIELD_INT64, false}};
    assert_same(learn(fixture, "orders", again, ARRAY_COUNT(again)), first);
    assert_same(learn(fixture, "orders", NULL, 0), first);
    static const struct topic_sighting bad_time[] = {{"timestamp", FIELD_BOOL, false}};
    assert_not_learned(fixture, "orders", bad_time, 1, ERR_INVALID);
}

static void fields_are_added_behind(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting first[] = {{"z", FIELD_TEXT, false}};
    static const struct topic_sighting second[] = {
        {"y", FIELD_BOOL, false}, {"z", FIELD_TEXT, false}, {"y", FIELD_BOOL, false}};
    static const struct topic_sighting third[] = {{"a", FIELD_JSON, false}};
    (void)learn(fixture, "orders", first, 1);
    (void)learn(fixture, "orders", second, 3);
    const struct schema *schema = learn(fixture, "orders", third, 1);
    assert_int_equal(schema->schema_id, 3);
    assert_int_equal(schema->field_count, 3);
    assert_string_equal(schema->fields[0].name, "z");
    assert_string_equal(schema->fields[1].name, "y");
    assert_string_equal(schema->fields[2].name, "a");
    assert_same(get(fixture, "orders"), schema);
}

static void learned_fields_widen_under_a_new_schema_id(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        struct topic_sighting sighting;
        enum field_type type;
        bool is_wide;
        int64_t schema_id;
    } steps[] = {
        {{"n", FIELD_INT64, false}, FIELD_INT64, false, 1},
        {{"n", FIELD_DOUBLE, false}, FIELD_DOUBLE, false, 2}, // exact
        {{"n", FIELD_INT64, false}, FIELD_DOUBLE, false, 2},
        {{"n", FIELD_INT64, true}, FIELD_TEXT, true, 3}, // not exact as double
        {{"n", FIELD_BOOL, false}, FIELD_TEXT, true, 3},
        {{"m", FIELD_INT64, false}, FIELD_INT64, false, 4},
        {{"m", FIELD_INT64, true}, FIELD_INT64, true, 5},
        {{"m", FIELD_DOUBLE, false}, FIELD_TEXT, true, 6},
    };
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        const struct schema *schema = learn(fixture, "orders", &steps[i].sighting, 1);
        const struct schema_field *field = schema_find(schema, slice_text(steps[i].sighting.name));
        assert_non_null(field);
        assert_int_equal(field->type, steps[i].type);
        assert_int_equal(field->is_wide, steps[i].is_wide);
        assert_int_equal(schema->schema_id, steps[i].schema_id);
        assert_same(get(fixture, "orders"), schema);
    }
}

static void one_call_may_widen_what_it_adds(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting sightings[] = {{"n", FIELD_INT64, false},
                                                      {"n", FIELD_DOUBLE, false}};
    const struct schema *schema = learn(fixture, "orders", sightings, 2);
    assert_int_equal(schema->field_count, 1);
    assert_int_equal(schema->fields[0].type, FIELD_DOUBLE);
    assert_same(get(fixture, "orders"), schema);
}

static void a_refused_batch_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const struct schema_field declared[] = {{.name = "when", .type = FIELD_TIME},
                                                   {.name = "sum", .type = FIELD_DOUBLE},
                                                   {.name = "any", .type = FIELD_JSON}};
    const struct schema *before = declare(fixture, "orders", declared, ARRAY_COUNT(declared));
    static const struct topic_sighting fitting[] = {{"when", FIELD_INT64, false},
                                                    {"when", FIELD_TIME, false},
                                                    {"sum", FIELD_INT64, true},
                                                    {"any", FIELD_BOOL, false}};
    assert_same(learn(fixture, "orders", fitting, ARRAY_COUNT(fitting)), before);
    static const struct topic_sighting bad[] = {{"new", FIELD_TEXT, false},
                                                {"sum", FIELD_TEXT, false}};
    assert_not_learned(fixture, "orders", bad, ARRAY_COUNT(bad), ERR_INVALID);
    assert_non_null(strstr(fixture->err.message, "sum"));
    assert_same(get(fixture, "orders"), before);
    static const struct topic_sighting unnamed[] = {{"", FIELD_TEXT, false}};
    assert_not_learned(fixture, "orders", unnamed, 1, ERR_INVALID);
    assert_not_learned(fixture, "bad name", bad, 1, ERR_INVALID);
    assert_not_learned(fixture, "", bad, 1, ERR_INVALID);
}

// --- Built-in topics

static void a_builtin_topic_needs_no_row(void **state)
{
    struct fixture *fixture = *state;
    const struct schema *builtin = schema_builtin(slice_text(BUILTIN));
    const struct schema *schema = get(fixture, BUILTIN);
    assert_int_equal(schema->topic_id, 0);
    assert_int_equal(schema->schema_id, 1);
    assert_int_equal(schema->field_count, builtin->field_count);
    assert_string_equal(schema->fields[0].name, builtin->fields[0].name);
    const struct schema *list = NULL;
    size_t count = 1;
    assert_true(topic_list(fixture->catalog, ORG, &fixture->arena, &list, &count, &fixture->err));
    assert_int_equal(count, 0);
}

static void a_builtin_topic_learns_behind_its_fields(void **state)
{
    struct fixture *fixture = *state;
    const struct schema *builtin = schema_builtin(slice_text(BUILTIN));
    const struct schema *known = learn(fixture, BUILTIN, NULL, 0);
    assert_true(known->topic_id > 0); // the first events made the row
    assert_int_equal(known->schema_id, 1);
    assert_int_equal(known->field_count, builtin->field_count);
    static const struct topic_sighting extra[] = {{"our_own", FIELD_TEXT, false},
                                                  {"deep_linked", FIELD_BOOL, false}};
    const struct schema *schema = learn(fixture, BUILTIN, extra, ARRAY_COUNT(extra));
    assert_int_equal(schema->topic_id, known->topic_id);
    assert_int_equal(schema->schema_id, 2);
    assert_int_equal(schema->field_count, builtin->field_count + 1);
    assert_string_equal(schema->fields[builtin->field_count].name, "our_own");
    assert_same(get(fixture, BUILTIN), schema);
    static const struct topic_sighting bad[] = {{"deep_linked", FIELD_TEXT, false}};
    assert_not_learned(fixture, BUILTIN, bad, 1, ERR_INVALID);

    // Without a row before, an extra field makes schema 2 at once: schema 1 was there already.
    static const struct topic_sighting other[] = {{"another", FIELD_TEXT, false}};
    assert_int_equal(learn(fixture, "eo_open", other, 1)->schema_id, 2);
}

// A row whose name a newer program has built in.
static void builtin_fields_hide_learned_ones(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting extra[] = {{"our_own", FIELD_TEXT, false}};
    static const struct topic_sighting next[] = {{"our_next", FIELD_TEXT, false}};
    const size_t builtin_count = schema_builtin(slice_text(BUILTIN))->field_count;
    (void)learn(fixture, BUILTIN, extra, 1);
    assert_true(db_exec(fixture->catalog->db,
                        "UPDATE topic_fields SET name = 'deep_linked' WHERE name = 'our_own'", NULL,
                        0, NULL, &fixture->err));
    assert_int_equal(get(fixture, BUILTIN)->field_count, builtin_count);
    const struct schema *schema = learn(fixture, BUILTIN, next, 1);
    assert_int_equal(schema->field_count, builtin_count + 1);
    assert_string_equal(schema->fields[builtin_count].name, "our_next");
    assert_int_equal(schema_find(schema, slice_text("deep_linked"))->type, FIELD_BOOL);
    assert_same(get(fixture, BUILTIN), schema);
}

// --- Declaring

static void declared_fields_stay_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    static const struct schema_field fields[] = {
        {.name = "b", .type = FIELD_DOUBLE, .is_sensitive = true},
        {.name = "a", .type = FIELD_TIME, .origin = FIELD_LEARNED, .is_wide = true}};
    const struct schema *schema = declare(fixture, "orders", fields, ARRAY_COUNT(fields));
    assert_int_equal(schema->schema_id, 1);
    assert_string_equal(schema->fields[0].name, "b");
    assert_true(schema->fields[0].is_sensitive);
    assert_int_equal(schema->fields[1].origin, FIELD_DECLARED);
    assert_false(schema->fields[1].is_wide);
    assert_same(get(fixture, "orders"), schema);
    assert_same(declare(fixture, "orders", fields, ARRAY_COUNT(fields)), schema);
    static const struct schema_field other_type[] = {{.name = "new", .type = FIELD_TEXT},
                                                     {.name = "b", .type = FIELD_TEXT}};
    assert_not_declared(fixture, "orders", other_type, 2, ERR_CONFLICT);
    assert_same(get(fixture, "orders"), schema);
}

static void declaring_fixes_learned_fields(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting seen[] = {{"n", FIELD_INT64, false}};
    static const struct schema_field same[] = {{.name = "n", .type = FIELD_INT64}};
    static const struct schema_field other[] = {{.name = "n", .type = FIELD_DOUBLE}};
    static const struct topic_sighting wider[] = {{"n", FIELD_DOUBLE, false}};
    (void)learn(fixture, "orders", seen, 1);
    assert_not_declared(fixture, "orders", other, 1, ERR_CONFLICT);
    const struct schema *schema = declare(fixture, "orders", same, 1);
    assert_int_equal(schema->schema_id, 2);
    assert_int_equal(schema->fields[0].origin, FIELD_DECLARED);
    assert_not_learned(fixture, "orders", wider, 1, ERR_INVALID);
    assert_same(get(fixture, "orders"), schema);
}

static void sensitivity_is_raised_but_never_lowered(void **state)
{
    struct fixture *fixture = *state;
    static const struct schema_field open[] = {{.name = "mail", .type = FIELD_TEXT}};
    static const struct schema_field sensitive[] = {
        {.name = "mail", .type = FIELD_TEXT, .is_sensitive = true}};
    (void)declare(fixture, "orders", open, 1);
    const struct schema *schema = declare(fixture, "orders", sensitive, 1);
    assert_int_equal(schema->schema_id, 2);
    assert_true(schema->fields[0].is_sensitive);
    assert_same(declare(fixture, "orders", open, 1), schema);
    static const struct schema_field builtin[] = {
        {.name = "deep_linked", .type = FIELD_BOOL, .is_sensitive = true}};
    assert_not_declared(fixture, BUILTIN, builtin, 1, ERR_CONFLICT);
    static const struct schema_field builtin_type[] = {{.name = "deep_linked", .type = FIELD_TEXT}};
    assert_not_declared(fixture, BUILTIN, builtin_type, 1, ERR_CONFLICT);
    static const struct schema_field builtin_same[] = {{.name = "deep_linked", .type = FIELD_BOOL}};
    assert_int_equal(declare(fixture, BUILTIN, builtin_same, 1)->schema_id, 1);
}

static void bad_declarations_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char long_name[258];
    memset(long_name, 'x', sizeof long_name);
    long_name[257] = '\0';
    const char *const names[] = {"", " ", "a\nb", "\xff", long_name, "timestamp", "app_id"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const struct schema_field field = {.name = names[i], .type = FIELD_TEXT};
        assert_not_declared(fixture, "orders", &field, 1, ERR_INVALID);
    }
    const struct schema_field field = {.name = "fine", .type = FIELD_TEXT};
    assert_not_declared(fixture, "-orders", &field, 1, ERR_INVALID);
    static const struct schema_field twice[] = {{.name = "a", .type = FIELD_TEXT},
                                                {.name = "a", .type = FIELD_BOOL}};
    assert_not_declared(fixture, "orders", twice, 2, ERR_CONFLICT);
    const struct schema *list = NULL;
    size_t count = 1;
    assert_true(topic_list(fixture->catalog, ORG, &fixture->arena, &list, &count, &fixture->err));
    assert_int_equal(count, 0);
    long_name[256] = '\0';
    const struct schema_field longest = {.name = long_name, .type = FIELD_TEXT};
    assert_int_equal(declare(fixture, "orders", &longest, 1)->field_count, 1);
}

// --- Bounds and owners

static void fields_and_topics_are_limited(void **state)
{
    struct fixture *fixture = *state;
    struct topic_sighting *sightings = arena_alloc_array(&fixture->arena, SCHEMA_FIELDS_MAX + 1,
                                                         sizeof *sightings);
    for (size_t i = 0; i <= SCHEMA_FIELDS_MAX; i++)
        sightings[i] = (struct topic_sighting){
            .name = arena_format(&fixture->arena, "field_%zu", i), .type = FIELD_TEXT};
    assert_not_learned(fixture, "wide", sightings, SCHEMA_FIELDS_MAX + 1, ERR_LIMIT);
    const struct schema *schema = learn(fixture, "wide", sightings, SCHEMA_FIELDS_MAX);
    assert_int_equal(schema->field_count, SCHEMA_FIELDS_MAX);
    assert_not_learned(fixture, "wide", &sightings[SCHEMA_FIELDS_MAX], 1, ERR_LIMIT);
    assert_same(get(fixture, "wide"), schema);
    for (int i = 1; i < 1000; i++)
        (void)learn(fixture, arena_format(&fixture->arena, "topic_%03d", i), NULL, 0);
    assert_not_learned(fixture, "one_more", sightings, 1, ERR_LIMIT);
    assert_not_learned(fixture, BUILTIN, sightings, 1, ERR_LIMIT);
    (void)learn(fixture, "topic_001", sightings, 1);
}

static void topics_belong_to_one_organization(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting ours[] = {{"ours", FIELD_TEXT, false}};
    static const struct topic_sighting theirs[] = {{"theirs", FIELD_BOOL, false}};
    const struct schema *schema = learn(fixture, "orders", ours, 1);
    const struct schema *foreign = NULL;
    assert_false(topic_get(fixture->catalog, OTHER, slice_text("orders"), &fixture->arena, &foreign,
                           &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_true(topic_learn(fixture->catalog, OTHER, slice_text("orders"), theirs, 1, NOW_MS,
                            &fixture->arena, &foreign, &fixture->err));
    assert_int_not_equal(foreign->topic_id, schema->topic_id);
    assert_int_equal(foreign->field_count, 1);
    assert_same(get(fixture, "orders"), schema);

    const struct schema *found = NULL;
    const char *organization_id = NULL;
    assert_true(topic_get_by_id(fixture->catalog, foreign->topic_id, &fixture->arena, &found,
                                &organization_id, &fixture->err));
    assert_same(found, foreign);
    assert_string_equal(organization_id, OTHER);
    assert_false(topic_get_by_id(fixture->catalog, 999, &fixture->arena, &found, &organization_id,
                                 &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void lists_have_every_topic_with_its_fields(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting seen[] = {{"n", FIELD_INT64, false}};
    const struct schema *orders = learn(fixture, "orders", seen, 1);
    const struct schema *clicks = learn(fixture, BUILTIN, seen, 1);
    const struct schema *foreign = NULL;
    assert_true(topic_learn(fixture->catalog, OTHER, slice_text("alien"), seen, 1, NOW_MS,
                            &fixture->arena, &foreign, &fixture->err));
    const struct schema *list = NULL;
    size_t count = 0;
    assert_true(topic_list(fixture->catalog, ORG, &fixture->arena, &list, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_same(&list[0], clicks);
    assert_same(&list[1], orders);
}

static void damaged_rows_are_corrupt(void **state)
{
    struct fixture *fixture = *state;
    static const struct topic_sighting seen[] = {{"n", FIELD_INT64, false}};
    (void)learn(fixture, "orders", seen, 1);
    assert_true(db_exec(fixture->catalog->db, "UPDATE topic_fields SET type = 99", NULL, 0, NULL,
                        &fixture->err));
    const struct schema *schema = NULL;
    assert_false(topic_get(fixture->catalog, ORG, slice_text("orders"), &fixture->arena, &schema,
                           &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    assert_null(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_topic_is_made_by_its_first_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_new_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fields_are_added_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(learned_fields_widen_under_a_new_schema_id, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_call_may_widen_what_it_adds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_batch_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_builtin_topic_needs_no_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_builtin_topic_learns_behind_its_fields, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(builtin_fields_hide_learned_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(declared_fields_stay_as_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(declaring_fixes_learned_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sensitivity_is_raised_but_never_lowered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_declarations_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fields_and_topics_are_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(topics_belong_to_one_organization, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_have_every_topic_with_its_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_rows_are_corrupt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
