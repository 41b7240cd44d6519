// SPDX-License-Identifier: Apache-2.0
// Downloads by signed URL: the whole way from the jobs call to the bytes, and every way to be
// refused.
#include "api_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "net/sigv4.h"

#define BYTES "0123456789abcdefghij"

struct download {
    const char *job_id;
    const char *target; // path and query of the signed URL
    const char *key;
};

static struct download make_download(struct fixture *fixture)
{
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 1);
    struct download download = {.job_id = fixture_finish_job(fixture, BYTES)};
    const struct fixture_reply reply = fixture_get(
        fixture, fixture->mine.token, fixture_format(fixture, "/v1/jobs/%s", download.job_id));
    const struct json_node *urls = json_node_get(reply.json, "export_url");
    const char *url = slice_chars(json_node_text(json_node_at(urls, 0)));
    const char *base = fixture_format(fixture, "http://%s", fixture->host);
    assert_memory_equal(url, base, strlen(base));
    download.target = url + strlen(base);
    download.key = fixture_format(fixture,
                                  "v2/y=2026/m=11/d=23/app_id=%s/job_id=%s/task_id=0/part-0.csv.gz",
                                  fixture->mine.app_id, download.job_id);
    return download;
}

static struct fixture_reply fetch(struct fixture *fixture, const char *target, const char *headers)
{
    return fixture_call(fixture, "GET", target, headers, slice_of(NULL, 0));
}

static void assert_xml(struct fixture *fixture, const struct fixture_reply *reply, int status,
                       const char *code, const char *message)
{
    assert_int_equal(reply->status, status);
    const char *start = fixture_format(fixture,
                                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>"
                                       "%s</Code><Message>%s</Message><RequestId>",
                                       code, message);
    if (strncmp(slice_chars(reply->body), start, strlen(start)) != 0)
        fail_msg("%s", slice_chars(reply->body));
    assert_string_equal(fixture_header(fixture, reply, "content-type"), "application/xml");
}

static const char *etag_of(struct fixture *fixture)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(slice_text(BYTES), digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    return fixture_format(fixture, "\"%s\"", hex);
}

// target with the first `from` replaced.
static const char *replaced(struct fixture *fixture, const char *target, const char *from,
                            const char *to)
{
    const char *at = strstr(target, from);
    assert_non_null(at);
    return fixture_format(fixture, "%.*s%s%s", (int)(at - target), target, to, at + strlen(from));
}

static void a_file_is_downloaded(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    struct fixture_reply reply = fetch(fixture, download.target, NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(slice_chars(reply.body), BYTES);
    assert_string_equal(fixture_header(fixture, &reply, "content-type"),
                        "application/octet-stream");
    assert_string_equal(fixture_header(fixture, &reply, "content-length"), "20");
    assert_string_equal(fixture_header(fixture, &reply, "content-disposition"),
                        "attachment; filename=\"part-0.csv.gz\"");
    assert_string_equal(fixture_header(fixture, &reply, "etag"), etag_of(fixture));
    assert_string_equal(fixture_header(fixture, &reply, "accept-ranges"), "bytes");
    assert_null(fixture_header(fixture, &reply, "content-encoding"));
    // A token that comes along is not looked at.
    reply = fetch(fixture, download.target, "access-token: nonsense\r\n");
    assert_int_equal(reply.status, 200);
    reply = fixture_call(fixture, "HEAD", download.target, NULL, slice_of(NULL, 0));
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.size_bytes, 0);
    assert_string_equal(fixture_header(fixture, &reply, "content-length"), "20");
}

static void an_equals_sign_may_be_written_either_way(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    const char *const same[] = {
        replaced(fixture, download.target, "y%3D2026", "y=2026"),
        replaced(fixture, download.target, "y%3D2026", "y%3d2026"),
    };
    for (size_t i = 0; i < ARRAY_COUNT(same); i++)
        assert_int_equal(fetch(fixture, same[i], NULL).status, 200);
}

