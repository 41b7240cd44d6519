// SPDX-License-Identifier: Apache-2.0
// The checks that all drivers share: states of the connection, arguments in, results out.
#include "db/db.h"

#include "base/check.h"
#include "db/db_internal.h"

struct db_value db_null(void)
{
    return (struct db_value){.kind = DB_NULL};
}

struct db_value db_int64(int64_t value)
{
    return (struct db_value){.kind = DB_INT64, .number = value};
}

struct db_value db_text(const char *value)
{
    return value == NULL ? db_null() : db_slice(slice_text(value));
}

struct db_value db_slice(struct slice value)
{
    return (struct db_value){.kind = DB_TEXT, .text = value};
}

void db_close(struct db **db)
{
    if (*db == NULL)
        return;
    ASSERT((*db)->open_rows_count == 0);
    if ((*db)->state == DB_WRITING)
        db_rollback(*db);
    if ((*db)->state == DB_READING)
        db_end_read(*db);
    (*db)->ops->close(*db);
    *db = NULL;
}

// A driver that fails has said why, and only then: callers go by err->kind at the end of rows.
static bool db_checked(bool is_done, const struct err *err)
{
    if (!is_done)
        ASSERT(err->kind != ERR_NONE);
    return is_done;
}

bool db_exec(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
             int64_t *ret_changed, struct err *err)
{
    ASSERT(db->state != DB_READING);
    int64_t changed = 0;
    if (db->state == DB_WRITING) {
        TRY(db_checked(db->ops->exec(db, sql, values, value_count, &changed, err), err));
    } else {
        TRY(db_begin(db, err));
        if (!db_checked(db->ops->exec(db, sql, values, value_count, &changed, err), err)) {
            db_rollback(db);
            return false;
        }
        TRY(db_commit(db, err));
    }
    if (ret_changed != NULL)
        *ret_changed = changed;
    return true;
}

bool db_script(struct db *db, const char *sql, struct err *err)
{
    ASSERT(db->state != DB_READING);
    if (db->state == DB_WRITING)
        return db_checked(db->ops->script(db, sql, err), err);
    TRY(db_begin(db, err));
    if (!db_checked(db->ops->script(db, sql, err), err)) {
        db_rollback(db);
        return false;
    }
    return db_commit(db, err);
}

bool db_query(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
              struct db_rows **ret_rows, struct err *err)
{
    struct db_rows *rows = NULL;
    TRY(db_checked(db->ops->query(db, sql, values, value_count, &rows, err), err));
    ASSERT(rows != NULL);
    ASSERT(rows->db == db);
    db->open_rows_count++;
    *ret_rows = rows;
    return true;
}

bool db_rows_next(struct db_rows *rows, struct err *err)
{
    err_clear(err);
    rows->is_on_row = false;
    if (rows->is_at_end)
        return false;
    rows->is_on_row = rows->db->ops->rows_next(rows, err);
    rows->is_at_end = !rows->is_on_row;
    return rows->is_on_row;
}

bool db_rows_is_null(const struct db_rows *rows, size_t column)
{
    ASSERT(rows->is_on_row);
    ASSERT(column < rows->column_count);
    return rows->db->ops->rows_is_null(rows, column);
}

int64_t db_rows_int64(const struct db_rows *rows, size_t column)
{
    ASSERT(rows->is_on_row);
    ASSERT(column < rows->column_count);
    return rows->db->ops->rows_int64(rows, column);
}

struct slice db_rows_text(const struct db_rows *rows, size_t column)
{
    ASSERT(rows->is_on_row);
    ASSERT(column < rows->column_count);
    return rows->db->ops->rows_text(rows, column);
}

void db_rows_close(struct db_rows **rows)
{
    if (*rows == NULL)
        return;
    struct db *db = (*rows)->db;
    ASSERT(db->open_rows_count > 0);
    db->open_rows_count--;
    db->ops->rows_close(*rows);
    *rows = NULL;
}

bool db_begin(struct db *db, struct err *err)
{
    ASSERT(db->state == DB_IDLE);
    // Open rows keep an old view, from which no write can start.
    ASSERT(db->open_rows_count == 0);
    TRY(db_checked(db->ops->begin(db, err), err));
    db->state = DB_WRITING;
    return true;
}

bool db_commit(struct db *db, struct err *err)
{
    ASSERT(db->state == DB_WRITING);
    db->state = DB_IDLE;
    return db_checked(db->ops->commit(db, err), err);
}

void db_rollback(struct db *db)
{
    if (db->state != DB_WRITING)
        return;
    db->state = DB_IDLE;
    db->ops->rollback(db);
}

bool db_begin_read(struct db *db, struct err *err)
{
    ASSERT(db->state == DB_IDLE);
    TRY(db_checked(db->ops->begin_read(db, err), err));
    db->state = DB_READING;
    return true;
}

void db_end_read(struct db *db)
{
    if (db->state != DB_READING)
        return;
    db->state = DB_IDLE;
    db->ops->end_read(db);
}

bool db_data_version(struct db *db, int64_t *ret_version, struct err *err)
{
    return db_checked(db->ops->data_version(db, ret_version, err), err);
}
