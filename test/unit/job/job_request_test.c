// SPDX-License-Identifier: Apache-2.0
// What is asked for once, and files that come again.
#include "job_fixture.h"

#include <string.h>

#include "base/json_tree.h"
#include "base/mem.h"
#include "catalog/requests.h"
#include "catalog/segment_retention.h"

#define HOUR JOB_FIXTURE_HOUR(9)

static const char *const names[] = {"name"};

static struct report report_of(void)
{
    return (struct report){
        .cadence = CADENCE_DAILY,
        .format = REPORT_CSV,
        .compression = REPORT_UNCOMPRESSED,
        .topic_name = JOB_FIXTURE_TOPIC,
        .fields = names,
        .field_count = 1,
        .destination = REPORT_BRANCH,
        .destination_json = "{\"subscription_type\":\"branch\"}",
    };
}

static struct request_spec spec_of(struct job_fixture *fixture, enum subscription_kind kind,
                                   const struct report *report)
{
    return (struct request_spec){
        .kind = kind,
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .report = report,
        .topic_id = job_fixture_topic(fixture)->topic_id,
        .start_ms = HOUR + 1, // on no edge
        .end_ms = HOUR + 2 * CIVIL_HOUR_MS + 1,
        .now_ms = clock_wall_ms(&fixture->clock.base),
    };
}

static struct request ask(struct job_fixture *fixture, const struct request_spec *spec)
{
    struct request request = {0};
    assert_done(fixture,
                request_create(fixture->catalog, spec, &fixture->arena, &request, &fixture->err));
    return request;
}

static struct request find(struct job_fixture *fixture, const struct request *request)
{
    const struct request_scope scope = {request->kind, fixture->organization_id, fixture->app_id,
                                        true};
    struct request found = {0};
    assert_done(fixture, request_get(fixture->catalog, &scope, slice_text(request->id),
                                     &fixture->arena, &found, &fixture->err));
    return found;
}

static void run_next(struct job_fixture *fixture, const char *job_id, int64_t expected_rows)
{
    int64_t row_count = 0;
    struct job job = {0};
    job_fixture_set_bounds(fixture);
    assert_true(job_fixture_claim(fixture, &job));
    assert_string_equal(job.id, job_id);
    assert_done(fixture, job_fixture_run(fixture, &job, &row_count));
    assert_int_equal(row_count, expected_rows);
}

static void add_ten(struct job_fixture *fixture)
{
    for (int i = 0; i < 10; i++) {
        job_fixture_add(fixture, HOUR + i * CIVIL_MINUTE_MS,
                        arena_format(&fixture->arena, "n%d", i));
    }
    job_fixture_seal(fixture);
}

static const char *text_of(struct job_fixture *fixture, const char *key)
{
    const struct slice bytes = job_fixture_object(fixture, key);
    return arena_copy_slice(&fixture->arena, bytes);
}

static void test_a_custom_export_has_its_rows_and_no_compression(void **state)
{
    struct job_fixture *fixture = *state;
    add_ten(fixture);
    const struct report report = report_of();
    const struct request_spec spec = spec_of(fixture, SUBSCRIPTION_CUSTOM_EXPORT, &report);
    const struct request made = ask(fixture, &spec);
    assert_int_equal(made.job.state, JOB_PENDING_GENERATION);
    run_next(fixture, made.job.id, 9); // the first is before the start
    const struct request done = find(fixture, &made);
    assert_int_equal(done.job.state, JOB_SUCCEEDED);
    assert_int_equal(done.job.file_count, 1);
    assert_string_equal(text_of(fixture, done.job.files[0].key),
                        "name\nn1\nn2\nn3\nn4\nn5\nn6\nn7\nn8\nn9\n");
    assert_string_equal(
        done.job.files[0].key,
        arena_format(&fixture->arena,
                     "v2/y=2024/m=10/d=04/app_id=%s/job_id=%s/task_id=0/" JOB_FIXTURE_TOPIC
                     "-20241004T090000Z-r0-00000.csv",
                     fixture->app_id, made.job.id));
}

