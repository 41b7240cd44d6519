// SPDX-License-Identifier: Apache-2.0
#include "catalog/clock_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define CLOCK_GUARD_JUMP_MS       INT64_C(3600000)
#define CLOCK_GUARD_REBOOT_GAP_MS (INT64_C(30) * 86400000)
#define CLOCK_GUARD_VALUE         "retention_clock" // "<wall ms> <boot ms> <boot id>"

struct clock_guard_reading {
    int64_t wall_ms;
    int64_t boot_ms;
    char boot_id[64];
};

static void clock_guard_read(const struct clock_guard *guard, struct clock_guard_reading *ret_clock)
{
    *ret_clock = (struct clock_guard_reading){
        .wall_ms = clock_wall_ms(guard->clock),
        .boot_ms = clock_boot_ms(guard->clock),
    };
    (void)snprintf(ret_clock->boot_id, sizeof ret_clock->boot_id, "%s", guard->boot_id);
}

static bool clock_guard_save(const struct clock_guard_reading *now, struct catalog *catalog,
                             struct err *err)
{
    char text[160];
    (void)snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %s", now->wall_ms, now->boot_ms,
                   now->boot_id);
    return catalog_set_value(catalog, CLOCK_GUARD_VALUE, text, err);
}

// *ret_jump_ms: how far the wall clock is from where it should be, 0 inside what is tolerated.
static bool clock_guard_measure(const struct clock_guard_reading *now, struct catalog *catalog,
                                int64_t *ret_jump_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *text = NULL;
    *ret_jump_ms = 0;
    if (!catalog_get_value(catalog, CLOCK_GUARD_VALUE, &arena, &text, err))
        return err->kind == ERR_NOT_FOUND; // the first sweep has nothing to compare with
    struct clock_guard_reading last = {0};
    if (sscanf(text, "%" SCNd64 " %" SCNd64 " %63s", &last.wall_ms, &last.boot_ms, last.boot_id) !=
        3)
        return err_set(err, ERR_CORRUPT, "catalog value " CLOCK_GUARD_VALUE);
    const int64_t moved_ms = now->wall_ms - last.wall_ms;
    if (strcmp(last.boot_id, now->boot_id) == 0) {
        const int64_t jump_ms = moved_ms - (now->boot_ms - last.boot_ms);
        if (llabs(jump_ms) > CLOCK_GUARD_JUMP_MS)
            *ret_jump_ms = jump_ms;
    } else if (moved_ms < -CLOCK_GUARD_JUMP_MS || moved_ms > CLOCK_GUARD_REBOOT_GAP_MS) {
        *ret_jump_ms = moved_ms;
    }
    return true;
}

bool clock_guard_look(const struct clock_guard *guard, struct catalog *catalog,
                      int64_t *ret_jump_ms, struct err *err)
{
    struct clock_guard_reading now;
    clock_guard_read(guard, &now);
    int64_t jump_ms = 0;
    TRY(clock_guard_measure(&now, catalog, &jump_ms, err));
    if (jump_ms == 0)
        TRY(clock_guard_save(&now, catalog, err));
    *ret_jump_ms = jump_ms;
    return true;
}

bool clock_guard_accept(const struct clock_guard *guard, struct catalog *catalog, struct err *err)
{
    struct clock_guard_reading now;
    clock_guard_read(guard, &now);
    return clock_guard_save(&now, catalog, err);
}

bool clock_guard_read_boot_id(struct arena *arena, const char **ret_boot_id, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 256);
    TRY(file_read("/proc/sys/kernel/random/boot_id", &text, err));
    const size_t size = strcspn(buf_text(&text), "\n");
    *ret_boot_id = arena_copy_slice(arena, slice_of(buf_text(&text), size));
    return true;
}
