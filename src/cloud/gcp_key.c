// SPDX-License-Identifier: Apache-2.0
#include "cloud/gcp_key.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/civil.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/rsa.h"
#include "cloud/cloud_caller.h"

#define GCP_EMAIL_CHARS_MAX     ((size_t)254)
#define GCP_KEY_ID_CHARS_MAX    ((size_t)128)
#define GCP_ASSERTION_BYTES_MAX ((size_t)4096)
#define GCP_ASSERTION_LIFE_MS   CIVIL_HOUR_MS

static bool gcp_key_take(const struct json_node *root, struct arena *arena, struct gcp_key *ret_key,
                         struct err *err)
{
    const struct slice email = json_node_text(json_node_get(root, "client_email"));
    const struct slice key_id = json_node_text(json_node_get(root, "private_key_id"));
    const struct slice pem = json_node_text(json_node_get(root, "private_key"));
    const struct json_node *universe = json_node_get(root, "universe_domain");
    if (!slice_equal_text(json_node_text(json_node_get(root, "type")), "service_account"))
        return err_set(err, ERR_INVALID, "not the key of a service account (type)");
    if (universe != NULL && !slice_equal_text(json_node_text(universe), "googleapis.com"))
        return err_set(err, ERR_INVALID, "not a key for googleapis.com (universe_domain)");
    if (!cloud_is_header_text(email, GCP_EMAIL_CHARS_MAX))
        return err_set(err, ERR_INVALID, "client_email is missing or malformed");
    if (!cloud_is_header_text(key_id, GCP_KEY_ID_CHARS_MAX))
        return err_set(err, ERR_INVALID, "private_key_id is missing or malformed");
    struct slice signature;
    if (!rsa_sign_sha256(pem, slice_text("whether it can"), arena, &signature, err))
        return err_wrap(err, "private_key");
    *ret_key = (struct gcp_key){.email = arena_copy_slice(arena, email),
                                .key_id = arena_copy_slice(arena, key_id),
                                .private_key = secret_copy(arena, pem)};
    return true;
}

bool gcp_key_parse(struct slice json, struct arena *arena, struct gcp_key *ret_key, struct err *err)
{
    if (json.size_bytes > GCP_KEY_BYTES_MAX)
        return err_set(err, ERR_INVALID, "not the key of a service account: too large");
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(json, &tree, NULL)) // its text could repeat parts of it
        return err_set(err, ERR_INVALID, "not the key of a service account: not a JSON text");
    return gcp_key_take(json_tree_root(tree), arena, ret_key, err);
}

bool gcp_key_sign(const struct gcp_key *key, const char *audience, const char *scope,
                  int64_t now_ms, struct arena *arena, const char **ret_assertion, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, GCP_ASSERTION_BYTES_MAX);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "alg", "RS256");
    json_text_member_text(&json, "typ", "JWT");
    json_text_member_text(&json, "kid", key->key_id);
    json_text_close(&json, '}');
    const char *head = base64_encode(BASE64_URL, buf_slice(&text), arena);
    buf_reset(&text);
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "iss", key->email);
    json_text_member_text(&json, "scope", scope);
    json_text_member_text(&json, "aud", audience);
    json_text_member_int64(&json, "iat", now_ms / CIVIL_SECOND_MS);
    json_text_member_int64(&json, "exp", (now_ms + GCP_ASSERTION_LIFE_MS) / CIVIL_SECOND_MS);
    json_text_close(&json, '}');
    TRY(buf_check(&text, err));
    const char *claims = base64_encode(BASE64_URL, buf_slice(&text), arena);
    const char *message = arena_format(arena, "%s.%s", head, claims);
    struct slice signature;
    TRY(rsa_sign_sha256(secret_reveal(&key->private_key), slice_text(message), arena, &signature,
                        err));
    *ret_assertion = arena_format(arena, "%s.%s", message,
                                  base64_encode(BASE64_URL, signature, arena));
    return true;
}
