// SPDX-License-Identifier: Apache-2.0
// Every way of misbehaving (s3_server.h) at every request of a put, once, twice and for ever after:
// never success without the whole object, never an object that is not whole, a bounded number of
// requests, and no upload left open as long as the server comes back to its senses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "store_fixture.h"

#define FAULT_REQUESTS_MAX 200

struct uploads {
    int begun_count;
    int over_count;
};

static bool note_begun(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)key;
    (void)upload_id;
    (void)err;
    ((struct uploads *)context)->begun_count++;
    return true;
}

static bool note_over(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)key;
    (void)upload_id;
    (void)err;
    ((struct uploads *)context)->over_count++;
    return true;
}

// After these one cannot go on, or need not.
static bool is_final(enum s3_fault fault)
{
    return fault >= S3_FAULT_301 && fault <= S3_FAULT_400_EXPIRED;
}

struct run {
    struct s3_server *server;
    struct test_file *file;
    enum s3_fault fault;
    int from;
    int to; // INT32_MAX: for ever
    int request_count;
};

static bool put(struct run *run, struct uploads *uploads, struct err *err)
{
    char endpoint[64];
    struct test_credentials credentials = test_s3_credentials();
    struct store_s3_config config = test_s3_config(run->server, endpoint, &credentials);
    config.s3.http.total_timeout_ms = run->fault == S3_FAULT_STALL ? 120 : 5000;
    struct store *store CLEANUP(store_close) = NULL;
    assert_true(store_s3_open(&config, &store, err));
    const struct store_hooks hooks = {
        .upload_begun = note_begun, .upload_over = note_over, .context = uploads};
    enum store_put_outcome outcome;
    return store_put_file(store, &run->file->spec, &hooks, &outcome, err);
}

static void expect(const struct run *run, const char *what, bool holds, const struct err *err)
{
    if (!holds)
        fail_msg("%s: fault %d from request %d to %d of %zu bytes: %s\n%s", what, run->fault,
                 run->from, run->to, run->file->bytes.size_bytes, err->message,
                 buf_text(&run->server->log));
}

static void run_once(struct run *run)
{
    struct s3_server *server = run->server;
    s3_server_reset(server);
    s3_server_fail(server, run->fault, run->from, run->to);
    struct uploads uploads = {0};
    struct err err = {0};
    const bool is_done = put(run, &uploads, &err);
    run->request_count = s3_server_requests(server);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 1000000);
    const bool is_there = s3_server_get(server, run->file->spec.key, &bytes);
    const bool is_whole = slice_equal(buf_slice(&bytes), buf_slice(&run->file->bytes));
    const bool is_passing = run->to != INT32_MAX;
    expect(run, "done without an object", !is_done || is_there, &err);
    expect(run, "not whole", !is_there || is_whole, &err);
    expect(run, "too many requests", run->request_count <= FAULT_REQUESTS_MAX, &err);
    expect(run, "not done", is_done || !is_passing || is_final(run->fault), &err);
    const int left_count = s3_server_open_uploads(server);
    const bool may_leave = !is_passing || (is_final(run->fault) && run->to > run->from);
    expect(run, "an upload is left", may_leave || left_count == 0, &err);
    expect(run, "an upload is told to be over that is not",
           uploads.begun_count - uploads.over_count >= left_count || !is_passing ||
               run->fault == S3_FAULT_404_NO_UPLOAD,
           &err);
    expect(run, "an upload is not told to be over",
           may_leave || uploads.begun_count == uploads.over_count, &err);
    expect(run, "a secret is told",
           strstr(err.message, S3_SERVER_SECRET) == NULL &&
               strstr(err.message, S3_SERVER_TOKEN) == NULL,
           &err);
    expect(run, "unsigned", server->unsigned_count == 0, &err);
}

static void run_all(struct s3_server *server, size_t size_bytes, int length)
{
    struct test_file file;
    test_file_open(&file, "folder/file", size_bytes, 1);
    struct run clean = {.server = server, .file = &file};
    run_once(&clean);
    for (int fault = 1; fault < S3_FAULT_COUNT; fault++) {
        for (int from = 1; from <= clean.request_count; from++) {
            // Each attempt takes its time: the first and the last request are enough.
            if (fault == S3_FAULT_STALL && length != 1 && from != 1 && from != clean.request_count)
                continue;
            struct run run = {.server = server,
                              .file = &file,
                              .fault = (enum s3_fault)fault,
                              .from = from,
                              .to = length == INT32_MAX ? INT32_MAX : from + length - 1};
            run_once(&run);
        }
    }
    test_file_close(&file);
}

static void test_single_once(void **state)
{
    run_all(*state, 700, 1);
}

static void test_single_twice(void **state)
{
    run_all(*state, 700, 2);
}

static void test_single_for_ever(void **state)
{
    run_all(*state, 700, INT32_MAX);
}

static void test_parts_once(void **state)
{
    run_all(*state, 1001, 1);
}

static void test_parts_twice(void **state)
{
    run_all(*state, 1001, 2);
}

static void test_parts_for_ever(void **state)
{
    run_all(*state, 1001, INT32_MAX);
}

static void test_empty_once(void **state)
{
    run_all(*state, 0, 1);
}

// Without a look before a single PUT.
static void test_google_once(void **state)
{
    struct s3_server *server = *state;
    server->is_goog = true;
    run_all(server, 700, 1);
    run_all(server, 700, INT32_MAX);
    run_all(server, 1001, 1);
    server->is_goog = false;
}

int main(void)
{
    static struct s3_server server;
    s3_server_open(&server);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_empty_once, &server),
        cmocka_unit_test_prestate(test_google_once, &server),
        cmocka_unit_test_prestate(test_single_once, &server),
        cmocka_unit_test_prestate(test_single_twice, &server),
        cmocka_unit_test_prestate(test_single_for_ever, &server),
        cmocka_unit_test_prestate(test_parts_once, &server),
        cmocka_unit_test_prestate(test_parts_twice, &server),
        cmocka_unit_test_prestate(test_parts_for_ever, &server),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    s3_server_close(&server);
    return failed;
}
