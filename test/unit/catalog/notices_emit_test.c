// SPDX-License-Identifier: Apache-2.0
// What becomes news, and for whom.
#include "notices_fixture.h"

#include "catalog/deliveries.h"

#define HOUR FIXTURE_HOUR(5)

struct told {
    const char *events[16];
    size_t count;
};

// All notices so far, in their order.
static struct told told(struct fixture *fixture)
{
    struct told result = {0};
    struct db_rows *rows = NULL;
    assert_done(fixture, db_query(fixture->catalog->db, "SELECT body FROM notices ORDER BY id",
                                  NULL, 0, &rows, &fixture->err));
    while (db_rows_next(rows, &fixture->err)) {
        struct json_tree *tree = NULL;
        assert_true(result.count < ARRAY_COUNT(result.events));
        assert_done(fixture, json_tree_parse(db_rows_text(rows, 0), &tree, &fixture->err));
        result.events[result.count++] = arena_copy_slice(
            &fixture->arena, json_node_text(json_node_get(json_tree_root(tree), "event")));
        json_tree_free(&tree);
    }
    db_rows_close(&rows);
    return result;
}

static void assert_told(struct fixture *fixture, const char *const *events, size_t count)
{
    const struct told all = told(fixture);
    assert_int_equal(all.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(all.events[i], events[i]);
}

#define assert_events(fixture, ...)                                                                \
    do {                                                                                           \
        static const char *const events[] = {__VA_ARGS__};                                         \
        assert_told(fixture, events, ARRAY_COUNT(events));                                         \
    } while (0)

static void assert_nothing_told(struct fixture *fixture)
{
    assert_told(fixture, NULL, 0);
}

static const char *only_body(struct fixture *fixture)
{
    struct db_rows *rows = NULL;
    assert_done(fixture, db_query(fixture->catalog->db, "SELECT body FROM notices ORDER BY id",
                                  NULL, 0, &rows, &fixture->err));
    assert_true(db_rows_next(rows, &fixture->err));
    const char *body = catalog_row_text(rows, 0, &fixture->arena);
    assert_false(db_rows_next(rows, &fixture->err));
    db_rows_close(&rows);
    return body;
}

static const char *only_notice_id(struct fixture *fixture)
{
    struct db_rows *rows = NULL;
    assert_done(fixture, db_query(fixture->catalog->db, "SELECT notice_id FROM notices", NULL, 0,
                                  &rows, &fixture->err));
    assert_true(db_rows_next(rows, &fixture->err));
    const char *id = catalog_row_text(rows, 0, &fixture->arena);
    db_rows_close(&rows);
    return id;
}

static void fail_job(struct fixture *fixture, const struct job *job, const char *reason)
{
    const struct job_claim claim = fixture_claim_of(job);
    assert_done(fixture,
                job_fail(fixture->catalog, &claim, reason, FIXTURE_NOW_MS, 0, &fixture->err));
}

static struct job retry(struct fixture *fixture, const struct job *failed)
{
    struct job made;
    struct job claimed;
    assert_done(fixture,
                job_retry(fixture->catalog, fixture->organization_id, slice_text(failed->id),
                          FIXTURE_NOW_MS, &fixture->arena, &made, &fixture->err));
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &claimed));
    assert_string_equal(claimed.id, made.id);
    return claimed;
}

static int64_t tell_late(struct fixture *fixture, int64_t now_ms)
{
    int64_t count = -1;
    assert_done(fixture, notice_tell_late(fixture->catalog, now_ms, CIVIL_HOUR_MS, 50, &count,
                                          &fixture->err));
    return count;
}

// --- Jobs

static void success_is_told_with_the_job(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct job job = fixture_run_hour(fixture, id, HOUR);
    assert_nothing_told(fixture);
    fixture_succeed(fixture, &job, 7);
    const char *expected = arena_format(
        &fixture->arena,
        "{\"notice_id\":\"%s\",\"event\":\"job_succeeded\","
        "\"created_at\":\"2024-10-04T10:20:00.000-00:00\",\"organization_id\":\"%s\","
        "\"app_id\":\"%s\",\"subscription_id\":\"%s\",\"job\":{\"job_id\":\"%s\","
        "\"status\":\"SUCCEEDED\",\"start_date\":\"2024-10-04T05:00:00.000-00:00\","
        "\"end_date\":\"2024-10-04T06:00:00.000-00:00\",\"revision\":0,\"lines_exported\":7,"
        "\"reason\":null}}",
        only_notice_id(fixture), fixture->organization_id, fixture->app_id, id, job.id);
    assert_string_equal(only_body(fixture), expected);
    fixture_succeed(fixture, &job, 7); // said twice by the worker, told once
    assert_events(fixture, "job_succeeded");
}

