// SPDX-License-Identifier: Apache-2.0
// What S3 has beyond the suite of all stores: credentials, clocks, regions, permissions, uploads,
// and how many requests and how much memory a put takes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store_fixture.h"

#if defined(__SANITIZE_ADDRESS__) // which keeps what was freed
#define LARGE_FILE_BYTES   ((uint64_t)64 * 1024 * 1024)
#define LARGE_MEMORY_BYTES ((uint64_t)512 * 1024 * 1024)
#else
#define LARGE_FILE_BYTES   ((uint64_t)2 * 1024 * 1024 * 1024)
#define LARGE_MEMORY_BYTES ((uint64_t)16 * 1024 * 1024)
#endif

struct fixture {
    struct s3_server server;
    struct test_credentials credentials;
    struct store_s3_config config;
    char endpoint[64];
    struct store *store;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    s3_server_open(&fixture->server);
    fixture->credentials = test_s3_credentials();
    fixture->config = test_s3_config(&fixture->server, fixture->endpoint, &fixture->credentials);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_close(&fixture->store);
    s3_server_close(&fixture->server);
    mem_free(fixture);
    return 0;
}

static void open_store(struct fixture *fixture)
{
    store_close(&fixture->store);
    if (!store_s3_open(&fixture->config, &fixture->store, &fixture->err))
        fail_msg("%s", fixture->err.message);
}

static bool put(struct fixture *fixture, const char *key, size_t size_bytes)
{
    struct test_file file;
    enum store_put_outcome outcome;
    test_file_open(&file, key, size_bytes, 1);
    if (fixture->store == NULL)
        open_store(fixture);
    const bool is_done = store_put_file(fixture->store, &file.spec, NULL, &outcome, &fixture->err);
    test_file_close(&file);
    return is_done;
}

static void expect_put(struct fixture *fixture, const char *key, size_t size_bytes)
{
    if (!put(fixture, key, size_bytes))
        fail_msg("%s\n%s", fixture->err.message, buf_text(&fixture->server.log));
}

// In few requests, with words for the owner of the bucket and no secrets.
static void expect_refusal(struct fixture *fixture, size_t size_bytes, enum err_kind kind,
                           const char *words)
{
    s3_server_reset(&fixture->server);
    assert_false(put(fixture, "a/b", size_bytes));
    if (fixture->err.kind != kind || strstr(fixture->err.message, words) == NULL)
        fail_msg("%s", fixture->err.message);
    assert_null(strstr(fixture->err.message, S3_SERVER_SECRET));
    assert_null(strstr(fixture->err.message, S3_SERVER_TOKEN));
    assert_in_range(s3_server_requests(&fixture->server), 1, 6);
    assert_int_equal(s3_server_open_uploads(&fixture->server), 0);
}

static struct secret secret_of(char *text)
{
    return (struct secret){.hidden = text, .hidden_bytes = strlen(text)};
}

static void test_credentials_that_expired_are_refreshed_once(void **state)
{
    struct fixture *fixture = *state;
    static char old[] = "old";
    static char token[] = S3_SERVER_TOKEN;
    fixture->server.token = S3_SERVER_TOKEN;
    fixture->credentials.credentials.session_token = secret_of(old);
    expect_refusal(fixture, 700, ERR_DENIED, "expired");
    assert_int_equal(fixture->credentials.refresh_count, 1);
    expect_refusal(fixture, 2000, ERR_DENIED, "expired");
    fixture->credentials.refreshed = fixture->credentials.credentials;
    fixture->credentials.refreshed.session_token = secret_of(token);
    fixture->credentials.refresh_count = 0;
    open_store(fixture); // else it waits for a minute
    expect_put(fixture, "a/b", 700);
    assert_int_equal(fixture->credentials.refresh_count, 1);
    expect_put(fixture, "a/c", 2000);
    assert_int_equal(fixture->credentials.refresh_count, 1);
}

