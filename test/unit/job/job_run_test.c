// SPDX-License-Identifier: Apache-2.0
// Events in, files out: what one attempt writes, and that an attempt that fails shows nothing.
#include "job_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "catalog/hosted_files.h"
#include "catalog/leases.h"
#include "catalog/segment_retention.h"
#include "job/recipe.h"
#include "lake/compact.h"

#define HOUR     JOB_FIXTURE_HOUR(9)
#define MINUTE   CIVIL_MINUTE_MS
#define NAMES    "[\"name\"]"
#define TIMES    "[\"timestamp\",\"name\"]"
#define BIG_ROWS 3000

static void run(struct job_fixture *fixture, const struct job *job, int64_t expected_rows)
{
    int64_t row_count = 0;
    assert_done(fixture, job_fixture_run(fixture, job, &row_count));
    assert_int_equal(row_count, expected_rows);
}

static void give_back(struct job_fixture *fixture, const struct job *job)
{
    const struct job_claim claim = job_fixture_claim_of(job);
    const int64_t now_ms = clock_wall_ms(&fixture->clock.base);
    assert_done(fixture, job_fail(fixture->catalog, &claim, fixture->err.message, now_ms, now_ms,
                                  &fixture->err));
}

static struct job claim_again(struct job_fixture *fixture, const struct job *job)
{
    struct job again = {0};
    assert_true(job_fixture_claim(fixture, &again));
    assert_string_equal(again.id, job->id);
    assert_int_not_equal(again.fence, job->fence);
    return again;
}

static const char *first_key(struct job_fixture *fixture, const struct job *job, const char *ext)
{
    return arena_format(&fixture->arena,
                        "v2/y=2024/m=10/d=04/h=09/app_id=%s/job_id=%s/task_id=0/" JOB_FIXTURE_TOPIC
                        "-20241004T090000Z-r%d-00000.%s",
                        job->app_id, job->id, (int)(job->revision < 0 ? 0 : job->revision), ext);
}

// Neither list nor manifest nor bucket know of the job's files.
static void assert_nothing_visible(struct job_fixture *fixture, const struct job *job)
{
    struct job seen;
    assert_done(fixture, job_get(fixture->catalog, fixture->organization_id, slice_of(NULL, 0),
                                 slice_text(job->id), &fixture->arena, &seen, &fixture->err));
    assert_int_not_equal(seen.state, JOB_SUCCEEDED);
    assert_int_equal(seen.file_count, 0);
    const char *manifest = NULL;
    assert_refused(fixture,
                   job_get_manifest(fixture->catalog, fixture->organization_id, slice_text(job->id),
                                    &fixture->arena, &manifest, &fixture->err),
                   ERR_NOT_FOUND);
    struct hosted_file file;
    assert_refused(fixture,
                   hosted_file_find(fixture->catalog, NULL,
                                    slice_text(first_key(fixture, job, "csv.gz")), &fixture->arena,
                                    &file, &fixture->err),
                   ERR_NOT_FOUND);
}

// --- What is in the files

static void test_rows_come_in_order_under_a_header(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR + 3 * MINUTE, "third");
    job_fixture_add(fixture, HOUR, "first");
    job_fixture_add(fixture, HOUR + 2 * MINUTE, "second");
    job_fixture_add(fixture, HOUR - 1, "hour before");
    job_fixture_add(fixture, HOUR + CIVIL_HOUR_MS, "hour after");
    job_fixture_ingest(fixture, fixture->other_app_id, JOB_FIXTURE_TOPIC,
                       job_fixture_event(fixture, HOUR, "other app"));
    job_fixture_ingest(fixture, fixture->app_id, "other_topic",
                       job_fixture_event(fixture, HOUR, "other topic"));
    job_fixture_seal(fixture);
    job_fixture_add(fixture, HOUR + CIVIL_HOUR_MS - 1, "last");
    job_fixture_add(fixture, HOUR, "as early, came later");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, TIMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 5);
    assert_string_equal(job_fixture_export(fixture, id, HOUR), "timestamp,name\n"
                                                               "1728032400000,first\n"
                                                               "1728032400000,\"as early, came "
                                                               "later\"\n"
                                                               "1728032520000,second\n"
                                                               "1728032580000,third\n"
                                                               "1728035999999,last\n");
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_string_equal(done.files[0].key, first_key(fixture, &job, "csv.gz"));
    assert_int_equal(done.row_count, 5);
    assert_int_equal(done.files[0].row_count, 5);
    assert_int_equal(done.expires_at_ms, JOB_FIXTURE_NOW_MS + JOB_FIXTURE_EXPIRY_MS);
}

