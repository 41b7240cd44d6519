// SPDX-License-Identifier: Apache-2.0
// Parquet:
//
//   PAR1
//   row group: for each column its chunk of pages (parquet_chunk.c)
//   ...
//   metadata (parquet_footer.c), its size, PAR1
//
// Columns are flat and nullable. A row group ends with the row at which it has
// PARQUET_GROUP_ROWS_MAX rows or PARQUET_GROUP_BYTES of values; rows are measured before they are
// taken, so that groups and files are cut at the same row whatever the batches are. Memory: the
// values of one row group, at most once as PLAIN bytes or as indices with a dictionary, and one
// page.
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "encode/encoder_internal.h"
#include "encode/parquet_footer.h"
#include "encode/parquet_format.h"

#define PARQUET_GROUP_BYTES ((uint64_t)64 * 1024 * 1024)
// Eight of them fit a page.
#define PARQUET_TEXT_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct encoder_parquet {
    struct encoder base;
    struct parquet_output output;
    struct parquet_footer footer;
    struct parquet_column *columns; // one per column of the spec
    struct parquet_chunk *chunks;
    size_t column_count;
    size_t group_rows;
    uint64_t group_bytes;
    uint64_t row_bytes[PARQUET_PIECE_ROWS_MAX]; // scratch of encoder_parquet_measure
};

static struct encoder *encoder_parquet_create(const struct encoder_spec *spec)
{
    struct encoder_parquet *parquet = mem_alloc(sizeof *parquet);
    parquet->column_count = spec->column_count;
    parquet->columns = mem_alloc_array(spec->column_count, sizeof parquet->columns[0]);
    parquet->chunks = mem_alloc_array(spec->column_count, sizeof parquet->chunks[0]);
    for (size_t i = 0; i < spec->column_count; i++)
        parquet_column_init(&parquet->columns[i], spec->columns[i].type);
    parquet_output_init(&parquet->output, spec->codec);
    parquet_footer_init(&parquet->footer, spec->codec);
    return &parquet->base;
}

static bool encoder_parquet_begin(struct encoder *encoder, struct err *err)
{
    struct encoder_parquet *parquet = (struct encoder_parquet *)encoder;
    parquet->output.next = encoder->next;
    return parquet_output_write(&parquet->output, slice_of(PARQUET_MAGIC, PARQUET_MAGIC_BYTES),
                                err);
}

static void encoder_parquet_free(struct encoder *encoder)
{
    struct encoder_parquet *parquet = (struct encoder_parquet *)encoder;
    for (size_t i = 0; i < parquet->column_count; i++)
        parquet_column_clear(&parquet->columns[i]);
    parquet_output_clear(&parquet->output);
    parquet_footer_clear(&parquet->footer);
    mem_free(parquet->columns);
    mem_free(parquet->chunks);
    mem_free(parquet);
}

// --- How large rows are

static bool encoder_parquet_measure_texts(struct encoder_parquet *parquet,
                                          const struct batch_column *column, size_t first_row,
                                          size_t row_count, struct err *err)
{
    const struct batch_text *texts = column->values;
    for (size_t i = 0; i < row_count; i++) {
        if (!batch_is_valid(column, first_row + i))
            continue;
        const uint32_t size_bytes = texts[first_row + i].size_bytes;
        if (size_bytes > PARQUET_TEXT_BYTES_MAX)
            return err_set(err, ERR_LIMIT, "a value is larger than %zu bytes",
                           PARQUET_TEXT_BYTES_MAX);
        parquet->row_bytes[i] += sizeof size_bytes + size_bytes;
    }
    return true;
}

static void encoder_parquet_measure_fixed(struct encoder_parquet *parquet,
                                          const struct batch_column *column, size_t first_row,
                                          size_t row_count, size_t value_bytes)
{
    if (column->validity == NULL) {
        for (size_t i = 0; i < row_count; i++)
            parquet->row_bytes[i] += value_bytes;
        return;
    }
    for (size_t i = 0; i < row_count; i++)
        parquet->row_bytes[i] += batch_is_valid(column, first_row + i) ? value_bytes : 0;
}

