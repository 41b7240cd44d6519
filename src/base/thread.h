// SPDX-License-Identifier: Apache-2.0
// Threads and locks. Locks and condition variables live in base alone; other folders use what is
// built on them (queue, work_pool) or, where a structure is truly shared, a struct mutex with a
// comment that says what it guards. Every thread is joined.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
    pthread_t id;
    bool is_started;
};

// Runs run(context) until it returns; the caller joins. All signals are blocked in the new thread.
void thread_start(struct thread *thread, void (*run)(void *context), void *context);
// Does nothing when the thread was never started or has been joined.
void thread_join(struct thread *thread);

struct mutex {
    pthread_mutex_t lock;
};

void mutex_init(struct mutex *mutex);
void mutex_clear(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

struct condition {
    pthread_cond_t variable;
};

void condition_init(struct condition *condition);
void condition_clear(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *mutex);
// False when the time passed without a signal.
bool condition_wait_ms(struct condition *condition, struct mutex *mutex, int64_t timeout_ms);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);
