// SPDX-License-Identifier: Apache-2.0
#include "notices_fixture.h"

static bool find(struct fixture *fixture, const struct subscription_scope *scope, const char *id,
                 struct notification *ret_found)
{
    return notification_get(fixture->catalog, scope, slice_text(id), &fixture->arena, ret_found,
                            &fixture->err);
}

static size_t list(struct fixture *fixture, const struct subscription_scope *scope,
                   struct notification **ret_list)
{
    size_t count = 99;
    assert_done(fixture, notification_list(fixture->catalog, scope, &fixture->arena, ret_list,
                                           &count, &fixture->err));
    return count;
}

static void names_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < NOTICE_EVENT_COUNT; i++) {
        enum notice_event event = NOTICE_TEST;
        assert_true(
            notice_event_parse(slice_text(notice_event_name((enum notice_event)i)), &event));
        assert_int_equal(event, i);
    }
    enum notice_event event = NOTICE_LATE;
    assert_string_equal(notice_event_name(NOTICE_TEST), "test");
    assert_false(notice_event_parse(slice_text("test"), &event)); // cannot be asked for
    assert_false(notice_event_parse(slice_text(""), &event));
    assert_int_equal(event, NOTICE_LATE);
    assert_string_equal(notification_kind_name(NOTIFICATION_WEBHOOK), "webhook");
    assert_string_equal(notification_kind_name(NOTIFICATION_EMAIL), "email");
    assert_string_equal(notice_state_name(NOTICE_WAITING), "WAITING");
    assert_string_equal(notice_state_name(NOTICE_SENT), "SENT");
    assert_string_equal(notice_state_name(NOTICE_GIVEN_UP), "GIVEN_UP");
}

static void it_is_as_it_was_made(void **state)
{
    struct fixture *fixture = *state;
    const char *subscription_id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct notification_request request = fixture_webhook(fixture);
    request.subscription_id = subscription_id;
    request.events = 1U << NOTICE_LATE;
    (void)fixture_notify(fixture, &request);
    struct notification found;
    assert_done(fixture, find(fixture, &request.scope, request.id, &found));
    assert_string_equal(found.id, request.id);
    assert_string_equal(found.organization_id, fixture->organization_id);
    assert_string_equal(found.app_id, fixture->app_id); // the subscription's
    assert_string_equal(found.subscription_id, subscription_id);
    assert_int_equal(found.kind, NOTIFICATION_WEBHOOK);
    assert_string_equal(found.target, FIXTURE_URL);
    assert_int_equal(found.events, 1U << NOTICE_LATE);
    assert_string_equal(found.sealed_secret, "v1.sealed");
    assert_null(found.previous_sealed_secret);
    assert_int_equal(found.created_at_ms, FIXTURE_NOW_MS);
}

static void foreign_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app = NULL;
    const char *other = fixture_organization(fixture, "second", &other_app);
    const char *app_2 = fixture_add_app(fixture, "another");
    struct notification_request request = fixture_webhook(fixture);
    const char *of_all = fixture_notify(fixture, &request).id;
    request = fixture_webhook(fixture);
    request.scope.app_id = fixture->app_id;
    const char *of_app = fixture_notify(fixture, &request).id;

    const struct {
        struct subscription_scope scope;
        bool sees_all;
        bool sees_app;
        size_t listed;
    } rows[] = {
        {{fixture->organization_id, NULL, true}, true, true, 2},
        {{fixture->organization_id, fixture->app_id, true}, true, true, 1},
        {{fixture->organization_id, fixture->app_id, false}, false, true, 1},
        {{fixture->organization_id, app_2, false}, false, false, 0},
        {{fixture->organization_id, app_2, true}, true, false, 0},
        {{other, NULL, true}, false, false, 0},
        {{other, other_app, false}, false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct notification found;
        struct notification *listed = NULL;
        assert_int_equal(find(fixture, &rows[i].scope, of_all, &found), rows[i].sees_all);
        assert_int_equal(find(fixture, &rows[i].scope, of_app, &found), rows[i].sees_app);
        assert_int_equal(list(fixture, &rows[i].scope, &listed), rows[i].listed);
    }
    // What is not seen cannot be changed either.
    const struct subscription_scope scope = {other, NULL, true};
    struct notification found;
    const struct notification_change change = {scope, slice_text(of_all), "https://evil.example",
                                               0};
    const struct notification_rotation rotation = {scope, slice_text(of_all), "v1.mine", 0,
                                                   FIXTURE_NOW_MS};
    const char *notice_id = NULL;
    assert_refused(
        fixture,
        notification_update(fixture->catalog, &change, &fixture->arena, &found, &fixture->err),
        ERR_NOT_FOUND);
    assert_refused(
        fixture,
        notification_rotate(fixture->catalog, &rotation, &fixture->arena, &found, &fixture->err),
        ERR_NOT_FOUND);
    assert_refused(fixture,
                   notification_test(fixture->catalog, &scope, slice_text(of_all), FIXTURE_NOW_MS,
                                     &fixture->arena, &notice_id, &fixture->err),
                   ERR_NOT_FOUND);
    assert_refused(fixture,
                   notification_delete(fixture->catalog, &scope, slice_text(of_all), FIXTURE_NOW_MS,
                                       &fixture->err),
                   ERR_NOT_FOUND);
    assert_string_equal(fixture->err.message, "Notification not found");
}

