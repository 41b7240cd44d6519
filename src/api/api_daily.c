// SPDX-License-Identifier: Apache-2.0
// Daily exports: POST /v3/export, by branch key and secret in the body. The answer lists the files
// of a day by topic, and it is never short: what is not made yet is made now, while the connection
// waits, and what cannot be had in time is a 503.
//
//   key and secret -> day -> lake sealed up to now -> topics with events -> one request each
//   -> all of them final -> reply
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/check.h"
#include "base/civil.h"
#include "catalog/daily_sets.h"
#include "catalog/segments.h"
#include "lake/ingest_log.h"
#include "model/export_dates.h"

#define API_DAILY_DENIED  "Invalid or missing app id, Branch key, or secret"
#define API_DAILY_EXPIRED "Data retention for requested data has expired."
#define API_DAILY_AGAIN_S 5

// The documented keys in their order; other topics follow when they have events of the day.
static const char *const api_daily_topics[] = {
    "eo_branch_cta_view",
    "eo_click",
    "eo_commerce_event",
    "eo_content_event",
    "eo_custom_event",
    "eo_impression",
    "eo_install",
    "eo_open",
    "eo_pageview",
    "eo_reinstall",
    "eo_user_lifecycle_event",
    "eo_web_session_start",
    "eo_web_to_app_auto_redirect",
    "eo_dismissal",
};

// What is kept while the call waits.
struct api_daily {
    struct daily_day day;
    struct daily_topic *topics;
    const char **request_ids; // of the topics
    size_t topic_count;
};

static bool api_daily_refuse(struct api_call *call, struct err *err)
{
    return api_refuse(call, err, 400, API_DAILY_DENIED);
}

static bool api_daily_later(struct api_call *call, int64_t retry_after_s, struct err *err)
{
    call->retry_after_s = retry_after_s;
    return api_refuse(call, err, 503, "The export of this day is not ready yet: ask again");
}

// A text of the body; empty when it is something else.
static struct slice api_daily_member(const struct json_node *body, const char *name)
{
    return json_node_text(json_node_get(body, name));
}

// Secrets in a query end up in the logs of proxies: such a call fails even with the right one.
static bool api_daily_query_is_clean(const struct api_call *call)
{
    size_t count = 0;
    (void)http_query(call->request, "branch_secret", &count);
    return count == 0;
}

// From here on the caller is the app: what is signed for it ends with its key.
static bool api_daily_authenticate(struct api_call *call, const struct json_node *body,
                                   struct err *err)
{
    struct tenant_app app = {0};
    struct slice wanted_id;
    const struct slice secret = api_daily_member(body, "branch_secret");
    if (!api_daily_query_is_clean(call) ||
        !api_call_id_member(call, body, "app_id", &wanted_id, err))
        return api_daily_refuse(call, err);
    TRY(api_call_catalog(call, err));
    if (!tenant_verify_branch(call->catalog, api_daily_member(body, "branch_key"), secret,
                              call->now_ms, call->arena, &app, err))
        return err->kind == ERR_DENIED ? api_daily_refuse(call, err) : false;
    if (!slice_is_empty(wanted_id) && !slice_equal_text(wanted_id, app.id))
        return api_daily_refuse(call, err);
    call->identity = (struct tenant_identity){
        .key_id = app.branch_key,
        .organization_id = app.organization_id,
        .app_id = app.id,
    };
    call->app_id = app.id;
    return true;
}

// In the body as documented; some clients put it into the query.
static bool api_daily_read_day(struct api_call *call, const struct json_node *body,
                               struct export_dates *ret_dates, struct err *err)
{
    struct slice date = api_daily_member(body, "export_date");
    if (slice_is_empty(date))
        TRY(api_call_query(call, "export_date", &date, err));
    if (slice_is_empty(date))
        return api_refuse(call, err, 400, "Missing required field: export_date");
    return export_dates_parse_day(date, ret_dates, err);
}

// A day that goes on, or whose grace does, is ready when both are over.
static bool api_daily_check_day(struct api_call *call, const struct export_dates *dates,
                                struct err *err)
{
    const struct api_settings *settings = &call->api->config.settings;
    const int64_t look_back_days = settings->daily.look_back_days;
    const int64_t ready_at_ms = dates->end_ms + settings->daily_grace_ms;
    if (dates->start_ms > call->now_ms)
        return api_refuse(call, err, 400, "Invalid date: export_date is in the future");
    if (look_back_days > 0 && (call->now_ms - dates->start_ms) / CIVIL_DAY_MS > look_back_days)
        return api_refuse(call, err, 400, "Invalid date: export_date is more than %lld days ago",
                          (long long)look_back_days);
    if (call->now_ms < ready_at_ms)
        return api_daily_later(call, (ready_at_ms - call->now_ms + 999) / 1000, err);
    return true;
}

// --- The reply

static bool api_daily_check_job(struct api_call *call, const struct job *job, struct err *err)
{
    const bool is_old = job->reason != NULL && strcmp(job->reason, job_reason_past_retention) == 0;
    if (is_old)
        return api_refuse(call, err, 400, API_DAILY_EXPIRED);
    if (job->state == JOB_FAILED) {
        call->failure = job->reason;
        return api_refuse(call, err, 500, API_TEXT_INTERNAL);
    }
    if (job->state != JOB_SUCCEEDED || (job->row_count > 0 && api_job_file_count(call, job) == 0))
        return api_daily_later(call, API_DAILY_AGAIN_S, err);
    return true;
}

