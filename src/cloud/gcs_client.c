// SPDX-License-Identifier: Apache-2.0
#include "cloud/gcs_client.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "cloud/cloud_caller.h"

#define GCS_REPLY_BYTES_MAX      HTTP_CLIENT_REPLY_BYTES_MAX
#define GCS_SLOWEST_BYTES_PER_MS 64 // slower calls are given up in the end

struct gcs_client {
    struct gcs_config config; // texts are those below
    struct http_client *http;
    char *endpoint;
    char *bucket;
    char *account;
    char *ca_file;
    char *proxy;
    int64_t after_ms;    // what the last answer asks to wait
    struct secret token; // that was sent last
};

static char *gcs_copy(const char *text)
{
    return text == NULL ? NULL : mem_copy_text(text);
}

bool gcs_client_open(const struct gcs_config *config, struct gcs_client **ret_client,
                     struct err *err)
{
    static const struct retry_limits usual = {.attempts = 8, .base_ms = 250, .max_ms = 20000};
    TRY(cloud_endpoint_check("endpoint", config->endpoint, err));
    struct gcs_client *client = mem_alloc(sizeof *client);
    client->config = *config;
    if (config->retry.attempts == 0)
        client->config.retry = usual;
    if (config->clock == NULL)
        client->config.clock = clock_system();
    if (config->rng == NULL)
        client->config.rng = rng_system();
    client->config.endpoint = client->endpoint = mem_copy_text(config->endpoint);
    client->config.bucket = client->bucket = mem_copy_text(config->bucket);
    client->config.account = client->account = gcs_copy(config->account);
    client->config.http.ca_file = client->ca_file = gcs_copy(config->http.ca_file);
    client->config.http.proxy = client->proxy = gcs_copy(config->http.proxy);
    client->config.http.reply_bytes_max = GCS_REPLY_BYTES_MAX;
    http_client_open(&client->config.http, &client->http);
    *ret_client = client;
    return true;
}

void gcs_client_close(struct gcs_client **address)
{
    struct gcs_client *client = *address;
    if (client == NULL)
        return;
    http_client_close(&client->http);
    secret_clear(&client->token);
    mem_free(client->endpoint);
    mem_free(client->bucket);
    mem_free(client->account);
    mem_free(client->ca_file);
    mem_free(client->proxy);
    mem_free(client);
    *address = NULL;
}

const char *gcs_client_bucket(const struct gcs_client *client)
{
    return client->bucket;
}

void gcs_client_init_retry(const struct gcs_client *client, struct retry *retry)
{
    retry_init(retry, &client->config.retry, client->config.rng);
}

int64_t gcs_client_now_ms(const struct gcs_client *client)
{
    return clock_wall_ms(client->config.clock);
}

int64_t gcs_client_after_ms(const struct gcs_client *client)
{
    return client->after_ms;
}

const char *gcs_reply_header(const struct gcs_reply *reply, const char *name)
{
    const struct http_client_reply http = {.headers = reply->headers,
                                           .header_count = reply->header_count};
    return http_client_reply_header(&http, name);
}

// --- What Google says

// {"error": {"code": 403, "message": ..., "errors": [{"reason": "forbidden", ...}]}}; uploads are
// refused in plain text as well.
static const struct json_node *gcs_error_of(const struct json_tree *tree)
{
    return json_node_get(json_tree_root(tree), "error");
}

const char *gcs_client_message(const struct gcs_client *client, struct slice body,
                               struct arena *arena)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(body, &tree, NULL))
        return cloud_quote(body, &client->token, arena);
    const struct slice message = json_node_text(json_node_get(gcs_error_of(tree), "message"));
    return cloud_quote(message, &client->token, arena);
}

static bool gcs_is_rate_limit(struct slice body)
{
    static const char *const reasons[] = {"rateLimitExceeded", "userRateLimitExceeded",
                                          "quotaExceeded", "dailyLimitExceeded"};
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(body, &tree, NULL))
        return false;
    const struct json_node *errors = json_node_get(gcs_error_of(tree), "errors");
    if (json_node_kind(errors) != JSON_KIND_ARRAY || json_node_count(errors) == 0)
        return false;
    const struct slice reason = json_node_text(json_node_get(json_node_at(errors, 0), "reason"));
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        if (slice_equal_text(reason, reasons[i]))
            return true;
    }
    return false;
}

// One attempt of a call.
struct gcs_attempt {
    struct gcs_client *client;
    const struct gcs_call *call;
    struct arena *arena; // of the whole call
    uint64_t sent_bytes;
};

