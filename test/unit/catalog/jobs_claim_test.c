// SPDX-License-Identifier: Apache-2.0
#include "catalog/deliveries.h"
#include "jobs_fixture.h"

#include <time.h>
#include <unistd.h>

#include "base/thread.h"

static void nothing_is_found_when_there_is_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct job job;
    assert_false(fixture_claim(fixture, &job));
}

static void a_claim_takes_everything_at_once(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 12);
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.fence, 1);
    assert_int_equal(strlen(job.claim_id), 32);
    assert_int_equal(job.seq_lo, 0);
    assert_int_equal(job.seq_hi, 12);
    assert_int_equal(job.lost_count, 0);
    assert_null(job.recipe);
    assert_string_equal(job.subscription_id, id);
    const struct job kept = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(kept.state, JOB_RUNNING);
    assert_string_equal(kept.claim_id, job.claim_id);
    struct job second;
    assert_false(fixture_claim(fixture, &second)); // it is taken
}

static void a_job_waits_until_its_bound_is_sealed(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(5), FIXTURE_HOUR(6));
    struct job job;
    assert_false(fixture_claim(fixture, &job)); // no bound yet
    fixture_set_bounds(fixture, 10);
    assert_false(fixture_claim(fixture, &job)); // nothing sealed
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 9);
    assert_false(fixture_claim(fixture, &job)); // one short
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 3);
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.seq_hi, 12); // the seal point, not the bound
}

static void the_range_of_the_first_claim_stays(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 12);
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&first);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1000, &fixture->err));
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(5), 8);
    struct job second;
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1000, &second));
    assert_string_equal(second.id, first.id);
    assert_int_equal(second.fence, 2);
    assert_int_equal(second.seq_hi, 12);
    assert_string_not_equal(second.claim_id, first.claim_id);
    struct job third;
    assert_true(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1001 + FIXTURE_LEASE_MS, &third));
    assert_string_equal(third.id, first.id);
    assert_int_equal(third.seq_hi, 12);
}

static void a_retry_waits_for_its_time(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&first);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1000, &fixture->err));
    const struct job waiting = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(waiting.state, JOB_PENDING_GENERATION);
    assert_string_equal(waiting.reason, "busy");
    assert_int_equal(waiting.finished_at_ms, 0);
    assert_null(waiting.claim_id);
    struct job job;
    assert_false(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 999, &job));
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1000, &job));
    fixture_succeed(fixture, &job, 1);
    assert_null(fixture_last(fixture, id, FIXTURE_HOUR(5)).reason);
}

// The wall clock was years ahead when the job was put off.
static void a_retry_of_a_wrong_clock_need_not_wait(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&first);
    const int64_t ten_minutes_ms = 10 * CIVIL_MINUTE_MS;
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + ten_minutes_ms, &fixture->err));
    struct job job;
    assert_false(fixture_claim(fixture, &job)); // as far as it may be
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS - 1, &job));
    assert_string_equal(job.id, first.id);
}

static void the_first_failure_is_remembered(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(job.first_failed_at_ms, 0);
    static const struct {
        int64_t now_ms;
        int64_t pause_ms;
        int64_t expected_ms;
    } fails[] = {
        {FIXTURE_NOW_MS + 10, 0, 0}, // given back by a worker that stops
        {FIXTURE_NOW_MS + 20, 1000, FIXTURE_NOW_MS + 20},
        {FIXTURE_NOW_MS + 2000, 0, FIXTURE_NOW_MS + 20},
        {FIXTURE_NOW_MS + 3000, 1000, FIXTURE_NOW_MS + 20},
    };
    for (size_t i = 0; i < ARRAY_COUNT(fails); i++) {
        const struct job_claim claim = fixture_claim_of(&job);
        const int64_t retry_at_ms = fails[i].now_ms + fails[i].pause_ms;
        assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", fails[i].now_ms,
                                      retry_at_ms, &fixture->err));
        assert_true(fixture_claim_at(fixture, "supervisor", retry_at_ms, &job));
        assert_int_equal(job.first_failed_at_ms, fails[i].expected_ms);
    }
}

// --- Order

static void samples_and_live_in_turn_then_backfills(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(3));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(13), 500), 2);
    fixture_set_bounds(fixture, 0);
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "os");
    (void)fixture_create(fixture, &request);
    static const struct {
        enum job_kind kind;
        int hour;
    } expected[] = {
        {JOB_LIVE, 10}, {JOB_SAMPLE, 9}, {JOB_LIVE, 11}, {JOB_BACKFILL, 1}, {JOB_BACKFILL, 2}};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        struct job job;
        assert_true(fixture_claim(fixture, &job));
        assert_int_equal(job.kind, expected[i].kind);
        assert_int_equal(job.start_ms, FIXTURE_HOUR(expected[i].hour));
    }
}

