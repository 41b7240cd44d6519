// SPDX-License-Identifier: Apache-2.0
// Closing the open file: what the catalog knows of it is all that counts from then on. After a
// failed write or sync the refused group may be in the file all the same, and recovery would read
// it. Before the answers go, one of these holds, so that a kill cannot bring it back (INV-1: a
// refused batch has no row):
//
//   the file had no rows     it is gone, or the group's first header is overwritten
//   it had rows              the catalog says where it ends, or the header is overwritten
#include "lake/ingest_internal.h"

static bool ingest_same_file(const struct segment_log_file *left,
                             const struct segment_log_file *right)
{
    return left->id == right->id && left->seq_lo == right->seq_lo &&
           left->seq_hi == right->seq_hi && left->byte_count == right->byte_count;
}

// A commit that was reported as failed may have been made all the same.
static bool ingest_add_to_catalog(struct ingest_log *log, const struct segment_log_file *file,
                                  struct err *err)
{
    if (segment_add_log_file(log->catalog, file, err))
        return true;
    struct err ignored = {0};
    bool is_found = false;
    struct segment_log_file last = {0};
    if (!segment_last_log_file(log->catalog, &is_found, &last, &ignored) || !is_found ||
        !ingest_same_file(&last, file))
        return false;
    err_clear(err);
    return true;
}

bool ingest_close_file(struct ingest_log *log, struct err *err)
{
    struct ingest_writer *writer = &log->writer;
    if (writer->fd < 0)
        return true;
    bool has_rows;
    struct segment_log_file file = {0};
    ingest_writer_describe(writer, &has_rows, &file);
    if (has_rows)
        TRY(ingest_add_to_catalog(log, &file, err));
    ingest_writer_leave(writer);
    if (has_rows)
        log->config.on_change(log->config.context);
    return true;
}

// True when the refused group cannot come back. The file may stay open then, for the catalog failed
// too: the next group tries again to close it.
static bool ingest_try_close_abandoned(struct ingest_log *log)
{
    struct err err = {0};
    const bool is_revoked = ingest_writer_revoke(&log->writer, &err);
    bool has_rows;
    struct segment_log_file file;
    ingest_writer_describe(&log->writer, &has_rows, &file);
    if (is_revoked || has_rows) {
        err_clear(&err);
        if (ingest_close_file(log, &err))
            return true;
    }
    (void)ingest_log_fail_storage(log, &err);
    return is_revoked;
}

void ingest_close_abandoned(struct ingest_log *log)
{
    // At the end of the process the clients have to be told what is likely.
    while (!ingest_try_close_abandoned(log) && ingest_log_pause(log, INGEST_POLL_MS))
        continue;
}
