// SPDX-License-Identifier: Apache-2.0
// Users: who holds tokens.
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/tenant_internal.h"
#include "catalog/tenant_tokens.h"
#include "model/report_destination.h"

#define TENANT_USER_COLUMNS "id, organization_id, name, email, created_at_ms, disabled_at_ms"

static void tenant_read_user(const struct db_rows *rows, struct arena *arena,
                             struct tenant_user *ret_user)
{
    *ret_user = (struct tenant_user){
        .id = db_rows_int64(rows, 0),
        .organization_id = catalog_row_text(rows, 1, arena),
        .name = catalog_row_text(rows, 2, arena),
        .email = catalog_row_text(rows, 3, arena),
        .created_at_ms = db_rows_int64(rows, 4),
        .disabled_at_ms = db_rows_int64(rows, 5),
    };
}

static bool tenant_check_person(const char *name, const char *email, struct err *err)
{
    if (name != NULL)
        TRY(tenant_check_name(name, err));
    if (email != NULL && !report_mail_is_valid(slice_text(email)))
        return err_set(err, ERR_INVALID, "Invalid e-mail address");
    return true;
}

static bool tenant_record_user(struct catalog *catalog, const struct tenant_user *user,
                               const char *action, struct audit_note *note, struct err *err)
{
    char id[24];
    (void)snprintf(id, sizeof id, "%" PRId64, user->id);
    const struct audit_change change = {
        .organization_id = user->organization_id,
        .action = action,
        .object_id = id,
        .is_creation = strcmp(action, "user.create") == 0,
    };
    return audit_record_note(catalog, change, note, err);
}

