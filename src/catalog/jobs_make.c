// SPDX-License-Identifier: Apache-2.0
// Making jobs: live windows that closed, retries, and the bounds that they wait for. Backfills are
// in jobs_backfill.c, late revisions in jobs_late.c.
// Upholds INV-9, INV-10 (docs/invariants.md).
#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"

// --- Live windows

struct job_due {
    const char *subscription_id;
    const char *organization_id;
    const char *app_id;
    int64_t version;
    int64_t topic_id;
    enum cadence cadence;
    int64_t end_ms;            // of the next window to make
    bool is_left_out;          // a pause takes it
    enum cadence next_cadence; // of the window after it
};

// Subscriptions with a closed window that has no job, the oldest window first, each once.
static bool job_find_due(struct catalog *catalog, const struct job_schedule_request *request,
                         int64_t limit, struct arena *arena, struct job_due **ret_due,
                         size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {
        db_int64(request->now_ms - request->hourly_grace_ms),
        db_int64(request->now_ms - request->daily_grace_ms),
        db_int64(limit),
    };
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(
        catalog->db,
        "SELECT due.id, due.organization_id, nullif(due.app_id, ''), v.version, v.topic_id,"
        " due.cadence, due.next_end_ms,"
        " EXISTS (SELECT 1 FROM subscription_pauses p WHERE p.subscription_id = due.id"
        "  AND p.from_ms < due.next_end_ms AND p.to_ms >= due.next_end_ms),"
        " (SELECT n.cadence FROM subscription_versions n WHERE n.subscription_id = due.id"
        "  AND n.from_ms <= due.next_end_ms ORDER BY n.version DESC LIMIT 1) FROM"
        " (SELECT * FROM (SELECT * FROM subscriptions WHERE status = 1 AND cadence = 0"
        "   AND next_end_ms <= $1 ORDER BY next_end_ms LIMIT $3) AS hourly"
        "  UNION ALL"
        "  SELECT * FROM (SELECT * FROM subscriptions WHERE status = 1 AND cadence = 1"
        "   AND next_end_ms <= $2 ORDER BY next_end_ms LIMIT $3) AS daily) AS due"
        " JOIN subscription_versions v ON v.subscription_id = due.id AND v.version ="
        "  (SELECT max(w.version) FROM subscription_versions w"
        "   WHERE w.subscription_id = due.id AND w.from_ms <= due.scheduled_to_ms)"
        " ORDER BY due.next_end_ms, due.id LIMIT $3",
        values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct job_due *due = catalog_list_add(&list, arena, sizeof *due);
        due->subscription_id = catalog_row_text(rows, 0, arena);
        due->organization_id = catalog_row_text(rows, 1, arena);
        due->app_id = catalog_row_text(rows, 2, arena);
        due->version = db_rows_int64(rows, 3);
        due->topic_id = db_rows_int64(rows, 4);
        due->cadence = (enum cadence)db_rows_int64(rows, 5);
        due->end_ms = db_rows_int64(rows, 6);
        due->is_left_out = db_rows_int64(rows, 7) != 0;
        due->next_cadence = (enum cadence)db_rows_int64(rows, 8);
    }
    TRY(err->kind == ERR_NONE);
    *ret_due = list.items;
    *ret_count = list.count;
    return true;
}

