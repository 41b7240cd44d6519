// SPDX-License-Identifier: Apache-2.0
// Batches of whole lines: the same ones however the bytes are stored, because idempotency keys
// count them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/line_file.h"

#define BYTES_MAX ((size_t)16 << 20)

struct fixture {
    char directory[64];
    char path[96];
    struct arena arena;
    struct err err;
    struct line_file *file;
};

static void check(struct fixture *fixture, bool is_fine)
{
    if (!is_fine)
        fail_msg("%s", fixture->err.message);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-lines-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/file", fixture->directory);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    line_file_close(&fixture->file);
    (void)unlink(fixture->path);
    assert_int_equal(rmdir(fixture->directory), 0);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static void open_bytes(struct fixture *fixture, struct slice bytes, size_t batch_bytes)
{
    line_file_close(&fixture->file);
    check(fixture, file_replace(fixture->path, bytes, &fixture->err));
    check(fixture, line_file_open(fixture->path, batch_bytes, &fixture->file, &fixture->err));
}

static void open_text(struct fixture *fixture, const char *text, size_t batch_bytes)
{
    open_bytes(fixture, slice_text(text), batch_bytes);
}

static struct slice gzip_of(struct fixture *fixture, struct slice bytes)
{
    struct codec_gzip *gzip CLEANUP(codec_gzip_free) = codec_gzip_new();
    const size_t capacity = codec_gzip_bound(gzip, bytes.size_bytes);
    uint8_t *member = arena_alloc(&fixture->arena, capacity);
    return slice_of(member, codec_gzip_compress(gzip, bytes, member, capacity));
}

static const char *next(struct fixture *fixture)
{
    struct slice lines;
    check(fixture, line_file_next(fixture->file, &lines, &fixture->err));
    return arena_copy_slice(&fixture->arena, lines);
}

static enum err_kind read_to_failure(struct fixture *fixture)
{
    for (;;) {
        struct slice lines;
        if (!line_file_next(fixture->file, &lines, &fixture->err))
            return fixture->err.kind;
        if (slice_is_empty(lines))
            return ERR_NONE;
    }
}

// All batches, each followed by '|'.
static const char *batches(struct fixture *fixture)
{
    struct buf all CLEANUP(buf_clear);
    buf_init(&all, BYTES_MAX);
    for (;;) {
        struct slice lines;
        check(fixture, line_file_next(fixture->file, &lines, &fixture->err));
        if (slice_is_empty(lines))
            break;
        buf_append(&all, lines);
        buf_append_char(&all, '|');
    }
    check(fixture, buf_check(&all, &fixture->err));
    return arena_copy_text(&fixture->arena, buf_text(&all));
}

static void test_batches_end_with_the_last_line_that_fits(void **state)
{
    struct fixture *fixture = *state;
    open_text(fixture, "one\ntwo\nthree\nfour\n", 9);
    assert_string_equal(next(fixture), "one\ntwo\n");
    assert_int_equal(line_file_first_line(fixture->file), 1);
    assert_string_equal(next(fixture), "three\n");
    assert_int_equal(line_file_first_line(fixture->file), 3);
    assert_string_equal(next(fixture), "four\n");
    assert_int_equal(line_file_first_line(fixture->file), 4);
    assert_int_equal(line_file_position(fixture->file), 19);
    assert_string_equal(next(fixture), "");
    assert_string_equal(next(fixture), "");
}

static void test_ends_of_files(void **state)
{
    struct fixture *fixture = *state;
    static const char *const files[][2] = {
        {"", ""},
        {"\n", "\n|"},
        {"one", "one|"},
        {"one\ntwo", "one\ntwo|"},
        {"one\ntwo\nlast", "one\ntwo\n|last|"},
        {"one\r\ntwo\r\n", "one\r\n|two\r\n|"}, // CR is the server's affair
        {"12345678\n", "12345678\n|"},
        {"123456789", "123456789|"},
        {"1234567890123", "1234567890123|"},
        {"\n\n\n\n\n\n\n\n\n\n\n", "\n\n\n\n\n\n\n\n\n|\n\n|"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        open_text(fixture, files[i][0], 9);
        assert_string_equal(batches(fixture), files[i][1]);
        open_bytes(fixture, gzip_of(fixture, slice_text(files[i][0])), 9);
        assert_string_equal(batches(fixture), files[i][1]);
    }
}

static void test_lines_without_end_are_counted(void **state)
{
    struct fixture *fixture = *state;
    open_text(fixture, "a\n\nb\nlonger than a batch\nc\nxyz", 4);
    const uint64_t first_lines[] = {1, 3, 4, 5, 6};
    const char *const expected[] = {"a\n\n", "b\n", "longer than a batch\n", "c\n", "xyz"};
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(next(fixture), expected[i]);
        assert_int_equal(line_file_first_line(fixture->file), first_lines[i]);
    }
}

static void test_long_line_is_a_batch_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    open_text(fixture, "a\n0123456789abcdef\nb\n", 4);
    assert_string_equal(batches(fixture), "a\n|0123456789abcdef\n|b\n|");
}

