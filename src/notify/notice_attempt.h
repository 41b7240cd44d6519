// SPDX-License-Identifier: Apache-2.0
// What came of one attempt to send a notice, and what follows from it. Pure.
#pragma once

#include "base/arena.h"
#include "base/rng.h"
#include "catalog/notices.h"

enum notice_verdict {
    NOTICE_DELIVERED,
    NOTICE_FAILED,  // may pass
    NOTICE_REFUSED, // will not: the receiver says so
    NOTICE_STOPPED, // we were told to end: no attempt at all
};

struct notice_attempt {
    enum notice_verdict verdict;
    int status;            // of HTTP or SMTP; 0: none
    int64_t retry_after_s; // that the receiver asked for; 0: nothing
    const char *reason;    // for the customer; NULL: none
    int64_t at_ms;         // when it began
    int64_t took_ms;
};

struct notice_policy {
    int64_t back_off_ms;
    int64_t back_off_max_ms;
    int64_t limit_ms; // from the making of the notice
};

// Pauses grow with the tries and are drawn at random; one that the receiver asks for is kept, up to
// the longest. The last try is at the limit.
struct notice_result notice_conclude(const struct notice_policy *policy,
                                     const struct notice *notice,
                                     const struct notice_attempt *attempt, struct rng *rng);

// A reason as a customer may see it: printable ASCII of bounded length.
const char *notice_plain_reason(const char *text, struct arena *arena);
