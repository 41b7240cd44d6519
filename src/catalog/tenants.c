// SPDX-License-Identifier: Apache-2.0
// Organizations. See tenant_apps.c for apps.
#include "catalog/tenants.h"

#include "base/check.h"
#include "base/mem.h"
#include "catalog/tenant_internal.h"

#define TENANT_ORGANIZATION_COLUMNS                                                                \
    "id, name, external_id, subscription_limit, created_at_ms, disabled_at_ms"

static void tenant_read_organization(const struct db_rows *rows, struct arena *arena,
                                     struct tenant_organization *ret_organization)
{
    *ret_organization = (struct tenant_organization){
        .id = catalog_row_text(rows, 0, arena),
        .name = catalog_row_text(rows, 1, arena),
        .external_id = catalog_row_text(rows, 2, arena),
        .subscription_limit = db_rows_is_null(rows, 3) ? TENANT_LIMIT_OF_SERVER
                                                       : db_rows_int64(rows, 3),
        .created_at_ms = db_rows_int64(rows, 4),
        .disabled_at_ms = db_rows_int64(rows, 5),
    };
}

static bool tenant_no_organization(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no such organization");
}

bool tenant_check_organization(struct catalog *catalog, const char *id, struct err *err)
{
    const struct db_value values[] = {db_text(id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog, "SELECT count(*) FROM organizations WHERE id = $1", values,
                            ARRAY_COUNT(values), &count, err));
    return count > 0 || tenant_no_organization(err);
}

static bool tenant_insert_organization(struct catalog *catalog,
                                       const struct tenant_organization *organization,
                                       struct err *err)
{
    const struct db_value values[] = {db_text(organization->id), db_text(organization->name),
                                      db_text(organization->external_id),
                                      db_int64(organization->created_at_ms)};
    TRY(db_exec(catalog->db,
                "INSERT INTO organizations(id, name, external_id, created_at_ms)"
                " VALUES($1, $2, $3, $4)",
                values, ARRAY_COUNT(values), NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", organization->name);
    const struct audit_change change = {
        .organization_id = organization->id,
        .action = "organization.create",
        .object_id = organization->id,
        .is_creation = true,
    };
    return audit_record_note(catalog, change, &note, err);
}

bool tenant_create_organization(struct catalog *catalog, const char *name, int64_t now_ms,
                                struct arena *arena, struct tenant_organization *ret_organization,
                                struct err *err)
{
    TRY(tenant_check_name(name, err));
    char external_id[CATALOG_UUID_CHARS + 1];
    catalog_new_uuid(rng_system(), external_id);
    const struct tenant_organization organization = {
        .id = tenant_new_id(arena),
        .name = arena_copy_text(arena, name),
        .external_id = arena_copy_text(arena, external_id),
        .subscription_limit = TENANT_LIMIT_OF_SERVER,
        .created_at_ms = now_ms,
    };
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_insert_organization(catalog, &organization, err), err));
    *ret_organization = organization;
    return true;
}

bool tenant_list_organizations(struct catalog *catalog, struct arena *arena,
                               struct tenant_organization **ret_organizations, size_t *ret_count,
                               struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT " TENANT_ORGANIZATION_COLUMNS " FROM organizations"
                 " ORDER BY created_at_ms, id",
                 NULL, 0, &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct tenant_organization *organization = catalog_list_add(&list, arena,
                                                                    sizeof *organization);
        tenant_read_organization(rows, arena, organization);
    }
    TRY(err->kind == ERR_NONE);
    *ret_organizations = list.items;
    *ret_count = list.count;
    return true;
}

bool tenant_get_organization(struct catalog *catalog, const char *id, struct arena *arena,
                             struct tenant_organization *ret_organization, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_text(id)};
    TRY(catalog_query_row(catalog,
                          "SELECT " TENANT_ORGANIZATION_COLUMNS " FROM organizations WHERE id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return tenant_no_organization(err);
    tenant_read_organization(rows, arena, ret_organization);
    return true;
}

// --- Changing

// Applies the change and notes what it alters. False: nothing.
static bool tenant_alter_organization(struct tenant_organization *organization,
                                      const struct tenant_organization_change *change,
                                      int64_t now_ms, struct json_text *json)
{
    bool is_altered = false;
    if (change->name != NULL && strcmp(change->name, organization->name) != 0) {
        organization->name = change->name;
        json_text_member_text(json, "name", change->name);
        is_altered = true;
    }
    if (change->has_subscription_limit &&
        change->subscription_limit != organization->subscription_limit) {
        organization->subscription_limit = change->subscription_limit;
        json_text_key(json, "subscription_limit");
        if (change->subscription_limit == TENANT_LIMIT_OF_SERVER)
            json_text_null(json);
        else
            json_text_int64(json, change->subscription_limit);
        is_altered = true;
    }
    if (change->has_disabled && change->is_disabled != (organization->disabled_at_ms != 0)) {
        organization->disabled_at_ms = change->is_disabled ? now_ms : 0;
        json_text_member_bool(json, "disabled", change->is_disabled);
        is_altered = true;
    }
    return is_altered;
}

struct tenant_organization_update {
    const char *id;
    const struct tenant_organization_change *change;
    int64_t now_ms;
    struct arena *arena;
    struct tenant_organization organization;
};

static bool tenant_update_organization_body(struct catalog *catalog, void *context, struct err *err)
{
    struct tenant_organization_update *update = context;
    struct tenant_organization *organization = &update->organization;
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    TRY(tenant_get_organization(catalog, update->id, update->arena, organization, err));
    if (!tenant_alter_organization(organization, update->change, update->now_ms, &note.json))
        return true;
    const struct db_value values[] = {
        db_text(organization->id),
        db_text(organization->name),
        organization->subscription_limit == TENANT_LIMIT_OF_SERVER
            ? db_null()
            : db_int64(organization->subscription_limit),
        db_int64(organization->disabled_at_ms),
    };
    TRY(db_exec(catalog->db,
                "UPDATE organizations SET name = $2, subscription_limit = $3, disabled_at_ms = $4"
                " WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    const struct audit_change change = {
        .organization_id = organization->id,
        .action = "organization.update",
        .object_id = organization->id,
    };
    return audit_record_note(catalog, change, &note, err);
}

bool tenant_update_organization(struct catalog *catalog, const char *id,
                                const struct tenant_organization_change *change, int64_t now_ms,
                                struct arena *arena, struct tenant_organization *ret_organization,
                                struct err *err)
{
    if (change->name != NULL)
        TRY(tenant_check_name(change->name, err));
    const int64_t limit = change->subscription_limit;
    if (change->has_subscription_limit && limit != TENANT_LIMIT_OF_SERVER &&
        (limit < 0 || limit > TENANT_SUBSCRIPTION_LIMIT_MAX))
        return err_set(err, ERR_INVALID, "Number out of range");
    struct tenant_organization_update update = {id, change, now_ms, arena, {0}};
    TRY(catalog_run(catalog, tenant_update_organization_body, &update, err));
    *ret_organization = update.organization;
    return true;
}

bool tenant_subscription_limit(struct catalog *catalog, const char *organization_id,
                               int64_t default_limit, int64_t *ret_limit, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_text(organization_id)};
    TRY(catalog_query_row(catalog, "SELECT subscription_limit FROM organizations WHERE id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return tenant_no_organization(err);
    *ret_limit = db_rows_is_null(rows, 0) ? default_limit : db_rows_int64(rows, 0);
    return true;
}
