// SPDX-License-Identifier: Apache-2.0
// The metadata at the end of a Parquet file: row groups as they are written, then the whole. One
// thread.
#pragma once

#include "encode/encoder.h"
#include "encode/parquet_chunk.h"

struct parquet_footer {
    struct buf groups; // row groups so far, as list elements
    size_t group_count;
    uint64_t row_count;
    enum encoder_codec codec;
};

void parquet_footer_init(struct parquet_footer *footer, enum encoder_codec codec);
void parquet_footer_clear(struct parquet_footer *footer);

// A row group of these columns, whose chunks were written.
void parquet_footer_add_group(struct parquet_footer *footer, const struct column *names,
                              const struct parquet_column *columns,
                              const struct parquet_chunk *chunks, size_t column_count);

// The whole tail of the file: metadata, its size, magic. LIMIT when it does not fit its 32-bit
// size.
NODISCARD bool parquet_footer_build(const struct parquet_footer *footer,
                                    const struct column *columns, size_t column_count,
                                    struct buf *destination, struct err *err);
