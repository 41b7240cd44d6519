// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_route.h"
#include "base/check.h"

static struct api_match match(const char *method, const char *path)
{
    struct api_match found;
    api_route_match(slice_text(method), slice_text(path), &found);
    return found;
}

static void assert_pattern(const char *method, const char *path, const char *pattern)
{
    const struct api_match found = match(method, path);
    assert_non_null(found.route);
    assert_string_equal(found.route->pattern, pattern);
}

static void assert_unknown(const char *path)
{
    const struct api_match found = match("GET", path);
    assert_null(found.route);
    assert_string_equal(found.allow, "");
}

static void paths_find_their_row(void **state)
{
    (void)state;
    assert_pattern("POST", "/scheduled-exports/logs/subscribe",
                   "/scheduled-exports/logs/subscribe");
    assert_pattern("GET", "/scheduled-exports/logs/subscription/x/jobs",
                   "/scheduled-exports/logs/subscription/{subscription_id}/jobs");
    assert_pattern("GET", "/v1/topics/eo_click", "/v1/topics/{topic}");
    assert_pattern("HEAD", "/v1/topics", "/v1/topics");
    const struct api_match found = match("GET", "/scheduled-exports/logs/subscription/s/job/j");
    assert_true(slice_equal_text(found.params[0], "s"));
    assert_true(slice_equal_text(found.params[1], "j"));
}

static void both_prefixes_are_one(void **state)
{
    (void)state;
    const struct api_match found = match("POST",
                                         "/scheduled-exports/exports/logs/subscription/s/jobs/");
    assert_non_null(found.route);
    assert_true(slice_equal_text(found.params[0], "s"));
    assert_unknown("/scheduled-exports/exports/exports/logs/subscriptions");
    assert_unknown("/scheduled-exports/exports/logs/");
}

static void a_literal_wins_over_an_id(void **state)
{
    (void)state;
    assert_pattern("GET", "/scheduled-exports/logs/subscription/externalId",
                   "/scheduled-exports/logs/subscription/externalId");
    assert_pattern("DELETE", "/scheduled-exports/logs/subscription/externalId",
                   "/scheduled-exports/logs/subscription/{subscription_id}");
    assert_pattern("GET", "/scheduled-exports/logs/subscription/externalId/jobs",
                   "/scheduled-exports/logs/subscription/{subscription_id}/jobs");
}

static void one_trailing_slash_is_tolerated(void **state)
{
    (void)state;
    assert_pattern("GET", "/scheduled-exports/logs/subscriptions/",
                   "/scheduled-exports/logs/subscriptions");
    assert_unknown("/scheduled-exports/logs/subscriptions//");
    assert_unknown("/scheduled-exports/logs/subscription//jobs");
    assert_unknown("//v1/topics");
}

static void what_is_no_path_of_ours_is_unknown(void **state)
{
    (void)state;
    static const char *const paths[] = {"",
                                        "*",
                                        "//",
                                        "v1/topics",
                                        "/v1",
                                        "/v1/topics/a/b",
                                        "/V1/topics",
                                        "/Scheduled-Exports/Logs/subscriptions",
                                        "/scheduled-exports;v=1/logs/subscriptions",
                                        "/scheduled-exports/logs",
                                        "/export",
                                        "/v1/topics/{topic}/x"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        assert_unknown(paths[i]);
}

static void methods_are_told(void **state)
{
    (void)state;
    const struct api_match jobs = match("PUT", "/scheduled-exports/logs/subscription/s/jobs");
    assert_null(jobs.route);
    assert_string_equal(jobs.allow, "GET, HEAD, POST, OPTIONS");
    assert_string_equal(match("OPTIONS", "/scheduled-exports/logs/subscription/s").allow,
                        "GET, HEAD, DELETE, OPTIONS");
    assert_string_equal(match("POST", "/exports/v2/a").allow, "HEAD, GET, OPTIONS");
    assert_string_equal(match("get", "/v1/jobs/a").allow, "GET, HEAD, OPTIONS");
    assert_null(match("get", "/v1/jobs/a").route);
}

static void keys_of_the_bucket_are_taken_whole(void **state)
{
    (void)state;
    const struct api_match found = match("GET", "/exports/v2/y=2026/m=11/a.csv.gz");
    assert_non_null(found.route);
    assert_true(slice_equal_text(found.params[0], "v2/y=2026/m=11/a.csv.gz"));
    // A slash at the end is part of the key: the signature must not match without it.
    assert_true(slice_equal_text(match("GET", "/exports/v2/a/").params[0], "v2/a/"));
    assert_true(slice_is_empty(match("GET", "/exports/").params[0]));
    assert_pattern("GET", "/exports/", "/exports/*");
    assert_pattern("HEAD", "/exports", "/exports");
    assert_pattern("HEAD", "/", "/");
}

static void every_row_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        assert_true(route->pattern[0] == '/');
        assert_non_null(route->query);
        assert_true(route->doc[0] != '\0');
        const bool is_file = route->mode == API_MODE_BUCKET && strchr(route->pattern, '*') != NULL;
        assert_true((route->handler == NULL) == (is_file || route->mode == API_MODE_STREAMED));
        const bool is_open = route->access == API_ACCESS_PUBLIC ||
                             route->access == API_ACCESS_SIGNED;
        assert_true((route->permissions == 0) == is_open);
        assert_ptr_equal(match(route->method, route->pattern).route, route);
    }
}

static void name_lists_are_read(void **state)
{
    (void)state;
    struct slice list = slice_text("a! bc");
    struct api_route_name name;
    assert_true(api_route_next_name(&list, &name));
    assert_true(slice_equal_text(name.name, "a"));
    assert_true(name.is_needed);
    assert_true(api_route_next_name(&list, &name));
    assert_true(slice_equal_text(name.name, "bc"));
    assert_false(name.is_needed);
    assert_false(api_route_next_name(&list, &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_row),
        cmocka_unit_test(both_prefixes_are_one),
        cmocka_unit_test(a_literal_wins_over_an_id),
        cmocka_unit_test(one_trailing_slash_is_tolerated),
        cmocka_unit_test(what_is_no_path_of_ours_is_unknown),
        cmocka_unit_test(methods_are_told),
        cmocka_unit_test(keys_of_the_bucket_are_taken_whole),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(name_lists_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
