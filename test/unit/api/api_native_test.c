// SPDX-License-Identifier: Apache-2.0
// The native calls under /v1 and the pages for operators, through a real server.
#include "api_fixture.h"

#include "base/check.h"

#define HOUR_MS INT64_C(3600000)

static const char *text_of(const struct json_node *object, const char *key)
{
    return slice_chars(json_node_text(json_node_get(object, key)));
}

static void operators_make_tenants(void **state)
{
    struct fixture *fixture = *state;
    const char *admin = fixture->admin_token;
    struct fixture_reply reply = fixture_post(fixture, admin, "/v1/admin/organizations",
                                              "{\"name\":\"New \\u00e9\"}");
    assert_int_equal(reply.status, 200);
    const char *organization_id = fixture_text(&reply, "organization_id");
    assert_string_equal(fixture_text(&reply, "name"), "New \xc3\xa9");
    assert_string_equal(fixture_text(&reply, "created_at"), "2026-11-23T10:20:00.000-00:00");

    reply = fixture_post(
        fixture, admin, "/v1/admin/apps",
        fixture_format(fixture, "{\"organization_id\":\"%s\",\"name\":\"App\"}", organization_id));
    assert_int_equal(reply.status, 200);
    const char *app_id = fixture_text(&reply, "app_id");
    assert_memory_equal(fixture_text(&reply, "branch_secret"), "secret_live_", 12);

    reply = fixture_post(fixture, admin, "/v1/admin/tokens",
                         fixture_format(fixture,
                                        "{\"organization_id\":\"%s\",\"app_id\":\"%s\","
                                        "\"name\":\"t\",\"permissions\":[\"export\",\"ingest\"]}",
                                        organization_id, app_id));
    assert_int_equal(reply.status, 200);
    const char *token = fixture_text(&reply, "access_token");
    const char *key_id = fixture_text(&reply, "key_id");
    assert_int_equal(json_node_count(json_node_get(reply.json, "permissions")), 2);

    const char *list = fixture_format(fixture, "/scheduled-exports/logs/subscriptions?app_id=%s",
                                      app_id);
    assert_int_equal(fixture_get(fixture, token, list).status, 200);
    reply = fixture_delete(fixture, admin, fixture_format(fixture, "/v1/admin/tokens/%s", key_id));
    assert_string_equal(fixture_text(&reply, "status"), "SUCCESS");
    reply = fixture_get(fixture, token, list);
    fixture_assert_error(&reply, 400, "Authentication failed !");
    reply = fixture_delete(fixture, admin, "/v1/admin/tokens/0000000000");
    fixture_assert_error(&reply, 404, "Not found");
}

static void operators_list_tenants_without_secrets(void **state)
{
    struct fixture *fixture = *state;
    const char *admin = fixture->admin_token;
    struct fixture_reply reply = fixture_get(fixture, admin, "/v1/admin/organizations");
    assert_int_equal(json_node_count(reply.json), 2);
    reply = fixture_get(fixture, admin, "/v1/admin/apps");
    assert_int_equal(json_node_count(reply.json), 4);
    assert_null(strstr(slice_chars(reply.body), "secret"));
    reply = fixture_get(fixture, admin,
                        fixture_format(fixture, "/v1/admin/apps?organization_id=%s",
                                       fixture->mine.organization_id));
    assert_int_equal(json_node_count(reply.json), 2);
    reply = fixture_get(fixture, admin, "/v1/admin/tokens");
    assert_int_equal(json_node_count(reply.json), 3);
    assert_null(strstr(slice_chars(reply.body), "access_token"));
    assert_null(strstr(slice_chars(reply.body), fixture->mine.token));
    reply = fixture_get(fixture, admin, "/v1/admin/tokens?organization_id=1");
    fixture_assert_error(&reply, 404, "Organization not found");
}

static void only_operators_may(void **state)
{
    struct fixture *fixture = *state;
    static const char *const targets[] = {"/v1/admin/organizations", "/v1/admin/apps",
                                          "/v1/admin/tokens"};
    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        struct fixture_reply reply = fixture_get(fixture, fixture->mine.token, targets[i]);
        fixture_assert_error(&reply, 403, "Token lacks permission: admin");
        reply = fixture_post(fixture, fixture->mine.token, targets[i], "{}");
        fixture_assert_error(&reply, 403, "Token lacks permission: admin");
        reply = fixture_get(fixture, NULL, targets[i]);
        fixture_assert_error(&reply, 401, "Authentication failed !");
    }
}

