// SPDX-License-Identifier: Apache-2.0
// Who changed what, and when: one entry for each change that a client asked for, written in the
// transaction of the change itself, never altered and never removed. The server's own work (jobs,
// seals, retention) is not in it.
//
// The same step keeps the keys of creations that a client may repeat: an idempotency key and the
// thing it made become known together, so that no crash lies between them.
#pragma once

#include "catalog/catalog.h"

// On whose behalf a handle works. Everything that the handle changes from catalog_act_for() on is
// the actor's, until it is called again (NULL: the server itself). The actor is not copied.
struct catalog_actor {
    const char *key_id;
    const char *organization_id; // NULL: operator
    int64_t user_id;
    const char *peer; // address of the client
    const char *request_id;
    int64_t now_ms;
    const char *idempotency_scope; // of this request, NULL: it gave no key
    const char *body_sha256;       // of this request, when it gave one
};
void catalog_act_for(struct catalog *catalog, const struct catalog_actor *actor);

struct audit_entry {
    int64_t id; // ascends with time
    int64_t at_ms;
    const char *organization_id; // whose thing was changed; NULL: the operator's
    const char *key_id;          // of the token that asked for it
    int64_t user_id;
    const char *peer;
    const char *request_id;
    const char *action;    // "subscription.create", "token.revoke", ...
    const char *object_id; // of the thing
    const char *details;   // JSON object, or NULL
};

// Newest first, those before before_id (0: from the newest on). organization_id NULL: of all.
struct audit_query {
    const char *organization_id;
    int64_t before_id;
    int64_t limit; // at most 10,001
};
NODISCARD bool audit_list(struct catalog *catalog, const struct audit_query *query,
                          struct arena *arena, struct audit_entry **ret_entries, size_t *ret_count,
                          struct err *err);

// What an idempotency key of the last 24 hours made. NOT_FOUND.
struct audit_creation {
    const char *object_id;
    const char *body_sha256;
};
NODISCARD bool audit_find_creation(struct catalog *catalog, const char *scope, int64_t now_ms,
                                   struct arena *arena, struct audit_creation *ret_creation,
                                   struct err *err);
