// SPDX-License-Identifier: Apache-2.0
#include "jobs_fixture.h"

#include "base/rng.h"
#include "catalog/catalog_internal.h"

static int64_t schedule_late_at(struct fixture *fixture, int64_t now_ms)
{
    int64_t count = -1;
    assert_done(fixture, job_schedule_late(fixture->catalog, now_ms, FIXTURE_GAP_MS, 500, &count,
                                           &fixture->err));
    return count;
}

static int64_t schedule_late(struct fixture *fixture)
{
    return schedule_late_at(fixture, FIXTURE_NOW_MS);
}

// Hours that are remembered to be looked at again.
static int64_t hint_count(struct fixture *fixture)
{
    int64_t count = -1;
    assert_done(fixture, catalog_query_int64(fixture->catalog, "SELECT count(*) FROM late_hints",
                                             NULL, 0, &count, &fixture->err));
    return count;
}

static void seal_hour(struct fixture *fixture, int64_t hour, int64_t row_count)
{
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(hour), row_count);
}

// An hour of a subscription whose first job has taken what was sealed then.
static const char *deliver_hour(struct fixture *fixture, int64_t hour)
{
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    seal_hour(fixture, hour, 10);
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(hour));
    fixture_succeed(fixture, &job, 10);
    return id;
}

static void rows_in_time_need_no_revision(void **state)
{
    struct fixture *fixture = *state;
    (void)deliver_hour(fixture, 5);
    assert_int_equal(schedule_late(fixture), 0);
    seal_hour(fixture, 6, 5); // an hour that nobody has had yet
    assert_int_equal(schedule_late(fixture), 0);
    assert_int_equal(hint_count(fixture), 0);
}

static void late_rows_make_the_next_revision(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    seal_hour(fixture, 5, 4);
    seal_hour(fixture, 9, 2);
    assert_int_equal(schedule_late(fixture), 1);
    assert_int_equal(schedule_late(fixture), 0);
    const struct job late = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(late.kind, JOB_LATE);
    assert_int_equal(late.revision, 1);
    assert_int_equal(late.state, JOB_PENDING_GENERATION);
    assert_int_equal(late.seq_lo, 10);
    assert_int_equal(late.seq_hi, -1);
    assert_int_equal(late.end_ms, FIXTURE_HOUR(6));
    assert_int_equal(late.subscription_version, 1);
    assert_false(late.is_visible);
    // Claimable at once: its rows are sealed.
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_string_equal(job.id, late.id);
    assert_int_equal(job.seq_hi, 16);
}

static void a_late_job_is_listed_once_it_has_rows(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    seal_hour(fixture, 5, 4);
    assert_int_equal(schedule_late(fixture), 1);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    struct job *jobs = NULL;
    size_t count = 0;
    assert_done(fixture,
                job_list(fixture->catalog, id, 0, &fixture->arena, &jobs, &count, &fixture->err));
    assert_int_equal(count, 1);
    fixture_succeed(fixture, &job, 3);
    assert_done(fixture,
                job_list(fixture->catalog, id, 0, &fixture->arena, &jobs, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].id, job.id);
    assert_int_equal(jobs[0].revision, 1);
    assert_int_equal(jobs[0].file_count, 1);
}

static void a_late_job_without_rows_is_only_in_the_ledger(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    seal_hour(fixture, 5, 4);
    assert_int_equal(schedule_late(fixture), 1);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 0);
    struct job *jobs = NULL;
    size_t count = 0;
    assert_done(fixture,
                job_list(fixture->catalog, id, 0, &fixture->arena, &jobs, &count, &fixture->err));
    assert_int_equal(count, 1);
    struct job hidden;
    assert_refused(fixture,
                   job_get(fixture->catalog, fixture->organization_id, slice_text(id),
                           slice_text(job.id), &fixture->arena, &hidden, &fixture->err),
                   ERR_NOT_FOUND);
    const struct job last = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(last.state, JOB_SUCCEEDED);
    assert_int_equal(last.seq_lo, 10);
    assert_int_equal(last.seq_hi, 14);
    // Its range counts: the next revision starts where it ended.
    seal_hour(fixture, 5, 6);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + FIXTURE_GAP_MS), 1);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).seq_lo, 14);
}

