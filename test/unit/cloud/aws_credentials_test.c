// SPDX-License-Identifier: Apache-2.0
// Each place in which credentials are looked for, against metadata services that answer well, badly
// and not at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/mem.h"
#include "cloud/aws_internal.h"
#include "fake_http.h"

#define START_MS INT64_C(1764590400000) // 2025-12-01T12:00:00Z

static struct arena arena;
static struct clock_fixed test_clock;
static struct rng_seeded test_rng;

static struct cloud_config config_of_test(void)
{
    return (struct cloud_config){.http = {.connect_timeout_ms = 1000, .total_timeout_ms = 2000},
                                 .retry = {.attempts = 2, .base_ms = 1, .max_ms = 2},
                                 .clock = &test_clock.base,
                                 .rng = &test_rng.base};
}

static struct aws_settings settings_of(const char *place)
{
    return (struct aws_settings){.credentials = {.items = {place}, .count = 1},
                                 .metadata_endpoint = "http://127.0.0.1:1"};
}

static struct aws_chain *open_chain(const struct aws_settings *settings,
                                    const char *const *environment)
{
    const struct cloud_config config = config_of_test();
    struct aws_chain *chain = NULL;
    struct err err = {0};
    if (!aws_credentials_open(settings, environment, &config, &chain, &err))
        fail_msg("%s", err.message);
    return chain;
}

static void assert_given(struct aws_chain *chain, bool is_refresh, const char *key_id,
                         const char *secret, const char *token)
{
    struct aws_credentials got;
    struct err err = {0};
    if (!aws_credentials_get(chain, is_refresh, &arena, &got, &err))
        fail_msg("%s", err.message);
    assert_string_equal(got.access_key_id, key_id);
    assert_string_equal(slice_chars(secret_reveal(&got.secret_access_key)), secret);
    assert_string_equal(slice_chars(secret_reveal(&got.session_token)), token);
}

static void assert_none(struct aws_chain *chain, enum err_kind kind, const char *expected)
{
    struct aws_credentials got;
    struct err err = {0};
    assert_false(aws_credentials_get(chain, false, &arena, &got, &err));
    if (err.kind != kind || strstr(err.message, expected) == NULL)
        fail_msg("%s: %s", err_kind_name(err.kind), err.message);
    assert_null(strstr(err.message, "hush"));
}

static void test_static_and_environment(void **state)
{
    (void)state;
    struct aws_settings settings = settings_of("static");
    settings.credentials.items[1] = "environment";
    settings.credentials.count = 2;
    static const char *const environment[] = {"AWS_ACCESS_KEY_ID=AKENV", "PATH=/bin",
                                              "AWS_SECRET_ACCESS_KEY=hushenv",
                                              "AWS_SESSION_TOKEN=hushtoken", NULL};
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_chain(&settings, environment);
    assert_given(chain, false, "AKENV", "hushenv", "hushtoken");
    settings.access_key_id = "AKSTATIC";
    settings.secret_access_key = "hushstatic";
    struct aws_chain *other CLEANUP(aws_credentials_close) = open_chain(&settings, environment);
    assert_given(other, true, "AKSTATIC", "hushstatic", "");
}

static void test_no_credentials_anywhere_are_one_error(void **state)
{
    (void)state;
    struct aws_settings settings = settings_of("static");
    static const char *const places[] = {"static", "environment", "file", "container"};
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        settings.credentials.items[i] = places[i];
    settings.credentials.count = ARRAY_COUNT(places);
    static const char *const environment[] = {"HOME=/nowhere", "AWS_ACCESS_KEY_ID=", NULL};
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_chain(&settings, environment);
    assert_none(chain, ERR_UNAVAILABLE,
                "this server has no AWS credentials (static: not set; environment: not set; file: "
                "/nowhere/.aws/credentials is not there; container: not set)");
}

