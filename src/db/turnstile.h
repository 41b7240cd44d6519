// SPDX-License-Identifier: Apache-2.0
// A fair queue of writers over all processes of a machine. SQLite's own write lock is unfair:
// waiters sleep up to 100 ms per try, starve for seconds, and BUSY leaks in spite of a timeout. So
// writers first pass two flock files:
//
//   flock(gate) ; flock(lock) ; unlock(gate) ; BEGIN IMMEDIATE ... COMMIT ; unlock(lock)
//
// One waits at the lock, the others at the gate, where the kernel keeps their order; a process that
// dies lets go of both. flock belongs to the open file description: so every connection has a
// turnstile of its own, opened after the last fork. Local disks only. Belongs to one thread.
#pragma once

#include "base/err.h"

struct turnstile;

// Makes <path>-gate and <path>-lock when they are missing (mode 0600, closed on exec).
NODISCARD bool turnstile_open(const char *path, struct turnstile **ret_turnstile, struct err *err);
void turnstile_close(struct turnstile **turnstile);

// Waits without a limit. Nothing is held after a failure.
NODISCARD bool turnstile_enter(struct turnstile *turnstile, struct err *err);
void turnstile_leave(struct turnstile *turnstile);
