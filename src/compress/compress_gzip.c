// SPDX-License-Identifier: Apache-2.0
// gzip on several threads, with the same bytes on any number of them. Input is cut into blocks of
// exactly 1 MiB; each is deflated on its own and full-flushed, and the pieces are written in order
// between one header and one trailer, whose CRC is combined from those of the blocks.
//
// Blocks live in a ring. The writing thread fills them and writes the done ones to the next sink,
// in order; helpers take filled ones. When the ring is full the writer compresses too instead of
// waiting, so neither side idles whichever is slower:
//
//     EMPTY --writer fills--> FILLED --helper or writer takes--> TAKEN --> DONE --writer emits-->
//     EMPTY
#include <string.h>

#include "base/check.h"
#include "base/gzip.h"
#include "base/mem.h"
#include "base/thread.h"
#include "compress/compress_internal.h"

#define COMPRESS_GZIP_HELPERS_MAX       15
#define COMPRESS_GZIP_BLOCKS_PER_HELPER 6

enum compress_gzip_state {
    BLOCK_EMPTY,
    BLOCK_FILLED,
    BLOCK_TAKEN,
    BLOCK_DONE,
};

struct compress_gzip_block {
    enum compress_gzip_state state; // guarded by the mutex
    uint8_t *input;
    size_t input_bytes;
    uint8_t *output;
    size_t output_bytes;
    uint32_t crc;
};

struct compress_gzip_helper {
    struct thread thread;
    struct compress_gzip *gzip;
};

struct compress_gzip {
    struct sink base;
    struct mutex mutex; // guards the states of blocks and must_stop
    struct condition changed;
    bool must_stop;
    struct compress_gzip_block *blocks;
    size_t block_count;
    size_t fill_index;              // block that the writer fills
    size_t emit_index;              // oldest block that is not written yet
    struct gzip_deflater *deflater; // of the writing thread
    struct compress_gzip_helper helpers[COMPRESS_GZIP_HELPERS_MAX];
    unsigned helper_count;
    uint32_t crc;
    uint64_t input_bytes;
    bool has_header;
};

static void compress_gzip_deflate(struct gzip_deflater *deflater, struct compress_gzip_block *block)
{
    block->output_bytes = gzip_deflate_block(deflater, slice_of(block->input, block->input_bytes),
                                             block->output, &block->crc);
}

// The oldest filled block, marked as taken; NULL when there is none. With the mutex held.
static struct compress_gzip_block *compress_gzip_take(struct compress_gzip *gzip)
{
    for (size_t i = 0; i < gzip->block_count; i++) {
        struct compress_gzip_block *block =
            &gzip->blocks[(gzip->emit_index + i) % gzip->block_count];
        if (block->state == BLOCK_FILLED) {
            block->state = BLOCK_TAKEN;
            return block;
        }
    }
    return NULL;
}

static void compress_gzip_help(void *context)
{
    struct compress_gzip *gzip = ((struct compress_gzip_helper *)context)->gzip;
    struct gzip_deflater *deflater CLEANUP(gzip_deflater_free) = gzip_deflater_new();
    mutex_lock(&gzip->mutex);
    while (!gzip->must_stop) {
        struct compress_gzip_block *block = compress_gzip_take(gzip);
        if (block == NULL) {
            condition_wait(&gzip->changed, &gzip->mutex);
            continue;
        }
        mutex_unlock(&gzip->mutex);
        compress_gzip_deflate(deflater, block);
        mutex_lock(&gzip->mutex);
        block->state = BLOCK_DONE;
        condition_broadcast(&gzip->changed);
    }
    mutex_unlock(&gzip->mutex);
}

static bool compress_gzip_emit(struct compress_gzip *gzip, const struct compress_gzip_block *block,
                               struct err *err)
{
    if (!gzip->has_header) {
        uint8_t header[GZIP_HEADER_BYTES];
        gzip_write_header(header);
        TRY(sink_write(gzip->base.next, slice_of(header, sizeof header), err));
        gzip->has_header = true;
    }
    if (block == NULL)
        return true;
    gzip->crc = gzip_crc_combine(gzip->crc, block->crc, block->input_bytes);
    gzip->input_bytes += block->input_bytes;
    return sink_write(gzip->base.next, slice_of(block->output, block->output_bytes), err);
}

