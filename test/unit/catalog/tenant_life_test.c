// SPDX-License-Identifier: Apache-2.0
// What happens to tenants after they were made: changes, rotations, ends; and what the audit log
// says of it.
#include "jobs_fixture.h"

#include <string.h>

#include "catalog/catalog_internal.h"
#include "catalog/segments.h"
#include "catalog/tenant_tokens.h"

#define NOW_MS FIXTURE_NOW_MS

struct made_token {
    struct tenant_token details;
    const char *text;
};

static struct made_token make_token(struct fixture *fixture, struct tenant_token_request request)
{
    struct made_token token = {0};
    request.name = "ci";
    assert_done(fixture, tenant_create_token(fixture->catalog, &request, NOW_MS, &fixture->arena,
                                             &token.details, &token.text, &fixture->err));
    return token;
}

static struct made_token make_customer(struct fixture *fixture)
{
    return make_token(fixture,
                      (struct tenant_token_request){.organization_id = fixture->organization_id,
                                                    .permissions = TENANT_EXPORT});
}

static bool is_good(struct fixture *fixture, const char *text, int64_t now_ms,
                    int64_t *ret_until_ms)
{
    struct tenant_identity identity = {0};
    if (!tenant_verify(fixture->catalog, slice_text(text), now_ms, &fixture->arena, &identity,
                       &fixture->err)) {
        assert_int_equal(fixture->err.kind, ERR_DENIED);
        assert_string_equal(fixture->err.message, "invalid access token");
        return false;
    }
    *ret_until_ms = identity.valid_until_ms;
    return true;
}

static void assert_good(struct fixture *fixture, const char *text, int64_t now_ms)
{
    int64_t until_ms = 0;
    assert_true(is_good(fixture, text, now_ms, &until_ms));
    assert_true(until_ms > now_ms);
}

static void assert_bad(struct fixture *fixture, const char *text, int64_t now_ms)
{
    int64_t until_ms = 0;
    assert_false(is_good(fixture, text, now_ms, &until_ms));
}

static bool urls_are_good(struct fixture *fixture, const char *key_id)
{
    bool is_valid = false;
    assert_done(fixture, tenant_key_is_valid(fixture->catalog, key_id, &is_valid, &fixture->err));
    return is_valid;
}

static struct tenant_organization update(struct fixture *fixture,
                                         const struct tenant_organization_change *change)
{
    struct tenant_organization organization;
    assert_done(fixture,
                tenant_update_organization(fixture->catalog, fixture->organization_id, change,
                                           NOW_MS, &fixture->arena, &organization, &fixture->err));
    return organization;
}

// --- The audit log

static const struct catalog_actor actor = {
    .key_id = "0123456789",
    .user_id = 7,
    .peer = "192.0.2.1",
    .request_id = "r-1",
    .now_ms = NOW_MS,
};

// The newest entry; {0} when there is none.
static struct audit_entry last_entry(struct fixture *fixture)
{
    const struct audit_query query = {.limit = 1};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    assert_done(fixture, audit_list(fixture->catalog, &query, &fixture->arena, &entries, &count,
                                    &fixture->err));
    return count == 0 ? (struct audit_entry){0} : entries[0];
}

static void assert_recorded(struct fixture *fixture, const char *action, const char *object_id,
                            const char *details)
{
    const struct audit_entry entry = last_entry(fixture);
    assert_non_null(entry.action);
    assert_string_equal(entry.action, action);
    assert_string_equal(entry.object_id, object_id);
    assert_string_equal(entry.details, details);
}

// --- Organizations

