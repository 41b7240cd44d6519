// SPDX-License-Identifier: Apache-2.0
// Whose token or signature it is, and whether what minted a signed URL still stands.
#include "base/check.h"
#include "base/mem.h"
#include "catalog/tenant_internal.h"
#include "catalog/tenant_signers.h"

#define TENANT_LAST_USED_STEP_MS INT64_C(60000)

// What a look-up found; for an unknown key id secrets that no token has, so that both paths
// compare.
struct tenant_candidate {
    struct tenant_identity identity;
    struct tenant_kept_secret kept;
    int64_t last_used_at_ms;
    bool is_valid; // known, not revoked, not expired, nothing of it disabled or deleted
};

static bool tenant_look_up(struct catalog *catalog, struct slice key_id, int64_t now_ms,
                           struct arena *arena, struct tenant_candidate *ret_candidate,
                           struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_slice(key_id)};
    TRY(catalog_query_row(catalog,
                          "SELECT t.token_sha256, t.previous_sha256, t.previous_until_ms,"
                          " t.organization_id, t.app_id, t.user_id, t.permissions,"
                          " t.last_used_at_ms, t.expires_at_ms, t.revoked_at_ms,"
                          " coalesce(o.disabled_at_ms, 0), coalesce(a.deleted_at_ms, 0)"
                          " FROM tokens t LEFT JOIN organizations o ON o.id = t.organization_id"
                          " LEFT JOIN apps a ON a.id = t.app_id WHERE t.key_id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    *ret_candidate = (struct tenant_candidate){0};
    tenant_kept_secret_init(&ret_candidate->kept);
    if (!found)
        return true;
    TRY(tenant_kept_secret_read(&ret_candidate->kept, rows, 0, err));
    const int64_t expires_at_ms = db_rows_int64(rows, 8);
    ret_candidate->identity = (struct tenant_identity){
        .key_id = arena_copy_slice(arena, key_id),
        .organization_id = catalog_row_text(rows, 3, arena),
        .app_id = catalog_row_text(rows, 4, arena),
        .user_id = db_rows_int64(rows, 5),
        .permissions = (unsigned)db_rows_int64(rows, 6),
        .valid_until_ms = expires_at_ms == 0 ? INT64_MAX : expires_at_ms,
    };
    ret_candidate->last_used_at_ms = db_rows_int64(rows, 7);
    ret_candidate->is_valid = db_rows_int64(rows, 9) == 0 && db_rows_int64(rows, 10) == 0 &&
                              db_rows_int64(rows, 11) == 0 &&
                              now_ms < ret_candidate->identity.valid_until_ms;
    return true;
}

// A time that cannot be written now (full disk, busy) is no reason to turn a caller away: it is
// written with one of the next calls. Times after now come from a clock that was set back.
static bool tenant_mark_used(struct catalog *catalog, const struct tenant_candidate *candidate,
                             int64_t now_ms, struct err *err)
{
    const int64_t age_ms = now_ms - candidate->last_used_at_ms;
    if (age_ms >= 0 && age_ms < TENANT_LAST_USED_STEP_MS)
        return true;
    const struct db_value values[] = {db_text(candidate->identity.key_id), db_int64(now_ms)};
    if (db_exec(catalog->db, "UPDATE tokens SET last_used_at_ms = $2 WHERE key_id = $1", values,
                ARRAY_COUNT(values), NULL, err))
        return true;
    if (!err_kind_is_retryable(err->kind))
        return false;
    err_clear(err);
    return true;
}

// The end of what it was verified with is the end of the identity, too.
static bool tenant_identify(struct catalog *catalog, const struct tenant_candidate *candidate,
                            int64_t secret_until_ms, int64_t now_ms,
                            struct tenant_identity *ret_identity, struct err *err)
{
    TRY(tenant_mark_used(catalog, candidate, now_ms, err));
    *ret_identity = candidate->identity;
    if (secret_until_ms < ret_identity->valid_until_ms)
        ret_identity->valid_until_ms = secret_until_ms;
    return true;
}

bool tenant_verify(struct catalog *catalog, struct slice token, int64_t now_ms, struct arena *arena,
                   struct tenant_identity *ret_identity, struct err *err)
{
    static const char denied[] = "invalid access token";
    if (!tenant_token_is_well_formed(token))
        return err_set(err, ERR_DENIED, "%s", denied);
    struct tenant_candidate candidate;
    int64_t secret_until_ms = 0;
    TRY(tenant_look_up(catalog, tenant_key_id_of(token), now_ms, arena, &candidate, err));
    const bool is_equal = tenant_kept_secret_matches(&candidate.kept, token, now_ms,
                                                     &secret_until_ms);
    if (!is_equal || !candidate.is_valid)
        return err_set(err, ERR_DENIED, "%s", denied);
    return tenant_identify(catalog, &candidate, secret_until_ms, now_ms, ret_identity, err);
}

bool tenant_verify_signer(struct catalog *catalog, const struct tenant_signer *signer,
                          struct arena *arena, struct tenant_identity *ret_identity,
                          struct err *err)
{
    struct tenant_candidate candidate;
    TRY(tenant_look_up(catalog, signer->key_id, signer->now_ms, arena, &candidate, err));
    const struct tenant_kept_secret *kept = &candidate.kept;
    const bool is_latest = signer->matches(signer->context,
                                           slice_of(kept->digest, sizeof kept->digest));
    const bool is_previous = signer->matches(signer->context,
                                             slice_of(kept->previous, sizeof kept->previous));
    if (!candidate.is_valid)
        return err_set(err, ERR_NOT_FOUND, "no such key");
    const int64_t until_ms = is_latest ? INT64_MAX : kept->previous_until_ms;
    if (!is_latest && (!is_previous || signer->now_ms >= until_ms))
        return err_set(err, ERR_DENIED, "the signature does not match");
    return tenant_identify(catalog, &candidate, until_ms, signer->now_ms, ret_identity, err);
}

void tenant_token_hash(struct slice token, char ret_hash[TENANT_HASH_CHARS + 1])
{
    tenant_digest(token, ret_hash);
}

// An expired token's URLs live on: each has an end of its own, and its file as well.
bool tenant_key_is_valid(struct catalog *catalog, const char *key_id, bool *ret_valid,
                         struct err *err)
{
    const size_t prefix_size = sizeof TENANT_SUBSCRIPTION_KEY - 1;
    const bool is_subscriptions = strncmp(key_id, TENANT_SUBSCRIPTION_KEY, prefix_size) == 0;
    const struct db_value values[] = {db_text(key_id),
                                      db_text(is_subscriptions ? key_id + prefix_size : "")};
    int64_t count = 0;
    TRY(catalog_query_int64(
        catalog,
        "SELECT (SELECT count(*) FROM tokens t LEFT JOIN organizations o"
        "  ON o.id = t.organization_id WHERE t.key_id = $1 AND t.revoked_at_ms = 0"
        "  AND coalesce(o.disabled_at_ms, 0) = 0)"
        " + (SELECT count(*) FROM apps a JOIN organizations o ON o.id = a.organization_id"
        "  WHERE a.branch_key = $1 AND o.disabled_at_ms = 0)"
        " + (SELECT count(*) FROM subscriptions s JOIN organizations o"
        "  ON o.id = s.organization_id WHERE s.id = $2 AND o.disabled_at_ms = 0)",
        values, ARRAY_COUNT(values), &count, err));
    *ret_valid = count > 0;
    return true;
}
