// SPDX-License-Identifier: Apache-2.0
// Each test forks a supervisor and looks at what it does from outside; the processes tell what
// happens to them through shared memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "catalog/catalog.h"
#include "cli/supervisor.h"
#include "db/db.h"

#define STARTS_MAX    64
#define PROCESSES_MAX 3
#define WAIT_MS       15000
#define EXIT_LEAKED   99
#define LIMIT_MS      3000

// Written by processes, read by the test.
struct board {
    atomic_int start_count[PROCESSES_MAX];
    atomic_llong started_at_ms[PROCESSES_MAX][STARTS_MAX];
    atomic_int pids[PROCESSES_MAX];
    atomic_int ready_count;
    atomic_int ended_count; // by SIGTERM, in order
    atomic_int write_count; // to the catalog
    char directory[40];
    char catalog_path[64]; // "": none
};

static int set_up(void **state)
{
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(board != MAP_FAILED);
    memset(board, 0, sizeof *board);
    *state = board;
    return 0;
}

static int tear_down(void **state)
{
    return munmap(*state, sizeof(struct board));
}

static int set_up_catalog(void **state)
{
    if (set_up(state) != 0)
        return -1;
    struct board *board = *state;
    struct err err = {0};
    struct catalog *catalog = NULL;
    (void)snprintf(board->directory, sizeof board->directory, "/tmp/supervisor_test.XXXXXX");
    if (mkdtemp(board->directory) == NULL)
        return -1;
    (void)snprintf(board->catalog_path, sizeof board->catalog_path, "%s/c.db", board->directory);
    const bool is_created = catalog_create(board->catalog_path, &catalog, &err);
    catalog_close(&catalog);
    return is_created ? 0 : -1;
}

static int tear_down_catalog(void **state)
{
    struct board *board = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-gate", "-lock"};
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        char path[80];
        (void)snprintf(path, sizeof path, "%s%s", board->catalog_path, suffixes[i]);
        (void)unlink(path);
    }
    const int result = rmdir(board->directory);
    return tear_down(state) != 0 ? -1 : result;
}

static int64_t now_ms(void)
{
    return clock_boot_ms(clock_system());
}

// --- What processes do

static int board_start(const struct supervisor_process *process)
{
    struct board *board = process->context;
    const int number = atomic_load(&board->start_count[process->index]);
    if (number < STARTS_MAX)
        atomic_store(&board->started_at_ms[process->index][number], now_ms());
    atomic_store(&board->pids[process->index], (int)getpid());
    (void)atomic_fetch_add(&board->start_count[process->index], 1);
    return number;
}

static void say_ready(int ready_fd)
{
    if (ready_fd >= 0)
        (void)!write(ready_fd, "r", 1);
}

static bool run_until_stop(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    (void)err;
    struct board *board = process->context;
    struct stop stop;
    stop_init(&stop);
    (void)board_start(process);
    say_ready(ready_fd);
    struct pollfd poll_fd = {.fd = stop.fd, .events = POLLIN};
    while (!stop_poll(&stop))
        (void)poll(&poll_fd, 1, 1000);
    (void)atomic_fetch_add(&board->ended_count, 1);
    stop_clear(&stop);
    return true;
}

static bool run_and_exit(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    (void)ready_fd;
    (void)board_start(process);
    return err_set(err, ERR_UNAVAILABLE, "not now");
}

static bool run_into_conflict(const struct supervisor_process *process, int ready_fd,
                              struct err *err)
{
    (void)ready_fd;
    (void)board_start(process);
    return err_set(err, ERR_CONFLICT, "somebody has it");
}

static bool run_to_early_end(const struct supervisor_process *process, int ready_fd,
                             struct err *err)
{
    (void)ready_fd;
    (void)err;
    (void)board_start(process);
    return true;
}

// The first one is killed before it is ready.
static bool run_killed_first(const struct supervisor_process *process, int ready_fd,
                             struct err *err)
{
    const struct board *board = process->context;
    if (atomic_load(&board->start_count[process->index]) > 0)
        return run_until_stop(process, ready_fd, err);
    (void)board_start(process);
    (void)raise(SIGKILL);
    return true;
}

// Ready once, then it cannot start any more.
static bool run_ready_once(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    if (board_start(process) == 0)
        say_ready(ready_fd);
    (void)usleep(50000);
    return err_set(err, ERR_IO, "broken");
}

static bool run_deaf(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    (void)ready_fd;
    (void)err;
    (void)signal(SIGTERM, SIG_IGN);
    (void)board_start(process);
    while (pause() != 0)
        continue;
    return true;
}

static bool run_talking(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    (void)!write(STDOUT_FILENO, "noise\n", 6);
    return run_until_stop(process, ready_fd, err);
}

