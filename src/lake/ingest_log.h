// SPDX-License-Identifier: Apache-2.0
// The ingest log: what a 2xx promises. One process writes it (flock). A batch is durable when
// ingest_log's answer callback runs: its frame is written, CRC-protected and fdatasynced, together
// with whatever other batches arrived meanwhile (group commit); seq numbers are given at that
// moment.
//
// Small batches travel in memory; a large one is streamed into a file of its own (bulk) as it
// arrives and referred to by its commit frame. See ingest_frame.h for bytes on disk.
// Upholds INV-18 (docs/invariants.md).
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/schema.h"

struct ingest_log;
struct ingest_batch;

struct ingest_log_config {
    const char *data_directory; // log/ is below it
    const char *catalog_path;   // the committer has its own connection
    const struct clock *clock;
    int64_t file_bytes;         // 64 MiB
    int64_t file_age_ms;        // 1,000
    int64_t memory_batch_bytes; // larger batches go to a bulk file: 1 MiB
    int64_t
        memory_limit_bytes; // of all batches and unsealed idempotency keys: beyond it UNAVAILABLE
    int64_t batch_event_limit; // lines of a batch: beyond it LIMIT; 0: no bound
    // Go on after damage in the middle of the log: a copy of the file is kept as *.damaged, and
    // ingest_log_recovery_report names the seqs that are gone.
    bool accept_loss;
    void (*on_change)(void *context); // after the catalog changed: wake-up hint
    void *context;
};

// Recovers: cuts a torn tail, closes what was open, and starts the committer thread. CORRUPT when
// acknowledged bytes are damaged or missing (the message names the range); CONFLICT when another
// process holds the log. On a full disk it opens all the same (not with accept_loss: FULL): batches
// are refused with FULL until recovery, which is tried each second, is through.
NODISCARD bool ingest_log_open(const struct ingest_log_config *config, struct ingest_log **ret_log,
                               struct err *err);
// Commits what is queued, closes the open file, joins the thread. No batch is under construction.
void ingest_log_close(struct ingest_log **log);
// One line per loss that was accepted when the log was opened; "" for none. Lives as long as the
// log.
const char *ingest_log_recovery_report(const struct ingest_log *log);

// A batch under construction; belongs to one thread at a time until submitted. Owns no seq.
struct ingest_batch_spec {
    const char *organization_id; // NULL: operator ingest
    const char *app_id;          // NULL: each line names its own (operator ingest)
    const char *topic_name;
    struct slice idempotency_key; // empty: none
    bool is_partial;              // bad lines are left out and reported
};
// INVALID "Invalid topic name", "Invalid Idempotency-Key"; UNAVAILABLE.
NODISCARD bool ingest_batch_begin(struct ingest_log *log, const struct ingest_batch_spec *spec,
                                  struct ingest_batch **ret_batch, struct err *err);
// The next bytes of the decoded body, cut anywhere. Lines are checked as they complete. INVALID
// with the client's text ("Invalid event on line 3"), LIMIT (413), FULL (507 "Insufficient
// storage"), UNAVAILABLE (503 "Overloaded", "Storage unavailable"). After a failure the batch can
// only be freed.
NODISCARD bool ingest_batch_write(struct ingest_batch *batch, struct slice bytes, struct err *err);
// The end of the body: the last line may lack its LF. INVALID "No events in request". Waits for the
// disk when the batch is a large one.
NODISCARD bool ingest_batch_end(struct ingest_batch *batch, struct err *err);
// Aborts when it was not submitted. Accepts NULL.
void ingest_batch_free(struct ingest_batch **batch);

// Hands the ended batch to the committer, which calls done(context) from its own thread exactly
// once; then the batch is the caller's again: read the answer, free it.
void ingest_batch_submit(struct ingest_batch *batch, void (*done)(void *context), void *context);

// After done. True: ret_body is the JSON of the 200 answer, owned by the batch: {"accepted":N};
// partial mode adds "rejected":[{"line":L,"message":"..."}] with the first 1,000 bad lines, and
// "rejected_count" when there are more. A batch whose lines were all bad is not logged, and its
// idempotency key not kept.
// False: what to answer instead: 409 CONFLICT for a reused key, 507 FULL, 503 UNAVAILABLE, 400
// INVALID for a field that another batch or a declaration fixed meanwhile, 413 LIMIT for too many
// fields.
NODISCARD bool ingest_batch_answer(const struct ingest_batch *batch, struct slice *ret_body,
                                   struct err *err);

// Last acknowledged seq. Any thread.
int64_t ingest_log_last_seq(const struct ingest_log *log);

// Counters for /metrics. Any thread.
struct ingest_log_stats {
    int64_t batch_count;
    int64_t event_count;
    int64_t byte_count;
    int64_t sync_count;
};
struct ingest_log_stats ingest_log_stats(const struct ingest_log *log);

// Why storage last failed, for the operator's log: clients see only the fixed texts above.
// *ret_count counts failures, so that a caller sees new ones; kind NONE when there was none. Any
// thread.
void ingest_log_last_failure(struct ingest_log *log, int64_t *ret_count, struct err *ret_failure);
