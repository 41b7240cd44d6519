// SPDX-License-Identifier: Apache-2.0
// Segments and their slices: publishing, finding, pinning, retiring. Slices are those of live
// segments only: retiring a segment deletes them, so what jobs find never mixes old and merged
// rows. segment_hours counts the live segments that touch each hour of a topic, but for those that
// are marked as damaged.
#include "catalog/segments.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/segments_internal.h"

// --- Reading

void segment_read(const struct db_rows *rows, struct arena *arena, struct segment *ret_segment)
{
    *ret_segment = (struct segment){
        .id = db_rows_int64(rows, 0),
        .path = catalog_row_text(rows, 1, arena),
        .columns = catalog_row_text(rows, 2, arena),
        .byte_count = db_rows_int64(rows, 3),
        .row_count = db_rows_int64(rows, 4),
        .sha256 = catalog_row_text(rows, 5, arena),
        .seq_lo = db_rows_int64(rows, 6),
        .seq_hi = db_rows_int64(rows, 7),
    };
}

bool segment_read_all(struct catalog *catalog, const char *sql, const struct db_value *values,
                      size_t value_count, struct arena *arena, struct catalog_list *ret_list,
                      struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    *ret_list = (struct catalog_list){0};
    while (db_rows_next(rows, err)) {
        struct segment *segment = catalog_list_add(ret_list, arena, sizeof *segment);
        segment_read(rows, arena, segment);
    }
    return err->kind == ERR_NONE;
}

bool segment_list(struct catalog *catalog, int64_t after_id, int64_t limit, struct arena *arena,
                  struct segment **ret_segments, size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_int64(after_id), db_int64(limit)};
    struct catalog_list list;
    TRY(segment_read_all(catalog,
                         "SELECT " SEGMENT_COLUMNS " FROM segments s"
                         " WHERE s.id > $1 AND s.retired_at_ms = 0 ORDER BY s.id LIMIT $2",
                         values, ARRAY_COUNT(values), arena, &list, err));
    *ret_segments = list.items;
    *ret_count = list.count;
    return true;
}

bool segment_path_is_known(struct catalog *catalog, const char *path, bool *ret_is_known,
                           struct err *err)
{
    const struct db_value values[] = {db_text(path)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog, "SELECT count(*) FROM segments WHERE path = $1", values,
                            ARRAY_COUNT(values), &count, err));
    *ret_is_known = count > 0;
    return true;
}

// --- Publishing

// What jobs rely on without looking into the file; a sum that differs would lose rows silently.
static bool segment_check(const struct segment *segment, struct err *err)
{
    int64_t row_count = 0;
    for (size_t i = 0; i < segment->slice_count; i++) {
        const struct segment_slice *slice = &segment->slices[i];
        const bool is_in_hour = slice->time_min_ms >= slice->hour_ms &&
                                slice->time_max_ms >= slice->time_min_ms &&
                                slice->time_max_ms < slice->hour_ms + CIVIL_HOUR_MS;
        if (!is_in_hour || slice->hour_ms % CIVIL_HOUR_MS != 0)
            return err_set(err, ERR_INVALID, "segment %s: slice %zu is not within its hour",
                           segment->path, i);
        if (slice->row_count < 1 || slice->seq_min > slice->seq_max)
            return err_set(err, ERR_INVALID, "segment %s: slice %zu is empty", segment->path, i);
        row_count += slice->row_count;
    }
    if (row_count != segment->row_count)
        return err_set(err, ERR_INVALID,
                       "segment %s has %" PRId64 " rows, its slices have %" PRId64, segment->path,
                       segment->row_count, row_count);
    return true;
}

