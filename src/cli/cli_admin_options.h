// SPDX-License-Identifier: Apache-2.0
// Options of `milkrun admin`, and what they become in the body of a call.
#pragma once

#include "base/json_text.h"
#include "base/option.h"

struct admin_options {
    const char *url;
    const char *token;
    const char *ca_file;
    bool json;
    const char *name;
    const char *organization_id;
    const char *app_id;
    const char *user_id;
    const char *email;
    struct option_list permissions;
    const char *expires_at;
    const char *subscription_limit;
    const char *grace_seconds;
    const char *limit;
    const char *before;
    const char *kind;
    const char *endpoint;
    const char *region;
    const char *path_style;
    const char *store_ca_file;
    const char *access_key_id;
    const char *secret_access_key_file;
    const char *service_account_key_file;
};

#define ADMIN_COMMON_COUNT ((size_t)4) // options before those of single calls

extern const struct option admin_option_table[];
extern const size_t admin_option_count;

// NULL when it was not given.
const char *admin_text_of(const struct admin_options *options, const struct option *option);
bool admin_is_given(const struct admin_options *options, const struct option *option);

// The member that an option stands for. Texts are the server's to judge. INVALID for a word that is
// none of those the option has; the errors of a file that it names.
NODISCARD bool admin_write_member(struct json_text *json, const struct admin_options *options,
                                  const struct option *option, struct err *err);
