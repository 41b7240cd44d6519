// SPDX-License-Identifier: Apache-2.0
// The hosted bucket for clients of S3: keys of a token, requests signed in their headers, lists,
// files, conditions, and every way to be refused.
#include "api_fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/mem.h"
#include "catalog/hosted_files.h"
#include "net/sigv4.h"
#include "net/sigv4_headers.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BYTES        "0123456789abcdefghij"
#define PARTS_MAX    ((size_t)8)
#define MINUTE_MS    INT64_C(60000)

struct keys {
    const char *id;
    const char *secret;
};

static struct keys keys_of(struct fixture *fixture, const char *token)
{
    const struct fixture_reply reply = fixture_get(fixture, token, "/v1/s3-credentials");
    assert_int_equal(reply.status, 200);
    return (struct keys){fixture_text(&reply, "access_key_id"),
                         fixture_text(&reply, "secret_access_key")};
}

// What is asked for, and how it is signed.
struct question {
    const char *method; // NULL: GET
    const char *path;   // decoded
    struct sigv4_pair query[PARTS_MAX];
    size_t query_count;
    const char *header; // a further signed one: "Range: bytes=0-1"
    const char *unsigned_header;
    const char *payload; // NULL: that of nothing
    const char *region;  // NULL: us-east-1
    const char *service; // NULL: s3
    int64_t late_ms;     // the client's clock
};

static struct fixture_reply ask(struct fixture *fixture, const struct keys *keys,
                                const struct question *question)
{
    const char *colon = question->header == NULL ? NULL : strchr(question->header, ':');
    struct http_client_header header = {0};
    if (colon != NULL) {
        const size_t size = (size_t)(colon - question->header);
        header.name = fixture_format(fixture, "%.*s", (int)size, question->header);
        header.value = colon + 2;
    }
    const char *method = question->method == NULL ? "GET" : question->method;
    const struct sigv4_request request = {
        .method = method,
        .host = fixture->host,
        .path = question->path,
        .query = question->query,
        .query_count = question->query_count,
        .headers = &header,
        .header_count = colon == NULL ? 0 : 1,
        .payload_sha256 = question->payload == NULL ? EMPTY_SHA256 : question->payload,
        .key_id = keys->id,
        .secret = slice_text(keys->secret),
        .region = question->region == NULL ? "us-east-1" : question->region,
        .service = question->service == NULL ? "s3" : question->service,
        .signed_at_ms = fixture->clock.now_wall_ms + question->late_ms,
    };
    struct sigv4_signed result;
    sigv4_sign_headers(&request, &fixture->arena, &result);
    const char *lines = question->unsigned_header == NULL
                            ? ""
                            : fixture_format(fixture, "%s\r\n", question->unsigned_header);
    for (size_t i = 0; i < result.header_count; i++)
        if (strcmp(result.headers[i].name, "Host") != 0)
            lines = fixture_format(fixture, "%s%s: %s\r\n", lines, result.headers[i].name,
                                   result.headers[i].value);
    return fixture_call(fixture, method, result.target, lines, slice_of(NULL, 0));
}

static struct fixture_reply get(struct fixture *fixture, const struct keys *keys, const char *path)
{
    const struct question question = {.path = path};
    return ask(fixture, keys, &question);
}

static struct sigv4_pair pair(const char *name, const char *value)
{
    return (struct sigv4_pair){slice_text(name), slice_text(value)};
}

static void assert_code(const struct fixture_reply *reply, int status, const char *code)
{
    static const char start[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>";
    const char *body = slice_chars(reply->body);
    assert_int_equal(reply->status, status);
    if (strncmp(body, start, sizeof start - 1) != 0 ||
        strncmp(body + sizeof start - 1, code, strlen(code)) != 0)
        fail_msg("%s", body);
}

// The key of a file of `mine` that a job published just now.
static const char *publish(struct fixture *fixture)
{
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 1);
    return fixture_format(fixture,
                          "v2/y=2026/m=11/d=23/app_id=%s/job_id=%s/task_id=0/part-0.csv.gz",
                          fixture->mine.app_id, fixture_finish_job(fixture, BYTES));
}

static const char *hash_of(struct fixture *fixture)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(BYTES), digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    return fixture_format(fixture, "%s", hex);
}

// --- Keys

