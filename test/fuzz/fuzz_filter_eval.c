// SPDX-License-Identifier: Apache-2.0
// Filters, evaluated twice: by the engine over a segment on the path of an export, and here, from
// the tree. The verdicts are the same, no filter that was accepted makes the engine fail, and none
// takes long (-timeout). Of array_contains only the latter two are looked at: elements have an
// evaluator in test/e2e/lib/filter.mjs.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/sink.h"
#include "encode/encoder.h"
#include "engine/duckdb.h"
#include "model/filter_internal.h"
#include "source/source.h"

#define FUZZ_ROWS    8
#define FUZZ_SYSTEM  4
#define FUZZ_COLUMNS 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What the rows hold; a missing text is a missing row of all.
static const char *const fuzz_texts[FUZZ_ROWS] = {
    "",       "a",         "ab%_\\", "aaaaaaaaaaaaaaaaaaaaaaaa", "\xc3\xbf\xef\xbb\xbf",
    "x\n'\"", "[5,\"a\"]", NULL};
static const int64_t fuzz_longs[FUZZ_ROWS] = {
    0, 1, -1, 9007199254740993, INT64_MIN, INT64_MAX, 1604015756000, 0};
static const double fuzz_doubles[FUZZ_ROWS] = {0,   -0.0,   0.1,  9007199254740992.0,
                                               1.5, -1e308, 1e21, 0};

static const struct schema_field fuzz_fields[] = {
    {.name = "s", .type = FIELD_TEXT},   {.name = "n", .type = FIELD_INT64},
    {.name = "x", .type = FIELD_DOUBLE}, {.name = "b", .type = FIELD_BOOL},
    {.name = "t", .type = FIELD_TIME},   {.name = "j", .type = FIELD_JSON},
};
static const struct schema fuzz_schema = {
    .topic_name = "t", .fields = fuzz_fields, .field_count = ARRAY_COUNT(fuzz_fields)};
static const struct column fuzz_columns[FUZZ_COLUMNS] = {
    {FIELD_PHYSICAL_TOPIC, FIELD_INT64},
    {FIELD_PHYSICAL_APP, FIELD_INT64},
    {FIELD_PHYSICAL_TIME, FIELD_INT64},
    {FIELD_PHYSICAL_SEQ, FIELD_INT64},
    {"s:t", FIELD_TEXT},
    {"n:i", FIELD_INT64},
    {"x:d", FIELD_DOUBLE},
    {"b:b", FIELD_BOOL},
    {"t:m", FIELD_INT64},
    {"j:j", FIELD_JSON},
};
static const char *const fuzz_physical[] = {"s:t", "n:i", "x:d", "b:b", "t:m", "j:j"};

static char fuzz_directory[] = "/tmp/milkrun-fuzz-XXXXXX";
static char fuzz_path[64];
static struct engine *fuzz_engine;

static void fuzz_must(bool is_done, const struct err *err)
{
    if (!is_done)
        check_failed(err->message, __FILE__, __LINE__);
}

// --- The segment.

static void fuzz_fill(struct batch_builder *builder)
{
    for (size_t i = 0; i < FUZZ_ROWS; i++) {
        for (size_t column = 0; column < FUZZ_SYSTEM; column++)
            batch_builder_set_int64(builder, column, column < 2 ? 1 : (int64_t)i);
        if (fuzz_texts[i] != NULL) {
            batch_builder_set_text(builder, 4, slice_text(fuzz_texts[i]));
            batch_builder_set_int64(builder, 5, fuzz_longs[i]);
            batch_builder_set_double(builder, 6, fuzz_doubles[i]);
            batch_builder_set_bool(builder, 7, i % 2 == 0);
            batch_builder_set_int64(builder, 8, fuzz_longs[i]);
            batch_builder_set_text(builder, 9, slice_text(i == 6 ? fuzz_texts[6] : "5"));
        }
        batch_builder_end_row(builder);
    }
}

