// SPDX-License-Identifier: Apache-2.0
// One handle of libcurl, which only transfer.c knows: bytes go out and come in, bounded in time,
// to an address that was looked at. What they mean is for http_client and smtp_client. Never a
// redirect, never a proxy of the environment, certificates are always verified. One thread per
// object, which keeps its connections open between calls.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "net/address_guard.h"

struct transfer;

struct transfer_config {
    int64_t connect_timeout_ms;
    int64_t stall_timeout_ms; // without a byte in either direction; 0: none
    const char *ca_file;      // PEM, trusted instead of the system's; NULL: the system's
    const char *proxy;        // NULL: none
    // Borrowed; NULL: any address. With a proxy it is the proxy that connects to the host, and the
    // guard has nothing to look at.
    const struct address_guard *guard;
};

void transfer_open(const struct transfer_config *config, struct transfer **ret_transfer);
void transfer_close(struct transfer **transfer);

struct transfer_mail {
    const char *from;
    const char *to;
    const char *user; // NULL: no login
    const char *password;
    bool needs_starttls;
};

struct transfer_call {
    const char *url;                  // http or https; with mail: smtp or smtps
    const struct transfer_mail *mail; // NULL: HTTP
    const char *method;               // of HTTP, as the header lines
    const char *const *header_lines;  // "Name: value", checked; without a value "Name;"
    size_t header_line_count;
    int64_t body_bytes;       // -1: not known
    int64_t total_timeout_ms; // 0: none
    // An error of these ends the call with it.
    bool (*read)(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                 struct err *err); // *ret_bytes of 0: the end
    // Of the head of an HTTP reply; of each SMTP reply.
    bool (*take_line)(void *context, struct slice line, struct err *err);
    bool (*take_body)(void *context, int status, struct slice bytes, struct err *err);
    bool (*keep_going)(void *context); // at least every second; NULL: always
    void *context;
};

struct transfer_report {
    int status;            // 0: there was no reply
    int64_t retry_after_s; // 0: not said
    bool was_sent_whole;   // the body left to its end; with mail: it was read to its end
    bool was_refused;      // mail: by the reply to MAIL, RCPT, DATA or the message itself
};

// The report is filled in any case. Errors: INVALID for a URL that cannot be; DENIED for a
// certificate that is not trusted, a server without the TLS that is needed, a login that fails and
// an address that the guard refuses; CANCELED; UNAVAILABLE for all that may pass; what callbacks
// said.
NODISCARD bool transfer_run(struct transfer *transfer, const struct transfer_call *call,
                            struct transfer_report *report, struct err *err);

// Shows all addresses that the URL's host has to the guard and connects to none. DENIED when one is
// refused; UNAVAILABLE when the name does not resolve within the time to connect.
NODISCARD bool transfer_look_up(struct transfer *transfer, const char *url, struct err *err);
