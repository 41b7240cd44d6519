// SPDX-License-Identifier: Apache-2.0
// The step of sealing. Until segment_commit_seal nothing has happened: files that the catalog does
// not list do not exist, and a sweep removes them. After it, the rows are in the segments and
// nowhere else.
// Upholds INV-6 (docs/invariants.md).
#include "lake/seal.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "lake/seal_internal.h"

struct seal_work {
    const struct seal_config *config;
    struct catalog *catalog;
    struct segment_log_file log_file;
    int64_t seq_from;
    bool is_file_done;
    struct seal_rows rows;
    struct seal_file *files; // in the arena of rows
    size_t file_count;
};

static void seal_work_clear(struct seal_work *work)
{
    seal_rows_clear(&work->rows);
}

// Best effort: the sweep of the lake finds what stays.
static void seal_work_remove_files(struct seal_work *work)
{
    for (size_t i = 0; i < work->file_count; i++) {
        if (work->files[i].path[0] == '\0')
            continue;
        const char *path = segment_path_full(&work->rows.arena, work->config->data_directory,
                                             work->files[i].path);
        struct err ignored = {.kind = ERR_NONE};
        if (!file_remove(path, &ignored))
            continue;
    }
}

// --- Reading the log

// A log file that another process sealed meanwhile may have been recycled under our eyes: that is
// no damage. *ret_moved: the seal point is elsewhere.
static bool seal_work_has_moved(struct seal_work *work, bool *ret_moved, struct err *err)
{
    int64_t seq = 0;
    TRY(segment_seal_point(work->catalog, &seq, err));
    *ret_moved = seq != work->seq_from;
    return true;
}

// err holds the damage. True: it was none of this step's business.
static bool seal_work_damaged(struct seal_work *work, struct err *err)
{
    bool has_moved = false;
    struct err other = {.kind = ERR_NONE};
    if (!seal_work_has_moved(work, &has_moved, &other) ||
        (!has_moved && !segment_mark_log_file_corrupt(work->catalog, work->log_file.id, &other))) {
        *err = other;
        return err_wrap(err, "marking log file %" PRId64 " as damaged", work->log_file.id);
    }
    if (has_moved) {
        err_clear(err);
        return true;
    }
    if (err != NULL)
        err->kind = ERR_CORRUPT;
    return err_wrap(err, "log file %" PRId64 ", events %" PRId64 " to %" PRId64, work->log_file.id,
                    work->rows.seq_to + 1, work->log_file.seq_hi);
}

static bool seal_work_read(struct seal_work *work, int64_t step_bytes, bool *ret_is_torn,
                           struct err *err)
{
    const struct ingest_reader_options options = {
        .data_directory = work->config->data_directory,
        .file_id = work->log_file.id,
        .byte_limit = work->log_file.byte_count,
        .seq_hi = work->log_file.seq_hi,
        .seq_from = work->seq_from,
    };
    struct ingest_reader *reader CLEANUP(ingest_reader_close) = NULL;
    bool is_end = false;
    *ret_is_torn = false;
    TRY(ingest_reader_open(&options, &reader, err));
    TRY(seal_rows_collect(&work->rows, reader, work->catalog, step_bytes, &is_end, ret_is_torn,
                          err));
    if (is_end)
        work->rows.seq_to = work->log_file.seq_hi; // also past rows that were given up
    work->is_file_done = work->rows.seq_to >= work->log_file.seq_hi;
    return true;
}

static bool seal_is_damage(const struct err *err)
{
    return err->kind == ERR_CORRUPT || err->kind == ERR_NOT_FOUND;
}

// Reads once more what came before the piece that broke off.
static bool seal_work_read_again(struct seal_work *work, struct err *err)
{
    const int64_t whole_bytes = (int64_t)work->rows.line_bytes;
    bool is_torn = false;
    seal_rows_clear(&work->rows);
    seal_rows_init(&work->rows, work->seq_from);
    return seal_work_read(work, whole_bytes, &is_torn, err);
}

// What is whole before a damage is sealed first; the next step meets the damage at its first piece.
// *ret_is_over: nothing is left to do.
static bool seal_work_collect(struct seal_work *work, bool *ret_is_over, struct err *err)
{
    bool is_torn = false;
    *ret_is_over = false;
    if (seal_work_read(work, work->config->step_bytes, &is_torn, err))
        return true;
    if (!seal_is_damage(err))
        return err_wrap(err, "reading log file %" PRId64, work->log_file.id);
    if (work->rows.line_bytes > 0) {
        err_clear(err);
        return !is_torn || seal_work_read_again(work, err);
    }
    *ret_is_over = true;
    return seal_work_damaged(work, err);
}