static void a_late_job_that_fails_is_listed(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    seal_hour(fixture, 5, 4);
    assert_int_equal(schedule_late(fixture), 1);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1, &fixture->err));
    assert_false(fixture_last(fixture, id, FIXTURE_HOUR(5)).is_visible); // not final
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1, &job));
    const struct job_claim again = fixture_claim_of(&job);
    assert_done(fixture,
                job_fail(fixture->catalog, &again, "denied", FIXTURE_NOW_MS, 0, &fixture->err));
    assert_true(fixture_last(fixture, id, FIXTURE_HOUR(5)).is_visible);
    // The chain stops at a FAILED one until it is retried; the retry takes its range and what came.
    seal_hour(fixture, 5, 6);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 0);
    assert_int_equal(hint_count(fixture), 0);
    assert_done(fixture, job_retry(fixture->catalog, fixture->organization_id, slice_text(job.id),
                                   FIXTURE_NOW_MS, &fixture->arena, &job, &fixture->err));
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.revision, 2);
    assert_int_equal(job.seq_lo, 10);
    assert_int_equal(job.seq_hi, 20);
    fixture_succeed(fixture, &job, 10);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 0);
}

static void the_first_comes_at_once_then_one_per_gap(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    struct job job;
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late(fixture), 1);
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 1);
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late(fixture), 0);
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + FIXTURE_GAP_MS - 1), 0);
    assert_int_equal(hint_count(fixture), 1);
    // Nothing new is sealed, and the deferred window is not forgotten.
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + FIXTURE_GAP_MS), 1);
    assert_int_equal(hint_count(fixture), 0);
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.revision, 2);
    assert_int_equal(job.seq_lo, 11);
    assert_int_equal(job.seq_hi, 13);
    fixture_succeed(fixture, &job, 2);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + 3 * FIXTURE_GAP_MS), 0);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).revision, 2);
}

static void a_revision_from_a_wrong_clock_does_not_hold_up_the_next(void **state)
{
    struct fixture *fixture = *state;
    (void)deliver_hour(fixture, 5);
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + 365 * CIVIL_DAY_MS), 1);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 1);
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late(fixture), 1);
}

static void rows_sealed_while_a_job_runs_wait_for_its_end(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    seal_hour(fixture, 5, 10);
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    seal_hour(fixture, 5, 4);
    assert_int_equal(schedule_late(fixture), 0);
    assert_int_equal(schedule_late(fixture), 0);
    fixture_succeed(fixture, &job, 10);
    assert_int_equal(schedule_late(fixture), 1);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).seq_lo, 10);
}

// Rows sealed before the first claim are in its range, however late they are.
static void rows_sealed_before_the_claim_need_no_revision(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(5), FIXTURE_HOUR(6));
    fixture_set_bounds(fixture, 0);
    seal_hour(fixture, 5, 10);
    assert_int_equal(schedule_late(fixture), 0);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.seq_hi, 10);
    fixture_succeed(fixture, &job, 10);
    assert_int_equal(schedule_late(fixture), 0);
}

static void other_topics_apps_and_hours_do_not_matter(void **state)
{
    struct fixture *fixture = *state;
    (void)deliver_hour(fixture, 5);
    const char *other_app_id = NULL;
    (void)fixture_organization(fixture, "second", &other_app_id);
    fixture_seal(fixture, other_app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 3);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID + 1, FIXTURE_HOUR(5), 3);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(4), 3);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(6), 3);
    assert_int_equal(schedule_late(fixture), 0);
}

// The first hour of a day starts when the day does, and ends before its other hours.
static void the_first_hour_is_not_the_day(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 0);
    seal_hour(fixture, 4, 3);
    assert_int_equal(schedule_late(fixture), 0);
    assert_int_equal(hint_count(fixture), 0);
    seal_hour(fixture, 0, 3);
    assert_int_equal(schedule_late(fixture), 1);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(0)).revision, 1);
}

