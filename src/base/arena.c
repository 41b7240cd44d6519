// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_CHUNK_BYTES ((size_t)0) // every piece its own chunk
#else
#define ARENA_CHUNK_BYTES ((size_t)8 * 1024)
#endif

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity_bytes;
    max_align_t data[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_clear(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        mem_free(arena->chunks);
        arena->chunks = next;
    }
    arena->used_bytes = 0;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    ASSERT(size_bytes < SIZE_MAX / 2);
    const size_t aligned = (size_bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (arena->chunks == NULL || arena->chunks->capacity_bytes - arena->used_bytes < aligned) {
        const size_t capacity = aligned > ARENA_CHUNK_BYTES ? aligned : ARENA_CHUNK_BYTES;
        struct arena_chunk *chunk = mem_alloc(sizeof *chunk + capacity);
        chunk->capacity_bytes = capacity;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used_bytes = 0;
    }
    void *piece = (char *)arena->chunks->data + arena->used_bytes;
    arena->used_bytes += aligned;
    return piece;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t item_size_bytes)
{
    ASSERT(item_size_bytes > 0);
    ASSERT(count <= SIZE_MAX / 2 / item_size_bytes);
    return arena_alloc(arena, count * item_size_bytes);
}

char *arena_copy_slice(struct arena *arena, struct slice slice)
{
    char *copy = arena_alloc(arena, slice.size_bytes + 1);
    if (slice.size_bytes > 0)
        memcpy(copy, slice.data, slice.size_bytes);
    return copy;
}

char *arena_copy_text(struct arena *arena, const char *text)
{
    return arena_copy_slice(arena, slice_text(text));
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ASSERT(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
