// SPDX-License-Identifier: Apache-2.0
// What handlers share: the catalog handle, parameters, and the body as JSON.
#include "api/api_internal.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "base/number.h"

#define API_FIELDS_MAX ((size_t)1000) // of one object of a body

bool api_call_catalog(struct api_call *call, struct err *err)
{
    if (call->catalog != NULL)
        return true;
    if (!api_handles_take(call->api->handles, &call->handle, err)) {
        err->kind = ERR_UNAVAILABLE; // whatever ails it, the client's things are not "not found"
        return err_wrap(err, "catalog");
    }
    call->catalog = call->handle.catalog;
    return true;
}

const char *api_call_param(const struct api_call *call, size_t index)
{
    ASSERT(index < API_ROUTE_PARAMS_MAX);
    return arena_copy_slice(call->arena, call->match.params[index]);
}

static void api_check_field_count(struct slice key, const struct json_node *value, void *context)
{
    (void)key;
    size_t *largest = context;
    const size_t count = json_node_kind(value) == JSON_KIND_OBJECT ? json_node_count(value) : 0;
    if (count > *largest)
        *largest = count;
}

bool api_call_object(struct api_call *call, const struct json_node **ret_object, struct err *err)
{
    ASSERT(call->tree == NULL);
    TRY(json_tree_parse(buf_slice(&call->body), &call->tree, err));
    const struct json_node *root = json_tree_root(call->tree);
    if (json_node_kind(root) != JSON_KIND_OBJECT)
        return api_refuse(call, err, 400, "JSON object expected");
    size_t largest = json_node_count(root);
    json_node_each(root, api_check_field_count, &largest);
    if (largest > API_FIELDS_MAX)
        return api_refuse(call, err, 400, "Too many fields");
    *ret_object = root;
    return true;
}

bool api_call_text_member(struct api_call *call, const struct json_node *object, const char *name,
                          struct slice *ret_text, struct err *err)
{
    const struct json_node *node = json_node_get(object, name);
    if (json_node_kind(node) == JSON_KIND_NULL)
        return api_refuse(call, err, 400, "Missing required field: %s", name);
    if (json_node_kind(node) != JSON_KIND_TEXT || slice_is_empty(json_node_text(node)))
        return api_refuse(call, err, 400, "Invalid type: string expected");
    *ret_text = json_node_text(node);
    return true;
}

bool api_call_id_member(struct api_call *call, const struct json_node *object, const char *name,
                        struct slice *ret_id, struct err *err)
{
    const struct json_node *node = json_node_get(object, name);
    switch (json_node_kind(node)) {
    case JSON_KIND_NULL:
        *ret_id = slice_of(NULL, 0);
        return true;
    case JSON_KIND_TEXT:
        *ret_id = json_node_text(node);
        return true;
    case JSON_KIND_INT64: {
        char *text = arena_alloc(call->arena, NUMBER_CHARS_MAX + 1);
        *ret_id = slice_of(text, number_format_int64(json_node_int64(node), text));
        return true;
    }
    case JSON_KIND_BOOL:
    case JSON_KIND_DOUBLE:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return api_refuse(call, err, 400, "Invalid type: string expected");
}

static bool api_has_control(struct slice text)
{
    const unsigned char *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (bytes[i] < ' ' || bytes[i] == 127)
            return true;
    }
    return false;
}

bool api_call_query(struct api_call *call, const char *name, struct slice *ret_value,
                    struct err *err)
{
    size_t count = 0;
    const struct slice value = http_query(call->request, name, &count);
    if (count > 1)
        return api_refuse(call, err, 400, "Duplicate parameter: %s", name);
    if (count == 1 && api_has_control(value))
        return api_refuse(call, err, 400, "Invalid parameter: %s", name);
    *ret_value = count == 0 ? slice_of(NULL, 0) : value;
    return true;
}

// A Host header that is nothing but a host and a port may stand in a URL.
static bool api_host_is_plain(struct slice host)
{
    const char *bytes = slice_chars(host);
    for (size_t i = 0; i < host.size_bytes; i++) {
        const bool is_plain = (bytes[i] >= 'a' && bytes[i] <= 'z') ||
                              (bytes[i] >= 'A' && bytes[i] <= 'Z') ||
                              (bytes[i] >= '0' && bytes[i] <= '9') ||
                              memchr(".-:[]", bytes[i], 5) != NULL;
        if (!is_plain)
            return false;
    }
    return host.size_bytes > 0 && host.size_bytes <= 255;
}

const char *api_base_url(const struct api_call *call)
{
    const struct api *api = call->api;
    const struct slice host = http_header(call->request, "Host", NULL);
    if (api->has_base_url || !api_host_is_plain(host))
        return api->base_urls.items[0];
    return arena_format(call->arena, "%s://%.*s",
                        api->config.tls_certificate_pem == NULL ? "http" : "https",
                        (int)host.size_bytes, slice_chars(host));
}

struct subscription_scope api_call_scope(const struct api_call *call)
{
    return (struct subscription_scope){
        .organization_id = call->identity.organization_id,
        .app_id = call->app_id,
        .sees_organization = call->identity.app_id == NULL,
    };
}

bool api_call_wait(struct api_call *call, const struct api_suspension *suspension)
{
    ASSERT(suspension->resume != NULL);
    call->suspension = *suspension;
    return true;
}

void api_call_changed(const struct api_call *call)
{
    const struct api_config *config = &call->api->config;
    if (config->on_change != NULL)
        config->on_change(config->context);
}
