// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a request to the hosted bucket, in the words of S3. Steps fail with the
// message, by which the code is found again.
#include "api/api_bucket.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "base/xml_text.h"
#include "net/sigv4_verify.h"

struct api_bucket_text {
    int status;
    const char *code;
    const char *message;
};

static const struct api_bucket_text api_bucket_texts[API_BUCKET_ERROR_COUNT] = {
    [API_BUCKET_SIGNATURE] = {403, "SignatureDoesNotMatch", "Invalid signature"},
    [API_BUCKET_TWO_MECHANISMS] = {400, "InvalidArgument",
                                   "Only one authentication mechanism is allowed"},
    [API_BUCKET_OTHER_MECHANISM] = {400, "InvalidRequest",
                                    "The authorization mechanism is not supported: please use "
                                    "AWS4-HMAC-SHA256"},
    [API_BUCKET_MALFORMED] = {400, "AuthorizationHeaderMalformed",
                              "The authorization header is malformed"},
    [API_BUCKET_NO_DATE] = {403, "AccessDenied", "A valid x-amz-date header is required"},
    [API_BUCKET_OTHER_DATE] = {400, "AuthorizationHeaderMalformed",
                               "The day of the credential is not that of x-amz-date"},
    [API_BUCKET_UNSIGNED] = {403, "AccessDenied",
                             "The host and all x-amz headers of the request must be signed"},
    [API_BUCKET_NO_PAYLOAD] = {400, "InvalidRequest",
                               "Missing required header for this request: x-amz-content-sha256"},
    [API_BUCKET_OTHER_PAYLOAD] = {400, "XAmzContentSHA256Mismatch",
                                  "The hash of the signed body is not that of an empty one"},
    [API_BUCKET_SKEWED] = {403, "RequestTimeTooSkewed",
                           "The difference between the request time and the current time is too "
                           "large"},
    [API_BUCKET_NO_KEY] = {403, "InvalidAccessKeyId", "The access key id is not known here"},
    [API_BUCKET_DENIED] = {403, "AccessDenied", "Access denied"},
    [API_BUCKET_EXPIRED] = {403, "AccessDenied", "Request has expired"},
    [API_BUCKET_REVOKED] = {403, "AccessDenied", "Access revoked"},
    [API_BUCKET_NO_FILE] = {404, "NoSuchKey", "Export file not found"},
    [API_BUCKET_NO_BUCKET] = {404, "NoSuchBucket",
                              "The only bucket is " API_BUCKET_NAME ", in path style"},
    [API_BUCKET_RANGE] = {416, "InvalidRange", "Range not satisfiable"},
    [API_BUCKET_CONDITION] = {412, "PreconditionFailed", "A condition of the request is not met"},
    [API_BUCKET_METHOD] = {405, "MethodNotAllowed", "The bucket is read-only"},
    [API_BUCKET_SUBRESOURCE] = {501, "NotImplemented", "The bucket has files, and nothing else"},
};

static const char *api_bucket_code_of(int status, const char *message)
{
    for (size_t i = 0; i < ARRAY_COUNT(api_bucket_texts); i++) {
        if (strcmp(api_bucket_texts[i].message, message) == 0)
            return api_bucket_texts[i].code;
    }
    switch (status) {
    case 400:
        return "InvalidArgument";
    case 503:
        return "ServiceUnavailable";
    default:
        return "InternalError";
    }
}

bool api_bucket_refuse(struct api_call *call, struct err *err, enum api_bucket_error error)
{
    const struct api_bucket_text *text = &api_bucket_texts[error];
    return api_refuse(call, err, text->status, "%s", text->message);
}

bool api_bucket_is_client(const struct api_call *call)
{
    return sigv4_is_meant(http_header(call->request, "Authorization", NULL));
}

void api_bucket_add_id(struct api_call *call)
{
    if (!api_bucket_is_client(call))
        return;
    const char *id = arena_copy_slice(call->arena, http_request_id(call->request));
    http_add_header(call->request, "x-amz-request-id", id);
}

// Messages are ours, and fit.
static void api_bucket_fail(struct api_call *call, int status, const char *code,
                            const char *message)
{
    struct buf *xml = &call->reply;
    buf_reset(xml);
    buf_append_text(xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml_text_open(xml, "Error");
    xml_text_member(xml, "Code", slice_text(code));
    xml_text_member(xml, "Message", slice_text(message));
    xml_text_member(xml, "RequestId", http_request_id(call->request));
    xml_text_close(xml, "Error");
    buf_append_char(xml, '\n');
    call->status = status;
    call->content_type = "application/xml";
    api_bucket_add_id(call);
    api_send(call);
}

void api_bucket_send_error(struct api_call *call, enum api_bucket_error error)
{
    const struct api_bucket_text *text = &api_bucket_texts[error];
    api_bucket_fail(call, text->status, text->code, text->message);
}

void api_bucket_send_failure(struct api_call *call, const struct err *err)
{
    api_stage_failure(call, err); // decides the status, keeps the reason for the log
    if (call->status == 429) {    // clients of S3 know another one
        api_bucket_fail(call, 503, "SlowDown", err->message);
        return;
    }
    const char *message = call->status >= 500 && call->status != 501 ? API_TEXT_INTERNAL
                                                                     : err->message;
    api_bucket_fail(call, call->status, api_bucket_code_of(call->status, message), message);
}

void api_bucket_send_unmatched(struct api_call *call)
{
    const bool is_known = call->match.allow[0] != '\0';
    api_bucket_send_error(call, is_known ? API_BUCKET_METHOD : API_BUCKET_NO_BUCKET);
}

void api_bucket_overloaded(struct api_call *call)
{
    call->failure = "the queue for writers is full";
    api_bucket_fail(call, 503, "ServiceUnavailable", "Overloaded");
}
