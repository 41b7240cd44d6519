// SPDX-License-Identifier: Apache-2.0
// Where the rows of a job come from: pulled in batches, in (time, seq) order, each row once. One
// thread.
#pragma once

#include "base/err.h"
#include "model/batch.h"
#include "model/filter.h"

// A part of a segment that may hold rows of the job; pinned by the caller while the source is open.
struct source_segment {
    const char *path;                    // verified already: hash and size match the catalog
    const char *const *physical_columns; // as in the file
    size_t physical_column_count;
    int64_t time_min_ms; // of the rows of this topic and app in it
    int64_t time_max_ms;
};

struct source_spec {
    int64_t topic_id;
    int64_t app_id;
    int64_t organization_id;
    int64_t start_ms; // [start, end)
    int64_t end_ms;
    int64_t seq_lo; // (lo, hi]
    int64_t seq_hi;
    const struct column *columns; // as the file wants them; system columns by name
    size_t column_count;
    const struct filter *filter;           // NULL: all
    const struct source_segment *segments; // in any order
    size_t segment_count;
};

// Rows [first_row, first_row + row_count) of batch; row_count 0: the end.
struct source_rows {
    const struct batch *batch;
    size_t first_row;
    size_t row_count;
};

struct source;

// spec and what it points to outlive the source.
struct engine;
NODISCARD bool source_lake_open(struct engine *engine, const struct source_spec *spec,
                                struct source **ret_source, struct err *err);

// Test double: rows are handed out as they are, `step` at a time. Their first two columns are time
// and seq (INT64), by which the order is checked as others do; the columns after them are handed
// out. rows outlive the source.
NODISCARD bool source_memory_open(const struct batch *rows, size_t step, struct source **ret_source,
                                  struct err *err);

// Valid until the next call; after the end it says so again. CORRUPT when rows come out of order or
// twice; UNAVAILABLE, LIMIT, IO from the engine. Never ends short. Not after a failure.
NODISCARD bool source_next(struct source *source, struct source_rows *ret_rows, struct err *err);
void source_close(struct source **source);

uint64_t source_row_count(const struct source *source);

// Test double: fails the n-th call of next (from 1); owns inner.
struct source *source_fault_new(struct source *inner, uint64_t failing_call, enum err_kind kind);
