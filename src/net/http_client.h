// SPDX-License-Identifier: Apache-2.0
// A small HTTP client over libcurl, which only http_client.c knows: send a body that is read as it
// goes out, get status and reply. http and https only, no redirects, certificates are always
// verified. It never repeats a call: that is the caller's, who knows whether it may. One thread per
// object, which keeps its connection open between calls.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_CLIENT_REPLY_BYTES_MAX ((size_t)1024 * 1024)

struct http_client;

struct http_client_config {
    int64_t connect_timeout_ms;
    int64_t total_timeout_ms; // of a call; 0: none
    int64_t stall_timeout_ms; // without a byte in either direction; 0: none
    const char *ca_file;      // PEM, trusted instead of the system's; NULL: the system's
    size_t reply_bytes_max;   // 0: HTTP_CLIENT_REPLY_BYTES_MAX
};

void http_client_open(const struct http_client_config *config, struct http_client **ret_client);
void http_client_close(struct http_client **client);

struct http_client_header {
    const char *name;
    const char *value;
};

struct http_client_call {
    const char *method; // NULL: POST
    const char *url;
    const struct http_client_header *headers;
    size_t header_count;
    int64_t body_bytes; // -1: not known, sent in chunks
    // Writes at most capacity_bytes (> 0); *ret_bytes of 0 is the end. Its error ends the call. May
    // be NULL when body_bytes is 0.
    bool (*read)(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                 struct err *err);
    void *context;
};

struct http_client_reply {
    int status;            // of any kind, 5xx as well
    int64_t retry_after_s; // 0: not said
};

// The reply's body is appended to ret_body (whose own limit and reply_bytes_max bound it: LIMIT).
// Errors: INVALID for a URL or header that cannot be; DENIED for a certificate that is not trusted;
// UNAVAILABLE for all that may pass; what `read` said. A reply that comes before the end of the
// body is a reply.
NODISCARD bool http_client_send(struct http_client *client, const struct http_client_call *call,
                                struct http_client_reply *ret_reply, struct buf *ret_body,
                                struct err *err);
