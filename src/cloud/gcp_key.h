// SPDX-License-Identifier: Apache-2.0
// The key of a Google service account, as Google's console gives it out: a JSON document. Pure.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"

#define GCP_KEY_BYTES_MAX ((size_t)64 * 1024)

struct gcp_key {
    const char *email;
    const char *key_id;
    struct secret private_key; // PEM
};

// Texts live in the arena. INVALID: it is none, its private key cannot sign, or it belongs to
// another kind of account; the text holds nothing of it. The addresses in it are not used: a key
// does not say whom this server talks to.
NODISCARD bool gcp_key_parse(struct slice json, struct arena *arena, struct gcp_key *ret_key,
                             struct err *err);

// A signed request for a token of that scope (RFC 7523), good for an hour from now_ms.
NODISCARD bool gcp_key_sign(const struct gcp_key *key, const char *audience, const char *scope,
                            int64_t now_ms, struct arena *arena, const char **ret_assertion,
                            struct err *err);
