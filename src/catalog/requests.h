// SPDX-License-Identifier: Apache-2.0
// What is asked for once: custom exports, topics of daily exports, previews. A request has one
// version of its report and one job (a later revision only when its first one FAILED), which run as
// those of subscriptions do; but no call of subscriptions knows of it, and no late revision
// follows.
#pragma once

#include "catalog/jobs.h"
#include "catalog/subscriptions.h"

struct request {
    const char *id; // UUID
    const char *organization_id;
    const char *app_id; // NULL: all apps of the organization
    enum subscription_kind kind;
    int64_t created_at_ms;
    struct job job; // its last revision, with files
};

struct request_spec {
    enum subscription_kind kind; // not SCHEDULED
    const char *organization_id;
    const char *app_id; // NULL: all apps of the organization
    const struct report *report;
    int64_t topic_id;
    int64_t start_ms; // [start, end)
    int64_t end_ms;
    int64_t now_ms;
    bool is_awaited; // somebody waits for it: its job goes before all windows
    // Who asks with the same key gets the request that is there, unless it FAILED or was released.
    // NULL: every call makes one.
    const char *shared_key;
};
// Makes it with its job, which waits for the events that are acknowledged by now. UNAVAILABLE when
// the organization has too many that wait. An actor's key is claimed, and an entry of
// the audit log written, for exports, not for previews.
NODISCARD bool request_create(struct catalog *catalog, const struct request_spec *spec,
                              struct arena *arena, struct request *ret_request, struct err *err);

// NOT_FOUND for an unknown id, another kind, another organization, and when app_id is given (NULL:
// any) for another app; one of all apps is found with any.
struct request_scope {
    enum subscription_kind kind;
    const char *organization_id;
    const char *app_id;
    bool with_organization; // those of all apps may be seen
};
NODISCARD bool request_get(struct catalog *catalog, const struct request_scope *scope,
                           struct slice id, struct arena *arena, struct request *ret_request,
                           struct err *err);

// The manifest of its job; of a preview, what it found out. NULL before it SUCCEEDED.
NODISCARD bool request_get_manifest(struct catalog *catalog, const char *id, struct arena *arena,
                                    const char **ret_manifest, struct err *err);

// Its key makes a new one from now on. Nothing happens when it is released or gone.
NODISCARD bool request_release(struct catalog *catalog, const char *id, struct err *err);

// Removes previews that ended a day ago, and exports whose last file went 30 days ago. At most
// limit; when *ret_count is limit, call again.
NODISCARD bool request_remove_old(struct catalog *catalog, int64_t now_ms, int64_t limit,
                                  int64_t *ret_count, struct err *err);
