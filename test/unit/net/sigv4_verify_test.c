// SPDX-License-Identifier: Apache-2.0
// The checking side of the header form: AWS's published suite of signed requests, the examples of
// the Amazon S3 API Reference, and every part of a request tampered with.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "net/sigv4_verify.h"

#define PAIRS_MAX    ((size_t)16)
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define SUITE_KEY "AKIDEXAMPLE"
#define S3_KEY    "AKIAIOSFODNN7EXAMPLE"

// A request as texts: a query of decoded names and values ("a=b&c="), headers in lines.
struct sample {
    const char *method;
    const char *path;
    const char *query;
    const char *headers;
    const char *authorization;
};

static size_t split(const char *text, const char *ends, char middle, struct sigv4_pair *ret_pairs)
{
    size_t count = 0;
    while (*text != '\0') {
        const size_t size = strcspn(text, ends);
        const char *at = memchr(text, middle, size);
        const size_t name_bytes = at == NULL ? size : (size_t)(at - text);
        const size_t start = at == NULL ? size : name_bytes + 1;
        assert_true(count < PAIRS_MAX);
        ret_pairs[count++] = (struct sigv4_pair){slice_of(text, name_bytes),
                                                 slice_of(text + start, size - start)};
        text += size;
        text += *text != '\0';
    }
    return count;
}

static enum sigv4_fault read_sample(const struct sample *sample, struct arena *arena,
                                    struct sigv4_signed_claim *ret_claim)
{
    struct sigv4_pair query[PAIRS_MAX];
    struct sigv4_pair headers[PAIRS_MAX + 1];
    struct sigv4_received received = {.method = slice_text(sample->method),
                                      .path = slice_text(sample->path),
                                      .query = query,
                                      .headers = headers};
    received.query_count = split(sample->query, "&", '=', query);
    received.header_count = split(sample->headers, "\n", ':', headers);
    if (sample->authorization != NULL)
        headers[received.header_count++] = (struct sigv4_pair){slice_text("AUTHORIZATION"),
                                                               slice_text(sample->authorization)};
    return sigv4_read(&received, arena, ret_claim);
}

static bool is_right(const struct sample *sample, const char *host, const char *secret)
{
    struct arena arena;
    arena_init(&arena);
    struct sigv4_signed_claim claim;
    // The key id chooses the secret, and is not signed otherwise.
    const bool right = read_sample(sample, &arena, &claim) == SIGV4_SOUND &&
                       (strcmp(claim.key_id, SUITE_KEY) == 0 ||
                        strcmp(claim.key_id, S3_KEY) == 0) &&
                       sigv4_claim_matches(&claim, host, slice_text(secret), &arena);
    arena_clear(&arena);
    return right;
}

// --- The suite, whose service is called "service"

#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SUITE_HOST   "example.amazonaws.com"
#define SUITE_LINES  "\nHost:" SUITE_HOST "\nX-Amz-Date:20150830T123600Z"
#define UNRESERVED   "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

struct suite_case {
    const char *name;
    const char *method;
    const char *path;
    const char *query;
    const char *headers;
    const char *signed_headers; // beside host and x-amz-date
    const char *signature;
};

