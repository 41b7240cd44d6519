// SPDX-License-Identifier: Apache-2.0
// Reading jobs with their files, each in one statement (so one view: a listing never sees a job
// without its files), and retention.
// Upholds INV-13 (docs/invariants.md).
#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"

// Jobs are joined with their files; the columns follow those of the job. Files that have expired
// are not read: nobody may get at them any more.
#define JOB_AND_FILE_COLUMNS JOB_LIST_COLUMNS ", " JOB_FILE_COLUMNS
#define JOB_JOIN_FILES       " FROM jobs j LEFT JOIN job_files f ON f.job_id = j.id AND j.is_expired = 0"

struct job_collection {
    struct catalog_list jobs;
    struct catalog_list files; // of the last job
};

// Gives the last job its files; they are complete when the next job begins.
static void job_collection_close(struct job_collection *collection)
{
    if (collection->jobs.count == 0)
        return;
    struct job *jobs = collection->jobs.items;
    struct job *last = &jobs[collection->jobs.count - 1];
    last->files = collection->files.items;
    last->file_count = collection->files.count;
    collection->files = (struct catalog_list){0};
}

static void job_collection_add(struct job_collection *collection, const struct db_rows *rows,
                               struct arena *arena)
{
    const struct job *jobs = collection->jobs.items;
    const size_t count = collection->jobs.count;
    if (count == 0 || !slice_equal_text(db_rows_text(rows, 0), jobs[count - 1].id)) {
        job_collection_close(collection);
        job_read_row(rows, arena, catalog_list_add(&collection->jobs, arena, sizeof(struct job)));
    }
    if (db_rows_is_null(rows, JOB_COLUMN_COUNT))
        return;
    job_read_file(rows, JOB_COLUMN_COUNT, arena,
                  catalog_list_add(&collection->files, arena, sizeof(struct job_file)));
}

// sql gives the rows of one job together, in order of part.
static bool job_collect(struct catalog *catalog, const char *sql, const struct db_value *values,
                        size_t value_count, struct arena *arena, struct job **ret_jobs,
                        size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    struct job_collection collection = {0};
    while (db_rows_next(rows, err))
        job_collection_add(&collection, rows, arena);
    TRY(err->kind == ERR_NONE);
    job_collection_close(&collection);
    *ret_jobs = collection.jobs.items;
    *ret_count = collection.jobs.count;
    return true;
}

// The jobs are chosen by an index of what lists show, so that years of old windows cost nothing.
bool job_list(struct catalog *catalog, const char *subscription_id, int64_t since_ms,
              struct arena *arena, struct job **ret_jobs, size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(subscription_id), db_int64(since_ms)};
    return job_collect(catalog,
                       "SELECT " JOB_AND_FILE_COLUMNS JOB_JOIN_FILES " WHERE j.ordinal IN"
                       " (SELECT ordinal FROM jobs"
                       "  WHERE subscription_id = $1 AND is_visible = 1 AND finished_at_ms = 0"
                       "  UNION ALL SELECT ordinal FROM jobs"
                       "  WHERE subscription_id = $1 AND is_visible = 1 AND finished_at_ms >= $2)"
                       " ORDER BY j.start_ms DESC, j.revision DESC, f.part",
                       values, ARRAY_COUNT(values), arena, ret_jobs, ret_count, err);
}

bool job_ledger(struct catalog *catalog, const char *subscription_id, int64_t start_ms,
                int64_t end_ms, struct arena *arena, struct job **ret_jobs, size_t *ret_count,
                struct err *err)
{
    const struct db_value values[] = {db_text(subscription_id), db_int64(start_ms),
                                      db_int64(end_ms)};
    return job_collect(catalog,
                       "SELECT " JOB_AND_FILE_COLUMNS JOB_JOIN_FILES
                       " WHERE j.subscription_id = $1 AND j.start_ms >= $2 AND j.start_ms < $3"
                       " AND j.revision >= 0 ORDER BY j.start_ms, j.revision, f.part",
                       values, ARRAY_COUNT(values), arena, ret_jobs, ret_count, err);
}

bool job_get(struct catalog *catalog, const char *organization_id, struct slice subscription_id,
             struct slice job_id, struct arena *arena, struct job *ret_job, struct err *err)
{
    const struct db_value values[] = {db_slice(job_id), db_text(organization_id),
                                      slice_is_empty(subscription_id) ? db_null()
                                                                      : db_slice(subscription_id)};
    struct job *jobs = NULL;
    size_t count = 0;
    TRY(job_collect(catalog,
                    "SELECT " JOB_AND_FILE_COLUMNS JOB_JOIN_FILES
                    " WHERE j.id = $1 AND j.organization_id = $2 AND j.is_visible = 1"
                    " AND j.subscription_id = coalesce($3, j.subscription_id) ORDER BY f.part",
                    values, ARRAY_COUNT(values), arena, &jobs, &count, err));
    if (count == 0)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    ASSERT(count == 1);
    *ret_job = jobs[0];
    return true;
}

