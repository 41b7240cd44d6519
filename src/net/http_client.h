// SPDX-License-Identifier: Apache-2.0
// A small HTTP client: send a body that is read as it goes out, get status, headers and reply. http
// and https only, no redirects, no proxy that the environment names, certificates are always
// verified. It never repeats a call: that is the caller's, who knows whether it may. One thread per
// object, which keeps its connections open between calls.
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/address_guard.h"

#define HTTP_CLIENT_REPLY_BYTES_MAX ((size_t)1024 * 1024)
// Of a reply's head, interim replies and trailers included.
#define HTTP_CLIENT_HEAD_BYTES_MAX ((size_t)64 * 1024)

struct http_client;

struct http_client_config {
    int64_t connect_timeout_ms;
    int64_t total_timeout_ms; // of a call; 0: none
    int64_t stall_timeout_ms; // without a byte in either direction; 0: none
    const char *ca_file;      // PEM, trusted instead of the system's; NULL: the system's
    size_t reply_bytes_max;   // 0: HTTP_CLIENT_REPLY_BYTES_MAX
    const char *proxy;        // "http://host:port"; NULL: none
    // Judges the address that is connected to, each time. Borrowed; NULL: any address. A proxy
    // connects by itself: it has to have rules of its own.
    const struct address_guard *guard;
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
    // Takes the body of a 2xx reply, of any size, in place of ret_body. Its error ends the call.
    // Optional.
    bool (*write)(void *context, struct slice bytes, struct err *err);
    // Asked at least every second while the call lasts; false ends it with CANCELED. Optional.
    bool (*keep_going)(void *context);
    void *context;
    struct arena *arena;      // home of the reply's headers; NULL: they are not kept
    int64_t total_timeout_ms; // 0: the config's
};

struct http_client_reply {
    int status;            // of any kind, 5xx as well
    int64_t retry_after_s; // 0: not said
    // False: the reply came before the end of our body, so a 2xx says nothing about it.
    bool was_sent_whole;
    const struct http_client_header *headers; // in the call's arena
    size_t header_count;
};

// The value of the first header of that name, in any case of letters; NULL: none.
const char *http_client_reply_header(const struct http_client_reply *reply, const char *name);

// The reply's body is appended to ret_body (whose own limit and reply_bytes_max bound it: LIMIT).
// Errors: INVALID for a URL or header that cannot be; DENIED for a certificate that is not trusted
// and for an address that the guard refuses; LIMIT for a head or body that is too large; CANCELED;
// UNAVAILABLE for all that may pass; what `read` and `write` said. A reply that comes before the
// end of the body is a reply.
NODISCARD bool http_client_send(struct http_client *client, const struct http_client_call *call,
                                struct http_client_reply *ret_reply, struct buf *ret_body,
                                struct err *err);
