// SPDX-License-Identifier: Apache-2.0
// Two ways to ask for something of the bucket, and what each failure of them is called:
//
//   the URL is signed (one file):
//     form of the query, signature for the received Host or one of our base URLs
//                                                        SignatureDoesNotMatch
//     expiry, then the token that made the URL           AccessDenied
//   the Authorization field is signed with the keys of a token:
//     form of the field, fields that it must cover       AuthorizationHeaderMalformed, ...
//     x-amz-date within 15 minutes                       RequestTimeTooSkewed
//     the token                                          InvalidAccessKeyId
//     signature, for the same hosts                      SignatureDoesNotMatch
//     what the token may                                 AccessDenied
//
// A URL of ours is signed for the one file with the server's secret for the token, and good for
// whoever has it. One that a client made of the keys of a token opens what the token sees.
#include "api/api_auth.h"
#include "api/api_bucket.h"
#include "api/api_write.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/mem.h"
#include "catalog/tenant_signers.h"
#include "net/sigv4.h"
#include "net/sigv4_verify.h"

#define API_CLOCK_SKEW_MS (15 * CIVIL_MINUTE_MS)
#define API_S3_SERVICE    "s3"

// One of both is there.
struct api_signature {
    const struct api_call *call;
    const struct sigv4_claim *of_url;
    const struct sigv4_signed_claim *of_fields;
    struct slice key_id;
};

static bool api_is_signed_for(const struct api_signature *signature, const char *host,
                              struct slice secret)
{
    const struct api_call *call = signature->call;
    if (signature->of_url == NULL)
        return sigv4_claim_matches(signature->of_fields, host, secret, call->arena);
    return sigv4_matches(signature->of_url, host, http_raw_path(call->request), secret,
                         call->arena);
}

// Behind a proxy the Host that arrives may not be the one that was signed.
static bool api_signature_is_right(const struct api_signature *signature, struct slice secret)
{
    const struct api_call *call = signature->call;
    const struct slice received = http_header(call->request, "Host", NULL);
    if (api_is_signed_for(signature, arena_copy_slice(call->arena, received), secret))
        return true;
    const struct option_list *base_urls = &call->api->base_urls;
    for (size_t i = 0; i < base_urls->count; i++) {
        const char *host = strstr(base_urls->items[i], "://") + 3;
        if (!slice_equal_text(received, host) && api_is_signed_for(signature, host, secret))
            return true;
    }
    return false;
}

// --- Keys of tokens

void api_s3_secret(const struct api *api, struct slice key_id, struct slice token_hash,
                   char ret_secret[API_S3_SECRET_CHARS + 1])
{
    struct buf name CLEANUP(buf_clear);
    buf_init(&name, (size_t)64 * 1024);
    buf_append_text(&name, "s3 secret\n");
    buf_append(&name, token_hash);
    buf_append_char(&name, '\n');
    buf_append(&name, key_id);
    ASSERT(!name.overflowed);
    uint8_t digest[SHA256_BYTES];
    hmac_sha256(slice_of(api->config.url_key, sizeof api->config.url_key), buf_slice(&name),
                digest);
    hex_encode(slice_of(digest, API_S3_SECRET_CHARS / 2), ret_secret);
    explicit_bzero(digest, sizeof digest);
}

static bool api_is_signed_by(void *context, struct slice kept_hash)
{
    const struct api_signature *signature = context;
    char secret[API_S3_SECRET_CHARS + 1];
    api_s3_secret(signature->call->api, signature->key_id, kept_hash, secret);
    const bool is_right = api_signature_is_right(signature, slice_text(secret));
    explicit_bzero(secret, sizeof secret);
    return is_right;
}

// NOT_FOUND, DENIED: as tenant_verify_signer has it.
static bool api_identify_signer(struct api_call *call, struct api_signature *signature,
                                struct err *err)
{
    const struct tenant_signer signer = {.key_id = signature->key_id,
                                         .now_ms = call->now_ms,
                                         .matches = api_is_signed_by,
                                         .context = signature};
    TRY(api_call_catalog(call, err));
    TRY(tenant_verify_signer(call->catalog, &signer, call->arena, &call->identity, err));
    call->app_id = call->identity.app_id;
    return true;
}

static bool api_check_signer(struct api_call *call, struct err *err)
{
    if (call->identity.organization_id != NULL && api_may(call, TENANT_EXPORT))
        return true;
    return api_bucket_refuse(call, err, API_BUCKET_DENIED);
}

// --- Signed fields

struct api_fields {
    struct sigv4_pair *pairs;
    size_t count;
};

static void api_count_pair(struct slice name, struct slice value, void *context)
{
    (void)name;
    (void)value;
    (*(size_t *)context)++;
}

static void api_keep_pair(struct slice name, struct slice value, void *context)
{
    struct api_fields *fields = context;
    fields->pairs[fields->count++] = (struct sigv4_pair){name, value};
}

static void api_collect(struct api_call *call, struct api_fields *ret_query,
                        struct api_fields *ret_headers)
{
    size_t count = 0;
    http_each_query(call->request, api_count_pair, &count);
    ret_query->pairs = arena_alloc_array(call->arena, count, sizeof(struct sigv4_pair));
    http_each_query(call->request, api_keep_pair, ret_query);
    count = 0;
    http_each_header(call->request, api_count_pair, &count);
    ret_headers->pairs = arena_alloc_array(call->arena, count, sizeof(struct sigv4_pair));
    http_each_header(call->request, api_keep_pair, ret_headers);
}

