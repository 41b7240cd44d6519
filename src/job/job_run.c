// SPDX-License-Identifier: Apache-2.0
// Upholds INV-5, INV-8, INV-13, INV-14 (docs/invariants.md).
#include "job/job_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/leases.h"
#include "catalog/segments.h"
#include "catalog/subscriptions.h"
#include "catalog/topics.h"
#include "job/job_inputs.h"
#include "job/job_preview.h"
#include "job/manifest.h"
#include "job/parts.h"
#include "job/recipe.h"
#include "source/source.h"

#define JOB_RUN_TEXT_BYTES_MAX ((size_t)64 * 1024 * 1024) // recipes and manifests
#define JOB_RUN_PIN_MS         INT64_C(24 * 3600 * 1000)

static const char job_run_outdated_text[] = "the export engine was upgraded while this job waited";

// One attempt: what its steps share.
struct job_attempt {
    const struct job_run_config *config;
    struct catalog *catalog;
    const struct job *job;
    struct job_claim claim;
    struct job_watch *watch;
    struct arena *arena;
    struct subscription subscription;
    const struct schema *schema;
    struct recipe recipe;
    struct job_inputs inputs;
    struct job_preview *preview; // of a preview, else NULL
    // Of all tasks so far.
    struct job_file *files;
    size_t file_count;
    size_t file_capacity;
    int64_t row_count;
};

bool job_run_is_outdated(const struct err *err)
{
    return err->kind == ERR_INVALID && strstr(err->message, job_run_outdated_text) != NULL;
}

static bool job_attempt_load(struct job_attempt *attempt, struct err *err)
{
    const struct job *job = attempt->job;
    TRY(subscription_get_any(attempt->catalog, job->subscription_id, job->subscription_version,
                             attempt->arena, &attempt->subscription, err));
    const char *organization_id = NULL;
    TRY(topic_get_by_id(attempt->catalog, job->topic_id, attempt->arena, &attempt->schema,
                        &organization_id, err));
    ASSERT(strcmp(organization_id, job->organization_id) == 0);
    return true;
}

// Whoever asks for one file gets one, however large, and files of a number of rows have as many.
static int64_t job_attempt_part_bytes(const struct job_attempt *attempt)
{
    switch (attempt->subscription.kind) {
    case SUBSCRIPTION_SCHEDULED:
    case SUBSCRIPTION_PREVIEW:
        return attempt->config->part_bytes;
    case SUBSCRIPTION_CUSTOM_EXPORT:
    case SUBSCRIPTION_DAILY_EXPORT:
        break;
    }
    return INT64_MAX;
}

static bool job_attempt_freeze(struct job_attempt *attempt, struct err *err)
{
    const struct job *job = attempt->job;
    const char *text = job->recipe;
    if (text == NULL) {
        const char *const *app_ids = NULL;
        size_t app_count = 0;
        TRY(job_inputs_apps(attempt->catalog, job, attempt->arena, &app_ids, &app_count, err));
        const struct recipe_request request = {
            .report = &attempt->subscription.report,
            .schema = attempt->schema,
            .seq_lo = job->seq_lo,
            .seq_hi = job->seq_hi,
            .csv_formula_guard = attempt->config->csv_formula_guard,
            .part_bytes = job_attempt_part_bytes(attempt),
            .app_ids = app_ids,
            .app_count = app_count,
        };
        struct recipe fresh;
        TRY(recipe_make(&request, attempt->arena, &fresh, err));
        struct buf document CLEANUP(buf_clear);
        buf_init(&document, JOB_RUN_TEXT_BYTES_MAX);
        recipe_store(&fresh, &document);
        TRY(buf_check(&document, err));
        TRY(job_freeze(attempt->catalog, &attempt->claim, buf_text(&document), attempt->arena,
                       &text, err));
    }
    TRY(recipe_load(slice_text(text), attempt->arena, &attempt->recipe, err));
    const char *ours = recipe_encoder_id(attempt->recipe.format, attempt->recipe.compression,
                                         attempt->arena);
    if (strcmp(ours, attempt->recipe.encoder) != 0)
        return err_set(err, ERR_INVALID, "%s", job_run_outdated_text);
    return true;
}

static bool job_attempt_gather(struct job_attempt *attempt, struct err *err)
{
    const struct job_inputs_request request = {
        .catalog = attempt->catalog,
        .data_directory = attempt->config->data_directory,
        .job = attempt->job,
        .recipe = &attempt->recipe,
        .pinned_until_ms = clock_wall_ms(attempt->config->clock) + JOB_RUN_PIN_MS,
        .progress = &attempt->watch->progress,
    };
    return job_inputs_gather(&request, attempt->arena, &attempt->inputs, err);
}

static bool job_attempt_is_preview(const struct job_attempt *attempt)
{
    return attempt->subscription.kind == SUBSCRIPTION_PREVIEW;
}

