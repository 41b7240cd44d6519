// SPDX-License-Identifier: Apache-2.0
// Writes the pages of one column chunk: the dictionary page, then data pages (version 1) of at most
// so many rows and about so many bytes. One thread.
#pragma once

#include "base/err.h"
#include "base/sink.h"
#include "encode/page_codec.h"
#include "encode/parquet_column.h"

// Where a file's bytes go. The sink only appends, so offsets are counted here.
struct parquet_output {
    struct sink *next;
    uint64_t offset_bytes;
    struct page_codec *codec;
    struct buf page; // scratch of one page
    struct buf header;
};

// next is borrowed.
void parquet_output_init(struct parquet_output *output, enum encoder_codec codec);
void parquet_output_clear(struct parquet_output *output);
NODISCARD bool parquet_output_write(struct parquet_output *output, struct slice bytes,
                                    struct err *err);

// What the footer tells about a chunk.
struct parquet_chunk {
    bool has_dictionary;
    uint64_t dictionary_offset;
    uint64_t data_offset;
    uint64_t plain_size_bytes;  // of all pages before compression, with their headers
    uint64_t stored_size_bytes; // as in the file
};

// The column is settled and has rows.
NODISCARD bool parquet_chunk_write(struct parquet_output *output,
                                   const struct parquet_column *column,
                                   struct parquet_chunk *ret_chunk, struct err *err);
