// SPDX-License-Identifier: Apache-2.0
// Files go after their time, some at a time, and never because a clock is wrong.
#include "../catalog/jobs_fixture.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "catalog/hosted_files.h"
#include "catalog/leases.h"
#include "scheduler/retention.h"
#include "store/store_internal.h"

#define BOOT_MS   INT64_C(5000000)
#define EXPIRY_MS (FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS)

struct sweep {
    struct fixture *fixture;
    struct clock_fixed clock;
    struct store *store;
    struct retention_config config;
    const char *subscription_id;
    int64_t next_hour;
};

static int sweep_set_up(void **state)
{
    void *inner = NULL;
    assert_int_equal(fixture_set_up(&inner), 0);
    struct sweep *sweep = mem_alloc(sizeof *sweep);
    sweep->fixture = inner;
    sweep->store = store_memory_new();
    clock_fixed_init(&sweep->clock, FIXTURE_NOW_MS, BOOT_MS);
    sweep->config = (struct retention_config){{&sweep->clock.base, "boot-one"}, sweep->store};
    sweep->subscription_id = fixture_subscribe(sweep->fixture, CADENCE_HOURLY, "name");
    *state = sweep;
    return 0;
}

static int sweep_tear_down(void **state)
{
    struct sweep *sweep = *state;
    void *inner = sweep->fixture;
    store_close(&sweep->store);
    mem_free(sweep);
    return fixture_tear_down(&inner);
}

static void put_object(struct sweep *sweep, const char *key)
{
    struct sink *sink CLEANUP(sink_free) = NULL;
    assert_done(sweep->fixture, store_put_begin(sweep->store, key, &sink, &sweep->fixture->err));
    assert_done(sweep->fixture, sink_write(sink, slice_text("bytes"), &sweep->fixture->err));
    assert_done(sweep->fixture, sink_finish(sink, &sweep->fixture->err));
}

// A job that succeeded now, with files in the store.
static struct job_file *publish(struct sweep *sweep, size_t file_count)
{
    struct fixture *fixture = sweep->fixture;
    const struct job job = fixture_run_hour(fixture, sweep->subscription_id,
                                            FIXTURE_HOUR(sweep->next_hour++));
    struct job_file *files = arena_alloc_array(&fixture->arena, file_count, sizeof *files);
    for (size_t i = 0; i < file_count; i++) {
        files[i] = (struct job_file){
            .part = (int64_t)i,
            .key = arena_format(&fixture->arena, "v2/job_id=%s/part-%zu", job.id, i),
            .row_count = 1,
            .byte_count = 5,
            .sha256 = "00",
        };
        put_object(sweep, files[i].key);
    }
    const struct job_claim claim = fixture_claim_of(&job);
    const struct job_result result = {
        .files = files,
        .file_count = file_count,
        .row_count = (int64_t)file_count,
        .byte_count = 5 * (int64_t)file_count,
        .manifest = "{}",
        .now_ms = FIXTURE_NOW_MS,
        .expires_at_ms = EXPIRY_MS,
    };
    assert_done(fixture, job_succeed(fixture->catalog, &claim, &result, &fixture->err));
    return files;
}

static bool is_stored(struct sweep *sweep, const char *key)
{
    int fd = -1;
    uint64_t size_bytes = 0;
    if (!store_open_object(sweep->store, key, &fd, &size_bytes, &sweep->fixture->err))
        return false;
    (void)close(fd);
    return true;
}

static struct retention_result run(struct sweep *sweep)
{
    struct retention_result result = {0};
    assert_done(sweep->fixture, retention_sweep(&sweep->config, sweep->fixture->catalog, &result,
                                                &sweep->fixture->err));
    return result;
}

static void pass(struct sweep *sweep, int64_t wall_ms, int64_t boot_ms)
{
    sweep->clock.now_wall_ms += wall_ms;
    sweep->clock.now_boot_ms += boot_ms;
}

static void pass_until(struct sweep *sweep, int64_t time_ms)
{
    const int64_t rest_ms = time_ms - sweep->clock.now_wall_ms;
    pass(sweep, rest_ms, rest_ms);
}

static void test_files_stay_until_their_time(void **state)
{
    struct sweep *sweep = *state;
    const struct job_file *files = publish(sweep, 2);
    assert_int_equal(run(sweep).expired_job_count, 0);
    pass_until(sweep, EXPIRY_MS - 1);
    struct retention_result result = run(sweep);
    assert_int_equal(result.expired_job_count, 0);
    assert_int_equal(result.deleted_file_count, 0);
    assert_true(is_stored(sweep, files[0].key));
    pass_until(sweep, EXPIRY_MS);
    result = run(sweep);
    assert_int_equal(result.expired_job_count, 1);
    assert_int_equal(result.deleted_file_count, 2);
    assert_false(result.waits_for_operator);
    assert_false(is_stored(sweep, files[0].key));
    assert_false(is_stored(sweep, files[1].key));
    struct hosted_file found;
    assert_refused(sweep->fixture,
                   hosted_file_find(sweep->fixture->catalog, NULL, slice_text(files[0].key),
                                    &sweep->fixture->arena, &found, &sweep->fixture->err),
                   ERR_NOT_FOUND);
    result = run(sweep);
    assert_int_equal(result.deleted_file_count, 0);
}

