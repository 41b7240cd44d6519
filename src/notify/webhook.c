// SPDX-License-Identifier: Apache-2.0
#include "notify/webhook.h"

#include "base/check.h"
#include "base/mem.h"

// Of a reply that nobody reads; the limit on time alone would let through what a fast line carries.
#define WEBHOOK_REPLY_BYTES_MAX ((size_t)1024 * 1024)

struct webhook_exchange {
    const struct webhook_call *call;
    struct slice rest; // of the body
    size_t reply_bytes;
};

static bool webhook_read(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                         struct err *err)
{
    (void)err;
    struct webhook_exchange *exchange = context;
    const size_t size = exchange->rest.size_bytes < capacity_bytes ? exchange->rest.size_bytes
                                                                   : capacity_bytes;
    if (size > 0)
        memcpy(ret_data, exchange->rest.data, size);
    exchange->rest = slice_from(exchange->rest, size);
    *ret_bytes = size;
    return true;
}

static bool webhook_write(void *context, struct slice bytes, struct err *err)
{
    struct webhook_exchange *exchange = context;
    exchange->reply_bytes += bytes.size_bytes;
    if (exchange->reply_bytes > WEBHOOK_REPLY_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the reply is too large");
    return true;
}

static bool webhook_keep_going(void *context)
{
    const struct webhook_call *call = ((const struct webhook_exchange *)context)->call;
    return call->keep_going == NULL || call->keep_going(call->context);
}

static struct notice_attempt webhook_judge(const struct http_client_reply *reply,
                                           struct arena *arena)
{
    struct notice_attempt attempt = {
        .verdict = NOTICE_FAILED,
        .status = reply->status,
        .retry_after_s = reply->retry_after_s,
    };
    const int class = reply->status / 100;
    if (class == 2 && reply->was_sent_whole)
        attempt.verdict = NOTICE_DELIVERED;
    else if (class == 2)
        attempt.reason = "answered before it had all of the notice";
    else if (class == 3)
        attempt.reason = arena_format(arena, "answered %d; redirects are not followed",
                                      reply->status);
    else
        attempt.reason = arena_format(arena, "answered %d", reply->status);
    if (reply->status == 410)
        attempt.verdict = NOTICE_REFUSED;
    return attempt;
}

struct notice_attempt webhook_send(struct http_client *client, const struct webhook_call *call,
                                   struct arena *arena)
{
    const struct notice *notice = call->notice;
    const struct slice body = slice_text(notice->body);
    const struct http_client_header headers[] = {
        {"Content-Type", "application/json"},
        {"Milkrun-Event", notice_event_name(notice->event)},
        {"Milkrun-Notice-Id", notice->id},
        {"Milkrun-Signature",
         webhook_sign(call->secrets, call->secret_count, call->now_s, body, arena)},
    };
    struct webhook_exchange exchange = {.call = call, .rest = body};
    const struct http_client_call http_call = {
        .method = "POST",
        .url = notice->notification.target,
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .body_bytes = (int64_t)body.size_bytes,
        .read = webhook_read,
        .write = webhook_write,
        .keep_going = webhook_keep_going,
        .context = &exchange,
    };
    struct http_client_reply reply = {0};
    struct buf ignored CLEANUP(buf_clear);
    struct err err = {0};
    buf_init(&ignored, WEBHOOK_REPLY_BYTES_MAX);
    if (http_client_send(client, &http_call, &reply, &ignored, &err))
        return webhook_judge(&reply, arena);
    return (struct notice_attempt){
        .verdict = err.kind == ERR_CANCELED ? NOTICE_STOPPED : NOTICE_FAILED,
        .reason = err.kind == ERR_CANCELED ? "the sender was stopped"
                                           : notice_plain_reason(err.message, arena),
    };
}
