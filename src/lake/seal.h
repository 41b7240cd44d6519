// SPDX-License-Identifier: Apache-2.0
// Sealing: closed log files become segments. Runs in a worker process that holds the "seal" right.
// A step takes at most step_bytes of log, sorts its rows by (topic, app, time, seq), writes a
// Parquet segment per topic and hour (small ones share a spill segment; at most 64 files), reads
// them back and compares hashes, then commits them in one catalog transaction. A step that dies
// leaves only files that nobody lists; the next one starts from the seal point.
#pragma once

#include "base/clock.h"
#include "catalog/catalog.h"

struct seal_config {
    const char *data_directory;
    const struct clock *clock;
    int64_t step_bytes;    // 64 MiB
    int64_t own_file_rows; // hours with at least so many rows get their own segment
    int64_t file_limit;    // 64
};

// One step. *ret_sealed false: nothing to seal. CORRUPT: the log file is damaged and has been
// marked.
NODISCARD bool seal_step(const struct seal_config *config, struct catalog *catalog,
                         bool *ret_sealed, struct err *err);
