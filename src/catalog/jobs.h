// SPDX-License-Identifier: Apache-2.0
// Jobs: one revision of one window of one subscription. See docs/invariants.md for what always
// holds.
//
//   PENDING_GENERATION --claim--> RUNNING --files made--> PENDING_UPLOAD --publish--> SUCCEEDED
//          ^                        |  lease lost, or retryable failure      |
//          +------------------------+----------------------------------------+--> FAILED
//
// A claim takes fence+1 and a random claim id; every later statement of the worker names both and
// changes nothing when the job has moved on (CANCELED).
#pragma once

#include "catalog/catalog.h"
#include "model/window.h"

enum job_state {
    JOB_PENDING_GENERATION,
    JOB_RUNNING,
    JOB_PENDING_UPLOAD,
    JOB_SUCCEEDED,
    JOB_FAILED,
};
const char *job_state_name(enum job_state state);

// The reason of a job that FAILED because retention took rows of its range.
extern const char job_reason_past_retention[];

enum job_kind {
    JOB_SAMPLE, // of subscribe: never listed, files deleted again
    JOB_LIVE,
    JOB_BACKFILL,
    JOB_LATE, // a late revision: listed once it is known to have rows
    JOB_RETRY,
};

enum job_priority { // on disk; the order of claims is in jobs_claim.c
    JOB_PRIORITY_SAMPLE,
    JOB_PRIORITY_LIVE,
    JOB_PRIORITY_BACKFILL,
    JOB_PRIORITY_REQUEST, // somebody waits for it
};

struct job_file {
    int64_t part; // from 0
    const char *key;
    int64_t row_count;
    int64_t byte_count;
    const char *sha256; // hex
};

struct job {
    const char *id; // UUID form, a keyed function of (subscription, window, revision)
    const char *subscription_id;
    const char *organization_id;
    const char *app_id; // NULL: all apps of the organization
    int64_t subscription_version;
    int64_t topic_id;
    int64_t start_ms;
    int64_t end_ms;
    int64_t revision; // from 0
    enum job_kind kind;
    enum job_state state;
    bool is_visible; // in lists
    int64_t seq_lo;
    int64_t seq_hi;     // -1: not frozen yet
    const char *recipe; // JSON, NULL before the first claim; job_claim alone reads it
    int64_t fence;
    const char *claim_id; // NULL when nobody holds it
    int64_t lost_count;
    int64_t created_at_ms;
    int64_t finished_at_ms; // 0: not final
    int64_t expires_at_ms;  // of the files; 0: none
    bool is_expired;        // files are gone or going
    bool is_restoring;      // it SUCCEEDED once; its expired files are being made again
    bool is_spooled;        // its files are made, and still to be delivered (deliveries.h)
    int64_t row_count;
    int64_t byte_count;
    const char *reason;         // of FAILED, or of the last failed try
    int64_t first_failed_at_ms; // when it was first put off after a failed try; 0: never
    const struct job_file *files;
    size_t file_count;
};

// --- Making (scheduler, API)

// Inserts the jobs of at most `limit` live windows that closed (window end + grace <= now) of
// ACTIVE subscriptions, oldest first, fair over subscriptions. *ret_count: windows that were gone
// through (a backfill may have made a job before, or a pause leave it out); when it is `limit`,
// call again.
struct job_schedule_request {
    int64_t now_ms;
    int64_t hourly_grace_ms;
    int64_t daily_grace_ms;
    int64_t limit; // at most 500
};
NODISCARD bool job_schedule_live(struct catalog *catalog,
                                 const struct job_schedule_request *request, int64_t *ret_count,
                                 struct err *err);

// Makes late revisions: for windows whose last revision is final and SUCCEEDED and that have sealed
// rows of their app and topic above its seq_hi; the first at once, then at most one per window in
// min_gap_ms since the last one was made. Several transactions. At most `limit` rows (at most 500);
// when *ret_count is `limit`, call again.
NODISCARD bool job_schedule_late(struct catalog *catalog, int64_t now_ms, int64_t min_gap_ms,
                                 int64_t limit, int64_t *ret_count, struct err *err);

