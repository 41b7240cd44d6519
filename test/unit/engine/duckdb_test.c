// SPDX-License-Identifier: Apache-2.0
// The engine's contract: rows in order, whole or an error, and what is what among errors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/duckdb.h"

struct fixture {
    bool fetches_ahead;
    char directory[64];
    struct engine *engine;
    struct err err;
};

static struct engine *open_engine(const struct fixture *fixture, int64_t memory_bytes)
{
    struct err err = {0};
    struct engine *engine = NULL;
    const struct engine_config config = {
        .memory_limit_bytes = memory_bytes,
        .thread_count = 1,
        .temp_directory = fixture->directory,
        .fetches_ahead = fixture->fetches_ahead,
    };
    assert_true(engine_open(&config, &engine, &err));
    assert_int_equal(engine_fetches_ahead(engine), fixture->fetches_ahead);
    return engine;
}

static int set_up(void **state)
{
    const bool *fetches_ahead = *state;
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    fixture->fetches_ahead = *fetches_ahead;
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-engine-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    fixture->engine = open_engine(fixture, INT64_C(256) << 20);
    *state = fixture;
    return 0;
}

static bool remove_file(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    engine_close(&fixture->engine);
    assert_null(fixture->engine);
    assert_true(file_walk(fixture->directory, "", remove_file, NULL, &fixture->err));
    for (size_t i = 0; i < 4; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/k=%zu", fixture->directory, i);
        (void)rmdir(path); // of one test only
    }
    assert_int_equal(rmdir(fixture->directory), 0);
    mem_free(fixture);
    return 0;
}

static bool start(struct fixture *fixture, const char *sql, const enum field_type *types,
                  size_t count, struct engine_stream **ret_stream)
{
    err_clear(&fixture->err);
    return engine_query(fixture->engine, slice_text(sql), types, count, ret_stream, &fixture->err);
}

// Runs a statement to its end and tells whether all of it went well; adds up the first column.
static bool run(struct fixture *fixture, const char *sql, int64_t *ret_sum)
{
    static const enum field_type types[] = {FIELD_INT64};
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    if (!start(fixture, sql, types, 1, &stream))
        return false;
    *ret_sum = 0;
    for (;;) {
        const struct batch *batch = NULL;
        if (!engine_stream_next(stream, &batch, &fixture->err))
            return false;
        if (batch->row_count == 0)
            return true;
        for (size_t row = 0; row < batch->row_count; row++)
            *ret_sum += batch_int64(&batch->columns[0], row);
    }
}

static void test_version_is_that_of_the_library(void **state)
{
    (void)state;
    assert_int_equal(engine_version()[0], 'v');
    assert_non_null(strchr(engine_version(), '.'));
}

static void test_values_of_every_type_and_nulls(void **state)
{
    struct fixture *fixture = *state;
    static const enum field_type types[] = {FIELD_INT64, FIELD_TIME, FIELD_DOUBLE,
                                            FIELD_BOOL,  FIELD_TEXT, FIELD_JSON};
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    assert_true(start(fixture,
                      "SELECT i, -i, i / 4, i % 2 = 1, CASE WHEN i % 3 > 0 THEN 'short' || i END,"
                      " 'a text of more than twelve bytes ' || i FROM range(5000) r(i)",
                      types, 6, &stream));
    int64_t next = 0;
    const struct batch *batch = NULL;
    do {
        assert_true(engine_stream_next(stream, &batch, &fixture->err));
        assert_int_equal(batch->column_count, 6);
        for (size_t row = 0; row < batch->row_count; row++, next++) {
            char text[64];
            assert_int_equal(batch_int64(&batch->columns[0], row), next);
            assert_int_equal(batch_int64(&batch->columns[1], row), -next);
            assert_true(batch_double(&batch->columns[2], row) == (double)next / 4);
            assert_int_equal(batch_bool(&batch->columns[3], row), next % 2 == 1);
            assert_int_equal(batch_is_valid(&batch->columns[4], row), next % 3 > 0);
            snprintf(text, sizeof text, "short%" PRId64, next);
            if (next % 3 > 0)
                assert_true(slice_equal_text(batch_text(&batch->columns[4], row), text));
            snprintf(text, sizeof text, "a text of more than twelve bytes %" PRId64, next);
            assert_true(slice_equal_text(batch_text(&batch->columns[5], row), text));
        }
    } while (batch->row_count > 0);
    assert_int_equal(next, 5000);
    assert_int_equal(batch->columns[1].type, FIELD_TIME);
    assert_int_equal(batch->columns[5].type, FIELD_JSON);
    // The end stays the end.
    assert_true(engine_stream_next(stream, &batch, &fixture->err));
    assert_int_equal(batch->row_count, 0);
}

