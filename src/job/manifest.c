// SPDX-License-Identifier: Apache-2.0
#include "job/manifest.h"

#include "base/civil.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"

static void manifest_write_date(struct json_text *json, const char *key, int64_t time_ms)
{
    char text[CIVIL_API_CHARS + 1];
    civil_format_api(time_ms, text);
    json_text_member_text(json, key, text);
}

static void manifest_write_files(struct json_text *json, const struct job_file *files,
                                 size_t file_count)
{
    json_text_key(json, "files");
    json_text_open(json, '[');
    for (size_t i = 0; i < file_count; i++) {
        json_text_open(json, '{');
        json_text_member_text(json, "key", files[i].key);
        json_text_member_int64(json, "rows", files[i].row_count);
        json_text_member_int64(json, "bytes", files[i].byte_count);
        json_text_member_text(json, "sha256", files[i].sha256);
        json_text_close(json, '}');
    }
    json_text_close(json, ']');
}

// Which dates the request meant, for what was asked in local time.
static void manifest_write_zone(struct json_text *json, const struct report *report)
{
    if (report->zone_name == NULL)
        return;
    json_text_key(json, "timezone");
    json_text_open(json, '{');
    json_text_member_text(json, "name", report->zone_name);
    json_text_member_text(json, "tz_database", report->zone_version);
    json_text_close(json, '}');
}

void manifest_write(const struct manifest_spec *spec, struct buf *destination)
{
    const struct job *job = spec->job;
    const struct recipe *recipe = spec->recipe;
    int64_t row_count = 0;
    int64_t byte_count = 0;
    for (size_t i = 0; i < spec->file_count; i++) {
        row_count += spec->files[i].row_count;
        byte_count += spec->files[i].byte_count;
    }
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '{');
    json_text_member_text(&json, "job_id", job->id);
    json_text_member_text(&json, "subscription_id", job->subscription_id);
    json_text_member_int64(&json, "subscription_version", job->subscription_version);
    json_text_member_text(&json, "topic", spec->report->topic_name);
    manifest_write_date(&json, "start_date", job->start_ms);
    manifest_write_date(&json, "end_date", job->end_ms);
    manifest_write_zone(&json, spec->report);
    json_text_member_int64(&json, "revision", job->revision);
    json_text_key(&json, "range");
    json_text_open(&json, '{');
    json_text_member_int64(&json, "seq_lo", recipe->seq_lo);
    json_text_member_int64(&json, "seq_hi", recipe->seq_hi);
    json_text_close(&json, '}');
    json_text_member_int64(&json, "schema_id", recipe->schema_id);
    json_text_member_text(&json, "encoder", recipe->encoder);
    json_text_member_int64(&json, "rows", row_count);
    json_text_member_int64(&json, "bytes", byte_count);
    manifest_write_files(&json, spec->files, spec->file_count);
    json_text_close(&json, '}');
}

static bool manifest_is_file(const struct json_node *node, const struct job_file *file)
{
    return slice_equal_text(json_node_text(json_node_get(node, "key")), file->key) &&
           slice_equal_text(json_node_text(json_node_get(node, "sha256")), file->sha256) &&
           json_node_int64(json_node_get(node, "rows")) == file->row_count &&
           json_node_int64(json_node_get(node, "bytes")) == file->byte_count;
}

bool manifest_lists_files(const char *manifest, const struct job_file *files, size_t file_count,
                          bool *ret_is_same, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err fact = {0};
    if (!json_tree_parse(slice_text(manifest), &tree, &fact))
        return err_set(err, ERR_CORRUPT, "manifest: %s", fact.message);
    const struct json_node *listed = json_node_get(json_tree_root(tree), "files");
    bool is_same = json_node_kind(listed) == JSON_KIND_ARRAY &&
                   json_node_count(listed) == file_count;
    for (size_t i = 0; i < file_count && is_same; i++)
        is_same = manifest_is_file(json_node_at(listed, i), &files[i]);
    *ret_is_same = is_same;
    return true;
}
