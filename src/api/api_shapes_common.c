// SPDX-License-Identifier: Apache-2.0
// Shapes that every surface uses: errors, monitors' pages, and what parameters may be.
#include <stddef.h>

#include "api/api_shapes.h"
#include "base/check.h"

static const struct api_member api_error_detail[] = {
    {"message", "string", "What is wrong, for a person"},
    {"code", "integer", "The HTTP status"},
    {NULL, NULL, NULL},
};

static const struct api_member api_error_item[] = {
    {"message", "string", NULL},
    {"error_code", "integer", NULL},
    {NULL, NULL, NULL},
};

static const struct api_member api_error[] = {
    {"error", "ErrorDetail", NULL},
    {"errors?", "ErrorItem[]", "Every single fault, where there are several"},
    {NULL, NULL, NULL},
};

static const struct api_member api_done[] = {
    {"status", "DoneStatus", NULL},
    {"description", "string", NULL},
    {NULL, NULL, NULL},
};

static const char *api_done_status_at(size_t index)
{
    return index == 0 ? "SUCCESS" : NULL;
}

static const struct api_member api_health[] = {
    {"status", "string", NULL},
    {"version", "string", "Of the server"},
    {NULL, NULL, NULL},
};

static const struct api_member api_readiness[] = {
    {"catalog", "string", "ok, or what is wrong"},
    {"log", "string", "ok, or what is wrong"},
    {"status", "ReadinessStatus", NULL},
    {NULL, NULL, NULL},
};

static const char *api_readiness_status_at(size_t index)
{
    static const char *const names[] = {"ready", "unavailable"};
    return index < ARRAY_COUNT(names) ? names[index] : NULL;
}

static const char *api_ingest_mode_at(size_t index)
{
    return index == 0 ? "partial" : NULL;
}

const struct api_shape api_shapes_common[] = {
    {.name = "Error", .doc = "Every refusal", .members = api_error},
    {.name = "ErrorDetail", .doc = "Why the call failed", .members = api_error_detail},
    {.name = "ErrorItem", .doc = "One of several faults", .members = api_error_item},
    {.name = "BucketError",
     .doc = "A refusal of the hosted bucket, as from S3",
     .schema = "{\"type\":\"object\",\"xml\":{\"name\":\"Error\"},"
               "\"required\":[\"Code\",\"Message\"],\"properties\":{"
               "\"Code\":{\"type\":\"string\"},\"Message\":{\"type\":\"string\"},"
               "\"RequestId\":{\"type\":\"string\"}}}"},
    {.name = "Done", .doc = "The change was made", .members = api_done},
    {.name = "DoneStatus", .doc = "Always the same", .value_at = api_done_status_at},
    {.name = "Health", .doc = "The process serves", .members = api_health},
    {.name = "Readiness", .doc = "What can be used", .members = api_readiness},
    {.name = "ReadinessStatus",
     .doc = "Whether calls can be sent here",
     .value_at = api_readiness_status_at},
    {.name = "IngestMode",
     .doc = "partial: bad lines are left out, and named in the reply",
     .value_at = api_ingest_mode_at},
    {.name = "PageLimit",
     .doc = "Elements of a page",
     .schema = "{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000}"},
    {.name = "IdempotencyKey",
     .doc = "Chosen by the client",
     .schema = "{\"type\":\"string\",\"pattern\":\"^[ -~]{1,128}$\"}"},
    {.name = NULL},
};
