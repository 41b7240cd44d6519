// SPDX-License-Identifier: Apache-2.0
// Writes Parquet files and, beside each, what it holds as lines of JSON: the column names, the
// types, then each row with every value as text or null. parquet_golden.test.mjs reads the Parquet
// files with two readers that are not ours and compares.
//
// Usage: parquet_golden DIRECTORY
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/rng.h"
#include "encode/encoder.h"
#include "model/batch.h"

#define GOLDEN_BATCH_ROWS ((size_t)1000)

// Fills one row; what it does not set is null.
typedef void golden_fill(struct batch_builder *builder, size_t row, struct rng *rng);

struct golden_case {
    const char *name;
    const struct column *columns;
    size_t column_count;
    size_t row_count;
    golden_fill *fill;
    bool has_every_codec;
};

static const struct column columns_types[] = {
    {"text", FIELD_TEXT},    {"int", FIELD_INT64},         {"double", FIELD_DOUBLE},
    {"bool", FIELD_BOOL},    {"time", FIELD_TIME},         {"json", FIELD_JSON},
    {"nothing", FIELD_TEXT}, {"nothing_int", FIELD_INT64}, {"same", FIELD_TEXT},
    {"dense", FIELD_INT64},
};

static void fill_types(struct batch_builder *builder, size_t row, struct rng *rng)
{
    static const char *const texts[] = {
        "",
        "a",
        "twelve bytes",
        "thirteen byte",
        "h\xc3\xa9llo",
        "\xf0\x9f\xa5\x9b milk",
        "\"quoted\",\n\ttext",
        "a text that is longer than sixty-four bytes, so that no range can be told"};
    static const int64_t ints[] = {0, 1, -1, INT64_MAX, INT64_MIN, 9007199254740993, -42};
    static const double doubles[] = {0.0, -0.0, 0.1, -1.5, 1.7976931348623157e308, 5e-324, 3.0};
    static const int64_t times[] = {0, 1, -1, 1684454400123, 4102444800000, -2208988800000};
    if (rng_below(rng, 3) > 0)
        batch_builder_set_text(builder, 0, slice_text(texts[rng_below(rng, ARRAY_COUNT(texts))]));
    if (rng_below(rng, 4) > 0)
        batch_builder_set_int64(builder, 1, ints[rng_below(rng, ARRAY_COUNT(ints))]);
    if (rng_below(rng, 5) > 0)
        batch_builder_set_double(builder, 2, doubles[rng_below(rng, ARRAY_COUNT(doubles))]);
    if (rng_below(rng, 2) > 0)
        batch_builder_set_bool(builder, 3, rng_below(rng, 2) > 0);
    if (row % 100 < 50)
        batch_builder_set_int64(builder, 4, times[rng_below(rng, ARRAY_COUNT(times))]);
    if (row % 7 == 0)
        batch_builder_set_text(builder, 5, slice_text("{\"a\":[1,2,{\"b\":null}]}"));
    batch_builder_set_text(builder, 8, slice_text("always the same"));
    batch_builder_set_int64(builder, 9, (int64_t)row * 1000003);
}

static const struct column columns_distinct[] = {{"text", FIELD_TEXT}, {"seq", FIELD_INT64}};

static void fill_distinct(struct batch_builder *builder, size_t row, struct rng *rng)
{
    char text[64];
    (void)rng;
    const int size = snprintf(text, sizeof text, "user-%zu", (row * 7919) % 1000003);
    batch_builder_set_text(builder, 0, slice_of(text, (size_t)size));
    batch_builder_set_int64(builder, 1, (int64_t)row);
}

static const struct column columns_large[] = {{"large", FIELD_TEXT}, {"half", FIELD_JSON}};

// 64 KiB and more, random letters: pages and row groups end early.
static void fill_large(struct batch_builder *builder, size_t row, struct rng *rng)
{
    static const size_t sizes[] = {65536, 0, 65536, 100, 65535, 1048576};
    const size_t size_bytes = sizes[row % ARRAY_COUNT(sizes)];
    char *text CLEANUP(mem_free_at) = mem_alloc(size_bytes);
    for (size_t i = 0; i < size_bytes; i++)
        text[i] = (char)('a' + rng_below(rng, 26));
    batch_builder_set_text(builder, 0, slice_of(text, size_bytes));
    if (row % 2 == 0)
        batch_builder_set_text(builder, 1, slice_of(text, size_bytes / 2));
}

