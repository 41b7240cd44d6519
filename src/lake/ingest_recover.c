// SPDX-License-Identifier: Apache-2.0
// What opening the log does after a kill, a power cut, or a clean end:
//
//   files of the catalog that are not sealed   must be there and good to their last row
//   files behind them                          are read to the end, cut there, and told to the
//   catalog bulk files that no frame refers to         are removed spare files go back to the pool
//
// A file's rows end where the next file's begin: what lies behind (a group whose sync failed, and
// which was refused) is not looked at.
// Upholds INV-3 (docs/invariants.md).
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "lake/ingest_recover.h"

// --- Reading one file

static void ingest_remember_frame(struct ingest_log *log, struct ingest_reader *reader,
                                  const struct ingest_frame *frame, int64_t file_id)
{
    const struct ingest_disk_frame *disk = ingest_reader_disk_frame(reader);
    if (frame->received_at_ms > log->received_at_ms)
        log->received_at_ms = frame->received_at_ms;
    if (disk->type == INGEST_DISK_BULK) {
        struct ingest_bulk *bulk = mem_alloc(sizeof *bulk);
        *bulk = (struct ingest_bulk){log->bulks, file_id, disk->bulk_nonce};
        log->bulks = bulk;
    }
    uint8_t scope[SHA256_BYTES];
    uint8_t body[SHA256_BYTES];
    if (slice_is_empty(frame->idempotency_scope) ||
        !hex_decode(frame->idempotency_scope, scope, sizeof scope) ||
        !hex_decode(frame->body_sha256, body, sizeof body))
        return;
    struct ingest_key *key = ingest_keys_add(&log->keys, scope, body, frame->answer);
    key->file_id = file_id;
    key->expires_at_ms = frame->received_at_ms + INGEST_IDEMPOTENCY_MS;
}

static void ingest_forget_bulks(struct ingest_log *log, int64_t file_id)
{
    struct ingest_bulk **link = &log->bulks;
    while (*link != NULL) {
        struct ingest_bulk *bulk = *link;
        if (bulk->file_id != file_id) {
            link = &bulk->next;
            continue;
        }
        *link = bulk->next;
        mem_free(bulk);
    }
}

// Reads the current frame's lines to see that they are there.
static bool ingest_check_frame(struct ingest_reader *reader, struct err *err)
{
    struct ingest_piece piece;
    bool is_found = true;
    while (is_found)
        TRY(ingest_reader_next_piece(reader, &is_found, &piece, err));
    return true;
}

struct ingest_extent {
    int64_t seq;
    int64_t end_offset;
};

// Reads up to seq_limit, or to the first frame that does not check. *ret_is_stopped tells that
// reading ended in *stop; errors other than CORRUPT are errors.
static bool ingest_read_file(struct ingest_log *log, struct ingest_reader *reader,
                             struct ingest_stop *stop, struct ingest_extent *extent,
                             bool *ret_is_stopped, struct err *err)
{
    *extent = (struct ingest_extent){ingest_reader_file_seq_lo(reader), INGEST_BLOCK_BYTES};
    ingest_forget_bulks(log, stop->file_id);
    *ret_is_stopped = false;
    while (extent->seq != stop->seq_limit) {
        const struct ingest_frame *frame = NULL;
        struct err reason = {0};
        bool is_good = ingest_reader_next_frame(reader, &frame, &reason);
        const bool has_header = is_good;
        if (is_good && frame != NULL)
            is_good = ingest_check_frame(reader, &reason);
        if (!is_good && reason.kind != ERR_CORRUPT) {
            *err = reason;
            return false;
        }
        const struct ingest_disk_frame *disk = ingest_reader_disk_frame(reader);
        if (!is_good) {
            stop->offset = ingest_reader_frame_offset(reader);
            // Gaps in front of it were passed over: their rows are behind us.
            stop->seq = has_header ? disk->seq_lo : ingest_reader_seq(reader);
            stop->is_bulk = has_header && disk->type == INGEST_DISK_BULK;
            stop->reason = reason;
            extent->seq = stop->seq;
            extent->end_offset = stop->offset;
            *ret_is_stopped = true;
            return true;
        }
        extent->seq = ingest_reader_seq(reader);
        extent->end_offset = ingest_reader_frame_offset(reader) + ingest_disk_frame_bytes(disk);
        if (frame == NULL)
            return true; // a gap to the end, or to the last row
        ingest_remember_frame(log, reader, frame, stop->file_id);
    }
    return true;
}