static bool gcs_refuse(const struct gcs_attempt *attempt, int status, struct slice body,
                       struct err *err)
{
    const struct gcs_config *config = &attempt->client->config;
    const struct gcs_call *call = attempt->call;
    const char *account = config->account == NULL ? "the service account" : config->account;
    const char *quoted = gcs_client_message(attempt->client, body, attempt->arena);
    if (status == 401)
        return err_set(err, ERR_DENIED, "%s: Google does not take the token of %s", call->name,
                       account);
    if (status == 403 && call->permission != NULL)
        return err_set(err, ERR_DENIED,
                       "%s: %s is not permitted in the bucket %s: grant the role %s on it to %s. "
                       "Google says: %s",
                       call->name, call->permission, config->bucket, call->role, account, quoted);
    if (status == 403)
        return err_set(err, ERR_DENIED, "%s: not permitted in the bucket %s. Google says: %s",
                       call->name, config->bucket, quoted);
    if (status == 404)
        return err_set(err, ERR_NOT_FOUND, "%s: there is no bucket %s", call->name, config->bucket);
    if (status / 100 == 3)
        return err_set(err, ERR_INVALID,
                       "%s: the storage leads elsewhere (HTTP %d), which is not followed",
                       call->name, status);
    if (status / 100 == 2)
        return err_set(err, ERR_UNAVAILABLE, "%s: an answer that cannot be (HTTP %d)", call->name,
                       status);
    return err_set(err, ERR_INVALID, "%s: refused (HTTP %d). Google says: %s", call->name, status,
                   quoted);
}

// --- Calls

static bool gcs_attempt_read(void *context, void *ret_data, size_t capacity_bytes,
                             size_t *ret_bytes, struct err *err)
{
    struct gcs_attempt *attempt = context;
    const struct gcs_call *call = attempt->call;
    const uint64_t all_bytes = call->body_bytes == 0 ? call->text.size_bytes : call->body_bytes;
    const uint64_t left_bytes = all_bytes - attempt->sent_bytes;
    const size_t size_bytes = left_bytes < capacity_bytes ? (size_t)left_bytes : capacity_bytes;
    if (size_bytes > 0 && call->body_bytes == 0) {
        memcpy(ret_data, slice_chars(call->text) + attempt->sent_bytes, size_bytes);
    } else if (size_bytes > 0) {
        TRY(file_read_at(call->fd, call->offset_bytes + attempt->sent_bytes, ret_data, size_bytes,
                         err));
    }
    attempt->sent_bytes += size_bytes;
    *ret_bytes = size_bytes;
    return true;
}

static bool gcs_attempt_write(void *context, struct slice bytes, struct err *err)
{
    const struct gcs_receiver *receiver = ((struct gcs_attempt *)context)->call->receiver;
    return receiver->write(receiver->context, bytes, err);
}

static bool gcs_attempt_keep_going(void *context)
{
    const struct gcs_call *call = ((struct gcs_attempt *)context)->call;
    return call->keep_going == NULL || call->keep_going(call->context);
}

static bool gcs_attempt_exchange(struct gcs_attempt *attempt, struct http_client_reply *ret_reply,
                                 struct buf *ret_body, struct err *err)
{
    const struct gcs_client *client = attempt->client;
    const struct gcs_call *call = attempt->call;
    struct arena *arena = attempt->arena;
    struct http_client_header *headers = arena_alloc_array(arena, call->header_count + 1,
                                                           sizeof *headers);
    size_t count = 0;
    for (; count < call->header_count; count++)
        headers[count] = call->headers[count];
    if (!call->has_own_right) {
        const char *token = slice_chars(secret_reveal(&client->token));
        headers[count++] = (struct http_client_header){"Authorization",
                                                       arena_format(arena, "Bearer %s", token)};
    }
    const uint64_t body_bytes = call->body_bytes == 0 ? call->text.size_bytes : call->body_bytes;
    const uint64_t moved_bytes = body_bytes +
                                 (call->receiver == NULL ? 0 : call->receiver->expected_bytes);
    if (call->receiver != NULL)
        call->receiver->restart(call->receiver->context);
    attempt->sent_bytes = 0;
    const struct http_client_call http_call = {
        .method = call->method,
        .url = arena_format(arena, "%s%s", client->endpoint, call->path),
        .headers = headers,
        .header_count = count,
        .body_bytes = (int64_t)body_bytes,
        .read = body_bytes == 0 ? NULL : gcs_attempt_read,
        .write = call->receiver == NULL ? NULL : gcs_attempt_write,
        .keep_going = gcs_attempt_keep_going,
        .context = attempt,
        .arena = arena,
        .total_timeout_ms = client->config.http.total_timeout_ms +
                            (int64_t)(moved_bytes / GCS_SLOWEST_BYTES_PER_MS)};
    return http_client_send(client->http, &http_call, ret_reply, ret_body, err);
}

