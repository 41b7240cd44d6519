// SPDX-License-Identifier: Apache-2.0
// Declaring and learning fields: the schema is loaded into a draft, changed there, and what changed
// is written, all inside one transaction.
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/topics_internal.h"
#include "model/event.h"

#define TOPIC_COUNT_MAX INT64_C(1000)

// Its arrays live in the caller's arena.
struct topic_draft {
    struct schema schema;
    struct schema_field *fields; // schema.fields
    bool is_known;               // it has a row or is built in
    bool *is_changed;            // of each field, also the new ones
    size_t loaded_count;         // fields that it had
    size_t capacity;
    int64_t next_ordinal;
    struct schema_index *index; // of the loaded fields
    struct schema loaded;       // what the index looks at
};

static void topic_draft_clear(struct topic_draft *draft)
{
    schema_index_free(&draft->index);
}

// With room for extra_count more fields.
static bool topic_draft_load(struct catalog *catalog, const char *organization_id,
                             struct slice name, size_t extra_count, struct arena *arena,
                             struct topic_draft *draft, struct err *err)
{
    TRY(topic_load(catalog, organization_id, name, arena, &draft->loaded, &draft->is_known,
                   &draft->next_ordinal, err));
    draft->index = schema_index_new(&draft->loaded);
    draft->schema = draft->loaded;
    draft->loaded_count = draft->loaded.field_count;
    draft->capacity = draft->loaded_count + extra_count;
    draft->is_changed = arena_alloc_array(arena, draft->capacity, sizeof *draft->is_changed);
    draft->fields = arena_alloc_array(arena, draft->capacity, sizeof *draft->fields);
    if (draft->loaded_count > 0)
        memcpy(draft->fields, draft->loaded.fields, draft->loaded_count * sizeof *draft->fields);
    draft->schema.fields = draft->fields;
    return true;
}

static bool topic_draft_has_changes(const struct topic_draft *draft)
{
    for (size_t i = 0; i < draft->schema.field_count; i++) {
        if (draft->is_changed[i])
            return true;
    }
    return false;
}

// The field, or NULL. The index knows the loaded ones.
static struct schema_field *topic_draft_find(const struct topic_draft *draft, const char *name)
{
    const int loaded = schema_index_find(draft->index, slice_text(name));
    if (loaded >= 0)
        return &draft->fields[loaded];
    for (size_t i = draft->loaded_count; i < draft->schema.field_count; i++) {
        if (strcmp(draft->fields[i].name, name) == 0)
            return &draft->fields[i];
    }
    return NULL;
}

static void topic_draft_mark(struct topic_draft *draft, const struct schema_field *field)
{
    draft->is_changed[field - draft->fields] = true;
}

static bool topic_draft_add(struct topic_draft *draft, const struct schema_field *field,
                            struct arena *arena, struct err *err)
{
    if (draft->schema.field_count >= SCHEMA_FIELDS_MAX)
        return err_set(err, ERR_LIMIT, "a topic can have %zu fields", SCHEMA_FIELDS_MAX);
    ASSERT(draft->schema.field_count < draft->capacity);
    struct schema_field *place = &draft->fields[draft->schema.field_count++];
    *place = *field;
    place->name = arena_copy_text(arena, field->name);
    topic_draft_mark(draft, place);
    return true;
}

// --- Saving

static bool topic_insert(struct catalog *catalog, const char *organization_id, int64_t now_ms,
                         struct schema *schema, struct err *err)
{
    const struct db_value owner[] = {db_text(organization_id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog, "SELECT count(*) FROM topics WHERE organization_id = $1",
                            owner, ARRAY_COUNT(owner), &count, err));
    if (count >= TOPIC_COUNT_MAX)
        return err_set(err, ERR_LIMIT, "an organization can have %" PRId64 " topics",
                       TOPIC_COUNT_MAX);
    const struct db_value values[] = {db_text(organization_id), db_text(schema->topic_name),
                                      db_int64(schema->schema_id), db_int64(now_ms)};
    return catalog_query_int64(catalog,
                               "INSERT INTO topics(organization_id, name, schema_id, created_at_ms)"
                               " VALUES($1, $2, $3, $4) RETURNING id",
                               values, ARRAY_COUNT(values), &schema->topic_id, err);
}

