// SPDX-License-Identifier: Apache-2.0
// Deletion of export files after their time. Nothing is deleted because a clock is wrong: the wall
// clock must have moved like the machine's boot clock since the last sweep (both are kept in the
// catalog). A jump of over an hour stops deletion until an operator accepts the clock; a reboot,
// over which the boot clock says nothing, may skip up to 30 days forward. One sweep deletes at most
// max(100 files, 5 %).
// Upholds INV-17 (docs/invariants.md).
#pragma once

#include "catalog/clock_guard.h"
#include "store/store.h"

struct retention_config {
    struct clock_guard guard;
    struct store *store;
};

struct retention_result {
    int64_t expired_job_count;
    int64_t deleted_file_count;
    bool waits_for_operator; // the clock jumped
    int64_t clock_jump_ms;
};

NODISCARD bool retention_sweep(const struct retention_config *config, struct catalog *catalog,
                               struct retention_result *ret_result, struct err *err);