static void test_filter_and_json(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR + 1, "yes");
    job_fixture_add(fixture, HOUR + 2, "no");
    job_fixture_ingest(
        fixture, fixture->app_id, JOB_FIXTURE_TOPIC,
        arena_format(&fixture->arena, "{\"timestamp\":%lld,\"size\":7}\n", (long long)HOUR + 3));
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe_only(fixture, "json", "gz", "[\"size\",\"name\"]",
                                                "[\"or\",[\"eq\",\"name\",\"yes\"],"
                                                "[\"eq\",\"name\",null]]");
    struct job sample = {0};
    assert_true(job_fixture_claim(fixture, &sample));
    run(fixture, &sample, 0); // the sample is over the last complete hour
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 2);
    assert_string_equal(job_fixture_export(fixture, id, HOUR),
                        "{\"size\":null,\"name\":\"yes\"}\n{\"size\":7,\"name\":null}\n");
}

static void test_empty_window_gives_one_file_without_rows(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = job_fixture_subscribe(fixture, TIMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 0);
    assert_string_equal(job_fixture_export(fixture, id, HOUR), "timestamp,name\n");
    assert_int_equal(job_fixture_last(fixture, id, HOUR).row_count, 0);
}

static void test_every_format_succeeds(void **state)
{
    struct job_fixture *fixture = *state;
    static const char *const formats[] = {"csv", "json", "parquet"};
    static const char *const compressions[] = {"gz", "snappy", "zstd"};
    static const char *const fields[] = {"[\"name\"]", "[\"timestamp\"]",
                                         "[\"name\",\"timestamp\"]", "[\"all\"]"};
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    for (size_t i = 0; i < 9; i++) {
        const char *id = job_fixture_subscribe_only(
            fixture, formats[i / 3], compressions[i % 3],
            fields[i % 4], // i % 4 and the filter make nine that are no duplicates
            i < 4   ? "[\"eq\",\"name\",\"row\"]"
            : i < 8 ? NULL
                    : "[\"not\",[\"eq\",\"name\",\"\"]]");
        struct job sample = {0};
        assert_true(job_fixture_claim(fixture, &sample));
        run(fixture, &sample, 0);
        const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
        run(fixture, &job, 1);
        const struct job done = job_fixture_last(fixture, id, HOUR);
        assert_int_equal(done.file_count, 1);
        const struct slice bytes = job_fixture_object(fixture, done.files[0].key);
        assert_string_equal(job_fixture_sha256(fixture, bytes), done.files[0].sha256);
        if (i >= 6)
            assert_memory_equal(bytes.data, "PAR1", 4);
    }
}

static void assert_member(const struct json_node *node, const char *key, const char *expected)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4096);
    json_node_write(json_node_get(node, key), &text);
    assert_string_equal(buf_text(&text), expected);
}

static const char *quoted(struct job_fixture *fixture, const char *text)
{
    return arena_format(&fixture->arena, "\"%s\"", text);
}

