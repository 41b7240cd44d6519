// SPDX-License-Identifier: Apache-2.0
// Every call of the server. Literal segments stand before parameters in the same place, since the
// first row that fits wins.
#include "api/api_internal.h"
#include "base/check.h"

#define EXPORT  TENANT_EXPORT
#define ANY_USE (TENANT_EXPORT | TENANT_INGEST)
#define SCOPE   "app_id organization_id"

const struct api_route api_routes[] = {
    // --- Branch surface
    {"POST", "/scheduled-exports/logs/subscribe", api_subscribe, API_ACCESS_SUBSCRIBE,
     API_MODE_DEFERRED, EXPORT, SCOPE, "report! destination!",
     "Creates a subscription and starts its sample export"},
    {"GET", "/scheduled-exports/logs/subscriptions", api_subscription_list, API_ACCESS_BRANCH,
     API_MODE_INLINE, EXPORT, SCOPE, NULL, "Lists the subscriptions of an app or organization"},
    {"GET", "/scheduled-exports/logs/subscription/externalId", api_subscription_external_id,
     API_ACCESS_BRANCH, API_MODE_INLINE, EXPORT, SCOPE, NULL,
     "The organization's external id, for trust policies of cloud accounts"},
    {"GET", "/scheduled-exports/logs/subscription/{subscription_id}", api_subscription_get,
     API_ACCESS_BRANCH, API_MODE_INLINE, EXPORT, SCOPE, NULL, "One subscription and its status"},
    {"DELETE", "/scheduled-exports/logs/subscription/{subscription_id}", api_subscription_delete,
     API_ACCESS_BRANCH, API_MODE_DEFERRED, EXPORT, SCOPE, NULL, "Deactivates a subscription"},
    {"GET", "/scheduled-exports/logs/subscription/{subscription_id}/jobs", api_job_list,
     API_ACCESS_BRANCH, API_MODE_INLINE, EXPORT, SCOPE " limit", NULL,
     "Export jobs of a subscription, newest first; the same as POST"},
    {"POST", "/scheduled-exports/logs/subscription/{subscription_id}/jobs", api_job_list,
     API_ACCESS_BRANCH, API_MODE_INLINE, EXPORT, SCOPE " limit", NULL,
     "Export jobs of a subscription, newest first, with signed URLs of their files"},
    {"GET", "/scheduled-exports/logs/subscription/{subscription_id}/job/{job_id}", api_job_get,
     API_ACCESS_BRANCH, API_MODE_INLINE, EXPORT, SCOPE, NULL, "One export job"},

    // --- Hosted bucket
    {"HEAD", "/exports/*", NULL, API_ACCESS_SIGNED, API_MODE_BUCKET, 0,
     "X-Amz-Algorithm! X-Amz-Date! X-Amz-SignedHeaders! X-Amz-Expires! X-Amz-Credential! "
     "X-Amz-Signature!",
     NULL, "Size and hash of a file, by its signed URL"},
    {"GET", "/exports/*", NULL, API_ACCESS_SIGNED, API_MODE_BUCKET, 0,
     "X-Amz-Algorithm! X-Amz-Date! X-Amz-SignedHeaders! X-Amz-Expires! X-Amz-Credential! "
     "X-Amz-Signature!",
     NULL, "A file of an export job, by its signed URL"},

    // --- Native calls
    {"POST", "/v1/events/{topic}", NULL, API_ACCESS_INGEST, API_MODE_STREAMED,
     TENANT_INGEST | TENANT_OPERATOR_INGEST, "app_id mode", NULL,
     "Takes events, one JSON object per line; durable when it answers"},
    {"GET", "/v1/topics", api_topic_list, API_ACCESS_NATIVE, API_MODE_INLINE, ANY_USE, "", NULL,
     "Topics of the organization, built-in ones included"},
    {"POST", "/v1/topics", api_topic_declare, API_ACCESS_NATIVE, API_MODE_DEFERRED, TENANT_INGEST,
     "", "name! fields!", "Declares a topic, or more fields of it"},
    {"GET", "/v1/topics/{topic}", api_topic_get, API_ACCESS_NATIVE, API_MODE_INLINE, ANY_USE, "",
     NULL, "A topic and its fields"},
    {"GET", "/v1/subscriptions", api_subscription_list, API_ACCESS_NATIVE, API_MODE_INLINE, EXPORT,
     "app_id", NULL, "Lists subscriptions"},
    {"GET", "/v1/subscriptions/{subscription_id}", api_subscription_get, API_ACCESS_NATIVE,
     API_MODE_INLINE, EXPORT, "app_id", NULL, "One subscription"},
    {"POST", "/v1/subscriptions/{subscription_id}/backfill", api_subscription_backfill,
     API_ACCESS_NATIVE, API_MODE_DEFERRED, EXPORT, "app_id", "start_date! end_date!",
     "Makes jobs for past windows; may be repeated"},
    {"GET", "/v1/subscriptions/{subscription_id}/windows", api_ledger_windows, API_ACCESS_NATIVE,
     API_MODE_DEFERRED, EXPORT, "app_id start_date end_date", NULL,
     "Every window of the subscription and its state; at most 10,000"},
    {"GET", "/v1/subscriptions/{subscription_id}/gaps", api_ledger_gaps, API_ACCESS_NATIVE,
     API_MODE_DEFERRED, EXPORT, "app_id start_date end_date", NULL,
     "Closed windows that have not succeeded; at most 10,000"},
    {"GET", "/v1/jobs/{job_id}", api_native_job_get, API_ACCESS_NATIVE, API_MODE_INLINE, EXPORT,
     "app_id", NULL, "One export job"},
    {"GET", "/v1/jobs/{job_id}/manifest", api_native_job_manifest, API_ACCESS_NATIVE,
     API_MODE_INLINE, EXPORT, "app_id", NULL, "Files of a job with rows, bytes and hashes"},
    {"POST", "/v1/jobs/{job_id}/retry", api_native_job_retry, API_ACCESS_NATIVE, API_MODE_DEFERRED,
     EXPORT, "app_id", NULL, "Makes the next revision of a failed job"},

    // --- Operators
    {"GET", "/v1/admin/organizations", api_admin_organization_list, API_ACCESS_ADMIN,
     API_MODE_INLINE, TENANT_ADMIN, "", NULL, "Lists organizations"},
    {"POST", "/v1/admin/organizations", api_admin_organization_create, API_ACCESS_ADMIN,
     API_MODE_DEFERRED, TENANT_ADMIN, "", "name!", "Creates an organization"},
    {"GET", "/v1/admin/apps", api_admin_app_list, API_ACCESS_ADMIN, API_MODE_INLINE, TENANT_ADMIN,
     "organization_id", NULL, "Lists apps"},
    {"POST", "/v1/admin/apps", api_admin_app_create, API_ACCESS_ADMIN, API_MODE_DEFERRED,
     TENANT_ADMIN, "", "organization_id! name!", "Creates an app; its secret is shown once"},
    {"GET", "/v1/admin/tokens", api_admin_token_list, API_ACCESS_ADMIN, API_MODE_INLINE,
     TENANT_ADMIN, "organization_id", NULL, "Lists access tokens, without their secrets"},
    {"POST", "/v1/admin/tokens", api_admin_token_create, API_ACCESS_ADMIN, API_MODE_DEFERRED,
     TENANT_ADMIN, "", "organization_id app_id name! permissions!",
     "Creates an access token, which is shown once"},
    {"DELETE", "/v1/admin/tokens/{key_id}", api_admin_token_revoke, API_ACCESS_ADMIN,
     API_MODE_DEFERRED, TENANT_ADMIN, "", NULL, "Revokes an access token and the URLs it made"},
    {"GET", "/healthz", api_healthz, API_ACCESS_PUBLIC, API_MODE_INLINE, 0, "", NULL,
     "Whether the process serves"},
    {"GET", "/readyz", api_readyz, API_ACCESS_PUBLIC, API_MODE_INLINE, 0, "", NULL,
     "Whether the catalog and the log can be used"},
    {"GET", "/metrics", api_metrics, API_ACCESS_PUBLIC, API_MODE_INLINE, 0, "", NULL,
     "Counters in OpenMetrics text"},
    {"GET", "/openapi.json", api_openapi, API_ACCESS_PUBLIC, API_MODE_INLINE, 0, "", NULL,
     "This description"},
};

const size_t api_route_count = ARRAY_COUNT(api_routes);
