// SPDX-License-Identifier: Apache-2.0
// What db_test cannot see from above: time limits and signatures.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "db/turnstile.h"

#define LONG_MS INT64_C(20000)

struct fixture {
    char directory[40];
    char path[64];
    struct turnstile *turnstile;
};

static struct turnstile *open_turnstile(const char *path)
{
    struct err err = {0};
    struct turnstile *turnstile = NULL;
    if (!turnstile_open(path, &turnstile, &err))
        fail_msg("%s", err.message);
    return turnstile;
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/turnstile_test.XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/x", fixture->directory);
    fixture->turnstile = open_turnstile(fixture->path);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"x-gate", "x-lock"};
    turnstile_close(&fixture->turnstile);
    turnstile_close(&fixture->turnstile); // NULL is fine
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/%s", fixture->directory, names[i]);
        (void)unlink(path);
    }
    const int result = rmdir(fixture->directory);
    mem_free(fixture);
    return result;
}

static int64_t now_ms(void)
{
    return clock_boot_ms(clock_system());
}

static void enter(struct turnstile *turnstile)
{
    struct err err = {0};
    if (!turnstile_enter(turnstile, LONG_MS, &err))
        fail_msg("%s", err.message);
}

static void enter_fails(struct turnstile *turnstile, int64_t limit_ms)
{
    struct err err = {0};
    const int64_t start_ms = now_ms();
    assert_false(turnstile_enter(turnstile, limit_ms, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_string_equal(err.message, "the catalog is busy");
    assert_true(now_ms() - start_ms >= limit_ms);
    assert_true(now_ms() - start_ms < limit_ms + 5000);
}

static void read_writers(const char *path, struct db_writer ret_writers[DB_WRITERS])
{
    struct err err = {0};
    if (!turnstile_read(path, ret_writers, &err))
        fail_msg("%s", err.message);
}

// --- Time limits

static void a_waiter_at_the_lock_gives_up(void **state)
{
    struct fixture *fixture = *state;
    struct turnstile *other = open_turnstile(fixture->path);
    enter(fixture->turnstile);
    enter_fails(other, 1);
    enter_fails(other, 120);
    turnstile_leave(fixture->turnstile);
    enter(other); // it had kept nothing: neither gate nor lock
    turnstile_leave(other);
    turnstile_close(&other);
}

struct waiter {
    const char *path;
    int64_t limit_ms;
    struct thread thread;
    bool is_in;
    struct err err;
};

static void waiter_run(void *context)
{
    struct waiter *waiter = context;
    struct turnstile *turnstile CLEANUP(turnstile_close) = NULL;
    if (!turnstile_open(waiter->path, &turnstile, &waiter->err))
        return;
    waiter->is_in = turnstile_enter(turnstile, waiter->limit_ms, &waiter->err);
    if (waiter->is_in)
        turnstile_leave(turnstile);
}

static void wait_for_next(const char *path)
{
    struct db_writer writers[DB_WRITERS] = {0};
    for (int i = 0; i < 4000 && writers[1].pid == 0; i++) {
        (void)usleep(1000);
        read_writers(path, writers);
    }
    assert_int_not_equal(writers[1].pid, 0);
}

// The threads block all signals, as those of the server do.
static void waiters_at_the_gate_give_up_alone(void **state)
{
    struct fixture *fixture = *state;
    struct waiter patient = {.path = fixture->path, .limit_ms = LONG_MS};
    struct waiter hasty[2] = {{.path = fixture->path, .limit_ms = 100},
                              {.path = fixture->path, .limit_ms = 200}};
    enter(fixture->turnstile);
    thread_start(&patient.thread, waiter_run, &patient);
    wait_for_next(fixture->path); // it has the gate
    for (size_t i = 0; i < ARRAY_COUNT(hasty); i++)
        thread_start(&hasty[i].thread, waiter_run, &hasty[i]);
    for (size_t i = 0; i < ARRAY_COUNT(hasty); i++) {
        thread_join(&hasty[i].thread);
        assert_false(hasty[i].is_in);
        assert_int_equal(hasty[i].err.kind, ERR_UNAVAILABLE);
    }
    turnstile_leave(fixture->turnstile);
    thread_join(&patient.thread);
    assert_true(patient.is_in);
}

static void signals_are_as_before(void **state)
{
    struct fixture *fixture = *state;
    struct turnstile *other = open_turnstile(fixture->path);
    sigset_t before;
    sigset_t after;
    sigset_t all;
    (void)sigfillset(&all);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
    enter(fixture->turnstile);
    enter_fails(other, 20);
    turnstile_leave(fixture->turnstile);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, &after), 0);
    for (int number = 1; number <= SIGRTMAX; number++)
        assert_int_equal(sigismember(&all, number) == 1 && number != SIGKILL && number != SIGSTOP &&
                             (number < 32 || number >= SIGRTMIN),
                         sigismember(&after, number) == 1);
    turnstile_close(&other);
}

