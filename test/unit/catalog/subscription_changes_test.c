// SPDX-License-Identifier: Apache-2.0
// Edits, pauses and resumes: which version each window gets, what is left out, and that what was
// made stays.
#include "catalog/audit.h"
#include "catalog/segment_retention.h"
#include "catalog/subscription_windows.h"
#include "jobs_fixture.h"

#define OTHER_TOPIC_ID INT64_C(8)
#define DAY(n)         (FIXTURE_DAY_MS + (n)*CIVIL_DAY_MS)
#define MINUTES(n)     ((n)*CIVIL_MINUTE_MS)

// --- What clients do

static struct subscription_change change_of(struct fixture *fixture, const char *id, int64_t now_ms)
{
    return (struct subscription_change){
        .scope = fixture_scope(fixture),
        .id = slice_text(id),
        .change_count = -1,
        .now_ms = now_ms,
    };
}

static struct subscription change(struct fixture *fixture, const struct subscription_change *change)
{
    struct subscription subscription = {0};
    assert_done(fixture, subscription_change(fixture->catalog, change, &fixture->arena,
                                             &subscription, &fixture->err));
    return subscription;
}

static struct subscription edit(struct fixture *fixture, const char *id, enum cadence cadence,
                                const char *field, int64_t now_ms)
{
    struct subscription_change asked = change_of(fixture, id, now_ms);
    asked.report = fixture_report(fixture, cadence, field);
    asked.topic_id = FIXTURE_TOPIC_ID;
    return change(fixture, &asked);
}

static struct subscription set_paused(struct fixture *fixture, const char *id, bool pauses,
                                      int64_t now_ms)
{
    struct subscription_change asked = change_of(fixture, id, now_ms);
    asked.pausing = pauses ? SUBSCRIPTION_PAUSE : SUBSCRIPTION_RESUME;
    return change(fixture, &asked);
}

// --- What is seen of it

struct window {
    int64_t start_ms;
    int64_t end_ms;
    int64_t version;
};

// All jobs of the subscription, in order.
static void assert_jobs(struct fixture *fixture, const char *id, const struct window *expected,
                        size_t expected_count)
{
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].start_ms, expected[i].start_ms);
        assert_int_equal(jobs[i].end_ms, expected[i].end_ms);
        assert_int_equal(jobs[i].subscription_version, expected[i].version);
    }
}

static bool is_left_out(struct fixture *fixture, const char *id, int64_t end_ms)
{
    struct subscription_pauses pauses = {0};
    assert_done(fixture, subscription_get_pauses(fixture->catalog, id, &fixture->arena, &pauses,
                                                 &fixture->err));
    return subscription_pauses_leave_out(&pauses, end_ms);
}

static size_t pause_count(struct fixture *fixture, const char *id)
{
    struct subscription_pauses pauses = {0};
    assert_done(fixture, subscription_get_pauses(fixture->catalog, id, &fixture->arena, &pauses,
                                                 &fixture->err));
    return pauses.count;
}

// --- Edits

static void an_edit_is_for_windows_that_start_later(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct subscription edited = edit(fixture, id, CADENCE_HOURLY, "os",
                                            FIXTURE_HOUR(11) + MINUTES(30));
    assert_int_equal(edited.version, 2);
    assert_int_equal(edited.change_count, 1);
    assert_string_equal(edited.report.fields[0], "os");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14) - 1, 500), 3);
    const struct window expected[] = {
        {FIXTURE_HOUR(10), FIXTURE_HOUR(11), 1}, // closed, but not made yet
        {FIXTURE_HOUR(11), FIXTURE_HOUR(12), 1}, // open
        {FIXTURE_HOUR(12), FIXTURE_HOUR(13), 2},
    };
    assert_jobs(fixture, id, expected, ARRAY_COUNT(expected));
    struct subscription old;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 1, &fixture->arena, &old,
                                              &fixture->err));
    assert_string_equal(old.report.fields[0], "name");
}

