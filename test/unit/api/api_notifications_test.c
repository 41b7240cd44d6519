// SPDX-License-Identifier: Apache-2.0
// Notifications as customers ask for them, through a real server. Names under .test are made up.
#include "api_fixture.h"

#include "../net/fake_names.h"
#include "base/check.h"
#include "catalog/notices.h"

#define HOOK "https://93.184.216.34/hooks/in?key=1"

static const char target[] = "/v1/notifications";

static const char *at(struct fixture *fixture, const char *id, const char *rest)
{
    return fixture_format(fixture, "/v1/notifications/%s%s", id, rest);
}

static struct fixture_reply ask(struct fixture *fixture, const char *body)
{
    return fixture_post(fixture, fixture->mine.token, target, body);
}

static const char *webhook_body(struct fixture *fixture, const char *url)
{
    return fixture_format(fixture, "{\"type\":\"webhook\",\"url\":\"%s\"}", url);
}

static const char *make(struct fixture *fixture)
{
    const struct fixture_reply reply = ask(fixture, webhook_body(fixture, HOOK));
    assert_int_equal(reply.status, 200);
    return fixture_text(&reply, "notification_id");
}

// The secret as the catalog has it, opened.
static const char *opened(struct fixture *fixture, const char *id, const char *sealed)
{
    struct err err;
    struct secret secret;
    if (!notification_open_secret(id, sealed, &fixture_secret_key, 1, &secret, &err))
        fail_msg("%s", err.message);
    const char *text = arena_copy_slice(&fixture->arena, secret_reveal(&secret));
    secret_clear(&secret);
    return text;
}

static struct notification kept(struct fixture *fixture, const char *id)
{
    struct err err;
    struct notification notification;
    const struct subscription_scope scope = {fixture->mine.organization_id, NULL, true};
    if (!notification_get(fixture->catalog, &scope, slice_text(id), &fixture->arena, &notification,
                          &err))
        fail_msg("%s", err.message);
    return notification;
}

static void a_webhook_shows_its_secret_once(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = ask(fixture, webhook_body(fixture, HOOK));
    assert_int_equal(reply.status, 200);
    const char *id = fixture_text(&reply, "notification_id");
    const char *secret = fixture_text(&reply, "secret");
    assert_memory_equal(secret, "whsec_", 6);
    assert_int_equal(strlen(secret), 46);
    assert_string_equal(fixture_text(&reply, "type"), "webhook");
    assert_string_equal(fixture_text(&reply, "url"), HOOK);
    assert_string_equal(fixture_text(&reply, "organization_id"), fixture->mine.organization_id);
    assert_string_equal(fixture_text(&reply, "created_at"), "2026-11-23T10:20:00.000-00:00");
    assert_int_equal(json_node_count(json_node_get(reply.json, "events")), 5);
    assert_int_equal(json_node_kind(json_node_get(reply.json, "app_id")), JSON_KIND_NULL);
    assert_null(json_node_get(reply.json, "grace_until"));

    reply = fixture_get(fixture, fixture->mine.token, at(fixture, id, ""));
    assert_int_equal(reply.status, 200);
    assert_null(json_node_get(reply.json, "secret"));
    reply = fixture_get(fixture, fixture->mine.token, target);
    assert_int_equal(json_node_count(reply.json), 1);
    assert_null(strstr(slice_chars(reply.body), secret));
    // In the catalog it is sealed, for this notification alone.
    const struct notification notification = kept(fixture, id);
    assert_null(strstr(notification.sealed_secret, secret + 6));
    assert_string_equal(opened(fixture, id, notification.sealed_secret), secret);
}

static void a_repeated_request_makes_one(void **state)
{
    struct fixture *fixture = *state;
    const char *headers = fixture_format(fixture,
                                         "Access-Token: %s\r\nIdempotency-Key: once\r\n"
                                         "Content-Type: application/json\r\n",
                                         fixture->mine.token);
    const struct slice body = slice_text(webhook_body(fixture, HOOK));
    const struct fixture_reply first = fixture_call(fixture, "POST", target, headers, body);
    const struct fixture_reply second = fixture_call(fixture, "POST", target, headers, body);
    assert_int_equal(first.status, 200);
    assert_int_equal(second.status, 200);
    assert_string_equal(fixture_text(&second, "notification_id"),
                        fixture_text(&first, "notification_id"));
    assert_int_equal(json_node_kind(json_node_get(second.json, "secret")), JSON_KIND_NULL);
}

