// SPDX-License-Identifier: Apache-2.0
// Tokens of Google, against services that check what is signed and who asks.
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

#include "base/base64.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "base/rsa.h"
#include "cloud/gcp_key.h"
#include "cloud/gcp_token.h"
#include "fake_http.h"
#include "test_keys.h"

#define START_MS INT64_C(1764590400000) // 2025-12-01T12:00:00Z
#define OWN      "milkrun@own.iam.gserviceaccount.com"
#define CUSTOMER "exports@their.iam.gserviceaccount.com"
#define STORAGE  "https://www.googleapis.com/auth/devstorage.read_write"
#define ALL      "https://www.googleapis.com/auth/cloud-platform"

static struct arena arena;
static struct clock_fixed test_clock;
static struct rng_seeded test_rng;

enum google_trouble {
    GOOGLE_FINE,
    GOOGLE_REVOKED, // does not know the key
    GOOGLE_SKEWED,  // its clock is three hours ahead
    GOOGLE_NOT_JSON,
    GOOGLE_NO_TOKEN,
    GOOGLE_NO_LIFE,
    GOOGLE_LONG_LIFE,
    GOOGLE_ODD_TOKEN,
    GOOGLE_HUGE,
    GOOGLE_SERVER_ERROR,
    GOOGLE_MISSING,    // 404
    GOOGLE_NOT_GOOGLE, // a metadata service of somebody else
    GOOGLE_DISABLED,   // the API of impersonation is not enabled
    GOOGLE_STALE,      // the first token is not taken there
    GOOGLE_BAD_REQUEST,
};

struct google {
    struct fake_http http;
    _Atomic enum google_trouble trouble;     // of the token service and the machine
    _Atomic enum google_trouble iam_trouble; // of impersonation
    _Atomic enum fake_fault fault;
    _Atomic int token_count;
    _Atomic int customer_count;
    _Atomic bool is_closed; // the customer's account has not let us
};

static const char *node_text(const struct json_node *node, const char *name)
{
    return slice_chars(json_node_text(json_node_get(node, name)));
}

// NULL: the assertion is right, and of now by a clock that is skew_ms ahead.
static const char *find_fault(struct fake_http *fake, char *assertion, int64_t skew_ms,
                              const char **ret_scope)
{
    char *claims_text = strchr(assertion, '.') + 1;
    char *signature_text = strrchr(assertion, '.') + 1;
    struct slice signature;
    const struct slice message = slice_of(assertion, (size_t)(signature_text - 1 - assertion));
    if (!rsa_sign_sha256(slice_text(test_key_pkcs8), message, &fake->arena, &signature, NULL) ||
        strcmp(base64_encode(BASE64_URL, signature, &fake->arena), signature_text) != 0)
        return "Invalid JWT Signature.";
    struct slice head;
    struct slice claims;
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    if (!base64_decode(BASE64_URL, slice_of(assertion, (size_t)(claims_text - 1 - assertion)),
                       &fake->arena, &head) ||
        !slice_equal_text(head, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"key1\"}") ||
        !base64_decode(BASE64_URL,
                       slice_of(claims_text, (size_t)(signature_text - 1 - claims_text)),
                       &fake->arena, &claims) ||
        !json_tree_parse(claims, &tree, NULL))
        return "Invalid JWT.";
    const struct json_node *root = json_tree_root(tree);
    const int64_t issued_ms = json_node_int64(json_node_get(root, "iat")) * 1000;
    const int64_t expires_ms = json_node_int64(json_node_get(root, "exp")) * 1000;
    const int64_t away_ms = issued_ms - (START_MS + skew_ms);
    if (away_ms < -5 * CIVIL_MINUTE_MS || away_ms > 24 * CIVIL_HOUR_MS ||
        expires_ms - issued_ms != CIVIL_HOUR_MS)
        return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
               "timeframe. Check your iat and exp values in the JWT claim.";
    if (strcmp(node_text(root, "iss"), OWN) != 0 ||
        strcmp(node_text(root, "aud"), arena_format(&fake->arena, "%s/token", fake->url)) != 0)
        return "Invalid grant: account not found";
    *ret_scope = arena_copy_text(&fake->arena, node_text(root, "scope"));
    return NULL;
}

