// SPDX-License-Identifier: Apache-2.0
// Access tokens: making, rotating, revoking. How they are verified: tenant_verify.c.
#include "catalog/tenant_tokens.h"

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/tenant_internal.h"
#include "catalog/tenants.h"

static const struct {
    enum tenant_permission permission;
    const char *name;
} tenant_permissions[] = {
    {TENANT_EXPORT, "export"},
    {TENANT_INGEST, "ingest"},
    {TENANT_SENSITIVE_DATA, "sensitive_data"},
    {TENANT_ADMIN, "admin"},
    {TENANT_OPERATOR_INGEST, "operator_ingest"},
};

unsigned tenant_permission_at(size_t index)
{
    return index < ARRAY_COUNT(tenant_permissions) ? (unsigned)tenant_permissions[index].permission
                                                   : 0;
}

unsigned tenant_permission_parse(struct slice name)
{
    for (size_t i = 0; i < ARRAY_COUNT(tenant_permissions); i++) {
        if (slice_equal_text(name, tenant_permissions[i].name))
            return (unsigned)tenant_permissions[i].permission;
    }
    return 0;
}

const char *tenant_permission_name(enum tenant_permission permission)
{
    for (size_t i = 0; i < ARRAY_COUNT(tenant_permissions); i++) {
        if (tenant_permissions[i].permission == permission)
            return tenant_permissions[i].name;
    }
    check_failed("one permission", __FILE__, __LINE__);
    return NULL;
}

static struct audit_change tenant_token_change(const struct tenant_token *token, const char *action)
{
    return (struct audit_change){
        .organization_id = token->organization_id, .action = action, .object_id = token->key_id};
}

// --- Making

static bool tenant_check_permissions(bool is_operator, unsigned permissions, struct err *err)
{
    unsigned allowed = 0;
    for (size_t i = 0; i < ARRAY_COUNT(tenant_permissions); i++) {
        const unsigned permission = (unsigned)tenant_permissions[i].permission;
        if (is_operator == ((permission & TENANT_OPERATOR_PERMISSIONS) != 0))
            allowed |= permission;
    }
    if (permissions == 0)
        return err_set(err, ERR_INVALID, "a token needs a permission");
    if ((permissions & ~allowed) != 0)
        return err_set(err, ERR_INVALID,
                       is_operator ? "operator tokens can have admin and operator_ingest only"
                                   : "tokens of an organization can have export, ingest and "
                                     "sensitive_data only");
    return true;
}

static bool tenant_check_owner(struct catalog *catalog, const struct tenant_token *token,
                               struct err *err)
{
    if (token->organization_id == NULL)
        return true;
    if (token->app_id == NULL)
        return tenant_check_organization(catalog, token->organization_id, err);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct tenant_app app;
    return tenant_get_app(catalog, token->organization_id, token->app_id, &arena, &app, err);
}

static bool tenant_find_holder(struct catalog *catalog, struct tenant_token *token, struct err *err)
{
    if (token->user_id != 0)
        return tenant_check_user(catalog, token->user_id, token->organization_id, err);
    struct tenant_user user = {
        .organization_id = token->organization_id,
        .name = token->name,
        .created_at_ms = token->created_at_ms,
    };
    TRY(tenant_insert_user(catalog, &user, err));
    token->user_id = user.id;
    return true;
}

static bool tenant_record_token(struct catalog *catalog, const struct tenant_token *token,
                                struct err *err)
{
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", token->name);
    json_text_member_int64(&note.json, "user_id", token->user_id);
    if (token->app_id != NULL)
        json_text_member_text(&note.json, "app_id", token->app_id);
    json_text_key(&note.json, "permissions");
    json_text_open(&note.json, '[');
    for (size_t i = 0; i < ARRAY_COUNT(tenant_permissions); i++) {
        if ((token->permissions & (unsigned)tenant_permissions[i].permission) != 0)
            json_text_string(&note.json, slice_text(tenant_permissions[i].name));
    }
    json_text_close(&note.json, ']');
    if (token->expires_at_ms != 0) {
        char expires_at[CIVIL_API_CHARS + 1];
        civil_format_api(token->expires_at_ms, expires_at);
        json_text_member_text(&note.json, "expires_at", expires_at);
    }
    struct audit_change change = tenant_token_change(token, "token.create");
    change.is_creation = true;
    return audit_record_note(catalog, change, &note, err);
}