static void mails_have_addresses(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_reply reply =
        ask(fixture, "{\"type\":\"email\",\"recipient_emails\":[\"a@b.example\",\"c@d.example\","
                     "\"a@b.example\"],\"events\":[\"late\",\"job_failed\",\"late\"]}");
    assert_int_equal(reply.status, 200);
    const struct json_node *addresses = json_node_get(reply.json, "recipient_emails");
    assert_int_equal(json_node_count(addresses), 2);
    assert_string_equal(slice_chars(json_node_text(json_node_at(addresses, 1))), "c@d.example");
    assert_int_equal(json_node_count(json_node_get(reply.json, "events")), 2);
    assert_null(json_node_get(reply.json, "secret"));
    assert_null(json_node_get(reply.json, "url"));
    const struct notification notification = kept(fixture, fixture_text(&reply, "notification_id"));
    assert_string_equal(notification.target, "a@b.example c@d.example");
    assert_int_equal(notification.events, 1U << NOTICE_LATE | 1U << NOTICE_JOB_FAILED);
    const struct fixture_reply rotated = fixture_post(fixture, fixture->mine.token,
                                                      at(fixture, notification.id, "/rotate"), "");
    fixture_assert_error(&rotated, 400, "Only webhooks have a secret");
}

// As those of subscriptions: a notification is no way to mail to strangers.
static void the_operator_limits_recipients(void **state)
{
    struct fixture *fixture = *state;
    struct api_config config = fixture_config(fixture);
    config.settings.destinations.mail_allowed_recipients =
        (struct option_list){.items = {"@b.example"}, .count = 1};
    struct api *api = fixture_open_other(fixture, &config);
    const struct fixture_reply made =
        ask(fixture, "{\"type\":\"email\",\"recipient_emails\":[\"a@b.example\"]}");
    assert_int_equal(made.status, 200);
    const char *body =
        "{\"type\":\"email\",\"recipient_emails\":[\"a@b.example\",\"x@c.example\"]}";
    const struct fixture_reply refused = ask(fixture, body);
    fixture_assert_error(&refused, 400, "Destination not verified");
    const struct fixture_reply unchanged = fixture_patch(
        fixture, fixture->mine.token, at(fixture, fixture_text(&made, "notification_id"), ""),
        "{\"recipient_emails\":[\"x@c.example\"]}");
    fixture_assert_error(&unchanged, 400, "Destination not verified");
    api_close(&api, 1000);
}

static void bad_requests_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *body;
        const char *message;
        int status;
    } rows[] = {
        {"[]", "JSON object expected", 400},
        {"{}", "Missing required field: type", 400},
        {"{\"type\":7}", "Invalid type: string expected", 400},
        {"{\"type\":\"pigeon\"}", "Invalid notification type", 400},
        {"{\"type\":\"webhook\"}", "Missing required field: url", 400},
        {"{\"type\":\"webhook\",\"url\":7}", "Invalid type: string expected", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"recipient_emails\":[\"a@b.example\"]}",
         "Notifications of type webhook have no recipient_emails", 400},
        {"{\"type\":\"email\",\"url\":\"" HOOK "\",\"recipient_emails\":[\"a@b.example\"]}",
         "Notifications of type email have no url", 400},
        {"{\"type\":\"email\"}", "Missing required field: recipient_emails", 400},
        {"{\"type\":\"email\",\"recipient_emails\":[]}", "Missing required field: recipient_emails",
         400},
        {"{\"type\":\"email\",\"recipient_emails\":\"a@b.example\"}",
         "Invalid type: array expected", 400},
        {"{\"type\":\"email\",\"recipient_emails\":[7]}", "Invalid type: string expected", 400},
        {"{\"type\":\"email\",\"recipient_emails\":[\"a@b.example\\r\\nBcc: x@evil.example\"]}",
         "Invalid e-mail address", 400},
        {"{\"type\":\"email\",\"recipient_emails\":[\"a b@c.example\"]}", "Invalid e-mail address",
         400},
        {"{\"type\":\"email\",\"recipient_emails\":[\"1@b.example\",\"2@b.example\","
         "\"3@b.example\",\"4@b.example\",\"5@b.example\",\"6@b.example\",\"7@b.example\","
         "\"8@b.example\",\"9@b.example\",\"10@b.example\",\"11@b.example\"]}",
         "Too many recipients", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"events\":{}}",
         "Invalid type: array expected", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"events\":[]}",
         "Missing required field: events", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"events\":[1]}",
         "Invalid type: string expected", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"events\":[\"late\",\"test\"]}",
         "Unknown event: test", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"subscription_id\":true}",
         "Invalid type: string expected", 400},
        {"{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"subscription_id\":\"none\"}",
         "Subscription not found", 404},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = ask(fixture, rows[i].body);
        fixture_assert_error(&reply, rows[i].status, rows[i].message);
    }
    const struct fixture_reply list = fixture_get(fixture, fixture->mine.token, target);
    assert_int_equal(json_node_count(list.json), 0);
}