// Fills row_bytes with the plain size of each row's values.
static bool encoder_parquet_measure(struct encoder_parquet *parquet, const struct batch *batch,
                                    size_t first_row, size_t row_count, struct err *err)
{
    memset(parquet->row_bytes, 0, row_count * sizeof parquet->row_bytes[0]);
    for (size_t i = 0; i < batch->column_count; i++) {
        const struct batch_column *column = &batch->columns[i];
        switch (column->type) {
        case FIELD_TEXT:
        case FIELD_JSON:
            TRY(encoder_parquet_measure_texts(parquet, column, first_row, row_count, err));
            break;
        case FIELD_INT64:
        case FIELD_DOUBLE:
        case FIELD_TIME:
            encoder_parquet_measure_fixed(parquet, column, first_row, row_count, sizeof(int64_t));
            break;
        case FIELD_BOOL:
            encoder_parquet_measure_fixed(parquet, column, first_row, row_count, 1);
            break;
        }
    }
    return true;
}

// How many of the measured rows go into this row group and this file, and their size.
static size_t encoder_parquet_cut(const struct encoder_parquet *parquet, size_t row_count,
                                  uint64_t limit_bytes, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    size_t count = 0;
    do {
        bytes += parquet->row_bytes[count];
        count++;
    } while (count < row_count && parquet->group_bytes + bytes < PARQUET_GROUP_BYTES &&
             parquet->base.byte_count + bytes < limit_bytes);
    *ret_bytes = bytes;
    return count;
}

// --- Row groups

static bool encoder_parquet_write_group(struct encoder_parquet *parquet, struct err *err)
{
    for (size_t i = 0; i < parquet->column_count; i++) {
        struct parquet_column *column = &parquet->columns[i];
        ASSERT(column->row_count == parquet->group_rows);
        parquet_column_settle(column);
        TRY(parquet_chunk_write(&parquet->output, column, &parquet->chunks[i], err));
    }
    parquet_footer_add_group(&parquet->footer, parquet->base.spec->columns, parquet->columns,
                             parquet->chunks, parquet->column_count);
    for (size_t i = 0; i < parquet->column_count; i++)
        parquet_column_reset(&parquet->columns[i]);
    parquet->group_rows = 0;
    parquet->group_bytes = 0;
    return true;
}

static bool encoder_parquet_write(struct encoder *encoder, const struct batch *batch,
                                  size_t first_row, size_t row_count, uint64_t limit_bytes,
                                  size_t *ret_row_count, struct err *err)
{
    struct encoder_parquet *parquet = (struct encoder_parquet *)encoder;
    size_t done = 0;
    do {
        const size_t room = PARQUET_GROUP_ROWS_MAX - parquet->group_rows;
        size_t piece = row_count - done < room ? row_count - done : room;
        piece = piece < PARQUET_PIECE_ROWS_MAX ? piece : PARQUET_PIECE_ROWS_MAX;
        uint64_t bytes;
        TRY(encoder_parquet_measure(parquet, batch, first_row + done, piece, err));
        piece = encoder_parquet_cut(parquet, piece, limit_bytes, &bytes);
        for (size_t i = 0; i < parquet->column_count; i++)
            parquet_column_append(&parquet->columns[i], &batch->columns[i], first_row + done,
                                  piece);
        done += piece;
        encoder->byte_count += bytes;
        parquet->group_rows += piece;
        parquet->group_bytes += bytes;
        if (parquet->group_rows == PARQUET_GROUP_ROWS_MAX ||
            parquet->group_bytes >= PARQUET_GROUP_BYTES)
            TRY(encoder_parquet_write_group(parquet, err));
    } while (done < row_count && encoder->byte_count < limit_bytes);
    *ret_row_count = done;
    return true;
}

static bool encoder_parquet_finish(struct encoder *encoder, struct err *err)
{
    struct encoder_parquet *parquet = (struct encoder_parquet *)encoder;
    struct buf tail CLEANUP(buf_clear);
    buf_init(&tail, INT32_MAX);
    if (parquet->group_rows > 0)
        TRY(encoder_parquet_write_group(parquet, err));
    TRY(parquet_footer_build(&parquet->footer, encoder->spec->columns, encoder->spec->column_count,
                             &tail, err));
    return parquet_output_write(&parquet->output, buf_slice(&tail), err);
}

const struct encoder_ops encoder_parquet_ops = {
    .name = "parquet-1",
    .create = encoder_parquet_create,
    .begin = encoder_parquet_begin,
    .write = encoder_parquet_write,
    .finish = encoder_parquet_finish,
    .free = encoder_parquet_free,
};
