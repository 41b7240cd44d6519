// SPDX-License-Identifier: Apache-2.0
// Recovery's two halves: ingest_recover.c decides, file by file; ingest_repair.c finds out what
// damage covers and, when loss was accepted, replaces it by a gap. For the opening thread alone.
#pragma once

#include "lake/ingest_internal.h"

#define INGEST_NO_LIMIT INT64_C(-1)

struct ingest_listing {
    int64_t last_id; // of log files; 0: there is none
    uint64_t *bulks; // their nonces
    size_t bulk_count;
};

// Spare files go to the writer's pool, and those that are too many away.
NODISCARD bool ingest_list(struct ingest_log *log, struct ingest_listing *ret_listing,
                           struct err *err);
void ingest_listing_clear(struct ingest_listing *listing);

// Where reading a file stopped before its end.
struct ingest_stop {
    int64_t file_id;
    int64_t offset;
    int64_t seq;       // of the last good row
    int64_t seq_limit; // where the file's rows end, or INGEST_NO_LIMIT for the last file
    bool is_bulk;      // the frame is good, its bulk file is not
    struct err reason;
};

// What the damage covers.
struct ingest_damage {
    bool is_torn;        // no damage: the end of the log, never acknowledged
    int64_t next_offset; // of the first good frame behind it; 0: none
    int64_t next_seq;    // rows (stop.seq, next_seq] are lost
    int64_t line_count;  // of the gap
};

NODISCARD bool ingest_damage_find(struct ingest_reader *reader, const struct ingest_stop *stop,
                                  struct ingest_damage *ret_damage, struct err *err);

// Keeps a copy of the file as *.damaged, and writes a gap over the damage.
NODISCARD bool ingest_damage_bridge(struct ingest_log *log, struct ingest_reader *reader,
                                    const struct ingest_stop *stop,
                                    const struct ingest_damage *damage, struct err *err);

// Puts a file that is one gap, rows (seq_lo, seq_hi], in the place of one that is missing or
// unreadable; what is there is kept as *.damaged.
NODISCARD bool ingest_damage_replace_file(struct ingest_log *log, int64_t file_id, int64_t seq_lo,
                                          int64_t seq_hi, struct err *err);
// Moves an unreadable file out of the way.
NODISCARD bool ingest_damage_set_aside(struct ingest_log *log, int64_t file_id, struct err *err);
