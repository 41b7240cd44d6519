// SPDX-License-Identifier: Apache-2.0
// Gives messages to the operator's mail server (SMTP submission). TLS is demanded unless the
// configuration says otherwise: a server that does not offer STARTTLS gets no message and no
// password. Each call is one transaction for one recipient, so that each has a result of its own;
// the connection is kept between those that are taken. Nothing is repeated here. One thread per
// object.
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "net/smtp_message.h"

enum smtp_tls {
    SMTP_TLS_STARTTLS, // begins in plain text, as on port 587
    SMTP_TLS_IMPLICIT, // from the first byte, as on port 465
    SMTP_TLS_NONE,
};

struct smtp_client_config {
    const char *host;
    uint16_t port;
    enum smtp_tls tls;
    const char *user; // NULL: no AUTH
    const struct secret *password;
    const char *own_name; // of this machine, for the server; NULL: what the system calls it
    const char *ca_file;  // PEM, trusted instead of the system's; NULL: the system's
    int64_t connect_timeout_ms;
    int64_t stall_timeout_ms; // without a byte or a reply
    int64_t total_timeout_ms; // of a call
};

struct smtp_client;

// Connects at the first message. Everything but the password's text is copied; that must stay.
// INVALID for a host or own name that cannot be.
NODISCARD bool smtp_client_open(const struct smtp_client_config *config,
                                struct smtp_client **ret_client, struct err *err);
void smtp_client_close(struct smtp_client **client);

enum smtp_outcome {
    SMTP_SENT,    // the server has taken it
    SMTP_REFUSED, // this message or recipient, for good (5xx)
    SMTP_PUT_OFF, // for now (4xx)
    SMTP_UNKNOWN, // the connection was lost when all had been given: it may have been taken
};

struct smtp_result {
    enum smtp_outcome outcome;
    int code;       // of the reply; 0: none
    char text[200]; // printable ASCII: what the server said, or why nobody knows
};

// False when it did not come to a verdict about the message: INVALID for what smtp_writer_init
// refuses, before anything is sent; DENIED when TLS or the login fails or the server wants one of
// them; UNAVAILABLE for all that may pass; what reading the attachment said.
NODISCARD bool smtp_client_send(struct smtp_client *client, const struct smtp_message *message,
                                struct smtp_result *ret_result, struct err *err);