static bool topic_update(struct catalog *catalog, const struct schema *schema, struct err *err)
{
    const struct db_value values[] = {db_int64(schema->topic_id), db_int64(schema->schema_id)};
    return db_exec(catalog->db, "UPDATE topics SET schema_id = $2 WHERE id = $1", values,
                   ARRAY_COUNT(values), NULL, err);
}

static bool topic_save_field(struct catalog *catalog, const struct topic_draft *draft,
                             size_t position, struct err *err)
{
    const struct schema_field *field = &draft->fields[position];
    const bool is_new = position >= draft->loaded_count;
    const int64_t new_ordinal =
        is_new ? draft->next_ordinal + (int64_t)(position - draft->loaded_count) : 0;
    const struct db_value values[] = {
        db_int64(draft->schema.topic_id),  db_text(field->name),          db_int64(field->type),
        db_int64(field->origin),           db_int64(field->is_sensitive), db_int64(field->is_wide),
        db_int64(draft->schema.schema_id), db_int64(new_ordinal),
    };
    return db_exec(
        catalog->db,
        is_new ? "INSERT INTO topic_fields(topic_id, name, type, origin, is_sensitive, is_wide,"
                 " schema_id, ordinal) VALUES($1, $2, $3, $4, $5, $6, $7, $8)"
               : "UPDATE topic_fields SET type = $3, origin = $4, is_sensitive = $5, is_wide = $6,"
                 " schema_id = $7 WHERE topic_id = $1 AND name = $2",
        values, ARRAY_COUNT(values), NULL, err);
}

static bool topic_draft_save(struct catalog *catalog, const char *organization_id, int64_t now_ms,
                             struct topic_draft *draft, struct err *err)
{
    const bool has_changes = topic_draft_has_changes(draft);
    if (has_changes && draft->is_known)
        draft->schema.schema_id++;
    if (draft->schema.topic_id == 0)
        TRY(topic_insert(catalog, organization_id, now_ms, &draft->schema, err));
    else if (has_changes)
        TRY(topic_update(catalog, &draft->schema, err));
    for (size_t i = 0; i < draft->schema.field_count; i++) {
        if (draft->is_changed[i])
            TRY(topic_save_field(catalog, draft, i, err));
    }
    return true;
}

static const struct schema *topic_draft_keep(const struct topic_draft *draft, struct arena *arena)
{
    struct schema *schema = arena_alloc(arena, sizeof *schema);
    *schema = draft->schema;
    return schema;
}

static const struct schema_field *topic_find_system_field(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(schema_system_fields); i++) {
        if (strcmp(schema_system_fields[i].name, name) == 0)
            return &schema_system_fields[i];
    }
    return NULL;
}

static bool topic_check_name(struct slice name, struct err *err)
{
    if (!schema_topic_name_is_valid(name))
        return err_set(err, ERR_INVALID, "bad topic name");
    return true;
}

static bool topic_check_size(const char *field_name, struct err *err)
{
    const size_t size_bytes = strlen(field_name);
    if (size_bytes == 0 || size_bytes > SCHEMA_NAME_BYTES_MAX)
        return err_set(err, ERR_INVALID, "field name has not 1 to %zu bytes",
                       SCHEMA_NAME_BYTES_MAX);
    return true;
}

// --- Declaring

