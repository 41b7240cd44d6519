// SPDX-License-Identifier: Apache-2.0
#include "api/api_actor.h"

#include "base/check.h"

void api_actor_set(struct api_call *call)
{
    const struct tenant_identity *identity = &call->identity;
    call->actor = (struct catalog_actor){
        .key_id = identity->key_id,
        .organization_id = identity->organization_id,
        .user_id = identity->user_id,
        .peer = arena_copy_slice(call->arena, http_peer(call->request)),
        .request_id = arena_copy_slice(call->arena, http_request_id(call->request)),
        .now_ms = call->now_ms,
    };
}

void api_actor_enter(struct api_call *call)
{
    ASSERT(call->catalog != NULL);
    catalog_act_for(call->catalog, call->actor.key_id == NULL ? NULL : &call->actor);
}

void api_actor_leave(struct api_call *call)
{
    catalog_act_for(call->catalog, NULL);
}