static void keys_are_those_of_the_token_that_asks(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_reply reply = fixture_get(fixture, fixture->mine.token,
                                                   "/v1/s3-credentials");
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "endpoint"),
                        fixture_format(fixture, "http://%s", fixture->host));
    assert_string_equal(fixture_text(&reply, "bucket"), "exports");
    assert_string_equal(fixture_text(&reply, "region"), "us-east-1");
    assert_string_equal(fixture_text(&reply, "access_key_id"), fixture->mine.key_id);
    const char *secret = fixture_text(&reply, "secret_access_key");
    assert_int_equal(strlen(secret), 40);
    assert_null(strstr(fixture->mine.token, secret));
    assert_string_equal(keys_of(fixture, fixture->mine.token).secret, secret);
    assert_string_not_equal(keys_of(fixture, fixture->theirs.token).secret, secret);
    const char *ingests = fixture_token(fixture, &fixture->mine, NULL, TENANT_INGEST);
    const struct fixture_reply refused = fixture_get(fixture, ingests, "/v1/s3-credentials");
    fixture_assert_error(&refused, 403, "Token lacks permission: export");
}

static void rotation_changes_the_secret_with_a_grace(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    struct tenant_token details;
    const char *token = NULL;
    const struct keys before = keys_of(fixture, fixture->mine.token);
    assert_true(tenant_rotate_token(fixture->catalog, fixture->mine.key_id, 5 * MINUTE_MS,
                                    FIXTURE_NOW_MS, &fixture->arena, &details, &token, &err));
    const struct keys after = keys_of(fixture, token);
    assert_string_equal(after.id, before.id);
    assert_string_not_equal(after.secret, before.secret);
    // Who has the old token is told the old secret.
    assert_string_equal(keys_of(fixture, fixture->mine.token).secret, before.secret);
    assert_int_equal(get(fixture, &before, "/exports").status, 200);
    assert_int_equal(get(fixture, &after, "/exports").status, 200);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 5 * MINUTE_MS;
    struct fixture_reply reply = get(fixture, &before, "/exports");
    assert_code(&reply, 403, "SignatureDoesNotMatch");
    assert_int_equal(get(fixture, &after, "/exports").status, 200);
    assert_true(tenant_revoke_token(fixture->catalog, fixture->mine.key_id, FIXTURE_NOW_MS, &err));
    reply = get(fixture, &after, "/exports");
    assert_code(&reply, 403, "InvalidAccessKeyId");
}

static void other_keys_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *key = publish(fixture);
    const char *paths[] = {"/", "/exports", "/exports/",
                           fixture_format(fixture, "/exports/%s", key)};
    const struct keys mine = keys_of(fixture, fixture->mine.token);
    const struct keys theirs = keys_of(fixture, fixture->theirs.token);
    const struct keys mixed = {mine.id, theirs.secret};
    const struct keys unknown = {"AAAAAAAAAA", mine.secret};
    const char *ingests = fixture_token(fixture, &fixture->mine, NULL, TENANT_INGEST);
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        assert_int_equal(get(fixture, &mine, paths[i]).status, 200);
        struct fixture_reply reply = get(fixture, &mixed, paths[i]);
        assert_code(&reply, 403, "SignatureDoesNotMatch");
        reply = get(fixture, &unknown, paths[i]);
        assert_code(&reply, 403, "InvalidAccessKeyId");
        reply = fixture_call(fixture, "GET", paths[i], NULL, slice_of(NULL, 0));
        assert_code(&reply, 403, i < 2 ? "AccessDenied" : "SignatureDoesNotMatch");
        reply = fixture_get(fixture, fixture->mine.token, paths[i]);
        assert_int_equal(reply.status, 403);
        reply = fixture_call(fixture, "GET", paths[i], "Authorization: Bearer x\r\n",
                             slice_of(NULL, 0));
        assert_code(&reply, 400, "InvalidRequest");
        reply = fixture_call(fixture, "GET", paths[i], "Authorization: AWS4-HMAC-SHA256 x\r\n",
                             slice_of(NULL, 0));
        assert_code(&reply, 400, "AuthorizationHeaderMalformed");
    }
    // What the token may not do, its keys may not do. An operator's has nothing to see.
    const struct fixture_reply hidden = fixture_get(fixture, ingests, "/v1/s3-credentials");
    assert_int_equal(hidden.status, 403);
    const struct fixture_reply operators = fixture_get(fixture, fixture->admin_token,
                                                       "/v1/s3-credentials");
    assert_int_equal(operators.status, 403);
}