static void test_keys_that_are_not_right(void **state)
{
    struct fixture *fixture = *state;
    static char other[] = "another";
    const struct s3_credentials right = fixture->credentials.credentials;
    fixture->credentials.credentials.secret_key = secret_of(other);
    expect_refusal(fixture, 700, ERR_DENIED, "secret key is not that of the access key");
    expect_refusal(fixture, 2000, ERR_DENIED, "secret key is not that of the access key");
    assert_true(fixture->server.unsigned_count > 0);
    fixture->credentials.credentials = right;
    fixture->credentials.credentials.key_id = "UNKNOWN";
    expect_refusal(fixture, 700, ERR_DENIED, "access key is not known");
    expect_refusal(fixture, 2000, ERR_DENIED, "access key is not known");
    // Keys may be exchanged while the program runs.
    fixture->credentials.refreshed = right;
    open_store(fixture);
    expect_put(fixture, "a/b", 700);
}

static void test_buckets_that_are_not_there_or_not_ours(void **state)
{
    struct fixture *fixture = *state;
    fixture->server.denies_write = true;
    expect_refusal(fixture, 700, ERR_DENIED, "s3:PutObject on test-bucket/a/b");
    expect_refusal(fixture, 2000, ERR_DENIED, "s3:PutObject on test-bucket/a/b");
    fixture->server.denies_read = true;
    expect_refusal(fixture, 700, ERR_DENIED, "s3:PutObject on test-bucket/a/b");
    fixture->config.s3.bucket = "other-bucket";
    open_store(fixture);
    expect_refusal(fixture, 700, ERR_NOT_FOUND, "no such bucket");
    expect_refusal(fixture, 2000, ERR_NOT_FOUND, "no such bucket");
}

static void test_a_clock_that_is_off_is_set_once(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t offsets_ms[] = {7200000, -7200000};
    for (size_t i = 0; i < ARRAY_COUNT(offsets_ms); i++) {
        s3_server_reset(&fixture->server);
        fixture->server.clock_offset_ms = offsets_ms[i];
        open_store(fixture);
        expect_put(fixture, "a/b", 700);
        assert_int_equal(s3_server_requests(&fixture->server), 3); // HEAD twice, PUT
        expect_put(fixture, "a/c", 700);
        assert_int_equal(s3_server_requests(&fixture->server), 5);
        expect_put(fixture, "a/d", 2000);
    }
}

static void test_another_region_is_found_once(void **state)
{
    struct fixture *fixture = *state;
    fixture->server.region = "eu-other-2";
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 3);
    expect_put(fixture, "a/c", 2000);
    assert_int_equal(fixture->server.unsigned_count, 0);
    fixture->server.region = "not a region";
    expect_refusal(fixture, 700, ERR_INVALID, "region");
}

static void test_redirects_are_not_followed(void **state)
{
    struct fixture *fixture = *state;
    open_store(fixture);
    static const enum s3_fault faults[] = {S3_FAULT_301, S3_FAULT_307};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        s3_server_fail(&fixture->server, faults[i], 1, INT32_MAX);
        assert_false(put(fixture, "a/b", 700));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
        assert_non_null(strstr(fixture->err.message, "in another region or place"));
    }
}

static void test_buckets_in_front_of_the_host(void **state)
{
    struct fixture *fixture = *state;
    fixture->server.bucket_host = S3_SERVER_BUCKET ".localhost:";
    (void)snprintf(fixture->endpoint, sizeof fixture->endpoint, "http://localhost:%d",
                   fixture->server.base.port);
    fixture->config.s3.is_path_style = false;
    expect_put(fixture, "a/b", 700);
    expect_put(fixture, "a/c", 2000);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 10000);
    assert_true(s3_server_get(&fixture->server, "a/c", &bytes));
    assert_int_equal(bytes.size_bytes, 2000);
}

