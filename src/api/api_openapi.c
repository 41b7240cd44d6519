// SPDX-License-Identifier: Apache-2.0
// /openapi.json, printed from the route table and the tables of shapes: what is served is what is
// described.
#include "api/api_handlers.h"
#include "api/api_openapi_operation.h"
#include "api/api_reply.h"
#include "api/api_shapes.h"

static const char api_description[] =
    "Scheduled log exports. Paths below /scheduled-exports/logs/ answer below "
    "/scheduled-exports/exports/logs/ as well; one slash at the end of a path is ignored. Any call "
    "may have X-Request-Id, which comes back. Unknown members of bodies and unknown parameters are "
    "ignored; replies may gain members.";

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

static void api_write_info(struct json_text *json)
{
    json_text_key(json, "info");
    json_text_open(json, '{');
    json_text_member_text(json, "title", "milkrun");
    json_text_member_text(json, "version", MILKRUN_VERSION);
    json_text_member_text(json, "description", api_description);
    json_text_key(json, "license");
    json_text_raw(json, slice_text("{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}"));
    json_text_close(json, '}');
}

static void api_write_tags(struct json_text *json)
{
    json_text_key(json, "tags");
    json_text_open(json, '[');
    for (size_t i = 0; api_tags[i].name != NULL; i++) {
        json_text_open(json, '{');
        json_text_member_text(json, "name", api_tags[i].name);
        json_text_member_text(json, "description", api_tags[i].doc);
        json_text_close(json, '}');
    }
    json_text_close(json, ']');
}

static void api_write_schemas(struct json_text *json)
{
    json_text_key(json, "schemas");
    json_text_open(json, '{');
    for (size_t i = 0; api_shape_tables[i] != NULL; i++) {
        for (const struct api_shape *shape = api_shape_tables[i]; shape->name != NULL; shape++) {
            json_text_key(json, shape->name);
            api_write_shape(json, shape);
        }
    }
    json_text_close(json, '}');
}

static const char api_security_schemes[] =
    "{\"accessToken\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"Access-Token\"},"
    "\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}}";

static const char api_headers[] =
    "{\"X-Request-Id\":{\"description\":\"The client's own, or one that was made\","
    "\"required\":true,\"schema\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"}},"
    "\"Retry-After\":{\"description\":\"Seconds to wait\",\"required\":true,"
    "\"schema\":{\"type\":\"integer\",\"minimum\":1}},"
    "\"ETag\":{\"description\":\"Names this state of the thing\",\"required\":true,"
    "\"schema\":{\"type\":\"string\",\"pattern\":\"^\\\"[!-~]+\\\"$\"}},"
    "\"Link\":{\"description\":\"The next page, when there is one\","
    "\"schema\":{\"type\":\"string\",\"pattern\":\"^<[^>]+>; rel=\\\"next\\\"$\"}},"
    "\"Idempotency-Replayed\":{\"description\":\"An earlier request did this\","
    "\"schema\":{\"type\":\"string\",\"enum\":[\"true\"]}}}";

static void api_write_components(struct json_text *json)
{
    json_text_key(json, "components");
    json_text_open(json, '{');
    json_text_key(json, "securitySchemes");
    json_text_raw(json, slice_text(api_security_schemes));
    json_text_key(json, "headers");
    json_text_raw(json, slice_text(api_headers));
    json_text_key(json, "responses");
    api_write_refusals(json);
    api_write_schemas(json);
    json_text_close(json, '}');
}

bool api_openapi(struct api_call *call, struct err *err)
{
    (void)err;
    struct json_text *json = &call->json;
    json_text_open(json, '{');
    json_text_member_text(json, "openapi", "3.1.0");
    api_write_info(json);
    json_text_key(json, "servers");
    json_text_open(json, '[');
    json_text_open(json, '{');
    json_text_member_text(json, "url", api_base_url(call));
    json_text_close(json, '}');
    json_text_close(json, ']');
    json_text_key(json, "security");
    json_text_raw(json, slice_text("[{\"accessToken\":[]},{\"bearer\":[]}]"));
    api_write_tags(json);
    json_text_key(json, "paths");
    json_text_open(json, '{');
    for (size_t i = 0; i < api_route_count; i++) {
        if (api_is_first_of_path(i))
            api_write_path(call, i);
    }
    json_text_close(json, '}');
    api_write_components(json);
    json_text_close(json, '}');
    return true;
}
