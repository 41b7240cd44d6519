// SPDX-License-Identifier: Apache-2.0
// The stored document is the body of the call with what was checked, plus the typed filter: one
// reader serves both.
#include "model/report.h"

#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "model/report_internal.h"

#define REPORT_FILTER_BYTES_MAX ((size_t)8 * 1024 * 1024)

static const char *const report_format_names[] = {
    [REPORT_CSV] = "csv", [REPORT_JSON] = "json", [REPORT_PARQUET] = "parquet"};
static const char *const report_compression_names[] = {[REPORT_GZ] = "gz",
                                                       [REPORT_SNAPPY] = "snappy",
                                                       [REPORT_ZSTD] = "zstd",
                                                       [REPORT_UNCOMPRESSED] = "none"};
static const char *const report_destination_names[] = {
    [REPORT_BRANCH] = "branch", [REPORT_CLOUD] = "cloud", [REPORT_EMAIL] = "email"};

static bool report_find_name(struct slice name, const char *const *names, size_t count,
                             size_t *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_text(name, names[i])) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

const char *report_format_name(enum report_format format)
{
    ASSERT((size_t)format < ARRAY_COUNT(report_format_names));
    return report_format_names[format];
}

const char *report_compression_name(enum report_compression compression)
{
    ASSERT((size_t)compression < ARRAY_COUNT(report_compression_names));
    return report_compression_names[compression];
}

const char *report_destination_name(enum report_destination destination)
{
    ASSERT((size_t)destination < ARRAY_COUNT(report_destination_names));
    return report_destination_names[destination];
}

bool report_destination_parse(struct slice name, enum report_destination *ret_destination)
{
    size_t index;
    if (!report_find_name(name, report_destination_names, ARRAY_COUNT(report_destination_names),
                          &index))
        return false;
    *ret_destination = (enum report_destination)index;
    return true;
}

const char *report_file_extension(enum report_format format, enum report_compression compression)
{
    static const char *const extensions[][4] = {
        [REPORT_CSV] = {"csv.gz", "csv.snappy", "csv.zst", "csv"},
        [REPORT_JSON] = {"json.gz", "json.snappy", "json.zst", "json"},
        // The codec is inside the file.
        [REPORT_PARQUET] = {"parquet", "parquet", "parquet", "parquet"},
    };
    ASSERT((size_t)format < ARRAY_COUNT(extensions));
    ASSERT((size_t)compression < ARRAY_COUNT(extensions[0]));
    return extensions[format][compression];
}

// --- Members.

const struct json_node *report_member(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_node_get(object, key);
    return json_node_kind(node) == JSON_KIND_NULL ? NULL : node;
}

bool report_set_missing(struct err *err, const char *path)
{
    return err_set(err, ERR_INVALID, "Missing required field: %s", path);
}

bool report_take_text(const struct json_node *node, struct slice *ret_text, struct err *err)
{
    const struct slice text = json_node_text(node);
    if (slice_is_empty(text)) // of another kind, too
        return err_set(err, ERR_INVALID, "Invalid type: string expected");
    *ret_text = text;
    return true;
}

// INVALID "Invalid type: object expected", "Too many fields".
static bool report_expect_object(const struct json_node *node, struct err *err)
{
    if (json_node_kind(node) != JSON_KIND_OBJECT)
        return err_set(err, ERR_INVALID, "Invalid type: object expected");
    if (json_node_count(node) > REPORT_KEYS_MAX)
        return err_set(err, ERR_INVALID, "Too many fields");
    return true;
}

// A member with a fixed set of texts and a default.
struct report_choice {
    const char *key;
    const char *const *names;
    size_t count;
};

static const struct report_choice report_format_choice = {"response_format", report_format_names,
                                                          ARRAY_COUNT(report_format_names)};
static const struct report_choice report_compression_choice = {
    "response_format_compression", report_compression_names, ARRAY_COUNT(report_compression_names)};

// *ret_index is untouched when the member is absent.
static bool report_parse_choice(const struct json_node *report, const struct report_choice *choice,
                                size_t *ret_index, struct err *err)
{
    const struct json_node *node = report_member(report, choice->key);
    if (node == NULL ||
        report_find_name(json_node_text(node), choice->names, choice->count, ret_index))
        return true;
    if (json_node_kind(node) != JSON_KIND_TEXT)
        return err_set(err, ERR_INVALID, "Invalid type: string expected");
    return err_set(err, ERR_INVALID, "Invalid %s", choice->key);
}

