// SPDX-License-Identifier: Apache-2.0
// The process that runs jobs: claim, run, settle, again. What becomes of a failed attempt is
// decided here.
#include "worker/worker.h"

#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "job/job_run.h"
#include "worker/bucket_probe.h"
#include "worker/heartbeat.h"

#define WORKER_POLL_MS         INT64_C(200)
#define WORKER_BACKOFF_MAX_MS  INT64_C(300000)
#define WORKER_SAMPLE_RETRY_MS INT64_C(600000)
#define WORKER_ID_CHARS        ((size_t)12)

struct worker {
    const struct worker_config *config;
    struct catalog *catalog;
    struct engine *engine;
    struct store *store;  // the hosted bucket of this machine
    struct store *hosted; // the hosted bucket elsewhere, or NULL
    struct store *spool;
    struct destinations *destinations;
    struct job_run_config run_config;
    char id[WORKER_ID_CHARS + 1];
};

static void worker_clear(struct worker *worker)
{
    destinations_close(&worker->destinations);
    store_close(&worker->spool);
    store_close(&worker->hosted);
    store_close(&worker->store);
    engine_close(&worker->engine);
    catalog_close(&worker->catalog);
}

static bool worker_open_stores(struct worker *worker, const struct worker_config *config,
                               struct err *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/exports", config->data_directory);
    char writer_name[32];
    (void)snprintf(writer_name, sizeof writer_name, "%zu", config->wake_index);
    TRY(store_file_open_writer(path, writer_name, &worker->store, err));
    TRY(store_file_open_writer(config->spool_directory, writer_name, &worker->spool, err));
    const struct hosted_settings *hosted = config->destinations->hosted;
    return !hosted_is_elsewhere(hosted) ||
           hosted_open_store(hosted, config->clock, &worker->hosted, err);
}

static bool worker_open(struct worker *worker, const struct worker_config *config, struct err *err)
{
    const struct worker_options *options = config->worker;
    *worker = (struct worker){.config = config};
    rng_text(rng_system(), worker->id, WORKER_ID_CHARS);
    TRY(catalog_open(config->catalog_path, &worker->catalog, err));
    const struct engine_config engine_config = {
        .memory_limit_bytes = options->memory_bytes / 2,
        .thread_count = 1,
        .temp_directory = config->temp_directory,
        .fetches_ahead = options->compress_threads > 1,
    };
    TRY(engine_open(&engine_config, &worker->engine, err));
    TRY(worker_open_stores(worker, config, err));
    TRY(destinations_net_open(config->destinations, &worker->destinations, err));
    worker->run_config = (struct job_run_config){
        .data_directory = config->data_directory,
        .clock = config->clock,
        .engine = worker->engine,
        .store = worker->store,
        .spool = worker->spool,
        .hosted = worker->hosted,
        .destinations = worker->destinations,
        .spool_bytes_max = options->spool_bytes,
        .part_bytes = options->part_bytes,
        .file_retention_ms = options->file_retention_ms,
        .mail_limit_ms = options->retry_limit_ms - options->retry_limit_ms / 100, // before FAILED
        .compress_helper_count = (unsigned)options->compress_threads - 1,
        .csv_formula_guard = options->csv_formula_guard,
        .is_reserve = config->is_reserve,
        .delivery_limit = config->delivery_limit,
    };
    return true;
}

// 1 s, 2 s, 4 s, ... by the number of claims so far.
static int64_t worker_backoff_ms(int64_t fence)
{
    const int64_t doublings = fence > 9 ? 9 : fence;
    const int64_t delay_ms = INT64_C(500) << doublings;
    return delay_ms < WORKER_BACKOFF_MAX_MS ? delay_ms : WORKER_BACKOFF_MAX_MS;
}

static void worker_log_job(enum log_level level, const char *event, const struct job *job,
                           const char *name, const char *value)
{
    log_event(level, event, "job", job->id, "subscription", job->subscription_id, "organization",
              job->organization_id, name, value, NULL);
}

// What the customer reads as the job's reason. Details of this server's disks and files are the
// operator's alone, and in the log.
static const char *worker_public_reason(const struct err *failure)
{
    switch (failure->kind) {
    case ERR_CORRUPT:
        return "stored events are damaged or missing: the operator of this server must act";
    case ERR_IO:
        return "the storage of this server failed";
    case ERR_FULL:
        return "the storage of this server is full";
    case ERR_NONE:
    case ERR_INVALID:
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_DENIED:
    case ERR_UNAVAILABLE:
    case ERR_LIMIT:
    case ERR_CANCELED:
        return failure->message;
    }
    ASSERT(false);
    return NULL;
}

// Who subscribes waits for the word whether the bucket can be reached.
static int64_t worker_retry_limit_ms(const struct worker_options *options, const struct job *job)
{
    const bool is_tried_out = job->kind == JOB_SAMPLE && job->is_spooled;
    return is_tried_out && options->retry_limit_ms > WORKER_SAMPLE_RETRY_MS
               ? WORKER_SAMPLE_RETRY_MS
               : options->retry_limit_ms;
}