static void any_change_is_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    const char *target = download.target;
    const char *signature = strstr(target, "X-Amz-Signature=");
    assert_non_null(signature);
    char digit[2] = {signature[16] == '0' ? '1' : '0', '\0'};
    const char *flipped = fixture_format(fixture, "%.*sX-Amz-Signature=%s%s",
                                         (int)(signature - target), target, digit, signature + 17);
    const char *const targets[] = {
        flipped,
        fixture_format(fixture, "%.*s", (int)strlen(target) - 1, target),
        fixture_format(fixture, "%s0", target),
        fixture_format(fixture, "%s&x=1", target),
        fixture_format(fixture, "%s&response-content-type=text/html", target),
        replaced(fixture, target, "X-Amz-Expires=604800", "X-Amz-Expires=604801"),
        replaced(fixture, target, "X-Amz-Expires=604800", "X-Amz-Expires=604799"),
        replaced(fixture, target, "X-Amz-Expires=604800", "X-Amz-Expires=0"),
        replaced(fixture, target, "X-Amz-Date=20261123", "X-Amz-Date=20261124"),
        replaced(fixture, target, "us-east-1", "us-west-1"),
        replaced(fixture, target, fixture->mine.key_id, fixture->theirs.key_id),
        replaced(fixture, target, "SignedHeaders=host", "SignedHeaders=host;x"),
        replaced(fixture, target, "y%3D2026", "y%253D2026"),
        replaced(fixture, target, "y%3D2026", "%79%3D2026"),
        replaced(fixture, target, "/v2/", "//v2/"),
        replaced(fixture, target, "part-0.csv.gz?", "part-0.csv.gz/?"),
        replaced(fixture, target, "part-0.csv.gz?", "part-1.csv.gz?"),
        replaced(fixture, target, "part-0.csv.gz?", "?"),
        fixture_format(fixture, "%.*s", (int)strcspn(target, "?"), target),
        "/exports/catalog.db",
        "/exports/",
    };
    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        const struct fixture_reply reply = fetch(fixture, targets[i], NULL);
        if (reply.status == 400) // a path that the server itself does not take
            fixture_assert_error(&reply, 400, "Invalid path");
        else
            assert_xml(fixture, &reply, 403, "SignatureDoesNotMatch", "Invalid signature");
    }
    const struct fixture_reply dots = fetch(fixture,
                                            replaced(fixture, target, "/v2/", "/v2/../v2/"), NULL);
    fixture_assert_error(&dots, 400, "Invalid path");
    const struct fixture_reply both = fetch(fixture, target,
                                            "Authorization: AWS4-HMAC-SHA256 x\r\n");
    assert_xml(fixture, &both, 400, "InvalidArgument",
               "Only one authentication mechanism is allowed");
}

static void urls_expire(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + INT64_C(604800000) - 1000;
    assert_int_equal(fetch(fixture, download.target, NULL).status, 200);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + INT64_C(604800000);
    struct fixture_reply reply = fetch(fixture, download.target, "Range: bytes=5-\r\n");
    assert_xml(fixture, &reply, 403, "AccessDenied", "Request has expired");
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS - 14 * 60000;
    assert_int_equal(fetch(fixture, download.target, NULL).status, 200);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS - 16 * 60000;
    reply = fetch(fixture, download.target, NULL);
    assert_xml(fixture, &reply, 403, "SignatureDoesNotMatch", "Invalid signature");
}

static void revoking_the_token_stops_its_urls(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    const struct download download = make_download(fixture);
    assert_int_equal(fetch(fixture, download.target, NULL).status, 200);
    assert_true(tenant_revoke_token(fixture->catalog, fixture->mine.key_id, FIXTURE_NOW_MS, &err));
    const struct fixture_reply reply = fetch(fixture, download.target, NULL);
    assert_xml(fixture, &reply, 403, "AccessDenied", "Access revoked");
}