static void test_manifest_tells_what_was_delivered(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "a");
    job_fixture_add(fixture, HOUR, "b");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 2);
    const char *manifest = NULL;
    assert_done(fixture,
                job_get_manifest(fixture->catalog, fixture->organization_id, slice_text(job.id),
                                 &fixture->arena, &manifest, &fixture->err));
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    assert_done(fixture, json_tree_parse(slice_text(manifest), &tree, &fixture->err));
    const struct json_node *root = json_tree_root(tree);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(json_node_count(root), 13);
    assert_member(root, "job_id", quoted(fixture, job.id));
    assert_member(root, "subscription_id", quoted(fixture, id));
    assert_member(root, "subscription_version", "1");
    assert_member(root, "topic", "\"" JOB_FIXTURE_TOPIC "\"");
    assert_member(root, "start_date", "\"2024-10-04T09:00:00.000-00:00\"");
    assert_member(root, "end_date", "\"2024-10-04T10:00:00.000-00:00\"");
    assert_member(root, "revision", "0");
    assert_member(root, "range", "{\"seq_lo\":0,\"seq_hi\":2}");
    assert_member(root, "schema_id", "1");
    assert_member(root, "rows", "2");
    assert_member(root, "bytes",
                  arena_format(&fixture->arena, "%lld", (long long)done.files[0].byte_count));
    assert_member(root, "encoder",
                  quoted(fixture, recipe_encoder_id(REPORT_CSV, REPORT_GZ, &fixture->arena)));
    const struct json_node *files = json_node_get(root, "files");
    assert_int_equal(json_node_count(files), 1);
    const struct json_node *file = json_node_at(files, 0);
    assert_int_equal(json_node_count(file), 4);
    assert_member(file, "key", quoted(fixture, done.files[0].key));
    assert_member(file, "rows", "2");
    assert_member(file, "sha256", quoted(fixture, done.files[0].sha256));
}

static void test_full_files_are_followed_by_the_next(void **state)
{
    struct job_fixture *fixture = *state;
    for (int i = 0; i < 10; i++)
        job_fixture_add(fixture, HOUR + i, "0123456789012345678");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    fixture->config.part_bytes = 5 + 3 * 20; // header and three rows
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 10);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_int_equal(done.file_count, 4);
    int64_t byte_count = 0;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(done.files[i].part, i);
        assert_int_equal(done.files[i].row_count, i < 3 ? 3 : 1);
        assert_int_equal(strlen(job_fixture_text(fixture, done.files[i].key)), i < 3 ? 65 : 25);
        byte_count += done.files[i].byte_count;
    }
    assert_int_equal(done.byte_count, byte_count);
    assert_non_null(strstr(done.files[3].key, "-r0-00003.csv.gz"));
}

// --- Samples and supplementary jobs

static void test_sample_leaves_no_files(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, JOB_FIXTURE_HOUR(19) + 1, "in the last complete hour");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe_only(fixture, "csv", "gz", NAMES, NULL);
    assert_int_equal(job_fixture_subscription(fixture, id).status, SUBSCRIPTION_PENDING);
    struct job sample = {0};
    assert_true(job_fixture_claim(fixture, &sample));
    assert_int_equal(sample.start_ms, JOB_FIXTURE_HOUR(19));
    run(fixture, &sample, 1);
    assert_int_equal(job_fixture_subscription(fixture, id).status, SUBSCRIPTION_ACTIVE);
    const char *key = arena_format(&fixture->arena,
                                   "v2/y=2024/m=10/d=04/h=19/app_id=%s/job_id=%s/task_id=0/"
                                   "milk_click-20241004T190000Z-r0-00000.csv.gz",
                                   fixture->app_id, sample.id);
    assert_null(job_fixture_object(fixture, key).data);
    struct job *jobs = NULL;
    size_t count = 0;
    assert_done(fixture,
                job_list(fixture->catalog, id, 0, &fixture->arena, &jobs, &count, &fixture->err));
    assert_int_equal(count, 0);
}

static void test_late_rows_come_alone_in_the_next_revision(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR + 2, "in time");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 1);
    job_fixture_add(fixture, HOUR + 1, "late");
    job_fixture_seal(fixture);
    const struct job late = job_fixture_claim_late(fixture);
    assert_int_equal(late.revision, 1);
    run(fixture, &late, 1);
    assert_string_equal(job_fixture_export(fixture, id, HOUR), "name\nlate\n");
    assert_true(job_fixture_last(fixture, id, HOUR).is_visible);
    assert_string_equal(job_fixture_text(fixture, first_key(fixture, &job, "csv.gz")),
                        "name\nin time\n");
}

