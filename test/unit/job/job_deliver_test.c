// SPDX-License-Identifier: Apache-2.0
// Jobs whose files go to a customer's bucket, to a hosted bucket elsewhere, or by mail.
#include "job/job_deliver.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "catalog/deliveries.h"
#include "catalog/hosted_files.h"
#include "catalog/tenants.h"
#include "job_fixture.h"

#define NAMES "[\"name\"]"
#define CLOUD                                                                                      \
    "{\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":\"their-bucket\","               \
    "\"prefix\":\"in/here\",\"resource_access_id\":\"arn:aws:iam::123456789012:role/x\"}"
#define MAIL                                                                                       \
    "{\"subscription_type\":\"email\",\"recipient_emails\":[\"a@example.com\",\"b@example.com\"]}"
#define MAIL_ATTACHED                                                                              \
    "{\"subscription_type\":\"email\",\"recipient_emails\":[\"a@example.com\",\"b@example.com\"]," \
    "\"attachment\":true}"
#define KEY_START "v2/y=2024/m=10/d=04/h=05/app_id="

struct fixture {
    struct job_fixture *job;
    struct store *spool;
    struct store *bucket; // of the customer, or the hosted one elsewhere
    struct destinations_memory memory;
};

static struct fixture set_up(struct job_fixture *job_fixture, const char *destination)
{
    struct fixture fixture = {
        .job = job_fixture,
        .spool = store_memory_new(),
        .bucket = store_memory_new(),
        .memory = {.arena = &job_fixture->arena},
    };
    job_fixture->destination = destination;
    job_fixture->config.spool = fixture.spool;
    job_fixture->config.spool_bytes_max = 1 << 20;
    job_fixture_add(job_fixture, JOB_FIXTURE_HOUR(5), "one");
    job_fixture_add(job_fixture, JOB_FIXTURE_HOUR(5) + 1, "two");
    job_fixture_seal(job_fixture);
    return fixture;
}

static void start(struct fixture *fixture)
{
    fixture->memory.store = fixture->bucket;
    fixture->job->config.destinations = destinations_memory_new(&fixture->memory);
}

static void tear_down(struct fixture *fixture)
{
    destinations_close(&fixture->job->config.destinations);
    store_close(&fixture->spool);
    store_close(&fixture->bucket);
    fixture->job->config.hosted = NULL;
}

static const char *text_of(struct fixture *fixture, struct store *store, const char *key)
{
    int fd = -1;
    uint64_t size_bytes = 0;
    struct err err;
    if (!store_open_object(store, key, &fd, &size_bytes, &err))
        return NULL;
    char *text = arena_alloc(&fixture->job->arena, size_bytes + 1);
    assert_int_equal(pread(fd, text, size_bytes, 0), size_bytes);
    text[size_bytes] = '\0';
    (void)close(fd);
    return text;
}

static void put_text(struct store *store, const char *key, const char *text)
{
    struct err err;
    struct sink *sink CLEANUP(sink_free) = NULL;
    assert_true(store_put_begin(store, key, &sink, &err));
    assert_true(sink_write(sink, slice_text(text), &err));
    assert_true(sink_finish(sink, &err));
}

static void run(struct fixture *fixture, const struct job *job)
{
    int64_t row_count = 0;
    assert_done(fixture->job, job_fixture_run(fixture->job, job, &row_count));
}

// *err of the attempt is in the fixture.
static void fail_to_run(struct fixture *fixture, const struct job *job, enum err_kind kind)
{
    int64_t row_count = 0;
    assert_false(job_fixture_run(fixture->job, job, &row_count));
    assert_string_equal(err_kind_name(fixture->job->err.kind), err_kind_name(kind));
}

static struct job again(struct fixture *fixture, const struct job *job)
{
    const struct job_claim claim = job_fixture_claim_of(job);
    const int64_t now_ms = clock_wall_ms(&fixture->job->clock.base);
    assert_done(fixture->job, job_fail(fixture->job->catalog, &claim, "away", now_ms, now_ms,
                                       &fixture->job->err));
    struct job next;
    assert_true(job_fixture_claim(fixture->job, &next));
    assert_string_equal(next.id, job->id);
    return next;
}