static void what_is_signed_must_be_sound(void **state)
{
    struct fixture *fixture = *state;
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    const struct {
        struct question question;
        int status;
        const char *code;
    } cases[] = {
        {{.path = "/exports", .late_ms = 15 * MINUTE_MS}, 200, ""},
        {{.path = "/exports", .late_ms = -15 * MINUTE_MS}, 200, ""},
        {{.path = "/exports", .late_ms = 15 * MINUTE_MS + 1000}, 403, "RequestTimeTooSkewed"},
        {{.path = "/exports", .late_ms = -15 * MINUTE_MS - 1000}, 403, "RequestTimeTooSkewed"},
        {{.path = "/exports", .region = "eu-central-1"}, 200, ""},
        {{.path = "/exports", .service = "sts"}, 400, "AuthorizationHeaderMalformed"},
        {{.path = "/exports", .payload = SIGV4_UNSIGNED_PAYLOAD}, 200, ""},
        {{.path = "/exports", .payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
         400,
         "XAmzContentSHA256Mismatch"},
        {{.path = "/exports",
          .payload = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"},
         400,
         "XAmzContentSHA256Mismatch"},
        {{.path = "/exports", .header = "X-Amz-Meta-A: 1"}, 200, ""},
        {{.path = "/exports", .unsigned_header = "X-Amz-Meta-A: 1"}, 403, "AccessDenied"},
        {{.path = "/exports", .unsigned_header = "X-Amz-Date: 20261123T102000Z"},
         403,
         "AccessDenied"},
        {{.path = "/exports", .unsigned_header = "X-Other: 1"}, 200, ""},
        {{.path = "/exports", .unsigned_header = "Authorization: Bearer x"},
         400,
         "InvalidArgument"},
        {{.path = "/exports/none", .query = {pair("X-Amz-Signature", "1")}, .query_count = 1},
         400,
         "InvalidArgument"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct fixture_reply reply = ask(fixture, &keys, &cases[i].question);
        if (cases[i].status == 200)
            assert_int_equal(reply.status, 200);
        else
            assert_code(&reply, cases[i].status, cases[i].code);
        // Whether it is for a client of S3 is said by the first Authorization field.
        const bool is_client = strcmp(cases[i].code, "InvalidArgument") != 0;
        assert_true(is_client == (fixture_header(fixture, &reply, "x-amz-request-id") != NULL) ||
                    cases[i].question.query_count > 0);
    }
}

// --- Lists

static const char *text_of(struct fixture *fixture, const struct fixture_reply *reply,
                           const char *name)
{
    const char *open = fixture_format(fixture, "<%s>", name);
    const char *start = strstr(slice_chars(reply->body), open);
    if (start == NULL)
        return NULL;
    start += strlen(open);
    return fixture_format(fixture, "%.*s", (int)(strstr(start, "</") - start), start);
}

static void a_file_is_listed(void **state)
{
    struct fixture *fixture = *state;
    const char *key = publish(fixture);
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    struct question question = {.path = "/exports",
                                .query = {pair("list-type", "2"), pair("prefix", "v2/y=2026")},
                                .query_count = 2};
    struct fixture_reply reply = ask(fixture, &keys, &question);
    assert_string_equal(fixture_header(fixture, &reply, "content-type"), "application/xml");
    assert_string_equal(
        slice_chars(reply.body),
        fixture_format(fixture,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                       "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>exports</Name>"
                       "<Prefix>v2/y=2026</Prefix><MaxKeys>1000</MaxKeys><KeyCount>1</KeyCount>"
                       "<IsTruncated>false</IsTruncated><Contents><Key>%s</Key>"
                       "<LastModified>2026-11-23T10:20:00.000Z</LastModified>"
                       "<ETag>&quot;%s-1&quot;</ETag><Size>20</Size>"
                       "<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>",
                       key, hash_of(fixture)));
    question.query[2] = pair("encoding-type", "url");
    question.query[3] = pair("fetch-owner", "true");
    question.query_count = 4;
    reply = ask(fixture, &keys, &question);
    assert_string_equal(text_of(fixture, &reply, "Prefix"), "v2/y%3D2026");
    assert_non_null(strstr(text_of(fixture, &reply, "Key"), "v2/y%3D2026/m%3D11/"));
    assert_string_equal(text_of(fixture, &reply, "ID"), fixture->mine.organization_id);
    question = (struct question){.path = "/exports",
                                 .query = {pair("delimiter", "/"), pair("prefix", "")},
                                 .query_count = 2};
    reply = ask(fixture, &keys, &question);
    assert_non_null(strstr(slice_chars(reply.body),
                           "<Prefix></Prefix><Delimiter>/</Delimiter><MaxKeys>1000</MaxKeys>"
                           "<Marker></Marker><IsTruncated>false</IsTruncated>"
                           "<CommonPrefixes><Prefix>v2/</Prefix></CommonPrefixes>"));
    const struct keys theirs = keys_of(fixture, fixture->theirs.token);
    reply = get(fixture, &theirs, "/exports");
    assert_null(text_of(fixture, &reply, "Key"));
}

static void the_bucket_is_shown(void **state)
{
    struct fixture *fixture = *state;
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    struct fixture_reply reply = get(fixture, &keys, "/");
    assert_string_equal(text_of(fixture, &reply, "Name"), "exports");
    assert_string_equal(text_of(fixture, &reply, "ID"), fixture->mine.organization_id);
    assert_non_null(text_of(fixture, &reply, "CreationDate"));
    struct question question = {
        .path = "/exports", .query = {pair("location", "")}, .query_count = 1};
    reply = ask(fixture, &keys, &question);
    assert_non_null(strstr(slice_chars(reply.body), "></LocationConstraint>"));
    question = (struct question){.method = "HEAD", .path = "/exports"};
    reply = ask(fixture, &keys, &question);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.size_bytes, 0);
    assert_string_equal(fixture_header(fixture, &reply, "x-amz-bucket-region"), "us-east-1");
}

static void parameters_are_checked(void **state)
{
    struct fixture *fixture = *state;
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    static const struct {
        const char *name;
        const char *value;
    } bad[] = {
        {"list-type", "1"},       {"list-type", ""},          {"max-keys", "-1"},
        {"max-keys", "ten"},      {"max-keys", "1 "},         {"encoding-type", "base64"},
        {"prefix", "a\x01"},      {"delimiter", "\x02"},      {"marker", "\x1f"},
        {"fetch-owner", "maybe"}, {"prefix", "\xef\xbf\xbf"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        const struct question question = {
            .path = "/exports", .query = {pair(bad[i].name, bad[i].value)}, .query_count = 1};
        const struct fixture_reply reply = ask(fixture, &keys, &question);
        assert_code(&reply, 400, "InvalidArgument");
        assert_string_equal(text_of(fixture, &reply, "Message"),
                            fixture_format(fixture, "Invalid parameter: %s", bad[i].name));
    }
    static const char *const tokens[] = {"x", "6", "62", "6261 ", "7a61", "zz", "6261zz"};
    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++) {
        const struct question question = {
            .path = "/exports",
            .query = {pair("list-type", "2"), pair("continuation-token", tokens[i])},
            .query_count = 2};
        const struct fixture_reply reply = ask(fixture, &keys, &question);
        assert_code(&reply, 400, "InvalidArgument");
    }
    const struct question twice = {
        .path = "/exports", .query = {pair("prefix", "a"), pair("prefix", "a")}, .query_count = 2};
    struct fixture_reply reply = ask(fixture, &keys, &twice);
    assert_code(&reply, 400, "InvalidArgument");
    // Whatever a name may be made of, encoded it fits.
    const struct question encoded = {
        .path = "/exports",
        .query = {pair("prefix", "a\x01 <&>\"+%\xc3\xa9"), pair("encoding-type", "url")},
        .query_count = 2};
    reply = ask(fixture, &keys, &encoded);
    assert_string_equal(text_of(fixture, &reply, "Prefix"), "a%01%20%3C%26%3E%22%2B%25%C3%A9");
    const struct question plain = {
        .path = "/exports", .query = {pair("prefix", "<&>\"\n\xc3\xa9")}, .query_count = 1};
    reply = ask(fixture, &keys, &plain);
    assert_string_equal(text_of(fixture, &reply, "Prefix"), "&lt;&amp;&gt;&quot;&#10;\xc3\xa9");
    // A token of bytes that are in no key.
    const struct question beyond = {.path = "/exports",
                                    .query = {pair("list-type", "2"),
                                              pair("continuation-token", "62ffff"),
                                              pair("delimiter", "/"), pair("max-keys", "99999")},
                                    .query_count = 4};
    reply = ask(fixture, &keys, &beyond);
    assert_string_equal(text_of(fixture, &reply, "KeyCount"), "0");
    assert_string_equal(text_of(fixture, &reply, "MaxKeys"), "1000");
}

static void pages_follow_each_other(void **state)
{
    struct fixture *fixture = *state;
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 3);
    for (int i = 0; i < 3; i++)
        (void)fixture_finish_job(fixture, BYTES);
    for (int version = 1; version <= 2; version++) {
        const char *name = version == 2 ? "continuation-token" : "marker";
        const char *place = "";
        const char *last = "";
        int count = 0;
        for (; place != NULL; count++) {
            struct question question = {.path = "/exports",
                                        .query = {pair("max-keys", "1"), pair(name, place)},
                                        .query_count = 2};
            if (version == 2)
                question.query[question.query_count++] = pair("list-type", "2");
            const struct fixture_reply reply = ask(fixture, &keys, &question);
            const char *key = text_of(fixture, &reply, "Key");
            assert_true(strcmp(last, key) < 0);
            last = key;
            place = text_of(fixture, &reply, version == 2 ? "NextContinuationToken" : "NextMarker");
            assert_string_equal(text_of(fixture, &reply, "IsTruncated"),
                                place == NULL ? "false" : "true");
        }
        assert_int_equal(count, 3);
        const struct question none = {
            .path = "/exports", .query = {pair("max-keys", "0")}, .query_count = 1};
        const struct fixture_reply reply = ask(fixture, &keys, &none);
        assert_null(text_of(fixture, &reply, "Key"));
        assert_string_equal(text_of(fixture, &reply, "IsTruncated"), "false");
        // "//" behind a marker: the prefix of the key was not listed yet.
        const struct question amid = {
            .path = "/exports",
            .query = {pair("delimiter", "/"), pair("marker", "v2/y=2026//")},
            .query_count = 2};
        const struct fixture_reply rest = ask(fixture, &keys, &amid);
        assert_string_equal(text_of(fixture, &rest, "CommonPrefixes"), "<Prefix>v2/");
    }
}

// --- Files

static void a_file_is_fetched(void **state)
{
    struct fixture *fixture = *state;
    const char *path = fixture_format(fixture, "/exports/%s", publish(fixture));
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    const char *etag = fixture_format(fixture, "\"%s-1\"", hash_of(fixture));
    struct fixture_reply reply = get(fixture, &keys, path);
    assert_int_equal(reply.status, 200);
    assert_string_equal(slice_chars(reply.body), BYTES);
    assert_string_equal(fixture_header(fixture, &reply, "etag"), etag);
    assert_string_equal(fixture_header(fixture, &reply, "last-modified"),
                        "Mon, 23 Nov 2026 10:20:00 GMT");
    assert_string_equal(fixture_header(fixture, &reply, "content-length"), "20");
    assert_non_null(fixture_header(fixture, &reply, "x-amz-request-id"));
    assert_null(fixture_header(fixture, &reply, "x-amz-checksum-sha256"));
    const struct question head = {.method = "HEAD", .path = path};
    reply = ask(fixture, &keys, &head);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.size_bytes, 0);
    assert_string_equal(fixture_header(fixture, &reply, "content-length"), "20");
    const struct question part = {.path = path, .header = "Range: bytes=3-5"};
    reply = ask(fixture, &keys, &part);
    assert_int_equal(reply.status, 206);
    assert_string_equal(slice_chars(reply.body), "345");
    const struct question checked = {.path = path, .header = "x-amz-checksum-mode: ENABLED"};
    reply = ask(fixture, &keys, &checked);
    assert_string_equal(fixture_header(fixture, &reply, "x-amz-checksum-sha256"),
                        "a8FL3EUXp6aCxpEN4uKUbrjh7NBAkHKP720JKnzrYsU=");
    const struct question beyond = {.path = path, .header = "Range: bytes=20-"};
    reply = ask(fixture, &keys, &beyond);
    assert_code(&reply, 416, "InvalidRange");
}

