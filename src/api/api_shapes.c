// SPDX-License-Identifier: Apache-2.0
// The tables of shapes together: look-up, and printing as JSON Schema 2020-12.
#include "api/api_shapes.h"

#include <string.h>

#include "base/check.h"

const struct api_scalar api_scalars[] = {
    {"any", "{}"},
    {"object", "{\"type\":\"object\"}"},
    {"string", "{\"type\":\"string\"}"},
    {"text", "{\"type\":\"string\",\"minLength\":1}"},
    {"name", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}"},
    {"boolean", "{\"type\":\"boolean\"}"},
    {"number", "{\"type\":\"number\"}"},
    {"integer", "{\"type\":\"integer\",\"format\":\"int64\"}"},
    {"count", "{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":0}"},
    {"positive", "{\"type\":\"integer\",\"format\":\"int64\",\"minimum\":1}"},
    {"id", "{\"type\":\"string\",\"pattern\":\"^[1-9][0-9]{17,18}$\"}"},
    {"uuid", "{\"type\":\"string\",\"format\":\"uuid\",\"pattern\":"
             "\"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$\"}"},
    {"key_id", "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9]{10}$\"}"},
    {"sha256", "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}"},
    {"url", "{\"type\":\"string\",\"format\":\"uri\",\"pattern\":\"^https?://\"}"},
    {"time", "{\"type\":\"string\",\"pattern\":"
             "\"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}-00:00$\","
             "\"examples\":[\"2026-11-23T14:00:00.000-00:00\"]}"},
    // ISO 8601; UTC without an offset.
    {"date", "{\"type\":\"string\",\"examples\":[\"2026-11-23T14:00:00Z\",\"2026-11-23\"]}"},
};

const size_t api_scalar_count = ARRAY_COUNT(api_scalars);

const struct api_shape *const api_shape_tables[] = {
    api_shapes_common,
    api_shapes_branch,
    api_shapes_exports,
    api_shapes_native,
    api_shapes_notifications,
    api_shapes_admin,
    NULL,
};

const struct api_shape *api_shape_find(struct slice name)
{
    for (size_t i = 0; api_shape_tables[i] != NULL; i++) {
        for (const struct api_shape *shape = api_shape_tables[i]; shape->name != NULL; shape++) {
            if (slice_equal_text(name, shape->name))
                return shape;
        }
    }
    return NULL;
}

const struct api_parameter *api_parameter_find(const char *place, struct slice name)
{
    for (size_t i = 0; i < api_parameter_count; i++) {
        const struct api_parameter *parameter = &api_parameters[i];
        if (strcmp(parameter->place, place) == 0 && slice_equal_text(name, parameter->name))
            return parameter;
    }
    return NULL;
}

static const struct api_scalar *api_scalar_find(struct slice name)
{
    for (size_t i = 0; i < api_scalar_count; i++) {
        if (slice_equal_text(name, api_scalars[i].name))
            return &api_scalars[i];
    }
    return NULL;
}

// Takes the last "?" or "[]" off a type; '\0' when it has none.
static char api_type_suffix(struct slice *type)
{
    const size_t size = type->size_bytes;
    const char *bytes = slice_chars(*type);
    if (size > 1 && bytes[size - 1] == '?') {
        *type = slice_part(*type, 0, size - 1);
        return '?';
    }
    if (size > 2 && bytes[size - 2] == '[' && bytes[size - 1] == ']') {
        *type = slice_part(*type, 0, size - 2);
        return '[';
    }
    return '\0';
}

bool api_type_is_known(const char *type)
{
    struct slice rest = slice_text(type);
    while (api_type_suffix(&rest) != '\0') {
    }
    return api_scalar_find(rest) != NULL || api_shape_find(rest) != NULL;
}

// The suffixes stand in the order of reading from the inside out, so the last one opens first.
static void api_open_suffix(struct json_text *json, char suffix)
{
    if (suffix == '[') {
        json_text_member_text(json, "type", "array");
        json_text_key(json, "items");
        json_text_open(json, '{');
        return;
    }
    json_text_key(json, "anyOf");
    json_text_open(json, '[');
    json_text_open(json, '{');
}

static void api_close_suffix(struct json_text *json, char suffix)
{
    json_text_close(json, '}');
    if (suffix == '[')
        return;
    json_text_raw(json, slice_text("{\"type\":\"null\"}"));
    json_text_close(json, ']');
}

