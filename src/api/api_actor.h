// SPDX-License-Identifier: Apache-2.0
// On whose behalf a call changes the catalog: what the audit log says of its changes.
#pragma once

#include "api/api_internal.h"

// Fills call->actor from the caller's identity: after authentication.
void api_actor_set(struct api_call *call);

// What call->catalog changes from here on is the actor's, until api_actor_leave. A call without a
// caller (public pages) acts for nobody.
void api_actor_enter(struct api_call *call);
void api_actor_leave(struct api_call *call);
