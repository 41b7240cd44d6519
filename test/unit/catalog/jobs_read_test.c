// SPDX-License-Identifier: Apache-2.0
#include "jobs_fixture.h"

static struct job *list(struct fixture *fixture, const char *id, int64_t since_ms,
                        size_t *ret_count)
{
    struct job *jobs = NULL;
    assert_done(fixture, job_list(fixture->catalog, id, since_ms, &fixture->arena, &jobs, ret_count,
                                  &fixture->err));
    return jobs;
}

// A job of the hour that SUCCEEDED with `file_count` files.
static struct job deliver(struct fixture *fixture, const char *id, int64_t hour, size_t file_count,
                          int64_t now_ms)
{
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(hour));
    struct job_file *files = arena_alloc_array(&fixture->arena, file_count + 1,
                                               sizeof(struct job_file));
    for (size_t i = 0; i < file_count; i++) {
        files[i] = (struct job_file){
            .part = (int64_t)i,
            .key = arena_format(&fixture->arena, "v2/job_id=%s/part-%zu", job.id, i),
            .row_count = 10 + (int64_t)i,
            .byte_count = 100 + (int64_t)i,
            .sha256 = arena_format(&fixture->arena, "%064zu", i),
        };
    }
    const struct job_claim claim = fixture_claim_of(&job);
    const struct job_result result = {
        .files = files,
        .file_count = file_count,
        .row_count = 33,
        .byte_count = 330,
        .manifest = "{\"rows\":33}",
        .now_ms = now_ms,
        .expires_at_ms = now_ms + FIXTURE_EXPIRY_MS,
    };
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
    return job;
}

static void lists_are_newest_first_with_files(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *other = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    (void)deliver(fixture, other, 4, 2, FIXTURE_NOW_MS);
    (void)deliver(fixture, id, 3, 12, FIXTURE_NOW_MS);
    (void)deliver(fixture, id, 6, 1, FIXTURE_NOW_MS);
    (void)deliver(fixture, id, 5, 0, FIXTURE_NOW_MS);
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(4), FIXTURE_HOUR(5));
    size_t count = 0;
    const struct job *jobs = list(fixture, id, 0, &count);
    static const struct {
        int64_t hour;
        size_t file_count;
    } expected[] = {{6, 1}, {5, 0}, {4, 0}, {3, 12}};
    assert_int_equal(count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].start_ms, FIXTURE_HOUR(expected[i].hour));
        assert_int_equal(jobs[i].file_count, expected[i].file_count);
        assert_null(jobs[i].recipe);
        for (size_t part = 0; part < jobs[i].file_count; part++) {
            const struct job_file *file = &jobs[i].files[part];
            assert_int_equal(file->part, (int64_t)part);
            assert_int_equal(file->row_count, 10 + (int64_t)part);
            assert_int_equal(file->byte_count, 100 + (int64_t)part);
            assert_int_equal(strlen(file->sha256), 64);
            assert_string_equal(file->key, arena_format(&fixture->arena, "v2/job_id=%s/part-%zu",
                                                        jobs[i].id, part));
        }
    }
    (void)list(fixture, "none", 0, &count);
    assert_int_equal(count, 0);
}

static void lists_show_what_is_not_final_and_what_became_final_since(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)deliver(fixture, id, 3, 1, FIXTURE_NOW_MS);
    (void)deliver(fixture, id, 4, 1, FIXTURE_NOW_MS + 10);
    const struct job failing = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&failing);
    assert_done(fixture,
                job_fail(fixture->catalog, &claim, "no", FIXTURE_NOW_MS + 20, 0, &fixture->err));
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(1), FIXTURE_HOUR(2));
    const int64_t since_ms[] = {0, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1, FIXTURE_NOW_MS + 20,
                                FIXTURE_NOW_MS + 21};
    static const size_t expected[] = {4, 4, 3, 2, 1};
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        size_t count = 0;
        (void)list(fixture, id, since_ms[i], &count);
        assert_int_equal(count, expected[i]);
    }
}