static struct job last(struct fixture *fixture, const char *id)
{
    return job_fixture_last(fixture->job, id, JOB_FIXTURE_HOUR(5));
}

static const char *subscribe(struct fixture *fixture)
{
    return job_fixture_subscribe(fixture->job, NAMES, NULL);
}

static const char *manifest_key(struct fixture *fixture, const struct job *job)
{
    return arena_format(&fixture->job->arena, KEY_START "%s/job_id=%s/_manifest.json",
                        fixture->job->app_id, job->id);
}

static const char *file_key(struct fixture *fixture, const struct job *job)
{
    return arena_format(&fixture->job->arena,
                        KEY_START "%s/job_id=%s/task_id=0/" JOB_FIXTURE_TOPIC
                                  "-20241004T050000Z-r0-00000.csv.gz",
                        fixture->job->app_id, job->id);
}

// --- A customer's bucket

static void assert_delivered(struct fixture *fixture, const struct job *job)
{
    const char *text = text_of(fixture, fixture->bucket, manifest_key(fixture, job));
    assert_non_null(text);
    const char *manifest = NULL;
    assert_done(fixture->job, job_get_manifest(fixture->job->catalog, fixture->job->organization_id,
                                               slice_text(job->id), &fixture->job->arena, &manifest,
                                               &fixture->job->err));
    assert_string_equal(text, manifest);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    assert_done(fixture->job, json_tree_parse(slice_text(text), &tree, &fixture->job->err));
    const struct json_node *files = json_node_get(json_tree_root(tree), "files");
    assert_int_equal(json_node_count(files), 1);
    const struct json_node *file = json_node_at(files, 0);
    const char *whole_key = arena_format(&fixture->job->arena, "in/here/%s",
                                         file_key(fixture, job));
    assert_true(slice_equal_text(json_node_text(json_node_get(file, "key")), whole_key));
    struct slice hex = json_node_text(json_node_get(file, "sha256"));
    uint8_t sha256[32];
    assert_true(hex_decode(hex, sha256, sizeof sha256));
    enum store_state state = STORE_ABSENT;
    assert_done(fixture->job, store_check(fixture->bucket, file_key(fixture, job),
                                          (uint64_t)json_node_int64(json_node_get(file, "bytes")),
                                          sha256, &state, &fixture->job->err));
    assert_int_equal(state, STORE_SAME);
    assert_null(text_of(fixture, fixture->spool, file_key(fixture, job)));
}

static void test_files_and_then_the_manifest_are_in_the_bucket(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    const struct subscription subscription = job_fixture_subscription(fixture.job, id);
    assert_int_equal(subscription.status, SUBSCRIPTION_ACTIVE);
    assert_int_equal(subscription.probed_at_ms, JOB_FIXTURE_NOW_MS);
    const struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    run(&fixture, &job);
    const struct job done = last(&fixture, id);
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_int_equal(done.row_count, 2);
    assert_int_equal(done.file_count, 0);
    assert_int_equal(done.expires_at_ms, 0);
    assert_delivered(&fixture, &done);
    assert_null(text_of(&fixture, fixture.job->store, file_key(&fixture, &done)));
}

// Each call of the bucket fails once: the next attempt delivers the same, without a scan.
static void test_a_fault_in_every_call_of_the_bucket(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    struct engine *engine = fixture.job->config.engine;
    bool is_failing = true;
    for (uint64_t call = 1; is_failing; call++) {
        assert_true(call < 10);
        struct store *memory = store_memory_new();
        struct store *faulty CLEANUP(store_close) = store_fault_new(memory, call, ERR_UNAVAILABLE);
        fixture.memory.store = faulty;
        int64_t row_count = 0;
        is_failing = !job_fixture_run(fixture.job, &job, &row_count);
        if (!is_failing)
            break;
        assert_int_equal(fixture.job->err.kind, ERR_UNAVAILABLE);
        assert_int_equal(last(&fixture, id).state, JOB_PENDING_UPLOAD);
        assert_null(text_of(&fixture, memory, manifest_key(&fixture, &job)));
        job = again(&fixture, &job);
        assert_true(job.is_spooled);
        fixture.job->config.engine = NULL; // what is spooled is not read from the lake again
    }
    fixture.job->config.engine = engine;
    assert_int_equal(last(&fixture, id).state, JOB_SUCCEEDED);
}

