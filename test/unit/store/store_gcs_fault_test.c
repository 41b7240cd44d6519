// SPDX-License-Identifier: Apache-2.0
// Every way of misbehaving (gcs_server.h) at every request of a put, once, twice and for ever
// after: never success without the whole object, never an object that is not whole, a bounded
// number of requests, and no upload left open as long as the server comes back to its senses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gcs_fixture.h"

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

struct run {
    struct gcs_server *server;
    struct store_file_spec spec;
    struct buf bytes;
    bool can_only_create;
    enum gcs_fault fault;
    int from;
    int to; // INT32_MAX: for ever
    int request_count;
};

static bool stalls(enum gcs_fault fault)
{
    return fault == GCS_FAULT_STALL || fault == GCS_FAULT_HALF_STALL;
}

// Each attempt takes its time: then the first and the last request are enough.
static bool is_slow(enum gcs_fault fault)
{
    return stalls(fault) || fault == GCS_FAULT_HUGE;
}

static bool put(struct run *run, struct uploads *uploads, struct err *err)
{
    char endpoint[64];
    struct test_tokens tokens = {0};
    struct store_gcs_config config = test_gcs_config(run->server, endpoint, &tokens);
    config.gcs.http.total_timeout_ms = stalls(run->fault) ? 100 : 5000;
    struct store *store CLEANUP(store_close) = NULL;
    assert_true(store_gcs_open(&config, &store, err));
    const struct store_hooks hooks = {
        .upload_begun = note_begun, .upload_over = note_over, .context = uploads};
    enum store_put_outcome outcome;
    return store_put_file(store, &run->spec, &hooks, &outcome, err);
}

static void expect(const struct run *run, const char *what, bool holds, const struct err *err)
{
    if (!holds)
        fail_msg("%s: fault %d from request %d to %d of %zu bytes: %s\n%s", what, run->fault,
                 run->from, run->to, run->bytes.size_bytes, err->message,
                 buf_text(&run->server->log));
}

static void run_once(struct run *run)
{
    struct gcs_server *server = run->server;
    gcs_server_reset(server);
    server->denies_get = run->can_only_create;
    server->denies_delete = run->can_only_create;
    gcs_server_fail(server, run->fault, run->from, run->to);
    struct uploads uploads = {0};
    struct err err = {0};
    const bool is_done = put(run, &uploads, &err);
    run->request_count = gcs_server_requests(server);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 1000000);
    const bool is_there = gcs_server_get(server, run->spec.key, &bytes);
    const bool is_whole = slice_equal(buf_slice(&bytes), buf_slice(&run->bytes));
    const bool is_passing = run->to - run->from + 1 < TEST_GCS_ATTEMPTS;
    const bool is_confusing = run->fault == GCS_FAULT_RANGE_BEYOND ||
                              run->fault == GCS_FAULT_RANGE_BACK ||
                              run->fault == GCS_FAULT_RANGE_ODD ||
                              run->fault == GCS_FAULT_NO_HEADERS;
    const bool is_final = run->fault >= GCS_FAULT_FINAL;
    // Bytes that were denied once, and that nobody may look at, are no success.
    const bool is_in_doubt = run->can_only_create && err.kind == ERR_DENIED &&
                             (run->fault == GCS_FAULT_MD5_WRONG ||
                              run->fault == GCS_FAULT_SIZE_WRONG);
    expect(run, "done without an object", !is_done || is_there, &err);
    expect(run, "not whole", !is_there || is_whole, &err);
    expect(run, "too many requests", run->request_count <= FAULT_REQUESTS_MAX, &err);
    expect(run, "not done", is_done || !is_passing || is_final || is_in_doubt, &err);
    const int left_count = gcs_server_open_uploads(server);
    const bool may_leave = !is_passing || (is_final && run->to > run->from);
    expect(run, "an upload is left", may_leave || left_count == 0, &err);
    expect(run, "an upload is not told to be over",
           may_leave || uploads.begun_count == uploads.over_count, &err);
    expect(run, "a secret is told", strstr(err.message, "ya29") == NULL, &err);
    expect(run, "what was asked for cannot be", is_confusing || server->refused_count == 0, &err);
    gcs_server_fail(server, GCS_FAULT_NONE, 0, 0);
    server->denies_get = false;
    expect(run, "not done at last", put(run, &uploads, &err), &err);
    expect(run, "not whole at last", gcs_server_object_count(server) == 1, &err);
}

static void run_all(struct run *all, size_t size_bytes, int length)
{
    struct err err = {0};
    all->spec = (struct store_file_spec){.key = "folder/file",
                                         .fd = memfd_create("file", MFD_CLOEXEC),
                                         .size_bytes = size_bytes,
                                         .content_type = "text/csv"};
    buf_init(&all->bytes, size_bytes + 1);
    for (size_t i = 0; i < size_bytes; i++)
        buf_append_char(&all->bytes, (char)(i * 31 + i / 251));
    sha256_of(buf_slice(&all->bytes), all->spec.sha256);
    assert_true(file_write_all(all->spec.fd, buf_slice(&all->bytes), "file", &err));
    struct run clean = *all;
    run_once(&clean);
    for (int fault = 1; fault < GCS_FAULT_COUNT; fault++) {
        for (int from = 1; from <= clean.request_count; from++) {
            if (is_slow((enum gcs_fault)fault) && length != 1 && from != 1 &&
                from != clean.request_count)
                continue;
            struct run run = *all;
            run.fault = (enum gcs_fault)fault;
            run.from = from;
            run.to = length == INT32_MAX ? INT32_MAX : from + length - 1;
            run_once(&run);
        }
    }
    assert_int_equal(close(all->spec.fd), 0);
    buf_clear(&all->bytes);
}

static void test_empty_once(void **state)
{
    run_all(*state, 0, 1);
}

static void test_one_piece_once(void **state)
{
    run_all(*state, 250, 1);
}

static void test_pieces_once(void **state)
{
    run_all(*state, 901, 1);
}

static void test_pieces_twice(void **state)
{
    run_all(*state, 901, 2);
}

static void test_pieces_five_times(void **state)
{
    run_all(*state, 901, 5);
}

static void test_pieces_for_ever(void **state)
{
    run_all(*state, 901, INT32_MAX);
}

static void test_who_can_only_create(void **state)
{
    struct run *run = *state;
    run->can_only_create = true;
    run_all(run, 901, 1);
    run_all(run, 901, INT32_MAX);
    run->can_only_create = false;
}

int main(void)
{
    static struct gcs_server server;
    struct run run = {.server = &server};
    gcs_server_open(&server);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_empty_once, &run),
        cmocka_unit_test_prestate(test_one_piece_once, &run),
        cmocka_unit_test_prestate(test_pieces_once, &run),
        cmocka_unit_test_prestate(test_pieces_twice, &run),
        cmocka_unit_test_prestate(test_pieces_five_times, &run),
        cmocka_unit_test_prestate(test_pieces_for_ever, &run),
        cmocka_unit_test_prestate(test_who_can_only_create, &run),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gcs_server_close(&server);
    return failed;
}