static void an_organization_is_renamed_limited_and_disabled(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_organization organization = update(
        fixture, &(struct tenant_organization_change){
                     .name = "new", .has_subscription_limit = true, .subscription_limit = 2});
    assert_string_equal(organization.name, "new");
    assert_int_equal(organization.subscription_limit, 2);
    assert_int_equal(organization.disabled_at_ms, 0);
    organization = update(
        fixture, &(struct tenant_organization_change){.has_disabled = true, .is_disabled = true});
    assert_string_equal(organization.name, "new");
    assert_int_equal(organization.subscription_limit, 2);
    assert_int_equal(organization.disabled_at_ms, NOW_MS);
    organization = update(
        fixture, &(struct tenant_organization_change){.has_subscription_limit = true,
                                                      .subscription_limit = TENANT_LIMIT_OF_SERVER,
                                                      .has_disabled = true});
    assert_int_equal(organization.disabled_at_ms, 0);
    int64_t limit = 0;
    assert_done(fixture, tenant_subscription_limit(fixture->catalog, fixture->organization_id, 35,
                                                   &limit, &fixture->err));
    assert_int_equal(limit, 35);
}

static void bad_changes_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        struct tenant_organization_change change;
        const char *message;
    } rows[] = {
        {{.name = "  ", .has_disabled = true, .is_disabled = true}, "Invalid name"},
        {{.name = "x", .has_subscription_limit = true, .subscription_limit = -2},
         "Number out of range"},
        {{.has_subscription_limit = true, .subscription_limit = 1000001}, "Number out of range"},
    };
    struct tenant_organization organization;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_refused(fixture,
                       tenant_update_organization(fixture->catalog, fixture->organization_id,
                                                  &rows[i].change, NOW_MS, &fixture->arena,
                                                  &organization, &fixture->err),
                       ERR_INVALID);
        assert_string_equal(fixture->err.message, rows[i].message);
    }
    assert_done(fixture, tenant_get_organization(fixture->catalog, fixture->organization_id,
                                                 &fixture->arena, &organization, &fixture->err));
    assert_string_equal(organization.name, "first");
    assert_int_equal(organization.disabled_at_ms, 0);
    assert_refused(fixture,
                   tenant_update_organization(fixture->catalog, "1", &rows[0].change, NOW_MS,
                                              &fixture->arena, &organization, &fixture->err),
                   ERR_INVALID);
    const struct tenant_organization_change none = {0};
    assert_refused(fixture,
                   tenant_update_organization(fixture->catalog, "1", &none, NOW_MS, &fixture->arena,
                                              &organization, &fixture->err),
                   ERR_NOT_FOUND);
}

static void a_disabled_organization_is_refused_until_it_is_enabled(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_customer(fixture);
    const struct made_token operator_token =
        make_token(fixture, (struct tenant_token_request){.permissions = TENANT_ADMIN});
    struct tenant_app app;
    (void)update(fixture,
                 &(struct tenant_organization_change){.has_disabled = true, .is_disabled = true});
    assert_bad(fixture, token.text, NOW_MS);
    assert_false(urls_are_good(fixture, token.details.key_id));
    assert_refused(
        fixture,
        tenant_get_any_app(fixture->catalog, fixture->app_id, &fixture->arena, &app, &fixture->err),
        ERR_NOT_FOUND);
    assert_good(fixture, operator_token.text, NOW_MS);
    (void)update(fixture, &(struct tenant_organization_change){.has_disabled = true});
    assert_good(fixture, token.text, NOW_MS);
    assert_true(urls_are_good(fixture, token.details.key_id));
    assert_done(fixture, tenant_get_any_app(fixture->catalog, fixture->app_id, &fixture->arena,
                                            &app, &fixture->err));
}

// --- Apps

static enum subscription_status status_of(struct fixture *fixture, const char *id,
                                          const char **ret_reason)
{
    struct subscription subscription;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 0, &fixture->arena,
                                              &subscription, &fixture->err));
    *ret_reason = subscription.reason;
    return subscription.status;
}

