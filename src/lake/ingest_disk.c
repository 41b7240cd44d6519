// SPDX-License-Identifier: Apache-2.0
#include "lake/ingest_disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"

static const char ingest_block_magic[8] = "mrunlog";
#define INGEST_FRAME_MAGIC 0x6d617266u // "fram"
#define INGEST_CHUNK_MAGIC 0x6b6e6863u // "chnk"

// CRC of a header behind its own CRC field.
static uint32_t ingest_disk_crc(const void *header, size_t from, size_t size_bytes)
{
    return crc32c(slice_from(slice_of(header, size_bytes), from));
}

static uint32_t ingest_block_crc(const struct ingest_disk_block *block)
{
    return ingest_disk_crc(block, offsetof(struct ingest_disk_block, format), sizeof *block);
}

static uint32_t ingest_frame_crc(const struct ingest_disk_frame *frame)
{
    return ingest_disk_crc(frame, offsetof(struct ingest_disk_frame, nonce), sizeof *frame);
}

static uint32_t ingest_chunk_crc(const struct ingest_disk_chunk *chunk)
{
    return ingest_disk_crc(chunk, offsetof(struct ingest_disk_chunk, nonce), sizeof *chunk);
}

void ingest_disk_seal_block(struct ingest_disk_block *block)
{
    memcpy(block->magic, ingest_block_magic, sizeof block->magic);
    block->format = INGEST_FORMAT;
    block->crc = ingest_block_crc(block);
}

void ingest_disk_seal_frame(struct ingest_disk_frame *frame)
{
    frame->magic = INGEST_FRAME_MAGIC;
    frame->crc = ingest_frame_crc(frame);
}

void ingest_disk_seal_chunk(struct ingest_disk_chunk *chunk)
{
    chunk->magic = INGEST_CHUNK_MAGIC;
    chunk->crc = ingest_chunk_crc(chunk);
}

bool ingest_disk_block_is_valid(const struct ingest_disk_block *block)
{
    return memcmp(block->magic, ingest_block_magic, sizeof block->magic) == 0 &&
           block->crc == ingest_block_crc(block) && block->format == INGEST_FORMAT;
}

bool ingest_disk_frame_is_valid(const struct ingest_disk_frame *frame, uint64_t nonce)
{
    return frame->magic == INGEST_FRAME_MAGIC && frame->nonce == nonce &&
           frame->crc == ingest_frame_crc(frame);
}

bool ingest_disk_chunk_is_valid(const struct ingest_disk_chunk *chunk, uint64_t nonce)
{
    return chunk->magic == INGEST_CHUNK_MAGIC && chunk->nonce == nonce &&
           chunk->crc == ingest_chunk_crc(chunk);
}

void ingest_disk_log_path(const char *data_directory, int64_t file_id,
                          char ret_path[INGEST_PATH_CHARS])
{
    const int size = snprintf(ret_path, INGEST_PATH_CHARS, "%s/log/%010" PRId64 ".log",
                              data_directory, file_id);
    ASSERT(size > 0 && (size_t)size < INGEST_PATH_CHARS);
}

void ingest_disk_bulk_path(const char *data_directory, uint64_t nonce,
                           char ret_path[INGEST_PATH_CHARS])
{
    const int size = snprintf(ret_path, INGEST_PATH_CHARS, "%s/log/bulk-%016" PRIx64 ".log",
                              data_directory, nonce);
    ASSERT(size > 0 && (size_t)size < INGEST_PATH_CHARS);
}

bool ingest_disk_read(int fd, int64_t offset, void *ret_bytes, size_t size_bytes,
                      bool *ret_is_whole, struct err *err)
{
    size_t done_bytes = 0;
    while (done_bytes < size_bytes) {
        const ssize_t got = pread(fd, (char *)ret_bytes + done_bytes, size_bytes - done_bytes,
                                  (off_t)(offset + (int64_t)done_bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "read log file at %" PRId64, offset);
        if (got == 0)
            break;
        done_bytes += (size_t)got;
    }
    *ret_is_whole = done_bytes == size_bytes;
    return true;
}