static void test_first_sweep_has_nothing_to_compare(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 1);
    pass_until(sweep, EXPIRY_MS);
    assert_int_equal(run(sweep).deleted_file_count, 1);
}

static void assert_waits(struct sweep *sweep, int64_t jump_ms)
{
    const struct retention_result result = run(sweep);
    assert_true(result.waits_for_operator);
    assert_int_equal(result.clock_jump_ms, jump_ms);
    assert_int_equal(result.expired_job_count, 0);
    assert_int_equal(result.deleted_file_count, 0);
}

static void accept(struct sweep *sweep)
{
    assert_done(sweep->fixture, clock_guard_accept(&sweep->config.guard, sweep->fixture->catalog,
                                                   &sweep->fixture->err));
}

static void test_jump_forward_waits_for_the_operator(void **state)
{
    struct sweep *sweep = *state;
    const struct job_file *files = publish(sweep, 1);
    (void)run(sweep);
    pass(sweep, FIXTURE_EXPIRY_MS, CIVIL_MINUTE_MS);
    assert_waits(sweep, FIXTURE_EXPIRY_MS - CIVIL_MINUTE_MS);
    pass(sweep, CIVIL_DAY_MS, CIVIL_DAY_MS); // it does not wear off
    assert_waits(sweep, FIXTURE_EXPIRY_MS - CIVIL_MINUTE_MS);
    assert_true(is_stored(sweep, files[0].key));
    accept(sweep);
    assert_int_equal(run(sweep).deleted_file_count, 1);
    assert_false(is_stored(sweep, files[0].key));
}

static void test_clock_that_is_set_right_needs_no_operator(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 1);
    (void)run(sweep);
    pass(sweep, FIXTURE_EXPIRY_MS, 0);
    assert_waits(sweep, FIXTURE_EXPIRY_MS);
    pass(sweep, -FIXTURE_EXPIRY_MS, 0);
    const struct retention_result result = run(sweep);
    assert_false(result.waits_for_operator);
    assert_int_equal(result.deleted_file_count, 0);
}

static void test_jump_backward_waits_for_the_operator(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 1);
    (void)run(sweep);
    pass_until(sweep, EXPIRY_MS + 3 * CIVIL_HOUR_MS);
    pass(sweep, -CIVIL_HOUR_MS - 1, 0);
    assert_waits(sweep, -CIVIL_HOUR_MS - 1);
    accept(sweep);
    assert_int_equal(run(sweep).deleted_file_count, 1);
}

static void test_an_hour_is_tolerated(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 1);
    (void)run(sweep);
    pass_until(sweep, EXPIRY_MS);
    pass(sweep, CIVIL_HOUR_MS, 0);
    assert_int_equal(run(sweep).deleted_file_count, 1);
    pass(sweep, -CIVIL_HOUR_MS, 0);
    assert_false(run(sweep).waits_for_operator);
}

static void test_reboot_of_some_days_goes_on(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 1);
    pass_until(sweep, EXPIRY_MS - CIVIL_DAY_MS);
    (void)run(sweep);
    sweep->config.guard.boot_id = "boot-two";
    pass(sweep, 3 * CIVIL_DAY_MS, 0);
    sweep->clock.now_boot_ms = 1000;
    const struct retention_result result = run(sweep);
    assert_false(result.waits_for_operator);
    assert_int_equal(result.deleted_file_count, 1);
    pass(sweep, 2 * CIVIL_HOUR_MS, 0); // within the new boot, its clock counts
    assert_waits(sweep, 2 * CIVIL_HOUR_MS);
}

static void test_reboot_of_over_a_month_waits(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 1);
    (void)run(sweep);
    sweep->config.guard.boot_id = "boot-two";
    sweep->clock.now_boot_ms = 1000;
    pass(sweep, 31 * CIVIL_DAY_MS, 0);
    assert_waits(sweep, 31 * CIVIL_DAY_MS);
    accept(sweep);
    assert_int_equal(run(sweep).deleted_file_count, 1);
}

static void test_reboot_into_the_past_waits(void **state)
{
    struct sweep *sweep = *state;
    (void)run(sweep);
    sweep->config.guard.boot_id = "boot-two";
    pass(sweep, -2 * CIVIL_HOUR_MS, 0);
    assert_waits(sweep, -2 * CIVIL_HOUR_MS);
}

