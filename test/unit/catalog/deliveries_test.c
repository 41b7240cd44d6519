// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_internal.h"
#include "catalog/deliveries.h"
#include "catalog/hosted_files.h"
#include "jobs_fixture.h"

#define LATER_MS (FIXTURE_NOW_MS + 60000)

static struct job start(struct fixture *fixture, const char **ret_id)
{
    *ret_id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    return fixture_run_hour(fixture, *ret_id, FIXTURE_HOUR(5));
}

static const struct job_file spooled_files[] = {
    {0, "v2/a-0.csv.gz", 3, 30, "00"},
    {1, "v2/a-1.csv.gz", 4, 40, "11"},
};

static const struct job_result spooled = {
    .files = spooled_files,
    .file_count = ARRAY_COUNT(spooled_files),
    .row_count = 7,
    .byte_count = 70,
    .manifest = "{\"rows\":7}",
};

static void spool(struct fixture *fixture, const struct job *job)
{
    const struct job_claim claim = fixture_claim_of(job);
    assert_done(fixture, job_spool(fixture->catalog, &claim, &spooled, &fixture->err));
}

static void put_off(struct fixture *fixture, const struct job *job)
{
    const struct job_claim claim = fixture_claim_of(job);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "the bucket is away", FIXTURE_NOW_MS,
                                  LATER_MS, &fixture->err));
}

static int64_t spooled_bytes(struct fixture *fixture)
{
    int64_t byte_count = -1;
    assert_done(fixture, job_spooled_bytes(fixture->catalog, fixture->organization_id, &byte_count,
                                           &fixture->err));
    return byte_count;
}

static void assert_no_files(struct fixture *fixture, const struct job *job)
{
    bool is_listed = true;
    assert_done(fixture,
                job_lists_file(fixture->catalog, "v2/a-0.csv.gz", &is_listed, &fixture->err));
    assert_false(is_listed);
    struct job_file *files = NULL;
    size_t count = 0;
    const char *manifest = NULL;
    assert_refused(fixture,
                   job_spooled_files(fixture->catalog, job->id, &fixture->arena, &files, &count,
                                     &manifest, &fixture->err),
                   ERR_NOT_FOUND);
    assert_int_equal(spooled_bytes(fixture), 0);
}

static void files_are_made_once_and_delivered_as_often_as_needed(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job made = start(fixture, &id);
    assert_false(made.is_spooled);
    spool(fixture, &made);
    assert_int_equal(spooled_bytes(fixture), 70);
    for (int64_t i = 1; i <= 3; i++) {
        struct job job = fixture_last(fixture, id, FIXTURE_HOUR(5));
        assert_int_equal(job.state, JOB_PENDING_UPLOAD);
        if (i == 1)
            put_off(fixture, &made);
        job = fixture_last(fixture, id, FIXTURE_HOUR(5));
        assert_int_equal(job.state, JOB_PENDING_UPLOAD); // also while nobody works on it
        assert_string_equal(job.reason, "the bucket is away");
        assert_false(fixture_claim(fixture, &job)); // its time has not come
        assert_true(fixture_claim_at(fixture, "supervisor", LATER_MS + i, &job));
        assert_true(job.is_spooled);
        assert_int_equal(job.state, JOB_PENDING_UPLOAD);
        assert_int_equal(job.row_count, 7);
        struct job_file *files = NULL;
        size_t count = 0;
        const char *manifest = NULL;
        assert_done(fixture, job_spooled_files(fixture->catalog, job.id, &fixture->arena, &files,
                                               &count, &manifest, &fixture->err));
        assert_int_equal(count, 2);
        assert_string_equal(files[1].key, "v2/a-1.csv.gz");
        assert_int_equal(files[1].byte_count, 40);
        assert_string_equal(manifest, "{\"rows\":7}");
        if (i < 3) {
            put_off(fixture, &job);
            continue;
        }
        const struct job_claim claim = fixture_claim_of(&job);
        const struct job_result result = {
            .row_count = job.row_count, .byte_count = job.byte_count, .now_ms = LATER_MS + i};
        assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
    }
    const struct job done = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_false(done.is_spooled);
    assert_int_equal(done.row_count, 7);
    assert_int_equal(done.file_count, 0); // they are with the customer
    const char *manifest = NULL;
    assert_done(fixture,
                job_get_manifest(fixture->catalog, fixture->organization_id, slice_text(done.id),
                                 &fixture->arena, &manifest, &fixture->err));
    assert_string_equal(manifest, "{\"rows\":7}");
    assert_no_files(fixture, &done);
}

