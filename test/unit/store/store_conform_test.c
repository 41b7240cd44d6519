// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

// One suite over all stores.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/store.h"

static char directory[] = "/tmp/milkrun-store-XXXXXX";

static int open_file_store(void **state)
{
    (void)snprintf(directory, sizeof directory, "/tmp/milkrun-store-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    struct store *store = NULL;
    struct err err;
    if (!store_file_open(directory, &store, &err))
        return -1;
    *state = store;
    return 0;
}

static bool remove_one(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static int close_file_store(void **state)
{
    struct store *store = *state;
    store_close(&store);
    struct err err;
    return file_walk(directory, "", remove_one, NULL, &err) ? 0 : -1;
}

static int open_writer_store(void **state)
{
    (void)snprintf(directory, sizeof directory, "/tmp/milkrun-store-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    struct store *store = NULL;
    struct err err;
    if (!store_file_open_writer(directory, "0", &store, &err))
        return -1;
    *state = store;
    return 0;
}

static int open_memory_store(void **state)
{
    *state = store_memory_new();
    return 0;
}

static int close_memory_store(void **state)
{
    struct store *store = *state;
    store_close(&store);
    return 0;
}

static void put(struct store *store, const char *key, const char *text)
{
    struct err err = {0};
    struct sink *sink CLEANUP(sink_free) = NULL;
    assert_true(store_put_begin(store, key, &sink, &err));
    assert_true(sink_write(sink, slice_text(text), &err));
    assert_true(sink_finish(sink, &err));
}

static void assert_object(struct store *store, const char *key, const char *expected)
{
    struct err err = {0};
    int fd = -1;
    uint64_t size_bytes = 0;
    const bool is_there = store_open_object(store, key, &fd, &size_bytes, &err);
    if (expected == NULL) {
        assert_false(is_there);
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        return;
    }
    assert_true(is_there);
    char bytes[64] = {0};
    assert_int_equal(size_bytes, strlen(expected));
    assert_int_equal(pread(fd, bytes, sizeof bytes - 1, 0), strlen(expected));
    assert_string_equal(bytes, expected);
    (void)close(fd);
}

static void test_objects_appear_whole_are_replaced_and_deleted(void **state)
{
    struct store *store = *state;
    struct err err = {0};
    assert_object(store, "a/b/c.csv", NULL);
    struct sink *sink = NULL;
    assert_true(store_put_begin(store, "a/b/c.csv", &sink, &err));
    assert_true(sink_write(sink, slice_text("half"), &err));
    assert_object(store, "a/b/c.csv", NULL);
    sink_free(&sink);
    assert_object(store, "a/b/c.csv", NULL);
    put(store, "a/b/c.csv", "one");
    assert_object(store, "a/b/c.csv", "one");
    put(store, "a/b/c.csv", "three");
    assert_object(store, "a/b/c.csv", "three");
    assert_true(store_delete(store, "a/b/c.csv", &err));
    assert_true(store_delete(store, "a/b/c.csv", &err));
    assert_object(store, "a/b/c.csv", NULL);
    put(store, "a/empty", "");
    assert_object(store, "a/empty", "");
    assert_true(store_sweep(store, 0, NULL, NULL, &err));
    assert_object(store, "a/empty", "");
}

static void test_keys_cannot_leave_the_store(void **state)
{
    struct store *store = *state;
    static const char *const keys[] = {"",       "/a",    "a/",   "a//b", ".",     "..",   "../x",
                                       "a/../b", "a/./b", "a\\b", "a\nb", "a\x01", "a\x7f"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct err err = {0};
        struct sink *sink = NULL;
        int fd;
        uint64_t size_bytes;
        assert_false(store_put_begin(store, keys[i], &sink, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_false(store_open_object(store, keys[i], &fd, &size_bytes, &err));
        assert_false(store_delete(store, keys[i], &err));
    }
    char key[STORE_KEY_BYTES_MAX + 2];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_false(store_key_is_valid(slice_text(key)));
    key[STORE_KEY_BYTES_MAX] = '\0';
    assert_true(store_key_is_valid(slice_text(key)));
}

static void test_a_fault_leaves_nothing_visible(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= 3; call++) {
        struct err err = {0};
        struct store *store CLEANUP(store_close) = store_fault_new(store_memory_new(), call,
                                                                   ERR_UNAVAILABLE);
        struct sink *sink CLEANUP(sink_free) = NULL;
        const bool is_done = store_put_begin(store, "k", &sink, &err) &&
                             sink_write(sink, slice_text("x"), &err) && sink_finish(sink, &err);
        assert_false(is_done);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_object(store, "k", NULL);
    }
}

static void test_symbolic_links_are_not_followed(void **state)
{
    struct store *store = *state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/link", directory);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_object(store, "link", NULL);
    (void)snprintf(path, sizeof path, "%s/folder", directory);
    assert_int_equal(symlink("/etc", path), 0);
    assert_object(store, "folder/passwd", NULL);
    assert_int_equal(unlink(path), 0);
}

static void test_empty_folders_go_with_their_last_object(void **state)
{
    struct store *store = *state;
    struct err err = {0};
    put(store, "x/y/1", "1");
    put(store, "x/y/2", "2");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/x/y", directory);
    assert_true(store_delete(store, "x/y/1", &err));
    assert_int_equal(access(path, F_OK), 0);
    assert_true(store_delete(store, "x/y/2", &err));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(directory, F_OK), 0);
}

static void test_the_sweep_removes_what_killed_writers_left(void **state)
{
    struct store *store = *state;
    struct err err = {0};
    char path[128];
    (void)snprintf(path, sizeof path, "%s/left.csv.77.part", directory);
    assert_true(file_replace(path, slice_text("x"), &err));
    assert_true(store_sweep(store, 3600000, NULL, NULL, &err));
    assert_int_equal(access(path, F_OK), 0);
    assert_true(store_sweep(store, 0, NULL, NULL, &err));
    assert_int_equal(access(path, F_OK), -1);
}

static bool count_parts(const char *path, void *context, struct err *err)
{
    (void)err;
    if (strstr(path, SINK_PART_SUFFIX) != NULL)
        (*(int *)context)++;
    return true;
}

static void test_a_writer_that_comes_again_finds_its_spool_empty(void **state)
{
    (void)state;
    struct err err = {0};
    char path[128];
    (void)snprintf(path, sizeof path, "%s/.spool/0", directory);
    assert_true(file_make_directories(path, &err));
    (void)snprintf(path, sizeof path, "%s/.spool/0/killed" SINK_PART_SUFFIX, directory);
    assert_true(file_replace(path, slice_text("x"), &err));
    int count = 0;
    assert_true(file_walk(directory, "", count_parts, &count, &err));
    assert_int_equal(count, 1);
    struct store *store CLEANUP(store_close) = NULL;
    assert_true(store_file_open_writer(directory, "0", &store, &err));
    count = 0;
    assert_true(file_walk(directory, "", count_parts, &count, &err));
    assert_int_equal(count, 0);
}

static bool is_wanted(const char *key, void *context, bool *ret_is_listed, struct err *err)
{
    (void)err;
    *ret_is_listed = strcmp(key, context) == 0;
    return true;
}

static void test_the_sweep_removes_objects_that_nobody_lists(void **state)
{
    struct store *store = *state;
    struct err err = {0};
    char wanted[] = "a/wanted";
    put(store, "a/wanted", "1");
    put(store, "b/left", "2");
    assert_true(store_sweep(store, 3600000, is_wanted, wanted, &err));
    assert_object(store, "b/left", "2");
    assert_true(store_sweep(store, 0, is_wanted, wanted, &err));
    assert_object(store, "b/left", NULL);
    assert_object(store, "a/wanted", "1");
}

struct rival {
    struct thread thread;
    struct store *store;
    int number;
    int failure_count;
};

static void put_and_delete(void *context)
{
    struct rival *rival = context;
    for (int i = 0; i < 300; i++) {
        struct err err = {0};
        char key[64];
        (void)snprintf(key, sizeof key, "y/m/d/job=%d/file", rival->number);
        struct sink *sink = NULL;
        const bool is_done = store_put_begin(rival->store, key, &sink, &err) &&
                             sink_write(sink, slice_text("x"), &err) && sink_finish(sink, &err);
        sink_free(&sink);
        if (!is_done || !store_delete(rival->store, key, &err))
            rival->failure_count++;
    }
}

// The last object of a folder goes while another one comes.
static void test_rivals_in_one_folder_do_not_fail_each_other(void **state)
{
    struct rival rivals[3];
    for (int i = 0; i < 3; i++) {
        rivals[i] = (struct rival){.store = *state, .number = i};
        thread_start(&rivals[i].thread, put_and_delete, &rivals[i]);
    }
    for (int i = 0; i < 3; i++) {
        thread_join(&rivals[i].thread);
        assert_int_equal(rivals[i].failure_count, 0);
    }
}

#define CONFORM(name, test)                                                                        \
    {name, test, open_file_store, close_file_store, NULL},                                         \
        {name " (writer)", test, open_writer_store, close_file_store, NULL},                       \
    {                                                                                              \
        name " (memory)", test, open_memory_store, close_memory_store, NULL                        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFORM("life of an object", test_objects_appear_whole_are_replaced_and_deleted),
        CONFORM("keys", test_keys_cannot_leave_the_store),
        CONFORM("rivals", test_rivals_in_one_folder_do_not_fail_each_other),
        cmocka_unit_test(test_a_fault_leaves_nothing_visible),
        cmocka_unit_test_setup_teardown(test_symbolic_links_are_not_followed, open_file_store,
                                        close_file_store),
        cmocka_unit_test_setup_teardown(test_empty_folders_go_with_their_last_object,
                                        open_file_store, close_file_store),
        cmocka_unit_test_setup_teardown(test_the_sweep_removes_what_killed_writers_left,
                                        open_file_store, close_file_store),
        cmocka_unit_test_setup_teardown(test_a_writer_that_comes_again_finds_its_spool_empty,
                                        open_file_store, close_file_store),
        cmocka_unit_test_setup_teardown(test_the_sweep_removes_objects_that_nobody_lists,
                                        open_file_store, close_file_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