static void fuzz_write_segment(void)
{
    struct err err = {0};
    struct sink *sink = NULL;
    struct encoder *encoder CLEANUP(encoder_free) = NULL;
    struct batch_builder *builder CLEANUP(batch_builder_free) =
        batch_builder_new(fuzz_columns, FUZZ_COLUMNS, FUZZ_ROWS);
    const struct encoder_spec spec = {.format = ENCODER_PARQUET,
                                      .codec = ENCODER_CODEC_ZSTD,
                                      .columns = fuzz_columns,
                                      .column_count = FUZZ_COLUMNS};
    size_t row_count = 0;
    fuzz_fill(builder);
    fuzz_must(sink_file_open(fuzz_path, &sink, &err), &err);
    fuzz_must(encoder_open(&spec, sink, &encoder, &err), &err);
    fuzz_must(encoder_write(encoder, batch_builder_batch(builder), 0, FUZZ_ROWS, UINT64_MAX,
                            &row_count, &err),
              &err);
    fuzz_must(encoder_finish(encoder, &err), &err);
}

static void fuzz_clean(void)
{
    engine_close(&fuzz_engine);
    (void)unlink(fuzz_path);
    (void)rmdir(fuzz_directory);
}

static void fuzz_prepare(void)
{
    const bool is_made = mkdtemp(fuzz_directory) != NULL && atexit(fuzz_clean) == 0;
    ASSERT(is_made);
    (void)snprintf(fuzz_path, sizeof fuzz_path, "%s/rows.parquet", fuzz_directory);
    fuzz_write_segment();
}

// Another one now and then: the library keeps some memory per query, which adds up in runs of
// hours.
static struct engine *fuzz_open_engine(void)
{
    static unsigned query_count = 0;
    if (query_count == 0)
        fuzz_prepare();
    if (query_count++ % 4096 == 0) {
        struct err err = {0};
        const struct engine_config config = {.memory_limit_bytes = INT64_C(512) << 20,
                                             .thread_count = 1,
                                             .temp_directory = fuzz_directory};
        engine_close(&fuzz_engine);
        fuzz_must(engine_open(&config, &fuzz_engine, &err), &err);
    }
    return fuzz_engine;
}

// A bit per row that passes.
static unsigned fuzz_ask_engine(const struct filter *filter)
{
    static const struct column column = {.name = "timestamp", .type = FIELD_TIME};
    const struct source_segment segment = {.path = fuzz_path,
                                           .physical_columns = fuzz_physical,
                                           .physical_column_count = ARRAY_COUNT(fuzz_physical),
                                           .time_max_ms = FUZZ_ROWS - 1};
    const struct source_spec spec = {.topic_id = 1,
                                     .app_id = 1,
                                     .end_ms = FUZZ_ROWS,
                                     .seq_lo = -1,
                                     .seq_hi = FUZZ_ROWS,
                                     .columns = &column,
                                     .column_count = 1,
                                     .filter = filter,
                                     .segments = &segment,
                                     .segment_count = 1};
    struct err err = {0};
    struct source *source CLEANUP(source_close) = NULL;
    struct source_rows rows;
    unsigned mask = 0;
    fuzz_must(source_lake_open(fuzz_open_engine(), &spec, &source, &err), &err);
    do {
        fuzz_must(source_next(source, &rows, &err), &err);
        for (size_t i = 0; i < rows.row_count; i++)
            mask |= 1u << batch_int64(&rows.batch->columns[0], rows.first_row + i);
    } while (rows.row_count > 0);
    return mask;
}

// --- The evaluator. Two-valued is enough: `not` does not tell the unknown from the false.

static int fuzz_order(bool is_less, bool is_greater)
{
    return is_less ? -1 : is_greater;
}

static int fuzz_compare(size_t row, const struct column *column, const struct filter_value *value)
{
    const bool is_row_time = strcmp(column->name, "timestamp") == 0;
    const int64_t number = is_row_time ? (int64_t)row : fuzz_longs[row];
    switch (column->type) {
    case FIELD_TEXT:
        return slice_compare(slice_text(fuzz_texts[row]), value->as.text);
    case FIELD_JSON:
        return slice_compare(slice_text(row == 6 ? fuzz_texts[6] : "5"), value->as.text);
    case FIELD_INT64:
    case FIELD_TIME:
        if (value->kind == FILTER_VALUE_DOUBLE)
            return 2; // a fraction, which nothing equals
        return fuzz_order(number<value->as.int64, number> value->as.int64);
    case FIELD_DOUBLE:
        return fuzz_order(fuzz_doubles[row]<value->as.real, fuzz_doubles[row]> value->as.real);
    case FIELD_BOOL:
        return (row % 2 == 0) - value->as.boolean;
    }
    ASSERT(false);
    return 0;
}