static void test_late_rows_that_do_not_match_are_no_job(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR + 2, "wanted");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, "[\"eq\",\"name\",\"wanted\"]");
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 1);
    job_fixture_add(fixture, HOUR + 1, "unwanted");
    job_fixture_seal(fixture);
    const struct job late = job_fixture_claim_late(fixture);
    run(fixture, &late, 0);
    const struct job done = job_fixture_last(fixture, id, HOUR);
    assert_string_equal(done.id, late.id);
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_false(done.is_visible);
    assert_int_equal(done.file_count, 0);
    assert_null(job_fixture_object(fixture, first_key(fixture, &late, "csv.gz")).data);
    int64_t count = -1; // its range counts: the same rows are not late again
    assert_done(fixture, job_schedule_late(fixture->catalog, JOB_FIXTURE_NOW_MS, 0, 500, &count,
                                           &fixture->err));
    assert_int_equal(count, 0);
}

// --- The same bytes

static void add_many(struct job_fixture *fixture)
{
    struct buf lines CLEANUP(buf_clear);
    buf_init(&lines, (size_t)8 << 20);
    for (int i = 0; i < BIG_ROWS; i++) {
        buf_append_format(&lines, "{\"timestamp\":%lld,\"name\":\"%d-", (long long)HOUR + i % 1000,
                          i);
        for (int j = 0; j < 100; j++)
            buf_append_format(&lines, "%06d", i * 7919 % 1000003 + j);
        buf_append_text(&lines, "\"}\n");
    }
    job_fixture_ingest(fixture, fixture->app_id, JOB_FIXTURE_TOPIC, buf_text(&lines));
}

static void compact(struct job_fixture *fixture)
{
    const struct compact_config config = {
        .data_directory = fixture->directory,
        .clock = &fixture->clock.base,
        .crowd_threshold = 1,
        .batch_limit = 64,
        .garbage_grace_ms = 0,
        .retention_ms = INT64_C(90) * CIVIL_DAY_MS,
    };
    bool has_merged = false;
    assert_done(fixture, compact_step(&config, fixture->engine, fixture->catalog, &has_merged,
                                      &fixture->err));
    assert_true(has_merged);
    int64_t deleted_count = 0;
    assert_done(fixture, compact_collect(&config, fixture->catalog, &deleted_count, &fixture->err));
}

// Runs the claim after its lease has gone to another one: it writes its file, and cannot publish.
static const char *run_as_zombie(struct job_fixture *fixture, struct job *job)
{
    fixture->clock.now_wall_ms += 2 * JOB_FIXTURE_LEASE_MS;
    const struct job next = claim_again(fixture, job);
    int64_t row_count = 0;
    assert_done(fixture,
                store_delete(fixture->store, first_key(fixture, job, "csv.gz"), &fixture->err));
    assert_refused(fixture, job_fixture_run(fixture, job, &row_count), ERR_CANCELED);
    assert_nothing_visible(fixture, job);
    const struct slice bytes = job_fixture_object(fixture, first_key(fixture, job, "csv.gz"));
    assert_true(bytes.size_bytes > 100000);
    *job = next;
    return job_fixture_sha256(fixture, bytes);
}

static void test_bytes_depend_on_the_recipe_alone(void **state)
{
    struct job_fixture *fixture = *state;
    add_many(fixture);
    job_fixture_seal(fixture);
    job_fixture_add(fixture, HOUR + 500, "from another segment");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, TIMES, NULL);
    struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    struct store *store = fixture->store;
    struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), 1,
                                                                ERR_UNAVAILABLE);
    fixture->config.store = faulty;
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_UNAVAILABLE);
    fixture->config.store = store;
    give_back(fixture, &job);
    job = claim_again(fixture, &job);
    assert_non_null(job.recipe);
    fixture->config.csv_formula_guard = true; // set by an operator meanwhile: the recipe rules
    fixture->config.part_bytes = 1000;
    const char *sha256 = run_as_zombie(fixture, &job);
    for (unsigned helper_count = 1; helper_count <= 3; helper_count++) {
        fixture->config.compress_helper_count = helper_count;
        assert_string_equal(run_as_zombie(fixture, &job), sha256);
    }
    compact(fixture);
    job_fixture_add(fixture, HOUR + 500, "above the frozen range");
    job_fixture_seal(fixture);
    run(fixture, &job, BIG_ROWS + 1);
    assert_string_equal(job_fixture_last(fixture, id, HOUR).files[0].sha256, sha256);
}

