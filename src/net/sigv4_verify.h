// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, header form, by its published rules and those of S3 (paths are not
// normalized, and encoded once): for requests that came to us. Pure functions.
//
//   Authorization: AWS4-HMAC-SHA256 Credential=KEY/20130524/us-east-1/s3/aws4_request,
//                  SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=f0e8...
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "net/sigv4_headers.h"

// A request as it was received, decoded.
struct sigv4_received {
    struct slice method;
    struct slice path;
    const struct sigv4_pair *query;
    size_t query_count;
    const struct sigv4_pair *headers; // all of them, Authorization too
    size_t header_count;
};

enum sigv4_fault {
    SIGV4_SOUND,
    SIGV4_MALFORMED,       // the field has another form, comes twice, or the request is too large
    SIGV4_NO_DATE,         // no x-amz-date, or it is no time
    SIGV4_OTHER_DATE,      // the credential is for another day
    SIGV4_HOST_UNSIGNED,   // the signature does not cover the host
    SIGV4_HEADER_UNSIGNED, // nor one of the x-amz-... headers that came
};

// What the request says, before anything is believed. Lives in the arena, and where the request
// does.
struct sigv4_signed_claim {
    const char *key_id;
    const char *region;
    const char *service;
    int64_t signed_at_ms;
    bool has_payload;    // there is x-amz-content-sha256
    const char *payload; // it; else the SHA-256 of nothing
    struct slice signature_hex;
    // The request as it was signed, with the host still to be filled in.
    const char *method;
    const char *path;
    const char *query;
    const char *date;
    const struct sigv4_pair *pairs;
    size_t pair_count;
};

// Whether the value of an Authorization field is meant for us.
bool sigv4_is_meant(struct slice authorization);

// *ret_claim is set when SIGV4_SOUND is returned.
enum sigv4_fault sigv4_read(const struct sigv4_received *received, struct arena *arena,
                            struct sigv4_signed_claim *ret_claim);

// Whether the signature is right for the host and secret. Constant time.
bool sigv4_claim_matches(const struct sigv4_signed_claim *claim, const char *host,
                         struct slice secret, struct arena *arena);

// Whether the claim was signed for this body: its SHA-256, or SIGV4_UNSIGNED_PAYLOAD.
bool sigv4_claim_fits(const struct sigv4_signed_claim *claim, struct slice body);
