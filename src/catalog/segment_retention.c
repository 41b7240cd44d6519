// SPDX-License-Identifier: Apache-2.0
// What leaves the lake: old segments, files that nothing uses, expired idempotency keys.
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
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

static bool segment_drop_in_transaction(struct catalog *catalog, int64_t created_before_ms,
                                        int64_t limit, struct arena *arena, int64_t *ret_count,
                                        struct err *err)
{
    const struct db_value values[] = {db_int64(created_before_ms), db_int64(limit)};
    struct catalog_list list;
    TRY(segment_read_ids(catalog,
                         "SELECT id FROM segments WHERE created_at_ms < $1 AND retired_at_ms = 0"
                         " ORDER BY created_at_ms, id LIMIT $2",
                         values, ARRAY_COUNT(values), arena, &list, err));
    const int64_t *ids = list.items;
    int64_t slice_total = 0;
    int64_t count = 0;
    while (count < (int64_t)list.count && slice_total < SEGMENT_SLICES_PER_TRANSACTION) {
        int64_t slice_count = 0;
        TRY(segment_retire(catalog, ids[count], created_before_ms, &slice_count, err));
        slice_total += slice_count;
        count++;
    }
    *ret_count = count;
    return true;
}

bool segment_drop_older(struct catalog *catalog, int64_t created_before_ms, int64_t limit,
                        int64_t *ret_count, struct err *err)
{
    int64_t count = 0;
    struct arena arena CLEANUP(arena_clear) = {0};
    if (created_before_ms <= 0) { // nothing was made before 1970
        *ret_count = 0;
        return true;
    }
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(
        catalog,
        segment_drop_in_transaction(catalog, created_before_ms, limit, &arena, &count, err), err));
    *ret_count = count;
    return true;
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
