// SPDX-License-Identifier: Apache-2.0
#include "jobs_fixture.h"

static struct job start(struct fixture *fixture, const char **ret_id)
{
    *ret_id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    return fixture_run_hour(fixture, *ret_id, FIXTURE_HOUR(5));
}

static void the_recipe_of_the_first_claim_stays(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job first = start(fixture, &id);
    const struct job_claim claim = fixture_claim_of(&first);
    const char *recipe = NULL;
    assert_done(fixture, job_freeze(fixture->catalog, &claim, "{\"a\":1}", &fixture->arena, &recipe,
                                    &fixture->err));
    assert_string_equal(recipe, "{\"a\":1}");
    assert_done(fixture, job_freeze(fixture->catalog, &claim, "{\"a\":2}", &fixture->arena, &recipe,
                                    &fixture->err));
    assert_string_equal(recipe, "{\"a\":1}");
    struct job second;
    assert_true(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + FIXTURE_LEASE_MS + 1, &second));
    assert_string_equal(second.recipe, "{\"a\":1}");
}

static void states_follow_the_work(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_mark_uploading(fixture->catalog, &claim, &fixture->err));
    assert_int_equal(fixture_last(fixture, id, FIXTURE_HOUR(5)).state, JOB_PENDING_UPLOAD);
    assert_done(fixture, job_renew(fixture->catalog, &claim, 5, FIXTURE_NOW_MS, FIXTURE_LEASE_MS,
                                   &fixture->err));
    fixture_succeed(fixture, &job, 7);
    const struct job done = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_int_equal(done.row_count, 7);
    assert_int_equal(done.byte_count, 70);
    assert_int_equal(done.finished_at_ms, FIXTURE_NOW_MS);
    assert_int_equal(done.expires_at_ms, FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS);
    assert_null(done.claim_id);
    assert_int_equal(done.file_count, 1);
    assert_int_equal(done.files[0].row_count, 7);
}

static void success_is_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const struct job_claim claim = fixture_claim_of(&job);
    // The second file has the key of the first: the transaction fails, and nothing of it stays.
    const struct job_file files[] = {{0, "key", 1, 1, "00"}, {1, "key", 1, 1, "00"}};
    struct job_result result = {
        .files = files,
        .file_count = 2,
        .row_count = 2,
        .manifest = "{}",
        .now_ms = FIXTURE_NOW_MS,
    };
    assert_refused(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err),
                   ERR_CONFLICT);
    const struct job running = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(running.state, JOB_RUNNING);
    assert_int_equal(running.file_count, 0);
    result.file_count = 1;
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
}

static void a_final_call_may_be_made_again(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    struct job job = start(fixture, &id);
    struct job_claim claim = fixture_claim_of(&job);
    for (int i = 0; i < 2; i++)
        assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                      FIXTURE_NOW_MS + i + 1, &fixture->err));
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1, &job));
    for (int64_t rows = 3; rows < 5; rows++)
        fixture_succeed(fixture, &job, rows);
    const struct job done = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(done.row_count, 3); // a SUCCEEDED job never changes
    assert_int_equal(done.file_count, 1);
    // But what is SUCCEEDED cannot fail.
    claim = fixture_claim_of(&job);
    assert_refused(fixture,
                   job_fail(fixture->catalog, &claim, "no", FIXTURE_NOW_MS, 0, &fixture->err),
                   ERR_CANCELED);
}

static void assert_unheard(struct fixture *fixture, const struct job_claim *claim)
{
    const char *recipe = NULL;
    const struct job_file file = {0, "zombie", 1, 1, "00"};
    const struct job_result result = {
        .files = &file,
        .file_count = 1,
        .row_count = 1,
        .manifest = "{}",
        .now_ms = FIXTURE_NOW_MS,
    };
    assert_refused(fixture,
                   job_freeze(fixture->catalog, claim, "{\"zombie\":1}", &fixture->arena, &recipe,
                              &fixture->err),
                   ERR_CANCELED);
    assert_refused(fixture,
                   job_renew(fixture->catalog, claim, 9, FIXTURE_NOW_MS + CIVIL_DAY_MS,
                             FIXTURE_LEASE_MS, &fixture->err),
                   ERR_CANCELED);
    assert_refused(fixture, job_mark_uploading(fixture->catalog, claim, &fixture->err),
                   ERR_CANCELED);
    assert_refused(fixture, job_succeed(fixture->catalog, claim, &result, &fixture->err),
                   ERR_CANCELED);
    assert_refused(fixture,
                   job_fail(fixture->catalog, claim, "zombie", FIXTURE_NOW_MS, 0, &fixture->err),
                   ERR_CANCELED);
    assert_refused(fixture,
                   job_fail(fixture->catalog, claim, "zombie", FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1,
                            &fixture->err),
                   ERR_CANCELED);
}

