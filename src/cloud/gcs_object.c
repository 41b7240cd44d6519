// SPDX-License-Identifier: Apache-2.0
#include "cloud/gcs_object.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/uri.h"

#define GCS_PATH_BYTES_MAX     ((size_t)16 * 1024)
#define GCS_RESOURCE_BYTES_MAX ((size_t)16 * 1024)

static bool gcs_no_object(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "the storage's answer is not what it should be");
}

// NULL: absent or empty.
static const char *gcs_text(const struct json_node *object, const char *name, struct arena *arena)
{
    const struct slice text = json_node_text(json_node_get(object, name));
    return slice_is_empty(text) ? NULL : arena_copy_slice(arena, text);
}

static bool gcs_is_number(const char *text)
{
    return text != NULL && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 20;
}

// Numbers come as texts.
static bool gcs_take_object(const struct json_node *node, struct arena *arena,
                            struct gcs_object *ret_object)
{
    struct gcs_object object = {.name = gcs_text(node, "name", arena),
                                .generation = gcs_text(node, "generation", arena),
                                .md5_base64 = gcs_text(node, "md5Hash", arena)};
    object.sha256_hex = gcs_text(json_node_get(node, "metadata"), GCS_SHA256_KEY, arena);
    int64_t size_bytes = 0;
    if (object.name == NULL || !gcs_is_number(object.generation) ||
        !number_parse_int64(json_node_text(json_node_get(node, "size")), &size_bytes) ||
        size_bytes < 0)
        return false;
    object.size_bytes = (uint64_t)size_bytes;
    const struct json_node *created = json_node_get(node, "timeCreated");
    if (!civil_parse(json_node_text(created), &object.created_at_ms))
        object.created_at_ms = 0;
    *ret_object = object;
    return true;
}

bool gcs_object_parse(struct slice json, struct arena *arena, struct gcs_object *ret_object,
                      struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    return (json_tree_parse(json, &tree, NULL) &&
            gcs_take_object(json_tree_root(tree), arena, ret_object)) ||
           gcs_no_object(err);
}

bool gcs_listing_parse(struct slice json, struct arena *arena, struct gcs_listing *ret_listing,
                       struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(json, &tree, NULL) ||
        json_node_kind(json_tree_root(tree)) != JSON_KIND_OBJECT)
        return gcs_no_object(err);
    const struct json_node *items = json_node_get(json_tree_root(tree), "items");
    const size_t count = json_node_kind(items) == JSON_KIND_ARRAY ? json_node_count(items) : 0;
    struct gcs_object *objects = arena_alloc_array(arena, count, sizeof *objects);
    for (size_t i = 0; i < count; i++) {
        if (!gcs_take_object(json_node_at(items, i), arena, &objects[i]))
            return gcs_no_object(err);
    }
    *ret_listing =
        (struct gcs_listing){.objects = objects,
                             .count = count,
                             .next_page = gcs_text(json_tree_root(tree), "nextPageToken", arena)};
    return true;
}

const char *gcs_object_write(const char *content_type, const char *md5_base64,
                             const char *sha256_hex, struct arena *arena)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, GCS_RESOURCE_BYTES_MAX);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "contentType", content_type);
    json_text_member_text(&json, "md5Hash", md5_base64);
    json_text_key(&json, "metadata");
    json_text_open(&json, '{');
    json_text_member_text(&json, GCS_SHA256_KEY, sha256_hex);
    json_text_close(&json, '}');
    json_text_close(&json, '}');
    ASSERT(!text.overflowed);
    return arena_copy_slice(arena, buf_slice(&text));
}

const char *gcs_encode(const char *text, struct arena *arena)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, GCS_PATH_BYTES_MAX);
    uri_append_encoded(&out, slice_text(text), "");
    ASSERT(!out.overflowed);
    return arena_copy_slice(arena, buf_slice(&out));
}

const char *gcs_object_path(const char *bucket, const char *key, struct arena *arena)
{
    return arena_format(arena, "/storage/v1/b/%s/o%s%s", gcs_encode(bucket, arena),
                        key == NULL ? "" : "/", key == NULL ? "" : gcs_encode(key, arena));
}

const char *gcs_upload_path(const char *bucket, struct arena *arena)
{
    return arena_format(arena, "/upload/storage/v1/b/%s/o", gcs_encode(bucket, arena));
}
