// SPDX-License-Identifier: Apache-2.0
// The two kinds of worker processes: one that runs jobs, any number of them; and one keeper of the
// lake that seals, compacts and collects, so that long jobs never hold up the seal point. Each runs
// until the stop flag, and survives everything but its own death: failures are logged and tried
// again.
#pragma once

#include "base/clock.h"
#include "base/option.h"
#include "base/stop.h"
#include "base/wake.h"
#include "destination/destinations_net.h"

struct worker_options {
    int64_t lease_ms;
    int64_t lost_limit;
    int64_t retry_limit_ms;
    int64_t stall_limit_ms;
    int64_t part_bytes;
    int64_t file_retention_ms;
    int64_t memory_bytes;
    int64_t compress_threads;
    bool csv_formula_guard;
    int64_t spool_bytes; // of an organization
    int64_t probe_interval_ms;
};

struct keeper_options {
    int64_t seal_bytes;
    int64_t own_file_rows;
    int64_t file_limit;
    int64_t crowd_threshold;
    int64_t retention_days;
    int64_t garbage_grace_ms;
};

extern const struct option worker_option_table[];
extern const size_t worker_option_count;
extern const struct option keeper_option_table[];
extern const size_t keeper_option_count;

struct worker_config {
    const struct worker_options *worker;
    const struct keeper_options *keeper;
    const char *data_directory;
    const char *catalog_path;
    // Spill space of this process alone: engines that share one overwrite each other's files.
    const char *temp_directory;
    const struct clock *clock;
    const char *supervisor_id; // changes when the supervisor does
    const struct destinations_net_config *destinations;
    const char *spool_directory; // of files that are delivered elsewhere
    const char *node_id;         // stays with the data directory: one keeper at a time has it
    const struct wake *wake;
    size_t wake_index;
    bool is_reserve;        // one of several that stays free for windows (catalog/leases.h)
    int64_t delivery_limit; // as in claims
    struct stop *stop;
};

NODISCARD bool worker_run(const struct worker_config *config, struct err *err);
NODISCARD bool keeper_run(const struct worker_config *config, struct err *err);
