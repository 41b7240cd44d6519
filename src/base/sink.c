// SPDX-License-Identifier: Apache-2.0
// The wrappers around every sink: they keep the order of calls and the rules of sink_ops.h.
#include "base/sink.h"

#include "base/check.h"
#include "base/sink_ops.h"

void sink_init(struct sink *sink, const struct sink_ops *ops, struct sink *next)
{
    ASSERT(ops->write != NULL);
    ASSERT(ops->finish != NULL);
    ASSERT(ops->free != NULL);
    *sink = (struct sink){.ops = ops, .next = next};
}

bool sink_write(struct sink *sink, struct slice bytes, struct err *err)
{
    ASSERT(!sink->is_finished);
    ASSERT(!sink->has_failed);
    if (bytes.size_bytes == 0)
        return true;
    if (!sink->ops->write(sink, bytes, err)) {
        ASSERT(err == NULL || err->kind != ERR_NONE);
        sink->has_failed = true;
        return false;
    }
    sink->byte_count += bytes.size_bytes;
    return true;
}

bool sink_finish(struct sink *sink, struct err *err)
{
    ASSERT(!sink->is_finished);
    ASSERT(!sink->has_failed);
    if (!sink->ops->finish(sink, err) || (sink->next != NULL && !sink_finish(sink->next, err))) {
        ASSERT(err == NULL || err->kind != ERR_NONE);
        sink->has_failed = true;
        return false;
    }
    sink->is_finished = true;
    if (sink->ops->finished != NULL)
        sink->ops->finished(sink);
    return true;
}

void sink_free(struct sink **sink)
{
    struct sink *one = *sink;
    while (one != NULL) {
        struct sink *next = one->next;
        one->ops->free(one);
        one = next;
    }
    *sink = NULL;
}