static void an_edit_at_an_edge_is_for_the_window_after_the_one_that_begins(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)edit(fixture, id, CADENCE_HOURLY, "os", FIXTURE_HOUR(11));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14) - 1, 500), 3);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(11)).subscription_version, 1);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(12)).subscription_version, 2);
}

static void hourly_to_daily_at_midnight(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)edit(fixture, id, CADENCE_DAILY, "name", FIXTURE_HOUR(21) + MINUTES(59));
    // Down until the third day: all of it is made in order.
    assert_int_equal(fixture_schedule(fixture, DAY(3) + MINUTES(10), 500), 16);
    struct window expected[16];
    for (int64_t hour = 10; hour < 24; hour++)
        expected[hour - 10] = (struct window){FIXTURE_HOUR(hour), FIXTURE_HOUR(hour + 1), 1};
    expected[14] = (struct window){DAY(1), DAY(2), 2};
    expected[15] = (struct window){DAY(2), DAY(3), 2};
    assert_jobs(fixture, id, expected, ARRAY_COUNT(expected));
    const struct subscription_stretch stretches[] = {
        {FIXTURE_HOUR(10), DAY(1), CADENCE_HOURLY, 1},
        {DAY(1), INT64_MAX, CADENCE_DAILY, 2},
    };
    fixture_assert_stretches(fixture, id, stretches, ARRAY_COUNT(stretches));
}

static void daily_to_hourly_at_the_end_of_the_day(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_DAILY, "name");
    (void)edit(fixture, id, CADENCE_HOURLY, "name", FIXTURE_HOUR(11));
    // Hourly windows have a shorter grace than the day before them; they come after it all the
    // same.
    assert_int_equal(fixture_schedule(fixture, DAY(1) + FIXTURE_GRACE_MS, 500), 0);
    assert_int_equal(fixture_schedule(fixture, DAY(1) + 2 * FIXTURE_GRACE_MS, 500), 1);
    assert_int_equal(fixture_schedule(fixture, DAY(1) + CIVIL_HOUR_MS + FIXTURE_GRACE_MS, 500), 1);
    const struct window expected[] = {
        {DAY(0), DAY(1), 1},
        {DAY(1), DAY(1) + CIVIL_HOUR_MS, 2},
    };
    assert_jobs(fixture, id, expected, ARRAY_COUNT(expected));
}