static const char *subscribe_other(struct fixture *fixture, const char *name)
{
    const char *organization_id = fixture->organization_id;
    const char *app_id = fixture->app_id;
    fixture->organization_id = fixture_organization(fixture, name, &fixture->app_id);
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture->organization_id = organization_id;
    fixture->app_id = app_id;
    return id;
}

static void organizations_take_turns(void **state)
{
    struct fixture *fixture = *state;
    const char *ids[] = {fixture_subscribe(fixture, CADENCE_HOURLY, "name"),
                         subscribe_other(fixture, "second"), subscribe_other(fixture, "third")};
    (void)fixture_backfill(fixture, ids[0], FIXTURE_HOUR(-1000), FIXTURE_HOUR(0));
    (void)fixture_backfill(fixture, ids[1], FIXTURE_HOUR(1), FIXTURE_HOUR(4));
    (void)fixture_backfill(fixture, ids[2], FIXTURE_HOUR(5), FIXTURE_HOUR(7));
    fixture_set_bounds(fixture, 0);
    // Everybody once per round, each its oldest window first, until it has none.
    static const struct {
        size_t subscription;
        int hour;
    } expected[] = {{0, -1000}, {1, 1},    {2, 5}, {0, -999}, {1, 2},
                    {2, 6},     {0, -998}, {1, 3}, {0, -997}, {0, -996}};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        struct job job;
        assert_true(fixture_claim(fixture, &job));
        assert_string_equal(job.subscription_id, ids[expected[i].subscription]);
        assert_int_equal(job.start_ms, FIXTURE_HOUR(expected[i].hour));
    }
}

static bool claim_as_reserve(struct fixture *fixture, struct job *ret_job)
{
    const struct job_claim_request request = {
        .worker_id = "reserve",
        .supervisor_id = "supervisor",
        .now_ms = FIXTURE_NOW_MS,
        .lease_ms = 10000,
        .lost_limit = 5,
        .is_reserve = true,
    };
    bool found = false;
    assert_done(fixture, job_claim(fixture->catalog, &request, &fixture->arena, &found, ret_job,
                                   &fixture->err));
    return found;
}

// Long exports of one organization leave a worker to the windows of the others; where there are no
// others, all workers take them.
static void one_worker_stays_free_for_windows(void **state)
{
    struct fixture *fixture = *state;
    struct job job;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(4));
    fixture_set_bounds(fixture, 0);
    assert_true(claim_as_reserve(fixture, &job));
    (void)subscribe_other(fixture, "other");
    assert_false(claim_as_reserve(fixture, &job));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(12), 500), 2);
    fixture_set_bounds(fixture, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(claim_as_reserve(fixture, &job));
        assert_int_equal(job.kind, JOB_LIVE);
    }
    assert_false(claim_as_reserve(fixture, &job));
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.kind, JOB_BACKFILL);
}

static const struct job_claim_request delivering_request = {
    .worker_id = "another",
    .supervisor_id = "supervisor",
    .now_ms = FIXTURE_NOW_MS,
    .lease_ms = FIXTURE_LEASE_MS,
    .lost_limit = 5,
    .delivery_limit = 1,
};

static bool claim_one_delivery(struct fixture *fixture, struct job *ret_job)
{
    bool found = false;
    assert_done(fixture, job_claim(fixture->catalog, &delivering_request, &fixture->arena, &found,
                                   ret_job, &fixture->err));
    return found;
}

static bool may_deliver(struct fixture *fixture, const struct job *job)
{
    bool may = false;
    assert_done(fixture,
                job_may_deliver(fixture->catalog, &delivering_request, job, &may, &fixture->err));
    return may;
}

static void spool(struct fixture *fixture, const struct job *job)
{
    const struct job_claim claim = fixture_claim_of(job);
    const struct job_result result = {.manifest = "{}"};
    assert_done(fixture, job_spool(fixture->catalog, &claim, &result, &fixture->err));
}

