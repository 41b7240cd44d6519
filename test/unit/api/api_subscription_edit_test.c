// SPDX-License-Identifier: Apache-2.0
// Edits, pauses and resumes over HTTP, what the ledger says of them, and conditions on them.
#include "api_fixture.h"

#include "base/check.h"
#include "base/mem.h"

#define HOUR_MS INT64_C(3600000)

static const char *text_of(const struct json_node *object, const char *key)
{
    return slice_chars(json_node_text(json_node_get(object, key)));
}

static struct fixture_reply send(struct fixture *fixture, const char *method, const char *target,
                                 const char *more_headers, const char *body)
{
    const char *headers = fixture_format(fixture, "Access-Token: %s\r\n%s", fixture->mine.token,
                                         more_headers);
    return fixture_call(fixture, method, target, headers, slice_text(body));
}

static struct fixture_reply patch(struct fixture *fixture, const char *id, const char *body)
{
    return send(fixture, "PATCH", fixture_format(fixture, "/v1/subscriptions/%s", id), "", body);
}

static struct fixture_reply act(struct fixture *fixture, const char *id, const char *action)
{
    return send(fixture, "POST", fixture_format(fixture, "/v1/subscriptions/%s/%s", id, action), "",
                "");
}

static struct fixture_reply look(struct fixture *fixture, const char *id)
{
    return fixture_get(fixture, fixture->mine.token,
                       fixture_format(fixture, "/v1/subscriptions/%s", id));
}

// Makes the jobs of windows that have closed.
static void schedule(struct fixture *fixture)
{
    struct err err;
    int64_t count = 0;
    const struct job_schedule_request request = {.now_ms = fixture->clock.now_wall_ms,
                                                 .limit = 500};
    if (!job_schedule_live(fixture->catalog, &request, &count, &err))
        fail_msg("%s", err.message);
}

static void assert_states(struct fixture *fixture, const char *id, const char *call,
                          const char *const *states, size_t count)
{
    const struct fixture_reply reply = fixture_get(
        fixture, fixture->mine.token, fixture_format(fixture, "/v1/subscriptions/%s/%s", id, call));
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_node_count(reply.json), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(text_of(json_node_at(reply.json, i), "state"), states[i]);
}

static void edits_change_what_is_given(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    (void)fixture_finish_job(fixture, "sample");
    struct fixture_reply reply = patch(
        fixture, id,
        "{\"report\":{\"report_fields\":[\"id\",\"name\"],\"response_format\":\"json\",\"x\":1}}");
    assert_int_equal(reply.status, 200);
    assert_int_equal(json_node_int64(json_node_get(reply.json, "version")), 2);
    assert_string_equal(fixture_text(&reply, "status"), "ACTIVE");
    const struct json_node *report = json_node_get(reply.json, "report");
    assert_string_equal(text_of(report, "response_format"), "json");
    assert_string_equal(text_of(report, "cadence"), "hourly");
    assert_int_equal(json_node_count(json_node_get(report, "report_fields")), 2);
    const struct fixture_reply seen = look(fixture, id);
    assert_string_equal(slice_chars(seen.body), slice_chars(reply.body));
    // The same once more is no change.
    reply = patch(fixture, id, "{\"report\":{\"response_format\":\"json\"}}");
    assert_string_equal(slice_chars(seen.body), slice_chars(reply.body));

    reply = fixture_get(fixture, fixture->mine.token,
                        fixture_format(fixture, "/v1/subscriptions/%s/versions", id));
    assert_int_equal(json_node_count(reply.json), 2);
    const struct json_node *second = json_node_at(reply.json, 0);
    assert_string_equal(text_of(second, "from"), "2026-11-23T11:00:00.000-00:00");
    assert_string_equal(text_of(second, "created_at"), "2026-11-23T10:20:00.000-00:00");
    assert_string_equal(text_of(json_node_get(second, "report"), "response_format"), "json");
    const struct json_node *first = json_node_at(reply.json, 1);
    assert_int_equal(json_node_kind(json_node_get(first, "from")), JSON_KIND_NULL);
    assert_string_equal(text_of(json_node_get(first, "report"), "response_format"), "csv");
}

