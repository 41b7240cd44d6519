// SPDX-License-Identifier: Apache-2.0
#include "base/slice.h"

int slice_compare(struct slice left, struct slice right)
{
    const size_t common = left.size_bytes < right.size_bytes ? left.size_bytes : right.size_bytes;
    const int order = common == 0 ? 0 : memcmp(left.data, right.data, common);
    if (order != 0)
        return order;
    return (left.size_bytes > right.size_bytes) - (left.size_bytes < right.size_bytes);
}

bool slice_equal_constant_time(struct slice left, struct slice right)
{
    if (left.size_bytes != right.size_bytes)
        return false;
    unsigned difference = 0;
    const uint8_t *left_bytes = left.data;
    const uint8_t *right_bytes = right.data;
    for (size_t i = 0; i < left.size_bytes; i++)
        difference |= (unsigned)(left_bytes[i] ^ right_bytes[i]);
    return difference == 0;
}
