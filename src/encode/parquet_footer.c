// SPDX-License-Identifier: Apache-2.0
// Field numbers are those of the format's specification (parquet.thrift), named in comments.
#include "encode/parquet_footer.h"

#include "base/check.h"
#include "encode/parquet_format.h"
#include "encode/parquet_thrift.h"

// Belongs to the bytes, so it changes with encoder_id and not with the program's version: a recipe
// that is repeated after an upgrade gives the same file.
#define PARQUET_CREATED_BY   "milkrun version 1.0.0 (build parquet-1)"
#define PARQUET_FOOTER_BYTES ((size_t)INT32_MAX)

enum parquet_type { // of values as stored
    PARQUET_TYPE_BOOLEAN = 0,
    PARQUET_TYPE_INT64 = 2,
    PARQUET_TYPE_DOUBLE = 5,
    PARQUET_TYPE_BYTE_ARRAY = 6,
};

enum parquet_converted_type { // what they mean, for old readers
    PARQUET_CONVERTED_UTF8 = 0,
    PARQUET_CONVERTED_TIMESTAMP_MILLIS = 9,
};

enum parquet_logical_type { // and for new ones: fields of a union
    PARQUET_LOGICAL_STRING = 1,
    PARQUET_LOGICAL_TIMESTAMP = 8,
};

#define PARQUET_REPETITION_OPTIONAL 1
#define PARQUET_TIME_UNIT_MILLIS    1 // field of a union

static enum parquet_type parquet_footer_type(enum field_type type)
{
    switch (type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        return PARQUET_TYPE_BYTE_ARRAY;
    case FIELD_INT64:
    case FIELD_TIME:
        return PARQUET_TYPE_INT64;
    case FIELD_DOUBLE:
        return PARQUET_TYPE_DOUBLE;
    case FIELD_BOOL:
        return PARQUET_TYPE_BOOLEAN;
    }
    check_failed("a type without a place in the file", __FILE__, __LINE__);
    return PARQUET_TYPE_BYTE_ARRAY;
}

static int32_t parquet_footer_codec(enum encoder_codec codec)
{
    switch (codec) {
    case ENCODER_CODEC_NONE:
        return 0;
    case ENCODER_CODEC_SNAPPY:
        return 1;
    case ENCODER_CODEC_GZIP:
        return 2;
    case ENCODER_CODEC_ZSTD:
        return 6;
    }
    check_failed("a codec without a number", __FILE__, __LINE__);
    return 0;
}

void parquet_footer_init(struct parquet_footer *footer, enum encoder_codec codec)
{
    *footer = (struct parquet_footer){.codec = codec};
    buf_init(&footer->groups, PARQUET_FOOTER_BYTES);
}

void parquet_footer_clear(struct parquet_footer *footer)
{
    buf_clear(&footer->groups);
}

// Statistics
static void parquet_footer_statistics(struct parquet_thrift *thrift,
                                      const struct parquet_column *column)
{
    struct parquet_range range;
    const bool has_range = parquet_column_range(column, &range);
    parquet_thrift_open_field(thrift, 12);
    parquet_thrift_i64(thrift, 3, (int64_t)(column->row_count - column->value_count)); // null_count
    if (has_range) {
        parquet_thrift_binary(thrift, 5, range.max); // max_value
        parquet_thrift_binary(thrift, 6, range.min); // min_value
        parquet_thrift_bool(thrift, 7, true);        // is_max_value_exact
        parquet_thrift_bool(thrift, 8, true);        // is_min_value_exact
    }
    parquet_thrift_close(thrift);
}

static void parquet_footer_encodings(struct parquet_thrift *thrift,
                                     const struct parquet_chunk *chunk)
{
    parquet_thrift_list(thrift, 2, PARQUET_THRIFT_I32, chunk->has_dictionary ? 3 : 2);
    parquet_thrift_i32_element(thrift, PARQUET_ENCODING_PLAIN);
    parquet_thrift_i32_element(thrift, PARQUET_ENCODING_RLE);
    if (chunk->has_dictionary)
        parquet_thrift_i32_element(thrift, PARQUET_ENCODING_RLE_DICTIONARY);
}

// ColumnChunk and its ColumnMetaData
static void parquet_footer_chunk(struct parquet_thrift *thrift, enum encoder_codec codec,
                                 const char *name, const struct parquet_column *column,
                                 const struct parquet_chunk *chunk)
{
    const uint64_t offset = chunk->has_dictionary ? chunk->dictionary_offset : chunk->data_offset;
    parquet_thrift_open_element(thrift);
    parquet_thrift_i64(thrift, 2, (int64_t)offset); // file_offset
    parquet_thrift_open_field(thrift, 3);           // meta_data
    parquet_thrift_i32(thrift, 1, (int32_t)parquet_footer_type(column->type));
    parquet_footer_encodings(thrift, chunk);
    parquet_thrift_list(thrift, 3, PARQUET_THRIFT_BINARY, 1); // path_in_schema
    parquet_thrift_binary_element(thrift, slice_text(name));
    parquet_thrift_i32(thrift, 4, parquet_footer_codec(codec));
    parquet_thrift_i64(thrift, 5, (int64_t)column->row_count); // num_values, nulls included
    parquet_thrift_i64(thrift, 6, (int64_t)chunk->plain_size_bytes);
    parquet_thrift_i64(thrift, 7, (int64_t)chunk->stored_size_bytes);
    parquet_thrift_i64(thrift, 9, (int64_t)chunk->data_offset);
    if (chunk->has_dictionary)
        parquet_thrift_i64(thrift, 11, (int64_t)chunk->dictionary_offset);
    parquet_footer_statistics(thrift, column);
    parquet_thrift_close(thrift);
    parquet_thrift_close(thrift);
}