static void a_version_to_come_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(edit(fixture, id, CADENCE_DAILY, "name", FIXTURE_HOUR(11)).version, 2);
    assert_int_equal(edit(fixture, id, CADENCE_DAILY, "os", FIXTURE_HOUR(12)).version, 3);
    const struct subscription_stretch daily[] = {
        {FIXTURE_HOUR(10), DAY(1), CADENCE_HOURLY, 1},
        {DAY(1), INT64_MAX, CADENCE_DAILY, 3},
    };
    fixture_assert_stretches(fixture, id, daily, ARRAY_COUNT(daily));
    // Back to hourly before midnight: there is no change of cadence to wait for.
    assert_int_equal(edit(fixture, id, CADENCE_HOURLY, "os", FIXTURE_HOUR(13)).version, 4);
    const struct subscription_stretch hourly[] = {
        {FIXTURE_HOUR(10), FIXTURE_HOUR(14), CADENCE_HOURLY, 1},
        {FIXTURE_HOUR(14), INT64_MAX, CADENCE_HOURLY, 4},
    };
    fixture_assert_stretches(fixture, id, hourly, ARRAY_COUNT(hourly));
    struct subscription_version *versions = NULL;
    size_t count = 0;
    assert_done(fixture, subscription_versions(fixture->catalog, id, 10, &fixture->arena, &versions,
                                               &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(versions[0].version, 4);
    assert_int_equal(versions[0].from_ms, FIXTURE_HOUR(14));
    assert_int_equal(versions[0].created_at_ms, FIXTURE_HOUR(13));
    assert_string_equal(versions[0].report.fields[0], "os");
    assert_int_equal(versions[1].version, 1);
    assert_int_equal(versions[1].from_ms, 0);
}

static void an_edit_to_the_same_is_none(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct subscription same = edit(fixture, id, CADENCE_HOURLY, "name", FIXTURE_HOUR(11));
    assert_int_equal(same.version, 1);
    assert_int_equal(same.change_count, 0);
}

static void an_edit_may_not_make_a_duplicate(void **state)
{
    struct fixture *fixture = *state;
    const char *first = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *second = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    struct subscription_change asked = change_of(fixture, second, FIXTURE_NOW_MS);
    asked.report = fixture_report(fixture, CADENCE_HOURLY, "name");
    asked.topic_id = FIXTURE_TOPIC_ID;
    struct subscription got;
    assert_refused(
        fixture,
        subscription_change(fixture->catalog, &asked, &fixture->arena, &got, &fixture->err),
        ERR_CONFLICT);
    assert_non_null(strstr(fixture->err.message, first));
    // What it no longer wants is free for others, at once.
    (void)edit(fixture, first, CADENCE_HOURLY, "city", FIXTURE_NOW_MS);
    (void)change(fixture, &asked);
}

static void windows_that_were_gone_through_keep_their_version(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    // A clock that ran two hours ahead has made windows which, by the right one, are to come.
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13) + FIXTURE_GRACE_MS, 500), 3);
    (void)edit(fixture, id, CADENCE_HOURLY, "os", FIXTURE_HOUR(11));
    const struct subscription_stretch hourly[] = {
        {FIXTURE_HOUR(10), FIXTURE_HOUR(13), CADENCE_HOURLY, 1},
        {FIXTURE_HOUR(13), INT64_MAX, CADENCE_HOURLY, 2},
    };
    fixture_assert_stretches(fixture, id, hourly, ARRAY_COUNT(hourly));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14) + FIXTURE_GRACE_MS, 500), 1);
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(13)).subscription_version, 2);
}

static void late_rows_of_the_old_topic_come_by_the_old_version(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(3));
    fixture_succeed(fixture, &first, 1);
    struct subscription_change asked = change_of(fixture, id, FIXTURE_NOW_MS);
    asked.report = fixture_report(fixture, CADENCE_DAILY, "os");
    asked.topic_id = OTHER_TOPIC_ID;
    assert_int_equal(change(fixture, &asked).topic_id, OTHER_TOPIC_ID);
    // The new topic's rows are nothing to a window of the old version.
    fixture_seal(fixture, fixture->app_id, OTHER_TOPIC_ID, FIXTURE_HOUR(3), 1);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(3), 2);
    int64_t count = 0;
    assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS, FIXTURE_GAP_MS, 100,
                                           &count, &fixture->err));
    assert_int_equal(count, 1);
    struct job late;
    assert_true(fixture_claim(fixture, &late));
    assert_int_equal(late.kind, JOB_LATE);
    assert_int_equal(late.topic_id, FIXTURE_TOPIC_ID);
    assert_int_equal(late.subscription_version, 1);
    assert_int_equal(late.end_ms, FIXTURE_HOUR(4));
    // Its retry too.
    const struct job_claim claim = fixture_claim_of(&late);
    assert_done(fixture,
                job_fail(fixture->catalog, &claim, "no", FIXTURE_NOW_MS, 0, &fixture->err));
    struct job again;
    assert_done(fixture, job_retry(fixture->catalog, fixture->organization_id, slice_text(late.id),
                                   FIXTURE_NOW_MS, &fixture->arena, &again, &fixture->err));
    assert_int_equal(again.subscription_version, 1);
    assert_int_equal(again.topic_id, FIXTURE_TOPIC_ID);
}

