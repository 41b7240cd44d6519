// SPDX-License-Identifier: Apache-2.0
#include "source_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"

#define FIXTURE_SQL_BYTES ((size_t)4 * 1024 * 1024)

int source_fixture_set_up(void **state)
{
    struct source_fixture *fixture = mem_alloc(sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-source-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    const struct engine_config config = {
        .memory_limit_bytes = INT64_C(512) << 20,
        .thread_count = 1,
        .temp_directory = fixture->directory,
        .fetches_ahead = true, // as workers do
    };
    assert_true(engine_open(&config, &fixture->engine, &fixture->err));
    *state = fixture;
    return 0;
}

static bool fixture_remove_file(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

int source_fixture_tear_down(void **state)
{
    struct source_fixture *fixture = *state;
    engine_close(&fixture->engine);
    assert_true(file_walk(fixture->directory, "", fixture_remove_file, NULL, &fixture->err));
    assert_int_equal(rmdir(fixture->directory), 0);
    for (size_t i = 0; i < fixture->segment_count; i++)
        mem_free(fixture->paths[i]);
    mem_free(fixture);
    return 0;
}

static int64_t fixture_query_int64(struct source_fixture *fixture, struct slice sql)
{
    static const enum field_type types[] = {FIELD_INT64};
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    if (!engine_query(fixture->engine, sql, types, 1, &stream, &fixture->err))
        fail_msg("%s", fixture->err.message);
    const struct batch *batch = NULL;
    assert_true(engine_stream_next(stream, &batch, &fixture->err));
    assert_int_equal(batch->row_count, 1);
    return batch_int64(&batch->columns[0], 0);
}

static int64_t fixture_time(struct source_fixture *fixture, const char *path, const char *function)
{
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, FIXTURE_SQL_BYTES);
    buf_append_format(&sql,
                      "SELECT coalesce(%s(_time), 0) FROM '%s' WHERE _topic = %" PRId64
                      " AND _app = %" PRId64,
                      function, path, FIXTURE_TOPIC, FIXTURE_APP);
    return fixture_query_int64(fixture, buf_slice(&sql));
}

void source_fixture_add(struct source_fixture *fixture, const char *rows_sql,
                        const char *const *physical_columns, size_t physical_column_count)
{
    assert_true(fixture->segment_count < FIXTURE_SEGMENTS_MAX);
    const size_t index = fixture->segment_count++;
    struct buf name;
    buf_init(&name, 256);
    buf_append_format(&name, "%s/%03zu.parquet", fixture->directory, index);
    const char *path = fixture->paths[index] = buf_take(&name);
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, FIXTURE_SQL_BYTES);
    buf_append_text(&sql, "COPY (");
    buf_append_text(&sql, rows_sql);
    buf_append_format(&sql, ") TO '%s' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)",
                      path);
    (void)fixture_query_int64(fixture, buf_slice(&sql));
    fixture->segments[index] = (struct source_segment){
        .path = path,
        .physical_columns = physical_columns,
        .physical_column_count = physical_column_count,
        .time_min_ms = fixture_time(fixture, path, "min"),
        .time_max_ms = fixture_time(fixture, path, "max"),
    };
}

struct source_spec source_fixture_spec(const struct source_fixture *fixture,
                                       const struct column *columns, size_t column_count)
{
    return (struct source_spec){
        .topic_id = FIXTURE_TOPIC,
        .app_id = FIXTURE_APP,
        .organization_id = FIXTURE_ORGANIZATION,
        .start_ms = 0,
        .end_ms = INT64_C(4000000000000),
        .seq_lo = -1,
        .seq_hi = INT64_C(1000000000000),
        .columns = columns,
        .column_count = column_count,
        .segments = fixture->segments,
        .segment_count = fixture->segment_count,
    };
}

static void fixture_append_value(const struct batch_column *column, size_t row, struct buf *text)
{
    char number[NUMBER_CHARS_MAX];
    if (!batch_is_valid(column, row)) {
        buf_append_char(text, '~');
        return;
    }
    switch (column->type) {
    case FIELD_INT64:
    case FIELD_TIME:
        buf_append(text, slice_of(number, number_format_int64(batch_int64(column, row), number)));
        return;
    case FIELD_DOUBLE:
        buf_append(text, slice_of(number, number_format_double(batch_double(column, row), number)));
        return;
    case FIELD_BOOL:
        buf_append_text(text, batch_bool(column, row) ? "true" : "false");
        return;
    case FIELD_TEXT:
    case FIELD_JSON:
        buf_append(text, batch_text(column, row));
        return;
    }
    fail();
}

static void fixture_append_rows(const struct batch *batch, size_t first_row, size_t row_count,
                                struct buf *text)
{
    for (size_t row = first_row; row < first_row + row_count; row++) {
        for (size_t i = 0; i < batch->column_count; i++) {
            fixture_append_value(&batch->columns[i], row, text);
            buf_append_char(text, '|');
        }
        buf_append_char(text, '\n');
    }
    assert_false(text->overflowed);
}

bool source_fixture_read(struct source_fixture *fixture, struct source *source, struct buf *text)
{
    uint64_t row_count = 0;
    for (;;) {
        struct source_rows rows;
        err_clear(&fixture->err);
        TRY(source_next(source, &rows, &fixture->err));
        if (rows.row_count == 0)
            break;
        fixture_append_rows(rows.batch, rows.first_row, rows.row_count, text);
        row_count += rows.row_count;
    }
    assert_int_equal(source_row_count(source), row_count);
    return true;
}

bool source_fixture_run(struct source_fixture *fixture, const struct source_spec *spec,
                        struct buf *text)
{
    struct source *source CLEANUP(source_close) = NULL;
    TRY(source_lake_open(fixture->engine, spec, &source, &fixture->err));
    return source_fixture_read(fixture, source, text);
}

void source_fixture_query(struct source_fixture *fixture, const char *sql,
                          const enum field_type *types, size_t column_count, struct buf *text)
{
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    if (!engine_query(fixture->engine, slice_text(sql), types, column_count, &stream,
                      &fixture->err))
        fail_msg("%s", fixture->err.message);
    const struct batch *batch = NULL;
    do {
        assert_true(engine_stream_next(stream, &batch, &fixture->err));
        fixture_append_rows(batch, 0, batch->row_count, text);
    } while (batch->row_count > 0);
}
