// SPDX-License-Identifier: Apache-2.0
// Which rows pass a filter: the path of an export, from the filter's JSON over its stored form to
// the engine that scans segments, without a server around it. The segments are left in the
// directory that is given. Standard input has JSON lines; what is wrong with them ends the program.
//
//   {"fields":[["name","string"],...]}   once, first
//   {"segment":[["text",...],...]}       rows of values in the order of the fields: the next
//   segment
//   {"filter":[...]}                     answered by a line: a digit per row, 1 where it passes, or
//                                        "! " and why the filter was refused
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/sink.h"
#include "encode/encoder.h"
#include "engine/duckdb.h"
#include "source/source.h"

#define VERDICTS_TOPIC        INT64_C(3)
#define VERDICTS_APP          INT64_C(1234567890123456789)
#define VERDICTS_SEGMENTS_MAX ((size_t)64)
#define VERDICTS_BYTES_MAX    ((size_t)64 * 1024 * 1024)

struct verdicts {
    const char *directory;
    struct arena arena;
    struct engine *engine;
    struct schema schema;
    struct source_segment segments[VERDICTS_SEGMENTS_MAX];
    size_t segment_count;
    int64_t row_count;
};

static void verdicts_must(bool is_done, const struct err *err)
{
    if (is_done)
        return;
    (void)fprintf(stderr, "filter_verdicts: %s\n", err->message);
    exit(1);
}

static void verdicts_take_fields(struct verdicts *verdicts, const struct json_node *list)
{
    const size_t count = json_node_count(list);
    struct schema_field *fields = arena_alloc_array(&verdicts->arena, count, sizeof *fields);
    for (size_t i = 0; i < count; i++) {
        const struct json_node *item = json_node_at(list, i);
        fields[i] = (struct schema_field){
            .name = arena_copy_slice(&verdicts->arena, json_node_text(json_node_at(item, 0))),
            .origin = FIELD_DECLARED};
        const bool is_type = field_type_parse(json_node_text(json_node_at(item, 1)),
                                              &fields[i].type);
        ASSERT(is_type);
    }
    verdicts->schema = (struct schema){.topic_name = "t", .fields = fields, .field_count = count};
}

// --- Segments, written as the lake writes them.

#define VERDICTS_SYSTEM_COLUMNS ((size_t)4)

static bool verdicts_has_values(const struct json_node *rows, size_t field)
{
    for (size_t i = 0; i < json_node_count(rows); i++) {
        if (json_node_kind(json_node_at(json_node_at(rows, i), field)) != JSON_KIND_NULL)
            return true;
    }
    return false;
}

// A field without values has no column in the file. fields says which field a column is of.
static size_t verdicts_choose_columns(struct verdicts *verdicts, const struct json_node *rows,
                                      struct column *columns, size_t *fields)
{
    static const char *const names[VERDICTS_SYSTEM_COLUMNS] = {
        FIELD_PHYSICAL_TOPIC, FIELD_PHYSICAL_APP, FIELD_PHYSICAL_TIME, FIELD_PHYSICAL_SEQ};
    size_t count = 0;
    for (; count < VERDICTS_SYSTEM_COLUMNS; count++)
        columns[count] = (struct column){.name = names[count], .type = FIELD_INT64};
    struct buf name CLEANUP(buf_clear);
    buf_init(&name, VERDICTS_BYTES_MAX);
    for (size_t i = 0; i < verdicts->schema.field_count; i++) {
        if (!verdicts_has_values(rows, i))
            continue;
        const struct schema_field *field = &verdicts->schema.fields[i];
        buf_reset(&name);
        field_append_physical_name(&name, field->name, field->type);
        fields[count] = i;
        columns[count++] = (struct column){
            .name = arena_copy_slice(&verdicts->arena, buf_slice(&name)),
            .type = field->type == FIELD_TIME ? FIELD_INT64 : field->type,
        };
    }
    return count;
}

