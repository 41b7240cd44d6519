// SPDX-License-Identifier: Apache-2.0
// What the text formats share: composing rows in a block of memory that goes to the sink when it is
// full, stopping at the exact row where a file is to be split, and finding bytes that need care.
// Private to this folder.
#pragma once

#include <string.h>

#include "base/mem.h"
#include "encode/encoder_internal.h"

struct text_rows {
    char *data;
    size_t size_bytes;
    size_t capacity_bytes;
};

void text_rows_clear(struct text_rows *rows);

void text_rows_grow(struct text_rows *rows, size_t size_bytes);

// Room for size_bytes at the end; valid until the next call. Write there, then text_rows_end.
static inline char *text_rows_reserve(struct text_rows *rows, size_t size_bytes)
{
    if (rows->capacity_bytes - rows->size_bytes < size_bytes)
        text_rows_grow(rows, size_bytes);
    return rows->data + rows->size_bytes;
}

// end: one past the last byte that was written.
static inline void text_rows_end(struct text_rows *rows, const char *end)
{
    rows->size_bytes = (size_t)(end - rows->data);
}

static inline void text_rows_put(struct text_rows *rows, struct slice text)
{
    char *at = text_rows_reserve(rows, text.size_bytes);
    memcpy(at, text.data, text.size_bytes);
    text_rows_end(rows, at + text.size_bytes);
}

void text_rows_put_int64(struct text_rows *rows, int64_t value);
// What is not finite has no text of its own: instead is put. It cannot come from ingest.
void text_rows_put_double(struct text_rows *rows, double value, const char *instead);

// Hands what is composed to the encoder's sink.
NODISCARD bool text_rows_flush(struct text_rows *rows, struct encoder *encoder, struct err *err);

// The loop of encoder_ops.write: append_row composes one row.
struct text_rows_range {
    const struct batch *batch;
    size_t first_row;
    size_t row_count;
    uint64_t limit_bytes;
};
NODISCARD bool text_rows_write(struct text_rows *rows, struct encoder *encoder,
                               const struct text_rows_range *range,
                               void (*append_row)(struct encoder *encoder,
                                                  const struct batch *batch, size_t row),
                               size_t *ret_row_count, struct err *err);

// Whether text has a control character (below space), a quote, or `other`. 16 bytes at a time.
bool text_rows_is_special(struct slice text, char other);
