// SPDX-License-Identifier: Apache-2.0
// Deleting what is not needed any more. A file goes before its row in the catalog: when the process
// dies in between, the next sweep finds the row and a missing file is fine. Files without a row are
// what dead steps left behind; they must be older than the grace, as a living step writes its file
// before its row.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "catalog/segment_retention.h"
#include "lake/compact_internal.h"
#include "lake/segment_path.h"

#define COMPACT_SWEEP_COUNT INT64_C(256) // rows of one transaction
#define COMPACT_DROP_COUNT  INT64_C(100) // segments dropped by one sweep

struct compact_sweep {
    const struct compact_config *config;
    struct catalog *catalog;
    int64_t cut_ms; // what was retired or written before may go
    int64_t deleted_count;
};

static bool compact_drop_old(const struct compact_config *config, struct catalog *catalog,
                             struct err *err)
{
    // A bounded number a sweep, the rest in the next: a mistake is seen before all is gone.
    const int64_t now_ms = clock_wall_ms(config->clock);
    const struct segment_drop drop = {
        .created_before_ms = now_ms - config->retention_ms,
        .now_ms = now_ms,
        .limit = COMPACT_DROP_COUNT,
    };
    int64_t count = 0;
    return segment_drop_older(catalog, &drop, &count, err);
}

static bool compact_delete_some(struct compact_sweep *sweep, size_t *ret_count, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct segment *segments = NULL;
    size_t count = 0;
    TRY(segment_garbage(sweep->catalog, sweep->cut_ms, COMPACT_SWEEP_COUNT, &arena, &segments,
                        &count, err));
    for (size_t i = 0; i < count; i++) {
        const char *path = segment_path_full(&arena, sweep->config->data_directory,
                                             segments[i].path);
        TRY(file_remove(path, err));
        TRY(segment_forget(sweep->catalog, segments[i].id, err));
        sweep->deleted_count++;
    }
    *ret_count = count;
    return true;
}

// Deletes one file of lake/ if nobody lists it and it is old.
static bool compact_delete_orphan(const char *path, void *context, struct err *err)
{
    struct compact_sweep *sweep = context;
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT ? true : err_set_errno(err, "stat %s", path);
    const int64_t modified_ms = (int64_t)status.st_mtim.tv_sec * 1000 +
                                status.st_mtim.tv_nsec / 1000000;
    if (modified_ms >= sweep->cut_ms)
        return true;
    // The catalog's paths begin after the data directory and its slash.
    const char *relative = path + strlen(sweep->config->data_directory) + 1;
    bool is_known = true;
    TRY(segment_path_is_known(sweep->catalog, relative, &is_known, err));
    if (is_known)
        return true;
    TRY(file_remove(path, err));
    sweep->deleted_count++;
    return true;
}

bool compact_collect(const struct compact_config *config, struct catalog *catalog,
                     int64_t *ret_deleted_count, struct err *err)
{
    struct compact_sweep sweep = {
        .config = config,
        .catalog = catalog,
        .cut_ms = clock_wall_ms(config->clock) - config->garbage_grace_ms,
    };
    TRY(compact_drop_old(config, catalog, err));
    size_t count = (size_t)COMPACT_SWEEP_COUNT;
    while (count == (size_t)COMPACT_SWEEP_COUNT)
        TRY(compact_delete_some(&sweep, &count, err));
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *directory = segment_path_full(&arena, config->data_directory,
                                              SEGMENT_PATH_DIRECTORY);
    TRY(file_walk(directory, "", compact_delete_orphan, &sweep, err));
    *ret_deleted_count = sweep.deleted_count;
    return true;
}
