// SPDX-License-Identifier: Apache-2.0
// Jobs of an organization: one task per app, and no event of any app missing or twice.
#include "job_fixture.h"

#include <string.h>

#include "base/mem.h"
#include "catalog/segment_retention.h"
#include "catalog/tenants.h"

#define HOUR   JOB_FIXTURE_HOUR(9)
#define FIELDS "[\"app_id\",\"name\"]"

static void run(struct job_fixture *fixture, const struct job *job, int64_t expected_rows)
{
    int64_t row_count = 0;
    assert_done(fixture, job_fixture_run(fixture, job, &row_count));
    assert_int_equal(row_count, expected_rows);
}

static const char *make_app(struct job_fixture *fixture, int64_t created_at_ms)
{
    struct tenant_app app;
    const char *secret = NULL;
    assert_done(fixture,
                tenant_create_app(fixture->catalog, fixture->organization_id, "app", created_at_ms,
                                  &fixture->arena, &app, &secret, &fixture->err));
    return app.id;
}

static void add(struct job_fixture *fixture, const char *app_id, int64_t time_ms, const char *name)
{
    job_fixture_ingest(fixture, app_id, JOB_FIXTURE_TOPIC,
                       job_fixture_event(fixture, time_ms, name));
}

static const char *subscribe(struct job_fixture *fixture)
{
    fixture->wants_all_apps = true;
    return job_fixture_subscribe(fixture, FIELDS, NULL);
}

// The file's app and task as its key says, and its rows.
static void assert_file(struct job_fixture *fixture, const struct job *job, size_t index,
                        const char *app_id, const char *rows)
{
    assert_true(index < job->file_count);
    const struct job_file *file = &job->files[index];
    assert_int_equal(file->part, index);
    const char *folder = arena_format(&fixture->arena, "/app_id=%s/job_id=%s/task_id=%d/", app_id,
                                      job->id, (int)index);
    if (strstr(file->key, folder) == NULL)
        fail_msg("%s is not in %s", file->key, folder);
    assert_string_equal(job_fixture_text(fixture, file->key),
                        arena_format(&fixture->arena, "app_id,name\n%s", rows));
}

static const char *row_of(struct job_fixture *fixture, const char *app_id, const char *name)
{
    return arena_format(&fixture->arena, "%s,%s\n", app_id, name);
}

static void test_each_app_that_existed_has_its_file(void **state)
{
    struct job_fixture *fixture = *state;
    const char *idle = make_app(fixture, HOUR);
    const char *busy = make_app(fixture, HOUR + 1);
    add(fixture, busy, HOUR, "b");
    add(fixture, fixture->app_id, HOUR, "a"); // the fixture's apps came after the window
    job_fixture_seal(fixture);
    const char *id = subscribe(fixture);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    assert_null(job.app_id);
    run(fixture, &job, 2);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(done.row_count, 2);
    assert_int_equal(done.file_count, 3); // not other_app_id: it was not there, and has no events
    assert_file(fixture, &done, 0, idle, "");
    assert_file(fixture, &done, 1, busy, row_of(fixture, busy, "b"));
    assert_file(fixture, &done, 2, fixture->app_id, row_of(fixture, fixture->app_id, "a"));
}

static void test_an_app_that_comes_later_has_its_rows_in_the_next_revision(void **state)
{
    struct job_fixture *fixture = *state;
    const char *early = make_app(fixture, HOUR);
    add(fixture, early, HOUR, "early");
    job_fixture_seal(fixture);
    const char *id = subscribe(fixture);
    const struct job first = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &first, 1);
    assert_int_equal(job_fixture_last(fixture, id, HOUR).file_count, 1);

    const char *after = make_app(fixture, JOB_FIXTURE_NOW_MS);
    add(fixture, after, HOUR + 5, "after");
    job_fixture_seal(fixture);
    const struct job late = job_fixture_claim_late(fixture);
    run(fixture, &late, 1);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(done.revision, 1);
    assert_int_equal(done.file_count, 1); // the one app with rows, no others
    assert_file(fixture, &done, 0, after, row_of(fixture, after, "after"));
}

static void test_organization_without_apps_then(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = subscribe(fixture);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 0);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_int_equal(done.file_count, 0);
}

// An attempt that freezes the recipe and then has no store to write to.
static void fail_once(struct job_fixture *fixture, const struct job *job)
{
    int64_t row_count = 0;
    struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), 1,
                                                                ERR_UNAVAILABLE);
    fixture->config.store = faulty;
    assert_refused(fixture, job_fixture_run(fixture, job, &row_count), ERR_UNAVAILABLE);
    fixture->config.store = fixture->store;
}

