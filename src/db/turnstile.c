// SPDX-License-Identifier: Apache-2.0
#include "db/turnstile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#define TURNSTILE_SIGN_MS INT64_C(1000)

static const char *const turnstile_suffixes[] = {"-lock", "-gate"};
static_assert(ARRAY_COUNT(turnstile_suffixes) == DB_WRITERS, "a signature per file");
static_assert(sizeof(struct db_writer) == 16, "the record in the files");

struct turnstile {
    int gate_fd; // -1: not open
    int lock_fd;
    pid_t owner_pid;
};

// --- Opening

static bool turnstile_open_file(const char *path, const char *suffix, int flags, int *ret_fd,
                                struct err *err)
{
    struct arena arena CLEANUP(arena_clear) = {0};
    const char *name = arena_format(&arena, "%s%s", path, suffix);
    const int fd = open(name, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(err, "cannot open %s", name);
    *ret_fd = fd;
    return true;
}

static void turnstile_on_signal(int number)
{
    (void)number; // it has done its work: the system call returns
}

static int turnstile_signal_number(void)
{
    return SIGRTMIN + 5;
}

bool turnstile_open(const char *path, struct turnstile **ret_turnstile, struct err *err)
{
    struct turnstile *turnstile CLEANUP(turnstile_close) = mem_alloc(sizeof *turnstile);
    turnstile->gate_fd = -1;
    turnstile->lock_fd = -1;
    turnstile->owner_pid = getpid();
    // Without SA_RESTART, so that flock returns.
    const struct sigaction action = {.sa_handler = turnstile_on_signal};
    if (sigaction(turnstile_signal_number(), &action, NULL) != 0)
        return err_set_errno(err, "sigaction");
    TRY(turnstile_open_file(path, "-gate", O_RDWR | O_CREAT, &turnstile->gate_fd, err));
    TRY(turnstile_open_file(path, "-lock", O_RDWR | O_CREAT, &turnstile->lock_fd, err));
    *ret_turnstile = turnstile;
    turnstile = NULL;
    return true;
}

void turnstile_close(struct turnstile **turnstile)
{
    if (*turnstile == NULL)
        return;
    if ((*turnstile)->gate_fd >= 0)
        (void)close((*turnstile)->gate_fd); // nothing that must last was written through it
    if ((*turnstile)->lock_fd >= 0)
        (void)close((*turnstile)->lock_fd);
    mem_free(*turnstile);
    *turnstile = NULL;
}

// --- Signatures. They are hints: a disk that is too full for one must not keep writers out, who
// may be about to make room. So failed writes are no errors.

static void turnstile_sign(const struct turnstile *turnstile, int fd)
{
    struct db_writer writer = {0};
    if (pread(fd, &writer, sizeof writer, 0) != (ssize_t)sizeof writer)
        writer.ticket = 0; // a new file
    writer.pid = turnstile->owner_pid;
    writer.ticket = writer.ticket < INT64_MAX ? writer.ticket + 1 : 1;
    const ssize_t size_bytes = pwrite(fd, &writer, sizeof writer, 0);
    (void)size_bytes;
}

// Only while the file is still locked, or it would wipe out the next one's. The ticket stays.
static void turnstile_unsign(int fd)
{
    const int64_t nobody = 0;
    const ssize_t size_bytes = pwrite(fd, &nobody, sizeof nobody, offsetof(struct db_writer, pid));
    (void)size_bytes;
}

static bool turnstile_read_file(const char *path, const char *suffix, struct db_writer *ret_writer,
                                struct err *err)
{
    int fd = -1;
    TRY(turnstile_open_file(path, suffix, O_RDONLY, &fd, err));
    struct db_writer writer = {0};
    const ssize_t size_bytes = pread(fd, &writer, sizeof writer, 0);
    if (size_bytes < 0)
        (void)err_set_errno(err, "cannot read %s%s", path, suffix);
    (void)close(fd); // lets go of no lock: those belong to other descriptions
    if (size_bytes < 0)
        return false;
    const bool is_signed = size_bytes == (ssize_t)sizeof writer;
    *ret_writer = is_signed ? writer : (struct db_writer){0};
    return true;
}

bool turnstile_read(const char *path, struct db_writer ret_writers[DB_WRITERS], struct err *err)
{
    struct db_writer writers[DB_WRITERS];
    for (size_t i = 0; i < DB_WRITERS; i++)
        TRY(turnstile_read_file(path, turnstile_suffixes[i], &writers[i], err));
    memcpy(ret_writers, writers, sizeof writers);
    return true;
}

// --- Waiting. flock has no time limit, and polling would cost the kernel's order and a
// millisecond per writer: so a timer sends signals to the waiting thread, again and again, because
// the first may arrive before flock sleeps.

struct turnstile_timer {
    timer_t id;
    sigset_t mask_before;
};

static bool turnstile_timer_start(struct turnstile_timer *timer, int64_t period_ms, struct err *err)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = turnstile_signal_number()};
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer->id) != 0)
        return err_set(err, ERR_UNAVAILABLE, "no timer to wait for the catalog with");
    const struct timespec period = {.tv_sec = period_ms / 1000,
                                    .tv_nsec = period_ms % 1000 * 1000000};
    const struct itimerspec periods = {.it_value = period, .it_interval = period};
    const int failed = timer_settime(timer->id, 0, &periods, NULL);
    ASSERT(failed == 0);
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, turnstile_signal_number());
    (void)pthread_sigmask(SIG_UNBLOCK, &mask, &timer->mask_before);
    return true;
}

