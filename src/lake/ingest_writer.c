// SPDX-License-Identifier: Apache-2.0
// Files are written with zeros and synced before their first use, so that a group costs one data
// sync and no change of the file's extents (twice as fast where it was measured). A file gets its
// header while it is still a spare one, and its name in the log after that is durable: a log file
// with a bad header is damaged, never half made.
// Upholds INV-1 (docs/invariants.md).
#include "lake/ingest_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/mem.h"

#define INGEST_ZEROS_BYTES ((size_t)1024 * 1024)

void ingest_writer_init(struct ingest_writer *writer, const char *data_directory,
                        int64_t file_bytes)
{
    *writer = (struct ingest_writer){
        .data_directory = data_directory,
        .file_bytes = file_bytes,
        .fd = -1,
        .file_id = 1,
    };
}

void ingest_writer_clear(struct ingest_writer *writer)
{
    if (writer->fd >= 0)
        (void)close(writer->fd);
    writer->fd = -1;
}

void ingest_writer_spare_path(const struct ingest_writer *writer, uint64_t name,
                              char ret_path[INGEST_PATH_CHARS])
{
    const int size = snprintf(ret_path, INGEST_PATH_CHARS, "%s/log/spare-%016" PRIx64 ".log",
                              writer->data_directory, name);
    ASSERT(size > 0 && (size_t)size < INGEST_PATH_CHARS);
}

static bool ingest_fill_with_zeros(int fd, const char *path, int64_t size_bytes, struct err *err)
{
    char *zeros CLEANUP(mem_free_at) = mem_alloc(INGEST_ZEROS_BYTES);
    for (int64_t done = 0; done < size_bytes; done += (int64_t)INGEST_ZEROS_BYTES) {
        const int64_t left_bytes = size_bytes - done;
        const size_t piece = left_bytes < (int64_t)INGEST_ZEROS_BYTES ? (size_t)left_bytes
                                                                      : INGEST_ZEROS_BYTES;
        TRY(file_write_all(fd, slice_of(zeros, piece), path, err));
    }
    if (fdatasync(fd) != 0)
        return err_set_errno(err, "sync %s", path);
    return true;
}

// A new spare file of that size, not in the pool yet.
static bool ingest_make_spare(struct ingest_writer *writer, int64_t size_bytes, uint64_t *ret_name,
                              struct err *err)
{
    uint64_t name;
    rng_fill(rng_system(), &name, sizeof name);
    char path[INGEST_PATH_CHARS];
    ingest_writer_spare_path(writer, name, path);
    int fd CLEANUP(file_close) = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(err, "make %s", path);
    if (!ingest_fill_with_zeros(fd, path, size_bytes, err)) {
        (void)unlink(path); // a leftover is found by recovery
        return false;
    }
    *ret_name = name;
    return true;
}

bool ingest_writer_prepare(struct ingest_writer *writer, struct err *err)
{
    if (writer->spare_count > 0)
        return true;
    TRY(ingest_make_spare(writer, writer->file_bytes, &writer->spares[0], err));
    writer->spare_count = 1;
    return true;
}

// A file with room: from the pool, or a new one. Spares that are too small (the configuration
// changed) go.
static bool ingest_take_spare(struct ingest_writer *writer, int64_t size_bytes, uint64_t *ret_name,
                              struct err *err)
{
    while (writer->spare_count > 0) {
        const uint64_t name = writer->spares[--writer->spare_count];
        char path[INGEST_PATH_CHARS];
        ingest_writer_spare_path(writer, name, path);
        struct stat status;
        if (stat(path, &status) == 0 && status.st_size >= size_bytes) {
            *ret_name = name;
            return true;
        }
        TRY(file_remove(path, err));
    }
    return ingest_make_spare(writer, size_bytes, ret_name, err);
}

static bool ingest_write_block(struct ingest_writer *writer, int fd, const char *path,
                               uint64_t *ret_nonce, struct err *err)
{
    struct ingest_disk_block block = {.file_id = writer->file_id, .seq_lo = writer->seq};
    rng_fill(rng_system(), &block.nonce, sizeof block.nonce);
    ingest_disk_seal_block(&block);
    TRY(file_write_all(fd, slice_of(&block, sizeof block), path, err));
    if (fdatasync(fd) != 0)
        return err_set_errno(err, "sync %s", path);
    *ret_nonce = block.nonce;
    return true;
}

