// SPDX-License-Identifier: Apache-2.0
// The thread that keeps a lease, and says in time when it is lost.
#include "job_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "catalog/leases.h"
#include "worker/heartbeat.h"
#include "worker/worker.h"

#define LEASE_MS   JOB_FIXTURE_LEASE_MS
#define STALL_MS   INT64_C(600000)
#define BOOT_MS    INT64_C(5000000)
#define WAIT_MS    10000 // for what must come
#define NOTHING_MS 450   // for what must not: two looks of the thread

// A clock that the test moves while the thread reads it.
struct moving_clock {
    struct clock base;
    atomic_llong passed_ms;
};

static int64_t moving_wall_ms(const struct clock *clock)
{
    const struct moving_clock *moving = (const struct moving_clock *)clock;
    return JOB_FIXTURE_NOW_MS + atomic_load(&moving->passed_ms);
}

static int64_t moving_boot_ms(const struct clock *clock)
{
    const struct moving_clock *moving = (const struct moving_clock *)clock;
    return BOOT_MS + atomic_load(&moving->passed_ms);
}

struct beating {
    struct moving_clock clock;
    struct stop stop;
    struct job_watch watch;
    struct heartbeat_config config;
    struct heartbeat heartbeat;
};

static void beating_init(struct beating *beating, const char *catalog_path, struct job_claim claim)
{
    beating->clock.base = (struct clock){moving_wall_ms, moving_boot_ms};
    atomic_init(&beating->clock.passed_ms, 0);
    stop_init(&beating->stop);
    atomic_init(&beating->watch.is_lost, false);
    atomic_init(&beating->watch.progress, 0);
    beating->config = (struct heartbeat_config){
        .catalog_path = catalog_path,
        .clock = &beating->clock.base,
        .claim = claim,
        .claimed_at_boot_ms = BOOT_MS,
        .lease_ms = LEASE_MS,
        .stall_limit_ms = STALL_MS,
        .stop = &beating->stop,
    };
}

static void start(struct beating *beating)
{
    heartbeat_start(&beating->heartbeat, &beating->config, &beating->watch);
}

static void end(struct beating *beating)
{
    heartbeat_stop(&beating->heartbeat);
    stop_clear(&beating->stop);
}

static void at(struct beating *beating, int64_t passed_ms)
{
    atomic_store(&beating->clock.passed_ms, passed_ms);
}

static bool is_lost_soon(struct beating *beating)
{
    for (int i = 0; i < WAIT_MS / 10 && !atomic_load(&beating->watch.is_lost); i++)
        (void)usleep(10000);
    return atomic_load(&beating->watch.is_lost);
}

static bool is_kept(struct beating *beating)
{
    (void)usleep(NOTHING_MS * 1000);
    return !atomic_load(&beating->watch.is_lost);
}

static struct job claim_a_job(struct job_fixture *fixture)
{
    const char *id = job_fixture_subscribe(fixture, "[\"name\"]", NULL);
    return job_fixture_claim_hour(fixture, id, JOB_FIXTURE_HOUR(9));
}

static bool is_claimable_at(struct job_fixture *fixture, int64_t passed_ms)
{
    struct job job;
    fixture->clock.now_wall_ms = JOB_FIXTURE_NOW_MS + passed_ms;
    return job_fixture_claim(fixture, &job);
}

static void wait_for_commit(struct job_fixture *fixture)
{
    bool has_changed = false;
    for (int i = 0; i < WAIT_MS / 10 && !has_changed; i++) {
        (void)usleep(10000);
        assert_done(fixture, catalog_poll(fixture->catalog, &has_changed, &fixture->err));
    }
    assert_true(has_changed);
}

static void test_lease_is_renewed(void **state)
{
    struct job_fixture *fixture = *state;
    const struct job job = claim_a_job(fixture);
    struct beating beating;
    beating_init(&beating, fixture->catalog_path, job_fixture_claim_of(&job));
    bool ignored = false;
    assert_done(fixture, catalog_poll(fixture->catalog, &ignored, &fixture->err));
    at(&beating, LEASE_MS / 2);
    start(&beating);
    wait_for_commit(fixture);
    assert_false(is_claimable_at(fixture, LEASE_MS + 1000));
    assert_false(atomic_load(&beating.watch.is_lost));
    end(&beating);
    assert_true(is_claimable_at(fixture, LEASE_MS / 2 + LEASE_MS + 1000));
}

