// SPDX-License-Identifier: Apache-2.0
// Topics and their fields. Topics that Branch documents are there for everybody; the others belong
// to the organization that declared or sent them.
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "base/check.h"

static const char *api_origin_name(enum field_origin origin)
{
    switch (origin) {
    case FIELD_BUILTIN:
        return "built-in";
    case FIELD_DECLARED:
        return "declared";
    case FIELD_LEARNED:
        break;
    }
    return "learned";
}

static void api_write_field(struct json_text *json, const struct schema_field *field,
                            const char *origin)
{
    json_text_open(json, '{');
    json_text_member_text(json, "name", field->name);
    json_text_member_text(json, "type", field_type_name(field->type));
    json_text_member_bool(json, "sensitive", field->is_sensitive);
    json_text_member_text(json, "origin", origin);
    json_text_close(json, '}');
}

static void api_write_topic(struct json_text *json, const struct schema *schema)
{
    const size_t system_count = ARRAY_COUNT(schema_system_fields);
    json_text_open(json, '{');
    json_text_member_text(json, "name", schema->topic_name);
    json_text_member_int64(json, "schema_id", schema->schema_id);
    json_text_key(json, "fields");
    json_text_open(json, '[');
    for (size_t i = 0; i < system_count; i++)
        api_write_field(json, &schema_system_fields[i], "system");
    for (size_t i = 0; i < schema->field_count; i++)
        api_write_field(json, &schema->fields[i], api_origin_name(schema->fields[i].origin));
    json_text_close(json, ']');
    json_text_close(json, '}');
}

static void api_write_topic_line(struct json_text *json, const struct schema *schema)
{
    json_text_open(json, '{');
    json_text_member_text(json, "name", schema->topic_name);
    json_text_member_int64(json, "schema_id", schema->schema_id);
    json_text_member_int64(json, "field_count", (int64_t)schema->field_count);
    json_text_member_bool(json, "built_in", schema_builtin(slice_text(schema->topic_name)) != NULL);
    json_text_close(json, '}');
}

static bool api_has_topic(const struct schema *schemas, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(schemas[i].topic_name, name) == 0)
            return true;
    }
    return false;
}

// The organization's own in the order of names, then built-in ones that it has not used.
bool api_topic_list(struct api_call *call, struct err *err)
{
    const struct schema *schemas = NULL;
    size_t count = 0;
    struct api_page page;
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(api_call_catalog(call, err));
    TRY(topic_list(call->catalog, call->identity.organization_id, call->arena, &schemas, &count,
                   err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++) {
        if (api_page_takes(&page, (struct api_place){0, schemas[i].topic_name}))
            api_write_topic_line(&call->json, &schemas[i]);
    }
    const char *name;
    for (size_t i = 0; (name = schema_builtin_name(i)) != NULL; i++) {
        if (!api_has_topic(schemas, count, name) &&
            api_page_takes(&page, (struct api_place){(int64_t)i + 1, name}))
            api_write_topic_line(&call->json, schema_builtin(slice_text(name)));
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_topic_get(struct api_call *call, struct err *err)
{
    const struct schema *schema = NULL;
    TRY(api_call_catalog(call, err));
    TRY(topic_get(call->catalog, call->identity.organization_id, call->match.params[0], call->arena,
                  &schema, err));
    api_write_topic(&call->json, schema);
    return true;
}

static bool api_parse_field(struct api_call *call, const struct json_node *node,
                            struct schema_field *ret_field, struct err *err)
{
    struct slice name;
    struct slice type;
    if (json_node_kind(node) != JSON_KIND_OBJECT)
        return api_refuse(call, err, 400, "Invalid field: object expected");
    TRY(api_call_text_member(call, node, "name", &name, err));
    TRY(api_call_text_member(call, node, "type", &type, err));
    const struct json_node *sensitive = json_node_get(node, "sensitive");
    const enum json_kind kind = json_node_kind(sensitive);
    if (kind != JSON_KIND_NULL && kind != JSON_KIND_BOOL)
        return api_refuse(call, err, 400, "Invalid type: boolean expected");
    struct schema_field field = {
        .name = arena_copy_slice(call->arena, name),
        .origin = FIELD_DECLARED,
        .is_sensitive = kind == JSON_KIND_BOOL && json_node_bool(sensitive),
    };
    if (!field_type_parse(type, &field.type))
        return api_refuse(call, err, 400, "Invalid field type");
    *ret_field = field;
    return true;
}

bool api_topic_declare(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct slice name;
    TRY(api_call_object(call, &body, err));
    TRY(api_call_text_member(call, body, "name", &name, err));
    if (!schema_topic_name_is_valid(name))
        return api_refuse(call, err, 400, "Invalid topic name");
    const struct json_node *list = json_node_get(body, "fields");
    if (json_node_kind(list) != JSON_KIND_ARRAY)
        return api_refuse(call, err, 400, "Missing required field: fields");
    const size_t count = json_node_count(list);
    if (count > SCHEMA_FIELDS_MAX)
        return api_refuse(call, err, 400, "Too many fields");
    struct schema_field *fields = arena_alloc_array(call->arena, count, sizeof *fields);
    for (size_t i = 0; i < count; i++)
        TRY(api_parse_field(call, json_node_at(list, i), &fields[i], err));
    const struct schema *schema = NULL;
    TRY(topic_declare(call->catalog, call->identity.organization_id, name, fields, count,
                      call->now_ms, call->arena, &schema, err));
    api_write_topic(&call->json, schema);
    api_call_changed(call);
    return true;
}
