// SPDX-License-Identifier: Apache-2.0
// Single objects: PUT, and the look (HEAD, and GET where that does not say enough).
//
// A PUT whose answer is lost is repeated; if it had its effect, the repetition finds the object and
// is told so (412), and the look proves it the same. So is an object that an earlier run left.
// Where nothing may be read, it is written once more: store_s3_replace.
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "store/store_s3_internal.h"

#define STORE_S3_PIECE_BYTES ((size_t)256 * 1024)

const char *store_s3_key(const struct store_s3 *s3, const char *key, struct arena *arena)
{
    return arena_format(arena, "%s%s", s3->prefix, key);
}

struct sigv4_pair store_s3_pair(const char *name, const char *value)
{
    return (struct sigv4_pair){slice_text(name), slice_text(value)};
}

struct s3_call store_s3_call(const struct store_s3_put *put, const char *name, const char *method)
{
    return (struct s3_call){.name = name,
                            .permission = "s3:PutObject",
                            .method = method,
                            .key = put->key,
                            .keep_going = put->hooks->keep_going,
                            .context = put->hooks->context};
}

const char *store_s3_sha256_header(const struct store_s3 *s3)
{
    return s3->provider == S3_PROVIDER_GCS_XML ? "x-goog-meta-sha256" : "x-amz-meta-sha256";
}

void store_s3_add_condition(const struct store_s3_put *put, struct http_client_header *headers,
                            size_t *count)
{
    const struct store_s3 *s3 = put->s3;
    if (put->replaces)
        return;
    if (s3->provider == S3_PROVIDER_GCS_XML)
        headers[(*count)++] = (struct http_client_header){"x-goog-if-generation-match", "0"};
    else if (!s3->has_no_condition)
        headers[(*count)++] = (struct http_client_header){"If-None-Match", "*"};
}

void store_s3_add_encryption(const struct store_s3 *s3, struct http_client_header *headers,
                             size_t *count)
{
    if (s3->kms_key_arn == NULL)
        return;
    headers[(*count)++] = (struct http_client_header){"x-amz-server-side-encryption", "aws:kms"};
    headers[(*count)++] = (struct http_client_header){"x-amz-server-side-encryption-aws-kms-key-id",
                                                      s3->kms_key_arn};
}

bool store_s3_refuse(const char *name, enum s3_answer answer, struct err *err)
{
    if (answer == S3_NO_KEY || answer == S3_NO_UPLOAD)
        return err_set(err, ERR_NOT_FOUND, "%s: there is no such bucket or object", name);
    if (answer == S3_NOT_OFFERED)
        return err_set(err, ERR_INVALID, "%s: the store does not offer this", name);
    return err_set(err, ERR_UNAVAILABLE, "%s: the store's answer cannot be right", name);
}

// --- Bytes

bool store_s3_read_body(const struct store_s3_put *put, uint64_t offset_bytes, uint64_t size_bytes,
                        struct sha256 *whole, struct s3_body *ret_body, struct err *err)
{
    struct sha256 *sha256 CLEANUP(sha256_free) = sha256_new();
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    void *piece CLEANUP(mem_free_at) =
        mem_alloc(size_bytes < STORE_S3_PIECE_BYTES ? (size_t)size_bytes : STORE_S3_PIECE_BYTES);
    for (uint64_t done_bytes = 0; done_bytes < size_bytes;) {
        const uint64_t left_bytes = size_bytes - done_bytes;
        const size_t piece_bytes = left_bytes < STORE_S3_PIECE_BYTES ? (size_t)left_bytes
                                                                     : STORE_S3_PIECE_BYTES;
        TRY(store_keep_going(put->hooks, err));
        TRY(store_read_at(put->spec->fd, offset_bytes + done_bytes, piece, piece_bytes, err));
        const struct slice bytes = slice_of(piece, piece_bytes);
        sha256_update(sha256, bytes);
        md5_update(md5, bytes);
        if (whole != NULL)
            sha256_update(whole, bytes);
        done_bytes += piece_bytes;
    }
    struct s3_body body = {
        .fd = put->spec->fd, .offset_bytes = offset_bytes, .size_bytes = size_bytes};
    sha256_finish(sha256, body.sha256);
    md5_finish(md5, body.md5);
    *ret_body = body;
    return true;
}

