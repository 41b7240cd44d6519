// SPDX-License-Identifier: Apache-2.0
#include "net/backoff.h"

#include "base/check.h"

int64_t backoff_ms(int attempt, int64_t base_ms, int64_t max_ms, struct rng *rng)
{
    ASSERT(attempt >= 1);
    ASSERT(base_ms >= 0);
    ASSERT(base_ms <= max_ms);
    int64_t bound_ms = base_ms;
    for (int i = 1; i < attempt && bound_ms > 0 && bound_ms < max_ms; i++)
        bound_ms = bound_ms > max_ms / 2 ? max_ms : bound_ms * 2;
    return (int64_t)rng_below(rng, (uint64_t)bound_ms + 1);
}
