// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_coding.h"
#include "base/check.h"
#include "base/gzip.h"
#include "base/mem.h"

static void clients_say_what_they_take(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool wants;
    } cases[] = {
        {"gzip", true},
        {"GZIP", true},
        {"x-gzip", true},
        {"deflate, gzip;q=1.0, *;q=0.5", true},
        {"br , gzip ; q=0.001", true},
        {"*", true},
        {"identity;q=0.5, gzip;q=0.5", true},
        {"gzip;Q=1", true},
        {"", false},
        {"identity", false},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"*;q=0", false},
        {"*, gzip;q=0", false},
        {"gzip;q=0.5, identity", false},
        {"gzip;q=0.5, identity;q=0.8", false},
        {"gzip;q=1.5", false},
        {"gzip;q=x", false},
        {"gzip;q=0.5555", false},
        {"gzip;q=", false},
        {"gzipped", false},
        {"deflate, br", false},
        {",,;;, ;q=1", false},
    };
    assert_false(api_coding_wants_gzip(slice_of(NULL, 0)));
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        if (api_coding_wants_gzip(slice_text(cases[i].header)) != cases[i].wants)
            fail_msg("%s", cases[i].header);
    }
}

static void assert_gzip_of(size_t size_bytes)
{
    char *text = mem_alloc(size_bytes + 1);
    uint8_t *back = mem_alloc(size_bytes + 16);
    for (size_t i = 0; i < size_bytes; i++)
        text[i] = (char)('a' + i * i % 23);
    struct buf coded;
    buf_init(&coded, 2 * size_bytes + 4096);
    api_coding_gzip(slice_of(text, size_bytes), &coded);
    assert_false(coded.overflowed);
    struct gunzip *gunzip = gunzip_new();
    struct slice input = buf_slice(&coded);
    size_t total = 0;
    struct err err;
    for (;;) {
        size_t count = 0;
        assert_true(
            gunzip_next(gunzip, &input, back + total, size_bytes + 16 - total, &count, &err));
        total += count;
        if (count == 0 && slice_is_empty(input))
            break;
    }
    assert_true(gunzip_end(gunzip, &err));
    assert_int_equal(total, size_bytes);
    assert_memory_equal(text, back, size_bytes);
    gunzip_free(&gunzip);
    buf_clear(&coded);
    mem_free(text);
    mem_free(back);
}

static void texts_of_any_length_come_back(void **state)
{
    (void)state;
    assert_gzip_of(1);
    assert_gzip_of(API_CODING_BYTES_MIN);
    assert_gzip_of(GZIP_BLOCK_INPUT_BYTES);
    assert_gzip_of(GZIP_BLOCK_INPUT_BYTES + 1);
    assert_gzip_of(3 * GZIP_BLOCK_INPUT_BYTES + 12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_say_what_they_take),
        cmocka_unit_test(texts_of_any_length_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
