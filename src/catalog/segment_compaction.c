// SPDX-License-Identifier: Apache-2.0
// Merging the segments of crowded hours.
// Upholds INV-6 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/segments_internal.h"

// --- Replacing

// Adds up what the old segments had.
struct segment_sum {
    int64_t row_count;
    int64_t created_at_ms; // of the newest: retention counts from the last row's ingest
};

static bool segment_retire_old(struct catalog *catalog, int64_t id, int64_t now_ms,
                               struct segment_sum *sum, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_int64(id)};
    bool found = false;
    TRY(catalog_query_row(catalog, "SELECT row_count, created_at_ms FROM segments WHERE id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (found) {
        const int64_t created_at_ms = db_rows_int64(rows, 1);
        sum->row_count += db_rows_int64(rows, 0);
        sum->created_at_ms = created_at_ms > sum->created_at_ms ? created_at_ms
                                                                : sum->created_at_ms;
    }
    int64_t slice_count = 0;
    return segment_retire(catalog, id, now_ms, &slice_count, err);
}

static bool segment_replace_in_transaction(struct catalog *catalog, const int64_t *old_ids,
                                           size_t old_count, const struct segment *segment,
                                           int64_t now_ms, struct err *err)
{
    struct segment_sum sum = {0};
    for (size_t i = 0; i < old_count; i++)
        TRY(segment_retire_old(catalog, old_ids[i], now_ms, &sum, err));
    if (sum.row_count != segment->row_count)
        return err_set(err, ERR_INVALID,
                       "segment %s has %" PRId64 " rows instead of the %" PRId64
                       " that it would replace",
                       segment->path, segment->row_count, sum.row_count);
    return segment_insert(catalog, segment, sum.created_at_ms, err);
}

bool segment_replace(struct catalog *catalog, const int64_t *old_ids, size_t old_count,
                     const struct segment *segment, int64_t now_ms, struct err *err)
{
    TRY(db_begin(catalog->db, err));
    return catalog_end(
        catalog, segment_replace_in_transaction(catalog, old_ids, old_count, segment, now_ms, err),
        err);
}

// --- Crowded hours

static bool segment_read_slices(struct catalog *catalog, int64_t segment_id, struct arena *arena,
                                struct catalog_list *ret_list, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_int64(segment_id)};
    TRY(db_query(catalog->db,
                 "SELECT topic_id, app_id, hour_ms, time_min_ms, time_max_ms, seq_min, seq_max,"
                 " row_count FROM segment_slices WHERE segment_id = $1"
                 " ORDER BY topic_id, app_id, hour_ms",
                 values, ARRAY_COUNT(values), &rows, err));
    *ret_list = (struct catalog_list){0};
    while (db_rows_next(rows, err)) {
        struct segment_slice *slice = catalog_list_add(ret_list, arena, sizeof *slice);
        *slice = (struct segment_slice){
            .topic_id = db_rows_int64(rows, 0),
            .app_id = db_rows_int64(rows, 1),
            .hour_ms = db_rows_int64(rows, 2),
            .time_min_ms = db_rows_int64(rows, 3),
            .time_max_ms = db_rows_int64(rows, 4),
            .seq_min = db_rows_int64(rows, 5),
            .seq_max = db_rows_int64(rows, 6),
            .row_count = db_rows_int64(rows, 7),
        };
    }
    return err->kind == ERR_NONE;
}

static bool segment_read_hour(struct catalog *catalog, int64_t topic_id, int64_t hour_ms,
                              int64_t limit, struct arena *arena, struct catalog_list *ret_list,
                              struct err *err)
{
    const struct db_value values[] = {db_int64(topic_id), db_int64(hour_ms), db_int64(limit)};
    TRY(segment_read_all(catalog,
                         "SELECT " SEGMENT_COLUMNS " FROM segments s WHERE s.id IN"
                         " (SELECT segment_id FROM segment_slices"
                         " WHERE topic_id = $1 AND hour_ms = $2) AND s.is_damaged = 0"
                         " ORDER BY s.byte_count, s.id LIMIT $3",
                         values, ARRAY_COUNT(values), arena, ret_list, err));
    struct segment *segments = ret_list->items;
    for (size_t i = 0; i < ret_list->count; i++) {
        struct catalog_list slices;
        TRY(segment_read_slices(catalog, segments[i].id, arena, &slices, err));
        segments[i].slices = slices.items;
        segments[i].slice_count = slices.count;
    }
    return true;
}

static bool segment_find_crowded_in_view(struct catalog *catalog, int64_t threshold, int64_t limit,
                                         struct arena *arena, struct catalog_list *ret_list,
                                         struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_int64(threshold)};
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT topic_id, hour_ms FROM segment_hours WHERE segment_count > $1"
                          " ORDER BY segment_count DESC, topic_id, hour_ms LIMIT 1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return true;
    return segment_read_hour(catalog, db_rows_int64(rows, 0), db_rows_int64(rows, 1), limit, arena,
                             ret_list, err);
}

bool segment_find_crowded(struct catalog *catalog, int64_t threshold, int64_t limit,
                          struct arena *arena, struct segment **ret_segments, size_t *ret_count,
                          struct err *err)
{
    ASSERT(threshold >= 1); // one segment is no crowd
    ASSERT(limit >= 2);     // fewer would merge nothing
    struct catalog_list list = {0};
    TRY(db_begin_read(catalog->db, err));
    const bool is_done = segment_find_crowded_in_view(catalog, threshold, limit, arena, &list, err);
    db_end_read(catalog->db);
    TRY(is_done);
    *ret_segments = list.items;
    *ret_count = list.count;
    return true;
}

// --- Damage

static bool segment_mark_damaged_in_transaction(struct catalog *catalog, int64_t id,
                                                struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    int64_t changed = 0;
    int64_t live_count = 0;
    TRY(db_exec(catalog->db,
                "UPDATE segments SET is_damaged = 1"
                " WHERE id = $1 AND is_damaged = 0 AND retired_at_ms = 0",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed > 0)
        return segment_uncount_hours(catalog, id, err);
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM segments WHERE id = $1 AND retired_at_ms = 0",
                            values, ARRAY_COUNT(values), &live_count, err));
    if (live_count == 0)
        return err_set(err, ERR_NOT_FOUND, "no live segment %" PRId64, id);
    return true;
}

bool segment_mark_damaged(struct catalog *catalog, int64_t id, struct err *err)
{
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, segment_mark_damaged_in_transaction(catalog, id, err), err);
}
