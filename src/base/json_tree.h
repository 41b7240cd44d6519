// SPDX-License-Identifier: Apache-2.0
// Strict JSON texts from requests, as a read-only tree (jansson inside). For API bodies and stored
// documents, not for events: those have model/event. A tree and its nodes belong to one thread;
// nodes and texts live as long as their tree.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_INT64,
    JSON_KIND_DOUBLE,
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

struct json_tree;
struct json_node;

// Any root. Duplicate keys, NUL, invalid UTF-8, numbers out of int64 or double range, trailing
// bytes and nesting deeper than 64 are refused with INVALID and a message for the client, such as
// "Invalid JSON", "Duplicate field: cadence", "Number out of range", "JSON nested too deeply",
// "Invalid UTF-8", "Invalid Unicode escape".
NODISCARD bool json_tree_parse(struct slice text, struct json_tree **ret_tree, struct err *err);
void json_tree_free(struct json_tree **tree);
const struct json_node *json_tree_root(const struct json_tree *tree);

// All accept NULL as the absent node: kind NULL, no members, empty text.
enum json_kind json_node_kind(const struct json_node *node);
bool json_node_bool(const struct json_node *node);
int64_t json_node_int64(const struct json_node *node);
double json_node_double(const struct json_node *node);     // of an INT64 node as well
struct slice json_node_text(const struct json_node *node); // NUL-terminated too
size_t json_node_count(const struct json_node *node);      // of an array or object
const struct json_node *json_node_at(const struct json_node *array, size_t index);
// NULL when absent or not an object.
const struct json_node *json_node_get(const struct json_node *object, const char *key);

// Calls visit for each member in the order of the text.
void json_node_each(const struct json_node *object,
                    void (*visit)(struct slice key, const struct json_node *value, void *context),
                    void *context);

// Compact text, keys in their order: equal trees give equal bytes.
void json_node_write(const struct json_node *node, struct buf *destination);
