// SPDX-License-Identifier: Apache-2.0
// Calling again after a failure that may pass: bounded, with exponential back-off and full jitter,
// and with one message in the end. One thread per object; it owns nothing.
//
//     struct retry retry;
//     retry_init(&retry, &limits, rng);
//     while (!call(&err))
//         if (!retry_wait(&retry, 0, &err))
//             return false;
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"

struct retry_limits {
    int attempts;    // calls in all, without progress in between; at least 1
    int64_t base_ms; // of the back-off: see net/backoff.h
    int64_t max_ms;  // no wait is longer
};

struct retry {
    struct retry_limits limits;
    struct rng *rng;
    int failures; // since the start, or the last progress
    // Asked at least twice a second during a wait; false ends it. Optional.
    bool (*keep_going)(void *context);
    void *context;
};

void retry_init(struct retry *retry, const struct retry_limits *limits, struct rng *rng);

// After a call that failed with *err. True: the time to wait is over (at least after_ms, which is
// what the server asked for, but not over max_ms), call again. False: *err stays when it is not
// UNAVAILABLE, says the number of calls when that was the last, or is CANCELED.
NODISCARD bool retry_wait(struct retry *retry, int64_t after_ms, struct err *err);

// Something was achieved: failures are counted anew.
void retry_note_progress(struct retry *retry);