static const struct column columns_names[] = {
    {"a", FIELD_INT64},          {"A", FIELD_INT64},         {"a.b", FIELD_TEXT},
    {"select", FIELD_TEXT},      {"with space", FIELD_TEXT}, {"\"q\"", FIELD_TEXT},
    {"\xc3\xbc", FIELD_DOUBLE},  {"^a:t", FIELD_TEXT},       {"$x", FIELD_TEXT},
    {"a/b\\c", FIELD_BOOL},      {"schema", FIELD_TEXT},     {"list", FIELD_TEXT},
    {"element", FIELD_TEXT},     {"_time", FIELD_TIME},      {"'", FIELD_TEXT},
    {"line\nbreak", FIELD_TEXT}, {"17", FIELD_INT64},
};

static void fill_names(struct batch_builder *builder, size_t row, struct rng *rng)
{
    (void)rng;
    for (size_t i = 0; i < ARRAY_COUNT(columns_names); i++) {
        char text[32];
        const int size = snprintf(text, sizeof text, "%zu/%zu", row, i);
        const int64_t number = (int64_t)(row * 100 + i);
        switch (columns_names[i].type) {
        case FIELD_TEXT:
        case FIELD_JSON:
            batch_builder_set_text(builder, i, slice_of(text, (size_t)size));
            break;
        case FIELD_INT64:
        case FIELD_TIME:
            batch_builder_set_int64(builder, i, number);
            break;
        case FIELD_DOUBLE:
            batch_builder_set_double(builder, i, (double)number);
            break;
        case FIELD_BOOL:
            batch_builder_set_bool(builder, i, row % 2 == 0);
            break;
        }
    }
}

// Runs of all lengths: of nulls, of one value, of values that change.
static const struct column columns_runs[] = {
    {"text", FIELD_TEXT}, {"int", FIELD_INT64}, {"double", FIELD_DOUBLE}, {"bool", FIELD_BOOL}};

static void fill_runs(struct batch_builder *builder, size_t row, struct rng *rng)
{
    (void)rng;
    char text[32];
    const size_t run = row / (1 + row / 500 % 40);
    const int size = snprintf(text, sizeof text, "value %zu", run % 300);
    if (run % 5 != 0)
        batch_builder_set_text(builder, 0, slice_of(text, (size_t)size));
    if (run % 3 != 0)
        batch_builder_set_int64(builder, 1, (int64_t)(run % 70000));
    if (run % 2 != 0)
        batch_builder_set_double(builder, 2, (double)(run % 9) / 8);
    if (run % 11 != 0)
        batch_builder_set_bool(builder, 3, run % 4 < 2);
}

static const struct golden_case cases[] = {
    {"types", columns_types, ARRAY_COUNT(columns_types), 5003, fill_types, true},
    {"groups", columns_types, ARRAY_COUNT(columns_types), 250001, fill_types, false},
    {"empty", columns_types, ARRAY_COUNT(columns_types), 0, fill_types, true},
    {"one", columns_types, ARRAY_COUNT(columns_types), 1, fill_types, true},
    {"distinct", columns_distinct, ARRAY_COUNT(columns_distinct), 1000000, fill_distinct, false},
    {"large", columns_large, ARRAY_COUNT(columns_large), 330, fill_large, false},
    {"names", columns_names, ARRAY_COUNT(columns_names), 9, fill_names, true},
    {"runs", columns_runs, ARRAY_COUNT(columns_runs), 123000, fill_runs, true},
};

static const struct {
    enum encoder_codec codec;
    const char *name;
} codecs[] = {
    {ENCODER_CODEC_SNAPPY, "snappy"},
    {ENCODER_CODEC_NONE, "none"},
    {ENCODER_CODEC_GZIP, "gzip"},
    {ENCODER_CODEC_ZSTD, "zstd"},
};

static void fail(const struct err *err)
{
    (void)fprintf(stderr, "parquet_golden: %s\n", err->message);
    exit(1);
}

