// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "net/http_target.h"

struct target_row {
    const char *raw;
    int status; // 0: sound
    const char *path_or_message;
};

static const struct target_row rows[] = {
    {"/", 0, "/"},
    {"/a/b%20c", 0, "/a/b c"},
    {"/a?x=1", 0, "/a"},
    {"/a//b/", 0, "/a//b/"},
    {"/./a", 0, "/./a"}, // names nothing; a signature over it does not match
    {"/a%3Db=c", 0, "/a=b=c"},
    {"/%C3%A4", 0, "/\xc3\xa4"},
    {"/...", 0, "/..."},
    {"/a;v=1", 0, "/a;v=1"},
    {"http://host:1/x?y=2", 0, "/x"},
    {"HTTPS://HOST:1", 0, "/"},
    {"http://host:1?y", 0, "/"},
    {"http://Own.example/x", 0, "/x"},
    {"https://own.example:8443/x", 0, "/x"},
    {"https://own.example:8443", 0, "/"},
    {"https://own.example:8444/x", 421, "Misdirected request"},
    {"https://own.exampl/x", 421, "Misdirected request"},
    {"http://other/x", 421, "Misdirected request"},
    {"http://host:1@evil/x", 421, "Misdirected request"},
    {"http:///x", 421, "Misdirected request"},
    {"ftp://host:1/x", 400, "Invalid request target"},
    {"", 400, "Invalid request target"},
    {"foo", 400, "Invalid request target"},
    {"?x", 400, "Invalid request target"},
    {"/a#b", 400, "Invalid request target"},
    {"/a b", 400, "Invalid request target"},
    {"/\x80", 400, "Invalid request target"},
    {"/\x7f", 400, "Invalid request target"},
    {"/a%zz", 400, "Invalid percent-encoding"},
    {"/a%4", 400, "Invalid percent-encoding"},
    {"/a%", 400, "Invalid percent-encoding"},
    {"/a?b=%", 400, "Invalid percent-encoding"},
    {"/a?%g0=1", 400, "Invalid percent-encoding"},
    {"/%c0%af..%c0%afetc", 400, "Invalid UTF-8 in path"},
    {"/%ed%a0%80", 400, "Invalid UTF-8 in path"},
    {"/%f4%90%80%80", 400, "Invalid UTF-8 in path"},
    {"/%e2%82", 400, "Invalid UTF-8 in path"},
    {"/a?b=%ff", 400, "Invalid UTF-8 in query"},
    {"/scheduled-exports/../admin", 400, "Invalid path"},
    {"/scheduled-exports/%2e%2e/admin", 400, "Invalid path"},
    {"/..", 400, "Invalid path"},
    {"/a/.%2E", 400, "Invalid path"},
    {"/a%2fb", 400, "Invalid path"},
    {"/a%2Fb", 400, "Invalid path"},
    {"/a%5cb", 400, "Invalid path"},
    {"/a\\b", 400, "Invalid path"},
    {"/a%00", 400, "Invalid path"},
    {"/a%0d%0ab", 400, "Invalid path"},
};

static const char *const own_names[] = {"own.example", "own.example:8443"};

static struct http_authorities authorities_of(const char *host)
{
    return (struct http_authorities){slice_text(host), own_names, ARRAY_COUNT(own_names)};
}

static void test_paths(void **state)
{
    const struct http_authorities authorities = authorities_of("host:1");
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct arena arena;
        arena_init(&arena);
        struct http_target target;
        struct http_refusal refusal = {0, "", false};
        const bool is_sound = http_target_parse(slice_text(rows[i].raw), &authorities, &arena,
                                                &target, &refusal);
        const bool is_right = is_sound ? slice_equal_text(target.path, rows[i].path_or_message)
                                       : strcmp(refusal.message, rows[i].path_or_message) == 0;
        if (is_sound != (rows[i].status == 0) || refusal.status != rows[i].status || !is_right)
            fail_msg("%s: %d %s", rows[i].raw, refusal.status, refusal.message);
        arena_clear(&arena);
    }
}

static void test_query(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct http_target target;
    struct http_refusal refusal;
    const struct http_authorities authorities = authorities_of("h");
    const char *raw = "/p?a=1&&b&a=%26x%3D+y=z&=v&c[]=%00";
    assert_true(http_target_parse(slice_text(raw), &authorities, &arena, &target, &refusal));
    assert_true(slice_equal_text(target.raw_path, "/p"));
    assert_true(slice_equal_text(target.raw_query, "a=1&&b&a=%26x%3D+y=z&=v&c[]=%00"));
    assert_int_equal(target.pair_count, 5);
    assert_true(slice_equal_text(target.pairs[0].value, "1"));
    assert_true(slice_equal_text(target.pairs[1].name, "b"));
    assert_int_equal(target.pairs[1].value.size_bytes, 0);
    assert_true(slice_equal_text(target.pairs[2].value, "&x=+y=z"));
    assert_int_equal(target.pairs[3].name.size_bytes, 0);
    assert_true(slice_equal_text(target.pairs[4].name, "c[]"));
    assert_true(slice_equal(target.pairs[4].value, slice_of("\0", 1)));
    arena_clear(&arena);
}

static void test_asterisk(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct http_target target;
    struct http_refusal refusal;
    const struct http_authorities authorities = authorities_of("h");
    assert_true(http_target_parse(slice_text("*"), &authorities, &arena, &target, &refusal));
    assert_true(target.is_asterisk);
    assert_int_equal(target.path.size_bytes, 0);
    arena_clear(&arena);
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const valid[] = {"",
                                        "a",
                                        "\xc2\x80",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    static const char *const invalid[] = {"\x80",
                                          "\xc1\xbf",
                                          "\xe0\x9f\xbf",
                                          "\xed\xbf\xbf",
                                          "\xf0\x8f\xbf\xbf",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xc2",
                                          "\xe2\x82",
                                          "\xe2\x28\xa1",
                                          "\xff"};
    for (size_t i = 0; i < ARRAY_COUNT(valid); i++)
        assert_true(http_utf8_is_valid(slice_text(valid[i])));
    for (size_t i = 0; i < ARRAY_COUNT(invalid); i++)
        assert_false(http_utf8_is_valid(slice_text(invalid[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_asterisk),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
