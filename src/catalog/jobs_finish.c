// SPDX-License-Identifier: Apache-2.0
// What a worker says about the job that it holds, until the job is final. Every statement names the
// job, the fence and the claim id.
// Upholds INV-12, INV-13 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/notices_internal.h"

bool job_set_claim_lost(const struct job_claim *claim, struct err *err)
{
    return err_set(err, ERR_CANCELED, "job %s: claim %" PRId64 " is lost", claim->job_id,
                   claim->fence);
}

// Whether this claim gave the job up before, with the outcome that the repeated call is about.
static bool job_was_left(struct catalog *catalog, const struct job_claim *claim, const char *sql,
                         struct err *err)
{
    const struct db_value values[] = {db_text(claim->job_id), db_int64(claim->fence),
                                      db_text(claim->claim_id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog, sql, values, ARRAY_COUNT(values), &count, err));
    return count > 0 || job_set_claim_lost(claim, err);
}

// --- While it runs

struct job_freezing {
    const struct job_claim *claim;
    const char *recipe;
    struct arena *arena;
    const char *kept_recipe;
};

static bool job_freeze_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_freezing *freezing = context;
    const struct job_claim *claim = freezing->claim;
    const struct db_value values[] = {db_text(claim->job_id), db_int64(claim->fence),
                                      db_text(claim->claim_id), db_text(freezing->recipe)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "UPDATE jobs SET recipe = coalesce(recipe, $4) WHERE " JOB_IS_HELD
                          " RETURNING recipe",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return job_set_claim_lost(claim, err);
    freezing->kept_recipe = catalog_row_text(rows, 0, freezing->arena);
    return true;
}

bool job_freeze(struct catalog *catalog, const struct job_claim *claim, const char *recipe,
                struct arena *arena, const char **ret_recipe, struct err *err)
{
    ASSERT(recipe != NULL);
    struct job_freezing freezing = {.claim = claim, .recipe = recipe, .arena = arena};
    TRY(catalog_run(catalog, job_freeze_body, &freezing, err));
    *ret_recipe = freezing.kept_recipe;
    return true;
}

bool job_renew(struct catalog *catalog, const struct job_claim *claim, int64_t progress,
               int64_t now_ms, int64_t lease_ms, struct err *err)
{
    const struct db_value values[] = {db_text(claim->job_id), db_int64(claim->fence),
                                      db_text(claim->claim_id), db_int64(now_ms + lease_ms),
                                      db_int64(progress)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE jobs SET lease_until_ms = $4, progress = $5 WHERE " JOB_IS_HELD, values,
                ARRAY_COUNT(values), &changed, err));
    return changed > 0 || job_set_claim_lost(claim, err);
}

bool job_mark_uploading(struct catalog *catalog, const struct job_claim *claim, struct err *err)
{
    const struct db_value values[] = {db_text(claim->job_id), db_int64(claim->fence),
                                      db_text(claim->claim_id)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db, "UPDATE jobs SET state = 2 WHERE " JOB_IS_HELD, values,
                ARRAY_COUNT(values), &changed, err));
    return changed > 0 || job_set_claim_lost(claim, err);
}

// --- SUCCEEDED

struct job_success {
    const struct job_claim *claim;
    const struct job_result *result;
};

bool job_insert_files(struct catalog *catalog, const char *job_id, const struct job_result *result,
                      struct err *err)
{
    for (size_t i = 0; i < result->file_count; i++) {
        const struct job_file *file = &result->files[i];
        const struct db_value values[] = {
            db_text(job_id),           db_int64(file->part),       db_text(file->key),
            db_int64(file->row_count), db_int64(file->byte_count), db_text(file->sha256),
        };
        TRY(db_exec(catalog->db,
                    "INSERT INTO job_files(job_id, part, key, row_count, byte_count, sha256,"
                    " organization_id, app_id)"
                    " SELECT id, $2, $3, $4, $5, $6, organization_id, app_id FROM jobs"
                    " WHERE id = $1",
                    values, ARRAY_COUNT(values), NULL, err));
    }
    const struct db_value values[] = {db_text(job_id), db_int64((int64_t)result->file_count)};
    return db_exec(catalog->db, "UPDATE jobs SET file_count = $2 WHERE id = $1", values,
                   ARRAY_COUNT(values), NULL, err);
}

