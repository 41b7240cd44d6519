// SPDX-License-Identifier: Apache-2.0
#include "lake/ingest_topics.h"

#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/tenants.h"

#define INGEST_TOPICS_BUCKETS ((size_t)1024)
// Beyond it the table is emptied: a bound, not a tuning knob.
#define INGEST_TOPICS_MAX ((size_t)4096)

// A topic under "organization/name", or the organization of an app under "app".
struct ingest_topics_entry {
    struct ingest_topics_entry *next;
    char *key;
    struct ingest_topic *topic; // NULL for an app
    int64_t generation;         // of an app
    char organization_id[INGEST_ID_CHARS];
};

struct ingest_topic *ingest_topic_new(void)
{
    struct ingest_topic *topic = mem_alloc(sizeof *topic);
    atomic_init(&topic->reference_count, 1);
    arena_init(&topic->arena);
    return topic;
}

void ingest_topic_seal(struct ingest_topic *topic)
{
    ASSERT(topic->schema != NULL);
    ASSERT(topic->index == NULL);
    topic->index = schema_index_new(topic->schema);
}

void ingest_topic_release(struct ingest_topic **topic)
{
    struct ingest_topic *old = *topic;
    *topic = NULL;
    if (old == NULL || atomic_fetch_sub(&old->reference_count, 1) > 1)
        return;
    schema_index_free(&old->index);
    arena_clear(&old->arena);
    mem_free(old);
}

static struct ingest_topic *ingest_topic_share(struct ingest_topic *topic)
{
    (void)atomic_fetch_add(&topic->reference_count, 1);
    return topic;
}

bool ingest_topics_open(struct ingest_topics *topics, const char *catalog_path, struct err *err)
{
    struct catalog *catalog = NULL;
    TRY(catalog_open(catalog_path, &catalog, err));
    *topics = (struct ingest_topics){
        .catalog = catalog,
        .buckets = mem_alloc_array(INGEST_TOPICS_BUCKETS, sizeof *topics->buckets),
    };
    mutex_init(&topics->mutex);
    return true;
}

static void ingest_topics_empty(struct ingest_topics *topics)
{
    for (size_t i = 0; i < INGEST_TOPICS_BUCKETS; i++) {
        while (topics->buckets[i] != NULL) {
            struct ingest_topics_entry *entry = topics->buckets[i];
            topics->buckets[i] = entry->next;
            ingest_topic_release(&entry->topic);
            mem_free(entry->key);
            mem_free(entry);
        }
    }
    topics->entry_count = 0;
}

void ingest_topics_close(struct ingest_topics *topics)
{
    if (topics->buckets == NULL)
        return;
    ingest_topics_empty(topics);
    mem_free(topics->buckets);
    topics->buckets = NULL;
    catalog_close(&topics->catalog);
    mutex_clear(&topics->mutex);
}

