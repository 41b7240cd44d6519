// SPDX-License-Identifier: Apache-2.0
#include "s3_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/uri.h"

#define S3_SERVER_BODY_MAX   ((size_t)64 * 1024 * 1024)
#define S3_SERVER_HEADERS    100
#define S3_SERVER_SKEW_MS    (15 * CIVIL_MINUTE_MS)
#define S3_SERVER_DELAY_MS   30
#define S3_SERVER_PIECE      ((size_t)256 * 1024)
#define S3_SERVER_HEAD_BYTES ((size_t)256 * 1024)

struct s3_pair {
    char *name;
    char *value;
};

struct s3_request {
    struct s3_server *server;
    struct scripted_peer *peer;
    struct arena arena;
    char *method;
    char *path;  // as sent
    char *query; // as sent
    char *key;   // decoded, NULL: the bucket
    struct s3_pair headers[S3_SERVER_HEADERS];
    size_t header_count;
    uint64_t size_bytes;
    struct buf body; // with keeps_bytes, or a small one
    uint8_t sha256[SHA256_BYTES];
    uint8_t md5[MD5_BYTES];
    enum s3_fault fault;

    // The answer.
    int status;
    struct buf head; // lines beside those that all have
    struct buf answer;
    uint64_t answer_bytes; // of a HEAD
};

// --- Small helpers

