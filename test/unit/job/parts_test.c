// SPDX-License-Identifier: Apache-2.0
// Rows into files of the store: where files end, what they are called, and what failures leave.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/civil.h"
#include "base/hash.h"
#include "base/mem.h"
#include "job/parts.h"

#define ROW_COUNT 10

static const struct column columns[] = {{"name", FIELD_TEXT}};
static const struct job job = {
    .id = "0f8fad5b-d9cb-469f-a165-70867728950e",
    .app_id = "123456789012345678",
    .start_ms = INT64_C(20000) * CIVIL_DAY_MS + 9 * CIVIL_HOUR_MS,
    .revision = 2,
};

struct fixture {
    struct arena arena;
    struct err err;
    struct store *store;
    struct recipe recipe;
    struct parts_config config;
    struct batch_builder *rows;
};

#define assert_done(call)                                                                          \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s", #call, fixture->err.message);                                       \
    } while (0)

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    fixture->store = store_memory_new();
    fixture->recipe = (struct recipe){
        .columns = columns,
        .column_count = 1,
        .format = REPORT_CSV,
        .compression = REPORT_SNAPPY,
        .part_bytes = 1000000,
    };
    fixture->config = (struct parts_config){
        .store = fixture->store,
        .job = &job,
        .recipe = &fixture->recipe,
        .topic_name = "milk_click",
        .app_id = job.app_id,
        .layout = PARTS_HOURLY,
    };
    fixture->rows = batch_builder_new(columns, 1, ROW_COUNT);
    for (int i = 0; i < ROW_COUNT; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "row %05d", i);
        batch_builder_set_text(fixture->rows, 0, slice_text(text)); // 10 bytes with its LF
        batch_builder_end_row(fixture->rows);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    batch_builder_free(&fixture->rows);
    store_close(&fixture->store);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static bool exists(struct fixture *fixture, const char *key)
{
    int fd = -1;
    uint64_t size_bytes = 0;
    if (!store_open_object(fixture->store, key, &fd, &size_bytes, &fixture->err))
        return false;
    (void)close(fd);
    return true;
}

static const char *key_of(struct fixture *fixture, int part)
{
    return arena_format(&fixture->arena,
                        "v2/y=2024/m=10/d=04/h=09/app_id=123456789012345678/job_id="
                        "0f8fad5b-d9cb-469f-a165-70867728950e/task_id=0/milk_click-"
                        "20241004T090000Z-r2-%05d.csv.snappy",
                        part);
}

// All rows, `step` at a time.
static size_t write_rows(struct fixture *fixture, size_t step, struct job_file **ret_files)
{
    struct parts *parts CLEANUP(parts_free) = parts_new(&fixture->config);
    for (size_t at = 0; at < ROW_COUNT; at += step) {
        const struct source_rows rows = {
            .batch = batch_builder_batch(fixture->rows),
            .first_row = at,
            .row_count = ROW_COUNT - at < step ? ROW_COUNT - at : step,
        };
        assert_done(parts_write(parts, &rows, &fixture->err));
    }
    size_t count = 0;
    assert_done(parts_finish(parts, &fixture->arena, ret_files, &count, &fixture->err));
    return count;
}

static void test_files_end_at_the_same_rows_for_any_batches(void **state)
{
    struct fixture *fixture = *state;
    fixture->recipe.part_bytes = 30; // header of 5 and three rows: ends after the third
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, ROW_COUNT, &files), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(files[i].part, i);
        assert_int_equal(files[i].row_count, i < 3 ? 3 : 1);
        assert_string_equal(files[i].key, key_of(fixture, (int)i));
        assert_true(exists(fixture, files[i].key));
        assert_int_equal(strlen(files[i].sha256), SHA256_HEX_CHARS);
    }
    for (size_t step = 1; step < ROW_COUNT; step++) {
        struct job_file *again = NULL;
        assert_int_equal(write_rows(fixture, step, &again), 4);
        for (size_t i = 0; i < 4; i++)
            assert_string_equal(again[i].sha256, files[i].sha256);
    }
}

static void test_every_file_has_a_row_however_small_the_limit(void **state)
{
    struct fixture *fixture = *state;
    fixture->recipe.part_bytes = 1; // less than the header
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, 4, &files), ROW_COUNT);
    for (size_t i = 0; i < ROW_COUNT; i++)
        assert_int_equal(files[i].row_count, 1);
}

static void test_no_empty_file_follows_a_full_one(void **state)
{
    struct fixture *fixture = *state;
    fixture->recipe.part_bytes = 5 + 10 * ROW_COUNT;
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, 5, &files), 1);
    assert_int_equal(files[0].row_count, ROW_COUNT);
}

static void test_no_rows_are_one_file(void **state)
{
    struct fixture *fixture = *state;
    struct parts *parts CLEANUP(parts_free) = parts_new(&fixture->config);
    struct job_file *files = NULL;
    size_t count = 0;
    assert_done(parts_finish(parts, &fixture->arena, &files, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_int_equal(files[0].row_count, 0);
    assert_true(files[0].byte_count > 0);
}

static void test_keys_of_days_samples_and_formats(void **state)
{
    struct fixture *fixture = *state;
    struct job sample = job;
    sample.revision = -1;
    fixture->config.job = &sample;
    fixture->config.layout = PARTS_DATED;
    fixture->recipe.format = REPORT_PARQUET;
    fixture->recipe.compression = REPORT_GZ;
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, 5, &files), 1);
    assert_string_equal(files[0].key, "v2/y=2024/m=10/d=04/app_id=123456789012345678/job_id="
                                      "0f8fad5b-d9cb-469f-a165-70867728950e/task_id=0/milk_click-"
                                      "20241004T090000Z-r0-00000.parquet");
}

