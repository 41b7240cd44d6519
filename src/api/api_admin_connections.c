// SPDX-License-Identifier: Apache-2.0
// Calls of the operator: connections, whose keys come in and never go out.
#include "api/api_admin_members.h"
#include "api/api_destination.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/mem.h"
#include "catalog/connections.h"

#define API_SERVICE_KEY_BYTES_MAX ((size_t)64 * 1024)

static struct connection_ring api_ring(const struct api_call *call)
{
    const struct api_config *config = &call->api->config;
    return (struct connection_ring){config->secret_keys, config->secret_key_count};
}

static void api_write_style(struct json_text *json, enum connection_style style)
{
    json_text_key(json, "path_style");
    switch (style) {
    case CONNECTION_STYLE_BY_ENDPOINT:
        json_text_null(json);
        break;
    case CONNECTION_STYLE_PATH:
        json_text_bool(json, true);
        break;
    case CONNECTION_STYLE_HOST:
        json_text_bool(json, false);
        break;
    }
}

static void api_write_connection(struct json_text *json, const struct connection *connection)
{
    json_text_open(json, '{');
    json_text_member_text(json, "name", connection->name);
    json_text_member_text(json, "kind", connection_kind_name(connection->kind));
    json_text_member_text(json, "organization_id", connection->organization_id);
    json_text_member_text(json, "endpoint", connection->settings.endpoint);
    json_text_member_text(json, "region", connection->settings.region);
    api_write_style(json, connection->settings.style);
    json_text_member_text(json, "ca_file", connection->settings.ca_file);
    json_text_member_text(json, "access_key_id", connection->access_key_id);
    json_text_member_text(json, "service_account", connection->account);
    api_write_time(json, "created_at", connection->created_at_ms);
    api_write_time(json, "changed_at", connection->changed_at_ms);
    json_text_close(json, '}');
}

// --- Members

static bool api_take_kind(struct api_call *call, const struct json_node *body,
                          enum connection_kind *ret_kind, struct err *err)
{
    const char *name = NULL;
    TRY(api_admin_text(call, body, "kind", &name, err));
    if (!connection_kind_parse(slice_text(name), ret_kind))
        return api_refuse(call, err, 400, "Invalid kind: s3, gcs_hmac or gcs_key expected");
    return true;
}

static bool api_take_style(struct api_call *call, const struct json_node *body,
                           struct connection_change *change, struct err *err)
{
    const struct json_node *node = json_node_get(body, "path_style");
    const bool is_null = json_node_kind(node) == JSON_KIND_NULL;
    if (!is_null && json_node_kind(node) != JSON_KIND_BOOL)
        return api_refuse(call, err, 400, "Invalid type: boolean expected");
    change->has_style = node != NULL;
    if (!is_null)
        change->settings.style = json_node_bool(node) ? CONNECTION_STYLE_PATH
                                                      : CONNECTION_STYLE_HOST;
    return true;
}

static bool api_take_settings(struct api_call *call, const struct json_node *body,
                              struct connection_change *change, struct err *err)
{
    struct connection_settings *settings = &change->settings;
    TRY(api_admin_nullable_text(call, body, "endpoint", &change->has_endpoint, &settings->endpoint,
                                err));
    TRY(api_admin_nullable_text(call, body, "region", &change->has_region, &settings->region, err));
    TRY(api_admin_nullable_text(call, body, "ca_file", &change->has_ca_file, &settings->ca_file,
                                err));
    TRY(api_take_style(call, body, change, err));
    return settings->endpoint == NULL || api_check_operator_endpoint(call, settings->endpoint, err);
}

// The JSON key: the object itself, or its text.
static bool api_take_service_key(struct api_call *call, const struct json_node *body,
                                 struct slice *ret_key, struct err *err)
{
    const struct json_node *node = json_node_get(body, "service_account_key");
    if (json_node_kind(node) == JSON_KIND_TEXT) {
        *ret_key = json_node_text(node);
        return true;
    }
    if (json_node_kind(node) != JSON_KIND_OBJECT)
        return api_refuse(call, err, 400, "Invalid type: object expected");
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, API_SERVICE_KEY_BYTES_MAX);
    json_node_write(node, &text);
    TRY(buf_check(&text, err));
    *ret_key = slice_text(arena_copy_slice(call->arena, buf_slice(&text)));
    return true;
}

static bool api_has(const struct json_node *body, const char *name)
{
    return json_node_kind(json_node_get(body, name)) != JSON_KIND_NULL;
}

