// SPDX-License-Identifier: Apache-2.0
#include "catalog/leases.h"
#include "catalog/subscription_windows.h"
#include "jobs_fixture.h"

static struct subscription get(struct fixture *fixture, const char *id)
{
    struct subscription subscription;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 0, &fixture->arena,
                                              &subscription, &fixture->err));
    return subscription;
}

static void statuses_have_names(void **state)
{
    (void)state;
    assert_string_equal(subscription_status_name(SUBSCRIPTION_PENDING), "PENDING");
    assert_string_equal(subscription_status_name(SUBSCRIPTION_ACTIVE), "ACTIVE");
    assert_string_equal(subscription_status_name(SUBSCRIPTION_FAILED), "FAILED");
    assert_string_equal(subscription_status_name(SUBSCRIPTION_INACTIVE), "INACTIVE");
}

static void create_makes_a_pending_one(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    assert_int_equal(strlen(made.id), 36);
    assert_int_equal(made.id[14], '4');
    const struct subscription kept = get(fixture, made.id);
    assert_string_equal(kept.organization_id, fixture->organization_id);
    assert_string_equal(kept.app_id, fixture->app_id);
    assert_int_equal(kept.version, 1);
    assert_int_equal(kept.status, SUBSCRIPTION_PENDING);
    assert_null(kept.reason);
    assert_int_equal(kept.topic_id, FIXTURE_TOPIC_ID);
    assert_int_equal(kept.created_at_ms, FIXTURE_NOW_MS);
    assert_int_equal(kept.deactivated_at_ms, 0);
    assert_int_equal(kept.report.field_count, 1);
    assert_string_equal(kept.report.fields[0], "name");
    // The first window that ends after creation, which began before it.
    assert_int_equal(kept.live_from_ms, FIXTURE_HOUR(10));
    assert_int_equal(kept.scheduled_to_ms, FIXTURE_HOUR(10));
}

static void a_window_that_ends_at_creation_has_ended(void **state)
{
    struct fixture *fixture = *state;
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    request.now_ms = FIXTURE_HOUR(10);
    assert_int_equal(fixture_create(fixture, &request).live_from_ms, FIXTURE_HOUR(10));
    request = fixture_request(fixture, CADENCE_DAILY, "name");
    assert_int_equal(fixture_create(fixture, &request).live_from_ms, FIXTURE_DAY_MS);
}

static void the_sample_is_over_the_last_complete_window(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_DAILY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    assert_string_equal(sample.subscription_id, made.id);
    assert_int_equal(sample.kind, JOB_SAMPLE);
    assert_int_equal(sample.start_ms, FIXTURE_DAY_MS - CIVIL_DAY_MS);
    assert_int_equal(sample.end_ms, FIXTURE_DAY_MS);
    assert_int_equal(sample.seq_lo, 0);
    assert_int_equal(sample.seq_hi, 0); // nothing is sealed, and it did not wait
    assert_false(sample.is_visible);
    // Not in lists, not by id, not in the ledger.
    struct job *jobs = NULL;
    size_t count = 9;
    assert_done(fixture, job_list(fixture->catalog, made.id, 0, &fixture->arena, &jobs, &count,
                                  &fixture->err));
    assert_int_equal(count, 0);
    (void)fixture_ledger(fixture, made.id, &count);
    assert_int_equal(count, 0);
    struct job job;
    assert_refused(fixture,
                   job_get(fixture->catalog, fixture->organization_id, slice_text(made.id),
                           slice_text(sample.id), &fixture->arena, &job, &fixture->err),
                   ERR_NOT_FOUND);
}

static void duplicates_are_refused_and_named(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription first = fixture_create(fixture, &request);
    struct subscription second;
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &request, &fixture->arena, &second, &fixture->err),
        ERR_CONFLICT);
    assert_string_equal(fixture->err.message,
                        arena_format(&fixture->arena, "Duplicate of subscription %s", first.id));
    // Another field, another cadence, another app, another organization: not duplicates.
    struct subscription_request other = fixture_request(fixture, CADENCE_HOURLY, "os");
    (void)fixture_create(fixture, &other);
    other = fixture_request(fixture, CADENCE_DAILY, "name");
    (void)fixture_create(fixture, &other);
    other = request;
    other.app_id = fixture_add_app(fixture, "two");
    (void)fixture_create(fixture, &other);
    other.organization_id = fixture_organization(fixture, "second", &other.app_id);
    (void)fixture_create(fixture, &other);
}

