// SPDX-License-Identifier: Apache-2.0
// A topic's schema is its built-in fields (schema_builtin) and then those of topic_fields by
// ordinal. A built-in topic gets a row with the organization's first event of it; without one it is
// schema 1, and so is a row without further fields. Each change of the fields makes the next schema
// id.
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/topics_internal.h"

// --- Loading

#define TOPIC_FIELD_COLUMNS      "f.name, f.type, f.origin, f.is_sensitive, f.is_wide"
#define TOPIC_FIELD_COLUMN_COUNT ((size_t)5)

static bool topic_read_field(const struct db_rows *rows, size_t first_column, struct arena *arena,
                             struct schema_field *ret_field, struct err *err)
{
    const int64_t type = db_rows_int64(rows, first_column + 1);
    const int64_t origin = db_rows_int64(rows, first_column + 2);
    if (type < 0 || type >= FIELD_TYPE_COUNT || origin < FIELD_BUILTIN || origin > FIELD_LEARNED)
        return err_set(err, ERR_CORRUPT, "field of type %" PRId64 " and origin %" PRId64, type,
                       origin);
    *ret_field = (struct schema_field){
        .name = catalog_row_text(rows, first_column, arena),
        .type = (enum field_type)type,
        .origin = (enum field_origin)origin,
        .is_sensitive = db_rows_int64(rows, first_column + 3) != 0,
        .is_wide = db_rows_int64(rows, first_column + 4) != 0,
    };
    return true;
}

// Starts a list of fields with the built-in ones. Names of rows that a newer program has built in
// are left out by the caller: the built-in field is the one that counts.
static void topic_start_fields(const struct schema *builtin, struct arena *arena,
                               struct catalog_list *ret_fields)
{
    *ret_fields = (struct catalog_list){0};
    for (size_t i = 0; builtin != NULL && i < builtin->field_count; i++) {
        struct schema_field *field = catalog_list_add(ret_fields, arena, sizeof *field);
        *field = builtin->fields[i];
    }
}

static bool topic_is_builtin_field(const struct schema_index *builtin_index, const char *name)
{
    return builtin_index != NULL && schema_index_find(builtin_index, slice_text(name)) >= 0;
}

static bool topic_load_rows(struct catalog *catalog, int64_t topic_id,
                            const struct schema_index *builtin_index, struct arena *arena,
                            struct catalog_list *fields, int64_t *ret_next_ordinal, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_int64(topic_id)};
    TRY(db_query(catalog->db,
                 "SELECT " TOPIC_FIELD_COLUMNS ", f.ordinal FROM topic_fields f"
                 " WHERE f.topic_id = $1 ORDER BY f.ordinal",
                 values, ARRAY_COUNT(values), &rows, err));
    *ret_next_ordinal = 0;
    while (db_rows_next(rows, err)) {
        struct schema_field field;
        TRY(topic_read_field(rows, 0, arena, &field, err));
        *ret_next_ordinal = db_rows_int64(rows, TOPIC_FIELD_COLUMN_COUNT) + 1;
        if (topic_is_builtin_field(builtin_index, field.name))
            continue;
        struct schema_field *place = catalog_list_add(fields, arena, sizeof *place);
        *place = field;
    }
    return err->kind == ERR_NONE;
}

static bool topic_load_fields(struct catalog *catalog, const struct schema *builtin,
                              int64_t topic_id, struct arena *arena, struct schema *schema,
                              int64_t *ret_next_ordinal, struct err *err)
{
    struct catalog_list fields;
    topic_start_fields(builtin, arena, &fields);
    struct schema_index *builtin_index CLEANUP(schema_index_free) = builtin == NULL
                                                                        ? NULL
                                                                        : schema_index_new(builtin);
    *ret_next_ordinal = 0;
    if (topic_id != 0)
        TRY(topic_load_rows(catalog, topic_id, builtin_index, arena, &fields, ret_next_ordinal,
                            err));
    schema->fields = fields.items;
    schema->field_count = fields.count;
    return true;
}

