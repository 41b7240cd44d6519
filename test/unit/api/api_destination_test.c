// SPDX-License-Identifier: Apache-2.0
// Destinations besides the hosted bucket, on a server that has access to all of them.
#include "api_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/json_text.h"
#include "catalog/connections.h"
#include "fake_names.h"
#include "test_keys.h"

#define ROLE    "arn:aws:iam::123456789012:role/exports"
#define ACCOUNT "exports@project.iam.gserviceaccount.com"

static struct fake_name names[] = {
    {.name = "store.test", .addresses = {"93.184.216.34", "2606:2800:220:1::1"}},
    {.name = "inside.test", .addresses = {"93.184.216.34", "10.0.0.8"}},
    {.name = "metadata.test", .addresses = {"169.254.169.254"}},
    {.name = "slow.test", .addresses = {"93.184.216.34"}, .delay_ms = 20000},
    {.name = "lab.test", .addresses = {"10.1.0.1"}},
};

// The JSON key of ACCOUNT.
static const char *json_key(struct fixture *fixture)
{
    struct buf text;
    struct json_text json;
    buf_init(&text, 16384);
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "type", "service_account");
    json_text_member_text(&json, "client_email", ACCOUNT);
    json_text_member_text(&json, "private_key", test_key_pkcs8);
    json_text_close(&json, '}');
    const char *copy = arena_copy_text(&fixture->arena, buf_text(&text));
    buf_clear(&text);
    return copy;
}

static void connect_as(struct fixture *fixture, const char *name, enum connection_kind kind,
                       const char *organization_id, const char *endpoint)
{
    static const struct cipher_key key = {{1}};
    const struct connection_ring ring = {&key, 1};
    const bool is_json = kind == CONNECTION_GCS_KEY;
    const struct connection_request request = {
        .name = name,
        .kind = kind,
        .organization_id = organization_id,
        .settings = {.endpoint = endpoint},
        .key = {.access_key_id = is_json ? NULL : "AKID",
                .secret = slice_text(is_json ? json_key(fixture) : "secret")},
    };
    struct connection connection;
    struct err err;
    if (!connection_create(fixture->catalog, &request, &ring, FIXTURE_NOW_MS, &fixture->arena,
                           &connection, &err))
        fail_msg("%s", err.message);
}

static struct api *open_enabled(struct fixture *fixture)
{
    struct api_config config = fixture_config(fixture);
    config.settings.base_urls = (struct option_list){.items = {"https://exports.example.com"},
                                                     .count = 1};
    config.settings.destinations = (struct api_destination_settings){
        .has_aws = true,
        .aws_account_id = "999999999999",
        .has_mail = true,
        .mail_allowed_recipients = {.items = {"@example.org", "ops@example.com"}, .count = 2},
        .customer_endpoints = true,
    };
    connect_as(fixture, "mine", CONNECTION_S3, fixture->mine.organization_id, NULL);
    connect_as(fixture, "minio", CONNECTION_S3, NULL, "http://10.0.0.8:9000");
    connect_as(fixture, "theirs", CONNECTION_S3, fixture->theirs.organization_id, NULL);
    connect_as(fixture, "hmac", CONNECTION_GCS_HMAC, NULL, NULL);
    return fixture_open_other(fixture, &config);
}

static struct fixture_reply preview(struct fixture *fixture, const char *destination)
{
    return fixture_post(
        fixture, fixture->mine.token, "/v1/subscriptions/preview",
        fixture_format(fixture,
                       "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"]},"
                       "\"destination\":{%s}}",
                       destination));
}

static struct fixture_reply subscribe(struct fixture *fixture, const char *destination)
{
    static int count = 0;
    return fixture_post(
        fixture, fixture->mine.token,
        fixture_format(fixture, "/scheduled-exports/logs/subscribe?app_id=%s",
                       fixture->mine.app_id),
        fixture_format(fixture,
                       "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"],"
                       "\"filter\":[\"eq\",\"name\",\"%d\"]},\"external_id\":\"mine\","
                       "\"destination\":{%s}}",
                       ++count, destination));
}

