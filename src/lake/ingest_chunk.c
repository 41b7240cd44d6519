// SPDX-License-Identifier: Apache-2.0
// A batch's lines: chunks of up to 1 MiB per app. Beyond memory_batch_bytes they go to a file of
// the batch's own, which is durable before the batch is submitted.
// Upholds INV-1 (docs/invariants.md).
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "lake/ingest_internal.h"

static struct ingest_chunk *ingest_chunk_new(uint32_t part)
{
    struct ingest_chunk *chunk = mem_alloc(sizeof *chunk);
    chunk->disk.part = part;
    buf_init(&chunk->lines, INGEST_CHUNK_BYTES_MAX);
    return chunk;
}

static void ingest_chunk_free(struct ingest_chunk **chunk)
{
    struct ingest_chunk *old = *chunk;
    *chunk = NULL;
    if (old == NULL)
        return;
    buf_clear(&old->lines);
    mem_free(old);
}

static void ingest_batch_forget_chunk(struct ingest_batch *batch, struct ingest_chunk **chunk)
{
    const int64_t capacity_bytes = (int64_t)(*chunk)->lines.capacity_bytes;
    batch->chunk_bytes -= (int64_t)(*chunk)->lines.size_bytes;
    batch->memory_bytes -= capacity_bytes;
    ingest_log_give_memory(batch->log, capacity_bytes);
    ingest_chunk_free(chunk);
}

static void ingest_chunk_finish(struct ingest_chunk *chunk)
{
    chunk->disk.size_bytes = (uint32_t)chunk->lines.size_bytes;
    chunk->disk.data_crc = crc32c(buf_slice(&chunk->lines));
}

// --- The bulk file

static bool ingest_bulk_open(struct ingest_batch *batch, struct err *err)
{
    rng_fill(rng_system(), &batch->bulk_nonce, sizeof batch->bulk_nonce);
    char path[INGEST_PATH_CHARS];
    ingest_disk_bulk_path(batch->log->data_directory, batch->bulk_nonce, path);
    batch->bulk_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (batch->bulk_fd < 0)
        return err_set_errno(err, "make %s", path);
    char *zeros CLEANUP(mem_free_at) = mem_alloc((size_t)INGEST_BLOCK_BYTES);
    struct ingest_disk_block block = {.nonce = batch->bulk_nonce};
    ingest_disk_seal_block(&block);
    memcpy(zeros, &block, sizeof block);
    TRY(file_write_all(batch->bulk_fd, slice_of(zeros, (size_t)INGEST_BLOCK_BYTES), path, err));
    batch->bulk_bytes = INGEST_BLOCK_BYTES;
    return true;
}

