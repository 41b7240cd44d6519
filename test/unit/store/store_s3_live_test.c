// SPDX-License-Identifier: Apache-2.0
// Against a store that is not ours, when the environment names one; else it is skipped:
//
//   MILKRUN_S3_ENDPOINT=http://127.0.0.1:27480 MILKRUN_S3_KEY=... MILKRUN_S3_SECRET=...
//
// It makes a bucket (MILKRUN_S3_BUCKET, or milkrun-live) and leaves it empty. MILKRUN_S3_OTHER_KEY
// and _SECRET are of a user who may not write there; MILKRUN_S3_CA_FILE is trusted instead of the
// system's certificates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store_fixture.h"

#define MIB       ((size_t)1024 * 1024)
#define SKIP_CODE 77 // as meson has it

struct shifted_clock {
    struct clock base;
    int64_t offset_ms;
};

static int64_t shifted_wall_ms(const struct clock *clock)
{
    return clock_wall_ms(clock_system()) + ((const struct shifted_clock *)clock)->offset_ms;
}

static int64_t shifted_boot_ms(const struct clock *clock)
{
    (void)clock;
    return clock_boot_ms(clock_system());
}

struct live {
    struct store_s3_config config;
    char *key;
    char *secret;
    char *other_key;
    char *other_secret;
    struct shifted_clock clock;
    struct store *store;
    struct err err;
};

static bool give_credentials(void *context, bool is_refresh, struct arena *arena,
                             struct s3_credentials *ret_credentials, struct err *err)
{
    (void)is_refresh;
    (void)err;
    const struct live *live = context;
    *ret_credentials = (struct s3_credentials){
        .key_id = live->key, .secret_key = secret_copy(arena, slice_text(live->secret))};
    return true;
}

static void open_store(struct live *live)
{
    store_close(&live->store);
    if (!store_s3_open(&live->config, &live->store, &live->err))
        fail_msg("%s", live->err.message);
}

static const struct live *live_of_environment(struct live *live)
{
    const char *bucket = getenv("MILKRUN_S3_BUCKET");
    live->key = getenv("MILKRUN_S3_KEY");
    live->secret = getenv("MILKRUN_S3_SECRET");
    live->other_key = getenv("MILKRUN_S3_OTHER_KEY");
    live->other_secret = getenv("MILKRUN_S3_OTHER_SECRET");
    live->clock = (struct shifted_clock){{shifted_wall_ms, shifted_boot_ms}, 0};
    live->config =
        (struct store_s3_config){.s3 = {.endpoint = getenv("MILKRUN_S3_ENDPOINT"),
                                        .is_path_style = true,
                                        .region = "us-east-1",
                                        .bucket = bucket == NULL ? "milkrun-live" : bucket,
                                        .get_credentials = give_credentials,
                                        .context = live,
                                        .http = {.ca_file = getenv("MILKRUN_S3_CA_FILE"),
                                                 .connect_timeout_ms = 5000,
                                                 .total_timeout_ms = 60000,
                                                 .stall_timeout_ms = 30000},
                                        .clock = &live->clock.base},
                                 .prefix = "live/"};
    return live->config.s3.endpoint == NULL || live->key == NULL || live->secret == NULL ? NULL
                                                                                         : live;
}

static struct s3_client *open_client(struct live *live)
{
    struct s3_client *client = NULL;
    if (!s3_client_open(&live->config.s3, &client, &live->err))
        fail_msg("%s", live->err.message);
    return client;
}

static int make_bucket(void **state)
{
    struct live *live = *state;
    struct s3_client *client CLEANUP(s3_client_close) = open_client(live);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct s3_call call = {.name = "make bucket", .permission = "", .method = "PUT"};
    struct s3_reply reply;
    if (!s3_client_send(client, &call, &arena, &reply, NULL, &live->err)) {
        (void)fprintf(stderr, "%s\n", live->err.message);
        return -1;
    }
    return reply.answer == S3_OK ? 0 : -1;
}

static bool nobody_wants(const char *key, void *context, bool *ret_is_listed, struct err *err)
{
    (void)key;
    (void)context;
    (void)err;
    *ret_is_listed = false;
    return true;
}

static int close_all(void **state)
{
    struct live *live = *state;
    open_store(live);
    const bool is_swept = store_sweep(live->store, 0, nobody_wants, NULL, &live->err);
    if (!is_swept)
        (void)fprintf(stderr, "%s\n", live->err.message);
    store_close(&live->store);
    return is_swept ? 0 : -1;
}

static void start(void *context)
{
    buf_reset(context);
}

static bool take(void *context, struct slice bytes, struct err *err)
{
    buf_append(context, bytes);
    return buf_check(context, err);
}