// Two attempts, between which the world changed.
static void test_the_apps_are_frozen_with_the_recipe(void **state)
{
    struct job_fixture *fixture = *state;
    const char *app_id = make_app(fixture, HOUR);
    add(fixture, app_id, HOUR, "one");
    job_fixture_seal(fixture);
    const char *id = subscribe(fixture);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    fail_once(fixture, &job);
    (void)make_app(fixture, HOUR);
    add(fixture, fixture->other_app_id, HOUR, "late");
    job_fixture_seal(fixture);
    fixture->clock.now_wall_ms += 2 * JOB_FIXTURE_LEASE_MS;
    struct job again = {0};
    assert_true(job_fixture_claim(fixture, &again));
    run(fixture, &again, 1);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(done.file_count, 1);
    assert_file(fixture, &done, 0, app_id, row_of(fixture, app_id, "one"));
}

static void test_other_organizations_are_not_concerned(void **state)
{
    struct job_fixture *fixture = *state;
    const char *ours = fixture->organization_id;
    struct tenant_organization organization;
    assert_done(fixture, tenant_create_organization(fixture->catalog, "cheese", JOB_FIXTURE_NOW_MS,
                                                    &fixture->arena, &organization, &fixture->err));
    fixture->organization_id = organization.id;
    const char *foreign = make_app(fixture, HOUR);
    add(fixture, foreign, HOUR, "foreign");
    fixture->organization_id = ours;
    add(fixture, fixture->app_id, HOUR, "ours");
    job_fixture_seal(fixture);
    const char *id = subscribe(fixture);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 1);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(done.file_count, 1);
    assert_file(fixture, &done, 0, fixture->app_id, row_of(fixture, fixture->app_id, "ours"));
}

static void test_rows_of_any_app_past_retention_fail_the_job(void **state)
{
    struct job_fixture *fixture = *state;
    add(fixture, fixture->other_app_id, HOUR, "gone");
    job_fixture_seal(fixture);
    const struct segment_drop drop = {JOB_FIXTURE_NOW_MS + 1, JOB_FIXTURE_NOW_MS, 100};
    int64_t count = 0;
    assert_done(fixture, segment_drop_older(fixture->catalog, &drop, &count, &fixture->err));
    assert_int_equal(count, 1);
    const char *id = subscribe(fixture);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_INVALID);
    assert_string_equal(fixture->err.message, "events of this window are past lake.retention_days");
}

static void test_discard_removes_the_files_of_every_task(void **state)
{
    struct job_fixture *fixture = *state;
    add(fixture, fixture->app_id, HOUR, "a");
    add(fixture, fixture->other_app_id, HOUR, "b");
    job_fixture_seal(fixture);
    const char *id = subscribe(fixture);
    const struct job frozen = job_fixture_claim_hour(fixture, id, HOUR);
    fail_once(fixture, &frozen);
    int64_t row_count = 0;
    struct job job = {0};
    struct job next = {0};
    fixture->clock.now_wall_ms += 2 * JOB_FIXTURE_LEASE_MS;
    assert_true(job_fixture_claim(fixture, &job));
    fixture->clock.now_wall_ms += 2 * JOB_FIXTURE_LEASE_MS;
    assert_true(job_fixture_claim(fixture, &next));
    // The zombie writes its files and is then told.
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_CANCELED);
    const char *keys[2];
    const bool is_first = strcmp(fixture->app_id, fixture->other_app_id) < 0; // made in one instant
    for (int i = 0; i < 2; i++) {
        keys[i] = arena_format(
            &fixture->arena,
            "v2/y=2024/m=10/d=04/h=09/app_id=%s/job_id=%s/task_id=%d/" JOB_FIXTURE_TOPIC
            "-20241004T090000Z-r0-00000.csv.gz",
            (i == 0) == is_first ? fixture->app_id : fixture->other_app_id, job.id, i);
        assert_non_null(job_fixture_object(fixture, keys[i]).data);
    }
    assert_done(fixture, job_run_discard(&fixture->config, fixture->catalog, &next, &fixture->err));
    assert_null(job_fixture_object(fixture, keys[0]).data);
    assert_null(job_fixture_object(fixture, keys[1]).data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        job_fixture_test(test_each_app_that_existed_has_its_file),
        job_fixture_test(test_an_app_that_comes_later_has_its_rows_in_the_next_revision),
        job_fixture_test(test_organization_without_apps_then),
        job_fixture_test(test_the_apps_are_frozen_with_the_recipe),
        job_fixture_test(test_other_organizations_are_not_concerned),
        job_fixture_test(test_rows_of_any_app_past_retention_fail_the_job),
        job_fixture_test(test_discard_removes_the_files_of_every_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
