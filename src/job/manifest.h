// SPDX-License-Identifier: Apache-2.0
// The manifest of a job: what was delivered, to be checked by whoever received it. Its shape is
// part of the API (GET /v1/jobs/{id}/manifest).
#pragma once

#include "base/buf.h"
#include "catalog/jobs.h"
#include "job/recipe.h"

void manifest_write(const struct job *job, const char *topic_name, const struct recipe *recipe,
                    const struct job_file *files, size_t file_count, struct buf *destination);
