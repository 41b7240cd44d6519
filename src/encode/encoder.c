// SPDX-License-Identifier: Apache-2.0
// The wrappers around every encoder: they know the implementations, keep the order of calls, and
// check what the implementations promise in encoder_internal.h.
#include "encode/encoder.h"

#include "base/check.h"
#include "base/mem.h"
#include "encode/encoder_internal.h"

static const struct encoder_ops *encoder_ops_of(enum encoder_format format)
{
    switch (format) {
    case ENCODER_CSV:
        return &encoder_csv_ops;
    case ENCODER_JSON:
        return &encoder_json_ops;
    case ENCODER_PARQUET:
        return &encoder_parquet_ops;
    }
    check_failed("a format without an encoder", __FILE__, __LINE__);
    return NULL;
}

static void encoder_check_ops(const struct encoder_ops *ops)
{
    ASSERT(ops->name != NULL);
    ASSERT(ops->create != NULL);
    ASSERT(ops->begin != NULL);
    ASSERT(ops->write != NULL);
    ASSERT(ops->finish != NULL);
    ASSERT(ops->free != NULL);
}

static void encoder_check_spec(const struct encoder_spec *spec)
{
    ASSERT(spec->column_count > 0);
    ASSERT(spec->columns != NULL);
    for (size_t i = 0; i < spec->column_count; i++)
        ASSERT(spec->columns[i].name != NULL);
}

bool encoder_open(const struct encoder_spec *spec, struct sink *next, struct encoder **ret_encoder,
                  struct err *err)
{
    ASSERT(next != NULL);
    encoder_check_spec(spec);
    const struct encoder_ops *ops = encoder_ops_of(spec->format);
    encoder_check_ops(ops);
    struct encoder *encoder CLEANUP(encoder_free) = ops->create(spec);
    ASSERT(encoder != NULL);
    *encoder = (struct encoder){.ops = ops, .spec_copy = *spec, .next = next};
    encoder->spec = &encoder->spec_copy;
    if (!ops->begin(encoder, err)) {
        ASSERT(err == NULL || err->kind != ERR_NONE);
        return false;
    }
    *ret_encoder = encoder;
    encoder = NULL;
    return true;
}

static void encoder_check_batch(const struct encoder *encoder, const struct batch *batch,
                                size_t first_row, size_t row_count)
{
    ASSERT(batch->column_count == encoder->spec->column_count);
    for (size_t i = 0; i < batch->column_count; i++)
        ASSERT(batch->columns[i].type == encoder->spec->columns[i].type);
    ASSERT(row_count > 0);
    ASSERT(first_row < batch->row_count);
    ASSERT(row_count <= batch->row_count - first_row);
}

bool encoder_write(struct encoder *encoder, const struct batch *batch, size_t first_row,
                   size_t row_count, uint64_t limit_bytes, size_t *ret_row_count, struct err *err)
{
    ASSERT(!encoder->is_finished);
    ASSERT(!encoder->has_failed);
    encoder_check_batch(encoder, batch, first_row, row_count);
    uint64_t byte_count = encoder->byte_count;
    size_t written_count = 0;
    if (!encoder->ops->write(encoder, batch, first_row, row_count, limit_bytes, &written_count,
                             err)) {
        ASSERT(err == NULL || err->kind != ERR_NONE);
        encoder->has_failed = true;
        return false;
    }
    ASSERT(written_count > 0);
    ASSERT(written_count <= row_count);
    ASSERT(encoder->byte_count >= byte_count);
    ASSERT(written_count == row_count || encoder->byte_count >= limit_bytes);
    encoder->row_count += written_count;
    *ret_row_count = written_count;
    return true;
}

uint64_t encoder_byte_count(const struct encoder *encoder)
{
    return encoder->byte_count;
}

uint64_t encoder_row_count(const struct encoder *encoder)
{
    return encoder->row_count;
}

bool encoder_finish(struct encoder *encoder, struct err *err)
{
    ASSERT(!encoder->is_finished);
    ASSERT(!encoder->has_failed);
    if (!encoder->ops->finish(encoder, err) || !sink_finish(encoder->next, err)) {
        ASSERT(err == NULL || err->kind != ERR_NONE);
        encoder->has_failed = true;
        return false;
    }
    encoder->is_finished = true;
    return true;
}

void encoder_free(struct encoder **encoder)
{
    struct encoder *one = *encoder;
    *encoder = NULL;
    if (one == NULL)
        return;
    sink_free(&one->next);
    one->ops->free(one);
}

const char *encoder_id(enum encoder_format format)
{
    return encoder_ops_of(format)->name;
}