static void test_formula_guard_is_frozen_with_the_recipe(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "=1+1");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    fixture->config.csv_formula_guard = true;
    struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), 1,
                                                                ERR_UNAVAILABLE);
    fixture->config.store = faulty;
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_UNAVAILABLE);
    give_back(fixture, &job);
    job = claim_again(fixture, &job);
    fixture->config.store = fixture->store;
    fixture->config.csv_formula_guard = false;
    run(fixture, &job, 1);
    assert_string_equal(job_fixture_export(fixture, id, HOUR), "name\n'=1+1\n");
}

// --- Failures

static void test_fault_in_every_call_of_the_store(void **state)
{
    struct job_fixture *fixture = *state;
    for (int hour = 0; hour < 12; hour++) {
        job_fixture_add(fixture, JOB_FIXTURE_HOUR(hour), "same");
        job_fixture_add(fixture, JOB_FIXTURE_HOUR(hour) + 1, "rows");
    }
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    struct job job = job_fixture_claim_hour(fixture, id, JOB_FIXTURE_HOUR(11));
    run(fixture, &job, 2);
    const char *sha256 = job_fixture_last(fixture, id, JOB_FIXTURE_HOUR(11)).files[0].sha256;
    int64_t call = 1;
    for (bool is_failing = true; is_failing; call++) {
        assert_true(call < 11);
        const int64_t start_ms = JOB_FIXTURE_HOUR(call - 1);
        job = job_fixture_claim_hour(fixture, id, start_ms);
        struct store *memory = store_memory_new();
        struct store *faulty CLEANUP(store_close) = store_fault_new(memory, (uint64_t)call,
                                                                    ERR_UNAVAILABLE);
        fixture->config.store = faulty;
        int64_t row_count = 0;
        is_failing = !job_fixture_run(fixture, &job, &row_count);
        fixture->config.store = fixture->store;
        if (!is_failing)
            break;
        assert_int_equal(fixture->err.kind, ERR_UNAVAILABLE);
        const struct job failed = job_fixture_last(fixture, id, start_ms);
        assert_int_equal(failed.state, JOB_RUNNING);
        assert_int_equal(failed.file_count, 0);
        give_back(fixture, &job);
        job = claim_again(fixture, &job);
        run(fixture, &job, 2);
        const struct job done = job_fixture_last(fixture, id, start_ms);
        assert_string_equal(done.files[0].sha256, sha256);
        int fd = -1;
        uint64_t size_bytes;
        assert_refused(
            fixture, store_open_object(memory, done.files[0].key, &fd, &size_bytes, &fixture->err),
            ERR_NOT_FOUND);
    }
    assert_true(call > 4); // begin, header, a block, trailer and finish were all seen
}

// Compaction comes between the look for segments and the pins: the clock is read there.
struct compacting_clock {
    struct clock base;
    struct job_fixture *fixture;
    int *runs_left;
};

static int64_t compacting_wall_ms(const struct clock *clock)
{
    const struct compacting_clock *compacting = (const struct compacting_clock *)clock;
    if (*compacting->runs_left > 0 && --*compacting->runs_left >= 0)
        compact(compacting->fixture);
    return JOB_FIXTURE_NOW_MS;
}

static int64_t compacting_boot_ms(const struct clock *clock)
{
    (void)clock;
    return 0;
}

static void test_compaction_that_comes_first_is_no_failure(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "one");
    job_fixture_seal(fixture);
    job_fixture_add(fixture, HOUR + 1, "two");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    int runs_left = 1;
    const struct compacting_clock clock = {
        {compacting_wall_ms, compacting_boot_ms}, fixture, &runs_left};
    fixture->config.clock = &clock.base;
    run(fixture, &job, 2);
    assert_int_equal(runs_left, 0);
    assert_string_equal(job_fixture_export(fixture, id, HOUR), "name\none\ntwo\n");
}