static bool segment_insert_slice(struct catalog *catalog, int64_t segment_id,
                                 const struct segment_slice *slice, struct err *err)
{
    const struct db_value values[] = {
        db_int64(segment_id),     db_int64(slice->topic_id),    db_int64(slice->app_id),
        db_int64(slice->hour_ms), db_int64(slice->time_min_ms), db_int64(slice->time_max_ms),
        db_int64(slice->seq_min), db_int64(slice->seq_max),     db_int64(slice->row_count),
    };
    return db_exec(catalog->db,
                   "INSERT INTO segment_slices(segment_id, topic_id, app_id, hour_ms, time_min_ms,"
                   " time_max_ms, seq_min, seq_max, row_count)"
                   " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool segment_insert(struct catalog *catalog, const struct segment *segment, int64_t created_at_ms,
                    struct err *err)
{
    TRY(segment_check(segment, err));
    const struct db_value values[] = {
        db_text(segment->path),       db_text(segment->columns), db_int64(segment->byte_count),
        db_int64(segment->row_count), db_text(segment->sha256),  db_int64(segment->seq_lo),
        db_int64(segment->seq_hi),    db_int64(created_at_ms),
    };
    int64_t id = 0;
    TRY(catalog_query_int64(catalog,
                            "INSERT INTO segments(path, columns, byte_count, row_count, sha256,"
                            " seq_lo, seq_hi, created_at_ms)"
                            " VALUES($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
                            values, ARRAY_COUNT(values), &id, err));
    for (size_t i = 0; i < segment->slice_count; i++)
        TRY(segment_insert_slice(catalog, id, &segment->slices[i], err));
    const struct db_value counted[] = {db_int64(id)};
    return db_exec(catalog->db,
                   "INSERT INTO segment_hours(topic_id, hour_ms, segment_count)"
                   " SELECT DISTINCT topic_id, hour_ms, 1 FROM segment_slices WHERE segment_id = $1"
                   " ON CONFLICT(topic_id, hour_ms)"
                   " DO UPDATE SET segment_count = segment_hours.segment_count + 1",
                   counted, ARRAY_COUNT(counted), NULL, err);
}

static bool segment_commit_seal_in_transaction(struct catalog *catalog,
                                               const struct segment_seal *seal, struct err *err)
{
    TRY(segment_advance_log_file(catalog, seal, err));
    for (size_t i = 0; i < seal->segment_count; i++)
        TRY(segment_insert(catalog, &seal->segments[i], seal->now_ms, err));
    for (size_t i = 0; i < seal->key_count; i++)
        TRY(segment_keep_idempotency(catalog, &seal->keys[i], err));
    return true;
}

bool segment_commit_seal(struct catalog *catalog, const struct segment_seal *seal, struct err *err)
{
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, segment_commit_seal_in_transaction(catalog, seal, err), err);
}

// --- Finding

// CROSS JOIN: the slices first, by their primary key.
const char segment_find_sql[] = "SELECT " SEGMENT_COLUMNS
                                ", min(x.time_min_ms), max(x.time_max_ms),"
                                " min(x.seq_min), max(x.seq_max), sum(x.row_count)"
                                " FROM segment_slices x CROSS JOIN segments s"
                                " WHERE s.id = x.segment_id AND x.topic_id = $1 AND x.app_id = $2"
                                " AND x.hour_ms > $3 AND x.hour_ms < $5"
                                " AND x.time_max_ms >= $4 AND x.time_min_ms < $5"
                                " AND x.seq_max > $6 AND x.seq_min <= $7"
                                " GROUP BY s.id ORDER BY min(x.time_min_ms), s.id";

static void segment_read_found_slice(const struct db_rows *rows, const struct segment_slice *wanted,
                                     struct segment_slice *ret_slice)
{
    const int64_t time_min_ms = db_rows_int64(rows, SEGMENT_COLUMN_COUNT);
    *ret_slice = (struct segment_slice){
        .topic_id = wanted->topic_id,
        .app_id = wanted->app_id,
        .hour_ms = time_min_ms - time_min_ms % CIVIL_HOUR_MS,
        .time_min_ms = time_min_ms,
        .time_max_ms = db_rows_int64(rows, SEGMENT_COLUMN_COUNT + 1),
        .seq_min = db_rows_int64(rows, SEGMENT_COLUMN_COUNT + 2),
        .seq_max = db_rows_int64(rows, SEGMENT_COLUMN_COUNT + 3),
        .row_count = db_rows_int64(rows, SEGMENT_COLUMN_COUNT + 4),
    };
}

