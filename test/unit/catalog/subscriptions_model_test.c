// SPDX-License-Identifier: Apache-2.0
// Random lives of subscriptions beside a model of them. The model knows nothing of versions'
// starts, pauses' bounds and due ends: it is a row of hours, written as the clock goes over them.
// Every window must have exactly the job, or the reason for none, that the hours say.
#include "base/rng.h"
#include "catalog/subscription_windows.h"
#include "jobs_fixture.h"

enum {
    HOURS = 60 * 24,
    SUBSCRIPTIONS = 4,
    STEPS = 120,
    LIVES = 60,
};

#define BEGIN_MS (FIXTURE_DAY_MS - 20 * CIVIL_DAY_MS) // of the model's row; backfills reach back

struct hour {
    int64_t version;
    enum cadence cadence;
    bool ended_paused; // the clock went over its end while the subscription was paused
    bool is_wanted;    // of the window that begins here: a job is expected
};

struct life {
    const char *id;
    struct hour hours[HOURS];
    int64_t live_from_ms;
    int64_t version; // the last that was given
    bool is_paused;
    bool is_over;
    int64_t passed_to_ms; // windows that end later have not been looked at by the scheduler
};

struct world {
    struct fixture *fixture;
    struct rng *rng;
    int64_t now_ms;
    int report_count;
    struct life lives[SUBSCRIPTIONS];
    size_t life_count;
};

static size_t hour_at(int64_t time_ms)
{
    assert_true(time_ms >= BEGIN_MS);
    const size_t hour = (size_t)((time_ms - BEGIN_MS) / CIVIL_HOUR_MS);
    assert_true(hour < HOURS);
    return hour;
}

static int64_t time_of(size_t hour)
{
    return BEGIN_MS + (int64_t)hour * CIVIL_HOUR_MS;
}

// How many hours the window has that begins at the hour.
static size_t hours_of(const struct life *life, size_t hour)
{
    return life->hours[hour].cadence == CADENCE_HOURLY ? 1 : 24;
}

// The hour in which the window of the hour begins.
static size_t window_of(const struct life *life, size_t hour)
{
    return hour - hour % hours_of(life, hour);
}

static const struct report *new_report(struct world *world, enum cadence cadence)
{
    const char *field = arena_format(&world->fixture->arena, "f%d", world->report_count++);
    return fixture_report(world->fixture, cadence, field);
}

static enum cadence any_cadence(struct world *world)
{
    return rng_below(world->rng, 2) == 0 ? CADENCE_HOURLY : CADENCE_DAILY;
}

// --- What may happen

static void create(struct world *world)
{
    struct fixture *fixture = world->fixture;
    const enum cadence cadence = any_cadence(world);
    struct subscription_request request = fixture_request(fixture, cadence, "x");
    request.report = new_report(world, cadence);
    request.now_ms = world->now_ms;
    struct life *life = &world->lives[world->life_count++];
    *life = (struct life){.id = fixture_create(fixture, &request).id, .version = 1};
    assert_done(fixture, subscription_settle(fixture->catalog, life->id, true, NULL, FIXTURE_NOW_MS,
                                             &fixture->err));
    for (size_t i = 0; i < HOURS; i++)
        life->hours[i] = (struct hour){.version = 1, .cadence = cadence};
    life->live_from_ms = time_of(window_of(life, hour_at(world->now_ms)));
    life->passed_to_ms = life->live_from_ms;
}

static void edit(struct world *world, struct life *life)
{
    struct fixture *fixture = world->fixture;
    const enum cadence cadence = any_cadence(world);
    const struct subscription_change change = {
        .scope = fixture_scope(fixture),
        .id = slice_text(life->id),
        .change_count = -1,
        .now_ms = world->now_ms,
        .report = new_report(world, cadence),
        .topic_id = FIXTURE_TOPIC_ID,
    };
    struct subscription got;
    assert_done(fixture, subscription_change(fixture->catalog, &change, &fixture->arena, &got,
                                             &fixture->err));
    life->version++;
    assert_int_equal(got.version, life->version);
    const struct hour open = life->hours[hour_at(world->now_ms)];
    const bool is_at_midnight = cadence != open.cadence || cadence == CADENCE_DAILY;
    bool is_new = false;
    for (size_t i = hour_at(world->now_ms) + 1; i < HOURS; i++) {
        is_new = is_new || !is_at_midnight || i % 24 == 0;
        life->hours[i].version = is_new ? life->version : open.version;
        life->hours[i].cadence = is_new ? cadence : open.cadence;
    }
}

