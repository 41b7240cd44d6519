// SPDX-License-Identifier: Apache-2.0
// What is remembered of files, and when it is forgotten.
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

#include "api/api_digests.h"
#include "base/hash.h"

#define FILE_COUNT 5000 // more than are remembered

// An unnamed file, old enough to be remembered once settle() has returned.
static int make_file(const char *bytes)
{
    char path[] = "/tmp/milkrun-digests-XXXXXX";
    const int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), 0), (ssize_t)strlen(bytes));
    return fd;
}

static void settle(void)
{
    assert_int_equal(usleep(200000), 0);
}

static void assert_reads(struct api_digests *digests, int fd, const char *bytes)
{
    struct err err;
    uint8_t expected[SHA256_BYTES];
    uint8_t digest[SHA256_BYTES] = {0};
    sha256_of(slice_text(bytes), expected);
    assert_true(api_digests_read(digests, fd, digest, &err));
    assert_memory_equal(digest, expected, sizeof digest);
}

static void a_settled_file_is_remembered(void **state)
{
    (void)state;
    struct api_digests *digests = api_digests_new();
    uint8_t digest[SHA256_BYTES] = {0};
    uint8_t expected[SHA256_BYTES];
    const int fd = make_file("abc");
    settle();
    assert_false(api_digests_find(digests, fd, digest));
    assert_reads(digests, fd, "abc");
    assert_true(api_digests_find(digests, fd, digest));
    sha256_of(slice_text("abc"), expected);
    assert_memory_equal(digest, expected, sizeof digest);
    assert_int_equal(api_digests_read_count(digests), 1);
    assert_int_equal(close(fd), 0);
    api_digests_free(&digests);
    assert_null(digests);
    api_digests_free(&digests);
}

static void any_change_is_seen(void **state)
{
    (void)state;
    struct api_digests *digests = api_digests_new();
    uint8_t digest[SHA256_BYTES];
    const int fd = make_file("abc");
    settle();
    assert_reads(digests, fd, "abc");
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    assert_int_equal(futimens(fd, times), 0);
    assert_false(api_digests_find(digests, fd, digest));
    settle();
    assert_reads(digests, fd, "abc");
    assert_true(api_digests_find(digests, fd, digest));
    assert_int_equal(pwrite(fd, "x", 1, 1), 1);
    assert_int_equal(futimens(fd, times), 0); // ctime cannot be set back
    assert_false(api_digests_find(digests, fd, digest));
    assert_reads(digests, fd, "axc");
    assert_int_equal(close(fd), 0);
    api_digests_free(&digests);
}

static void a_file_of_this_moment_is_not_remembered(void **state)
{
    (void)state;
    struct api_digests *digests = api_digests_new();
    uint8_t digest[SHA256_BYTES];
    const int fd = make_file("abc");
    assert_reads(digests, fd, "abc");
    assert_false(api_digests_find(digests, fd, digest));
    assert_int_equal(close(fd), 0);
    api_digests_free(&digests);
}

static void the_latest_files_stay(void **state)
{
    (void)state;
    struct api_digests *digests = api_digests_new();
    char directory[] = "/tmp/milkrun-digests-XXXXXX";
    char path[64];
    uint8_t digest[SHA256_BYTES];
    int known_count = 0;
    assert_non_null(mkdtemp(directory));
    for (int i = 0; i < FILE_COUNT; i++) {
        (void)snprintf(path, sizeof path, "%s/%d", directory, i);
        const int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
    }
    settle();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < FILE_COUNT; i++) {
            (void)snprintf(path, sizeof path, "%s/%d", directory, i);
            const int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (round == 0) {
                assert_reads(digests, fd, "");
                assert_true(api_digests_find(digests, fd, digest));
            } else if (api_digests_find(digests, fd, digest)) {
                known_count++;
            }
            assert_int_equal(close(fd), 0);
            if (round == 1)
                assert_int_equal(unlink(path), 0);
        }
    }
    assert_in_range(known_count, 2048, 4096);
    assert_int_equal(rmdir(directory), 0);
    api_digests_free(&digests);
}

static void failures_are_told(void **state)
{
    (void)state;
    struct api_digests *digests = api_digests_new();
    struct err err = {0};
    uint8_t digest[SHA256_BYTES];
    assert_false(api_digests_find(digests, -1, digest));
    assert_false(api_digests_read(digests, -1, digest, &err));
    assert_int_equal(err.kind, ERR_IO);
    const int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_false(api_digests_read(digests, fd, digest, &err));
    assert_int_equal(err.kind, ERR_IO);
    assert_int_equal(api_digests_read_count(digests), 0);
    assert_int_equal(close(fd), 0);
    api_digests_free(&digests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_settled_file_is_remembered),
        cmocka_unit_test(any_change_is_seen),
        cmocka_unit_test(a_file_of_this_moment_is_not_remembered),
        cmocka_unit_test(the_latest_files_stay),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
