// SPDX-License-Identifier: Apache-2.0
// The libraries' own decoders say whether the bytes are right; only tests include their headers
// beside codec.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

#include "base/codec.h"
#include "base/mem.h"
#include "base/rng.h"

#define INPUT_BYTES_MAX ((size_t)700000)

// Half random, half repeated.
static uint8_t *make_input(size_t size_bytes)
{
    struct rng_seeded rng;
    rng_seeded_init(&rng, 9);
    uint8_t *input = mem_alloc(size_bytes);
    rng_fill(&rng.base, input, size_bytes / 2);
    for (size_t i = size_bytes / 2; i < size_bytes; i++)
        input[i] = (uint8_t)("milk run "[i % 9]);
    return input;
}

static const size_t sizes[] = {0, 1, 100, 65536, INPUT_BYTES_MAX};

static void test_snappy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *input CLEANUP(mem_free_at) = make_input(sizes[i]);
        const size_t capacity = codec_snappy_bound(sizes[i]);
        uint8_t *packed CLEANUP(mem_free_at) = mem_alloc(capacity);
        char *output CLEANUP(mem_free_at) = mem_alloc(sizes[i]);
        const size_t size = codec_snappy_compress(slice_of(input, sizes[i]), packed, capacity);
        size_t output_bytes = sizes[i];
        assert_int_equal(snappy_uncompress((const char *)packed, size, output, &output_bytes),
                         SNAPPY_OK);
        assert_int_equal(output_bytes, sizes[i]);
        assert_memory_equal(output, input, sizes[i]);
    }
}

static void test_zstd(void **state)
{
    struct codec_zstd *zstd CLEANUP(codec_zstd_free) = codec_zstd_new();
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *input CLEANUP(mem_free_at) = make_input(sizes[i]);
        const size_t capacity = codec_zstd_bound(sizes[i]);
        uint8_t *packed CLEANUP(mem_free_at) = mem_alloc(capacity);
        uint8_t *again CLEANUP(mem_free_at) = mem_alloc(capacity);
        uint8_t *output CLEANUP(mem_free_at) = mem_alloc(sizes[i]);
        const size_t size = codec_zstd_compress(zstd, slice_of(input, sizes[i]), packed, capacity);
        assert_int_equal(ZSTD_getFrameContentSize(packed, size), sizes[i]);
        assert_int_equal(ZSTD_decompress(output, sizes[i], packed, size), sizes[i]);
        assert_memory_equal(output, input, sizes[i]);
        // The scratch memory keeps nothing of what came before.
        assert_int_equal(codec_zstd_compress(zstd, slice_of(input, sizes[i]), again, capacity),
                         size);
        assert_memory_equal(packed, again, size);
    }
}

static void test_gzip(void **state)
{
    struct codec_gzip *gzip CLEANUP(codec_gzip_free) = codec_gzip_new();
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *input CLEANUP(mem_free_at) = make_input(sizes[i]);
        const size_t capacity = codec_gzip_bound(gzip, sizes[i]);
        uint8_t *packed CLEANUP(mem_free_at) = mem_alloc(capacity);
        uint8_t *output CLEANUP(mem_free_at) = mem_alloc(sizes[i]);
        size_t output_bytes = 0;
        const size_t size = codec_gzip_compress(gzip, slice_of(input, sizes[i]), packed, capacity);
        assert_int_equal(
            libdeflate_gzip_decompress(decompressor, packed, size, output, sizes[i], &output_bytes),
            LIBDEFLATE_SUCCESS);
        assert_int_equal(output_bytes, sizes[i]);
        assert_memory_equal(output, input, sizes[i]);
        assert_memory_equal(packed + 4, "\0\0\0\0", 4); // mtime
    }
    libdeflate_free_decompressor(decompressor);
}

// step: bytes of input per call; capacity_bytes: of output per call.
static size_t stream(struct slice input, size_t step, size_t capacity_bytes, uint8_t *ret_bytes)
{
    struct codec_zstd_stream *stream CLEANUP(codec_zstd_stream_free) = codec_zstd_stream_new();
    size_t size_bytes = 0;
    while (!slice_is_empty(input)) {
        struct slice part = slice_part(input, 0, step < input.size_bytes ? step : input.size_bytes);
        input = slice_from(input, part.size_bytes);
        while (!slice_is_empty(part))
            size_bytes += codec_zstd_stream_update(stream, &part, ret_bytes + size_bytes,
                                                   capacity_bytes);
    }
    for (bool is_done = false; !is_done;)
        size_bytes += codec_zstd_stream_end(stream, ret_bytes + size_bytes, capacity_bytes,
                                            &is_done);
    return size_bytes;
}

static void test_stream_does_not_depend_on_cuts(void **state)
{
    static const size_t steps[] = {INPUT_BYTES_MAX, 1, 131072, 131071, 999};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *input CLEANUP(mem_free_at) = make_input(sizes[i]);
        const size_t room = 2 * INPUT_BYTES_MAX;
        uint8_t *first CLEANUP(mem_free_at) = mem_alloc(room);
        uint8_t *again CLEANUP(mem_free_at) = mem_alloc(room);
        uint8_t *output CLEANUP(mem_free_at) = mem_alloc(sizes[i]);
        const struct slice all = slice_of(input, sizes[i]);
        const size_t size = stream(all, steps[0], codec_zstd_stream_capacity(), first);
        assert_int_equal(ZSTD_decompress(output, sizes[i], first, size), sizes[i]);
        assert_memory_equal(output, input, sizes[i]);
        for (size_t j = 1; j < sizeof steps / sizeof steps[0]; j++) {
            assert_int_equal(stream(all, steps[j], 1000, again), size);
            assert_memory_equal(first, again, size);
        }
    }
}

static void test_stream_has_a_checksum(void **state)
{
    uint8_t packed[1000];
    uint8_t output[100];
    (void)state;
    const size_t size = stream(slice_text("some text"), 9, sizeof packed, packed);
    packed[size - 1] ^= 1;
    assert_true(ZSTD_isError(ZSTD_decompress(output, sizeof output, packed, size)));
}

static void test_ids(void **state)
{
    (void)state;
    assert_string_equal(codec_zstd_id(), "zstd-" ZSTD_VERSION_STRING "-l1");
    assert_memory_equal(codec_snappy_id(), "snappy-1.", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snappy),
        cmocka_unit_test(test_zstd),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_stream_does_not_depend_on_cuts),
        cmocka_unit_test(test_stream_has_a_checksum),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
