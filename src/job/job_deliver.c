// SPDX-License-Identifier: Apache-2.0
#include "job/job_deliver.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "catalog/deliveries.h"
#include "job/job_mail.h"
#include "model/report_destination.h"

#define JOB_DELIVER_FILE_TYPE     "application/octet-stream"
#define JOB_DELIVER_MANIFEST_TYPE "application/json"

// Names that start with an underscore are left out by what reads whole folders of a bucket.
#define JOB_DELIVER_MANIFEST_NAME "_manifest.json"
#define JOB_DELIVER_OWN_FOLDER    "_milkrun"

// --- Routes

struct job_route job_route_of(const struct job_run_config *config, const struct job *job,
                              const struct subscription *subscription)
{
    struct job_route route = {0};
    if (subscription->kind == SUBSCRIPTION_PREVIEW)
        return route;
    const enum report_destination destination = subscription->report.destination;
    const bool is_hosted_here = config->hosted == NULL;
    route.goes_to_bucket = destination == REPORT_CLOUD;
    route.goes_by_mail = destination == REPORT_EMAIL;
    // The files of a sample are needed by nobody: only whether they could be delivered counts.
    route.goes_to_hosted = !route.goes_to_bucket && !is_hosted_here && job->kind != JOB_SAMPLE;
    route.is_listed = !route.goes_to_bucket && job->kind != JOB_SAMPLE;
    route.made_in = route.goes_to_bucket || !is_hosted_here ? config->spool : config->store;
    return route;
}

bool job_route_is_delivered(const struct job_route *route)
{
    return route->goes_to_bucket || route->goes_to_hosted || route->goes_by_mail;
}

bool job_deliver_prefix(const struct subscription *subscription, struct arena *arena,
                        const char **ret_prefix, struct err *err)
{
    *ret_prefix = "";
    if (subscription->report.destination != REPORT_CLOUD)
        return true;
    struct report_cloud cloud;
    TRY(report_read_cloud(&subscription->report, arena, &cloud, err));
    if (cloud.prefix != NULL)
        *ret_prefix = arena_format(arena, "%s/", cloud.prefix);
    return true;
}

// Below the folder that the destination names.
static const char *job_deliver_place(const struct job *job, const struct job_route *route,
                                     const char *key, struct arena *arena)
{
    if (!route->goes_to_bucket || job->kind != JOB_SAMPLE)
        return key;
    const char *slash = strrchr(key, '/');
    ASSERT(slash != NULL);
    return arena_format(arena, JOB_DELIVER_OWN_FOLDER "/sample/%s%s", job->id, slash);
}

const char *job_deliver_key(const struct job *job, const struct job_route *route,
                            const char *prefix, const char *key, struct arena *arena)
{
    return arena_format(arena, "%s%s", prefix, job_deliver_place(job, route, key, arena));
}

// v2/y=.../[h=.../]app_id=A/job_id=J/_manifest.json; of all apps: organization_id=O.
static const char *job_deliver_manifest_place(const struct job_delivery *delivery)
{
    const struct job *job = delivery->job;
    const char *key = delivery->files[0].key;
    const char *app = strstr(key, "/app_id=");
    ASSERT(app != NULL);
    const bool is_of_app = job->app_id != NULL;
    return arena_format(delivery->arena, "%.*s/%s=%s/job_id=%s/" JOB_DELIVER_MANIFEST_NAME,
                        (int)(app - key), key, is_of_app ? "app_id" : "organization_id",
                        is_of_app ? job->app_id : job->organization_id, job->id);
}

// --- One object

static struct job_claim job_deliver_claim(const struct job_delivery *delivery)
{
    const struct job *job = delivery->job;
    return (struct job_claim){.job_id = job->id, .fence = job->fence, .claim_id = job->claim_id};
}

// The worker of an earlier claim may have died between the beginning of an upload and its note.
static bool job_deliver_is_repeated(const struct job_delivery *delivery)
{
    return delivery->job->fence > 1;
}

static bool job_deliver_goes_on(void *context)
{
    const struct job_delivery *delivery = context;
    atomic_fetch_add(&delivery->watch->progress, 1);
    return !atomic_load(&delivery->watch->is_lost);
}

static bool job_deliver_upload_begun(void *context, const char *key, const char *upload_id,
                                     struct err *err)
{
    const struct job_delivery *delivery = context;
    const struct job_claim claim = job_deliver_claim(delivery);
    const struct job_upload upload = {key, upload_id};
    return job_upload_begun(delivery->catalog, &claim, &upload,
                            clock_wall_ms(delivery->config->clock), err);
}

static bool job_deliver_upload_over(void *context, const char *key, const char *upload_id,
                                    struct err *err)
{
    const struct job_delivery *delivery = context;
    const struct job_upload upload = {key, upload_id};
    return job_upload_over(delivery->catalog, delivery->job->id, &upload, err);
}

