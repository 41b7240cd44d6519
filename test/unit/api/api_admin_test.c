// SPDX-License-Identifier: Apache-2.0
// Ends of tokens that depend on the time alone: the server remembers for a moment whom a token
// belongs to, and must not remember too long.
#include "api_fixture.h"

#include "base/check.h"

static const char *list_target(struct fixture *fixture)
{
    return fixture_format(fixture, "/scheduled-exports/logs/subscriptions?app_id=%s",
                          fixture->mine.app_id);
}

static void assert_taken(struct fixture *fixture, const char *token)
{
    const struct fixture_reply reply = fixture_get(fixture, token, list_target(fixture));
    assert_int_equal(reply.status, 200);
}

static void assert_not_taken(struct fixture *fixture, const char *token)
{
    const struct fixture_reply reply = fixture_get(fixture, token, list_target(fixture));
    fixture_assert_error(&reply, 400, "Authentication failed !");
}

static struct fixture_reply make_token(struct fixture *fixture, const char *members)
{
    const struct fixture_reply reply = fixture_post(
        fixture, fixture->admin_token, "/v1/admin/tokens",
        fixture_format(fixture,
                       "{\"organization_id\":\"%s\",\"name\":\"t\",\"permissions\":[\"export\"]%s}",
                       fixture->mine.organization_id, members));
    assert_int_equal(reply.status, 200);
    return reply;
}

static void a_token_ends_to_the_millisecond(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_reply made = make_token(fixture,
                                                 ",\"expires_at\":\"2026-11-23T10:20:00.400Z\"");
    const char *token = fixture_text(&made, "access_token");
    assert_string_equal(fixture_text(&made, "expires_at"), "2026-11-23T10:20:00.400-00:00");
    assert_taken(fixture, token);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 399;
    assert_taken(fixture, token);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 400;
    assert_not_taken(fixture, token);
}

static void a_grace_ends_to_the_millisecond(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_reply made = make_token(fixture, "");
    const char *token = fixture_text(&made, "access_token");
    const struct fixture_reply rotated = fixture_post(
        fixture, fixture->admin_token,
        fixture_format(fixture, "/v1/admin/tokens/%s/rotate", fixture_text(&made, "key_id")),
        "{\"grace_seconds\":3}");
    assert_int_equal(rotated.status, 200);
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 2999;
    assert_taken(fixture, token);
    assert_taken(fixture, fixture_text(&rotated, "access_token"));
    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 3000;
    assert_not_taken(fixture, token);
    assert_taken(fixture, fixture_text(&rotated, "access_token"));
}

static void a_change_names_who_asked_for_it(void **state)
{
    struct fixture *fixture = *state;
    const struct fixture_reply made =
        fixture_call(fixture, "POST", "/v1/admin/organizations",
                     fixture_format(fixture, "Access-Token: %s\r\nX-Request-Id: mine-1\r\n",
                                    fixture->admin_token),
                     slice_text("{\"name\":\"New\"}"));
    assert_int_equal(made.status, 200);
    const struct fixture_reply audit = fixture_get(fixture, fixture->admin_token,
                                                   "/v1/admin/audit?limit=1");
    assert_int_equal(json_node_count(audit.json), 1);
    const struct json_node *entry = json_node_at(audit.json, 0);
    static const char *const expected[][2] = {
        {"action", "organization.create"},
        {"request_id", "mine-1"},
        {"peer", "127.0.0.1"},
        {"at", "2026-11-23T10:20:00.000-00:00"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        assert_true(
            slice_equal_text(json_node_text(json_node_get(entry, expected[i][0])), expected[i][1]));
    assert_memory_equal(slice_chars(json_node_text(json_node_get(entry, "key_id"))),
                        fixture->admin_token + 8, TENANT_KEY_ID_CHARS);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_token_ends_to_the_millisecond),
        API_TEST(a_grace_ends_to_the_millisecond),
        API_TEST(a_change_names_who_asked_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
