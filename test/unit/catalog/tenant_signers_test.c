// SPDX-License-Identifier: Apache-2.0
// Callers that sign: whose hash is good, until when, and that the work is the same for all.
#include "jobs_fixture.h"

#include <string.h>

#include "catalog/tenant_signers.h"

#define NOW_MS FIXTURE_NOW_MS

struct made_token {
    struct tenant_token details;
    const char *text;
};

static struct made_token make_token(struct fixture *fixture, const char *app_id,
                                    int64_t expires_at_ms)
{
    const struct tenant_token_request request = {.organization_id = fixture->organization_id,
                                                 .app_id = app_id,
                                                 .name = "sync",
                                                 .permissions = TENANT_EXPORT,
                                                 .expires_at_ms = expires_at_ms};
    struct made_token token = {0};
    assert_done(fixture, tenant_create_token(fixture->catalog, &request, NOW_MS, &fixture->arena,
                                             &token.details, &token.text, &fixture->err));
    return token;
}

static const char *rotate(struct fixture *fixture, const struct made_token *token, int64_t grace_ms)
{
    struct tenant_token details;
    const char *text = NULL;
    assert_done(fixture,
                tenant_rotate_token(fixture->catalog, token->details.key_id, grace_ms, NOW_MS,
                                    &fixture->arena, &details, &text, &fixture->err));
    return text;
}

// A signature that is right for one token's text.
struct signature {
    char hash[TENANT_HASH_CHARS + 1];
    int call_count;
};

static bool matches(void *context, struct slice kept_hash)
{
    struct signature *signature = context;
    assert_int_equal(kept_hash.size_bytes, TENANT_HASH_CHARS);
    signature->call_count++;
    return slice_equal_text(kept_hash, signature->hash);
}

// ERR_NONE: it is good.
static enum err_kind verify(struct fixture *fixture, const char *key_id, const char *text,
                            int64_t now_ms, struct tenant_identity *ret_identity)
{
    struct signature signature = {0};
    tenant_token_hash(slice_text(text), signature.hash);
    const struct tenant_signer signer = {
        .key_id = slice_text(key_id), .now_ms = now_ms, .matches = matches, .context = &signature};
    const bool is_good = tenant_verify_signer(fixture->catalog, &signer, &fixture->arena,
                                              ret_identity, &fixture->err);
    assert_int_equal(signature.call_count, 2);
    return is_good ? ERR_NONE : fixture->err.kind;
}

static enum err_kind verdict(struct fixture *fixture, const struct made_token *token,
                             const char *text, int64_t now_ms)
{
    struct tenant_identity identity;
    return verify(fixture, token->details.key_id, text, now_ms, &identity);
}

static void a_signer_has_the_identity_of_its_token(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token whole = make_token(fixture, NULL, 0);
    const struct made_token bound = make_token(fixture, fixture->app_id, NOW_MS + 5);
    struct tenant_identity identity = {0};
    assert_int_equal(verify(fixture, whole.details.key_id, whole.text, NOW_MS, &identity),
                     ERR_NONE);
    assert_string_equal(identity.key_id, whole.details.key_id);
    assert_string_equal(identity.organization_id, fixture->organization_id);
    assert_null(identity.app_id);
    assert_int_equal(identity.permissions, TENANT_EXPORT);
    assert_int_equal(identity.valid_until_ms, INT64_MAX);
    assert_int_equal(verify(fixture, bound.details.key_id, bound.text, NOW_MS, &identity),
                     ERR_NONE);
    assert_string_equal(identity.app_id, fixture->app_id);
    assert_int_equal(identity.valid_until_ms, NOW_MS + 5);
    struct tenant_token seen;
    assert_done(fixture, tenant_get_token(fixture->catalog, bound.details.key_id, &fixture->arena,
                                          &seen, &fixture->err));
    assert_int_equal(seen.last_used_at_ms, NOW_MS);
    assert_int_equal(verdict(fixture, &whole, bound.text, NOW_MS), ERR_DENIED);
    assert_int_equal(verdict(fixture, &whole, "", NOW_MS), ERR_DENIED);
}

static void a_rotated_token_has_two_hashes_for_a_while(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token token = make_token(fixture, NULL, 0);
    const char *second = rotate(fixture, &token, 5000);
    struct tenant_identity identity = {0};
    assert_int_equal(verify(fixture, token.details.key_id, token.text, NOW_MS + 4999, &identity),
                     ERR_NONE);
    assert_int_equal(identity.valid_until_ms, NOW_MS + 5000);
    assert_int_equal(verdict(fixture, &token, second, NOW_MS + 4999), ERR_NONE);
    assert_int_equal(verdict(fixture, &token, token.text, NOW_MS + 5000), ERR_DENIED);
    assert_int_equal(verdict(fixture, &token, second, NOW_MS + 5000), ERR_NONE);
    const char *third = rotate(fixture, &token, 0);
    assert_int_equal(verdict(fixture, &token, second, NOW_MS), ERR_DENIED);
    assert_int_equal(verdict(fixture, &token, third, NOW_MS), ERR_NONE);
}

static void what_is_over_is_no_key_any_more(void **state)
{
    struct fixture *fixture = *state;
    const struct made_token revoked = make_token(fixture, NULL, 0);
    const struct made_token expired = make_token(fixture, NULL, NOW_MS + 10);
    const struct made_token bound = make_token(fixture, fixture_add_app(fixture, "gone"), 0);
    const struct made_token whole = make_token(fixture, NULL, 0);
    struct tenant_identity identity;
    assert_int_equal(verify(fixture, "unknown", whole.text, NOW_MS, &identity), ERR_NOT_FOUND);
    assert_int_equal(verify(fixture, "", whole.text, NOW_MS, &identity), ERR_NOT_FOUND);
    assert_int_equal(verdict(fixture, &expired, expired.text, NOW_MS + 9), ERR_NONE);
    assert_int_equal(verdict(fixture, &expired, expired.text, NOW_MS + 10), ERR_NOT_FOUND);
    assert_int_equal(verdict(fixture, &revoked, revoked.text, NOW_MS), ERR_NONE);
    assert_done(fixture, tenant_revoke_token(fixture->catalog, revoked.details.key_id, NOW_MS,
                                             &fixture->err));
    assert_int_equal(verdict(fixture, &revoked, revoked.text, NOW_MS), ERR_NOT_FOUND);
    assert_int_equal(verdict(fixture, &revoked, "wrong", NOW_MS), ERR_NOT_FOUND);
    assert_int_equal(verdict(fixture, &bound, bound.text, NOW_MS), ERR_NONE);
    assert_done(fixture,
                tenant_delete_app(fixture->catalog, bound.details.app_id, NOW_MS, &fixture->err));
    assert_int_equal(verdict(fixture, &bound, bound.text, NOW_MS), ERR_NOT_FOUND);
    const struct tenant_organization_change change = {.has_disabled = true, .is_disabled = true};
    struct tenant_organization organization;
    assert_done(fixture,
                tenant_update_organization(fixture->catalog, fixture->organization_id, &change,
                                           NOW_MS, &fixture->arena, &organization, &fixture->err));
    assert_int_equal(verdict(fixture, &whole, whole.text, NOW_MS), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(a_signer_has_the_identity_of_its_token),
        fixture_test(a_rotated_token_has_two_hashes_for_a_while),
        fixture_test(what_is_over_is_no_key_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
