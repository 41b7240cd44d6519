// SPDX-License-Identifier: Apache-2.0
// Opening with other settings than the fixture's, and closing with work in progress.
#include "api_fixture.h"

#include <stdio.h>

#include "base/check.h"
#include "base/thread.h"

static void base_urls_are_checked(void **state)
{
    static const char *const bad[] = {"",           "example.com",        "ftp://example.com",
                                      "http://",    "https://a/path",     "http://a?b",
                                      "http://a b", "http://user@a",      "http:///",
                                      "http://a#b", "http://\xc3\xa9.com"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct err err;
        struct api *api = NULL;
        struct api_config config = fixture_config(fixture);
        config.settings.base_urls = (struct option_list){.items = {bad[i]}, .count = 1};
        int port = 0;
        assert_true(http_listen("127.0.0.1:0", &config.listen_fd, &port, &err));
        assert_false(api_open(&config, &api, &err));
        assert_int_equal(err.kind, ERR_INVALID);
        assert_null(api);
    }
}

static void a_missing_catalog_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    struct api *api = NULL;
    struct api_config config = fixture_config(fixture);
    config.catalog_path = "/nonexistent/catalog.db";
    int port = 0;
    assert_true(http_listen("127.0.0.1:0", &config.listen_fd, &port, &err));
    assert_false(api_open(&config, &api, &err));
    assert_null(api);
    api_close(&api, 0);
}

// The first mints; all are accepted, and what Host says on the way through a proxy does not matter.
static void urls_are_minted_for_the_first_base_url(void **state)
{
    struct fixture *fixture = *state;
    struct api_config config = fixture_config(fixture);
    config.settings.base_urls = (struct option_list){
        .items = {"https://exports.example.com/", "http://other.example.com:8080"},
        .count = 2,
    };
    struct api *api = fixture_open_other(fixture, &config);
    const char *id = fixture_subscribe(fixture, "hourly", "[\"name\"]");
    fixture_backfill(fixture, id, 1);
    const char *job_id = fixture_finish_job(fixture, "bytes");
    const struct fixture_reply job = fixture_get(fixture, fixture->mine.token,
                                                 fixture_format(fixture, "/v1/jobs/%s", job_id));
    const struct json_node *urls = json_node_get(job.json, "export_url");
    const char *url = slice_chars(json_node_text(json_node_at(urls, 0)));
    static const char base[] = "https://exports.example.com";
    assert_memory_equal(url, base, sizeof base - 1);
    const struct fixture_reply reply = fixture_call(fixture, "GET", url + sizeof base - 1, NULL,
                                                    slice_of(NULL, 0));
    assert_int_equal(reply.status, 200);
    assert_string_equal(slice_chars(reply.body), "bytes");
    // Another server with the same secret, but not of that name.
    struct api_config stranger_config = fixture_config(fixture);
    struct api *stranger = fixture_open_other(fixture, &stranger_config);
    const struct fixture_reply refused = fixture_call(fixture, "GET", url + sizeof base - 1, NULL,
                                                      slice_of(NULL, 0));
    assert_int_equal(refused.status, 403);
    api_close(&stranger, 1000);
    api_close(&api, 1000);
}

static void bounds_are_configurable(void **state)
{
    struct fixture *fixture = *state;
    struct api_config config = fixture_config(fixture);
    config.settings.body_bytes = 1024;
    config.settings.ingest_body_bytes = 2048;
    config.settings.subscription_limit = 1;
    struct api *api = fixture_open_other(fixture, &config);
    char body[2050];
    memset(body, ' ', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    const char *subscribe = fixture_format(fixture, "/scheduled-exports/logs/subscribe?app_id=%s",
                                           fixture->mine.app_id);
    struct fixture_reply reply = fixture_post(fixture, fixture->mine.token, subscribe, body);
    fixture_assert_error(&reply, 413, "Request body too large");
    reply = fixture_call(
        fixture, "POST",
        fixture_format(fixture, "/v1/events/eo_install?app_id=%s", fixture->mine.app_id),
        fixture_format(fixture, "access-token: %s\r\nContent-Type: application/json\r\n",
                       fixture->mine.token),
        slice_text(body));
    fixture_assert_error(&reply, 413, "Request body too large");
    (void)fixture_subscribe(fixture, "hourly", "[\"name\"]");
    reply = fixture_post(fixture, fixture->mine.token, subscribe,
                         "{\"report\":{\"report_type\":\"eo_open\",\"report_fields\":[\"id\"]},"
                         "\"destination\":{\"subscription_type\":\"branch\"}}");
    fixture_assert_error(&reply, 400, "Subscription limit reached: 1");
    api_close(&api, 1000);
}

// Never an empty list, and never "not found".
static void a_catalog_that_is_away_is_503(void **state)
{
    struct fixture *fixture = *state;
    struct api_config config = fixture_config(fixture);
    struct api *api = fixture_open_other(fixture, &config); // its handles are opened at first need
    const char *away = fixture_format(fixture, "%s.away", config.catalog_path);
    const char *target = fixture_format(fixture, "/scheduled-exports/logs/subscriptions?app_id=%s",
                                        fixture->mine.app_id);
    assert_int_equal(rename(config.catalog_path, away), 0);
    struct fixture_reply reply = fixture_get(fixture, fixture->mine.token, target);
    fixture_assert_error(&reply, 503,
                         "Our product is failing to serve your request at this moment. Please try "
                         "again later.");
    assert_string_equal(fixture_header(fixture, &reply, "retry-after"), "1");
    reply = fixture_get(fixture, NULL, "/readyz");
    assert_int_equal(reply.status, 503);
    assert_string_equal(fixture_text(&reply, "status"), "unavailable");
    assert_int_equal(fixture_get(fixture, NULL, "/healthz").status, 200);
    assert_int_equal(rename(away, config.catalog_path), 0);
    reply = fixture_get(fixture, fixture->mine.token, target);
    assert_string_equal(slice_chars(reply.body), "[]");
    api_close(&api, 1000);
}

struct caller {
    struct fixture *fixture;
    const char *target;
    struct thread thread;
    int status;
};

// Of parallel creates of one subscription, one wins.
static void call_subscribe(void *context)
{
    struct caller *caller = context;
    caller->status =
        fixture_status(caller->fixture, caller->target,
                       "{\"report\":{\"report_type\":\"eo_open\",\"report_fields\":[\"id\"]},"
                       "\"destination\":{\"subscription_type\":\"branch\"}}");
}

static void parallel_creates_make_one(void **state)
{
    struct fixture *fixture = *state;
    struct caller callers[8];
    const char *target = fixture_format(fixture, "/scheduled-exports/logs/subscribe?app_id=%s",
                                        fixture->mine.app_id);
    for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
        callers[i] = (struct caller){.fixture = fixture, .target = target};
        thread_start(&callers[i].thread, call_subscribe, &callers[i]);
    }
    int made = 0;
    for (size_t i = 0; i < ARRAY_COUNT(callers); i++) {
        thread_join(&callers[i].thread);
        made += callers[i].status == 200;
        if (callers[i].status != 200)
            assert_int_equal(callers[i].status, 400);
    }
    assert_int_equal(made, 1);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(base_urls_are_checked),
        API_TEST(a_missing_catalog_is_an_error),
        API_TEST(urls_are_minted_for_the_first_base_url),
        API_TEST(bounds_are_configurable),
        API_TEST(a_catalog_that_is_away_is_503),
        API_TEST(parallel_creates_make_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
