// SPDX-License-Identifier: Apache-2.0
// Apps, their branch keys and secrets.
#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/tenant_internal.h"
#include "catalog/tenants.h"

#define TENANT_APP_COLUMNS                                                                         \
    "id, organization_id, name, branch_key, created_at_ms, deleted_at_ms, previous_until_ms"

static const char tenant_app_deleted_reason[] = "app was deleted";

static void tenant_read_app(const struct db_rows *rows, struct arena *arena,
                            struct tenant_app *ret_app)
{
    *ret_app = (struct tenant_app){
        .id = catalog_row_text(rows, 0, arena),
        .organization_id = catalog_row_text(rows, 1, arena),
        .name = catalog_row_text(rows, 2, arena),
        .branch_key = catalog_row_text(rows, 3, arena),
        .created_at_ms = db_rows_int64(rows, 4),
        .deleted_at_ms = db_rows_int64(rows, 5),
        .previous_until_ms = db_rows_int64(rows, 6),
    };
}

static bool tenant_no_app(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no such app");
}

static struct audit_change tenant_app_change(const struct tenant_app *app, const char *action)
{
    return (struct audit_change){
        .organization_id = app->organization_id, .action = action, .object_id = app->id};
}

// --- Making

static bool tenant_insert_app(struct catalog *catalog, const struct tenant_app *app,
                              const char *branch_secret, struct err *err)
{
    TRY(tenant_check_organization(catalog, app->organization_id, err));
    char digest[SHA256_HEX_CHARS + 1];
    tenant_digest(slice_text(branch_secret), digest);
    const struct db_value values[] = {
        db_text(app->id),         db_text(app->organization_id), db_text(app->name),
        db_text(app->branch_key), db_int64(app->created_at_ms),  db_text(digest)};
    TRY(db_exec(catalog->db,
                "INSERT INTO apps(id, organization_id, name, branch_key, created_at_ms,"
                " branch_secret_sha256) VALUES($1, $2, $3, $4, $5, $6)",
                values, ARRAY_COUNT(values), NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", app->name);
    struct audit_change change = tenant_app_change(app, "app.create");
    change.is_creation = true;
    return audit_record_note(catalog, change, &note, err);
}

bool tenant_create_app(struct catalog *catalog, const char *organization_id, const char *name,
                       int64_t now_ms, struct arena *arena, struct tenant_app *ret_app,
                       const char **ret_branch_secret, struct err *err)
{
    TRY(tenant_check_name(name, err));
    const struct tenant_app app = {
        .id = tenant_new_id(arena),
        .organization_id = arena_copy_text(arena, organization_id),
        .name = arena_copy_text(arena, name),
        .branch_key = tenant_new_branch_key(arena),
        .created_at_ms = now_ms,
    };
    const char *branch_secret = tenant_new_branch_secret(arena);
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_insert_app(catalog, &app, branch_secret, err), err));
    *ret_app = app;
    *ret_branch_secret = branch_secret;
    return true;
}

// --- Reading

static bool tenant_read_apps(struct catalog *catalog, const char *sql,
                             const struct db_value *values, size_t value_count, struct arena *arena,
                             struct catalog_list *list, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    while (db_rows_next(rows, err)) {
        struct tenant_app *app = catalog_list_add(list, arena, sizeof *app);
        tenant_read_app(rows, arena, app);
    }
    return err->kind == ERR_NONE;
}

bool tenant_list_apps(struct catalog *catalog, const char *organization_id, struct arena *arena,
                      struct tenant_app **ret_apps, size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(organization_id)};
    const char *sql = organization_id == NULL
                          ? "SELECT " TENANT_APP_COLUMNS " FROM apps WHERE deleted_at_ms = 0"
                            " ORDER BY created_at_ms, id"
                          : "SELECT " TENANT_APP_COLUMNS " FROM apps WHERE organization_id = $1"
                            " AND deleted_at_ms = 0 ORDER BY created_at_ms, id";
    struct catalog_list list = {0};
    TRY(tenant_read_apps(catalog, sql, values, ARRAY_COUNT(values), arena, &list, err));
    *ret_apps = list.items;
    *ret_count = list.count;
    return true;
}

static bool tenant_read_one_app(struct catalog *catalog, const char *sql,
                                const struct db_value *values, size_t value_count,
                                struct arena *arena, struct tenant_app *ret_app, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, sql, values, value_count, &rows, &found, err));
    if (!found)
        return tenant_no_app(err);
    tenant_read_app(rows, arena, ret_app);
    return true;
}

bool tenant_get_app(struct catalog *catalog, const char *organization_id, const char *app_id,
                    struct arena *arena, struct tenant_app *ret_app, struct err *err)
{
    const struct db_value values[] = {db_text(organization_id), db_text(app_id)};
    return tenant_read_one_app(catalog,
                               "SELECT " TENANT_APP_COLUMNS " FROM apps"
                               " WHERE organization_id = $1 AND id = $2 AND deleted_at_ms = 0",
                               values, ARRAY_COUNT(values), arena, ret_app, err);
}