static void a_deleted_app_is_unknown_and_exports_no_more(void **state)
{
    struct fixture *fixture = *state;
    const char *reason = NULL;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "id");
    assert_true(fixture_schedule(fixture, FIXTURE_HOUR(12) + FIXTURE_GRACE_MS, 10) > 0);
    const struct made_token bound = make_token(
        fixture, (struct tenant_token_request){.organization_id = fixture->organization_id,
                                               .app_id = fixture->app_id,
                                               .permissions = TENANT_EXPORT});
    const struct made_token wide = make_customer(fixture);
    assert_done(fixture,
                tenant_delete_app(fixture->catalog, fixture->app_id, NOW_MS, &fixture->err));
    assert_int_equal(status_of(fixture, id, &reason), SUBSCRIPTION_INACTIVE);
    assert_string_equal(reason, "app was deleted");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(20), 10), 0);
    struct job job;
    assert_false(fixture_claim_at(fixture, "supervisor", FIXTURE_HOUR(20), &job));

    struct tenant_app app;
    assert_refused(fixture,
                   tenant_get_app(fixture->catalog, fixture->organization_id, fixture->app_id,
                                  &fixture->arena, &app, &fixture->err),
                   ERR_NOT_FOUND);
    assert_refused(
        fixture,
        tenant_get_any_app(fixture->catalog, fixture->app_id, &fixture->arena, &app, &fixture->err),
        ERR_NOT_FOUND);
    assert_bad(fixture, bound.text, NOW_MS);
    assert_good(fixture, wide.text, NOW_MS);
    // Files stay until they expire, and so do URLs of them.
    assert_true(urls_are_good(fixture, bound.details.key_id));
    assert_refused(fixture,
                   tenant_delete_app(fixture->catalog, fixture->app_id, NOW_MS, &fixture->err),
                   ERR_NOT_FOUND);
    assert_done(fixture, tenant_find_app(fixture->catalog, fixture->app_id, &fixture->arena, &app,
                                         &fixture->err));
    assert_int_equal(app.deleted_at_ms, NOW_MS);
}

static void jobs_that_wait_end_with_their_app(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "id");
    const int64_t made = fixture_schedule(fixture, FIXTURE_HOUR(12) + FIXTURE_GRACE_MS, 10);
    assert_done(fixture,
                tenant_delete_app(fixture->catalog, fixture->app_id, NOW_MS, &fixture->err));
    const struct db_value values[] = {db_text(id)};
    int64_t canceled = 0;
    assert_done(fixture, catalog_query_int64(fixture->catalog,
                                             "SELECT count(*) FROM jobs WHERE subscription_id = $1"
                                             " AND state = 4 AND reason = 'app was deleted'",
                                             values, 1, &canceled, &fixture->err));
    assert_int_equal(canceled, made);
}

// Those that a job of the organization covers, though they sent nothing.
static size_t count_apps_of_window(struct fixture *fixture, int64_t end_ms)
{
    const struct segment_slice window = {.time_max_ms = end_ms};
    const char *const *app_ids = NULL;
    size_t count = 0;
    assert_done(fixture, segment_find_apps(fixture->catalog, fixture->organization_id, &window,
                                           true, &fixture->arena, &app_ids, &count, &fixture->err));
    return count;
}

