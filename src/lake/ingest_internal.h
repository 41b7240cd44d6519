// SPDX-License-Identifier: Apache-2.0
// The parts of the ingest log, shared by ingest_log.c (opening, queue), ingest_batch.c and
// ingest_chunk.c (batches in the caller's thread), ingest_commit.c (groups), ingest_close.c
// (ends of files), ingest_committer.c (the thread), and ingest_recover.c.
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json_text.h"
#include "base/thread.h"
#include "lake/ingest_keys.h"
#include "lake/ingest_log.h"
#include "lake/ingest_sightings.h"
#include "lake/ingest_topics.h"
#include "lake/ingest_writer.h"

#define INGEST_PARTS_MAX           ((size_t)1000) // apps in one batch
#define INGEST_KEY_CHARS_MAX       ((size_t)128)
#define INGEST_REJECTED_MAX        1000
#define INGEST_ANSWER_BYTES_MAX    ((size_t)4 * 1024 * 1024)
#define INGEST_POLL_MS             200
#define INGEST_RECOVERY_RETRY_MS   1000
#define INGEST_INSUFFICIENT        "Insufficient storage"
#define INGEST_STORAGE_UNAVAILABLE "Storage unavailable"

// Rows of a batch for one app.
struct ingest_batch_part {
    char app_id[INGEST_ID_CHARS];
    char organization_id[INGEST_ID_CHARS];
    struct ingest_topic *topic;
    struct ingest_sightings sightings;
    struct ingest_chunk *open_chunk; // being filled, NULL: none
};

struct ingest_batch {
    struct ingest_log *log;
    struct ingest_batch *next; // in the queue or a group
    char *topic_name;
    bool is_operator; // lines name their app
    bool is_partial;
    int64_t now_ms; // lines were checked against it

    // Lines.
    struct buf carry;      // an unfinished line
    bool is_skipping_line; // partial mode: the rest of a line that is too long
    int64_t line_number;
    int64_t accepted_count;
    int64_t rejected_count;
    struct buf rejected;                  // JSON objects, comma separated
    char missing_app_id[INGEST_ID_CHARS]; // the last one that was not found

    struct ingest_batch_part *parts;
    size_t part_count;
    struct ingest_chunk *chunks; // finished, in order of seq
    struct ingest_chunk **chunks_end;
    uint32_t chunk_count;
    int64_t chunk_bytes;  // of the lines in memory, open chunks included
    int64_t memory_bytes; // taken from the log's budget

    // A large batch: its chunks are in a file of their own.
    int bulk_fd; // -1: none
    uint64_t bulk_nonce;
    int64_t bulk_bytes;
    bool is_bulk_kept; // a commit frame may refer to it

    // Idempotency.
    bool has_key;
    struct sha256 *body_hash;
    uint8_t scope[SHA256_BYTES];
    uint8_t body_sha256[SHA256_BYTES];

    // Committing.
    bool is_ended;
    void (*done)(void *context);
    void *context;
    struct buf meta;
    struct ingest_outgoing outgoing;
    struct buf answer;
    struct err failure; // kind NONE: the answer stands
};

// A bulk file that a frame of a log file refers to: it goes when that file goes.
struct ingest_bulk {
    struct ingest_bulk *next;
    int64_t file_id;
    uint64_t nonce;
};

struct ingest_log {
    struct ingest_log_config config; // texts are copies
    char *data_directory;
    char *catalog_path;
    int lock_fd;
    struct thread thread;

    struct mutex mutex; // guards queue, is_stopping and last_failure
    struct condition wake_up;
    struct ingest_batch *queue;
    struct ingest_batch **queue_end;
    bool is_stopping;
    struct err last_failure;
    int64_t failure_count;

    struct ingest_topics topics; // has its own mutex

    // Of the committer thread alone.
    struct catalog *catalog;
    struct ingest_writer writer;
    struct ingest_keys keys;
    int64_t keys_memory_bytes; // of them, taken from the budget
    struct ingest_bulk *bulks;
    int64_t received_at_ms;    // of the last frame
    int64_t sealed_seq;        // when the log was opened: lines up to it are not read again
    int64_t file_opened_at_ms; // boot clock, first batch of the open file
    int64_t polled_at_ms;      // boot clock

    struct buf recovery_report;

    atomic_bool is_recovering; // the disk was full when the log was opened: no batches yet
    atomic_llong memory_bytes;
    atomic_llong last_seq;
    atomic_llong batch_count;
    atomic_llong event_count;
    atomic_llong byte_count;
    atomic_llong sync_count;
};

// --- ingest_log.c

// Takes bytes from the memory budget, also when there are not enough: UNAVAILABLE "Overloaded"
// then.
NODISCARD bool ingest_log_take_memory(struct ingest_log *log, int64_t size_bytes, struct err *err);
void ingest_log_give_memory(struct ingest_log *log, int64_t size_bytes);

// Remembers why storage failed, and replaces *err by what a client may read: FULL or UNAVAILABLE.
// Returns false.
bool ingest_log_fail_storage(struct ingest_log *log, struct err *err);

// False while recovery waits for room on the disk: what to answer to a client.
NODISCARD bool ingest_log_check_recovered(struct ingest_log *log, struct err *err);

// The committer's pause before it tries something again. False, at once, when the log is being
// closed.
NODISCARD bool ingest_log_pause(struct ingest_log *log, int64_t pause_ms);

// --- ingest_chunk.c: chunks of a batch, in memory or in its bulk file

// Appends a line to the part, and spills to the bulk file what does not stay in memory.
NODISCARD bool ingest_batch_append_line(struct ingest_batch *batch, uint32_t part,
                                        struct slice line, struct err *err);
// All chunks are finished; a bulk file is durable.
NODISCARD bool ingest_batch_finish_chunks(struct ingest_batch *batch, struct err *err);
void ingest_batch_clear_chunks(struct ingest_batch *batch);

// --- ingest_commit.c

// Makes the batches durable, in order, and answers them: each is the caller's again on return.
void ingest_commit_group(struct ingest_log *log, struct ingest_batch *batches);

// --- ingest_close.c

// Tells the catalog about the open file and leaves it. True when there is none.
NODISCARD bool ingest_close_file(struct ingest_log *log, struct err *err);
// After a failed write or sync, before the group is refused. Waits until the group cannot come back
// after a kill, or the log is being closed.
void ingest_close_abandoned(struct ingest_log *log);

// --- ingest_committer.c: the thread; context is the log.
void ingest_committer_run(void *context);

// --- ingest_recover.c: before the thread starts, or in it after FULL. May be repeated.
NODISCARD bool ingest_recover(struct ingest_log *log, struct err *err);
