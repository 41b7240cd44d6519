// SPDX-License-Identifier: Apache-2.0
// The operator's mail server as the options smtp.* describe it: who sends mail, by which server,
// and how. One thread per mailer.
#pragma once

#include "base/option.h"
#include "net/smtp_client.h"

struct smtp_settings {
    const char *url; // smtp://HOST[:PORT], smtps://HOST[:PORT]; NULL: no mail is sent
    const char *username;
    const char *password;
    const char *from;
    const char *tls; // "required" or "none"
    const char *ca_file;
    int64_t timeout_ms;
    int64_t attachment_bytes;
    struct option_list allowed_recipients; // addresses and "@domain"; empty: any
};

extern const struct option smtp_option_table[];
extern const size_t smtp_option_count;

// Whether mail can be sent at all.
bool smtp_settings_are_given(const struct smtp_settings *settings);
// INVALID when they cannot be right; for the start.
NODISCARD bool smtp_settings_check(const struct smtp_settings *settings, struct err *err);

struct smtp_mailer;

// Connects at the first message. INVALID as above, and for settings without a URL.
NODISCARD bool smtp_mailer_open(const struct smtp_settings *settings,
                                struct smtp_mailer **ret_mailer, struct err *err);
void smtp_mailer_close(struct smtp_mailer **mailer);

// smtp_client_send of the message, sent by the settings' address, whose host ends the message's id:
// name "a" is "<a@host>".
struct smtp_mail {
    const char *to;
    const char *message_name; // letters, digits, '-' and '.'
    int64_t date_ms;
    const char *subject;
    const char *text;
    const char *html;                         // NULL: the text alone
    const struct smtp_attachment *attachment; // NULL: none
};
NODISCARD bool smtp_mailer_send(struct smtp_mailer *mailer, const struct smtp_mail *mail,
                                struct smtp_result *ret_result, struct err *err);