// Whether the file has the bytes that it had when it was made. False: it cannot be read.
static bool job_deliver_is_whole(const struct store_file_spec *spec, bool *ret_is_whole)
{
    uint8_t sha256[SHA256_BYTES];
    uint64_t size_bytes = 0;
    if (!file_digest_fd(spec->fd, spec->key, sha256, &size_bytes, NULL))
        return false;
    *ret_is_whole = size_bytes == spec->size_bytes &&
                    memcmp(sha256, spec->sha256, sizeof sha256) == 0;
    return true;
}

static bool job_deliver_object(const struct job_delivery *delivery, struct store *store,
                               const struct store_file_spec *spec, struct err *err)
{
    struct job_delivery copy = *delivery; // the hooks' context is not const
    const struct store_hooks hooks = {
        .keep_going = job_deliver_goes_on,
        .upload_begun = job_deliver_upload_begun,
        .upload_over = job_deliver_upload_over,
        .context = &copy,
    };
    enum store_put_outcome outcome;
    if (store_put_file(store, spec, &hooks, &outcome, err))
        return true;
    bool is_whole = false;
    if (err->kind != ERR_CORRUPT || !job_deliver_is_whole(spec, &is_whole))
        return false;
    // It is not the file that is damaged, so making it again would not help.
    if (is_whole)
        err->kind = ERR_INVALID;
    return is_whole ? err_wrap(err, "upload_integrity") : false;
}

static bool job_deliver_set_damaged(const struct job_file *file, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "spooled file %s is not what was made", file->key);
}

// Sets fd, size and hash; *ret_fd is for the caller to close, also after a failure.
static bool job_deliver_open_file(const struct job_delivery *delivery, const struct job_file *file,
                                  struct store_file_spec *spec, int *ret_fd, struct err *err)
{
    if (!store_open_object(delivery->route->made_in, file->key, ret_fd, &spec->size_bytes, err)) {
        if (err->kind == ERR_NOT_FOUND)
            err->kind = ERR_CORRUPT;
        return err_wrap(err, "spooled file %s", file->key);
    }
    spec->fd = *ret_fd;
    return (spec->size_bytes == (uint64_t)file->byte_count &&
            hex_decode(slice_text(file->sha256), spec->sha256, sizeof spec->sha256)) ||
           job_deliver_set_damaged(file, err);
}

static bool job_deliver_file(const struct job_delivery *delivery, struct store *store,
                             const char *key, const struct job_file *file, struct err *err)
{
    int fd CLEANUP(file_close) = -1;
    struct store_file_spec spec = {.key = key,
                                   .content_type = JOB_DELIVER_FILE_TYPE,
                                   .may_have_strays = job_deliver_is_repeated(delivery)};
    TRY(job_deliver_open_file(delivery, file, &spec, &fd, err));
    return job_deliver_object(delivery, store, &spec, err);
}

bool job_deliver_open_whole(const struct job_delivery *delivery, const struct job_file *file,
                            int *ret_fd, struct err *err)
{
    int fd CLEANUP(file_close) = -1;
    struct store_file_spec spec = {0};
    bool is_whole = false;
    TRY(job_deliver_open_file(delivery, file, &spec, &fd, err));
    if (!job_deliver_is_whole(&spec, &is_whole))
        return err_set_errno(err, "spooled file %s", file->key);
    if (!is_whole)
        return job_deliver_set_damaged(file, err);
    *ret_fd = fd;
    fd = -1;
    return true;
}

static bool job_deliver_manifest(const struct job_delivery *delivery, struct store *store,
                                 const char *key, struct err *err)
{
    const struct slice text = slice_text(delivery->manifest);
    int fd CLEANUP(file_close) = memfd_create("manifest", MFD_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "memfd");
    TRY(file_write_all(fd, text, "manifest", err));
    struct store_file_spec spec = {
        .key = key,
        .fd = fd,
        .size_bytes = text.size_bytes,
        .content_type = JOB_DELIVER_MANIFEST_TYPE,
        .may_have_strays = job_deliver_is_repeated(delivery),
    };
    sha256_of(text, spec.sha256);
    return job_deliver_object(delivery, store, &spec, err);
}

// Those of earlier claims, whose workers are dead or have lost the job.
static bool job_deliver_abort_uploads(const struct job_delivery *delivery, struct store *store,
                                      struct err *err)
{
    struct job_upload *uploads = NULL;
    size_t count = 0;
    TRY(job_uploads(delivery->catalog, delivery->job->id, delivery->arena, &uploads, &count, err));
    for (size_t i = 0; i < count; i++) {
        // Who may not abort, or has another bucket now, leaves it to the bucket's own rule: it is a
        // cost, and no failure.
        if (!store_abort_upload(store, uploads[i].key, uploads[i].upload_id, err) &&
            (err->kind == ERR_CANCELED || err_kind_is_retryable(err->kind)))
            return false;
        TRY(job_upload_over(delivery->catalog, delivery->job->id, &uploads[i], err));
    }
    return true;
}

// --- Buckets

