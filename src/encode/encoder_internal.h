// SPDX-License-Identifier: Apache-2.0
// For those who implement an encoder. The wrappers in encoder.c check order, counts and results.
#pragma once

#include "encode/encoder.h"

struct encoder_ops {
    const char *name; // the encoder id
    // Required. Allocates; base.next is set by the wrapper afterwards; may not write.
    struct encoder *(*create)(const struct encoder_spec *spec);
    // Required. Called once before any row: headers.
    bool (*begin)(struct encoder *encoder, struct err *err);
    // Required. Contract of encoder_write; keeps base.byte_count.
    bool (*write)(struct encoder *encoder, const struct batch *batch, size_t first_row,
                  size_t row_count, uint64_t limit_bytes, size_t *ret_row_count, struct err *err);
    // Required. Flushes to base.next; the wrapper finishes the sink.
    bool (*finish)(struct encoder *encoder, struct err *err);
    // Required. Frees itself, not base.next.
    void (*free)(struct encoder *encoder);
};

struct encoder {
    const struct encoder_ops *ops;
    const struct encoder_spec *spec; // the wrapper's own copy, set before begin
    struct encoder_spec spec_copy;
    struct sink *next;
    uint64_t byte_count;
    uint64_t row_count;
    bool is_finished;
    bool has_failed;
};

extern const struct encoder_ops encoder_csv_ops;
extern const struct encoder_ops encoder_json_ops;
extern const struct encoder_ops encoder_parquet_ops;
