// SPDX-License-Identifier: Apache-2.0
// What the files of jobs and subscriptions share: rows in and out, and the steps that several
// transactions have in common. All but the readers are called inside a write transaction.
//
// SQL names states, kinds and statuses by number, because partial indexes want literals.
#pragma once

#include <assert.h>

#include "catalog/catalog_internal.h"
#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "catalog/subscriptions.h"

static_assert(JOB_PENDING_GENERATION == 0 && JOB_RUNNING == 1 && JOB_PENDING_UPLOAD == 2 &&
                  JOB_SUCCEEDED == 3 && JOB_FAILED == 4,
              "states are numbers in SQL and on disk");
static_assert(JOB_SAMPLE == 0 && JOB_LIVE == 1 && JOB_BACKFILL == 2 && JOB_LATE == 3 &&
                  JOB_RETRY == 4,
              "kinds are numbers in SQL and on disk");
static_assert(SUBSCRIPTION_SCHEDULED == 0 && SUBSCRIPTION_CUSTOM_EXPORT == 1 &&
                  SUBSCRIPTION_DAILY_EXPORT == 2 && SUBSCRIPTION_PREVIEW == 3,
              "kinds are numbers in SQL and on disk");
static_assert(SUBSCRIPTION_PENDING == 0 && SUBSCRIPTION_ACTIVE == 1 && SUBSCRIPTION_FAILED == 2 &&
                  SUBSCRIPTION_INACTIVE == 3,
              "statuses are numbers in SQL and on disk");

enum job_internal_limits {
    JOB_ROWS_PER_TRANSACTION = 500,
    JOB_SAMPLE_REVISION = -1,
};

// --- Rows (jobs_row.c)

// For `FROM jobs j`, in the order in which job_read_row reads. Lists leave the recipe out: it is
// the largest column, and only the worker that runs the job needs it.
#define JOB_COLUMNS_BUT_RECIPE                                                                     \
    "j.id, j.subscription_id, j.organization_id, nullif(j.app_id, ''),"                            \
    " j.subscription_version, j.topic_id,"                                                         \
    " j.start_ms, j.end_ms, j.revision, j.kind, j.state, j.is_visible, j.seq_lo, j.seq_hi,"        \
    " j.fence, j.claim_id, j.lost_count, j.created_at_ms, j.finished_at_ms, j.expires_at_ms,"      \
    " j.is_expired, j.row_count, j.byte_count, j.reason, j.first_failed_at_ms, j.is_restoring,"    \
    " j.is_spooled"
#define JOB_COLUMNS      JOB_COLUMNS_BUT_RECIPE ", j.recipe"
#define JOB_LIST_COLUMNS JOB_COLUMNS_BUT_RECIPE ", NULL AS recipe"
#define JOB_COLUMN_COUNT ((size_t)28)

// For `FROM job_files f`, in the order in which job_read_file reads.
#define JOB_FILE_COLUMNS      "f.part, f.key, f.row_count, f.byte_count, f.sha256"
#define JOB_FILE_COLUMN_COUNT ((size_t)5)
#define JOB_FILE_KEY_COLUMN   ((size_t)1)

void job_read_file(const struct db_rows *rows, size_t first_column, struct arena *arena,
                   struct job_file *ret_file);
// The files are left empty.
void job_read_row(const struct db_rows *rows, struct arena *arena, struct job *ret_job);
// The job with its recipe; it must exist.
NODISCARD bool job_read(struct catalog *catalog, const char *id, struct arena *arena,
                        struct job *ret_job, struct err *err);

// --- Making (jobs_row.c)

// The secret that job ids are derived with; made when the catalog has none.
struct job_key {
    uint8_t bytes[32];
};
NODISCARD bool job_key_load(struct catalog *catalog, struct job_key *ret_key, struct err *err);
// The same name always gives the same id, which nobody can guess without the key.
void job_derive_id(const struct job_key *key, struct slice name,
                   char ret_id[CATALOG_UUID_CHARS + 1]);

struct job_row {
    const char *subscription_id;
    const char *organization_id;
    const char *app_id;
    int64_t subscription_version;
    int64_t topic_id;
    int64_t start_ms;
    int64_t end_ms;
    int64_t revision;
    enum job_kind kind;
    enum job_priority priority;
    bool is_visible;
    int64_t bound_seq; // -1: to be given
    int64_t seq_lo;
    int64_t now_ms;
};
// The same window and revision always give the same id, whoever makes the job.
void job_make_id(const struct job_key *key, const struct job_row *row,
                 char ret_id[CATALOG_UUID_CHARS + 1]);
// Changes nothing and gives false in *ret_created when there is a job of the window and revision.
NODISCARD bool job_insert(struct catalog *catalog, const struct job_key *key,
                          const struct job_row *row, bool *ret_created, struct err *err);

// --- Finishing (jobs_finish.c)

// Follows $1 job id, $2 fence, $3 claim id.
#define JOB_IS_HELD "id = $1 AND fence = $2 AND claim_id = $3 AND state IN (1, 2)"

// Always false: CANCELED.
bool job_set_claim_lost(const struct job_claim *claim, struct err *err);

NODISCARD bool job_insert_files(struct catalog *catalog, const char *job_id,
                                const struct job_result *result, struct err *err);

// FAILED. The sample of a PENDING subscription takes the subscription with it.
struct job_end {
    const char *job_id;
    const char *subscription_id;
    enum job_kind kind;
    const char *reason;
    int64_t now_ms;
    bool is_taken_away; // the fence is raised, so that its holder is not heard any more
};
NODISCARD bool job_end_failed(struct catalog *catalog, const struct job_end *end, struct err *err);

// At most JOB_ROWS_PER_TRANSACTION jobs that nobody runs become FAILED with the reason.
NODISCARD bool job_cancel_pending(struct catalog *catalog, const char *subscription_id,
                                  const char *reason, int64_t now_ms, int64_t *ret_count,
                                  struct err *err);

// --- Subscriptions (subscriptions.c)

extern const char subscription_deactivated_reason[];

// Nothing happens when it is PENDING no more.
NODISCARD bool subscription_settle_pending(struct catalog *catalog, const char *id, bool is_active,
                                           const char *reason, int64_t now_ms, struct err *err);
