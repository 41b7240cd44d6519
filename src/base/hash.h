// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC-SHA256 and MD5 (OpenSSL). One thread per object.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hex.h" // digests are mostly shown so
#include "base/slice.h"

#define SHA256_BYTES     ((size_t)32)
#define SHA256_HEX_CHARS ((size_t)64)

struct sha256;

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 **hash);
void sha256_update(struct sha256 *hash, struct slice bytes);
// The object starts anew afterwards.
void sha256_finish(struct sha256 *hash, uint8_t ret_digest[32]);

void sha256_of(struct slice bytes, uint8_t ret_digest[32]);
void hmac_sha256(struct slice key, struct slice message, uint8_t ret_digest[32]);

// Only because object stores still answer in it: it protects against accidents, not against people.
#define MD5_BYTES ((size_t)16)

struct md5;

struct md5 *md5_new(void);
void md5_free(struct md5 **hash);
void md5_update(struct md5 *hash, struct slice bytes);
// The object starts anew afterwards.
void md5_finish(struct md5 *hash, uint8_t ret_digest[16]);
