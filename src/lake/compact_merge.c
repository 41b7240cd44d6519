// SPDX-License-Identifier: Apache-2.0
// The merging itself. Columns pass as they are stored: a name in a segment carries its type, so
// segments made under different schemas merge by name and a missing column is null. The engine
// sorts, and may spill; rows stream from it into a Parquet file, and what the catalog has to know
// of them (slices) is gathered as they pass. The inputs go away later, so the result is checked in
// three ways before it is believed: the count of rows, an order-free checksum over every value of
// inputs and result, and the hash of the bytes on disk against those that were written.
// Upholds INV-6 (docs/invariants.md).
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/sink.h"
#include "encode/encoder.h"
#include "lake/compact_internal.h"
#include "lake/segment_path.h"

#define COMPACT_SQL_LIMIT_BYTES  ((size_t)8 * 1024 * 1024)
#define COMPACT_JSON_LIMIT_BYTES ((size_t)8 * 1024 * 1024)

enum compact_key { // the first columns, by which segments are sorted
    COMPACT_TOPIC,
    COMPACT_APP,
    COMPACT_TIME,
    COMPACT_SEQ,
    COMPACT_KEY_COUNT,
};

static const char *const compact_key_names[COMPACT_KEY_COUNT] = {
    FIELD_PHYSICAL_TOPIC,
    FIELD_PHYSICAL_APP,
    FIELD_PHYSICAL_TIME,
    FIELD_PHYSICAL_SEQ,
};

struct compact_work {
    const struct compact_merge *merge;
    struct arena *arena;
    const char **paths;      // of the inputs, full
    const char *result_path; // full
    struct column *columns;  // key columns first; physical names
    size_t column_count;
    int64_t row_count; // that the catalog knows
    int64_t seq_lo;
    int64_t seq_hi;
    // Rows so far
    int64_t last_key[COMPACT_KEY_COUNT];
    int64_t seen_row_count;
    struct segment_slice *slices;
    size_t slice_count;
    size_t slice_capacity;
    struct sink_digest digest;
};

static void compact_work_clear(struct compact_work *work)
{
    mem_free(work->slices);
    work->slices = NULL;
}

// --- Columns

static bool compact_is_key(const char *name)
{
    for (size_t i = 0; i < COMPACT_KEY_COUNT; i++) {
        if (strcmp(name, compact_key_names[i]) == 0)
            return true;
    }
    return false;
}

// How a column is written: times of segments are plain numbers, and JSON is the text that it is.
static bool compact_column_type(const char *name, enum field_type *ret_type, struct err *err)
{
    struct buf field CLEANUP(buf_clear);
    buf_init(&field, strlen(name) + 1);
    enum field_type type;
    if (!field_parse_physical_name(slice_text(name), &field, &type))
        return err_set(err, ERR_CORRUPT, "no column of a segment is called %s", name);
    if (type == FIELD_TIME)
        type = FIELD_INT64;
    *ret_type = type == FIELD_JSON ? FIELD_TEXT : type;
    return true;
}

static int compact_compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

// Appends the names in the segment's list to *names.
static bool compact_read_names(const struct segment *segment, struct arena *arena,
                               const char ***names, size_t *count, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(slice_text(segment->columns), &tree, err) ||
        json_node_kind(json_tree_root(tree)) != JSON_KIND_ARRAY)
        return err_set(err, ERR_CORRUPT, "segment %" PRId64 " has no list of columns", segment->id);
    const size_t added = json_node_count(json_tree_root(tree));
    *names = mem_resize(*names, (*count + added + 1) * sizeof **names);
    for (size_t i = 0; i < added; i++) {
        const struct json_node *name = json_node_at(json_tree_root(tree), i);
        (*names)[(*count)++] = arena_copy_slice(arena, json_node_text(name));
    }
    return true;
}

