// SPDX-License-Identifier: Apache-2.0
// Log files and the seal point. Rows of log_files go once the file was recycled, except the last
// one, which the next has to follow.
// Upholds INV-2, INV-6 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/segments_internal.h"

#define SEGMENT_LOG_FILE_COLUMNS "id, seq_lo, seq_hi, byte_count, is_sealed, is_corrupt"

static const char segment_seal_point_name[] = "seal_point";

static void segment_read_log_file(const struct db_rows *rows, struct segment_log_file *ret_file)
{
    *ret_file = (struct segment_log_file){
        .id = db_rows_int64(rows, 0),
        .seq_lo = db_rows_int64(rows, 1),
        .seq_hi = db_rows_int64(rows, 2),
        .byte_count = db_rows_int64(rows, 3),
        .is_sealed = db_rows_int64(rows, 4) != 0,
        .is_corrupt = db_rows_int64(rows, 5) != 0,
    };
}

static bool segment_find_log_file(struct catalog *catalog, const char *sql, bool *ret_found,
                                  struct segment_log_file *ret_file, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(catalog_query_row(catalog, sql, NULL, 0, &rows, ret_found, err));
    if (*ret_found)
        segment_read_log_file(rows, ret_file);
    return true;
}

bool segment_last_log_file(struct catalog *catalog, bool *ret_found,
                           struct segment_log_file *ret_file, struct err *err)
{
    return segment_find_log_file(
        catalog, "SELECT " SEGMENT_LOG_FILE_COLUMNS " FROM log_files ORDER BY id DESC LIMIT 1",
        ret_found, ret_file, err);
}

static bool segment_next_unsealed(struct catalog *catalog, bool *ret_found,
                                  struct segment_log_file *ret_file, struct err *err)
{
    return segment_find_log_file(catalog,
                                 "SELECT " SEGMENT_LOG_FILE_COLUMNS " FROM log_files"
                                 " WHERE is_sealed = 0 ORDER BY id LIMIT 1",
                                 ret_found, ret_file, err);
}

bool segment_next_log_file(struct catalog *catalog, struct arena *arena, bool *ret_found,
                           struct segment_log_file *ret_file, struct err *err)
{
    (void)arena; // a log file has no texts
    return segment_next_unsealed(catalog, ret_found, ret_file, err);
}

// --- Adding

static bool segment_check_follows(const struct segment_log_file *last,
                                  const struct segment_log_file *file, struct err *err)
{
    if (file->id != last->id + 1 || file->seq_lo != last->seq_hi || file->seq_hi < file->seq_lo ||
        file->byte_count < 0)
        return err_set(err, ERR_INVALID,
                       "log file %" PRId64 " (%" PRId64 ", %" PRId64 "] does not follow %" PRId64
                       ", which ends at %" PRId64,
                       file->id, file->seq_lo, file->seq_hi, last->id, last->seq_hi);
    return true;
}

static bool segment_insert_log_file(struct catalog *catalog, const struct segment_log_file *file,
                                    struct err *err)
{
    struct segment_log_file last = {0}; // the first one is 1 and begins at 0
    bool has_last = false;
    TRY(segment_last_log_file(catalog, &has_last, &last, err));
    TRY(segment_check_follows(&last, file, err));
    const struct db_value last_id[] = {db_int64(last.id)};
    TRY(db_exec(catalog->db, "DELETE FROM log_files WHERE id = $1 AND is_forgotten = 1", last_id,
                ARRAY_COUNT(last_id), NULL, err));
    const struct db_value values[] = {db_int64(file->id), db_int64(file->seq_lo),
                                      db_int64(file->seq_hi), db_int64(file->byte_count),
                                      db_int64(file->is_corrupt)};
    return db_exec(catalog->db,
                   "INSERT INTO log_files(id, seq_lo, seq_hi, byte_count, is_corrupt)"
                   " VALUES($1, $2, $3, $4, $5)",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool segment_add_log_file(struct catalog *catalog, const struct segment_log_file *file,
                          struct err *err)
{
    ASSERT(!file->is_sealed);
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, segment_insert_log_file(catalog, file, err), err);
}

// --- After sealing

bool segment_sealed_log_files(struct catalog *catalog, struct arena *arena,
                              struct segment_log_file **ret_files, size_t *ret_count,
                              struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT " SEGMENT_LOG_FILE_COLUMNS " FROM log_files"
                 " WHERE is_sealed = 1 AND is_forgotten = 0 ORDER BY id",
                 NULL, 0, &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct segment_log_file *file = catalog_list_add(&list, arena, sizeof *file);
        segment_read_log_file(rows, file);
    }
    TRY(err->kind == ERR_NONE);
    *ret_files = list.items;
    *ret_count = list.count;
    return true;
}