// The spare file becomes the log file writer->file_id.
static bool ingest_name_file(struct ingest_writer *writer, const char *spare_path, int fd,
                             struct err *err)
{
    uint64_t nonce = 0;
    TRY(ingest_write_block(writer, fd, spare_path, &nonce, err));
    struct stat status;
    if (fstat(fd, &status) != 0)
        return err_set_errno(err, "stat %s", spare_path);
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(writer->data_directory, writer->file_id, path);
    if (rename(spare_path, path) != 0)
        return err_set_errno(err, "rename %s", spare_path);
    TRY(file_sync_parent(path, err));
    writer->nonce = nonce;
    writer->file_size_bytes = status.st_size;
    return true;
}

bool ingest_writer_open(struct ingest_writer *writer, int64_t size_bytes, struct err *err)
{
    ASSERT(writer->fd < 0);
    const int64_t needed_bytes = INGEST_BLOCK_BYTES + size_bytes;
    uint64_t name;
    TRY(ingest_take_spare(
        writer, needed_bytes > writer->file_bytes ? needed_bytes : writer->file_bytes, &name, err));
    char path[INGEST_PATH_CHARS];
    ingest_writer_spare_path(writer, name, path);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "open %s", path);
    if (!ingest_name_file(writer, path, fd, err)) {
        (void)close(fd);
        (void)unlink(path);
        return false;
    }
    writer->fd = fd;
    writer->file_seq_lo = writer->seq;
    writer->offset = INGEST_BLOCK_BYTES;
    writer->is_abandoned = false;
    return true;
}

int64_t ingest_outgoing_bytes(const struct ingest_outgoing *outgoing)
{
    struct ingest_disk_frame disk = {.meta_bytes = (uint32_t)outgoing->meta.size_bytes};
    for (const struct ingest_chunk *chunk = outgoing->chunks; chunk != NULL; chunk = chunk->next)
        disk.body_bytes += (int64_t)(sizeof chunk->disk + chunk->lines.size_bytes);
    return ingest_disk_frame_bytes(&disk);
}

bool ingest_writer_has_room(const struct ingest_writer *writer, int64_t size_bytes)
{
    return writer->fd >= 0 && !writer->is_abandoned &&
           size_bytes <= writer->file_size_bytes - writer->offset;
}

// --- A group: a list of byte ranges, written as few calls.

struct ingest_vectors {
    struct iovec *items;
    size_t count;
    size_t capacity;
    int64_t size_bytes;
};

static void ingest_vectors_clear(struct ingest_vectors *vectors)
{
    mem_free(vectors->items);
}

static void ingest_vectors_add(struct ingest_vectors *vectors, const void *data, size_t size_bytes)
{
    if (size_bytes == 0)
        return;
    if (vectors->count == vectors->capacity) {
        vectors->capacity = vectors->capacity == 0 ? 64 : vectors->capacity * 2;
        vectors->items = mem_resize(vectors->items, vectors->capacity * sizeof *vectors->items);
    }
    // pwritev only reads, but its struct has no const.
    union {
        const void *readable;
        void *plain;
    } start = {.readable = data};
    vectors->items[vectors->count++] = (struct iovec){start.plain, size_bytes};
    vectors->size_bytes += (int64_t)size_bytes;
}

static void ingest_vectors_add_frame(struct ingest_vectors *vectors,
                                     struct ingest_outgoing *outgoing, int64_t group_start,
                                     uint64_t nonce, int64_t seq_lo)
{
    static const char zeros[INGEST_ALIGN_BYTES];
    outgoing->disk = (struct ingest_disk_frame){
        .nonce = nonce,
        .group_start = group_start,
        .seq_lo = seq_lo,
        .line_count = outgoing->line_count,
        .received_at_ms = outgoing->received_at_ms,
        .bulk_nonce = outgoing->bulk_nonce,
        .bulk_bytes = outgoing->bulk_bytes,
        .type = outgoing->bulk_bytes > 0 ? INGEST_DISK_BULK : INGEST_DISK_INLINE,
        .chunk_count = outgoing->chunk_count,
        .meta_bytes = (uint32_t)outgoing->meta.size_bytes,
        .meta_crc = crc32c(outgoing->meta),
    };
    const int64_t start_bytes = vectors->size_bytes;
    ingest_vectors_add(vectors, &outgoing->disk, sizeof outgoing->disk);
    ingest_vectors_add(vectors, outgoing->meta.data, outgoing->meta.size_bytes);
    for (struct ingest_chunk *chunk = outgoing->chunks; chunk != NULL; chunk = chunk->next) {
        chunk->disk.nonce = nonce;
        ingest_disk_seal_chunk(&chunk->disk);
        ingest_vectors_add(vectors, &chunk->disk, sizeof chunk->disk);
        ingest_vectors_add(vectors, chunk->lines.data, chunk->lines.size_bytes);
        outgoing->disk.body_bytes += (int64_t)(sizeof chunk->disk + chunk->lines.size_bytes);
    }
    ingest_disk_seal_frame(&outgoing->disk);
    const int64_t rest_bytes = ingest_disk_frame_bytes(&outgoing->disk) -
                               (vectors->size_bytes - start_bytes);
    ingest_vectors_add(vectors, zeros, (size_t)rest_bytes);
}