static void failure_is_told_with_its_reason(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct job job = fixture_run_hour(fixture, id, HOUR);
    const struct job_claim claim = fixture_claim_of(&job);
    // A try that failed is no news.
    assert_done(fixture, job_fail(fixture->catalog, &claim, "busy", FIXTURE_NOW_MS,
                                  FIXTURE_NOW_MS + 1, &fixture->err));
    assert_nothing_told(fixture);
    struct job again;
    assert_true(fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 1, &again));
    fail_job(fixture, &again, "broken");
    assert_events(fixture, "job_failed");
    assert_non_null(strstr(only_body(fixture), "\"status\":\"FAILED\""));
    assert_non_null(strstr(only_body(fixture), "\"lines_exported\":0,\"reason\":\"broken\"}}"));
}

static void jobs_whose_workers_die_are_told(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, 1U << NOTICE_JOB_FAILED);
    struct job job = fixture_run_hour(fixture, id, HOUR);
    for (int64_t i = 1; i < 5; i++)
        assert_true(fixture_claim_at(fixture, "supervisor",
                                     FIXTURE_NOW_MS + i * (FIXTURE_LEASE_MS + 1), &job));
    assert_false(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + 5 * (FIXTURE_LEASE_MS + 1), &job));
    assert_events(fixture, "job_failed");
}

static void who_asked_is_told(void **state)
{
    struct fixture *fixture = *state;
    const char *app_2 = fixture_add_app(fixture, "another");
    const char *other_app = NULL;
    const char *other = fixture_organization(fixture, "second", &other_app);
    const char *mine = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const char *another = fixture_subscribe(fixture, CADENCE_HOURLY, "os");
    const struct {
        struct subscription_scope scope;
        const char *subscription_id;
        unsigned events;
        bool is_told;
    } rows[] = {
        {{fixture->organization_id, NULL, true}, NULL, NOTICE_ALL_EVENTS, true},
        {{fixture->organization_id, NULL, true}, NULL, 1U << NOTICE_JOB_SUCCEEDED, true},
        {{fixture->organization_id, NULL, true}, NULL, 1U << NOTICE_JOB_FAILED, false},
        {{fixture->organization_id, fixture->app_id, true}, NULL, NOTICE_ALL_EVENTS, true},
        {{fixture->organization_id, app_2, true}, NULL, NOTICE_ALL_EVENTS, false},
        {{fixture->organization_id, NULL, true}, mine, NOTICE_ALL_EVENTS, true},
        {{fixture->organization_id, NULL, true}, another, NOTICE_ALL_EVENTS, false},
        {{other, NULL, true}, NULL, NOTICE_ALL_EVENTS, false},
        {{other, other_app, true}, NULL, NOTICE_ALL_EVENTS, false},
    };
    const char *ids[ARRAY_COUNT(rows)];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct notification_request request = fixture_webhook(fixture);
        request.scope = rows[i].scope;
        request.subscription_id = rows[i].subscription_id;
        request.events = rows[i].events;
        ids[i] = fixture_notify(fixture, &request).id;
    }
    const char *deleted = fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_scope scope = fixture_scope(fixture);
    assert_done(fixture, notification_delete(fixture->catalog, &scope, slice_text(deleted),
                                             FIXTURE_NOW_MS, &fixture->err));
    const struct job job = fixture_run_hour(fixture, mine, HOUR);
    fixture_succeed(fixture, &job, 1);
    int64_t total = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const int64_t count = fixture_count(
            fixture,
            arena_format(&fixture->arena,
                         "SELECT count(*) FROM notices WHERE notification_id = '%s'", ids[i]));
        if (count != (rows[i].is_told ? 1 : 0))
            fail_msg("row %zu: %d notices", i, (int)count);
        total += count;
    }
    assert_int_equal(fixture_count(fixture, "SELECT count(*) FROM notices"), total);
}

