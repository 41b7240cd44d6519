// SPDX-License-Identifier: Apache-2.0
// Token buckets of callers, in memory: a bucket holds `count` requests and fills up again over
// `period_ms`. Kept is only when each bucket will be full again, so one that is full needs no
// memory; there is room for 64 Ki buckets, and when all near a new one are in use the fullest is
// forgotten, in favour of its caller. Any thread; the lock is held for some hundred nanoseconds.
// The time is passed in and must not step back.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct api_rate;

struct api_rate_claim {
    const char *name; // of the bucket: the limit and whom it is for
    int64_t count;    // 0: no limit
    int64_t period_ms;
};

struct api_rate *api_rate_new(void);
void api_rate_free(struct api_rate **rate);

// Takes one request from each of the buckets, or none when one of them is empty: then the
// milliseconds are returned until each has one. 0: taken.
int64_t api_rate_take(struct api_rate *rate, const struct api_rate_claim *claims, size_t count,
                      int64_t now_ms);
