// SPDX-License-Identifier: Apache-2.0
#include "api/api_auth.h"

#include <inttypes.h>
#include <strings.h>

#include "api/api_actor.h"
#include "api/api_media.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "base/hash.h"

#define API_KNOWN_TOKEN_MS INT64_C(1000)

static struct slice api_bearer(struct slice authorization)
{
    static const char scheme[] = "Bearer ";
    const size_t size = sizeof scheme - 1;
    if (authorization.size_bytes < size || strncasecmp(authorization.data, scheme, size) != 0)
        return slice_of(NULL, 0);
    return api_trimmed(slice_from(authorization, size));
}

bool api_credentials_token(const struct api_credentials *credentials, struct slice *ret_token,
                           struct err *err)
{
    if (credentials->access_token_count > 1)
        return err_set(err, ERR_INVALID, "Duplicate header: access-token");
    if (credentials->authorization_count > 1)
        return err_set(err, ERR_INVALID, "Duplicate header: authorization");
    const struct slice access = api_trimmed(credentials->access_token);
    const struct slice bearer = api_bearer(api_trimmed(credentials->authorization));
    if (!slice_is_empty(access) && !slice_is_empty(bearer) && !slice_equal(access, bearer))
        return err_set(err, ERR_INVALID, "Ambiguous credentials");
    *ret_token = slice_is_empty(access) ? bearer : access;
    return true;
}

static enum api_access api_access_of(const struct api_call *call)
{
    return call->match.route->access;
}

static bool api_refuse_token(struct api_call *call, struct err *err)
{
    switch (api_access_of(call)) {
    case API_ACCESS_BRANCH:
        return api_refuse(call, err, 400, API_TEXT_AUTHENTICATION);
    case API_ACCESS_SUBSCRIBE: // 0: the number of nobody
        return api_refuse(call, err, 401, "Auth Client didn't return anything for the user id: 0.");
    case API_ACCESS_NATIVE:
    case API_ACCESS_ADMIN:
    case API_ACCESS_INGEST:
    case API_ACCESS_PUBLIC:
    case API_ACCESS_SIGNED:
        break;
    }
    return api_refuse(call, err, 401, API_TEXT_AUTHENTICATION);
}

static bool api_refuse_permission(struct api_call *call, struct err *err)
{
    switch (api_access_of(call)) {
    case API_ACCESS_BRANCH:
        return api_refuse(call, err, 400, API_TEXT_AUTHENTICATION);
    case API_ACCESS_SUBSCRIBE:
        return api_refuse(call, err, 404, "Not authorized for the user id: %" PRId64 ".",
                          call->identity.user_id);
    case API_ACCESS_NATIVE:
    case API_ACCESS_ADMIN:
    case API_ACCESS_INGEST:
    case API_ACCESS_PUBLIC:
    case API_ACCESS_SIGNED:
        break;
    }
    const unsigned wanted = call->match.route->permissions;
    const unsigned lowest = wanted & (~wanted + 1);
    return api_refuse(call, err, 403, "Token lacks permission: %s",
                      tenant_permission_name((enum tenant_permission)lowest));
}

// An app or organization that is not the caller's, or is none.
static bool api_refuse_scope(struct api_call *call, struct err *err)
{
    if (api_access_of(call) == API_ACCESS_INGEST)
        return api_refuse(call, err, 404, "App not found");
    if (api_access_of(call) == API_ACCESS_NATIVE)
        return api_refuse(call, err, 404, "Not found");
    return api_refuse_permission(call, err);
}

// What is kept of a verified token, found by the token's hash.
struct api_known_token {
    char key_id[TENANT_KEY_ID_CHARS + 1];
    char organization_id[24]; // empty: NULL
    char app_id[24];
    int64_t user_id;
    int64_t verified_at_ms;
    int64_t valid_until_ms;
    unsigned permissions;
};

static const char *api_known_text(const struct api_call *call, const char *text)
{
    return text[0] == '\0' ? NULL : arena_copy_text(call->arena, text);
}

