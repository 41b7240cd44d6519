// SPDX-License-Identifier: Apache-2.0
// One zstd frame, level 1, with a content checksum.
#include "base/check.h"
#include "base/codec.h"
#include "base/mem.h"
#include "compress/compress_internal.h"

struct compress_zstd {
    struct sink base;
    struct codec_zstd_stream *stream;
    uint8_t *output;
    size_t output_capacity;
};

static bool compress_zstd_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct compress_zstd *zstd = (struct compress_zstd *)sink;
    while (bytes.size_bytes > 0) {
        const size_t size = codec_zstd_stream_update(zstd->stream, &bytes, zstd->output,
                                                     zstd->output_capacity);
        TRY(sink_write(sink->next, slice_of(zstd->output, size), err));
    }
    return true;
}

static bool compress_zstd_finish(struct sink *sink, struct err *err)
{
    struct compress_zstd *zstd = (struct compress_zstd *)sink;
    bool is_done = false;
    while (!is_done) {
        const size_t size = codec_zstd_stream_end(zstd->stream, zstd->output, zstd->output_capacity,
                                                  &is_done);
        TRY(sink_write(sink->next, slice_of(zstd->output, size), err));
    }
    return true;
}

static void compress_zstd_free(struct sink *sink)
{
    struct compress_zstd *zstd = (struct compress_zstd *)sink;
    codec_zstd_stream_free(&zstd->stream);
    mem_free(zstd->output);
    mem_free(zstd);
}

static const struct sink_ops compress_zstd_ops = {
    .name = "zstd",
    .write = compress_zstd_write,
    .finish = compress_zstd_finish,
    .free = compress_zstd_free,
};

struct sink *compress_zstd_new(struct sink *next)
{
    struct compress_zstd *zstd = mem_alloc(sizeof *zstd);
    sink_init(&zstd->base, &compress_zstd_ops, next);
    zstd->stream = codec_zstd_stream_new();
    zstd->output_capacity = codec_zstd_stream_capacity();
    zstd->output = mem_alloc(zstd->output_capacity);
    return &zstd->base;
}
