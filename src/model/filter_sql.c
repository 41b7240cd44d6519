// SPDX-License-Identifier: Apache-2.0
// Filters as an expression of DuckDB. Text literals cannot break out: '' is the only special
// sequence inside '...', and no text here holds a NUL. Numbers are quoted and cast, so that the
// engine reads them exactly and in the type of the column: 0.1 alone would be a DECIMAL,
// -9223372036854775808 the negation of a number that does not fit.
#include <math.h>

#include "base/check.h"
#include "base/number.h"
#include "model/filter_internal.h"

#define FILTER_INT64_END 9223372036854775808.0 // 2^63

struct filter_printer {
    struct buf *sql;
    void (*append_column)(struct buf *sql, const struct column *column, void *context);
    void *context;
};

void filter_append_quoted(struct buf *sql, struct slice text)
{
    const char *bytes = slice_chars(text);
    buf_append_char(sql, '\'');
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (bytes[i] == '\'')
            buf_append_char(sql, '\'');
        buf_append_char(sql, bytes[i]);
    }
    buf_append_char(sql, '\'');
}

static void filter_append_cast(struct buf *sql, struct slice number, const char *type)
{
    buf_append_text(sql, "CAST('");
    buf_append(sql, number);
    buf_append_format(sql, "' AS %s)", type);
}

static void filter_append_value(struct buf *sql, const struct filter_value *value)
{
    char number[NUMBER_CHARS_MAX];
    switch (value->kind) {
    case FILTER_VALUE_NULL:
        break;
    case FILTER_VALUE_BOOL:
        buf_append_text(sql, value->as.boolean ? "TRUE" : "FALSE");
        return;
    case FILTER_VALUE_INT64:
        filter_append_cast(sql, slice_of(number, number_format_int64(value->as.int64, number)),
                           "BIGINT");
        return;
    case FILTER_VALUE_DOUBLE:
        filter_append_cast(sql, slice_of(number, number_format_double(value->as.real, number)),
                           "DOUBLE");
        return;
    case FILTER_VALUE_TEXT:
        filter_append_quoted(sql, value->as.text);
        return;
    }
    ASSERT(false); // nulls are tests, not literals
}

static void filter_append_binary(const struct filter_printer *printer,
                                 const struct filter_node *node, const char *operator)
{
    printer->append_column(printer->sql, node->column, printer->context);
    buf_append_text(printer->sql, operator);
    filter_append_value(printer->sql, &node->values[0]);
}

static void filter_append_is_null(const struct filter_printer *printer,
                                  const struct filter_node *node)
{
    printer->append_column(printer->sql, node->column, printer->context);
    buf_append_text(printer->sql, " IS NULL");
}

// Values that some row can equal: not null, which is a test of its own, and no fraction for a field
// of whole numbers.
static bool filter_value_is_literal(const struct filter_node *node, size_t index)
{
    const struct filter_value *value = &node->values[index];
    return value->kind != FILTER_VALUE_NULL &&
           !filter_value_is_unmatched(value, node->column->type);
}

static bool filter_has_null(const struct filter_node *node)
{
    for (size_t i = 0; i < node->value_count; i++) {
        if (node->values[i].kind == FILTER_VALUE_NULL)
            return true;
    }
    return false;
}

// A null among the values would make every other answer unknown in SQL.
static void filter_append_in(const struct filter_printer *printer, const struct filter_node *node)
{
    struct buf *sql = printer->sql;
    const bool has_null = filter_has_null(node);
    if (has_null)
        filter_append_is_null(printer, node);
    size_t count = 0;
    for (size_t i = 0; i < node->value_count; i++) {
        if (!filter_value_is_literal(node, i))
            continue;
        if (count++ == 0) {
            buf_append_text(sql, has_null ? " OR " : "");
            printer->append_column(sql, node->column, printer->context);
        }
        buf_append_text(sql, count == 1 ? " IN (" : ", ");
        filter_append_value(sql, &node->values[i]);
    }
    if (count > 0)
        buf_append_char(sql, ')');
    else if (!has_null)
        buf_append_text(sql, "FALSE");
}

static void filter_append_eq(const struct filter_printer *printer, const struct filter_node *node)
{
    if (node->values[0].kind == FILTER_VALUE_NULL)
        filter_append_is_null(printer, node);
    else if (filter_value_is_literal(node, 0))
        filter_append_binary(printer, node, " = ");
    else
        buf_append_text(printer->sql, "FALSE");
}

static void filter_append_json_number(struct buf *sql, struct slice number, const char *type)
{
    buf_append_text(sql, ", to_json(");
    filter_append_cast(sql, number, type);
    buf_append_char(sql, ')');
}

// Whether a double is a long, and which one.
static bool filter_double_is_int64(double real, int64_t *ret_int64)
{
    if (real < -FILTER_INT64_END || real >= FILTER_INT64_END || real != floor(real))
        return false;
    *ret_int64 = (int64_t)real;
    return true;
}

