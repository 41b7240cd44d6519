// SPDX-License-Identifier: Apache-2.0
// The embedded query engine (DuckDB), for scans of segments and sorts of compaction. Worker
// processes only: the library may abort the process when memory runs out. Our own declarations of
// its C ABI are in duckdb_abi.h; duckdb.c is the only user. An engine is shared by the threads of a
// process, each with its own connection; a stream belongs to one thread.
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "model/batch.h"

struct buf;
struct engine;
struct engine_stream;

struct engine_config {
    int64_t memory_limit_bytes;
    int64_t thread_count;
    const char *temp_directory; // for spilling; never the current directory
    // A thread of the engine starts queries and fetches a few batches of each stream before they
    // are asked for. Then what is wrong with a query is said by the first engine_stream_next.
    bool fetches_ahead;
};

NODISCARD bool engine_open(const struct engine_config *config, struct engine **ret_engine,
                           struct err *err);
void engine_close(struct engine **engine);

bool engine_fetches_ahead(const struct engine *engine);

// The library's version, as it says itself: "v1.5.6".
const char *engine_version(void);

// Starts a query whose rows come in order. Columns of BIGINT, DOUBLE, BOOLEAN and VARCHAR only;
// their field types are given by the caller and checked against what the engine returns. Each
// stream has its own connection. Errors: IO for files, LIMIT for memory, INVALID for SQL (our
// mistake).
NODISCARD bool engine_query(struct engine *engine, struct slice sql, const enum field_type *types,
                            size_t column_count, struct engine_stream **ret_stream,
                            struct err *err);

// The next rows; valid until the next call on this stream. row_count 0: the end. Never ends short:
// an error of the engine at the end of the data is an error here.
NODISCARD bool engine_stream_next(struct engine_stream *stream, const struct batch **ret_batch,
                                  struct err *err);
void engine_stream_close(struct engine_stream **stream);

// Appends 'text' as a literal, or "name" as an identifier, quoted so that nothing breaks out.
void engine_append_literal(struct buf *sql, struct slice text);
void engine_append_identifier(struct buf *sql, struct slice name);

// Appends a table that is the rows of Parquet files: read_parquet of exactly these paths (no
// patterns), at least one. A column that a file lacks is null for its rows.
void engine_append_parquet(struct buf *sql, const char *const *paths, size_t path_count);
