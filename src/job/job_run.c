// SPDX-License-Identifier: Apache-2.0
// Upholds INV-5, INV-8, INV-13, INV-14 (docs/invariants.md).
#include "job/job_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "catalog/leases.h"
#include "catalog/segment_retention.h"
#include "catalog/segments.h"
#include "catalog/subscriptions.h"
#include "catalog/topics.h"
#include "job/manifest.h"
#include "job/parts.h"
#include "job/recipe.h"
#include "lake/compact.h"
#include "source/source.h"

#define JOB_RUN_TEXT_BYTES_MAX ((size_t)64 * 1024 * 1024) // recipes and manifests
#define JOB_RUN_PIN_MS         INT64_C(24 * 3600 * 1000)
#define JOB_RUN_PIN_TRIES      10

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
    struct source_segment *segments;
    size_t segment_count;
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

static bool job_attempt_freeze(struct job_attempt *attempt, struct err *err)
{
    const struct job *job = attempt->job;
    const char *text = job->recipe;
    if (text == NULL) {
        const struct recipe_request request = {
            .report = &attempt->subscription.report,
            .schema = attempt->schema,
            .seq_lo = job->seq_lo,
            .seq_hi = job->seq_hi,
            .csv_formula_guard = attempt->config->csv_formula_guard,
            .part_bytes = attempt->config->part_bytes,
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

static bool job_attempt_read_columns(const struct segment *segment, struct arena *arena,
                                     struct source_segment *ret_segment, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    TRY(json_tree_parse(slice_text(segment->columns), &tree, err));
    const struct json_node *names = json_tree_root(tree);
    const size_t count = json_node_count(names);
    const char **columns = arena_alloc_array(arena, count + 1, sizeof *columns);
    for (size_t i = 0; i < count; i++)
        columns[i] = arena_copy_slice(arena, json_node_text(json_node_at(names, i)));
    ret_segment->physical_columns = columns;
    ret_segment->physical_column_count = count;
    return true;
}

static struct segment_slice job_attempt_wanted(const struct job_attempt *attempt)
{
    const struct job *job = attempt->job;
    return (struct segment_slice){
        .topic_id = job->topic_id,
        .app_id = strtoll(job->app_id, NULL, 10),
        .time_min_ms = job->start_ms,
        .time_max_ms = job->end_ms,
        .seq_min = attempt->recipe.seq_lo,
        .seq_max = attempt->recipe.seq_hi,
    };
}

// Finds the segments and pins them, so that compaction leaves them on disk. The pins are the
// claim's, not the job's: a zombie that ends takes only its own away.
static bool job_attempt_pin(struct job_attempt *attempt, struct segment **ret_segments,
                            struct segment_slice **ret_slices, struct err *err)
{
    const struct segment_slice wanted = job_attempt_wanted(attempt);
    size_t count = 0;
    TRY(segment_find(attempt->catalog, &wanted, attempt->arena, ret_segments, ret_slices, &count,
                     err));
    int64_t *ids = arena_alloc_array(attempt->arena, count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (*ret_segments)[i].id;
    const int64_t until_ms = clock_wall_ms(attempt->config->clock) + JOB_RUN_PIN_MS;
    TRY(segment_pin(attempt->catalog, attempt->claim.claim_id, ids, count, until_ms, err));
    attempt->segment_count = count;
    return true;
}

// As above, again when compaction came in between: that is no failure of the job.
static bool job_attempt_pin_some(struct job_attempt *attempt, struct segment **ret_segments,
                                 struct segment_slice **ret_slices, struct err *err)
{
    struct err failure = {0};
    for (int i = 0; i < JOB_RUN_PIN_TRIES; i++) {
        if (job_attempt_pin(attempt, ret_segments, ret_slices, &failure))
            return true;
        if (failure.kind != ERR_CONFLICT)
            return err_set(err, failure.kind, "%s", failure.message);
    }
    return err_set(err, ERR_UNAVAILABLE, "segments are replaced too fast: %s", failure.message);
}

// Rows of the range that retention took must not be missing silently. Asked after pinning: what is
// dropped later stays on disk. A sample only shows what is there.
static bool job_attempt_check_floor(struct job_attempt *attempt, struct err *err)
{
    if (attempt->job->kind == JOB_SAMPLE)
        return true;
    const struct segment_slice wanted = job_attempt_wanted(attempt);
    int64_t floor_seq = 0;
    TRY(segment_floor(attempt->catalog, &wanted, &floor_seq, err));
    if (floor_seq > attempt->recipe.seq_lo)
        return err_set(err, ERR_INVALID, "events of this window are past lake.retention_days");
    return true;
}

// Checks every byte of the segments before a row of them is used.
static bool job_attempt_gather(struct job_attempt *attempt, struct err *err)
{
    struct segment *segments = NULL;
    struct segment_slice *slices = NULL;
    TRY(job_attempt_pin_some(attempt, &segments, &slices, err));
    TRY(job_attempt_check_floor(attempt, err));
    const size_t count = attempt->segment_count;
    attempt->segments = arena_alloc_array(attempt->arena, count + 1, sizeof *attempt->segments);
    for (size_t i = 0; i < count; i++) {
        struct source_segment *segment = &attempt->segments[i];
        TRY(compact_verify_segment(attempt->config->data_directory, &segments[i], err));
        segment->path = arena_format(attempt->arena, "%s/%s", attempt->config->data_directory,
                                     segments[i].path);
        segment->time_min_ms = slices[i].time_min_ms;
        segment->time_max_ms = slices[i].time_max_ms;
        TRY(job_attempt_read_columns(&segments[i], attempt->arena, segment, err));
        atomic_fetch_add(&attempt->watch->progress, 1);
    }
    return true;
}

static bool job_attempt_pump(struct job_attempt *attempt, struct source *source,
                             struct parts *parts, struct err *err)
{
    for (;;) {
        struct source_rows rows;
        TRY(source_next(source, &rows, err));
        if (rows.row_count == 0)
            return true;
        TRY(parts_write(parts, &rows, err));
        atomic_fetch_add(&attempt->watch->progress, 1);
        if (atomic_load(&attempt->watch->is_lost))
            return err_set(err, ERR_CANCELED, "the lease was lost");
    }
}

static void job_attempt_describe_parts(const struct job_attempt *attempt,
                                       struct parts_config *ret_config)
{
    *ret_config = (struct parts_config){
        .store = attempt->config->store,
        .job = attempt->job,
        .recipe = &attempt->recipe,
        .topic_name = attempt->schema->topic_name,
        .has_hours = attempt->subscription.report.cadence == CADENCE_HOURLY,
        .compress_helper_count = attempt->config->compress_helper_count,
    };
}

static bool job_attempt_make_files(struct job_attempt *attempt,
                                   const struct parts_config *parts_config,
                                   struct job_file **ret_files, size_t *ret_file_count,
                                   uint64_t *ret_row_count, struct err *err)
{
    const struct job *job = attempt->job;
    const struct source_spec spec = {
        .topic_id = job->topic_id,
        .app_id = strtoll(job->app_id, NULL, 10),
        .organization_id = strtoll(job->organization_id, NULL, 10),
        .start_ms = job->start_ms,
        .end_ms = job->end_ms,
        .seq_lo = attempt->recipe.seq_lo,
        .seq_hi = attempt->recipe.seq_hi,
        .columns = attempt->recipe.columns,
        .column_count = attempt->recipe.column_count,
        .filter = attempt->recipe.filter,
        .segments = attempt->segments,
        .segment_count = attempt->segment_count,
    };
    struct source *source CLEANUP(source_close) = NULL;
    TRY(source_lake_open(attempt->config->engine, &spec, &source, err));
    struct parts *parts CLEANUP(parts_free) = parts_new(parts_config);
    TRY(job_attempt_pump(attempt, source, parts, err));
    TRY(parts_finish(parts, attempt->arena, ret_files, ret_file_count, err));
    *ret_row_count = source_row_count(source);
    return true;
}

static bool job_attempt_publish(struct job_attempt *attempt, const struct job_file *files,
                                size_t file_count, int64_t row_count, struct err *err)
{
    struct buf manifest CLEANUP(buf_clear);
    buf_init(&manifest, JOB_RUN_TEXT_BYTES_MAX);
    manifest_write(attempt->job, attempt->schema->topic_name, &attempt->recipe, files, file_count,
                   &manifest);
    TRY(buf_check(&manifest, err));
    const int64_t now_ms = clock_wall_ms(attempt->config->clock);
    struct job_result result = {
        .files = files,
        .file_count = file_count,
        .row_count = row_count,
        .manifest = buf_text(&manifest),
        .now_ms = now_ms,
        .expires_at_ms = now_ms + attempt->config->file_retention_ms,
    };
    for (size_t i = 0; i < file_count; i++)
        result.byte_count += files[i].byte_count;
    return job_succeed(attempt->catalog, &attempt->claim, &result, err);
}

static bool job_attempt_run(struct job_attempt *attempt, int64_t *ret_row_count, struct err *err)
{
    TRY(job_attempt_load(attempt, err));
    TRY(job_attempt_freeze(attempt, err));
    TRY(job_attempt_gather(attempt, err));
    struct parts_config parts_config;
    job_attempt_describe_parts(attempt, &parts_config);
    struct job_file *files = NULL;
    size_t file_count = 0;
    uint64_t row_count = 0;
    TRY(job_attempt_make_files(attempt, &parts_config, &files, &file_count, &row_count, err));
    uint64_t encoded_count = 0;
    for (size_t i = 0; i < file_count; i++)
        encoded_count += (uint64_t)files[i].row_count;
    ASSERT(encoded_count == row_count);
    TRY(job_mark_uploading(attempt->catalog, &attempt->claim, err));
    const bool is_unwanted = attempt->job->kind == JOB_SAMPLE ||
                             (attempt->job->kind == JOB_LATE && row_count == 0);
    if (is_unwanted) {
        TRY(parts_delete(&parts_config, file_count, err));
        file_count = 0;
    }
    TRY(job_attempt_publish(attempt, files, file_count, (int64_t)row_count, err));
    *ret_row_count = (int64_t)row_count;
    return true;
}

bool job_run(const struct job_run_config *config, struct catalog *catalog, const struct job *job,
             struct job_watch *watch, int64_t *ret_row_count, struct err *err)
{
    ASSERT(job->claim_id != NULL);
    ASSERT(job->seq_hi >= 0);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_attempt attempt = {
        .config = config,
        .catalog = catalog,
        .job = job,
        .claim = {.job_id = job->id, .fence = job->fence, .claim_id = job->claim_id},
        .watch = watch,
        .arena = &arena,
    };
    const bool is_done = job_attempt_run(&attempt, ret_row_count, err);
    struct err unpin_err;
    const bool is_unpinned = segment_unpin(catalog, job->claim_id, &unpin_err);
    (void)is_unpinned; // pins lapse by themselves
    return is_done;
}

bool job_run_discard(const struct job_run_config *config, struct catalog *catalog,
                     const struct job *job, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_attempt attempt = {
        .config = config,
        .catalog = catalog,
        .job = job,
        .arena = &arena,
    };
    TRY(job_attempt_load(&attempt, err));
    attempt.recipe.format = attempt.subscription.report.format;
    attempt.recipe.compression = attempt.subscription.report.compression;
    struct parts_config parts_config;
    job_attempt_describe_parts(&attempt, &parts_config);
    return parts_delete(&parts_config, 0, err);
}