void parquet_footer_add_group(struct parquet_footer *footer, const struct column *names,
                              const struct parquet_column *columns,
                              const struct parquet_chunk *chunks, size_t column_count)
{
    uint64_t plain_bytes = 0;
    uint64_t stored_bytes = 0;
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, &footer->groups);
    parquet_thrift_open_element(&thrift);
    parquet_thrift_list(&thrift, 1, PARQUET_THRIFT_STRUCT, column_count);
    for (size_t i = 0; i < column_count; i++) {
        parquet_footer_chunk(&thrift, footer->codec, names[i].name, &columns[i], &chunks[i]);
        plain_bytes += chunks[i].plain_size_bytes;
        stored_bytes += chunks[i].stored_size_bytes;
    }
    parquet_thrift_i64(&thrift, 2, (int64_t)plain_bytes); // total_byte_size
    parquet_thrift_i64(&thrift, 3, (int64_t)columns[0].row_count);
    parquet_thrift_i64(&thrift, 6, (int64_t)stored_bytes); // total_compressed_size
    parquet_thrift_close(&thrift);
    footer->group_count++;
    footer->row_count += columns[0].row_count;
}

static void parquet_footer_logical_timestamp(struct parquet_thrift *thrift)
{
    parquet_thrift_open_field(thrift, PARQUET_LOGICAL_TIMESTAMP);
    parquet_thrift_bool(thrift, 1, true); // isAdjustedToUTC
    parquet_thrift_open_field(thrift, 2); // unit
    parquet_thrift_open_field(thrift, PARQUET_TIME_UNIT_MILLIS);
    parquet_thrift_close(thrift);
    parquet_thrift_close(thrift);
    parquet_thrift_close(thrift);
}

static void parquet_footer_meaning(struct parquet_thrift *thrift, enum field_type type)
{
    switch (type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        parquet_thrift_i32(thrift, 6, PARQUET_CONVERTED_UTF8);
        parquet_thrift_open_field(thrift, 10);
        parquet_thrift_open_field(thrift, PARQUET_LOGICAL_STRING);
        parquet_thrift_close(thrift);
        parquet_thrift_close(thrift);
        return;
    case FIELD_TIME:
        parquet_thrift_i32(thrift, 6, PARQUET_CONVERTED_TIMESTAMP_MILLIS);
        parquet_thrift_open_field(thrift, 10);
        parquet_footer_logical_timestamp(thrift);
        parquet_thrift_close(thrift);
        return;
    case FIELD_INT64:
    case FIELD_DOUBLE:
    case FIELD_BOOL:
        return;
    }
}

// SchemaElement: the root, then each column.
static void parquet_footer_schema(struct parquet_thrift *thrift, const struct column *columns,
                                  size_t column_count)
{
    parquet_thrift_list(thrift, 2, PARQUET_THRIFT_STRUCT, column_count + 1);
    parquet_thrift_open_element(thrift);
    parquet_thrift_binary(thrift, 4, slice_text("schema"));
    parquet_thrift_i32(thrift, 5, (int32_t)column_count); // num_children
    parquet_thrift_close(thrift);
    for (size_t i = 0; i < column_count; i++) {
        parquet_thrift_open_element(thrift);
        parquet_thrift_i32(thrift, 1, (int32_t)parquet_footer_type(columns[i].type));
        parquet_thrift_i32(thrift, 3, PARQUET_REPETITION_OPTIONAL);
        parquet_thrift_binary(thrift, 4, slice_text(columns[i].name));
        parquet_footer_meaning(thrift, columns[i].type);
        parquet_thrift_close(thrift);
    }
}

// ColumnOrder, TYPE_ORDER for each: readers ignore min_value and max_value without it.
static void parquet_footer_orders(struct parquet_thrift *thrift, size_t column_count)
{
    parquet_thrift_list(thrift, 7, PARQUET_THRIFT_STRUCT, column_count);
    for (size_t i = 0; i < column_count; i++) {
        parquet_thrift_open_element(thrift);
        parquet_thrift_open_field(thrift, 1);
        parquet_thrift_close(thrift);
        parquet_thrift_close(thrift);
    }
}

bool parquet_footer_build(const struct parquet_footer *footer, const struct column *columns,
                          size_t column_count, struct buf *destination, struct err *err)
{
    TRY(buf_check(&footer->groups, err));
    const size_t start = destination->size_bytes;
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, destination);
    parquet_thrift_open_element(&thrift);
    parquet_thrift_i32(&thrift, 1, 1); // version: data pages of version 1
    parquet_footer_schema(&thrift, columns, column_count);
    parquet_thrift_i64(&thrift, 3, (int64_t)footer->row_count);
    parquet_thrift_list(&thrift, 4, PARQUET_THRIFT_STRUCT, footer->group_count);
    buf_append(destination, buf_slice(&footer->groups));
    parquet_thrift_binary(&thrift, 6, slice_text(PARQUET_CREATED_BY));
    parquet_footer_orders(&thrift, column_count);
    parquet_thrift_close(&thrift);
    const uint32_t size_bytes = (uint32_t)(destination->size_bytes - start);
    buf_append(destination, slice_of(&size_bytes, sizeof size_bytes));
    buf_append(destination, slice_of(PARQUET_MAGIC, PARQUET_MAGIC_BYTES));
    return buf_check(destination, err);
}
