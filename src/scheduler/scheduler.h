// SPDX-License-Identifier: Apache-2.0
// The process that turns time into jobs, and the end of retention into deletions. Everything it
// does is computed from the catalog, so it may be killed, doubled or late: windows are never lost
// or made twice.
#pragma once

#include "base/clock.h"
#include "base/option.h"
#include "base/stop.h"
#include "base/wake.h"
#include "catalog/catalog.h"
#include "destination/hosted.h"
#include "scheduler/retention.h"

struct scheduler_options {
    int64_t hourly_grace_ms;
    int64_t daily_grace_ms;
    int64_t late_gap_ms;
    int64_t sweep_interval_ms;
    bool makes_daily_sets; // ahead
};

extern const struct option scheduler_option_table[];
extern const size_t scheduler_option_count;

struct scheduler_config {
    const struct scheduler_options *options;
    const char *catalog_path;
    const char *exports_directory;
    const char *spool_directory;
    const struct hosted_settings *hosted;
    const char *node_id;
    int64_t daily_file_rows; // of daily exports
    int64_t late_ms;         // when a job is said to be late
    int64_t notice_retention_ms;
    const struct clock *clock;
    const struct wake *wake;
    size_t wake_index;
    struct stop *stop;
};

// Makes all jobs that are due now. *ret_count: how many.
NODISCARD bool scheduler_make_jobs(const struct scheduler_config *config, struct catalog *catalog,
                                   int64_t *ret_count, struct err *err);

// Until the stop flag.
NODISCARD bool scheduler_run(const struct scheduler_config *config, struct err *err);
