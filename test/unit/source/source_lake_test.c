// SPDX-License-Identifier: Apache-2.0
// Rows of segments in one order, whichever way they are cut; and what a wrong segment leads to.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_tree.h"
#include "base/mem.h"
#include "source_fixture.h"

#define TEXT_BYTES ((size_t)64 * 1024 * 1024)

static const char *const physical[] = {"name:t", "price:d", "^count:i", "flag:b"};
static const struct column columns[] = {
    {"name", FIELD_TEXT},      {"price", FIELD_DOUBLE}, {"Count", FIELD_INT64},
    {"flag", FIELD_BOOL},      {"app_id", FIELD_INT64}, {"organization_id", FIELD_TEXT},
    {"timestamp", FIELD_TIME}, {"absent", FIELD_TEXT},
};
static const enum field_type types[] = {FIELD_TEXT,  FIELD_DOUBLE, FIELD_INT64, FIELD_BOOL,
                                        FIELD_INT64, FIELD_TEXT,   FIELD_TIME,  FIELD_TEXT};

// Rows with seq in [from, to) of four topic and app pairs, one in four being the fixture's; time is
// seq / rate plus up to `jitter`, so that neighbours in seq overlap in time.
static void add_rows(struct source_fixture *fixture, int64_t from, int64_t to, int64_t jitter)
{
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, 8192);
    buf_append_format(&sql,
                      "SELECT CASE WHEN s %% 4 < 2 THEN %" PRId64 " ELSE 4 END::BIGINT AS _topic,"
                      " CASE WHEN s %% 2 = 0 THEN %" PRId64 " ELSE 8 END::BIGINT AS _app,"
                      " (1700000000000 + s * 10 + hash(s) %% %" PRId64 ")::BIGINT AS _time,"
                      " s AS _seq,"
                      " CASE WHEN s %% 5 > 0 THEN 'the name of event ' || s END AS \"name:t\","
                      " s / 8 AS \"price:d\", -s AS \"^count:i\", s %% 3 = 0 AS \"flag:b\"",
                      FIXTURE_TOPIC, FIXTURE_APP, jitter);
    buf_append_format(&sql,
                      " FROM range(%" PRId64 ", %" PRId64 ") r(s)"
                      " ORDER BY _topic, _app, _time, _seq",
                      from, to);
    source_fixture_add(fixture, buf_text(&sql), physical, 4);
}

static void append_expected(struct source_fixture *fixture, const char *condition, struct buf *text)
{
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, 8192);
    buf_append_format(
        &sql,
        "SELECT \"name:t\", \"price:d\", \"^count:i\", \"flag:b\", _app,"
        " '%" PRId64 "', _time, NULL::VARCHAR FROM '%s/*.parquet'"
        " WHERE _topic = %" PRId64 " AND _app = %" PRId64 " AND (%s) ORDER BY _time, _seq",
        FIXTURE_ORGANIZATION, fixture->directory, FIXTURE_TOPIC, FIXTURE_APP, condition);
    source_fixture_query(fixture, buf_text(&sql), types, 8, text);
}

static void assert_equal_text(const struct buf *left, const struct buf *right)
{
    assert_int_equal(left->size_bytes, right->size_bytes);
    assert_memory_equal(left->data, right->data, left->size_bytes);
}

static void assert_rows(struct source_fixture *fixture, const struct source_spec *spec,
                        const char *condition)
{
    struct buf expected CLEANUP(buf_clear);
    struct buf text CLEANUP(buf_clear);
    buf_init(&expected, TEXT_BYTES);
    buf_init(&text, TEXT_BYTES);
    append_expected(fixture, condition, &expected);
    if (!source_fixture_run(fixture, spec, &text))
        fail_msg("%s", fixture->err.message);
    assert_equal_text(&text, &expected);
}

static void assert_fails(struct source_fixture *fixture, const struct source_spec *spec,
                         enum err_kind kind, const char *words)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, TEXT_BYTES);
    assert_false(source_fixture_run(fixture, spec, &text));
    assert_int_equal(fixture->err.kind, kind);
    assert_non_null(strstr(fixture->err.message, words));
}

