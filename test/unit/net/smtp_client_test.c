// SPDX-License-Identifier: Apache-2.0
// The client against a mail server that does as it is told: refuses, puts off, and goes away at
// every step of the dialogue.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail_reader.h"
#include "net/smtp_client.h"
#include "scripted_server.h"
#include "test_certificate.h"

// In place of a reply:
#define HANG_UP "hang up"
#define RESET   "reset"
#define SILENCE "silence" // until the client goes

#define PASSWORD "secret+word"

// NULL: what a good server says.
struct script {
    const char *greeting;
    const char *hello;
    const char *starttls;
    const char *login;
    const char *mail;
    const char *recipient;
    const char *data;
    const char *end;        // after the final dot
    const char *last_words; // a while later, before it hangs up; NULL: it does not
    size_t data_bytes_max;  // then `end`; 0: the whole message is read
    bool is_tls_from_start;
    bool is_tls_missing; // not offered
    struct buf commands; // one a line; those over TLS after "[TLS]"
    struct buf messages; // as on the wire
    struct scripted_server server;
};

static char *certificate;
static char *key;
static char ca_file[64];

// False when the connection is to end.
static bool script_say(struct scripted_peer *peer, const char *reply, const char *usual)
{
    struct buf rest CLEANUP(buf_clear);
    buf_init(&rest, SCRIPTED_BYTES_MAX);
    if (reply == NULL)
        return scripted_send(peer, usual);
    if (strcmp(reply, RESET) == 0)
        scripted_reset(peer);
    if (strcmp(reply, SILENCE) == 0)
        (void)scripted_read_until(peer, "\r\nNEVER\r\n", &rest);
    if (strcmp(reply, RESET) == 0 || strcmp(reply, SILENCE) == 0 || strcmp(reply, HANG_UP) == 0)
        return false;
    return scripted_send(peer, reply) && scripted_send(peer, "\r\n");
}

static bool script_take_message(struct script *script, struct scripted_peer *peer)
{
    if (!script_say(peer, script->data, "354 go on\r\n") || script->data != NULL)
        return script->data != NULL && script->data[0] >= '2' && script->data[0] <= '5';
    const bool is_read = script->data_bytes_max > 0
                             ? scripted_read(peer, script->data_bytes_max, &script->messages)
                             : scripted_read_until(peer, "\r\n.\r\n", &script->messages);
    if (!is_read || !script_say(peer, script->end, "250 2.0.0 queued\r\n"))
        return false;
    if (script->last_words == NULL)
        return true;
    (void)usleep(50000);
    (void)scripted_send(peer, script->last_words);
    return false;
}

static bool script_log_in(struct script *script, struct scripted_peer *peer)
{
    struct buf line CLEANUP(buf_clear);
    buf_init(&line, 1000);
    if (!scripted_send(peer, "334 \r\n") || !scripted_read_until(peer, "\r\n", &line))
        return false;
    if (strcmp(buf_text(&line), "AG1lAHNlY3JldCt3b3Jk\r\n") != 0) // me, secret+word
        return scripted_send(peer, "535 5.7.8 wrong\r\n");
    return script_say(peer, script->login, "235 2.7.0 welcome\r\n");
}

// "550 ..." for refused@, "451 ..." for later@.
static const char *script_recipient(const struct script *script, const char *line)
{
    if (script->recipient != NULL)
        return script->recipient;
    if (strstr(line, "<refused@") != NULL)
        return "550-5.1.1 No such\r\n550 5.1.1 user here";
    return strstr(line, "<later@") != NULL ? "451 4.2.1 Try \x01\xff again" : NULL;
}

