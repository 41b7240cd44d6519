// SPDX-License-Identifier: Apache-2.0
// Merging keeps every row and value, what is damaged stops it, and the sweep deletes what nobody
// needs.
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

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/sink.h"
#include "catalog/segments.h"
#include "engine/duckdb.h"
#include "lake/compact.h"
#include "lake/segment_path.h"

#define NOW_MS       INT64_C(1700100000000)
#define HOUR_MS      INT64_C(1699999200000) // start of an hour
#define SEGMENTS_MAX 16

struct fixture {
    char directory[64];
    struct arena arena;
    struct err err;
    struct engine *engine;
    struct catalog *catalog;
    struct clock_fixed clock;
    struct compact_config config;
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count;
};

static const char *in_directory(struct fixture *fixture, const char *path)
{
    return segment_path_full(&fixture->arena, fixture->directory, path);
}

static void check(struct fixture *fixture, bool is_fine)
{
    if (!is_fine)
        fail_msg("%s", fixture->err.message);
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-compact-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    arena_init(&fixture->arena);
    const struct engine_config config = {
        .memory_limit_bytes = INT64_C(512) << 20,
        .thread_count = 1,
        .temp_directory = fixture->directory,
    };
    check(fixture, engine_open(&config, &fixture->engine, &fixture->err));
    check(fixture,
          catalog_create(in_directory(fixture, "catalog.db"), &fixture->catalog, &fixture->err));
    check(fixture, file_make_directories(in_directory(fixture, "lake"), &fixture->err));
    clock_fixed_init(&fixture->clock, NOW_MS, 0);
    fixture->config = (struct compact_config){
        .data_directory = fixture->directory,
        .clock = &fixture->clock.base,
        .crowd_threshold = 3,
        .batch_limit = 64,
        .garbage_grace_ms = 3600000,
        .retention_ms = INT64_C(86400000) * 90,
    };
    *state = fixture;
    return 0;
}

static bool remove_file(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static bool remove_directories(const char *directory)
{
    char path[256];
    const char *const days[] = {"lake/2023-11-16", "lake", ""};
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, days[i]);
        (void)rmdir(path);
    }
    return access(directory, F_OK) != 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    engine_close(&fixture->engine);
    catalog_close(&fixture->catalog);
    check(fixture, file_walk(fixture->directory, "", remove_file, NULL, &fixture->err));
    assert_true(remove_directories(fixture->directory));
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

// --- Making segments

// Runs a query and hands every row of int64 columns to the caller's array; returns the rows.
static size_t query_numbers(struct fixture *fixture, const char *sql, size_t column_count,
                            int64_t *ret_numbers, size_t row_limit)
{
    enum field_type types[10];
    for (size_t i = 0; i < column_count; i++)
        types[i] = FIELD_INT64;
    struct engine_stream *stream CLEANUP(engine_stream_close) = NULL;
    check(fixture, engine_query(fixture->engine, slice_text(sql), types, column_count, &stream,
                                &fixture->err));
    size_t row_count = 0;
    for (;;) {
        const struct batch *batch = NULL;
        check(fixture, engine_stream_next(stream, &batch, &fixture->err));
        if (batch->row_count == 0)
            return row_count;
        for (size_t row = 0; row < batch->row_count; row++, row_count++) {
            assert_true(row_count < row_limit);
            for (size_t i = 0; i < column_count; i++)
                ret_numbers[row_count * column_count + i] = batch_int64(&batch->columns[i], row);
        }
    }
}

static void describe_slices(struct fixture *fixture, const char *path, struct segment *segment)
{
    enum { SLICES_MAX = 1024 };
    int64_t *numbers CLEANUP(mem_free_at) = mem_alloc_array(SLICES_MAX * 8, sizeof *numbers);
    const char *sql = arena_format(
        &fixture->arena,
        "SELECT _topic, _app, _time // 3600000 * 3600000 AS h, min(_time), max(_time), min(_seq),"
        " max(_seq), count(*) FROM '%s' GROUP BY ALL ORDER BY 1, 2, 3",
        path);
    segment->slice_count = query_numbers(fixture, sql, 8, numbers, SLICES_MAX);
    struct segment_slice *slices = arena_alloc_array(&fixture->arena, segment->slice_count,
                                                     sizeof *slices);
    for (size_t i = 0; i < segment->slice_count; i++) {
        const int64_t *row = &numbers[i * 8];
        slices[i] = (struct segment_slice){row[0], row[1], row[2], row[3],
                                           row[4], row[5], row[6], row[7]};
        segment->row_count += row[7];
    }
    segment->slices = slices;
}