static void expect_object(struct live *live, const struct test_file *file)
{
    struct s3_client *client CLEANUP(s3_client_close) = open_client(live);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 1024 * MIB);
    const struct s3_receiver receiver = {start, take, &bytes, file->spec.size_bytes};
    const struct s3_call call = {.name = "get",
                                 .permission = "",
                                 .method = "GET",
                                 .key = arena_format(&arena, "live/%s", file->spec.key),
                                 .receiver = &receiver};
    struct s3_reply reply;
    if (!s3_client_send(client, &call, &arena, &reply, NULL, &live->err))
        fail_msg("%s", live->err.message);
    assert_int_equal(reply.answer, S3_OK);
    assert_true(slice_equal(buf_slice(&bytes), buf_slice(&file->bytes)));
    assert_string_equal(s3_reply_header(&reply, "Content-Type"), "text/csv");
}

static void expect_put(struct live *live, const struct test_file *file,
                       enum store_put_outcome expected)
{
    enum store_put_outcome outcome;
    if (!store_put_file(live->store, &file->spec, NULL, &outcome, &live->err))
        fail_msg("%zu bytes: %s", file->bytes.size_bytes, live->err.message);
    assert_int_equal(outcome, expected);
}

static void run_sizes(struct live *live, const size_t *sizes, size_t count)
{
    open_store(live);
    for (size_t i = 0; i < count; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "y=2026/m=11/a b+c~(%zu).csv", i);
        struct test_file file;
        struct test_file other;
        test_file_open(&file, key, sizes[i], 1);
        expect_put(live, &file, STORE_WRITTEN);
        expect_put(live, &file, STORE_WAS_THERE);
        expect_object(live, &file);
        test_file_open(&other, key, sizes[i] + 1, 2);
        enum store_put_outcome outcome;
        assert_false(store_put_file(live->store, &other.spec, NULL, &outcome, &live->err));
        assert_int_equal(live->err.kind, ERR_CONFLICT);
        test_file_close(&other);
        if (!store_delete(live->store, key, &live->err))
            fail_msg("%s", live->err.message);
        enum store_state state;
        if (!store_check(live->store, key, sizes[i], file.spec.sha256, &state, &live->err))
            fail_msg("%s", live->err.message);
        assert_int_equal(state, STORE_ABSENT);
        test_file_close(&file);
    }
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {0,           1,        8 * MIB - 1,  8 * MIB,
                                   8 * MIB + 1, 16 * MIB, 16 * MIB + 1, 300000000};
    run_sizes(*state, sizes, ARRAY_COUNT(sizes));
}

static void test_parts_of_all_sizes(void **state)
{
    static const size_t sizes[] = {1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 10 * MIB + 1};
    struct live *live = *state;
    live->config.single_put_bytes_max = 1;
    live->config.part_bytes_min = 5 * MIB;
    run_sizes(live, sizes + 1, ARRAY_COUNT(sizes) - 1);
    live->config.single_put_bytes_max = 0;
    live->config.part_bytes_min = 0;
}

static void test_a_put_that_meets_another_object(void **state)
{
    struct live *live = *state;
    open_store(live);
    struct s3_client *client CLEANUP(s3_client_close) = open_client(live);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct s3_body body = s3_body_of_text(slice_text("0123456789"));
    const struct http_client_header condition = {"If-None-Match", "*"};
    struct s3_call call = {.name = "put",
                           .permission = "",
                           .method = "PUT",
                           .key = "live/met",
                           .headers = &condition,
                           .header_count = 1,
                           .body = &body};
    struct s3_reply reply;
    if (!s3_client_send(client, &call, &arena, &reply, NULL, &live->err))
        fail_msg("%s", live->err.message);
    assert_int_equal(reply.answer, S3_OK);
    assert_true(s3_client_send(client, &call, &arena, &reply, NULL, &live->err));
    assert_int_equal(reply.answer, S3_EXISTS);
    // It has no metadata of ours, and is compared by its bytes.
    uint8_t sha256[SHA256_BYTES];
    sha256_of(slice_text("0123456789"), sha256);
    enum store_state found;
    assert_true(store_check(live->store, "met", 10, sha256, &found, &live->err));
    assert_int_equal(found, STORE_SAME);
    sha256[0] ^= 1;
    assert_true(store_check(live->store, "met", 10, sha256, &found, &live->err));
    assert_int_equal(found, STORE_OTHER);
}

static void expect_refusal(struct live *live, size_t size_bytes, enum err_kind kind,
                           const char *words)
{
    struct test_file file;
    test_file_open(&file, "refused", size_bytes, 1);
    open_store(live);
    enum store_put_outcome outcome;
    assert_false(store_put_file(live->store, &file.spec, NULL, &outcome, &live->err));
    if (live->err.kind != kind || strstr(live->err.message, words) == NULL)
        fail_msg("%s", live->err.message);
    assert_null(strstr(live->err.message, live->secret));
    (void)printf("%s\n", live->err.message);
    test_file_close(&file);
}