static void it_is_about_subscriptions_that_are_seen(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app = NULL;
    const char *other = fixture_organization(fixture, "second", &other_app);
    const char *ended = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *live = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    fixture_deactivate(fixture, ended, FIXTURE_NOW_MS);
    const struct {
        const char *organization_id;
        const char *subscription_id;
    } rows[] = {
        {other, live}, {fixture->organization_id, ended}, {fixture->organization_id, "none"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct notification_request request = fixture_webhook(fixture);
        struct notification made;
        request.scope.organization_id = rows[i].organization_id;
        request.subscription_id = rows[i].subscription_id;
        assert_refused(
            fixture,
            notification_create(fixture->catalog, &request, &fixture->arena, &made, &fixture->err),
            ERR_NOT_FOUND);
        assert_string_equal(fixture->err.message, "Subscription not found");
    }
}

static void an_organization_has_so_many(void **state)
{
    struct fixture *fixture = *state;
    struct notification_request request = fixture_webhook(fixture);
    struct notification made;
    const char *first = fixture_notify(fixture, &request).id;
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    request = fixture_webhook(fixture);
    request.limit = 2;
    assert_refused(
        fixture,
        notification_create(fixture->catalog, &request, &fixture->arena, &made, &fixture->err),
        ERR_LIMIT);
    assert_string_equal(fixture->err.message, "Notification limit reached: 2");
    assert_done(fixture, notification_delete(fixture->catalog, &request.scope, slice_text(first),
                                             FIXTURE_NOW_MS, &fixture->err));
    (void)fixture_notify(fixture, &request); // deleted ones do not count
}

static void changes_are_kept(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    struct notification_change change = {
        .scope = fixture_scope(fixture), .id = slice_text(id), .target = "https://other.example/"};
    struct notification changed;
    struct notification found;
    assert_done(fixture, notification_update(fixture->catalog, &change, &fixture->arena, &changed,
                                             &fixture->err));
    assert_string_equal(changed.target, "https://other.example/");
    assert_int_equal(changed.events, NOTICE_ALL_EVENTS);
    change.target = NULL;
    change.events = 1U << NOTICE_LATE;
    assert_done(fixture, notification_update(fixture->catalog, &change, &fixture->arena, &changed,
                                             &fixture->err));
    assert_done(fixture, find(fixture, &change.scope, id, &found));
    assert_string_equal(found.target, "https://other.example/");
    assert_int_equal(found.events, 1U << NOTICE_LATE);
}

static void an_old_secret_stays_for_its_grace(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    struct notification_rotation rotation = {.scope = fixture_scope(fixture),
                                             .id = slice_text(id),
                                             .sealed_secret = "v1.second",
                                             .grace_ms = 1000,
                                             .now_ms = FIXTURE_NOW_MS};
    struct notification found;
    assert_done(fixture, notification_rotate(fixture->catalog, &rotation, &fixture->arena, &found,
                                             &fixture->err));
    assert_done(fixture, find(fixture, &rotation.scope, id, &found));
    assert_string_equal(found.sealed_secret, "v1.second");
    assert_string_equal(found.previous_sealed_secret, "v1.sealed");
    assert_int_equal(found.previous_until_ms, FIXTURE_NOW_MS + 1000);
    rotation.sealed_secret = "v1.third";
    rotation.grace_ms = 0;
    assert_done(fixture, notification_rotate(fixture->catalog, &rotation, &fixture->arena, &found,
                                             &fixture->err));
    assert_done(fixture, find(fixture, &rotation.scope, id, &found));
    assert_string_equal(found.sealed_secret, "v1.third");
    assert_null(found.previous_sealed_secret);

    const struct notification_request request = fixture_mail(fixture, "a@b.example");
    const struct notification mail = fixture_notify(fixture, &request);
    rotation.id = slice_text(mail.id);
    assert_refused(
        fixture,
        notification_rotate(fixture->catalog, &rotation, &fixture->arena, &found, &fixture->err),
        ERR_INVALID);
}

static void a_secret_opens_for_its_own_notification(void **state)
{
    struct fixture *fixture = *state;
    const struct cipher_key keys[] = {{"new"}, {"old"}};
    const char *sealed = notification_seal(&keys[1], "n-1", slice_text("whsec_1"), &fixture->arena);
    struct secret secret = {0};
    assert_done(fixture, notification_open_secret("n-1", sealed, keys, 2, &secret, &fixture->err));
    assert_string_equal(slice_chars(secret_reveal(&secret)), "whsec_1");
    secret_clear(&secret);
    assert_refused(fixture,
                   notification_open_secret("n-2", sealed, keys, 2, &secret, &fixture->err),
                   ERR_CORRUPT);
    assert_refused(fixture,
                   notification_open_secret("n-1", sealed, keys, 1, &secret, &fixture->err),
                   ERR_CORRUPT);
    assert_null(strstr(fixture->err.message, "whsec"));
}

static void what_is_deleted_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_scope scope = fixture_scope(fixture);
    struct notification *listed = NULL;
    assert_done(fixture, notification_delete(fixture->catalog, &scope, slice_text(id),
                                             FIXTURE_NOW_MS, &fixture->err));
    assert_refused(fixture,
                   notification_delete(fixture->catalog, &scope, slice_text(id), FIXTURE_NOW_MS,
                                       &fixture->err),
                   ERR_NOT_FOUND);
    assert_int_equal(list(fixture, &scope, &listed), 0);
    // Its secret is gone at once.
    assert_int_equal(
        fixture_count(fixture, "SELECT count(*) FROM notifications WHERE sealed_secret IS NULL"),
        1);
}

