// SPDX-License-Identifier: Apache-2.0
// The Branch surface through a real server: documented bodies, and what is refused with which
// words.
#include "api_fixture.h"

#include "base/check.h"

#define LOGS "/scheduled-exports/logs/"

static const char *jobs_target(struct fixture *fixture, const char *id, const char *app_id)
{
    return fixture_format(fixture, LOGS "subscription/%s/jobs?app_id=%s", id, app_id);
}

static const char *subscription_target(struct fixture *fixture, const char *id, const char *app_id)
{
    return fixture_format(fixture, LOGS "subscription/%s?app_id=%s", id, app_id);
}

static const char *subscribe_target(struct fixture *fixture)
{
    return fixture_format(fixture, LOGS "subscribe?app_id=%s", fixture->mine.app_id);
}

static const char *report_status(const struct fixture_reply *reply)
{
    const struct json_node *report = json_node_get(reply->json, "report");
    return slice_chars(json_node_text(json_node_get(report, "subscription_status")));
}

static void a_subscription_lives_and_ends(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    struct fixture_reply reply = fixture_post(
        fixture, token, subscribe_target(fixture),
        "{\"report\":{\"cadence\":\"hourly\",\"response_format\":\"csv\","
        "\"response_format_compression\":\"gz\",\"report_type\":[\"eo_install\"],"
        "\"report_fields\":[\"name\",\"timestamp\"],\"filter\":[\"eq\",\"name\",\"PURCHASE\"]},"
        "\"destination\":{\"subscription_type\":\"branch\",\"bucket\":\"ignored\"},"
        "\"subscription_id\":\"mine\",\"status\":\"ACTIVE\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "status"), "PENDING");
    const char *id = fixture_text(&reply, "subscription_id");
    assert_string_not_equal(id, "mine");
    assert_string_equal(
        fixture_text(&reply, "description"),
        "Generating sample report. Subscription will finish after Report is uploaded");
    assert_string_equal(
        fixture_text(&reply, "subscription_url"),
        fixture_format(fixture,
                       "http://%s/scheduled-exports/exports/logs/subscription/%s?app_id=%s",
                       fixture->host, id, fixture->mine.app_id));
    assert_string_equal(fixture_header(fixture, &reply, "content-type"),
                        "application/json; charset=utf-8");
    assert_string_equal(fixture_header(fixture, &reply, "cache-control"), "no-store");
    assert_int_equal(fixture->change_count, 1);

    const char *target = subscription_target(fixture, id, fixture->mine.app_id);
    reply = fixture_get(fixture, token, target);
    assert_string_equal(
        slice_chars(reply.body),
        fixture_format(fixture,
                       "{\"subscription_id\":\"%s\",\"status\":\"PENDING\",\"report\":{"
                       "\"cadence\":\"hourly\",\"response_format\":\"csv\","
                       "\"response_format_compression\":\"gz\",\"report_type\":\"eo_install\","
                       "\"report_fields\":[\"name\",\"timestamp\"],"
                       "\"filter\":[\"eq\",\"name\",\"PURCHASE\"],"
                       "\"subscription_status\":\"PENDING\"},"
                       "\"destination\":{\"subscription_type\":\"branch\"}}",
                       id));

    (void)fixture_finish_job(fixture, "sample");
    const struct fixture_reply again = fixture_get(
        fixture, token,
        fixture_format(fixture,
                       "/scheduled-exports/exports/logs/subscription/%s/?organization_id=%s", id,
                       fixture->mine.organization_id));
    assert_int_equal(again.status, 200);
    assert_string_equal(report_status(&again), "ACTIVE");
    reply = fixture_get(fixture, token, jobs_target(fixture, id, fixture->mine.app_id));
    assert_string_equal(slice_chars(reply.body), "[]"); // the sample is not listed

    reply = fixture_delete(fixture, token, target);
    assert_string_equal(
        slice_chars(reply.body),
        "{\"status\":\"SUCCESS\",\"description\":\"Subscription deactivated successfully\"}");
    reply = fixture_get(fixture, token, target);
    assert_string_equal(report_status(&reply), "INACTIVE");
    reply = fixture_delete(fixture, token, target);
    fixture_assert_error(&reply, 404, "Job ID Not Found");
    reply =
        fixture_get(fixture, token,
                    fixture_format(fixture, LOGS "subscriptions?app_id=%s", fixture->mine.app_id));
    assert_string_equal(slice_chars(reply.body), "[]");
}

static void a_failed_sample_says_why(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "daily", "[\"name\"]");
    (void)fixture_fail_job(fixture, "no disk");
    const struct fixture_reply reply = fixture_get(
        fixture, fixture->mine.token, subscription_target(fixture, id, fixture->mine.app_id));
    assert_string_equal(fixture_text(&reply, "status"), "FAILED");
    assert_string_equal(fixture_text(&reply, "reason"), "no disk");
}

