// SPDX-License-Identifier: Apache-2.0
// What the files about tenants share: ids, secrets and their hashes.
#pragma once

#include "base/hash.h"
#include "catalog/catalog_internal.h"

struct tenant_user;

// 18 digits: always below 2^63.
const char *tenant_new_id(struct arena *arena);

// "key_live_..." and "secret_live_...", with 32 random letters and digits.
const char *tenant_new_branch_key(struct arena *arena);
const char *tenant_new_branch_secret(struct arena *arena);

// A token's text with a new secret.
const char *tenant_new_token_text(struct arena *arena, bool is_operator, const char *key_id);
// Prefix, characters and checksum.
bool tenant_token_is_well_formed(struct slice token);
struct slice tenant_key_id_of(struct slice token); // of a well-formed one

// What is kept of a secret: its SHA-256 in hexadecimal.
void tenant_digest(struct slice secret, char ret_text[SHA256_HEX_CHARS + 1]);

// A secret as the catalog keeps it while it is rotated.
struct tenant_kept_secret {
    char digest[SHA256_HEX_CHARS];
    char previous[SHA256_HEX_CHARS];
    int64_t previous_until_ms;
};
// One that no secret matches.
void tenant_kept_secret_init(struct tenant_kept_secret *kept);
// Takes the columns digest, previous digest (may be null) and the end of its grace. CORRUPT.
NODISCARD bool tenant_kept_secret_read(struct tenant_kept_secret *kept, const struct db_rows *rows,
                                       size_t column, struct err *err);
// Compares with both, in a time that tells nothing. *ret_until_ms: how long the secret is good.
bool tenant_kept_secret_matches(const struct tenant_kept_secret *kept, struct slice secret,
                                int64_t now_ms, int64_t *ret_until_ms);

// NOT_FOUND "no such organization".
NODISCARD bool tenant_check_organization(struct catalog *catalog, const char *id, struct err *err);

// Tokens by which somebody may administer now.
NODISCARD bool tenant_count_admins(struct catalog *catalog, int64_t now_ms, int64_t *ret_count,
                                   struct err *err);
// CONFLICT when there were some before and are none now.
NODISCARD bool tenant_check_admins(struct catalog *catalog, int64_t now_ms, int64_t count_before,
                                   struct err *err);

// A user that a new token is for: made for it when user_id is 0, else checked.
NODISCARD bool tenant_insert_user(struct catalog *catalog, struct tenant_user *user,
                                  struct err *err);
NODISCARD bool tenant_check_user(struct catalog *catalog, int64_t id, const char *organization_id,
                                 struct err *err);
