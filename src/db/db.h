// SPDX-License-Identifier: Apache-2.0
// A few statements over a SQL database, for the catalog alone. SQL is written once with $1, $2, ...
// parameters; what differs between databases is in the driver. A connection belongs to one thread.
// Errors: UNAVAILABLE (busy, disconnected: the transaction may be run again), CONFLICT (unique
// key), FULL, IO (other constraints too), CORRUPT, INVALID (the SQL does not suit the tables).
// A connection does not go through a fork: it is opened by the process that uses it.
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct db;
struct db_rows;

enum db_value_kind {
    DB_NULL,
    DB_INT64,
    DB_TEXT,
};

struct db_value {
    enum db_value_kind kind;
    int64_t number;
    struct slice text; // valid for the call
};

struct db_value db_null(void);
struct db_value db_int64(int64_t value);
struct db_value db_text(const char *value); // NULL: null
struct db_value db_slice(struct slice value);

// SQLite: WAL, synchronous=FULL, a fair turnstile (two flock files beside the database) before each
// write transaction, at which it waits 30 s, then UNAVAILABLE. path ":memory:" is the test double.
// A missing file is made only when may_create, else NOT_FOUND. CORRUPT when the file is no
// database.
NODISCARD bool db_sqlite_open(const char *path, bool may_create, struct db **ret_db,
                              struct err *err);

// Who writes to a database (0), and who is the next in the queue (1). A pid of 0: nobody. The
// ticket grows whenever somebody signs; the next one signs again at least every 2 s while it can.
// So the same pid and ticket for long are a process that is stuck or stopped, or that died and left
// its signature. A hint that takes no lock: one small read per place, from any process.
#define DB_WRITERS 2

struct db_writer {
    int64_t pid;
    int64_t ticket;
};

// NOT_FOUND before the first connection was opened.
NODISCARD bool db_sqlite_read_writers(const char *path, struct db_writer ret_writers[DB_WRITERS],
                                      struct err *err);

// Rolls back. All rows must be closed.
void db_close(struct db **db);

// One statement without rows. Outside a transaction it is one of its own, through the turnstile.
// ret_changed (may be NULL): count of rows that it changed.
NODISCARD bool db_exec(struct db *db, const char *sql, const struct db_value *values,
                       size_t value_count, int64_t *ret_changed, struct err *err);

// Several statements separated by ';', without values: for migrations.
NODISCARD bool db_script(struct db *db, const char *sql, struct err *err);

// A statement with rows (SELECT, or ... RETURNING inside a write transaction). The values are
// copied.
NODISCARD bool db_query(struct db *db, const char *sql, const struct db_value *values,
                        size_t value_count, struct db_rows **ret_rows, struct err *err);
// False with err->kind ERR_NONE at the end; false with another kind is a failure.
bool db_rows_next(struct db_rows *rows, struct err *err);
bool db_rows_is_null(const struct db_rows *rows, size_t column);
int64_t db_rows_int64(const struct db_rows *rows, size_t column);     // null: 0
struct slice db_rows_text(const struct db_rows *rows, size_t column); // until next; null: empty
void db_rows_close(struct db_rows **rows);

// Write transaction. No nesting, and no open rows when it begins: they would pin an old view. It is
// over after db_commit, also after a failed one, which rolls back. A statement that failed with
// CONFLICT leaves the transaction usable. Rollback never fails for the caller and does nothing
// without a transaction. Never hold one across anything but SQL; at most 50 ms or 500 rows.
NODISCARD bool db_begin(struct db *db, struct err *err);
NODISCARD bool db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);

// A consistent view for several reads.
NODISCARD bool db_begin_read(struct db *db, struct err *err);
void db_end_read(struct db *db);

// Changes whenever another connection has committed: a cheap poll.
NODISCARD bool db_data_version(struct db *db, int64_t *ret_version, struct err *err);