bool segment_find(struct catalog *catalog, const struct segment_slice *wanted, struct arena *arena,
                  struct segment **ret_segments, struct segment_slice **ret_slices,
                  size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {
        db_int64(wanted->topic_id),
        db_int64(wanted->app_id),
        db_int64(wanted->time_min_ms - CIVIL_HOUR_MS), // the hour that holds the start
        db_int64(wanted->time_min_ms),
        db_int64(wanted->time_max_ms),
        db_int64(wanted->seq_min),
        db_int64(wanted->seq_max),
    };
    TRY(db_query(catalog->db, segment_find_sql, values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list segments = {0};
    struct catalog_list slices = {0};
    while (db_rows_next(rows, err)) {
        struct segment *segment = catalog_list_add(&segments, arena, sizeof *segment);
        segment_read(rows, arena, segment);
        struct segment_slice *slice = catalog_list_add(&slices, arena, sizeof *slice);
        segment_read_found_slice(rows, wanted, slice);
    }
    TRY(err->kind == ERR_NONE);
    *ret_segments = segments.items;
    *ret_slices = slices.items;
    *ret_count = segments.count;
    return true;
}

// An app that came after the window's end may have sent rows of it all the same, and so may one
// that is deleted by now.
bool segment_find_apps(struct catalog *catalog, const char *organization_id,
                       const struct segment_slice *wanted, bool with_idle, struct arena *arena,
                       const char *const **ret_app_ids, size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {
        db_text(organization_id),
        db_int64(wanted->topic_id),
        db_int64(wanted->time_min_ms - CIVIL_HOUR_MS), // the hour that holds the start
        db_int64(wanted->time_min_ms),
        db_int64(wanted->time_max_ms),
        db_int64(wanted->seq_min),
        db_int64(wanted->seq_max),
        db_int64(with_idle ? 1 : 0),
    };
    TRY(db_query(catalog->db,
                 "SELECT a.id FROM apps a WHERE a.organization_id = $1"
                 " AND ($8 = 1 AND a.created_at_ms < $5"
                 "  AND (a.deleted_at_ms = 0 OR a.deleted_at_ms >= $5)"
                 "  OR EXISTS (SELECT 1 FROM segment_slices x"
                 "   WHERE x.topic_id = $2 AND x.app_id = CAST(a.id AS INTEGER)"
                 "   AND x.hour_ms > $3 AND x.hour_ms < $5"
                 "   AND x.time_max_ms >= $4 AND x.time_min_ms < $5"
                 "   AND x.seq_max > $6 AND x.seq_min <= $7)"
                 "  OR EXISTS (SELECT 1 FROM lake_floors l"
                 "   WHERE l.topic_id = $2 AND l.app_id = CAST(a.id AS INTEGER)"
                 "   AND l.hour_ms > $3 AND l.hour_ms < $5 AND l.seq_max > $6))"
                 " ORDER BY a.created_at_ms, a.id",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        const char **app_id = catalog_list_add(&list, arena, sizeof *app_id);
        *app_id = catalog_row_text(rows, 0, arena);
    }
    TRY(err->kind == ERR_NONE);
    // Never NULL: that stands for a job of one app.
    const size_t room_bytes = sizeof(const char *);
    *ret_app_ids = list.count > 0 ? list.items : arena_alloc(arena, room_bytes);
    *ret_count = list.count;
    return true;
}

// --- Pins

static bool segment_pin_one(struct catalog *catalog, const char *holder, int64_t id,
                            int64_t until_ms, struct err *err)
{
    const struct db_value values[] = {db_text(holder), db_int64(id), db_int64(until_ms)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "INSERT INTO pins(holder, segment_id, until_ms)"
                " SELECT $1, id, $3 FROM segments WHERE id = $2 AND (retired_at_ms = 0 OR EXISTS"
                " (SELECT 1 FROM pins WHERE holder = $1 AND segment_id = $2))"
                " ON CONFLICT(holder, segment_id) DO UPDATE SET until_ms = excluded.until_ms",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_CONFLICT, "segment %" PRId64 " is not there any more", id);
    return true;
}

static bool segment_pin_all(struct catalog *catalog, const char *holder, const int64_t *ids,
                            size_t count, int64_t until_ms, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        TRY(segment_pin_one(catalog, holder, ids[i], until_ms, err));
    return true;
}

bool segment_pin(struct catalog *catalog, const char *holder, const int64_t *ids, size_t count,
                 int64_t until_ms, struct err *err)
{
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, segment_pin_all(catalog, holder, ids, count, until_ms, err), err);
}

bool segment_unpin(struct catalog *catalog, const char *holder, struct err *err)
{
    const struct db_value values[] = {db_text(holder)};
    return db_exec(catalog->db, "DELETE FROM pins WHERE holder = $1", values, ARRAY_COUNT(values),
                   NULL, err);
}

// --- Retiring

bool segment_uncount_hours(struct catalog *catalog, int64_t id, struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    TRY(db_exec(catalog->db,
                "UPDATE segment_hours SET segment_count = segment_count - 1"
                " WHERE (topic_id, hour_ms) IN (SELECT DISTINCT topic_id, hour_ms"
                " FROM segment_slices WHERE segment_id = $1)",
                values, ARRAY_COUNT(values), NULL, err));
    return db_exec(catalog->db, "DELETE FROM segment_hours WHERE segment_count = 0", NULL, 0, NULL,
                   err);
}

bool segment_retire(struct catalog *catalog, int64_t id, int64_t retired_at_ms,
                    int64_t *ret_slice_count, struct err *err)
{
    ASSERT(retired_at_ms > 0);
    const struct db_value values[] = {db_int64(id), db_int64(retired_at_ms)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE segments SET retired_at_ms = $2 WHERE id = $1 AND retired_at_ms = 0",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_CONFLICT, "segment %" PRId64 " is not there any more", id);
    int64_t damaged_count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM segments WHERE id = $1 AND is_damaged = 1",
                            values, 1, &damaged_count, err));
    if (damaged_count == 0)
        TRY(segment_uncount_hours(catalog, id, err));
    return db_exec(catalog->db, "DELETE FROM segment_slices WHERE segment_id = $1", values, 1,
                   ret_slice_count, err);
}
