// SPDX-License-Identifier: Apache-2.0
// The processes that run jobs and keep the lake, each as a thread beside the test.
#include "job_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/thread.h"
#include "catalog/leases.h"
#include "worker/worker.h"

#define HOUR    JOB_FIXTURE_HOUR(9)
#define WAIT_MS 20000

struct process {
    struct job_fixture *fixture;
    struct worker_options worker;
    struct keeper_options keeper;
    struct worker_config config;
    struct wake wake;
    struct stop stop;
    struct thread thread;
    struct destination_settings destination;
    struct hosted_settings hosted;
    struct aws_settings aws;
    struct gcp_settings gcp;
    struct smtp_settings smtp;
    struct destinations_net_config destinations;
    bool (*run)(const struct worker_config *config, struct err *err);
    bool is_done;
    struct err err;
};

static int process_set_up(void **state)
{
    void *inner = NULL;
    assert_int_equal(job_fixture_set_up(&inner), 0);
    struct process *process = mem_alloc(sizeof *process);
    struct job_fixture *fixture = inner;
    process->fixture = fixture;
    const struct option_set sets[] = {
        {worker_option_table, worker_option_count, &process->worker},
        {keeper_option_table, keeper_option_count, &process->keeper},
        {destination_option_table, destination_option_count, &process->destination},
        {hosted_option_table, hosted_option_count, &process->hosted},
        {aws_option_table, aws_option_count, &process->aws},
        {gcp_option_table, gcp_option_count, &process->gcp},
        {smtp_option_table, smtp_option_count, &process->smtp},
    };
    const char *const nothing[] = {NULL};
    const struct option_input input = {.arguments = nothing, .environment = nothing};
    assert_done(fixture, option_read(sets, ARRAY_COUNT(sets), &input, &fixture->arena, NULL, NULL,
                                     &fixture->err));
    wake_init(&process->wake, 2);
    stop_init(&process->stop);
    process->destinations = (struct destinations_net_config){
        .settings = &process->destination,
        .hosted = &process->hosted,
        .aws = &process->aws,
        .gcp = &process->gcp,
        .smtp = &process->smtp,
        .base_url = "http://localhost",
        .url_key = slice_text("key"),
        .clock = clock_system(),
    };
    process->config = (struct worker_config){
        .destinations = &process->destinations,
        .spool_directory = arena_format(&fixture->arena, "%s/spool", fixture->directory),
        .worker = &process->worker,
        .keeper = &process->keeper,
        .data_directory = fixture->directory,
        .catalog_path = fixture->catalog_path,
        .temp_directory = arena_format(&fixture->arena, "%s/tmp", fixture->directory),
        .clock = &fixture->clock.base,
        .supervisor_id = "supervisor",
        .node_id = "node",
        .wake = &process->wake,
        .stop = &process->stop,
    };
    assert_done(fixture, file_make_directories(process->config.temp_directory, &fixture->err));
    *state = process;
    return 0;
}

static int process_tear_down(void **state)
{
    struct process *process = *state;
    void *inner = process->fixture;
    wake_clear(&process->wake);
    stop_clear(&process->stop);
    mem_free(process);
    return job_fixture_tear_down(&inner);
}

static void process_run(void *context)
{
    struct process *process = context;
    process->is_done = process->run(&process->config, &process->err);
}

static void start(struct process *process,
                  bool (*run)(const struct worker_config *config, struct err *err))
{
    process->run = run;
    thread_start(&process->thread, process_run, process);
}

static void end(struct process *process)
{
    atomic_store(&process->stop.is_requested, true);
    wake_all(&process->wake);
    thread_join(&process->thread);
    if (!process->is_done)
        fail_msg("%s", process->err.message);
}

// Waits until the window's last revision has the state.
static struct job wait_for(struct process *process, const char *subscription_id, int64_t revision,
                           enum job_state state)
{
    struct job job = {0};
    for (int i = 0; i < WAIT_MS / 10; i++) {
        job = job_fixture_last(process->fixture, subscription_id, HOUR);
        if (job.state == state && job.revision == revision)
            return job;
        (void)usleep(10000);
    }
    fail_msg("revision %d is %s: %s", (int)job.revision, job_state_name(job.state),
             job.reason == NULL ? "" : job.reason);
    return job;
}