static const char *s3_header(const struct s3_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static char *s3_decode(struct arena *arena, const char *text)
{
    char *to = arena_alloc(arena, strlen(text) + 1);
    size_t size = 0;
    for (const char *at = text; *at != '\0'; at++) {
        uint8_t byte = 0;
        if (*at == '%' && strlen(at) >= 3 && hex_decode(slice_of(at + 1, 2), &byte, 1)) {
            to[size++] = (char)byte;
            at += 2;
        } else {
            to[size++] = *at;
        }
    }
    return to;
}

// Decoded value of a parameter, NULL: there is none.
static char *s3_parameter(struct s3_request *request, const char *name)
{
    const size_t chars = strlen(name);
    for (const char *at = request->query; at != NULL && *at != '\0';) {
        const char *end = strchr(at, '&');
        const size_t size = end == NULL ? strlen(at) : (size_t)(end - at);
        if (size > chars && strncmp(at, name, chars) == 0 && at[chars] == '=')
            return s3_decode(
                &request->arena,
                arena_copy_slice(&request->arena, slice_of(at + chars + 1, size - chars - 1)));
        at = end == NULL ? NULL : end + 1;
    }
    return NULL;
}

static const char *s3_word(const struct s3_request *request, const char *rest)
{
    static char names[4][64];
    static size_t next;
    char *name = names[next++ % 4];
    (void)snprintf(name, 64, "x-%s-%s", request->server->is_goog ? "goog" : "amz", rest);
    return name;
}

static void s3_error(struct s3_request *request, int status, const char *code)
{
    request->status = status;
    buf_reset(&request->answer);
    buf_append_format(&request->answer,
                      "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>"
                      "%s %s</Message></Error>",
                      code, S3_SERVER_SECRET, S3_SERVER_TOKEN);
}

static void s3_etag(const uint8_t md5[MD5_BYTES], char ret_etag[40])
{
    ret_etag[0] = '"';
    hex_encode(slice_of(md5, MD5_BYTES), ret_etag + 1);
    (void)memcpy(ret_etag + 33, "\"", 2);
}

// --- Signatures, computed from the request as it came

static int s3_compare_texts(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static char *s3_sorted_query(struct s3_request *request)
{
    char *parts[32];
    size_t count = 0;
    char *copy = arena_copy_text(&request->arena, request->query);
    for (char *at = copy; at != NULL && *at != '\0' && count < 32;) {
        parts[count++] = at;
        at = strchr(at, '&');
        if (at != NULL)
            *at++ = '\0';
    }
    qsort(parts, count, sizeof parts[0], s3_compare_texts);
    char *sorted = arena_copy_text(&request->arena, "");
    for (size_t i = 0; i < count; i++)
        sorted = arena_format(&request->arena, "%s%s%s", sorted, i > 0 ? "&" : "", parts[i]);
    return sorted;
}

static char *s3_signed_lines(struct s3_request *request, const char *names)
{
    char *lines = arena_copy_text(&request->arena, "");
    char *copy = arena_copy_text(&request->arena, names);
    for (char *at = copy; at != NULL;) {
        char *end = strchr(at, ';');
        if (end != NULL)
            *end++ = '\0';
        const char *value = s3_header(request, at);
        lines = arena_format(&request->arena, "%s%s:%s\n", lines, at, value == NULL ? "" : value);
        at = end;
    }
    return lines;
}

static bool s3_is_signed(struct s3_request *request)
{
    const bool is_goog = request->server->is_goog;
    const char *field = s3_header(request, "Authorization");
    const char *payload = s3_header(request, s3_word(request, "content-sha256"));
    const char *stamp = s3_header(request, s3_word(request, "date"));
    const char *date = stamp == NULL ? "" : arena_copy_slice(&request->arena, slice_of(stamp, 8));
    const char *algorithm = is_goog ? "GOOG4-HMAC-SHA256" : "AWS4-HMAC-SHA256";
    const char *service = is_goog ? "storage" : "s3";
    const char *terminator = is_goog ? "goog4_request" : "aws4_request";
    const char *region = request->server->region;
    const char *scope = arena_format(&request->arena, "%s/%s/%s/%s", date, region, service,
                                     terminator);
    const char *before = arena_format(
        &request->arena, "%s Credential=%s/%s, SignedHeaders=", algorithm, S3_SERVER_KEY, scope);
    if (field == NULL || payload == NULL || stamp == NULL ||
        strncmp(field, before, strlen(before)) != 0)
        return false;
    const char *names = field + strlen(before);
    const char *end = strstr(names, ", Signature=");
    if (end == NULL)
        return false;
    const char *signature = end + strlen(", Signature=");
    names = arena_copy_slice(&request->arena, slice_of(names, (size_t)(end - names)));
    const char *canonical = arena_format(&request->arena, "%s\n%s\n%s\n%s\n%s\n%s", request->method,
                                         request->path, s3_sorted_query(request),
                                         s3_signed_lines(request, names), names, payload);
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(canonical), digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    const char *text = arena_format(&request->arena, "%s\n%s\n%s\n%s", algorithm, stamp, scope,
                                    hex);
    const char *secret = arena_format(&request->arena, "%s%s", is_goog ? "GOOG4" : "AWS4",
                                      S3_SERVER_SECRET);
    const char *const steps[] = {date, region, service, terminator, text};
    hmac_sha256(slice_text(secret), slice_text(steps[0]), digest);
    for (size_t i = 1; i < ARRAY_COUNT(steps); i++) {
        uint8_t next[SHA256_BYTES];
        hmac_sha256(slice_of(digest, sizeof digest), slice_text(steps[i]), next);
        memcpy(digest, next, sizeof digest);
    }
    hex_encode(slice_of(digest, sizeof digest), hex);
    return strcmp(hex, signature) == 0 && strstr(names, "host") != NULL;
}

// False: an error is the answer.
static bool s3_is_let_in(struct s3_request *request)
{
    struct s3_server *server = request->server;
    const char *key = strstr(
        s3_header(request, "Authorization") == NULL ? "" : s3_header(request, "Authorization"),
        S3_SERVER_KEY);
    const char *stamp = s3_header(request, s3_word(request, "date"));
    const char *token = s3_header(request, "x-amz-security-token");
    int64_t signed_at_ms = 0;
    const char *iso = stamp == NULL || strlen(stamp) != 16
                          ? ""
                          : arena_format(&request->arena, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", stamp,
                                         stamp + 4, stamp + 6, stamp + 9, stamp + 11, stamp + 13);
    const int64_t now_ms = clock_wall_ms(clock_system()) + server->clock_offset_ms;
    if (key == NULL) {
        s3_error(request, 403, "InvalidAccessKeyId");
    } else if (server->token != NULL && (token == NULL || strcmp(token, server->token) != 0)) {
        s3_error(request, 400, "ExpiredToken");
    } else if (!civil_parse(slice_text(iso), &signed_at_ms) ||
               llabs(signed_at_ms - now_ms) > S3_SERVER_SKEW_MS) {
        s3_error(request, 403, "RequestTimeTooSkewed");
    } else if (server->wanted_host != NULL &&
               strcmp(server->wanted_host, s3_header(request, "Host")) != 0) {
        s3_error(request, 301, "PermanentRedirect");
        buf_append_format(&request->head, "x-amz-bucket-region: %s\r\n", server->region);
    } else if (strstr(s3_header(request, "Authorization"),
                      arena_format(&request->arena, "/%s/", server->region)) == NULL) {
        s3_error(request, 400, "AuthorizationHeaderMalformed");
        buf_append_format(&request->head, "x-amz-bucket-region: %s\r\n", server->region);
    } else if (!s3_is_signed(request)) {
        server->unsigned_count++;
        s3_error(request, 403, "SignatureDoesNotMatch");
    } else {
        return true;
    }
    return false;
}

// --- Objects

static struct s3_object **s3_find(struct s3_server *server, const char *key)
{
    struct s3_object **at = &server->objects;
    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static void s3_remove(struct s3_object **at)
{
    struct s3_object *object = *at;
    if (object == NULL)
        return;
    *at = object->next;
    buf_clear(&object->bytes);
    mem_free(object);
}

static void s3_publish(struct s3_server *server, struct s3_object *object)
{
    s3_remove(s3_find(server, object->key));
    object->next = server->objects;
    server->objects = object;
}

static struct s3_object *s3_object_new(const struct s3_request *request)
{
    struct s3_object *object = mem_alloc(sizeof *object);
    const char *sha256 = s3_header(request, s3_word(request, "meta-sha256"));
    const char *type = s3_header(request, "Content-Type");
    (void)snprintf(object->key, sizeof object->key, "%s", request->key);
    (void)snprintf(object->sha256, sizeof object->sha256, "%s", sha256 == NULL ? "" : sha256);
    (void)snprintf(object->content_type, sizeof object->content_type, "%s",
                   type == NULL ? "" : type);
    object->written_at_ms = clock_wall_ms(clock_system());
    buf_init(&object->bytes, S3_SERVER_BODY_MAX);
    return object;
}

static void s3_answer_etag(struct s3_request *request, const char *etag)
{
    const enum s3_fault fault = request->fault;
    if (request->server->has_own_etags)
        buf_append_text(&request->head, "x-amz-server-side-encryption: aws:kms\r\n");
    if (fault == S3_FAULT_ETAG_MISSING)
        return;
    buf_append_format(&request->head, "ETag: %s\r\n",
                      fault == S3_FAULT_ETAG_WRONG ? "\"00000000000000000000000000000000\"" : etag);
}

// False: an error is the answer.
static bool s3_is_encrypted_well(const struct s3_request *request)
{
    const char *method = s3_header(request, "x-amz-server-side-encryption");
    const char *key = s3_header(request, "x-amz-server-side-encryption-aws-kms-key-id");
    return request->server->kms_key == NULL ||
           (method != NULL && strcmp(method, "aws:kms") == 0 && key != NULL &&
            strcmp(key, request->server->kms_key) == 0);
}

static bool s3_may_write(struct s3_request *request, bool is_complete)
{
    struct s3_server *server = request->server;
    const char *condition = s3_header(request, server->is_goog ? "x-goog-if-generation-match"
                                                               : "If-None-Match");
    const bool is_there = *s3_find(server, request->key) != NULL;
    if (server->denies_write || (server->is_write_once && is_there) ||
        (server->demands_condition && condition == NULL) ||
        (!is_complete && !s3_is_encrypted_well(request))) {
        s3_error(request, 403, "AccessDenied");
    } else if (condition != NULL && server->refuses_condition) {
        s3_error(request, 501, "NotImplemented");
    } else if (condition != NULL && is_there && !server->ignores_condition &&
               !(server->is_goog && is_complete)) {
        s3_error(request, 412, "PreconditionFailed");
    } else {
        return true;
    }
    return false;
}

static void s3_put_object(struct s3_request *request)
{
    struct s3_server *server = request->server;
    if (!s3_may_write(request, false))
        return;
    struct s3_object *object = s3_object_new(request);
    object->size_bytes = request->size_bytes;
    buf_append(&object->bytes, buf_slice(&request->body));
    s3_etag(request->md5, object->etag);
    if (server->has_own_etags)
        (void)snprintf(object->etag, sizeof object->etag, "\"own-%d\"", server->next_id++);
    s3_publish(server, object);
    s3_answer_etag(request, object->etag);
}

static void s3_read_object(struct s3_request *request)
{
    struct s3_server *server = request->server;
    const struct s3_object *object = *s3_find(server, request->key);
    if (server->denies_read) {
        s3_error(request, 403, "AccessDenied");
        return;
    }
    if (object == NULL) {
        s3_error(request, 404, "NoSuchKey");
        return;
    }
    s3_answer_etag(request, object->etag);
    if (!server->has_no_metadata && object->sha256[0] != '\0')
        buf_append_format(&request->head, "%s: %s\r\n", s3_word(request, "meta-sha256"),
                          object->sha256);
    buf_append_format(&request->head, "Content-Type: %s\r\n", object->content_type);
    request->answer_bytes = object->size_bytes;
    if (strcmp(request->method, "GET") == 0)
        buf_append(&request->answer, buf_slice(&object->bytes));
}

static void s3_delete_object(struct s3_request *request)
{
    if (request->server->denies_delete) {
        s3_error(request, 403, "AccessDenied");
        return;
    }
    s3_remove(s3_find(request->server, request->key));
    request->status = 204;
}

// --- Uploads

static void s3_upload_free(struct s3_upload *upload)
{
    for (size_t i = 0; i < S3_SERVER_PARTS_MAX; i++)
        buf_clear(&upload->parts[i].bytes);
    mem_free(upload->parts);
    mem_free(upload);
}

static void s3_create_upload(struct s3_request *request)
{
    struct s3_server *server = request->server;
    if (server->denies_write || !s3_is_encrypted_well(request)) {
        s3_error(request, 403, "AccessDenied");
        return;
    }
    struct s3_object *object = s3_object_new(request);
    struct s3_upload *upload = mem_alloc(sizeof *upload);
    upload->object = *object;
    mem_free(object);
    upload->parts = mem_alloc_array(S3_SERVER_PARTS_MAX, sizeof *upload->parts);
    (void)snprintf(upload->id, sizeof upload->id, "upload~%d+/=", ++server->next_id);
    upload->next = server->uploads;
    server->uploads = upload;
    buf_append_format(&request->answer,
                      "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/\">"
                      "<Bucket>b</Bucket><UploadId>%s</UploadId></InitiateMultipartUploadResult>",
                      upload->id);
}

// Those that are completed are only known to complete.
static struct s3_upload **s3_find_upload(struct s3_request *request, bool with_completed)
{
    const char *id = s3_parameter(request, "uploadId");
    struct s3_upload **at = &request->server->uploads;
    while (*at != NULL && (id == NULL || strcmp((*at)->id, id) != 0 ||
                           strcmp((*at)->object.key, request->key) != 0 ||
                           ((*at)->is_completed && !with_completed)))
        at = &(*at)->next;
    if (*at == NULL)
        s3_error(request, 404, "NoSuchUpload");
    return at;
}

static void s3_put_part(struct s3_request *request)
{
    struct s3_upload *upload = *s3_find_upload(request, false);
    if (upload == NULL)
        return;
    const int number = atoi(s3_parameter(request, "partNumber"));
    assert_in_range(number, 1, S3_SERVER_PARTS_MAX);
    struct s3_part *part = &upload->parts[number - 1];
    buf_clear(&part->bytes);
    buf_init(&part->bytes, S3_SERVER_BODY_MAX);
    buf_append(&part->bytes, buf_slice(&request->body));
    part->is_there = true;
    part->size_bytes = request->size_bytes;
    memcpy(part->md5, request->md5, MD5_BYTES);
    s3_etag(part->md5, part->etag);
    if (request->server->has_own_etags)
        (void)snprintf(part->etag, sizeof part->etag, "\"part-%d\"", number);
    s3_answer_etag(request, part->etag);
}

// The list must be ours to the letter, which is stricter than stores are.
static bool s3_list_is(struct s3_request *request, const struct s3_upload *upload)
{
    struct buf expected CLEANUP(buf_clear);
    buf_init(&expected, S3_SERVER_BODY_MAX);
    buf_append_text(&expected, "<CompleteMultipartUpload>");
    for (int i = 0; i < S3_SERVER_PARTS_MAX && upload->parts[i].is_there; i++) {
        const char *etag = upload->parts[i].etag;
        buf_append_format(&expected,
                          "<Part><PartNumber>%d</PartNumber><ETag>&quot;%.*s&quot;</ETag></Part>",
                          i + 1, (int)strlen(etag) - 2, etag + 1);
    }
    buf_append_text(&expected, "</CompleteMultipartUpload>");
    return slice_equal(buf_slice(&expected), buf_slice(&request->body));
}

static void s3_complete(struct s3_request *request)
{
    struct s3_server *server = request->server;
    struct s3_upload *upload = *s3_find_upload(request, true);
    if (upload == NULL || (!upload->is_completed && !s3_may_write(request, true)))
        return;
    if (!s3_list_is(request, upload)) {
        s3_error(request, 400, "InvalidPart");
        return;
    }
    struct s3_object *object = mem_alloc(sizeof *object);
    *object = upload->object;
    buf_init(&object->bytes, S3_SERVER_BODY_MAX);
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    int count = 0;
    for (; count < S3_SERVER_PARTS_MAX && upload->parts[count].is_there; count++) {
        buf_append(&object->bytes, buf_slice(&upload->parts[count].bytes));
        object->size_bytes += upload->parts[count].size_bytes;
        md5_update(md5, slice_of(upload->parts[count].md5, MD5_BYTES));
    }
    if (request->fault == S3_FAULT_SHORT) {
        object->size_bytes--;
        object->bytes.size_bytes--;
    }
    uint8_t digest[MD5_BYTES];
    char hex[2 * MD5_BYTES + 1];
    md5_finish(md5, digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    (void)snprintf(object->etag, sizeof object->etag, "\"%s-%d\"", hex, count);
    if (server->has_own_etags)
        (void)snprintf(object->etag, sizeof object->etag, "\"own-%d\"", server->next_id++);
    if (!upload->is_completed && server->damage_count > 0) {
        server->damage_count--;
        ((char *)object->bytes.data)[0] ^= 1;
        object->etag[1] = object->etag[1] == '0' ? '1' : '0';
    }
    buf_append_format(&request->answer,
                      "<CompleteMultipartUploadResult><Location>x</Location><ETag>%s</ETag>"
                      "</CompleteMultipartUploadResult>",
                      request->fault == S3_FAULT_ETAG_WRONG ? "&quot;0&quot;" : object->etag);
    if (upload->is_completed) {
        buf_clear(&object->bytes);
        mem_free(object);
        return;
    }
    upload->is_completed = true;
    s3_publish(server, object);
}

static void s3_abort(struct s3_request *request)
{
    struct s3_upload **at = s3_find_upload(request, false);
    struct s3_upload *upload = *at;
    if (upload == NULL)
        return;
    *at = upload->next;
    s3_upload_free(upload);
    request->status = 204;
}

// --- Lists

static void s3_append_encoded(struct s3_request *request, const char *name, const char *text)
{
    buf_append_format(&request->answer, "<%s>", name);
    uri_append_encoded(&request->answer, slice_text(text), "/");
    buf_append_format(&request->answer, "</%s>", name);
}

static void s3_append_time(struct s3_request *request, const char *name, int64_t time_ms)
{
    const struct civil civil = civil_from_ms(time_ms);
    buf_append_format(&request->answer, "<%s>%04d-%02d-%02dT%02d:%02d:%02d.000Z</%s>", name,
                      civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second,
                      name);
}

#define S3_SERVER_PAGE 2

// Pages of two, so that clients have to turn them. The token is the last key.
static void s3_list_objects(struct s3_request *request)
{
    const char *prefix = s3_parameter(request, "prefix");
    const char *token = s3_parameter(request, "continuation-token");
    const char *after = token == NULL ? "" : s3_decode(&request->arena, token);
    struct s3_server *server = request->server;
    const char *last = "";
    int count = 0;
    bool is_truncated = false;
    buf_append_text(&request->answer, "<ListBucketResult><Name>b</Name>");
    for (;;) { // in order of keys
        const struct s3_object *next = NULL;
        for (const struct s3_object *at = server->objects; at != NULL; at = at->next)
            if (strcmp(at->key, after) > 0 && strncmp(at->key, prefix, strlen(prefix)) == 0 &&
                (next == NULL || strcmp(at->key, next->key) < 0))
                next = at;
        is_truncated = next != NULL && count == S3_SERVER_PAGE;
        if (next == NULL || is_truncated)
            break;
        count++;
        after = last = next->key;
        buf_append_text(&request->answer, "<Contents>");
        s3_append_encoded(request, "Key", next->key);
        s3_append_time(request, "LastModified", next->written_at_ms);
        buf_append_format(&request->answer, "<Size>%llu</Size></Contents>",
                          (unsigned long long)next->size_bytes);
    }
    if (is_truncated)
        s3_append_encoded(request, "NextContinuationToken", last);
    buf_append_format(&request->answer, "<IsTruncated>%s</IsTruncated></ListBucketResult>",
                      is_truncated ? "true" : "false");
}

static int s3_upload_number(const char *id)
{
    return atoi(strchr(id, '~') + 1);
}

// The newest first; the markers are the last key and id.
static void s3_list_uploads(struct s3_request *request)
{
    const char *prefix = s3_parameter(request, "prefix");
    const char *marker = s3_parameter(request, "upload-id-marker");
    const struct s3_upload *at = request->server->uploads;
    while (marker != NULL && at != NULL && s3_upload_number(at->id) >= s3_upload_number(marker))
        at = at->next;
    const struct s3_upload *last = NULL;
    int count = 0;
    buf_append_text(&request->answer, "<ListMultipartUploadsResult>");
    for (; at != NULL && count < S3_SERVER_PAGE; at = at->next) {
        if (at->is_completed || strncmp(at->object.key, prefix, strlen(prefix)) != 0)
            continue;
        count++;
        last = at;
        buf_append_text(&request->answer, "<Upload>");
        s3_append_encoded(request, "Key", at->object.key);
        buf_append_format(&request->answer, "<UploadId>%s</UploadId>", at->id);
        s3_append_time(request, "Initiated", at->object.written_at_ms);
        buf_append_text(&request->answer, "</Upload>");
    }
    if (at != NULL) {
        s3_append_encoded(request, "NextKeyMarker", last->object.key);
        buf_append_format(&request->answer, "<NextUploadIdMarker>%s</NextUploadIdMarker>",
                          last->id);
    }
    buf_append_format(&request->answer,
                      "<IsTruncated>%s</IsTruncated></ListMultipartUploadsResult>",
                      at != NULL ? "true" : "false");
}

// --- Requests

static void s3_execute(struct s3_request *request)
{
    const bool is_put = strcmp(request->method, "PUT") == 0;
    const bool is_post = strcmp(request->method, "POST") == 0;
    const bool is_delete = strcmp(request->method, "DELETE") == 0;
    const bool has_upload = s3_parameter(request, "uploadId") != NULL;
    request->status = 200;
    if (request->key == NULL && request->server->denies_list)
        s3_error(request, 403, "AccessDenied");
    else if (request->key == NULL && s3_parameter(request, "uploads") != NULL)
        s3_list_uploads(request);
    else if (request->key == NULL && s3_parameter(request, "list-type") != NULL)
        s3_list_objects(request);
    else if (request->key == NULL)
        s3_error(request, 404, "NoSuchBucket");
    else if (is_put && has_upload)
        s3_put_part(request);
    else if (is_put)
        s3_put_object(request);
    else if (is_post && s3_parameter(request, "uploads") != NULL)
        s3_create_upload(request);
    else if (is_post && has_upload)
        s3_complete(request);
    else if (is_delete && has_upload)
        s3_abort(request);
    else if (is_delete)
        s3_delete_object(request);
    else
        s3_read_object(request);
}

static bool s3_find_key(struct s3_request *request)
{
    const struct s3_server *server = request->server;
    const char *host = s3_header(request, "Host");
    char *path = s3_decode(&request->arena, request->path);
    if (server->bucket_host != NULL) {
        const bool is_bucket = host != NULL &&
                               strncmp(host, server->bucket_host, strlen(server->bucket_host)) == 0;
        request->key = path[1] == '\0' ? NULL : path + 1;
        return is_bucket;
    }
    static const char bucket[] = "/" S3_SERVER_BUCKET "/";
    if (strncmp(path, bucket, sizeof bucket - 1) != 0)
        return false;
    request->key = path[sizeof bucket - 1] == '\0' ? NULL : path + sizeof bucket - 1;
    return true;
}

static bool s3_hashes_match(const struct s3_request *request)
{
    const char *sha256 = s3_header(request, s3_word(request, "content-sha256"));
    const char *md5 = s3_header(request, "Content-MD5");
    char hex[SHA256_HEX_CHARS + 1];
    hex_encode(slice_of(request->sha256, SHA256_BYTES), hex);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    return sha256 != NULL && strcmp(sha256, hex) == 0 &&
           (md5 == NULL ||
            strcmp(md5,
                   base64_encode(BASE64_STANDARD, slice_of(request->md5, MD5_BYTES), &arena)) == 0);
}

static void s3_damage(struct s3_request *request)
{
    if (request->body.size_bytes == 0)
        return;
    if (request->fault == S3_FAULT_FLIPPED)
        request->body.data[request->body.size_bytes / 2] ^= 1;
    if (request->fault == S3_FAULT_SHORT) {
        request->body.size_bytes--;
        request->size_bytes--;
    }
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    md5_update(md5, buf_slice(&request->body));
    md5_finish(md5, request->md5);
}

static void s3_answer(struct s3_request *request)
{
    if (!s3_find_key(request)) {
        s3_error(request, 404, "NoSuchBucket");
        return;
    }
    if (!s3_is_let_in(request))
        return;
    if (!s3_hashes_match(request)) {
        s3_error(request, 400, "BadDigest");
        return;
    }
    if (request->fault == S3_FAULT_FLIPPED ||
        (request->fault == S3_FAULT_SHORT && strcmp(request->method, "POST") != 0))
        s3_damage(request);
    s3_execute(request);
}

// What is said instead; true: the request has no effect.
static bool s3_is_replaced(struct s3_request *request)
{
    request->status = 200;
    switch (request->fault) {
    case S3_FAULT_500_BEFORE:
        s3_error(request, 500, "InternalError");
        return true;
    case S3_FAULT_503_SLOW_DOWN:
        s3_error(request, 503, "SlowDown");
        return true;
    case S3_FAULT_408:
        s3_error(request, 408, "RequestTimeout");
        return true;
    case S3_FAULT_429:
        s3_error(request, 429, "TooManyRequests");
        return true;
    case S3_FAULT_200_ERROR_BEFORE:
        s3_error(request, 200, "InternalError");
        return true;
    case S3_FAULT_301:
        s3_error(request, 301, "PermanentRedirect");
        buf_append_text(&request->head, "Location: http://127.0.0.1:1/\r\n");
        return true;
    case S3_FAULT_307:
        s3_error(request, 307, "TemporaryRedirect");
        buf_append_text(&request->head, "Location: http://127.0.0.1:1/\r\n");
        return true;
    case S3_FAULT_403:
        s3_error(request, 403, "AccessDenied");
        return true;
    case S3_FAULT_404:
        s3_error(request, 404, "NoSuchBucket");
        return true;
    case S3_FAULT_404_NO_UPLOAD:
        s3_error(request, 404, "NoSuchUpload");
        return true;
    case S3_FAULT_409:
        s3_error(request, 409, "ConditionalRequestConflict");
        return true;
    case S3_FAULT_412:
        s3_error(request, 412, "PreconditionFailed");
        return true;
    case S3_FAULT_400_EXPIRED:
        s3_error(request, 400, "ExpiredToken");
        return true;
    case S3_FAULT_HUGE:
        for (int i = 0; i < 100000; i++)
            buf_append_text(&request->answer, "<Contents><Key>0123456789</Key></Contents>");
        return true;
    case S3_FAULT_BOMB:
        buf_append_text(&request->answer,
                        "<!DOCTYPE a [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>"
                        "<Error><Code>&b;</Code></Error>");
        return true;
    case S3_FAULT_DEEP:
        for (int i = 0; i < 10000; i++)
            buf_append_text(&request->answer, "<a>");
        return true;
    case S3_FAULT_OTHER_XML:
        buf_append_text(&request->answer, "<LocationConstraint>here</LocationConstraint>");
        return true;
    case S3_FAULT_LONG_HEAD:
        for (int i = 0; i < 2000; i++)
            buf_append_format(&request->head, "x-long-%d: %0100d\r\n", i, i);
        return true;
    case S3_FAULT_LIE:
        return true;
    case S3_FAULT_NONE:
    case S3_FAULT_CLOSE_BEFORE:
    case S3_FAULT_RESET_IN_BODY:
    case S3_FAULT_EARLY:
    case S3_FAULT_GARBAGE:
    case S3_FAULT_DELAY:
    case S3_FAULT_STALL:
    case S3_FAULT_CLOSE_AFTER:
    case S3_FAULT_RESET_AFTER:
    case S3_FAULT_RESET_IN_HEAD:
    case S3_FAULT_RESET_IN_ANSWER:
    case S3_FAULT_TRUNCATED:
    case S3_FAULT_500_AFTER:
    case S3_FAULT_200_ERROR_AFTER:
    case S3_FAULT_ETAG_WRONG:
    case S3_FAULT_ETAG_MISSING:
    case S3_FAULT_DUPLICATE:
    case S3_FAULT_FLIPPED:
    case S3_FAULT_SHORT:
    case S3_FAULT_COUNT:
        break;
    }
    return false;
}

// --- The wire

static void s3_wait_for_end(const struct scripted_peer *peer)
{
    char byte;
    struct pollfd poll_fd = {.fd = peer->fd, .events = POLLIN};
    while (poll(&poll_fd, 1, 5000) == 1 && recv(peer->fd, &byte, 1, 0) > 0)
        continue;
}

// False: the connection ends.
static bool s3_send_answer(struct s3_request *request)
{
    struct scripted_peer *peer = request->peer;
    const bool is_head = strcmp(request->method, "HEAD") == 0;
    char date[CIVIL_HTTP_CHARS + 1];
    civil_format_http(clock_wall_ms(clock_system()) + request->server->clock_offset_ms, date);
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, S3_SERVER_BODY_MAX + S3_SERVER_HEAD_BYTES);
    buf_append_format(&out, "HTTP/1.1 %d Any\r\nDate: %s\r\n%s", request->status, date,
                      buf_text(&request->head));
    const size_t answer_bytes = request->answer.size_bytes;
    if (request->status != 204)
        buf_append_format(&out, "Content-Length: %llu\r\n",
                          is_head && request->status == 200
                              ? (unsigned long long)request->answer_bytes
                              : (unsigned long long)answer_bytes);
    buf_append_text(&out, "\r\n");
    if (!is_head)
        buf_append(&out, buf_slice(&request->answer));
    size_t size_bytes = out.size_bytes;
    switch ((int)request->fault) {
    case S3_FAULT_DELAY: {
        const struct timespec pause = {.tv_nsec = S3_SERVER_DELAY_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
        break;
    }
    case S3_FAULT_STALL:
        s3_wait_for_end(peer);
        return false;
    case S3_FAULT_CLOSE_AFTER:
        return false;
    case S3_FAULT_RESET_AFTER:
        scripted_reset(peer);
        return false;
    case S3_FAULT_RESET_IN_HEAD:
        size_bytes = 10;
        break;
    case S3_FAULT_RESET_IN_ANSWER:
    case S3_FAULT_TRUNCATED:
        size_bytes -= 1;
        break;
    case S3_FAULT_DUPLICATE:
        buf_append(&out, slice_of(arena_copy_slice(&request->arena, buf_slice(&out)), size_bytes));
        size_bytes = out.size_bytes;
        break;
    default:
        break;
    }
    const bool is_sent = scripted_send_bytes(peer, out.data, size_bytes);
    const bool is_reset = request->fault == S3_FAULT_RESET_IN_HEAD ||
                          request->fault == S3_FAULT_RESET_IN_ANSWER;
    if (is_reset) {
        // What was sent has to arrive before the reset does away with it.
        const struct timespec pause = {.tv_nsec = 5 * 1000000L};
        (void)nanosleep(&pause, NULL);
        scripted_reset(peer);
    }
    return is_sent && !is_reset && request->fault != S3_FAULT_TRUNCATED;
}

static bool s3_read_head(struct s3_request *request)
{
    struct buf head CLEANUP(buf_clear);
    buf_init(&head, S3_SERVER_HEAD_BYTES);
    if (!scripted_read_until(request->peer, "\r\n\r\n", &head))
        return false;
    char *text = arena_copy_slice(&request->arena, buf_slice(&head));
    char *line = text;
    char *end = strstr(line, "\r\n");
    *end = '\0';
    request->method = line;
    char *target = strchr(line, ' ');
    *target++ = '\0';
    *strchr(target, ' ') = '\0';
    char *question = strchr(target, '?');
    if (question != NULL)
        *question++ = '\0';
    if (strncmp(target, "http://", 7) == 0) // we are the proxy, and every host that it reaches
        target = strchr(target + 7, '/');
    request->path = target;
    request->query = question == NULL ? arena_copy_text(&request->arena, "") : question;
    for (line = end + 2; *line != '\r' && request->header_count < S3_SERVER_HEADERS;
         line = end + 2) {
        end = strstr(line, "\r\n");
        *end = '\0';
        char *colon = strchr(line, ':');
        *colon = '\0';
        request->headers[request->header_count++] = (struct s3_pair){line, colon + 2};
    }
    const char *length = s3_header(request, "Content-Length");
    request->size_bytes = length == NULL ? 0 : strtoull(length, NULL, 10);
    return true;
}

static bool s3_believe(struct s3_request *request)
{
    struct slice md5 = {0};
    const char *text = s3_header(request, "Content-MD5");
    const char *sha256 = s3_header(request, s3_word(request, "content-sha256"));
    if (text == NULL || sha256 == NULL ||
        !base64_decode(BASE64_STANDARD, slice_text(text), &request->arena, &md5) ||
        md5.size_bytes != MD5_BYTES ||
        !hex_decode(slice_text(sha256), request->sha256, SHA256_BYTES))
        return false;
    memcpy(request->md5, md5.data, MD5_BYTES);
    return true;
}

// stop_bytes: how much of it is read.
static bool s3_read_body(struct s3_request *request, uint64_t stop_bytes)
{
    struct sha256 *sha256 CLEANUP(sha256_free) = sha256_new();
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    void *piece CLEANUP(mem_free_at) = mem_alloc(stop_bytes < S3_SERVER_PIECE ? (size_t)stop_bytes
                                                                              : S3_SERVER_PIECE);
    struct scripted_peer *peer = request->peer;
    const bool is_kept = request->server->keeps_bytes || request->size_bytes < S3_SERVER_PIECE;
    for (uint64_t done_bytes = 0; done_bytes < stop_bytes;) {
        const uint64_t left_bytes = stop_bytes - done_bytes;
        size_t size_bytes = left_bytes < S3_SERVER_PIECE ? (size_t)left_bytes : S3_SERVER_PIECE;
        if (peer->received.size_bytes > 0) {
            if (size_bytes > peer->received.size_bytes)
                size_bytes = peer->received.size_bytes;
            memcpy(piece, peer->received.data, size_bytes);
            buf_consume(&peer->received, size_bytes);
        } else {
            const ssize_t got = recv(peer->fd, piece, size_bytes, 0);
            if (got <= 0)
                return false;
            size_bytes = (size_t)got;
        }
        const struct slice bytes = slice_of(piece, size_bytes);
        if (is_kept) {
            sha256_update(sha256, bytes);
            md5_update(md5, bytes);
            buf_append(&request->body, bytes);
        }
        done_bytes += size_bytes;
    }
    sha256_finish(sha256, request->sha256);
    md5_finish(md5, request->md5);
    return is_kept || s3_believe(request);
}

static void s3_log(struct s3_request *request)
{
    buf_append_format(&request->server->log, "%s %s%s%s %d\n", request->method, request->path,
                      request->query[0] == '\0' ? "" : "?", request->query, request->status);
}

// What happens before the body was read whole; false: the connection ends.
static bool s3_receive(struct s3_request *request)
{
    const enum s3_fault fault = request->fault;
    if (fault == S3_FAULT_EARLY) {
        request->status = 200;
        (void)scripted_send(request->peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        s3_wait_for_end(request->peer);
        return false;
    }
    if (fault == S3_FAULT_RESET_IN_BODY) {
        (void)s3_read_body(request, request->size_bytes / 2);
        scripted_reset(request->peer);
        return false;
    }
    if (!s3_read_body(request, request->size_bytes) || fault == S3_FAULT_CLOSE_BEFORE)
        return false;
    if (fault == S3_FAULT_GARBAGE) {
        (void)scripted_send(request->peer, "\x16\x03\x01 this is not HTTP\r\n\r\n\r\n");
        return false;
    }
    return true;
}

static bool s3_handle(struct s3_request *request)
{
    struct s3_server *server = request->server;
    if (!s3_read_head(request))
        return false;
    mutex_lock(&server->lock);
    server->request_count++;
    if (server->request_count >= server->fault_from && server->request_count <= server->fault_to)
        request->fault = server->fault;
    mutex_unlock(&server->lock);
    const bool is_received = s3_receive(request);
    mutex_lock(&server->lock);
    if (is_received && !s3_is_replaced(request))
        s3_answer(request);
    if (is_received && request->fault == S3_FAULT_500_AFTER)
        s3_error(request, 500, "InternalError");
    if (is_received && request->fault == S3_FAULT_200_ERROR_AFTER)
        s3_error(request, 200, "InternalError");
    s3_log(request);
    mutex_unlock(&server->lock);
    return is_received && s3_send_answer(request);
}

static void s3_serve(void *context, struct scripted_peer *peer)
{
    bool goes_on = true;
    while (goes_on) {
        struct s3_request *request = mem_alloc(sizeof *request);
        request->server = context;
        request->peer = peer;
        arena_init(&request->arena);
        buf_init(&request->body, S3_SERVER_BODY_MAX);
        buf_init(&request->head, S3_SERVER_HEAD_BYTES);
        buf_init(&request->answer, S3_SERVER_BODY_MAX);
        goes_on = s3_handle(request);
        buf_clear(&request->body);
        buf_clear(&request->head);
        buf_clear(&request->answer);
        arena_clear(&request->arena);
        mem_free(request);
    }
}

// --- The test's side

void s3_server_open(struct s3_server *server)
{
    *server = (struct s3_server){.keeps_bytes = true, .region = S3_SERVER_REGION};
    mutex_init(&server->lock);
    buf_init(&server->log, S3_SERVER_BODY_MAX);
    scripted_open(&server->base, s3_serve, server);
}

static void s3_server_empty(struct s3_server *server)
{
    while (server->objects != NULL)
        s3_remove(&server->objects);
    while (server->uploads != NULL) {
        struct s3_upload *upload = server->uploads;
        server->uploads = upload->next;
        s3_upload_free(upload);
    }
}

void s3_server_close(struct s3_server *server)
{
    scripted_close(&server->base);
    s3_server_empty(server);
    buf_clear(&server->log);
    mutex_clear(&server->lock);
}

void s3_server_reset(struct s3_server *server)
{
    mutex_lock(&server->lock);
    s3_server_empty(server);
    buf_reset(&server->log);
    server->request_count = 0;
    server->fault = S3_FAULT_NONE;
    server->fault_from = 0;
    server->fault_to = 0;
    mutex_unlock(&server->lock);
}

void s3_server_fail(struct s3_server *server, enum s3_fault fault, int from, int to)
{
    mutex_lock(&server->lock);
    server->fault = fault;
    server->fault_from = server->request_count + from;
    server->fault_to = to == INT32_MAX ? to : server->request_count + to;
    mutex_unlock(&server->lock);
}

bool s3_server_get(struct s3_server *server, const char *key, struct buf *ret_bytes)
{
    mutex_lock(&server->lock);
    const struct s3_object *object = *s3_find(server, key);
    if (object != NULL)
        buf_append(ret_bytes, buf_slice(&object->bytes));
    mutex_unlock(&server->lock);
    return object != NULL;
}

void s3_server_put(struct s3_server *server, const char *key, const char *text)
{
    struct s3_object *object = mem_alloc(sizeof *object);
    (void)snprintf(object->key, sizeof object->key, "%s", key);
    buf_init(&object->bytes, S3_SERVER_BODY_MAX);
    buf_append_text(&object->bytes, text);
    object->size_bytes = strlen(text);
    object->written_at_ms = clock_wall_ms(clock_system());
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    uint8_t digest[MD5_BYTES];
    md5_update(md5, slice_text(text));
    md5_finish(md5, digest);
    s3_etag(digest, object->etag);
    mutex_lock(&server->lock);
    s3_publish(server, object);
    mutex_unlock(&server->lock);
}

void s3_server_age(struct s3_server *server, int64_t age_ms)
{
    mutex_lock(&server->lock);
    for (struct s3_object *at = server->objects; at != NULL; at = at->next)
        at->written_at_ms -= age_ms;
    for (struct s3_upload *at = server->uploads; at != NULL; at = at->next)
        at->object.written_at_ms -= age_ms;
    mutex_unlock(&server->lock);
}

int s3_server_object_count(struct s3_server *server)
{
    int count = 0;
    mutex_lock(&server->lock);
    for (const struct s3_object *at = server->objects; at != NULL; at = at->next)
        count++;
    mutex_unlock(&server->lock);
    return count;
}

int s3_server_open_uploads(struct s3_server *server)
{
    int count = 0;
    mutex_lock(&server->lock);
    for (const struct s3_upload *at = server->uploads; at != NULL; at = at->next)
        count += at->is_completed ? 0 : 1;
    mutex_unlock(&server->lock);
    return count;
}

int s3_server_requests(struct s3_server *server)
{
    mutex_lock(&server->lock);
    const int count = server->request_count;
    mutex_unlock(&server->lock);
    return count;
}
