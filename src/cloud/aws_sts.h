// SPDX-License-Identifier: Apache-2.0
// Calls of AWS's token service: a signed POST of a form, answered in XML. Private to cloud/. One
// thread per object.
#pragma once

#include "cloud/aws_credentials.h"

struct aws_sts;

// As aws_roles_open.
NODISCARD bool aws_sts_open(const struct aws_settings *settings, struct aws_chain *chain,
                            const struct cloud_config *config, struct aws_sts **ret_sts,
                            struct err *err);
void aws_sts_close(struct aws_sts **sts);

struct aws_sts_parameter {
    const char *name;
    const char *value;
};

// The XML of a success; or else what AWS said.
struct aws_sts_answer {
    struct slice document;
    const char *refusal; // NULL: success; else a code such as "AccessDenied"
    const char *message; // of the refusal, to be shown
};

// Answers come without those that are about our own credentials and clock, which are UNAVAILABLE.
NODISCARD bool aws_sts_call(struct aws_sts *sts, const struct aws_sts_parameter *parameters,
                            size_t count, struct arena *arena, struct aws_sts_answer *ret_answer,
                            struct err *err);
