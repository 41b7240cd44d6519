// SPDX-License-Identifier: Apache-2.0
#include "encode/parquet_levels.h"

#include <string.h>

#include "base/check.h"

// A run shorter than this is cheaper inside packed groups.
#define PARQUET_LEVELS_RUN_MIN 8

unsigned parquet_levels_width(uint32_t value)
{
    return value == 0 ? 1 : 32 - (unsigned)__builtin_clz(value);
}

static void parquet_levels_head(struct buf *destination, uint64_t head)
{
    while (head >= 0x80) {
        buf_append_char(destination, (char)(head | 0x80));
        head >>= 7;
    }
    buf_append_char(destination, (char)head);
}

static void parquet_levels_run(struct buf *destination, uint32_t value, size_t count,
                               unsigned width)
{
    parquet_levels_head(destination, (uint64_t)count << 1);
    buf_append(destination, slice_of(&value, (width + 7) / 8)); // little-endian, as the machine
}

// The last group is filled with zeros.
static void parquet_levels_pack(struct buf *destination, const uint32_t *values, size_t count,
                                unsigned width)
{
    const size_t group_count = (count + 7) / 8;
    parquet_levels_head(destination, (uint64_t)group_count << 1 | 1);
    const size_t size_bytes = group_count * width;
    char *room = buf_reserve(destination, size_bytes + sizeof(uint64_t));
    if (room == NULL)
        return;
    uint64_t word = 0;
    unsigned bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)values[i] << bit_count;
        bit_count += width;
        if (bit_count >= 32) {
            memcpy(room + at, &word, 4);
            at += 4;
            word >>= 32;
            bit_count -= 32;
        }
    }
    memset(room + at, 0, size_bytes + sizeof(uint64_t) - at);
    memcpy(room + at, &word, sizeof word);
    buf_advance(destination, size_bytes);
}

static size_t parquet_levels_run_length(const uint32_t *values, size_t count)
{
    size_t length = 1;
    while (length < count && values[length] == values[0])
        length++;
    return length;
}

// Values that wait to be packed begin at `packed`; a run may begin only where their groups are
// full, so that it gives up its first values to the group before it when need be.
void parquet_levels_append(struct buf *destination, const uint32_t *values, size_t count,
                           unsigned width)
{
    ASSERT(width >= 1);
    ASSERT(width <= 32);
    size_t packed = 0;
    size_t at = 0;
    while (at < count) {
        const size_t length = parquet_levels_run_length(values + at, count - at);
        const size_t given_up = (8 - (at - packed) % 8) % 8;
        if (length < given_up + PARQUET_LEVELS_RUN_MIN) {
            at += length;
            continue;
        }
        at += given_up;
        if (at > packed)
            parquet_levels_pack(destination, values + packed, at - packed, width);
        parquet_levels_run(destination, values[at], length - given_up, width);
        at += length - given_up;
        packed = at;
    }
    if (count > packed)
        parquet_levels_pack(destination, values + packed, count - packed, width);
}

// Bytes of the bitmap that are equal to the first one, when that is all zeros or all ones.
static size_t parquet_levels_byte_run(const uint8_t *bytes, size_t count)
{
    if (bytes[0] != 0x00 && bytes[0] != 0xFF)
        return 0;
    size_t length = 1;
    while (length < count && bytes[length] == bytes[0])
        length++;
    return length;
}

static void parquet_levels_pack_bytes(struct buf *destination, const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return;
    parquet_levels_head(destination, (uint64_t)count << 1 | 1);
    buf_append(destination, slice_of(bytes, count));
}

// The bitmap's bytes are packed groups already. A last group that is not full is packed, with the
// bits that do not count cleared.
void parquet_levels_append_bits(struct buf *destination, const uint64_t *bits, size_t first,
                                size_t count)
{
    ASSERT(first % 8 == 0);
    const uint8_t *bytes = (const uint8_t *)bits + first / 8;
    const size_t full_count = count / 8;
    size_t packed = 0;
    size_t at = 0;
    while (at < full_count) {
        const size_t length = parquet_levels_byte_run(bytes + at, full_count - at);
        if (length < 2) {
            at++;
            continue;
        }
        parquet_levels_pack_bytes(destination, bytes + packed, at - packed);
        parquet_levels_run(destination, bytes[at] & 1, length * 8, 1);
        at += length;
        packed = at;
    }
    parquet_levels_pack_bytes(destination, bytes + packed, full_count - packed);
    if (count % 8 != 0) {
        const uint8_t last = (uint8_t)(bytes[full_count] & ((1u << (count % 8)) - 1));
        parquet_levels_pack_bytes(destination, &last, 1);
    }
}