static bool worker_give_back(struct worker *worker, const struct job *job,
                             const struct err *failure, bool is_stopping, struct err *err)
{
    const struct worker_options *options = worker->config->worker;
    const struct job_claim claim = {job->id, job->fence, job->claim_id};
    const int64_t now_ms = clock_wall_ms(worker->config->clock);
    const int64_t first_failed_at_ms = job->first_failed_at_ms == 0 ? now_ms
                                                                    : job->first_failed_at_ms;
    const int64_t limit_ms = worker_retry_limit_ms(options, job);
    const bool is_for_others = is_stopping || job_run_gives_way(failure);
    const bool is_in_time = now_ms - first_failed_at_ms < limit_ms;
    const bool may_retry = is_for_others || (err_kind_is_retryable(failure->kind) && is_in_time);
    const int64_t retry_at_ms = is_for_others ? now_ms : now_ms + worker_backoff_ms(job->fence);
    TRY(job_fail(worker->catalog, &claim, worker_public_reason(failure), now_ms,
                 may_retry ? retry_at_ms : 0, err));
    if (may_retry) {
        worker_log_job(LOG_WARN, "job_put_off", job, "reason", failure->message);
        return true;
    }
    worker_log_job(LOG_ERROR, "job_failed", job, "reason", failure->message);
    TRY(job_run_discard(&worker->run_config, worker->catalog, job, err));
    if (!job_run_is_outdated(failure) || job->kind == JOB_SAMPLE || job->is_restoring)
        return true;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job next;
    return job_retry(worker->catalog, job->organization_id, slice_text(job->id), now_ms, &arena,
                     &next, err);
}

static void worker_run_job(struct worker *worker, const struct job *job, int64_t claimed_at_boot_ms)
{
    const struct worker_config *config = worker->config;
    struct job_watch watch;
    atomic_init(&watch.is_lost, false);
    atomic_init(&watch.progress, 0);
    const struct heartbeat_config heartbeat_config = {
        .catalog_path = config->catalog_path,
        .clock = config->clock,
        .claim = {job->id, job->fence, job->claim_id},
        .claimed_at_boot_ms = claimed_at_boot_ms,
        .lease_ms = config->worker->lease_ms,
        .stall_limit_ms = config->worker->stall_limit_ms,
        .stop = config->stop,
    };
    struct heartbeat heartbeat;
    heartbeat_start(&heartbeat, &heartbeat_config, &watch);
    struct err failure = {0};
    int64_t row_count = 0;
    const bool is_done = job_run(&worker->run_config, worker->catalog, job, &watch, &row_count,
                                 &failure);
    heartbeat_stop(&heartbeat);

    struct err err = {0};
    const bool is_stopping = atomic_load(&config->stop->is_requested);
    if (is_done) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lld", (long long)row_count);
        worker_log_job(LOG_INFO, "job_succeeded", job, "rows", text);
    } else if (failure.kind == ERR_CANCELED && !is_stopping) {
        worker_log_job(LOG_WARN, "job_lost", job, "reason", failure.message);
    } else if (!worker_give_back(worker, job, &failure, is_stopping, &err)) {
        worker_log_job(LOG_WARN, "job_not_settled", job, "reason", err.message);
    }
    wake_all(config->wake);
}

// One claim. False in *ret_worked: nothing to do.
static bool worker_step(struct worker *worker, bool *ret_worked, struct err *err)
{
    const struct worker_config *config = worker->config;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const int64_t claimed_at_boot_ms = clock_boot_ms(config->clock);
    const struct job_claim_request request = {
        .worker_id = worker->id,
        .supervisor_id = config->supervisor_id,
        .now_ms = clock_wall_ms(config->clock),
        .lease_ms = config->worker->lease_ms,
        .lost_limit = config->worker->lost_limit,
        .is_reserve = config->is_reserve,
        .delivery_limit = config->delivery_limit,
    };
    struct job job;
    TRY(job_claim(worker->catalog, &request, &arena, ret_worked, &job, err));
    if (*ret_worked) {
        worker_run_job(worker, &job, claimed_at_boot_ms);
        return true;
    }
    if (config->is_reserve) // a bucket that hangs would hold it up
        return true;
    const struct bucket_probe probe = {
        .catalog = worker->catalog,
        .destinations = worker->destinations,
        .now_ms = request.now_ms,
        .interval_ms = config->worker->probe_interval_ms,
    };
    return bucket_probe_one(&probe, ret_worked, err);
}

bool worker_run(const struct worker_config *config, struct err *err)
{
    struct worker worker CLEANUP(worker_clear) = {0};
    TRY(worker_open(&worker, config, err));
    while (!stop_poll(config->stop)) {
        bool has_worked = false;
        struct err failure = {0};
        if (!worker_step(&worker, &has_worked, &failure))
            log_event(LOG_WARN, "claim_failed", "reason", failure.message, NULL);
        if (!has_worked)
            wake_wait(config->wake, config->wake_index, config->stop->fd, WORKER_POLL_MS);
    }
    return true;
}
