// SPDX-License-Identifier: Apache-2.0
// Calls of the operator: access tokens of everybody.
#include <inttypes.h>

#include "api/api_admin_members.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/civil.h"
#include "base/mem.h"

static void api_write_permissions(struct json_text *json, unsigned permissions)
{
    json_text_key(json, "permissions");
    json_text_open(json, '[');
    unsigned permission;
    for (size_t i = 0; (permission = tenant_permission_at(i)) != 0; i++) {
        if ((permissions & permission) != 0)
            json_text_string(
                json, slice_text(tenant_permission_name((enum tenant_permission)permission)));
    }
    json_text_close(json, ']');
}

// *access_token is shown, as null when there is none; access_token NULL: it is not spoken of.
static void api_write_token(const struct api_call *call, struct json_text *json,
                            const struct tenant_token *token, const char *const *access_token)
{
    json_text_open(json, '{');
    json_text_member_text(json, "key_id", token->key_id);
    if (access_token != NULL)
        json_text_member_text(json, "access_token", *access_token);
    json_text_member_text(json, "organization_id", token->organization_id);
    json_text_member_text(json, "app_id", token->app_id);
    json_text_member_text(json, "name", token->name);
    json_text_member_int64(json, "user_id", token->user_id);
    api_write_permissions(json, token->permissions);
    api_write_time(json, "created_at", token->created_at_ms);
    if (token->last_used_at_ms != 0)
        api_write_time(json, "last_used_at", token->last_used_at_ms);
    if (token->expires_at_ms != 0)
        api_write_time(json, "expires_at", token->expires_at_ms);
    if (token->previous_until_ms > call->now_ms)
        api_write_time(json, "grace_until", token->previous_until_ms);
    if (token->revoked_at_ms != 0)
        api_write_time(json, "revoked_at", token->revoked_at_ms);
    json_text_close(json, '}');
}

// Tokens that are made together are in the order of their users.
static struct api_place api_place_of_token(const struct api_call *call,
                                           const struct tenant_token *token)
{
    return (struct api_place){token->created_at_ms, arena_format(call->arena, "%019" PRId64 " %s",
                                                                 token->user_id, token->key_id)};
}