static void jobs_of_the_organization_are_told_to_the_organization(void **state)
{
    struct fixture *fixture = *state;
    struct subscription_request subscribing = fixture_request(fixture, CADENCE_HOURLY, "name");
    subscribing.app_id = NULL;
    const char *id = fixture_create(fixture, &subscribing).id;
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    fixture_succeed(fixture, &sample, 0);
    struct notification_request request = fixture_webhook(fixture);
    request.scope.app_id = fixture->app_id;
    (void)fixture_notify(fixture, &request);
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct job job = fixture_run_hour(fixture, id, HOUR);
    fixture_succeed(fixture, &job, 1);
    assert_events(fixture, "job_succeeded");
    assert_non_null(strstr(only_body(fixture), "\"app_id\":null"));
}

static void a_mail_goes_to_each_address(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct notification_request request = fixture_mail(fixture,
                                                             "a@b.example c@d.example e@f.example");
    (void)fixture_notify(fixture, &request);
    const struct job job = fixture_run_hour(fixture, id, HOUR);
    fixture_succeed(fixture, &job, 1);
    assert_events(fixture, "job_succeeded", "job_succeeded", "job_succeeded");
    assert_int_equal(fixture_count(fixture, "SELECT count(DISTINCT recipient) FROM notices"), 3);
    assert_int_equal(fixture_count(fixture, "SELECT count(DISTINCT notice_id) FROM notices"), 3);
}

// The outbox: a change that is not made is not told.
static void a_zombie_tells_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct job old = fixture_run_hour(fixture, id, HOUR);
    struct job current;
    assert_true(
        fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS + FIXTURE_LEASE_MS + 1, &current));
    const struct job_claim claim = fixture_claim_of(&old);
    const struct job_result result = {.manifest = "{}", .now_ms = FIXTURE_NOW_MS};
    assert_refused(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err),
                   ERR_CANCELED);
    assert_refused(fixture,
                   job_fail(fixture->catalog, &claim, "x", FIXTURE_NOW_MS, 0, &fixture->err),
                   ERR_CANCELED);
    assert_nothing_told(fixture);
    // Nor is one whose transaction cannot end: two files of one key.
    const struct job_claim held = fixture_claim_of(&current);
    const struct job_file files[] = {{0, "k", 1, 1, "00"}, {1, "k", 1, 1, "00"}};
    const struct job_result twice = {.files = files,
                                     .file_count = 2,
                                     .row_count = 2,
                                     .manifest = "{}",
                                     .now_ms = FIXTURE_NOW_MS};
    assert_false(job_succeed(fixture->catalog, &held, &twice, &fixture->err));
    assert_nothing_told(fixture);
}

static void what_clients_do_not_see_is_no_news(void **state)
{
    struct fixture *fixture = *state;
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name"); // its sample
    assert_nothing_told(fixture);
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, HOUR, 10);
    const struct job job = fixture_run_hour(fixture, id, HOUR);
    fixture_succeed(fixture, &job, 10);
    assert_events(fixture, "job_succeeded");
    // A late revision without rows, then one with.
    for (int64_t i = 0; i < 2; i++) {
        int64_t made = 0;
        struct job late;
        fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, HOUR, 4);
        assert_done(fixture,
                    job_schedule_late(fixture->catalog, FIXTURE_NOW_MS + i * 2 * FIXTURE_GAP_MS,
                                      FIXTURE_GAP_MS, 500, &made, &fixture->err));
        assert_int_equal(made, 1);
        assert_true(fixture_claim(fixture, &late));
        fixture_succeed(fixture, &late, i);
        assert_int_equal(told(fixture).count, 1 + i);
    }
}

