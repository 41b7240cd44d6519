// SPDX-License-Identifier: Apache-2.0
// Smallest and largest value of a column chunk, for readers that skip row groups. A dictionary
// holds every value, so its entries are looked at instead.
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "encode/parquet_column.h"

#define PARQUET_RANGE_TEXT_MAX ((size_t)64)

static struct slice parquet_range_values(const struct parquet_column *column)
{
    return buf_slice(column->uses_dictionary ? &column->dictionary.bytes : &column->plain);
}

static void parquet_range_set_bits(struct parquet_range *range, const void *min, const void *max)
{
    memcpy(range->min_room, min, sizeof range->min_room);
    memcpy(range->max_room, max, sizeof range->max_room);
    range->min = slice_of(range->min_room, sizeof range->min_room);
    range->max = slice_of(range->max_room, sizeof range->max_room);
}

static bool parquet_range_int64(struct slice values, struct parquet_range *ret_range)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (size_t at = 0; at < values.size_bytes; at += sizeof(int64_t)) {
        int64_t value;
        memcpy(&value, slice_chars(values) + at, sizeof value);
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    parquet_range_set_bits(ret_range, &min, &max);
    return true;
}

// Zeros compare equal whatever their sign: the format wants a range that holds both.
static bool parquet_range_double(struct slice values, struct parquet_range *ret_range)
{
    double min = INFINITY;
    double max = -INFINITY;
    for (size_t at = 0; at < values.size_bytes; at += sizeof(double)) {
        double value;
        memcpy(&value, slice_chars(values) + at, sizeof value);
        if (isnan(value))
            return false;
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    if (fpclassify(min) == FP_ZERO)
        min = -0.0;
    if (fpclassify(max) == FP_ZERO)
        max = 0.0;
    parquet_range_set_bits(ret_range, &min, &max);
    return true;
}

static bool parquet_range_bool(struct slice values, struct parquet_range *ret_range)
{
    ret_range->min_room[0] = memchr(values.data, 0, values.size_bytes) != NULL ? 0 : 1;
    ret_range->max_room[0] = memchr(values.data, 1, values.size_bytes) != NULL ? 1 : 0;
    ret_range->min = slice_of(ret_range->min_room, 1);
    ret_range->max = slice_of(ret_range->max_room, 1);
    return true;
}

static bool parquet_range_text(struct slice values, struct parquet_range *ret_range)
{
    struct slice min = slice_of(NULL, 0);
    struct slice max = slice_of(NULL, 0);
    bool is_first = true;
    for (size_t at = 0; at < values.size_bytes;) {
        uint32_t size_bytes;
        memcpy(&size_bytes, slice_chars(values) + at, sizeof size_bytes);
        const struct slice text = slice_part(values, at + sizeof size_bytes, size_bytes);
        if (is_first || slice_compare(text, min) < 0)
            min = text;
        if (is_first || slice_compare(text, max) > 0)
            max = text;
        is_first = false;
        at += sizeof size_bytes + size_bytes;
    }
    ret_range->min = min;
    ret_range->max = max;
    return min.size_bytes <= PARQUET_RANGE_TEXT_MAX && max.size_bytes <= PARQUET_RANGE_TEXT_MAX;
}

bool parquet_column_range(const struct parquet_column *column, struct parquet_range *ret_range)
{
    if (column->value_count == 0)
        return false;
    const struct slice values = parquet_range_values(column);
    switch (column->type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        return parquet_range_text(values, ret_range);
    case FIELD_INT64:
    case FIELD_TIME:
        return parquet_range_int64(values, ret_range);
    case FIELD_DOUBLE:
        return parquet_range_double(values, ret_range);
    case FIELD_BOOL:
        return parquet_range_bool(values, ret_range);
    }
    check_failed("a type without an order", __FILE__, __LINE__);
    return false;
}
