// SPDX-License-Identifier: Apache-2.0
// Who sends what when, what came of it, and the delivery log.
#include "notices_fixture.h"

static const char *organization_of(struct fixture *fixture, const char *name,
                                   struct subscription_scope *ret_scope)
{
    const char *app_id = NULL;
    const char *id = fixture_organization(fixture, name, &app_id);
    *ret_scope = (struct subscription_scope){.organization_id = id, .sees_organization = true};
    return id;
}

static const char *webhook_of(struct fixture *fixture, struct subscription_scope scope)
{
    struct notification_request request = fixture_webhook(fixture);
    request.scope = scope;
    return fixture_notify(fixture, &request).id;
}

// count notices that are due at once, in the order of their making.
static void add_notices(struct fixture *fixture, const char *notification_id, int count)
{
    for (int i = 0; i < count; i++)
        fixture_sql(fixture,
                    arena_format(&fixture->arena,
                                 "INSERT INTO notices(notice_id, notification_id,"
                                 " organization_id, event, body, created_at_ms, next_try_at_ms)"
                                 " SELECT id || '-' || (SELECT count(*) FROM notices), id,"
                                 " organization_id, 0, '{}', %lld, %lld FROM notifications"
                                 " WHERE id = '%s'",
                                 (long long)FIXTURE_NOW_MS - 1000 + i,
                                 (long long)FIXTURE_NOW_MS - 1000 + i, notification_id));
}

static bool claim_with(struct fixture *fixture, int64_t now_ms, int64_t share,
                       struct notice *ret_notice)
{
    struct notice_claim_request request = fixture_claiming(now_ms);
    request.share = share;
    return fixture_claim_notice_by(fixture, &request, ret_notice);
}

static bool is_due(struct fixture *fixture, int64_t now_ms)
{
    const struct notice_claim_request request = fixture_claiming(now_ms);
    bool due = false;
    assert_done(fixture, notice_is_due(fixture->catalog, &request, &due, &fixture->err));
    return due;
}

static struct notice_try *tries_of(struct fixture *fixture, const char *notification_id,
                                   int64_t before_id, int64_t limit, size_t *ret_count)
{
    const struct notice_tries_query query = {notification_id, before_id, limit};
    struct notice_try *tries = NULL;
    assert_done(fixture, notice_tries(fixture->catalog, &query, &fixture->arena, &tries, ret_count,
                                      &fixture->err));
    return tries;
}

// --- Claims

static void a_claim_has_all_that_is_sent(void **state)
{
    struct fixture *fixture = *state;
    struct notice notice;
    assert_false(is_due(fixture, FIXTURE_NOW_MS));
    assert_false(fixture_claim_notice(fixture, &notice));
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const char *notice_id = fixture_test_notice(fixture, id, FIXTURE_NOW_MS);
    assert_true(is_due(fixture, FIXTURE_NOW_MS));
    assert_true(fixture_claim_notice(fixture, &notice));
    assert_false(is_due(fixture, FIXTURE_NOW_MS));
    assert_string_equal(notice.id, notice_id);
    assert_int_equal(notice.event, NOTICE_TEST);
    assert_int_equal(notice.try_count, 1);
    assert_int_equal(notice.created_at_ms, FIXTURE_NOW_MS);
    assert_null(notice.recipient);
    assert_non_null(strstr(notice.body, notice_id));
    assert_memory_equal(notice.claim_id, "node:", 5);
    assert_string_equal(notice.notification.id, id);
    assert_string_equal(notice.notification.organization_id, fixture->organization_id);
    assert_string_equal(notice.notification.target, FIXTURE_URL);
    assert_string_equal(notice.notification.sealed_secret, "v1.sealed");
    assert_false(fixture_claim_notice(fixture, &notice)); // one claim at a time
}

static void a_notification_has_one_in_flight(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    add_notices(fixture, id, 3);
    for (int64_t i = 1; i <= 3; i++) { // in their order
        struct notice notice;
        struct notice second;
        assert_true(fixture_claim_notice(fixture, &notice));
        assert_int_equal(notice.number, i);
        assert_false(fixture_claim_notice(fixture, &second));
        fixture_settle_notice(fixture, &notice, NOTICE_SENT, 0);
    }
    assert_false(is_due(fixture, FIXTURE_NOW_MS));
}

