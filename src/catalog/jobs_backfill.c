// SPDX-License-Identifier: Apache-2.0
// Jobs of past windows that somebody asked for. The stretch is gone through from its start on, by
// the version that each window belongs to; so it may run over edits and changes of cadence.
// Upholds INV-9 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/subscriptions_internal.h"

enum job_backfill_limits {
    JOB_BACKFILL_WINDOWS_MAX = 10000,
};

struct job_backfilling {
    const char *subscription_id;
    int64_t start_ms; // of the next transaction
    int64_t end_ms;
    int64_t now_ms;
    int64_t window_count;
    int64_t created_count;
    bool is_recorded; // in the audit log
};

// --- What is asked for

static bool job_backfill_is_too_long(struct err *err)
{
    return err_set(err, ERR_INVALID, "Too many windows: at most %d", JOB_BACKFILL_WINDOWS_MAX);
}

static bool job_backfill_check_edge(enum cadence cadence, int64_t time_ms, struct err *err)
{
    if (window_is_edge(cadence, time_ms))
        return true;
    return err_set(err, ERR_INVALID, "start_date and end_date must be on window edges (%s)",
                   cadence_name(cadence));
}

// Each end is judged by the window that begins or ends there.
static bool job_backfill_check(struct catalog *catalog, const struct job_backfilling *backfilling,
                               struct err *err)
{
    const int64_t end_ms = backfilling->end_ms;
    if (backfilling->start_ms >= end_ms)
        return err_set(err, ERR_INVALID, "start_date must be before end_date");
    int64_t window_count = 0;
    for (int64_t at_ms = backfilling->start_ms; at_ms < end_ms;) {
        struct subscription_piece piece = {0};
        TRY(subscription_piece_at(catalog, backfilling->subscription_id, at_ms, &piece, err));
        const int64_t piece_end_ms = piece.until_ms < end_ms ? piece.until_ms : end_ms;
        TRY(job_backfill_check_edge(piece.cadence, at_ms, err));
        TRY(job_backfill_check_edge(piece.cadence, piece_end_ms, err));
        if (end_ms > backfilling->now_ms)
            return err_set(err, ERR_INVALID, "Window not closed yet");
        window_count += (piece_end_ms - at_ms) / cadence_ms(piece.cadence);
        if (window_count > JOB_BACKFILL_WINDOWS_MAX)
            return job_backfill_is_too_long(err);
        at_ms = piece_end_ms;
    }
    return true;
}

// --- Making

// Adds [start, end) to the stretches that were filled; those that touch become one, so that calls
// made again and again leave one row.
static bool job_backfill_record(struct catalog *catalog, const char *subscription_id,
                                int64_t start_ms, int64_t end_ms, struct err *err)
{
    const struct db_value values[] = {db_text(subscription_id), db_int64(start_ms),
                                      db_int64(end_ms)};
    struct db_value merged[] = {values[0], values[1], values[2]};
    {
        struct db_rows *rows CLEANUP(db_rows_close) = NULL;
        bool found = false;
        TRY(catalog_query_row(catalog,
                              "SELECT coalesce(min(start_ms), $2), coalesce(max(end_ms), $3)"
                              " FROM backfills"
                              " WHERE subscription_id = $1 AND start_ms <= $3 AND end_ms >= $2",
                              values, ARRAY_COUNT(values), &rows, &found, err));
        ASSERT(found);
        if (db_rows_int64(rows, 0) < start_ms)
            merged[1] = db_int64(db_rows_int64(rows, 0));
        if (db_rows_int64(rows, 1) > end_ms)
            merged[2] = db_int64(db_rows_int64(rows, 1));
    }
    TRY(db_exec(catalog->db,
                "DELETE FROM backfills"
                " WHERE subscription_id = $1 AND start_ms <= $3 AND end_ms >= $2",
                values, ARRAY_COUNT(values), NULL, err));
    return db_exec(catalog->db,
                   "INSERT INTO backfills(subscription_id, start_ms, end_ms) VALUES($1, $2, $3)",
                   merged, ARRAY_COUNT(merged), NULL, err);
}