static void test_a_retry_finds_what_it_wrote(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    struct store *memory = store_memory_new();
    struct store *faulty CLEANUP(store_close) = store_fault_new(memory, 4, ERR_UNAVAILABLE);
    fixture.memory.store = faulty; // all is written but the manifest
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    const char *written = text_of(&fixture, memory, file_key(&fixture, &job));
    assert_non_null(written);
    job = again(&fixture, &job);
    fixture.memory.store = memory;
    run(&fixture, &job);
    assert_non_null(text_of(&fixture, memory, manifest_key(&fixture, &job)));
    assert_int_equal(last(&fixture, id).state, JOB_SUCCEEDED);
}

static void test_other_bytes_at_the_key_stay(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    const struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    put_text(fixture.bucket, file_key(&fixture, &job), "theirs");
    fail_to_run(&fixture, &job, ERR_CONFLICT);
    assert_string_equal(text_of(&fixture, fixture.bucket, file_key(&fixture, &job)), "theirs");
    assert_null(text_of(&fixture, fixture.bucket, manifest_key(&fixture, &job)));
}

static void test_a_refusal_leaves_nothing_behind(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    const struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    put_text(fixture.bucket, manifest_key(&fixture, &job), "theirs"); // the last object conflicts
    fail_to_run(&fixture, &job, ERR_CONFLICT);
    assert_null(text_of(&fixture, fixture.bucket, file_key(&fixture, &job)));
    assert_string_equal(text_of(&fixture, fixture.bucket, manifest_key(&fixture, &job)), "theirs");
}

static void test_damage_in_the_spool_is_made_good(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    const char *key = file_key(&fixture, &job);
    fixture.memory.bucket_failure = ERR_UNAVAILABLE;
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    fixture.memory.bucket_failure = ERR_NONE;
    int fd = -1;
    uint64_t size_bytes = 0;
    assert_done(fixture.job,
                store_open_object(fixture.spool, key, &fd, &size_bytes, &fixture.job->err));
    (void)close(fd);
    char *zeros = arena_alloc(&fixture.job->arena, size_bytes + 1);
    memset(zeros, '0', size_bytes);
    put_text(fixture.spool, key, zeros); // as long, but other bytes
    job = again(&fixture, &job);
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    assert_null(text_of(&fixture, fixture.bucket, file_key(&fixture, &job)));
    job = again(&fixture, &job);
    assert_false(job.is_spooled);
    run(&fixture, &job);
    assert_delivered(&fixture, &job);
}

static void test_a_file_that_is_gone_from_the_spool_is_made_again(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fixture.memory.bucket_failure = ERR_UNAVAILABLE;
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    fixture.memory.bucket_failure = ERR_NONE;
    assert_done(fixture.job,
                store_delete(fixture.spool, file_key(&fixture, &job), &fixture.job->err));
    job = again(&fixture, &job);
    run(&fixture, &job);
    assert_delivered(&fixture, &job);
}

static void test_the_spool_of_an_organization_is_bounded(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fixture.job->config.spool_bytes_max = 10; // it will never fit
    fail_to_run(&fixture, &job, ERR_INVALID);
    assert_non_null(strstr(fixture.job->err.message, "ask for less at a time"));
    fixture.job->config.spool_bytes_max = 1 << 20;
    fixture.memory.bucket_failure = ERR_UNAVAILABLE;
    job = again(&fixture, &job);
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    const int64_t waiting_bytes = last(&fixture, id).byte_count;
    fixture.job->config.spool_bytes_max = waiting_bytes; // the first one fills it
    const struct job second = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(6));
    fail_to_run(&fixture, &second, ERR_LIMIT);
    fixture.job->config.spool_bytes_max = waiting_bytes + 10; // some, but not all of it
    const struct job third = again(&fixture, &second);
    fail_to_run(&fixture, &third, ERR_LIMIT);
    assert_non_null(strstr(fixture.job->err.message, "of the organization wait"));
    fixture.memory.bucket_failure = ERR_NONE;
    job = again(&fixture, &job);
    run(&fixture, &job); // what is made already is delivered all the same
    assert_delivered(&fixture, &job);
}

