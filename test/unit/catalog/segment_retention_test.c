// SPDX-License-Identifier: Apache-2.0
// Retention takes nothing that is still to be exported, and remembers what it took.
#include "catalog/catalog_internal.h"
#include "catalog/leases.h"
#include "catalog/segment_retention.h"
#include "jobs_fixture.h"

#define LATER_MS (FIXTURE_NOW_MS + 90 * CIVIL_DAY_MS)

// Everything that is sealed so far is old.
static int64_t drop(struct fixture *fixture)
{
    const struct segment_drop drop = {
        .created_before_ms = FIXTURE_NOW_MS + 1,
        .now_ms = LATER_MS,
        .limit = 10,
    };
    int64_t count = -1;
    assert_done(fixture, segment_drop_older(fixture->catalog, &drop, &count, &fixture->err));
    return count;
}

static void seal(struct fixture *fixture, int64_t hour_ms)
{
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, hour_ms, 3);
}

// As the scheduler's tick: looks at new segments, and makes late revisions.
static int64_t schedule_late(struct fixture *fixture, int64_t now_ms)
{
    int64_t count = -1;
    assert_done(fixture, job_schedule_late(fixture->catalog, now_ms, FIXTURE_GAP_MS, 500, &count,
                                           &fixture->err));
    return count;
}

static int64_t floor_of(struct fixture *fixture, int64_t start_ms, int64_t end_ms)
{
    const struct segment_slice wanted = {
        .topic_id = FIXTURE_TOPIC_ID,
        .app_id = fixture_app_number(fixture->app_id),
        .time_min_ms = start_ms,
        .time_max_ms = end_ms,
    };
    int64_t seq = -1;
    assert_done(fixture, segment_floor(fixture->catalog, &wanted, &seq, &fixture->err));
    return seq;
}

static void windows_without_a_job_hold_their_rows(void **state)
{
    struct fixture *fixture = *state;
    (void)fixture_subscribe(fixture, CADENCE_HOURLY, "name"); // first window: 10 to 11
    seal(fixture, FIXTURE_HOUR(10));
    seal(fixture, FIXTURE_HOUR(9));
    assert_int_equal(schedule_late(fixture, LATER_MS), 0);
    assert_int_equal(drop(fixture), 1); // that of hour 9
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(9), FIXTURE_HOUR(10)), 6);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(10), FIXTURE_HOUR(11)), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS, 500), 1);
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_int_equal(drop(fixture), 0); // the job waits
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(10));
    assert_int_equal(drop(fixture), 0); // it runs
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_mark_uploading(fixture->catalog, &claim, &fixture->err));
    assert_int_equal(drop(fixture), 0);
    fixture_succeed(fixture, &job, 3);
    assert_int_equal(drop(fixture), 1);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(10), FIXTURE_HOUR(11)), 3);
}

static void a_pending_subscription_holds_its_rows(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_DAILY, "name");
    const struct subscription subscription = fixture_create(fixture, &request);
    seal(fixture, FIXTURE_HOUR(23));
    assert_int_equal(schedule_late(fixture, LATER_MS), 0);
    assert_int_equal(drop(fixture), 0);
    fixture_deactivate(fixture, subscription.id, FIXTURE_NOW_MS);
    assert_int_equal(drop(fixture), 1);
}

// The window of a day is held in each of its hours.
static void a_daily_job_holds_its_hours(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_DAILY, "name");
    seal(fixture, FIXTURE_HOUR(-1));
    seal(fixture, FIXTURE_HOUR(-24));
    seal(fixture, FIXTURE_HOUR(-25)); // of the day before
    assert_int_equal(fixture_backfill(fixture, id, FIXTURE_HOUR(-24), FIXTURE_HOUR(0)), 1);
    assert_int_equal(schedule_late(fixture, LATER_MS), 0);
    assert_int_equal(drop(fixture), 1);
    fixture_set_bounds(fixture, fixture->seal_seq);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    // A claimed job may finish after its subscription was deactivated.
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    assert_int_equal(drop(fixture), 0);
    fixture_succeed(fixture, &job, 6);
    assert_int_equal(drop(fixture), 2);
}