static void test_limit_and_rows_per_file_are_exact(void **state)
{
    struct job_fixture *fixture = *state;
    add_ten(fixture);
    job_fixture_ingest(fixture, fixture->other_app_id, JOB_FIXTURE_TOPIC,
                       job_fixture_event(fixture, HOUR + 1, "other"));
    job_fixture_seal(fixture);
    struct report report = report_of();
    report.row_limit = 7;
    report.part_rows = 3;
    struct request_spec spec = spec_of(fixture, SUBSCRIPTION_CUSTOM_EXPORT, &report);
    const struct request one = ask(fixture, &spec);
    run_next(fixture, one.job.id, 7);
    const struct request done = find(fixture, &one);
    assert_int_equal(done.job.row_count, 7);
    assert_int_equal(done.job.file_count, 3);
    assert_int_equal(done.job.files[2].row_count, 1);
    assert_string_equal(text_of(fixture, done.job.files[2].key), "name\nn7\n");

    spec.app_id = NULL;   // the limit is the request's, not each app's
    report.row_limit = 9; // of ten rows
    report.part_rows = 0;
    const struct request all = ask(fixture, &spec);
    run_next(fixture, all.job.id, 9);
    const struct request both = find(fixture, &all);
    assert_int_equal(both.job.file_count, 2);
    assert_int_equal(both.job.files[0].row_count + both.job.files[1].row_count, 9);
}

static void test_a_preview_shows_rows_and_keeps_no_file(void **state)
{
    struct job_fixture *fixture = *state;
    for (int i = 0; i < 30; i++)
        job_fixture_add(fixture, HOUR + 1 + i, arena_format(&fixture->arena, "a\\n\\\"%d", i));
    job_fixture_seal(fixture);
    const struct report report = report_of();
    const struct request_spec spec = spec_of(fixture, SUBSCRIPTION_PREVIEW, &report);
    const struct request made = ask(fixture, &spec);
    run_next(fixture, made.job.id, 30);
    const struct request done = find(fixture, &made);
    assert_int_equal(done.job.file_count, 0);
    assert_int_equal(done.job.expires_at_ms, 0);
    const char *key =
        arena_format(&fixture->arena,
                     "v2/y=2024/m=10/d=04/app_id=%s/job_id=%s/task_id=0/" JOB_FIXTURE_TOPIC
                     "-20241004T090000Z-r0-00000.csv",
                     fixture->app_id, made.job.id);
    assert_null(job_fixture_object(fixture, key).data);
    const char *text = NULL;
    assert_done(fixture, request_get_manifest(fixture->catalog, made.id, &fixture->arena, &text,
                                              &fixture->err));
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    assert_done(fixture, json_tree_parse(slice_text(text), &tree, &fixture->err));
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *sample = json_node_get(root, "sample");
    assert_int_equal(json_node_int64(json_node_get(root, "matched_rows")), 30);
    assert_int_equal(json_node_int64(json_node_get(root, "estimated_files")), 1);
    assert_true(json_node_int64(json_node_get(root, "estimated_bytes")) > 30);
    assert_int_equal(json_node_count(sample), 20);
    assert_true(
        slice_equal_text(json_node_text(json_node_get(json_node_at(sample, 1), "name")), "a\n\"1"));
    struct job seen;
    assert_refused(fixture,
                   job_get(fixture->catalog, fixture->organization_id, slice_of(NULL, 0),
                           slice_text(made.job.id), &fixture->arena, &seen, &fixture->err),
                   ERR_NOT_FOUND);
}

// --- Files that come again

static bool restore_now(struct job_fixture *fixture, const char *job_id, struct job *ret_job)
{
    const int64_t now_ms = clock_wall_ms(&fixture->clock.base);
    const struct job_restore_request request = {
        .organization_id = fixture->organization_id,
        .job_id = slice_text(job_id),
        .now_ms = now_ms,
        .expires_at_ms = now_ms + JOB_FIXTURE_EXPIRY_MS,
    };
    return job_restore(fixture->catalog, &request, &fixture->arena, ret_job, &fixture->err);
}

