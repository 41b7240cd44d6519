// SPDX-License-Identifier: Apache-2.0
#include "api/api_memo.h"

#include "base/arena.h"
#include "base/mem.h"

#define API_MEMO_BUCKETS     ((size_t)256)
#define API_MEMO_VALUE_BYTES ((size_t)64 * 1024)
#define API_MEMO_BYTES       ((size_t)1024 * 1024)

struct api_memo_entry {
    struct api_memo_entry *next;
    struct slice key;
    struct slice value;
};

struct api_memo {
    struct arena arena;
    size_t used_bytes;
    struct api_memo_entry *buckets[API_MEMO_BUCKETS];
};

struct api_memo *api_memo_new(void)
{
    struct api_memo *memo = mem_alloc(sizeof *memo);
    arena_init(&memo->arena);
    return memo;
}

void api_memo_free(struct api_memo **memo)
{
    if (*memo == NULL)
        return;
    arena_clear(&(*memo)->arena);
    mem_free(*memo);
    *memo = NULL;
}

void api_memo_clear(struct api_memo *memo)
{
    arena_clear(&memo->arena);
    memset(memo->buckets, 0, sizeof memo->buckets);
    memo->used_bytes = 0;
}

static size_t api_memo_bucket(struct slice key)
{
    const unsigned char *bytes = key.data;
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (size_t i = 0; i < key.size_bytes; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return (size_t)(hash % API_MEMO_BUCKETS);
}

bool api_memo_find(const struct api_memo *memo, struct slice key, struct slice *ret_value)
{
    if (memo == NULL)
        return false;
    const struct api_memo_entry *entry = memo->buckets[api_memo_bucket(key)];
    while (entry != NULL && !slice_equal(entry->key, key))
        entry = entry->next;
    if (entry == NULL)
        return false;
    *ret_value = entry->value;
    return true;
}

void api_memo_add(struct api_memo *memo, struct slice key, struct slice value)
{
    if (memo == NULL || key.size_bytes + value.size_bytes > API_MEMO_VALUE_BYTES)
        return;
    if (memo->used_bytes + key.size_bytes + value.size_bytes > API_MEMO_BYTES)
        api_memo_clear(memo);
    memo->used_bytes += sizeof(struct api_memo_entry) + key.size_bytes + value.size_bytes;
    struct api_memo_entry **bucket = &memo->buckets[api_memo_bucket(key)];
    struct api_memo_entry *entry = arena_alloc(&memo->arena, sizeof *entry);
    entry->key = slice_of(arena_copy_slice(&memo->arena, key), key.size_bytes);
    entry->value = slice_of(arena_copy_slice(&memo->arena, value), value.size_bytes);
    entry->next = *bucket; // the newest is found first
    *bucket = entry;
}
