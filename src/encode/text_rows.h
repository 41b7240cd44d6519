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

// The same in the middle of composing: at is where the next byte goes, and what is before it stays.
static inline char *text_rows_room(struct text_rows *rows, char *at, size_t size_bytes)
{
    if ((size_t)(rows->data + rows->capacity_bytes - at) >= size_bytes)
        return at;
    rows->size_bytes = (size_t)(at - rows->data);
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

// At at, which has room for NUMBER_CHARS_MAX bytes; returns the end. What is not finite has no text
// of its own: instead is put. It cannot come from ingest.
char *text_rows_format_double(char *at, double value, const char *instead);

static inline char *text_rows_format_bool(char *at, bool value)
{
    const struct slice text = slice_text(value ? "true" : "false");
    memcpy(at, text.data, text.size_bytes);
    return at + text.size_bytes;
}

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

typedef uint8_t text_rows_lanes __attribute__((vector_size(16)));

static inline text_rows_lanes text_rows_special_lanes(text_rows_lanes lanes, char other)
{
    return (text_rows_lanes)(lanes < ' ') | (text_rows_lanes)(lanes == '"') |
           (text_rows_lanes)(lanes == (uint8_t)other);
}

static inline bool text_rows_has_lane(text_rows_lanes found)
{
    uint64_t halves[2];
    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

// Copies 1 to 15 bytes; returns all of them in lanes that hold nothing else but repetitions.
static inline text_rows_lanes text_rows_copy_short(char *at, const char *bytes, size_t size_bytes)
{
    uint64_t halves[2];
    if (size_bytes >= 8) {
        memcpy(&halves[0], bytes, 8);
        memcpy(&halves[1], bytes + size_bytes - 8, 8);
        memcpy(at, &halves[0], 8);
        memcpy(at + size_bytes - 8, &halves[1], 8);
    } else if (size_bytes >= 4) {
        uint32_t quarters[2];
        memcpy(&quarters[0], bytes, 4);
        memcpy(&quarters[1], bytes + size_bytes - 4, 4);
        memcpy(at, &quarters[0], 4);
        memcpy(at + size_bytes - 4, &quarters[1], 4);
        halves[0] = quarters[0] | (uint64_t)quarters[1] << 32;
        halves[1] = halves[0];
    } else {
        const uint8_t some[3] = {(uint8_t)bytes[0], (uint8_t)bytes[size_bytes / 2],
                                 (uint8_t)bytes[size_bytes - 1]};
        at[0] = (char)some[0];
        at[size_bytes / 2] = (char)some[1];
        at[size_bytes - 1] = (char)some[2];
        halves[0] = (some[0] * UINT64_C(0x0101010101010101) & ~UINT64_C(0xffff)) |
                    (uint64_t)some[1] << 8 | some[2];
        halves[1] = halves[0];
    }
    text_rows_lanes lanes;
    memcpy(&lanes, halves, sizeof lanes);
    return lanes;
}

// Copies text to at, and says whether it has a control character (below space), a quote, or
// `other`: one pass for the many texts that have none. 16 bytes at a time, the last ones
// overlapping.
static inline bool text_rows_copy(char *at, struct slice text, char other)
{
    const char *bytes = text.data;
    const size_t size_bytes = text.size_bytes;
    text_rows_lanes lanes;
    if (size_bytes == 0)
        return false;
    if (size_bytes < sizeof lanes) {
        lanes = text_rows_copy_short(at, bytes, size_bytes);
        return text_rows_has_lane(text_rows_special_lanes(lanes, other));
    }
    text_rows_lanes found = {0};
    for (size_t i = 0; i < size_bytes - sizeof lanes; i += sizeof lanes) {
        memcpy(&lanes, bytes + i, sizeof lanes);
        memcpy(at + i, &lanes, sizeof lanes);
        found |= text_rows_special_lanes(lanes, other);
    }
    memcpy(&lanes, bytes + size_bytes - sizeof lanes, sizeof lanes);
    memcpy(at + size_bytes - sizeof lanes, &lanes, sizeof lanes);
    found |= text_rows_special_lanes(lanes, other);
    return text_rows_has_lane(found);
}