static void set_paused(struct world *world, struct life *life, bool pauses)
{
    struct fixture *fixture = world->fixture;
    const struct subscription_change change = {
        .scope = fixture_scope(fixture),
        .id = slice_text(life->id),
        .change_count = -1,
        .now_ms = world->now_ms,
        .pausing = pauses ? SUBSCRIPTION_PAUSE : SUBSCRIPTION_RESUME,
    };
    struct subscription got;
    assert_done(fixture, subscription_change(fixture->catalog, &change, &fixture->arena, &got,
                                             &fixture->err));
    life->is_paused = pauses;
}

static void backfill(struct world *world, struct life *life)
{
    struct fixture *fixture = world->fixture;
    size_t from = rng_below(world->rng, hour_at(world->now_ms));
    size_t to = from + 1 + rng_below(world->rng, 72);
    int64_t expected = 0;
    int64_t fresh = 0;
    from = window_of(life, from);
    size_t at = from;
    while (at < to && time_of(at + hours_of(life, at)) <= world->now_ms) {
        expected++;
        fresh += life->hours[at].is_wanted ? 0 : 1;
        life->hours[at].is_wanted = true;
        at += hours_of(life, at);
    }
    if (expected == 0)
        return;
    int64_t window_count = 0;
    int64_t created_count = 0;
    assert_done(fixture, job_backfill(fixture->catalog, life->id, time_of(from), time_of(at),
                                      world->now_ms, &window_count, &created_count, &fixture->err));
    assert_int_equal(window_count, expected);
    assert_int_equal(created_count, fresh);
}

static void advance(struct world *world)
{
    const int64_t steps[] = {1,
                             7 * CIVIL_MINUTE_MS,
                             CIVIL_HOUR_MS - world->now_ms % CIVIL_HOUR_MS, // to an edge exactly
                             CIVIL_DAY_MS - world->now_ms % CIVIL_DAY_MS,
                             3 * CIVIL_HOUR_MS,
                             30 * CIVIL_HOUR_MS};
    const int64_t then_ms = world->now_ms + steps[rng_below(world->rng, ARRAY_COUNT(steps))];
    if (then_ms >= BEGIN_MS + (HOURS - 48) * CIVIL_HOUR_MS)
        return;
    for (size_t i = 0; i < world->life_count; i++) {
        struct life *life = &world->lives[i];
        for (size_t at = hour_at(world->now_ms); time_of(at + 1) <= then_ms; at++)
            life->hours[at].ended_paused = life->is_paused;
    }
    world->now_ms = then_ms;
}

static void schedule(struct world *world)
{
    const int64_t limit = 1 + (int64_t)rng_below(world->rng, 7);
    while (fixture_schedule(world->fixture, world->now_ms, limit) == limit) {
    }
    for (size_t i = 0; i < world->life_count; i++) {
        struct life *life = &world->lives[i];
        while (!life->is_over) {
            const size_t at = hour_at(life->passed_to_ms);
            const size_t last = at + hours_of(life, at) - 1;
            const int64_t grace_ms = life->hours[at].cadence == CADENCE_HOURLY
                                         ? FIXTURE_GRACE_MS
                                         : 2 * FIXTURE_GRACE_MS;
            if (time_of(last + 1) + grace_ms > world->now_ms)
                break;
            life->hours[at].is_wanted = life->hours[at].is_wanted ||
                                        !life->hours[last].ended_paused;
            life->passed_to_ms = time_of(last + 1);
        }
    }
}

// --- What is seen of it

