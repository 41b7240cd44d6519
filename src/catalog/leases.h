// SPDX-License-Identifier: Apache-2.0
// Leases: who may work on a job, and what the holder says about it. A claim takes fence+1 and a
// random claim id; every later call names both and changes nothing when the job has moved on
// (CANCELED). The bounds that a job waits for come from the API process, which knows the last
// acknowledged seq.
#pragma once

#include "catalog/jobs.h"

// --- Bounds (API process, which knows the last acknowledged seq)

// The ordinal of the newest job that waits for its bound; 0: none waits. Cheap.
NODISCARD bool job_bound_wanted(struct catalog *catalog, int64_t *ret_ordinal, struct err *err);
// Gives the waiting jobs up to `ordinal` the bound last_seq: the last acknowledged seq, read after
// job_bound_wanted gave the ordinal, so that no job made in between gets a bound from before it was
// made. Transactions of 500 jobs.
NODISCARD bool job_set_bounds(struct catalog *catalog, int64_t ordinal, int64_t last_seq,
                              struct err *err);

// --- Working

struct job_claim_request {
    const char *worker_id;
    const char *supervisor_id; // lost claims count while it stays the same
    int64_t now_ms;
    int64_t lease_ms;
    int64_t lost_limit; // claims lost before the job is FAILED
    // While there are several organizations, this worker takes no backfills and custom exports:
    // they may run for hours, and windows of the others fall due meanwhile.
    // Nor does it deliver what is made: a bucket of somebody else may be slow for hours.
    bool is_reserve;
    // While there are several organizations, no delivery is begun of one that has so many going on;
    // 0: any number.
    int64_t delivery_limit;
};
// The next job in the order of claims whose bound is sealed and whose retry time has come; takes
// over lapsed leases first. *ret_found false: nothing to do. On the first claim seq_hi is frozen to
// the seal point. Pending jobs of subscriptions that are FAILED or INACTIVE become FAILED on the
// way.
NODISCARD bool job_claim(struct catalog *catalog, const struct job_claim_request *request,
                         struct arena *arena, bool *ret_found, struct job *ret_job,
                         struct err *err);

// Whether a worker that claims like this may go on to the delivery of the job that it has spooled;
// if not, it gives the job back, and whoever may takes it.
NODISCARD bool job_may_deliver(struct catalog *catalog, const struct job_claim_request *request,
                               const struct job *job, bool *ret_may, struct err *err);

// What names a claim. Statements of a claim that is lost are CANCELED. job_succeed and job_fail may
// be called again by the claim that made them (the first answer may have been lost).
struct job_claim {
    const char *job_id;
    int64_t fence;
    const char *claim_id;
};

// Keeps the recipe of the first claim; when there is one already, *ret_recipe is that one.
NODISCARD bool job_freeze(struct catalog *catalog, const struct job_claim *claim,
                          const char *recipe, struct arena *arena, const char **ret_recipe,
                          struct err *err);
// A claimed job may finish after its subscription was deactivated.
NODISCARD bool job_renew(struct catalog *catalog, const struct job_claim *claim, int64_t progress,
                         int64_t now_ms, int64_t lease_ms, struct err *err);
NODISCARD bool job_mark_uploading(struct catalog *catalog, const struct job_claim *claim,
                                  struct err *err);

struct job_result {
    const struct job_file *files;
    size_t file_count;
    int64_t row_count;
    int64_t byte_count;
    const char *manifest; // JSON; NULL for a job that was spooled with it
    int64_t now_ms;
    int64_t expires_at_ms;
};
// State, files and manifest in one transaction. A LATE job without rows is recorded (its range
// counts) but stays invisible. A sample makes its PENDING subscription ACTIVE; its files are not
// recorded. Of a spooled job, the files of the result take the place of those that were spooled.
NODISCARD bool job_succeed(struct catalog *catalog, const struct job_claim *claim,
                           const struct job_result *result, struct err *err);
// Back to PENDING_GENERATION until retry_at_ms (later than now_ms: a try failed, and the first such
// time is kept; not later: the job is only given back). When it turns out to be more than ten
// minutes away, it was set under a wrong clock and the job need not wait. Or (retry_at_ms 0, or the
// subscription is FAILED or INACTIVE) FAILED. A sample that is FAILED makes its PENDING
// subscription FAILED with the reason.
NODISCARD bool job_fail(struct catalog *catalog, const struct job_claim *claim, const char *reason,
                        int64_t now_ms, int64_t retry_at_ms, struct err *err);
