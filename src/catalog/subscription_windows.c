// SPDX-License-Identifier: Apache-2.0
#include "catalog/subscription_windows.h"

#include "base/check.h"
#include "base/mem.h"
#include "catalog/subscriptions_internal.h"

// --- Versions

bool subscription_piece_at(struct catalog *catalog, const char *id, int64_t start_ms,
                           struct subscription_piece *ret_piece, struct err *err)
{
    // The first version is also for the windows before 1970.
    const struct db_value values[] = {db_text(id), db_int64(start_ms < 0 ? 0 : start_ms),
                                      db_int64(INT64_MAX)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT v.version, v.topic_id, v.cadence, v.from_ms,"
                          " coalesce((SELECT min(n.from_ms) FROM subscription_versions n"
                          "  WHERE n.subscription_id = $1 AND n.version > v.version), $3)"
                          " FROM subscription_versions v"
                          " WHERE v.subscription_id = $1 AND v.from_ms <= $2"
                          " ORDER BY v.version DESC LIMIT 1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return subscription_set_not_found(err);
    *ret_piece = (struct subscription_piece){
        .version = db_rows_int64(rows, 0),
        .topic_id = db_rows_int64(rows, 1),
        .cadence = (enum cadence)db_rows_int64(rows, 2),
        .from_ms = db_rows_int64(rows, 3),
        .until_ms = db_rows_int64(rows, 4),
    };
    ASSERT(ret_piece->from_ms < ret_piece->until_ms);
    return true;
}

bool subscription_versions(struct catalog *catalog, const char *id, int64_t limit,
                           struct arena *arena, struct subscription_version **ret_versions,
                           size_t *ret_count, struct err *err)
{
    ASSERT(limit > 0);
    const struct db_value values[] = {db_text(id), db_int64(limit)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT version, from_ms, created_at_ms, report FROM subscription_versions"
                 " WHERE subscription_id = $1 ORDER BY version DESC LIMIT $2",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct subscription_version *version = catalog_list_add(&list, arena, sizeof *version);
        version->version = db_rows_int64(rows, 0);
        version->from_ms = db_rows_int64(rows, 1);
        version->created_at_ms = db_rows_int64(rows, 2);
        TRY(report_load(db_rows_text(rows, 3), arena, &version->report, err));
    }
    TRY(err->kind == ERR_NONE);
    *ret_versions = list.items;
    *ret_count = list.count;
    return true;
}

// --- The active set

struct subscription_interval {
    int64_t start_ms;
    int64_t end_ms;
};

// Live ones and backfills, merged. The live interval of an INACTIVE subscription ends with the last
// window that was gone through: nothing is made after deactivation, so nothing later can be
// missing.
static bool subscription_intervals(struct catalog *catalog, const char *id, struct arena *arena,
                                   struct catalog_list *ret_intervals, struct err *err)
{
    const struct db_value values[] = {db_text(id), db_int64(INT64_MAX)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT live_from_ms AS start_ms,"
                 " CASE status WHEN 3 THEN scheduled_to_ms ELSE $2 END AS end_ms"
                 " FROM subscriptions WHERE id = $1 AND status <> 2"
                 " UNION ALL SELECT start_ms, end_ms FROM backfills WHERE subscription_id = $1"
                 " ORDER BY start_ms, end_ms",
                 values, ARRAY_COUNT(values), &rows, err));
    struct subscription_interval *last = NULL;
    while (db_rows_next(rows, err)) {
        const int64_t start_ms = db_rows_int64(rows, 0);
        const int64_t end_ms = db_rows_int64(rows, 1);
        if (start_ms >= end_ms)
            continue;
        if (last == NULL || start_ms > last->end_ms) {
            last = catalog_list_add(ret_intervals, arena, sizeof *last);
            *last = (struct subscription_interval){start_ms, end_ms};
        } else if (end_ms > last->end_ms) {
            last->end_ms = end_ms;
        }
    }
    return err->kind == ERR_NONE;
}

bool subscription_stretches(struct catalog *catalog, const char *id, struct arena *arena,
                            struct subscription_stretch **ret_stretches, size_t *ret_count,
                            struct err *err)
{
    struct catalog_list intervals = {0};
    struct catalog_list list = {0};
    TRY(subscription_intervals(catalog, id, arena, &intervals, err));
    const struct subscription_interval *items = intervals.items;
    for (size_t i = 0; i < intervals.count; i++) {
        int64_t at_ms = items[i].start_ms;
        while (at_ms < items[i].end_ms) {
            struct subscription_piece piece = {0};
            TRY(subscription_piece_at(catalog, id, at_ms, &piece, err));
            const int64_t end_ms = piece.until_ms < items[i].end_ms ? piece.until_ms
                                                                    : items[i].end_ms;
            ASSERT(end_ms > at_ms);
            struct subscription_stretch *stretch = catalog_list_add(&list, arena, sizeof *stretch);
            *stretch = (struct subscription_stretch){at_ms, end_ms, piece.cadence, piece.version};
            at_ms = end_ms;
        }
    }
    *ret_stretches = list.items;
    *ret_count = list.count;
    return true;
}

// --- Pauses

bool subscription_get_pauses(struct catalog *catalog, const char *id, struct arena *arena,
                             struct subscription_pauses *ret_pauses, struct err *err)
{
    const struct db_value values[] = {db_text(id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT from_ms, to_ms FROM subscription_pauses WHERE subscription_id = $1"
                 " ORDER BY from_ms",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct subscription_pause *pause = catalog_list_add(&list, arena, sizeof *pause);
        *pause = (struct subscription_pause){db_rows_int64(rows, 0), db_rows_int64(rows, 1)};
    }
    TRY(err->kind == ERR_NONE);
    *ret_pauses = (struct subscription_pauses){list.items, list.count};
    return true;
}

bool subscription_pauses_leave_out(const struct subscription_pauses *pauses, int64_t end_ms)
{
    for (size_t i = 0; i < pauses->count; i++) {
        if (end_ms > pauses->items[i].from_ms && end_ms <= pauses->items[i].to_ms)
            return true;
    }
    return false;
}
