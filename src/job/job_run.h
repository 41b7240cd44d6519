// SPDX-License-Identifier: Apache-2.0
// Start reading here: one attempt at a claimed job.
//
//     recipe (frozen once) -> segments (pinned, verified) -> source -> parts -> catalog
//
// An attempt that fails or dies changes nothing that anybody can see: files at the job's keys are
// listed only by job_succeed, and the next attempt writes the same bytes to the same keys.
#pragma once

#include <stdatomic.h>

#include "base/clock.h"
#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "destination/destinations.h"
#include "engine/duckdb.h"
#include "store/store.h"

struct job_run_config {
    const char *data_directory;
    const struct clock *clock;
    struct engine *engine;
    struct store *store;               // the hosted bucket, when it is on this machine
    struct store *spool;               // where files for other places are made
    struct store *hosted;              // the hosted bucket, when it is elsewhere; else NULL
    struct destinations *destinations; // of customers
    int64_t spool_bytes_max;           // of all files of an organization that wait in the spool
    int64_t part_bytes;
    int64_t file_retention_ms; // of export files, from success
    int64_t mail_limit_ms;     // from its first failure until waiting for recipients ends
    unsigned compress_helper_count;
    bool csv_formula_guard;
    bool is_reserve;        // as in claims (catalog/leases.h)
    int64_t delivery_limit; // too
};

// Shared with the thread that renews the lease.
struct job_watch {
    atomic_bool is_lost;   // set there: stop, the claim is gone
    atomic_llong progress; // counted here
};

// Runs the job to its end: SUCCEEDED is in the catalog when it returns true. False: the caller
// decides by err->kind what becomes of the job (job_fail); CANCELED means that it is somebody
// else's now. *ret_row_count is for the log.
NODISCARD bool job_run(const struct job_run_config *config, struct catalog *catalog,
                       const struct job *job, struct job_watch *watch, int64_t *ret_row_count,
                       struct err *err);

// True when an attempt only made the files, and leaves their delivery to others: the job is to be
// claimed again at once.
bool job_run_gives_way(const struct err *err);

// After the job has FAILED for good: removes files that attempts left at its keys. Nothing of a job
// that was to be restored: whoever asks again gets files at the same keys.
NODISCARD bool job_run_discard(const struct job_run_config *config, struct catalog *catalog,
                               const struct job *job, struct err *err);

// True when an attempt failed because the recipe was frozen by another version of the encoders: the
// window is to be made again as its next revision (job_retry).
bool job_run_is_outdated(const struct err *err);
