// SPDX-License-Identifier: Apache-2.0
// One attempt at a job: what its steps share. Of this folder alone.
#pragma once

#include "job/job_deliver.h"
#include "job/job_inputs.h"
#include "job/job_preview.h"
#include "job/job_run.h"
#include "job/parts.h"
#include "job/recipe.h"

#define JOB_RUN_TEXT_BYTES_MAX ((size_t)64 * 1024 * 1024) // recipes and manifests

struct job_attempt {
    const struct job_run_config *config;
    struct catalog *catalog;
    const struct job *job;
    struct job_claim claim;
    struct job_watch *watch;
    struct arena *arena;
    struct subscription subscription;
    struct job_route route;
    const char *prefix; // of the keys in the bucket that the files go to
    const struct schema *schema;
    struct recipe recipe;
    struct job_inputs inputs;
    struct job_preview *preview;     // of a preview, else NULL
    int64_t spool_used_bytes;        // of the organization, by other jobs
    struct sink_budget spool_budget; // what may yet be made there
    // Of all tasks so far.
    struct job_file *files;
    size_t file_count;
    size_t file_capacity;
    int64_t row_count;
    const char *spooled_manifest; // NULL: nothing is spooled
};

// Makes the files of the job from its frozen recipe, in the arena's list. Those that are to be
// delivered are spooled with their manifest; else the job is only PENDING_UPLOAD then.
NODISCARD bool job_attempt_make(struct job_attempt *attempt, struct err *err);

// As parts_new takes it, for the task's files. The attempt outlives it.
struct parts_config job_attempt_parts(struct job_attempt *attempt, size_t task_id);
// Its files are made in the spool.
bool job_attempt_is_spooling(const struct job_attempt *attempt);
// Parts of a job count through all its tasks.
void job_attempt_add_files(struct job_attempt *attempt, const struct job_file *files, size_t count);
// All but the manifest.
struct job_result job_attempt_result(const struct job_attempt *attempt);
// The manifest; of a preview, what it found out, and its files are forgotten.
NODISCARD bool job_attempt_describe(struct job_attempt *attempt, struct buf *document,
                                    struct err *err);

// The reason of an attempt whose recipe was frozen by other encoders.
extern const char job_run_outdated_text[];
