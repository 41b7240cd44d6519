// SPDX-License-Identifier: Apache-2.0
// Rate limits of calls: which buckets a call takes from, and the refusal of one that comes too
// soon.
#pragma once

#include "api/api_internal.h"

// Whether any limit is configured.
bool api_budget_is_limited(const struct api_settings *settings);

// Takes the call's share, once for a call. After authentication. 429 with Retry-After.
NODISCARD bool api_take_budget(struct api_call *call, struct err *err);
