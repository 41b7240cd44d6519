// SPDX-License-Identifier: Apache-2.0
#include "encode/page_codec.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/mem.h"

struct page_codec {
    enum encoder_codec codec;
    struct codec_gzip *gzip;
    struct codec_zstd *zstd;
    uint8_t *room;
    size_t capacity_bytes;
};

struct page_codec *page_codec_new(enum encoder_codec kind)
{
    struct page_codec *codec = mem_alloc(sizeof *codec);
    codec->codec = kind;
    if (kind == ENCODER_CODEC_GZIP)
        codec->gzip = codec_gzip_new();
    if (kind == ENCODER_CODEC_ZSTD)
        codec->zstd = codec_zstd_new();
    return codec;
}

void page_codec_free(struct page_codec **codec)
{
    if (*codec == NULL)
        return;
    codec_gzip_free(&(*codec)->gzip);
    codec_zstd_free(&(*codec)->zstd);
    mem_free((*codec)->room);
    mem_free(*codec);
    *codec = NULL;
}

static size_t page_codec_bound(struct page_codec *codec, size_t page_bytes)
{
    switch (codec->codec) {
    case ENCODER_CODEC_NONE:
        return 0;
    case ENCODER_CODEC_GZIP:
        return codec_gzip_bound(codec->gzip, page_bytes);
    case ENCODER_CODEC_SNAPPY:
        return codec_snappy_bound(page_bytes);
    case ENCODER_CODEC_ZSTD:
        return codec_zstd_bound(page_bytes);
    }
    check_failed("a codec without a bound", __FILE__, __LINE__);
    return 0;
}

static size_t page_codec_run(struct page_codec *codec, struct slice page)
{
    switch (codec->codec) {
    case ENCODER_CODEC_NONE:
        break;
    case ENCODER_CODEC_GZIP:
        return codec_gzip_compress(codec->gzip, page, codec->room, codec->capacity_bytes);
    case ENCODER_CODEC_SNAPPY:
        return codec_snappy_compress(page, codec->room, codec->capacity_bytes);
    case ENCODER_CODEC_ZSTD:
        return codec_zstd_compress(codec->zstd, page, codec->room, codec->capacity_bytes);
    }
    check_failed("a codec that does nothing", __FILE__, __LINE__);
    return 0;
}

struct slice page_codec_compress(struct page_codec *codec, struct slice page)
{
    if (codec->codec == ENCODER_CODEC_NONE)
        return page;
    const size_t bound_bytes = page_codec_bound(codec, page.size_bytes);
    if (bound_bytes > codec->capacity_bytes) {
        mem_free(codec->room); // not resized: its old bytes are of no use
        codec->room = mem_alloc(bound_bytes);
        codec->capacity_bytes = bound_bytes;
    }
    return slice_of(codec->room, page_codec_run(codec, page));
}
