// SPDX-License-Identifier: Apache-2.0
// What an attempt reads: the tasks of its job, one per app, each with the segments that may hold
// its rows. Segments are found, pinned against compaction, and verified byte by byte, each once,
// before a row of them is used.
// Upholds INV-8, INV-14 (docs/invariants.md).
#pragma once

#include <stdatomic.h>

#include "catalog/jobs.h"
#include "job/recipe.h"
#include "source/source.h"

struct job_task {
    const char *app_id;
    struct source_segment *segments;
    size_t segment_count;
};

struct job_inputs {
    struct job_task *tasks; // task_id is the index
    size_t task_count;
};

struct job_inputs_request {
    struct catalog *catalog;
    const char *data_directory;
    const struct job *job; // claimed: the pins are the claim's, so a zombie takes only its own away
    const struct recipe *recipe;
    int64_t pinned_until_ms;
    atomic_llong *progress; // counts verified segments
};

// The apps of a job of an organization, to be frozen into its recipe: those with events in its
// range, and, unless it only supplements an earlier revision, those that exist at the window's end.
// NULL and 0 for a job of one app.
NODISCARD bool job_inputs_apps(struct catalog *catalog, const struct job *job, struct arena *arena,
                               const char *const **ret_app_ids, size_t *ret_count, struct err *err);

// INVALID when retention took rows of the range, unless the job is a sample. CORRUPT for a damaged
// segment, UNAVAILABLE when compaction replaces segments faster than they can be pinned.
NODISCARD bool job_inputs_gather(const struct job_inputs_request *request, struct arena *arena,
                                 struct job_inputs *ret_inputs, struct err *err);

// The tasks alone, without segments.
void job_inputs_name_tasks(const struct job *job, const struct recipe *recipe, struct arena *arena,
                           struct job_inputs *ret_inputs);
