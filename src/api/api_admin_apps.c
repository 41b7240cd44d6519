// SPDX-License-Identifier: Apache-2.0
// Calls of the operator: apps of everybody.
#include "api/api_admin_members.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_write.h"

// *branch_secret is shown, as null when there is none; branch_secret NULL: it is not spoken of.
static void api_write_app(const struct api_call *call, struct json_text *json,
                          const struct tenant_app *app, const char *const *branch_secret)
{
    json_text_open(json, '{');
    json_text_member_text(json, "app_id", app->id);
    json_text_member_text(json, "organization_id", app->organization_id);
    json_text_member_text(json, "name", app->name);
    json_text_member_text(json, "branch_key", app->branch_key);
    if (branch_secret != NULL)
        json_text_member_text(json, "branch_secret", *branch_secret);
    api_write_time(json, "created_at", app->created_at_ms);
    if (app->previous_until_ms > call->now_ms)
        api_write_time(json, "grace_until", app->previous_until_ms);
    if (app->deleted_at_ms != 0)
        api_write_time(json, "deleted_at", app->deleted_at_ms);
    json_text_close(json, '}');
}

bool api_admin_app_list(struct api_call *call, struct err *err)
{
    const char *organization_id = NULL;
    struct tenant_app *apps = NULL;
    size_t count = 0;
    struct api_page page;
    TRY(api_admin_organization_query(call, &organization_id, err));
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(tenant_list_apps(call->catalog, organization_id, call->arena, &apps, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count && !api_page_is_over(&page); i++) {
        if (api_page_takes(&page, (struct api_place){apps[i].created_at_ms, apps[i].id}))
            api_write_app(call, &call->json, &apps[i], NULL);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_admin_app_replay(struct api_call *call, const char *id, struct err *err)
{
    struct tenant_app app;
    const char *branch_secret = NULL; // it was shown once
    TRY(tenant_find_app(call->catalog, id, call->arena, &app, err));
    api_write_app(call, &call->json, &app, &branch_secret);
    return true;
}

bool api_admin_app_get(struct api_call *call, struct err *err)
{
    struct tenant_app app;
    TRY(api_call_catalog(call, err));
    TRY(tenant_find_app(call->catalog, api_call_param(call, 0), call->arena, &app, err));
    api_write_app(call, &call->json, &app, NULL);
    return true;
}

bool api_admin_app_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    const char *organization_id = NULL;
    const char *name = NULL;
    const char *branch_secret = NULL;
    struct tenant_app app = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_id(call, body, "organization_id", &organization_id, err));
    if (organization_id == NULL)
        return api_refuse(call, err, 400, "Missing required field: organization_id");
    TRY(api_admin_text(call, body, "name", &name, err));
    TRY(api_admin_check_organization(call, organization_id, err));
    TRY(tenant_create_app(call->catalog, organization_id, name, call->now_ms, call->arena, &app,
                          &branch_secret, err));
    api_write_app(call, &call->json, &app, &branch_secret);
    return true;
}

bool api_admin_app_update(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    const char *name = NULL;
    struct tenant_app app = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_text(call, body, "name", &name, err));
    TRY(tenant_rename_app(call->catalog, api_call_param(call, 0), name, call->arena, &app, err));
    api_write_app(call, &call->json, &app, NULL);
    return true;
}

bool api_admin_app_delete(struct api_call *call, struct err *err)
{
    TRY(tenant_delete_app(call->catalog, api_call_param(call, 0), call->now_ms, err));
    api_write_success(call, "App deleted");
    api_call_changed(call);
    return true;
}

bool api_admin_app_rotate(struct api_call *call, struct err *err)
{
    int64_t grace_ms = 0;
    const char *branch_secret = NULL;
    struct tenant_app app = {0};
    TRY(api_admin_grace(call, &grace_ms, err));
    TRY(tenant_rotate_branch_secret(call->catalog, api_call_param(call, 0), grace_ms, call->now_ms,
                                    call->arena, &app, &branch_secret, err));
    api_write_app(call, &call->json, &app, &branch_secret);
    return true;
}
