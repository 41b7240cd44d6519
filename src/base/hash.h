// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC-SHA256 (OpenSSL) and hexadecimal text. One thread per object.
#pragma once

#include <stdbool.h>
#include <stdint.h>

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

// Lower-case text, NUL-terminated: ret_text has room for 2 * size_bytes + 1.
void hex_encode(struct slice bytes, char *ret_text);
// Value of a hexadecimal digit of either case, or -1.
int hex_digit(char character);
// False unless text is exactly 2 * size_bytes hexadecimal digits.
bool hex_decode(struct slice text, uint8_t *ret_bytes, size_t size_bytes);