static void test_endpoints_of_another_form(void **state)
{
    struct fixture *fixture = *state;
    static const char *const endpoints[] = {"",           "localhost",  "ftp://a",   "https://",
                                            "https://a/", "http://a?b", "http://u@a"};
    for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++) {
        fixture->config.s3.endpoint = endpoints[i];
        assert_false(store_s3_open(&fixture->config, &fixture->store, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
    }
}

static void test_a_probe_names_what_is_missing(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.prefix = "exports/";
    open_store(fixture);
    struct store_probe probe = {0};
    fixture->server.denies_write = true;
    assert_false(store_probe(fixture->store, "probe", &probe, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_DENIED);
    assert_non_null(strstr(fixture->err.message, "s3:PutObject on test-bucket/exports/probe"));
    assert_non_null(
        strstr(fixture->err.message, "\"Resource\": \"arn:aws:s3:::test-bucket/exports/*\"}"));
    fixture->server.denies_write = false;
    fixture->server.denies_read = true;
    assert_true(store_probe(fixture->store, "probe", &probe, &fixture->err));
    assert_false(probe.is_readable);
    assert_true(probe.is_deletable);
    assert_int_equal(s3_server_object_count(&fixture->server), 0);
    fixture->server.denies_read = false;
    fixture->server.denies_delete = true;
    assert_true(store_probe(fixture->store, "probe", &probe, &fixture->err));
    assert_true(probe.is_readable);
    assert_false(probe.is_deletable);
    assert_int_equal(s3_server_object_count(&fixture->server), 1);
    s3_server_fail(&fixture->server, S3_FAULT_FLIPPED, 1, 1);
    assert_false(store_probe(fixture->store, "flipped", &probe, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
}

// A probe may find itself, where it could not be deleted; it never replaces anything, and some
// buckets take nothing else.
static void test_a_probe_replaces_nothing(void **state)
{
    struct fixture *fixture = *state;
    open_store(fixture);
    struct store_probe probe = {0};
    fixture->server.demands_condition = true;
    fixture->server.denies_delete = true;
    for (int i = 0; i < 2; i++) {
        if (!store_probe(fixture->store, "probe", &probe, &fixture->err))
            fail_msg("%s", fixture->err.message);
        assert_false(probe.is_deletable);
    }
    s3_server_put(&fixture->server, "other", "theirs");
    assert_false(store_probe(fixture->store, "other", &probe, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    fixture->server.refuses_condition = true;
    fixture->server.demands_condition = false;
    assert_true(store_probe(fixture->store, "without", &probe, &fixture->err));
}

static void test_objects_are_encrypted_by_the_key_that_was_named(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {700, 2000}; // at once, and in parts
    fixture->server.kms_key = "arn:aws:kms:us-east-1:123456789012:alias/exports";
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        fixture->config.kms_key_arn = NULL;
        open_store(fixture);
        assert_false(put(fixture, "plain", sizes[i]));
        assert_int_equal(fixture->err.kind, ERR_DENIED);
        fixture->config.kms_key_arn = fixture->server.kms_key;
        open_store(fixture);
        expect_put(fixture, i == 0 ? "small" : "large", sizes[i]);
        struct store_probe probe = {0};
        assert_true(store_probe(fixture->store, "probe", &probe, &fixture->err));
    }
    assert_int_equal(s3_server_open_uploads(&fixture->server), 0);
}

static enum store_put_outcome put_unread(struct fixture *fixture, size_t size_bytes)
{
    struct test_file file;
    enum store_put_outcome outcome;
    test_file_open(&file, "a/b", size_bytes, 1);
    open_store(fixture);
    if (!store_put_file(fixture->store, &file.spec, NULL, &outcome, &fixture->err))
        fail_msg("%s\n%s", fixture->err.message, buf_text(&fixture->server.log));
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 10000);
    assert_true(s3_server_get(&fixture->server, "a/b", &bytes));
    assert_true(slice_equal(buf_slice(&bytes), buf_slice(&file.bytes)));
    assert_int_equal(s3_server_open_uploads(&fixture->server), 0);
    test_file_close(&file);
    return outcome;
}

// Without permission to read, nothing is compared: what an earlier put left is written once more,
// unless the bucket keeps what it has.
static void test_a_bucket_that_may_not_be_read(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {700, 2000};
    fixture->server.denies_read = true;
    for (int is_goog = 0; is_goog <= 1; is_goog++) {
        fixture->server.is_goog = is_goog == 1;
        fixture->config.s3.provider = is_goog == 1 ? S3_PROVIDER_GCS_XML : S3_PROVIDER_S3;
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            s3_server_reset(&fixture->server);
            fixture->server.demands_condition = false;
            assert_int_equal(put_unread(fixture, sizes[i]), STORE_WRITTEN);
            assert_int_equal(put_unread(fixture, sizes[i]), STORE_WRITTEN);
            if (is_goog == 1 && i == 1)
                continue; // completes whatever is there
            fixture->server.demands_condition = true;
            assert_int_equal(put_unread(fixture, sizes[i]), STORE_WAS_THERE);
        }
    }
}

// Nor does it matter which answer was lost.
static void test_answers_that_are_lost_where_nothing_may_be_read(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {700, 2000};
    static const enum s3_fault faults[] = {S3_FAULT_CLOSE_AFTER, S3_FAULT_RESET_AFTER,
                                           S3_FAULT_500_AFTER, S3_FAULT_TRUNCATED,
                                           S3_FAULT_200_ERROR_AFTER};
    fixture->server.denies_read = true;
    for (int is_once = 0; is_once <= 1; is_once++) {
        fixture->server.demands_condition = is_once == 1;
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            // One write is permitted with a condition only; parts and their beginning have none.
            s3_server_reset(&fixture->server);
            (void)put_unread(fixture, sizes[i]);
            const int request_count = s3_server_requests(&fixture->server);
            for (size_t j = 0; j < ARRAY_COUNT(faults); j++) {
                for (int from = 1; from <= request_count; from++) {
                    s3_server_reset(&fixture->server);
                    s3_server_fail(&fixture->server, faults[j], from, from);
                    assert_int_equal(put_unread(fixture, sizes[i]), STORE_WRITTEN);
                }
            }
        }
    }
}

// What may be read and is another file is never replaced, and what was confirmed with other bytes
// is no success.
static void test_what_is_not_replaced(void **state)
{
    struct fixture *fixture = *state;
    s3_server_put(&fixture->server, "a/b", "theirs");
    assert_false(put(fixture, "a/b", 700));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    assert_false(put(fixture, "a/b", 2000));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    s3_server_reset(&fixture->server);
    fixture->server.denies_read = true;
    fixture->server.demands_condition = true;
    s3_server_fail(&fixture->server, S3_FAULT_ETAG_WRONG, 2, 2);
    assert_false(put(fixture, "a/b", 700));
    assert_int_equal(fixture->err.kind, ERR_DENIED);
}

static void test_what_a_put_costs(void **state)
{
    struct fixture *fixture = *state;
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 2); // HEAD, PUT
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 3); // HEAD
    s3_server_reset(&fixture->server);
    expect_put(fixture, "a/c", 1001);
    assert_int_equal(s3_server_requests(&fixture->server), 9); // 4 parts and 5
    expect_put(fixture, "a/c", 1001);
    assert_int_equal(s3_server_requests(&fixture->server), 10);
    s3_server_reset(&fixture->server);
    fixture->server.is_goog = true;
    fixture->config.s3.provider = S3_PROVIDER_GCS_XML;
    open_store(fixture);
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 1);
}

