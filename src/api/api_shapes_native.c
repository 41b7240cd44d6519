// SPDX-License-Identifier: Apache-2.0
// Bodies of the native calls under /v1.
#include "api/api_shapes.h"
#include "base/check.h"
#include "catalog/deliveries.h"
#include "model/field.h"

static const char *api_field_type_at(size_t index)
{
    return index < FIELD_TYPE_COUNT ? field_type_name((enum field_type)index) : NULL;
}

static const char *api_field_origin_at(size_t index)
{
    static const char *const names[] = {"system", "built-in", "declared", "learned"};
    return index < ARRAY_COUNT(names) ? names[index] : NULL;
}

static const char *api_window_state_at(size_t index)
{
    static const char *const names[] = {"OPEN",   "PENDING", "RUNNING", "SUCCEEDED",
                                        "FAILED", "MISSING", "PAUSED"};
    return index < ARRAY_COUNT(names) ? names[index] : NULL;
}

// --- The hosted bucket

static const struct api_member api_s3_credentials_members[] = {
    {"endpoint", "url", "The server itself, in path style"},
    {"bucket", "string", NULL},
    {"region", "string", NULL},
    {"access_key_id", "string", "The token's key id"},
    {"secret_access_key", "string", "Of the token that was sent: rotation changes it"},
    {NULL, NULL, NULL},
};

// --- Events and topics

static const struct api_member api_ingested[] = {
    {"accepted", "count", "Events that are stored now"},
    {"rejected?", "RejectedLine[]", "Of mode=partial: lines that were left out"},
    {NULL, NULL, NULL},
};

