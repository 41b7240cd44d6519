// SPDX-License-Identifier: Apache-2.0
// Notifications: what a customer asked to be told about, and how. What is told: notices.h. A
// notification is of an app, or of the whole organization, and may be about one subscription alone.
// Who sees it: as with subscriptions. Only scheduled subscriptions and their jobs are news; who
// asked for something once waits for it.
#pragma once

#include "base/cipher.h"
#include "base/secret.h"
#include "catalog/catalog.h"
#include "catalog/subscriptions.h"

enum notice_event {
    NOTICE_JOB_SUCCEEDED,
    NOTICE_JOB_FAILED,
    NOTICE_LATE,      // a job is not final long after it was made
    NOTICE_RECOVERED, // a window that was late or FAILED has SUCCEEDED
    NOTICE_SUBSCRIPTION_FAILED,
    NOTICE_TEST, // always told: it was asked for
};

// Events that can be asked for, and all of them as bits (1 << event).
#define NOTICE_EVENT_COUNT ((size_t)5)
#define NOTICE_ALL_EVENTS  ((1U << NOTICE_EVENT_COUNT) - 1)

const char *notice_event_name(enum notice_event event); // "job_succeeded", ..., "test"
// False for what cannot be asked for.
bool notice_event_parse(struct slice name, enum notice_event *ret_event);

enum notification_kind {
    NOTIFICATION_WEBHOOK,
    NOTIFICATION_EMAIL,
};
const char *notification_kind_name(enum notification_kind kind); // "webhook", "email"

struct notification {
    const char *id; // UUID
    const char *organization_id;
    const char *app_id;          // NULL: the whole organization
    const char *subscription_id; // NULL: all
    enum notification_kind kind;
    const char *target;                 // URL; or addresses with a space between them
    unsigned events;                    // bits
    const char *sealed_secret;          // of a webhook, else NULL
    const char *previous_sealed_secret; // before the last rotation, or NULL
    int64_t previous_until_ms;          // so long it signs as well
    int64_t created_at_ms;
};

// The next address of a target, which is dropped from *rest; false at the end.
bool notification_next_address(struct slice *rest, struct slice *ret_address);

// The id is made first, because secrets are sealed for it.
const char *notification_make_id(struct arena *arena);

// A webhook's secret, sealed for the notification's id so that it opens for no other one.
const char *notification_seal(const struct cipher_key *key, const char *id, struct slice secret,
                              struct arena *arena);
// sealed: the current secret or the one before. CORRUPT when none of the keys opens it.
NODISCARD bool notification_open_secret(const char *id, const char *sealed,
                                        const struct cipher_key *keys, size_t key_count,
                                        struct secret *ret_secret, struct err *err);

// With a subscription it is of that one's app, whatever app the scope is about. LIMIT "Notification
// limit reached: N" counts those of the organization. NOT_FOUND "Subscription not found": also when
// it is outside of the scope, or INACTIVE.
struct notification_request {
    const char *id;
    struct subscription_scope scope;
    const char *subscription_id; // NULL: all
    enum notification_kind kind;
    const char *target;
    unsigned events;
    const char *sealed_secret;
    int64_t limit;
    int64_t now_ms;
};
NODISCARD bool notification_create(struct catalog *catalog,
                                   const struct notification_request *request, struct arena *arena,
                                   struct notification *ret_notification, struct err *err);

// NOT_FOUND "Notification not found" for what is unknown, deleted or outside of the scope: here and
// below.
NODISCARD bool notification_get(struct catalog *catalog, const struct subscription_scope *scope,
                                struct slice id, struct arena *arena,
                                struct notification *ret_notification, struct err *err);
// Oldest first; of the app alone when there is one.
NODISCARD bool notification_list(struct catalog *catalog, const struct subscription_scope *scope,
                                 struct arena *arena, struct notification **ret_notifications,
                                 size_t *ret_count, struct err *err);

// Notices that wait go to the new target; those to an address that is none any more are not sent.
struct notification_change {
    struct subscription_scope scope;
    struct slice id;
    const char *target; // NULL: stays
    unsigned events;    // 0: stay
};
NODISCARD bool notification_update(struct catalog *catalog,
                                   const struct notification_change *change, struct arena *arena,
                                   struct notification *ret_notification, struct err *err);

// The secret before it signs as well for grace_ms, older ones no longer. INVALID when it is no
// webhook.
struct notification_rotation {
    struct subscription_scope scope;
    struct slice id;
    const char *sealed_secret;
    int64_t grace_ms;
    int64_t now_ms;
};
NODISCARD bool notification_rotate(struct catalog *catalog,
                                   const struct notification_rotation *rotation,
                                   struct arena *arena, struct notification *ret_notification,
                                   struct err *err);

// Nothing more is sent from now on, also of what waits.
NODISCARD bool notification_delete(struct catalog *catalog, const struct subscription_scope *scope,
                                   struct slice id, int64_t now_ms, struct err *err);

// A notice of no event: one for each address. CONFLICT while one waits to be sent, and of mails for
// a minute after it. *ret_notice_id: the first one's.
NODISCARD bool notification_test(struct catalog *catalog, const struct subscription_scope *scope,
                                 struct slice id, int64_t now_ms, struct arena *arena,
                                 const char **ret_notice_id, struct err *err);