// --- Signatures

static void holders_sign_and_wipe(void **state)
{
    struct fixture *fixture = *state;
    struct db_writer writers[DB_WRITERS] = {{-1, -1}, {-1, -1}};
    read_writers(fixture->path, writers); // nobody has entered yet
    for (size_t i = 0; i < DB_WRITERS; i++) {
        assert_int_equal(writers[i].pid, 0);
        assert_int_equal(writers[i].ticket, 0);
    }
    for (int64_t round = 1; round <= 3; round++) {
        enter(fixture->turnstile);
        read_writers(fixture->path, writers);
        assert_int_equal(writers[0].pid, getpid());
        assert_int_equal(writers[0].ticket, round);
        assert_int_equal(writers[1].pid, 0);
        turnstile_leave(fixture->turnstile);
        read_writers(fixture->path, writers);
        assert_int_equal(writers[0].pid, 0);
        assert_int_equal(writers[0].ticket, round);
    }
}

static void the_next_one_signs_again_and_again(void **state)
{
    struct fixture *fixture = *state;
    struct waiter waiter = {.path = fixture->path, .limit_ms = LONG_MS};
    struct db_writer before[DB_WRITERS];
    struct db_writer after[DB_WRITERS];
    enter(fixture->turnstile);
    thread_start(&waiter.thread, waiter_run, &waiter);
    wait_for_next(fixture->path);
    read_writers(fixture->path, before);
    (void)memcpy(after, before, sizeof after);
    for (int i = 0; i < 100 && after[1].ticket < before[1].ticket + 2; i++) {
        (void)usleep(100000);
        read_writers(fixture->path, after);
    }
    assert_int_equal(after[1].ticket, before[1].ticket + 2);
    assert_int_equal(after[1].pid, getpid());
    assert_int_equal(after[0].ticket, before[0].ticket); // who holds the lock does not
    turnstile_leave(fixture->turnstile);
    thread_join(&waiter.thread);
    assert_true(waiter.is_in);
    read_writers(fixture->path, after);
    assert_int_equal(after[0].pid, 0);
    assert_int_equal(after[1].pid, 0);
}

static void a_dead_ones_signature_is_written_over(void **state)
{
    struct fixture *fixture = *state;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        struct turnstile *turnstile = NULL;
        if (turnstile_open(fixture->path, &turnstile, &err) &&
            turnstile_enter(turnstile, LONG_MS, &err))
            (void)raise(SIGKILL);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    struct db_writer writers[DB_WRITERS];
    read_writers(fixture->path, writers);
    assert_int_equal(writers[0].pid, pid);
    assert_int_equal(writers[0].ticket, 1);
    enter(fixture->turnstile);
    read_writers(fixture->path, writers);
    assert_int_equal(writers[0].pid, getpid());
    assert_int_equal(writers[0].ticket, 2);
    turnstile_leave(fixture->turnstile);
}

static void what_cannot_be_read(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct db_writer writers[DB_WRITERS] = {{7, 7}, {7, 7}};
    assert_false(turnstile_read("/nonexistent/x", writers, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(writers[0].pid, 7);
    char path[80];
    (void)snprintf(path, sizeof path, "%s-lock", fixture->path);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "short", 5), 5);
    read_writers(fixture->path, writers);
    assert_int_equal(writers[0].pid, 0);
    const struct db_writer last = {1, INT64_MAX}; // tickets begin again
    assert_int_equal(pwrite(fd, &last, sizeof last, 0), sizeof last);
    assert_int_equal(close(fd), 0);
    enter(fixture->turnstile);
    read_writers(fixture->path, writers);
    assert_int_equal(writers[0].pid, getpid());
    assert_int_equal(writers[0].ticket, 1);
    turnstile_leave(fixture->turnstile);
}

#define turnstile_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        turnstile_test(a_waiter_at_the_lock_gives_up),
        turnstile_test(waiters_at_the_gate_give_up_alone),
        turnstile_test(signals_are_as_before),
        turnstile_test(holders_sign_and_wipe),
        turnstile_test(the_next_one_signs_again_and_again),
        turnstile_test(a_dead_ones_signature_is_written_over),
        turnstile_test(what_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