static bool ingest_bulk_write(struct ingest_batch *batch, struct ingest_chunk *chunk,
                              struct err *err)
{
    chunk->disk.nonce = batch->bulk_nonce;
    ingest_disk_seal_chunk(&chunk->disk);
    TRY(file_write_all(batch->bulk_fd, slice_of(&chunk->disk, sizeof chunk->disk), "bulk file",
                       err));
    TRY(file_write_all(batch->bulk_fd, buf_slice(&chunk->lines), "bulk file", err));
    batch->bulk_bytes += (int64_t)(sizeof chunk->disk + chunk->lines.size_bytes);
    // Starts writing back what came, so that the sync at the end finds little left to do. A failure
    // shows there.
    (void)sync_file_range(batch->bulk_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    return true;
}

static bool ingest_bulk_sync(struct ingest_batch *batch, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    ingest_disk_bulk_path(batch->log->data_directory, batch->bulk_nonce, path);
    if (fdatasync(batch->bulk_fd) != 0)
        return err_set_errno(err, "sync %s", path);
    return file_sync_parent(path, err);
}

// Writes the finished chunks of the batch to its bulk file and frees them.
static bool ingest_bulk_spill(struct ingest_batch *batch, struct err *err)
{
    if (batch->bulk_fd < 0)
        TRY(ingest_bulk_open(batch, err));
    while (batch->chunks != NULL) {
        struct ingest_chunk *chunk = batch->chunks;
        TRY(ingest_bulk_write(batch, chunk, err));
        batch->chunks = chunk->next;
        ingest_batch_forget_chunk(batch, &chunk);
    }
    batch->chunks_end = &batch->chunks;
    return true;
}

// --- Lines into chunks

static void ingest_batch_finish_chunk(struct ingest_batch *batch, struct ingest_batch_part *part)
{
    struct ingest_chunk *chunk = part->open_chunk;
    if (chunk == NULL)
        return;
    part->open_chunk = NULL;
    ingest_chunk_finish(chunk);
    *batch->chunks_end = chunk;
    batch->chunks_end = &chunk->next;
    batch->chunk_count++;
}

static void ingest_batch_finish_all(struct ingest_batch *batch)
{
    for (size_t i = 0; i < batch->part_count; i++)
        ingest_batch_finish_chunk(batch, &batch->parts[i]);
}

// Room for the line and its LF, taken from the budget as the buffer grows.
static bool ingest_chunk_append(struct ingest_batch *batch, struct ingest_chunk *chunk,
                                struct slice line, struct err *err)
{
    const size_t before_bytes = chunk->lines.capacity_bytes;
    buf_append(&chunk->lines, line);
    buf_append_char(&chunk->lines, '\n');
    ASSERT(!chunk->lines.overflowed);
    const int64_t grown_bytes = (int64_t)(chunk->lines.capacity_bytes - before_bytes);
    batch->chunk_bytes += (int64_t)line.size_bytes + 1;
    chunk->disk.line_count++;
    batch->memory_bytes += grown_bytes;
    return grown_bytes == 0 || ingest_log_take_memory(batch->log, grown_bytes, err);
}

bool ingest_batch_append_line(struct ingest_batch *batch, uint32_t part_index, struct slice line,
                              struct err *err)
{
    struct ingest_batch_part *part = &batch->parts[part_index];
    if (part->open_chunk != NULL && part->open_chunk->lines.size_bytes > 0 &&
        part->open_chunk->lines.size_bytes + line.size_bytes + 1 > INGEST_CHUNK_BYTES) {
        ingest_batch_finish_chunk(batch, part);
        if (batch->bulk_fd >= 0 && !ingest_bulk_spill(batch, err))
            return ingest_log_fail_storage(batch->log, err);
    }
    if (part->open_chunk == NULL)
        part->open_chunk = ingest_chunk_new(part_index);
    TRY(ingest_chunk_append(batch, part->open_chunk, line, err));
    if (batch->chunk_bytes <= batch->log->config.memory_batch_bytes)
        return true;
    // With many apps there are many open chunks: all of them go, however small.
    if (batch->bulk_fd >= 0 && batch->part_count == 1)
        return true; // its one open chunk is bounded by itself
    ingest_batch_finish_all(batch);
    return ingest_bulk_spill(batch, err) || ingest_log_fail_storage(batch->log, err);
}

bool ingest_batch_finish_chunks(struct ingest_batch *batch, struct err *err)
{
    ingest_batch_finish_all(batch);
    if (batch->bulk_fd < 0)
        return true;
    if (!ingest_bulk_spill(batch, err) || !ingest_bulk_sync(batch, err))
        return ingest_log_fail_storage(batch->log, err);
    return true;
}

void ingest_batch_clear_chunks(struct ingest_batch *batch)
{
    ingest_batch_finish_all(batch);
    while (batch->chunks != NULL) {
        struct ingest_chunk *chunk = batch->chunks;
        batch->chunks = chunk->next;
        ingest_batch_forget_chunk(batch, &chunk);
    }
    batch->chunks_end = &batch->chunks;
    if (batch->bulk_fd < 0)
        return;
    (void)close(batch->bulk_fd); // synced, or not wanted
    batch->bulk_fd = -1;
    if (!batch->is_bulk_kept) {
        char path[INGEST_PATH_CHARS];
        ingest_disk_bulk_path(batch->log->data_directory, batch->bulk_nonce, path);
        (void)unlink(path); // a leftover is removed by recovery
    }
}
