// SPDX-License-Identifier: Apache-2.0
// Time as a dependency, so that tests decide what time it is. Thread-safe.
#pragma once

#include <stdint.h>

struct clock {
    // Milliseconds since 1970-01-01 UTC.
    int64_t (*wall_ms)(const struct clock *clock);
    // Milliseconds since the machine started, sleep included; never steps back.
    int64_t (*boot_ms)(const struct clock *clock);
};

// The machine's clocks.
const struct clock *clock_system(void);

int64_t clock_wall_ms(const struct clock *clock);
int64_t clock_boot_ms(const struct clock *clock);

// A clock that shows what its owner sets.
struct clock_fixed {
    struct clock base;
    int64_t now_wall_ms;
    int64_t now_boot_ms;
};
void clock_fixed_init(struct clock_fixed *clock, int64_t wall_ms, int64_t boot_ms);
