// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, header form, by its published rules, for calls that we make. Pure
// functions. (The query form is in sigv4.h.)
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "net/http_client.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sigv4_pair {
    struct slice name;
    struct slice value;
};

// Google's storage takes the first as well, but refuses conditions of its own (x-goog-...) beside
// any header of Amazon's, and ignores Amazon's conditions.
enum sigv4_dialect {
    SIGV4_AMZ,  // AWS4-HMAC-SHA256, x-amz-date, ...
    SIGV4_GOOG, // GOOG4-HMAC-SHA256, x-goog-date, ...
};

struct sigv4_request {
    enum sigv4_dialect dialect;
    const char *method;
    const char *host;               // as in the Host header, with its port
    const char *path;               // decoded, absolute
    const struct sigv4_pair *query; // decoded
    size_t query_count;
    // All that is to be sent and signed beside what the signer adds; names in any case.
    const struct http_client_header *headers;
    size_t header_count;
    const char *payload_sha256; // in hexadecimal, or SIGV4_UNSIGNED_PAYLOAD
    const char *key_id;
    struct slice secret;
    const char *session_token; // NULL: none, as always with SIGV4_GOOG
    const char *region;
    const char *service; // "s3", "sts", "storage"
    int64_t signed_at_ms;
};

struct sigv4_signed {
    const char *target; // path and query, encoded: to be sent just so
    const struct http_client_header
        *headers; // those of the request, Host, x-...-date and the like, Authorization
    size_t header_count;
};

// The result lies in the arena, or where the request's texts lie. Header values without line
// breaks; sizes are ours, 16 KiB in all.
void sigv4_sign_headers(const struct sigv4_request *request, struct arena *arena,
                        struct sigv4_signed *ret_signed);
