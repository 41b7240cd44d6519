// SPDX-License-Identifier: Apache-2.0
// Calls of the operator: organizations, apps and access tokens of everybody.
#include "api/api_reply.h"
#include "api/api_write.h"

#define API_OPERATOR_ONLY (TENANT_ADMIN | TENANT_OPERATOR_INGEST)

static const enum tenant_permission api_permissions[] = {
    TENANT_EXPORT, TENANT_INGEST, TENANT_SENSITIVE_DATA, TENANT_ADMIN, TENANT_OPERATOR_INGEST,
};

#define API_PERMISSION_COUNT (sizeof api_permissions / sizeof api_permissions[0])

static void api_write_organization(struct json_text *json,
                                   const struct tenant_organization *organization)
{
    json_text_open(json, '{');
    json_text_member_text(json, "organization_id", organization->id);
    json_text_member_text(json, "name", organization->name);
    json_text_member_text(json, "external_id", organization->external_id);
    api_write_time(json, "created_at", organization->created_at_ms);
    json_text_close(json, '}');
}

// branch_secret: NULL when it is not to be shown.
static void api_write_app(struct json_text *json, const struct tenant_app *app,
                          const char *branch_secret)
{
    json_text_open(json, '{');
    json_text_member_text(json, "app_id", app->id);
    json_text_member_text(json, "organization_id", app->organization_id);
    json_text_member_text(json, "name", app->name);
    json_text_member_text(json, "branch_key", app->branch_key);
    if (branch_secret != NULL)
        json_text_member_text(json, "branch_secret", branch_secret);
    api_write_time(json, "created_at", app->created_at_ms);
    json_text_close(json, '}');
}

// access_token: NULL when it is not to be shown.
static void api_write_token(struct json_text *json, const struct tenant_token *token,
                            const char *access_token)
{
    json_text_open(json, '{');
    json_text_member_text(json, "key_id", token->key_id);
    if (access_token != NULL)
        json_text_member_text(json, "access_token", access_token);
    json_text_member_text(json, "organization_id", token->organization_id);
    json_text_member_text(json, "app_id", token->app_id);
    json_text_member_text(json, "name", token->name);
    json_text_member_int64(json, "user_id", token->user_id);
    json_text_key(json, "permissions");
    json_text_open(json, '[');
    for (size_t i = 0; i < API_PERMISSION_COUNT; i++) {
        if ((token->permissions & api_permissions[i]) != 0)
            json_text_string(json, slice_text(tenant_permission_name(api_permissions[i])));
    }
    json_text_close(json, ']');
    api_write_time(json, "created_at", token->created_at_ms);
    if (token->last_used_at_ms != 0)
        api_write_time(json, "last_used_at", token->last_used_at_ms);
    if (token->revoked_at_ms != 0)
        api_write_time(json, "revoked_at", token->revoked_at_ms);
    json_text_close(json, '}');
}

bool api_admin_organization_list(struct api_call *call, struct err *err)
{
    struct tenant_organization *organizations = NULL;
    size_t count = 0;
    TRY(api_call_catalog(call, err));
    TRY(tenant_list_organizations(call->catalog, call->arena, &organizations, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++)
        api_write_organization(&call->json, &organizations[i]);
    json_text_close(&call->json, ']');
    return true;
}

static bool api_name_member(struct api_call *call, const struct json_node *body,
                            const char **ret_name, struct err *err)
{
    struct slice name;
    TRY(api_call_text_member(call, body, "name", &name, err));
    *ret_name = arena_copy_slice(call->arena, name); // the tree refuses NUL
    return true;
}

bool api_admin_organization_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    const char *name = NULL;
    struct tenant_organization organization = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_name_member(call, body, &name, err));
    TRY(tenant_create_organization(call->catalog, name, call->now_ms, call->arena, &organization,
                                   err));
    api_write_organization(&call->json, &organization);
    return true;
}

// The organization of a query or body; *ret_id NULL when none is named.
static bool api_known_organization(struct api_call *call, struct slice id, const char **ret_id,
                                   struct err *err)
{
    if (slice_is_empty(id))
        return true;
    struct tenant_organization organization = {0};
    const char *wanted = arena_copy_slice(call->arena, id);
    if (tenant_get_organization(call->catalog, wanted, call->arena, &organization, err)) {
        *ret_id = organization.id;
        return true;
    }
    if (err->kind == ERR_NOT_FOUND)
        return api_refuse(call, err, 404, "Organization not found");
    return false;
}

static bool api_organization_parameter(struct api_call *call, const char **ret_id, struct err *err)
{
    struct slice id;
    TRY(api_call_query(call, "organization_id", &id, err));
    TRY(api_call_catalog(call, err));
    return api_known_organization(call, id, ret_id, err);
}

