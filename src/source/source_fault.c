// SPDX-License-Identifier: Apache-2.0
// Test double: another source until a given call, which fails.
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "source/source_internal.h"

struct source_fault {
    struct source base;
    struct source *inner;
    uint64_t call_count;
    uint64_t failing_call;
    enum err_kind kind;
};

static bool source_fault_next(struct source *source, struct source_rows *ret_rows, struct err *err)
{
    struct source_fault *fault = (struct source_fault *)source;
    fault->call_count++;
    if (fault->call_count == fault->failing_call)
        return err_set(err, fault->kind, "injected fault in call %" PRIu64 " of source",
                       fault->call_count);
    return source_next(fault->inner, ret_rows, err);
}

static void source_fault_close(struct source *source)
{
    struct source_fault *fault = (struct source_fault *)source;
    source_close(&fault->inner);
    mem_free(fault);
}

static const struct source_ops source_fault_ops = {
    .name = "fault",
    .next = source_fault_next,
    .close = source_fault_close,
};

struct source *source_fault_new(struct source *inner, uint64_t failing_call, enum err_kind kind)
{
    ASSERT(kind != ERR_NONE);
    struct source_fault *fault = mem_alloc(sizeof *fault);
    fault->base.ops = &source_fault_ops;
    fault->inner = inner;
    fault->failing_call = failing_call;
    fault->kind = kind;
    return &fault->base;
}
