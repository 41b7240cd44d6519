// SPDX-License-Identifier: Apache-2.0
#include "job/recipe.h"

#include "base/check.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "engine/duckdb.h"

#define RECIPE_BYTES_MAX ((size_t)4 * 1024 * 1024)

enum encoder_format recipe_encoder_format(enum report_format format)
{
    switch (format) {
    case REPORT_CSV:
        return ENCODER_CSV;
    case REPORT_JSON:
        return ENCODER_JSON;
    case REPORT_PARQUET:
        return ENCODER_PARQUET;
    }
    ASSERT(false);
    return ENCODER_CSV;
}

enum encoder_codec recipe_codec(const struct recipe *recipe)
{
    if (recipe->format != REPORT_PARQUET)
        return ENCODER_CODEC_NONE;
    switch (recipe->compression) {
    case REPORT_GZ:
        return ENCODER_CODEC_GZIP;
    case REPORT_SNAPPY:
        return ENCODER_CODEC_SNAPPY;
    case REPORT_ZSTD:
        return ENCODER_CODEC_ZSTD;
    case REPORT_UNCOMPRESSED:
        return ENCODER_CODEC_NONE;
    }
    ASSERT(false);
    return ENCODER_CODEC_NONE;
}

static enum compress_method recipe_method_of(enum report_format format,
                                             enum report_compression compression)
{
    if (format == REPORT_PARQUET)
        return COMPRESS_NONE;
    switch (compression) {
    case REPORT_GZ:
        return COMPRESS_GZIP;
    case REPORT_SNAPPY:
        return COMPRESS_SNAPPY;
    case REPORT_ZSTD:
        return COMPRESS_ZSTD;
    case REPORT_UNCOMPRESSED:
        return COMPRESS_NONE;
    }
    ASSERT(false);
    return COMPRESS_NONE;
}

enum compress_method recipe_compress_method(const struct recipe *recipe)
{
    return recipe_method_of(recipe->format, recipe->compression);
}

const char *recipe_encoder_id(enum report_format format, enum report_compression compression,
                              struct arena *arena)
{
    const char *compressor = format == REPORT_PARQUET
                                 ? report_compression_name(compression)
                                 : compress_id(recipe_method_of(format, compression));
    return arena_format(arena, "%s+%s+duckdb-%s", encoder_id(recipe_encoder_format(format)),
                        compressor, engine_version());
}

static bool recipe_load_filter(const struct json_node *node, struct arena *arena,
                               struct recipe *recipe, struct err *err)
{
    recipe->filter = NULL;
    if (json_node_kind(node) == JSON_KIND_NULL)
        return true;
    return filter_load(node, arena, &recipe->filter, err);
}

static bool recipe_set_gone(struct err *err, const char *name, const char *where,
                            const struct schema *schema)
{
    return err_set(err, ERR_INVALID, "schema_changed: field %s of %s is not in topic %s any more",
                   name, where, schema->topic_name);
}

struct recipe_gone {
    const struct schema *schema;
    const char *name; // of the first field of the filter that is gone, or NULL
};

static void recipe_look_for_field(const struct column *column, void *context)
{
    struct recipe_gone *gone = context;
    if (gone->name == NULL && schema_find(gone->schema, slice_text(column->name)) == NULL)
        gone->name = column->name;
}

// A field that is gone would read as missing, and the file be wrong without a word.
static bool recipe_check_fields(const struct report *report, const struct schema *schema,
                                const struct filter *filter, struct err *err)
{
    for (size_t i = 0; i < report->field_count && !report->wants_all; i++) {
        if (schema_find(schema, slice_text(report->fields[i])) == NULL)
            return recipe_set_gone(err, report->fields[i], "report_fields", schema);
    }
    struct recipe_gone gone = {.schema = schema};
    filter_each_column(filter, recipe_look_for_field, &gone);
    return gone.name == NULL || recipe_set_gone(err, gone.name, "the filter", schema);
}

bool recipe_make(const struct recipe_request *request, struct arena *arena,
                 struct recipe *ret_recipe, struct err *err)
{
    const struct report *report = request->report;
    struct recipe recipe = {
        .seq_lo = request->seq_lo,
        .seq_hi = request->seq_hi,
        .schema_id = request->schema->schema_id,
        .format = report->format,
        .compression = report->compression,
        .csv_formula_guard = request->csv_formula_guard,
        .part_bytes = request->part_bytes,
        .part_rows = report->part_rows,
        .row_limit = report->row_limit,
        .app_ids = request->app_ids,
        .app_count = request->app_count,
        .encoder = recipe_encoder_id(report->format, report->compression, arena),
    };
    if (report->filter_typed != NULL) {
        struct json_tree *tree CLEANUP(json_tree_free) = NULL;
        TRY(json_tree_parse(slice_text(report->filter_typed), &tree, err));
        TRY(recipe_load_filter(json_tree_root(tree), arena, &recipe, err));
    }
    TRY(recipe_check_fields(report, request->schema, recipe.filter, err));
    struct column *columns = NULL;
    recipe.column_count = report_columns(report, request->schema, arena, &columns);
    ASSERT(recipe.column_count > 0);
    recipe.columns = columns;
    *ret_recipe = recipe;
    return true;
}

static void recipe_store_apps(const struct recipe *recipe, struct json_text *json)
{
    if (recipe->app_ids == NULL)
        return;
    json_text_key(json, "apps");
    json_text_open(json, '[');
    for (size_t i = 0; i < recipe->app_count; i++)
        json_text_string(json, slice_text(recipe->app_ids[i]));
    json_text_close(json, ']');
}