static void test_query_without_rows_ends_at_once(void **state)
{
    struct fixture *fixture = *state;
    int64_t sum = -1;
    assert_true(run(fixture, "SELECT i FROM range(10) r(i) WHERE i > 100", &sum));
    assert_int_equal(sum, 0);
}

static void test_streams_are_independent(void **state)
{
    struct fixture *fixture = *state;
    static const enum field_type types[] = {FIELD_INT64};
    struct engine_stream *left CLEANUP(engine_stream_close) = NULL;
    struct engine_stream *right CLEANUP(engine_stream_close) = NULL;
    assert_true(start(fixture, "SELECT i FROM range(100000) r(i)", types, 1, &left));
    assert_true(start(fixture, "SELECT i + 1 FROM range(100000) r(i)", types, 1, &right));
    const struct batch *one = NULL;
    const struct batch *other = NULL;
    assert_true(engine_stream_next(left, &one, &fixture->err));
    assert_true(engine_stream_next(right, &other, &fixture->err));
    assert_int_equal(batch_int64(&one->columns[0], 0), 0);
    assert_int_equal(batch_int64(&other->columns[0], 0), 1);
    engine_stream_close(&left); // half read
    assert_null(left);
    assert_true(engine_stream_next(right, &other, &fixture->err));
    assert_true(other->row_count > 0);
    engine_stream_close(&left); // twice is fine
}

static void test_streams_may_be_left_at_any_point(void **state)
{
    struct fixture *fixture = *state;
    static const enum field_type types[] = {FIELD_INT64};
    const struct batch *batch = NULL;
    for (size_t read_count = 0; read_count < 6; read_count++) {
        struct engine_stream *streams[20] = {NULL};
        for (size_t i = 0; i < 20; i++)
            assert_true(start(fixture, "SELECT i FROM range(100000) r(i)", types, 1, &streams[i]));
        for (size_t i = 20; i > 0; i--) { // the youngest first
            for (size_t j = 0; j < read_count; j++) {
                assert_true(engine_stream_next(streams[i - 1], &batch, &fixture->err));
                assert_int_equal(batch_int64(&batch->columns[0], 0), j * 2048);
            }
            engine_stream_close(&streams[i - 1]);
        }
    }
}