static void test_claim_of_another_ends_the_job(void **state)
{
    struct job_fixture *fixture = *state;
    const struct job job = claim_a_job(fixture);
    assert_true(is_claimable_at(fixture, 2 * LEASE_MS));
    struct beating beating;
    beating_init(&beating, fixture->catalog_path, job_fixture_claim_of(&job));
    at(&beating, LEASE_MS / 4);
    start(&beating);
    assert_true(is_lost_soon(&beating));
    end(&beating);
}

static void test_job_without_progress_is_given_up(void **state)
{
    struct job_fixture *fixture = *state;
    const struct job job = claim_a_job(fixture);
    struct beating beating;
    beating_init(&beating, fixture->catalog_path, job_fixture_claim_of(&job));
    beating.config.stall_limit_ms = 3000;
    atomic_store(&beating.watch.progress, 1);
    at(&beating, 4000);
    start(&beating);
    assert_true(is_kept(&beating)); // the first look sees progress
    at(&beating, 6900);
    assert_true(is_kept(&beating));
    at(&beating, 9500);
    assert_true(is_lost_soon(&beating));
    end(&beating);
}

static void test_stop_ends_the_job(void **state)
{
    (void)state;
    struct beating beating;
    beating_init(&beating, "/nowhere/milkrun.db", (struct job_claim){"job", 1, "claim"});
    start(&beating);
    assert_true(is_kept(&beating));
    atomic_store(&beating.stop.is_requested, true);
    assert_true(is_lost_soon(&beating));
    end(&beating);
}

// Nothing was renewed, so what is trusted ends before the lease does: between two beats as well.
static void test_catalog_that_is_away_ends_trust_in_time(void **state)
{
    (void)state;
    struct beating beating;
    beating_init(&beating, "/nowhere/milkrun.db", (struct job_claim){"job", 1, "claim"});
    at(&beating, LEASE_MS - 1100);
    start(&beating);
    assert_true(is_kept(&beating));
    at(&beating, LEASE_MS - 900);
    assert_true(is_lost_soon(&beating));
    end(&beating);
}

static void test_short_job_needs_no_catalog(void **state)
{
    (void)state;
    char directory[] = "/tmp/milkrun-beat-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char path[64];
    (void)snprintf(path, sizeof path, "%s/milkrun.db", directory);
    struct beating beating;
    beating_init(&beating, path, (struct job_claim){"job", 1, "claim"});
    at(&beating, LEASE_MS / 4 - 1);
    start(&beating);
    assert_true(is_kept(&beating));
    end(&beating);
    assert_int_equal(rmdir(directory), 0); // nothing was made in it
}

static void test_end_is_not_waited_for(void **state)
{
    (void)state;
    const int64_t started_ms = clock_boot_ms(clock_system());
    for (int i = 0; i < 20; i++) {
        struct beating beating;
        beating_init(&beating, "/nowhere/milkrun.db", (struct job_claim){"job", 1, "claim"});
        start(&beating);
        end(&beating);
        assert_false(atomic_load(&beating.watch.is_lost));
    }
    assert_true(clock_boot_ms(clock_system()) - started_ms < 2000);
}

// What a configuration may say must not stop the process.
static void test_shortest_lease_leaves_time_to_work(void **state)
{
    (void)state;
    int64_t shortest_ms = 0;
    for (size_t i = 0; i < worker_option_count; i++) {
        if (strcmp(worker_option_table[i].name, "worker.lease_ms") == 0)
            shortest_ms = worker_option_table[i].min;
    }
    assert_true(shortest_ms > 0);
    struct beating beating;
    beating_init(&beating, "/nowhere/milkrun.db", (struct job_claim){"job", 1, "claim"});
    beating.config.lease_ms = shortest_ms;
    start(&beating);
    assert_true(is_kept(&beating));
    end(&beating);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        job_fixture_test(test_lease_is_renewed),
        job_fixture_test(test_claim_of_another_ends_the_job),
        job_fixture_test(test_job_without_progress_is_given_up),
        cmocka_unit_test(test_stop_ends_the_job),
        cmocka_unit_test(test_catalog_that_is_away_ends_trust_in_time),
        cmocka_unit_test(test_short_job_needs_no_catalog),
        cmocka_unit_test(test_end_is_not_waited_for),
        cmocka_unit_test(test_shortest_lease_leaves_time_to_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