bool topic_load(struct catalog *catalog, const char *organization_id, struct slice name,
                struct arena *arena, struct schema *ret_schema, bool *ret_is_known,
                int64_t *ret_next_ordinal, struct err *err)
{
    struct schema schema = {.schema_id = 1, .topic_name = arena_copy_slice(arena, name)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_text(organization_id), db_slice(name)};
    TRY(catalog_query_row(
        catalog, "SELECT id, schema_id FROM topics WHERE organization_id = $1 AND name = $2",
        values, ARRAY_COUNT(values), &rows, &found, err));
    if (found) {
        schema.topic_id = db_rows_int64(rows, 0);
        schema.schema_id = db_rows_int64(rows, 1);
    }
    const struct schema *builtin = schema_builtin(name);
    TRY(topic_load_fields(catalog, builtin, schema.topic_id, arena, &schema, ret_next_ordinal,
                          err));
    *ret_is_known = found || builtin != NULL;
    *ret_schema = schema;
    return true;
}

static const struct schema *topic_keep(struct arena *arena, const struct schema *schema)
{
    struct schema *kept = arena_alloc(arena, sizeof *kept);
    *kept = *schema;
    return kept;
}

// The calls below read with several statements, which must see one state.

static bool topic_get_in_view(struct catalog *catalog, const char *organization_id,
                              struct slice name, struct arena *arena,
                              const struct schema **ret_schema, struct err *err)
{
    struct schema schema;
    bool is_known = false;
    int64_t next_ordinal = 0;
    TRY(topic_load(catalog, organization_id, name, arena, &schema, &is_known, &next_ordinal, err));
    if (!is_known)
        return err_set(err, ERR_NOT_FOUND, "no such topic");
    *ret_schema = topic_keep(arena, &schema);
    return true;
}

bool topic_get(struct catalog *catalog, const char *organization_id, struct slice name,
               struct arena *arena, const struct schema **ret_schema, struct err *err)
{
    TRY(db_begin_read(catalog->db, err));
    const bool is_done = topic_get_in_view(catalog, organization_id, name, arena, ret_schema, err);
    db_end_read(catalog->db);
    return is_done;
}

static bool topic_get_by_id_in_view(struct catalog *catalog, int64_t topic_id, struct arena *arena,
                                    const struct schema **ret_schema,
                                    const char **ret_organization_id, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_int64(topic_id)};
    TRY(catalog_query_row(catalog,
                          "SELECT organization_id, name, schema_id FROM topics WHERE id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "no such topic");
    struct schema schema = {
        .topic_id = topic_id,
        .schema_id = db_rows_int64(rows, 2),
        .topic_name = catalog_row_text(rows, 1, arena),
    };
    int64_t next_ordinal = 0;
    TRY(topic_load_fields(catalog, schema_builtin(slice_text(schema.topic_name)), topic_id, arena,
                          &schema, &next_ordinal, err));
    *ret_organization_id = catalog_row_text(rows, 0, arena);
    *ret_schema = topic_keep(arena, &schema);
    return true;
}

bool topic_get_by_id(struct catalog *catalog, int64_t topic_id, struct arena *arena,
                     const struct schema **ret_schema, const char **ret_organization_id,
                     struct err *err)
{
    TRY(db_begin_read(catalog->db, err));
    const bool is_done = topic_get_by_id_in_view(catalog, topic_id, arena, ret_schema,
                                                 ret_organization_id, err);
    db_end_read(catalog->db);
    return is_done;
}

static bool topic_list_in_view(struct catalog *catalog, const char *organization_id,
                               struct arena *arena, struct catalog_list *schemas, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(organization_id)};
    TRY(db_query(catalog->db,
                 "SELECT id, name, schema_id FROM topics WHERE organization_id = $1 ORDER BY name",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        struct schema *schema = catalog_list_add(schemas, arena, sizeof *schema);
        schema->topic_id = db_rows_int64(rows, 0);
        schema->topic_name = catalog_row_text(rows, 1, arena);
        schema->schema_id = db_rows_int64(rows, 2);
        int64_t next_ordinal = 0;
        TRY(topic_load_fields(catalog, schema_builtin(slice_text(schema->topic_name)),
                              schema->topic_id, arena, schema, &next_ordinal, err));
    }
    return err->kind == ERR_NONE;
}

bool topic_list(struct catalog *catalog, const char *organization_id, struct arena *arena,
                const struct schema **ret_schemas, size_t *ret_count, struct err *err)
{
    struct catalog_list schemas = {0};
    TRY(db_begin_read(catalog->db, err));
    const bool is_done = topic_list_in_view(catalog, organization_id, arena, &schemas, err);
    db_end_read(catalog->db);
    TRY(is_done);
    *ret_schemas = schemas.items;
    *ret_count = schemas.count;
    return true;
}