bool tenant_insert_user(struct catalog *catalog, struct tenant_user *user, struct err *err)
{
    TRY(catalog_query_int64(catalog, "SELECT coalesce(max(id), 0) + 1 FROM users", NULL, 0,
                            &user->id, err));
    const struct db_value values[] = {db_int64(user->id), db_text(user->organization_id),
                                      db_text(user->name), db_text(user->email),
                                      db_int64(user->created_at_ms)};
    return db_exec(catalog->db,
                   "INSERT INTO users(id, organization_id, name, email, created_at_ms)"
                   " VALUES($1, $2, $3, $4, $5)",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool tenant_create_user_body(struct catalog *catalog, struct tenant_user *user,
                                    struct err *err)
{
    if (user->organization_id != NULL)
        TRY(tenant_check_organization(catalog, user->organization_id, err));
    TRY(tenant_insert_user(catalog, user, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", user->name);
    if (user->email != NULL)
        json_text_member_text(&note.json, "email", user->email);
    return tenant_record_user(catalog, user, "user.create", &note, err);
}

bool tenant_create_user(struct catalog *catalog, const struct tenant_user_request *request,
                        int64_t now_ms, struct arena *arena, struct tenant_user *ret_user,
                        struct err *err)
{
    const char *organization_id = request->organization_id;
    TRY(tenant_check_person(request->name, request->email, err));
    struct tenant_user user = {
        .organization_id = organization_id == NULL ? NULL : arena_copy_text(arena, organization_id),
        .name = arena_copy_text(arena, request->name),
        .email = request->email == NULL ? NULL : arena_copy_text(arena, request->email),
        .created_at_ms = now_ms,
    };
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_create_user_body(catalog, &user, err), err));
    *ret_user = user;
    return true;
}

bool tenant_list_users(struct catalog *catalog, const char *organization_id, struct arena *arena,
                       struct tenant_user **ret_users, size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(organization_id)};
    const char *sql = organization_id == NULL
                          ? "SELECT " TENANT_USER_COLUMNS " FROM users ORDER BY id"
                          : "SELECT " TENANT_USER_COLUMNS " FROM users WHERE organization_id = $1"
                            " ORDER BY id";
    TRY(db_query(catalog->db, sql, values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct tenant_user *user = catalog_list_add(&list, arena, sizeof *user);
        tenant_read_user(rows, arena, user);
    }
    TRY(err->kind == ERR_NONE);
    *ret_users = list.items;
    *ret_count = list.count;
    return true;
}

bool tenant_get_user(struct catalog *catalog, int64_t id, struct arena *arena,
                     struct tenant_user *ret_user, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_int64(id)};
    TRY(catalog_query_row(catalog, "SELECT " TENANT_USER_COLUMNS " FROM users WHERE id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "no such user");
    tenant_read_user(rows, arena, ret_user);
    return true;
}

bool tenant_check_user(struct catalog *catalog, int64_t id, const char *organization_id,
                       struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_int64(id), db_text(organization_id)};
    TRY(catalog_query_row(catalog,
                          "SELECT disabled_at_ms FROM users WHERE id = $1"
                          " AND coalesce(organization_id, '') = coalesce($2, '')",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "no such user");
    if (db_rows_int64(rows, 0) != 0)
        return err_set(err, ERR_CONFLICT, "User is disabled");
    return true;
}

// --- Changing

static bool tenant_is_same_email(const char *left, const char *right)
{
    return slice_equal(slice_text(left), slice_text(right));
}

// Applies the change and notes what it alters. False: nothing.
static bool tenant_alter_user(struct tenant_user *user, const struct tenant_user_change *change,
                              int64_t now_ms, struct json_text *json)
{
    bool is_altered = false;
    if (change->name != NULL && strcmp(change->name, user->name) != 0) {
        user->name = change->name;
        json_text_member_text(json, "name", change->name);
        is_altered = true;
    }
    if (change->has_email && !tenant_is_same_email(change->email, user->email)) {
        user->email = change->email;
        json_text_member_text(json, "email", change->email);
        is_altered = true;
    }
    if (change->has_disabled && change->is_disabled != (user->disabled_at_ms != 0)) {
        user->disabled_at_ms = change->is_disabled ? now_ms : 0;
        json_text_member_bool(json, "disabled", change->is_disabled);
        is_altered = true;
    }
    return is_altered;
}

static bool tenant_revoke_tokens_of(struct catalog *catalog, int64_t user_id, int64_t now_ms,
                                    int64_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_int64(user_id), db_int64(now_ms)};
    int64_t admin_count = 0;
    TRY(tenant_count_admins(catalog, now_ms, &admin_count, err));
    TRY(db_exec(catalog->db,
                "UPDATE tokens SET revoked_at_ms = $2 WHERE user_id = $1 AND revoked_at_ms = 0",
                values, ARRAY_COUNT(values), ret_count, err));
    return tenant_check_admins(catalog, now_ms, admin_count, err);
}

struct tenant_user_update {
    int64_t id;
    const struct tenant_user_change *change;
    int64_t now_ms;
    struct arena *arena;
    struct tenant_user user;
};

static bool tenant_update_user_body(struct catalog *catalog, void *context, struct err *err)
{
    struct tenant_user_update *update = context;
    struct tenant_user *user = &update->user;
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    TRY(tenant_get_user(catalog, update->id, update->arena, user, err));
    const bool was_disabled = user->disabled_at_ms != 0;
    if (!tenant_alter_user(user, update->change, update->now_ms, &note.json))
        return true;
    const struct db_value values[] = {db_int64(user->id), db_text(user->name), db_text(user->email),
                                      db_int64(user->disabled_at_ms)};
    TRY(db_exec(catalog->db,
                "UPDATE users SET name = $2, email = $3, disabled_at_ms = $4 WHERE id = $1", values,
                ARRAY_COUNT(values), NULL, err));
    if (!was_disabled && user->disabled_at_ms != 0) {
        int64_t revoked_count = 0;
        TRY(tenant_revoke_tokens_of(catalog, user->id, update->now_ms, &revoked_count, err));
        json_text_member_int64(&note.json, "tokens_revoked", revoked_count);
    }
    return tenant_record_user(catalog, user, "user.update", &note, err);
}

bool tenant_update_user(struct catalog *catalog, int64_t id,
                        const struct tenant_user_change *change, int64_t now_ms,
                        struct arena *arena, struct tenant_user *ret_user, struct err *err)
{
    TRY(tenant_check_person(change->name, change->email, err));
    struct tenant_user_update update = {id, change, now_ms, arena, {0}};
    TRY(catalog_run(catalog, tenant_update_user_body, &update, err));
    *ret_user = update.user;
    return true;
}
