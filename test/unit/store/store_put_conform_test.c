// SPDX-License-Identifier: Apache-2.0
// Finished files: one suite over all stores. A store joins with a row in the table below.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "gcs_fixture.h"
#include "store_fixture.h"

struct conform;

// What the suite asks of a store's surroundings.
struct conform_ops {
    void (*close)(struct conform *conform);
    // False: no such object.
    bool (*get)(struct conform *conform, const char *key, struct buf *ret_bytes);
    bool (*put_directly)(struct conform *conform, const char *key, const char *text);
    // How many things there are beside objects: uploads, parts of files.
    int (*count_leftovers)(struct conform *conform);
    // Makes all that is there an hour older. NULL: nothing is ever swept.
    void (*age)(struct conform *conform);
};

struct conform_row {
    const char *name;
    const struct conform_ops *ops;
    void (*open)(struct conform *conform);
    void (*configure)(struct s3_server *server); // of S3 only
};

struct conform {
    const struct conform_ops *ops;
    const struct conform_row *row;
    struct store *store;
    char directory[64];
    struct s3_server server;
    struct test_credentials credentials;
    struct gcs_server google;
    struct test_tokens tokens;
};

// --- Stores of this machine

static bool get_local(struct conform *conform, const char *key, struct buf *ret_bytes)
{
    struct err err = {0};
    int fd = -1;
    uint64_t size_bytes = 0;
    if (!store_open_object(conform->store, key, &fd, &size_bytes, &err)) {
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        return false;
    }
    char bytes[4096];
    for (ssize_t got = 1; got > 0;) {
        got = pread(fd, bytes, sizeof bytes, (off_t)ret_bytes->size_bytes);
        assert_true(got >= 0);
        buf_append(ret_bytes, slice_of(bytes, (size_t)got));
    }
    (void)close(fd);
    return true;
}

static bool put_local(struct conform *conform, const char *key, const char *text)
{
    struct err err = {0};
    struct sink *sink CLEANUP(sink_free) = NULL;
    return store_put_begin(conform->store, key, &sink, &err) &&
           sink_write(sink, slice_text(text), &err) && sink_finish(sink, &err);
}

static void make_directory(struct conform *conform)
{
    (void)snprintf(conform->directory, sizeof conform->directory, "/tmp/milkrun-store-XXXXXX");
    assert_non_null(mkdtemp(conform->directory));
}

static void open_file(struct conform *conform)
{
    struct err err = {0};
    make_directory(conform);
    assert_true(store_file_open(conform->directory, &conform->store, &err));
}

static void open_writer(struct conform *conform)
{
    struct err err = {0};
    make_directory(conform);
    assert_true(store_file_open_writer(conform->directory, "0", &conform->store, &err));
}