// [start, end) on window edges and closed (INVALID with a text for the client), at most 10,000
// windows, each by the version that it belongs to. Several transactions of 500 windows, each of
// which adds its windows to the active set, also those that a pause has left out; idempotent.
// *ret_created_count: windows that had no job yet. CONFLICT when the subscription is FAILED or
// INACTIVE, NOT_FOUND when it is unknown.
NODISCARD bool job_backfill(struct catalog *catalog, const char *subscription_id, int64_t start_ms,
                            int64_t end_ms, int64_t now_ms, int64_t *ret_window_count,
                            int64_t *ret_created_count, struct err *err);

// The next revision of a FAILED job's window, from the same seq_lo. CONFLICT when it is not FAILED,
// not the last revision, or of a subscription that is FAILED or INACTIVE.
NODISCARD bool job_retry(struct catalog *catalog, const char *organization_id, struct slice job_id,
                         int64_t now_ms, struct arena *arena, struct job *ret_job, struct err *err);

// The files of an expired SUCCEEDED job are made again from its recipe: it is pending until they
// are there, or until it is known that they cannot be the same (then it stays expired, with a
// reason). Files whose time is over but that are all there yet just stay until expires_at_ms. Again
// while that goes on: nothing happens. CONFLICT when it has not SUCCEEDED, has not expired, or some
// of its files are left.
struct job_restore_request {
    const char *organization_id;
    struct slice job_id;
    int64_t now_ms;
    int64_t expires_at_ms;
};
NODISCARD bool job_restore(struct catalog *catalog, const struct job_restore_request *request,
                           struct arena *arena, struct job *ret_job, struct err *err);

// --- Reading

// Visible jobs: those not final, and those final since since_ms, newest first.
NODISCARD bool job_list(struct catalog *catalog, const char *subscription_id, int64_t since_ms,
                        struct arena *arena, struct job **ret_jobs, size_t *ret_count,
                        struct err *err);
// NOT_FOUND for jobs of other organizations or subscriptions, and invisible ones.
// subscription_id empty: any of the organization.
NODISCARD bool job_get(struct catalog *catalog, const char *organization_id,
                       struct slice subscription_id, struct slice job_id, struct arena *arena,
                       struct job *ret_job, struct err *err);
NODISCARD bool job_get_manifest(struct catalog *catalog, const char *organization_id,
                                struct slice job_id, struct arena *arena, const char **ret_manifest,
                                struct err *err);

// The last revision of a subscription that has one window, seen or not. NOT_FOUND.
NODISCARD bool job_get_last(struct catalog *catalog, const char *subscription_id,
                            struct arena *arena, struct job *ret_job, struct err *err);
// Whether all of these are SUCCEEDED or FAILED; an id that is unknown counts as such.
NODISCARD bool job_all_final(struct catalog *catalog, const char *const *job_ids, size_t count,
                             bool *ret_are_final, struct err *err);
// What its first claim froze; NULL before. NOT_FOUND.
NODISCARD bool job_get_recipe(struct catalog *catalog, const char *job_id, struct arena *arena,
                              const char **ret_recipe, struct err *err);

// The ledger: every job row of the subscription (samples left out) whose window starts in [start,
// end), by window and revision, invisible ones included: the caller merges them with the computed
// windows.
NODISCARD bool job_ledger(struct catalog *catalog, const char *subscription_id, int64_t start_ms,
                          int64_t end_ms, struct arena *arena, struct job **ret_jobs,
                          size_t *ret_count, struct err *err);

// --- Retention (two phases: mark, then delete, then forget)

// Marks jobs whose expires_at has passed: URLs stop. At most limit.
NODISCARD bool job_expire(struct catalog *catalog, int64_t now_ms, int64_t limit,
                          int64_t *ret_count, struct err *err);
struct job_expired_file {
    const char *job_id;
    const char *key;
};
// *ret_total_file_count: all files on record, expired or not.
NODISCARD bool job_expired_files(struct catalog *catalog, int64_t limit, struct arena *arena,
                                 struct job_expired_file **ret_files, size_t *ret_count,
                                 int64_t *ret_total_file_count, struct err *err);
// Whether a job lists the file, served or not: what no job lists may go.
NODISCARD bool job_lists_file(struct catalog *catalog, const char *key, bool *ret_is_listed,
                              struct err *err);
// Of an expired job; nothing happens when there is no such file.
NODISCARD bool job_forget_file(struct catalog *catalog, const char *job_id, const char *key,
                               struct err *err);