static void a_manifest_is_seen_with_success_only(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const char *manifest = NULL;
    spool(fixture, &job);
    assert_refused(fixture,
                   job_get_manifest(fixture->catalog, fixture->organization_id, slice_text(job.id),
                                    &fixture->arena, &manifest, &fixture->err),
                   ERR_NOT_FOUND);
}

// What a mail links to, and what is listed when the hosted bucket is elsewhere.
static void files_of_the_result_take_the_place_of_the_spooled_ones(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    spool(fixture, &job);
    struct hosted_file found;
    assert_done(fixture, hosted_file_find(fixture->catalog, NULL, slice_text("v2/a-0.csv.gz"),
                                          &fixture->arena, &found, &fixture->err));
    assert_int_equal(found.file.byte_count, 30);
    const struct job_claim claim = fixture_claim_of(&job);
    struct job_result result = spooled;
    result.manifest = NULL;
    result.now_ms = LATER_MS;
    result.expires_at_ms = LATER_MS + FIXTURE_EXPIRY_MS;
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
    const struct job done = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(done.file_count, 2);
    assert_int_equal(done.expires_at_ms, LATER_MS + FIXTURE_EXPIRY_MS);
    assert_int_equal(spooled_bytes(fixture), 0);
}

static void damaged_files_are_made_again(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    spool(fixture, &job);
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_unspool(fixture->catalog, &claim, &fixture->err));
    assert_no_files(fixture, &job);
    spool(fixture, &job); // the same claim may go on
}

static void a_failed_delivery_leaves_no_files(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    spool(fixture, &job);
    const struct job_claim claim = fixture_claim_of(&job);
    assert_done(fixture, job_fail(fixture->catalog, &claim, "access denied", FIXTURE_NOW_MS, 0,
                                  &fixture->err));
    const struct job failed = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(failed.state, JOB_FAILED);
    assert_no_files(fixture, &failed);
}

static void deactivation_cancels_what_waits_for_its_delivery(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    spool(fixture, &job);
    put_off(fixture, &job);
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS + 1);
    const struct job failed = fixture_last(fixture, id, FIXTURE_HOUR(5));
    assert_int_equal(failed.state, JOB_FAILED);
    assert_no_files(fixture, &failed);
}

