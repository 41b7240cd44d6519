// SPDX-License-Identifier: Apache-2.0
#include "encode/parquet_column.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "encode/parquet_levels.h"

// Buffers beyond this are given back after a row group, so that columns which are large in turn do
// not add up.
#define PARQUET_COLUMN_BYTES_KEPT ((size_t)4 * 1024 * 1024)

static bool parquet_column_is_text(const struct parquet_column *column)
{
    return column->type == FIELD_TEXT || column->type == FIELD_JSON;
}

void parquet_column_init(struct parquet_column *column, enum field_type type)
{
    *column = (struct parquet_column){.type = type, .uses_dictionary = type != FIELD_BOOL};
    parquet_dictionary_init(&column->dictionary, parquet_column_is_text(column));
    buf_init(&column->plain, SIZE_MAX / 2); // bounded by the size of row groups
    column->validity = mem_alloc_array(PARQUET_GROUP_ROWS_MAX / 64, sizeof column->validity[0]);
}

void parquet_column_clear(struct parquet_column *column)
{
    parquet_dictionary_clear(&column->dictionary);
    buf_clear(&column->plain);
    mem_free(column->validity);
    mem_free(column->indices);
    *column = (struct parquet_column){.type = column->type};
}

void parquet_column_reset(struct parquet_column *column)
{
    parquet_dictionary_reset(&column->dictionary);
    if (column->plain.capacity_bytes > PARQUET_COLUMN_BYTES_KEPT)
        buf_clear(&column->plain);
    buf_reset(&column->plain);
    memset(column->validity, 0, PARQUET_GROUP_ROWS_MAX / 8);
    column->uses_dictionary = column->type != FIELD_BOOL;
    column->row_count = 0;
    column->value_count = 0;
    column->plain_bytes = 0;
}

// 64 bits of the validity, of rows from `row` on; those behind the last row are of no meaning.
static uint64_t parquet_column_validity_word(const struct batch_column *values, size_t row,
                                             size_t count)
{
    if (values->validity == NULL)
        return UINT64_MAX;
    const unsigned shift = (unsigned)(row % 64);
    uint64_t word = values->validity[row / 64] >> shift;
    if (shift > 0 && count > 64 - shift)
        word |= values->validity[row / 64 + 1] << (64 - shift);
    return word;
}

// Appends the bits, and lists the rows of the batch that hold values. Returns how many do.
static size_t parquet_column_append_validity(struct parquet_column *column,
                                             const struct batch_column *values, size_t first,
                                             size_t count,
                                             uint32_t ret_rows[PARQUET_PIECE_ROWS_MAX])
{
    size_t valid_count = 0;
    for (size_t done = 0; done < count; done += 64) {
        const size_t part = count - done < 64 ? count - done : 64;
        uint64_t word = parquet_column_validity_word(values, first + done, part);
        if (part < 64)
            word &= (UINT64_C(1) << part) - 1;
        const size_t at = column->row_count + done;
        column->validity[at / 64] |= word << (at % 64);
        if (at % 64 > 0 && part > 64 - at % 64)
            column->validity[at / 64 + 1] |= word >> (64 - at % 64);
        const uint32_t row = (uint32_t)(first + done);
        if (word == UINT64_MAX) {
            for (uint32_t bit = 0; bit < 64; bit++)
                ret_rows[valid_count++] = row + bit;
            continue;
        }
        for (; word != 0; word &= word - 1)
            ret_rows[valid_count++] = row + (uint32_t)__builtin_ctzll(word);
    }
    return valid_count;
}

// --- PLAIN

static char *parquet_column_reserve(struct parquet_column *column, size_t size_bytes)
{
    char *room = buf_reserve(&column->plain, size_bytes);
    ASSERT(room != NULL); // LIMIT was checked where rows are measured
    return room;
}

static void parquet_column_append_plain_text(struct parquet_column *column,
                                             const struct batch_column *values,
                                             const uint32_t *rows, size_t count)
{
    size_t size_bytes = 0;
    for (size_t i = 0; i < count; i++)
        size_bytes += sizeof(uint32_t) + batch_text(values, rows[i]).size_bytes;
    char *room = parquet_column_reserve(column, size_bytes);
    for (size_t i = 0; i < count; i++) {
        const struct slice text = batch_text(values, rows[i]);
        const uint32_t text_bytes = (uint32_t)text.size_bytes;
        memcpy(room, &text_bytes, sizeof text_bytes);
        if (text_bytes > 0)
            memcpy(room + sizeof text_bytes, text.data, text_bytes);
        room += sizeof text_bytes + text_bytes;
    }
    buf_advance(&column->plain, size_bytes);
}

static void parquet_column_append_plain_bits(struct parquet_column *column,
                                             const struct batch_column *values,
                                             const uint32_t *rows, size_t count)
{
    const uint64_t *bits = values->values; // of int64_t or double
    char *room = parquet_column_reserve(column, count * sizeof bits[0]);
    for (size_t i = 0; i < count; i++)
        memcpy(room + i * sizeof bits[0], &bits[rows[i]], sizeof bits[0]);
    buf_advance(&column->plain, count * sizeof bits[0]);
}

static void parquet_column_append_plain_bools(struct parquet_column *column,
                                              const struct batch_column *values,
                                              const uint32_t *rows, size_t count)
{
    char *room = parquet_column_reserve(column, count);
    for (size_t i = 0; i < count; i++)
        room[i] = batch_bool(values, rows[i]) ? 1 : 0;
    buf_advance(&column->plain, count);
}