static void subscriptions_are_listed_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    const char *first = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture->clock.now_wall_ms += 1000;
    const char *second = fixture_subscribe(fixture, "hourly", "[\"id\"]");
    const struct fixture_reply reply =
        fixture_get(fixture, fixture->mine.token,
                    fixture_format(fixture, LOGS "subscriptions?app_id=%s", fixture->mine.app_id));
    assert_int_equal(json_node_count(reply.json), 2);
    const char *const ids[] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        const struct json_node *item = json_node_at(reply.json, i);
        assert_true(
            slice_equal_text(json_node_text(json_node_get(item, "subscription_id")), ids[i]));
    }
    const struct fixture_reply other = fixture_get(
        fixture, fixture->mine.token,
        fixture_format(fixture, LOGS "subscriptions?app_id=%s", fixture->mine.other_app_id));
    assert_string_equal(slice_chars(other.body), "[]");
}

static void duplicates_and_too_many_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\",\"id\"]");
    struct fixture_reply reply =
        fixture_post(fixture, fixture->mine.token, subscribe_target(fixture),
                     "{\"report\":{\"cadence\":\"hourly\",\"response_format\":\"json\","
                     "\"report_type\":\"eo_install\",\"report_fields\":[\"name\",\"id\"]},"
                     "\"destination\":{\"subscription_type\":\"branch\"}}");
    fixture_assert_error(&reply, 400, fixture_format(fixture, "Duplicate of subscription %s", id));
    static const char *const topics[] = {"eo_open", "eo_click", "eo_impression"};
    int made = 1;
    for (size_t t = 0; t < 3; t++) {
        for (int i = 0; i < 16 && made < 35; i++, made++) {
            const char *filter = fixture_format(fixture, "[\"eq\",\"name\",\"%d\"]", i);
            reply = fixture_post(
                fixture, fixture->mine.token, subscribe_target(fixture),
                fixture_format(fixture,
                               "{\"report\":{\"report_type\":\"%s\",\"report_fields\":[\"name\"],"
                               "\"filter\":%s},\"destination\":{\"subscription_type\":\"branch\"}}",
                               topics[t], filter));
            assert_int_equal(reply.status, 200);
        }
    }
    reply =
        fixture_post(fixture, fixture->mine.token, subscribe_target(fixture),
                     "{\"report\":{\"report_type\":\"eo_reinstall\",\"report_fields\":[\"id\"]},"
                     "\"destination\":{\"subscription_type\":\"branch\"}}");
    fixture_assert_error(&reply, 400, "Subscription limit reached: 35");
}