// Stops inside of a transaction, the first time.
static bool run_stopped_writing(const struct supervisor_process *process, int ready_fd,
                                struct err *err)
{
    const struct board *board = process->context;
    if (atomic_load(&board->start_count[process->index]) > 0)
        return run_until_stop(process, ready_fd, err);
    struct db *db = NULL;
    TRY(db_sqlite_open(board->catalog_path, false, &db, err));
    TRY(db_begin(db, err));
    (void)board_start(process);
    (void)raise(SIGSTOP);
    db_close(&db);
    return true;
}

// Stops as the next in the queue, the first time: with the gate in its hand, and signed.
static bool run_stopped_next(const struct supervisor_process *process, int ready_fd,
                             struct err *err)
{
    const struct board *board = process->context;
    if (atomic_load(&board->start_count[process->index]) > 0)
        return run_until_stop(process, ready_fd, err);
    char path[80];
    (void)snprintf(path, sizeof path, "%s-gate", board->catalog_path);
    const struct db_writer self = {getpid(), 1234567};
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || pwrite(fd, &self, sizeof self, 0) != sizeof self)
        return err_set_errno(err, "%s", path);
    (void)board_start(process);
    (void)raise(SIGSTOP);
    return true;
}

// Stops with the catalog open, after a transaction.
static bool run_stopped_idle(const struct supervisor_process *process, int ready_fd,
                             struct err *err)
{
    (void)ready_fd;
    const struct board *board = process->context;
    struct catalog *catalog = NULL;
    TRY(catalog_open(board->catalog_path, &catalog, err));
    TRY(catalog_set_value(catalog, "idle", "1", err));
    (void)board_start(process);
    (void)raise(SIGSTOP);
    return true;
}

static bool run_writing(const struct supervisor_process *process, int ready_fd, struct err *err)
{
    (void)ready_fd;
    struct board *board = process->context;
    struct catalog *catalog = NULL;
    (void)board_start(process);
    TRY(catalog_open(board->catalog_path, &catalog, err));
    for (;;) {
        TRY(catalog_set_value(catalog, "writing", "1", err));
        (void)atomic_fetch_add(&board->write_count, 1);
        (void)usleep(5000);
    }
}

// --- The supervisor in a process of its own

static size_t count_open_files(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    while (readdir(directory) != NULL)
        count++;
    (void)closedir(directory);
    return count;
}

static void count_ready(void *context)
{
    struct board *board = context;
    (void)atomic_fetch_add(&board->ready_count, 1);
}

struct role {
    bool (*run)(const struct supervisor_process *process, int ready_fd, struct err *err);
    bool is_awaited;
};

static _Noreturn void supervise(struct board *board, const struct role *roles, size_t role_count,
                                void (*on_ready)(void *context))
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that fails leaves nobody behind
    struct supervisor_process processes[PROCESSES_MAX];
    ASSERT(role_count <= PROCESSES_MAX);
    for (size_t i = 0; i < role_count; i++)
        processes[i] =
            (struct supervisor_process){"role", i, roles[i].run, board, roles[i].is_awaited, false};
    const struct supervisor_config config = {
        .processes = processes,
        .process_count = role_count,
        .drain_ms = 300,
        .catalog_path = board->catalog_path[0] == '\0' ? NULL : board->catalog_path,
        .writer_limit_ms = LIMIT_MS,
        .on_ready = on_ready,
        .context = board,
    };
    log_setup(LOG_ERROR, "supervisor");
    const size_t file_count = count_open_files();
    struct err err = {0};
    const bool is_done = supervisor_run(&config, &err);
    if (count_open_files() != file_count)
        _exit(EXIT_LEAKED);
    _exit(is_done ? 0 : err_kind_exit_code(err.kind));
}

static pid_t start_with(struct board *board, const struct role *roles, size_t role_count,
                        void (*on_ready)(void *context))
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        supervise(board, roles, role_count, on_ready);
    return pid;
}

static pid_t start(struct board *board, const struct role *roles, size_t role_count)
{
    return start_with(board, roles, role_count, count_ready);
}

static void wait_for(const atomic_int *counter, int count)
{
    for (int i = 0; i < WAIT_MS / 5 && atomic_load(counter) < count; i++)
        (void)usleep(5000);
    assert_true(atomic_load(counter) >= count);
}

static int wait_for_exit(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGTERM), 0);
    return wait_for_exit(pid);
}

static bool is_alive(const atomic_int *pid)
{
    return kill(atomic_load(pid), 0) == 0 || errno != ESRCH;
}

// --- Tests

static void test_what_ends_is_started_again_with_delays(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_and_exit, false}, {run_until_stop, false}};
    const pid_t pid = start(board, roles, 2);
    wait_for(&board->start_count[0], 5);
    assert_int_equal(end(pid), 0);
    // At once, then after 100, 200, 400 ms.
    for (int i = 2; i < 5; i++) {
        const int64_t pause_ms = atomic_load(&board->started_at_ms[0][i]) -
                                 atomic_load(&board->started_at_ms[0][i - 1]);
        assert_true(pause_ms >= (50 << (i - 1)));
    }
    assert_int_equal(atomic_load(&board->start_count[1]), 1);
}

