// SPDX-License-Identifier: Apache-2.0
// The operator's own AWS credentials, from the first place in the list `aws.credentials` that has
// some:
//
//     static       aws.access_key_id, aws.secret_access_key, aws.session_token
//     environment  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//     file         a profile of the file that AWS's tools share; read again when it has changed
//     container    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or ..._FULL_URI
//     instance     the metadata service of the machine (IMDSv2 only)
//
// A place that has none is passed over; one that has bad ones, or does not answer, is an error:
// nobody is silently somebody else. Keys may so be changed without a restart. One thread per chain.
#pragma once

#include "base/option.h"
#include "base/secret.h"
#include "cloud/cloud_caller.h"

struct aws_settings {
    struct option_list credentials;
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
    const char *credentials_file;
    const char *profile;
    const char *region;
    const char *account_id;
    const char *sts_endpoint;
    const char *s3_endpoint;
    const char *metadata_endpoint;
};

extern const struct option aws_option_table[];
extern const size_t aws_option_count;

// Whether one of the places has some, as far as that can be seen from here. Instances, which nobody
// can know of without asking, count when they alone are listed.
bool aws_credentials_are_given(const struct aws_settings *settings, const char *const *environment);

struct aws_credentials {
    const char *access_key_id;
    struct secret secret_access_key;
    struct secret session_token; // empty: none
    int64_t expires_at_ms;       // 0: not known
};

struct aws_chain;

// Settings and environment ("NAME=value", NULL at the end) are borrowed. INVALID: the settings
// cannot be right, or a credentials file that is there can be read by others.
NODISCARD bool aws_credentials_open(const struct aws_settings *settings,
                                    const char *const *environment,
                                    const struct cloud_config *config, struct aws_chain **ret_chain,
                                    struct err *err);
void aws_credentials_close(struct aws_chain **chain);

// Texts live in the arena. is_refresh: those that were given before were refused as expired.
// UNAVAILABLE: there are none anywhere (the text says what was looked at), or a service does not
// answer; INVALID: what is there cannot be used. No text holds a secret.
NODISCARD bool aws_credentials_get(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                                   struct aws_credentials *ret_credentials, struct err *err);
