// SPDX-License-Identifier: Apache-2.0
// Credentials that the surroundings give: a container's agent, or the machine's metadata service.
//
//     PUT /latest/api/token                                   -> a session token, for the header of
//     GET /latest/meta-data/iam/security-credentials/         -> the name of the role
//     GET /latest/meta-data/iam/security-credentials/ROLE     -> {"AccessKeyId": ..., ...}
//
// The first version of that service, which takes requests without a token, is not used: whoever
// gets a server to fetch a URL gets its credentials.
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "cloud/aws_internal.h"

#define AWS_CONTAINER_ENDPOINT  "http://169.254.170.2"
#define AWS_ROLES_PATH          "/latest/meta-data/iam/security-credentials/"
#define AWS_SESSION_TTL         "21600" // seconds; the most that there is
#define AWS_SESSION_CHARS_MAX   ((size_t)1024)
#define AWS_AUTHORIZATION_CHARS ((size_t)16 * 1024)
#define AWS_ABSENT_PAUSE_MS     INT64_C(60000) // so long nobody asks again
#define AWS_ROLE_NAME_CHARS_MAX ((size_t)64)

struct aws_metadata {
    char *endpoint;
    const char *const *environment;
    struct cloud_caller caller;
    struct ticket_cache *tickets;
    struct secret session;   // of the instance's service; empty: none yet
    int64_t absent_until_ms; // by the boot clock
};

static const uint8_t aws_container_key[TICKET_KEY_BYTES] = {1};
static const uint8_t aws_instance_key[TICKET_KEY_BYTES] = {2};

// One attempt to get a ticket.
struct aws_fetch {
    struct aws_metadata *metadata;
    const char *url;     // of the container's agent
    const char *absence; // the service is not there, or has none
};

void aws_metadata_open(const char *endpoint, const char *const *environment,
                       const struct cloud_config *config, struct aws_metadata **ret_metadata)
{
    struct aws_metadata *metadata = mem_alloc(sizeof *metadata);
    metadata->endpoint = mem_copy_text(endpoint);
    metadata->environment = environment;
    cloud_caller_open_metadata(config, &metadata->caller);
    metadata->tickets = ticket_cache_new(metadata->caller.clock);
    *ret_metadata = metadata;
}

void aws_metadata_close(struct aws_metadata **address)
{
    struct aws_metadata *metadata = *address;
    if (metadata == NULL)
        return;
    cloud_caller_close(&metadata->caller);
    ticket_cache_free(&metadata->tickets);
    secret_clear(&metadata->session);
    mem_free(metadata->endpoint);
    mem_free(metadata);
    *address = NULL;
}

// {"AccessKeyId": ..., "SecretAccessKey": ..., "Token": ..., "Expiration": "2026-11-29T12:00:00Z"}
static bool aws_take_document(struct slice body, struct arena *arena, struct ticket *ret_ticket,
                              struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err failure = {0};
    if (!json_tree_parse(body, &tree, &failure)) // its text would repeat parts of the reply
        return err_set(err, ERR_UNAVAILABLE, "the reply is not a JSON text");
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *code = json_node_get(root, "Code");
    if (code != NULL && !slice_equal_text(json_node_text(code), "Success"))
        return err_set(err, ERR_UNAVAILABLE, "the service says: %s",
                       cloud_quote(json_node_text(code), NULL, arena));
    struct aws_credentials credentials;
    if (!aws_take(json_node_text(json_node_get(root, "AccessKeyId")),
                  json_node_text(json_node_get(root, "SecretAccessKey")),
                  json_node_text(json_node_get(root, "Token")), arena, &credentials, &failure))
        return err_set(err, ERR_UNAVAILABLE, "the reply has no credentials: %s", failure.message);
    if (!civil_parse(json_node_text(json_node_get(root, "Expiration")), &credentials.expires_at_ms))
        return err_set(err, ERR_UNAVAILABLE, "the reply does not say when they expire");
    *ret_ticket = aws_ticket_of(&credentials, arena);
    return true;
}

