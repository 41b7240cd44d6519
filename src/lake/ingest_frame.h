// SPDX-License-Identifier: Apache-2.0
// The ingest log's bytes on disk, and the one reader of them: sealing and recovery see the same
// rows.
//
//   DIR/log/0000000001.log   header block (4 KiB), then frames, each aligned to 64 bytes. The file
//   is
//                            pre-written and recycled: what follows the last frame is zeros or old
//                            frames with another nonce.
//   frame                    one batch, data and commit at once: header, meta (parts, idempotency),
//                            then its chunks; or, for a large batch, a reference to a bulk file.
//   DIR/log/bulk-XXXX.log    header block, then the chunks of one batch.
//   chunk                    header, then whole lines of one part, each ended by LF: at most 1 MiB,
//                            or one longer line.
//
// Every header and every run of bytes has a CRC32C; no length is trusted before its CRC was
// checked. Numbers are little-endian. Seqs of a batch follow the order of its chunks, without gaps.
// A reader belongs to one thread; it reads with pread, so an I/O error is an error and not a
// signal.
// Upholds INV-8 (docs/invariants.md).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

// How long an idempotency key replays, from received_at_ms.
#define INGEST_IDEMPOTENCY_MS INT64_C(86400000)

// Rows of a batch that belong to one app. The topic and all fields of the rows were in the catalog
// before the frame was written.
struct ingest_part {
    int64_t organization_id;
    int64_t app_id;
    int64_t topic_id;
    int64_t schema_id; // the topic's schema when the batch was committed
};

// One committed batch: rows (seq_lo, seq_lo + line_count].
struct ingest_frame {
    int64_t seq_lo;
    int64_t line_count;
    int64_t received_at_ms; // never steps back from frame to frame
    const struct ingest_part *parts;
    size_t part_count;
    // Hexadecimal SHA-256 of organization, app, topic and key, and of the body; and the JSON of the
    // answer that was given. All empty when the client gave no key.
    struct slice idempotency_scope;
    struct slice body_sha256;
    struct slice answer;
};

// Some lines of one part of a frame: rows (seq_lo, seq_lo + line_count], the first line is seq_lo
// + 1.
struct ingest_piece {
    const struct ingest_frame *frame;
    const struct ingest_part *part;
    int64_t seq_lo;
    int64_t line_count;
    struct slice lines;    // each ends with LF, no blank ones, none with CR before LF
    bool is_last_of_frame; // the frame's idempotency key (if any) is due with this piece
};

struct ingest_reader;

struct ingest_reader_options {
    const char *data_directory;
    int64_t file_id;
    // Up to which frames are valid, as in the catalog: anything wrong before it is CORRUPT.
    int64_t byte_limit;
    // Seq of the file's last row, as in the catalog: reading ends there, and a file that ends
    // before or goes on behind it is CORRUPT. 0: not known.
    int64_t seq_hi;
    // Pieces at or below it are passed over (sealed already), cheaply. 0: from the start. It must
    // be the end of a piece, as every seal point is.
    int64_t seq_from;
};

// NOT_FOUND when the file is gone; CORRUPT when its header is not that of the file.
NODISCARD bool ingest_reader_open(const struct ingest_reader_options *options,
                                  struct ingest_reader **ret_reader, struct err *err);
void ingest_reader_close(struct ingest_reader **reader);

// The next piece in the order of seq, checked; *ret_found false at the end. The piece, its frame
// and its lines are valid until the next call. A line passes event_scan(line,
// frame->received_at_ms). CORRUPT names the file and the offset, and the first seq that cannot be
// read. Rows that an operator gave up after damage (accept_loss) leave a gap in seq.
NODISCARD bool ingest_reader_next(struct ingest_reader *reader, bool *ret_found,
                                  struct ingest_piece *ret_piece, struct err *err);

// Takes the next line off *lines (without its LF). False when there is none.
static inline bool ingest_lines_next(struct slice *lines, struct slice *ret_line)
{
    if (slice_is_empty(*lines))
        return false;
    const char *start = slice_chars(*lines);
    const char *end = (const char *)memchr(start, '\n', lines->size_bytes);
    const size_t size_bytes = end == NULL ? lines->size_bytes : (size_t)(end - start);
    *ret_line = slice_of(start, size_bytes);
    *lines = slice_from(*lines, end == NULL ? size_bytes : size_bytes + 1);
    return true;
}