static struct job expire_hour(struct job_fixture *fixture, const char *id)
{
    int64_t count = 0;
    size_t file_count = 0;
    int64_t total_count = 0;
    struct job_expired_file *files = NULL;
    const struct job job = job_fixture_last(fixture, id, HOUR);
    fixture->clock.now_wall_ms += JOB_FIXTURE_EXPIRY_MS + 1;
    assert_done(fixture, job_expire(fixture->catalog, clock_wall_ms(&fixture->clock.base), 10,
                                    &count, &fixture->err));
    assert_int_equal(count, 1);
    struct job restored = {0};
    assert_refused(fixture, // its file is there yet
                   restore_now(fixture, job.id, &restored), ERR_CONFLICT);
    assert_done(fixture, job_expired_files(fixture->catalog, 10, &fixture->arena, &files,
                                           &file_count, &total_count, &fixture->err));
    for (size_t i = 0; i < file_count; i++) {
        assert_done(fixture, store_delete(fixture->store, files[i].key, &fixture->err));
        assert_done(fixture, job_forget_file(fixture->catalog, files[i].job_id, files[i].key,
                                             &fixture->err));
    }
    return job;
}

static const char *export_hour(struct job_fixture *fixture)
{
    job_fixture_add(fixture, HOUR + 1, "kept");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, "[\"name\"]", NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    int64_t row_count = 0;
    assert_done(fixture, job_fixture_run(fixture, &job, &row_count));
    return id;
}

static struct job restore(struct job_fixture *fixture, const char *job_id)
{
    struct job job = {0};
    assert_done(fixture, restore_now(fixture, job_id, &job));
    assert_int_equal(job.state, JOB_PENDING_GENERATION);
    assert_true(job.is_restoring);
    return job;
}

static void test_restored_files_are_the_same(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    struct job refused = {0};
    const struct job fresh = job_fixture_last(fixture, id, HOUR);
    assert_refused(fixture, restore_now(fixture, fresh.id, &refused), ERR_CONFLICT);
    const struct job before = expire_hour(fixture, id);
    // Rows that came since belong to the next revision, now as then.
    job_fixture_add(fixture, HOUR + 2, "late");
    job_fixture_seal(fixture);
    (void)restore(fixture, before.id);
    (void)restore(fixture, before.id); // again: the same
    run_next(fixture, before.id, 1);
    const struct job after = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(after.state, JOB_SUCCEEDED);
    assert_false(after.is_expired);
    assert_false(after.is_restoring);
    assert_int_equal(after.file_count, 1);
    assert_string_equal(after.files[0].key, before.files[0].key);
    assert_string_equal(after.files[0].sha256, before.files[0].sha256);
    assert_int_equal(after.expires_at_ms,
                     clock_wall_ms(&fixture->clock.base) + JOB_FIXTURE_EXPIRY_MS);
    assert_string_equal(job_fixture_text(fixture, after.files[0].key), "name\nkept\n");
}

// Between a job's time and the sweep that takes its files, restoring it keeps them.
static void test_files_that_are_there_stay(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    const struct job before = job_fixture_last(fixture, id, HOUR);
    fixture->clock.now_wall_ms += JOB_FIXTURE_EXPIRY_MS + 1;
    struct job job = {0};
    assert_done(fixture, restore_now(fixture, before.id, &job));
    assert_int_equal(job.state, JOB_SUCCEEDED);
    int64_t count = 0;
    assert_done(fixture, job_expire(fixture->catalog, clock_wall_ms(&fixture->clock.base), 10,
                                    &count, &fixture->err));
    assert_int_equal(count, 0);
    const struct job after = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(after.file_count, 1);
    assert_string_equal(after.files[0].sha256, before.files[0].sha256);
    assert_true(after.expires_at_ms > before.expires_at_ms);
}

static void test_restored_after_deactivation(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    const struct job before = expire_hour(fixture, id);
    assert_done(fixture, subscription_deactivate(
                             fixture->catalog,
                             &(struct subscription_scope){fixture->organization_id, NULL, true},
                             slice_text(id), JOB_FIXTURE_NOW_MS, &fixture->err));
    (void)restore(fixture, before.id);
    run_next(fixture, before.id, 1);
    assert_int_equal(job_fixture_last(fixture, id, HOUR).file_count, 1);
}

