// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/batch.h"

static const struct column columns[] = {
    {"long", FIELD_INT64},  {"double", FIELD_DOUBLE},  {"boolean", FIELD_BOOL},
    {"string", FIELD_TEXT}, {"timestamp", FIELD_TIME}, {"json", FIELD_JSON},
};

static void texts_have_the_layout_of_the_engine(void **state)
{
    (void)state;
    const char *bytes = "0123456789abcdef";
    for (size_t size = 0; size <= 16; size++) {
        const struct batch_text text = batch_text_of(slice_of(bytes, size));
        const struct batch_column column = {.type = FIELD_TEXT, .values = &text};
        const struct slice back = batch_text(&column, 0);
        assert_int_equal(back.size_bytes, size);
        assert_memory_equal(back.data, bytes, size);
        // Short texts stand inside, padded with zeros; long ones keep their first bytes and a
        // pointer.
        const char *inside = (const char *)&text + sizeof(uint32_t);
        if (size <= BATCH_TEXT_INLINE_BYTES) {
            for (size_t i = 0; i < BATCH_TEXT_INLINE_BYTES; i++)
                assert_int_equal(inside[i], i < size ? bytes[i] : 0);
        } else {
            assert_memory_equal(inside, bytes, 4);
            assert_ptr_equal(back.data, bytes);
        }
    }
    assert_int_equal(batch_text_of(slice_of(NULL, 0)).size_bytes, 0);
}

static void rows_are_kept(void **state)
{
    (void)state;
    struct batch_builder *builder = batch_builder_new(columns, ARRAY_COUNT(columns), 3);
    assert_int_equal(batch_builder_row_count(builder), 0);
    for (int64_t row = 0; row < 3; row++) {
        assert_false(batch_builder_is_full(builder));
        char text[32] = "a text that is not inline: ";
        text[27] = (char)('0' + row);
        batch_builder_set_text(builder, 5, slice_text("[1]"));
        batch_builder_set_int64(builder, 0, INT64_MIN + row);
        if (row != 1) {
            batch_builder_set_double(builder, 1, 0.5 * (double)row);
            batch_builder_set_bool(builder, 2, row == 2);
            batch_builder_set_text(builder, 3, slice_text(text));
        }
        batch_builder_set_int64(builder, 4, 1000 + row);
        batch_builder_end_row(builder);
        memset(text, 'x', sizeof text); // the builder has copied
    }
    assert_true(batch_builder_is_full(builder));
    const struct batch *batch = batch_builder_batch(builder);
    assert_int_equal(batch->row_count, 3);
    assert_int_equal(batch->column_count, 6);
    assert_null(batch->columns[0].validity);
    assert_null(batch->columns[5].validity);
    assert_non_null(batch->columns[3].validity);
    assert_true(batch_int64(&batch->columns[0], 2) == INT64_MIN + 2);
    assert_true(batch_double(&batch->columns[1], 2) == 1.0);
    assert_false(batch_bool(&batch->columns[2], 0));
    assert_true(batch_bool(&batch->columns[2], 2));
    assert_true(
        slice_equal_text(batch_text(&batch->columns[3], 2), "a text that is not inline: 2"));
    assert_true(batch_is_valid(&batch->columns[3], 0));
    assert_false(batch_is_valid(&batch->columns[3], 1));
    assert_int_equal(batch_text(&batch->columns[3], 1).size_bytes, 0);
    assert_true(batch_int64(&batch->columns[4], 1) == 1001);
    assert_true(slice_equal_text(batch_text(&batch->columns[5], 0), "[1]"));
    assert_int_equal(batch->columns[4].type, FIELD_TIME);
    batch_builder_free(&builder);
    assert_null(builder);
    batch_builder_free(&builder);
}

// Nulls at the ends of validity words.
static void validity_is_a_bit_per_row(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 128, 200};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct batch_builder *builder = batch_builder_new(columns, 1, 200);
        for (size_t row = 0; row < sizes[i]; row++) {
            batch_builder_set_int64(builder, 0, (int64_t)row);
            batch_builder_end_row(builder);
        }
        assert_null(batch_builder_batch(builder)->columns[0].validity);
        batch_builder_reset(builder);
        for (size_t row = 0; row < sizes[i]; row++) {
            if (row + 1 < sizes[i])
                batch_builder_set_int64(builder, 0, (int64_t)row);
            batch_builder_end_row(builder);
        }
        const struct batch *batch = batch_builder_batch(builder);
        assert_non_null(batch->columns[0].validity);
        for (size_t row = 0; row < sizes[i]; row++)
            assert_int_equal(batch_is_valid(&batch->columns[0], row), row + 1 < sizes[i]);
        batch_builder_free(&builder);
    }
}

static void resets_forget_everything(void **state)
{
    (void)state;
    struct batch_builder *builder = batch_builder_new(columns, ARRAY_COUNT(columns), 2);
    batch_builder_set_int64(builder, 0, 7);
    batch_builder_end_row(builder);
    batch_builder_set_int64(builder, 0, 8); // a row that never ends
    batch_builder_reset(builder);
    assert_int_equal(batch_builder_row_count(builder), 0);
    assert_int_equal(batch_builder_batch(builder)->row_count, 0);
    batch_builder_end_row(builder);
    batch_builder_end_row(builder);
    const struct batch *batch = batch_builder_batch(builder);
    for (size_t row = 0; row < 2; row++) {
        assert_false(batch_is_valid(&batch->columns[0], row));
        assert_true(batch_int64(&batch->columns[0], row) == 0);
    }
    batch_builder_free(&builder);
}

// Far more text than a chunk, twice, with a value larger than a chunk between.
static void texts_stay_where_they_are(void **state)
{
    (void)state;
    static char large[200000];
    memset(large, 'L', sizeof large);
    struct batch_builder *builder = batch_builder_new(&columns[3], 1, 1000);
    for (size_t round = 0; round < 3; round++) {
        for (size_t row = 0; row < 1000; row++) {
            char text[300];
            memset(text, (int)('a' + (row + round) % 26), sizeof text);
            const bool is_large = row == 500;
            batch_builder_set_text(
                builder, 0, is_large ? slice_of(large, sizeof large) : slice_of(text, sizeof text));
            batch_builder_end_row(builder);
        }
        const struct batch *batch = batch_builder_batch(builder);
        for (size_t row = 0; row < 1000; row++) {
            const struct slice text = batch_text(&batch->columns[0], row);
            assert_int_equal(text.size_bytes, row == 500 ? sizeof large : 300);
            const char expected = row == 500 ? 'L' : (char)('a' + (row + round) % 26);
            assert_int_equal(slice_chars(text)[0], expected);
            assert_int_equal(slice_chars(text)[text.size_bytes - 1], expected);
        }
        batch_builder_reset(builder);
    }
    batch_builder_free(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_the_layout_of_the_engine),
        cmocka_unit_test(rows_are_kept),
        cmocka_unit_test(validity_is_a_bit_per_row),
        cmocka_unit_test(resets_forget_everything),
        cmocka_unit_test(texts_stay_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
