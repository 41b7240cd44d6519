// SPDX-License-Identifier: Apache-2.0
// Damage or torn tail? Every frame says where the group that was synced with it began. A good frame
// behind a bad one, of a later group, proves that the bad one had been synced: acknowledged bytes
// are damaged. Without such a frame the bad bytes were never acknowledged. (Damage to the very last
// group cannot be told from a torn write by any log without a second copy.)
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/sink.h"
#include "lake/ingest_recover.h"

#define INGEST_SEARCH_BYTES ((size_t)1024 * 1024)

// --- Looking behind the bad frame

struct ingest_search {
    uint64_t nonce;
    int64_t bad_offset;
    int64_t seq;       // of the last good row
    int64_t seq_limit; // frames from there on are not this file's any more
    bool has_later_group;
    struct ingest_damage *damage;
};

// Looks at one aligned position. Only the header is checked: it says all that is asked here.
static void ingest_search_at(struct ingest_search *search, const char *bytes, int64_t offset)
{
    struct ingest_disk_frame frame;
    memcpy(&frame, bytes, sizeof frame);
    if (!ingest_disk_frame_is_valid(&frame, search->nonce) || frame.seq_lo < search->seq)
        return;
    if (search->seq_limit != INGEST_NO_LIMIT && frame.seq_lo >= search->seq_limit)
        return;
    if (frame.group_start > search->bad_offset)
        search->has_later_group = true;
    if (search->damage->next_offset == 0) {
        search->damage->next_offset = offset;
        search->damage->next_seq = frame.seq_lo;
    }
}

static bool ingest_search_file(int fd, struct ingest_search *search, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return err_set_errno(err, "stat log file");
    char *bytes CLEANUP(mem_free_at) =
        mem_alloc(INGEST_SEARCH_BYTES + sizeof(struct ingest_disk_frame));
    int64_t offset = search->bad_offset + INGEST_ALIGN_BYTES;
    while (offset + (int64_t)sizeof(struct ingest_disk_frame) <= status.st_size) {
        // A header may reach over the block's end: the next block begins with it again.
        int64_t size_bytes = status.st_size - offset;
        const int64_t most = (int64_t)(INGEST_SEARCH_BYTES + sizeof(struct ingest_disk_frame));
        if (size_bytes > most)
            size_bytes = most;
        bool is_whole;
        TRY(ingest_disk_read(fd, offset, bytes, (size_t)size_bytes, &is_whole, err));
        if (!is_whole)
            return true;
        int64_t at = 0;
        for (; at + (int64_t)sizeof(struct ingest_disk_frame) <= size_bytes;
             at += INGEST_ALIGN_BYTES)
            ingest_search_at(search, bytes + at, offset + at);
        offset += at;
    }
    return true;
}

bool ingest_damage_find(struct ingest_reader *reader, const struct ingest_stop *stop,
                        struct ingest_damage *ret_damage, struct err *err)
{
    struct ingest_damage damage = {0};
    struct ingest_search search = {
        .nonce = ingest_reader_nonce(reader),
        .bad_offset = stop->offset,
        .seq = stop->seq,
        .seq_limit = stop->seq_limit,
        .damage = &damage,
    };
    TRY(ingest_search_file(ingest_reader_fd(reader), &search, err));
    damage.is_torn = stop->seq_limit == INGEST_NO_LIMIT && !stop->is_bulk &&
                     !search.has_later_group;
    if (damage.next_offset == 0)
        damage.next_seq = stop->seq_limit;
    // A good header in front of bad bytes says itself how far it reaches.
    const struct ingest_disk_frame *disk = ingest_reader_disk_frame(reader);
    if (ingest_disk_frame_is_valid(disk, search.nonce) && disk->seq_lo == stop->seq &&
        ingest_reader_frame_offset(reader) == stop->offset) {
        damage.next_offset = stop->offset + ingest_disk_frame_bytes(disk);
        damage.next_seq = stop->seq + disk->line_count;
    }
    damage.line_count = damage.next_seq - stop->seq;
    *ret_damage = damage;
    return true;
}

// --- Setting aside

static void ingest_damaged_path(const struct ingest_log *log, int64_t file_id,
                                char ret_path[INGEST_PATH_CHARS])
{
    char path[INGEST_PATH_CHARS - sizeof ".damaged"];
    const int size = snprintf(path, sizeof path, "%s/log/%010" PRId64 ".log", log->data_directory,
                              file_id);
    ASSERT(size > 0 && (size_t)size < sizeof path);
    (void)snprintf(ret_path, INGEST_PATH_CHARS, "%s.damaged", path);
}

