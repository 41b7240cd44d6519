// SPDX-License-Identifier: Apache-2.0
// What can be said of Parquet files without reading them: that their bytes depend on the rows
// alone, where they are cut, and what happens when things fail. test/golden reads them back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "encode/encoder.h"

#define FILE_BYTES_MAX ((size_t)512 * 1024 * 1024)

static const struct column columns[] = {
    {"text", FIELD_TEXT}, {"int", FIELD_INT64}, {"double", FIELD_DOUBLE}, {"bool", FIELD_BOOL},
    {"time", FIELD_TIME}, {"json", FIELD_JSON}, {"url", FIELD_TEXT},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static void add_row(struct batch_builder *builder, struct rng *rng)
{
    char text[128];
    const uint64_t number = rng_below(rng, 1000000);
    int size = snprintf(text, sizeof text, "value %llu", (unsigned long long)(number % 300));
    if (number % 5 != 0)
        batch_builder_set_text(builder, 0, slice_of(text, (size_t)size));
    if (number % 7 != 0)
        batch_builder_set_int64(builder, 1, (int64_t)number - 500000);
    batch_builder_set_double(builder, 2, (double)(number % 1000) / 8);
    if (number % 2 != 0)
        batch_builder_set_bool(builder, 3, number % 3 == 0);
    batch_builder_set_int64(builder, 4, (int64_t)number);
    if (number % 50 == 0)
        batch_builder_set_text(builder, 5, slice_text("{\"a\":[1]}"));
    size = snprintf(text, sizeof text, "https://example.com/%llu/%llu?a=b",
                    (unsigned long long)number, (unsigned long long)rng_below(rng, 1000000));
    batch_builder_set_text(builder, 6, slice_of(text, (size_t)size));
    batch_builder_end_row(builder);
}

static struct batch_builder *make_rows(size_t row_count)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, 11);
    struct batch_builder *builder = batch_builder_new(columns, COLUMN_COUNT, row_count);
    for (size_t i = 0; i < row_count; i++)
        add_row(builder, &rng.base);
    return builder;
}

static struct encoder *open_encoder(const struct column *wanted, size_t count,
                                    enum encoder_codec codec, struct buf *destination)
{
    const struct encoder_spec spec = {
        .format = ENCODER_PARQUET, .codec = codec, .columns = wanted, .column_count = count};
    struct encoder *encoder = NULL;
    struct err err;
    buf_init(destination, FILE_BYTES_MAX);
    assert_true(encoder_open(&spec, sink_memory_new(destination), &encoder, &err));
    return encoder;
}

// step 0: pieces of changing size.
static void write_all(struct encoder *encoder, const struct batch *batch, size_t step)
{
    struct rng_seeded rng;
    struct err err;
    rng_seeded_init(&rng, 23);
    for (size_t at = 0; at < batch->row_count;) {
        size_t count = step == 0 ? 1 + (size_t)rng_below(&rng.base, 5000) : step;
        count = count < batch->row_count - at ? count : batch->row_count - at;
        size_t written = 0;
        assert_true(encoder_write(encoder, batch, at, count, UINT64_MAX, &written, &err));
        assert_int_equal(written, count);
        at += written;
    }
    assert_true(encoder_finish(encoder, &err));
}

static void test_bytes_depend_on_rows_alone(void **state)
{
    static const size_t steps[] = {2048, 7, 100000, 0};
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_rows(260000);
    struct buf first CLEANUP(buf_clear) = {0};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct buf again CLEANUP(buf_clear);
        struct encoder *encoder CLEANUP(encoder_free) =
            open_encoder(columns, COLUMN_COUNT, ENCODER_CODEC_SNAPPY, i == 0 ? &first : &again);
        if (i == 0)
            buf_init(&again, 1);
        write_all(encoder, batch_builder_batch(builder), steps[i]);
        assert_int_equal(encoder_row_count(encoder), 260000);
        if (i > 0)
            assert_true(slice_equal(buf_slice(&first), buf_slice(&again)));
    }
    assert_memory_equal(first.data, "PAR1", 4);
    assert_memory_equal(first.data + first.size_bytes - 4, "PAR1", 4);
}

