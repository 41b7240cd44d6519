// SPDX-License-Identifier: Apache-2.0
// /openapi.json, printed from the route table: what is served is what is described.
#include "api/api_reply.h"

static void api_write_parameter(struct json_text *json, struct slice name, const char *place,
                                bool is_needed)
{
    json_text_open(json, '{');
    json_text_key(json, "name");
    json_text_string(json, name);
    json_text_member_text(json, "in", place);
    json_text_member_bool(json, "required", is_needed);
    json_text_key(json, "schema");
    json_text_open(json, '{');
    json_text_member_text(json, "type", "string");
    json_text_close(json, '}');
    json_text_close(json, '}');
}

// Calls with "{name}" for each segment of the pattern that is one.
static void api_write_path_parameters(struct json_text *json, const char *pattern)
{
    const char *open = pattern;
    while ((open = strchr(open, '{')) != NULL) {
        const char *close = strchr(open, '}');
        api_write_parameter(json, slice_of(open + 1, (size_t)(close - open - 1)), "path", true);
        open = close;
    }
    if (strchr(pattern, '*') != NULL)
        api_write_parameter(json, slice_text("key"), "path", true);
}

static void api_write_parameters(struct json_text *json, const struct api_route *route)
{
    json_text_key(json, "parameters");
    json_text_open(json, '[');
    api_write_path_parameters(json, route->pattern);
    struct slice list = slice_text(route->query);
    struct api_route_name name;
    while (api_route_next_name(&list, &name))
        api_write_parameter(json, name.name, "query", name.is_needed);
    if (route->mode == API_MODE_STREAMED)
        api_write_parameter(json, slice_text("Idempotency-Key"), "header", false);
    json_text_close(json, ']');
}

static void api_open_content(struct json_text *json, const char *media_type)
{
    json_text_key(json, "content");
    json_text_open(json, '{');
    json_text_key(json, media_type);
    json_text_open(json, '{');
    json_text_key(json, "schema");
    json_text_open(json, '{');
}

static void api_close_content(struct json_text *json)
{
    for (int i = 0; i < 3; i++)
        json_text_close(json, '}');
}

static void api_write_members(struct json_text *json, const char *members)
{
    struct slice list = slice_text(members);
    struct api_route_name name;
    json_text_member_text(json, "type", "object");
    json_text_key(json, "required");
    json_text_open(json, '[');
    while (api_route_next_name(&list, &name)) {
        if (name.is_needed)
            json_text_string(json, name.name);
    }
    json_text_close(json, ']');
    json_text_key(json, "properties");
    json_text_open(json, '{');
    list = slice_text(members);
    while (api_route_next_name(&list, &name)) {
        json_text_string(json, name.name);
        buf_append_text(json->destination, ":{}");
    }
    json_text_close(json, '}');
}

static void api_write_body(struct json_text *json, const struct api_route *route)
{
    const bool is_streamed = route->mode == API_MODE_STREAMED;
    if (!is_streamed && route->body == NULL)
        return;
    json_text_key(json, "requestBody");
    json_text_open(json, '{');
    json_text_member_bool(json, "required", true);
    api_open_content(json, is_streamed ? "application/x-ndjson" : "application/json");
    if (is_streamed)
        json_text_member_text(json, "type", "string");
    else
        api_write_members(json, route->body);
    api_close_content(json);
    json_text_close(json, '}');
}

static void api_write_responses(struct json_text *json, const struct api_route *route)
{
    json_text_key(json, "responses");
    json_text_open(json, '{');
    json_text_key(json, "200");
    json_text_open(json, '{');
    json_text_member_text(json, "description", route->doc);
    json_text_close(json, '}');
    json_text_key(json, "default");
    json_text_open(json, '{');
    json_text_member_text(json, "description", "The call failed");
    const bool is_bucket = route->mode == API_MODE_BUCKET;
    api_open_content(json, is_bucket ? "application/xml" : "application/json");
    json_text_member_text(json, "$ref",
                          is_bucket ? "#/components/schemas/BucketError"
                                    : "#/components/schemas/Error");
    api_close_content(json);
    json_text_close(json, '}');
    json_text_close(json, '}');
}

