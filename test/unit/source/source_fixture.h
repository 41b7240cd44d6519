// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: a directory, an engine, segments made by queries, and rows
// as text.
#pragma once

#include "base/buf.h"
#include "engine/duckdb.h"
#include "source/source.h"

#define FIXTURE_TOPIC        INT64_C(3)
#define FIXTURE_APP          INT64_C(1234567890123456789)
#define FIXTURE_ORGANIZATION INT64_C(987654321098765432)
#define FIXTURE_SEGMENTS_MAX 64

struct source_fixture {
    char directory[64];
    struct engine *engine;
    struct err err;
    char *paths[FIXTURE_SEGMENTS_MAX];
    struct source_segment segments[FIXTURE_SEGMENTS_MAX];
    size_t segment_count;
};

int source_fixture_set_up(void **state);
int source_fixture_tear_down(void **state);

// Writes the rows of a query as the next segment. Their times are those of the rows with the
// fixture's topic and app. physical_columns outlives the fixture and has no system columns.
void source_fixture_add(struct source_fixture *fixture, const char *rows_sql,
                        const char *const *physical_columns, size_t physical_column_count);

// A job over all segments and all times; the test narrows it.
struct source_spec source_fixture_spec(const struct source_fixture *fixture,
                                       const struct column *columns, size_t column_count);

// Reads to the end; one line per row, '|' after each value, "~" for null. False with fixture->err.
NODISCARD bool source_fixture_read(struct source_fixture *fixture, struct source *source,
                                   struct buf *text);
// Opens, reads, closes.
NODISCARD bool source_fixture_run(struct source_fixture *fixture, const struct source_spec *spec,
                                  struct buf *text);
// The same text of the rows of a query.
void source_fixture_query(struct source_fixture *fixture, const char *sql,
                          const enum field_type *types, size_t column_count, struct buf *text);
