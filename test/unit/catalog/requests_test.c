// SPDX-License-Identifier: Apache-2.0
// What is asked for once: found by its own calls alone, shared by its key, and gone when it is old.
#include "jobs_fixture.h"

#include <string.h>

#include "catalog/audit.h"
#include "catalog/requests.h"

#define DAY FIXTURE_DAY_MS

static struct request_spec spec_of(struct fixture *fixture, enum subscription_kind kind,
                                   const char *shared_key)
{
    return (struct request_spec){
        .kind = kind,
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .report = fixture_report(fixture, CADENCE_DAILY, "name"),
        .topic_id = FIXTURE_TOPIC_ID,
        .start_ms = DAY + 1,
        .end_ms = DAY + 5000,
        .now_ms = FIXTURE_NOW_MS,
        .is_awaited = kind == SUBSCRIPTION_PREVIEW,
        .shared_key = shared_key,
    };
}

static struct request make(struct fixture *fixture, const struct request_spec *spec)
{
    struct request request = {0};
    assert_done(fixture,
                request_create(fixture->catalog, spec, &fixture->arena, &request, &fixture->err));
    return request;
}

static struct request make_kind(struct fixture *fixture, enum subscription_kind kind,
                                const char *shared_key)
{
    const struct request_spec spec = spec_of(fixture, kind, shared_key);
    return make(fixture, &spec);
}

static bool find(struct fixture *fixture, const struct request_scope *scope, const char *id)
{
    struct request request = {0};
    if (request_get(fixture->catalog, scope, slice_text(id), &fixture->arena, &request,
                    &fixture->err))
        return true;
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    return false;
}

static struct job claim(struct fixture *fixture, const char *job_id)
{
    struct job job = {0};
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &job));
    assert_string_equal(job.id, job_id);
    return job;
}

// Claims until a live window comes, `flood` being made anew before each claim.
static int claims_until_live(struct fixture *fixture, int limit,
                             void (*flood)(struct fixture *fixture, int number))
{
    for (int i = 1; i <= limit; i++) {
        struct job job = {0};
        flood(fixture, i);
        fixture_set_bounds(fixture, fixture->seal_seq);
        assert_true(fixture_claim(fixture, &job));
        if (job.kind == JOB_LIVE)
            return i;
    }
    return INT32_MAX;
}

static void flood_previews(struct fixture *fixture, int number)
{
    char key[32];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(key, sizeof key, "preview %d %d", number, i);
        (void)make_kind(fixture, SUBSCRIPTION_PREVIEW, key);
    }
}

static void flood_samples(struct fixture *fixture, int number)
{
    char name[32];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "field_%d_%d", number, i);
        const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, name);
        (void)fixture_create(fixture, &request);
    }
}

// Who asks faster than the workers answer does not keep another organization's windows waiting.
static void windows_do_not_wait_for_a_flood(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = fixture->organization_id;
    const char *app_id = fixture->app_id;
    fixture->organization_id = fixture_organization(fixture, "other", &fixture->app_id);
    (void)fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    fixture->organization_id = organization_id;
    fixture->app_id = app_id;
    assert_int_equal(fixture_schedule(fixture, FIXTURE_HOUR(14), 500), 3);
    assert_in_range(claims_until_live(fixture, 20, flood_previews), 1, 2);
    assert_in_range(claims_until_live(fixture, 20, flood_samples), 1, 2);
}

// Neither do what it asked for without waiting, or backfills.
static void exports_do_not_wait_for_a_flood(void **state)
{
    struct fixture *fixture = *state;
    struct request request = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    for (int i = 1; i <= 4; i++) {
        struct job job = {0};
        flood_previews(fixture, i);
        fixture_set_bounds(fixture, fixture->seal_seq);
        assert_true(fixture_claim(fixture, &job));
        if (strcmp(job.id, request.job.id) == 0)
            return;
    }
    fail_msg("four claims, and none of them for the export");
}

static void fail_job(struct fixture *fixture, const struct job *job)
{
    const struct job_claim held = fixture_claim_of(job);
    assert_done(fixture,
                job_fail(fixture->catalog, &held, "a reason", FIXTURE_NOW_MS, 0, &fixture->err));
}