// Jobs are those that the hours want, no more, each once.
static void check_jobs(struct world *world, const struct life *life)
{
    size_t count = 0;
    const struct job *jobs = fixture_ledger(world->fixture, life->id, &count);
    size_t next = 0;
    for (size_t at = 0; at < HOURS; at++) {
        if (!life->hours[at].is_wanted)
            continue;
        assert_true(next < count);
        assert_int_equal(jobs[next].start_ms, time_of(at));
        assert_int_equal(jobs[next].end_ms, time_of(at + hours_of(life, at)));
        assert_int_equal(jobs[next].subscription_version, life->hours[at].version);
        assert_int_equal(jobs[next].revision, 0);
        next++;
    }
    assert_int_equal(next, count);
}

// The windows that are computed: those of the hours, by version, without gap or overlap, and what
// is left out is what ended while it was paused.
static void check_windows(struct world *world, const struct life *life)
{
    struct fixture *fixture = world->fixture;
    struct subscription_stretch *stretches = NULL;
    size_t count = 0;
    struct subscription_pauses pauses = {0};
    assert_done(fixture, subscription_stretches(fixture->catalog, life->id, &fixture->arena,
                                                &stretches, &count, &fixture->err));
    assert_done(fixture, subscription_get_pauses(fixture->catalog, life->id, &fixture->arena,
                                                 &pauses, &fixture->err));
    bool is_computed[HOURS] = {false};
    int64_t seen_to_ms = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        assert_true(stretches[i].start_ms >= seen_to_ms);
        seen_to_ms = stretches[i].end_ms;
        const int64_t step_ms = cadence_ms(stretches[i].cadence);
        for (int64_t at_ms = stretches[i].start_ms;
             at_ms < stretches[i].end_ms && at_ms <= world->now_ms; at_ms += step_ms) {
            const struct hour *hour = &life->hours[hour_at(at_ms)];
            is_computed[hour_at(at_ms)] = true;
            assert_int_equal(stretches[i].version, hour->version);
            assert_int_equal(stretches[i].cadence, hour->cadence);
            const int64_t end_ms = at_ms + step_ms;
            if (end_ms <= world->now_ms && at_ms >= life->live_from_ms && !life->is_over)
                assert_int_equal(subscription_pauses_leave_out(&pauses, end_ms),
                                 life->hours[hour_at(end_ms) - 1].ended_paused);
        }
    }
    for (size_t at = 0; time_of(at) <= world->now_ms; at++) {
        const bool is_live = time_of(at) >= life->live_from_ms &&
                             (!life->is_over || time_of(at) < life->passed_to_ms);
        const bool is_window = window_of(life, at) == at;
        assert_int_equal(is_computed[at], life->hours[at].is_wanted || (is_live && is_window));
    }
}

static void step(struct world *world)
{
    struct life *life = &world->lives[rng_below(world->rng, world->life_count)];
    const uint64_t dice = rng_below(world->rng, 100);
    if (dice < 40)
        advance(world);
    else if (dice < 55)
        schedule(world);
    else if (dice < 58 && world->life_count < SUBSCRIPTIONS)
        create(world);
    else if (life->is_over)
        return;
    else if (dice < 72)
        edit(world, life);
    else if (dice < 86)
        set_paused(world, life, rng_below(world->rng, 2) == 0);
    else if (dice < 99)
        backfill(world, life);
    else {
        fixture_deactivate(world->fixture, life->id, world->now_ms);
        life->is_over = true;
    }
}

static void every_window_has_its_job_or_its_reason(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LIVES; seed++) {
        print_message("seed %d\n", (int)seed); // the last one printed is the one that fails
        void *fixture = NULL;
        struct rng_seeded rng;
        rng_seeded_init(&rng, seed);
        (void)fixture_set_up(&fixture);
        struct world *world = mem_alloc(sizeof *world);
        *world = (struct world){.fixture = fixture, .rng = &rng.base, .now_ms = FIXTURE_NOW_MS};
        create(world);
        for (int i = 0; i < STEPS; i++) {
            step(world);
            for (size_t j = 0; j < world->life_count && i % 10 == 9; j++) {
                check_jobs(world, &world->lives[j]);
                check_windows(world, &world->lives[j]);
            }
        }
        mem_free(world);
        (void)fixture_tear_down(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_window_has_its_job_or_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
