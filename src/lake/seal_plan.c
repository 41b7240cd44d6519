// SPDX-License-Identifier: Apache-2.0
// Which rows go into which file: an hour of a topic that has many rows gets its own, the largest
// ones first; all others share the last one. Within a file, rows are in the order of topic, app,
// time, seq.
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "lake/seal_internal.h"

static int seal_compare(int64_t left, int64_t right)
{
    return (left > right) - (left < right);
}

static int seal_compare_hours(const void *left_item, const void *right_item)
{
    const struct seal_group *left = left_item;
    const struct seal_group *right = right_item;
    const int order = seal_compare(left->slice.topic_id, right->slice.topic_id);
    return order != 0 ? order : seal_compare(left->slice.hour_ms, right->slice.hour_ms);
}

static int seal_compare_groups(const void *left_item, const void *right_item)
{
    const struct seal_group *left = left_item;
    const struct seal_group *right = right_item;
    int order = seal_compare((int64_t)left->file, (int64_t)right->file);
    if (order == 0)
        order = seal_compare(left->slice.topic_id, right->slice.topic_id);
    if (order == 0)
        order = seal_compare(left->slice.app_id, right->slice.app_id);
    return order != 0 ? order : seal_compare(left->slice.hour_ms, right->slice.hour_ms);
}

// Groups are numbered in the order of files, topics, apps and hours.
static int seal_compare_rows(const void *left_item, const void *right_item)
{
    const struct seal_row *left = left_item;
    const struct seal_row *right = right_item;
    int order = seal_compare((int64_t)left->group, (int64_t)right->group);
    if (order == 0)
        order = seal_compare(left->time_ms, right->time_ms);
    return order != 0 ? order : seal_compare(left->seq, right->seq);
}

// An hour of a topic: groups [first, first + count) of all its apps.
struct seal_hour {
    size_t first;
    size_t count;
    int64_t row_count;
};

static int seal_compare_sizes(const void *left_item, const void *right_item)
{
    const struct seal_hour *left = left_item;
    const struct seal_hour *right = right_item;
    const int order = seal_compare(right->row_count, left->row_count);
    return order != 0 ? order : seal_compare((int64_t)left->first, (int64_t)right->first);
}

static size_t seal_plan_hours(struct seal_rows *rows, struct seal_hour *hours)
{
    size_t hour_count = 0;
    for (size_t i = 0; i < rows->group_count; i++) {
        const struct seal_group *group = &rows->groups[i];
        if (i == 0 || seal_compare_hours(&rows->groups[i - 1], group) != 0)
            hours[hour_count++] = (struct seal_hour){.first = i};
        hours[hour_count - 1].count++;
        hours[hour_count - 1].row_count += group->slice.row_count;
    }
    return hour_count;
}

// Gives every group its file; the one that is shared is the last. Returns how many there are.
static size_t seal_plan_files(struct seal_rows *rows, int64_t own_file_rows, size_t file_limit)
{
    struct seal_hour *hours = arena_alloc_array(&rows->arena, rows->group_count, sizeof hours[0]);
    qsort(rows->groups, rows->group_count, sizeof rows->groups[0], seal_compare_hours);
    const size_t hour_count = seal_plan_hours(rows, hours);
    qsort(hours, hour_count, sizeof hours[0], seal_compare_sizes);
    size_t own_count = 0;
    while (own_count < hour_count && own_count + 1 < file_limit &&
           hours[own_count].row_count >= own_file_rows)
        own_count++;
    for (size_t i = 0; i < hour_count; i++)
        for (size_t j = 0; j < hours[i].count; j++)
            rows->groups[hours[i].first + j].file = i < own_count ? i : own_count;
    return own_count + (hour_count > own_count ? 1 : 0);
}

static void seal_plan_renumber(struct seal_rows *rows)
{
    uint32_t *numbers CLEANUP(mem_free_at) = mem_alloc_array(rows->group_count, sizeof numbers[0]);
    for (size_t i = 0; i < rows->group_count; i++)
        numbers[rows->groups[i].position] = (uint32_t)i;
    for (size_t i = 0; i < rows->row_count; i++)
        rows->rows[i].group = numbers[rows->rows[i].group];
}

size_t seal_plan(struct seal_rows *rows, int64_t own_file_rows, int64_t file_limit,
                 struct seal_file **ret_files)
{
    ASSERT(file_limit > 0);
    *ret_files = NULL;
    if (rows->row_count == 0)
        return 0;
    const size_t file_count = seal_plan_files(rows, own_file_rows, (size_t)file_limit);
    qsort(rows->groups, rows->group_count, sizeof rows->groups[0], seal_compare_groups);
    seal_plan_renumber(rows);
    qsort(rows->rows, rows->row_count, sizeof rows->rows[0], seal_compare_rows);

    struct seal_file *files = arena_alloc_array(&rows->arena, file_count, sizeof files[0]);
    size_t first_row = 0;
    for (size_t i = 0; i < rows->group_count; i++) {
        const struct seal_group *group = &rows->groups[i];
        struct seal_file *file = &files[group->file];
        if (file->group_count == 0) {
            file->first_group = i;
            file->first_row = first_row;
        }
        file->group_count++;
        file->row_count += (size_t)group->slice.row_count;
        first_row += (size_t)group->slice.row_count;
    }
    ASSERT(first_row == rows->row_count);
    *ret_files = files;
    return file_count;
}
