// SPDX-License-Identifier: Apache-2.0
// SQLite: one connection in WAL mode with a cache of prepared statements by their text. Writers
// queue at the turnstile; readers pass freely.
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "db/db_internal.h"
#include "db/turnstile.h"

// More distinct texts than the catalog has; later ones are prepared for one use.
#define DB_SQLITE_STATEMENTS_MAX  ((size_t)512)
#define DB_SQLITE_BUCKET_COUNT    ((size_t)64)
#define DB_SQLITE_PARAMETERS_MAX  ((size_t)64)
#define DB_SQLITE_BUSY_TIMEOUT_MS 5000 // a net only: for checkpoints and the sqlite3 shell
#define DB_SQLITE_QUEUE_MS        INT64_C(30000)

struct db_sqlite_statement {
    struct db_sqlite_statement *next; // in its bucket
    sqlite3_stmt *handle;
    uint32_t text_crc;
    bool is_cached;
    bool is_used; // by rows that are open
    // SQLite numbers $names in the order in which they appear: the value of each.
    size_t parameter_count;
    uint8_t value_indexes[DB_SQLITE_PARAMETERS_MAX];
};

struct db_sqlite {
    struct db base;
    sqlite3 *handle;
    struct turnstile *turnstile; // NULL: a database in memory
    size_t statement_count;
    struct db_sqlite_statement *buckets[DB_SQLITE_BUCKET_COUNT];
};

struct db_sqlite_rows {
    struct db_rows base;
    struct db_sqlite_statement *statement;
};

static enum err_kind db_sqlite_constraint_kind(int code)
{
    const bool is_unique = code == SQLITE_CONSTRAINT_UNIQUE ||
                           code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID;
    return is_unique ? ERR_CONFLICT : ERR_IO;
}

static enum err_kind db_sqlite_kind(sqlite3 *handle, int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return ERR_UNAVAILABLE;
    case SQLITE_CONSTRAINT:
        return db_sqlite_constraint_kind(code);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_ERROR:
        return ERR_INVALID;
    default:
        break;
    }
    const int number = sqlite3_system_errno(handle);
    const bool is_disk = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    if (is_disk && (number == ENOSPC || number == EDQUOT))
        return ERR_FULL;
    if ((code & 0xff) == SQLITE_CANTOPEN && number == ENOENT)
        return ERR_NOT_FOUND;
    return ERR_IO;
}

// SQLite's texts name tables and columns, never values.
static bool db_sqlite_fail(struct db_sqlite *db, int code, struct err *err)
{
    ASSERT((code & 0xff) != SQLITE_NOMEM);
    return err_set(err, db_sqlite_kind(db->handle, code), "sqlite: %s (%d)",
                   sqlite3_errmsg(db->handle), code);
}

// --- Statements

static void db_sqlite_map_parameters(struct db_sqlite_statement *statement)
{
    const int count = sqlite3_bind_parameter_count(statement->handle);
    ASSERT((size_t)count <= DB_SQLITE_PARAMETERS_MAX);
    statement->parameter_count = (size_t)count;
    for (int i = 0; i < count; i++) {
        const char *name = sqlite3_bind_parameter_name(statement->handle, i + 1);
        ASSERT(name != NULL);
        ASSERT(name[0] == '$');
        const long number = strtol(name + 1, NULL, 10);
        ASSERT(number >= 1);
        ASSERT((size_t)number <= DB_SQLITE_PARAMETERS_MAX);
        statement->value_indexes[i] = (uint8_t)(number - 1);
    }
}

static struct db_sqlite_statement *db_sqlite_find(struct db_sqlite *db, const char *sql,
                                                  uint32_t text_crc)
{
    struct db_sqlite_statement *statement = db->buckets[text_crc % DB_SQLITE_BUCKET_COUNT];
    for (; statement != NULL; statement = statement->next) {
        if (!statement->is_used && statement->text_crc == text_crc &&
            strcmp(sqlite3_sql(statement->handle), sql) == 0)
            return statement;
    }
    return NULL;
}

static void db_sqlite_statement_free(struct db_sqlite_statement **statement)
{
    if (*statement == NULL)
        return;
    (void)sqlite3_finalize((*statement)->handle); // repeats the error of the last step
    mem_free(*statement);
    *statement = NULL;
}

