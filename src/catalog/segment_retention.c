// SPDX-License-Identifier: Apache-2.0
// What leaves the lake: old segments, files that nothing uses, expired idempotency keys.
// Upholds INV-14 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/segment_retention.h"
#include "catalog/segments_internal.h"

// Bounds of one write transaction.
#define SEGMENT_SLICES_PER_TRANSACTION INT64_C(5000)
#define SEGMENT_KEYS_PER_TRANSACTION   INT64_C(500)

// --- Old segments

static bool segment_read_ids(struct catalog *catalog, const char *sql,
                             const struct db_value *values, size_t value_count, struct arena *arena,
                             struct catalog_list *ret_ids, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    *ret_ids = (struct catalog_list){0};
    while (db_rows_next(rows, err)) {
        int64_t *id = catalog_list_add(ret_ids, arena, sizeof *id);
        *id = db_rows_int64(rows, 0);
    }
    return err->kind == ERR_NONE;
}

// Of a segment s: some of its rows are still to be exported. Either a subscription has not got the
// jobs of all windows over the slice's hour yet, or a job over it is not final (its subscription
// may have ended), or late rows of the hour are noted, or not looked at, for a next revision. A
// window starts at its hour or its day; what is asked for once starts anywhere. CROSS JOIN: from
// slices to versions to subscriptions to jobs, by their indexes.
#define SEGMENT_IS_HELD                                                                            \
    "EXISTS (SELECT 1 FROM segment_slices x CROSS JOIN subscription_versions v"                    \
    " CROSS JOIN subscriptions u"                                                                  \
    " WHERE x.segment_id = s.id AND v.topic_id = x.topic_id AND u.id = v.subscription_id"          \
    " AND u.app_id IN ('', CAST(x.app_id AS TEXT))"                                                \
    " AND (u.kind = 0 AND u.status IN (0, 1) AND (u.scheduled_to_ms <= x.hour_ms"                  \
    "   OR EXISTS (SELECT 1 FROM late_hints h"                                                     \
    "    WHERE h.topic_id = x.topic_id AND h.app_id = x.app_id AND h.hour_ms = x.hour_ms"          \
    "    AND h.seq_max >= x.seq_min)"                                                              \
    "   OR x.segment_id > coalesce((SELECT CAST(m.value AS INTEGER)"                               \
    "    FROM meta m WHERE m.name = 'late_checked_segment'), 0))"                                  \
    "  OR u.kind = 0 AND EXISTS (SELECT 1 FROM jobs j WHERE j.subscription_id = u.id"              \
    "   AND j.start_ms IN (x.hour_ms, x.hour_ms - x.hour_ms % 86400000)"                           \
    "   AND j.end_ms > x.hour_ms AND j.state IN (0, 1, 2))"                                        \
    "  OR u.kind > 0 AND EXISTS (SELECT 1 FROM jobs j WHERE j.subscription_id = u.id"              \
    "   AND j.start_ms < x.hour_ms + 3600000 AND j.end_ms > x.hour_ms"                             \
    "   AND j.state IN (0, 1, 2))))"

// A look outside of write transactions, as there may be many that are old and held.
static bool segment_find_old(struct catalog *catalog, const struct segment_drop *drop,
                             struct arena *arena, struct catalog_list *ret_ids, struct err *err)
{
    const struct db_value values[] = {db_int64(drop->created_before_ms), db_int64(drop->limit)};
    return segment_read_ids(catalog,
                            "SELECT s.id FROM segments s"
                            " WHERE s.created_at_ms < $1 AND s.retired_at_ms = 0"
                            " AND NOT " SEGMENT_IS_HELD " ORDER BY s.created_at_ms, s.id LIMIT $2",
                            values, ARRAY_COUNT(values), arena, ret_ids, err);
}

static bool segment_raise_floors(struct catalog *catalog, int64_t id, struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    return db_exec(catalog->db,
                   "INSERT INTO lake_floors(topic_id, app_id, hour_ms, seq_max)"
                   " SELECT topic_id, app_id, hour_ms, seq_max FROM segment_slices"
                   " WHERE segment_id = $1 ON CONFLICT(topic_id, app_id, hour_ms)"
                   " DO UPDATE SET seq_max = excluded.seq_max"
                   " WHERE excluded.seq_max > lake_floors.seq_max",
                   values, ARRAY_COUNT(values), NULL, err);
}

// *ret_is_dropped false: a job or a subscription came since the look, or it was replaced.
static bool segment_drop_one(struct catalog *catalog, int64_t id, int64_t now_ms,
                             bool *ret_is_dropped, int64_t *ret_slice_count, struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM segments s"
                            " WHERE s.id = $1 AND s.retired_at_ms = 0 AND NOT " SEGMENT_IS_HELD,
                            values, ARRAY_COUNT(values), &count, err));
    *ret_is_dropped = count > 0;
    if (count == 0)
        return true;
    TRY(segment_raise_floors(catalog, id, err));
    return segment_retire(catalog, id, now_ms, ret_slice_count, err);
}

static bool segment_drop_in_transaction(struct catalog *catalog, const struct catalog_list *list,
                                        int64_t now_ms, int64_t *ret_count, struct err *err)
{
    const int64_t *ids = list->items;
    int64_t slice_total = 0;
    int64_t count = 0;
    for (size_t i = 0; i < list->count && slice_total < SEGMENT_SLICES_PER_TRANSACTION; i++) {
        bool is_dropped = false;
        int64_t slice_count = 0;
        TRY(segment_drop_one(catalog, ids[i], now_ms, &is_dropped, &slice_count, err));
        slice_total += slice_count;
        count += is_dropped ? 1 : 0;
    }
    *ret_count = count;
    return true;
}

