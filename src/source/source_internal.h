// SPDX-License-Identifier: Apache-2.0
// For those who implement a source. The struct comes first in the implementation's own struct. The
// wrappers in source.c check the state and the results and count rows.
#pragma once

#include "base/buf.h"
#include "source/source.h"

struct source_ops {
    const char *name;

    // Required. The next rows, at least one, in (time, seq) order after those of the call before,
    // or row_count 0 at the end. The order is the implementation's to check: CORRUPT when it is
    // violated. Not called again after the end or a failure.
    bool (*next)(struct source *source, struct source_rows *ret_rows, struct err *err);

    // Required. Frees the struct itself and all that it owns, in any state.
    void (*close)(struct source *source);
};

struct source {
    const struct source_ops *ops;
    uint64_t row_count;
    bool is_finished; // the end was reached
    bool has_failed;
};

// Where a row stands in the order. Keys are unique: seq is.
struct source_key {
    int64_t time_ms;
    int64_t seq;
};

static inline bool source_key_is_before(struct source_key left, struct source_key right)
{
    return left.time_ms != right.time_ms ? left.time_ms < right.time_ms : left.seq < right.seq;
}

// The query of source_lake (source_sql.c): time, seq, then the columns that spec asks for, of the
// segments together, sorted by (time, seq) when asked for.
struct source_query {
    const struct source_spec *spec;
    const struct source_segment *segments; // at least one
    size_t segment_count;
    bool is_sorted;
};
void source_append_query(const struct source_query *query, struct buf *sql);

// Appends `expression` (a value of type `from`) as a value of type `to`: exact, or null where the
// value has no equal in that type; a number becomes the text that our encoders would print for it.
void source_append_conversion(struct buf *sql, struct slice expression, enum field_type from,
                              enum field_type to);