static void bad_bodies_are_refused(void **state)
{
    static const struct {
        const char *body;
        const char *message;
    } rows[] = {
        {"", "Invalid JSON"},
        {"null", "JSON object expected"},
        {"[]", "JSON object expected"},
        {"1", "JSON object expected"},
        {"{\"a\":", "Invalid JSON"},
        {"{} x", "Invalid JSON"},
        {"{\"a\":NaN}", "Invalid JSON"},
        {"{\"a\":01}", "Invalid JSON"},
        {"{\"a\":1e400}", "Number out of range"},
        {"{\"a\":\"\xff\"}", "Invalid UTF-8"},
        {"{\"a\":\"\\ud800\"}", "Invalid Unicode escape"},
        {"{}", "Missing required field: report"},
        {"{\"report\":{\"cadence\":\"hourly\",\"cadence\":\"daily\"}}", "Duplicate field: cadence"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fixture_post(fixture, fixture->mine.token,
                                                        subscribe_target(fixture), rows[i].body);
        fixture_assert_error(&reply, 400, rows[i].message);
    }
    struct buf body;
    buf_init(&body, 65536);
    for (int i = 0; i < 5000; i++)
        buf_append_format(&body, "%s\"k%d\":1", i == 0 ? "{" : ",", i);
    buf_append_char(&body, '}');
    const struct fixture_reply many = fixture_post(fixture, fixture->mine.token,
                                                   subscribe_target(fixture), buf_text(&body));
    fixture_assert_error(&many, 400, "Too many fields");
    while (body.size_bytes < 65536)
        buf_append_char(&body, ' ');
    assert_int_equal(body.size_bytes, 65536);
    struct buf large;
    buf_init(&large, 65537);
    buf_append(&large, buf_slice(&body));
    buf_append_char(&large, ' ');
    const struct fixture_reply too_large =
        fixture_post(fixture, fixture->mine.token, subscribe_target(fixture), buf_text(&large));
    fixture_assert_error(&too_large, 413, "Request body too large");
    buf_clear(&body);
    buf_clear(&large);
    const struct fixture_reply gzip =
        fixture_call(fixture, "POST", subscribe_target(fixture),
                     fixture_format(fixture, "Access-Token: %s\r\nContent-Encoding: gzip\r\n",
                                    fixture->mine.token),
                     slice_text("{}"));
    fixture_assert_error(&gzip, 415, "Unsupported content encoding");
}

static struct fixture_reply subscribe(struct fixture *fixture, const char *token,
                                      const char *report, const char *destination)
{
    return fixture_post(
        fixture, token, subscribe_target(fixture),
        fixture_format(fixture, "{\"report\":%s,\"destination\":%s}", report, destination));
}

static void bad_reports_are_refused(void **state)
{
    static const struct {
        const char *report;
        const char *message;
    } rows[] = {
        {"{\"report_type\":\"eo_unknown\",\"report_fields\":[\"name\"]}", "Invalid report_type"},
        {"{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"],\"cadence\":\"HOURLY\"}",
         "Invalid cadence"},
        {"{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"],\"filter\":[\"regex\","
         "\"name\",\"a\"]}",
         "Unknown filter operator at filter[0]: one of eq, gt, gte, lt, lte, like, between, in, "
         "and, or, not, array_contains expected"},
    };
    struct fixture *fixture = *state;
    const char *branch = "{\"subscription_type\":\"branch\"}";
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = subscribe(fixture, fixture->mine.token, rows[i].report,
                                                     branch);
        fixture_assert_error(&reply, 400, rows[i].message);
    }
    const struct fixture_reply fields =
        subscribe(fixture, fixture->mine.token,
                  "{\"report_type\":\"eo_install\",\"report_fields\":[\"one\",\"name\",\"two\"],"
                  "\"filter\":[\"eq\",\"three\",\"x\"]}",
                  branch);
    assert_int_equal(fields.status, 400);
    const struct json_node *errors = json_node_get(fields.json, "errors");
    assert_int_equal(json_node_count(errors), 3);
    const struct json_node *second = json_node_at(errors, 1);
    assert_true(slice_equal_text(json_node_text(json_node_get(second, "message")),
                                 "two field is not available for exports"));
    assert_int_equal(json_node_int64(json_node_get(second, "error_code")), 400);
    const struct fixture_reply cloud =
        subscribe(fixture, fixture->mine.token,
                  "{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"]}",
                  "{\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":\"my-bucket\","
                  "\"prefix\":\"p\",\"resource_access_id\":"
                  "\"arn:aws:iam::123456789012:role/name\"}");
    fixture_assert_error(&cloud, 400, "Destination not enabled on this server: cloud");
    const struct fixture_reply email =
        subscribe(fixture, fixture->mine.token,
                  "{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"]}",
                  "{\"subscription_type\":\"email\",\"recipient_emails\":[\"a@example.com\"]}");
    fixture_assert_error(&email, 400, "Destination not enabled on this server: email");
}