static void test_a_failed_sample_fails_the_subscription(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    fixture.memory.bucket_failure = ERR_DENIED;
    const char *id = job_fixture_subscribe_only(fixture.job, "csv", "gz", NAMES, NULL);
    struct job sample;
    assert_true(job_fixture_claim(fixture.job, &sample));
    fail_to_run(&fixture, &sample, ERR_DENIED);
    assert_int_equal(job_fixture_subscription(fixture.job, id).probed_at_ms, 0);
}

// Only damage of the files themselves makes them anew.
static void test_a_bucket_that_lies_is_no_damage_of_files(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fixture.memory.bucket_failure = ERR_CORRUPT; // the secret of its connection
    fail_to_run(&fixture, &job, ERR_IO);
    job = again(&fixture, &job);
    assert_true(job.is_spooled);
    fixture.memory.bucket_failure = ERR_NONE;
    run(&fixture, &job);
    assert_delivered(&fixture, &job);
    struct store *lying CLEANUP(store_close) = store_fault_new(store_memory_new(), 1, ERR_CORRUPT);
    fixture.memory.store = lying;
    struct job sample;
    (void)job_fixture_subscribe_only(fixture.job, "csv", "gz", "[\"timestamp\"]", NULL);
    assert_true(job_fixture_claim(fixture.job, &sample));
    fail_to_run(&fixture, &sample, ERR_INVALID);
    assert_non_null(strstr(fixture.job->err.message, "upload_integrity"));
}

// A hosted bucket that refuses us is nothing that the customer can mend: the job waits.
static void test_a_hosted_bucket_that_refuses_is_tried_again(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, NULL);
    start(&fixture);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    static const enum err_kind kinds[] = {ERR_DENIED, ERR_NOT_FOUND, ERR_UNAVAILABLE};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), 1,
                                                                    kinds[i]);
        fixture.job->config.hosted = faulty;
        fail_to_run(&fixture, &job, ERR_IO);
        job = again(&fixture, &job);
    }
    fixture.job->config.hosted = fixture.bucket;
    run(&fixture, &job);
    assert_int_equal(last(&fixture, id).state, JOB_SUCCEEDED);
}

static void test_late_jobs_without_rows_deliver_nothing(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    start(&fixture);
    const char *id = job_fixture_subscribe(fixture.job, NAMES, "[\"eq\",\"name\",\"one\"]");
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    run(&fixture, &job);
    job_fixture_add(fixture.job, JOB_FIXTURE_HOUR(5) + 2, "other");
    job_fixture_seal(fixture.job);
    job = job_fixture_claim_late(fixture.job);
    fixture.memory.bucket_failure = ERR_DENIED; // nobody asks for the bucket
    run(&fixture, &job);
    const struct job done = last(&fixture, id);
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_false(done.is_visible);
}

// Where others could wait behind a bucket that hangs, one worker makes files and delivers none.
static void test_the_reserve_leaves_deliveries_to_others(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, CLOUD);
    struct tenant_organization other;
    start(&fixture);
    const char *id = subscribe(&fixture);
    assert_done(fixture.job,
                tenant_create_organization(fixture.job->catalog, "other", JOB_FIXTURE_NOW_MS,
                                           &fixture.job->arena, &other, &fixture.job->err));
    fixture.job->config.is_reserve = true;
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fail_to_run(&fixture, &job, ERR_LIMIT);
    assert_true(job_run_gives_way(&fixture.job->err));
    assert_null(text_of(&fixture, fixture.bucket, manifest_key(&fixture, &job)));
    assert_int_equal(last(&fixture, id).state, JOB_PENDING_UPLOAD);
    fixture.job->config.is_reserve = false;
    job = again(&fixture, &job);
    run(&fixture, &job);
    assert_delivered(&fixture, &job);
}

// --- A hosted bucket elsewhere