static void what_fails_lets_the_next_one_pass(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    add_notices(fixture, id, 2);
    struct notice notice;
    assert_true(fixture_claim_notice(fixture, &notice));
    fixture_settle_notice(fixture, &notice, NOTICE_WAITING, FIXTURE_NOW_MS + 5000);
    assert_true(fixture_claim_notice(fixture, &notice));
    assert_int_equal(notice.number, 2);
    fixture_settle_notice(fixture, &notice, NOTICE_SENT, 0);
    assert_false(claim_with(fixture, FIXTURE_NOW_MS + 4999, 4, &notice));
    assert_true(claim_with(fixture, FIXTURE_NOW_MS + 5000, 4, &notice));
    assert_int_equal(notice.number, 1);
    assert_int_equal(notice.try_count, 2);
}

static void a_flood_keeps_nobody_waiting(void **state)
{
    struct fixture *fixture = *state;
    struct subscription_scope second;
    struct subscription_scope third;
    const char *second_id = organization_of(fixture, "second", &second);
    const char *third_id = organization_of(fixture, "third", &third);
    // Four webhooks of one organization, with a hundred notices each.
    for (int i = 0; i < 4; i++)
        add_notices(fixture, fixture_notify_of(fixture, NOTICE_ALL_EVENTS), 100);
    struct notice flood[3];
    struct notice notice;
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 3, &flood[0]));
    add_notices(fixture, webhook_of(fixture, second), 1);
    add_notices(fixture, webhook_of(fixture, third), 1);
    // Others wait: they are first.
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 3, &notice));
    assert_string_not_equal(notice.notification.organization_id, fixture->organization_id);
    struct notice other;
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 3, &other));
    assert_string_not_equal(other.notification.organization_id, fixture->organization_id);
    assert_string_not_equal(other.notification.organization_id,
                            notice.notification.organization_id);
    assert_true(strcmp(notice.notification.organization_id, second_id) == 0 ||
                strcmp(notice.notification.organization_id, third_id) == 0);
    // Nobody waits: the flood may have more, but not all.
    assert_false(claim_with(fixture, FIXTURE_NOW_MS, 1, &flood[1]));
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 3, &flood[1]));
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 3, &flood[2]));
    assert_false(claim_with(fixture, FIXTURE_NOW_MS, 3, &notice));
}

static void organizations_take_turns(void **state)
{
    struct fixture *fixture = *state;
    struct subscription_scope second;
    (void)organization_of(fixture, "second", &second);
    add_notices(fixture, fixture_notify_of(fixture, NOTICE_ALL_EVENTS), 20);
    add_notices(fixture, webhook_of(fixture, second), 3);
    const char *last = "";
    for (int i = 0; i < 6; i++) {
        struct notice notice;
        assert_true(fixture_claim_notice(fixture, &notice));
        assert_string_not_equal(notice.notification.organization_id, last);
        last = notice.notification.organization_id;
        fixture_settle_notice(fixture, &notice, NOTICE_SENT, 0);
    }
}

static void a_lapsed_claim_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    add_notices(fixture, id, 1);
    struct notice dead;
    struct notice notice;
    assert_true(fixture_claim_notice(fixture, &dead));
    assert_false(claim_with(fixture, FIXTURE_NOW_MS + FIXTURE_LEASE_MS - 1, 4, &notice));
    assert_true(is_due(fixture, FIXTURE_NOW_MS + FIXTURE_LEASE_MS));
    assert_true(claim_with(fixture, FIXTURE_NOW_MS + FIXTURE_LEASE_MS, 4, &notice));
    assert_string_equal(notice.id, dead.id);
    assert_string_not_equal(notice.claim_id, dead.claim_id);
    assert_int_equal(notice.try_count, 2);
    // The zombie changes nothing.
    const struct notice_result result = {.state = NOTICE_SENT, .at_ms = FIXTURE_NOW_MS};
    assert_refused(fixture, notice_settle(fixture->catalog, &dead, &result, &fixture->err),
                   ERR_CANCELED);
    fixture_settle_notice(fixture, &notice, NOTICE_SENT, 0);
    assert_refused(fixture, notice_settle(fixture->catalog, &notice, &result, &fixture->err),
                   ERR_CANCELED);
    // The log knows both tries.
    size_t count = 0;
    const struct notice_try *tries = tries_of(fixture, id, 0, 10, &count);
    assert_int_equal(count, 2);
    assert_int_equal(tries[1].number, 1);
    assert_string_equal(tries[1].reason, "the sender was interrupted");
    assert_int_equal(tries[0].number, 2);
    assert_int_equal(tries[0].status, 200);
}

