// SPDX-License-Identifier: Apache-2.0
// The first half of an attempt: from the frozen recipe to finished files.
// Upholds INV-5, INV-8, INV-13, INV-14 (docs/invariants.md).
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/deliveries.h"
#include "job/job_internal.h"
#include "job/manifest.h"
#include "source/source.h"

#define JOB_RUN_PIN_MS INT64_C(24 * 3600 * 1000)

const char job_run_outdated_text[] = "the export engine was upgraded while this job waited";

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

bool job_attempt_is_spooling(const struct job_attempt *attempt)
{
    return attempt->route.made_in != NULL && attempt->route.made_in == attempt->config->spool;
}

struct parts_config job_attempt_parts(struct job_attempt *attempt, size_t task_id)
{
    return (struct parts_config){
        .store = attempt->route.made_in,
        .budget = job_attempt_is_spooling(attempt) ? &attempt->spool_budget : NULL,
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

void job_attempt_add_files(struct job_attempt *attempt, const struct job_file *files, size_t count)
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

// One that is larger than the bound by itself would wait for ever.
static bool job_attempt_set_no_room(const struct job_attempt *attempt, struct err *err)
{
    if (attempt->spool_used_bytes == 0)
        return err_set(err, ERR_INVALID,
                       "the files of this job are larger than what may wait to be delivered (%lld "
                       "bytes): ask for less at a time, or the operator of this server for more",
                       (long long)attempt->config->spool_bytes_max);
    return err_set(err, ERR_LIMIT,
                   "%lld bytes of the organization wait to be delivered, and no more may",
                   (long long)attempt->spool_used_bytes);
}

// What an organization has waiting is bounded; its next job waits until some of it is delivered.
static bool job_attempt_budget(struct job_attempt *attempt, struct err *err)
{
    if (!job_attempt_is_spooling(attempt))
        return true;
    int64_t used_bytes = 0;
    TRY(job_spooled_bytes(attempt->catalog, attempt->job->organization_id, &used_bytes, err));
    attempt->spool_used_bytes = used_bytes;
    const int64_t left_bytes = attempt->config->spool_bytes_max - used_bytes;
    attempt->spool_budget.left_bytes = left_bytes > 0 ? (uint64_t)left_bytes : 0;
    return left_bytes > 0 || job_attempt_set_no_room(attempt, err);
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

bool job_attempt_describe(struct job_attempt *attempt, struct buf *document, struct err *err)
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
    struct job_file *files = arena_alloc_array(attempt->arena, attempt->file_count + 1,
                                               sizeof *files);
    for (size_t i = 0; i < attempt->file_count; i++) {
        files[i] = attempt->files[i];
        files[i].key = job_deliver_key(attempt->job, &attempt->route, attempt->prefix, files[i].key,
                                       attempt->arena);
    }
    const struct manifest_spec spec = {
        .job = attempt->job,
        .report = &attempt->subscription.report,
        .recipe = &attempt->recipe,
        .files = files,
        .file_count = attempt->file_count,
    };
    manifest_write(&spec, document);
    return buf_check(document, err);
}

struct job_result job_attempt_result(const struct job_attempt *attempt)
{
    return (struct job_result){
        .files = attempt->files,
        .file_count = attempt->file_count,
        .row_count = attempt->row_count,
        .byte_count = job_attempt_byte_count(attempt),
        .now_ms = clock_wall_ms(attempt->config->clock),
    };
}

static bool job_attempt_spool(struct job_attempt *attempt, struct err *err)
{
    struct buf manifest CLEANUP(buf_clear);
    buf_init(&manifest, JOB_RUN_TEXT_BYTES_MAX);
    TRY(job_attempt_describe(attempt, &manifest, err));
    struct job_result result = job_attempt_result(attempt);
    result.manifest = arena_copy_text(attempt->arena, buf_text(&manifest));
    TRY(job_spool(attempt->catalog, &attempt->claim, &result, err));
    attempt->spooled_manifest = result.manifest;
    return true;
}

bool job_attempt_make(struct job_attempt *attempt, struct err *err)
{
    TRY(job_attempt_freeze(attempt, err));
    TRY(job_attempt_budget(attempt, err));
    TRY(job_attempt_gather(attempt, err));
    if (!job_attempt_make_files(attempt, err))
        return attempt->spool_budget.is_exceeded ? job_attempt_set_no_room(attempt, err) : false;
    if (attempt->job->is_restoring)
        TRY(job_attempt_check_restored(attempt, err));
    if (job_route_is_delivered(&attempt->route) && attempt->file_count > 0)
        return job_attempt_spool(attempt, err);
    return job_mark_uploading(attempt->catalog, &attempt->claim, err);
}