bool report_take_format(const struct json_node *object, struct report *report, struct err *err)
{
    size_t format = report->format;
    TRY(report_parse_choice(object, &report_format_choice, &format, err));
    report->format = (enum report_format)format;
    return true;
}

bool report_take_compression(const struct json_node *object, struct report *report, struct err *err)
{
    size_t compression = report->compression;
    TRY(report_parse_choice(object, &report_compression_choice, &compression, err));
    report->compression = (enum report_compression)compression;
    return true;
}

static bool report_parse_choices(const struct json_node *report, struct report *ret_report,
                                 struct err *err)
{
    const struct json_node *cadence = report_member(report, "cadence");
    ret_report->cadence = CADENCE_HOURLY;
    if (cadence != NULL && !cadence_parse(json_node_text(cadence), &ret_report->cadence))
        return err_set(err, ERR_INVALID, "Invalid cadence");
    ret_report->format = REPORT_CSV;
    ret_report->compression = REPORT_GZ;
    TRY(report_take_format(report, ret_report, err));
    return report_take_compression(report, ret_report, err);
}

// A topic's name, or an array of one.
bool report_take_topic(const struct json_node *node, const char *name, struct arena *arena,
                       struct report *report, struct err *err)
{
    if (json_node_kind(node) == JSON_KIND_NULL)
        return report_set_missing(err, name);
    if (json_node_kind(node) == JSON_KIND_ARRAY) {
        if (json_node_count(node) != 1)
            return err_set(err, ERR_INVALID, "Invalid report_type");
        node = json_node_at(node, 0);
    }
    struct slice topic_name;
    TRY(report_take_text(node, &topic_name, err));
    if (!schema_topic_name_is_valid(topic_name))
        return err_set(err, ERR_INVALID, "Invalid report_type");
    report->topic_name = arena_copy_slice(arena, topic_name);
    return true;
}

// The last part of a path: "report_fields" of "report.report_fields".
static const char *report_last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot == NULL ? name : dot + 1;
}

bool report_take_fields(const struct json_node *node, const char *name, struct arena *arena,
                        struct report *report, struct err *err)
{
    if (json_node_kind(node) == JSON_KIND_NULL)
        return report_set_missing(err, name);
    if (json_node_kind(node) != JSON_KIND_ARRAY)
        return err_set(err, ERR_INVALID, "Invalid type: array expected");
    const size_t count = json_node_count(node);
    if (count == 0)
        return err_set(err, ERR_INVALID, "Invalid %s: at least one field expected",
                       report_last_part(name));
    if (count > REPORT_FIELDS_MAX)
        return err_set(err, ERR_INVALID, "Too many fields");
    const char **fields = arena_alloc_array(arena, count, sizeof *fields);
    bool has_all = false;
    for (size_t i = 0; i < count; i++) {
        struct slice field;
        TRY(report_take_text(json_node_at(node, i), &field, err));
        fields[i] = arena_copy_slice(arena, field);
        has_all = has_all || slice_equal_text(field, "all");
    }
    if (has_all && count > 1)
        return err_set(err, ERR_INVALID, "Invalid %s: all stands alone", report_last_part(name));
    report->fields = fields;
    report->field_count = count;
    report->wants_all = has_all;
    return true;
}

bool report_parse(const struct json_node *body, struct arena *arena, struct report *ret_report,
                  struct err *err)
{
    if (json_node_kind(body) != JSON_KIND_OBJECT)
        return err_set(err, ERR_INVALID, "JSON object expected");
    TRY(report_expect_object(body, err));
    const struct json_node *report = report_member(body, "report");
    const struct json_node *destination = report_member(body, "destination");
    if (report == NULL)
        return report_set_missing(err, "report");
    if (destination == NULL)
        return report_set_missing(err, "destination");
    TRY(report_expect_object(report, err));
    TRY(report_expect_object(destination, err));
    struct report result = {0};
    TRY(report_parse_choices(report, &result, err));
    TRY(report_take_topic(json_node_get(report, "report_type"), "report.report_type", arena,
                          &result, err));
    TRY(report_take_fields(json_node_get(report, "report_fields"), "report.report_fields", arena,
                           &result, err));
    TRY(filter_normalize(json_node_get(report, "filter"), arena, &result.filter_json, err));
    TRY(report_parse_destination(destination, arena, &result, err));
    *ret_report = result;
    return true;
}