static const char *token_text(struct google *google, struct fake_http *fake, const char *scope,
                              enum google_trouble trouble)
{
    if (trouble == GOOGLE_NOT_JSON)
        return "<html>hush</html>";
    if (trouble == GOOGLE_NO_TOKEN)
        return "{\"id_token\":\"hush\",\"expires_in\":3599}";
    if (trouble == GOOGLE_NO_LIFE)
        return "{\"access_token\":\"hush\"}";
    if (trouble == GOOGLE_LONG_LIFE)
        return "{\"access_token\":\"hush\",\"expires_in\":9000000000000000000}";
    if (trouble == GOOGLE_ODD_TOKEN)
        return "{\"access_token\":\"hush\\r\\nX: y\",\"expires_in\":3599}";
    const int number = atomic_fetch_add(&google->token_count, 1) + 1;
    const char *kind = scope == NULL ? "machine" : strcmp(scope, ALL) == 0 ? "all" : "storage";
    return arena_format(&fake->arena,
                        "{\"access_token\":\"hush.%s.%d\",\"expires_in\":3600,"
                        "\"token_type\":\"Bearer\"}",
                        kind, number);
}

static void answer_token(struct google *google, struct fake_http *fake,
                         const struct fake_request *request, enum google_trouble trouble,
                         struct fake_reply *ret_reply)
{
    static const char start[] = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"
                                "assertion=";
    char *form = arena_copy_slice(&fake->arena, request->body);
    const int64_t skew_ms = trouble == GOOGLE_SKEWED ? 3 * CIVIL_HOUR_MS : 0;
    char date[CIVIL_HTTP_CHARS + 1];
    civil_format_http(START_MS + skew_ms, date);
    ret_reply->headers = arena_format(&fake->arena, "Date: %s\r\n", date);
    const char *scope = NULL;
    const char *fault = strncmp(form, start, sizeof start - 1) != 0 || trouble == GOOGLE_REVOKED
                            ? "Invalid JWT Signature."
                            : find_fault(fake, form + sizeof start - 1, skew_ms, &scope);
    ret_reply->status = fault == NULL ? 200 : 400;
    ret_reply->body = slice_text(
        fault == NULL
            ? token_text(google, fake, scope, trouble)
            : arena_format(&fake->arena,
                           "{\"error\":\"invalid_grant\",\"error_description\":\"%s\"}", fault));
}

static void answer_machine(struct google *google, struct fake_http *fake,
                           const struct fake_request *request, enum google_trouble trouble,
                           struct fake_reply *ret_reply)
{
    const bool is_asked = strcmp(fake_header(fake, request, "Metadata-Flavor"), "Google") == 0;
    ret_reply->status = is_asked ? 200 : 403;
    if (trouble != GOOGLE_NOT_GOOGLE)
        ret_reply->headers = "Metadata-Flavor: Google\r\n";
    ret_reply->body = slice_text(strstr(request->target, "/email") != NULL
                                     ? "machine@own.iam.gserviceaccount.com"
                                     : token_text(google, fake, NULL, trouble));
}

static struct fake_reply say(int status, const char *body)
{
    return (struct fake_reply){.status = status, .body = slice_text(body)};
}

