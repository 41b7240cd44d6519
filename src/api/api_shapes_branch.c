// SPDX-License-Identifier: Apache-2.0
// Bodies of the Branch surface. Enumerations are asked of the functions that name their values.
#include "api/api_shapes.h"
#include "base/check.h"
#include "catalog/jobs.h"
#include "catalog/subscriptions.h"
#include "model/report.h"
#include "model/schema.h"

// --- Enumerations

static const char *api_cadence_at(size_t index)
{
    return index <= CADENCE_DAILY ? cadence_name((enum cadence)index) : NULL;
}

static const char *api_format_at(size_t index)
{
    return index <= REPORT_PARQUET ? report_format_name((enum report_format)index) : NULL;
}

static const char *api_compression_at(size_t index)
{
    return index <= REPORT_UNCOMPRESSED ? report_compression_name((enum report_compression)index)
                                        : NULL;
}

static const char *api_destination_at(size_t index)
{
    return index <= REPORT_EMAIL ? report_destination_name((enum report_destination)index) : NULL;
}

static const char *api_job_state_at(size_t index)
{
    return index <= JOB_FAILED ? job_state_name((enum job_state)index) : NULL;
}

static const char *api_subscription_status_at(size_t index)
{
    if (index <= SUBSCRIPTION_INACTIVE)
        return subscription_status_name((enum subscription_status)index);
    return index == SUBSCRIPTION_INACTIVE + 1 ? "PAUSED" : NULL;
}

static const char *api_cloud_at(size_t index)
{
    static const char *const names[] = {"s3", "gcs"};
    return index < ARRAY_COUNT(names) ? names[index] : NULL;
}

// --- Objects

static const struct api_member api_report_request[] = {
    {"report_type", "ReportType", "The topic; a list of one name is taken as well"},
    {"report_fields", "text[]", "Columns in their order, or \"all\" alone"},
    {"cadence?", "Cadence?", "hourly by default"},
    {"response_format?", "ReportFormat?", "csv by default"},
    {"response_format_compression?", "ReportCompression?", "gz by default"},
    {"filter?", "Filter", "Which rows; absent, null or [] for all"},
    {NULL, NULL, NULL},
};

static const struct api_member api_subscribe_request[] = {
    {"report", "ReportRequest", NULL},
    {"destination", "Destination", NULL},
    {"app_id?", "AppId", "Of subscribe: where the query names neither app nor organization"},
    {"organization_id?", "AppId", "The same"},
    {NULL, NULL, NULL},
};

static const struct api_member api_destination[] = {
    {"subscription_type", "DestinationType", "branch: the hosted bucket"},
    {"cloud?", "Cloud", "Of type cloud"},
    {"bucket?", "string", "Of type cloud"},
    {"prefix?", "string", "Of type cloud: what keys begin with"},
    {"resource_access_id?", "string",
     "Of type cloud: role (S3), service account (GCS) or the name of a connection"},
    {"endpoint?", "string?",
     "Of type cloud: https URL of a store, beside a connection that has none, where allowed"},
    {"kms_key_arn?", "string?", "Of type cloud, S3: the key that objects are encrypted with"},
    {"recipient_emails?", "string[]", "Of type email"},
    {"attachment?", "boolean?", "Of type email: the files themselves as well, when they are small"},
    {NULL, NULL, NULL},
};

static const struct api_member api_subscribed[] = {
    {"subscription_id", "uuid", NULL},
    {"status", "SubscriptionStatus", NULL},
    {"description", "string", NULL},
    {"subscription_url", "url", "Where the subscription can be asked for"},
    {NULL, NULL, NULL},
};

static const struct api_member api_report[] = {
    {"cadence", "Cadence", NULL},
    {"response_format", "ReportFormat", NULL},
    {"response_format_compression", "ReportCompression", NULL},
    {"report_type", "TopicName", NULL},
    {"report_fields", "string[]", NULL},
    {"filter", "Filter", "As it was given; [] for none"},
    {"subscription_status", "SubscriptionStatus", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_subscription[] = {
    {"subscription_id", "uuid", NULL},
    {"status", "SubscriptionStatus", "The same as in report"},
    {"reason?", "string", "Why it is FAILED"},
    {"report", "Report", NULL},
    {"destination", "Destination", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_external_id[] = {
    {"external_id", "uuid", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_job[] = {
    {"job_id", "uuid", NULL},
    {"status", "JobStatus", NULL},
    {"start_date", "time", "Start of the window"},
    {"end_date", "time", "Start of the next window"},
    {"export_url", "url[]",
     "Signed URLs of the files; empty before SUCCEEDED and after expires_at"},
    {"sha256", "sha256[]", "Of the files, in the order of export_url"},
    {"lines_exported", "count", "0 before SUCCEEDED"},
    {"revision", "count", "0, and one more for each job with rows that came late"},
    {"expires_at?", "time", "When the files go"},
    {"reason?", "string", "Of FAILED, or of the last failed try"},
    {NULL, NULL, NULL},
};

const struct api_shape api_shapes_branch[] = {
    {.name = "Cadence", .doc = "Length of a window", .value_at = api_cadence_at},
    {.name = "ReportFormat", .doc = "Format of the files", .value_at = api_format_at},
    {.name = "ReportCompression", .doc = "Of the files", .value_at = api_compression_at},
    {.name = "DestinationType", .doc = "Kind of destination", .value_at = api_destination_at},
    {.name = "Cloud", .doc = "Whose object storage", .value_at = api_cloud_at},
    {.name = "JobStatus", .doc = "State of an export job", .value_at = api_job_state_at},
    {.name = "SubscriptionStatus",
     .doc = "State of a subscription",
     .value_at = api_subscription_status_at},
    {.name = "TopicName",
     .doc = "A topic: one that is built in, or one of the organization",
     .value_at = schema_builtin_name,
     .is_open = true},
    {.name = "ReportType",
     .doc = "A topic, or a list of one",
     .schema = "{\"anyOf\":[{\"$ref\":\"#/components/schemas/TopicName\"},"
               "{\"type\":\"array\",\"minItems\":1,\"maxItems\":1,"
               "\"items\":{\"$ref\":\"#/components/schemas/TopicName\"}}]}"},
    {.name = "Filter",
     .doc = "Prefix notation: [\"operator\", operand...]; a list of such lists is an \"and\"; a "
            "text that holds the JSON is taken as well",
     .schema = "{\"type\":[\"array\",\"string\",\"null\"],\"items\":{},"
               "\"examples\":[[\"and\",[\"eq\",\"name\",\"PURCHASE\"],"
               "[\"not\",[\"in\",\"user_data_os\",[\"IOS\",\"ANDROID\"]]]]]}"},
    {.name = "SubscribeRequest",
     .doc = "What to export, and where to",
     .members = api_subscribe_request},
    {.name = "ReportRequest", .doc = "What to export", .members = api_report_request},
    {.name = "Destination", .doc = "Where files go", .members = api_destination},
    {.name = "Subscribed", .doc = "The subscription was made", .members = api_subscribed},
    {.name = "Report", .doc = "What is exported", .members = api_report},
    {.name = "Subscription", .doc = "A subscription", .members = api_subscription},
    {.name = "ExternalId", .doc = "For trust policies", .members = api_external_id},
    {.name = "Job", .doc = "An export job of a window", .members = api_job},
    {.name = NULL},
};
