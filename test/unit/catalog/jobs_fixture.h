// SPDX-License-Identifier: Apache-2.0
// What the tests of jobs and subscriptions share: a catalog in memory, a way to subscribe, a
// worker, and a lake whose seals are made up.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/hosted_files.h"
#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "catalog/segments.h"
#include "catalog/subscription_windows.h"
#include "catalog/subscriptions.h"
#include "catalog/tenants.h"

#define FIXTURE_DAY_MS    (INT64_C(20000) * CIVIL_DAY_MS) // 2024-10-04
#define FIXTURE_HOUR(n)   (FIXTURE_DAY_MS + (n)*CIVIL_HOUR_MS)
#define FIXTURE_NOW_MS    (FIXTURE_HOUR(10) + 20 * CIVIL_MINUTE_MS)
#define FIXTURE_GRACE_MS  (5 * CIVIL_MINUTE_MS)
#define FIXTURE_LEASE_MS  INT64_C(10000)
#define FIXTURE_TOPIC_ID  INT64_C(7)
#define FIXTURE_GAP_MS    (15 * CIVIL_MINUTE_MS)
#define FIXTURE_EXPIRY_MS (7 * CIVIL_DAY_MS)

// err->message shows why when it fails.
#define assert_done(fixture, call)                                                                 \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, (fixture)->err.message);                                     \
    } while (0)
#define assert_refused(fixture, call, expected_kind)                                               \
    do {                                                                                           \
        assert_false(call);                                                                        \
        assert_string_equal(err_kind_name((fixture)->err.kind), err_kind_name(expected_kind));     \
    } while (0)

struct fixture {
    struct catalog *catalog;
    struct arena arena;
    struct err err;
    int64_t seal_seq;
    int64_t log_file_id;
    const char *organization_id;
    const char *app_id;
};

static inline const char *fixture_organization(struct fixture *fixture, const char *name,
                                               const char **ret_app_id)
{
    struct tenant_organization organization;
    struct tenant_app app;
    const char *secret = NULL;
    assert_done(fixture, tenant_create_organization(fixture->catalog, name, FIXTURE_NOW_MS,
                                                    &fixture->arena, &organization, &fixture->err));
    assert_done(fixture, tenant_create_app(fixture->catalog, organization.id, "app", FIXTURE_NOW_MS,
                                           &fixture->arena, &app, &secret, &fixture->err));
    *ret_app_id = app.id;
    return organization.id;
}

// Another app of the first organization.
static inline const char *fixture_add_app(struct fixture *fixture, const char *name)
{
    struct tenant_app app;
    const char *secret = NULL;
    assert_done(fixture,
                tenant_create_app(fixture->catalog, fixture->organization_id, name, FIXTURE_NOW_MS,
                                  &fixture->arena, &app, &secret, &fixture->err));
    return app.id;
}

static inline int fixture_set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    assert_done(fixture, catalog_create(":memory:", &fixture->catalog, &fixture->err));
    fixture->organization_id = fixture_organization(fixture, "first", &fixture->app_id);
    *state = fixture;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(&fixture->catalog);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static inline int64_t fixture_app_number(const char *app_id)
{
    int64_t number = 0;
    assert_true(number_parse_int64(slice_text(app_id), &number));
    return number;
}

// --- Subscriptions

// Differs from others by its one field.
static inline const struct report *fixture_report(struct fixture *fixture, enum cadence cadence,
                                                  const char *field)
{
    const char *body = arena_format(
        &fixture->arena,
        "{\"report\":{\"cadence\":\"%s\",\"report_type\":\"eo_click\",\"report_fields\":[\"%s\"]},"
        "\"destination\":{\"subscription_type\":\"branch\"}}",
        cadence_name(cadence), field);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct report *report = arena_alloc(&fixture->arena, sizeof *report);
    assert_done(fixture, json_tree_parse(slice_text(body), &tree, &fixture->err));
    assert_done(fixture,
                report_parse(json_tree_root(tree), &fixture->arena, report, &fixture->err));
    return report;
}

static inline struct subscription_request fixture_request(struct fixture *fixture,
                                                          enum cadence cadence, const char *field)
{
    return (struct subscription_request){
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .report = fixture_report(fixture, cadence, field),
        .topic_id = FIXTURE_TOPIC_ID,
        .now_ms = FIXTURE_NOW_MS,
    };
}

