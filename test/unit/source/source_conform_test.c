// SPDX-License-Identifier: Apache-2.0
// One suite over every source: the same rows, the same end, the same failures.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "source_fixture.h"

#define ROW_COUNT 5000

static const char *const physical[] = {"name:t",  "price:d", "flag:b",
                                       "count:i", "when:m",  "tags:j"};
static const struct column columns[] = {
    {"name", FIELD_TEXT},   {"price", FIELD_DOUBLE}, {"flag", FIELD_BOOL},
    {"count", FIELD_INT64}, {"when", FIELD_TIME},    {"tags", FIELD_JSON},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

// Rows in two implementations. `swapped`: the row at which the order is wrong; -1: none.
struct conform {
    struct source_fixture *fixture;
    struct batch_builder *builder;
    struct source_spec spec;
};

static int64_t row_time(int64_t row, int64_t swapped)
{
    return row == swapped ? 1 : 1000 + row / 3;
}

static void conform_build_memory(struct conform *conform, int64_t swapped)
{
    struct column all[2 + COLUMN_COUNT] = {{"time", FIELD_INT64}, {"seq", FIELD_INT64}};
    memcpy(all + 2, columns, sizeof columns);
    struct batch_builder *builder = batch_builder_new(all, 2 + COLUMN_COUNT, ROW_COUNT);
    for (int64_t i = 0; i < ROW_COUNT; i++) {
        char text[64];
        batch_builder_set_int64(builder, 0, row_time(i, swapped));
        batch_builder_set_int64(builder, 1, i);
        snprintf(text, sizeof text, "%s%" PRId64, i % 2 == 0 ? "n" : "a name of some length ", i);
        if (i % 7 != 0)
            batch_builder_set_text(builder, 2, slice_text(text));
        if (i % 3 != 0)
            batch_builder_set_double(builder, 3, (double)i / 4);
        if (i % 5 != 0)
            batch_builder_set_bool(builder, 4, i % 2 == 0);
        batch_builder_set_int64(builder, 5, -i);
        batch_builder_set_int64(builder, 6, INT64_C(1700000000000) + i);
        snprintf(text, sizeof text, "[%" PRId64 "]", i);
        batch_builder_set_text(builder, 7, slice_text(text));
        batch_builder_end_row(builder);
    }
    conform->builder = builder;
}

static void conform_build_lake(struct conform *conform, int64_t swapped)
{
    struct buf sql CLEANUP(buf_clear);
    buf_init(&sql, 8192);
    buf_append_format(&sql,
                      "SELECT %" PRId64 "::BIGINT AS _topic, %" PRId64 "::BIGINT AS _app,"
                      " CASE WHEN i = %" PRId64 " THEN 1 ELSE 1000 + i // 3 END::BIGINT AS _time,"
                      " i AS _seq,"
                      " CASE WHEN i %% 7 != 0 THEN CASE WHEN i %% 2 = 0 THEN 'n' ELSE"
                      " 'a name of some length ' END || i END AS \"name:t\",",
                      FIXTURE_TOPIC, FIXTURE_APP, swapped);
    buf_append_format(&sql,
                      " CASE WHEN i %% 3 != 0 THEN i / 4 END AS \"price:d\","
                      " CASE WHEN i %% 5 != 0 THEN i %% 2 = 0 END AS \"flag:b\","
                      " -i AS \"count:i\", 1700000000000 + i AS \"when:m\","
                      " '[' || i || ']' AS \"tags:j\" FROM range(%d) r(i)",
                      ROW_COUNT);
    source_fixture_add(conform->fixture, buf_text(&sql), physical, COLUMN_COUNT);
    conform->spec = source_fixture_spec(conform->fixture, columns, COLUMN_COUNT);
}

enum implementation {
    LAKE,
    MEMORY_1,    // one row at a time
    MEMORY_1000, // batches that do not divide the rows evenly
    MEMORY_ALL,
    FAULT_NEVER, // a fault wrapper that does not fail is a source like others
    IMPLEMENTATION_COUNT,
};

static struct source *conform_open(struct conform *conform, enum implementation implementation)
{
    struct source *source = NULL;
    struct err *err = &conform->fixture->err;
    const struct batch *rows = batch_builder_batch(conform->builder);
    switch (implementation) {
    case LAKE:
        assert_true(source_lake_open(conform->fixture->engine, &conform->spec, &source, err));
        break;
    case MEMORY_1:
        assert_true(source_memory_open(rows, 1, &source, err));
        break;
    case MEMORY_1000:
        assert_true(source_memory_open(rows, 999, &source, err));
        break;
    case MEMORY_ALL:
        assert_true(source_memory_open(rows, SIZE_MAX, &source, err));
        break;
    case FAULT_NEVER:
        assert_true(source_memory_open(rows, 7, &source, err));
        source = source_fault_new(source, UINT64_MAX, ERR_IO);
        break;
    case IMPLEMENTATION_COUNT:
        break;
    }
    assert_non_null(source);
    return source;
}

static void conform_set_up(struct conform *conform, void **state, int64_t swapped)
{
    *conform = (struct conform){.fixture = *state};
    conform_build_memory(conform, swapped);
    conform_build_lake(conform, swapped);
}

static void test_same_rows(void **state)
{
    struct conform conform;
    conform_set_up(&conform, state, -1);
    struct buf first CLEANUP(buf_clear);
    buf_init(&first, (size_t)16 << 20);
    for (unsigned i = 0; i < IMPLEMENTATION_COUNT; i++) {
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, (size_t)16 << 20);
        struct source *source CLEANUP(source_close) = conform_open(&conform,
                                                                   (enum implementation)i);
        assert_int_equal(source_row_count(source), 0);
        assert_true(source_fixture_read(conform.fixture, source, i == 0 ? &first : &text));
        assert_int_equal(source_row_count(source), ROW_COUNT);
        if (i > 0)
            assert_string_equal(buf_text(&text), buf_text(&first));
        // The end stays the end.
        struct source_rows rows = {.row_count = 1};
        assert_true(source_next(source, &rows, &conform.fixture->err));
        assert_int_equal(rows.row_count, 0);
        assert_int_equal(source_row_count(source), ROW_COUNT);
    }
    assert_non_null(
        strstr(buf_text(&first), "\na name of some length 1|0.25|false|-1|1700000000001|[1]|\n"));
    batch_builder_free(&conform.builder);
}