static void every_subscription_of_the_hour_gets_its_revision(void **state)
{
    struct fixture *fixture = *state;
    const char *hourly = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *daily = fixture_subscribe(fixture, CADENCE_DAILY, "name");
    const int64_t day_ms = FIXTURE_DAY_MS - CIVIL_DAY_MS;
    assert_int_equal(fixture_backfill(fixture, daily, day_ms, FIXTURE_DAY_MS), 1);
    // The first hour of the day starts with it: both windows have the same start.
    assert_int_equal(fixture_backfill(fixture, hourly, day_ms, day_ms + 2 * CIVIL_HOUR_MS), 2);
    fixture_set_bounds(fixture, 0);
    struct job job;
    for (int i = 0; i < 3; i++) {
        assert_true(fixture_claim(fixture, &job));
        fixture_succeed(fixture, &job, 0);
    }
    seal_hour(fixture, -24, 3);
    seal_hour(fixture, -20, 3);
    assert_int_equal(schedule_late(fixture), 2);
    assert_int_equal(fixture_last(fixture, hourly, day_ms).revision, 1);
    assert_int_equal(fixture_last(fixture, hourly, day_ms + CIVIL_HOUR_MS).revision, 0);
    assert_int_equal(fixture_last(fixture, daily, day_ms).revision, 1); // once for both hours
}

static void the_limit_leaves_the_rest_for_the_next_call(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(fixture_backfill(fixture, id, FIXTURE_HOUR(0), FIXTURE_HOUR(7)), 7);
    fixture_set_bounds(fixture, 0);
    struct job job;
    for (int i = 0; i < 7; i++) {
        assert_true(fixture_claim(fixture, &job));
        fixture_succeed(fixture, &job, 0);
    }
    for (int64_t hour = 0; hour < 7; hour++)
        seal_hour(fixture, hour, 1);
    static const int64_t expected[] = {3, 3, 1, 0};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        int64_t count = -1;
        assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS, FIXTURE_GAP_MS, 3,
                                               &count, &fixture->err));
        assert_int_equal(count, expected[i]);
    }
}

static void nothing_is_made_for_ended_subscriptions(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    seal_hour(fixture, 5, 4);
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    assert_int_equal(schedule_late(fixture), 0);
    assert_int_equal(hint_count(fixture), 0);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).revision, 0);
}

// Deferred by the gap, then deactivated.
static void a_deferred_window_ends_with_its_subscription(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    struct job job;
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late(fixture), 1);
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 1);
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late(fixture), 0);
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    assert_int_equal(schedule_late_at(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 0);
    assert_int_equal(hint_count(fixture), 0);
}

// A merged segment has a new id and only rows that were delivered.
static void compaction_makes_no_revision(void **state)
{
    struct fixture *fixture = *state;
    (void)deliver_hour(fixture, 5);
    assert_int_equal(schedule_late(fixture), 0);
    const struct segment_slice slice = {
        .topic_id = FIXTURE_TOPIC_ID,
        .app_id = fixture_app_number(fixture->app_id),
        .hour_ms = FIXTURE_HOUR(5),
        .time_min_ms = FIXTURE_HOUR(5),
        .time_max_ms = FIXTURE_HOUR(5),
        .seq_min = 1,
        .seq_max = 10,
        .row_count = 10,
    };
    const struct segment merged = {
        .path = "lake/merged.parquet",
        .columns = "[]",
        .byte_count = 1,
        .row_count = 10,
        .sha256 = "00",
        .seq_lo = 0,
        .seq_hi = 10,
        .slices = &slice,
        .slice_count = 1,
    };
    const int64_t old_id = 1;
    assert_done(fixture, segment_replace(fixture->catalog, &old_id, 1, &merged, FIXTURE_NOW_MS,
                                         &fixture->err));
    assert_int_equal(schedule_late(fixture), 0);
}

