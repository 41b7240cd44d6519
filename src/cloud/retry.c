// SPDX-License-Identifier: Apache-2.0
#include "cloud/retry.h"

#include <time.h>

#include "base/check.h"
#include "net/backoff.h"

#define RETRY_SLICE_MS INT64_C(500)

void retry_init(struct retry *retry, const struct retry_limits *limits, struct rng *rng)
{
    ASSERT(limits->attempts >= 1);
    ASSERT(limits->base_ms >= 0);
    ASSERT(limits->max_ms >= limits->base_ms);
    *retry = (struct retry){.limits = *limits, .rng = rng};
}

void retry_note_progress(struct retry *retry)
{
    retry->failures = 0;
}

static void retry_sleep(int64_t wait_ms)
{
    const struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    (void)nanosleep(&wait, NULL); // a signal makes it shorter: the caller looks why
}

bool retry_wait(struct retry *retry, int64_t after_ms, struct err *err)
{
    ASSERT(err->kind != ERR_NONE);
    if (err->kind != ERR_UNAVAILABLE)
        return false;
    retry->failures++;
    if (retry->failures >= retry->limits.attempts)
        return err_wrap(err, "after %d tries", retry->failures);
    int64_t wait_ms = backoff_ms(retry->failures, retry->limits.base_ms, retry->limits.max_ms,
                                 retry->rng);
    if (wait_ms < after_ms)
        wait_ms = after_ms < retry->limits.max_ms ? after_ms : retry->limits.max_ms;
    while (wait_ms > 0) {
        if (retry->keep_going != NULL && !retry->keep_going(retry->context))
            return err_set(err, ERR_CANCELED, "stopped while waiting to try again");
        const int64_t slice_ms = wait_ms < RETRY_SLICE_MS ? wait_ms : RETRY_SLICE_MS;
        retry_sleep(slice_ms);
        wait_ms -= slice_ms;
    }
    return true;
}
