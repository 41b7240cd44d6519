// SPDX-License-Identifier: Apache-2.0
// The only user of DuckDB. Results are streamed: the engine computes a chunk when the next one is
// asked for, so a scan needs the memory of a few chunks whatever its length. The vectors of a chunk
// have the layout of struct batch_column, hence a batch is a view of a chunk and nothing is copied
// here.
#include "engine/duckdb.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "engine/duckdb_abi.h"

#define ENGINE_SQL_LIMIT_BYTES ((size_t)16 * 1024 * 1024)

struct engine {
    duckdb_database database;
    atomic_size_t stream_count; // open ones: the database must outlive them
};

struct engine_stream {
    struct engine *engine;
    duckdb_connection connection;
    duckdb_prepared_statement statement;
    duckdb_pending_result pending;
    duckdb_result result;
    duckdb_data_chunk chunk; // the one that `batch` shows
    struct batch_column *columns;
    struct batch batch;
    bool is_finished; // ended or failed
};

// The library tells the class of an error by number only for results, not for statements that could
// not be prepared; its text starts with the class in both cases.
static const struct {
    const char *text;
    enum err_kind kind;
} engine_error_classes[] = {
    {"Out of Memory Error", ERR_LIMIT}, {"Parser Error", ERR_INVALID},
    {"Syntax Error", ERR_INVALID},      {"Binder Error", ERR_INVALID},
    {"Catalog Error", ERR_INVALID},
};

static enum err_kind engine_error_kind(const char *text)
{
    if (strstr(text, "No space left on device") != NULL)
        return ERR_FULL;
    for (size_t i = 0; i < ARRAY_COUNT(engine_error_classes); i++) {
        if (slice_starts_with(slice_text(text), slice_text(engine_error_classes[i].text)))
            return engine_error_classes[i].kind;
    }
    return ERR_IO;
}

// The first line only: what follows is the statement with a mark, or advice for a shell.
static bool engine_fail(struct err *err, const char *text)
{
    if (text == NULL)
        text = "unknown error";
    const int line_chars = (int)strcspn(text, "\n");
    return err_set(err, engine_error_kind(text), "engine: %.*s", line_chars, text);
}

static bool engine_configure(duckdb_config settings, const struct engine_config *config,
                             struct err *err)
{
    char threads[24];
    char memory[32];
    snprintf(threads, sizeof threads, "%" PRId64, config->thread_count);
    snprintf(memory, sizeof memory, "%" PRId64 " B", config->memory_limit_bytes);
    const struct {
        const char *name;
        const char *value;
    } values[] = {
        {"threads", threads},
        {"memory_limit", memory},
        {"temp_directory", config->temp_directory},
        // Nothing is ever loaded from the network: all that is needed is linked in.
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        if (duckdb_set_config(settings, values[i].name, values[i].value) != DUCKDB_SUCCESS)
            return err_set(err, ERR_INVALID, "engine refuses %s = %s", values[i].name,
                           values[i].value);
    }
    return true;
}

bool engine_open(const struct engine_config *config, struct engine **ret_engine, struct err *err)
{
    ASSERT(config->thread_count > 0);
    ASSERT(config->memory_limit_bytes > 0);
    ASSERT(config->temp_directory != NULL);
    duckdb_config settings CLEANUP(duckdb_destroy_config) = NULL;
    if (duckdb_create_config(&settings) != DUCKDB_SUCCESS)
        return err_set(err, ERR_IO, "engine cannot be configured");
    TRY(engine_configure(settings, config, err));
    struct engine *engine CLEANUP(engine_close) = mem_alloc(sizeof *engine);
    char *text = NULL;
    if (duckdb_open_ext(NULL, &engine->database, settings, &text) != DUCKDB_SUCCESS) {
        (void)engine_fail(err, text);
        duckdb_free(text);
        return false;
    }
    *ret_engine = engine;
    engine = NULL;
    return true;
}

void engine_close(struct engine **engine)
{
    if (*engine == NULL)
        return;
    ASSERT(atomic_load(&(*engine)->stream_count) == 0);
    if ((*engine)->database != NULL)
        duckdb_close(&(*engine)->database);
    mem_free(*engine);
    *engine = NULL;
}

const char *engine_version(void)
{
    return duckdb_library_version();
}

static enum duckdb_type engine_type_of(enum field_type type)
{
    switch (type) {
    case FIELD_INT64:
    case FIELD_TIME:
        return DUCKDB_TYPE_BIGINT;
    case FIELD_DOUBLE:
        return DUCKDB_TYPE_DOUBLE;
    case FIELD_BOOL:
        return DUCKDB_TYPE_BOOLEAN;
    case FIELD_TEXT:
    case FIELD_JSON:
        return DUCKDB_TYPE_VARCHAR;
    }
    ASSERT(false);
    return DUCKDB_TYPE_VARCHAR;
}

static bool engine_stream_start(struct engine_stream *stream, const char *sql, struct err *err)
{
    if (duckdb_prepare(stream->connection, sql, &stream->statement) != DUCKDB_SUCCESS)
        return engine_fail(err, duckdb_prepare_error(stream->statement));
    if (duckdb_pending_prepared_streaming(stream->statement, &stream->pending) != DUCKDB_SUCCESS)
        return engine_fail(err, duckdb_pending_error(stream->pending));
    if (duckdb_execute_pending(stream->pending, &stream->result) != DUCKDB_SUCCESS)
        return engine_fail(err, duckdb_result_error(&stream->result));
    return true;
}

