// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

static void test_buffer_grows_up_to_its_limit(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_clear);
    buf_init(&buf, 10);
    buf_append_text(&buf, "12345");
    buf_append_format(&buf, "%d", 67890);
    struct err err = {0};
    assert_true(buf_check(&buf, &err));
    assert_string_equal(buf_text(&buf), "1234567890");
    buf_append_char(&buf, 'x');
    assert_false(buf_check(&buf, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(buf_text(&buf), "1234567890");
    buf_reset(&buf);
    assert_true(buf_check(&buf, &err));
    assert_string_equal(buf_text(&buf), "");
}

static void test_buffer_consumes_from_the_front(void **state)
{
    (void)state;
    struct buf buf CLEANUP(buf_clear);
    buf_init(&buf, 100);
    buf_append_text(&buf, "abcdef");
    buf_consume(&buf, 2);
    assert_string_equal(buf_text(&buf), "cdef");
    buf_consume(&buf, 4);
    assert_int_equal(buf.size_bytes, 0);
}

static void test_taken_bytes_belong_to_the_caller(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    char *empty CLEANUP(mem_free_at) = buf_take(&buf);
    assert_string_equal(empty, "");
    buf_append_text(&buf, "mine");
    char *text CLEANUP(mem_free_at) = buf_take(&buf);
    assert_string_equal(text, "mine");
    assert_null(buf.data);
}

static void test_arena_pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&arena, i * 7 + 1);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < i * 7 + 1; j++)
            assert_int_equal(pieces[i][j], 0);
        memset(pieces[i], (int)i, i * 7 + 1);
    }
    for (size_t i = 0; i < 200; i++)
        assert_int_equal((unsigned char)pieces[i][i * 7], i);
    char *large = arena_alloc(&arena, 100000);
    large[99999] = 1;
    assert_string_equal(arena_format(&arena, "%s-%d", "a", 5), "a-5");
    assert_string_equal(arena_copy_slice(&arena, slice_of("abc", 2)), "ab");
    arena_clear(&arena);
    assert_null(arena.chunks);
}

static void test_slices_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(slice_equal(slice_of(NULL, 0), slice_text("")));
    assert_true(slice_equal_text(slice_of("abc", 2), "ab"));
    assert_true(slice_compare(slice_text("ab"), slice_text("abc")) < 0);
    assert_true(slice_compare(slice_text("b"), slice_text("abc")) > 0);
    assert_int_equal(slice_compare(slice_text("x"), slice_text("x")), 0);
    assert_true(slice_equal_constant_time(slice_text("secret"), slice_text("secret")));
    assert_false(slice_equal_constant_time(slice_text("secret"), slice_text("secreu")));
    assert_false(slice_equal_constant_time(slice_text("secret"), slice_text("secre")));
    assert_true(slice_starts_with(slice_text("abc"), slice_text("")));
    assert_false(slice_starts_with(slice_text("a"), slice_text("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer_grows_up_to_its_limit),
        cmocka_unit_test(test_buffer_consumes_from_the_front),
        cmocka_unit_test(test_taken_bytes_belong_to_the_caller),
        cmocka_unit_test(test_arena_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_slices_compare_by_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
