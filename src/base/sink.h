// SPDX-License-Identifier: Apache-2.0
// Where bytes are pushed to. Encoders write into a sink; compressors, counters, hashes and uploads
// are sinks that own the next one, so that a chain is one mechanism. All or nothing: what was
// written becomes visible at sink_finish or never; freeing without finish aborts. One thread.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct sink;

// The bytes are taken or copied before the call returns. Not after finish or a failure.
NODISCARD bool sink_write(struct sink *sink, struct slice bytes, struct err *err);

// Flushes and finishes the whole chain, last sink last. Exactly once.
NODISCARD bool sink_finish(struct sink *sink, struct err *err);

// Frees the whole chain; before finish it aborts. Accepts NULL, sets NULL.
void sink_free(struct sink **sink);

// Appends to a buffer that the caller owns and keeps alive.
struct sink *sink_memory_new(struct buf *destination);

// Counts and hashes what passes. At finish it stores into *ret_digest, which the caller owns and
// keeps alive; nothing is stored when the chain fails. next NULL: the bytes go nowhere else.
struct sink_digest {
    uint64_t byte_count;
    uint8_t sha256[32];
};
struct sink *sink_digest_new(struct sink *next, struct sink_digest *ret_digest);

// Counts what passes down from the budget, which the caller keeps alive; what does not fit any more
// is LIMIT.
struct sink_budget {
    uint64_t left_bytes;
    bool is_exceeded; // something did not fit
};
struct sink *sink_budget_new(struct sink *next, struct sink_budget *budget);

// A file that appears under path at finish: written beside it under a temporary name, fsynced,
// renamed, directory fsynced. An existing file is replaced in one step. The temporary name ends in
// SINK_PART_SUFFIX, so that a sweep finds what a kill left behind.
#define SINK_PART_SUFFIX ".part"
NODISCARD bool sink_file_open(const char *path, struct sink **ret_sink, struct err *err);
// The same with the temporary name given: somewhere on the same file system. Folders of path that
// are missing at finish are made.
NODISCARD bool sink_file_open_as(const char *path, const char *part_path, struct sink **ret_sink,
                                 struct err *err);

// Test double: passes on to next, and fails the n-th write or finish call (counted from 1) with
// kind.
struct sink *sink_fault_new(struct sink *next, uint64_t failing_call, enum err_kind kind);