bool tenant_get_any_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                        struct tenant_app *ret_app, struct err *err)
{
    const struct db_value values[] = {db_text(app_id)};
    return tenant_read_one_app(catalog,
                               "SELECT " TENANT_APP_COLUMNS " FROM apps"
                               " WHERE id = $1 AND deleted_at_ms = 0 AND organization_id IN"
                               " (SELECT o.id FROM organizations o WHERE o.disabled_at_ms = 0)",
                               values, ARRAY_COUNT(values), arena, ret_app, err);
}

bool tenant_find_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                     struct tenant_app *ret_app, struct err *err)
{
    const struct db_value values[] = {db_text(app_id)};
    return tenant_read_one_app(catalog, "SELECT " TENANT_APP_COLUMNS " FROM apps WHERE id = $1",
                               values, ARRAY_COUNT(values), arena, ret_app, err);
}

// For changes: a deleted one is as unknown as any other.
static bool tenant_find_living_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                                   struct tenant_app *ret_app, struct err *err)
{
    struct tenant_app app;
    TRY(tenant_find_app(catalog, app_id, arena, &app, err));
    if (app.deleted_at_ms != 0)
        return tenant_no_app(err);
    *ret_app = app;
    return true;
}

// --- Renaming

static bool tenant_rename_app_body(struct catalog *catalog, const char *app_id, const char *name,
                                   struct arena *arena, struct tenant_app *ret_app, struct err *err)
{
    TRY(tenant_find_living_app(catalog, app_id, arena, ret_app, err));
    if (strcmp(ret_app->name, name) == 0)
        return true;
    ret_app->name = arena_copy_text(arena, name);
    const struct db_value values[] = {db_text(app_id), db_text(name)};
    TRY(db_exec(catalog->db, "UPDATE apps SET name = $2 WHERE id = $1", values, ARRAY_COUNT(values),
                NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", name);
    return audit_record_note(catalog, tenant_app_change(ret_app, "app.update"), &note, err);
}

bool tenant_rename_app(struct catalog *catalog, const char *app_id, const char *name,
                       struct arena *arena, struct tenant_app *ret_app, struct err *err)
{
    struct tenant_app app = {0};
    TRY(tenant_check_name(name, err));
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_rename_app_body(catalog, app_id, name, arena, &app, err), err));
    *ret_app = app;
    return true;
}

// --- Deleting

struct tenant_app_deletion {
    const char *app_id;
    int64_t now_ms;
    struct arena *arena;
    const char **subscription_ids; // and those of what was asked for once
    size_t subscription_count;
    int64_t scheduled_count; // of them
};