// A bucket that hangs does not hold all workers up.
static void deliveries_leave_workers_to_others(void **state)
{
    struct fixture *fixture = *state;
    struct job jobs[2];
    struct job job;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    for (int i = 0; i < 2; i++) {
        jobs[i] = fixture_run_hour(fixture, id, FIXTURE_HOUR(1 + i));
        spool(fixture, &jobs[i]);
    }
    assert_true(may_deliver(fixture, &jobs[1])); // there is nobody else
    (void)subscribe_other(fixture, "other");
    assert_false(may_deliver(fixture, &jobs[1]));
    const struct job_claim second = fixture_claim_of(&jobs[1]);
    assert_done(fixture, job_fail(fixture->catalog, &second, "in turn", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS, &fixture->err));
    assert_true(may_deliver(fixture, &jobs[0]));
    assert_false(claim_one_delivery(fixture, &job)); // the first one is delivered just now
    fixture_succeed(fixture, &jobs[0], 0);
    assert_false(claim_as_reserve(fixture, &job)); // it delivers nothing
    assert_true(claim_one_delivery(fixture, &job));
    assert_string_equal(job.id, jobs[1].id);
    assert_int_equal(job.first_failed_at_ms, 0);
}

static void one_that_waits_does_not_hide_the_others(void **state)
{
    struct fixture *fixture = *state;
    const char *first = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *second = subscribe_other(fixture, "second");
    (void)fixture_backfill(fixture, first, FIXTURE_HOUR(1), FIXTURE_HOUR(3));
    fixture_set_bounds(fixture, 1000); // not sealed
    (void)fixture_backfill(fixture, second, FIXTURE_HOUR(4), FIXTURE_HOUR(6));
    struct job job;
    assert_false(fixture_claim(fixture, &job));
    fixture_set_bounds(fixture, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_claim(fixture, &job));
        assert_string_equal(job.subscription_id, second);
    }
    assert_false(fixture_claim(fixture, &job));
    // Within one organization, too: an older window that waits is passed over.
    const char *third = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    (void)fixture_backfill(fixture, third, FIXTURE_HOUR(8), FIXTURE_HOUR(9));
    fixture_set_bounds(fixture, 0);
    assert_true(fixture_claim(fixture, &job));
    assert_string_equal(job.subscription_id, third);
}

// Older windows that wait for one more row, or one more millisecond, come after one that is ready.
static void what_waits_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job first = fixture_run_hour(fixture, id, FIXTURE_HOUR(1));
    const struct job_claim claim = fixture_claim_of(&first);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1, &fixture->err));
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(2), FIXTURE_HOUR(3));
    fixture_set_bounds(fixture, 1);
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(4), FIXTURE_HOUR(5));
    fixture_set_bounds(fixture, 0);
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(3), FIXTURE_HOUR(4)); // no bound
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(4));
    assert_false(fixture_claim(fixture, &job));
}

static void ten_thousand_pending_jobs_cost_little(void **state)
{
    struct fixture *fixture = *state;
    const char *first = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *second = subscribe_other(fixture, "second");
    assert_int_equal(fixture_backfill(fixture, first, FIXTURE_HOUR(-10000), FIXTURE_HOUR(0)),
                     10000);
    fixture_set_bounds(fixture, INT64_C(1000000)); // all wait
    assert_int_equal(fixture_backfill(fixture, second, FIXTURE_HOUR(-10000), FIXTURE_HOUR(0)),
                     10000);
    fixture_set_bounds(fixture, 0);
    const clock_t start = clock();
    for (int i = 0; i < 1000; i++) {
        struct job job;
        assert_true(fixture_claim(fixture, &job));
        assert_string_equal(job.subscription_id, second);
        assert_int_equal(job.start_ms, FIXTURE_HOUR(-10000 + i));
    }
    // Far above what is needed, far below what reading 20,000 rows for each would take.
    assert_true(clock() - start < 10 * CLOCKS_PER_SEC);
}

// --- Leases

static void a_lapsed_lease_is_taken_over_first(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job lost = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(2));
    fixture_set_bounds(fixture, 0);
    struct job_claim claim = fixture_claim_of(&lost);
    assert_done(fixture, job_mark_uploading(fixture->catalog, &claim, &fixture->err));
    const int64_t lapse_ms = FIXTURE_NOW_MS + FIXTURE_LEASE_MS + 1;
    struct job job;
    assert_true(fixture_claim_at(fixture, "supervisor", lapse_ms - 1, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(1)); // the lease stands
    assert_true(fixture_claim_at(fixture, "supervisor", lapse_ms, &job));
    assert_string_equal(job.id, lost.id);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.fence, 2);
    assert_int_equal(job.lost_count, 1);
}

static void renewing_keeps_a_lease(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&job);
    struct job other;
    for (int64_t i = 1; i < 10; i++) {
        const int64_t now_ms = FIXTURE_NOW_MS + i * (FIXTURE_LEASE_MS - 1);
        assert_false(fixture_claim_at(fixture, "supervisor", now_ms, &other));
        assert_done(fixture, job_renew(fixture->catalog, &claim, i, now_ms, FIXTURE_LEASE_MS,
                                       &fixture->err));
    }
}