static bool engine_stream_check_columns(struct engine_stream *stream, const enum field_type *types,
                                        size_t column_count, struct err *err)
{
    const uint64_t count = duckdb_column_count(&stream->result);
    if (count != column_count)
        return err_set(err, ERR_INVALID, "engine: query has %" PRIu64 " columns, not %zu", count,
                       column_count);
    for (size_t i = 0; i < column_count; i++) {
        const enum duckdb_type type = duckdb_column_type(&stream->result, i);
        if (type != engine_type_of(types[i]))
            return err_set(err, ERR_INVALID, "engine: column %zu has type %d, not that of a %s", i,
                           (int)type, field_type_name(types[i]));
        stream->columns[i].type = types[i];
    }
    return true;
}

bool engine_query(struct engine *engine, struct slice sql, const enum field_type *types,
                  size_t column_count, struct engine_stream **ret_stream, struct err *err)
{
    if (sql.size_bytes > ENGINE_SQL_LIMIT_BYTES)
        return err_set(err, ERR_LIMIT, "engine: query longer than %zu bytes",
                       ENGINE_SQL_LIMIT_BYTES);
    // The library takes NUL-terminated text: a NUL inside would cut the query short.
    if (sql.size_bytes > 0 && memchr(sql.data, '\0', sql.size_bytes) != NULL)
        return err_set(err, ERR_INVALID, "engine: query with a NUL character");
    char *text CLEANUP(mem_free_at) = mem_alloc(sql.size_bytes + 1);
    if (sql.size_bytes > 0)
        memcpy(text, sql.data, sql.size_bytes);

    struct engine_stream *stream CLEANUP(engine_stream_close) = mem_alloc(sizeof *stream);
    stream->engine = engine;
    atomic_fetch_add(&engine->stream_count, 1);
    stream->columns = mem_alloc_array(column_count, sizeof *stream->columns);
    stream->batch.column_count = column_count;
    stream->batch.columns = stream->columns;
    if (duckdb_connect(engine->database, &stream->connection) != DUCKDB_SUCCESS)
        return err_set(err, ERR_IO, "engine: no connection");
    TRY(engine_stream_start(stream, text, err));
    TRY(engine_stream_check_columns(stream, types, column_count, err));
    *ret_stream = stream;
    stream = NULL;
    return true;
}

static void engine_stream_show(struct engine_stream *stream, uint64_t row_count)
{
    for (size_t i = 0; i < stream->batch.column_count; i++) {
        const duckdb_vector vector = duckdb_data_chunk_get_vector(stream->chunk, i);
        stream->columns[i].values = duckdb_vector_get_data(vector);
        stream->columns[i].validity = duckdb_vector_get_validity(vector);
    }
    stream->batch.row_count = (size_t)row_count;
}

bool engine_stream_next(struct engine_stream *stream, const struct batch **ret_batch,
                        struct err *err)
{
    uint64_t row_count = 0;
    while (row_count == 0 && !stream->is_finished) {
        if (stream->chunk != NULL)
            duckdb_destroy_data_chunk(&stream->chunk);
        stream->chunk = duckdb_fetch_chunk(stream->result);
        if (stream->chunk != NULL) {
            row_count = duckdb_data_chunk_get_size(stream->chunk);
            continue;
        }
        stream->is_finished = true;
        const char *text = duckdb_result_error(&stream->result);
        if (text != NULL && text[0] != '\0')
            return engine_fail(err, text);
    }
    stream->batch.row_count = 0;
    if (row_count > 0)
        engine_stream_show(stream, row_count);
    *ret_batch = &stream->batch;
    return true;
}

void engine_stream_close(struct engine_stream **stream)
{
    struct engine_stream *one = *stream;
    if (one == NULL)
        return;
    if (one->chunk != NULL)
        duckdb_destroy_data_chunk(&one->chunk);
    duckdb_destroy_result(&one->result);
    duckdb_destroy_pending(&one->pending);
    duckdb_destroy_prepare(&one->statement);
    if (one->connection != NULL)
        duckdb_disconnect(&one->connection);
    atomic_fetch_sub(&one->engine->stream_count, 1);
    mem_free(one->columns);
    mem_free(one);
    *stream = NULL;
}

static void engine_append_quoted(struct buf *sql, struct slice text, char quote)
{
    buf_append_char(sql, quote);
    while (text.size_bytes > 0) {
        const char *found = memchr(text.data, quote, text.size_bytes);
        if (found == NULL)
            break;
        const size_t size_bytes = (size_t)(found - slice_chars(text)) + 1;
        buf_append(sql, slice_part(text, 0, size_bytes));
        buf_append_char(sql, quote);
        text = slice_from(text, size_bytes);
    }
    buf_append(sql, text);
    buf_append_char(sql, quote);
}

void engine_append_literal(struct buf *sql, struct slice text)
{
    engine_append_quoted(sql, text, '\'');
}

void engine_append_identifier(struct buf *sql, struct slice name)
{
    engine_append_quoted(sql, name, '"');
}

// A path is a pattern for the engine: what has a meaning there is put into a class of its own.
static void engine_append_path(struct buf *sql, const char *path)
{
    buf_append_char(sql, '\'');
    for (const char *next = path; *next != '\0'; next++) {
        if (strchr("*?[", *next) != NULL)
            buf_append_format(sql, "[%c]", *next);
        else if (*next == '\'')
            buf_append_text(sql, "''");
        else
            buf_append_char(sql, *next);
    }
    buf_append_char(sql, '\'');
}

void engine_append_parquet(struct buf *sql, const char *const *paths, size_t path_count)
{
    ASSERT(path_count > 0);
    buf_append_text(sql, "read_parquet([");
    for (size_t i = 0; i < path_count; i++) {
        if (i > 0)
            buf_append_char(sql, ',');
        engine_append_path(sql, paths[i]);
    }
    // Directories named "a=b" are not columns.
    buf_append_text(sql, "], union_by_name=true, hive_partitioning=false)");
}
