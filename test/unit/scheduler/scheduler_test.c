// SPDX-License-Identifier: Apache-2.0
// Time becomes jobs: each window once, however often and however late the scheduler comes.
#include "../catalog/jobs_fixture.h"

#include <ftw.h>
#include <unistd.h>

#include "base/thread.h"
#include "scheduler/scheduler.h"

struct schedule {
    struct fixture *fixture;
    struct clock_fixed clock;
    struct scheduler_options options;
    struct scheduler_config config;
    struct wake wake;
    struct stop stop;
    const char *subscription_id;
};

static const struct hosted_settings hosted_here = {.type = "file"};

static int schedule_set_up(void **state)
{
    void *inner = NULL;
    assert_int_equal(fixture_set_up(&inner), 0);
    struct schedule *schedule = mem_alloc(sizeof *schedule);
    schedule->fixture = inner;
    clock_fixed_init(&schedule->clock, FIXTURE_NOW_MS, 1000);
    schedule->options = (struct scheduler_options){
        .hourly_grace_ms = FIXTURE_GRACE_MS,
        .daily_grace_ms = 2 * FIXTURE_GRACE_MS,
        .late_gap_ms = FIXTURE_GAP_MS,
        .sweep_interval_ms = 100,
    };
    wake_init(&schedule->wake, 2);
    stop_init(&schedule->stop);
    schedule->config = (struct scheduler_config){
        .options = &schedule->options,
        .hosted = &hosted_here,
        .node_id = "node",
        .clock = &schedule->clock.base,
        .wake = &schedule->wake,
        .stop = &schedule->stop,
    };
    schedule->subscription_id = fixture_subscribe(schedule->fixture, CADENCE_HOURLY, "name");
    *state = schedule;
    return 0;
}

static int schedule_tear_down(void **state)
{
    struct schedule *schedule = *state;
    void *inner = schedule->fixture;
    wake_clear(&schedule->wake);
    stop_clear(&schedule->stop);
    mem_free(schedule);
    return fixture_tear_down(&inner);
}

static int64_t make_jobs(struct schedule *schedule, int64_t now_ms)
{
    schedule->clock.now_wall_ms = now_ms;
    int64_t count = -1;
    assert_done(schedule->fixture,
                scheduler_make_jobs(&schedule->config, schedule->fixture->catalog, &count,
                                    &schedule->fixture->err));
    return count;
}

static size_t count_jobs(struct schedule *schedule)
{
    size_t count = 0;
    (void)fixture_ledger(schedule->fixture, schedule->subscription_id, &count);
    return count;
}

static void test_window_is_made_once_after_its_grace(void **state)
{
    struct schedule *schedule = *state;
    const int64_t due_ms = FIXTURE_HOUR(11) + FIXTURE_GRACE_MS;
    assert_int_equal(make_jobs(schedule, due_ms - 1), 0);
    assert_int_equal(make_jobs(schedule, due_ms), 1);
    assert_int_equal(make_jobs(schedule, due_ms), 0);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(schedule->fixture, schedule->subscription_id, &count);
    assert_int_equal(count, 1);
    assert_int_equal(jobs[0].start_ms, FIXTURE_HOUR(10));
    assert_int_equal(jobs[0].end_ms, FIXTURE_HOUR(11));
    assert_int_equal(jobs[0].kind, JOB_LIVE);
}

static void test_all_windows_of_a_month_down_are_made(void **state)
{
    struct schedule *schedule = *state;
    const int64_t hours = 30 * 24; // more than one transaction makes
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(10 + hours) + FIXTURE_GRACE_MS), hours);
    size_t count = 0;
    const struct job *jobs = fixture_ledger(schedule->fixture, schedule->subscription_id, &count);
    assert_int_equal(count, hours);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(jobs[i].start_ms, FIXTURE_HOUR(10 + (int64_t)i));
}

static void test_clock_that_steps_back_makes_nothing_twice(void **state)
{
    struct schedule *schedule = *state;
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(14)), 3);
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(11)), 0);
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(14)), 0);
    assert_int_equal(count_jobs(schedule), 3);
}

