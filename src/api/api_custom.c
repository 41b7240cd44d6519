// SPDX-License-Identifier: Apache-2.0
// Custom exports: POST /v2/logs makes a request that is exported once, GET /v2/logs/{handle} tells
// how far it is. Branch's documents contradict each other in the names of keys, and clients follow
// one or the other: replies have both.
#include "api/api_custom_body.h"
#include "api/api_handlers.h"

#include "api/api_reply.h"
#include "api/api_write.h"
#include "catalog/requests.h"

// Clients ask once and then not for minutes: a small export is done when they ask first.
#define API_CUSTOM_PATIENCE_MS INT64_C(1000)

// By the id that the caller named.
static const char *api_custom_status_url(const struct api_call *call, const char *handle)
{
    return call->app_id != NULL
               ? arena_format(call->arena, "%s/v2/logs/%s?app_id=%s", api_base_url(call), handle,
                              call->app_id)
               : arena_format(call->arena, "%s/v2/logs/%s?organization_id=%s", api_base_url(call),
                              handle, call->identity.organization_id);
}

static void api_custom_write_handle(struct api_call *call, const char *handle)
{
    struct json_text *json = &call->json;
    json_text_member_text(json, "handle", handle);
    json_text_member_text(json, "request_handle", handle);
    json_text_member_text(json, "export_job_status_url", api_custom_status_url(call, handle));
}

static void api_custom_write_created(struct api_call *call, const char *handle)
{
    json_text_open(&call->json, '{');
    api_custom_write_handle(call, handle);
    json_text_close(&call->json, '}');
}

bool api_custom_create(struct api_call *call, struct err *err)
{
    struct api_custom_body body = {0};
    struct request request = {0};
    TRY(api_custom_read(call, &body, err));
    const struct request_spec spec = {
        .kind = SUBSCRIPTION_CUSTOM_EXPORT,
        .organization_id = call->identity.organization_id,
        .app_id = call->app_id,
        .report = &body.report,
        .topic_id = body.topic_id,
        .start_ms = body.dates.start_ms,
        .end_ms = body.dates.end_ms,
        .now_ms = call->now_ms,
    };
    TRY(request_create(call->catalog, &spec, call->arena, &request, err));
    api_custom_write_created(call, request.id);
    api_call_changed(call);
    return true;
}

static bool api_custom_find(struct api_call *call, struct slice handle, struct request *ret_request,
                            struct err *err)
{
    const struct request_scope scope = {
        .kind = SUBSCRIPTION_CUSTOM_EXPORT,
        .organization_id = call->identity.organization_id,
        .app_id = call->app_id,
        .with_organization = call->identity.app_id == NULL,
    };
    TRY(api_call_catalog(call, err));
    return request_get(call->catalog, &scope, handle, call->arena, ret_request, err);
}

bool api_custom_replay(struct api_call *call, const char *handle, struct err *err)
{
    struct request request = {0};
    TRY(api_custom_find(call, slice_text(handle), &request, err));
    api_custom_write_created(call, request.id);
    return true;
}

// --- How far it is

static const char *api_custom_status_of(const struct job *job)
{
    switch (job->state) {
    case JOB_PENDING_GENERATION:
        return "pending";
    case JOB_RUNNING:
    case JOB_PENDING_UPLOAD:
        return "running";
    case JOB_SUCCEEDED:
        return "complete";
    case JOB_FAILED:
        break;
    }
    return "fail";
}

// Absent before the export is complete: some clients take any value for a URL.
static void api_custom_write_urls(struct api_call *call, const struct job *job)
{
    struct json_text *json = &call->json;
    const size_t count = api_job_file_count(call, job);
    if (count > 0) {
        const char *first = api_sign_file(call, &job->files[0]);
        json_text_member_text(json, "response_url", first);
        json_text_member_text(json, "status_url", first);
    }
    json_text_key(json, "response_urls");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_text_string(json, slice_text(api_sign_file(call, &job->files[i])));
    json_text_close(json, ']');
}

static void api_custom_write_status(struct api_call *call, const struct request *request)
{
    struct json_text *json = &call->json;
    const struct job *job = &request->job;
    const bool is_complete = job->state == JOB_SUCCEEDED;
    json_text_open(json, '{');
    json_text_member_int64(json, "code", 200);
    json_text_member_text(json, "status", api_custom_status_of(job));
    if (is_complete)
        api_custom_write_urls(call, job);
    json_text_member_int64(json, "lines_exported", is_complete ? job->row_count : 0);
    api_custom_write_handle(call, request->id);
    json_text_member_text(json, "job_id", job->id);
    if (is_complete && job->expires_at_ms > 0)
        api_write_time(json, "expires_at", job->expires_at_ms);
    if (job->reason != NULL)
        json_text_member_text(json, "reason", job->reason);
    json_text_close(json, '}');
}

static bool api_custom_resume(struct api_call *call, struct err *err)
{
    struct request request = {0};
    TRY(api_custom_find(call, call->match.params[0], &request, err));
    api_custom_write_status(call, &request);
    return true;
}

bool api_custom_status(struct api_call *call, struct err *err)
{
    struct request request = {0};
    TRY(api_custom_find(call, call->match.params[0], &request, err));
    if (request.job.state == JOB_SUCCEEDED || request.job.state == JOB_FAILED) {
        api_custom_write_status(call, &request);
        return true;
    }
    const char **job_ids = arena_alloc(call->arena, sizeof *job_ids);
    job_ids[0] = request.job.id;
    const struct api_suspension suspension = {
        .resume = api_custom_resume,
        .job_ids = job_ids,
        .job_count = 1,
        .timeout_ms = API_CUSTOM_PATIENCE_MS,
    };
    return api_call_wait(call, &suspension);
}
