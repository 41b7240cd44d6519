// SPDX-License-Identifier: Apache-2.0
// An operation is derived from its row: access, mode and traits say which parameters, headers and
// refusals it has, so that a row names only what is its own.
#include "api/api_openapi_operation.h"

#include <stdio.h>
#include <string.h>

#include "api/api_shapes.h"
#include "base/check.h"

const struct api_tag api_tags[] = {
    {"Scheduled Log Exports", "/scheduled-exports/", "Branch's calls"},
    {"Custom Exports", "/v2/", "Branch's calls for one export of a range of time"},
    {"Daily Exports", "/v3/", "Branch's call for the files of a day"},
    {"Files", "/exports", "The hosted bucket, by signed URLs and for clients of S3"},
    {"Events", "/v1/events/", "Sending events"},
    {"Topics", "/v1/topics", "Kinds of events and their fields"},
    {"Subscriptions", "/v1/subscriptions", "Native calls: edits, backfill, the ledger"},
    {"Jobs", "/v1/jobs", "Native calls: manifests, another try"},
    {"Administration", "/v1/admin/", "For the operator: organizations, apps, tokens"},
    {"Server", "/", "For monitors and tools; no token needed"},
    {NULL, NULL, NULL},
};

// --- What an operation may answer beside 200

// Refusals of every call are those of HTTP itself; the others have a reason in their row.
struct api_refusal {
    int status;
    const char *name;
    const char *doc;
    bool is_general;
    bool is_later; // has Retry-After
};

static const struct api_refusal api_refusals[] = {
    {400, "BadRequest", "The request is wrong", true, false},
    {401, "Unauthorized", "No token, or one that is not good", false, false},
    {403, "Forbidden", "The token lacks a permission", false, false},
    {404, "NotFound", "No such thing, or not of the caller", false, false},
    {408, "RequestTimeout", "The request came too slowly", true, false},
    {409, "Conflict", "The thing is in another state", false, false},
    {412, "PreconditionFailed", "The thing was changed meanwhile", false, false},
    {413, "ContentTooLarge", "The body is too large", true, false},
    {414, "URITooLong", "The request line is too long", true, false},
    {415, "UnsupportedMediaType", "The media type or encoding is not taken", true, false},
    {416, "RangeNotSatisfiable", "The range is not in the file", false, false},
    {417, "ExpectationFailed", "Expect asks for what is not known", true, false},
    {421, "MisdirectedRequest", "The target names another server", true, false},
    {429, "TooManyRequests", "A rate limit was reached", false, true},
    {431, "RequestHeaderFieldsTooLarge", "Too many or too large header fields", true, false},
    {500, "InternalServerError", "The server failed", true, false},
    {501, "NotImplemented", "A method or transfer coding that is not known", true, false},
    {503, "ServiceUnavailable", "The server is overloaded, or its storage failed", true, true},
    {505, "HTTPVersionNotSupported", "Another version than HTTP/1.x", true, false},
    {507, "InsufficientStorage", "The disk is full", false, true},
};

static bool api_has_word(const char *words, int status)
{
    char word[16];
    (void)snprintf(word, sizeof word, "%d", status);
    return words != NULL && strstr(words, word) != NULL;
}

static bool api_is_open(const struct api_route *route)
{
    return route->access == API_ACCESS_PUBLIC || route->access == API_ACCESS_SIGNED;
}

static bool api_is_file(const struct api_route *route)
{
    return route->mode == API_MODE_BUCKET && route->handler == NULL;
}

static bool api_names_things(const struct api_route *route)
{
    return strchr(route->pattern, '{') != NULL;
}

// 401 and 403 are for calls that Branch has not documented otherwise; see api_auth.c.
static bool api_may_refuse(const struct api_route *route, int status)
{
    const bool is_branch = route->access == API_ACCESS_BRANCH;
    const bool is_subscribe = route->access == API_ACCESS_SUBSCRIBE;
    const bool is_native = !is_branch && !is_subscribe && !api_is_open(route);
    const bool is_etagged = (route->traits & API_ETAGGED) != 0;
    switch (status) {
    case 401:
        return is_native || is_subscribe;
    case 403:
        return is_native;
    case 404:
        return api_names_things(route) || is_subscribe || (is_native && route->query[0] != '\0') ||
               route->request != NULL;
    case 409:
        return route->replay != NULL || route->mode == API_MODE_STREAMED;
    case 412:
        return is_etagged && strcmp(route->method, "GET") != 0;
    case 429:
        return route->budget != API_BUDGET_NONE && route->mode != API_MODE_BUCKET;
    case 507:
        return route->mode == API_MODE_STREAMED || route->mode == API_MODE_DEFERRED;
    default:
        return false;
    }
}

static bool api_answers(const struct api_route *route, const struct api_refusal *refusal)
{
    return refusal->is_general || api_may_refuse(route, refusal->status) ||
           api_has_word(route->statuses, refusal->status);
}

static void api_write_reference(struct json_text *json, const char *kind, const char *name)
{
    char text[96];
    (void)snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
    json_text_open(json, '{');
    json_text_member_text(json, "$ref", text);
    json_text_close(json, '}');
}