static const char *exported_path(struct process *process, const struct job *job)
{
    return arena_format(&process->fixture->arena, "%s/exports/%s", process->fixture->directory,
                        job->files[0].key);
}

static void backfill(struct process *process, const char *subscription_id)
{
    struct job_fixture *fixture = process->fixture;
    int64_t window_count = 0;
    int64_t created_count = 0;
    int64_t ordinal = 0;
    assert_done(fixture,
                job_backfill(fixture->catalog, subscription_id, HOUR, HOUR + CIVIL_HOUR_MS,
                             JOB_FIXTURE_NOW_MS, &window_count, &created_count, &fixture->err));
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_done(fixture, job_set_bounds(fixture->catalog, ordinal,
                                        ingest_log_last_seq(fixture->log), &fixture->err));
}

// --- Worker

static void test_worker_runs_what_is_there(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe_only(fixture, "csv", "gz", "[\"name\"]", NULL);
    backfill(process, id);
    start(process, worker_run);
    const struct job job = wait_for(process, id, 0, JOB_SUCCEEDED);
    end(process);
    assert_int_equal(job_fixture_subscription(fixture, id).status, SUBSCRIPTION_ACTIVE);
    assert_int_equal(job.row_count, 1);
    uint8_t digest[32];
    uint64_t size_bytes = 0;
    assert_done(fixture,
                file_digest(exported_path(process, &job), digest, &size_bytes, &fixture->err));
    assert_int_equal(size_bytes, job.files[0].byte_count);
}

static void test_job_that_cannot_be_right_fails_with_a_reason(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, "[\"name\"]", NULL);
    assert_int_equal(truncate(job_fixture_segment_path(fixture), 100), 0);
    backfill(process, id);
    start(process, worker_run);
    const struct job job = wait_for(process, id, 0, JOB_FAILED);
    end(process);
    assert_non_null(strstr(job.reason, "stored events are damaged"));
    assert_int_equal(job.file_count, 0);
}

static void test_sample_that_fails_takes_its_subscription_along(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    job_fixture_add(fixture, JOB_FIXTURE_HOUR(19), "row");
    job_fixture_seal(fixture);
    assert_int_equal(truncate(job_fixture_segment_path(fixture), 100), 0);
    const char *id = job_fixture_subscribe_only(fixture, "csv", "gz", "[\"name\"]", NULL);
    start(process, worker_run);
    struct subscription subscription = job_fixture_subscription(fixture, id);
    for (int i = 0; i < WAIT_MS / 10 && subscription.status == SUBSCRIPTION_PENDING; i++) {
        (void)usleep(10000);
        subscription = job_fixture_subscription(fixture, id);
    }
    end(process);
    assert_int_equal(subscription.status, SUBSCRIPTION_FAILED);
    assert_non_null(strstr(subscription.reason, "stored events are damaged"));
}

static void test_retryable_failure_puts_the_job_off(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    const char *id = job_fixture_subscribe(fixture, "[\"name\"]", NULL);
    const char *blocked = arena_format(&fixture->arena, "%s/exports/v2", fixture->directory);
    assert_done(fixture, file_make_directories(
                             arena_format(&fixture->arena, "%s/exports", fixture->directory),
                             &fixture->err));
    assert_done(fixture, file_replace(blocked, slice_text("in the way"), &fixture->err));
    backfill(process, id);
    start(process, worker_run);
    struct job job = job_fixture_last(fixture, id, HOUR);
    for (int i = 0; i < WAIT_MS / 10 && job.reason == NULL; i++) {
        (void)usleep(10000);
        job = job_fixture_last(fixture, id, HOUR);
    }
    end(process);
    assert_int_equal(job.state, JOB_PENDING_GENERATION);
    assert_non_null(job.reason);
    fixture->clock.now_wall_ms += 1000; // the first pause is a second
    assert_done(fixture, file_remove(blocked, &fixture->err));
    atomic_store(&process->stop.is_requested, false);
    start(process, worker_run);
    (void)wait_for(process, id, 0, JOB_SUCCEEDED);
    end(process);
}