// --- Writing

static bool seal_work_write(struct seal_work *work, int64_t now_ms, struct err *err)
{
    size_t row_count = 0;
    work->file_count = seal_plan(&work->rows, work->config->own_file_rows, work->config->file_limit,
                                 &work->files);
    for (size_t i = 0; i < work->file_count; i++) {
        TRY(seal_write_file(&work->rows, work->config->data_directory, now_ms, &work->files[i],
                            err));
        row_count += work->files[i].row_count;
    }
    ASSERT(row_count == work->rows.row_count);
    return true;
}

static const struct segment_slice *seal_work_slices(struct seal_work *work,
                                                    const struct seal_file *file)
{
    struct segment_slice *slices = arena_alloc_array(&work->rows.arena, file->group_count,
                                                     sizeof slices[0]);
    for (size_t i = 0; i < file->group_count; i++)
        slices[i] = work->rows.groups[file->first_group + i].slice;
    return slices;
}

static bool seal_work_commit(struct seal_work *work, int64_t now_ms, struct err *err)
{
    struct segment *segments = arena_alloc_array(&work->rows.arena, work->file_count,
                                                 sizeof segments[0]);
    for (size_t i = 0; i < work->file_count; i++) {
        const struct seal_file *file = &work->files[i];
        segments[i] = (struct segment){
            .path = file->path,
            .columns = file->columns_json,
            .byte_count = file->byte_count,
            .row_count = (int64_t)file->row_count,
            .sha256 = file->sha256,
            .seq_lo = work->seq_from,
            .seq_hi = work->rows.seq_to,
            .slices = seal_work_slices(work, file),
            .slice_count = file->group_count,
        };
    }
    const struct segment_seal seal = {
        .log_file_id = work->log_file.id,
        .is_file_done = work->is_file_done,
        .seq_from = work->seq_from,
        .seq_to = work->rows.seq_to,
        .segments = segments,
        .segment_count = work->file_count,
        .keys = work->rows.keys,
        .key_count = work->rows.key_count,
        .now_ms = now_ms,
    };
    return segment_commit_seal(work->catalog, &seal, err);
}

// Files stay where it is not certain that the commit failed.
static bool seal_work_publish(struct seal_work *work, struct err *err)
{
    const int64_t now_ms = clock_wall_ms(work->config->clock);
    if (!seal_work_write(work, now_ms, err)) {
        seal_work_remove_files(work);
        return err_wrap(err, "sealing events %" PRId64 " to %" PRId64, work->seq_from + 1,
                        work->rows.seq_to);
    }
    if (seal_work_commit(work, now_ms, err))
        return true;
    if (err->kind != ERR_CONFLICT)
        return err_wrap(err, "committing events %" PRId64 " to %" PRId64, work->seq_from + 1,
                        work->rows.seq_to);
    seal_work_remove_files(work); // another process has sealed the same rows
    err_clear(err);
    return true;
}

bool seal_step(const struct seal_config *config, struct catalog *catalog, bool *ret_sealed,
               struct err *err)
{
    ASSERT(config->step_bytes > 0);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    // Kinds of failure steer the step, so there has to be a place for them.
    struct err own_err = {.kind = ERR_NONE};
    if (err == NULL)
        err = &own_err;
    struct segment_log_file log_file;
    int64_t seq_from = 0;
    bool is_found = false;
    TRY(segment_seal_point(catalog, &seq_from, err));
    TRY(segment_next_log_file(catalog, &arena, &is_found, &log_file, err));
    if (!is_found) {
        *ret_sealed = false;
        return true;
    }
    struct seal_work work CLEANUP(seal_work_clear) = {
        .config = config,
        .catalog = catalog,
        .log_file = log_file,
        .seq_from = seq_from,
    };
    seal_rows_init(&work.rows, seq_from);
    bool is_over = false;
    TRY(seal_work_collect(&work, &is_over, err));
    if (!is_over)
        TRY(seal_work_publish(&work, err));
    *ret_sealed = true;
    return true;
}
