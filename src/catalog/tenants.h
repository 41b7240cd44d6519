// SPDX-License-Identifier: Apache-2.0
// Organizations and apps; users and access tokens are in tenant_tokens.h. Ids of both are 18 or 19
// decimal digits below 2^63, texts outside and int64 inside segments. What changes something writes
// it into the audit log in the same transaction (audit.h).
// Upholds INV-16 (docs/invariants.md).
#pragma once

#include "catalog/catalog.h"

// How long a rotated secret may stay good beside the new one.
#define TENANT_GRACE_MAX_MS (INT64_C(30) * 24 * 3600 * 1000)

#define TENANT_SUBSCRIPTION_LIMIT_MAX INT64_C(1000000)
#define TENANT_LIMIT_OF_SERVER        INT64_C(-1)

struct tenant_organization {
    const char *id;
    const char *name;
    const char *external_id;    // UUID, for trust policies
    int64_t subscription_limit; // per app; 0: none; TENANT_LIMIT_OF_SERVER: as configured
    int64_t created_at_ms;
    int64_t disabled_at_ms; // 0: not
};

struct tenant_app {
    const char *id;
    const char *organization_id;
    const char *name;
    const char *branch_key; // "key_live_..."
    int64_t created_at_ms;
    int64_t deleted_at_ms;     // 0: not
    int64_t previous_until_ms; // the secret before the last rotation is good until then
};

// name: 1 to 256 code points, no control characters, not only spaces: INVALID with the texts
// "Invalid character in name", "Name too long", "Invalid name".
NODISCARD bool tenant_create_organization(struct catalog *catalog, const char *name, int64_t now_ms,
                                          struct arena *arena,
                                          struct tenant_organization *ret_organization,
                                          struct err *err);
// In the order of making, as all lists here.
NODISCARD bool tenant_list_organizations(struct catalog *catalog, struct arena *arena,
                                         struct tenant_organization **ret_organizations,
                                         size_t *ret_count, struct err *err);
NODISCARD bool tenant_get_organization(struct catalog *catalog, const char *id, struct arena *arena,
                                       struct tenant_organization *ret_organization,
                                       struct err *err);

// While an organization is disabled, its tokens and their URLs are refused and its apps take no
// events; its exports go on, so that nothing is missing when it is enabled again.
struct tenant_organization_change {
    const char *name; // NULL: stays
    bool has_subscription_limit;
    int64_t subscription_limit; // 0 to TENANT_SUBSCRIPTION_LIMIT_MAX, or TENANT_LIMIT_OF_SERVER
    bool has_disabled;
    bool is_disabled;
};
// INVALID for a name, or "Number out of range"; NOT_FOUND. What is as it was is no change.
NODISCARD bool tenant_update_organization(struct catalog *catalog, const char *id,
                                          const struct tenant_organization_change *change,
                                          int64_t now_ms, struct arena *arena,
                                          struct tenant_organization *ret_organization,
                                          struct err *err);

// How many subscriptions an app of the organization may have (0: any number): its own limit, or
// default_limit when it has none. NOT_FOUND.
NODISCARD bool tenant_subscription_limit(struct catalog *catalog, const char *organization_id,
                                         int64_t default_limit, int64_t *ret_limit,
                                         struct err *err);

// name as for organizations. *ret_branch_secret ("secret_live_...") is shown once: only its hash is
// kept. NOT_FOUND for an organization that does not exist.
NODISCARD bool tenant_create_app(struct catalog *catalog, const char *organization_id,
                                 const char *name, int64_t now_ms, struct arena *arena,
                                 struct tenant_app *ret_app, const char **ret_branch_secret,
                                 struct err *err);
// Without deleted ones. organization_id NULL: of all (operator).
NODISCARD bool tenant_list_apps(struct catalog *catalog, const char *organization_id,
                                struct arena *arena, struct tenant_app **ret_apps,
                                size_t *ret_count, struct err *err);
// NOT_FOUND also for an app of another organization, and a deleted one.
NODISCARD bool tenant_get_app(struct catalog *catalog, const char *organization_id,
                              const char *app_id, struct arena *arena, struct tenant_app *ret_app,
                              struct err *err);
// Of any organization that is not disabled: for operator ingest.
NODISCARD bool tenant_get_any_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                                  struct tenant_app *ret_app, struct err *err);
// Of any organization, deleted ones as well: for operators.
NODISCARD bool tenant_find_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                               struct tenant_app *ret_app, struct err *err);

NODISCARD bool tenant_rename_app(struct catalog *catalog, const char *app_id, const char *name,
                                 struct arena *arena, struct tenant_app *ret_app, struct err *err);
// From now on it is unknown to events and calls. Its subscriptions are INACTIVE with a reason, jobs
// that nobody runs are canceled; files stay until they expire. For ever. NOT_FOUND, also when it is
// deleted already.
NODISCARD bool tenant_delete_app(struct catalog *catalog, const char *app_id, int64_t now_ms,
                                 struct err *err);

// A new branch secret, shown once; the one before it stays good for grace_ms (0 to
// TENANT_GRACE_MAX_MS), older ones no longer. NOT_FOUND.
NODISCARD bool tenant_rotate_branch_secret(struct catalog *catalog, const char *app_id,
                                           int64_t grace_ms, int64_t now_ms, struct arena *arena,
                                           struct tenant_app *ret_app,
                                           const char **ret_branch_secret, struct err *err);
// Who calls for Daily Exports. DENIED with one text and the same work whatever is wrong; so for
// deleted apps and disabled organizations.
NODISCARD bool tenant_verify_branch(struct catalog *catalog, struct slice branch_key,
                                    struct slice branch_secret, int64_t now_ms, struct arena *arena,
                                    struct tenant_app *ret_app, struct err *err);
