// SPDX-License-Identifier: Apache-2.0
// Between the files of the scanner alone: strings in event_string.c, names in event_names.c, rules
// of events in event_rules.c, and the grammar in event_scan.c. All state is in struct
// event_scanner, on the stack of event_scan.
#pragma once

#include "model/event.h"

// A name of EVENT_NAME_BYTES_MAX bytes in which every byte is spelt \u00xx.
#define EVENT_NAME_WRITTEN_MAX ((size_t)(6 * EVENT_NAME_BYTES_MAX))

// --- Strings. Both skip functions start after the opening quote and return where the closing quote
// is, or NULL when the string is not strict JSON in UTF-8.

// For everything that has escapes or is not ASCII; at is the first such byte.
const char *event_skip_string_slowly(const char *at, const char *end, bool *ret_has_escapes);

typedef signed char event_bytes __attribute__((vector_size(16)));
typedef uint16_t event_pairs __attribute__((vector_size(16)));
typedef uint8_t event_halves __attribute__((vector_size(8)));

// The first byte that is a quote, a backslash, a control character or not ASCII. Sixteen at a time
// (vector builtins become SSE2 or NEON) as long as sixteen are left.
static inline const char *event_skip_plain(const char *at, const char *end)
{
    while (end - at >= 16) {
        event_bytes bytes;
        memcpy(&bytes, at, sizeof bytes);
        // As signed numbers, bytes that are not ASCII are less than a space too.
        const event_pairs found = (event_pairs)((bytes == '"') | (bytes == '\\') | (bytes < 0x20));
        // Four bits per byte, in their order: one word to look at.
        const event_halves narrow = __builtin_convertvector(found >> 4, event_halves);
        uint64_t mask;
        memcpy(&mask, &narrow, sizeof mask);
        if (mask != 0)
            return at + __builtin_ctzll(mask) / 4;
        at += 16;
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

static inline const char *event_skip_string(const char *at, const char *end, bool *ret_has_escapes)
{
    const char *stop = event_skip_plain(at, end);
    if (stop < end && *stop == '"') {
        *ret_has_escapes = false;
        return stop;
    }
    return event_skip_string_slowly(stop, end, ret_has_escapes);
}

// Writes the decoded text of a checked string, never longer than the written one; returns its size.
size_t event_unescape(struct slice written, char *ret_text);
// The size alone.
size_t event_unescaped_size(struct slice written);

// --- Names that are open: those of the event, and of the nested objects around the cursor. A hash
// table with chains, popped level by level in the reverse order of pushing.

#define EVENT_OPEN_NAMES_MAX 2000
#define EVENT_NAME_BUCKETS   256

struct event_name {
    const char *written;
    uint32_t hash; // of level and decoded name
    uint16_t size_bytes;
    uint16_t next; // 1-based index of the next one in the bucket, 0: none
    uint8_t bucket;
    uint8_t level;
    bool has_escapes;
};

struct event_names {
    size_t count;
    uint16_t buckets[EVENT_NAME_BUCKETS];
    struct event_name items[EVENT_OPEN_NAMES_MAX];
};

enum event_names_result {
    EVENT_NAME_ADDED,
    EVENT_NAME_DUPLICATE,
    EVENT_NAME_TOO_MANY,
};

void event_names_init(struct event_names *names);
// written is what the line holds; decoded is the same without escapes.
enum event_names_result event_names_add(struct event_names *names, size_t level,
                                        struct slice written, struct slice decoded);
// Forgets the names from position count on.
void event_names_pop(struct event_names *names, size_t count);

// --- Rules

struct event_scanner {
    const char *at;
    const char *end;
    struct event *event;
    struct err *err;
    int64_t now_ms;
    bool has_timestamp;
    char decoded_name[EVENT_NAME_WRITTEN_MAX];
    struct event_names names;
};

enum event_meaning {
    EVENT_MEANS_NOTHING,
    EVENT_MEANS_TIMESTAMP,
    EVENT_MEANS_ID,
    EVENT_MEANS_APP_ID,
    EVENT_MEANS_RESERVED,
};

enum event_meaning event_meaning_of(const char *decoded_name, size_t size_bytes);

// Keeps the property, which is the next one of the event, or takes its meaning, or refuses it.
NODISCARD bool event_accept_property(struct event_scanner *scanner,
                                     const struct event_property *property,
                                     enum event_meaning meaning);
