// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this folder alone: the server's state and the state of one call.
#pragma once

#include <stdatomic.h>

#include "api/api.h"
#include "api/api_handles.h"
#include "api/api_route.h"
#include "api/api_suspension.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "catalog/audit.h"
#include "catalog/jobs.h"
#include "catalog/subscriptions.h"
#include "catalog/tenant_tokens.h"
#include "catalog/tenants.h"
#include "catalog/topics.h"

struct address_guard;
struct api_digests;
struct api_executor;
struct api_ingest;
struct api_rate;
struct api_wait;

#define API_STATUS_CLASSES ((size_t)6) // index: status / 100

// What /readyz saw last: the log counts its failures and its batches, but does not say which came
// last. Two pages at a time may mix what they saw, which the next one puts right.
struct api_log_seen {
    atomic_int_fast64_t failure_count;
    atomic_int_fast64_t batch_count; // when failure_count was new
    atomic_int_fast64_t at_boot_ms;  // same
};

struct api {
    struct api_config config;
    // Without a slash at the end. The first one mints; with none given, what the client called
    // mints.
    struct option_list base_urls;
    bool has_base_url;
    struct arena arena; // texts of base_urls
    struct api_handles *handles;
    struct api_executor *executor;
    struct api_wait *wait;
    struct api_digests *digests;         // of the bucket's files
    struct api_rate *rate;               // NULL: nothing is limited
    struct address_guard *guard;         // of where customers want us to connect to
    struct address_guard *public_guard;  // the same without the networks that the operator allows
    atomic_int_fast64_t resolving_count; // names of endpoints that are looked up
    struct http_server *server;
    struct api_log_seen log_seen;
    atomic_int_fast64_t gzip_count;       // gzip bodies in progress
    atomic_uint_fast64_t *request_counts; // [route, one more for "no route"][status class]
    int64_t started_at_ms;
};

// All that is wrong with a body, in the order in which it was found.
struct api_faults {
    const char *const *messages;
    size_t count;
};

// One request from head to ended. Lives in the request's arena.
struct api_call {
    struct api *api;
    struct http_request *request;
    struct arena *arena; // of the request
    struct api_match match;
    int64_t now_ms; // the one time that the call goes by
    int64_t started_boot_ms;
    struct catalog *catalog;  // NULL until api_call_catalog; of the running thread
    struct api_handle handle; // where catalog is from; goes back to the pool
    struct tenant_identity identity;
    const char *app_id;         // what the call may see; NULL: all apps of the organization
    bool is_scoped;             // the query says what it is about; only subscribe may leave it out
    struct catalog_actor actor; // whom its changes are written down for; set by authentication
    struct buf body;
    struct json_tree *tree; // of the body
    struct api_ingest *ingest;
    uint8_t url_secret[32]; // of the calling token's signed URLs
    bool has_url_secret;
    struct api_suspension suspension;
    bool is_there; // what the call waited for, when resume is called
    void *waiting; // the handler's own, kept from one step to the next
    // The reply under construction.
    int status;
    struct buf reply;
    struct json_text json; // writes into reply
    const char *content_type;
    const char *link;                // to the next page, for the Link header; or NULL
    const char *etag;                // of the thing that the reply shows, or NULL
    int64_t retry_after_s;           // for the Retry-After header; 0: what the status has
    bool has_budget;                 // its share of the rate limits was taken
    bool is_cross_origin;            // from an origin that is allowed
    int refusal_status;              // what a failure is answered with; 0: by its kind
    const struct api_faults *faults; // of a 400, or NULL
    const char *failure;             // of a 5xx, for the log; NULL: none
    bool is_alarm;                   // somebody must act: stored bytes are damaged
};

// A catalog handle for the thread that runs the call, taken from the pool at first need.
NODISCARD bool api_call_catalog(struct api_call *call, struct err *err);

// Path parameter, as text.
const char *api_call_param(const struct api_call *call, size_t index);

// The body as a JSON object; refused otherwise.
NODISCARD bool api_call_object(struct api_call *call, const struct json_node **ret_object,
                               struct err *err);
// Member of an object that must be a text that is not empty. "Missing required field: NAME",
// "Invalid type: string expected".
NODISCARD bool api_call_text_member(struct api_call *call, const struct json_node *object,
                                    const char *name, struct slice *ret_text, struct err *err);
// An id of an object, which clients send as a text or as an integer. Empty when absent, null or an
// empty text. "Invalid type: string expected".
NODISCARD bool api_call_id_member(struct api_call *call, const struct json_node *object,
                                  const char *name, struct slice *ret_id, struct err *err);
// http(s)://HOST[:PORT] for URLs in replies: the first configured one, else as the client called
// us.
const char *api_base_url(const struct api_call *call);

// A query parameter that may come once at most: "Duplicate parameter: NAME", "Invalid parameter:
// NAME" (control characters). Empty when absent.
NODISCARD bool api_call_query(struct api_call *call, const char *name, struct slice *ret_value,
                              struct err *err);

// What the call may see of subscriptions and their jobs. A token that is bound to an app sees
// nothing of what is of the whole organization.
struct subscription_scope api_call_scope(const struct api_call *call);

// Tells the other processes that the catalog has work for them.
void api_call_changed(const struct api_call *call);

// --- Ingest streams its body, so it has a part in each step (api_ingest.c).

bool api_ingest_head(struct api_call *call, struct err *err);
// Takes as much of the piece as may be decoded in one go; called again with the rest.
bool api_ingest_body(struct api_call *call, struct slice bytes, size_t *ret_taken_bytes,
                     struct err *err);
// Suspends the connection when it returns true; the reply follows from the committer.
bool api_ingest_complete(struct api_call *call, struct err *err);
// Whether completing would keep its thread waiting for the disk.
bool api_ingest_is_large(const struct api_call *call);
// As api_ingest_complete, on a writer thread, when the connection is suspended already.
void api_ingest_finish(struct api_call *call);
void api_ingest_ended(struct api_call *call);

// --- The hosted bucket replies by itself (api_bucket.c).

// False: the file must be read before it is served, and nothing was answered.
NODISCARD bool api_bucket_serve(struct api_call *call);
// The whole way again, on a writer thread.
void api_bucket_read_and_serve(struct api_call *call);
void api_bucket_overloaded(struct api_call *call);