static const char *s3(struct fixture *fixture, const char *access, const char *members)
{
    return fixture_format(
        fixture,
        "\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":\"my-bucket\","
        "\"resource_access_id\":\"%s\"%s",
        access, members);
}

static const char *gcs(struct fixture *fixture, const char *access)
{
    return fixture_format(
        fixture,
        "\"subscription_type\":\"cloud\",\"cloud\":\"gcs\",\"bucket\":\"my-bucket\","
        "\"resource_access_id\":\"%s\"",
        access);
}

static const char *email(struct fixture *fixture, const char *addresses)
{
    return fixture_format(fixture, "\"subscription_type\":\"email\",\"recipient_emails\":[%s]",
                          addresses);
}

static void assert_taken(struct fixture *fixture, const char *destination)
{
    const struct fixture_reply reply = subscribe(fixture, destination);
    if (reply.status != 200)
        fail_msg("%s: %s", destination, slice_chars(reply.body));
    assert_string_equal(fixture_text(&reply, "status"), "PENDING");
}

static void assert_refused(struct fixture *fixture, const char *destination, const char *message)
{
    struct fixture_reply reply = subscribe(fixture, destination);
    if (reply.status != 400 || strstr(slice_chars(reply.body), message) == NULL)
        fail_msg("%s: %s", destination, slice_chars(reply.body));
    fixture_assert_error(&reply, 400, message);
    reply = preview(fixture, destination);
    fixture_assert_error(&reply, 400, message);
}

// --- What there is access to

static void roles_accounts_and_connections_are_taken(void **state)
{
    struct fixture *fixture = *state;
    struct api *api = open_enabled(fixture);
    assert_taken(fixture, s3(fixture, ROLE, ""));
    assert_taken(fixture, s3(fixture, "mine", ",\"external_id\":\"of-my-own\""));
    assert_taken(fixture, s3(fixture, "minio", ",\"prefix\":\"a/b\""));
    assert_taken(fixture, gcs(fixture, "hmac"));
    assert_refused(fixture, s3(fixture, "arn:aws:iam::999999999999:role/admin", ""),
                   "Role account not allowed");
    assert_refused(fixture, gcs(fixture, ACCOUNT), "Destination not enabled on this server: cloud");
    connect_as(fixture, "account-theirs", CONNECTION_GCS_KEY, fixture->theirs.organization_id,
               NULL);
    assert_refused(fixture, gcs(fixture, ACCOUNT), "Destination not enabled on this server: cloud");
    connect_as(fixture, "account", CONNECTION_GCS_KEY, fixture->mine.organization_id, NULL);
    assert_taken(fixture, gcs(fixture, ACCOUNT));
    assert_taken(fixture, gcs(fixture, "account"));
    api_close(&api, 1000);
}

static void nobody_learns_which_connections_exist(void **state)
{
    struct fixture *fixture = *state;
    struct api *api = open_enabled(fixture);
    static const char *const none_s3[] = {"theirs", "unknown", "hmac", "-", "a_b"};
    static const char *const none_gcs[] = {"theirs", "unknown", "mine", "-", "a_b"};
    for (size_t i = 0; i < ARRAY_COUNT(none_s3); i++)
        assert_refused(fixture, s3(fixture, none_s3[i], ""), "Invalid role ARN");
    for (size_t i = 0; i < ARRAY_COUNT(none_gcs); i++)
        assert_refused(fixture, gcs(fixture, none_gcs[i]), "Invalid service account");
    const struct fixture_reply foreign = subscribe(fixture, s3(fixture, "theirs", ""));
    const struct fixture_reply unknown = subscribe(fixture, s3(fixture, "unknown", ""));
    fixture_assert_same(fixture, &foreign, &unknown);
    api_close(&api, 1000);
}

