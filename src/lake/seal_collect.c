// SPDX-License-Identifier: Apache-2.0
// From pieces of the log to rows. Lines are copied, since a piece is gone with the next one; what
// is known of a line afterwards is its topic, app, time, seq and which columns it has.
#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/topics.h"
#include "lake/seal_internal.h"
#include "model/window.h"

#define SEAL_NAME_BYTES_MAX ((size_t)EVENT_VALUE_BYTES_MAX)

void seal_rows_init(struct seal_rows *rows, int64_t seq_from)
{
    *rows = (struct seal_rows){.seq_to = seq_from};
    arena_init(&rows->arena);
    buf_init(&rows->name, SEAL_NAME_BYTES_MAX);
    rows->event = mem_alloc(sizeof *rows->event);
}

void seal_rows_clear(struct seal_rows *rows)
{
    for (size_t i = 0; i < rows->topic_count; i++) {
        schema_index_free(&rows->topics[i].index);
        mem_free(rows->topics[i].columns);
        mem_free(rows->topics[i].followers);
    }
    for (size_t i = 0; i < rows->group_count; i++)
        mem_free(rows->groups[i].seen);
    seal_table_clear(&rows->column_table);
    seal_table_clear(&rows->topic_table);
    seal_table_clear(&rows->group_table);
    mem_free(rows->rows);
    mem_free(rows->columns);
    mem_free(rows->topics);
    mem_free(rows->groups);
    mem_free(rows->keys);
    mem_free(rows->event);
    buf_clear(&rows->name);
    arena_clear(&rows->arena);
}

// Room for one item more in an array on the heap.
static void *seal_grow(void *items, size_t count, size_t *capacity, size_t item_size_bytes)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    return mem_resize(items, *capacity * item_size_bytes);
}

// --- Topics

static void seal_topic_init(struct seal_topic *topic, const struct schema *schema)
{
    const size_t field_count = schema->field_count;
    *topic = (struct seal_topic){.schema = schema, .index = schema_index_new(schema)};
    topic->columns = mem_alloc_array(field_count * FIELD_TYPE_COUNT, sizeof topic->columns[0]);
    topic->followers = mem_alloc_array(field_count + 1, sizeof topic->followers[0]);
    for (size_t i = 0; i < field_count * FIELD_TYPE_COUNT; i++)
        topic->columns[i] = -1;
    for (size_t i = 0; i < field_count + 1; i++)
        topic->followers[i] = -1;
}

static bool seal_rows_find_topic(struct seal_rows *rows, struct catalog *catalog, int64_t topic_id,
                                 size_t *ret_topic, struct err *err)
{
    const uint64_t hash = seal_hash(0, (uint64_t)topic_id);
    size_t cursor = 0;
    size_t position;
    while (seal_table_next(&rows->topic_table, hash, &cursor, &position)) {
        if (rows->topics[position].schema->topic_id == topic_id) {
            *ret_topic = position;
            return true;
        }
    }
    const struct schema *schema;
    const char *organization_id;
    if (!topic_get_by_id(catalog, topic_id, &rows->arena, &schema, &organization_id, err))
        return err_wrap(err, "topic %" PRId64, topic_id);
    rows->topics = seal_grow(rows->topics, rows->topic_count, &rows->topic_capacity,
                             sizeof rows->topics[0]);
    seal_topic_init(&rows->topics[rows->topic_count], schema);
    rows->schema_field_count += schema->field_count;
    seal_table_add(&rows->topic_table, hash, rows->topic_count);
    *ret_topic = rows->topic_count;
    rows->topic_count++;
    return true;
}

// --- Columns

static size_t seal_rows_find_column(struct seal_rows *rows, const char *name, enum field_type type)
{
    struct buf physical CLEANUP(buf_clear);
    buf_init(&physical, 2 * SEAL_NAME_BYTES_MAX + 16);
    field_append_physical_name(&physical, name, type);
    ASSERT(!physical.overflowed);
    const uint64_t hash = seal_hash_text(buf_slice(&physical));
    size_t cursor = 0;
    size_t position;
    while (seal_table_next(&rows->column_table, hash, &cursor, &position)) {
        if (slice_equal_text(buf_slice(&physical), rows->columns[position].physical_name))
            return position;
    }
    rows->columns = seal_grow(rows->columns, rows->column_count, &rows->column_capacity,
                              sizeof rows->columns[0]);
    rows->columns[rows->column_count] = (struct seal_column){
        .physical_name = arena_copy_slice(&rows->arena, buf_slice(&physical)),
        .type = type,
    };
    seal_table_add(&rows->column_table, hash, rows->column_count);
    return rows->column_count++;
}

static bool seal_name_is(const char *name, struct slice wanted)
{
    return strncmp(name, slice_chars(wanted), wanted.size_bytes) == 0 &&
           name[wanted.size_bytes] == '\0';
}

