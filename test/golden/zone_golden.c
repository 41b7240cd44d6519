// SPDX-License-Identifier: Apache-2.0
// Answers questions about time zones, for zone_golden.test.mjs, which asks somebody else as well.
//
// Each line of the input is "ZONE INSTANT_MS". Each line of the output is "OFFSET_MS FIRST_MS
// LAST_MS": the zone's offset at the instant, and the first and the last instant that show the same
// local time; or "unknown", if this machine has no such zone.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/zone.h"

int main(void)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    char name[ZONE_NAME_CHARS_MAX + 1] = "";
    char loaded[ZONE_NAME_CHARS_MAX + 1] = "";
    const struct zone *zone = NULL; // of the name in loaded; NULL if there is none
    int64_t time_ms = 0;
    while (scanf("%64s %" SCNd64, name, &time_ms) == 2) {
        struct err err = {0};
        if (strcmp(name, loaded) != 0) {
            zone = NULL;
            if (!zone_load(ZONE_DIRECTORY, slice_text(name), &arena, &zone, &err) &&
                err.kind != ERR_INVALID) {
                (void)fprintf(stderr, "%s: %s\n", name, err.message);
                return 1;
            }
            memcpy(loaded, name, sizeof loaded);
        }
        if (zone == NULL) {
            (void)printf("unknown\n");
            continue;
        }
        const int64_t offset_ms = zone_offset_ms(zone, time_ms);
        const struct civil local = civil_from_ms(time_ms + offset_ms);
        (void)printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", offset_ms,
                     zone_local_to_ms(zone, local, ZONE_PICK_FIRST),
                     zone_local_to_ms(zone, local, ZONE_PICK_LAST));
    }
    return 0;
}
