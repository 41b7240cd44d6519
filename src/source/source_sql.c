// SPDX-License-Identifier: Apache-2.0
// What source_lake asks the engine. A segment stores a field in one column per type that it was
// ingested with; a job wants it in one type. So every field of the job becomes an expression over
// the columns that the segments have: the column itself in the usual case, a typed null when there
// is none, else the first value that is there, converted. The filter sees the same expressions, in
// the types it was written for.
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "engine/duckdb.h"
#include "source/source_internal.h"

// A name of a field and the quoted expression of a column; names are bounded by the schema.
#define SOURCE_NAME_LIMIT_BYTES ((size_t)16 * 1024)

static const char *source_sql_type(enum field_type type)
{
    switch (type) {
    case FIELD_INT64:
    case FIELD_TIME:
        return "BIGINT";
    case FIELD_DOUBLE:
        return "DOUBLE";
    case FIELD_BOOL:
        return "BOOLEAN";
    case FIELD_TEXT:
    case FIELD_JSON:
        return "VARCHAR";
    }
    ASSERT(false);
    return "VARCHAR";
}

// Conversions as texts in which '@' stands for the value; NULL: there is no equal value, so null.
static const char *source_text_from(enum field_type from)
{
    switch (from) {
    case FIELD_TEXT:
        return "@";
    case FIELD_JSON: // the engine may have its own type for a column that is marked as JSON
    case FIELD_INT64:
    case FIELD_TIME:
    case FIELD_BOOL:
        return "CAST(@ AS VARCHAR)";
    case FIELD_DOUBLE: // 5, where the engine prints 5.0
        return "CASE WHEN @ = trunc(@) AND abs(@) < 1e15 THEN CAST(CAST(@ AS BIGINT) AS VARCHAR)"
               " ELSE CAST(@ AS VARCHAR) END";
    }
    ASSERT(false);
    return NULL;
}

static const char *source_int64_from(enum field_type from)
{
    switch (from) {
    case FIELD_INT64:
    case FIELD_TIME:
        return "@";
    case FIELD_TEXT: // the engine would round '1.5' and take ' 1'
    case FIELD_JSON:
        return "CASE WHEN regexp_full_match(@, '-?[0-9]+') THEN TRY_CAST(@ AS BIGINT) END";
    case FIELD_DOUBLE:
        return "CASE WHEN @ = trunc(@) THEN TRY_CAST(@ AS BIGINT) END";
    case FIELD_BOOL:
        return NULL;
    }
    ASSERT(false);
    return NULL;
}

static const char *source_double_from(enum field_type from)
{
    switch (from) {
    case FIELD_DOUBLE:
        return "@";
    case FIELD_INT64:
    case FIELD_TIME:
        return "CAST(@ AS DOUBLE)";
    case FIELD_TEXT: // no 'inf', no ' 1', nothing beyond the range
    case FIELD_JSON:
        return "CASE WHEN regexp_full_match(@, '-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?')"
               " AND isfinite(TRY_CAST(@ AS DOUBLE)) THEN TRY_CAST(@ AS DOUBLE) END";
    case FIELD_BOOL:
        return NULL;
    }
    ASSERT(false);
    return NULL;
}

static const char *source_bool_from(enum field_type from)
{
    switch (from) {
    case FIELD_BOOL:
        return "@";
    case FIELD_TEXT:
    case FIELD_JSON:
        return "CASE WHEN @ = 'true' THEN TRUE WHEN @ = 'false' THEN FALSE END";
    case FIELD_INT64:
    case FIELD_TIME:
    case FIELD_DOUBLE:
        return NULL;
    }
    ASSERT(false);
    return NULL;
}

static const char *source_conversion(enum field_type from, enum field_type to)
{
    switch (to) {
    case FIELD_TEXT:
    case FIELD_JSON:
        // A text is not JSON: it becomes a JSON string.
        return from == FIELD_TEXT && to == FIELD_JSON ? "CAST(to_json(@) AS VARCHAR)"
                                                      : source_text_from(from);
    case FIELD_INT64:
    case FIELD_TIME:
        return source_int64_from(from);
    case FIELD_DOUBLE:
        return source_double_from(from);
    case FIELD_BOOL:
        return source_bool_from(from);
    }
    ASSERT(false);
    return NULL;
}

void source_append_conversion(struct buf *sql, struct slice expression, enum field_type from,
                              enum field_type to)
{
    const char *pattern = source_conversion(from, to);
    if (pattern == NULL) {
        buf_append_format(sql, "CAST(NULL AS %s)", source_sql_type(to));
        return;
    }
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '@')
            buf_append(sql, expression);
        else
            buf_append_char(sql, *pattern);
    }
}

static bool source_has_column(const struct source_query *query, const char *physical)
{
    for (size_t i = 0; i < query->segment_count; i++) {
        const struct source_segment *segment = &query->segments[i];
        for (size_t j = 0; j < segment->physical_column_count; j++) {
            if (strcmp(physical, segment->physical_columns[j]) == 0)
                return true;
        }
    }
    return false;
}