// Gives a prepared statement for the text. The same text may be in use by open rows: then it is
// prepared once more.
static bool db_sqlite_take(struct db_sqlite *db, const char *sql,
                           struct db_sqlite_statement **ret_statement, struct err *err)
{
    const uint32_t text_crc = crc32c(slice_text(sql));
    struct db_sqlite_statement *statement = db_sqlite_find(db, sql, text_crc);
    if (statement == NULL) {
        sqlite3_stmt *handle = NULL;
        const char *rest = NULL;
        const int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle,
                                            &rest);
        if (code != SQLITE_OK)
            return db_sqlite_fail(db, code, err);
        ASSERT(handle != NULL);
        ASSERT(*rest == '\0'); // one statement
        statement = mem_alloc(sizeof *statement);
        statement->handle = handle;
        statement->text_crc = text_crc;
        db_sqlite_map_parameters(statement);
        if (db->statement_count < DB_SQLITE_STATEMENTS_MAX) {
            struct db_sqlite_statement **bucket = &db->buckets[text_crc % DB_SQLITE_BUCKET_COUNT];
            statement->next = *bucket;
            statement->is_cached = true;
            *bucket = statement;
            db->statement_count++;
        }
    }
    statement->is_used = true;
    *ret_statement = statement;
    return true;
}

static void db_sqlite_give_back(struct db_sqlite_statement *statement)
{
    (void)sqlite3_reset(statement->handle); // repeats the error of the last step
    (void)sqlite3_clear_bindings(statement->handle);
    statement->is_used = false;
    if (!statement->is_cached)
        db_sqlite_statement_free(&statement);
}

static int db_sqlite_bind_value(sqlite3_stmt *handle, int index, const struct db_value *value,
                                sqlite3_destructor_type home)
{
    switch (value->kind) {
    case DB_NULL:
        return sqlite3_bind_null(handle, index);
    case DB_INT64:
        return sqlite3_bind_int64(handle, index, value->number);
    case DB_TEXT:
        // A NULL pointer would bind null, and an empty slice may have one.
        return sqlite3_bind_text64(handle, index,
                                   slice_is_empty(value->text) ? "" : slice_chars(value->text),
                                   value->text.size_bytes, home, SQLITE_UTF8);
    }
    check_failed("kind of value", __FILE__, __LINE__);
    return SQLITE_MISUSE;
}

static bool db_sqlite_bind(struct db_sqlite *db, struct db_sqlite_statement *statement,
                           const struct db_value *values, size_t value_count,
                           sqlite3_destructor_type home, struct err *err)
{
    for (size_t i = 0; i < statement->parameter_count; i++) {
        ASSERT(statement->value_indexes[i] < value_count);
        const int code = db_sqlite_bind_value(statement->handle, (int)i + 1,
                                              &values[statement->value_indexes[i]], home);
        if (code != SQLITE_OK)
            return db_sqlite_fail(db, code, err);
    }
    return true;
}

// Full disks and I/O errors make SQLite roll back by itself; what follows must not run alone.
static bool db_sqlite_check_transaction(struct db_sqlite *db, struct err *err)
{
    if (sqlite3_get_autocommit(db->handle) != 0)
        return err_set(err, ERR_IO, "sqlite: the transaction was rolled back");
    return true;
}

static bool db_sqlite_exec(struct db *base, const char *sql, const struct db_value *values,
                           size_t value_count, int64_t *ret_changed, struct err *err)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    TRY(db_sqlite_check_transaction(db, err));
    struct db_sqlite_statement *statement = NULL;
    TRY(db_sqlite_take(db, sql, &statement, err));
    bool is_done = db_sqlite_bind(db, statement, values, value_count, SQLITE_STATIC, err);
    const int64_t total = sqlite3_total_changes64(db->handle);
    if (is_done) {
        int code = SQLITE_ROW;
        while (code == SQLITE_ROW)
            code = sqlite3_step(statement->handle);
        if (code != SQLITE_DONE)
            is_done = db_sqlite_fail(db, code, err);
    }
    db_sqlite_give_back(statement);
    TRY(is_done);
    // changes64 alone keeps the count of an earlier statement when this one does not count.
    *ret_changed = sqlite3_total_changes64(db->handle) == total ? 0 : sqlite3_changes64(db->handle);
    return true;
}

static bool db_sqlite_run(struct db_sqlite *db, const char *sql, struct err *err)
{
    const int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? true : db_sqlite_fail(db, code, err);
}

static bool db_sqlite_script(struct db *base, const char *sql, struct err *err)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    TRY(db_sqlite_check_transaction(db, err));
    return db_sqlite_run(db, sql, err);
}

// --- Rows