static void ingest_report(struct ingest_log *log, int64_t file_id, int64_t seq_lo, int64_t seq_hi,
                          const struct err *reason)
{
    char hi[24] = "?";
    if (seq_hi != INGEST_NO_LIMIT)
        (void)snprintf(hi, sizeof hi, "%" PRId64, seq_hi);
    buf_append_format(&log->recovery_report,
                      "events (%" PRId64 ", %s] of log file %010" PRId64 " are lost: %s\n", seq_lo,
                      hi, file_id, reason->message);
}

// Reads a file whose header is good, bridging damage where loss was accepted.
static bool ingest_recover_readable(struct ingest_log *log, struct ingest_reader **reader,
                                    const struct ingest_reader_options *options,
                                    struct ingest_stop *stop, struct ingest_extent *ret_extent,
                                    struct err *err)
{
    for (;;) {
        bool is_stopped;
        TRY(ingest_read_file(log, *reader, stop, ret_extent, &is_stopped, err));
        if (!is_stopped)
            return true;
        struct ingest_damage damage;
        TRY(ingest_damage_find(*reader, stop, &damage, err));
        if (damage.is_torn)
            return true;
        if (!log->config.accept_loss) {
            return err_set(err, ERR_CORRUPT,
                           "%s; acknowledged events (%" PRId64 ", %" PRId64 "] are lost",
                           stop->reason.message, stop->seq, damage.next_seq);
        }
        TRY(ingest_damage_bridge(log, *reader, stop, &damage, err));
        ingest_report(log, stop->file_id, stop->seq, damage.next_seq, &stop->reason);
        ingest_reader_close(reader);
        TRY(ingest_reader_open(options, reader, err));
    }
}

// A file that cannot be read at all: gone, or with a bad header.
static bool ingest_recover_unreadable(struct ingest_log *log, const struct ingest_stop *stop,
                                      struct ingest_extent *ret_extent, struct err *err)
{
    if (!log->config.accept_loss) {
        *err = stop->reason;
        err->kind = ERR_CORRUPT;
        return err_wrap(err, "acknowledged events after seq %" PRId64 " are lost", stop->seq);
    }
    ingest_report(log, stop->file_id, stop->seq, stop->seq_limit, &stop->reason);
    *ret_extent = (struct ingest_extent){stop->seq, INGEST_BLOCK_BYTES};
    if (stop->seq_limit == INGEST_NO_LIMIT)
        return ingest_damage_set_aside(log, stop->file_id, err);
    ret_extent->seq = stop->seq_limit;
    ret_extent->end_offset += (int64_t)sizeof(struct ingest_disk_frame);
    return ingest_damage_replace_file(log, stop->file_id, stop->seq, stop->seq_limit, err);
}

// Rows (seq_lo, ...] of the file, up to seq_limit when it is known.
static bool ingest_recover_file(struct ingest_log *log, int64_t file_id, int64_t seq_lo,
                                int64_t seq_limit, struct ingest_extent *ret_extent,
                                struct err *err)
{
    const struct ingest_reader_options options = {
        .data_directory = log->data_directory,
        .file_id = file_id,
        .byte_limit = INT64_MAX,
        .seq_hi = seq_limit == INGEST_NO_LIMIT ? 0 : seq_limit,
        .seq_from = log->sealed_seq,
    };
    struct ingest_stop stop = {.file_id = file_id, .seq = seq_lo, .seq_limit = seq_limit};
    struct ingest_reader *reader CLEANUP(ingest_reader_close) = NULL;
    bool is_readable = ingest_reader_open(&options, &reader, &stop.reason);
    if (is_readable && ingest_reader_file_seq_lo(reader) != seq_lo)
        is_readable = err_set(&stop.reason, ERR_CORRUPT,
                              "log file %010" PRId64 " begins after seq %" PRId64
                              " and not %" PRId64,
                              file_id, ingest_reader_file_seq_lo(reader), seq_lo);
    if (is_readable)
        return ingest_recover_readable(log, &reader, &options, &stop, ret_extent, err);
    if (stop.reason.kind == ERR_NOT_FOUND || stop.reason.kind == ERR_CORRUPT)
        return ingest_recover_unreadable(log, &stop, ret_extent, err);
    *err = stop.reason;
    return false;
}

