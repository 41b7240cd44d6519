// SPDX-License-Identifier: Apache-2.0
// One bucket of an S3-compatible store, or of Google's over its XML interface with HMAC keys: signs
// calls, sends them, repeats those whose failure may pass, and says what the other answers mean.
// What a call is, and what to make of its answers, is the caller's: see store/store_s3.c.
//
// A failure that may pass (time-out, cut, 5xx, 429, 408, nonsense) is followed by a pause, with
// jitter and longer each time, and another attempt with a signature of its own; in the end all of
// it is one UNAVAILABLE. Without a pause, and once per call: other credentials when these
// have expired or are not known, the store's clock when ours differs too much, the right region
// when the store names it (never another provider's host; redirects are not followed). Everything
// else is final, and its text is for the owner of the bucket, without secrets.
//
// One thread at a time; a client keeps its connection open between calls.
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/secret.h"
#include "cloud/retry.h"
#include "net/http_client.h"
#include "net/sigv4_headers.h"

struct s3_client;

enum s3_provider {
    S3_PROVIDER_S3,
    S3_PROVIDER_GCS_XML,
};

struct s3_credentials {
    const char *key_id;
    struct secret secret_key;
    struct secret session_token; // empty: none
};

struct s3_config {
    enum s3_provider provider;
    const char *endpoint; // "https://HOST[:PORT]", judged by the caller
    bool is_path_style; // else the bucket is in front of the host, if it can be there: s3_address.h
    const char *region;
    const char *bucket;
    // Before each attempt, so it answers from memory. is_refresh: those of before were refused.
    bool (*get_credentials)(void *context, bool is_refresh, struct arena *arena,
                            struct s3_credentials *ret_credentials, struct err *err);
    void *context;
    struct http_client_config http; // total_timeout_ms is for calls without bodies
    struct retry_limits retry;      // of a call; all 0: 8 tries, 250 ms, 20 s
    const struct clock *clock;      // NULL: the system's
    struct rng *rng;                // NULL: the system's
};

// Copies what it needs of the config, but for http.guard, clock, rng and context, which outlive it.
// INVALID for an endpoint of another form.
NODISCARD bool s3_client_open(const struct s3_config *config, struct s3_client **ret_client,
                              struct err *err);
void s3_client_close(struct s3_client **client);

// Bytes to send: a part of a file, or a text.
struct s3_body {
    int fd; // read by position; -1: text
    uint64_t offset_bytes;
    struct slice text;
    uint64_t size_bytes;
    uint8_t sha256[32];
    uint8_t md5[16];
};
struct s3_body s3_body_of_text(struct slice text);

// Bytes to receive: those of a 2xx reply.
struct s3_receiver {
    void (*restart)(void *context); // before each attempt
    bool (*write)(void *context, struct slice bytes, struct err *err);
    void *context;
    uint64_t expected_bytes; // for the time that the call may take
};

struct s3_call {
    const char *name;       // "put object", for texts
    const char *permission; // "s3:PutObject", for texts
    const char *advice;     // NULL, or what to do when that is what is missing
    const char *method;
    const char *key; // NULL: the bucket
    const struct sigv4_pair *query;
    size_t query_count;
    const struct http_client_header *headers;
    size_t header_count;
    const struct s3_body *body;         // NULL: none
    const struct s3_receiver *receiver; // NULL: the body goes to the reply
    bool is_xml;                       // answers with XML, in which there may be an error after all
    bool is_single;                    // one attempt, except for those without a pause
    bool (*keep_going)(void *context); // optional; false: CANCELED
    void *context;
};

// Answers that are no failures by themselves.
enum s3_answer {
    S3_OK,
    S3_NO_KEY,      // no such object (to a HEAD: or no such bucket)
    S3_NO_UPLOAD,   // no such upload, or not these parts
    S3_EXISTS,      // the condition does not hold: there is an object
    S3_RIVAL,       // somebody else is writing this object
    S3_NOT_OFFERED, // the store does not know what was asked of it
};

struct s3_reply {
    enum s3_answer answer;
    const struct http_client_header *headers; // all in the arena
    size_t header_count;
    struct slice body;
};

// *ret_is_unclear (optional) becomes true, also on failure, when an attempt that failed may have
// had its effect nevertheless. Errors: UNAVAILABLE after all tries; DENIED, NOT_FOUND (no such
// bucket) and INVALID as the store says; CANCELED; CORRUPT when the file is shorter than the body;
// what get_credentials and the receiver said.
NODISCARD bool s3_client_send(struct s3_client *client, const struct s3_call *call,
                              struct arena *arena, struct s3_reply *ret_reply, bool *ret_is_unclear,
                              struct err *err);

// Value of the reply's header, NULL: none.
const char *s3_reply_header(const struct s3_reply *reply, const char *name);

// For those who repeat more than one call.
struct retry s3_client_retry(const struct s3_client *client, bool (*keep_going)(void *context),
                             void *context);
// What was answered cannot be trusted: the next call has a new connection.
void s3_client_reconnect(struct s3_client *client);
