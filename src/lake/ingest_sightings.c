// SPDX-License-Identifier: Apache-2.0
#include "lake/ingest_sightings.h"

#include "base/check.h"
#include "base/mem.h"

void ingest_sightings_clear(struct ingest_sightings *sightings)
{
    for (size_t i = 0; i < sightings->count; i++)
        mem_free(sightings->items[i].name);
    mem_free(sightings->items);
    mem_free(sightings->buckets);
    *sightings = (struct ingest_sightings){0};
}

static size_t ingest_sighting_bucket(struct slice name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.size_bytes; i++)
        hash = (hash ^ (unsigned char)slice_chars(name)[i]) * 16777619u;
    return hash % INGEST_SIGHTING_BUCKETS;
}

static struct ingest_sighting *ingest_sightings_find(const struct ingest_sightings *sightings,
                                                     struct slice name)
{
    if (sightings->buckets == NULL)
        return NULL;
    uint16_t position = sightings->buckets[ingest_sighting_bucket(name)];
    while (position != 0) {
        struct ingest_sighting *sighting = &sightings->items[position - 1];
        if (slice_equal(slice_of(sighting->name, sighting->name_bytes), name))
            return sighting;
        position = sighting->next;
    }
    return NULL;
}

static void ingest_sightings_insert(struct ingest_sightings *sightings, struct slice name,
                                    enum field_type type, bool is_wide)
{
    ASSERT(sightings->count < SCHEMA_FIELDS_MAX);
    if (sightings->buckets == NULL)
        sightings->buckets = mem_alloc_array(INGEST_SIGHTING_BUCKETS, sizeof(uint16_t));
    if (sightings->count == sightings->capacity) {
        sightings->capacity = sightings->capacity == 0 ? 16 : sightings->capacity * 2;
        sightings->items = mem_resize(sightings->items,
                                      sightings->capacity * sizeof *sightings->items);
    }
    uint16_t *bucket = &sightings->buckets[ingest_sighting_bucket(name)];
    struct ingest_sighting *sighting = &sightings->items[sightings->count++];
    *sighting = (struct ingest_sighting){
        .name = mem_alloc(name.size_bytes + 1),
        .name_bytes = name.size_bytes,
        .next = *bucket,
        .type = type,
        .is_wide = is_wide,
    };
    memcpy(sighting->name, name.data, name.size_bytes);
    *bucket = (uint16_t)sightings->count;
}

// Whether a learned field must change to hold such a value.
static bool ingest_field_changes(enum field_type known, bool known_is_wide, enum field_type seen,
                                 bool seen_is_wide)
{
    return schema_widen(known, known_is_wide, seen, seen_is_wide) != known ||
           (seen_is_wide && !known_is_wide);
}

static const struct schema_field *ingest_topic_field(const struct ingest_topic *topic,
                                                     struct slice name)
{
    const int position = schema_index_find(topic->index, name);
    return position < 0 ? NULL : &topic->schema->fields[position];
}

// The decoded name; scratch holds it when it has escapes, until the next call.
static struct slice ingest_name_of(struct buf *scratch, const struct event_property *property)
{
    if (!property->name_has_escapes)
        return property->name;
    buf_reset(scratch);
    event_append_unescaped(scratch, property->name);
    return buf_slice(scratch);
}

enum ingest_news {
    INGEST_NO_NEWS,
    INGEST_NEWS,
    INGEST_MISFIT,
};

static enum ingest_news ingest_judge(const struct schema_field *field,
                                     const struct event_property *property)
{
    enum field_type type;
    bool is_wide;
    if (!event_property_type(property, &type, &is_wide))
        return INGEST_NO_NEWS; // null says nothing
    if (field == NULL)
        return INGEST_NEWS;
    if (field->origin == FIELD_LEARNED)
        return ingest_field_changes(field->type, field->is_wide, type, is_wide) ? INGEST_NEWS
                                                                                : INGEST_NO_NEWS;
    return event_property_fits(property, field->type) ? INGEST_NO_NEWS : INGEST_MISFIT;
}

static void ingest_sightings_keep(struct ingest_sightings *sightings, struct slice name,
                                  const struct event_property *property)
{
    enum field_type type;
    bool is_wide;
    const bool has_type = event_property_type(property, &type, &is_wide);
    ASSERT(has_type);
    struct ingest_sighting *known = ingest_sightings_find(sightings, name);
    if (known == NULL) {
        ingest_sightings_insert(sightings, name, type, is_wide);
        return;
    }
    known->type = schema_widen(known->type, known->is_wide, type, is_wide);
    known->is_wide = known->is_wide || is_wide;
}

