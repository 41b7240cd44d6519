// SPDX-License-Identifier: Apache-2.0
// Between the readers of a report: small checks of JSON members with texts for the client.
#pragma once

#include "model/report.h"
#include "model/report_destination.h"

enum report_limits {
    REPORT_KEYS_MAX = 1000,   // of one object: more is nobody's request
    REPORT_FIELDS_MAX = 2003, // all of a full topic and the system columns
    // With the longest key of an export file (a topic's name has 128 bytes at most) it stays below
    // the 1,024 bytes of an object's key.
    REPORT_PREFIX_BYTES_MAX = 512,
    REPORT_RECIPIENTS_MAX = 10,
};

// The member, or NULL when it is absent or null: the two are the same everywhere.
const struct json_node *report_member(const struct json_node *object, const char *key);

// INVALID "Missing required field: PATH".
bool report_set_missing(struct err *err, const char *path);

// INVALID "Invalid type: string expected" for anything but a text that is not empty.
NODISCARD bool report_take_text(const struct json_node *node, struct slice *ret_text,
                                struct err *err);

// --- Names in destinations (report_names.c).

bool report_bucket_is_valid(struct slice bucket, bool is_gcs);
// INVALID "Prefix too long", "Unknown placeholder in prefix", "Invalid prefix".
NODISCARD bool report_check_prefix(struct slice prefix, struct err *err);
bool report_role_is_valid(struct slice role);
// In the partition of the role; without a role (empty), in any.
bool report_kms_key_is_valid(struct slice key, struct slice role);
bool report_service_account_is_valid(struct slice account);

// The destination object: checked, and printed with the keys that apply to its type, in documented
// order.
NODISCARD bool report_parse_destination(const struct json_node *destination, struct arena *arena,
                                        struct report *ret_report, struct err *err);