bool api_admin_token_list(struct api_call *call, struct err *err)
{
    const char *organization_id = NULL;
    struct tenant_token *tokens = NULL;
    size_t count = 0;
    struct api_page page;
    TRY(api_admin_organization_query(call, &organization_id, err));
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(tenant_list_tokens(call->catalog, organization_id, call->arena, &tokens, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count && !api_page_is_over(&page); i++) {
        if (api_page_takes(&page, api_place_of_token(call, &tokens[i])))
            api_write_token(call, &call->json, &tokens[i], NULL);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_admin_token_replay(struct api_call *call, const char *id, struct err *err)
{
    struct tenant_token token;
    const char *access_token = NULL; // it was shown once
    TRY(tenant_get_token(call->catalog, id, call->arena, &token, err));
    api_write_token(call, &call->json, &token, &access_token);
    return true;
}

bool api_admin_token_get(struct api_call *call, struct err *err)
{
    struct tenant_token token;
    TRY(api_call_catalog(call, err));
    TRY(tenant_get_token(call->catalog, api_call_param(call, 0), call->arena, &token, err));
    api_write_token(call, &call->json, &token, NULL);
    return true;
}

// Names all that are unknown at once.
static bool api_refuse_permissions(struct api_call *call, const struct json_node *list,
                                   struct err *err)
{
    struct buf names CLEANUP(buf_clear);
    buf_init(&names, sizeof err->message);
    for (size_t i = 0; i < json_node_count(list); i++) {
        const struct slice name = json_node_text(json_node_at(list, i));
        if (tenant_permission_parse(name) != 0)
            continue;
        buf_append_text(&names, names.size_bytes == 0 ? "" : ", ");
        buf_append(&names, name);
    }
    return api_refuse(call, err, 400, "Unknown permission: %s", buf_text(&names));
}

static bool api_take_permissions(struct api_call *call, const struct json_node *body,
                                 unsigned *ret_permissions, struct err *err)
{
    const struct json_node *list = json_node_get(body, "permissions");
    const enum json_kind kind = json_node_kind(list);
    if (kind != JSON_KIND_NULL && kind != JSON_KIND_ARRAY)
        return api_refuse(call, err, 400, "Invalid type: array expected");
    if (json_node_count(list) == 0)
        return api_refuse(call, err, 400, "Missing required field: permissions");
    unsigned permissions = 0;
    bool is_known = true;
    for (size_t i = 0; i < json_node_count(list); i++) {
        const struct json_node *item = json_node_at(list, i);
        if (json_node_kind(item) != JSON_KIND_TEXT)
            return api_refuse(call, err, 400, "Invalid type: string expected");
        const unsigned permission = tenant_permission_parse(json_node_text(item));
        is_known = is_known && permission != 0;
        permissions |= permission;
    }
    if (!is_known)
        return api_refuse_permissions(call, list, err);
    *ret_permissions = permissions;
    return true;
}

// An operator's token and an organization's never mix: what one may, the other must not.
static bool api_check_permissions(struct api_call *call, const struct tenant_token_request *request,
                                  struct err *err)
{
    const unsigned operator_part = request->permissions & TENANT_OPERATOR_PERMISSIONS;
    if (request->organization_id != NULL && operator_part != 0)
        return api_refuse(call, err, 400,
                          "Permissions admin and operator_ingest are for tokens without "
                          "organization_id");
    if (request->organization_id == NULL &&
        (operator_part != request->permissions || request->app_id != NULL))
        return api_refuse(call, err, 400, "Missing required field: organization_id");
    return true;
}

static bool api_check_app(struct api_call *call, const struct tenant_token_request *request,
                          struct err *err)
{
    struct tenant_app app;
    if (request->app_id == NULL || tenant_get_app(call->catalog, request->organization_id,
                                                  request->app_id, call->arena, &app, err))
        return true;
    return err->kind == ERR_NOT_FOUND ? api_refuse(call, err, 404, "App not found") : false;
}

static bool api_take_user(struct api_call *call, const struct json_node *body, int64_t *ret_id,
                          struct err *err)
{
    const char *text = NULL;
    TRY(api_admin_id(call, body, "user_id", &text, err));
    if (text == NULL)
        return true;
    const int64_t id = api_admin_user_id(text);
    if (id == 0)
        return api_refuse(call, err, 404, "User not found");
    *ret_id = id;
    return true;
}

static bool api_take_expiry(struct api_call *call, const struct json_node *body,
                            int64_t *ret_expires_at_ms, struct err *err)
{
    bool is_given = false;
    const char *text = NULL;
    int64_t expires_at_ms = 0;
    TRY(api_admin_nullable_text(call, body, "expires_at", &is_given, &text, err));
    if (text == NULL)
        return true;
    if (!civil_parse(slice_text(text), &expires_at_ms))
        return api_refuse(call, err, 400, "Invalid date");
    if (expires_at_ms <= call->now_ms)
        return api_refuse(call, err, 400, "Invalid date: expires_at is over");
    *ret_expires_at_ms = expires_at_ms;
    return true;
}

static bool api_take_token_request(struct api_call *call, struct tenant_token_request *request,
                                   struct err *err)
{
    const struct json_node *body = NULL;
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_text(call, body, "name", &request->name, err));
    TRY(api_take_permissions(call, body, &request->permissions, err));
    TRY(api_admin_id(call, body, "organization_id", &request->organization_id, err));
    TRY(api_admin_id(call, body, "app_id", &request->app_id, err));
    TRY(api_take_user(call, body, &request->user_id, err));
    TRY(api_take_expiry(call, body, &request->expires_at_ms, err));
    TRY(api_admin_check_organization(call, request->organization_id, err));
    TRY(api_check_permissions(call, request, err));
    return api_check_app(call, request, err);
}

bool api_admin_token_create(struct api_call *call, struct err *err)
{
    struct tenant_token_request request = {0};
    struct tenant_token details = {0};
    const char *access_token = NULL;
    TRY(api_take_token_request(call, &request, err));
    if (!tenant_create_token(call->catalog, &request, call->now_ms, call->arena, &details,
                             &access_token, err))
        return err->kind == ERR_NOT_FOUND ? api_refuse(call, err, 404, "User not found") : false;
    api_write_token(call, &call->json, &details, &access_token);
    return true;
}

bool api_admin_token_rotate(struct api_call *call, struct err *err)
{
    int64_t grace_ms = 0;
    struct tenant_token details = {0};
    const char *access_token = NULL;
    TRY(api_admin_grace(call, &grace_ms, err));
    TRY(tenant_rotate_token(call->catalog, api_call_param(call, 0), grace_ms, call->now_ms,
                            call->arena, &details, &access_token, err));
    api_write_token(call, &call->json, &details, &access_token);
    return true;
}

bool api_admin_token_revoke(struct api_call *call, struct err *err)
{
    TRY(tenant_revoke_token(call->catalog, api_call_param(call, 0), call->now_ms, err));
    api_write_success(call, "Token revoked");
    return true;
}
