// SPDX-License-Identifier: Apache-2.0
// Ids and secrets. A token:
//
//   api_app_ KKKKKKKKKK SSSSSSSSSSSSSSSS CCCCCC
//   prefix   key id     secret           CRC32C of all before it, base 62
//
// The checksum tells mistyped and foreign texts apart without a look-up; it protects nothing. The
// secret has 95 bits, so a plain SHA-256 keeps it.
#include <inttypes.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "catalog/tenant_internal.h"
#include "catalog/tenant_tokens.h"

#define TENANT_PREFIX_CHARS        ((size_t)8)
#define TENANT_SECRET_CHARS        ((size_t)16)
#define TENANT_CHECKSUM_CHARS      ((size_t)6)
#define TENANT_BRANCH_RANDOM_CHARS ((size_t)32)

_Static_assert(TENANT_PREFIX_CHARS + TENANT_KEY_ID_CHARS + TENANT_SECRET_CHARS +
                       TENANT_CHECKSUM_CHARS ==
                   TENANT_TOKEN_CHARS,
               "the parts are the token");

static const char tenant_app_prefix[] = "api_app_";
static const char tenant_operator_prefix[] = "api_adm_";

const char *tenant_new_id(struct arena *arena)
{
    const uint64_t smallest = UINT64_C(100000000000000000);
    return arena_format(arena, "%" PRIu64, smallest + rng_below(rng_system(), 9 * smallest));
}

static const char *tenant_new_branch_text(struct arena *arena, const char *prefix)
{
    char random[TENANT_BRANCH_RANDOM_CHARS + 1];
    rng_text(rng_system(), random, TENANT_BRANCH_RANDOM_CHARS);
    return arena_format(arena, "%s%s", prefix, random);
}

const char *tenant_new_branch_key(struct arena *arena)
{
    return tenant_new_branch_text(arena, "key_live_");
}

const char *tenant_new_branch_secret(struct arena *arena)
{
    return tenant_new_branch_text(arena, "secret_live_");
}

// --- Tokens

static void tenant_write_checksum(struct slice covered, char ret_text[7])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t rest = crc32c(covered);
    for (size_t i = TENANT_CHECKSUM_CHARS; i > 0; i--) {
        ret_text[i - 1] = digits[rest % 62];
        rest /= 62;
    }
    ASSERT(rest == 0);
    ret_text[TENANT_CHECKSUM_CHARS] = '\0';
}

const char *tenant_new_token_text(struct arena *arena, bool is_operator, const char *key_id)
{
    char secret[TENANT_SECRET_CHARS + 1];
    rng_text(rng_system(), secret, TENANT_SECRET_CHARS);
    const char *covered = arena_format(
        arena, "%s%s%s", is_operator ? tenant_operator_prefix : tenant_app_prefix, key_id, secret);
    char checksum[TENANT_CHECKSUM_CHARS + 1];
    tenant_write_checksum(slice_text(covered), checksum);
    const char *token = arena_format(arena, "%s%s", covered, checksum);
    ASSERT(strlen(token) == TENANT_TOKEN_CHARS);
    return token;
}

static bool tenant_is_alphanumeric(char character)
{
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z');
}

bool tenant_token_is_well_formed(struct slice token)
{
    if (token.size_bytes != TENANT_TOKEN_CHARS ||
        (!slice_starts_with(token, slice_text(tenant_app_prefix)) &&
         !slice_starts_with(token, slice_text(tenant_operator_prefix))))
        return false;
    for (size_t i = TENANT_PREFIX_CHARS; i < TENANT_TOKEN_CHARS; i++) {
        if (!tenant_is_alphanumeric(slice_chars(token)[i]))
            return false;
    }
    const size_t covered_chars = TENANT_TOKEN_CHARS - TENANT_CHECKSUM_CHARS;
    char checksum[TENANT_CHECKSUM_CHARS + 1];
    tenant_write_checksum(slice_part(token, 0, covered_chars), checksum);
    return slice_equal_text(slice_from(token, covered_chars), checksum);
}

struct slice tenant_key_id_of(struct slice token)
{
    return slice_part(token, TENANT_PREFIX_CHARS, TENANT_KEY_ID_CHARS);
}

// --- Hashes

void tenant_digest(struct slice secret, char ret_text[SHA256_HEX_CHARS + 1])
{
    uint8_t digest[SHA256_BYTES];
    sha256_of(secret, digest);
    hex_encode(slice_of(digest, sizeof digest), ret_text);
}

void tenant_kept_secret_init(struct tenant_kept_secret *kept)
{
    memset(kept->digest, '-', sizeof kept->digest);
    memset(kept->previous, '-', sizeof kept->previous);
    kept->previous_until_ms = 0;
}

static bool tenant_read_digest(const struct db_rows *rows, size_t column,
                               char ret_digest[SHA256_HEX_CHARS], struct err *err)
{
    const struct slice digest = db_rows_text(rows, column);
    if (digest.size_bytes != SHA256_HEX_CHARS)
        return err_set(err, ERR_CORRUPT, "the hash of a secret has %zu characters",
                       digest.size_bytes);
    memcpy(ret_digest, digest.data, SHA256_HEX_CHARS);
    return true;
}

bool tenant_kept_secret_read(struct tenant_kept_secret *kept, const struct db_rows *rows,
                             size_t column, struct err *err)
{
    tenant_kept_secret_init(kept);
    TRY(tenant_read_digest(rows, column, kept->digest, err));
    if (!db_rows_is_null(rows, column + 1))
        TRY(tenant_read_digest(rows, column + 1, kept->previous, err));
    kept->previous_until_ms = db_rows_int64(rows, column + 2);
    return true;
}

bool tenant_kept_secret_matches(const struct tenant_kept_secret *kept, struct slice secret,
                                int64_t now_ms, int64_t *ret_until_ms)
{
    char text[SHA256_HEX_CHARS + 1];
    tenant_digest(secret, text);
    const struct slice digest = slice_of(text, SHA256_HEX_CHARS);
    const bool is_latest = slice_equal_constant_time(digest,
                                                     slice_of(kept->digest, SHA256_HEX_CHARS));
    const bool is_previous = slice_equal_constant_time(digest,
                                                       slice_of(kept->previous, SHA256_HEX_CHARS));
    *ret_until_ms = is_latest ? INT64_MAX : kept->previous_until_ms;
    return is_latest || (is_previous && now_ms < kept->previous_until_ms);
}
