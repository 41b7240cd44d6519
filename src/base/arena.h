// SPDX-License-Identifier: Apache-2.0
// Memory for one unit of work (a request, a claimed job, a sweep): pieces are taken one by one and
// freed all at once. Under AddressSanitizer every piece is its own allocation, so that overruns
// inside the arena are seen. One thread at a time.
#pragma once

#include <stddef.h>

#include "base/slice.h"

struct arena {
    struct arena_chunk *chunks;
    size_t used_bytes; // of the newest chunk
};

void arena_init(struct arena *arena);
void arena_clear(struct arena *arena);

// Zeroed, aligned for any type; lives until arena_clear.
void *arena_alloc(struct arena *arena, size_t size_bytes);
void *arena_alloc_array(struct arena *arena, size_t count, size_t item_size_bytes);

char *arena_copy_text(struct arena *arena, const char *text);
// NUL-terminated copy.
char *arena_copy_slice(struct arena *arena, struct slice slice);
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
