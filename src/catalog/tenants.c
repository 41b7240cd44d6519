// SPDX-License-Identifier: Apache-2.0
// Organizations and apps. See tenant_tokens.c for tokens.
#include "catalog/tenants.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"

#define TENANT_NAME_CODE_POINTS_MAX ((size_t)256)
#define TENANT_BRANCH_RANDOM_CHARS  ((size_t)32)

static const char tenant_branch_key_prefix[] = "key_live_";
static const char tenant_branch_secret_prefix[] = "secret_live_";

// --- Names

// Size and value of the code point that text starts with; 0 when it is not UTF-8.
static size_t tenant_code_point(struct slice text, uint32_t *ret_code_point)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t smallest;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const uint8_t *bytes = (const uint8_t *)text.data;
    size_t size = 0;
    while (size < ARRAY_COUNT(forms) && (bytes[0] & forms[size].mask) != forms[size].lead)
        size++;
    if (size == ARRAY_COUNT(forms) || text.size_bytes <= size)
        return 0;
    uint32_t code_point = (uint32_t)(bytes[0] & ~forms[size].mask);
    for (size_t i = 1; i <= size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code_point = code_point << 6 | (uint32_t)(bytes[i] & 0x3f);
    }
    const bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < forms[size].smallest || code_point > 0x10ffff || is_surrogate)
        return 0;
    *ret_code_point = code_point;
    return size + 1;
}

bool tenant_check_name(const char *name, struct err *err)
{
    size_t count = 0;
    bool has_more_than_spaces = false;
    for (struct slice rest = slice_text(name); !slice_is_empty(rest); count++) {
        uint32_t code_point = 0;
        const size_t size = tenant_code_point(rest, &code_point);
        if (size == 0)
            return err_set(err, ERR_INVALID, "name is not UTF-8");
        if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0))
            return err_set(err, ERR_INVALID, "name has a control character");
        has_more_than_spaces = has_more_than_spaces || (code_point != ' ' && code_point != 0xa0);
        rest = slice_from(rest, size);
    }
    if (!has_more_than_spaces)
        return err_set(err, ERR_INVALID, "name is empty");
    if (count > TENANT_NAME_CODE_POINTS_MAX)
        return err_set(err, ERR_INVALID, "name is longer than %zu characters",
                       TENANT_NAME_CODE_POINTS_MAX);
    return true;
}

// --- Making ids

// 18 digits: always below 2^63.
static const char *tenant_new_id(struct arena *arena)
{
    const uint64_t smallest = UINT64_C(100000000000000000);
    return arena_format(arena, "%" PRIu64, smallest + rng_below(rng_system(), 9 * smallest));
}

static const char *tenant_new_branch_text(struct arena *arena, const char *prefix)
{
    char random[TENANT_BRANCH_RANDOM_CHARS + 1];
    rng_text(rng_system(), random, TENANT_BRANCH_RANDOM_CHARS);
    return arena_format(arena, "%s%s", prefix, random);
}

// --- Organizations

#define TENANT_ORGANIZATION_COLUMNS "id, name, external_id, created_at_ms"

static void tenant_read_organization(const struct db_rows *rows, struct arena *arena,
                                     struct tenant_organization *ret_organization)
{
    *ret_organization = (struct tenant_organization){
        .id = catalog_row_text(rows, 0, arena),
        .name = catalog_row_text(rows, 1, arena),
        .external_id = catalog_row_text(rows, 2, arena),
        .created_at_ms = db_rows_int64(rows, 3),
    };
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
        .created_at_ms = now_ms,
    };
    const struct db_value values[] = {db_text(organization.id), db_text(organization.name),
                                      db_text(organization.external_id), db_int64(now_ms)};
    TRY(db_exec(catalog->db,
                "INSERT INTO organizations(" TENANT_ORGANIZATION_COLUMNS ")"
                " VALUES($1, $2, $3, $4)",
                values, ARRAY_COUNT(values), NULL, err));
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
        return err_set(err, ERR_NOT_FOUND, "no such organization");
    tenant_read_organization(rows, arena, ret_organization);
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
        return err_set(err, ERR_NOT_FOUND, "no such organization");
    *ret_limit = db_rows_is_null(rows, 0) ? default_limit : db_rows_int64(rows, 0);
    return true;
}

