// SPDX-License-Identifier: Apache-2.0
// The reader of log files. Lengths are used only after the CRC of the header that holds them.
#include "lake/ingest_frame.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "lake/ingest_disk.h"

struct ingest_reader {
    char *data_directory;
    int64_t file_id;
    int64_t byte_limit;
    int64_t seq_hi; // 0: not known
    int64_t seq_from;
    int fd;
    struct ingest_disk_block block;
    int64_t next_offset; // of the frame after the current one
    int64_t seq;         // of the last row of the frames so far

    // The current frame; is_in_frame false before the first and after the last.
    bool is_in_frame;
    int64_t frame_offset;
    struct ingest_disk_frame disk;
    struct ingest_frame frame;
    struct buf meta;
    struct ingest_part *parts;

    // Its chunks: in this file, or in a bulk file.
    int bulk_fd;
    uint64_t chunk_nonce;
    int64_t chunk_offset;
    uint32_t chunk_index;
    int64_t chunk_seq;
    char *data; // of the current piece
};

static bool ingest_reader_corrupt(const struct ingest_reader *reader, const char *what,
                                  struct err *err)
{
    return err_set(err, ERR_CORRUPT,
                   "log file %010" PRId64 " is damaged at byte %" PRId64
                   " (%s): events from seq %" PRId64 " on cannot be read",
                   reader->file_id, reader->frame_offset, what,
                   (reader->is_in_frame ? reader->chunk_seq : reader->seq) + 1);
}

static void ingest_reader_close_bulk(struct ingest_reader *reader)
{
    if (reader->bulk_fd >= 0)
        (void)close(reader->bulk_fd);
    reader->bulk_fd = -1;
}

void ingest_reader_close(struct ingest_reader **reader)
{
    struct ingest_reader *old = *reader;
    *reader = NULL;
    if (old == NULL)
        return;
    ingest_reader_close_bulk(old);
    if (old->fd >= 0)
        (void)close(old->fd);
    buf_clear(&old->meta);
    mem_free(old->parts);
    mem_free(old->data);
    mem_free(old->data_directory);
    mem_free(old);
}

bool ingest_reader_open(const struct ingest_reader_options *options,
                        struct ingest_reader **ret_reader, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(options->data_directory, options->file_id, path);
    struct ingest_reader *reader CLEANUP(ingest_reader_close) = mem_alloc(sizeof *reader);
    reader->data_directory = mem_copy_text(options->data_directory);
    reader->file_id = options->file_id;
    reader->byte_limit = options->byte_limit;
    reader->seq_hi = options->seq_hi;
    reader->seq_from = options->seq_from;
    reader->bulk_fd = -1;
    buf_init(&reader->meta, INGEST_META_BYTES_MAX);
    reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        return err_set_errno(err, "open %s", path);
    bool is_whole;
    TRY(ingest_disk_read(reader->fd, 0, &reader->block, sizeof reader->block, &is_whole, err));
    if (!is_whole || !ingest_disk_block_is_valid(&reader->block) ||
        reader->block.file_id != options->file_id)
        return err_set(err, ERR_CORRUPT, "log file %010" PRId64 " has a damaged header",
                       options->file_id);
    reader->next_offset = INGEST_BLOCK_BYTES;
    reader->seq = reader->block.seq_lo;
    *ret_reader = reader;
    reader = NULL;
    return true;
}

int64_t ingest_reader_file_seq_lo(const struct ingest_reader *reader)
{
    return reader->block.seq_lo;
}

uint64_t ingest_reader_nonce(const struct ingest_reader *reader)
{
    return reader->block.nonce;
}

int ingest_reader_fd(const struct ingest_reader *reader)
{
    return reader->fd;
}

int64_t ingest_reader_frame_offset(const struct ingest_reader *reader)
{
    return reader->frame_offset;
}

const struct ingest_disk_frame *ingest_reader_disk_frame(const struct ingest_reader *reader)
{
    return &reader->disk;
}

