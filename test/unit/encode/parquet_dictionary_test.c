// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/mem.h"
#include "encode/parquet_dictionary.h"

static struct slice number_text(char room[32], size_t number)
{
    return slice_of(room, (size_t)snprintf(room, 32, "text number %zu", number));
}

static void test_entries_are_in_the_order_of_sight(void **state)
{
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    char room[32];
    (void)state;
    parquet_dictionary_init(&dictionary, true);
    for (size_t i = 0; i < 10000; i++) {
        uint32_t entry = UINT32_MAX;
        assert_true(
            parquet_dictionary_put_text(&dictionary, number_text(room, i % 2500), i, &entry));
        assert_int_equal(entry, i % 2500);
    }
    assert_int_equal(dictionary.entry_count, 2500);
    for (uint32_t i = 0; i < 2500; i++) {
        const struct slice plain = parquet_dictionary_plain(&dictionary, i);
        assert_true(slice_equal(slice_from(plain, 4), number_text(room, i)));
    }
}

// Texts that differ in size, in the last byte, or in nothing but a NUL.
static void test_near_texts_are_told_apart(void **state)
{
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    char text[256] = {0};
    (void)state;
    parquet_dictionary_init(&dictionary, true);
    for (size_t size = 0; size < sizeof text; size++) {
        uint32_t entry = UINT32_MAX;
        assert_true(parquet_dictionary_put_text(&dictionary, slice_of(text, size), size, &entry));
        assert_int_equal(entry, size);
    }
    for (size_t at = 0; at < sizeof text; at++) {
        uint32_t entry = UINT32_MAX;
        text[at] = 1;
        assert_true(parquet_dictionary_put_text(&dictionary, slice_of(text, sizeof text), 256 + at,
                                                &entry));
        assert_int_equal(entry, 256 + at);
        text[at] = 0;
    }
}

static void test_bits_are_compared_as_bits(void **state)
{
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    const uint64_t values[] = {0, UINT64_C(1) << 63, 1, UINT64_MAX, 0, 1};
    const uint32_t wanted[] = {0, 1, 2, 3, 0, 2};
    (void)state;
    parquet_dictionary_init(&dictionary, false);
    for (size_t i = 0; i < 6; i++) {
        uint32_t entry = UINT32_MAX;
        assert_true(parquet_dictionary_put_bits(&dictionary, values[i], i, &entry));
        assert_int_equal(entry, wanted[i]);
    }
    assert_int_equal(parquet_dictionary_plain(&dictionary, 3).size_bytes, 8);
}

static void test_values_that_do_not_repeat_are_given_up(void **state)
{
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    (void)state;
    parquet_dictionary_init(&dictionary, false);
    for (size_t round = 0; round < 2; round++) { // also after a reset
        size_t count = 0;
        uint32_t entry;
        while (parquet_dictionary_put_bits(&dictionary, count * 77, count, &entry))
            count++;
        assert_int_equal(count, 4096);
        parquet_dictionary_reset(&dictionary);
        assert_int_equal(dictionary.entry_count, 0);
    }
}

static void test_a_large_dictionary_is_given_up(void **state)
{
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    char *text CLEANUP(mem_free_at) = mem_alloc(1000);
    (void)state;
    parquet_dictionary_init(&dictionary, true);
    size_t count = 0;
    uint32_t entry;
    for (;; count++) {
        memcpy(text, &count, sizeof count);
        if (!parquet_dictionary_put_text(&dictionary, slice_of(text, 1000), count, &entry))
            break;
    }
    assert_int_equal(count, PARQUET_DICTIONARY_BYTES_MAX / 1004);
    assert_true(dictionary.bytes.size_bytes <= PARQUET_DICTIONARY_BYTES_MAX);
    parquet_dictionary_reset(&dictionary);
    assert_true(parquet_dictionary_put_text(&dictionary, slice_text("again"), 0, &entry));
    assert_int_equal(entry, 0);
}

static void test_one_value_larger_than_all(void **state)
{
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    const size_t size_bytes = PARQUET_DICTIONARY_BYTES_MAX;
    char *text CLEANUP(mem_free_at) = mem_alloc(size_bytes);
    uint32_t entry;
    (void)state;
    parquet_dictionary_init(&dictionary, true);
    assert_false(parquet_dictionary_put_text(&dictionary, slice_of(text, size_bytes), 0, &entry));
    assert_int_equal(dictionary.entry_count, 0);
}

// Values that all belong into one slot: somebody could choose them. Putting stays cheap.
static void test_values_that_collide_are_given_up(void **state)
{
    struct parquet_dictionary probe CLEANUP(parquet_dictionary_clear);
    struct parquet_dictionary dictionary CLEANUP(parquet_dictionary_clear);
    size_t count = 0;
    uint32_t entry;
    (void)state;
    parquet_dictionary_init(&probe, false);
    parquet_dictionary_init(&dictionary, false);
    for (uint64_t bits = 1;; bits++) {
        parquet_dictionary_reset(&probe);
        assert_true(parquet_dictionary_put_bits(&probe, bits, 0, &entry));
        if (probe.slots[0] == 0)
            continue;
        if (!parquet_dictionary_put_bits(&dictionary, bits, count, &entry))
            break;
        assert_int_equal(entry, count);
        count++;
    }
    assert_int_equal(count, 256);
    assert_int_equal(dictionary.entry_count, 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_in_the_order_of_sight),
        cmocka_unit_test(test_near_texts_are_told_apart),
        cmocka_unit_test(test_bits_are_compared_as_bits),
        cmocka_unit_test(test_values_that_do_not_repeat_are_given_up),
        cmocka_unit_test(test_a_large_dictionary_is_given_up),
        cmocka_unit_test(test_one_value_larger_than_all),
        cmocka_unit_test(test_values_that_collide_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