// A topic with a sensitive field, declared by the organization itself.
static void sensitive_fields_need_the_permission(void **state)
{
    struct fixture *fixture = *state;
    const char *plain = fixture_token(fixture, &fixture->mine, NULL, TENANT_EXPORT | TENANT_INGEST);
    const char *branch = "{\"subscription_type\":\"branch\"}";
    struct fixture_reply reply =
        fixture_post(fixture, plain, "/v1/topics",
                     "{\"name\":\"visits\",\"fields\":[{\"name\":\"page\",\"type\":\"string\"},"
                     "{\"name\":\"address\",\"type\":\"string\",\"sensitive\":true}]}");
    assert_int_equal(reply.status, 200);
    reply = subscribe(fixture, plain, "{\"report_type\":\"visits\",\"report_fields\":[\"all\"]}",
                      branch);
    fixture_assert_error(&reply, 400, "Not authorized for report_fields: all");
    reply = subscribe(fixture, plain,
                      "{\"report_type\":\"visits\",\"report_fields\":[\"page\",\"address\"]}",
                      branch);
    fixture_assert_error(&reply, 400, "Not authorized for report_fields: address");
    reply = subscribe(fixture, plain,
                      "{\"report_type\":\"visits\",\"report_fields\":[\"page\"],"
                      "\"filter\":[\"like\",\"address\",\"a%\"]}",
                      branch);
    fixture_assert_error(&reply, 400, "Not authorized for report_fields: address");
    reply = subscribe(fixture, plain, "{\"report_type\":\"visits\",\"report_fields\":[\"page\"]}",
                      branch);
    assert_int_equal(reply.status, 200);
    reply = subscribe(fixture, fixture->mine.token,
                      "{\"report_type\":\"visits\",\"report_fields\":[\"all\"]}", branch);
    assert_int_equal(reply.status, 200);
}

static void the_scope_is_checked(void **state)
{
    static const struct {
        const char *query;
        const char *message; // NULL: 200
    } rows[] = {
        {"?organization_id=ORG", NULL},
        {"?app_id=APP&foo=1", NULL},
        {"?app_id=APP&organization_id=ORG", NULL},
        {"", "Missing required parameter: app_id"},
        {"?app_id=", "Missing required parameter: app_id"},
        {"?app_id[]=APP", "Missing required parameter: app_id"},
        {"?app_id;APP", "Missing required parameter: app_id"},
        {"?app_id=APP&app_id=APP", "Duplicate parameter: app_id"},
        {"?app_id=APP%26app_id%3DAPP", "Authentication failed !"},
        {"?app_id=APP+x", "Authentication failed !"},
        {"?app_id=%20APP", "Authentication failed !"},
        {"?app_id=00APP", "Authentication failed !"},
        {"?app_id=1e18", "Authentication failed !"},
        {"?app_id=-1", "Authentication failed !"},
        {"?app_id=APP%0d%0aSet-Cookie:%20x=1", "Invalid parameter: app_id"},
        {"?app_id=1'%20OR%20'1'='1", "Authentication failed !"},
        {"?app_id=THEIRS", "Authentication failed !"},
        {"?app_id=APP&organization_id=1", "Authentication failed !"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf query;
        buf_init(&query, 1024);
        for (const char *at = rows[i].query; *at != '\0';) {
            if (strncmp(at, "APP", 3) == 0) {
                buf_append_text(&query, fixture->mine.app_id);
                at += 3;
            } else if (strncmp(at, "ORG", 3) == 0) {
                buf_append_text(&query, fixture->mine.organization_id);
                at += 3;
            } else if (strncmp(at, "THEIRS", 6) == 0) {
                buf_append_text(&query, fixture->theirs.app_id);
                at += 6;
            } else {
                buf_append_char(&query, *at++);
            }
        }
        const struct fixture_reply reply =
            fixture_get(fixture, fixture->mine.token,
                        fixture_format(fixture, LOGS "subscriptions%s", buf_text(&query)));
        assert_null(fixture_header(fixture, &reply, "set-cookie"));
        if (rows[i].message == NULL)
            assert_int_equal(reply.status, 200);
        else
            fixture_assert_error(&reply, 400, rows[i].message);
        buf_clear(&query);
    }
}

static void credentials_are_checked(void **state)
{
    struct fixture *fixture = *state;
    const char *target = fixture_format(fixture, LOGS "subscriptions?app_id=%s",
                                        fixture->mine.app_id);
    const char *token = fixture->mine.token;
    const char *ingest_only = fixture_token(fixture, &fixture->mine, NULL, TENANT_INGEST);
    const char *bound = fixture_token(fixture, &fixture->mine, fixture->mine.other_app_id,
                                      TENANT_EXPORT);
    const struct {
        const char *headers;
        const char *message; // NULL: 200
    } rows[] = {
        {fixture_format(fixture, "Access-Token: %s\r\n", token), NULL},
        {fixture_format(fixture, "ACCESS-TOKEN:\t %s \t\r\n", token), NULL},
        {fixture_format(fixture, "Authorization: Bearer %s\r\n", token), NULL},
        {NULL, "Authentication failed !"},
        {"access-token: api_app_99999999999999999999999999999999\r\n", "Authentication failed !"},
        {fixture_format(fixture, "access-token: %.39s\r\n", token), "Authentication failed !"},
        {fixture_format(fixture, "access-token: %sx\r\n", token), "Authentication failed !"},
        {fixture_format(fixture, "access_token: %s\r\n", token), "Authentication failed !"},
        {fixture_format(fixture, "Authorization: Basic %s\r\n", token), "Authentication failed !"},
        {fixture_format(fixture, "access-token: %s\r\naccess-token: %s\r\n", token, token),
         "Duplicate header: access-token"},
        {fixture_format(fixture, "access-token: %s\r\nAuthorization: Bearer %s\r\n", token, bound),
         "Ambiguous credentials"},
        {fixture_format(fixture, "access-token: %s\r\n", ingest_only), "Authentication failed !"},
        {fixture_format(fixture, "access-token: %s\r\n", bound), "Authentication failed !"},
        {fixture_format(fixture, "access-token: %s\r\n", fixture->admin_token),
         "Authentication failed !"},
        {fixture_format(fixture, "access-token: %s\r\n", fixture->theirs.token),
         "Authentication failed !"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fixture_call(fixture, "GET", target, rows[i].headers,
                                                        slice_of(NULL, 0));
        if (rows[i].message == NULL)
            assert_int_equal(reply.status, 200);
        else
            fixture_assert_error(&reply, 400, rows[i].message);
    }
    const struct fixture_reply query =
        fixture_get(fixture, NULL, fixture_format(fixture, "%s&access-token=%s", target, token));
    fixture_assert_error(&query, 400, "Authentication failed !");
}

static void subscribing_has_its_own_statuses(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = fixture_post(fixture, NULL, subscribe_target(fixture), "{}");
    fixture_assert_error(&reply, 401, "Auth Client didn't return anything for the user id: 0.");
    assert_non_null(fixture_header(fixture, &reply, "www-authenticate"));
    const char *refusal = fixture_format(fixture, "Not authorized for the user id: %d.",
                                         (int)fixture->mine.user_id);
    reply = fixture_post(
        fixture, fixture->mine.token,
        fixture_format(fixture, LOGS "subscribe?app_id=%s", fixture->theirs.app_id), "{}");
    fixture_assert_error(&reply, 404, refusal);
    const struct fixture_reply unknown = fixture_post(
        fixture, fixture->mine.token, LOGS "subscribe?app_id=123456789012345678", "{}");
    fixture_assert_same(fixture, &reply, &unknown);
    reply = fixture_post(fixture, fixture->mine.token, LOGS "subscribe", "{}");
    fixture_assert_error(&reply, 400, "Missing required parameter: app_id");
    // A token of one app needs no app_id beside the organization.
    const char *bound = fixture_token(fixture, &fixture->mine, fixture->mine.app_id, TENANT_EXPORT);
    reply = fixture_post(
        fixture, bound,
        fixture_format(fixture, LOGS "subscribe?organization_id=%s", fixture->mine.organization_id),
        "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"]},"
        "\"destination\":{\"subscription_type\":\"branch\"}}");
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(fixture_text(&reply, "subscription_url"), fixture->mine.app_id));
}

