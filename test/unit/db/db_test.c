// SPDX-License-Identifier: Apache-2.0
// One suite over both databases, in a file and in memory, and what only a file has: durability,
// several connections, the turnstile.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/thread.h"
#include "db/db.h"

struct fixture {
    char directory[32];
    char path[64]; // ":memory:" in the other half of the tests
    struct db *db;
};

static struct db *open_db(const char *path)
{
    struct err err = {0};
    struct db *db = NULL;
    if (!db_sqlite_open(path, true, &db, &err))
        fail_msg("%s: %s", path, err.message);
    return db;
}

static int set_up_at(void **state, bool is_file)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/db_test.XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    (void)snprintf(fixture->path, sizeof fixture->path,
                   is_file ? "%s/catalog.db" : ":memory:", fixture->directory);
    fixture->db = open_db(fixture->path);
    *state = fixture;
    return 0;
}

static int set_up_file(void **state)
{
    return set_up_at(state, true);
}

static int set_up_memory(void **state)
{
    return set_up_at(state, false);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-gate", "-lock"};
    static const char *const names[] = {"catalog.db", "other.db"};
    db_close(&fixture->db);
    db_close(&fixture->db); // NULL is fine
    for (size_t i = 0; i < ARRAY_COUNT(suffixes) * ARRAY_COUNT(names); i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%s%s", fixture->directory,
                       names[i / ARRAY_COUNT(suffixes)], suffixes[i % ARRAY_COUNT(suffixes)]);
        (void)unlink(path);
    }
    const int result = rmdir(fixture->directory);
    mem_free(fixture);
    return result;
}

static void run(struct db *db, const char *sql)
{
    struct err err = {0};
    if (!db_exec(db, sql, NULL, 0, NULL, &err))
        fail_msg("%s: %s", sql, err.message);
}

static void run_fails(struct db *db, const char *sql, enum err_kind kind)
{
    struct err err = {0};
    int64_t changed = 77;
    assert_false(db_exec(db, sql, NULL, 0, &changed, &err));
    if (err.kind != kind)
        fail_msg("%s: %s, %s", sql, err_kind_name(err.kind), err.message);
    assert_true(strlen(err.message) > 0);
    assert_int_equal(changed, 77);
}

static int64_t ask(struct db *db, const char *sql)
{
    struct err err = {0};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    if (!db_query(db, sql, NULL, 0, &rows, &err) || !db_rows_next(rows, &err))
        fail_msg("%s: %s", sql, err.message);
    return db_rows_int64(rows, 0);
}

static void begin(struct db *db)
{
    struct err err = {0};
    if (!db_begin(db, &err))
        fail_msg("%s", err.message);
}

static void commit(struct db *db)
{
    struct err err = {0};
    if (!db_commit(db, &err))
        fail_msg("%s", err.message);
}

// --- Statements and rows

static void values_come_back_as_they_went(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    run(fixture->db, "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT) STRICT");
    const struct db_value rows_in[][3] = {
        {db_int64(1), db_int64(INT64_MIN), db_text("h\xc3\xa9")},
        {db_int64(2), db_int64(INT64_MAX), db_text("")},
        {db_int64(3), db_null(), db_text(NULL)},
        {db_int64(4), db_int64(0), db_slice(slice_of("a\0b", 3))},
        {db_int64(5), db_int64(-1), db_slice(slice_of(NULL, 0))},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows_in); i++) {
        int64_t changed = 0;
        assert_true(db_exec(fixture->db, "INSERT INTO t VALUES($1, $2, $3)", rows_in[i], 3,
                            &changed, &err));
        assert_int_equal(changed, 1);
    }
    struct db_rows *rows = NULL;
    assert_true(db_query(fixture->db, "SELECT id, a, b FROM t ORDER BY id", NULL, 0, &rows, &err));
    for (size_t i = 0; i < ARRAY_COUNT(rows_in); i++) {
        assert_true(db_rows_next(rows, &err));
        assert_int_equal(db_rows_int64(rows, 0), (int64_t)i + 1);
        assert_int_equal(db_rows_int64(rows, 1), rows_in[i][1].number);
        assert_int_equal(db_rows_is_null(rows, 1), rows_in[i][1].kind == DB_NULL);
        assert_true(slice_equal(db_rows_text(rows, 2), rows_in[i][2].text));
        assert_int_equal(db_rows_is_null(rows, 2), rows_in[i][2].kind == DB_NULL);
    }
    for (size_t again = 0; again < 2; again++) {
        assert_false(db_rows_next(rows, &err));
        assert_int_equal(err.kind, ERR_NONE);
    }
    db_rows_close(&rows);
    assert_null(rows);
    db_rows_close(&rows); // NULL is fine
}

