// SPDX-License-Identifier: Apache-2.0
// What calls about subscriptions share.
#pragma once

#include "api/api_internal.h"

// As clients see it: an ACTIVE one that is paused is "PAUSED".
const char *api_subscription_status(const struct subscription *subscription);

// The subscription that the path names. NOT_FOUND.
NODISCARD bool api_find_subscription(struct api_call *call, struct subscription *ret_subscription,
                                     struct err *err);

// Stages the documented body; on native calls with more, and with its ETag.
void api_stage_subscription(struct api_call *call, const struct subscription *subscription);

// 412 when the request has If-Match without the subscription's tag. *ret_is_conditional: it has
// If-Match.
NODISCARD bool api_check_subscription_match(struct api_call *call,
                                            const struct subscription *subscription,
                                            bool *ret_is_conditional, struct err *err);