// --- Columns.

size_t report_columns(const struct report *report, const struct schema *schema, struct arena *arena,
                      struct column **ret_columns)
{
    if (report->wants_all)
        return schema_all_columns(schema, arena, ret_columns);
    struct column *columns = arena_alloc_array(arena, report->field_count, sizeof *columns);
    for (size_t i = 0; i < report->field_count; i++) {
        const struct schema_field *field = schema_find(schema, slice_text(report->fields[i]));
        if (field == NULL)
            return 0;
        columns[i] = (struct column){.name = field->name, .type = field->type};
    }
    *ret_columns = columns;
    return report->field_count;
}

// --- Documents.

static void report_write_fields(const struct report *report, struct json_text *json)
{
    json_text_open(json, '[');
    for (size_t i = 0; i < report->field_count; i++)
        json_text_string(json, slice_text(report->fields[i]));
    json_text_close(json, ']');
}

void report_write_members(const struct report *report, struct json_text *json)
{
    json_text_member_text(json, "cadence", cadence_name(report->cadence));
    json_text_member_text(json, "response_format", report_format_name(report->format));
    json_text_member_text(json, "response_format_compression",
                          report_compression_name(report->compression));
    json_text_member_text(json, "report_type", report->topic_name);
    json_text_key(json, "report_fields");
    report_write_fields(report, json);
    json_text_key(json, "filter");
    json_text_raw(json, slice_text(report->filter_json == NULL ? "[]" : report->filter_json));
}

static void report_store_once(const struct report *report, struct json_text *json)
{
    if (report->row_limit > 0)
        json_text_member_int64(json, "row_limit", report->row_limit);
    if (report->part_rows > 0)
        json_text_member_int64(json, "part_rows", report->part_rows);
    if (report->zone_name != NULL)
        json_text_member_text(json, "zone_name", report->zone_name);
    if (report->zone_version != NULL)
        json_text_member_text(json, "zone_version", report->zone_version);
}

void report_store(const struct report *report, struct buf *destination)
{
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '{');
    json_text_key(&json, "report");
    json_text_open(&json, '{');
    report_write_members(report, &json);
    json_text_close(&json, '}');
    json_text_key(&json, "destination");
    json_text_raw(&json, slice_text(report->destination_json));
    json_text_key(&json, "filter_typed");
    json_text_raw(&json, slice_text(report->filter_typed == NULL ? "null" : report->filter_typed));
    report_store_once(report, &json);
    json_text_close(&json, '}');
}

static const char *report_load_text(const struct json_node *root, const char *key,
                                    struct arena *arena)
{
    const struct slice text = json_node_text(json_node_get(root, key));
    return slice_is_empty(text) ? NULL : arena_copy_slice(arena, text);
}

static bool report_load_document(struct slice document, struct arena *arena,
                                 struct report *ret_report, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    TRY(json_tree_parse(document, &tree, err));
    const struct json_node *root = json_tree_root(tree);
    struct report report;
    TRY(report_parse(root, arena, &report, err));
    const struct json_node *typed = report_member(root, "filter_typed");
    if (typed != NULL) {
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, REPORT_FILTER_BYTES_MAX);
        json_node_write(typed, &text);
        TRY(buf_check(&text, err));
        report.filter_typed = arena_copy_slice(arena, buf_slice(&text));
    }
    report.row_limit = json_node_int64(json_node_get(root, "row_limit"));
    report.part_rows = json_node_int64(json_node_get(root, "part_rows"));
    report.zone_name = report_load_text(root, "zone_name", arena);
    report.zone_version = report_load_text(root, "zone_version", arena);
    *ret_report = report;
    return true;
}

bool report_load(struct slice document, struct arena *arena, struct report *ret_report,
                 struct err *err)
{
    struct err cause;
    if (!report_load_document(document, arena, ret_report, &cause))
        return err_set(err, ERR_CORRUPT, "stored report: %s", cause.message);
    return true;
}

void report_append_duplicate_key(const struct report *report, struct buf *destination)
{
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '[');
    json_text_string(&json, slice_text(report_destination_name(report->destination)));
    json_text_string(&json, slice_text(report->topic_name));
    report_write_fields(report, &json);
    json_text_raw(&json, slice_text(report->filter_json == NULL ? "[]" : report->filter_json));
    json_text_string(&json, slice_text(cadence_name(report->cadence)));
    json_text_close(&json, ']');
}