static void api_open_content(struct json_text *json, const char *media_type)
{
    json_text_key(json, "content");
    json_text_open(json, '{');
    json_text_key(json, media_type);
    json_text_open(json, '{');
    json_text_key(json, "schema");
}

static void api_close_content(struct json_text *json)
{
    json_text_close(json, '}');
    json_text_close(json, '}');
}

static void api_write_status_key(struct json_text *json, int status)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", status);
    json_text_key(json, text);
}

// --- Headers of replies

static void api_write_header(struct json_text *json, const char *name)
{
    json_text_key(json, name);
    api_write_reference(json, "headers", name);
}

static void api_write_reply_headers(struct json_text *json, const struct api_route *route)
{
    json_text_key(json, "headers");
    json_text_open(json, '{');
    api_write_header(json, "X-Request-Id");
    if ((route->traits & API_PAGED) != 0)
        api_write_header(json, "Link");
    if ((route->traits & API_ETAGGED) != 0 || api_is_file(route))
        api_write_header(json, "ETag");
    if (route->replay != NULL || route->mode == API_MODE_STREAMED)
        api_write_header(json, "Idempotency-Replayed");
    json_text_close(json, '}');
}

// --- Replies

static void api_write_reply(struct json_text *json, const struct api_route *route, int status,
                            const char *doc)
{
    api_write_status_key(json, status);
    json_text_open(json, '{');
    json_text_member_text(json, "description", doc);
    api_write_reply_headers(json, route);
    const bool is_head = strcmp(route->method, "HEAD") == 0;
    if (!is_head && route->reply != NULL) {
        api_open_content(json, "application/json");
        api_write_type(json, route->reply, NULL);
        api_close_content(json);
    } else if (!is_head) {
        api_open_content(json, api_is_file(route)               ? "application/octet-stream"
                               : route->mode == API_MODE_BUCKET ? "application/xml"
                                                                : "application/openmetrics-text");
        json_text_raw(json, slice_text("{\"type\":\"string\"}"));
        api_close_content(json);
    }
    json_text_close(json, '}');
}

static void api_write_unchanged(struct json_text *json, const struct api_route *route)
{
    api_write_status_key(json, 304);
    json_text_open(json, '{');
    json_text_member_text(json, "description", "The client has it already");
    api_write_reply_headers(json, route);
    json_text_close(json, '}');
}

static void api_write_successes(struct json_text *json, const struct api_route *route)
{
    api_write_reply(json, route, 200, route->doc);
    if (api_has_word(route->statuses, 202))
        api_write_reply(json, route, 202, "Not ready yet: ask again");
    if (api_has_word(route->statuses, 206))
        api_write_reply(json, route, 206, "The range that was asked for");
    if (api_has_word(route->statuses, 304) ||
        ((route->traits & API_ETAGGED) != 0 && strcmp(route->method, "GET") == 0))
        api_write_unchanged(json, route);
}

// The bucket speaks XML, but what HTTP itself refuses is the server's JSON.
static void api_write_bucket_refusal(struct json_text *json, const struct api_refusal *refusal,
                                     bool is_head)
{
    api_write_status_key(json, refusal->status);
    json_text_open(json, '{');
    json_text_member_text(json, "description", refusal->doc);
    if (refusal->is_later) {
        json_text_key(json, "headers");
        json_text_open(json, '{');
        api_write_header(json, "Retry-After");
        json_text_close(json, '}');
    }
    if (!is_head) {
        json_text_key(json, "content");
        json_text_raw(json, slice_text("{\"application/xml\":{\"schema\":"
                                       "{\"$ref\":\"#/components/schemas/BucketError\"}},"
                                       "\"application/json\":{\"schema\":"
                                       "{\"$ref\":\"#/components/schemas/Error\"}}}"));
    }
    json_text_close(json, '}');
}

static void api_write_responses(struct json_text *json, const struct api_route *route)
{
    json_text_key(json, "responses");
    json_text_open(json, '{');
    api_write_successes(json, route);
    for (size_t i = 0; i < ARRAY_COUNT(api_refusals); i++) {
        const struct api_refusal *refusal = &api_refusals[i];
        if (!api_answers(route, refusal))
            continue;
        if (route->mode == API_MODE_BUCKET) {
            api_write_bucket_refusal(json, refusal, strcmp(route->method, "HEAD") == 0);
            continue;
        }
        api_write_status_key(json, refusal->status);
        api_write_reference(json, "responses", refusal->name);
    }
    json_text_close(json, '}');
}

static bool api_is_referred_to(const struct api_refusal *refusal)
{
    for (size_t i = 0; i < api_route_count; i++) {
        if (api_routes[i].mode != API_MODE_BUCKET && api_answers(&api_routes[i], refusal))
            return true;
    }
    return false;
}

