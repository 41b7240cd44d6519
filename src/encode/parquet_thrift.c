// SPDX-License-Identifier: Apache-2.0
#include "encode/parquet_thrift.h"

#include "base/check.h"

void parquet_thrift_init(struct parquet_thrift *thrift, struct buf *destination)
{
    *thrift = (struct parquet_thrift){.destination = destination};
}

static void parquet_thrift_varint(struct parquet_thrift *thrift, uint64_t value)
{
    while (value >= 0x80) {
        buf_append_char(thrift->destination, (char)(value | 0x80));
        value >>= 7;
    }
    buf_append_char(thrift->destination, (char)value);
}

static void parquet_thrift_zigzag(struct parquet_thrift *thrift, int64_t value)
{
    const uint64_t sign = value < 0 ? UINT64_MAX : 0;
    parquet_thrift_varint(thrift, ((uint64_t)value << 1) ^ sign);
}

static void parquet_thrift_field(struct parquet_thrift *thrift, unsigned id,
                                 enum parquet_thrift_type type)
{
    ASSERT(thrift->depth > 0);
    unsigned *last_id = &thrift->last_ids[thrift->depth - 1];
    ASSERT(id > *last_id);
    ASSERT(id - *last_id <= 15); // the long form is never needed
    buf_append_char(thrift->destination, (char)((id - *last_id) << 4 | (unsigned)type));
    *last_id = id;
}

void parquet_thrift_open_element(struct parquet_thrift *thrift)
{
    ASSERT(thrift->depth < PARQUET_THRIFT_DEPTH_MAX);
    thrift->last_ids[thrift->depth] = 0;
    thrift->depth++;
}

void parquet_thrift_open_field(struct parquet_thrift *thrift, unsigned id)
{
    parquet_thrift_field(thrift, id, PARQUET_THRIFT_STRUCT);
    parquet_thrift_open_element(thrift);
}

void parquet_thrift_close(struct parquet_thrift *thrift)
{
    ASSERT(thrift->depth > 0);
    thrift->depth--;
    buf_append_char(thrift->destination, '\0');
}

void parquet_thrift_bool(struct parquet_thrift *thrift, unsigned id, bool value)
{
    parquet_thrift_field(thrift, id, value ? PARQUET_THRIFT_TRUE : PARQUET_THRIFT_FALSE);
}

void parquet_thrift_i32(struct parquet_thrift *thrift, unsigned id, int32_t value)
{
    parquet_thrift_field(thrift, id, PARQUET_THRIFT_I32);
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_i64(struct parquet_thrift *thrift, unsigned id, int64_t value)
{
    parquet_thrift_field(thrift, id, PARQUET_THRIFT_I64);
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_binary(struct parquet_thrift *thrift, unsigned id, struct slice value)
{
    parquet_thrift_field(thrift, id, PARQUET_THRIFT_BINARY);
    parquet_thrift_binary_element(thrift, value);
}

void parquet_thrift_list(struct parquet_thrift *thrift, unsigned id,
                         enum parquet_thrift_type element_type, size_t count)
{
    parquet_thrift_field(thrift, id, PARQUET_THRIFT_LIST);
    if (count < 15) {
        buf_append_char(thrift->destination, (char)(count << 4 | (size_t)element_type));
        return;
    }
    buf_append_char(thrift->destination, (char)(0xF0u | (unsigned)element_type));
    parquet_thrift_varint(thrift, count);
}

void parquet_thrift_i32_element(struct parquet_thrift *thrift, int32_t value)
{
    parquet_thrift_zigzag(thrift, value);
}

void parquet_thrift_binary_element(struct parquet_thrift *thrift, struct slice value)
{
    parquet_thrift_varint(thrift, value.size_bytes);
    buf_append(thrift->destination, value);
}