static void api_write_base_type(struct json_text *json, struct slice name)
{
    const struct api_scalar *scalar = api_scalar_find(name);
    if (scalar == NULL) {
        ASSERT(api_shape_find(name) != NULL);
        json_text_key(json, "$ref");
        struct buf reference;
        buf_init(&reference, 256);
        buf_append_format(&reference, "#/components/schemas/%.*s", (int)name.size_bytes,
                          slice_chars(name));
        json_text_string(json, buf_slice(&reference));
        buf_clear(&reference);
        return;
    }
    const struct slice members = slice_text(scalar->schema); // within braces
    if (members.size_bytes > 2)
        json_text_raw(json, slice_part(members, 1, members.size_bytes - 2));
}

void api_write_type(struct json_text *json, const char *type, const char *doc)
{
    char suffixes[4];
    size_t count = 0;
    struct slice rest = slice_text(type);
    for (char suffix; (suffix = api_type_suffix(&rest)) != '\0';) {
        ASSERT(count < sizeof suffixes);
        suffixes[count++] = suffix;
    }
    json_text_open(json, '{');
    if (doc != NULL)
        json_text_member_text(json, "description", doc);
    for (size_t i = 0; i < count; i++)
        api_open_suffix(json, suffixes[i]);
    api_write_base_type(json, rest);
    for (size_t i = count; i > 0; i--)
        api_close_suffix(json, suffixes[i - 1]);
    json_text_close(json, '}');
}

static bool api_is_optional(const struct api_member *member)
{
    return member->name[strlen(member->name) - 1] == '?';
}

static struct slice api_member_name(const struct api_member *member)
{
    return slice_of(member->name, strlen(member->name) - (api_is_optional(member) ? 1 : 0));
}

// Shapes of which one is the base of the next, the outermost base first.
#define API_BASES_MAX ((size_t)4)

static size_t api_collect_bases(const struct api_shape *shape,
                                const struct api_shape *ret_shapes[API_BASES_MAX])
{
    size_t count = 0;
    for (const struct api_shape *at = shape; at != NULL;) {
        ASSERT(count < API_BASES_MAX);
        memmove(ret_shapes + 1, ret_shapes, count * sizeof *ret_shapes);
        ret_shapes[0] = at;
        count++;
        at = at->base == NULL ? NULL : api_shape_find(slice_text(at->base));
    }
    return count;
}

static void api_write_properties(struct json_text *json, const struct api_shape *shape)
{
    for (const struct api_member *member = shape->members; member->name != NULL; member++) {
        json_text_key_slice(json, api_member_name(member));
        api_write_type(json, member->type, member->doc);
    }
}

static void api_write_object(struct json_text *json, const struct api_shape *shape)
{
    const struct api_shape *shapes[API_BASES_MAX];
    const size_t count = api_collect_bases(shape, shapes);
    json_text_member_text(json, "type", "object");
    json_text_key(json, "required");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        for (const struct api_member *member = shapes[i]->members; member->name != NULL; member++) {
            if (!api_is_optional(member))
                json_text_string(json, api_member_name(member));
        }
    }
    json_text_close(json, ']');
    json_text_key(json, "properties");
    json_text_open(json, '{');
    for (size_t i = 0; i < count; i++)
        api_write_properties(json, shapes[i]);
    json_text_close(json, '}');
}

static void api_write_enumeration(struct json_text *json, const struct api_shape *shape)
{
    json_text_member_text(json, "type", "string");
    json_text_key(json, shape->is_open ? "examples" : "enum");
    json_text_open(json, '[');
    const char *value;
    for (size_t i = 0; (value = shape->value_at(i)) != NULL; i++)
        json_text_string(json, slice_text(value));
    json_text_close(json, ']');
}

void api_write_shape(struct json_text *json, const struct api_shape *shape)
{
    json_text_open(json, '{');
    json_text_member_text(json, "description", shape->doc);
    if (shape->members != NULL) {
        api_write_object(json, shape);
    } else if (shape->value_at != NULL) {
        api_write_enumeration(json, shape);
    } else {
        const struct slice members = slice_text(shape->schema); // within braces
        json_text_raw(json, slice_part(members, 1, members.size_bytes - 2));
    }
    json_text_close(json, '}');
}