bool api_admin_app_list(struct api_call *call, struct err *err)
{
    const char *organization_id = NULL;
    struct tenant_app *apps = NULL;
    size_t count = 0;
    TRY(api_organization_parameter(call, &organization_id, err));
    TRY(tenant_list_apps(call->catalog, organization_id, call->arena, &apps, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++)
        api_write_app(&call->json, &apps[i], NULL);
    json_text_close(&call->json, ']');
    return true;
}

bool api_admin_app_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct slice wanted_id;
    const char *organization_id = NULL;
    const char *name = NULL;
    const char *branch_secret = NULL;
    struct tenant_app app = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_call_text_member(call, body, "organization_id", &wanted_id, err));
    TRY(api_name_member(call, body, &name, err));
    TRY(api_known_organization(call, wanted_id, &organization_id, err));
    TRY(tenant_create_app(call->catalog, organization_id, name, call->now_ms, call->arena, &app,
                          &branch_secret, err));
    api_write_app(&call->json, &app, branch_secret);
    return true;
}

bool api_admin_token_list(struct api_call *call, struct err *err)
{
    const char *organization_id = NULL;
    struct tenant_token *tokens = NULL;
    size_t count = 0;
    TRY(api_organization_parameter(call, &organization_id, err));
    TRY(tenant_list_tokens(call->catalog, organization_id, call->arena, &tokens, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++)
        api_write_token(&call->json, &tokens[i], NULL);
    json_text_close(&call->json, ']');
    return true;
}

static bool api_permissions_member(struct api_call *call, const struct json_node *body,
                                   unsigned *ret_permissions, struct err *err)
{
    const struct json_node *list = json_node_get(body, "permissions");
    if (json_node_kind(list) != JSON_KIND_ARRAY || json_node_count(list) == 0)
        return api_refuse(call, err, 400, "Missing required field: permissions");
    unsigned permissions = 0;
    for (size_t i = 0; i < json_node_count(list); i++) {
        const unsigned permission = tenant_permission_parse(json_node_text(json_node_at(list, i)));
        if (permission == 0)
            return api_refuse(call, err, 400, "Unknown permission");
        permissions |= permission;
    }
    *ret_permissions = permissions;
    return true;
}

struct api_token_request {
    const char *organization_id;
    const char *app_id;
    const char *name;
    unsigned permissions;
};

// Optional: absent or null is the empty text.
static bool api_id_member(struct api_call *call, const struct json_node *body, const char *name,
                          struct slice *ret_id, struct err *err)
{
    *ret_id = slice_of(NULL, 0);
    if (json_node_kind(json_node_get(body, name)) == JSON_KIND_NULL)
        return true;
    return api_call_text_member(call, body, name, ret_id, err);
}

// An operator's token and an organization's never mix: what one may, the other must not.
static bool api_check_token(struct api_call *call, const struct api_token_request *request,
                            struct err *err)
{
    const unsigned operator_part = request->permissions & API_OPERATOR_ONLY;
    if (request->organization_id != NULL && operator_part != 0)
        return api_refuse(call, err, 400,
                          "Permissions admin and operator_ingest are for tokens without "
                          "organization_id");
    if (request->organization_id == NULL && operator_part != request->permissions)
        return api_refuse(call, err, 400, "Missing required field: organization_id");
    return true;
}

static bool api_parse_token(struct api_call *call, struct api_token_request *ret_request,
                            struct err *err)
{
    const struct json_node *body = NULL;
    struct slice organization_id;
    struct slice app_id;
    struct tenant_app app = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_name_member(call, body, &ret_request->name, err));
    TRY(api_permissions_member(call, body, &ret_request->permissions, err));
    TRY(api_id_member(call, body, "organization_id", &organization_id, err));
    TRY(api_id_member(call, body, "app_id", &app_id, err));
    TRY(api_known_organization(call, organization_id, &ret_request->organization_id, err));
    TRY(api_check_token(call, ret_request, err));
    if (slice_is_empty(app_id))
        return true;
    if (ret_request->organization_id == NULL)
        return api_refuse(call, err, 400, "Missing required field: organization_id");
    ret_request->app_id = arena_copy_slice(call->arena, app_id);
    if (tenant_get_app(call->catalog, ret_request->organization_id, ret_request->app_id,
                       call->arena, &app, err))
        return true;
    return err->kind == ERR_NOT_FOUND ? api_refuse(call, err, 404, "App not found") : false;
}

bool api_admin_token_create(struct api_call *call, struct err *err)
{
    struct api_token_request request = {0};
    struct tenant_token details = {0};
    const char *access_token = NULL;
    TRY(api_parse_token(call, &request, err));
    TRY(tenant_create_token(call->catalog, request.organization_id, request.app_id, request.name,
                            request.permissions, call->now_ms, call->arena, &details, &access_token,
                            err));
    api_write_token(&call->json, &details, access_token);
    return true;
}

bool api_admin_token_revoke(struct api_call *call, struct err *err)
{
    TRY(tenant_revoke_token(call->catalog, api_call_param(call, 0), call->now_ms, err));
    json_text_open(&call->json, '{');
    json_text_member_text(&call->json, "status", "SUCCESS");
    json_text_member_text(&call->json, "description", "Token revoked");
    json_text_close(&call->json, '}');
    return true;
}