static void flip_byte(const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    char byte;
    assert_int_equal(pread(fd, &byte, 1, 60), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, 60), 1);
    (void)close(fd);
}

static void test_flipped_byte_of_a_segment_is_found(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    flip_byte(job_fixture_segment_path(fixture));
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "segment"));
    assert_nothing_visible(fixture, &job);
    assert_null(job_fixture_object(fixture, first_key(fixture, &job, "csv.gz")).data);
}

static void test_missing_segment_is_never_an_empty_export(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const char *path = job_fixture_segment_path(fixture);
    const char *aside = arena_format(&fixture->arena, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    int64_t row_count = 0;
    assert_false(job_fixture_run(fixture, &job, &row_count));
    assert_nothing_visible(fixture, &job);
    assert_int_equal(rename(aside, path), 0);
    give_back(fixture, &job);
    job = claim_again(fixture, &job);
    run(fixture, &job, 1);
}

static void test_lost_lease_ends_the_attempt(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "row");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    struct job_watch watch;
    atomic_init(&watch.is_lost, true);
    atomic_init(&watch.progress, 0);
    int64_t row_count = 0;
    assert_refused(
        fixture,
        job_run(&fixture->config, fixture->catalog, &job, &watch, &row_count, &fixture->err),
        ERR_CANCELED);
    assert_true(atomic_load(&watch.progress) >= 2); // a segment and a batch
    assert_nothing_visible(fixture, &job);
    assert_null(job_fixture_object(fixture, first_key(fixture, &job, "csv.gz")).data);
}

static const char *replace_text(struct job_fixture *fixture, const char *text, const char *old,
                                const char *fresh)
{
    const char *at = strstr(text, old);
    assert_non_null(at);
    return arena_format(&fixture->arena, "%.*s%s%s", (int)(at - text), text, fresh,
                        at + strlen(old));
}

static void test_recipe_of_other_encoders_is_outdated(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), 1,
                                                                ERR_UNAVAILABLE);
    fixture->config.store = faulty;
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_UNAVAILABLE);
    assert_false(job_run_is_outdated(&fixture->err));
    give_back(fixture, &job);
    job = claim_again(fixture, &job);
    fixture->config.store = fixture->store;
    job.recipe = replace_text(fixture, job.recipe, "\"encoder\":\"csv-", "\"encoder\":\"csv-0");
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_INVALID);
    assert_true(job_run_is_outdated(&fixture->err));
    assert_nothing_visible(fixture, &job);
    assert_null(job_fixture_object(fixture, first_key(fixture, &job, "csv.gz")).data);
}

static void test_recipe_that_cannot_be_read_fails(void **state)
{
    struct job_fixture *fixture = *state;
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    job.recipe = "{\"seq_lo\":0}";
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_CORRUPT);
    assert_false(job_run_is_outdated(&fixture->err));
}

static void test_discard_removes_what_attempts_left(void **state)
{
    struct job_fixture *fixture = *state;
    for (int i = 0; i < 6; i++)
        job_fixture_add(fixture, HOUR + i, "0123456789012345678");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    fixture->config.part_bytes = 5 + 20;
    struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    fixture->clock.now_wall_ms += 2 * JOB_FIXTURE_LEASE_MS;
    struct job next = claim_again(fixture, &job);
    int64_t row_count = 0;
    fixture->err.message[0] = '\0';
    struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), 1,
                                                                ERR_UNAVAILABLE);
    fixture->config.store = faulty;
    assert_refused(fixture, job_fixture_run(fixture, &next, &row_count), ERR_UNAVAILABLE);
    fixture->config.store = fixture->store;
    give_back(fixture, &next);
    job = claim_again(fixture, &next);
    fixture->clock.now_wall_ms += 2 * JOB_FIXTURE_LEASE_MS;
    next = claim_again(fixture, &job);
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_CANCELED);
    const char *first = first_key(fixture, &job, "csv.gz");
    const char *last = replace_text(fixture, first, "-00000.", "-00005.");
    assert_non_null(job_fixture_object(fixture, first).data);
    assert_non_null(job_fixture_object(fixture, last).data);
    assert_done(fixture, job_run_discard(&fixture->config, fixture->catalog, &next, &fixture->err));
    assert_null(job_fixture_object(fixture, first).data);
    assert_null(job_fixture_object(fixture, last).data);
    assert_done(fixture, job_run_discard(&fixture->config, fixture->catalog, &next, &fixture->err));
}

