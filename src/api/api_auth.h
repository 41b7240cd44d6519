// SPDX-License-Identifier: Apache-2.0
// Who calls, and what of the tenants' things the call may see. What is foreign and what does not
// exist get the same answer, byte for byte.
// Upholds INV-16 (docs/invariants.md).
#pragma once

#include "api/api_internal.h"

// Header fields as received; counts say how many there were.
struct api_credentials {
    struct slice access_token;
    size_t access_token_count;
    struct slice authorization;
    size_t authorization_count;
};

// The token of a request: Access-Token, or Authorization: Bearer. Empty when there is none (other
// schemes are not ours). INVALID: "Duplicate header: access-token", "Ambiguous credentials".
NODISCARD bool api_credentials_token(const struct api_credentials *credentials,
                                     struct slice *ret_token, struct err *err);

// The same of a call.
NODISCARD bool api_call_token(struct api_call *call, struct slice *ret_token, struct err *err);

// Sets call->identity and call->app_id by the rules of the route's access.
NODISCARD bool api_authenticate(struct api_call *call, struct err *err);

// The same for what a body names, where the query may leave it out (call->is_scoped is false).
// "Missing required parameter: app_id" when both are empty.
NODISCARD bool api_scope_to(struct api_call *call, struct slice app_id,
                            struct slice organization_id, struct err *err);

// For calls whose body may say it where the query does not: app_id and organization_id of the body,
// as texts or integers. Nothing happens when the query has said it.
NODISCARD bool api_scope_to_body(struct api_call *call, const struct json_node *body,
                                 struct err *err);

static inline bool api_may(const struct api_call *call, unsigned permissions)
{
    return (call->identity.permissions & permissions) != 0;
}