// What the jobs of a backfill have in common. CONFLICT when the subscription takes no more jobs.
static bool job_backfill_row(struct catalog *catalog, const struct job_backfilling *backfilling,
                             struct arena *arena, struct job_row *ret_row, struct err *err)
{
    const struct db_value values[] = {db_text(backfilling->subscription_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT organization_id, nullif(app_id, ''), status FROM subscriptions"
                          " WHERE id = $1 AND kind = 0",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return subscription_set_not_found(err);
    if (!subscription_is_live((enum subscription_status)db_rows_int64(rows, 2)))
        return err_set(err, ERR_CONFLICT, "Subscription is not active");
    *ret_row = (struct job_row){
        .subscription_id = backfilling->subscription_id,
        .organization_id = catalog_row_text(rows, 0, arena),
        .app_id = catalog_row_text(rows, 1, arena),
        .kind = JOB_BACKFILL,
        .priority = JOB_PRIORITY_BACKFILL,
        .is_visible = true,
        .bound_seq = -1,
        .now_ms = backfilling->now_ms,
    };
    return true;
}

// Once for the call, in its first transaction.
static bool job_backfill_audit(struct catalog *catalog, struct job_backfilling *backfilling,
                               const char *organization_id, struct arena *arena, struct err *err)
{
    if (backfilling->is_recorded)
        return true;
    backfilling->is_recorded = true;
    char start[CIVIL_API_CHARS + 1];
    char end[CIVIL_API_CHARS + 1];
    civil_format_api(backfilling->start_ms, start);
    civil_format_api(backfilling->end_ms, end);
    const struct audit_change change = {
        .organization_id = organization_id,
        .action = "subscription.backfill",
        .object_id = backfilling->subscription_id,
        .details = arena_format(arena, "{\"start_date\":\"%s\",\"end_date\":\"%s\"}", start, end),
    };
    return audit_record(catalog, &change, err);
}

// The next windows, of one version.
static bool job_backfill_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_backfilling *backfilling = context;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_key key;
    struct job_row row = {0};
    struct subscription_piece piece = {0};
    TRY(job_backfill_row(catalog, backfilling, &arena, &row, err));
    TRY(job_backfill_audit(catalog, backfilling, row.organization_id, &arena, err));
    TRY(subscription_piece_at(catalog, backfilling->subscription_id, backfilling->start_ms, &piece,
                              err));
    TRY(job_key_load(catalog, &key, err));
    const int64_t step_ms = cadence_ms(piece.cadence);
    const int64_t room_ms = JOB_ROWS_PER_TRANSACTION * step_ms;
    int64_t end_ms = piece.until_ms < backfilling->end_ms ? piece.until_ms : backfilling->end_ms;
    if (end_ms - backfilling->start_ms > room_ms)
        end_ms = backfilling->start_ms + room_ms;
    TRY(job_backfill_record(catalog, backfilling->subscription_id, backfilling->start_ms, end_ms,
                            err));
    row.subscription_version = piece.version;
    row.topic_id = piece.topic_id;
    for (; backfilling->start_ms < end_ms; backfilling->start_ms += step_ms) {
        bool is_created = false;
        row.start_ms = backfilling->start_ms;
        row.end_ms = row.start_ms + step_ms;
        TRY(job_insert(catalog, &key, &row, &is_created, err));
        backfilling->window_count++;
        backfilling->created_count += is_created ? 1 : 0;
    }
    return true;
}

bool job_backfill(struct catalog *catalog, const char *subscription_id, int64_t start_ms,
                  int64_t end_ms, int64_t now_ms, int64_t *ret_window_count,
                  int64_t *ret_created_count, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_backfilling backfilling = {
        .subscription_id = subscription_id,
        .start_ms = start_ms,
        .end_ms = end_ms,
        .now_ms = now_ms,
    };
    struct job_row row = {0};
    TRY(job_backfill_row(catalog, &backfilling, &arena, &row, err));
    TRY(job_backfill_check(catalog, &backfilling, err));
    while (backfilling.start_ms < end_ms)
        TRY(catalog_run(catalog, job_backfill_body, &backfilling, err));
    *ret_window_count = backfilling.window_count;
    *ret_created_count = backfilling.created_count;
    return true;
}