static void test_bad_credentials_are_not_passed_over(void **state)
{
    (void)state;
    struct aws_settings settings = settings_of("environment");
    settings.credentials.items[1] = "static";
    settings.credentials.count = 2;
    settings.access_key_id = "AK";
    settings.secret_access_key = "hush";
    static const char *const half[] = {"AWS_ACCESS_KEY_ID=AKENV", NULL};
    static const char *const broken[] = {"AWS_ACCESS_KEY_ID=AKENV",
                                         "AWS_SECRET_ACCESS_KEY=hush\r\nhush", NULL};
    static const char *const token[] = {"AWS_ACCESS_KEY_ID=AKENV", "AWS_SECRET_ACCESS_KEY=hush",
                                        "AWS_SESSION_TOKEN=hush hush", NULL};
    const char *const *const environments[] = {half, broken, token};
    for (size_t i = 0; i < ARRAY_COUNT(environments); i++) {
        struct aws_chain *chain CLEANUP(aws_credentials_close) = open_chain(&settings,
                                                                            environments[i]);
        assert_none(chain, ERR_INVALID, "this server's AWS credentials (environment): the ");
    }
}

static void assert_refused(const struct aws_settings *settings, const char *expected)
{
    const struct cloud_config config = config_of_test();
    struct aws_chain *chain = NULL;
    struct err err = {0};
    assert_false(aws_credentials_open(settings, NULL, &config, &chain, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    if (strstr(err.message, expected) == NULL)
        fail_msg("%s", err.message);
}

static void test_settings_that_cannot_be(void **state)
{
    (void)state;
    struct aws_settings settings = settings_of("magic");
    assert_refused(&settings, "aws.credentials: magic is none of static, environment");
    settings = settings_of("static");
    settings.secret_access_key = "hush";
    assert_refused(&settings, "go together");
    static const char *const endpoints[] = {"169.254.169.254", "ftp://a",    "http://",
                                            "http://a/b",      "http://a b", "http://a@b",
                                            "https://a?b"};
    for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++) {
        settings = settings_of("instance");
        settings.metadata_endpoint = endpoints[i];
        assert_refused(&settings, "aws.metadata_endpoint: not a URL");
    }
}

// --- The file

static char file_path[] = "/tmp/milkrun-aws-XXXXXX";

static void write_file(const char *text)
{
    struct err err = {0};
    assert_true(file_replace(file_path, slice_text(text), &err));
}

static void test_profiles_of_the_file(void **state)
{
    (void)state;
    write_file("# mine\n; too\n\n[default]\naws_access_key_id = AKONE\n"
               "aws_secret_access_key=hush=one/+\nregion = x\nnonsense\n"
               "[ other ]\r\n  aws_access_key_id\t=\tAKTWO\r\naws_secret_access_key = hushtwo\r\n"
               "aws_session_token = hushtoken\r\n[empty]\n[half]\naws_access_key_id = AK");
    struct aws_settings settings = settings_of("file");
    settings.credentials_file = file_path;
    struct aws_chain *one CLEANUP(aws_credentials_close) = open_chain(&settings, NULL);
    assert_given(one, false, "AKONE", "hush=one/+", "");
    char *variable = arena_format(&arena, "AWS_SHARED_CREDENTIALS_FILE=%s", file_path);
    const char *const environment[] = {variable, "AWS_PROFILE=other", NULL};
    settings.credentials_file = NULL;
    struct aws_chain *two CLEANUP(aws_credentials_close) = open_chain(&settings, environment);
    assert_given(two, false, "AKTWO", "hushtwo", "hushtoken");
    settings.profile = "third";
    struct aws_chain *three CLEANUP(aws_credentials_close) = open_chain(&settings, environment);
    assert_none(three, ERR_UNAVAILABLE, "has no profile third");
    settings.profile = "half";
    struct aws_chain *four CLEANUP(aws_credentials_close) = open_chain(&settings, environment);
    assert_none(four, ERR_INVALID, "profile half: the secret access key is missing");
}

static void test_a_file_that_changes_is_read_again(void **state)
{
    (void)state;
    struct aws_settings settings = settings_of("file");
    settings.credentials_file = file_path;
    write_file("[default]\naws_access_key_id = AK1\naws_secret_access_key = hush1\n");
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_chain(&settings, NULL);
    assert_given(chain, false, "AK1", "hush1", "");
    assert_given(chain, false, "AK1", "hush1", "");
    write_file("[default]\naws_access_key_id = AK2\naws_secret_access_key = hush2\n");
    assert_given(chain, false, "AK2", "hush2", "");
    assert_int_equal(unlink(file_path), 0);
    assert_none(chain, ERR_UNAVAILABLE, "is not there");
    write_file("[default]\naws_access_key_id = AK3\naws_secret_access_key = hush3\n");
    assert_given(chain, false, "AK3", "hush3", "");
}

static void test_a_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct aws_settings settings = settings_of("file");
    settings.credentials_file = file_path;
    write_file("[default]\naws_access_key_id = AK1\naws_secret_access_key = hush1\n");
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_chain(&settings, NULL);
    assert_int_equal(chmod(file_path, 0640), 0);
    char *expected = arena_format(&arena, "%s has mode 0640", file_path);
    assert_none(chain, ERR_INVALID, expected);
    assert_refused(&settings, expected);
}