static const struct suite_case suite[] = {
    {"get-vanilla", "GET", "/", "", "", "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key", "GET", "/", "Param1=value1", "", "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", "",
     "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-encoded", "GET", "/",
     "Param-3=Value3&Param=Value2&\xe1\x88\xb4=Value1", "", "host;x-amz-date",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-unreserved", "GET", "/", UNRESERVED "=" UNRESERVED, "", "host;x-amz-date",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query", "GET", "/", "\xe1\x88\xb4=bar", "", "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-unreserved", "GET", "/" UNRESERVED, "", "", "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", "GET", "/\xe1\x88\xb4", "", "", "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space-unnormalized", "GET", "/example space/", "", "", "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-slashes-unnormalized", "GET", "//example//", "", "", "host;x-amz-date",
     "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"},
    {"get-header-key-duplicate", "GET", "/", "",
     "My-Header1:value2\nMy-Header1:value2\nMy-Header1:value1", "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-order", "GET", "/", "",
     "My-Header1:value4\nMy-Header1:value1\nMy-Header1:value3\nMy-Header1:value2",
     "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim", "GET", "/", "", "My-Header1: value1\nMy-Header2: \"a   b   c\"",
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-vanilla", "POST", "/", "", "", "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query", "POST", "/", "Param1=value1", "", "host;x-amz-date",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-header-key-sort", "POST", "/", "", "My-Header1:value1", "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case", "POST", "/", "", "My-Header1:VALUE1", "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"get-vanilla-with-session-token", "GET", "/", "",
     "X-Amz-Security-Token:6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
     "host;x-amz-date;x-amz-security-token",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"post-x-www-form-urlencoded", "POST", "/", "",
     "Content-Type:application/x-www-form-urlencoded\nContent-Length:13\n"
     "x-amz-content-sha256:9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
     "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
     "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
};

static void the_published_suite_is_accepted(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < ARRAY_COUNT(suite); i++) {
        const struct suite_case *one = &suite[i];
        const bool is_empty = one->headers[0] == '\0';
        const struct sample sample = {
            one->method, one->path, one->query,
            arena_format(&arena, "%s%s", one->headers, &SUITE_LINES[is_empty ? 1 : 0]),
            arena_format(&arena,
                         "AWS4-HMAC-SHA256 Credential=" SUITE_KEY "/20150830/us-east-1/service/"
                         "aws4_request, SignedHeaders=%s, Signature=%s",
                         one->signed_headers, one->signature)};
        if (!is_right(&sample, SUITE_HOST, SUITE_SECRET))
            fail_msg("%s", one->name);
        assert_false(is_right(&sample, SUITE_HOST, SUITE_SECRET "Y"));
        assert_false(is_right(&sample, "example.amazonaws.org", SUITE_SECRET));
    }
    arena_clear(&arena);
}

// --- The examples of S3

#define S3_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define S3_HOST   "examplebucket.s3.amazonaws.com"
#define S3_LINES                                                                                   \
    "Host:" S3_HOST "\nx-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000000Z"
#define S3_FIELD(names, signature)                                                                 \
    "AWS4-HMAC-SHA256 "                                                                            \
    "Credential=" S3_KEY "/20130524/us-east-1/s3/aws4_request,SignedHeaders=" names                \
    ",Signature=" signature

static const struct sample s3_get = {
    "GET", "/test.txt", "", S3_LINES "\nRange:bytes=0-9",
    S3_FIELD("host;range;x-amz-content-sha256;x-amz-date",
             "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")};
static const struct sample s3_list = {
    "GET", "/", "max-keys=2&prefix=J", S3_LINES,
    S3_FIELD("host;x-amz-content-sha256;x-amz-date",
             "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")};

static void the_examples_of_s3_are_accepted(void **state)
{
    (void)state;
    assert_true(is_right(&s3_get, S3_HOST, S3_SECRET));
    assert_true(is_right(&s3_list, S3_HOST, S3_SECRET));
    struct arena arena;
    arena_init(&arena);
    struct sigv4_signed_claim claim;
    assert_int_equal(read_sample(&s3_get, &arena, &claim), SIGV4_SOUND);
    assert_string_equal(claim.key_id, S3_KEY);
    assert_string_equal(claim.region, "us-east-1");
    assert_string_equal(claim.service, "s3");
    assert_int_equal(claim.signed_at_ms, INT64_C(1369353600000));
    assert_true(claim.has_payload);
    assert_true(sigv4_claim_fits(&claim, slice_of(NULL, 0)));
    assert_false(sigv4_claim_fits(&claim, slice_text("x")));
    arena_clear(&arena);
}

// --- Tampering

// The sample with each byte of one of its texts changed in turn: never right.
static void assert_each_byte_counts(const struct sample *original, const char *text, size_t offset)
{
    char copy[1024];
    struct sample sample = *original;
    const size_t size = strlen(text);
    assert_true(size < sizeof copy);
    memcpy(copy, text, size + 1);
    const char **place = (const char **)((char *)&sample + offset);
    *place = copy;
    static const char others[] = "aZ0=/&:;, \x80";
    for (size_t i = 0; i < size; i++) {
        const char right = copy[i];
        for (const char *other = others; *other != '\0'; other++) {
            copy[i] = *other;
            if (*other != right && is_right(&sample, S3_HOST, S3_SECRET))
                fail_msg("accepted: %s", copy);
        }
        copy[i] = right;
    }
    assert_true(is_right(&sample, S3_HOST, S3_SECRET));
}