static void only_pending_and_active_ones_count(void **state)
{
    struct fixture *fixture = *state;
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    request.limit = 1;
    const struct subscription first = fixture_create(fixture, &request);
    struct subscription_request other = fixture_request(fixture, CADENCE_HOURLY, "os");
    other.limit = 1;
    struct subscription refused;
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &other, &fixture->arena, &refused, &fixture->err),
        ERR_LIMIT);
    assert_string_equal(fixture->err.message, "Subscription limit reached: 1");
    assert_done(fixture, subscription_settle(fixture->catalog, first.id, false, "bucket is gone",
                                             FIXTURE_NOW_MS, &fixture->err));
    const struct subscription second = fixture_create(fixture, &request); // FAILED does not count
    assert_done(fixture, subscription_settle(fixture->catalog, second.id, true, NULL,
                                             FIXTURE_NOW_MS, &fixture->err));
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &other, &fixture->arena, &refused, &fixture->err),
        ERR_LIMIT);
    fixture_deactivate(fixture, second.id, FIXTURE_NOW_MS);
    (void)fixture_create(fixture, &request);
    other.limit = 0; // none
    (void)fixture_create(fixture, &other);
}

static void nobody_else_finds_it(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *other_app_id = NULL;
    const char *other_id = fixture_organization(fixture, "second", &other_app_id);
    struct subscription got;
    const struct {
        const char *organization_id;
        const char *app_id;
        const char *id;
        bool is_found;
    } cases[] = {
        {fixture->organization_id, NULL, id, true},
        {fixture->organization_id, fixture->app_id, id, true},
        {fixture->organization_id, other_app_id, id, false},
        {other_id, NULL, id, false},
        {other_id, other_app_id, id, false},
        {fixture->organization_id, NULL, "", false},
        {fixture->organization_id, NULL, "00000000-0000-4000-8000-000000000000", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct subscription_scope scope = {cases[i].organization_id, cases[i].app_id, true};
        const bool found = subscription_get(fixture->catalog, &scope, slice_text(cases[i].id),
                                            &fixture->arena, &got, &fixture->err);
        assert_int_equal(found, cases[i].is_found);
        if (found)
            continue;
        assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
        assert_string_equal(fixture->err.message, "Subscription not found");
        assert_refused(fixture,
                       subscription_deactivate(fixture->catalog, &scope, slice_text(cases[i].id),
                                               FIXTURE_NOW_MS, &fixture->err),
                       ERR_NOT_FOUND);
    }
    assert_int_equal(get(fixture, id).status, SUBSCRIPTION_ACTIVE);
    assert_refused(
        fixture,
        subscription_get_any(fixture->catalog, "none", 0, &fixture->arena, &got, &fixture->err),
        ERR_NOT_FOUND);
}

static void lists_are_oldest_first_without_inactive_ones(void **state)
{
    struct fixture *fixture = *state;
    static const char *const fields[] = {"name", "os", "city"};
    const char *ids[ARRAY_COUNT(fields)];
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, fields[i]);
        request.now_ms = FIXTURE_NOW_MS + 3 - (int64_t)i;
        ids[i] = fixture_create(fixture, &request).id;
    }
    fixture_deactivate(fixture, ids[1], FIXTURE_NOW_MS);
    struct subscription *list = NULL;
    size_t count = 0;
    const char *app_ids[] = {NULL, fixture->app_id};
    for (size_t i = 0; i < ARRAY_COUNT(app_ids); i++) {
        const struct subscription_scope scope = {fixture->organization_id, app_ids[i], true};
        assert_done(fixture, subscription_list(fixture->catalog, &scope, &fixture->arena, &list,
                                               &count, &fixture->err));
        assert_int_equal(count, 2);
        assert_string_equal(list[0].id, ids[2]);
        assert_string_equal(list[1].id, ids[0]);
        assert_string_equal(list[1].report.fields[0], "name");
    }
    const struct subscription_scope nobody = {fixture->organization_id, "1", true};
    assert_done(fixture, subscription_list(fixture->catalog, &nobody, &fixture->arena, &list,
                                           &count, &fixture->err));
    assert_int_equal(count, 0);
}