static void a_job_is_found_by_its_owner_only(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *sibling = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    const struct job job = deliver(fixture, id, 5, 2, FIXTURE_NOW_MS);
    const char *app_id = NULL;
    const char *other = fixture_organization(fixture, "second", &app_id);
    const struct {
        const char *organization_id;
        const char *subscription_id;
        const char *job_id;
        bool is_found;
    } cases[] = {
        {fixture->organization_id, id, job.id, true},
        {fixture->organization_id, "", job.id, true},
        {fixture->organization_id, sibling, job.id, false},
        {fixture->organization_id, id, "", false},
        {fixture->organization_id, id, "none", false},
        {other, id, job.id, false},
        {other, "", job.id, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct job got;
        const bool found = job_get(
            fixture->catalog, cases[i].organization_id, slice_text(cases[i].subscription_id),
            slice_text(cases[i].job_id), &fixture->arena, &got, &fixture->err);
        assert_int_equal(found, cases[i].is_found);
        if (found) {
            assert_string_equal(got.id, job.id);
            assert_int_equal(got.file_count, 2);
            assert_int_equal(got.files[1].part, 1);
        } else {
            assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
            assert_string_equal(fixture->err.message, "Job not found");
        }
    }
    const char *manifest = NULL;
    assert_done(fixture,
                job_get_manifest(fixture->catalog, fixture->organization_id, slice_text(job.id),
                                 &fixture->arena, &manifest, &fixture->err));
    assert_string_equal(manifest, "{\"rows\":33}");
    assert_refused(fixture,
                   job_get_manifest(fixture->catalog, other, slice_text(job.id), &fixture->arena,
                                    &manifest, &fixture->err),
                   ERR_NOT_FOUND);
    const struct job running = fixture_run_hour(fixture, id, FIXTURE_HOUR(6));
    assert_refused(fixture,
                   job_get_manifest(fixture->catalog, fixture->organization_id,
                                    slice_text(running.id), &fixture->arena, &manifest,
                                    &fixture->err),
                   ERR_NOT_FOUND);
}

static void the_ledger_has_every_revision_in_order(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)deliver(fixture, id, 6, 1, FIXTURE_NOW_MS);
    const struct job failing = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&failing);
    assert_done(fixture,
                job_fail(fixture->catalog, &claim, "no", FIXTURE_NOW_MS, 0, &fixture->err));
    struct job retry;
    assert_done(fixture,
                job_retry(fixture->catalog, fixture->organization_id, slice_text(failing.id),
                          FIXTURE_NOW_MS, &fixture->arena, &retry, &fixture->err));
    (void)fixture_backfill(fixture, id, FIXTURE_HOUR(4), FIXTURE_HOUR(5));
    struct job *jobs = NULL;
    size_t count = 0;
    assert_done(fixture, job_ledger(fixture->catalog, id, FIXTURE_HOUR(5), FIXTURE_HOUR(6),
                                    &fixture->arena, &jobs, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(jobs[0].revision, 0);
    assert_int_equal(jobs[1].revision, 1);
    assert_string_equal(jobs[1].id, retry.id);
    jobs = fixture_ledger(fixture, id, &count);
    assert_int_equal(count, 4);
    assert_int_equal(jobs[0].start_ms, FIXTURE_HOUR(4));
    assert_int_equal(jobs[3].start_ms, FIXTURE_HOUR(6));
    assert_int_equal(jobs[3].file_count, 1);
}

static void a_file_is_found_by_its_key_until_it_expires(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)deliver(fixture, id, 5, 2, FIXTURE_NOW_MS);
    size_t count = 0;
    const struct job *jobs = list(fixture, id, 0, &count);
    const struct slice key = slice_text(jobs[0].files[1].key);
    struct hosted_file file;
    assert_done(fixture, hosted_file_find(fixture->catalog, NULL, key, &fixture->arena, &file,
                                          &fixture->err));
    assert_int_equal(file.file.part, 1);
    assert_int_equal(file.file.byte_count, 101);
    assert_int_equal(file.published_at_ms, FIXTURE_NOW_MS);
    assert_string_equal(file.file.sha256, jobs[0].files[1].sha256);
    assert_refused(fixture,
                   hosted_file_find(fixture->catalog, NULL, slice_text("v2/no"), &fixture->arena,
                                    &file, &fixture->err),
                   ERR_NOT_FOUND);
    int64_t expired = 0;
    assert_done(fixture, job_expire(fixture->catalog, FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS, 10,
                                    &expired, &fixture->err));
    assert_int_equal(expired, 1);
    assert_refused(
        fixture,
        hosted_file_find(fixture->catalog, NULL, key, &fixture->arena, &file, &fixture->err),
        ERR_NOT_FOUND);
}

