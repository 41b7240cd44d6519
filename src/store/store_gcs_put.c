// SPDX-License-Identifier: Apache-2.0
// Putting a file: its hashes first, then an upload, and another one while that may help; and what
// an object that is there means for it.
#include <string.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/mem.h"
#include "store/store_gcs_internal.h"

#define STORE_GCS_READ_BYTES  ((size_t)256 * 1024)
#define STORE_GCS_UPLOADS_MAX 4 // for one file

// --- The file

static bool store_gcs_digest(struct store_gcs_put *put, struct err *err)
{
    struct sha256 *sha256 CLEANUP(sha256_free) = sha256_new();
    struct md5 *md5 CLEANUP(md5_free) = md5_new();
    void *piece CLEANUP(mem_free_at) = mem_alloc(STORE_GCS_READ_BYTES);
    const struct store_file_spec *spec = put->spec;
    for (uint64_t done_bytes = 0; done_bytes < spec->size_bytes;) {
        const uint64_t left_bytes = spec->size_bytes - done_bytes;
        const size_t piece_bytes = left_bytes < STORE_GCS_READ_BYTES ? (size_t)left_bytes
                                                                     : STORE_GCS_READ_BYTES;
        TRY(store_keep_going(put->work.hooks, err));
        TRY(store_read_at(spec->fd, done_bytes, piece, piece_bytes, err));
        sha256_update(sha256, slice_of(piece, piece_bytes));
        md5_update(md5, slice_of(piece, piece_bytes));
        done_bytes += piece_bytes;
    }
    uint8_t sha256_digest[SHA256_BYTES];
    uint8_t md5_digest[MD5_BYTES];
    sha256_finish(sha256, sha256_digest);
    md5_finish(md5, md5_digest);
    if (memcmp(sha256_digest, spec->sha256, SHA256_BYTES) != 0)
        return err_set(err, ERR_CORRUPT, "the file's bytes are not what was written");
    char *hex = arena_alloc(put->work.arena, SHA256_HEX_CHARS + 1);
    hex_encode(slice_of(spec->sha256, SHA256_BYTES), hex);
    put->expected = (struct store_gcs_expectation){
        .size_bytes = spec->size_bytes,
        .sha256_hex = hex,
        .md5_base64 = base64_encode(BASE64_STANDARD, slice_of(md5_digest, MD5_BYTES),
                                    put->work.arena)};
    return true;
}

// --- What is there already

enum store_gcs_course store_gcs_is_there(struct store_gcs_put *put)
{
    put->outcome = put->is_unclear ? STORE_WRITTEN : STORE_WAS_THERE;
    return STORE_GCS_DONE;
}

static enum store_gcs_course store_gcs_refuse_other(const struct store_gcs_put *put,
                                                    struct err *err)
{
    (void)err_set(err, ERR_CONFLICT, "an object with other bytes is there already: %s/%s",
                  gcs_client_bucket(put->work.gcs->client), put->work.key);
    return STORE_GCS_FAILED;
}

enum store_gcs_course store_gcs_settle(struct store_gcs_put *put, bool may_be_hidden,
                                       struct err *err)
{
    struct store_gcs_look look;
    struct err failure = {0};
    if (!store_gcs_look(&put->work, &put->expected, false, &look, &failure)) {
        *err = failure;
        return STORE_GCS_FAILED;
    }
    switch (look.state) {
    case STORE_SAME:
        return store_gcs_is_there(put);
    case STORE_ABSENT:
        return STORE_GCS_AGAIN;
    case STORE_UNREADABLE:
        if (may_be_hidden)
            return STORE_GCS_AGAIN;
        if (!put->replaces) {
            put->replaces = true;
            (void)err_set(err, ERR_UNAVAILABLE,
                          "an object is there already that may not be read: %s/%s",
                          gcs_client_bucket(put->work.gcs->client), put->work.key);
            return STORE_GCS_AGAIN;
        }
        (void)err_set(err, ERR_DENIED,
                      "an object is there already and cannot be compared: " STORE_GCS_GET
                      " is not permitted on %s/%s",
                      gcs_client_bucket(put->work.gcs->client), put->work.key);
        return STORE_GCS_FAILED;
    case STORE_OTHER:
        break;
    }
    if (!look.is_ours)
        return store_gcs_refuse_other(put, err);
    // What is left of a write that went wrong gives way; where it may not, the next try says it.
    (void)!store_gcs_remove(&put->work, put->work.key, look.generation, NULL);
    (void)err_set(err, ERR_CORRUPT, "put object: the object is not what was sent");
    return STORE_GCS_AGAIN;
}

enum store_gcs_course store_gcs_settle_after(struct store_gcs_put *put, struct err *err)
{
    struct store_gcs_look look;
    if ((err->kind != ERR_UNAVAILABLE && err->kind != ERR_DENIED) ||
        !store_gcs_look(&put->work, &put->expected, true, &look, NULL))
        return STORE_GCS_FAILED;
    // Only an object that is there has to be deleted for another.
    const bool is_kept = look.state == STORE_UNREADABLE && err->kind == ERR_DENIED &&
                         strstr(err->message, STORE_GCS_DELETE) != NULL && !put->is_in_doubt;
    if (look.state == STORE_SAME || is_kept)
        return store_gcs_is_there(put);
    if (look.state == STORE_OTHER && !look.is_ours)
        return store_gcs_refuse_other(put, err);
    return STORE_GCS_FAILED;
}

// --- All together

bool store_gcs_put_file(struct store *store, const struct store_file_spec *spec,
                        const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                        struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_gcs *gcs = (struct store_gcs *)store;
    struct store_gcs_put put = {.work = {.gcs = gcs,
                                         .hooks = hooks,
                                         .arena = &arena,
                                         .key = store_gcs_key(gcs, spec->key, &arena)},
                                .spec = spec};
    TRY(store_gcs_digest(&put, err));
    struct retry retry;
    gcs_client_init_retry(gcs->client, &retry);
    if (retry.limits.attempts > STORE_GCS_UPLOADS_MAX)
        retry.limits.attempts = STORE_GCS_UPLOADS_MAX;
    retry.keep_going = hooks->keep_going;
    retry.context = hooks->context;
    struct err failure = {0};
    enum store_gcs_course course = STORE_GCS_AGAIN;
    for (bool goes_on = true; goes_on && course == STORE_GCS_AGAIN;) {
        course = store_gcs_upload_once(&put, &failure);
        struct err pause = {.kind = ERR_UNAVAILABLE};
        goes_on = course == STORE_GCS_AGAIN && retry_wait(&retry, 0, &pause);
        if (pause.kind == ERR_CANCELED)
            failure = pause;
    }
    if (course != STORE_GCS_DONE)
        return err_set(err, failure.kind, "%s", failure.message);
    *ret_outcome = put.outcome;
    return true;
}