bool segment_drop_older(struct catalog *catalog, const struct segment_drop *drop,
                        int64_t *ret_count, struct err *err)
{
    ASSERT(drop->now_ms > 0);
    struct arena arena CLEANUP(arena_clear) = {0};
    struct catalog_list list = {0};
    int64_t count = 0;
    TRY(segment_find_old(catalog, drop, &arena, &list, err));
    if (list.count > 0) {
        TRY(db_begin(catalog->db, err));
        TRY(catalog_end(
            catalog, segment_drop_in_transaction(catalog, &list, drop->now_ms, &count, err), err));
    }
    *ret_count = count;
    return true;
}

bool segment_floor(struct catalog *catalog, const struct segment_slice *wanted,
                   int64_t *ret_max_seq, struct err *err)
{
    const struct db_value values[] = {
        db_int64(wanted->topic_id), db_int64(wanted->app_id),
        db_int64(wanted->time_min_ms - CIVIL_HOUR_MS), // the hour that holds the start
        db_int64(wanted->time_max_ms)};
    return catalog_query_int64(catalog,
                               "SELECT max(seq_max) FROM lake_floors WHERE topic_id = $1"
                               " AND app_id = $2 AND hour_ms > $3 AND hour_ms < $4",
                               values, ARRAY_COUNT(values), ret_max_seq, err);
}

// --- Files

static bool segment_garbage_in_transaction(struct catalog *catalog, int64_t now_ms, int64_t limit,
                                           struct arena *arena, struct catalog_list *list,
                                           struct err *err)
{
    const struct db_value values[] = {db_int64(now_ms), db_int64(limit)};
    // A lapsed pin must not come back to life once its file is on the way out.
    TRY(db_exec(catalog->db, "DELETE FROM pins WHERE until_ms <= $1", values, 1, NULL, err));
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT " SEGMENT_COLUMNS " FROM segments s"
                 " WHERE s.retired_at_ms > 0 AND s.retired_at_ms <= $1"
                 " AND NOT EXISTS (SELECT 1 FROM pins WHERE segment_id = s.id)"
                 " ORDER BY s.retired_at_ms, s.id LIMIT $2",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        struct segment *segment = catalog_list_add(list, arena, sizeof *segment);
        segment_read(rows, arena, segment);
    }
    return err->kind == ERR_NONE;
}

bool segment_garbage(struct catalog *catalog, int64_t now_ms, int64_t limit, struct arena *arena,
                     struct segment **ret_segments, size_t *ret_count, struct err *err)
{
    struct catalog_list list = {0};
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(
        catalog, segment_garbage_in_transaction(catalog, now_ms, limit, arena, &list, err), err));
    *ret_segments = list.items;
    *ret_count = list.count;
    return true;
}

bool segment_forget(struct catalog *catalog, int64_t id, struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db, "DELETE FROM segments WHERE id = $1 AND retired_at_ms > 0", values,
                ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_NOT_FOUND, "no retired segment %" PRId64, id);
    return true;
}

// --- Idempotency keys

bool segment_keep_idempotency(struct catalog *catalog, const struct segment_idempotency *key,
                              struct err *err)
{
    const struct db_value values[] = {db_text(key->scope), db_text(key->body_sha256),
                                      db_text(key->answer), db_int64(key->expires_at_ms)};
    // There may be one that expired and is not deleted yet.
    return db_exec(catalog->db,
                   "INSERT INTO idempotency_keys(scope, body_sha256, answer, expires_at_ms)"
                   " VALUES($1, $2, $3, $4) ON CONFLICT(scope) DO UPDATE SET"
                   " body_sha256 = excluded.body_sha256, answer = excluded.answer,"
                   " expires_at_ms = excluded.expires_at_ms",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool segment_get_idempotency(struct catalog *catalog, const char *scope, int64_t now_ms,
                             struct arena *arena, struct segment_idempotency *ret_idempotency,
                             struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(scope), db_int64(now_ms)};
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT scope, body_sha256, answer, expires_at_ms FROM idempotency_keys"
                          " WHERE scope = $1 AND expires_at_ms > $2",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "no such idempotency key");
    *ret_idempotency = (struct segment_idempotency){
        .scope = catalog_row_text(rows, 0, arena),
        .body_sha256 = catalog_row_text(rows, 1, arena),
        .answer = catalog_row_text(rows, 2, arena),
        .expires_at_ms = db_rows_int64(rows, 3),
    };
    return true;
}

bool segment_expire_idempotency(struct catalog *catalog, int64_t now_ms, struct err *err)
{
    const struct db_value values[] = {db_int64(now_ms), db_int64(SEGMENT_KEYS_PER_TRANSACTION)};
    int64_t changed = SEGMENT_KEYS_PER_TRANSACTION;
    while (changed == SEGMENT_KEYS_PER_TRANSACTION) {
        TRY(db_exec(catalog->db,
                    "DELETE FROM idempotency_keys WHERE scope IN (SELECT scope"
                    " FROM idempotency_keys WHERE expires_at_ms <= $1"
                    " ORDER BY expires_at_ms LIMIT $2)",
                    values, ARRAY_COUNT(values), &changed, err));
    }
    return true;
}
