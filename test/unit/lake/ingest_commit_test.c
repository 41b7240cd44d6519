// SPDX-License-Identifier: Apache-2.0
// A refused batch stays refused: a client repeats it, so it must not come back after a kill. This
// executable's own fdatasync stands in the way of the C library's, to fail where a test wants it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "db/db.h"
#include "ingest_fixture.h"

#define BODY "{\"timestamp\":1700000000000,\"n\":2}\n"

static atomic_bool log_sync_fails;

static bool is_log_file(int fd)
{
    char name[64];
    char target[4096];
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(name, target, sizeof target - 1);
    if (size <= 0)
        return false;
    target[size] = '\0';
    return strstr(target, "/log/0") != NULL;
}

int fdatasync(int fd)
{
    if (atomic_load(&log_sync_fails) && is_log_file(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int setup(void **state)
{
    atomic_store(&log_sync_fails, false);
    *state = fixture_new(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return 0;
}

static int teardown(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_free(&fixture);
    return 0;
}

// --- Kills right behind the answer

// In a child: true when the batch was refused with 503.
static bool is_refused(struct ingest_fixture *fixture)
{
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct err err = {0};
    char *answer CLEANUP(mem_free_at) = fixture_send_spec(fixture, &spec, slice_text(BODY), 0,
                                                          &err);
    return answer == NULL && err.kind == ERR_UNAVAILABLE;
}

// Runs work with the log open in a child that is killed when it returns true.
static void crash_after(struct ingest_fixture *fixture,
                        bool (*work)(struct ingest_fixture *fixture))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(fixture);
        if (work(fixture))
            (void)kill(getpid(), SIGKILL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void assert_opens_with(struct ingest_fixture *fixture, int64_t line_count)
{
    fixture_open(fixture);
    assert_int_equal(ingest_log_last_seq(fixture->log), line_count);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), line_count);
}

static bool refuse_the_first(struct ingest_fixture *fixture)
{
    atomic_store(&log_sync_fails, true);
    return is_refused(fixture) && fixture_count_files(fixture, "0") == 0;
}

static void test_a_file_without_rows(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, refuse_the_first);
    assert_opens_with(fixture, 0);
}

static bool refuse_the_second(struct ingest_fixture *fixture)
{
    fixture_send_number(fixture, 1);
    atomic_store(&log_sync_fails, true);
    return is_refused(fixture);
}

// The catalog knows where the file ends before the client is told.
static void test_a_file_with_rows(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, refuse_the_second);
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_true(is_found);
    assert_int_equal(last.seq_hi, 1);
    assert_opens_with(fixture, 1);
}

// Makes the catalog refuse to learn of log files until the trigger goes.
static void set_catalog_trap(const struct ingest_fixture *fixture, const char *sql)
{
    struct db *db = NULL;
    assert_done(db_sqlite_open(fixture->catalog_path, false, &db, &fact));
    assert_done(db_exec(db, sql, NULL, 0, NULL, &fact));
    db_close(&db);
}

#define TRAP_ON                                                                                    \
    "CREATE TRIGGER trap BEFORE INSERT ON log_files BEGIN SELECT RAISE(ABORT, 'trap'); END"
#define TRAP_OFF "DROP TRIGGER trap"

static bool refuse_without_catalog(struct ingest_fixture *fixture)
{
    fixture_send_number(fixture, 1);
    set_catalog_trap(fixture, TRAP_ON);
    atomic_store(&log_sync_fails, true);
    return is_refused(fixture);
}

static void test_a_catalog_that_fails_too(void **state)
{
    struct ingest_fixture *fixture = *state;
    crash_after(fixture, refuse_without_catalog);
    set_catalog_trap(fixture, TRAP_OFF);
    assert_opens_with(fixture, 1);
}

// --- Nothing can be written, and the catalog fails: no answer until one of them works.

static void test_the_answer_waits(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    fixture_send_number(fixture, 1);
    set_catalog_trap(fixture, TRAP_ON);
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(fixture->directory, 1, path);
    const int fd = fixture_find_descriptor(path);
    const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup3(other, fd, O_CLOEXEC), fd);
    (void)close(other);
    const struct ingest_batch_spec spec = fixture_spec(fixture);
    struct ingest_batch *batch = NULL;
    assert_done(ingest_batch_begin(fixture->log, &spec, &batch, &fact));
    assert_done(ingest_batch_write(batch, slice_text(BODY), &fact));
    assert_done(ingest_batch_end(batch, &fact));
    struct fixture_wait wait = {.is_done = false};
    mutex_init(&wait.mutex);
    condition_init(&wait.condition);
    ingest_batch_submit(batch, fixture_done, &wait);
    mutex_lock(&wait.mutex);
    (void)condition_wait_ms(&wait.condition, &wait.mutex, 500);
    assert_false(wait.is_done);
    mutex_unlock(&wait.mutex);
    set_catalog_trap(fixture, TRAP_OFF);
    mutex_lock(&wait.mutex);
    while (!wait.is_done)
        condition_wait(&wait.condition, &wait.mutex);
    mutex_unlock(&wait.mutex);
    condition_clear(&wait.condition);
    mutex_clear(&wait.mutex);
    struct slice answer;
    struct err err = {0};
    assert_false(ingest_batch_answer(batch, &answer, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    ingest_batch_free(&batch);
    bool is_found;
    struct segment_log_file last;
    assert_done(segment_last_log_file(fixture->catalog, &is_found, &last, &fact));
    assert_true(is_found);
    assert_int_equal(last.seq_hi, 1);
    fixture_send_number(fixture, 2);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), 2);
}

// The log goes on in a new file, of the same number where the refused one had no rows.
static void test_the_log_goes_on(void **state)
{
    struct ingest_fixture *fixture = *state;
    fixture_open(fixture);
    atomic_store(&log_sync_fails, true);
    assert_true(is_refused(fixture));
    assert_true(is_refused(fixture));
    atomic_store(&log_sync_fails, false);
    fixture_send_number(fixture, 1);
    atomic_store(&log_sync_fails, true);
    assert_true(is_refused(fixture));
    atomic_store(&log_sync_fails, false);
    fixture_send_number(fixture, 2);
    assert_int_equal(ingest_log_last_seq(fixture->log), 2);
    ingest_log_close(&fixture->log);
    assert_int_equal(fixture_count_lines(fixture), 2);
    assert_opens_with(fixture, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_file_without_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_with_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_catalog_that_fails_too, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_answer_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_goes_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
