// SPDX-License-Identifier: Apache-2.0
// Calls that wait for jobs, or for the lake: their connections are suspended, and one thread looks
// at the catalog for all of them, whenever somebody has committed something. What is waited for is
// done by other processes; so nothing here takes long, and the number of waiting calls is bounded,
// a quarter of it per organization.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct api_wait;
struct catalog;

struct api_wait_entry {
    void *item;
    const char *organization_id; // as all texts, the item's: they live until it is handed on
    const char *const *job_ids;  // all of them final, and
    size_t job_count;
    int64_t seal_seq; // the lake sealed up to here; 0: no matter
    int64_t until_boot_ms;
};

struct api_wait_config {
    const char *catalog_path;
    const struct clock *clock;
    size_t limit;
    // Once per entry, on the waiter's thread: what was waited for is there, or the time is over.
    // May hand the item to other threads, and must not take long.
    void (*run)(void *item, bool is_there, struct catalog *catalog);
};

NODISCARD bool api_wait_open(const struct api_wait_config *config, struct api_wait **ret_wait,
                             struct err *err);
// No entry is taken any more, and all that wait are told that their time is over.
void api_wait_drain(struct api_wait *wait);
// Joins the thread; drains first.
void api_wait_close(struct api_wait **wait);

// A place for the organization; false when it has no more, or the waiting ends. A place that was
// taken must be used by api_wait_add.
bool api_wait_reserve(struct api_wait *wait, const char *organization_id);
// The entry is copied; run may be called before this returns.
void api_wait_add(struct api_wait *wait, const struct api_wait_entry *entry);

size_t api_wait_count(struct api_wait *wait);