static void conditions_are_kept(void **state)
{
    struct fixture *fixture = *state;
    const char *path = fixture_format(fixture, "/exports/%s", publish(fixture));
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    const char *hash = hash_of(fixture);
    const struct {
        const char *header;
        int status;
    } cases[] = {
        {fixture_format(fixture, "If-None-Match: \"%s-1\"", hash), 304},
        {fixture_format(fixture, "If-None-Match: \"%s\"", hash), 304},
        {"If-None-Match: \"other\"", 200},
        {fixture_format(fixture, "If-Match: \"%s-1\"", hash), 200},
        {fixture_format(fixture, "If-Match: \"%s\"", hash), 200},
        {"If-Match: *", 200},
        {fixture_format(fixture, "If-Match: W/\"%s\"", hash), 412},
        {"If-Match: \"other\"", 412},
        {"If-Modified-Since: Mon, 23 Nov 2026 10:20:00 GMT", 304},
        {"If-Modified-Since: Mon, 23 Nov 2026 10:19:59 GMT", 200},
        {"If-Modified-Since: yesterday", 200},
        {"If-Unmodified-Since: Mon, 23 Nov 2026 10:20:00 GMT", 200},
        {"If-Unmodified-Since: Mon, 23 Nov 2026 10:19:59 GMT", 412},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct question question = {.path = path, .header = cases[i].header};
        const struct fixture_reply reply = ask(fixture, &keys, &question);
        if (reply.status != cases[i].status)
            fail_msg("%s: %d", cases[i].header, reply.status);
        if (reply.status == 412)
            assert_code(&reply, 412, "PreconditionFailed");
    }
    // ETags go before times.
    const struct question both = {
        .path = path,
        .header = "If-None-Match: \"other\"",
        .unsigned_header = "If-Modified-Since: Mon, 23 Nov 2026 10:20:00 GMT"};
    assert_int_equal(ask(fixture, &keys, &both).status, 200);
    static const struct {
        const char *if_range;
        int status;
    } ranges[] = {{"If-Range: Mon, 23 Nov 2026 10:20:00 GMT", 206},
                  {"If-Range: Mon, 23 Nov 2026 10:20:01 GMT", 200}};
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        const struct question question = {
            .path = path, .header = "Range: bytes=0-0", .unsigned_header = ranges[i].if_range};
        assert_int_equal(ask(fixture, &keys, &question).status, ranges[i].status);
    }
}