static void the_sample_settles_it(void **state)
{
    struct fixture *fixture = *state;
    const char *good = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(get(fixture, good).status, SUBSCRIPTION_ACTIVE);

    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "os");
    const struct subscription bad = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    struct job_claim claim = fixture_claim_of(&sample);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1, &fixture->err));
    assert_int_equal(get(fixture, bad.id).status, SUBSCRIPTION_PENDING); // it will be tried again
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1, &sample));
    claim = fixture_claim_of(&sample);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "access denied", FIXTURE_NOW_MS, 0,
                                  &fixture->err));
    assert_int_equal(get(fixture, bad.id).status, SUBSCRIPTION_FAILED);
    assert_string_equal(get(fixture, bad.id).reason, "access denied");
    // Settled is settled.
    assert_done(fixture, subscription_settle(fixture->catalog, bad.id, true, NULL, FIXTURE_NOW_MS,
                                             &fixture->err));
    assert_int_equal(get(fixture, bad.id).status, SUBSCRIPTION_FAILED);
    assert_refused(
        fixture,
        subscription_settle(fixture->catalog, "none", true, NULL, FIXTURE_NOW_MS, &fixture->err),
        ERR_NOT_FOUND);
    // No window is made for it.
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(12), 500), 1);
    size_t count = 0;
    (void)fixture_ledger(fixture, bad.id, &count);
    assert_int_equal(count, 0);
}

static void nothing_is_made_after_deactivation(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(fixture_backfill(fixture, id, FIXTURE_HOUR(5), FIXTURE_HOUR(9)), 4);
    fixture_set_bounds(fixture, 0);
    struct job done;
    struct job running;
    assert_true(fixture_claim(fixture, &done));
    fixture_succeed(fixture, &done, 3);
    assert_true(fixture_claim(fixture, &running));
    fixture_deactivate(fixture, id, FIXTURE_HOUR(12));
    const struct subscription ended = get(fixture, id);
    assert_int_equal(ended.status, SUBSCRIPTION_INACTIVE);
    assert_int_equal(ended.deactivated_at_ms, FIXTURE_HOUR(12));
    // Not claimed yet: canceled. Running: may finish. Made: lives on.
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 4);
    assert_int_equal(jobs[0].state, JOB_SUCCEEDED);
    assert_int_equal(jobs[0].file_count, 1);
    assert_int_equal(jobs[1].state, JOB_RUNNING);
    for (size_t i = 2; i < 4; i++) {
        assert_int_equal(jobs[i].state, JOB_FAILED);
        assert_string_equal(jobs[i].reason, "subscription was deactivated");
        assert_int_equal(jobs[i].finished_at_ms, FIXTURE_HOUR(12));
    }
    const struct job_claim claim = fixture_claim_of(&running);
    assert_done(fixture, job_renew(fixture->catalog, &claim, 1, FIXTURE_NOW_MS, FIXTURE_LEASE_MS,
                                   &fixture->err));
    fixture_succeed(fixture, &running, 1);
    // No windows, no backfill, no retry, no second deactivation.
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(20), 500), 0);
    int64_t windows = 0;
    int64_t created = 0;
    assert_refused(fixture,
                   job_backfill(fixture->catalog, id, FIXTURE_HOUR(1), FIXTURE_HOUR(2),
                                FIXTURE_NOW_MS, &windows, &created, &fixture->err),
                   ERR_CONFLICT);
    struct job job;
    assert_refused(fixture,
                   job_retry(fixture->catalog, fixture->organization_id, slice_text(jobs[2].id),
                             FIXTURE_NOW_MS, &fixture->arena, &job, &fixture->err),
                   ERR_CONFLICT);
    const struct subscription_scope scope = fixture_scope(fixture);
    assert_refused(fixture,
                   subscription_deactivate(fixture->catalog, &scope, slice_text(id), FIXTURE_NOW_MS,
                                           &fixture->err),
                   ERR_NOT_FOUND);
    // Found by id nevertheless.
    struct subscription got;
    assert_done(fixture, subscription_get(fixture->catalog, &scope, slice_text(id), &fixture->arena,
                                          &got, &fixture->err));
}

