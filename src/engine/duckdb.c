// SPDX-License-Identifier: Apache-2.0
// The only user of DuckDB. Results are streamed: the engine computes a chunk when the next one is
// asked for, so a scan needs the memory of a few chunks whatever its length. The vectors of a chunk
// have the layout of struct batch_column, hence a batch is a view of a chunk and nothing is copied
// here. Chunks that were fetched do not depend on each other or on the scan, so a thread may fetch
// the next ones while the batch of one is in use.
#include "engine/duckdb.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "engine/duckdb_abi.h"

#define ENGINE_SQL_LIMIT_BYTES ((size_t)16 * 1024 * 1024)
#define ENGINE_CHUNKS_AHEAD    ((size_t)4)

// One thread for all streams of an engine, as the library's allocator gives memory back to the
// system with every thread that ends. (Tried: a thread per stream spends a sixth of the time of a
// scan in page faults.)
struct engine_fetcher {
    struct thread thread;
    struct mutex mutex; // guards what follows, and `ahead` of the streams
    struct condition wanted;
    struct condition fetched;
    struct engine_stream *streams;    // oldest first
    const struct engine_stream *busy; // in the thread's hands; nobody else may use it
    bool must_stop;
};

struct engine {
    duckdb_database database;
    struct engine_fetcher *fetcher; // NULL: chunks are fetched when asked for
    atomic_size_t stream_count;     // open ones: the database must outlive them
};

struct engine_ahead {
    duckdb_data_chunk chunks[ENGINE_CHUNKS_AHEAD]; // a ring
    size_t first;
    size_t count;
    bool is_awaited;  // its owner cannot go on
    bool is_complete; // no more are to be fetched: end, failure, or being closed
    bool has_failed;
    struct err failure;
};