static void bad_tokens_are_not_made(void **state)
{
    struct fixture *fixture = *state;
    const char *organization_id = fixture->mine.organization_id;
    const struct {
        const char *body;
        const char *message;
        int status;
    } rows[] = {
        {"{\"name\":\"t\"}", "Missing required field: permissions", 400},
        {"{\"permissions\":[\"admin\"]}", "Missing required field: name", 400},
        {"{\"name\":\"t\",\"permissions\":[\"fly\",\"export\",\"dive\"]}",
         "Unknown permission: fly, dive", 400},
        {"{\"name\":\"t\",\"permissions\":\"export\"}", "Invalid type: array expected", 400},
        {"{\"name\":\"\",\"permissions\":[\"admin\"]}", "Invalid name", 400},
        {"{\"name\":\"a\\r\\nb\",\"permissions\":[\"admin\"]}", "Invalid character in name", 400},
        {"{\"name\":7,\"permissions\":[\"admin\"]}", "Invalid type: string expected", 400},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"user_id\":77}", "User not found", 404},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"user_id\":1}", "User not found", 404},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"user_id\":1.5}",
         "Invalid type: string expected", 400},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"app_id\":1}",
         "Missing required field: organization_id", 400},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"expires_at\":\"soon\"}", "Invalid date",
         400},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"expires_at\":\"2026-11-23T10:20:00Z\"}",
         "Invalid date: expires_at is over", 400},
        {"{\"name\":\"t\",\"permissions\":[\"admin\"],\"organization_id\":9007199254740993}",
         "Organization not found", 404},
        {"{\"name\":\"t\",\"permissions\":[7]}", "Invalid type: string expected", 400},
        {"{\"name\":\"t\",\"permissions\":[\"export\"]}", "Missing required field: organization_id",
         400},
        {"{\"name\":\"t\",\"permissions\":[\"export\"],\"organization_id\":\"1\"}",
         "Organization not found", 404},
        {fixture_format(fixture,
                        "{\"name\":\"t\",\"permissions\":[\"admin\"],\"organization_id\":\"%s\"}",
                        organization_id),
         "Permissions admin and operator_ingest are for tokens without organization_id", 400},
        {fixture_format(fixture,
                        "{\"name\":\"t\",\"permissions\":[\"export\"],\"organization_id\":\"%s\","
                        "\"app_id\":\"%s\"}",
                        organization_id, fixture->theirs.app_id),
         "App not found", 404},
        {"{\"name\":\"t\",\"permissions\":[\"export\"],\"organization_id\":\"\"}",
         "Invalid type: string expected", 400},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fixture_post(fixture, fixture->admin_token,
                                                        "/v1/admin/tokens", rows[i].body);
        fixture_assert_error(&reply, rows[i].status, rows[i].message);
    }
    const struct fixture_reply made = fixture_post(
        fixture, fixture->admin_token, "/v1/admin/tokens",
        "{\"name\":\"t\",\"permissions\":[\"operator_ingest\"],\"organization_id\":null}");
    assert_int_equal(made.status, 200);
    assert_int_equal(json_node_kind(json_node_get(made.json, "organization_id")), JSON_KIND_NULL);
    const struct fixture_reply by_number = fixture_post(
        fixture, fixture->admin_token, "/v1/admin/tokens",
        fixture_format(fixture,
                       "{\"name\":\"t\",\"permissions\":[\"export\"],\"organization_id\":%s,"
                       "\"app_id\":%s,\"user_id\":\"%lld\"}",
                       organization_id, fixture->mine.app_id, (long long)fixture->mine.user_id));
    assert_int_equal(by_number.status, 200);
    assert_string_equal(fixture_text(&by_number, "organization_id"), organization_id);
    assert_string_equal(fixture_text(&by_number, "app_id"), fixture->mine.app_id);
}

