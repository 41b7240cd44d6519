// SPDX-License-Identifier: Apache-2.0
// One bucket of Google's storage over its JSON interface: sends calls with a token, repeats those
// whose failure may pass, and says what the answers mean that no caller has a use for. What a call
// is, and what to make of the answers that it expects, is the caller's: see store/store_gcs.c.
//
// A failure that may pass (time-out, cut, 5xx, 429, 408, a rate limit) is followed by a pause and
// another attempt (cloud/retry.h); after the last it is one UNAVAILABLE. A token that is not taken
// is renewed once. Redirects are not followed. All other answers are final, and their texts are for
// the owner of the bucket, without secrets: they name the permission, and the role that has it.
//
// One thread at a time; a client keeps its connection open between calls.
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/secret.h"
#include "cloud/retry.h"
#include "net/http_client.h"

struct gcs_client;

struct gcs_config {
    const char *endpoint; // "https://storage.googleapis.com", judged by the caller
    const char *bucket;
    const char *account; // for texts: whom a role is to be granted to; NULL: not known
    // Before each attempt, so it answers from memory. is_refresh: the one of before was refused.
    bool (*get_token)(void *context, bool is_refresh, struct arena *arena, struct secret *ret_token,
                      struct err *err);
    void *context;
    struct http_client_config http; // total_timeout_ms is for calls without large bodies
    struct retry_limits retry;      // all 0: 8 tries, 250 ms, 20 s
    const struct clock *clock;      // NULL: the system's
    struct rng *rng;                // NULL: the system's
};

// Copies what it needs of the config, but for http.guard, clock, rng and context, which outlive it.
// INVALID for an endpoint of another form.
NODISCARD bool gcs_client_open(const struct gcs_config *config, struct gcs_client **ret_client,
                               struct err *err);
void gcs_client_close(struct gcs_client **client);

const char *gcs_client_bucket(const struct gcs_client *client);
// For those who repeat more than one call.
void gcs_client_init_retry(const struct gcs_client *client, struct retry *retry);
int64_t gcs_client_now_ms(const struct gcs_client *client);

// Bytes to receive: those of a 2xx reply.
struct gcs_receiver {
    void (*restart)(void *context); // before each attempt
    bool (*write)(void *context, struct slice bytes, struct err *err);
    void *context;
    uint64_t expected_bytes; // for the time that the call may take
};

#define GCS_STATUSES_MAX 8

struct gcs_reply {
    int status;                               // 200, or one of the call's
    const struct http_client_header *headers; // all in the arena
    size_t header_count;
    struct slice body; // NUL-terminated
};

struct gcs_call {
    const char *name;       // "create object", for texts
    const char *permission; // "storage.objects.create", for texts; NULL: none is asked for
    const char *role;       // "roles/storage.objectCreator", which has it
    const char *method;
    const char *path; // behind the endpoint, encoded, with its query
    // The path holds the right to do this (as that of an upload does): no token is sent.
    bool has_own_right;
    const struct http_client_header *headers;
    size_t header_count;
    struct slice text; // the body, unless body_bytes is set:
    uint64_t body_bytes;
    int fd; // read by position
    uint64_t offset_bytes;
    const struct gcs_receiver *receiver; // NULL: the body goes to the reply
    // Answers that the caller has a use for, besides 200; 0: no more. They are never repeated.
    int statuses[GCS_STATUSES_MAX];
    // Whether the answer can be right: else it says UNAVAILABLE, and the call is repeated.
    // Optional.
    bool (*check)(void *check_context, const struct gcs_reply *reply, struct err *err);
    void *check_context;
    bool is_single;                    // one attempt, except after a new token
    bool (*keep_going)(void *context); // optional; false: CANCELED
    void *context;
};

// *ret_is_unclear (optional) becomes true, also on failure, when an attempt that failed may have
// had its effect nevertheless. Errors: UNAVAILABLE after retries; DENIED, NOT_FOUND (no such
// bucket) and INVALID as Google says; CANCELED; CORRUPT when the file is shorter than the body;
// what get_token and the receiver said.
NODISCARD bool gcs_client_send(struct gcs_client *client, const struct gcs_call *call,
                               struct arena *arena, struct gcs_reply *ret_reply,
                               bool *ret_is_unclear, struct err *err);

// How long the answer to the last attempt asks to wait, for calls with is_single; 0: it does not.
int64_t gcs_client_after_ms(const struct gcs_client *client);

// Value of the reply's header, NULL: none.
const char *gcs_reply_header(const struct gcs_reply *reply, const char *name);

// What Google says in the body of a refusal, to be shown; "" when it says nothing, or repeats the
// token.
const char *gcs_client_message(const struct gcs_client *client, struct slice body,
                               struct arena *arena);