// What cannot come again stays what it was: SUCCEEDED, expired, and says why.
static void assert_stays_expired(struct job_fixture *fixture, const char *id, const char *reason)
{
    struct job job = {0};
    int64_t row_count = 0;
    assert_true(job_fixture_claim(fixture, &job));
    assert_true(job.is_restoring);
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_INVALID);
    assert_string_equal(fixture->err.message, reason);
    const struct job_claim claim = job_fixture_claim_of(&job);
    const int64_t now_ms = clock_wall_ms(&fixture->clock.base);
    assert_done(fixture, job_fail(fixture->catalog, &claim, reason, now_ms, 0, &fixture->err));
    assert_done(fixture, job_fail(fixture->catalog, &claim, reason, now_ms, 0, &fixture->err));
    const struct job after = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(after.state, JOB_SUCCEEDED);
    assert_true(after.is_expired);
    assert_false(after.is_restoring);
    assert_string_equal(after.reason, reason);
    assert_int_equal(after.row_count, 1);
    assert_int_equal(after.file_count, 0);
    assert_false(job_fixture_claim(fixture, &job));
}

static void test_events_past_retention_are_not_restored(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    const struct job before = expire_hour(fixture, id);
    const int64_t now_ms = clock_wall_ms(&fixture->clock.base);
    int64_t count = 0;
    assert_done(fixture, subscription_deactivate(
                             fixture->catalog,
                             &(struct subscription_scope){fixture->organization_id, NULL, true},
                             slice_text(id), JOB_FIXTURE_NOW_MS, &fixture->err));
    const struct segment_drop drop = {now_ms + 1, now_ms, 100};
    assert_done(fixture, segment_drop_older(fixture->catalog, &drop, &count, &fixture->err));
    assert_int_equal(count, 1);
    (void)restore(fixture, before.id);
    assert_stays_expired(fixture, id, "events of this window are past lake.retention_days");
}

static void test_other_bytes_are_not_restored(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    const struct job before = expire_hour(fixture, id);
    struct job job = {0};
    int64_t row_count = 0;
    (void)restore(fixture, before.id);
    assert_true(job_fixture_claim(fixture, &job));
    job.app_id = fixture->other_app_id; // as if its rows had become others
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_INVALID);
    assert_string_equal(fixture->err.message, "the files would not be the same as before");
}

// Whoever tidies up after a restore that failed leaves the files of the one that came after it.
static void test_a_failed_restore_takes_nothing_from_the_next(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    const struct job before = expire_hour(fixture, id);
    struct job failed = {0};
    (void)restore(fixture, before.id);
    assert_true(job_fixture_claim(fixture, &failed));
    const struct job_claim claim = job_fixture_claim_of(&failed);
    const int64_t now_ms = clock_wall_ms(&fixture->clock.base);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "full", now_ms, 0, &fixture->err));
    (void)restore(fixture, before.id);
    run_next(fixture, before.id, 1);
    assert_done(fixture,
                job_run_discard(&fixture->config, fixture->catalog, &failed, &fixture->err));
    const struct job after = job_fixture_last(fixture, id, HOUR);
    assert_string_equal(job_fixture_text(fixture, after.files[0].key), "name\nkept\n");
}

// A job that waits for its files does not keep the window's late rows.
static void test_late_rows_do_not_wait_for_a_restore(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = export_hour(fixture);
    const struct job before = expire_hour(fixture, id);
    struct job restoring = {0};
    int64_t row_count = 0;
    (void)restore(fixture, before.id);
    assert_true(job_fixture_claim(fixture, &restoring));
    job_fixture_add(fixture, HOUR + 2, "late");
    job_fixture_seal(fixture);
    const struct job late = job_fixture_claim_late(fixture);
    assert_done(fixture, job_fixture_run(fixture, &late, &row_count));
    assert_int_equal(row_count, 1);
    assert_done(fixture, job_fixture_run(fixture, &restoring, &row_count));
    assert_int_equal(row_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        job_fixture_test(test_a_custom_export_has_its_rows_and_no_compression),
        job_fixture_test(test_limit_and_rows_per_file_are_exact),
        job_fixture_test(test_a_preview_shows_rows_and_keeps_no_file),
        job_fixture_test(test_restored_files_are_the_same),
        job_fixture_test(test_files_that_are_there_stay),
        job_fixture_test(test_restored_after_deactivation),
        job_fixture_test(test_events_past_retention_are_not_restored),
        job_fixture_test(test_other_bytes_are_not_restored),
        job_fixture_test(test_a_failed_restore_takes_nothing_from_the_next),
        job_fixture_test(test_late_rows_do_not_wait_for_a_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
