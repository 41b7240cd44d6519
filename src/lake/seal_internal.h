// SPDX-License-Identifier: Apache-2.0
// Shared by the files of sealing alone. One step of sealing:
//
//   seal_collect.c   pieces of the log -> rows, their groups (topic, app, hour), the columns seen
//   seal_plan.c      groups -> files, rows into the order of the files
//   seal_write.c     one file -> Parquet, read back
//   seal_value.c     one property -> the type in which it is stored
//   seal.c           the step, and the catalog
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "catalog/catalog.h"
#include "catalog/segments.h"
#include "lake/ingest_frame.h"
#include "lake/seal_table.h"
#include "lake/segment_path.h"
#include "model/batch.h"
#include "model/event.h"
#include "model/schema.h"

// A step ends with the piece that reaches one of these: they bound its memory and its transaction,
// whatever was ingested.
enum seal_limits {
    SEAL_ROWS_MAX = 1000000,
    SEAL_COLUMNS_MAX = 4096,
    SEAL_GROUPS_MAX = 1000,
    SEAL_SCHEMA_FIELDS_MAX = 200000, // of the topics seen, together
};

// For event_scan: whether a time lies too far ahead was decided when the event arrived. Asking
// again with the frame's time would find acknowledged events bad after the clock had stepped back.
#define SEAL_LATEST_MS (INT64_MAX / 2)

// --- What a step has collected

struct seal_row {
    int64_t time_ms;
    int64_t seq;
    const char *line; // in the arena of struct seal_rows
    uint32_t size_bytes;
    uint32_t group;
};

// A column that some row of the step has.
struct seal_column {
    const char *physical_name;
    enum field_type type;
};

struct seal_topic {
    const struct schema *schema;
    struct schema_index *index;
    int32_t *columns; // of field * FIELD_TYPE_COUNT + type: position in seal_rows.columns, or -1
    // Rows of a topic have their properties in much the same order: of field + 1, the field that
    // came next the last time, -1 when none did. Of 0: the first one.
    int32_t *followers;
};

// Rows of one topic, app and hour.
struct seal_group {
    size_t position; // before seal_plan sorts
    size_t topic;
    size_t file; // seal_plan sets it
    struct segment_slice slice;
    uint64_t *seen; // a bit per column of the step
    size_t seen_words;
};

struct seal_rows {
    struct arena arena; // lines, names, schemas
    struct seal_row *rows;
    size_t row_count;
    size_t row_capacity;
    struct seal_column *columns;
    size_t column_count;
    size_t column_capacity;
    struct seal_table column_table;
    struct seal_topic *topics;
    size_t topic_count;
    size_t topic_capacity;
    size_t schema_field_count;
    struct seal_table topic_table;
    struct seal_group *groups;
    size_t group_count;
    size_t group_capacity;
    struct seal_table group_table;
    struct segment_idempotency *keys;
    size_t key_count;
    size_t key_capacity;
    int64_t seq_to;      // of the last piece
    size_t line_bytes;   // of all pieces
    struct event *event; // scratch of one line: it is large
    struct buf name;     // scratch
};

void seal_rows_init(struct seal_rows *rows, int64_t seq_from);
void seal_rows_clear(struct seal_rows *rows);

// Takes pieces until one reaches step_bytes or a limit. *ret_is_end: the reader had no more. On
// failure the pieces before the failing call are there, unless *ret_is_torn.
NODISCARD bool seal_rows_collect(struct seal_rows *rows, struct ingest_reader *reader,
                                 struct catalog *catalog, int64_t step_bytes, bool *ret_is_end,
                                 bool *ret_is_torn, struct err *err);

// Calls visit for each value of a scanned event with the step's column for it; nulls are left out.
// Columns are added when they are new.
void seal_rows_each_value(struct seal_rows *rows, size_t topic, const struct event *event,
                          void (*visit)(const struct event_property *property, size_t column,
                                        void *context),
                          void *context);

// --- Files

struct seal_file {
    size_t first_group;
    size_t group_count;
    size_t first_row;
    size_t row_count;
    char path[SEGMENT_PATH_CHARS + 1]; // empty: nothing was written
    const char *columns_json;
    char sha256[2 * 32 + 1];
    int64_t byte_count;
};

// Decides on files, and brings groups and rows into their order. *ret_files lives in the arena of
// rows.
size_t seal_plan(struct seal_rows *rows, int64_t own_file_rows, int64_t file_limit,
                 struct seal_file **ret_files);

// Writes the file under a new path (set in *file as soon as something may be on disk), reads it
// back, and fills in what the catalog wants to know. IO when what was read is not what was written.
NODISCARD bool seal_write_file(struct seal_rows *rows, const char *data_directory, int64_t now_ms,
                               struct seal_file *file, struct err *err);

// --- Values

// The type in which a value that is not null is stored, given the field's type: that one if the
// value can be brought to it, else its own.
enum field_type seal_value_type(const struct event_property *property, enum field_type type);

// Sets the value in a column of that type. TIME goes into a column of INT64. scratch is
// overwritten.
void seal_value_set(struct batch_builder *builder, size_t column, enum field_type type,
                    const struct event_property *property, struct buf *scratch);
