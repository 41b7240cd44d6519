// SPDX-License-Identifier: Apache-2.0
// CSV by RFC 4180: header with the exact field names, LF line ends, UTF-8 without BOM, quotes only
// where needed and doubled inside. A missing value is empty, the empty string is `""`. Times are
// milliseconds.
#include "base/check.h"
#include "base/number.h"
#include "encode/text_rows.h"

struct encoder_csv {
    struct encoder base;
    struct text_rows rows;
    size_t row_bytes; // of the longest row without its texts: numbers and separators
};

static struct encoder *encoder_csv_create(const struct encoder_spec *spec)
{
    struct encoder_csv *csv = mem_alloc(sizeof *csv);
    csv->row_bytes = spec->column_count * (NUMBER_CHARS_MAX + 1) + 1;
    return &csv->base;
}

// Spreadsheets run text that starts like this as a formula. The apostrophe itself is in the list so
// that the guard can be undone: a leading apostrophe of the file is always ours.
static bool encoder_csv_is_formula(char first)
{
    return first == '=' || first == '+' || first == '-' || first == '@' || first == '\t' ||
           first == '\r' || first == '\'';
}

static char *encoder_csv_put_doubling(char *at, struct slice text)
{
    const char *bytes = slice_chars(text);
    const char *end = bytes + text.size_bytes;
    while (bytes < end) {
        const char *quote = memchr(bytes, '"', (size_t)(end - bytes));
        const char *stop = quote == NULL ? end : quote + 1;
        memcpy(at, bytes, (size_t)(stop - bytes));
        at += stop - bytes;
        if (quote != NULL)
            *at++ = '"';
        bytes = stop;
    }
    return at;
}

static char *encoder_csv_put_quoted(char *at, struct slice text, bool has_apostrophe)
{
    *at++ = '"';
    if (has_apostrophe)
        *at++ = '\'';
    at = encoder_csv_put_doubling(at, text);
    *at++ = '"';
    return at;
}

// at has room for 2 * size + 3 bytes.
static inline char *encoder_csv_put_text(char *at, struct slice text, bool has_guard)
{
    const bool has_apostrophe = has_guard && text.size_bytes > 0 &&
                                encoder_csv_is_formula(slice_chars(text)[0]);
    if (has_apostrophe)
        *at = '\'';
    char *start = at + (has_apostrophe ? 1 : 0);
    const bool is_special = text_rows_copy(start, text, ',');
    if (is_special || text.size_bytes == 0)
        return encoder_csv_put_quoted(at, text, has_apostrophe);
    return start + text.size_bytes;
}

// at has room for row_bytes; so has the result.
static inline char *encoder_csv_put_value(struct encoder_csv *csv, char *at,
                                          const struct batch_column *column, size_t row)
{
    switch (column->type) {
    case FIELD_INT64:
    case FIELD_TIME:
        return at + number_format_int64(batch_int64(column, row), at);
    case FIELD_DOUBLE:
        return text_rows_format_double(at, batch_double(column, row), "");
    case FIELD_BOOL:
        return text_rows_format_bool(at, batch_bool(column, row));
    case FIELD_TEXT:
    case FIELD_JSON: {
        const struct slice text = batch_text(column, row);
        at = text_rows_room(&csv->rows, at, 2 * text.size_bytes + 3 + csv->row_bytes);
        return encoder_csv_put_text(at, text, csv->base.spec->csv_formula_guard);
    }
    }
    ASSERT(false);
    return at;
}

static void encoder_csv_append_row(struct encoder *encoder, const struct batch *batch, size_t row)
{
    struct encoder_csv *csv = (struct encoder_csv *)encoder;
    char *at = text_rows_reserve(&csv->rows, csv->row_bytes);
    for (size_t i = 0; i < batch->column_count; i++) {
        if (i > 0)
            *at++ = ',';
        if (batch_is_valid(&batch->columns[i], row))
            at = encoder_csv_put_value(csv, at, &batch->columns[i], row);
    }
    *at++ = '\n';
    text_rows_end(&csv->rows, at);
}

static bool encoder_csv_begin(struct encoder *encoder, struct err *err)
{
    struct encoder_csv *csv = (struct encoder_csv *)encoder;
    const struct encoder_spec *spec = encoder->spec;
    for (size_t i = 0; i < spec->column_count; i++) {
        const struct slice name = slice_text(spec->columns[i].name);
        char *at = text_rows_reserve(&csv->rows, 2 * name.size_bytes + 4);
        if (i > 0)
            *at++ = ',';
        text_rows_end(&csv->rows, encoder_csv_put_text(at, name, false));
    }
    text_rows_put(&csv->rows, slice_of("\n", 1));
    encoder->byte_count += csv->rows.size_bytes;
    return text_rows_flush(&csv->rows, encoder, err);
}

static bool encoder_csv_write(struct encoder *encoder, const struct batch *batch, size_t first_row,
                              size_t row_count, uint64_t limit_bytes, size_t *ret_row_count,
                              struct err *err)
{
    const struct text_rows_range range = {batch, first_row, row_count, limit_bytes};
    return text_rows_write(&((struct encoder_csv *)encoder)->rows, encoder, &range,
                           encoder_csv_append_row, ret_row_count, err);
}

static bool encoder_csv_finish(struct encoder *encoder, struct err *err)
{
    return text_rows_flush(&((struct encoder_csv *)encoder)->rows, encoder, err);
}

static void encoder_csv_free(struct encoder *encoder)
{
    struct encoder_csv *csv = (struct encoder_csv *)encoder;
    text_rows_clear(&csv->rows);
    mem_free(csv);
}

const struct encoder_ops encoder_csv_ops = {
    .name = "csv-1",
    .create = encoder_csv_create,
    .begin = encoder_csv_begin,
    .write = encoder_csv_write,
    .finish = encoder_csv_finish,
    .free = encoder_csv_free,
};
