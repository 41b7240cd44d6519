// SPDX-License-Identifier: Apache-2.0
// Base 64 of RFC 4648. Reading is strict: each sequence of bytes has one text only, and no white
// space is in it. Pure.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

enum base64_form {
    BASE64_STANDARD, // '+', '/', and '=' at the end
    BASE64_URL,      // '-', '_', and no padding
};

char *base64_encode(enum base64_form form, struct slice bytes, struct arena *arena);
// False for anything that base64_encode would not have written.
bool base64_decode(enum base64_form form, struct slice text, struct arena *arena,
                   struct slice *ret_bytes);
