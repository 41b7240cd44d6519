// SPDX-License-Identifier: Apache-2.0
#include "notify/notice_sender.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "notify/notice_mail.h"
#include "notify/webhook.h"

struct notice_sender {
    const struct notice_sender_config *config;
    struct http_client *http;
    struct smtp_mailer *mailer; // NULL: no mail
};

bool notice_sender_open(const struct notice_sender_config *config,
                        struct notice_sender **ret_sender, struct err *err)
{
    const struct notify_options *options = config->options;
    struct notice_sender *sender CLEANUP(notice_sender_close) = mem_alloc(sizeof *sender);
    sender->config = config;
    const struct http_client_config http = {
        .connect_timeout_ms = options->connect_timeout_ms,
        .total_timeout_ms = options->timeout_ms,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
        .guard = config->guard,
    };
    http_client_open(&http, &sender->http);
    if (smtp_settings_are_given(config->smtp))
        TRY(smtp_mailer_open(config->smtp, &sender->mailer, err));
    *ret_sender = sender;
    sender = NULL;
    return true;
}

void notice_sender_close(struct notice_sender **sender)
{
    if (*sender == NULL)
        return;
    http_client_close(&(*sender)->http);
    smtp_mailer_close(&(*sender)->mailer);
    mem_free(*sender);
    *sender = NULL;
}

// --- Webhooks

struct notice_secrets {
    struct secret items[WEBHOOK_SECRETS_MAX];
    size_t count;
};

static void notice_secrets_clear(struct notice_secrets *secrets)
{
    for (size_t i = 0; i < ARRAY_COUNT(secrets->items); i++)
        secret_clear(&secrets->items[i]);
}

static bool notice_open_secret(const struct notice_sender *sender, const struct notice *notice,
                               const char *sealed, struct notice_secrets *secrets, struct err *err)
{
    const struct notice_sender_config *config = sender->config;
    TRY(notification_open_secret(notice->notification.id, sealed, config->secret_keys,
                                 config->secret_key_count, &secrets->items[secrets->count], err));
    secrets->count++;
    return true;
}

// The one before the last rotation signs as well while its grace lasts.
static bool notice_open_secrets(const struct notice_sender *sender, const struct notice *notice,
                                int64_t now_ms, struct notice_secrets *secrets, struct err *err)
{
    const struct notification *notification = &notice->notification;
    TRY(notice_open_secret(sender, notice, notification->sealed_secret, secrets, err));
    return notification->previous_sealed_secret == NULL ||
           notification->previous_until_ms <= now_ms ||
           notice_open_secret(sender, notice, notification->previous_sealed_secret, secrets, err);
}

static struct notice_attempt notice_send_webhook(struct notice_sender *sender,
                                                 const struct notice *notice, struct arena *arena,
                                                 const char **ret_alarm)
{
    const struct notice_sender_config *config = sender->config;
    const int64_t now_ms = clock_wall_ms(config->clock);
    struct notice_secrets secrets CLEANUP(notice_secrets_clear) = {0};
    struct err err = {0};
    if (!notice_open_secrets(sender, notice, now_ms, &secrets, &err)) {
        *ret_alarm = arena_copy_text(arena, err.message);
        return (struct notice_attempt){
            .verdict = NOTICE_FAILED,
            .reason = "the secret cannot be read: rotate it",
        };
    }
    const struct webhook_call call = {
        .notice = notice,
        .secrets = secrets.items,
        .secret_count = secrets.count,
        .now_s = now_ms / 1000,
        .keep_going = config->keep_going,
        .context = config->context,
    };
    return webhook_send(sender->http, &call, arena);
}

// --- Mails

static struct notice_attempt notice_judge_mail(const struct smtp_result *result,
                                               struct arena *arena)
{
    struct notice_attempt attempt = {.verdict = NOTICE_FAILED, .status = result->code};
    attempt.reason = notice_plain_reason(result->text, arena);
    switch (result->outcome) {
    case SMTP_SENT:
        attempt.verdict = NOTICE_DELIVERED;
        attempt.reason = NULL;
        break;
    case SMTP_REFUSED:
        attempt.verdict = NOTICE_REFUSED;
        break;
    case SMTP_PUT_OFF:
    case SMTP_UNKNOWN: // perhaps twice, with the same Message-ID, rather than not at all
        break;
    }
    return attempt;
}

static struct notice_attempt notice_send_mail(struct notice_sender *sender,
                                              const struct notice *notice, struct arena *arena,
                                              const char **ret_alarm)
{
    struct notice_attempt attempt = {.verdict = NOTICE_FAILED,
                                     .reason = "mail is not enabled on this server"};
    if (sender->mailer == NULL)
        return attempt;
    struct err err = {0};
    struct notice_mail text;
    struct smtp_result result = {0};
    bool is_judged = notice_mail_compose(notice, arena, &text, &err);
    if (is_judged) {
        const struct smtp_mail mail = {
            .to = notice->recipient,
            .message_name = notice->id,
            .date_ms = notice->created_at_ms,
            .subject = text.subject,
            .text = text.text,
        };
        is_judged = smtp_mailer_send(sender->mailer, &mail, &result, &err);
    }
    if (is_judged)
        return notice_judge_mail(&result, arena);
    // The server is the operator's, and so is what ails it.
    attempt.reason = "the mail server cannot be used";
    *ret_alarm = arena_copy_text(arena, err.message);
    return attempt;
}

struct notice_attempt notice_sender_send(struct notice_sender *sender, const struct notice *notice,
                                         struct arena *arena, const char **ret_alarm)
{
    const struct clock *clock = sender->config->clock;
    const int64_t at_ms = clock_wall_ms(clock);
    const int64_t boot_ms = clock_boot_ms(clock);
    *ret_alarm = NULL;
    struct notice_attempt attempt = notice->notification.kind == NOTIFICATION_WEBHOOK
                                        ? notice_send_webhook(sender, notice, arena, ret_alarm)
                                        : notice_send_mail(sender, notice, arena, ret_alarm);
    attempt.at_ms = at_ms;
    attempt.took_ms = clock_boot_ms(clock) - boot_ms;
    return attempt;
}
