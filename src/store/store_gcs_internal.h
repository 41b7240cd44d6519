// SPDX-License-Identifier: Apache-2.0
// What the files of Google's store share: store_gcs.c is the store, store_gcs_put.c puts files,
// store_gcs_upload.c uploads, store_gcs_object.c looks at and removes single objects.
#pragma once

#include "base/hash.h"
#include "cloud/gcs_client.h"
#include "cloud/gcs_object.h"
#include "store/store_gcs.h"
#include "store/store_internal.h"

#define STORE_GCS_CREATE  "storage.objects.create"
#define STORE_GCS_GET     "storage.objects.get"
#define STORE_GCS_DELETE  "storage.objects.delete"
#define STORE_GCS_LIST    "storage.objects.list"
#define STORE_GCS_CREATOR "roles/storage.objectCreator"
#define STORE_GCS_VIEWER  "roles/storage.objectViewer"
#define STORE_GCS_USER    "roles/storage.objectUser"

struct store_gcs {
    struct store base;
    struct gcs_client *client;
    char *prefix;
    uint64_t piece_bytes;
};

// One call of the store.
struct store_gcs_work {
    struct store_gcs *gcs;
    const struct store_hooks *hooks;
    struct arena *arena;
    const char *key; // with the prefix
};

// What should be there.
struct store_gcs_expectation {
    uint64_t size_bytes;
    const char *sha256_hex;
    const char *md5_base64; // NULL: not known
};

// --- store_gcs_object.c

const char *store_gcs_key(const struct store_gcs *gcs, const char *key, struct arena *arena);
// A call with the hooks of the work.
struct gcs_call store_gcs_call(const struct store_gcs_work *work, const char *name,
                               const char *method, const char *path);

struct store_gcs_look {
    enum store_state state;
    bool is_ours;           // STORE_OTHER: it says that it was made of this file, so it is broken
    const char *generation; // of the object that is there
};
// Whether a resource is what is expected. False: only the bytes can tell.
bool store_gcs_compare(const struct gcs_object *object,
                       const struct store_gcs_expectation *expected,
                       struct store_gcs_look *ret_look);
NODISCARD bool store_gcs_look(const struct store_gcs_work *work,
                              const struct store_gcs_expectation *expected, bool is_single,
                              struct store_gcs_look *ret_look, struct err *err);
// By all bytes.
NODISCARD bool store_gcs_look_at_bytes(const struct store_gcs_work *work,
                                       const struct store_gcs_expectation *expected, bool is_single,
                                       enum store_state *ret_state, struct err *err);
// generation NULL: whichever is there. What is not there, or another one, is fine.
NODISCARD bool store_gcs_remove(const struct store_gcs_work *work, const char *key,
                                const char *generation, struct err *err);

// --- store_gcs_put.c

// One store_put_file.
struct store_gcs_put {
    struct store_gcs_work work;
    const struct store_file_spec *spec;
    struct store_gcs_expectation expected;
    enum store_put_outcome outcome;
    bool is_unclear;  // an attempt to write that failed may have had its effect
    bool replaces;    // what is there may not be read and is written once more: no condition
    bool is_in_doubt; // an answer to a write confirmed other bytes
};

enum store_gcs_course {
    STORE_GCS_DONE, // the object is there, and the outcome says how
    STORE_GCS_FAILED,
    STORE_GCS_AGAIN, // with another upload; *err is what is said if there is none
    STORE_GCS_GO_ON, // with this one
    STORE_GCS_ASK,   // Google how far it is; *err is what is said if that does not help
};

NODISCARD bool store_gcs_put_file(struct store *store, const struct store_file_spec *spec,
                                  const struct store_hooks *hooks,
                                  enum store_put_outcome *ret_outcome, struct err *err);

enum store_gcs_course store_gcs_is_there(struct store_gcs_put *put);
// Looks, and says what that means. may_be_hidden: what may not be looked at may as well not be
// there; else it is written once more without a condition, since its key is made for this file, and
// the answer to that confirms the bytes. *err is what is said when there is none, and no other try.
enum store_gcs_course store_gcs_settle(struct store_gcs_put *put, bool may_be_hidden,
                                       struct err *err);
// After a failure that may have left the object nevertheless, or that came because it is there:
// whoever may not delete is refused as one who would replace it, and then it counts as written.
enum store_gcs_course store_gcs_settle_after(struct store_gcs_put *put, struct err *err);

// --- store_gcs_upload.c

// One upload, of which nothing is left afterwards, if that can be helped. Never GO_ON or ASK.
enum store_gcs_course store_gcs_upload_once(struct store_gcs_put *put, struct err *err);
NODISCARD bool store_gcs_abort_upload(struct store *store, const char *key, const char *upload_id,
                                      struct err *err);
