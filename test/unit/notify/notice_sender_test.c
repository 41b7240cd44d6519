// SPDX-License-Identifier: Apache-2.0
// Notices by mail, to a server that takes, refuses and puts off. Webhooks: webhook_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../net/scripted_server.h"
#include "base/check.h"
#include "base/mem.h"
#include "notify/notice_sender.h"

struct mail_server {
    struct scripted_server server;
    const char *recipient_reply;
    struct buf message;    // the last one
    struct buf recipients; // all lines of RCPT
};

static bool mail_take_message(struct mail_server *server, struct scripted_peer *peer)
{
    buf_reset(&server->message);
    return scripted_send(peer, "354 go on\r\n") &&
           scripted_read_until(peer, "\r\n.\r\n", &server->message) &&
           scripted_send(peer, "250 taken\r\n");
}

static bool mail_answer(struct mail_server *server, struct scripted_peer *peer, const char *line)
{
    if (strncmp(line, "RCPT", 4) == 0) {
        buf_append_text(&server->recipients, line);
        return scripted_send(peer, server->recipient_reply);
    }
    if (strncmp(line, "DATA", 4) == 0)
        return mail_take_message(server, peer);
    return scripted_send(peer, "250 ok\r\n");
}

static void mail_serve(void *context, struct scripted_peer *peer)
{
    struct mail_server *server = context;
    struct buf line CLEANUP(buf_clear);
    buf_init(&line, 4096);
    bool goes_on = scripted_send(peer, "220 mail.example\r\n");
    while (goes_on && scripted_read_until(peer, "\r\n", &line)) {
        goes_on = mail_answer(server, peer, buf_text(&line)) &&
                  strncmp(buf_text(&line), "QUIT", 4) != 0;
        buf_reset(&line);
    }
}

struct fixture {
    struct mail_server server;
    struct arena arena;
    struct smtp_settings smtp;
    struct notify_options options;
    struct address_guard *guard;
    struct notice_sender_config config;
    struct notice_sender *sender;
};

static int set_up(void **state)
{
    struct err err = {0};
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    buf_init(&fixture->server.message, SCRIPTED_BYTES_MAX);
    buf_init(&fixture->server.recipients, SCRIPTED_BYTES_MAX);
    fixture->server.recipient_reply = "250 ok\r\n";
    scripted_open(&fixture->server.server, mail_serve, &fixture->server);
    fixture->smtp = (struct smtp_settings){
        .url = arena_format(&fixture->arena, "smtp://127.0.0.1:%d", fixture->server.server.port),
        .from = "exports@milkrun.example",
        .tls = "none",
        .timeout_ms = 2000,
    };
    fixture->options = (struct notify_options){.connect_timeout_ms = 1000, .timeout_ms = 1000};
    if (!address_guard_new(NULL, 0, &fixture->guard, &err))
        fail_msg("%s", err.message);
    fixture->config = (struct notice_sender_config){
        .options = &fixture->options,
        .smtp = &fixture->smtp,
        .guard = fixture->guard,
        .clock = clock_system(),
    };
    if (!notice_sender_open(&fixture->config, &fixture->sender, &err))
        fail_msg("%s", err.message);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    notice_sender_close(&fixture->sender);
    notice_sender_close(&fixture->sender); // NULL is fine
    scripted_close(&fixture->server.server);
    address_guard_free(&fixture->guard);
    buf_clear(&fixture->server.message);
    buf_clear(&fixture->server.recipients);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static struct notice_attempt send_mail(struct fixture *fixture, const char *recipient,
                                       const char **ret_alarm)
{
    const struct notice notice = {
        .id = "00000000-0000-4000-8000-000000000001",
        .event = NOTICE_TEST,
        .body = "{\"organization_id\":\"o-1\",\"job\":null}",
        .recipient = recipient,
        .created_at_ms = 1795442700000,
        .try_count = 1,
        .notification = {.id = "n-1", .kind = NOTIFICATION_EMAIL, .target = recipient},
    };
    return notice_sender_send(fixture->sender, &notice, &fixture->arena, ret_alarm);
}

static void a_mail_is_the_same_at_each_try(void **state)
{
    struct fixture *fixture = *state;
    const char *alarm = NULL;
    struct notice_attempt attempt = send_mail(fixture, "ann@b.example", &alarm);
    assert_int_equal(attempt.verdict, NOTICE_DELIVERED);
    assert_int_equal(attempt.status, 250);
    assert_null(attempt.reason);
    assert_null(alarm);
    assert_true(attempt.at_ms > 0);
    static const char *const lines[] = {
        "Subject: milkrun: test notice\r\n",
        "To: <ann@b.example>\r\n",
        "From: <exports@milkrun.example>\r\n",
        "Message-ID: <00000000-0000-4000-8000-000000000001@milkrun.example>\r\n",
        "This is a test notice. Nothing has happened.\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        if (strstr(buf_text(&fixture->server.message), lines[i]) == NULL)
            fail_msg("%s not in %s", lines[i], buf_text(&fixture->server.message));
    }
    const char *first = arena_copy_text(&fixture->arena, buf_text(&fixture->server.message));
    attempt = send_mail(fixture, "ann@b.example", &alarm);
    assert_int_equal(attempt.verdict, NOTICE_DELIVERED);
    assert_string_equal(buf_text(&fixture->server.message), first);
    assert_string_equal(buf_text(&fixture->server.recipients),
                        "RCPT TO:<ann@b.example>\r\nRCPT TO:<ann@b.example>\r\n");
}

static void verdicts_of_the_server_count(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *reply;
        enum notice_verdict verdict;
        int status;
    } rows[] = {
        {"550 no such user\r\n", NOTICE_REFUSED, 550},
        {"451 come again\r\n", NOTICE_FAILED, 451},
        {"250 ok\r\n", NOTICE_DELIVERED, 250},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *alarm = NULL;
        fixture->server.recipient_reply = rows[i].reply;
        const struct notice_attempt attempt = send_mail(fixture, "ann@b.example", &alarm);
        assert_int_equal(attempt.verdict, rows[i].verdict);
        assert_int_equal(attempt.status, rows[i].status);
        assert_null(alarm);
        if (attempt.verdict == NOTICE_REFUSED)
            assert_non_null(strstr(attempt.reason, "no such user"));
    }
}

static void a_server_that_is_away_is_the_operators(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    const char *alarm = NULL;
    notice_sender_close(&fixture->sender);
    fixture->smtp.url = "smtp://127.0.0.1:1";
    assert_true(notice_sender_open(&fixture->config, &fixture->sender, &err));
    struct notice_attempt attempt = send_mail(fixture, "ann@b.example", &alarm);
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    assert_int_equal(attempt.status, 0);
    assert_string_equal(attempt.reason, "the mail server cannot be used");
    assert_non_null(alarm);
    // Without one.
    notice_sender_close(&fixture->sender);
    fixture->smtp.url = NULL;
    assert_true(notice_sender_open(&fixture->config, &fixture->sender, &err));
    attempt = send_mail(fixture, "ann@b.example", &alarm);
    assert_int_equal(attempt.verdict, NOTICE_FAILED);
    assert_string_equal(attempt.reason, "mail is not enabled on this server");
    assert_null(alarm);
}

#define SENDER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SENDER_TEST(a_mail_is_the_same_at_each_try),
        SENDER_TEST(verdicts_of_the_server_count),
        SENDER_TEST(a_server_that_is_away_is_the_operators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