// The field of a property, or -1. previous: the field of the property before it, or -1.
static int32_t seal_rows_find_field(struct seal_rows *rows, struct seal_topic *topic,
                                    const struct event_property *property, int32_t previous)
{
    int32_t *follower = &topic->followers[previous + 1];
    if (*follower >= 0 && !property->name_has_escapes &&
        seal_name_is(topic->schema->fields[*follower].name, property->name))
        return *follower;
    struct slice name = property->name;
    if (property->name_has_escapes) {
        buf_reset(&rows->name);
        event_append_unescaped(&rows->name, property->name);
        name = buf_slice(&rows->name);
    }
    const int field = schema_index_find(topic->index, name);
    if (field >= 0)
        *follower = field;
    return field;
}

// A field that the catalog does not know, which the order of ingest (catalog first, then log) rules
// out; its values are kept all the same, in their own type.
static size_t seal_rows_find_stray(struct seal_rows *rows, const struct event_property *property)
{
    enum field_type type;
    bool is_wide;
    const bool has_type = event_property_type(property, &type, &is_wide);
    ASSERT(has_type);
    buf_reset(&rows->name);
    event_append_unescaped(&rows->name, property->name);
    ASSERT(!rows->name.overflowed);
    return seal_rows_find_column(rows, buf_text(&rows->name), type);
}

void seal_rows_each_value(struct seal_rows *rows, size_t topic_position, const struct event *event,
                          void (*visit)(const struct event_property *property, size_t column,
                                        void *context),
                          void *context)
{
    struct seal_topic *topic = &rows->topics[topic_position];
    int32_t previous = -1;
    for (size_t i = 0; i < event->property_count; i++) {
        const struct event_property *property = &event->properties[i];
        const int32_t field = seal_rows_find_field(rows, topic, property, previous);
        if (field >= 0)
            previous = field;
        if (property->kind == EVENT_NULL)
            continue;
        if (field < 0) {
            visit(property, seal_rows_find_stray(rows, property), context);
            continue;
        }
        const struct schema_field *known = &topic->schema->fields[field];
        const enum field_type type = seal_value_type(property, known->type);
        int32_t *column = &topic->columns[(size_t)field * FIELD_TYPE_COUNT + type];
        if (*column < 0)
            *column = (int32_t)seal_rows_find_column(rows, known->name, type);
        visit(property, (size_t)*column, context);
    }
}

// --- Groups

static bool seal_group_is(const struct seal_group *group, size_t topic, int64_t app_id,
                          int64_t hour_ms)
{
    return group->topic == topic && group->slice.app_id == app_id &&
           group->slice.hour_ms == hour_ms;
}

static size_t seal_rows_find_group(struct seal_rows *rows, size_t topic, int64_t app_id,
                                   int64_t hour_ms)
{
    const uint64_t hash = seal_hash(seal_hash(seal_hash(0, topic), (uint64_t)app_id),
                                    (uint64_t)hour_ms);
    size_t cursor = 0;
    size_t position;
    while (seal_table_next(&rows->group_table, hash, &cursor, &position))
        if (seal_group_is(&rows->groups[position], topic, app_id, hour_ms))
            return position;
    rows->groups = seal_grow(rows->groups, rows->group_count, &rows->group_capacity,
                             sizeof rows->groups[0]);
    rows->groups[rows->group_count] = (struct seal_group){
        .position = rows->group_count,
        .topic = topic,
        .slice = {.topic_id = rows->topics[topic].schema->topic_id,
                  .app_id = app_id,
                  .hour_ms = hour_ms,
                  .time_min_ms = INT64_MAX,
                  .time_max_ms = INT64_MIN,
                  .seq_min = INT64_MAX,
                  .seq_max = INT64_MIN},
    };
    seal_table_add(&rows->group_table, hash, rows->group_count);
    return rows->group_count++;
}

static void seal_group_count_row(struct seal_group *group, int64_t time_ms, int64_t seq)
{
    struct segment_slice *slice = &group->slice;
    slice->row_count++;
    slice->time_min_ms = time_ms < slice->time_min_ms ? time_ms : slice->time_min_ms;
    slice->time_max_ms = time_ms > slice->time_max_ms ? time_ms : slice->time_max_ms;
    slice->seq_min = seq < slice->seq_min ? seq : slice->seq_min;
    slice->seq_max = seq > slice->seq_max ? seq : slice->seq_max;
}

static void seal_group_see(const struct event_property *property, size_t column, void *context)
{
    struct seal_group *group = context;
    (void)property;
    if (column / 64 >= group->seen_words) {
        const size_t words = column / 64 + 1;
        group->seen = mem_resize(group->seen, words * sizeof group->seen[0]);
        memset(group->seen + group->seen_words, 0,
               (words - group->seen_words) * sizeof group->seen[0]);
        group->seen_words = words;
    }
    group->seen[column / 64] |= UINT64_C(1) << (column % 64);
}