void api_write_refusals(struct json_text *json)
{
    json_text_open(json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(api_refusals); i++) {
        const struct api_refusal *refusal = &api_refusals[i];
        if (!api_is_referred_to(refusal))
            continue;
        json_text_key(json, refusal->name);
        json_text_open(json, '{');
        json_text_member_text(json, "description", refusal->doc);
        json_text_key(json, "headers");
        json_text_open(json, '{');
        api_write_header(json, "X-Request-Id");
        if (refusal->is_later)
            api_write_header(json, "Retry-After");
        json_text_close(json, '}');
        api_open_content(json, "application/json");
        api_write_type(json, "Error", NULL);
        api_close_content(json);
        json_text_close(json, '}');
    }
    json_text_close(json, '}');
}

// --- Requests

static void api_write_parameter(struct json_text *json, const char *place, struct slice name,
                                bool is_needed)
{
    const struct api_parameter *parameter = api_parameter_find(place, name);
    ASSERT(parameter != NULL);
    json_text_open(json, '{');
    json_text_member_text(json, "name", parameter->name);
    json_text_member_text(json, "in", place);
    json_text_member_text(json, "description", parameter->doc);
    json_text_member_bool(json, "required", is_needed);
    json_text_key(json, "schema");
    api_write_type(json, parameter->type, NULL);
    json_text_close(json, '}');
}

static void api_write_path_parameters(struct json_text *json, const char *pattern)
{
    const char *open = pattern;
    while ((open = strchr(open, '{')) != NULL) {
        const char *close = strchr(open, '}');
        api_write_parameter(json, "path", slice_of(open + 1, (size_t)(close - open - 1)), true);
        open = close;
    }
    if (strchr(pattern, '*') != NULL)
        api_write_parameter(json, "path", slice_text("key"), true);
}

static void api_write_header_parameters(struct json_text *json, const struct api_route *route)
{
    const bool is_get = strcmp(route->method, "GET") == 0;
    if (route->replay != NULL || route->mode == API_MODE_STREAMED)
        api_write_parameter(json, "header", slice_text("Idempotency-Key"), false);
    if ((route->traits & API_ETAGGED) != 0)
        api_write_parameter(json, "header", slice_text(is_get ? "If-None-Match" : "If-Match"),
                            false);
    if (!api_is_file(route))
        return;
    static const char *const names[] = {"Range",    "If-Range",          "If-None-Match",
                                        "If-Match", "If-Modified-Since", "If-Unmodified-Since"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        api_write_parameter(json, "header", slice_text(names[i]), false);
}

static void api_write_parameters(struct json_text *json, const struct api_route *route)
{
    json_text_key(json, "parameters");
    json_text_open(json, '[');
    api_write_path_parameters(json, route->pattern);
    struct slice list = slice_text(route->query);
    struct api_route_name name;
    while (api_route_next_name(&list, &name))
        api_write_parameter(json, "query", name.name, name.is_needed);
    if ((route->traits & API_PAGED) != 0) {
        api_write_parameter(json, "query", slice_text("limit"), false);
        api_write_parameter(json, "query", slice_text("cursor"), false);
    }
    api_write_header_parameters(json, route);
    json_text_close(json, ']');
}

static void api_write_body(struct json_text *json, const struct api_route *route)
{
    const bool is_streamed = route->mode == API_MODE_STREAMED;
    if (!is_streamed && route->request == NULL)
        return;
    json_text_key(json, "requestBody");
    json_text_open(json, '{');
    json_text_member_bool(json, "required", true);
    api_open_content(json, is_streamed ? "application/x-ndjson" : "application/json");
    if (is_streamed)
        json_text_raw(json, slice_text("{\"type\":\"string\"}"));
    else
        api_write_type(json, route->request, NULL);
    api_close_content(json);
    json_text_close(json, '}');
}

static const char *api_tag_of(const struct api_route *route)
{
    size_t i = 0;
    if (route->mode == API_MODE_BUCKET)
        return "Files";
    while (strncmp(route->pattern, api_tags[i].prefix, strlen(api_tags[i].prefix)) != 0)
        i++; // the last one is the start of every path
    ASSERT(api_tags[i].name != NULL);
    return api_tags[i].name;
}

static const char *api_method_key(const char *method)
{
    static const char *const names[][2] = {
        {"GET", "get"},     {"HEAD", "head"},     {"POST", "post"},
        {"PATCH", "patch"}, {"DELETE", "delete"}, {"PUT", "put"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i][0], method) == 0)
            return names[i][1];
    }
    return "trace"; // uncovered: the table has no other method
}

void api_write_operation(struct json_text *json, const struct api_route *route)
{
    json_text_key(json, api_method_key(route->method));
    json_text_open(json, '{');
    json_text_member_text(json, "operationId", route->id);
    json_text_member_text(json, "summary", route->doc);
    json_text_key(json, "tags");
    json_text_open(json, '[');
    json_text_string(json, slice_text(api_tag_of(route)));
    json_text_close(json, ']');
    api_write_parameters(json, route);
    api_write_body(json, route);
    api_write_responses(json, route);
    if (api_is_open(route)) {
        json_text_key(json, "security");
        json_text_raw(json, slice_text("[]"));
    }
    json_text_close(json, '}');
}