static void test_what_is_refused(void **state)
{
    struct live *live = *state;
    static char wrong[] = "wrong";
    char *const key = live->key;
    char *const secret = live->secret;
    const char *const bucket = live->config.s3.bucket;
    static const size_t sizes[] = {1000, 17 * MIB};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        live->secret = wrong;
        expect_refusal(live, sizes[i], ERR_DENIED, "secret key is not that of the access key");
        live->secret = secret;
        live->key = wrong;
        expect_refusal(live, sizes[i], ERR_DENIED, "access key is not known");
        live->key = key;
        live->config.s3.bucket = "no-such-bucket";
        expect_refusal(live, sizes[i], ERR_NOT_FOUND, "no such bucket");
        live->config.s3.bucket = bucket;
        if (live->other_key == NULL || live->other_secret == NULL)
            continue;
        live->key = live->other_key;
        live->secret = live->other_secret;
        expect_refusal(live, sizes[i], ERR_DENIED, "s3:PutObject on ");
        live->key = key;
        live->secret = secret;
    }
}

static void test_clocks_that_differ(void **state)
{
    struct live *live = *state;
    static const int64_t offsets_ms[] = {3600000, -3600000, 86400000};
    for (size_t i = 0; i < ARRAY_COUNT(offsets_ms); i++) {
        live->clock.offset_ms = offsets_ms[i];
        open_store(live);
        struct test_file file;
        test_file_open(&file, "clock", 20 * MIB, 1);
        expect_put(live, &file, STORE_WRITTEN);
        assert_true(store_delete(live->store, "clock", &live->err));
        test_file_close(&file);
    }
    live->clock.offset_ms = 0;
}

static void test_probe(void **state)
{
    struct live *live = *state;
    open_store(live);
    struct store_probe probe = {0};
    if (!store_probe(live->store, "probe", &probe, &live->err))
        fail_msg("%s", live->err.message);
    assert_true(probe.is_readable);
    assert_true(probe.is_deletable);
    if (live->other_key == NULL || live->other_secret == NULL)
        return;
    char *const key = live->key;
    char *const secret = live->secret;
    live->key = live->other_key;
    live->secret = live->other_secret;
    open_store(live);
    assert_false(store_probe(live->store, "probe", &probe, &live->err));
    (void)printf("%s\n", live->err.message);
    assert_int_equal(live->err.kind, ERR_DENIED);
    assert_non_null(strstr(live->err.message, "\"Resource\": \"arn:aws:s3:::"));
    live->key = key;
    live->secret = secret;
}

struct uploads {
    struct store *store;
    char upload_id[2048];
    int begun_count;
    int over_count;
    int patience;
};

static bool note_begun(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)key;
    (void)err;
    struct uploads *uploads = context;
    uploads->begun_count++;
    (void)snprintf(uploads->upload_id, sizeof uploads->upload_id, "%s", upload_id);
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

static bool go_on(void *context)
{
    struct uploads *uploads = context;
    return uploads->begun_count == 0 || uploads->patience-- > 0;
}

static void test_uploads_that_are_given_up(void **state)
{
    struct live *live = *state;
    open_store(live);
    struct test_file file;
    test_file_open(&file, "given-up", 40 * MIB, 1);
    for (int patience = 0; patience < 400; patience += 50) {
        struct uploads uploads = {.patience = patience};
        const struct store_hooks hooks = {go_on, note_begun, note_over, &uploads};
        enum store_put_outcome outcome;
        const bool is_done = store_put_file(live->store, &file.spec, &hooks, &outcome, &live->err);
        assert_int_equal(uploads.begun_count, uploads.over_count);
        if (is_done)
            break;
        assert_int_equal(live->err.kind, ERR_CANCELED);
        enum store_state found;
        assert_true(store_check(live->store, "given-up", file.spec.size_bytes, file.spec.sha256,
                                &found, &live->err));
        assert_int_equal(found, STORE_ABSENT);
        // It is over already, which is fine.
        assert_true(store_abort_upload(live->store, "given-up", uploads.upload_id, &live->err));
    }
    test_file_close(&file);
}

int main(void)
{
    static struct live live;
    if (live_of_environment(&live) == NULL)
        return SKIP_CODE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_sizes, &live),
        cmocka_unit_test_prestate(test_parts_of_all_sizes, &live),
        cmocka_unit_test_prestate(test_a_put_that_meets_another_object, &live),
        cmocka_unit_test_prestate(test_what_is_refused, &live),
        cmocka_unit_test_prestate(test_clocks_that_differ, &live),
        cmocka_unit_test_prestate(test_probe, &live),
        cmocka_unit_test_prestate(test_uploads_that_are_given_up, &live),
    };
    void *state = &live;
    if (make_bucket(&state) != 0)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return close_all(&state) == 0 && failed == 0 ? 0 : 1;
}
