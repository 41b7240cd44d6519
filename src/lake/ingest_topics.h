// SPDX-License-Identifier: Apache-2.0
// What the ingest log knows of topics and apps without asking the catalog for each line: snapshots
// that many threads share, read-only and counted. Any thread may call; one mutex guards the tables
// and the connection they are filled from.
#pragma once

#include <stdatomic.h>

#include "base/thread.h"
#include "catalog/topics.h"

#define INGEST_ID_CHARS ((size_t)20) // an id and its NUL

// A topic's schema at some moment. topic_id is 0 for one that has no row in the catalog yet.
struct ingest_topic {
    atomic_int reference_count;
    int64_t generation;
    struct arena arena;
    const struct schema *schema;
    struct schema_index *index;
};

// For who fills it (schema in arena), then calls ingest_topic_seal; one reference, the caller's.
struct ingest_topic *ingest_topic_new(void);
void ingest_topic_seal(struct ingest_topic *topic);
// Gives the reference back. Accepts NULL, sets NULL.
void ingest_topic_release(struct ingest_topic **topic);

struct ingest_topics_entry;

struct ingest_topics {
    struct mutex mutex; // guards what follows
    struct catalog *catalog;
    struct ingest_topics_entry **buckets;
    size_t entry_count;
    int64_t generation;
};

NODISCARD bool ingest_topics_open(struct ingest_topics *topics, const char *catalog_path,
                                  struct err *err);
void ingest_topics_close(struct ingest_topics *topics);

// *ret_topic is the caller's reference. An unknown topic is an empty schema.
NODISCARD bool ingest_topics_get(struct ingest_topics *topics, const char *organization_id,
                                 const char *topic_name, struct ingest_topic **ret_topic,
                                 struct err *err);
// Shares a newer snapshot; the caller keeps its reference.
void ingest_topics_put(struct ingest_topics *topics, const char *organization_id,
                       struct ingest_topic *topic);
// The catalog changed: snapshots are read anew when next asked for.
void ingest_topics_expire(struct ingest_topics *topics);

// The organization of an app. *ret_found false: no such app, or it takes no events any more.
NODISCARD bool ingest_topics_find_app(struct ingest_topics *topics, const char *app_id,
                                      bool *ret_found, char ret_organization_id[INGEST_ID_CHARS],
                                      struct err *err);
