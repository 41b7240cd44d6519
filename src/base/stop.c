// SPDX-License-Identifier: Apache-2.0
#include "base/stop.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"

void stop_init(struct stop *stop)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    const int failed = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    ASSERT(failed == 0);
    stop->fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    ASSERT(stop->fd >= 0);
    atomic_init(&stop->is_requested, false);
}

void stop_clear(struct stop *stop)
{
    (void)close(stop->fd);
    stop->fd = -1;
}

bool stop_poll(struct stop *stop)
{
    struct signalfd_siginfo info;
    if (read(stop->fd, &info, sizeof info) == (ssize_t)sizeof info)
        atomic_store(&stop->is_requested, true);
    return atomic_load(&stop->is_requested);
}
