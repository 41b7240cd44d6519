// SPDX-License-Identifier: Apache-2.0
// For those who implement a sink. The struct comes first in the implementation's own struct. The
// wrappers in sink.c check order and results, count bytes, and free the chain.
#pragma once

#include "base/sink.h"

struct sink_ops {
    const char *name;

    // Required. Takes all bytes or fails; a sink that has a next one writes to it with sink_write.
    bool (*write)(struct sink *sink, struct slice bytes, struct err *err);

    // Required. Writes what is buffered; the wrapper finishes the next sink afterwards.
    bool (*finish)(struct sink *sink, struct err *err);

    // Optional. After the whole chain has finished, first sink last: results may be handed out.
    void (*finished)(struct sink *sink);

    // Required. Frees the struct itself, not the next sink; undoes what is not finished.
    void (*free)(struct sink *sink);
};

struct sink {
    const struct sink_ops *ops;
    struct sink *next; // owned; NULL at the end of the chain
    uint64_t byte_count;
    bool is_finished;
    bool has_failed;
};

// For the first lines of a constructor: base of a struct that mem_alloc made.
void sink_init(struct sink *sink, const struct sink_ops *ops, struct sink *next);
