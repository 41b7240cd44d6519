// SPDX-License-Identifier: Apache-2.0
#include "notify/notice_attempt.h"

#include "base/check.h"
#include "net/backoff.h"

#define NOTICE_REASON_CHARS  ((size_t)200)
#define NOTICE_DOUBLINGS_MAX INT64_C(40) // far beyond any longest pause

static int64_t notice_pause_ms(const struct notice_policy *policy, const struct notice *notice,
                               const struct notice_attempt *attempt, struct rng *rng)
{
    const int64_t tries = notice->try_count < NOTICE_DOUBLINGS_MAX ? notice->try_count
                                                                   : NOTICE_DOUBLINGS_MAX;
    const int64_t base_ms = policy->back_off_ms < policy->back_off_max_ms ? policy->back_off_ms
                                                                          : policy->back_off_max_ms;
    int64_t pause_ms = backoff_ms((int)tries, base_ms, policy->back_off_max_ms, rng);
    if (attempt->retry_after_s > pause_ms / 1000)
        pause_ms = attempt->retry_after_s < policy->back_off_max_ms / 1000
                       ? attempt->retry_after_s * 1000
                       : policy->back_off_max_ms;
    return pause_ms;
}

static int64_t notice_next_try_ms(const struct notice_policy *policy, const struct notice *notice,
                                  const struct notice_attempt *attempt, struct rng *rng)
{
    const int64_t now_ms = attempt->at_ms + attempt->took_ms;
    const int64_t limit_at_ms = notice->created_at_ms + policy->limit_ms;
    const int64_t next_ms = now_ms + notice_pause_ms(policy, notice, attempt, rng);
    return next_ms < limit_at_ms ? next_ms : limit_at_ms;
}

struct notice_result notice_conclude(const struct notice_policy *policy,
                                     const struct notice *notice,
                                     const struct notice_attempt *attempt, struct rng *rng)
{
    ASSERT(notice->try_count > 0);
    struct notice_result result = {
        .state = NOTICE_WAITING,
        .at_ms = attempt->at_ms,
        .took_ms = attempt->took_ms,
        .status = attempt->status,
        .reason = attempt->reason,
    };
    switch (attempt->verdict) {
    case NOTICE_DELIVERED:
        result.state = NOTICE_SENT;
        return result;
    case NOTICE_REFUSED:
        result.state = NOTICE_GIVEN_UP;
        return result;
    case NOTICE_STOPPED:
        result.next_try_at_ms = attempt->at_ms;
        return result;
    case NOTICE_FAILED:
        break;
    }
    if (attempt->at_ms + attempt->took_ms - notice->created_at_ms >= policy->limit_ms)
        result.state = NOTICE_GIVEN_UP;
    else
        result.next_try_at_ms = notice_next_try_ms(policy, notice, attempt, rng);
    return result;
}

const char *notice_plain_reason(const char *text, struct arena *arena)
{
    const size_t size = strnlen(text, NOTICE_REASON_CHARS);
    char *plain = arena_copy_slice(arena, slice_of(text, size));
    for (size_t i = 0; i < size; i++) {
        if (plain[i] < ' ' || plain[i] > '~')
            plain[i] = '?';
    }
    return plain;
}
