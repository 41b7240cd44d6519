// SPDX-License-Identifier: Apache-2.0
// Bodies of the operator's calls under /v1/admin.
#include "api/api_shapes.h"
#include "catalog/connections.h"
#include "catalog/tenant_tokens.h"

static const char *api_permission_at(size_t index)
{
    const unsigned permission = tenant_permission_at(index);
    return permission == 0 ? NULL : tenant_permission_name((enum tenant_permission)permission);
}

static const struct api_member api_organization_request[] = {
    {"name", "name", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_organization[] = {
    {"organization_id", "id", NULL},
    {"name", "name", NULL},
    {"external_id", "uuid", "For trust policies of cloud accounts"},
    {"subscription_limit", "count?",
     "Subscriptions per app; 0: any number; null: the server's own"},
    {"disabled", "boolean", NULL},
    {"created_at", "time", NULL},
    {"disabled_at?", "time", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_organization_change[] = {
    {"name?", "name", NULL},
    {"subscription_limit?", "count?", "At most 1,000,000; null: the server's own"},
    {"disabled?", "boolean", "Its tokens, their URLs and its events are refused meanwhile"},
    {NULL, NULL, NULL},
};

static const struct api_member api_app_request[] = {
    {"organization_id", "AnyId", NULL},
    {"name", "name", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_app[] = {
    {"app_id", "id", NULL},
    {"organization_id", "id", NULL},
    {"name", "name", NULL},
    {"branch_key", "string", NULL},
    {"branch_secret?", "string?", "Shown once, when it is made; null in a repeated reply"},
    {"created_at", "time", NULL},
    {"grace_until?", "time", "When the secret before the last rotation ends"},
    {"deleted_at?", "time", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_app_change[] = {
    {"name", "name", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_rotation[] = {
    {"grace_seconds?", "count?", "How long the old secret stays good: at most 2,592,000; a day"},
    {NULL, NULL, NULL},
};

static const struct api_member api_user_request[] = {
    {"organization_id?", "AnyId?", "None: a user of the operator's"},
    {"name", "name", NULL},
    {"email?", "string?", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_user[] = {
    {"user_id", "positive", NULL},  {"organization_id", "id?", NULL},
    {"name", "name", NULL},         {"email", "string?", NULL},
    {"disabled", "boolean", NULL},  {"created_at", "time", NULL},
    {"disabled_at?", "time", NULL}, {NULL, NULL, NULL},
};

static const struct api_member api_user_change[] = {
    {"name?", "name", NULL},
    {"email?", "string?", NULL},
    {"disabled?", "boolean", "true revokes all tokens of the user"},
    {NULL, NULL, NULL},
};

static const struct api_member api_token_request[] = {
    {"organization_id?", "AnyId?", "None: the operator's token"},
    {"app_id?", "AnyId?", "None: all apps of the organization"},
    {"user_id?", "AnyId?", "None: the token is its own user"},
    {"name", "name", NULL},
    {"permissions", "Permission[]", "At least one"},
    {"expires_at?", "date?", "None: never"},
    {NULL, NULL, NULL},
};

static const struct api_member api_token[] = {
    {"key_id", "key_id", NULL},
    {"access_token?", "string?", "Shown once, when it is made; null in a repeated reply"},
    {"organization_id", "id?", NULL},
    {"app_id", "id?", NULL},
    {"name", "name", NULL},
    {"user_id", "count", NULL},
    {"permissions", "Permission[]", NULL},
    {"created_at", "time", NULL},
    {"last_used_at?", "time", "Kept to the minute"},
    {"expires_at?", "time", "URLs that it made have an end of their own"},
    {"grace_until?", "time", "When the secret before the last rotation ends"},
    {"revoked_at?", "time", NULL},
    {NULL, NULL, NULL},
};

#define API_CONNECTION_SETTINGS                                                                    \
    {"endpoint?", "url?",                                                                          \
     "Without it the cloud's own, or the one that a subscription names where that is allowed; "    \
     "may "                                                                                        \
     "be http and in a private network"},                                                          \
        {"region?", "string?", NULL},                                                              \
        {"path_style?", "boolean?",                                                                \
         "Whether buckets stand in the path; null: they do where there is an endpoint"},           \
    {                                                                                              \
        "ca_file?", "string?", "Certificates (PEM) to trust: an absolute path of the server"       \
    }

static const struct api_member api_connection_request[] = {
    {"name", "ConnectionName", NULL},
    {"kind", "ConnectionKind", NULL},
    {"organization_id?", "AnyId?", "None: all organizations may use it"},
    API_CONNECTION_SETTINGS,
    {"access_key_id?", "string?", "Needed for s3 and gcs_hmac"},
    {"secret_access_key?", "string?", "Needed for s3 and gcs_hmac; never shown again"},
    {"service_account_key?", "any", "Needed for gcs_key: the JSON key, as object or text"},
    {NULL, NULL, NULL},
};

static const struct api_member api_connection_change[] = {
    API_CONNECTION_SETTINGS,
    {"access_key_id?", "string?", "Only with secret_access_key"},
    {"secret_access_key?", "string?", "From the next job on"},
    {"service_account_key?", "any", "Another key of the same account, from the next job on"},
    {NULL, NULL, NULL},
};

static const struct api_member api_connection[] = {
    {"name", "ConnectionName", NULL},
    {"kind", "ConnectionKind", NULL},
    {"organization_id", "id?", "null: all organizations may use it"},
    {"endpoint", "url?", NULL},
    {"region", "string?", NULL},
    {"path_style", "boolean?", NULL},
    {"ca_file", "string?", NULL},
    {"access_key_id", "string?", "Its secret is not shown"},
    {"service_account", "string?", "Of gcs_key; its key is not shown"},
    {"created_at", "time", NULL},
    {"changed_at", "time", NULL},
    {NULL, NULL, NULL},
};

static const char *api_connection_kind_at(size_t index)
{
    return index <= CONNECTION_GCS_KEY ? connection_kind_name((enum connection_kind)index) : NULL;
}

static const struct api_member api_audit_entry[] = {
    {"id", "positive", "Ascends with time"},
    {"at", "time", NULL},
    {"action", "string", "token.create, app.delete, subscription.edit, ..."},
    {"object_id", "string", "What was changed"},
    {"organization_id", "id?", "Whose it is; null: the operator's"},
    {"details", "AuditDetails?", NULL},
    {"key_id", "string", "The token that asked for it, or the branch key"},
    {"user_id", "count", "Whose token it is"},
    {"peer", "string", "Address that the request came from"},
    {"request_id", "string", "X-Request-Id of the request"},
    {NULL, NULL, NULL},
};

const struct api_shape api_shapes_admin[] = {
    {.name = "Permission", .doc = "What a token may", .value_at = api_permission_at},
    {.name = "OrganizationRequest", .doc = "A customer", .members = api_organization_request},
    {.name = "Organization", .doc = "A customer", .members = api_organization},
    {.name = "OrganizationChange",
     .doc = "What is to be different",
     .members = api_organization_change},
    {.name = "AppRequest", .doc = "An app of a customer", .members = api_app_request},
    {.name = "App", .doc = "An app of a customer", .members = api_app},
    {.name = "AppChange", .doc = "What is to be different", .members = api_app_change},
    {.name = "Rotation", .doc = "How a secret is replaced", .members = api_rotation},
    {.name = "UserRequest", .doc = "A person or program", .members = api_user_request},
    {.name = "User", .doc = "A person or program", .members = api_user},
    {.name = "UserChange", .doc = "What is to be different", .members = api_user_change},
    {.name = "TokenRequest", .doc = "Who may do what", .members = api_token_request},
    {.name = "Token", .doc = "An access token", .members = api_token},
    {.name = "ConnectionRequest",
     .doc = "Access to a store of objects",
     .members = api_connection_request},
    {.name = "Connection", .doc = "Access to a store of objects", .members = api_connection},
    {.name = "ConnectionChange",
     .doc = "What is to be different",
     .members = api_connection_change},
    {.name = "ConnectionKind",
     .doc = "s3: S3-compatible; gcs_hmac: Google Cloud Storage with an HMAC key; gcs_key: with the "
            "JSON key of a service account",
     .value_at = api_connection_kind_at},
    {.name = "ConnectionName",
     .doc = "What subscriptions name as resource_access_id",
     .schema = "{\"type\":\"string\",\"pattern\":\"^[a-z0-9][a-z0-9-]{0,62}$\"}"},
    {.name = "AuditEntry", .doc = "A change that somebody asked for", .members = api_audit_entry},
    {.name = "AuditDetails",
     .doc = "What became of it; never a secret",
     .schema = "{\"type\":\"object\"}"},
    {.name = "AnyId",
     .doc = "An id, as a string or a number",
     .schema = "{\"type\":[\"string\",\"integer\"]}"},
    {.name = NULL},
};