static bool aws_metadata_answer(struct aws_metadata *metadata, const uint8_t *key, bool is_refresh,
                                struct ticket_source source, struct arena *arena,
                                struct aws_answer *ret_answer, struct err *err)
{
    const struct aws_fetch *fetch = source.context;
    struct ticket ticket;
    if (!ticket_cache_get(metadata->tickets, key, is_refresh, &source, arena, &ticket, err)) {
        if (fetch->absence == NULL)
            return false;
        return aws_is_absent(ret_answer, fetch->absence);
    }
    *ret_answer = (struct aws_answer){.credentials = aws_credentials_of(&ticket)};
    return true;
}

// --- Containers

// Plain HTTP only to the addresses at which an agent listens: what comes back are keys.
static bool aws_container_host_is_near(const char *host)
{
    static const char *const hosts[] = {
        "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "127.0.0.1", "::1", "localhost"};
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        if (strcmp(host, hosts[i]) == 0)
            return true;
    }
    return false;
}

bool aws_container_url(const char *const *environment, struct arena *arena, const char **ret_url,
                       struct err *err)
{
    const char *relative = aws_variable(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_variable(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative != NULL) {
        if (relative[0] != '/' || !cloud_is_header_text(slice_text(relative), 2048))
            return err_set(err, ERR_INVALID,
                           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with /");
        *ret_url = arena_format(arena, AWS_CONTAINER_ENDPOINT "%s", relative);
        return true;
    }
    if (full == NULL) {
        *ret_url = NULL;
        return true;
    }
    struct endpoint endpoint;
    if (!endpoint_parse(slice_text(full), arena, &endpoint, NULL))
        return err_set(err, ERR_INVALID, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL");
    if (!endpoint.is_https && !aws_container_host_is_near(endpoint.host))
        return err_set(err, ERR_INVALID,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI must use https or be of this machine");
    *ret_url = arena_copy_text(arena, full);
    return true;
}

// The file is read each time: it is changed under us.
static bool aws_container_authorization(const struct aws_metadata *metadata, struct arena *arena,
                                        const char **ret_value, struct err *err)
{
    const char *path = aws_variable(metadata->environment,
                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *value = aws_variable(metadata->environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (path != NULL) {
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, AWS_AUTHORIZATION_CHARS);
        TRY(file_read(path, &text, err));
        char *token = arena_copy_slice(arena, buf_slice(&text));
        token[strcspn(token, "\r\n")] = '\0';
        value = token;
    }
    // "Basic ..." and the like have a space, so only what ends a header line is refused.
    if (value != NULL &&
        (strpbrk(value, "\r\n") != NULL || strlen(value) > AWS_AUTHORIZATION_CHARS))
        return err_set(err, ERR_INVALID, "the container's authorization token is malformed");
    *ret_value = value;
    return true;
}

static bool aws_fetch_container(void *context, struct arena *arena, struct ticket *ret_ticket,
                                struct err *err)
{
    struct aws_fetch *fetch = context;
    const char *authorization = NULL;
    TRY(aws_container_authorization(fetch->metadata, arena, &authorization, err));
    const struct http_client_header header = {"Authorization", authorization};
    const struct cloud_call call = {.method = "GET",
                                    .url = fetch->url,
                                    .headers = &header,
                                    .header_count = authorization == NULL ? 0 : 1};
    struct cloud_reply reply;
    TRY(cloud_caller_send(&fetch->metadata->caller, &call, arena, &reply, err));
    if (reply.status != 200)
        return err_set(err, ERR_UNAVAILABLE, "the container's agent answers HTTP %d", reply.status);
    return aws_take_document(reply.body, arena, ret_ticket, err);
}

bool aws_metadata_get_container(struct aws_metadata *metadata, bool is_refresh, struct arena *arena,
                                struct aws_answer *ret_answer, struct err *err)
{
    struct aws_fetch fetch = {.metadata = metadata};
    TRY(aws_container_url(metadata->environment, arena, &fetch.url, err));
    if (fetch.url == NULL)
        return aws_is_absent(ret_answer, "not set");
    const struct ticket_source source = {aws_fetch_container, &fetch};
    return aws_metadata_answer(metadata, aws_container_key, is_refresh, source, arena, ret_answer,
                               err);
}

// --- The machine

// Sets the session token when there is none.
static bool aws_open_session(struct aws_fetch *fetch, struct arena *arena, struct err *err)
{
    struct aws_metadata *metadata = fetch->metadata;
    if (!secret_is_empty(&metadata->session))
        return true;
    const struct http_client_header header = {"X-aws-ec2-metadata-token-ttl-seconds",
                                              AWS_SESSION_TTL};
    const struct cloud_call call = {
        .method = "PUT",
        .url = arena_format(arena, "%s/latest/api/token", metadata->endpoint),
        .headers = &header,
        .header_count = 1};
    struct cloud_reply reply;
    if (!cloud_caller_send(&metadata->caller, &call, arena, &reply, err)) {
        fetch->absence = "no metadata service answers";
        return false;
    }
    if (reply.status != 200 || !cloud_is_header_text(reply.body, AWS_SESSION_CHARS_MAX))
        return err_set(err, ERR_UNAVAILABLE, "the metadata service gives no token (HTTP %d)",
                       reply.status);
    secret_init(&metadata->session, reply.body);
    return true;
}

// With the session's token; a token that is not taken any more is replaced once.
static bool aws_metadata_read(struct aws_fetch *fetch, const char *path, struct arena *arena,
                              struct cloud_reply *ret_reply, struct err *err)
{
    struct aws_metadata *metadata = fetch->metadata;
    for (int i = 0;; i++) {
        TRY(aws_open_session(fetch, arena, err));
        const struct http_client_header header = {"X-aws-ec2-metadata-token",
                                                  slice_chars(secret_reveal(&metadata->session))};
        const struct cloud_call call = {
            .method = "GET",
            .url = arena_format(arena, "%s%s", metadata->endpoint, path),
            .headers = &header,
            .header_count = 1};
        TRY(cloud_caller_send(&metadata->caller, &call, arena, ret_reply, err));
        if (ret_reply->status != 401)
            return true;
        secret_clear(&metadata->session);
        if (i == 1)
            return err_set(err, ERR_UNAVAILABLE, "the metadata service refuses its own tokens");
    }
}

// The first line, if it can be the name of a role.
static bool aws_take_role_name(struct slice body, struct arena *arena, const char **ret_name)
{
    const char *text = slice_chars(body);
    const size_t chars = strcspn(text, "\r\n");
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_+=,.@-";
    if (chars == 0 || chars > AWS_ROLE_NAME_CHARS_MAX || strspn(text, allowed) < chars)
        return false;
    *ret_name = arena_copy_slice(arena, slice_of(text, chars));
    return true;
}

static bool aws_fetch_instance(void *context, struct arena *arena, struct ticket *ret_ticket,
                               struct err *err)
{
    struct aws_fetch *fetch = context;
    struct cloud_reply reply;
    TRY(aws_metadata_read(fetch, AWS_ROLES_PATH, arena, &reply, err));
    const char *role = NULL;
    if (reply.status == 404)
        fetch->absence = "the machine has no role";
    if (reply.status != 200 || !aws_take_role_name(reply.body, arena, &role))
        return err_set(err, ERR_UNAVAILABLE, "the metadata service names no role (HTTP %d)",
                       reply.status);
    TRY(aws_metadata_read(fetch, arena_format(arena, AWS_ROLES_PATH "%s", role), arena, &reply,
                          err));
    if (reply.status != 200)
        return err_set(err, ERR_UNAVAILABLE,
                       "the metadata service gives no credentials of role %s (HTTP %d)", role,
                       reply.status);
    return aws_take_document(reply.body, arena, ret_ticket, err);
}

bool aws_metadata_get_instance(struct aws_metadata *metadata, bool is_refresh, struct arena *arena,
                               struct aws_answer *ret_answer, struct err *err)
{
    const int64_t now_ms = clock_boot_ms(metadata->caller.clock);
    if (now_ms < metadata->absent_until_ms)
        return aws_is_absent(ret_answer, "no metadata service with a role, a moment ago");
    struct aws_fetch fetch = {.metadata = metadata};
    const struct ticket_source source = {aws_fetch_instance, &fetch};
    struct aws_answer answer = {0};
    TRY(aws_metadata_answer(metadata, aws_instance_key, is_refresh, source, arena, &answer, err));
    if (answer.absence != NULL)
        metadata->absent_until_ms = now_ms + AWS_ABSENT_PAUSE_MS;
    *ret_answer = answer;
    return true;
}