static void describe_file(struct fixture *fixture, struct segment *segment)
{
    uint8_t digest[SHA256_BYTES];
    uint64_t size_bytes = 0;
    char *sha256 = arena_alloc(&fixture->arena, SHA256_HEX_CHARS + 1);
    check(fixture,
          file_digest(in_directory(fixture, segment->path), digest, &size_bytes, &fixture->err));
    hex_encode(slice_of(digest, sizeof digest), sha256);
    segment->sha256 = sha256;
    segment->byte_count = (int64_t)size_bytes;
}

// Writes the rows of the query as the next segment; segment i is of (1000 i, 1000 i + 1000].
static void add_segment(struct fixture *fixture, const char *rows_sql, const char *columns)
{
    const size_t index = fixture->segment_count++;
    struct segment *segment = &fixture->segments[index];
    *segment = (struct segment){
        .path = arena_format(&fixture->arena, "lake/%03zu.parquet", index),
        .columns = columns,
        .seq_lo = (int64_t)index * 1000,
        .seq_hi = (int64_t)index * 1000 + 1000,
    };
    const char *path = in_directory(fixture, segment->path);
    const char *sql = arena_format(&fixture->arena,
                                   "COPY (SELECT * FROM (%s) ORDER BY _topic, _app, _time, _seq)"
                                   " TO '%s' (FORMAT parquet, COMPRESSION zstd)",
                                   rows_sql, path);
    int64_t copied = 0;
    assert_int_equal(query_numbers(fixture, sql, 1, &copied, 1), 1);
    describe_slices(fixture, path, segment);
    describe_file(fixture, segment);
}

// 300 rows of two topics, two apps and two hours; the columns differ from segment to segment.
static void add_usual_segment(struct fixture *fixture)
{
    static const char *const values[] = {
        "'name ' || s AS \"name:t\", s / 4 AS \"price:d\"",
        "CASE WHEN s % 2 = 0 THEN 'x' END AS \"name:t\", -s AS \"^count:i\"",
        "s % 2 = 0 AS \"flag:b\", 1700000000000 + s AS \"when:m\", '[' || s || ']' AS \"tags:j\"",
    };
    static const char *const columns[] = {
        "[\"_topic\",\"_app\",\"_time\",\"_seq\",\"name:t\",\"price:d\"]",
        "[\"name:t\",\"^count:i\"]",
        "[\"flag:b\",\"when:m\",\"tags:j\"]",
    };
    const size_t index = fixture->segment_count;
    const char *sql = arena_format(&fixture->arena,
                                   "SELECT 1 + s %% 2 AS _topic, 7 + s // 2 %% 2 AS _app,"
                                   " %" PRId64 " + (s * 1234577) %% 7200000 AS _time, s AS _seq, %s"
                                   " FROM range(%zu, %zu) r(s)",
                                   HOUR_MS, values[index % 3], index * 1000 + 1,
                                   index * 1000 + 301);
    add_segment(fixture, sql, columns[index % 3]);
}

// Makes the catalog know all segments, as one step of sealing.
static void publish(struct fixture *fixture)
{
    const int64_t seq_hi = (int64_t)fixture->segment_count * 1000;
    const struct segment_log_file file = {.id = 1, .seq_hi = seq_hi, .byte_count = 1};
    check(fixture, segment_add_log_file(fixture->catalog, &file, &fixture->err));
    const struct segment_seal seal = {
        .log_file_id = 1,
        .is_file_done = true,
        .seq_to = seq_hi,
        .segments = fixture->segments,
        .segment_count = fixture->segment_count,
        .now_ms = NOW_MS,
    };
    check(fixture, segment_commit_seal(fixture->catalog, &seal, &fixture->err));
}

static void list_segments(struct fixture *fixture, struct segment **ret_segments, size_t *ret_count)
{
    check(fixture, segment_list(fixture->catalog, 0, 1000, &fixture->arena, ret_segments, ret_count,
                                &fixture->err));
}

