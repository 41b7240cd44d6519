// SPDX-License-Identifier: Apache-2.0
#include "net/smtp_mailer.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"

#define SMTP_MAILER_PORT_STARTTLS 587
#define SMTP_MAILER_PORT_IMPLICIT 465
#define SMTP_MAILER_ID_CHARS      ((size_t)512)

const struct option smtp_option_table[] = {
    {.name = "smtp.url",
     .type = OPTION_TEXT,
     .offset = offsetof(struct smtp_settings, url),
     .doc = "Mail server: smtp://HOST[:PORT] (587, STARTTLS) or smtps://HOST[:PORT] (465); without "
            "it no mail is sent and the destination `email` is not enabled"},
    {.name = "smtp.username",
     .type = OPTION_TEXT,
     .offset = offsetof(struct smtp_settings, username),
     .doc = "Name to log in with; without it there is no login"},
    {.name = "smtp.password",
     .type = OPTION_TEXT,
     .offset = offsetof(struct smtp_settings, password),
     .flags = OPTION_SECRET,
     .doc = "Password of the login"},
    {.name = "smtp.from",
     .type = OPTION_TEXT,
     .offset = offsetof(struct smtp_settings, from),
     .doc = "Address that mail is sent by, such as exports@example.com; required with smtp.url"},
    {.name = "smtp.tls",
     .type = OPTION_TEXT,
     .offset = offsetof(struct smtp_settings, tls),
     .default_text = "required",
     .doc = "`required`: no mail and no password without TLS; `none`: plain text, for a server on "
            "this machine"},
    {.name = "smtp.ca_file",
     .type = OPTION_TEXT,
     .offset = offsetof(struct smtp_settings, ca_file),
     .doc = "Certificates (PEM) to trust instead of the system's"},
    {.name = "smtp.timeout_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct smtp_settings, timeout_ms),
     .default_text = "60000",
     .min = 1000,
     .max = 600000,
     .unit = "ms",
     .doc = "How long the mail server may keep still"},
    {.name = "smtp.attachment_bytes",
     .type = OPTION_INT64,
     .offset = offsetof(struct smtp_settings, attachment_bytes),
     .default_text = "5242880",
     .min = 0,
     .max = 104857600,
     .unit = "bytes",
     .doc = "Largest file that is attached for those who ask for it; larger ones are linked only"},
    {.name = "smtp.allowed_recipients",
     .type = OPTION_LIST,
     .offset = offsetof(struct smtp_settings, allowed_recipients),
     .doc = "Addresses, and @DOMAIN for all of a domain, that subscriptions and notifications may "
            "send "
            "mail to; may be repeated (default: any address)"},
};
const size_t smtp_option_count = ARRAY_COUNT(smtp_option_table);

struct smtp_mailer {
    struct arena arena; // texts of the settings
    const char *from;
    const char *from_host;
    struct secret password;
    struct smtp_client *client;
};

bool smtp_settings_are_given(const struct smtp_settings *settings)
{
    return settings->url != NULL;
}

// smtp[s]://HOST[:PORT], nothing else; the client judges the host itself.
static bool smtp_read_url(const struct smtp_settings *settings, struct arena *arena,
                          struct smtp_client_config *config, struct err *err)
{
    const struct slice url = slice_text(settings->url);
    const bool is_implicit = slice_starts_with(url, slice_text("smtps://"));
    if (!is_implicit && !slice_starts_with(url, slice_text("smtp://")))
        return err_set(err, ERR_INVALID, "smtp.url: not smtp://HOST[:PORT] or smtps://HOST[:PORT]");
    const char *host = settings->url + (is_implicit ? 8 : 7);
    const bool is_bracketed = host[0] == '[';
    const char *end = is_bracketed ? strchr(host, ']') : host + strcspn(host, ":");
    if (end == NULL)
        return err_set(err, ERR_INVALID, "smtp.url: not a host: %s", host);
    const char *rest = is_bracketed ? end + 1 : end;
    int64_t port = is_implicit ? SMTP_MAILER_PORT_IMPLICIT : SMTP_MAILER_PORT_STARTTLS;
    if (rest[0] != '\0' && (rest[0] != ':' || !number_parse_int64(slice_text(rest + 1), &port) ||
                            port < 1 || port > UINT16_MAX))
        return err_set(err, ERR_INVALID, "smtp.url: not a port: %s", rest + 1);
    host += is_bracketed ? 1 : 0;
    config->host = arena_copy_slice(arena, slice_of(host, (size_t)(end - host)));
    config->port = (uint16_t)port;
    config->tls = is_implicit ? SMTP_TLS_IMPLICIT : SMTP_TLS_STARTTLS;
    return true;
}