static void test_a_store_that_is_always_busy_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    s3_server_fail(&fixture->server, S3_FAULT_503_SLOW_DOWN, 1, INT32_MAX);
    assert_false(put(fixture, "a/b", 700));
    assert_int_equal(fixture->err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(fixture->err.message, "after 4 tries: read object: 503"));
    assert_int_equal(s3_server_requests(&fixture->server), TEST_S3_ATTEMPTS);
}

// Amazon's hosts, all of which are our server by way of a proxy.
static void move_to_amazon(struct fixture *fixture, const char *host)
{
    static char proxy[64];
    (void)snprintf(proxy, sizeof proxy, "%s", fixture->endpoint);
    fixture->config.s3.http.proxy = proxy;
    fixture->config.s3.endpoint = host;
    open_store(fixture);
}

static void test_amazon_heeds_conditions(void **state)
{
    struct fixture *fixture = *state;
    move_to_amazon(fixture, "http://s3." S3_SERVER_REGION ".amazonaws.com");
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 1);
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 3); // 412, HEAD
    fixture->server.is_write_once = true;
    assert_false(put(fixture, "a/b", 701)); // 403, HEAD
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    expect_put(fixture, "a/b", 700);
    assert_int_equal(s3_server_requests(&fixture->server), 7);
}