static bool script_answer(struct script *script, struct scripted_peer *peer, const char *line)
{
    const bool offers_tls = peer->tls == NULL && !script->is_tls_missing;
    char hello[200];
    (void)snprintf(hello, sizeof hello, "250-test\r\n%s250-SIZE 50000000\r\n250 AUTH PLAIN\r\n",
                   offers_tls ? "250-STARTTLS\r\n" : "");
    if (strncmp(line, "EHLO", 4) == 0)
        return script_say(peer, script->hello, hello);
    if (strncmp(line, "HELO", 4) == 0)
        return scripted_send(peer, "250 test\r\n");
    if (strncmp(line, "STARTTLS", 8) == 0) {
        if (!script_say(peer, script->starttls, "220 go on\r\n"))
            return false;
        buf_append_text(&script->commands, "[TLS]\r\n");
        return script->starttls != NULL || scripted_start_tls(peer, certificate, key);
    }
    if (strncmp(line, "AUTH PLAIN", 10) == 0)
        return script_log_in(script, peer);
    if (strncmp(line, "MAIL", 4) == 0)
        return script_say(peer, script->mail, "250 2.1.0 yes\r\n");
    if (strncmp(line, "RCPT", 4) == 0)
        return script_say(peer, script_recipient(script, line), "250 2.1.5 yes\r\n");
    if (strncmp(line, "DATA", 4) == 0)
        return script_take_message(script, peer);
    if (strncmp(line, "QUIT", 4) == 0)
        return scripted_send(peer, "221 2.0.0 bye\r\n") && false;
    return scripted_send(peer, "500 what?\r\n");
}

static void script_serve(void *context, struct scripted_peer *peer)
{
    struct script *script = context;
    if (script->is_tls_from_start && !scripted_start_tls(peer, certificate, key))
        return;
    bool goes_on = script_say(peer, script->greeting, "220 test ESMTP\r\n");
    while (goes_on) {
        struct buf line CLEANUP(buf_clear);
        buf_init(&line, 2000);
        goes_on = scripted_read_until(peer, "\r\n", &line);
        buf_append(&script->commands, buf_slice(&line));
        goes_on = goes_on && script_answer(script, peer, buf_text(&line));
    }
}

static void script_open(struct script *script)
{
    buf_init(&script->commands, SCRIPTED_BYTES_MAX);
    buf_init(&script->messages, SCRIPTED_BYTES_MAX);
    scripted_open(&script->server, script_serve, script);
}

static void script_clear(struct script *script)
{
    buf_clear(&script->commands);
    buf_clear(&script->messages);
}

// --- Sending

static const struct smtp_message plain = {
    .from = "exports@example.com",
    .to = "taken@example.org",
    .message_id = "<job-1.0@example.com>",
    .date_ms = INT64_C(1795993363999),
    .subject = "Export of orders",
    .text = ".\n..\n.one\ntwo\n\n.\n",
};

struct outcome {
    bool is_result;
    struct smtp_result result;
    struct err err;
};

static struct smtp_client_config config_for(const struct script *script, enum smtp_tls tls)
{
    return (struct smtp_client_config){.host = "127.0.0.1",
                                       .port = (uint16_t)script->server.port,
                                       .tls = tls,
                                       .own_name = "milkrun.example",
                                       .ca_file = ca_file,
                                       .connect_timeout_ms = 2000,
                                       .stall_timeout_ms = 1000,
                                       .total_timeout_ms = 10000};
}

static void send_with(const struct smtp_client_config *config, const struct smtp_message *message,
                      struct outcome *ret_outcome)
{
    struct smtp_client *client CLEANUP(smtp_client_close) = NULL;
    *ret_outcome = (struct outcome){0};
    assert_true(smtp_client_open(config, &client, &ret_outcome->err));
    ret_outcome->is_result = smtp_client_send(client, message, &ret_outcome->result,
                                              &ret_outcome->err);
    assert_null(strstr(ret_outcome->err.message, "secret"));
}

// One message over a connection of its own; the server has ended afterwards.
static void run(struct script *script, enum smtp_tls tls, const char *user,
                const struct smtp_message *message, struct outcome *ret_outcome)
{
    script_open(script);
    struct secret password CLEANUP(secret_clear) = {0};
    secret_init(&password, slice_text(PASSWORD));
    struct smtp_client_config config = config_for(script, tls);
    config.user = user;
    config.password = user == NULL ? NULL : &password;
    send_with(&config, message, ret_outcome);
    scripted_close(&script->server);
}

