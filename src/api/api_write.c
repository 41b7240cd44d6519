// SPDX-License-Identifier: Apache-2.0
#include "api/api_write.h"

#include "base/civil.h"
#include "catalog/deliveries.h"

void api_write_time(struct json_text *json, const char *key, int64_t time_ms)
{
    char text[CIVIL_API_CHARS + 1];
    civil_format_api(time_ms, text);
    json_text_key(json, key);
    json_text_string(json, slice_of(text, CIVIL_API_CHARS));
}

void api_url_secret(const struct api *api, const char *key_id, uint8_t ret_secret[32])
{
    hosted_url_secret(slice_of(api->config.url_key, sizeof api->config.url_key), key_id,
                      ret_secret);
}

// The signature lives for the documented seven days from now; the file may go before.
const char *api_sign_file(struct api_call *call, const struct job_file *file)
{
    if (!call->has_url_secret) {
        api_url_secret(call->api, call->identity.key_id, call->url_secret);
        call->has_url_secret = true;
    }
    const struct hosted_signer signer = {
        .settings = call->api->config.hosted,
        .base_url = api_base_url(call),
        .key_id = call->identity.key_id,
        .secret = slice_of(call->url_secret, sizeof call->url_secret),
    };
    return hosted_sign(&signer, file->key, call->now_ms, call->arena);
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

static void api_write_recipients(struct json_text *json, const struct job_recipient *recipients,
                                 size_t count)
{
    json_text_key(json, "recipients");
    json_text_open(json, '[');
    for (size_t i = 0; i < count; i++) {
        json_text_open(json, '{');
        json_text_member_text(json, "email", recipients[i].address);
        json_text_member_text(json, "status", job_recipient_state_name(recipients[i].state));
        if (recipients[i].reason != NULL)
            json_text_member_text(json, "reason", recipients[i].reason);
        json_text_close(json, '}');
    }
    json_text_close(json, ']');
}

bool api_is_hosted(const struct subscription *subscription)
{
    return subscription->report.destination == REPORT_BRANCH;
}

bool api_write_native_job(struct api_call *call, const struct job *job,
                          const struct subscription *subscription, struct err *err)
{
    struct job_recipient *recipients = NULL;
    size_t recipient_count = 0;
    const bool has_recipients = subscription->report.destination == REPORT_EMAIL;
    if (has_recipients)
        TRY(job_recipients(call->catalog, job->id, call->arena, &recipients, &recipient_count,
                           err));
    struct json_text *json = &call->json;
    json_text_open(json, '{');
    api_write_job_members(call, job, api_is_hosted(subscription));
    json_text_member_text(json, "subscription_id", job->subscription_id);
    json_text_member_text(json, "app_id", job->app_id);
    api_write_time(json, "created_at", job->created_at_ms);
    if (job->finished_at_ms != 0)
        api_write_time(json, "finished_at", job->finished_at_ms);
    if (has_recipients)
        api_write_recipients(json, recipients, recipient_count);
    json_text_close(json, '}');
    return true;
}

void api_write_success(struct api_call *call, const char *description)
{
    json_text_open(&call->json, '{');
    json_text_member_text(&call->json, "status", "SUCCESS");
    json_text_member_text(&call->json, "description", description);
    json_text_close(&call->json, '}');
}