static void test_amazons_regions_have_hosts_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    fixture->server.region = "eu-other-2";
    fixture->server.wanted_host = "s3.eu-other-2.amazonaws.com";
    move_to_amazon(fixture, "http://s3." S3_SERVER_REGION ".amazonaws.com");
    expect_put(fixture, "a/b", 700);
    expect_put(fixture, "a/c", 2000);
    move_to_amazon(fixture, "http://s3.amazonaws.com");
    expect_put(fixture, "a/d", 700);
    fixture->server.wanted_host = "s3.dualstack.eu-other-2.amazonaws.com.cn";
    move_to_amazon(fixture, "http://s3.dualstack." S3_SERVER_REGION ".amazonaws.com.cn");
    expect_put(fixture, "a/e", 700);
    assert_int_equal(fixture->server.unsigned_count, 0);
}

static void test_conditions_that_are_refused_are_left_out(void **state)
{
    struct fixture *fixture = *state;
    fixture->server.refuses_condition = true;
    expect_put(fixture, "a/b", 2000);
    open_store(fixture);
    expect_put(fixture, "a/c", 700);
    const int before = s3_server_requests(&fixture->server);
    expect_put(fixture, "a/d", 700);
    assert_int_equal(s3_server_requests(&fixture->server), before + 2);
}

static bool give_none(void *context, bool is_refresh, struct arena *arena,
                      struct s3_credentials *ret_credentials, struct err *err)
{
    struct test_credentials *test = context;
    (void)arena;
    if (is_refresh || test->credentials.key_id == NULL)
        return err_set(err, ERR_UNAVAILABLE, "the token service does not answer");
    *ret_credentials = test->credentials;
    return true;
}

static void test_credentials_that_cannot_be_had(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.s3.get_credentials = give_none;
    fixture->server.token = "expected";
    move_to_amazon(fixture, "http://s3." S3_SERVER_REGION ".amazonaws.com");
    assert_false(put(fixture, "a/b", 700)); // at the refresh
    assert_int_equal(fixture->err.kind, ERR_UNAVAILABLE);
    assert_string_equal(fixture->err.message, "the token service does not answer");
    fixture->credentials.credentials.key_id = NULL;
    assert_false(put(fixture, "a/b", 2000));
    assert_string_equal(fixture->err.message, "the token service does not answer");
}

struct shrinking {
    int fd;
    int calls_left;
};

static bool shrink(void *context)
{
    struct shrinking *shrinking = context;
    if (--shrinking->calls_left == 0)
        assert_int_equal(ftruncate(shrinking->fd, 100), 0);
    return true;
}

