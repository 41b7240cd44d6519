// SPDX-License-Identifier: Apache-2.0
// What waits and what wakes: threads, locks, hints between processes, the wish to stop, and clocks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "base/thread.h"
#include "base/wake.h"

#define THREADS 4
#define ROUNDS  2000

static int64_t now_ms(void)
{
    return clock_boot_ms(clock_system());
}

// --- Threads

struct shared {
    struct mutex mutex;
    struct condition condition;
    int count;
    bool is_open;
};

static void shared_init(struct shared *shared)
{
    *shared = (struct shared){0};
    mutex_init(&shared->mutex);
    condition_init(&shared->condition);
}

static void shared_clear(struct shared *shared)
{
    condition_clear(&shared->condition);
    mutex_clear(&shared->mutex);
}

static void count_up(void *context)
{
    struct shared *shared = context;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&shared->mutex);
        shared->count++;
        mutex_unlock(&shared->mutex);
    }
}

static void test_locks_exclude(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    struct thread threads[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], count_up, &shared);
    for (int i = 0; i < THREADS; i++) {
        thread_join(&threads[i]);
        thread_join(&threads[i]); // a second time is nothing
    }
    assert_int_equal(shared.count, THREADS * ROUNDS);
    struct thread never = {0};
    thread_join(&never);
    shared_clear(&shared);
}

static void wait_for_opening(void *context)
{
    struct shared *shared = context;
    mutex_lock(&shared->mutex);
    while (!shared->is_open)
        condition_wait(&shared->condition, &shared->mutex);
    shared->count++;
    mutex_unlock(&shared->mutex);
}

static void test_broadcast_wakes_all(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    struct thread threads[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], wait_for_opening, &shared);
    mutex_lock(&shared.mutex);
    assert_int_equal(shared.count, 0);
    shared.is_open = true;
    condition_broadcast(&shared.condition);
    mutex_unlock(&shared.mutex);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_int_equal(shared.count, THREADS);
    shared_clear(&shared);
}

static void test_waiting_ends_with_the_time(void **state)
{
    (void)state;
    struct shared shared;
    shared_init(&shared);
    const int64_t started_ms = now_ms();
    mutex_lock(&shared.mutex);
    bool was_signaled = true;
    while (was_signaled && now_ms() - started_ms < 5000) // it may wake for nothing
        was_signaled = condition_wait_ms(&shared.condition, &shared.mutex, 30);
    mutex_unlock(&shared.mutex);
    assert_false(was_signaled);
    assert_true(now_ms() - started_ms >= 29);
    shared_clear(&shared);
}

static void look_at_signals(void *context)
{
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    *(bool *)context = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGUSR1) == 1;
}

static void test_threads_take_no_signals(void **state)
{
    (void)state;
    bool is_blocked = false;
    struct thread thread = {0};
    thread_start(&thread, look_at_signals, &is_blocked);
    thread_join(&thread);
    assert_true(is_blocked);
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGUSR1), 0); // ours are as they were
}

// --- Hints

static void test_hint_reaches_everybody_once(void **state)
{
    (void)state;
    struct wake wake;
    wake_init(&wake, 3);
    wake_all(&wake);
    wake_all(&wake);
    for (size_t i = 0; i < 3; i++) {
        int64_t started_ms = now_ms();
        wake_wait(&wake, i, -1, 5000);
        assert_true(now_ms() - started_ms < 2000);
        started_ms = now_ms();
        wake_wait(&wake, i, -1, 30); // both hints are swallowed
        assert_true(now_ms() - started_ms >= 29);
    }
    wake_clear(&wake);
    assert_int_equal(wake.count, 0);
}

static void test_hint_crosses_a_fork(void **state)
{
    (void)state;
    struct wake wake;
    wake_init(&wake, 2);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        wake_all(&wake);
        _exit(0);
    }
    const int64_t started_ms = now_ms();
    wake_wait(&wake, 1, -1, 10000);
    assert_true(now_ms() - started_ms < 5000);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wake_clear(&wake);
}

static void test_many_hints_do_not_block(void **state)
{
    (void)state;
    struct wake wake;
    wake_init(&wake, 1);
    const uint64_t nearly_full = UINT64_MAX - 1;
    assert_int_equal(write(wake.fds[0], &nearly_full, sizeof nearly_full), sizeof nearly_full);
    wake_all(&wake);
    wake_wait(&wake, 0, -1, 5000);
    wake_clear(&wake);
}

// --- Stop

static void test_signal_is_remembered(void **state)
{
    (void)state;
    sigset_t before;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    struct stop stop;
    stop_init(&stop);
    assert_false(stop_poll(&stop));
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    struct wake wake; // a stop ends the wait as well
    wake_init(&wake, 1);
    const int64_t started_ms = now_ms();
    wake_wait(&wake, 0, stop.fd, 10000);
    assert_true(now_ms() - started_ms < 5000);
    assert_true(stop_poll(&stop));
    assert_true(stop_poll(&stop));
    assert_true(atomic_load(&stop.is_requested));
    wake_clear(&wake);
    stop_clear(&stop);
    stop_init(&stop);
    assert_false(stop_poll(&stop)); // a new one knows nothing of it
    assert_int_equal(kill(getpid(), SIGINT), 0);
    while (!stop_poll(&stop))
        continue;
    stop_clear(&stop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

// --- Clocks

static void test_clocks(void **state)
{
    (void)state;
    const int64_t wall_ms = clock_wall_ms(clock_system());
    assert_in_range(wall_ms / 1000 - (int64_t)time(NULL) + 2, 0, 4);
    const int64_t boot_ms = now_ms();
    (void)usleep(2000);
    assert_true(now_ms() > boot_ms);
    struct clock_fixed fixed;
    clock_fixed_init(&fixed, 17, 4);
    assert_int_equal(clock_wall_ms(&fixed.base), 17);
    fixed.now_boot_ms = 5;
    assert_int_equal(clock_wall_ms(&fixed.base), 17);
    assert_int_equal(clock_boot_ms(&fixed.base), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locks_exclude),
        cmocka_unit_test(test_broadcast_wakes_all),
        cmocka_unit_test(test_waiting_ends_with_the_time),
        cmocka_unit_test(test_threads_take_no_signals),
        cmocka_unit_test(test_hint_reaches_everybody_once),
        cmocka_unit_test(test_hint_crosses_a_fork),
        cmocka_unit_test(test_many_hints_do_not_block),
        cmocka_unit_test(test_signal_is_remembered),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
