// SPDX-License-Identifier: Apache-2.0
// Roles of customers, assumed with the operator's own credentials through AWS's token service
// (STS), with the external id of the organization: without it, whoever knows a role's name could
// have this server write into somebody else's bucket. Credentials are kept for each role and
// external id until five minutes before their end. One thread per object.
#pragma once

#include "cloud/aws_credentials.h"

struct aws_roles;

// Settings and chain are borrowed. INVALID: the settings cannot be right.
NODISCARD bool aws_roles_open(const struct aws_settings *settings, struct aws_chain *chain,
                              const struct cloud_config *config, struct aws_roles **ret_roles,
                              struct err *err);
void aws_roles_close(struct aws_roles **roles);

struct aws_role {
    const char *arn;
    const char *external_id;
    const char *session_name; // shown to the customer in its logs: 2 to 64 of [A-Za-z0-9_+=,.@-]
};

// Texts live in the arena. is_refresh: those that were given before were refused as expired.
// DENIED: AWS does not allow it, and the text says what the role's trust policy must have; INVALID:
// AWS does not take the name; UNAVAILABLE: the operator's own credentials do not work, or the
// service does not answer. No text holds a secret.
NODISCARD bool aws_role_get(struct aws_roles *roles, const struct aws_role *role, bool is_refresh,
                            struct arena *arena, struct aws_credentials *ret_credentials,
                            struct err *err);

// The number of the operator's account: the option, else asked for and kept for an hour. Roles of
// that account are not the customers'.
NODISCARD bool aws_roles_get_account(struct aws_roles *roles, struct arena *arena,
                                     const char **ret_account, struct err *err);
