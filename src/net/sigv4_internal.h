// SPDX-License-Identifier: Apache-2.0
// What the two forms of Signature Version 4 share: the canonical request, the key and the
// signature, and the reading of their parts. Pure; private to net/. Texts of results lie in the
// arena.
#pragma once

#include "base/arena.h"
#include "base/hash.h"
#include "base/slice.h"
#include "net/sigv4_headers.h"

#define SIGV4_ALGORITHM   "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR  "aws4_request"
#define SIGV4_DATE_CHARS  ((size_t)8)
#define SIGV4_STAMP_CHARS ((size_t)16) // 20130524T000000Z
#define SIGV4_TEXT_BYTES  ((size_t)64 * 1024)

// Where and when a signature is good.
struct sigv4_scope {
    enum sigv4_dialect dialect;
    const char *region;
    const char *service; // "s3", "sts", "storage"
    const char *date;    // yyyymmdd
    const char *stamp;   // yyyymmddThhmmssZ
};

// The request as it is signed.
struct sigv4_canonical {
    const char *method;
    const char *path;           // encoded
    const char *query;          // encoded and sorted
    const char *headers;        // "host:example.com\nx-amz-date:...\n", sorted
    const char *signed_headers; // "host;x-amz-date"
    const char *payload;        // SHA-256 in hexadecimal, or "UNSIGNED-PAYLOAD"
};

struct sigv4_words {
    const char *algorithm;
    const char *key_prefix;
    const char *terminator;
    const char *content_header;
    const char *date_header;
};
const struct sigv4_words *sigv4_words_of(enum sigv4_dialect dialect);

// The whole is at most SIGV4_TEXT_BYTES: received requests are bounded before.
void sigv4_compute(const struct sigv4_canonical *canonical, const struct sigv4_scope *scope,
                   struct slice secret, char ret_hex[SHA256_HEX_CHARS + 1]);

// Decoded names and values, sorted as they are signed, which is a good way to send them, too:
// "prefix=a%2Fb&uploads=". Sorts pairs.
const char *sigv4_canonical_query(struct sigv4_pair *pairs, size_t count, struct arena *arena);
// Names in lower case, white space around values removed and within them made one space; one line
// per pair. Sorts pairs, by names without regard to case.
void sigv4_canonical_headers(struct sigv4_pair *pairs, size_t count, struct arena *arena,
                             const char **ret_headers, const char **ret_signed_headers);

// KEY/yyyymmdd/REGION/SERVICE/aws4_request
struct sigv4_credential {
    const char *key_id;
    const char *date;
    const char *region;
    const char *service;
};
bool sigv4_parse_credential(struct slice text, struct arena *arena,
                            struct sigv4_credential *ret_credential);
// 20130524T000000Z, a time that exists.
bool sigv4_parse_stamp(struct slice text, int64_t *ret_time_ms);
// 64 hexadecimal digits in lower case.
bool sigv4_is_signature(struct slice text);