static void turnstile_timer_stop(struct turnstile_timer *timer)
{
    (void)timer_delete(timer->id);
    (void)pthread_sigmask(SIG_SETMASK, &timer->mask_before, NULL);
}

struct turnstile_wait {
    int fd;         // to be locked
    int held_fd;    // signed again meanwhile; -1: none
    int64_t end_ms; // by the boot clock
};

static bool turnstile_wait_with_timer(const struct turnstile *turnstile,
                                      const struct turnstile_wait *wait, struct err *err)
{
    while (flock(wait->fd, LOCK_EX) != 0) {
        if (errno != EINTR)
            return err_set_errno(err, "cannot lock the turnstile of the database");
        if (clock_boot_ms(clock_system()) >= wait->end_ms)
            return err_set(err, ERR_UNAVAILABLE, "the catalog is busy");
        if (wait->held_fd >= 0)
            turnstile_sign(turnstile, wait->held_fd);
    }
    return true;
}

static bool turnstile_lock(const struct turnstile *turnstile, const struct turnstile_wait *wait,
                           struct err *err)
{
    if (flock(wait->fd, LOCK_EX | LOCK_NB) == 0)
        return true; // the usual case needs no timer
    int64_t period_ms = wait->end_ms - clock_boot_ms(clock_system());
    if (period_ms < 1)
        period_ms = 1;
    // At the gate only the end counts: each interruption costs the place in the queue.
    if (wait->held_fd >= 0 && period_ms > TURNSTILE_SIGN_MS)
        period_ms = TURNSTILE_SIGN_MS;
    struct turnstile_timer timer;
    TRY(turnstile_timer_start(&timer, period_ms, err));
    const bool is_locked = turnstile_wait_with_timer(turnstile, wait, err);
    turnstile_timer_stop(&timer);
    return is_locked;
}

bool turnstile_enter(struct turnstile *turnstile, int64_t limit_ms, struct err *err)
{
    ASSERT(limit_ms > 0);
    // A forked child has the parent's locks, and would let go of them.
    ASSERT(turnstile->owner_pid == getpid());
    const int64_t end_ms = clock_boot_ms(clock_system()) + limit_ms;
    const struct turnstile_wait at_gate = {turnstile->gate_fd, -1, end_ms};
    const struct turnstile_wait at_lock = {turnstile->lock_fd, turnstile->gate_fd, end_ms};
    TRY(turnstile_lock(turnstile, &at_gate, err));
    turnstile_sign(turnstile, turnstile->gate_fd);
    const bool is_locked = turnstile_lock(turnstile, &at_lock, err);
    if (is_locked)
        turnstile_sign(turnstile, turnstile->lock_fd);
    turnstile_unsign(turnstile->gate_fd);
    (void)flock(turnstile->gate_fd, LOCK_UN); // cannot fail on a lock that is held
    return is_locked;
}

void turnstile_leave(struct turnstile *turnstile)
{
    turnstile_unsign(turnstile->lock_fd);
    (void)flock(turnstile->lock_fd, LOCK_UN); // cannot fail on a lock that is held
}
