// SPDX-License-Identifier: Apache-2.0
// For the files of this folder that change jobs and subscriptions: news go into the outbox inside
// their transactions. Where nobody asked to be told, it costs one look at an index.
#pragma once

#include <assert.h>

#include "catalog/catalog_internal.h"
#include "catalog/notices.h"

static_assert(NOTICE_JOB_SUCCEEDED == 0 && NOTICE_TEST == 5, "events are numbers on disk");
static_assert(NOTIFICATION_WEBHOOK == 0 && NOTIFICATION_EMAIL == 1, "kinds are numbers on disk");
static_assert(NOTICE_WAITING == 0 && NOTICE_SENT == 1 && NOTICE_GIVEN_UP == 2,
              "states are numbers in SQL and on disk");

// JOB_SUCCEEDED (which says RECOVERED as well, when it is so), JOB_FAILED or LATE, of a job as it
// is after the change. No news: what clients do not see (samples, late revisions without rows), and
// a job that is not as the event says (one that was restored in vain is still SUCCEEDED).
NODISCARD bool notice_emit_job(struct catalog *catalog, enum notice_event event, const char *job_id,
                               int64_t now_ms, struct err *err);

// SUBSCRIPTION_FAILED: its sample failed, or its destination cannot be written to any more.
NODISCARD bool notice_emit_subscription_failed(struct catalog *catalog, const char *subscription_id,
                                               const char *reason, int64_t now_ms, struct err *err);

// NOTICE_TEST, to all addresses of one notification.
NODISCARD bool notice_emit_test(struct catalog *catalog, const struct notification *notification,
                                int64_t now_ms, char ret_first_id[CATALOG_UUID_CHARS + 1],
                                struct err *err);

// --- Rows of notifications (notifications.c)

// For `FROM notifications n`, in the order in which notification_read_row reads.
#define NOTIFICATION_COLUMNS                                                                       \
    "n.id, n.organization_id, nullif(n.app_id, ''), n.subscription_id, n.kind, n.target,"          \
    " n.events, n.sealed_secret, n.previous_sealed_secret, n.previous_until_ms, n.created_at_ms"
#define NOTIFICATION_COLUMN_COUNT ((size_t)11)

void notification_read_row(const struct db_rows *rows, struct arena *arena,
                           struct notification *ret_notification);

// --- The log (notices.c)

extern const char notice_interrupted_reason[];

// What came of the last try of the notice.
NODISCARD bool notice_insert_try(struct catalog *catalog, int64_t number,
                                 const struct notice_result *result, struct err *err);