static void test_late_rows_make_a_revision(void **state)
{
    struct schedule *schedule = *state;
    struct fixture *fixture = schedule->fixture;
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(11) + FIXTURE_GRACE_MS), 1);
    fixture_set_bounds(fixture, 0);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 0);
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(11) + 2 * FIXTURE_GRACE_MS), 0);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, FIXTURE_HOUR(10), 1);
    assert_int_equal(make_jobs(schedule, FIXTURE_HOUR(11) + 2 * FIXTURE_GRACE_MS), 1);
    assert_int_equal(fixture_last(fixture, schedule->subscription_id, FIXTURE_HOUR(10)).revision,
                     1);
}

// --- The process

struct running {
    struct schedule *schedule;
    struct thread thread;
    bool is_done;
    struct err err;
};

static void run_scheduler(void *context)
{
    struct running *running = context;
    running->is_done = scheduler_run(&running->schedule->config, &running->err);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static const char *make_directory(struct schedule *schedule)
{
    char *directory = arena_copy_text(&schedule->fixture->arena, "/tmp/milkrun-schedule-XXXXXX");
    assert_non_null(mkdtemp(directory));
    schedule->config.catalog_path = arena_format(&schedule->fixture->arena, "%s/milkrun.db",
                                                 directory);
    schedule->config.exports_directory = arena_format(&schedule->fixture->arena, "%s/exports",
                                                      directory);
    schedule->config.spool_directory = arena_format(&schedule->fixture->arena, "%s/spool",
                                                    directory);
    return directory;
}

// The catalog of the fixture is in memory; a process needs one on disk, with a subscription.
static void move_to_disk(struct schedule *schedule)
{
    struct fixture *fixture = schedule->fixture;
    catalog_close(&fixture->catalog);
    assert_done(fixture,
                catalog_create(schedule->config.catalog_path, &fixture->catalog, &fixture->err));
    fixture->organization_id = fixture_organization(fixture, "first", &fixture->app_id);
    schedule->subscription_id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
}

static void test_process_makes_jobs_until_it_is_told_to_stop(void **state)
{
    struct schedule *schedule = *state;
    const char *directory = make_directory(schedule);
    move_to_disk(schedule);
    schedule->clock.now_wall_ms = FIXTURE_HOUR(12) + FIXTURE_GRACE_MS;
    struct running running = {.schedule = schedule};
    thread_start(&running.thread, run_scheduler, &running);
    wake_wait(&schedule->wake, 1, -1, 10000); // it wakes the others when it has made jobs
    for (int i = 0; i < 100 && count_jobs(schedule) < 2; i++)
        (void)usleep(10000);
    assert_int_equal(count_jobs(schedule), 2);
    atomic_store(&schedule->stop.is_requested, true);
    wake_all(&schedule->wake);
    thread_join(&running.thread);
    assert_true(running.is_done);
    const char *clock = NULL; // the sweep has noted it
    assert_done(schedule->fixture,
                catalog_get_value(schedule->fixture->catalog, "retention_clock",
                                  &schedule->fixture->arena, &clock, &schedule->fixture->err));
    assert_int_equal(nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void test_process_without_a_catalog_says_so(void **state)
{
    struct schedule *schedule = *state;
    const char *directory = make_directory(schedule);
    struct err err = {0};
    assert_false(scheduler_run(&schedule->config, &err));
    assert_int_not_equal(err.kind, ERR_NONE);
    assert_int_equal(nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#define schedule_test(function)                                                                    \
    cmocka_unit_test_setup_teardown(function, schedule_set_up, schedule_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        schedule_test(test_window_is_made_once_after_its_grace),
        schedule_test(test_all_windows_of_a_month_down_are_made),
        schedule_test(test_clock_that_steps_back_makes_nothing_twice),
        schedule_test(test_late_rows_make_a_revision),
        schedule_test(test_process_makes_jobs_until_it_is_told_to_stop),
        schedule_test(test_process_without_a_catalog_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
