// SPDX-License-Identifier: Apache-2.0
// The distinct values of one column chunk, in the order in which they were first seen. Its bytes
// are the dictionary page, ready to be written. It gives up (put returns false) when it grows too
// large, when values hardly repeat, or when somebody has chosen values that collide; all of that is
// a function of the values alone. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

#define PARQUET_DICTIONARY_BYTES_MAX ((size_t)1024 * 1024)

struct parquet_dictionary {
    struct buf bytes; // PLAIN: 8 bytes each; of text, 4 bytes of size and the text
    bool is_text;
    uint32_t *offsets; // in bytes, of text entries
    size_t offset_capacity;
    uint32_t entry_count;
    uint32_t last;     // the entry that was used last: sorted rows repeat it
    uint64_t *slots;   // open addressing: hash << 32 | entry + 1; 0: free
    size_t slot_count; // a power of two, at least twice entry_count
};

void parquet_dictionary_init(struct parquet_dictionary *dictionary, bool is_text);
void parquet_dictionary_clear(struct parquet_dictionary *dictionary);
// Forgets the entries; keeps memory of usual size.
void parquet_dictionary_reset(struct parquet_dictionary *dictionary);

// value_count: how many were put before. False: given up, nothing was put.
bool parquet_dictionary_put_text(struct parquet_dictionary *dictionary, struct slice text,
                                 size_t value_count, uint32_t *ret_entry);
// The bits of an int64 or of a double.
bool parquet_dictionary_put_bits(struct parquet_dictionary *dictionary, uint64_t bits,
                                 size_t value_count, uint32_t *ret_entry);

// PLAIN bytes of one entry; valid until the next put.
struct slice parquet_dictionary_plain(const struct parquet_dictionary *dictionary, uint32_t entry);
