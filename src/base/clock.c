// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <time.h>

#include "base/check.h"

static int64_t clock_read_ms(clockid_t id)
{
    struct timespec time;
    const int failed = clock_gettime(id, &time);
    ASSERT(failed == 0);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t clock_system_wall_ms(const struct clock *clock)
{
    (void)clock;
    return clock_read_ms(CLOCK_REALTIME);
}

static int64_t clock_system_boot_ms(const struct clock *clock)
{
    (void)clock;
    return clock_read_ms(CLOCK_BOOTTIME);
}

const struct clock *clock_system(void)
{
    static const struct clock system_clock = {clock_system_wall_ms, clock_system_boot_ms};
    return &system_clock;
}

int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

int64_t clock_boot_ms(const struct clock *clock)
{
    return clock->boot_ms(clock);
}

static int64_t clock_fixed_wall_ms(const struct clock *clock)
{
    return ((const struct clock_fixed *)clock)->now_wall_ms;
}

static int64_t clock_fixed_boot_ms(const struct clock *clock)
{
    return ((const struct clock_fixed *)clock)->now_boot_ms;
}

void clock_fixed_init(struct clock_fixed *clock, int64_t wall_ms, int64_t boot_ms)
{
    *clock = (struct clock_fixed){
        .base = {clock_fixed_wall_ms, clock_fixed_boot_ms},
        .now_wall_ms = wall_ms,
        .now_boot_ms = boot_ms,
    };
}