// At any time: while it is hashed, between that and the sending, while it is sent.
static void test_a_file_that_becomes_shorter(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {700, 2000};
    open_store(fixture);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (int calls = 1; calls < 40; calls++) {
            s3_server_reset(&fixture->server);
            struct test_file file;
            test_file_open(&file, "a/b", sizes[i], 1);
            struct shrinking shrinking = {file.spec.fd, calls};
            const struct store_hooks hooks = {.keep_going = shrink, .context = &shrinking};
            enum store_put_outcome outcome;
            struct err err = {0};
            const bool is_done = store_put_file(fixture->store, &file.spec, &hooks, &outcome, &err);
            struct buf bytes CLEANUP(buf_clear);
            buf_init(&bytes, 10000);
            const bool is_there = s3_server_get(&fixture->server, "a/b", &bytes);
            assert_int_equal(is_done, is_there);
            if (is_there)
                assert_true(slice_equal(buf_slice(&bytes), buf_slice(&file.bytes)));
            else if (err.kind != ERR_CORRUPT)
                fail_msg("%s", err.message);
            assert_int_equal(s3_server_open_uploads(&fixture->server), 0);
            test_file_close(&file);
        }
    }
}

static void test_files_that_no_object_can_hold(void **state)
{
    struct fixture *fixture = *state;
    open_store(fixture);
    const struct store_file_spec spec = {
        .key = "a/b", .fd = 0, .size_bytes = UINT64_C(60) << 40, .content_type = "text/csv"};
    enum store_put_outcome outcome;
    assert_false(store_put_file(fixture->store, &spec, NULL, &outcome, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_LIMIT);
    assert_int_equal(s3_server_requests(&fixture->server), 0);
}

static bool count_begun(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)key;
    (void)upload_id;
    (void)err;
    (*(int *)context)++;
    return true;
}

static void test_an_upload_that_is_gone_is_begun_anew(void **state)
{
    struct fixture *fixture = *state;
    struct test_file file;
    test_file_open(&file, "a/b", 1001, 1);
    open_store(fixture);
    for (int request = 3; request <= 8; request++) {
        if (request == 7)
            continue; // a look
        s3_server_reset(&fixture->server);
        s3_server_fail(&fixture->server, S3_FAULT_404_NO_UPLOAD, request, request);
        int begun_count = 0;
        const struct store_hooks hooks = {.upload_begun = count_begun, .context = &begun_count};
        enum store_put_outcome outcome;
        if (!store_put_file(fixture->store, &file.spec, &hooks, &outcome, &fixture->err))
            fail_msg("%s", fixture->err.message);
        assert_int_equal(begun_count, 2);
        assert_int_equal(s3_server_open_uploads(&fixture->server), 0);
    }
    test_file_close(&file);
}

// As after a crash of the store, which forgot some of the bytes, and of us, who could not tell.
static void test_a_broken_object_of_ours_gives_way(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {700, 2000};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        fixture->server.denies_delete = true;
        s3_server_reset(&fixture->server);
        if (sizes[i] == 700) {
            s3_server_fail(&fixture->server, S3_FAULT_SHORT, 1, INT32_MAX);
            assert_false(put(fixture, "a/b", 700));
            assert_int_equal(fixture->err.kind, ERR_CORRUPT);
        } else {
            expect_put(fixture, "a/b", 2000);
            fixture->server.objects->size_bytes--;
            fixture->server.objects->bytes.size_bytes--;
        }
        s3_server_fail(&fixture->server, S3_FAULT_NONE, 1, 1);
        assert_int_equal(s3_server_object_count(&fixture->server), 1);
        assert_false(put(fixture, "a/b", sizes[i]));
        fixture->server.denies_delete = false;
        expect_put(fixture, "a/b", sizes[i]);
        struct buf bytes CLEANUP(buf_clear);
        buf_init(&bytes, 10000);
        assert_true(s3_server_get(&fixture->server, "a/b", &bytes));
        assert_int_equal(bytes.size_bytes, sizes[i]);
    }
}

static bool note(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)context;
    (void)key;
    (void)upload_id;
    (void)err;
    return true;
}