static bool db_sqlite_query(struct db *base, const char *sql, const struct db_value *values,
                            size_t value_count, struct db_rows **ret_rows, struct err *err)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    if (base->state != DB_IDLE)
        TRY(db_sqlite_check_transaction(db, err));
    struct db_sqlite_statement *statement = NULL;
    TRY(db_sqlite_take(db, sql, &statement, err));
    ASSERT(base->state == DB_WRITING || sqlite3_stmt_readonly(statement->handle) != 0);
    // The rows outlive the call, and so must the values.
    if (!db_sqlite_bind(db, statement, values, value_count, SQLITE_TRANSIENT, err)) {
        db_sqlite_give_back(statement);
        return false;
    }
    struct db_sqlite_rows *rows = mem_alloc(sizeof *rows);
    rows->base.db = base;
    rows->base.column_count = (size_t)sqlite3_column_count(statement->handle);
    rows->statement = statement;
    *ret_rows = &rows->base;
    return true;
}

static bool db_sqlite_rows_next(struct db_rows *base, struct err *err)
{
    struct db_sqlite_rows *rows = (struct db_sqlite_rows *)base;
    const int code = sqlite3_step(rows->statement->handle);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE)
        return false;
    return db_sqlite_fail((struct db_sqlite *)base->db, code, err);
}

static sqlite3_stmt *db_sqlite_rows_handle(const struct db_rows *base)
{
    return ((const struct db_sqlite_rows *)base)->statement->handle;
}

static bool db_sqlite_rows_is_null(const struct db_rows *base, size_t column)
{
    return sqlite3_column_type(db_sqlite_rows_handle(base), (int)column) == SQLITE_NULL;
}

static int64_t db_sqlite_rows_int64(const struct db_rows *base, size_t column)
{
    return sqlite3_column_int64(db_sqlite_rows_handle(base), (int)column);
}

static struct slice db_sqlite_rows_text(const struct db_rows *base, size_t column)
{
    // The text first: it fixes the encoding that the size is of.
    const unsigned char *text = sqlite3_column_text(db_sqlite_rows_handle(base), (int)column);
    const int size = sqlite3_column_bytes(db_sqlite_rows_handle(base), (int)column);
    return slice_of(text, (size_t)size);
}

static void db_sqlite_rows_close(struct db_rows *base)
{
    struct db_sqlite_rows *rows = (struct db_sqlite_rows *)base;
    db_sqlite_give_back(rows->statement);
    mem_free(rows);
}

// --- Transactions

static bool db_sqlite_enter(struct db_sqlite *db, struct err *err)
{
    return db->turnstile == NULL ? true : turnstile_enter(db->turnstile, DB_SQLITE_QUEUE_MS, err);
}

static void db_sqlite_leave(struct db_sqlite *db)
{
    if (db->turnstile != NULL)
        turnstile_leave(db->turnstile);
}

static bool db_sqlite_begin(struct db *base, struct err *err)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    TRY(db_sqlite_enter(db, err));
    if (!db_sqlite_run(db, "BEGIN IMMEDIATE", err)) {
        db_sqlite_leave(db);
        return false;
    }
    return true;
}

static void db_sqlite_rollback(struct db *base)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    // A failure leaves nothing to undo: SQLite rolled back already, or the next opener does.
    if (sqlite3_get_autocommit(db->handle) == 0)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    db_sqlite_leave(db);
}

static bool db_sqlite_commit(struct db *base, struct err *err)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    if (!db_sqlite_check_transaction(db, err) || !db_sqlite_run(db, "COMMIT", err)) {
        db_sqlite_rollback(base);
        return false;
    }
    db_sqlite_leave(db);
    return true;
}

static bool db_sqlite_begin_read(struct db *base, struct err *err)
{
    return db_sqlite_run((struct db_sqlite *)base, "BEGIN DEFERRED", err);
}

static void db_sqlite_end_read(struct db *base)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    if (sqlite3_get_autocommit(db->handle) == 0)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); // nothing to lose
}

// The one row of a pragma: its text, copied, when ret_text is given, else its number.
static bool db_sqlite_pragma(struct db_sqlite *db, const char *sql, int64_t *ret_number,
                             char ret_text[16], struct err *err)
{
    struct db_sqlite_statement *statement = NULL;
    TRY(db_sqlite_take(db, sql, &statement, err));
    const int code = sqlite3_step(statement->handle);
    if (code == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement->handle, 0);
        (void)snprintf(ret_text, 16, "%s", (const char *)sqlite3_column_text(statement->handle, 0));
    } else {
        (void)db_sqlite_fail(db, code, err);
    }
    db_sqlite_give_back(statement);
    return code == SQLITE_ROW;
}

