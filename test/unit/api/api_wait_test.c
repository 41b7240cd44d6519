// SPDX-License-Identifier: Apache-2.0
// Calls that wait are handed on when their jobs are final, when their time is over, or when the
// server stops; each once. Run under ThreadSanitizer as well.
#include "../catalog/jobs_fixture.h"

#include <unistd.h>

#include "api/api_wait.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "catalog/requests.h"

#define LIMIT ((size_t)8)

struct waiter {
    struct fixture base;
    char directory[64];
    const char *path;
    struct api_wait *wait;
    struct mutex mutex; // guards what follows
    struct condition changed;
    int there_count;
    int over_count;
};

static void run(void *item, bool is_there, struct catalog *catalog)
{
    struct waiter *waiter = item;
    assert_non_null(catalog);
    mutex_lock(&waiter->mutex);
    waiter->there_count += is_there ? 1 : 0;
    waiter->over_count += is_there ? 0 : 1;
    condition_broadcast(&waiter->changed);
    mutex_unlock(&waiter->mutex);
}

static int set_up(void **state)
{
    struct waiter *waiter = mem_alloc(sizeof *waiter);
    struct fixture *fixture = &waiter->base;
    (void)snprintf(waiter->directory, sizeof waiter->directory, "/tmp/milkrun-wait-XXXXXX");
    assert_non_null(mkdtemp(waiter->directory));
    arena_init(&fixture->arena);
    waiter->path = arena_format(&fixture->arena, "%s/milkrun.db", waiter->directory);
    assert_done(fixture, catalog_create(waiter->path, &fixture->catalog, &fixture->err));
    fixture->organization_id = fixture_organization(fixture, "first", &fixture->app_id);
    mutex_init(&waiter->mutex);
    condition_init(&waiter->changed);
    const struct api_wait_config config = {
        .catalog_path = waiter->path,
        .clock = clock_system(),
        .limit = LIMIT,
        .run = run,
    };
    assert_done(fixture, api_wait_open(&config, &waiter->wait, &fixture->err));
    *state = waiter;
    return 0;
}

static bool remove_one(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

static int tear_down(void **state)
{
    struct waiter *waiter = *state;
    api_wait_close(&waiter->wait);
    catalog_close(&waiter->base.catalog);
    assert_true(file_walk(waiter->directory, "", remove_one, NULL, &waiter->base.err));
    (void)rmdir(waiter->directory);
    condition_clear(&waiter->changed);
    mutex_clear(&waiter->mutex);
    arena_clear(&waiter->base.arena);
    mem_free(waiter);
    return 0;
}

static void settle(struct waiter *waiter, int there_count, int over_count)
{
    mutex_lock(&waiter->mutex);
    while (waiter->there_count + waiter->over_count < there_count + over_count)
        condition_wait(&waiter->changed, &waiter->mutex);
    assert_int_equal(waiter->there_count, there_count);
    assert_int_equal(waiter->over_count, over_count);
    mutex_unlock(&waiter->mutex);
}

static void add(struct waiter *waiter, const char *const *job_ids, size_t count, int64_t seal_seq,
                int64_t timeout_ms)
{
    const struct api_wait_entry entry = {
        .item = waiter,
        .organization_id = waiter->base.organization_id,
        .job_ids = job_ids,
        .job_count = count,
        .seal_seq = seal_seq,
        .until_boot_ms = clock_boot_ms(clock_system()) + timeout_ms,
    };
    assert_true(api_wait_reserve(waiter->wait, entry.organization_id));
    api_wait_add(waiter->wait, &entry);
}

static const char *make_job(struct fixture *fixture)
{
    const struct request_spec spec = {
        .kind = SUBSCRIPTION_PREVIEW,
        .organization_id = fixture->organization_id,
        .app_id = fixture->app_id,
        .report = fixture_report(fixture, CADENCE_DAILY, "name"),
        .topic_id = FIXTURE_TOPIC_ID,
        .start_ms = FIXTURE_DAY_MS,
        .end_ms = FIXTURE_DAY_MS + 1,
        .now_ms = FIXTURE_NOW_MS,
    };
    struct request request = {0};
    assert_done(fixture,
                request_create(fixture->catalog, &spec, &fixture->arena, &request, &fixture->err));
    return request.job.id;
}

static void finish_next(struct fixture *fixture)
{
    struct job job = {0};
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &job));
    fixture_succeed(fixture, &job, 0);
}

static void a_call_goes_on_when_all_its_jobs_are_final(void **state)
{
    struct waiter *waiter = *state;
    const char *const jobs[] = {make_job(&waiter->base), make_job(&waiter->base)};
    add(waiter, jobs, 2, 0, 60000);
    finish_next(&waiter->base);
    assert_int_equal(api_wait_count(waiter->wait), 1);
    finish_next(&waiter->base);
    settle(waiter, 1, 0);
    assert_int_equal(api_wait_count(waiter->wait), 0);
    add(waiter, jobs, 2, 0, 60000); // final already, and nothing changes any more
    settle(waiter, 2, 0);
}

static void a_call_goes_on_when_the_lake_is_sealed(void **state)
{
    struct waiter *waiter = *state;
    add(waiter, NULL, 0, 5, 60000);
    fixture_seal(&waiter->base, waiter->base.app_id, FIXTURE_TOPIC_ID, FIXTURE_DAY_MS, 4);
    assert_int_equal(api_wait_count(waiter->wait), 1);
    fixture_seal(&waiter->base, waiter->base.app_id, FIXTURE_TOPIC_ID, FIXTURE_DAY_MS, 1);
    settle(waiter, 1, 0);
}

static void a_call_goes_on_when_its_time_is_over(void **state)
{
    struct waiter *waiter = *state;
    const char *const jobs[] = {make_job(&waiter->base)};
    add(waiter, jobs, 1, 0, 50);
    settle(waiter, 0, 1);
    add(waiter, jobs, 1, 0, -1);
    settle(waiter, 0, 2);
}

static void an_organization_has_a_quarter_of_the_places(void **state)
{
    struct waiter *waiter = *state;
    const char *const jobs[] = {make_job(&waiter->base)};
    const char *organization_id = waiter->base.organization_id;
    for (size_t i = 0; i < LIMIT / 4; i++)
        add(waiter, jobs, 1, 0, 60000);
    assert_false(api_wait_reserve(waiter->wait, organization_id));
    finish_next(&waiter->base);
    settle(waiter, (int)LIMIT / 4, 0);
    add(waiter, jobs, 1, 0, 60000);
    settle(waiter, (int)LIMIT / 4 + 1, 0);
}

static void a_server_that_stops_keeps_nobody(void **state)
{
    struct waiter *waiter = *state;
    const char *const jobs[] = {make_job(&waiter->base)};
    add(waiter, jobs, 1, 0, 600000);
    add(waiter, jobs, 1, 0, 600000);
    api_wait_drain(waiter->wait);
    settle(waiter, 0, 2);
    assert_false(api_wait_reserve(waiter->wait, waiter->base.organization_id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_goes_on_when_all_its_jobs_are_final, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_call_goes_on_when_the_lake_is_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_goes_on_when_its_time_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_organization_has_a_quarter_of_the_places, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_stops_keeps_nobody, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
