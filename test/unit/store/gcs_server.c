// SPDX-License-Identifier: Apache-2.0
#include "gcs_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"

#define GCS_SERVER_BODY_MAX   ((size_t)64 * 1024 * 1024)
#define GCS_SERVER_HEAD_BYTES ((size_t)256 * 1024)
#define GCS_SERVER_OBJECT_MAX ((size_t)1 << 30)
#define GCS_SERVER_DELAY_MS   30

struct gcs_request {
    struct gcs_server *server;
    struct scripted_peer *peer;
    struct arena arena;
    char *method;
    char *path; // as sent
    char *query;
    char *head;
    size_t size_bytes;
    struct buf body;
    enum gcs_fault fault;

    // The answer.
    int status;
    char headers[2048];
    struct buf answer;
    struct gcs_server_upload *begun; // by this request
};

// --- Small helpers

static const char *gcs_header(struct gcs_request *request, const char *name)
{
    const size_t chars = strlen(name);
    for (const char *line = strchr(request->head, '\n'); line != NULL;
         line = strchr(line + 1, '\n'))
        if (strncasecmp(line + 1, name, chars) == 0 && line[1 + chars] == ':') {
            const char *value = line + 1 + chars + 1;
            value += strspn(value, " ");
            return arena_copy_slice(&request->arena, slice_of(value, strcspn(value, "\r\n")));
        }
    return "";
}

static char *gcs_decode(struct arena *arena, struct slice text)
{
    const char *from = slice_chars(text);
    char *to = arena_alloc(arena, text.size_bytes + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        uint8_t byte = 0;
        if (from[i] == '%' && i + 2 < text.size_bytes &&
            hex_decode(slice_of(from + i + 1, 2), &byte, 1)) {
            to[size++] = (char)byte;
            i += 2;
        } else {
            to[size++] = from[i];
        }
    }
    return to;
}

// "" when there is none.
static const char *gcs_parameter(struct gcs_request *request, const char *name)
{
    const size_t chars = strlen(name);
    for (const char *at = request->query; *at != '\0';) {
        const size_t size = strcspn(at, "&");
        if (size > chars && strncmp(at, name, chars) == 0 && at[chars] == '=')
            return gcs_decode(&request->arena, slice_of(at + chars + 1, size - chars - 1));
        at += at[size] == '\0' ? size : size + 1;
    }
    return "";
}

// Google's texts may say anything: here, the secret.
static void gcs_refuse(struct gcs_request *request, int status, const char *reason,
                       const char *message)
{
    request->status = status;
    buf_reset(&request->answer);
    buf_append_format(&request->answer,
                      "{\"error\":{\"code\":%d,\"message\":\"%s\",\"errors\":[{\"reason\":\"%s\","
                      "\"message\":\"%s\"}]}}",
                      status, message, reason, GCS_SERVER_TOKEN);
}

static struct gcs_server_object **gcs_find(struct gcs_server *server, const char *name)
{
    struct gcs_server_object **at = &server->objects;
    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static void gcs_md5(struct slice bytes, char ret_text[32])
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    uint8_t digest[MD5_BYTES];
    md5_update(md5, bytes);
    md5_finish(md5, digest);
    (void)snprintf(ret_text, 32, "%s",
                   base64_encode(BASE64_STANDARD, slice_of(digest, sizeof digest), &arena));
}

static void gcs_free_object(struct gcs_server_object **at)
{
    struct gcs_server_object *object = *at;
    *at = object->next;
    buf_clear(&object->bytes);
    mem_free(object);
}

// Takes the bytes of made.
static struct gcs_server_object *gcs_publish(struct gcs_server *server,
                                             struct gcs_server_object *made)
{
    struct gcs_server_object **at = gcs_find(server, made->name);
    if (*at != NULL)
        gcs_free_object(at);
    struct gcs_server_object *object = mem_alloc(sizeof *object);
    *object = *made;
    buf_init(&made->bytes, GCS_SERVER_OBJECT_MAX);
    gcs_md5(buf_slice(&object->bytes), object->md5);
    object->generation = 1000 + server->next_id++;
    object->created_at_ms = clock_wall_ms(clock_system());
    if (server->has_no_metadata)
        object->sha256[0] = '\0';
    object->next = server->objects;
    server->objects = object;
    return object;
}

