// SPDX-License-Identifier: Apache-2.0
// The data directory: its layout is known here alone.
//
//     milkrun.db   the catalog (and its turnstile and journal files)
//     keys/        url.key: what signed URLs rest on
//     log/         the ingest log          lake/     segments
//     exports/     the hosted bucket       tmp/      spill space, emptied at start
//     lock         held by the one `milkrun serve` of the directory
//     node_id      a name that stays
// Upholds INV-18 (docs/invariants.md).
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define DATA_URL_KEY_BYTES ((size_t)32)

struct data_directory {
    const char *path;
    const char *catalog_path;
    const char *exports_path;
    const char *temp_path;
    const char *node_id;
    uint8_t url_key[DATA_URL_KEY_BYTES];
    int lock_fd;
};

// Makes the directories, keys and node id below path, which must not exist. Not yet the catalog.
NODISCARD bool data_directory_create(const char *path, struct err *err);

// Checks that it is one and reads the keys. Texts live in arena. Does not lock.
NODISCARD bool data_directory_open(const char *path, struct arena *arena,
                                   struct data_directory *ret_data, struct err *err);

// Waits up to wait_ms for a server that is just ending. CONFLICT when another one has it. Kept
// until the process and its children end.
NODISCARD bool data_directory_lock(struct data_directory *data, int64_t wait_ms, struct err *err);

// Removes every file below path: what a killed process left in tmp/.
NODISCARD bool data_directory_empty(const char *path, struct err *err);
