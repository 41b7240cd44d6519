// SPDX-License-Identifier: Apache-2.0
// The file of the ingest log that is being written, and the pool of spare ones. For the committer
// thread alone (and recovery, before that thread starts). After a failed write or sync nothing is
// ever acknowledged on that file again (INV-1: it ends at its last good offset).
#pragma once

#include "base/buf.h"
#include "base/rng.h"
#include "catalog/segments.h"
#include "lake/ingest_disk.h"

#define INGEST_SPARES_MAX ((size_t)2)

// A piece of a batch: whole lines of one part. disk.data_crc is set when the chunk is finished.
struct ingest_chunk {
    struct ingest_chunk *next;
    struct ingest_disk_chunk disk;
    struct buf lines;
};

// One batch on its way into the log. The writer fills in seqs, nonces and CRCs.
struct ingest_outgoing {
    struct ingest_chunk *chunks; // NULL for a bulk batch
    uint32_t chunk_count;
    int64_t line_count;
    int64_t received_at_ms;
    struct slice meta;
    uint64_t bulk_nonce;
    int64_t bulk_bytes; // 0: inline
    struct ingest_disk_frame disk;
};

struct ingest_writer {
    const char *data_directory;
    int64_t file_bytes;
    int fd;          // -1: no file is open
    int64_t file_id; // of the open file, else of the next one
    int64_t file_size_bytes;
    uint64_t nonce;
    int64_t file_seq_lo;
    int64_t offset;    // end of the last durable frame
    int64_t seq;       // of the last durable row
    bool is_abandoned; // the open file takes no more frames
    uint64_t spares[INGEST_SPARES_MAX];
    size_t spare_count;
};

void ingest_writer_init(struct ingest_writer *writer, const char *data_directory,
                        int64_t file_bytes);
void ingest_writer_clear(struct ingest_writer *writer);

int64_t ingest_outgoing_bytes(const struct ingest_outgoing *outgoing);

// Whether the open file takes a frame of that size (false when none is open).
bool ingest_writer_has_room(const struct ingest_writer *writer, int64_t size_bytes);
// Opens the next file, with room for a frame of that size, from the pool or newly written. None is
// open.
NODISCARD bool ingest_writer_open(struct ingest_writer *writer, int64_t size_bytes,
                                  struct err *err);

// Writes the frames, which fit the open file, as one group and syncs. After a failure none of them
// is acknowledged and the file is abandoned.
NODISCARD bool ingest_writer_write(struct ingest_writer *writer, struct ingest_outgoing **frames,
                                   size_t frame_count, struct err *err);

// After a failure of it: overwrites the header of the group's first frame, and removes the file
// when it has no rows. True when one of the two worked, so that no reader meets the group again.
// May be repeated.
NODISCARD bool ingest_writer_revoke(struct ingest_writer *writer, struct err *err);

// What to tell the catalog about the open file; *ret_has_rows false when there is nothing to tell.
void ingest_writer_describe(const struct ingest_writer *writer, bool *ret_has_rows,
                            struct segment_log_file *ret_file);
// Leaves the open file. The next one gets the next id, or the same one when the file had no rows.
void ingest_writer_leave(struct ingest_writer *writer);

// One spare file more, when there is none.
NODISCARD bool ingest_writer_prepare(struct ingest_writer *writer, struct err *err);
// A sealed file becomes a spare one or goes, durably. A missing one is fine.
NODISCARD bool ingest_writer_recycle(struct ingest_writer *writer, int64_t file_id,
                                     struct err *err);

// DIR/log/spare-0123456789abcdef.log
void ingest_writer_spare_path(const struct ingest_writer *writer, uint64_t name,
                              char ret_path[INGEST_PATH_CHARS]);
