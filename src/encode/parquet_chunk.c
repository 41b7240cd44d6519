// SPDX-License-Identifier: Apache-2.0
// A data page before compression:
//
//   4 bytes   size of the levels
//   levels    a bit per row, 1: has a value (parquet_levels.h)
//   values    of rows that have one: PLAIN, or a byte of bit width and dictionary entries
//
// Pages begin at rows that are multiples of eight, so levels are cut from the bitmap at whole
// bytes.
#include "encode/parquet_chunk.h"

#include <string.h>

#include "base/check.h"
#include "encode/parquet_format.h"
#include "encode/parquet_levels.h"
#include "encode/parquet_thrift.h"

#define PARQUET_PAGE_ROWS_MAX  ((size_t)40960) // a third of a full row group
#define PARQUET_PAGE_BYTES     ((size_t)1024 * 1024)
#define PARQUET_PAGE_BYTES_MAX ((size_t)INT32_MAX) // sizes in page headers are 32 bits
_Static_assert(PARQUET_PAGE_ROWS_MAX % 8 == 0, "pages begin at whole bytes of the bitmap");

enum parquet_page_type {
    PARQUET_PAGE_DATA = 0,
    PARQUET_PAGE_DICTIONARY = 2,
};

void parquet_output_init(struct parquet_output *output, enum encoder_codec codec)
{
    *output = (struct parquet_output){.codec = page_codec_new(codec)};
    buf_init(&output->page, PARQUET_PAGE_BYTES_MAX);
    buf_init(&output->header, 4096);
}

void parquet_output_clear(struct parquet_output *output)
{
    page_codec_free(&output->codec);
    buf_clear(&output->page);
    buf_clear(&output->header);
}

bool parquet_output_write(struct parquet_output *output, struct slice bytes, struct err *err)
{
    TRY(sink_write(output->next, bytes, err));
    output->offset_bytes += bytes.size_bytes;
    return true;
}

struct parquet_page {
    enum parquet_page_type type;
    size_t value_count; // of a data page: rows; of a dictionary: entries
    enum parquet_encoding encoding;
};

static void parquet_page_header(struct buf *header, const struct parquet_page *page,
                                size_t plain_bytes, size_t stored_bytes)
{
    struct parquet_thrift thrift;
    buf_reset(header);
    parquet_thrift_init(&thrift, header);
    parquet_thrift_open_element(&thrift);
    parquet_thrift_i32(&thrift, 1, (int32_t)page->type);
    parquet_thrift_i32(&thrift, 2, (int32_t)plain_bytes);
    parquet_thrift_i32(&thrift, 3, (int32_t)stored_bytes);
    parquet_thrift_open_field(&thrift, page->type == PARQUET_PAGE_DATA ? 5 : 7);
    parquet_thrift_i32(&thrift, 1, (int32_t)page->value_count);
    parquet_thrift_i32(&thrift, 2, (int32_t)page->encoding);
    if (page->type == PARQUET_PAGE_DATA) {
        parquet_thrift_i32(&thrift, 3, PARQUET_ENCODING_RLE); // definition levels
        parquet_thrift_i32(&thrift, 4, PARQUET_ENCODING_RLE); // repetition levels: there are none
    }
    parquet_thrift_close(&thrift);
    parquet_thrift_close(&thrift);
}

static bool parquet_page_write(struct parquet_output *output, const struct parquet_page *page,
                               struct slice plain, struct parquet_chunk *chunk, struct err *err)
{
    const struct slice stored = page_codec_compress(output->codec, plain);
    if (stored.size_bytes > PARQUET_PAGE_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "a Parquet page is larger than %zu bytes",
                       PARQUET_PAGE_BYTES_MAX);
    parquet_page_header(&output->header, page, plain.size_bytes, stored.size_bytes);
    TRY(buf_check(&output->header, err));
    TRY(parquet_output_write(output, buf_slice(&output->header), err));
    TRY(parquet_output_write(output, stored, err));
    chunk->plain_size_bytes += output->header.size_bytes + plain.size_bytes;
    chunk->stored_size_bytes += output->header.size_bytes + stored.size_bytes;
    return true;
}

// Where the next page begins, and after parquet_chunk_find_end, where it ends.
struct parquet_cursor {
    size_t row;
    size_t value;
    size_t plain_offset; // of PLAIN values
};

// Rows behind the last one have no bit set.
static size_t parquet_chunk_count_values(const struct parquet_column *column, size_t row,
                                         size_t row_count)
{
    const uint8_t *bytes = (const uint8_t *)column->validity + row / 8;
    size_t count = 0;
    for (size_t i = 0; i < (row_count + 7) / 8; i++)
        count += (size_t)__builtin_popcount(bytes[i]);
    return count;
}

static size_t parquet_chunk_text_size(const struct parquet_column *column, size_t offset,
                                      size_t value_count)
{
    const char *plain = column->plain.data + offset;
    size_t size_bytes = 0;
    for (size_t i = 0; i < value_count; i++) {
        uint32_t text_bytes;
        memcpy(&text_bytes, plain + size_bytes, sizeof text_bytes);
        size_bytes += sizeof text_bytes + text_bytes;
    }
    return size_bytes;
}

