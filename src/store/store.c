// SPDX-License-Identifier: Apache-2.0
// The wrappers around every store: they check keys and results.
#include "store/store.h"

#include "base/check.h"
#include "store/store_internal.h"

bool store_key_is_valid(struct slice key)
{
    if (key.size_bytes == 0 || key.size_bytes > STORE_KEY_BYTES_MAX)
        return false;
    const char *bytes = slice_chars(key);
    size_t part_start = 0;
    for (size_t i = 0; i <= key.size_bytes; i++) {
        if (i < key.size_bytes && bytes[i] != '/') {
            const unsigned char byte = (unsigned char)bytes[i];
            if (byte < ' ' || byte == 127 || byte == '\\')
                return false;
            continue;
        }
        const struct slice part = slice_part(key, part_start, i - part_start);
        if (part.size_bytes == 0 || slice_equal_text(part, ".") || slice_equal_text(part, ".."))
            return false;
        part_start = i + 1;
    }
    return true;
}

static bool store_check_key(const char *key, struct err *err)
{
    if (!store_key_is_valid(slice_text(key)))
        return err_set(err, ERR_INVALID, "invalid object key");
    return true;
}

void store_close(struct store **store)
{
    if (*store == NULL)
        return;
    (*store)->ops->close(*store);
    *store = NULL;
}

bool store_put_begin(struct store *store, const char *key, struct sink **ret_sink, struct err *err)
{
    TRY(store_check_key(key, err));
    if (store->ops->put_begin == NULL)
        return err_set(err, ERR_INVALID, "this store takes finished files only");
    struct sink *sink = NULL;
    TRY(store->ops->put_begin(store, key, &sink, err));
    ASSERT(sink != NULL);
    *ret_sink = sink;
    return true;
}

bool store_open_object(struct store *store, const char *key, int *ret_fd, uint64_t *ret_size_bytes,
                       struct err *err)
{
    TRY(store_check_key(key, err));
    if (store->ops->open_object == NULL)
        return err_set(err, ERR_INVALID, "this store does not open objects");
    int fd = -1;
    TRY(store->ops->open_object(store, key, &fd, ret_size_bytes, err));
    ASSERT(fd >= 0);
    *ret_fd = fd;
    return true;
}

bool store_keep_going(const struct store_hooks *hooks, struct err *err)
{
    if (hooks->keep_going != NULL && !hooks->keep_going(hooks->context))
        return err_set(err, ERR_CANCELED, "canceled");
    return true;
}

bool store_put_file(struct store *store, const struct store_file_spec *spec,
                    const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                    struct err *err)
{
    static const struct store_hooks none = {0};
    ASSERT(spec->fd >= 0);
    ASSERT(spec->content_type != NULL);
    TRY(store_check_key(spec->key, err));
    if (hooks == NULL)
        hooks = &none;
    return store->ops->put_file == NULL
               ? store_put_generic(store, spec, hooks, ret_outcome, err)
               : store->ops->put_file(store, spec, hooks, ret_outcome, err);
}

bool store_check(struct store *store, const char *key, uint64_t size_bytes,
                 const uint8_t sha256[32], enum store_state *ret_state, struct err *err)
{
    TRY(store_check_key(key, err));
    const struct store_object object = {key, size_bytes, sha256};
    return store->ops->check == NULL ? store_check_generic(store, &object, ret_state, err)
                                     : store->ops->check(store, &object, ret_state, err);
}

bool store_abort_upload(struct store *store, const char *key, const char *upload_id,
                        struct err *err)
{
    TRY(store_check_key(key, err));
    return store->ops->abort_upload == NULL || store->ops->abort_upload(store, key, upload_id, err);
}

bool store_probe(struct store *store, const char *key, struct store_probe *ret_probe,
                 struct err *err)
{
    TRY(store_check_key(key, err));
    return store->ops->probe == NULL ? store_probe_generic(store, key, ret_probe, err)
                                     : store->ops->probe(store, key, ret_probe, err);
}

bool store_delete(struct store *store, const char *key, struct err *err)
{
    TRY(store_check_key(key, err));
    return store->ops->delete_object(store, key, err);
}

bool store_sweep(struct store *store, int64_t age_ms,
                 bool (*is_listed)(const char *key, void *context, bool *ret_is_listed,
                                   struct err *err),
                 void *context, struct err *err)
{
    ASSERT(age_ms >= 0);
    const struct store_sweep sweep = {age_ms, is_listed, context};
    return store->ops->sweep == NULL || store->ops->sweep(store, &sweep, err);
}