static struct ingest_topics_entry **ingest_topics_bucket(struct ingest_topics *topics,
                                                         const char *key)
{
    uint32_t hash = 2166136261u;
    for (const char *at = key; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    return &topics->buckets[hash % INGEST_TOPICS_BUCKETS];
}

static struct ingest_topics_entry *ingest_topics_find(struct ingest_topics *topics, const char *key)
{
    struct ingest_topics_entry *entry = *ingest_topics_bucket(topics, key);
    while (entry != NULL && strcmp(entry->key, key) != 0)
        entry = entry->next;
    return entry;
}

static struct ingest_topics_entry *ingest_topics_add(struct ingest_topics *topics, const char *key)
{
    if (topics->entry_count == INGEST_TOPICS_MAX)
        ingest_topics_empty(topics);
    struct ingest_topics_entry *entry = mem_alloc(sizeof *entry);
    entry->key = mem_copy_text(key);
    struct ingest_topics_entry **bucket = ingest_topics_bucket(topics, key);
    entry->next = *bucket;
    *bucket = entry;
    topics->entry_count++;
    return entry;
}

static void ingest_topics_name_key(struct buf *key, const char *organization_id,
                                   const char *topic_name)
{
    buf_init(key, 1024);
    buf_append_format(key, "%s/%s", organization_id, topic_name);
    ASSERT(!key->overflowed); // both were checked
}

static void ingest_topics_store(struct ingest_topics *topics, const char *key,
                                struct ingest_topic *topic)
{
    struct ingest_topics_entry *entry = ingest_topics_find(topics, key);
    if (entry == NULL)
        entry = ingest_topics_add(topics, key);
    topic->generation = topics->generation;
    struct ingest_topic *old = entry->topic;
    entry->topic = ingest_topic_share(topic);
    ingest_topic_release(&old);
}

static bool ingest_topics_load(struct ingest_topics *topics, const char *organization_id,
                               const char *topic_name, struct ingest_topic **ret_topic,
                               struct err *err)
{
    struct ingest_topic *topic CLEANUP(ingest_topic_release) = ingest_topic_new();
    struct err reason = {0};
    if (!topic_get(topics->catalog, organization_id, slice_text(topic_name), &topic->arena,
                   &topic->schema, &reason)) {
        if (reason.kind != ERR_NOT_FOUND) {
            *err = reason;
            return false;
        }
        struct schema *empty = arena_alloc(&topic->arena, sizeof *empty);
        empty->topic_name = arena_copy_text(&topic->arena, topic_name);
        topic->schema = empty;
    }
    ingest_topic_seal(topic);
    *ret_topic = topic;
    topic = NULL;
    return true;
}

static bool ingest_topics_get_locked(struct ingest_topics *topics, const char *key,
                                     const char *organization_id, const char *topic_name,
                                     struct ingest_topic **ret_topic, struct err *err)
{
    const struct ingest_topics_entry *entry = ingest_topics_find(topics, key);
    if (entry != NULL && entry->topic->generation == topics->generation) {
        *ret_topic = ingest_topic_share(entry->topic);
        return true;
    }
    TRY(ingest_topics_load(topics, organization_id, topic_name, ret_topic, err));
    ingest_topics_store(topics, key, *ret_topic);
    return true;
}

bool ingest_topics_get(struct ingest_topics *topics, const char *organization_id,
                       const char *topic_name, struct ingest_topic **ret_topic, struct err *err)
{
    struct buf key CLEANUP(buf_clear);
    ingest_topics_name_key(&key, organization_id, topic_name);
    mutex_lock(&topics->mutex);
    const bool is_done = ingest_topics_get_locked(topics, buf_text(&key), organization_id,
                                                  topic_name, ret_topic, err);
    mutex_unlock(&topics->mutex);
    return is_done;
}

void ingest_topics_put(struct ingest_topics *topics, const char *organization_id,
                       struct ingest_topic *topic)
{
    struct buf key CLEANUP(buf_clear);
    ingest_topics_name_key(&key, organization_id, topic->schema->topic_name);
    mutex_lock(&topics->mutex);
    ingest_topics_store(topics, buf_text(&key), topic);
    mutex_unlock(&topics->mutex);
}

void ingest_topics_expire(struct ingest_topics *topics)
{
    mutex_lock(&topics->mutex);
    topics->generation++;
    mutex_unlock(&topics->mutex);
}

static bool ingest_topics_load_app(struct ingest_topics *topics, const char *app_id,
                                   const struct ingest_topics_entry **ret_entry, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct tenant_app app;
    TRY(tenant_get_any_app(topics->catalog, app_id, &arena, &app, err));
    struct ingest_topics_entry *entry = ingest_topics_find(topics, app_id);
    if (entry == NULL)
        entry = ingest_topics_add(topics, app_id);
    entry->generation = topics->generation;
    const int size = snprintf(entry->organization_id, sizeof entry->organization_id, "%s",
                              app.organization_id);
    ASSERT(size > 0 && (size_t)size < sizeof entry->organization_id);
    *ret_entry = entry;
    return true;
}

bool ingest_topics_find_app(struct ingest_topics *topics, const char *app_id, bool *ret_found,
                            char ret_organization_id[INGEST_ID_CHARS], struct err *err)
{
    mutex_lock(&topics->mutex);
    const struct ingest_topics_entry *entry = ingest_topics_find(topics, app_id);
    struct err reason = {0};
    const bool is_known = entry != NULL && entry->generation == topics->generation;
    *ret_found = is_known || ingest_topics_load_app(topics, app_id, &entry, &reason);
    if (*ret_found)
        memcpy(ret_organization_id, entry->organization_id, INGEST_ID_CHARS);
    mutex_unlock(&topics->mutex);
    if (*ret_found || reason.kind == ERR_NOT_FOUND)
        return true;
    *err = reason;
    return false;
}