static size_t parquet_chunk_fixed_size(const struct parquet_column *column)
{
    return column->type == FIELD_BOOL ? 1 : sizeof(uint64_t);
}

// Texts are measured by eight rows, until they fill the page.
static struct parquet_cursor parquet_chunk_find_end(const struct parquet_column *column,
                                                    struct parquet_cursor start)
{
    const size_t left = column->row_count - start.row;
    const size_t row_limit = left < PARQUET_PAGE_ROWS_MAX ? left : PARQUET_PAGE_ROWS_MAX;
    const bool is_text = column->type == FIELD_TEXT || column->type == FIELD_JSON;
    struct parquet_cursor end = start;
    if (column->uses_dictionary || !is_text) {
        const size_t count = parquet_chunk_count_values(column, start.row, row_limit);
        end.row += row_limit;
        end.value += count;
        if (!column->uses_dictionary)
            end.plain_offset += count * parquet_chunk_fixed_size(column);
        return end;
    }
    while (end.row < start.row + row_limit &&
           end.plain_offset - start.plain_offset < PARQUET_PAGE_BYTES) {
        const size_t rest = start.row + row_limit - end.row;
        const size_t row_count = rest < 8 ? rest : 8;
        const size_t count = parquet_chunk_count_values(column, end.row, row_count);
        end.plain_offset += parquet_chunk_text_size(column, end.plain_offset, count);
        end.row += row_count;
        end.value += count;
    }
    return end;
}

static void parquet_chunk_append_levels(struct buf *page, const struct parquet_column *column,
                                        size_t row, size_t row_count)
{
    const uint32_t nothing = 0;
    const size_t start = page->size_bytes;
    buf_append(page, slice_of(&nothing, sizeof nothing));
    parquet_levels_append_bits(page, column->validity, row, row_count);
    if (page->overflowed)
        return;
    const uint32_t size_bytes = (uint32_t)(page->size_bytes - start - sizeof size_bytes);
    memcpy(page->data + start, &size_bytes, sizeof size_bytes);
}

static void parquet_chunk_append_bools(struct buf *page, const char *values, size_t count)
{
    for (size_t at = 0; at < count; at += 8) {
        unsigned bits = 0;
        for (size_t i = 0; i < 8 && at + i < count; i++)
            bits |= (unsigned)values[at + i] << i;
        buf_append_char(page, (char)bits);
    }
}

static void parquet_chunk_append_values(struct buf *page, const struct parquet_column *column,
                                        struct parquet_cursor start, struct parquet_cursor end)
{
    const size_t count = end.value - start.value;
    if (column->uses_dictionary) {
        const unsigned width = parquet_levels_width(column->dictionary.entry_count - 1);
        buf_append_char(page, (char)width);
        parquet_levels_append(page, column->indices + start.value, count, width);
        return;
    }
    if (count == 0)
        return;
    const char *plain = column->plain.data + start.plain_offset;
    if (column->type == FIELD_BOOL)
        parquet_chunk_append_bools(page, plain, count);
    else
        buf_append(page, slice_of(plain, end.plain_offset - start.plain_offset));
}

static bool parquet_chunk_write_dictionary(struct parquet_output *output,
                                           const struct parquet_column *column,
                                           struct parquet_chunk *chunk, struct err *err)
{
    const struct parquet_page page = {
        .type = PARQUET_PAGE_DICTIONARY,
        .value_count = column->dictionary.entry_count,
        .encoding = PARQUET_ENCODING_PLAIN,
    };
    chunk->has_dictionary = true;
    chunk->dictionary_offset = output->offset_bytes;
    return parquet_page_write(output, &page, buf_slice(&column->dictionary.bytes), chunk, err);
}

bool parquet_chunk_write(struct parquet_output *output, const struct parquet_column *column,
                         struct parquet_chunk *ret_chunk, struct err *err)
{
    struct parquet_chunk chunk = {.has_dictionary = false};
    ASSERT(column->row_count > 0);
    if (column->uses_dictionary)
        TRY(parquet_chunk_write_dictionary(output, column, &chunk, err));
    chunk.data_offset = output->offset_bytes;
    struct parquet_cursor start = {.row = 0};
    while (start.row < column->row_count) {
        const struct parquet_cursor end = parquet_chunk_find_end(column, start);
        const struct parquet_page page = {
            .type = PARQUET_PAGE_DATA,
            .value_count = end.row - start.row,
            .encoding = column->uses_dictionary ? PARQUET_ENCODING_RLE_DICTIONARY
                                                : PARQUET_ENCODING_PLAIN,
        };
        buf_reset(&output->page);
        parquet_chunk_append_levels(&output->page, column, start.row, end.row - start.row);
        parquet_chunk_append_values(&output->page, column, start, end);
        TRY(buf_check(&output->page, err));
        TRY(parquet_page_write(output, &page, buf_slice(&output->page), &chunk, err));
        start = end;
    }
    ASSERT(start.value == column->value_count);
    *ret_chunk = chunk;
    return true;
}
