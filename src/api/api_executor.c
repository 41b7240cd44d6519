// SPDX-License-Identifier: Apache-2.0
#include "api/api_executor.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/thread.h"

// Organizations are told apart by their id's hash: a collision shares a quarter, no more.
#define API_EXECUTOR_SHARES ((size_t)1024)

struct api_executor_thread {
    struct api_executor *executor;
    struct catalog *catalog;
    struct thread thread;
};

struct api_executor_entry {
    void *item;
    size_t share;
};

struct api_executor {
    struct api_executor_config config;
    struct api_executor_thread *threads;
    struct mutex mutex; // guards what follows
    struct condition has_work;
    struct api_executor_entry *ring; // of config.queue_count
    size_t first;
    size_t count;
    size_t place_count; // queued, or reserved and not yet added
    size_t share_counts[API_EXECUTOR_SHARES];
    bool is_closing;
};

static size_t api_executor_share(const char *organization_id)
{
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (const char *at = organization_id; at != NULL && *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    return (size_t)(hash % API_EXECUTOR_SHARES);
}

// False when the executor closes and nothing is left.
static bool api_executor_next(struct api_executor *executor, void **ret_item)
{
    mutex_lock(&executor->mutex);
    while (executor->count == 0 && !executor->is_closing)
        condition_wait(&executor->has_work, &executor->mutex);
    const bool found = executor->count > 0;
    if (found) {
        const struct api_executor_entry entry = executor->ring[executor->first];
        executor->first = (executor->first + 1) % executor->config.queue_count;
        executor->count--;
        executor->place_count--;
        executor->share_counts[entry.share]--;
        *ret_item = entry.item;
    }
    mutex_unlock(&executor->mutex);
    return found;
}

static void api_executor_run(void *context)
{
    const struct api_executor_thread *self = context;
    void *item;
    while (api_executor_next(self->executor, &item))
        self->executor->config.run(item, self->catalog);
}

bool api_executor_open(const struct api_executor_config *config, struct api_executor **ret_executor,
                       struct err *err)
{
    ASSERT(config->thread_count > 0);
    ASSERT(config->queue_count > 0);
    struct api_executor *executor CLEANUP(api_executor_close) = mem_alloc(sizeof *executor);
    executor->config = *config;
    mutex_init(&executor->mutex);
    condition_init(&executor->has_work);
    executor->ring = mem_alloc_array(config->queue_count, sizeof *executor->ring);
    executor->threads = mem_alloc_array(config->thread_count, sizeof *executor->threads);
    for (size_t i = 0; i < config->thread_count; i++) {
        struct api_executor_thread *self = &executor->threads[i];
        self->executor = executor;
        TRY(catalog_open(config->catalog_path, &self->catalog, err));
    }
    for (size_t i = 0; i < config->thread_count; i++)
        thread_start(&executor->threads[i].thread, api_executor_run, &executor->threads[i]);
    *ret_executor = executor;
    executor = NULL;
    return true;
}

void api_executor_close(struct api_executor **executor)
{
    struct api_executor *closing = *executor;
    if (closing == NULL)
        return;
    mutex_lock(&closing->mutex);
    closing->is_closing = true;
    condition_broadcast(&closing->has_work);
    mutex_unlock(&closing->mutex);
    for (size_t i = 0; i < closing->config.thread_count; i++) {
        thread_join(&closing->threads[i].thread);
        catalog_close(&closing->threads[i].catalog);
    }
    ASSERT(closing->count == 0);
    condition_clear(&closing->has_work);
    mutex_clear(&closing->mutex);
    mem_free(closing->threads);
    mem_free(closing->ring);
    mem_free(closing);
    *executor = NULL;
}

bool api_executor_reserve(struct api_executor *executor, const char *organization_id)
{
    const size_t share = api_executor_share(organization_id);
    const size_t limit = executor->config.queue_count;
    const size_t share_limit = limit < 4 ? 1 : limit / 4;
    mutex_lock(&executor->mutex);
    const bool has_room = executor->place_count < limit &&
                          executor->share_counts[share] < share_limit;
    if (has_room) {
        executor->place_count++;
        executor->share_counts[share]++;
    }
    mutex_unlock(&executor->mutex);
    return has_room;
}

void api_executor_add(struct api_executor *executor, const char *organization_id, void *item)
{
    mutex_lock(&executor->mutex);
    ASSERT(executor->count < executor->place_count);
    const size_t last = (executor->first + executor->count) % executor->config.queue_count;
    executor->ring[last] = (struct api_executor_entry){
        .item = item,
        .share = api_executor_share(organization_id),
    };
    executor->count++;
    condition_signal(&executor->has_work);
    mutex_unlock(&executor->mutex);
}

size_t api_executor_waiting(struct api_executor *executor)
{
    mutex_lock(&executor->mutex);
    const size_t count = executor->place_count;
    mutex_unlock(&executor->mutex);
    return count;
}