static void write_value(struct json_text *json, const struct batch_column *column, size_t row)
{
    char text[64];
    if (!batch_is_valid(column, row)) {
        json_text_null(json);
        return;
    }
    int size = 0;
    switch (column->type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        json_text_string(json, batch_text(column, row));
        return;
    case FIELD_INT64:
    case FIELD_TIME:
        size = snprintf(text, sizeof text, "%" PRId64, batch_int64(column, row));
        break;
    case FIELD_DOUBLE:
        size = snprintf(text, sizeof text, "%.17g", batch_double(column, row));
        break;
    case FIELD_BOOL:
        size = snprintf(text, sizeof text, "%s", batch_bool(column, row) ? "true" : "false");
        break;
    }
    json_text_string(json, slice_of(text, (size_t)size));
}

static void write_line(FILE *file, const struct buf *line)
{
    ASSERT(!line->overflowed);
    (void)fprintf(file, "%s\n", buf_text(line));
}

static void write_expected_head(FILE *file, const struct golden_case *one)
{
    struct buf line CLEANUP(buf_clear);
    buf_init(&line, 1024 * 1024);
    struct json_text json;
    json_text_init(&json, &line);
    json_text_open(&json, '[');
    for (size_t i = 0; i < one->column_count; i++) {
        json_text_open(&json, '[');
        json_text_string(&json, slice_text(one->columns[i].name));
        json_text_string(&json, slice_text(field_type_name(one->columns[i].type)));
        json_text_close(&json, ']');
    }
    json_text_close(&json, ']');
    write_line(file, &line);
}

static void write_expected_rows(FILE *file, const struct batch *batch)
{
    struct buf line CLEANUP(buf_clear);
    buf_init(&line, 16 * 1024 * 1024);
    for (size_t row = 0; row < batch->row_count; row++) {
        struct json_text json;
        buf_reset(&line);
        json_text_init(&json, &line);
        json_text_open(&json, '[');
        for (size_t i = 0; i < batch->column_count; i++)
            write_value(&json, &batch->columns[i], row);
        json_text_close(&json, ']');
        write_line(file, &line);
    }
}

static void write_rows(const struct golden_case *one, struct encoder *encoder, FILE *expected)
{
    struct err err = {.kind = ERR_NONE};
    struct rng_seeded rng;
    rng_seeded_init(&rng, 17);
    struct batch_builder *builder CLEANUP(batch_builder_free) =
        batch_builder_new(one->columns, one->column_count, GOLDEN_BATCH_ROWS);
    for (size_t row = 0; row < one->row_count; row++) {
        one->fill(builder, row, &rng.base);
        batch_builder_end_row(builder);
        if (!batch_builder_is_full(builder) && row + 1 < one->row_count)
            continue;
        const struct batch *batch = batch_builder_batch(builder);
        size_t written;
        if (!encoder_write(encoder, batch, 0, batch->row_count, UINT64_MAX, &written, &err))
            fail(&err);
        ASSERT(written == batch->row_count);
        if (expected != NULL)
            write_expected_rows(expected, batch);
        batch_builder_reset(builder);
    }
}

static void write_case(const char *directory, const struct golden_case *one, size_t codec)
{
    struct err err = {.kind = ERR_NONE};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s-%s.parquet", directory, one->name, codecs[codec].name);
    struct sink *sink = NULL;
    if (!sink_file_open(path, &sink, &err))
        fail(&err);
    const struct encoder_spec spec = {
        .format = ENCODER_PARQUET,
        .codec = codecs[codec].codec,
        .columns = one->columns,
        .column_count = one->column_count,
    };
    struct encoder *encoder CLEANUP(encoder_free) = NULL;
    if (!encoder_open(&spec, sink, &encoder, &err))
        fail(&err);
    FILE *expected = NULL;
    if (codec == 0) {
        (void)snprintf(path, sizeof path, "%s/%s.expected", directory, one->name);
        expected = fopen(path, "w");
        ASSERT(expected != NULL);
        write_expected_head(expected, one);
    }
    write_rows(one, encoder, expected);
    if (!encoder_finish(encoder, &err))
        fail(&err);
    if (expected != NULL)
        (void)fclose(expected); // the reader would see a short file
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        (void)fprintf(stderr, "usage: parquet_golden DIRECTORY\n");
        return 2;
    }
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        for (size_t codec = 0; codec < (cases[i].has_every_codec ? ARRAY_COUNT(codecs) : 1);
             codec++)
            write_case(arguments[1], &cases[i], codec);
    return 0;
}
