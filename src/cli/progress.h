// SPDX-License-Identifier: Apache-2.0
// A progress bar on standard error when that is a terminal; nothing otherwise.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *name;
    uint64_t total_bytes;
    int64_t started_ms;
    int64_t shown_ms;
    bool is_shown;
};

void progress_start(struct progress *progress, const char *name, uint64_t total_bytes);
void progress_show(struct progress *progress, uint64_t done_bytes, int64_t event_count);
void progress_end(struct progress *progress);
