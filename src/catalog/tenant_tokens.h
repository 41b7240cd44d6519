// SPDX-License-Identifier: Apache-2.0
// Users and their access tokens. A token is "api_app_" (operator: "api_adm_") + 32 letters and
// digits: 10 of key id, 16 of secret, 6 of checksum over the rest. Only the SHA-256 of the whole
// token is kept; tokens with a wrong checksum are refused without a look-up. What changes something
// writes it into the audit log in the same transaction (audit.h).
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

// What tokens of operators may have, and those of organizations may not.
#define TENANT_OPERATOR_PERMISSIONS ((unsigned)(TENANT_ADMIN | TENANT_OPERATOR_INGEST))

// All of them, in the order of replies; 0 behind the last.
unsigned tenant_permission_at(size_t index);
// "export", "ingest", "sensitive_data", "admin", "operator_ingest". 0 when unknown.
unsigned tenant_permission_parse(struct slice name);
const char *tenant_permission_name(enum tenant_permission permission);

// A person or program. A token that is made for nobody in particular is its own user.
struct tenant_user {
    int64_t id;
    const char *organization_id; // NULL: operator
    const char *name;
    const char *email; // NULL: none
    int64_t created_at_ms;
    int64_t disabled_at_ms; // 0: not
};

struct tenant_user_request {
    const char *organization_id; // NULL: operator
    const char *name;            // as of organizations
    const char *email;           // NULL: none
};
// INVALID: the name, or "Invalid e-mail address". NOT_FOUND: the organization.
NODISCARD bool tenant_create_user(struct catalog *catalog,
                                  const struct tenant_user_request *request, int64_t now_ms,
                                  struct arena *arena, struct tenant_user *ret_user,
                                  struct err *err);
// In the order of making. organization_id NULL: of all, the operator's as well.
NODISCARD bool tenant_list_users(struct catalog *catalog, const char *organization_id,
                                 struct arena *arena, struct tenant_user **ret_users,
                                 size_t *ret_count, struct err *err);
NODISCARD bool tenant_get_user(struct catalog *catalog, int64_t id, struct arena *arena,
                               struct tenant_user *ret_user, struct err *err);

// Disabling revokes the user's tokens, for ever; a user that is enabled again gets new ones.
struct tenant_user_change {
    const char *name; // NULL: stays
    bool has_email;
    const char *email; // NULL: none
    bool has_disabled;
    bool is_disabled;
};
// As tenant_create_user. CONFLICT when nobody would be left to administer.
NODISCARD bool tenant_update_user(struct catalog *catalog, int64_t id,
                                  const struct tenant_user_change *change, int64_t now_ms,
                                  struct arena *arena, struct tenant_user *ret_user,
                                  struct err *err);

struct tenant_token {
    const char *key_id;
    const char *organization_id; // NULL for operator tokens
    const char *app_id;          // NULL: all apps of the organization
    const char *name;
    int64_t user_id;
    unsigned permissions;
    int64_t created_at_ms;
    int64_t last_used_at_ms;   // 0: never; written at most once a minute
    int64_t expires_at_ms;     // 0: never; its URLs live on to their own end
    int64_t revoked_at_ms;     // 0: not
    int64_t previous_until_ms; // the secret before the last rotation is good until then
};

struct tenant_token_request {
    const char *organization_id; // NULL: an operator's
    const char *app_id;          // NULL: all apps
    const char *name;            // as of organizations
    unsigned permissions;
    int64_t user_id;       // 0: the token is its own user
    int64_t expires_at_ms; // 0: never
};
// *ret_token is shown once. Operator tokens have admin and operator_ingest only, the others the
// other permissions only, and none has none (INVALID). NOT_FOUND for an organization that does not
// exist, an app or a user that is not its own. CONFLICT for a user that is disabled.
NODISCARD bool tenant_create_token(struct catalog *catalog,
                                   const struct tenant_token_request *request, int64_t now_ms,
                                   struct arena *arena, struct tenant_token *ret_details,
                                   const char **ret_token, struct err *err);
// In the order of making, revoked ones included. organization_id NULL: of all, the operator's as
// well.
NODISCARD bool tenant_list_tokens(struct catalog *catalog, const char *organization_id,
                                  struct arena *arena, struct tenant_token **ret_tokens,
                                  size_t *ret_count, struct err *err);
NODISCARD bool tenant_get_token(struct catalog *catalog, const char *key_id, struct arena *arena,
                                struct tenant_token *ret_token, struct err *err);
// A new secret under the same key id, so that URLs stay good; the secret before it is good for
// grace_ms more (0 to TENANT_GRACE_MAX_MS), older ones no longer. CONFLICT when the token is
// revoked or has expired. NOT_FOUND.
NODISCARD bool tenant_rotate_token(struct catalog *catalog, const char *key_id, int64_t grace_ms,
                                   int64_t now_ms, struct arena *arena,
                                   struct tenant_token *ret_details, const char **ret_token,
                                   struct err *err);
// For ever. Revoking again is fine and keeps the first time. NOT_FOUND. CONFLICT for the last token
// that may administer.
NODISCARD bool tenant_revoke_token(struct catalog *catalog, const char *key_id, int64_t now_ms,
                                   struct err *err);

// Who is calling.
struct tenant_identity {
    const char *key_id;
    const char *organization_id; // NULL: operator
    const char *app_id;          // NULL: not limited to one app
    int64_t user_id;
    unsigned permissions;
    int64_t valid_until_ms; // INT64_MAX: as long as nobody changes anything
};

// This and tenant_verify_signer (tenant_signers.h) alone make identities. DENIED for anything that
// is not a valid token, with one text and the same work whatever is wrong with it: also revoked,
// expired, of a disabled organization, of a deleted app. Marks the token used (at most one write a
// minute; that the write is not possible now is no failure).
NODISCARD bool tenant_verify(struct catalog *catalog, struct slice token, int64_t now_ms,
                             struct arena *arena, struct tenant_identity *ret_identity,
                             struct err *err);

// The links in a subscription's mail belong to no token: this and its id are their key id.
#define TENANT_SUBSCRIPTION_KEY "subscription-"

// For signed URLs: whether what minted them (a token's key id, an app's branch key, a
// subscription) still stands.
// *ret_valid false when it is unknown or revoked, or its organization disabled.
NODISCARD bool tenant_key_is_valid(struct catalog *catalog, const char *key_id, bool *ret_valid,
                                   struct err *err);