static void urls_are_judged(void **state)
{
    struct fixture *fixture = *state;
    static struct fake_name names[] = {
        {.name = "public.test", .addresses = {"93.184.216.34"}},
        {.name = "private.test", .addresses = {"93.184.216.34", "127.0.0.1"}},
        {.name = "inside.test", .addresses = {"10.1.2.3"}},
        {.name = "elsewhere.test", .addresses = {"10.2.2.3"}},
    };
    fake_names_set(names, ARRAY_COUNT(names));
    static const char form[] = "Invalid endpoint URL";
    static const char class[] = "Endpoint not allowed";
    static const char plain[] = "Endpoint must use https";
    const struct {
        const char *url;
        const char *message; // NULL: taken
    } rows[] = {
        {"https://public.test/a", NULL},
        {"https://inside.test/a", NULL},
        {"http://10.1.2.3:8080/a", NULL},
        {"https://private.test/a", class},
        {"https://elsewhere.test/a", class},
        {"https://10.2.2.3/a", class},
        {"http://10.2.2.3/a", class},
        {"http://127.0.0.1/a", class},
        {"https://[::1]/a", class},
        {"https://[::ffff:10.2.2.3]/a", class},
        {"https://169.254.169.254/latest", class},
        {"https://localhost/a", class},
        {"https://2130706433/a", class},
        {fixture_format(fixture, "http://%s/v1/events", fixture->host), class},
        {"http://93.184.216.34/a", plain},
        {"http://public.test/a", plain},
        {"http://inside.test/a", plain},
        {"https://user@public.test/a", form},
        {"ftp://public.test/a", form},
        {"https://public.test/a#b", form},
        {"https:///a", form},
        {"https://public.test/a b", form},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture_reply reply = ask(fixture, webhook_body(fixture, rows[i].url));
        if (rows[i].message != NULL) {
            if (reply.status != 400)
                fail_msg("%s: %d", rows[i].url, reply.status);
            fixture_assert_error(&reply, 400, rows[i].message);
            continue;
        }
        if (reply.status != 200)
            fail_msg("%s: %s", rows[i].url, slice_chars(reply.body));
        const char *id = fixture_text(&reply, "notification_id");
        // The same when it is changed.
        reply = fixture_patch(fixture, fixture->mine.token, at(fixture, id, ""),
                              "{\"url\":\"https://127.0.0.1/\"}");
        fixture_assert_error(&reply, 400, class);
        assert_int_equal(fixture_delete(fixture, fixture->mine.token, at(fixture, id, "")).status,
                         200);
    }
}

static void names_that_do_not_resolve_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static struct fake_name names[] = {{.name = "nobody.test"}};
    fake_names_set(names, ARRAY_COUNT(names));
    const struct fixture_reply reply = ask(fixture, webhook_body(fixture, "https://nobody.test/a"));
    fixture_assert_error(&reply, 400, "Endpoint cannot be resolved");
}

static void an_organization_has_so_many(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        (void)make(fixture);
    const struct fixture_reply reply = ask(fixture, webhook_body(fixture, HOOK));
    fixture_assert_error(&reply, 400, "Notification limit reached: 3");
}