static void topics_are_declared_and_read(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    struct fixture_reply reply =
        fixture_post(fixture, token, "/v1/topics",
                     "{\"name\":\"visits\",\"fields\":[{\"name\":\"page\",\"type\":\"string\"},"
                     "{\"name\":\"ms\",\"type\":\"long\",\"sensitive\":true}]}");
    assert_int_equal(reply.status, 200);
    const struct fixture_reply read = fixture_get(fixture, token, "/v1/topics/visits");
    assert_string_equal(slice_chars(read.body), slice_chars(reply.body));
    const struct json_node *fields = json_node_get(read.json, "fields");
    assert_int_equal(json_node_count(fields), 5); // three system fields come first
    const struct json_node *last = json_node_at(fields, 4);
    assert_string_equal(text_of(last, "name"), "ms");
    assert_string_equal(text_of(last, "type"), "long");
    assert_string_equal(text_of(last, "origin"), "declared");
    assert_true(json_node_bool(json_node_get(last, "sensitive")));
    assert_string_equal(text_of(json_node_at(fields, 0), "origin"), "system");

    reply = fixture_get(fixture, token, "/v1/topics");
    assert_int_equal(json_node_count(reply.json), 35); // and the 34 of Branch
    reply = fixture_get(fixture, fixture->theirs.token, "/v1/topics/visits");
    const struct fixture_reply unknown = fixture_get(fixture, fixture->theirs.token,
                                                     "/v1/topics/nothing");
    fixture_assert_error(&reply, 404, "Not found");
    fixture_assert_same(fixture, &reply, &unknown);
    reply = fixture_get(fixture, token, "/v1/topics/eo_install");
    assert_true(json_node_count(json_node_get(reply.json, "fields")) > 200);
    // Another type for a declared field.
    reply =
        fixture_post(fixture, token, "/v1/topics",
                     "{\"name\":\"visits\",\"fields\":[{\"name\":\"ms\",\"type\":\"string\"}]}");
    assert_int_equal(reply.status, 409);
}

