// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/notice_mail.h"

static struct notice_mail compose(enum notice_event event, const char *body, struct arena *arena)
{
    const struct notice notice = {
        .id = "00000000-0000-4000-8000-000000000001",
        .event = event,
        .body = body,
        .notification = {.id = "00000000-0000-4000-8000-000000000002"},
    };
    struct err err = {0};
    struct notice_mail mail;
    if (!notice_mail_compose(&notice, arena, &mail, &err))
        fail_msg("%s", err.message);
    return mail;
}

static void a_mail_says_what_the_body_says(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const struct notice_mail mail = compose(
        NOTICE_JOB_FAILED,
        "{\"notice_id\":\"x\",\"event\":\"job_failed\","
        "\"created_at\":\"2026-11-23T15:00:00.000-00:00\",\"organization_id\":\"o-1\","
        "\"app_id\":\"a-1\",\"subscription_id\":\"s-1\",\"job\":{\"job_id\":\"j-1\","
        "\"status\":\"FAILED\",\"start_date\":\"2026-11-23T14:00:00.000-00:00\","
        "\"end_date\":\"2026-11-23T15:00:00.000-00:00\",\"revision\":2,\"lines_exported\":0,"
        "\"reason\":\"schema_changed: field http://evil.example/x of report_fields is not in topic "
        "www.evil.example any more\"}}",
        &arena);
    assert_string_equal(mail.subject, "milkrun: export job failed");
    assert_string_equal(mail.text, "An export job has failed.\n"
                                   "\n"
                                   "Job:          j-1\n"
                                   "Status:       FAILED\n"
                                   "From:         2026-11-23T14:00:00.000-00:00\n"
                                   "To:           2026-11-23T15:00:00.000-00:00\n"
                                   "Revision:     2\n"
                                   "Lines:        0\n"
                                   "Reason:       schema_changed: field http___evil_example_x of "
                                   "report_fields is not in topic "
                                   "www_evil_example any more\n"
                                   "Subscription: s-1\n"
                                   "App:          a-1\n"
                                   "Organization: o-1\n"
                                   "Time:         2026-11-23T15:00:00.000-00:00\n"
                                   "\n"
                                   "You get this because your address is in notification\n"
                                   "00000000-0000-4000-8000-000000000002 of this organization.\n"
                                   "Whoever administers its exports can change that.\n");
    arena_clear(&arena);
}

static void each_event_has_its_words(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    static const char body[] = "{\"app_id\":null,\"subscription_id\":null,"
                               "\"reason\":\"bucket is gone\",\"job\":null}";
    for (int event = NOTICE_JOB_SUCCEEDED; event <= NOTICE_TEST; event++) {
        const struct notice_mail mail = compose((enum notice_event)event, body, &arena);
        assert_memory_equal(mail.subject, "milkrun: ", 9);
        assert_null(strchr(mail.subject, '\n'));
        assert_non_null(strstr(mail.text, "Reason:       bucket is gone\n"));
        assert_null(strstr(mail.text, "App:"));
        assert_null(strstr(mail.text, "Job:"));
        for (int other = NOTICE_JOB_SUCCEEDED; other < event; other++)
            assert_string_not_equal(compose((enum notice_event)other, body, &arena).subject,
                                    mail.subject);
    }
    arena_clear(&arena);
}

static void nothing_of_a_tenant_becomes_a_link(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    static const struct {
        const char *text;
        const char *plain;
    } rows[] = {
        {"", ""},
        {"all is well. really", "all is well. really"},
        {"https://a.example/b?c=d#e", "https___a_example_b?c=d#e"},
        {"mailto:x@y.example", "mailto_x_y_example"},
        {"\\\\host\\share", "__host_share"},
        {"evil\xe3\x80\x82"
         "example",
         "evil???example"},
        {"a\r\nBcc: x", "a??Bcc: x"},
        {"a.b.", "a_b."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(notice_mail_defuse(slice_text(rows[i].text), &arena), rows[i].plain);
    arena_clear(&arena);
}

static void a_damaged_body_is_found(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct err err = {0};
    struct notice_mail mail;
    const struct notice notice = {.id = "n-1", .event = NOTICE_TEST, .body = "{"};
    assert_false(notice_mail_compose(&notice, &arena, &mail, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mail_says_what_the_body_says),
        cmocka_unit_test(each_event_has_its_words),
        cmocka_unit_test(nothing_of_a_tenant_becomes_a_link),
        cmocka_unit_test(a_damaged_body_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