static void who_comes_again_releases_what_it_held(void **state)
{
    struct fixture *fixture = *state;
    add_notices(fixture, fixture_notify_of(fixture, NOTICE_ALL_EVENTS), 1);
    add_notices(fixture, fixture_notify_of(fixture, NOTICE_ALL_EVENTS), 1);
    struct notice_claim_request elsewhere = fixture_claiming(FIXTURE_NOW_MS);
    elsewhere.holder_id = "node2"; // begins like the other one
    struct notice mine;
    struct notice theirs;
    assert_true(fixture_claim_notice(fixture, &mine));
    assert_true(fixture_claim_notice_by(fixture, &elsewhere, &theirs));
    assert_done(fixture,
                notice_release(fixture->catalog, "node", FIXTURE_NOW_MS, 1000, &fixture->err));
    struct notice again;
    assert_false(fixture_claim_notice(fixture, &again)); // the pause
    assert_true(claim_with(fixture, FIXTURE_NOW_MS + 1000, 4, &again));
    assert_string_equal(again.id, mine.id);
    fixture_settle_notice(fixture, &theirs, NOTICE_SENT, 0);
}

static void disabled_organizations_wait(void **state)
{
    struct fixture *fixture = *state;
    add_notices(fixture, fixture_notify_of(fixture, NOTICE_ALL_EVENTS), 1);
    const struct tenant_organization_change change = {.has_disabled = true, .is_disabled = true};
    struct tenant_organization organization;
    assert_done(fixture, tenant_update_organization(fixture->catalog, fixture->organization_id,
                                                    &change, FIXTURE_NOW_MS, &fixture->arena,
                                                    &organization, &fixture->err));
    struct notice notice;
    assert_false(fixture_claim_notice(fixture, &notice));
    const struct tenant_organization_change back = {.has_disabled = true};
    assert_done(fixture, tenant_update_organization(fixture->catalog, fixture->organization_id,
                                                    &back, FIXTURE_NOW_MS, &fixture->arena,
                                                    &organization, &fixture->err));
    assert_true(fixture_claim_notice(fixture, &notice));
}

static void what_is_deleted_is_not_sent(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_scope scope = fixture_scope(fixture);
    add_notices(fixture, id, 3);
    assert_done(fixture, notification_delete(fixture->catalog, &scope, slice_text(id),
                                             FIXTURE_NOW_MS, &fixture->err));
    struct notice notice;
    assert_false(fixture_claim_notice(fixture, &notice));
    assert_int_equal(fixture_count(fixture, "SELECT count(*) FROM notices WHERE state = 2"), 3);
    assert_false(is_due(fixture, FIXTURE_NOW_MS));
}

static void mails_go_to_present_addresses(void **state)
{
    struct fixture *fixture = *state;
    const struct notification_request request = fixture_mail(fixture, "a@b.example c@d.example");
    const char *id = fixture_notify(fixture, &request).id;
    (void)fixture_test_notice(fixture, id, FIXTURE_NOW_MS);
    const struct notification_change change = {request.scope, slice_text(id),
                                               "c@d.example.org "
                                               "c@d.example",
                                               0};
    struct notification changed;
    assert_done(fixture, notification_update(fixture->catalog, &change, &fixture->arena, &changed,
                                             &fixture->err));
    struct notice notice;
    assert_true(fixture_claim_notice(fixture, &notice));
    assert_string_equal(notice.recipient, "c@d.example");
    fixture_settle_notice(fixture, &notice, NOTICE_SENT, 0);
    assert_false(fixture_claim_notice(fixture, &notice));
    assert_int_equal(fixture_count(fixture, "SELECT count(*) FROM notices WHERE state = 2"), 1);
}

