// SPDX-License-Identifier: Apache-2.0
// Where files may go besides the hosted bucket: what this server has access to, which connections
// an organization may use, and what may be connected to.
#pragma once

#include "api/api_internal.h"

// INVALID for a recipient that is none.
NODISCARD bool api_destination_check_settings(const struct api_destination_settings *settings,
                                              struct err *err);

// 400 for a destination that is not enabled or that the caller may not use. Who names a connection
// of somebody else hears the same as who names none. Names are resolved, in a bounded time: for
// calls that are deferred.
NODISCARD bool api_check_destination(struct api_call *call, const struct report *report,
                                     struct err *err);

// A valid address; 400 for one that the operator does not let us mail to.
NODISCARD bool api_check_recipient(struct api_call *call, struct slice address, struct err *err);

// The endpoint of a connection, which may be in a private network and without TLS: 400 "Invalid
// endpoint URL", "Endpoint not allowed". One that does not resolve now is fine. For deferred calls.
NODISCARD bool api_check_operator_endpoint(struct api_call *call, const char *endpoint,
                                           struct err *err);
