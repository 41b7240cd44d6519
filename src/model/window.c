// SPDX-License-Identifier: Apache-2.0
#include "model/window.h"

#include "base/check.h"
#include "base/civil.h"

const char *cadence_name(enum cadence cadence)
{
    switch (cadence) {
    case CADENCE_HOURLY:
        return "hourly";
    case CADENCE_DAILY:
        return "daily";
    }
    ASSERT(false);
    return NULL;
}

bool cadence_parse(struct slice name, enum cadence *ret_cadence)
{
    static const enum cadence cadences[] = {CADENCE_HOURLY, CADENCE_DAILY};
    for (size_t i = 0; i < ARRAY_COUNT(cadences); i++) {
        if (slice_equal_text(name, cadence_name(cadences[i]))) {
            *ret_cadence = cadences[i];
            return true;
        }
    }
    return false;
}

int64_t cadence_ms(enum cadence cadence)
{
    switch (cadence) {
    case CADENCE_HOURLY:
        return CIVIL_HOUR_MS;
    case CADENCE_DAILY:
        return CIVIL_DAY_MS;
    }
    ASSERT(false);
    return 0;
}

int64_t window_start_of(enum cadence cadence, int64_t time_ms)
{
    const int64_t length = cadence_ms(cadence);
    const int64_t past_edge = time_ms % length; // negative before 1970
    return time_ms - past_edge - (past_edge < 0 ? length : 0);
}

bool window_is_edge(enum cadence cadence, int64_t time_ms)
{
    return time_ms % cadence_ms(cadence) == 0;
}

int64_t window_first_ending_after(enum cadence cadence, int64_t time_ms)
{
    return window_start_of(cadence, time_ms);
}

int64_t window_last_complete(enum cadence cadence, int64_t time_ms)
{
    return window_start_of(cadence, time_ms) - cadence_ms(cadence);
}
