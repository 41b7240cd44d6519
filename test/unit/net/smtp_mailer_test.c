// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include "base/check.h"
#include "net/smtp_mailer.h"

static struct smtp_settings settings_of(const char *url)
{
    return (struct smtp_settings){
        .url = url, .from = "exports@example.com", .tls = "required", .timeout_ms = 1000};
}

static void settings_that_can_be_right_are_taken(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "smtp://mail.example.com",
        "smtp://mail.example.com:25",
        "smtps://127.0.0.1:465",
        "smtp://[::1]:2525",
        "smtp://[::1]",
    };
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct smtp_settings settings = settings_of(urls[i]);
        struct smtp_mailer *mailer = NULL;
        assert_true(smtp_settings_check(&settings, &err));
        assert_true(smtp_mailer_open(&settings, &mailer, &err));
        smtp_mailer_close(&mailer);
    }
    const struct smtp_settings none = settings_of(NULL);
    assert_true(smtp_settings_check(&none, &err));
    assert_false(smtp_settings_are_given(&none));
}

static void assert_refused(const struct smtp_settings *settings, const char *text)
{
    struct err err = {0};
    assert_false(smtp_settings_check(settings, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, text);
}

static void settings_that_cannot_be_right_are_refused_at_start(void **state)
{
    (void)state;
    static const char no_url[] = "smtp.url: not smtp://HOST[:PORT] or smtps://HOST[:PORT]";
    struct smtp_settings settings = settings_of("http://mail.example.com");
    assert_refused(&settings, no_url);
    settings = settings_of("mail.example.com:25");
    assert_refused(&settings, no_url);
    settings = settings_of("smtp://mail.example.com:0");
    assert_refused(&settings, "smtp.url: not a port: 0");
    settings = settings_of("smtp://mail.example.com:70000");
    assert_refused(&settings, "smtp.url: not a port: 70000");
    settings = settings_of("smtp://mail.example.com");
    settings.from = NULL;
    assert_refused(&settings, "smtp.from: not an address");
    settings.from = "Eve <eve@example.com>";
    assert_refused(&settings, "smtp.from: not an address");
    settings = settings_of("smtps://mail.example.com");
    settings.tls = "none";
    assert_refused(&settings, "smtp.tls: none does not suit smtps://");
    settings.tls = "maybe";
    assert_refused(&settings, "smtp.tls: not required or none");
    settings = settings_of("smtp://mail.example.com");
    settings.username = "milkrun";
    assert_refused(&settings, "smtp.username and smtp.password belong together");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_can_be_right_are_taken),
        cmocka_unit_test(settings_that_cannot_be_right_are_refused_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
