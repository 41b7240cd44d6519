// SPDX-License-Identifier: Apache-2.0
// Rows on their way from a source to an encoder: up to a few thousand, column by column. The layout
// of a column is that of the engine's vectors, so that scans are not copied: validity is a bit per
// row (1: not null), text is 16 bytes per row with short texts inline. A batch is a view: who made
// it says how long it lives.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "model/field.h"

#define BATCH_TEXT_INLINE_BYTES 12

struct batch_text {
    uint32_t size_bytes;
    char head[4]; // first bytes, also of longer texts
    union {
        char tail[8];     // of texts up to 12 bytes: they go on here
        const char *data; // of longer ones: all bytes
    } rest;
};
_Static_assert(sizeof(struct batch_text) == 16, "layout of the engine's strings");
_Static_assert(offsetof(struct batch_text, rest) == 8, "layout of the engine's strings");

struct batch_column {
    enum field_type type;
    // One bit per row, least significant first; NULL: no nulls.
    const uint64_t *validity;
    // INT64, TIME: int64_t[]; DOUBLE: double[]; BOOL: bool[] (one byte); TEXT, JSON: struct
    // batch_text[].
    const void *values;
};

struct batch {
    size_t row_count;
    size_t column_count;
    const struct batch_column *columns;
};

static inline bool batch_is_valid(const struct batch_column *column, size_t row)
{
    return column->validity == NULL || ((column->validity[row / 64] >> (row % 64)) & 1) != 0;
}

static inline int64_t batch_int64(const struct batch_column *column, size_t row)
{
    return ((const int64_t *)column->values)[row];
}

static inline double batch_double(const struct batch_column *column, size_t row)
{
    return ((const double *)column->values)[row];
}

static inline bool batch_bool(const struct batch_column *column, size_t row)
{
    return ((const uint8_t *)column->values)[row] != 0;
}

// Points into the batch's own memory.
static inline struct slice batch_text(const struct batch_column *column, size_t row)
{
    const struct batch_text *text = &((const struct batch_text *)column->values)[row];
    if (text->size_bytes <= BATCH_TEXT_INLINE_BYTES)
        return slice_of((const char *)text + offsetof(struct batch_text, head), text->size_bytes);
    return slice_of(text->rest.data, text->size_bytes);
}

// data must outlive the result when it is longer than 12 bytes.
struct batch_text batch_text_of(struct slice data);

// A growing batch for those who make rows one value at a time (seal, memory source, tests). Every
// column gets exactly one value per row, in any order, then batch_builder_end_row.
struct batch_builder;
struct batch_builder *batch_builder_new(const struct column *columns, size_t column_count,
                                        size_t row_capacity);
void batch_builder_free(struct batch_builder **builder);
void batch_builder_reset(struct batch_builder *builder);
// A column that gets no value in a row is null there.
void batch_builder_set_int64(struct batch_builder *builder, size_t column, int64_t value);
void batch_builder_set_double(struct batch_builder *builder, size_t column, double value);
void batch_builder_set_bool(struct batch_builder *builder, size_t column, bool value);
void batch_builder_set_text(struct batch_builder *builder, size_t column,
                            struct slice value); // copies
void batch_builder_end_row(struct batch_builder *builder);
bool batch_builder_is_full(const struct batch_builder *builder);
size_t batch_builder_row_count(const struct batch_builder *builder);
// Valid until the next reset, set or free.
const struct batch *batch_builder_batch(struct batch_builder *builder);
