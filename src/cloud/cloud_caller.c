// SPDX-License-Identifier: Apache-2.0
#include "cloud/cloud_caller.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"

#define CLOUD_METADATA_CONNECT_MS INT64_C(1000)
#define CLOUD_METADATA_TOTAL_MS   INT64_C(3000)
#define CLOUD_METADATA_ATTEMPTS   2
#define CLOUD_QUOTE_CHARS_MAX     ((size_t)200)

void cloud_caller_open(const struct cloud_config *config, struct cloud_caller *ret_caller)
{
    static const struct retry_limits usual = {.attempts = 4, .base_ms = 250, .max_ms = 5000};
    *ret_caller = (struct cloud_caller){
        .retry = config->retry.attempts == 0 ? usual : config->retry,
        .clock = config->clock == NULL ? clock_system() : config->clock,
        .rng = config->rng == NULL ? rng_system() : config->rng,
    };
    struct http_client_config http = config->http;
    http.reply_bytes_max = CLOUD_REPLY_BYTES_MAX;
    http_client_open(&http, &ret_caller->http);
}

void cloud_caller_open_metadata(const struct cloud_config *config, struct cloud_caller *ret_caller)
{
    struct cloud_config near = *config;
    near.http = (struct http_client_config){.connect_timeout_ms = CLOUD_METADATA_CONNECT_MS,
                                            .total_timeout_ms = CLOUD_METADATA_TOTAL_MS};
    cloud_caller_open(&near, ret_caller);
    if (ret_caller->retry.attempts > CLOUD_METADATA_ATTEMPTS)
        ret_caller->retry.attempts = CLOUD_METADATA_ATTEMPTS;
}

void cloud_caller_close(struct cloud_caller *caller)
{
    http_client_close(&caller->http);
}

bool cloud_status_is_passing(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

struct cloud_body {
    struct slice rest;
};

static bool cloud_body_read(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                            struct err *err)
{
    (void)err;
    struct cloud_body *body = context;
    const size_t size_bytes = body->rest.size_bytes < capacity_bytes ? body->rest.size_bytes
                                                                     : capacity_bytes;
    if (size_bytes > 0)
        memcpy(ret_data, body->rest.data, size_bytes);
    body->rest = slice_from(body->rest, size_bytes);
    *ret_bytes = size_bytes;
    return true;
}

// Once. *ret_after_ms is what the server asks to wait.
static bool cloud_caller_try(const struct cloud_caller *caller, const struct cloud_call *call,
                             struct arena *arena, struct cloud_reply *ret_reply,
                             int64_t *ret_after_ms, struct err *err)
{
    struct buf body CLEANUP(buf_wipe); // it may be a secret
    buf_init(&body, CLOUD_REPLY_BYTES_MAX);
    struct cloud_body sent = {call->body};
    const struct http_client_call http_call = {.method = call->method,
                                               .url = call->url,
                                               .headers = call->headers,
                                               .header_count = call->header_count,
                                               .body_bytes = (int64_t)call->body.size_bytes,
                                               .read = cloud_body_read,
                                               .context = &sent,
                                               .arena = arena};
    struct http_client_reply reply;
    *ret_after_ms = 0;
    TRY(http_client_send(caller->http, &http_call, &reply, &body, err));
    if (cloud_status_is_passing(reply.status)) {
        *ret_after_ms = reply.retry_after_s * CIVIL_SECOND_MS;
        return err_set(err, ERR_UNAVAILABLE, "HTTP %d", reply.status);
    }
    *ret_reply = (struct cloud_reply){
        .status = reply.status,
        .body = slice_of(arena_copy_slice(arena, buf_slice(&body)), body.size_bytes),
        .http = reply,
    };
    return true;
}

bool cloud_caller_send(const struct cloud_caller *caller, const struct cloud_call *call,
                       struct arena *arena, struct cloud_reply *ret_reply, struct err *err)
{
    struct retry retry;
    retry_init(&retry, &caller->retry, caller->rng);
    struct err failure = {0};
    int64_t after_ms = 0;
    while (!cloud_caller_try(caller, call, arena, ret_reply, &after_ms, &failure)) {
        if (!retry_wait(&retry, after_ms, &failure))
            return err_set(err, failure.kind, "%s", failure.message);
    }
    return true;
}

bool cloud_endpoint_parse(const char *name, const char *text, struct arena *arena,
                          struct endpoint *ret_endpoint, struct err *err)
{
    struct endpoint endpoint;
    if (!endpoint_parse(slice_text(text), arena, &endpoint, NULL) || endpoint.path[0] != '\0')
        return err_set(err, ERR_INVALID, "%s: not a URL of the form https://HOST[:PORT]", name);
    *ret_endpoint = endpoint;
    return true;
}

bool cloud_endpoint_check(const char *name, const char *text, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct endpoint endpoint;
    return cloud_endpoint_parse(name, text, &arena, &endpoint, err);
}

const char *cloud_quote(struct slice text, const struct secret *secret, struct arena *arena)
{
    const struct slice hidden = secret == NULL ? slice_of(NULL, 0) : secret_reveal(secret);
    if (hidden.size_bytes > 0 && text.size_bytes > 0 &&
        memmem(text.data, text.size_bytes, hidden.data, hidden.size_bytes) != NULL)
        return "";
    if (text.size_bytes > CLOUD_QUOTE_CHARS_MAX)
        text.size_bytes = CLOUD_QUOTE_CHARS_MAX;
    char *quoted = arena_copy_slice(arena, text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (quoted[i] < ' ' || quoted[i] > '~')
            quoted[i] = ' ';
    }
    return quoted;
}

bool cloud_is_header_text(struct slice text, size_t limit_bytes)
{
    const char *chars = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (chars[i] <= ' ' || chars[i] > '~')
            return false;
    }
    return text.size_bytes >= 1 && text.size_bytes <= limit_bytes;
}
