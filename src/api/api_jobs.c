// SPDX-License-Identifier: Apache-2.0
// Calls about jobs. The Branch surface asks below a subscription, the native one by job id alone.
#include <inttypes.h>

#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_subscriptions.h"
#include "api/api_write.h"

// Signed URLs are minted for a second of time, so within it a list is the same until something
// changes. Parts are separated by what no id has; the path's part comes last, since it may hold
// anything.
static struct slice api_list_key(const struct api_call *call, const struct api_page *page)
{
    const struct slice id = call->match.params[0];
    const char *app_id = call->app_id == NULL ? "" : call->app_id;
    return slice_text(arena_format(call->arena, "jobs\n%s\n%s\n%zu\n%" PRId64 "\n%.*s",
                                   call->identity.key_id, app_id, page->limit, call->now_ms / 1000,
                                   (int)id.size_bytes, slice_chars(id)));
}

static struct api_place api_place_of_job(const struct api_call *call, const struct job *job)
{
    return (struct api_place){job->start_ms,
                              arena_format(call->arena, "%010" PRId64, job->revision)};
}

static bool api_write_jobs(struct api_call *call, struct api_page *page, struct err *err)
{
    struct subscription subscription = {0};
    struct job *jobs = NULL;
    size_t count = 0;
    TRY(api_find_subscription(call, &subscription, err));
    const int64_t since_ms = call->now_ms - call->api->config.settings.export_retention_ms;
    TRY(job_list(call->catalog, subscription.id, since_ms, call->arena, &jobs, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count && !api_page_is_over(page); i++) {
        if (api_page_takes(page, api_place_of_job(call, &jobs[i])))
            api_write_job(call, &jobs[i], api_is_hosted(&subscription));
    }
    json_text_close(&call->json, ']');
    api_page_close(page);
    return true;
}

// Only lists that fit into one page are kept: others have a Link besides.
bool api_job_list(struct api_call *call, struct err *err)
{
    struct api_page page;
    struct slice known;
    TRY(api_page_open(call, API_PAGE_DESCENDING, &page, err));
    const struct slice key = api_list_key(call, &page);
    if (!page.has_start && api_memo_find(call->handle.memo, key, &known)) {
        json_text_raw(&call->json, known);
        return true;
    }
    TRY(api_write_jobs(call, &page, err));
    if (!page.has_start && !page.has_more)
        api_memo_add(call->handle.memo, key, buf_slice(&call->reply));
    return true;
}

bool api_job_get(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    struct job job = {0};
    TRY(api_find_subscription(call, &subscription, err));
    TRY(job_get(call->catalog, call->identity.organization_id, slice_text(subscription.id),
                call->match.params[1], call->arena, &job, err));
    api_write_job(call, &job, api_is_hosted(&subscription));
    return true;
}

// Jobs of exports that were asked for once are not below any subscription that can be seen.
static bool api_native_request(struct api_call *call, const struct job *job,
                               struct subscription *ret_subscription, struct err *err)
{
    const bool sees_app = job->app_id != NULL &&
                          (call->app_id == NULL || strcmp(job->app_id, call->app_id) == 0);
    const bool sees_all = job->app_id == NULL && call->identity.app_id == NULL;
    TRY(subscription_get_any(call->catalog, job->subscription_id, job->subscription_version,
                             call->arena, ret_subscription, err));
    if (ret_subscription->kind == SUBSCRIPTION_SCHEDULED || (!sees_app && !sees_all))
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    return true;
}

// The job together with its subscription, which says what app it is of and where its files are.
static bool api_native_job(struct api_call *call, struct subscription *ret_subscription,
                           struct job *ret_job, struct err *err)
{
    const struct subscription_scope scope = api_call_scope(call);
    TRY(api_call_catalog(call, err));
    TRY(job_get(call->catalog, call->identity.organization_id, slice_of(NULL, 0),
                call->match.params[0], call->arena, ret_job, err));
    if (subscription_get(call->catalog, &scope, slice_text(ret_job->subscription_id), call->arena,
                         ret_subscription, err))
        return true;
    return err->kind == ERR_NOT_FOUND && api_native_request(call, ret_job, ret_subscription, err);
}

bool api_native_job_get(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    struct job job = {0};
    TRY(api_native_job(call, &subscription, &job, err));
    return api_write_native_job(call, &job, &subscription, err);
}

bool api_native_job_manifest(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    struct job job = {0};
    const char *manifest = NULL;
    TRY(api_native_job(call, &subscription, &job, err));
    TRY(job_get_manifest(call->catalog, call->identity.organization_id, call->match.params[0],
                         call->arena, &manifest, err));
    json_text_raw(&call->json, slice_text(manifest));
    return true;
}

bool api_native_job_retry(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    struct job failed = {0};
    struct job job = {0};
    TRY(api_native_job(call, &subscription, &failed, err));
    TRY(job_retry(call->catalog, call->identity.organization_id, call->match.params[0],
                  call->now_ms, call->arena, &job, err));
    TRY(api_write_native_job(call, &job, &subscription, err));
    api_call_changed(call);
    return true;
}

bool api_native_job_restore(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    struct job expired = {0};
    struct job job = {0};
    TRY(api_native_job(call, &subscription, &expired, err));
    const struct job_restore_request request = {
        .organization_id = call->identity.organization_id,
        .job_id = call->match.params[0],
        .now_ms = call->now_ms,
        .expires_at_ms = call->now_ms + call->api->config.settings.export_retention_ms,
    };
    TRY(job_restore(call->catalog, &request, call->arena, &job, err));
    TRY(api_write_native_job(call, &job, &subscription, err));
    api_call_changed(call);
    return true;
}
