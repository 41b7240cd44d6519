// SPDX-License-Identifier: Apache-2.0
// gzip (RFC 1952) through ISA-L: exact blocks for parallel compression into one member, and a
// streaming reader for request bodies. Objects belong to one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

// --- Writing. A member is: header, any number of full-flushed deflate blocks, trailer. Blocks are
// independent of each other, so their bytes do not depend on threads or on how input arrived.

#define GZIP_HEADER_BYTES      ((size_t)10)
#define GZIP_TRAILER_BYTES     ((size_t)10) // final empty block, CRC-32, size
#define GZIP_BLOCK_INPUT_BYTES ((size_t)1024 * 1024)
// Room that gzip_deflate_block needs for a block of that input.
#define GZIP_BLOCK_OUTPUT_BYTES (GZIP_BLOCK_INPUT_BYTES + GZIP_BLOCK_INPUT_BYTES / 8 + 1024)

struct gzip_deflater; // scratch memory of one compressing thread

struct gzip_deflater *gzip_deflater_new(void);
void gzip_deflater_free(struct gzip_deflater **deflater);

// Level 1. At most GZIP_BLOCK_INPUT_BYTES of input into ret_bytes (GZIP_BLOCK_OUTPUT_BYTES of
// room). Returns the size and sets the CRC-32 of the input.
size_t gzip_deflate_block(struct gzip_deflater *deflater, struct slice input, uint8_t *ret_bytes,
                          uint32_t *ret_crc);

// CRC-32 of A followed by B, from the CRCs of both and the size of B.
uint32_t gzip_crc_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b_bytes);

void gzip_write_header(uint8_t ret_bytes[GZIP_HEADER_BYTES]);
void gzip_write_trailer(uint32_t crc, uint64_t input_bytes, uint8_t ret_bytes[GZIP_TRAILER_BYTES]);

// ISA-L picks its code by CPU. Compresses a fixed vector and checks it against the bytes that every
// CPU with SSE4.2 makes; false means that files from here would differ from other machines'.
bool gzip_self_check(void);

// "isal-<version>-l1-1m": belongs to the encoder id of a recipe.
const char *gzip_encoder_id(void);

// --- Reading. Any number of members; CRC and size of each are checked; at most 1,000 members.

struct gunzip;

struct gunzip *gunzip_new(void);
void gunzip_free(struct gunzip **gunzip);

// Decodes from *input (advanced past what was used) into at most capacity_bytes at ret_bytes. Call
// again until *input is empty and *ret_size_bytes is 0. INVALID "Invalid gzip data".
NODISCARD bool gunzip_next(struct gunzip *gunzip, struct slice *input, uint8_t *ret_bytes,
                           size_t capacity_bytes, size_t *ret_size_bytes, struct err *err);

// At the end of the input: INVALID when a member is cut or nothing came.
NODISCARD bool gunzip_end(struct gunzip *gunzip, struct err *err);