static void a_request_is_found_by_its_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    const char *other_app_id = NULL;
    const char *other_id = fixture_organization(fixture, "other", &other_app_id);
    const struct request request = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    assert_int_equal(request.job.state, JOB_PENDING_GENERATION);
    assert_int_equal(request.job.start_ms, DAY + 1);
    struct request_scope scope = {SUBSCRIPTION_CUSTOM_EXPORT, fixture->organization_id,
                                  fixture->app_id, true};
    assert_true(find(fixture, &scope, request.id));
    scope.app_id = NULL;
    assert_true(find(fixture, &scope, request.id));
    scope.app_id = other_app_id;
    assert_false(find(fixture, &scope, request.id));
    scope = (struct request_scope){SUBSCRIPTION_CUSTOM_EXPORT, other_id, NULL, true};
    assert_false(find(fixture, &scope, request.id));
    scope = (struct request_scope){SUBSCRIPTION_DAILY_EXPORT, fixture->organization_id, NULL, true};
    assert_false(find(fixture, &scope, request.id));
    assert_false(find(fixture, &scope, "no such id"));
}

static void of_all_apps_is_seen_when_the_caller_may(void **state)
{
    struct fixture *fixture = *state;
    struct request_spec spec = spec_of(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    spec.app_id = NULL;
    const struct request request = make(fixture, &spec);
    assert_null(request.app_id);
    assert_null(request.job.app_id);
    struct request_scope scope = {SUBSCRIPTION_CUSTOM_EXPORT, fixture->organization_id,
                                  fixture->app_id, true};
    assert_true(find(fixture, &scope, request.id));
    scope.with_organization = false; // a token of one app
    assert_false(find(fixture, &scope, request.id));
}

static void no_call_of_subscriptions_knows_of_it(void **state)
{
    struct fixture *fixture = *state;
    const struct request request = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    const struct subscription_scope scope = {fixture->organization_id, NULL, true};
    struct subscription subscription;
    struct subscription *subscriptions = NULL;
    size_t count = 0;
    int64_t number = 0;
    assert_refused(fixture,
                   subscription_get(fixture->catalog, &scope, slice_text(request.id),
                                    &fixture->arena, &subscription, &fixture->err),
                   ERR_NOT_FOUND);
    assert_done(fixture, subscription_list(fixture->catalog, &scope, &fixture->arena,
                                           &subscriptions, &count, &fixture->err));
    assert_int_equal(count, 0);
    assert_refused(fixture,
                   subscription_deactivate(fixture->catalog, &scope, slice_text(request.id),
                                           FIXTURE_NOW_MS, &fixture->err),
                   ERR_NOT_FOUND);
    assert_refused(fixture,
                   job_backfill(fixture->catalog, request.id, DAY, DAY + CIVIL_DAY_MS,
                                DAY + 2 * CIVIL_DAY_MS, &number, &number, &fixture->err),
                   ERR_NOT_FOUND);
    // Its window comes once, whatever time it is, and never again for late rows.
    assert_int_equal(fixture_schedule(fixture, DAY + 1000 * CIVIL_DAY_MS, 500), 0);
    const struct job job = claim(fixture, request.job.id);
    fixture_succeed(fixture, &job, 3);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, DAY, 2);
    assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS, 0, 500, &number,
                                           &fixture->err));
    assert_int_equal(number, 0);
}

static void callers_with_one_key_share_it(void **state)
{
    struct fixture *fixture = *state;
    const struct request first = make_kind(fixture, SUBSCRIPTION_DAILY_EXPORT, "a day");
    assert_string_equal(make_kind(fixture, SUBSCRIPTION_DAILY_EXPORT, "a day").id, first.id);
    const char *other = make_kind(fixture, SUBSCRIPTION_DAILY_EXPORT, "next day").id;
    assert_string_not_equal(other, first.id);
    const struct job job = claim(fixture, first.job.id);
    fixture_succeed(fixture, &job, 1);
    assert_string_not_equal(make_kind(fixture, SUBSCRIPTION_PREVIEW, "a day").id, first.id);
    const struct request done = make_kind(fixture, SUBSCRIPTION_DAILY_EXPORT, "a day");
    assert_string_equal(done.id, first.id);
    assert_int_equal(done.job.state, JOB_SUCCEEDED);
    assert_int_equal(done.job.file_count, 1);
}

