// SPDX-License-Identifier: Apache-2.0
// The array that a filter is, wherever it stands: in the body, or in a text as clients of the days
// of GET sent it.
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "model/filter_internal.h"

static bool filter_array_expected(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid filter: array expected");
}

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

bool filter_unwrap(const struct json_node *node, struct json_tree **ret_tree,
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

bool filter_normalize(const struct json_node *node, struct arena *arena, const char **ret_json,
                      struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const struct json_node *root;
    TRY(filter_unwrap(node, &tree, &root, err));
    if (root == NULL) {
        *ret_json = NULL;
        return true;
    }
    struct buf json CLEANUP(buf_clear);
    buf_init(&json, FILTER_JSON_BYTES_MAX);
    json_node_write(root, &json);
    if (json.overflowed)
        return err_set(err, ERR_INVALID, "Filter too complex");
    *ret_json = arena_copy_slice(arena, buf_slice(&json));
    return true;
}
