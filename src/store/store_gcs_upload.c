// SPDX-License-Identifier: Apache-2.0
// A resumable upload:
//
//     POST /upload/...?uploadType=resumable&ifGenerationMatch=0&name=KEY   200, Location: /upload/
//     PUT LOCATION    Content-Range: bytes 0-16777215/40000000       308, Range: bytes=0-16777215
//     ...
//     PUT LOCATION    Content-Range: bytes 33554432-39999999/40000000      200, the object
//     PUT LOCATION    Content-Range: bytes */40000000 (how far are we?)    308 or 200
//     DELETE LOCATION                                                      499
//
// The object is there when the last byte is and Google found size and MD5 right. Whatever breaks on
// the way, Google is asked how far it is, and the upload goes on from there.
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "store/store_gcs_internal.h"

#define STORE_GCS_ID_CHARS_MAX ((size_t)2048)
#define STORE_GCS_PATH         "/upload/storage/v1/b/"

struct store_gcs_upload {
    struct store_gcs_put *put;
    struct retry retry;
    const char *path; // holds the right to write
    const char *id;
    uint64_t taken_bytes; // by Google, as it says
    uint64_t sent_bytes;  // from the start: more than that it cannot have
    bool is_over;         // nothing is left of it
};

// --- Begin and end

// The value of the parameter upload_id.
static const char *store_gcs_upload_id(const char *path, struct arena *arena)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._~";
    const char *query = strchr(path, '?');
    const char *at = query == NULL ? NULL : strstr(query, "upload_id=");
    if (at == NULL || (at[-1] != '?' && at[-1] != '&'))
        return NULL;
    at += strlen("upload_id=");
    const size_t chars = strspn(at, allowed);
    if (chars == 0 || chars > STORE_GCS_ID_CHARS_MAX || (at[chars] != '\0' && at[chars] != '&'))
        return NULL;
    return arena_copy_slice(arena, slice_of(at, chars));
}

// Of the address that Google names, only what is behind the host: a reply does not say whom we talk
// to.
static bool store_gcs_take_location(void *context, const struct gcs_reply *reply, struct err *err)
{
    struct store_gcs_upload *upload = context;
    const char *location = gcs_reply_header(reply, "Location");
    if (reply->status == 412)
        return true;
    const char *scheme = location == NULL ? NULL : strstr(location, "://");
    const char *path = scheme == NULL ? location : strchr(scheme + 3, '/');
    struct arena *arena = upload->put->work.arena;
    const char *id = path == NULL ? NULL : store_gcs_upload_id(path, arena);
    if (id == NULL || strncmp(path, STORE_GCS_PATH, strlen(STORE_GCS_PATH)) != 0)
        return err_set(err, ERR_UNAVAILABLE, "no upload in the answer");
    upload->path = arena_copy_text(arena, path);
    upload->id = id;
    return true;
}

static struct gcs_call store_gcs_begin_call(const struct store_gcs_put *put,
                                            struct http_client_header headers[3])
{
    struct arena *arena = put->work.arena;
    const struct store_file_spec *spec = put->spec;
    headers[0] = (struct http_client_header){"Content-Type", "application/json; charset=UTF-8"};
    headers[1] = (struct http_client_header){"X-Upload-Content-Type", spec->content_type};
    headers[2] = (struct http_client_header){
        "X-Upload-Content-Length",
        arena_format(arena, "%llu", (unsigned long long)spec->size_bytes)};
    const char *path =
        arena_format(arena, "%s?uploadType=resumable%s&name=%s",
                     gcs_upload_path(gcs_client_bucket(put->work.gcs->client), arena),
                     put->replaces ? "" : "&ifGenerationMatch=0", gcs_encode(put->work.key, arena));
    struct gcs_call call = store_gcs_call(&put->work, "create object", "POST", path);
    call.permission = STORE_GCS_CREATE;
    call.role = STORE_GCS_CREATOR;
    call.headers = headers;
    call.header_count = 3;
    call.text = slice_text(gcs_object_write(spec->content_type, put->expected.md5_base64,
                                            put->expected.sha256_hex, arena));
    call.statuses[0] = 201;
    call.statuses[1] = 412;
    return call;
}

static enum store_gcs_course store_gcs_begin(struct store_gcs_upload *upload, struct err *err)
{
    struct store_gcs_put *put = upload->put;
    struct http_client_header headers[3];
    struct gcs_call call = store_gcs_begin_call(put, headers);
    call.check = store_gcs_take_location;
    call.check_context = upload;
    struct gcs_reply reply;
    if (!gcs_client_send(put->work.gcs->client, &call, put->work.arena, &reply, NULL, err))
        return store_gcs_settle_after(put, err);
    if (reply.status == 412) {
        (void)err_set(err, ERR_UNAVAILABLE, "create object: somebody else writes %s",
                      put->work.key);
        return store_gcs_settle(put, false, err);
    }
    return STORE_GCS_GO_ON;
}

static bool store_gcs_tell_over(const struct store_gcs_upload *upload, struct err *err)
{
    const struct store_gcs_put *put = upload->put;
    const struct store_hooks *hooks = put->work.hooks;
    return hooks->upload_over == NULL ||
           hooks->upload_over(hooks->context, put->spec->key, upload->id, err);
}