static void test_ready_when_all_awaited_are(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {
        {run_until_stop, true}, {run_until_stop, true}, {run_and_exit, false}};
    const pid_t pid = start(board, roles, 3);
    wait_for(&board->ready_count, 1);
    assert_int_equal(atomic_load(&board->start_count[0]), 1);
    assert_int_equal(atomic_load(&board->start_count[1]), 1);
    (void)kill(atomic_load(&board->pids[0]), SIGKILL);
    wait_for(&board->start_count[0], 2);
    (void)usleep(150000);
    assert_int_equal(end(pid), 0);
    assert_int_equal(atomic_load(&board->ready_count), 1); // once
}

static void test_awaited_process_that_cannot_start_ends_all(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_until_stop, false}, {run_into_conflict, true}};
    const pid_t pid = start(board, roles, 2);
    assert_int_equal(wait_for_exit(pid), err_kind_exit_code(ERR_CONFLICT));
    assert_int_equal(atomic_load(&board->ready_count), 0);
    assert_int_equal(atomic_load(&board->start_count[1]), 1);
    if (atomic_load(&board->start_count[0]) > 0)
        assert_false(is_alive(&board->pids[0]));
}

static void test_awaited_process_that_ends_unready_is_a_failure(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_to_early_end, true}};
    const pid_t pid = start(board, roles, 1);
    assert_int_not_equal(wait_for_exit(pid), 0);
    assert_int_equal(atomic_load(&board->ready_count), 0);
}

static void test_killed_before_it_was_ready_is_started_again(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_killed_first, true}};
    const pid_t pid = start(board, roles, 1);
    wait_for(&board->ready_count, 1);
    assert_int_equal(atomic_load(&board->start_count[0]), 2);
    assert_int_equal(end(pid), 0);
}

static void test_failure_after_ready_is_no_end(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_ready_once, true}, {run_until_stop, false}};
    const pid_t pid = start(board, roles, 2);
    wait_for(&board->start_count[0], 3);
    assert_int_equal(atomic_load(&board->ready_count), 1);
    assert_int_equal(end(pid), 0);
}

static void test_termination_ends_all(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {
        {run_until_stop, true}, {run_until_stop, false}, {run_until_stop, false}};
    const pid_t pid = start(board, roles, 3);
    for (size_t i = 0; i < 3; i++)
        wait_for(&board->start_count[i], 1);
    const int64_t asked_at_ms = now_ms();
    assert_int_equal(end(pid), 0);
    assert_true(now_ms() - asked_at_ms < 2000);
    assert_int_equal(atomic_load(&board->ended_count), 3);
    for (size_t i = 0; i < 3; i++)
        assert_false(is_alive(&board->pids[i]));
}

static void test_deaf_process_is_killed_after_the_drain(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_deaf, false}, {run_until_stop, false}};
    const pid_t pid = start(board, roles, 2);
    wait_for(&board->start_count[0], 1);
    wait_for(&board->start_count[1], 1);
    const int64_t asked_at_ms = now_ms();
    assert_int_equal(end(pid), 0);
    assert_true(now_ms() - asked_at_ms >= 300);
    assert_false(is_alive(&board->pids[0]));
    assert_int_equal(atomic_load(&board->ended_count), 1);
}

static void test_processes_die_with_a_killed_supervisor(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_deaf, false}, {run_until_stop, false}};
    const pid_t pid = start(board, roles, 2);
    wait_for(&board->start_count[0], 1);
    wait_for(&board->start_count[1], 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (size_t i = 0; i < 2; i++) {
        // Who adopts the dead may take its time to bury them.
        for (int wait = 0; wait < 200 && is_alive(&board->pids[i]); wait++)
            (void)usleep(5000);
    }
    assert_int_equal(atomic_load(&board->ended_count), 0);
    assert_int_equal(atomic_load(&board->start_count[0]), 1);
}

static void print_ready(void *context)
{
    (void)!write(STDOUT_FILENO, "ready\n", 6);
    count_ready(context);
}

static void test_standard_output_is_the_supervisors(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_talking, true}};
    int out[2];
    assert_int_equal(pipe(out), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)close(out[1]);
        supervise(board, roles, 1, print_ready);
    }
    (void)close(out[1]);
    wait_for(&board->ready_count, 1);
    assert_int_equal(end(pid), 0);
    char text[64] = "";
    assert_int_equal(read(out[0], text, sizeof text - 1), 6);
    assert_string_equal(text, "ready\n");
    (void)close(out[0]);
}

