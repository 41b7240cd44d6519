// SPDX-License-Identifier: Apache-2.0
// What the files of Google's tokens share: gcp_token.c decides whom to ask and keeps what it gets,
// gcp_grant.c asks. Private to cloud/.
#pragma once

#include "cloud/gcp_key.h"
#include "cloud/gcp_token.h"
#include "cloud/ticket.h"

#define GCP_TOKEN_CHARS_MAX ((size_t)8192)

#define GCP_SCOPE_STORAGE "https://www.googleapis.com/auth/devstorage.read_write"
#define GCP_SCOPE_ALL     "https://www.googleapis.com/auth/cloud-platform"

struct gcp_tokens {
    const struct gcp_settings *settings;
    struct cloud_caller caller;
    struct cloud_caller near; // of the metadata service
    struct ticket_cache *tickets;
    int64_t skew_ms;         // Google's clock minus ours
    int64_t absent_until_ms; // no metadata service answered; by the boot clock
};

// Each sets texts[0], the token, and when it ends.
// Google does not take the key: kind_of_refusal.
NODISCARD bool gcp_grant_by_key(struct gcp_tokens *tokens, const struct gcp_key *key,
                                const char *scope, enum err_kind kind_of_refusal,
                                struct arena *arena, struct ticket *ret_ticket, struct err *err);
NODISCARD bool gcp_grant_by_machine(struct gcp_tokens *tokens, struct arena *arena,
                                    struct ticket *ret_ticket, struct err *err);

// Who asks: a key, or the machine.
struct gcp_asker {
    struct gcp_tokens *tokens;
    struct slice json; // empty: the machine
    bool is_own;       // the operator's
    const char *scope;
};
// gcp_token.c. For texts: asks the machine, if need be.
const char *gcp_asker_email(const struct gcp_asker *asker, struct arena *arena);

// A token for the account of that email, with the token of the one that asks.
// *ret_is_unauthorized (also on failure): Google does not take the token.
NODISCARD bool gcp_grant_as(const struct gcp_asker *asker, const struct secret *token,
                            const char *email, struct arena *arena, struct ticket *ret_ticket,
                            bool *ret_is_unauthorized, struct err *err);

// The machine's own account, NULL: it does not say.
const char *gcp_machine_email(struct gcp_tokens *tokens, struct arena *arena);
