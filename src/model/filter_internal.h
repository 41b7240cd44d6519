// SPDX-License-Identifier: Apache-2.0
// The tree of a filter, between its parser and its printers. Everything lives in the arena of the
// parse. Depth is at most FILTER_DEPTH_MAX, so walks recurse and carry their depth.
#pragma once

#include "model/filter.h"

enum filter_op {
    FILTER_EQ,
    FILTER_GT,
    FILTER_GTE,
    FILTER_LT,
    FILTER_LTE,
    FILTER_LIKE,
    FILTER_BETWEEN,
    FILTER_IN,
    FILTER_AND,
    FILTER_OR,
    FILTER_NOT,
    FILTER_ARRAY_CONTAINS,
};
#define FILTER_OP_COUNT 12

enum filter_value_kind {
    FILTER_VALUE_NULL,
    FILTER_VALUE_BOOL,
    FILTER_VALUE_INT64, // also milliseconds of a timestamp
    FILTER_VALUE_DOUBLE,
    FILTER_VALUE_TEXT,
};

struct filter_value {
    enum filter_value_kind kind;
    union {
        bool boolean;
        int64_t int64;
        double real;
        struct slice text;
    } as;
};

struct filter_node {
    enum filter_op op;
    const struct filter_node *children; // of and, or, not
    size_t child_count;
    const struct column *column; // of all others
    const struct filter_value *values;
    size_t value_count;
};

// Fields in the order of their first use.
struct filter_column {
    struct column column;
    struct filter_column *next;
};

struct filter {
    struct filter_node root;
    const struct filter_column *columns;
};

const char *filter_op_name(enum filter_op op);

// The array that a filter is: in *ret_root, NULL for no filter. *ret_tree owns it when it came out
// of a text, and is NULL else. INVALID when it is neither array, text of one, null nor absent.
NODISCARD bool filter_unwrap(const struct json_node *node, struct json_tree **ret_tree,
                             const struct json_node **ret_root, struct err *err);

// Where a parse is in the array: the indexes that lead there, so that errors point at an operand.
// The deepest is a value in the list of an `in`.
#define FILTER_PATH_MAX (FILTER_DEPTH_MAX + 2)
struct filter_reader {
    struct arena *arena;
    size_t path[FILTER_PATH_MAX];
    size_t path_count;
};

void filter_reader_enter(struct filter_reader *reader, size_t index);
void filter_reader_leave(struct filter_reader *reader);

// INVALID "<fact> at filter[2][1]: <hint>"; without the place at the top, and without a hint of
// NULL. Returns false.
bool filter_reader_refuse(const struct filter_reader *reader, const char *fact, const char *hint,
                          struct err *err);

// INVALID "Filter too complex at filter[1]: more than 1000 operators". Returns false.
bool filter_reader_refuse_size(const struct filter_reader *reader, size_t limit, const char *what,
                               struct err *err);

// What a whole-number field makes of a fraction: 1.5 lies between two numbers, and which of them
// gives the same rows depends on the operator.
enum filter_rounding {
    FILTER_ROUND_NONE, // stays a fraction, which no row has
    FILTER_ROUND_DOWN,
    FILTER_ROUND_UP,
};

// Brings an operand to the type of the field it is compared with; see docs/filters.md for what
// fits. Texts are copied into the arena. null stays null. INVALID "Invalid filter value", "Filter
// value too long".
NODISCARD bool filter_value_coerce(const struct filter_reader *reader, const struct json_node *node,
                                   enum field_type type, enum filter_rounding rounding,
                                   struct filter_value *ret_value, struct err *err);

// An element of an array has no declared type: any scalar, as it is.
NODISCARD bool filter_value_take_element(const struct filter_reader *reader,
                                         const struct json_node *node,
                                         struct filter_value *ret_value, struct err *err);

// Whether no row of a field of this type can equal the value: a fraction and a whole number.
bool filter_value_is_unmatched(const struct filter_value *value, enum field_type type);

// A pattern has no backslash at its end, and few enough wildcards and bytes that matching stays
// cheap.
NODISCARD bool filter_like_check(const struct filter_reader *reader, struct slice pattern,
                                 struct err *err);

// 'text', out of which nothing breaks.
void filter_append_quoted(struct buf *sql, struct slice text);

// The operator and its right side, behind the text that is matched.
void filter_like_append_sql(struct slice pattern, struct buf *sql);