static void api_daily_write_topic(struct api_call *call, const char *name, const struct job *job)
{
    struct json_text *json = &call->json;
    json_text_key(json, name);
    json_text_open(json, '[');
    for (size_t i = 0; job != NULL && job->row_count > 0 && i < job->file_count; i++)
        json_text_string(json, slice_text(api_sign_file(call, &job->files[i])));
    json_text_close(json, ']');
}

static bool api_daily_is_documented(const char *name, size_t *ret_index)
{
    for (size_t i = 0; i < ARRAY_COUNT(api_daily_topics); i++) {
        if (strcmp(api_daily_topics[i], name) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static void api_daily_write(struct api_call *call, const struct api_daily *daily,
                            const struct request *requests)
{
    const struct job *documented[ARRAY_COUNT(api_daily_topics)] = {NULL};
    size_t index = 0;
    for (size_t i = 0; i < daily->topic_count; i++) {
        if (api_daily_is_documented(daily->topics[i].name, &index))
            documented[index] = &requests[i].job;
    }
    json_text_open(&call->json, '{');
    for (size_t i = 0; i < ARRAY_COUNT(api_daily_topics); i++)
        api_daily_write_topic(call, api_daily_topics[i], documented[i]);
    for (size_t i = 0; i < daily->topic_count; i++) {
        if (!api_daily_is_documented(daily->topics[i].name, &index))
            api_daily_write_topic(call, daily->topics[i].name, &requests[i].job);
    }
    json_text_close(&call->json, '}');
}

static bool api_daily_finish(struct api_call *call, struct err *err)
{
    const struct api_daily *daily = call->waiting;
    const struct request_scope scope = {
        .kind = SUBSCRIPTION_DAILY_EXPORT,
        .organization_id = daily->day.organization_id,
        .app_id = daily->day.app_id,
    };
    struct request *requests = arena_alloc_array(call->arena, daily->topic_count + 1,
                                                 sizeof *requests);
    if (!call->is_there)
        return api_daily_later(call, API_DAILY_AGAIN_S, err);
    for (size_t i = 0; i < daily->topic_count; i++) {
        TRY(request_get(call->catalog, &scope, slice_text(daily->request_ids[i]), call->arena,
                        &requests[i], err));
        TRY(api_daily_check_job(call, &requests[i].job, err));
    }
    api_daily_write(call, daily, requests);
    return true;
}

// --- The set

// *ret_is_final: nothing needs to be waited for.
static bool api_daily_begin(struct api_call *call, struct api_daily *daily,
                            const char *const **ret_job_ids, bool *ret_is_final, struct err *err)
{
    const struct daily_making making = {
        .day = daily->day,
        .file_rows = call->api->config.settings.daily.file_rows,
        .now_ms = call->now_ms,
        .is_awaited = true,
    };
    TRY(daily_find_topics(call->catalog, &daily->day, call->arena, &daily->topics,
                          &daily->topic_count, err));
    daily->request_ids = arena_alloc_array(call->arena, daily->topic_count + 1,
                                           sizeof *daily->request_ids);
    const char **job_ids = arena_alloc_array(call->arena, daily->topic_count + 1, sizeof *job_ids);
    *ret_is_final = true;
    for (size_t i = 0; i < daily->topic_count; i++) {
        struct request request = {0};
        if (!daily_make(call->catalog, &making, &daily->topics[i], call->arena, &request, err))
            return err->kind == ERR_UNAVAILABLE ? api_daily_later(call, API_DAILY_AGAIN_S, err)
                                                : false;
        daily->request_ids[i] = request.id;
        job_ids[i] = request.job.id;
        *ret_is_final &= request.job.state == JOB_SUCCEEDED || request.job.state == JOB_FAILED;
    }
    *ret_job_ids = job_ids;
    return true;
}

static bool api_daily_make(struct api_call *call, struct err *err)
{
    struct api_daily *daily = call->waiting;
    const char *const *job_ids = NULL;
    bool is_final = false;
    if (!call->is_there)
        return api_daily_later(call, API_DAILY_AGAIN_S, err);
    TRY(api_daily_begin(call, daily, &job_ids, &is_final, err));
    if (is_final)
        return api_daily_finish(call, err);
    api_call_changed(call);
    const struct api_suspension suspension = {
        .resume = api_daily_finish,
        .job_ids = job_ids,
        .job_count = daily->topic_count,
        .timeout_ms = API_WAIT_MS,
    };
    return api_call_wait(call, &suspension);
}

bool api_daily_export(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct export_dates dates;
    TRY(api_call_object(call, &body, err));
    TRY(api_daily_authenticate(call, body, err));
    TRY(api_daily_read_day(call, body, &dates, err));
    TRY(api_daily_check_day(call, &dates, err));
    struct api_daily *daily = arena_alloc(call->arena, sizeof *daily);
    daily->day = (struct daily_day){call->identity.organization_id, call->app_id, dates.start_ms};
    call->waiting = daily;
    call->is_there = true;
    const struct api_suspension suspension = {
        .resume = api_daily_make,
        .seal_seq = ingest_log_last_seq(call->api->config.log),
        .timeout_ms = API_WAIT_MS,
    };
    int64_t seal_seq = 0;
    TRY(segment_seal_point(call->catalog, &seal_seq, err));
    return seal_seq < suspension.seal_seq ? api_call_wait(call, &suspension)
                                          : api_daily_make(call, err);
}
