// SPDX-License-Identifier: Apache-2.0
#include "lake/seal_table.h"

#include "base/check.h"
#include "base/mem.h"

#define SEAL_TABLE_SLOTS_FIRST ((size_t)64)

void seal_table_clear(struct seal_table *table)
{
    mem_free(table->slots);
    *table = (struct seal_table){.slots = NULL};
}

// A slot keeps 32 bits of the hash, which say where it belongs: growing needs no keys.
static void seal_table_put(uint64_t *slots, size_t slot_count, uint64_t slot)
{
    size_t at = (size_t)(slot >> 32) & (slot_count - 1);
    while (slots[at] != 0)
        at = (at + 1) & (slot_count - 1);
    slots[at] = slot;
}

static void seal_table_grow(struct seal_table *table)
{
    const size_t slot_count = table->slot_count == 0 ? SEAL_TABLE_SLOTS_FIRST
                                                     : table->slot_count * 2;
    uint64_t *slots = mem_alloc_array(slot_count, sizeof slots[0]);
    for (size_t i = 0; i < table->slot_count; i++)
        if (table->slots[i] != 0)
            seal_table_put(slots, slot_count, table->slots[i]);
    mem_free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
}

void seal_table_add(struct seal_table *table, uint64_t hash, size_t position)
{
    ASSERT(position < UINT32_MAX);
    if (table->entry_count * 2 >= table->slot_count)
        seal_table_grow(table);
    seal_table_put(table->slots, table->slot_count, hash >> 32 << 32 | (position + 1));
    table->entry_count++;
}

// The cursor counts the slots that were looked at.
bool seal_table_next(const struct seal_table *table, uint64_t hash, size_t *cursor,
                     size_t *ret_position)
{
    if (table->slot_count == 0)
        return false;
    const size_t mask = table->slot_count - 1;
    for (;;) {
        const uint64_t slot = table->slots[((size_t)(hash >> 32) + *cursor) & mask];
        if (slot == 0)
            return false;
        (*cursor)++;
        if (slot >> 32 == hash >> 32) {
            *ret_position = (size_t)(uint32_t)slot - 1;
            return true;
        }
    }
}

uint64_t seal_hash(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

uint64_t seal_hash_text(struct slice text)
{
    uint64_t hash = text.size_bytes;
    size_t at = 0;
    for (; at + sizeof hash <= text.size_bytes; at += sizeof hash) {
        uint64_t word;
        memcpy(&word, slice_chars(text) + at, sizeof word);
        hash = seal_hash(hash, word);
    }
    uint64_t rest = 0;
    if (at < text.size_bytes)
        memcpy(&rest, slice_chars(text) + at, text.size_bytes - at);
    return seal_hash(seal_hash(hash, rest), text.size_bytes);
}
