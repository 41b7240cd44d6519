// SPDX-License-Identifier: Apache-2.0
// Where customers want us to connect to, judged when they say so. Who connects later judges the
// address once more (net/address_guard.h): names change.
#pragma once

#include "api/api_internal.h"
#include "net/endpoint.h"

// Opens what api_check_endpoint goes by. INVALID for a network that is none.
NODISCARD bool api_endpoint_open(struct api *api, struct err *err);
void api_endpoint_close(struct api *api);

// DENIED "Endpoint not allowed" for our own addresses: the hosts of base URLs on whatever port, and
// the port that we listen at.
NODISCARD bool api_check_not_own(const struct api_call *call, const struct endpoint *endpoint,
                                 struct err *err);

// As endpoint_resolve, for a bounded time, and 503 while too many others are looked up. For writer
// threads.
NODISCARD bool api_resolve_endpoint(struct api_call *call, const struct endpoint *endpoint,
                                    const struct address_guard *guard, struct err *err);

// After a judgement that failed; false. What may not be is a fault of the request, not of who makes
// it, so DENIED becomes 400.
bool api_refuse_endpoint(struct api_call *call, const struct err *err);

// 400 "Invalid endpoint URL", "Endpoint not allowed" (also our own addresses), "Endpoint must use
// https" (but for addresses, not names, in the networks that the operator allows), "Endpoint cannot
// be resolved"; 503 while too many others are looked up. May wait for names, so on writer threads
// alone.
NODISCARD bool api_check_endpoint(struct api_call *call, struct slice url, struct err *err);
