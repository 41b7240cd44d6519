// SPDX-License-Identifier: Apache-2.0
// The hosted bucket, as S3 serves one: export files by signed URL; and lists and files for clients
// of S3 that have the keys of a token. Who asks comes first (api_bucket_auth.c), then what for.
//
// A file that was never read must be read for its hash before it is sent (api_bucket_object.c):
// api_bucket_serve leaves that to api_bucket_read_and_serve on a writer thread, which starts anew.
#include "api/api_bucket.h"

#include "api/api_budget.h"
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "base/check.h"

// What S3 has beside files and lists of them; a request for one of these must not be taken for one
// of those. Parameters that nobody knows are ignored.
static const char *const api_subresources[] = {
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
};

static bool api_check_subresources(struct api_call *call, struct err *err)
{
    for (size_t i = 0; i < ARRAY_COUNT(api_subresources); i++) {
        size_t count = 0;
        (void)http_query(call->request, api_subresources[i], &count);
        if (count > 0)
            return api_bucket_refuse(call, err, API_BUCKET_SUBRESOURCE);
    }
    return true;
}

static bool api_bucket_begin(struct api_call *call, struct err *err)
{
    return api_bucket_admit(call, err) && api_take_budget(call, err) &&
           api_check_subresources(call, err);
}

// A file with no name is the bucket.
static bool api_is_of_file(const struct api_call *call)
{
    return call->match.route->handler == NULL && !slice_is_empty(call->match.params[0]);
}

static void api_bucket_run(struct api_call *call)
{
    const struct api_route *route = call->match.route;
    struct err err;
    call->status = 200;
    call->content_type = "application/xml";
    if (route->handler == NULL ? !api_bucket_show(call, &err) : !route->handler(call, &err)) {
        api_bucket_send_failure(call, &err);
        return;
    }
    api_bucket_add_id(call);
    api_send(call);
}

// False: nothing was answered, since a file would have to be read.
static bool api_bucket_answer(struct api_call *call, bool may_read)
{
    struct err err;
    if (!api_bucket_begin(call, &err)) {
        api_bucket_send_failure(call, &err);
        return true;
    }
    if (api_is_of_file(call))
        return api_bucket_send_object(call, may_read);
    api_bucket_run(call);
    return true;
}

bool api_bucket_serve(struct api_call *call)
{
    return api_bucket_answer(call, false);
}

void api_bucket_read_and_serve(struct api_call *call)
{
    const bool is_answered = api_bucket_answer(call, true);
    ASSERT(is_answered);
}
