// SPDX-License-Identifier: Apache-2.0
#include "base/cipher.h"

#include <assert.h>
#include <string.h>

#include "base/aes_gcm.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

#define CIPHER_VERSION    "v1."
#define CIPHER_HEAD_CHARS (sizeof CIPHER_VERSION - 1 + CIPHER_KEY_ID_CHARS + 1)

static_assert(CIPHER_KEY_BYTES == AES_GCM_KEY_BYTES, "one key is the other");

void cipher_key_id(const struct cipher_key *key, char ret_id[CIPHER_KEY_ID_CHARS + 1])
{
    uint8_t digest[SHA256_BYTES];
    hmac_sha256(slice_of(key->bytes, sizeof key->bytes), slice_text("milkrun cipher key id"),
                digest);
    hex_encode(slice_of(digest, CIPHER_KEY_ID_CHARS / 2), ret_id);
}

// The head is authentic as well. Its size is fixed, so it cannot run into the context.
static struct slice cipher_associate(struct slice head, struct slice context, struct arena *arena)
{
    ASSERT(head.size_bytes == CIPHER_HEAD_CHARS);
    uint8_t *bytes = arena_alloc(arena, head.size_bytes + context.size_bytes + 1);
    memcpy(bytes, head.data, head.size_bytes);
    if (context.size_bytes > 0)
        memcpy(bytes + head.size_bytes, context.data, context.size_bytes);
    return slice_of(bytes, head.size_bytes + context.size_bytes);
}

char *cipher_seal(const struct cipher_key *key, struct slice context, struct slice plain,
                  struct arena *arena)
{
    ASSERT(plain.size_bytes <= CIPHER_PLAIN_BYTES_MAX);
    char id[CIPHER_KEY_ID_CHARS + 1];
    cipher_key_id(key, id);
    const char *head = arena_format(arena, CIPHER_VERSION "%s.", id);
    const size_t size_bytes = AES_GCM_NONCE_BYTES + plain.size_bytes + AES_GCM_TAG_BYTES;
    uint8_t *bytes = arena_alloc(arena, size_bytes);
    rng_fill(rng_system(), bytes, AES_GCM_NONCE_BYTES);
    const struct aes_gcm gcm = {.key = key->bytes,
                                .nonce = bytes,
                                .associated = cipher_associate(slice_text(head), context, arena)};
    aes_gcm_encrypt(&gcm, plain, bytes + AES_GCM_NONCE_BYTES,
                    bytes + size_bytes - AES_GCM_TAG_BYTES);
    return arena_format(arena, "%s%s", head,
                        base64_encode(BASE64_URL, slice_of(bytes, size_bytes), arena));
}

static bool cipher_damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "a sealed text is damaged or not of this place");
}

static const struct cipher_key *cipher_find_key(const struct cipher_key *keys, size_t key_count,
                                                struct slice id)
{
    for (size_t i = 0; i < key_count; i++) {
        char own[CIPHER_KEY_ID_CHARS + 1];
        cipher_key_id(&keys[i], own);
        if (slice_equal_text(id, own))
            return &keys[i];
    }
    return NULL;
}

bool cipher_open(const struct cipher_key *keys, size_t key_count, struct slice context,
                 struct slice text, struct arena *arena, struct slice *ret_plain, struct err *err)
{
    struct slice bytes;
    if (text.size_bytes < CIPHER_HEAD_CHARS || text.size_bytes > 2 * CIPHER_PLAIN_BYTES_MAX ||
        !slice_starts_with(text, slice_text(CIPHER_VERSION)) ||
        slice_chars(text)[CIPHER_HEAD_CHARS - 1] != '.' ||
        !base64_decode(BASE64_URL, slice_from(text, CIPHER_HEAD_CHARS), arena, &bytes) ||
        bytes.size_bytes < AES_GCM_NONCE_BYTES + AES_GCM_TAG_BYTES)
        return cipher_damaged(err);
    const struct slice id = slice_part(text, sizeof CIPHER_VERSION - 1, CIPHER_KEY_ID_CHARS);
    const struct cipher_key *key = cipher_find_key(keys, key_count, id);
    if (key == NULL)
        return err_set(err, ERR_CORRUPT,
                       "a secret was sealed with a key that is not there any more");
    const struct aes_gcm gcm = {
        .key = key->bytes,
        .nonce = bytes.data,
        .associated = cipher_associate(slice_part(text, 0, CIPHER_HEAD_CHARS), context, arena)};
    const size_t size_bytes = bytes.size_bytes - AES_GCM_NONCE_BYTES - AES_GCM_TAG_BYTES;
    const uint8_t *tag = (const uint8_t *)bytes.data + bytes.size_bytes - AES_GCM_TAG_BYTES;
    uint8_t *plain = arena_alloc(arena, size_bytes + 1);
    if (!aes_gcm_decrypt(&gcm, slice_part(bytes, AES_GCM_NONCE_BYTES, size_bytes), tag, plain))
        return cipher_damaged(err);
    *ret_plain = slice_of(plain, size_bytes);
    return true;
}
