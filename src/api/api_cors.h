// SPDX-License-Identifier: Apache-2.0
// Cross-origin requests of browsers: off unless api.cors_origins names who may. Tokens come in
// headers that scripts set themselves, so credentials of browsers are never allowed.
#pragma once

#include "api/api_internal.h"

// "*", or scheme://host[:port] as browsers send it.
NODISCARD bool api_cors_check(const struct api_settings *settings, struct err *err);

// Adds what the origin of the request is allowed to every reply that may follow. From head.
void api_cors_begin(struct api_call *call);

// Adds the answer to a preflight, for a path that takes these methods. From an origin that is not
// allowed, and from what is no preflight: nothing.
void api_cors_preflight(struct api_call *call, const char *methods);