// Positions of the line's properties that are news; the others are checked and done with.
struct ingest_line_news {
    uint16_t positions[EVENT_PROPERTIES_MAX];
    size_t count;
    size_t new_field_count;
};

// The schema's field of the property at that position of the line, by guess or by look-up.
static const struct schema_field *ingest_guess_field(struct ingest_sightings *sightings,
                                                     const struct ingest_topic *topic,
                                                     size_t position, struct slice name)
{
    if (position >= INGEST_GUESSES)
        return ingest_topic_field(topic, name);
    struct ingest_guess *guess = &sightings->guesses[position];
    if (guess->field != NULL && slice_equal(slice_of(guess->field->name, guess->name_bytes), name))
        return guess->field;
    *guess = (struct ingest_guess){ingest_topic_field(topic, name), name.size_bytes};
    return guess->field;
}

static bool ingest_collect_news(struct ingest_sightings *sightings,
                                const struct ingest_topic *topic, const struct event *event,
                                struct buf *scratch, struct ingest_line_news *news,
                                char *ret_detail, struct err *err)
{
    for (size_t i = 0; i < event->property_count; i++) {
        const struct event_property *property = &event->properties[i];
        const struct slice text = ingest_name_of(scratch, property);
        const struct schema_field *field = ingest_guess_field(sightings, topic, i, text);
        switch (ingest_judge(field, property)) {
        case INGEST_NO_NEWS:
            break;
        case INGEST_NEWS:
            news->positions[news->count++] = (uint16_t)i;
            if (field == NULL && ingest_sightings_find(sightings, text) == NULL)
                news->new_field_count++;
            break;
        case INGEST_MISFIT:
            ASSERT(text.size_bytes <= SCHEMA_NAME_BYTES_MAX);
            memcpy(ret_detail, text.data, text.size_bytes);
            ret_detail[text.size_bytes] = '\0';
            return err_set(err, ERR_INVALID, "Invalid value for field");
        }
    }
    return true;
}

bool ingest_sightings_add_event(struct ingest_sightings *sightings,
                                const struct ingest_topic *topic, const struct event *event,
                                char ret_detail[SCHEMA_NAME_BYTES_MAX + 1], struct err *err)
{
    struct buf scratch CLEANUP(buf_clear);
    buf_init(&scratch, EVENT_LINE_BYTES_MAX);
    struct ingest_line_news news;
    news.count = 0;
    news.new_field_count = 0;
    ret_detail[0] = '\0';
    TRY(ingest_collect_news(sightings, topic, event, &scratch, &news, ret_detail, err));
    // Sightings of known fields that widen are counted as well: a little early, never late.
    if (news.new_field_count > 0 &&
        topic->schema->field_count + sightings->count + news.new_field_count > SCHEMA_FIELDS_MAX)
        return err_set(err, ERR_INVALID, "Too many fields");
    for (size_t i = 0; i < news.count; i++) {
        const struct event_property *property = &event->properties[news.positions[i]];
        ingest_sightings_keep(sightings, ingest_name_of(&scratch, property), property);
    }
    return true;
}

bool ingest_sightings_are_known(const struct ingest_sightings *sightings,
                                const struct ingest_topic *topic)
{
    for (size_t i = 0; i < sightings->count; i++) {
        const struct ingest_sighting *sighting = &sightings->items[i];
        const struct schema_field *field =
            ingest_topic_field(topic, slice_of(sighting->name, sighting->name_bytes));
        // A fixed field that came meanwhile is for topic_learn to compare.
        if (field == NULL || field->origin != FIELD_LEARNED ||
            ingest_field_changes(field->type, field->is_wide, sighting->type, sighting->is_wide))
            return false;
    }
    return true;
}

struct topic_sighting *ingest_sightings_list(const struct ingest_sightings *sightings)
{
    struct topic_sighting *list = mem_alloc_array(sightings->count + 1, sizeof *list);
    for (size_t i = 0; i < sightings->count; i++)
        list[i] = (struct topic_sighting){
            .name = sightings->items[i].name,
            .type = sightings->items[i].type,
            .is_wide = sightings->items[i].is_wide,
        };
    return list;
}
