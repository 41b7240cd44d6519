// SPDX-License-Identifier: Apache-2.0
#include "jobs_fixture.h"

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(job_state_name(JOB_PENDING_GENERATION), "PENDING_GENERATION");
    assert_string_equal(job_state_name(JOB_RUNNING), "RUNNING");
    assert_string_equal(job_state_name(JOB_PENDING_UPLOAD), "PENDING_UPLOAD");
    assert_string_equal(job_state_name(JOB_SUCCEEDED), "SUCCEEDED");
    assert_string_equal(job_state_name(JOB_FAILED), "FAILED");
}

// --- Live windows

static void a_window_waits_for_its_end_and_grace(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS - 1, 500), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS, 500), 1);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS, 500), 0);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 1);
    assert_int_equal(jobs[0].start_ms, FIXTURE_HOUR(10));
    assert_int_equal(jobs[0].end_ms, FIXTURE_HOUR(11));
    assert_int_equal(jobs[0].revision, 0);
    assert_int_equal(jobs[0].kind, JOB_LIVE);
    assert_int_equal(jobs[0].state, JOB_PENDING_GENERATION);
    assert_int_equal(jobs[0].subscription_version, 1);
    assert_int_equal(jobs[0].topic_id, FIXTURE_TOPIC_ID);
    assert_string_equal(jobs[0].organization_id, fixture->organization_id);
    assert_string_equal(jobs[0].app_id, fixture->app_id);
    assert_int_equal(jobs[0].seq_lo, 0);
    assert_int_equal(jobs[0].seq_hi, -1);
    assert_int_equal(jobs[0].created_at_ms, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS);
    assert_true(jobs[0].is_visible);
    assert_null(jobs[0].claim_id);
    struct subscription subscription;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 0, &fixture->arena,
                                              &subscription, &fixture->err));
    assert_int_equal(subscription.scheduled_to_ms, FIXTURE_HOUR(11));
}

static void daily_windows_have_their_own_grace(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_DAILY, "name");
    const int64_t end_ms = FIXTURE_DAY_MS + CIVIL_DAY_MS;
    assert_int_equal(fixture_schedule(fixture, end_ms + FIXTURE_GRACE_MS, 500), 0);
    assert_int_equal(fixture_schedule(fixture, end_ms + 2 * FIXTURE_GRACE_MS, 500), 1);
    const struct job job = fixture_last(fixture, id, FIXTURE_DAY_MS);
    assert_int_equal(job.end_ms, end_ms);
}

static void windows_that_closed_while_pending_are_made_when_active(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13), 500), 0);
    assert_done(fixture, subscription_settle(fixture->catalog, made.id, true, NULL, FIXTURE_NOW_MS,
                                             &fixture->err));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13), 500), 2);
}

static void three_days_down_leave_no_gap(void **state)
{
    struct fixture *fixture = *state;
    const char *ids[] = {fixture_subscribe(fixture, CADENCE_HOURLY, "name"),
                         fixture_subscribe(fixture, CADENCE_DAILY, "name"),
                         fixture_subscribe(fixture, CADENCE_HOURLY, "os")};
    const int64_t now_ms = FIXTURE_HOUR(10) + 3 * CIVIL_DAY_MS + FIXTURE_GRACE_MS;
    // The oldest windows come first, whatever the limit.
    assert_int_equal(fixture_schedule(fixture, now_ms, 3), 3);
    size_t counts[ARRAY_COUNT(ids)];
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++)
        (void)fixture_ledger(fixture, ids[i], &counts[i]);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 1);
    int64_t made = 3;
    for (int64_t count = 50; count == 50;) {
        count = fixture_schedule(fixture, now_ms, 50);
        made += count;
    }
    assert_int_equal(made, 72 + 3 + 72);
    const struct job *jobs = fixture_ledger(fixture, ids[2], &counts[2]);
    assert_int_equal(counts[2], 72);
    for (size_t i = 0; i < counts[2]; i++) {
        assert_int_equal(jobs[i].start_ms, FIXTURE_HOUR(10 + (int64_t)i));
        assert_int_equal(jobs[i].end_ms, FIXTURE_HOUR(11 + (int64_t)i));
    }
    jobs = fixture_ledger(fixture, ids[1], &counts[1]);
    assert_int_equal(counts[1], 3);
    assert_int_equal(jobs[2].start_ms, FIXTURE_DAY_MS + 2 * CIVIL_DAY_MS);
}