static void a_restored_job_has_been_told(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    struct job job = fixture_run_hour(fixture, id, HOUR);
    const struct job_claim claim = fixture_claim_of(&job);
    const char *recipe = NULL;
    assert_done(fixture, job_freeze(fixture->catalog, &claim, "{}", &fixture->arena, &recipe,
                                    &fixture->err));
    fixture_succeed(fixture, &job, 1);
    const int64_t later_ms = FIXTURE_NOW_MS + 2 * FIXTURE_EXPIRY_MS;
    for (int i = 0; i < 2; i++) { // restored, and restored in vain
        int64_t expired = 0;
        struct job restored;
        assert_done(fixture,
                    job_expire(fixture->catalog, later_ms * (1 + i), 10, &expired, &fixture->err));
        assert_int_equal(expired, 1);
        assert_done(fixture, job_forget_file(fixture->catalog, job.id,
                                             arena_format(&fixture->arena,
                                                          "v2/job_id=%s/part-0.csv.gz", job.id),
                                             &fixture->err));
        const struct job_restore_request request = {fixture->organization_id, slice_text(job.id),
                                                    later_ms, later_ms * (2 + i)};
        assert_done(fixture, job_restore(fixture->catalog, &request, &fixture->arena, &restored,
                                         &fixture->err));
        assert_int_equal(tell_late(fixture, later_ms), 0); // it was made long ago
        fixture_set_bounds(fixture, fixture->seal_seq);
        assert_true(fixture_claim_at(fixture, "supervisor", later_ms, &job));
        if (i == 0)
            fixture_succeed_at(fixture, &job, 1, later_ms);
        else
            fail_job(fixture, &job, "other bytes");
    }
    assert_events(fixture, "job_succeeded");
}

static void what_is_asked_for_once_is_no_news(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct job job = fixture_run_hour(fixture, id, HOUR);
    fixture_sql(fixture, "UPDATE subscriptions SET kind = 1"); // a custom export
    fixture_succeed(fixture, &job, 1);
    assert_nothing_told(fixture);
}

static void what_the_customer_ends_is_no_news(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    assert_int_equal(fixture_backfill(fixture, id, HOUR, HOUR + CIVIL_HOUR_MS), 1);
    fixture_deactivate(fixture, id, FIXTURE_NOW_MS);
    assert_int_equal(fixture_last(fixture, id, HOUR).state, JOB_FAILED);
    assert_nothing_told(fixture);
}

// --- Late and recovered

static void a_late_job_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    assert_int_equal(fixture_backfill(fixture, id, HOUR, HOUR + CIVIL_HOUR_MS), 1);
    assert_int_equal(tell_late(fixture, FIXTURE_NOW_MS + CIVIL_HOUR_MS - 1), 0);
    assert_int_equal(tell_late(fixture, FIXTURE_NOW_MS + CIVIL_HOUR_MS), 1);
    assert_int_equal(tell_late(fixture, FIXTURE_NOW_MS + 2 * CIVIL_HOUR_MS), 0);
    assert_events(fixture, "late");
    assert_non_null(strstr(only_body(fixture), "\"status\":\"PENDING_GENERATION\""));
    // And the window that was late recovers.
    struct job job;
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 3);
    assert_events(fixture, "late", "job_succeeded", "recovered");
}

