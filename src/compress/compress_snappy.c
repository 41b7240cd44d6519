// SPDX-License-Identifier: Apache-2.0
// Snappy framing format: a stream identifier, then chunks of exactly 64 KiB of input (the last may
// be shorter), each with the masked CRC32C of its input; stored as they are where they do not
// shrink.
#include <string.h>

#include "base/check.h"
#include "base/codec.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "compress/compress_internal.h"

#define SNAPPY_CHUNK_BYTES  ((size_t)65536)
#define SNAPPY_HEADER_BYTES ((size_t)8) // type, three bytes of length, CRC

enum compress_snappy_chunk_type {
    SNAPPY_COMPRESSED = 0x00,
    SNAPPY_STORED = 0x01,
};

struct compress_snappy {
    struct sink base;
    uint8_t input[SNAPPY_CHUNK_BYTES];
    size_t input_bytes;
    uint8_t *output;
    size_t output_capacity;
    bool has_identifier;
};

static bool compress_snappy_begin(struct compress_snappy *snappy, struct err *err)
{
    static const uint8_t identifier[] = {0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};
    if (snappy->has_identifier)
        return true;
    snappy->has_identifier = true;
    return sink_write(snappy->base.next, slice_of(identifier, sizeof identifier), err);
}

static bool compress_snappy_chunk(struct compress_snappy *snappy, struct err *err)
{
    TRY(compress_snappy_begin(snappy, err));
    const struct slice input = slice_of(snappy->input, snappy->input_bytes);
    size_t size = codec_snappy_compress(input, snappy->output + SNAPPY_HEADER_BYTES,
                                        snappy->output_capacity - SNAPPY_HEADER_BYTES);
    uint8_t type = SNAPPY_COMPRESSED;
    if (size >= input.size_bytes) {
        type = SNAPPY_STORED;
        size = input.size_bytes;
        memcpy(snappy->output + SNAPPY_HEADER_BYTES, input.data, size);
    }
    const uint32_t crc = crc32c(input);
    const uint32_t masked = ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8);
    const size_t length = size + 4;
    snappy->output[0] = type;
    for (unsigned i = 0; i < 3; i++)
        snappy->output[1 + i] = (uint8_t)(length >> (8 * i));
    for (unsigned i = 0; i < 4; i++)
        snappy->output[4 + i] = (uint8_t)(masked >> (8 * i));
    snappy->input_bytes = 0;
    return sink_write(snappy->base.next, slice_of(snappy->output, SNAPPY_HEADER_BYTES + size), err);
}

static bool compress_snappy_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct compress_snappy *snappy = (struct compress_snappy *)sink;
    while (bytes.size_bytes > 0) {
        const size_t room = SNAPPY_CHUNK_BYTES - snappy->input_bytes;
        const size_t part = bytes.size_bytes < room ? bytes.size_bytes : room;
        memcpy(snappy->input + snappy->input_bytes, bytes.data, part);
        snappy->input_bytes += part;
        bytes = slice_from(bytes, part);
        if (snappy->input_bytes == SNAPPY_CHUNK_BYTES)
            TRY(compress_snappy_chunk(snappy, err));
    }
    return true;
}

static bool compress_snappy_finish(struct sink *sink, struct err *err)
{
    struct compress_snappy *snappy = (struct compress_snappy *)sink;
    if (snappy->input_bytes > 0)
        return compress_snappy_chunk(snappy, err);
    return compress_snappy_begin(snappy, err);
}

static void compress_snappy_free(struct sink *sink)
{
    struct compress_snappy *snappy = (struct compress_snappy *)sink;
    mem_free(snappy->output);
    mem_free(snappy);
}

static const struct sink_ops compress_snappy_ops = {
    .name = "snappy",
    .write = compress_snappy_write,
    .finish = compress_snappy_finish,
    .free = compress_snappy_free,
};

struct sink *compress_snappy_new(struct sink *next)
{
    struct compress_snappy *snappy = mem_alloc(sizeof *snappy);
    sink_init(&snappy->base, &compress_snappy_ops, next);
    snappy->output_capacity = SNAPPY_HEADER_BYTES + codec_snappy_bound(SNAPPY_CHUNK_BYTES);
    snappy->output = mem_alloc(snappy->output_capacity);
    return &snappy->base;
}