static void more_segments_than_one_step_are_all_looked_at(void **state)
{
    struct fixture *fixture = *state;
    const char *id = deliver_hour(fixture, 5);
    for (int i = 0; i < 150; i++)
        seal_hour(fixture, 9, 1);
    seal_hour(fixture, 5, 1);
    assert_int_equal(schedule_late(fixture), 1);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).revision, 1);
}

static void more_windows_than_one_transaction_are_all_made(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    enum { WINDOW_COUNT = 1100 };
    assert_int_equal(fixture_backfill(fixture, id, FIXTURE_HOUR(-WINDOW_COUNT), FIXTURE_HOUR(0)),
                     WINDOW_COUNT);
    fixture_set_bounds(fixture, 0);
    struct job job;
    for (int i = 0; i < WINDOW_COUNT; i++) {
        assert_true(fixture_claim(fixture, &job));
        fixture_succeed(fixture, &job, 0);
    }
    // One segment over all of them.
    struct segment_slice *slices = arena_alloc_array(&fixture->arena, WINDOW_COUNT, sizeof *slices);
    for (int64_t i = 0; i < WINDOW_COUNT; i++) {
        slices[i] = (struct segment_slice){
            .topic_id = FIXTURE_TOPIC_ID,
            .app_id = fixture_app_number(fixture->app_id),
            .hour_ms = FIXTURE_HOUR(i - WINDOW_COUNT),
            .time_min_ms = FIXTURE_HOUR(i - WINDOW_COUNT),
            .time_max_ms = FIXTURE_HOUR(i - WINDOW_COUNT),
            .seq_min = i + 1,
            .seq_max = i + 1,
            .row_count = 1,
        };
    }
    const struct segment segment = {
        .path = "lake/all.parquet",
        .columns = "[]",
        .byte_count = 1,
        .row_count = WINDOW_COUNT,
        .sha256 = "00",
        .seq_hi = WINDOW_COUNT,
        .slices = slices,
        .slice_count = WINDOW_COUNT,
    };
    const struct segment_log_file file = {.id = 1, .seq_hi = WINDOW_COUNT, .byte_count = 1};
    assert_done(fixture, segment_add_log_file(fixture->catalog, &file, &fixture->err));
    const struct segment_seal seal = {
        .log_file_id = 1,
        .is_file_done = true,
        .seq_to = WINDOW_COUNT,
        .segments = &segment,
        .segment_count = 1,
        .now_ms = FIXTURE_NOW_MS,
    };
    assert_done(fixture, segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_int_equal(schedule_late(fixture), 500);
    assert_int_equal(schedule_late(fixture), 500);
    assert_int_equal(schedule_late(fixture), 100);
    assert_int_equal(schedule_late(fixture), 0);
}

// One step of a life with failures, retries, lost leases and late rows, in any order.
struct life {
    struct rng_seeded rng;
    const char *id;
    int64_t now_ms;
    bool is_held;
    struct job held;
};

static void retry_if_failed(struct fixture *fixture, struct life *life)
{
    const struct job last = fixture_last(fixture, life->id, FIXTURE_HOUR(5));
    struct job retry;
    if (last.state == JOB_FAILED)
        assert_done(fixture,
                    job_retry(fixture->catalog, fixture->organization_id, slice_text(last.id),
                              life->now_ms, &fixture->arena, &retry, &fixture->err));
}

// Also takes over what is held, whose holder is then heard no more. Supervisors change, so that
// lost claims do not count.
static void claim_any(struct fixture *fixture, struct life *life)
{
    char supervisor_id[33] = "";
    rng_text(&life->rng.base, supervisor_id, 32);
    if (fixture_claim_at(fixture, supervisor_id, life->now_ms, &life->held))
        life->is_held = true;
}

static void succeed_if_held(struct fixture *fixture, struct life *life)
{
    if (life->is_held)
        fixture_succeed_at(fixture, &life->held, (int64_t)rng_below(&life->rng.base, 3),
                           life->now_ms);
    life->is_held = false;
}

static void fail_if_held(struct fixture *fixture, struct life *life)
{
    const struct job_claim claim = fixture_claim_of(&life->held);
    const int64_t retry_at_ms = rng_below(&life->rng.base, 2) == 0 ? 0 : life->now_ms + 1;
    if (life->is_held)
        assert_done(fixture, job_fail(fixture->catalog, &claim, "no", life->now_ms, retry_at_ms,
                                      &fixture->err));
    life->is_held = false;
}

static void live(struct fixture *fixture, struct life *life)
{
    life->now_ms += (int64_t)rng_below(&life->rng.base, 2 * (uint64_t)CIVIL_MINUTE_MS);
    fixture_set_bounds(fixture, fixture->seal_seq);
    switch (rng_below(&life->rng.base, 6)) {
    case 0:
        seal_hour(fixture, 5, 1 + (int64_t)rng_below(&life->rng.base, 5));
        break;
    case 1:
        (void)schedule_late_at(fixture, life->now_ms);
        break;
    case 2:
        claim_any(fixture, life);
        break;
    case 3:
        succeed_if_held(fixture, life);
        break;
    case 4:
        fail_if_held(fixture, life);
        break;
    default:
        retry_if_failed(fixture, life);
    }
}

// Whatever happens, the ranges of a window's SUCCEEDED revisions tile (0, last row]: no row is left
// out, none is in two.
static void ranges_tile_without_gap(void **state)
{
    struct fixture *fixture = *state;
    struct life life = {.now_ms = FIXTURE_NOW_MS};
    rng_seeded_init(&life.rng, 20240104);
    life.id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, life.id, FIXTURE_HOUR(5), FIXTURE_HOUR(6));
    for (int step = 0; step < 2000; step++)
        live(fixture, &life);
    seal_hour(fixture, 5, 1);
    for (int round = 0; round < 3; round++) { // what is left to do
        life.now_ms += FIXTURE_GAP_MS;
        retry_if_failed(fixture, &life);
        (void)schedule_late_at(fixture, life.now_ms);
        fixture_set_bounds(fixture, fixture->seal_seq);
        claim_any(fixture, &life);
        succeed_if_held(fixture, &life);
    }
    size_t count = 0;
    size_t succeeded_count = 0;
    int64_t delivered_seq = 0;
    const struct job *jobs = fixture_ledger(fixture, life.id, &count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].revision, (int64_t)i);
        assert_int_equal(jobs[i].seq_lo, delivered_seq);
        if (jobs[i].state == JOB_FAILED)
            continue;
        assert_int_equal(jobs[i].state, JOB_SUCCEEDED);
        assert_true(jobs[i].seq_hi >= jobs[i].seq_lo); // the first may be empty
        delivered_seq = jobs[i].seq_hi;
        succeeded_count++;
    }
    assert_true(succeeded_count > 20);
    assert_int_equal(delivered_seq, fixture->seal_seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(rows_in_time_need_no_revision),
        fixture_test(late_rows_make_the_next_revision),
        fixture_test(a_late_job_is_listed_once_it_has_rows),
        fixture_test(a_late_job_without_rows_is_only_in_the_ledger),
        fixture_test(a_late_job_that_fails_is_listed),
        fixture_test(the_first_comes_at_once_then_one_per_gap),
        fixture_test(a_revision_from_a_wrong_clock_does_not_hold_up_the_next),
        fixture_test(rows_sealed_while_a_job_runs_wait_for_its_end),
        fixture_test(rows_sealed_before_the_claim_need_no_revision),
        fixture_test(other_topics_apps_and_hours_do_not_matter),
        fixture_test(the_first_hour_is_not_the_day),
        fixture_test(every_subscription_of_the_hour_gets_its_revision),
        fixture_test(the_limit_leaves_the_rest_for_the_next_call),
        fixture_test(nothing_is_made_for_ended_subscriptions),
        fixture_test(a_deferred_window_ends_with_its_subscription),
        fixture_test(compaction_makes_no_revision),
        fixture_test(more_segments_than_one_step_are_all_looked_at),
        fixture_test(more_windows_than_one_transaction_are_all_made),
        fixture_test(ranges_tile_without_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
