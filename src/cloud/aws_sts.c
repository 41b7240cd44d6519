// SPDX-License-Identifier: Apache-2.0
#include "cloud/aws_sts.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/uri.h"
#include "cloud/s3_xml.h"
#include "net/sigv4_headers.h"

#define AWS_REGION_CHARS_MAX  ((size_t)63)
#define AWS_FORM_BYTES_MAX    ((size_t)16 * 1024)
#define AWS_SKEW_TOLERATED_MS (2 * CIVIL_MINUTE_MS) // AWS takes five
#define AWS_STS_VERSION       "2011-06-15"

struct aws_sts {
    const struct aws_settings *settings;
    struct aws_chain *chain;
    struct cloud_caller caller;
    struct arena arena; // of what follows
    const char *url;    // with the path
    const char *authority;
    int64_t skew_ms; // their clock minus ours
};

static bool aws_region_is_valid(const char *region)
{
    const size_t chars = strlen(region);
    return chars >= 1 && chars <= AWS_REGION_CHARS_MAX &&
           strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == chars;
}

bool aws_sts_open(const struct aws_settings *settings, struct aws_chain *chain,
                  const struct cloud_config *config, struct aws_sts **ret_sts, struct err *err)
{
    if (!aws_region_is_valid(settings->region))
        return err_set(err, ERR_INVALID, "aws.region: not the name of a region");
    struct aws_sts *sts CLEANUP(aws_sts_close) = mem_alloc(sizeof *sts);
    arena_init(&sts->arena);
    sts->settings = settings;
    sts->chain = chain;
    const char *suffix = strncmp(settings->region, "cn-", 3) == 0 ? ".cn" : "";
    const char *endpoint = settings->sts_endpoint;
    if (endpoint == NULL)
        endpoint = arena_format(&sts->arena, "https://sts.%s.amazonaws.com%s", settings->region,
                                suffix);
    struct endpoint parsed;
    TRY(cloud_endpoint_parse("aws.sts_endpoint", endpoint, &sts->arena, &parsed, err));
    sts->url = arena_format(&sts->arena, "%s/", endpoint);
    sts->authority = parsed.authority;
    cloud_caller_open(config, &sts->caller);
    *ret_sts = sts;
    sts = NULL;
    return true;
}

void aws_sts_close(struct aws_sts **address)
{
    struct aws_sts *sts = *address;
    if (sts == NULL)
        return;
    cloud_caller_close(&sts->caller);
    arena_clear(&sts->arena);
    mem_free(sts);
    *address = NULL;
}

static const char *aws_sts_form(const struct aws_sts_parameter *parameters, size_t count,
                                struct arena *arena)
{
    struct buf form CLEANUP(buf_clear);
    buf_init(&form, AWS_FORM_BYTES_MAX);
    buf_append_text(&form, "Version=" AWS_STS_VERSION);
    for (size_t i = 0; i < count; i++) {
        buf_append_format(&form, "&%s=", parameters[i].name);
        uri_append_encoded(&form, slice_text(parameters[i].value), "");
    }
    ASSERT(!form.overflowed);
    return arena_copy_slice(arena, buf_slice(&form));
}

static bool aws_sts_send(struct aws_sts *sts, const char *form, bool is_refresh,
                         struct arena *arena, struct cloud_reply *ret_reply, struct err *err)
{
    struct aws_credentials own;
    TRY(aws_credentials_get(sts->chain, is_refresh, arena, &own, err));
    uint8_t digest[SHA256_BYTES];
    char digest_hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(form), digest);
    hex_encode(slice_of(digest, sizeof digest), digest_hex);
    const struct http_client_header type = {"Content-Type",
                                            "application/x-www-form-urlencoded; charset=utf-8"};
    const struct sigv4_request request = {
        .method = "POST",
        .host = sts->authority,
        .path = "/",
        .headers = &type,
        .header_count = 1,
        .payload_sha256 = digest_hex,
        .key_id = own.access_key_id,
        .secret = secret_reveal(&own.secret_access_key),
        .session_token = secret_is_empty(&own.session_token)
                             ? NULL
                             : slice_chars(secret_reveal(&own.session_token)),
        .region = sts->settings->region,
        .service = "sts",
        .signed_at_ms = clock_wall_ms(sts->caller.clock) + sts->skew_ms};
    struct sigv4_signed signed_request;
    sigv4_sign_headers(&request, arena, &signed_request);
    const struct cloud_call call = {.method = "POST",
                                    .url = sts->url,
                                    .headers = signed_request.headers,
                                    .header_count = signed_request.header_count,
                                    .body = slice_text(form)};
    if (!cloud_caller_send(&sts->caller, &call, arena, ret_reply, err))
        return err_wrap(err, "AWS's token service");
    return true;
}

