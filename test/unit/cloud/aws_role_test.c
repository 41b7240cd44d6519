// SPDX-License-Identifier: Apache-2.0
// Roles, against a token service that checks signatures, external ids and sessions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cloud/aws_role.h"
#include "fake_http.h"
#include "net/sigv4_verify.h"

#define START_MS INT64_C(1764590400000) // 2025-12-01T12:00:00Z
#define ROLE     "arn:aws:iam::222233334444:role/exports"
#define ACCOUNT  "111122223333"

static struct arena arena;
static struct clock_fixed test_clock;
static struct rng_seeded test_rng;

enum sts_trouble {
    STS_FINE,
    STS_OTHER_SECRET, // knows another secret of ours
    STS_EXPIRED,      // our session has ended
    STS_SKEWED,       // its clock is three hours ahead
    STS_FAR,          // its clock is ahead and it does not say so
    STS_THROTTLING,
    STS_THROTTLING_ONCE,
    STS_REGION,
    STS_NO_SUCH_NAME,
    STS_NO_SESSION_TOKEN,
    STS_NOT_XML,
    STS_DOCTYPE,
    STS_DEEP,
    STS_EMPTY,
    STS_HUGE,
    STS_UNKNOWN,
    STS_SERVER_ERROR,
};

struct sts {
    struct fake_http http;
    _Atomic enum sts_trouble trouble;
    _Atomic enum fake_fault fault;
    _Atomic int assumed_count;
    _Atomic int identity_count;
    _Atomic bool is_closed; // the role's trust policy does not name us
};

static const char *refuse(struct fake_http *fake, const char *code, const char *message)
{
    return arena_format(&fake->arena,
                        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
                        "<Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error>"
                        "<RequestId>x</RequestId></ErrorResponse>",
                        code, message);
}

static size_t read_headers(const char *head, struct sigv4_pair *pairs, size_t capacity)
{
    size_t count = 0;
    const char *line = strchr(head, '\n') + 1;
    while (*line != '\r' && count < capacity) {
        const size_t name_chars = strcspn(line, ":");
        const char *value = line + name_chars + 1 + strspn(line + name_chars + 1, " ");
        pairs[count++] = (struct sigv4_pair){slice_of(line, name_chars),
                                             slice_of(value, strcspn(value, "\r"))};
        line = strchr(line, '\n') + 1;
    }
    return count;
}

