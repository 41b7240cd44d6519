// SPDX-License-Identifier: Apache-2.0
#include "job/manifest.h"

#include "base/civil.h"
#include "base/json_text.h"

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

void manifest_write(const struct job *job, const char *topic_name, const struct recipe *recipe,
                    const struct job_file *files, size_t file_count, struct buf *destination)
{
    int64_t row_count = 0;
    int64_t byte_count = 0;
    for (size_t i = 0; i < file_count; i++) {
        row_count += files[i].row_count;
        byte_count += files[i].byte_count;
    }
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '{');
    json_text_member_text(&json, "job_id", job->id);
    json_text_member_text(&json, "subscription_id", job->subscription_id);
    json_text_member_int64(&json, "subscription_version", job->subscription_version);
    json_text_member_text(&json, "topic", topic_name);
    manifest_write_date(&json, "start_date", job->start_ms);
    manifest_write_date(&json, "end_date", job->end_ms);
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
    manifest_write_files(&json, files, file_count);
    json_text_close(&json, '}');
}
