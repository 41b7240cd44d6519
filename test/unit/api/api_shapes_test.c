// SPDX-License-Identifier: Apache-2.0
// The tables that /openapi.json is printed from fit together: each name that is used exists, and
// each one that exists is used.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/api_route.h"
#include "api/api_shapes.h"
#include "base/check.h"
#include "base/json_tree.h"

static void every_name_of_a_row_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        const bool has_parts = route->id != NULL &&
                               (route->reply == NULL || api_type_is_known(route->reply)) &&
                               (route->request == NULL || api_type_is_known(route->request));
        if (!has_parts)
            fail_msg("%s %s: id, or an unknown reply or request", route->method, route->pattern);
        struct slice list = slice_text(route->query);
        struct api_route_name name;
        while (api_route_next_name(&list, &name)) {
            if (api_parameter_find("query", name.name) == NULL)
                fail_msg("%s: no parameter %.*s", route->pattern, (int)name.name.size_bytes,
                         slice_chars(name.name));
        }
        for (const char *open = strchr(route->pattern, '{'); open != NULL;
             open = strchr(open + 1, '{')) {
            const struct slice segment = slice_of(open + 1, strcspn(open + 1, "}"));
            assert_non_null(api_parameter_find("path", segment));
        }
    }
}

static void operations_have_names_of_their_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(api_routes[i].id, api_routes[j].id);
    }
}

static bool names_shape(const char *type, const char *name)
{
    if (type == NULL)
        return false;
    const size_t size = strlen(name);
    return strncmp(type, name, size) == 0 && strspn(type + size, "[]?") == strlen(type + size);
}

static bool is_used_by(const struct api_shape *shape, const char *name)
{
    char reference[128];
    (void)snprintf(reference, sizeof reference, "/schemas/%s\"", name);
    if (shape->schema != NULL && strstr(shape->schema, reference) != NULL)
        return true;
    if (shape->base != NULL && strcmp(shape->base, name) == 0)
        return true;
    for (const struct api_member *member = shape->members; member != NULL && member->name != NULL;
         member++) {
        if (names_shape(member->type, name))
            return true;
    }
    return false;
}

static bool is_used(const char *name)
{
    for (size_t i = 0; i < api_route_count; i++) {
        if (names_shape(api_routes[i].reply, name) || names_shape(api_routes[i].request, name))
            return true;
    }
    for (size_t i = 0; i < api_parameter_count; i++) {
        if (names_shape(api_parameters[i].type, name))
            return true;
    }
    for (size_t i = 0; api_shape_tables[i] != NULL; i++) {
        for (const struct api_shape *shape = api_shape_tables[i]; shape->name != NULL; shape++) {
            if (is_used_by(shape, name))
                return true;
        }
    }
    return false;
}

static void check_shape(const struct api_shape *shape)
{
    assert_non_null(shape->doc);
    assert_ptr_equal(api_shape_find(slice_text(shape->name)), shape); // no name twice
    const int forms = (shape->members != NULL) + (shape->value_at != NULL) +
                      (shape->schema != NULL);
    assert_int_equal(forms, 1);
    if (shape->base != NULL) {
        const struct api_shape *base = api_shape_find(slice_text(shape->base));
        assert_non_null(base);
        assert_non_null(base->members);
    }
    for (const struct api_member *member = shape->members; member != NULL && member->name != NULL;
         member++) {
        if (!api_type_is_known(member->type))
            fail_msg("%s.%s has the unknown type %s", shape->name, member->name, member->type);
    }
    // Of the bucket's refusals, operations speak without a table.
    if (!is_used(shape->name) && strcmp(shape->name, "Error") != 0 &&
        strcmp(shape->name, "BucketError") != 0 && strcmp(shape->name, "IdempotencyKey") != 0)
        fail_msg("shape %s is not used", shape->name);
}

static void shapes_are_complete_and_used(void **state)
{
    (void)state;
    for (size_t i = 0; api_shape_tables[i] != NULL; i++) {
        for (const struct api_shape *shape = api_shape_tables[i]; shape->name != NULL; shape++)
            check_shape(shape);
    }
    for (size_t i = 0; i < api_parameter_count; i++)
        assert_true(api_type_is_known(api_parameters[i].type));
}

static void schemas_in_tables_are_objects(void **state)
{
    (void)state;
    struct err err;
    for (size_t i = 0; i < api_scalar_count; i++) {
        struct json_tree *tree = NULL;
        assert_true(json_tree_parse(slice_text(api_scalars[i].schema), &tree, &err));
        assert_int_equal(json_node_kind(json_tree_root(tree)), JSON_KIND_OBJECT);
        json_tree_free(&tree);
    }
}

static void assert_type(const char *type, const char *schema)
{
    struct buf text;
    struct json_text json;
    buf_init(&text, 4096);
    json_text_init(&json, &text);
    api_write_type(&json, type, NULL);
    assert_string_equal(buf_text(&text), schema);
    buf_clear(&text);
}

static void types_are_printed(void **state)
{
    (void)state;
    assert_type("any", "{}");
    assert_type("boolean", "{\"type\":\"boolean\"}");
    assert_type("Job", "{\"$ref\":\"#/components/schemas/Job\"}");
    assert_type("Job[]", "{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Job\"}}");
    assert_type("boolean?", "{\"anyOf\":[{\"type\":\"boolean\"},{\"type\":\"null\"}]}");
    assert_type("boolean[]?", "{\"anyOf\":[{\"type\":\"array\",\"items\":{\"type\":\"boolean\"}},"
                              "{\"type\":\"null\"}]}");
    assert_type("boolean?[]", "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"boolean\"},"
                              "{\"type\":\"null\"}]}}");
    assert_false(api_type_is_known("Nothing[]"));
    assert_false(api_type_is_known(""));
}

static void a_base_comes_first(void **state)
{
    (void)state;
    struct buf text;
    struct json_text json;
    struct json_tree *tree = NULL;
    struct err err;
    buf_init(&text, 65536);
    json_text_init(&json, &text);
    api_write_shape(&json, api_shape_find(slice_text("NativeJob")));
    assert_true(json_tree_parse(buf_slice(&text), &tree, &err));
    const struct json_node *required = json_node_get(json_tree_root(tree), "required");
    assert_true(slice_equal_text(json_node_text(json_node_at(required, 0)), "job_id"));
    const struct json_node *properties = json_node_get(json_tree_root(tree), "properties");
    assert_non_null(json_node_get(properties, "finished_at"));
    assert_non_null(json_node_get(properties, "export_url"));
    json_tree_free(&tree);
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_a_row_is_known),
        cmocka_unit_test(operations_have_names_of_their_own),
        cmocka_unit_test(shapes_are_complete_and_used),
        cmocka_unit_test(schemas_in_tables_are_objects),
        cmocka_unit_test(types_are_printed),
        cmocka_unit_test(a_base_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
