// SPDX-License-Identifier: Apache-2.0
// Rows to bytes: CSV (RFC 4180), JSON lines, Parquet. Pushed batch by batch into a sink that the
// encoder owns. The bytes depend on the rows alone, not on how they are cut into batches. One
// thread.
// Upholds INV-5 (docs/invariants.md).
#pragma once

#include "base/err.h"
#include "base/sink.h"
#include "model/batch.h"

enum encoder_format {
    ENCODER_CSV,
    ENCODER_JSON,
    ENCODER_PARQUET,
};

enum encoder_codec { // inside Parquet only
    ENCODER_CODEC_NONE,
    ENCODER_CODEC_GZIP,
    ENCODER_CODEC_SNAPPY,
    ENCODER_CODEC_ZSTD,
};

struct encoder_spec {
    enum encoder_format format;
    enum encoder_codec codec;
    const struct column *columns; // outlive the encoder
    size_t column_count;
    bool csv_formula_guard; // a leading apostrophe before text that starts with = + - @ TAB CR or '
};

struct encoder;

// Takes next, also on failure. Writes the header, if the format has one.
NODISCARD bool encoder_open(const struct encoder_spec *spec, struct sink *next,
                            struct encoder **ret_encoder, struct err *err);

// Writes rows from first_row on, at most row_count, and stops after the row with which the encoded
// size reaches limit_bytes (encoder_byte_count), so that files split at the same row whatever the
// batches are; at least one row is written. *ret_row_count says how many.
NODISCARD bool encoder_write(struct encoder *encoder, const struct batch *batch, size_t first_row,
                             size_t row_count, uint64_t limit_bytes, size_t *ret_row_count,
                             struct err *err);

// Uncompressed encoded bytes so far: for text what was written, for Parquet the plain size of
// values.
uint64_t encoder_byte_count(const struct encoder *encoder);
uint64_t encoder_row_count(const struct encoder *encoder);

// Writes footers and finishes the sink chain. Exactly once.
NODISCARD bool encoder_finish(struct encoder *encoder, struct err *err);
// Without finish: aborts the chain.
void encoder_free(struct encoder **encoder);

// Version of the bytes, part of a recipe: "csv-1", "json-1", "parquet-1".
const char *encoder_id(enum encoder_format format);
