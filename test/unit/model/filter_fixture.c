// SPDX-License-Identifier: Apache-2.0
#include "filter_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

static const struct schema_field fields[] = {
    {.name = "id", .type = FIELD_TEXT},         {.name = "name", .type = FIELD_TEXT},
    {.name = "count", .type = FIELD_INT64},     {.name = "price", .type = FIELD_DOUBLE},
    {.name = "attributed", .type = FIELD_BOOL}, {.name = "tags", .type = FIELD_JSON},
    {.name = "seen", .type = FIELD_TIME},       {.name = "odd\"name", .type = FIELD_TEXT},
};
const struct schema filter_fixture_schema = {
    .topic_name = "t", .fields = fields, .field_count = ARRAY_COUNT(fields)};

int filter_fixture_set_up(void **state)
{
    static struct filter_fixture fixture;
    arena_init(&fixture.arena);
    fixture.tree = NULL;
    buf_init(&fixture.text, (size_t)4 * 1024 * 1024);
    *state = &fixture;
    return 0;
}

int filter_fixture_tear_down(void **state)
{
    struct filter_fixture *fixture = *state;
    json_tree_free(&fixture->tree);
    arena_clear(&fixture->arena);
    buf_clear(&fixture->text);
    return 0;
}

bool filter_fixture_try(struct filter_fixture *fixture, const char *json,
                        const struct filter **ret_filter, struct err *err)
{
    json_tree_free(&fixture->tree);
    struct err broken = {0};
    if (!json_tree_parse(slice_text(json), &fixture->tree, &broken))
        fail_msg("the test's own JSON: %s", broken.message);
    const bool is_parsed = filter_parse(json_tree_root(fixture->tree), &filter_fixture_schema,
                                        &fixture->arena, ret_filter, err);
    json_tree_free(&fixture->tree); // the filter has copied what it needs
    return is_parsed;
}

const struct filter *filter_fixture_parse(struct filter_fixture *fixture, const char *json)
{
    const struct filter *filter = NULL;
    struct err err = {0};
    if (!filter_fixture_try(fixture, json, &filter, &err))
        fail_msg("%s: %s", json, err.message);
    return filter;
}

void filter_fixture_refuse(struct filter_fixture *fixture, const char *json, const char *message)
{
    const struct filter *filter = NULL;
    struct err err = {0};
    if (filter_fixture_try(fixture, json, &filter, &err))
        fail_msg("accepted: %.200s", json);
    assert_null(filter);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, message);
}
