// SPDX-License-Identifier: Apache-2.0
// Asking for tokens:
//
//     POST TOKEN_ENDPOINT, grant_type=...jwt-bearer&assertion=...
//         -> {"access_token", "expires_in"}
//     GET METADATA/computeMetadata/v1/instance/service-accounts/default/token
//         -> the same
//     POST IAM/v1/projects/-/serviceAccounts/EMAIL:generateAccessToken
//         -> {"accessToken", "expireTime"}
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/uri.h"
#include "cloud/gcp_internal.h"

#define GCP_FORM_BYTES_MAX    ((size_t)16 * 1024)
#define GCP_ACCOUNT_PATH      "/computeMetadata/v1/instance/service-accounts/default/"
#define GCP_LIFE_S_MAX        INT64_C(43200)
#define GCP_SKEW_TOLERATED_MS (2 * CIVIL_MINUTE_MS)
#define GCP_ABSENT_PAUSE_MS   INT64_C(60000) // so long nobody asks again

// {"access_token": "ya29...", "expires_in": 3599, "token_type": "Bearer"}
static bool gcp_take_token(const struct gcp_tokens *tokens, struct slice body, struct arena *arena,
                           struct ticket *ret_ticket, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(body, &tree, NULL)) // its text could repeat parts of the reply
        return err_set(err, ERR_UNAVAILABLE, "the reply is not a JSON text");
    const struct json_node *root = json_tree_root(tree);
    const struct slice token = json_node_text(json_node_get(root, "access_token"));
    const int64_t life_s = json_node_int64(json_node_get(root, "expires_in"));
    if (!cloud_is_header_text(token, GCP_TOKEN_CHARS_MAX) || life_s < 1 || life_s > GCP_LIFE_S_MAX)
        return err_set(err, ERR_UNAVAILABLE, "the reply has no token");
    *ret_ticket = (struct ticket){.texts = {secret_copy(arena, token)},
                                  .expires_at_ms = clock_wall_ms(tokens->caller.clock) +
                                                   life_s * CIVIL_SECOND_MS};
    return true;
}

// --- By a key

// {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
static const char *gcp_grant_reason(struct slice body, struct arena *arena)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(body, &tree, NULL))
        return "no reason given";
    const struct json_node *root = json_tree_root(tree);
    const struct slice text = json_node_text(json_node_get(root, "error_description"));
    return cloud_quote(slice_is_empty(text) ? json_node_text(json_node_get(root, "error")) : text,
                       NULL, arena);
}

// Sets our clock by theirs, when that can be the reason of a refusal.
static bool gcp_correct_clock(struct gcp_tokens *tokens, const struct cloud_reply *reply)
{
    const char *date = http_client_reply_header(&reply->http, "Date");
    int64_t their_ms = 0;
    if (date == NULL || !civil_parse_http(slice_text(date), &their_ms))
        return false;
    const int64_t skew_ms = their_ms - clock_wall_ms(tokens->caller.clock);
    const int64_t change_ms = skew_ms - tokens->skew_ms;
    if (change_ms > -GCP_SKEW_TOLERATED_MS && change_ms < GCP_SKEW_TOLERATED_MS)
        return false;
    tokens->skew_ms = skew_ms;
    return true;
}

static bool gcp_send_assertion(struct gcp_tokens *tokens, const struct gcp_key *key,
                               const char *scope, struct arena *arena,
                               struct cloud_reply *ret_reply, struct err *err)
{
    const int64_t now_ms = clock_wall_ms(tokens->caller.clock) + tokens->skew_ms;
    const char *endpoint = tokens->settings->token_endpoint;
    const char *assertion = NULL;
    TRY(gcp_key_sign(key, endpoint, scope, now_ms, arena, &assertion, err));
    // Base 64 for URLs needs no escapes.
    const char *form = arena_format(arena,
                                    "grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3A"
                                    "jwt-bearer&assertion=%s",
                                    assertion);
    const struct http_client_header type = {"Content-Type", "application/x-www-form-urlencoded"};
    const struct cloud_call call = {.method = "POST",
                                    .url = endpoint,
                                    .headers = &type,
                                    .header_count = 1,
                                    .body = slice_text(form)};
    if (!cloud_caller_send(&tokens->caller, &call, arena, ret_reply, err))
        return err_wrap(err, "Google's token service");
    return true;
}

