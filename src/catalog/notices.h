// SPDX-License-Identifier: Apache-2.0
// Notices: the messages of notifications. A notice is made in the transaction of what it tells (the
// outbox), so neither is there without the other, and is then sent by a notifier under a lease:
//
//   WAITING --claim--> (in flight) --settle--> SENT
//      ^                   |  failed: again later, or the notifier died
//      +-------------------+------------------> GIVEN_UP
//
// At least once: a notifier that dies between the sending and the settling sends again, with the
// same id. Of a notification one notice is in flight at a time, the one that is due longest first.
#pragma once

#include "catalog/notifications.h"

enum notice_state {
    NOTICE_WAITING,
    NOTICE_SENT,
    NOTICE_GIVEN_UP,
};
const char *notice_state_name(enum notice_state state); // "WAITING", ...

struct notice {
    int64_t number; // of the row
    const char *id; // UUID, the same at each try
    const char *claim_id;
    enum notice_event event;
    const char *body;      // JSON
    const char *recipient; // of a mail, else NULL
    int64_t created_at_ms;
    int64_t try_count;                // this one included
    struct notification notification; // as it is now
};

struct notice_claim_request {
    const char *holder_id; // of the node: one notifier at a time has it
    int64_t now_ms;
    int64_t lease_ms;
    int64_t back_off_max_ms; // what is put off much further was so under a wrong clock
    // Notices of one organization that may be in flight, this one included; 1: only organizations
    // that have none. In any case those with the fewest come first, of them the one that was served
    // longest ago. Those of disabled organizations wait.
    int64_t share;
};

// *ret_found false: nothing to do. Several transactions when others claim at the same time.
NODISCARD bool notice_claim(struct catalog *catalog, const struct notice_claim_request *request,
                            struct arena *arena, bool *ret_found, struct notice *ret_notice,
                            struct err *err);

// Whether any notice is due, though perhaps not one that may be claimed now. Cheap.
NODISCARD bool notice_is_due(struct catalog *catalog, const struct notice_claim_request *request,
                             bool *ret_is_due, struct err *err);

// What came of a try. CANCELED when the claim is lost.
struct notice_result {
    enum notice_state state;
    int64_t at_ms; // when it began
    int64_t took_ms;
    int status;             // of HTTP or SMTP; 0: none
    const char *reason;     // of a failure, for the customer; NULL: none
    int64_t next_try_at_ms; // of WAITING
};
NODISCARD bool notice_settle(struct catalog *catalog, const struct notice *notice,
                             const struct notice_result *result, struct err *err);

// What the holder had in flight when it died is due again after pause_ms.
NODISCARD bool notice_release(struct catalog *catalog, const char *holder_id, int64_t now_ms,
                              int64_t pause_ms, struct err *err);

// --- The delivery log

struct notice_try {
    int64_t id; // ascends with time
    const char *notice_id;
    enum notice_event event;
    enum notice_state state; // of the notice, now
    const char *recipient;   // of a mail, else NULL
    int64_t number;          // from 1
    int64_t at_ms;
    int64_t took_ms;
    int64_t status;     // 0: none
    const char *reason; // NULL: none
};

// Newest first, those before before_id (0: from the newest on). Whether the caller may see the
// notification is found out before.
struct notice_tries_query {
    const char *notification_id;
    int64_t before_id;
    int64_t limit; // at most 10,001
};
NODISCARD bool notice_tries(struct catalog *catalog, const struct notice_tries_query *query,
                            struct arena *arena, struct notice_try **ret_tries, size_t *ret_count,
                            struct err *err);

// Notices that were finished before before_ms go, with their tries, and then the notifications that
// were deleted before. At most `limit` notices (at most 100); when *ret_count is `limit`, call
// again.
NODISCARD bool notice_remove_old(struct catalog *catalog, int64_t before_ms, int64_t limit,
                                 int64_t *ret_count, struct err *err);

// How many wait to be sent, those in flight included.
NODISCARD bool notice_count_waiting(struct catalog *catalog, int64_t *ret_count, struct err *err);

// --- Jobs that take too long (scheduler)

// Visible jobs that are not final late_ms after they were made are said to be late, once each. At
// most `limit` (at most 50); when *ret_count is `limit`, call again.
NODISCARD bool notice_tell_late(struct catalog *catalog, int64_t now_ms, int64_t late_ms,
                                int64_t limit, int64_t *ret_count, struct err *err);