bool store_s3_check_whole(const struct store_s3_put *put, const uint8_t sha256[32], struct err *err)
{
    if (memcmp(sha256, put->spec->sha256, SHA256_BYTES) != 0)
        return err_set(err, ERR_CORRUPT, "the file's bytes are not what was written");
    return true;
}

// With keys of its own, the store's ETags are not those of our bytes.
static bool store_s3_has_own_etags(const struct s3_reply *reply)
{
    const char *encryption = s3_reply_header(reply, "x-amz-server-side-encryption");
    return (encryption != NULL && strncmp(encryption, "aws:kms", 7) == 0) ||
           s3_reply_header(reply, "x-amz-server-side-encryption-customer-algorithm") != NULL;
}

static bool store_s3_etag_is(const char *header, const char *etag)
{
    struct slice text = slice_text(header);
    const char *chars = slice_chars(text);
    if (text.size_bytes >= 2 && chars[0] == '"' && chars[text.size_bytes - 1] == '"')
        text = slice_part(text, 1, text.size_bytes - 2);
    return slice_equal_text(text, etag);
}

bool store_s3_confirms(const struct s3_reply *reply, const char *etag)
{
    const char *header = s3_reply_header(reply, "ETag");
    return header != NULL && (store_s3_has_own_etags(reply) || store_s3_etag_is(header, etag));
}

// --- The look

struct store_s3_reading {
    struct sha256 *hash;
    uint64_t size_bytes;
    uint64_t size_bytes_max;
};

static void store_s3_restart_reading(void *context)
{
    struct store_s3_reading *reading = context;
    uint8_t ignored[SHA256_BYTES];
    sha256_finish(reading->hash, ignored);
    reading->size_bytes = 0;
}

static bool store_s3_read(void *context, struct slice bytes, struct err *err)
{
    struct store_s3_reading *reading = context;
    reading->size_bytes += bytes.size_bytes;
    if (reading->size_bytes > reading->size_bytes_max)
        return err_set(err, ERR_CORRUPT, "the object is longer than it says");
    sha256_update(reading->hash, bytes);
    return true;
}

static bool store_s3_get_call(const struct store_s3_put *put, const char *method, bool is_single,
                              const struct s3_receiver *receiver, struct arena *arena,
                              enum store_state *ret_state, struct s3_reply *ret_reply,
                              struct err *err)
{
    struct s3_call call = store_s3_call(put, "read object", method);
    call.permission = "s3:GetObject";
    call.is_single = is_single;
    call.receiver = receiver;
    struct err failure = {0};
    if (!s3_client_send(put->s3->client, &call, arena, ret_reply, NULL, &failure)) {
        if (failure.kind != ERR_DENIED && failure.kind != ERR_CORRUPT)
            return err_set(err, failure.kind, "%s", failure.message);
        *ret_state = failure.kind == ERR_DENIED ? STORE_UNREADABLE : STORE_OTHER;
        return true;
    }
    if (ret_reply->answer != S3_OK && ret_reply->answer != S3_NO_KEY)
        return store_s3_refuse(call.name, ret_reply->answer, err);
    *ret_state = ret_reply->answer == S3_OK ? STORE_SAME : STORE_ABSENT;
    return true;
}