static void a_job_that_fails_after_deactivation_is_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "bucket is busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1000, &fixture->err));
    const struct job last = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(last.state, JOB_FAILED);
    assert_string_equal(last.reason, "bucket is busy");
}

static void thousands_of_pending_jobs_are_canceled(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(
        fixture_backfill(fixture, id, FIXTURE_HOUR(0) - 1200 * CIVIL_HOUR_MS, FIXTURE_HOUR(0)),
        1200);
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 1200);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(jobs[i].state, JOB_FAILED);
}

static void deactivating_a_pending_one_cancels_its_sample(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    fixture_deactivate(fixture, made.id, FIXTURE_NOW_MS);
    struct job job;
    assert_false(fixture_claim(fixture, &job));
    assert_int_equal(get(fixture, made.id).status, SUBSCRIPTION_INACTIVE);
}

static void stretches_join_live_windows_and_backfills(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct subscription_stretch expected[3] = {{FIXTURE_HOUR(10), INT64_MAX, CADENCE_HOURLY, 1}};
    fixture_assert_stretches(fixture, id, expected, 1);
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(3), FIXTURE_HOUR(5));
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(0), FIXTURE_HOUR(1));
    expected[0] = (struct subscription_stretch){FIXTURE_HOUR(0), FIXTURE_HOUR(1), CADENCE_HOURLY,
                                                1};
    expected[1] = (struct subscription_stretch){FIXTURE_HOUR(3), FIXTURE_HOUR(5), CADENCE_HOURLY,
                                                1};
    expected[2] = (struct subscription_stretch){FIXTURE_HOUR(10), INT64_MAX, CADENCE_HOURLY, 1};
    fixture_assert_stretches(fixture, id, expected, 3);
    // Touching and overlapping stretches become one, also with the live one.
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(4), FIXTURE_HOUR(10));
    expected[1] = (struct subscription_stretch){FIXTURE_HOUR(3), INT64_MAX, CADENCE_HOURLY, 1};
    fixture_assert_stretches(fixture, id, expected, 2);
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(3));
    expected[0] = (struct subscription_stretch){FIXTURE_HOUR(0), INT64_MAX, CADENCE_HOURLY, 1};
    fixture_assert_stretches(fixture, id, expected, 1);
    // After deactivation: up to the last window that got its job.
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(12) + FIXTURE_GRACE_MS, 500), 2);
    fixture_deactivate(fixture, id, FIXTURE_HOUR(20));
    expected[0].end_ms = FIXTURE_HOUR(12);
    fixture_assert_stretches(fixture, id, expected, 1);
}

static void one_that_never_was_active_has_no_windows(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    const struct subscription_stretch expected = {FIXTURE_HOUR(10), INT64_MAX, CADENCE_HOURLY, 1};
    fixture_assert_stretches(fixture, made.id, &expected, 1); // it will be
    assert_done(fixture, subscription_settle(fixture->catalog, made.id, false, "no", FIXTURE_NOW_MS,
                                             &fixture->err));
    fixture_assert_stretches(fixture, made.id, NULL, 0);
    fixture_deactivate(fixture, made.id, FIXTURE_HOUR(20));
    fixture_assert_stretches(fixture, made.id, NULL, 0);
    fixture_assert_stretches(fixture, "none", NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_names),
        fixture_test(create_makes_a_pending_one),
        fixture_test(a_window_that_ends_at_creation_has_ended),
        fixture_test(the_sample_is_over_the_last_complete_window),
        fixture_test(duplicates_are_refused_and_named),
        fixture_test(only_pending_and_active_ones_count),
        fixture_test(nobody_else_finds_it),
        fixture_test(lists_are_oldest_first_without_inactive_ones),
        fixture_test(the_sample_settles_it),
        fixture_test(nothing_is_made_after_deactivation),
        fixture_test(a_job_that_fails_after_deactivation_is_not_tried_again),
        fixture_test(thousands_of_pending_jobs_are_canceled),
        fixture_test(deactivating_a_pending_one_cancels_its_sample),
        fixture_test(stretches_join_live_windows_and_backfills),
        fixture_test(one_that_never_was_active_has_no_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
