// SPDX-License-Identifier: Apache-2.0
// A create that is sent again with its Idempotency-Key.
#include "api_fixture.h"

#include <stdio.h>
#include <string.h>

#define BODY                                                                                       \
    "{\"report\":{\"report_type\":\"eo_open\",\"report_fields\":[\"%s\"]},"                        \
    "\"destination\":{\"subscription_type\":\"branch\"}}"

static struct fixture_reply subscribe(struct fixture *fixture, const char *app_id,
                                      const char *headers, const char *field)
{
    const char *target = fixture_format(fixture, "/scheduled-exports/logs/subscribe?app_id=%s",
                                        app_id);
    const char *all = fixture_format(fixture, "Access-Token: %s\r\n%s", fixture->mine.token,
                                     headers);
    return fixture_call(fixture, "POST", target, all,
                        slice_text(fixture_format(fixture, BODY, field)));
}

static size_t subscription_count(struct fixture *fixture)
{
    return json_node_count(fixture_get(fixture, fixture->mine.token, "/v1/subscriptions").json);
}

static void a_repeated_create_makes_nothing_new(void **state)
{
    struct fixture *fixture = *state;
    const char *app_id = fixture->mine.app_id;
    const char *key = "Idempotency-Key: first try\r\n";
    const struct fixture_reply first = subscribe(fixture, app_id, key, "id");
    assert_int_equal(first.status, 200);
    assert_null(fixture_header(fixture, &first, "idempotency-replayed"));
    const struct fixture_reply again = subscribe(fixture, app_id, key, "id");
    assert_int_equal(again.status, 200);
    assert_string_equal(fixture_header(fixture, &again, "idempotency-replayed"), "true");
    assert_string_equal(slice_chars(again.body), slice_chars(first.body));
    assert_int_equal(subscription_count(fixture), 1);
}

static void another_request_under_the_key_is_a_conflict(void **state)
{
    struct fixture *fixture = *state;
    const char *key = "Idempotency-Key: k\r\n";
    assert_int_equal(subscribe(fixture, fixture->mine.app_id, key, "id").status, 200);
    struct fixture_reply reply = subscribe(fixture, fixture->mine.app_id, key, "name");
    fixture_assert_error(&reply, 409, "Idempotency-Key reused with a different request");
    reply = subscribe(fixture, fixture->mine.other_app_id, key, "id"); // the app is part of it
    fixture_assert_error(&reply, 409, "Idempotency-Key reused with a different request");
    assert_int_equal(subscription_count(fixture), 1);
}

static void a_key_is_forgotten_after_a_day(void **state)
{
    struct fixture *fixture = *state;
    const char *key = "Idempotency-Key: k\r\n";
    assert_int_equal(subscribe(fixture, fixture->mine.app_id, key, "id").status, 200);
    fixture->clock.now_wall_ms += INT64_C(86400000);
    assert_int_equal(subscribe(fixture, fixture->mine.app_id, key, "name").status, 200);
    assert_int_equal(subscription_count(fixture), 2);
}

// What failed made nothing, so the key is free for the corrected request.
static void a_refused_request_leaves_the_key_free(void **state)
{
    struct fixture *fixture = *state;
    const char *key = "Idempotency-Key: k\r\n";
    assert_int_equal(subscribe(fixture, fixture->mine.app_id, key, "nope").status, 400);
    const struct fixture_reply reply = subscribe(fixture, fixture->mine.app_id, key, "id");
    assert_int_equal(reply.status, 200);
    assert_null(fixture_header(fixture, &reply, "idempotency-replayed"));
}

static void without_a_key_a_duplicate_is_one(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(subscribe(fixture, fixture->mine.app_id, "", "id").status, 200);
    assert_int_equal(subscribe(fixture, fixture->mine.app_id, "", "id").status, 400);
}

static void bad_keys_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char long_key[160];
    (void)snprintf(long_key, sizeof long_key, "Idempotency-Key: %0129d\r\n", 1);
    const char *const headers[] = {
        long_key,
        "Idempotency-Key:\r\n",
        "Idempotency-Key: a\tb\r\n",
        "Idempotency-Key: \xc3\xbc\r\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        const struct fixture_reply reply = subscribe(fixture, fixture->mine.app_id, headers[i],
                                                     "id");
        assert_int_equal(reply.status, 400);
    }
    const struct fixture_reply twice = subscribe(
        fixture, fixture->mine.app_id, "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", "id");
    fixture_assert_error(&twice, 400, "Duplicate header: idempotency-key");
    assert_int_equal(subscription_count(fixture), 0);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_repeated_create_makes_nothing_new),
        API_TEST(another_request_under_the_key_is_a_conflict),
        API_TEST(a_key_is_forgotten_after_a_day),
        API_TEST(a_refused_request_leaves_the_key_free),
        API_TEST(without_a_key_a_duplicate_is_one),
        API_TEST(bad_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
