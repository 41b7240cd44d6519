// SPDX-License-Identifier: Apache-2.0
// A report against the schema of its topic.
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "model/report.h"

#define REPORT_FILTER_BYTES_MAX ((size_t)8 * 1024 * 1024)

static int report_compare_names(const void *left, const void *right)
{
    const char *const *left_name = left;
    const char *const *right_name = right;
    return strcmp(*left_name, *right_name);
}

static bool report_check_duplicates(const struct report *report, struct arena *arena,
                                    struct err *err)
{
    const char **sorted = arena_alloc_array(arena, report->field_count, sizeof *sorted);
    memcpy(sorted, report->fields, report->field_count * sizeof *sorted);
    qsort(sorted, report->field_count, sizeof *sorted, report_compare_names);
    for (size_t i = 1; i < report->field_count; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return err_set(err, ERR_INVALID, "Duplicate field: %.200s", sorted[i]);
    }
    return true;
}

// --- Unknown fields

struct report_looking {
    const struct schema *schema;
    struct arena *arena;
    const char **names; // unknown ones, each once
    size_t count;
    size_t capacity;
};

static void report_look_up(struct slice name, void *context)
{
    struct report_looking *looking = context;
    if (schema_find(looking->schema, name) != NULL)
        return;
    for (size_t i = 0; i < looking->count; i++) {
        if (slice_equal_text(name, looking->names[i]))
            return;
    }
    ASSERT(looking->count < looking->capacity);
    looking->names[looking->count++] = arena_copy_slice(looking->arena, name);
}

static bool report_check_fields(const struct report *report, const struct schema *schema,
                                const struct json_node *filter, struct arena *arena,
                                struct report_bad_fields *ret_bad_fields, struct err *err)
{
    if (!report->wants_all)
        TRY(report_check_duplicates(report, arena, err));
    struct report_looking looking = {.schema = schema, .arena = arena};
    looking.capacity = report->field_count + FILTER_NODES_MAX + 1;
    looking.names = arena_alloc_array(arena, looking.capacity, sizeof *looking.names);
    for (size_t i = 0; i < report->field_count && !report->wants_all; i++)
        report_look_up(slice_text(report->fields[i]), &looking);
    if (report->filter_typed == NULL)
        filter_each_name(filter, report_look_up, &looking);
    if (looking.count == 0)
        return true;
    *ret_bad_fields = (struct report_bad_fields){.names = looking.names, .count = looking.count};
    return schema_set_unavailable(err, slice_text(looking.names[0]));
}

// --- The filter

static bool report_check_filter(const struct json_node *root, const struct schema *schema,
                                struct arena *arena, const char **ret_typed, struct err *err)
{
    const struct filter *filter;
    TRY(filter_parse(root, schema, arena, &filter, err));
    struct buf typed CLEANUP(buf_clear);
    buf_init(&typed, REPORT_FILTER_BYTES_MAX);
    filter_store(filter, &typed);
    if (typed.overflowed)
        return err_set(err, ERR_INVALID, "Filter too complex");
    *ret_typed = arena_copy_slice(arena, buf_slice(&typed));
    return true;
}

bool report_check(struct report *report, const struct schema *schema, struct arena *arena,
                  struct report_bad_fields *ret_bad_fields, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (report->filter_json != NULL)
        TRY(json_tree_parse(slice_text(report->filter_json), &tree, err));
    const struct json_node *filter = tree == NULL ? NULL : json_tree_root(tree);
    TRY(report_check_fields(report, schema, filter, arena, ret_bad_fields, err));
    if (filter == NULL || report->filter_typed != NULL)
        return true;
    return report_check_filter(filter, schema, arena, &report->filter_typed, err);
}
