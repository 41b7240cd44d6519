// SPDX-License-Identifier: Apache-2.0
// Wake-up hints between the processes of one machine. One eventfd per process, all made by the
// supervisor before it forks and inherited by everybody. A hint may be lost or come for nothing:
// who waits looks at the catalog after every return, also after the time-out. Thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAKE_COUNT_MAX 64

struct wake {
    int fds[WAKE_COUNT_MAX];
    size_t count;
};

// count file descriptors; aborts when the machine has none left at start.
void wake_init(struct wake *wake, size_t count);
void wake_clear(struct wake *wake);

// Wakes everybody.
void wake_all(const struct wake *wake);

// Waits for a hint to `self`, for stop_fd to become readable (-1: none), or the time-out; swallows
// all pending hints.
void wake_wait(const struct wake *wake, size_t self, int stop_fd, int64_t timeout_ms);
