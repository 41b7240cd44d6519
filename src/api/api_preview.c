// SPDX-License-Identifier: Apache-2.0
// POST /v1/subscriptions/preview: what a subscription would have delivered for the last window. A
// priority job counts and measures, and the connection waits for it; nothing is left that a client
// could see.
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "api/api_report.h"
#include "api/api_write.h"
#include "base/check.h"
#include "base/mem.h"
#include "catalog/requests.h"

#define API_PREVIEW_AGAIN_S 2
// Who comes again after a 503 gets what was begun, for so long.
#define API_PREVIEW_SHARED_MS INT64_C(600000)

static bool api_preview_later(struct api_call *call, struct err *err)
{
    call->retry_after_s = API_PREVIEW_AGAIN_S;
    return api_refuse(call, err, 503, "The preview is not ready yet: ask again");
}

static void api_write_preview_errors(struct json_text *json, const char *reason)
{
    json_text_key(json, "errors");
    json_text_open(json, '[');
    if (reason != NULL) {
        json_text_open(json, '{');
        json_text_member_text(json, "message", reason);
        json_text_member_int64(json, "error_code", 500);
        json_text_close(json, '}');
    }
    json_text_close(json, ']');
}

// found: {"matched_rows":...,...} of the job, or NULL when it FAILED.
static void api_write_preview(struct api_call *call, const struct job *job, const char *found)
{
    static const char nothing[] = "\"matched_rows\":0,\"sample\":[],\"estimated_bytes\":0,"
                                  "\"estimated_files\":0";
    struct json_text *json = &call->json;
    const struct slice members = found == NULL ? slice_text(nothing)
                                               : slice_part(slice_text(found), 1,
                                                            strlen(found) - 2); // without braces
    json_text_open(json, '{');
    api_write_time(json, "start_date", job->start_ms);
    api_write_time(json, "end_date", job->end_ms);
    buf_append_text(&call->reply, ",");
    buf_append(&call->reply, members);
    api_write_preview_errors(json, job->state == JOB_FAILED ? job->reason : NULL);
    json_text_close(json, '}');
}

static bool api_preview_resume(struct api_call *call, struct err *err)
{
    const struct request *waiting = call->waiting;
    const struct request_scope scope = {
        .kind = SUBSCRIPTION_PREVIEW,
        .organization_id = waiting->organization_id,
        .app_id = waiting->app_id,
        .with_organization = true,
    };
    struct request request = {0};
    const char *found = NULL;
    if (!call->is_there)
        return api_preview_later(call, err);
    TRY(request_get(call->catalog, &scope, slice_text(waiting->id), call->arena, &request, err));
    if (request.job.state == JOB_SUCCEEDED)
        TRY(request_get_manifest(call->catalog, request.id, call->arena, &found, err));
    TRY(request_release(call->catalog, request.id, err));
    api_write_preview(call, &request.job, found);
    return true;
}

// Equal questions within some minutes are one.
static const char *api_preview_key(const struct api_call *call, const struct report *report)
{
    struct buf document CLEANUP(buf_clear);
    buf_init(&document, (size_t)16 << 20);
    report_store(report, &document);
    return arena_format(call->arena, "%lld|%s", (long long)(call->now_ms / API_PREVIEW_SHARED_MS),
                        buf_text(&document));
}

static bool api_preview_begin(struct api_call *call, const struct report *report, int64_t topic_id,
                              struct request *ret_request, struct err *err)
{
    const int64_t start_ms = window_last_complete(report->cadence, call->now_ms);
    const struct request_spec spec = {
        .kind = SUBSCRIPTION_PREVIEW,
        .organization_id = call->identity.organization_id,
        .app_id = call->app_id,
        .report = report,
        .topic_id = topic_id,
        .start_ms = start_ms,
        .end_ms = start_ms + cadence_ms(report->cadence),
        .now_ms = call->now_ms,
        .is_awaited = true,
        .shared_key = api_preview_key(call, report),
    };
    if (request_create(call->catalog, &spec, call->arena, ret_request, err))
        return true;
    return err->kind == ERR_UNAVAILABLE ? api_preview_later(call, err) : false;
}

bool api_preview(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct report report = {0};
    int64_t topic_id = 0;
    TRY(api_call_object(call, &body, err));
    TRY(report_parse(body, call->arena, &report, err));
    TRY(api_accept_report(call, &report, &topic_id, err));
    struct request *request = arena_alloc(call->arena, sizeof *request);
    TRY(api_preview_begin(call, &report, topic_id, request, err));
    api_call_changed(call);
    const char **job_ids = arena_alloc(call->arena, sizeof *job_ids);
    job_ids[0] = request->job.id;
    call->waiting = request;
    const struct api_suspension suspension = {
        .resume = api_preview_resume,
        .job_ids = job_ids,
        .job_count = 1,
        .timeout_ms = API_WAIT_MS,
    };
    return api_call_wait(call, &suspension);
}