// Writes done blocks in order until the block at `until` is empty, helping with what is filled.
static bool compress_gzip_drain(struct compress_gzip *gzip, size_t until, struct err *err)
{
    mutex_lock(&gzip->mutex);
    bool is_done = true;
    while (is_done && gzip->blocks[until].state != BLOCK_EMPTY) {
        struct compress_gzip_block *oldest = &gzip->blocks[gzip->emit_index];
        if (oldest->state == BLOCK_DONE) {
            mutex_unlock(&gzip->mutex);
            is_done = compress_gzip_emit(gzip, oldest, err);
            mutex_lock(&gzip->mutex);
            oldest->state = BLOCK_EMPTY;
            oldest->input_bytes = 0;
            gzip->emit_index = (gzip->emit_index + 1) % gzip->block_count;
            continue;
        }
        struct compress_gzip_block *block = compress_gzip_take(gzip);
        if (block == NULL) {
            condition_wait(&gzip->changed, &gzip->mutex);
            continue;
        }
        mutex_unlock(&gzip->mutex);
        compress_gzip_deflate(gzip->deflater, block);
        mutex_lock(&gzip->mutex);
        block->state = BLOCK_DONE;
    }
    mutex_unlock(&gzip->mutex);
    return is_done;
}

// The block being filled is complete: hand it out and make room for the next one.
static bool compress_gzip_turn(struct compress_gzip *gzip, struct err *err)
{
    mutex_lock(&gzip->mutex);
    gzip->blocks[gzip->fill_index].state = BLOCK_FILLED;
    condition_broadcast(&gzip->changed);
    mutex_unlock(&gzip->mutex);
    gzip->fill_index = (gzip->fill_index + 1) % gzip->block_count;
    return compress_gzip_drain(gzip, gzip->fill_index, err);
}

static bool compress_gzip_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct compress_gzip *gzip = (struct compress_gzip *)sink;
    while (bytes.size_bytes > 0) {
        struct compress_gzip_block *block = &gzip->blocks[gzip->fill_index];
        const size_t room = GZIP_BLOCK_INPUT_BYTES - block->input_bytes;
        const size_t part = bytes.size_bytes < room ? bytes.size_bytes : room;
        memcpy(block->input + block->input_bytes, bytes.data, part);
        block->input_bytes += part;
        bytes = slice_from(bytes, part);
        if (block->input_bytes == GZIP_BLOCK_INPUT_BYTES)
            TRY(compress_gzip_turn(gzip, err));
    }
    return true;
}

static bool compress_gzip_finish(struct sink *sink, struct err *err)
{
    struct compress_gzip *gzip = (struct compress_gzip *)sink;
    if (gzip->blocks[gzip->fill_index].input_bytes > 0)
        TRY(compress_gzip_turn(gzip, err));
    for (size_t i = 0; i < gzip->block_count; i++)
        TRY(compress_gzip_drain(gzip, i, err));
    TRY(compress_gzip_emit(gzip, NULL, err));
    uint8_t trailer[GZIP_TRAILER_BYTES];
    gzip_write_trailer(gzip->crc, gzip->input_bytes, trailer);
    return sink_write(gzip->base.next, slice_of(trailer, sizeof trailer), err);
}

static void compress_gzip_free(struct sink *sink)
{
    struct compress_gzip *gzip = (struct compress_gzip *)sink;
    mutex_lock(&gzip->mutex);
    gzip->must_stop = true;
    condition_broadcast(&gzip->changed);
    mutex_unlock(&gzip->mutex);
    for (unsigned i = 0; i < gzip->helper_count; i++)
        thread_join(&gzip->helpers[i].thread);
    for (size_t i = 0; i < gzip->block_count; i++) {
        mem_free(gzip->blocks[i].input);
        mem_free(gzip->blocks[i].output);
    }
    mem_free(gzip->blocks);
    gzip_deflater_free(&gzip->deflater);
    condition_clear(&gzip->changed);
    mutex_clear(&gzip->mutex);
    mem_free(gzip);
}

static const struct sink_ops compress_gzip_ops = {
    .name = "gzip",
    .write = compress_gzip_write,
    .finish = compress_gzip_finish,
    .free = compress_gzip_free,
};

struct sink *compress_gzip_new(unsigned helper_count, struct sink *next)
{
    ASSERT(helper_count <= COMPRESS_GZIP_HELPERS_MAX);
    struct compress_gzip *gzip = mem_alloc(sizeof *gzip);
    sink_init(&gzip->base, &compress_gzip_ops, next);
    mutex_init(&gzip->mutex);
    condition_init(&gzip->changed);
    gzip->deflater = gzip_deflater_new();
    gzip->block_count = 1 + (size_t)helper_count * COMPRESS_GZIP_BLOCKS_PER_HELPER;
    gzip->blocks = mem_alloc_array(gzip->block_count, sizeof *gzip->blocks);
    for (size_t i = 0; i < gzip->block_count; i++) {
        gzip->blocks[i].input = mem_alloc(GZIP_BLOCK_INPUT_BYTES);
        gzip->blocks[i].output = mem_alloc(GZIP_BLOCK_OUTPUT_BYTES);
    }
    gzip->helper_count = helper_count;
    for (unsigned i = 0; i < helper_count; i++) {
        gzip->helpers[i].gzip = gzip;
        thread_start(&gzip->helpers[i].thread, compress_gzip_help, &gzip->helpers[i]);
    }
    return &gzip->base;
}
