// SPDX-License-Identifier: Apache-2.0
#include "api/api_write.h"

#include "base/civil.h"
#include "base/hash.h"
#include "net/sigv4.h"

void api_write_time(struct json_text *json, const char *key, int64_t time_ms)
{
    char text[CIVIL_API_CHARS + 1];
    civil_format_api(time_ms, text);
    json_text_key(json, key);
    json_text_string(json, slice_of(text, CIVIL_API_CHARS));
}

void api_url_secret(const struct api *api, const char *key_id, uint8_t ret_secret[32])
{
    hmac_sha256(slice_of(api->config.url_key, sizeof api->config.url_key), slice_text(key_id),
                ret_secret);
}

static const char *api_host_of(const char *base_url)
{
    return strstr(base_url, "://") + 3; // api_open has checked it
}

// The signature lives for the documented seven days from now; the file may go before.
const char *api_sign_file(struct api_call *call, const struct job_file *file)
{
    if (!call->has_url_secret) {
        api_url_secret(call->api, call->identity.key_id, call->url_secret);
        call->has_url_secret = true;
    }
    const char *base_url = api_base_url(call);
    const struct sigv4_url url = {
        .host = api_host_of(base_url),
        .path = arena_format(call->arena, "/exports/%s", file->key),
        .key_id = call->identity.key_id,
        .secret = slice_of(call->url_secret, sizeof call->url_secret),
        .region = API_URL_REGION,
        .signed_at_ms = call->now_ms,
        .expires_s = SIGV4_EXPIRES_MAX_S,
    };
    return arena_format(call->arena, "%s%s", base_url, sigv4_sign_url(&url, call->arena));
}

size_t api_job_file_count(const struct api_call *call, const struct job *job)
{
    const bool is_there = job->state == JOB_SUCCEEDED && !job->is_expired &&
                          job->expires_at_ms > call->now_ms;
    return is_there ? job->file_count : 0;
}

static void api_write_files(struct api_call *call, const struct job *job, bool is_hosted)
{
    struct json_text *json = &call->json;
    const size_t count = is_hosted ? api_job_file_count(call, job) : 0;
    json_text_key(json, "export_url");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_text_string(json, slice_text(api_sign_file(call, &job->files[i])));
    json_text_close(json, ']');
    json_text_key(json, "sha256");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++)
        json_text_string(json, slice_text(job->files[i].sha256));
    json_text_close(json, ']');
}

static void api_write_job_members(struct api_call *call, const struct job *job, bool is_hosted)
{
    struct json_text *json = &call->json;
    json_text_member_text(json, "job_id", job->id);
    json_text_member_text(json, "status", job_state_name(job->state));
    api_write_time(json, "start_date", job->start_ms);
    api_write_time(json, "end_date", job->end_ms);
    api_write_files(call, job, is_hosted);
    json_text_member_int64(json, "lines_exported",
                           job->state == JOB_SUCCEEDED ? job->row_count : 0);
    json_text_member_int64(json, "revision", job->revision);
    if (job->state == JOB_SUCCEEDED && job->expires_at_ms > 0)
        api_write_time(json, "expires_at", job->expires_at_ms);
    if (job->reason != NULL) // of one that SUCCEEDED: why its files could not be restored
        json_text_member_text(json, "reason", job->reason);
}

void api_write_job(struct api_call *call, const struct job *job, bool is_hosted)
{
    json_text_open(&call->json, '{');
    api_write_job_members(call, job, is_hosted);
    json_text_close(&call->json, '}');
}

void api_write_native_job(struct api_call *call, const struct job *job, bool is_hosted)
{
    struct json_text *json = &call->json;
    json_text_open(json, '{');
    api_write_job_members(call, job, is_hosted);
    json_text_member_text(json, "subscription_id", job->subscription_id);
    json_text_member_text(json, "app_id", job->app_id);
    api_write_time(json, "created_at", job->created_at_ms);
    if (job->finished_at_ms != 0)
        api_write_time(json, "finished_at", job->finished_at_ms);
    json_text_close(json, '}');
}

void api_write_success(struct api_call *call, const char *description)
{
    json_text_open(&call->json, '{');
    json_text_member_text(&call->json, "status", "SUCCESS");
    json_text_member_text(&call->json, "description", description);
    json_text_close(&call->json, '}');
}
