// SPDX-License-Identifier: Apache-2.0
// Between the files that serve segments.h.
#pragma once

#include "catalog/catalog_internal.h"
#include "catalog/segments.h"

// All below run inside the caller's transaction.

// Columns of a segment in the order in which segment_read takes them; from `segments s`.
#define SEGMENT_COLUMNS                                                                            \
    "s.id, s.path, s.columns, s.byte_count, s.row_count, s.sha256, s.seq_lo, s.seq_hi"
#define SEGMENT_COLUMN_COUNT ((size_t)8)

// Without slices.
void segment_read(const struct db_rows *rows, struct arena *arena, struct segment *ret_segment);

// All rows of a query of SEGMENT_COLUMNS; items are struct segment.
NODISCARD bool segment_read_all(struct catalog *catalog, const char *sql,
                                const struct db_value *values, size_t value_count,
                                struct arena *arena, struct catalog_list *ret_list,
                                struct err *err);

// Of segment_find: a test looks at its plan.
extern const char segment_find_sql[];

// The step of sealing that concerns the log file: CONFLICT unless it is the one whose turn it is.
NODISCARD bool segment_advance_log_file(struct catalog *catalog, const struct segment_seal *seal,
                                        struct err *err);

// Adds a segment with its slices. created_at_ms: when its rows were ingested.
NODISCARD bool segment_insert(struct catalog *catalog, const struct segment *segment,
                              int64_t created_at_ms, struct err *err);

// Takes a live segment out of segment_hours, once: when it is retired, or marked as damaged.
NODISCARD bool segment_uncount_hours(struct catalog *catalog, int64_t id, struct err *err);

// Takes a live segment and its slices out of what jobs find. *ret_slice_count: how many it had.
// CONFLICT when it is not live.
NODISCARD bool segment_retire(struct catalog *catalog, int64_t id, int64_t retired_at_ms,
                              int64_t *ret_slice_count, struct err *err);

NODISCARD bool segment_keep_idempotency(struct catalog *catalog,
                                        const struct segment_idempotency *key, struct err *err);