static const struct api_member api_rejected_line[] = {
    {"line", "positive", "From 1"},
    {"message", "string", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_field_request[] = {
    {"name", "text", NULL},
    {"type", "FieldType", NULL},
    {"sensitive?", "boolean?", "Exporting it needs the permission sensitive_data"},
    {NULL, NULL, NULL},
};

static const struct api_member api_topic_request[] = {
    {"name", "text", NULL},
    {"fields", "FieldRequest[]", "At most 2,000"},
    {NULL, NULL, NULL},
};

static const struct api_member api_field[] = {
    {"name", "string", NULL},        {"type", "FieldType", NULL}, {"sensitive", "boolean", NULL},
    {"origin", "FieldOrigin", NULL}, {NULL, NULL, NULL},
};

static const struct api_member api_topic[] = {
    {"name", "TopicName", NULL},
    {"schema_id", "count", "Each change of the schema has the next one"},
    {"fields", "Field[]", "In the order of \"all\""},
    {NULL, NULL, NULL},
};

static const struct api_member api_topic_line[] = {
    {"name", "TopicName", NULL},   {"schema_id", "count", NULL}, {"field_count", "count", NULL},
    {"built_in", "boolean", NULL}, {NULL, NULL, NULL},
};

// --- Subscriptions and jobs

static const struct api_member api_native_subscription[] = {
    {"app_id", "id?", "null: all apps of the organization"},
    {"organization_id", "id", NULL},
    {"version", "positive", "The latest; report and destination are its own"},
    {"paused", "boolean", NULL},
    {"created_at", "time", NULL},
    {"deactivated_at?", "time", NULL},
    {"probe?", "Probe", "Of a bucket of the customer"},
    {NULL, NULL, NULL},
};

static const struct api_member api_probe[] = {
    {"probed_at?", "time", "When it was last tried whether the bucket can be written to"},
    {"failure", "string?", "Why it cannot; null: it can, as far as is known"},
    {NULL, NULL, NULL},
};

static const struct api_member api_report_edit[] = {
    {"report_type?", "ReportType", NULL},
    {"report_fields?", "text[]", NULL},
    {"cadence?", "Cadence?", "Another one acts at the next midnight of UTC"},
    {"response_format?", "ReportFormat?", NULL},
    {"response_format_compression?", "ReportCompression?", NULL},
    {"filter?", "Filter", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_destination_edit[] = {
    {"subscription_type?", "DestinationType", NULL},
    {"cloud?", "Cloud", NULL},
    {"bucket?", "string", NULL},
    {"prefix?", "string?", NULL},
    {"resource_access_id?", "string", NULL},
    {"endpoint?", "string?", NULL},
    {"kms_key_arn?", "string?", NULL},
    {"recipient_emails?", "string[]", NULL},
    {"attachment?", "boolean?", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_subscription_edit_request[] = {
    {"report?", "ReportEdit?", "Members to change; null brings a default back"},
    {"destination?", "DestinationEdit?", "Members to change"},
    {"paused?", "boolean?", "true: pause, false: resume"},
    {NULL, NULL, NULL},
};

static const struct api_member api_plain_report[] = {
    {"cadence", "Cadence", NULL},
    {"response_format", "ReportFormat", NULL},
    {"response_format_compression", "ReportCompression", NULL},
    {"report_type", "TopicName", NULL},
    {"report_fields", "string[]", NULL},
    {"filter", "Filter", "[] for none"},
    {NULL, NULL, NULL},
};

static const struct api_member api_subscription_version[] = {
    {"version", "positive", "Numbers of versions that never acted are left out"},
    {"from", "time?", "For windows that start then or later; null: the first"},
    {"created_at", "time", NULL},
    {"report", "PlainReport", NULL},
    {"destination", "Destination", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_backfill_request[] = {
    {"start_date", "date", "On a window's edge"},
    {"end_date", "date", "On a window's edge; not included"},
    {NULL, NULL, NULL},
};

static const struct api_member api_backfilled[] = {
    {"windows", "count", "In the range"},
    {"created", "count", "Those that had no job yet"},
    {NULL, NULL, NULL},
};

static const struct api_member api_window_job[] = {
    {"job_id", "uuid", NULL},          {"revision", "count", NULL}, {"status", "JobStatus", NULL},
    {"lines_exported", "count", NULL}, {"reason", "string?", NULL}, {NULL, NULL, NULL},
};

static const struct api_member api_window[] = {
    {"start_date", "time", NULL},
    {"end_date", "time", NULL},
    {"state", "WindowState", NULL},
    {"jobs", "WindowJob[]", "Oldest revision first"},
    {NULL, NULL, NULL},
};

static const struct api_member api_native_job[] = {
    {"subscription_id", "uuid", NULL},
    {"app_id", "id?", "null: of all apps"},
    {"created_at", "time", NULL},
    {"finished_at?", "time", NULL},
    {"recipients?", "Recipient[]", "Of a job that goes by mail, those who were tried"},
    {NULL, NULL, NULL},
};

static const char *api_recipient_status_at(size_t index)
{
    return index <= JOB_RECIPIENT_REFUSED
               ? job_recipient_state_name((enum job_recipient_state)index)
               : NULL;
}

static const struct api_member api_recipient[] = {
    {"email", "string", NULL},
    {"status", "RecipientStatus", "pending: to be tried again"},
    {"reason?", "string", "What the mail server said"},
    {NULL, NULL, NULL},
};

static const struct api_member api_manifest_range[] = {
    {"seq_lo", "count", "Not included"},
    {"seq_hi", "count", "Included"},
    {NULL, NULL, NULL},
};

static const struct api_member api_manifest_file[] = {
    {"key", "string", "In the bucket"},
    {"rows", "count", NULL},
    {"bytes", "count", "Of the file as it is downloaded"},
    {"sha256", "sha256", "Of the file as it is downloaded"},
    {NULL, NULL, NULL},
};

static const struct api_member api_manifest_zone[] = {
    {"name", "string", NULL},
    {"tz_database", "string", "Its version, or unknown"},
    {NULL, NULL, NULL},
};

static const struct api_member api_manifest[] = {
    {"job_id", "uuid", NULL},
    {"subscription_id", "uuid", NULL},
    {"subscription_version", "positive", NULL},
    {"topic", "TopicName", NULL},
    {"start_date", "time", NULL},
    {"end_date", "time", NULL},
    {"timezone?", "ManifestZone", "In which the dates of a custom export were read"},
    {"revision", "count", NULL},
    {"range", "ManifestRange", NULL},
    {"schema_id", "count", NULL},
    {"encoder", "string", "Names everything that shapes bytes"},
    {"rows", "count", NULL},
    {"bytes", "count", NULL},
    {"files", "ManifestFile[]", NULL},
    {NULL, NULL, NULL},
};

const struct api_shape api_shapes_native[] = {
    {.name = "FieldType", .doc = "Type of a field", .value_at = api_field_type_at},
    {.name = "FieldOrigin", .doc = "Where a field is from", .value_at = api_field_origin_at},
    {.name = "WindowState", .doc = "What became of a window", .value_at = api_window_state_at},
    {.name = "Ingested", .doc = "The batch is durable", .members = api_ingested},
    {.name = "RejectedLine", .doc = "A line that was left out", .members = api_rejected_line},
    {.name = "FieldRequest", .doc = "A field to declare", .members = api_field_request},
    {.name = "TopicRequest", .doc = "A topic to declare", .members = api_topic_request},
    {.name = "Field", .doc = "A field of a topic", .members = api_field},
    {.name = "S3Credentials", .doc = "For clients of S3", .members = api_s3_credentials_members},
    {.name = "Topic", .doc = "A topic and its fields", .members = api_topic},
    {.name = "TopicLine", .doc = "A topic in a list", .members = api_topic_line},
    {.name = "NativeSubscription",
     .doc = "A subscription with what Branch's calls leave out",
     .base = "Subscription",
     .members = api_native_subscription},
    {.name = "ReportEdit", .doc = "Members of a report", .members = api_report_edit},
    {.name = "DestinationEdit", .doc = "Members of a destination", .members = api_destination_edit},
    {.name = "SubscriptionEdit",
     .doc = "What to change; one of its members is needed",
     .members = api_subscription_edit_request},
    {.name = "PlainReport", .doc = "A report of a version", .members = api_plain_report},
    {.name = "SubscriptionVersion",
     .doc = "A report and the windows it is for",
     .members = api_subscription_version},
    {.name = "BackfillRequest", .doc = "A range of windows", .members = api_backfill_request},
    {.name = "Backfilled", .doc = "Windows that have jobs now", .members = api_backfilled},
    {.name = "WindowJob", .doc = "A revision of a window", .members = api_window_job},
    {.name = "Window", .doc = "A window and its jobs", .members = api_window},
    {.name = "NativeJob",
     .doc = "A job with what Branch's calls leave out",
     .base = "Job",
     .members = api_native_job},
    {.name = "Recipient", .doc = "One who gets mail", .members = api_recipient},
    {.name = "RecipientStatus", .doc = "What came of a mail", .value_at = api_recipient_status_at},
    {.name = "Probe", .doc = "Whether a bucket can be written to", .members = api_probe},
    {.name = "ManifestRange", .doc = "Ingest numbers", .members = api_manifest_range},
    {.name = "ManifestFile", .doc = "A file that was delivered", .members = api_manifest_file},
    {.name = "ManifestZone", .doc = "A time zone", .members = api_manifest_zone},
    {.name = "Manifest", .doc = "What a job delivered", .members = api_manifest},
    {.name = NULL},
};