static void assert_same(const struct job *left, const struct job *right)
{
    assert_int_equal(left->state, right->state);
    assert_int_equal(left->fence, right->fence);
    assert_int_equal(left->lost_count, right->lost_count);
    assert_int_equal(left->finished_at_ms, right->finished_at_ms);
    assert_int_equal(left->row_count, right->row_count);
    assert_int_equal(left->file_count, right->file_count);
    assert_true(left->claim_id == right->claim_id || strcmp(left->claim_id, right->claim_id) == 0);
    assert_true(left->reason == right->reason || strcmp(left->reason, right->reason) == 0);
}

static void a_zombie_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job lost = start(fixture, &id);
    const struct job_claim zombie = fixture_claim_of(&lost);
    struct job job;
    assert_true(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + FIXTURE_LEASE_MS + 1, &job));
    // The same fence with another claim id, and the other way round, are as dead.
    const struct job_claim holder = fixture_claim_of(&job);
    const struct job_claim dead[] = {
        zombie,
        {holder.job_id, holder.fence, zombie.claim_id},
        {holder.job_id, zombie.fence, holder.claim_id},
        {"none", holder.fence, holder.claim_id},
    };
    // While it is held by another, after it failed, while it waits, and after it SUCCEEDED.
    const struct job held = fixture_last(fixture, id, FIXTURE_HOUR(5));
    for (size_t i = 0; i < ARRAY_COUNT(dead); i++)
        assert_unheard(fixture, &dead[i]);
    const struct job still_held = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_same(&held, &still_held);
    const int64_t retry_ms = FIXTURE_NOW_MS + 2 * FIXTURE_LEASE_MS;
    assert_done(fixture, job_fail(fixture->catalog, &holder, "busy", FIXTURE_NOW_MS, retry_ms,
                                  &fixture->err));
    const struct job waiting = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_unheard(fixture, &zombie);
    const struct job still_waiting = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_same(&waiting, &still_waiting);
    assert_true(fixture_claim_at(fixture, "supervisor", retry_ms, &job));
    assert_null(job.recipe);
    fixture_succeed(fixture, &job, 3);
    const struct job done = fixture_last(fixture, id, FIXTURE_HOUR(5));
    for (size_t i = 0; i < ARRAY_COUNT(dead); i++)
        assert_unheard(fixture, &dead[i]);
    const struct job still_done = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_same(&done, &still_done);
}

static void a_failure_is_final_with_its_reason(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "bucket does not exist",
                                  FIXTURE_NOW_MS + 5, 0, &fixture->err));
    const struct job failed = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(failed.state, JOB_FAILED);
    assert_string_equal(failed.reason, "bucket does not exist");
    assert_int_equal(failed.finished_at_ms, FIXTURE_NOW_MS + 5);
    assert_int_equal(failed.expires_at_ms, 0);
    struct job other;
    assert_false(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + CIVIL_DAY_MS, &other));
}

static void a_sample_leaves_no_files(void **state)
{
    struct fixture *fixture = *state;
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const struct subscription made = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    fixture_succeed(fixture, &sample, 9);
    struct hosted_file file;
    assert_refused(fixture,
                   hosted_file_find(fixture->catalog, NULL,
                                    slice_text(arena_format(
                                        &fixture->arena, "v2/job_id=%s/part-0.csv.gz", sample.id)),
                                    &fixture->arena, &file, &fixture->err),
                   ERR_NOT_FOUND);
    int64_t count = -1;
    assert_done(fixture, job_expire(fixture->catalog, INT64_MAX, 10, &count, &fixture->err));
    assert_int_equal(count, 0);
    struct job *jobs = NULL;
    size_t listed = 9;
    assert_done(fixture, job_list(fixture->catalog, made.id, 0, &fixture->arena, &jobs, &listed,
                                  &fixture->err));
    assert_int_equal(listed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(the_recipe_of_the_first_claim_stays),
        fixture_test(states_follow_the_work),
        fixture_test(success_is_whole_or_not_at_all),
        fixture_test(a_final_call_may_be_made_again),
        fixture_test(a_zombie_changes_nothing),
        fixture_test(a_failure_is_final_with_its_reason),
        fixture_test(a_sample_leaves_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
