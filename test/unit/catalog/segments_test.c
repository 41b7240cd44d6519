// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"
#include "catalog/segment_retention.h"
#include "catalog/segments.h"
#include "catalog/segments_internal.h"

#define HOUR_MS INT64_C(1699999200000) // a full hour
#define NOW_MS  (HOUR_MS + 2 * CIVIL_HOUR_MS)
#define TOPIC   INT64_C(3)
#define APP     INT64_C(100000000000000001)
#define OTHER   INT64_C(100000000000000002)

struct fixture {
    struct catalog *catalog;
    struct arena arena;
    struct err err;
    int64_t last_seq; // of the log
    int64_t last_file_id;
    int path_count;
};

static int set_up(void **state)
{
    _Static_assert(HOUR_MS % CIVIL_HOUR_MS == 0, "a full hour");
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    if (!catalog_create(":memory:", &fixture->catalog, &fixture->err))
        return -1;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(&fixture->catalog);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static struct segment_log_file add_file(struct fixture *fixture, int64_t row_count)
{
    const struct segment_log_file file = {
        .id = ++fixture->last_file_id,
        .seq_lo = fixture->last_seq,
        .seq_hi = fixture->last_seq + row_count,
        .byte_count = 4096,
    };
    if (!segment_add_log_file(fixture->catalog, &file, &fixture->err))
        fail_msg("%s", fixture->err.message);
    fixture->last_seq = file.seq_hi;
    return file;
}

// Rows of one minute, `minute` minutes after HOUR_MS.
static struct segment_slice slice_at(int64_t app_id, int64_t minute, int64_t seq, int64_t row_count)
{
    const int64_t time_ms = HOUR_MS + minute * CIVIL_MINUTE_MS;
    return (struct segment_slice){
        .topic_id = TOPIC,
        .app_id = app_id,
        .hour_ms = time_ms - time_ms % CIVIL_HOUR_MS,
        .time_min_ms = time_ms,
        .time_max_ms = time_ms + CIVIL_MINUTE_MS - 1,
        .seq_min = seq,
        .seq_max = seq + row_count - 1,
        .row_count = row_count,
    };
}

static struct segment segment_of(struct fixture *fixture, const struct segment_slice *slices,
                                 size_t slice_count)
{
    struct segment segment = {
        .path = arena_format(&fixture->arena, "lake/%04d.parquet", fixture->path_count++),
        .columns = "[\"a:t\"]",
        .byte_count = 1000 + fixture->path_count,
        .sha256 = "00ff",
        .seq_hi = fixture->last_seq,
        .slices = slices,
        .slice_count = slice_count,
    };
    for (size_t i = 0; i < slice_count; i++)
        segment.row_count += slices[i].row_count;
    return segment;
}

static bool try_seal(struct fixture *fixture, const struct segment_log_file *file,
                     const struct segment *segments, size_t segment_count)
{
    const struct segment_seal seal = {
        .log_file_id = file->id,
        .is_file_done = true,
        .seq_from = file->seq_lo,
        .seq_to = file->seq_hi,
        .segments = segments,
        .segment_count = segment_count,
        .now_ms = NOW_MS,
    };
    return segment_commit_seal(fixture->catalog, &seal, &fixture->err);
}

// One more log file, sealed as one segment of these slices.
static void seal_slices(struct fixture *fixture, const struct segment_slice *slices,
                        size_t slice_count)
{
    const struct segment segment = segment_of(fixture, slices, slice_count);
    const struct segment_log_file file = add_file(fixture, segment.row_count);
    if (!try_seal(fixture, &file, &segment, 1))
        fail_msg("%s", fixture->err.message);
}

static void seal_minute(struct fixture *fixture, int64_t app_id, int64_t minute, int64_t row_count)
{
    const struct segment_slice slice = slice_at(app_id, minute, fixture->last_seq + 1, row_count);
    seal_slices(fixture, &slice, 1);
}

static int64_t count_rows(struct fixture *fixture, const char *table)
{
    int64_t count = 0;
    if (!catalog_query_int64(fixture->catalog,
                             arena_format(&fixture->arena, "SELECT count(*) FROM %s", table), NULL,
                             0, &count, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return count;
}

// segment_hours must always be what a count of the slices gives.
static void assert_hours_are_right(struct fixture *fixture)
{
    const int64_t wrong = count_rows(
        fixture, "(SELECT topic_id, hour_ms, count(DISTINCT segment_id) AS n FROM segment_slices"
                 " GROUP BY topic_id, hour_ms EXCEPT"
                 " SELECT topic_id, hour_ms, segment_count FROM segment_hours)");
    assert_int_equal(wrong, 0);
    assert_int_equal(
        count_rows(fixture, "segment_hours"),
        count_rows(fixture, "(SELECT DISTINCT topic_id, hour_ms FROM segment_slices)"));
}

// --- Log files

static void log_files_follow_each_other(void **state)
{
    struct fixture *fixture = *state;
    struct segment_log_file last = {0};
    bool found = true;
    assert_true(segment_last_log_file(fixture->catalog, &found, &last, &fixture->err));
    assert_false(found);
    static const struct segment_log_file not_first[] = {
        {.id = 2, .seq_hi = 5}, {.id = 1, .seq_lo = 1, .seq_hi = 5}, {.id = 1, .seq_hi = -1}};
    for (size_t i = 0; i < ARRAY_COUNT(not_first); i++) {
        assert_false(segment_add_log_file(fixture->catalog, &not_first[i], &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
    }
    (void)add_file(fixture, 10);
    const struct segment_log_file second = add_file(fixture, 5);
    static const struct segment_log_file not_third[] = {{.id = 2, .seq_lo = 15, .seq_hi = 16},
                                                        {.id = 4, .seq_lo = 15, .seq_hi = 16},
                                                        {.id = 3, .seq_lo = 14, .seq_hi = 16},
                                                        {.id = 3, .seq_lo = 16, .seq_hi = 17}};
    for (size_t i = 0; i < ARRAY_COUNT(not_third); i++) {
        assert_false(segment_add_log_file(fixture->catalog, &not_third[i], &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
    }
    assert_true(segment_last_log_file(fixture->catalog, &found, &last, &fixture->err));
    assert_true(found);
    assert_memory_equal(&last, &second, sizeof last);
}

static void log_files_are_sealed_in_order_and_forgotten(void **state)
{
    struct fixture *fixture = *state;
    const struct segment_log_file first = add_file(fixture, 0);
    const struct segment_log_file second = add_file(fixture, 0);
    struct segment_log_file file = {0};
    struct segment_log_file *sealed = NULL;
    size_t count = 0;
    bool found = false;
    assert_false(segment_forget_log_file(fixture->catalog, first.id, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_true(
        segment_next_log_file(fixture->catalog, &fixture->arena, &found, &file, &fixture->err));
    assert_int_equal(file.id, first.id);
    assert_false(try_seal(fixture, &second, NULL, 0));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    assert_true(try_seal(fixture, &first, NULL, 0));
    assert_true(
        segment_next_log_file(fixture->catalog, &fixture->arena, &found, &file, &fixture->err));
    assert_int_equal(file.id, second.id);
    assert_true(try_seal(fixture, &second, NULL, 0));
    assert_true(
        segment_next_log_file(fixture->catalog, &fixture->arena, &found, &file, &fixture->err));
    assert_false(found);
    assert_true(segment_sealed_log_files(fixture->catalog, &fixture->arena, &sealed, &count,
                                         &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(sealed[0].id, first.id);
    assert_true(sealed[0].is_sealed);
    assert_true(segment_forget_log_file(fixture->catalog, second.id, &fixture->err));
    assert_true(segment_forget_log_file(fixture->catalog, first.id, &fixture->err));
    assert_false(segment_forget_log_file(fixture->catalog, first.id, &fixture->err));
    assert_true(segment_sealed_log_files(fixture->catalog, &fixture->arena, &sealed, &count,
                                         &fixture->err));
    assert_int_equal(count, 0);
    assert_int_equal(count_rows(fixture, "log_files"), 1); // the last one stays
    (void)add_file(fixture, 7);
    assert_int_equal(count_rows(fixture, "log_files"), 1);
    assert_true(segment_last_log_file(fixture->catalog, &found, &file, &fixture->err));
    assert_int_equal(file.id, 3);
}

static void damage_is_noted(void **state)
{
    struct fixture *fixture = *state;
    const struct segment_log_file first = add_file(fixture, 3);
    struct segment_log_file file = {0};
    bool found = false;
    assert_true(segment_mark_log_file_corrupt(fixture->catalog, first.id, &fixture->err));
    assert_true(
        segment_next_log_file(fixture->catalog, &fixture->arena, &found, &file, &fixture->err));
    assert_true(found);
    assert_true(file.is_corrupt);
    assert_false(segment_mark_log_file_corrupt(fixture->catalog, 9, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

// --- Sealing

static int64_t seal_point(struct fixture *fixture)
{
    int64_t seq = -1;
    if (!segment_seal_point(fixture->catalog, &seq, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return seq;
}

static void a_file_may_be_sealed_in_steps(void **state)
{
    struct fixture *fixture = *state;
    const struct segment_log_file file = add_file(fixture, 10);
    assert_int_equal(seal_point(fixture), 0);
    struct segment_seal seal = {.log_file_id = file.id, .seq_to = 4, .now_ms = NOW_MS};
    assert_true(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_int_equal(seal_point(fixture), 4);
    assert_false(segment_commit_seal(fixture->catalog, &seal, &fixture->err)); // somebody did
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    seal.seq_from = 4;
    seal.seq_to = 11; // past the file
    assert_false(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    seal.seq_to = 3; // backwards
    assert_false(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    seal.seq_to = 9;
    seal.is_file_done = true; // it is not
    assert_false(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    seal.seq_to = 10;
    assert_true(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_int_equal(seal_point(fixture), 10);
    seal.seq_from = 10;
    assert_false(segment_commit_seal(fixture->catalog, &seal, &fixture->err)); // no file is left
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
}

static void a_seal_is_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    const struct segment_log_file file = add_file(fixture, 4);
    const struct segment_slice slices[] = {slice_at(APP, 0, 1, 2), slice_at(APP, 60, 3, 2)};
    struct segment segments[] = {segment_of(fixture, slices, 1),
                                 segment_of(fixture, &slices[1], 1)};
    segments[1].path = segments[0].path;
    assert_false(try_seal(fixture, &file, segments, 2));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    assert_int_equal(count_rows(fixture, "segments"), 0);
    assert_int_equal(count_rows(fixture, "segment_slices"), 0);
    assert_int_equal(count_rows(fixture, "segment_hours"), 0);
    assert_int_equal(seal_point(fixture), 0);
    segments[1].path = "lake/second.parquet";
    assert_true(try_seal(fixture, &file, segments, 2));
    assert_int_equal(count_rows(fixture, "segments"), 2);
    assert_int_equal(seal_point(fixture), 4);
    assert_hours_are_right(fixture);
}

static void slices_must_add_up(void **state)
{
    struct fixture *fixture = *state;
    const struct segment_log_file file = add_file(fixture, 2);
    struct segment_slice slice = slice_at(APP, 0, 1, 2);
    struct segment segment = segment_of(fixture, &slice, 1);
    segment.row_count = 3;
    assert_false(try_seal(fixture, &file, &segment, 1));
    assert_int_equal(fixture->err.kind, ERR_INVALID);
    segment.row_count = 2;
    const struct segment_slice good = slice;
    struct segment_slice bad[6];
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        bad[i] = good;
    bad[0].time_min_ms = HOUR_MS - 1;
    bad[1].time_max_ms = HOUR_MS + CIVIL_HOUR_MS;
    bad[2].time_max_ms = bad[2].time_min_ms - 1;
    bad[3].hour_ms += 1;
    bad[3].time_min_ms += 1;
    bad[4].seq_min = bad[4].seq_max + 1;
    bad[5].row_count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        slice = bad[i];
        assert_false(try_seal(fixture, &file, &segment, 1));
        assert_int_equal(fixture->err.kind, ERR_INVALID);
    }
    assert_int_equal(count_rows(fixture, "segments"), 0);
    slice = good;
    assert_true(try_seal(fixture, &file, &segment, 1));
}

// --- Finding

struct found {
    struct segment *segments;
    struct segment_slice *slices;
    size_t count;
};

// Minutes after HOUR_MS, [start, end), and (lo, hi].
static struct found find(struct fixture *fixture, int64_t app_id, int64_t start, int64_t end,
                         int64_t seq_lo, int64_t seq_hi)
{
    const struct segment_slice wanted = {
        .topic_id = TOPIC,
        .app_id = app_id,
        .time_min_ms = HOUR_MS + start * CIVIL_MINUTE_MS,
        .time_max_ms = HOUR_MS + end * CIVIL_MINUTE_MS,
        .seq_min = seq_lo,
        .seq_max = seq_hi,
    };
    struct found found = {.count = 99};
    if (!segment_find(fixture->catalog, &wanted, &fixture->arena, &found.segments, &found.slices,
                      &found.count, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return found;
}

static void segments_are_found_by_app_time_and_seq(void **state)
{
    struct fixture *fixture = *state;
    seal_minute(fixture, APP, 70, 10);  // segment 1: seq 1..10, second hour
    seal_minute(fixture, APP, 5, 10);   // segment 2: seq 11..20
    seal_minute(fixture, OTHER, 5, 10); // segment 3: seq 21..30
    seal_minute(fixture, APP, 30, 10);  // segment 4: seq 31..40
    static const struct {
        int64_t start, end, seq_lo, seq_hi;
        size_t count;
        int64_t ids[3];
    } cases[] = {
        {0, 120, 0, 40, 3, {2, 4, 1}}, // in the order of time
        {0, 60, 0, 40, 2, {2, 4}},     {60, 120, 0, 40, 1, {1}},
        {0, 30, 0, 40, 1, {2}},                                       // the end is exclusive
        {6, 30, 0, 40, 0, {0}},                                       // after the last row of 2
        {30, 31, 0, 40, 1, {4}},                                      // the start is inclusive
        {0, 120, 10, 40, 2, {2, 4}},                                  // lo is exclusive
        {0, 120, 9, 40, 3, {2, 4, 1}}, {0, 120, 0, 31, 3, {2, 4, 1}}, // hi is inclusive
        {0, 120, 0, 30, 2, {2, 1}},    {0, 120, 40, 99, 0, {0}},
        {0, 0, 0, 40, 0, {0}},         {-600, 0, 0, 40, 0, {0}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct found found = find(fixture, APP, cases[i].start, cases[i].end, cases[i].seq_lo,
                                        cases[i].seq_hi);
        assert_int_equal(found.count, cases[i].count);
        for (size_t k = 0; k < found.count; k++)
            assert_int_equal(found.segments[k].id, cases[i].ids[k]);
    }
    assert_int_equal(find(fixture, OTHER, 0, 120, 0, 40).count, 1);
    assert_int_equal(find(fixture, 7, 0, 120, 0, 40).count, 0);
}

static void a_segment_is_found_once_with_all_that_is_in_range(void **state)
{
    struct fixture *fixture = *state;
    const struct segment_slice slices[] = {
        slice_at(APP, 10, 1, 5),
        slice_at(OTHER, 20, 6, 5),
        slice_at(APP, 70, 11, 5),
        slice_at(APP, 130, 16, 5),
    };
    seal_slices(fixture, slices, ARRAY_COUNT(slices));
    const struct found found = find(fixture, APP, 0, 120, 0, 100);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.segments[0].path, "lake/0000.parquet");
    assert_string_equal(found.segments[0].columns, "[\"a:t\"]");
    assert_string_equal(found.segments[0].sha256, "00ff");
    assert_int_equal(found.segments[0].byte_count, 1001);
    assert_int_equal(found.segments[0].row_count, 20);
    assert_int_equal(found.segments[0].slice_count, 0);
    assert_int_equal(found.slices[0].topic_id, TOPIC);
    assert_int_equal(found.slices[0].app_id, APP);
    assert_int_equal(found.slices[0].hour_ms, HOUR_MS);
    assert_int_equal(found.slices[0].time_min_ms, slices[0].time_min_ms);
    assert_int_equal(found.slices[0].time_max_ms, slices[2].time_max_ms);
    assert_int_equal(found.slices[0].seq_min, 1);
    assert_int_equal(found.slices[0].seq_max, 15);
    assert_int_equal(found.slices[0].row_count, 10);
}

// The look-up must not walk over other apps or hours.
static void finding_uses_the_primary_key(void **state)
{
    struct fixture *fixture = *state;
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    seal_minute(fixture, APP, 0, 1);
    const struct db_value values[] = {db_int64(1), db_int64(1), db_int64(1), db_int64(1),
                                      db_int64(1), db_int64(1), db_int64(1)};
    const char *sql = arena_format(&fixture->arena, "EXPLAIN QUERY PLAN %s", segment_find_sql);
    assert_true(
        db_query(fixture->catalog->db, sql, values, ARRAY_COUNT(values), &rows, &fixture->err));
    assert_true(db_rows_next(rows, &fixture->err));
    const char *first = catalog_row_text(rows, 3, &fixture->arena);
    assert_string_equal(
        first, "SEARCH x USING PRIMARY KEY (topic_id=? AND app_id=? AND hour_ms>? AND hour_ms<?)");
}

// --- Pins and garbage

static void replace_first_two(struct fixture *fixture, int64_t now_ms)
{
    static const int64_t old_ids[] = {1, 2};
    const struct segment_slice slice = slice_at(APP, 0, 1, 20);
    const struct segment merged = segment_of(fixture, &slice, 1);
    if (!segment_replace(fixture->catalog, old_ids, 2, &merged, now_ms, &fixture->err))
        fail_msg("%s", fixture->err.message);
}

static struct found garbage(struct fixture *fixture, int64_t now_ms)
{
    struct found found = {.count = 99};
    if (!segment_garbage(fixture->catalog, now_ms, 10, &fixture->arena, &found.segments,
                         &found.count, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return found;
}

static bool pin(struct fixture *fixture, const char *holder, int64_t first_id, int64_t second_id,
                int64_t until_ms)
{
    const int64_t ids[] = {first_id, second_id};
    return segment_pin(fixture->catalog, holder, ids, 2, until_ms, &fixture->err);
}

static void pins_keep_files_of_replaced_segments(void **state)
{
    struct fixture *fixture = *state;
    seal_minute(fixture, APP, 0, 10);
    seal_minute(fixture, APP, 1, 10);
    assert_true(pin(fixture, "job-1", 1, 2, NOW_MS + 100));
    assert_true(pin(fixture, "job-2", 2, 2, NOW_MS + 500));
    assert_int_equal(garbage(fixture, NOW_MS).count, 0); // both are live
    replace_first_two(fixture, NOW_MS + 10);
    assert_int_equal(garbage(fixture, NOW_MS + 50).count, 0);
    assert_true(pin(fixture, "job-1", 1, 2, NOW_MS + 200)); // renewed
    assert_int_equal(garbage(fixture, NOW_MS + 199).count, 0);
    struct found found = garbage(fixture, NOW_MS + 200);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.segments[0].id, 1);
    assert_string_equal(found.segments[0].path, "lake/0000.parquet");
    assert_false(pin(fixture, "job-1", 1, 2, NOW_MS + 900)); // too late
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    assert_true(segment_unpin(fixture->catalog, "job-2", &fixture->err));
    assert_int_equal(garbage(fixture, NOW_MS + 200).count, 2);
    assert_true(segment_forget(fixture->catalog, 1, &fixture->err));
    assert_true(segment_forget(fixture->catalog, 2, &fixture->err));
    assert_int_equal(garbage(fixture, NOW_MS + 900).count, 0);
    assert_false(segment_forget(fixture->catalog, 1, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_false(segment_forget(fixture->catalog, 3, &fixture->err)); // live
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_int_equal(count_rows(fixture, "segments"), 1);
}

static void pins_are_all_or_none(void **state)
{
    struct fixture *fixture = *state;
    seal_minute(fixture, APP, 0, 10);
    seal_minute(fixture, APP, 1, 10);
    assert_false(pin(fixture, "job", 1, 77, NOW_MS + 100));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    assert_int_equal(count_rows(fixture, "pins"), 0);
    replace_first_two(fixture, NOW_MS);
    assert_false(pin(fixture, "job", 3, 1, NOW_MS + 100)); // replaced in the meantime
    assert_int_equal(count_rows(fixture, "pins"), 0);
    assert_true(segment_pin(fixture->catalog, "job", NULL, 0, NOW_MS, &fixture->err));
}

static void garbage_has_a_grace(void **state)
{
    struct fixture *fixture = *state;
    seal_minute(fixture, APP, 0, 10);
    seal_minute(fixture, APP, 1, 10);
    replace_first_two(fixture, NOW_MS);
    assert_int_equal(garbage(fixture, NOW_MS - 1).count, 0);
    assert_int_equal(garbage(fixture, NOW_MS).count, 2);
}

// --- Compaction

static void replacing_moves_rows_at_once(void **state)
{
    struct fixture *fixture = *state;
    seal_minute(fixture, APP, 0, 10);
    seal_minute(fixture, APP, 1, 10);
    seal_minute(fixture, APP, 2, 10);
    replace_first_two(fixture, NOW_MS);
    const struct found found = find(fixture, APP, 0, 60, 0, 100);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.segments[0].id, 4);
    assert_int_equal(found.segments[1].id, 3);
    assert_int_equal(count_rows(fixture, "segment_slices"), 2);
    assert_hours_are_right(fixture);

    static const int64_t gone[] = {3, 1};
    const struct segment_slice slice = slice_at(APP, 0, 1, 20);
    const struct segment merged = segment_of(fixture, &slice, 1);
    assert_false(segment_replace(fixture->catalog, gone, 2, &merged, NOW_MS, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    static const int64_t unknown[] = {77};
    assert_false(segment_replace(fixture->catalog, unknown, 1, &merged, NOW_MS, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    static const int64_t fewer[] = {3};
    assert_false(segment_replace(fixture->catalog, fewer, 1, &merged, NOW_MS, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_INVALID); // 20 rows instead of 10
    assert_int_equal(find(fixture, APP, 0, 60, 0, 100).count, 2);
    assert_hours_are_right(fixture);
}

static void the_most_crowded_hour_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct segment *segments = NULL;
    size_t count = 99;
    for (int64_t i = 0; i < 3; i++)
        seal_minute(fixture, APP, i, 10); // 1, 2, 3: first hour
    for (int64_t i = 0; i < 3; i++)
        seal_minute(fixture, i == 0 ? OTHER : APP, 60 + i, 10); // 4, 5, 6: second hour
    assert_true(segment_find_crowded(fixture->catalog, 3, 10, &fixture->arena, &segments, &count,
                                     &fixture->err));
    assert_int_equal(count, 0);
    // 7, a spill segment, touches the second hour with two apps, and the third.
    const struct segment_slice slices[] = {slice_at(APP, 65, fixture->last_seq + 1, 1),
                                           slice_at(APP, 125, fixture->last_seq + 2, 1),
                                           slice_at(OTHER, 66, fixture->last_seq + 3, 1)};
    seal_slices(fixture, slices, ARRAY_COUNT(slices));
    assert_hours_are_right(fixture);
    assert_true(segment_find_crowded(fixture->catalog, 3, 10, &fixture->arena, &segments, &count,
                                     &fixture->err));
    assert_int_equal(count, 4);
    static const int64_t ids[] = {4, 5, 6, 7}; // their sizes grow
    for (size_t i = 0; i < count; i++)
        assert_int_equal(segments[i].id, ids[i]);
    assert_int_equal(segments[0].slice_count, 1);
    assert_int_equal(segments[0].slices[0].app_id, OTHER);
    assert_int_equal(segments[3].slice_count, 3);
    assert_int_equal(segments[3].slices[1].hour_ms, HOUR_MS + 2 * CIVIL_HOUR_MS);
    assert_int_equal(segments[3].slices[1].seq_max, slices[1].seq_max);
    assert_true(segment_find_crowded(fixture->catalog, 3, 2, &fixture->arena, &segments, &count,
                                     &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(segments[1].id, 5);

    // Merging 4 and 5 leaves 3 there.
    static const int64_t old_ids[] = {4, 5};
    const struct segment_slice merged_slices[] = {segments[0].slices[0], segments[1].slices[0]};
    const struct segment merged = segment_of(fixture, merged_slices, 2);
    assert_true(segment_replace(fixture->catalog, old_ids, 2, &merged, NOW_MS, &fixture->err));
    assert_hours_are_right(fixture);
    assert_true(segment_find_crowded(fixture->catalog, 3, 10, &fixture->arena, &segments, &count,
                                     &fixture->err));
    assert_int_equal(count, 0);
}

static bool drop(struct fixture *fixture, int64_t created_before_ms, int64_t limit,
                 int64_t *ret_count)
{
    const struct segment_drop drop = {created_before_ms, NOW_MS + 1, limit};
    return segment_drop_older(fixture->catalog, &drop, ret_count, &fixture->err);
}

// What is damaged is as good as not there for compaction, and for nobody else.
static void damaged_segments_are_not_crowded(void **state)
{
    struct fixture *fixture = *state;
    struct segment *segments = NULL;
    size_t count = 99;
    for (int64_t i = 0; i < 4; i++)
        seal_minute(fixture, APP, i, 10);
    for (int round = 0; round < 2; round++) // twice is fine
        assert_true(segment_mark_damaged(fixture->catalog, 2, &fixture->err));
    assert_true(segment_find_crowded(fixture->catalog, 2, 10, &fixture->arena, &segments, &count,
                                     &fixture->err));
    assert_int_equal(count, 3);
    static const int64_t ids[] = {1, 3, 4};
    for (size_t i = 0; i < count; i++)
        assert_int_equal(segments[i].id, ids[i]);
    assert_true(segment_find_crowded(fixture->catalog, 3, 10, &fixture->arena, &segments, &count,
                                     &fixture->err));
    assert_int_equal(count, 0);
    assert_int_equal(find(fixture, APP, 0, 60, 0, 100).count, 4);

    // It was counted once, so it is taken off once.
    int64_t dropped_count = 0;
    seal_minute(fixture, APP, 5, 10);
    assert_true(drop(fixture, NOW_MS + 1, 2, &dropped_count)); // 1 and 2
    assert_int_equal(dropped_count, 2);
    assert_hours_are_right(fixture);
    assert_false(segment_mark_damaged(fixture->catalog, 2, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    for (int64_t id = 3; id <= 5; id++)
        assert_true(segment_mark_damaged(fixture->catalog, id, &fixture->err));
    assert_int_equal(count_rows(fixture, "segment_hours"), 0);
    assert_true(drop(fixture, NOW_MS + 1, 10, &dropped_count));
    assert_int_equal(dropped_count, 3);
    assert_int_equal(count_rows(fixture, "segment_hours"), 0);
}

// --- Retention

static void old_segments_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    int64_t count = -1;
    for (int64_t i = 0; i < 3; i++)
        seal_minute(fixture, APP, i, 10); // all made at NOW_MS
    assert_true(drop(fixture, NOW_MS, 10, &count));
    assert_int_equal(count, 0);
    assert_true(drop(fixture, -5, 10, &count));
    assert_int_equal(count, 0);
    assert_true(drop(fixture, NOW_MS + 1, 2, &count));
    assert_int_equal(count, 2);
    assert_int_equal(find(fixture, APP, 0, 60, 0, 100).count, 1);
    assert_hours_are_right(fixture);
    assert_int_equal(garbage(fixture, NOW_MS + 1).count, 2);
    assert_true(drop(fixture, NOW_MS + 1, 2, &count));
    assert_int_equal(count, 1);
    assert_true(drop(fixture, NOW_MS + 1, 2, &count));
    assert_int_equal(count, 0);
    assert_int_equal(count_rows(fixture, "segment_slices"), 0);
    assert_int_equal(count_rows(fixture, "segment_hours"), 0);
}

static void merging_does_not_make_rows_younger(void **state)
{
    struct fixture *fixture = *state;
    int64_t count = -1;
    seal_minute(fixture, APP, 0, 10);
    seal_minute(fixture, APP, 1, 10);
    replace_first_two(fixture, NOW_MS + 1000000);
    assert_true(drop(fixture, NOW_MS + 1, 10, &count));
    assert_int_equal(count, 1);
}

static void segments_with_many_slices_are_dropped_in_several_calls(void **state)
{
    struct fixture *fixture = *state;
    enum { SLICES = 6000 };
    struct segment_slice *slices = arena_alloc_array(&fixture->arena, SLICES, sizeof *slices);
    for (int round = 0; round < 2; round++) {
        for (int64_t i = 0; i < SLICES; i++)
            slices[i] = slice_at(APP + i, 0, fixture->last_seq + 1 + i, 1);
        seal_slices(fixture, slices, SLICES);
    }
    assert_hours_are_right(fixture);
    int64_t count = -1;
    assert_true(drop(fixture, NOW_MS + 1, 10, &count));
    assert_int_equal(count, 1);
    assert_true(drop(fixture, NOW_MS + 1, 10, &count));
    assert_int_equal(count, 1);
    assert_int_equal(count_rows(fixture, "segment_slices"), 0);
}

static void live_segments_are_listed(void **state)
{
    struct fixture *fixture = *state;
    struct segment *segments = NULL;
    size_t count = 0;
    bool is_known = false;
    for (int64_t i = 0; i < 4; i++)
        seal_minute(fixture, APP, i, 10);
    replace_first_two(fixture, NOW_MS); // 5
    assert_true(
        segment_list(fixture->catalog, 0, 2, &fixture->arena, &segments, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_int_equal(segments[0].id, 3);
    assert_true(segment_list(fixture->catalog, segments[1].id, 2, &fixture->arena, &segments,
                             &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_int_equal(segments[0].id, 5);
    assert_true(
        segment_path_is_known(fixture->catalog, "lake/0000.parquet", &is_known, &fixture->err));
    assert_true(is_known); // replaced, but not forgotten
    assert_true(
        segment_path_is_known(fixture->catalog, "lake/none.parquet", &is_known, &fixture->err));
    assert_false(is_known);
}

// --- Idempotency keys

static void keys_are_kept_until_they_expire(void **state)
{
    struct fixture *fixture = *state;
    enum { KEYS = 1203 };
    struct segment_log_file file = add_file(fixture, 0);
    struct segment_idempotency *keys = arena_alloc_array(&fixture->arena, KEYS, sizeof *keys);
    for (int64_t i = 0; i < KEYS; i++)
        keys[i] = (struct segment_idempotency){
            .scope = arena_format(&fixture->arena, "scope-%d", (int)i),
            .body_sha256 = "ab",
            .answer = "{\"accepted\":1}",
            .expires_at_ms = i < KEYS - 1 ? NOW_MS + 10 : NOW_MS + 20,
        };
    struct segment_seal seal = {.log_file_id = file.id,
                                .is_file_done = true,
                                .keys = keys,
                                .key_count = KEYS,
                                .now_ms = NOW_MS};
    assert_true(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    struct segment_idempotency key = {0};
    assert_true(segment_get_idempotency(fixture->catalog, "scope-7", NOW_MS + 9, &fixture->arena,
                                        &key, &fixture->err));
    assert_string_equal(key.scope, "scope-7");
    assert_string_equal(key.body_sha256, "ab");
    assert_string_equal(key.answer, "{\"accepted\":1}");
    assert_int_equal(key.expires_at_ms, NOW_MS + 10);
    assert_false(segment_get_idempotency(fixture->catalog, "scope-7", NOW_MS + 10, &fixture->arena,
                                         &key, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_false(segment_get_idempotency(fixture->catalog, "scope", NOW_MS, &fixture->arena, &key,
                                         &fixture->err));

    // The same key again, after it expired and before it was deleted.
    file = add_file(fixture, 0);
    keys[7].body_sha256 = "cd";
    keys[7].expires_at_ms = NOW_MS + 30;
    seal = (struct segment_seal){.log_file_id = file.id,
                                 .is_file_done = true,
                                 .keys = &keys[7],
                                 .key_count = 1,
                                 .now_ms = NOW_MS};
    assert_true(segment_commit_seal(fixture->catalog, &seal, &fixture->err));
    assert_true(segment_get_idempotency(fixture->catalog, "scope-7", NOW_MS + 10, &fixture->arena,
                                        &key, &fixture->err));
    assert_string_equal(key.body_sha256, "cd");

    assert_true(segment_expire_idempotency(fixture->catalog, NOW_MS + 9, &fixture->err));
    assert_int_equal(count_rows(fixture, "idempotency_keys"), KEYS);
    assert_true(segment_expire_idempotency(fixture->catalog, NOW_MS + 10, &fixture->err));
    assert_int_equal(count_rows(fixture, "idempotency_keys"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log_files_follow_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(log_files_are_sealed_in_order_and_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(damage_is_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_may_be_sealed_in_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_seal_is_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slices_must_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(segments_are_found_by_app_time_and_seq, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_segment_is_found_once_with_all_that_is_in_range, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(finding_uses_the_primary_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pins_keep_files_of_replaced_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pins_are_all_or_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(garbage_has_a_grace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replacing_moves_rows_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_most_crowded_hour_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_segments_are_not_crowded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_segments_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(merging_does_not_make_rows_younger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(segments_with_many_slices_are_dropped_in_several_calls,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(live_segments_are_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_kept_until_they_expire, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
