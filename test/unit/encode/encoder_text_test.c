// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

// CSV and JSON lines, to the letter.
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "encode/encoder.h"

#define NO_LIMIT UINT64_MAX

static const struct column text_column[] = {{"value", FIELD_TEXT}};

static struct encoder *open_encoder(enum encoder_format format, const struct column *columns,
                                    size_t column_count, bool guard, struct buf *output)
{
    struct err err = {0};
    const struct encoder_spec spec = {
        .format = format,
        .columns = columns,
        .column_count = column_count,
        .csv_formula_guard = guard,
    };
    struct encoder *encoder = NULL;
    assert_true(encoder_open(&spec, sink_memory_new(output), &encoder, &err));
    return encoder;
}

static void encode(enum encoder_format format, const struct column *columns, size_t column_count,
                   bool guard, const struct batch *batch, struct buf *output)
{
    struct err err = {0};
    struct encoder *encoder CLEANUP(encoder_free) = open_encoder(format, columns, column_count,
                                                                 guard, output);
    size_t count = 0;
    if (batch->row_count > 0) {
        assert_true(encoder_write(encoder, batch, 0, batch->row_count, NO_LIMIT, &count, &err));
        assert_int_equal(count, batch->row_count);
    }
    assert_int_equal(encoder_row_count(encoder), batch->row_count);
    assert_true(encoder_finish(encoder, &err));
    assert_int_equal(encoder_byte_count(encoder), output->size_bytes);
}

// One row with one text column.
static void assert_text(enum encoder_format format, bool guard, const char *value,
                        const char *expected)
{
    struct batch_builder *builder CLEANUP(batch_builder_free) = batch_builder_new(text_column, 1,
                                                                                  4);
    if (value != NULL)
        batch_builder_set_text(builder, 0, slice_text(value));
    batch_builder_end_row(builder);
    struct buf output CLEANUP(buf_clear);
    buf_init(&output, 1000000);
    encode(format, text_column, 1, guard, batch_builder_batch(builder), &output);
    assert_string_equal(buf_text(&output), expected);
}

static void test_csv_quotes_only_where_needed(void **state)
{
    (void)state;
    assert_text(ENCODER_CSV, false, "plain", "value\nplain\n");
    assert_text(ENCODER_CSV, false, "", "value\n\"\"\n");
    assert_text(ENCODER_CSV, false, NULL, "value\n\n");
    assert_text(ENCODER_CSV, false, "a,b", "value\n\"a,b\"\n");
    assert_text(ENCODER_CSV, false, "say \"hi\"", "value\n\"say \"\"hi\"\"\"\n");
    assert_text(ENCODER_CSV, false, "two\nlines", "value\n\"two\nlines\"\n");
    assert_text(ENCODER_CSV, false, "cr\r", "value\n\"cr\r\"\n");
    assert_text(ENCODER_CSV, false, "a long text that has its quote at the end\"",
                "value\n\"a long text that has its quote at the end\"\"\"\n");
    assert_text(ENCODER_CSV, false, "naïve \xf0\x9f\x98\x80 \xe2\x80\xa8",
                "value\nnaïve \xf0\x9f\x98\x80 \xe2\x80\xa8\n");
    assert_text(ENCODER_CSV, false, "=1+1", "value\n=1+1\n");
}

static void test_csv_formula_guard_is_invertible(void **state)
{
    (void)state;
    assert_text(ENCODER_CSV, true, "=1+1", "value\n'=1+1\n");
    assert_text(ENCODER_CSV, true, "'quoted", "value\n''quoted\n");
    assert_text(ENCODER_CSV, true, "-5,0", "value\n\"'-5,0\"\n");
    assert_text(ENCODER_CSV, true, "\tx", "value\n\"'\tx\"\n");
    assert_text(ENCODER_CSV, true, "=1+2\";=1+2", "value\n\"'=1+2\"\";=1+2\"\n");
    assert_text(ENCODER_CSV, true, "", "value\n\"\"\n");
    assert_text(ENCODER_CSV, true, "plain", "value\nplain\n");
}