static void gcs_write_object(struct gcs_request *request, const struct gcs_server_object *object,
                             struct json_text *json)
{
    const struct civil at = civil_from_ms(object->created_at_ms);
    const enum gcs_fault fault = request->fault;
    struct arena *arena = &request->arena;
    const uint64_t size = object->bytes.size_bytes + (fault == GCS_FAULT_SIZE_WRONG ? 1 : 0);
    json_text_open(json, '{');
    json_text_member_text(json, "kind", "storage#object");
    json_text_member_text(json, "name", fault == GCS_FAULT_NAME_WRONG ? "another" : object->name);
    json_text_member_text(json, "bucket", GCS_SERVER_BUCKET);
    json_text_member_text(json, "generation",
                          arena_format(arena, "%lld", (long long)object->generation));
    json_text_member_text(json, "size", arena_format(arena, "%llu", (unsigned long long)size));
    json_text_member_text(json, "md5Hash",
                          fault == GCS_FAULT_MD5_WRONG ? "1B2M2Y8AsgTpgAmY7PhCfg==" : object->md5);
    json_text_member_text(json, "timeCreated",
                          arena_format(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", at.year,
                                       at.month, at.day, at.hour, at.minute, at.second,
                                       at.millisecond));
    if (object->sha256[0] != '\0') {
        json_text_key(json, "metadata");
        json_text_open(json, '{');
        json_text_member_text(json, "sha256", object->sha256);
        json_text_close(json, '}');
    }
    json_text_close(json, '}');
}

static void gcs_answer_object(struct gcs_request *request, const struct gcs_server_object *object)
{
    struct json_text json;
    request->status = 200;
    json_text_init(&json, &request->answer);
    gcs_write_object(request, object, &json);
}

// --- Uploads

static bool gcs_takes_condition(struct gcs_request *request, const char *name)
{
    const bool is_there = *gcs_find(request->server, name) != NULL;
    const bool has_condition = strcmp(gcs_parameter(request, "ifGenerationMatch"), "0") == 0;
    if (!has_condition && !request->server->denies_get)
        request->server->refused_count++; // we always say so, where we may look instead
    if (!is_there)
        return true;
    if (request->server->denies_delete && (!has_condition || request->server->is_strict)) {
        gcs_refuse(request, 403, "forbidden", "x does not have storage.objects.delete access.");
        return false;
    }
    if (!has_condition)
        return true;
    gcs_refuse(request, 412, "conditionNotMet", "At least one of the pre-conditions did not hold.");
    return false;
}

static void gcs_begin(struct gcs_request *request)
{
    struct gcs_server *server = request->server;
    const char *name = gcs_parameter(request, "name");
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(buf_slice(&request->body), &tree, NULL) || name[0] == '\0') {
        gcs_refuse(request, 400, "parseError", "Parse Error");
        return;
    }
    if (!gcs_takes_condition(request, name))
        return;
    const struct json_node *root = json_tree_root(tree);
    struct gcs_server_upload *upload = mem_alloc(sizeof *upload);
    upload->is_open = true;
    upload->replaces = gcs_parameter(request, "ifGenerationMatch")[0] == '\0';
    upload->size_bytes = strtoull(gcs_header(request, "X-Upload-Content-Length"), NULL, 10);
    buf_init(&upload->object.bytes, GCS_SERVER_OBJECT_MAX);
    (void)snprintf(upload->id, sizeof upload->id, "ABg5-x_%d", ++server->next_id);
    (void)snprintf(upload->object.name, sizeof upload->object.name, "%s", name);
    (void)snprintf(upload->object.content_type, sizeof upload->object.content_type, "%s",
                   gcs_header(request, "X-Upload-Content-Type"));
    (void)snprintf(upload->object.md5, sizeof upload->object.md5, "%s",
                   slice_chars(json_node_text(json_node_get(root, "md5Hash"))));
    (void)snprintf(
        upload->object.sha256, sizeof upload->object.sha256, "%s",
        slice_chars(json_node_text(json_node_get(json_node_get(root, "metadata"), "sha256"))));
    upload->next = server->uploads;
    server->uploads = upload;
    request->begun = upload;
    request->status = 200;
    // The host that it names is not to be asked.
    (void)snprintf(request->headers, sizeof request->headers,
                   "Location: http://127.0.0.1:1%s?%s&upload_id=%s\r\n", request->path,
                   request->query, upload->id);
}