static void expect_result(const struct outcome *outcome, enum smtp_outcome expected, int code,
                          const char *text)
{
    if (!outcome->is_result)
        fail_msg("%s: %s", err_kind_name(outcome->err.kind), outcome->err.message);
    const struct smtp_result *result = &outcome->result;
    if (result->outcome != expected || result->code != code)
        fail_msg("%d: %d %s", (int)result->outcome, result->code, result->text);
    if (text != NULL)
        assert_string_equal(result->text, text);
}

static void expect_error(const struct outcome *outcome, enum err_kind kind)
{
    if (outcome->is_result)
        fail_msg("%d: %d %s", (int)outcome->result.outcome, outcome->result.code,
                 outcome->result.text);
    if (outcome->err.kind != kind)
        fail_msg("%s: %s", err_kind_name(outcome->err.kind), outcome->err.message);
}

// --- What goes out

static void test_the_dialogue_for_a_message(void **state)
{
    (void)state;
    struct script script = {0};
    struct outcome outcome;
    run(&script, SMTP_TLS_NONE, NULL, &plain, &outcome);
    expect_result(&outcome, SMTP_SENT, 250, "2.0.0 queued");
    struct buf message CLEANUP(buf_clear);
    struct buf body CLEANUP(buf_clear);
    buf_init(&message, SCRIPTED_BYTES_MAX);
    buf_init(&body, SCRIPTED_BYTES_MAX);
    assert_non_null(strstr(buf_text(&script.messages), "\r\n\r\n..\r\n...\r\n..one\r\ntwo\r\n"));
    mail_remove_dots(buf_slice(&script.messages), &message);
    mail_decode_body(buf_slice(&message), &body);
    assert_string_equal(buf_text(&body), ".\r\n..\r\n.one\r\ntwo\r\n\r\n.\r\n");
    char commands[300];
    (void)snprintf(commands, sizeof commands,
                   "EHLO milkrun.example\r\nMAIL FROM:<exports@example.com> SIZE=%zu\r\n"
                   "RCPT TO:<taken@example.org>\r\nDATA\r\nQUIT\r\n",
                   message.size_bytes);
    assert_string_equal(buf_text(&script.commands), commands);
    script_clear(&script);
}

static void test_a_large_attachment(void **state)
{
    (void)state;
    enum { SIZE = 1000000 };
    char path[] = "/tmp/smtp_client_test.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    char *bytes = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 % 251);
    assert_int_equal(write(fd, bytes, SIZE), SIZE);
    const struct smtp_attachment attachment = {.name = "a.gz", .fd = fd, .size_bytes = SIZE};
    struct smtp_message message = plain;
    message.attachment = &attachment;
    message.html = "<p>one</p>";
    struct script script = {0};
    struct outcome outcome;
    run(&script, SMTP_TLS_STARTTLS, "me", &message, &outcome);
    expect_result(&outcome, SMTP_SENT, 250, NULL);
    struct buf received CLEANUP(buf_clear);
    struct buf body CLEANUP(buf_clear);
    buf_init(&received, SCRIPTED_BYTES_MAX);
    buf_init(&body, SCRIPTED_BYTES_MAX);
    mail_remove_dots(buf_slice(&script.messages), &received);
    mail_decode_body(mail_part(buf_slice(&received), "=_milkrun_mixed", 1), &body);
    assert_true(slice_equal(buf_slice(&body), slice_of(bytes, SIZE)));
    script_clear(&script);

    // A file that is shorter than it was: no half of a message is taken.
    assert_int_equal(ftruncate(fd, SIZE - 1), 0);
    script = (struct script){0};
    run(&script, SMTP_TLS_NONE, NULL, &message, &outcome);
    expect_error(&outcome, ERR_CORRUPT);
    assert_null(strstr(buf_text(&script.messages), "\r\n.\r\n"));
    script_clear(&script);
    assert_int_equal(close(fd), 0);
    mem_free(bytes);
}

