// SPDX-License-Identifier: Apache-2.0
// Test double: the rows of one batch, a few at a time.
#include "base/check.h"
#include "base/mem.h"
#include "source/source_internal.h"

enum source_memory_column { // of the given rows; what follows is handed out
    SOURCE_MEMORY_TIME,
    SOURCE_MEMORY_SEQ,
    SOURCE_MEMORY_FIRST,
};

struct source_memory {
    struct source base;
    const struct batch *rows;
    struct batch batch; // rows without time and seq
    size_t step;
    size_t position;
};

static struct source_key source_memory_key(const struct source_memory *memory, size_t row)
{
    return (struct source_key){
        .time_ms = batch_int64(&memory->rows->columns[SOURCE_MEMORY_TIME], row),
        .seq = batch_int64(&memory->rows->columns[SOURCE_MEMORY_SEQ], row),
    };
}

static bool source_memory_next(struct source *source, struct source_rows *ret_rows, struct err *err)
{
    struct source_memory *memory = (struct source_memory *)source;
    size_t count = memory->rows->row_count - memory->position;
    if (count > memory->step)
        count = memory->step;
    for (size_t row = memory->position; row < memory->position + count; row++) {
        if (row > 0 && !source_key_is_before(source_memory_key(memory, row - 1),
                                             source_memory_key(memory, row)))
            return err_set(err, ERR_CORRUPT, "rows out of order in memory");
    }
    *ret_rows = (struct source_rows){&memory->batch, memory->position, count};
    memory->position += count;
    return true;
}

static void source_memory_close(struct source *source)
{
    mem_free(source);
}

static const struct source_ops source_memory_ops = {
    .name = "memory",
    .next = source_memory_next,
    .close = source_memory_close,
};

bool source_memory_open(const struct batch *rows, size_t step, struct source **ret_source,
                        struct err *err)
{
    (void)err; // nothing to fail; the signature is that of every source
    ASSERT(step > 0);
    ASSERT(rows->column_count >= SOURCE_MEMORY_FIRST);
    struct source_memory *memory = mem_alloc(sizeof *memory);
    memory->base.ops = &source_memory_ops;
    memory->rows = rows;
    memory->batch = (struct batch){
        .row_count = rows->row_count,
        .column_count = rows->column_count - SOURCE_MEMORY_FIRST,
        .columns = rows->columns + SOURCE_MEMORY_FIRST,
    };
    memory->step = step;
    *ret_source = &memory->base;
    return true;
}