static void every_signed_part_counts(void **state)
{
    (void)state;
    assert_each_byte_counts(&s3_get, s3_get.method, offsetof(struct sample, method));
    assert_each_byte_counts(&s3_get, s3_get.path, offsetof(struct sample, path));
    assert_each_byte_counts(&s3_list, s3_list.query, offsetof(struct sample, query));
    assert_each_byte_counts(&s3_get, s3_get.authorization, offsetof(struct sample, authorization));
    static const char *const queries[] = {"", "max-keys=2", "max-keys=2&prefix=J&prefix=J",
                                          "max-keys=2&prefix=J&x=", "max-keys=2&prefix=j"};
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        struct sample sample = s3_list;
        sample.query = queries[i];
        assert_false(is_right(&sample, S3_HOST, S3_SECRET));
    }
    struct sample turned = s3_list;
    turned.query = "prefix=J&max-keys=2";
    assert_true(is_right(&turned, S3_HOST, S3_SECRET));
    static const char *const headers[] = {
        "Host:" S3_HOST "\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z",
        "Host:" S3_HOST "\nx-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130524T000001Z",
        "Host:" S3_HOST "\nx-amz-content-sha256:" EMPTY_SHA256 "\nx-amz-date:20130525T000000Z",
        "Host:" S3_HOST "\nx-amz-date:20130524T000000Z",
        S3_LINES "\nx-amz-date:20130524T000000Z",
        S3_LINES "\nX-AMZ-Meta-A:1",
        S3_LINES "\nx-amz-content-sha256:" EMPTY_SHA256,
    };
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        struct sample sample = s3_list;
        sample.headers = headers[i];
        assert_false(is_right(&sample, S3_HOST, S3_SECRET));
    }
    struct sample ranged = s3_get;
    ranged.headers = S3_LINES "\nRange:bytes=0-8";
    assert_false(is_right(&ranged, S3_HOST, S3_SECRET));
    ranged.headers = S3_LINES; // a field that was signed is gone
    assert_false(is_right(&ranged, S3_HOST, S3_SECRET));
}

static void headers_that_are_not_signed_do_not_count(void **state)
{
    (void)state;
    struct sample sample = s3_list;
    sample.headers = S3_LINES "\nUser-Agent:x\nAccept-Encoding:identity";
    assert_true(is_right(&sample, S3_HOST, S3_SECRET));
    sample.headers = "host:  " S3_HOST " \nX-AMZ-CONTENT-SHA256:" EMPTY_SHA256
                     "\nX-Amz-Date:20130524T000000Z";
    assert_true(is_right(&sample, S3_HOST, S3_SECRET));
    // The host is what the caller says that it is.
    sample.headers = "host:elsewhere\nx-amz-content-sha256:" EMPTY_SHA256
                     "\nx-amz-date:20130524T000000Z";
    assert_true(is_right(&sample, S3_HOST, S3_SECRET));
}

#define SIGNATURE "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
#define SCOPE     "Credential=K/20130524/us-east-1/s3/aws4_request"
#define NAMES     "SignedHeaders=host;x-amz-content-sha256;x-amz-date"
#define START     "AWS4-HMAC-SHA256 "