static void parquet_column_append_plain(struct parquet_column *column,
                                        const struct batch_column *values, const uint32_t *rows,
                                        size_t count)
{
    switch (column->type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        parquet_column_append_plain_text(column, values, rows, count);
        return;
    case FIELD_INT64:
    case FIELD_DOUBLE:
    case FIELD_TIME:
        parquet_column_append_plain_bits(column, values, rows, count);
        return;
    case FIELD_BOOL:
        parquet_column_append_plain_bools(column, values, rows, count);
        return;
    }
}

// --- Dictionary

// The values so far become PLAIN bytes.
static void parquet_column_leave_dictionary(struct parquet_column *column, size_t value_count)
{
    const struct parquet_dictionary *dictionary = &column->dictionary;
    ASSERT(column->plain.size_bytes == 0);
    size_t size_bytes = 0;
    for (size_t i = 0; i < value_count; i++)
        size_bytes += parquet_dictionary_plain(dictionary, column->indices[i]).size_bytes;
    char *room = parquet_column_reserve(column, size_bytes);
    for (size_t i = 0; i < value_count; i++) {
        const struct slice plain = parquet_dictionary_plain(dictionary, column->indices[i]);
        memcpy(room, plain.data, plain.size_bytes);
        room += plain.size_bytes;
    }
    buf_advance(&column->plain, size_bytes);
    column->uses_dictionary = false;
}

static void parquet_column_reserve_indices(struct parquet_column *column, size_t count)
{
    const size_t needed = column->value_count + count;
    if (needed <= column->index_capacity)
        return;
    size_t capacity = column->index_capacity == 0 ? PARQUET_PIECE_ROWS_MAX : column->index_capacity;
    while (capacity < needed)
        capacity *= 2;
    column->indices = mem_resize(column->indices, capacity * sizeof column->indices[0]);
    column->index_capacity = capacity;
}

// Returns how many values the dictionary took; fewer than count when it gave up.
static size_t parquet_column_append_text(struct parquet_column *column,
                                         const struct batch_column *values, const uint32_t *rows,
                                         size_t count)
{
    uint32_t *indices = column->indices + column->value_count;
    for (size_t i = 0; i < count; i++)
        if (!parquet_dictionary_put_text(&column->dictionary, batch_text(values, rows[i]),
                                         column->value_count + i, &indices[i]))
            return i;
    return count;
}

static size_t parquet_column_append_bits(struct parquet_column *column,
                                         const struct batch_column *values, const uint32_t *rows,
                                         size_t count)
{
    uint32_t *indices = column->indices + column->value_count;
    const uint64_t *bits = values->values; // of int64_t or double
    for (size_t i = 0; i < count; i++)
        if (!parquet_dictionary_put_bits(&column->dictionary, bits[rows[i]],
                                         column->value_count + i, &indices[i]))
            return i;
    return count;
}

static void parquet_column_append_values(struct parquet_column *column,
                                         const struct batch_column *values, const uint32_t *rows,
                                         size_t count)
{
    size_t taken = 0;
    if (column->uses_dictionary) {
        parquet_column_reserve_indices(column, count);
        taken = parquet_column_is_text(column)
                    ? parquet_column_append_text(column, values, rows, count)
                    : parquet_column_append_bits(column, values, rows, count);
        if (taken < count)
            parquet_column_leave_dictionary(column, column->value_count + taken);
    }
    if (taken < count)
        parquet_column_append_plain(column, values, rows + taken, count - taken);
}

static uint64_t parquet_column_measure(const struct parquet_column *column,
                                       const struct batch_column *values, const uint32_t *rows,
                                       size_t count)
{
    if (column->type == FIELD_BOOL)
        return count;
    if (!parquet_column_is_text(column))
        return count * sizeof(uint64_t);
    uint64_t size_bytes = count * sizeof(uint32_t);
    for (size_t i = 0; i < count; i++)
        size_bytes += batch_text(values, rows[i]).size_bytes;
    return size_bytes;
}

void parquet_column_append(struct parquet_column *column, const struct batch_column *values,
                           size_t first, size_t count)
{
    uint32_t rows[PARQUET_PIECE_ROWS_MAX];
    ASSERT(values->type == column->type);
    ASSERT(count <= PARQUET_PIECE_ROWS_MAX);
    ASSERT(column->row_count + count <= PARQUET_GROUP_ROWS_MAX);
    const size_t valid_count = parquet_column_append_validity(column, values, first, count, rows);
    parquet_column_append_values(column, values, rows, valid_count);
    column->plain_bytes += parquet_column_measure(column, values, rows, valid_count);
    column->row_count += count;
    column->value_count += valid_count;
}

void parquet_column_settle(struct parquet_column *column)
{
    if (!column->uses_dictionary)
        return;
    if (column->value_count == 0) {
        column->uses_dictionary = false;
        return;
    }
    const uint64_t width = parquet_levels_width(column->dictionary.entry_count - 1);
    const uint64_t dictionary_bytes = column->dictionary.bytes.size_bytes +
                                      (column->value_count * width + 7) / 8;
    if (dictionary_bytes >= column->plain_bytes)
        parquet_column_leave_dictionary(column, column->value_count);
}
