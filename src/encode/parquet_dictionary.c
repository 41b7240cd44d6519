// SPDX-License-Identifier: Apache-2.0
#include "encode/parquet_dictionary.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#define DICTIONARY_SLOTS_FIRST ((size_t)1024)
#define DICTIONARY_SLOTS_KEPT  ((size_t)16384)
#define DICTIONARY_BYTES_KEPT  ((size_t)128 * 1024)
// Longer searches do not happen with an even hash: the values were made to collide.
#define DICTIONARY_PROBES_MAX ((size_t)256)
// From here on (at powers of two) values must repeat twice on average.
#define DICTIONARY_PAYS_FROM 4096u

__extension__ typedef unsigned __int128 dictionary_wide;

static inline uint64_t dictionary_mix(uint64_t left, uint64_t right)
{
    const dictionary_wide product = (dictionary_wide)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t dictionary_load64(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint64_t dictionary_load32(const char *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

#define DICTIONARY_KEY_A UINT64_C(0x9E3779B97F4A7C15)
#define DICTIONARY_KEY_B UINT64_C(0xD6E8FEB86659FD93)

static inline uint64_t dictionary_hash_bits(uint64_t bits)
{
    return dictionary_mix(bits ^ DICTIONARY_KEY_A, DICTIONARY_KEY_B);
}

// Two words that overlap cover any text of up to 16 bytes; longer ones are folded in before.
static inline uint64_t dictionary_hash_text(const char *text, size_t size_bytes)
{
    uint64_t folded = DICTIONARY_KEY_B;
    uint64_t first = 0;
    uint64_t second = 0;
    size_t left = size_bytes;
    for (; left > 16; left -= 16, text += 16)
        folded = dictionary_mix(dictionary_load64(text) ^ DICTIONARY_KEY_A,
                                dictionary_load64(text + 8) ^ folded);
    if (left >= 8) {
        first = dictionary_load64(text);
        second = dictionary_load64(text + left - 8);
    } else if (left >= 4) {
        first = dictionary_load32(text);
        second = dictionary_load32(text + left - 4);
    } else if (left > 0) {
        first = (uint64_t)(uint8_t)text[0] << 16 | (uint64_t)(uint8_t)text[left / 2] << 8 |
                (uint8_t)text[left - 1];
    }
    return dictionary_mix(DICTIONARY_KEY_A ^ size_bytes,
                          dictionary_mix(first ^ DICTIONARY_KEY_A, second ^ folded));
}

void parquet_dictionary_init(struct parquet_dictionary *dictionary, bool is_text)
{
    *dictionary = (struct parquet_dictionary){.is_text = is_text};
    buf_init(&dictionary->bytes, PARQUET_DICTIONARY_BYTES_MAX);
}

void parquet_dictionary_clear(struct parquet_dictionary *dictionary)
{
    buf_clear(&dictionary->bytes);
    mem_free(dictionary->offsets);
    mem_free(dictionary->slots);
    dictionary->offsets = NULL;
    dictionary->slots = NULL;
    dictionary->offset_capacity = 0;
    dictionary->slot_count = 0;
}

void parquet_dictionary_reset(struct parquet_dictionary *dictionary)
{
    const bool is_large = dictionary->slot_count > DICTIONARY_SLOTS_KEPT ||
                          dictionary->bytes.capacity_bytes > DICTIONARY_BYTES_KEPT;
    if (is_large)
        parquet_dictionary_clear(dictionary);
    buf_reset(&dictionary->bytes);
    if (dictionary->slots != NULL)
        memset(dictionary->slots, 0, dictionary->slot_count * sizeof dictionary->slots[0]);
    dictionary->entry_count = 0;
    dictionary->last = 0;
}

// The place of an entry follows from the 32 bits of its hash that the slot keeps, so growing needs
// the slots alone.
static void dictionary_grow(struct parquet_dictionary *dictionary)
{
    const size_t slot_count = dictionary->slots == NULL ? DICTIONARY_SLOTS_FIRST
                                                        : dictionary->slot_count * 2;
    uint64_t *slots = mem_alloc_array(slot_count, sizeof slots[0]);
    for (size_t i = 0; i < dictionary->slot_count; i++) {
        const uint64_t slot = dictionary->slots[i];
        if (slot == 0)
            continue;
        size_t at = (size_t)(slot >> 32) & (slot_count - 1);
        while (slots[at] != 0)
            at = (at + 1) & (slot_count - 1);
        slots[at] = slot;
    }
    mem_free(dictionary->slots);
    dictionary->slots = slots;
    dictionary->slot_count = slot_count;
}

static bool dictionary_pays(const struct parquet_dictionary *dictionary, size_t value_count)
{
    const uint32_t count = dictionary->entry_count;
    const bool is_asked = count >= DICTIONARY_PAYS_FROM && (count & (count - 1)) == 0;
    return !is_asked || value_count / 2 >= count;
}

// A new entry of size_bytes PLAIN bytes at slot `at`. NULL: given up.
static char *dictionary_add(struct parquet_dictionary *dictionary, size_t at, uint64_t tag,
                            size_t size_bytes, size_t value_count)
{
    if (!dictionary_pays(dictionary, value_count))
        return NULL;
    const size_t offset = dictionary->bytes.size_bytes;
    char *room = buf_reserve(&dictionary->bytes, size_bytes);
    if (room == NULL)
        return NULL;
    if (dictionary->is_text && dictionary->entry_count == dictionary->offset_capacity) {
        dictionary->offset_capacity = dictionary->offset_capacity == 0
                                          ? 256
                                          : dictionary->offset_capacity * 2;
        dictionary->offsets = mem_resize(dictionary->offsets, dictionary->offset_capacity *
                                                                  sizeof dictionary->offsets[0]);
    }
    if (dictionary->is_text)
        dictionary->offsets[dictionary->entry_count] = (uint32_t)offset;
    buf_advance(&dictionary->bytes, size_bytes);
    dictionary->last = dictionary->entry_count;
    dictionary->entry_count++;
    dictionary->slots[at] = tag << 32 | dictionary->entry_count;
    return room;
}

static inline bool dictionary_text_equals(const struct parquet_dictionary *dictionary,
                                          uint32_t entry, struct slice text)
{
    const char *plain = dictionary->bytes.data + dictionary->offsets[entry];
    return dictionary_load32(plain) == text.size_bytes &&
           memcmp(plain + sizeof(uint32_t), text.data, text.size_bytes) == 0;
}

bool parquet_dictionary_put_text(struct parquet_dictionary *dictionary, struct slice text,
                                 size_t value_count, uint32_t *ret_entry)
{
    if (text.size_bytes == 0)
        text.data = "";
    if (dictionary->entry_count > 0 && dictionary_text_equals(dictionary, dictionary->last, text)) {
        *ret_entry = dictionary->last;
        return true;
    }
    if (dictionary->entry_count * (size_t)2 >= dictionary->slot_count)
        dictionary_grow(dictionary);
    const uint64_t tag = dictionary_hash_text(slice_chars(text), text.size_bytes) >> 32;
    size_t at = (size_t)tag & (dictionary->slot_count - 1);
    for (size_t probe = 0; probe < DICTIONARY_PROBES_MAX; probe++) {
        const uint64_t slot = dictionary->slots[at];
        if (slot == 0) {
            char *room = dictionary_add(dictionary, at, tag, sizeof(uint32_t) + text.size_bytes,
                                        value_count);
            if (room == NULL)
                return false;
            const uint32_t size_bytes = (uint32_t)text.size_bytes;
            memcpy(room, &size_bytes, sizeof size_bytes);
            memcpy(room + sizeof size_bytes, text.data, text.size_bytes);
            *ret_entry = dictionary->last;
            return true;
        }
        const uint32_t entry = (uint32_t)slot - 1;
        if (slot >> 32 == tag && dictionary_text_equals(dictionary, entry, text)) {
            dictionary->last = entry;
            *ret_entry = entry;
            return true;
        }
        at = (at + 1) & (dictionary->slot_count - 1);
    }
    return false;
}

static inline bool dictionary_bits_equal(const struct parquet_dictionary *dictionary,
                                         uint32_t entry, uint64_t bits)
{
    return dictionary_load64(dictionary->bytes.data + (size_t)entry * sizeof bits) == bits;
}

bool parquet_dictionary_put_bits(struct parquet_dictionary *dictionary, uint64_t bits,
                                 size_t value_count, uint32_t *ret_entry)
{
    if (dictionary->entry_count > 0 && dictionary_bits_equal(dictionary, dictionary->last, bits)) {
        *ret_entry = dictionary->last;
        return true;
    }
    if (dictionary->entry_count * (size_t)2 >= dictionary->slot_count)
        dictionary_grow(dictionary);
    const uint64_t tag = dictionary_hash_bits(bits) >> 32;
    size_t at = (size_t)tag & (dictionary->slot_count - 1);
    for (size_t probe = 0; probe < DICTIONARY_PROBES_MAX; probe++) {
        const uint64_t slot = dictionary->slots[at];
        if (slot == 0) {
            char *room = dictionary_add(dictionary, at, tag, sizeof bits, value_count);
            if (room == NULL)
                return false;
            memcpy(room, &bits, sizeof bits);
            *ret_entry = dictionary->last;
            return true;
        }
        const uint32_t entry = (uint32_t)slot - 1;
        if (slot >> 32 == tag && dictionary_bits_equal(dictionary, entry, bits)) {
            dictionary->last = entry;
            *ret_entry = entry;
            return true;
        }
        at = (at + 1) & (dictionary->slot_count - 1);
    }
    return false;
}

struct slice parquet_dictionary_plain(const struct parquet_dictionary *dictionary, uint32_t entry)
{
    ASSERT(entry < dictionary->entry_count);
    if (!dictionary->is_text)
        return slice_of(dictionary->bytes.data + (size_t)entry * sizeof(uint64_t),
                        sizeof(uint64_t));
    const char *plain = dictionary->bytes.data + dictionary->offsets[entry];
    return slice_of(plain, sizeof(uint32_t) + (size_t)dictionary_load32(plain));
}
