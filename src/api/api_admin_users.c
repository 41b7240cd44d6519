// SPDX-License-Identifier: Apache-2.0
// Calls of the operator: users of everybody.
#include "api/api_admin_members.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_write.h"

static void api_write_user(struct json_text *json, const struct tenant_user *user)
{
    json_text_open(json, '{');
    json_text_member_int64(json, "user_id", user->id);
    json_text_member_text(json, "organization_id", user->organization_id);
    json_text_member_text(json, "name", user->name);
    json_text_member_text(json, "email", user->email);
    json_text_member_bool(json, "disabled", user->disabled_at_ms != 0);
    api_write_time(json, "created_at", user->created_at_ms);
    if (user->disabled_at_ms != 0)
        api_write_time(json, "disabled_at", user->disabled_at_ms);
    json_text_close(json, '}');
}

bool api_admin_user_list(struct api_call *call, struct err *err)
{
    const char *organization_id = NULL;
    struct tenant_user *users = NULL;
    size_t count = 0;
    struct api_page page;
    TRY(api_admin_organization_query(call, &organization_id, err));
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(tenant_list_users(call->catalog, organization_id, call->arena, &users, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count && !api_page_is_over(&page); i++) {
        if (api_page_takes(&page, (struct api_place){users[i].id, NULL}))
            api_write_user(&call->json, &users[i]);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_admin_user_replay(struct api_call *call, const char *id, struct err *err)
{
    struct tenant_user user;
    TRY(tenant_get_user(call->catalog, api_admin_user_id(id), call->arena, &user, err));
    api_write_user(&call->json, &user);
    return true;
}

bool api_admin_user_get(struct api_call *call, struct err *err)
{
    TRY(api_call_catalog(call, err));
    return api_admin_user_replay(call, api_call_param(call, 0), err);
}

bool api_admin_user_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    bool has_email = false;
    struct tenant_user_request request = {0};
    struct tenant_user user = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_id(call, body, "organization_id", &request.organization_id, err));
    TRY(api_admin_text(call, body, "name", &request.name, err));
    TRY(api_admin_nullable_text(call, body, "email", &has_email, &request.email, err));
    TRY(api_admin_check_organization(call, request.organization_id, err));
    TRY(tenant_create_user(call->catalog, &request, call->now_ms, call->arena, &user, err));
    api_write_user(&call->json, &user);
    return true;
}

bool api_admin_user_update(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct tenant_user_change change = {0};
    struct tenant_user user = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_changed_text(call, body, "name", &change.name, err));
    TRY(api_admin_nullable_text(call, body, "email", &change.has_email, &change.email, err));
    TRY(api_admin_bool(call, body, "disabled", &change.has_disabled, &change.is_disabled, err));
    TRY(tenant_update_user(call->catalog, api_admin_user_id(api_call_param(call, 0)), &change,
                           call->now_ms, call->arena, &user, err));
    api_write_user(&call->json, &user);
    return true;
}