static void test_nothing_is_sent_for_a_message_that_cannot_be(void **state)
{
    (void)state;
    static const char *const texts[] = {"a@b.com\r\nRCPT TO:<x@evil.example>",
                                        "a@b.com>\r\nDATA",
                                        "a@b.com\nBcc: x",
                                        "a b@c.com",
                                        "",
                                        "a@b.com> SIZE=1 <"};
    struct script script = {0};
    script_open(&script);
    const struct smtp_client_config config = config_for(&script, SMTP_TLS_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct outcome outcome;
        struct smtp_message message = plain;
        message.to = texts[i];
        send_with(&config, &message, &outcome);
        expect_error(&outcome, ERR_INVALID);
        message = plain;
        message.from = texts[i];
        send_with(&config, &message, &outcome);
        expect_error(&outcome, ERR_INVALID);
        message = plain;
        message.message_id = texts[i];
        send_with(&config, &message, &outcome);
        expect_error(&outcome, ERR_INVALID);
    }
    struct outcome outcome;
    struct smtp_message message = plain;
    message.subject = "a\r\nBcc: x@evil.example";
    send_with(&config, &message, &outcome);
    expect_error(&outcome, ERR_INVALID);
    scripted_close(&script.server);
    assert_int_equal(atomic_load(&script.server.connection_count), 0);
    script_clear(&script);
}

