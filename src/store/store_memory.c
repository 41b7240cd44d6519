// SPDX-License-Identifier: Apache-2.0
// Test doubles: a store in memory, and a wrapper that fails the n-th call.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sink_ops.h"
#include "base/thread.h"
#include "store/store_internal.h"

#define STORE_MEMORY_OBJECT_BYTES_MAX ((size_t)1 << 30)

struct store_memory_object {
    struct store_memory_object *next;
    char *key;
    struct buf bytes;
};

struct store_memory {
    struct store base;
    struct mutex mutex; // guards objects
    struct store_memory_object *objects;
};

static struct store_memory_object **store_memory_find(struct store_memory *memory, const char *key)
{
    struct store_memory_object **at = &memory->objects;
    while (*at != NULL && strcmp((*at)->key, key) != 0)
        at = &(*at)->next;
    return at;
}

static void store_memory_remove(struct store_memory_object **at)
{
    struct store_memory_object *object = *at;
    if (object == NULL)
        return;
    *at = object->next;
    buf_clear(&object->bytes);
    mem_free(object->key);
    mem_free(object);
}

struct store_memory_sink {
    struct sink base;
    struct store_memory *memory;
    struct store_memory_object *object; // NULL once published
};

static bool store_memory_sink_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct store_memory_object *object = ((struct store_memory_sink *)sink)->object;
    buf_append(&object->bytes, bytes);
    return buf_check(&object->bytes, err);
}

static bool store_memory_sink_finish(struct sink *sink, struct err *err)
{
    (void)err;
    struct store_memory_sink *memory_sink = (struct store_memory_sink *)sink;
    struct store_memory *memory = memory_sink->memory;
    mutex_lock(&memory->mutex);
    store_memory_remove(store_memory_find(memory, memory_sink->object->key));
    memory_sink->object->next = memory->objects;
    memory->objects = memory_sink->object;
    memory_sink->object = NULL;
    mutex_unlock(&memory->mutex);
    return true;
}

static void store_memory_sink_free(struct sink *sink)
{
    struct store_memory_sink *memory_sink = (struct store_memory_sink *)sink;
    store_memory_remove(&memory_sink->object);
    mem_free(memory_sink);
}

static const struct sink_ops store_memory_sink_ops = {
    .name = "memory object",
    .write = store_memory_sink_write,
    .finish = store_memory_sink_finish,
    .free = store_memory_sink_free,
};

static bool store_memory_put_begin(struct store *store, const char *key, struct sink **ret_sink,
                                   struct err *err)
{
    (void)err;
    struct store_memory_sink *sink = mem_alloc(sizeof *sink);
    sink_init(&sink->base, &store_memory_sink_ops, NULL);
    sink->memory = (struct store_memory *)store;
    sink->object = mem_alloc(sizeof *sink->object);
    sink->object->key = mem_copy_text(key);
    buf_init(&sink->object->bytes, STORE_MEMORY_OBJECT_BYTES_MAX);
    *ret_sink = &sink->base;
    return true;
}

static bool store_memory_open_object(struct store *store, const char *key, int *ret_fd,
                                     uint64_t *ret_size_bytes, struct err *err)
{
    struct store_memory *memory = (struct store_memory *)store;
    const int fd = memfd_create("object", MFD_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "memfd");
    mutex_lock(&memory->mutex);
    const struct store_memory_object *object = *store_memory_find(memory, key);
    bool is_done = object != NULL || err_set(err, ERR_NOT_FOUND, "no such object");
    if (is_done)
        is_done = file_write_all(fd, buf_slice(&object->bytes), key, err);
    if (is_done) {
        *ret_fd = fd;
        *ret_size_bytes = object->bytes.size_bytes;
    }
    mutex_unlock(&memory->mutex);
    if (!is_done)
        (void)close(fd);
    return is_done;
}