static void final_jobs_are_not_late(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    const struct job good = fixture_run_hour(fixture, id, HOUR);
    fixture_succeed(fixture, &good, 1);
    const struct job bad = fixture_run_hour(fixture, id, FIXTURE_HOUR(6));
    fail_job(fixture, &bad, "broken");
    const struct job running = fixture_run_hour(fixture, id, FIXTURE_HOUR(7));
    (void)running;
    assert_int_equal(tell_late(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 1); // runs for long
}

static void many_are_told_step_by_step(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    assert_int_equal(
        fixture_backfill(fixture, id, FIXTURE_DAY_MS - 70 * CIVIL_HOUR_MS, FIXTURE_DAY_MS), 70);
    assert_int_equal(tell_late(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 50);
    assert_int_equal(tell_late(fixture, FIXTURE_NOW_MS + CIVIL_DAY_MS), 20);
    assert_nothing_told(fixture); // nobody asked
}

static void a_window_that_failed_recovers(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    (void)fixture_notify_of(fixture, 1U << NOTICE_RECOVERED);
    const struct job first = fixture_run_hour(fixture, id, HOUR);
    fail_job(fixture, &first, "broken");
    const struct job second = retry(fixture, &first);
    fail_job(fixture, &second, "still broken");
    const struct job third = retry(fixture, &second);
    fixture_succeed(fixture, &third, 1);
    assert_events(fixture, "recovered");
    assert_non_null(strstr(only_body(fixture), "\"revision\":2"));
    // Once: the revision after the one that recovered follows a good one.
    int64_t made = 0;
    struct job late;
    fixture_seal(fixture, fixture->app_id, FIXTURE_TOPIC_ID, HOUR, 4);
    assert_done(fixture, job_schedule_late(fixture->catalog, FIXTURE_NOW_MS + 2 * FIXTURE_GAP_MS,
                                           FIXTURE_GAP_MS, 500, &made, &fixture->err));
    assert_int_equal(made, 1);
    assert_true(fixture_claim(fixture, &late));
    fixture_succeed(fixture, &late, 4);
    assert_events(fixture, "recovered");
}

// --- Subscriptions

static void a_failed_sample_is_told(void **state)
{
    struct fixture *fixture = *state;
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    const char *id = fixture_create(fixture, &request).id;
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    fail_job(fixture, &sample, "access denied");
    assert_string_equal(
        only_body(fixture),
        arena_format(&fixture->arena,
                     "{\"notice_id\":\"%s\",\"event\":\"subscription_failed\","
                     "\"created_at\":\"2024-10-04T10:20:00.000-00:00\",\"organization_id\":\"%s\","
                     "\"app_id\":\"%s\",\"subscription_id\":\"%s\",\"reason\":\"access denied\","
                     "\"job\":null}",
                     only_notice_id(fixture), fixture->organization_id, fixture->app_id, id));
    // What is settled already is told no more.
    assert_done(fixture, subscription_settle(fixture->catalog, id, false, "again", FIXTURE_NOW_MS,
                                             &fixture->err));
    assert_events(fixture, "subscription_failed");
}

static void probe(struct fixture *fixture, const char *id, const char *failure)
{
    assert_done(fixture, subscription_settle_probe(fixture->catalog, id, FIXTURE_NOW_MS, failure,
                                                   &fixture->err));
}

static void a_bucket_that_is_closed_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    (void)fixture_notify_of(fixture, NOTICE_ALL_EVENTS);
    const struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "os");
    probe(fixture, fixture_create(fixture, &request).id, "denied"); // its sample is yet to fail
    assert_nothing_told(fixture);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    fixture_succeed(fixture, &sample, 0);
    const char *id = fixture_subscribe(fixture, CADENCE_HOURLY, "name");
    probe(fixture, id, NULL);
    assert_nothing_told(fixture);
    probe(fixture, id, "denied: s3:PutObject");
    probe(fixture, id, "denied: s3:PutObject");
    assert_events(fixture, "subscription_failed");
    assert_non_null(strstr(only_body(fixture), "\"reason\":\"denied: s3:PutObject\""));
    probe(fixture, id, NULL);
    probe(fixture, id, "denied again");
    assert_events(fixture, "subscription_failed", "subscription_failed");
}

static void a_test_tells_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_notify_of(fixture, 1U << NOTICE_LATE);
    (void)fixture_test_notice(fixture, id, FIXTURE_NOW_MS);
    assert_string_equal(
        only_body(fixture),
        arena_format(&fixture->arena,
                     "{\"notice_id\":\"%s\",\"event\":\"test\","
                     "\"created_at\":\"2024-10-04T10:20:00.000-00:00\",\"organization_id\":\"%s\","
                     "\"app_id\":null,\"subscription_id\":null,\"job\":null}",
                     only_notice_id(fixture), fixture->organization_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(success_is_told_with_the_job),
        fixture_test(failure_is_told_with_its_reason),
        fixture_test(jobs_whose_workers_die_are_told),
        fixture_test(who_asked_is_told),
        fixture_test(jobs_of_the_organization_are_told_to_the_organization),
        fixture_test(a_mail_goes_to_each_address),
        fixture_test(a_zombie_tells_nothing),
        fixture_test(what_clients_do_not_see_is_no_news),
        fixture_test(a_restored_job_has_been_told),
        fixture_test(what_is_asked_for_once_is_no_news),
        fixture_test(what_the_customer_ends_is_no_news),
        fixture_test(a_late_job_is_told_once),
        fixture_test(final_jobs_are_not_late),
        fixture_test(many_are_told_step_by_step),
        fixture_test(a_window_that_failed_recovers),
        fixture_test(a_failed_sample_is_told),
        fixture_test(a_bucket_that_is_closed_is_told_once),
        fixture_test(a_test_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