static bool remove_one(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static void close_file(struct conform *conform)
{
    struct err err = {0};
    store_close(&conform->store);
    assert_true(file_walk(conform->directory, "", remove_one, NULL, &err));
}

static bool count_one(const char *path, void *context, struct err *err)
{
    (void)path;
    (void)err;
    (*(int *)context)++;
    return true;
}

static int count_parts(struct conform *conform)
{
    struct err err = {0};
    int count = 0;
    assert_true(file_walk(conform->directory, SINK_PART_SUFFIX, count_one, &count, &err));
    return count;
}

static bool age_one(const char *path, void *context, struct err *err)
{
    (void)context;
    (void)err;
    const struct timespec old[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};
    return utimensat(AT_FDCWD, path, old, 0) == 0;
}

static void age_files(struct conform *conform)
{
    struct err err = {0};
    assert_true(file_walk(conform->directory, "", age_one, NULL, &err));
}

static void open_memory(struct conform *conform)
{
    conform->store = store_memory_new();
}

static void close_memory(struct conform *conform)
{
    store_close(&conform->store);
}

static int count_none(struct conform *conform)
{
    (void)conform;
    return 0;
}

// --- S3

static void open_s3(struct conform *conform)
{
    struct err err = {0};
    char endpoint[64];
    s3_server_open(&conform->server);
    if (conform->row->configure != NULL)
        conform->row->configure(&conform->server);
    conform->credentials = test_s3_credentials();
    struct store_s3_config config = test_s3_config(&conform->server, endpoint,
                                                   &conform->credentials);
    config.prefix = "folder/";
    assert_true(store_s3_open(&config, &conform->store, &err));
}

static void close_s3(struct conform *conform)
{
    store_close(&conform->store);
    assert_int_equal(conform->server.unsigned_count, 0);
    s3_server_close(&conform->server);
}

static bool get_s3(struct conform *conform, const char *key, struct buf *ret_bytes)
{
    char full_key[2048];
    (void)snprintf(full_key, sizeof full_key, "folder/%s", key);
    return s3_server_get(&conform->server, full_key, ret_bytes);
}

static bool put_s3(struct conform *conform, const char *key, const char *text)
{
    char full_key[2048];
    (void)snprintf(full_key, sizeof full_key, "folder/%s", key);
    s3_server_put(&conform->server, full_key, text);
    return true;
}

static int count_uploads(struct conform *conform)
{
    return s3_server_open_uploads(&conform->server);
}

static void age_s3(struct conform *conform)
{
    s3_server_age(&conform->server, 3600000);
}

static void configure_no_condition(struct s3_server *server)
{
    server->refuses_condition = true;
}

static void configure_ignored_condition(struct s3_server *server)
{
    server->ignores_condition = true;
}

static void configure_own_keys(struct s3_server *server)
{
    server->has_own_etags = true;
}

static void configure_no_metadata(struct s3_server *server)
{
    server->has_no_metadata = true;
}

static void configure_write_once(struct s3_server *server)
{
    server->is_write_once = true;
}

static void configure_google(struct s3_server *server)
{
    server->is_goog = true;
}

// --- Google's JSON interface

static void open_gcs(struct conform *conform)
{
    struct err err = {0};
    char endpoint[64];
    gcs_server_open(&conform->google);
    struct store_gcs_config config = test_gcs_config(&conform->google, endpoint, &conform->tokens);
    config.prefix = "folder/";
    assert_true(store_gcs_open(&config, &conform->store, &err));
}

static void open_gcs_without_metadata(struct conform *conform)
{
    open_gcs(conform);
    conform->google.has_no_metadata = true;
}

static void close_gcs(struct conform *conform)
{
    store_close(&conform->store);
    assert_int_equal(conform->google.refused_count, 0);
    gcs_server_close(&conform->google);
}

static bool get_gcs(struct conform *conform, const char *key, struct buf *ret_bytes)
{
    char full_key[2048];
    (void)snprintf(full_key, sizeof full_key, "folder/%s", key);
    return gcs_server_get(&conform->google, full_key, ret_bytes);
}

static bool put_gcs(struct conform *conform, const char *key, const char *text)
{
    char full_key[2048];
    (void)snprintf(full_key, sizeof full_key, "folder/%s", key);
    gcs_server_put(&conform->google, full_key, text);
    return true;
}

static int count_gcs_uploads(struct conform *conform)
{
    return gcs_server_open_uploads(&conform->google);
}

static void age_gcs(struct conform *conform)
{
    gcs_server_age(&conform->google, 3600000);
}

static const struct conform_ops file_ops = {close_file, get_local, put_local, count_parts,
                                            age_files};
static const struct conform_ops memory_ops = {close_memory, get_local, put_local, count_none, NULL};
static const struct conform_ops s3_ops = {close_s3, get_s3, put_s3, count_uploads, age_s3};

static const struct conform_ops gcs_ops = {close_gcs, get_gcs, put_gcs, count_gcs_uploads, age_gcs};

static const struct conform_row rows[] = {
    {"file", &file_ops, open_file, NULL},
    {"writer", &file_ops, open_writer, NULL},
    {"memory", &memory_ops, open_memory, NULL},
    {"s3", &s3_ops, open_s3, NULL},
    {"s3 that refuses conditions", &s3_ops, open_s3, configure_no_condition},
    {"s3 that ignores conditions", &s3_ops, open_s3, configure_ignored_condition},
    {"s3 with keys of its own", &s3_ops, open_s3, configure_own_keys},
    {"s3 that loses metadata", &s3_ops, open_s3, configure_no_metadata},
    {"s3 that is written once", &s3_ops, open_s3, configure_write_once},
    {"gcs xml", &s3_ops, open_s3, configure_google},
    {"gcs", &gcs_ops, open_gcs, NULL},
    {"gcs that loses metadata", &gcs_ops, open_gcs_without_metadata, NULL},
};

// --- The suite

static const size_t sizes[] = {0,
                               1,
                               TEST_S3_PART_BYTES - 1,
                               TEST_S3_PART_BYTES,
                               TEST_S3_PART_BYTES + 1,
                               TEST_S3_SINGLE_BYTES,
                               TEST_S3_SINGLE_BYTES + 1,
                               4 * TEST_S3_PART_BYTES,
                               4 * TEST_S3_PART_BYTES + 1,
                               100000};

static void expect_object(struct conform *conform, const char *key, const struct test_file *file)
{
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 10000000);
    const bool is_there = conform->ops->get(conform, key, &bytes);
    assert_int_equal(is_there, file != NULL);
    if (file != NULL)
        assert_true(slice_equal(buf_slice(&bytes), buf_slice(&file->bytes)));
}

