// SPDX-License-Identifier: Apache-2.0
// The only file that names the compressors.
#include "compress/compress.h"

#include "base/check.h"
#include "base/codec.h"
#include "base/gzip.h"
#include "compress/compress_internal.h"

struct sink *compress_sink_new(const struct compress_options *options, struct sink *next)
{
    ASSERT(next != NULL);
    switch (options->method) {
    case COMPRESS_NONE:
        return next;
    case COMPRESS_GZIP:
        return compress_gzip_new(options->helper_count, next);
    case COMPRESS_SNAPPY:
        return compress_snappy_new(next);
    case COMPRESS_ZSTD:
        return compress_zstd_new(next);
    }
    ASSERT(false);
    return NULL;
}

const char *compress_id(enum compress_method method)
{
    switch (method) {
    case COMPRESS_NONE:
        return "none";
    case COMPRESS_GZIP:
        return gzip_encoder_id();
    case COMPRESS_SNAPPY:
        return codec_snappy_id();
    case COMPRESS_ZSTD:
        return codec_zstd_id();
    }
    ASSERT(false);
    return NULL;
}