// The job is still marked as expired then.
static void retention_leaves_what_is_restored(void **state)
{
    struct fixture *fixture = *state;
    struct err *err = &fixture->err;
    const char *id = NULL;
    struct job job = start(fixture, &id);
    const struct job_claim first = fixture_claim_of(&job);
    const char *recipe = NULL;
    assert_done(fixture, job_freeze(fixture->catalog, &first, "{}", &fixture->arena, &recipe, err));
    fixture_succeed(fixture, &job, 1);
    const int64_t later_ms = FIXTURE_NOW_MS + 2 * FIXTURE_EXPIRY_MS;
    struct job_expired_file *files = NULL;
    size_t count = 0;
    int64_t number = 0;
    assert_done(fixture, job_expire(fixture->catalog, later_ms, 10, &number, err));
    assert_done(fixture, job_expired_files(fixture->catalog, 10, &fixture->arena, &files, &count,
                                           &number, err));
    assert_int_equal(count, 1);
    assert_done(fixture, job_forget_file(fixture->catalog, job.id, files[0].key, err));
    const struct job_restore_request request = {fixture->organization_id, slice_text(job.id),
                                                later_ms, later_ms + FIXTURE_EXPIRY_MS};
    struct job restored;
    assert_done(fixture, job_restore(fixture->catalog, &request, &fixture->arena, &restored, err));
    assert_true(fixture_claim_at(fixture, "supervisor", later_ms, &job));
    assert_string_equal(job.id, restored.id);
    spool(fixture, &job);
    assert_done(fixture, job_expired_files(fixture->catalog, 10, &fixture->arena, &files, &count,
                                           &number, err));
    assert_int_equal(count, 0);
    assert_done(fixture, job_forget_file(fixture->catalog, job.id, spooled_files[0].key, err));
    bool is_listed = false;
    assert_done(fixture, job_lists_file(fixture->catalog, spooled_files[0].key, &is_listed, err));
    assert_true(is_listed);
}

static void a_lost_delivery_is_taken_over_as_one(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const struct job_claim dead = fixture_claim_of(&job);
    spool(fixture, &job);
    struct job taken;
    assert_true(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + FIXTURE_LEASE_MS + 1, &taken));
    assert_string_equal(taken.id, job.id);
    assert_true(taken.is_spooled);
    const struct job_upload upload = {"v2/a-0.csv.gz", "u1"};
    const struct job_recipient recipient = {"a@example.com", JOB_RECIPIENT_SENT, NULL};
    struct err *err = &fixture->err;
    assert_refused(fixture, job_spool(fixture->catalog, &dead, &spooled, err), ERR_CANCELED);
    assert_refused(fixture, job_unspool(fixture->catalog, &dead, err), ERR_CANCELED);
    assert_refused(fixture, job_upload_begun(fixture->catalog, &dead, &upload, FIXTURE_NOW_MS, err),
                   ERR_CANCELED);
    assert_refused(fixture, job_settle_recipient(fixture->catalog, &dead, &recipient, err),
                   ERR_CANCELED);
    assert_int_equal(spooled_bytes(fixture), 70);
}

static void uploads_are_known_until_they_are_over(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const struct job_claim claim = fixture_claim_of(&job);
    const struct job_upload first = {"v2/a-0.csv.gz", "u1"};
    const struct job_upload second = {"v2/a-0.csv.gz", "u2"};
    struct err *err = &fixture->err;
    assert_done(fixture, job_upload_begun(fixture->catalog, &claim, &first, 1, err));
    assert_done(fixture, job_upload_begun(fixture->catalog, &claim, &second, 2, err));
    assert_done(fixture, job_upload_over(fixture->catalog, job.id, &first, err));
    assert_done(fixture, job_upload_over(fixture->catalog, job.id, &first, err));
    struct job_upload *uploads = NULL;
    size_t count = 0;
    assert_done(fixture,
                job_uploads(fixture->catalog, job.id, &fixture->arena, &uploads, &count, err));
    assert_int_equal(count, 1);
    assert_string_equal(uploads[0].upload_id, "u2");
}