int64_t ingest_reader_end_offset(const struct ingest_reader *reader)
{
    return reader->next_offset;
}

int64_t ingest_reader_seq(const struct ingest_reader *reader)
{
    return reader->seq;
}

// Splits the checked meta bytes. False when they do not add up.
static bool ingest_reader_split_meta(struct ingest_reader *reader)
{
    struct slice rest = buf_slice(&reader->meta);
    struct ingest_disk_meta meta;
    if (rest.size_bytes < sizeof meta)
        return false;
    memcpy(&meta, rest.data, sizeof meta);
    rest = slice_from(rest, sizeof meta);
    const size_t parts_bytes = meta.part_count * sizeof *reader->parts;
    const size_t hash_chars = meta.has_key != 0 ? SHA256_HEX_CHARS : 0;
    if (rest.size_bytes != parts_bytes + 2 * hash_chars + meta.answer_bytes)
        return false;
    reader->parts = mem_resize(reader->parts, parts_bytes);
    if (parts_bytes > 0)
        memcpy(reader->parts, rest.data, parts_bytes);
    rest = slice_from(rest, parts_bytes);
    reader->frame = (struct ingest_frame){
        .seq_lo = reader->disk.seq_lo,
        .line_count = reader->disk.line_count,
        .received_at_ms = reader->disk.received_at_ms,
        .parts = reader->parts,
        .part_count = meta.part_count,
        .idempotency_scope = slice_part(rest, 0, hash_chars),
        .body_sha256 = slice_part(rest, hash_chars, hash_chars),
        .answer = slice_part(rest, 2 * hash_chars, meta.answer_bytes),
    };
    return true;
}

static bool ingest_reader_read_meta(struct ingest_reader *reader, struct err *err)
{
    buf_reset(&reader->meta);
    if (reader->disk.meta_bytes > INGEST_META_BYTES_MAX)
        return ingest_reader_corrupt(reader, "meta", err);
    char *room = buf_reserve(&reader->meta, reader->disk.meta_bytes);
    ASSERT(room != NULL);
    bool is_whole;
    TRY(ingest_disk_read(reader->fd, reader->frame_offset + (int64_t)sizeof reader->disk, room,
                         reader->disk.meta_bytes, &is_whole, err));
    if (!is_whole)
        return ingest_reader_corrupt(reader, "meta", err);
    buf_advance(&reader->meta, reader->disk.meta_bytes);
    if (crc32c(buf_slice(&reader->meta)) != reader->disk.meta_crc ||
        !ingest_reader_split_meta(reader))
        return ingest_reader_corrupt(reader, "meta", err);
    return true;
}

static bool ingest_reader_is_gap(const struct ingest_reader *reader)
{
    return reader->disk.type == INGEST_DISK_GAP || reader->disk.type == INGEST_DISK_GAP_TO_END;
}

// The header at next_offset becomes the current one.
static bool ingest_reader_read_header(struct ingest_reader *reader, struct err *err)
{
    reader->is_in_frame = false;
    reader->frame_offset = reader->next_offset;
    bool is_whole;
    TRY(ingest_disk_read(reader->fd, reader->frame_offset, &reader->disk, sizeof reader->disk,
                         &is_whole, err));
    const struct ingest_disk_frame *disk = &reader->disk;
    if (!is_whole || !ingest_disk_frame_is_valid(disk, reader->block.nonce))
        return ingest_reader_corrupt(reader, "frame header", err);
    if (disk->seq_lo != reader->seq || disk->line_count < 0 || disk->body_bytes < 0 ||
        disk->type < INGEST_DISK_INLINE || disk->type > INGEST_DISK_GAP_TO_END ||
        ingest_disk_frame_bytes(disk) > reader->byte_limit - reader->frame_offset)
        return ingest_reader_corrupt(reader, "frame out of order", err);
    return true;
}