// --- Checking

#define ALL_COLUMNS                                                                                \
    "_topic, _app, _time, _seq, \"name:t\", \"price:d\", \"^count:i\", \"flag:b\", \"when:m\","    \
    " \"tags:j\""

// Rows of the first set of files that are not in the second.
static int64_t count_missing(struct fixture *fixture, const char *some, const char *others)
{
    const char *sql = arena_format(
        &fixture->arena,
        "SELECT count(*) FROM (SELECT " ALL_COLUMNS " FROM read_parquet(%s, union_by_name=true)"
        " EXCEPT SELECT " ALL_COLUMNS " FROM read_parquet(%s, union_by_name=true))",
        some, others);
    int64_t count = -1;
    assert_int_equal(query_numbers(fixture, sql, 1, &count, 1), 1);
    return count;
}

static bool count_file(const char *path, void *context, struct err *err)
{
    (void)err;
    size_t *count = context;
    *count += strstr(path, ".parquet") != NULL;
    return true;
}

static size_t count_files(struct fixture *fixture)
{
    size_t count = 0;
    check(fixture, file_walk(in_directory(fixture, "lake"), "", count_file, &count, &fixture->err));
    return count;
}

static void test_merge_keeps_every_row_and_value(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 6; i++)
        add_usual_segment(fixture);
    publish(fixture);
    bool merged = false;
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_true(merged);
    struct segment *segments = NULL;
    size_t count = 0;
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, 1);
    const struct segment *result = &segments[0];
    assert_int_equal(result->row_count, 1800);
    assert_int_equal(result->seq_lo, 0);
    assert_int_equal(result->seq_hi, 6000);
    assert_string_equal(result->columns,
                        "[\"_topic\",\"_app\",\"_time\",\"_seq\","
                        "\"^count:i\",\"flag:b\",\"name:t\",\"price:d\",\"tags:j\",\"when:m\"]");
    check(fixture, compact_verify_segment(fixture->directory, result, &fixture->err));

    const char *inputs = arena_format(&fixture->arena, "'%s/lake/00?.parquet'", fixture->directory);
    const char *output = arena_format(&fixture->arena, "'%s'", in_directory(fixture, result->path));
    assert_int_equal(count_missing(fixture, inputs, output), 0);
    assert_int_equal(count_missing(fixture, output, inputs), 0);
    // Sorted in the file itself.
    const char *sql =
        arena_format(&fixture->arena,
                     "SELECT count(*) FROM (SELECT (_topic, _app, _time, _seq) AS k,"
                     " lag((_topic, _app, _time, _seq)) OVER (ORDER BY file_row_number) AS p"
                     " FROM read_parquet(%s, file_row_number=true)) WHERE p >= k",
                     output);
    int64_t disordered = -1;
    assert_int_equal(query_numbers(fixture, sql, 1, &disordered, 1), 1);
    assert_int_equal(disordered, 0);
    // Nothing is crowded any more.
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_false(merged);
}

static void test_slices_are_those_of_the_rows(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++)
        add_usual_segment(fixture);
    publish(fixture);
    bool merged = false;
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    struct segment *segments = NULL;
    size_t count = 0;
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, 1);
    struct segment expected = {0};
    describe_slices(fixture, in_directory(fixture, segments[0].path), &expected);
    for (size_t i = 0; i < expected.slice_count; i++) {
        const struct segment_slice *slice = &expected.slices[i];
        struct segment_slice wanted = *slice;
        wanted.time_min_ms = slice->hour_ms;
        wanted.time_max_ms = slice->hour_ms + 3600000;
        wanted.seq_min = 0;
        wanted.seq_max = 1000000;
        struct segment *found = NULL;
        struct segment_slice *slices = NULL;
        check(fixture, segment_find(fixture->catalog, &wanted, &fixture->arena, &found, &slices,
                                    &count, &fixture->err));
        assert_int_equal(count, 1);
        assert_int_equal(slices[0].time_min_ms, slice->time_min_ms);
        assert_int_equal(slices[0].time_max_ms, slice->time_max_ms);
        assert_int_equal(slices[0].row_count, slice->row_count);
    }
    assert_int_equal(expected.slice_count, 8);
}