static void each_recipient_is_settled_alone(void **state)
{
    struct fixture *fixture = *state;
    const char *id = NULL;
    const struct job job = start(fixture, &id);
    const struct job_claim claim = fixture_claim_of(&job);
    const struct job_recipient settled[] = {
        {"b@example.com", JOB_RECIPIENT_WAITS, "451 later"},
        {"a@example.com", JOB_RECIPIENT_REFUSED, "550 no such user"},
        {"b@example.com", JOB_RECIPIENT_SENT, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(settled); i++)
        assert_done(fixture,
                    job_settle_recipient(fixture->catalog, &claim, &settled[i], &fixture->err));
    struct job_recipient *recipients = NULL;
    size_t count = 0;
    assert_done(fixture, job_recipients(fixture->catalog, job.id, &fixture->arena, &recipients,
                                        &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_string_equal(job_recipient_state_name(recipients[0].state), "refused");
    assert_string_equal(recipients[0].reason, "550 no such user");
    assert_string_equal(job_recipient_state_name(recipients[1].state), "sent");
    assert_null(recipients[1].reason);
}

static const char *claim_probe(struct fixture *fixture, int64_t now_ms)
{
    const char *id = "";
    assert_done(fixture, subscription_claim_probe(fixture->catalog, now_ms, CIVIL_DAY_MS,
                                                  &fixture->arena, &id, &fixture->err));
    return id;
}

static void settle_probe(struct fixture *fixture, const char *id, int64_t now_ms,
                         const char *failure)
{
    assert_done(fixture,
                subscription_settle_probe(fixture->catalog, id, now_ms, failure, &fixture->err));
}

static void assert_probed(struct fixture *fixture, const char *id, int64_t at_ms,
                          const char *failure)
{
    struct subscription subscription;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 0, &fixture->arena,
                                              &subscription, &fixture->err));
    assert_int_equal(subscription.probed_at_ms, at_ms);
    if (failure == NULL)
        assert_null(subscription.probe_failure);
    else
        assert_string_equal(subscription.probe_failure, failure);
}

static void buckets_are_tried_once_a_day(void **state)
{
    struct fixture *fixture = *state;
    const int64_t tomorrow_ms = FIXTURE_NOW_MS + CIVIL_DAY_MS;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_null(claim_probe(fixture, FIXTURE_NOW_MS)); // it has none
    settle_probe(fixture, id, FIXTURE_NOW_MS, NULL);
    assert_null(claim_probe(fixture, tomorrow_ms - 1));
    assert_string_equal(claim_probe(fixture, tomorrow_ms), id);
    assert_null(claim_probe(fixture, tomorrow_ms)); // by one worker
    settle_probe(fixture, id, tomorrow_ms, "no such bucket");
    assert_probed(fixture, id, tomorrow_ms, "no such bucket");
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    assert_null(claim_probe(fixture, FIXTURE_NOW_MS + 9 * CIVIL_DAY_MS));
}

static void a_probe_says_nothing_about_the_bucket_of_a_later_edit(void **state)
{
    struct fixture *fixture = *state;
    const int64_t tomorrow_ms = FIXTURE_NOW_MS + CIVIL_DAY_MS;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    settle_probe(fixture, id, FIXTURE_NOW_MS, NULL);
    assert_string_equal(claim_probe(fixture, tomorrow_ms), id);
    const struct db_value values[] = {db_text(id)}; // as an edit does
    assert_done(fixture, db_exec(fixture->catalog->db,
                                 "UPDATE subscriptions SET probed_at_ms = 1 WHERE id = $1", values,
                                 1, NULL, &fixture->err));
    settle_probe(fixture, id, tomorrow_ms, "no such bucket");
    assert_probed(fixture, id, 1, NULL);
    assert_string_equal(claim_probe(fixture, tomorrow_ms), id); // the new one is tried soon
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(files_are_made_once_and_delivered_as_often_as_needed),
        fixture_test(a_manifest_is_seen_with_success_only),
        fixture_test(files_of_the_result_take_the_place_of_the_spooled_ones),
        fixture_test(damaged_files_are_made_again),
        fixture_test(a_failed_delivery_leaves_no_files),
        fixture_test(deactivation_cancels_what_waits_for_its_delivery),
        fixture_test(retention_leaves_what_is_restored),
        fixture_test(a_lost_delivery_is_taken_over_as_one),
        fixture_test(uploads_are_known_until_they_are_over),
        fixture_test(each_recipient_is_settled_alone),
        fixture_test(buckets_are_tried_once_a_day),
        fixture_test(a_probe_says_nothing_about_the_bucket_of_a_later_edit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
