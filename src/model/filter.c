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
};

#define FILTER_OPERANDS_ANY SIZE_MAX

static const struct filter_op_info filter_op_infos[FILTER_OP_COUNT] = {
    [FILTER_EQ] = {"eq", 2, 2},
    [FILTER_GT] = {"gt", 2, 2},
    [FILTER_GTE] = {"gte", 2, 2},
    [FILTER_LT] = {"lt", 2, 2},
    [FILTER_LTE] = {"lte", 2, 2},
    [FILTER_LIKE] = {"like", 2, 2},
    [FILTER_BETWEEN] = {"between", 3, 3},
    [FILTER_IN] = {"in", 2, FILTER_OPERANDS_ANY},
    [FILTER_AND] = {"and", 1, FILTER_OPERANDS_ANY},
    [FILTER_OR] = {"or", 1, FILTER_OPERANDS_ANY},
    [FILTER_NOT] = {"not", 1, 1},
    [FILTER_ARRAY_CONTAINS] = {"array_contains", 2, 2},
};

struct filter_parser {
    const struct schema *schema; // NULL: the stored form, which names the types itself
    struct arena *arena;
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

static bool filter_too_complex(struct err *err)
{
    return err_set(err, ERR_INVALID, "Filter too complex");
}

static bool filter_wrong_operands(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid filter: wrong number of operands");
}

static bool filter_array_expected(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid filter: array expected");
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
    struct filter_column *column = arena_alloc(parser->arena, sizeof *column);
    column->column = (struct column){.name = arena_copy_slice(parser->arena, name), .type = type};
    *parser->columns_end = column;
    parser->columns_end = &column->next;
    return &column->column;
}

static bool filter_field_expected(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid filter: field name expected");
}

// {"f":"name","t":"string"}
static bool filter_parse_stored_column(struct filter_parser *parser, const struct json_node *node,
                                       const struct column **ret_column, struct err *err)
{
    const struct slice name = json_node_text(json_node_get(node, "f"));
    enum field_type type;
    if (slice_is_empty(name) || !field_type_parse(json_node_text(json_node_get(node, "t")), &type))
        return filter_field_expected(err);
    *ret_column = filter_intern_column(parser, name, type);
    return true;
}

static bool filter_parse_column(struct filter_parser *parser, const struct json_node *node,
                                const struct column **ret_column, struct err *err)
{
    if (parser->schema == NULL)
        return filter_parse_stored_column(parser, node, ret_column, err);
    if (json_node_kind(node) != JSON_KIND_TEXT)
        return filter_field_expected(err);
    const struct schema_field *field = schema_find(parser->schema, json_node_text(node));
    if (field == NULL)
        return schema_set_unavailable(err, json_node_text(node));
    *ret_column = filter_intern_column(parser, json_node_text(node), field->type);
    return true;
}

// --- Comparisons: [op, field, operand...].

static bool filter_parse_in(struct filter_parser *parser, const struct json_node *node,
                            struct filter_node *ret_node, struct err *err)
{
    const struct json_node *list = node;
    size_t first = 2;
    if (json_node_count(node) == 3 && json_node_kind(json_node_at(node, 2)) == JSON_KIND_ARRAY) {
        list = json_node_at(node, 2);
        first = 0;
    }
    const size_t count = json_node_count(list) - first;
    if (count == 0)
        return filter_wrong_operands(err);
    if (count > FILTER_LIST_MAX)
        return filter_too_complex(err);
    struct filter_value *values = arena_alloc_array(parser->arena, count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        TRY(filter_value_coerce(json_node_at(list, first + i), ret_node->column->type,
                                parser->arena, &values[i], err));
    }
    ret_node->values = values;
    ret_node->value_count = count;
    return true;
}

static bool filter_check_column(enum filter_op op, enum field_type type, struct err *err)
{
    if (type == FIELD_TEXT || type == FIELD_JSON)
        return true;
    if (op == FILTER_LIKE)
        return err_set(err, ERR_INVALID, "Invalid filter: like needs a string field");
    if (op == FILTER_ARRAY_CONTAINS)
        return err_set(err, ERR_INVALID, "Invalid filter: array_contains needs an array field");
    return true;
}

static bool filter_check_values(const struct filter_node *node, struct err *err)
{
    if (node->op == FILTER_EQ)
        return true; // null is a test
    for (size_t i = 0; i < node->value_count; i++) {
        if (node->values[i].kind == FILTER_VALUE_NULL)
            return err_set(err, ERR_INVALID, "Invalid filter value");
    }
    return node->op != FILTER_LIKE || filter_value_check_pattern(&node->values[0], err);
}

static bool filter_parse_comparison(struct filter_parser *parser, const struct json_node *node,
                                    struct filter_node *ret_node, struct err *err)
{
    TRY(filter_parse_column(parser, json_node_at(node, 1), &ret_node->column, err));
    TRY(filter_check_column(ret_node->op, ret_node->column->type, err));
    if (ret_node->op == FILTER_IN)
        return filter_parse_in(parser, node, ret_node, err);
    const size_t count = json_node_count(node) - 2;
    struct filter_value *values = arena_alloc_array(parser->arena, count, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct json_node *operand = json_node_at(node, 2 + i);
        if (ret_node->op == FILTER_ARRAY_CONTAINS)
            TRY(filter_value_take_element(operand, parser->arena, &values[i], err));
        else
            TRY(filter_value_coerce(operand, ret_node->column->type, parser->arena, &values[i],
                                    err));
    }
    ret_node->values = values;
    ret_node->value_count = count;
    return filter_check_values(ret_node, err);
}

// --- The tree.

static bool filter_parse_node(struct filter_parser *parser, const struct json_node *node,
                              struct filter_node *ret_node, struct err *err);

// The items of array from `first` on are filters, one level down.
static bool filter_parse_children(struct filter_parser *parser, const struct json_node *array,
                                  size_t first, struct filter_node *ret_node, struct err *err)
{
    const size_t count = json_node_count(array) - first;
    if (parser->depth == FILTER_DEPTH_MAX || count > FILTER_NODES_MAX)
        return filter_too_complex(err);
    struct filter_node *children = arena_alloc_array(parser->arena, count, sizeof *children);
    parser->depth++;
    for (size_t i = 0; i < count; i++)
        TRY(filter_parse_node(parser, json_node_at(array, first + i), &children[i], err));
    parser->depth--;
    ret_node->children = children;
    ret_node->child_count = count;
    return true;
}

static bool filter_parse_node(struct filter_parser *parser, const struct json_node *node,
                              struct filter_node *ret_node, struct err *err)
{
    ASSERT(parser->depth <= FILTER_DEPTH_MAX);
    if (++parser->node_count > FILTER_NODES_MAX)
        return filter_too_complex(err);
    if (json_node_kind(node) != JSON_KIND_ARRAY)
        return filter_array_expected(err);
    const struct json_node *name = json_node_at(node, 0);
    if (json_node_kind(name) != JSON_KIND_TEXT ||
        !filter_op_parse(json_node_text(name), &ret_node->op))
        return err_set(err, ERR_INVALID, "Unknown filter operator");
    const struct filter_op_info *info = &filter_op_infos[ret_node->op];
    const size_t operand_count = json_node_count(node) - 1;
    if (operand_count < info->operands_min || operand_count > info->operands_max)
        return filter_wrong_operands(err);
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
    struct filter_parser parser = {.schema = schema, .arena = arena, .depth = 1};
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

// --- Texts that hold the array.

// '+' stays: encodeURIComponent writes spaces as %20, and a plus may be part of a value.
static bool filter_percent_decode(struct slice text, struct buf *destination)
{
    const char *bytes = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (bytes[i] != '%') {
            buf_append_char(destination, bytes[i]);
            continue;
        }
        if (text.size_bytes - i < 3)
            return false;
        const int high = hex_digit(bytes[i + 1]);
        const int low = hex_digit(bytes[i + 2]);
        if (high < 0 || low < 0)
            return false;
        buf_append_char(destination, (char)(high * 16 + low));
        i += 2;
    }
    return !destination->overflowed;
}

// First as it is: a pattern in it may hold percent signs. False when it is no array either way.
static bool filter_tree_of_text(struct slice text, struct json_tree **ret_tree)
{
    struct json_tree *tree = NULL;
    if (!json_tree_parse(text, &tree, NULL)) {
        struct buf decoded;
        buf_init(&decoded, text.size_bytes + 1);
        const bool is_json = filter_percent_decode(text, &decoded) &&
                             json_tree_parse(buf_slice(&decoded), &tree, NULL);
        buf_clear(&decoded);
        if (!is_json)
            return false;
    }
    if (json_node_kind(json_tree_root(tree)) != JSON_KIND_ARRAY) {
        json_tree_free(&tree);
        return false;
    }
    *ret_tree = tree;
    return true;
}

// The array that a filter is, wherever it stands: in *ret_root, NULL for no filter. *ret_tree owns
// it when it came out of a text, and is NULL else.
static bool filter_unwrap(const struct json_node *node, struct json_tree **ret_tree,
                          const struct json_node **ret_root, struct err *err)
{
    struct json_tree *tree = NULL;
    const struct json_node *root = node;
    if (json_node_kind(node) == JSON_KIND_TEXT) {
        if (!filter_tree_of_text(json_node_text(node), &tree))
            return filter_array_expected(err);
        root = json_tree_root(tree);
    } else if (json_node_kind(node) != JSON_KIND_NULL && json_node_kind(node) != JSON_KIND_ARRAY) {
        return filter_array_expected(err);
    }
    *ret_tree = tree;
    *ret_root = json_node_count(root) == 0 ? NULL : root;
    return true;
}

bool filter_parse(const struct json_node *node, const struct schema *schema, struct arena *arena,
                  const struct filter **ret_filter, struct err *err)
{
    CLEANUP(json_tree_free) struct json_tree *tree = NULL;
    const struct json_node *root;
    TRY(filter_unwrap(node, &tree, &root, err));
    if (root == NULL) {
        *ret_filter = NULL;
        return true;
    }
    return filter_parse_root(root, schema, arena, ret_filter, err);
}

bool filter_normalize(const struct json_node *node, struct arena *arena, const char **ret_json,
                      struct err *err)
{
    CLEANUP(json_tree_free) struct json_tree *tree = NULL;
    const struct json_node *root;
    TRY(filter_unwrap(node, &tree, &root, err));
    if (root == NULL) {
        *ret_json = NULL;
        return true;
    }
    CLEANUP(buf_clear) struct buf json;
    buf_init(&json, FILTER_JSON_BYTES_MAX);
    json_node_write(root, &json);
    if (json.overflowed)
        return filter_too_complex(err);
    *ret_json = arena_copy_slice(arena, buf_slice(&json));
    return true;
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
