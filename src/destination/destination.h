// SPDX-License-Identifier: Apache-2.0
// Where the files of subscriptions go: what an operator may set about it.
#pragma once

#include "base/err.h"
#include "base/option.h"

struct address_guard;

struct destination_settings {
    bool customer_endpoints;             // customers may name endpoints of their own
    struct option_list allowed_networks; // CIDRs that those may be in besides public addresses
    const char *proxy;                   // http://HOST:PORT, or NULL
    const char *ca_file;                 // PEM, or NULL: the system's
    int64_t connect_timeout_ms;
    int64_t stall_timeout_ms; // without a byte in either direction
    int64_t call_timeout_ms;  // of a call without a file
    int64_t attempts;         // of a call whose failure may pass
    int64_t back_off_ms;      // before the second one; longer each time
    int64_t back_off_max_ms;
};

extern const struct option destination_option_table[];
extern const size_t destination_option_count;

// What the endpoint of a connection may be: the operator's word, so private networks and this host
// besides public addresses, but never where a cloud answers with credentials. For the caller to
// free.
NODISCARD bool destination_operator_guard_new(struct address_guard **ret_guard, struct err *err);
