// SPDX-License-Identifier: Apache-2.0
#include "api/api_admin_members.h"

#include "api/api_reply.h"
#include "base/number.h"

#define API_GRACE_DEFAULT_S (INT64_C(24) * 3600)

// *ret_body NULL when there is none, which all readers here take for an object without members.
static bool api_optional_body(struct api_call *call, const struct json_node **ret_body,
                              struct err *err)
{
    if (call->body.size_bytes > 0)
        return api_call_object(call, ret_body, err);
    *ret_body = NULL;
    return true;
}

static bool api_refuse_type(struct api_call *call, const char *expected, struct err *err)
{
    return api_refuse(call, err, 400, "Invalid type: %s expected", expected);
}

static bool api_take_text(struct api_call *call, const struct json_node *node,
                          const char **ret_text, struct err *err)
{
    if (json_node_kind(node) != JSON_KIND_TEXT)
        return api_refuse_type(call, "string", err);
    *ret_text = arena_copy_slice(call->arena, json_node_text(node)); // the tree refuses NUL
    return true;
}

bool api_admin_text(struct api_call *call, const struct json_node *body, const char *name,
                    const char **ret_text, struct err *err)
{
    const struct json_node *node = json_node_get(body, name);
    if (json_node_kind(node) == JSON_KIND_NULL)
        return api_refuse(call, err, 400, "Missing required field: %s", name);
    return api_take_text(call, node, ret_text, err);
}

bool api_admin_changed_text(struct api_call *call, const struct json_node *body, const char *name,
                            const char **ret_text, struct err *err)
{
    const struct json_node *node = json_node_get(body, name);
    return node == NULL || api_take_text(call, node, ret_text, err);
}

bool api_admin_nullable_text(struct api_call *call, const struct json_node *body, const char *name,
                             bool *ret_is_given, const char **ret_text, struct err *err)
{
    const struct json_node *node = json_node_get(body, name);
    if (json_node_kind(node) != JSON_KIND_NULL)
        TRY(api_take_text(call, node, ret_text, err));
    *ret_is_given = node != NULL;
    return true;
}

bool api_admin_id(struct api_call *call, const struct json_node *body, const char *name,
                  const char **ret_id, struct err *err)
{
    struct slice id;
    TRY(api_call_id_member(call, body, name, &id, err));
    const bool is_given = json_node_kind(json_node_get(body, name)) != JSON_KIND_NULL;
    if (is_given && slice_is_empty(id))
        return api_refuse_type(call, "string", err);
    *ret_id = is_given ? arena_copy_slice(call->arena, id) : NULL;
    return true;
}

int64_t api_admin_user_id(const char *text)
{
    int64_t id = 0;
    return number_parse_int64(slice_text(text), &id) && id > 0 ? id : 0;
}

bool api_admin_bool(struct api_call *call, const struct json_node *body, const char *name,
                    bool *ret_is_given, bool *ret_value, struct err *err)
{
    const struct json_node *node = json_node_get(body, name);
    if (node != NULL && json_node_kind(node) != JSON_KIND_BOOL)
        return api_refuse_type(call, "boolean", err);
    *ret_is_given = node != NULL;
    if (node != NULL)
        *ret_value = json_node_bool(node);
    return true;
}

bool api_admin_integer(struct api_call *call, const struct json_node *body, const char *name,
                       int64_t max, bool *ret_is_given, int64_t *ret_value, struct err *err)
{
    const struct json_node *node = json_node_get(body, name);
    *ret_is_given = json_node_kind(node) != JSON_KIND_NULL;
    if (!*ret_is_given)
        return true;
    if (json_node_kind(node) != JSON_KIND_INT64)
        return api_refuse_type(call, "integer", err);
    const int64_t value = json_node_int64(node);
    if (value < 0 || value > max)
        return api_refuse(call, err, 400, "Number out of range");
    *ret_value = value;
    return true;
}

bool api_admin_grace(struct api_call *call, int64_t *ret_grace_ms, struct err *err)
{
    const struct json_node *body = NULL;
    bool is_given = false;
    int64_t grace_s = API_GRACE_DEFAULT_S;
    TRY(api_optional_body(call, &body, err));
    TRY(api_admin_integer(call, body, "grace_seconds", TENANT_GRACE_MAX_MS / 1000, &is_given,
                          &grace_s, err));
    *ret_grace_ms = grace_s * 1000;
    return true;
}

bool api_admin_check_organization(struct api_call *call, const char *id, struct err *err)
{
    struct tenant_organization organization;
    if (id == NULL || tenant_get_organization(call->catalog, id, call->arena, &organization, err))
        return true;
    if (err->kind == ERR_NOT_FOUND)
        return api_refuse(call, err, 404, "Organization not found");
    return false;
}

bool api_admin_organization_query(struct api_call *call, const char **ret_id, struct err *err)
{
    struct slice id;
    TRY(api_call_query(call, "organization_id", &id, err));
    TRY(api_call_catalog(call, err));
    *ret_id = slice_is_empty(id) ? NULL : arena_copy_slice(call->arena, id);
    return api_admin_check_organization(call, *ret_id, err);
}