static bool job_deliver_files(const struct job_delivery *delivery, struct store *store,
                              struct err *err)
{
    TRY(job_deliver_abort_uploads(delivery, store, err));
    for (size_t i = 0; i < delivery->file_count; i++) {
        const struct job_file *file = &delivery->files[i];
        const char *key = job_deliver_place(delivery->job, delivery->route, file->key,
                                            delivery->arena);
        TRY(job_deliver_file(delivery, store, key, file, err));
    }
    return true;
}

static bool job_deliver_open_bucket(const struct job_delivery *delivery,
                                    struct destination_bucket *ret_bucket, struct err *err)
{
    const struct destination_request request = {
        .catalog = delivery->catalog,
        .organization_id = delivery->job->organization_id,
        .subscription_id = delivery->job->subscription_id,
        .report = &delivery->subscription->report,
    };
    return destinations_open_bucket(delivery->config->destinations, &request, delivery->arena,
                                    ret_bucket, err);
}

bool job_deliver_probe(const struct destination_bucket *bucket, const char *name,
                       struct arena *arena, struct err *err)
{
    struct store_probe probe = {0};
    const char *key = arena_format(arena, JOB_DELIVER_OWN_FOLDER "/probe-%s", name);
    if (store_probe(bucket->store, key, &probe, err))
        return true;
    if (err->kind != ERR_CORRUPT)
        return false;
    err->kind = ERR_INVALID; // nothing of ours is damaged
    return err_wrap(err, "upload_integrity");
}

static bool job_deliver_sample(const struct job_delivery *delivery,
                               const struct destination_bucket *bucket, struct err *err)
{
    struct arena *arena = delivery->arena;
    const char *probe_name = arena_format(arena, "%s-%lld", delivery->job->id,
                                          (long long)delivery->job->fence);
    TRY(job_deliver_probe(bucket, probe_name, arena, err));
    TRY(job_deliver_files(delivery, bucket->store, err));
    for (size_t i = 0; i < delivery->file_count; i++) {
        struct err ignored; // who may not delete, keeps the sample
        const char *key = job_deliver_place(delivery->job, delivery->route, delivery->files[i].key,
                                            arena);
        (void)!store_delete(bucket->store, key, &ignored);
    }
    return subscription_settle_probe(delivery->catalog, delivery->job->subscription_id,
                                     clock_wall_ms(delivery->config->clock), NULL, err);
}

static bool job_deliver_to_bucket(const struct job_delivery *delivery, struct err *err)
{
    struct destination_bucket bucket CLEANUP(destination_bucket_close) = {0};
    TRY(job_deliver_open_bucket(delivery, &bucket, err));
    if (delivery->job->kind == JOB_SAMPLE)
        return job_deliver_sample(delivery, &bucket, err);
    TRY(job_deliver_files(delivery, bucket.store, err));
    const char *key = job_deliver_manifest_place(delivery);
    return job_deliver_manifest(delivery, bucket.store, key, err);
}

// A hosted bucket that refuses us is the operator's to mend, and none of the customer's business:
// the job waits.
static bool job_deliver_to_hosted(const struct job_delivery *delivery, struct err *err)
{
    if (job_deliver_files(delivery, delivery->config->hosted, err))
        return true;
    if (err->kind == ERR_DENIED || err->kind == ERR_NOT_FOUND || err->kind == ERR_UNAVAILABLE)
        err->kind = ERR_IO;
    return err_wrap(err, "hosted bucket");
}

bool job_deliver(const struct job_delivery *delivery, struct err *err)
{
    const struct job_route *route = delivery->route;
    ASSERT(delivery->file_count > 0);
    ASSERT(job_route_is_delivered(route));
    if (route->goes_to_bucket)
        return job_deliver_to_bucket(delivery, err);
    if (route->goes_to_hosted)
        TRY(job_deliver_to_hosted(delivery, err));
    return !route->goes_by_mail || job_mail_send(delivery, err);
}

// --- After a failure

static void job_deliver_take_away(struct store *store, const char *key, const struct job_file *file)
{
    struct err ignored;
    uint8_t sha256[SHA256_BYTES];
    enum store_state found = STORE_ABSENT;
    if (hex_decode(slice_text(file->sha256), sha256, sizeof sha256) &&
        store_check(store, key, (uint64_t)file->byte_count, sha256, &found, &ignored) &&
        found == STORE_SAME)
        (void)!store_delete(store, key, &ignored);
}

void job_deliver_discard(const struct job_delivery *delivery)
{
    struct err ignored;
    struct destination_bucket bucket CLEANUP(destination_bucket_close) = {0};
    if (!delivery->route->goes_to_bucket || !job_deliver_open_bucket(delivery, &bucket, &ignored) ||
        !job_deliver_abort_uploads(delivery, bucket.store, &ignored))
        return;
    for (size_t i = 0; i < delivery->file_count && !atomic_load(&delivery->watch->is_lost); i++)
        job_deliver_take_away(bucket.store,
                              job_deliver_place(delivery->job, delivery->route,
                                                delivery->files[i].key, delivery->arena),
                              &delivery->files[i]);
}
