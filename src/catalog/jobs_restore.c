// SPDX-License-Identifier: Apache-2.0
// Restoring: a job that SUCCEEDED and whose files expired goes through the states of a job once
// more. Its range and recipe stay, so neither earlier nor later revisions of its window are
// concerned. It ends SUCCEEDED in any case: with its files, or still expired.
#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"

struct job_restoring {
    const struct job_restore_request *request;
    struct arena *arena;
    struct job *job;
};

// *ret_file_count: files that are on record yet.
static bool job_restore_find(struct catalog *catalog, const struct job_restoring *restoring,
                             struct job *ret_job, int64_t *ret_file_count, struct err *err)
{
    const struct db_value values[] = {db_slice(restoring->request->job_id),
                                      db_text(restoring->request->organization_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT " JOB_COLUMNS ", j.file_count FROM jobs j"
                          " WHERE j.id = $1 AND j.organization_id = $2 AND j.is_visible = 1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    job_read_row(rows, restoring->arena, ret_job);
    *ret_file_count = db_rows_int64(rows, JOB_COLUMN_COUNT);
    return true;
}

static bool job_restore_check(const struct job *job, int64_t file_count, struct err *err)
{
    if (job->state != JOB_SUCCEEDED)
        return err_set(err, ERR_CONFLICT, "Job is %s; only a SUCCEEDED job can be restored",
                       job_state_name(job->state));
    if (!job->is_expired)
        return err_set(err, ERR_CONFLICT, "Files of the job have not expired");
    if (file_count > 0)
        return err_set(err, ERR_CONFLICT, "Expired files of the job are still being removed");
    return true;
}

// Until the sweep has marked the job, its files are whole.
static bool job_restore_keep(struct catalog *catalog, const struct job_restoring *restoring,
                             const struct job *job, struct err *err)
{
    const struct db_value values[] = {db_text(job->id),
                                      db_int64(restoring->request->expires_at_ms)};
    return db_exec(catalog->db, "UPDATE jobs SET expires_at_ms = $2 WHERE id = $1", values,
                   ARRAY_COUNT(values), NULL, err);
}

static bool job_restore_begin(struct catalog *catalog, const struct job *job, int64_t file_count,
                              struct err *err)
{
    TRY(job_restore_check(job, file_count, err));
    ASSERT(job->recipe != NULL);
    const struct db_value values[] = {db_text(job->id), db_int64(JOB_PRIORITY_BACKFILL)};
    return db_exec(catalog->db,
                   "UPDATE jobs SET state = 0, is_restoring = 1, reason = NULL, priority = $2,"
                   " lost_count = 0, retry_at_ms = 0, first_failed_at_ms = 0 WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool job_restore_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_restoring *restoring = context;
    struct job job = {0};
    int64_t file_count = 0;
    TRY(job_restore_find(catalog, restoring, &job, &file_count, err));
    if (job.is_restoring) {
        *restoring->job = job;
        return true;
    }
    const bool is_over = job.state == JOB_SUCCEEDED && !job.is_expired && job.expires_at_ms > 0 &&
                         job.expires_at_ms <= restoring->request->now_ms;
    if (is_over)
        TRY(job_restore_keep(catalog, restoring, &job, err));
    else
        TRY(job_restore_begin(catalog, &job, file_count, err));
    const struct audit_change change = {
        .organization_id = job.organization_id,
        .action = "job.restore",
        .object_id = job.id,
    };
    TRY(audit_record(catalog, &change, err));
    return job_read(catalog, job.id, restoring->arena, restoring->job, err);
}

bool job_restore(struct catalog *catalog, const struct job_restore_request *request,
                 struct arena *arena, struct job *ret_job, struct err *err)
{
    ASSERT(request->expires_at_ms > request->now_ms);
    struct job job = {0};
    struct job_restoring restoring = {request, arena, &job};
    TRY(catalog_run(catalog, job_restore_body, &restoring, err));
    *ret_job = job;
    return true;
}