static void missing_files_are_404(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    const struct download download = make_download(fixture);
    // Signed rightly, but no job's file.
    uint8_t secret[SHA256_BYTES];
    hmac_sha256(slice_of("0123456789abcdef0123456789abcde", 32), slice_text(fixture->mine.key_id),
                secret);
    const struct sigv4_url url = {
        .host = fixture->host,
        .path = "/exports/v2/none.csv.gz",
        .key_id = fixture->mine.key_id,
        .secret = slice_of(secret, sizeof secret),
        .region = "us-east-1",
        .signed_at_ms = FIXTURE_NOW_MS,
        .expires_s = 60,
    };
    struct fixture_reply reply = fetch(fixture, sigv4_sign_url(&url, &fixture->arena), NULL);
    assert_xml(fixture, &reply, 404, "NoSuchKey", "Export file not found");
    // A symbolic link in the place of the file is not followed.
    const char *path = fixture_format(fixture, "%s/exports/%s", fixture->directory, download.key);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    reply = fetch(fixture, download.target, NULL);
    assert_int_not_equal(reply.status, 200);
    assert_int_equal(unlink(path), 0);
    reply = fetch(fixture, download.target, NULL);
    assert_xml(fixture, &reply, 404, "NoSuchKey", "Export file not found");
    // Retention.
    int64_t count = 0;
    assert_true(
        job_expire(fixture->catalog, FIXTURE_NOW_MS + INT64_C(604800000) + 1, 10, &count, &err));
    reply = fetch(fixture, download.target, NULL);
    assert_xml(fixture, &reply, 404, "NoSuchKey", "Export file not found");
}

// P8: a file that is not what the job published is not delivered.
static void a_file_of_another_size_is_not_served(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    const char *path = fixture_format(fixture, "%s/exports/%s", fixture->directory, download.key);
    assert_int_equal(truncate(path, 7), 0);
    const struct fixture_reply reply = fetch(fixture, download.target, NULL);
    assert_xml(fixture, &reply, 500, "InternalError",
               "Our product is failing to serve your request at this moment. Please try again "
               "later.");
}

#define INTERNAL                                                                                   \
    "Our product is failing to serve your request at this moment. Please try again later."

static void write_byte(struct fixture *fixture, const struct download *download, char byte)
{
    const char *path = fixture_format(fixture, "%s/exports/%s", fixture->directory, download->key);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &byte, 1, 12), 1);
    assert_int_equal(close(fd), 0);
}

static void assert_verified(struct fixture *fixture, int count)
{
    const struct fixture_reply reply = fixture_get(fixture, NULL, "/metrics");
    const char *line = fixture_format(fixture, "\nmilkrun_bucket_files_verified_total %d\n", count);
    assert_non_null(strstr(slice_chars(reply.body), line));
}

static void a_flipped_byte_is_found_before_it_is_served(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    static const char *const ranges[] = {NULL, "Range: bytes=0-1\r\n", "Range: bytes=99-\r\n"};
    assert_int_equal(fetch(fixture, download.target, NULL).status, 200);
    write_byte(fixture, &download, 'C');
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        const struct fixture_reply reply = fetch(fixture, download.target, ranges[i]);
        assert_xml(fixture, &reply, 500, "InternalError", INTERNAL);
        assert_null(strstr(slice_chars(reply.body), "0123"));
        assert_null(strstr(slice_chars(reply.body), fixture->directory));
        assert_null(fixture_header(fixture, &reply, "etag"));
    }
    const struct fixture_reply head = fixture_call(fixture, "HEAD", download.target, NULL,
                                                   slice_of(NULL, 0));
    assert_int_equal(head.status, 500);
    write_byte(fixture, &download, 'c');
    struct fixture_reply reply = fetch(fixture, download.target, NULL);
    assert_int_equal(reply.status, 200);
    assert_string_equal(slice_chars(reply.body), BYTES);
    // The first look at a file may be a HEAD or a range.
    write_byte(fixture, &download, 'c');
    reply = fetch(fixture, download.target, "Range: bytes=18-\r\n");
    assert_int_equal(reply.status, 206);
    assert_string_equal(slice_chars(reply.body), "ij");
}

