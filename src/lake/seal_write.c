// SPDX-License-Identifier: Apache-2.0
// Writes one segment. Its columns are the four that every segment has, then those that a row of it
// has.
#include <inttypes.h>

#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/sink.h"
#include "encode/encoder.h"
#include "lake/seal_internal.h"

#define SEAL_SYSTEM_COLUMNS ((size_t)4)
// A batch is as many rows as its columns allow.
#define SEAL_BATCH_CELLS        ((size_t)256 * 1024)
#define SEAL_BATCH_ROWS_MIN     ((size_t)64)
#define SEAL_BATCH_ROWS_MAX     ((size_t)2048)
#define SEAL_BATCH_BYTES        ((size_t)4 * 1024 * 1024)
#define SEAL_COLUMNS_JSON_BYTES ((size_t)64 * 1024 * 1024)

struct seal_writer {
    struct seal_rows *rows;
    const struct seal_file *file;
    struct column *columns;
    size_t column_count;
    int32_t *places; // of the step's columns: place in columns, or -1
    struct batch_builder *builder;
    size_t batch_bytes; // of lines
    struct buf scratch;
    struct encoder *encoder;
};

static void seal_writer_clear(struct seal_writer *writer)
{
    encoder_free(&writer->encoder);
    batch_builder_free(&writer->builder);
    mem_free(writer->columns);
    mem_free(writer->places);
    buf_clear(&writer->scratch);
}

// --- Columns

static void seal_writer_mark_seen(struct seal_writer *writer)
{
    const struct seal_rows *rows = writer->rows;
    for (size_t i = 0; i < rows->column_count; i++)
        writer->places[i] = -1;
    for (size_t i = 0; i < writer->file->group_count; i++) {
        const struct seal_group *group = &rows->groups[writer->file->first_group + i];
        for (size_t word = 0; word < group->seen_words; word++)
            for (uint64_t bits = group->seen[word]; bits != 0; bits &= bits - 1)
                writer->places[word * 64 + (size_t)__builtin_ctzll(bits)] = 0;
    }
}

// The engine has no use for timestamps of its own: times are int64 in segments.
static enum field_type seal_stored_type(enum field_type type)
{
    return type == FIELD_TIME ? FIELD_INT64 : type;
}

static void seal_writer_choose_columns(struct seal_writer *writer)
{
    static const char *const names[SEAL_SYSTEM_COLUMNS] = {FIELD_PHYSICAL_TOPIC, FIELD_PHYSICAL_APP,
                                                           FIELD_PHYSICAL_TIME, FIELD_PHYSICAL_SEQ};
    const struct seal_rows *rows = writer->rows;
    writer->places = mem_alloc_array(rows->column_count, sizeof writer->places[0]);
    writer->columns = mem_alloc_array(SEAL_SYSTEM_COLUMNS + rows->column_count,
                                      sizeof writer->columns[0]);
    seal_writer_mark_seen(writer);
    for (size_t i = 0; i < SEAL_SYSTEM_COLUMNS; i++)
        writer->columns[i] = (struct column){.name = names[i], .type = FIELD_INT64};
    writer->column_count = SEAL_SYSTEM_COLUMNS;
    for (size_t i = 0; i < rows->column_count; i++) {
        if (writer->places[i] < 0)
            continue;
        writer->places[i] = (int32_t)writer->column_count;
        writer->columns[writer->column_count++] = (struct column){
            .name = rows->columns[i].physical_name,
            .type = seal_stored_type(rows->columns[i].type),
        };
    }
}

static bool seal_writer_columns_json(const struct seal_writer *writer, const char **ret_json,
                                     struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, SEAL_COLUMNS_JSON_BYTES);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '[');
    for (size_t i = 0; i < writer->column_count; i++)
        json_text_string(&json, slice_text(writer->columns[i].name));
    json_text_close(&json, ']');
    TRY(buf_check(&text, err));
    *ret_json = arena_copy_slice(&writer->rows->arena, buf_slice(&text));
    return true;
}

// --- Rows

static void seal_writer_set(const struct event_property *property, size_t column, void *context)
{
    struct seal_writer *writer = context;
    const int32_t place = writer->places[column];
    ASSERT(place > 0);
    seal_value_set(writer->builder, (size_t)place, writer->rows->columns[column].type, property,
                   &writer->scratch);
}