static void parameters_go_by_their_number(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct db_value values[12];
    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        values[i] = db_int64((int64_t)(100 + i));
    struct db_rows *rows = NULL;
    assert_true(db_query(fixture->db, "SELECT $2, $1, $2 + $12, $10", values, ARRAY_COUNT(values),
                         &rows, &err));
    assert_true(db_rows_next(rows, &err));
    assert_int_equal(db_rows_int64(rows, 0), 101);
    assert_int_equal(db_rows_int64(rows, 1), 100);
    assert_int_equal(db_rows_int64(rows, 2), 101 + 111);
    assert_int_equal(db_rows_int64(rows, 3), 109);
    db_rows_close(&rows);
}

static void values_may_go_before_the_rows_do(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    char text[] = "before";
    const struct db_value values[] = {db_text(text)};
    struct db_rows *rows = NULL;
    assert_true(db_query(fixture->db, "SELECT $1", values, 1, &rows, &err));
    memset(text, 'x', sizeof text - 1);
    assert_true(db_rows_next(rows, &err));
    assert_true(slice_equal_text(db_rows_text(rows, 0), "before"));
    db_rows_close(&rows);
}

static void changes_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    static const struct {
        const char *sql;
        int64_t changed;
    } steps[] = {
        {"CREATE TABLE t(a INTEGER) STRICT", 0},  {"INSERT INTO t VALUES(1), (2), (3)", 3},
        {"CREATE TABLE u(a INTEGER) STRICT", 0},  {"UPDATE t SET a = a + 10 WHERE a > 1", 2},
        {"UPDATE t SET a = 0 WHERE a > 1000", 0}, {"DELETE FROM t", 3},
    };
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        int64_t changed = -1;
        assert_true(db_exec(fixture->db, steps[i].sql, NULL, 0, &changed, &err));
        assert_int_equal(changed, steps[i].changed);
    }
}

static void rows_of_one_text_may_be_nested(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    run(fixture->db, "CREATE TABLE t(a INTEGER) STRICT");
    run(fixture->db, "INSERT INTO t VALUES(1), (2), (3)");
    static const char sql[] = "SELECT a FROM t ORDER BY a";
    int64_t sum = 0;
    struct db_rows *outer = NULL;
    assert_true(db_query(fixture->db, sql, NULL, 0, &outer, &err));
    while (db_rows_next(outer, &err)) {
        struct db_rows *inner = NULL;
        assert_true(db_query(fixture->db, sql, NULL, 0, &inner, &err));
        while (db_rows_next(inner, &err))
            sum += db_rows_int64(outer, 0) * db_rows_int64(inner, 0);
        assert_int_equal(err.kind, ERR_NONE);
        db_rows_close(&inner);
    }
    assert_int_equal(err.kind, ERR_NONE);
    db_rows_close(&outer);
    assert_int_equal(sum, 36);
}

static void more_texts_than_are_kept(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t i = 0; i < 1200; i++) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "SELECT %d", (int)(i % 600));
        assert_int_equal(ask(fixture->db, sql), i % 600);
    }
}