static void test_every_codec_gives_the_same_bytes_twice(void **state)
{
    static const enum encoder_codec codecs[] = {ENCODER_CODEC_NONE, ENCODER_CODEC_GZIP,
                                                ENCODER_CODEC_SNAPPY, ENCODER_CODEC_ZSTD};
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_rows(3000);
    size_t plain_bytes = 0;
    (void)state;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        struct buf files[2];
        for (size_t j = 0; j < 2; j++) {
            struct encoder *encoder CLEANUP(encoder_free) = open_encoder(columns, COLUMN_COUNT,
                                                                         codecs[i], &files[j]);
            write_all(encoder, batch_builder_batch(builder), j == 0 ? 3000 : 11);
        }
        assert_true(slice_equal(buf_slice(&files[0]), buf_slice(&files[1])));
        if (codecs[i] == ENCODER_CODEC_NONE)
            plain_bytes = files[0].size_bytes;
        else
            assert_true(files[0].size_bytes < plain_bytes);
        buf_clear(&files[0]);
        buf_clear(&files[1]);
    }
}

// Rows of 12 bytes (8 and 4 of an empty text), of 8, and of none.
static void test_limit_stops_at_the_exact_row(void **state)
{
    static const struct column two[] = {{"int", FIELD_INT64}, {"text", FIELD_TEXT}};
    struct batch_builder *builder CLEANUP(batch_builder_free) = batch_builder_new(two, 2, 10000);
    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        if (i % 3 < 2)
            batch_builder_set_int64(builder, 0, (int64_t)i);
        if (i % 3 < 1)
            batch_builder_set_text(builder, 1, slice_text(""));
        batch_builder_end_row(builder);
    }
    const struct batch *batch = batch_builder_batch(builder);
    struct buf file CLEANUP(buf_clear);
    struct encoder *encoder CLEANUP(encoder_free) = open_encoder(two, 2, ENCODER_CODEC_NONE, &file);
    struct err err;
    size_t written = 0;
    assert_true(encoder_write(encoder, batch, 0, 10000, 20, &written, &err));
    assert_int_equal(written, 2);
    assert_int_equal(encoder_byte_count(encoder), 20);
    assert_true(encoder_write(encoder, batch, 2, 9998, 20, &written, &err));
    assert_int_equal(written, 1); // at least one, here the row of nulls
    assert_int_equal(encoder_byte_count(encoder), 20);
    assert_true(encoder_write(encoder, batch, 3, 9997, 20001, &written, &err));
    assert_int_equal(encoder_byte_count(encoder),
                     20012); // 1000 times 20, and the row that reaches it
    assert_int_equal(written, 2998);
    assert_true(encoder_write(encoder, batch, 3001, 6999, UINT64_MAX, &written, &err));
    assert_int_equal(written, 6999);
    assert_int_equal(encoder_row_count(encoder), 10000);
    assert_true(encoder_finish(encoder, &err));
}

static void test_limit_does_not_depend_on_batches(void **state)
{
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_rows(20000);
    const struct batch *batch = batch_builder_batch(builder);
    const size_t steps[] = {20000, 1, 333, 4096};
    size_t cuts[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct buf file CLEANUP(buf_clear);
        struct encoder *encoder CLEANUP(encoder_free) = open_encoder(columns, COLUMN_COUNT,
                                                                     ENCODER_CODEC_NONE, &file);
        size_t at = 0;
        while (encoder_byte_count(encoder) < 777777) {
            const size_t left = batch->row_count - at;
            size_t written;
            struct err err;
            assert_true(encoder_write(encoder, batch, at, steps[i] < left ? steps[i] : left, 777777,
                                      &written, &err));
            at += written;
        }
        cuts[i] = at;
    }
    assert_true(cuts[0] > 1000);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(cuts[i], cuts[0]);
}

