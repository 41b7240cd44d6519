// SPDX-License-Identifier: Apache-2.0
// The places where AWS credentials are looked for. Private to cloud/.
#pragma once

#include "cloud/aws_credentials.h"
#include "cloud/ticket.h"

#define AWS_KEY_ID_CHARS_MAX ((size_t)256)
#define AWS_SECRET_CHARS_MAX ((size_t)1024)
#define AWS_TOKEN_CHARS_MAX  ((size_t)12 * 1024)

// What a place says. When it has no credentials, `absence` is why.
struct aws_answer {
    const char *absence; // NULL: credentials are there
    struct aws_credentials credentials;
};

bool aws_is_absent(struct aws_answer *ret_answer, const char *absence);

// Value of a variable, NULL: not set or empty.
const char *aws_variable(const char *const *environment, const char *name);

// Takes the three texts if they can be credentials; INVALID. token may be empty.
NODISCARD bool aws_take(struct slice key_id, struct slice secret, struct slice token,
                        struct arena *arena, struct aws_credentials *ret_credentials,
                        struct err *err);

// Credentials as what a cache keeps (cloud/ticket.h), and back. Texts live in the arena, or where
// the ticket's do.
struct ticket aws_ticket_of(const struct aws_credentials *credentials, struct arena *arena);
struct aws_credentials aws_credentials_of(const struct ticket *ticket);

// --- aws_profile.c

struct aws_profile;

// path and profile NULL: as the environment says. INVALID: others can read the file.
NODISCARD bool aws_profile_open(const char *path, const char *profile,
                                const char *const *environment, struct aws_profile **ret_profile,
                                struct err *err);
void aws_profile_close(struct aws_profile **profile);
// Whether somebody names a file, or there is the usual one.
bool aws_profile_is_given(const char *path, const char *const *environment);
NODISCARD bool aws_profile_get(struct aws_profile *profile, bool is_refresh, struct arena *arena,
                               struct aws_answer *ret_answer, struct err *err);

// --- aws_metadata.c

struct aws_metadata;

// endpoint is of the instance's service.
void aws_metadata_open(const char *endpoint, const char *const *environment,
                       const struct cloud_config *config, struct aws_metadata **ret_metadata);
void aws_metadata_close(struct aws_metadata **metadata);
NODISCARD bool aws_metadata_get_container(struct aws_metadata *metadata, bool is_refresh,
                                          struct arena *arena, struct aws_answer *ret_answer,
                                          struct err *err);
NODISCARD bool aws_metadata_get_instance(struct aws_metadata *metadata, bool is_refresh,
                                         struct arena *arena, struct aws_answer *ret_answer,
                                         struct err *err);

// The URL that the container's variables name, NULL: none. INVALID: one that credentials must not
// be asked from.
NODISCARD bool aws_container_url(const char *const *environment, struct arena *arena,
                                 const char **ret_url, struct err *err);