bool gcp_grant_by_key(struct gcp_tokens *tokens, const struct gcp_key *key, const char *scope,
                      enum err_kind kind_of_refusal, struct arena *arena, struct ticket *ret_ticket,
                      struct err *err)
{
    struct cloud_reply reply;
    TRY(gcp_send_assertion(tokens, key, scope, arena, &reply, err));
    // A wrong time is refused in the same way as a wrong signature.
    if (reply.status == 400 && gcp_correct_clock(tokens, &reply))
        TRY(gcp_send_assertion(tokens, key, scope, arena, &reply, err));
    if (reply.status == 400 || reply.status == 401 || reply.status == 403)
        return err_set(err, kind_of_refusal, "Google does not take the key of %s: %s", key->email,
                       gcp_grant_reason(reply.body, arena));
    if (reply.status != 200)
        return err_set(err, ERR_UNAVAILABLE, "Google's token service answers HTTP %d",
                       reply.status);
    if (!gcp_take_token(tokens, reply.body, arena, ret_ticket, err))
        return err_wrap(err, "Google's token service");
    return true;
}

// --- By the machine

static bool gcp_ask_machine(struct gcp_tokens *tokens, const char *name, struct arena *arena,
                            struct slice *ret_body, struct err *err)
{
    const int64_t now_ms = clock_boot_ms(tokens->near.clock);
    const struct http_client_header flavor = {"Metadata-Flavor", "Google"};
    const struct cloud_call call = {.method = "GET",
                                    .url = arena_format(arena, "%s" GCP_ACCOUNT_PATH "%s",
                                                        tokens->settings->metadata_endpoint, name),
                                    .headers = &flavor,
                                    .header_count = 1};
    struct cloud_reply reply = {0};
    struct err failure = {0};
    if (now_ms < tokens->absent_until_ms)
        return err_set(err, ERR_UNAVAILABLE, "no metadata service answered a moment ago");
    if (!cloud_caller_send(&tokens->near, &call, arena, &reply, &failure)) {
        tokens->absent_until_ms = now_ms + GCP_ABSENT_PAUSE_MS;
        return err_set(err, failure.kind, "no metadata service answers");
    }
    // Without that header, whoever it was is not Google's.
    const char *said = http_client_reply_header(&reply.http, "Metadata-Flavor");
    if (reply.status != 200 || said == NULL || strcmp(said, "Google") != 0)
        return err_set(err, ERR_UNAVAILABLE, "the metadata service has no account (HTTP %d)",
                       reply.status);
    *ret_body = reply.body;
    return true;
}

bool gcp_grant_by_machine(struct gcp_tokens *tokens, struct arena *arena, struct ticket *ret_ticket,
                          struct err *err)
{
    struct slice body;
    if (!gcp_ask_machine(tokens, "token", arena, &body, err) ||
        !gcp_take_token(tokens, body, arena, ret_ticket, err))
        return err_wrap(err, "this server has no Google credentials (gcp.key_file: not set; "
                             "machine)");
    return true;
}

const char *gcp_machine_email(struct gcp_tokens *tokens, struct arena *arena)
{
    struct slice body;
    if (!gcp_ask_machine(tokens, "email", arena, &body, NULL) || !cloud_is_header_text(body, 254))
        return NULL;
    return slice_chars(body);
}

// --- As somebody else

