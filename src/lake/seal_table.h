// SPDX-License-Identifier: Apache-2.0
// Finding things by hash while sealing: positions in an array that the caller keeps and compares. A
// zeroed struct is an empty table. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct seal_table {
    uint64_t *slots; // hash << 32 | position + 1; 0: free
    size_t slot_count;
    size_t entry_count;
};

void seal_table_clear(struct seal_table *table);
void seal_table_add(struct seal_table *table, uint64_t hash, size_t position);
// The next candidate for hash; *cursor is 0 at first. False: no more.
bool seal_table_next(const struct seal_table *table, uint64_t hash, size_t *cursor,
                     size_t *ret_position);
uint64_t seal_hash(uint64_t hash, uint64_t word);
uint64_t seal_hash_text(struct slice text);
