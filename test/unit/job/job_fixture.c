// SPDX-License-Identifier: Apache-2.0
#include "job_fixture.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/thread.h"
#include "catalog/leases.h"
#include "catalog/tenants.h"
#include "catalog/topics.h"
#include "lake/seal.h"

#define JOB_FIXTURE_BYTES_MAX ((size_t)64 * 1024 * 1024)

static void job_fixture_ignore_change(void *context)
{
    (void)context;
}

static void job_fixture_open_log(struct job_fixture *fixture)
{
    const struct ingest_log_config config = {
        .data_directory = fixture->directory,
        .catalog_path = fixture->catalog_path,
        .clock = &fixture->log_clock.base,
        .file_bytes = INT64_C(1) << 20,
        .file_age_ms = 3600000,
        .memory_batch_bytes = 1 << 20,
        .memory_limit_bytes = INT64_C(64) << 20,
        .on_change = job_fixture_ignore_change,
    };
    assert_done(fixture, ingest_log_open(&config, &fixture->log, &fixture->err));
}

static const char *job_fixture_make_app(struct job_fixture *fixture)
{
    struct tenant_app app;
    const char *secret = NULL;
    assert_done(fixture, tenant_create_app(fixture->catalog, fixture->organization_id, "app",
                                           JOB_FIXTURE_NOW_MS, &fixture->arena, &app, &secret,
                                           &fixture->err));
    return app.id;
}

static void job_fixture_make_tenants(struct job_fixture *fixture)
{
    struct tenant_organization organization;
    assert_done(fixture, tenant_create_organization(fixture->catalog, "dairy", JOB_FIXTURE_NOW_MS,
                                                    &fixture->arena, &organization, &fixture->err));
    fixture->organization_id = organization.id;
    fixture->app_id = job_fixture_make_app(fixture);
    fixture->other_app_id = job_fixture_make_app(fixture);
}

int job_fixture_set_up(void **state)
{
    struct job_fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-job-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    arena_init(&fixture->arena);
    clock_fixed_init(&fixture->clock, JOB_FIXTURE_NOW_MS, 1000000);
    clock_fixed_init(&fixture->log_clock, JOB_FIXTURE_NOW_MS, 1000000);
    const struct engine_config engine_config = {
        .memory_limit_bytes = INT64_C(256) << 20,
        .thread_count = 1,
        .temp_directory = fixture->directory,
    };
    assert_done(fixture, engine_open(&engine_config, &fixture->engine, &fixture->err));
    fixture->catalog_path = arena_format(&fixture->arena, "%s/milkrun.db", fixture->directory);
    assert_done(fixture, catalog_create(fixture->catalog_path, &fixture->catalog, &fixture->err));
    fixture->store = store_memory_new();
    job_fixture_make_tenants(fixture);
    job_fixture_open_log(fixture);
    fixture->config = (struct job_run_config){
        .data_directory = fixture->directory,
        .clock = &fixture->clock.base,
        .engine = fixture->engine,
        .store = fixture->store,
        .part_bytes = INT64_C(1) << 30,
        .file_retention_ms = JOB_FIXTURE_EXPIRY_MS,
    };
    *state = fixture;
    return 0;
}

