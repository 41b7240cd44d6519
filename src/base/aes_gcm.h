// SPDX-License-Identifier: Apache-2.0
// AES-256 in Galois/Counter Mode (OpenSSL), the bare primitive: base/cipher.h is what to use. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define AES_GCM_KEY_BYTES   ((size_t)32)
#define AES_GCM_NONCE_BYTES ((size_t)12)
#define AES_GCM_TAG_BYTES   ((size_t)16)
#define AES_GCM_BYTES_MAX   ((size_t)1 << 30) // of text and of associated data

struct aes_gcm {
    const uint8_t *key;      // AES_GCM_KEY_BYTES
    const uint8_t *nonce;    // AES_GCM_NONCE_BYTES, never twice with one key
    struct slice associated; // is authentic too, but is not in the result
};

// ret_bytes has room for plain.size_bytes.
void aes_gcm_encrypt(const struct aes_gcm *gcm, struct slice plain, uint8_t *ret_bytes,
                     uint8_t ret_tag[AES_GCM_TAG_BYTES]);
// False when anything is not as it was encrypted; ret_bytes (room for sealed.size_bytes) is then
// wiped.
bool aes_gcm_decrypt(const struct aes_gcm *gcm, struct slice sealed,
                     const uint8_t tag[AES_GCM_TAG_BYTES], uint8_t *ret_bytes);
