// SPDX-License-Identifier: Apache-2.0
// Access tokens for Google's storage: by a service account's key, which signs a request for one, by
// the metadata service of the machine, and for another service account by impersonation. Tokens are
// kept until five minutes before their end; the operator's key file is read each time, so it may be
// changed without a restart. One thread per object.
#pragma once

#include "base/option.h"
#include "base/secret.h"
#include "cloud/cloud_caller.h"

struct gcp_settings {
    const char *key_file;
    const char *storage_endpoint;
    const char *token_endpoint;
    const char *iam_endpoint;
    const char *metadata_endpoint;
    bool uses_metadata; // without a key file, customers' service accounts are for the machine's own
};

extern const struct option gcp_option_table[];
extern const size_t gcp_option_count;

struct gcp_tokens;

// Settings are borrowed. INVALID: they cannot be right, or the key file that is there can be read
// by others or is none.
NODISCARD bool gcp_tokens_open(const struct gcp_settings *settings,
                               const struct cloud_config *config, struct gcp_tokens **ret_tokens,
                               struct err *err);
void gcp_tokens_close(struct gcp_tokens **tokens);

// As whom.
struct gcp_access {
    // JSON of a key that the operator registered; empty: the operator's own, which is the one of
    // gcp.key_file, or else that of the machine.
    struct slice key_json;
    // The service account to be, which must have let the one above; NULL: that one itself.
    const char *impersonate;
};

// The token, for an Authorization header, in the arena. is_refresh: the one that was given before
// was refused. DENIED: Google does not allow it, and the text says which role must be granted to
// whom; INVALID: the key is none; UNAVAILABLE: the operator's own credentials do not work, or a
// service does not answer. No text holds a secret.
NODISCARD bool gcp_token_get(struct gcp_tokens *tokens, const struct gcp_access *access,
                             bool is_refresh, struct arena *arena, struct secret *ret_token,
                             struct err *err);

// Who that is, for texts: the impersonated account, or the key's; "the service account of this
// server" when the machine does not say.
const char *gcp_token_email(struct gcp_tokens *tokens, const struct gcp_access *access,
                            struct arena *arena);
