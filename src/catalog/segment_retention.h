// SPDX-License-Identifier: Apache-2.0
// What leaves the lake, and what is known of it afterwards. For the holder of the "compact" right;
// anybody may ask for floors.
#pragma once

#include "catalog/segments.h"

// Segments whose rows were all ingested before the cut are dropped; then files of
// dropped or replaced segments without pins are deleted and forgotten. What is still to be exported
// stays: rows of hours in windows that a PENDING or ACTIVE subscription will get, that a job is not
// final for, or that wait for a late revision.
struct segment_drop {
    int64_t created_before_ms;
    int64_t now_ms; // the dropped segments count as retired now
    int64_t limit;
};
// At most limit, and fewer when they have many slices; *ret_count 0: nothing was left to drop.
NODISCARD bool segment_drop_older(struct catalog *catalog, const struct segment_drop *drop,
                                  int64_t *ret_count, struct err *err);
// The largest seq of rows that retention dropped from the hours that [time_min_ms, time_max_ms)
// touches, of the topic and app; 0: none. wanted is as for segment_find, without seqs.
NODISCARD bool segment_floor(struct catalog *catalog, const struct segment_slice *wanted,
                             int64_t *ret_max_seq, struct err *err);
// Segments retired until now_ms without a pin that lasts beyond it; pass an earlier time for a
// grace.
NODISCARD bool segment_garbage(struct catalog *catalog, int64_t now_ms, int64_t limit,
                               struct arena *arena, struct segment **ret_segments,
                               size_t *ret_count, struct err *err);
// After its file is deleted. NOT_FOUND unless it is replaced or dropped.
NODISCARD bool segment_forget(struct catalog *catalog, int64_t id, struct err *err);