static bool ingest_reader_open_bulk(struct ingest_reader *reader, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    ingest_disk_bulk_path(reader->data_directory, reader->disk.bulk_nonce, path);
    reader->bulk_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->bulk_fd < 0)
        return ingest_reader_corrupt(reader, "its bulk file is missing", err);
    struct ingest_disk_block block;
    bool is_whole;
    TRY(ingest_disk_read(reader->bulk_fd, 0, &block, sizeof block, &is_whole, err));
    if (!is_whole || !ingest_disk_block_is_valid(&block) || block.nonce != reader->disk.bulk_nonce)
        return ingest_reader_corrupt(reader, "header of its bulk file", err);
    return true;
}

static void ingest_reader_enter_frame(struct ingest_reader *reader)
{
    const struct ingest_disk_frame *disk = &reader->disk;
    const bool is_bulk = disk->type == INGEST_DISK_BULK;
    ingest_reader_close_bulk(reader);
    reader->is_in_frame = true;
    reader->chunk_nonce = is_bulk ? disk->bulk_nonce : disk->nonce;
    reader->chunk_offset = is_bulk ? INGEST_BLOCK_BYTES
                                   : reader->frame_offset + (int64_t)sizeof *disk +
                                         (int64_t)disk->meta_bytes;
    reader->chunk_index = 0;
    reader->chunk_seq = disk->seq_lo;
}

// What lies behind the last row (a refused group, old bytes) is not the file's.
static bool ingest_reader_is_at_end(const struct ingest_reader *reader)
{
    return reader->next_offset >= reader->byte_limit ||
           (reader->seq_hi > 0 && reader->seq == reader->seq_hi);
}

bool ingest_reader_next_frame(struct ingest_reader *reader, const struct ingest_frame **ret_frame,
                              struct err *err)
{
    for (;;) {
        if (ingest_reader_is_at_end(reader)) {
            *ret_frame = NULL;
            return true;
        }
        TRY(ingest_reader_read_header(reader, err));
        if (!ingest_reader_is_gap(reader))
            TRY(ingest_reader_read_meta(reader, err));
        reader->next_offset = reader->frame_offset + ingest_disk_frame_bytes(&reader->disk);
        reader->seq = reader->disk.seq_lo + reader->disk.line_count;
        if (!ingest_reader_is_gap(reader))
            break;
        if (reader->disk.type == INGEST_DISK_GAP_TO_END)
            reader->next_offset = reader->byte_limit;
    }
    ingest_reader_enter_frame(reader);
    *ret_frame = &reader->frame;
    return true;
}

static bool ingest_reader_chunk_fits(const struct ingest_reader *reader,
                                     const struct ingest_disk_chunk *chunk)
{
    const struct ingest_disk_frame *disk = &reader->disk;
    const int64_t end = disk->type == INGEST_DISK_BULK
                            ? disk->bulk_bytes
                            : reader->frame_offset + ingest_disk_frame_bytes(disk);
    return chunk->part < reader->frame.part_count && chunk->size_bytes <= INGEST_CHUNK_BYTES_MAX &&
           chunk->line_count <= disk->seq_lo + disk->line_count - reader->chunk_seq &&
           reader->chunk_offset + (int64_t)sizeof *chunk + (int64_t)chunk->size_bytes <= end;
}

static bool ingest_reader_read_chunk(struct ingest_reader *reader, struct ingest_disk_chunk *chunk,
                                     struct err *err)
{
    const bool is_bulk = reader->disk.type == INGEST_DISK_BULK;
    if (is_bulk && reader->bulk_fd < 0)
        TRY(ingest_reader_open_bulk(reader, err));
    const int fd = is_bulk ? reader->bulk_fd : reader->fd;
    bool is_whole;
    TRY(ingest_disk_read(fd, reader->chunk_offset, chunk, sizeof *chunk, &is_whole, err));
    if (!is_whole || !ingest_disk_chunk_is_valid(chunk, reader->chunk_nonce) ||
        !ingest_reader_chunk_fits(reader, chunk))
        return ingest_reader_corrupt(reader, "chunk header", err);
    if (reader->chunk_seq + chunk->line_count <= reader->seq_from)
        return true; // sealed already: not read again
    if (reader->data == NULL)
        reader->data = mem_alloc(INGEST_CHUNK_BYTES_MAX);
    TRY(ingest_disk_read(fd, reader->chunk_offset + (int64_t)sizeof *chunk, reader->data,
                         chunk->size_bytes, &is_whole, err));
    if (!is_whole || crc32c(slice_of(reader->data, chunk->size_bytes)) != chunk->data_crc)
        return ingest_reader_corrupt(reader, "lines", err);
    return true;
}

