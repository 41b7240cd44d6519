// SPDX-License-Identifier: Apache-2.0
#include "cloud/aws_role.h"

#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cloud/aws_internal.h"
#include "cloud/aws_sts.h"
#include "cloud/s3_xml.h"

#define AWS_ROLE_SECONDS      "3600" // what every role allows
#define AWS_SESSION_CHARS_MAX ((size_t)64)
#define AWS_ACCOUNT_CHARS     ((size_t)12)
#define AWS_ACCOUNT_KEPT_MS   CIVIL_HOUR_MS

struct aws_roles {
    const struct aws_settings *settings;
    const struct clock *clock;
    struct aws_sts *sts;
    struct ticket_cache *tickets;
};

bool aws_roles_open(const struct aws_settings *settings, struct aws_chain *chain,
                    const struct cloud_config *config, struct aws_roles **ret_roles,
                    struct err *err)
{
    struct aws_roles *roles CLEANUP(aws_roles_close) = mem_alloc(sizeof *roles);
    roles->settings = settings;
    roles->clock = config->clock == NULL ? clock_system() : config->clock;
    roles->tickets = ticket_cache_new(roles->clock);
    TRY(aws_sts_open(settings, chain, config, &roles->sts, err));
    *ret_roles = roles;
    roles = NULL;
    return true;
}

void aws_roles_close(struct aws_roles **address)
{
    struct aws_roles *roles = *address;
    if (roles == NULL)
        return;
    aws_sts_close(&roles->sts);
    ticket_cache_free(&roles->tickets);
    mem_free(roles);
    *address = NULL;
}

// --- Whose account it is

static bool aws_fetch_identity(void *context, struct arena *arena, struct ticket *ret_ticket,
                               struct err *err)
{
    struct aws_roles *roles = context;
    static const struct aws_sts_parameter parameters[] = {{"Action", "GetCallerIdentity"}};
    static const char *const paths[] = {
        "GetCallerIdentityResponse/GetCallerIdentityResult/Account"};
    struct aws_sts_answer answer;
    TRY(aws_sts_call(roles->sts, parameters, ARRAY_COUNT(parameters), arena, &answer, err));
    if (answer.refusal != NULL)
        return err_set(err, ERR_UNAVAILABLE, "AWS does not say whose account it is (%s)",
                       answer.refusal);
    const char *account = NULL;
    TRY(s3_xml_texts(answer.document, paths, 1, arena, &account, err));
    if (account == NULL || strlen(account) != AWS_ACCOUNT_CHARS ||
        strspn(account, "0123456789") != AWS_ACCOUNT_CHARS)
        return err_set(err, ERR_UNAVAILABLE, "AWS does not say whose account it is");
    *ret_ticket =
        (struct ticket){.texts = {secret_copy(arena, slice_text(account))},
                        .expires_at_ms = clock_wall_ms(roles->clock) + AWS_ACCOUNT_KEPT_MS};
    return true;
}

bool aws_roles_get_account(struct aws_roles *roles, struct arena *arena, const char **ret_account,
                           struct err *err)
{
    static const uint8_t key[TICKET_KEY_BYTES] = {0}; // no role has that hash
    if (roles->settings->account_id != NULL) {
        *ret_account = roles->settings->account_id;
        return true;
    }
    const struct ticket_source source = {aws_fetch_identity, roles};
    struct ticket ticket;
    TRY(ticket_cache_get(roles->tickets, key, false, &source, arena, &ticket, err));
    *ret_account = slice_chars(secret_reveal(&ticket.texts[0]));
    return true;
}

// --- Roles

struct aws_assumption {
    struct aws_roles *roles;
    const struct aws_role *role;
};

// "aws", "aws-cn" or "aws-us-gov".
static const char *aws_partition_of(const char *arn, struct arena *arena)
{
    const char *start = strncmp(arn, "arn:", 4) == 0 ? arn + 4 : "aws";
    return arena_copy_slice(arena, slice_of(start, strcspn(start, ":")));
}

