// SPDX-License-Identifier: Apache-2.0
// The process that keeps the lake: it seals closed log files as they come, compacts when there is
// nothing to seal, and collects garbage now and then. The rights are taken in the catalog, so that
// one process at a time does each, on whatever host.
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sink.h"
#include "catalog/clock_guard.h"
#include "lake/compact.h"
#include "lake/seal.h"
#include "worker/worker.h"

#define KEEPER_POLL_MS          INT64_C(200)
#define KEEPER_RIGHT_MS         INT64_C(30000)
#define KEEPER_COLLECT_EVERY_MS INT64_C(30000)
#define KEEPER_COMPACT_EVERY_MS INT64_C(1000)
#define KEEPER_COMPACT_BATCH    INT64_C(64)
#define KEEPER_FAILURE_PAUSE_MS INT64_C(1000)
#define KEEPER_DAMAGE_PAUSE_MS  INT64_C(30000) // a person must act: no need to look all the time
#define KEEPER_DAY_MS           INT64_C(86400000)
#define KEEPER_DUTIES           ((size_t)3)

struct keeper {
    const struct worker_config *config;
    struct catalog *catalog;
    struct engine *engine;
    struct seal_config seal_config;
    struct compact_config compact_config;
    struct arena arena; // as long as the keeper
    struct clock_guard clock_guard;
    int64_t next_boot_ms[KEEPER_DUTIES]; // of each duty
};

static void keeper_clear(struct keeper *keeper)
{
    engine_close(&keeper->engine);
    catalog_close(&keeper->catalog);
    arena_clear(&keeper->arena);
}

static bool keeper_remove_part(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

// Segments that a killed keeper had begun: nobody else writes into the lake.
static bool keeper_remove_parts(const struct worker_config *config, struct err *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/lake", config->data_directory);
    return file_walk(path, SINK_PART_SUFFIX, keeper_remove_part, NULL, err);
}

static bool keeper_open(struct keeper *keeper, const struct worker_config *config, struct err *err)
{
    const struct keeper_options *options = config->keeper;
    *keeper = (struct keeper){.config = config, .clock_guard = {.clock = config->clock}};
    arena_init(&keeper->arena);
    TRY(clock_guard_read_boot_id(&keeper->arena, &keeper->clock_guard.boot_id, err));
    TRY(catalog_open(config->catalog_path, &keeper->catalog, err));
    const struct engine_config engine_config = {
        .memory_limit_bytes = config->worker->memory_bytes / 2,
        .thread_count = 1,
        .temp_directory = config->temp_directory,
    };
    TRY(engine_open(&engine_config, &keeper->engine, err));
    TRY(keeper_remove_parts(config, err));
    keeper->seal_config = (struct seal_config){
        .data_directory = config->data_directory,
        .clock = config->clock,
        .step_bytes = options->seal_bytes,
        .own_file_rows = options->own_file_rows,
        .file_limit = options->file_limit,
    };
    keeper->compact_config = (struct compact_config){
        .data_directory = config->data_directory,
        .clock = config->clock,
        .crowd_threshold = options->crowd_threshold,
        .batch_limit = KEEPER_COMPACT_BATCH,
        .garbage_grace_ms = options->garbage_grace_ms,
        .retention_ms = options->retention_days * KEEPER_DAY_MS,
    };
    return true;
}

static bool keeper_hold(struct keeper *keeper, const char *right, bool *ret_held, struct err *err)
{
    // The node's name, not the process's: a keeper that follows a dead one goes on at once.
    return catalog_hold(keeper->catalog, right, keeper->config->node_id,
                        clock_wall_ms(keeper->config->clock), KEEPER_RIGHT_MS, ret_held, err);
}

static bool keeper_seal(struct keeper *keeper, bool *ret_worked, struct err *err)
{
    bool is_held = false;
    TRY(keeper_hold(keeper, "seal", &is_held, err));
    if (!is_held)
        return true;
    TRY(seal_step(&keeper->seal_config, keeper->catalog, ret_worked, err));
    if (*ret_worked)
        wake_all(keeper->config->wake);
    return true;
}

static bool keeper_compact(struct keeper *keeper, bool *ret_worked, struct err *err)
{
    bool is_held = false;
    TRY(keeper_hold(keeper, "compact", &is_held, err));
    if (!is_held)
        return true;
    return compact_step(&keeper->compact_config, keeper->engine, keeper->catalog, ret_worked, err);
}

static bool keeper_collect(struct keeper *keeper, bool *ret_worked, struct err *err)
{
    *ret_worked = false; // the rest comes next time
    bool is_held = false;
    TRY(keeper_hold(keeper, "compact", &is_held, err));
    if (!is_held)
        return true;
    int64_t jump_ms = 0;
    TRY(clock_guard_look(&keeper->clock_guard, keeper->catalog, &jump_ms, err));
    if (jump_ms != 0)
        return err_set(err, ERR_CONFLICT, "the wall clock jumped by %lld ms: nothing is deleted",
                       (long long)jump_ms);
    int64_t deleted_count = 0;
    return compact_collect(&keeper->compact_config, keeper->catalog, &deleted_count, err);
}

// In order of urgency. Each stands alone: damage in the log stops sealing and nothing else.
static const struct keeper_duty {
    const char *name;
    bool (*run)(struct keeper *keeper, bool *ret_worked, struct err *err);
    int64_t idle_pause_ms; // after it found nothing to do
} keeper_duties[KEEPER_DUTIES] = {
    {"seal", keeper_seal, 0},
    {"collect", keeper_collect, KEEPER_COLLECT_EVERY_MS},
    {"compact", keeper_compact, KEEPER_COMPACT_EVERY_MS},
};

// The first duty that has something to do.
static bool keeper_step(struct keeper *keeper)
{
    for (size_t i = 0; i < KEEPER_DUTIES; i++) {
        const struct keeper_duty *duty = &keeper_duties[i];
        const int64_t now_boot_ms = clock_boot_ms(keeper->config->clock);
        if (now_boot_ms < keeper->next_boot_ms[i])
            continue;
        bool has_worked = false;
        struct err failure = {0};
        if (duty->run(keeper, &has_worked, &failure)) {
            if (has_worked)
                return true;
            keeper->next_boot_ms[i] = now_boot_ms + duty->idle_pause_ms;
            continue;
        }
        const bool is_damage = failure.kind == ERR_CORRUPT;
        log_event(is_damage ? LOG_ERROR : LOG_WARN, "lake_step_failed", "duty", duty->name, "kind",
                  err_kind_name(failure.kind), "reason", failure.message, NULL);
        keeper->next_boot_ms[i] = now_boot_ms +
                                  (is_damage ? KEEPER_DAMAGE_PAUSE_MS : KEEPER_FAILURE_PAUSE_MS);
    }
    return false;
}

bool keeper_run(const struct worker_config *config, struct err *err)
{
    struct keeper keeper CLEANUP(keeper_clear) = {0};
    TRY(keeper_open(&keeper, config, err));
    while (!stop_poll(config->stop)) {
        if (!keeper_step(&keeper))
            wake_wait(config->wake, config->wake_index, config->stop->fd, KEEPER_POLL_MS);
    }
    return true;
}
