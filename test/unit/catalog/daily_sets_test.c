// SPDX-License-Identifier: Apache-2.0
// The sets of daily exports: one request per topic with events of an app's day, shared by all.
#include "jobs_fixture.h"

#include <string.h>

#include "catalog/daily_sets.h"
#include "catalog/topics.h"

#define DAY FIXTURE_DAY_MS

static int64_t topic_of(struct fixture *fixture, const char *name)
{
    const struct schema *schema = NULL;
    assert_done(fixture,
                topic_learn(fixture->catalog, fixture->organization_id, slice_text(name), NULL, 0,
                            FIXTURE_NOW_MS, &fixture->arena, &schema, &fixture->err));
    return schema->topic_id;
}

static struct daily_making making_of(struct fixture *fixture, int64_t day_start_ms)
{
    return (struct daily_making){
        .day = {fixture->organization_id, fixture->app_id, day_start_ms},
        .file_rows = 200000,
        .now_ms = FIXTURE_NOW_MS,
        .is_awaited = true,
    };
}

static struct request make(struct fixture *fixture, const struct daily_making *making,
                           const char *name)
{
    const struct daily_topic topic = {topic_of(fixture, name), name};
    struct request request = {0};
    assert_done(fixture, daily_make(fixture->catalog, making, &topic, &fixture->arena, &request,
                                    &fixture->err));
    return request;
}

static void a_day_has_the_topics_with_events_of_the_app(void **state)
{
    struct fixture *fixture = *state;
    const char *other_id = fixture_add_app(fixture, "other");
    fixture_seal(fixture, fixture->app_id, topic_of(fixture, "orders"), DAY, 1);
    fixture_seal(fixture, fixture->app_id, topic_of(fixture, "eo_click"), DAY + 23 * CIVIL_HOUR_MS,
                 1);
    fixture_seal(fixture, fixture->app_id, topic_of(fixture, "before"), DAY - CIVIL_HOUR_MS, 1);
    fixture_seal(fixture, fixture->app_id, topic_of(fixture, "after"), DAY + CIVIL_DAY_MS, 1);
    fixture_seal(fixture, other_id, topic_of(fixture, "others"), DAY, 1);
    const struct daily_day day = {fixture->organization_id, fixture->app_id, DAY};
    struct daily_topic *topics = NULL;
    size_t count = 0;
    assert_done(fixture, daily_find_topics(fixture->catalog, &day, &fixture->arena, &topics, &count,
                                           &fixture->err));
    assert_int_equal(count, 2);
    assert_string_equal(topics[0].name, "eo_click");
    assert_string_equal(topics[1].name, "orders");
}

static void all_who_ask_share_the_set(void **state)
{
    struct fixture *fixture = *state;
    struct daily_making making = making_of(fixture, DAY);
    const struct request first = make(fixture, &making, "orders");
    assert_int_equal(first.job.start_ms, DAY);
    assert_int_equal(first.job.end_ms, DAY + CIVIL_DAY_MS);
    making.file_rows = 5; // what is made is made
    assert_string_equal(make(fixture, &making, "orders").id, first.id);
    assert_string_not_equal(make(fixture, &making, "clicks").id, first.id);
    making.day.start_ms = DAY + CIVIL_DAY_MS;
    assert_string_not_equal(make(fixture, &making, "orders").id, first.id);
}

static void expired_files_come_again(void **state)
{
    struct fixture *fixture = *state;
    const struct daily_making making = making_of(fixture, DAY);
    const struct request first = make(fixture, &making, "orders");
    struct job job = {0};
    int64_t count = 0;
    fixture_set_bounds(fixture, 0);
    assert_true(fixture_claim(fixture, &job));
    const struct job_claim claim = fixture_claim_of(&job);
    const char *recipe = NULL;
    assert_done(fixture, job_freeze(fixture->catalog, &claim, "{}", &fixture->arena, &recipe,
                                    &fixture->err));
    fixture_succeed(fixture, &job, 1);
    assert_done(fixture, job_expire(fixture->catalog, FIXTURE_NOW_MS + FIXTURE_EXPIRY_MS, 10,
                                    &count, &fixture->err));
    const struct daily_topic topic = {topic_of(fixture, "orders"), "orders"};
    struct request request = {0};
    assert_refused(
        fixture,
        daily_make(fixture->catalog, &making, &topic, &fixture->arena, &request, &fixture->err),
        ERR_UNAVAILABLE); // they are still being removed
    assert_done(fixture,
                job_forget_file(fixture->catalog, job.id,
                                arena_format(&fixture->arena, "v2/job_id=%s/part-0.csv.gz", job.id),
                                &fixture->err));
    const struct request again = make(fixture, &making, "orders");
    assert_string_equal(again.id, first.id);
    assert_int_equal(again.job.state, JOB_PENDING_GENERATION);
    assert_true(again.job.is_restoring);
    // When they cannot, the set is made anew.
    struct job restoring = {0};
    fixture_set_bounds(fixture, fixture->seal_seq);
    assert_true(fixture_claim(fixture, &restoring));
    assert_string_equal(restoring.id, job.id);
    const struct job_claim held = fixture_claim_of(&restoring);
    assert_done(fixture, job_fail(fixture->catalog, &held, "other encoders", FIXTURE_NOW_MS, 0,
                                  &fixture->err));
    const struct request anew = make(fixture, &making, "orders");
    assert_string_not_equal(anew.id, first.id);
    assert_false(anew.job.is_restoring);
}

static int64_t count_requests(struct fixture *fixture)
{
    int64_t ordinal = 0; // jobs are numbered in the order of their making
    assert_done(fixture, job_bound_wanted(fixture->catalog, &ordinal, &fixture->err));
    return ordinal;
}

static bool make_ahead(struct fixture *fixture, int64_t day_start_ms)
{
    bool is_done = false;
    assert_done(fixture, daily_make_ahead(fixture->catalog, day_start_ms, 200000, FIXTURE_NOW_MS, 1,
                                          &is_done, &fixture->err));
    return is_done;
}

static void sets_are_made_ahead_once_app_by_app(void **state)
{
    struct fixture *fixture = *state;
    const char *other_id = fixture_add_app(fixture, "other");
    fixture_seal(fixture, fixture->app_id, topic_of(fixture, "orders"), DAY, 1);
    fixture_seal(fixture, other_id, topic_of(fixture, "orders"), DAY, 1);
    fixture_seal(fixture, other_id, topic_of(fixture, "clicks"), DAY, 1);
    assert_false(make_ahead(fixture, DAY));
    assert_false(make_ahead(fixture, DAY));
    assert_true(make_ahead(fixture, DAY));
    assert_int_equal(count_requests(fixture), 3);
    assert_true(make_ahead(fixture, DAY));
    assert_true(make_ahead(fixture, DAY - CIVIL_DAY_MS)); // a clock that was set back
    assert_int_equal(count_requests(fixture), 3);
    const struct daily_making making = making_of(fixture, DAY);
    (void)make(fixture, &making, "orders"); // who asks then gets what was made
    assert_int_equal(count_requests(fixture), 3);
    assert_false(make_ahead(fixture, DAY + CIVIL_DAY_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(a_day_has_the_topics_with_events_of_the_app),
        fixture_test(all_who_ask_share_the_set),
        fixture_test(expired_files_come_again),
        fixture_test(sets_are_made_ahead_once_app_by_app),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