void recipe_store(const struct recipe *recipe, struct buf *destination)
{
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '{');
    json_text_member_int64(&json, "seq_lo", recipe->seq_lo);
    json_text_member_int64(&json, "seq_hi", recipe->seq_hi);
    json_text_member_int64(&json, "schema_id", recipe->schema_id);
    json_text_key(&json, "columns");
    json_text_open(&json, '[');
    for (size_t i = 0; i < recipe->column_count; i++) {
        json_text_open(&json, '[');
        json_text_string(&json, slice_text(recipe->columns[i].name));
        json_text_string(&json, slice_text(field_type_name(recipe->columns[i].type)));
        json_text_close(&json, ']');
    }
    json_text_close(&json, ']');
    struct buf filter CLEANUP(buf_clear);
    buf_init(&filter, RECIPE_BYTES_MAX);
    filter_store(recipe->filter, &filter);
    json_text_key(&json, "filter");
    json_text_raw(&json, buf_slice(&filter));
    json_text_member_int64(&json, "format", recipe->format);
    json_text_member_int64(&json, "compression", recipe->compression);
    json_text_member_bool(&json, "csv_formula_guard", recipe->csv_formula_guard);
    json_text_member_int64(&json, "part_bytes", recipe->part_bytes);
    if (recipe->part_rows > 0)
        json_text_member_int64(&json, "part_rows", recipe->part_rows);
    if (recipe->row_limit > 0)
        json_text_member_int64(&json, "row_limit", recipe->row_limit);
    recipe_store_apps(recipe, &json);
    json_text_member_text(&json, "encoder", recipe->encoder);
    json_text_close(&json, '}');
}

static bool recipe_load_columns(const struct json_node *node, struct arena *arena,
                                struct recipe *recipe, struct err *err)
{
    recipe->column_count = json_node_count(node);
    if (recipe->column_count == 0)
        return err_set(err, ERR_CORRUPT, "recipe has no columns");
    struct column *columns = arena_alloc_array(arena, recipe->column_count + 1, sizeof *columns);
    for (size_t i = 0; i < recipe->column_count; i++) {
        const struct json_node *pair = json_node_at(node, i);
        columns[i].name = arena_copy_slice(arena, json_node_text(json_node_at(pair, 0)));
        if (!field_type_parse(json_node_text(json_node_at(pair, 1)), &columns[i].type))
            return err_set(err, ERR_CORRUPT, "recipe has a column of unknown type");
    }
    recipe->columns = columns;
    return true;
}

static bool recipe_load_apps(const struct json_node *node, struct arena *arena,
                             struct recipe *recipe, struct err *err)
{
    if (json_node_kind(node) == JSON_KIND_NULL)
        return true;
    const size_t count = json_node_count(node);
    const char **app_ids = arena_alloc_array(arena, count + 1, sizeof *app_ids);
    for (size_t i = 0; i < count; i++) {
        const struct slice app_id = json_node_text(json_node_at(node, i));
        if (slice_is_empty(app_id))
            return err_set(err, ERR_CORRUPT, "recipe has an app without an id");
        app_ids[i] = arena_copy_slice(arena, app_id);
    }
    recipe->app_ids = app_ids;
    recipe->app_count = count;
    return true;
}

// An enum out of its range would be an impossible state, and stop the process again and again.
static bool recipe_load_shape(const struct json_node *root, struct recipe *recipe, struct err *err)
{
    static const char *const numbers[] = {"seq_lo", "seq_hi",      "schema_id",
                                          "format", "compression", "part_bytes"};
    bool is_complete = json_node_kind(json_node_get(root, "encoder")) == JSON_KIND_TEXT;
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        is_complete &= json_node_kind(json_node_get(root, numbers[i])) == JSON_KIND_INT64;
    const int64_t format = json_node_int64(json_node_get(root, "format"));
    const int64_t compression = json_node_int64(json_node_get(root, "compression"));
    is_complete &= format >= REPORT_CSV && format <= REPORT_PARQUET;
    is_complete &= compression >= REPORT_GZ && compression <= REPORT_UNCOMPRESSED;
    is_complete &= recipe->part_rows >= 0 && recipe->row_limit >= 0;
    is_complete &= recipe->part_bytes > 0 && recipe->seq_lo <= recipe->seq_hi;
    if (!is_complete)
        return err_set(err, ERR_CORRUPT, "recipe is incomplete");
    recipe->format = (enum report_format)format;
    recipe->compression = (enum report_compression)compression;
    return true;
}

bool recipe_load(struct slice text, struct arena *arena, struct recipe *ret_recipe, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err fact = {0};
    if (!json_tree_parse(text, &tree, &fact))
        return err_set(err, ERR_CORRUPT, "recipe: %s", fact.message);
    const struct json_node *root = json_tree_root(tree);
    struct recipe recipe = {
        .seq_lo = json_node_int64(json_node_get(root, "seq_lo")),
        .seq_hi = json_node_int64(json_node_get(root, "seq_hi")),
        .schema_id = json_node_int64(json_node_get(root, "schema_id")),
        .csv_formula_guard = json_node_bool(json_node_get(root, "csv_formula_guard")),
        .part_bytes = json_node_int64(json_node_get(root, "part_bytes")),
        .part_rows = json_node_int64(json_node_get(root, "part_rows")), // 0 when absent
        .row_limit = json_node_int64(json_node_get(root, "row_limit")),
        .encoder = arena_copy_slice(arena, json_node_text(json_node_get(root, "encoder"))),
    };
    TRY(recipe_load_shape(root, &recipe, err));
    TRY(recipe_load_columns(json_node_get(root, "columns"), arena, &recipe, err));
    TRY(recipe_load_apps(json_node_get(root, "apps"), arena, &recipe, err));
    TRY(recipe_load_filter(json_node_get(root, "filter"), arena, &recipe, err));
    *ret_recipe = recipe;
    return true;
}