static enum parts_layout job_attempt_layout(const struct job_attempt *attempt)
{
    switch (attempt->subscription.kind) {
    case SUBSCRIPTION_SCHEDULED:
        return attempt->subscription.report.cadence == CADENCE_HOURLY ? PARTS_HOURLY : PARTS_DATED;
    case SUBSCRIPTION_DAILY_EXPORT:
        return PARTS_DAILY_EXPORT;
    case SUBSCRIPTION_CUSTOM_EXPORT:
    case SUBSCRIPTION_PREVIEW:
        break;
    }
    return PARTS_DATED;
}

static struct parts_config job_attempt_parts(const struct job_attempt *attempt, size_t task_id)
{
    return (struct parts_config){
        .store = job_attempt_is_preview(attempt) ? NULL : attempt->config->store,
        .job = attempt->job,
        .recipe = &attempt->recipe,
        .topic_name = attempt->subscription.report.topic_name,
        .app_id = attempt->inputs.tasks[task_id].app_id,
        .task_id = task_id,
        .layout = job_attempt_layout(attempt),
        .skips_empty = attempt->job->kind == JOB_LATE,
        .compress_helper_count = attempt->config->compress_helper_count,
    };
}

// As many of the rows as the request's limit leaves.
static void job_attempt_limit(const struct job_attempt *attempt, struct source_rows *rows)
{
    const int64_t limit = attempt->recipe.row_limit;
    if (limit > 0 && rows->row_count > (size_t)(limit - attempt->row_count))
        rows->row_count = (size_t)(limit - attempt->row_count);
}

static bool job_attempt_pump(struct job_attempt *attempt, struct source *source,
                             struct parts *parts, struct err *err)
{
    for (;;) {
        struct source_rows rows;
        TRY(source_next(source, &rows, err));
        job_attempt_limit(attempt, &rows);
        if (rows.row_count == 0)
            return true;
        TRY(parts_write(parts, &rows, err));
        if (attempt->preview != NULL)
            TRY(job_preview_add(attempt->preview, &rows, err));
        attempt->row_count += (int64_t)rows.row_count;
        atomic_fetch_add(&attempt->watch->progress, 1);
        if (atomic_load(&attempt->watch->is_lost))
            return err_set(err, ERR_CANCELED, "the lease was lost");
    }
}

// Parts of a job count through all its tasks.
static void job_attempt_add_files(struct job_attempt *attempt, const struct job_file *files,
                                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (attempt->file_count == attempt->file_capacity) {
            attempt->file_capacity = attempt->file_capacity * 2 + 4;
            attempt->files = mem_resize(attempt->files,
                                        attempt->file_capacity * sizeof *attempt->files);
        }
        struct job_file *file = &attempt->files[attempt->file_count];
        *file = files[i];
        file->part = (int64_t)attempt->file_count++;
    }
}

static bool job_attempt_run_task(struct job_attempt *attempt, size_t task_id, struct err *err)
{
    const struct job *job = attempt->job;
    const struct job_task *task = &attempt->inputs.tasks[task_id];
    const struct source_spec spec = {
        .topic_id = job->topic_id,
        .app_id = strtoll(task->app_id, NULL, 10),
        .organization_id = strtoll(job->organization_id, NULL, 10),
        .start_ms = job->start_ms,
        .end_ms = job->end_ms,
        .seq_lo = attempt->recipe.seq_lo,
        .seq_hi = attempt->recipe.seq_hi,
        .columns = attempt->recipe.columns,
        .column_count = attempt->recipe.column_count,
        .filter = attempt->recipe.filter,
        .segments = task->segments,
        .segment_count = task->segment_count,
    };
    struct source *source CLEANUP(source_close) = NULL;
    TRY(source_lake_open(attempt->config->engine, &spec, &source, err));
    const struct parts_config parts_config = job_attempt_parts(attempt, task_id);
    struct parts *parts CLEANUP(parts_free) = parts_new(&parts_config);
    struct job_file *files = NULL;
    size_t file_count = 0;
    TRY(job_attempt_pump(attempt, source, parts, err));
    TRY(parts_finish(parts, attempt->arena, &files, &file_count, err));
    job_attempt_add_files(attempt, files, file_count);
    return true;
}

static int64_t job_attempt_byte_count(const struct job_attempt *attempt)
{
    int64_t byte_count = 0;
    for (size_t i = 0; i < attempt->file_count; i++)
        byte_count += attempt->files[i].byte_count;
    return byte_count;
}

static bool job_attempt_make_files(struct job_attempt *attempt, struct err *err)
{
    if (job_attempt_is_preview(attempt))
        TRY(job_preview_open(&attempt->recipe, &attempt->preview, err));
    for (size_t i = 0; i < attempt->inputs.task_count; i++)
        TRY(job_attempt_run_task(attempt, i, err));
    int64_t encoded_count = 0;
    for (size_t i = 0; i < attempt->file_count; i++)
        encoded_count += attempt->files[i].row_count;
    ASSERT(encoded_count == attempt->row_count);
    return true;
}

