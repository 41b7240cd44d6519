// SPDX-License-Identifier: Apache-2.0
// JSON lines: one object per row with the asked keys in the asked order, null for what is missing.
// Numbers are exact; times are milliseconds; arrays and maps are text that holds JSON.
#include "base/check.h"
#include "base/json_text.h"
#include "base/number.h"
#include "encode/text_rows.h"

#define ENCODER_JSON_KEY_BYTES_MAX ((size_t)16 * 1024)

struct encoder_json {
    struct encoder base;
    struct text_rows rows;
    struct buf *keys; // per column: `{"name":` or `,"name":`
    size_t row_bytes; // of the longest row without its texts: keys, numbers and separators
};

static struct encoder *encoder_json_create(const struct encoder_spec *spec)
{
    struct encoder_json *json = mem_alloc(sizeof *json);
    json->keys = mem_alloc_array(spec->column_count, sizeof *json->keys);
    json->row_bytes = 2;
    for (size_t i = 0; i < spec->column_count; i++) {
        struct buf *key = &json->keys[i];
        buf_init(key, ENCODER_JSON_KEY_BYTES_MAX);
        buf_append_char(key, i == 0 ? '{' : ',');
        json_text_append_quoted(key, slice_text(spec->columns[i].name));
        buf_append_char(key, ':');
        json->row_bytes += key->size_bytes + NUMBER_CHARS_MAX;
    }
    return &json->base;
}

static char *encoder_json_put_escaped(char *at, struct slice text)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    const uint8_t *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++) {
        const uint8_t byte = bytes[i];
        if (byte >= ' ' && byte != '"' && byte != '\\') {
            *at++ = (char)byte;
            continue;
        }
        *at++ = '\\';
        if (byte >= ' ') {
            *at++ = (char)byte;
        } else if (byte < sizeof letters && letters[byte] != '\0') {
            *at++ = letters[byte];
        } else {
            memcpy(at, "u00", 3);
            at[3] = digits[byte >> 4];
            at[4] = digits[byte & 15];
            at += 5;
        }
    }
    return at;
}

// at has room for 6 * size + 2 bytes.
static inline char *encoder_json_put_text(char *at, struct slice text)
{
    *at++ = '"';
    if (text_rows_copy(at, text, '\\'))
        at = encoder_json_put_escaped(at, text);
    else
        at += text.size_bytes;
    *at++ = '"';
    return at;
}

// at has room for row_bytes; so has the result.
static inline char *encoder_json_put_value(struct encoder_json *json, char *at,
                                           const struct batch_column *column, size_t row)
{
    switch (column->type) {
    case FIELD_INT64:
    case FIELD_TIME:
        return at + number_format_int64(batch_int64(column, row), at);
    case FIELD_DOUBLE:
        return text_rows_format_double(at, batch_double(column, row), "null");
    case FIELD_BOOL:
        return text_rows_format_bool(at, batch_bool(column, row));
    case FIELD_TEXT:
    case FIELD_JSON: {
        const struct slice text = batch_text(column, row);
        at = text_rows_room(&json->rows, at, 6 * text.size_bytes + 2 + json->row_bytes);
        return encoder_json_put_text(at, text);
    }
    }
    ASSERT(false);
    return at;
}

static void encoder_json_append_row(struct encoder *encoder, const struct batch *batch, size_t row)
{
    struct encoder_json *json = (struct encoder_json *)encoder;
    char *at = text_rows_reserve(&json->rows, json->row_bytes);
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct buf *key = &json->keys[i];
        memcpy(at, key->data, key->size_bytes);
        at += key->size_bytes;
        if (batch_is_valid(&batch->columns[i], row)) {
            at = encoder_json_put_value(json, at, &batch->columns[i], row);
        } else {
            memcpy(at, "null", 4);
            at += 4;
        }
    }
    memcpy(at, "}\n", 2);
    text_rows_end(&json->rows, at + 2);
}

static bool encoder_json_begin(struct encoder *encoder, struct err *err)
{
    const struct encoder_json *json = (const struct encoder_json *)encoder;
    for (size_t i = 0; i < encoder->spec->column_count; i++)
        TRY(buf_check(&json->keys[i], err));
    return true;
}

static bool encoder_json_write(struct encoder *encoder, const struct batch *batch, size_t first_row,
                               size_t row_count, uint64_t limit_bytes, size_t *ret_row_count,
                               struct err *err)
{
    const struct text_rows_range range = {batch, first_row, row_count, limit_bytes};
    return text_rows_write(&((struct encoder_json *)encoder)->rows, encoder, &range,
                           encoder_json_append_row, ret_row_count, err);
}

static bool encoder_json_finish(struct encoder *encoder, struct err *err)
{
    return text_rows_flush(&((struct encoder_json *)encoder)->rows, encoder, err);
}

static void encoder_json_free(struct encoder *encoder)
{
    struct encoder_json *json = (struct encoder_json *)encoder;
    for (size_t i = 0; i < encoder->spec->column_count; i++)
        buf_clear(&json->keys[i]);
    mem_free(json->keys);
    text_rows_clear(&json->rows);
    mem_free(json);
}

const struct encoder_ops encoder_json_ops = {
    .name = "json-1",
    .create = encoder_json_create,
    .begin = encoder_json_begin,
    .write = encoder_json_write,
    .finish = encoder_json_finish,
    .free = encoder_json_free,
};
