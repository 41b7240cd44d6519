// SPDX-License-Identifier: Apache-2.0
// RSA signatures (OpenSSL), as RS256 of RFC 7518 has them: PKCS #1 v1.5 with SHA-256. Pure.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

#define RSA_PEM_BYTES_MAX ((size_t)32 * 1024)
#define RSA_BITS_MIN      2048
#define RSA_BITS_MAX      8192

// The key is PKCS #8 or PKCS #1 in PEM. INVALID: it is not, has a password, or is too weak. Never
// asks anybody.
NODISCARD bool rsa_sign_sha256(struct slice private_key_pem, struct slice message,
                               struct arena *arena, struct slice *ret_signature, struct err *err);
