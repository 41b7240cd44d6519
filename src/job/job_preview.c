// SPDX-License-Identifier: Apache-2.0
#include "job/job_preview.h"

#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"

// Once the sample has this many bytes, no row is added; one row may go beyond it.
#define JOB_PREVIEW_BYTES     ((size_t)256 * 1024)
#define JOB_PREVIEW_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct job_preview {
    struct buf lines; // JSON, each with its LF
    struct encoder *encoder;
};

bool job_preview_open(const struct recipe *recipe, struct job_preview **ret_preview,
                      struct err *err)
{
    struct job_preview *preview CLEANUP(job_preview_free) = mem_alloc(sizeof *preview);
    buf_init(&preview->lines, JOB_PREVIEW_BYTES_MAX);
    const struct encoder_spec spec = {
        .format = ENCODER_JSON,
        .columns = recipe->columns,
        .column_count = recipe->column_count,
    };
    TRY(encoder_open(&spec, sink_memory_new(&preview->lines), &preview->encoder, err));
    *ret_preview = preview;
    preview = NULL;
    return true;
}

void job_preview_free(struct job_preview **preview)
{
    if (*preview == NULL)
        return;
    encoder_free(&(*preview)->encoder);
    buf_clear(&(*preview)->lines);
    mem_free(*preview);
    *preview = NULL;
}

bool job_preview_add(struct job_preview *preview, const struct source_rows *rows, struct err *err)
{
    struct encoder *encoder = preview->encoder;
    for (size_t i = 0; i < rows->row_count; i++) {
        if (encoder_row_count(encoder) >= JOB_PREVIEW_ROWS ||
            encoder_byte_count(encoder) >= JOB_PREVIEW_BYTES)
            return true;
        size_t count = 0;
        TRY(encoder_write(encoder, rows->batch, rows->first_row + i, 1, JOB_PREVIEW_BYTES, &count,
                          err));
    }
    return true;
}

static void job_preview_write_sample(struct json_text *json, struct slice lines)
{
    json_text_key(json, "sample");
    json_text_open(json, '[');
    while (!slice_is_empty(lines)) {
        const char *end = memchr(lines.data, '\n', lines.size_bytes); // none is inside JSON text
        const size_t size = (size_t)(end - slice_chars(lines));
        json_text_raw(json, slice_part(lines, 0, size));
        lines = slice_from(lines, size + 1);
    }
    json_text_close(json, ']');
}

bool job_preview_finish(struct job_preview *preview, const struct job_preview_result *result,
                        struct buf *destination, struct err *err)
{
    TRY(encoder_finish(preview->encoder, err));
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '{');
    json_text_member_int64(&json, "matched_rows", result->row_count);
    job_preview_write_sample(&json, buf_slice(&preview->lines));
    json_text_member_int64(&json, "estimated_bytes", result->byte_count);
    json_text_member_int64(&json, "estimated_files", result->file_count);
    json_text_close(&json, '}');
    return buf_check(destination, err);
}