static bool seal_writer_flush(struct seal_writer *writer, struct err *err)
{
    const size_t row_count = batch_builder_row_count(writer->builder);
    if (row_count == 0)
        return true;
    size_t written_count = 0;
    TRY(encoder_write(writer->encoder, batch_builder_batch(writer->builder), 0, row_count,
                      UINT64_MAX, &written_count, err));
    ASSERT(written_count == row_count);
    batch_builder_reset(writer->builder);
    writer->batch_bytes = 0;
    return true;
}

static bool seal_writer_add(struct seal_writer *writer, const struct seal_row *row, struct err *err)
{
    struct seal_rows *rows = writer->rows;
    const struct seal_group *group = &rows->groups[row->group];
    char detail[256];
    TRY(event_scan(slice_of(row->line, row->size_bytes), SEAL_LATEST_MS, rows->event, detail, err));
    ASSERT(rows->event->time_ms == row->time_ms);
    batch_builder_set_int64(writer->builder, 0, group->slice.topic_id);
    batch_builder_set_int64(writer->builder, 1, group->slice.app_id);
    batch_builder_set_int64(writer->builder, 2, row->time_ms);
    batch_builder_set_int64(writer->builder, 3, row->seq);
    seal_rows_each_value(rows, group->topic, rows->event, seal_writer_set, writer);
    batch_builder_end_row(writer->builder);
    writer->batch_bytes += row->size_bytes;
    if (batch_builder_is_full(writer->builder) || writer->batch_bytes >= SEAL_BATCH_BYTES)
        TRY(seal_writer_flush(writer, err));
    return true;
}

static size_t seal_batch_rows(size_t column_count)
{
    const size_t rows = SEAL_BATCH_CELLS / column_count;
    if (rows < SEAL_BATCH_ROWS_MIN)
        return SEAL_BATCH_ROWS_MIN;
    return rows < SEAL_BATCH_ROWS_MAX ? rows : SEAL_BATCH_ROWS_MAX;
}

static bool seal_writer_run(struct seal_writer *writer, struct sink *sink, struct err *err)
{
    const struct encoder_spec spec = {
        .format = ENCODER_PARQUET,
        .codec = ENCODER_CODEC_ZSTD,
        .columns = writer->columns,
        .column_count = writer->column_count,
    };
    TRY(encoder_open(&spec, sink, &writer->encoder, err));
    writer->builder = batch_builder_new(writer->columns, writer->column_count,
                                        seal_batch_rows(writer->column_count));
    for (size_t i = 0; i < writer->file->row_count; i++)
        TRY(seal_writer_add(writer, &writer->rows->rows[writer->file->first_row + i], err));
    TRY(seal_writer_flush(writer, err));
    ASSERT(encoder_row_count(writer->encoder) == writer->file->row_count);
    return encoder_finish(writer->encoder, err);
}

// --- The file

static bool seal_check_file(const char *path, const struct sink_digest *written, struct err *err)
{
    uint8_t sha256[SHA256_BYTES];
    uint64_t size_bytes = 0;
    TRY(file_digest(path, sha256, &size_bytes, err));
    if (size_bytes != written->byte_count || memcmp(sha256, written->sha256, sizeof sha256) != 0)
        return err_set(err, ERR_IO, "%s does not read back as it was written", path);
    return true;
}

bool seal_write_file(struct seal_rows *rows, const char *data_directory, int64_t now_ms,
                     struct seal_file *file, struct err *err)
{
    struct seal_writer writer CLEANUP(seal_writer_clear) = {.rows = rows, .file = file};
    buf_init(&writer.scratch, EVENT_LINE_BYTES_MAX);
    seal_writer_choose_columns(&writer);
    TRY(seal_writer_columns_json(&writer, &file->columns_json, err));

    segment_path_new(rng_system(), now_ms, file->path);
    const char *path = segment_path_full(&rows->arena, data_directory, file->path);
    struct sink *sink = NULL;
    struct sink_digest digest;
    TRY(segment_path_make_directory(path, err));
    TRY(sink_file_open(path, &sink, err));
    TRY(seal_writer_run(&writer, sink_digest_new(sink, &digest), err));
    TRY(seal_check_file(path, &digest, err));
    hex_encode(slice_of(digest.sha256, sizeof digest.sha256), file->sha256);
    file->byte_count = (int64_t)digest.byte_count;
    return true;
}