static bool aws_refuse_role(const struct aws_assumption *assumption,
                            const struct aws_sts_answer *answer, struct arena *arena,
                            struct err *err)
{
    const struct aws_role *role = assumption->role;
    if (strcmp(answer->refusal, "ValidationError") == 0)
        return err_set(err, ERR_INVALID, "AWS does not take the name of the role: %s",
                       answer->message);
    if (strcmp(answer->refusal, "AccessDenied") != 0 &&
        strcmp(answer->refusal, "AccessDeniedException") != 0)
        return err_set(err, ERR_DENIED, "AWS does not give the role (%s): %s", answer->refusal,
                       answer->message);
    const char *account = NULL;
    const char *principal = "this server's account";
    if (aws_roles_get_account(assumption->roles, arena, &account, NULL))
        principal = arena_format(arena, "arn:%s:iam::%s:root", aws_partition_of(role->arn, arena),
                                 account);
    // The name comes last: it may be long, and whoever reads this knows it.
    return err_set(err, ERR_DENIED,
                   "the role cannot be assumed: it must exist, and its trust policy must allow "
                   "sts:AssumeRole to %s with sts:ExternalId %s (%s)",
                   principal, role->external_id, role->arn);
}

static bool aws_take_assumed(struct slice document, struct arena *arena, struct ticket *ret_ticket,
                             struct err *err)
{
#define AWS_ASSUMED "AssumeRoleResponse/AssumeRoleResult/Credentials/"
    static const char *const paths[] = {AWS_ASSUMED "AccessKeyId", AWS_ASSUMED "SecretAccessKey",
                                        AWS_ASSUMED "SessionToken", AWS_ASSUMED "Expiration"};
    const char *texts[ARRAY_COUNT(paths)] = {NULL};
    TRY(s3_xml_texts(document, paths, ARRAY_COUNT(paths), arena, texts, err));
    struct aws_credentials credentials;
    if (!aws_take(slice_text(texts[0]), slice_text(texts[1]), slice_text(texts[2]), arena,
                  &credentials, NULL) ||
        secret_is_empty(&credentials.session_token) ||
        !civil_parse(slice_text(texts[3]), &credentials.expires_at_ms))
        return err_set(err, ERR_UNAVAILABLE, "AWS's token service: no credentials in its answer");
    *ret_ticket = aws_ticket_of(&credentials, arena);
    return true;
}

static bool aws_fetch_role(void *context, struct arena *arena, struct ticket *ret_ticket,
                           struct err *err)
{
    const struct aws_assumption *assumption = context;
    const struct aws_role *role = assumption->role;
    const struct aws_sts_parameter parameters[] = {
        {"Action", "AssumeRole"},
        {"RoleArn", role->arn},
        {"RoleSessionName", role->session_name},
        {"ExternalId", role->external_id},
        {"DurationSeconds", AWS_ROLE_SECONDS},
    };
    struct aws_sts_answer answer;
    TRY(aws_sts_call(assumption->roles->sts, parameters, ARRAY_COUNT(parameters), arena, &answer,
                     err));
    if (answer.refusal != NULL)
        return aws_refuse_role(assumption, &answer, arena, err);
    return aws_take_assumed(answer.document, arena, ret_ticket, err);
}

bool aws_role_get(struct aws_roles *roles, const struct aws_role *role, bool is_refresh,
                  struct arena *arena, struct aws_credentials *ret_credentials, struct err *err)
{
    ASSERT(role->external_id[0] != '\0');
    ASSERT(strlen(role->session_name) >= 2);
    ASSERT(strlen(role->session_name) <= AWS_SESSION_CHARS_MAX);
    uint8_t key[TICKET_KEY_BYTES];
    sha256_of(slice_text(arena_format(arena, "%s\n%s", role->external_id, role->arn)), key);
    struct aws_assumption assumption = {roles, role};
    const struct ticket_source source = {aws_fetch_role, &assumption};
    struct ticket ticket;
    TRY(ticket_cache_get(roles->tickets, key, is_refresh, &source, arena, &ticket, err));
    *ret_credentials = aws_credentials_of(&ticket);
    return true;
}
