// SPDX-License-Identifier: Apache-2.0
// Uploads in parts:
//
//   look -> create -> part, part, ... -> look -> complete -> look
//             ^                                    |
//             +------- the upload is gone ---------+
//
// The looks before are for what an earlier run left and for stores that complete an upload whatever
// is there; the last one is the proof. An upload that was begun is completed or aborted in the same
// put; where the put is killed or the abort fails, upload_id is known to the caller by the hooks.
// Where the answer to create is lost, nobody knows the upload's name, and it is looked for; so are
// those of a put that was killed right after it.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "cloud/s3_xml.h"
#include "store/store_s3_internal.h"

#define STORE_S3_PARTS_MAX        ((uint64_t)10000)
#define STORE_S3_PART_ROUND_BYTES ((uint64_t)1024 * 1024)
#define STORE_S3_PART_BYTES_MAX   ((uint64_t)5 * 1024 * 1024 * 1024)
#define STORE_S3_ETAG_CHARS_MAX   ((size_t)200)
#define STORE_S3_ID_CHARS_MAX     ((size_t)2048)
#define STORE_S3_LIST_BYTES_MAX   ((size_t)4 * 1024 * 1024)

// One upload.
struct store_s3_parts {
    struct store_s3_put *put;
    uint64_t part_bytes;
    char *upload_id;
    struct buf list;              // of parts, in XML
    struct md5 *md5;              // of the parts' MD5s
    struct sha256 *sha256;        // of the file
    uint64_t part_count;          // sent so far
    char etag[2 * MD5_BYTES + 8]; // of the object, once all are sent
    bool is_completed;            // the store said so, and nothing has to be aborted
    enum store_put_outcome outcome;
};

static void store_s3_parts_clear(struct store_s3_parts *parts)
{
    mem_free(parts->upload_id);
    buf_clear(&parts->list);
    md5_free(&parts->md5);
    sha256_free(&parts->sha256);
}

