// SPDX-License-Identifier: Apache-2.0
#include "encode/text_rows.h"

#include <math.h>

#include "base/check.h"
#include "base/number.h"

#define TEXT_ROWS_FLUSH_BYTES ((size_t)256 * 1024)

void text_rows_clear(struct text_rows *rows)
{
    mem_free(rows->data);
    *rows = (struct text_rows){0};
}

void text_rows_grow(struct text_rows *rows, size_t size_bytes)
{
    size_t capacity = rows->capacity_bytes == 0 ? 2 * TEXT_ROWS_FLUSH_BYTES : rows->capacity_bytes;
    while (capacity - rows->size_bytes < size_bytes)
        capacity *= 2;
    rows->data = mem_resize(rows->data, capacity);
    rows->capacity_bytes = capacity;
}

char *text_rows_format_double(char *at, double value, const char *instead)
{
    if (isfinite(value))
        return at + number_format_double(value, at);
    const struct slice text = slice_text(instead);
    memcpy(at, text.data, text.size_bytes);
    return at + text.size_bytes;
}

bool text_rows_flush(struct text_rows *rows, struct encoder *encoder, struct err *err)
{
    TRY(sink_write(encoder->next, slice_of(rows->data, rows->size_bytes), err));
    rows->size_bytes = 0;
    return true;
}

bool text_rows_write(struct text_rows *rows, struct encoder *encoder,
                     const struct text_rows_range *range,
                     void (*append_row)(struct encoder *encoder, const struct batch *batch,
                                        size_t row),
                     size_t *ret_row_count, struct err *err)
{
    size_t count = 0;
    do {
        const size_t size_before = rows->size_bytes;
        append_row(encoder, range->batch, range->first_row + count);
        ASSERT(rows->size_bytes > size_before);
        encoder->byte_count += rows->size_bytes - size_before;
        count++;
        if (rows->size_bytes >= TEXT_ROWS_FLUSH_BYTES)
            TRY(text_rows_flush(rows, encoder, err));
    } while (count < range->row_count && encoder->byte_count < range->limit_bytes);
    *ret_row_count = count;
    return true;
}