static struct gcs_server_upload *gcs_find_upload(struct gcs_request *request)
{
    const char *id = gcs_parameter(request, "upload_id");
    for (struct gcs_server_upload *at = request->server->uploads; at != NULL; at = at->next)
        if (strcmp(at->id, id) == 0 && (at->is_open || at->is_done) &&
            strcmp(gcs_parameter(request, "name"), at->object.name) == 0)
            return at;
    return NULL;
}

static void gcs_answer_308(struct gcs_request *request, const struct gcs_server_upload *upload)
{
    size_t size = upload->object.bytes.size_bytes;
    request->status = 308;
    if (request->fault == GCS_FAULT_RANGE_BEYOND)
        size += 100000;
    if (request->fault == GCS_FAULT_RANGE_BACK)
        size = size / 2;
    if (request->fault == GCS_FAULT_RANGE_ODD)
        (void)snprintf(request->headers, sizeof request->headers, "Range: bytes=5-%zu\r\n", size);
    else if (size > 0)
        (void)snprintf(request->headers, sizeof request->headers, "Range: bytes=0-%zu\r\n",
                       size - 1);
}

static void gcs_end_upload(struct gcs_request *request, struct gcs_server_upload *upload)
{
    char md5[32];
    gcs_md5(buf_slice(&upload->object.bytes), md5);
    if (upload->object.md5[0] != '\0' && strcmp(md5, upload->object.md5) != 0) {
        upload->is_open = false;
        gcs_refuse(request, 400, "invalid",
                   "Provided MD5 hash \\\"x\\\" doesn't match calculated MD5 hash \\\"y\\\".");
        return;
    }
    if (*gcs_find(request->server, upload->object.name) != NULL && !upload->replaces) {
        upload->is_open = false;
        gcs_refuse(request, 412, "conditionNotMet", "At least one of the pre-conditions ...");
        return;
    }
    gcs_answer_object(request, gcs_publish(request->server, &upload->object));
    upload->is_open = false;
    upload->is_done = true;
}

static void gcs_take_bytes(struct gcs_request *request, struct gcs_server_upload *upload,
                           size_t size_bytes)
{
    buf_append(&upload->object.bytes, slice_part(buf_slice(&request->body), 0, size_bytes));
    if (upload->object.bytes.size_bytes == upload->size_bytes)
        gcs_end_upload(request, upload);
    else
        gcs_answer_308(request, upload);
}

// "bytes A-B/ALL" or "bytes */ALL".
static bool gcs_read_range(struct gcs_request *request, const struct gcs_server_upload *upload,
                           bool *ret_asks)
{
    unsigned long long first = 0;
    unsigned long long last = 0;
    unsigned long long all = 0;
    int end = 0;
    const char *text = gcs_header(request, "Content-Range");
    *ret_asks = sscanf(text, "bytes */%llu%n", &all, &end) == 1 && text[end] == '\0';
    if (*ret_asks)
        return all == upload->size_bytes && request->size_bytes == 0;
    end = 0;
    if (sscanf(text, "bytes %llu-%llu/%llu%n", &first, &last, &all, &end) != 3 || text[end] != '\0')
        return false;
    const bool is_last = last + 1 == all;
    return all == upload->size_bytes && first <= last && last < all &&
           first == upload->object.bytes.size_bytes && request->size_bytes == last - first + 1 &&
           (is_last || request->size_bytes % request->server->granule_bytes == 0);
}

