// SPDX-License-Identifier: Apache-2.0
// Subscriptions of a whole organization: who sees them, what counts for them, what events reach
// them.
#include "catalog/catalog_internal.h"
#include "catalog/requests.h"
#include "catalog/segment_retention.h"
#include "jobs_fixture.h"

static struct subscription_request organization_request(struct fixture *fixture, const char *field)
{
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, field);
    request.app_id = NULL;
    return request;
}

static const char *subscribe_organization(struct fixture *fixture, const char *field)
{
    const struct subscription_request request = organization_request(fixture, field);
    const struct subscription made = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    assert_null(sample.app_id);
    fixture_succeed(fixture, &sample, 0);
    return made.id;
}

static bool is_found(struct fixture *fixture, struct subscription_scope scope, const char *id)
{
    struct subscription got;
    return subscription_get(fixture->catalog, &scope, slice_text(id), &fixture->arena, &got,
                            &fixture->err);
}

static size_t count_listed(struct fixture *fixture, struct subscription_scope scope)
{
    struct subscription *list = NULL;
    size_t count = 0;
    assert_done(fixture, subscription_list(fixture->catalog, &scope, &fixture->arena, &list, &count,
                                           &fixture->err));
    return count;
}

static void whoever_is_bound_to_an_app_sees_nothing_of_it(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = fixture->organization_id;
    const char *other_app_id = fixture_add_app(fixture, "two");
    const char *of_app = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *of_all = subscribe_organization(fixture, "name");
    const struct {
        struct subscription_scope scope;
        bool finds_app;
        bool finds_all;
        size_t listed;
    } cases[] = {
        {{organization_id, NULL, true}, true, true, 2},
        {{organization_id, fixture->app_id, true}, true, true, 1}, // the list is of the app alone
        {{organization_id, other_app_id, true}, false, true, 0},
        {{organization_id, fixture->app_id, false}, true, false, 1},
        {{organization_id, other_app_id, false}, false, false, 0},
        {{"100000000000000000", NULL, true}, false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(is_found(fixture, cases[i].scope, of_app), cases[i].finds_app);
        assert_int_equal(is_found(fixture, cases[i].scope, of_all), cases[i].finds_all);
        assert_int_equal(count_listed(fixture, cases[i].scope), cases[i].listed);
        if (!cases[i].finds_all)
            assert_refused(fixture,
                           subscription_deactivate(fixture->catalog, &cases[i].scope,
                                                   slice_text(of_all), FIXTURE_NOW_MS,
                                                   &fixture->err),
                           ERR_NOT_FOUND);
    }
    const struct subscription_scope by_app = {organization_id, fixture->app_id, true};
    assert_done(fixture, subscription_deactivate(fixture->catalog, &by_app, slice_text(of_all),
                                                 FIXTURE_NOW_MS, &fixture->err));
}

static void limit_and_duplicates_are_counted_apart(void **state)
{
    struct fixture *fixture = *state;
    struct subscription_request of_app = fixture_request(fixture, CADENCE_HOURLY, "name");
    struct subscription_request of_all = organization_request(fixture, "name");
    of_app.limit = of_all.limit = 1;
    (void)fixture_create(fixture, &of_app);
    const struct subscription made = fixture_create(fixture, &of_all);
    assert_null(made.app_id);
    struct subscription refused;
    struct subscription_request more = organization_request(fixture, "os");
    more.limit = 1;
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &more, &fixture->arena, &refused, &fixture->err),
        ERR_LIMIT);
    of_all.limit = 2;
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &of_all, &fixture->arena, &refused, &fixture->err),
        ERR_CONFLICT);
    assert_non_null(strstr(fixture->err.message, made.id));
    more.limit = 2;
    (void)fixture_create(fixture, &more);
}

static void its_jobs_are_of_no_app(void **state)
{
    struct fixture *fixture = *state;
    const char *id = subscribe_organization(fixture, "name");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(12), 100), 1);
    assert_int_equal(fixture_backfill(fixture, id, FIXTURE_HOUR(4), FIXTURE_HOUR(5)), 1);
    fixture_set_bounds(fixture, 0);
    for (int i = 0; i < 2; i++) {
        struct job job;
        assert_true(fixture_claim(fixture, &job));
        assert_string_equal(job.subscription_id, id);
        assert_null(job.app_id);
        assert_string_equal(job.organization_id, fixture->organization_id);
        fixture_succeed(fixture, &job, 1);
    }
}

// --- Events

static int64_t schedule_late(struct fixture *fixture)
{
    int64_t count = -1;
    assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS, FIXTURE_GAP_MS, 100,
                                           &count, &fixture->err));
    return count;
}