static void expect_put(struct conform *conform, const struct test_file *file,
                       enum store_put_outcome outcome)
{
    struct err err = {0};
    enum store_put_outcome got = STORE_WRITTEN;
    if (!store_put_file(conform->store, &file->spec, NULL, &got, &err))
        fail_msg("%s", err.message);
    assert_int_equal(got, outcome);
    expect_object(conform, file->spec.key, file);
    assert_int_equal(conform->ops->count_leftovers(conform), 0);
}

static void expect_refusal(struct conform *conform, const struct store_file_spec *spec,
                           const struct store_hooks *hooks, enum err_kind kind)
{
    struct err err = {0};
    enum store_put_outcome got = STORE_WRITTEN;
    assert_false(store_put_file(conform->store, spec, hooks, &got, &err));
    if (err.kind != kind)
        fail_msg("%s", err.message);
    assert_int_equal(conform->ops->count_leftovers(conform), 0);
}

static void expect_state(struct conform *conform, const struct store_file_spec *spec,
                         enum store_state state)
{
    struct err err = {0};
    enum store_state got = STORE_ABSENT;
    if (!store_check(conform->store, spec->key, spec->size_bytes, spec->sha256, &got, &err))
        fail_msg("%s", err.message);
    assert_int_equal(got, state);
}

static void test_files_of_all_sizes(void **state)
{
    struct conform *conform = *state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "y=2026/m=11/job %zu+~.csv.gz", i);
        struct test_file file;
        test_file_open(&file, key, sizes[i], 1);
        expect_state(conform, &file.spec, STORE_ABSENT);
        expect_put(conform, &file, STORE_WRITTEN);
        expect_state(conform, &file.spec, STORE_SAME);
        expect_put(conform, &file, STORE_WAS_THERE);
        test_file_close(&file);
    }
}

static void test_an_object_with_other_bytes_stays(void **state)
{
    struct conform *conform = *state;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "a/%zu", i);
        struct test_file first;
        struct test_file other;
        struct test_file shorter;
        test_file_open(&first, key, sizes[i] + 1, 1);
        test_file_open(&other, key, sizes[i] + 1, 2);
        test_file_open(&shorter, key, sizes[i], 1);
        expect_put(conform, &first, STORE_WRITTEN);
        expect_refusal(conform, &other.spec, NULL, ERR_CONFLICT);
        expect_refusal(conform, &shorter.spec, NULL, ERR_CONFLICT);
        expect_object(conform, key, &first);
        expect_state(conform, &other.spec, STORE_OTHER);
        expect_state(conform, &shorter.spec, STORE_OTHER);
        expect_state(conform, &first.spec, STORE_SAME);
        test_file_close(&first);
        test_file_close(&other);
        test_file_close(&shorter);
    }
}

static void test_an_object_of_somebody_else_is_compared_by_its_bytes(void **state)
{
    struct conform *conform = *state;
    assert_true(conform->ops->put_directly(conform, "a/same", "0123456789"));
    assert_true(conform->ops->put_directly(conform, "a/other", "0123456780"));
    struct err err = {0};
    enum store_state got = STORE_ABSENT;
    uint8_t sha256[SHA256_BYTES];
    sha256_of(slice_text("0123456789"), sha256);
    assert_true(store_check(conform->store, "a/same", 10, sha256, &got, &err));
    assert_int_equal(got, STORE_SAME);
    assert_true(store_check(conform->store, "a/other", 10, sha256, &got, &err));
    assert_int_equal(got, STORE_OTHER);
    assert_true(store_check(conform->store, "a/none", 10, sha256, &got, &err));
    assert_int_equal(got, STORE_ABSENT);
}

static void test_a_file_that_is_not_what_it_was_does_not_appear(void **state)
{
    struct conform *conform = *state;
    for (size_t i = 1; i < ARRAY_COUNT(sizes); i++) {
        struct test_file file;
        test_file_open(&file, "a/file", sizes[i], 1);
        struct store_file_spec spec = file.spec;
        spec.sha256[0] ^= 1;
        expect_refusal(conform, &spec, NULL, ERR_CORRUPT);
        spec = file.spec;
        spec.size_bytes++;
        expect_refusal(conform, &spec, NULL, ERR_CORRUPT);
        expect_object(conform, "a/file", NULL);
        // Longer is no harm: what counts is what was written.
        assert_int_equal(pwrite(file.spec.fd, "more", 4, (off_t)sizes[i]), 4);
        expect_put(conform, &file, STORE_WRITTEN);
        struct err err = {0};
        assert_true(store_delete(conform->store, "a/file", &err));
        test_file_close(&file);
    }
}