// Whether or not the answer came, the last look sees an object that is not made of our parts.
static void test_an_upload_that_became_another_object(void **state)
{
    struct fixture *fixture = *state;
    static const enum s3_fault faults[] = {S3_FAULT_NONE, S3_FAULT_CLOSE_AFTER, S3_FAULT_500_AFTER,
                                           S3_FAULT_LIE};
    struct test_file file;
    test_file_open(&file, "a/b", 1001, 1);
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        s3_server_reset(&fixture->server);
        fixture->server.damage_count = 1;
        s3_server_fail(&fixture->server, faults[i], 8, 8); // the end of the upload
        expect_put(fixture, "a/b", 1001);
        assert_int_equal(fixture->server.damage_count, 0);
        struct buf bytes CLEANUP(buf_clear);
        buf_init(&bytes, 10000);
        assert_true(s3_server_get(&fixture->server, "a/b", &bytes));
        assert_true(slice_equal(buf_slice(&bytes), buf_slice(&file.bytes)));
    }
    test_file_close(&file);
}

static bool die(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)context;
    (void)key;
    (void)upload_id;
    return err_set(err, ERR_CANCELED, "dead");
}

// As if killed between the beginning of an upload and its note.
static void leave_stray(struct fixture *fixture, struct test_file *file)
{
    const struct store_hooks hooks = {.upload_begun = die};
    enum store_put_outcome outcome;
    s3_server_fail(&fixture->server, S3_FAULT_CLOSE_BEFORE, 3, INT32_MAX); // HEAD, begin, abort
    assert_false(store_put_file(fixture->store, &file->spec, &hooks, &outcome, &fixture->err));
    s3_server_fail(&fixture->server, S3_FAULT_NONE, 1, 1);
}

static void test_a_repeated_put_ends_what_the_first_began(void **state)
{
    struct fixture *fixture = *state;
    enum store_put_outcome outcome;
    struct test_file other;
    struct test_file file;
    test_file_open(&other, "a/bc", 1001, 1);
    test_file_open(&file, "a/b", 1001, 1);
    open_store(fixture);
    leave_stray(fixture, &other);
    leave_stray(fixture, &file);
    leave_stray(fixture, &file);
    assert_int_equal(s3_server_open_uploads(&fixture->server), 3);
    file.spec.may_have_strays = true;
    fixture->server.denies_list = true;
    assert_true(store_put_file(fixture->store, &file.spec, NULL, &outcome, &fixture->err));
    assert_int_equal(outcome, STORE_WRITTEN);
    assert_int_equal(s3_server_open_uploads(&fixture->server), 3);
    // Also when the object is there.
    fixture->server.denies_list = false;
    assert_true(store_put_file(fixture->store, &file.spec, NULL, &outcome, &fixture->err));
    assert_int_equal(outcome, STORE_WAS_THERE);
    assert_int_equal(s3_server_open_uploads(&fixture->server), 1); // of a/bc
    test_file_close(&file);
    test_file_close(&other);
}