static void assert_refused(struct fixture *fixture, const char *sql)
{
    static const enum field_type types[] = {FIELD_INT64, FIELD_TEXT};
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    const struct batch *batch = NULL;
    assert_false(start(fixture, sql, types, 2, &stream) &&
                 engine_stream_next(stream, &batch, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
}

static void test_other_columns_than_announced_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_refused(fixture, "SELECT 1::BIGINT");
    assert_refused(fixture, "SELECT 1::BIGINT, 2.5::DOUBLE");
    assert_refused(fixture, "SELECT 1::INTEGER, 'x'");
}

static void test_wrong_sql_is_invalid(void **state)
{
    struct fixture *fixture = *state;
    int64_t sum = 0;
    assert_false(run(fixture, "SELEC 1", &sum));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_null(strchr(fixture->err.message, '\n'));
    assert_false(run(fixture, "SELECT no_such_column FROM range(1)", &sum));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_false(run(fixture, "SELECT no_such_function(1)", &sum));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    assert_false(engine_query(fixture->engine, slice_of("SELECT 1::BIGINT\0--", 19), NULL, 0,
                              &(struct engine_stream *){NULL}, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
}

static void test_missing_file_is_io(void **state)
{
    struct fixture *fixture = *state;
    int64_t sum = 0;
    assert_false(run(fixture, "SELECT x FROM read_parquet('/no/such/file.parquet')", &sum));
    assert_int_equal(fixture->err.kind, ERR_IO);
    assert_non_null(strstr(fixture->err.message, "/no/such/file.parquet"));
}

static void test_full_disk_is_full(void **state)
{
    struct fixture *fixture = *state;
    int64_t sum = 0;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_false(run(fixture,
                     "COPY (SELECT i FROM range(1000000) r(i)) TO '/dev/full'"
                     " (FORMAT csv, USE_TMP_FILE false)",
                     &sum));
    assert_int_equal(fixture->err.kind, ERR_FULL);
}

static void test_error_after_rows_is_not_an_end(void **state)
{
    struct fixture *fixture = *state;
    static const enum field_type types[] = {FIELD_INT64};
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    assert_true(start(fixture,
                      "SELECT CASE WHEN i = 150000 THEN error('stop here') ELSE i END::BIGINT"
                      " FROM range(200000) r(i)",
                      types, 1, &stream));
    int64_t row_count = 0;
    const struct batch *batch = NULL;
    bool is_fine;
    while ((is_fine = engine_stream_next(stream, &batch, &fixture->err)) && batch->row_count > 0)
        row_count += (int64_t)batch->row_count;
    assert_false(is_fine);
    assert_int_equal(fixture->err.kind, ERR_IO);
    assert_non_null(strstr(fixture->err.message, "stop here"));
    assert_true(row_count > 0);
    assert_true(row_count <= 150000);
}

static void test_too_little_memory_is_limit_and_survivable(void **state)
{
    struct fixture *fixture = *state;
    engine_close(&fixture->engine);
    fixture->engine = open_engine(fixture, INT64_C(16) << 20);
    int64_t sum = 0;
    assert_false(run(fixture,
                     "SELECT length(string_agg(repeat('x', 1000000) || i, ''))"
                     " FROM range(200) r(i)",
                     &sum));
    assert_int_equal(fixture->err.kind, ERR_LIMIT);
    assert_true(run(fixture, "SELECT i FROM range(4) r(i)", &sum));
    assert_int_equal(sum, 6);
}

static void test_sort_spills_into_the_given_directory(void **state)
{
    struct fixture *fixture = *state;
    engine_close(&fixture->engine);
    fixture->engine = open_engine(fixture, INT64_C(32) << 20);
    int64_t sum = 0;
    assert_true(run(fixture,
                    "SELECT i FROM (SELECT i, repeat('x', 20) || hash(i) AS t"
                    " FROM range(1000000) r(i)) ORDER BY t",
                    &sum));
    assert_int_equal(sum, INT64_C(999999) * 1000000 / 2);
}

static void test_literals_and_identifiers_cannot_break_out(void **state)
{
    struct fixture *fixture = *state;
    static const char *const texts[] = {
        "", "plain", "it's", "'", "''", "' OR 1=1 --", "a\"b", "\\", "\\'", "\xc3\xa9 \n\t;"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf sql CLEANUP(buf_clear);
        buf_init(&sql, 4096);
        buf_append_text(&sql, "SELECT ");
        engine_append_literal(&sql, slice_text(texts[i]));
        buf_append_text(&sql, ", \"t\".");
        engine_append_identifier(&sql, slice_text(texts[i][0] == '\0' ? "x" : texts[i]));
        buf_append_text(&sql, " FROM (SELECT 'found' AS ");
        engine_append_identifier(&sql, slice_text(texts[i][0] == '\0' ? "x" : texts[i]));
        buf_append_text(&sql, ") \"t\"");
        static const enum field_type types[] = {FIELD_TEXT, FIELD_TEXT};
        struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
        assert_true(start(fixture, buf_text(&sql), types, 2, &stream));
        const struct batch *batch = NULL;
        assert_true(engine_stream_next(stream, &batch, &fixture->err));
        assert_true(slice_equal_text(batch_text(&batch->columns[0], 0), texts[i]));
        assert_true(slice_equal_text(batch_text(&batch->columns[1], 0), "found"));
    }
}

static void test_parquet_paths_are_not_patterns(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"a=b*c'd?.parquet", "a=bxc'dy.parquet", "[x].parquet",
                                        "x.parquet"};
    char paths[4][128];
    int64_t sum = 0;
    for (size_t i = 0; i < 4; i++) {
        struct buf sql CLEANUP(buf_clear);
        buf_init(&sql, 4096);
        snprintf(paths[i], sizeof paths[i], "%s/k=%zu/%s", fixture->directory, i, names[i]);
        char parent[96];
        snprintf(parent, sizeof parent, "%s/k=%zu", fixture->directory, i);
        assert_true(file_make_directories(parent, &fixture->err));
        buf_append_format(&sql, "COPY (SELECT %d::BIGINT AS v%s) TO ", 1 << i,
                          i == 1 ? ", 7::BIGINT AS w" : "");
        engine_append_literal(&sql, slice_text(paths[i]));
        assert_true(run(fixture, buf_text(&sql), &sum));
    }
    for (unsigned chosen = 1; chosen < 16; chosen++) {
        const char *some[4];
        size_t count = 0;
        for (size_t i = 0; i < 4; i++) {
            if ((chosen >> i & 1) != 0)
                some[count++] = paths[i];
        }
        struct buf sql CLEANUP(buf_clear);
        buf_init(&sql, 4096);
        buf_append_text(&sql, "SELECT v FROM ");
        engine_append_parquet(&sql, some, count);
        assert_true(run(fixture, buf_text(&sql), &sum));
        assert_int_equal(sum, chosen);
    }
    // A directory's "k=1" is no column, and a column that only some files have is null in the
    // others.
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, 4096);
    const char *some[] = {paths[0], paths[1]};
    buf_append_text(&sql, "SELECT count(w) * 10 + count(*) FROM ");
    engine_append_parquet(&sql, some, 2);
    assert_true(run(fixture, buf_text(&sql), &sum));
    assert_int_equal(sum, 12);
    buf_reset(&sql);
    buf_append_text(&sql, "SELECT k FROM ");
    engine_append_parquet(&sql, some, 2);
    assert_false(run(fixture, buf_text(&sql), &sum));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
}

// Everything holds whether or not a thread of the engine fetches ahead.
static int run_all(bool fetches_ahead)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_is_that_of_the_library),
        cmocka_unit_test_prestate_setup_teardown(test_values_of_every_type_and_nulls, set_up,
                                                 tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_query_without_rows_ends_at_once, set_up,
                                                 tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_streams_are_independent, set_up, tear_down,
                                                 &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_streams_may_be_left_at_any_point, set_up,
                                                 tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_other_columns_than_announced_are_refused,
                                                 set_up, tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_wrong_sql_is_invalid, set_up, tear_down,
                                                 &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_missing_file_is_io, set_up, tear_down,
                                                 &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_full_disk_is_full, set_up, tear_down,
                                                 &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_error_after_rows_is_not_an_end, set_up,
                                                 tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_too_little_memory_is_limit_and_survivable,
                                                 set_up, tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_sort_spills_into_the_given_directory, set_up,
                                                 tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_literals_and_identifiers_cannot_break_out,
                                                 set_up, tear_down, &fetches_ahead),
        cmocka_unit_test_prestate_setup_teardown(test_parquet_paths_are_not_patterns, set_up,
                                                 tear_down, &fetches_ahead),
    };
    return cmocka_run_group_tests_name(fetches_ahead ? "ahead" : "when asked for", tests, NULL,
                                       NULL);
}

int main(void)
{
    return run_all(false) + run_all(true);
}