static void a_file_is_read_for_its_hash_once(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    (void)usleep(200000); // a file of this very moment is not remembered
    assert_verified(fixture, 0);
    assert_int_equal(fetch(fixture, download.target,
                           fixture_format(fixture, "If-None-Match: %s\r\n", etag_of(fixture)))
                         .status,
                     304);
    assert_verified(fixture, 0); // nothing of the file was sent
    for (int i = 0; i < 3; i++) {
        const struct fixture_reply reply = fetch(fixture, download.target, NULL);
        assert_string_equal(slice_chars(reply.body), BYTES);
        assert_verified(fixture, 1);
    }
    assert_int_equal(fetch(fixture, download.target, "Range: bytes=3-4\r\n").status, 206);
    assert_int_equal(fixture_call(fixture, "HEAD", download.target, NULL, slice_of(NULL, 0)).status,
                     200);
    assert_verified(fixture, 1);
    write_byte(fixture, &download, 'C');
    (void)usleep(200000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fetch(fixture, download.target, NULL).status, 500);
    assert_verified(fixture, 2); // damage is remembered as well
}

static void parts_are_served(void **state)
{
    struct fixture *fixture = *state;
    const struct download download = make_download(fixture);
    const char *etag = etag_of(fixture);
    const struct {
        const char *headers;
        int status;
        const char *body;
        const char *content_range;
    } rows[] = {
        {"Range: bytes=0-0\r\n", 206, "0", "bytes 0-0/20"},
        {"Range: bytes=10-\r\n", 206, "abcdefghij", "bytes 10-19/20"},
        {"Range: bytes=-3\r\n", 206, "hij", "bytes 17-19/20"},
        {"Range: bytes=18-99\r\n", 206, "ij", "bytes 18-19/20"},
        {"Range: bytes=5-2\r\n", 200, BYTES, NULL},
        {"Range: bytes=a-b\r\n", 200, BYTES, NULL},
        {"Range: lines=0-1\r\n", 200, BYTES, NULL},
        {"Range: bytes=0-1\r\nRange: bytes=2-3\r\n", 200, BYTES, NULL},
        {"Range: bytes=0-1\r\nIf-Range: \"other\"\r\n", 200, BYTES, NULL},
        {fixture_format(fixture, "Range: bytes=0-1\r\nIf-Range: %s\r\n", etag), 206, "01",
         "bytes 0-1/20"},
        {"If-None-Match: \"other\"\r\n", 200, BYTES, NULL},
        {fixture_format(fixture, "If-None-Match: %s\r\n", etag), 304, "", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fetch(fixture, download.target, rows[i].headers);
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(slice_chars(reply.body), rows[i].body);
        const char *content_range = fixture_header(fixture, &reply, "content-range");
        if (rows[i].content_range == NULL)
            assert_null(content_range);
        else
            assert_string_equal(content_range, rows[i].content_range);
    }
    static const char *const beyond[] = {"bytes=-0", "bytes=99999999999-",
                                         "bytes=18446744073709551615-"};
    for (size_t i = 0; i < ARRAY_COUNT(beyond); i++) {
        const struct fixture_reply reply =
            fetch(fixture, download.target, fixture_format(fixture, "Range: %s\r\n", beyond[i]));
        assert_xml(fixture, &reply, 416, "InvalidRange", "Range not satisfiable");
        assert_string_equal(fixture_header(fixture, &reply, "content-range"), "bytes */20");
    }
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_file_is_downloaded),
        API_TEST(an_equals_sign_may_be_written_either_way),
        API_TEST(any_change_is_refused),
        API_TEST(urls_expire),
        API_TEST(revoking_the_token_stops_its_urls),
        API_TEST(missing_files_are_404),
        API_TEST(a_file_of_another_size_is_not_served),
        API_TEST(a_flipped_byte_is_found_before_it_is_served),
        API_TEST(a_file_is_read_for_its_hash_once),
        API_TEST(parts_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
