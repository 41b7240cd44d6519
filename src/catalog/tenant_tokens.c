// SPDX-License-Identifier: Apache-2.0
// Access tokens:
//
//   api_app_ KKKKKKKKKK SSSSSSSSSSSSSSSS CCCCCC
//   prefix   key id     secret           CRC32C of all before it, base 62
//
// The checksum tells mistyped and foreign texts apart without a look-up; it protects nothing. The
// secret has 95 bits, so a plain SHA-256 keeps it.
#include "base/check.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"
#include "catalog/tenants.h"

#define TENANT_PREFIX_CHARS      ((size_t)8)
#define TENANT_SECRET_CHARS      ((size_t)16)
#define TENANT_CHECKSUM_CHARS    ((size_t)6)
#define TENANT_LAST_USED_STEP_MS INT64_C(60000)

_Static_assert(TENANT_PREFIX_CHARS + TENANT_KEY_ID_CHARS + TENANT_SECRET_CHARS +
                       TENANT_CHECKSUM_CHARS ==
                   TENANT_TOKEN_CHARS,
               "the parts are the token");

static const char tenant_app_prefix[] = "api_app_";
static const char tenant_operator_prefix[] = "api_adm_";

static const struct {
    enum tenant_permission permission;
    bool is_for_operators; // else for tokens of an organization
    const char *name;
} tenant_permissions[] = {
    {TENANT_EXPORT, false, "export"},
    {TENANT_INGEST, false, "ingest"},
    {TENANT_SENSITIVE_DATA, false, "sensitive_data"},
    {TENANT_ADMIN, true, "admin"},
    {TENANT_OPERATOR_INGEST, true, "operator_ingest"},
};

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

// --- Texts of tokens

static void tenant_write_checksum(struct slice covered, char ret_text[7])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t rest = crc32c(covered);
    for (size_t i = TENANT_CHECKSUM_CHARS; i > 0; i--) {
        ret_text[i - 1] = digits[rest % 62];
        rest /= 62;
    }
    ASSERT(rest == 0);
    ret_text[TENANT_CHECKSUM_CHARS] = '\0';
}

static const char *tenant_new_token(struct arena *arena, bool is_operator, const char *key_id)
{
    char secret[TENANT_SECRET_CHARS + 1];
    rng_text(rng_system(), secret, TENANT_SECRET_CHARS);
    const char *covered = arena_format(
        arena, "%s%s%s", is_operator ? tenant_operator_prefix : tenant_app_prefix, key_id, secret);
    char checksum[TENANT_CHECKSUM_CHARS + 1];
    tenant_write_checksum(slice_text(covered), checksum);
    const char *token = arena_format(arena, "%s%s", covered, checksum);
    ASSERT(strlen(token) == TENANT_TOKEN_CHARS);
    return token;
}

static bool tenant_is_alphanumeric(char character)
{
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z');
}

static bool tenant_token_is_well_formed(struct slice token)
{
    if (token.size_bytes != TENANT_TOKEN_CHARS ||
        (!slice_starts_with(token, slice_text(tenant_app_prefix)) &&
         !slice_starts_with(token, slice_text(tenant_operator_prefix))))
        return false;
    for (size_t i = TENANT_PREFIX_CHARS; i < TENANT_TOKEN_CHARS; i++) {
        if (!tenant_is_alphanumeric(slice_chars(token)[i]))
            return false;
    }
    const size_t covered_chars = TENANT_TOKEN_CHARS - TENANT_CHECKSUM_CHARS;
    char checksum[TENANT_CHECKSUM_CHARS + 1];
    tenant_write_checksum(slice_part(token, 0, covered_chars), checksum);
    return slice_equal_text(slice_from(token, covered_chars), checksum);
}

static void tenant_digest(struct slice token, char ret_text[65])
{
    uint8_t digest[SHA256_BYTES];
    sha256_of(token, digest);
    hex_encode(slice_of(digest, sizeof digest), ret_text);
}

// --- Making

