// SPDX-License-Identifier: Apache-2.0
#include "scheduler/retention.h"

#include "base/mem.h"
#include "catalog/jobs.h"

#define RETENTION_SWEEP_FILES   INT64_C(100)
#define RETENTION_SWEEP_PERCENT INT64_C(5)
#define RETENTION_EXPIRE_JOBS   INT64_C(500)

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
    bool is_done = true;
    for (size_t i = 0; i < count; i++) {
        // One object that cannot be deleted does not keep the others; a store that is away is not
        // asked for each of them.
        struct err failure = {0};
        if (store_delete(config->store, files[i].key, &failure) &&
            job_forget_file(catalog, files[i].job_id, files[i].key, &failure)) {
            result->deleted_file_count++;
        } else {
            is_done = err_set(err, failure.kind, "%s: %s", files[i].key, failure.message);
            if (failure.kind == ERR_UNAVAILABLE)
                break;
        }
    }
    return is_done;
}

bool retention_sweep(const struct retention_config *config, struct catalog *catalog,
                     struct retention_result *ret_result, struct err *err)
{
    struct retention_result result = {0};
    TRY(clock_guard_look(&config->guard, catalog, &result.clock_jump_ms, err));
    if (result.clock_jump_ms != 0) {
        result.waits_for_operator = true;
        *ret_result = result;
        return true;
    }
    TRY(job_expire(catalog, clock_wall_ms(config->guard.clock), RETENTION_EXPIRE_JOBS,
                   &result.expired_job_count, err));
    TRY(retention_delete_files(config, catalog, &result, err));
    *ret_result = result;
    return true;
}
