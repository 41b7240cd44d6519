// SPDX-License-Identifier: Apache-2.0
#include "api/api_idempotency.h"

#include "api/api_reply.h"
#include "base/check.h"
#include "base/hash.h"

#define API_KEY_CHARS_MAX ((size_t)128)

bool api_idempotency_key(struct api_call *call, struct slice *ret_key, struct err *err)
{
    size_t count = 0;
    const struct slice key = http_header(call->request, "Idempotency-Key", &count);
    if (count > 1)
        return api_refuse(call, err, 400, "Duplicate header: idempotency-key");
    const char *bytes = slice_chars(key);
    bool is_plain = key.size_bytes <= API_KEY_CHARS_MAX;
    for (size_t i = 0; i < key.size_bytes && is_plain; i++)
        is_plain = bytes[i] >= ' ' && bytes[i] < 127;
    if (!is_plain || (count == 1 && slice_is_empty(key)))
        return api_refuse(call, err, 400, "Invalid Idempotency-Key");
    *ret_key = key;
    return true;
}

// The app in the query is part of the request as much as the body is.
static const char *api_request_hash(const struct api_call *call)
{
    uint8_t digest[SHA256_BYTES];
    char *text = arena_alloc(call->arena, SHA256_HEX_CHARS + 1);
    struct sha256 *hash = sha256_new();
    sha256_update(hash, slice_text(call->app_id == NULL ? "" : call->app_id));
    sha256_update(hash, slice_text("\n"));
    sha256_update(hash, buf_slice(&call->body));
    sha256_finish(hash, digest);
    sha256_free(&hash);
    hex_encode(slice_of(digest, sizeof digest), text);
    return text;
}

// Sets the scope in call->actor when the request has a key.
static bool api_take_key(struct api_call *call, struct err *err)
{
    struct slice key = {0};
    TRY(api_idempotency_key(call, &key, err));
    if (slice_is_empty(key))
        return true;
    const char *organization_id = call->identity.organization_id;
    call->actor.idempotency_scope = arena_format(
        call->arena, "api\n%s\n%s\n%.*s", organization_id == NULL ? "operator" : organization_id,
        call->match.route->pattern, (int)key.size_bytes, slice_chars(key));
    call->actor.body_sha256 = api_request_hash(call);
    return true;
}

// Stages the reply when the key has made its thing already.
static bool api_replay(struct api_call *call, bool *ret_is_replayed, struct err *err)
{
    struct audit_creation creation = {0};
    *ret_is_replayed = false;
    if (!audit_find_creation(call->catalog, call->actor.idempotency_scope, call->now_ms,
                             call->arena, &creation, err))
        return err->kind == ERR_NOT_FOUND;
    if (strcmp(creation.body_sha256, call->actor.body_sha256) != 0)
        return api_refuse(call, err, 409, "Idempotency-Key reused with a different request");
    TRY(call->match.route->replay(call, creation.object_id, err));
    http_add_header(call->request, "Idempotency-Replayed", "true");
    *ret_is_replayed = true;
    return true;
}

bool api_create_once(struct api_call *call, struct err *err)
{
    const struct api_route *route = call->match.route;
    ASSERT(route->replay != NULL);
    TRY(api_take_key(call, err));
    if (call->actor.idempotency_scope == NULL)
        return route->handler(call, err);
    bool is_replayed;
    TRY(api_replay(call, &is_replayed, err));
    if (is_replayed || route->handler(call, err))
        return true;
    // Another request with the key may have made the thing since we looked: then that is why this
    // one could not.
    const struct err failure = *err;
    const int refusal_status = call->refusal_status;
    call->refusal_status = 0;
    buf_reset(&call->reply);
    json_text_init(&call->json, &call->reply);
    TRY(api_replay(call, &is_replayed, err));
    if (is_replayed)
        return true;
    call->refusal_status = refusal_status;
    *err = failure;
    return false;
}
