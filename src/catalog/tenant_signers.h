// SPDX-License-Identifier: Apache-2.0
// Callers that do not send their token and sign with a secret instead: one that is derived from the
// hash that the catalog keeps of the token, so that it changes when the token is rotated.
// Upholds INV-16 (docs/invariants.md).
#pragma once

#include "catalog/tenant_tokens.h"

// matches is called twice, with the hash of the latest secret and the one before it, as texts that
// no token has when there is none: it may not tell by its time which it was.
struct tenant_signer {
    struct slice key_id;
    int64_t now_ms;
    bool (*matches)(void *context, struct slice kept_hash);
    void *context;
};

// As tenant_verify, and the hash before the latest is good for as long as the token's rotation
// said. NOT_FOUND: no such token, or it is revoked, expired, of a disabled organization, of a
// deleted app. DENIED: it is good, but nothing matches.
NODISCARD bool tenant_verify_signer(struct catalog *catalog, const struct tenant_signer *signer,
                                    struct arena *arena, struct tenant_identity *ret_identity,
                                    struct err *err);

// The hash that is kept of a token, in hexadecimal.
#define TENANT_HASH_CHARS ((size_t)64)
void tenant_token_hash(struct slice token, char ret_hash[TENANT_HASH_CHARS + 1]);