// Asks again after a while even when nothing changes, so that the catalog sees that the token is
// used.
static bool api_recall_identity(struct api_call *call, struct slice key)
{
    struct slice value;
    struct api_known_token known;
    if (!api_memo_find(call->handle.memo, key, &value))
        return false;
    ASSERT(value.size_bytes == sizeof known);
    memcpy(&known, value.data, sizeof known);
    const int64_t age_ms = call->now_ms - known.verified_at_ms;
    if (age_ms < 0 || age_ms > API_KNOWN_TOKEN_MS || call->now_ms >= known.valid_until_ms)
        return false;
    call->identity = (struct tenant_identity){
        .key_id = api_known_text(call, known.key_id),
        .organization_id = api_known_text(call, known.organization_id),
        .app_id = api_known_text(call, known.app_id),
        .user_id = known.user_id,
        .permissions = known.permissions,
        .valid_until_ms = known.valid_until_ms,
    };
    return true;
}

static void api_copy_known(const char *text, char *ret_text, size_t room)
{
    const struct slice from = slice_text(text);
    ASSERT(from.size_bytes < room);
    if (!slice_is_empty(from))
        memcpy(ret_text, from.data, from.size_bytes);
}

static void api_keep_identity(struct api_call *call, struct slice key)
{
    const struct tenant_identity *identity = &call->identity;
    struct api_known_token known = {
        .user_id = identity->user_id,
        .verified_at_ms = call->now_ms,
        .valid_until_ms = identity->valid_until_ms,
        .permissions = identity->permissions,
    };
    api_copy_known(identity->key_id, known.key_id, sizeof known.key_id);
    api_copy_known(identity->organization_id, known.organization_id, sizeof known.organization_id);
    api_copy_known(identity->app_id, known.app_id, sizeof known.app_id);
    api_memo_add(call->handle.memo, key, slice_of(&known, sizeof known));
}

bool api_call_token(struct api_call *call, struct slice *ret_token, struct err *err)
{
    struct api_credentials credentials = {0};
    credentials.access_token = http_header(call->request, "Access-Token",
                                           &credentials.access_token_count);
    credentials.authorization = http_header(call->request, "Authorization",
                                            &credentials.authorization_count);
    if (api_credentials_token(&credentials, ret_token, err))
        return true;
    call->refusal_status = 400;
    return false;
}

static bool api_verify(struct api_call *call, struct err *err)
{
    struct slice token;
    TRY(api_call_token(call, &token, err));
    if (slice_is_empty(token))
        return api_refuse_token(call, err);
    TRY(api_call_catalog(call, err));
    uint8_t digest[SHA256_BYTES];
    sha256_of(token, digest);
    const struct slice key = slice_of(digest, sizeof digest);
    if (api_recall_identity(call, key))
        return true;
    if (!tenant_verify(call->catalog, token, call->now_ms, call->arena, &call->identity, err))
        return err->kind == ERR_DENIED ? api_refuse_token(call, err) : false;
    api_keep_identity(call, key);
    return true;
}

static bool api_find_app(struct api_call *call, const char *wanted, struct err *err)
{
    const char *organization_id = call->identity.organization_id;
    const struct slice key =
        slice_text(arena_format(call->arena, "app\n%s\n%s", organization_id, wanted));
    struct slice value;
    struct tenant_app app;
    if (api_memo_find(call->handle.memo, key, &value))
        return true;
    if (!tenant_get_app(call->catalog, organization_id, wanted, call->arena, &app, err))
        return err->kind == ERR_NOT_FOUND ? api_refuse_scope(call, err) : false;
    ASSERT(strcmp(app.id, wanted) == 0);
    api_memo_add(call->handle.memo, key, slice_of(NULL, 0));
    return true;
}

// Looks the app up also when the token is bound to another one, so that time tells nothing.
static bool api_scope_app(struct api_call *call, struct slice app_id, struct err *err)
{
    const struct tenant_identity *identity = &call->identity;
    const char *wanted = arena_copy_slice(call->arena, app_id);
    TRY(api_find_app(call, wanted, err));
    if (identity->app_id != NULL && strcmp(identity->app_id, wanted) != 0)
        return api_refuse_scope(call, err);
    call->app_id = wanted;
    return true;
}

bool api_scope_to(struct api_call *call, struct slice app_id, struct slice organization_id,
                  struct err *err)
{
    if (slice_is_empty(app_id) && slice_is_empty(organization_id))
        return api_refuse(call, err, 400, "Missing required parameter: app_id");
    if (call->identity.organization_id == NULL)
        return api_refuse_scope(call, err);
    if (!slice_is_empty(organization_id) &&
        !slice_equal_text(organization_id, call->identity.organization_id))
        return api_refuse_scope(call, err);
    call->is_scoped = true;
    if (!slice_is_empty(app_id))
        return api_scope_app(call, app_id, err);
    call->app_id = call->identity.app_id;
    return true;
}

