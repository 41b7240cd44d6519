// SPDX-License-Identifier: Apache-2.0
// One file of the bucket, for whoever was let in: whole, in part, or only if it is another one.
//
//   the job that published the file, then the file       NoSuchKey
//   conditions, by ETag or time                          PreconditionFailed, or 304
//   the file's SHA-256, which must be the published one  InternalError
//
// The hash is read once per file (api_digests.h), by a writer thread. A download that has begun is
// not checked again.
//
// The ETag is the hash. Clients of S3 take what looks like one word for an MD5, and what ends in -N
// for something else: for those who come with keys it ends in -1, and either is understood.
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "api/api_bucket.h"
#include "api/api_digests.h"
#include "api/api_media.h"
#include "api/api_reply.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/hex.h"
#include "catalog/hosted_files.h"
#include "store/store.h"

struct api_object {
    struct job_file file;
    int fd;
    uint64_t size_bytes;
    const char *etag;       // that is shown
    const char *other_etag; // that is understood
    int64_t changed_at_ms;  // whole seconds; 0: not published yet
};

static bool api_is_by_keys(const struct api_call *call)
{
    return call->identity.key_id != NULL;
}

static bool api_find_object(struct api_call *call, struct hosted_file *ret_file, struct err *err)
{
    const struct slice key = call->match.params[0];
    const struct subscription_scope scope = api_call_scope(call);
    if (!store_key_is_valid(key))
        return api_bucket_refuse(call, err, API_BUCKET_NO_FILE);
    TRY(api_call_catalog(call, err));
    if (hosted_file_find(call->catalog, api_is_by_keys(call) ? &scope : NULL, key, call->arena,
                         ret_file, err))
        return true;
    return err->kind == ERR_NOT_FOUND ? api_bucket_refuse(call, err, API_BUCKET_NO_FILE) : false;
}

static bool api_open_object(struct api_call *call, struct api_object *ret_object, struct err *err)
{
    struct hosted_file hosted;
    TRY(api_find_object(call, &hosted, err));
    struct api_object object = {.file = hosted.file, .fd = -1};
    if (!store_open_object(call->api->config.bucket, object.file.key, &object.fd,
                           &object.size_bytes, err))
        return err->kind == ERR_NOT_FOUND ? api_bucket_refuse(call, err, API_BUCKET_NO_FILE)
                                          : false;
    if (object.size_bytes != (uint64_t)object.file.byte_count) {
        (void)close(object.fd);
        return err_set(err, ERR_CORRUPT,
                       "export file %s has %" PRIu64 " bytes, its job says %" PRId64,
                       object.file.key, object.size_bytes, object.file.byte_count);
    }
    const char *plain = arena_format(call->arena, "\"%s\"", object.file.sha256);
    const char *numbered = arena_format(call->arena, "\"%s-1\"", object.file.sha256);
    object.etag = api_is_by_keys(call) ? numbered : plain;
    object.other_etag = api_is_by_keys(call) ? plain : numbered;
    object.changed_at_ms = hosted.published_at_ms - hosted.published_at_ms % CIVIL_SECOND_MS;
    *ret_object = object;
    return true;
}

// --- Conditions

static bool api_has_header(const struct api_call *call, const char *name)
{
    size_t count = 0;
    (void)http_header(call->request, name, &count);
    return count > 0;
}

// A time that is none is not looked at, and neither is one for a file that has none.
static bool api_time_header(const struct api_call *call, const struct api_object *object,
                            const char *name, int64_t *ret_time_ms)
{
    size_t count = 0;
    const struct slice text = http_header(call->request, name, &count);
    return count == 1 && object->changed_at_ms != 0 && civil_parse_http(text, ret_time_ms);
}

static bool api_is_unchanged(const struct api_call *call, const struct api_object *object)
{
    const struct slice list = http_header(call->request, "If-None-Match", NULL);
    int64_t since_ms = 0;
    if (api_has_header(call, "If-None-Match"))
        return api_etag_list_has(list, object->etag) || api_etag_list_has(list, object->other_etag);
    return api_time_header(call, object, "If-Modified-Since", &since_ms) &&
           object->changed_at_ms <= since_ms;
}

static bool api_is_refused(const struct api_call *call, const struct api_object *object)
{
    const struct slice list = http_header(call->request, "If-Match", NULL);
    int64_t since_ms = 0;
    if (api_has_header(call, "If-Match"))
        return !api_etag_list_has_strong(list, object->etag) &&
               !api_etag_list_has_strong(list, object->other_etag);
    return api_time_header(call, object, "If-Unmodified-Since", &since_ms) &&
           object->changed_at_ms > since_ms;
}