static void test_a_hosted_bucket_elsewhere_has_the_files(void **state)
{
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, NULL);
    start(&fixture);
    fixture.job->config.hosted = fixture.bucket;
    const char *id = subscribe(&fixture);
    const struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    run(&fixture, &job);
    const struct job done = last(&fixture, id);
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_int_equal(done.file_count, 1);
    assert_int_equal(done.expires_at_ms, JOB_FIXTURE_NOW_MS + JOB_FIXTURE_EXPIRY_MS);
    assert_non_null(text_of(&fixture, fixture.bucket, done.files[0].key));
    assert_null(text_of(&fixture, fixture.spool, done.files[0].key));
    assert_null(text_of(&fixture, fixture.job->store, done.files[0].key));
}

// --- Mail

static void assert_recipient(struct fixture *fixture, const struct job *job, size_t index,
                             const char *address, const char *state)
{
    struct job_recipient *recipients = NULL;
    size_t count = 0;
    assert_done(fixture->job, job_recipients(fixture->job->catalog, job->id, &fixture->job->arena,
                                             &recipients, &count, &fixture->job->err));
    assert_true(index < count);
    assert_string_equal(recipients[index].address, address);
    assert_string_equal(job_recipient_state_name(recipients[index].state), state);
}

static void test_each_recipient_gets_links_once(void **state)
{
    static const struct destination_mail_result results[] = {
        {DESTINATION_MAIL_SENT, ""}, // the sample's
        {DESTINATION_MAIL_SENT, ""}, // both of them
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_PUT_OFF, "451 later"},
    };
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, MAIL);
    start(&fixture);
    fixture.memory.results = results;
    fixture.memory.result_count = ARRAY_COUNT(results);
    const char *id = subscribe(&fixture);
    assert_int_equal(fixture.memory.mail_count, 2);
    assert_null(strstr(fixture.memory.mails[0].text, "http"));
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    assert_non_null(strstr(fixture.job->err.message, "451 later"));
    assert_int_equal(last(&fixture, id).state, JOB_PENDING_UPLOAD);
    // The mail that has gone out has links that work.
    struct hosted_file file;
    const struct job waiting = last(&fixture, id);
    assert_done(fixture.job,
                hosted_file_find(fixture.job->catalog, NULL, slice_text(waiting.files[0].key),
                                 &fixture.job->arena, &file, &fixture.job->err));
    job = again(&fixture, &job);
    run(&fixture, &job);
    assert_int_equal(fixture.memory.mail_count, 5);
    const struct destination_mail *first = &fixture.memory.mails[2];
    const struct destination_mail *third = &fixture.memory.mails[4];
    assert_string_equal(first->to, "a@example.com");
    assert_string_equal(third->to, "b@example.com");
    assert_string_equal(first->message_name, third->message_name);
    assert_non_null(strstr(first->subject, JOB_FIXTURE_TOPIC ", 2024-10-04 05:00 to "));
    assert_non_null(strstr(first->text, arena_format(&fixture.job->arena,
                                                     "\nhttps://milkrun.example"
                                                     "/exports/%s?by=%s",
                                                     waiting.files[0].key, id)));
    assert_non_null(strstr(first->text, waiting.files[0].sha256));
    assert_non_null(strstr(first->html, "<a href=\"https://milkrun.example/exports/"));
    const struct job done = last(&fixture, id);
    assert_int_equal(done.state, JOB_SUCCEEDED);
    assert_int_equal(done.file_count, 1);
    assert_int_equal(done.expires_at_ms, JOB_FIXTURE_NOW_MS + JOB_FIXTURE_EXPIRY_MS);
    assert_recipient(&fixture, &done, 0, "a@example.com", "sent");
    assert_recipient(&fixture, &done, 1, "b@example.com", "sent");
}

static void test_a_damaged_attachment_is_not_sent(void **state)
{
    static const struct destination_mail_result results[] = {
        {DESTINATION_MAIL_SENT, ""}, // the sample's
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_PUT_OFF, "451 later"},
        {DESTINATION_MAIL_PUT_OFF, "451 later"},
    };
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, MAIL_ATTACHED);
    start(&fixture);
    fixture.memory.results = results;
    fixture.memory.result_count = ARRAY_COUNT(results);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    assert_int_equal(fixture.memory.mail_count, 4);
    const char *key = last(&fixture, id).files[0].key;
    const int64_t byte_count = last(&fixture, id).files[0].byte_count;
    char *text = memset(arena_alloc(&fixture.job->arena, (size_t)byte_count + 1), 'x',
                        (size_t)byte_count);
    text[byte_count] = '\0';
    put_text(fixture.job->store, key, text);
    job = again(&fixture, &job);
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    assert_non_null(strstr(fixture.job->err.message, "are made again"));
    assert_int_equal(fixture.memory.mail_count, 4);
    job = again(&fixture, &job);
    run(&fixture, &job);
    assert_int_equal(fixture.memory.mail_count, 6);
}