static void test_few_segments_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    bool merged = true;
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_false(merged);
    for (int i = 0; i < 3; i++)
        add_usual_segment(fixture);
    publish(fixture);
    merged = true;
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_false(merged);
    assert_int_equal(count_files(fixture), 3);
}

// A step that must fail: the inputs stay listed, no file is added.
static void assert_step_fails(struct fixture *fixture, enum err_kind kind, const char *words)
{
    bool merged = false;
    const size_t file_count = count_files(fixture);
    struct segment *segments = NULL;
    size_t count = 0;
    assert_false(
        compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged, &fixture->err));
    assert_int_equal(fixture->err.kind, kind);
    if (strstr(fixture->err.message, words) == NULL)
        fail_msg("%s", fixture->err.message);
    assert_int_equal(count_files(fixture), file_count);
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, fixture->segment_count);
}

static void damage(struct fixture *fixture, const char *path)
{
    const int fd = open(in_directory(fixture, path), O_RDWR | O_CLOEXEC);
    char byte = 0;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 200), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 200), 1);
    assert_int_equal(close(fd), 0);
}

// A step that finds damage, tells it, and merges what is crowded without it.
static void assert_step_goes_on(struct fixture *fixture, const char *words, size_t expected_count)
{
    bool merged = false;
    struct segment *segments = NULL;
    size_t count = 0;
    assert_false(
        compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    if (strstr(fixture->err.message, words) == NULL)
        fail_msg("%s", fixture->err.message);
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, expected_count);
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_false(merged); // it is told once, and nothing is crowded any more
}

static void test_damaged_segment_is_left_out_of_the_merge(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++)
        add_usual_segment(fixture);
    publish(fixture);
    damage(fixture, "lake/002.parquet");
    assert_step_goes_on(fixture, "lake/002.parquet) is damaged", 2); // the result and the damaged
}

static void test_truncated_and_missing_segments_are_left_out(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 6; i++)
        add_usual_segment(fixture);
    publish(fixture);
    assert_int_equal(truncate(in_directory(fixture, "lake/001.parquet"), 100), 0);
    assert_int_equal(unlink(in_directory(fixture, "lake/004.parquet")), 0);
    assert_step_goes_on(fixture, "2 segments", 3);
}

static void add_hour_segment(struct fixture *fixture, int64_t hour_ms)
{
    const size_t first = fixture->segment_count * 1000 + 1;
    add_segment(fixture,
                arena_format(&fixture->arena,
                             "SELECT 1::BIGINT AS _topic, 7::BIGINT AS _app,"
                             " %" PRId64 " + s AS _time, s AS _seq, true AS \"flag:b\""
                             " FROM range(%zu, %zu) r(s)",
                             hour_ms, first, first + 5),
                "[\"flag:b\"]");
}

static void test_damage_in_one_hour_does_not_stop_the_others(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 9; i++)
        add_hour_segment(fixture, HOUR_MS + (i < 5 ? 0 : 3600000));
    publish(fixture);
    damage(fixture, "lake/000.parquet"); // of the most crowded hour
    damage(fixture, "lake/003.parquet");
    assert_step_goes_on(fixture, "lake/000.parquet) is damaged", 6);
}

static void test_merge_is_bounded_by_slices(void **state)
{
    struct fixture *fixture = *state;
    // 700 apps each: three would be more than 2,000 slices.
    for (int i = 0; i < 4; i++) {
        const size_t first = fixture->segment_count * 1000 + 1;
        const char *sql = arena_format(&fixture->arena,
                                       "SELECT 1::BIGINT AS _topic, s AS _app, %" PRId64
                                       " AS _time, s AS _seq,"
                                       " true AS \"flag:b\" FROM range(%zu, %zu) r(s)",
                                       HOUR_MS, first, first + 700);
        add_segment(fixture, sql, "[\"flag:b\"]");
    }
    publish(fixture);
    bool merged = false;
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_true(merged);
    struct segment *segments = NULL;
    size_t count = 0;
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, 3);
    assert_int_equal(segments[2].row_count, 1400);
}