// Where the rows of the file before this one end; INGEST_NO_LIMIT when that cannot be read.
static int64_t ingest_peek_seq_lo(const struct ingest_log *log, int64_t file_id)
{
    const struct ingest_reader_options options = {
        .data_directory = log->data_directory,
        .file_id = file_id,
        .byte_limit = INT64_MAX,
    };
    struct ingest_reader *reader CLEANUP(ingest_reader_close) = NULL;
    struct err ignored = {0}; // that file's own turn comes
    if (!ingest_reader_open(&options, &reader, &ignored))
        return INGEST_NO_LIMIT;
    return ingest_reader_file_seq_lo(reader);
}

// --- All files

// Files that the catalog knows and that are not sealed.
static bool ingest_recover_closed(struct ingest_log *log, const struct segment_log_file *last,
                                  struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    bool is_found;
    struct segment_log_file first = {0};
    TRY(segment_next_log_file(log->catalog, &arena, &is_found, &first, err));
    if (!is_found)
        return true;
    TRY(segment_seal_point(log->catalog, &log->sealed_seq, err));
    int64_t seq = first.seq_lo;
    for (int64_t id = first.id; id <= last->id; id++) {
        int64_t seq_limit = last->seq_hi;
        if (id == first.id)
            seq_limit = first.seq_hi;
        else if (id < last->id)
            seq_limit = ingest_peek_seq_lo(log, id + 1);
        struct ingest_extent extent;
        TRY(ingest_recover_file(log, id, seq, seq_limit, &extent, err));
        seq = extent.seq;
    }
    return true;
}

// Files that were open, or closed and not yet told to the catalog. The last one may be without
// rows: the next file to be opened takes its place.
static bool ingest_recover_open(struct ingest_log *log, int64_t last_id, struct err *err)
{
    struct ingest_writer *writer = &log->writer;
    while (writer->file_id <= last_id) {
        const int64_t id = writer->file_id;
        const int64_t seq_limit = id < last_id ? ingest_peek_seq_lo(log, id + 1) : INGEST_NO_LIMIT;
        struct ingest_extent extent;
        TRY(ingest_recover_file(log, id, writer->seq, seq_limit, &extent, err));
        if (extent.seq == writer->seq) {
            if (id < last_id)
                return err_set(err, ERR_CORRUPT,
                               "log file %010" PRId64 " has no events and is not the last", id);
            return true;
        }
        const struct segment_log_file file = {
            .id = id,
            .seq_lo = writer->seq,
            .seq_hi = extent.seq,
            .byte_count = extent.end_offset,
        };
        TRY(segment_add_log_file(log->catalog, &file, err));
        writer->seq = extent.seq;
        writer->file_id = id + 1;
    }
    return true;
}

static bool ingest_bulk_is_known(const struct ingest_log *log, uint64_t nonce)
{
    const struct ingest_bulk *bulk = log->bulks;
    while (bulk != NULL && bulk->nonce != nonce)
        bulk = bulk->next;
    return bulk != NULL;
}

// Where rows were lost, a bulk file without a frame may be all that is left of them.
static bool ingest_recover_bulks(struct ingest_log *log, const struct ingest_listing *listing,
                                 struct err *err)
{
    for (size_t i = 0; i < listing->bulk_count; i++) {
        if (ingest_bulk_is_known(log, listing->bulks[i]))
            continue;
        char path[INGEST_PATH_CHARS];
        ingest_disk_bulk_path(log->data_directory, listing->bulks[i], path);
        if (log->recovery_report.size_bytes == 0) {
            TRY(file_remove(path, err));
            continue;
        }
        struct buf aside CLEANUP(buf_clear);
        buf_init(&aside, INGEST_PATH_CHARS * 2);
        buf_append_format(&aside, "%s.damaged", path);
        if (rename(path, buf_text(&aside)) != 0)
            return err_set_errno(err, "rename %s", path);
    }
    return true;
}

bool ingest_recover(struct ingest_log *log, struct err *err)
{
    struct ingest_listing listing CLEANUP(ingest_listing_clear) = {0};
    log->writer.spare_count = 0; // of a try before this one
    TRY(ingest_list(log, &listing, err));
    bool is_found;
    struct segment_log_file last = {0};
    TRY(segment_last_log_file(log->catalog, &is_found, &last, err));
    log->writer.seq = last.seq_hi;
    log->writer.file_id = last.id + 1;
    TRY(ingest_recover_closed(log, &last, err));
    TRY(ingest_recover_open(log, listing.last_id, err));
    TRY(ingest_recover_bulks(log, &listing, err));
    if (log->writer.file_id != last.id + 1)
        log->config.on_change(log->config.context);
    return true;
}
