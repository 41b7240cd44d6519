// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "cloud/s3_address.h"

static void test_who_is_amazon(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "https://s3.eu-west-1.amazonaws.com", "http://s3.amazonaws.com",
        "https://s3.amazonaws.com:443",       "https://s3.dualstack.cn-north-1.amazonaws.com.cn",
        "https://S3.AMAZONAWS.COM",
    };
    static const char *const others[] = {
        "https://amazonaws.com.example",
        "https://s3.example",
        "https://s3.amazonaws.com.example:9000",
        "https://amazonaws.com",
        "https://notamazonaws.com",
        "",
    };
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++)
        assert_true(s3_is_amazon(hosts[i]));
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        assert_false(s3_is_amazon(others[i]));
}

static void test_names_with_a_dot(void **state)
{
    (void)state;
    assert_true(s3_needs_path_style("https://s3.eu-west-1.amazonaws.com", "a.b"));
    assert_false(s3_needs_path_style("https://s3.eu-west-1.amazonaws.com", "a-b"));
    assert_false(s3_needs_path_style("http://s3.eu-west-1.amazonaws.com", "a.b"));
    assert_false(s3_needs_path_style("https://s3.example", "a.b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_amazon),
        cmocka_unit_test(test_names_with_a_dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