bool job_get_manifest(struct catalog *catalog, const char *organization_id, struct slice job_id,
                      struct arena *arena, const char **ret_manifest, struct err *err)
{
    const struct db_value values[] = {db_slice(job_id), db_text(organization_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT CASE WHEN state = 3 OR is_restoring = 1 THEN manifest END"
                          " FROM jobs"
                          " WHERE id = $1 AND organization_id = $2 AND is_visible = 1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    if (db_rows_is_null(rows, 0))
        return err_set(err, ERR_NOT_FOUND, "Job has no manifest: it has not succeeded");
    *ret_manifest = catalog_row_text(rows, 0, arena);
    return true;
}

bool job_get_last(struct catalog *catalog, const char *subscription_id, struct arena *arena,
                  struct job *ret_job, struct err *err)
{
    const struct db_value values[] = {db_text(subscription_id)};
    struct job *jobs = NULL;
    size_t count = 0;
    TRY(job_collect(catalog,
                    "SELECT " JOB_AND_FILE_COLUMNS JOB_JOIN_FILES " WHERE j.subscription_id = $1"
                    " AND j.revision = (SELECT max(n.revision) FROM jobs n"
                    "  WHERE n.subscription_id = $1) ORDER BY f.part",
                    values, ARRAY_COUNT(values), arena, &jobs, &count, err));
    if (count == 0)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    ASSERT(count == 1);
    *ret_job = jobs[0];
    return true;
}

bool job_all_final(struct catalog *catalog, const char *const *job_ids, size_t count,
                   bool *ret_are_final, struct err *err)
{
    bool are_final = true;
    for (size_t i = 0; i < count && are_final; i++) {
        const struct db_value values[] = {db_text(job_ids[i])};
        int64_t open_count = 0;
        TRY(catalog_query_int64(catalog,
                                "SELECT count(*) FROM jobs WHERE id = $1 AND state IN (0, 1, 2)",
                                values, ARRAY_COUNT(values), &open_count, err));
        are_final = open_count == 0;
    }
    *ret_are_final = are_final;
    return true;
}

bool job_get_recipe(struct catalog *catalog, const char *job_id, struct arena *arena,
                    const char **ret_recipe, struct err *err)
{
    const struct db_value values[] = {db_text(job_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, "SELECT recipe FROM jobs WHERE id = $1", values,
                          ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    *ret_recipe = catalog_row_text(rows, 0, arena);
    return true;
}

// --- Retention

bool job_expire(struct catalog *catalog, int64_t now_ms, int64_t limit, int64_t *ret_count,
                struct err *err)
{
    ASSERT(limit > 0);
    const struct db_value values[] = {db_int64(now_ms), db_int64(limit)};
    return db_exec(catalog->db,
                   "UPDATE jobs SET is_expired = 1 WHERE ordinal IN (SELECT ordinal FROM jobs"
                   " WHERE state = 3 AND is_expired = 0 AND expires_at_ms > 0"
                   " AND expires_at_ms <= $1 ORDER BY expires_at_ms LIMIT $2)",
                   values, ARRAY_COUNT(values), ret_count, err);
}

// Files of a job that is restored are listed while they are delivered: they are new ones.
bool job_expired_files(struct catalog *catalog, int64_t limit, struct arena *arena,
                       struct job_expired_file **ret_files, size_t *ret_count,
                       int64_t *ret_total_file_count, struct err *err)
{
    ASSERT(limit >= 0);
    int64_t total_file_count = 0;
    TRY(catalog_query_int64(catalog, "SELECT count(*) FROM job_files", NULL, 0, &total_file_count,
                            err));
    const struct db_value values[] = {db_int64(limit)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT j.id, f.key FROM jobs j JOIN job_files f ON f.job_id = j.id"
                 " WHERE j.is_expired = 1 AND j.is_restoring = 0 AND j.file_count > 0"
                 " ORDER BY j.expires_at_ms, j.ordinal, f.part LIMIT $1",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct job_expired_file *file = catalog_list_add(&list, arena, sizeof *file);
        file->job_id = catalog_row_text(rows, 0, arena);
        file->key = catalog_row_text(rows, 1, arena);
    }
    TRY(err->kind == ERR_NONE);
    *ret_files = list.items;
    *ret_count = list.count;
    *ret_total_file_count = total_file_count;
    return true;
}

bool job_lists_file(struct catalog *catalog, const char *key, bool *ret_is_listed, struct err *err)
{
    const struct db_value values[] = {db_text(key)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, "SELECT 1 FROM job_files WHERE key = $1", values, ARRAY_COUNT(values),
                 &rows, err));
    *ret_is_listed = db_rows_next(rows, err);
    return *ret_is_listed || err->kind == ERR_NONE;
}

struct job_forgetting {
    const char *job_id;
    const char *key;
};

static bool job_forget_file_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_forgetting *forgetting = context;
    const struct db_value values[] = {db_text(forgetting->job_id), db_text(forgetting->key)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "DELETE FROM job_files WHERE job_id = $1 AND key = $2 AND EXISTS"
                " (SELECT 1 FROM jobs j WHERE j.id = $1 AND j.is_expired = 1"
                "  AND j.is_restoring = 0)",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return true;
    return db_exec(catalog->db, "UPDATE jobs SET file_count = file_count - 1 WHERE id = $1", values,
                   1, NULL, err);
}

bool job_forget_file(struct catalog *catalog, const char *job_id, const char *key, struct err *err)
{
    struct job_forgetting forgetting = {job_id, key};
    return catalog_run(catalog, job_forget_file_body, &forgetting, err);
}