static void failures_have_kinds(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    assert_true(db_script(fixture->db,
                          "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
                          " CHECK(id < 100)) STRICT;"
                          "CREATE TABLE c(p INTEGER REFERENCES p(id)) STRICT;"
                          "INSERT INTO p VALUES(1, 'one')",
                          &err));
    run_fails(fixture->db, "INSERT INTO p VALUES(1, 'two')", ERR_CONFLICT);
    run_fails(fixture->db, "INSERT INTO p VALUES(2, 'one')", ERR_CONFLICT);
    run_fails(fixture->db, "INSERT INTO p VALUES(2, NULL)", ERR_IO);
    run_fails(fixture->db, "INSERT INTO p VALUES(100, 'check')", ERR_IO);
    run_fails(fixture->db, "INSERT INTO p VALUES('x', 'type')", ERR_IO);
    run_fails(fixture->db, "INSERT INTO c VALUES(7)", ERR_IO);
    run_fails(fixture->db, "INSERT INTO missing VALUES(7)", ERR_INVALID);
    struct db_rows *rows = NULL;
    assert_false(db_query(fixture->db, "SELECT FROM", NULL, 0, &rows, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(rows);
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM p"), 1);
    run(fixture->db, "INSERT INTO p VALUES(2, 'two')"); // the same text works again
}

static void rows_fail_while_they_are_read(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct db_rows *rows = NULL;
    assert_true(db_query(fixture->db, "SELECT abs($1)",
                         &(struct db_value){DB_INT64, INT64_MIN, {0}}, 1, &rows, &err));
    assert_false(db_rows_next(rows, &err)); // integer overflow
    assert_int_not_equal(err.kind, ERR_NONE);
    assert_false(db_rows_next(rows, &err));
    db_rows_close(&rows);
}

// --- Transactions

static void rollback_undoes_and_commit_keeps(void **state)
{
    struct fixture *fixture = *state;
    run(fixture->db, "CREATE TABLE t(a INTEGER PRIMARY KEY) STRICT");
    begin(fixture->db);
    run(fixture->db, "INSERT INTO t VALUES(1)");
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 1);
    db_rollback(fixture->db);
    db_rollback(fixture->db); // nothing to do
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 0);
    begin(fixture->db);
    run(fixture->db, "INSERT INTO t VALUES(1)");
    run_fails(fixture->db, "INSERT INTO t VALUES(1)", ERR_CONFLICT); // only the statement failed
    assert_int_equal(ask(fixture->db, "INSERT INTO t VALUES(2) RETURNING a * 10"), 20);
    commit(fixture->db);
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 2);
}

static void scripts_are_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    assert_false(db_script(
        fixture->db, "CREATE TABLE t(a INTEGER) STRICT; INSERT INTO missing VALUES(1);", &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM sqlite_master"), 0);
    begin(fixture->db);
    assert_true(db_script(fixture->db, "CREATE TABLE t(a INTEGER) STRICT; SELECT 1;", &err));
    db_rollback(fixture->db);
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM sqlite_master"), 0);
    assert_true(db_script(fixture->db, "CREATE TABLE t(a INTEGER) STRICT;", &err));
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM sqlite_master"), 1);
}

static void an_open_transaction_is_undone_by_close(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    run(fixture->db, "CREATE TABLE t(a INTEGER) STRICT");
    begin(fixture->db);
    run(fixture->db, "INSERT INTO t VALUES(1)");
    db_close(&fixture->db);
    assert_null(fixture->db);
    fixture->db = open_db(fixture->path);
    if (fixture->path[0] == ':')
        return; // memory is gone
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 0);
    assert_true(db_begin_read(fixture->db, &err));
    db_close(&fixture->db);
}

static void full_is_told_and_passes(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    run(fixture->db, "CREATE TABLE t(a TEXT) STRICT");
    (void)ask(fixture->db, "PRAGMA max_page_count = 8");
    begin(fixture->db);
    run(fixture->db, "INSERT INTO t VALUES('kept?')");
    run_fails(fixture->db, "INSERT INTO t VALUES(hex(zeroblob(100000)))", ERR_FULL);
    db_rollback(fixture->db);
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 0);
    run_fails(fixture->db, "INSERT INTO t VALUES(hex(zeroblob(100000)))", ERR_FULL);
    (void)ask(fixture->db, "PRAGMA max_page_count = 1000000");
    run(fixture->db, "INSERT INTO t VALUES(hex(zeroblob(100000)))");
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 1);
    assert_true(db_begin(fixture->db, &err));
    commit(fixture->db); // an empty one
}

// --- Files only

static void a_commit_survives_reopening(void **state)
{
    struct fixture *fixture = *state;
    run(fixture->db, "CREATE TABLE t(a INTEGER) STRICT");
    begin(fixture->db);
    run(fixture->db, "INSERT INTO t VALUES(41)");
    commit(fixture->db);
    db_close(&fixture->db);
    fixture->db = open_db(fixture->path);
    assert_int_equal(ask(fixture->db, "SELECT a FROM t"), 41);
    assert_int_equal(ask(fixture->db, "PRAGMA synchronous"), 2);
    assert_int_equal(ask(fixture->db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(ask(fixture->db, "PRAGMA busy_timeout"), 5000);
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM pragma_journal_mode"
                                      " WHERE journal_mode = 'wal'"),
                     1);
}