static int job_fixture_remove(const char *path, const struct stat *status, int kind,
                              struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

int job_fixture_tear_down(void **state)
{
    struct job_fixture *fixture = *state;
    ingest_log_close(&fixture->log);
    store_close(&fixture->store);
    catalog_close(&fixture->catalog);
    engine_close(&fixture->engine);
    assert_int_equal(nftw(fixture->directory, job_fixture_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

// --- Events

struct job_fixture_waiter {
    struct mutex mutex; // guards is_done
    struct condition condition;
    bool is_done;
};

static void job_fixture_on_done(void *context)
{
    struct job_fixture_waiter *waiter = context;
    mutex_lock(&waiter->mutex);
    waiter->is_done = true;
    condition_signal(&waiter->condition);
    mutex_unlock(&waiter->mutex);
}

static void job_fixture_submit(struct ingest_batch *batch)
{
    struct job_fixture_waiter waiter = {.is_done = false};
    mutex_init(&waiter.mutex);
    condition_init(&waiter.condition);
    ingest_batch_submit(batch, job_fixture_on_done, &waiter);
    mutex_lock(&waiter.mutex);
    while (!waiter.is_done)
        condition_wait(&waiter.condition, &waiter.mutex);
    mutex_unlock(&waiter.mutex);
    condition_clear(&waiter.condition);
    mutex_clear(&waiter.mutex);
}

void job_fixture_ingest(struct job_fixture *fixture, const char *app_id, const char *topic,
                        const char *lines)
{
    const struct ingest_batch_spec spec = {
        .organization_id = fixture->organization_id,
        .app_id = app_id,
        .topic_name = topic,
    };
    struct ingest_batch *batch CLEANUP(ingest_batch_free) = NULL;
    struct slice answer;
    assert_done(fixture, ingest_batch_begin(fixture->log, &spec, &batch, &fixture->err));
    assert_done(fixture, ingest_batch_write(batch, slice_text(lines), &fixture->err));
    assert_done(fixture, ingest_batch_end(batch, &fixture->err));
    job_fixture_submit(batch);
    assert_done(fixture, ingest_batch_answer(batch, &answer, &fixture->err));
}

void job_fixture_seal(struct job_fixture *fixture)
{
    ingest_log_close(&fixture->log); // ends the file, so that it can be sealed
    job_fixture_open_log(fixture);
    const struct seal_config config = {
        .data_directory = fixture->directory,
        .clock = &fixture->clock.base,
        .step_bytes = INT64_C(64) << 20,
        .own_file_rows = 1,
        .file_limit = 64,
    };
    bool has_sealed = true;
    while (has_sealed)
        assert_done(fixture, seal_step(&config, fixture->catalog, &has_sealed, &fixture->err));
}

const char *job_fixture_event(struct job_fixture *fixture, int64_t time_ms, const char *name)
{
    return arena_format(&fixture->arena, "{\"timestamp\":%" PRId64 ",\"name\":\"%s\"}\n", time_ms,
                        name);
}

void job_fixture_add(struct job_fixture *fixture, int64_t time_ms, const char *name)
{
    job_fixture_ingest(fixture, fixture->app_id, JOB_FIXTURE_TOPIC,
                       job_fixture_event(fixture, time_ms, name));
}

// --- Subscriptions and jobs

const struct schema *job_fixture_topic(struct job_fixture *fixture)
{
    const struct schema *schema = NULL;
    const struct topic_sighting name = {.name = "name", .type = FIELD_TEXT};
    assert_done(fixture, topic_learn(fixture->catalog, fixture->organization_id,
                                     slice_text(JOB_FIXTURE_TOPIC), &name, 1, JOB_FIXTURE_NOW_MS,
                                     &fixture->arena, &schema, &fixture->err));
    return schema;
}

const char *job_fixture_subscribe_only(struct job_fixture *fixture, const char *format,
                                       const char *compression, const char *fields,
                                       const char *filter)
{
    const char *body = arena_format(
        &fixture->arena,
        "{\"report\":{\"cadence\":\"hourly\",\"report_type\":\"" JOB_FIXTURE_TOPIC "\","
        "\"response_format\":\"%s\",\"compression\":\"%s\",\"report_fields\":%s,\"filter\":%s},"
        "\"destination\":%s}",
        format, compression, fields, filter == NULL ? "null" : filter,
        fixture->destination == NULL ? "{\"subscription_type\":\"branch\"}" : fixture->destination);
    const struct schema *schema = job_fixture_topic(fixture);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct report report;
    struct report_bad_fields bad_fields;
    assert_done(fixture, json_tree_parse(slice_text(body), &tree, &fixture->err));
    assert_done(fixture,
                report_parse(json_tree_root(tree), &fixture->arena, &report, &fixture->err));
    assert_done(fixture,
                report_check(&report, schema, &fixture->arena, &bad_fields, &fixture->err));
    const struct subscription_request request = {
        .organization_id = fixture->organization_id,
        .app_id = fixture->wants_all_apps ? NULL : fixture->app_id,
        .report = &report,
        .topic_id = schema->topic_id,
        .now_ms = clock_wall_ms(&fixture->clock.base),
    };
    struct subscription subscription;
    assert_done(fixture, subscription_create(fixture->catalog, &request, &fixture->arena,
                                             &subscription, &fixture->err));
    return subscription.id;
}

const char *job_fixture_subscribe(struct job_fixture *fixture, const char *fields,
                                  const char *filter)
{
    const char *id = job_fixture_subscribe_only(fixture, "csv", "gz", fields, filter);
    struct job sample;
    int64_t row_count = 0;
    assert_true(job_fixture_claim(fixture, &sample));
    assert_int_equal(sample.kind, JOB_SAMPLE);
    assert_done(fixture, job_fixture_run(fixture, &sample, &row_count));
    return id;
}

struct subscription job_fixture_subscription(struct job_fixture *fixture, const char *id)
{
    struct subscription subscription;
    assert_done(fixture, subscription_get_any(fixture->catalog, id, 0, &fixture->arena,
                                              &subscription, &fixture->err));
    return subscription;
}

bool job_fixture_claim(struct job_fixture *fixture, struct job *ret_job)
{
    const struct job_claim_request request = {
        .worker_id = "worker",
        .supervisor_id = "supervisor",
        .now_ms = clock_wall_ms(&fixture->clock.base),
        .lease_ms = JOB_FIXTURE_LEASE_MS,
        .lost_limit = 100,
    };
    bool found = false;
    assert_done(fixture, job_claim(fixture->catalog, &request, &fixture->arena, &found, ret_job,
                                   &fixture->err));
    return found;
}

void job_fixture_set_bounds(struct job_fixture *fixture)
{
    int64_t ordinal = 0;
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    assert_done(fixture, job_set_bounds(fixture->catalog, ordinal,
                                        ingest_log_last_seq(fixture->log), &fixture->err));
}

struct job job_fixture_claim_hour(struct job_fixture *fixture, const char *subscription_id,
                                  int64_t start_ms)
{
    int64_t window_count = 0;
    int64_t created_count = 0;
    assert_done(fixture, job_backfill(fixture->catalog, subscription_id, start_ms,
                                      start_ms + CIVIL_HOUR_MS, clock_wall_ms(&fixture->clock.base),
                                      &window_count, &created_count, &fixture->err));
    assert_int_equal(created_count, 1);
    job_fixture_set_bounds(fixture);
    struct job job = {0};
    assert_true(job_fixture_claim(fixture, &job));
    assert_string_equal(job.subscription_id, subscription_id);
    assert_int_equal(job.start_ms, start_ms);
    return job;
}

struct job job_fixture_claim_late(struct job_fixture *fixture)
{
    int64_t count = 0;
    assert_done(fixture, job_schedule_late(fixture->catalog, clock_wall_ms(&fixture->clock.base), 0,
                                           500, &count, &fixture->err));
    job_fixture_set_bounds(fixture);
    struct job job = {0};
    assert_true(job_fixture_claim(fixture, &job));
    assert_int_equal(job.kind, JOB_LATE);
    return job;
}

struct job_claim job_fixture_claim_of(const struct job *job)
{
    return (struct job_claim){.job_id = job->id, .fence = job->fence, .claim_id = job->claim_id};
}

bool job_fixture_run(struct job_fixture *fixture, const struct job *job, int64_t *ret_row_count)
{
    struct job_watch watch;
    atomic_init(&watch.is_lost, false);
    atomic_init(&watch.progress, 0);
    *ret_row_count = -1;
    return job_run(&fixture->config, fixture->catalog, job, &watch, ret_row_count, &fixture->err);
}

struct job job_fixture_last(struct job_fixture *fixture, const char *subscription_id,
                            int64_t start_ms)
{
    struct job *jobs = NULL;
    size_t count = 0;
    assert_done(fixture, job_ledger(fixture->catalog, subscription_id, start_ms, start_ms + 1,
                                    &fixture->arena, &jobs, &count, &fixture->err));
    assert_true(count > 0);
    return jobs[count - 1];
}

// --- Files

struct slice job_fixture_object(struct job_fixture *fixture, const char *key)
{
    int fd = -1;
    uint64_t size_bytes = 0;
    if (!store_open_object(fixture->store, key, &fd, &size_bytes, &fixture->err)) {
        assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
        return slice_of(NULL, 0);
    }
    char *bytes = arena_alloc(&fixture->arena, (size_t)size_bytes + 1);
    for (size_t done = 0; done < size_bytes;) {
        const ssize_t got = pread(fd, bytes + done, (size_t)size_bytes - done, (off_t)done);
        assert_true(got > 0);
        done += (size_t)got;
    }
    (void)close(fd);
    return slice_of(bytes, (size_t)size_bytes);
}

const char *job_fixture_sha256(struct job_fixture *fixture, struct slice bytes)
{
    uint8_t digest[SHA256_BYTES];
    char *hex = arena_alloc(&fixture->arena, SHA256_HEX_CHARS + 1);
    sha256_of(bytes, digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    return hex;
}

const char *job_fixture_text(struct job_fixture *fixture, const char *key)
{
    struct slice stored = job_fixture_object(fixture, key);
    assert_non_null(stored.data);
    struct gunzip *gunzip CLEANUP(gunzip_free) = gunzip_new();
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, JOB_FIXTURE_BYTES_MAX);
    size_t size = 1;
    while (size > 0 || stored.size_bytes > 0) {
        char *room = buf_reserve(&text, 65536);
        assert_non_null(room);
        assert_done(fixture,
                    gunzip_next(gunzip, &stored, (uint8_t *)room, 65536, &size, &fixture->err));
        buf_advance(&text, size);
    }
    assert_done(fixture, gunzip_end(gunzip, &fixture->err));
    return arena_copy_text(&fixture->arena, buf_text(&text));
}

const char *job_fixture_export(struct job_fixture *fixture, const char *subscription_id,
                               int64_t start_ms)
{
    const struct job job = job_fixture_last(fixture, subscription_id, start_ms);
    assert_int_equal(job.state, JOB_SUCCEEDED);
    assert_int_equal(job.file_count, 1);
    const struct slice stored = job_fixture_object(fixture, job.files[0].key);
    assert_int_equal(stored.size_bytes, job.files[0].byte_count);
    assert_string_equal(job_fixture_sha256(fixture, stored), job.files[0].sha256);
    return job_fixture_text(fixture, job.files[0].key);
}

const char *job_fixture_segment_path(struct job_fixture *fixture)
{
    struct segment *segments = NULL;
    size_t count = 0;
    assert_done(fixture, segment_list(fixture->catalog, 0, 10, &fixture->arena, &segments, &count,
                                      &fixture->err));
    assert_int_equal(count, 1);
    return arena_format(&fixture->arena, "%s/%s", fixture->directory, segments[0].path);
}