// The quoted column that stores values of `from`, if a segment has it, as a value of the wanted
// type.
static bool source_append_stored(const struct source_query *query, const struct column *wanted,
                                 enum field_type from, const char *separator, struct buf *sql)
{
    struct buf physical CLEANUP(buf_clear);
    buf_init(&physical, SOURCE_NAME_LIMIT_BYTES);
    field_append_physical_name(&physical, wanted->name, from);
    if (physical.overflowed || !source_has_column(query, buf_text(&physical)))
        return false;
    struct buf quoted CLEANUP(buf_clear);
    buf_init(&quoted, SOURCE_NAME_LIMIT_BYTES * 2 + 2);
    engine_append_identifier(&quoted, buf_slice(&physical));
    buf_append_text(sql, separator);
    source_append_conversion(sql, buf_slice(&quoted), from, wanted->type);
    return true;
}

static void source_append_field(const struct source_query *query, const struct column *wanted,
                                struct buf *sql)
{
    struct buf values CLEANUP(buf_clear);
    buf_init(&values, sql->limit_bytes);
    size_t count = source_append_stored(query, wanted, wanted->type, "", &values) ? 1 : 0;
    for (unsigned i = 0; i < FIELD_TYPE_COUNT; i++) {
        const enum field_type from = (enum field_type)i;
        const char *separator = count == 0 ? "" : ",";
        if (from != wanted->type && source_append_stored(query, wanted, from, separator, &values))
            count++;
    }
    if (count == 0)
        buf_append_format(sql, "CAST(NULL AS %s)", source_sql_type(wanted->type));
    else if (count == 1)
        buf_append_char(sql, '(');
    else
        buf_append_text(sql, "COALESCE(");
    buf_append(sql, buf_slice(&values));
    if (count > 0)
        buf_append_char(sql, ')');
    sql->overflowed = sql->overflowed || values.overflowed;
}

static void source_append_column(struct buf *sql, const struct column *wanted, void *context)
{
    const struct source_query *query = context;
    const struct slice name = slice_text(wanted->name);
    char number[64];
    if (slice_equal_text(name, "timestamp")) {
        source_append_conversion(sql, slice_text("\"" FIELD_PHYSICAL_TIME "\""), FIELD_TIME,
                                 wanted->type);
        return;
    }
    const bool is_app = slice_equal_text(name, "app_id");
    if (!is_app && !slice_equal_text(name, "organization_id")) {
        source_append_field(query, wanted, sql);
        return;
    }
    const int size = snprintf(number, sizeof number, "CAST(%" PRId64 " AS BIGINT)",
                              is_app ? query->spec->app_id : query->spec->organization_id);
    ASSERT(size > 0);
    source_append_conversion(sql, slice_of(number, (size_t)size), FIELD_INT64, wanted->type);
}

static void source_append_from(const struct source_query *query, struct buf *sql)
{
    const char **paths CLEANUP(mem_free_at) = mem_alloc_array(query->segment_count, sizeof *paths);
    for (size_t i = 0; i < query->segment_count; i++)
        paths[i] = query->segments[i].path;
    buf_append_text(sql, " FROM ");
    engine_append_parquet(sql, paths, query->segment_count);
}

void source_append_query(const struct source_query *query, struct buf *sql)
{
    // The engine's callback takes no const; the query is only read.
    struct source_query context = *query;
    const struct source_spec *spec = query->spec;
    buf_append_text(sql, "SELECT \"" FIELD_PHYSICAL_TIME "\", \"" FIELD_PHYSICAL_SEQ "\"");
    for (size_t i = 0; i < spec->column_count; i++) {
        buf_append_text(sql, ", ");
        source_append_column(sql, &spec->columns[i], &context);
    }
    source_append_from(query, sql);
    buf_append_format(sql,
                      " WHERE \"" FIELD_PHYSICAL_TOPIC "\" = %" PRId64 " AND \"" FIELD_PHYSICAL_APP
                      "\" = %" PRId64,
                      spec->topic_id, spec->app_id);
    buf_append_format(sql,
                      " AND \"" FIELD_PHYSICAL_TIME "\" >= %" PRId64 " AND \"" FIELD_PHYSICAL_TIME
                      "\" < %" PRId64,
                      spec->start_ms, spec->end_ms);
    buf_append_format(sql,
                      " AND \"" FIELD_PHYSICAL_SEQ "\" > %" PRId64 " AND \"" FIELD_PHYSICAL_SEQ
                      "\" <= %" PRId64,
                      spec->seq_lo, spec->seq_hi);
    if (spec->filter != NULL) {
        buf_append_text(sql, " AND (");
        filter_append_sql(spec->filter, source_append_column, &context, sql);
        buf_append_char(sql, ')');
    }
    if (query->is_sorted)
        buf_append_text(sql, " ORDER BY \"" FIELD_PHYSICAL_TIME "\", \"" FIELD_PHYSICAL_SEQ "\"");
}
