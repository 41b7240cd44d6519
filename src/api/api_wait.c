// SPDX-License-Identifier: Apache-2.0
#include "api/api_wait.h"

#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "catalog/jobs.h"
#include "catalog/segments.h"

// A look at the catalog's version costs a few microseconds, and there is none while nobody waits.
#define API_WAIT_POLL_MS INT64_C(25)

struct api_wait {
    struct api_wait_config config;
    struct catalog *catalog; // of the thread
    struct thread thread;
    struct mutex mutex; // guards what follows
    struct condition changed;
    struct api_wait_entry *entries; // room for config.limit
    size_t count;
    size_t place_count; // taken, or waiting
    bool has_new;       // nobody has looked at some entry yet
    bool is_draining;
    bool is_closing;
};

static bool api_wait_is_there(struct api_wait *wait, const struct api_wait_entry *entry,
                              struct err *err)
{
    bool is_there = true;
    int64_t seal_seq = 0;
    if (entry->seal_seq > 0)
        TRY(segment_seal_point(wait->catalog, &seal_seq, err));
    if (entry->job_count > 0 && seal_seq >= entry->seal_seq)
        TRY(job_all_final(wait->catalog, entry->job_ids, entry->job_count, &is_there, err));
    return is_there && seal_seq >= entry->seal_seq;
}

// The entries stay where they are while the thread looks at them: only the thread takes them out.
static bool api_wait_take(struct api_wait *wait, size_t index, struct api_wait_entry *ret_entry)
{
    mutex_lock(&wait->mutex);
    const bool is_any = index < wait->count;
    if (is_any)
        *ret_entry = wait->entries[index];
    mutex_unlock(&wait->mutex);
    return is_any;
}

static void api_wait_remove(struct api_wait *wait, size_t index)
{
    mutex_lock(&wait->mutex);
    ASSERT(index < wait->count);
    memmove(wait->entries + index, wait->entries + index + 1,
            (wait->count - index - 1) * sizeof *wait->entries);
    wait->count--;
    wait->place_count--;
    mutex_unlock(&wait->mutex);
}

static void api_wait_look(struct api_wait *wait, bool has_changed, bool is_draining)
{
    const int64_t now_boot_ms = clock_boot_ms(wait->config.clock);
    struct api_wait_entry entry;
    for (size_t i = 0; api_wait_take(wait, i, &entry);) {
        struct err err = {0};
        const bool is_there = has_changed && api_wait_is_there(wait, &entry, &err);
        if (err.kind != ERR_NONE)
            log_event(LOG_WARN, "wait_failed", "reason", err.message, NULL);
        if (!is_there && !is_draining && now_boot_ms < entry.until_boot_ms) {
            i++;
            continue;
        }
        api_wait_remove(wait, i);
        wait->config.run(entry.item, is_there, wait->catalog);
    }
}

// Sleeps until there is something to look at. False: the thread ends.
static bool api_wait_next(struct api_wait *wait, bool *ret_has_new, bool *ret_is_draining)
{
    mutex_lock(&wait->mutex);
    while (wait->count == 0 && !wait->is_closing)
        condition_wait(&wait->changed, &wait->mutex);
    if (wait->count > 0 && !wait->has_new && !wait->is_draining)
        (void)condition_wait_ms(&wait->changed, &wait->mutex, API_WAIT_POLL_MS);
    *ret_has_new = wait->has_new;
    *ret_is_draining = wait->is_draining;
    wait->has_new = false;
    const bool is_to_look = wait->count > 0;
    mutex_unlock(&wait->mutex);
    return is_to_look;
}

static void api_wait_run(void *context)
{
    struct api_wait *wait = context;
    bool has_new = false;
    bool is_draining = false;
    while (api_wait_next(wait, &has_new, &is_draining)) {
        struct err err;
        bool has_changed = false;
        if (!catalog_poll(wait->catalog, &has_changed, &err))
            has_changed = true; // what ails it will be seen at the next statement
        api_wait_look(wait, has_changed || has_new || is_draining, is_draining);
    }
}

bool api_wait_open(const struct api_wait_config *config, struct api_wait **ret_wait,
                   struct err *err)
{
    ASSERT(config->limit > 0);
    struct api_wait *wait CLEANUP(api_wait_close) = mem_alloc(sizeof *wait);
    wait->config = *config;
    mutex_init(&wait->mutex);
    condition_init(&wait->changed);
    wait->entries = mem_alloc_array(config->limit, sizeof *wait->entries);
    TRY(catalog_open(config->catalog_path, &wait->catalog, err));
    thread_start(&wait->thread, api_wait_run, wait);
    *ret_wait = wait;
    wait = NULL;
    return true;
}

void api_wait_drain(struct api_wait *wait)
{
    mutex_lock(&wait->mutex);
    wait->is_draining = true;
    condition_broadcast(&wait->changed);
    mutex_unlock(&wait->mutex);
}

void api_wait_close(struct api_wait **wait)
{
    struct api_wait *closing = *wait;
    if (closing == NULL)
        return;
    mutex_lock(&closing->mutex);
    closing->is_draining = true;
    closing->is_closing = true;
    condition_broadcast(&closing->changed);
    mutex_unlock(&closing->mutex);
    thread_join(&closing->thread);
    ASSERT(closing->count == 0);
    catalog_close(&closing->catalog);
    condition_clear(&closing->changed);
    mutex_clear(&closing->mutex);
    mem_free(closing->entries);
    mem_free(closing);
    *wait = NULL;
}

bool api_wait_reserve(struct api_wait *wait, const char *organization_id)
{
    const size_t limit = wait->config.limit;
    const size_t share = limit < 4 ? 1 : limit / 4;
    size_t own_count = 0;
    mutex_lock(&wait->mutex);
    for (size_t i = 0; i < wait->count; i++)
        own_count += strcmp(wait->entries[i].organization_id, organization_id) == 0 ? 1 : 0;
    const bool has_room = !wait->is_draining && wait->place_count < limit && own_count < share;
    wait->place_count += has_room ? 1 : 0;
    mutex_unlock(&wait->mutex);
    return has_room;
}

void api_wait_add(struct api_wait *wait, const struct api_wait_entry *entry)
{
    ASSERT(entry->organization_id != NULL);
    mutex_lock(&wait->mutex);
    ASSERT(wait->count < wait->place_count);
    wait->entries[wait->count++] = *entry;
    wait->has_new = true;
    condition_broadcast(&wait->changed);
    mutex_unlock(&wait->mutex);
}

size_t api_wait_count(struct api_wait *wait)
{
    mutex_lock(&wait->mutex);
    const size_t count = wait->count;
    mutex_unlock(&wait->mutex);
    return count;
}