// D1: one answer for what is foreign and what does not exist.
static void foreign_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    const char *none = "00000000-0000-4000-8000-000000000000";
    const struct {
        const char *method;
        const char *left;
        const char *right;
        const char *message;
        int status;
    } rows[] = {
        {"POST", jobs_target(fixture, id, fixture->theirs.app_id),
         jobs_target(fixture, none, fixture->theirs.app_id), "Job ID Not Found", 404},
        {"POST", jobs_target(fixture, id, fixture->mine.app_id),
         jobs_target(fixture, none, "123456789012345678"), "Authentication failed !", 400},
        {"GET", subscription_target(fixture, id, fixture->theirs.app_id),
         subscription_target(fixture, "null", fixture->theirs.app_id), "Job ID Not Found", 404},
        {"DELETE", subscription_target(fixture, id, fixture->theirs.app_id),
         subscription_target(fixture, "%25", fixture->theirs.app_id), "Job ID Not Found", 404},
        {"GET", fixture_format(fixture, "/v1/subscriptions/%s", id),
         fixture_format(fixture, "/v1/subscriptions/%s", none), "Not found", 404},
        {"GET", fixture_format(fixture, "/v1/subscriptions/%s/windows", id),
         fixture_format(fixture, "/v1/subscriptions/%s/windows", none), "Not found", 404},
        {"GET", fixture_format(fixture, "/v1/subscriptions?app_id=%s", fixture->mine.app_id),
         "/v1/subscriptions?app_id=123456789012345678", "Not found", 404},
    };
    const char *header = fixture_format(fixture, "access-token: %s\r\n", fixture->theirs.token);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply left = fixture_call(fixture, rows[i].method, rows[i].left,
                                                       header, slice_of(NULL, 0));
        const struct fixture_reply right = fixture_call(fixture, rows[i].method, rows[i].right,
                                                        header, slice_of(NULL, 0));
        fixture_assert_error(&left, rows[i].status, rows[i].message);
        fixture_assert_same(fixture, &left, &right);
    }
    // One organization, the wrong one of its apps.
    const struct fixture_reply other = fixture_post(
        fixture, fixture->mine.token, jobs_target(fixture, id, fixture->mine.other_app_id), "");
    fixture_assert_error(&other, 404, "Job ID Not Found");
    const struct fixture_reply own = fixture_get(
        fixture, fixture->mine.token, subscription_target(fixture, id, fixture->mine.app_id));
    assert_string_equal(fixture_text(&own, "status"), "PENDING"); // nobody deleted it
}