static bool topic_declare_known(struct topic_draft *draft, struct schema_field *field,
                                const struct schema_field *declared, struct err *err)
{
    if (field->type != declared->type)
        return err_set(err, ERR_CONFLICT, "field %s has the type %s", field->name,
                       field_type_name(field->type));
    const bool becomes_sensitive = declared->is_sensitive && !field->is_sensitive;
    if (field->origin == FIELD_BUILTIN) {
        if (becomes_sensitive)
            return err_set(err, ERR_CONFLICT, "field %s is built in", field->name);
        return true;
    }
    if (field->origin == FIELD_DECLARED && !becomes_sensitive)
        return true;
    field->origin = FIELD_DECLARED;
    field->is_sensitive = field->is_sensitive || declared->is_sensitive;
    topic_draft_mark(draft, field);
    return true;
}

static bool topic_declare_field(struct topic_draft *draft, const struct schema_field *declared,
                                struct arena *arena, struct err *err)
{
    TRY(topic_check_size(declared->name, err));
    if (!tenant_check_name(declared->name, err))
        return err_wrap(err, "field");
    if (topic_find_system_field(declared->name) != NULL ||
        event_name_is_reserved(slice_text(declared->name)))
        return err_set(err, ERR_INVALID, "field %s is of the system", declared->name);
    if (strcmp(declared->name, schema_event_id.name) == 0 && declared->type != schema_event_id.type)
        return err_set(err, ERR_CONFLICT, "field id has the type string");
    struct schema_field *known = topic_draft_find(draft, declared->name);
    if (known != NULL)
        return topic_declare_known(draft, known, declared, err);
    const struct schema_field field = {
        .name = declared->name,
        .type = declared->type,
        .origin = FIELD_DECLARED,
        .is_sensitive = declared->is_sensitive,
    };
    return topic_draft_add(draft, &field, arena, err);
}

static bool topic_declare_fields(struct topic_draft *draft, const struct schema_field *fields,
                                 size_t field_count, struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < field_count; i++)
        TRY(topic_declare_field(draft, &fields[i], arena, err));
    return true;
}

