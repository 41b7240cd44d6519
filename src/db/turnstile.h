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
//
// A process that is stopped does not let go. So who holds gate or lock signs the file with its pid
// and a ticket (struct db_writer, 16 bytes at the start), and who waits at the lock with the gate
// in its hand signs the gate again every second. Hence the same signature for many seconds: stuck.
// A supervisor that looks (turnstile_read) kills it; without one, waiters give up.
//
// Uses the signal SIGRTMIN + 5, to end its own waits alone.
// Upholds INV-18 (docs/invariants.md).
#pragma once

#include "base/err.h"
#include "db/db.h"

struct turnstile;

// Makes <path>-gate and <path>-lock when they are missing (mode 0600, closed on exec).
NODISCARD bool turnstile_open(const char *path, struct turnstile **ret_turnstile, struct err *err);
void turnstile_close(struct turnstile **turnstile);

// Waits at most limit_ms (> 0), then UNAVAILABLE. Nothing is held after a failure.
NODISCARD bool turnstile_enter(struct turnstile *turnstile, int64_t limit_ms, struct err *err);
void turnstile_leave(struct turnstile *turnstile);

// As db_sqlite_read_writers.
NODISCARD bool turnstile_read(const char *path, struct db_writer ret_writers[DB_WRITERS],
                              struct err *err);
