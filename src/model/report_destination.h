// SPDX-License-Identifier: Apache-2.0
// Where the files of a report go, read back from its destination object, and the names that stand
// in one. Names are of the documented form; whether there is such a bucket, role or account is for
// others to find out.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct report;

enum report_access {
    REPORT_ROLE,       // resource_access_id is the ARN of a role (s3)
    REPORT_ACCOUNT,    // a service account (gcs)
    REPORT_CONNECTION, // the name of a connection
};

struct report_cloud {
    bool is_gcs; // else s3
    enum report_access access;
    const char *resource_access_id;
    const char *bucket;
    const char *prefix;   // without a slash at its ends
    const char *endpoint; // a text: what may be connected to is for others to say
    const char *kms_key_arn;
};

struct report_email {
    const char *const *addresses;
    size_t count;
    bool wants_attachment;
};

// Of a report with that destination. What is not given is NULL; texts live in arena. CORRUPT.
NODISCARD bool report_read_cloud(const struct report *report, struct arena *arena,
                                 struct report_cloud *ret_cloud, struct err *err);
NODISCARD bool report_read_email(const struct report *report, struct arena *arena,
                                 struct report_email *ret_email, struct err *err);

// INVALID "Invalid service account" or "Invalid role ARN": the text for a resource_access_id that
// is none, or of nothing that there is.
bool report_set_no_access(struct err *err, bool is_gcs);
// 12 digits; empty when it is no ARN of a role.
struct slice report_role_account(struct slice role);
// [a-z0-9][a-z0-9-]{0,62}: neither an ARN nor an account.
bool report_connection_name_is_valid(struct slice name);
// One address in the unquoted form of RFC 5321, ASCII, with a domain of at least two labels.
bool report_mail_is_valid(struct slice address);
bool report_mail_domain_is_valid(struct slice domain);