// The kind and subscription of a job that the claim holds; *ret_is_held false: it does not.
struct job_held {
    enum job_kind kind;
    const char *subscription_id;
    bool is_wanted; // the subscription is PENDING or ACTIVE, or the job is restored for its sake
    bool is_spooled;
    bool is_restoring;
};
static bool job_find_held(struct catalog *catalog, const struct job_claim *claim,
                          struct arena *arena, bool *ret_is_held, struct job_held *ret_held,
                          struct err *err)
{
    const struct db_value values[] = {db_text(claim->job_id), db_int64(claim->fence),
                                      db_text(claim->claim_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT kind, subscription_id, is_restoring = 1 OR (SELECT u.status"
                          " IN (0, 1) FROM subscriptions u WHERE u.id = jobs.subscription_id),"
                          " is_spooled, is_restoring"
                          " FROM jobs WHERE " JOB_IS_HELD,
                          values, ARRAY_COUNT(values), &rows, &found, err));
    *ret_is_held = found;
    if (found) {
        ret_held->kind = (enum job_kind)db_rows_int64(rows, 0);
        ret_held->subscription_id = catalog_row_text(rows, 1, arena);
        ret_held->is_wanted = db_rows_int64(rows, 2) != 0;
        ret_held->is_spooled = db_rows_int64(rows, 3) != 0;
        ret_held->is_restoring = db_rows_int64(rows, 4) != 0;
    }
    return true;
}

// The files that job_spool has listed, of a job that is not to deliver them any more.
static bool job_forget_spooled(struct catalog *catalog, const char *job_id, struct err *err)
{
    const struct db_value values[] = {db_text(job_id)};
    return db_exec(catalog->db, "DELETE FROM job_files WHERE job_id = $1", values,
                   ARRAY_COUNT(values), NULL, err);
}

static bool job_succeed_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_claim *claim = ((const struct job_success *)context)->claim;
    const struct job_result *result = ((const struct job_success *)context)->result;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_held held = {0};
    bool is_held = false;
    TRY(job_find_held(catalog, claim, &arena, &is_held, &held, err));
    if (!is_held)
        return job_was_left(catalog, claim,
                            "SELECT count(*) FROM jobs"
                            " WHERE id = $1 AND fence = $2 AND claim_id = $3 AND state = 3",
                            err);
    const bool is_sample = held.kind == JOB_SAMPLE;
    const struct db_value values[] = {
        db_text(claim->job_id),       db_int64(result->row_count),
        db_int64(result->byte_count), db_text(result->manifest),
        db_int64(result->now_ms),     db_int64(is_sample ? 0 : result->expires_at_ms),
    };
    TRY(db_exec(
        catalog->db,
        "UPDATE jobs SET state = 3, reason = NULL, lease_until_ms = 0, row_count = $2,"
        " byte_count = $3, manifest = CASE WHEN is_restoring = 1 OR is_spooled = 1 THEN manifest"
        " ELSE $4 END, finished_at_ms = $5, expires_at_ms = $6, is_expired = 0,"
        " is_restoring = 0, is_spooled = 0,"
        " is_visible = CASE WHEN kind = 3 AND $2 > 0 THEN 1 ELSE is_visible END"
        " WHERE id = $1",
        values, ARRAY_COUNT(values), NULL, err));
    if (held.is_spooled)
        TRY(job_forget_spooled(catalog, claim->job_id, err));
    if (is_sample)
        return subscription_settle_pending(catalog, held.subscription_id, true, NULL,
                                           result->now_ms, err);
    TRY(job_insert_files(catalog, claim->job_id, result, err));
    return held.is_restoring ||
           notice_emit_job(catalog, NOTICE_JOB_SUCCEEDED, claim->job_id, result->now_ms, err);
}

bool job_succeed(struct catalog *catalog, const struct job_claim *claim,
                 const struct job_result *result, struct err *err)
{
    ASSERT(result->now_ms > 0);
    struct job_success success = {claim, result};
    return catalog_run(catalog, job_succeed_body, &success, err);
}

// --- FAILED, or again

