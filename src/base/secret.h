// SPDX-License-Identifier: Apache-2.0
// A text that must not be seen: keys, passwords, tokens. It has no other way out than
// secret_reveal(), so that each place where one goes out can be found by that word. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"

struct secret {
    char *hidden;
    size_t hidden_bytes;
};

// Copies text. secret_clear wipes the copy before it frees it; it accepts a zeroed secret, and
// leaves one.
void secret_init(struct secret *secret, struct slice text);
void secret_clear(struct secret *secret);

// A copy that lives until the arena is cleared; never for secret_clear.
struct secret secret_copy(struct arena *arena, struct slice text);

// NUL-terminated; of a zeroed secret "". Lives as long as the secret.
struct slice secret_reveal(const struct secret *secret);
bool secret_is_empty(const struct secret *secret);
