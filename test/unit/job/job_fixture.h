// SPDX-License-Identifier: Apache-2.0
// What the tests of job and worker share: a data directory with a catalog, an ingest log and a lake
// in a temporary place, one organization with two apps, a clock that stands still, and ways to
// subscribe, to claim and to read files back. Nothing here needs a network.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/civil.h"
#include "catalog/jobs.h"
#include "catalog/leases.h"
#include "catalog/segments.h"
#include "catalog/subscriptions.h"
#include "engine/duckdb.h"
#include "job/job_run.h"
#include "lake/ingest_log.h"

#define JOB_FIXTURE_DAY_MS    (INT64_C(20000) * CIVIL_DAY_MS) // 2024-10-04
#define JOB_FIXTURE_HOUR(n)   (JOB_FIXTURE_DAY_MS + (n)*CIVIL_HOUR_MS)
#define JOB_FIXTURE_NOW_MS    (JOB_FIXTURE_HOUR(20) + 20 * CIVIL_MINUTE_MS)
#define JOB_FIXTURE_LEASE_MS  INT64_C(10000)
#define JOB_FIXTURE_EXPIRY_MS (7 * CIVIL_DAY_MS)
#define JOB_FIXTURE_TOPIC     "milk_click"

struct job_fixture {
    char directory[64];
    struct arena arena;
    struct err err;
    struct clock_fixed clock;     // moved by tests
    struct clock_fixed log_clock; // stands still: the log's own thread reads it
    struct engine *engine;
    struct catalog *catalog;
    const char *catalog_path;
    struct store *store; // of memory
    struct ingest_log *log;
    struct job_run_config config;
    const char *organization_id;
    const char *app_id;
    bool wants_all_apps;     // subscriptions are of the organization
    const char *destination; // of subscriptions, as JSON; NULL: the hosted bucket
    const char *other_app_id;
};

// The call's last argument is &fixture->err.
#define assert_done(fixture, call)                                                                 \
    do {                                                                                           \
        if (!(call))                                                                               \
            fail_msg("%s: %s: %s", #call, err_kind_name((fixture)->err.kind),                      \
                     (fixture)->err.message);                                                      \
    } while (0)
#define assert_refused(fixture, call, expected_kind)                                               \
    do {                                                                                           \
        assert_false(call);                                                                        \
        assert_string_equal(err_kind_name((fixture)->err.kind), err_kind_name(expected_kind));     \
    } while (0)

int job_fixture_set_up(void **state);
int job_fixture_tear_down(void **state);

#define job_fixture_test(function)                                                                 \
    cmocka_unit_test_setup_teardown(function, job_fixture_set_up, job_fixture_tear_down)

// --- Events

// Acknowledged when it returns.
void job_fixture_ingest(struct job_fixture *fixture, const char *app_id, const char *topic,
                        const char *lines);
// Everything acknowledged so far is in segments when it returns.
void job_fixture_seal(struct job_fixture *fixture);
// One line: {"timestamp":...,"name":"..."}.
const char *job_fixture_event(struct job_fixture *fixture, int64_t time_ms, const char *name);
// As job_fixture_ingest for one such line of the first app.
void job_fixture_add(struct job_fixture *fixture, int64_t time_ms, const char *name);

// --- Subscriptions and jobs

// fields and filter are JSON arrays; filter may be NULL. PENDING: its sample waits.
const char *job_fixture_subscribe_only(struct job_fixture *fixture, const char *format,
                                       const char *compression, const char *fields,
                                       const char *filter);
// The same for csv and gz, and with its sample run: ACTIVE.
const char *job_fixture_subscribe(struct job_fixture *fixture, const char *fields,
                                  const char *filter);
struct subscription job_fixture_subscription(struct job_fixture *fixture, const char *id);

// The topic, with its field "name".
const struct schema *job_fixture_topic(struct job_fixture *fixture);

// What waits for its bound gets it: all that is acknowledged.
void job_fixture_set_bounds(struct job_fixture *fixture);
bool job_fixture_claim(struct job_fixture *fixture, struct job *ret_job);
// Backfills the hour, bounds it by what is acknowledged, and claims it.
struct job job_fixture_claim_hour(struct job_fixture *fixture, const char *subscription_id,
                                  int64_t start_ms);
struct job_claim job_fixture_claim_of(const struct job *job);

// Runs it with the fixture's config, *ret_row_count < 0 when it failed.
NODISCARD bool job_fixture_run(struct job_fixture *fixture, const struct job *job,
                               int64_t *ret_row_count);
// The next supplementary job of any window is made, bounded and claimed.
struct job job_fixture_claim_late(struct job_fixture *fixture);
// The last revision of the window, as the ledger has it, with its files.
struct job job_fixture_last(struct job_fixture *fixture, const char *subscription_id,
                            int64_t start_ms);

// --- Files

// Stored bytes of an object in arena; size_bytes 0 and NULL when there is none.
struct slice job_fixture_object(struct job_fixture *fixture, const char *key);
const char *job_fixture_sha256(struct job_fixture *fixture, struct slice bytes);
// Text of a .gz object.
const char *job_fixture_text(struct job_fixture *fixture, const char *key);
// The one file of the job's window, decoded.
const char *job_fixture_export(struct job_fixture *fixture, const char *subscription_id,
                               int64_t start_ms);
// Path of the only live segment, in arena.
const char *job_fixture_segment_path(struct job_fixture *fixture);