static void retention_marks_then_forgets(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)deliver(fixture, id, 3, 2, FIXTURE_NOW_MS);
    (void)deliver(fixture, id, 4, 1, FIXTURE_NOW_MS + 1);
    (void)deliver(fixture, id, 5, 3, FIXTURE_NOW_MS + 2);
    const int64_t first_ms = FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS;
    int64_t expired = -1;
    assert_done(fixture, job_expire(fixture->catalog, first_ms - 1, 10, &expired, &fixture->err));
    assert_int_equal(expired, 0);
    assert_done(fixture, job_expire(fixture->catalog, first_ms + 1, 1, &expired, &fixture->err));
    assert_int_equal(expired, 1); // the limit
    assert_done(fixture, job_expire(fixture->catalog, first_ms + 1, 10, &expired, &fixture->err));
    assert_int_equal(expired, 1);
    // The jobs stay, their files are not shown.
    size_t count = 0;
    const struct job *jobs = list(fixture, id, 0, &count);
    assert_int_equal(count, 3);
    assert_int_equal(jobs[0].file_count, 3);
    assert_false(jobs[0].is_expired);
    for (size_t i = 1; i < 3; i++) {
        assert_true(jobs[i].is_expired);
        assert_int_equal(jobs[i].file_count, 0);
        assert_int_equal(jobs[i].row_count, 33);
    }
    // Files of the expired, oldest first; the count is of all.
    struct job_expired_file *files = NULL;
    int64_t total = 0;
    assert_done(fixture, job_expired_files(fixture->catalog, 2, &fixture->arena, &files, &count,
                                           &total, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(total, 6);
    assert_string_equal(files[0].job_id, jobs[2].id);
    bool is_listed = false;
    assert_done(fixture, job_lists_file(fixture->catalog, files[0].key, &is_listed, &fixture->err));
    assert_true(is_listed);     // expired, and its file still to go
    for (int i = 0; i < 2; i++) // a second time nothing happens
        assert_done(fixture, job_forget_file(fixture->catalog, files[0].job_id, files[0].key,
                                             &fixture->err));
    assert_done(fixture, job_lists_file(fixture->catalog, files[0].key, &is_listed, &fixture->err));
    assert_false(is_listed);
    assert_done(fixture, job_expired_files(fixture->catalog, 10, &fixture->arena, &files, &count,
                                           &total, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(total, 5);
    for (size_t i = 0; i < count; i++)
        assert_done(fixture, job_forget_file(fixture->catalog, files[i].job_id, files[i].key,
                                             &fixture->err));
    // Never a file that may still be served.
    assert_done(fixture,
                job_forget_file(fixture->catalog, jobs[0].id, jobs[0].files[0].key, &fixture->err));
    assert_done(fixture, job_expired_files(fixture->catalog, 10, &fixture->arena, &files, &count,
                                           &total, &fixture->err));
    assert_int_equal(count, 0);
    assert_int_equal(total, 3);
    assert_done(fixture, job_expire(fixture->catalog, first_ms + 1, 10, &expired, &fixture->err));
    assert_int_equal(expired, 0);
}

static void files_without_expiry_stay(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job job = fixture_run_hour(fixture, id, FIXTURE_HOUR(5));
    const struct job_claim claim = fixture_claim_of(&job);
    const struct job_file file = {.key = "key", .row_count = 1, .byte_count = 1, .sha256 = "00"};
    const struct job_result result = {
        .files = &file,
        .file_count = 1,
        .row_count = 1,
        .manifest = "{}",
        .now_ms = FIXTURE_NOW_MS,
    };
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
    int64_t expired = -1;
    assert_done(fixture, job_expire(fixture->catalog, INT64_MAX, 10, &expired, &fixture->err));
    assert_int_equal(expired, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(lists_are_newest_first_with_files),
        fixture_test(lists_show_what_is_not_final_and_what_became_final_since),
        fixture_test(a_job_is_found_by_its_owner_only),
        fixture_test(the_ledger_has_every_revision_in_order),
        fixture_test(a_file_is_found_by_its_key_until_it_expires),
        fixture_test(retention_marks_then_forgets),
        fixture_test(files_without_expiry_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