static void late_rows_of_any_app_make_a_revision(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app_id = fixture_add_app(fixture, "two");
    const char *id = subscribe_organization(fixture, "name");
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(3));
    fixture_succeed(fixture, &first, 1);
    fixture_seal(fixture, other_app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(3), 2);
    assert_int_equal(schedule_late(fixture), 1);
    struct job late;
    assert_true(fixture_claim(fixture, &late));
    assert_int_equal(late.kind, JOB_LATE);
    assert_null(late.app_id);
    assert_int_equal(late.seq_lo, first.seq_hi);
    fixture_succeed(fixture, &late, 2);
    // Once for rows of both apps.
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(3), 1);
    fixture_seal(fixture, other_app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(3), 1);
    int64_t count = -1;
    assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS + FIXTURE_GAP_MS,
                                           FIXTURE_GAP_MS, 100, &count, &fixture->err));
    assert_int_equal(count, 1);
}

static int64_t drop_old(struct fixture *fixture)
{
    const struct segment_drop drop = {
        .created_before_ms = FIXTURE_NOW_MS + 1,
        .now_ms = FIXTURE_NOW_MS + 1,
        .limit = 100,
    };
    int64_t count = -1;
    assert_done(fixture, segment_drop_older(fixture->catalog, &drop, &count, &fixture->err));
    return count;
}

static void events_of_any_app_are_held_until_their_window_has_its_job(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app_id = fixture_add_app(fixture, "two");
    const char *id = subscribe_organization(fixture, "name");
    fixture_seal(fixture, other_app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(10), 2);
    assert_int_equal(schedule_late(fixture), 0);
    assert_int_equal(drop_old(fixture), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS, 100), 1);
    assert_int_equal(drop_old(fixture), 0); // the job is not final
    fixture_set_bounds(fixture, fixture->seal_seq);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_string_equal(job.subscription_id, id);
    fixture_succeed(fixture, &job, 2);
    assert_int_equal(drop_old(fixture), 1);
}

// --- The end of an app

static enum subscription_status status_of(struct fixture *fixture, const char *id)
{
    struct subscription got;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 0, &fixture->arena, &got,
                                              &fixture->err));
    return got.status;
}

static void a_deleted_app_takes_its_own_subscriptions_along(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app_id = fixture_add_app(fixture, "two");
    const char *of_app = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *of_all = subscribe_organization(fixture, "name");
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    request.app_id = other_app_id;
    const struct subscription of_other = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    fixture_succeed(fixture, &sample, 0);
    assert_int_equal(fixture_backfill(fixture, of_app, FIXTURE_HOUR(4), FIXTURE_HOUR(5)), 1);
    fixture_set_bounds(fixture, 0);

    const struct request_spec export = {
        .kind = SUBSCRIPTION_CUSTOM_EXPORT,
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .report = fixture_report(fixture, CADENCE_DAILY, "name"),
        .topic_id = request.topic_id,
        .start_ms = FIXTURE_HOUR(4),
        .end_ms = FIXTURE_HOUR(5),
        .now_ms = FIXTURE_NOW_MS,
    };
    struct request asked = {0};
    assert_done(fixture,
                request_create(fixture->catalog, &export, &fixture->arena, &asked, &fixture->err));
    fixture_set_bounds(fixture, 0);

    const struct catalog_actor actor = {
        .key_id = "key", .peer = "::1", .request_id = "r", .now_ms = FIXTURE_NOW_MS};
    catalog_act_for(fixture->catalog, &actor);
    assert_done(fixture, tenant_delete_app(fixture->catalog, fixture->app_id, FIXTURE_NOW_MS,
                                           &fixture->err));
    catalog_act_for(fixture->catalog, NULL);

    assert_int_equal(status_of(fixture, of_app), SUBSCRIPTION_INACTIVE);
    assert_int_equal(status_of(fixture, of_all), SUBSCRIPTION_ACTIVE);
    assert_int_equal(status_of(fixture, of_other.id), SUBSCRIPTION_ACTIVE);
    struct job job;
    assert_false(fixture_claim(fixture, &job)); // it is canceled instead
    assert_int_equal(fixture_last(fixture, of_app, FIXTURE_HOUR(4)).state, JOB_FAILED);
    struct audit_entry *entries = NULL;
    size_t count = 0;
    const struct audit_query query = {.organization_id = fixture->organization_id, .limit = 10};
    assert_done(fixture, audit_list(fixture->catalog, &query, &fixture->arena, &entries, &count,
                                    &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].action, "app.delete");
    assert_string_equal(entries[0].object_id, fixture->app_id);
    assert_non_null(strstr(entries[0].details, "\"subscriptions\":1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(whoever_is_bound_to_an_app_sees_nothing_of_it),
        fixture_test(limit_and_duplicates_are_counted_apart),
        fixture_test(its_jobs_are_of_no_app),
        fixture_test(late_rows_of_any_app_make_a_revision),
        fixture_test(events_of_any_app_are_held_until_their_window_has_its_job),
        fixture_test(a_deleted_app_takes_its_own_subscriptions_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
