// SPDX-License-Identifier: Apache-2.0
// What clients send, as it stands in the log.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/api_log.h"
#include "base/check.h"

static void assert_logged(struct slice text, const char *logged)
{
    struct buf line;
    buf_init(&line, 8192);
    api_log_append(&line, text);
    assert_string_equal(buf_text(&line), logged);
    buf_clear(&line);
}

static void nothing_ends_a_line_or_steers_a_terminal(void **state)
{
    (void)state;
    assert_logged(slice_text("curl/8.1 (x; \"y\")\\"), "curl/8.1 (x; \\\"y\\\")\\\\");
    assert_logged(slice_text("a\r\n\t\x1b[31mred\x7f"),
                  "a\\u000d\\u000a\\u0009\\u001b[31mred\\u007f");
    assert_logged(slice_of("a\0b", 3), "a\\u0000b");
    assert_logged(slice_text("Z\xc3\xbcrich \xe6\x9d\xb1"), "Z\\u00fcrich \\u6771");
    assert_logged(slice_text("\xf0\x9f\xa6\x8a"), "\\ud83e\\udd8a");
    assert_logged(slice_text("\xc2\x9b"
                             "31m"),
                  "\\u009b31m"); // CSI of eight bits
    assert_logged(slice_text("\x9b"), "\\ufffd");
    assert_logged(
        slice_text("\xc0\x80|\xed\xa0\x80|\xf4\x90\x80\x80|\xe6\x9d"),
        "\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd");
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char text[8001];
    char logged[300];
    memset(text, 'x', sizeof text - 1);
    text[8000] = '\0';
    memset(logged, 'x', 256);
    memcpy(logged + 256, "...", 4);
    assert_logged(slice_text(text), logged);
    assert_logged(slice_of(text, 256), (logged[256] = '\0', logged));
    // No character is cut in half.
    memcpy(text + 255, "\xc3\xbc", 2);
    memcpy(logged + 255, "...", 4);
    assert_logged(slice_of(text, 300), logged);
}

static void secrets_of_ours_are_hidden_wherever_they_stand(void **state)
{
    (void)state;
    assert_logged(slice_text("/v1/jobs/api_app_AbC0123456789_-x/retry"),
                  "/v1/jobs/api_app_***/retry");
    assert_logged(slice_text("api_adm_1;secret_live_zz secret_test_q"),
                  "api_adm_***;secret_*** secret_***");
    assert_logged(slice_text("api_ap"), "api_ap");
}

static void names_of_secrets_are_known(void **state)
{
    (void)state;
    static const char *const secret[] = {
        "access-token",         "Access_Token", "ACCESSTOKEN",   "branch_secret", "X-Amz-Signature",
        "X-Amz-Security-Token", "password",     "client_secret", "Authorization", "api-key"};
    static const char *const plain[] = {"app_id", "limit", "cursor", "X-Amz-Date", "", "key"};
    for (size_t i = 0; i < ARRAY_COUNT(secret); i++)
        assert_true(api_log_is_secret(slice_text(secret[i])));
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++)
        assert_false(api_log_is_secret(slice_text(plain[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_ends_a_line_or_steers_a_terminal),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(secrets_of_ours_are_hidden_wherever_they_stand),
        cmocka_unit_test(names_of_secrets_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
