// SPDX-License-Identifier: Apache-2.0
#include "store/store_s3.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "cloud/s3_address.h"
#include "store/store_s3_internal.h"

#define STORE_S3_SINGLE_BYTES ((uint64_t)16 * 1024 * 1024)
#define STORE_S3_PART_BYTES   ((uint64_t)8 * 1024 * 1024)

static bool store_s3_put_file(struct store *store, const struct store_file_spec *spec,
                              const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                              struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_s3 *s3 = (struct store_s3 *)store;
    struct store_s3_put put = {
        .s3 = s3, .spec = spec, .hooks = hooks, .key = store_s3_key(s3, spec->key, &arena)};
    hex_encode(slice_of(spec->sha256, SHA256_BYTES), put.sha256_hex);
    return spec->size_bytes <= s3->single_put_bytes_max
               ? store_s3_put_single(&put, ret_outcome, err)
               : store_s3_put_parts(&put, ret_outcome, err);
}

static const struct store_hooks store_s3_no_hooks = {0};

// For calls that are no puts.
static struct store_s3_put store_s3_as_put(struct store *store, const char *key,
                                           struct arena *arena)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    return (struct store_s3_put){
        .s3 = s3, .hooks = &store_s3_no_hooks, .key = store_s3_key(s3, key, arena)};
}

static bool store_s3_check(struct store *store, const struct store_object *object,
                           enum store_state *ret_state, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_s3_put put = store_s3_as_put(store, object->key, &arena);
    hex_encode(slice_of(object->sha256, SHA256_BYTES), put.sha256_hex);
    const struct store_s3_expectation expected = {.size_bytes = object->size_bytes,
                                                  .sha256_hex = put.sha256_hex};
    struct store_s3_look look;
    TRY(store_s3_look(&put, &expected, false, &look, err));
    *ret_state = look.state;
    return true;
}

static bool store_s3_delete_object(struct store *store, const char *key, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct store_s3_put put = store_s3_as_put(store, key, &arena);
    return store_s3_delete_key(&put, err);
}

// What the owner of the bucket has to allow, and where.
static const char *store_s3_advice(const struct store_s3_put *put, struct arena *arena)
{
    if (put->s3->provider == S3_PROVIDER_GCS_XML)
        return arena_format(arena, "Grant the role Storage Object User on the bucket %s",
                            put->s3->bucket);
    return arena_format(arena,
                        "Allow it: {\"Effect\": \"Allow\", \"Action\": [\"s3:PutObject\", "
                        "\"s3:GetObject\", \"s3:DeleteObject\", \"s3:AbortMultipartUpload\"], "
                        "\"Resource\": \"arn:aws:s3:::%s/%s*\"}",
                        put->s3->bucket, put->s3->prefix);
}

static bool store_s3_probe_write(const struct store_s3_put *put, struct arena *arena,
                                 struct err *err)
{
    const struct s3_body body = s3_body_of_text(slice_text(STORE_PROBE_TEXT));
    struct http_client_header headers[2 + STORE_S3_ENCRYPTION_HEADERS] = {
        {"Content-Type", "text/plain"}};
    size_t header_count = 1;
    store_s3_add_condition(put, headers, &header_count);
    store_s3_add_encryption(put->s3, headers, &header_count);
    struct s3_call call = store_s3_call(put, "put object", "PUT");
    call.headers = headers;
    call.header_count = header_count;
    call.body = &body;
    call.advice = store_s3_advice(put, arena);
    struct s3_reply reply;
    TRY(s3_client_send(put->s3->client, &call, arena, &reply, NULL, err));
    if (reply.answer == S3_NOT_OFFERED && !put->s3->has_no_condition) {
        put->s3->has_no_condition = true;
        return store_s3_probe_write(put, arena, err);
    }
    // One of before, which could not be deleted, does as well: it is looked at next.
    return reply.answer == S3_OK || reply.answer == S3_EXISTS ||
           store_s3_refuse(call.name, reply.answer, err);
}

static bool store_s3_probe(struct store *store, const char *key, struct store_probe *ret_probe,
                           struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct store_s3_put put = store_s3_as_put(store, key, &arena);
    const struct s3_body body = s3_body_of_text(slice_text(STORE_PROBE_TEXT));
    hex_encode(slice_of(body.sha256, SHA256_BYTES), put.sha256_hex);
    const struct store_s3_expectation expected = {.size_bytes = body.size_bytes,
                                                  .sha256_hex = put.sha256_hex};
    TRY(store_s3_probe_write(&put, &arena, err));
    enum store_state state = STORE_ABSENT;
    TRY(store_s3_look_at_bytes(&put, &expected, false, &state, err));
    if (state != STORE_SAME && state != STORE_UNREADABLE)
        return err_set(err, ERR_CORRUPT, "other bytes came back than were written");
    struct err failure = {0};
    const bool is_deleted = store_s3_delete_key(&put, &failure);
    if (!is_deleted && failure.kind != ERR_DENIED)
        return err_set(err, failure.kind, "%s", failure.message);
    *ret_probe = (struct store_probe){.is_readable = state == STORE_SAME,
                                      .is_deletable = is_deleted};
    return true;
}

static void store_s3_close(struct store *store)
{
    struct store_s3 *s3 = (struct store_s3 *)store;
    s3_client_close(&s3->client);
    mem_free(s3->bucket);
    mem_free(s3->prefix);
    mem_free(s3->kms_key_arn);
    mem_free(s3);
}

static const struct store_ops store_s3_ops = {
    .name = "s3",
    .put_file = store_s3_put_file,
    .check = store_s3_check,
    .probe = store_s3_probe,
    .abort_upload = store_s3_abort_upload,
    .delete_object = store_s3_delete_object,
    .sweep = store_s3_sweep,
    .close = store_s3_close,
};

bool store_s3_open(const struct store_s3_config *config, struct store **ret_store, struct err *err)
{
    struct store_s3 *s3 = mem_alloc(sizeof *s3);
    struct store *store CLEANUP(store_close) = &s3->base;
    store->ops = &store_s3_ops;
    s3->provider = config->s3.provider;
    s3->bucket = mem_copy_text(config->s3.bucket);
    s3->prefix = mem_copy_text(config->prefix == NULL ? "" : config->prefix);
    if (config->kms_key_arn != NULL)
        s3->kms_key_arn = mem_copy_text(config->kms_key_arn);
    // Amazon heeds If-None-Match, and Google's store its own condition.
    s3->looks_first = config->s3.provider == S3_PROVIDER_S3 && !s3_is_amazon(config->s3.endpoint);
    s3->single_put_bytes_max = config->single_put_bytes_max == 0 ? STORE_S3_SINGLE_BYTES
                                                                 : config->single_put_bytes_max;
    s3->part_bytes_min = config->part_bytes_min == 0 ? STORE_S3_PART_BYTES : config->part_bytes_min;
    TRY(s3_client_open(&config->s3, &s3->client, err));
    *ret_store = store;
    store = NULL;
    return true;
}
