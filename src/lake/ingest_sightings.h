// SPDX-License-Identifier: Apache-2.0
// What the lines of a batch have that the topic's schema does not say yet: unknown fields, and
// learned ones that must widen. Belongs to the batch's thread, then to the committer.
#pragma once

#include "catalog/topics.h"
#include "lake/ingest_topics.h"
#include "model/event.h"

struct ingest_sighting {
    char *name;
    size_t name_bytes;
    uint16_t next; // 1-based, in the bucket
    enum field_type type;
    bool is_wide;
};

#define INGEST_SIGHTING_BUCKETS 256

// Lines of a batch look alike: the n-th property of a line is mostly the field that it was in the
// line before.
struct ingest_guess {
    const struct schema_field *field; // NULL: no guess
    size_t name_bytes;
};
#define INGEST_GUESSES 64

struct ingest_sightings {
    struct ingest_guess guesses[INGEST_GUESSES];
    struct ingest_sighting *items;
    size_t count;
    size_t capacity;
    uint16_t *buckets; // NULL while empty
};

void ingest_sightings_clear(struct ingest_sightings *sightings);

// Checks a line's values against the schema and keeps what is new. INVALID, and nothing kept, when
// a value does not fit a fixed field ("Invalid value for field", its name in ret_detail) or the
// topic would get too many fields ("Too many fields").
NODISCARD bool ingest_sightings_add_event(struct ingest_sightings *sightings,
                                          const struct ingest_topic *topic,
                                          const struct event *event,
                                          char ret_detail[SCHEMA_NAME_BYTES_MAX + 1],
                                          struct err *err);

// Whether the schema says it all: then nothing is to be learned.
bool ingest_sightings_are_known(const struct ingest_sightings *sightings,
                                const struct ingest_topic *topic);

// For topic_learn; names live as long as the sightings. Free with mem_free.
struct topic_sighting *ingest_sightings_list(const struct ingest_sightings *sightings);