static void test_merge_equals_sort(void **state)
{
    struct source_fixture *fixture = *state;
    for (int64_t i = 0; i < 10; i++) // neighbours overlap
        add_rows(fixture, i * 5000, (i + 1) * 5000, 30000);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    assert_rows(fixture, &spec, "true");
}

static void test_order_of_segments_does_not_matter(void **state)
{
    struct source_fixture *fixture = *state;
    for (int64_t i = 9; i >= 0; i--)
        add_rows(fixture, i * 1000, (i + 1) * 1000, 50000);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    assert_rows(fixture, &spec, "true");
}

static void test_many_overlapping_segments_are_sorted_by_the_engine(void **state)
{
    struct source_fixture *fixture = *state;
    struct buf merged CLEANUP(buf_clear);
    struct buf sorted CLEANUP(buf_clear);
    buf_init(&merged, TEXT_BYTES);
    buf_init(&sorted, TEXT_BYTES);
    // 16 segments that all overlap are the most that are merged, 17 and more are sorted.
    for (int64_t i = 0; i < 16; i++)
        add_rows(fixture, i * 1700, (i + 1) * 1700, 10000000);
    struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    assert_true(source_fixture_run(fixture, &spec, &merged));
    for (int64_t i = 0; i < 17; i++)
        add_rows(fixture, i * 1600, (i + 1) * 1600, 10000000);
    spec = source_fixture_spec(fixture, columns, 8);
    spec.segments += 16;
    spec.segment_count -= 16;
    assert_true(source_fixture_run(fixture, &spec, &sorted));
    assert_equal_text(&merged, &sorted);
    assert_true(merged.size_bytes > 100000);
}

static void test_window_and_range_edges(void **state)
{
    struct source_fixture *fixture = *state;
    for (int64_t i = 0; i < 4; i++)
        add_rows(fixture, i * 1000, (i + 1) * 1000, 100);
    struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    const int64_t edge = INT64_C(1700000000000);
    spec.start_ms = edge + 5000;
    spec.end_ms = edge + 30000;
    assert_rows(fixture, &spec, "_time >= 1700000005000 AND _time < 1700000030000");
    spec.seq_lo = 1000;
    spec.seq_hi = 2000;
    assert_rows(
        fixture, &spec,
        "_time >= 1700000005000 AND _time < 1700000030000 AND _seq > 1000 AND _seq <= 2000");
    spec.end_ms = spec.start_ms;
    assert_rows(fixture, &spec, "false");
}

static void test_edges_to_the_millisecond(void **state)
{
    struct source_fixture *fixture = *state;
    source_fixture_add(fixture,
                       "SELECT 3::BIGINT AS _topic, 1234567890123456789 AS _app,"
                       " (99 + i)::BIGINT AS _time, i AS _seq, 'n' || i AS \"name:t\""
                       " FROM range(1, 5) r(i) ORDER BY i",
                       physical, 1);
    struct source_spec spec = source_fixture_spec(fixture, columns, 1);
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4096);
    spec.start_ms = 101; // seq 2
    spec.end_ms = 103;   // seq 4
    assert_true(source_fixture_run(fixture, &spec, &text));
    assert_string_equal(buf_text(&text), "n2|\nn3|\n");
    buf_reset(&text);
    spec.start_ms = 0;
    spec.end_ms = 200;
    spec.seq_lo = 1;
    spec.seq_hi = 3;
    assert_true(source_fixture_run(fixture, &spec, &text));
    assert_string_equal(buf_text(&text), "n2|\nn3|\n");
}

static void test_no_segments_and_no_rows(void **state)
{
    struct source_fixture *fixture = *state;
    struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4096);
    assert_true(source_fixture_run(fixture, &spec, &text));
    add_rows(fixture, 0, 100, 10);
    add_rows(fixture, 100, 200, 10);
    spec = source_fixture_spec(fixture, columns, 8);
    spec.seq_lo = 5000; // nothing is that late
    assert_true(source_fixture_run(fixture, &spec, &text));
    spec = source_fixture_spec(fixture, columns, 8);
    spec.app_id = 77;
    assert_true(source_fixture_run(fixture, &spec, &text));
    spec = source_fixture_spec(fixture, columns, 8);
    spec.end_ms = 1000; // before all segments: none is opened
    assert_true(source_fixture_run(fixture, &spec, &text));
    assert_int_equal(text.size_bytes, 0);
}