// --- Apps

#define TENANT_APP_COLUMNS "id, organization_id, name, branch_key, created_at_ms"

static void tenant_read_app(const struct db_rows *rows, struct arena *arena,
                            struct tenant_app *ret_app)
{
    *ret_app = (struct tenant_app){
        .id = catalog_row_text(rows, 0, arena),
        .organization_id = catalog_row_text(rows, 1, arena),
        .name = catalog_row_text(rows, 2, arena),
        .branch_key = catalog_row_text(rows, 3, arena),
        .created_at_ms = db_rows_int64(rows, 4),
    };
}

static bool tenant_insert_app(struct catalog *catalog, const struct tenant_app *app,
                              const char *branch_secret, struct err *err)
{
    const struct db_value owner[] = {db_text(app->organization_id)};
    int64_t owner_count = 0;
    TRY(catalog_query_int64(catalog, "SELECT count(*) FROM organizations WHERE id = $1", owner,
                            ARRAY_COUNT(owner), &owner_count, err));
    if (owner_count == 0)
        return err_set(err, ERR_NOT_FOUND, "no such organization");
    uint8_t digest[SHA256_BYTES];
    char digest_text[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(branch_secret), digest);
    hex_encode(slice_of(digest, sizeof digest), digest_text);
    const struct db_value values[] = {
        db_text(app->id),         db_text(app->organization_id), db_text(app->name),
        db_text(app->branch_key), db_int64(app->created_at_ms),  db_text(digest_text)};
    return db_exec(catalog->db,
                   "INSERT INTO apps(" TENANT_APP_COLUMNS ", branch_secret_sha256)"
                   " VALUES($1, $2, $3, $4, $5, $6)",
                   values, ARRAY_COUNT(values), NULL, err);
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
        .branch_key = tenant_new_branch_text(arena, tenant_branch_key_prefix),
        .created_at_ms = now_ms,
    };
    const char *branch_secret = tenant_new_branch_text(arena, tenant_branch_secret_prefix);
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, tenant_insert_app(catalog, &app, branch_secret, err), err));
    *ret_app = app;
    *ret_branch_secret = branch_secret;
    return true;
}

bool tenant_list_apps(struct catalog *catalog, const char *organization_id, struct arena *arena,
                      struct tenant_app **ret_apps, size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(organization_id)};
    const char *sql = organization_id == NULL
                          ? "SELECT " TENANT_APP_COLUMNS " FROM apps ORDER BY created_at_ms, id"
                          : "SELECT " TENANT_APP_COLUMNS " FROM apps WHERE organization_id = $1"
                            " ORDER BY created_at_ms, id";
    TRY(db_query(catalog->db, sql, values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct tenant_app *app = catalog_list_add(&list, arena, sizeof *app);
        tenant_read_app(rows, arena, app);
    }
    TRY(err->kind == ERR_NONE);
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
        return err_set(err, ERR_NOT_FOUND, "no such app");
    tenant_read_app(rows, arena, ret_app);
    return true;
}

bool tenant_get_app(struct catalog *catalog, const char *organization_id, const char *app_id,
                    struct arena *arena, struct tenant_app *ret_app, struct err *err)
{
    const struct db_value values[] = {db_text(organization_id), db_text(app_id)};
    return tenant_read_one_app(
        catalog, "SELECT " TENANT_APP_COLUMNS " FROM apps WHERE organization_id = $1 AND id = $2",
        values, ARRAY_COUNT(values), arena, ret_app, err);
}

bool tenant_get_any_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                        struct tenant_app *ret_app, struct err *err)
{
    const struct db_value values[] = {db_text(app_id)};
    return tenant_read_one_app(catalog, "SELECT " TENANT_APP_COLUMNS " FROM apps WHERE id = $1",
                               values, ARRAY_COUNT(values), arena, ret_app, err);
}