struct patience {
    int left;
    int begun_count;
    int over_count;
    bool refuses;
};

static bool go_on(void *context)
{
    struct patience *patience = context;
    return patience->left-- > 0;
}

static bool note_begun(void *context, const char *key, const char *upload_id, struct err *err)
{
    struct patience *patience = context;
    assert_string_equal(key, "a/file");
    assert_true(strlen(upload_id) > 0);
    patience->begun_count++;
    return !patience->refuses || err_set(err, ERR_CONFLICT, "the lease is lost");
}

static bool note_over(void *context, const char *key, const char *upload_id, struct err *err)
{
    (void)err;
    struct patience *patience = context;
    assert_string_equal(key, "a/file");
    assert_true(strlen(upload_id) > 0);
    patience->over_count++;
    return true;
}

static void test_a_put_that_is_given_up_leaves_nothing(void **state)
{
    struct conform *conform = *state;
    static const size_t both[] = {500, 2000};
    for (size_t i = 0; i < ARRAY_COUNT(both); i++) {
        struct test_file file;
        test_file_open(&file, "a/file", both[i], 1);
        bool is_done = false;
        for (int patience_max = 0; !is_done; patience_max += 1 + patience_max / 8) {
            assert_in_range(patience_max, 0, 1000);
            struct patience patience = {.left = patience_max};
            const struct store_hooks hooks = {go_on, note_begun, note_over, &patience};
            struct err err = {0};
            enum store_put_outcome outcome;
            is_done = store_put_file(conform->store, &file.spec, &hooks, &outcome, &err);
            assert_int_equal(conform->ops->count_leftovers(conform), 0);
            assert_int_equal(patience.begun_count, patience.over_count);
            if (is_done)
                break;
            assert_int_equal(err.kind, ERR_CANCELED);
            // The object may have come at last, but then it is whole.
            struct buf bytes CLEANUP(buf_clear);
            buf_init(&bytes, 10000);
            if (conform->ops->get(conform, "a/file", &bytes)) {
                expect_object(conform, "a/file", &file);
                assert_true(store_delete(conform->store, "a/file", &err));
            }
        }
        expect_object(conform, "a/file", &file);
        struct err err = {0};
        assert_true(store_delete(conform->store, "a/file", &err));
        test_file_close(&file);
    }
}

static void test_an_upload_of_which_nobody_may_know_is_ended(void **state)
{
    struct conform *conform = *state;
    struct test_file file;
    test_file_open(&file, "a/file", 2000, 1);
    struct patience patience = {.left = 10000, .refuses = true};
    const struct store_hooks hooks = {go_on, note_begun, note_over, &patience};
    struct err err = {0};
    enum store_put_outcome outcome;
    const bool is_done = store_put_file(conform->store, &file.spec, &hooks, &outcome, &err);
    assert_int_equal(is_done, patience.begun_count == 0);
    assert_int_equal(patience.begun_count, patience.over_count);
    assert_int_equal(conform->ops->count_leftovers(conform), 0);
    expect_object(conform, "a/file", is_done ? &file : NULL);
    assert_true(store_abort_upload(conform->store, "a/file", "no such upload", &err));
    test_file_close(&file);
}

static void test_a_probe_leaves_nothing(void **state)
{
    struct conform *conform = *state;
    struct err err = {0};
    struct store_probe probe = {0};
    for (int i = 0; i < 2; i++) {
        if (!store_probe(conform->store, "a/probe", &probe, &err))
            fail_msg("%s", err.message);
        assert_true(probe.is_readable);
        assert_true(probe.is_deletable);
        expect_object(conform, "a/probe", NULL);
    }
}

static void test_missing_objects_are_deleted(void **state)
{
    struct conform *conform = *state;
    struct err err = {0};
    assert_true(store_delete(conform->store, "a/none", &err));
    struct test_file file;
    test_file_open(&file, "a/file", 3, 1);
    expect_put(conform, &file, STORE_WRITTEN);
    assert_true(store_delete(conform->store, "a/file", &err));
    expect_object(conform, "a/file", NULL);
    assert_true(store_delete(conform->store, "a/file", &err));
    test_file_close(&file);
}

