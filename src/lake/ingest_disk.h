// SPDX-License-Identifier: Apache-2.0
// Layout of the ingest log's bytes, for ingest_*.c of this folder alone (see ingest_frame.h for the
// picture), and the reader's inner verbs that recovery needs besides.
#pragma once

#include <assert.h>

#include "base/buf.h"
#include "base/hash.h"
#include "lake/ingest_frame.h"

#define INGEST_FORMAT      1u
#define INGEST_BLOCK_BYTES INT64_C(4096)
#define INGEST_ALIGN_BYTES INT64_C(64)
#define INGEST_CHUNK_BYTES ((size_t)1024 * 1024)
// A chunk is cut before it grows over INGEST_CHUNK_BYTES; one line of the longest kind may be more.
#define INGEST_CHUNK_BYTES_MAX (2 * INGEST_CHUNK_BYTES)
#define INGEST_META_BYTES_MAX  ((size_t)8 * 1024 * 1024)
#define INGEST_PATH_CHARS      ((size_t)4096)

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are written as they are");

// First 4 KiB of every file: this, then zeros.
struct ingest_disk_block {
    char magic[8];
    uint32_t crc; // of what follows
    uint32_t format;
    uint64_t nonce;  // random, of this use of the file: old frames have another one
    int64_t file_id; // 0: bulk
    int64_t seq_lo;
};
static_assert(sizeof(struct ingest_disk_block) == 40, "no padding");

enum ingest_disk_type {
    INGEST_DISK_INLINE = 1,     // chunks follow
    INGEST_DISK_BULK = 2,       // chunks are in a bulk file
    INGEST_DISK_GAP = 3,        // rows that were given up; the frame covers the damaged bytes
    INGEST_DISK_GAP_TO_END = 4, // the same, and nothing valid follows in this file
};

struct ingest_disk_frame {
    uint32_t magic;
    uint32_t crc; // of what follows in this struct
    uint64_t nonce;
    int64_t group_start; // offset of the first frame that was synced together with this one
    int64_t seq_lo;
    int64_t line_count;
    int64_t received_at_ms;
    int64_t body_bytes; // behind the meta: chunks with their headers, or what a gap passes over
    uint64_t bulk_nonce;
    int64_t bulk_bytes; // of the bulk file, its block included
    uint32_t type;
    uint32_t chunk_count;
    uint32_t meta_bytes;
    uint32_t meta_crc;
    uint64_t reserved[5];
};
static_assert(sizeof(struct ingest_disk_frame) == 128, "no padding, aligned frames");

// Meta: this, then parts, then 128 hexadecimal digits (scope, body) when has_key, then the answer.
struct ingest_disk_meta {
    uint32_t part_count;
    uint32_t has_key;
    uint32_t answer_bytes;
    uint32_t reserved;
};

struct ingest_disk_chunk {
    uint32_t magic;
    uint32_t crc;   // of what follows in this struct
    uint64_t nonce; // of the file that holds the chunk
    uint32_t part;
    uint32_t line_count;
    uint32_t size_bytes;
    uint32_t data_crc;
};
static_assert(sizeof(struct ingest_disk_chunk) == 32, "no padding");

// --- Writing: filling in magic and CRC.

void ingest_disk_seal_block(struct ingest_disk_block *block);
void ingest_disk_seal_frame(struct ingest_disk_frame *frame);
void ingest_disk_seal_chunk(struct ingest_disk_chunk *chunk);

bool ingest_disk_block_is_valid(const struct ingest_disk_block *block);
bool ingest_disk_frame_is_valid(const struct ingest_disk_frame *frame, uint64_t nonce);
bool ingest_disk_chunk_is_valid(const struct ingest_disk_chunk *chunk, uint64_t nonce);

static inline int64_t ingest_disk_frame_bytes(const struct ingest_disk_frame *frame)
{
    const int64_t bytes = (int64_t)sizeof *frame + frame->meta_bytes + frame->body_bytes;
    return (bytes + INGEST_ALIGN_BYTES - 1) / INGEST_ALIGN_BYTES * INGEST_ALIGN_BYTES;
}

// DIR/log/0000000001.log and DIR/log/bulk-0123456789abcdef.log.
void ingest_disk_log_path(const char *data_directory, int64_t file_id,
                          char ret_path[INGEST_PATH_CHARS]);
void ingest_disk_bulk_path(const char *data_directory, uint64_t nonce,
                           char ret_path[INGEST_PATH_CHARS]);

// Reads exactly size_bytes at offset; *ret_is_whole false when the file ends before.
NODISCARD bool ingest_disk_read(int fd, int64_t offset, void *ret_bytes, size_t size_bytes,
                                bool *ret_is_whole, struct err *err);

// --- The reader, a frame at a time. Recovery passes byte_limit INT64_MAX.

// seq_lo of the file: its first row is the next one.
int64_t ingest_reader_file_seq_lo(const struct ingest_reader *reader);
uint64_t ingest_reader_nonce(const struct ingest_reader *reader);
int ingest_reader_fd(const struct ingest_reader *reader);

// Moves to the next frame and checks its header and meta. *ret_frame is NULL at the byte limit, at
// seq_hi, and at the end of the file; whether seq_hi was met is for the caller to see. CORRUPT
// where a frame should be and is not: for recovery, maybe the log's end.
NODISCARD bool ingest_reader_next_frame(struct ingest_reader *reader,
                                        const struct ingest_frame **ret_frame, struct err *err);
// Where the frame of the last call is, or (after CORRUPT) where it should have been.
int64_t ingest_reader_frame_offset(const struct ingest_reader *reader);
const struct ingest_disk_frame *ingest_reader_disk_frame(const struct ingest_reader *reader);
// First byte behind the frame.
int64_t ingest_reader_end_offset(const struct ingest_reader *reader);
// Seq of the last row of the frames so far.
int64_t ingest_reader_seq(const struct ingest_reader *reader);
// The next piece of the current frame.
NODISCARD bool ingest_reader_next_piece(struct ingest_reader *reader, bool *ret_found,
                                        struct ingest_piece *ret_piece, struct err *err);
