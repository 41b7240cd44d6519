// SPDX-License-Identifier: Apache-2.0
#include "notify/webhook_signature.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/hex.h"

const char *webhook_sign(const struct secret *secrets, size_t count, int64_t now_s,
                         struct slice body, struct arena *arena)
{
    ASSERT(count > 0);
    ASSERT(count <= WEBHOOK_SECRETS_MAX);
    const char *message = arena_format(arena, "%" PRId64 ".%.*s", now_s, (int)body.size_bytes,
                                       slice_chars(body));
    const char *value = arena_format(arena, "t=%" PRId64, now_s);
    for (size_t i = 0; i < count; i++) {
        uint8_t digest[SHA256_BYTES];
        char hex[SHA256_HEX_CHARS + 1];
        hmac_sha256(secret_reveal(&secrets[i]), slice_text(message), digest);
        hex_encode(slice_of(digest, sizeof digest), hex);
        value = arena_format(arena, "%s,v1=%s", value, hex);
    }
    return value;
}
