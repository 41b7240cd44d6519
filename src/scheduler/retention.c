// SPDX-License-Identifier: Apache-2.0
#include "scheduler/retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "catalog/jobs.h"

#define RETENTION_JUMP_MS       INT64_C(3600000)
#define RETENTION_REBOOT_GAP_MS (INT64_C(30) * 86400000)
#define RETENTION_SWEEP_FILES   INT64_C(100)
#define RETENTION_SWEEP_PERCENT INT64_C(5)
#define RETENTION_EXPIRE_JOBS   INT64_C(500)
#define RETENTION_CLOCK_VALUE   "retention_clock" // "<wall ms> <boot ms> <boot id>"

struct retention_clock {
    int64_t wall_ms;
    int64_t boot_ms;
    char boot_id[64];
};

static void retention_read_clock(const struct retention_config *config,
                                 struct retention_clock *ret_clock)
{
    *ret_clock = (struct retention_clock){
        .wall_ms = clock_wall_ms(config->clock),
        .boot_ms = clock_boot_ms(config->clock),
    };
    (void)snprintf(ret_clock->boot_id, sizeof ret_clock->boot_id, "%s", config->boot_id);
}

static bool retention_save_clock(const struct retention_clock *now, struct catalog *catalog,
                                 struct err *err)
{
    char text[160];
    (void)snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %s", now->wall_ms, now->boot_ms,
                   now->boot_id);
    return catalog_set_value(catalog, RETENTION_CLOCK_VALUE, text, err);
}

// *ret_jump_ms: how far the wall clock is from where it should be, 0 inside what is tolerated.
static bool retention_measure_jump(const struct retention_clock *now, struct catalog *catalog,
                                   int64_t *ret_jump_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *text = NULL;
    *ret_jump_ms = 0;
    if (!catalog_get_value(catalog, RETENTION_CLOCK_VALUE, &arena, &text, err))
        return err->kind == ERR_NOT_FOUND; // the first sweep has nothing to compare with
    struct retention_clock last = {0};
    if (sscanf(text, "%" SCNd64 " %" SCNd64 " %63s", &last.wall_ms, &last.boot_ms, last.boot_id) !=
        3)
        return err_set(err, ERR_CORRUPT, "catalog value " RETENTION_CLOCK_VALUE);
    const int64_t moved_ms = now->wall_ms - last.wall_ms;
    if (strcmp(last.boot_id, now->boot_id) == 0) {
        const int64_t jump_ms = moved_ms - (now->boot_ms - last.boot_ms);
        if (llabs(jump_ms) > RETENTION_JUMP_MS)
            *ret_jump_ms = jump_ms;
    } else if (moved_ms < -RETENTION_JUMP_MS || moved_ms > RETENTION_REBOOT_GAP_MS) {
        *ret_jump_ms = moved_ms;
    }
    return true;
}

static bool retention_delete_files(const struct retention_config *config, struct catalog *catalog,
                                   struct retention_result *result, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_expired_file *files = NULL;
    size_t count = 0;
    int64_t total_count = 0;
    TRY(job_expired_files(catalog, RETENTION_SWEEP_FILES, &arena, &files, &count, &total_count,
                          err));
    const int64_t share = total_count * RETENTION_SWEEP_PERCENT / 100;
    if (share > RETENTION_SWEEP_FILES)
        TRY(job_expired_files(catalog, share, &arena, &files, &count, &total_count, err));
    for (size_t i = 0; i < count; i++) {
        TRY(store_delete(config->store, files[i].key, err));
        TRY(job_forget_file(catalog, files[i].job_id, files[i].key, err));
        result->deleted_file_count++;
    }
    return true;
}

bool retention_sweep(const struct retention_config *config, struct catalog *catalog,
                     struct retention_result *ret_result, struct err *err)
{
    struct retention_result result = {0};
    struct retention_clock now;
    retention_read_clock(config, &now);
    TRY(retention_measure_jump(&now, catalog, &result.clock_jump_ms, err));
    if (result.clock_jump_ms != 0) {
        result.waits_for_operator = true;
        *ret_result = result;
        return true;
    }
    TRY(retention_save_clock(&now, catalog, err));
    TRY(job_expire(catalog, now.wall_ms, RETENTION_EXPIRE_JOBS, &result.expired_job_count, err));
    TRY(retention_delete_files(config, catalog, &result, err));
    *ret_result = result;
    return true;
}

bool retention_accept_clock(const struct retention_config *config, struct catalog *catalog,
                            struct err *err)
{
    struct retention_clock now;
    retention_read_clock(config, &now);
    return retention_save_clock(&now, catalog, err);
}

bool retention_read_boot_id(struct arena *arena, const char **ret_boot_id, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 256);
    TRY(file_read("/proc/sys/kernel/random/boot_id", &text, err));
    const size_t size = strcspn(buf_text(&text), "\n");
    *ret_boot_id = arena_copy_slice(arena, slice_of(buf_text(&text), size));
    return true;
}