bool ingest_damage_set_aside(struct ingest_log *log, int64_t file_id, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    char aside[INGEST_PATH_CHARS];
    ingest_disk_log_path(log->data_directory, file_id, path);
    ingest_damaged_path(log, file_id, aside);
    if (rename(path, aside) != 0 && errno != ENOENT)
        return err_set_errno(err, "rename %s", path);
    return file_sync_parent(path, err);
}

// A copy that exists already is the first and best one.
static bool ingest_damage_copy(struct ingest_log *log, struct ingest_reader *reader,
                               int64_t file_id, struct err *err)
{
    char aside[INGEST_PATH_CHARS];
    ingest_damaged_path(log, file_id, aside);
    if (access(aside, F_OK) == 0)
        return true;
    struct sink *sink CLEANUP(sink_free) = NULL;
    TRY(sink_file_open(aside, &sink, err));
    struct stat status;
    if (fstat(ingest_reader_fd(reader), &status) != 0)
        return err_set_errno(err, "stat log file");
    char *bytes CLEANUP(mem_free_at) = mem_alloc(INGEST_SEARCH_BYTES);
    for (int64_t offset = 0; offset < status.st_size;) {
        const int64_t left_bytes = status.st_size - offset;
        const size_t piece = left_bytes < (int64_t)INGEST_SEARCH_BYTES ? (size_t)left_bytes
                                                                       : INGEST_SEARCH_BYTES;
        bool is_whole;
        TRY(ingest_disk_read(ingest_reader_fd(reader), offset, bytes, piece, &is_whole, err));
        TRY(sink_write(sink, slice_of(bytes, piece), err));
        offset += (int64_t)piece;
    }
    return sink_finish(sink, err);
}

// --- Gaps

static bool ingest_write_gap(int fd, const struct ingest_disk_frame *gap, int64_t offset,
                             struct err *err)
{
    if (pwrite(fd, gap, sizeof *gap, (off_t)offset) != (ssize_t)sizeof *gap)
        return err_set_errno(err, "write a gap");
    if (fdatasync(fd) != 0)
        return err_set_errno(err, "sync a gap");
    return true;
}

static void ingest_close_gap_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

bool ingest_damage_bridge(struct ingest_log *log, struct ingest_reader *reader,
                          const struct ingest_stop *stop, const struct ingest_damage *damage,
                          struct err *err)
{
    ASSERT(!damage->is_torn);
    TRY(ingest_damage_copy(log, reader, stop->file_id, err));
    char path[INGEST_PATH_CHARS];
    ingest_disk_log_path(log->data_directory, stop->file_id, path);
    int fd CLEANUP(ingest_close_gap_fd) = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "open %s", path);
    const bool has_next = damage->next_offset > 0;
    struct ingest_disk_frame gap = {
        .nonce = ingest_reader_nonce(reader),
        .group_start = stop->offset,
        .seq_lo = stop->seq,
        .line_count = damage->line_count,
        .type = has_next ? INGEST_DISK_GAP : INGEST_DISK_GAP_TO_END,
    };
    if (has_next)
        gap.body_bytes = damage->next_offset - stop->offset - (int64_t)sizeof gap;
    ASSERT(gap.body_bytes >= 0);
    ingest_disk_seal_frame(&gap);
    return ingest_write_gap(fd, &gap, stop->offset, err);
}

bool ingest_damage_replace_file(struct ingest_log *log, int64_t file_id, int64_t seq_lo,
                                int64_t seq_hi, struct err *err)
{
    TRY(ingest_damage_set_aside(log, file_id, err));
    struct ingest_writer writer CLEANUP(ingest_writer_clear);
    ingest_writer_init(&writer, log->data_directory, log->config.file_bytes);
    writer.file_id = file_id;
    writer.seq = seq_lo;
    TRY(ingest_writer_open(&writer, (int64_t)sizeof(struct ingest_disk_frame), err));
    struct ingest_disk_frame gap = {
        .nonce = writer.nonce,
        .group_start = writer.offset,
        .seq_lo = seq_lo,
        .line_count = seq_hi - seq_lo,
        .type = INGEST_DISK_GAP_TO_END,
    };
    ingest_disk_seal_frame(&gap);
    return ingest_write_gap(writer.fd, &gap, writer.offset, err);
}
