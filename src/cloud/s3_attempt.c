// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "cloud/s3_client_internal.h"

#define S3_SLOWEST_BYTES_PER_MS 64 // slower uploads are given up in the end

static const char s3_empty_sha256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static bool s3_attempt_read(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                            struct err *err)
{
    struct s3_attempt *attempt = context;
    const struct s3_body *body = attempt->call->body;
    const uint64_t left_bytes = body->size_bytes - attempt->sent_bytes;
    const size_t size_bytes = left_bytes < capacity_bytes ? (size_t)left_bytes : capacity_bytes;
    if (body->fd < 0) {
        memcpy(ret_data, slice_chars(body->text) + attempt->sent_bytes, size_bytes);
    } else {
        TRY(file_read_at(body->fd, body->offset_bytes + attempt->sent_bytes, ret_data, size_bytes,
                         err));
    }
    attempt->sent_bytes += size_bytes;
    *ret_bytes = size_bytes;
    return true;
}

static bool s3_attempt_write(void *context, struct slice bytes, struct err *err)
{
    const struct s3_attempt *attempt = context;
    const struct s3_receiver *receiver = attempt->call->receiver;
    return receiver->write(receiver->context, bytes, err);
}

static bool s3_attempt_keep_going(void *context)
{
    const struct s3_attempt *attempt = context;
    return attempt->call->keep_going == NULL || attempt->call->keep_going(attempt->call->context);
}

static const char *s3_attempt_path(const struct s3_attempt *attempt)
{
    const struct s3_config *config = &attempt->client->config;
    const char *key = attempt->call->key == NULL ? "" : attempt->call->key;
    return config->is_path_style ? arena_format(attempt->arena, "/%s/%s", config->bucket, key)
                                 : arena_format(attempt->arena, "/%s", key);
}

// With Content-MD5, where there are bytes: a bucket with object lock asks for it.
static const struct http_client_header *s3_attempt_headers(const struct s3_attempt *attempt,
                                                           size_t *ret_count)
{
    const struct s3_call *call = attempt->call;
    struct arena *arena = attempt->arena;
    struct http_client_header *headers = arena_alloc_array(arena, call->header_count + 1,
                                                           sizeof *headers);
    for (size_t i = 0; i < call->header_count; i++)
        headers[i] = call->headers[i];
    *ret_count = call->header_count;
    if (call->body != NULL)
        headers[(*ret_count)++] = (struct http_client_header){
            "Content-MD5",
            base64_encode(BASE64_STANDARD, slice_of(call->body->md5, MD5_BYTES), arena)};
    return headers;
}

static void s3_attempt_sign(const struct s3_attempt *attempt, const char *host,
                            struct sigv4_signed *ret_signed)
{
    const struct s3_client *client = attempt->client;
    const struct s3_call *call = attempt->call;
    const bool is_goog = client->config.provider == S3_PROVIDER_GCS_XML;
    char *sha256 = arena_alloc(attempt->arena, SHA256_HEX_CHARS + 1);
    memcpy(sha256, s3_empty_sha256, SHA256_HEX_CHARS);
    if (call->body != NULL)
        hex_encode(slice_of(call->body->sha256, SHA256_BYTES), sha256);
    struct sigv4_request request = {
        .dialect = is_goog ? SIGV4_GOOG : SIGV4_AMZ,
        .method = call->method,
        .host = host,
        .path = s3_attempt_path(attempt),
        .query = call->query,
        .query_count = call->query_count,
        .payload_sha256 = sha256,
        .key_id = attempt->credentials.key_id,
        .secret = secret_reveal(&attempt->credentials.secret_key),
        .region = client->region,
        .service = is_goog ? "storage" : "s3",
        .signed_at_ms = clock_wall_ms(client->config.clock) + client->skew_ms,
    };
    request.headers = s3_attempt_headers(attempt, &request.header_count);
    if (!secret_is_empty(&attempt->credentials.session_token))
        request.session_token = slice_chars(secret_reveal(&attempt->credentials.session_token));
    sigv4_sign_headers(&request, attempt->arena, ret_signed);
}

bool s3_attempt_exchange(struct s3_attempt *attempt, struct http_client_reply *ret_reply,
                         struct buf *ret_body, struct err *err)
{
    const struct s3_client *client = attempt->client;
    const struct s3_call *call = attempt->call;
    const char *host = client->config.is_path_style
                           ? client->authority
                           : arena_format(attempt->arena, "%s.%s", client->config.bucket,
                                          client->authority);
    struct sigv4_signed request;
    s3_attempt_sign(attempt, host, &request);
    const uint64_t body_bytes = call->body == NULL ? 0 : call->body->size_bytes;
    const uint64_t moved_bytes = body_bytes +
                                 (call->receiver == NULL ? 0 : call->receiver->expected_bytes);
    if (call->receiver != NULL)
        call->receiver->restart(call->receiver->context);
    attempt->sent_bytes = 0;
    const struct http_client_call http_call = {
        .method = call->method,
        .url = arena_format(attempt->arena, "%s%s%s", client->scheme, host, request.target),
        .headers = request.headers,
        .header_count = request.header_count,
        .body_bytes = (int64_t)body_bytes,
        .read = body_bytes == 0 ? NULL : s3_attempt_read,
        .write = call->receiver == NULL ? NULL : s3_attempt_write,
        .keep_going = s3_attempt_keep_going,
        .context = attempt,
        .arena = attempt->arena,
        .total_timeout_ms = client->config.http.total_timeout_ms +
                            (int64_t)(moved_bytes / S3_SLOWEST_BYTES_PER_MS),
    };
    return http_client_send(client->http, &http_call, ret_reply, ret_body, err);
}