// Steps over the chunk that was read.
static void ingest_reader_pass_chunk(struct ingest_reader *reader,
                                     const struct ingest_disk_chunk *chunk)
{
    reader->chunk_offset += (int64_t)sizeof *chunk + (int64_t)chunk->size_bytes;
    reader->chunk_seq += chunk->line_count;
    reader->chunk_index++;
}

bool ingest_reader_next_piece(struct ingest_reader *reader, bool *ret_found,
                              struct ingest_piece *ret_piece, struct err *err)
{
    struct ingest_disk_chunk chunk;
    int64_t seq_lo;
    do {
        if (!reader->is_in_frame || reader->chunk_index == reader->disk.chunk_count) {
            if (reader->is_in_frame &&
                reader->chunk_seq != reader->disk.seq_lo + reader->disk.line_count)
                return ingest_reader_corrupt(reader, "count of lines", err);
            *ret_found = false;
            return true;
        }
        TRY(ingest_reader_read_chunk(reader, &chunk, err));
        seq_lo = reader->chunk_seq;
        ingest_reader_pass_chunk(reader, &chunk);
    } while (reader->chunk_seq <= reader->seq_from);
    if (seq_lo < reader->seq_from)
        return err_set(err, ERR_CORRUPT, "seal point %" PRId64 " is inside a chunk of the log",
                       reader->seq_from);
    *ret_piece = (struct ingest_piece){
        .frame = &reader->frame,
        .part = &reader->parts[chunk.part],
        .seq_lo = seq_lo,
        .line_count = chunk.line_count,
        .lines = slice_of(reader->data, chunk.size_bytes),
        .is_last_of_frame = reader->chunk_index == reader->disk.chunk_count,
    };
    *ret_found = true;
    return true;
}

// The catalog's count of rows is a second witness: a byte limit that is wrong must not make rows
// disappear, nor add some.
static bool ingest_reader_check_extent(const struct ingest_reader *reader, bool is_at_end,
                                       struct err *err)
{
    if (reader->seq_hi == 0 || reader->seq == reader->seq_hi ||
        (reader->seq < reader->seq_hi && !is_at_end))
        return true;
    const bool is_short = reader->seq < reader->seq_hi;
    return err_set(err, ERR_CORRUPT,
                   "log file %010" PRId64 " ends at byte %" PRId64 " with seq %" PRId64
                   " and not %" PRId64 ": events from seq %" PRId64 " on cannot be read",
                   reader->file_id, reader->next_offset, reader->seq, reader->seq_hi,
                   (is_short ? reader->seq : reader->disk.seq_lo) + 1);
}

bool ingest_reader_next(struct ingest_reader *reader, bool *ret_found,
                        struct ingest_piece *ret_piece, struct err *err)
{
    for (;;) {
        bool found;
        TRY(ingest_reader_next_piece(reader, &found, ret_piece, err));
        if (found) {
            *ret_found = true;
            return true;
        }
        const struct ingest_frame *frame;
        do {
            TRY(ingest_reader_next_frame(reader, &frame, err));
            TRY(ingest_reader_check_extent(reader, frame == NULL, err));
            if (frame == NULL) {
                *ret_found = false;
                return true;
            }
        } while (frame->seq_lo + frame->line_count <= reader->seq_from);
    }
}