static void test_who_never_takes_it_is_given_up(void **state)
{
    static const struct destination_mail_result results[] = {
        {DESTINATION_MAIL_SENT, ""}, // the sample's
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_PUT_OFF, "452 mailbox full"},
        {DESTINATION_MAIL_PUT_OFF, "452 mailbox full"},
    };
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, MAIL);
    start(&fixture);
    fixture.memory.results = results;
    fixture.memory.result_count = ARRAY_COUNT(results);
    fixture.job->config.mail_limit_ms = 1000;
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    fail_to_run(&fixture, &job, ERR_UNAVAILABLE);
    const struct job_claim claim = job_fixture_claim_of(&job);
    const int64_t now_ms = clock_wall_ms(&fixture.job->clock.base);
    assert_done(fixture.job, job_fail(fixture.job->catalog, &claim, "away", now_ms, now_ms + 1,
                                      &fixture.job->err));
    fixture.job->clock.now_wall_ms += 1000;
    assert_true(job_fixture_claim(fixture.job, &job));
    run(&fixture, &job);
    assert_int_equal(last(&fixture, id).state, JOB_SUCCEEDED);
    assert_recipient(&fixture, &job, 0, "a@example.com", "sent");
    assert_recipient(&fixture, &job, 1, "b@example.com", "refused");
}

static void test_one_refusal_keeps_nobody_else_from_it(void **state)
{
    static const struct destination_mail_result results[] = {
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_REFUSED, "550 no such user"},
        {DESTINATION_MAIL_SENT, ""},
        {DESTINATION_MAIL_REFUSED, "550 no such user"},
        {DESTINATION_MAIL_REFUSED, "552 too much"},
    };
    struct fixture fixture CLEANUP(tear_down) = set_up(*state, MAIL);
    start(&fixture);
    fixture.memory.results = results;
    fixture.memory.result_count = ARRAY_COUNT(results);
    const char *id = subscribe(&fixture);
    struct job job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(5));
    run(&fixture, &job);
    assert_recipient(&fixture, &job, 0, "a@example.com", "refused");
    assert_recipient(&fixture, &job, 1, "b@example.com", "sent");
    job = job_fixture_claim_hour(fixture.job, id, JOB_FIXTURE_HOUR(6));
    fail_to_run(&fixture, &job, ERR_DENIED);
    assert_non_null(strstr(fixture.job->err.message, "552 too much"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        job_fixture_test(test_files_and_then_the_manifest_are_in_the_bucket),
        job_fixture_test(test_a_fault_in_every_call_of_the_bucket),
        job_fixture_test(test_a_retry_finds_what_it_wrote),
        job_fixture_test(test_other_bytes_at_the_key_stay),
        job_fixture_test(test_a_refusal_leaves_nothing_behind),
        job_fixture_test(test_damage_in_the_spool_is_made_good),
        job_fixture_test(test_a_file_that_is_gone_from_the_spool_is_made_again),
        job_fixture_test(test_the_spool_of_an_organization_is_bounded),
        job_fixture_test(test_a_failed_sample_fails_the_subscription),
        job_fixture_test(test_a_bucket_that_lies_is_no_damage_of_files),
        job_fixture_test(test_late_jobs_without_rows_deliver_nothing),
        job_fixture_test(test_the_reserve_leaves_deliveries_to_others),
        job_fixture_test(test_a_hosted_bucket_elsewhere_has_the_files),
        job_fixture_test(test_a_hosted_bucket_that_refuses_is_tried_again),
        job_fixture_test(test_each_recipient_gets_links_once),
        job_fixture_test(test_a_damaged_attachment_is_not_sent),
        job_fixture_test(test_who_never_takes_it_is_given_up),
        job_fixture_test(test_one_refusal_keeps_nobody_else_from_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