static const char *api_method_key(const char *method)
{
    static const char *const names[][2] = {
        {"GET", "get"}, {"HEAD", "head"}, {"POST", "post"}, {"DELETE", "delete"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i][0], method) == 0)
            return names[i][1];
    }
    return "trace"; // uncovered: the table has no other method
}

static void api_write_operation(struct json_text *json, const struct api_route *route)
{
    const bool is_open = route->access == API_ACCESS_PUBLIC || route->access == API_ACCESS_SIGNED;
    json_text_key(json, api_method_key(route->method));
    json_text_open(json, '{');
    json_text_member_text(json, "summary", route->doc);
    api_write_parameters(json, route);
    api_write_body(json, route);
    api_write_responses(json, route);
    if (is_open) {
        json_text_key(json, "security");
        json_text_raw(json, slice_text("[]"));
    }
    json_text_close(json, '}');
}

static bool api_is_first_of_path(size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (strcmp(api_routes[i].pattern, api_routes[row].pattern) == 0)
            return false;
    }
    return true;
}

static void api_write_path(struct api_call *call, size_t row)
{
    struct json_text *json = &call->json;
    const char *pattern = api_routes[row].pattern;
    const bool is_rest = strchr(pattern, '*') != NULL;
    const int size = (int)strcspn(pattern, "*");
    json_text_key(json, arena_format(call->arena, "%.*s%s", size, pattern, is_rest ? "{key}" : ""));
    json_text_open(json, '{');
    for (size_t i = row; i < api_route_count; i++) {
        if (strcmp(api_routes[i].pattern, pattern) == 0)
            api_write_operation(json, &api_routes[i]);
    }
    json_text_close(json, '}');
}

static const char api_components[] =
    "{\"securitySchemes\":{"
    "\"accessToken\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"Access-Token\"},"
    "\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
    "\"schemas\":{"
    "\"Error\":{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{"
    "\"error\":{\"type\":\"object\",\"required\":[\"message\",\"code\"],\"properties\":{"
    "\"message\":{\"type\":\"string\"},\"code\":{\"type\":\"integer\"}}},"
    "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
    "\"message\":{\"type\":\"string\"},\"error_code\":{\"type\":\"integer\"}}}}}},"
    "\"BucketError\":{\"type\":\"object\",\"xml\":{\"name\":\"Error\"},\"properties\":{"
    "\"Code\":{\"type\":\"string\"},\"Message\":{\"type\":\"string\"},"
    "\"RequestId\":{\"type\":\"string\"}}}}}";

bool api_openapi(struct api_call *call, struct err *err)
{
    (void)err;
    struct json_text *json = &call->json;
    json_text_open(json, '{');
    json_text_member_text(json, "openapi", "3.1.0");
    json_text_key(json, "info");
    json_text_open(json, '{');
    json_text_member_text(json, "title", "milkrun");
    json_text_member_text(json, "version", MILKRUN_VERSION);
    json_text_member_text(json, "description",
                          "Paths below /scheduled-exports/logs/ answer below "
                          "/scheduled-exports/exports/logs/ as well.");
    json_text_close(json, '}');
    json_text_key(json, "servers");
    json_text_open(json, '[');
    json_text_open(json, '{');
    json_text_member_text(json, "url", api_base_url(call));
    json_text_close(json, '}');
    json_text_close(json, ']');
    json_text_key(json, "security");
    json_text_raw(json, slice_text("[{\"accessToken\":[]},{\"bearer\":[]}]"));
    json_text_key(json, "paths");
    json_text_open(json, '{');
    for (size_t i = 0; i < api_route_count; i++) {
        if (api_is_first_of_path(i))
            api_write_path(call, i);
    }
    json_text_close(json, '}');
    json_text_key(json, "components");
    json_text_raw(json, slice_text(api_components));
    json_text_close(json, '}');
    return true;
}
