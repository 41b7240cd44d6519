// SPDX-License-Identifier: Apache-2.0
// The hosted bucket, by the options hosted.*: a directory of this machine, which milkrun serves, or
// a bucket of an S3-compatible store, to which URLs lead straight. In both cases URLs are
// pre-signed here and good for seven days: elsewhere with the operator's long-lived key, since a
// URL that was signed with credentials of a session ends with the session.
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/option.h"
#include "store/store.h"

struct hosted_settings {
    const char *type; // "file" or "s3"
    const char *endpoint;
    const char *public_endpoint;
    const char *bucket;
    const char *prefix;
    const char *region;
    const char *access_key_id;
    const char *secret_access_key;
    bool is_path_style;
    const char *ca_file;
};

extern const struct option hosted_option_table[];
extern const size_t hosted_option_count;

bool hosted_is_elsewhere(const struct hosted_settings *settings);
// INVALID: they cannot be right; for the start.
NODISCARD bool hosted_check(const struct hosted_settings *settings, struct err *err);

// The bucket elsewhere. Settings and clock are borrowed.
NODISCARD bool hosted_open_store(const struct hosted_settings *settings, const struct clock *clock,
                                 struct store **ret_store, struct err *err);

// --- URLs

#define HOSTED_REGION       "us-east-1" // of the bucket of this machine
#define HOSTED_SECRET_BYTES ((size_t)32)

// What the URLs of a key id are signed with, for the bucket of this machine.
void hosted_url_secret(struct slice url_key, const char *key_id,
                       uint8_t ret_secret[HOSTED_SECRET_BYTES]);

struct hosted_signer {
    const struct hosted_settings *settings;
    const char *base_url; // of this server; no slash at its end
    const char *key_id;
    struct slice secret;
};
// The URL of a file from now on.
const char *hosted_sign(const struct hosted_signer *signer, const char *key, int64_t now_ms,
                        struct arena *arena);