// The last resort: all bytes, by which an object is as good as one that says its hash.
bool store_s3_look_at_bytes(const struct store_s3_put *put,
                            const struct store_s3_expectation *expected, bool is_single,
                            enum store_state *ret_state, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct sha256 *hash CLEANUP(sha256_free) = sha256_new();
    struct store_s3_reading reading = {.hash = hash, .size_bytes_max = expected->size_bytes};
    const struct s3_receiver receiver = {.restart = store_s3_restart_reading,
                                         .write = store_s3_read,
                                         .context = &reading,
                                         .expected_bytes = expected->size_bytes};
    struct s3_reply reply;
    TRY(store_s3_get_call(put, "GET", is_single, &receiver, &arena, ret_state, &reply, err));
    if (*ret_state != STORE_SAME)
        return true;
    uint8_t sha256[SHA256_BYTES];
    char sha256_hex[SHA256_HEX_CHARS + 1];
    sha256_finish(hash, sha256);
    hex_encode(slice_of(sha256, sizeof sha256), sha256_hex);
    if (reading.size_bytes != expected->size_bytes || strcmp(sha256_hex, expected->sha256_hex) != 0)
        *ret_state = STORE_OTHER;
    return true;
}

// False: not said.
static bool store_s3_size_of(const struct s3_reply *reply, uint64_t *ret_size_bytes)
{
    static const char *const names[] = {"x-goog-stored-content-length", "Content-Length"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *text = s3_reply_header(reply, names[i]);
        int64_t size_bytes = 0;
        if (text != NULL && number_parse_int64(slice_text(text), &size_bytes) && size_bytes >= 0) {
            *ret_size_bytes = (uint64_t)size_bytes;
            return true;
        }
    }
    return false;
}

// One HEAD. An answer without ETag is not that of a store: perhaps of something on the way to it.
static bool store_s3_head(const struct store_s3_put *put, bool is_single, struct arena *arena,
                          enum store_state *ret_state, struct s3_reply *ret_reply, struct err *err)
{
    for (int tries = 1; tries <= STORE_S3_TRIES_MAX; tries++) {
        TRY(store_s3_get_call(put, "HEAD", is_single, NULL, arena, ret_state, ret_reply, err));
        if (*ret_state != STORE_SAME || s3_reply_header(ret_reply, "ETag") != NULL)
            return true;
        s3_client_reconnect(put->s3->client);
    }
    return store_s3_refuse("read object", S3_OK, err);
}

bool store_s3_look(const struct store_s3_put *put, const struct store_s3_expectation *expected,
                   bool is_single, struct store_s3_look *ret_look, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct s3_reply reply;
    struct store_s3_look look = {STORE_ABSENT, false};
    TRY(store_s3_head(put, is_single, &arena, &look.state, &reply, err));
    if (look.state != STORE_SAME) {
        *ret_look = look;
        return true;
    }
    const char *sha256_hex = s3_reply_header(&reply, store_s3_sha256_header(put->s3));
    uint64_t size_bytes = 0;
    const bool has_size = store_s3_size_of(&reply, &size_bytes);
    look.is_ours = sha256_hex != NULL && strcmp(sha256_hex, expected->sha256_hex) == 0;
    const bool is_clear = look.is_ours &&
                          (expected->etag == NULL || store_s3_confirms(&reply, expected->etag));
    if ((has_size && size_bytes != expected->size_bytes) || (sha256_hex != NULL && !look.is_ours))
        look.state = STORE_OTHER;
    else if (!is_clear || !has_size)
        TRY(store_s3_look_at_bytes(put, expected, is_single, &look.state, err));
    *ret_look = look;
    return true;
}

bool store_s3_delete_key(const struct store_s3_put *put, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct s3_call call = store_s3_call(put, "delete object", "DELETE");
    call.permission = "s3:DeleteObject";
    struct s3_reply reply;
    TRY(s3_client_send(put->s3->client, &call, &arena, &reply, NULL, err));
    if (reply.answer != S3_OK && reply.answer != S3_NO_KEY)
        return store_s3_refuse(call.name, reply.answer, err);
    return true;
}

void store_s3_remove_broken(const struct store_s3_put *put)
{
    (void)!store_s3_delete_key(put, NULL); // where it may not, the put's failure still says it
}

