// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/uri.h"

static void assert_encoded(struct slice text, const char *kept, const char *encoded)
{
    struct buf out;
    buf_init(&out, 1024);
    uri_append_encoded(&out, text, kept);
    assert_string_equal(buf_text(&out), encoded);
    buf_clear(&out);
}

static void only_what_is_unreserved_or_kept_stays(void **state)
{
    (void)state;
    assert_encoded(slice_text("aZ09-._~"), "", "aZ09-._~");
    assert_encoded(slice_text("a b/c?d=\"\xc3\xbc\">"), "", "a%20b%2Fc%3Fd%3D%22%C3%BC%22%3E");
    assert_encoded(slice_text("/v1/a=b"), "/", "/v1/a%3Db");
    assert_encoded(slice_of("a\0\xff", 3), "/", "a%00%FF");
    assert_encoded(slice_of(NULL, 0), "/", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_is_unreserved_or_kept_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
