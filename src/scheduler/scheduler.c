// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "catalog/daily_sets.h"
#include "catalog/jobs.h"
#include "catalog/notices.h"
#include "catalog/requests.h"
#include "catalog/segments.h"

#define SCHEDULER_POLL_MS       INT64_C(200)
#define SCHEDULER_ROWS_PER_TXN  INT64_C(500)
#define SCHEDULER_RIGHT_MS      INT64_C(30000)
#define SCHEDULER_APPS_PER_STEP INT64_C(20)
#define SCHEDULER_SEAL_MS       INT64_C(5000) // sealing takes a second or two
#define SCHEDULER_TIDY_MS       INT64_C(3600000)
#define SCHEDULER_LATE_PER_TXN  INT64_C(50)
#define SCHEDULER_OLD_PER_TXN   INT64_C(100)
#define SCHEDULER_ORPHAN_MS     (INT64_C(7) * 86400000) // longer than any attempt at a job

const struct option scheduler_option_table[] = {
    {.name = "schedule.hourly_grace_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct scheduler_options, hourly_grace_ms),
     .default_text = "60000",
     .min = 0,
     .max = 86400000,
     .unit = "ms",
     .doc = "How long after its end an hour waits for events before its job is made"},
    {.name = "schedule.daily_grace_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct scheduler_options, daily_grace_ms),
     .default_text = "300000",
     .min = 0,
     .max = 86400000,
     .unit = "ms",
     .doc = "The same for a day"},
    {.name = "schedule.late_gap_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct scheduler_options, late_gap_ms),
     .default_text = "900000",
     .min = 0,
     .max = 86400000,
     .unit = "ms",
     .doc = "Least time between two late revisions of one window"},
    {.name = "schedule.sweep_interval_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct scheduler_options, sweep_interval_ms),
     .default_text = "10000",
     .min = 100,
     .max = 86400000,
     .unit = "ms",
     .doc = "Time between two sweeps of expired export files"},
    {.name = "daily.ahead",
     .type = OPTION_BOOL,
     .offset = offsetof(struct scheduler_options, makes_daily_sets),
     .doc =
         "Make the daily exports of every app when its day is over, not when they are asked for"},
};
const size_t scheduler_option_count = ARRAY_COUNT(scheduler_option_table);

struct scheduler {
    const struct scheduler_config *config;
    struct catalog *catalog;
    struct store *store; // the hosted bucket, wherever it is
    struct store *spool;
    struct arena arena;
    struct retention_config retention;
    int64_t next_sweep_boot_ms;
    int64_t next_tidy_boot_ms;
    int64_t daily_made_ms;     // the day whose sets are all made
    int64_t first_set_boot_ms; // not before the lake has what was left in the log at the start
};

static void scheduler_clear(struct scheduler *scheduler)
{
    store_close(&scheduler->store);
    store_close(&scheduler->spool);
    catalog_close(&scheduler->catalog);
    arena_clear(&scheduler->arena);
}

static bool scheduler_open(struct scheduler *scheduler, const struct scheduler_config *config,
                           struct err *err)
{
    *scheduler = (struct scheduler){.config = config};
    arena_init(&scheduler->arena);
    TRY(catalog_open(config->catalog_path, &scheduler->catalog, err));
    TRY(store_file_open(config->spool_directory, &scheduler->spool, err));
    TRY(hosted_is_elsewhere(config->hosted)
            ? hosted_open_store(config->hosted, config->clock, &scheduler->store, err)
            : store_file_open(config->exports_directory, &scheduler->store, err));
    scheduler->first_set_boot_ms = clock_boot_ms(config->clock) + SCHEDULER_SEAL_MS;
    scheduler->retention.guard.clock = config->clock;
    scheduler->retention.store = scheduler->store;
    return clock_guard_read_boot_id(&scheduler->arena, &scheduler->retention.guard.boot_id, err);
}

