// SPDX-License-Identifier: Apache-2.0
// The data directory: its layout is known here alone.
//
//     milkrun.db   the catalog (and its turnstile and journal files)
//     keys/        url.key: what signed URLs rest on
//                  secrets.key: what secrets in the catalog are sealed with
//     log/         the ingest log          lake/     segments
//     exports/     the hosted bucket       spool/    files for other places, until they are there
//     tmp/         spill space, emptied at start
//     lock         held by the one `milkrun serve` of the directory
//     node_id      a name that stays
// Upholds INV-18 (docs/invariants.md).
#pragma once

#include "base/arena.h"
#include "base/cipher.h"
#include "base/err.h"

#define DATA_URL_KEY_BYTES   ((size_t)32)
#define DATA_SECRET_KEYS_MAX ((size_t)16)

struct data_directory {
    const char *path;
    const char *catalog_path;
    const char *exports_path;
    const char *spool_path;
    const char *temp_path;
    const char *node_id;
    uint8_t url_key[DATA_URL_KEY_BYTES];
    struct cipher_key secret_keys[DATA_SECRET_KEYS_MAX]; // the first one seals, all open
    size_t secret_key_count;                             // 0 until data_directory_load_secrets
    int lock_fd;
};

// Makes the directories, keys and node id below path, which must not exist. Not yet the catalog.
NODISCARD bool data_directory_create(const char *path, struct err *err);

// Checks that it is one and reads the key of URLs. Texts live in arena. Does not lock.
NODISCARD bool data_directory_open(const char *path, struct arena *arena,
                                   struct data_directory *ret_data, struct err *err);

// Waits up to wait_ms for a server that is just ending. CONFLICT when another one has it. Kept
// until the process and its children end.
NODISCARD bool data_directory_lock(struct data_directory *data, int64_t wait_ms, struct err *err);

// Reads keys/secrets.key: a key in hexadecimal digits on each line. Makes one when the file is
// missing, as it is in the directories of older versions; so only once the directory is locked.
// DENIED: others may read it; CORRUPT.
NODISCARD bool data_directory_load_secrets(struct data_directory *data, struct err *err);

// Removes every file below path: what a killed process left in tmp/.
NODISCARD bool data_directory_empty(const char *path, struct err *err);