static bool tenant_insert_token(struct catalog *catalog, struct tenant_token *token,
                                const char *digest, struct err *err)
{
    TRY(tenant_check_owner(catalog, token, err));
    TRY(tenant_find_holder(catalog, token, err));
    const struct db_value values[] = {db_text(token->key_id),
                                      db_text(digest),
                                      db_text(token->organization_id),
                                      db_text(token->app_id),
                                      db_text(token->name),
                                      db_int64(token->user_id),
                                      db_int64((int64_t)token->permissions),
                                      db_int64(token->created_at_ms),
                                      db_int64(token->expires_at_ms)};
    TRY(db_exec(catalog->db,
                "INSERT INTO tokens(key_id, token_sha256, organization_id, app_id, name,"
                " user_id, permissions, created_at_ms, expires_at_ms)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                values, ARRAY_COUNT(values), NULL, err));
    return tenant_record_token(catalog, token, err);
}

static const char *tenant_copy(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_copy_text(arena, text);
}

bool tenant_create_token(struct catalog *catalog, const struct tenant_token_request *request,
                         int64_t now_ms, struct arena *arena, struct tenant_token *ret_details,
                         const char **ret_token, struct err *err)
{
    const bool is_operator = request->organization_id == NULL;
    if (is_operator && request->app_id != NULL)
        return err_set(err, ERR_INVALID, "an operator token has no app");
    TRY(tenant_check_name(request->name, err));
    TRY(tenant_check_permissions(is_operator, request->permissions, err));
    char key_id[TENANT_KEY_ID_CHARS + 1];
    rng_text(rng_system(), key_id, TENANT_KEY_ID_CHARS);
    struct tenant_token details = {
        .key_id = arena_copy_text(arena, key_id),
        .organization_id = tenant_copy(arena, request->organization_id),
        .app_id = tenant_copy(arena, request->app_id),
        .name = arena_copy_text(arena, request->name),
        .user_id = request->user_id,
        .permissions = request->permissions,
        .created_at_ms = now_ms,
        .expires_at_ms = request->expires_at_ms,
    };
    const char *token = tenant_new_token_text(arena, is_operator, key_id);
    char digest[SHA256_HEX_CHARS + 1];
    tenant_digest(slice_text(token), digest);
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_insert_token(catalog, &details, digest, err), err));
    *ret_details = details;
    *ret_token = token;
    return true;
}

// --- Reading

#define TENANT_TOKEN_COLUMNS                                                                       \
    "key_id, organization_id, app_id, name, user_id, permissions, created_at_ms,"                  \
    " last_used_at_ms, expires_at_ms, revoked_at_ms, previous_until_ms"

static void tenant_read_token(const struct db_rows *rows, struct arena *arena,
                              struct tenant_token *ret_token)
{
    *ret_token = (struct tenant_token){
        .key_id = catalog_row_text(rows, 0, arena),
        .organization_id = catalog_row_text(rows, 1, arena),
        .app_id = catalog_row_text(rows, 2, arena),
        .name = catalog_row_text(rows, 3, arena),
        .user_id = db_rows_int64(rows, 4),
        .permissions = (unsigned)db_rows_int64(rows, 5),
        .created_at_ms = db_rows_int64(rows, 6),
        .last_used_at_ms = db_rows_int64(rows, 7),
        .expires_at_ms = db_rows_int64(rows, 8),
        .revoked_at_ms = db_rows_int64(rows, 9),
        .previous_until_ms = db_rows_int64(rows, 10),
    };
}

bool tenant_list_tokens(struct catalog *catalog, const char *organization_id, struct arena *arena,
                        struct tenant_token **ret_tokens, size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(organization_id)};
    const char *sql = organization_id == NULL
                          ? "SELECT " TENANT_TOKEN_COLUMNS " FROM tokens"
                            " ORDER BY created_at_ms, user_id, key_id"
                          : "SELECT " TENANT_TOKEN_COLUMNS " FROM tokens"
                            " WHERE organization_id = $1 ORDER BY created_at_ms, user_id, key_id";
    TRY(db_query(catalog->db, sql, values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct tenant_token *token = catalog_list_add(&list, arena, sizeof *token);
        tenant_read_token(rows, arena, token);
    }
    TRY(err->kind == ERR_NONE);
    *ret_tokens = list.items;
    *ret_count = list.count;
    return true;
}

