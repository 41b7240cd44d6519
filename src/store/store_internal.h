// SPDX-License-Identifier: Apache-2.0
// For those who implement a store. Keys that arrive here have passed store_key_is_valid.
#pragma once

#include "store/store.h"

#define STORE_PROBE_TEXT "milkrun writes this object to see whether it may, and deletes it.\n"

// Arguments of the public call.
struct store_sweep {
    int64_t age_ms;
    bool (*is_listed)(const char *key, void *context, bool *ret_is_listed, struct err *err);
    void *context;
};

// What an object should be.
struct store_object {
    const char *key;
    uint64_t size_bytes;
    const uint8_t *sha256;
};

struct store_ops {
    const char *name;
    // Optional (NULL: takes finished files only). The sink publishes the object at finish.
    bool (*put_begin)(struct store *store, const char *key, struct sink **ret_sink,
                      struct err *err);
    // Optional (NULL: objects cannot be opened). Contract of store_open_object.
    bool (*open_object)(struct store *store, const char *key, int *ret_fd, uint64_t *ret_size_bytes,
                        struct err *err);
    // Optional (NULL: store_put_generic, over put_begin and open_object). Contract of
    // store_put_file; hooks are never NULL.
    bool (*put_file)(struct store *store, const struct store_file_spec *spec,
                     const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                     struct err *err);
    // Optional (NULL: store_check_generic, over open_object). Contract of store_check.
    bool (*check)(struct store *store, const struct store_object *object,
                  enum store_state *ret_state, struct err *err);
    // Optional (NULL: store_probe_generic). Contract of store_probe.
    bool (*probe)(struct store *store, const char *key, struct store_probe *ret_probe,
                  struct err *err);
    // Optional (NULL: there are no uploads). Contract of store_abort_upload.
    bool (*abort_upload)(struct store *store, const char *key, const char *upload_id,
                         struct err *err);
    // Required. Missing is fine.
    bool (*delete_object)(struct store *store, const char *key, struct err *err);
    // Optional (NULL: nothing can be left behind).
    bool (*sweep)(struct store *store, const struct store_sweep *sweep, struct err *err);
    // Required.
    void (*close)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

// store_generic.c: for stores of this machine.
bool store_put_generic(struct store *store, const struct store_file_spec *spec,
                       const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                       struct err *err);
bool store_check_generic(struct store *store, const struct store_object *object,
                         enum store_state *ret_state, struct err *err);
bool store_probe_generic(struct store *store, const char *key, struct store_probe *ret_probe,
                         struct err *err);

// False: CANCELED.
bool store_keep_going(const struct store_hooks *hooks, struct err *err);
// Reads size_bytes at offset_bytes; a file that is shorter is CORRUPT.
bool store_read_at(int fd, uint64_t offset_bytes, void *ret_data, size_t size_bytes,
                   struct err *err);