// NULL: the signature is right, and of now by a clock that is skew_ms ahead.
static const char *find_fault(struct fake_http *fake, const struct fake_request *request,
                              const char *secret, int64_t skew_ms)
{
    struct sigv4_pair pairs[20];
    const struct sigv4_received received = {.method = slice_text(request->method),
                                            .path = slice_text(request->target),
                                            .headers = pairs,
                                            .header_count = read_headers(request->head, pairs, 20)};
    struct sigv4_signed_claim claim;
    if (sigv4_read(&received, &fake->arena, &claim) != SIGV4_SOUND)
        return refuse(fake, "IncompleteSignature", "unsound");
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(request->body, digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    if (strcmp(claim.key_id, "AKOWN") != 0)
        return refuse(fake, "InvalidClientTokenId", "The security token is invalid.");
    const char *host = fake_header(fake, request, "Host");
    if (strcmp(claim.payload, hex) != 0 || strcmp(claim.service, "sts") != 0 ||
        strcmp(claim.region, "eu-west-1") != 0 ||
        !sigv4_claim_matches(&claim, host, slice_text(secret), &fake->arena))
        return refuse(fake, "SignatureDoesNotMatch", "The request signature does not match.");
    const int64_t away_ms = claim.signed_at_ms - (START_MS + skew_ms);
    if (away_ms < -15 * CIVIL_MINUTE_MS || away_ms > 24 * CIVIL_HOUR_MS)
        return refuse(fake, "SignatureDoesNotMatch", "Signature expired: x is now earlier than y");
    return NULL;
}

static const char *assumed(struct sts *sts, struct fake_http *fake, enum sts_trouble trouble)
{
    const int number = atomic_fetch_add(&sts->assumed_count, 1) + 1;
    const struct civil at = civil_from_ms(START_MS + number * CIVIL_HOUR_MS);
    const char *token = arena_format(&fake->arena, "<SessionToken>hush/token%d</SessionToken>",
                                     number);
    return arena_format(
        &fake->arena,
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
        "<AssumeRoleResult><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId></AssumedRoleUser>"
        "<Credentials><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>hush%d</SecretAccessKey>"
        "%s<Expiration>%04d-%02d-%02dT%02d:00:00Z</Expiration></Credentials></AssumeRoleResult>"
        "<ResponseMetadata/></AssumeRoleResponse>",
        number, number, trouble == STS_NO_SESSION_TOKEN ? "" : token, at.year, at.month, at.day,
        at.hour);
}

static const char *answer_form(struct sts *sts, struct fake_http *fake, const char *form,
                               enum sts_trouble trouble)
{
    if (strcmp(form, "Version=2011-06-15&Action=GetCallerIdentity") == 0) {
        atomic_fetch_add(&sts->identity_count, 1);
        return "<GetCallerIdentityResponse><GetCallerIdentityResult>"
               "<Arn>arn:aws:iam::" ACCOUNT ":user/milkrun</Arn><UserId>A</UserId>"
               "<Account>" ACCOUNT "</Account></GetCallerIdentityResult>"
               "</GetCallerIdentityResponse>";
    }
    static const char wanted[] =
        "Version=2011-06-15&Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A"
        "222233334444%3Arole%2Fexports&RoleSessionName=milkrun-org.1&"
        "ExternalId=ext%2B1&DurationSeconds=3600";
    if (strcmp(form, wanted) != 0 || atomic_load(&sts->is_closed))
        return refuse(fake, "AccessDenied", "User is not authorized to perform: sts:AssumeRole");
    return assumed(sts, fake, trouble);
}

static const char *answer_trouble(struct fake_http *fake, enum sts_trouble trouble, int number)
{
    switch (trouble) {
    case STS_THROTTLING:
        return refuse(fake, "Throttling", "Rate exceeded");
    case STS_THROTTLING_ONCE:
        return number == 1 ? refuse(fake, "ThrottlingException", "Rate exceeded") : NULL;
    case STS_REGION:
        return refuse(fake, "RegionDisabledException", "not active");
    case STS_NO_SUCH_NAME:
        return refuse(fake, "ValidationError", "1 validation error\n at &lt;x&gt;");
    case STS_NOT_XML:
        return "<html><br></html>";
    case STS_DOCTYPE:
        return "<!DOCTYPE a [<!ENTITY b \"c\">]><ErrorResponse><Error><Code>&b;</Code></Error>"
               "</ErrorResponse>";
    case STS_DEEP:
        return "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>";
    case STS_EMPTY:
        return "";
    case STS_UNKNOWN:
        return refuse(fake, "PackedPolicyTooLarge", "no");
    case STS_FINE:
    case STS_OTHER_SECRET:
    case STS_EXPIRED:
    case STS_SKEWED:
    case STS_FAR:
    case STS_NO_SESSION_TOKEN:
    case STS_HUGE:
    case STS_SERVER_ERROR:
        return NULL;
    }
    return NULL;
}

static void answer_sts(void *context, struct fake_http *fake, const struct fake_request *request,
                       struct fake_reply *ret_reply)
{
    struct sts *sts = context;
    const enum sts_trouble trouble = atomic_load(&sts->trouble);
    ret_reply->fault = atomic_load(&sts->fault);
    if (trouble == STS_SERVER_ERROR)
        return;
    const bool is_ahead = trouble == STS_SKEWED || trouble == STS_FAR;
    const int64_t skew_ms = is_ahead ? 3 * CIVIL_HOUR_MS : 0;
    char date[CIVIL_HTTP_CHARS + 1];
    civil_format_http(START_MS + skew_ms, date);
    if (trouble != STS_FAR)
        ret_reply->headers = arena_format(&fake->arena, "Date: %s\r\n", date);
    const char *text = answer_trouble(fake, trouble, request->number);
    const bool is_expired = trouble == STS_EXPIRED &&
                            strcmp(fake_header(fake, request, "X-Amz-Security-Token"), "two") != 0;
    if (text == NULL)
        text = find_fault(fake, request, trouble == STS_OTHER_SECRET ? "other" : "hushown",
                          skew_ms);
    if (text == NULL && is_expired)
        text = refuse(fake, "ExpiredToken", "The security token is expired");
    ret_reply->status = text == NULL ? 200 : 403;
    if (text == NULL)
        text = answer_form(sts, fake, arena_copy_slice(&fake->arena, request->body), trouble);
    if (strstr(text, "<ErrorResponse") != NULL)
        ret_reply->status = trouble == STS_THROTTLING || trouble == STS_THROTTLING_ONCE ? 400 : 403;
    ret_reply->body = slice_text(text);
    if (trouble == STS_HUGE)
        ret_reply->body = slice_of(arena_alloc(&fake->arena, 1000000), 1000000);
}

// --- What is tested

struct fixture {
    struct sts sts;
    struct aws_settings settings;
    struct aws_chain *chain;
    struct aws_roles *roles;
};

static struct fixture fixture;

static void open_roles(const char *const *environment)
{
    fixture.settings.credentials = (struct option_list){.items = {"environment"}, .count = 1};
    fixture.settings.region = "eu-west-1";
    fixture.settings.metadata_endpoint = "http://127.0.0.1:1";
    fixture.settings.sts_endpoint = fixture.sts.http.url;
    const struct cloud_config config = {
        .http = {.connect_timeout_ms = 1000, .total_timeout_ms = 1000},
        .retry = {.attempts = 2, .base_ms = 1, .max_ms = 2},
        .clock = &test_clock.base,
        .rng = &test_rng.base};
    struct err err = {0};
    if (!aws_credentials_open(&fixture.settings, environment, &config, &fixture.chain, &err) ||
        !aws_roles_open(&fixture.settings, fixture.chain, &config, &fixture.roles, &err))
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const environment[] = {
        "AWS_ACCESS_KEY_ID=AKOWN", "AWS_SECRET_ACCESS_KEY=hushown", "AWS_SESSION_TOKEN=one", NULL};
    fixture = (struct fixture){0};
    arena_init(&arena);
    rng_seeded_init(&test_rng, 1);
    clock_fixed_init(&test_clock, START_MS, 0);
    fake_http_open(&fixture.sts.http, answer_sts, &fixture.sts);
    open_roles(environment);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    aws_roles_close(&fixture.roles);
    aws_credentials_close(&fixture.chain);
    fake_http_close(&fixture.sts.http);
    arena_clear(&arena);
    return 0;
}

static const struct aws_role role_of_test = {
    .arn = ROLE, .external_id = "ext+1", .session_name = "milkrun-org.1"};

static void assert_given(bool is_refresh, int number)
{
    struct aws_credentials got;
    struct err err = {0};
    if (!aws_role_get(fixture.roles, &role_of_test, is_refresh, &arena, &got, &err))
        fail_msg("%s", err.message);
    assert_string_equal(got.access_key_id, arena_format(&arena, "ASIA%d", number));
    assert_string_equal(slice_chars(secret_reveal(&got.secret_access_key)),
                        arena_format(&arena, "hush%d", number));
    assert_string_equal(slice_chars(secret_reveal(&got.session_token)),
                        arena_format(&arena, "hush/token%d", number));
    assert_int_equal(got.expires_at_ms, START_MS + number * CIVIL_HOUR_MS);
}

static void assert_refused(const struct aws_role *role, enum err_kind kind, const char *expected)
{
    struct aws_credentials got;
    struct err err = {0};
    assert_false(aws_role_get(fixture.roles, role, false, &arena, &got, &err));
    if (err.kind != kind || strstr(err.message, expected) == NULL)
        fail_msg("%s: %s", err_kind_name(err.kind), err.message);
    assert_null(strstr(err.message, "hush"));
}

static void set_trouble(enum sts_trouble trouble)
{
    atomic_store(&fixture.sts.trouble, trouble);
}

static int request_count(void)
{
    return atomic_load(&fixture.sts.http.request_count);
}

static void test_a_role_is_assumed_and_kept(void **state)
{
    (void)state;
    assert_given(false, 1);
    test_clock.now_wall_ms = START_MS + 55 * CIVIL_MINUTE_MS - 1;
    assert_given(false, 1);
    assert_int_equal(request_count(), 1);
    test_clock.now_wall_ms += 1;
    assert_given(false, 2);
    assert_given(false, 2);
    assert_given(true, 3);
    assert_int_equal(request_count(), 3);
}

static void test_one_organization_does_not_get_what_another_got(void **state)
{
    (void)state;
    assert_given(false, 1);
    struct aws_role other = role_of_test;
    other.external_id = "ext+2";
    assert_refused(&other, ERR_DENIED, "sts:ExternalId ext+2 (" ROLE ")");
    other = role_of_test;
    other.arn = "arn:aws:iam::222233334444:role/other";
    assert_refused(&other, ERR_DENIED, "the role cannot be assumed");
    assert_given(false, 1);
}

static void test_a_refusal_says_what_the_customer_has_to_do(void **state)
{
    (void)state;
    atomic_store(&fixture.sts.is_closed, true);
    static const char expected[] =
        "the role cannot be assumed: it must exist, and its trust policy must allow sts:AssumeRole "
        "to arn:aws:iam::" ACCOUNT ":root with sts:ExternalId ext+1 (" ROLE ")";
    assert_refused(&role_of_test, ERR_DENIED, expected);
    assert_refused(&role_of_test, ERR_DENIED, expected);
    assert_int_equal(atomic_load(&fixture.sts.identity_count), 1);
    atomic_store(&fixture.sts.is_closed, false); // it is not remembered
    assert_given(false, 1);
    struct aws_role chinese = role_of_test;
    chinese.arn = "arn:aws-cn:iam::222233334444:role/exports";
    assert_refused(&chinese, ERR_DENIED, "to arn:aws-cn:iam::" ACCOUNT ":root");
}

static void test_the_account_is_asked_for_once_in_an_hour(void **state)
{
    (void)state;
    struct err err = {0};
    for (int i = 0; i < 3; i++) {
        const char *account = NULL;
        assert_true(aws_roles_get_account(fixture.roles, &arena, &account, &err));
        assert_string_equal(account, ACCOUNT);
    }
    assert_int_equal(request_count(), 1);
    test_clock.now_wall_ms += CIVIL_HOUR_MS;
    const char *account = NULL;
    assert_true(aws_roles_get_account(fixture.roles, &arena, &account, &err));
    assert_int_equal(request_count(), 2);
    fixture.settings.account_id = "999988887777";
    assert_true(aws_roles_get_account(fixture.roles, &arena, &account, &err));
    assert_string_equal(account, "999988887777");
    assert_int_equal(request_count(), 2);
    fixture.settings.account_id = NULL;
    set_trouble(STS_REGION);
    test_clock.now_wall_ms += CIVIL_HOUR_MS;
    assert_false(aws_roles_get_account(fixture.roles, &arena, &account, &err));
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
}

static void test_a_wrong_clock_is_corrected_by_theirs(void **state)
{
    (void)state;
    set_trouble(STS_SKEWED);
    assert_given(false, 1);
    assert_int_equal(request_count(), 2);
    assert_given(true, 2);
    assert_int_equal(request_count(), 3); // it is known by now
}

static void test_a_clock_that_cannot_be_corrected(void **state)
{
    (void)state;
    set_trouble(STS_FAR);
    assert_refused(&role_of_test, ERR_UNAVAILABLE, "and after its clock");
    assert_int_equal(request_count(), 1);
}

static void test_own_credentials_that_have_ended_are_renewed_once(void **state)
{
    (void)state;
    set_trouble(STS_EXPIRED);
    assert_refused(&role_of_test, ERR_UNAVAILABLE,
                   "AWS refuses this server's own credentials (ExpiredToken)");
    assert_int_equal(request_count(), 2);
}

static void test_what_is_the_operators_affair_is_not_said_to_be_the_customers(void **state)
{
    (void)state;
    set_trouble(STS_OTHER_SECRET);
    assert_refused(&role_of_test, ERR_UNAVAILABLE,
                   "AWS refuses this server's own credentials (SignatureDoesNotMatch)");
    set_trouble(STS_REGION);
    assert_refused(&role_of_test, ERR_UNAVAILABLE, "not active in this server's region");
    set_trouble(STS_THROTTLING);
    assert_refused(&role_of_test, ERR_UNAVAILABLE,
                   "AWS's token service: after 2 tries: Throttling");
    aws_roles_close(&fixture.roles);
    aws_credentials_close(&fixture.chain);
    set_trouble(STS_FINE);
    static const char *const none[] = {NULL};
    open_roles(none);
    assert_refused(&role_of_test, ERR_UNAVAILABLE, "this server has no AWS credentials");
    aws_roles_close(&fixture.roles);
    aws_credentials_close(&fixture.chain);
    static const char *const other[] = {"AWS_ACCESS_KEY_ID=AKOTHER",
                                        "AWS_SECRET_ACCESS_KEY=hushown", NULL};
    open_roles(other);
    assert_refused(&role_of_test, ERR_UNAVAILABLE, "(InvalidClientTokenId)");
}

static void test_a_service_that_is_busy_is_asked_again(void **state)
{
    (void)state;
    set_trouble(STS_THROTTLING_ONCE);
    assert_given(false, 1);
    assert_int_equal(request_count(), 2);
}

static void test_odd_answers(void **state)
{
    (void)state;
    static const struct {
        enum sts_trouble trouble;
        enum err_kind kind;
        const char *expected;
    } cases[] = {
        {STS_NO_SUCH_NAME, ERR_INVALID,
         "does not take the name of the role: 1 validation error  a"},
        {STS_NO_SESSION_TOKEN, ERR_UNAVAILABLE, "no credentials in its answer"},
        {STS_NOT_XML, ERR_UNAVAILABLE, "AWS's token service answers HTTP 403"},
        {STS_DOCTYPE, ERR_UNAVAILABLE, "AWS's token service answers HTTP 403"},
        {STS_DEEP, ERR_UNAVAILABLE, "AWS's token service answers HTTP 403"},
        {STS_EMPTY, ERR_UNAVAILABLE, "AWS's token service answers HTTP 403"},
        {STS_HUGE, ERR_LIMIT, "too large"},
        {STS_UNKNOWN, ERR_DENIED, "AWS does not give the role (PackedPolicyTooLarge): no"},
        {STS_SERVER_ERROR, ERR_UNAVAILABLE, "AWS's token service: after 2 tries: HTTP 500"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        set_trouble(cases[i].trouble);
        assert_refused(&role_of_test, cases[i].kind, cases[i].expected);
    }
    set_trouble(STS_FINE);
    const int number = atomic_load(&fixture.sts.assumed_count);
    atomic_store(&fixture.sts.assumed_count, 0);
    assert_given(false, 1);
    assert_true(number > 0);
}

static void test_every_break_of_the_connection(void **state)
{
    (void)state;
    for (enum fake_fault fault = FAKE_RESET; fault < FAKE_FAULTS; fault++) {
        atomic_store(&fixture.sts.fault, fault);
        const int count = request_count();
        assert_refused(&role_of_test, ERR_UNAVAILABLE, "AWS's token service: after 2 tries");
        assert_int_equal(request_count(), count + 2);
    }
}

static void test_good_credentials_outlive_a_service_that_fails(void **state)
{
    (void)state;
    assert_given(false, 1);
    test_clock.now_wall_ms = START_MS + 58 * CIVIL_MINUTE_MS;
    set_trouble(STS_SERVER_ERROR);
    assert_given(false, 1);
    set_trouble(STS_FINE);
    atomic_store(&fixture.sts.is_closed, true); // no longer trusted: that is said
    test_clock.now_wall_ms += CIVIL_MINUTE_MS;
    assert_refused(&role_of_test, ERR_DENIED, "the role cannot be assumed");
}

static void test_settings_that_cannot_be(void **state)
{
    (void)state;
    struct aws_settings settings = fixture.settings;
    const struct cloud_config config = {.clock = &test_clock.base};
    struct aws_roles *roles = NULL;
    struct err err = {0};
    settings.region = "EU.West/1";
    assert_false(aws_roles_open(&settings, fixture.chain, &config, &roles, &err));
    assert_string_equal(err.message, "aws.region: not the name of a region");
    settings = fixture.settings;
    settings.sts_endpoint = "https://sts.example/x";
    assert_false(aws_roles_open(&settings, fixture.chain, &config, &roles, &err));
    assert_non_null(strstr(err.message, "aws.sts_endpoint: not a URL"));
    settings.sts_endpoint = NULL;
    settings.region = "cn-north-1";
    assert_true(aws_roles_open(&settings, fixture.chain, &config, &roles, &err));
    aws_roles_close(&roles);
}

#define WITH_ROLES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROLES(test_a_role_is_assumed_and_kept),
        WITH_ROLES(test_one_organization_does_not_get_what_another_got),
        WITH_ROLES(test_a_refusal_says_what_the_customer_has_to_do),
        WITH_ROLES(test_the_account_is_asked_for_once_in_an_hour),
        WITH_ROLES(test_a_wrong_clock_is_corrected_by_theirs),
        WITH_ROLES(test_a_clock_that_cannot_be_corrected),
        WITH_ROLES(test_own_credentials_that_have_ended_are_renewed_once),
        WITH_ROLES(test_what_is_the_operators_affair_is_not_said_to_be_the_customers),
        WITH_ROLES(test_a_service_that_is_busy_is_asked_again),
        WITH_ROLES(test_odd_answers),
        WITH_ROLES(test_every_break_of_the_connection),
        WITH_ROLES(test_good_credentials_outlive_a_service_that_fails),
        WITH_ROLES(test_settings_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
