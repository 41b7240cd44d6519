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
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

struct fixture {
    char directory[64];
    char path[160];
    struct err err;
    size_t seen_count;
    char seen[1024];
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-file-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    *state = fixture;
    return 0;
}

static void check(struct fixture *fixture, bool is_fine)
{
    if (!is_fine)
        fail_msg("%s", fixture->err.message);
}

static const char *at(struct fixture *fixture, const char *name)
{
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->directory, name);
    return fixture->path;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"a/b/c/deep.txt", "a/b/c", "a/b/two.txt", "a/b", "a/link",
                                        "a/one.dat",      "a",     "file",        ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)remove(at(fixture, names[i]));
    assert_int_not_equal(access(fixture->directory, F_OK), 0);
    mem_free(fixture);
    return 0;
}

static void put(struct fixture *fixture, const char *name, const char *text)
{
    check(fixture, file_replace(at(fixture, name), slice_text(text), &fixture->err));
}

static void test_replaced_file_reads_back(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 100);
    put(fixture, "file", "first, and longer");
    put(fixture, "file", "second");
    check(fixture, file_read(at(fixture, "file"), &bytes, &fixture->err));
    assert_string_equal(buf_text(&bytes), "second");
    struct stat status;
    assert_int_equal(stat(at(fixture, "file"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_read_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "file", "0123456789");
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 11);
    check(fixture, file_read(at(fixture, "file"), &bytes, &fixture->err));
    assert_int_equal(bytes.size_bytes, 10);
    struct buf small CLEANUP(buf_clear);
    buf_init(&small, 9);
    assert_false(file_read(at(fixture, "file"), &small, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_LIMIT);
    assert_false(file_read(at(fixture, "none"), &small, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void test_a_pipe_is_read_to_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct buf bytes CLEANUP(buf_clear);
    int ends[2];
    buf_init(&bytes, 11);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "0123456789", 10), 10);
    (void)close(ends[1]);
    check(fixture, file_read_fd(ends[0], "pipe", &bytes, &fixture->err));
    assert_string_equal(buf_text(&bytes), "0123456789");
    (void)close(ends[0]);
    assert_false(file_read_fd(ends[0], "pipe", &bytes, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_IO);
    assert_non_null(strstr(fixture->err.message, "read pipe"));
}

static void test_digest_is_of_all_bytes(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "file", "abc");
    uint8_t digest[SHA256_BYTES];
    uint8_t expected[SHA256_BYTES];
    uint64_t size_bytes = 0;
    check(fixture, file_digest(at(fixture, "file"), digest, &size_bytes, &fixture->err));
    sha256_of(slice_text("abc"), expected);
    assert_memory_equal(digest, expected, sizeof digest);
    assert_int_equal(size_bytes, 3);
    assert_false(file_digest(at(fixture, "none"), digest, &size_bytes, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void test_directories_with_parents(void **state)
{
    struct fixture *fixture = *state;
    check(fixture, file_make_directories(at(fixture, "a/b/c"), &fixture->err));
    check(fixture, file_make_directories(at(fixture, "a/b/c"), &fixture->err));
    struct stat status;
    assert_int_equal(stat(at(fixture, "a/b"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0700);
    put(fixture, "file", "in the way");
    assert_false(file_make_directories(at(fixture, "file/b"), &fixture->err));
}

static void test_removal_of_what_is_missing(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "file", "x");
    check(fixture, file_remove(at(fixture, "file"), &fixture->err));
    check(fixture, file_remove(at(fixture, "file"), &fixture->err));
    assert_int_not_equal(access(at(fixture, "file"), F_OK), 0);
}

static bool note(const char *path, void *context, struct err *err)
{
    struct fixture *fixture = context;
    (void)strncat(fixture->seen, strrchr(path, '/'), 100);
    fixture->seen_count++;
    return file_remove(path, err);
}

static bool refuse(const char *path, void *context, struct err *err)
{
    struct fixture *fixture = context;
    fixture->seen_count++;
    return err_set(err, ERR_CANCELED, "%s", path);
}

static void make_tree(struct fixture *fixture)
{
    check(fixture, file_make_directories(at(fixture, "a/b/c"), &fixture->err));
    put(fixture, "a/one.dat", "1");
    put(fixture, "a/b/two.txt", "2");
    put(fixture, "a/b/c/deep.txt", "3");
    char target[sizeof fixture->path];
    (void)snprintf(target, sizeof target, "%s", at(fixture, "a/b/two.txt"));
    assert_int_equal(symlink(target, at(fixture, "a/link")), 0);
}

static void test_walk_visits_files_of_a_suffix(void **state)
{
    struct fixture *fixture = *state;
    make_tree(fixture);
    check(fixture, file_walk(fixture->directory, ".txt", note, fixture, &fixture->err));
    assert_int_equal(fixture->seen_count, 2);
    assert_non_null(strstr(fixture->seen, "/two.txt"));
    assert_non_null(strstr(fixture->seen, "/deep.txt"));
    check(fixture, file_walk(fixture->directory, "", note, fixture, &fixture->err));
    assert_int_equal(fixture->seen_count, 3); // never links
    check(fixture, file_walk(at(fixture, "none"), "", note, fixture, &fixture->err));
    assert_int_equal(fixture->seen_count, 3);
}

static void test_walk_stops_at_the_first_failure(void **state)
{
    struct fixture *fixture = *state;
    make_tree(fixture);
    assert_false(file_walk(fixture->directory, "", refuse, fixture, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CANCELED);
    assert_int_equal(fixture->seen_count, 1);
}

#define file_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        file_test(test_replaced_file_reads_back),
        file_test(test_read_is_bounded),
        file_test(test_a_pipe_is_read_to_its_end),
        file_test(test_digest_is_of_all_bytes),
        file_test(test_directories_with_parents),
        file_test(test_removal_of_what_is_missing),
        file_test(test_walk_visits_files_of_a_suffix),
        file_test(test_walk_stops_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