bool tenant_get_token(struct catalog *catalog, const char *key_id, struct arena *arena,
                      struct tenant_token *ret_token, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_text(key_id)};
    TRY(catalog_query_row(catalog, "SELECT " TENANT_TOKEN_COLUMNS " FROM tokens WHERE key_id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "no such token");
    tenant_read_token(rows, arena, ret_token);
    return true;
}

// --- Rotating

struct tenant_rotation {
    const char *key_id;
    int64_t grace_ms;
    int64_t now_ms;
    struct arena *arena;
    struct tenant_token details;
    const char *token;
};

static bool tenant_check_rotation(const struct tenant_token *token, int64_t now_ms, struct err *err)
{
    if (token->revoked_at_ms != 0)
        return err_set(err, ERR_CONFLICT, "Token is revoked");
    if (token->expires_at_ms != 0 && token->expires_at_ms <= now_ms)
        return err_set(err, ERR_CONFLICT, "Token has expired");
    return true;
}

static bool tenant_rotate_body(struct catalog *catalog, void *context, struct err *err)
{
    struct tenant_rotation *rotation = context;
    struct tenant_token *details = &rotation->details;
    TRY(tenant_get_token(catalog, rotation->key_id, rotation->arena, details, err));
    TRY(tenant_check_rotation(details, rotation->now_ms, err));
    rotation->token = tenant_new_token_text(rotation->arena, details->organization_id == NULL,
                                            details->key_id);
    const bool has_grace = rotation->grace_ms > 0;
    details->previous_until_ms = has_grace ? rotation->now_ms + rotation->grace_ms : 0;
    char digest[SHA256_HEX_CHARS + 1];
    tenant_digest(slice_text(rotation->token), digest);
    const struct db_value values[] = {db_text(details->key_id), db_text(digest),
                                      db_int64(has_grace), db_int64(details->previous_until_ms)};
    TRY(db_exec(catalog->db,
                "UPDATE tokens SET previous_sha256 = CASE $3 WHEN 1 THEN token_sha256 END,"
                " previous_until_ms = $4, token_sha256 = $2 WHERE key_id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_int64(&note.json, "grace_seconds", rotation->grace_ms / 1000);
    return audit_record_note(catalog, tenant_token_change(details, "token.rotate"), &note, err);
}

bool tenant_rotate_token(struct catalog *catalog, const char *key_id, int64_t grace_ms,
                         int64_t now_ms, struct arena *arena, struct tenant_token *ret_details,
                         const char **ret_token, struct err *err)
{
    ASSERT(grace_ms >= 0);
    ASSERT(grace_ms <= TENANT_GRACE_MAX_MS);
    struct tenant_rotation rotation = {
        .key_id = key_id, .grace_ms = grace_ms, .now_ms = now_ms, .arena = arena};
    TRY(catalog_run(catalog, tenant_rotate_body, &rotation, err));
    *ret_details = rotation.details;
    *ret_token = rotation.token;
    return true;
}

// --- Revoking

bool tenant_count_admins(struct catalog *catalog, int64_t now_ms, int64_t *ret_count,
                         struct err *err)
{
    const struct db_value values[] = {db_int64(TENANT_ADMIN), db_int64(now_ms)};
    return catalog_query_int64(catalog,
                               "SELECT count(*) FROM tokens WHERE organization_id IS NULL"
                               " AND (permissions & $1) <> 0 AND revoked_at_ms = 0"
                               " AND (expires_at_ms = 0 OR expires_at_ms > $2)",
                               values, ARRAY_COUNT(values), ret_count, err);
}

bool tenant_check_admins(struct catalog *catalog, int64_t now_ms, int64_t count_before,
                         struct err *err)
{
    int64_t count = 0;
    TRY(tenant_count_admins(catalog, now_ms, &count, err));
    if (count_before > 0 && count == 0)
        return err_set(err, ERR_CONFLICT, "No token with admin permission would be left");
    return true;
}

struct tenant_revocation {
    const char *key_id;
    int64_t now_ms;
};

static bool tenant_revoke_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct tenant_revocation *revocation = context;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct tenant_token token;
    TRY(tenant_get_token(catalog, revocation->key_id, &arena, &token, err));
    if (token.revoked_at_ms != 0)
        return true;
    int64_t admin_count = 0;
    TRY(tenant_count_admins(catalog, revocation->now_ms, &admin_count, err));
    const struct db_value values[] = {db_text(token.key_id), db_int64(revocation->now_ms)};
    TRY(db_exec(catalog->db, "UPDATE tokens SET revoked_at_ms = $2 WHERE key_id = $1", values,
                ARRAY_COUNT(values), NULL, err));
    TRY(tenant_check_admins(catalog, revocation->now_ms, admin_count, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "name", token.name);
    return audit_record_note(catalog, tenant_token_change(&token, "token.revoke"), &note, err);
}

bool tenant_revoke_token(struct catalog *catalog, const char *key_id, int64_t now_ms,
                         struct err *err)
{
    ASSERT(now_ms > 0);
    struct tenant_revocation revocation = {key_id, now_ms};
    return catalog_run(catalog, tenant_revoke_body, &revocation, err);
}
