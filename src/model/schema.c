// SPDX-License-Identifier: Apache-2.0
#include "model/schema.h"

#include "base/check.h"
#include "base/mem.h"
#include "model/schema_internal.h"

#define SCHEMA_TOPIC_NAME_BYTES_MAX ((size_t)128)

const struct schema_field schema_event_id = {
    .name = "id", .type = FIELD_TEXT, .origin = FIELD_LEARNED};

const struct schema_field schema_system_fields[SCHEMA_SYSTEM_FIELDS] = {
    {.name = "app_id", .type = FIELD_INT64},
    {.name = "organization_id", .type = FIELD_INT64},
    {.name = "timestamp", .type = FIELD_TIME},
};

// The built-in field that each system column stands before in the order of ["all"].
static const char *const schema_system_followers[SCHEMA_SYSTEM_FIELDS] = {
    "app_name",
    "organization_name",
    "timestamp_iso",
};

static const struct schema_field *schema_find_in(const struct schema_field *fields, size_t count,
                                                 struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_text(name, fields[i].name))
            return &fields[i];
    }
    return NULL;
}

const struct schema_field *schema_find(const struct schema *schema, struct slice name)
{
    const struct schema_field *field = schema_find_in(schema_system_fields, SCHEMA_SYSTEM_FIELDS,
                                                      name);
    if (field == NULL)
        field = schema_find_in(schema->fields, schema->field_count, name);
    if (field == NULL && slice_equal_text(name, schema_event_id.name))
        field = &schema_event_id;
    return field;
}

static bool schema_name_is_plain(struct slice name)
{
    const char *bytes = slice_chars(name);
    for (size_t i = 0; i < name.size_bytes; i++) {
        const char byte = bytes[i];
        const bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                              (byte >= '0' && byte <= '9') ||
                              (byte != '\0' && strchr("_-.$~+", byte) != NULL);
        if (!is_plain)
            return false;
    }
    return name.size_bytes > 0 && name.size_bytes <= SCHEMA_NAME_BYTES_MAX;
}

bool schema_set_unavailable(struct err *err, struct slice name)
{
    if (!schema_name_is_plain(name))
        return err_set(err, ERR_INVALID, "field is not available for exports");
    return err_set(err, ERR_INVALID, "%.*s field is not available for exports",
                   (int)name.size_bytes, slice_chars(name));
}

// --- Index: open addressing, at most half full; a slot holds the position + 1, 0 is free.

struct schema_index {
    const struct schema *schema;
    size_t mask;
    uint16_t slots[];
};

_Static_assert(SCHEMA_FIELDS_MAX < UINT16_MAX, "positions fit into a slot");

// FNV-1a. Names that collide on purpose cost at most SCHEMA_FIELDS_MAX comparisons each.
static size_t schema_hash(struct slice name)
{
    const unsigned char *bytes = name.data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.size_bytes; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ (hash >> 32));
}

struct schema_index *schema_index_new(const struct schema *schema)
{
    ASSERT(schema->field_count < UINT16_MAX);
    size_t slot_count = 16;
    while (slot_count < schema->field_count * 2)
        slot_count *= 2;
    struct schema_index *index = mem_alloc(sizeof *index + slot_count * sizeof index->slots[0]);
    index->schema = schema;
    index->mask = slot_count - 1;
    for (size_t i = 0; i < schema->field_count; i++) {
        size_t slot = schema_hash(slice_text(schema->fields[i].name)) & index->mask;
        while (index->slots[slot] != 0)
            slot = (slot + 1) & index->mask;
        index->slots[slot] = (uint16_t)(i + 1);
    }
    return index;
}

void schema_index_free(struct schema_index **index)
{
    mem_free(*index);
    *index = NULL;
}

int schema_index_find(const struct schema_index *index, struct slice name)
{
    size_t slot = schema_hash(name) & index->mask;
    while (index->slots[slot] != 0) {
        const size_t position = (size_t)index->slots[slot] - 1;
        if (slice_equal_text(name, index->schema->fields[position].name))
            return (int)position;
        slot = (slot + 1) & index->mask;
    }
    return -1;
}

// --- Topics.

const struct schema *schema_builtin(struct slice topic_name)
{
    for (size_t i = 0; i < SCHEMA_BUILTIN_TOPICS; i++) {
        if (slice_equal_text(topic_name, schema_builtin_topics[i].topic_name))
            return &schema_builtin_topics[i];
    }
    return NULL;
}

const char *schema_builtin_name(size_t index)
{
    return index < SCHEMA_BUILTIN_TOPICS ? schema_builtin_topics[index].topic_name : NULL;
}

bool schema_topic_name_is_valid(struct slice name)
{
    const char *bytes = slice_chars(name);
    if (name.size_bytes == 0 || name.size_bytes > SCHEMA_TOPIC_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.size_bytes; i++) {
        const char byte = bytes[i];
        const bool is_alphanumeric = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                                     (byte >= '0' && byte <= '9');
        if (!is_alphanumeric && (i == 0 || (byte != '_' && byte != '.' && byte != '-')))
            return false;
    }
    return true;
}

// --- Types and columns.

enum field_type schema_widen(enum field_type known, bool known_is_wide, enum field_type seen,
                             bool seen_is_wide)
{
    if (known == seen)
        return known;
    const bool is_exact_as_double = (known == FIELD_INT64 && !known_is_wide &&
                                     seen == FIELD_DOUBLE) ||
                                    (known == FIELD_DOUBLE && seen == FIELD_INT64 && !seen_is_wide);
    return is_exact_as_double ? FIELD_DOUBLE : FIELD_TEXT;
}

// Where the system column stands: the position of the field that follows it.
static size_t schema_system_position(const struct schema *schema, size_t system)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (schema->fields[i].origin == FIELD_BUILTIN &&
            strcmp(schema->fields[i].name, schema_system_followers[system]) == 0)
            return i;
    }
    return 0;
}

size_t schema_all_columns(const struct schema *schema, struct arena *arena,
                          struct column **ret_columns)
{
    size_t positions[SCHEMA_SYSTEM_FIELDS];
    for (size_t system = 0; system < SCHEMA_SYSTEM_FIELDS; system++)
        positions[system] = schema_system_position(schema, system);

    const size_t total = schema->field_count + SCHEMA_SYSTEM_FIELDS;
    struct column *columns = arena_alloc_array(arena, total, sizeof *columns);
    size_t count = 0;
    for (size_t i = 0; i <= schema->field_count; i++) {
        for (size_t system = 0; system < SCHEMA_SYSTEM_FIELDS; system++) {
            if (positions[system] == i) {
                columns[count++] = (struct column){.name = schema_system_fields[system].name,
                                                   .type = schema_system_fields[system].type};
            }
        }
        if (i < schema->field_count) {
            columns[count++] = (struct column){.name = schema->fields[i].name,
                                               .type = schema->fields[i].type};
        }
    }
    ASSERT(count == total);
    *ret_columns = columns;
    return count;
}
