// SPDX-License-Identifier: Apache-2.0
// Finds names that come twice in one object. Effort per name is a short chain; the table is on the
// stack and only its buckets (512 bytes) are cleared per line.
#include "base/check.h"
#include "model/event_internal.h"

void event_names_init(struct event_names *names)
{
    names->count = 0;
    memset(names->buckets, 0, sizeof names->buckets);
}

static uint64_t event_load64(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t event_load32(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

// The last eight bytes; they overlap what was hashed before when the name is longer.
static uint64_t event_load_tail(const char *name, size_t size_bytes)
{
    if (size_bytes >= 8)
        return event_load64(name + size_bytes - 8);
    if (size_bytes >= 4)
        return event_load32(name) << 32 | event_load32(name + size_bytes - 4);
    if (size_bytes == 0)
        return 0;
    const unsigned char *bytes = (const unsigned char *)name;
    return (uint64_t)bytes[0] << 16 | (uint64_t)bytes[size_bytes / 2] << 8 | bytes[size_bytes - 1];
}

static uint64_t event_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint32_t event_hash(const char *name, size_t size_bytes, size_t level)
{
    uint64_t hash = level << 32 | size_bytes;
    for (size_t i = 0; i + 8 < size_bytes; i += 8)
        hash = event_mix(hash, event_load64(name + i));
    return (uint32_t)event_mix(hash, event_load_tail(name, size_bytes));
}

static bool event_name_is(const struct event_name *name, struct slice decoded)
{
    const struct slice written = slice_of(name->written, name->size_bytes);
    if (!name->has_escapes)
        return slice_equal(written, decoded);
    char text[EVENT_NAME_WRITTEN_MAX];
    ASSERT(written.size_bytes <= sizeof text);
    return slice_equal(slice_of(text, event_unescape(written, text)), decoded);
}

enum event_names_result event_names_add(struct event_names *names, size_t level,
                                        struct slice written, struct slice decoded)
{
    ASSERT(written.size_bytes <= EVENT_NAME_WRITTEN_MAX);
    // Only one object is open per level, so (level, name) says which name of which object.
    const uint32_t hash = event_hash(slice_chars(decoded), decoded.size_bytes, level);
    const uint8_t bucket = (uint8_t)(hash % EVENT_NAME_BUCKETS);
    for (uint16_t i = names->buckets[bucket]; i != 0; i = names->items[i - 1].next) {
        const struct event_name *item = &names->items[i - 1];
        if (item->hash == hash && item->level == level && event_name_is(item, decoded))
            return EVENT_NAME_DUPLICATE;
    }
    if (names->count == EVENT_OPEN_NAMES_MAX)
        return EVENT_NAME_TOO_MANY;
    names->items[names->count++] = (struct event_name){
        .written = slice_chars(written),
        .hash = hash,
        .size_bytes = (uint16_t)written.size_bytes,
        .next = names->buckets[bucket],
        .bucket = bucket,
        .level = (uint8_t)level,
        .has_escapes = written.data != decoded.data,
    };
    names->buckets[bucket] = (uint16_t)names->count;
    return EVENT_NAME_ADDED;
}

void event_names_pop(struct event_names *names, size_t count)
{
    ASSERT(count <= names->count);
    while (names->count > count) {
        const struct event_name *item = &names->items[--names->count];
        ASSERT(names->buckets[item->bucket] == names->count + 1);
        names->buckets[item->bucket] = item->next;
    }
}
