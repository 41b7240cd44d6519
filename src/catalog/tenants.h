// SPDX-License-Identifier: Apache-2.0
// Organizations, apps and access tokens. Ids of organizations and apps are 18 or 19 decimal digits
// below 2^63, texts outside and int64 inside segments. A token is "api_app_" (operator: "api_adm_")
// + 32 letters and digits: 10 of key id, 16 of secret, 6 of checksum over the rest. Only the
// SHA-256 of the whole token is kept; tokens with a wrong checksum are refused without a look-up.
// Upholds INV-16 (docs/invariants.md).
#pragma once

#include "catalog/catalog.h"

#define TENANT_TOKEN_CHARS  ((size_t)40)
#define TENANT_KEY_ID_CHARS ((size_t)10)

enum tenant_permission {
    TENANT_EXPORT = 1,
    TENANT_INGEST = 2,
    TENANT_SENSITIVE_DATA = 4,
    TENANT_ADMIN = 8,            // operator: tenants and tokens of everybody
    TENANT_OPERATOR_INGEST = 16, // events of any app, app_id in each line
};

// "export", "ingest", "sensitive_data", "admin", "operator_ingest". 0 when unknown.
unsigned tenant_permission_parse(struct slice name);
const char *tenant_permission_name(enum tenant_permission permission);

struct tenant_organization {
    const char *id;
    const char *name;
    const char *external_id; // UUID, for trust policies
    int64_t created_at_ms;
};

struct tenant_app {
    const char *id;
    const char *organization_id;
    const char *name;
    const char *branch_key; // "key_live_..."
    int64_t created_at_ms;
};

struct tenant_token {
    const char *key_id;
    const char *organization_id; // NULL for operator tokens
    const char *app_id;          // NULL: all apps of the organization
    const char *name;
    int64_t user_id;
    unsigned permissions;
    int64_t created_at_ms;
    int64_t last_used_at_ms; // 0: never; written at most once a minute
    int64_t revoked_at_ms;   // 0: valid
};

// Who is calling: made by tenant_verify alone.
struct tenant_identity {
    const char *key_id;
    const char *organization_id; // NULL: operator
    const char *app_id;          // NULL: not limited to one app
    int64_t user_id;
    unsigned permissions;
};

// name: 1 to 256 code points, no control characters, not only spaces (INVALID).
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
// organization_id NULL: of all (operator).
NODISCARD bool tenant_list_apps(struct catalog *catalog, const char *organization_id,
                                struct arena *arena, struct tenant_app **ret_apps,
                                size_t *ret_count, struct err *err);
// NOT_FOUND also for an app of another organization.
NODISCARD bool tenant_get_app(struct catalog *catalog, const char *organization_id,
                              const char *app_id, struct arena *arena, struct tenant_app *ret_app,
                              struct err *err);
// Of any organization: for operator ingest and for workers.
NODISCARD bool tenant_get_any_app(struct catalog *catalog, const char *app_id, struct arena *arena,
                                  struct tenant_app *ret_app, struct err *err);

// organization_id NULL makes an operator token; app_id NULL: all apps. *ret_token is shown once.
// Operator tokens have admin and operator_ingest only, the others the other permissions only, and
// none has none (INVALID). name as for organizations. NOT_FOUND for an organization that does not
// exist or an app that is not its own.
NODISCARD bool tenant_create_token(struct catalog *catalog, const char *organization_id,
                                   const char *app_id, const char *name, unsigned permissions,
                                   int64_t now_ms, struct arena *arena,
                                   struct tenant_token *ret_details, const char **ret_token,
                                   struct err *err);
// In the order of making, revoked ones included. organization_id NULL: of all, the operator's as
// well.
NODISCARD bool tenant_list_tokens(struct catalog *catalog, const char *organization_id,
                                  struct arena *arena, struct tenant_token **ret_tokens,
                                  size_t *ret_count, struct err *err);
// For ever. Revoking again is fine and keeps the first time. NOT_FOUND.
NODISCARD bool tenant_revoke_token(struct catalog *catalog, const char *key_id, int64_t now_ms,
                                   struct err *err);

// The one function that makes identities. DENIED for anything that is not a valid token, with one
// text and the same work whatever is wrong with it. Marks the token used (at most one write a
// minute; that the write is not possible now is no failure).
NODISCARD bool tenant_verify(struct catalog *catalog, struct slice token, int64_t now_ms,
                             struct arena *arena, struct tenant_identity *ret_identity,
                             struct err *err);

// For signed URLs: whether the minting token still stands. *ret_valid false when revoked or
// unknown.
NODISCARD bool tenant_key_is_valid(struct catalog *catalog, const char *key_id, bool *ret_valid,
                                   struct err *err);