// All columns of the inputs, each once, in the order of their names.
static bool compact_find_columns(struct compact_work *work, struct err *err)
{
    const char **names CLEANUP(mem_free_at) = NULL;
    size_t count = 0;
    for (size_t i = 0; i < work->merge->segment_count; i++)
        TRY(compact_read_names(&work->merge->segments[i], work->arena, &names, &count, err));
    if (names != NULL)
        qsort(names, count, sizeof *names, compact_compare_names);
    work->columns = arena_alloc_array(work->arena, COMPACT_KEY_COUNT + count,
                                      sizeof *work->columns);
    for (size_t i = 0; i < COMPACT_KEY_COUNT; i++)
        work->columns[i] = (struct column){compact_key_names[i], FIELD_INT64};
    work->column_count = COMPACT_KEY_COUNT;
    for (size_t i = 0; i < count; i++) {
        if ((i > 0 && strcmp(names[i - 1], names[i]) == 0) || compact_is_key(names[i]))
            continue;
        struct column *column = &work->columns[work->column_count];
        column->name = names[i];
        TRY(compact_column_type(names[i], &column->type, err));
        work->column_count++;
    }
    return true;
}

static const char *compact_columns_json(const struct compact_work *work, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, COMPACT_JSON_LIMIT_BYTES);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '[');
    for (size_t i = 0; i < work->column_count; i++)
        json_text_string(&json, slice_text(work->columns[i].name));
    json_text_close(&json, ']');
    return buf_check(&text, err) ? arena_copy_slice(work->arena, buf_slice(&text)) : NULL;
}

// --- Queries

static void compact_append_columns(const struct compact_work *work, struct buf *sql)
{
    for (size_t i = 0; i < work->column_count; i++) {
        const struct column *column = &work->columns[i];
        const bool is_text = column->type == FIELD_TEXT;
        buf_append_text(sql, i > 0 ? ", " : "");
        // The engine may have a type of its own for columns that are marked as JSON.
        buf_append_text(sql, is_text ? "CAST(" : "");
        engine_append_identifier(sql, slice_text(column->name));
        buf_append_text(sql, is_text ? " AS VARCHAR)" : "");
    }
}

static bool compact_start_rows(struct compact_work *work, struct engine_stream **ret_stream,
                               struct err *err)
{
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, COMPACT_SQL_LIMIT_BYTES);
    buf_append_text(&sql, "SELECT ");
    compact_append_columns(work, &sql);
    buf_append_text(&sql, " FROM ");
    engine_append_parquet(&sql, work->paths, work->merge->segment_count);
    buf_append_text(&sql, " ORDER BY 1, 2, 3, 4");
    TRY(buf_check(&sql, err));
    enum field_type *types CLEANUP(mem_free_at) = mem_alloc_array(work->column_count,
                                                                  sizeof *types);
    for (size_t i = 0; i < work->column_count; i++)
        types[i] = work->columns[i].type;
    return engine_query(work->merge->engine, buf_slice(&sql), types, work->column_count, ret_stream,
                        err);
}

// Count of rows and a checksum over all their values that does not depend on their order.
static bool compact_checksum(struct compact_work *work, const char *const *paths, size_t path_count,
                             int64_t ret_sums[2], struct err *err)
{
    static const enum field_type types[] = {FIELD_INT64, FIELD_INT64};
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, COMPACT_SQL_LIMIT_BYTES);
    buf_append_text(&sql, "SELECT count(*), CAST(bit_xor(hash(");
    compact_append_columns(work, &sql);
    buf_append_text(&sql, ")) // 2 AS BIGINT) FROM ");
    engine_append_parquet(&sql, paths, path_count);
    TRY(buf_check(&sql, err));
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    const struct batch *batch = NULL;
    TRY(engine_query(work->merge->engine, buf_slice(&sql), types, ARRAY_COUNT(types), &stream,
                     err));
    TRY(engine_stream_next(stream, &batch, err));
    ASSERT(batch->row_count == 1);
    ret_sums[0] = batch_int64(&batch->columns[0], 0);
    ret_sums[1] = batch_int64(&batch->columns[1], 0);
    return true;
}

// --- Rows

