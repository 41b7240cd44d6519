// SPDX-License-Identifier: Apache-2.0
// One event per line on standard error: `time=... level=info role=worker event=job_finished
// job=...`. Only main, cli, api, scheduler and worker log; what lies below returns err. Values are
// quoted and escaped where needed and cut at 512 bytes; secrets are never passed. Thread-safe;
// lines are whole.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level {
    LOG_DEBUG,
    LOG_INFO,  // state changes
    LOG_WARN,  // handled: "..., retrying"
    LOG_ERROR, // somebody must act
};

// Once per process, before threads: lines below level are dropped; role must stay alive.
void log_setup(enum log_level level, const char *role);

enum log_level log_level(void);
// "debug", "info", "warn", "error". False for anything else.
bool log_level_parse(const char *name, enum log_level *ret_level);

// pairs: alternating name and value texts, ended by a NULL name. A NULL value leaves the pair out.
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

// The same as a line of JSON: {"time":...,"level":...,"role":...,"pid":...,"event":...MEMBERS}.
// members: `,"name":value` any number of times, escaped by the caller, without a line end.
void log_json(enum log_level level, const char *event, struct slice members);