static void jobs_are_listed_with_their_files(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 3);
    const char *done = fixture_finish_job(fixture, "bytes of a file");
    const char *failed = fixture_fail_job(fixture, "schema_changed");
    const char *target = jobs_target(fixture, id, fixture->mine.app_id);
    const struct fixture_reply list = fixture_post(fixture, token, target, "ignored");
    assert_int_equal(json_node_count(list.json), 3);
    const struct json_node *seen_done = NULL;
    const struct json_node *seen_failed = NULL;
    for (size_t i = 0; i < 3; i++) {
        const struct json_node *job = json_node_at(list.json, i);
        const struct slice job_id = json_node_text(json_node_get(job, "job_id"));
        if (slice_equal_text(job_id, done))
            seen_done = job;
        if (slice_equal_text(job_id, failed))
            seen_failed = job;
    }
    assert_non_null(seen_done);
    assert_true(slice_equal_text(json_node_text(json_node_get(seen_done, "status")), "SUCCEEDED"));
    assert_true(slice_equal_text(json_node_text(json_node_get(seen_done, "start_date")),
                                 "2026-11-23T07:00:00.000-00:00"));
    assert_true(slice_equal_text(json_node_text(json_node_get(seen_done, "end_date")),
                                 "2026-11-23T08:00:00.000-00:00"));
    assert_int_equal(json_node_int64(json_node_get(seen_done, "lines_exported")), 43);
    assert_true(slice_equal_text(json_node_text(json_node_get(seen_done, "expires_at")),
                                 "2026-11-30T10:20:00.000-00:00"));
    const struct json_node *urls = json_node_get(seen_done, "export_url");
    assert_int_equal(json_node_count(urls), 1);
    const char *url = slice_chars(json_node_text(json_node_at(urls, 0)));
    const char *prefix = fixture_format(
        fixture, "http://%s/exports/v2/y%%3D2026/m%%3D11/d%%3D23/app_id%%3D%s/job_id%%3D%s/",
        fixture->host, fixture->mine.app_id, done);
    assert_memory_equal(url, prefix, strlen(prefix));
    assert_non_null(strstr(url, "X-Amz-Expires=604800"));
    assert_non_null(strstr(url, fixture->mine.key_id));
    assert_non_null(seen_failed);
    assert_true(
        slice_equal_text(json_node_text(json_node_get(seen_failed, "reason")), "schema_changed"));
    assert_int_equal(json_node_count(json_node_get(seen_failed, "export_url")), 0);
}