static bool gcs_is_expected(const struct gcs_call *call, int status)
{
    for (size_t i = 0; i < GCS_STATUSES_MAX && call->statuses[i] != 0; i++) {
        if (status == call->statuses[i])
            return true;
    }
    return status == 200;
}

// Takes the answer; or says what it means, UNAVAILABLE when another attempt may help.
static bool gcs_attempt_judge(struct gcs_attempt *attempt, const struct http_client_reply *reply,
                              struct slice body, struct gcs_reply *ret_reply, struct err *err)
{
    const struct gcs_call *call = attempt->call;
    const bool is_passing = cloud_status_is_passing(reply->status) ||
                            (reply->status == 403 && gcs_is_rate_limit(body));
    if (is_passing) {
        const int64_t longest_s = attempt->client->config.retry.max_ms / CIVIL_SECOND_MS + 1;
        attempt->client->after_ms =
            CIVIL_SECOND_MS * (reply->retry_after_s < longest_s ? reply->retry_after_s : longest_s);
        return err_set(err, ERR_UNAVAILABLE, "%s: HTTP %d", call->name, reply->status);
    }
    if (!gcs_is_expected(call, reply->status))
        return gcs_refuse(attempt, reply->status, body, err);
    if (!reply->was_sent_whole)
        return err_set(err, ERR_UNAVAILABLE, "%s: answered before all was sent", call->name);
    const struct gcs_reply answer = {
        .status = reply->status,
        .headers = reply->headers,
        .header_count = reply->header_count,
        .body = slice_of(arena_copy_slice(attempt->arena, body), body.size_bytes)};
    if (call->check != NULL && !call->check(call->check_context, &answer, err))
        return err_wrap(err, "%s", call->name);
    *ret_reply = answer;
    return true;
}

// *ret_is_unauthorized: the token was not taken. *ret_is_unclear is only set to true.
static bool gcs_client_try(struct gcs_attempt *attempt, bool is_refresh,
                           struct gcs_reply *ret_reply, bool *ret_is_unauthorized,
                           bool *ret_is_unclear, struct err *err)
{
    struct gcs_client *client = attempt->client;
    const struct gcs_config *config = &client->config;
    const struct gcs_call *call = attempt->call;
    *ret_is_unauthorized = false;
    client->after_ms = 0;
    if (!gcs_attempt_keep_going(attempt))
        return err_set(err, ERR_CANCELED, "%s: canceled", call->name);
    if (!call->has_own_right) {
        struct secret token;
        TRY(config->get_token(config->context, is_refresh, attempt->arena, &token, err));
        secret_clear(&client->token);
        secret_init(&client->token, secret_reveal(&token));
    }
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, GCS_REPLY_BYTES_MAX);
    struct http_client_reply reply;
    const bool is_answered = gcs_attempt_exchange(attempt, &reply, &body, err);
    if (is_answered) {
        *ret_is_unauthorized = reply.status == 401 && !call->has_own_right;
        if (gcs_attempt_judge(attempt, &reply, buf_slice(&body), ret_reply, err))
            return true;
    } else {
        if (err->kind == ERR_LIMIT) // nonsense, which may pass
            err->kind = ERR_UNAVAILABLE;
        (void)err_wrap(err, "%s", call->name);
    }
    if (is_answered && err->kind != ERR_UNAVAILABLE)
        return false;
    // What comes over that connection cannot be trusted any more.
    http_client_close(&client->http);
    http_client_open(&config->http, &client->http);
    *ret_is_unclear = true;
    return false;
}

bool gcs_client_send(struct gcs_client *client, const struct gcs_call *call, struct arena *arena,
                     struct gcs_reply *ret_reply, bool *ret_is_unclear, struct err *err)
{
    ASSERT(call->body_bytes == 0 || call->text.size_bytes == 0);
    struct gcs_attempt attempt = {.client = client, .call = call, .arena = arena};
    struct retry retry;
    gcs_client_init_retry(client, &retry);
    retry.keep_going = call->keep_going;
    retry.context = call->context;
    bool is_refresh = false;
    bool is_unclear = false;
    struct err failure = {0};
    bool is_done = false;
    for (;;) {
        bool is_unauthorized = false;
        is_done = gcs_client_try(&attempt, is_refresh, ret_reply, &is_unauthorized, &is_unclear,
                                 &failure);
        if (is_done)
            break;
        if (is_unauthorized && !is_refresh) {
            is_refresh = true; // from now on: a new one each time, until it is taken
            continue;
        }
        if (call->is_single || !retry_wait(&retry, client->after_ms, &failure))
            break;
        is_refresh = false;
    }
    if (ret_is_unclear != NULL && is_unclear)
        *ret_is_unclear = true;
    return is_done || err_set(err, failure.kind, "%s", failure.message);
}