static void wrong_clocks_keep_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    add_notices(fixture, fixture_notify_of(fixture, NOTICE_ALL_EVENTS), 1);
    struct notice notice;
    // Claimed, then put off, by a clock that is a year ahead.
    const int64_t ahead_ms = FIXTURE_NOW_MS + 365 * CIVIL_DAY_MS;
    assert_true(claim_with(fixture, ahead_ms, 4, &notice));
    assert_true(is_due(fixture, FIXTURE_NOW_MS));
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 4, &notice));
    fixture_settle_notice(fixture, &notice, NOTICE_WAITING, ahead_ms);
    assert_true(is_due(fixture, FIXTURE_NOW_MS));
    assert_true(claim_with(fixture, FIXTURE_NOW_MS, 4, &notice));
    fixture_settle_notice(fixture, &notice, NOTICE_WAITING,
                          FIXTURE_NOW_MS + 2 * FIXTURE_BACKOFF_MS);
    assert_false(is_due(fixture, FIXTURE_NOW_MS)); // far, and yet as it should be
    assert_false(claim_with(fixture, FIXTURE_NOW_MS, 4, &notice));
}

// --- The log

static void the_log_has_every_try(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const char *other = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    add_notices(fixture, id, 1);
    for (int i = 0; i < 5; i++) {
        struct notice notice;
        assert_true(fixture_claim_notice(fixture, &notice));
        fixture_settle_notice(fixture, &notice, i == 4 ? NOTICE_SENT : NOTICE_WAITING,
                              FIXTURE_NOW_MS);
    }
    size_t count = 0;
    const struct notice_try *tries = tries_of(fixture, id, 0, 3, &count);
    assert_int_equal(count, 3);
    assert_int_equal(tries[0].number, 5);
    assert_int_equal(tries[0].status, 200);
    assert_null(tries[0].reason);
    assert_int_equal(tries[0].state, NOTICE_SENT);
    assert_int_equal(tries[0].took_ms, 12);
    assert_int_equal(tries[1].number, 4);
    assert_int_equal(tries[1].status, 500);
    assert_string_equal(tries[1].reason, "answered 500");
    tries = tries_of(fixture, id, tries[2].id, 3, &count);
    assert_int_equal(count, 2);
    assert_int_equal(tries[1].number, 1);
    (void)tries_of(fixture, other, 0, 3, &count);
    assert_int_equal(count, 0);
}

static void old_notices_go(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_scope scope = fixture_scope(fixture);
    add_notices(fixture, id, 3);
    struct notice notice;
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_claim_notice(fixture, &notice));
        fixture_settle_notice(fixture, &notice, i == 0 ? NOTICE_SENT : NOTICE_GIVEN_UP, 0);
    }
    const int64_t finished_ms = FIXTURE_NOW_MS + 12;
    int64_t count = -1;
    int64_t waiting = -1;
    assert_done(fixture,
                notice_remove_old(fixture->catalog, finished_ms, 100, &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_done(fixture,
                notice_remove_old(fixture->catalog, finished_ms + 1, 1, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_done(fixture,
                notice_remove_old(fixture->catalog, finished_ms + 1, 100, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_done(fixture, notice_count_waiting(fixture->catalog, &waiting, &fixture->err));
    assert_int_equal(waiting, 1); // what waits stays, however old
    assert_int_equal(fixture_count(fixture, "SELECT count(*) FROM notice_tries"), 0);
    // A notification goes when it is deleted, long ago, and has no notices any more.
    assert_done(fixture, notification_delete(fixture->catalog, &scope, slice_text(id),
                                             FIXTURE_NOW_MS, &fixture->err));
    assert_done(fixture, notice_remove_old(fixture->catalog, FIXTURE_NOW_MS + CIVIL_DAY_MS, 100,
                                           &count, &fixture->err));
    assert_int_equal(fixture_count(fixture, "SELECT count(*) FROM notifications"), 1);
    assert_false(fixture_claim_notice(fixture, &notice));
    assert_done(fixture, notice_remove_old(fixture->catalog, FIXTURE_NOW_MS + CIVIL_DAY_MS, 100,
                                           &count, &fixture->err));
    assert_int_equal(fixture_count(fixture, "SELECT count(*) FROM notifications"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(a_claim_has_all_that_is_sent),
        fixture_test(a_notification_has_one_in_flight),
        fixture_test(what_fails_lets_the_next_one_pass),
        fixture_test(a_flood_keeps_nobody_waiting),
        fixture_test(organizations_take_turns),
        fixture_test(a_lapsed_claim_is_tried_again),
        fixture_test(who_comes_again_releases_what_it_held),
        fixture_test(disabled_organizations_wait),
        fixture_test(what_is_deleted_is_not_sent),
        fixture_test(mails_go_to_present_addresses),
        fixture_test(wrong_clocks_keep_nothing_back),
        fixture_test(the_log_has_every_try),
        fixture_test(old_notices_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
