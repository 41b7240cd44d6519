// SPDX-License-Identifier: Apache-2.0
// What operators see when the log cannot be written, and when sealing stands still.
#include "api_fixture.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "catalog/segments.h"

#define FD_MAX 256

static int ingest(struct fixture *fixture)
{
    const char *target = fixture_format(fixture, "/v1/events/eo_open?app_id=%s",
                                        fixture->mine.app_id);
    const char *headers = fixture_format(
        fixture, "access-token: %s\r\nContent-Type: application/x-ndjson\r\n", fixture->mine.token);
    return fixture_call(fixture, "POST", target, headers,
                        slice_text("{\"timestamp\":1795429100000}\n"))
        .status;
}

// The log file that is open now leads elsewhere; the log gives it up after the first failure.
static void redirect_log(struct fixture *fixture, const char *target, int flags)
{
    const char *prefix = fixture_format(fixture, "%s/log/", fixture->directory);
    char link[64];
    char path[512];
    for (int fd = 0; fd < FD_MAX; fd++) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t size = readlink(link, path, sizeof path - 1);
        if (size <= 0)
            continue;
        path[size] = '\0';
        if (strncmp(path, prefix, strlen(prefix)) != 0 || strstr(path, "/lock") != NULL ||
            strstr(path, "/spare-") != NULL)
            continue;
        const int other = open(target, flags | O_CLOEXEC);
        assert_true(other >= 0);
        assert_int_equal(dup3(other, fd, O_CLOEXEC), fd);
        assert_int_equal(close(other), 0);
        return;
    }
    fail_msg("no log file is open");
}

static void assert_log(struct fixture *fixture, int status, const char *word)
{
    const struct fixture_reply reply = fixture_get(fixture, NULL, "/readyz");
    assert_int_equal(reply.status, status);
    assert_string_equal(fixture_text(&reply, "log"), word);
    assert_string_equal(fixture_text(&reply, "catalog"), "ok");
    assert_string_equal(fixture_text(&reply, "status"), status == 200 ? "ready" : "unavailable");
    assert_null(strstr(slice_chars(reply.body), fixture->directory));
}

static void a_log_that_fails_is_not_ready(void **state)
{
    struct fixture *fixture = *state;
    assert_log(fixture, 200, "ok");
    assert_int_equal(ingest(fixture), 200);
    redirect_log(fixture, "/dev/full", O_WRONLY);
    assert_int_equal(ingest(fixture), 507);
    assert_log(fixture, 503, "full");
    assert_log(fixture, 503, "full");
    assert_int_equal(ingest(fixture), 200);
    assert_log(fixture, 200, "ok");
    redirect_log(fixture, "/dev/null", O_RDONLY);
    assert_int_equal(ingest(fixture), 503);
    assert_log(fixture, 503, "io");
    assert_int_equal(ingest(fixture), 200);
    assert_log(fixture, 200, "ok");
}

// The fixture's clock belongs to the test while no request runs, and a request ends after its
// reply.
struct moving_clock {
    struct clock base;
    atomic_int_fast64_t now_boot_ms;
};

static int64_t moving_clock_wall_ms(const struct clock *clock)
{
    (void)clock;
    return FIXTURE_NOW_MS;
}

static int64_t moving_clock_boot_ms(const struct clock *clock)
{
    const struct moving_clock *self = (const struct moving_clock *)clock;
    return atomic_load(&self->now_boot_ms);
}

static void a_balancer_gets_to_try_again(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    struct moving_clock clock = {.base = {moving_clock_wall_ms, moving_clock_boot_ms}};
    struct api_config config = fixture_config(fixture);
    config.clock = &clock.base;
    api_close(&fixture->api, 1000);
    assert_true(http_listen("127.0.0.1:0", &config.listen_fd, &fixture->port, &err));
    assert_true(api_open(&config, &fixture->api, &err));
    assert_int_equal(ingest(fixture), 200);
    redirect_log(fixture, "/dev/full", O_WRONLY);
    assert_int_equal(ingest(fixture), 507);
    assert_log(fixture, 503, "full");
    (void)atomic_fetch_add(&clock.now_boot_ms, 29999);
    assert_log(fixture, 503, "full");
    (void)atomic_fetch_add(&clock.now_boot_ms, 1);
    assert_log(fixture, 200, "ok");
    api_close(&fixture->api, 1000);
}

static void assert_metric(struct fixture *fixture, const char *name, int64_t value)
{
    const struct fixture_reply reply = fixture_get(fixture, NULL, "/metrics");
    const char *line = fixture_format(fixture, "# TYPE %s gauge\n", name);
    assert_non_null(strstr(slice_chars(reply.body), line));
    line = fixture_format(fixture, "\n%s %lld\n", name, (long long)value);
    if (strstr(slice_chars(reply.body), line) == NULL)
        fail_msg("no %s in %s", line, slice_chars(reply.body));
}

static void sealing_can_be_watched(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    int64_t seal_point = -1;
    assert_int_equal(ingest(fixture), 200);
    assert_int_equal(ingest(fixture), 200);
    assert_true(segment_seal_point(fixture->catalog, &seal_point, &err));
    assert_metric(fixture, "milkrun_ingest_last_seq", 2);
    assert_metric(fixture, "milkrun_lake_sealed_seq", seal_point);
    const char *path = fixture_format(fixture, "%s/catalog.db", fixture->directory);
    const char *away = fixture_format(fixture, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    struct fixture_reply reply = fixture_get(fixture, NULL, "/metrics");
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(reply.status, 200); // whatever the catalog says
    assert_non_null(strstr(slice_chars(reply.body), "\nmilkrun_ingest_last_seq 2\n"));
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(a_log_that_fails_is_not_ready),
        API_TEST(a_balancer_gets_to_try_again),
        API_TEST(sealing_can_be_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