static void bad_topics_are_refused(void **state)
{
    static const struct {
        const char *body;
        const char *message;
    } rows[] = {
        {"{}", "Missing required field: name"},
        {"{\"name\":7}", "Invalid type: string expected"},
        {"{\"name\":\"a b\",\"fields\":[]}", "Invalid topic name"},
        {"{\"name\":\"a\"}", "Missing required field: fields"},
        {"{\"name\":\"a\",\"fields\":[1]}", "Invalid field: object expected"},
        {"{\"name\":\"a\",\"fields\":[{\"name\":\"b\"}]}", "Missing required field: type"},
        {"{\"name\":\"a\",\"fields\":[{\"name\":\"b\",\"type\":\"int\"}]}", "Invalid field type"},
        {"{\"name\":\"a\",\"fields\":[{\"name\":\"b\",\"type\":\"long\",\"sensitive\":1}]}",
         "Invalid type: boolean expected"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fixture_post(fixture, fixture->mine.token, "/v1/topics",
                                                        rows[i].body);
        fixture_assert_error(&reply, 400, rows[i].message);
    }
    const char *export_only = fixture_token(fixture, &fixture->mine, NULL, TENANT_EXPORT);
    const struct fixture_reply reply = fixture_post(fixture, export_only, "/v1/topics", "{}");
    fixture_assert_error(&reply, 403, "Token lacks permission: ingest");
}

static void windows_are_filled_by_backfill(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    (void)fixture_finish_job(fixture, "sample");
    const char *backfill = fixture_format(fixture, "/v1/subscriptions/%s/backfill", id);
    const char *windows = fixture_format(fixture, "/v1/subscriptions/%s/windows", id);
    const char *gaps = fixture_format(fixture, "/v1/subscriptions/%s/gaps", id);
    // Only the window of now is there, and it is open.
    struct fixture_reply reply = fixture_get(fixture, token, windows);
    assert_int_equal(json_node_count(reply.json), 1);
    assert_string_equal(
        slice_chars(reply.body),
        "[{\"start_date\":\"2026-11-23T10:00:00.000-00:00\","
        "\"end_date\":\"2026-11-23T11:00:00.000-00:00\",\"state\":\"OPEN\",\"jobs\":[]}]");
    reply = fixture_get(fixture, token, gaps);
    assert_string_equal(slice_chars(reply.body), "[]");

    const char *range =
        "{\"start_date\":\"2026-11-23T06:00:00Z\",\"end_date\":\"2026-11-23T10:00:00+00:00\"}";
    reply = fixture_post(fixture, token, backfill, range);
    assert_string_equal(slice_chars(reply.body), "{\"windows\":4,\"created\":4}");
    reply = fixture_post(fixture, token, backfill, range);
    assert_string_equal(slice_chars(reply.body), "{\"windows\":4,\"created\":0}");

    const char *done = fixture_finish_job(fixture, "bytes");
    const char *failed = fixture_fail_job(fixture, "disk");
    reply = fixture_get(fixture, token, windows);
    assert_int_equal(json_node_count(reply.json), 5);
    static const char *const states[] = {"SUCCEEDED", "FAILED", "PENDING", "PENDING", "OPEN"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(text_of(json_node_at(reply.json, i), "state"), states[i]);
    const struct json_node *first = json_node_at(json_node_get(json_node_at(reply.json, 0), "jobs"),
                                                 0);
    assert_string_equal(text_of(first, "job_id"), done);
    assert_int_equal(json_node_int64(json_node_get(first, "lines_exported")), 43);
    const struct json_node *second =
        json_node_at(json_node_get(json_node_at(reply.json, 1), "jobs"), 0);
    assert_string_equal(text_of(second, "reason"), "disk");
    reply = fixture_get(fixture, token, gaps);
    assert_int_equal(json_node_count(reply.json), 3);

    reply = fixture_get(fixture, token,
                        fixture_format(fixture,
                                       "%s?start_date=2026-11-23T06:30:00Z&end_date="
                                       "2026-11-23T08:00:00Z",
                                       windows));
    assert_int_equal(json_node_count(reply.json), 1);
    reply = fixture_get(fixture, token, fixture_format(fixture, "%s?start_date=now", windows));
    fixture_assert_error(&reply, 400, "Invalid date");

    // Retrying makes the next revision, which is what counts.
    const char *retry = fixture_format(fixture, "/v1/jobs/%s/retry", failed);
    reply = fixture_post(fixture, token, retry, "");
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_node_int64(json_node_get(reply.json, "revision")), 1);
    assert_string_equal(fixture_text(&reply, "status"), "PENDING_GENERATION");
    assert_int_equal(fixture_post(fixture, token, retry, "").status, 409);
    reply = fixture_get(fixture, token, windows);
    const struct json_node *retried = json_node_at(reply.json, 1);
    assert_string_equal(text_of(retried, "state"), "PENDING");
    assert_int_equal(json_node_count(json_node_get(retried, "jobs")), 2);
}

// A window whose expired files are being made again was delivered: it is no gap meanwhile.
static void a_window_that_is_restored_is_no_gap(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 1);
    const char *job_id = fixture_finish_job(fixture, "one");
    struct err err;
    int64_t count = 0;
    struct job_expired_file *files = NULL;
    size_t file_count = 0;
    assert_true(job_expire(fixture->catalog, INT64_MAX, 10, &count, &err));
    assert_true(job_expired_files(fixture->catalog, 10, &fixture->arena, &files, &file_count,
                                  &count, &err));
    for (size_t i = 0; i < file_count; i++)
        assert_true(job_forget_file(fixture->catalog, files[i].job_id, files[i].key, &err));
    struct fixture_reply reply =
        fixture_post(fixture, token, fixture_format(fixture, "/v1/jobs/%s/restore", job_id), "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "status"), "PENDING_GENERATION");
    reply = fixture_get(fixture, token, fixture_format(fixture, "/v1/subscriptions/%s/gaps", id));
    assert_int_equal(json_node_count(reply.json), 0);
    reply = fixture_get(fixture, token,
                        fixture_format(fixture, "/v1/subscriptions/%s/windows", id));
    assert_string_equal(text_of(json_node_at(reply.json, 0), "state"), "SUCCEEDED");
}

static void a_window_that_waits_for_the_scheduler_is_pending(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    (void)fixture_finish_job(fixture, "sample");
    fixture->clock.now_wall_ms += 2 * HOUR_MS;
    const struct fixture_reply reply = fixture_get(
        fixture, fixture->mine.token, fixture_format(fixture, "/v1/subscriptions/%s/windows", id));
    assert_int_equal(json_node_count(reply.json), 3);
    static const char *const states[] = {"PENDING", "PENDING", "OPEN"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(text_of(json_node_at(reply.json, i), "state"), states[i]);
    const struct fixture_reply gaps = fixture_get(
        fixture, fixture->mine.token, fixture_format(fixture, "/v1/subscriptions/%s/gaps", id));
    assert_int_equal(json_node_count(gaps.json), 2);
}

static void long_ledgers_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture->clock.now_wall_ms += 10100 * HOUR_MS;
    const char *windows = fixture_format(fixture, "/v1/subscriptions/%s/windows", id);
    struct fixture_reply reply = fixture_get(fixture, fixture->mine.token, windows);
    assert_int_equal(json_node_count(reply.json), 10000);
    // The newest without a start, from the start with one.
    assert_string_equal(text_of(json_node_at(reply.json, 9999), "state"), "OPEN");
    reply = fixture_get(fixture, fixture->mine.token,
                        fixture_format(fixture, "%s?start_date=2026-01-01", windows));
    assert_int_equal(json_node_count(reply.json), 10000);
    assert_string_equal(text_of(json_node_at(reply.json, 0), "start_date"),
                        "2026-11-23T10:00:00.000-00:00");
}

static void bad_backfills_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    const char *target = fixture_format(fixture, "/v1/subscriptions/%s/backfill", id);
    static const struct {
        const char *body;
        const char *message;
    } rows[] = {
        {"[]", "JSON object expected"},
        {"{}", "Missing required field: start_date"},
        {"{\"start_date\":5}", "Invalid type: string expected"},
        {"{\"start_date\":\"2026-11-01\"}", "Missing required field: end_date"},
        {"{\"start_date\":\"2023-02-29\",\"end_date\":\"2026-11-02\"}", "Invalid date"},
        {"{\"start_date\":\"2026-11-23\",\"end_date\":\"2026-11-24\"}", "Window not closed yet"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = fixture_post(fixture, token, target, rows[i].body);
        fixture_assert_error(&reply, 400, rows[i].message);
    }
    assert_int_equal(fixture_post(fixture, token, target,
                                  "{\"start_date\":\"2026-11-01T00:30:00Z\","
                                  "\"end_date\":\"2026-11-02\"}")
                         .status,
                     400);
    (void)fixture_delete(fixture, token,
                         fixture_format(fixture,
                                        "/scheduled-exports/logs/subscription/%s?app_id=%s", id,
                                        fixture->mine.app_id));
    const struct fixture_reply reply = fixture_post(
        fixture, token, target, "{\"start_date\":\"2026-11-01\",\"end_date\":\"2026-11-02\"}");
    fixture_assert_error(&reply, 409, "Subscription is not active");
}

static void jobs_are_read_by_id_alone(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 1);
    const char *job_id = fixture_finish_job(fixture, "bytes");
    const char *target = fixture_format(fixture, "/v1/jobs/%s", job_id);
    const char *manifest = fixture_format(fixture, "/v1/jobs/%s/manifest", job_id);
    struct fixture_reply reply = fixture_get(fixture, token, target);
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "subscription_id"), id);
    assert_string_equal(fixture_text(&reply, "app_id"), fixture->mine.app_id);
    assert_int_equal(json_node_count(json_node_get(reply.json, "export_url")), 1);
    reply = fixture_get(fixture, token, manifest);
    assert_string_equal(slice_chars(reply.body), "{\"rows\":43}");

    const char *bound = fixture_token(fixture, &fixture->mine, fixture->mine.other_app_id,
                                      TENANT_EXPORT);
    const char *const strangers[] = {fixture->theirs.token, bound};
    for (size_t i = 0; i < ARRAY_COUNT(strangers); i++) {
        reply = fixture_get(fixture, strangers[i], target);
        fixture_assert_error(&reply, 404, "Not found");
        reply = fixture_get(fixture, strangers[i], manifest);
        fixture_assert_error(&reply, 404, "Not found");
        reply = fixture_post(fixture, strangers[i],
                             fixture_format(fixture, "/v1/jobs/%s/retry", job_id), "");
        fixture_assert_error(&reply, 404, "Not found");
    }
    reply = fixture_get(fixture, fixture->admin_token, target);
    fixture_assert_error(&reply, 403, "Token lacks permission: export");
}