struct engine_stream {
    struct engine *engine;
    struct engine_stream *next; // in the fetcher's list
    struct engine_ahead ahead;
    char *sql;
    bool is_started;
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

// --- Streams

static bool engine_stream_check_columns(struct engine_stream *stream, struct err *err)
{
    const uint64_t count = duckdb_column_count(&stream->result);
    if (count != stream->batch.column_count)
        return err_set(err, ERR_INVALID, "engine: query has %" PRIu64 " columns, not %zu", count,
                       stream->batch.column_count);
    for (size_t i = 0; i < stream->batch.column_count; i++) {
        const enum duckdb_type type = duckdb_column_type(&stream->result, i);
        if (type != engine_type_of(stream->columns[i].type))
            return err_set(err, ERR_INVALID, "engine: column %zu has type %d, not that of a %s", i,
                           (int)type, field_type_name(stream->columns[i].type));
    }
    return true;
}

static bool engine_stream_start(struct engine_stream *stream, struct err *err)
{
    if (duckdb_connect(stream->engine->database, &stream->connection) != DUCKDB_SUCCESS)
        return err_set(err, ERR_IO, "engine: no connection");
    if (duckdb_prepare(stream->connection, stream->sql, &stream->statement) != DUCKDB_SUCCESS)
        return engine_fail(err, duckdb_prepare_error(stream->statement));
    if (duckdb_pending_prepared_streaming(stream->statement, &stream->pending) != DUCKDB_SUCCESS)
        return engine_fail(err, duckdb_pending_error(stream->pending));
    if (duckdb_execute_pending(stream->pending, &stream->result) != DUCKDB_SUCCESS)
        return engine_fail(err, duckdb_result_error(&stream->result));
    return engine_stream_check_columns(stream, err);
}

// The next chunk that has rows; NULL at the end.
static bool engine_stream_fetch(struct engine_stream *stream, duckdb_data_chunk *ret_chunk,
                                struct err *err)
{
    if (!stream->is_started) {
        stream->is_started = true;
        TRY(engine_stream_start(stream, err));
    }
    duckdb_data_chunk chunk = duckdb_fetch_chunk(stream->result);
    while (chunk != NULL && duckdb_data_chunk_get_size(chunk) == 0) {
        duckdb_destroy_data_chunk(&chunk);
        chunk = duckdb_fetch_chunk(stream->result);
    }
    const char *text = chunk == NULL ? duckdb_result_error(&stream->result) : NULL;
    if (text != NULL && text[0] != '\0')
        return engine_fail(err, text);
    *ret_chunk = chunk;
    return true;
}

// --- Fetching ahead

// The stream that needs a chunk most: one whose owner waits, else one with the fewest; the older of
// equals.
static struct engine_stream *engine_fetcher_choose(const struct engine_fetcher *fetcher)
{
    struct engine_stream *chosen = NULL;
    for (struct engine_stream *stream = fetcher->streams; stream != NULL; stream = stream->next) {
        const struct engine_ahead *ahead = &stream->ahead;
        if (ahead->is_complete || ahead->count == ENGINE_CHUNKS_AHEAD)
            continue;
        if (ahead->is_awaited)
            return stream;
        if (chosen == NULL || ahead->count < chosen->ahead.count)
            chosen = stream;
    }
    return chosen;
}

// With the mutex held, which is released meanwhile.
static void engine_fetcher_serve(struct engine_fetcher *fetcher, struct engine_stream *stream)
{
    struct engine_ahead *ahead = &stream->ahead;
    struct err failure = {0};
    duckdb_data_chunk chunk = NULL;
    fetcher->busy = stream;
    mutex_unlock(&fetcher->mutex);
    const bool is_fetched = engine_stream_fetch(stream, &chunk, &failure);
    mutex_lock(&fetcher->mutex);
    fetcher->busy = NULL;
    if (chunk != NULL) {
        ahead->chunks[(ahead->first + ahead->count) % ENGINE_CHUNKS_AHEAD] = chunk;
        ahead->count++;
    } else {
        ahead->is_complete = true;
        ahead->has_failed = !is_fetched;
        ahead->failure = failure;
    }
    condition_broadcast(&fetcher->fetched);
}

static void engine_fetcher_run(void *context)
{
    struct engine_fetcher *fetcher = context;
    mutex_lock(&fetcher->mutex);
    while (!fetcher->must_stop) {
        struct engine_stream *stream = engine_fetcher_choose(fetcher);
        if (stream != NULL)
            engine_fetcher_serve(fetcher, stream);
        else
            condition_wait(&fetcher->wanted, &fetcher->mutex);
    }
    mutex_unlock(&fetcher->mutex);
}

static struct engine_fetcher *engine_fetcher_new(void)
{
    struct engine_fetcher *fetcher = mem_alloc(sizeof *fetcher);
    mutex_init(&fetcher->mutex);
    condition_init(&fetcher->wanted);
    condition_init(&fetcher->fetched);
    thread_start(&fetcher->thread, engine_fetcher_run, fetcher);
    return fetcher;
}

static void engine_fetcher_free(struct engine_fetcher **fetcher)
{
    struct engine_fetcher *one = *fetcher;
    if (one == NULL)
        return;
    mutex_lock(&one->mutex);
    one->must_stop = true;
    condition_signal(&one->wanted);
    mutex_unlock(&one->mutex);
    thread_join(&one->thread);
    condition_clear(&one->fetched);
    condition_clear(&one->wanted);
    mutex_clear(&one->mutex);
    mem_free(one);
    *fetcher = NULL;
}

static void engine_fetcher_add(struct engine_fetcher *fetcher, struct engine_stream *stream)
{
    mutex_lock(&fetcher->mutex);
    struct engine_stream **end = &fetcher->streams;
    while (*end != NULL)
        end = &(*end)->next;
    *end = stream;
    condition_signal(&fetcher->wanted);
    mutex_unlock(&fetcher->mutex);
}

// Afterwards the thread does not know the stream.
static void engine_fetcher_remove(struct engine_fetcher *fetcher, struct engine_stream *stream)
{
    mutex_lock(&fetcher->mutex);
    stream->ahead.is_complete = true;
    while (fetcher->busy == stream)
        condition_wait(&fetcher->fetched, &fetcher->mutex);
    struct engine_stream **place = &fetcher->streams;
    while (*place != NULL && *place != stream)
        place = &(*place)->next;
    if (*place == stream)
        *place = stream->next;
    mutex_unlock(&fetcher->mutex);
}

static bool engine_fetcher_take(struct engine_fetcher *fetcher, struct engine_stream *stream,
                                duckdb_data_chunk *ret_chunk, struct err *err)
{
    struct engine_ahead *ahead = &stream->ahead;
    mutex_lock(&fetcher->mutex);
    ahead->is_awaited = true;
    while (ahead->count == 0 && !ahead->is_complete)
        condition_wait(&fetcher->fetched, &fetcher->mutex);
    ahead->is_awaited = false;
    *ret_chunk = NULL;
    if (ahead->count > 0) {
        *ret_chunk = ahead->chunks[ahead->first];
        ahead->first = (ahead->first + 1) % ENGINE_CHUNKS_AHEAD;
        ahead->count--;
        condition_signal(&fetcher->wanted);
    }
    mutex_unlock(&fetcher->mutex);
    if (*ret_chunk == NULL && ahead->has_failed)
        return err_set(err, ahead->failure.kind, "%s", ahead->failure.message);
    return true;
}

// --- Streams as others see them

bool engine_query(struct engine *engine, struct slice sql, const enum field_type *types,
                  size_t column_count, struct engine_stream **ret_stream, struct err *err)
{
    if (sql.size_bytes > ENGINE_SQL_LIMIT_BYTES)
        return err_set(err, ERR_LIMIT, "engine: query longer than %zu bytes",
                       ENGINE_SQL_LIMIT_BYTES);
    // The library takes NUL-terminated text: a NUL inside would cut the query short.
    if (sql.size_bytes > 0 && memchr(sql.data, '\0', sql.size_bytes) != NULL)
        return err_set(err, ERR_INVALID, "engine: query with a NUL character");

    struct engine_stream *stream CLEANUP(engine_stream_close) = mem_alloc(sizeof *stream);
    stream->engine = engine;
    atomic_fetch_add(&engine->stream_count, 1);
    stream->sql = mem_alloc(sql.size_bytes + 1);
    if (sql.size_bytes > 0)
        memcpy(stream->sql, sql.data, sql.size_bytes);
    stream->columns = mem_alloc_array(column_count, sizeof *stream->columns);
    for (size_t i = 0; i < column_count; i++)
        stream->columns[i].type = types[i];
    stream->batch.column_count = column_count;
    stream->batch.columns = stream->columns;
    if (engine->fetcher != NULL) {
        engine_fetcher_add(engine->fetcher, stream);
    } else {
        stream->is_started = true;
        TRY(engine_stream_start(stream, err));
    }
    *ret_stream = stream;
    stream = NULL;
    return true;
}

static void engine_stream_show(struct engine_stream *stream)
{
    for (size_t i = 0; i < stream->batch.column_count; i++) {
        const duckdb_vector vector = duckdb_data_chunk_get_vector(stream->chunk, i);
        stream->columns[i].values = duckdb_vector_get_data(vector);
        stream->columns[i].validity = duckdb_vector_get_validity(vector);
    }
    stream->batch.row_count = (size_t)duckdb_data_chunk_get_size(stream->chunk);
}

bool engine_stream_next(struct engine_stream *stream, const struct batch **ret_batch,
                        struct err *err)
{
    stream->batch.row_count = 0;
    if (stream->chunk != NULL)
        duckdb_destroy_data_chunk(&stream->chunk);
    if (!stream->is_finished) {
        struct engine_fetcher *fetcher = stream->engine->fetcher;
        const bool is_fetched = fetcher != NULL
                                    ? engine_fetcher_take(fetcher, stream, &stream->chunk, err)
                                    : engine_stream_fetch(stream, &stream->chunk, err);
        stream->is_finished = stream->chunk == NULL;
        if (!is_fetched)
            return false;
    }
    if (stream->chunk != NULL)
        engine_stream_show(stream);
    *ret_batch = &stream->batch;
    return true;
}

void engine_stream_close(struct engine_stream **stream)
{
    struct engine_stream *one = *stream;
    if (one == NULL)
        return;
    if (one->engine->fetcher != NULL)
        engine_fetcher_remove(one->engine->fetcher, one);
    for (size_t i = 0; i < one->ahead.count; i++)
        duckdb_destroy_data_chunk(&one->ahead.chunks[(one->ahead.first + i) % ENGINE_CHUNKS_AHEAD]);
    if (one->chunk != NULL)
        duckdb_destroy_data_chunk(&one->chunk);
    duckdb_destroy_result(&one->result);
    duckdb_destroy_pending(&one->pending);
    duckdb_destroy_prepare(&one->statement);
    if (one->connection != NULL)
        duckdb_disconnect(&one->connection);
    atomic_fetch_sub(&one->engine->stream_count, 1);
    mem_free(one->columns);
    mem_free(one->sql);
    mem_free(one);
    *stream = NULL;
}

// --- The engine

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
    if (config->fetches_ahead)
        engine->fetcher = engine_fetcher_new();
    *ret_engine = engine;
    engine = NULL;
    return true;
}

void engine_close(struct engine **engine)
{
    if (*engine == NULL)
        return;
    ASSERT(atomic_load(&(*engine)->stream_count) == 0);
    engine_fetcher_free(&(*engine)->fetcher);
    if ((*engine)->database != NULL)
        duckdb_close(&(*engine)->database);
    mem_free(*engine);
    *engine = NULL;
}

bool engine_fetches_ahead(const struct engine *engine)
{
    return engine->fetcher != NULL;
}

// --- SQL

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
