// SPDX-License-Identifier: Apache-2.0
// The values of one column of the row group that is being filled: which rows are null, and the
// values as indices into a dictionary or as PLAIN bytes. One thread.
#pragma once

#include "encode/parquet_dictionary.h"
#include "model/batch.h"

#define PARQUET_GROUP_ROWS_MAX ((size_t)122880)
// Rows that are appended at once.
#define PARQUET_PIECE_ROWS_MAX ((size_t)2048)

struct parquet_column {
    enum field_type type;
    bool uses_dictionary;
    size_t row_count;
    size_t value_count;   // rows that are not null
    uint64_t plain_bytes; // of all values in PLAIN (of booleans, a byte each)
    uint64_t *validity;   // a bit per row; room for a full group
    uint32_t *indices;    // of values, while uses_dictionary
    size_t index_capacity;
    struct parquet_dictionary dictionary;
    struct buf plain; // otherwise; of booleans, a byte each
};

void parquet_column_init(struct parquet_column *column, enum field_type type);
void parquet_column_clear(struct parquet_column *column);
// For the next row group.
void parquet_column_reset(struct parquet_column *column);

// Rows [first, first + count) of the batch's column; count is at most PARQUET_PIECE_ROWS_MAX, and
// the group has room for them.
void parquet_column_append(struct parquet_column *column, const struct batch_column *values,
                           size_t first, size_t count);

// After the last row: leaves a dictionary that costs more than it saves.
void parquet_column_settle(struct parquet_column *column);

// Smallest and largest value in PLAIN (text without its size). False when there is none to tell:
// no values, a NaN among them, or text beyond 64 bytes. The texts point into the column.
struct parquet_range {
    struct slice min;
    struct slice max;
    char min_room[sizeof(uint64_t)];
    char max_room[sizeof(uint64_t)];
};
bool parquet_column_range(const struct parquet_column *column, struct parquet_range *ret_range);