static void native_subscriptions_tell_more(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "daily", "[\"name\"]");
    const struct fixture_reply one = fixture_get(
        fixture, fixture->mine.token, fixture_format(fixture, "/v1/subscriptions/%s", id));
    assert_string_equal(fixture_text(&one, "app_id"), fixture->mine.app_id);
    assert_int_equal(json_node_int64(json_node_get(one.json, "version")), 1);
    assert_string_equal(fixture_text(&one, "created_at"), "2026-11-23T10:20:00.000-00:00");
    const struct fixture_reply all = fixture_get(fixture, fixture->mine.token, "/v1/subscriptions");
    assert_int_equal(json_node_count(all.json), 1);
    const struct fixture_reply none = fixture_get(
        fixture, fixture->mine.token,
        fixture_format(fixture, "/v1/subscriptions?app_id=%s", fixture->mine.other_app_id));
    assert_string_equal(slice_chars(none.body), "[]");
}

static void operators_see_how_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = fixture_get(fixture, NULL, "/healthz");
    assert_string_equal(fixture_text(&reply, "status"), "ok");
    reply = fixture_get(fixture, NULL, "/readyz");
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "status"), "ready");
    reply = fixture_get(fixture, NULL, "/metrics");
    assert_string_equal(fixture_header(fixture, &reply, "content-type"),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_non_null(strstr(slice_chars(reply.body),
                           "milkrun_http_requests_total{method=\"GET\",route=\"/readyz\","
                           "status=\"2xx\"} 1\n"));
    assert_non_null(strstr(slice_chars(reply.body), "milkrun_ingest_events_total 0\n"));
    const size_t size = reply.body.size_bytes;
    assert_string_equal(slice_chars(reply.body) + size - 6, "# EOF\n");
}

