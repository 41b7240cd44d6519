// SPDX-License-Identifier: Apache-2.0
// Lists page by page, over HTTP.
#include "api_fixture.h"

#include <stdio.h>
#include <string.h>

// Where the Link header leads to, without scheme and host; NULL at the end of the list.
static const char *next_target(struct fixture *fixture, const struct fixture_reply *reply)
{
    const char *link = fixture_header(fixture, reply, "link");
    if (link == NULL)
        return NULL;
    const char *prefix = fixture_format(fixture, "<http://%s/", fixture->host);
    const char *end = strstr(link, ">; rel=\"next\"");
    assert_non_null(end);
    assert_string_equal(end, ">; rel=\"next\"");
    assert_memory_equal(link, prefix, strlen(prefix));
    const size_t skip = strlen(prefix) - 1;
    return fixture_format(fixture, "%.*s", (int)(end - link - (int)skip), link + skip);
}

static const char *cursor_of(const char *target)
{
    const char *cursor = strstr(target, "cursor=");
    assert_non_null(cursor);
    return cursor + strlen("cursor=");
}

static void make_topics(struct fixture *fixture, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *body = fixture_format(fixture, "{\"name\":\"%s\",\"fields\":[]}", names[i]);
        assert_int_equal(fixture_post(fixture, fixture->mine.token, "/v1/topics", body).status,
                         200);
    }
}

static void pages_together_are_the_list(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"b", "a", "c.d", "eo_click"};
    make_topics(fixture, names, sizeof names / sizeof names[0]);
    const char *token = fixture->mine.token;
    const struct fixture_reply whole = fixture_get(fixture, token, "/v1/topics");
    assert_null(fixture_header(fixture, &whole, "link"));
    const size_t count = json_node_count(whole.json);
    size_t seen = 0;
    const char *target = "/v1/topics?limit=3";
    while (target != NULL) {
        const struct fixture_reply page = fixture_get(fixture, token, target);
        assert_int_equal(page.status, 200);
        for (size_t i = 0; i < json_node_count(page.json); i++) {
            const struct json_node *name = json_node_get(json_node_at(page.json, i), "name");
            const struct json_node *same = json_node_get(json_node_at(whole.json, seen++), "name");
            assert_true(slice_equal(json_node_text(name), json_node_text(same)));
        }
        target = next_target(fixture, &page);
        assert_int_equal(json_node_count(page.json),
                         target != NULL ? 3 : count - (seen - 1) / 3 * 3);
    }
    assert_int_equal(seen, count);
}

// What was made or went before the cursor moves nothing behind it.
static void a_list_that_changes_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"m", "n", "o"};
    make_topics(fixture, names, 2);
    const char *token = fixture->mine.token;
    const struct fixture_reply first = fixture_get(fixture, token, "/v1/topics?limit=1");
    static const char *const more[] = {"a", "ma"};
    make_topics(fixture, more, 2);
    const struct fixture_reply second = fixture_get(fixture, token, next_target(fixture, &first));
    assert_true(slice_equal_text(
        json_node_text(json_node_get(json_node_at(second.json, 0), "name")), "ma"));
}

static void an_exact_fit_has_no_next_page(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const size_t count = json_node_count(fixture_get(fixture, token, "/v1/topics").json);
    const struct fixture_reply all =
        fixture_get(fixture, token, fixture_format(fixture, "/v1/topics?limit=%zu", count));
    assert_int_equal(json_node_count(all.json), count);
    assert_null(fixture_header(fixture, &all, "link"));
}

static void only_known_parameters_come_back(void **state)
{
    struct fixture *fixture = *state;
    const char *target = fixture_format(fixture, "/v1/topics/?foo=1%%22%%3E&limit=1&app_id=%s",
                                        fixture->mine.app_id);
    const struct fixture_reply page = fixture_get(fixture, fixture->mine.token, target);
    assert_int_equal(page.status, 200);
    const char *next = next_target(fixture, &page);
    assert_null(strstr(next, "foo"));
    assert_non_null(strstr(next, "/v1/topics/?"));
}

static void limits_are_checked(void **state)
{
    struct fixture *fixture = *state;
    static const char *const limits[] = {"0",
                                         "-1",
                                         "1.5",
                                         "1e2",
                                         "0x10",
                                         "%205",
                                         "5%20",
                                         "",
                                         "10001",
                                         "+5",
                                         "99999999999999999999",
                                         "5%005",
                                         "five"};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct fixture_reply reply =
            fixture_get(fixture, fixture->mine.token,
                        fixture_format(fixture, "/v1/topics?limit=%s", limits[i]));
        fixture_assert_error(&reply, 400, "Invalid parameter: limit");
    }
    const struct fixture_reply twice = fixture_get(fixture, fixture->mine.token,
                                                   "/v1/topics?limit=1&limit=2");
    fixture_assert_error(&twice, 400, "Duplicate parameter: limit");
}

static void assert_bad_cursor(struct fixture *fixture, const char *token, const char *cursor)
{
    const char *target = fixture_format(fixture, "/v1/topics?cursor=%s", cursor);
    const struct fixture_reply reply = fixture_get(fixture, token, target);
    fixture_assert_error(&reply, 400, "Invalid cursor");
}

static void cursors_that_are_not_ours_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *token = fixture->mine.token;
    const struct fixture_reply first = fixture_get(fixture, token, "/v1/topics?limit=1");
    const char *cursor = cursor_of(next_target(fixture, &first));
    assert_int_equal(
        fixture_get(fixture, token, fixture_format(fixture, "/v1/topics?cursor=%s", cursor)).status,
        200);
    for (size_t i = 0; i < strlen(cursor); i++) { // a bit of each letter
        char *changed = arena_copy_text(&fixture->arena, cursor);
        changed[i] ^= 1;
        assert_bad_cursor(fixture, token, changed);
    }
    for (size_t i = 0; i < strlen(cursor); i++) { // the same digit in upper case
        char *changed = arena_copy_text(&fixture->arena, cursor);
        if (changed[i] < 'a')
            continue;
        changed[i] = (char)(changed[i] - 32);
        assert_bad_cursor(fixture, token, changed);
    }
    assert_bad_cursor(fixture, token, fixture_format(fixture, "%s00", cursor));
    assert_bad_cursor(fixture, token, "");
    assert_bad_cursor(fixture, token, "..%2F..%2Fx");
    assert_bad_cursor(fixture, token, "%00");
    char *large = arena_alloc(&fixture->arena, 4001);
    memset(large, 'a', 4000);
    assert_bad_cursor(fixture, token, large);
    assert_bad_cursor(fixture, fixture->theirs.token, cursor); // another organization's
    const struct fixture_reply other = fixture_get(
        fixture, token,
        fixture_format(fixture, "/v1/topics?app_id=%s&cursor=%s", fixture->mine.app_id, cursor));
    fixture_assert_error(&other, 400, "Invalid cursor"); // another scope
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(pages_together_are_the_list),
        API_TEST(a_list_that_changes_loses_nothing),
        API_TEST(an_exact_fit_has_no_next_page),
        API_TEST(only_known_parameters_come_back),
        API_TEST(limits_are_checked),
        API_TEST(cursors_that_are_not_ours_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
