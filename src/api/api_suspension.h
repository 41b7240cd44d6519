// SPDX-License-Identifier: Apache-2.0
// What a handler leaves in its call in place of a reply: that it waits.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct api_call;

// What a handler leaves when its reply must wait: jobs that are to be final and a point up to which
// the lake is to be sealed. resume is then called as the handler was, later and on another thread,
// and stages the reply or waits again.
struct api_suspension {
    bool (*resume)(struct api_call *call, struct err *err); // NULL: the call does not wait
    const char *const *job_ids;
    size_t job_count;
    int64_t seal_seq;
    int64_t timeout_ms; // from the call's start
};

// How long a client waits for its reply at most.
#define API_WAIT_MS INT64_C(30000)

// For handlers: see struct api_suspension. Always true.
bool api_call_wait(struct api_call *call, const struct api_suspension *suspension);
