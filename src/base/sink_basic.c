// SPDX-License-Identifier: Apache-2.0
// The sinks that need nothing but memory: buffer, digest, and the test double that fails on demand.
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/sink_ops.h"

static void sink_free_plain(struct sink *sink)
{
    mem_free(sink);
}

static bool sink_finish_plain(struct sink *sink, struct err *err)
{
    (void)sink;
    (void)err;
    return true;
}

struct sink_memory {
    struct sink base;
    struct buf *destination;
};

static bool sink_memory_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct sink_memory *memory = (struct sink_memory *)sink;
    buf_append(memory->destination, bytes);
    return buf_check(memory->destination, err);
}

static const struct sink_ops sink_memory_ops = {
    .name = "memory",
    .write = sink_memory_write,
    .finish = sink_finish_plain,
    .free = sink_free_plain,
};

struct sink *sink_memory_new(struct buf *destination)
{
    struct sink_memory *memory = mem_alloc(sizeof *memory);
    sink_init(&memory->base, &sink_memory_ops, NULL);
    memory->destination = destination;
    return &memory->base;
}

struct sink_digesting {
    struct sink base;
    struct sha256 *hash;
    struct sink_digest *ret_digest;
};

static bool sink_digest_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct sink_digesting *digesting = (struct sink_digesting *)sink;
    sha256_update(digesting->hash, bytes);
    return sink->next == NULL || sink_write(sink->next, bytes, err);
}

static void sink_digest_finished(struct sink *sink)
{
    struct sink_digesting *digesting = (struct sink_digesting *)sink;
    digesting->ret_digest->byte_count = sink->byte_count;
    sha256_finish(digesting->hash, digesting->ret_digest->sha256);
}

static void sink_digest_free(struct sink *sink)
{
    struct sink_digesting *digesting = (struct sink_digesting *)sink;
    sha256_free(&digesting->hash);
    mem_free(digesting);
}

static const struct sink_ops sink_digest_ops = {
    .name = "digest",
    .write = sink_digest_write,
    .finish = sink_finish_plain,
    .finished = sink_digest_finished,
    .free = sink_digest_free,
};

struct sink *sink_digest_new(struct sink *next, struct sink_digest *ret_digest)
{
    struct sink_digesting *digesting = mem_alloc(sizeof *digesting);
    sink_init(&digesting->base, &sink_digest_ops, next);
    digesting->hash = sha256_new();
    digesting->ret_digest = ret_digest;
    return &digesting->base;
}

struct sink_budgeting {
    struct sink base;
    struct sink_budget *budget;
};

static bool sink_budget_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct sink_budget *budget = ((struct sink_budgeting *)sink)->budget;
    if (bytes.size_bytes > budget->left_bytes) {
        budget->is_exceeded = true;
        return err_set(err, ERR_LIMIT, "no room for %zu bytes more", bytes.size_bytes);
    }
    budget->left_bytes -= bytes.size_bytes;
    return sink_write(sink->next, bytes, err);
}

static const struct sink_ops sink_budget_ops = {
    .name = "budget",
    .write = sink_budget_write,
    .finish = sink_finish_plain,
    .free = sink_free_plain,
};

struct sink *sink_budget_new(struct sink *next, struct sink_budget *budget)
{
    ASSERT(next != NULL);
    struct sink_budgeting *budgeting = mem_alloc(sizeof *budgeting);
    sink_init(&budgeting->base, &sink_budget_ops, next);
    budgeting->budget = budget;
    return &budgeting->base;
}

struct sink_fault {
    struct sink base;
    uint64_t call_count;
    uint64_t failing_call;
    enum err_kind kind;
};

static bool sink_fault_count(struct sink_fault *fault, struct err *err)
{
    fault->call_count++;
    if (fault->call_count == fault->failing_call)
        return err_set(err, fault->kind, "fault at call %llu",
                       (unsigned long long)fault->failing_call);
    return true;
}

static bool sink_fault_write(struct sink *sink, struct slice bytes, struct err *err)
{
    TRY(sink_fault_count((struct sink_fault *)sink, err));
    return sink_write(sink->next, bytes, err);
}

static bool sink_fault_finish(struct sink *sink, struct err *err)
{
    return sink_fault_count((struct sink_fault *)sink, err);
}

static const struct sink_ops sink_fault_ops = {
    .name = "fault",
    .write = sink_fault_write,
    .finish = sink_fault_finish,
    .free = sink_free_plain,
};

struct sink *sink_fault_new(struct sink *next, uint64_t failing_call, enum err_kind kind)
{
    struct sink_fault *fault = mem_alloc(sizeof *fault);
    sink_init(&fault->base, &sink_fault_ops, next);
    fault->failing_call = failing_call;
    fault->kind = kind;
    return &fault->base;
}
