// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4, query form ("pre-signed URLs"), by its published rules. Pure functions.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

#define SIGV4_EXPIRES_MAX_S 604800

struct sigv4_url {
    const char *host; // as in the Host header, with its port
    const char *path; // decoded, absolute
    const char *key_id;
    struct slice secret;
    const char *region;
    int64_t signed_at_ms;
    int64_t expires_s;
};

// "/exports/v2/y%3D2026/...?X-Amz-Algorithm=...&X-Amz-Signature=...": path and query, parameters in
// the order of the documented example. GET.
char *sigv4_sign_url(const struct sigv4_url *url, struct arena *arena);

// What a received URL says, before anything is believed.
struct sigv4_claim {
    const char *key_id;
    const char *region;
    int64_t signed_at_ms;
    int64_t expires_s;
    struct slice signature_hex;
    const char *date;            // yyyymmdd of the credential's scope
    const char *canonical_query; // without the signature, as to be signed
};
// False (DENIED "Invalid signature") for anything that is not exactly our form: missing, repeated
// or extra parameters, other algorithm, signed headers, service or terminator, malformed numbers,
// expiry beyond 604,800 s or below 1.
NODISCARD bool sigv4_parse(struct slice raw_query, struct arena *arena,
                           struct sigv4_claim *ret_claim, struct err *err);

// Whether the claim's signature is right for host and raw_path ("%3D" and "=" are the same; any
// other difference is another path). Constant time.
bool sigv4_matches(const struct sigv4_claim *claim, const char *host, struct slice raw_path,
                   struct slice secret, struct arena *arena);
