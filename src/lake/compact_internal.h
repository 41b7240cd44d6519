// SPDX-License-Identifier: Apache-2.0
// Between the files that serve compact.h.
#pragma once

#include "catalog/segments.h"
#include "engine/duckdb.h"
#include "lake/compact.h"

struct compact_merge {
    const char *data_directory;
    struct engine *engine;
    const struct segment *segments; // verified
    size_t segment_count;
    const char *path; // of the result, relative; its directory exists
};

// Writes the rows of all segments, sorted, into one new file and reads it back; *ret_segment
// describes it, its texts and slices in arena. On failure no file is left. CORRUPT when rows are
// lost, come twice, or are not what the catalog says of their segment.
NODISCARD bool compact_merge(const struct compact_merge *merge, struct arena *arena,
                             struct segment *ret_segment, struct err *err);