static void apps_are_there_from_their_making_to_their_deletion(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_app app;
    const char *secret = NULL;
    const char *stranger_app_id = NULL;
    (void)fixture_organization(fixture, "other", &stranger_app_id);
    assert_done(fixture,
                tenant_create_app(fixture->catalog, fixture->organization_id, "late", NOW_MS + 10,
                                  &fixture->arena, &app, &secret, &fixture->err));
    assert_done(fixture,
                tenant_delete_app(fixture->catalog, fixture->app_id, NOW_MS + 20, &fixture->err));
    assert_int_equal(count_apps_of_window(fixture, NOW_MS), 0);
    assert_int_equal(count_apps_of_window(fixture, NOW_MS + 1), 1);
    assert_int_equal(count_apps_of_window(fixture, NOW_MS + 11), 2);
    assert_int_equal(count_apps_of_window(fixture, NOW_MS + 20), 2);
    assert_int_equal(count_apps_of_window(fixture, NOW_MS + 21), 1);
    struct tenant_app *apps = NULL;
    size_t count = 0;
    assert_done(fixture, tenant_list_apps(fixture->catalog, fixture->organization_id,
                                          &fixture->arena, &apps, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(apps[0].id, app.id);
}

static bool branch_is_good(struct fixture *fixture, const char *key, const char *secret,
                           int64_t now_ms)
{
    struct tenant_app app = {0};
    if (tenant_verify_branch(fixture->catalog, slice_text(key), slice_text(secret), now_ms,
                             &fixture->arena, &app, &fixture->err)) {
        assert_string_equal(app.branch_key, key);
        return true;
    }
    assert_int_equal(fixture->err.kind, ERR_DENIED);
    assert_string_equal(fixture->err.message, "invalid branch key or secret");
    return false;
}

static void branch_secrets_rotate_with_a_grace(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_app app;
    const char *first = NULL;
    const char *second = NULL;
    const char *third = NULL;
    assert_done(fixture, tenant_create_app(fixture->catalog, fixture->organization_id, "daily",
                                           NOW_MS, &fixture->arena, &app, &first, &fixture->err));
    assert_true(branch_is_good(fixture, app.branch_key, first, NOW_MS));
    assert_false(branch_is_good(fixture, app.branch_key, "secret_live_x", NOW_MS));
    assert_false(branch_is_good(fixture, app.branch_key, "", NOW_MS));
    assert_false(branch_is_good(fixture, "key_live_x", first, NOW_MS));
    assert_done(fixture,
                tenant_rotate_branch_secret(fixture->catalog, app.id, 1000, NOW_MS, &fixture->arena,
                                            &app, &second, &fixture->err));
    assert_int_equal(app.previous_until_ms, NOW_MS + 1000);
    assert_true(branch_is_good(fixture, app.branch_key, first, NOW_MS + 999));
    assert_false(branch_is_good(fixture, app.branch_key, first, NOW_MS + 1000));
    assert_true(branch_is_good(fixture, app.branch_key, second, NOW_MS + 1000));
    assert_done(fixture, tenant_rotate_branch_secret(fixture->catalog, app.id, 0, NOW_MS,
                                                     &fixture->arena, &app, &third, &fixture->err));
    assert_false(branch_is_good(fixture, app.branch_key, first, NOW_MS));
    assert_false(branch_is_good(fixture, app.branch_key, second, NOW_MS));
    assert_true(branch_is_good(fixture, app.branch_key, third, NOW_MS));
    assert_true(urls_are_good(fixture, app.branch_key));
    (void)update(fixture,
                 &(struct tenant_organization_change){.has_disabled = true, .is_disabled = true});
    assert_false(branch_is_good(fixture, app.branch_key, third, NOW_MS));
    assert_false(urls_are_good(fixture, app.branch_key));
    (void)update(fixture, &(struct tenant_organization_change){.has_disabled = true});
    assert_done(fixture, tenant_delete_app(fixture->catalog, app.id, NOW_MS, &fixture->err));
    assert_false(branch_is_good(fixture, app.branch_key, third, NOW_MS));
    assert_refused(fixture,
                   tenant_rotate_branch_secret(fixture->catalog, app.id, 0, NOW_MS, &fixture->arena,
                                               &app, &third, &fixture->err),
                   ERR_NOT_FOUND);
}

static void apps_are_renamed(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_app app;
    assert_done(fixture, tenant_rename_app(fixture->catalog, fixture->app_id, "shop",
                                           &fixture->arena, &app, &fixture->err));
    assert_string_equal(app.name, "shop");
    assert_refused(fixture,
                   tenant_rename_app(fixture->catalog, fixture->app_id, "a\nb", &fixture->arena,
                                     &app, &fixture->err),
                   ERR_INVALID);
    assert_refused(
        fixture,
        tenant_rename_app(fixture->catalog, "1", "shop", &fixture->arena, &app, &fixture->err),
        ERR_NOT_FOUND);
    assert_done(fixture, tenant_get_app(fixture->catalog, fixture->organization_id, fixture->app_id,
                                        &fixture->arena, &app, &fixture->err));
    assert_string_equal(app.name, "shop");
}

// --- Tokens

static void a_rotated_token_keeps_its_key_and_the_old_secret_for_a_while(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_customer(fixture);
    const char *key_id = token.details.key_id;
    struct tenant_token details;
    const char *second = NULL;
    const char *third = NULL;
    int64_t until_ms = 0;
    assert_done(fixture, tenant_rotate_token(fixture->catalog, key_id, 5000, NOW_MS,
                                             &fixture->arena, &details, &second, &fixture->err));
    assert_string_equal(details.key_id, key_id);
    assert_string_not_equal(second, token.text);
    assert_memory_equal(second, token.text, 18);
    assert_true(is_good(fixture, token.text, NOW_MS + 4999, &until_ms));
    assert_int_equal(until_ms, NOW_MS + 5000);
    assert_true(is_good(fixture, second, NOW_MS + 4999, &until_ms));
    assert_int_equal(until_ms, INT64_MAX);
    assert_bad(fixture, token.text, NOW_MS + 5000);
    assert_good(fixture, second, NOW_MS + 5000);
    assert_true(urls_are_good(fixture, key_id));
    // Only one secret is kept beside the new one.
    assert_done(fixture, tenant_rotate_token(fixture->catalog, key_id, 5000, NOW_MS,
                                             &fixture->arena, &details, &third, &fixture->err));
    assert_bad(fixture, token.text, NOW_MS);
    assert_good(fixture, second, NOW_MS);
    assert_good(fixture, third, NOW_MS);
}

static void without_grace_the_old_secret_is_over_at_once(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_customer(fixture);
    struct tenant_token details;
    const char *second = NULL;
    assert_done(fixture, tenant_rotate_token(fixture->catalog, token.details.key_id, 0, NOW_MS,
                                             &fixture->arena, &details, &second, &fixture->err));
    assert_int_equal(details.previous_until_ms, 0);
    assert_bad(fixture, token.text, NOW_MS);
    assert_good(fixture, second, NOW_MS);
}

static void what_is_over_is_not_rotated(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token revoked = make_customer(fixture);
    const struct made_token expired = make_token(
        fixture, (struct tenant_token_request){.organization_id = fixture->organization_id,
                                               .permissions = TENANT_EXPORT,
                                               .expires_at_ms = NOW_MS + 10});
    struct tenant_token details;
    const char *text = NULL;
    assert_done(fixture, tenant_revoke_token(fixture->catalog, revoked.details.key_id, NOW_MS,
                                             &fixture->err));
    assert_refused(fixture,
                   tenant_rotate_token(fixture->catalog, revoked.details.key_id, 0, NOW_MS,
                                       &fixture->arena, &details, &text, &fixture->err),
                   ERR_CONFLICT);
    assert_refused(fixture,
                   tenant_rotate_token(fixture->catalog, expired.details.key_id, 0, NOW_MS + 10,
                                       &fixture->arena, &details, &text, &fixture->err),
                   ERR_CONFLICT);
    assert_refused(fixture,
                   tenant_rotate_token(fixture->catalog, "unknown", 0, NOW_MS, &fixture->arena,
                                       &details, &text, &fixture->err),
                   ERR_NOT_FOUND);
    assert_bad(fixture, revoked.text, NOW_MS);
}

static void a_token_expires_and_its_urls_live_on(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_token(
        fixture, (struct tenant_token_request){.organization_id = fixture->organization_id,
                                               .permissions = TENANT_EXPORT,
                                               .expires_at_ms = NOW_MS + 1000});
    int64_t until_ms = 0;
    assert_true(is_good(fixture, token.text, NOW_MS + 999, &until_ms));
    assert_int_equal(until_ms, NOW_MS + 1000);
    assert_bad(fixture, token.text, NOW_MS + 1000);
    assert_true(urls_are_good(fixture, token.details.key_id));
    assert_done(fixture, tenant_revoke_token(fixture->catalog, token.details.key_id, NOW_MS + 2000,
                                             &fixture->err));
    assert_false(urls_are_good(fixture, token.details.key_id));
}

static void the_last_administrator_stays(void **state)
{
    struct fixture *fixture = *state;
    const struct tenant_token_request request = {.permissions = TENANT_ADMIN};
    const struct made_token first = make_token(fixture, request);
    const struct made_token second = make_token(fixture, request);
    assert_done(fixture,
                tenant_revoke_token(fixture->catalog, first.details.key_id, NOW_MS, &fixture->err));
    assert_refused(
        fixture,
        tenant_revoke_token(fixture->catalog, second.details.key_id, NOW_MS, &fixture->err),
        ERR_CONFLICT);
    struct tenant_user user;
    const struct tenant_user_change change = {.has_disabled = true, .is_disabled = true};
    assert_refused(fixture,
                   tenant_update_user(fixture->catalog, second.details.user_id, &change, NOW_MS,
                                      &fixture->arena, &user, &fixture->err),
                   ERR_CONFLICT);
    assert_good(fixture, second.text, NOW_MS);
    const struct made_token ingest =
        make_token(fixture, (struct tenant_token_request){.permissions = TENANT_OPERATOR_INGEST});
    assert_done(fixture, tenant_revoke_token(fixture->catalog, ingest.details.key_id, NOW_MS,
                                             &fixture->err));
}

// --- Users

static struct tenant_user make_user(struct fixture *fixture, const char *email)
{
    const struct tenant_user_request request = {fixture->organization_id, "Ann", email};
    struct tenant_user user;
    assert_done(fixture, tenant_create_user(fixture->catalog, &request, NOW_MS, &fixture->arena,
                                            &user, &fixture->err));
    return user;
}

static void a_user_has_several_tokens_and_loses_all_when_disabled(void **state)
{
    struct fixture *fixture = *state;
    const struct tenant_user ann = make_user(fixture, "ann@example.org");
    const struct tenant_token_request request = {.organization_id = fixture->organization_id,
                                                 .permissions = TENANT_EXPORT,
                                                 .user_id = ann.id};
    const struct made_token first = make_token(fixture, request);
    const struct made_token second = make_token(fixture, request);
    const struct made_token other = make_customer(fixture);
    assert_int_equal(first.details.user_id, ann.id);
    assert_int_equal(second.details.user_id, ann.id);
    assert_int_not_equal(other.details.user_id, ann.id);
    struct tenant_user user;
    struct tenant_user_change change = {.has_disabled = true, .is_disabled = true};
    assert_done(fixture, tenant_update_user(fixture->catalog, ann.id, &change, NOW_MS,
                                            &fixture->arena, &user, &fixture->err));
    assert_int_equal(user.disabled_at_ms, NOW_MS);
    assert_bad(fixture, first.text, NOW_MS);
    assert_bad(fixture, second.text, NOW_MS);
    assert_false(urls_are_good(fixture, first.details.key_id));
    assert_good(fixture, other.text, NOW_MS);
    struct tenant_token details;
    const char *text = NULL;
    struct tenant_token_request again = request;
    again.name = "again";
    assert_refused(fixture,
                   tenant_create_token(fixture->catalog, &again, NOW_MS, &fixture->arena, &details,
                                       &text, &fixture->err),
                   ERR_CONFLICT);
    change.is_disabled = false;
    assert_done(fixture, tenant_update_user(fixture->catalog, ann.id, &change, NOW_MS,
                                            &fixture->arena, &user, &fixture->err));
    assert_bad(fixture, first.text, NOW_MS); // revoked for ever
    assert_good(fixture, make_token(fixture, request).text, NOW_MS);
}

static void users_are_made_listed_and_changed(void **state)
{
    struct fixture *fixture = *state;
    const struct tenant_user ann = make_user(fixture, NULL);
    struct tenant_user user;
    const struct tenant_user_change change = {
        .name = "Anna", .has_email = true, .email = "anna@example.org"};
    assert_null(ann.email);
    assert_done(fixture, tenant_update_user(fixture->catalog, ann.id, &change, NOW_MS,
                                            &fixture->arena, &user, &fixture->err));
    assert_done(fixture,
                tenant_get_user(fixture->catalog, ann.id, &fixture->arena, &user, &fixture->err));
    assert_string_equal(user.name, "Anna");
    assert_string_equal(user.email, "anna@example.org");
    const struct tenant_user_change without = {.has_email = true};
    assert_done(fixture, tenant_update_user(fixture->catalog, ann.id, &without, NOW_MS,
                                            &fixture->arena, &user, &fixture->err));
    assert_null(user.email);
    assert_string_equal(user.name, "Anna");
    struct tenant_user *users = NULL;
    size_t count = 0;
    (void)make_token(fixture, (struct tenant_token_request){.permissions = TENANT_ADMIN});
    assert_done(fixture, tenant_list_users(fixture->catalog, fixture->organization_id,
                                           &fixture->arena, &users, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_done(fixture, tenant_list_users(fixture->catalog, NULL, &fixture->arena, &users, &count,
                                           &fixture->err));
    assert_int_equal(count, 2);
    assert_refused(fixture,
                   tenant_get_user(fixture->catalog, 1000, &fixture->arena, &user, &fixture->err),
                   ERR_NOT_FOUND);
}

static void users_that_make_no_sense_are_not_made(void **state)
{
    struct fixture *fixture = *state;
    const char *own = fixture->organization_id;
    const struct {
        struct tenant_user_request request;
        enum err_kind kind;
    } rows[] = {
        {{own, "", NULL}, ERR_INVALID},      {{own, "Ann", "nobody"}, ERR_INVALID},
        {{own, "Ann", ""}, ERR_INVALID},     {{own, "Ann", "a@b.org\r\nBcc: c@d.org"}, ERR_INVALID},
        {{"1", "Ann", NULL}, ERR_NOT_FOUND},
    };
    struct tenant_user user;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(fixture,
                       tenant_create_user(fixture->catalog, &rows[i].request, NOW_MS,
                                          &fixture->arena, &user, &fixture->err),
                       rows[i].kind);
    // A token's user must be of the token's organization.
    const struct tenant_user ann = make_user(fixture, NULL);
    const struct tenant_token_request foreign = {
        .name = "ci", .permissions = TENANT_ADMIN, .user_id = ann.id};
    struct tenant_token details;
    const char *text = NULL;
    assert_refused(fixture,
                   tenant_create_token(fixture->catalog, &foreign, NOW_MS, &fixture->arena,
                                       &details, &text, &fixture->err),
                   ERR_NOT_FOUND);
}

// --- What is written down

static void every_change_is_written_down_without_secrets(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture->catalog;
    struct tenant_app app;
    struct tenant_token details;
    const char *secret = NULL;
    catalog_act_for(catalog, &actor);
    assert_done(fixture, tenant_create_app(catalog, fixture->organization_id, "a \"b\"", NOW_MS,
                                           &fixture->arena, &app, &secret, &fixture->err));
    assert_recorded(fixture, "app.create", app.id, "{\"name\":\"a \\\"b\\\"\"}");
    assert_done(fixture,
                tenant_rename_app(catalog, app.id, "c", &fixture->arena, &app, &fixture->err));
    assert_recorded(fixture, "app.update", app.id, "{\"name\":\"c\"}");
    assert_done(fixture,
                tenant_rotate_branch_secret(catalog, app.id, 60000, NOW_MS, &fixture->arena, &app,
                                            &secret, &fixture->err));
    assert_recorded(fixture, "app.rotate", app.id, "{\"grace_seconds\":60}");
    assert_done(fixture, tenant_delete_app(catalog, app.id, NOW_MS, &fixture->err));
    assert_recorded(fixture, "app.delete", app.id, "{\"name\":\"c\",\"subscriptions\":0}");
    (void)update(fixture, &(struct tenant_organization_change){.name = "new"});
    assert_recorded(fixture, "organization.update", fixture->organization_id, "{\"name\":\"new\"}");
    const struct tenant_user ann = make_user(fixture, "ann@example.org");
    const char *user_id = arena_format(&fixture->arena, "%lld", (long long)ann.id);
    assert_recorded(fixture, "user.create", user_id,
                    "{\"name\":\"Ann\",\"email\":\"ann@example.org\"}");
    const struct made_token token = make_token(
        fixture, (struct tenant_token_request){.organization_id = fixture->organization_id,
                                               .permissions = TENANT_EXPORT | TENANT_INGEST,
                                               .user_id = ann.id,
                                               .expires_at_ms = FIXTURE_HOUR(24)});
    assert_recorded(fixture, "token.create", token.details.key_id,
                    arena_format(&fixture->arena,
                                 "{\"name\":\"ci\",\"user_id\":%s,\"permissions\":[\"export\","
                                 "\"ingest\"],\"expires_at\":\"2024-10-05T00:00:00.000-00:00\"}",
                                 user_id));
    assert_done(fixture, tenant_rotate_token(catalog, token.details.key_id, 0, NOW_MS,
                                             &fixture->arena, &details, &secret, &fixture->err));
    assert_recorded(fixture, "token.rotate", token.details.key_id, "{\"grace_seconds\":0}");
    const struct tenant_user_change change = {.has_disabled = true, .is_disabled = true};
    struct tenant_user user;
    assert_done(fixture, tenant_update_user(catalog, ann.id, &change, NOW_MS, &fixture->arena,
                                            &user, &fixture->err));
    assert_recorded(fixture, "user.update", user_id, "{\"disabled\":true,\"tokens_revoked\":1}");
    assert_string_equal(last_entry(fixture).organization_id, fixture->organization_id);
}

static void what_changes_nothing_is_not_written_down(void **state)
{
    struct fixture *fixture = *state;
    struct tenant_app app;
    const struct made_token token = make_customer(fixture);
    assert_done(fixture,
                tenant_revoke_token(fixture->catalog, token.details.key_id, NOW_MS, &fixture->err));
    catalog_act_for(fixture->catalog, &actor);
    assert_done(fixture, tenant_rename_app(fixture->catalog, fixture->app_id, "app",
                                           &fixture->arena, &app, &fixture->err));
    (void)update(fixture,
                 &(struct tenant_organization_change){.name = "first", .has_disabled = true});
    assert_done(fixture,
                tenant_revoke_token(fixture->catalog, token.details.key_id, NOW_MS, &fixture->err));
    assert_false(tenant_delete_app(fixture->catalog, "1", NOW_MS, &fixture->err));
    assert_null(last_entry(fixture).action);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_organization_is_renamed_limited_and_disabled),
        TEST(bad_changes_change_nothing),
        TEST(a_disabled_organization_is_refused_until_it_is_enabled),
        TEST(a_deleted_app_is_unknown_and_exports_no_more),
        TEST(jobs_that_wait_end_with_their_app),
        TEST(apps_are_there_from_their_making_to_their_deletion),
        TEST(branch_secrets_rotate_with_a_grace),
        TEST(apps_are_renamed),
        TEST(a_rotated_token_keeps_its_key_and_the_old_secret_for_a_while),
        TEST(without_grace_the_old_secret_is_over_at_once),
        TEST(what_is_over_is_not_rotated),
        TEST(a_token_expires_and_its_urls_live_on),
        TEST(the_last_administrator_stays),
        TEST(a_user_has_several_tokens_and_loses_all_when_disabled),
        TEST(users_are_made_listed_and_changed),
        TEST(users_that_make_no_sense_are_not_made),
        TEST(every_change_is_written_down_without_secrets),
        TEST(what_changes_nothing_is_not_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