static void gcs_continue(struct gcs_request *request)
{
    struct gcs_server_upload *upload = gcs_find_upload(request);
    if (upload != NULL && request->fault == GCS_FAULT_FORGET)
        upload->is_open = false;
    if (upload == NULL || request->fault == GCS_FAULT_FORGET) {
        gcs_refuse(request, request->fault == GCS_FAULT_FORGET ? 410 : 404, "notFound", "Gone");
        return;
    }
    if (upload->is_done) {
        const struct gcs_server_object *object = *gcs_find(request->server, upload->object.name);
        if (object != NULL)
            gcs_answer_object(request, object);
        else
            gcs_refuse(request, 410, "gone", "Gone");
        return;
    }
    bool asks = false;
    if (!gcs_read_range(request, upload, &asks)) {
        request->server->refused_count++;
        gcs_refuse(request, 400, "invalid", "Invalid request. Content-Range.");
        return;
    }
    if (asks && upload->size_bytes > 0) {
        gcs_answer_308(request, upload);
        return;
    }
    size_t size_bytes = request->size_bytes;
    const bool is_half = request->fault == GCS_FAULT_HALF_308 ||
                         request->fault == GCS_FAULT_HALF_RESET ||
                         request->fault == GCS_FAULT_HALF_STALL;
    if (is_half)
        size_bytes = size_bytes / 2 / GCS_SERVER_GRANULE * GCS_SERVER_GRANULE;
    if (is_half && size_bytes == 0 && request->size_bytes == 0) { // an empty file has no half
        request->status = 308;
        return;
    }
    gcs_take_bytes(request, upload, size_bytes);
}

static void gcs_cancel(struct gcs_request *request)
{
    struct gcs_server_upload *upload = gcs_find_upload(request);
    if (strcmp(gcs_header(request, "Content-Length"), "0") != 0)
        request->server->refused_count++;
    if (upload == NULL || upload->is_done) {
        gcs_refuse(request, 404, "notFound", "Not Found");
        return;
    }
    upload->is_open = false;
    request->status = 499;
}

static void gcs_put_media(struct gcs_request *request)
{
    const char *name = gcs_parameter(request, "name");
    if (!gcs_takes_condition(request, name))
        return;
    struct gcs_server_object made = {0};
    buf_init(&made.bytes, GCS_SERVER_OBJECT_MAX);
    buf_append(&made.bytes, buf_slice(&request->body));
    (void)snprintf(made.name, sizeof made.name, "%s", name);
    gcs_answer_object(request, gcs_publish(request->server, &made));
}

// --- Objects

// The first one behind a name, in the order of names; NULL: none.
static const struct gcs_server_object *gcs_next(const struct gcs_server *server, const char *prefix,
                                                const char *name)
{
    const struct gcs_server_object *next = NULL;
    for (const struct gcs_server_object *at = server->objects; at != NULL; at = at->next)
        if (strncmp(at->name, prefix, strlen(prefix)) == 0 && strcmp(at->name, name) > 0 &&
            (next == NULL || strcmp(at->name, next->name) < 0))
            next = at;
    return next;
}