// One that is behind by days does not hold up the window that just closed of another one.
static void scheduling_is_fair_over_subscriptions(void **state)
{
    struct fixture *fixture = *state;
    const char *old = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "os");
    request.now_ms = FIXTURE_HOUR(70);
    const struct subscription young = fixture_create(fixture, &request);
    assert_done(fixture, subscription_settle(fixture->catalog, young.id, true, NULL, FIXTURE_NOW_MS,
                                             &fixture->err));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(72), 2), 2);
    assert_int_equal(fixture_last(fixture, old, FIXTURE_HOUR(10)).kind, JOB_LIVE);
    assert_int_equal(fixture_last(fixture, young.id, FIXTURE_HOUR(70)).kind, JOB_LIVE);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(72), 500), 60);
}

static void a_clock_that_steps_back_makes_nothing_twice(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14), 500), 3);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(12), 500), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(0) - CIVIL_DAY_MS, 500), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14), 500), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(15), 500), 1);
    size_t count = 0;
    (void)fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 4);
}

static void ids_are_a_function_of_the_window(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13), 500), 2);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 2);
    assert_string_not_equal(jobs[0].id, jobs[1].id);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(strlen(jobs[i].id), 36);
        assert_int_equal(jobs[i].id[14], '5');
        assert_non_null(strchr("89ab", jobs[i].id[19]));
    }
    // The key is kept: a window that is made again would have the same id.
    const char *key = NULL;
    const char *again = NULL;
    assert_done(fixture, catalog_get_value(fixture->catalog, "job_key", &fixture->arena, &key,
                                           &fixture->err));
    assert_int_equal(strlen(key), 64);
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(2));
    assert_done(fixture, catalog_get_value(fixture->catalog, "job_key", &fixture->arena, &again,
                                           &fixture->err));
    assert_string_equal(key, again);
}

static void a_broken_job_key_stops_everything(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_done(fixture,
                catalog_set_value(fixture->catalog, "job_key", "not a key", &fixture->err));
    int64_t windows = 0;
    int64_t created = 0;
    assert_refused(fixture,
                   job_backfill(fixture->catalog, id, FIXTURE_HOUR(1), FIXTURE_HOUR(2),
                                FIXTURE_NOW_MS, &windows, &created, &fixture->err),
                   ERR_CORRUPT);
}

// --- Backfill

static void assert_backfill_refused(struct fixture *fixture, const char *id, int64_t start_ms,
                                    int64_t end_ms, const char *message)
{
    int64_t windows = -1;
    int64_t created = -1;
    assert_refused(fixture,
                   job_backfill(fixture->catalog, id, start_ms, end_ms, FIXTURE_NOW_MS, &windows,
                                &created, &fixture->err),
                   ERR_INVALID);
    assert_string_equal(fixture->err.message, message);
    assert_int_equal(windows, -1);
    assert_int_equal(created, -1);
}

static void backfill_takes_closed_windows_on_edges(void **state)
{
    struct fixture *fixture = *state;
    const char *hourly = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *daily = fixture_subscribe(fixture, CADENCE_DAILY, "name");
    assert_backfill_refused(fixture, hourly, FIXTURE_HOUR(2), FIXTURE_HOUR(2),
                            "start_date must be before end_date");
    assert_backfill_refused(fixture, hourly, FIXTURE_HOUR(3), FIXTURE_HOUR(2),
                            "start_date must be before end_date");
    assert_backfill_refused(fixture, hourly, FIXTURE_HOUR(2) + 1, FIXTURE_HOUR(3),
                            "start_date and end_date must be on window edges (hourly)");
    assert_backfill_refused(fixture, hourly, FIXTURE_HOUR(2), FIXTURE_HOUR(3) - 1,
                            "start_date and end_date must be on window edges (hourly)");
    assert_backfill_refused(fixture, daily, FIXTURE_HOUR(2), FIXTURE_DAY_MS + CIVIL_DAY_MS,
                            "start_date and end_date must be on window edges (daily)");
    assert_backfill_refused(fixture, hourly, FIXTURE_HOUR(9), FIXTURE_HOUR(11),
                            "Window not closed yet");
    assert_backfill_refused(fixture, daily, FIXTURE_DAY_MS, FIXTURE_DAY_MS + CIVIL_DAY_MS,
                            "Window not closed yet");
    assert_backfill_refused(fixture, hourly, FIXTURE_HOUR(10 - 10001), FIXTURE_HOUR(10),
                            "Too many windows: at most 10000");
    size_t count = 0;
    (void)fixture_ledger(fixture, hourly, &count);
    assert_int_equal(count, 0);
    int64_t windows = 0;
    int64_t created = 0;
    assert_refused(fixture,
                   job_backfill(fixture->catalog, "none", FIXTURE_HOUR(1), FIXTURE_HOUR(2),
                                FIXTURE_NOW_MS, &windows, &created, &fixture->err),
                   ERR_NOT_FOUND);
}