static void one_test_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    const struct notification_request request = fixture_mail(fixture, "a@b.example c@d.example");
    const char *id = fixture_notify(fixture, &request).id;
    const char *notice_id = fixture_test_notice(fixture, id, FIXTURE_NOW_MS);
    assert_int_equal(strlen(notice_id), 36);
    assert_refused(fixture,
                   notification_test(fixture->catalog, &request.scope, slice_text(id),
                                     FIXTURE_NOW_MS, &fixture->arena, &notice_id, &fixture->err),
                   ERR_CONFLICT);
    assert_string_equal(fixture->err.message, "A test notice is still to be sent");
    struct notice first;
    assert_true(fixture_claim_notice(fixture, &first));
    assert_string_equal(first.id, notice_id);
    assert_string_equal(first.recipient, "a@b.example");
    fixture_settle_notice(fixture, &first, NOTICE_SENT, 0);
    struct notice second;
    assert_true(fixture_claim_notice(fixture, &second));
    assert_string_equal(second.recipient, "c@d.example");
    fixture_settle_notice(fixture, &second, NOTICE_GIVEN_UP, 0);
    assert_refused(fixture,
                   notification_test(fixture->catalog, &request.scope, slice_text(id),
                                     FIXTURE_NOW_MS + CIVIL_MINUTE_MS - 1, &fixture->arena,
                                     &notice_id, &fixture->err),
                   ERR_CONFLICT);
    assert_string_equal(fixture->err.message, "A test notice was sent less than a minute ago");
    (void)fixture_test_notice(fixture, id, FIXTURE_NOW_MS + CIVIL_MINUTE_MS);
}

static void changes_are_in_the_audit_log(void **state)
{
    struct fixture *fixture = *state;
    const struct catalog_actor actor = {.key_id = "0123456789",
                                        .organization_id = fixture->organization_id,
                                        .user_id = 7,
                                        .peer = "192.0.2.1",
                                        .request_id = "r-1",
                                        .now_ms = FIXTURE_NOW_MS};
    catalog_act_for(fixture->catalog, &actor);
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_scope scope = fixture_scope(fixture);
    const struct notification_change change = {scope, slice_text(id), "https://b.example", 0};
    const struct notification_rotation rotation = {scope, slice_text(id), "v1.b", 0,
                                                   FIXTURE_NOW_MS};
    struct notification found;
    assert_done(fixture, notification_update(fixture->catalog, &change, &fixture->arena, &found,
                                             &fixture->err));
    assert_done(fixture, notification_rotate(fixture->catalog, &rotation, &fixture->arena, &found,
                                             &fixture->err));
    (void)fixture_test_notice(fixture, id, FIXTURE_NOW_MS);
    assert_done(fixture, notification_delete(fixture->catalog, &scope, slice_text(id),
                                             FIXTURE_NOW_MS, &fixture->err));
    catalog_act_for(fixture->catalog, NULL);
    static const char *const actions[] = {"notification.delete", "notification.test",
                                          "notification.rotate", "notification.update",
                                          "notification.create"};
    const struct audit_query query = {.organization_id = fixture->organization_id, .limit = 10};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    assert_done(fixture, audit_list(fixture->catalog, &query, &fixture->arena, &entries, &count,
                                    &fixture->err));
    assert_int_equal(count, ARRAY_COUNT(actions));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(entries[i].action, actions[i]);
        assert_string_equal(entries[i].object_id, id);
        assert_null(strstr(entries[i].details, "example")); // URLs often hold a secret
        assert_null(strstr(entries[i].details, "v1."));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_read_back),
        fixture_test(it_is_as_it_was_made),
        fixture_test(foreign_is_unknown),
        fixture_test(it_is_about_subscriptions_that_are_seen),
        fixture_test(an_organization_has_so_many),
        fixture_test(changes_are_kept),
        fixture_test(an_old_secret_stays_for_its_grace),
        fixture_test(a_secret_opens_for_its_own_notification),
        fixture_test(what_is_deleted_is_unknown),
        fixture_test(one_test_at_a_time),
        fixture_test(changes_are_in_the_audit_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
