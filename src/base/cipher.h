// SPDX-License-Identifier: Apache-2.0
// Small texts, sealed to be kept where others may read or change them: AES-256-GCM with a random
// nonce.
//
//   v1.<key id>.<base64url of nonce, encrypted text, tag>
//
// The context says what the text is for ("connection 17 secret"): a sealed text opens only with the
// context with which it was sealed, so that nobody can put one row's secret into another. Pure but
// for the nonce. Thread-safe.
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

#define CIPHER_KEY_BYTES       ((size_t)32)
#define CIPHER_KEY_ID_CHARS    ((size_t)16)
#define CIPHER_PLAIN_BYTES_MAX ((size_t)1024 * 1024)

struct cipher_key {
    uint8_t bytes[CIPHER_KEY_BYTES];
};

// What tells keys apart in sealed texts; says nothing about the key.
void cipher_key_id(const struct cipher_key *key, char ret_id[CIPHER_KEY_ID_CHARS + 1]);

// plain is at most CIPHER_PLAIN_BYTES_MAX.
char *cipher_seal(const struct cipher_key *key, struct slice context, struct slice plain,
                  struct arena *arena);

// With whichever key it was sealed. *ret_plain is NUL-terminated too, and the caller's to wipe.
// CORRUPT: it is damaged, of another context, or its key is not among these (the text says which).
NODISCARD bool cipher_open(const struct cipher_key *keys, size_t key_count, struct slice context,
                           struct slice text, struct arena *arena, struct slice *ret_plain,
                           struct err *err);
