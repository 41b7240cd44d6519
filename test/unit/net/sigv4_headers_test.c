// SPDX-License-Identifier: Apache-2.0
// The examples of "Authenticating Requests: Using the Authorization Header" of the Amazon S3 API
// Reference.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "net/sigv4_headers.h"

#define EXAMPLE_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY_SHA256   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_request example = {.method = "GET",
                                             .host = "examplebucket.s3.amazonaws.com",
                                             .path = "/",
                                             .payload_sha256 = EMPTY_SHA256,
                                             .key_id = "AKIAIOSFODNN7EXAMPLE",
                                             .secret = {EXAMPLE_SECRET, sizeof EXAMPLE_SECRET - 1},
                                             .region = "us-east-1",
                                             .service = "s3",
                                             .signed_at_ms = INT64_C(1369353600000)};

static const char *value_of(const struct sigv4_signed *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static void expect(const struct sigv4_request *request, const char *target, const char *names,
                   const char *signature)
{
    struct arena arena;
    arena_init(&arena);
    struct sigv4_signed result;
    sigv4_sign_headers(request, &arena, &result);
    assert_string_equal(result.target, target);
    assert_string_equal(value_of(&result, "Host"), request->host);
    assert_string_equal(value_of(&result, "x-amz-date"), "20130524T000000Z");
    assert_string_equal(value_of(&result, "x-amz-content-sha256"), request->payload_sha256);
    const char *expected = arena_format(
        &arena,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=%s, Signature=%s",
        names, signature);
    assert_string_equal(value_of(&result, "Authorization"), expected);
    arena_clear(&arena);
}

static void test_published_get(void **state)
{
    (void)state;
    const struct http_client_header range = {"Range", "bytes=0-9"};
    struct sigv4_request request = example;
    request.path = "/test.txt";
    request.headers = &range;
    request.header_count = 1;
    expect(&request, "/test.txt", "host;range;x-amz-content-sha256;x-amz-date",
           "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_published_put(void **state)
{
    (void)state;
    // White space that goes away and names in another case are as good.
    const struct http_client_header headers[] = {
        {"X-Amz-Storage-Class", "REDUCED_REDUNDANCY"},
        {"date", " Fri,  24 May \t2013 00:00:00 GMT "},
    };
    struct sigv4_request request = example;
    request.method = "PUT";
    request.path = "/test$file.text";
    request.payload_sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    request.headers = headers;
    request.header_count = ARRAY_COUNT(headers);
    expect(&request, "/test%24file.text",
           "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
           "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void test_published_queries(void **state)
{
    (void)state;
    const struct sigv4_pair lifecycle = {slice_text("lifecycle"), slice_text("")};
    struct sigv4_request request = example;
    request.query = &lifecycle;
    request.query_count = 1;
    expect(&request, "/?lifecycle=", "host;x-amz-content-sha256;x-amz-date",
           "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    const struct sigv4_pair list[] = {
        {slice_text("prefix"), slice_text("J")},
        {slice_text("max-keys"), slice_text("2")},
    };
    request.query = list;
    request.query_count = ARRAY_COUNT(list);
    expect(&request, "/?max-keys=2&prefix=J", "host;x-amz-content-sha256;x-amz-date",
           "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    assert_int_equal(slice_compare(list[0].name, slice_text("prefix")), 0); // as it was given
}

static void test_a_session_token_is_signed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct sigv4_request request = example;
    request.session_token = "the token/+==";
    struct sigv4_signed result;
    sigv4_sign_headers(&request, &arena, &result);
    assert_string_equal(value_of(&result, "x-amz-security-token"), "the token/+==");
    assert_non_null(strstr(value_of(&result, "Authorization"),
                           "SignedHeaders=host;x-amz-content-sha256;x-amz-date;"
                           "x-amz-security-token, Signature="));
    for (size_t i = 0; i < result.header_count; i++)
        assert_null(strstr(result.headers[i].value, EXAMPLE_SECRET));
    arena_clear(&arena);
}

// Computed with another program (Python's hmac): Google publishes no example of this form.
static void test_googles_dialect(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const struct http_client_header headers[] = {{"x-goog-if-generation-match", "0"}};
    struct sigv4_request request = example;
    request.dialect = SIGV4_GOOG;
    request.method = "PUT";
    request.host = "storage.googleapis.com";
    request.path = "/bucket/a b.csv";
    request.headers = headers;
    request.header_count = ARRAY_COUNT(headers);
    request.region = "auto";
    request.service = "storage";
    struct sigv4_signed result;
    sigv4_sign_headers(&request, &arena, &result);
    assert_string_equal(value_of(&result, "x-goog-date"), "20130524T000000Z");
    assert_string_equal(value_of(&result, "x-goog-content-sha256"), EMPTY_SHA256);
    assert_string_equal(
        value_of(&result, "Authorization"),
        "GOOG4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/auto/storage/goog4_request, "
        "SignedHeaders=host;x-goog-content-sha256;x-goog-date;x-goog-if-generation-match, "
        "Signature=8950d6b8d419d82ed7748a0e416fde87e06201511b14cc66a9c4693c6a1dcc2b");
    for (size_t i = 0; i < result.header_count; i++)
        assert_null(strstr(result.headers[i].name, "amz"));
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_get),     cmocka_unit_test(test_published_put),
        cmocka_unit_test(test_published_queries), cmocka_unit_test(test_a_session_token_is_signed),
        cmocka_unit_test(test_googles_dialect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