static void what_failed_or_was_released_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    const struct request first = make_kind(fixture, SUBSCRIPTION_PREVIEW, "key");
    const struct job job = claim(fixture, first.job.id);
    fail_job(fixture, &job);
    const struct request second = make_kind(fixture, SUBSCRIPTION_PREVIEW, "key");
    assert_string_not_equal(second.id, first.id);
    assert_int_equal(second.job.state, JOB_PENDING_GENERATION);
    const struct job next = claim(fixture, second.job.id);
    fixture_succeed(fixture, &next, 0);
    assert_string_equal(make_kind(fixture, SUBSCRIPTION_PREVIEW, "key").id, second.id);
    const char *manifest = NULL;
    assert_done(fixture, request_get_manifest(fixture->catalog, second.id, &fixture->arena,
                                              &manifest, &fixture->err));
    assert_string_equal(manifest, "{\"rows\":1}");
    assert_done(fixture, request_release(fixture->catalog, second.id, &fixture->err));
    assert_done(fixture, request_release(fixture->catalog, second.id, &fixture->err));
    assert_string_not_equal(make_kind(fixture, SUBSCRIPTION_PREVIEW, "key").id, second.id);
}

// Somebody waits for a preview: it goes before windows, and custom exports go among them.
static void what_somebody_waits_for_comes_first(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(fixture_schedule(fixture, FIXTURE_NOW_MS + 2 * CIVIL_HOUR_MS, 500), 2);
    const struct request custom = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    const struct request preview = make_kind(fixture, SUBSCRIPTION_PREVIEW, NULL);
    struct job live = {0};
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &live)); // the turn of windows
    assert_string_equal(live.subscription_id, id);
    (void)claim(fixture, preview.job.id);
    assert_true(fixture_claim(fixture, &live));
    assert_string_equal(live.subscription_id, id);
    (void)claim(fixture, custom.job.id);
}

// An export that FAILED and is retried has no better place than it had.
static void a_retried_export_goes_behind_windows(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct request custom = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    const struct job failed = claim(fixture, custom.job.id);
    fail_job(fixture, &failed);
    struct job retry = {0};
    assert_done(fixture,
                job_retry(fixture->catalog, fixture->organization_id, slice_text(failed.id),
                          FIXTURE_NOW_MS, &fixture->arena, &retry, &fixture->err));
    assert_int_equal(fixture_schedule(fixture, FIXTURE_NOW_MS + 2 * CIVIL_HOUR_MS, 500), 2);
    fixture_set_bounds(fixture, fixture->seal_seq);
    for (int i = 0; i < 2; i++) {
        struct job live = {0};
        assert_true(fixture_claim(fixture, &live));
        assert_string_equal(live.subscription_id, id);
    }
    (void)claim(fixture, retry.id);
}

static void what_was_begun_for_nobody_hurries_for_somebody(void **state)
{
    struct fixture *fixture = *state;
    struct request_spec spec = spec_of(fixture, SUBSCRIPTION_DAILY_EXPORT, "ahead");
    const struct request first = make_kind(fixture, SUBSCRIPTION_DAILY_EXPORT, "another");
    const struct request second = make(fixture, &spec);
    spec.is_awaited = true;
    assert_string_equal(make(fixture, &spec).id, second.id);
    (void)claim(fixture, second.job.id);
    (void)claim(fixture, first.job.id);
}

static void an_organization_cannot_flood_those_who_wait(void **state)
{
    struct fixture *fixture = *state;
    const struct request_spec spec = spec_of(fixture, SUBSCRIPTION_PREVIEW, NULL);
    bool is_done = true;
    int count = 0;
    for (struct request request; is_done && count < 1000; count++)
        is_done = request_create(fixture->catalog, &spec, &fixture->arena, &request, &fixture->err);
    assert_int_equal(fixture->err.kind, ERR_UNAVAILABLE);
    assert_int_equal(count - 1, 256);
    (void)make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL); // for which nobody waits
}

