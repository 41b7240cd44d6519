// SPDX-License-Identifier: Apache-2.0
// The filter language: prefix notation in a JSON array,
// `["and",["eq","name","PURCHASE"],["gt","x",3]]`. One parser checks operators, operand counts,
// field names and values against a schema and brings every value to the field's type; the result is
// a tree that is printed as an engine expression with literals that cannot break out, or as
// canonical JSON. Trees belong to one thread. What every operator means for every type, what is
// done about missing values, and every text of an error: docs/filters.md.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json_tree.h"
#include "model/schema.h"

enum filter_limits {
    FILTER_DEPTH_MAX = 32,
    FILTER_NODES_MAX = 1000,
    FILTER_LIST_MAX = 10000,
    FILTER_VALUE_BYTES_MAX = 65536,
    FILTER_WILDCARDS_MAX = 50,       // of one pattern; with the next, bounds the work per row
    FILTER_PATTERN_BYTES_MAX = 1000, // at 1,400 the engine began to take a second per row
    FILTER_JSON_BYTES_MAX = 1024 * 1024,
};

struct filter;

// node may be NULL, null or []: no filter, *ret_filter is NULL. Accepts an array of arrays as an
// implicit "and", and a string that holds the JSON (also percent-encoded). Lives in arena. INVALID
// with a text for the client that points at the operand: "Invalid filter value at filter[2]: number
// expected", ...; but "no_such_field field is not available for exports" as documented, without.
NODISCARD bool filter_parse(const struct json_node *node, const struct schema *schema,
                            struct arena *arena, const struct filter **ret_filter, struct err *err);

// The array as compact JSON text in arena, for echoes and comparisons: what is accepted as a string
// or percent-encoded comes out as the array. NULL for no filter. Checks no more than that it is an
// array: INVALID "Invalid filter: array expected".
NODISCARD bool filter_normalize(const struct json_node *node, struct arena *arena,
                                const char **ret_json, struct err *err);

// Calls visit for each field name of the array, before it is parsed: in order, as often as it
// stands there, at most FILTER_NODES_MAX + 1 times; none where the shape is not a filter's.
void filter_each_name(const struct json_node *root, void (*visit)(struct slice name, void *context),
                      void *context);

// Every operator of the language: eq gt gte lt lte like between in and or not array_contains.
bool filter_operator_is_known(struct slice name);

// SQL of DuckDB, one boolean expression over columns named by append_column: it appends a quoted
// expression of the field's type as the filter knows it (VARCHAR for string and json, BIGINT for
// long and for the milliseconds of a timestamp, DOUBLE, BOOLEAN). NULL filter appends TRUE.
void filter_append_sql(const struct filter *filter,
                       void (*append_column)(struct buf *sql, const struct column *column,
                                             void *context),
                       void *context, struct buf *sql);

// Canonical JSON with types, for recipes: equal filters give equal bytes; filter_load reads it back
// without a schema (types are kept, whatever became of the fields). NULL prints null. CORRUPT for
// what filter_store did not write.
void filter_store(const struct filter *filter, struct buf *destination);
NODISCARD bool filter_load(const struct json_node *node, struct arena *arena,
                           const struct filter **ret_filter, struct err *err);

// Calls visit once per field that the filter reads.
void filter_each_column(const struct filter *filter,
                        void (*visit)(const struct column *column, void *context), void *context);
