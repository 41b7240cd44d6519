// SPDX-License-Identifier: Apache-2.0
#include "encode/text_rows.h"

#include <math.h>

#include "base/check.h"
#include "base/number.h"

#define TEXT_ROWS_FLUSH_BYTES ((size_t)256 * 1024)

typedef uint8_t text_rows_lanes __attribute__((vector_size(16)));

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

void text_rows_put_int64(struct text_rows *rows, int64_t value)
{
    char *at = text_rows_reserve(rows, NUMBER_CHARS_MAX);
    text_rows_end(rows, at + number_format_int64(value, at));
}

void text_rows_put_double(struct text_rows *rows, double value, const char *instead)
{
    if (!isfinite(value)) {
        text_rows_put(rows, slice_text(instead));
        return;
    }
    char *at = text_rows_reserve(rows, NUMBER_CHARS_MAX);
    text_rows_end(rows, at + number_format_double(value, at));
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

bool text_rows_is_special(struct slice text, char other)
{
    const uint8_t *bytes = text.data;
    size_t i = 0;
    text_rows_lanes found = {0};
    for (; i + sizeof found <= text.size_bytes; i += sizeof found) {
        text_rows_lanes lanes;
        memcpy(&lanes, bytes + i, sizeof lanes);
        found |= (text_rows_lanes)(lanes < ' ') | (text_rows_lanes)(lanes == '"') |
                 (text_rows_lanes)(lanes == (uint8_t)other);
    }
    uint64_t halves[2];
    memcpy(halves, &found, sizeof halves);
    bool is_special = (halves[0] | halves[1]) != 0;
    for (; i < text.size_bytes; i++)
        is_special |= bytes[i] < ' ' || bytes[i] == '"' || bytes[i] == (uint8_t)other;
    return is_special;
}
