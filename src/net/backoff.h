// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt. Pure.
#pragma once

#include <stdint.h>

#include "base/rng.h"

// After `attempt` failed attempts (1 or more): evenly from 0 to base_ms * 2^(attempt - 1), at most
// max_ms. The whole range is drawn from ("full jitter"), so that clients that failed together do
// not come again together. 0 <= base_ms <= max_ms.
int64_t backoff_ms(int attempt, int64_t base_ms, int64_t max_ms, struct rng *rng);
