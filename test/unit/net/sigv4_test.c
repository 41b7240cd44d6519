// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "net/sigv4.h"

// From "Authenticating Requests: Using Query Parameters" of the Amazon S3 API Reference.
#define EXAMPLE_HOST      "examplebucket.s3.amazonaws.com"
#define EXAMPLE_KEY       "AKIAIOSFODNN7EXAMPLE"
#define EXAMPLE_SECRET    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EXAMPLE_SIGNATURE "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
#define EXAMPLE_TIME_MS   INT64_C(1369353600000)

static const struct sigv4_url example = {.host = EXAMPLE_HOST,
                                         .path = "/test.txt",
                                         .key_id = EXAMPLE_KEY,
                                         .secret = {EXAMPLE_SECRET, sizeof EXAMPLE_SECRET - 1},
                                         .region = "us-east-1",
                                         .signed_at_ms = EXAMPLE_TIME_MS,
                                         .expires_s = 86400};

static const struct sigv4_url ours = {.host = "localhost:8080",
                                      .path = "/exports/v2/y=2026/m=01/d=02/app_id=1/a b+c.csv.gz",
                                      .key_id = "tok_1",
                                      .secret = {"secret", 6},
                                      .region = "local",
                                      .signed_at_ms = INT64_C(1767312000000),
                                      .expires_s = 604800};

static void test_published_example(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const char *url = sigv4_sign_url(&example, &arena);
    assert_string_equal(url, "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                             "&X-Amz-Date=20130524T000000Z"
                             "&X-Amz-SignedHeaders=host"
                             "&X-Amz-Expires=86400"
                             "&X-Amz-Credential=" EXAMPLE_KEY
                             "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                             "&X-Amz-Signature=" EXAMPLE_SIGNATURE);
    // The example as published has another order of parameters.
    static const char published[] = "X-Amz-Algorithm=AWS4-HMAC-SHA256"
                                    "&X-Amz-Credential=" EXAMPLE_KEY
                                    "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                                    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
                                    "&X-Amz-SignedHeaders=host&X-Amz-Signature=" EXAMPLE_SIGNATURE;
    struct sigv4_claim claim;
    struct err err = {0};
    assert_true(sigv4_parse(slice_text(published), &arena, &claim, &err));
    assert_string_equal(claim.key_id, EXAMPLE_KEY);
    assert_string_equal(claim.region, "us-east-1");
    assert_string_equal(claim.date, "20130524");
    assert_int_equal(claim.signed_at_ms, EXAMPLE_TIME_MS);
    assert_int_equal(claim.expires_s, 86400);
    assert_true(
        sigv4_matches(&claim, EXAMPLE_HOST, slice_text("/test.txt"), example.secret, &arena));
    arena_clear(&arena);
}

// What a server would say to the URL.
static bool is_accepted(const char *url, const char *host, struct slice secret)
{
    struct arena arena;
    arena_init(&arena);
    const char *question = strchr(url, '?');
    struct sigv4_claim claim;
    struct err err = {0};
    bool accepted = false;
    if (question != NULL && sigv4_parse(slice_text(question + 1), &arena, &claim, &err))
        accepted = strcmp(claim.key_id, ours.key_id) == 0 &&
                   sigv4_matches(&claim, host, slice_of(url, (size_t)(question - url)), secret,
                                 &arena);
    else if (question != NULL)
        assert_string_equal(err.message, "Invalid signature");
    arena_clear(&arena);
    return accepted;
}

static void test_our_form(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    const char *url = sigv4_sign_url(&ours, &arena);
    static const char path[] =
        "/exports/v2/y%3D2026/m%3D01/d%3D02/app_id%3D1/a%20b%2Bc.csv.gz?X-Amz-Algorithm=";
    assert_memory_equal(url, path, sizeof path - 1);
    assert_true(is_accepted(url, ours.host, ours.secret));
    assert_false(is_accepted(url, "localhost:8081", ours.secret));
    assert_false(is_accepted(url, ours.host, slice_text("Secret")));
    arena_clear(&arena);
}

static void test_equals_sign_in_three_spellings(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *url = sigv4_sign_url(&ours, &arena);
    char *at = strstr(url, "%3D");
    at[2] = 'd';
    assert_true(is_accepted(url, ours.host, ours.secret));
    at[0] = '=';
    (void)memmove(at + 1, at + 3, strlen(at + 3) + 1);
    assert_true(is_accepted(url, ours.host, ours.secret));
    arena_clear(&arena);
}

static void test_any_other_byte_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *url = sigv4_sign_url(&ours, &arena);
    static const char others[] = "aAfF09%/=&?+ .-_~\x7f\x80";
    for (size_t i = 0; url[i] != '\0'; i++) {
        const char right = url[i];
        for (const char *other = others; *other != '\0'; other++) {
            // "%3d" is one of the two spellings that are as good.
            const bool is_lower_d = right == 'D' && *other == 'd';
            if (*other == right || is_lower_d)
                continue;
            url[i] = *other;
            if (is_accepted(url, ours.host, ours.secret))
                fail_msg("accepted: %s", url);
        }
        url[i] = right ^ 0x20; // other case
        const bool is_equals_digit = right == 'D' && i >= 2 && memcmp(url + i - 2, "%3", 2) == 0;
        if (!is_equals_digit && is_accepted(url, ours.host, ours.secret))
            fail_msg("accepted: %s", url);
        url[i] = right;
    }
    const size_t size = strlen(url);
    url[size - 1] = '\0'; // cut
    assert_false(is_accepted(url, ours.host, ours.secret));
    arena_clear(&arena);
}