static void test_the_sweep_ends_uploads_that_were_left(void **state)
{
    struct fixture *fixture = *state;
    struct test_file file;
    test_file_open(&file, "a/b", 1001, 1);
    open_store(fixture);
    const struct store_hooks hooks = {.upload_begun = note};
    for (int i = 0; i < 5; i++) {
        // Parts and the abort fail for good.
        s3_server_fail(&fixture->server, S3_FAULT_403, 3, INT32_MAX);
        enum store_put_outcome outcome;
        assert_false(store_put_file(fixture->store, &file.spec, &hooks, &outcome, &fixture->err));
        s3_server_fail(&fixture->server, S3_FAULT_NONE, 1, 1);
    }
    assert_int_equal(s3_server_open_uploads(&fixture->server), 5);
    assert_true(store_sweep(fixture->store, 3600000, NULL, NULL, &fixture->err));
    assert_int_equal(s3_server_open_uploads(&fixture->server), 5);
    // Lists that are none change nothing.
    s3_server_fail(&fixture->server, S3_FAULT_OTHER_XML, 1, 1);
    assert_false(store_sweep(fixture->store, 3600000, NULL, NULL, &fixture->err));
    fixture->server.denies_list = true;
    assert_false(store_sweep(fixture->store, 3600000, NULL, NULL, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_DENIED);
    assert_non_null(strstr(fixture->err.message, "s3:ListBucketMultipartUploads on test-bucket"));
    fixture->server.denies_list = false;
    s3_server_age(&fixture->server, 7200000);
    assert_true(store_sweep(fixture->store, 3600000, NULL, NULL, &fixture->err));
    assert_int_equal(s3_server_open_uploads(&fixture->server), 0);
    test_file_close(&file);
}

static void test_what_is_only_for_stores_of_this_machine(void **state)
{
    struct fixture *fixture = *state;
    open_store(fixture);
    struct sink *sink = NULL;
    int fd = -1;
    uint64_t size_bytes = 0;
    assert_false(store_put_begin(fixture->store, "a", &sink, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_false(store_open_object(fixture->store, "a", &fd, &size_bytes, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (uint64_t)usage.ru_maxrss * 1024;
}

static void test_memory_does_not_grow_with_the_file(void **state)
{
    struct fixture *fixture = *state;
    fixture->server.keeps_bytes = false;
    fixture->config.single_put_bytes_max = 0;
    fixture->config.part_bytes_min = 0;
    fixture->config.s3.http.total_timeout_ms = 60000;
    fixture->config.s3.http.stall_timeout_ms = 60000;
    open_store(fixture);
    char path[] = "/tmp/milkrun-large-XXXXXX";
    struct store_file_spec spec = {.key = "large",
                                   .fd = mkstemp(path), // a hole, which takes no room
                                   .size_bytes = LARGE_FILE_BYTES,
                                   .content_type = "text/csv"};
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(spec.fd, (off_t)spec.size_bytes), 0);
    struct sha256 *hash CLEANUP(sha256_free) = sha256_new();
    static const char zeros[1024 * 1024];
    for (uint64_t done = 0; done < spec.size_bytes; done += sizeof zeros)
        sha256_update(hash, slice_of(zeros, sizeof zeros));
    sha256_finish(hash, spec.sha256);
    const uint64_t before = peak_bytes();
    enum store_put_outcome outcome;
    if (!store_put_file(fixture->store, &spec, NULL, &outcome, &fixture->err))
        fail_msg("%s", fixture->err.message);
    assert_in_range(peak_bytes() - before, 0, LARGE_MEMORY_BYTES);
    assert_int_equal(s3_server_requests(&fixture->server),
                     LARGE_FILE_BYTES / (8 * 1024 * 1024) + 5);
    assert_int_equal(fixture->server.objects->size_bytes, spec.size_bytes);
    assert_int_equal(close(spec.fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_credentials_that_expired_are_refreshed_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_keys_that_are_not_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_buckets_that_are_not_there_or_not_ours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_clock_that_is_off_is_set_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_region_is_found_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redirects_are_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_buckets_in_front_of_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_endpoints_of_another_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_probe_names_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_probe_replaces_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_objects_are_encrypted_by_the_key_that_was_named,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_bucket_that_may_not_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers_that_are_lost_where_nothing_may_be_read,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_put_costs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_store_that_is_always_busy_is_given_up, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_upload_that_is_gone_is_begun_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_an_upload_that_became_another_object, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_broken_object_of_ours_gives_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_repeated_put_ends_what_the_first_began, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_sweep_ends_uploads_that_were_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_only_for_stores_of_this_machine, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_amazon_heeds_conditions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_amazons_regions_have_hosts_of_their_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_conditions_that_are_refused_are_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_credentials_that_cannot_be_had, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_that_becomes_shorter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_no_object_can_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_does_not_grow_with_the_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