static void test_json_escapes_as_asked_and_no_more(void **state)
{
    (void)state;
    assert_text(ENCODER_JSON, false, "plain", "{\"value\":\"plain\"}\n");
    assert_text(ENCODER_JSON, false, "", "{\"value\":\"\"}\n");
    assert_text(ENCODER_JSON, false, NULL, "{\"value\":null}\n");
    assert_text(ENCODER_JSON, false, "\"\\/\b\f\n\r\t\x01\x1f\x7f",
                "{\"value\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"}\n");
    assert_text(ENCODER_JSON, false, "</script>\xe2\x80\xa8",
                "{\"value\":\"</script>\xe2\x80\xa8\"}\n");
    assert_text(ENCODER_JSON, true, "=1+1", "{\"value\":\"=1+1\"}\n");
}

static const struct column all_columns[] = {
    {"t", FIELD_TEXT}, {"i", FIELD_INT64}, {"d", FIELD_DOUBLE},
    {"b", FIELD_BOOL}, {"m", FIELD_TIME},  {"odd \"name\", x", FIELD_JSON},
};

static struct batch_builder *make_all_types(size_t row_count)
{
    struct batch_builder *builder = batch_builder_new(all_columns, 6, row_count + 1);
    for (size_t row = 0; row < row_count; row++) {
        if (row % 3 != 1) {
            batch_builder_set_text(builder, 0,
                                   slice_text(row % 2 == 0 ? "x" : "a longer text, with comma"));
            batch_builder_set_int64(builder, 1, INT64_MIN + (int64_t)row);
            batch_builder_set_double(builder, 2, 0.1 + (double)row);
            batch_builder_set_bool(builder, 3, row % 2 == 0);
            batch_builder_set_int64(builder, 4, 1684454400000);
            batch_builder_set_text(builder, 5, slice_text("{\"a\":[1]}"));
        }
        batch_builder_end_row(builder);
    }
    return builder;
}

static void test_every_type_in_both_formats(void **state)
{
    (void)state;
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_all_types(2);
    struct buf csv CLEANUP(buf_clear);
    struct buf json CLEANUP(buf_clear);
    buf_init(&csv, 10000);
    buf_init(&json, 10000);
    encode(ENCODER_CSV, all_columns, 6, false, batch_builder_batch(builder), &csv);
    encode(ENCODER_JSON, all_columns, 6, false, batch_builder_batch(builder), &json);
    assert_string_equal(buf_text(&csv),
                        "t,i,d,b,m,\"odd \"\"name\"\", x\"\n"
                        "x,-9223372036854775808,0.1,true,1684454400000,\"{\"\"a\"\":[1]}\"\n"
                        ",,,,,\n");
    assert_string_equal(buf_text(&json),
                        "{\"t\":\"x\",\"i\":-9223372036854775808,\"d\":0.1,\"b\":true,"
                        "\"m\":1684454400000,\"odd \\\"name\\\", x\":\"{\\\"a\\\":[1]}\"}\n"
                        "{\"t\":null,\"i\":null,\"d\":null,\"b\":null,\"m\":null,"
                        "\"odd \\\"name\\\", x\":null}\n");
}

static void test_no_rows_give_a_header_or_nothing(void **state)
{
    (void)state;
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_all_types(0);
    struct buf csv CLEANUP(buf_clear);
    struct buf json CLEANUP(buf_clear);
    buf_init(&csv, 10000);
    buf_init(&json, 10000);
    encode(ENCODER_CSV, all_columns, 6, false, batch_builder_batch(builder), &csv);
    encode(ENCODER_JSON, all_columns, 6, false, batch_builder_batch(builder), &json);
    assert_string_equal(buf_text(&csv), "t,i,d,b,m,\"odd \"\"name\"\", x\"\n");
    assert_string_equal(buf_text(&json), "");
}

