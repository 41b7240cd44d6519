// SPDX-License-Identifier: Apache-2.0
// Runs what may not run on the server's threads: a few threads, each with its own catalog handle,
// and a bounded queue of which one organization gets a quarter, so that its flood delays nobody
// else's calls.
#pragma once

#include "base/err.h"
#include "catalog/catalog.h"

struct api_executor;

struct api_executor_config {
    const char *catalog_path;
    size_t thread_count;
    size_t queue_count;
    void (*run)(void *item, struct catalog *catalog);
};

NODISCARD bool api_executor_open(const struct api_executor_config *config,
                                 struct api_executor **ret_executor, struct err *err);
// Runs what is queued, then joins. Nothing may be added any more.
void api_executor_close(struct api_executor **executor);

// A place in the queue for the organization; false when it has no more. A place that was taken must
// be used by api_executor_add.
bool api_executor_reserve(struct api_executor *executor, const char *organization_id);
// run(item) is called by an executor thread, maybe before this call returns.
void api_executor_add(struct api_executor *executor, const char *organization_id, void *item);

// Calls that wait or have a place.
size_t api_executor_waiting(struct api_executor *executor);