static bool api_check_fault(struct api_call *call, enum sigv4_fault fault, struct err *err)
{
    switch (fault) {
    case SIGV4_SOUND:
        return true;
    case SIGV4_MALFORMED:
        return api_bucket_refuse(call, err, API_BUCKET_MALFORMED);
    case SIGV4_NO_DATE:
        return api_bucket_refuse(call, err, API_BUCKET_NO_DATE);
    case SIGV4_OTHER_DATE:
        return api_bucket_refuse(call, err, API_BUCKET_OTHER_DATE);
    case SIGV4_HOST_UNSIGNED:
    case SIGV4_HEADER_UNSIGNED:
        break;
    }
    return api_bucket_refuse(call, err, API_BUCKET_UNSIGNED);
}

// Nothing that the bucket does takes a body.
static bool api_check_fields(struct api_call *call, const struct sigv4_signed_claim *claim,
                             struct err *err)
{
    if (strcmp(claim->service, API_S3_SERVICE) != 0)
        return api_bucket_refuse(call, err, API_BUCKET_MALFORMED);
    if (!claim->has_payload)
        return api_bucket_refuse(call, err, API_BUCKET_NO_PAYLOAD);
    if (!sigv4_claim_fits(claim, slice_of(NULL, 0)))
        return api_bucket_refuse(call, err, API_BUCKET_OTHER_PAYLOAD);
    if (claim->signed_at_ms < call->now_ms - API_CLOCK_SKEW_MS ||
        claim->signed_at_ms > call->now_ms + API_CLOCK_SKEW_MS)
        return api_bucket_refuse(call, err, API_BUCKET_SKEWED);
    return true;
}

static bool api_admit_by_fields(struct api_call *call, struct err *err)
{
    struct api_fields query = {0};
    struct api_fields headers = {0};
    struct sigv4_signed_claim claim;
    api_collect(call, &query, &headers);
    const struct sigv4_received received = {.method = http_method(call->request),
                                            .path = http_path(call->request),
                                            .query = query.pairs,
                                            .query_count = query.count,
                                            .headers = headers.pairs,
                                            .header_count = headers.count};
    TRY(api_check_fault(call, sigv4_read(&received, call->arena, &claim), err));
    TRY(api_check_fields(call, &claim, err));
    struct api_signature signature = {
        .call = call, .of_fields = &claim, .key_id = slice_text(claim.key_id)};
    if (api_identify_signer(call, &signature, err))
        return api_check_signer(call, err);
    if (err->kind == ERR_NOT_FOUND)
        return api_bucket_refuse(call, err, API_BUCKET_NO_KEY);
    return err->kind == ERR_DENIED ? api_bucket_refuse(call, err, API_BUCKET_SIGNATURE) : false;
}

// --- Signed URLs

static bool api_is_url_of_ours(const struct api_signature *signature)
{
    const struct sigv4_claim *claim = signature->of_url;
    uint8_t secret[SHA256_BYTES];
    api_url_secret(signature->call->api, claim->key_id, secret);
    return strcmp(claim->region, API_URL_REGION) == 0 &&
           api_signature_is_right(signature, slice_of(secret, sizeof secret));
}

static bool api_check_time(struct api_call *call, const struct sigv4_claim *claim, struct err *err)
{
    if (claim->signed_at_ms > call->now_ms + API_CLOCK_SKEW_MS)
        return api_bucket_refuse(call, err, API_BUCKET_SIGNATURE);
    if (call->now_ms >= claim->signed_at_ms + claim->expires_s * CIVIL_SECOND_MS)
        return api_bucket_refuse(call, err, API_BUCKET_EXPIRED);
    return true;
}

static bool api_admit_by_url(struct api_call *call, struct err *err)
{
    struct sigv4_claim claim = {0};
    if (!sigv4_parse(http_raw_query(call->request), call->arena, &claim, err))
        return api_bucket_refuse(call, err, API_BUCKET_SIGNATURE);
    struct api_signature signature = {
        .call = call, .of_url = &claim, .key_id = slice_text(claim.key_id)};
    if (!api_is_url_of_ours(&signature)) {
        if (!api_identify_signer(call, &signature, err))
            return err->kind == ERR_NOT_FOUND || err->kind == ERR_DENIED
                       ? api_bucket_refuse(call, err, API_BUCKET_SIGNATURE)
                       : false;
        TRY(api_check_time(call, &claim, err));
        return api_check_signer(call, err);
    }
    TRY(api_check_time(call, &claim, err));
    bool is_valid = false;
    TRY(api_call_catalog(call, err));
    TRY(tenant_key_is_valid(call->catalog, claim.key_id, &is_valid, err));
    return is_valid || api_bucket_refuse(call, err, API_BUCKET_REVOKED);
}

// --- Either

static bool api_has_signed_query(const struct api_call *call)
{
    size_t algorithm_count = 0;
    size_t signature_count = 0;
    (void)http_query(call->request, "X-Amz-Algorithm", &algorithm_count);
    (void)http_query(call->request, "X-Amz-Signature", &signature_count);
    return algorithm_count + signature_count > 0;
}

bool api_bucket_admit(struct api_call *call, struct err *err)
{
    size_t count = 0;
    (void)http_header(call->request, "Authorization", &count);
    const bool is_file = call->match.route->handler == NULL;
    call->identity = (struct tenant_identity){0};
    if (count > 1 || (count == 1 && api_has_signed_query(call)))
        return api_bucket_refuse(call, err, API_BUCKET_TWO_MECHANISMS);
    if (count == 1 && !api_bucket_is_client(call))
        return api_bucket_refuse(call, err, API_BUCKET_OTHER_MECHANISM);
    if (count == 1)
        return api_admit_by_fields(call, err);
    return is_file ? api_admit_by_url(call, err) : api_bucket_refuse(call, err, API_BUCKET_DENIED);
}