static void one_job_is_read_by_its_id(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 3);
    const char *done = fixture_finish_job(fixture, "bytes of a file");
    const char *target = jobs_target(fixture, id, fixture->mine.app_id);
    const struct fixture_reply list = fixture_post(fixture, token, target, "");
    const struct fixture_reply by_get = fixture_get(fixture, token, target);
    assert_string_equal(slice_chars(by_get.body), slice_chars(list.body));
    const struct fixture_reply one =
        fixture_get(fixture, token,
                    fixture_format(fixture, LOGS "subscription/%s/job/%s?app_id=%s", id, done,
                                   fixture->mine.app_id));
    assert_string_equal(fixture_text(&one, "job_id"), done);
    const struct fixture_reply foreign =
        fixture_get(fixture, fixture->theirs.token,
                    fixture_format(fixture, LOGS "subscription/%s/job/%s?app_id=%s", id, done,
                                   fixture->theirs.app_id));
    fixture_assert_error(&foreign, 404, "Job ID Not Found");

    // The files go after their retention, the job leaves the list with them.
    fixture->clock.now_wall_ms += INT64_C(604800000) + 1;
    const struct fixture_reply late =
        fixture_get(fixture, token,
                    fixture_format(fixture, LOGS "subscription/%s/job/%s?app_id=%s", id, done,
                                   fixture->mine.app_id));
    assert_int_equal(json_node_count(json_node_get(late.json, "export_url")), 0);
    const struct fixture_reply pending = fixture_get(fixture, token, target);
    assert_int_equal(json_node_count(pending.json), 2);
}

static void lists_can_be_cut(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 3);
    const char *target = jobs_target(fixture, id, fixture->mine.app_id);
    const struct fixture_reply limited = fixture_get(fixture, token,
                                                     fixture_format(fixture, "%s&limit=2", target));
    assert_int_equal(json_node_count(limited.json), 2);
    static const char *const bad_limits[] = {
        "0", "-1", "1.5", "1e2", "0x10", "%205", "5%20", "99999999999999999999", ""};
    for (size_t i = 0; i < ARRAY_COUNT(bad_limits); i++) {
        const struct fixture_reply bad = fixture_get(
            fixture, token, fixture_format(fixture, "%s&limit=%s", target, bad_limits[i]));
        fixture_assert_error(&bad, 400, "Invalid parameter: limit");
    }
}

static void the_external_id_is_the_organizations(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    struct tenant_organization organization;
    assert_true(tenant_get_organization(fixture->catalog, fixture->mine.organization_id,
                                        &fixture->arena, &organization, &err));
    const struct fixture_reply reply = fixture_get(
        fixture, fixture->mine.token,
        fixture_format(fixture, LOGS "subscription/externalId?app_id=%s", fixture->mine.app_id));
    assert_string_equal(slice_chars(reply.body), fixture_format(fixture, "{\"external_id\":\"%s\"}",
                                                                organization.external_id));
}

static void paths_and_methods_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = fixture_get(fixture, fixture->mine.token, "/nowhere");
    fixture_assert_error(&reply, 404, "Not found");
    reply = fixture_get(fixture, fixture->mine.token, LOGS "subscription//jobs");
    fixture_assert_error(&reply, 404, "Not found");
    reply = fixture_get(fixture, fixture->mine.token, LOGS "subscription/a%2Fb/jobs");
    fixture_assert_error(&reply, 400, "Invalid path");
    reply = fixture_delete(fixture, fixture->mine.token, LOGS "subscription/x/jobs");
    fixture_assert_error(&reply, 405, "Method not allowed");
    assert_string_equal(fixture_header(fixture, &reply, "allow"), "GET, HEAD, POST, OPTIONS");
    reply = fixture_call(fixture, "OPTIONS", LOGS "subscribe", NULL, slice_of(NULL, 0));
    assert_int_equal(reply.status, 204);
    assert_string_equal(fixture_header(fixture, &reply, "allow"), "POST, OPTIONS");
    reply = fixture_call(fixture, "OPTIONS", "/nowhere", NULL, slice_of(NULL, 0));
    fixture_assert_error(&reply, 404, "Not found");
    reply = fixture_call(fixture, "HEAD", "/healthz", NULL, slice_of(NULL, 0));
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.size_bytes, 0);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_subscription_lives_and_ends),
        API_TEST(a_failed_sample_says_why),
        API_TEST(subscriptions_are_listed_oldest_first),
        API_TEST(duplicates_and_too_many_are_refused),
        API_TEST(bad_bodies_are_refused),
        API_TEST(bad_reports_are_refused),
        API_TEST(sensitive_fields_need_the_permission),
        API_TEST(the_scope_is_checked),
        API_TEST(credentials_are_checked),
        API_TEST(subscribing_has_its_own_statuses),
        API_TEST(foreign_is_unknown),
        API_TEST(jobs_are_listed_with_their_files),
        API_TEST(one_job_is_read_by_its_id),
        API_TEST(lists_can_be_cut),
        API_TEST(the_external_id_is_the_organizations),
        API_TEST(paths_and_methods_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
