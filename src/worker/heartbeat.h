// SPDX-License-Identifier: Apache-2.0
// The thread that renews the lease of the job that a worker runs, with a progress counter. It sets
// watch->is_lost when the catalog says so, when the lease can no longer be trusted (counted on the
// boot clock from before the claim), when nothing has progressed for too long, or when the process
// is to stop.
// Upholds INV-12 (docs/invariants.md).
#pragma once

#include "base/stop.h"
#include "base/thread.h"
#include "catalog/leases.h"
#include "job/job_run.h"

struct heartbeat_config {
    const char *catalog_path;
    const struct clock *clock;
    struct job_claim claim;
    int64_t claimed_at_boot_ms; // read before the claim was asked for
    int64_t lease_ms;
    int64_t stall_limit_ms;
    struct stop *stop;
};

struct heartbeat {
    struct heartbeat_config config;
    struct job_watch *watch;
    struct thread thread;
    struct mutex mutex; // guards is_over
    struct condition changed;
    bool is_over;
};

void heartbeat_start(struct heartbeat *heartbeat, const struct heartbeat_config *config,
                     struct job_watch *watch);
void heartbeat_stop(struct heartbeat *heartbeat);
