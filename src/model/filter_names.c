// SPDX-License-Identifier: Apache-2.0
// The field names in a filter that no schema has read yet: a client that misspelt several hears of
// all of them at once. Looks at the shape alone and passes over what it does not understand, which
// filter_parse refuses.
#include "base/check.h"
#include "model/filter.h"

// Where the walk is in an array of filters.
struct filter_place {
    const struct json_node *array;
    size_t next;
};

static bool filter_joins(const struct json_node *node)
{
    const struct slice name = json_node_text(json_node_at(node, 0));
    return slice_equal_text(name, "and") || slice_equal_text(name, "or") ||
           slice_equal_text(name, "not");
}

void filter_each_name(const struct json_node *root, void (*visit)(struct slice name, void *context),
                      void *context)
{
    struct filter_place places[FILTER_DEPTH_MAX];
    size_t depth = 0;
    size_t visited = 0;
    const struct json_node *node = root;
    for (;;) {
        const bool is_list = depth == 0 && json_node_kind(json_node_at(node, 0)) == JSON_KIND_ARRAY;
        if (json_node_kind(node) == JSON_KIND_ARRAY && (is_list || filter_joins(node))) {
            if (depth < FILTER_DEPTH_MAX)
                places[depth++] = (struct filter_place){node, is_list ? 0 : 1};
        } else if (json_node_kind(json_node_at(node, 1)) == JSON_KIND_TEXT &&
                   filter_operator_is_known(json_node_text(json_node_at(node, 0)))) {
            visit(json_node_text(json_node_at(node, 1)), context);
        }
        while (depth > 0 && places[depth - 1].next >= json_node_count(places[depth - 1].array))
            depth--;
        if (depth == 0 || ++visited > FILTER_NODES_MAX)
            return;
        node = json_node_at(places[depth - 1].array, places[depth - 1].next++);
    }
}
