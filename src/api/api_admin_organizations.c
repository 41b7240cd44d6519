// SPDX-License-Identifier: Apache-2.0
// Calls of the operator: organizations.
#include "api/api_admin_members.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_write.h"

static void api_write_organization(struct json_text *json,
                                   const struct tenant_organization *organization)
{
    json_text_open(json, '{');
    json_text_member_text(json, "organization_id", organization->id);
    json_text_member_text(json, "name", organization->name);
    json_text_member_text(json, "external_id", organization->external_id);
    json_text_key(json, "subscription_limit");
    if (organization->subscription_limit == TENANT_LIMIT_OF_SERVER)
        json_text_null(json);
    else
        json_text_int64(json, organization->subscription_limit);
    json_text_member_bool(json, "disabled", organization->disabled_at_ms != 0);
    api_write_time(json, "created_at", organization->created_at_ms);
    if (organization->disabled_at_ms != 0)
        api_write_time(json, "disabled_at", organization->disabled_at_ms);
    json_text_close(json, '}');
}

bool api_admin_organization_list(struct api_call *call, struct err *err)
{
    struct tenant_organization *organizations = NULL;
    size_t count = 0;
    struct api_page page;
    TRY(api_call_catalog(call, err));
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(tenant_list_organizations(call->catalog, call->arena, &organizations, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count && !api_page_is_over(&page); i++) {
        const struct tenant_organization *organization = &organizations[i];
        if (api_page_takes(&page,
                           (struct api_place){organization->created_at_ms, organization->id}))
            api_write_organization(&call->json, organization);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_admin_organization_replay(struct api_call *call, const char *id, struct err *err)
{
    struct tenant_organization organization;
    TRY(tenant_get_organization(call->catalog, id, call->arena, &organization, err));
    api_write_organization(&call->json, &organization);
    return true;
}

bool api_admin_organization_get(struct api_call *call, struct err *err)
{
    TRY(api_call_catalog(call, err));
    return api_admin_organization_replay(call, api_call_param(call, 0), err);
}

bool api_admin_organization_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    const char *name = NULL;
    struct tenant_organization organization = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_text(call, body, "name", &name, err));
    TRY(tenant_create_organization(call->catalog, name, call->now_ms, call->arena, &organization,
                                   err));
    api_write_organization(&call->json, &organization);
    return true;
}

bool api_admin_organization_update(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct tenant_organization_change change = {.subscription_limit = TENANT_LIMIT_OF_SERVER};
    struct tenant_organization organization = {0};
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_changed_text(call, body, "name", &change.name, err));
    TRY(api_admin_integer(call, body, "subscription_limit", TENANT_SUBSCRIPTION_LIMIT_MAX,
                          &change.has_subscription_limit, &change.subscription_limit, err));
    // Null is the server's own limit.
    change.has_subscription_limit = json_node_get(body, "subscription_limit") != NULL;
    TRY(api_admin_bool(call, body, "disabled", &change.has_disabled, &change.is_disabled, err));
    TRY(tenant_update_organization(call->catalog, api_call_param(call, 0), &change, call->now_ms,
                                   call->arena, &organization, err));
    api_write_organization(&call->json, &organization);
    return true;
}
