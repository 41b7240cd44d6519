// SPDX-License-Identifier: Apache-2.0
// The process that sends notices: by webhook and by mail, several at a time. It takes them from the
// catalog under leases, so any number of such processes may run on any hosts, and each may be
// killed at any moment: what it had in flight is sent again, with the same id.
#pragma once

#include "base/cipher.h"
#include "base/clock.h"
#include "base/option.h"
#include "base/stop.h"
#include "base/wake.h"
#include "net/smtp_mailer.h"

struct notify_options {
    int64_t limit; // notifications per organization
    int64_t late_ms;
    int64_t sender_count;
    int64_t connect_timeout_ms;
    int64_t timeout_ms;
    int64_t back_off_ms;
    int64_t back_off_max_ms;
    int64_t retry_limit_ms;
    int64_t retention_days;
    const char *proxy;   // NULL: none
    const char *ca_file; // NULL: the system's
};

extern const struct option notify_option_table[];
extern const size_t notify_option_count;

struct notifier_config {
    const struct notify_options *options;
    const struct smtp_settings *smtp;           // checked; without a URL: no mail
    const struct option_list *allowed_networks; // where webhooks may be besides public addresses
    const char *catalog_path;
    const char *node_id; // stays with the data directory: one notifier at a time has it
    const struct clock *clock;
    const struct cipher_key *secret_keys; // open the secrets of webhooks
    size_t secret_key_count;
    int64_t drain_ms; // what goes on when it is told to stop has half of this
    const struct wake *wake;
    size_t wake_index;
    struct stop *stop;
};

// Until the stop flag.
NODISCARD bool notifier_run(const struct notifier_config *config, struct err *err);