// Also when nobody wants to go on: without hooks, and in one attempt.
static bool store_gcs_abort(struct store_gcs *gcs, const char *path, bool is_single,
                            struct arena *arena, struct err *err)
{
    const struct http_client_header length = {"Content-Length", "0"}; // as Google asks for it
    const struct gcs_call call = {.name = "end upload",
                                  .method = "DELETE",
                                  .path = path,
                                  .has_own_right = true,
                                  .headers = &length,
                                  .header_count = 1,
                                  .statuses = {204, 404, 410, 499},
                                  .is_single = is_single};
    struct gcs_reply reply;
    return gcs_client_send(gcs->client, &call, arena, &reply, NULL, err);
}

bool store_gcs_abort_upload(struct store *store, const char *key, const char *upload_id,
                            struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_gcs *gcs = (struct store_gcs *)store;
    const char *path = arena_format(&arena, "%s?uploadType=resumable&name=%s&upload_id=%s",
                                    gcs_upload_path(gcs_client_bucket(gcs->client), &arena),
                                    gcs_encode(store_gcs_key(gcs, key, &arena), &arena),
                                    gcs_encode(upload_id, &arena));
    return store_gcs_abort(gcs, path, false, &arena, err);
}

// --- Pieces

static struct gcs_call store_gcs_session_call(const struct store_gcs_upload *upload,
                                              const char *name,
                                              const struct http_client_header *range)
{
    struct gcs_call call = store_gcs_call(&upload->put->work, name, "PUT", upload->path);
    call.has_own_right = true;
    call.headers = range;
    call.header_count = 1;
    static const int statuses[] = {201, 308, 400, 404, 410, 412, 499};
    static_assert(ARRAY_COUNT(statuses) <= GCS_STATUSES_MAX, "room");
    memcpy(call.statuses, statuses, sizeof statuses);
    call.is_single = true;
    return call;
}

static bool store_gcs_send_piece(struct store_gcs_upload *upload, struct gcs_reply *ret_reply,
                                 struct err *err)
{
    struct store_gcs_put *put = upload->put;
    const uint64_t all_bytes = put->spec->size_bytes;
    const uint64_t left_bytes = all_bytes - upload->taken_bytes;
    const uint64_t piece_bytes = left_bytes < put->work.gcs->piece_bytes
                                     ? left_bytes
                                     : put->work.gcs->piece_bytes;
    const uint64_t end = upload->taken_bytes + piece_bytes;
    const char *value = arena_format(put->work.arena, "bytes %llu-%llu/%llu",
                                     (unsigned long long)upload->taken_bytes,
                                     (unsigned long long)end - 1, (unsigned long long)all_bytes);
    const struct http_client_header range = {"Content-Range",
                                             piece_bytes == 0 ? "bytes */0" : value};
    struct gcs_call call = store_gcs_session_call(upload, "send bytes", &range);
    call.body_bytes = piece_bytes;
    call.fd = put->spec->fd;
    call.offset_bytes = upload->taken_bytes;
    if (upload->sent_bytes < end)
        upload->sent_bytes = end;
    bool *is_unclear = end == all_bytes ? &put->is_unclear : NULL;
    return gcs_client_send(put->work.gcs->client, &call, put->work.arena, ret_reply, is_unclear,
                           err);
}

static bool store_gcs_ask(struct store_gcs_upload *upload, struct gcs_reply *ret_reply,
                          struct err *err)
{
    struct store_gcs_put *put = upload->put;
    const char *value = arena_format(put->work.arena, "bytes */%llu",
                                     (unsigned long long)put->spec->size_bytes);
    const struct http_client_header range = {"Content-Range", value};
    const struct gcs_call call = store_gcs_session_call(upload, "ask about upload", &range);
    return gcs_client_send(put->work.gcs->client, &call, put->work.arena, ret_reply, NULL, err);
}

// "bytes=0-N"; none: nothing was taken. False for anything else.
static bool store_gcs_taken(const struct gcs_reply *reply, uint64_t *ret_bytes)
{
    static const char start[] = "bytes=0-";
    const char *range = gcs_reply_header(reply, "Range");
    int64_t last = -1;
    if (range != NULL && (strncmp(range, start, strlen(start)) != 0 ||
                          !number_parse_int64(slice_text(range + strlen(start)), &last) ||
                          last < 0 || last == INT64_MAX))
        return false;
    *ret_bytes = (uint64_t)(last + 1);
    return true;
}

static enum store_gcs_course store_gcs_take_range(struct store_gcs_upload *upload, bool was_asked,
                                                  const struct gcs_reply *reply, struct err *err)
{
    uint64_t taken_bytes = 0;
    if (!store_gcs_taken(reply, &taken_bytes) || taken_bytes < upload->taken_bytes ||
        taken_bytes > upload->sent_bytes) {
        (void)err_set(err, ERR_UNAVAILABLE, "send bytes: Google says that it has what it cannot");
        return STORE_GCS_AGAIN;
    }
    const bool is_further = taken_bytes > upload->taken_bytes;
    const bool is_all = taken_bytes == upload->put->spec->size_bytes;
    upload->taken_bytes = taken_bytes;
    if (is_further)
        retry_note_progress(&upload->retry);
    if ((is_further || was_asked) && !is_all)
        return STORE_GCS_GO_ON;
    (void)err_set(err, ERR_UNAVAILABLE, "send bytes: %s",
                  is_all ? "all is there, but no object" : "Google took nothing");
    return STORE_GCS_ASK;
}

