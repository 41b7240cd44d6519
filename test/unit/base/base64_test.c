// SPDX-License-Identifier: Apache-2.0
// Vectors of RFC 4648, 10.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

struct vector {
    const char *bytes;
    const char *standard;
    const char *url;
};

static void assert_both_ways(enum base64_form form, struct slice bytes, const char *text)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct slice back;
    assert_string_equal(base64_encode(form, bytes, &arena), text);
    assert_true(base64_decode(form, slice_text(text), &arena, &back));
    assert_true(slice_equal(back, bytes));
}

static void test_vectors(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xfe", "+//+", "-__-"},
        {"\xff\xff", "//8=", "__8"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        assert_both_ways(BASE64_STANDARD, slice_text(vectors[i].bytes), vectors[i].standard);
        assert_both_ways(BASE64_URL, slice_text(vectors[i].bytes), vectors[i].url);
    }
}

static void assert_refused(enum base64_form form, struct slice text)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct slice bytes;
    if (base64_decode(form, text, &arena, &bytes))
        fail_msg("taken: %.*s", (int)text.size_bytes, slice_chars(text));
}

static void test_nothing_else_is_taken(void **state)
{
    (void)state;
    static const char *const standard[] = {"Zg",       "Zg=",  "Z===",     "====",        "=",
                                           "Zh==",     "Zm9=", "-__-",     "Zm 8=",       "Zm8=\n",
                                           "Zg==Zg==", "Z=8=", "Zm8=Zm8=", "Zm9vYmFy===="};
    static const char *const url[] = {"Z",   "Zg==",   "Zm8=",  "+//+", "Zh",
                                      "Zm9", "Zm9v\n", "Zm9vY", "=",    "Z_9\xc3"};
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        assert_refused(BASE64_STANDARD, slice_text(standard[i]));
    for (size_t i = 0; i < sizeof url / sizeof url[0]; i++)
        assert_refused(BASE64_URL, slice_text(url[i]));
    assert_refused(BASE64_URL, slice_of("AA\0A", 4));
    assert_refused(BASE64_STANDARD, slice_of("AA\0=", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_nothing_else_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