// --- The machine

enum imds_trouble {
    IMDS_FINE,
    IMDS_NO_TOKEN,
    IMDS_NO_ROLE,
    IMDS_ODD_ROLE,
    IMDS_NOT_JSON,
    IMDS_CODE,
    IMDS_NO_SECRET,
    IMDS_NO_EXPIRY,
    IMDS_HUGE,
    IMDS_SERVER_ERROR,
};

struct imds {
    struct fake_http http;
    _Atomic enum imds_trouble trouble;
    _Atomic enum fake_fault fault;
    _Atomic int token_number;      // what was given out last
    _Atomic int credential_number; // counts what is given out
    _Atomic int64_t expires_at_ms;
};

#define ROLES "/latest/meta-data/iam/security-credentials/"

static void answer_credentials(struct imds *imds, struct fake_http *fake,
                               struct fake_reply *ret_reply)
{
    const int number = atomic_fetch_add(&imds->credential_number, 1) + 1;
    const struct civil at = civil_from_ms(atomic_load(&imds->expires_at_ms));
    const enum imds_trouble trouble = atomic_load(&imds->trouble);
    const char *expiry = arena_format(&fake->arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", at.year,
                                      at.month, at.day, at.hour, at.minute, at.second);
    const char *text =
        arena_format(&fake->arena,
                     "{\"Code\":\"%s\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"AK%d\","
                     "\"%s\":\"hush%d\",\"Token\":\"token%d\",\"Expiration\":\"%s\"}",
                     trouble == IMDS_CODE ? "AssumeRoleUnauthorizedAccess" : "Success", number,
                     trouble == IMDS_NO_SECRET ? "Secret" : "SecretAccessKey", number, number,
                     trouble == IMDS_NO_EXPIRY ? "soon" : expiry);
    if (trouble == IMDS_NOT_JSON)
        text = "<html>hush</html>";
    ret_reply->status = 200;
    ret_reply->body = slice_text(text);
    if (trouble == IMDS_HUGE)
        ret_reply->body = slice_of(arena_alloc(&fake->arena, 1000000), 1000000);
}

static void answer_imds(void *context, struct fake_http *fake, const struct fake_request *request,
                        struct fake_reply *ret_reply)
{
    struct imds *imds = context;
    const enum imds_trouble trouble = atomic_load(&imds->trouble);
    ret_reply->fault = atomic_load(&imds->fault);
    if (trouble == IMDS_SERVER_ERROR)
        return;
    const char *wanted = arena_format(&fake->arena, "session%d", atomic_load(&imds->token_number));
    if (strcmp(request->method, "PUT") == 0) {
        const char *ttl = fake_header(fake, request, "X-aws-ec2-metadata-token-ttl-seconds");
        const bool is_good = strcmp(request->target, "/latest/api/token") == 0 &&
                             strcmp(ttl, "21600") == 0 && trouble != IMDS_NO_TOKEN;
        ret_reply->status = is_good ? 200 : 403;
        ret_reply->body = slice_text(wanted);
        return;
    }
    if (strcmp(fake_header(fake, request, "X-aws-ec2-metadata-token"), wanted) != 0) {
        ret_reply->status = 401;
    } else if (strcmp(request->target, ROLES) == 0) {
        ret_reply->status = trouble == IMDS_NO_ROLE ? 404 : 200;
        ret_reply->body = slice_text(trouble == IMDS_ODD_ROLE ? "../x\n" : "my-role\nsecond\n");
    } else if (strcmp(request->target, ROLES "my-role") == 0) {
        answer_credentials(imds, fake, ret_reply);
    } else {
        ret_reply->status = 404;
    }
}