// 5 and 5.0 are one number but two JSON texts, and 0 has a third.
static void filter_append_number_elements(struct buf *sql, struct slice text)
{
    int64_t int64 = 0;
    int64_t back = 0;
    double real = 0;
    if (!number_parse_double(text, &real))
        return;
    const bool is_long = number_parse_int64(text, &int64);
    const bool is_double = !is_long || (filter_double_is_int64(real, &back) && back == int64);
    char number[NUMBER_CHARS_MAX];
    if (is_long || filter_double_is_int64(real, &int64))
        filter_append_json_number(sql, slice_of(number, number_format_int64(int64, number)),
                                  "BIGINT");
    if (is_double)
        filter_append_json_number(sql, slice_of(number, number_format_double(real, number)),
                                  "DOUBLE");
    if (real == 0)
        filter_append_json_number(sql, slice_text(signbit(real) ? "0.0" : "-0.0"), "DOUBLE");
}

// The JSON texts that the engine has for elements equal to the value: as a string, and as a boolean
// or number where the value reads as one. The engine writes elements anew (escapes, 1e2 as 100.0)
// just as to_json does, so equal texts are equal values.
static void filter_append_elements(struct buf *sql, const struct filter_value *value)
{
    struct slice text = value->as.text;
    char digits[NUMBER_CHARS_MAX];
    if (value->kind == FILTER_VALUE_BOOL)
        text = slice_text(value->as.boolean ? "true" : "false");
    else if (value->kind == FILTER_VALUE_INT64)
        text = slice_of(digits, number_format_int64(value->as.int64, digits));
    else if (value->kind == FILTER_VALUE_DOUBLE)
        text = slice_of(digits, number_format_double(value->as.real, digits));
    buf_append_text(sql, "[to_json(");
    filter_append_quoted(sql, text);
    buf_append_char(sql, ')');
    if (slice_equal_text(text, "true") || slice_equal_text(text, "false"))
        buf_append_format(sql, ", to_json(%s)", slice_equal_text(text, "true") ? "TRUE" : "FALSE");
    filter_append_number_elements(sql, text);
    buf_append_char(sql, ']');
}

// CASE keeps texts that are not JSON away from the functions that would fail on them.
static void filter_append_array_contains(const struct filter_printer *printer,
                                         const struct filter_node *node)
{
    struct buf *sql = printer->sql;
    buf_append_text(sql, "CASE WHEN ");
    printer->append_column(sql, node->column, printer->context);
    buf_append_text(sql, " IS NULL THEN NULL WHEN NOT json_valid(");
    printer->append_column(sql, node->column, printer->context);
    buf_append_text(sql, ") THEN FALSE ELSE list_has_any(json_extract(");
    printer->append_column(sql, node->column, printer->context);
    buf_append_text(sql, ", '$[*]'), ");
    filter_append_elements(sql, &node->values[0]);
    buf_append_text(sql, ") END");
}

static void filter_append_comparison(const struct filter_printer *printer,
                                     const struct filter_node *node)
{
    switch (node->op) {
    case FILTER_EQ:
        filter_append_eq(printer, node);
        return;
    case FILTER_GT:
        filter_append_binary(printer, node, " > ");
        return;
    case FILTER_GTE:
        filter_append_binary(printer, node, " >= ");
        return;
    case FILTER_LT:
        filter_append_binary(printer, node, " < ");
        return;
    case FILTER_LTE:
        filter_append_binary(printer, node, " <= ");
        return;
    case FILTER_LIKE:
        printer->append_column(printer->sql, node->column, printer->context);
        filter_like_append_sql(node->values[0].as.text, printer->sql);
        return;
    case FILTER_BETWEEN:
        filter_append_binary(printer, node, " BETWEEN ");
        buf_append_text(printer->sql, " AND ");
        filter_append_value(printer->sql, &node->values[1]);
        return;
    case FILTER_IN:
        filter_append_in(printer, node);
        return;
    case FILTER_ARRAY_CONTAINS:
        filter_append_array_contains(printer, node);
        return;
    case FILTER_AND:
    case FILTER_OR:
    case FILTER_NOT:
        break;
    }
    ASSERT(false);
}

static void filter_append_node(const struct filter_printer *printer, const struct filter_node *node,
                               size_t depth)
{
    ASSERT(depth <= FILTER_DEPTH_MAX);
    buf_append_char(printer->sql, '(');
    if (node->column != NULL)
        filter_append_comparison(printer, node);
    for (size_t i = 0; i < node->child_count; i++) {
        if (i > 0)
            buf_append_text(printer->sql, node->op == FILTER_OR ? " OR " : " AND ");
        filter_append_node(printer, &node->children[i], depth + 1);
    }
    if (node->op == FILTER_NOT)
        buf_append_text(printer->sql, " IS NOT TRUE"); // also of the unknown: see filter.h
    buf_append_char(printer->sql, ')');
}

void filter_append_sql(const struct filter *filter,
                       void (*append_column)(struct buf *sql, const struct column *column,
                                             void *context),
                       void *context, struct buf *sql)
{
    if (filter == NULL) {
        buf_append_text(sql, "TRUE");
        return;
    }
    const struct filter_printer printer = {
        .sql = sql, .append_column = append_column, .context = context};
    filter_append_node(&printer, &filter->root, 1);
}
