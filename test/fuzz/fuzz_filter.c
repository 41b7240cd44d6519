// SPDX-License-Identifier: Apache-2.0
// Filters: what is accepted can be stored and loaded with the same result, and prints an
// expression.
#include "base/check.h"
#include "base/mem.h"
#include "model/filter.h"

#define FUZZ_TEXT_BYTES_MAX ((size_t)16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_append_column(struct buf *sql, const struct column *column, void *context)
{
    (void)context;
    buf_append_text(sql, column->name);
}

static void fuzz_check(const struct filter *filter, struct arena *arena)
{
    struct err err = {0};
    struct buf first CLEANUP(buf_clear);
    struct buf second CLEANUP(buf_clear);
    struct buf sql CLEANUP(buf_clear);
    buf_init(&first, FUZZ_TEXT_BYTES_MAX);
    buf_init(&second, FUZZ_TEXT_BYTES_MAX);
    buf_init(&sql, FUZZ_TEXT_BYTES_MAX);
    filter_store(filter, &first);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    bool is_done = json_tree_parse(buf_slice(&first), &tree, &err);
    ASSERT(is_done);
    const struct filter *loaded = NULL;
    is_done = filter_load(json_tree_root(tree), arena, &loaded, &err);
    ASSERT(is_done);
    filter_store(loaded, &second);
    ASSERT(slice_equal(buf_slice(&first), buf_slice(&second)));
    filter_append_sql(filter, fuzz_append_column, NULL, &sql);
    ASSERT(sql.size_bytes > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct json_tree *tree = NULL;
    if (!json_tree_parse(slice_of(data, size), &tree, &err))
        return 0;
    struct arena arena;
    arena_init(&arena);
    const struct filter *filter = NULL;
    if (filter_parse(json_tree_root(tree), schema_builtin(slice_text("eo_click")), &arena, &filter,
                     &err) &&
        filter != NULL)
        fuzz_check(filter, &arena);
    arena_clear(&arena);
    json_tree_free(&tree);
    return 0;
}