static void test_job_without_columns_counts_rows(void **state)
{
    struct source_fixture *fixture = *state;
    add_rows(fixture, 0, 4000, 10);
    const struct source_spec spec = source_fixture_spec(fixture, NULL, 0);
    struct source *source CLEANUP(source_close) = NULL;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 65536);
    assert_true(source_lake_open(fixture->engine, &spec, &source, &fixture->err));
    assert_true(source_fixture_read(fixture, source, &text));
    assert_int_equal(source_row_count(source), 1000);
}

static const struct filter *parse_filter(struct source_fixture *fixture, const char *text,
                                         struct arena *arena)
{
    struct schema_field fields[] = {
        {.name = "name", .type = FIELD_TEXT},
        {.name = "Count", .type = FIELD_INT64},
        {.name = "absent", .type = FIELD_TEXT},
    };
    const struct schema schema = {.topic_name = "t", .fields = fields, .field_count = 3};
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const struct filter *filter = NULL;
    assert_true(json_tree_parse(slice_text(text), &tree, &fixture->err));
    if (!filter_parse(json_tree_root(tree), &schema, arena, &filter, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return filter;
}

static void test_filter_sees_the_same_values_as_the_file(void **state)
{
    struct source_fixture *fixture = *state;
    static const struct {
        const char *filter;
        const char *condition;
    } cases[] = {
        {"[\"gt\",\"Count\",-2000]", "\"^count:i\" > -2000"},
        {"[\"or\",[\"eq\",\"name\",\"the name of event 8\"],[\"eq\",\"name\",null]]",
         "\"name:t\" = 'the name of event 8' OR \"name:t\" IS NULL"},
        {"[\"eq\",\"absent\",\"x\"]", "false"},
        {"[\"eq\",\"absent\",null]", "true"},
        {"[\"eq\",\"name\",\"'; DROP TABLE x; --\"]", "false"},
        {"[\"eq\",\"app_id\",\"1234567890123456789\"]", "true"},
        {"[\"lt\",\"timestamp\",1700000010000]", "_time < 1700000010000"},
    };
    add_rows(fixture, 0, 2000, 1000);
    add_rows(fixture, 2000, 4000, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        struct source_spec spec = source_fixture_spec(fixture, columns, 8);
        spec.filter = parse_filter(fixture, cases[i].filter, &arena);
        assert_rows(fixture, &spec, cases[i].condition);
    }
}

// A field that was long, then double, then text; a job may ask for it as any of them.
static void add_widened(struct source_fixture *fixture)
{
    static const char *const as_long[] = {"f:i"};
    static const char *const as_double[] = {"f:d"};
    static const char *const as_both[] = {"f:d", "f:t"};
    static const char *const other[] = {"g:i"};
    const char *head = "SELECT 3::BIGINT AS _topic, 1234567890123456789 AS _app,";
    char sql[512];
    snprintf(sql, sizeof sql, "%s 10::BIGINT AS _time, 1::BIGINT AS _seq, 7::BIGINT AS \"f:i\"",
             head);
    source_fixture_add(fixture, sql, as_long, 1);
    snprintf(sql, sizeof sql, "%s 20::BIGINT AS _time, 2::BIGINT AS _seq, 2.5::DOUBLE AS \"f:d\"",
             head);
    source_fixture_add(fixture, sql, as_double, 1);
    snprintf(sql, sizeof sql,
             "%s (25 + i)::BIGINT AS _time, i AS _seq,"
             " CASE WHEN i = 3 THEN 4.0::DOUBLE END AS \"f:d\","
             " CASE WHEN i = 4 THEN '12' WHEN i = 5 THEN 'words' END AS \"f:t\""
             " FROM range(3, 7) r(i)",
             head);
    source_fixture_add(fixture, sql, as_both, 2);
    snprintf(sql, sizeof sql, "%s 40::BIGINT AS _time, 7::BIGINT AS _seq, 1::BIGINT AS \"g:i\"",
             head);
    source_fixture_add(fixture, sql, other, 1);
}

static void assert_widened(struct source_fixture *fixture)
{
    static const struct {
        enum field_type type;
        const char *text;
    } wanted[] = {
        {FIELD_INT64, "7|\n~|\n4|\n12|\n~|\n~|\n~|\n"},
        {FIELD_DOUBLE, "7|\n2.5|\n4|\n12|\n~|\n~|\n~|\n"},
        {FIELD_TEXT, "7|\n2.5|\n4|\n12|\nwords|\n~|\n~|\n"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct column column = {"f", wanted[i].type};
        const struct source_spec spec = source_fixture_spec(fixture, &column, 1);
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, 4096);
        assert_true(source_fixture_run(fixture, &spec, &text));
        assert_string_equal(buf_text(&text), wanted[i].text);
    }
}

static void test_widened_field_is_read_in_any_type(void **state)
{
    struct source_fixture *fixture = *state;
    add_widened(fixture);
    assert_widened(fixture);
    // The same rows when there are so many segments that the engine sorts.
    for (int64_t i = 0; i < 17; i++) {
        add_rows(fixture, i, i + 1, 1);
        // Wide in time, so that all overlap; without rows of this job.
        fixture->segments[fixture->segment_count - 1].time_min_ms = 0;
        fixture->segments[fixture->segment_count - 1].time_max_ms = INT64_C(1800000000000);
    }
    const struct column column = {"f", FIELD_TEXT};
    struct source_spec spec = source_fixture_spec(fixture, &column, 1);
    spec.end_ms = 1000;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4096);
    assert_true(source_fixture_run(fixture, &spec, &text));
    assert_string_equal(buf_text(&text), "7|\n2.5|\n4|\n12|\nwords|\n~|\n~|\n");
}

static void test_rows_out_of_order_are_found(void **state)
{
    struct source_fixture *fixture = *state;
    source_fixture_add(fixture,
                       "SELECT 3::BIGINT AS _topic, 1234567890123456789 AS _app,"
                       " CASE WHEN i = 30000 THEN 5 ELSE i END::BIGINT AS _time, i AS _seq"
                       " FROM range(1, 40000) r(i)",
                       NULL, 0);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    assert_fails(fixture, &spec, ERR_CORRUPT, "rows out of order in ");
    assert_non_null(strstr(fixture->err.message, fixture->paths[0]));
}

static void test_same_key_twice_is_found(void **state)
{
    struct source_fixture *fixture = *state;
    add_rows(fixture, 0, 400, 10);
    add_rows(fixture, 396, 800, 10); // a row of the first again
    struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    assert_fails(fixture, &spec, ERR_CORRUPT, "is both in ");
    // The engine's sort does not hide it either.
    for (int64_t i = 0; i < 17; i++)
        add_rows(fixture, 0, 400, 10);
    spec = source_fixture_spec(fixture, columns, 8);
    assert_fails(fixture, &spec, ERR_CORRUPT, "rows out of order in sorted segments");
}

static void test_rows_outside_known_times_are_found(void **state)
{
    struct source_fixture *fixture = *state;
    add_rows(fixture, 0, 4000, 10);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    fixture->segments[0].time_min_ms += 5000;
    assert_fails(fixture, &spec, ERR_CORRUPT, "outside the times known");
    fixture->segments[0].time_min_ms -= 5000;
    fixture->segments[0].time_max_ms -= 5000;
    assert_fails(fixture, &spec, ERR_CORRUPT, "outside the times known");
}

static void test_column_of_another_type_fails(void **state)
{
    struct source_fixture *fixture = *state;
    source_fixture_add(fixture,
                       "SELECT 3::BIGINT AS _topic, 1234567890123456789 AS _app,"
                       " 5::BIGINT AS _time, 1::BIGINT AS _seq, 5::INTEGER AS \"^count:i\"",
                       &physical[2], 1);
    const struct source_spec spec = source_fixture_spec(fixture, &columns[2], 1);
    assert_fails(fixture, &spec, ERR_INVALID, "has type");
}

static void test_segments_are_opened_when_reached(void **state)
{
    struct source_fixture *fixture = *state;
    add_rows(fixture, 0, 40000, 10);
    add_rows(fixture, 40000, 80000, 10);
    assert_int_equal(unlink(fixture->paths[1]), 0);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    struct source *source CLEANUP(source_close) = NULL;
    assert_true(source_lake_open(fixture->engine, &spec, &source, &fixture->err));
    struct source_rows rows;
    uint64_t row_count = 0;
    bool is_fine;
    while ((is_fine = source_next(source, &rows, &fixture->err)) && rows.row_count > 0)
        row_count += rows.row_count;
    assert_false(is_fine); // not an end
    assert_int_equal(fixture->err.kind, ERR_IO);
    assert_non_null(strstr(fixture->err.message, fixture->paths[1]));
    assert_int_equal(row_count, 10000); // of the first, whose last rows are far enough away
    assert_int_equal(source_row_count(source), row_count);
}

static void test_closing_early_is_fine(void **state)
{
    struct source_fixture *fixture = *state;
    for (int64_t i = 0; i < 5; i++)
        add_rows(fixture, i * 10000, (i + 1) * 10000, 1000000);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    struct source *source = NULL;
    assert_true(source_lake_open(fixture->engine, &spec, &source, &fixture->err));
    source_close(&source); // before the first row
    assert_null(source);
    assert_true(source_lake_open(fixture->engine, &spec, &source, &fixture->err));
    struct source_rows rows;
    for (int i = 0; i < 100; i++)
        assert_true(source_next(source, &rows, &fixture->err));
    assert_true(rows.row_count > 0);
    source_close(&source);
    source_close(&source); // twice
}

static void damage(const char *path, off_t position, size_t size_bytes)
{
    static const char garbage[4096];
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(size_bytes <= sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, size_bytes, position), (ssize_t)size_bytes);
    assert_int_equal(close(fd), 0);
}