static size_t fuzz_character(struct slice text, size_t at)
{
    size_t size = 1;
    while (at + size < text.size_bytes && ((uint8_t)slice_chars(text)[at + size] & 0xC0) == 0x80)
        size++;
    return size;
}

// With one way back, to the last percent sign: enough, as it may take anything.
static bool fuzz_like(struct slice text, struct slice pattern)
{
    const char *bytes = slice_chars(text);
    const char *wild = slice_chars(pattern);
    size_t at = 0;
    size_t place = 0;
    size_t retry_at = SIZE_MAX;
    size_t retry_place = 0;
    while (at < text.size_bytes || place < pattern.size_bytes) {
        if (place < pattern.size_bytes && wild[place] == '%') {
            retry_at = at;
            retry_place = ++place;
            continue;
        }
        if (place < pattern.size_bytes && at < text.size_bytes) {
            const size_t literal = place + (wild[place] == '\\');
            if (wild[place] == '_' || wild[literal] == bytes[at]) {
                at += wild[place] == '_' ? fuzz_character(text, at) : 1;
                place = literal + 1;
                continue;
            }
        }
        if (retry_at >= text.size_bytes)
            return false;
        retry_at += fuzz_character(text, retry_at);
        at = retry_at;
        place = retry_place;
    }
    return true;
}

static bool fuzz_is_any(size_t row, const struct filter_node *node, bool is_missing)
{
    for (size_t i = 0; i < node->value_count; i++) {
        const bool is_null = node->values[i].kind == FILTER_VALUE_NULL;
        if (is_null == is_missing &&
            (is_null || fuzz_compare(row, node->column, &node->values[i]) == 0))
            return true;
    }
    return false;
}

static bool fuzz_holds(size_t row, const struct filter_node *node)
{
    const bool is_missing = fuzz_texts[row] == NULL && strlen(node->column->name) == 1;
    if (node->op == FILTER_EQ || node->op == FILTER_IN)
        return fuzz_is_any(row, node, is_missing);
    if (is_missing)
        return false;
    if (node->op == FILTER_LIKE)
        return fuzz_like(
            slice_text(node->column->type == FIELD_TEXT || row == 6 ? fuzz_texts[row] : "5"),
            node->values[0].as.text);
    const int order = fuzz_compare(row, node->column, &node->values[0]);
    if (node->op == FILTER_BETWEEN)
        return order >= 0 && fuzz_compare(row, node->column, &node->values[1]) <= 0;
    return (order > 0 && (node->op == FILTER_GT || node->op == FILTER_GTE)) ||
           (order < 0 && (node->op == FILTER_LT || node->op == FILTER_LTE)) ||
           (order == 0 && (node->op == FILTER_GTE || node->op == FILTER_LTE));
}

static bool fuzz_evaluate(size_t row, const struct filter_node *node)
{
    if (node->column != NULL)
        return fuzz_holds(row, node);
    if (node->op == FILTER_NOT)
        return !fuzz_evaluate(row, &node->children[0]);
    for (size_t i = 0; i < node->child_count; i++) {
        if (fuzz_evaluate(row, &node->children[i]) == (node->op == FILTER_OR))
            return node->op == FILTER_OR;
    }
    return node->op == FILTER_AND;
}

// app_id and organization_id are not among the rows above either.
static bool fuzz_is_known(const struct filter_node *node)
{
    for (size_t i = 0; i < node->child_count; i++) {
        if (!fuzz_is_known(&node->children[i]))
            return false;
    }
    return node->op != FILTER_ARRAY_CONTAINS &&
           (node->column == NULL || strlen(node->column->name) == 1 ||
            strcmp(node->column->name, "timestamp") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(slice_of(data, size), &tree, NULL))
        return 0;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct filter *filter = NULL;
    if (!filter_parse(json_tree_root(tree), &fuzz_schema, &arena, &filter, NULL) || filter == NULL)
        return 0;
    const unsigned mask = fuzz_ask_engine(filter);
    if (!fuzz_is_known(&filter->root))
        return 0;
    for (size_t row = 0; row < FUZZ_ROWS; row++)
        ASSERT(fuzz_evaluate(row, &filter->root) == ((mask >> row & 1) != 0));
    return 0;
}