static void only_own_files_are_seen(void **state)
{
    struct fixture *fixture = *state;
    const char *key = publish(fixture);
    const char *path = fixture_format(fixture, "/exports/%s", key);
    const char *const tokens[] = {
        fixture->mine.token,
        fixture_token(fixture, &fixture->mine, fixture->mine.app_id, TENANT_EXPORT),
        fixture_token(fixture, &fixture->mine, fixture->mine.other_app_id, TENANT_EXPORT),
        fixture->theirs.token,
    };
    for (size_t i = 0; i < ARRAY_COUNT(tokens); i++) {
        const struct keys keys = keys_of(fixture, tokens[i]);
        struct fixture_reply reply = get(fixture, &keys, path);
        if (i < 2)
            assert_int_equal(reply.status, 200);
        else
            assert_code(&reply, 404, "NoSuchKey");
        reply = get(fixture, &keys, "/exports");
        const char *listed = text_of(fixture, &reply, "Key");
        assert_true(i < 2 ? listed != NULL && strcmp(listed, key) == 0 : listed == NULL);
        reply = get(fixture, &keys, "/exports/v2/none");
        assert_code(&reply, 404, "NoSuchKey");
    }
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    int64_t count = 0;
    struct err err;
    assert_true(
        job_expire(fixture->catalog, FIXTURE_NOW_MS + INT64_C(604800001), 10, &count, &err));
    struct fixture_reply reply = get(fixture, &keys, path);
    assert_code(&reply, 404, "NoSuchKey");
    reply = get(fixture, &keys, "/exports");
    assert_null(text_of(fixture, &reply, "Key"));
}