static void edits_are_checked_like_new_subscriptions(void **state)
{
    struct fixture *fixture = *state;
    const char *other = fixture_subscribe(fixture, "hourly", "[\"id\"]");
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    static const struct {
        const char *body;
        const char *message;
    } rows[] = {
        {"{}", "Missing required field: report"},
        {"{\"report\":null,\"destination\":null}", "Missing required field: report"},
        {"[]", "JSON object expected"},
        {"{", "Invalid JSON"},
        {"{\"report\":[]}", "Invalid type: object expected"},
        {"{\"paused\":\"yes\"}", "Invalid type: boolean expected"},
        {"{\"report\":{\"cadence\":\"weekly\"}}", "Invalid cadence"},
        {"{\"report\":{\"report_type\":\"eo_unknown\"}}", "Invalid report_type"},
        {"{\"report\":{\"report_type\":null}}", "Missing required field: report.report_type"},
        {"{\"report\":{\"filter\":[\"regex\",\"name\",\"a\"]}}", "Unknown filter operator"},
        {"{\"destination\":{\"subscription_type\":\"cloud\"}}",
         "Missing required field: destination.bucket"},
        {"{\"destination\":{\"subscription_type\":\"email\",\"recipient_emails\":[\"a@b.cd\"]}}",
         "Destination not enabled on this server: email"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = patch(fixture, id, rows[i].body);
        assert_int_equal(reply.status, 400);
        assert_non_null(strstr(slice_chars(reply.body), rows[i].message));
    }
    struct fixture_reply reply = patch(
        fixture, id, "{\"report\":{\"report_fields\":[\"one\"],\"filter\":[\"eq\",\"two\",1]}}");
    assert_int_equal(json_node_count(json_node_get(reply.json, "errors")), 2);
    reply = patch(fixture, id, "{\"report\":{\"report_fields\":[\"id\"]}}");
    fixture_assert_error(&reply, 409,
                         fixture_format(fixture, "Duplicate of subscription %s", other));
    const struct fixture_reply seen = look(fixture, id);
    assert_int_equal(json_node_int64(json_node_get(seen.json, "version")), 1);
}

static void edits_need_the_permissions_of_what_they_leave(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply =
        fixture_post(fixture, fixture->mine.token,
                     fixture_format(fixture, "/scheduled-exports/logs/subscribe?app_id=%s",
                                    fixture->mine.app_id),
                     "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"all\"]},"
                     "\"destination\":{\"subscription_type\":\"branch\"}}");
    const char *id = fixture_text(&reply, "subscription_id");
    const char *plain = fixture_token(fixture, &fixture->mine, NULL, TENANT_EXPORT);
    const char *target = fixture_format(fixture, "/v1/subscriptions/%s", id);
    const char *headers = fixture_format(fixture, "Access-Token: %s\r\n", plain);
    reply = fixture_call(fixture, "PATCH", target, headers,
                         slice_text("{\"report\":{\"cadence\":\"daily\"}}"));
    fixture_assert_error(&reply, 400, "Not authorized for report_fields: all");
    reply = fixture_call(fixture, "PATCH", target, headers, slice_text("{\"paused\":true}"));
    assert_int_equal(reply.status, 200);
}

static void foreign_ones_are_unknown(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    static const char *const calls[][2] = {
        {"PATCH", ""}, {"POST", "/pause"}, {"POST", "/resume"}, {"GET", "/versions"}};
    const char *theirs = fixture_format(fixture, "Access-Token: %s\r\n", fixture->theirs.token);
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) {
        const struct fixture_reply foreign =
            fixture_call(fixture, calls[i][0],
                         fixture_format(fixture, "/v1/subscriptions/%s%s", id, calls[i][1]), theirs,
                         slice_text("{\"paused\":true}"));
        const struct fixture_reply unknown = fixture_call(
            fixture, calls[i][0],
            fixture_format(fixture, "/v1/subscriptions/00000000-0000-4000-8000-000000000000%s",
                           calls[i][1]),
            theirs, slice_text("{\"paused\":true}"));
        fixture_assert_error(&foreign, 404, "Not found");
        fixture_assert_same(fixture, &foreign, &unknown);
    }
    const struct fixture_reply seen = look(fixture, id);
    assert_false(json_node_bool(json_node_get(seen.json, "paused")));
}

