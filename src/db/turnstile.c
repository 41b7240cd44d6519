// SPDX-License-Identifier: Apache-2.0
#include "db/turnstile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"

struct turnstile {
    int gate_fd; // -1: not open
    int lock_fd;
    pid_t owner_pid;
};

static bool turnstile_open_file(const char *path, const char *suffix, int *ret_fd, struct err *err)
{
    struct arena arena CLEANUP(arena_clear) = {0};
    const char *name = arena_format(&arena, "%s%s", path, suffix);
    const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(err, "cannot open %s", name);
    *ret_fd = fd;
    return true;
}

bool turnstile_open(const char *path, struct turnstile **ret_turnstile, struct err *err)
{
    struct turnstile *turnstile CLEANUP(turnstile_close) = mem_alloc(sizeof *turnstile);
    turnstile->gate_fd = -1;
    turnstile->lock_fd = -1;
    turnstile->owner_pid = getpid();
    TRY(turnstile_open_file(path, "-gate", &turnstile->gate_fd, err));
    TRY(turnstile_open_file(path, "-lock", &turnstile->lock_fd, err));
    *ret_turnstile = turnstile;
    turnstile = NULL;
    return true;
}

void turnstile_close(struct turnstile **turnstile)
{
    if (*turnstile == NULL)
        return;
    if ((*turnstile)->gate_fd >= 0)
        (void)close((*turnstile)->gate_fd); // nothing was written through it
    if ((*turnstile)->lock_fd >= 0)
        (void)close((*turnstile)->lock_fd);
    mem_free(*turnstile);
    *turnstile = NULL;
}

static bool turnstile_lock(int fd, struct err *err)
{
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR)
            return err_set_errno(err, "cannot lock the turnstile of the database");
    }
    return true;
}

bool turnstile_enter(struct turnstile *turnstile, struct err *err)
{
    // A forked child has the parent's locks, and would let go of them.
    ASSERT(turnstile->owner_pid == getpid());
    TRY(turnstile_lock(turnstile->gate_fd, err));
    const bool is_locked = turnstile_lock(turnstile->lock_fd, err);
    (void)flock(turnstile->gate_fd, LOCK_UN); // cannot fail on a lock that is held
    return is_locked;
}

void turnstile_leave(struct turnstile *turnstile)
{
    (void)flock(turnstile->lock_fd, LOCK_UN); // cannot fail on a lock that is held
}