static void test_row_in_two_segments_stops_the_merge(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        add_usual_segment(fixture);
    add_segment(fixture,
                "SELECT 1 + s % 2 AS _topic, 7 + s // 2 % 2 AS _app,"
                " 1699999200000 + (s * 1234577) % 7200000 AS _time, s AS _seq, true AS \"flag:b\""
                " FROM range(5, 6) r(s)",
                "[\"flag:b\"]");
    publish(fixture);
    assert_step_fails(fixture, ERR_CORRUPT, "row with seq 5 is there twice");
}

static void test_row_outside_the_ranges_stops_the_merge(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        add_usual_segment(fixture);
    add_segment(fixture,
                "SELECT 1::BIGINT AS _topic, 7::BIGINT AS _app, 1699999200000 AS _time,"
                " 99999::BIGINT AS _seq",
                "[]");
    publish(fixture);
    assert_step_fails(fixture, ERR_CORRUPT, "a row with seq 99999 in segments of (0, 4000]");
}

static void test_column_that_no_segment_can_have_stops_the_merge(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++)
        add_usual_segment(fixture);
    fixture->segments[1].columns = "[\"name:t\",\"odd\"]";
    publish(fixture);
    assert_step_fails(fixture, ERR_CORRUPT, "no column of a segment is called odd");
}

static void test_columns_that_are_no_list_stop_the_merge(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++)
        add_usual_segment(fixture);
    fixture->segments[2].columns = "{}";
    publish(fixture);
    assert_step_fails(fixture, ERR_CORRUPT, "segment 3 has no list of columns");
}

static void test_listed_column_that_a_file_lacks_stops_the_merge(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++)
        add_usual_segment(fixture);
    fixture->segments[1].columns = "[\"name:t\",\"nowhere:t\"]";
    publish(fixture);
    assert_step_fails(fixture, ERR_INVALID, "nowhere:t");
}

static void test_too_little_memory_merges_fewer(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 8; i++)
        add_usual_segment(fixture);
    publish(fixture);
    // Far too little for anything: all sizes are tried, then it is said.
    engine_close(&fixture->engine);
    const struct engine_config config = {
        .memory_limit_bytes = 1 << 16,
        .thread_count = 1,
        .temp_directory = fixture->directory,
    };
    check(fixture, engine_open(&config, &fixture->engine, &fixture->err));
    assert_step_fails(fixture, ERR_LIMIT, "merging 8 segments");
}

// --- Sweep

static int64_t collect(struct fixture *fixture)
{
    int64_t deleted_count = -1;
    check(fixture,
          compact_collect(&fixture->config, fixture->catalog, &deleted_count, &fixture->err));
    return deleted_count;
}

static void set_age(struct fixture *fixture, const char *path, int64_t age_ms)
{
    const int64_t then_ms = fixture->clock.now_wall_ms - age_ms;
    const struct timespec times[2] = {{.tv_sec = then_ms / 1000}, {.tv_sec = then_ms / 1000}};
    assert_int_equal(utimensat(AT_FDCWD, in_directory(fixture, path), times, 0), 0);
}

static void test_replaced_files_go_after_the_grace_unless_pinned(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++)
        add_usual_segment(fixture);
    publish(fixture);
    const int64_t pinned_id = 2;
    const int64_t hour = 3600000;
    check(fixture,
          segment_pin(fixture->catalog, "job", &pinned_id, 1, NOW_MS + 100 * hour, &fixture->err));
    bool merged = false;
    check(fixture, compact_step(&fixture->config, fixture->engine, fixture->catalog, &merged,
                                &fixture->err));
    assert_true(merged);
    assert_int_equal(collect(fixture), 0); // too fresh
    assert_int_equal(count_files(fixture), 5);
    fixture->clock.now_wall_ms += 2 * hour;
    assert_int_equal(unlink(in_directory(fixture, "lake/000.parquet")), 0); // gone already is fine
    assert_int_equal(collect(fixture), 3);
    assert_int_equal(count_files(fixture), 2); // the result and what a job reads
    assert_int_equal(collect(fixture), 0);
    check(fixture, segment_unpin(fixture->catalog, "job", &fixture->err));
    assert_int_equal(collect(fixture), 1);
    assert_int_equal(access(in_directory(fixture, "lake/001.parquet"), F_OK), -1);
}

