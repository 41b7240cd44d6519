// SPDX-License-Identifier: Apache-2.0
// The parser of filters. It recurses into and, or, not: never deeper than FILTER_DEPTH_MAX, which
// is checked before each step down, so input does not drive the stack.
#include "model/filter.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/filter_internal.h"

struct filter_op_info {
    const char *name;
    size_t operands_min; // what follows the operator
    size_t operands_max;
    const char *operands; // for those who sent others
};

#define FILTER_OPERANDS_ANY SIZE_MAX
#define FILTER_OP_NAMES     "eq, gt, gte, lt, lte, like, between, in, and, or, not, array_contains"

static const struct filter_op_info filter_op_infos[FILTER_OP_COUNT] = {
    [FILTER_EQ] = {"eq", 2, 2, "a field and a value expected"},
    [FILTER_GT] = {"gt", 2, 2, "a field and a value expected"},
    [FILTER_GTE] = {"gte", 2, 2, "a field and a value expected"},
    [FILTER_LT] = {"lt", 2, 2, "a field and a value expected"},
    [FILTER_LTE] = {"lte", 2, 2, "a field and a value expected"},
    [FILTER_LIKE] = {"like", 2, 2, "a field and a pattern expected"},
    [FILTER_BETWEEN] = {"between", 3, 3, "a field, a low and a high value expected"},
    [FILTER_IN] = {"in", 2, FILTER_OPERANDS_ANY, "a field and one or more values expected"},
    [FILTER_AND] = {"and", 1, FILTER_OPERANDS_ANY, "one or more filters expected"},
    [FILTER_OR] = {"or", 1, FILTER_OPERANDS_ANY, "one or more filters expected"},
    [FILTER_NOT] = {"not", 1, 1, "one filter expected"},
    [FILTER_ARRAY_CONTAINS] = {"array_contains", 2, 2, "a field and a value expected"},
};

struct filter_parser {
    const struct schema *schema; // NULL: the stored form, which names the types itself
    struct filter_reader reader;
    struct filter_column *columns;
    struct filter_column **columns_end;
    size_t node_count;
    size_t depth; // of the node that is being read; 1 at the top
};

const char *filter_op_name(enum filter_op op)
{
    ASSERT((size_t)op < FILTER_OP_COUNT);
    return filter_op_infos[op].name;
}

static bool filter_op_parse(struct slice name, enum filter_op *ret_op)
{
    for (size_t i = 0; i < FILTER_OP_COUNT; i++) {
        if (slice_equal_text(name, filter_op_infos[i].name)) {
            *ret_op = (enum filter_op)i;
            return true;
        }
    }
    return false;
}

bool filter_operator_is_known(struct slice name)
{
    enum filter_op op;
    return filter_op_parse(name, &op);
}

static bool filter_wrong_operands(const struct filter_parser *parser, enum filter_op op,
                                  struct err *err)
{
    return filter_reader_refuse(&parser->reader, "Invalid filter: wrong number of operands",
                                filter_op_infos[op].operands, err);
}

// --- Fields.

// One column object per name and type, however often the filter has it.
static const struct column *filter_intern_column(struct filter_parser *parser, struct slice name,
                                                 enum field_type type)
{
    for (const struct filter_column *at = parser->columns; at != NULL; at = at->next) {
        if (at->column.type == type && slice_equal_text(name, at->column.name))
            return &at->column;
    }
    struct filter_column *column = arena_alloc(parser->reader.arena, sizeof *column);
    column->column = (struct column){.name = arena_copy_slice(parser->reader.arena, name),
                                     .type = type};
    *parser->columns_end = column;
    parser->columns_end = &column->next;
    return &column->column;
}

static bool filter_field_expected(const struct filter_parser *parser, struct err *err)
{
    return filter_reader_refuse(&parser->reader, "Invalid filter: field name expected", NULL, err);
}

// {"f":"name","t":"string"}
static bool filter_parse_stored_column(struct filter_parser *parser, const struct json_node *node,
                                       const struct column **ret_column, struct err *err)
{
    const struct slice name = json_node_text(json_node_get(node, "f"));
    enum field_type type;
    if (slice_is_empty(name) || !field_type_parse(json_node_text(json_node_get(node, "t")), &type))
        return filter_field_expected(parser, err);
    *ret_column = filter_intern_column(parser, name, type);
    return true;
}