// {"error": {"code": 403, "message": ..., "status": ..., "details": [{"reason": ...}]}}
static const char *gcp_iam_reason(struct slice body, struct arena *arena, const char **ret_message)
{
    *ret_message = "no reason given";
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!json_tree_parse(body, &tree, NULL))
        return "";
    const struct json_node *root = json_node_get(json_tree_root(tree), "error");
    *ret_message = cloud_quote(json_node_text(json_node_get(root, "message")), NULL, arena);
    const struct json_node *details = json_node_get(root, "details");
    if (json_node_kind(details) != JSON_KIND_ARRAY || json_node_count(details) == 0)
        return "";
    const struct json_node *first = json_node_at(details, 0);
    return cloud_quote(json_node_text(json_node_get(first, "reason")), NULL, arena);
}

static bool gcp_refuse_impersonation(const struct gcp_asker *asker, const char *email,
                                     const struct cloud_reply *reply, struct arena *arena,
                                     struct err *err)
{
    const char *message = NULL;
    const char *reason = gcp_iam_reason(reply->body, arena, &message);
    if (reply->status == 401)
        return err_set(err, ERR_UNAVAILABLE, "Google does not take the token of %s",
                       gcp_asker_email(asker, arena));
    if (strcmp(reason, "SERVICE_DISABLED") == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "this server's operator has to enable the IAM Service Account Credentials "
                       "API in its Google project");
    if (reply->status == 403 || reply->status == 404)
        return err_set(err, ERR_DENIED,
                       "%s cannot be used: it must exist, and %s must have the role "
                       "roles/iam.serviceAccountTokenCreator on it",
                       email, gcp_asker_email(asker, arena));
    if (reply->status / 100 == 4)
        return err_set(err, ERR_INVALID, "Google gives no token for %s: %s", email, message);
    return err_set(err, ERR_UNAVAILABLE, "Google's token service answers HTTP %d", reply->status);
}

static bool gcp_take_impersonation(struct slice body, struct arena *arena,
                                   struct ticket *ret_ticket, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct ticket ticket = {0};
    if (!json_tree_parse(body, &tree, NULL))
        return err_set(err, ERR_UNAVAILABLE, "Google's token service: not a JSON text");
    const struct json_node *root = json_tree_root(tree);
    const struct slice token = json_node_text(json_node_get(root, "accessToken"));
    if (!cloud_is_header_text(token, GCP_TOKEN_CHARS_MAX) ||
        !civil_parse(json_node_text(json_node_get(root, "expireTime")), &ticket.expires_at_ms))
        return err_set(err, ERR_UNAVAILABLE, "Google's token service: no token in its answer");
    ticket.texts[0] = secret_copy(arena, token);
    *ret_ticket = ticket;
    return true;
}

bool gcp_grant_as(const struct gcp_asker *asker, const struct secret *token, const char *email,
                  struct arena *arena, struct ticket *ret_ticket, bool *ret_is_unauthorized,
                  struct err *err)
{
    struct buf url CLEANUP(buf_clear);
    buf_init(&url, GCP_FORM_BYTES_MAX);
    buf_append_format(&url, "%s/v1/projects/-/serviceAccounts/",
                      asker->tokens->settings->iam_endpoint);
    uri_append_encoded(&url, slice_text(email), "@");
    buf_append_text(&url, ":generateAccessToken");
    TRY(buf_check(&url, err));
    const struct http_client_header headers[] = {
        {"Authorization", arena_format(arena, "Bearer %s", slice_chars(secret_reveal(token)))},
        {"Content-Type", "application/json"},
    };
    const struct cloud_call call = {
        .method = "POST",
        .url = buf_text(&url),
        .headers = headers,
        .header_count = ARRAY_COUNT(headers),
        .body = slice_text("{\"scope\":[\"" GCP_SCOPE_STORAGE "\"],\"lifetime\":\"3600s\"}")};
    struct cloud_reply reply;
    *ret_is_unauthorized = false;
    if (!cloud_caller_send(&asker->tokens->caller, &call, arena, &reply, err))
        return err_wrap(err, "Google's token service");
    *ret_is_unauthorized = reply.status == 401;
    if (reply.status != 200)
        return gcp_refuse_impersonation(asker, email, &reply, arena, err);
    return gcp_take_impersonation(reply.body, arena, ret_ticket, err);
}