// As few as they may be, and not more than the store takes.
static bool store_s3_part_size(const struct store_s3 *s3, uint64_t size_bytes,
                               uint64_t *ret_part_bytes, struct err *err)
{
    uint64_t part_bytes = (size_bytes + STORE_S3_PARTS_MAX - 1) / STORE_S3_PARTS_MAX;
    part_bytes = (part_bytes + STORE_S3_PART_ROUND_BYTES - 1) / STORE_S3_PART_ROUND_BYTES *
                 STORE_S3_PART_ROUND_BYTES;
    if (size_bytes <= s3->part_bytes_min * STORE_S3_PARTS_MAX)
        part_bytes = s3->part_bytes_min;
    if (part_bytes > STORE_S3_PART_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the file is too large for an object");
    *ret_part_bytes = part_bytes;
    return true;
}

// --- Create

// What is sent out again is made of printable characters.
static bool store_s3_is_plain(const char *text, size_t chars_max)
{
    const size_t chars = text == NULL ? 0 : strlen(text);
    if (chars == 0 || chars > chars_max)
        return false;
    for (size_t i = 0; i < chars; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static bool store_s3_create_once(const struct store_s3_parts *parts, struct arena *arena,
                                 struct slice *ret_answer, struct err *err)
{
    struct store_s3_put *put = parts->put;
    struct http_client_header headers[2 + STORE_S3_ENCRYPTION_HEADERS] = {
        {"Content-Type", put->spec->content_type},
        {store_s3_sha256_header(put->s3), put->sha256_hex},
    };
    size_t header_count = 2;
    store_s3_add_encryption(put->s3, headers, &header_count);
    const struct sigv4_pair query = store_s3_pair("uploads", "");
    struct s3_call call = store_s3_call(put, "begin upload", "POST");
    call.query = &query;
    call.query_count = 1;
    call.headers = headers;
    call.header_count = header_count;
    call.is_xml = true;
    struct s3_reply reply;
    TRY(s3_client_send(put->s3->client, &call, arena, &reply, &put->has_strays, err));
    if (reply.answer != S3_OK)
        return store_s3_refuse(call.name, reply.answer, err);
    *ret_answer = reply.body;
    return true;
}

static bool store_s3_create(struct store_s3_parts *parts, struct err *err)
{
    static const char *const paths[] = {"InitiateMultipartUploadResult/UploadId"};
    struct store_s3_put *put = parts->put;
    for (int tries = 1; parts->upload_id == NULL && tries <= STORE_S3_TRIES_MAX; tries++) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        // libcurl repeats a call by itself when a connection that was used before has ended: over a
        // new one there is one attempt, and we know of it.
        s3_client_reconnect(put->s3->client);
        struct slice answer;
        const char *upload_id = NULL;
        TRY(store_s3_create_once(parts, &arena, &answer, err));
        if (s3_xml_texts(answer, paths, ARRAY_COUNT(paths), &arena, &upload_id, NULL) &&
            store_s3_is_plain(upload_id, STORE_S3_ID_CHARS_MAX)) {
            parts->upload_id = mem_copy_text(upload_id);
            break;
        }
        put->has_strays = true;
    }
    if (parts->upload_id == NULL)
        return store_s3_refuse("begin upload", S3_OK, err);
    const struct store_hooks *hooks = put->hooks;
    return hooks->upload_begun == NULL ||
           hooks->upload_begun(hooks->context, put->spec->key, parts->upload_id, err);
}

// --- Parts

static void store_s3_add_part(struct store_s3_parts *parts, const struct s3_body *body,
                              const char *etag)
{
    buf_append_format(&parts->list, "<Part><PartNumber>%" PRIu64 "</PartNumber><ETag>",
                      parts->part_count);
    s3_xml_append(&parts->list, etag);
    buf_append_text(&parts->list, "</ETag></Part>");
    md5_update(parts->md5, slice_of(body->md5, MD5_BYTES));
}

static enum store_s3_course store_s3_send_part(struct store_s3_parts *parts,
                                               const struct s3_body *body, bool *ret_is_confirmed,
                                               struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_s3_put *put = parts->put;
    const struct sigv4_pair query[] = {
        store_s3_pair("partNumber", arena_format(&arena, "%" PRIu64, parts->part_count)),
        store_s3_pair("uploadId", parts->upload_id),
    };
    struct s3_call call = store_s3_call(put, "upload part", "PUT");
    call.query = query;
    call.query_count = ARRAY_COUNT(query);
    call.body = body;
    struct s3_reply reply;
    if (!s3_client_send(put->s3->client, &call, &arena, &reply, NULL, err))
        return STORE_S3_FAILED;
    if (reply.answer == S3_NO_UPLOAD || reply.answer == S3_NO_KEY) {
        (void)err_set(err, ERR_UNAVAILABLE, "%s: the upload is gone", call.name);
        return STORE_S3_AGAIN;
    }
    if (reply.answer != S3_OK) {
        (void)store_s3_refuse(call.name, reply.answer, err);
        return STORE_S3_FAILED;
    }
    char md5_hex[2 * MD5_BYTES + 1];
    hex_encode(slice_of(body->md5, MD5_BYTES), md5_hex);
    const char *etag = s3_reply_header(&reply, "ETag");
    *ret_is_confirmed = store_s3_is_plain(etag, STORE_S3_ETAG_CHARS_MAX) &&
                        store_s3_confirms(&reply, md5_hex);
    if (*ret_is_confirmed)
        store_s3_add_part(parts, body, etag);
    return STORE_S3_DONE;
}

// A part that is confirmed with another ETag is sent again, over a new connection: the answer may
// have been that to another request.
static enum store_s3_course store_s3_send_part_surely(struct store_s3_parts *parts,
                                                      const struct s3_body *body, struct err *err)
{
    for (int tries = 1; tries <= STORE_S3_TRIES_MAX; tries++) {
        bool is_confirmed = false;
        const enum store_s3_course course = store_s3_send_part(parts, body, &is_confirmed, err);
        if (course != STORE_S3_DONE || is_confirmed)
            return course;
        s3_client_reconnect(parts->put->s3->client);
    }
    (void)err_set(err, ERR_CORRUPT, "upload part: the store confirms other bytes than were sent");
    return STORE_S3_FAILED;
}

static enum store_s3_course store_s3_send_parts(struct store_s3_parts *parts, struct err *err)
{
    const struct store_s3_put *put = parts->put;
    const uint64_t size_bytes = put->spec->size_bytes;
    for (uint64_t done_bytes = 0; done_bytes < size_bytes;) {
        const uint64_t left_bytes = size_bytes - done_bytes;
        const uint64_t part_bytes = left_bytes < parts->part_bytes ? left_bytes : parts->part_bytes;
        struct s3_body body;
        if (!store_s3_read_body(put, done_bytes, part_bytes, parts->sha256, &body, err))
            return STORE_S3_FAILED;
        done_bytes += part_bytes;
        parts->part_count++;
        if (done_bytes == size_bytes) {
            uint8_t sha256[SHA256_BYTES];
            sha256_finish(parts->sha256, sha256);
            if (!store_s3_check_whole(put, sha256, err))
                return STORE_S3_FAILED;
        }
        const enum store_s3_course course = store_s3_send_part_surely(parts, &body, err);
        if (course != STORE_S3_DONE)
            return course;
    }
    uint8_t md5[MD5_BYTES];
    char md5_hex[2 * MD5_BYTES + 1];
    md5_finish(parts->md5, md5);
    hex_encode(slice_of(md5, MD5_BYTES), md5_hex);
    (void)snprintf(parts->etag, sizeof parts->etag, "%s-%u", md5_hex, (unsigned)parts->part_count);
    return STORE_S3_DONE;
}

// --- Complete

// Of an upload whose parts are all sent.
static struct store_s3_expectation store_s3_expected(const struct store_s3_parts *parts)
{
    return (struct store_s3_expectation){.size_bytes = parts->put->spec->size_bytes,
                                         .sha256_hex = parts->put->sha256_hex,
                                         .etag = parts->etag};
}

static bool store_s3_send_list(struct store_s3_parts *parts, const struct s3_body *body,
                               struct arena *arena, struct s3_reply *ret_reply, struct err *err)
{
    struct store_s3_put *put = parts->put;
    struct http_client_header headers[2] = {{"Content-Type", "application/xml"}};
    size_t header_count = 1;
    // Google's store does not look at a condition here.
    if (put->s3->provider == S3_PROVIDER_S3)
        store_s3_add_condition(put, headers, &header_count);
    const struct sigv4_pair query = store_s3_pair("uploadId", parts->upload_id);
    struct s3_call call = store_s3_call(put, "complete upload", "POST");
    call.query = &query;
    call.query_count = 1;
    call.headers = headers;
    call.header_count = header_count;
    call.body = body;
    call.is_xml = true;
    call.is_single = true;
    return s3_client_send(put->s3->client, &call, arena, ret_reply, &put->is_unclear, err);
}

// An answer of the right form. Whether it tells the truth, the last look will show.
static bool store_s3_is_completed(const struct s3_reply *reply, struct arena *arena)
{
    static const char *const paths[] = {"CompleteMultipartUploadResult/ETag"};
    const char *etag = NULL;
    return s3_xml_texts(reply->body, paths, 1, arena, &etag, NULL) && etag != NULL;
}

enum store_s3_completion {
    STORE_S3_COMPLETED,
    STORE_S3_COMPLETE_AGAIN, // *err says why
    STORE_S3_SETTLED,        // the look said that it is there
    STORE_S3_UPLOAD_GONE,
    STORE_S3_COMPLETE_FAILED,
};

// After what may have completed the upload without our knowing, or somebody else's.
static enum store_s3_completion store_s3_look_again(struct store_s3_parts *parts,
                                                    bool may_be_hidden,
                                                    enum store_s3_completion absent,
                                                    struct err *err)
{
    const struct store_s3_expectation expected = store_s3_expected(parts);
    switch (store_s3_settle(parts->put, &expected, may_be_hidden, &parts->outcome, err)) {
    case STORE_S3_DONE:
        return STORE_S3_SETTLED;
    case STORE_S3_AGAIN: // absent, or broken and removed
        return err->kind == ERR_CORRUPT ? STORE_S3_UPLOAD_GONE : absent;
    case STORE_S3_HIDDEN:
        if (store_s3_replace(parts->put, err) == STORE_S3_AGAIN)
            return STORE_S3_COMPLETE_AGAIN;
        break;
    case STORE_S3_FAILED:
        break;
    }
    return STORE_S3_COMPLETE_FAILED;
}

static enum store_s3_completion store_s3_complete_once(struct store_s3_parts *parts,
                                                       const struct s3_body *body, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_s3 *s3 = parts->put->s3;
    struct s3_reply reply;
    struct err failure = {0};
    if (!store_s3_send_list(parts, body, &arena, &reply, &failure)) {
        const struct store_s3_expectation expected = store_s3_expected(parts);
        if (store_s3_is_settled_after(parts->put, &expected, &failure, &parts->outcome, err))
            return STORE_S3_SETTLED;
        return err->kind == ERR_UNAVAILABLE ? STORE_S3_COMPLETE_AGAIN : STORE_S3_COMPLETE_FAILED;
    }
    switch (reply.answer) {
    case S3_OK:
        if (store_s3_is_completed(&reply, &arena))
            return STORE_S3_COMPLETED;
        s3_client_reconnect(s3->client);
        parts->put->is_unclear = true;
        (void)store_s3_refuse("complete upload", reply.answer, err);
        return store_s3_look_again(parts, true, STORE_S3_COMPLETE_AGAIN, err);
    case S3_EXISTS:
    case S3_RIVAL:
        (void)err_set(err, ERR_UNAVAILABLE, "complete upload: somebody else writes %s",
                      parts->put->key);
        return store_s3_look_again(parts, reply.answer == S3_RIVAL, STORE_S3_COMPLETE_AGAIN, err);
    case S3_NO_UPLOAD:
    case S3_NO_KEY:
        (void)err_set(err, ERR_UNAVAILABLE, "complete upload: the upload is gone");
        return store_s3_look_again(parts, true, STORE_S3_UPLOAD_GONE, err);
    case S3_NOT_OFFERED:
        (void)store_s3_refuse("complete upload", reply.answer, err);
        if (s3->has_no_condition || s3->provider != S3_PROVIDER_S3)
            return STORE_S3_COMPLETE_FAILED;
        s3->has_no_condition = true;
        (void)err_set(err, ERR_UNAVAILABLE, "complete upload: the store does not offer conditions");
        return STORE_S3_COMPLETE_AGAIN;
    }
    return STORE_S3_COMPLETE_FAILED;
}

// The proof, where reading is permitted.
static enum store_s3_course store_s3_prove(struct store_s3_parts *parts, struct err *err)
{
    struct store_s3_put *put = parts->put;
    const struct store_s3_expectation expected = store_s3_expected(parts);
    for (int tries = 1;; tries++) {
        struct store_s3_look look;
        if (!store_s3_look(put, &expected, false, &look, err))
            return STORE_S3_FAILED;
        if (look.state == STORE_SAME || look.state == STORE_UNREADABLE) {
            parts->outcome = STORE_WRITTEN;
            return STORE_S3_DONE;
        }
        if (look.state == STORE_ABSENT) {
            (void)err_set(err, ERR_UNAVAILABLE, "complete upload: the object is not there");
            if (tries < STORE_S3_TRIES_MAX)
                continue;
            return STORE_S3_AGAIN;
        }
        if (!look.is_ours)
            return store_s3_settle(put, &expected, true, &parts->outcome, err);
        store_s3_remove_broken(put);
        (void)err_set(err, ERR_CORRUPT, "complete upload: the object is not what was sent");
        return STORE_S3_AGAIN;
    }
}

static enum store_s3_course store_s3_complete(struct store_s3_parts *parts, struct err *err)
{
    struct buf xml CLEANUP(buf_clear);
    buf_init(&xml, STORE_S3_LIST_BYTES_MAX);
    buf_append_text(&xml, "<CompleteMultipartUpload>");
    buf_append(&xml, buf_slice(&parts->list));
    buf_append_text(&xml, "</CompleteMultipartUpload>");
    ASSERT(!xml.overflowed);
    const struct s3_body body = s3_body_of_text(buf_slice(&xml));
    const struct store_hooks *hooks = parts->put->hooks;
    struct retry retry = s3_client_retry(parts->put->s3->client, hooks->keep_going, hooks->context);
    for (;;) {
        switch (store_s3_complete_once(parts, &body, err)) {
        case STORE_S3_COMPLETED:
            parts->is_completed = true;
            return store_s3_prove(parts, err);
        case STORE_S3_SETTLED:
            return STORE_S3_DONE;
        case STORE_S3_UPLOAD_GONE:
            return STORE_S3_AGAIN;
        case STORE_S3_COMPLETE_FAILED:
            return STORE_S3_FAILED;
        case STORE_S3_COMPLETE_AGAIN:
            if (!retry_wait(&retry, 0, err))
                return STORE_S3_FAILED;
        }
    }
}

// --- Abort

static bool store_s3_abort(struct store_s3 *s3, const char *key, const char *upload_id,
                           bool is_single, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct sigv4_pair query = store_s3_pair("uploadId", upload_id);
    const struct s3_call call = {.name = "abort upload",
                                 .permission = "s3:AbortMultipartUpload",
                                 .method = "DELETE",
                                 .key = key,
                                 .query = &query,
                                 .query_count = 1,
                                 .is_single = is_single};
    struct s3_reply reply;
    TRY(s3_client_send(s3->client, &call, &arena, &reply, NULL, err));
    if (reply.answer != S3_OK && reply.answer != S3_NO_UPLOAD && reply.answer != S3_NO_KEY)
        return store_s3_refuse(call.name, reply.answer, err);
    return true;
}

bool store_s3_abort_upload(struct store *store, const char *key, const char *upload_id,
                           struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_s3 *s3 = (struct store_s3 *)store;
    return store_s3_abort(s3, store_s3_key(s3, key, &arena), upload_id, false, err);
}

// Nothing of the upload is left, be it completed or aborted. Failures have their own reason
// already, and an upload that is not told to be over stays known to the caller. After a failure
// that others wait for, there is one attempt.
static void store_s3_end_upload(const struct store_s3_parts *parts, enum err_kind failure)
{
    const struct store_s3_put *put = parts->put;
    const bool is_single = failure == ERR_CANCELED || failure == ERR_UNAVAILABLE;
    if (parts->upload_id == NULL)
        return;
    if (!parts->is_completed &&
        !store_s3_abort(put->s3, put->key, parts->upload_id, is_single, NULL))
        return;
    if (put->hooks->upload_over != NULL)
        (void)put->hooks->upload_over(put->hooks->context, put->spec->key, parts->upload_id, NULL);
}

static bool store_s3_abort_stray(void *context, const struct store_s3_upload *upload,
                                 struct err *err)
{
    const struct store_s3_put *put = context;
    return strcmp(upload->key, put->key) != 0 ||
           store_s3_abort(put->s3, upload->key, upload->upload_id, true, err);
}

// Where it may not, or cannot, the sweep has its turn, or the bucket's own rules.
static void store_s3_abort_strays(struct store_s3_put *put, bool is_single)
{
    (void)!store_s3_each_upload(put->s3, put->key, is_single, store_s3_abort_stray, put, NULL);
}

// --- All of it

static enum store_s3_course store_s3_upload_once(struct store_s3_parts *parts, struct err *err)
{
    if (!store_s3_create(parts, err))
        return STORE_S3_FAILED;
    enum store_s3_course course = store_s3_send_parts(parts, err);
    if (course != STORE_S3_DONE)
        return course;
    const struct store_s3_expectation expected = store_s3_expected(parts);
    course = store_s3_settle(parts->put, &expected, true, &parts->outcome, err);
    return course == STORE_S3_AGAIN ? store_s3_complete(parts, err) : course;
}

static enum store_s3_course store_s3_upload(struct store_s3_put *put, uint64_t part_bytes,
                                            enum store_put_outcome *ret_outcome, struct err *err)
{
    struct store_s3_parts parts CLEANUP(store_s3_parts_clear) = {.put = put,
                                                                 .part_bytes = part_bytes};
    buf_init(&parts.list, STORE_S3_LIST_BYTES_MAX - 1000);
    parts.md5 = md5_new();
    parts.sha256 = sha256_new();
    struct err failure = {0};
    const enum store_s3_course course = store_s3_upload_once(&parts, &failure);
    store_s3_end_upload(&parts, failure.kind);
    if (course == STORE_S3_DONE)
        *ret_outcome = parts.outcome;
    else
        (void)err_set(err, failure.kind, "%s", failure.message);
    return course;
}

bool store_s3_put_parts(struct store_s3_put *put, enum store_put_outcome *ret_outcome,
                        struct err *err)
{
    uint64_t part_bytes = 0;
    TRY(store_s3_part_size(put->s3, put->spec->size_bytes, &part_bytes, err));
    const struct store_s3_expectation expected = {.size_bytes = put->spec->size_bytes,
                                                  .sha256_hex = put->sha256_hex};
    enum store_s3_course course = store_s3_settle(put, &expected, true, ret_outcome, err);
    if (put->spec->may_have_strays)
        store_s3_abort_strays(put, true);
    for (int tries = 1; course == STORE_S3_AGAIN && tries <= STORE_S3_TRIES_MAX; tries++)
        course = store_s3_upload(put, part_bytes, ret_outcome, err);
    if (put->has_strays)
        store_s3_abort_strays(put, course != STORE_S3_DONE);
    return course == STORE_S3_DONE;
}