static void test_files_end_at_a_number_of_rows(void **state)
{
    struct fixture *fixture = *state;
    fixture->recipe.part_rows = 4;
    for (size_t step = 1; step <= ROW_COUNT; step++) {
        struct job_file *files = NULL;
        assert_int_equal(write_rows(fixture, step, &files), 3);
        assert_int_equal(files[0].row_count, 4);
        assert_int_equal(files[1].row_count, 4);
        assert_int_equal(files[2].row_count, 2);
    }
    fixture->recipe.part_rows = 5;
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, 3, &files), 2); // and no empty one
    fixture->recipe.part_bytes = 30;                     // three rows: what comes first ends it
    assert_int_equal(write_rows(fixture, 3, &files), 4);
}

static void test_keys_of_daily_exports(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.layout = PARTS_DAILY_EXPORT;
    fixture->recipe.compression = REPORT_GZ;
    fixture->recipe.part_rows = 5;
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, 5, &files), 2);
    assert_string_equal(files[0].key,
                        "api_export/y=2024/m=10/d=04/app_id=123456789012345678/topic=milk_click/"
                        "123456789012345678-2024-10-04-milk_click-v2-"
                        "0f8fad5bd9cb469fa16570867728950e.csv.gz");
    assert_string_equal(files[1].key,
                        "api_export/y=2024/m=10/d=04/app_id=123456789012345678/topic=milk_click/"
                        "123456789012345678-2024-10-04-milk_click-v2-"
                        "0f8fad5bd9cb469fa16570867728950e-1.csv.gz");
}

static void test_without_a_store_files_are_measured(void **state)
{
    struct fixture *fixture = *state;
    struct job_file *kept = NULL;
    struct job_file *measured = NULL;
    assert_int_equal(write_rows(fixture, 5, &kept), 1);
    assert_done(parts_delete(&fixture->config, 0, &fixture->err));
    struct store *store = fixture->store;
    fixture->config.store = NULL;
    assert_int_equal(write_rows(fixture, 5, &measured), 1);
    fixture->config.store = store;
    assert_string_equal(measured[0].sha256, kept[0].sha256);
    assert_int_equal(measured[0].byte_count, kept[0].byte_count);
    assert_false(exists(fixture, kept[0].key));
}

static void test_deletion_goes_on_to_the_first_gap(void **state)
{
    struct fixture *fixture = *state;
    fixture->recipe.part_bytes = 30;
    struct job_file *files = NULL;
    assert_int_equal(write_rows(fixture, 5, &files), 4);
    assert_done(store_delete(fixture->store, key_of(fixture, 1), &fixture->err));
    assert_done(parts_delete(&fixture->config, 0, &fixture->err));
    assert_false(exists(fixture, key_of(fixture, 0)));
    assert_true(exists(fixture, key_of(fixture, 2)));
    assert_done(parts_delete(&fixture->config, 3, &fixture->err));
    assert_false(exists(fixture, key_of(fixture, 2)));
    assert_false(exists(fixture, key_of(fixture, 3)));
}

static void test_abandoned_file_never_appears(void **state)
{
    struct fixture *fixture = *state;
    fixture->recipe.part_bytes = 60;
    struct parts *parts = parts_new(&fixture->config);
    const struct source_rows rows = {batch_builder_batch(fixture->rows), 0, ROW_COUNT};
    assert_done(parts_write(parts, &rows, &fixture->err));
    parts_free(&parts);
    assert_true(exists(fixture, key_of(fixture, 0)));
    assert_false(exists(fixture, key_of(fixture, 1)));
    parts_free(&parts);
}

// All calls of two files, each failing once.
static void test_failing_store(void **state)
{
    struct fixture *fixture = *state;
    const struct source_rows rows = {batch_builder_batch(fixture->rows), 0, ROW_COUNT};
    bool has_failed = true;
    for (uint64_t call = 1; has_failed; call++) {
        assert_true(call < 20);
        struct store *faulty CLEANUP(store_close) = store_fault_new(store_memory_new(), call,
                                                                    ERR_FULL);
        fixture->config.store = faulty;
        struct parts *parts CLEANUP(parts_free) = parts_new(&fixture->config);
        struct job_file *files = NULL;
        size_t count = 0;
        has_failed = !parts_write(parts, &rows, &fixture->err) ||
                     !parts_finish(parts, &fixture->arena, &files, &count, &fixture->err);
        if (has_failed)
            assert_int_equal(fixture->err.kind, ERR_FULL);
        else
            assert_true(call > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_end_at_the_same_rows_for_any_batches, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_every_file_has_a_row_however_small_the_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_no_empty_file_follows_a_full_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_rows_are_one_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_of_days_samples_and_formats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_end_at_a_number_of_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_of_daily_exports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_store_files_are_measured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deletion_goes_on_to_the_first_gap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abandoned_file_never_appears, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failing_store, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