static int64_t compact_hour_of(int64_t time_ms)
{
    const int64_t rest = time_ms % CIVIL_HOUR_MS;
    return time_ms - (rest < 0 ? rest + CIVIL_HOUR_MS : rest);
}

static struct segment_slice *compact_add_slice(struct compact_work *work,
                                               const int64_t key[COMPACT_KEY_COUNT])
{
    if (work->slice_count == work->slice_capacity) {
        work->slice_capacity = work->slice_capacity * 2 + 16;
        work->slices = mem_resize(work->slices, work->slice_capacity * sizeof *work->slices);
    }
    struct segment_slice *slice = &work->slices[work->slice_count++];
    *slice = (struct segment_slice){
        .topic_id = key[COMPACT_TOPIC],
        .app_id = key[COMPACT_APP],
        .hour_ms = compact_hour_of(key[COMPACT_TIME]),
        .time_min_ms = key[COMPACT_TIME],
        .seq_min = key[COMPACT_SEQ],
        .seq_max = key[COMPACT_SEQ],
    };
    return slice;
}

// Rows of a slice follow each other, as the slice's topic, app and hour lead the order.
static void compact_count_row(struct compact_work *work, const int64_t key[COMPACT_KEY_COUNT])
{
    struct segment_slice *slice = work->slice_count == 0 ? NULL
                                                         : &work->slices[work->slice_count - 1];
    if (slice == NULL || slice->topic_id != key[COMPACT_TOPIC] ||
        slice->app_id != key[COMPACT_APP] || slice->hour_ms != compact_hour_of(key[COMPACT_TIME]))
        slice = compact_add_slice(work, key);
    slice->time_max_ms = key[COMPACT_TIME];
    if (key[COMPACT_SEQ] < slice->seq_min)
        slice->seq_min = key[COMPACT_SEQ];
    if (key[COMPACT_SEQ] > slice->seq_max)
        slice->seq_max = key[COMPACT_SEQ];
    slice->row_count++;
    work->seen_row_count++;
}

static int compact_compare_keys(const int64_t *left, const int64_t *right)
{
    for (size_t i = 0; i < COMPACT_KEY_COUNT; i++) {
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}

static bool compact_check_batch(struct compact_work *work, const struct batch *batch,
                                struct err *err)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        int64_t key[COMPACT_KEY_COUNT];
        for (size_t i = 0; i < COMPACT_KEY_COUNT; i++) {
            if (!batch_is_valid(&batch->columns[i], row))
                return err_set(err, ERR_CORRUPT, "a row without %s", compact_key_names[i]);
            key[i] = batch_int64(&batch->columns[i], row);
        }
        if (key[COMPACT_SEQ] <= work->seq_lo || key[COMPACT_SEQ] > work->seq_hi)
            return err_set(err, ERR_CORRUPT,
                           "a row with seq %" PRId64 " in segments of (%" PRId64 ", %" PRId64 "]",
                           key[COMPACT_SEQ], work->seq_lo, work->seq_hi);
        if (work->seen_row_count > 0 && compact_compare_keys(work->last_key, key) >= 0)
            return err_set(err, ERR_CORRUPT, "row with seq %" PRId64 " is there twice",
                           key[COMPACT_SEQ]);
        memcpy(work->last_key, key, sizeof key);
        compact_count_row(work, key);
    }
    return true;
}

static bool compact_copy_rows(struct compact_work *work, struct encoder *encoder, struct err *err)
{
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    TRY(compact_start_rows(work, &stream, err));
    for (;;) {
        const struct batch *batch = NULL;
        TRY(engine_stream_next(stream, &batch, err));
        if (batch->row_count == 0)
            return true;
        TRY(compact_check_batch(work, batch, err));
        size_t written = 0;
        TRY(encoder_write(encoder, batch, 0, batch->row_count, UINT64_MAX, &written, err));
        ASSERT(written == batch->row_count);
    }
}