static bool store_s3_refuse_other(const struct store_s3_put *put, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "an object with other bytes is there already: %s/%s",
                   put->s3->bucket, put->key);
}

// STORE_OTHER that is ours is what is left of a write that went wrong: it gives way.
enum store_s3_course store_s3_settle(const struct store_s3_put *put,
                                     const struct store_s3_expectation *expected,
                                     bool may_be_hidden, enum store_put_outcome *ret_outcome,
                                     struct err *err)
{
    struct store_s3_look look;
    struct err failure = {0};
    if (!store_s3_look(put, expected, false, &look, &failure)) {
        // The answer to a HEAD has no words: a write that is refused, too, says why.
        if (may_be_hidden && failure.kind == ERR_INVALID)
            return STORE_S3_AGAIN;
        (void)err_set(err, failure.kind, "%s", failure.message);
        return STORE_S3_FAILED;
    }
    switch (look.state) {
    case STORE_ABSENT:
        return STORE_S3_AGAIN;
    case STORE_SAME:
        *ret_outcome = put->is_unclear ? STORE_WRITTEN : STORE_WAS_THERE;
        return STORE_S3_DONE;
    case STORE_UNREADABLE:
        return may_be_hidden ? STORE_S3_AGAIN : STORE_S3_HIDDEN;
    case STORE_OTHER:
        break;
    }
    if (look.is_ours) {
        (void)err_set(err, ERR_CORRUPT, "put object: the object is not what was sent");
        store_s3_remove_broken(put);
        return STORE_S3_AGAIN;
    }
    (void)store_s3_refuse_other(put, err);
    return STORE_S3_FAILED;
}

enum store_s3_course store_s3_replace(struct store_s3_put *put, struct err *err)
{
    if (put->replaces) {
        (void)err_set(err, ERR_DENIED,
                      "an object is there already and cannot be compared: s3:GetObject is not "
                      "permitted on %s/%s",
                      put->s3->bucket, put->key);
        return STORE_S3_FAILED;
    }
    put->replaces = true;
    (void)err_set(err, ERR_UNAVAILABLE, "an object is there already that may not be read: %s/%s",
                  put->s3->bucket, put->key);
    return STORE_S3_AGAIN;
}

bool store_s3_is_settled_after(const struct store_s3_put *put,
                               const struct store_s3_expectation *expected,
                               const struct err *failure, enum store_put_outcome *ret_outcome,
                               struct err *err)
{
    struct store_s3_look look = {STORE_ABSENT, false};
    const bool may_be_there = failure->kind == ERR_UNAVAILABLE || failure->kind == ERR_DENIED;
    if (may_be_there && store_s3_look(put, expected, true, &look, NULL)) {
        // A store that is written once has said that it is there, and no other than we writes it.
        const bool is_kept = look.state == STORE_UNREADABLE && failure->kind == ERR_DENIED &&
                             put->replaces && !put->is_in_doubt;
        if (look.state == STORE_SAME || is_kept) {
            *ret_outcome = put->is_unclear ? STORE_WRITTEN : STORE_WAS_THERE;
            return true;
        }
        if (look.state == STORE_OTHER && !look.is_ours)
            return store_s3_refuse_other(put, err);
    }
    return err_set(err, failure->kind, "%s", failure->message);
}

// --- Put

static bool store_s3_send_object(struct store_s3_put *put, const struct s3_body *body,
                                 struct arena *arena, struct s3_reply *ret_reply, struct err *err)
{
    struct http_client_header headers[3 + STORE_S3_ENCRYPTION_HEADERS] = {
        {"Content-Type", put->spec->content_type},
        {store_s3_sha256_header(put->s3), put->sha256_hex},
    };
    size_t header_count = 2;
    store_s3_add_condition(put, headers, &header_count);
    store_s3_add_encryption(put->s3, headers, &header_count);
    struct s3_call call = store_s3_call(put, "put object", "PUT");
    call.headers = headers;
    call.header_count = header_count;
    call.body = body;
    return s3_client_send(put->s3->client, &call, arena, ret_reply, &put->is_unclear, err);
}