static void what_a_pause_leaves_out_is_in_the_ledger(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]"); // at 10:20
    struct fixture_reply reply = act(fixture, id, "pause");
    assert_string_equal(fixture_text(&reply, "status"), "PENDING"); // the sample is not over
    reply = act(fixture, id, "resume");
    (void)fixture_finish_job(fixture, "sample");
    fixture->clock.now_wall_ms += HOUR_MS; // 11:20
    reply = act(fixture, id, "pause");
    assert_string_equal(fixture_text(&reply, "status"), "PAUSED");
    assert_string_equal(text_of(json_node_get(reply.json, "report"), "subscription_status"),
                        "PAUSED");
    assert_true(json_node_bool(json_node_get(reply.json, "paused")));
    const struct fixture_reply again = act(fixture, id, "pause");
    assert_string_equal(slice_chars(again.body), slice_chars(reply.body));
    assert_string_equal(fixture_header(fixture, &again, "ETag"),
                        fixture_header(fixture, &reply, "ETag"));
    const struct fixture_reply branch =
        fixture_get(fixture, fixture->mine.token,
                    fixture_format(fixture, "/scheduled-exports/logs/subscription/%s?app_id=%s", id,
                                   fixture->mine.app_id));
    assert_string_equal(fixture_text(&branch, "status"), "PAUSED");

    fixture->clock.now_wall_ms += 2 * HOUR_MS; // 13:20
    schedule(fixture);
    static const char *const paused[] = {"PENDING", "PAUSED", "PAUSED", "OPEN"};
    assert_states(fixture, id, "windows", paused, 4);
    assert_states(fixture, id, "gaps", paused, 3);
    reply = act(fixture, id, "resume");
    assert_string_equal(fixture_text(&reply, "status"), "ACTIVE");
    fixture->clock.now_wall_ms += HOUR_MS; // 14:20
    schedule(fixture);
    static const char *const resumed[] = {"PENDING", "PAUSED", "PAUSED", "PENDING", "OPEN"};
    assert_states(fixture, id, "windows", resumed, 5);

    // A backfill makes ordinary windows of them.
    reply = send(fixture, "POST", fixture_format(fixture, "/v1/subscriptions/%s/backfill", id), "",
                 "{\"start_date\":\"2026-11-23T11:00\",\"end_date\":\"2026-11-23T12:00\"}");
    assert_string_equal(slice_chars(reply.body), "{\"windows\":1,\"created\":1}");
    static const char *const filled[] = {"PENDING", "PENDING", "PAUSED", "PENDING", "OPEN"};
    assert_states(fixture, id, "windows", filled, 5);
}

static void the_ledger_goes_over_changes_of_cadence(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    (void)fixture_finish_job(fixture, "sample");
    struct fixture_reply reply =
        patch(fixture, id, "{\"report\":{\"cadence\":\"daily\"},\"paused\":false,\"other\":0}");
    assert_int_equal(reply.status, 200);
    fixture->clock.now_wall_ms += 48 * HOUR_MS;
    schedule(fixture);
    const char *windows = fixture_format(fixture, "/v1/subscriptions/%s/windows", id);
    reply = fixture_get(fixture, fixture->mine.token, windows);
    assert_int_equal(json_node_count(reply.json), 16); // 14 hours, a day, and the open one
    const struct json_node *hour = json_node_at(reply.json, 13);
    assert_string_equal(text_of(hour, "start_date"), "2026-11-23T23:00:00.000-00:00");
    assert_string_equal(text_of(hour, "end_date"), "2026-11-24T00:00:00.000-00:00");
    const struct json_node *day = json_node_at(reply.json, 14);
    assert_string_equal(text_of(day, "end_date"), "2026-11-25T00:00:00.000-00:00");
    assert_string_equal(text_of(day, "state"), "PENDING");
    assert_string_equal(text_of(json_node_at(reply.json, 15), "state"), "OPEN");

    // Page by page it is the same.
    const char *next = fixture_format(fixture, "%s?limit=5", windows);
    size_t seen = 0;
    while (next != NULL) {
        const struct fixture_reply page = fixture_get(fixture, fixture->mine.token, next);
        assert_int_equal(page.status, 200);
        for (size_t i = 0; i < json_node_count(page.json); i++)
            assert_string_equal(text_of(json_node_at(page.json, i), "start_date"),
                                text_of(json_node_at(reply.json, seen++), "start_date"));
        const char *link = fixture_header(fixture, &page, "Link");
        next = NULL;
        if (link != NULL) {
            const char *path = strstr(link, "/v1/");
            next = fixture_format(fixture, "%.*s", (int)strcspn(path, ">"), path);
        }
    }
    assert_int_equal(seen, 16);
}