// The names of the fields that are new or became something else are too many for the audit log:
// the schema has them.
static bool topic_save_declared(struct catalog *catalog, const char *organization_id,
                                int64_t now_ms, struct topic_draft *draft, struct err *err)
{
    if (draft->schema.topic_id != 0 && !topic_draft_has_changes(draft))
        return true;
    TRY(topic_draft_save(catalog, organization_id, now_ms, draft, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_int64(&note.json, "schema_id", draft->schema.schema_id);
    json_text_member_int64(&note.json, "field_count", (int64_t)draft->schema.field_count);
    const struct audit_change change = {
        .organization_id = organization_id,
        .action = "topic.declare",
        .object_id = draft->schema.topic_name,
    };
    return audit_record_note(catalog, change, &note, err);
}

bool topic_declare(struct catalog *catalog, const char *organization_id, struct slice name,
                   const struct schema_field *fields, size_t field_count, int64_t now_ms,
                   struct arena *arena, const struct schema **ret_schema, struct err *err)
{
    TRY(topic_check_name(name, err));
    struct topic_draft draft CLEANUP(topic_draft_clear) = {0};
    TRY(db_begin(catalog->db, err));
    const bool is_done = topic_draft_load(catalog, organization_id, name, field_count, arena,
                                          &draft, err) &&
                         topic_declare_fields(&draft, fields, field_count, arena, err) &&
                         topic_save_declared(catalog, organization_id, now_ms, &draft, err);
    TRY(catalog_end(catalog, is_done, err));
    *ret_schema = topic_draft_keep(&draft, arena);
    return true;
}

// --- Learning

// As event_property_fits says of values, but a text does not fit a time: it may be none, and
// whoever saw it did not know to look.
static bool topic_sighting_fits(const struct topic_sighting *sighting, enum field_type type)
{
    return sighting->type == type || type == FIELD_JSON ||
           (sighting->type == FIELD_INT64 && (type == FIELD_DOUBLE || type == FIELD_TIME));
}

static bool topic_check_fixed(const struct schema_field *field,
                              const struct topic_sighting *sighting, struct err *err)
{
    if (!topic_sighting_fits(sighting, field->type))
        return err_set(err, ERR_INVALID, "field %s has the type %s", field->name,
                       field_type_name(field->type));
    return true;
}

static void topic_widen(struct topic_draft *draft, struct schema_field *field,
                        const struct topic_sighting *sighting)
{
    const enum field_type type = schema_widen(field->type, field->is_wide, sighting->type,
                                              sighting->is_wide);
    const bool is_wide = field->is_wide || sighting->is_wide;
    if (type == field->type && is_wide == field->is_wide)
        return;
    field->type = type;
    field->is_wide = is_wide;
    topic_draft_mark(draft, field);
}

static bool topic_learn_field(struct topic_draft *draft, const struct topic_sighting *sighting,
                              struct arena *arena, struct err *err)
{
    TRY(topic_check_size(sighting->name, err));
    const struct schema_field *system = topic_find_system_field(sighting->name);
    if (system != NULL)
        return topic_check_fixed(system, sighting, err);
    struct schema_field *known = topic_draft_find(draft, sighting->name);
    if (known != NULL && known->origin != FIELD_LEARNED)
        return topic_check_fixed(known, sighting, err);
    if (known != NULL) {
        topic_widen(draft, known, sighting);
        return true;
    }
    const struct schema_field field = {
        .name = sighting->name,
        .type = sighting->type,
        .origin = FIELD_LEARNED,
        .is_wide = sighting->is_wide,
    };
    return topic_draft_add(draft, &field, arena, err);
}

static bool topic_learn_draft(struct catalog *catalog, const char *organization_id,
                              struct slice name, const struct topic_sighting *sightings,
                              size_t sighting_count, struct arena *arena, struct topic_draft *draft,
                              struct err *err)
{
    TRY(topic_draft_load(catalog, organization_id, name, sighting_count, arena, draft, err));
    for (size_t i = 0; i < sighting_count; i++)
        TRY(topic_learn_field(draft, &sightings[i], arena, err));
    return true;
}

// *ret_schema stays NULL unless the schema has everything already: most calls are of a process that
// has not seen what another one wrote, and those need no write lock.
static bool topic_learn_nothing(struct catalog *catalog, const char *organization_id,
                                struct slice name, const struct topic_sighting *sightings,
                                size_t sighting_count, struct arena *arena,
                                const struct schema **ret_schema, struct err *err)
{
    struct topic_draft draft CLEANUP(topic_draft_clear) = {0};
    TRY(db_begin_read(catalog->db, err));
    const bool is_done = topic_learn_draft(catalog, organization_id, name, sightings,
                                           sighting_count, arena, &draft, err);
    db_end_read(catalog->db);
    TRY(is_done);
    if (draft.schema.topic_id != 0 && !topic_draft_has_changes(&draft))
        *ret_schema = topic_draft_keep(&draft, arena);
    return true;
}

bool topic_learn(struct catalog *catalog, const char *organization_id, struct slice name,
                 const struct topic_sighting *sightings, size_t sighting_count, int64_t now_ms,
                 struct arena *arena, const struct schema **ret_schema, struct err *err)
{
    TRY(topic_check_name(name, err));
    const struct schema *unchanged = NULL;
    TRY(topic_learn_nothing(catalog, organization_id, name, sightings, sighting_count, arena,
                            &unchanged, err));
    if (unchanged != NULL) {
        *ret_schema = unchanged;
        return true;
    }
    struct topic_draft draft CLEANUP(topic_draft_clear) = {0};
    TRY(db_begin(catalog->db, err));
    const bool is_done = topic_learn_draft(catalog, organization_id, name, sightings,
                                           sighting_count, arena, &draft, err) &&
                         topic_draft_save(catalog, organization_id, now_ms, &draft, err);
    TRY(catalog_end(catalog, is_done, err));
    *ret_schema = topic_draft_keep(&draft, arena);
    return true;
}