static void test_a_server_that_cannot_be(void **state)
{
    (void)state;
    static const char *const hosts[] = {"",      "a b", "a/b",    "a@b", "a?b",
                                        "[::1]", "a:b", "a\r\nb", "a%20"};
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        struct smtp_client *client = NULL;
        struct err err = {0};
        struct smtp_client_config config = {.host = hosts[i], .port = 25};
        assert_false(smtp_client_open(&config, &client, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(client);
        config = (struct smtp_client_config){.host = "::1", .port = 25, .own_name = hosts[i]};
        assert_int_equal(smtp_client_open(&config, &client, &err), hosts[i][0] == '\0');
        smtp_client_close(&client);
    }
    struct script script = {0};
    script_open(&script);
    scripted_close(&script.server);
    const struct smtp_client_config config = config_for(&script, SMTP_TLS_NONE);
    struct outcome outcome;
    send_with(&config, &plain, &outcome); // nobody listens any more
    expect_error(&outcome, ERR_UNAVAILABLE);
    script_clear(&script);
}

// --- Results

static void expect_recipient(struct smtp_client *client, const char *to, enum smtp_outcome expected,
                             int code, const char *text)
{
    struct smtp_message message = plain;
    message.to = to;
    struct outcome outcome = {0};
    outcome.is_result = smtp_client_send(client, &message, &outcome.result, &outcome.err);
    expect_result(&outcome, expected, code, text);
}

static void test_each_recipient_has_a_result(void **state)
{
    (void)state;
    struct script script = {0};
    script_open(&script);
    const struct smtp_client_config config = config_for(&script, SMTP_TLS_STARTTLS);
    struct smtp_client *client CLEANUP(smtp_client_close) = NULL;
    struct err err = {0};
    assert_true(smtp_client_open(&config, &client, &err));
    for (int i = 0; i < 3; i++)
        expect_recipient(client, "taken@example.org", SMTP_SENT, 250, "2.0.0 queued");
    assert_int_equal(atomic_load(&script.server.connection_count), 1);
    expect_recipient(client, "refused@example.org", SMTP_REFUSED, 550,
                     "5.1.1 No such 5.1.1 user here");
    expect_recipient(client, "later@example.org", SMTP_PUT_OFF, 451, "4.2.1 Try ?? again");
    expect_recipient(client, "taken@example.org", SMTP_SENT, 250, "2.0.0 queued");
    smtp_client_close(&client);
    scripted_close(&script.server);
    script_clear(&script);
}

static void expect_reply(struct script script, enum smtp_outcome expected, int code)
{
    struct outcome outcome;
    run(&script, SMTP_TLS_NONE, NULL, &plain, &outcome);
    expect_result(&outcome, expected, code, NULL);
    script_clear(&script);
}

static void test_verdicts_about_a_message(void **state)
{
    (void)state;
    expect_reply((struct script){.mail = "550 5.1.0 no"}, SMTP_REFUSED, 550);
    expect_reply((struct script){.mail = "552 5.3.4 too large"}, SMTP_REFUSED, 552);
    expect_reply((struct script){.mail = "421 4.3.2 closing"}, SMTP_PUT_OFF, 421);
    expect_reply((struct script){.mail = "451 4.3.0 later"}, SMTP_PUT_OFF, 451);
    expect_reply((struct script){.recipient = "550 no"}, SMTP_REFUSED, 550);
    expect_reply((struct script){.recipient = "553 5.1.3 no"}, SMTP_REFUSED, 553);
    expect_reply((struct script){.recipient = "421 4.7.0 too many"}, SMTP_PUT_OFF, 421);
    expect_reply((struct script){.recipient = "450 4.2.0 greylisted"}, SMTP_PUT_OFF, 450);
    expect_reply((struct script){.recipient = "452 4.2.2 full"}, SMTP_PUT_OFF, 452);
    expect_reply((struct script){.data = "554 5.5.1 no"}, SMTP_REFUSED, 554);
    expect_reply((struct script){.data = "451 4.3.0 later"}, SMTP_PUT_OFF, 451);
    expect_reply((struct script){.end = "554 5.7.1 spam"}, SMTP_REFUSED, 554);
    expect_reply((struct script){.end = "552 5.2.3 too large"}, SMTP_REFUSED, 552);
    expect_reply((struct script){.end = "451 4.3.0 later"}, SMTP_PUT_OFF, 451);
    expect_reply((struct script){.end = "421 4.3.2 closing"}, SMTP_PUT_OFF, 421);
    expect_reply((struct script){.hello = "502 what?"}, SMTP_SENT, 250);
}

static void test_a_long_answer_is_cut(void **state)
{
    (void)state;
    struct buf reply CLEANUP(buf_clear);
    buf_init(&reply, 10000);
    for (int i = 0; i < 20; i++)
        buf_append_format(&reply, "550-%050d\r\n", i);
    buf_append_text(&reply, "550 the end");
    struct script script = {.end = buf_text(&reply)};
    struct outcome outcome;
    run(&script, SMTP_TLS_NONE, NULL, &plain, &outcome);
    expect_result(&outcome, SMTP_REFUSED, 550, NULL);
    assert_int_equal(strlen(outcome.result.text), sizeof outcome.result.text - 1);
    script_clear(&script);
}

// --- Login and TLS

// commands: what the server saw before it had enough.
static void expect_no_entry(struct script script, enum smtp_tls tls, const char *user,
                            enum err_kind kind, const char *commands)
{
    struct outcome outcome;
    run(&script, tls, user, &plain, &outcome);
    expect_error(&outcome, kind);
    if (commands != NULL)
        assert_string_equal(buf_text(&script.commands), commands);
    assert_int_equal(script.messages.size_bytes, 0);
    script_clear(&script);
}

static void test_tls_is_demanded(void **state)
{
    (void)state;
    struct script script = {0};
    struct outcome outcome;
    run(&script, SMTP_TLS_STARTTLS, "me", &plain, &outcome);
    expect_result(&outcome, SMTP_SENT, 250, NULL);
    assert_true(slice_starts_with(buf_slice(&script.commands),
                                  slice_text("EHLO milkrun.example\r\nSTARTTLS\r\n[TLS]\r\n"
                                             "EHLO milkrun.example\r\nAUTH PLAIN\r\nMAIL FROM:")));
    script_clear(&script);
    script = (struct script){.is_tls_from_start = true};
    run(&script, SMTP_TLS_IMPLICIT, "me", &plain, &outcome);
    expect_result(&outcome, SMTP_SENT, 250, NULL);
    script_clear(&script);

    expect_no_entry((struct script){.is_tls_missing = true}, SMTP_TLS_STARTTLS, "me", ERR_DENIED,
                    "EHLO milkrun.example\r\n");
    expect_no_entry((struct script){.hello = "502 what?"}, SMTP_TLS_STARTTLS, "me", ERR_DENIED,
                    NULL);
    expect_no_entry((struct script){.starttls = "502 no"}, SMTP_TLS_STARTTLS, "me", ERR_DENIED,
                    NULL);
    expect_no_entry((struct script){.starttls = "454 4.7.0 not now"}, SMTP_TLS_STARTTLS, "me",
                    ERR_UNAVAILABLE, NULL);
    expect_no_entry((struct script){.starttls = HANG_UP}, SMTP_TLS_STARTTLS, "me", ERR_UNAVAILABLE,
                    NULL);
    // A reply that somebody put in before TLS began.
    expect_no_entry((struct script){.starttls = "220 go on\r\n235 welcome"}, SMTP_TLS_STARTTLS,
                    "me", ERR_UNAVAILABLE, NULL);
    expect_no_entry((struct script){0}, SMTP_TLS_IMPLICIT, "me", ERR_UNAVAILABLE, NULL);
}

static void test_certificates_are_verified(void **state)
{
    (void)state;
    static const enum smtp_tls ways[] = {SMTP_TLS_STARTTLS, SMTP_TLS_IMPLICIT};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct script script = {.is_tls_from_start = ways[i] == SMTP_TLS_IMPLICIT};
        script_open(&script);
        struct smtp_client_config config = config_for(&script, ways[i]);
        config.ca_file = NULL; // the system does not know it
        struct outcome outcome;
        send_with(&config, &plain, &outcome);
        expect_error(&outcome, ERR_DENIED);
        scripted_close(&script.server);
        assert_null(strstr(buf_text(&script.commands), "MAIL"));
        script_clear(&script);
    }
}

