// SPDX-License-Identifier: Apache-2.0
// The hosted bucket as S3 shows one, read-only: what its files share. Who asks is in
// call->identity, which stays empty for whoever holds a signed URL of ours. Replies are XML, but
// what HTTP itself refuses is the server's JSON.
#pragma once

#include "api/api_internal.h"

#define API_BUCKET_NAME "exports"

// --- Errors (api_bucket_error.c)

enum api_bucket_error {
    API_BUCKET_SIGNATURE,
    API_BUCKET_TWO_MECHANISMS,
    API_BUCKET_OTHER_MECHANISM,
    API_BUCKET_MALFORMED,
    API_BUCKET_NO_DATE,
    API_BUCKET_OTHER_DATE,
    API_BUCKET_UNSIGNED,
    API_BUCKET_NO_PAYLOAD,
    API_BUCKET_OTHER_PAYLOAD,
    API_BUCKET_SKEWED,
    API_BUCKET_NO_KEY,
    API_BUCKET_DENIED,
    API_BUCKET_EXPIRED,
    API_BUCKET_REVOKED,
    API_BUCKET_NO_FILE,
    API_BUCKET_NO_BUCKET,
    API_BUCKET_RANGE,
    API_BUCKET_CONDITION,
    API_BUCKET_METHOD,
    API_BUCKET_SUBRESOURCE,
    API_BUCKET_ERROR_COUNT,
};

// Sets *err and the status; returns false.
bool api_bucket_refuse(struct api_call *call, struct err *err, enum api_bucket_error error);
// Sends one.
void api_bucket_send_error(struct api_call *call, enum api_bucket_error error);
// Sends what a step failed with; what the machine said of a 5xx goes to the log.
void api_bucket_send_failure(struct api_call *call, const struct err *err);
// x-amz-request-id: in each reply of the bucket to a client of S3, once.
void api_bucket_add_id(struct api_call *call);
// Whether the request is signed as clients of S3 do it; and the reply when no row takes it.
bool api_bucket_is_client(const struct api_call *call);
void api_bucket_send_unmatched(struct api_call *call);

// --- Who asks (api_bucket_auth.c)

// By the Authorization field, or by the query of a signed URL where one file is asked for.
NODISCARD bool api_bucket_admit(struct api_call *call, struct err *err);

// The secret access key of a token, as text; the token's key id is the access key id. It is derived
// from what the catalog keeps of the token, so rotation changes it.
#define API_S3_SECRET_CHARS ((size_t)40)
void api_s3_secret(const struct api *api, struct slice key_id, struct slice token_hash,
                   char ret_secret[API_S3_SECRET_CHARS + 1]);

// --- Files (api_bucket_object.c)

// False: nothing was answered, since the file would have to be read, and may_read is false.
bool api_bucket_send_object(struct api_call *call, bool may_read);