// Pages of three: whoever lists has to turn them.
static void gcs_list(struct gcs_request *request)
{
    const struct gcs_server *server = request->server;
    const char *prefix = gcs_parameter(request, "prefix");
    const char *name = gcs_parameter(request, "pageToken");
    struct json_text json;
    if (strcmp(gcs_parameter(request, "maxResults"), "500") != 0)
        request->server->refused_count++;
    json_text_init(&json, &request->answer);
    json_text_open(&json, '{');
    json_text_key(&json, "items");
    json_text_open(&json, '[');
    const struct gcs_server_object *object = gcs_next(server, prefix, name);
    for (int i = 0; i < 3 && object != NULL; i++) {
        gcs_write_object(request, object, &json);
        name = object->name;
        object = gcs_next(server, prefix, name);
    }
    json_text_close(&json, ']');
    if (object != NULL)
        json_text_member_text(&json, "nextPageToken", name);
    json_text_close(&json, '}');
    request->status = 200;
}

static void gcs_delete(struct gcs_request *request, struct gcs_server_object **at)
{
    const char *condition = gcs_parameter(request, "ifGenerationMatch");
    if (condition[0] != '\0' && strtoll(condition, NULL, 10) != (*at)->generation) {
        gcs_refuse(request, 412, "conditionNotMet", "At least one of the pre-conditions ...");
        return;
    }
    gcs_free_object(at);
    request->status = 204;
}

static void gcs_deny(struct gcs_request *request, const char *permission)
{
    gcs_refuse(request, 403, "forbidden",
               arena_format(&request->arena, "x does not have %s access.", permission));
}

static void gcs_serve_object(struct gcs_request *request, const char *name)
{
    struct gcs_server *server = request->server;
    struct gcs_server_object **at = gcs_find(server, name);
    const bool deletes = strcmp(request->method, "DELETE") == 0;
    if (deletes ? server->denies_delete : server->denies_get)
        gcs_deny(request, deletes ? "storage.objects.delete" : "storage.objects.get");
    else if (*at == NULL)
        gcs_refuse(request, 404, "notFound", "No such object");
    else if (deletes)
        gcs_delete(request, at);
    else if (strcmp(gcs_parameter(request, "alt"), "media") != 0)
        gcs_answer_object(request, *at);
    else {
        request->status = 200;
        buf_append(&request->answer, buf_slice(&(*at)->bytes));
    }
}

static bool gcs_has_token(struct gcs_request *request)
{
    const char *given = gcs_header(request, "Authorization");
    const char *wanted = request->server->is_expired ? "Bearer " GCS_SERVER_FRESH_TOKEN
                                                     : "Bearer " GCS_SERVER_TOKEN;
    return strcmp(given, wanted) == 0;
}

static void gcs_route(struct gcs_request *request)
{
    static const char upload_path[] = "/upload/storage/v1/b/" GCS_SERVER_BUCKET "/o";
    static const char object_path[] = "/storage/v1/b/" GCS_SERVER_BUCKET "/o";
    struct gcs_server *server = request->server;
    const bool is_upload = strcmp(request->path, upload_path) == 0;
    if (is_upload && gcs_parameter(request, "upload_id")[0] != '\0') {
        if (gcs_header(request, "Authorization")[0] != '\0')
            server->refused_count++; // nobody's business
        if (strcmp(request->method, "DELETE") == 0)
            gcs_cancel(request);
        else
            gcs_continue(request);
        return;
    }
    if (!gcs_has_token(request)) {
        gcs_refuse(request, 401, "authError", "Invalid Credentials");
    } else if (server->has_no_bucket) {
        gcs_refuse(request, 404, "notFound", "The specified bucket does not exist.");
    } else if (is_upload && server->denies_create) {
        gcs_deny(request, "storage.objects.create");
    } else if (is_upload && strcmp(gcs_parameter(request, "uploadType"), "resumable") == 0) {
        gcs_begin(request);
    } else if (is_upload) {
        gcs_put_media(request);
    } else if (strcmp(request->path, object_path) == 0) {
        if (server->denies_list)
            gcs_deny(request, "storage.objects.list");
        else
            gcs_list(request);
    } else if (strncmp(request->path, object_path, strlen(object_path)) == 0) {
        const char *name = request->path + strlen(object_path) + 1;
        gcs_serve_object(request, gcs_decode(&request->arena, slice_text(name)));
    } else {
        server->refused_count++;
        gcs_refuse(request, 404, "notFound", "Not Found");
    }
}

