// SPDX-License-Identifier: Apache-2.0
// What proves to a webhook that a notice is ours, and fresh:
//
//   Milkrun-Signature: t=1795442700,v1=<hex of HMAC-SHA256(secret, "1795442700." + body)>
//
// While a rotated secret has its grace there are two v1; one that fits is enough. Pure.
#pragma once

#include "base/arena.h"
#include "base/secret.h"
#include "base/slice.h"

#define WEBHOOK_SECRETS_MAX ((size_t)2)

// The header's value; in the arena. count is 1 or 2.
const char *webhook_sign(const struct secret *secrets, size_t count, int64_t now_s,
                         struct slice body, struct arena *arena);
