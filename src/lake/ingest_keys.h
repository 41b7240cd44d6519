// SPDX-License-Identifier: Apache-2.0
// Idempotency keys of batches that are in the log and not sealed yet: a table in memory, rebuilt by
// recovery. For one thread.
// Upholds INV-15 (docs/invariants.md).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slice.h"

struct ingest_key {
    struct ingest_key *next;
    uint8_t scope[SHA256_BYTES];
    uint8_t body_sha256[SHA256_BYTES];
    char *answer;
    int64_t expires_at_ms;
    int64_t file_id; // of the log file that holds the batch
    bool is_pending; // its batch is in the group that is being written
};

struct ingest_keys {
    struct ingest_key **buckets;
    size_t bucket_count; // a power of two
    size_t count;
    int64_t byte_count; // about what the table takes
};

void ingest_keys_init(struct ingest_keys *keys);
void ingest_keys_clear(struct ingest_keys *keys);

// NULL when there is none. Valid until it is removed.
struct ingest_key *ingest_keys_find(struct ingest_keys *keys, const uint8_t scope[SHA256_BYTES]);
// A scope that is there is replaced.
struct ingest_key *ingest_keys_add(struct ingest_keys *keys, const uint8_t scope[SHA256_BYTES],
                                   const uint8_t body_sha256[SHA256_BYTES], struct slice answer);
void ingest_keys_remove(struct ingest_keys *keys, const uint8_t scope[SHA256_BYTES]);
// Forgets what is in sealed files (the catalog knows those keys) and what has expired.
void ingest_keys_drop(struct ingest_keys *keys, int64_t sealed_file_id, int64_t now_ms);