bool scheduler_make_jobs(const struct scheduler_config *config, struct catalog *catalog,
                         int64_t *ret_count, struct err *err)
{
    const struct job_schedule_request request = {
        .now_ms = clock_wall_ms(config->clock),
        .hourly_grace_ms = config->options->hourly_grace_ms,
        .daily_grace_ms = config->options->daily_grace_ms,
        .limit = SCHEDULER_ROWS_PER_TXN,
    };
    int64_t total_count = 0;
    int64_t count = 0;
    do {
        TRY(job_schedule_live(catalog, &request, &count, err));
        total_count += count;
    } while (count >= request.limit && !stop_poll(config->stop));
    TRY(job_schedule_late(catalog, request.now_ms, config->options->late_gap_ms, request.limit,
                          &count, err));
    *ret_count = total_count + count;
    return true;
}

static bool scheduler_is_listed(const char *key, void *context, bool *ret_is_listed,
                                struct err *err)
{
    return job_lists_file(context, key, ret_is_listed, err);
}

// Exports and previews that were asked for once and are long over.
static bool scheduler_forget_requests(struct scheduler *scheduler, struct err *err)
{
    const int64_t now_ms = clock_wall_ms(scheduler->config->clock);
    int64_t count = SCHEDULER_ROWS_PER_TXN;
    while (count == SCHEDULER_ROWS_PER_TXN && !stop_poll(scheduler->config->stop))
        TRY(request_remove_old(scheduler->catalog, now_ms, SCHEDULER_ROWS_PER_TXN, &count, err));
    return true;
}

static bool scheduler_forget_notices(struct scheduler *scheduler, struct err *err)
{
    const struct scheduler_config *config = scheduler->config;
    const int64_t before_ms = clock_wall_ms(config->clock) - config->notice_retention_ms;
    int64_t count = SCHEDULER_OLD_PER_TXN;
    while (count == SCHEDULER_OLD_PER_TXN && !stop_poll(config->stop))
        TRY(notice_remove_old(scheduler->catalog, before_ms, SCHEDULER_OLD_PER_TXN, &count, err));
    return true;
}

// Files of attempts whose job never came to list them: killed writers, jobs that FAILED with a
// worker.
static bool scheduler_tidy(struct scheduler *scheduler, struct err *err)
{
    const int64_t now_boot_ms = clock_boot_ms(scheduler->config->clock);
    if (now_boot_ms < scheduler->next_tidy_boot_ms)
        return true;
    scheduler->next_tidy_boot_ms = now_boot_ms + SCHEDULER_TIDY_MS;
    TRY(scheduler_forget_requests(scheduler, err));
    TRY(scheduler_forget_notices(scheduler, err));
    TRY(store_sweep(scheduler->spool, SCHEDULER_ORPHAN_MS, scheduler_is_listed, scheduler->catalog,
                    err));
    return store_sweep(scheduler->store, SCHEDULER_ORPHAN_MS, scheduler_is_listed,
                       scheduler->catalog, err);
}

static bool scheduler_sweep(struct scheduler *scheduler, struct err *err)
{
    const struct scheduler_config *config = scheduler->config;
    bool is_held = false;
    TRY(catalog_hold(scheduler->catalog, "sweep", config->node_id, clock_wall_ms(config->clock),
                     SCHEDULER_RIGHT_MS, &is_held, err));
    if (!is_held)
        return true;
    struct retention_result result;
    TRY(retention_sweep(&scheduler->retention, scheduler->catalog, &result, err));
    if (result.waits_for_operator) {
        char jump[32];
        (void)snprintf(jump, sizeof jump, "%lld", (long long)result.clock_jump_ms);
        log_event(LOG_ERROR, "clock_jumped", "jump_ms", jump, "hint",
                  "nothing is deleted until the clock is right, or start with --accept-clock",
                  NULL);
        return true;
    }
    TRY(segment_expire_idempotency(scheduler->catalog, clock_wall_ms(config->clock), err));
    return scheduler_tidy(scheduler, err);
}

