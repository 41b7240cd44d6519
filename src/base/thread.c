// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"

struct thread_start {
    void (*run)(void *context);
    void *context;
};

static void *thread_main(void *argument)
{
    struct thread_start start = *(struct thread_start *)argument;
    mem_free(argument);
    start.run(start.context);
    return NULL;
}

void thread_start(struct thread *thread, void (*run)(void *context), void *context)
{
    struct thread_start *start = mem_alloc(sizeof *start);
    *start = (struct thread_start){run, context};
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int failed = pthread_sigmask(SIG_SETMASK, &all, &before);
    ASSERT(failed == 0);
    failed = pthread_create(&thread->id, NULL, thread_main, start);
    ASSERT(failed == 0);
    failed = pthread_sigmask(SIG_SETMASK, &before, NULL);
    ASSERT(failed == 0);
    thread->is_started = true;
}

void thread_join(struct thread *thread)
{
    if (!thread->is_started)
        return;
    const int failed = pthread_join(thread->id, NULL);
    ASSERT(failed == 0);
    thread->is_started = false;
}

void mutex_init(struct mutex *mutex)
{
    const int failed = pthread_mutex_init(&mutex->lock, NULL);
    ASSERT(failed == 0);
}

void mutex_clear(struct mutex *mutex)
{
    const int failed = pthread_mutex_destroy(&mutex->lock);
    ASSERT(failed == 0);
}

void mutex_lock(struct mutex *mutex)
{
    const int failed = pthread_mutex_lock(&mutex->lock);
    ASSERT(failed == 0);
}

void mutex_unlock(struct mutex *mutex)
{
    const int failed = pthread_mutex_unlock(&mutex->lock);
    ASSERT(failed == 0);
}

void condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);
    ASSERT(failed == 0);
    failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    ASSERT(failed == 0);
    failed = pthread_cond_init(&condition->variable, &attributes);
    ASSERT(failed == 0);
    (void)pthread_condattr_destroy(&attributes); // cannot fail on Linux
}

void condition_clear(struct condition *condition)
{
    const int failed = pthread_cond_destroy(&condition->variable);
    ASSERT(failed == 0);
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    const int failed = pthread_cond_wait(&condition->variable, &mutex->lock);
    ASSERT(failed == 0);
}

bool condition_wait_ms(struct condition *condition, struct mutex *mutex, int64_t timeout_ms)
{
    ASSERT(timeout_ms >= 0);
    struct timespec until;
    int failed = clock_gettime(CLOCK_MONOTONIC, &until);
    ASSERT(failed == 0);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    failed = pthread_cond_timedwait(&condition->variable, &mutex->lock, &until);
    ASSERT(failed == 0 || failed == ETIMEDOUT);
    return failed == 0;
}

void condition_signal(struct condition *condition)
{
    const int failed = pthread_cond_signal(&condition->variable);
    ASSERT(failed == 0);
}

void condition_broadcast(struct condition *condition)
{
    const int failed = pthread_cond_broadcast(&condition->variable);
    ASSERT(failed == 0);
}
