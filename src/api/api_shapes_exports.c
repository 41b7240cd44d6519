// SPDX-License-Identifier: Apache-2.0
// Bodies of custom exports, daily exports and previews.
#include "api/api_shapes.h"
#include "base/check.h"

static const struct api_member api_custom_request[] = {
    {"start_date", "string", "ISO 8601; without an offset it is read in timezone"},
    {"end_date", "string", "The same; inclusive to its last unit"},
    {"report_type", "ReportType", "The topic"},
    {"fields", "text[]", "Columns in their order, or \"all\" alone"},
    {"limit?", "RowLimit", "Rows at most, 100 by default; not with allow_multiple_files"},
    {"timezone?", "string?", "Name in the tz database; UTC by default"},
    {"filter?", "Filter", "Which rows; absent, null or [] for all"},
    {"response_format?", "ReportFormat?", "csv by default"},
    {"response_format_compression?", "ReportCompression?", "none by default"},
    {"allow_multiple_files?", "Switch", "All rows, in files of a fixed number of rows"},
    {"app_id?", "AppId", "Where the query names neither app nor organization"},
    {"organization_id?", "AppId", "The same"},
    {NULL, NULL, NULL},
};

static const struct api_member api_custom_created[] = {
    {"handle", "uuid", NULL},
    {"request_handle", "uuid", "The same"},
    {"export_job_status_url", "url", "Where to ask how far it is"},
    {NULL, NULL, NULL},
};

static const char *api_custom_status_at(size_t index)
{
    static const char *const names[] = {"pending", "running", "complete", "fail"};
    return index < ARRAY_COUNT(names) ? names[index] : NULL;
}

static const struct api_member api_custom_status[] = {
    {"code", "integer", "200"},
    {"status", "ExportStatus", NULL},
    {"response_url?", "url", "The first file; absent before complete and after expires_at"},
    {"status_url?", "url", "The same"},
    {"response_urls?", "url[]", "All files"},
    {"lines_exported", "count", "0 before complete"},
    {"handle", "uuid", NULL},
    {"request_handle", "uuid", "The same"},
    {"export_job_status_url", "url", NULL},
    {"job_id", "uuid", "For the native calls of jobs"},
    {"expires_at?", "time", "When the files go"},
    {"reason?", "string", "Of fail, or of the last failed try"},
    {NULL, NULL, NULL},
};

static const char *api_warehouse_at(size_t index)
{
    static const char *const names[] = {"EVENT", "AGGREGATE"};
    return index < ARRAY_COUNT(names) ? names[index] : NULL;
}

static const struct api_member api_ready_request[] = {
    {"date", "string", "YYYY-MM-DD hh:mm:ss of UTC: the hour that is asked for"},
    {"warehouse_meta_type", "WarehouseMetaType", "Both are answered alike"},
    {"topic", "TopicName", NULL},
    {"app_id?", "AppId", "Here or in the query"},
    {NULL, NULL, NULL},
};

static const struct api_member api_ready[] = {
    {"data_ready", "boolean", "The hour is over, and all events that came can be exported"},
    {"date", "string", "As it was asked"},
    {NULL, NULL, NULL},
};

static const struct api_member api_daily_request[] = {
    {"branch_key", "string", "Of the app"},
    {"branch_secret", "string", "Of the app"},
    {"export_date?", "string", "YYYY-MM-DD: a day of UTC; here or in the query"},
    {"app_id?", "AppId", "Must be the app of the key"},
    {NULL, NULL, NULL},
};

static const struct api_member api_preview[] = {
    {"start_date", "time", "Start of the last complete window"},
    {"end_date", "time", NULL},
    {"matched_rows", "count", NULL},
    {"sample", "object[]", "The first rows, at most 20"},
    {"estimated_bytes", "count", "Of the files, compressed"},
    {"estimated_files", "count", NULL},
    {"errors", "ErrorItem[]", "Why the job failed"},
    {NULL, NULL, NULL},
};

const struct api_shape api_shapes_exports[] = {
    {.name = "CustomExportRequest", .doc = "What to export once", .members = api_custom_request},
    {.name = "RowLimit",
     .doc = "From 1 on, as a number or a text",
     .schema = "{\"type\":[\"integer\",\"string\",\"null\"]}"},
    {.name = "Switch",
     .doc = "true or false, or these words as a text",
     .schema = "{\"type\":[\"boolean\",\"string\",\"null\"]}"},
    {.name = "CustomExportCreated", .doc = "The export was begun", .members = api_custom_created},
    {.name = "ExportStatus", .doc = "State of a custom export", .value_at = api_custom_status_at},
    {.name = "CustomExport", .doc = "How far it is", .members = api_custom_status},
    {.name = "WarehouseMetaType", .doc = "Kind of data", .value_at = api_warehouse_at},
    {.name = "AppId",
     .doc = "18 or 19 digits, as a text or a number",
     .schema = "{\"type\":[\"string\",\"integer\"]}"},
    {.name = "DataReadyRequest", .doc = "Of which hour", .members = api_ready_request},
    {.name = "DataReady", .doc = "Whether the hour is complete", .members = api_ready},
    {.name = "DailyExportRequest", .doc = "Which day of whom", .members = api_daily_request},
    {.name = "DailyExport",
     .doc = "Signed URLs of the day's files by topic; [] where there were no events",
     .schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"array\","
               "\"items\":{\"type\":\"string\",\"format\":\"uri\"}}}"},
    {.name = "Preview", .doc = "What a window would have given", .members = api_preview},
    {.name = NULL},
};