static bool filter_parse_column(struct filter_parser *parser, const struct json_node *node,
                                const struct column **ret_column, struct err *err)
{
    if (parser->schema == NULL)
        return filter_parse_stored_column(parser, node, ret_column, err);
    if (json_node_kind(node) != JSON_KIND_TEXT)
        return filter_field_expected(parser, err);
    const struct schema_field *field = schema_find(parser->schema, json_node_text(node));
    if (field == NULL)
        return schema_set_unavailable(err, json_node_text(node));
    *ret_column = filter_intern_column(parser, json_node_text(node), field->type);
    return true;
}

static bool filter_check_column(const struct filter_parser *parser, enum filter_op op,
                                enum field_type type, struct err *err)
{
    if (type == FIELD_TEXT || type == FIELD_JSON)
        return true;
    if (op == FILTER_LIKE)
        return filter_reader_refuse(&parser->reader, "Invalid filter: like needs a string field",
                                    NULL, err);
    if (op == FILTER_ARRAY_CONTAINS)
        return filter_reader_refuse(
            &parser->reader, "Invalid filter: array_contains needs an array field", NULL, err);
    return true;
}

// --- Comparisons: [op, field, operand...].

// `place` counts from 0 behind the field. x > 1.5 is x > 1 for whole numbers, x >= 1.5 is x >= 2.
static enum filter_rounding filter_rounding_of(enum filter_op op, size_t place)
{
    switch (op) {
    case FILTER_GT:
    case FILTER_LTE:
        return FILTER_ROUND_DOWN;
    case FILTER_GTE:
    case FILTER_LT:
        return FILTER_ROUND_UP;
    case FILTER_BETWEEN:
        return place == 0 ? FILTER_ROUND_UP : FILTER_ROUND_DOWN;
    case FILTER_EQ:
    case FILTER_IN:
    case FILTER_LIKE:
    case FILTER_ARRAY_CONTAINS:
    case FILTER_AND:
    case FILTER_OR:
    case FILTER_NOT:
        break;
    }
    return FILTER_ROUND_NONE;
}

static bool filter_parse_value(const struct filter_parser *parser, const struct json_node *operand,
                               const struct filter_node *node, size_t place,
                               struct filter_value *ret_value, struct err *err)
{
    if (node->op == FILTER_ARRAY_CONTAINS)
        TRY(filter_value_take_element(&parser->reader, operand, ret_value, err));
    else
        TRY(filter_value_coerce(&parser->reader, operand, node->column->type,
                                filter_rounding_of(node->op, place), ret_value, err));
    if (ret_value->kind == FILTER_VALUE_NULL && node->op != FILTER_EQ && node->op != FILTER_IN)
        return filter_reader_refuse(&parser->reader, "Invalid filter value",
                                    "null is for eq and in", err);
    return node->op != FILTER_LIKE || filter_like_check(&parser->reader, ret_value->as.text, err);
}

// The values are the items of array from `first` on.
static bool filter_parse_values(struct filter_parser *parser, const struct json_node *array,
                                size_t first, struct filter_node *ret_node, struct err *err)
{
    const size_t count = json_node_count(array) - first;
    if (count > FILTER_LIST_MAX)
        return filter_reader_refuse_size(&parser->reader, FILTER_LIST_MAX, "values", err);
    struct filter_value *values = arena_alloc_array(parser->reader.arena, count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        filter_reader_enter(&parser->reader, first + i);
        TRY(filter_parse_value(parser, json_node_at(array, first + i), ret_node, i, &values[i],
                               err));
        filter_reader_leave(&parser->reader);
    }
    ret_node->values = values;
    ret_node->value_count = count;
    return true;
}

static bool filter_parse_comparison(struct filter_parser *parser, const struct json_node *node,
                                    struct filter_node *ret_node, struct err *err)
{
    filter_reader_enter(&parser->reader, 1);
    TRY(filter_parse_column(parser, json_node_at(node, 1), &ret_node->column, err));
    TRY(filter_check_column(parser, ret_node->op, ret_node->column->type, err));
    filter_reader_leave(&parser->reader);
    const struct json_node *list = json_node_at(node, 2);
    if (ret_node->op != FILTER_IN || json_node_count(node) != 3 ||
        json_node_kind(list) != JSON_KIND_ARRAY)
        return filter_parse_values(parser, node, 2, ret_node, err);
    filter_reader_enter(&parser->reader, 2);
    TRY(filter_parse_values(parser, list, 0, ret_node, err));
    filter_reader_leave(&parser->reader);
    return true;
}

// --- The tree.

static bool filter_parse_node(struct filter_parser *parser, const struct json_node *node,
                              struct filter_node *ret_node, struct err *err);