static void test_wrong_order_is_corrupt(void **state)
{
    for (int64_t swapped = 1; swapped < ROW_COUNT; swapped += 2499) {
        struct conform conform;
        conform_set_up(&conform, state, swapped);
        for (unsigned i = 0; i < IMPLEMENTATION_COUNT; i++) {
            struct buf text CLEANUP(buf_clear);
            buf_init(&text, (size_t)16 << 20);
            conform.spec.segments = &conform.fixture->segments[conform.fixture->segment_count - 1];
            conform.spec.segment_count = 1;
            struct source *source CLEANUP(source_close) = conform_open(&conform,
                                                                       (enum implementation)i);
            assert_false(source_fixture_read(conform.fixture, source, &text));
            assert_int_equal(conform.fixture->err.kind, ERR_CORRUPT);
            assert_non_null(strstr(conform.fixture->err.message, "out of order"));
        }
        batch_builder_free(&conform.builder);
    }
}

static void test_fault_comes_at_its_call(void **state)
{
    struct conform conform;
    conform_set_up(&conform, state, -1);
    for (uint64_t failing_call = 1; failing_call <= 4; failing_call++) {
        struct source *source CLEANUP(source_close) =
            source_fault_new(conform_open(&conform, LAKE), failing_call, ERR_UNAVAILABLE);
        struct source_rows rows = {.row_count = 1};
        struct err err = {0};
        uint64_t call = 1;
        while (source_next(source, &rows, &err) && rows.row_count > 0)
            call++;
        // 5,000 rows are three batches; the end is the fourth call.
        assert_int_equal(call, failing_call);
        assert_int_equal(err.kind, ERR_UNAVAILABLE);
        assert_non_null(strstr(err.message, "injected"));
    }
    batch_builder_free(&conform.builder);
}

static void test_memory_without_rows(void **state)
{
    struct source_fixture *fixture = *state;
    static const struct column keys[] = {{"time", FIELD_INT64}, {"seq", FIELD_INT64}};
    struct batch_builder *builder = batch_builder_new(keys, 2, 1);
    struct source *source CLEANUP(source_close) = NULL;
    struct source_rows rows = {.row_count = 1};
    assert_true(source_memory_open(batch_builder_batch(builder), 1, &source, &fixture->err));
    assert_true(source_next(source, &rows, &fixture->err));
    assert_int_equal(rows.row_count, 0);
    batch_builder_free(&builder);
}

#define CONFORM_TEST(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, source_fixture_set_up, source_fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFORM_TEST(test_same_rows),
        CONFORM_TEST(test_wrong_order_is_corrupt),
        CONFORM_TEST(test_fault_comes_at_its_call),
        CONFORM_TEST(test_memory_without_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