static void without_access_connections_are_all_there_is(void **state)
{
    struct fixture *fixture = *state; // its own api has none
    connect_as(fixture, "mine", CONNECTION_S3, fixture->mine.organization_id, NULL);
    assert_taken(fixture, s3(fixture, "mine", ""));
    assert_refused(fixture, s3(fixture, ROLE, ""), "Destination not enabled on this server: cloud");
    assert_refused(fixture, s3(fixture, "unknown", ""), "Invalid role ARN");
    assert_refused(fixture, email(fixture, "\"a@example.org\""),
                   "Destination not enabled on this server: email");
    assert_refused(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://store.test\""),
                   "Endpoint not allowed");
    assert_refused(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://a@b/\""),
                   "Invalid endpoint URL");
}

// --- Endpoints

static void endpoints_are_checked_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct api *api = open_enabled(fixture);
    static const struct {
        const char *endpoint;
        const char *message;
    } rows[] = {
        {"file:///etc/passwd", "Invalid endpoint URL"},
        {"https://good.example@127.0.0.1/", "Invalid endpoint URL"},
        {"https://store.test/path", "Invalid endpoint URL"},
        {"https://store.test?x=1", "Invalid endpoint URL"},
        {"http://169.254.169.254/latest/meta-data", "Endpoint not allowed"},
        {"http://metadata.google.internal/", "Endpoint not allowed"},
        {"http://2130706433", "Endpoint not allowed"},
        {"http://[fe80::1%25eth0]", "Endpoint not allowed"},
        {"https://10.0.0.8", "Endpoint not allowed"},
        {"https://exports.example.com", "Endpoint not allowed"}, // our own
        {"http://EXPORTS.example.com:9000", "Endpoint not allowed"},
        {"http://store.test", "Endpoint must use https"},
        {"https://inside.test", "Endpoint not allowed"}, // one of its addresses
        {"https://metadata.test", "Endpoint not allowed"},
        {"https://nowhere.test", "Endpoint cannot be resolved"},
        {"https://slow.test", "Endpoint cannot be resolved"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_refused(
            fixture,
            s3(fixture, "mine", fixture_format(fixture, ",\"endpoint\":\"%s\"", rows[i].endpoint)),
            rows[i].message);
    assert_taken(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://store.test:9000\""));
    assert_taken(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://lab.test/\""));
    assert_taken(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://10.1.0.2\""));
    api_close(&api, 1000);
}

static void endpoints_stand_beside_connections_that_have_none(void **state)
{
    struct fixture *fixture = *state;
    struct api *api = open_enabled(fixture);
    const char *endpoint = ",\"endpoint\":\"https://store.test\"";
    assert_refused(fixture, s3(fixture, "minio", endpoint), "Endpoint not allowed");
    assert_refused(fixture, s3(fixture, ROLE, endpoint), "Endpoint not allowed");
    const struct fixture_reply made = subscribe(fixture, s3(fixture, "mine", endpoint));
    assert_int_equal(made.status, 200);
    const struct fixture_reply seen = fixture_get(
        fixture, fixture->mine.token,
        fixture_format(fixture, "/v1/subscriptions/%s", fixture_text(&made, "subscription_id")));
    assert_non_null(strstr(slice_chars(seen.body),
                           "\"destination\":{\"subscription_type\":\"cloud\",\"cloud\":\"s3\","
                           "\"bucket\":\"my-bucket\",\"resource_access_id\":\"mine\","
                           "\"endpoint\":\"https://store.test\"}"));
    api_close(&api, 1000);
}

static void behind_a_proxy_names_are_the_proxys(void **state)
{
    struct fixture *fixture = *state;
    struct api_config config = fixture_config(fixture);
    config.settings.destinations = (struct api_destination_settings){.customer_endpoints = true,
                                                                     .has_proxy = true};
    connect_as(fixture, "mine", CONNECTION_S3, fixture->mine.organization_id, NULL);
    struct api *api = fixture_open_other(fixture, &config);
    assert_taken(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://nowhere.test\""));
    assert_refused(fixture, s3(fixture, "mine", ",\"endpoint\":\"https://10.0.0.8\""),
                   "Endpoint not allowed");
    api_close(&api, 1000);
}

// --- Mail

static void mail_goes_to_who_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    struct api *api = open_enabled(fixture);
    static const char *const good[] = {
        "\"a@example.org\"",
        "\"a@EXAMPLE.org\",\"b.c@example.org\"",
        "\"ops@example.com\"],\"attachment\":true,\"x\":[",
    };
    static const char *const bad[] = {
        "\"a@sub.example.org\"",
        "\"a@example.com\"",
        "\"Ops@example.com\"",
        "\"a@xexample.org\"",
        "\"a@example.org.evil.example\"",
        "\"a@example.org\",\"b@example.net\"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_taken(fixture, email(fixture, good[i]));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(fixture, email(fixture, bad[i]), "Destination not verified");
    api_close(&api, 1000);

    struct api_config config = fixture_config(fixture);
    config.settings.destinations.has_mail = true;
    api = fixture_open_other(fixture, &config);
    assert_taken(fixture, email(fixture, "\"any@one.example\""));
    api_close(&api, 1000);
}

static void bad_settings_are_refused(void **state)
{
    static const char *const bad_recipients[] = {"",           "example.org", "@",
                                                 "@localhost", "a@",          "a b@c.org"};
    struct fixture *fixture = *state;
    struct err err;
    struct api *api = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(bad_recipients); i++) {
        struct api_config config = fixture_config(fixture);
        config.settings.destinations.mail_allowed_recipients =
            (struct option_list){.items = {bad_recipients[i]}, .count = 1};
        assert_false(api_open(&config, &api, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.message, "allowed recipient"));
    }
    struct api_config config = fixture_config(fixture);
    config.settings.allowed_networks = (struct option_list){.items = {"10.0.0.1/8"}, .count = 1};
    assert_false(api_open(&config, &api, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

// --- Edits

static void edits_are_checked_as_well(void **state)
{
    struct fixture *fixture = *state;
    struct api *api = open_enabled(fixture);
    const struct fixture_reply made = subscribe(fixture, s3(fixture, "mine", ""));
    const char *target = fixture_format(fixture, "/v1/subscriptions/%s",
                                        fixture_text(&made, "subscription_id"));
    static const struct {
        const char *members;
        const char *message;
    } rows[] = {
        {"\"resource_access_id\":\"theirs\"", "Invalid role ARN"},
        {"\"cloud\":\"gcs\"", "Invalid service account"},
        {"\"endpoint\":\"https://10.0.0.8\"", "Endpoint not allowed"},
        {"\"subscription_type\":\"email\",\"recipient_emails\":[\"a@b.example\"]",
         "Destination not verified"},
    };
    const char *headers = fixture_format(fixture, "Access-Token: %s\r\n", fixture->mine.token);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fixture_call(
            fixture, "PATCH", target, headers,
            slice_text(fixture_format(fixture, "{\"destination\":{%s}}", rows[i].members)));
        fixture_assert_error(&reply, 400, rows[i].message);
    }
    const struct fixture_reply reply = fixture_call(
        fixture, "PATCH", target, headers,
        slice_text("{\"destination\":{\"resource_access_id\":\"minio\",\"prefix\":\"p\"}}"));
    assert_int_equal(reply.status, 200);
    api_close(&api, 1000);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    fake_names_set(names, ARRAY_COUNT(names)); // before there are threads
    const struct CMUnitTest tests[] = {
        API_TEST(roles_accounts_and_connections_are_taken),
        API_TEST(nobody_learns_which_connections_exist),
        API_TEST(without_access_connections_are_all_there_is),
        API_TEST(endpoints_are_checked_in_order),
        API_TEST(endpoints_stand_beside_connections_that_have_none),
        API_TEST(behind_a_proxy_names_are_the_proxys),
        API_TEST(mail_goes_to_who_is_allowed),
        API_TEST(bad_settings_are_refused),
        API_TEST(edits_are_checked_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