static void test_what_is_not_finite_is_missing(void **state)
{
    (void)state;
    static const struct column columns[] = {{"d", FIELD_DOUBLE}, {"e", FIELD_DOUBLE}};
    struct batch_builder *builder CLEANUP(batch_builder_free) = batch_builder_new(columns, 2, 2);
    batch_builder_set_double(builder, 0, NAN);
    batch_builder_set_double(builder, 1, -INFINITY);
    batch_builder_end_row(builder);
    struct buf csv CLEANUP(buf_clear);
    struct buf json CLEANUP(buf_clear);
    buf_init(&csv, 100);
    buf_init(&json, 100);
    encode(ENCODER_CSV, columns, 2, false, batch_builder_batch(builder), &csv);
    encode(ENCODER_JSON, columns, 2, false, batch_builder_batch(builder), &json);
    assert_string_equal(buf_text(&csv), "d,e\n,\n");
    assert_string_equal(buf_text(&json), "{\"d\":null,\"e\":null}\n");
}

// Where a file ends is decided by rows, not by batches.
static void test_the_limit_stops_at_the_same_row(void **state)
{
    (void)state;
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_all_types(1000);
    const struct batch *batch = batch_builder_batch(builder);
    static const enum encoder_format formats[] = {ENCODER_CSV, ENCODER_JSON};
    static const size_t steps[] = {1, 7, 1000};
    for (size_t i = 0; i < 2; i++) {
        size_t stops[3] = {0};
        for (size_t j = 0; j < 3; j++) {
            struct err err = {0};
            struct buf output CLEANUP(buf_clear);
            buf_init(&output, 1000000);
            struct encoder *encoder CLEANUP(encoder_free) = open_encoder(formats[i], all_columns, 6,
                                                                         false, &output);
            while (encoder_byte_count(encoder) < 10000) {
                size_t count = 0;
                const size_t left = batch->row_count - stops[j];
                assert_true(encoder_write(encoder, batch, stops[j],
                                          steps[j] < left ? steps[j] : left, 10000, &count, &err));
                stops[j] += count;
            }
            assert_true(encoder_finish(encoder, &err));
            assert_true(output.size_bytes >= 10000 && output.size_bytes < 10300);
        }
        assert_int_equal(stops[0], stops[1]);
        assert_int_equal(stops[0], stops[2]);
    }
}

static void test_a_failing_sink_fails_the_encoder(void **state)
{
    (void)state;
    struct batch_builder *builder CLEANUP(batch_builder_free) = make_all_types(10);
    for (uint64_t call = 1; call <= 3; call++) {
        struct err err = {0};
        struct buf output CLEANUP(buf_clear);
        buf_init(&output, 100000);
        const struct encoder_spec spec = {
            .format = ENCODER_CSV, .columns = all_columns, .column_count = 6};
        struct encoder *encoder CLEANUP(encoder_free) = NULL;
        size_t count = 0;
        const bool is_done =
            encoder_open(&spec, sink_fault_new(sink_memory_new(&output), call, ERR_FULL), &encoder,
                         &err) &&
            encoder_write(encoder, batch_builder_batch(builder), 0, 10, NO_LIMIT, &count, &err) &&
            encoder_finish(encoder, &err);
        assert_false(is_done);
        assert_int_equal(err.kind, ERR_FULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_quotes_only_where_needed),
        cmocka_unit_test(test_csv_formula_guard_is_invertible),
        cmocka_unit_test(test_json_escapes_as_asked_and_no_more),
        cmocka_unit_test(test_every_type_in_both_formats),
        cmocka_unit_test(test_no_rows_give_a_header_or_nothing),
        cmocka_unit_test(test_what_is_not_finite_is_missing),
        cmocka_unit_test(test_the_limit_stops_at_the_same_row),
        cmocka_unit_test(test_a_failing_sink_fails_the_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