static void events_are_held_for_both_versions(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct subscription_change asked = change_of(fixture, id, FIXTURE_NOW_MS);
    asked.report = fixture_report(fixture, CADENCE_HOURLY, "os");
    asked.topic_id = OTHER_TOPIC_ID;
    (void)change(fixture, &asked);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(10), 1);
    fixture_seal(fixture, fixture->app_id, OTHER_TOPIC_ID, FIXTURE_HOUR(11), 1);
    const struct segment_drop drop = {
        .created_before_ms = FIXTURE_NOW_MS + 1, .now_ms = FIXTURE_NOW_MS + 1, .limit = 10};
    const int64_t expected[] = {0, 1, 1}; // before, after the first hour's job, after the second's
    for (int hour = 9; hour <= 11; hour++) {
        if (hour > 9) {
            assert_int_equal(
                fixture_schedule(fixture, FIXTURE_HOUR(hour + 1) + FIXTURE_GRACE_MS, 1), 1);
            fixture_set_bounds(fixture, fixture->seal_seq);
            struct job job;
            assert_true(fixture_claim(fixture, &job));
            assert_int_equal(job.topic_id, hour == 10 ? FIXTURE_TOPIC_ID : OTHER_TOPIC_ID);
            fixture_succeed(fixture, &job, 1);
        }
        int64_t count = 0;
        assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS, FIXTURE_GAP_MS,
                                               100, &count, &fixture->err));
        assert_done(fixture, segment_drop_older(fixture->catalog, &drop, &count, &fixture->err));
        assert_int_equal(count, expected[hour - 9]);
    }
}

static bool backfills(struct fixture *fixture, const char *id, int64_t start_ms, int64_t end_ms,
                      int64_t now_ms, int64_t *ret_window_count)
{
    int64_t created = 0;
    return job_backfill(fixture->catalog, id, start_ms, end_ms, now_ms, ret_window_count, &created,
                        &fixture->err);
}

static void a_backfill_goes_through_versions(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)edit(fixture, id, CADENCE_DAILY, "name", FIXTURE_HOUR(22));
    const int64_t now_ms = DAY(3) + MINUTES(1);
    int64_t windows = 0;
    // An end in the middle of a day of the daily version, an hour's edge as it is.
    assert_refused(
        fixture, backfills(fixture, id, FIXTURE_HOUR(22), DAY(1) + CIVIL_HOUR_MS, now_ms, &windows),
        ERR_INVALID);
    assert_non_null(strstr(fixture->err.message, "(daily)"));
    assert_refused(fixture, backfills(fixture, id, FIXTURE_HOUR(22) + 1, DAY(2), now_ms, &windows),
                   ERR_INVALID);
    assert_non_null(strstr(fixture->err.message, "(hourly)"));
    assert_refused(fixture, backfills(fixture, id, FIXTURE_HOUR(22), DAY(4), now_ms, &windows),
                   ERR_INVALID);
    assert_string_equal(fixture->err.message, "Window not closed yet");
    assert_done(fixture, backfills(fixture, id, FIXTURE_HOUR(22), DAY(3), now_ms, &windows));
    assert_int_equal(windows, 4);
    const struct window expected[] = {
        {FIXTURE_HOUR(22), FIXTURE_HOUR(23), 1},
        {FIXTURE_HOUR(23), DAY(1), 1},
        {DAY(1), DAY(2), 2},
        {DAY(2), DAY(3), 2},
    };
    assert_jobs(fixture, id, expected, ARRAY_COUNT(expected));
    // The scheduler makes the others, none twice.
    assert_int_equal(fixture_schedule(fixture, now_ms + FIXTURE_GRACE_MS * 2, 500), 16);
    size_t count = 0;
    (void)fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 16);
}