// --- URLs that clients sign

static const char *presigned(struct fixture *fixture, const struct keys *keys, const char *key,
                             const char *region)
{
    const struct sigv4_url url = {
        .host = fixture->host,
        .path = fixture_format(fixture, "/exports/%s", key),
        .key_id = keys->id,
        .secret = slice_text(keys->secret),
        .region = region,
        .signed_at_ms = FIXTURE_NOW_MS,
        .expires_s = 60,
    };
    return sigv4_sign_url(&url, &fixture->arena);
}

static struct fixture_reply open_url(struct fixture *fixture, const char *target)
{
    return fixture_call(fixture, "GET", target, NULL, slice_of(NULL, 0));
}

static void clients_sign_urls_with_their_keys(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    const char *key = publish(fixture);
    const struct keys mine = keys_of(fixture, fixture->mine.token);
    const struct keys theirs = keys_of(fixture, fixture->theirs.token);
    const char *url = presigned(fixture, &mine, key, "eu-west-1");
    struct fixture_reply reply = open_url(fixture, url);
    assert_int_equal(reply.status, 200);
    assert_string_equal(slice_chars(reply.body), BYTES);
    assert_int_equal(open_url(fixture, presigned(fixture, &mine, key, "us-east-1")).status, 200);
    reply = open_url(fixture, presigned(fixture, &theirs, key, "us-east-1"));
    assert_code(&reply, 404, "NoSuchKey");
    const struct keys mixed = {mine.id, theirs.secret};
    reply = open_url(fixture, presigned(fixture, &mixed, key, "us-east-1"));
    assert_code(&reply, 403, "SignatureDoesNotMatch");
    reply = open_url(fixture, fixture_format(fixture, "%s&x-id=GetObject", url));
    assert_code(&reply, 403, "SignatureDoesNotMatch");
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 60000;
    reply = open_url(fixture, url);
    assert_code(&reply, 403, "AccessDenied");
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS;
    assert_true(tenant_revoke_token(fixture->catalog, fixture->mine.key_id, FIXTURE_NOW_MS, &err));
    reply = open_url(fixture, url);
    assert_code(&reply, 403, "SignatureDoesNotMatch");
}