static bool tenant_check_permissions(bool is_operator, unsigned permissions, struct err *err)
{
    unsigned allowed = 0;
    for (size_t i = 0; i < ARRAY_COUNT(tenant_permissions); i++) {
        if (tenant_permissions[i].is_for_operators == is_operator)
            allowed |= (unsigned)tenant_permissions[i].permission;
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
    const struct db_value values[] = {db_text(token->organization_id), db_text(token->app_id)};
    int64_t count = 0;
    TRY(catalog_query_int64(
        catalog,
        token->app_id == NULL ? "SELECT count(*) FROM organizations WHERE id = $1"
                              : "SELECT count(*) FROM apps WHERE organization_id = $1 AND id = $2",
        values, ARRAY_COUNT(values), &count, err));
    if (count == 0)
        return err_set(err, ERR_NOT_FOUND,
                       token->app_id == NULL ? "no such organization" : "no such app");
    return true;
}

// A token that is made for nobody in particular is its own user.
static bool tenant_insert_user(struct catalog *catalog, struct tenant_token *token, struct err *err)
{
    TRY(catalog_query_int64(catalog, "SELECT coalesce(max(id), 0) + 1 FROM users", NULL, 0,
                            &token->user_id, err));
    const struct db_value values[] = {db_int64(token->user_id), db_text(token->organization_id),
                                      db_text(token->name), db_int64(token->created_at_ms)};
    return db_exec(catalog->db,
                   "INSERT INTO users(id, organization_id, name, created_at_ms)"
                   " VALUES($1, $2, $3, $4)",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool tenant_insert_token(struct catalog *catalog, struct tenant_token *token,
                                const char *digest, struct err *err)
{
    TRY(tenant_check_owner(catalog, token, err));
    TRY(tenant_insert_user(catalog, token, err));
    const struct db_value values[] = {db_text(token->key_id),
                                      db_text(digest),
                                      db_text(token->organization_id),
                                      db_text(token->app_id),
                                      db_text(token->name),
                                      db_int64(token->user_id),
                                      db_int64((int64_t)token->permissions),
                                      db_int64(token->created_at_ms)};
    return db_exec(catalog->db,
                   "INSERT INTO tokens(key_id, token_sha256, organization_id, app_id, name,"
                   " user_id, permissions, created_at_ms) VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool tenant_create_token(struct catalog *catalog, const char *organization_id, const char *app_id,
                         const char *name, unsigned permissions, int64_t now_ms,
                         struct arena *arena, struct tenant_token *ret_details,
                         const char **ret_token, struct err *err)
{
    const bool is_operator = organization_id == NULL;
    if (is_operator && app_id != NULL)
        return err_set(err, ERR_INVALID, "an operator token has no app");
    TRY(tenant_check_name(name, err));
    TRY(tenant_check_permissions(is_operator, permissions, err));
    char key_id[TENANT_KEY_ID_CHARS + 1];
    rng_text(rng_system(), key_id, TENANT_KEY_ID_CHARS);
    struct tenant_token details = {
        .key_id = arena_copy_text(arena, key_id),
        .organization_id = is_operator ? NULL : arena_copy_text(arena, organization_id),
        .app_id = app_id == NULL ? NULL : arena_copy_text(arena, app_id),
        .name = arena_copy_text(arena, name),
        .permissions = permissions,
        .created_at_ms = now_ms,
    };
    const char *token = tenant_new_token(arena, is_operator, key_id);
    char digest[SHA256_HEX_CHARS + 1];
    tenant_digest(slice_text(token), digest);
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_insert_token(catalog, &details, digest, err), err));
    *ret_details = details;
    *ret_token = token;
    return true;
}

// --- Listing and revoking

#define TENANT_TOKEN_COLUMNS                                                                       \
    "key_id, organization_id, app_id, name, user_id, permissions, created_at_ms,"                  \
    " last_used_at_ms, revoked_at_ms"

bool tenant_list_tokens(struct catalog *catalog, const char *organization_id, struct arena *arena,
                        struct tenant_token **ret_tokens, size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(organization_id)};
    const char *sql = organization_id == NULL ? "SELECT " TENANT_TOKEN_COLUMNS
                                                " FROM tokens ORDER BY user_id"
                                              : "SELECT " TENANT_TOKEN_COLUMNS " FROM tokens"
                                                " WHERE organization_id = $1 ORDER BY user_id";
    TRY(db_query(catalog->db, sql, values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct tenant_token *token = catalog_list_add(&list, arena, sizeof *token);
        *token = (struct tenant_token){
            .key_id = catalog_row_text(rows, 0, arena),
            .organization_id = catalog_row_text(rows, 1, arena),
            .app_id = catalog_row_text(rows, 2, arena),
            .name = catalog_row_text(rows, 3, arena),
            .user_id = db_rows_int64(rows, 4),
            .permissions = (unsigned)db_rows_int64(rows, 5),
            .created_at_ms = db_rows_int64(rows, 6),
            .last_used_at_ms = db_rows_int64(rows, 7),
            .revoked_at_ms = db_rows_int64(rows, 8),
        };
    }
    TRY(err->kind == ERR_NONE);
    *ret_tokens = list.items;
    *ret_count = list.count;
    return true;
}

bool tenant_revoke_token(struct catalog *catalog, const char *key_id, int64_t now_ms,
                         struct err *err)
{
    ASSERT(now_ms > 0);
    const struct db_value values[] = {db_text(key_id), db_int64(now_ms)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE tokens SET revoked_at_ms ="
                " CASE WHEN revoked_at_ms = 0 THEN $2 ELSE revoked_at_ms END WHERE key_id = $1",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_NOT_FOUND, "no such token");
    return true;
}

// --- Verifying

// What a look-up found; for an unknown key id a digest that no token has, so that both paths
// compare.
struct tenant_candidate {
    struct tenant_identity identity;
    char digest[SHA256_HEX_CHARS + 1];
    int64_t last_used_at_ms;
    bool is_valid; // known and not revoked
};

static bool tenant_look_up(struct catalog *catalog, struct slice key_id, struct arena *arena,
                           struct tenant_candidate *ret_candidate, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_slice(key_id)};
    TRY(catalog_query_row(catalog,
                          "SELECT token_sha256, organization_id, app_id, user_id, permissions,"
                          " last_used_at_ms, revoked_at_ms FROM tokens WHERE key_id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    *ret_candidate = (struct tenant_candidate){0};
    memset(ret_candidate->digest, '-', SHA256_HEX_CHARS);
    if (!found)
        return true;
    const struct slice digest = db_rows_text(rows, 0);
    if (digest.size_bytes != SHA256_HEX_CHARS)
        return err_set(err, ERR_CORRUPT, "a token's hash has %zu characters", digest.size_bytes);
    memcpy(ret_candidate->digest, digest.data, SHA256_HEX_CHARS);
    ret_candidate->identity = (struct tenant_identity){
        .key_id = arena_copy_slice(arena, key_id),
        .organization_id = catalog_row_text(rows, 1, arena),
        .app_id = catalog_row_text(rows, 2, arena),
        .user_id = db_rows_int64(rows, 3),
        .permissions = (unsigned)db_rows_int64(rows, 4),
    };
    ret_candidate->last_used_at_ms = db_rows_int64(rows, 5);
    ret_candidate->is_valid = db_rows_int64(rows, 6) == 0;
    return true;
}

// A time that cannot be written now (full disk, busy) is no reason to turn a caller away: it is
// written with one of the next calls. Times after now come from a clock that was set back.
static bool tenant_mark_used(struct catalog *catalog, const struct tenant_candidate *candidate,
                             int64_t now_ms, struct err *err)
{
    const int64_t age_ms = now_ms - candidate->last_used_at_ms;
    if (age_ms >= 0 && age_ms < TENANT_LAST_USED_STEP_MS)
        return true;
    const struct db_value values[] = {db_text(candidate->identity.key_id), db_int64(now_ms)};
    if (db_exec(catalog->db, "UPDATE tokens SET last_used_at_ms = $2 WHERE key_id = $1", values,
                ARRAY_COUNT(values), NULL, err))
        return true;
    if (!err_kind_is_retryable(err->kind))
        return false;
    err_clear(err);
    return true;
}

bool tenant_verify(struct catalog *catalog, struct slice token, int64_t now_ms, struct arena *arena,
                   struct tenant_identity *ret_identity, struct err *err)
{
    static const char denied[] = "invalid access token";
    if (!tenant_token_is_well_formed(token))
        return err_set(err, ERR_DENIED, "%s", denied);
    struct tenant_candidate candidate;
    TRY(tenant_look_up(catalog, slice_part(token, TENANT_PREFIX_CHARS, TENANT_KEY_ID_CHARS), arena,
                       &candidate, err));
    char digest[SHA256_HEX_CHARS + 1];
    tenant_digest(token, digest);
    const bool is_equal = slice_equal_constant_time(slice_of(digest, SHA256_HEX_CHARS),
                                                    slice_of(candidate.digest, SHA256_HEX_CHARS));
    if (!is_equal || !candidate.is_valid)
        return err_set(err, ERR_DENIED, "%s", denied);
    TRY(tenant_mark_used(catalog, &candidate, now_ms, err));
    *ret_identity = candidate.identity;
    return true;
}

bool tenant_key_is_valid(struct catalog *catalog, const char *key_id, bool *ret_valid,
                         struct err *err)
{
    const struct db_value values[] = {db_text(key_id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM tokens WHERE key_id = $1 AND revoked_at_ms = 0",
                            values, ARRAY_COUNT(values), &count, err));
    *ret_valid = count > 0;
    return true;
}