static bool compact_write(struct compact_work *work, struct err *err)
{
    struct sink *file = NULL;
    TRY(sink_file_open(work->result_path, &file, err));
    const struct encoder_spec spec = {
        .format = ENCODER_PARQUET,
        .codec = ENCODER_CODEC_ZSTD,
        .columns = work->columns,
        .column_count = work->column_count,
    };
    struct encoder *encoder CLEANUP(encoder_free) = NULL;
    TRY(encoder_open(&spec, sink_digest_new(file, &work->digest), &encoder, err));
    TRY(compact_copy_rows(work, encoder, err));
    if (work->seen_row_count != work->row_count)
        return err_set(err, ERR_CORRUPT,
                       "segments have %" PRId64 " rows, the catalog says %" PRId64,
                       work->seen_row_count, work->row_count);
    return encoder_finish(encoder, err);
}

// --- After writing

static bool compact_check_result(struct compact_work *work, struct err *err)
{
    int64_t inputs[2];
    int64_t result[2];
    uint8_t sha256[SHA256_BYTES];
    uint64_t size_bytes = 0;
    TRY(compact_checksum(work, work->paths, work->merge->segment_count, inputs, err));
    TRY(compact_checksum(work, &work->result_path, 1, result, err));
    if (inputs[0] != result[0] || inputs[1] != result[1])
        return err_set(err, ERR_CORRUPT, "rows of %s are not those that went in",
                       work->merge->path);
    TRY(file_digest(work->result_path, sha256, &size_bytes, err));
    if (size_bytes != work->digest.byte_count ||
        memcmp(sha256, work->digest.sha256, sizeof sha256) != 0)
        return err_set(err, ERR_CORRUPT, "%s reads back other bytes than were written",
                       work->merge->path);
    return true;
}

static bool compact_describe(const struct compact_work *work, struct segment *ret_segment,
                             struct err *err)
{
    const char *columns = compact_columns_json(work, err);
    TRY(columns != NULL);
    char sha256[SHA256_HEX_CHARS + 1];
    hex_encode(slice_of(work->digest.sha256, SHA256_BYTES), sha256);
    struct segment_slice *slices = arena_alloc_array(work->arena, work->slice_count,
                                                     sizeof *slices);
    memcpy(slices, work->slices, work->slice_count * sizeof *slices);
    *ret_segment = (struct segment){
        .path = arena_copy_text(work->arena, work->merge->path),
        .columns = columns,
        .byte_count = (int64_t)work->digest.byte_count,
        .row_count = work->seen_row_count,
        .sha256 = arena_copy_text(work->arena, sha256),
        .seq_lo = work->seq_lo,
        .seq_hi = work->seq_hi,
        .slices = slices,
        .slice_count = work->slice_count,
    };
    return true;
}

static void compact_plan(struct compact_work *work)
{
    const struct compact_merge *merge = work->merge;
    work->paths = arena_alloc_array(work->arena, merge->segment_count, sizeof *work->paths);
    work->result_path = segment_path_full(work->arena, merge->data_directory, merge->path);
    work->seq_lo = INT64_MAX;
    work->seq_hi = INT64_MIN;
    for (size_t i = 0; i < merge->segment_count; i++) {
        const struct segment *segment = &merge->segments[i];
        work->paths[i] = segment_path_full(work->arena, merge->data_directory, segment->path);
        work->row_count += segment->row_count;
        work->seq_lo = segment->seq_lo < work->seq_lo ? segment->seq_lo : work->seq_lo;
        work->seq_hi = segment->seq_hi > work->seq_hi ? segment->seq_hi : work->seq_hi;
    }
}

bool compact_merge(const struct compact_merge *merge, struct arena *arena,
                   struct segment *ret_segment, struct err *err)
{
    ASSERT(merge->segment_count > 0);
    struct compact_work work CLEANUP(compact_work_clear) = {.merge = merge, .arena = arena};
    compact_plan(&work);
    TRY(compact_find_columns(&work, err));
    TRY(compact_write(&work, err));
    if (!compact_check_result(&work, err) || !compact_describe(&work, ret_segment, err)) {
        struct err ignored = {0};
        if (!file_remove(work.result_path, &ignored))
            err_clear(&ignored); // the sweep will find it
        return false;
    }
    return true;
}