static void imds_open(struct imds *imds)
{
    *imds = (struct imds){0};
    atomic_store(&imds->expires_at_ms, START_MS + 6 * CIVIL_HOUR_MS);
    fake_http_open(&imds->http, answer_imds, imds);
    clock_fixed_init(&test_clock, START_MS, 1000000);
}

static struct aws_chain *open_instance(const struct imds *imds)
{
    static struct aws_settings settings;
    settings = settings_of("instance");
    settings.metadata_endpoint = imds->http.url;
    return open_chain(&settings, NULL);
}

static void test_the_machine_gives_credentials_until_shortly_before_their_end(void **state)
{
    (void)state;
    static struct imds imds;
    imds_open(&imds);
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
    assert_given(chain, false, "AK1", "hush1", "token1");
    test_clock.now_wall_ms = START_MS + 6 * CIVIL_HOUR_MS - 5 * CIVIL_MINUTE_MS - 1;
    assert_given(chain, false, "AK1", "hush1", "token1");
    assert_int_equal(atomic_load(&imds.http.request_count), 3);
    test_clock.now_wall_ms += 1;
    atomic_store(&imds.expires_at_ms, START_MS + 12 * CIVIL_HOUR_MS);
    assert_given(chain, false, "AK2", "hush2", "token2");
    assert_int_equal(atomic_load(&imds.http.request_count), 5); // the session's token is still good
    assert_given(chain, true, "AK3", "hush3", "token3");
    fake_http_close(&imds.http);
}

static void test_a_session_that_has_ended_is_begun_anew(void **state)
{
    (void)state;
    static struct imds imds;
    imds_open(&imds);
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
    assert_given(chain, false, "AK1", "hush1", "token1");
    atomic_store(&imds.token_number, 1);
    assert_given(chain, true, "AK2", "hush2", "token2");
    assert_int_equal(atomic_load(&imds.http.request_count), 3 + 1 + 1 + 2);
    fake_http_close(&imds.http);
}

static void test_good_credentials_outlive_a_service_that_fails(void **state)
{
    (void)state;
    static struct imds imds;
    imds_open(&imds);
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
    assert_given(chain, false, "AK1", "hush1", "token1");
    atomic_store(&imds.trouble, IMDS_SERVER_ERROR);
    test_clock.now_wall_ms = START_MS + 6 * CIVIL_HOUR_MS - 4 * CIVIL_MINUTE_MS;
    assert_given(chain, false, "AK1", "hush1", "token1");
    const int count = atomic_load(&imds.http.request_count);
    assert_given(chain, false, "AK1", "hush1", "token1");
    assert_int_equal(atomic_load(&imds.http.request_count), count); // not each time
    test_clock.now_wall_ms += 2 * CIVIL_MINUTE_MS;
    assert_given(chain, false, "AK1", "hush1", "token1");
    assert_true(atomic_load(&imds.http.request_count) > count);
    test_clock.now_wall_ms += 2 * CIVIL_MINUTE_MS;
    assert_none(chain, ERR_UNAVAILABLE, "after 2 tries: HTTP 500");
    atomic_store(&imds.trouble, IMDS_FINE);
    atomic_store(&imds.expires_at_ms, START_MS + 12 * CIVIL_HOUR_MS);
    assert_given(chain, false, "AK2", "hush2", "token2");
    fake_http_close(&imds.http);
}