// In the order of RFC 9110. True: it was answered.
static bool api_answer_condition(struct api_call *call, const struct api_object *object)
{
    if (api_is_refused(call, object)) {
        api_bucket_send_error(call, API_BUCKET_CONDITION);
        return true;
    }
    if (!api_is_unchanged(call, object))
        return false;
    api_bucket_add_id(call);
    http_add_header(call->request, "ETag", object->etag);
    http_reply(call->request, 304, slice_of(NULL, 0));
    return true;
}

// Whether a part that the client has is of this file.
static bool api_is_if_range_met(const struct api_call *call, const struct api_object *object)
{
    const struct slice text = http_header(call->request, "If-Range", NULL);
    int64_t changed_at_ms = 0;
    return slice_is_empty(text) || slice_equal_text(text, object->etag) ||
           slice_equal_text(text, object->other_etag) ||
           (api_time_header(call, object, "If-Range", &changed_at_ms) &&
            changed_at_ms == object->changed_at_ms);
}

// Several Range fields, or an If-Range for another version: the whole file.
static struct api_range api_wanted_range(const struct api_call *call,
                                         const struct api_object *object)
{
    size_t count = 0;
    const struct slice range = http_header(call->request, "Range", &count);
    if (count != 1 || !api_is_if_range_met(call, object))
        return (struct api_range){.kind = API_RANGE_WHOLE};
    return api_range_parse(range, object->size_bytes);
}

// --- The reply

static bool api_is_plain_name(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789._-")] == '\0';
}

static void api_add_object_headers(struct api_call *call, const struct api_object *object)
{
    const char *slash = strrchr(object->file.key, '/');
    const char *name = slash == NULL ? object->file.key : slash + 1;
    struct http_request *request = call->request;
    api_bucket_add_id(call);
    http_add_header(request, "Content-Type", "application/octet-stream");
    http_add_header(request, "Content-Disposition",
                    api_is_plain_name(name)
                        ? arena_format(call->arena, "attachment; filename=\"%s\"", name)
                        : "attachment");
    http_add_header(request, "Accept-Ranges", "bytes");
    http_add_header(request, "ETag", object->etag);
    http_add_header(request, "Cache-Control", "private, no-transform");
    if (object->changed_at_ms == 0)
        return;
    char changed[CIVIL_HTTP_CHARS + 1];
    civil_format_http(object->changed_at_ms, changed);
    http_add_header(request, "Last-Modified", changed);
}

// With a whole file, for clients of S3 that ask for its checksum.
static void api_add_checksum(struct api_call *call, const struct api_object *object)
{
    static const char enabled[] = "ENABLED";
    const struct slice mode = http_header(call->request, "x-amz-checksum-mode", NULL);
    uint8_t digest[SHA256_BYTES];
    if (mode.size_bytes != sizeof enabled - 1 ||
        strncasecmp(mode.data, enabled, sizeof enabled - 1) != 0 ||
        !hex_decode(slice_text(object->file.sha256), digest, sizeof digest))
        return;
    const struct slice bytes = slice_of(digest, sizeof digest);
    http_add_header(call->request, "x-amz-checksum-sha256",
                    base64_encode(BASE64_STANDARD, bytes, call->arena));
    http_add_header(call->request, "x-amz-checksum-type", "FULL_OBJECT");
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
        api_bucket_send_error(call, API_BUCKET_RANGE);
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
    api_add_checksum(call, object);
    http_reply_file(call->request, 200, object->fd, 0, object->size_bytes);
}

// --- What is in the file

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
    if (hex_decode(slice_text(object->file.sha256), published, sizeof published) &&
        memcmp(published, digest, sizeof published) == 0)
        return true;
    const struct slice job_id = api_job_of_key(object->file.key);
    return err_set(err, ERR_CORRUPT, "job %.*s: export file %s has another SHA-256 than published",
                   (int)job_id.size_bytes, slice_chars(job_id), object->file.key);
}

static bool api_verify_object(const struct api_call *call, const struct api_object *object,
                              bool is_known, uint8_t digest[SHA256_BYTES], struct err *err)
{
    if (!is_known && !api_digests_read(call->api->digests, object->fd, digest, err))
        return err_wrap(err, "export file %s", object->file.key);
    return api_check_digest(object, digest, err);
}

bool api_bucket_send_object(struct api_call *call, bool may_read)
{
    struct err err;
    struct api_object object = {.fd = -1};
    if (!api_open_object(call, &object, &err)) {
        api_bucket_send_failure(call, &err);
        return true;
    }
    if (api_answer_condition(call, &object)) {
        (void)close(object.fd);
        return true;
    }
    uint8_t digest[SHA256_BYTES];
    const bool is_known = api_digests_find(call->api->digests, object.fd, digest);
    if (!is_known && !may_read) {
        (void)close(object.fd);
        return false;
    }
    if (!api_verify_object(call, &object, is_known, digest, &err)) {
        (void)close(object.fd);
        api_bucket_send_failure(call, &err);
        return true;
    }
    api_send_range(call, &object, api_wanted_range(call, &object));
    return true;
}