static void block_exports(struct process *process)
{
    struct job_fixture *fixture = process->fixture;
    const char *exports = arena_format(&fixture->arena, "%s/exports", fixture->directory);
    assert_done(fixture, file_make_directories(exports, &fixture->err));
    assert_done(fixture, file_replace(arena_format(&fixture->arena, "%s/v2", exports),
                                      slice_text("in the way"), &fixture->err));
}

static void run_until_reason(struct process *process, const char *subscription_id)
{
    atomic_store(&process->stop.is_requested, false);
    start(process, worker_run);
    struct job job = job_fixture_last(process->fixture, subscription_id, HOUR);
    for (int i = 0; i < WAIT_MS / 10 && (job.reason == NULL || job.state == JOB_RUNNING); i++) {
        (void)usleep(10000);
        job = job_fixture_last(process->fixture, subscription_id, HOUR);
    }
    end(process);
}

// The time for retries counts from the first failure, however long the job waited before.
static void test_retries_count_from_the_first_failure(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    const char *id = job_fixture_subscribe(fixture, "[\"name\"]", NULL);
    block_exports(process);
    backfill(process, id);
    fixture->clock.now_wall_ms += process->worker.retry_limit_ms + 1;
    run_until_reason(process, id);
    struct job job = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(job.state, JOB_PENDING_GENERATION);
    assert_int_equal(job.first_failed_at_ms, fixture->clock.now_wall_ms);
    fixture->clock.now_wall_ms += process->worker.retry_limit_ms;
    atomic_store(&process->stop.is_requested, false);
    start(process, worker_run);
    (void)wait_for(process, id, 0, JOB_FAILED);
    end(process);
}

static void test_job_of_older_encoders_is_made_again(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, "[\"name\"]", NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    const struct job_claim claim = job_fixture_claim_of(&job);
    const char *recipe = "{\"seq_lo\":0,\"seq_hi\":1,\"schema_id\":1,"
                         "\"columns\":[[\"name\",\"string\"]],\"filter\":null,\"format\":0,"
                         "\"compression\":0,\"csv_formula_guard\":false,\"part_bytes\":1000,"
                         "\"encoder\":\"csv-0+isal-0+duckdb-v0\"}";
    assert_done(fixture, job_freeze(fixture->catalog, &claim, recipe, &fixture->arena, &recipe,
                                    &fixture->err));
    assert_done(fixture, job_fail(fixture->catalog, &claim, "stopped", JOB_FIXTURE_NOW_MS,
                                  JOB_FIXTURE_NOW_MS, &fixture->err));
    start(process, worker_run);
    struct job next = job_fixture_last(fixture, id, HOUR);
    for (int i = 0; i < WAIT_MS / 10 && next.revision == 0; i++) {
        (void)usleep(10000);
        next = job_fixture_last(fixture, id, HOUR);
    }
    assert_int_equal(next.revision, 1);
    int64_t ordinal = 0; // the API gives it its bound
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_done(fixture, job_set_bounds(fixture->catalog, ordinal,
                                        ingest_log_last_seq(fixture->log), &fixture->err));
    wake_all(&process->wake);
    next = wait_for(process, id, 1, JOB_SUCCEEDED);
    end(process);
    assert_int_equal(next.row_count, 1);
    assert_int_equal(next.kind, JOB_RETRY);
}

static void test_worker_without_a_catalog_says_so(void **state)
{
    struct process *process = *state;
    process->config.catalog_path = "/nowhere/milkrun.db";
    struct err err = {0};
    assert_false(worker_run(&process->config, &err));
    assert_int_not_equal(err.kind, ERR_NONE);
    assert_false(keeper_run(&process->config, &err));
}

// --- Keeper

static int64_t seal_point(struct job_fixture *fixture)
{
    int64_t seq = -1;
    assert_done(fixture, segment_seal_point(fixture->catalog, &seq, &fixture->err));
    return seq;
}