static bool aws_sts_read(const struct cloud_reply *reply, struct arena *arena,
                         struct aws_sts_answer *ret_answer, struct err *err)
{
    if (reply->status == 200) {
        *ret_answer = (struct aws_sts_answer){.document = reply->body};
        return true;
    }
    static const char *const paths[] = {"ErrorResponse/Error/Code", "ErrorResponse/Error/Message"};
    const char *texts[ARRAY_COUNT(paths)] = {NULL};
    if (!s3_xml_texts(reply->body, paths, ARRAY_COUNT(paths), arena, texts, NULL) ||
        texts[0] == NULL)
        return err_set(err, ERR_UNAVAILABLE, "AWS's token service answers HTTP %d", reply->status);
    *ret_answer =
        (struct aws_sts_answer){.refusal = cloud_quote(slice_text(texts[0]), NULL, arena),
                                .message = cloud_quote(slice_text(texts[1]), NULL, arena)};
    return true;
}

static bool aws_sts_is(const struct aws_sts_answer *answer, const char *const *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(answer->refusal, codes[i]) == 0)
            return true;
    }
    return false;
}

// Sets our clock by theirs, when that can be the reason of a refusal.
static bool aws_sts_correct_clock(struct aws_sts *sts, const struct cloud_reply *reply)
{
    const char *date = http_client_reply_header(&reply->http, "Date");
    int64_t their_ms = 0;
    if (date == NULL || !civil_parse_http(slice_text(date), &their_ms))
        return false;
    const int64_t skew_ms = their_ms - clock_wall_ms(sts->caller.clock);
    const int64_t change_ms = skew_ms - sts->skew_ms;
    if (change_ms > -AWS_SKEW_TOLERATED_MS && change_ms < AWS_SKEW_TOLERATED_MS)
        return false;
    sts->skew_ms = skew_ms;
    return true;
}

// What is about us, and not about what was asked for.
static bool aws_sts_refuse_own(const struct aws_sts_answer *answer, struct err *err)
{
    static const char *const own[] = {"InvalidClientTokenId",
                                      "SignatureDoesNotMatch",
                                      "IncompleteSignature",
                                      "RequestExpired",
                                      "MissingAuthenticationToken",
                                      "UnrecognizedClientException",
                                      "ExpiredToken",
                                      "ExpiredTokenException",
                                      "InvalidAccessKeyId",
                                      "OptInRequired",
                                      "InvalidToken"};
    if (aws_sts_is(answer, own, ARRAY_COUNT(own)))
        return err_set(err, ERR_UNAVAILABLE,
                       "AWS refuses this server's own credentials (%s): its operator has to look "
                       "after them, and after its clock",
                       answer->refusal);
    if (strcmp(answer->refusal, "RegionDisabledException") == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "AWS's token service is not active in this server's region: its operator "
                       "has to activate it");
    return true;
}

// What passes, whatever its status: this kind of service says "too much" with 400.
static bool aws_sts_is_passing(const struct aws_sts_answer *answer)
{
    static const char *const passing[] = {"Throttling",           "ThrottlingException",
                                          "RequestLimitExceeded", "TooManyRequestsException",
                                          "ServiceUnavailable",   "InternalFailure",
                                          "InternalError"};
    return aws_sts_is(answer, passing, ARRAY_COUNT(passing));
}

bool aws_sts_call(struct aws_sts *sts, const struct aws_sts_parameter *parameters, size_t count,
                  struct arena *arena, struct aws_sts_answer *ret_answer, struct err *err)
{
    static const char *const expired[] = {"ExpiredToken", "ExpiredTokenException"};
    static const char *const untimely[] = {"SignatureDoesNotMatch", "RequestExpired"};
    const char *form = aws_sts_form(parameters, count, arena);
    struct aws_sts_answer answer = {0};
    bool has_refreshed = false;
    bool has_set_clock = false;
    struct err failure = {0};
    struct retry retry;
    retry_init(&retry, &sts->caller.retry, sts->caller.rng);
    for (;;) {
        struct cloud_reply reply;
        TRY(aws_sts_send(sts, form, has_refreshed, arena, &reply, err));
        TRY(aws_sts_read(&reply, arena, &answer, err));
        if (answer.refusal == NULL)
            break;
        if (!has_refreshed && aws_sts_is(&answer, expired, ARRAY_COUNT(expired))) {
            has_refreshed = true;
            continue;
        }
        if (!has_set_clock && aws_sts_is(&answer, untimely, ARRAY_COUNT(untimely)) &&
            aws_sts_correct_clock(sts, &reply)) {
            has_set_clock = true;
            continue;
        }
        if (!aws_sts_is_passing(&answer)) {
            TRY(aws_sts_refuse_own(&answer, err));
            break;
        }
        (void)err_set(&failure, ERR_UNAVAILABLE, "%s", answer.refusal);
        const int64_t after_ms = reply.http.retry_after_s * CIVIL_SECOND_MS;
        if (!retry_wait(&retry, after_ms, &failure))
            return err_set(err, failure.kind, "AWS's token service: %s", failure.message);
    }
    *ret_answer = answer;
    return true;
}