static bool segment_forget_in_transaction(struct catalog *catalog, int64_t id, struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE log_files SET is_forgotten = 1"
                " WHERE id = $1 AND is_sealed = 1 AND is_forgotten = 0",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_NOT_FOUND, "no sealed log file %" PRId64, id);
    return db_exec(catalog->db,
                   "DELETE FROM log_files WHERE id = $1 AND id < (SELECT max(id) FROM log_files)",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool segment_forget_log_file(struct catalog *catalog, int64_t id, struct err *err)
{
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, segment_forget_in_transaction(catalog, id, err), err);
}

bool segment_mark_log_file_corrupt(struct catalog *catalog, int64_t id, struct err *err)
{
    const struct db_value values[] = {db_int64(id)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db, "UPDATE log_files SET is_corrupt = 1 WHERE id = $1", values,
                ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_NOT_FOUND, "no log file %" PRId64, id);
    return true;
}

// --- The seal point

bool segment_seal_point(struct catalog *catalog, int64_t *ret_seq, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(segment_seal_point_name)};
    bool found = false;
    TRY(catalog_query_row(catalog, "SELECT value FROM meta WHERE name = $1", values,
                          ARRAY_COUNT(values), &rows, &found, err));
    int64_t seq = 0;
    if (found && !number_parse_int64(db_rows_text(rows, 0), &seq))
        return err_set(err, ERR_CORRUPT, "the seal point is not a number");
    *ret_seq = seq;
    return true;
}

static bool segment_set_seal_point(struct catalog *catalog, int64_t seq, struct err *err)
{
    char text[NUMBER_CHARS_MAX + 1] = {0};
    (void)number_format_int64(seq, text);
    return catalog_set_value(catalog, segment_seal_point_name, text, err);
}

bool segment_advance_log_file(struct catalog *catalog, const struct segment_seal *seal,
                              struct err *err)
{
    int64_t seal_point = 0;
    TRY(segment_seal_point(catalog, &seal_point, err));
    struct segment_log_file file;
    bool found = false;
    TRY(segment_next_unsealed(catalog, &found, &file, err));
    if (seal->seq_from != seal_point || !found || file.id != seal->log_file_id)
        return err_set(err, ERR_CONFLICT, "the lake is sealed to %" PRId64 " already", seal_point);
    if (seal->seq_to < seal->seq_from || seal->seq_to > file.seq_hi ||
        (seal->is_file_done && seal->seq_to != file.seq_hi))
        return err_set(err, ERR_INVALID,
                       "sealing (%" PRId64 ", %" PRId64 "] does not suit log file %" PRId64
                       ", which ends at %" PRId64,
                       seal->seq_from, seal->seq_to, file.id, file.seq_hi);
    TRY(segment_set_seal_point(catalog, seal->seq_to, err));
    if (!seal->is_file_done)
        return true;
    const struct db_value values[] = {db_int64(file.id)};
    return db_exec(catalog->db, "UPDATE log_files SET is_sealed = 1 WHERE id = $1", values,
                   ARRAY_COUNT(values), NULL, err);
}