// The answer did not confirm our bytes: perhaps it was only the answer that was wrong, or not even
// the store's. What cannot be looked at is left alone: it may be somebody else's.
static enum store_s3_course store_s3_verify(struct store_s3_put *put,
                                            const struct store_s3_expectation *expected,
                                            enum store_put_outcome *ret_outcome, struct err *err)
{
    s3_client_reconnect(put->s3->client);
    put->is_unclear = true;
    put->is_in_doubt = true;
    (void)err_set(err, ERR_CORRUPT, "put object: the store confirms other bytes than were sent");
    return store_s3_settle(put, expected, true, ret_outcome, err);
}

static enum store_s3_course store_s3_try_put(struct store_s3_put *put, const struct s3_body *body,
                                             const struct store_s3_expectation *expected,
                                             enum store_put_outcome *ret_outcome, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    enum store_s3_course course = STORE_S3_AGAIN;
    if (put->s3->looks_first || put->s3->has_no_condition)
        course = store_s3_settle(put, expected, true, ret_outcome, err);
    if (course != STORE_S3_AGAIN)
        return course;
    struct s3_reply reply;
    struct err failure = {0};
    if (!store_s3_send_object(put, body, &arena, &reply, &failure)) {
        return store_s3_is_settled_after(put, expected, &failure, ret_outcome, err)
                   ? STORE_S3_DONE
                   : STORE_S3_FAILED;
    }
    switch (reply.answer) {
    case S3_OK:
        if (!store_s3_confirms(&reply, expected->etag))
            return store_s3_verify(put, expected, ret_outcome, err);
        *ret_outcome = STORE_WRITTEN;
        return STORE_S3_DONE;
    case S3_EXISTS:
    case S3_RIVAL:
        (void)err_set(err, ERR_UNAVAILABLE, "put object: somebody else writes %s", put->key);
        course = store_s3_settle(put, expected, reply.answer == S3_RIVAL, ret_outcome, err);
        return course == STORE_S3_HIDDEN ? store_s3_replace(put, err) : course;
    case S3_NOT_OFFERED:
        if (!put->s3->has_no_condition && put->s3->provider == S3_PROVIDER_S3) {
            put->s3->has_no_condition = true;
            (void)store_s3_refuse("put object", reply.answer, err);
            return STORE_S3_AGAIN;
        }
        break;
    case S3_NO_KEY:
    case S3_NO_UPLOAD:
        break;
    }
    (void)store_s3_refuse("put object", reply.answer, err);
    return STORE_S3_FAILED;
}

bool store_s3_put_single(struct store_s3_put *put, enum store_put_outcome *ret_outcome,
                         struct err *err)
{
    struct s3_body body;
    TRY(store_s3_read_body(put, 0, put->spec->size_bytes, NULL, &body, err));
    TRY(store_s3_check_whole(put, body.sha256, err));
    char md5_hex[2 * MD5_BYTES + 1];
    hex_encode(slice_of(body.md5, MD5_BYTES), md5_hex);
    const struct store_s3_expectation expected = {
        .size_bytes = put->spec->size_bytes, .sha256_hex = put->sha256_hex, .etag = md5_hex};
    struct retry retry = s3_client_retry(put->s3->client, put->hooks->keep_going,
                                         put->hooks->context);
    enum store_s3_course course = STORE_S3_AGAIN;
    struct err failure = {0};
    for (int tries = 1; course == STORE_S3_AGAIN && tries <= STORE_S3_TRIES_MAX + 1; tries++) {
        if (failure.kind == ERR_UNAVAILABLE && !retry_wait(&retry, 0, &failure))
            break;
        course = store_s3_try_put(put, &body, &expected, ret_outcome, &failure);
    }
    return course == STORE_S3_DONE || err_set(err, failure.kind, "%s", failure.message);
}
