// SPDX-License-Identifier: Apache-2.0
// What the lake consists of: closed log files, segments, the seal point, and idempotency keys. Rows
// are visible to jobs through the catalog alone; a file that is not listed here does not exist.
// Upholds INV-7 (docs/invariants.md).
#pragma once

#include "catalog/catalog.h"

// --- Log files, in order of seq. The API process adds them when it closes them.

struct segment_log_file {
    int64_t id;     // from 1, without gaps
    int64_t seq_lo; // (lo, hi]
    int64_t seq_hi;
    int64_t byte_count; // up to which frames are valid
    bool is_sealed;
    bool is_corrupt; // sealing stopped here; a person must act
};

// INVALID unless it follows the last one (the first has id 1 and seq_lo 0).
NODISCARD bool segment_add_log_file(struct catalog *catalog, const struct segment_log_file *file,
                                    struct err *err);
// The first that is not sealed. *ret_found false: none.
NODISCARD bool segment_next_log_file(struct catalog *catalog, struct arena *arena, bool *ret_found,
                                     struct segment_log_file *ret_file, struct err *err);
// Last one known; *ret_found false: none yet.
NODISCARD bool segment_last_log_file(struct catalog *catalog, bool *ret_found,
                                     struct segment_log_file *ret_file, struct err *err);
// Ids of sealed files that the log still has to recycle (not yet forgotten), and forgetting one.
NODISCARD bool segment_sealed_log_files(struct catalog *catalog, struct arena *arena,
                                        struct segment_log_file **ret_files, size_t *ret_count,
                                        struct err *err);
NODISCARD bool segment_forget_log_file(struct catalog *catalog, int64_t id, struct err *err);
NODISCARD bool segment_mark_log_file_corrupt(struct catalog *catalog, int64_t id, struct err *err);

// Rows up to here are in segments.
NODISCARD bool segment_seal_point(struct catalog *catalog, int64_t *ret_seq, struct err *err);

// --- Segments

// Rows of one topic, app and hour in a segment.
struct segment_slice {
    int64_t topic_id;
    int64_t app_id;
    int64_t hour_ms; // start of the hour
    int64_t time_min_ms;
    int64_t time_max_ms;
    int64_t seq_min;
    int64_t seq_max;
    int64_t row_count;
};

struct segment {
    int64_t id;          // 0 when it is to be added
    const char *path;    // relative to the data directory
    const char *columns; // JSON array of physical column names
    int64_t byte_count;
    int64_t row_count;
    const char *sha256; // hex
    int64_t seq_lo;     // (lo, hi]: range of the log that it was made from
    int64_t seq_hi;
    const struct segment_slice *slices;
    size_t slice_count;
};

struct segment_idempotency {
    const char *scope;       // hash text of organization, app, topic and key
    const char *body_sha256; // hex
    const char *answer;      // JSON text of the first reply
    int64_t expires_at_ms;
};

// One step of sealing, in one transaction: segments, idempotency keys, the seal point, and (when
// is_file_done) the log file as sealed. CONFLICT unless seq_from is the seal point: somebody else
// sealed. INVALID when the slices of a segment are not within their hours or do not add up to its
// rows, or when seq_to leaves the file (is_file_done: is not its end). The transaction takes
// about 5 us per slice when slices come in the order of (topic, app, hour), twice that otherwise.
struct segment_seal {
    int64_t log_file_id;
    bool is_file_done;
    int64_t seq_from;
    int64_t seq_to;
    const struct segment *segments;
    size_t segment_count;
    const struct segment_idempotency *keys;
    size_t key_count;
    int64_t now_ms;
};
NODISCARD bool segment_commit_seal(struct catalog *catalog, const struct segment_seal *seal,
                                   struct err *err);

// Segments (without slices) that may hold rows of the topic and app in [start, end) x (seq_lo,
// seq_hi], each with the smallest and largest time of those rows in ret_slices (same count and
// order).
NODISCARD bool segment_find(struct catalog *catalog, const struct segment_slice *wanted,
                            struct arena *arena, struct segment **ret_segments,
                            struct segment_slice **ret_slices, size_t *ret_count, struct err *err);
// wanted: topic_id, app_id, time_min_ms = start, time_max_ms = end (exclusive), seq_min = lo
// (exclusive), seq_max = hi. Rows counted in ret_slices are those of whole hours.

// The organization's apps that have rows of the topic in [start, end) x (seq_lo, seq_hi], kept or
// dropped by retention, and with_idle also all that exist at the end; in the order of their making.
// wanted as for segment_find, but for app_id.
NODISCARD bool segment_find_apps(struct catalog *catalog, const char *organization_id,
                                 const struct segment_slice *wanted, bool with_idle,
                                 struct arena *arena, const char *const **ret_app_ids,
                                 size_t *ret_count, struct err *err);

// Pins keep the files of segments on disk while a job reads them, also when compaction replaced
// them. CONFLICT, and no pin, when one of them was replaced or dropped in the meantime: find again.
// Pinning again moves until_ms, also of segments that were replaced while the holder's pin stood.
NODISCARD bool segment_pin(struct catalog *catalog, const char *holder, const int64_t *ids,
                           size_t count, int64_t until_ms, struct err *err);
NODISCARD bool segment_unpin(struct catalog *catalog, const char *holder, struct err *err);

// Live segments (without slices) by id, from after_id on: for scrubbing.
NODISCARD bool segment_list(struct catalog *catalog, int64_t after_id, int64_t limit,
                            struct arena *arena, struct segment **ret_segments, size_t *ret_count,
                            struct err *err);
// Whether a file is listed, also as replaced or dropped: one that is not belongs to nobody.
NODISCARD bool segment_path_is_known(struct catalog *catalog, const char *path, bool *ret_is_known,
                                     struct err *err);

// --- Compaction: the (topic, hour) with the most segments, when more than `threshold` (at least
// 1).

// At most `limit` (at least 2) live segments that have rows in that hour, smallest first, with all
// their slices: merging takes whole segments. None when nothing is crowded. Damaged ones are
// neither counted nor given.
NODISCARD bool segment_find_crowded(struct catalog *catalog, int64_t threshold, int64_t limit,
                                    struct arena *arena, struct segment **ret_segments,
                                    size_t *ret_count, struct err *err);
// Replaces `old_ids` by `segment` (with slices) in one transaction; CONFLICT when one of them is
// gone. INVALID unless it has as many rows as they have. It counts as ingested when the newest of
// them was.
NODISCARD bool segment_replace(struct catalog *catalog, const int64_t *old_ids, size_t old_count,
                               const struct segment *segment, int64_t now_ms, struct err *err);

// Leaves the segment out of compaction from now on; jobs still find it, and fail. Nothing happens
// when it is marked already. NOT_FOUND unless it is live.
NODISCARD bool segment_mark_damaged(struct catalog *catalog, int64_t id, struct err *err);

// --- Idempotency keys of sealed batches. NOT_FOUND.
NODISCARD bool segment_get_idempotency(struct catalog *catalog, const char *scope, int64_t now_ms,
                                       struct arena *arena,
                                       struct segment_idempotency *ret_idempotency,
                                       struct err *err);
// Several transactions.
NODISCARD bool segment_expire_idempotency(struct catalog *catalog, int64_t now_ms, struct err *err);
