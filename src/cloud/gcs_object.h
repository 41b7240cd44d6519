// SPDX-License-Identifier: Apache-2.0
// What Google's storage says about objects, and the paths of its JSON interface. Pure.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

#define GCS_SHA256_KEY "sha256" // of an object's own metadata

struct gcs_object {
    const char *name;
    const char *generation; // digits
    uint64_t size_bytes;
    const char *md5_base64; // NULL: not said, as of one that was composed of others
    const char *sha256_hex; // as whoever wrote it said; NULL: not said
    int64_t created_at_ms;  // 0: not said
};

// A resource, in the arena. UNAVAILABLE: it is none.
NODISCARD bool gcs_object_parse(struct slice json, struct arena *arena,
                                struct gcs_object *ret_object, struct err *err);

struct gcs_listing {
    const struct gcs_object *objects;
    size_t count;
    const char *next_page; // NULL: that was the last
};
NODISCARD bool gcs_listing_parse(struct slice json, struct arena *arena,
                                 struct gcs_listing *ret_listing, struct err *err);

// The resource of an object that is to be, without its name: what the storage has to check and
// keep.
const char *gcs_object_write(const char *content_type, const char *md5_base64,
                             const char *sha256_hex, struct arena *arena);

// "/storage/v1/b/BUCKET/o/KEY", or what lists objects when key is NULL; a query is to be appended
// with '?'.
const char *gcs_object_path(const char *bucket, const char *key, struct arena *arena);
// "/upload/storage/v1/b/BUCKET/o".
const char *gcs_upload_path(const char *bucket, struct arena *arena);
const char *gcs_encode(const char *text, struct arena *arena);