static void verdicts_set(struct batch_builder *builder, size_t column, enum field_type type,
                         const struct json_node *value)
{
    if (json_node_kind(value) == JSON_KIND_NULL)
        return;
    switch (type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        batch_builder_set_text(builder, column, json_node_text(value));
        return;
    case FIELD_INT64:
    case FIELD_TIME:
        batch_builder_set_int64(builder, column, json_node_int64(value));
        return;
    case FIELD_DOUBLE:
        batch_builder_set_double(builder, column, json_node_double(value));
        return;
    case FIELD_BOOL:
        batch_builder_set_bool(builder, column, json_node_bool(value));
        return;
    }
}

static const struct batch *verdicts_fill(const struct verdicts *verdicts,
                                         const struct json_node *rows, const size_t *fields,
                                         size_t column_count, struct batch_builder *builder)
{
    for (size_t i = 0; i < json_node_count(rows); i++) {
        const int64_t number = verdicts->row_count + (int64_t)i;
        batch_builder_set_int64(builder, 0, VERDICTS_TOPIC);
        batch_builder_set_int64(builder, 1, VERDICTS_APP);
        batch_builder_set_int64(builder, 2, number);
        batch_builder_set_int64(builder, 3, number);
        for (size_t j = VERDICTS_SYSTEM_COLUMNS; j < column_count; j++)
            verdicts_set(builder, j, verdicts->schema.fields[fields[j]].type,
                         json_node_at(json_node_at(rows, i), fields[j]));
        batch_builder_end_row(builder);
    }
    return batch_builder_batch(builder);
}

static bool verdicts_write(const char *path, const struct column *columns, size_t column_count,
                           const struct batch *batch, struct err *err)
{
    struct sink *sink = NULL;
    struct encoder *encoder CLEANUP(encoder_free) = NULL;
    const struct encoder_spec spec = {.format = ENCODER_PARQUET,
                                      .codec = ENCODER_CODEC_ZSTD,
                                      .columns = columns,
                                      .column_count = column_count};
    size_t row_count = 0;
    TRY(sink_file_open(path, &sink, err));
    TRY(encoder_open(&spec, sink, &encoder, err));
    TRY(encoder_write(encoder, batch, 0, batch->row_count, UINT64_MAX, &row_count, err));
    ASSERT(row_count == batch->row_count);
    return encoder_finish(encoder, err);
}

static void verdicts_take_segment(struct verdicts *verdicts, const struct json_node *rows)
{
    const size_t row_count = json_node_count(rows);
    ASSERT(verdicts->segment_count < VERDICTS_SEGMENTS_MAX && row_count > 0);
    struct arena *arena = &verdicts->arena;
    const size_t room = VERDICTS_SYSTEM_COLUMNS + verdicts->schema.field_count;
    struct column *columns = arena_alloc_array(arena, room, sizeof *columns);
    size_t *fields = arena_alloc_array(arena, room, sizeof *fields);
    const size_t count = verdicts_choose_columns(verdicts, rows, columns, fields);
    const char **names = arena_alloc_array(arena, count, sizeof *names);
    for (size_t i = VERDICTS_SYSTEM_COLUMNS; i < count; i++)
        names[i - VERDICTS_SYSTEM_COLUMNS] = columns[i].name;
    const char *path = arena_format(arena, "%s/%zu.parquet", verdicts->directory,
                                    verdicts->segment_count);
    struct err err = {0};
    struct batch_builder *builder CLEANUP(batch_builder_free) = batch_builder_new(columns, count,
                                                                                  row_count);
    verdicts_must(verdicts_write(path, columns, count,
                                 verdicts_fill(verdicts, rows, fields, count, builder), &err),
                  &err);
    verdicts->segments[verdicts->segment_count++] = (struct source_segment){
        .path = path,
        .physical_columns = names,
        .physical_column_count = count - VERDICTS_SYSTEM_COLUMNS,
        .time_min_ms = verdicts->row_count,
        .time_max_ms = verdicts->row_count + (int64_t)row_count - 1,
    };
    verdicts->row_count += (int64_t)row_count;
}

// --- Filters.