static void only_the_owner_may_read(void **state)
{
    struct fixture *fixture = *state;
    run(fixture->db, "CREATE TABLE t(a INTEGER) STRICT");
    static const char *const suffixes[] = {"", "-wal", "-shm", "-gate", "-lock"};
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        char path[96];
        struct stat status;
        (void)snprintf(path, sizeof path, "%s%s", fixture->path, suffixes[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

static void what_cannot_be_opened(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct db *db = NULL;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/other.db", fixture->directory);
    assert_false(db_sqlite_open(path, false, &db, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(db_sqlite_open("/nonexistent/directory/x.db", true, &db, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < 500; i++)
        (void)fputs("this is not a database\n", file);
    assert_int_equal(fclose(file), 0);
    assert_false(db_sqlite_open(path, true, &db, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_null(db);
}

static void damage_is_seen(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    run(fixture->db, "CREATE TABLE t(a TEXT) STRICT");
    run(fixture->db, "INSERT INTO t VALUES(hex(zeroblob(100)))");
    db_close(&fixture->db); // moves everything into the file
    char garbage[4096];
    memset(garbage, 0x5a, sizeof garbage);
    const int fd = open(fixture->path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, garbage, sizeof garbage, 4096), sizeof garbage);
    assert_int_equal(close(fd), 0);
    fixture->db = open_db(fixture->path);
    struct db_rows *rows = NULL;
    assert_true(db_query(fixture->db, "SELECT a FROM t", NULL, 0, &rows, &err));
    assert_false(db_rows_next(rows, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    db_rows_close(&rows);
}

static void a_view_stays_and_the_version_moves(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct db *other = open_db(fixture->path);
    run(fixture->db, "CREATE TABLE t(a INTEGER) STRICT");
    int64_t before = 0;
    int64_t after = 0;
    assert_true(db_data_version(fixture->db, &before, &err));
    run(fixture->db, "INSERT INTO t VALUES(1)");
    assert_true(db_data_version(fixture->db, &after, &err));
    assert_int_equal(after, before); // own commits do not count

    assert_true(db_begin_read(fixture->db, &err));
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 1);
    run(other, "INSERT INTO t VALUES(2)");
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 1);
    db_end_read(fixture->db);
    db_end_read(fixture->db); // nothing to do
    assert_int_equal(ask(fixture->db, "SELECT count(*) FROM t"), 2);
    assert_true(db_data_version(fixture->db, &after, &err));
    assert_int_not_equal(after, before);
    db_close(&other);
}

// A second name of the file has turnstile files of its own: a writer that does not queue.
static void a_writer_outside_of_the_queue_makes_it_unavailable(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    char path[96];
    (void)snprintf(path, sizeof path, "%s/other.db", fixture->directory);
    assert_int_equal(symlink("catalog.db", path), 0);
    struct db *stranger = open_db(path);
    assert_int_equal(ask(stranger, "PRAGMA busy_timeout = 20"), 20);
    begin(fixture->db);
    assert_false(db_begin(stranger, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_true(err_kind_is_retryable(err.kind));
    db_rollback(fixture->db);
    begin(stranger); // and it holds nothing that would keep it out
    commit(stranger);
    db_close(&stranger);
}

// --- The turnstile

enum turnstile_sizes {
    TURNSTILE_PROCESSES = 4,
    TURNSTILE_THREADS = 2,
    TURNSTILE_WRITES = 60,
};

struct writer {
    const char *path;
    struct thread thread;
    bool is_done;
};

static bool write_once(struct db *db, struct err *err)
{
    TRY(db_begin(db, err));
    struct db_rows *rows = NULL;
    bool is_done = db_query(db, "SELECT value FROM counter", NULL, 0, &rows, err) &&
                   db_rows_next(rows, err);
    const int64_t value = is_done ? db_rows_int64(rows, 0) : 0;
    db_rows_close(&rows);
    const struct db_value values[] = {db_int64(value + 1)};
    is_done = is_done && db_exec(db, "UPDATE counter SET value = $1", values, 1, NULL, err);
    if (!is_done) {
        db_rollback(db);
        return false;
    }
    return db_commit(db, err);
}

static void writer_run(void *context)
{
    struct writer *writer = context;
    struct err err = {0};
    struct db *db CLEANUP(db_close) = NULL;
    writer->is_done = db_sqlite_open(writer->path, false, &db, &err);
    for (size_t i = 0; writer->is_done && i < TURNSTILE_WRITES; i++)
        writer->is_done = write_once(db, &err);
    if (!writer->is_done)
        (void)fprintf(stderr, "writer: %s\n", err.message);
}

static bool writer_process_run(const char *path)
{
    struct writer writers[TURNSTILE_THREADS] = {0};
    bool is_done = true;
    for (size_t i = 0; i < ARRAY_COUNT(writers); i++) {
        writers[i].path = path;
        thread_start(&writers[i].thread, writer_run, &writers[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(writers); i++) {
        thread_join(&writers[i].thread);
        is_done = is_done && writers[i].is_done;
    }
    return is_done;
}

static void writers_never_see_busy(void **state)
{
    struct fixture *fixture = *state;
    run(fixture->db, "CREATE TABLE counter(value INTEGER NOT NULL) STRICT");
    run(fixture->db, "INSERT INTO counter VALUES(0)");
    db_close(&fixture->db); // connections do not go through a fork
    pid_t pids[TURNSTILE_PROCESSES];
    for (size_t i = 0; i < ARRAY_COUNT(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(writer_process_run(fixture->path) ? 0 : 1);
    }
    for (size_t i = 0; i < ARRAY_COUNT(pids); i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    fixture->db = open_db(fixture->path);
    assert_int_equal(ask(fixture->db, "SELECT value FROM counter"),
                     TURNSTILE_PROCESSES * TURNSTILE_THREADS * TURNSTILE_WRITES);
}

static void hold_until_killed(const char *path, int ready_fd)
{
    struct err err = {0};
    struct db *db = NULL;
    const bool is_held = db_sqlite_open(path, false, &db, &err) && db_begin(db, &err) &&
                         db_exec(db, "UPDATE counter SET value = 99", NULL, 0, NULL, &err);
    if (!is_held || write(ready_fd, "x", 1) != 1)
        _exit(1);
    for (;;)
        (void)pause();
}

static void a_killed_holder_lets_go(void **state)
{
    struct fixture *fixture = *state;
    run(fixture->db, "CREATE TABLE counter(value INTEGER NOT NULL) STRICT");
    run(fixture->db, "INSERT INTO counter VALUES(5)");
    db_close(&fixture->db);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        hold_until_killed(fixture->path, ready[1]);
    char byte = 0;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(close(ready[0]), 0);
    assert_int_equal(close(ready[1]), 0);
    fixture->db = open_db(fixture->path);
    begin(fixture->db);
    assert_int_equal(ask(fixture->db, "SELECT value FROM counter"), 5);
    run(fixture->db, "UPDATE counter SET value = value + 1");
    commit(fixture->db);
    assert_int_equal(ask(fixture->db, "SELECT value FROM counter"), 6);
}

#define BOTH(test)                                                                                 \
    {#test " (file)", test, set_up_file, tear_down, NULL},                                         \
    {                                                                                              \
#test " (memory)", test, set_up_memory, tear_down, NULL                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(values_come_back_as_they_went),
        BOTH(parameters_go_by_their_number),
        BOTH(values_may_go_before_the_rows_do),
        BOTH(changes_are_counted),
        BOTH(rows_of_one_text_may_be_nested),
        BOTH(more_texts_than_are_kept),
        BOTH(failures_have_kinds),
        BOTH(rows_fail_while_they_are_read),
        BOTH(rollback_undoes_and_commit_keeps),
        BOTH(scripts_are_whole_or_not_at_all),
        BOTH(an_open_transaction_is_undone_by_close),
        BOTH(full_is_told_and_passes),
        cmocka_unit_test_setup_teardown(a_commit_survives_reopening, set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(only_the_owner_may_read, set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened, set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_seen, set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(a_view_stays_and_the_version_moves, set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(a_writer_outside_of_the_queue_makes_it_unavailable,
                                        set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(writers_never_see_busy, set_up_file, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_holder_lets_go, set_up_file, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
