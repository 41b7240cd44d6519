// SPDX-License-Identifier: Apache-2.0
// Whether the wall clock may be believed by those who delete. It must have moved like the machine's
// boot clock since the last look (both are kept in the catalog). A jump of over an hour stops
// deletion, of export files and of events, until an operator accepts the clock; a reboot, over
// which the boot clock says nothing, may skip up to 30 days forward.
// Upholds INV-17 (docs/invariants.md).
#pragma once

#include "base/clock.h"
#include "catalog/catalog.h"

struct clock_guard {
    const struct clock *clock;
    const char *boot_id; // of the running kernel
};

// *ret_jump_ms: how far the clock is from where it should be; 0: it is believed, and this look is
// kept.
NODISCARD bool clock_guard_look(const struct clock_guard *guard, struct catalog *catalog,
                                int64_t *ret_jump_ms, struct err *err);

// The operator's word that the wall clock is right now.
NODISCARD bool clock_guard_accept(const struct clock_guard *guard, struct catalog *catalog,
                                  struct err *err);

// The kernel's boot id; lives in arena.
NODISCARD bool clock_guard_read_boot_id(struct arena *arena, const char **ret_boot_id,
                                        struct err *err);