static bool job_make_due(struct catalog *catalog, const struct job_key *key,
                         const struct job_due *due, int64_t now_ms, struct err *err)
{
    const struct job_row row = {
        .subscription_id = due->subscription_id,
        .organization_id = due->organization_id,
        .app_id = due->app_id,
        .subscription_version = due->version,
        .topic_id = due->topic_id,
        .start_ms = due->end_ms - cadence_ms(due->cadence),
        .end_ms = due->end_ms,
        .kind = JOB_LIVE,
        .priority = JOB_PRIORITY_LIVE,
        .is_visible = true,
        .bound_seq = -1,
        .now_ms = now_ms,
    };
    bool is_created = false; // false: a backfill was first
    if (!due->is_left_out)
        TRY(job_insert(catalog, key, &row, &is_created, err));
    const struct db_value values[] = {db_text(due->subscription_id), db_int64(due->end_ms),
                                      db_int64(due->end_ms + cadence_ms(due->next_cadence)),
                                      db_int64((int64_t)due->next_cadence)};
    return db_exec(catalog->db,
                   "UPDATE subscriptions SET scheduled_to_ms = $2, next_end_ms = $3, cadence = $4"
                   " WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

struct job_scheduling {
    const struct job_schedule_request *request;
    int64_t count;
};

// Rounds in which every subscription that is behind gets one window, so that one that is far behind
// does not hold up the others.
static bool job_schedule_live_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_scheduling *scheduling = context;
    const struct job_schedule_request *request = scheduling->request;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_key key;
    TRY(job_key_load(catalog, &key, err));
    while (scheduling->count < request->limit) {
        struct job_due *due = NULL;
        size_t due_count = 0;
        TRY(job_find_due(catalog, request, request->limit - scheduling->count, &arena, &due,
                         &due_count, err));
        for (size_t i = 0; i < due_count; i++)
            TRY(job_make_due(catalog, &key, &due[i], request->now_ms, err));
        scheduling->count += (int64_t)due_count;
        if (due_count == 0)
            break;
    }
    return true;
}

bool job_schedule_live(struct catalog *catalog, const struct job_schedule_request *request,
                       int64_t *ret_count, struct err *err)
{
    ASSERT(request->limit > 0);
    ASSERT(request->limit <= JOB_ROWS_PER_TRANSACTION);
    // Almost always nothing is due: that is found out without the write lock.
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_due *due = NULL;
    size_t due_count = 0;
    TRY(job_find_due(catalog, request, 1, &arena, &due, &due_count, err));
    struct job_scheduling scheduling = {.request = request};
    if (due_count > 0)
        TRY(catalog_run(catalog, job_schedule_live_body, &scheduling, err));
    *ret_count = scheduling.count;
    return true;
}

// --- Retry

struct job_retrying {
    const char *organization_id;
    struct slice job_id;
    int64_t now_ms;
    struct arena *arena;
    struct job *job;
};

// *ret_was_live: it was among the live windows.
static bool job_retry_find(struct catalog *catalog, const struct job_retrying *retrying,
                           struct job *ret_job, bool *ret_was_live, struct err *err)
{
    const struct db_value values[] = {db_slice(retrying->job_id),
                                      db_text(retrying->organization_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(
        catalog,
        "SELECT " JOB_COLUMNS ", u.status,"
        " EXISTS (SELECT 1 FROM jobs n WHERE n.subscription_id = j.subscription_id"
        "  AND n.start_ms = j.start_ms AND n.revision > j.revision), j.priority"
        " FROM jobs j JOIN subscriptions u ON u.id = j.subscription_id"
        " WHERE j.id = $1 AND j.organization_id = $2 AND j.is_visible = 1",
        values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    struct job job = {0};
    job_read_row(rows, retrying->arena, &job);
    if (job.state != JOB_FAILED)
        return err_set(err, ERR_CONFLICT, "Job is %s; only a FAILED job can be retried",
                       job_state_name(job.state));
    if (db_rows_int64(rows, JOB_COLUMN_COUNT + 1) != 0)
        return err_set(err, ERR_CONFLICT, "Job was retried already: a later revision exists");
    const int64_t status = db_rows_int64(rows, JOB_COLUMN_COUNT);
    if (status != SUBSCRIPTION_PENDING && status != SUBSCRIPTION_ACTIVE)
        return err_set(err, ERR_CONFLICT, "Subscription is not active");
    *ret_was_live = db_rows_int64(rows, JOB_COLUMN_COUNT + 2) == (int64_t)JOB_PRIORITY_LIVE;
    *ret_job = job;
    return true;
}

static bool job_retry_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_retrying *retrying = context;
    struct job failed = {0};
    bool was_live = false;
    TRY(job_retry_find(catalog, retrying, &failed, &was_live, err));
    const struct job_row row = {
        .subscription_id = failed.subscription_id,
        .organization_id = failed.organization_id,
        .app_id = failed.app_id,
        .subscription_version = failed.subscription_version,
        .topic_id = failed.topic_id,
        .start_ms = failed.start_ms,
        .end_ms = failed.end_ms,
        .revision = failed.revision + 1,
        .kind = JOB_RETRY,
        .priority = was_live ? JOB_PRIORITY_LIVE : JOB_PRIORITY_BACKFILL,
        .is_visible = true,
        .bound_seq = -1,
        .seq_lo = failed.seq_lo,
        .now_ms = retrying->now_ms,
    };
    struct job_key key;
    bool is_created = false;
    TRY(job_key_load(catalog, &key, err));
    TRY(job_insert(catalog, &key, &row, &is_created, err));
    ASSERT(is_created); // it was the last revision, in this transaction
    char id[CATALOG_UUID_CHARS + 1];
    job_make_id(&key, &row, id);
    const struct audit_change change = {
        .organization_id = failed.organization_id,
        .action = "job.retry",
        .object_id = id,
        .details = arena_format(retrying->arena, "{\"failed_job_id\":\"%s\"}", failed.id),
    };
    TRY(audit_record(catalog, &change, err));
    return job_read(catalog, id, retrying->arena, retrying->job, err);
}

bool job_retry(struct catalog *catalog, const char *organization_id, struct slice job_id,
               int64_t now_ms, struct arena *arena, struct job *ret_job, struct err *err)
{
    struct job job = {0};
    struct job_retrying retrying = {organization_id, job_id, now_ms, arena, &job};
    TRY(catalog_run(catalog, job_retry_body, &retrying, err));
    *ret_job = job;
    return true;
}

// --- Bounds

bool job_bound_wanted(struct catalog *catalog, int64_t *ret_ordinal, struct err *err)
{
    return catalog_query_int64(catalog,
                               "SELECT max(ordinal) FROM jobs WHERE bound_seq < 0 AND state = 0",
                               NULL, 0, ret_ordinal, err);
}

bool job_set_bounds(struct catalog *catalog, int64_t ordinal, int64_t last_seq, struct err *err)
{
    ASSERT(last_seq >= 0);
    const struct db_value values[] = {db_int64(ordinal), db_int64(last_seq),
                                      db_int64(JOB_ROWS_PER_TRANSACTION)};
    int64_t changed = JOB_ROWS_PER_TRANSACTION;
    while (changed == JOB_ROWS_PER_TRANSACTION) {
        TRY(db_exec(catalog->db,
                    "UPDATE jobs SET bound_seq = $2 WHERE ordinal IN"
                    " (SELECT ordinal FROM jobs WHERE bound_seq < 0 AND state = 0 AND ordinal <= $1"
                    "  ORDER BY ordinal LIMIT $3)",
                    values, ARRAY_COUNT(values), &changed, err));
    }
    return true;
}