static void the_description_has_every_route(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_reply reply = fixture_get(fixture, NULL, "/openapi.json");
    assert_string_equal(fixture_text(&reply, "openapi"), "3.1.0");
    const struct json_node *paths = json_node_get(reply.json, "paths");
    const struct json_node *jobs =
        json_node_get(paths, "/scheduled-exports/logs/subscription/{subscription_id}/jobs");
    const struct json_node *post = json_node_get(jobs, "post");
    assert_non_null(json_node_get(jobs, "get"));
    const struct json_node *parameters = json_node_get(post, "parameters");
    assert_int_equal(json_node_count(parameters), 5);
    assert_string_equal(text_of(json_node_at(parameters, 0), "name"), "subscription_id");
    assert_string_equal(text_of(json_node_at(parameters, 0), "in"), "path");
    assert_string_equal(text_of(json_node_at(parameters, 3), "name"), "limit");
    assert_string_equal(text_of(post, "operationId"), "getExportJobs");
    const struct json_node *bucket = json_node_get(paths, "/exports/{key}");
    assert_non_null(json_node_get(bucket, "head"));
    const struct json_node *tokens = json_node_get(paths, "/v1/admin/tokens");
    const struct json_node *body = json_node_get(json_node_get(tokens, "post"), "requestBody");
    const struct json_node *media = json_node_get(json_node_get(body, "content"),
                                                  "application/json");
    assert_string_equal(text_of(json_node_get(media, "schema"), "$ref"),
                        "#/components/schemas/TokenRequest");
    const struct json_node *schemas = json_node_get(json_node_get(reply.json, "components"),
                                                    "schemas");
    const struct json_node *schema = json_node_get(schemas, "TokenRequest");
    assert_int_equal(json_node_count(json_node_get(schema, "required")), 2);
    assert_int_equal(json_node_count(json_node_get(schema, "properties")), 6);
    const struct json_node *states = json_node_get(json_node_get(schemas, "JobStatus"), "enum");
    assert_true(slice_equal_text(json_node_text(json_node_at(states, 4)), "FAILED"));
    const struct json_node *events = json_node_get(paths, "/v1/events/{topic}");
    assert_non_null(json_node_get(json_node_get(events, "post"), "requestBody"));
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(operators_make_tenants),
        API_TEST(operators_list_tenants_without_secrets),
        API_TEST(only_operators_may),
        API_TEST(bad_tokens_are_not_made),
        API_TEST(topics_are_declared_and_read),
        API_TEST(bad_topics_are_refused),
        API_TEST(windows_are_filled_by_backfill),
        API_TEST(a_window_that_is_restored_is_no_gap),
        API_TEST(a_window_that_waits_for_the_scheduler_is_pending),
        API_TEST(long_ledgers_are_bounded),
        API_TEST(bad_backfills_are_refused),
        API_TEST(jobs_are_read_by_id_alone),
        API_TEST(native_subscriptions_tell_more),
        API_TEST(operators_see_how_it_is),
        API_TEST(the_description_has_every_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