static inline void fixture_assert_stretches(struct fixture *fixture, const char *id,
                                            const struct subscription_stretch *expected,
                                            size_t expected_count)
{
    struct subscription_stretch *stretches = NULL;
    size_t count = 99;
    assert_done(fixture, subscription_stretches(fixture->catalog, id, &fixture->arena, &stretches,
                                                &count, &fixture->err));
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(stretches[i].start_ms, expected[i].start_ms);
        assert_int_equal(stretches[i].end_ms, expected[i].end_ms);
        assert_int_equal(stretches[i].cadence, expected[i].cadence);
        assert_int_equal(stretches[i].version, expected[i].version);
    }
}

static inline struct subscription fixture_create(struct fixture *fixture,
                                                 const struct subscription_request *request)
{
    struct subscription subscription;
    assert_done(fixture, subscription_create(fixture->catalog, request, &fixture->arena,
                                             &subscription, &fixture->err));
    return subscription;
}

static inline bool fixture_claim_at(struct fixture *fixture, const char *supervisor_id,
                                    int64_t now_ms, struct job *ret_job)
{
    const struct job_claim_request request = {
        .worker_id = "worker",
        .supervisor_id = supervisor_id,
        .now_ms = now_ms,
        .lease_ms = FIXTURE_LEASE_MS,
        .lost_limit = 5,
    };
    bool found = false;
    assert_done(fixture, job_claim(fixture->catalog, &request, &fixture->arena, &found, ret_job,
                                   &fixture->err));
    return found;
}

static inline bool fixture_claim(struct fixture *fixture, struct job *ret_job)
{
    return fixture_claim_at(fixture, "supervisor", FIXTURE_NOW_MS, ret_job);
}

static inline struct job_claim fixture_claim_of(const struct job *job)
{
    return (struct job_claim){.job_id = job->id, .fence = job->fence, .claim_id = job->claim_id};
}

static inline void fixture_succeed_at(struct fixture *fixture, const struct job *job,
                                      int64_t row_count, int64_t now_ms)
{
    const struct job_claim claim = fixture_claim_of(job);
    const struct job_file file = {
        .key = arena_format(&fixture->arena, "v2/job_id=%s/part-0.csv.gz", job->id),
        .row_count = row_count,
        .byte_count = 10 * row_count,
        .sha256 = "00",
    };
    const struct job_result result = {
        .files = &file,
        .file_count = row_count > 0 ? 1 : 0,
        .row_count = row_count,
        .byte_count = 10 * row_count,
        .manifest = "{\"rows\":1}",
        .now_ms = now_ms,
        .expires_at_ms = now_ms + FIXTURE_EXPIRY_MS,
    };
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
}

static inline void fixture_succeed(struct fixture *fixture, const struct job *job,
                                   int64_t row_count)
{
    fixture_succeed_at(fixture, job, row_count, FIXTURE_NOW_MS);
}

// ACTIVE: its sample has been run.
static inline const char *fixture_subscribe(struct fixture *fixture, enum cadence cadence,
                                            const char *field)
{
    const struct subscription_request request = fixture_request(fixture, cadence, field);
    const struct subscription subscription = fixture_create(fixture, &request);
    struct job sample;
    assert_true(fixture_claim(fixture, &sample));
    assert_int_equal(sample.kind, JOB_SAMPLE);
    assert_string_equal(sample.subscription_id, subscription.id);
    fixture_succeed(fixture, &sample, 0);
    return subscription.id;
}

// All of the first organization.
static inline struct subscription_scope fixture_scope(const struct fixture *fixture)
{
    return (struct subscription_scope){.organization_id = fixture->organization_id,
                                       .sees_organization = true};
}

static inline void fixture_deactivate(struct fixture *fixture, const char *id, int64_t now_ms)
{
    const struct subscription_scope scope = fixture_scope(fixture);
    assert_done(fixture, subscription_deactivate(fixture->catalog, &scope, slice_text(id), now_ms,
                                                 &fixture->err));
}

// --- Making jobs