// What a body says of a key.
struct api_key_source {
    const struct json_node *body;
    enum connection_kind kind;
    bool is_change; // it need not say anything
};

static bool api_take_secret(struct api_call *call, const struct api_key_source *source,
                            struct slice *ret_secret, struct err *err)
{
    const char *secret = NULL;
    if (source->kind == CONNECTION_GCS_KEY)
        return api_take_service_key(call, source->body, ret_secret, err);
    TRY(api_admin_text(call, source->body, "secret_access_key", &secret, err));
    *ret_secret = slice_text(secret);
    return true;
}

// NULL when a change has none.
static bool api_take_key(struct api_call *call, const struct api_key_source *source,
                         const struct connection_key **ret_key, struct err *err)
{
    const bool is_service_key = source->kind == CONNECTION_GCS_KEY;
    const char *secret_name = is_service_key ? "service_account_key" : "secret_access_key";
    const bool has_id = !is_service_key && api_has(source->body, "access_key_id");
    const bool has_secret = api_has(source->body, secret_name);
    *ret_key = NULL;
    if (source->is_change && !has_id && !has_secret)
        return true;
    struct connection_key *key = arena_alloc(call->arena, sizeof *key);
    if (has_id || (!source->is_change && !is_service_key))
        TRY(api_admin_text(call, source->body, "access_key_id", &key->access_key_id, err));
    if (!has_secret)
        return api_refuse(call, err, 400, "Missing required field: %s", secret_name);
    TRY(api_take_secret(call, source, &key->secret, err));
    *ret_key = key;
    return true;
}

// --- Calls

bool api_admin_connection_list(struct api_call *call, struct err *err)
{
    const char *organization_id = NULL;
    struct connection *connections = NULL;
    size_t count = 0;
    struct api_page page;
    TRY(api_admin_organization_query(call, &organization_id, err));
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(connection_list(call->catalog, organization_id, call->arena, &connections, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count && !api_page_is_over(&page); i++) {
        if (api_page_takes(&page,
                           (struct api_place){connections[i].created_at_ms, connections[i].name}))
            api_write_connection(&call->json, &connections[i]);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_admin_connection_replay(struct api_call *call, const char *name, struct err *err)
{
    struct connection connection;
    TRY(connection_get(call->catalog, name, call->arena, &connection, err));
    api_write_connection(&call->json, &connection);
    return true;
}

bool api_admin_connection_get(struct api_call *call, struct err *err)
{
    TRY(api_call_catalog(call, err));
    return api_admin_connection_replay(call, api_call_param(call, 0), err);
}

bool api_admin_connection_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct connection_request request = {0};
    struct connection_change settings = {0};
    const struct connection_ring ring = api_ring(call);
    const struct connection_key *key = NULL;
    struct connection connection;
    TRY(api_call_object(call, &body, err));
    TRY(api_admin_text(call, body, "name", &request.name, err));
    TRY(api_take_kind(call, body, &request.kind, err));
    TRY(api_admin_id(call, body, "organization_id", &request.organization_id, err));
    const struct api_key_source source = {.body = body, .kind = request.kind};
    TRY(api_take_key(call, &source, &key, err));
    TRY(api_take_settings(call, body, &settings, err));
    TRY(api_admin_check_organization(call, request.organization_id, err));
    request.settings = settings.settings;
    request.key = *key;
    TRY(connection_create(call->catalog, &request, &ring, call->now_ms, call->arena, &connection,
                          err));
    api_write_connection(&call->json, &connection);
    return true;
}

bool api_admin_connection_update(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    const char *name = api_call_param(call, 0);
    const struct connection_ring ring = api_ring(call);
    struct connection_change change = {0};
    struct connection connection;
    TRY(api_call_object(call, &body, err));
    TRY(connection_get(call->catalog, name, call->arena, &connection, err));
    const struct api_key_source source = {body, connection.kind, .is_change = true};
    TRY(api_take_key(call, &source, &change.key, err));
    TRY(api_take_settings(call, body, &change, err));
    TRY(connection_update(call->catalog, name, &change, &ring, call->now_ms, call->arena,
                          &connection, err));
    api_write_connection(&call->json, &connection);
    return true;
}

bool api_admin_connection_delete(struct api_call *call, struct err *err)
{
    TRY(connection_delete(call->catalog, api_call_param(call, 0), err));
    api_write_success(call, "Connection deleted");
    return true;
}