// --- Faults

static void gcs_fill(struct gcs_request *request, char character, size_t size_bytes)
{
    request->status = 200;
    memset(buf_reserve(&request->answer, size_bytes), character, size_bytes);
    buf_advance(&request->answer, size_bytes);
}

// True: that is all there is to the request.
static bool gcs_fail_before(struct gcs_request *request)
{
    static const struct {
        enum gcs_fault fault;
        int status;
        const char *reason;
    } plain[] = {
        {GCS_FAULT_500_BEFORE, 500, "backendError"},
        {GCS_FAULT_503, 503, "backendError"},
        {GCS_FAULT_408, 408, "uploadTimeout"},
        {GCS_FAULT_429, 429, "rateLimitExceeded"},
        {GCS_FAULT_403_RATE, 403, "rateLimitExceeded"},
        {GCS_FAULT_301, 301, ""},
        {GCS_FAULT_307, 307, ""},
        {GCS_FAULT_400, 400, "invalid"},
        {GCS_FAULT_401, 401, "authError"},
        {GCS_FAULT_403, 403, "forbidden"},
        {GCS_FAULT_404, 404, "notFound"},
        {GCS_FAULT_410, 410, "gone"},
        {GCS_FAULT_412, 412, "conditionNotMet"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (request->fault != plain[i].fault)
            continue;
        gcs_refuse(request, plain[i].status, plain[i].reason, "no " GCS_SERVER_TOKEN);
        (void)snprintf(request->headers, sizeof request->headers,
                       "Location: http://127.0.0.1:1/\r\nRetry-After: 100\r\n");
        return true;
    }
    if (request->fault == GCS_FAULT_LIE || request->fault == GCS_FAULT_EARLY)
        request->status = 200;
    else if (request->fault == GCS_FAULT_HUGE)
        gcs_fill(request, ' ', (size_t)1100000);
    else if (request->fault == GCS_FAULT_DEEP)
        gcs_fill(request, '[', 100000);
    return request->status == 200;
}

static void gcs_wait_ms(int wait_ms)
{
    (void)poll(NULL, 0, wait_ms);
}

static void gcs_wait_for_end(struct scripted_peer *peer)
{
    struct buf gone CLEANUP(buf_clear);
    buf_init(&gone, SCRIPTED_BYTES_MAX);
    while (scripted_read(peer, 1, &gone))
        continue;
}

static void gcs_write_answer(struct gcs_request *request, struct buf *text)
{
    const enum gcs_fault fault = request->fault;
    if (fault == GCS_FAULT_500_AFTER)
        gcs_refuse(request, 500, "backendError", "after");
    if (fault == GCS_FAULT_EMPTY)
        buf_reset(&request->answer);
    if (fault == GCS_FAULT_NO_HEADERS)
        request->headers[0] = '\0';
    buf_append_format(text, "HTTP/1.1 %d Said\r\n%s", request->status, request->headers);
    if (request->status != 204)
        buf_append_format(text, "Content-Length: %zu\r\n", request->answer.size_bytes);
    for (int i = 0; fault == GCS_FAULT_LONG_HEAD && i < 2000; i++)
        buf_append_format(text, "X-Long-%d: %0100d\r\n", i, 1);
    buf_append_text(text, "\r\n");
    if (request->status != 204)
        buf_append(text, buf_slice(&request->answer));
}

// False: the connection ends.
static bool gcs_send_answer(struct gcs_request *request)
{
    struct scripted_peer *peer = request->peer;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 2 * GCS_SERVER_OBJECT_MAX);
    const enum gcs_fault fault = request->fault;
    if (fault == GCS_FAULT_RESET_AFTER || fault == GCS_FAULT_HALF_RESET)
        scripted_reset(peer);
    if (fault == GCS_FAULT_STALL || fault == GCS_FAULT_HALF_STALL)
        gcs_wait_for_end(peer);
    if (fault == GCS_FAULT_GARBAGE)
        (void)scripted_send(peer, "\x15\x03 what\r\n\r\n");
    if (fault == GCS_FAULT_RESET_AFTER || fault == GCS_FAULT_HALF_RESET ||
        fault == GCS_FAULT_STALL || fault == GCS_FAULT_HALF_STALL || fault == GCS_FAULT_GARBAGE ||
        fault == GCS_FAULT_CLOSE_AFTER || fault == GCS_FAULT_CLOSE_BEFORE)
        return false;
    gcs_write_answer(request, &text);
    size_t size_bytes = text.size_bytes;
    if (request->fault == GCS_FAULT_DELAY)
        gcs_wait_ms(GCS_SERVER_DELAY_MS);
    if (request->fault == GCS_FAULT_RESET_IN_HEAD)
        size_bytes = 20;
    if (request->fault == GCS_FAULT_TRUNCATED)
        size_bytes -= 1;
    const bool is_sent = scripted_send_bytes(peer, text.data, size_bytes);
    if (request->fault == GCS_FAULT_DUPLICATE)
        (void)scripted_send_bytes(peer, text.data, size_bytes);
    if (request->fault == GCS_FAULT_RESET_IN_HEAD)
        scripted_reset(peer);
    return is_sent && size_bytes == text.size_bytes && request->fault != GCS_FAULT_EARLY;
}

