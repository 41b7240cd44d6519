// SPDX-License-Identifier: Apache-2.0
// Opening, closing, the queue between the callers' threads and the committer, and the memory
// budget.
#include "lake/ingest_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "lake/ingest_internal.h"

#define INGEST_REPORT_BYTES_MAX ((size_t)64 * 1024)

// Held until the descriptor is closed, also by a kill.
static bool ingest_log_lock(struct ingest_log *log, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    const int size = snprintf(path, sizeof path, "%s/log", log->data_directory);
    ASSERT(size > 0 && (size_t)size + sizeof "/lock" < sizeof path);
    TRY(file_make_directories(path, err));
    memcpy(path + size, "/lock", sizeof "/lock");
    log->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (log->lock_fd < 0)
        return err_set_errno(err, "open %s", path);
    if (flock(log->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "another process writes the log in %s",
                       log->data_directory);
    return err_set_errno(err, "lock %s", path);
}

static struct ingest_log *ingest_log_new(const struct ingest_log_config *config)
{
    struct ingest_log *log = mem_alloc(sizeof *log);
    log->config = *config;
    log->data_directory = mem_copy_text(config->data_directory);
    log->catalog_path = mem_copy_text(config->catalog_path);
    log->config.data_directory = log->data_directory;
    log->config.catalog_path = log->catalog_path;
    log->lock_fd = -1;
    log->queue_end = &log->queue;
    mutex_init(&log->mutex);
    condition_init(&log->wake_up);
    ingest_writer_init(&log->writer, log->data_directory, config->file_bytes);
    ingest_keys_init(&log->keys);
    buf_init(&log->recovery_report, INGEST_REPORT_BYTES_MAX);
    return log;
}

void ingest_log_close(struct ingest_log **log)
{
    struct ingest_log *old = *log;
    *log = NULL;
    if (old == NULL)
        return;
    mutex_lock(&old->mutex);
    old->is_stopping = true;
    condition_signal(&old->wake_up);
    mutex_unlock(&old->mutex);
    thread_join(&old->thread);
    struct err err = {0};
    if (old->catalog != NULL && !ingest_close_file(old, &err))
        (void)ingest_log_fail_storage(old, &err); // recovery does it at the next start
    ingest_writer_clear(&old->writer);
    ingest_topics_close(&old->topics);
    catalog_close(&old->catalog);
    ingest_keys_clear(&old->keys);
    while (old->bulks != NULL) {
        struct ingest_bulk *bulk = old->bulks;
        old->bulks = bulk->next;
        mem_free(bulk);
    }
    buf_clear(&old->recovery_report);
    condition_clear(&old->wake_up);
    mutex_clear(&old->mutex);
    if (old->lock_fd >= 0)
        (void)close(old->lock_fd);
    mem_free(old->data_directory);
    mem_free(old->catalog_path);
    mem_free(old);
}

// A full disk must not keep what reads from starting: it may be what makes room. Where loss is
// accepted a person is at hand, and waits for the report.
static bool ingest_log_recover(struct ingest_log *log, struct err *err)
{
    if (ingest_recover(log, err))
        return true;
    if (err->kind != ERR_FULL || log->config.accept_loss)
        return false;
    (void)ingest_log_fail_storage(log, err);
    err_clear(err);
    atomic_store(&log->is_recovering, true);
    return true;
}

bool ingest_log_open(const struct ingest_log_config *config, struct ingest_log **ret_log,
                     struct err *err)
{
    ASSERT(config->file_bytes > 0);
    ASSERT(config->memory_batch_bytes > 0);
    ASSERT(config->on_change != NULL);
    struct ingest_log *log CLEANUP(ingest_log_close) = ingest_log_new(config);
    TRY(ingest_log_lock(log, err));
    TRY(catalog_open(log->catalog_path, &log->catalog, err));
    TRY(ingest_topics_open(&log->topics, log->catalog_path, err));
    TRY(ingest_log_recover(log, err));
    atomic_store(&log->last_seq, log->writer.seq);
    thread_start(&log->thread, ingest_committer_run, log);
    *ret_log = log;
    log = NULL;
    return true;
}

const char *ingest_log_recovery_report(const struct ingest_log *log)
{
    return buf_text(&log->recovery_report);
}

void ingest_batch_submit(struct ingest_batch *batch, void (*done)(void *context), void *context)
{
    struct ingest_log *log = batch->log;
    ASSERT(batch->is_ended);
    ASSERT(batch->done == NULL);
    batch->done = done;
    batch->context = context;
    mutex_lock(&log->mutex);
    ASSERT(!log->is_stopping);
    *log->queue_end = batch;
    log->queue_end = &batch->next;
    condition_signal(&log->wake_up);
    mutex_unlock(&log->mutex);
}

bool ingest_log_take_memory(struct ingest_log *log, int64_t size_bytes, struct err *err)
{
    const int64_t before_bytes = atomic_fetch_add(&log->memory_bytes, size_bytes);
    if (before_bytes + size_bytes > log->config.memory_limit_bytes)
        return err_set(err, ERR_UNAVAILABLE, "Overloaded");
    return true;
}

void ingest_log_give_memory(struct ingest_log *log, int64_t size_bytes)
{
    (void)atomic_fetch_sub(&log->memory_bytes, size_bytes);
}

// What a client may read.
static bool ingest_refuse(enum err_kind reason, struct err *err)
{
    if (reason == ERR_FULL)
        return err_set(err, ERR_FULL, INGEST_INSUFFICIENT);
    return err_set(err, ERR_UNAVAILABLE, INGEST_STORAGE_UNAVAILABLE);
}

bool ingest_log_check_recovered(struct ingest_log *log, struct err *err)
{
    if (!atomic_load(&log->is_recovering))
        return true;
    mutex_lock(&log->mutex);
    const enum err_kind reason = log->last_failure.kind;
    mutex_unlock(&log->mutex);
    return ingest_refuse(reason, err);
}

bool ingest_log_fail_storage(struct ingest_log *log, struct err *err)
{
    ASSERT(err->kind != ERR_NONE);
    mutex_lock(&log->mutex);
    log->last_failure = *err;
    log->failure_count++;
    mutex_unlock(&log->mutex);
    return ingest_refuse(err->kind, err);
}

bool ingest_log_pause(struct ingest_log *log, int64_t pause_ms)
{
    // A batch that is submitted wakes the committer: then it tries early.
    mutex_lock(&log->mutex);
    if (!log->is_stopping)
        (void)condition_wait_ms(&log->wake_up, &log->mutex, pause_ms);
    const bool goes_on = !log->is_stopping;
    mutex_unlock(&log->mutex);
    return goes_on;
}

void ingest_log_last_failure(struct ingest_log *log, int64_t *ret_count, struct err *ret_failure)
{
    mutex_lock(&log->mutex);
    *ret_count = log->failure_count;
    *ret_failure = log->last_failure;
    mutex_unlock(&log->mutex);
}

int64_t ingest_log_last_seq(const struct ingest_log *log)
{
    return atomic_load(&log->last_seq);
}

struct ingest_log_stats ingest_log_stats(const struct ingest_log *log)
{
    return (struct ingest_log_stats){
        .batch_count = atomic_load(&log->batch_count),
        .event_count = atomic_load(&log->event_count),
        .byte_count = atomic_load(&log->byte_count),
        .sync_count = atomic_load(&log->sync_count),
    };
}