static void others_hold_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app_id = NULL;
    (void)fixture_organization(fixture, "second", &other_app_id);
    (void)fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture_seal(fixture, other_app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(10), 3);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID + 1, FIXTURE_HOUR(10), 3);
    assert_int_equal(drop(fixture), 2);
}

static void late_rows_are_held_until_they_are_exported(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    seal(fixture, FIXTURE_HOUR(5));
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    fixture_succeed(fixture, &first, 3);
    assert_int_equal(schedule_late(fixture, FIXTURE_NOW_MS), 0);
    assert_int_equal(drop(fixture), 1);
    seal(fixture, FIXTURE_HOUR(5));
    assert_int_equal(drop(fixture), 0); // nobody looked at it yet
    assert_int_equal(schedule_late(fixture, FIXTURE_NOW_MS), 1);
    assert_int_equal(drop(fixture), 0);
    struct job late;
    assert_true(fixture_claim(fixture, &late));
    assert_int_equal(late.kind, JOB_LATE);
    fixture_succeed(fixture, &late, 3);
    seal(fixture, FIXTURE_HOUR(5));
    assert_int_equal(schedule_late(fixture, FIXTURE_NOW_MS), 0); // noted: the gap has not passed
    assert_int_equal(drop(fixture), 0);
    const int64_t later_ms = FIXTURE_NOW_MS + FIXTURE_GAP_MS;
    assert_int_equal(schedule_late(fixture, later_ms), 1);
    assert_true(fixture_claim_at(fixture, "supervisor", later_ms, &late));
    assert_int_equal(late.seq_lo, 6);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(5), FIXTURE_HOUR(6)), 3); // not above it
    assert_int_equal(drop(fixture), 0);
    fixture_succeed(fixture, &late, 3);
    assert_int_equal(schedule_late(fixture, later_ms), 0);
    assert_int_equal(drop(fixture), 2);
}

static void floors_only_rise(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(0), FIXTURE_HOUR(24)), 0);
    seal(fixture, FIXTURE_HOUR(5));
    seal(fixture, FIXTURE_HOUR(5));
    assert_int_equal(drop(fixture), 2);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(5), FIXTURE_HOUR(6)), 6);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(5) + 1, FIXTURE_HOUR(5) + 2), 6);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(0), FIXTURE_HOUR(24)), 6);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(4), FIXTURE_HOUR(5)), 0);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(6), FIXTURE_HOUR(7)), 0);
    seal(fixture, FIXTURE_HOUR(5));
    assert_int_equal(drop(fixture), 1);
    assert_int_equal(floor_of(fixture, FIXTURE_HOUR(5), FIXTURE_HOUR(6)), 9);
}

static void dropped_files_have_their_grace_from_now(void **state)
{
    struct fixture *fixture = *state;
    seal(fixture, FIXTURE_HOUR(5));
    assert_int_equal(drop(fixture), 1);
    struct segment *segments = NULL;
    size_t count = 99;
    assert_done(fixture, segment_garbage(fixture->catalog, LATER_MS - 1, 10, &fixture->arena,
                                         &segments, &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_done(fixture, segment_garbage(fixture->catalog, LATER_MS, 10, &fixture->arena, &segments,
                                         &count, &fixture->err));
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(windows_without_a_job_hold_their_rows),
        fixture_test(a_pending_subscription_holds_its_rows),
        fixture_test(a_daily_job_holds_its_hours),
        fixture_test(others_hold_nothing),
        fixture_test(late_rows_are_held_until_they_are_exported),
        fixture_test(floors_only_rise),
        fixture_test(dropped_files_have_their_grace_from_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
