// SPDX-License-Identifier: Apache-2.0
// Keeping the lake in shape, in a worker process that holds the "compact" right: merging the many
// small segments of a topic's hour into one, re-reading segments to find damage before a job does,
// and deleting the files of segments that nothing uses any more.
#pragma once

#include "base/clock.h"
#include "catalog/catalog.h"
#include "engine/duckdb.h"

struct compact_config {
    const char *data_directory;
    const struct clock *clock;
    int64_t crowd_threshold;  // more segments than this per topic and hour are merged: 8
    int64_t batch_limit;      // segments merged at once: 64
    int64_t garbage_grace_ms; // age of a replaced segment before its file goes
    int64_t retention_ms;     // of events, from ingest
};

// One merge. *ret_merged false: nothing is crowded. Segments that turn out to be damaged are marked
// in the catalog and left out; the step goes on with what is crowded then, and ends with CORRUPT
// and the reason, once per mark, so that a person hears of it.
NODISCARD bool compact_step(const struct compact_config *config, struct engine *engine,
                            struct catalog *catalog, bool *ret_merged, struct err *err);

// Drops what is older than retention, deletes unpinned files of dropped and replaced segments, and
// files in lake/ that the catalog does not list and that are older than the grace.
NODISCARD bool compact_collect(const struct compact_config *config, struct catalog *catalog,
                               int64_t *ret_deleted_count, struct err *err);

// CORRUPT unless the file's size and SHA-256 are those of the catalog; the message names the
// segment.
struct segment;
NODISCARD bool compact_verify_segment(const char *data_directory, const struct segment *segment,
                                      struct err *err);
