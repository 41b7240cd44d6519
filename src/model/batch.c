// SPDX-License-Identifier: Apache-2.0
#include "model/batch.h"

#include "base/check.h"
#include "base/mem.h"

#define BATCH_CHUNK_BYTES ((size_t)64 * 1024)

struct batch_text batch_text_of(struct slice data)
{
    ASSERT(data.size_bytes <= UINT32_MAX);
    struct batch_text text = {.size_bytes = (uint32_t)data.size_bytes};
    const size_t head = data.size_bytes < sizeof text.head ? data.size_bytes : sizeof text.head;
    if (head > 0)
        memcpy(text.head, data.data, head);
    if (data.size_bytes > BATCH_TEXT_INLINE_BYTES)
        text.rest.data = data.data;
    else if (data.size_bytes > head)
        memcpy(text.rest.tail, slice_chars(data) + head, data.size_bytes - head);
    return text;
}

// Long texts. Chunks never move, so that values can point into them, and are used again after a
// reset.
struct batch_chunk {
    struct batch_chunk *next;
    size_t capacity_bytes;
    size_t used_bytes;
    char data[];
};

struct batch_builder {
    size_t row_capacity;
    size_t row_count;
    size_t column_count;
    struct batch_column *columns; // what readers see
    uint64_t **validities;
    void **values;
    struct batch_chunk *chunks;
    struct batch_chunk *current; // the chunks before it are full
    struct batch batch;
};

static size_t batch_item_size(enum field_type type)
{
    switch (type) {
    case FIELD_INT64:
    case FIELD_TIME:
        return sizeof(int64_t);
    case FIELD_DOUBLE:
        return sizeof(double);
    case FIELD_BOOL:
        return sizeof(uint8_t);
    case FIELD_TEXT:
    case FIELD_JSON:
        return sizeof(struct batch_text);
    }
    ASSERT(false);
    return 0;
}

static size_t batch_word_count(size_t row_count)
{
    return (row_count + 63) / 64;
}

struct batch_builder *batch_builder_new(const struct column *columns, size_t column_count,
                                        size_t row_capacity)
{
    ASSERT(row_capacity > 0);
    struct batch_builder *builder = mem_alloc(sizeof *builder);
    builder->row_capacity = row_capacity;
    builder->column_count = column_count;
    builder->columns = mem_alloc_array(column_count, sizeof *builder->columns);
    builder->validities = mem_alloc_array(column_count, sizeof *builder->validities);
    builder->values = mem_alloc_array(column_count, sizeof *builder->values);
    for (size_t i = 0; i < column_count; i++) {
        builder->columns[i].type = columns[i].type;
        builder->validities[i] = mem_alloc_array(batch_word_count(row_capacity), sizeof(uint64_t));
        builder->values[i] = mem_alloc_array(row_capacity, batch_item_size(columns[i].type));
        builder->columns[i].values = builder->values[i];
    }
    return builder;
}

void batch_builder_free(struct batch_builder **builder)
{
    struct batch_builder *gone = *builder;
    if (gone == NULL)
        return;
    for (size_t i = 0; i < gone->column_count; i++) {
        mem_free(gone->validities[i]);
        mem_free(gone->values[i]);
    }
    while (gone->chunks != NULL) {
        struct batch_chunk *next = gone->chunks->next;
        mem_free(gone->chunks);
        gone->chunks = next;
    }
    mem_free(gone->values);
    mem_free(gone->validities);
    mem_free(gone->columns);
    mem_free(gone);
    *builder = NULL;
}

void batch_builder_reset(struct batch_builder *builder)
{
    // One row more: values may have been set for a row that never ended.
    const size_t rows = builder->row_count < builder->row_capacity ? builder->row_count + 1
                                                                   : builder->row_capacity;
    for (size_t i = 0; i < builder->column_count; i++) {
        memset(builder->validities[i], 0, batch_word_count(rows) * sizeof(uint64_t));
        // Nulls are zero too, so that what readers copy blindly does not depend on earlier batches.
        memset(builder->values[i], 0, rows * batch_item_size(builder->columns[i].type));
    }
    for (struct batch_chunk *chunk = builder->chunks; chunk != NULL; chunk = chunk->next)
        chunk->used_bytes = 0;
    builder->current = builder->chunks;
    builder->row_count = 0;
}

