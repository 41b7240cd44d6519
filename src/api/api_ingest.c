// SPDX-License-Identifier: Apache-2.0
// Events in. The head is judged before the body comes; the body is decoded and checked as it
// arrives, so that memory stays flat; the answer waits, suspended, for the log's committer. The
// batch belongs to the request again once the committer has called back, and is freed in `ended`,
// which cannot come before http_resume.
#include "api/api_auth.h"
#include "api/api_idempotency.h"
#include "api/api_media.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "base/gzip.h"
#include "lake/ingest_log.h"

#define API_GUNZIP_PIECE ((size_t)32 * 1024)
// A piece of a gzip body can become a thousand times as long. After this much the thread's other
// connections have their turn: a millisecond of checking lines.
#define API_GUNZIP_TURN_BYTES ((size_t)256 * 1024)
// Blank lines cost time and give nothing to bound by. No file that somebody meant has this many.
#define API_BLANK_BYTES_MAX ((int64_t)2 * 1024 * 1024)
// The log keeps larger batches in files of their own, and ending one waits for the disk.
#define API_INGEST_SMALL_BYTES ((int64_t)1024 * 1024)

struct api_ingest {
    struct ingest_batch *batch;
    struct gunzip *gunzip; // NULL: the body is plain
    bool has_body;
    int64_t decoded_bytes;
    int64_t blank_bytes; // that came in a row, in whole pieces
};

static const char *const api_ingest_types[] = {
    "application/x-ndjson",
    "application/ndjson",
    "application/json",
};

static bool api_check_media_type(struct api_call *call, struct err *err)
{
    size_t count = 0;
    const struct slice type = http_header(call->request, "Content-Type", &count);
    for (size_t i = 0; i < ARRAY_COUNT(api_ingest_types) && count == 1; i++) {
        if (api_media_type_is(type, api_ingest_types[i]))
            return true;
    }
    if (count > 1)
        return api_refuse(call, err, 400, "Duplicate header: Content-Type");
    return api_refuse(call, err, 415, "Unsupported media type");
}

static bool api_check_coding(struct api_call *call, bool *ret_is_gzip, struct err *err)
{
    size_t count = 0;
    const struct slice coding = http_header(call->request, "Content-Encoding", &count);
    *ret_is_gzip = count == 1 && api_media_type_is(coding, "gzip");
    if (count == 0 || *ret_is_gzip || (count == 1 && api_media_type_is(coding, "identity")))
        return true;
    return api_refuse(call, err, 415, "Unsupported content encoding");
}

static bool api_ingest_mode(struct api_call *call, bool *ret_is_partial, struct err *err)
{
    struct slice mode;
    TRY(api_call_query(call, "mode", &mode, err));
    *ret_is_partial = slice_equal_text(mode, "partial");
    if (!slice_is_empty(mode) && !*ret_is_partial)
        return api_refuse(call, err, 400, "Invalid parameter: mode");
    return true;
}

// Texts of the log are for clients; what the disk said is for our log.
static bool api_from_log(struct api_call *call, bool is_done, struct err *err)
{
    if (is_done)
        return true;
    if (err->kind == ERR_UNAVAILABLE)
        call->refusal_status = 503;
    if (!err_kind_is_retryable(err->kind))
        return false;
    int64_t count = 0;
    struct err failure = {0};
    ingest_log_last_failure(call->api->config.log, &count, &failure);
    if (count > 0)
        call->failure = arena_copy_text(call->arena, failure.message);
    return false;
}

// Decoders take some 100 KiB each, so their count is bounded.
static bool api_take_gunzip(struct api_call *call, struct err *err)
{
    struct api *api = call->api;
    if (atomic_fetch_add(&api->gzip_count, 1) >= api->config.settings.gzip_request_count) {
        atomic_fetch_sub(&api->gzip_count, 1);
        return api_refuse(call, err, 503, "Overloaded");
    }
    call->ingest->gunzip = gunzip_new();
    return true;
}

bool api_ingest_head(struct api_call *call, struct err *err)
{
    const struct slice topic = call->match.params[0];
    bool is_gzip = false;
    struct ingest_batch_spec spec = {
        .organization_id = call->identity.organization_id,
        .app_id = call->app_id,
        .topic_name = api_call_param(call, 0),
    };
    if (!schema_topic_name_is_valid(topic))
        return api_refuse(call, err, 400, "Invalid topic name");
    TRY(api_check_media_type(call, err));
    TRY(api_check_coding(call, &is_gzip, err));
    TRY(api_idempotency_key(call, &spec.idempotency_key, err));
    TRY(api_ingest_mode(call, &spec.is_partial, err));
    call->ingest = arena_alloc(call->arena, sizeof *call->ingest);
    if (is_gzip)
        TRY(api_take_gunzip(call, err));
    return api_from_log(
        call, ingest_batch_begin(call->api->config.log, &spec, &call->ingest->batch, err), err);
}