static void test_paths_in_other_spellings(void **state)
{
    (void)state;
    static const char *const others[][2] = {
        {"%3D", "%253D"}, {"/y", "//y"},      {"/y", "/./y"},           {".gz?", ".gz/?"},
        {"%20", "+"},     {"%20b", "%20%62"}, {"/exports", "/Exports"}, {"%2B", "+"},
    };
    struct arena arena;
    arena_init(&arena);
    const char *url = sigv4_sign_url(&ours, &arena);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        const char *at = strstr(url, others[i][0]);
        assert_non_null(at);
        char other[1024];
        (void)snprintf(other, sizeof other, "%.*s%s%s", (int)(at - url), url, others[i][1],
                       at + strlen(others[i][0]));
        if (is_accepted(other, ours.host, ours.secret))
            fail_msg("accepted: %s", other);
    }
    arena_clear(&arena);
}

static void test_malformed_queries(void **state)
{
    (void)state;
#define ALGORITHM  "X-Amz-Algorithm=AWS4-HMAC-SHA256"
#define DATE       "&X-Amz-Date=20130524T000000Z"
#define HEADERS    "&X-Amz-SignedHeaders=host"
#define EXPIRES    "&X-Amz-Expires=86400"
#define CREDENTIAL "&X-Amz-Credential=K%2F20130524%2Fr%2Fs3%2Faws4_request"
#define SIGNATURE  "&X-Amz-Signature=" EXAMPLE_SIGNATURE
    static const char sound[] = ALGORITHM DATE HEADERS EXPIRES CREDENTIAL SIGNATURE;
    static const char *const malformed[] = {
        "",
        "x",
        "&",
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL,
        ALGORITHM DATE HEADERS EXPIRES SIGNATURE,
        ALGORITHM DATE DATE HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL SIGNATURE "&x=1",
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL SIGNATURE "&",
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL SIGNATURE "&response-content-type=a",
        "&" ALGORITHM DATE HEADERS EXPIRES CREDENTIAL SIGNATURE,
        "X-Amz-Algorithm=AWS4-HMAC-SHA1" DATE HEADERS EXPIRES CREDENTIAL SIGNATURE,
        "x-amz-algorithm=AWS4-HMAC-SHA256" DATE HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM "&X-Amz-Date=20130524T000000" HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM "&X-Amz-Date=20130524t000000Z" HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM "&X-Amz-Date=20130532T000000Z" HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM "&X-Amz-Date=20130525T000000Z" HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM "&X-Amz-Date=2013-5-4T000000Z" HEADERS EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM DATE "&X-Amz-SignedHeaders=" EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM DATE "&X-Amz-SignedHeaders=host;x" EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM DATE "&X-Amz-SignedHeaders=host%3Bx" EXPIRES CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=0" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=-7" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=604801" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=1e3" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=86400%20" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=086400" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=9223372036854775808" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS "&X-Amz-Expires=%38" CREDENTIAL SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES "&X-Amz-Credential=K/20130524/r/s3/aws4_request" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES
        "&X-Amz-Credential=K%2f20130524%2fr%2fs3%2faws4_request" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES
        "&X-Amz-Credential=%2F20130524%2Fr%2Fs3%2Faws4_request" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES
        "&X-Amz-Credential=K%2F20130524%2F%2Fs3%2Faws4_request" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES
        "&X-Amz-Credential=K%2F20130524%2Fr%2Fsqs%2Faws4_request" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES
        "&X-Amz-Credential=K%2F20130524%2Fr%2Fs3%2Faws4_request%2Fx" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES "&X-Amz-Credential=K%2F20130524%2Fr%2Fs3" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES
        "&X-Amz-Credential=K%00%2F20130524%2Fr%2Fs3%2Faws4_request" SIGNATURE,
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL "&X-Amz-Signature=",
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL SIGNATURE "0",
        ALGORITHM DATE HEADERS EXPIRES CREDENTIAL
        "&X-Amz-Signature=AEEED9BBCCD4D02EE5C0109B86D86835F995330DA4C265957D157751F604D404",
    };
    struct arena arena;
    arena_init(&arena);
    struct sigv4_claim claim;
    struct err err = {0};
    assert_true(sigv4_parse(slice_text(sound), &arena, &claim, &err));
    for (size_t i = 0; i < ARRAY_COUNT(malformed); i++) {
        if (sigv4_parse(slice_text(malformed[i]), &arena, &claim, &err))
            fail_msg("accepted: %s", malformed[i]);
        assert_int_equal(err.kind, ERR_DENIED);
    }
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_example),
        cmocka_unit_test(test_our_form),
        cmocka_unit_test(test_equals_sign_in_three_spellings),
        cmocka_unit_test(test_any_other_byte_is_refused),
        cmocka_unit_test(test_paths_in_other_spellings),
        cmocka_unit_test(test_malformed_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
