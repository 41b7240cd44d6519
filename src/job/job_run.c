// SPDX-License-Identifier: Apache-2.0
// Upholds INV-13, INV-14, INV-19 (docs/invariants.md).
#include "job/job_run.h"

#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/deliveries.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "job/job_internal.h"

bool job_run_is_outdated(const struct err *err)
{
    return err->kind == ERR_INVALID && strstr(err->message, job_run_outdated_text) != NULL;
}

static const char job_run_gives_way_text[] = "the files are made and wait for their delivery";

bool job_run_gives_way(const struct err *err)
{
    return err->kind == ERR_LIMIT && strcmp(err->message, job_run_gives_way_text) == 0;
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
    attempt->route = job_route_of(attempt->config, job, &attempt->subscription);
    return job_deliver_prefix(&attempt->subscription, attempt->arena, &attempt->prefix, err);
}

static bool job_attempt_delete_files(struct job_attempt *attempt, struct err *err)
{
    for (size_t i = 0; i < attempt->file_count; i++)
        TRY(store_delete(attempt->route.made_in, attempt->files[i].key, err));
    return true;
}

// --- Files that go elsewhere

static bool job_attempt_has_file(const struct job_attempt *attempt, const struct job_file *file)
{
    int fd = -1;
    uint64_t size_bytes = 0;
    struct err ignored;
    if (!store_open_object(attempt->route.made_in, file->key, &fd, &size_bytes, &ignored))
        return false;
    (void)close(fd);
    return size_bytes == (uint64_t)file->byte_count;
}

// What an earlier attempt has made. When some of it is gone, all of it is made again, which gives
// the same bytes.
static bool job_attempt_take_spooled(struct job_attempt *attempt, struct err *err)
{
    struct job_file *files = NULL;
    size_t count = 0;
    const char *manifest = NULL;
    TRY(job_spooled_files(attempt->catalog, attempt->job->id, attempt->arena, &files, &count,
                          &manifest, err));
    for (size_t i = 0; i < count; i++) {
        if (!job_attempt_has_file(attempt, &files[i]))
            return job_unspool(attempt->catalog, &attempt->claim, err);
    }
    job_attempt_add_files(attempt, files, count);
    attempt->row_count = attempt->job->row_count;
    attempt->spooled_manifest = manifest;
    return true;
}

static struct job_delivery job_attempt_delivery(const struct job_attempt *attempt)
{
    return (struct job_delivery){
        .config = attempt->config,
        .catalog = attempt->catalog,
        .job = attempt->job,
        .watch = attempt->watch,
        .subscription = &attempt->subscription,
        .route = &attempt->route,
        .files = attempt->files,
        .file_count = attempt->file_count,
        .manifest = attempt->spooled_manifest,
        .arena = attempt->arena,
    };
}

// A customer's bucket may be slow for hours: somebody stays free for what others wait for.
static bool job_attempt_check_turn(const struct job_attempt *attempt, struct err *err)
{
    const struct job_run_config *config = attempt->config;
    const struct job_claim_request request = {.is_reserve = config->is_reserve,
                                              .delivery_limit = config->delivery_limit};
    bool may_deliver = true;
    if (attempt->route.goes_to_bucket && !attempt->job->is_spooled)
        TRY(job_may_deliver(attempt->catalog, &request, attempt->job, &may_deliver, err));
    return may_deliver || err_set(err, ERR_LIMIT, "%s", job_run_gives_way_text);
}

static bool job_attempt_deliver(struct job_attempt *attempt, struct err *err)
{
    const struct job_delivery delivery = job_attempt_delivery(attempt);
    if (job_deliver(&delivery, err))
        return true;
    if (err->kind == ERR_CORRUPT) {
        TRY(job_unspool(attempt->catalog, &attempt->claim, err));
        return err_set(err, ERR_UNAVAILABLE,
                       "files that waited to be delivered were damaged and are made again");
    }
    const bool is_final = err->kind != ERR_CANCELED && !err_kind_is_retryable(err->kind);
    if (is_final && !atomic_load(&attempt->watch->is_lost))
        job_deliver_discard(&delivery);
    return false;
}

// --- All of it

static bool job_attempt_publish(struct job_attempt *attempt, struct err *err)
{
    struct buf manifest CLEANUP(buf_clear);
    buf_init(&manifest, JOB_RUN_TEXT_BYTES_MAX);
    const bool is_spooled = attempt->spooled_manifest != NULL;
    if (!is_spooled)
        TRY(job_attempt_describe(attempt, &manifest, err));
    struct job_result result = job_attempt_result(attempt);
    result.manifest = is_spooled ? NULL : buf_text(&manifest);
    if (attempt->route.is_listed)
        result.expires_at_ms = result.now_ms + attempt->config->file_retention_ms;
    else
        result.file_count = 0;
    return job_succeed(attempt->catalog, &attempt->claim, &result, err);
}

// What is delivered is needed here no more. What stays behind now is removed by the sweep.
static void job_attempt_empty_spool(struct job_attempt *attempt)
{
    struct err ignored;
    if (job_attempt_is_spooling(attempt))
        (void)!job_attempt_delete_files(attempt, &ignored);
}

static bool job_attempt_run(struct job_attempt *attempt, struct err *err)
{
    TRY(job_attempt_load(attempt, err));
    if (attempt->job->is_spooled)
        TRY(job_attempt_take_spooled(attempt, err));
    if (attempt->spooled_manifest == NULL)
        TRY(job_attempt_make(attempt, err));
    if (attempt->spooled_manifest != NULL) {
        TRY(job_attempt_check_turn(attempt, err));
        TRY(job_attempt_deliver(attempt, err));
    }
    if (attempt->job->kind == JOB_SAMPLE)
        TRY(job_attempt_delete_files(attempt, err));
    TRY(job_attempt_publish(attempt, err));
    job_attempt_empty_spool(attempt);
    return true;
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
    if (recipe == NULL || attempt.route.made_in == NULL) // nothing was written
        return true;
    TRY(recipe_load(slice_text(recipe), &arena, &attempt.recipe, err));
    job_inputs_name_tasks(job, &attempt.recipe, &arena, &attempt.inputs);
    for (size_t i = 0; i < attempt.inputs.task_count; i++) {
        const struct parts_config parts_config = job_attempt_parts(&attempt, i);
        TRY(parts_delete(&parts_config, 0, err));
    }
    return true;
}