static void ten_thousand_windows_count_over_versions(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)edit(fixture, id, CADENCE_DAILY, "name", FIXTURE_HOUR(22));
    int64_t windows = 0;
    const int64_t start_ms = DAY(1) - 9998 * CIVIL_HOUR_MS;
    assert_refused(fixture, backfills(fixture, id, start_ms, DAY(4), DAY(5), &windows),
                   ERR_INVALID);
    assert_string_equal(fixture->err.message, "Too many windows: at most 10000");
    assert_done(fixture, backfills(fixture, id, start_ms, DAY(3), DAY(5), &windows));
    assert_int_equal(windows, 10000);
}

// --- Pauses

static void a_pause_leaves_out_what_ends_in_it(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_true(set_paused(fixture, id, true, FIXTURE_HOUR(12) + 1).is_paused);
    // Paused, it is still there for what had ended before.
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14) + FIXTURE_GRACE_MS, 500), 4);
    assert_false(set_paused(fixture, id, false, FIXTURE_HOUR(15) + MINUTES(30)).is_paused);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(17) + FIXTURE_GRACE_MS, 500), 3);
    const struct window expected[] = {
        {FIXTURE_HOUR(10), FIXTURE_HOUR(11), 1},
        {FIXTURE_HOUR(11), FIXTURE_HOUR(12), 1}, // ended when the pause began
        {FIXTURE_HOUR(15), FIXTURE_HOUR(16), 1}, // open when it ended
        {FIXTURE_HOUR(16), FIXTURE_HOUR(17), 1},
    };
    assert_jobs(fixture, id, expected, ARRAY_COUNT(expected));
    assert_false(is_left_out(fixture, id, FIXTURE_HOUR(12)));
    for (int hour = 13; hour <= 15; hour++)
        assert_true(is_left_out(fixture, id, FIXTURE_HOUR(hour)));
    assert_false(is_left_out(fixture, id, FIXTURE_HOUR(16)));
    // A backfill brings back what was left out.
    assert_int_equal(fixture_backfill(fixture, id, FIXTURE_HOUR(8), FIXTURE_HOUR(10)), 2);
    int64_t windows = 0;
    assert_done(fixture, backfills(fixture, id, FIXTURE_HOUR(11), FIXTURE_HOUR(16),
                                   FIXTURE_HOUR(17), &windows));
    size_t count = 0;
    (void)fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 9);
}

static void a_pause_at_an_edge(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)set_paused(fixture, id, true, FIXTURE_HOUR(12));
    (void)set_paused(fixture, id, false, FIXTURE_HOUR(13));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14) + FIXTURE_GRACE_MS, 500), 4);
    const struct window expected[] = {
        {FIXTURE_HOUR(10), FIXTURE_HOUR(11), 1},
        {FIXTURE_HOUR(11), FIXTURE_HOUR(12), 1},
        {FIXTURE_HOUR(13), FIXTURE_HOUR(14), 1},
    };
    assert_jobs(fixture, id, expected, ARRAY_COUNT(expected));
}

static void pauses_within_a_window_leave_out_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    for (int i = 0; i < 20; i++) {
        const int64_t now_ms = FIXTURE_HOUR(10) + MINUTES(20) + i;
        (void)set_paused(fixture, id, true, now_ms);
        (void)set_paused(fixture, id, false, now_ms); // in the same millisecond as well
        (void)set_paused(fixture, id, true, now_ms);
        (void)set_paused(fixture, id, false, now_ms + 1);
    }
    assert_int_equal(pause_count(fixture, id), 0);
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS, 500), 1);
    size_t count = 0;
    (void)fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 1);
}

static void pausing_and_resuming_twice_is_once(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(set_paused(fixture, id, false, FIXTURE_HOUR(11)).change_count, 0);
    assert_int_equal(set_paused(fixture, id, true, FIXTURE_HOUR(11)).change_count, 1);
    assert_int_equal(set_paused(fixture, id, true, FIXTURE_HOUR(13)).change_count, 1);
    assert_int_equal(set_paused(fixture, id, false, FIXTURE_HOUR(14)).change_count, 2);
    assert_int_equal(set_paused(fixture, id, false, FIXTURE_HOUR(15)).change_count, 2);
    assert_true(is_left_out(fixture, id, FIXTURE_HOUR(12)));
    assert_true(is_left_out(fixture, id, FIXTURE_HOUR(14)));
    assert_false(is_left_out(fixture, id, FIXTURE_HOUR(15)));
}