// --- What it does not do

static void it_is_read_only(void **state)
{
    struct fixture *fixture = *state;
    const char *path = fixture_format(fixture, "/exports/%s", publish(fixture));
    const struct keys keys = keys_of(fixture, fixture->mine.token);
    static const char *const methods[] = {"PUT", "POST", "DELETE", "PATCH"};
    const char *paths[] = {path, "/exports", "/", "/exports/"};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        for (size_t k = 0; k < ARRAY_COUNT(paths); k++) {
            const struct question question = {.method = methods[i], .path = paths[k]};
            struct fixture_reply reply = ask(fixture, &keys, &question);
            assert_code(&reply, 405, "MethodNotAllowed");
            assert_non_null(strstr(fixture_header(fixture, &reply, "allow"), "GET"));
            reply = fixture_call(fixture, methods[i], paths[k], NULL, slice_of(NULL, 0));
            fixture_assert_error(&reply, 405, "Method not allowed");
        }
    const struct fixture_reply large = fixture_call(
        fixture, "PUT", path, "Authorization: AWS4-HMAC-SHA256 x\r\nContent-Length: 9000000000\r\n",
        slice_of(NULL, 0));
    assert_code(&large, 405, "MethodNotAllowed");
    static const char *const parameters[] = {
        "acl",        "versioning",           "uploads", "tagging", "versionId",
        "partNumber", "response-content-type"};
    for (size_t i = 0; i < ARRAY_COUNT(parameters); i++)
        for (size_t k = 0; k < ARRAY_COUNT(paths); k++) {
            const struct question question = {
                .path = paths[k], .query = {pair(parameters[i], "")}, .query_count = 1};
            const struct fixture_reply reply = ask(fixture, &keys, &question);
            assert_code(&reply, 501, "NotImplemented");
        }
    const struct question unknown = {
        .path = path, .query = {pair("x-id", "GetObject")}, .query_count = 1};
    assert_int_equal(ask(fixture, &keys, &unknown).status, 200);
    struct fixture_reply reply = get(fixture, &keys, "/other");
    assert_code(&reply, 404, "NoSuchBucket");
    reply = fixture_call(fixture, "GET", "/other", NULL, slice_of(NULL, 0));
    fixture_assert_error(&reply, 404, "Not found");
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(keys_are_those_of_the_token_that_asks),
        API_TEST(rotation_changes_the_secret_with_a_grace),
        API_TEST(other_keys_are_refused),
        API_TEST(what_is_signed_must_be_sound),
        API_TEST(a_file_is_listed),
        API_TEST(the_bucket_is_shown),
        API_TEST(parameters_are_checked),
        API_TEST(pages_follow_each_other),
        API_TEST(a_file_is_fetched),
        API_TEST(conditions_are_kept),
        API_TEST(only_own_files_are_seen),
        API_TEST(clients_sign_urls_with_their_keys),
        API_TEST(it_is_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