// --- The server

static void gcs_answer(struct gcs_request *request)
{
    struct gcs_server *server = request->server;
    mutex_lock(&server->lock);
    if (request->fault == GCS_FAULT_FLIPPED && request->body.size_bytes > 0)
        request->body.data[request->body.size_bytes / 2] ^= 4;
    const bool has_no_effect = gcs_fail_before(request) ||
                               request->fault == GCS_FAULT_CLOSE_BEFORE ||
                               request->fault == GCS_FAULT_GARBAGE;
    if (!has_no_effect)
        gcs_route(request);
    buf_append_format(&server->log, "%s %s?%s %d\n", request->method, request->path, request->query,
                      request->status);
    mutex_unlock(&server->lock);
}

static bool gcs_read_request(struct gcs_request *request)
{
    struct gcs_server *server = request->server;
    struct buf head CLEANUP(buf_clear);
    buf_init(&head, GCS_SERVER_HEAD_BYTES);
    if (!scripted_read_until(request->peer, "\r\n\r\n", &head))
        return false;
    request->head = arena_copy_slice(&request->arena, buf_slice(&head));
    char *line = arena_copy_slice(&request->arena,
                                  slice_of(request->head, strcspn(request->head, "\r")));
    request->method = line;
    char *target = strchr(line, ' ');
    *target++ = '\0';
    target[strcspn(target, " ")] = '\0';
    request->path = target;
    char *query = strchr(target, '?');
    request->query = query == NULL ? target + strlen(target) : query + 1;
    if (query != NULL)
        *query = '\0';
    request->size_bytes = strtoull(gcs_header(request, "Content-Length"), NULL, 10);
    mutex_lock(&server->lock);
    const int number = ++server->request_count;
    if (number >= server->fault_from && number <= server->fault_to)
        request->fault = server->fault;
    mutex_unlock(&server->lock);
    return request->fault == GCS_FAULT_EARLY ||
           scripted_read(request->peer, request->size_bytes, &request->body);
}

static bool gcs_serve_one(struct gcs_server *server, struct scripted_peer *peer)
{
    struct gcs_request request = {.server = server, .peer = peer};
    arena_init(&request.arena);
    buf_init(&request.body, GCS_SERVER_BODY_MAX);
    buf_init(&request.answer, GCS_SERVER_OBJECT_MAX);
    bool is_kept = gcs_read_request(&request);
    if (is_kept) {
        gcs_answer(&request);
        is_kept = gcs_send_answer(&request);
        mutex_lock(&server->lock);
        if (request.begun != NULL && is_kept && request.status == 200 &&
            request.headers[0] != '\0' && request.fault != GCS_FAULT_LONG_HEAD)
            request.begun->is_known = true;
        mutex_unlock(&server->lock);
    }
    arena_clear(&request.arena);
    buf_clear(&request.body);
    buf_clear(&request.answer);
    return is_kept;
}