static enum store_gcs_course store_gcs_verify(struct store_gcs_upload *upload,
                                              const struct gcs_reply *reply, struct err *err)
{
    struct store_gcs_put *put = upload->put;
    struct gcs_object object;
    struct store_gcs_look look;
    put->is_unclear = true;
    if (!gcs_object_parse(reply->body, put->work.arena, &object, err) ||
        strcmp(object.name, put->work.key) != 0) {
        (void)err_set(err, ERR_UNAVAILABLE, "send bytes: an answer that cannot be");
        return STORE_GCS_ASK;
    }
    if (store_gcs_compare(&object, &put->expected, &look) && look.state == STORE_SAME) {
        upload->is_over = true;
        return store_gcs_is_there(put);
    }
    // Perhaps it was only the answer that was wrong.
    put->is_in_doubt = true;
    (void)err_set(err, ERR_CORRUPT, "send bytes: Google confirms other bytes than were sent");
    return store_gcs_settle(put, true, err);
}

// Bytes that were damaged on the way, or an upload about which Google and we do not agree.
static enum store_gcs_course store_gcs_refused(const struct store_gcs_upload *upload,
                                               const struct gcs_reply *reply, struct err *err)
{
    const struct store_gcs_work *work = &upload->put->work;
    const char *message = gcs_client_message(work->gcs->client, reply->body, work->arena);
    if (strcasestr(message, "hash") != NULL || strcasestr(message, "checksum") != NULL)
        (void)err_set(err, ERR_CORRUPT, "send bytes: other bytes came to Google than were sent");
    else
        (void)err_set(err, ERR_INVALID, "send bytes: refused. Google says: %s", message);
    return STORE_GCS_AGAIN;
}

static enum store_gcs_course store_gcs_judge(struct store_gcs_upload *upload, bool was_asked,
                                             const struct gcs_reply *reply, struct err *err)
{
    switch (reply->status) {
    case 308:
        return store_gcs_take_range(upload, was_asked, reply, err);
    case 400:
        return store_gcs_refused(upload, reply, err);
    case 404:
    case 410:
    case 499:
        (void)err_set(err, ERR_UNAVAILABLE, "send bytes: the upload is not there any more");
        return store_gcs_settle(upload->put, true, err);
    case 412:
        (void)err_set(err, ERR_UNAVAILABLE, "send bytes: somebody else writes %s",
                      upload->put->work.key);
        return store_gcs_settle(upload->put, false, err);
    default:
        return store_gcs_verify(upload, reply, err);
    }
}

static enum store_gcs_course store_gcs_send(struct store_gcs_upload *upload, struct err *err)
{
    const struct gcs_client *client = upload->put->work.gcs->client;
    enum store_gcs_course course = STORE_GCS_GO_ON;
    while (course == STORE_GCS_GO_ON || course == STORE_GCS_ASK) {
        const bool asks = course == STORE_GCS_ASK;
        struct gcs_reply reply;
        const bool is_answered = asks ? store_gcs_ask(upload, &reply, err)
                                      : store_gcs_send_piece(upload, &reply, err);
        course = STORE_GCS_ASK;
        if (is_answered)
            course = store_gcs_judge(upload, asks, &reply, err);
        if (course == STORE_GCS_ASK &&
            !retry_wait(&upload->retry, gcs_client_after_ms(client), err))
            return STORE_GCS_FAILED;
    }
    return course;
}

// --- All together

enum store_gcs_course store_gcs_upload_once(struct store_gcs_put *put, struct err *err)
{
    struct store_gcs_upload upload = {.put = put};
    const struct store_hooks *hooks = put->work.hooks;
    gcs_client_init_retry(put->work.gcs->client, &upload.retry);
    upload.retry.keep_going = hooks->keep_going;
    upload.retry.context = hooks->context;
    enum store_gcs_course course = store_gcs_begin(&upload, err);
    if (course != STORE_GCS_GO_ON)
        return course;
    const bool is_told = hooks->upload_begun == NULL ||
                         hooks->upload_begun(hooks->context, put->spec->key, upload.id, err);
    course = is_told ? store_gcs_send(&upload, err) : STORE_GCS_FAILED;
    const bool is_over = upload.is_over ||
                         store_gcs_abort(put->work.gcs, upload.path, true, put->work.arena, NULL);
    struct err failure = {0};
    if (is_over && !store_gcs_tell_over(&upload, &failure) && course != STORE_GCS_FAILED) {
        *err = failure;
        return STORE_GCS_FAILED;
    }
    return course == STORE_GCS_FAILED && is_told ? store_gcs_settle_after(put, err) : course;
}