static void a_pause_over_a_change_of_cadence(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)edit(fixture, id, CADENCE_DAILY, "name", FIXTURE_HOUR(20));
    (void)set_paused(fixture, id, true, FIXTURE_HOUR(22) + MINUTES(30));
    (void)set_paused(fixture, id, false, DAY(2) - 1); // the first day is open still
    assert_int_equal(fixture_schedule(fixture, DAY(2) + MINUTES(10), 500), 15);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 13); // hours 10 to 21, and the day
    assert_int_equal(jobs[11].end_ms, FIXTURE_HOUR(22));
    assert_int_equal(jobs[12].start_ms, DAY(1));
    assert_int_equal(jobs[12].end_ms, DAY(2));
}

static void what_was_passed_over_stays_left_out_when_the_clock_goes_back(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)set_paused(fixture, id, true, FIXTURE_HOUR(10) + MINUTES(30));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13) + FIXTURE_GRACE_MS, 500), 3);
    (void)set_paused(fixture, id, false, FIXTURE_HOUR(11) + MINUTES(30));
    assert_true(is_left_out(fixture, id, FIXTURE_HOUR(13)));
    assert_false(is_left_out(fixture, id, FIXTURE_HOUR(14)));
}

static void a_paused_one_counts_for_duplicates_and_limit(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)set_paused(fixture, id, true, FIXTURE_NOW_MS);
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    struct subscription got;
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &request, &fixture->arena, &got, &fixture->err),
        ERR_CONFLICT);
    request = fixture_request(fixture, CADENCE_HOURLY, "os");
    request.limit = 1;
    assert_refused(
        fixture,
        subscription_create(fixture->catalog, &request, &fixture->arena, &got, &fixture->err),
        ERR_LIMIT);
}

// --- Who may, and when

static void a_change_that_comes_second_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct subscription_change first = change_of(fixture, id, FIXTURE_NOW_MS);
    first.change_count = 0;
    first.pausing = SUBSCRIPTION_PAUSE;
    struct subscription_change second = first;
    second.report = fixture_report(fixture, CADENCE_HOURLY, "os");
    second.topic_id = FIXTURE_TOPIC_ID;
    assert_int_equal(change(fixture, &first).change_count, 1);
    struct subscription got;
    assert_refused(
        fixture,
        subscription_change(fixture->catalog, &second, &fixture->arena, &got, &fixture->err),
        ERR_CANCELED);
    second.change_count = 1;
    assert_int_equal(change(fixture, &second).version, 2);
}

static void what_has_ended_is_not_changed(void **state)
{
    struct fixture *fixture = *state;
    const char *ended = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture_deactivate(fixture, ended, FIXTURE_NOW_MS);
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "os");
    const struct subscription failed = fixture_create(fixture, &request);
    assert_done(fixture, subscription_settle(fixture->catalog, failed.id, false, "no",
                                             FIXTURE_NOW_MS, &fixture->err));
    const char *ids[] = {ended, failed.id};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        struct subscription_change asked = change_of(fixture, ids[i], FIXTURE_NOW_MS);
        asked.pausing = SUBSCRIPTION_PAUSE;
        struct subscription got;
        assert_refused(
            fixture,
            subscription_change(fixture->catalog, &asked, &fixture->arena, &got, &fixture->err),
            ERR_CONFLICT);
        asked.scope.organization_id = "100000000000000000";
        assert_refused(
            fixture,
            subscription_change(fixture->catalog, &asked, &fixture->arena, &got, &fixture->err),
            ERR_NOT_FOUND);
    }
}

