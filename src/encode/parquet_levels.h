// SPDX-License-Identifier: Apache-2.0
// The run-length and bit-packing hybrid of Parquet: runs of one value, or groups of eight values
// packed least significant bit first. A head is a varint: run << 1, or groups << 1 | 1.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

// Bits that hold value; at least 1: readers disagree about width 0.
unsigned parquet_levels_width(uint32_t value);

// values below 1 << width, width 1 to 32.
void parquet_levels_append(struct buf *destination, const uint32_t *values, size_t count,
                           unsigned width);

// Width 1, from a bitmap (least significant bit first) beginning at its bit first, a multiple of 8.
// The bits behind the last one, up to the next multiple of 8, must be readable; what they hold is
// ignored.
void parquet_levels_append_bits(struct buf *destination, const uint64_t *bits, size_t first,
                                size_t count);