static void test_damage_in_the_middle_never_ends_short(void **state)
{
    struct source_fixture *fixture = *state;
    add_rows(fixture, 0, 400000, 10);
    const struct source_spec spec = source_fixture_spec(fixture, columns, 8);
    struct stat status;
    assert_int_equal(stat(fixture->paths[0], &status), 0);
    damage(fixture->paths[0], status.st_size * 3 / 8, 4096);
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, TEXT_BYTES);
    assert_false(source_fixture_run(fixture, &spec, &text));
    assert_int_equal(fixture->err.kind, ERR_IO);
    assert_non_null(strstr(fixture->err.message, fixture->paths[0]));
    assert_true(text.size_bytes > 0); // rows before it had been read: an end would be a short file
    assert_int_equal(truncate(fixture->paths[0], status.st_size / 2), 0);
    assert_false(source_fixture_run(fixture, &spec, &text));
    assert_int_equal(fixture->err.kind, ERR_IO);
}

#define LAKE_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, source_fixture_set_up, source_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAKE_TEST(test_merge_equals_sort),
        LAKE_TEST(test_order_of_segments_does_not_matter),
        LAKE_TEST(test_many_overlapping_segments_are_sorted_by_the_engine),
        LAKE_TEST(test_window_and_range_edges),
        LAKE_TEST(test_edges_to_the_millisecond),
        LAKE_TEST(test_no_segments_and_no_rows),
        LAKE_TEST(test_job_without_columns_counts_rows),
        LAKE_TEST(test_filter_sees_the_same_values_as_the_file),
        LAKE_TEST(test_widened_field_is_read_in_any_type),
        LAKE_TEST(test_rows_out_of_order_are_found),
        LAKE_TEST(test_same_key_twice_is_found),
        LAKE_TEST(test_rows_outside_known_times_are_found),
        LAKE_TEST(test_column_of_another_type_fails),
        LAKE_TEST(test_segments_are_opened_when_reached),
        LAKE_TEST(test_closing_early_is_fine),
        LAKE_TEST(test_damage_in_the_middle_never_ends_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
