// SPDX-License-Identifier: Apache-2.0
// What a driver of db.h is made of. db.c checks states and arguments and calls the driver; a driver
// puts these structs first in its own.
#pragma once

#include "db/db.h"

enum db_state {
    DB_IDLE,
    DB_WRITING,
    DB_READING,
};

// All are required. Failing ones set *err.
struct db_ops {
    const char *name;
    // Inside a write transaction only: db.c makes one around a lone statement.
    bool (*exec)(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
                 int64_t *ret_changed, struct err *err);
    bool (*script)(struct db *db, const char *sql, struct err *err);
    // In any state; a statement that writes is refused outside a write transaction.
    bool (*query)(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
                  struct db_rows **ret_rows, struct err *err);
    // Nothing is held when begin fails. commit ends the transaction also when it fails; rollback
    // always ends it.
    bool (*begin)(struct db *db, struct err *err);
    bool (*commit)(struct db *db, struct err *err);
    void (*rollback)(struct db *db);
    bool (*begin_read)(struct db *db, struct err *err);
    void (*end_read)(struct db *db);
    bool (*data_version)(struct db *db, int64_t *ret_version, struct err *err);
    void (*close)(struct db *db); // frees it; there are no rows and no transaction any more

    // False with ERR_NONE at the end; not called again after false.
    bool (*rows_next)(struct db_rows *rows, struct err *err);
    // The rows stand on a row.
    bool (*rows_is_null)(const struct db_rows *rows, size_t column);
    int64_t (*rows_int64)(const struct db_rows *rows, size_t column);
    struct slice (*rows_text)(const struct db_rows *rows, size_t column);
    void (*rows_close)(struct db_rows *rows); // frees them
};

struct db {
    const struct db_ops *ops;
    enum db_state state;
    size_t open_rows_count;
};

struct db_rows {
    struct db *db;
    size_t column_count;
    bool is_on_row;
    bool is_at_end;
};
