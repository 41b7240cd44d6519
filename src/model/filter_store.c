// SPDX-License-Identifier: Apache-2.0
// Filters as canonical JSON: fields with their types, values in the type of their field, lists as
// lists. It is the language itself except for ["op",{"f":name,"t":type},...].
#include "base/check.h"
#include "base/json_text.h"
#include "model/filter_internal.h"

static void filter_store_value(const struct filter_value *value, struct json_text *json)
{
    switch (value->kind) {
    case FILTER_VALUE_NULL:
        json_text_null(json);
        return;
    case FILTER_VALUE_BOOL:
        json_text_bool(json, value->as.boolean);
        return;
    case FILTER_VALUE_INT64:
        json_text_int64(json, value->as.int64);
        return;
    case FILTER_VALUE_DOUBLE:
        json_text_double(json, value->as.real);
        return;
    case FILTER_VALUE_TEXT:
        json_text_string(json, value->as.text);
        return;
    }
    ASSERT(false);
}

static void filter_store_comparison(const struct filter_node *node, struct json_text *json)
{
    json_text_open(json, '{');
    json_text_member_text(json, "f", node->column->name);
    json_text_member_text(json, "t", field_type_name(node->column->type));
    json_text_close(json, '}');
    if (node->op == FILTER_IN)
        json_text_open(json, '[');
    for (size_t i = 0; i < node->value_count; i++)
        filter_store_value(&node->values[i], json);
    if (node->op == FILTER_IN)
        json_text_close(json, ']');
}

static void filter_store_node(const struct filter_node *node, size_t depth, struct json_text *json)
{
    ASSERT(depth <= FILTER_DEPTH_MAX);
    json_text_open(json, '[');
    json_text_string(json, slice_text(filter_op_name(node->op)));
    for (size_t i = 0; i < node->child_count; i++)
        filter_store_node(&node->children[i], depth + 1, json);
    if (node->column != NULL)
        filter_store_comparison(node, json);
    json_text_close(json, ']');
}

void filter_store(const struct filter *filter, struct buf *destination)
{
    struct json_text json;
    json_text_init(&json, destination);
    if (filter == NULL)
        json_text_null(&json);
    else
        filter_store_node(&filter->root, 1, &json);
}