static void a_change_is_made_on_what_was_seen(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    (void)fixture_finish_job(fixture, "sample");
    const char *target = fixture_format(fixture, "/v1/subscriptions/%s", id);
    struct fixture_reply reply = look(fixture, id);
    const char *tag = fixture_header(fixture, &reply, "ETag");
    assert_string_equal(tag, "\"0-ACTIVE\"");
    const char *if_match = fixture_format(fixture, "If-Match: \"x\", %s\r\n", tag);
    reply = send(fixture, "PATCH", target, if_match, "{\"report\":{\"cadence\":\"daily\"}}");
    assert_int_equal(reply.status, 200);
    const char *newer = fixture_header(fixture, &reply, "ETag");
    assert_string_equal(newer, "\"1-ACTIVE\"");

    static const char *const changed = "Subscription was changed by another request";
    reply = send(fixture, "PATCH", target, if_match, "{\"report\":{\"cadence\":\"hourly\"}}");
    fixture_assert_error(&reply, 412, changed);
    static const char *const actions[] = {"pause", "resume"};
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        const char *path = fixture_format(fixture, "%s/%s", target, actions[i]);
        reply = send(fixture, "POST", path, if_match, "");
        fixture_assert_error(&reply, 412, changed);
        // A weak tag is none for this.
        reply = send(fixture, "POST", path, fixture_format(fixture, "If-Match: W/%s\r\n", newer),
                     "");
        fixture_assert_error(&reply, 412, changed);
    }
    reply = send(fixture, "GET", target, if_match, "");
    fixture_assert_error(&reply, 412, changed);
    reply = send(fixture, "POST", fixture_format(fixture, "%s/pause", target), "If-Match: *\r\n",
                 "");
    assert_string_equal(fixture_header(fixture, &reply, "ETag"), "\"2-PAUSED\"");
    reply = send(fixture, "PATCH", target, "If-Match: \"2-PAUSED\"\r\nIf-Match: *\r\n",
                 "{\"paused\":false}");
    fixture_assert_error(&reply, 400, "Duplicate header: if-match");
}

static void what_a_client_has_is_not_sent_again(void **state)
{
    struct fixture *fixture = *state;
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    const char *target = fixture_format(fixture, "/v1/subscriptions/%s", id);
    struct fixture_reply reply = send(fixture, "GET", target, "If-None-Match: W/\"0-PENDING\"\r\n",
                                      "");
    assert_int_equal(reply.status, 304);
    assert_string_equal(fixture_header(fixture, &reply, "ETag"), "\"0-PENDING\"");
    assert_int_equal(reply.body.size_bytes, 0);
    (void)fixture_finish_job(fixture, "sample"); // becomes ACTIVE
    reply = send(fixture, "GET", target, "If-None-Match: \"0-PENDING\"\r\n", "");
    assert_int_equal(reply.status, 200);
}

static void what_has_ended_is_not_changed(void **state)
{
    struct fixture *fixture = *state;
    const char *ended = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    struct fixture_reply reply =
        fixture_delete(fixture, fixture->mine.token,
                       fixture_format(fixture, "/scheduled-exports/logs/subscription/%s?app_id=%s",
                                      ended, fixture->mine.app_id));
    assert_int_equal(reply.status, 200);
    const char *failed = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    (void)fixture_fail_job(fixture, "no");
    const char *ids[] = {ended, failed};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        reply = act(fixture, ids[i], "pause");
        fixture_assert_error(&reply, 409, "Subscription is not active");
        reply = act(fixture, ids[i], "resume");
        fixture_assert_error(&reply, 409, "Subscription is not active");
        reply = patch(fixture, ids[i], "{\"report\":{\"cadence\":\"daily\"}}");
        fixture_assert_error(&reply, 409, "Subscription is not active");
    }
}

static void lists_come_page_by_page(void **state)
{
    struct fixture *fixture = *state;
    static const char *const fields[] = {"[\"name\"]", "[\"id\"]", "[\"timestamp\"]"};
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++)
        (void)fixture_subscribe(fixture, "hourly", fields[i]); // in one millisecond
    const struct fixture_reply all = fixture_get(fixture, fixture->mine.token, "/v1/subscriptions");
    assert_int_equal(json_node_count(all.json), 3);
    const struct fixture_reply first = fixture_get(fixture, fixture->mine.token,
                                                   "/v1/subscriptions?limit=2");
    assert_int_equal(json_node_count(first.json), 2);
    const char *path = strstr(fixture_header(fixture, &first, "Link"), "/v1/");
    const struct fixture_reply second =
        fixture_get(fixture, fixture->mine.token,
                    fixture_format(fixture, "%.*s", (int)strcspn(path, ">"), path));
    assert_int_equal(json_node_count(second.json), 1);
    assert_null(fixture_header(fixture, &second, "Link"));
    assert_string_equal(text_of(json_node_at(second.json, 0), "subscription_id"),
                        text_of(json_node_at(all.json, 2), "subscription_id"));
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(edits_change_what_is_given),
        API_TEST(edits_are_checked_like_new_subscriptions),
        API_TEST(edits_need_the_permissions_of_what_they_leave),
        API_TEST(foreign_ones_are_unknown),
        API_TEST(what_a_pause_leaves_out_is_in_the_ledger),
        API_TEST(the_ledger_goes_over_changes_of_cadence),
        API_TEST(a_change_is_made_on_what_was_seen),
        API_TEST(what_a_client_has_is_not_sent_again),
        API_TEST(what_has_ended_is_not_changed),
        API_TEST(lists_come_page_by_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