static bool db_sqlite_data_version(struct db *base, int64_t *ret_version, struct err *err)
{
    char text[16];
    return db_sqlite_pragma((struct db_sqlite *)base, "PRAGMA data_version", ret_version, text,
                            err);
}

// --- Life

static void db_sqlite_close(struct db *base)
{
    struct db_sqlite *db = (struct db_sqlite *)base;
    for (size_t i = 0; i < DB_SQLITE_BUCKET_COUNT; i++) {
        while (db->buckets[i] != NULL) {
            struct db_sqlite_statement *next = db->buckets[i]->next;
            db_sqlite_statement_free(&db->buckets[i]);
            db->buckets[i] = next;
        }
    }
    const int code = sqlite3_close(db->handle); // NULL is fine
    ASSERT(code == SQLITE_OK);                  // it only fails when a statement was left
    turnstile_close(&db->turnstile);
    mem_free(db);
}

static const struct db_ops db_sqlite_ops = {
    .name = "sqlite",
    .exec = db_sqlite_exec,
    .script = db_sqlite_script,
    .query = db_sqlite_query,
    .begin = db_sqlite_begin,
    .commit = db_sqlite_commit,
    .rollback = db_sqlite_rollback,
    .begin_read = db_sqlite_begin_read,
    .end_read = db_sqlite_end_read,
    .data_version = db_sqlite_data_version,
    .close = db_sqlite_close,
    .rows_next = db_sqlite_rows_next,
    .rows_is_null = db_sqlite_rows_is_null,
    .rows_int64 = db_sqlite_rows_int64,
    .rows_text = db_sqlite_rows_text,
    .rows_close = db_sqlite_rows_close,
};

// The file holds hashes of secrets: only its owner may read it, and SQLite gives its -wal and -shm
// the same mode. One that exists is not opened here: closing it would drop SQLite's own locks on
// it.
static bool db_sqlite_make_file(const char *path, struct err *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? true : err_set_errno(err, "cannot make %s", path);
    (void)close(fd); // it is empty
    return true;
}

static bool db_sqlite_configure(struct db_sqlite *db, bool is_file, struct err *err)
{
    (void)sqlite3_busy_timeout(db->handle, DB_SQLITE_BUSY_TIMEOUT_MS);
    int64_t number = 0;
    char mode[16] = "";
    TRY(db_sqlite_pragma(db, "PRAGMA journal_mode = WAL", &number, mode, err));
    if (is_file && strcmp(mode, "wal") != 0)
        return err_set(err, ERR_IO, "sqlite: no write-ahead log here (journal_mode %s)", mode);
    // 8 MiB of cache: a seal of 10,000 slices touches more pages than the default 2 MiB hold.
    return db_sqlite_run(db,
                         "PRAGMA synchronous = FULL;"
                         "PRAGMA foreign_keys = ON;"
                         "PRAGMA trusted_schema = OFF;"
                         "PRAGMA temp_store = MEMORY;"
                         "PRAGMA cache_size = -8192;"
                         "PRAGMA journal_size_limit = 67108864;",
                         err);
}

static bool db_sqlite_start(struct db_sqlite *db, const char *path, bool may_create,
                            struct err *err)
{
    const bool is_file = strcmp(path, ":memory:") != 0;
    if (is_file && may_create)
        TRY(db_sqlite_make_file(path, err));
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path, &db->handle, flags, NULL);
    if (code != SQLITE_OK)
        return db_sqlite_fail(db, code, err);
    if (!is_file)
        return db_sqlite_configure(db, false, err);
    TRY(turnstile_open(path, &db->turnstile, err));
    // The first connection writes the journal mode into the file: one at a time.
    TRY(db_sqlite_enter(db, err));
    const bool is_configured = db_sqlite_configure(db, true, err);
    db_sqlite_leave(db);
    return is_configured;
}

bool db_sqlite_open(const char *path, bool may_create, struct db **ret_db, struct err *err)
{
    struct db_sqlite *db = mem_alloc(sizeof *db);
    db->base.ops = &db_sqlite_ops;
    if (!db_sqlite_start(db, path, may_create, err)) {
        db_sqlite_close(&db->base);
        return false;
    }
    *ret_db = &db->base;
    return true;
}

bool db_sqlite_read_writers(const char *path, struct db_writer ret_writers[DB_WRITERS],
                            struct err *err)
{
    return turnstile_read(path, ret_writers, err);
}