static bool is_wanted(const char *key, void *context, bool *ret_is_listed, struct err *err)
{
    (void)err;
    (*(int *)context)++;
    *ret_is_listed = strstr(key, "wanted") != NULL;
    return true;
}

static void test_a_sweep_removes_what_is_old_and_nobodys(void **state)
{
    struct conform *conform = *state;
    if (conform->ops->age == NULL)
        return;
    struct err err = {0};
    for (int i = 0; i < 7; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "a/%s+ &<%d>", i % 3 == 0 ? "wanted" : "old", i);
        assert_true(conform->ops->put_directly(conform, key, "x"));
    }
    int asked_count = 0;
    if (!store_sweep(conform->store, 1800000, is_wanted, &asked_count, &err))
        fail_msg("%s", err.message);
    assert_int_equal(asked_count, 0); // too young
    conform->ops->age(conform);
    assert_true(conform->ops->put_directly(conform, "a/young", "x"));
    assert_true(store_sweep(conform->store, 1800000, NULL, NULL, &err));
    if (!store_sweep(conform->store, 1800000, is_wanted, &asked_count, &err))
        fail_msg("%s", err.message);
    assert_int_equal(asked_count, 7);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 1000);
    assert_true(conform->ops->get(conform, "a/wanted+ &<0>", &bytes));
    assert_false(conform->ops->get(conform, "a/old+ &<1>", &bytes));
    assert_false(conform->ops->get(conform, "a/old+ &<2>", &bytes));
    assert_true(conform->ops->get(conform, "a/wanted+ &<3>", &bytes));
    assert_true(conform->ops->get(conform, "a/wanted+ &<6>", &bytes));
    assert_true(conform->ops->get(conform, "a/young", &bytes));
}

static void test_keys_cannot_leave_the_store(void **state)
{
    struct conform *conform = *state;
    static const char *const keys[] = {"", "/a", "a/", "a//b", "..", "../x", "a/../b", "a\nb"};
    struct test_file file;
    test_file_open(&file, "a", 3, 1);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        struct store_file_spec spec = file.spec;
        spec.key = keys[i];
        expect_refusal(conform, &spec, NULL, ERR_INVALID);
        struct err err = {0};
        enum store_state got;
        struct store_probe probe;
        assert_false(store_check(conform->store, keys[i], 3, spec.sha256, &got, &err));
        assert_false(store_abort_upload(conform->store, keys[i], "1", &err));
        assert_false(store_probe(conform->store, keys[i], &probe, &err));
    }
    test_file_close(&file);
}

struct conform_test {
    const char *name;
    void (*run)(void **state);
};

static const struct conform_test suite[] = {
    {"files of all sizes", test_files_of_all_sizes},
    {"an object with other bytes stays", test_an_object_with_other_bytes_stays},
    {"somebody else's object", test_an_object_of_somebody_else_is_compared_by_its_bytes},
    {"a file that is not what it was", test_a_file_that_is_not_what_it_was_does_not_appear},
    {"a put that is given up", test_a_put_that_is_given_up_leaves_nothing},
    {"an upload of which nobody may know", test_an_upload_of_which_nobody_may_know_is_ended},
    {"a probe", test_a_probe_leaves_nothing},
    {"delete", test_missing_objects_are_deleted},
    {"sweep", test_a_sweep_removes_what_is_old_and_nobodys},
    {"keys", test_keys_cannot_leave_the_store},
};

static int set_up(void **state)
{
    struct conform *conform = mem_alloc(sizeof *conform);
    const struct conform_row *const *row = *state;
    conform->row = *row;
    conform->ops = conform->row->ops;
    conform->row->open(conform);
    *state = conform;
    return 0;
}

static int tear_down(void **state)
{
    struct conform *conform = *state;
    conform->ops->close(conform);
    mem_free(conform);
    return 0;
}

int main(void)
{
    static struct CMUnitTest tests[ARRAY_COUNT(rows) * ARRAY_COUNT(suite)];
    static const struct conform_row *test_rows[ARRAY_COUNT(tests)];
    static char names[ARRAY_COUNT(tests)][100];
    for (size_t i = 0; i < ARRAY_COUNT(tests); i++) {
        const struct conform_test *test = &suite[i % ARRAY_COUNT(suite)];
        test_rows[i] = &rows[i / ARRAY_COUNT(suite)];
        (void)snprintf(names[i], sizeof names[i], "%s: %s", test_rows[i]->name, test->name);
        tests[i] = (struct CMUnitTest){names[i], test->run, set_up, tear_down, &test_rows[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
