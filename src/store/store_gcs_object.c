// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/mem.h"
#include "store/store_gcs_internal.h"

const char *store_gcs_key(const struct store_gcs *gcs, const char *key, struct arena *arena)
{
    return arena_format(arena, "%s%s", gcs->prefix, key);
}

struct gcs_call store_gcs_call(const struct store_gcs_work *work, const char *name,
                               const char *method, const char *path)
{
    return (struct gcs_call){.name = name,
                             .method = method,
                             .path = path,
                             .keep_going = work->hooks->keep_going,
                             .context = work->hooks->context};
}

bool store_gcs_compare(const struct gcs_object *object,
                       const struct store_gcs_expectation *expected,
                       struct store_gcs_look *ret_look)
{
    const bool is_ours = object->sha256_hex != NULL &&
                         strcmp(object->sha256_hex, expected->sha256_hex) == 0;
    const bool has_md5 = object->md5_base64 != NULL && expected->md5_base64 != NULL;
    const bool is_md5 = has_md5 && strcmp(object->md5_base64, expected->md5_base64) == 0;
    *ret_look = (struct store_gcs_look){
        .state = STORE_OTHER, .is_ours = is_ours, .generation = object->generation};
    if (object->size_bytes != expected->size_bytes || (has_md5 && !is_md5) ||
        (object->sha256_hex != NULL && !is_ours))
        return true;
    ret_look->state = STORE_SAME;
    return is_ours || is_md5;
}

// --- Bytes

struct store_gcs_reading {
    struct sha256 *hash;
    uint64_t size_bytes;
    uint64_t size_bytes_max;
};

static void store_gcs_restart(void *context)
{
    struct store_gcs_reading *reading = context;
    uint8_t ignored[SHA256_BYTES];
    sha256_finish(reading->hash, ignored);
    reading->size_bytes = 0;
}

static bool store_gcs_read(void *context, struct slice bytes, struct err *err)
{
    struct store_gcs_reading *reading = context;
    reading->size_bytes += bytes.size_bytes;
    if (reading->size_bytes > reading->size_bytes_max)
        return err_set(err, ERR_CORRUPT, "the object is longer than it says");
    sha256_update(reading->hash, bytes);
    return true;
}

// Reads with the call; what may not be read is STORE_UNREADABLE.
static bool store_gcs_get(const struct store_gcs_work *work, struct gcs_call *call, bool is_single,
                          struct gcs_reply *ret_reply, enum store_state *ret_state, struct err *err)
{
    call->permission = STORE_GCS_GET;
    call->role = STORE_GCS_VIEWER;
    call->is_single = is_single;
    call->statuses[0] = 404;
    struct err failure = {0};
    if (!gcs_client_send(work->gcs->client, call, work->arena, ret_reply, NULL, &failure)) {
        if (failure.kind != ERR_DENIED && failure.kind != ERR_CORRUPT)
            return err_set(err, failure.kind, "%s", failure.message);
        *ret_state = failure.kind == ERR_DENIED ? STORE_UNREADABLE : STORE_OTHER;
        return true;
    }
    *ret_state = ret_reply->status == 404 ? STORE_ABSENT : STORE_SAME;
    return true;
}

bool store_gcs_look_at_bytes(const struct store_gcs_work *work,
                             const struct store_gcs_expectation *expected, bool is_single,
                             enum store_state *ret_state, struct err *err)
{
    struct sha256 *hash CLEANUP(sha256_free) = sha256_new();
    struct store_gcs_reading reading = {.hash = hash, .size_bytes_max = expected->size_bytes};
    const struct gcs_receiver receiver = {.restart = store_gcs_restart,
                                          .write = store_gcs_read,
                                          .context = &reading,
                                          .expected_bytes = expected->size_bytes};
    const char *path = gcs_object_path(gcs_client_bucket(work->gcs->client), work->key,
                                       work->arena);
    struct gcs_call call = store_gcs_call(work, "read object", "GET",
                                          arena_format(work->arena, "%s?alt=media", path));
    call.receiver = &receiver;
    struct gcs_reply reply;
    TRY(store_gcs_get(work, &call, is_single, &reply, ret_state, err));
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

struct store_gcs_looking {
    const struct store_gcs_work *work;
    struct gcs_object object;
};

static bool store_gcs_take_object(void *context, const struct gcs_reply *reply, struct err *err)
{
    struct store_gcs_looking *looking = context;
    if (reply->status == 404)
        return true;
    TRY(gcs_object_parse(reply->body, looking->work->arena, &looking->object, err));
    return strcmp(looking->object.name, looking->work->key) == 0 ||
           err_set(err, ERR_UNAVAILABLE, "an answer about another object");
}

bool store_gcs_look(const struct store_gcs_work *work, const struct store_gcs_expectation *expected,
                    bool is_single, struct store_gcs_look *ret_look, struct err *err)
{
    const char *path = gcs_object_path(gcs_client_bucket(work->gcs->client), work->key,
                                       work->arena);
    struct gcs_call call = store_gcs_call(work, "look at object", "GET", path);
    struct gcs_reply reply;
    struct store_gcs_looking looking = {.work = work};
    struct store_gcs_look look = {STORE_ABSENT, false, NULL};
    call.check = store_gcs_take_object;
    call.check_context = &looking;
    TRY(store_gcs_get(work, &call, is_single, &reply, &look.state, err));
    if (look.state == STORE_SAME && !store_gcs_compare(&looking.object, expected, &look))
        TRY(store_gcs_look_at_bytes(work, expected, is_single, &look.state, err));
    *ret_look = look;
    return true;
}

bool store_gcs_remove(const struct store_gcs_work *work, const char *key, const char *generation,
                      struct err *err)
{
    const char *path = gcs_object_path(gcs_client_bucket(work->gcs->client), key, work->arena);
    if (generation != NULL)
        path = arena_format(work->arena, "%s?ifGenerationMatch=%s", path, generation);
    struct gcs_call call = store_gcs_call(work, "delete object", "DELETE", path);
    call.permission = STORE_GCS_DELETE;
    call.role = STORE_GCS_USER;
    call.statuses[0] = 204;
    call.statuses[1] = 404;
    call.statuses[2] = 412; // another one has come
    struct gcs_reply reply;
    return gcs_client_send(work->gcs->client, &call, work->arena, &reply, NULL, err);
}
