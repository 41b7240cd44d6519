// SPDX-License-Identifier: Apache-2.0
// Compression of whole buffers (snappy, zstd, gzip) and of streams (zstd): the only user of snappy,
// libzstd and libdeflate. The bytes depend on the input and on the library's version alone.
// Compressing cannot fail: room for the worst case is the caller's duty. Objects belong to one
// thread.
//
// The fast gzip with blocks that compress in parallel is in base/gzip.h; this one is for small
// pieces.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

// --- snappy, raw block format (no frame, no checksum).

// Room that an input of that size needs at most.
size_t codec_snappy_bound(size_t input_bytes);
// Returns the size. The input is below 4 GiB.
size_t codec_snappy_compress(struct slice input, uint8_t *ret_bytes, size_t capacity_bytes);

// --- zstd level 1. One frame per call, with its content size and without a checksum.

struct codec_zstd; // scratch memory, to be used again and again

struct codec_zstd *codec_zstd_new(void);
void codec_zstd_free(struct codec_zstd **zstd);
size_t codec_zstd_bound(size_t input_bytes);
size_t codec_zstd_compress(struct codec_zstd *zstd, struct slice input, uint8_t *ret_bytes,
                           size_t capacity_bytes);

// --- zstd level 1 as a stream: one frame with a content checksum. The bytes do not depend on how
// the input was cut into calls.

struct codec_zstd_stream;

struct codec_zstd_stream *codec_zstd_stream_new(void);
void codec_zstd_stream_free(struct codec_zstd_stream **stream);
// A capacity with which every call makes good progress; any other works as well.
size_t codec_zstd_stream_capacity(void);
// Takes from *input (advanced past what was taken) and gives at most capacity_bytes. Call again
// until *input is empty. Returns how many bytes came out; 0 is usual.
size_t codec_zstd_stream_update(struct codec_zstd_stream *stream, struct slice *input,
                                uint8_t *ret_bytes, size_t capacity_bytes);
// Ends the frame. Call again until *ret_done is true; no update afterwards.
size_t codec_zstd_stream_end(struct codec_zstd_stream *stream, uint8_t *ret_bytes,
                             size_t capacity_bytes, bool *ret_done);

// --- gzip through libdeflate, level 6: one member, mtime 0.

struct codec_gzip; // scratch memory

struct codec_gzip *codec_gzip_new(void);
void codec_gzip_free(struct codec_gzip **gzip);
size_t codec_gzip_bound(struct codec_gzip *gzip, size_t input_bytes);
size_t codec_gzip_compress(struct codec_gzip *gzip, struct slice input, uint8_t *ret_bytes,
                           size_t capacity_bytes);

// Library and level, for recipes: "zstd-1.5.4-l1", "snappy-1.1.9".
const char *codec_zstd_id(void);
const char *codec_snappy_id(void);
