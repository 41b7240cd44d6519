// SPDX-License-Identifier: Apache-2.0
#include "base/secret.h"

#include <string.h>

#include "base/mem.h"

void secret_init(struct secret *secret, struct slice text)
{
    *secret = (struct secret){.hidden = mem_alloc(text.size_bytes + 1),
                              .hidden_bytes = text.size_bytes};
    if (text.size_bytes > 0)
        memcpy(secret->hidden, text.data, text.size_bytes);
}

void secret_clear(struct secret *secret)
{
    if (secret->hidden != NULL)
        explicit_bzero(secret->hidden, secret->hidden_bytes);
    mem_free(secret->hidden);
    *secret = (struct secret){0};
}

struct secret secret_copy(struct arena *arena, struct slice text)
{
    return (struct secret){.hidden = arena_copy_slice(arena, text),
                           .hidden_bytes = text.size_bytes};
}

struct slice secret_reveal(const struct secret *secret)
{
    return slice_of(secret->hidden == NULL ? "" : secret->hidden, secret->hidden_bytes);
}

bool secret_is_empty(const struct secret *secret)
{
    return secret->hidden_bytes == 0;
}
