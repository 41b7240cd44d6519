// SPDX-License-Identifier: Apache-2.0
// The manifest of a job: what was delivered, to be checked by whoever received it. Its shape is
// part of the API (GET /v1/jobs/{id}/manifest).
#pragma once

#include "base/buf.h"
#include "catalog/jobs.h"
#include "job/recipe.h"

struct manifest_spec {
    const struct job *job;
    const struct report *report;
    const struct recipe *recipe;
    const struct job_file *files;
    size_t file_count;
};
void manifest_write(const struct manifest_spec *spec, struct buf *destination);

// Whether a manifest lists these very files: keys, rows, bytes and hashes, in order. CORRUPT for
// what is no manifest.
NODISCARD bool manifest_lists_files(const char *manifest, const struct job_file *files,
                                    size_t file_count, bool *ret_is_same, struct err *err);