static bool ingest_vectors_write(struct ingest_vectors *vectors, int fd, int64_t offset,
                                 struct err *err)
{
    size_t first = 0;
    while (first < vectors->count) {
        const size_t left = vectors->count - first;
        ssize_t written = pwritev(fd, vectors->items + first, left < IOV_MAX ? (int)left : IOV_MAX,
                                  (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return err_set_errno(err, "write log");
        offset += written;
        while (first < vectors->count && (size_t)written >= vectors->items[first].iov_len)
            written -= (ssize_t)vectors->items[first++].iov_len;
        if (written > 0) {
            struct iovec *item = &vectors->items[first];
            item->iov_base = (char *)item->iov_base + written;
            item->iov_len -= (size_t)written;
        }
    }
    return true;
}

bool ingest_writer_write(struct ingest_writer *writer, struct ingest_outgoing **frames,
                         size_t frame_count, struct err *err)
{
    ASSERT(writer->fd >= 0);
    ASSERT(!writer->is_abandoned);
    struct ingest_vectors vectors CLEANUP(ingest_vectors_clear) = {0};
    int64_t seq = writer->seq;
    for (size_t i = 0; i < frame_count; i++) {
        ingest_vectors_add_frame(&vectors, frames[i], writer->offset, writer->nonce, seq);
        seq += frames[i]->line_count;
    }
    ASSERT(vectors.size_bytes <= writer->file_size_bytes - writer->offset);
    const int64_t size_bytes = vectors.size_bytes;
    writer->is_abandoned = true; // until the bytes are known to be there
    TRY(ingest_vectors_write(&vectors, writer->fd, writer->offset, err));
    if (fdatasync(writer->fd) != 0)
        return err_set_errno(err, "sync log");
    writer->is_abandoned = false;
    writer->offset += size_bytes;
    writer->seq = seq;
    return true;
}

bool ingest_writer_revoke(struct ingest_writer *writer, struct err *err)
{
    ASSERT(writer->fd >= 0);
    ASSERT(writer->is_abandoned);
    static const struct ingest_disk_frame none; // no frame begins like this
    bool is_revoked = pwrite(writer->fd, &none, sizeof none, (off_t)writer->offset) ==
                      (ssize_t)sizeof none;
    if (!is_revoked)
        (void)err_set_errno(err, "overwrite a refused batch");
    // Best effort: a kill needs no sync, and this file has just refused one.
    (void)fdatasync(writer->fd);
    if (writer->seq > writer->file_seq_lo)
        return is_revoked;
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(writer->data_directory, writer->file_id, path);
    if (unlink(path) == 0 || errno == ENOENT)
        is_revoked = true;
    else if (!is_revoked)
        (void)err_set_errno(err, "remove %s", path);
    struct err ignored = {0}; // best effort as above
    (void)!file_sync_parent(path, &ignored);
    return is_revoked;
}

void ingest_writer_describe(const struct ingest_writer *writer, bool *ret_has_rows,
                            struct segment_log_file *ret_file)
{
    *ret_has_rows = writer->fd >= 0 && writer->seq > writer->file_seq_lo;
    if (*ret_has_rows)
        *ret_file = (struct segment_log_file){
            .id = writer->file_id,
            .seq_lo = writer->file_seq_lo,
            .seq_hi = writer->seq,
            .byte_count = writer->offset,
        };
}

void ingest_writer_leave(struct ingest_writer *writer)
{
    ASSERT(writer->fd >= 0);
    (void)close(writer->fd); // what matters was synced
    writer->fd = -1;
    // A file without rows is replaced when the next one is renamed to its name.
    if (writer->seq > writer->file_seq_lo)
        writer->file_id++;
}

bool ingest_writer_recycle(struct ingest_writer *writer, int64_t file_id, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(writer->data_directory, file_id, path);
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT || err_set_errno(err, "stat %s", path);
    if (writer->spare_count == INGEST_SPARES_MAX || status.st_size != writer->file_bytes)
        return file_remove(path, err);
    uint64_t name;
    rng_fill(rng_system(), &name, sizeof name);
    char spare_path[INGEST_PATH_CHARS];
    ingest_writer_spare_path(writer, name, spare_path);
    if (rename(path, spare_path) != 0)
        return err_set_errno(err, "rename %s", path);
    // Before the catalog forgets the file: else its old name could be back after a power cut.
    TRY(file_sync_parent(path, err));
    writer->spares[writer->spare_count++] = name;
    return true;
}
