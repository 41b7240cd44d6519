// SPDX-License-Identifier: Apache-2.0
// The log on a full disk. Needs the right to mount a small file system; skipped without.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "ingest_fixture.h"

struct small_disk {
    char directory[64];
    char filler[96];
    struct ingest_fixture *fixture; // NULL: no right to mount
};

static int setup(void **state)
{
    struct small_disk *disk = mem_alloc(sizeof *disk);
    (void)snprintf(disk->directory, sizeof disk->directory, "/tmp/milkrun-full-XXXXXX");
    assert_non_null(mkdtemp(disk->directory));
    (void)snprintf(disk->filler, sizeof disk->filler, "%s/filler", disk->directory);
    if (mount("tmpfs", disk->directory, "tmpfs", 0, "size=8m") == 0)
        disk->fixture = fixture_new(disk->directory);
    *state = disk;
    return 0;
}

static int teardown(void **state)
{
    struct small_disk *disk = *state;
    if (disk->fixture != NULL) {
        fixture_free(&disk->fixture);
        assert_int_equal(umount(disk->directory), 0);
    }
    assert_int_equal(rmdir(disk->directory), 0);
    mem_free(disk);
    return 0;
}

static void fill_disk(const char *path, int64_t leave_bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    static const char block[4096];
    int64_t size_bytes = 0;
    while (write(fd, block, sizeof block) == (ssize_t)sizeof block)
        size_bytes += (int64_t)sizeof block;
    assert_int_equal(ftruncate(fd, size_bytes > leave_bytes ? size_bytes - leave_bytes : 0), 0);
    (void)close(fd);
}

static void test_a_full_disk(void **state)
{
    struct small_disk *disk = *state;
    struct ingest_fixture *fixture = disk->fixture;
    if (fixture == NULL)
        skip();
    fixture_open(fixture);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    char body[8192];
    (void)snprintf(body, sizeof body, "{\"timestamp\":1700000000000,\"n\":\"%08000d\"}\n", 1);
    struct err err = {0};
    char *first = fixture_send_spec(fixture, &spec, slice_text(body), 0, &err);
    assert_non_null(first);
    mem_free(first);
    fill_disk(disk->filler, 0);
    int refused = 0;
    int64_t accepted = 1;
    for (int i = 0; i < 200; i++) {
        char *answer = fixture_send_spec(fixture, &spec, slice_text(body), 0, &err);
        if (answer != NULL) {
            accepted++;
        } else {
            refused++;
            assert_int_equal(err.kind, ERR_FULL);
            assert_string_equal(err.message, "Insufficient storage");
        }
        mem_free(answer);
    }
    assert_true(refused > 0);
    assert_int_equal(unlink(disk->filler), 0);
    for (int i = 0; i < 50; i++) {
        char *answer = fixture_send_spec(fixture, &spec, slice_text(body), 0, &err);
        assert_non_null(answer);
        accepted++;
        mem_free(answer);
    }
    assert_int_equal(ingest_log_last_seq(fixture->log), accepted);
    ingest_log_close(&fixture->log);
    fixture_open(fixture);
    assert_int_equal(ingest_log_last_seq(fixture->log), accepted);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), accepted);
}

// --- Recovery

static void send_and_crash(struct ingest_fixture *fixture)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(fixture);
        fixture_send_number(fixture, 1);
        fixture_send_number(fixture, 2);
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void test_recovery_waits_for_room(void **state)
{
    struct small_disk *disk = *state;
    struct ingest_fixture *fixture = disk->fixture;
    if (fixture == NULL)
        skip();
    send_and_crash(fixture);
    fill_disk(disk->filler, 0);
    // A person who accepts loss is told at once.
    fixture->config.accept_loss = true;
    struct err err = {0};
    assert_false(ingest_log_open(&fixture->config, &fixture->log, &err));
    assert_int_equal(err.kind, ERR_FULL);
    fixture->config.accept_loss = false;
    fixture_open(fixture);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    const char *body = "{\"timestamp\":1700000000000,\"n\":3}\n";
    assert_refuses(fixture, &spec, body, ERR_FULL, "Insufficient storage");
    int64_t failure_count = 0;
    struct err failure;
    for (int i = 0; i < 500 && failure_count < 2; i++) {
        (void)usleep(10000);
        ingest_log_last_failure(fixture->log, &failure_count, &failure);
    }
    assert_true(failure_count >= 2); // it was tried again
    assert_int_equal(failure.kind, ERR_FULL);
    assert_int_equal(ingest_log_last_seq(fixture->log), 0);
    // A process that ends meanwhile does no harm.
    fixture_reopen(fixture);
    assert_refuses(fixture, &spec, body, ERR_FULL, "Insufficient storage");
    assert_int_equal(unlink(disk->filler), 0);
    for (int i = 0; i < 500 && ingest_log_last_seq(fixture->log) < 2; i++)
        (void)usleep(10000);
    assert_int_equal(ingest_log_last_seq(fixture->log), 2);
    for (int i = 0; i < 100; i++) {
        char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, slice_text(body), 0,
                                                              &err);
        if (answer != NULL)
            break;
        (void)usleep(10000);
    }
    assert_int_equal(ingest_log_last_seq(fixture->log), 3);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovery_waits_for_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