bool job_end_failed(struct catalog *catalog, const struct job_end *end, struct err *err)
{
    ASSERT(end->reason != NULL);
    const struct db_value values[] = {db_text(end->job_id), db_text(end->reason),
                                      db_int64(end->now_ms), db_int64(end->is_taken_away ? 1 : 0)};
    // A late job that cannot be made is news, whether or not it would have had rows. A job whose
    // files cannot be restored has SUCCEEDED all the same.
    TRY(db_exec(catalog->db,
                "UPDATE jobs SET state = CASE is_restoring WHEN 1 THEN 3 ELSE 4 END, reason = $2,"
                " finished_at_ms = CASE is_restoring WHEN 1 THEN finished_at_ms ELSE $3 END,"
                " is_restoring = 0, is_spooled = 0, file_count = 0, lease_until_ms = 0,"
                " fence = fence + $4, is_visible = CASE kind WHEN 3 THEN 1 ELSE is_visible END "
                "WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    TRY(job_forget_spooled(catalog, end->job_id, err)); // what is listed now, was spooled
    if (end->kind != JOB_SAMPLE)
        return notice_emit_job(catalog, NOTICE_JOB_FAILED, end->job_id, end->now_ms, err);
    return subscription_settle_pending(catalog, end->subscription_id, false, end->reason,
                                       end->now_ms, err);
}

bool job_cancel_pending(struct catalog *catalog, const char *subscription_id, const char *reason,
                        int64_t now_ms, int64_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(subscription_id), db_text(reason), db_int64(now_ms),
                                      db_int64(JOB_ROWS_PER_TRANSACTION)};
    TRY(db_exec(
        catalog->db,
        "DELETE FROM job_files WHERE job_id IN (SELECT id FROM jobs"
        " WHERE subscription_id = $1 AND state = 0 AND is_restoring = 0 AND is_spooled = 1)",
        values, 1, NULL, err));
    return db_exec(catalog->db,
                   "UPDATE jobs SET state = 4, is_spooled = 0, file_count = 0, reason = $2,"
                   " finished_at_ms = $3 WHERE ordinal IN"
                   " (SELECT ordinal FROM jobs"
                   "  WHERE subscription_id = $1 AND state = 0 AND is_restoring = 0 LIMIT $4)",
                   values, ARRAY_COUNT(values), ret_count, err);
}

struct job_failure {
    const struct job_claim *claim;
    const char *reason;
    int64_t now_ms;
    int64_t retry_at_ms;
};

static bool job_fail_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_failure *failure = context;
    const struct job_claim *claim = failure->claim;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_held held = {0};
    bool is_held = false;
    TRY(job_find_held(catalog, claim, &arena, &is_held, &held, err));
    if (!is_held)
        return job_was_left(catalog, claim,
                            "SELECT count(*) FROM jobs"
                            " WHERE id = $1 AND fence = $2 AND claim_id = $3"
                            " AND (state IN (0, 4) OR state = 3 AND is_expired = 1)",
                            err);
    if (failure->retry_at_ms == 0 || !held.is_wanted) {
        const struct job_end end = {
            .job_id = claim->job_id,
            .subscription_id = held.subscription_id,
            .kind = held.kind,
            .reason = failure->reason,
            .now_ms = failure->now_ms,
        };
        return job_end_failed(catalog, &end, err);
    }
    const struct db_value values[] = {db_text(claim->job_id), db_text(failure->reason),
                                      db_int64(failure->retry_at_ms), db_int64(failure->now_ms)};
    return db_exec(catalog->db,
                   "UPDATE jobs SET state = 0, reason = $2, retry_at_ms = $3, lease_until_ms = 0,"
                   " first_failed_at_ms = CASE WHEN first_failed_at_ms = 0 AND $3 > $4 THEN $4"
                   " ELSE first_failed_at_ms END WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool job_fail(struct catalog *catalog, const struct job_claim *claim, const char *reason,
              int64_t now_ms, int64_t retry_at_ms, struct err *err)
{
    ASSERT(reason != NULL);
    ASSERT(now_ms > 0);
    struct job_failure failure = {claim, reason, now_ms, retry_at_ms};
    return catalog_run(catalog, job_fail_body, &failure, err);
}
