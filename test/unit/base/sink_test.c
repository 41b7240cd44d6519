// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/sink.h"

static char directory[] = "/tmp/milkrun-sink-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static bool remove_one(const char *path, void *context, struct err *err)
{
    (*(int *)context)++;
    return file_remove(path, err);
}

static int remove_directory(void **state)
{
    (void)state;
    int count = 0;
    struct err err;
    (void)!file_walk(directory, "", remove_one, &count, &err);
    return rmdir(directory);
}

static char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void test_a_file_appears_whole_or_not_at_all(void **state)
{
    (void)state;
    struct err err = {0};
    const char *path = path_of("a");
    struct sink *sink = NULL;
    assert_true(sink_file_open(path, &sink, &err));
    assert_true(sink_write(sink, slice_text("hello"), &err));
    assert_int_equal(access(path, F_OK), -1);
    sink_free(&sink);
    assert_int_equal(access(path, F_OK), -1);

    assert_true(sink_file_open(path, &sink, &err));
    assert_true(sink_write(sink, slice_text("hello"), &err));
    assert_true(sink_finish(sink, &err));
    sink_free(&sink);
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 100);
    assert_true(file_read(path, &bytes, &err));
    assert_string_equal(buf_text(&bytes), "hello");

    int count = 0;
    assert_true(file_walk(directory, ".part", remove_one, &count, &err));
    assert_int_equal(count, 0);
}

static void test_digest_counts_and_hashes(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 100);
    struct sink_digest digest = {0};
    struct sink *sink = sink_digest_new(sink_memory_new(&bytes), &digest);
    assert_true(sink_write(sink, slice_text("ab"), &err));
    assert_true(sink_write(sink, slice_text("c"), &err));
    assert_int_equal(digest.byte_count, 0);
    assert_true(sink_finish(sink, &err));
    sink_free(&sink);
    char hex[SHA256_HEX_CHARS + 1];
    hex_encode(slice_of(digest.sha256, SHA256_BYTES), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(digest.byte_count, 3);
    assert_string_equal(buf_text(&bytes), "abc");
}

static void test_a_fault_reaches_the_caller_and_leaves_no_file(void **state)
{
    (void)state;
    for (uint64_t call = 1; call <= 3; call++) {
        struct err err = {0};
        struct sink *sink = NULL;
        assert_true(sink_file_open(path_of("b"), &sink, &err));
        sink = sink_fault_new(sink, call, ERR_FULL);
        const bool is_done = sink_write(sink, slice_text("x"), &err) &&
                             sink_write(sink, slice_text("y"), &err) && sink_finish(sink, &err);
        assert_false(is_done);
        assert_int_equal(err.kind, ERR_FULL);
        sink_free(&sink);
        assert_int_equal(access(path_of("b"), F_OK), -1);
    }
}

static void test_files_are_replaced_read_and_digested(void **state)
{
    (void)state;
    struct err err = {0};
    char *path CLEANUP(mem_free_at) = mem_copy_text(path_of("c"));
    assert_true(file_replace(path, slice_text("one"), &err));
    assert_true(file_replace(path, slice_text("two!"), &err));
    uint8_t digest[SHA256_BYTES];
    uint8_t expected[SHA256_BYTES];
    uint64_t size_bytes = 0;
    assert_true(file_digest(path, digest, &size_bytes, &err));
    sha256_of(slice_text("two!"), expected);
    assert_memory_equal(digest, expected, sizeof digest);
    assert_int_equal(size_bytes, 4);
    struct buf small CLEANUP(buf_clear);
    buf_init(&small, 3);
    assert_false(file_read(path, &small, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(file_read(path_of("absent"), &small, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_true(file_remove(path_of("absent"), &err));
    assert_true(file_make_directories(path_of("d/e/f"), &err));
    assert_true(file_make_directories(path_of("d/e/f"), &err));
    assert_false(file_make_directories(path_of("c/below-a-file"), &err));
    assert_int_equal(rmdir(path_of("d/e/f")), 0);
    assert_int_equal(rmdir(path_of("d/e")), 0);
    assert_int_equal(rmdir(path_of("d")), 0);
}

static void test_a_budget_is_shared_and_ends(void **state)
{
    (void)state;
    struct err err = {0};
    struct sink_budget budget = {.left_bytes = 5};
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 100);
    struct sink *first = sink_budget_new(sink_memory_new(&text), &budget);
    assert_true(sink_write(first, slice_text("abc"), &err));
    assert_true(sink_finish(first, &err));
    sink_free(&first);
    struct sink *second = sink_budget_new(sink_memory_new(&text), &budget);
    assert_true(sink_write(second, slice_text("de"), &err));
    assert_false(budget.is_exceeded);
    assert_false(sink_write(second, slice_text("f"), &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_true(budget.is_exceeded);
    sink_free(&second);
    assert_string_equal(buf_text(&text), "abcde");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_appears_whole_or_not_at_all),
        cmocka_unit_test(test_digest_counts_and_hashes),
        cmocka_unit_test(test_a_budget_is_shared_and_ends),
        cmocka_unit_test(test_a_fault_reaches_the_caller_and_leaves_no_file),
        cmocka_unit_test(test_files_are_replaced_read_and_digested),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