static void test_a_failing_sink_fails_the_call(void **state)
{
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_rows(1000);
    const struct batch *batch = batch_builder_batch(builder);
    const struct encoder_spec spec = {
        .format = ENCODER_PARQUET, .columns = columns, .column_count = COLUMN_COUNT};
    bool has_finished = false;
    size_t failure_count = 0;
    (void)state;
    for (uint64_t call = 1; !has_finished; call++) {
        struct buf file CLEANUP(buf_clear);
        buf_init(&file, FILE_BYTES_MAX);
        struct encoder *encoder CLEANUP(encoder_free) = NULL;
        struct err err = {.kind = ERR_NONE};
        size_t written;
        struct sink *sink = sink_fault_new(sink_memory_new(&file), call, ERR_FULL);
        has_finished = encoder_open(&spec, sink, &encoder, &err) &&
                       encoder_write(encoder, batch, 0, 1000, UINT64_MAX, &written, &err) &&
                       encoder_finish(encoder, &err);
        if (!has_finished) {
            assert_int_equal(err.kind, ERR_FULL);
            failure_count++;
        }
    }
    assert_true(failure_count > 2 * COLUMN_COUNT); // header and page of each, and the ends
}

static void test_a_value_beyond_all_bounds_is_refused(void **state)
{
    static const struct column one[] = {{"text", FIELD_TEXT}};
    const struct batch_text text = {.size_bytes = 64 * 1024 * 1024 + 1};
    const struct batch_column values = {.type = FIELD_TEXT, .values = &text};
    const struct batch batch = {.row_count = 1, .column_count = 1, .columns = &values};
    struct buf file CLEANUP(buf_clear);
    struct encoder *encoder CLEANUP(encoder_free) = open_encoder(one, 1, ENCODER_CODEC_NONE, &file);
    struct err err;
    size_t written = 99;
    (void)state;
    assert_false(encoder_write(encoder, &batch, 0, 1, UINT64_MAX, &written, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(written, 99);
}

// Rows from the middle of a batch whose validity does not begin at a whole word.
static void test_rows_of_a_part_of_a_batch(void **state)
{
    struct batch_builder *whole CLEANUP(batch_builder_free) = make_rows(1000);
    const struct batch *batch = batch_builder_batch(whole);
    struct batch_column parts[COLUMN_COUNT];
    (void)state;
    for (size_t first = 0; first < 200; first += 7) {
        struct buf one CLEANUP(buf_clear);
        struct buf two CLEANUP(buf_clear);
        struct encoder *left CLEANUP(encoder_free) = open_encoder(columns, COLUMN_COUNT,
                                                                  ENCODER_CODEC_NONE, &one);
        struct encoder *right CLEANUP(encoder_free) = open_encoder(columns, COLUMN_COUNT,
                                                                   ENCODER_CODEC_NONE, &two);
        struct err err;
        size_t written;
        assert_true(encoder_write(left, batch, first, 600, UINT64_MAX, &written, &err));
        for (size_t row = first; row < first + 600; row++) {
            for (size_t i = 0; i < COLUMN_COUNT; i++)
                parts[i] = batch->columns[i];
            assert_true(encoder_write(right,
                                      &(struct batch){.row_count = row + 1,
                                                      .column_count = COLUMN_COUNT,
                                                      .columns = parts},
                                      row, 1, UINT64_MAX, &written, &err));
        }
        assert_true(encoder_finish(left, &err));
        assert_true(encoder_finish(right, &err));
        assert_true(slice_equal(buf_slice(&one), buf_slice(&two)));
    }
}

static void test_the_id(void **state)
{
    (void)state;
    assert_string_equal(encoder_id(ENCODER_PARQUET), "parquet-1");
    assert_string_equal(encoder_id(ENCODER_CSV), "csv-1");
    assert_string_equal(encoder_id(ENCODER_JSON), "json-1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_depend_on_rows_alone),
        cmocka_unit_test(test_every_codec_gives_the_same_bytes_twice),
        cmocka_unit_test(test_limit_stops_at_the_exact_row),
        cmocka_unit_test(test_limit_does_not_depend_on_batches),
        cmocka_unit_test(test_a_failing_sink_fails_the_call),
        cmocka_unit_test(test_a_value_beyond_all_bounds_is_refused),
        cmocka_unit_test(test_rows_of_a_part_of_a_batch),
        cmocka_unit_test(test_the_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