static void test_a_machine_without_role_is_not_asked_each_time(void **state)
{
    (void)state;
    static struct imds imds;
    imds_open(&imds);
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
    atomic_store(&imds.trouble, IMDS_NO_ROLE);
    assert_none(chain, ERR_UNAVAILABLE, "instance: the machine has no role");
    const int count = atomic_load(&imds.http.request_count);
    assert_none(chain, ERR_UNAVAILABLE, "instance: no metadata service with a role, a moment ago");
    assert_int_equal(atomic_load(&imds.http.request_count), count);
    atomic_store(&imds.trouble, IMDS_FINE);
    test_clock.now_boot_ms += 60001;
    assert_given(chain, false, "AK1", "hush1", "token1");
    fake_http_close(&imds.http);
}

static void test_bad_answers_of_the_machine(void **state)
{
    (void)state;
    static const struct {
        enum imds_trouble trouble;
        const char *expected;
    } cases[] = {
        {IMDS_NO_TOKEN, "gives no token (HTTP 403)"},
        {IMDS_ODD_ROLE, "names no role (HTTP 200)"},
        {IMDS_NOT_JSON, "not a JSON text"},
        {IMDS_CODE, "the service says: AssumeRoleUnauthorizedAccess"},
        {IMDS_NO_SECRET, "no credentials: the secret access key is missing"},
        {IMDS_NO_EXPIRY, "does not say when they expire"},
        {IMDS_SERVER_ERROR, "instance: no metadata service answers"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        static struct imds imds;
        imds_open(&imds);
        atomic_store(&imds.trouble, cases[i].trouble);
        struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
        assert_none(chain, ERR_UNAVAILABLE, cases[i].expected);
        fake_http_close(&imds.http);
    }
    static struct imds imds;
    imds_open(&imds);
    atomic_store(&imds.trouble, IMDS_HUGE);
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
    assert_none(chain, ERR_LIMIT, "too large");
    fake_http_close(&imds.http);
}

static void test_a_machine_that_does_not_answer(void **state)
{
    (void)state;
    for (enum fake_fault fault = FAKE_RESET; fault < FAKE_FAULTS; fault++) {
        static struct imds imds;
        imds_open(&imds);
        atomic_store(&imds.fault, fault);
        struct aws_chain *chain CLEANUP(aws_credentials_close) = open_instance(&imds);
        const int64_t start_ms = clock_boot_ms(clock_system());
        assert_none(chain, ERR_UNAVAILABLE, "no metadata service answers");
        assert_in_range(clock_boot_ms(clock_system()) - start_ms, 0, 10000);
        assert_int_equal(atomic_load(&imds.http.request_count), 2);
        fake_http_close(&imds.http);
    }
    struct aws_settings settings = settings_of("instance"); // nobody listens there
    struct aws_chain *chain CLEANUP(aws_credentials_close) = open_chain(&settings, NULL);
    assert_none(chain, ERR_UNAVAILABLE, "no metadata service answers");
}

// --- Containers

static void answer_agent(void *context, struct fake_http *fake, const struct fake_request *request,
                         struct fake_reply *ret_reply)
{
    (void)context;
    if (strcmp(request->target, "/creds?x=1") != 0) {
        ret_reply->status = 404;
        return;
    }
    ret_reply->status = 200;
    ret_reply->body = slice_text(arena_format(
        &fake->arena,
        "{\"AccessKeyId\":\"AK%s\",\"SecretAccessKey\":\"hush\",\"Token\":\"t\","
        "\"Expiration\":\"2025-12-01T18:00:00Z\",\"RoleArn\":\"arn:aws:iam::1:role/x\"}",
        fake_header(fake, request, "Authorization")));
}

static void test_the_agent_of_a_container_gives_credentials(void **state)
{
    (void)state;
    static struct fake_http fake;
    fake_http_open(&fake, answer_agent, NULL);
    clock_fixed_init(&test_clock, START_MS, 1000000);
    const struct aws_settings settings = settings_of("container");
    const char *uri = arena_format(&arena, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/creds?x=1",
                                   fake.url);
    const char *const plain[] = {uri, NULL};
    struct aws_chain *one CLEANUP(aws_credentials_close) = open_chain(&settings, plain);
    assert_given(one, false, "AK", "hush", "t");
    const char *const token[] = {uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN=abc", NULL};
    struct aws_chain *two CLEANUP(aws_credentials_close) = open_chain(&settings, token);
    assert_given(two, false, "AKabc", "hush", "t");
    write_file("first\n");
    const char *const file[] = {
        uri, arena_format(&arena, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s", file_path),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN=abc", NULL};
    struct aws_chain *three CLEANUP(aws_credentials_close) = open_chain(&settings, file);
    assert_given(three, false, "AKfirst", "hush", "t");
    write_file("second");
    assert_given(three, false, "AKfirst", "hush", "t"); // those credentials are still good
    assert_given(three, true, "AKsecond", "hush", "t");
    const char *const broken[] = {uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN=a\r\nhush: 1", NULL};
    struct aws_chain *four CLEANUP(aws_credentials_close) = open_chain(&settings, broken);
    assert_none(four, ERR_INVALID, "authorization token is malformed");
    const char *const missing[] = {
        arena_format(&arena, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/other", fake.url), NULL};
    struct aws_chain *five CLEANUP(aws_credentials_close) = open_chain(&settings, missing);
    assert_none(five, ERR_UNAVAILABLE, "the container's agent answers HTTP 404");
    fake_http_close(&fake);
}

static void assert_url(const char *variable, const char *expected)
{
    const char *const environment[] = {variable, NULL};
    const char *url = NULL;
    struct err err = {0};
    const bool is_good = aws_container_url(environment, &arena, &url, &err);
    assert_int_equal(is_good, expected != NULL);
    if (is_good)
        assert_string_equal(url, expected);
    else
        assert_int_equal(err.kind, ERR_INVALID);
}

static void test_where_agents_of_containers_may_be(void **state)
{
    (void)state;
    static const char full[] = "AWS_CONTAINER_CREDENTIALS_FULL_URI=";
    static const char *const good[] = {"http://169.254.170.2/x",   "http://169.254.170.23/v1/c",
                                       "http://[fd00:ec2::23]/v1", "http://localhost:1234",
                                       "http://127.0.0.1/",        "https://agent.example/x?y=z"};
    static const char *const bad[] = {"http://agent.example/x",
                                      "http://169.254.170.2.example/",
                                      "http://127.0.0.1@agent.example/",
                                      "ftp://127.0.0.1/",
                                      "x",
                                      "https:///x",
                                      "http://localhost.example/",
                                      "https://a/b c",
                                      "https://a/b\r\nc"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_url(arena_format(&arena, "%s%s", full, good[i]), good[i]);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_url(arena_format(&arena, "%s%s", full, bad[i]), NULL);
    assert_url("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/1",
               "http://169.254.170.2/v2/credentials/1");
    assert_url("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=@agent.example/", NULL);
    assert_url("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/a b", NULL);
}

static int start(void **state)
{
    (void)state;
    arena_init(&arena);
    rng_seeded_init(&test_rng, 1);
    clock_fixed_init(&test_clock, START_MS, 1000000);
    const int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    (void)close(fd);
    return 0;
}

static int end(void **state)
{
    (void)state;
    (void)unlink(file_path);
    arena_clear(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_static_and_environment),
        cmocka_unit_test(test_no_credentials_anywhere_are_one_error),
        cmocka_unit_test(test_bad_credentials_are_not_passed_over),
        cmocka_unit_test(test_settings_that_cannot_be),
        cmocka_unit_test(test_profiles_of_the_file),
        cmocka_unit_test(test_a_file_that_changes_is_read_again),
        cmocka_unit_test(test_a_file_that_others_can_read_is_refused),
        cmocka_unit_test(test_the_machine_gives_credentials_until_shortly_before_their_end),
        cmocka_unit_test(test_a_session_that_has_ended_is_begun_anew),
        cmocka_unit_test(test_good_credentials_outlive_a_service_that_fails),
        cmocka_unit_test(test_a_machine_without_role_is_not_asked_each_time),
        cmocka_unit_test(test_bad_answers_of_the_machine),
        cmocka_unit_test(test_a_machine_that_does_not_answer),
        cmocka_unit_test(test_the_agent_of_a_container_gives_credentials),
        cmocka_unit_test(test_where_agents_of_containers_may_be),
    };
    return cmocka_run_group_tests(tests, start, end);
}