static void faults_have_names(void **state)
{
    (void)state;
    static const struct {
        enum sigv4_fault fault;
        const char *authorization;
    } fields[] = {
        {SIGV4_SOUND, START SCOPE ", " NAMES ", Signature=" SIGNATURE},
        {SIGV4_SOUND, START "Signature=" SIGNATURE "," NAMES " ,  " SCOPE},
        {SIGV4_SOUND, START "Credential=K/20130524/anywhere/service/aws4_request," NAMES
                            ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED, NULL},
        {SIGV4_MALFORMED, ""},
        {SIGV4_MALFORMED, START},
        {SIGV4_MALFORMED, "AWS4-HMAC-SHA256"},
        {SIGV4_MALFORMED, "AWS4-HMAC-SHA1 " SCOPE "," NAMES ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED, "Bearer " SIGNATURE},
        {SIGV4_MALFORMED, START NAMES ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE "," NAMES},
        {SIGV4_MALFORMED, START SCOPE "," NAMES ",Signature="},
        {SIGV4_MALFORMED, START SCOPE "," NAMES ",Signature=" SIGNATURE "0"},
        {SIGV4_MALFORMED, START SCOPE "," NAMES ",Signature=X" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE "," SCOPE "," NAMES ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE "," NAMES ",Signature=" SIGNATURE ",Other=1"},
        {SIGV4_MALFORMED,
         START "Credential=K/20130524/us-east-1/s3/aws4," NAMES ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED,
         START "Credential=K/2013-05-24/us-east-1/s3/aws4_request," NAMES ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED,
         START "Credential=/20130524/us-east-1/s3/aws4_request," NAMES ",Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE ",SignedHeaders=host;x-amz-date;x-amz-content-sha256,"
                                      "Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE ",SignedHeaders=host;host;x-amz-content-sha256;x-amz-date,"
                                      "Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE ",SignedHeaders=Host;x-amz-content-sha256;x-amz-date,"
                                      "Signature=" SIGNATURE},
        {SIGV4_MALFORMED, START SCOPE ",SignedHeaders=;host,Signature=" SIGNATURE},
        {SIGV4_OTHER_DATE,
         START "Credential=K/20130523/us-east-1/s3/aws4_request," NAMES ",Signature=" SIGNATURE},
        {SIGV4_HOST_UNSIGNED, START SCOPE ",SignedHeaders=x-amz-content-sha256;x-amz-date,"
                                          "Signature=" SIGNATURE},
        {SIGV4_HEADER_UNSIGNED, START SCOPE ",SignedHeaders=host;x-amz-date,Signature=" SIGNATURE},
    };
    struct arena arena;
    arena_init(&arena);
    struct sigv4_signed_claim claim;
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        struct sample sample = s3_list;
        sample.authorization = fields[i].authorization;
        if (read_sample(&sample, &arena, &claim) != fields[i].fault)
            fail_msg("%s", fields[i].authorization == NULL ? "none" : fields[i].authorization);
    }
    static const char *const dates[] = {
        "", "\nx-amz-date:20130524", "\nx-amz-date:20130532T000000Z",
        "\nx-amz-date:Fri, 24 May 2013 00:00:00 GMT",
        "\nx-amz-date:20130524T000000Z\nx-amz-date:20130524T000000Z"};
    for (size_t i = 0; i < ARRAY_COUNT(dates); i++) {
        struct sample sample = s3_list;
        sample.headers = arena_format(&arena, "Host:" S3_HOST "%s", dates[i]);
        assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_NO_DATE);
    }
    struct sample twice = s3_list;
    twice.headers = arena_format(&arena, S3_LINES "\nAuthorization:%s", s3_list.authorization);
    assert_int_equal(read_sample(&twice, &arena, &claim), SIGV4_MALFORMED);
    arena_clear(&arena);
}

// Whatever of a request is as large as may be: it is refused, and nothing is overrun.
static void large_requests_are_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *large = arena_alloc(&arena, 40001);
    memset(large, '/', 40000);
    struct sigv4_signed_claim claim;
    struct sample sample = s3_list;
    sample.path = large;
    assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_MALFORMED);
    sample = s3_list;
    sample.query = arena_format(&arena, "prefix=%s", large);
    assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_MALFORMED);
    sample = s3_list;
    sample.headers = arena_format(&arena, S3_LINES "\ncookie:%s", large);
    assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_MALFORMED);
    memset(large, 'a', 40000);
    large[31000] = '\0';
    sample = s3_list;
    sample.authorization =
        arena_format(&arena, START SCOPE ",SignedHeaders=%s,Signature=" SIGNATURE, large);
    assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_MALFORMED);
    // The largest that are looked at.
    memset(large, '=', 19000);
    large[0] = '/';
    large[19000] = '\0';
    sample = s3_list;
    sample.path = large;
    assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_SOUND);
    assert_false(sigv4_claim_matches(&claim, S3_HOST, slice_text("x"), &arena));
    char host[8000];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    assert_false(sigv4_claim_matches(&claim, host, slice_text("x"), &arena));
    arena_clear(&arena);
}

static void a_body_must_be_the_signed_one(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct sigv4_signed_claim claim = {.payload = SIGV4_UNSIGNED_PAYLOAD};
    assert_true(sigv4_claim_fits(&claim, slice_text("anything")));
    static const char *const others[] = {"", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                         "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "unsigned-payload"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        claim.payload = others[i];
        assert_false(sigv4_claim_fits(&claim, slice_of(NULL, 0)));
    }
    // Without x-amz-content-sha256 it is that of nothing.
    struct sample sample = s3_list;
    sample.headers = "Host:" S3_HOST "\nx-amz-date:20130524T000000Z";
    assert_int_equal(read_sample(&sample, &arena, &claim), SIGV4_SOUND);
    assert_false(claim.has_payload);
    assert_string_equal(claim.payload, EMPTY_SHA256);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_suite_is_accepted),
        cmocka_unit_test(the_examples_of_s3_are_accepted),
        cmocka_unit_test(every_signed_part_counts),
        cmocka_unit_test(headers_that_are_not_signed_do_not_count),
        cmocka_unit_test(faults_have_names),
        cmocka_unit_test(large_requests_are_refused),
        cmocka_unit_test(a_body_must_be_the_signed_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
