// SPDX-License-Identifier: Apache-2.0
#include "worker/heartbeat.h"

#include "base/check.h"
#include "base/mem.h"

// What is left of the lease when trust ends: clocks of two hosts and the catalog's own delays.
#define HEARTBEAT_MARGIN_MS INT64_C(1000)

struct heartbeat_state {
    struct catalog *catalog; // opened when the job turns out to be long enough to need it
    int64_t trusted_until_boot_ms;
    long long seen_progress;
    int64_t progressed_at_boot_ms;
};

static bool heartbeat_renew(const struct heartbeat *heartbeat, struct heartbeat_state *state,
                            struct err *err)
{
    const struct heartbeat_config *config = &heartbeat->config;
    if (state->catalog == NULL)
        TRY(catalog_open(config->catalog_path, &state->catalog, err));
    const int64_t asked_at_boot_ms = clock_boot_ms(config->clock);
    TRY(job_renew(state->catalog, &config->claim, state->seen_progress,
                  clock_wall_ms(config->clock), config->lease_ms, err));
    state->trusted_until_boot_ms = asked_at_boot_ms + config->lease_ms - HEARTBEAT_MARGIN_MS;
    return true;
}

// False when the job is to be given up.
static bool heartbeat_beat(const struct heartbeat *heartbeat, struct heartbeat_state *state)
{
    const struct heartbeat_config *config = &heartbeat->config;
    const int64_t now_boot_ms = clock_boot_ms(config->clock);
    const long long progress = atomic_load(&heartbeat->watch->progress);
    if (progress != state->seen_progress) {
        state->seen_progress = progress;
        state->progressed_at_boot_ms = now_boot_ms;
    }
    if (now_boot_ms - state->progressed_at_boot_ms > config->stall_limit_ms)
        return false;
    struct err err;
    if (!heartbeat_renew(heartbeat, state, &err) && err.kind == ERR_CANCELED)
        return false;
    return clock_boot_ms(config->clock) < state->trusted_until_boot_ms;
}

static void heartbeat_run(void *context)
{
    struct heartbeat *heartbeat = context;
    const struct heartbeat_config *config = &heartbeat->config;
    struct heartbeat_state state = {
        .trusted_until_boot_ms = config->claimed_at_boot_ms + config->lease_ms -
                                 HEARTBEAT_MARGIN_MS,
        .progressed_at_boot_ms = config->claimed_at_boot_ms,
    };
    const int64_t poll_ms = 200;
    int64_t next_beat_boot_ms = config->claimed_at_boot_ms + config->lease_ms / 4;
    mutex_lock(&heartbeat->mutex);
    while (!heartbeat->is_over) {
        (void)condition_wait_ms(&heartbeat->changed, &heartbeat->mutex, poll_ms);
        if (heartbeat->is_over)
            break;
        mutex_unlock(&heartbeat->mutex);
        bool is_kept = !stop_poll(config->stop);
        const int64_t now_boot_ms = clock_boot_ms(config->clock);
        const bool is_due = now_boot_ms >= next_beat_boot_ms ||
                            now_boot_ms >= state.trusted_until_boot_ms;
        if (is_kept && is_due) {
            is_kept = heartbeat_beat(heartbeat, &state);
            next_beat_boot_ms = clock_boot_ms(config->clock) + config->lease_ms / 4;
        }
        if (!is_kept)
            atomic_store(&heartbeat->watch->is_lost, true);
        mutex_lock(&heartbeat->mutex);
    }
    mutex_unlock(&heartbeat->mutex);
    catalog_close(&state.catalog);
}

void heartbeat_start(struct heartbeat *heartbeat, const struct heartbeat_config *config,
                     struct job_watch *watch)
{
    ASSERT(config->lease_ms > HEARTBEAT_MARGIN_MS);
    *heartbeat = (struct heartbeat){.config = *config, .watch = watch};
    mutex_init(&heartbeat->mutex);
    condition_init(&heartbeat->changed);
    thread_start(&heartbeat->thread, heartbeat_run, heartbeat);
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
    mutex_lock(&heartbeat->mutex);
    heartbeat->is_over = true;
    condition_broadcast(&heartbeat->changed);
    mutex_unlock(&heartbeat->mutex);
    thread_join(&heartbeat->thread);
    condition_clear(&heartbeat->changed);
    mutex_clear(&heartbeat->mutex);
}
