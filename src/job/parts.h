// SPDX-License-Identifier: Apache-2.0
// The files of a task, which is a job's part for one app: rows go in, and files of the recipe's
// format come out in the store, a new one whenever a file is full. Keys are a function of the job
// and the task alone. One thread.
#pragma once

#include "catalog/jobs.h"
#include "job/recipe.h"
#include "source/source.h"
#include "store/store.h"

struct parts;

// How the keys of files look; examples at parts_key.
enum parts_layout {
    PARTS_DATED,  // of days and of what is asked for once
    PARTS_HOURLY, // the same with the hour
    PARTS_DAILY_EXPORT,
};

struct parts_config {
    struct store *store;        // NULL: files are only measured
    struct sink_budget *budget; // what may be written yet (LIMIT); NULL: any number of bytes
    const struct job *job;
    const struct recipe *recipe;
    const char *topic_name;
    const char *app_id;
    size_t task_id;
    enum parts_layout layout;
    bool skips_empty; // without rows no file is made
    unsigned compress_helper_count;
};

// config and what it points to outlive the object.
struct parts *parts_new(const struct parts_config *config);
void parts_free(struct parts **parts); // aborts an unfinished file; finished ones stay

NODISCARD bool parts_write(struct parts *parts, const struct source_rows *rows, struct err *err);
// Finishes the last file; without any rows one file with no rows is made. The files live in arena,
// their parts count from 0.
NODISCARD bool parts_finish(struct parts *parts, struct arena *arena, struct job_file **ret_files,
                            size_t *ret_count, struct err *err);

// Deletes every file of the task that an attempt may have left, from part 0 on.
NODISCARD bool parts_delete(const struct parts_config *config, size_t at_least, struct err *err);