// As a job gets it: what was parsed is stored, and read back without the schema.
static bool verdicts_load_filter(struct verdicts *verdicts, const struct json_node *node,
                                 struct arena *arena, const struct filter **ret_filter,
                                 struct err *err)
{
    const struct filter *parsed = NULL;
    TRY(filter_parse(node, &verdicts->schema, arena, &parsed, err));
    struct buf stored CLEANUP(buf_clear);
    buf_init(&stored, VERDICTS_BYTES_MAX);
    filter_store(parsed, &stored);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    verdicts_must(json_tree_parse(buf_slice(&stored), &tree, err), err);
    verdicts_must(filter_load(json_tree_root(tree), arena, ret_filter, err), err);
    return true;
}

// The event time of a row is its number.
static void verdicts_mark(struct source *source, char *digits, int64_t row_count)
{
    struct source_rows rows;
    struct err err = {0};
    do {
        verdicts_must(source_next(source, &rows, &err), &err);
        for (size_t i = 0; i < rows.row_count; i++) {
            const int64_t row = batch_int64(&rows.batch->columns[0], rows.first_row + i);
            ASSERT(row >= 0 && row < row_count && digits[row] == '0');
            digits[row] = '1';
        }
    } while (rows.row_count > 0);
}

static void verdicts_answer(struct verdicts *verdicts, const struct json_node *node)
{
    static const struct column column = {.name = "timestamp", .type = FIELD_TIME};
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct err err = {0};
    const struct filter *filter = NULL;
    if (!verdicts_load_filter(verdicts, node, &arena, &filter, &err)) {
        (void)printf("! %s\n", err.message);
        return;
    }
    const struct source_spec spec = {
        .topic_id = VERDICTS_TOPIC,
        .app_id = VERDICTS_APP,
        .organization_id = 1,
        .start_ms = 0,
        .end_ms = verdicts->row_count,
        .seq_lo = -1,
        .seq_hi = verdicts->row_count,
        .columns = &column,
        .column_count = 1,
        .filter = filter,
        .segments = verdicts->segments,
        .segment_count = verdicts->segment_count,
    };
    char *digits = arena_alloc_array(&arena, (size_t)verdicts->row_count + 1, 1);
    memset(digits, '0', (size_t)verdicts->row_count);
    digits[verdicts->row_count] = '\0';
    struct source *source CLEANUP(source_close) = NULL;
    verdicts_must(source_lake_open(verdicts->engine, &spec, &source, &err), &err);
    verdicts_mark(source, digits, verdicts->row_count);
    (void)puts(digits);
}

static void verdicts_take_line(struct verdicts *verdicts, struct slice line)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err err = {0};
    verdicts_must(json_tree_parse(line, &tree, &err), &err);
    const struct json_node *root = json_tree_root(tree);
    if (json_node_get(root, "fields") != NULL)
        verdicts_take_fields(verdicts, json_node_get(root, "fields"));
    else if (json_node_get(root, "segment") != NULL)
        verdicts_take_segment(verdicts, json_node_get(root, "segment"));
    else
        verdicts_answer(verdicts, json_node_get(root, "filter"));
}

static void verdicts_run(struct verdicts *verdicts)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, stdin)) > 0) {
        const size_t size_bytes = (size_t)size - (line[size - 1] == '\n' ? 1 : 0);
        verdicts_take_line(verdicts, slice_of(line, size_bytes));
    }
    free(line);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) {
        (void)fprintf(stderr, "usage: filter_verdicts DIRECTORY\n");
        return 1;
    }
    struct verdicts verdicts = {.directory = arguments[1]};
    arena_init(&verdicts.arena);
    struct err err = {0};
    const struct engine_config config = {
        .memory_limit_bytes = INT64_C(512) << 20,
        .thread_count = 1,
        .temp_directory = verdicts.directory,
    };
    verdicts_must(engine_open(&config, &verdicts.engine, &err), &err);
    verdicts_run(&verdicts);
    engine_close(&verdicts.engine);
    arena_clear(&verdicts.arena);
    return 0;
}