static void backfill_is_idempotent(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    int64_t windows = 0;
    int64_t created = 0;
    const int64_t start_ms = FIXTURE_HOUR(10 - 1203); // three transactions
    assert_done(fixture, job_backfill(fixture->catalog, id, start_ms, FIXTURE_HOUR(10),
                                      FIXTURE_NOW_MS, &windows, &created, &fixture->err));
    assert_int_equal(windows, 1203);
    assert_int_equal(created, 1203);
    assert_done(fixture,
                job_backfill(fixture->catalog, id, start_ms - 2 * CIVIL_HOUR_MS, FIXTURE_HOUR(9),
                             FIXTURE_NOW_MS, &windows, &created, &fixture->err));
    assert_int_equal(windows, 1204);
    assert_int_equal(created, 2);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 1205);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].start_ms, start_ms + ((int64_t)i - 2) * CIVIL_HOUR_MS);
        assert_int_equal(jobs[i].end_ms, jobs[i].start_ms + CIVIL_HOUR_MS);
        assert_int_equal(jobs[i].kind, JOB_BACKFILL);
        assert_true(jobs[i].is_visible);
    }
}

static void a_backfilled_window_is_not_made_again_when_it_is_due(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    // The window has ended, its grace has not passed.
    int64_t windows = 0;
    int64_t created = 0;
    assert_done(fixture, job_backfill(fixture->catalog, id, FIXTURE_HOUR(10), FIXTURE_HOUR(11),
                                      FIXTURE_HOUR(11), &windows, &created, &fixture->err));
    assert_int_equal(created, 1);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13), 500), 2); // gone through
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 2);
    assert_int_equal(jobs[0].kind, JOB_BACKFILL);
    assert_int_equal(jobs[1].kind, JOB_LIVE);
    // And the other way round.
    assert_done(fixture, job_backfill(fixture->catalog, id, FIXTURE_HOUR(11), FIXTURE_HOUR(12),
                                      FIXTURE_HOUR(13), &windows, &created, &fixture->err));
    assert_int_equal(windows, 1);
    assert_int_equal(created, 0);
}

static void the_samples_window_can_be_backfilled(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    // While the sample runs, too: it is no revision of the window.
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    assert_int_equal(sample.start_ms, FIXTURE_HOUR(9));
    const struct job job = fixture_run_hour(fixture, made.id, FIXTURE_HOUR(9));
    assert_int_equal(job.revision, 0);
    assert_string_not_equal(job.id, sample.id);
}

static void backfill_ends_with_the_subscription(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    assert_int_equal(fixture_backfill(fixture, made.id, FIXTURE_HOUR(2), FIXTURE_HOUR(4)), 2);
    assert_done(fixture, subscription_settle(fixture->catalog, made.id, false, "denied",
                                             FIXTURE_NOW_MS, &fixture->err));
    int64_t windows = 0;
    int64_t created = 0;
    assert_refused(fixture,
                   job_backfill(fixture->catalog, made.id, FIXTURE_HOUR(1), FIXTURE_HOUR(2),
                                FIXTURE_NOW_MS, &windows, &created, &fixture->err),
                   ERR_CONFLICT);
    // What was pending is not run for a destination that was found not to work.
    fixture_set_bounds(fixture, 0);
    struct job job;
    assert_false(fixture_claim(fixture, &job));
    assert_int_equal(fixture_last(fixture, made.id, FIXTURE_HOUR(2)).state, JOB_FAILED);
    assert_string_equal(fixture_last(fixture, made.id, FIXTURE_HOUR(3)).reason,
                        "subscription failed");
}

// --- Retry