static void test_old_segments_are_dropped_by_time_of_ingest(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++)
        add_usual_segment(fixture);
    publish(fixture);
    fixture->clock.now_wall_ms += fixture->config.retention_ms;
    assert_int_equal(collect(fixture), 0); // exactly as old is not older
    struct segment *segments = NULL;
    size_t count = 0;
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, 2);
    fixture->clock.now_wall_ms += 2 * fixture->config.garbage_grace_ms;
    (void)collect(fixture);
    list_segments(fixture, &segments, &count);
    assert_int_equal(count, 0);
    fixture->clock.now_wall_ms += 2 * fixture->config.garbage_grace_ms;
    (void)collect(fixture);
    assert_int_equal(count_files(fixture), 0);
}

static void test_files_of_nobody_go_when_they_are_old(void **state)
{
    struct fixture *fixture = *state;
    add_usual_segment(fixture);
    publish(fixture);
    const int64_t hour = 3600000;
    static const char *const names[] = {"lake/orphan.parquet", "lake/new.parquet",
                                        "lake/0123.parquet.77.part"};
    for (size_t i = 0; i < 3; i++) {
        check(fixture,
              file_replace(in_directory(fixture, names[i]), slice_text("x"), &fixture->err));
        set_age(fixture, names[i], i == 1 ? hour / 2 : 2 * hour);
    }
    set_age(fixture, "lake/000.parquet", 1000 * hour); // old, but listed
    assert_int_equal(collect(fixture), 2);
    assert_int_equal(access(in_directory(fixture, names[0]), F_OK), -1);
    assert_int_equal(access(in_directory(fixture, names[1]), F_OK), 0);
    assert_int_equal(access(in_directory(fixture, names[2]), F_OK), -1);
    assert_int_equal(access(in_directory(fixture, "lake/000.parquet"), F_OK), 0);
}

static void test_lake_that_is_not_there_yet_is_swept(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(rmdir(in_directory(fixture, "lake")), 0);
    assert_int_equal(collect(fixture), 0);
}

static void test_new_paths(void **state)
{
    struct fixture *fixture = *state;
    struct rng_seeded rng;
    char first[SEGMENT_PATH_CHARS + 1];
    char second[SEGMENT_PATH_CHARS + 1];
    rng_seeded_init(&rng, 1);
    segment_path_new(&rng.base, INT64_C(1684454400000), first);
    segment_path_new(&rng.base, INT64_C(1684454400000), second);
    assert_int_equal(strlen(first), SEGMENT_PATH_CHARS);
    assert_memory_equal(first, "lake/2023-05-19/", 16);
    assert_string_not_equal(first, second);
    assert_string_equal(segment_path_full(&fixture->arena, "/data", first) + 6, first);
    const char *path = in_directory(fixture, "lake/2023-11-16/x.parquet");
    check(fixture, segment_path_make_directory(path, &fixture->err));
    check(fixture, segment_path_make_directory(path, &fixture->err)); // twice is fine
    check(fixture, file_replace(path, slice_text("x"), &fixture->err));
}

#define COMPACT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMPACT_TEST(test_merge_keeps_every_row_and_value),
        COMPACT_TEST(test_slices_are_those_of_the_rows),
        COMPACT_TEST(test_few_segments_are_left_alone),
        COMPACT_TEST(test_damaged_segment_is_left_out_of_the_merge),
        COMPACT_TEST(test_truncated_and_missing_segments_are_left_out),
        COMPACT_TEST(test_damage_in_one_hour_does_not_stop_the_others),
        COMPACT_TEST(test_merge_is_bounded_by_slices),
        COMPACT_TEST(test_row_in_two_segments_stops_the_merge),
        COMPACT_TEST(test_row_outside_the_ranges_stops_the_merge),
        COMPACT_TEST(test_column_that_no_segment_can_have_stops_the_merge),
        COMPACT_TEST(test_columns_that_are_no_list_stop_the_merge),
        COMPACT_TEST(test_listed_column_that_a_file_lacks_stops_the_merge),
        COMPACT_TEST(test_too_little_memory_merges_fewer),
        COMPACT_TEST(test_replaced_files_go_after_the_grace_unless_pinned),
        COMPACT_TEST(test_old_segments_are_dropped_by_time_of_ingest),
        COMPACT_TEST(test_files_of_nobody_go_when_they_are_old),
        COMPACT_TEST(test_lake_that_is_not_there_yet_is_swept),
        COMPACT_TEST(test_new_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