static void test_logins_that_fail(void **state)
{
    (void)state;
    expect_no_entry((struct script){.login = "535 5.7.8 wrong"}, SMTP_TLS_STARTTLS, "me",
                    ERR_DENIED, NULL);
    expect_no_entry((struct script){.login = "534 5.7.9 too weak"}, SMTP_TLS_STARTTLS, "me",
                    ERR_DENIED, NULL);
    expect_no_entry((struct script){.login = "454 4.7.0 not now"}, SMTP_TLS_STARTTLS, "me",
                    ERR_UNAVAILABLE, NULL);
    expect_no_entry((struct script){0}, SMTP_TLS_STARTTLS, "somebody", ERR_DENIED, NULL);
    expect_no_entry((struct script){.mail = "530 5.7.0 login first"}, SMTP_TLS_STARTTLS, NULL,
                    ERR_DENIED, NULL);
    expect_no_entry((struct script){.recipient = "530 5.7.0 TLS first"}, SMTP_TLS_NONE, NULL,
                    ERR_DENIED, NULL);
}

// --- Lost connections

static void expect_lost(struct script script)
{
    struct outcome outcome;
    run(&script, SMTP_TLS_NONE, "me", &plain, &outcome);
    expect_error(&outcome, ERR_UNAVAILABLE);
    script_clear(&script);
}

static void test_a_connection_that_is_lost_before_the_end_is_an_error(void **state)
{
    (void)state;
    static const char *const ways[] = {HANG_UP, RESET, SILENCE};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        const int64_t start_ms = clock_boot_ms(clock_system());
        expect_lost((struct script){.greeting = ways[i]});
        expect_lost((struct script){.recipient = ways[i]});
        assert_in_range(clock_boot_ms(clock_system()) - start_ms, 0, 2 * 3500);
        if (strcmp(ways[i], SILENCE) == 0)
            continue; // takes its time
        expect_lost((struct script){.hello = ways[i]});
        expect_lost((struct script){.login = ways[i]});
        expect_lost((struct script){.mail = ways[i]});
        expect_lost((struct script){.data = ways[i]});
    }
    expect_lost((struct script){.greeting = "421 4.3.2 closing"});
    expect_lost((struct script){.greeting = "554 5.7.1 not you"});
    expect_lost((struct script){.greeting = "SSH-2.0-x"});
}

