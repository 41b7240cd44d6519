// SPDX-License-Identifier: Apache-2.0
#include "base/codec.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

#include "base/check.h"
#include "base/mem.h"

#define CODEC_ZSTD_LEVEL 1
#define CODEC_GZIP_LEVEL 6

// --- snappy

size_t codec_snappy_bound(size_t input_bytes)
{
    return snappy_max_compressed_length(input_bytes);
}

size_t codec_snappy_compress(struct slice input, uint8_t *ret_bytes, size_t capacity_bytes)
{
    ASSERT(input.size_bytes <= UINT32_MAX);
    ASSERT(capacity_bytes >= codec_snappy_bound(input.size_bytes));
    size_t size_bytes = capacity_bytes;
    const char *data = input.size_bytes == 0 ? "" : slice_chars(input);
    const snappy_status status = snappy_compress(data, input.size_bytes, (char *)ret_bytes,
                                                 &size_bytes);
    ASSERT(status == SNAPPY_OK);
    return size_bytes;
}

// --- zstd

struct codec_zstd {
    ZSTD_CCtx *context;
};

// The context is only ever given parameters that exist and room that suffices, so an error is a
// mistake of ours, or memory that ran out.
static size_t codec_zstd_checked(size_t result)
{
    ASSERT(!ZSTD_isError(result));
    return result;
}

static ZSTD_CCtx *codec_zstd_context(int has_checksum)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ASSERT(context != NULL);
    (void)codec_zstd_checked(
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, CODEC_ZSTD_LEVEL));
    (void)codec_zstd_checked(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, has_checksum));
    return context;
}

struct codec_zstd *codec_zstd_new(void)
{
    struct codec_zstd *zstd = mem_alloc(sizeof *zstd);
    zstd->context = codec_zstd_context(0);
    return zstd;
}

void codec_zstd_free(struct codec_zstd **zstd)
{
    if (*zstd == NULL)
        return;
    (void)ZSTD_freeCCtx((*zstd)->context); // cannot fail for a context of the default allocator
    mem_free(*zstd);
    *zstd = NULL;
}

size_t codec_zstd_bound(size_t input_bytes)
{
    return ZSTD_compressBound(input_bytes);
}

size_t codec_zstd_compress(struct codec_zstd *zstd, struct slice input, uint8_t *ret_bytes,
                           size_t capacity_bytes)
{
    ASSERT(capacity_bytes >= codec_zstd_bound(input.size_bytes));
    return codec_zstd_checked(
        ZSTD_compress2(zstd->context, ret_bytes, capacity_bytes, input.data, input.size_bytes));
}

struct codec_zstd_stream {
    ZSTD_CCtx *context;
    bool has_ended;
};

struct codec_zstd_stream *codec_zstd_stream_new(void)
{
    struct codec_zstd_stream *stream = mem_alloc(sizeof *stream);
    stream->context = codec_zstd_context(1);
    return stream;
}

void codec_zstd_stream_free(struct codec_zstd_stream **stream)
{
    if (*stream == NULL)
        return;
    (void)ZSTD_freeCCtx((*stream)->context); // as above
    mem_free(*stream);
    *stream = NULL;
}

size_t codec_zstd_stream_capacity(void)
{
    return ZSTD_CStreamOutSize();
}

// Input always goes in by e_continue, which compresses whole blocks only: were the last piece given
// together with e_end, the library would see its size and choose other parameters for short inputs.
size_t codec_zstd_stream_update(struct codec_zstd_stream *stream, struct slice *input,
                                uint8_t *ret_bytes, size_t capacity_bytes)
{
    ASSERT(!stream->has_ended);
    ASSERT(capacity_bytes > 0);
    ZSTD_inBuffer in = {.src = input->data, .size = input->size_bytes, .pos = 0};
    ZSTD_outBuffer out = {.dst = ret_bytes, .size = capacity_bytes, .pos = 0};
    (void)codec_zstd_checked(ZSTD_compressStream2(stream->context, &out, &in, ZSTD_e_continue));
    *input = slice_from(*input, in.pos);
    return out.pos;
}

// An empty first call tells the library that nothing came before; it may then know that the frame
// is empty, which is the same for every way of cutting no bytes.
size_t codec_zstd_stream_end(struct codec_zstd_stream *stream, uint8_t *ret_bytes,
                             size_t capacity_bytes, bool *ret_done)
{
    ASSERT(capacity_bytes > 0);
    stream->has_ended = true;
    ZSTD_inBuffer in = {.src = NULL, .size = 0, .pos = 0};
    ZSTD_outBuffer out = {.dst = ret_bytes, .size = capacity_bytes, .pos = 0};
    const size_t left =
        codec_zstd_checked(ZSTD_compressStream2(stream->context, &out, &in, ZSTD_e_end));
    *ret_done = left == 0;
    return out.pos;
}

// --- gzip

struct codec_gzip {
    struct libdeflate_compressor *compressor;
};

struct codec_gzip *codec_gzip_new(void)
{
    struct codec_gzip *gzip = mem_alloc(sizeof *gzip);
    gzip->compressor = libdeflate_alloc_compressor(CODEC_GZIP_LEVEL);
    ASSERT(gzip->compressor != NULL);
    return gzip;
}

void codec_gzip_free(struct codec_gzip **gzip)
{
    if (*gzip == NULL)
        return;
    libdeflate_free_compressor((*gzip)->compressor);
    mem_free(*gzip);
    *gzip = NULL;
}

size_t codec_gzip_bound(struct codec_gzip *gzip, size_t input_bytes)
{
    return libdeflate_gzip_compress_bound(gzip->compressor, input_bytes);
}

size_t codec_gzip_compress(struct codec_gzip *gzip, struct slice input, uint8_t *ret_bytes,
                           size_t capacity_bytes)
{
    ASSERT(capacity_bytes >= codec_gzip_bound(gzip, input.size_bytes));
    const size_t size_bytes = libdeflate_gzip_compress(gzip->compressor, input.data,
                                                       input.size_bytes, ret_bytes, capacity_bytes);
    ASSERT(size_bytes > 0);
    return size_bytes;
}

// --- ids

const char *codec_zstd_id(void)
{
    return "zstd-" ZSTD_VERSION_STRING "-l1";
}

// Its C interface does not tell the version; the build asks the package.
const char *codec_snappy_id(void)
{
    return "snappy-" MILKRUN_SNAPPY_VERSION;
}
