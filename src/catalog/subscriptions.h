// SPDX-License-Identifier: Apache-2.0
// Subscriptions: made, looked at, changed, ended. Which windows they have: subscription_windows.h.
#pragma once

#include "catalog/catalog.h"
#include "model/report.h"

enum subscription_status {
    SUBSCRIPTION_PENDING,
    SUBSCRIPTION_ACTIVE,
    SUBSCRIPTION_FAILED,
    SUBSCRIPTION_INACTIVE,
};
const char *subscription_status_name(enum subscription_status status); // "PENDING", ...

// What asks for jobs. The first kind asks again and again; the others are made once, have one job,
// and are seen by the calls that make them alone.
enum subscription_kind {
    SUBSCRIPTION_SCHEDULED,
    SUBSCRIPTION_CUSTOM_EXPORT,
    SUBSCRIPTION_DAILY_EXPORT, // one topic of one day
    SUBSCRIPTION_PREVIEW,
};

struct subscription {
    const char *id; // UUID
    const char *organization_id;
    const char *app_id; // NULL: all apps of the organization
    enum subscription_kind kind;
    int64_t version; // from 1; the one that report and topic_id are of
    bool is_paused;
    int64_t change_count; // goes up with every change that a client makes
    enum subscription_status status;
    const char *reason; // of FAILED, else NULL
    struct report report;
    int64_t topic_id;
    int64_t created_at_ms;
    int64_t deactivated_at_ms; // 0: not
    int64_t live_from_ms;      // start of the first regular window
    int64_t scheduled_to_ms;   // windows that start before it have their job row, or are left out
    int64_t probed_at_ms;      // when its bucket was tried last; 0: it is not tried
    const char *probe_failure; // what came of that; NULL: it can be written to
};

// Makes it PENDING together with its sample job (one transaction). Limit (0: none) and duplicates
// are counted per app, and separately among those of the whole organization. CONFLICT with the text
// "Duplicate of subscription ID", LIMIT with "Subscription limit reached: N".
struct subscription_request {
    const char *organization_id;
    const char *app_id; // NULL: all apps of the organization
    const struct report *report;
    int64_t topic_id;
    int64_t now_ms;
    int64_t limit;
};
NODISCARD bool subscription_create(struct catalog *catalog,
                                   const struct subscription_request *request, struct arena *arena,
                                   struct subscription *ret_subscription, struct err *err);

// What a caller may see: subscriptions of an app (NULL: of all apps), and those of the whole
// organization when it may see these.
struct subscription_scope {
    const char *organization_id;
    const char *app_id;
    bool sees_organization;
};

// NOT_FOUND for what is unknown or outside of the scope.
NODISCARD bool subscription_get(struct catalog *catalog, const struct subscription_scope *scope,
                                struct slice id, struct arena *arena,
                                struct subscription *ret_subscription, struct err *err);
// For workers and the scheduler: of any kind, as of a version (0: the latest).
NODISCARD bool subscription_get_any(struct catalog *catalog, const char *id, int64_t version,
                                    struct arena *arena, struct subscription *ret_subscription,
                                    struct err *err);
// All that are not INACTIVE, oldest first: of the app alone when there is one.
NODISCARD bool subscription_list(struct catalog *catalog, const struct subscription_scope *scope,
                                 struct arena *arena, struct subscription **ret_subscriptions,
                                 size_t *ret_count, struct err *err);

// What a client changes, all of it or nothing. A report that differs from the latest version's
// becomes the next version, for windows that start after the one that is open now; when its cadence
// differs from that one's, after the next UTC midnight. It replaces a version that is still to
// come. A pause leaves out the windows that end while it lasts, so also the one that is open when
// it begins. Nothing to change is no change. NOT_FOUND; CANCELED when change_count is another one;
// CONFLICT when it is FAILED or INACTIVE, and with "Duplicate of subscription ID".
enum subscription_pausing {
    SUBSCRIPTION_KEEP,
    SUBSCRIPTION_PAUSE,
    SUBSCRIPTION_RESUME,
};
struct subscription_change {
    struct subscription_scope scope;
    struct slice id;
    int64_t change_count; // that it must have; -1: any
    int64_t now_ms;
    const struct report *report; // NULL: stays
    int64_t topic_id;            // of the report
    enum subscription_pausing pausing;
};
NODISCARD bool subscription_change(struct catalog *catalog,
                                   const struct subscription_change *change, struct arena *arena,
                                   struct subscription *ret_subscription, struct err *err);

// INACTIVE: no windows that end later, jobs not yet claimed are canceled (FAILED, "subscription was
// deactivated"). NOT_FOUND also when it is INACTIVE already.
NODISCARD bool subscription_deactivate(struct catalog *catalog,
                                       const struct subscription_scope *scope, struct slice id,
                                       int64_t now_ms, struct err *err);

// The sample's outcome: PENDING -> ACTIVE, or FAILED with the reason. job_succeed and job_fail of
// the sample do the same in their own transaction. Nothing happens when it is PENDING no more.
// NOT_FOUND.
NODISCARD bool subscription_settle(struct catalog *catalog, const char *id, bool is_active,
                                   const char *reason, int64_t now_ms, struct err *err);