static void all_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    (void)fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    struct subscription_change asked = change_of(fixture, id, FIXTURE_NOW_MS);
    asked.pausing = SUBSCRIPTION_PAUSE;
    asked.report = fixture_report(fixture, CADENCE_HOURLY, "name"); // a duplicate
    asked.topic_id = FIXTURE_TOPIC_ID;
    struct subscription got;
    assert_refused(
        fixture,
        subscription_change(fixture->catalog, &asked, &fixture->arena, &got, &fixture->err),
        ERR_CONFLICT);
    assert_int_equal(pause_count(fixture, id), 0);
    asked.report = fixture_report(fixture, CADENCE_HOURLY, "city");
    const struct subscription changed = change(fixture, &asked);
    assert_int_equal(changed.change_count, 1);
    assert_int_equal(changed.version, 2);
    assert_true(changed.is_paused);
}

static void changes_are_written_down(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct catalog_actor actor = {
        .key_id = "key", .peer = "::1", .request_id = "r", .now_ms = FIXTURE_NOW_MS};
    catalog_act_for(fixture->catalog, &actor);
    (void)edit(fixture, id, CADENCE_HOURLY, "os", FIXTURE_HOUR(11));
    (void)edit(fixture, id, CADENCE_HOURLY, "os", FIXTURE_HOUR(11)); // changes nothing
    (void)set_paused(fixture, id, true, FIXTURE_HOUR(12));
    (void)set_paused(fixture, id, false, FIXTURE_HOUR(13));
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1) - 600 * CIVIL_HOUR_MS, FIXTURE_HOUR(1));
    catalog_act_for(fixture->catalog, NULL);
    struct audit_entry *entries = NULL;
    size_t count = 0;
    const struct audit_query query = {.organization_id = fixture->organization_id, .limit = 10};
    assert_done(fixture, audit_list(fixture->catalog, &query, &fixture->arena, &entries, &count,
                                    &fixture->err));
    static const char *const actions[] = {"subscription.backfill", "subscription.resume",
                                          "subscription.pause", "subscription.edit"};
    assert_int_equal(count, ARRAY_COUNT(actions));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(entries[i].action, actions[i]);
        assert_string_equal(entries[i].object_id, id);
    }
    assert_string_equal(entries[3].details,
                        "{\"version\":2,\"from\":\"2024-10-04T12:00:00.000-00:00\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(an_edit_is_for_windows_that_start_later),
        fixture_test(an_edit_at_an_edge_is_for_the_window_after_the_one_that_begins),
        fixture_test(hourly_to_daily_at_midnight),
        fixture_test(daily_to_hourly_at_the_end_of_the_day),
        fixture_test(a_version_to_come_is_replaced),
        fixture_test(an_edit_to_the_same_is_none),
        fixture_test(an_edit_may_not_make_a_duplicate),
        fixture_test(windows_that_were_gone_through_keep_their_version),
        fixture_test(late_rows_of_the_old_topic_come_by_the_old_version),
        fixture_test(events_are_held_for_both_versions),
        fixture_test(a_backfill_goes_through_versions),
        fixture_test(ten_thousand_windows_count_over_versions),
        fixture_test(a_pause_leaves_out_what_ends_in_it),
        fixture_test(a_pause_at_an_edge),
        fixture_test(pauses_within_a_window_leave_out_nothing),
        fixture_test(pausing_and_resuming_twice_is_once),
        fixture_test(a_pause_over_a_change_of_cadence),
        fixture_test(what_was_passed_over_stays_left_out_when_the_clock_goes_back),
        fixture_test(a_paused_one_counts_for_duplicates_and_limit),
        fixture_test(a_change_that_comes_second_is_refused),
        fixture_test(what_has_ended_is_not_changed),
        fixture_test(all_or_nothing),
        fixture_test(changes_are_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
