// SPDX-License-Identifier: Apache-2.0
// The hosted bucket: export files by signed URL, as S3 serves them. What is checked, in this order,
// and what each failure is called:
//
//   form of the query, signature for the received Host or one of our base URLs
//                                                        SignatureDoesNotMatch
//   expiry, then the token that made the URL             AccessDenied
//   the job that published the file, then the file       NoSuchKey
//   the file's SHA-256, which must be the published one  InternalError
//
// The hash is read once per file (api_digests.h), by a writer thread: api_bucket_serve leaves a
// file that is not known yet to api_bucket_read_and_serve, which starts anew. A download that has
// begun is not checked again.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "api/api_digests.h"
#include "api/api_media.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "catalog/hosted_files.h"
#include "net/sigv4.h"
#include "store/store.h"

#define API_CLOCK_SKEW_MS (15 * CIVIL_MINUTE_MS)
#define API_ETAG_CHARS    ((size_t)66) // a SHA-256 in quotes

struct api_object {
    struct hosted_file hosted;
    int fd;
    uint64_t size_bytes;
    const char *etag;
};

struct api_bucket_code {
    const char *message;
    const char *code;
};

static const char *api_bucket_code_of(int status, const char *message)
{
    static const struct api_bucket_code codes[] = {
        {"Invalid signature", "SignatureDoesNotMatch"},
        {"Only one authentication mechanism is allowed", "InvalidArgument"},
        {"Export file not found", "NoSuchKey"},
        {"Range not satisfiable", "InvalidRange"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        if (strcmp(codes[i].message, message) == 0)
            return codes[i].code;
    }
    return status == 403 ? "AccessDenied" : status == 503 ? "ServiceUnavailable" : "InternalError";
}

// Messages are ours and need no escaping; request ids are letters, digits and '-'.
static void api_bucket_fail(struct api_call *call, int status, const char *message)
{
    buf_reset(&call->reply);
    buf_append_format(&call->reply,
                      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
                      "<Message>%s</Message><RequestId>",
                      api_bucket_code_of(status, message), message);
    buf_append(&call->reply, http_request_id(call->request));
    buf_append_text(&call->reply, "</RequestId></Error>\n");
    call->status = status;
    call->content_type = "application/xml";
    api_send(call);
}

static bool api_is_signed_for(const struct api_call *call, const struct sigv4_claim *claim,
                              const char *host, struct slice secret)
{
    return sigv4_matches(claim, host, http_raw_path(call->request), secret, call->arena);
}

// Behind a proxy the Host that arrives may not be the one that was signed.
static bool api_signature_is_right(const struct api_call *call, const struct sigv4_claim *claim)
{
    uint8_t secret_bytes[32];
    api_url_secret(call->api, claim->key_id, secret_bytes);
    const struct slice secret = slice_of(secret_bytes, sizeof secret_bytes);
    const struct slice received = http_header(call->request, "Host", NULL);
    if (api_is_signed_for(call, claim, arena_copy_slice(call->arena, received), secret))
        return true;
    const struct option_list *base_urls = &call->api->base_urls;
    for (size_t i = 0; i < base_urls->count; i++) {
        const char *host = strstr(base_urls->items[i], "://") + 3;
        if (!slice_equal_text(received, host) && api_is_signed_for(call, claim, host, secret))
            return true;
    }
    return false;
}

static bool api_check_claim(struct api_call *call, const struct sigv4_claim *claim, struct err *err)
{
    if (strcmp(claim->region, API_URL_REGION) != 0 || !api_signature_is_right(call, claim) ||
        claim->signed_at_ms > call->now_ms + API_CLOCK_SKEW_MS)
        return api_refuse(call, err, 403, "Invalid signature");
    if (call->now_ms >= claim->signed_at_ms + claim->expires_s * CIVIL_SECOND_MS)
        return api_refuse(call, err, 403, "Request has expired");
    bool is_valid = false;
    TRY(api_call_catalog(call, err));
    TRY(tenant_key_is_valid(call->catalog, claim->key_id, &is_valid, err));
    if (!is_valid)
        return api_refuse(call, err, 403, "Access revoked");
    return true;
}

static bool api_open_object(struct api_call *call, struct api_object *ret_object, struct err *err)
{
    const struct slice key = call->match.params[0];
    const char *missing = "Export file not found";
    struct api_object object = {.fd = -1};
    if (!store_key_is_valid(key))
        return api_refuse(call, err, 404, "%s", missing);
    if (!hosted_file_find(call->catalog, NULL, key, call->arena, &object.hosted, err))
        return err->kind == ERR_NOT_FOUND ? api_refuse(call, err, 404, "%s", missing) : false;
    if (!store_open_object(call->api->config.bucket, object.hosted.file.key, &object.fd,
                           &object.size_bytes, err))
        return err->kind == ERR_NOT_FOUND ? api_refuse(call, err, 404, "%s", missing) : false;
    if (object.size_bytes != (uint64_t)object.hosted.file.byte_count) {
        (void)close(object.fd);
        return err_set(err, ERR_CORRUPT,
                       "export file %s has %" PRIu64 " bytes, its job says %" PRId64,
                       object.hosted.file.key, object.size_bytes, object.hosted.file.byte_count);
    }
    object.etag = arena_format(call->arena, "\"%s\"", object.hosted.file.sha256);
    *ret_object = object;
    return true;
}

static bool api_bucket_open(struct api_call *call, struct api_object *ret_object, struct err *err)
{
    size_t count = 0;
    (void)http_header(call->request, "Authorization", &count);
    if (count > 0)
        return api_refuse(call, err, 400, "Only one authentication mechanism is allowed");
    struct sigv4_claim claim = {0};
    if (!sigv4_parse(http_raw_query(call->request), call->arena, &claim, err))
        return api_refuse(call, err, 403, "Invalid signature");
    TRY(api_check_claim(call, &claim, err));
    return api_open_object(call, ret_object, err);
}

static bool api_is_plain_name(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789._-")] == '\0';
}

static void api_add_object_headers(struct api_call *call, const struct api_object *object)
{
    const char *slash = strrchr(object->hosted.file.key, '/');
    const char *name = slash == NULL ? object->hosted.file.key : slash + 1;
    struct http_request *request = call->request;
    http_add_header(request, "Content-Type", "application/octet-stream");
    http_add_header(request, "Content-Disposition",
                    api_is_plain_name(name)
                        ? arena_format(call->arena, "attachment; filename=\"%s\"", name)
                        : "attachment");
    http_add_header(request, "Accept-Ranges", "bytes");
    http_add_header(request, "ETag", object->etag);
    http_add_header(request, "Cache-Control", "private, no-transform");
}

// Several Range fields, or an If-Range for another version: the whole file.
static struct api_range api_wanted_range(const struct api_call *call,
                                         const struct api_object *object)
{
    size_t count = 0;
    const struct slice range = http_header(call->request, "Range", &count);
    const struct slice if_range = http_header(call->request, "If-Range", NULL);
    if (count != 1 || (!slice_is_empty(if_range) && !slice_equal_text(if_range, object->etag)))
        return (struct api_range){.kind = API_RANGE_WHOLE};
    return api_range_parse(range, object->size_bytes);
}

static void api_send_range(struct api_call *call, const struct api_object *object,
                           struct api_range range)
{
    char content_range[96];
    switch (range.kind) {
    case API_RANGE_WHOLE:
        break;
    case API_RANGE_UNSATISFIABLE:
        (void)close(object->fd);
        (void)snprintf(content_range, sizeof content_range, "bytes */%" PRIu64, object->size_bytes);
        http_add_header(call->request, "Content-Range", content_range);
        api_bucket_fail(call, 416, "Range not satisfiable");
        return;
    case API_RANGE_PART:
        (void)snprintf(content_range, sizeof content_range,
                       "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.offset_bytes,
                       range.offset_bytes + range.size_bytes - 1, object->size_bytes);
        http_add_header(call->request, "Content-Range", content_range);
        api_add_object_headers(call, object);
        http_reply_file(call->request, 206, object->fd, range.offset_bytes, range.size_bytes);
        return;
    }
    api_add_object_headers(call, object);
    http_reply_file(call->request, 200, object->fd, 0, object->size_bytes);
}

static void api_bucket_refuse(struct api_call *call, const struct err *err)
{
    api_stage_failure(call, err); // decides the status, keeps the reason for the log
    api_bucket_fail(call, call->status, call->status >= 500 ? API_TEXT_INTERNAL : err->message);
}

// The job's id is a part of the key; empty for a key without one.
static struct slice api_job_of_key(const char *key)
{
    static const char name[] = "/job_id=";
    const char *part = strstr(key, name);
    if (part == NULL)
        return slice_of(NULL, 0);
    const char *id = part + sizeof name - 1;
    return slice_of(id, strcspn(id, "/"));
}

static bool api_check_digest(const struct api_object *object, const uint8_t digest[SHA256_BYTES],
                             struct err *err)
{
    uint8_t published[SHA256_BYTES];
    if (hex_decode(slice_text(object->hosted.file.sha256), published, sizeof published) &&
        memcmp(published, digest, sizeof published) == 0)
        return true;
    const struct slice job_id = api_job_of_key(object->hosted.file.key);
    return err_set(err, ERR_CORRUPT, "job %.*s: export file %s has another SHA-256 than published",
                   (int)job_id.size_bytes, slice_chars(job_id), object->hosted.file.key);
}

static bool api_bucket_verify(const struct api_call *call, const struct api_object *object,
                              bool is_known, uint8_t digest[SHA256_BYTES], struct err *err)
{
    if (!is_known && !api_digests_read(call->api->digests, object->fd, digest, err))
        return err_wrap(err, "export file %s", object->hosted.file.key);
    return api_check_digest(object, digest, err);
}

// False: nothing was answered, since the file would have to be read.
static bool api_bucket_answer(struct api_call *call, bool may_read)
{
    struct err err;
    struct api_object object = {.fd = -1};
    if (!api_bucket_open(call, &object, &err)) {
        api_bucket_refuse(call, &err);
        return true;
    }
    if (api_etag_list_has(http_header(call->request, "If-None-Match", NULL), object.etag)) {
        (void)close(object.fd);
        http_add_header(call->request, "ETag", object.etag);
        http_reply(call->request, 304, slice_of(NULL, 0));
        return true;
    }
    uint8_t digest[SHA256_BYTES];
    const bool is_known = api_digests_find(call->api->digests, object.fd, digest);
    if (!is_known && !may_read) {
        (void)close(object.fd);
        return false;
    }
    if (!api_bucket_verify(call, &object, is_known, digest, &err)) {
        (void)close(object.fd);
        api_bucket_refuse(call, &err);
        return true;
    }
    api_send_range(call, &object, api_wanted_range(call, &object));
    return true;
}

bool api_bucket_serve(struct api_call *call)
{
    return api_bucket_answer(call, false);
}

void api_bucket_read_and_serve(struct api_call *call)
{
    const bool is_answered = api_bucket_answer(call, true);
    ASSERT(is_answered);
}

void api_bucket_overloaded(struct api_call *call)
{
    call->failure = "the queue for writers is full";
    api_bucket_fail(call, 503, "Overloaded");
}
