// SPDX-License-Identifier: Apache-2.0
// API bodies: what is accepted prints as JSON that is accepted again and prints the same.
#include "base/check.h"
#include "base/json_tree.h"

#define FUZZ_TEXT_BYTES_MAX ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct json_tree *tree = NULL;
    if (!json_tree_parse(slice_of(data, size), &tree, &err)) {
        ASSERT(err.kind == ERR_INVALID);
        return 0;
    }
    struct buf first;
    struct buf second;
    buf_init(&first, FUZZ_TEXT_BYTES_MAX);
    buf_init(&second, FUZZ_TEXT_BYTES_MAX);
    json_node_write(json_tree_root(tree), &first);
    struct json_tree *again = NULL;
    const bool is_read = json_tree_parse(buf_slice(&first), &again, &err);
    ASSERT(is_read);
    json_node_write(json_tree_root(again), &second);
    ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    json_tree_free(&again);
    json_tree_free(&tree);
    buf_clear(&first);
    buf_clear(&second);
    return 0;
}