static void use_up_files(void *context)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_NOFILE, &none);
    count_ready(context);
}

// A process that cannot be forked now is no reason to end the others.
static void test_shortage_is_waited_out(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_until_stop, true}, {run_until_stop, false}};
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        supervise(board, roles, 2, use_up_files);
    wait_for(&board->ready_count, 1);
    wait_for(&board->start_count[1], 1);
    (void)kill(atomic_load(&board->pids[0]), SIGKILL);
    (void)usleep(300000);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    assert_true(is_alive(&board->pids[1]));
    assert_int_equal(kill(pid, SIGTERM), 0);
    (void)wait_for_exit(pid); // it cannot count its files any more
    assert_int_equal(atomic_load(&board->ended_count), 1);
}

static void expect_killed_and_writers_go_on(struct board *board, const struct role roles[2])
{
    const pid_t pid = start(board, roles, 2);
    wait_for(&board->start_count[0], 2);
    assert_true(atomic_load(&board->started_at_ms[0][1]) -
                    atomic_load(&board->started_at_ms[0][0]) >=
                LIMIT_MS / 2);
    wait_for(&board->write_count, atomic_load(&board->write_count) + 20);
    assert_int_equal(atomic_load(&board->start_count[0]), 2);
    assert_int_equal(atomic_load(&board->start_count[1]), 1); // it waited, and was left alone
    assert_int_equal(end(pid), 0);
}

static void test_stopped_writer_is_killed(void **state)
{
    const struct role roles[] = {{run_stopped_writing, false}, {run_writing, false}};
    expect_killed_and_writers_go_on(*state, roles);
}

static void test_stopped_next_writer_is_killed(void **state)
{
    const struct role roles[] = {{run_stopped_next, false}, {run_writing, false}};
    expect_killed_and_writers_go_on(*state, roles);
}

static void test_stopped_process_that_does_not_write_is_left_alone(void **state)
{
    struct board *board = *state;
    const struct role roles[] = {{run_stopped_idle, false}, {run_writing, false}};
    const pid_t pid = start(board, roles, 2);
    wait_for(&board->start_count[0], 1);
    (void)usleep(2 * LIMIT_MS * 1000);
    wait_for(&board->write_count, atomic_load(&board->write_count) + 20);
    assert_true(is_alive(&board->pids[0]));
    assert_int_equal(atomic_load(&board->start_count[0]), 1);
    assert_int_equal(atomic_load(&board->start_count[1]), 1);
    assert_int_equal(end(pid), 0);
}

// SQLite's state does not go through a fork: so the stranger is a process of its own.
static pid_t start_stranger(struct board *board)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    struct err err = {0};
    struct db *db = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!db_sqlite_open(board->catalog_path, false, &db, &err) || !db_begin(db, &err))
        _exit(1);
    (void)atomic_fetch_add(&board->ready_count, 1);
    for (;;)
        (void)pause();
}

static void test_stuck_stranger_is_left_alone(void **state)
{
    struct board *board = *state;
    const pid_t stranger = start_stranger(board);
    wait_for(&board->ready_count, 1);
    const struct role roles[] = {{run_writing, false}};
    const pid_t pid = start(board, roles, 1);
    wait_for(&board->start_count[0], 1);
    (void)usleep(2 * LIMIT_MS * 1000);
    assert_int_equal(atomic_load(&board->write_count), 0);
    assert_int_equal(atomic_load(&board->start_count[0]), 1); // the next in the queue still signs
    int status = 0;
    assert_int_equal(waitpid(stranger, &status, WNOHANG), 0); // it lives
    assert_int_equal(kill(stranger, SIGKILL), 0);
    assert_int_equal(waitpid(stranger, &status, 0), stranger);
    wait_for(&board->write_count, 5);
    assert_int_equal(end(pid), 0);
}

#define board_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define catalog_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, set_up_catalog, tear_down_catalog)

int main(void)
{
    const struct CMUnitTest tests[] = {
        board_test(test_what_ends_is_started_again_with_delays),
        board_test(test_ready_when_all_awaited_are),
        board_test(test_awaited_process_that_cannot_start_ends_all),
        board_test(test_awaited_process_that_ends_unready_is_a_failure),
        board_test(test_killed_before_it_was_ready_is_started_again),
        board_test(test_failure_after_ready_is_no_end),
        board_test(test_termination_ends_all),
        board_test(test_deaf_process_is_killed_after_the_drain),
        board_test(test_processes_die_with_a_killed_supervisor),
        board_test(test_standard_output_is_the_supervisors),
        board_test(test_shortage_is_waited_out),
        catalog_test(test_stopped_writer_is_killed),
        catalog_test(test_stopped_next_writer_is_killed),
        catalog_test(test_stopped_process_that_does_not_write_is_left_alone),
        catalog_test(test_stuck_stranger_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