static bool tenant_list_live_subscriptions(struct catalog *catalog, const struct tenant_app *app,
                                           struct tenant_app_deletion *deletion, struct err *err)
{
    const struct db_value values[] = {db_text(app->organization_id), db_text(app->id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT id, kind FROM subscriptions WHERE organization_id = $1 AND app_id = $2"
                 " AND status <> 3 ORDER BY created_at_ms, id",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        const char **id = catalog_list_add(&list, deletion->arena, sizeof *id);
        *id = catalog_row_text(rows, 0, deletion->arena);
        deletion->scheduled_count += db_rows_int64(rows, 1) == SUBSCRIPTION_SCHEDULED ? 1 : 0;
    }
    TRY(err->kind == ERR_NONE);
    deletion->subscription_ids = list.items;
    deletion->subscription_count = list.count;
    return true;
}

// A FAILED one keeps its own reason.
static bool tenant_end_subscriptions(struct catalog *catalog, const struct tenant_app *app,
                                     int64_t now_ms, struct err *err)
{
    const struct db_value values[] = {db_text(app->organization_id), db_text(app->id),
                                      db_text(tenant_app_deleted_reason), db_int64(now_ms)};
    return db_exec(catalog->db,
                   "UPDATE subscriptions SET status = 3, reason = coalesce(reason, $3),"
                   " deactivated_at_ms = $4, change_count = change_count + 1"
                   " WHERE organization_id = $1 AND app_id = $2 AND status <> 3",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool tenant_delete_app_body(struct catalog *catalog, void *context, struct err *err)
{
    struct tenant_app_deletion *deletion = context;
    struct tenant_app app;
    TRY(tenant_find_living_app(catalog, deletion->app_id, deletion->arena, &app, err));
    TRY(tenant_list_live_subscriptions(catalog, &app, deletion, err));
    TRY(tenant_end_subscriptions(catalog, &app, deletion->now_ms, err));
    const struct db_value values[] = {db_text(app.id), db_int64(deletion->now_ms)};
    TRY(db_exec(catalog->db, "UPDATE apps SET deleted_at_ms = $2 WHERE id = $1", values,
                ARRAY_COUNT(values), NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", app.name);
    json_text_member_int64(&note.json, "subscriptions", deletion->scheduled_count);
    return audit_record_note(catalog, tenant_app_change(&app, "app.delete"), &note, err);
}

struct tenant_cancellation {
    const char *subscription_id;
    int64_t now_ms;
    int64_t canceled_count; // of the last transaction
};

static bool tenant_cancel_body(struct catalog *catalog, void *context, struct err *err)
{
    struct tenant_cancellation *cancellation = context;
    return job_cancel_pending(catalog, cancellation->subscription_id, tenant_app_deleted_reason,
                              cancellation->now_ms, &cancellation->canceled_count, err);
}

// The subscriptions are INACTIVE, whatever happens here: job_claim cancels what is left pending.
static void tenant_cancel_jobs(struct catalog *catalog, const struct tenant_app_deletion *deletion)
{
    struct err ignored = {0};
    for (size_t i = 0; i < deletion->subscription_count; i++) {
        struct tenant_cancellation cancellation = {deletion->subscription_ids[i], deletion->now_ms,
                                                   JOB_ROWS_PER_TRANSACTION};
        while (cancellation.canceled_count == JOB_ROWS_PER_TRANSACTION) {
            if (!catalog_run(catalog, tenant_cancel_body, &cancellation, &ignored))
                return;
        }
    }
}

bool tenant_delete_app(struct catalog *catalog, const char *app_id, int64_t now_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct tenant_app_deletion deletion = {.app_id = app_id, .now_ms = now_ms, .arena = &arena};
    TRY(catalog_run(catalog, tenant_delete_app_body, &deletion, err));
    tenant_cancel_jobs(catalog, &deletion);
    return true;
}

// --- Branch secrets

struct tenant_secret_rotation {
    const char *app_id;
    const char *branch_secret;
    int64_t grace_ms;
    int64_t now_ms;
    struct arena *arena;
    struct tenant_app app;
};

static bool tenant_rotate_secret_body(struct catalog *catalog, void *context, struct err *err)
{
    struct tenant_secret_rotation *rotation = context;
    struct tenant_app *app = &rotation->app;
    TRY(tenant_find_living_app(catalog, rotation->app_id, rotation->arena, app, err));
    const bool has_grace = rotation->grace_ms > 0;
    app->previous_until_ms = has_grace ? rotation->now_ms + rotation->grace_ms : 0;
    char digest[SHA256_HEX_CHARS + 1];
    tenant_digest(slice_text(rotation->branch_secret), digest);
    const struct db_value values[] = {db_text(app->id), db_text(digest), db_int64(has_grace),
                                      db_int64(app->previous_until_ms)};
    TRY(db_exec(catalog->db,
                "UPDATE apps SET previous_secret_sha256 ="
                " CASE $3 WHEN 1 THEN branch_secret_sha256 END,"
                " previous_until_ms = $4, branch_secret_sha256 = $2 WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_int64(&note.json, "grace_seconds", rotation->grace_ms / 1000);
    return audit_record_note(catalog, tenant_app_change(app, "app.rotate"), &note, err);
}

bool tenant_rotate_branch_secret(struct catalog *catalog, const char *app_id, int64_t grace_ms,
                                 int64_t now_ms, struct arena *arena, struct tenant_app *ret_app,
                                 const char **ret_branch_secret, struct err *err)
{
    ASSERT(grace_ms >= 0);
    ASSERT(grace_ms <= TENANT_GRACE_MAX_MS);
    struct tenant_secret_rotation rotation = {
        app_id, tenant_new_branch_secret(arena), grace_ms, now_ms, arena, {0}};
    TRY(catalog_run(catalog, tenant_rotate_secret_body, &rotation, err));
    *ret_app = rotation.app;
    *ret_branch_secret = rotation.branch_secret;
    return true;
}

static bool tenant_find_kept_secret(struct catalog *catalog, struct slice branch_key,
                                    struct arena *arena, struct tenant_kept_secret *kept,
                                    const char **ret_app_id, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_slice(branch_key)};
    TRY(catalog_query_row(catalog,
                          "SELECT branch_secret_sha256, previous_secret_sha256, previous_until_ms,"
                          " id FROM apps WHERE branch_key = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    *ret_app_id = "";
    tenant_kept_secret_init(kept);
    if (!found)
        return true;
    *ret_app_id = catalog_row_text(rows, 3, arena);
    return tenant_kept_secret_read(kept, rows, 0, err);
}

bool tenant_verify_branch(struct catalog *catalog, struct slice branch_key,
                          struct slice branch_secret, int64_t now_ms, struct arena *arena,
                          struct tenant_app *ret_app, struct err *err)
{
    struct tenant_kept_secret kept;
    const char *app_id = NULL;
    struct tenant_app app;
    int64_t until_ms = 0;
    TRY(tenant_find_kept_secret(catalog, branch_key, arena, &kept, &app_id, err));
    const bool is_right = tenant_kept_secret_matches(&kept, branch_secret, now_ms, &until_ms);
    const bool is_open = tenant_get_any_app(catalog, app_id, arena, &app, err);
    if (!is_open && err->kind != ERR_NOT_FOUND)
        return false;
    if (!is_right || !is_open)
        return err_set(err, ERR_DENIED, "invalid branch key or secret");
    *ret_app = app;
    return true;
}
