// SPDX-License-Identifier: Apache-2.0
#include "base/wake.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"

void wake_init(struct wake *wake, size_t count)
{
    ASSERT(count <= WAKE_COUNT_MAX);
    *wake = (struct wake){.count = count};
    for (size_t i = 0; i < count; i++) {
        wake->fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ASSERT(wake->fds[i] >= 0);
    }
}

void wake_clear(struct wake *wake)
{
    for (size_t i = 0; i < wake->count; i++)
        (void)close(wake->fds[i]);
    wake->count = 0;
}

void wake_all(const struct wake *wake)
{
    const uint64_t one = 1;
    for (size_t i = 0; i < wake->count; i++)
        (void)!write(wake->fds[i], &one, sizeof one); // full means: a hint is pending already
}

void wake_wait(const struct wake *wake, size_t self, int stop_fd, int64_t timeout_ms)
{
    ASSERT(self < wake->count);
    ASSERT(timeout_ms >= 0);
    struct pollfd poll_fds[] = {
        {.fd = wake->fds[self], .events = POLLIN},
        {.fd = stop_fd, .events = POLLIN}, // poll leaves out negative ones
    };
    if (poll(poll_fds, ARRAY_COUNT(poll_fds), (int)timeout_ms) <= 0)
        return;
    uint64_t hints;
    (void)!read(wake->fds[self], &hints, sizeof hints); // nothing pending is fine
}