static size_t count_segments(struct job_fixture *fixture)
{
    struct segment *segments = NULL;
    size_t count = 0;
    assert_done(fixture, segment_list(fixture->catalog, 0, 100, &fixture->arena, &segments, &count,
                                      &fixture->err));
    return count;
}

static void test_keeper_seals_and_compacts(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    process->keeper.crowd_threshold = 1;
    process->keeper.own_file_rows = 1;
    for (int i = 0; i < 2; i++) {
        job_fixture_add(fixture, HOUR, "row");
        job_fixture_seal(fixture);
    }
    assert_int_equal(count_segments(fixture), 2);
    job_fixture_add(fixture, HOUR, "row");
    ingest_log_close(&fixture->log); // closes the file
    start(process, keeper_run);
    for (int i = 0; i < WAIT_MS / 10; i++) {
        if (seal_point(fixture) == 3 && count_segments(fixture) == 1)
            break;
        (void)usleep(10000);
    }
    end(process);
    assert_int_equal(seal_point(fixture), 3);
    assert_int_equal(count_segments(fixture), 1);
}

static void test_keeper_leaves_the_right_to_who_has_it(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    job_fixture_add(fixture, HOUR, "row");
    ingest_log_close(&fixture->log);
    bool is_held = false;
    assert_done(fixture, catalog_hold(fixture->catalog, "seal", "other node", JOB_FIXTURE_NOW_MS,
                                      30000, &is_held, &fixture->err));
    assert_true(is_held);
    start(process, keeper_run);
    (void)usleep(500000);
    assert_int_equal(seal_point(fixture), 0);
    assert_done(fixture, catalog_release(fixture->catalog, "seal", "other node", &fixture->err));
    for (int i = 0; i < WAIT_MS / 10 && seal_point(fixture) == 0; i++)
        (void)usleep(10000);
    end(process);
    assert_int_equal(seal_point(fixture), 1);
}

// Changes a letter of an event in the log.
static bool damage_event(const char *path, void *context, struct err *err)
{
    const char *text = context;
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, (size_t)4 << 20);
    TRY(file_read(path, &bytes, err));
    char *at = bytes.size_bytes == 0 ? NULL
                                     : memmem(bytes.data, bytes.size_bytes, text, strlen(text));
    if (at == NULL)
        return true;
    *at = '#';
    return file_replace(path, buf_slice(&bytes), err);
}

// Damage in the log waits for a person; the rest of the lake is kept meanwhile.
static void test_damaged_log_does_not_stop_compaction(void **state)
{
    struct process *process = *state;
    struct job_fixture *fixture = process->fixture;
    process->keeper.crowd_threshold = 1;
    for (int i = 0; i < 2; i++) {
        job_fixture_add(fixture, HOUR, "row");
        job_fixture_seal(fixture);
    }
    const char *log = arena_format(&fixture->arena, "%s/log", fixture->directory);
    char damaged[] = "an event whose bytes are damaged";
    job_fixture_add(fixture, HOUR, damaged);
    ingest_log_close(&fixture->log);
    assert_done(fixture, file_walk(log, "", damage_event, damaged, &fixture->err));
    start(process, keeper_run);
    for (int i = 0; i < WAIT_MS / 10 && count_segments(fixture) != 1; i++)
        (void)usleep(10000);
    end(process);
    assert_int_equal(seal_point(fixture), 2);
    assert_int_equal(count_segments(fixture), 1);
}

#define process_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, process_set_up, process_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        process_test(test_worker_runs_what_is_there),
        process_test(test_job_that_cannot_be_right_fails_with_a_reason),
        process_test(test_sample_that_fails_takes_its_subscription_along),
        process_test(test_retryable_failure_puts_the_job_off),
        process_test(test_retries_count_from_the_first_failure),
        process_test(test_job_of_older_encoders_is_made_again),
        process_test(test_worker_without_a_catalog_says_so),
        process_test(test_keeper_seals_and_compacts),
        process_test(test_keeper_leaves_the_right_to_who_has_it),
        process_test(test_damaged_log_does_not_stop_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
