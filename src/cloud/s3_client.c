// SPDX-License-Identifier: Apache-2.0
#include "cloud/s3_client.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cloud/s3_address.h"
#include "cloud/s3_client_internal.h"

#define S3_REPLY_BYTES_MAX ((size_t)1024 * 1024)

static void s3_client_set_defaults(struct s3_config *config)
{
    static const struct retry_limits limits = {.attempts = 8, .base_ms = 250, .max_ms = 20000};
    if (config->retry.attempts == 0)
        config->retry = limits;
    if (config->clock == NULL)
        config->clock = clock_system();
    if (config->rng == NULL)
        config->rng = rng_system();
}

bool s3_client_open(const struct s3_config *config, struct s3_client **ret_client, struct err *err)
{
    static const char *const schemes[] = {"https://", "http://"};
    const char *scheme = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++)
        if (strncmp(config->endpoint, schemes[i], strlen(schemes[i])) == 0)
            scheme = schemes[i];
    const char *authority = scheme == NULL ? "" : config->endpoint + strlen(scheme);
    if (authority[0] == '\0' || strpbrk(authority, "/?#@") != NULL)
        return err_set(err, ERR_INVALID, "Invalid endpoint URL");
    ASSERT(config->get_credentials != NULL);
    struct s3_client *client = mem_alloc(sizeof *client);
    client->config = *config;
    client->config.is_path_style = config->is_path_style ||
                                   s3_needs_path_style(config->endpoint, config->bucket);
    client->config.endpoint = NULL;
    client->config.region = NULL;
    client->bucket = mem_copy_text(config->bucket);
    client->config.bucket = client->bucket;
    if (config->http.ca_file != NULL)
        client->ca_file = mem_copy_text(config->http.ca_file);
    client->config.http.ca_file = client->ca_file;
    if (config->http.proxy != NULL)
        client->proxy = mem_copy_text(config->http.proxy);
    client->config.http.proxy = client->proxy;
    s3_client_set_defaults(&client->config);
    client->scheme = mem_copy_text(scheme);
    client->authority = mem_copy_text(authority);
    client->region = mem_copy_text(config->region);
    http_client_open(&client->config.http, &client->http);
    *ret_client = client;
    return true;
}

void s3_client_close(struct s3_client **address)
{
    struct s3_client *client = *address;
    if (client == NULL)
        return;
    http_client_close(&client->http);
    mem_free(client->bucket);
    mem_free(client->ca_file);
    mem_free(client->proxy);
    mem_free(client->scheme);
    mem_free(client->authority);
    mem_free(client->region);
    mem_free(client);
    *address = NULL;
}

void s3_client_reconnect(struct s3_client *client)
{
    http_client_close(&client->http);
    http_client_open(&client->config.http, &client->http);
}

struct s3_body s3_body_of_text(struct slice text)
{
    struct s3_body body = {.fd = -1, .text = text, .size_bytes = text.size_bytes};
    sha256_of(text, body.sha256);
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    md5_update(md5, text);
    md5_finish(md5, body.md5);
    return body;
}

const char *s3_reply_header(const struct s3_reply *reply, const char *name)
{
    const struct http_client_reply http = {.headers = reply->headers,
                                           .header_count = reply->header_count};
    return http_client_reply_header(&http, name);
}

struct retry s3_client_retry(const struct s3_client *client, bool (*keep_going)(void *context),
                             void *context)
{
    struct retry retry;
    retry_init(&retry, &client->config.retry, client->config.rng);
    retry.keep_going = keep_going;
    retry.context = context;
    return retry;
}

// --- Calls

static enum s3_course s3_client_try(struct s3_attempt *attempt, struct buf *body,
                                    struct s3_reply *ret_reply, struct err *err)
{
    const struct s3_config *config = &attempt->client->config;
    const struct s3_call *call = attempt->call;
    if (call->keep_going != NULL && !call->keep_going(call->context)) {
        (void)err_set(err, ERR_CANCELED, "canceled");
        return S3_COURSE_FAILED;
    }
    if (!config->get_credentials(config->context, false, attempt->arena, &attempt->credentials,
                                 err))
        return S3_COURSE_FAILED;
    buf_reset(body);
    struct http_client_reply reply;
    struct err failure = {0};
    if (s3_attempt_exchange(attempt, &reply, body, &failure))
        return s3_judge(attempt, &reply, buf_slice(body), ret_reply, err);
    s3_client_reconnect(attempt->client);
    attempt->is_unclear = true;
    const bool may_pass = failure.kind == ERR_UNAVAILABLE || failure.kind == ERR_LIMIT;
    (void)err_set(may_pass ? &attempt->last : err, may_pass ? ERR_UNAVAILABLE : failure.kind,
                  "%s: %s", call->name, failure.message);
    return may_pass ? S3_COURSE_LATER : S3_COURSE_FAILED;
}

// Waits before the next attempt, as long as the store asks for within our bound. False: there is
// none, and *err tells of all of them.
static bool s3_client_go_on(struct s3_attempt *attempt, struct err *err)
{
    const int64_t after_s = attempt->retry_after_s;
    attempt->retry_after_s = 0;
    if (!attempt->call->is_single &&
        retry_wait(&attempt->retry, after_s < INT32_MAX ? after_s * 1000 : INT32_MAX,
                   &attempt->last))
        return true;
    return err_set(err, attempt->last.kind, "%s", attempt->last.message);
}

bool s3_client_send(struct s3_client *client, const struct s3_call *call, struct arena *arena,
                    struct s3_reply *ret_reply, bool *ret_is_unclear, struct err *err)
{
    struct s3_attempt attempt = {.client = client,
                                 .call = call,
                                 .arena = arena,
                                 .retry = s3_client_retry(client, call->keep_going, call->context)};
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, S3_REPLY_BYTES_MAX);
    bool is_done = false;
    bool goes_on = true;
    while (goes_on) {
        const enum s3_course course = s3_client_try(&attempt, &body, ret_reply, err);
        is_done = course == S3_COURSE_DONE;
        goes_on = course == S3_COURSE_AGAIN ||
                  (course == S3_COURSE_LATER && s3_client_go_on(&attempt, err));
    }
    if (ret_is_unclear != NULL && attempt.is_unclear)
        *ret_is_unclear = true;
    return is_done;
}
