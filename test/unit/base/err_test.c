// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void test_set_and_wrap_build_one_message(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_NOT_FOUND, "file %d", 7));
    assert_false(err_wrap(&err, "open %s", "x"));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.message, "open x: file 7");
}

static void test_long_messages_are_cut_not_overrun(void **state)
{
    (void)state;
    struct err err = {0};
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(err_set(&err, ERR_IO, "%s", text));
    assert_false(err_wrap(&err, "%s", text));
    assert_false(err_wrap(&err, "short"));
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void test_errno_decides_the_kind(void **state)
{
    (void)state;
    struct err err = {0};
    errno = ENOSPC;
    assert_false(err_set_errno(&err, "write"));
    assert_int_equal(err.kind, ERR_FULL);
    errno = ENOENT;
    assert_false(err_set_errno(&err, "open"));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    errno = EACCES;
    assert_false(err_set_errno(&err, "open"));
    assert_int_equal(err.kind, ERR_DENIED);
    errno = EIO;
    assert_false(err_set_errno(&err, "read %s", "f"));
    assert_int_equal(err.kind, ERR_IO);
    assert_string_equal(err.message, "read f: Input/output error");
}

static void test_null_err_is_accepted(void **state)
{
    (void)state;
    assert_false(err_set(NULL, ERR_IO, "x"));
    assert_false(err_set_errno(NULL, "x"));
    assert_false(err_wrap(NULL, "x"));
}

static void test_exit_codes_are_told_apart(void **state)
{
    (void)state;
    for (int kind = ERR_INVALID; kind <= ERR_CORRUPT; kind++) {
        const int code = err_kind_exit_code((enum err_kind)kind);
        assert_true(code > 0);
        assert_int_equal(err_kind_of_exit_code(code), kind);
    }
    assert_int_equal(err_kind_of_exit_code(99), ERR_IO);
}

static void test_retry_table(void **state)
{
    (void)state;
    assert_true(err_kind_is_retryable(ERR_UNAVAILABLE));
    assert_true(err_kind_is_retryable(ERR_FULL));
    assert_true(err_kind_is_retryable(ERR_LIMIT));
    assert_false(err_kind_is_retryable(ERR_INVALID));
    assert_false(err_kind_is_retryable(ERR_CORRUPT));
    assert_false(err_kind_is_retryable(ERR_DENIED));
    assert_string_equal(err_kind_name(ERR_CORRUPT), "corrupt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_wrap_build_one_message),
        cmocka_unit_test(test_long_messages_are_cut_not_overrun),
        cmocka_unit_test(test_errno_decides_the_kind),
        cmocka_unit_test(test_null_err_is_accepted),
        cmocka_unit_test(test_exit_codes_are_told_apart),
        cmocka_unit_test(test_retry_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