static void gcs_serve(void *context, struct scripted_peer *peer)
{
    while (gcs_serve_one(context, peer))
        continue;
}

void gcs_server_open(struct gcs_server *server)
{
    *server = (struct gcs_server){.granule_bytes = GCS_SERVER_GRANULE};
    mutex_init(&server->lock);
    buf_init(&server->log, GCS_SERVER_OBJECT_MAX);
    scripted_open(&server->base, gcs_serve, server);
}

static void gcs_server_forget(struct gcs_server *server)
{
    while (server->objects != NULL)
        gcs_free_object(&server->objects);
    while (server->uploads != NULL) {
        struct gcs_server_upload *upload = server->uploads;
        server->uploads = upload->next;
        buf_clear(&upload->object.bytes);
        mem_free(upload);
    }
    buf_reset(&server->log);
}

void gcs_server_close(struct gcs_server *server)
{
    scripted_close(&server->base);
    gcs_server_forget(server);
    buf_clear(&server->log);
    mutex_clear(&server->lock);
}

void gcs_server_reset(struct gcs_server *server)
{
    mutex_lock(&server->lock);
    gcs_server_forget(server);
    server->request_count = 0;
    server->refused_count = 0;
    server->fault = GCS_FAULT_NONE;
    mutex_unlock(&server->lock);
}

void gcs_server_fail(struct gcs_server *server, enum gcs_fault fault, int from, int to)
{
    mutex_lock(&server->lock);
    server->fault = fault;
    server->fault_from = server->request_count + from;
    server->fault_to = server->request_count + to;
    mutex_unlock(&server->lock);
}

bool gcs_server_get(struct gcs_server *server, const char *key, struct buf *ret_bytes)
{
    mutex_lock(&server->lock);
    const struct gcs_server_object *object = *gcs_find(server, key);
    if (object != NULL)
        buf_append(ret_bytes, buf_slice(&object->bytes));
    mutex_unlock(&server->lock);
    return object != NULL;
}

void gcs_server_put(struct gcs_server *server, const char *key, const char *text)
{
    struct gcs_server_object made = {0};
    buf_init(&made.bytes, GCS_SERVER_OBJECT_MAX);
    buf_append_text(&made.bytes, text);
    (void)snprintf(made.name, sizeof made.name, "%s", key);
    mutex_lock(&server->lock);
    (void)gcs_publish(server, &made);
    mutex_unlock(&server->lock);
}

void gcs_server_age(struct gcs_server *server, int64_t age_ms)
{
    mutex_lock(&server->lock);
    for (struct gcs_server_object *at = server->objects; at != NULL; at = at->next)
        at->created_at_ms -= age_ms;
    mutex_unlock(&server->lock);
}

int gcs_server_object_count(struct gcs_server *server)
{
    int count = 0;
    mutex_lock(&server->lock);
    for (const struct gcs_server_object *at = server->objects; at != NULL; at = at->next)
        count++;
    mutex_unlock(&server->lock);
    return count;
}

int gcs_server_open_uploads(struct gcs_server *server)
{
    int count = 0;
    mutex_lock(&server->lock);
    for (const struct gcs_server_upload *at = server->uploads; at != NULL; at = at->next)
        count += at->is_open && at->is_known ? 1 : 0;
    mutex_unlock(&server->lock);
    return count;
}

int gcs_server_requests(struct gcs_server *server)
{
    mutex_lock(&server->lock);
    const int count = server->request_count;
    mutex_unlock(&server->lock);
    return count;
}
