// SPDX-License-Identifier: Apache-2.0
// For those who implement a store. Keys that arrive here have passed store_key_is_valid.
#pragma once

#include "store/store.h"

// Arguments of the public call.
struct store_sweep {
    int64_t age_ms;
    bool (*is_listed)(const char *key, void *context, bool *ret_is_listed, struct err *err);
    void *context;
};

struct store_ops {
    const char *name;
    // Required. The sink publishes the object at finish.
    bool (*put_begin)(struct store *store, const char *key, struct sink **ret_sink,
                      struct err *err);
    // Required. Contract of store_open_object.
    bool (*open_object)(struct store *store, const char *key, int *ret_fd, uint64_t *ret_size_bytes,
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