// The limit is the same for a line with and without end, plain and packed.
static void test_line_beyond_all_bounds(void **state)
{
    struct fixture *fixture = *state;
    const size_t limit = 16 * 100;
    char text[2000];
    memset(text, 'x', sizeof text);
    const char *const ends[] = {"", "\nmore\n"};
    for (size_t i = 0; i < 4; i++) {
        const char *end = ends[i % 2];
        const size_t line_end = i % 2; // LF counts
        const char *fits = arena_format(&fixture->arena, "a\n%.*s%s", (int)(limit - line_end), text,
                                        end);
        const char *exceeds = arena_format(&fixture->arena, "a\n%.*s%s",
                                           (int)(limit + 1 - line_end), text, end);
        const bool is_packed = i >= 2;
        open_bytes(fixture, is_packed ? gzip_of(fixture, slice_text(fits)) : slice_text(fits), 100);
        assert_int_equal(read_to_failure(fixture), ERR_NONE);
        open_bytes(fixture, is_packed ? gzip_of(fixture, slice_text(exceeds)) : slice_text(exceeds),
                   100);
        assert_string_equal(next(fixture), "a\n");
        assert_int_equal(read_to_failure(fixture), ERR_LIMIT);
        assert_non_null(strstr(fixture->err.message, "line 2"));
    }
}

static void test_endless_line_is_refused_early(void **state)
{
    struct fixture *fixture = *state;
    char *text = arena_alloc(&fixture->arena, BYTES_MAX);
    memset(text, 'x', BYTES_MAX);
    open_bytes(fixture, slice_of(text, BYTES_MAX), 100000);
    assert_int_equal(read_to_failure(fixture), ERR_LIMIT);
    assert_true(line_file_position(fixture->file) < 3000000);
    open_bytes(fixture, gzip_of(fixture, slice_of(text, BYTES_MAX)), 100000);
    assert_int_equal(read_to_failure(fixture), ERR_LIMIT);
}

// Larger than what is read at once, with lines of many lengths.
static const char *many_lines(struct fixture *fixture)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, BYTES_MAX);
    uint32_t random = 1;
    for (int i = 0; i < 30000; i++) {
        random = random * 1664525 + 1013904223;
        const int length = (int)(random >> 24) % 90;
        buf_append_format(
            &text, "%d %.*s\n", i, length,
            "..........................................................................."
            "...............");
    }
    check(fixture, buf_check(&text, &fixture->err));
    return arena_copy_text(&fixture->arena, buf_text(&text));
}

static void test_batches_depend_on_the_text_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct slice text = slice_text(many_lines(fixture));
    assert_true(text.size_bytes > (size_t)1 << 20);
    const size_t sizes[] = {9000, 262144, 300000, 8000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        open_bytes(fixture, text, sizes[i]);
        const char *plain = batches(fixture);
        open_bytes(fixture, gzip_of(fixture, text), sizes[i]);
        assert_true(strcmp(batches(fixture), plain) == 0);
        const size_t half = text.size_bytes / 2;
        const struct slice first = gzip_of(fixture, slice_part(text, 0, half));
        const struct slice second = gzip_of(fixture, slice_from(text, half));
        struct buf members CLEANUP(buf_clear);
        buf_init(&members, BYTES_MAX);
        buf_append(&members, first);
        buf_append(&members, second);
        open_bytes(fixture, buf_slice(&members), sizes[i]);
        assert_true(strcmp(batches(fixture), plain) == 0);
    }
}

static void test_damaged_gzip_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct slice whole = gzip_of(fixture, slice_text(many_lines(fixture)));
    for (size_t cut = 1; cut <= 20; cut++) {
        open_bytes(fixture, slice_part(whole, 0, whole.size_bytes * cut / 21), 1000);
        if (whole.size_bytes * cut / 21 >= 2)
            assert_int_equal(read_to_failure(fixture), ERR_INVALID);
    }
    open_bytes(fixture, slice_part(whole, 0, whole.size_bytes - 1), 1000);
    assert_int_equal(read_to_failure(fixture), ERR_INVALID);
    assert_non_null(strstr(fixture->err.message, fixture->path));
    uint8_t *copy = arena_alloc(&fixture->arena, whole.size_bytes + 1);
    memcpy(copy, whole.data, whole.size_bytes);
    copy[whole.size_bytes - 6] ^= 1; // of the CRC
    open_bytes(fixture, slice_of(copy, whole.size_bytes), 1000);
    assert_int_equal(read_to_failure(fixture), ERR_INVALID);
    memcpy(copy, whole.data, whole.size_bytes);
    copy[whole.size_bytes] = 'x';
    open_bytes(fixture, slice_of(copy, whole.size_bytes + 1), 1000);
    assert_int_equal(read_to_failure(fixture), ERR_INVALID);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct fixture *fixture = *state;
    assert_false(line_file_open("/nowhere/file", 100, &fixture->file, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_null(fixture->file);
    check(fixture, line_file_open(fixture->directory, 100, &fixture->file, &fixture->err));
    assert_int_equal(read_to_failure(fixture), ERR_IO);
}

#define line_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        line_test(test_batches_end_with_the_last_line_that_fits),
        line_test(test_ends_of_files),
        line_test(test_lines_without_end_are_counted),
        line_test(test_long_line_is_a_batch_of_its_own),
        line_test(test_line_beyond_all_bounds),
        line_test(test_endless_line_is_refused_early),
        line_test(test_batches_depend_on_the_text_alone),
        line_test(test_damaged_gzip_is_refused),
        line_test(test_files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