static void changes_act(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = make(fixture);
    struct fixture_reply reply =
        fixture_patch(fixture, token, at(fixture, id, ""),
                      "{\"url\":\"https://93.184.216.35/\",\"type\":\"webhook\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "url"), "https://93.184.216.35/");
    assert_int_equal(json_node_count(json_node_get(reply.json, "events")), 5);
    reply = fixture_patch(fixture, token, at(fixture, id, ""), "{\"events\":[\"recovered\"]}");
    assert_int_equal(json_node_count(json_node_get(reply.json, "events")), 1);
    assert_string_equal(fixture_text(&reply, "url"), "https://93.184.216.35/");
    static const struct {
        const char *body;
        const char *message;
    } rows[] = {
        {"{}", "Missing required field: url"},
        {"{\"url\":null}", "Missing required field: url"},
        {"{\"type\":\"email\"}", "type cannot be changed"},
        {"{\"type\":\"pigeon\"}", "Invalid notification type"},
        {"{\"events\":[]}", "Missing required field: events"},
        {"{\"recipient_emails\":[\"a@b.example\"]}",
         "Notifications of type webhook have no recipient_emails"},
        {"{\"subscription_id\":\"x\",\"events\":[\"late\"]}", "subscription_id cannot be changed"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        reply = fixture_patch(fixture, token, at(fixture, id, ""), rows[i].body);
        fixture_assert_error(&reply, 400, rows[i].message);
    }
    reply = fixture_delete(fixture, token, at(fixture, id, ""));
    assert_string_equal(fixture_text(&reply, "description"), "Notification deleted");
    reply = fixture_get(fixture, token, at(fixture, id, ""));
    fixture_assert_error(&reply, 404, "Not found");
}

static void a_rotated_secret_has_a_grace(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make(fixture);
    const char *first = opened(fixture, id, kept(fixture, id).sealed_secret);
    struct fixture_reply reply = fixture_post(
        fixture, fixture->mine.token, at(fixture, id, "/rotate"), "{\"grace_seconds\":3600}");
    assert_int_equal(reply.status, 200);
    const char *second = fixture_text(&reply, "secret");
    assert_string_not_equal(second, first);
    assert_string_equal(fixture_text(&reply, "grace_until"), "2026-11-23T11:20:00.000-00:00");
    const struct notification notification = kept(fixture, id);
    assert_string_equal(opened(fixture, id, notification.sealed_secret), second);
    assert_string_equal(opened(fixture, id, notification.previous_sealed_secret), first);
    reply = fixture_get(fixture, fixture->mine.token, at(fixture, id, ""));
    assert_string_equal(fixture_text(&reply, "grace_until"), "2026-11-23T11:20:00.000-00:00");
    reply = fixture_post(fixture, fixture->mine.token, at(fixture, id, "/rotate"),
                         "{\"grace_seconds\":-1}");
    fixture_assert_error(&reply, 400, "Number out of range");
}

static void a_test_is_sent_once_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make(fixture);
    struct fixture_reply reply = fixture_post(fixture, fixture->mine.token,
                                              at(fixture, id, "/test"), "");
    assert_int_equal(reply.status, 200);
    assert_int_equal(strlen(fixture_text(&reply, "notice_id")), 36);
    reply = fixture_post(fixture, fixture->mine.token, at(fixture, id, "/test"), "");
    fixture_assert_error(&reply, 409, "A test notice is still to be sent");
}

static void deliver(struct fixture *fixture, int try_count)
{
    for (int i = 0; i < try_count; i++) {
        struct err err;
        struct notice notice;
        bool found = false;
        const struct notice_claim_request request = {.holder_id = "node",
                                                     .now_ms = FIXTURE_NOW_MS,
                                                     .lease_ms = 1000,
                                                     .back_off_max_ms = 1000,
                                                     .share = 1};
        assert_true(
            notice_claim(fixture->catalog, &request, &fixture->arena, &found, &notice, &err));
        assert_true(found);
        const bool is_last = i + 1 == try_count;
        const struct notice_result result = {
            .state = is_last ? NOTICE_SENT : NOTICE_WAITING,
            .at_ms = FIXTURE_NOW_MS + i,
            .took_ms = 5,
            .status = is_last ? 204 : 0,
            .reason = is_last ? NULL : "connection refused",
            .next_try_at_ms = FIXTURE_NOW_MS,
        };
        assert_true(notice_settle(fixture->catalog, &notice, &result, &err));
    }
}

static void deliveries_come_in_pages(void **state)
{
    struct fixture *fixture = *state;
    const char *id = make(fixture);
    const struct fixture_reply test = fixture_post(fixture, fixture->mine.token,
                                                   at(fixture, id, "/test"), "");
    deliver(fixture, 3);
    struct fixture_reply reply = fixture_get(fixture, fixture->mine.token,
                                             at(fixture, id, "/deliveries?limit=2"));
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_node_count(reply.json), 2);
    assert_string_equal(
        slice_chars(reply.body),
        fixture_format(
            fixture,
            "[{\"notice_id\":\"%s\",\"event\":\"test\",\"notice_status\":\"SENT\",\"attempt\":3,"
            "\"at\":\"2026-11-23T10:20:00.002-00:00\",\"took_ms\":5,\"status\":204,"
            "\"reason\":null},"
            "{\"notice_id\":\"%s\",\"event\":\"test\",\"notice_status\":\"SENT\",\"attempt\":2,"
            "\"at\":\"2026-11-23T10:20:00.001-00:00\",\"took_ms\":5,\"status\":null,"
            "\"reason\":\"connection refused\"}]",
            fixture_text(&test, "notice_id"), fixture_text(&test, "notice_id")));
    const char *link = fixture_header(fixture, &reply, "Link");
    assert_non_null(link);
    const char *path = strstr(link, "/v1/");
    reply = fixture_get(fixture, fixture->mine.token,
                        fixture_format(fixture, "%.*s", (int)strcspn(path, ">"), path));
    assert_int_equal(json_node_count(reply.json), 1);
    assert_null(fixture_header(fixture, &reply, "Link"));
    reply = fixture_get(fixture, fixture->theirs.token, at(fixture, id, "/deliveries"));
    fixture_assert_error(&reply, 404, "Not found");
}

