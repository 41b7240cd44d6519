// SPDX-License-Identifier: Apache-2.0
// The keys by which clients of S3 reach the hosted bucket. The secret is derived from the token
// that is presented, and not from the latest one: who has a token that was rotated must not learn
// what outlives it.
#include "api/api_auth.h"
#include "api/api_bucket.h"
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "catalog/tenant_signers.h"

bool api_s3_credentials(struct api_call *call, struct err *err)
{
    struct slice token;
    if (hosted_is_elsewhere(call->api->config.hosted))
        return api_refuse(call, err, 404, "The files of this server are in a bucket elsewhere");
    TRY(api_call_token(call, &token, err));
    char hash[TENANT_HASH_CHARS + 1];
    char secret[API_S3_SECRET_CHARS + 1];
    tenant_token_hash(token, hash);
    api_s3_secret(call->api, slice_text(call->identity.key_id), slice_text(hash), secret);
    struct json_text *json = &call->json;
    json_text_open(json, '{');
    json_text_member_text(json, "endpoint", api_base_url(call));
    json_text_member_text(json, "bucket", API_BUCKET_NAME);
    json_text_member_text(json, "region", API_URL_REGION);
    json_text_member_text(json, "access_key_id", call->identity.key_id);
    json_text_member_text(json, "secret_access_key", secret);
    json_text_close(json, '}');
    explicit_bzero(secret, sizeof secret);
    return true;
}