static void a_lease_from_a_wrong_clock_lapses(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    struct job other;
    assert_false(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS - FIXTURE_LEASE_MS, &other));
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS - CIVIL_HOUR_MS, &other));
    assert_string_equal(other.id, job.id);
}

static void five_lost_claims_fail_the_job(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    struct job_claim zombie = {0};
    int64_t now_ms = FIXTURE_NOW_MS;
    for (int lost = 1; lost < 5; lost++) {
        now_ms += FIXTURE_LEASE_MS + 1;
        assert_true(fixture_claim_at(fixture, "supervisor", now_ms, &job));
        assert_int_equal(job.lost_count, lost);
        zombie = fixture_claim_of(&job);
    }
    now_ms += FIXTURE_LEASE_MS + 1;
    assert_false(fixture_claim_at(fixture, "supervisor", now_ms, &job));
    const struct job last = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(last.state, JOB_FAILED);
    assert_string_equal(last.reason, "worker died 5 times while running this job");
    assert_int_equal(last.finished_at_ms, now_ms);
    assert_refused(fixture, job_fail(fixture->catalog, &zombie, "late", now_ms, 0, &fixture->err),
                   ERR_CANCELED);
}

static void claims_lost_with_the_supervisor_do_not_count(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    int64_t now_ms = FIXTURE_NOW_MS;
    for (int i = 0; i < 20; i++) {
        now_ms += FIXTURE_LEASE_MS + 1;
        const char *supervisor_id = arena_format(&fixture->arena, "supervisor %d", i);
        assert_true(fixture_claim_at(fixture, supervisor_id, now_ms, &job));
        assert_int_equal(job.lost_count, 0);
    }
    // Those that count are kept when the supervisor changes.
    assert_true(fixture_claim_at(fixture, "supervisor 19", now_ms + FIXTURE_LEASE_MS + 1, &job));
    assert_int_equal(job.lost_count, 1);
    assert_true(fixture_claim_at(fixture, "new", now_ms + 3 * FIXTURE_LEASE_MS, &job));
    assert_int_equal(job.lost_count, 1);
}

static void a_sample_that_kills_workers_fails_its_subscription(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    struct job job;
    int64_t now_ms = FIXTURE_NOW_MS;
    for (int i = 0; i < 5; i++) {
        assert_true(fixture_claim_at(fixture, "supervisor", now_ms, &job));
        now_ms += FIXTURE_LEASE_MS + 1;
    }
    assert_false(fixture_claim_at(fixture, "supervisor", now_ms, &job));
    struct subscription got;
    assert_done(fixture, subscription_get_any(fixture->catalog, made.id, 0, &fixture->arena, &got,
                                              &fixture->err));
    assert_int_equal(got.status, SUBSCRIPTION_FAILED);
    assert_string_equal(got.reason, "worker died 5 times while running this job");
}

static void many_dead_jobs_are_settled_in_one_call(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(-120), FIXTURE_HOUR(0));
    fixture_set_bounds(fixture, 0);
    int64_t now_ms = FIXTURE_NOW_MS;
    struct job job;
    for (int round = 0; round < 5; round++, now_ms += 2 * FIXTURE_LEASE_MS) {
        for (int i = 0; i < 120; i++)
            assert_true(fixture_claim_at(fixture, "supervisor", now_ms, &job));
    }
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(5), FIXTURE_HOUR(6));
    fixture_set_bounds(fixture, 0);
    assert_true(fixture_claim_at(fixture, "supervisor", now_ms, &job));
    assert_int_equal(job.start_ms, FIXTURE_HOUR(5));
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(-1)).state, JOB_FAILED);
}

// What a crash in the middle of deactivation leaves behind is canceled instead of claimed; here it
// is a job that was waiting for its next try.
static void pending_jobs_of_ended_subscriptions_are_not_run(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    (void)fixture_backfill(fixture, made.id, FIXTURE_HOUR(5), FIXTURE_HOUR(8));
    fixture_set_bounds(fixture, 0);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    const struct job_claim claim = fixture_claim_of(&sample);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "access denied", FIXTURE_NOW_MS, 0,
                                  &fixture->err));
    struct job job;
    assert_false(fixture_claim(fixture, &job));
    for (int64_t hour = 5; hour < 8; hour++) {
        const struct job last = fixture_last(fixture, made.id, FIXTURE_HOUR(hour));
        assert_int_equal(last.state, JOB_FAILED);
        assert_string_equal(last.reason, "subscription failed");
    }
}