static bool store_memory_delete(struct store *store, const char *key, struct err *err)
{
    (void)err;
    struct store_memory *memory = (struct store_memory *)store;
    mutex_lock(&memory->mutex);
    store_memory_remove(store_memory_find(memory, key));
    mutex_unlock(&memory->mutex);
    return true;
}

static void store_memory_close(struct store *store)
{
    struct store_memory *memory = (struct store_memory *)store;
    while (memory->objects != NULL)
        store_memory_remove(&memory->objects);
    mutex_clear(&memory->mutex);
    mem_free(memory);
}

static const struct store_ops store_memory_ops = {
    .name = "memory",
    .put_begin = store_memory_put_begin,
    .open_object = store_memory_open_object,
    .delete_object = store_memory_delete,
    .close = store_memory_close,
};

struct store *store_memory_new(void)
{
    struct store_memory *memory = mem_alloc(sizeof *memory);
    memory->base.ops = &store_memory_ops;
    mutex_init(&memory->mutex);
    return &memory->base;
}

struct store_fault {
    struct store base;
    struct store *inner;
    uint64_t calls_left; // 0: no more faults
    enum err_kind kind;
};

static bool store_fault_count(struct store_fault *fault, const char *name, struct err *err)
{
    if (fault->calls_left == 0)
        return true;
    fault->calls_left--;
    return fault->calls_left > 0 || err_set(err, fault->kind, "fault in %s", name);
}

struct store_fault_sink {
    struct sink base;
    struct store_fault *fault;
};

static bool store_fault_write(struct sink *sink, struct slice bytes, struct err *err)
{
    TRY(store_fault_count(((struct store_fault_sink *)sink)->fault, "write", err));
    return sink_write(sink->next, bytes, err);
}

static bool store_fault_finish(struct sink *sink, struct err *err)
{
    return store_fault_count(((struct store_fault_sink *)sink)->fault, "finish", err);
}

static void store_fault_free_sink(struct sink *sink)
{
    mem_free(sink);
}

static const struct sink_ops store_fault_sink_ops = {
    .name = "store fault",
    .write = store_fault_write,
    .finish = store_fault_finish,
    .free = store_fault_free_sink,
};

// A put counts as one call; its sink's writes and finish count on from there, and further puts.
static bool store_fault_put_begin(struct store *store, const char *key, struct sink **ret_sink,
                                  struct err *err)
{
    struct store_fault *fault = (struct store_fault *)store;
    struct sink *inner = NULL;
    TRY(store_fault_count(fault, "put_begin", err));
    TRY(store_put_begin(fault->inner, key, &inner, err));
    struct store_fault_sink *sink = mem_alloc(sizeof *sink);
    sink_init(&sink->base, &store_fault_sink_ops, inner);
    sink->fault = fault;
    *ret_sink = &sink->base;
    return true;
}

static bool store_fault_open_object(struct store *store, const char *key, int *ret_fd,
                                    uint64_t *ret_size_bytes, struct err *err)
{
    return store_open_object(((struct store_fault *)store)->inner, key, ret_fd, ret_size_bytes,
                             err);
}

static bool store_fault_delete(struct store *store, const char *key, struct err *err)
{
    return store_delete(((struct store_fault *)store)->inner, key, err);
}

static void store_fault_close(struct store *store)
{
    struct store_fault *fault = (struct store_fault *)store;
    store_close(&fault->inner);
    mem_free(fault);
}

static const struct store_ops store_fault_ops = {
    .name = "fault",
    .put_begin = store_fault_put_begin,
    .open_object = store_fault_open_object,
    .delete_object = store_fault_delete,
    .close = store_fault_close,
};

struct store *store_fault_new(struct store *inner, uint64_t failing_call, enum err_kind kind)
{
    struct store_fault *fault = mem_alloc(sizeof *fault);
    *fault = (struct store_fault){{&store_fault_ops}, inner, failing_call, kind};
    return &fault->base;
}