static void retry_makes_the_next_revision_of_the_same_range(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 10);
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(first.seq_hi, 10);
    struct job retry;
    assert_refused(fixture,
                   job_retry(fixture->catalog, fixture->organization_id, slice_text(first.id),
                             FIXTURE_NOW_MS, &fixture->arena, &retry, &fixture->err),
                   ERR_CONFLICT); // it runs
    const struct job_claim claim = fixture_claim_of(&first);
    assert_done(fixture,
                job_fail(fixture->catalog, &claim, "denied", FIXTURE_NOW_MS, 0, &fixture->err));
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 5);
    assert_done(fixture, job_retry(fixture->catalog, fixture->organization_id, slice_text(first.id),
                                   FIXTURE_NOW_MS, &fixture->arena, &retry, &fixture->err));
    assert_string_not_equal(retry.id, first.id);
    assert_int_equal(retry.revision, 1);
    assert_int_equal(retry.kind, JOB_RETRY);
    assert_int_equal(retry.state, JOB_PENDING_GENERATION);
    assert_int_equal(retry.seq_lo, 0);
    assert_true(retry.is_visible);
    // Only the last revision, once.
    struct job again;
    assert_refused(fixture,
                   job_retry(fixture->catalog, fixture->organization_id, slice_text(first.id),
                             FIXTURE_NOW_MS, &fixture->arena, &again, &fixture->err),
                   ERR_CONFLICT);
    // It waits for a bound, and its range goes to the seal point of its own first claim.
    assert_false(fixture_claim(fixture, &again));
    fixture_set_bounds(fixture, 15);
    assert_true(fixture_claim(fixture, &again));
    assert_string_equal(again.id, retry.id);
    assert_int_equal(again.seq_lo, 0);
    assert_int_equal(again.seq_hi, 15);
    fixture_succeed(fixture, &again, 15);
    assert_refused(fixture,
                   job_retry(fixture->catalog, fixture->organization_id, slice_text(again.id),
                             FIXTURE_NOW_MS, &fixture->arena, &again, &fixture->err),
                   ERR_CONFLICT);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).revision, 1);
}

static void nobody_else_can_retry(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture,
                job_fail(fixture->catalog, &claim, "denied", FIXTURE_NOW_MS, 0, &fixture->err));
    const char *app_id = NULL;
    const char *other_id = fixture_organization(fixture, "second", &app_id);
    struct job retry;
    assert_refused(fixture,
                   job_retry(fixture->catalog, other_id, slice_text(job.id), FIXTURE_NOW_MS,
                             &fixture->arena, &retry, &fixture->err),
                   ERR_NOT_FOUND);
    assert_string_equal(fixture->err.message, "Job not found");
    assert_refused(fixture,
                   job_retry(fixture->catalog, other_id, slice_text("none"), FIXTURE_NOW_MS,
                             &fixture->arena, &retry, &fixture->err),
                   ERR_NOT_FOUND);
    assert_string_equal(fixture->err.message, "Job not found");
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).revision, 0);
}

// --- Bounds

static void bounds_reach_only_jobs_that_were_there(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    int64_t ordinal = -1;
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_int_equal(ordinal, 0); // samples do not wait
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(2), FIXTURE_HOUR(4));
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_true(ordinal > 0);
    // The log's end is read here; a job that is made now must not get it.
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(2));
    assert_done(fixture, job_set_bounds(fixture->catalog, ordinal, 0, &fixture->err));
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(2));
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(3));
    assert_false(fixture_claim(fixture, &job));
    int64_t later = 0;
    assert_done(fixture, job_bound_wanted(fixture->catalog, &later, &fixture->err));
    assert_true(later > ordinal);
    assert_done(fixture, job_set_bounds(fixture->catalog, later, 0, &fixture->err));
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(1));
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_int_equal(ordinal, 0);
}

static void bounds_are_given_once_and_to_any_number(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(-1190), FIXTURE_HOUR(10));
    fixture_set_bounds(fixture, 0);
    int64_t ordinal = -1;
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_int_equal(ordinal, 0);
    // A later bound does not move the earlier one: all are claimable with nothing sealed.
    assert_done(fixture, job_set_bounds(fixture->catalog, INT64_MAX, 77, &fixture->err));
    struct job job;
    for (int i = 0; i < 1200; i++)
        assert_true(fixture_claim(fixture, &job));
    assert_false(fixture_claim(fixture, &job));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_have_names),
        fixture_test(a_window_waits_for_its_end_and_grace),
        fixture_test(daily_windows_have_their_own_grace),
        fixture_test(windows_that_closed_while_pending_are_made_when_active),
        fixture_test(three_days_down_leave_no_gap),
        fixture_test(scheduling_is_fair_over_subscriptions),
        fixture_test(a_clock_that_steps_back_makes_nothing_twice),
        fixture_test(ids_are_a_function_of_the_window),
        fixture_test(a_broken_job_key_stops_everything),
        fixture_test(backfill_takes_closed_windows_on_edges),
        fixture_test(backfill_is_idempotent),
        fixture_test(a_backfilled_window_is_not_made_again_when_it_is_due),
        fixture_test(the_samples_window_can_be_backfilled),
        fixture_test(backfill_ends_with_the_subscription),
        fixture_test(retry_makes_the_next_revision_of_the_same_range),
        fixture_test(nobody_else_can_retry),
        fixture_test(bounds_reach_only_jobs_that_were_there),
        fixture_test(bounds_are_given_once_and_to_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
