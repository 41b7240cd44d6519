// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/crc32c.h"
#include "base/gzip.h"
#include "base/mem.h"

static void test_self_check_passes_here(void **state)
{
    (void)state;
    assert_true(gzip_self_check());
}

static void free_deflaters(struct gzip_deflater *(*deflaters)[2])
{
    gzip_deflater_free(&(*deflaters)[0]);
    gzip_deflater_free(&(*deflaters)[1]);
}

// Two deflaters lie at different addresses. ISA-L alone fails this a few times in 20,000 blocks.
static void test_bytes_do_not_depend_on_addresses(void **state)
{
    (void)state;
    struct gzip_deflater *deflaters[2] CLEANUP(free_deflaters) = {gzip_deflater_new(),
                                                                  gzip_deflater_new()};
    uint8_t *outputs CLEANUP(mem_free_at) = mem_alloc(2 * GZIP_BLOCK_OUTPUT_BYTES);
    uint32_t random = 1;
    for (size_t round = 0; round < 20000; round++) {
        uint8_t input[2048];
        for (size_t i = 0; i < 16; i++) {
            random = random * UINT32_C(1664525) + UINT32_C(1013904223);
            input[i] = (uint8_t)('a' + (random >> 24) % 26);
        }
        for (size_t i = 16; i < sizeof input; i++)
            input[i] = (uint8_t)(input[i - 16] + (i % 112 == 100 ? 1 : 0));
        size_t sizes[2];
        uint32_t crc;
        for (size_t i = 0; i < 2; i++)
            sizes[i] = gzip_deflate_block(deflaters[i], slice_of(input, sizeof input),
                                          outputs + i * GZIP_BLOCK_OUTPUT_BYTES, &crc);
        assert_int_equal(sizes[0], sizes[1]);
        assert_memory_equal(outputs, outputs + GZIP_BLOCK_OUTPUT_BYTES, sizes[0]);
    }
}

static void test_crc_of_parts_combines(void **state)
{
    (void)state;
    char bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i % 251);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 617) {
        const uint32_t head = crc32_gzip(slice_of(bytes, cut));
        const uint32_t tail = crc32_gzip(slice_of(bytes + cut, sizeof bytes - cut));
        assert_int_equal(gzip_crc_combine(head, tail, sizeof bytes - cut),
                         crc32_gzip(slice_of(bytes, sizeof bytes)));
    }
    assert_int_equal(crc32c(slice_text("123456789")), 0xe3069283);
    assert_int_equal(crc32_gzip(slice_text("123456789")), 0xcbf43926);
}

// Decodes with pieces of input and output of the given sizes.
static bool inflate_all(struct slice input, size_t in_step, size_t out_step, struct buf *output,
                        struct err *err)
{
    struct gunzip *gunzip CLEANUP(gunzip_free) = gunzip_new();
    uint8_t bytes[4096];
    while (input.size_bytes > 0) {
        const size_t part = input.size_bytes < in_step ? input.size_bytes : in_step;
        struct slice piece = slice_part(input, 0, part);
        input = slice_from(input, part);
        for (;;) {
            size_t size = 0;
            if (!gunzip_next(gunzip, &piece, bytes, out_step, &size, err))
                return false;
            buf_append(output, slice_of(bytes, size));
            if (size == 0 && piece.size_bytes == 0)
                break;
        }
    }
    return gunzip_end(gunzip, err);
}

static size_t make_member(const char *text, size_t size, uint8_t *member)
{
    struct codec_gzip *gzip CLEANUP(codec_gzip_free) = codec_gzip_new();
    return codec_gzip_compress(gzip, slice_of(text, size), member, codec_gzip_bound(gzip, size));
}

static void test_members_are_read_in_any_pieces(void **state)
{
    (void)state;
    char text[10000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "abcdefgh"[i * i / 7 % 8];
    uint8_t *bytes CLEANUP(mem_free_at) = mem_alloc(60000);
    size_t size = make_member(text, sizeof text, bytes);
    size += make_member("", 0, bytes + size);
    size += make_member("end", 3, bytes + size);
    static const size_t steps[] = {1, 2, 3, 17, 4096};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            struct err err = {0};
            struct buf output CLEANUP(buf_clear);
            buf_init(&output, 20000);
            assert_true(inflate_all(slice_of(bytes, size), steps[i], steps[j], &output, &err));
            assert_int_equal(output.size_bytes, sizeof text + 3);
            assert_memory_equal(output.data, text, sizeof text);
            assert_memory_equal(output.data + sizeof text, "end", 3);
        }
    }
}

static void test_damage_is_seen(void **state)
{
    (void)state;
    uint8_t good[400];
    const size_t size = make_member("hello hello hello", 17, good);
    for (size_t i = 0; i < size; i++) {
        // Name, time, extra flags and system of the header say nothing about the data.
        if (i >= 4 && i < 10)
            continue;
        uint8_t bad[400];
        memcpy(bad, good, size);
        bad[i] ^= 0x41;
        struct err err = {0};
        struct buf output CLEANUP(buf_clear);
        buf_init(&output, 20000);
        const bool is_read = inflate_all(slice_of(bad, size), 4096, 4096, &output, &err);
        if (is_read)
            fail_msg("byte %zu", i);
        assert_int_equal(err.kind, ERR_INVALID);
    }
    for (size_t cut = 0; cut < size; cut++) {
        struct err err = {0};
        struct buf output CLEANUP(buf_clear);
        buf_init(&output, 20000);
        assert_false(inflate_all(slice_of(good, cut), 5, 4096, &output, &err));
        assert_string_equal(err.message, "Invalid gzip data");
    }
}

static void test_a_million_members_are_refused(void **state)
{
    (void)state;
    uint8_t *bytes CLEANUP(mem_free_at) = mem_alloc(100000);
    size_t size = 0;
    for (int i = 0; i < 1001; i++)
        size += make_member("", 0, bytes + size);
    struct err err = {0};
    struct buf output CLEANUP(buf_clear);
    buf_init(&output, 100);
    assert_false(inflate_all(slice_of(bytes, size), 4096, 4096, &output, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self_check_passes_here),
        cmocka_unit_test(test_bytes_do_not_depend_on_addresses),
        cmocka_unit_test(test_crc_of_parts_combines),
        cmocka_unit_test(test_members_are_read_in_any_pieces),
        cmocka_unit_test(test_damage_is_seen),
        cmocka_unit_test(test_a_million_members_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
