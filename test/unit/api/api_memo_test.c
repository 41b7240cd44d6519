// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "api/api_memo.h"
#include "base/mem.h"

static void assert_known(const struct api_memo *memo, const char *key, const char *expected)
{
    struct slice value;
    assert_true(api_memo_find(memo, slice_text(key), &value));
    assert_true(slice_equal_text(value, expected));
}

static void assert_unknown(const struct api_memo *memo, const char *key)
{
    struct slice value;
    assert_false(api_memo_find(memo, slice_text(key), &value));
}

static void values_are_found_until_cleared(void **state)
{
    (void)state;
    struct api_memo *memo = api_memo_new();
    assert_unknown(memo, "a");
    char key[] = "a";
    api_memo_add(memo, slice_text(key), slice_text("one"));
    key[0] = 'b'; // it keeps copies
    api_memo_add(memo, slice_text(key), slice_text(""));
    assert_known(memo, "a", "one");
    assert_known(memo, "b", "");
    api_memo_add(memo, slice_text("a"), slice_text("two"));
    assert_known(memo, "a", "two");
    api_memo_clear(memo);
    assert_unknown(memo, "a");
    api_memo_free(&memo);
    assert_null(memo);
    api_memo_free(&memo);
}

static void no_memo_knows_nothing(void **state)
{
    (void)state;
    api_memo_add(NULL, slice_text("a"), slice_text("b"));
    assert_unknown(NULL, "a");
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct api_memo *memo = api_memo_new();
    const size_t size = 60000;
    char *value = mem_alloc(100000);
    api_memo_add(memo, slice_text("large"), slice_of(value, 100000));
    assert_unknown(memo, "large");
    size_t known = 0;
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        api_memo_add(memo, slice_text(key), slice_of(value, size));
        assert_true(api_memo_find(memo, slice_text(key), &(struct slice){0}));
    }
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i);
        known += api_memo_find(memo, slice_text(key), &(struct slice){0});
    }
    assert_in_range(known, 1, 1024 * 1024 / size);
    mem_free(value);
    api_memo_free(&memo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_until_cleared),
        cmocka_unit_test(no_memo_knows_nothing),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
