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

// Brings an operand to the type of the field it is compared with; see filter.h for what fits. Texts
// are copied into arena. null stays null. INVALID "Invalid filter value", "Filter value too long".
NODISCARD bool filter_value_coerce(const struct json_node *node, enum field_type type,
                                   struct arena *arena, struct filter_value *ret_value,
                                   struct err *err);

// An element of an array has no declared type: any scalar, as it is.
NODISCARD bool filter_value_take_element(const struct json_node *node, struct arena *arena,
                                         struct filter_value *ret_value, struct err *err);

// Every pattern is one that all engines accept: no backslash at the end, FILTER_WILDCARDS_MAX.
NODISCARD bool filter_value_check_pattern(const struct filter_value *value, struct err *err);
