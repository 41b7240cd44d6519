// SPDX-License-Identifier: Apache-2.0
// What a preview finds out: how many rows a report has in a window, how large its files would be,
// and its first rows as JSON. The document stands where the job's manifest would; no file is kept.
#pragma once

#include "job/recipe.h"
#include "source/source.h"

#define JOB_PREVIEW_ROWS 20

struct job_preview;

// recipe outlives the object.
NODISCARD bool job_preview_open(const struct recipe *recipe, struct job_preview **ret_preview,
                                struct err *err);
void job_preview_free(struct job_preview **preview);

// Takes the first rows of all that come, at most JOB_PREVIEW_ROWS, and fewer when they are long.
NODISCARD bool job_preview_add(struct job_preview *preview, const struct source_rows *rows,
                               struct err *err);

struct job_preview_result {
    int64_t row_count;
    int64_t byte_count;
    int64_t file_count;
};
// {"matched_rows":N,"sample":[...],"estimated_bytes":N,"estimated_files":N}
NODISCARD bool job_preview_finish(struct job_preview *preview,
                                  const struct job_preview_result *result, struct buf *destination,
                                  struct err *err);
