// SPDX-License-Identifier: Apache-2.0
// Bodies of the operator's calls under /v1/admin.
#include "api/api_shapes.h"
#include "catalog/tenants.h"

static const char *api_permission_at(size_t index)
{
    const unsigned last = TENANT_OPERATOR_INGEST;
    const unsigned permission = index < 8 ? 1U << index : 0;
    if (permission == 0 || permission > last)
        return NULL;
    return tenant_permission_name((enum tenant_permission)permission);
}

static const struct api_member api_organization_request[] = {
    {"name", "name", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_organization[] = {
    {"organization_id", "id", NULL},
    {"name", "name", NULL},
    {"external_id", "uuid", "For trust policies of cloud accounts"},
    {"created_at", "time", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_app_request[] = {
    {"organization_id", "string", NULL},
    {"name", "name", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_app[] = {
    {"app_id", "id", NULL},
    {"organization_id", "id", NULL},
    {"name", "name", NULL},
    {"branch_key", "string", NULL},
    {"branch_secret?", "string?", "Shown once, when it is made"},
    {"created_at", "time", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_token_request[] = {
    {"organization_id?", "string?", "None: the operator's token"},
    {"app_id?", "string?", "None: all apps of the organization"},
    {"name", "name", NULL},
    {"permissions", "Permission[]", "At least one"},
    {NULL, NULL, NULL},
};

static const struct api_member api_token[] = {
    {"key_id", "key_id", NULL},
    {"access_token?", "string?", "Shown once, when it is made"},
    {"organization_id", "id?", NULL},
    {"app_id", "id?", NULL},
    {"name", "name", NULL},
    {"user_id", "count", NULL},
    {"permissions", "Permission[]", NULL},
    {"created_at", "time", NULL},
    {"last_used_at?", "time", "Kept to the minute"},
    {"revoked_at?", "time", NULL},
    {NULL, NULL, NULL},
};

const struct api_shape api_shapes_admin[] = {
    {.name = "Permission", .doc = "What a token may", .value_at = api_permission_at},
    {.name = "OrganizationRequest", .doc = "A customer", .members = api_organization_request},
    {.name = "Organization", .doc = "A customer", .members = api_organization},
    {.name = "AppRequest", .doc = "An app of a customer", .members = api_app_request},
    {.name = "App", .doc = "An app of a customer", .members = api_app},
    {.name = "TokenRequest", .doc = "Who may do what", .members = api_token_request},
    {.name = "Token", .doc = "An access token", .members = api_token},
    {.name = NULL},
};