// Drops everything that no job and no subscription waits for.
static void drop_all(struct job_fixture *fixture)
{
    const int64_t now_ms = clock_wall_ms(&fixture->clock.base);
    const struct segment_drop drop = {now_ms + 1, now_ms, 100};
    int64_t count = 0;
    assert_done(fixture, segment_drop_older(fixture->catalog, &drop, &count, &fixture->err));
    assert_int_equal(count, 1);
}

static void test_rows_past_retention_are_no_empty_export(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "gone");
    job_fixture_seal(fixture);
    drop_all(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    int64_t row_count = 0;
    assert_refused(fixture, job_fixture_run(fixture, &job, &row_count), ERR_INVALID);
    assert_string_equal(fixture->err.message, "events of this window are past lake.retention_days");
    assert_nothing_visible(fixture, &job);
    const struct job next = job_fixture_claim_hour(fixture, id, HOUR + CIVIL_HOUR_MS);
    run(fixture, &next, 0); // nothing was dropped there
}

// Late rows do not ask for those that were exported before.
static void test_late_rows_come_after_the_others_were_dropped(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, HOUR, "first");
    job_fixture_seal(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    const struct job job = job_fixture_claim_hour(fixture, id, HOUR);
    run(fixture, &job, 1);
    int64_t late_count = 0;
    assert_done(fixture, job_schedule_late(fixture->catalog, JOB_FIXTURE_NOW_MS, 0, 500,
                                           &late_count, &fixture->err));
    drop_all(fixture);
    job_fixture_add(fixture, HOUR, "late");
    job_fixture_seal(fixture);
    const struct job late = job_fixture_claim_late(fixture);
    run(fixture, &late, 1);
    assert_string_equal(job_fixture_export(fixture, id, HOUR), "name\nlate\n");
}

static void test_sample_reads_what_is_there(void **state)
{
    struct job_fixture *fixture = *state;
    job_fixture_add(fixture, JOB_FIXTURE_HOUR(19), "gone"); // of the last complete window
    job_fixture_seal(fixture);
    drop_all(fixture);
    const char *id = job_fixture_subscribe(fixture, NAMES, NULL);
    assert_int_equal(job_fixture_subscription(fixture, id).status, SUBSCRIPTION_ACTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        job_fixture_test(test_rows_come_in_order_under_a_header),
        job_fixture_test(test_filter_and_json),
        job_fixture_test(test_empty_window_gives_one_file_without_rows),
        job_fixture_test(test_every_format_succeeds),
        job_fixture_test(test_manifest_tells_what_was_delivered),
        job_fixture_test(test_full_files_are_followed_by_the_next),
        job_fixture_test(test_sample_leaves_no_files),
        job_fixture_test(test_late_rows_come_alone_in_the_next_revision),
        job_fixture_test(test_late_rows_that_do_not_match_are_no_job),
        job_fixture_test(test_bytes_depend_on_the_recipe_alone),
        job_fixture_test(test_formula_guard_is_frozen_with_the_recipe),
        job_fixture_test(test_fault_in_every_call_of_the_store),
        job_fixture_test(test_compaction_that_comes_first_is_no_failure),
        job_fixture_test(test_flipped_byte_of_a_segment_is_found),
        job_fixture_test(test_missing_segment_is_never_an_empty_export),
        job_fixture_test(test_lost_lease_ends_the_attempt),
        job_fixture_test(test_recipe_of_other_encoders_is_outdated),
        job_fixture_test(test_recipe_that_cannot_be_read_fails),
        job_fixture_test(test_discard_removes_what_attempts_left),
        job_fixture_test(test_rows_past_retention_are_no_empty_export),
        job_fixture_test(test_late_rows_come_after_the_others_were_dropped),
        job_fixture_test(test_sample_reads_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