// --- Several workers, each with its own connection

enum {
    WORKER_COUNT = 3,
    WORKER_JOBS = 90,
};

struct worker {
    const char *path;
    struct thread thread;
    struct err err;
    size_t claimed_count;
    char claimed[WORKER_JOBS][40];
};

// Claims until nothing is left. Assertions are made by the main thread.
static void work(void *context)
{
    struct worker *worker = context;
    struct catalog *catalog CLEANUP(catalog_close) = NULL;
    if (!catalog_open(worker->path, &catalog, &worker->err))
        return;
    const struct job_claim_request request = {
        "worker", "supervisor", FIXTURE_NOW_MS, FIXTURE_LEASE_MS, 5, false, 0};
    bool found = true;
    while (found && worker->claimed_count < WORKER_JOBS) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        struct job job;
        if (!job_claim(catalog, &request, &arena, &found, &job, &worker->err))
            return;
        if (found)
            (void)snprintf(worker->claimed[worker->claimed_count++], 40, "%s", job.id);
    }
}

static int compare_ids(const void *left, const void *right)
{
    const char *left_id = left;
    const char *right_id = right;
    return strcmp(left_id, right_id);
}

static void each_job_is_claimed_by_one_worker(void **state)
{
    struct fixture *fixture = *state;
    char directory[] = "/tmp/jobs_claim_test.XXXXXX";
    assert_non_null(mkdtemp(directory));
    const char *path = arena_format(&fixture->arena, "%s/catalog", directory);
    catalog_close(&fixture->catalog);
    assert_done(fixture, catalog_create(path, &fixture->catalog, &fixture->err));
    fixture->organization_id = fixture_organization(fixture, "first", &fixture->app_id);
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(-WORKER_JOBS), FIXTURE_HOUR(0));
    fixture_set_bounds(fixture, 0);
    struct worker *workers = arena_alloc_array(&fixture->arena, WORKER_COUNT, sizeof *workers);
    for (int i = 0; i < WORKER_COUNT; i++) {
        workers[i].path = path;
        thread_start(&workers[i].thread, work, &workers[i]);
    }
    char(*claimed)[40] = arena_alloc_array(&fixture->arena, WORKER_COUNT * WORKER_JOBS, 40);
    size_t count = 0;
    for (int i = 0; i < WORKER_COUNT; i++) {
        thread_join(&workers[i].thread);
        assert_int_equal(workers[i].err.kind, ERR_NONE);
        for (size_t j = 0; j < workers[i].claimed_count; j++)
            memcpy(claimed[count++], workers[i].claimed[j], 40);
    }
    assert_int_equal(count, WORKER_JOBS);
    qsort(claimed, count, 40, compare_ids);
    for (size_t i = 1; i < count; i++)
        assert_string_not_equal(claimed[i - 1], claimed[i]);
    catalog_close(&fixture->catalog);
    static const char *const suffixes[] = {"", "-wal", "-shm", "-gate", "-lock"};
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++)
        (void)unlink(arena_format(&fixture->arena, "%s%s", path, suffixes[i]));
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(nothing_is_found_when_there_is_nothing),
        fixture_test(a_claim_takes_everything_at_once),
        fixture_test(a_job_waits_until_its_bound_is_sealed),
        fixture_test(the_range_of_the_first_claim_stays),
        fixture_test(a_retry_waits_for_its_time),
        fixture_test(a_retry_of_a_wrong_clock_need_not_wait),
        fixture_test(the_first_failure_is_remembered),
        fixture_test(samples_and_live_in_turn_then_backfills),
        fixture_test(organizations_take_turns),
        fixture_test(one_worker_stays_free_for_windows),
        fixture_test(deliveries_leave_workers_to_others),
        fixture_test(one_that_waits_does_not_hide_the_others),
        fixture_test(what_waits_is_passed_over),
        fixture_test(ten_thousand_pending_jobs_cost_little),
        fixture_test(a_lapsed_lease_is_taken_over_first),
        fixture_test(renewing_keeps_a_lease),
        fixture_test(a_lease_from_a_wrong_clock_lapses),
        fixture_test(five_lost_claims_fail_the_job),
        fixture_test(claims_lost_with_the_supervisor_do_not_count),
        fixture_test(a_sample_that_kills_workers_fails_its_subscription),
        fixture_test(many_dead_jobs_are_settled_in_one_call),
        fixture_test(pending_jobs_of_ended_subscriptions_are_not_run),
        fixture_test(each_job_is_claimed_by_one_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
