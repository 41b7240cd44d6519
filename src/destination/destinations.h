// SPDX-License-Identifier: Apache-2.0
// Where the files of subscriptions go besides the hosted bucket: buckets of customers, opened with
// the access that their destination names, and mail. Credentials are kept between calls and
// refreshed here. One thread per object. Errors that a customer can act on say so in words that
// hold no secret; DENIED, NOT_FOUND, INVALID and CONFLICT are final, UNAVAILABLE may pass.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "model/report.h"
#include "store/store.h"

struct destinations;
void destinations_close(struct destinations **destinations);

// --- Buckets

struct destination_request {
    struct catalog *catalog; // knows connections and the organization's external id
    const char *organization_id;
    const char *subscription_id; // names the session at the provider
    const struct report *report; // of destination REPORT_CLOUD
};

struct destination_bucket {
    struct store *store; // of the folder that the destination names; closed by
                         // destination_bucket_close, unless it is borrowed
    bool is_borrowed;
    // Of whoever opened it: called when it is closed. NULL: nothing.
    void (*release)(void *context);
    void *context;
};

// Opens nothing at the provider yet, except for credentials when there are none at hand. DENIED
// when the access that the destination names is not there (any more), or refuses us; IO when its
// secret cannot be read here.
NODISCARD bool destinations_open_bucket(struct destinations *destinations,
                                        const struct destination_request *request,
                                        struct arena *arena, struct destination_bucket *ret_bucket,
                                        struct err *err);
void destination_bucket_close(struct destination_bucket *bucket);

// --- Mail

struct destination_attachment {
    const char *name;
    int fd; // positioned reads
    uint64_t size_bytes;
};

struct destination_mail {
    const char *to;
    const char *message_name; // letters, digits, '-' and '.': the same name is the same message
    int64_t date_ms;
    const char *subject;
    const char *text;
    const char *html;                                // NULL: text alone
    const struct destination_attachment *attachment; // NULL: none
};

enum destination_mail_outcome {
    DESTINATION_MAIL_SENT,
    DESTINATION_MAIL_REFUSED, // for good, with a reason
    DESTINATION_MAIL_PUT_OFF, // or nobody knows: to be sent again under the same name
};

struct destination_mail_result {
    enum destination_mail_outcome outcome;
    char reason[256]; // "" when it was sent
};

// One message to one address. False: nothing can be sent just now (UNAVAILABLE), or never with the
// server as it is set up (DENIED, INVALID).
NODISCARD bool destinations_send_mail(struct destinations *destinations,
                                      const struct destination_mail *mail,
                                      struct destination_mail_result *ret_result, struct err *err);
// Largest file that is attached for those who ask for it.
uint64_t destinations_attachment_bytes(const struct destinations *destinations);

// The URL of a file of the hosted bucket in the name of a subscription, good for the seven days
// from now that URLs live.
const char *destinations_sign(const struct destinations *destinations, const char *subscription_id,
                              const char *key, int64_t now_ms, struct arena *arena);

// --- Test double

// Buckets are all the one store, which the caller keeps; mails are kept and answered by a script.
struct destinations_memory {
    struct store *store;
    enum err_kind bucket_failure;                  // of open_bucket; ERR_NONE: none
    enum err_kind mail_failure;                    // of send_mail
    const struct destination_mail_result *results; // of the next mails; SENT when they are used up
    size_t result_count;
    struct arena *arena; // mails are copied into it
    struct destination_mail mails[64];
    size_t mail_count;
};
// memory outlives the object.
struct destinations *destinations_memory_new(struct destinations_memory *memory);
