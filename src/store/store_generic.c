// SPDX-License-Identifier: Apache-2.0
// Putting finished files, checking and probing, for stores that have objects as files: made of
// put_begin and open_object alone.
#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "store/store_internal.h"

#define STORE_PIECE_BYTES ((size_t)256 * 1024)

bool store_read_at(int fd, uint64_t offset_bytes, void *ret_data, size_t size_bytes,
                   struct err *err)
{
    return file_read_at(fd, offset_bytes, ret_data, size_bytes, err);
}

// Reads size_bytes from the start, hashes them, and writes them to sink, unless that is NULL.
static bool store_pass(int fd, uint64_t size_bytes, const struct store_hooks *hooks,
                       struct sink *sink, uint8_t ret_sha256[SHA256_BYTES], struct err *err)
{
    struct sha256 *hash CLEANUP(sha256_free) = sha256_new();
    void *piece CLEANUP(mem_free_at) =
        mem_alloc(size_bytes < STORE_PIECE_BYTES ? (size_t)size_bytes : STORE_PIECE_BYTES);
    for (uint64_t done_bytes = 0; done_bytes < size_bytes;) {
        const uint64_t left_bytes = size_bytes - done_bytes;
        const size_t piece_bytes = left_bytes < STORE_PIECE_BYTES ? (size_t)left_bytes
                                                                  : STORE_PIECE_BYTES;
        TRY(store_keep_going(hooks, err));
        TRY(file_read_at(fd, done_bytes, piece, piece_bytes, err));
        sha256_update(hash, slice_of(piece, piece_bytes));
        if (sink != NULL)
            TRY(sink_write(sink, slice_of(piece, piece_bytes), err));
        done_bytes += piece_bytes;
    }
    sha256_finish(hash, ret_sha256);
    return true;
}

// An object that comes between the look and the finish is replaced: on one machine, the catalog
// lets one writer put a key.
bool store_put_generic(struct store *store, const struct store_file_spec *spec,
                       const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                       struct err *err)
{
    enum store_state state = STORE_ABSENT;
    TRY(store_check(store, spec->key, spec->size_bytes, spec->sha256, &state, err));
    ASSERT(state != STORE_UNREADABLE);
    if (state == STORE_OTHER)
        return err_set(err, ERR_CONFLICT, "an object with other bytes is there already");
    if (state == STORE_SAME) {
        *ret_outcome = STORE_WAS_THERE;
        return true;
    }
    struct sink *sink CLEANUP(sink_free) = NULL;
    TRY(store_put_begin(store, spec->key, &sink, err));
    uint8_t sha256[SHA256_BYTES];
    TRY(store_pass(spec->fd, spec->size_bytes, hooks, sink, sha256, err));
    if (memcmp(sha256, spec->sha256, sizeof sha256) != 0)
        return err_set(err, ERR_CORRUPT, "the file's bytes are not what was written");
    TRY(store_keep_going(hooks, err));
    TRY(sink_finish(sink, err));
    *ret_outcome = STORE_WRITTEN;
    return true;
}

bool store_check_generic(struct store *store, const struct store_object *object,
                         enum store_state *ret_state, struct err *err)
{
    static const struct store_hooks none = {0};
    int fd CLEANUP(file_close) = -1;
    uint64_t size_bytes = 0;
    struct err failure = {0};
    if (!store_open_object(store, object->key, &fd, &size_bytes, &failure)) {
        if (failure.kind != ERR_NOT_FOUND)
            return err_set(err, failure.kind, "%s", failure.message);
        *ret_state = STORE_ABSENT;
        return true;
    }
    if (size_bytes != object->size_bytes) {
        *ret_state = STORE_OTHER;
        return true;
    }
    uint8_t sha256[SHA256_BYTES];
    TRY(store_pass(fd, size_bytes, &none, NULL, sha256, err));
    *ret_state = memcmp(sha256, object->sha256, sizeof sha256) == 0 ? STORE_SAME : STORE_OTHER;
    return true;
}

bool store_probe_generic(struct store *store, const char *key, struct store_probe *ret_probe,
                         struct err *err)
{
    static const char text[] = STORE_PROBE_TEXT;
    struct sink *sink CLEANUP(sink_free) = NULL;
    TRY(store_put_begin(store, key, &sink, err));
    TRY(sink_write(sink, slice_text(text), err));
    TRY(sink_finish(sink, err));
    uint8_t sha256[SHA256_BYTES];
    sha256_of(slice_text(text), sha256);
    enum store_state state = STORE_ABSENT;
    TRY(store_check(store, key, sizeof text - 1, sha256, &state, err));
    if (state != STORE_SAME)
        return err_set(err, ERR_CORRUPT, "other bytes came back than were written");
    TRY(store_delete(store, key, err));
    *ret_probe = (struct store_probe){.is_readable = true, .is_deletable = true};
    return true;
}
