// SPDX-License-Identifier: Apache-2.0
// Starts the processes of `milkrun serve`, restarts what dies, and ends them together. Children die
// with the supervisor (PR_SET_PDEATHSIG), so that locks and the port are free at once after a kill.
// The supervisor itself has one thread and touches neither network nor catalog, but that it looks
// who writes to the catalog: a child that holds its write lock and makes no progress (stopped, or
// stuck in the kernel) keeps all others from writing, so it is killed and started again. A stopped
// child that does not hold the lock is left alone: its lease lapses.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct supervisor_process {
    const char *name; // role, for logs
    size_t index;     // among all processes: its wake-up place
    // Runs in the child until it is told to stop. ready_fd: write one byte when serving (-1: not
    // asked).
    bool (*run)(const struct supervisor_process *process, int ready_fd, struct err *err);
    void *context;
    bool is_awaited; // the server is ready when all of these have said so
    bool is_first;   // of its role
};

struct supervisor_config {
    const struct supervisor_process *processes;
    size_t process_count;
    int64_t drain_ms;         // from SIGTERM to SIGKILL
    const char *catalog_path; // NULL: nobody looks at its writers
    int64_t writer_limit_ms;  // > 2000 with a catalog: so long may one transaction take
    void (*on_ready)(void *context);
    void *context;
};

// Until SIGTERM or SIGINT (true), or until an awaited process fails before it was ready (false,
// with its exit code's kind).
NODISCARD bool supervisor_run(const struct supervisor_config *config, struct err *err);