static inline int64_t fixture_schedule(struct fixture *fixture, int64_t now_ms, int64_t limit)
{
    const struct job_schedule_request request = {
        .now_ms = now_ms,
        .hourly_grace_ms = FIXTURE_GRACE_MS,
        .daily_grace_ms = 2 * FIXTURE_GRACE_MS,
        .limit = limit,
    };
    int64_t count = -1;
    assert_done(fixture, job_schedule_live(fixture->catalog, &request, &count, &fixture->err));
    return count;
}

static inline int64_t fixture_backfill(struct fixture *fixture, const char *subscription_id,
                                       int64_t start_ms, int64_t end_ms)
{
    int64_t window_count = 0;
    int64_t created_count = 0;
    assert_done(fixture,
                job_backfill(fixture->catalog, subscription_id, start_ms, end_ms, FIXTURE_NOW_MS,
                             &window_count, &created_count, &fixture->err));
    return created_count;
}

static inline void fixture_set_bounds(struct fixture *fixture, int64_t last_seq)
{
    int64_t ordinal = 0;
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_done(fixture, job_set_bounds(fixture->catalog, ordinal, last_seq, &fixture->err));
}

// Backfills the hour, bounds it at the seal point, and claims it.
static inline struct job fixture_run_hour(struct fixture *fixture, const char *subscription_id,
                                          int64_t start_ms)
{
    assert_int_equal(fixture_backfill(fixture, subscription_id, start_ms, start_ms + CIVIL_HOUR_MS),
                     1);
    fixture_set_bounds(fixture, fixture->seal_seq);
    struct job job;
    assert_true(fixture_claim(fixture, &job));
    assert_string_equal(job.subscription_id, subscription_id);
    assert_int_equal(job.start_ms, start_ms);
    return job;
}

static inline struct job *fixture_ledger(struct fixture *fixture, const char *subscription_id,
                                         size_t *ret_count)
{
    struct job *jobs = NULL;
    assert_done(fixture, job_ledger(fixture->catalog, subscription_id, 0, INT64_MAX,
                                    &fixture->arena, &jobs, ret_count, &fixture->err));
    return jobs;
}

// The last revision of the window.
static inline struct job fixture_last(struct fixture *fixture, const char *subscription_id,
                                      int64_t start_ms)
{
    struct job *jobs = NULL;
    size_t count = 0;
    assert_done(fixture, job_ledger(fixture->catalog, subscription_id, start_ms, start_ms + 1,
                                    &fixture->arena, &jobs, &count, &fixture->err));
    assert_true(count > 0);
    return jobs[count - 1];
}

// --- The lake

// Seals the next row_count rows of the log: one segment of one slice, all in the hour.
static inline void fixture_seal(struct fixture *fixture, const char *app_id, int64_t topic_id,
                                int64_t hour_ms, int64_t row_count)
{
    const int64_t seq_hi = fixture->seal_seq + row_count;
    const struct segment_log_file file = {
        .id = ++fixture->log_file_id,
        .seq_lo = fixture->seal_seq,
        .seq_hi = seq_hi,
        .byte_count = 1,
    };
    assert_done(fixture, segment_add_log_file(fixture->catalog, &file, &fixture->err));
    const struct segment_slice slice = {
        .topic_id = topic_id,
        .app_id = fixture_app_number(app_id),
        .hour_ms = hour_ms,
        .time_min_ms = hour_ms,
        .time_max_ms = hour_ms,
        .seq_min = fixture->seal_seq + 1,
        .seq_max = seq_hi,
        .row_count = row_count,
    };
    const struct segment segment = {
        .path = arena_format(&fixture->arena, "lake/%d.parquet", (int)fixture->log_file_id),
        .columns = "[]",
        .byte_count = 1,
        .row_count = row_count,
        .sha256 = "00",
        .seq_lo = fixture->seal_seq,
        .seq_hi = seq_hi,
        .slices = &slice,
        .slice_count = 1,
    };
    const struct segment_seal seal = {
        .log_file_id = file.id,
        .is_file_done = true,
        .seq_from = fixture->seal_seq,
        .seq_to = seq_hi,
        .segments = &segment,
        .segment_count = 1,
        .now_ms = FIXTURE_NOW_MS,
    };
    assert_done(fixture, segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    fixture->seal_seq = seq_hi;
}

#define fixture_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)