static struct fake_reply answer_iam(struct google *google, struct fake_http *fake,
                                    const struct fake_request *request, enum google_trouble trouble)
{
    static const char denied[] = "{\"error\":{\"code\":403,\"message\":\"Permission "
                                 "'iam.serviceAccounts.getAccessToken' denied on resource (or it "
                                 "may not exist).\",\"status\":\"PERMISSION_DENIED\",\"details\":["
                                 "{\"reason\":\"IAM_PERMISSION_DENIED\"}]}}";
    const char *by = fake_header(fake, request, "Authorization");
    const bool is_all = strncmp(by, "Bearer hush.all.", 16) == 0 ||
                        strncmp(by, "Bearer hush.machine.", 20) == 0;
    const bool is_form = slice_equal_text(request->body,
                                          "{\"scope\":[\"" STORAGE "\"],\"lifetime\":\"3600s\"}");
    if (!is_all || (trouble == GOOGLE_STALE && strchr(by, '1') != NULL))
        return say(401, "{\"error\":{\"code\":401}}");
    if (trouble == GOOGLE_DISABLED)
        return say(403, "{\"error\":{\"details\":[{\"reason\":\"SERVICE_DISABLED\"}]}}");
    if (trouble == GOOGLE_BAD_REQUEST || !is_form)
        return say(400, "{\"error\":{\"message\":\"Bad\\nthing\"}}");
    if (trouble == GOOGLE_NOT_JSON)
        return say(200, "<html>");
    if (trouble == GOOGLE_NO_TOKEN)
        return say(200, "{\"expireTime\":\"2025-12-01T13:00:00Z\"}");
    if (trouble == GOOGLE_NO_LIFE)
        return say(200, "{\"accessToken\":\"hush\",\"expireTime\":\"soon\"}");
    if (trouble == GOOGLE_MISSING)
        return say(404, "");
    static const char path[] = "/v1/projects/-/serviceAccounts/" CUSTOMER ":generateAccessToken";
    if (strcmp(request->target, path) != 0 || atomic_load(&google->is_closed))
        return say(403, denied);
    const int number = atomic_fetch_add(&google->customer_count, 1) + 1;
    return say(200, arena_format(&fake->arena,
                                 "{\"accessToken\":\"hush.customer.%d\","
                                 "\"expireTime\":\"2025-12-01T%02d:00:00.123456789Z\"}",
                                 number, 12 + number));
}

static void answer_google(void *context, struct fake_http *fake, const struct fake_request *request,
                          struct fake_reply *ret_reply)
{
    struct google *google = context;
    const enum google_trouble trouble = atomic_load(&google->trouble);
    ret_reply->fault = atomic_load(&google->fault);
    if (strncmp(request->target, "/v1/", 4) == 0) {
        *ret_reply = answer_iam(google, fake, request, atomic_load(&google->iam_trouble));
        return;
    }
    if (trouble == GOOGLE_SERVER_ERROR)
        return;
    if (trouble == GOOGLE_MISSING)
        ret_reply->status = 404;
    else if (strcmp(request->target, "/token") == 0)
        answer_token(google, fake, request, trouble, ret_reply);
    else
        answer_machine(google, fake, request, trouble, ret_reply);
    if (trouble == GOOGLE_HUGE)
        ret_reply->body = slice_of(arena_alloc(&fake->arena, 1000000), 1000000);
}

// --- What is tested

struct fixture {
    struct google google;
    struct gcp_settings settings;
    struct gcp_tokens *tokens;
};

static struct fixture fixture;
static char file_path[] = "/tmp/milkrun-gcp-XXXXXX";

static const char *key_json(const char *pem)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 65536);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "type", "service_account");
    json_text_member_text(&json, "project_id", "own");
    json_text_member_text(&json, "private_key_id", "key1");
    json_text_member_text(&json, "private_key", pem);
    json_text_member_text(&json, "client_email", OWN);
    json_text_member_text(&json, "token_uri", "http://169.254.169.254/token");
    json_text_close(&json, '}');
    return arena_copy_slice(&arena, buf_slice(&text));
}

static void write_file(const char *text)
{
    struct err err = {0};
    assert_true(file_replace(file_path, slice_text(text), &err));
}

static struct cloud_config config_of_test(void)
{
    return (struct cloud_config){.http = {.connect_timeout_ms = 1000, .total_timeout_ms = 1000},
                                 .retry = {.attempts = 2, .base_ms = 1, .max_ms = 2},
                                 .clock = &test_clock.base,
                                 .rng = &test_rng.base};
}