// Nobody knows whether it was taken: to be told apart from what surely was not.
static void test_a_connection_that_is_lost_after_the_final_dot(void **state)
{
    (void)state;
    static const char *const ways[] = {HANG_UP, RESET, SILENCE};
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        struct script script = {.end = ways[i]};
        struct outcome outcome;
        run(&script, SMTP_TLS_NONE, NULL, &plain, &outcome);
        expect_result(&outcome, SMTP_UNKNOWN, 0, NULL);
        assert_true(strlen(outcome.result.text) > 0);
        script_clear(&script);
    }
}

static void test_a_connection_that_is_lost_within_the_message(void **state)
{
    (void)state;
    static const char *const ways[] = {HANG_UP, RESET, SILENCE};
    char path[] = "/tmp/smtp_client_test.XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(fd, 50000000), 0);
    const struct smtp_attachment attachment = {.name = "a", .fd = fd, .size_bytes = 50000000};
    struct smtp_message message = plain;
    message.attachment = &attachment;
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        // Silence is read on, up to what the test keeps of it: then the connection ends, too.
        struct script script = {.end = ways[i], .data_bytes_max = 100000};
        struct outcome outcome;
        run(&script, SMTP_TLS_NONE, NULL, &message, &outcome);
        expect_error(&outcome, ERR_UNAVAILABLE);
        script_clear(&script);
    }
    assert_int_equal(close(fd), 0);
}

// A server that ended the kept connection meanwhile. With a word, that is its answer to the next
// message, which was not taken.
static void test_a_kept_connection_that_has_ended(void **state)
{
    (void)state;
    static const char *const words[] = {"421 4.4.2 idle for too long\r\n", ""};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        struct script script = {.last_words = words[i]};
        script_open(&script);
        const struct smtp_client_config config = config_for(&script, SMTP_TLS_NONE);
        struct smtp_client *client CLEANUP(smtp_client_close) = NULL;
        struct err err = {0};
        assert_true(smtp_client_open(&config, &client, &err));
        for (int number = 1; number <= 3; number++) {
            expect_recipient(client, "taken@example.org", SMTP_SENT, 250, "2.0.0 queued");
            assert_int_equal(atomic_load(&script.server.connection_count), number);
            (void)usleep(150000);
            if (words[i][0] != '\0')
                expect_recipient(client, "taken@example.org", SMTP_PUT_OFF, 421, NULL);
        }
        smtp_client_close(&client);
        scripted_close(&script.server);
        script_clear(&script);
    }
}

int main(void)
{
    test_certificate_make(&certificate, &key);
    (void)snprintf(ca_file, sizeof ca_file, "/tmp/smtp_client_test.%d.pem", getpid());
    struct err err = {0};
    if (!file_replace(ca_file, slice_text(certificate), &err))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_dialogue_for_a_message),
        cmocka_unit_test(test_a_large_attachment),
        cmocka_unit_test(test_nothing_is_sent_for_a_message_that_cannot_be),
        cmocka_unit_test(test_a_server_that_cannot_be),
        cmocka_unit_test(test_each_recipient_has_a_result),
        cmocka_unit_test(test_verdicts_about_a_message),
        cmocka_unit_test(test_a_long_answer_is_cut),
        cmocka_unit_test(test_tls_is_demanded),
        cmocka_unit_test(test_certificates_are_verified),
        cmocka_unit_test(test_logins_that_fail),
        cmocka_unit_test(test_a_connection_that_is_lost_before_the_end_is_an_error),
        cmocka_unit_test(test_a_connection_that_is_lost_after_the_final_dot),
        cmocka_unit_test(test_a_connection_that_is_lost_within_the_message),
        cmocka_unit_test(test_a_kept_connection_that_has_ended),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(ca_file);
    mem_free(certificate);
    mem_free(key);
    return failed;
}
