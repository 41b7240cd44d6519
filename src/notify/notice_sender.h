// SPDX-License-Identifier: Apache-2.0
// Sends one notice after the other: keeps the connections of one thread.
#pragma once

#include "base/cipher.h"
#include "base/clock.h"
#include "net/address_guard.h"
#include "net/smtp_mailer.h"
#include "notify/notice_attempt.h"
#include "notify/notify.h"

struct notice_sender;

struct notice_sender_config {
    const struct notify_options *options;
    const struct smtp_settings *smtp;  // without a URL: no mail
    const struct address_guard *guard; // of webhooks; the mail server is the operator's
    const struct cipher_key *secret_keys;
    size_t secret_key_count;
    const struct clock *clock;
    bool (*keep_going)(void *context); // false: what goes on is to be given up
    void *context;
};

// What config points to must stay.
NODISCARD bool notice_sender_open(const struct notice_sender_config *config,
                                  struct notice_sender **ret_sender, struct err *err);
void notice_sender_close(struct notice_sender **sender);

// Texts live in the arena. *ret_alarm: what the operator must look at, NULL: nothing.
struct notice_attempt notice_sender_send(struct notice_sender *sender, const struct notice *notice,
                                         struct arena *arena, const char **ret_alarm);
