// SPDX-License-Identifier: Apache-2.0
// Small calls to services of clouds (tokens, metadata): a request of some bytes, a reply of some
// KiB, made again when that may help. Private to cloud/ but for struct cloud_config.
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "cloud/retry.h"
#include "net/endpoint.h"
#include "net/http_client.h"

#define CLOUD_REPLY_BYTES_MAX ((size_t)64 * 1024)

// What each client of a cloud is made with.
struct cloud_config {
    struct http_client_config http; // of services in the network; metadata services have their own
    struct retry_limits retry;      // all 0: 4 tries, 250 ms, 5 s
    const struct clock *clock;      // borrowed, as is rng; NULL: the system's
    struct rng *rng;
};

struct cloud_caller {
    struct http_client *http;
    struct retry_limits retry;
    const struct clock *clock;
    struct rng *rng;
};

void cloud_caller_open(const struct cloud_config *config, struct cloud_caller *ret_caller);
// For a metadata service: near, without proxy and guard, with short time-outs.
void cloud_caller_open_metadata(const struct cloud_config *config, struct cloud_caller *ret_caller);
void cloud_caller_close(struct cloud_caller *caller);

struct cloud_call {
    const char *method;
    const char *url;
    const struct http_client_header *headers;
    size_t header_count;
    struct slice body;
};

struct cloud_reply {
    int status;
    struct slice body; // NUL-terminated
    struct http_client_reply http;
};

// The reply lies in the arena; it is of any status but those that say "later" (408, 429, 5xx).
// Errors: those of http_client_send; UNAVAILABLE after retries.
NODISCARD bool cloud_caller_send(const struct cloud_caller *caller, const struct cloud_call *call,
                                 struct arena *arena, struct cloud_reply *ret_reply,
                                 struct err *err);

// Whether a server that answers so may answer properly later.
bool cloud_status_is_passing(int status);

// The endpoint of a service: no path, no query. INVALID "NAME: not a URL of the form
// https://HOST[:PORT]".
NODISCARD bool cloud_endpoint_parse(const char *name, const char *text, struct arena *arena,
                                    struct endpoint *ret_endpoint, struct err *err);
NODISCARD bool cloud_endpoint_check(const char *name, const char *text, struct err *err);

// What a server said, to be shown: at most 200 characters, printable ASCII only, and nothing at all
// when it repeats the secret (NULL: none).
const char *cloud_quote(struct slice text, const struct secret *secret, struct arena *arena);

// Whether text may be the value of a header: 1 to limit_bytes printable ASCII characters.
bool cloud_is_header_text(struct slice text, size_t limit_bytes);