// --- Pieces

static void seal_rows_add_row(struct seal_rows *rows, struct seal_row row)
{
    rows->rows = seal_grow(rows->rows, rows->row_count, &rows->row_capacity, sizeof rows->rows[0]);
    rows->rows[rows->row_count++] = row;
}

static bool seal_rows_add_lines(struct seal_rows *rows, const struct ingest_piece *piece,
                                size_t topic, struct err *err)
{
    const char *copy = arena_copy_slice(&rows->arena, piece->lines);
    struct slice lines = slice_of(copy, piece->lines.size_bytes);
    struct slice line;
    size_t group = SIZE_MAX;
    int64_t seq = piece->seq_lo;
    while (ingest_lines_next(&lines, &line)) {
        char detail[256];
        seq++;
        if (!event_scan(line, SEAL_LATEST_MS, rows->event, detail, err)) {
            err->kind = ERR_CORRUPT; // it was checked before it was acknowledged
            return err_wrap(err, "event %" PRId64, seq);
        }
        const int64_t hour_ms = window_start_of(CADENCE_HOURLY, rows->event->time_ms);
        if (group == SIZE_MAX || rows->groups[group].slice.hour_ms != hour_ms)
            group = seal_rows_find_group(rows, topic, piece->part->app_id, hour_ms);
        seal_group_count_row(&rows->groups[group], rows->event->time_ms, seq);
        seal_rows_each_value(rows, topic, rows->event, seal_group_see, &rows->groups[group]);
        seal_rows_add_row(rows, (struct seal_row){.time_ms = rows->event->time_ms,
                                                  .seq = seq,
                                                  .line = line.data,
                                                  .size_bytes = (uint32_t)line.size_bytes,
                                                  .group = (uint32_t)group});
    }
    if (seq != piece->seq_lo + piece->line_count)
        return err_set(err, ERR_CORRUPT, "%" PRId64 " events instead of %" PRId64,
                       seq - piece->seq_lo, piece->line_count);
    return true;
}

static void seal_rows_add_key(struct seal_rows *rows, const struct ingest_frame *frame)
{
    rows->keys = seal_grow(rows->keys, rows->key_count, &rows->key_capacity, sizeof rows->keys[0]);
    rows->keys[rows->key_count++] = (struct segment_idempotency){
        .scope = arena_copy_slice(&rows->arena, frame->idempotency_scope),
        .body_sha256 = arena_copy_slice(&rows->arena, frame->body_sha256),
        .answer = arena_copy_slice(&rows->arena, frame->answer),
        .expires_at_ms = frame->received_at_ms + INGEST_IDEMPOTENCY_MS,
    };
}

static bool seal_rows_add_piece(struct seal_rows *rows, const struct ingest_piece *piece,
                                struct catalog *catalog, bool *ret_is_torn, struct err *err)
{
    size_t topic = 0;
    if (piece->seq_lo < rows->seq_to)
        return err_set(err, ERR_CORRUPT, "event %" PRId64 " comes twice", piece->seq_lo + 1);
    TRY(seal_rows_find_topic(rows, catalog, piece->part->topic_id, &topic, err));
    *ret_is_torn = true;
    TRY(seal_rows_add_lines(rows, piece, topic, err));
    *ret_is_torn = false;
    if (piece->is_last_of_frame && !slice_is_empty(piece->frame->idempotency_scope))
        seal_rows_add_key(rows, piece->frame);
    rows->seq_to = piece->seq_lo + piece->line_count;
    rows->line_bytes += piece->lines.size_bytes;
    return true;
}

static bool seal_rows_is_full(const struct seal_rows *rows, int64_t step_bytes)
{
    return (int64_t)rows->line_bytes >= step_bytes || rows->row_count >= SEAL_ROWS_MAX ||
           rows->column_count >= SEAL_COLUMNS_MAX || rows->group_count >= SEAL_GROUPS_MAX ||
           rows->schema_field_count >= SEAL_SCHEMA_FIELDS_MAX;
}

bool seal_rows_collect(struct seal_rows *rows, struct ingest_reader *reader,
                       struct catalog *catalog, int64_t step_bytes, bool *ret_is_end,
                       bool *ret_is_torn, struct err *err)
{
    *ret_is_torn = false;
    *ret_is_end = false;
    while (!seal_rows_is_full(rows, step_bytes)) {
        struct ingest_piece piece;
        bool is_found = false;
        TRY(ingest_reader_next(reader, &is_found, &piece, err));
        if (!is_found) {
            *ret_is_end = true;
            return true;
        }
        TRY(seal_rows_add_piece(rows, &piece, catalog, ret_is_torn, err));
    }
    return true;
}
