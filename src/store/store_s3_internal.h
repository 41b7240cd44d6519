// SPDX-License-Identifier: Apache-2.0
// What the files of the S3 store share: store_s3.c is the store, store_s3_object.c puts and looks
// at single objects, store_s3_parts.c uploads in parts, store_s3_sweep.c lists and tidies.
#pragma once

#include "base/hash.h"
#include "cloud/s3_client.h"
#include "store/store_internal.h"
#include "store/store_s3.h"

#define STORE_S3_TRIES_MAX 3 // of what was answered wrongly

struct store_s3 {
    struct store base;
    struct s3_client *client;
    enum s3_provider provider;
    char *bucket;
    char *prefix;
    char *kms_key_arn; // NULL: none
    uint64_t single_put_bytes_max;
    uint64_t part_bytes_min;
    bool looks_first;      // nobody knows whether the store heeds If-None-Match: some ignore it
    bool has_no_condition; // learned: the store refuses it
};

// One store_put_file.
struct store_s3_put {
    struct store_s3 *s3;
    const struct store_file_spec *spec;
    const struct store_hooks *hooks;
    const char *key; // with the prefix
    char sha256_hex[SHA256_HEX_CHARS + 1];
    bool is_unclear;  // an attempt to write that failed may have had its effect
    bool has_strays;  // uploads may have been begun whose names are not known
    bool replaces;    // what is there may not be read and is written once more: no condition
    bool is_in_doubt; // an answer to a write confirmed other bytes
};

enum store_s3_course {
    STORE_S3_DONE, // the object is there, and the outcome says how
    STORE_S3_FAILED,
    STORE_S3_AGAIN,  // there is none: write it (again); *err may be set for the last try
    STORE_S3_HIDDEN, // there is one that may not be read: see store_s3_replace
};

// --- store_s3_object.c

const char *store_s3_key(const struct store_s3 *s3, const char *key, struct arena *arena);
struct sigv4_pair store_s3_pair(const char *name, const char *value);
// A call on the put's key, with its hooks.
struct s3_call store_s3_call(const struct store_s3_put *put, const char *name, const char *method);
// The header that an object's SHA-256 is kept in.
const char *store_s3_sha256_header(const struct store_s3 *s3);
// Appends what keeps a write from replacing anything, if there is such a thing.
void store_s3_add_condition(const struct store_s3_put *put, struct http_client_header *headers,
                            size_t *count);
// Appends by which key the object is to be encrypted, if there is one: STORE_S3_ENCRYPTION_HEADERS
// at most.
#define STORE_S3_ENCRYPTION_HEADERS 2
void store_s3_add_encryption(const struct store_s3 *s3, struct http_client_header *headers,
                             size_t *count);
// For an answer that the call cannot have: NOT_FOUND, INVALID or UNAVAILABLE.
bool store_s3_refuse(const char *name, enum s3_answer answer, struct err *err);

// Reads and hashes a part of the file for sending; whole (may be NULL) takes its bytes, too.
NODISCARD bool store_s3_read_body(const struct store_s3_put *put, uint64_t offset_bytes,
                                  uint64_t size_bytes, struct sha256 *whole,
                                  struct s3_body *ret_body, struct err *err);
// CORRUPT unless it is that of the spec.
NODISCARD bool store_s3_check_whole(const struct store_s3_put *put, const uint8_t sha256[32],
                                    struct err *err);
// Whether an answer to a write confirms the bytes. etag: what it should say, without quotes.
bool store_s3_confirms(const struct s3_reply *reply, const char *etag);

// What should be there.
struct store_s3_expectation {
    uint64_t size_bytes;
    const char *sha256_hex;
    const char *etag; // without quotes; NULL: not known
};
// What is there.
struct store_s3_look {
    enum store_state state;
    bool is_ours; // STORE_OTHER: it says that it was made of this file, so it is broken
};
NODISCARD bool store_s3_look(const struct store_s3_put *put,
                             const struct store_s3_expectation *expected, bool is_single,
                             struct store_s3_look *ret_look, struct err *err);
// By all bytes, for an object whose headers do not say enough.
NODISCARD bool store_s3_look_at_bytes(const struct store_s3_put *put,
                                      const struct store_s3_expectation *expected, bool is_single,
                                      enum store_state *ret_state, struct err *err);
// Looks, and says what that means for the put. may_be_hidden: what cannot be read may as well not
// be there, else it is STORE_S3_HIDDEN. An object that is ours and broken is removed.
enum store_s3_course store_s3_settle(const struct store_s3_put *put,
                                     const struct store_s3_expectation *expected,
                                     bool may_be_hidden, enum store_put_outcome *ret_outcome,
                                     struct err *err);
// What is there may not be read, but its key is made for this file: an earlier attempt, of this put
// or of one that was killed, has written it. It is written once more without a condition, and the
// answer to that confirms the bytes; a store that is written once refuses, and keeps what it has
// (store_s3_is_settled_after). *err is what there is to say if nothing comes of it.
enum store_s3_course store_s3_replace(struct store_s3_put *put, struct err *err);
// After a failure that may have left the object nevertheless, or that came because it is there: a
// store that is written once may say 403 to a second write.
// False: *err is the failure, or CONFLICT.
NODISCARD bool store_s3_is_settled_after(const struct store_s3_put *put,
                                         const struct store_s3_expectation *expected,
                                         const struct err *failure,
                                         enum store_put_outcome *ret_outcome, struct err *err);
NODISCARD bool store_s3_delete_key(const struct store_s3_put *put, struct err *err);
// Removes an object that is ours and broken, if it may.
void store_s3_remove_broken(const struct store_s3_put *put);

NODISCARD bool store_s3_put_single(struct store_s3_put *put, enum store_put_outcome *ret_outcome,
                                   struct err *err);

// --- store_s3_parts.c

NODISCARD bool store_s3_put_parts(struct store_s3_put *put, enum store_put_outcome *ret_outcome,
                                  struct err *err);
NODISCARD bool store_s3_abort_upload(struct store *store, const char *key, const char *upload_id,
                                     struct err *err);

// --- store_s3_sweep.c

NODISCARD bool store_s3_sweep(struct store *store, const struct store_sweep *sweep,
                              struct err *err);
// Calls visit for each open upload whose key (with the store's prefix) begins with prefix.
// is_single: without repetitions.
struct store_s3_upload {
    const char *key;
    const char *upload_id;
    int64_t begun_at_ms; // 0: not said
};
NODISCARD bool store_s3_each_upload(struct store_s3 *s3, const char *prefix, bool is_single,
                                    bool (*visit)(void *context,
                                                  const struct store_s3_upload *upload,
                                                  struct err *err),
                                    void *context, struct err *err);
