// SPDX-License-Identifier: Apache-2.0
// The committer thread: commits what is queued; in between it closes files that are old enough or
// that a job waits for, gives jobs their bounds, and takes back sealed files.
// Upholds INV-11 (docs/invariants.md).
#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "lake/ingest_internal.h"

static bool ingest_file_is_old(const struct ingest_log *log)
{
    return log->writer.fd >= 0 &&
           clock_boot_ms(log->config.clock) - log->file_opened_at_ms >= log->config.file_age_ms;
}

// The bound is read after the wish was seen, and after the file that holds its rows was closed.
static bool ingest_give_bounds(struct ingest_log *log, struct err *err)
{
    int64_t ordinal = 0;
    TRY(job_bound_wanted(log->catalog, &ordinal, err));
    if (ordinal == 0)
        return true;
    TRY(ingest_close_file(log, err));
    TRY(job_set_bounds(log->catalog, ordinal, log->writer.seq, err));
    log->config.on_change(log->config.context);
    return true;
}

static bool ingest_remove_bulks(struct ingest_log *log, int64_t file_id, struct err *err)
{
    struct ingest_bulk **link = &log->bulks;
    while (*link != NULL) {
        struct ingest_bulk *bulk = *link;
        if (bulk->file_id != file_id) {
            link = &bulk->next;
            continue;
        }
        char path[INGEST_PATH_CHARS];
        ingest_disk_bulk_path(log->data_directory, bulk->nonce, path);
        TRY(file_remove(path, err));
        *link = bulk->next;
        mem_free(bulk);
    }
    return true;
}

// Sealed files go, or wait for their next use. The catalog forgets them last, so that a kill in
// between does this again.
static bool ingest_take_back(struct ingest_log *log, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct segment_log_file *files;
    size_t count;
    TRY(segment_sealed_log_files(log->catalog, &arena, &files, &count, err));
    for (size_t i = 0; i < count; i++) {
        TRY(ingest_remove_bulks(log, files[i].id, err));
        TRY(ingest_writer_recycle(&log->writer, files[i].id, err));
        TRY(segment_forget_log_file(log->catalog, files[i].id, err));
    }
    if (count > 0)
        ingest_keys_drop(&log->keys, files[count - 1].id, clock_wall_ms(log->config.clock));
    return true;
}

static bool ingest_look_at_catalog(struct ingest_log *log, struct err *err)
{
    bool has_changed;
    TRY(catalog_poll(log->catalog, &has_changed, err));
    if (has_changed)
        ingest_topics_expire(&log->topics);
    TRY(ingest_give_bounds(log, err));
    return ingest_take_back(log, err);
}

// What fails here is tried again at the next tick.
static void ingest_tick(struct ingest_log *log)
{
    struct err err = {0};
    if (ingest_file_is_old(log) && !ingest_close_file(log, &err))
        (void)ingest_log_fail_storage(log, &err);
    const int64_t now_ms = clock_boot_ms(log->config.clock);
    if (!ingest_look_at_catalog(log, &err))
        (void)ingest_log_fail_storage(log, &err);
    log->polled_at_ms = now_ms;
}

// Keys in memory count against the same budget as batches.
static void ingest_account_keys(struct ingest_log *log)
{
    (void)atomic_fetch_add(&log->memory_bytes, log->keys.byte_count - log->keys_memory_bytes);
    log->keys_memory_bytes = log->keys.byte_count;
}

static int64_t ingest_wait_ms(const struct ingest_log *log)
{
    if (log->writer.fd < 0)
        return INGEST_POLL_MS;
    const int64_t left_ms = log->file_opened_at_ms + log->config.file_age_ms -
                            clock_boot_ms(log->config.clock);
    if (left_ms < 0)
        return 0;
    return left_ms < INGEST_POLL_MS ? left_ms : INGEST_POLL_MS;
}

// Waits for batches, the next tick or the end. *ret_is_stopping: no more batches will come.
static struct ingest_batch *ingest_take_queue(struct ingest_log *log, bool *ret_is_stopping)
{
    mutex_lock(&log->mutex);
    if (log->queue == NULL && !log->is_stopping)
        (void)condition_wait_ms(&log->wake_up, &log->mutex, ingest_wait_ms(log));
    struct ingest_batch *batches = log->queue;
    log->queue = NULL;
    log->queue_end = &log->queue;
    *ret_is_stopping = log->is_stopping;
    mutex_unlock(&log->mutex);
    return batches;
}

// Until it is through, nobody begins a batch, and jobs get no bounds: seqs are missing.
static bool ingest_finish_recovery(struct ingest_log *log)
{
    while (atomic_load(&log->is_recovering)) {
        if (!ingest_log_pause(log, INGEST_RECOVERY_RETRY_MS))
            return false;
        struct err err = {0};
        if (!ingest_recover(log, &err)) {
            (void)ingest_log_fail_storage(log, &err);
            continue;
        }
        atomic_store(&log->last_seq, log->writer.seq);
        atomic_store(&log->is_recovering, false);
    }
    return true;
}

void ingest_committer_run(void *context)
{
    struct ingest_log *log = context;
    if (!ingest_finish_recovery(log))
        return;
    bool wants_spare = true;
    for (;;) {
        bool is_stopping;
        struct ingest_batch *batches = ingest_take_queue(log, &is_stopping);
        const bool is_idle = batches == NULL;
        const int64_t file_id = log->writer.file_id;
        ingest_commit_group(log, batches);
        if (is_idle || clock_boot_ms(log->config.clock) - log->polled_at_ms >= INGEST_POLL_MS)
            ingest_tick(log);
        ingest_account_keys(log);
        if (is_stopping && is_idle)
            return;
        // Once per file, and not while batches wait: on a full disk it would be tried for ever.
        wants_spare = wants_spare || file_id != log->writer.file_id;
        struct err err = {0};
        if (wants_spare && is_idle) {
            wants_spare = false;
            if (!ingest_writer_prepare(&log->writer, &err))
                (void)ingest_log_fail_storage(log, &err);
        }
    }
}