static bool smtp_read_settings(const struct smtp_settings *settings, struct arena *arena,
                               struct smtp_client_config *ret_config, struct err *err)
{
    struct smtp_client_config config = {
        .user = settings->username,
        .ca_file = settings->ca_file,
        .connect_timeout_ms = settings->timeout_ms,
        .stall_timeout_ms = settings->timeout_ms,
        .total_timeout_ms = 20 * settings->timeout_ms,
    };
    if (settings->url == NULL)
        return err_set(err, ERR_INVALID, "smtp.url is not set");
    TRY(smtp_read_url(settings, arena, &config, err));
    if (settings->from == NULL || !smtp_address_is_valid(settings->from))
        return err_set(err, ERR_INVALID, "smtp.from: not an address");
    const bool is_plain = strcmp(settings->tls, "none") == 0;
    if (!is_plain && strcmp(settings->tls, "required") != 0)
        return err_set(err, ERR_INVALID, "smtp.tls: not required or none");
    if (is_plain && config.tls == SMTP_TLS_IMPLICIT)
        return err_set(err, ERR_INVALID, "smtp.tls: none does not suit smtps://");
    if ((settings->username == NULL) != (settings->password == NULL))
        return err_set(err, ERR_INVALID, "smtp.username and smtp.password belong together");
    if (is_plain)
        config.tls = SMTP_TLS_NONE;
    *ret_config = config;
    return true;
}

void smtp_mailer_close(struct smtp_mailer **address)
{
    struct smtp_mailer *mailer = *address;
    if (mailer == NULL)
        return;
    smtp_client_close(&mailer->client);
    secret_clear(&mailer->password);
    arena_clear(&mailer->arena);
    mem_free(mailer);
    *address = NULL;
}

bool smtp_mailer_open(const struct smtp_settings *settings, struct smtp_mailer **ret_mailer,
                      struct err *err)
{
    struct smtp_mailer *mailer CLEANUP(smtp_mailer_close) = mem_alloc(sizeof *mailer);
    arena_init(&mailer->arena);
    struct smtp_client_config config;
    TRY(smtp_read_settings(settings, &mailer->arena, &config, err));
    mailer->from = arena_copy_text(&mailer->arena, settings->from);
    mailer->from_host = strrchr(mailer->from, '@') + 1;
    if (settings->password != NULL) {
        secret_init(&mailer->password, slice_text(settings->password));
        config.password = &mailer->password;
    }
    TRY(smtp_client_open(&config, &mailer->client, err));
    *ret_mailer = mailer;
    mailer = NULL;
    return true;
}

bool smtp_settings_check(const struct smtp_settings *settings, struct err *err)
{
    if (!smtp_settings_are_given(settings))
        return true;
    struct smtp_mailer *mailer CLEANUP(smtp_mailer_close) = NULL;
    return smtp_mailer_open(settings, &mailer, err);
}

bool smtp_mailer_send(struct smtp_mailer *mailer, const struct smtp_mail *mail,
                      struct smtp_result *ret_result, struct err *err)
{
    char id[SMTP_MAILER_ID_CHARS];
    const int size = snprintf(id, sizeof id, "<%s@%s>", mail->message_name, mailer->from_host);
    ASSERT(size > 0);
    ASSERT((size_t)size < sizeof id);
    const struct smtp_message message = {
        .from = mailer->from,
        .to = mail->to,
        .message_id = id,
        .date_ms = mail->date_ms,
        .subject = mail->subject,
        .text = mail->text,
        .html = mail->html,
        .attachment = mail->attachment,
    };
    return smtp_client_send(mailer->client, &message, ret_result, err);
}
