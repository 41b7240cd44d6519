// SPDX-License-Identifier: Apache-2.0
#include "destination/destinations_net.h"

#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/tenant_tokens.h"
#include "destination/bucket_access.h"
#include "destination/destinations_internal.h"
#include "model/report_destination.h"

struct destinations_net {
    struct destinations base;
    struct destinations_net_config config;
    struct bucket_access *access;
    struct smtp_mailer *mailer; // NULL: no mail
};

// --- What is enabled

bool destinations_have_aws(const struct destinations_net_config *config)
{
    return aws_credentials_are_given(config->aws, config->environment);
}

bool destinations_have_gcp(const struct destinations_net_config *config)
{
    return config->gcp->key_file != NULL || config->gcp->uses_metadata;
}

// --- The interface

static bool destinations_net_open_bucket(struct destinations *destinations,
                                         const struct destination_request *request,
                                         struct arena *arena, struct destination_bucket *ret_bucket,
                                         struct err *err)
{
    struct destinations_net *net = (struct destinations_net *)destinations;
    struct report_cloud cloud;
    TRY(report_read_cloud(request->report, arena, &cloud, err));
    return bucket_access_use(net->access, request, &cloud, arena, ret_bucket, err);
}

static enum destination_mail_outcome destinations_net_outcome(enum smtp_outcome outcome)
{
    switch (outcome) {
    case SMTP_SENT:
        return DESTINATION_MAIL_SENT;
    case SMTP_REFUSED:
        return DESTINATION_MAIL_REFUSED;
    case SMTP_PUT_OFF:
    case SMTP_UNKNOWN:
        break;
    }
    return DESTINATION_MAIL_PUT_OFF;
}

static bool destinations_net_send_mail(struct destinations *destinations,
                                       const struct destination_mail *mail,
                                       struct destination_mail_result *ret_result, struct err *err)
{
    struct destinations_net *net = (struct destinations_net *)destinations;
    if (net->mailer == NULL)
        return err_set(err, ERR_DENIED, "this server sends no mail any more");
    struct smtp_attachment attachment = {0};
    if (mail->attachment != NULL)
        attachment = (struct smtp_attachment){.name = mail->attachment->name,
                                              .fd = mail->attachment->fd,
                                              .size_bytes = mail->attachment->size_bytes};
    const struct smtp_mail message = {
        .to = mail->to,
        .message_name = mail->message_name,
        .date_ms = mail->date_ms,
        .subject = mail->subject,
        .text = mail->text,
        .html = mail->html,
        .attachment = mail->attachment == NULL ? NULL : &attachment,
    };
    struct smtp_result result = {0};
    if (!smtp_mailer_send(net->mailer, &message, &result, err)) {
        // A login or certificate that does not work is the operator's to mend: the job waits.
        if (err->kind == ERR_DENIED)
            err->kind = ERR_UNAVAILABLE;
        return err_wrap(err, "mail server");
    }
    struct destination_mail_result mapped = {.outcome = destinations_net_outcome(result.outcome)};
    if (mapped.outcome != DESTINATION_MAIL_SENT)
        (void)snprintf(mapped.reason, sizeof mapped.reason, "%s",
                       result.text[0] == '\0' ? "no reason given" : result.text);
    *ret_result = mapped;
    return true;
}

static const char *destinations_net_sign(const struct destinations *destinations,
                                         const char *subscription_id, const char *key,
                                         int64_t now_ms, struct arena *arena)
{
    const struct destinations_net_config *config =
        &((const struct destinations_net *)destinations)->config;
    uint8_t secret[HOSTED_SECRET_BYTES];
    const char *key_id = arena_format(arena, TENANT_SUBSCRIPTION_KEY "%s", subscription_id);
    hosted_url_secret(config->url_key, key_id, secret);
    const struct hosted_signer signer = {
        .settings = config->hosted,
        .base_url = config->base_url,
        .key_id = key_id,
        .secret = slice_of(secret, sizeof secret),
    };
    return hosted_sign(&signer, key, now_ms, arena);
}

static void destinations_net_close(struct destinations *destinations)
{
    struct destinations_net *net = (struct destinations_net *)destinations;
    smtp_mailer_close(&net->mailer);
    bucket_access_close(&net->access);
    mem_free(net);
}

static const struct destinations_ops destinations_net_ops = {
    .name = "net",
    .open_bucket = destinations_net_open_bucket,
    .send_mail = destinations_net_send_mail,
    .sign = destinations_net_sign,
    .close = destinations_net_close,
};

bool destinations_net_check(const struct destinations_net_config *config, struct err *err)
{
    struct destinations *destinations CLEANUP(destinations_close) = NULL;
    TRY(hosted_check(config->hosted, err));
    return destinations_net_open(config, &destinations, err);
}

bool destinations_net_open(const struct destinations_net_config *config,
                           struct destinations **ret_destinations, struct err *err)
{
    struct destinations_net *net = mem_alloc(sizeof *net);
    struct destinations *destinations CLEANUP(destinations_close) = &net->base;
    net->base.ops = &destinations_net_ops;
    net->base.attachment_bytes = (uint64_t)config->smtp->attachment_bytes;
    net->config = *config;
    TRY(bucket_access_open(config, &net->access, err));
    if (smtp_settings_are_given(config->smtp))
        TRY(smtp_mailer_open(config->smtp, &net->mailer, err));
    *ret_destinations = destinations;
    destinations = NULL;
    return true;
}