static bool api_is_blank(struct slice bytes)
{
    const char *chars = slice_chars(bytes);
    size_t at = 0;
    while (at < bytes.size_bytes &&
           (chars[at] == '\n' || chars[at] == '\r' || chars[at] == ' ' || chars[at] == '\t'))
        at++;
    return at == bytes.size_bytes;
}

static bool api_check_blanks(struct api_call *call, struct slice bytes, struct err *err)
{
    struct api_ingest *ingest = call->ingest;
    ingest->blank_bytes = api_is_blank(bytes) ? ingest->blank_bytes + (int64_t)bytes.size_bytes : 0;
    if (ingest->blank_bytes <= API_BLANK_BYTES_MAX)
        return true;
    if (ingest->gunzip != NULL) // nothing shrinks like blanks: a bomb, told early
        return api_refuse(call, err, 413, "Decompressed body too large");
    return api_refuse(call, err, 400,
                      ingest->blank_bytes == ingest->decoded_bytes ? "No events in request"
                                                                   : "Too many blank lines");
}

static bool api_ingest_write(struct api_call *call, struct slice bytes, struct err *err)
{
    struct api_ingest *ingest = call->ingest;
    ingest->decoded_bytes += (int64_t)bytes.size_bytes;
    if (ingest->decoded_bytes > call->api->config.settings.ingest_body_bytes)
        return api_refuse(call, err, 413,
                          ingest->gunzip == NULL ? "Request body too large"
                                                 : "Decompressed body too large");
    TRY(api_check_blanks(call, bytes, err));
    return api_from_log(call, ingest_batch_write(ingest->batch, bytes, err), err);
}

// What the decoder holds back after its input is little, and comes out at once.
static bool api_ingest_gunzip(struct api_call *call, struct slice *bytes, struct err *err)
{
    uint8_t decoded[API_GUNZIP_PIECE];
    size_t decoded_size = 0;
    size_t turn_bytes = 0;
    do {
        TRY(gunzip_next(call->ingest->gunzip, bytes, decoded, sizeof decoded, &decoded_size, err));
        if (decoded_size > 0)
            TRY(api_ingest_write(call, slice_of(decoded, decoded_size), err));
        turn_bytes += decoded_size;
        if (turn_bytes >= API_GUNZIP_TURN_BYTES && !slice_is_empty(*bytes))
            return true;
    } while (!slice_is_empty(*bytes) || decoded_size > 0);
    return true;
}

bool api_ingest_body(struct api_call *call, struct slice bytes, size_t *ret_taken_bytes,
                     struct err *err)
{
    ASSERT(call->ingest != NULL);
    call->ingest->has_body = true;
    struct slice left = {0};
    if (call->ingest->gunzip == NULL) {
        TRY(api_ingest_write(call, bytes, err));
    } else {
        left = bytes;
        TRY(api_ingest_gunzip(call, &left, err));
    }
    *ret_taken_bytes = bytes.size_bytes - left.size_bytes;
    return true;
}

// On the committer's thread.
static void api_ingest_done(void *context)
{
    struct api_call *call = context;
    struct slice body;
    struct err err;
    call->status = 200;
    if (api_from_log(call, ingest_batch_answer(call->ingest->batch, &body, &err), &err))
        json_text_raw(&call->json, body);
    else
        api_stage_failure(call, &err);
    api_send(call);
    http_resume(call->request);
}

static bool api_ingest_end(struct api_call *call, struct err *err)
{
    struct api_ingest *ingest = call->ingest;
    // A gzip body without any byte is an empty one, not a damaged one.
    if (ingest->gunzip != NULL && ingest->has_body)
        TRY(gunzip_end(ingest->gunzip, err));
    return api_from_log(call, ingest_batch_end(ingest->batch, err), err);
}

bool api_ingest_is_large(const struct api_call *call)
{
    return call->ingest->decoded_bytes > API_INGEST_SMALL_BYTES;
}

bool api_ingest_complete(struct api_call *call, struct err *err)
{
    TRY(api_ingest_end(call, err));
    http_suspend(call->request);
    ingest_batch_submit(call->ingest->batch, api_ingest_done, call);
    return true;
}

void api_ingest_finish(struct api_call *call)
{
    struct err err;
    if (api_ingest_end(call, &err)) {
        ingest_batch_submit(call->ingest->batch, api_ingest_done, call);
        return;
    }
    api_stage_failure(call, &err);
    api_send(call);
    http_resume(call->request);
}

void api_ingest_ended(struct api_call *call)
{
    if (call->ingest == NULL)
        return;
    if (call->ingest->gunzip != NULL)
        atomic_fetch_sub(&call->api->gzip_count, 1);
    gunzip_free(&call->ingest->gunzip);
    ingest_batch_free(&call->ingest->batch);
}
