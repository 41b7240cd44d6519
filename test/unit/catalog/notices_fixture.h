// SPDX-License-Identifier: Apache-2.0
// What the tests of notifications and notices share.
#pragma once

#include "jobs_fixture.h"

#include "catalog/catalog_internal.h"
#include "catalog/notices.h"

#define FIXTURE_URL        "https://hooks.example/in"
#define FIXTURE_BACKOFF_MS CIVIL_HOUR_MS

static inline struct notification_request fixture_webhook(struct fixture *fixture)
{
    return (struct notification_request){
        .id = notification_make_id(&fixture->arena),
        .scope = fixture_scope(fixture),
        .kind = NOTIFICATION_WEBHOOK,
        .target = FIXTURE_URL,
        .events = NOTICE_ALL_EVENTS,
        .sealed_secret = "v1.sealed",
        .limit = 20,
        .now_ms = FIXTURE_NOW_MS,
    };
}

static inline struct notification_request fixture_mail(struct fixture *fixture,
                                                       const char *addresses)
{
    struct notification_request request = fixture_webhook(fixture);
    request.kind = NOTIFICATION_EMAIL;
    request.target = addresses;
    request.sealed_secret = NULL;
    return request;
}

static inline struct notification fixture_notify(struct fixture *fixture,
                                                 const struct notification_request *request)
{
    struct notification made;
    assert_done(fixture, notification_create(fixture->catalog, request, &fixture->arena, &made,
                                             &fixture->err));
    return made;
}

// Of the organization, about these events.
static inline const char *fixture_notify_of(struct fixture *fixture, unsigned events)
{
    struct notification_request request = fixture_webhook(fixture);
    request.events = events;
    return fixture_notify(fixture, &request).id;
}

static inline int64_t fixture_count(struct fixture *fixture, const char *sql)
{
    int64_t count = -1;
    assert_done(fixture,
                catalog_query_int64(fixture->catalog, sql, NULL, 0, &count, &fixture->err));
    return count;
}

static inline void fixture_sql(struct fixture *fixture, const char *sql)
{
    assert_done(fixture, db_exec(fixture->catalog->db, sql, NULL, 0, NULL, &fixture->err));
}

// A notice of a notification that tells nothing.
static inline const char *fixture_test_notice(struct fixture *fixture, const char *id,
                                              int64_t now_ms)
{
    const struct subscription_scope scope = fixture_scope(fixture);
    const char *notice_id = NULL;
    assert_done(fixture, notification_test(fixture->catalog, &scope, slice_text(id), now_ms,
                                           &fixture->arena, &notice_id, &fixture->err));
    return notice_id;
}

static inline struct notice_claim_request fixture_claiming(int64_t now_ms)
{
    return (struct notice_claim_request){
        .holder_id = "node",
        .now_ms = now_ms,
        .lease_ms = FIXTURE_LEASE_MS,
        .back_off_max_ms = FIXTURE_BACKOFF_MS,
        .share = 4,
    };
}

static inline bool fixture_claim_notice_by(struct fixture *fixture,
                                           const struct notice_claim_request *request,
                                           struct notice *ret_notice)
{
    bool found = false;
    assert_done(fixture, notice_claim(fixture->catalog, request, &fixture->arena, &found,
                                      ret_notice, &fixture->err));
    return found;
}

static inline bool fixture_claim_notice(struct fixture *fixture, struct notice *ret_notice)
{
    const struct notice_claim_request request = fixture_claiming(FIXTURE_NOW_MS);
    return fixture_claim_notice_by(fixture, &request, ret_notice);
}

static inline void fixture_settle_notice(struct fixture *fixture, const struct notice *notice,
                                         enum notice_state state, int64_t next_try_at_ms)
{
    const struct notice_result result = {
        .state = state,
        .at_ms = FIXTURE_NOW_MS,
        .took_ms = 12,
        .status = state == NOTICE_SENT ? 200 : 500,
        .reason = state == NOTICE_SENT ? NULL : "answered 500",
        .next_try_at_ms = next_try_at_ms,
    };
    assert_done(fixture, notice_settle(fixture->catalog, notice, &result, &fixture->err));
}