static bool job_attempt_delete_files(struct job_attempt *attempt, struct err *err)
{
    for (size_t i = 0; i < attempt->inputs.task_count; i++) {
        const struct parts_config parts_config = job_attempt_parts(attempt, i);
        TRY(parts_delete(&parts_config, 0, err));
    }
    attempt->file_count = 0;
    return true;
}

// Files that come again must be those that were there: somebody may have kept their hashes.
static bool job_attempt_check_restored(struct job_attempt *attempt, struct err *err)
{
    const char *manifest = NULL;
    bool is_same = false;
    TRY(job_get_manifest(attempt->catalog, attempt->job->organization_id,
                         slice_text(attempt->job->id), attempt->arena, &manifest, err));
    TRY(manifest_lists_files(manifest, attempt->files, attempt->file_count, &is_same, err));
    if (!is_same)
        return err_set(err, ERR_INVALID, "the files would not be the same as before");
    return true;
}

static bool job_attempt_describe(struct job_attempt *attempt, struct buf *document, struct err *err)
{
    if (job_attempt_is_preview(attempt)) {
        const struct job_preview_result result = {
            .row_count = attempt->row_count,
            .byte_count = job_attempt_byte_count(attempt),
            .file_count = (int64_t)attempt->file_count,
        };
        attempt->file_count = 0; // they were only measured
        return job_preview_finish(attempt->preview, &result, document, err);
    }
    const struct manifest_spec spec = {
        .job = attempt->job,
        .report = &attempt->subscription.report,
        .recipe = &attempt->recipe,
        .files = attempt->files,
        .file_count = attempt->file_count,
    };
    manifest_write(&spec, document);
    return buf_check(document, err);
}

static bool job_attempt_publish(struct job_attempt *attempt, struct err *err)
{
    struct buf manifest CLEANUP(buf_clear);
    buf_init(&manifest, JOB_RUN_TEXT_BYTES_MAX);
    TRY(job_attempt_describe(attempt, &manifest, err));
    const int64_t now_ms = clock_wall_ms(attempt->config->clock);
    const bool has_files = !job_attempt_is_preview(attempt);
    const struct job_result result = {
        .files = attempt->files,
        .file_count = attempt->file_count,
        .row_count = attempt->row_count,
        .byte_count = job_attempt_byte_count(attempt),
        .manifest = buf_text(&manifest),
        .now_ms = now_ms,
        .expires_at_ms = has_files ? now_ms + attempt->config->file_retention_ms : 0,
    };
    return job_succeed(attempt->catalog, &attempt->claim, &result, err);
}

static bool job_attempt_run(struct job_attempt *attempt, struct err *err)
{
    TRY(job_attempt_load(attempt, err));
    TRY(job_attempt_freeze(attempt, err));
    TRY(job_attempt_gather(attempt, err));
    TRY(job_attempt_make_files(attempt, err));
    if (attempt->job->is_restoring)
        TRY(job_attempt_check_restored(attempt, err));
    TRY(job_mark_uploading(attempt->catalog, &attempt->claim, err));
    if (attempt->job->kind == JOB_SAMPLE)
        TRY(job_attempt_delete_files(attempt, err));
    return job_attempt_publish(attempt, err);
}

static void job_attempt_clear(struct job_attempt *attempt)
{
    job_preview_free(&attempt->preview);
    mem_free(attempt->files);
}

bool job_run(const struct job_run_config *config, struct catalog *catalog, const struct job *job,
             struct job_watch *watch, int64_t *ret_row_count, struct err *err)
{
    ASSERT(job->claim_id != NULL);
    ASSERT(job->seq_hi >= 0);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_attempt attempt CLEANUP(job_attempt_clear) = {
        .config = config,
        .catalog = catalog,
        .job = job,
        .claim = {.job_id = job->id, .fence = job->fence, .claim_id = job->claim_id},
        .watch = watch,
        .arena = &arena,
    };
    const bool is_done = job_attempt_run(&attempt, err);
    if (is_done)
        *ret_row_count = attempt.row_count;
    struct err unpin_err;
    const bool is_unpinned = segment_unpin(catalog, job->claim_id, &unpin_err);
    (void)is_unpinned; // pins lapse by themselves
    return is_done;
}

bool job_run_discard(const struct job_run_config *config, struct catalog *catalog,
                     const struct job *job, struct err *err)
{
    // Another attempt may have restored the files meanwhile; if not, the sweep removes them.
    if (job->is_restoring)
        return true;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_attempt attempt = {
        .config = config,
        .catalog = catalog,
        .job = job,
        .arena = &arena,
    };
    TRY(job_attempt_load(&attempt, err));
    const char *recipe = NULL;
    TRY(job_get_recipe(catalog, job->id, &arena, &recipe, err));
    if (recipe == NULL || job_attempt_is_preview(&attempt)) // nothing was written
        return true;
    TRY(recipe_load(slice_text(recipe), &arena, &attempt.recipe, err));
    job_inputs_name_tasks(job, &attempt.recipe, &arena, &attempt.inputs);
    return job_attempt_delete_files(&attempt, err);
}