bool api_scope_to_body(struct api_call *call, const struct json_node *body, struct err *err)
{
    if (call->is_scoped)
        return true;
    struct slice app_id;
    struct slice organization_id;
    TRY(api_call_id_member(call, body, "app_id", &app_id, err));
    TRY(api_call_id_member(call, body, "organization_id", &organization_id, err));
    return api_scope_to(call, app_id, organization_id, err);
}

static bool api_scope_branch(struct api_call *call, struct err *err)
{
    struct slice app_id;
    struct slice organization_id;
    TRY(api_call_query(call, "app_id", &app_id, err));
    TRY(api_call_query(call, "organization_id", &organization_id, err));
    const bool is_unsaid = slice_is_empty(app_id) && slice_is_empty(organization_id);
    const bool may_follow = api_access_of(call) == API_ACCESS_SUBSCRIBE ||
                            (call->match.route->traits & API_SCOPED_BY_BODY) != 0;
    if (is_unsaid && may_follow) { // the body may say it
        call->app_id = call->identity.app_id;
        return true;
    }
    return api_scope_to(call, app_id, organization_id, err);
}

// Here either may be missing; but an id that was meant and is empty must not widen the scope.
static bool api_scope_parameter(struct api_call *call, const char *name, struct slice *ret_id,
                                struct err *err)
{
    size_t count = 0;
    (void)http_query(call->request, name, &count);
    TRY(api_call_query(call, name, ret_id, err));
    if (count > 0 && slice_is_empty(*ret_id))
        return api_refuse(call, err, 400, "Invalid parameter: %s", name);
    return true;
}

static bool api_scope_native(struct api_call *call, struct err *err)
{
    if (call->identity.organization_id == NULL)
        return api_refuse_permission(call, err);
    struct slice app_id;
    struct slice organization_id;
    TRY(api_scope_parameter(call, "app_id", &app_id, err));
    TRY(api_scope_parameter(call, "organization_id", &organization_id, err));
    if (!slice_is_empty(organization_id) &&
        !slice_equal_text(organization_id, call->identity.organization_id))
        return api_refuse_scope(call, err);
    if (!slice_is_empty(app_id))
        return api_scope_app(call, app_id, err);
    call->app_id = call->identity.app_id;
    return true;
}

// Operators may name any app, or none when each line does.
static bool api_scope_ingest(struct api_call *call, struct err *err)
{
    struct slice app_id;
    TRY(api_call_query(call, "app_id", &app_id, err));
    if (call->identity.organization_id != NULL) {
        if (!api_may(call, TENANT_INGEST))
            return api_refuse_permission(call, err);
        if (slice_is_empty(app_id))
            return api_refuse(call, err, 400, "Missing required parameter: app_id");
        return api_scope_app(call, app_id, err);
    }
    if (!api_may(call, TENANT_OPERATOR_INGEST))
        return api_refuse_permission(call, err);
    if (slice_is_empty(app_id))
        return true;
    const char *wanted = arena_copy_slice(call->arena, app_id);
    struct tenant_app app;
    if (!tenant_get_any_app(call->catalog, wanted, call->arena, &app, err))
        return err->kind == ERR_NOT_FOUND ? api_refuse_scope(call, err) : false;
    call->identity.organization_id = app.organization_id;
    call->app_id = app.id;
    return true;
}

static bool api_scope(struct api_call *call, struct err *err)
{
    switch (api_access_of(call)) {
    case API_ACCESS_BRANCH:
    case API_ACCESS_SUBSCRIBE:
        return api_scope_branch(call, err);
    case API_ACCESS_NATIVE:
        return api_scope_native(call, err);
    case API_ACCESS_INGEST:
        return api_scope_ingest(call, err);
    case API_ACCESS_ADMIN: // an organization's token is no operator's, whatever it was given
        return call->identity.organization_id == NULL || api_refuse_permission(call, err);
    case API_ACCESS_PUBLIC:
    case API_ACCESS_SIGNED:
        break;
    }
    return true;
}

bool api_authenticate(struct api_call *call, struct err *err)
{
    const struct api_route *route = call->match.route;
    ASSERT(route != NULL);
    if (route->access == API_ACCESS_PUBLIC || route->access == API_ACCESS_SIGNED)
        return true;
    TRY(api_verify(call, err));
    if (!api_may(call, route->permissions))
        return api_refuse_permission(call, err);
    TRY(api_scope(call, err));
    api_actor_set(call);
    return true;
}
