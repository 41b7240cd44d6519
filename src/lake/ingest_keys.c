// SPDX-License-Identifier: Apache-2.0
#include "lake/ingest_keys.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#define INGEST_KEYS_BUCKETS ((size_t)256)

void ingest_keys_init(struct ingest_keys *keys)
{
    *keys = (struct ingest_keys){
        .buckets = mem_alloc_array(INGEST_KEYS_BUCKETS, sizeof(struct ingest_key *)),
        .bucket_count = INGEST_KEYS_BUCKETS,
    };
}

static int64_t ingest_key_bytes(const struct ingest_key *key)
{
    return (int64_t)(sizeof *key + strlen(key->answer) + 1);
}

static void ingest_key_free(struct ingest_keys *keys, struct ingest_key *key)
{
    keys->count--;
    keys->byte_count -= ingest_key_bytes(key);
    mem_free(key->answer);
    mem_free(key);
}

void ingest_keys_clear(struct ingest_keys *keys)
{
    for (size_t i = 0; i < keys->bucket_count; i++) {
        while (keys->buckets[i] != NULL) {
            struct ingest_key *key = keys->buckets[i];
            keys->buckets[i] = key->next;
            ingest_key_free(keys, key);
        }
    }
    mem_free(keys->buckets);
    *keys = (struct ingest_keys){0};
}

// Scopes are SHA-256: any bits of them spread evenly.
static struct ingest_key **ingest_keys_bucket(struct ingest_keys *keys, const uint8_t *scope)
{
    uint64_t bits;
    memcpy(&bits, scope, sizeof bits);
    return &keys->buckets[bits & (keys->bucket_count - 1)];
}

struct ingest_key *ingest_keys_find(struct ingest_keys *keys, const uint8_t scope[SHA256_BYTES])
{
    struct ingest_key *key = *ingest_keys_bucket(keys, scope);
    while (key != NULL && memcmp(key->scope, scope, SHA256_BYTES) != 0)
        key = key->next;
    return key;
}

static void ingest_keys_grow(struct ingest_keys *keys)
{
    struct ingest_keys old = *keys;
    keys->bucket_count *= 4;
    keys->buckets = mem_alloc_array(keys->bucket_count, sizeof *keys->buckets);
    for (size_t i = 0; i < old.bucket_count; i++) {
        while (old.buckets[i] != NULL) {
            struct ingest_key *key = old.buckets[i];
            old.buckets[i] = key->next;
            struct ingest_key **bucket = ingest_keys_bucket(keys, key->scope);
            key->next = *bucket;
            *bucket = key;
        }
    }
    mem_free(old.buckets);
}

struct ingest_key *ingest_keys_add(struct ingest_keys *keys, const uint8_t scope[SHA256_BYTES],
                                   const uint8_t body_sha256[SHA256_BYTES], struct slice answer)
{
    ingest_keys_remove(keys, scope);
    if (keys->count >= keys->bucket_count)
        ingest_keys_grow(keys);
    struct ingest_key *key = mem_alloc(sizeof *key);
    memcpy(key->scope, scope, SHA256_BYTES);
    memcpy(key->body_sha256, body_sha256, SHA256_BYTES);
    key->answer = mem_alloc(answer.size_bytes + 1);
    if (answer.size_bytes > 0)
        memcpy(key->answer, answer.data, answer.size_bytes);
    struct ingest_key **bucket = ingest_keys_bucket(keys, scope);
    key->next = *bucket;
    *bucket = key;
    keys->count++;
    keys->byte_count += ingest_key_bytes(key);
    return key;
}

void ingest_keys_remove(struct ingest_keys *keys, const uint8_t scope[SHA256_BYTES])
{
    struct ingest_key **link = ingest_keys_bucket(keys, scope);
    while (*link != NULL && memcmp((*link)->scope, scope, SHA256_BYTES) != 0)
        link = &(*link)->next;
    struct ingest_key *key = *link;
    if (key == NULL)
        return;
    *link = key->next;
    ingest_key_free(keys, key);
}

void ingest_keys_drop(struct ingest_keys *keys, int64_t sealed_file_id, int64_t now_ms)
{
    for (size_t i = 0; i < keys->bucket_count; i++) {
        struct ingest_key **link = &keys->buckets[i];
        while (*link != NULL) {
            struct ingest_key *key = *link;
            const bool is_done = key->file_id <= sealed_file_id || key->expires_at_ms <= now_ms;
            if (key->is_pending || !is_done) {
                link = &key->next;
                continue;
            }
            *link = key->next;
            ingest_key_free(keys, key);
        }
    }
}
