// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "encode/parquet_levels.h"

#define VALUES_MAX ((size_t)5000)

static uint64_t take_head(struct slice *bytes)
{
    uint64_t head = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(bytes->size_bytes > 0);
        const uint8_t byte = *(const uint8_t *)bytes->data;
        *bytes = slice_from(*bytes, 1);
        head |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return head;
    }
}

static uint32_t packed_value(const uint8_t *bytes, size_t at, unsigned width)
{
    uint32_t value = 0;
    for (size_t bit = 0; bit < width; bit++) {
        const size_t place = at * width + bit;
        value |= (uint32_t)(bytes[place / 8] >> (place % 8) & 1) << bit;
    }
    return value;
}

// Written from the format's text, a bit at a time, and not from the encoder.
static size_t decode(struct slice bytes, unsigned width, uint32_t *ret_values, size_t capacity)
{
    size_t count = 0;
    while (bytes.size_bytes > 0) {
        const uint64_t head = take_head(&bytes);
        if ((head & 1) != 0) {
            const size_t values = (size_t)(head >> 1) * 8;
            assert_true(bytes.size_bytes >= values * width / 8);
            assert_true(count + values <= capacity);
            for (size_t i = 0; i < values; i++)
                ret_values[count++] = packed_value(bytes.data, i, width);
            bytes = slice_from(bytes, values * width / 8);
            continue;
        }
        const size_t value_bytes = (width + 7) / 8;
        uint32_t value = 0;
        assert_true(bytes.size_bytes >= value_bytes);
        memcpy(&value, bytes.data, value_bytes);
        bytes = slice_from(bytes, value_bytes);
        assert_true(count + (head >> 1) <= capacity);
        for (uint64_t i = 0; i < head >> 1; i++)
            ret_values[count++] = value;
    }
    return count;
}

static void check_values(const uint32_t *values, size_t count, unsigned width)
{
    static uint32_t decoded[VALUES_MAX + 8];
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, 1024 * 1024);
    parquet_levels_append(&bytes, values, count, width);
    assert_false(bytes.overflowed);
    const size_t decoded_count = decode(buf_slice(&bytes), width, decoded, VALUES_MAX + 8);
    assert_true(decoded_count >= count);
    assert_true(decoded_count < count + 8); // only the last group is filled up
    for (size_t i = 0; i < count; i++)
        assert_int_equal(decoded[i], values[i]);
}

static void fill_runs(struct rng *rng, uint32_t *values, size_t count, unsigned width)
{
    const uint64_t bound = UINT64_C(1) << width;
    for (size_t i = 0; i < count;) {
        const size_t run = rng_below(rng, 3) == 0 ? 1 + (size_t)rng_below(rng, 40) : 1;
        const uint32_t value = (uint32_t)rng_below(rng, bound);
        for (size_t j = 0; j < run && i < count; j++)
            values[i++] = value;
    }
}

static void test_values_come_back(void **state)
{
    static uint32_t values[VALUES_MAX];
    struct rng_seeded rng;
    (void)state;
    rng_seeded_init(&rng, 4);
    for (unsigned width = 1; width <= 32; width++) {
        for (size_t round = 0; round < 20; round++) {
            const size_t count = (size_t)rng_below(&rng.base, round < 10 ? 40 : 3000);
            fill_runs(&rng.base, values, count, width);
            check_values(values, count, width);
        }
    }
}

static void test_one_run_is_short(void **state)
{
    static uint32_t values[VALUES_MAX];
    struct buf bytes CLEANUP(buf_clear);
    (void)state;
    buf_init(&bytes, 1024);
    for (size_t i = 0; i < VALUES_MAX; i++)
        values[i] = 3;
    parquet_levels_append(&bytes, values, VALUES_MAX, 2);
    assert_int_equal(bytes.size_bytes, 3); // two of head, one of value
    check_values(values, VALUES_MAX, 2);
}

static void test_nothing_is_nothing(void **state)
{
    struct buf bytes CLEANUP(buf_clear);
    const uint64_t word = 0;
    (void)state;
    buf_init(&bytes, 1024);
    parquet_levels_append(&bytes, NULL, 0, 5);
    parquet_levels_append_bits(&bytes, &word, 0, 0);
    assert_int_equal(bytes.size_bytes, 0);
}

static void test_bits_come_back(void **state)
{
    static uint64_t bits[VALUES_MAX / 64 + 2];
    static uint32_t decoded[VALUES_MAX + 8];
    struct rng_seeded rng;
    (void)state;
    rng_seeded_init(&rng, 5);
    for (size_t round = 0; round < 500; round++) {
        for (size_t i = 0; i < VALUES_MAX / 64 + 2; i++) {
            rng_fill(&rng.base, &bits[i], sizeof bits[i]);
            const uint64_t kind = rng_below(&rng.base, 4);
            bits[i] = kind == 0 ? 0 : kind == 1 ? UINT64_MAX : bits[i];
        }
        const size_t first = 8 * (size_t)rng_below(&rng.base, 20);
        const size_t count = (size_t)rng_below(&rng.base, VALUES_MAX - first);
        struct buf bytes CLEANUP(buf_clear);
        buf_init(&bytes, 1024 * 1024);
        parquet_levels_append_bits(&bytes, bits, first, count);
        const size_t decoded_count = decode(buf_slice(&bytes), 1, decoded, VALUES_MAX + 8);
        assert_true(decoded_count >= count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(decoded[i], bits[(first + i) / 64] >> ((first + i) % 64) & 1);
        for (size_t i = count; i < decoded_count; i++)
            assert_int_equal(decoded[i], 0); // the filling does not depend on what follows
    }
}

static void test_widths(void **state)
{
    (void)state;
    assert_int_equal(parquet_levels_width(0), 1);
    assert_int_equal(parquet_levels_width(1), 1);
    assert_int_equal(parquet_levels_width(2), 2);
    assert_int_equal(parquet_levels_width(255), 8);
    assert_int_equal(parquet_levels_width(256), 9);
    assert_int_equal(parquet_levels_width(UINT32_MAX), 32);
}

static void test_a_full_buffer_is_noted(void **state)
{
    const uint32_t values[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct buf bytes CLEANUP(buf_clear);
    (void)state;
    buf_init(&bytes, 4);
    parquet_levels_append(&bytes, values, 16, 4);
    assert_true(bytes.overflowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_back),
        cmocka_unit_test(test_one_run_is_short),
        cmocka_unit_test(test_nothing_is_nothing),
        cmocka_unit_test(test_bits_come_back),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_a_full_buffer_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
