// SPDX-License-Identifier: Apache-2.0
// Hours and days of UTC, [start, end). Pure arithmetic.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum cadence {
    CADENCE_HOURLY,
    CADENCE_DAILY,
};

const char *cadence_name(enum cadence cadence); // "hourly", "daily"
bool cadence_parse(struct slice name, enum cadence *ret_cadence);
int64_t cadence_ms(enum cadence cadence);

// Start of the window that holds the instant.
int64_t window_start_of(enum cadence cadence, int64_t time_ms);
bool window_is_edge(enum cadence cadence, int64_t time_ms);
// Start of the first window that ends after the instant (a window that ends at it has ended).
int64_t window_first_ending_after(enum cadence cadence, int64_t time_ms);
// Start of the last window that has ended at or before the instant.
int64_t window_last_complete(enum cadence cadence, int64_t time_ms);