// The items of array from `first` on are filters, one level down.
static bool filter_parse_children(struct filter_parser *parser, const struct json_node *array,
                                  size_t first, struct filter_node *ret_node, struct err *err)
{
    const size_t count = json_node_count(array) - first;
    if (parser->depth == FILTER_DEPTH_MAX)
        return filter_reader_refuse_size(&parser->reader, FILTER_DEPTH_MAX, "levels", err);
    if (count > FILTER_NODES_MAX)
        return filter_reader_refuse_size(&parser->reader, FILTER_NODES_MAX, "operators", err);
    struct filter_node *children = arena_alloc_array(parser->reader.arena, count, sizeof *children);
    parser->depth++;
    for (size_t i = 0; i < count; i++) {
        filter_reader_enter(&parser->reader, first + i);
        TRY(filter_parse_node(parser, json_node_at(array, first + i), &children[i], err));
        filter_reader_leave(&parser->reader);
    }
    parser->depth--;
    ret_node->children = children;
    ret_node->child_count = count;
    return true;
}

static bool filter_parse_op(struct filter_parser *parser, const struct json_node *node,
                            enum filter_op *ret_op, struct err *err)
{
    const struct json_node *name = json_node_at(node, 0);
    if (json_node_kind(name) == JSON_KIND_TEXT && filter_op_parse(json_node_text(name), ret_op))
        return true;
    filter_reader_enter(&parser->reader, 0);
    return filter_reader_refuse(&parser->reader, "Unknown filter operator",
                                "one of " FILTER_OP_NAMES " expected", err);
}

static bool filter_parse_node(struct filter_parser *parser, const struct json_node *node,
                              struct filter_node *ret_node, struct err *err)
{
    ASSERT(parser->depth <= FILTER_DEPTH_MAX);
    if (++parser->node_count > FILTER_NODES_MAX)
        return filter_reader_refuse_size(&parser->reader, FILTER_NODES_MAX, "operators", err);
    if (json_node_kind(node) != JSON_KIND_ARRAY)
        return filter_reader_refuse(&parser->reader, "Invalid filter: array expected", NULL, err);
    TRY(filter_parse_op(parser, node, &ret_node->op, err));
    const struct filter_op_info *info = &filter_op_infos[ret_node->op];
    const size_t operand_count = json_node_count(node) - 1;
    if (operand_count < info->operands_min || operand_count > info->operands_max)
        return filter_wrong_operands(parser, ret_node->op, err);
    switch (ret_node->op) {
    case FILTER_AND:
    case FILTER_OR:
    case FILTER_NOT:
        return filter_parse_children(parser, node, 1, ret_node, err);
    case FILTER_EQ:
    case FILTER_GT:
    case FILTER_GTE:
    case FILTER_LT:
    case FILTER_LTE:
    case FILTER_LIKE:
    case FILTER_BETWEEN:
    case FILTER_IN:
    case FILTER_ARRAY_CONTAINS:
        break;
    }
    return filter_parse_comparison(parser, node, ret_node, err);
}

static bool filter_parse_root(const struct json_node *root, const struct schema *schema,
                              struct arena *arena, const struct filter **ret_filter,
                              struct err *err)
{
    struct filter_parser parser = {.schema = schema, .reader.arena = arena, .depth = 1};
    parser.columns_end = &parser.columns;
    struct filter *filter = arena_alloc(arena, sizeof *filter);
    if (json_node_kind(json_node_at(root, 0)) == JSON_KIND_ARRAY) {
        filter->root.op = FILTER_AND;
        parser.node_count = 1;
        TRY(filter_parse_children(&parser, root, 0, &filter->root, err));
    } else {
        TRY(filter_parse_node(&parser, root, &filter->root, err));
    }
    filter->columns = parser.columns;
    *ret_filter = filter;
    return true;
}

bool filter_parse(const struct json_node *node, const struct schema *schema, struct arena *arena,
                  const struct filter **ret_filter, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const struct json_node *root;
    TRY(filter_unwrap(node, &tree, &root, err));
    if (root == NULL) {
        *ret_filter = NULL;
        return true;
    }
    return filter_parse_root(root, schema, arena, ret_filter, err);
}

bool filter_load(const struct json_node *node, struct arena *arena,
                 const struct filter **ret_filter, struct err *err)
{
    if (json_node_kind(node) == JSON_KIND_NULL) {
        *ret_filter = NULL;
        return true;
    }
    struct err cause;
    if (!filter_parse_root(node, NULL, arena, ret_filter, &cause))
        return err_set(err, ERR_CORRUPT, "stored filter: %s", cause.message);
    return true;
}

void filter_each_column(const struct filter *filter,
                        void (*visit)(const struct column *column, void *context), void *context)
{
    if (filter == NULL)
        return;
    for (const struct filter_column *at = filter->columns; at != NULL; at = at->next)
        visit(&at->column, context);
}