static void open_tokens(const char *key_file)
{
    gcp_tokens_close(&fixture.tokens);
    fixture.settings.key_file = key_file;
    const struct cloud_config config = config_of_test();
    struct err err = {0};
    if (!gcp_tokens_open(&fixture.settings, &config, &fixture.tokens, &err))
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    fixture = (struct fixture){0};
    arena_init(&arena);
    rng_seeded_init(&test_rng, 1);
    clock_fixed_init(&test_clock, START_MS, 1000000);
    fake_http_open(&fixture.google.http, answer_google, &fixture.google);
    const char *url = fixture.google.http.url;
    fixture.settings =
        (struct gcp_settings){.token_endpoint = arena_format(&arena, "%s/token", url),
                              .iam_endpoint = url,
                              .metadata_endpoint = url};
    write_file(key_json(test_key_pkcs8));
    open_tokens(file_path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gcp_tokens_close(&fixture.tokens);
    fake_http_close(&fixture.google.http);
    arena_clear(&arena);
    return 0;
}

static const struct gcp_access own = {0};
static const struct gcp_access customer = {.impersonate = CUSTOMER};

static void assert_token(const struct gcp_access *access, bool is_refresh, const char *expected)
{
    struct secret token;
    struct err err = {0};
    if (!gcp_token_get(fixture.tokens, access, is_refresh, &arena, &token, &err))
        fail_msg("%s", err.message);
    assert_string_equal(slice_chars(secret_reveal(&token)), expected);
}

static void assert_refused(const struct gcp_access *access, enum err_kind kind,
                           const char *expected)
{
    struct secret token;
    struct err err = {0};
    assert_false(gcp_token_get(fixture.tokens, access, false, &arena, &token, &err));
    if (err.kind != kind || strstr(err.message, expected) == NULL)
        fail_msg("%s: %s", err_kind_name(err.kind), err.message);
    assert_null(strstr(err.message, "hush"));
    assert_null(strstr(err.message, "PRIVATE"));
}

static int request_count(void)
{
    return atomic_load(&fixture.google.http.request_count);
}

static void test_a_key_gets_a_token_that_is_kept(void **state)
{
    (void)state;
    assert_token(&own, false, "hush.storage.1");
    test_clock.now_wall_ms = START_MS + 55 * CIVIL_MINUTE_MS - 1;
    assert_token(&own, false, "hush.storage.1");
    assert_int_equal(request_count(), 1);
    test_clock.now_wall_ms += 1;
    assert_token(&own, false, "hush.storage.2");
    assert_token(&own, true, "hush.storage.3");
    assert_string_equal(gcp_token_email(fixture.tokens, &own, &arena), OWN);
    assert_int_equal(request_count(), 3);
}

static void test_a_registered_key_is_another_one(void **state)
{
    (void)state;
    assert_token(&own, false, "hush.storage.1");
    const struct gcp_access registered = {.key_json = slice_text(key_json(test_key_pkcs8))};
    assert_token(&registered, false, "hush.storage.2");
    assert_token(&registered, false, "hush.storage.2");
    assert_token(&own, false, "hush.storage.1");
    assert_string_equal(gcp_token_email(fixture.tokens, &registered, &arena), OWN);
    atomic_store(&fixture.google.trouble, GOOGLE_REVOKED);
    open_tokens(file_path);
    assert_refused(&registered, ERR_DENIED,
                   "Google does not take the key of " OWN ": Invalid JWT Signature.");
    assert_refused(&own, ERR_UNAVAILABLE,
                   "Google does not take the key of " OWN ": Invalid JWT Signature.");
}

static void test_a_key_file_that_changes_is_read_again(void **state)
{
    (void)state;
    assert_token(&own, false, "hush.storage.1");
    write_file(arena_format(&arena, "%s\n", key_json(test_key_pkcs1)));
    assert_token(&own, false, "hush.storage.2");
    write_file("{}");
    assert_refused(&own, ERR_UNAVAILABLE, "gcp.key_file: not the key of a service account");
    assert_int_equal(chmod(file_path, 0644), 0);
    assert_refused(&own, ERR_UNAVAILABLE, "has mode 0644 and holds a secret");
    assert_int_equal(unlink(file_path), 0);
    assert_refused(&own, ERR_UNAVAILABLE, "gcp.key_file: ");
    assert_string_equal(gcp_token_email(fixture.tokens, &own, &arena),
                        "the service account of this server");
    write_file(key_json(test_key_pkcs8));
    assert_token(&own, false, "hush.storage.1"); // it is known
}

static void test_the_machine_gives_a_token(void **state)
{
    (void)state;
    open_tokens(NULL);
    assert_token(&own, false, "hush.machine.1");
    assert_token(&own, false, "hush.machine.1");
    assert_string_equal(gcp_token_email(fixture.tokens, &own, &arena),
                        "machine@own.iam.gserviceaccount.com");
    atomic_store(&fixture.google.trouble, GOOGLE_NOT_GOOGLE);
    open_tokens(NULL);
    assert_refused(&own, ERR_UNAVAILABLE, "the metadata service has no account (HTTP 200)");
    atomic_store(&fixture.google.trouble, GOOGLE_SERVER_ERROR);
    assert_refused(&own, ERR_UNAVAILABLE,
                   "this server has no Google credentials (gcp.key_file: not set; machine): no "
                   "metadata service answers");
    const int count = request_count();
    assert_refused(&own, ERR_UNAVAILABLE, "no metadata service answered a moment ago");
    assert_int_equal(request_count(), count);
    assert_string_equal(gcp_token_email(fixture.tokens, &own, &arena),
                        "the service account of this server");
    test_clock.now_boot_ms += 60001;
    atomic_store(&fixture.google.trouble, GOOGLE_FINE);
    assert_token(&own, false, "hush.machine.3"); // the second one was nobody's
}

static void test_a_customers_account_is_impersonated(void **state)
{
    (void)state;
    assert_token(&customer, false, "hush.customer.1");
    assert_int_equal(request_count(), 2);
    test_clock.now_wall_ms = START_MS + 54 * CIVIL_MINUTE_MS;
    assert_token(&customer, false, "hush.customer.1");
    assert_int_equal(request_count(), 2);
    test_clock.now_wall_ms = START_MS + 55 * CIVIL_MINUTE_MS + 124;
    assert_token(&customer, false, "hush.customer.2"); // and our own is renewed, too
    assert_int_equal(request_count(), 4);
    assert_token(&customer, true, "hush.customer.3");
    assert_int_equal(request_count(), 5);
    assert_string_equal(gcp_token_email(fixture.tokens, &customer, &arena), CUSTOMER);
    open_tokens(NULL);
    assert_token(&customer, false, "hush.customer.4");
}

static void test_a_refusal_says_which_role_is_missing(void **state)
{
    (void)state;
    atomic_store(&fixture.google.is_closed, true);
    static const char expected[] = CUSTOMER " cannot be used: it must exist, and " OWN
                                            " must have the role "
                                            "roles/iam.serviceAccountTokenCreator on it";
    assert_refused(&customer, ERR_DENIED, expected);
    atomic_store(&fixture.google.iam_trouble, GOOGLE_MISSING);
    assert_refused(&customer, ERR_DENIED, expected);
    open_tokens(NULL);
    assert_refused(&customer, ERR_DENIED, "and machine@own.iam.gserviceaccount.com must have");
    atomic_store(&fixture.google.iam_trouble, GOOGLE_FINE);
    atomic_store(&fixture.google.is_closed, false); // it is not remembered
    assert_token(&customer, false, "hush.customer.1");
}

static void test_answers_of_impersonation(void **state)
{
    (void)state;
    static const struct {
        enum google_trouble trouble;
        enum err_kind kind;
        const char *expected;
    } cases[] = {
        {GOOGLE_DISABLED, ERR_UNAVAILABLE, "has to enable the IAM Service Account Credentials API"},
        {GOOGLE_BAD_REQUEST, ERR_INVALID, "Google gives no token for " CUSTOMER ": Bad thing"},
        {GOOGLE_NOT_JSON, ERR_UNAVAILABLE, "not a JSON text"},
        {GOOGLE_NO_TOKEN, ERR_UNAVAILABLE, "no token in its answer"},
        {GOOGLE_NO_LIFE, ERR_UNAVAILABLE, "no token in its answer"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        atomic_store(&fixture.google.iam_trouble, cases[i].trouble);
        assert_refused(&customer, cases[i].kind, cases[i].expected);
    }
}

static void test_a_token_that_is_not_taken_is_renewed_once(void **state)
{
    (void)state;
    atomic_store(&fixture.google.iam_trouble, GOOGLE_STALE);
    assert_token(&customer, false, "hush.customer.1");
    assert_int_equal(request_count(), 4);
    atomic_store(&fixture.google.token_count, 9); // 10, 11: not taken either
    open_tokens(file_path);
    assert_refused(&customer, ERR_UNAVAILABLE, "Google does not take the token of " OWN);
    assert_int_equal(request_count(), 8);
}

static void test_a_wrong_clock_is_corrected_by_theirs(void **state)
{
    (void)state;
    atomic_store(&fixture.google.trouble, GOOGLE_SKEWED);
    assert_token(&own, false, "hush.storage.1");
    assert_int_equal(request_count(), 2);
    assert_token(&own, true, "hush.storage.2");
    assert_int_equal(request_count(), 3); // it is known by now
}

static void test_odd_answers(void **state)
{
    (void)state;
    static const struct {
        enum google_trouble trouble;
        enum err_kind kind;
        const char *expected;
    } cases[] = {
        {GOOGLE_NOT_JSON, ERR_UNAVAILABLE, "not a JSON text"},
        {GOOGLE_NO_TOKEN, ERR_UNAVAILABLE, "the reply has no token"},
        {GOOGLE_NO_LIFE, ERR_UNAVAILABLE, "the reply has no token"},
        {GOOGLE_LONG_LIFE, ERR_UNAVAILABLE, "the reply has no token"},
        {GOOGLE_ODD_TOKEN, ERR_UNAVAILABLE, "the reply has no token"},
        {GOOGLE_HUGE, ERR_LIMIT, "too large"},
        {GOOGLE_SERVER_ERROR, ERR_UNAVAILABLE, "Google's token service: after 2 tries: HTTP 500"},
        {GOOGLE_MISSING, ERR_UNAVAILABLE, "Google's token service answers HTTP 404"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        atomic_store(&fixture.google.trouble, cases[i].trouble);
        assert_refused(&own, cases[i].kind, cases[i].expected);
    }
    atomic_store(&fixture.google.trouble, GOOGLE_FINE);
    assert_token(&own, false, "hush.storage.2"); // the first one was huge
}

static void test_every_break_of_the_connection(void **state)
{
    (void)state;
    for (enum fake_fault fault = FAKE_RESET; fault < FAKE_FAULTS; fault++) {
        atomic_store(&fixture.google.fault, fault);
        const int count = request_count();
        assert_refused(&own, ERR_UNAVAILABLE, "Google's token service: after 2 tries");
        assert_int_equal(request_count(), count + 2);
    }
}

static void assert_no_settings(const char *expected)
{
    const struct cloud_config config = config_of_test();
    struct gcp_tokens *tokens = NULL;
    struct err err = {0};
    assert_false(gcp_tokens_open(&fixture.settings, &config, &tokens, &err));
    if (strstr(err.message, expected) == NULL)
        fail_msg("%s", err.message);
}

static void test_settings_that_cannot_be(void **state)
{
    (void)state;
    const struct gcp_settings good = fixture.settings;
    fixture.settings.token_endpoint = "oauth2.googleapis.com/token";
    assert_no_settings("gcp.token_endpoint: not a URL");
    fixture.settings = good;
    fixture.settings.iam_endpoint = "https://iam.example/x";
    assert_no_settings("gcp.iam_endpoint: not a URL");
    fixture.settings = good;
    fixture.settings.metadata_endpoint = "";
    assert_no_settings("gcp.metadata_endpoint: not a URL");
    fixture.settings = good;
    fixture.settings.key_file = "/nowhere/key.json";
    assert_no_settings("gcp.key_file: /nowhere/key.json: No such file");
    fixture.settings = good;
    assert_int_equal(chmod(file_path, 0604), 0);
    assert_no_settings("has mode 0604 and holds a secret");
    write_file(key_json(test_key_curve));
    assert_no_settings("gcp.key_file: private_key: not an RSA key");
}

static void assert_no_key(const char *json, const char *expected)
{
    struct gcp_key key;
    struct err err = {0};
    assert_false(gcp_key_parse(slice_text(json), &arena, &key, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    if (strstr(err.message, expected) == NULL)
        fail_msg("%s", err.message);
    assert_null(strstr(err.message, "hush"));
}

static void test_what_is_no_key(void **state)
{
    (void)state;
    assert_no_key("", "not a JSON text");
    assert_no_key("hush", "not a JSON text");
    assert_no_key("{\"hush\":1,\"hush\":2}", "not a JSON text");
    assert_no_key("[]", "(type)");
    assert_no_key("{\"type\":\"external_account\",\"token_url\":\"http://169.254.169.254/\"}",
                  "(type)");
    assert_no_key("{\"type\":\"authorized_user\",\"refresh_token\":\"hush\"}", "(type)");
#define KEY_START "{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key_id\":\"k\","
    assert_no_key(KEY_START "\"universe_domain\":\"hush.example\"}", "(universe_domain)");
    assert_no_key(KEY_START "\"private_key\":\"hush\"}", "private_key: not a private key in PEM");
    assert_no_key(KEY_START "\"private_key\":17}", "private_key: ");
    assert_no_key("{\"type\":\"service_account\",\"client_email\":\"a b\"}", "client_email");
    assert_no_key("{\"type\":\"service_account\",\"client_email\":\"a@b\"}", "private_key_id");
    assert_no_key(key_json(test_key_small), "private_key: not an RSA key of 2048");
    char *huge = arena_alloc(&arena, GCP_KEY_BYTES_MAX + 2);
    memset(huge, ' ', GCP_KEY_BYTES_MAX + 1);
    assert_no_key(huge, "too large");
}

#define WITH_GOOGLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const int fd = mkstemp(file_path);
    if (fd < 0)
        return 1;
    (void)close(fd);
    const struct CMUnitTest tests[] = {
        WITH_GOOGLE(test_a_key_gets_a_token_that_is_kept),
        WITH_GOOGLE(test_a_registered_key_is_another_one),
        WITH_GOOGLE(test_a_key_file_that_changes_is_read_again),
        WITH_GOOGLE(test_the_machine_gives_a_token),
        WITH_GOOGLE(test_a_customers_account_is_impersonated),
        WITH_GOOGLE(test_a_refusal_says_which_role_is_missing),
        WITH_GOOGLE(test_answers_of_impersonation),
        WITH_GOOGLE(test_a_token_that_is_not_taken_is_renewed_once),
        WITH_GOOGLE(test_a_wrong_clock_is_corrected_by_theirs),
        WITH_GOOGLE(test_odd_answers),
        WITH_GOOGLE(test_every_break_of_the_connection),
        WITH_GOOGLE(test_settings_that_cannot_be),
        WITH_GOOGLE(test_what_is_no_key),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(file_path);
    return failed;
}