// Sets of the day that was over last, some apps at a time, when what came in time is sealed. Jobs
// for which nobody waits yet; a topic that is missed is made when it is asked for.
static bool scheduler_make_daily_sets(struct scheduler *scheduler, struct err *err)
{
    const struct scheduler_options *options = scheduler->config->options;
    const int64_t now_ms = clock_wall_ms(scheduler->config->clock);
    const int64_t over_ms = now_ms - options->daily_grace_ms - SCHEDULER_SEAL_MS;
    const int64_t day_start_ms = daily_last_day(over_ms);
    if (!options->makes_daily_sets || scheduler->daily_made_ms == day_start_ms ||
        clock_boot_ms(scheduler->config->clock) < scheduler->first_set_boot_ms)
        return true;
    bool is_done = false;
    TRY(daily_make_ahead(scheduler->catalog, day_start_ms, scheduler->config->daily_file_rows,
                         now_ms, SCHEDULER_APPS_PER_STEP, &is_done, err));
    if (is_done)
        scheduler->daily_made_ms = day_start_ms;
    wake_all(scheduler->config->wake);
    return true;
}

static bool scheduler_tell_late(struct scheduler *scheduler, struct err *err)
{
    const struct scheduler_config *config = scheduler->config;
    int64_t count = SCHEDULER_LATE_PER_TXN;
    while (count == SCHEDULER_LATE_PER_TXN && !stop_poll(config->stop)) {
        TRY(notice_tell_late(scheduler->catalog, clock_wall_ms(config->clock), config->late_ms,
                             SCHEDULER_LATE_PER_TXN, &count, err));
        if (count > 0)
            wake_all(config->wake);
    }
    return true;
}

static bool scheduler_step(struct scheduler *scheduler, struct err *err)
{
    const struct scheduler_config *config = scheduler->config;
    int64_t made_count = 0;
    TRY(scheduler_make_jobs(config, scheduler->catalog, &made_count, err));
    if (made_count > 0) {
        char count[32];
        (void)snprintf(count, sizeof count, "%lld", (long long)made_count);
        log_event(LOG_INFO, "jobs_made", "count", count, NULL);
        wake_all(config->wake);
    }
    TRY(scheduler_tell_late(scheduler, err));
    return scheduler_make_daily_sets(scheduler, err);
}

static void scheduler_log_failure(const struct err *failure)
{
    log_event(LOG_WARN, "schedule_failed", "kind", err_kind_name(failure->kind), "reason",
              failure->message, NULL);
}

// A thread of its own: windows are made also while a hosted bucket elsewhere does not answer.
static void scheduler_run_sweeps(void *context)
{
    struct scheduler *scheduler = context;
    const struct scheduler_config *config = scheduler->config;
    const struct timespec pause = {.tv_nsec = SCHEDULER_POLL_MS * 1000000};
    do {
        struct err failure = {0};
        const int64_t now_boot_ms = clock_boot_ms(config->clock);
        if (now_boot_ms >= scheduler->next_sweep_boot_ms) {
            scheduler->next_sweep_boot_ms = now_boot_ms + config->options->sweep_interval_ms;
            if (!scheduler_sweep(scheduler, &failure))
                scheduler_log_failure(&failure);
        }
        (void)nanosleep(&pause, NULL);
    } while (!stop_poll(config->stop));
}

bool scheduler_run(const struct scheduler_config *config, struct err *err)
{
    struct scheduler scheduler CLEANUP(scheduler_clear) = {0};
    struct scheduler sweeper CLEANUP(scheduler_clear) = {0};
    struct thread thread = {0};
    TRY(scheduler_open(&scheduler, config, err));
    TRY(scheduler_open(&sweeper, config, err));
    thread_start(&thread, scheduler_run_sweeps, &sweeper);
    while (!stop_poll(config->stop)) {
        struct err failure = {0};
        if (!scheduler_step(&scheduler, &failure))
            scheduler_log_failure(&failure);
        wake_wait(config->wake, config->wake_index, config->stop->fd, SCHEDULER_POLL_MS);
    }
    thread_join(&thread);
    return true;
}