static void foreign_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    const char *subscription_id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    const char *id = make(fixture);
    const char *unknown = "00000000-0000-4000-8000-000000000000";
    const char *bound = fixture_token(fixture, &fixture->mine, fixture->mine.other_app_id,
                                      TENANT_EXPORT);
    static const struct {
        const char *method;
        const char *rest;
        const char *body;
    } rows[] = {
        {"GET", "", ""},       {"PATCH", "", "{\"events\":[\"late\"]}"},
        {"DELETE", "", ""},    {"POST", "/rotate", ""},
        {"POST", "/test", ""}, {"GET", "/deliveries", ""},
    };
    const char *tokens[] = {fixture->theirs.token, bound};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(tokens); j++) {
            const char *headers = fixture_format(
                fixture, "Access-Token: %s\r\nContent-Type: application/json\r\n", tokens[j]);
            const struct fixture_reply foreign = fixture_call(fixture, rows[i].method,
                                                              at(fixture, id, rows[i].rest),
                                                              headers, slice_text(rows[i].body));
            const struct fixture_reply nothing = fixture_call(fixture, rows[i].method,
                                                              at(fixture, unknown, rows[i].rest),
                                                              headers, slice_text(rows[i].body));
            fixture_assert_error(&foreign, 404, "Not found");
            fixture_assert_same(fixture, &foreign, &nothing);
        }
    }
    // Nor does a notification show whose subscriptions there are.
    const char *const ids[] = {subscription_id, unknown};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        const struct fixture_reply reply = fixture_post(
            fixture, fixture->theirs.token, target,
            fixture_format(fixture,
                           "{\"type\":\"webhook\",\"url\":\"" HOOK "\",\"subscription_id\":\"%s\"}",
                           ids[i]));
        fixture_assert_error(&reply, 404, "Subscription not found");
    }
}

static void one_may_be_of_an_app_or_a_subscription(void **state)
{
    struct fixture *fixture = *state;
    const char *subscription_id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    struct fixture_reply reply = ask(fixture, fixture_format(fixture,
                                                             "{\"type\":\"webhook\",\"url\":\"" HOOK
                                                             "\",\"subscription_id\":\"%s\"}",
                                                             subscription_id));
    assert_string_equal(fixture_text(&reply, "subscription_id"), subscription_id);
    assert_string_equal(fixture_text(&reply, "app_id"), fixture->mine.app_id);
    reply = fixture_post(
        fixture, fixture->mine.token,
        fixture_format(fixture, "/v1/notifications?app_id=%s", fixture->mine.other_app_id),
        webhook_body(fixture, HOOK));
    assert_string_equal(fixture_text(&reply, "app_id"), fixture->mine.other_app_id);
    (void)make(fixture);
    const struct {
        const char *query;
        size_t count;
    } rows[] = {
        {"", 3},
        {fixture_format(fixture, "?app_id=%s", fixture->mine.app_id), 1},
        {fixture_format(fixture, "?app_id=%s", fixture->mine.other_app_id), 1},
        {fixture_format(fixture, "?organization_id=%s", fixture->mine.organization_id), 3},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        reply = fixture_get(fixture, fixture->mine.token,
                            fixture_format(fixture, "/v1/notifications%s", rows[i].query));
        assert_int_equal(json_node_count(reply.json), rows[i].count);
    }
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_webhook_shows_its_secret_once),
        API_TEST(a_repeated_request_makes_one),
        API_TEST(mails_have_addresses),
        API_TEST(the_operator_limits_recipients),
        API_TEST(bad_requests_are_refused),
        API_TEST(urls_are_judged),
        API_TEST(names_that_do_not_resolve_are_refused),
        API_TEST(an_organization_has_so_many),
        API_TEST(changes_act),
        API_TEST(a_rotated_secret_has_a_grace),
        API_TEST(a_test_is_sent_once_at_a_time),
        API_TEST(deliveries_come_in_pages),
        API_TEST(foreign_is_unknown),
        API_TEST(one_may_be_of_an_app_or_a_subscription),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