// Checks the call and marks the value of the row in progress as present.
static void *batch_builder_take(struct batch_builder *builder, size_t column)
{
    ASSERT(column < builder->column_count);
    ASSERT(builder->row_count < builder->row_capacity);
    const size_t row = builder->row_count;
    const uint64_t bit = UINT64_C(1) << (row % 64);
    uint64_t *word = &builder->validities[column][row / 64];
    ASSERT((*word & bit) == 0); // one value per row
    *word |= bit;
    return builder->values[column];
}

void batch_builder_set_int64(struct batch_builder *builder, size_t column, int64_t value)
{
    int64_t *values = batch_builder_take(builder, column);
    ASSERT(builder->columns[column].type == FIELD_INT64 ||
           builder->columns[column].type == FIELD_TIME);
    values[builder->row_count] = value;
}

void batch_builder_set_double(struct batch_builder *builder, size_t column, double value)
{
    double *values = batch_builder_take(builder, column);
    ASSERT(builder->columns[column].type == FIELD_DOUBLE);
    values[builder->row_count] = value;
}

void batch_builder_set_bool(struct batch_builder *builder, size_t column, bool value)
{
    uint8_t *values = batch_builder_take(builder, column);
    ASSERT(builder->columns[column].type == FIELD_BOOL);
    values[builder->row_count] = value;
}

static struct batch_chunk *batch_chunk_new(size_t size_bytes)
{
    const size_t capacity = size_bytes > BATCH_CHUNK_BYTES ? size_bytes : BATCH_CHUNK_BYTES;
    struct batch_chunk *chunk = mem_alloc(sizeof *chunk + capacity);
    chunk->capacity_bytes = capacity;
    return chunk;
}

// A chunk with room: the current one, a later one of an earlier batch, or a new one behind it.
static struct batch_chunk *batch_builder_room(struct batch_builder *builder, size_t size_bytes)
{
    struct batch_chunk *chunk = builder->current;
    while (chunk != NULL && chunk->capacity_bytes - chunk->used_bytes < size_bytes) {
        builder->current = chunk;
        chunk = chunk->next;
    }
    if (chunk == NULL) {
        chunk = batch_chunk_new(size_bytes);
        if (builder->current == NULL)
            builder->chunks = chunk;
        else
            builder->current->next = chunk;
    }
    builder->current = chunk;
    return chunk;
}

void batch_builder_set_text(struct batch_builder *builder, size_t column, struct slice value)
{
    struct batch_text *values = batch_builder_take(builder, column);
    ASSERT(builder->columns[column].type == FIELD_TEXT ||
           builder->columns[column].type == FIELD_JSON);
    struct slice kept = value;
    if (value.size_bytes > BATCH_TEXT_INLINE_BYTES) {
        struct batch_chunk *chunk = batch_builder_room(builder, value.size_bytes);
        char *copy = chunk->data + chunk->used_bytes;
        memcpy(copy, value.data, value.size_bytes);
        chunk->used_bytes += value.size_bytes;
        kept = slice_of(copy, value.size_bytes);
    }
    values[builder->row_count] = batch_text_of(kept);
}

void batch_builder_end_row(struct batch_builder *builder)
{
    ASSERT(builder->row_count < builder->row_capacity);
    builder->row_count++;
}

bool batch_builder_is_full(const struct batch_builder *builder)
{
    return builder->row_count == builder->row_capacity;
}

size_t batch_builder_row_count(const struct batch_builder *builder)
{
    return builder->row_count;
}

static bool batch_has_nulls(const uint64_t *validity, size_t row_count)
{
    for (size_t word = 0; word < row_count / 64; word++) {
        if (validity[word] != UINT64_MAX)
            return true;
    }
    const uint64_t rest = (UINT64_C(1) << (row_count % 64)) - 1;
    return rest != 0 && (validity[row_count / 64] & rest) != rest;
}

const struct batch *batch_builder_batch(struct batch_builder *builder)
{
    for (size_t i = 0; i < builder->column_count; i++) {
        const uint64_t *validity = builder->validities[i];
        const bool has_nulls = batch_has_nulls(validity, builder->row_count);
        builder->columns[i].validity = has_nulls ? validity : NULL;
    }
    builder->batch = (struct batch){.row_count = builder->row_count,
                                    .column_count = builder->column_count,
                                    .columns = builder->columns};
    return &builder->batch;
}
