// SPDX-License-Identifier: Apache-2.0
// Private keys for tests, known to everybody.
#pragma once

extern const char test_key_pkcs8[];  // of RFC 7515, A.2
extern const char test_key_pkcs1[];  // the same one
extern const char test_key_small[];  // RSA, 1024 bits
extern const char test_key_curve[];  // P-256
extern const char test_key_locked[]; // with a password
