// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/catalog_internal.h"
#include "catalog/tenant_tokens.h"
#include "catalog/tenants.h"

#define NOW_MS INT64_C(1700000000000)

struct fixture {
    struct catalog *catalog;
    struct arena arena;
    struct tenant_organization organization;
    struct tenant_organization stranger;
    struct tenant_app app;
    struct err err;
};

static struct tenant_organization make_organization(struct fixture *fixture, const char *name)
{
    struct tenant_organization organization = {0};
    if (!tenant_create_organization(fixture->catalog, name, NOW_MS, &fixture->arena, &organization,
                                    &fixture->err))
        fail_msg("%s", fixture->err.message);
    return organization;
}

static struct tenant_app make_app(struct fixture *fixture, const char *organization_id,
                                  const char *name)
{
    struct tenant_app app = {0};
    const char *secret = NULL;
    if (!tenant_create_app(fixture->catalog, organization_id, name, NOW_MS, &fixture->arena, &app,
                           &secret, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return app;
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    if (!catalog_create(":memory:", &fixture->catalog, &fixture->err))
        return -1;
    fixture->organization = make_organization(fixture, "Acme");
    fixture->stranger = make_organization(fixture, "Other");
    fixture->app = make_app(fixture, fixture->organization.id, "Shop");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(&fixture->catalog);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static void assert_id(const char *id)
{
    int64_t number = 0;
    assert_int_equal(strlen(id), 18);
    assert_int_not_equal(id[0], '0');
    assert_true(number_parse_int64(slice_text(id), &number));
}

static void assert_random_text(const char *text, const char *prefix, size_t random_chars)
{
    assert_true(slice_starts_with(slice_text(text), slice_text(prefix)));
    const char *random = text + strlen(prefix);
    assert_int_equal(strlen(random), random_chars);
    assert_int_equal(
        strspn(random, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        random_chars);
}

// Whether the text is anywhere in the tables.
static bool is_stored(struct fixture *fixture, const char *text)
{
    const struct db_value values[] = {db_text(text)};
    int64_t count = 0;
    assert_true(catalog_query_int64(
        fixture->catalog,
        "SELECT (SELECT count(*) FROM tokens WHERE $1 IN (key_id, token_sha256, name))"
        " + (SELECT count(*) FROM apps WHERE $1 IN (name, branch_key, branch_secret_sha256))",
        values, 1, &count, &fixture->err));
    return count > 0;
}

// --- Organizations and apps

static void organizations_are_made_and_found(void **state)
{
    struct fixture *fixture = *state;
    assert_id(fixture->organization.id);
    assert_string_equal(fixture->organization.name, "Acme");
    assert_int_equal(strlen(fixture->organization.external_id), 36);
    assert_int_equal(fixture->organization.external_id[14], '4');
    assert_string_not_equal(fixture->organization.id, fixture->stranger.id);

    struct tenant_organization found = {0};
    assert_true(tenant_get_organization(fixture->catalog, fixture->organization.id, &fixture->arena,
                                        &found, &fixture->err));
    assert_string_equal(found.name, "Acme");
    assert_string_equal(found.external_id, fixture->organization.external_id);
    assert_int_equal(found.created_at_ms, NOW_MS);
    assert_false(tenant_get_organization(fixture->catalog, "123456789012345678", &fixture->arena,
                                         &found, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);

    struct tenant_organization *list = NULL;
    size_t count = 0;
    assert_true(
        tenant_list_organizations(fixture->catalog, &fixture->arena, &list, &count, &fixture->err));
    assert_int_equal(count, 2);
}

static void the_limit_of_subscriptions_is_the_servers_unless_it_is_set(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture->organization.id;
    int64_t limit = -1;
    assert_true(tenant_subscription_limit(fixture->catalog, id, 35, &limit, &fixture->err));
    assert_int_equal(limit, 35);
    const struct db_value values[] = {db_text(id)};
    assert_true(db_exec(fixture->catalog->db,
                        "UPDATE organizations SET subscription_limit = 0 WHERE id = $1", values, 1,
                        NULL, &fixture->err));
    assert_true(tenant_subscription_limit(fixture->catalog, id, 35, &limit, &fixture->err));
    assert_int_equal(limit, 0);
    assert_true(tenant_subscription_limit(fixture->catalog, fixture->stranger.id, 7, &limit,
                                          &fixture->err));
    assert_int_equal(limit, 7);
    assert_false(tenant_subscription_limit(fixture->catalog, "1", 35, &limit, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void names_are_checked(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *name;
        const char *message;
    } bad[] = {
        {"", "Invalid name"},
        {" ", "Invalid name"},
        {"  \xc2\xa0 ", "Invalid name"},
        {"\xe2\x80\x83\xe3\x80\x80", "Invalid name"}, // em space, ideographic space
        {"\xe2\x80\x8b\xef\xbb\xbf", "Invalid name"}, // marks of no width
        {"a\nb", "Invalid character in name"},
        {"a\r\nb", "Invalid character in name"},
        {"a\x7f", "Invalid character in name"},
        {"\xc2\x85", "Invalid character in name"},
        {"a\xe2\x80\xa8", "Invalid character in name"}, // line separator
        {"\t", "Invalid character in name"},
        {"a\xff", "Invalid character in name"},
        {"\xc3", "Invalid character in name"},
        {"\xc0\x80", "Invalid character in name"},
        {"\xed\xa0\x80", "Invalid character in name"},
        {"\xf5\x80\x80\x80", "Invalid character in name"},
        {"\xe0\x80\x80", "Invalid character in name"},
        {"\xf0\x8f\xbf\xbf", "Invalid character in name"},
        {"\xe2\x82", "Invalid character in name"},
        {"\xc3(x", "Invalid character in name"},
    };
    struct tenant_organization organization;
    struct tenant_app app;
    const char *secret = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(tenant_create_organization(fixture->catalog, bad[i].name, NOW_MS,
                                                &fixture->arena, &organization, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
        assert_string_equal(fixture->err.message, bad[i].message);
        assert_false(tenant_create_app(fixture->catalog, fixture->organization.id, bad[i].name,
                                       NOW_MS, &fixture->arena, &app, &secret, &fixture->err));
        assert_string_equal(fixture->err.message, bad[i].message);
    }
    char name[2 * 257 + 1] = "";
    for (size_t i = 0; i < 256; i++)
        memcpy(name + 2 * i, "\xc3\xa9", 2);
    (void)make_organization(fixture, name);
    (void)make_organization(fixture, "\xf0\x9f\xa5\x9b \xe2\x82\xac x");
    (void)make_organization(fixture, "e\xcc\x81"); // the same letter, written otherwise
    (void)make_organization(fixture, "\xc3\xa9");
    memcpy(name + 512, "\xc3\xa9", 2);
    assert_false(tenant_create_organization(fixture->catalog, name, NOW_MS, &fixture->arena,
                                            &organization, &fixture->err));
    assert_string_equal(fixture->err.message, "Name too long");
}

static void apps_have_keys_and_their_secret_is_not_kept(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_app app = {0};
    const char *secret = NULL;
    assert_true(tenant_create_app(fixture->catalog, fixture->organization.id, "Second", NOW_MS,
                                  &fixture->arena, &app, &secret, &fixture->err));
    assert_id(app.id);
    assert_random_text(app.branch_key, "key_live_", 32);
    assert_random_text(secret, "secret_live_", 32);
    assert_true(is_stored(fixture, app.branch_key));
    assert_false(is_stored(fixture, secret));
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(secret), digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    assert_true(is_stored(fixture, hex));
    assert_false(tenant_create_app(fixture->catalog, "100000000000000000", "x", NOW_MS,
                                   &fixture->arena, &app, &secret, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void apps_of_others_do_not_exist(void **state)
{
    struct fixture *fixture = *state;
    const struct tenant_app foreign = make_app(fixture, fixture->stranger.id, "Theirs");
    struct tenant_app app = {0};
    char unknown_text[512];
    assert_true(tenant_get_app(fixture->catalog, fixture->organization.id, fixture->app.id,
                               &fixture->arena, &app, &fixture->err));
    assert_string_equal(app.name, "Shop");
    assert_string_equal(app.branch_key, fixture->app.branch_key);
    assert_string_equal(app.organization_id, fixture->organization.id);

    assert_false(tenant_get_app(fixture->catalog, fixture->organization.id, "100000000000000000",
                                &fixture->arena, &app, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    memcpy(unknown_text, fixture->err.message, sizeof unknown_text);
    assert_false(tenant_get_app(fixture->catalog, fixture->organization.id, foreign.id,
                                &fixture->arena, &app, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_string_equal(fixture->err.message, unknown_text);
    assert_true(
        tenant_get_any_app(fixture->catalog, foreign.id, &fixture->arena, &app, &fixture->err));
    assert_string_equal(app.name, "Theirs");
    assert_false(tenant_get_any_app(fixture->catalog, "1", &fixture->arena, &app, &fixture->err));

    struct tenant_app *list = NULL;
    size_t count = 0;
    assert_true(tenant_list_apps(fixture->catalog, fixture->organization.id, &fixture->arena, &list,
                                 &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].id, fixture->app.id);
    assert_true(
        tenant_list_apps(fixture->catalog, NULL, &fixture->arena, &list, &count, &fixture->err));
    assert_int_equal(count, 2);
}

// --- Permissions

static void permissions_have_names(void **state)
{
    (void)state;
    static const enum tenant_permission permissions[] = {
        TENANT_EXPORT, TENANT_INGEST, TENANT_SENSITIVE_DATA, TENANT_ADMIN, TENANT_OPERATOR_INGEST};
    for (size_t i = 0; i < ARRAY_COUNT(permissions); i++) {
        const char *name = tenant_permission_name(permissions[i]);
        assert_int_equal(tenant_permission_parse(slice_text(name)), permissions[i]);
    }
    assert_int_equal(tenant_permission_parse(slice_text("Export")), 0);
    assert_int_equal(tenant_permission_parse(slice_text("")), 0);
}

struct made_token {
    struct tenant_token details;
    const char *text;
};

static struct made_token make_token(struct fixture *fixture, const char *organization_id,
                                    const char *app_id, unsigned permissions)
{
    struct made_token token = {0};
    const struct tenant_token_request request = {.organization_id = organization_id,
                                                 .app_id = app_id,
                                                 .name = "ci",
                                                 .permissions = permissions};
    if (!tenant_create_token(fixture->catalog, &request, NOW_MS, &fixture->arena, &token.details,
                             &token.text, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return token;
}

static void assert_request_fails(struct fixture *fixture, struct tenant_token_request request,
                                 enum err_kind kind)
{
    struct tenant_token details;
    const char *text = NULL;
    assert_false(tenant_create_token(fixture->catalog, &request, NOW_MS, &fixture->arena, &details,
                                     &text, &fixture->err));
    assert_int_equal(fixture->err.kind, kind);
    assert_null(text);
}

static void assert_not_made(struct fixture *fixture, const char *organization_id,
                            const char *app_id, unsigned permissions, enum err_kind kind)
{
    assert_request_fails(fixture,
                         (struct tenant_token_request){.organization_id = organization_id,
                                                       .app_id = app_id,
                                                       .name = "ci",
                                                       .permissions = permissions},
                         kind);
}

static void tokens_that_make_no_sense_are_not_made(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = fixture->organization.id;
    const struct tenant_app foreign = make_app(fixture, fixture->stranger.id, "Theirs");
    assert_not_made(fixture, organization_id, NULL, 0, ERR_INVALID);
    assert_not_made(fixture, organization_id, NULL, 32, ERR_INVALID);
    assert_not_made(fixture, organization_id, NULL, TENANT_EXPORT | TENANT_ADMIN, ERR_INVALID);
    assert_not_made(fixture, organization_id, NULL, TENANT_OPERATOR_INGEST, ERR_INVALID);
    assert_not_made(fixture, NULL, NULL, TENANT_EXPORT, ERR_INVALID);
    assert_not_made(fixture, NULL, fixture->app.id, TENANT_ADMIN, ERR_INVALID);
    assert_not_made(fixture, "100000000000000000", NULL, TENANT_EXPORT, ERR_NOT_FOUND);
    assert_not_made(fixture, organization_id, foreign.id, TENANT_EXPORT, ERR_NOT_FOUND);
    assert_request_fails(fixture,
                         (struct tenant_token_request){.organization_id = organization_id,
                                                       .name = " ",
                                                       .permissions = TENANT_EXPORT},
                         ERR_INVALID);
}

// --- Verifying

static void tokens_identify_their_holder(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token wide = make_token(fixture, fixture->organization.id, NULL,
                                              TENANT_EXPORT | TENANT_SENSITIVE_DATA);
    const struct made_token narrow = make_token(fixture, fixture->organization.id, fixture->app.id,
                                                TENANT_INGEST);
    const struct made_token operator_token = make_token(fixture, NULL, NULL, TENANT_ADMIN);
    assert_random_text(wide.text, "api_app_", 32);
    assert_random_text(operator_token.text, "api_adm_", 32);
    assert_int_equal(strlen(wide.details.key_id), TENANT_KEY_ID_CHARS);
    assert_memory_equal(wide.text + 8, wide.details.key_id, TENANT_KEY_ID_CHARS);
    assert_false(is_stored(fixture, wide.text));

    struct tenant_identity identity = {0};
    assert_true(tenant_verify(fixture->catalog, slice_text(wide.text), NOW_MS, &fixture->arena,
                              &identity, &fixture->err));
    assert_string_equal(identity.key_id, wide.details.key_id);
    assert_string_equal(identity.organization_id, fixture->organization.id);
    assert_null(identity.app_id);
    assert_int_equal(identity.user_id, 1);
    assert_int_equal(identity.permissions, TENANT_EXPORT | TENANT_SENSITIVE_DATA);

    assert_true(tenant_verify(fixture->catalog, slice_text(narrow.text), NOW_MS, &fixture->arena,
                              &identity, &fixture->err));
    assert_string_equal(identity.app_id, fixture->app.id);
    assert_int_equal(identity.user_id, 2);
    assert_true(tenant_verify(fixture->catalog, slice_text(operator_token.text), NOW_MS,
                              &fixture->arena, &identity, &fixture->err));
    assert_null(identity.organization_id);
    assert_null(identity.app_id);
    assert_int_equal(identity.permissions, TENANT_ADMIN);
}

// Gives the text the checksum that it would have.
static void repair_checksum(char text[41])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t rest = crc32c(slice_of(text, 34));
    for (size_t i = 40; i > 34; i--) {
        text[i - 1] = digits[rest % 62];
        rest /= 62;
    }
}

static void assert_denied(struct fixture *fixture, struct slice text)
{
    struct tenant_identity identity = {.user_id = -1};
    assert_false(
        tenant_verify(fixture->catalog, text, NOW_MS, &fixture->arena, &identity, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_DENIED);
    assert_string_equal(fixture->err.message, "invalid access token");
    assert_int_equal(identity.user_id, -1);
}

static void anything_else_is_denied_with_one_text(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_token(fixture, fixture->organization.id, NULL,
                                               TENANT_EXPORT);
    const struct made_token revoked = make_token(fixture, fixture->organization.id, NULL,
                                                 TENANT_EXPORT);
    assert_true(
        tenant_revoke_token(fixture->catalog, revoked.details.key_id, NOW_MS, &fixture->err));
    assert_denied(fixture, slice_text(revoked.text));
    assert_denied(fixture, slice_of(NULL, 0));
    assert_denied(fixture, slice_text("api_app_"));
    assert_denied(fixture, slice_text(arena_format(&fixture->arena, "%s0", token.text)));
    assert_denied(fixture, slice_part(slice_text(token.text), 0, 39));
    for (size_t i = 0; i < TENANT_TOKEN_CHARS; i++) { // any changed character
        char text[41];
        memcpy(text, token.text, sizeof text);
        text[i] = text[i] == 'x' ? 'y' : 'x';
        assert_denied(fixture, slice_text(text));
        if (i < 34) {
            repair_checksum(text); // another key id, or another secret
            assert_denied(fixture, slice_text(text));
        }
    }
    char text[41];
    memcpy(text, token.text, sizeof text);
    memcpy(text + 4, "adm", 3); // the hash is of the whole token
    repair_checksum(text);
    assert_denied(fixture, slice_text(text));
    memcpy(text, token.text, sizeof text);
    text[12] = '\0';
    repair_checksum(text);
    assert_denied(fixture, slice_of(text, 40));
}

static int64_t last_used(struct fixture *fixture, const char *key_id)
{
    struct tenant_token *list = NULL;
    size_t count = 0;
    assert_true(
        tenant_list_tokens(fixture->catalog, NULL, &fixture->arena, &list, &count, &fixture->err));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].key_id, key_id) == 0)
            return list[i].last_used_at_ms;
    }
    fail_msg("no token %s", key_id);
    return -1;
}

static void use_is_noted_once_a_minute(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_token(fixture, fixture->organization.id, NULL,
                                               TENANT_EXPORT);
    static const struct {
        int64_t now_ms;
        int64_t noted_ms;
    } steps[] = {
        {NOW_MS, NOW_MS},
        {NOW_MS + 59999, NOW_MS},
        {NOW_MS + 60000, NOW_MS + 60000},
        {NOW_MS + 60001, NOW_MS + 60000},
        {NOW_MS, NOW_MS}, // the clock was set back
    };
    assert_int_equal(last_used(fixture, token.details.key_id), 0);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        struct tenant_identity identity;
        assert_true(tenant_verify(fixture->catalog, slice_text(token.text), steps[i].now_ms,
                                  &fixture->arena, &identity, &fixture->err));
        assert_int_equal(last_used(fixture, token.details.key_id), steps[i].noted_ms);
    }
}

// A second name of the file does not queue with the first: its writer keeps the other one out.
static void a_token_works_while_nothing_can_be_written(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    char directory[] = "/tmp/tenants_test.XXXXXX";
    assert_non_null(mkdtemp(directory));
    const char *path = arena_format(&fixture.arena, "%s/catalog.db", directory);
    const char *alias = arena_format(&fixture.arena, "%s/other.db", directory);
    assert_true(catalog_create(path, &fixture.catalog, &fixture.err));
    const struct made_token token = make_token(&fixture, NULL, NULL, TENANT_ADMIN);
    int64_t timeout_ms = 0;
    assert_true(catalog_query_int64(fixture.catalog, "PRAGMA busy_timeout = 10", NULL, 0,
                                    &timeout_ms, &fixture.err));
    struct db *writer = NULL;
    assert_int_equal(symlink("catalog.db", alias), 0);
    assert_true(db_sqlite_open(alias, false, &writer, &fixture.err));
    assert_true(db_begin(writer, &fixture.err));
    struct tenant_identity identity = {0};
    assert_true(tenant_verify(fixture.catalog, slice_text(token.text), NOW_MS, &fixture.arena,
                              &identity, &fixture.err));
    assert_int_equal(identity.permissions, TENANT_ADMIN);
    db_rollback(writer);
    assert_int_equal(last_used(&fixture, token.details.key_id), 0);
    db_close(&writer);
    catalog_close(&fixture.catalog);
    static const char *const names[] = {"catalog.db", "catalog.db-gate", "catalog.db-lock",
                                        "other.db",   "other.db-gate",   "other.db-lock"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(unlink(arena_format(&fixture.arena, "%s/%s", directory, names[i])), 0);
    assert_int_equal(rmdir(directory), 0);
    arena_clear(&fixture.arena);
}

static void revoking_ends_a_token_for_ever(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_token(fixture, fixture->organization.id, NULL,
                                               TENANT_EXPORT);
    const char *key_id = token.details.key_id;
    bool valid = false;
    assert_true(tenant_key_is_valid(fixture->catalog, key_id, &valid, &fixture->err));
    assert_true(valid);
    assert_true(tenant_revoke_token(fixture->catalog, key_id, NOW_MS + 5, &fixture->err));
    assert_true(tenant_revoke_token(fixture->catalog, key_id, NOW_MS + 9, &fixture->err));
    assert_true(tenant_key_is_valid(fixture->catalog, key_id, &valid, &fixture->err));
    assert_false(valid);
    assert_true(tenant_key_is_valid(fixture->catalog, "unknown", &valid, &fixture->err));
    assert_false(valid);
    assert_false(tenant_revoke_token(fixture->catalog, "unknown", NOW_MS, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);

    struct tenant_token *list = NULL;
    size_t count = 0;
    (void)make_token(fixture, NULL, NULL, TENANT_ADMIN);
    assert_true(tenant_list_tokens(fixture->catalog, fixture->organization.id, &fixture->arena,
                                   &list, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "ci");
    assert_int_equal(list[0].permissions, TENANT_EXPORT);
    assert_int_equal(list[0].created_at_ms, NOW_MS);
    assert_int_equal(list[0].revoked_at_ms, NOW_MS + 5);
    assert_true(tenant_list_tokens(fixture->catalog, fixture->stranger.id, &fixture->arena, &list,
                                   &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_true(
        tenant_list_tokens(fixture->catalog, NULL, &fixture->arena, &list, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_null(list[1].organization_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(organizations_are_made_and_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_limit_of_subscriptions_is_the_servers_unless_it_is_set,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(apps_have_keys_and_their_secret_is_not_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(apps_of_others_do_not_exist, set_up, tear_down),
        cmocka_unit_test(permissions_have_names),
        cmocka_unit_test_setup_teardown(tokens_that_make_no_sense_are_not_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens_identify_their_holder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(anything_else_is_denied_with_one_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(use_is_noted_once_a_minute, set_up, tear_down),
        cmocka_unit_test(a_token_works_while_nothing_can_be_written),
        cmocka_unit_test_setup_teardown(revoking_ends_a_token_for_ever, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
