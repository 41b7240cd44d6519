// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_auth.h"
#include "api/api_reply.h"
#include "base/check.h"

static void assert_token(struct api_credentials credentials, const char *expected)
{
    struct slice token;
    struct err err;
    credentials.access_token_count += credentials.access_token.size_bytes > 0;
    credentials.authorization_count += credentials.authorization.size_bytes > 0;
    assert_true(api_credentials_token(&credentials, &token, &err));
    assert_true(slice_equal_text(token, expected));
}

static void assert_refused(struct api_credentials credentials, const char *message)
{
    struct slice token;
    struct err err;
    assert_false(api_credentials_token(&credentials, &token, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, message);
}

static void either_header_carries_the_token(void **state)
{
    (void)state;
    const struct slice abc = slice_text("abc");
    assert_token((struct api_credentials){.access_token = abc}, "abc");
    assert_token((struct api_credentials){.access_token = slice_text("\t abc \t")}, "abc");
    assert_token((struct api_credentials){.authorization = slice_text("Bearer abc")}, "abc");
    assert_token((struct api_credentials){.authorization = slice_text("bearer  abc")}, "abc");
    assert_token(
        (struct api_credentials){.access_token = abc, .authorization = slice_text("Bearer abc")},
        "abc");
    // A proxy's own credentials are not ours.
    assert_token(
        (struct api_credentials){.access_token = abc, .authorization = slice_text("Basic eDp5")},
        "abc");
}

static void no_credentials_are_an_empty_token(void **state)
{
    (void)state;
    assert_token((struct api_credentials){0}, "");
    assert_token((struct api_credentials){.authorization = slice_text("Basic eDp5")}, "");
    assert_token((struct api_credentials){.authorization = slice_text("Bearer")}, "");
    assert_token((struct api_credentials){.authorization = slice_text("Bearerabc")}, "");
}

static void doubtful_credentials_are_refused(void **state)
{
    (void)state;
    const struct slice abc = slice_text("abc");
    assert_refused((struct api_credentials){.access_token = abc, .access_token_count = 2},
                   "Duplicate header: access-token");
    assert_refused((struct api_credentials){.authorization = abc, .authorization_count = 2},
                   "Duplicate header: authorization");
    assert_refused((struct api_credentials){.access_token = abc,
                                            .access_token_count = 1,
                                            .authorization = slice_text("Bearer abd"),
                                            .authorization_count = 1},
                   "Ambiguous credentials");
}

static void assert_written(int status, const char *message, const struct api_faults *faults,
                           const char *expected)
{
    struct buf body;
    buf_init(&body, 65536);
    api_write_error(&body, status, message, faults);
    assert_string_equal(buf_text(&body), expected);
    buf_clear(&body);
}

static void errors_have_the_documented_shape(void **state)
{
    (void)state;
    assert_written(404, "Not found", NULL, "{\"error\":{\"message\":\"Not found\",\"code\":404}}");
    assert_written(400, "a \"b\"\n", NULL,
                   "{\"error\":{\"message\":\"a \\\"b\\\"\\n\",\"code\":400}}");
    const char *const messages[] = {"one is wrong", "two is wrong"};
    const struct api_faults faults = {messages, 2};
    assert_written(400, "x", &faults,
                   "{\"error\":{\"message\":\"x\",\"code\":400},\"errors\":["
                   "{\"message\":\"one is wrong\",\"error_code\":400},"
                   "{\"message\":\"two is wrong\",\"error_code\":400}]}");
}

static void a_cut_character_is_dropped(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"a\xc3\xa9", "a\xc3\xa9"},
        {"a\xc3", "a"},
        {"a\xe2\x82\xac", "a\xe2\x82\xac"},
        {"a\xe2\x82", "a"},
        {"a\xf0\x9f\x98\x80", "a\xf0\x9f\x98\x80"},
        {"a\xf0\x9f\x98", "a"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct buf expected;
        buf_init(&expected, 256);
        buf_append_format(&expected, "{\"error\":{\"message\":\"%s\",\"code\":400}}", texts[i][1]);
        assert_written(400, texts[i][0], NULL, buf_text(&expected));
        buf_clear(&expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_header_carries_the_token),
        cmocka_unit_test(no_credentials_are_an_empty_token),
        cmocka_unit_test(doubtful_credentials_are_refused),
        cmocka_unit_test(errors_have_the_documented_shape),
        cmocka_unit_test(a_cut_character_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
