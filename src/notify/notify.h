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