static void an_organization_cannot_order_without_end(void **state)
{
    struct fixture *fixture = *state;
    const struct request_spec spec = spec_of(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    bool is_done = true;
    int count = 0;
    for (struct request request; is_done && count < 2000; count++)
        is_done = request_create(fixture->catalog, &spec, &fixture->arena, &request, &fixture->err);
    assert_int_equal(fixture->err.kind, ERR_UNAVAILABLE);
    assert_int_equal(count - 1, 1000);
    const char *other_app_id = NULL;
    struct request_spec others = spec;
    others.organization_id = fixture_organization(fixture, "other", &other_app_id);
    others.app_id = other_app_id;
    (void)make(fixture, &others);
}

static void the_audit_log_has_exports_and_no_previews(void **state)
{
    struct fixture *fixture = *state;
    const struct catalog_actor actor = {
        .key_id = "key",
        .organization_id = fixture->organization_id,
        .peer = "127.0.0.1",
        .request_id = "r-1",
        .now_ms = FIXTURE_NOW_MS,
    };
    catalog_act_for(fixture->catalog, &actor);
    const struct request custom = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    (void)make_kind(fixture, SUBSCRIPTION_PREVIEW, NULL);
    catalog_act_for(fixture->catalog, NULL);
    const struct audit_query query = {.organization_id = fixture->organization_id, .limit = 10};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    assert_done(fixture, audit_list(fixture->catalog, &query, &fixture->arena, &entries, &count,
                                    &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].action, "export.create");
    assert_string_equal(entries[0].object_id, custom.id);
}

static int64_t remove_old(struct fixture *fixture, int64_t now_ms)
{
    int64_t count = -1;
    assert_done(fixture, request_remove_old(fixture->catalog, now_ms, 100, &count, &fixture->err));
    return count;
}

static void what_is_long_over_is_removed(void **state)
{
    struct fixture *fixture = *state;
    const struct request custom = make_kind(fixture, SUBSCRIPTION_CUSTOM_EXPORT, NULL);
    const struct job custom_job = claim(fixture, custom.job.id);
    fixture_succeed(fixture, &custom_job, 1);
    const struct request preview = make_kind(fixture, SUBSCRIPTION_PREVIEW, NULL);
    const struct job preview_job = claim(fixture, preview.job.id);
    fail_job(fixture, &preview_job);
    const struct request waiting = make_kind(fixture, SUBSCRIPTION_PREVIEW, NULL);
    const struct request_scope previews = {SUBSCRIPTION_PREVIEW, fixture->organization_id, NULL,
                                           true};
    const struct request_scope customs = {SUBSCRIPTION_CUSTOM_EXPORT, fixture->organization_id,
                                          NULL, true};
    assert_int_equal(remove_old(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 0);
    assert_int_equal(remove_old(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS + 1), 1);
    assert_false(find(fixture, &previews, preview.id));
    assert_true(find(fixture, &previews, waiting.id)); // its job is not final

    const int64_t expired_at_ms = FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS;
    const int64_t over_at_ms = expired_at_ms + 30 * CIVIL_DAY_MS + 1;
    int64_t count = 0;
    assert_int_equal(remove_old(fixture, over_at_ms), 0); // its file is on record yet
    assert_done(fixture, job_expire(fixture->catalog, expired_at_ms, 10, &count, &fixture->err));
    assert_done(fixture, job_forget_file(fixture->catalog, custom.job.id,
                                         arena_format(&fixture->arena, "v2/job_id=%s/part-0.csv.gz",
                                                      custom.job.id),
                                         &fixture->err));
    assert_int_equal(remove_old(fixture, over_at_ms - 1), 0);
    assert_true(find(fixture, &customs, custom.id));
    assert_int_equal(remove_old(fixture, over_at_ms), 1);
    assert_false(find(fixture, &customs, custom.id));
    assert_int_equal(remove_old(fixture, over_at_ms), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(windows_do_not_wait_for_a_flood),
        fixture_test(exports_do_not_wait_for_a_flood),
        fixture_test(a_request_is_found_by_its_owner_alone),
        fixture_test(of_all_apps_is_seen_when_the_caller_may),
        fixture_test(no_call_of_subscriptions_knows_of_it),
        fixture_test(callers_with_one_key_share_it),
        fixture_test(what_failed_or_was_released_is_made_anew),
        fixture_test(what_somebody_waits_for_comes_first),
        fixture_test(a_retried_export_goes_behind_windows),
        fixture_test(what_was_begun_for_nobody_hurries_for_somebody),
        fixture_test(an_organization_cannot_flood_those_who_wait),
        fixture_test(an_organization_cannot_order_without_end),
        fixture_test(the_audit_log_has_exports_and_no_previews),
        fixture_test(what_is_long_over_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