static void test_hundred_files_at_a_time(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 130);
    (void)publish(sweep, 120);
    pass_until(sweep, EXPIRY_MS);
    struct retention_result result = run(sweep);
    assert_int_equal(result.expired_job_count, 2); // no URL works any more
    assert_int_equal(result.deleted_file_count, 100);
    assert_int_equal(run(sweep).deleted_file_count, 100);
    assert_int_equal(run(sweep).deleted_file_count, 50);
    assert_int_equal(run(sweep).deleted_file_count, 0);
}

static void test_five_percent_of_many(void **state)
{
    struct sweep *sweep = *state;
    (void)publish(sweep, 2600);
    pass_until(sweep, EXPIRY_MS);
    assert_int_equal(run(sweep).deleted_file_count, 130);
    assert_int_equal(run(sweep).deleted_file_count, 123); // 5 % of what is left
}

// What a sweep that died has deleted already is no obstacle.
static void test_missing_object_is_fine(void **state)
{
    struct sweep *sweep = *state;
    const struct job_file *files = publish(sweep, 2);
    assert_done(sweep->fixture, store_delete(sweep->store, files[0].key, &sweep->fixture->err));
    pass_until(sweep, EXPIRY_MS);
    assert_int_equal(run(sweep).deleted_file_count, 2);
}

// Refuses to delete.
struct refusing_store {
    struct store base;
    enum err_kind kind;
    int asked_count;
};

static bool refusing_delete(struct store *store, const char *key, struct err *err)
{
    struct refusing_store *refusing = (struct refusing_store *)store;
    refusing->asked_count++;
    return err_set(err, refusing->kind, "%s stays", key);
}

// Each question to a store that is away takes minutes.
static void test_a_store_that_is_away_is_asked_once(void **state)
{
    static const struct store_ops ops = {.name = "refusing", .delete_object = refusing_delete};
    static const struct {
        enum err_kind kind;
        int asked_count;
    } rows[] = {{ERR_UNAVAILABLE, 1}, {ERR_DENIED, 3}};
    struct sweep *sweep = *state;
    (void)publish(sweep, 3);
    pass_until(sweep, EXPIRY_MS);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct refusing_store refusing = {.base.ops = &ops, .kind = rows[i].kind};
        struct retention_result result = {0};
        sweep->config.store = &refusing.base;
        assert_refused(
            sweep->fixture,
            retention_sweep(&sweep->config, sweep->fixture->catalog, &result, &sweep->fixture->err),
            rows[i].kind);
        assert_int_equal(refusing.asked_count, rows[i].asked_count);
    }
    sweep->config.store = sweep->store;
    assert_int_equal(run(sweep).deleted_file_count, 3);
}

static void test_damaged_value_stops_deletion(void **state)
{
    struct sweep *sweep = *state;
    const struct job_file *files = publish(sweep, 1);
    assert_done(sweep->fixture, catalog_set_value(sweep->fixture->catalog, "retention_clock",
                                                  "what", &sweep->fixture->err));
    pass_until(sweep, EXPIRY_MS);
    struct retention_result result = {0};
    assert_refused(
        sweep->fixture,
        retention_sweep(&sweep->config, sweep->fixture->catalog, &result, &sweep->fixture->err),
        ERR_CORRUPT);
    assert_true(is_stored(sweep, files[0].key));
}

static void test_boot_id_is_that_of_the_kernel(void **state)
{
    struct sweep *sweep = *state;
    const char *one = NULL;
    const char *other = NULL;
    assert_done(sweep->fixture,
                clock_guard_read_boot_id(&sweep->fixture->arena, &one, &sweep->fixture->err));
    assert_done(sweep->fixture,
                clock_guard_read_boot_id(&sweep->fixture->arena, &other, &sweep->fixture->err));
    assert_string_equal(one, other);
    assert_int_equal(strlen(one), 36);
}

#define sweep_test(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, sweep_set_up, sweep_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        sweep_test(test_files_stay_until_their_time),
        sweep_test(test_first_sweep_has_nothing_to_compare),
        sweep_test(test_jump_forward_waits_for_the_operator),
        sweep_test(test_clock_that_is_set_right_needs_no_operator),
        sweep_test(test_jump_backward_waits_for_the_operator),
        sweep_test(test_an_hour_is_tolerated),
        sweep_test(test_reboot_of_some_days_goes_on),
        sweep_test(test_reboot_of_over_a_month_waits),
        sweep_test(test_reboot_into_the_past_waits),
        sweep_test(test_hundred_files_at_a_time),
        sweep_test(test_five_percent_of_many),
        sweep_test(test_missing_object_is_fine),
        sweep_test(test_a_store_that_is_away_is_asked_once),
        sweep_test(test_damaged_value_stops_deletion),
        sweep_test(test_boot_id_is_that_of_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
