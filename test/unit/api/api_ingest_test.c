// SPDX-License-Identifier: Apache-2.0
// Ingest through a real server and a real log.
#include "api_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/gzip.h"
#include "base/mem.h"

#define NDJSON "Content-Type: application/x-ndjson\r\n"
#define LINE   "{\"timestamp\":1795429100000,\"id\":\"e1\",\"name\":\"PURCHASE\"}\n"

static const char *events_target(struct fixture *fixture, const char *more)
{
    return fixture_format(fixture, "/v1/events/eo_install?app_id=%s%s", fixture->mine.app_id, more);
}

static struct fixture_reply ingest_to(struct fixture *fixture, const char *target,
                                      const char *token, const char *headers, struct slice body)
{
    return fixture_call(fixture, "POST", target,
                        fixture_format(fixture, "access-token: %s\r\n%s", token, headers), body);
}

static struct fixture_reply ingest(struct fixture *fixture, const char *headers, struct slice body)
{
    return ingest_to(fixture, events_target(fixture, ""), fixture->mine.token, headers, body);
}

static int64_t event_count(const struct fixture *fixture)
{
    return ingest_log_stats(fixture->log).event_count;
}

static void assert_accepted(const struct fixture_reply *reply, int64_t count)
{
    if (reply->status != 200)
        fail_msg("%s", slice_chars(reply->body));
    assert_int_equal(json_node_int64(json_node_get(reply->json, "accepted")), count);
}

static void events_are_taken(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = ingest(fixture, NDJSON, slice_text(LINE LINE));
    assert_string_equal(slice_chars(reply.body), "{\"accepted\":2}");
    reply = ingest(fixture, "Content-Type: application/json; charset=utf-8\r\n",
                   slice_text("{\"timestamp\":\"2026-11-23T10:00:00Z\"}"));
    assert_accepted(&reply, 1);
    reply = ingest(fixture, "Content-Type: application/ndjson\r\nContent-Encoding: identity\r\n",
                   slice_text("\n" LINE "\r\n" LINE));
    assert_accepted(&reply, 2);
    assert_int_equal(event_count(fixture), 5);
    assert_int_equal(ingest_log_last_seq(fixture->log), 5);
}

static void bad_lines_are_named(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *body;
        const char *message;
    } rows[] = {
        {"", "No events in request"},
        {"\n\r\n\n", "No events in request"},
        {LINE "{\n", "Invalid event on line 2"},
        {"{\"id\":\"a\"}", "Missing field on line 1: timestamp"},
        {"{\"timestamp\":1795429100000,\"a\":1,\"a\":2}", "Duplicate field on line 1"},
        {"{\"timestamp\":0}", "Timestamp out of range on line 1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = ingest(fixture, NDJSON, slice_text(rows[i].body));
        assert_int_equal(reply.status, 400);
        if (i != 5) // which of the two words a zero gets is the scanner's affair
            fixture_assert_error(&reply, 400, rows[i].message);
    }
    assert_int_equal(event_count(fixture), 0);
    const struct fixture_reply partial = ingest_to(fixture, events_target(fixture, "&mode=partial"),
                                                   fixture->mine.token, NDJSON,
                                                   slice_text(LINE "{\n" LINE));
    assert_accepted(&partial, 2);
    const struct json_node *rejected = json_node_get(partial.json, "rejected");
    assert_int_equal(json_node_count(rejected), 1);
    assert_int_equal(json_node_int64(json_node_get(json_node_at(rejected, 0), "line")), 2);
    const struct fixture_reply mode = ingest_to(fixture, events_target(fixture, "&mode=all"),
                                                fixture->mine.token, NDJSON, slice_text(LINE));
    fixture_assert_error(&mode, 400, "Invalid parameter: mode");
}

static void an_oversized_line_is_413(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = 1024 * 1024 + 1;
    char *line = mem_alloc(size);
    memset(line, ' ', size);
    memcpy(line, "{\"timestamp\":1795429100000", 26);
    line[size - 1] = '}';
    const struct fixture_reply reply = ingest(fixture, NDJSON, slice_of(line, size));
    fixture_assert_error(&reply, 413, "Event too large on line 1");
    mem_free(line);
}

// Ends on a writer thread, since the log keeps it in a file of its own.
static void large_batches_are_taken(void **state)
{
    struct fixture *fixture = *state;
    const size_t count = 40000;
    struct buf body;
    buf_init(&body, (size_t)16 * 1024 * 1024);
    for (size_t i = 0; i < count; i++)
        buf_append_text(&body, LINE);
    assert_true(body.size_bytes > 2 * 1024 * 1024);
    struct fixture_reply reply = ingest(fixture, NDJSON, buf_slice(&body));
    assert_accepted(&reply, (int64_t)count);
    buf_append_text(&body, "{");
    reply = ingest(fixture, NDJSON, buf_slice(&body));
    fixture_assert_error(&reply, 400, "Invalid event on line 40001");
    assert_int_equal(event_count(fixture), count);
    buf_clear(&body);
}

static void media_types_are_checked(void **state)
{
    struct fixture *fixture = *state;
    static const char *const headers[] = {"", "Content-Type: text/plain\r\n",
                                          "Content-Type: multipart/form-data; boundary=x\r\n",
                                          "Content-Type: application/x-www-form-urlencoded\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        const struct fixture_reply reply = ingest(fixture, headers[i], slice_text(LINE));
        fixture_assert_error(&reply, 415, "Unsupported media type");
    }
    static const char *const codings[] = {"gzip, gzip", "br", "deflate"};
    for (size_t i = 0; i < ARRAY_COUNT(codings); i++) {
        const struct fixture_reply reply =
            ingest(fixture, fixture_format(fixture, NDJSON "Content-Encoding: %s\r\n", codings[i]),
                   slice_text(LINE));
        fixture_assert_error(&reply, 415, "Unsupported content encoding");
    }
}

static void a_second_content_type_is_400(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = ingest(fixture, NDJSON NDJSON, slice_text(LINE));
    fixture_assert_error(&reply, 400, "Duplicate header: Content-Type");
    reply = ingest(fixture, NDJSON "content-type: text/plain\r\n", slice_text(LINE));
    fixture_assert_error(&reply, 400, "Duplicate header: Content-Type");
    assert_int_equal(event_count(fixture), 0);
}

static void tokens_and_apps_are_checked(void **state)
{
    struct fixture *fixture = *state;
    const struct slice line = slice_text(LINE);
    const char *export_only = fixture_token(fixture, &fixture->mine, NULL, TENANT_EXPORT);
    const char *own = events_target(fixture, "");
    struct fixture_reply reply = ingest_to(fixture, own, export_only, NDJSON, line);
    fixture_assert_error(&reply, 403, "Token lacks permission: ingest");
    reply = fixture_call(fixture, "POST", own, NDJSON, line);
    fixture_assert_error(&reply, 401, "Authentication failed !");
    reply = ingest_to(fixture, "/v1/events/eo_install", fixture->mine.token, NDJSON, line);
    fixture_assert_error(&reply, 400, "Missing required parameter: app_id");
    reply = ingest_to(
        fixture, fixture_format(fixture, "/v1/events/eo_install?app_id=%s", fixture->theirs.app_id),
        fixture->mine.token, NDJSON, line);
    fixture_assert_error(&reply, 404, "App not found");
    const struct fixture_reply unknown =
        ingest_to(fixture, "/v1/events/eo_install?app_id=123456789012345678", fixture->mine.token,
                  NDJSON, line);
    fixture_assert_same(fixture, &reply, &unknown);
    reply = ingest_to(fixture,
                      fixture_format(fixture, "/v1/events/a%%20b?app_id=%s", fixture->mine.app_id),
                      fixture->mine.token, NDJSON, line);
    fixture_assert_error(&reply, 400, "Invalid topic name");
    assert_int_equal(event_count(fixture), 0);
}

static void operators_name_the_app_in_each_line(void **state)
{
    struct fixture *fixture = *state;
    const char *body = fixture_format(fixture,
                                      "{\"timestamp\":1795429100000,\"app_id\":\"%s\"}\n"
                                      "{\"timestamp\":1795429100000,\"app_id\":\"%s\"}\n",
                                      fixture->mine.app_id, fixture->theirs.app_id);
    struct fixture_reply reply = ingest_to(fixture, "/v1/events/eo_install", fixture->admin_token,
                                           NDJSON, slice_text(body));
    assert_accepted(&reply, 2);
    reply = ingest_to(fixture, events_target(fixture, ""), fixture->admin_token, NDJSON,
                      slice_text(LINE));
    assert_accepted(&reply, 1);
    reply = ingest_to(fixture, "/v1/events/eo_install?app_id=1", fixture->admin_token, NDJSON,
                      slice_text(LINE));
    fixture_assert_error(&reply, 404, "App not found");
}

static void a_key_replays_the_first_answer(void **state)
{
    struct fixture *fixture = *state;
    const char *headers = NDJSON "Idempotency-Key: import 7\r\n";
    struct fixture_reply reply = ingest(fixture, headers, slice_text(LINE));
    assert_accepted(&reply, 1);
    reply = ingest(fixture, headers, slice_text(LINE));
    assert_accepted(&reply, 1);
    assert_int_equal(event_count(fixture), 1);
    reply = ingest(fixture, headers, slice_text(LINE LINE));
    fixture_assert_error(&reply, 409, "Idempotency-Key reused with a different request");
    char key[130];
    memset(key, 'k', sizeof key - 1);
    key[129] = '\0';
    reply = ingest(fixture, fixture_format(fixture, NDJSON "Idempotency-Key: %s\r\n", key),
                   slice_text(LINE));
    fixture_assert_error(&reply, 400, "Invalid Idempotency-Key");
    key[128] = '\0';
    reply = ingest(fixture, fixture_format(fixture, NDJSON "Idempotency-Key: %s\r\n", key),
                   slice_text(LINE));
    assert_accepted(&reply, 1);
    reply = ingest(fixture, NDJSON "Idempotency-Key:\r\n", slice_text(LINE));
    fixture_assert_error(&reply, 400, "Invalid Idempotency-Key");
    reply = ingest(fixture, NDJSON "Idempotency-Key: a\r\nIdempotency-Key: a\r\n",
                   slice_text(LINE));
    fixture_assert_error(&reply, 400, "Duplicate header: idempotency-key");
}

// One member; returns its size.
static size_t make_gzip(struct slice input, uint8_t *ret_bytes)
{
    struct gzip_deflater *deflater = gzip_deflater_new();
    uint32_t crc = 0;
    gzip_write_header(ret_bytes);
    size_t size = GZIP_HEADER_BYTES;
    if (input.size_bytes > 0)
        size += gzip_deflate_block(deflater, input, ret_bytes + size, &crc);
    gzip_write_trailer(crc, input.size_bytes, ret_bytes + size);
    gzip_deflater_free(&deflater);
    return size + GZIP_TRAILER_BYTES;
}

static void gzip_bodies_are_decoded(void **state)
{
    struct fixture *fixture = *state;
    const char *headers = NDJSON "Content-Encoding: gzip\r\n";
    uint8_t *bytes = mem_alloc(2 * (GZIP_BLOCK_OUTPUT_BYTES + 64));
    const size_t size = make_gzip(slice_text(LINE LINE LINE), bytes);
    struct fixture_reply reply = ingest(fixture, headers, slice_of(bytes, size));
    assert_accepted(&reply, 3);
    memcpy(bytes + size, bytes, size);
    reply = ingest(fixture, headers, slice_of(bytes, 2 * size)); // two members
    assert_accepted(&reply, 6);
    reply = ingest(fixture, headers, slice_of(bytes, size / 2));
    fixture_assert_error(&reply, 400, "Invalid gzip data");
    bytes[size - 5] ^= 1; // CRC
    reply = ingest(fixture, headers, slice_of(bytes, size));
    fixture_assert_error(&reply, 400, "Invalid gzip data");
    reply = ingest(fixture, headers, slice_text(LINE));
    fixture_assert_error(&reply, 400, "Invalid gzip data");
    reply = ingest(fixture, headers, slice_of(NULL, 0));
    fixture_assert_error(&reply, 400, "No events in request");
    reply = ingest(fixture, headers, slice_of(bytes, make_gzip(slice_of(NULL, 0), bytes)));
    fixture_assert_error(&reply, 400, "No events in request");
    assert_int_equal(event_count(fixture), 9);
    mem_free(bytes);
}

// `count` members, each of as many copies of `line` as fit into 1 MiB.
static void append_bomb(struct buf *body, const char *line, size_t count)
{
    struct buf input;
    buf_init(&input, GZIP_BLOCK_INPUT_BYTES);
    while (input.size_bytes + strlen(line) <= GZIP_BLOCK_INPUT_BYTES)
        buf_append_text(&input, line);
    uint8_t *member = mem_alloc(GZIP_BLOCK_OUTPUT_BYTES + 64);
    const size_t size = make_gzip(buf_slice(&input), member);
    for (size_t i = 0; i < count; i++)
        buf_append(body, slice_of(member, size));
    mem_free(member);
    buf_clear(&input);
}

static void too_many_blank_lines_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const char *gzip = NDJSON "Content-Encoding: gzip\r\n";
    struct buf body;
    buf_init(&body, (size_t)16 * 1024 * 1024);
    append_bomb(&body, "\n", 900);
    struct fixture_reply reply = ingest(fixture, gzip, buf_slice(&body));
    fixture_assert_error(&reply, 413, "Decompressed body too large");
    buf_reset(&body);
    append_bomb(&body, LINE, 1);
    append_bomb(&body, " \r\n", 3);
    reply = ingest(fixture, gzip, buf_slice(&body));
    fixture_assert_error(&reply, 413, "Decompressed body too large");
    assert_int_equal(event_count(fixture), 0);

    buf_reset(&body);
    append_bomb(&body, "\n", 1);
    append_bomb(&body, LINE "\n", 1);
    append_bomb(&body, "\n", 1);
    reply = ingest(fixture, gzip, buf_slice(&body));
    assert_accepted(&reply, (int64_t)(GZIP_BLOCK_INPUT_BYTES / sizeof LINE));
    buf_clear(&body);
}

// --- A client that does one thing at a time

static int wire_send(const struct fixture *fixture, struct slice bytes)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)fixture->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    const struct timeval patience = {.tv_sec = 60};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(send(fd, bytes.data, bytes.size_bytes, MSG_NOSIGNAL), bytes.size_bytes);
    return fd;
}

// Of the next reply, which must come in one piece.
static int wire_status(int fd)
{
    char text[4096];
    const ssize_t size = recv(fd, text, sizeof text - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    int status = 0;
    assert_int_equal(sscanf(text, "HTTP/1.1 %d", &status), 1);
    return status;
}

static int wire_status_once(const struct fixture *fixture, const char *request)
{
    const int fd = wire_send(fixture, slice_text(request));
    const int status = wire_status(fd);
    assert_int_equal(close(fd), 0);
    return status;
}

// The client holds the body back until it is asked for it, and is told no instead.
static void refusals_come_before_the_body(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *method_and_path;
        bool has_token;
        const char *header;
        int status;
    } rows[] = {
        {"POST /v1/events/eo_install", false, NDJSON, 401},
        {"POST /scheduled-exports/logs/subscribe", false, "", 401},
        {"POST /scheduled-exports/logs/subscribe", true, "Content-Encoding: gzip\r\n", 415},
        {"POST /scheduled-exports/logs/subscribe", true, "", 100},
        {"POST /v1/topics", false, "", 401},
        {"POST /v1/topics", true, "", 100},
        {"POST /v1/admin/organizations", true, "", 403},
        {"DELETE /scheduled-exports/logs/subscription/1", false, "", 400},
        {"PUT /v1/topics", true, "", 405},
        {"POST /nowhere", true, "", 404},
        {"PUT /exports/v2/y", true, "", 405},
        {"GET /exports/v2/y", true, "", 403},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *request =
            fixture_format(fixture,
                           "%s?app_id=%s HTTP/1.1\r\nHost: x\r\naccess-token: %s\r\n%s"
                           "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
                           rows[i].method_and_path, fixture->mine.app_id,
                           rows[i].has_token ? fixture->mine.token : "esk_wrong", rows[i].header);
        const int status = wire_status_once(fixture, request);
        if (status != rows[i].status)
            fail_msg("%s: %d", request, status);
    }
}

// And one that is welcome is asked, and served.
static void a_body_that_is_asked_for_is_taken(void **state)
{
    struct fixture *fixture = *state;
    const struct slice body =
        slice_text("{\"name\":\"t\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}");
    const char *head = fixture_format(fixture,
                                      "POST /v1/topics HTTP/1.1\r\nHost: x\r\naccess-token: %s\r\n"
                                      "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
                                      fixture->mine.token, body.size_bytes);
    const int fd = wire_send(fixture, slice_text(head));
    assert_int_equal(wire_status(fd), 100);
    assert_int_equal(send(fd, body.data, body.size_bytes, MSG_NOSIGNAL), body.size_bytes);
    assert_in_range(wire_status(fd), 200, 400); // what it says is judged elsewhere
    assert_int_equal(close(fd), 0);
}

// A proxy may write the whole URL into the request line and its own name into Host.
static void targets_may_name_the_base_url(void **state)
{
    struct fixture *fixture = *state;
    static const char form[] = "GET http://%s/healthz HTTP/1.1\r\nHost: proxy\r\n\r\n";
    const char *own = fixture_format(fixture, form, fixture->host);
    assert_int_equal(wire_status_once(fixture, own), 200);
    const char *other = fixture_format(fixture, form, "other.example");
    assert_int_equal(wire_status_once(fixture, other), 421);
}

static int64_t real_ms(void)
{
    return clock_boot_ms(clock_system());
}

// One thread decodes 64 MiB of events for one client, and serves another one meanwhile.
static void a_gzip_bomb_lets_others_in(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    struct api *api = NULL;
    struct api_config config = fixture_config(fixture);
    config.settings.thread_count = 1;
    assert_true(http_listen("127.0.0.1:0", &config.listen_fd, &fixture->port, &err));
    assert_true(api_open(&config, &api, &err));
    struct buf body;
    buf_init(&body, (size_t)16 * 1024 * 1024);
    append_bomb(&body, LINE, 63);
    append_bomb(&body, "{\n", 1); // and then refuses it
    struct buf request;
    buf_init(&request, (size_t)16 * 1024 * 1024);
    buf_append_format(&request,
                      "POST %s HTTP/1.1\r\nHost: x\r\naccess-token: %s\r\n" NDJSON
                      "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                      events_target(fixture, ""), fixture->mine.token, body.size_bytes);
    buf_append(&request, buf_slice(&body));
    const int64_t start_ms = real_ms();
    const int bomb = wire_send(fixture, buf_slice(&request));
    int64_t longest_ms = 0;
    for (int i = 0; i < 8; i++) {
        const int64_t before_ms = real_ms();
        assert_int_equal(wire_status_once(fixture, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
                         200);
        const int64_t took_ms = real_ms() - before_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
    }
    assert_int_equal(wire_status(bomb), 400);
    const int64_t bomb_ms = real_ms() - start_ms;
    if (longest_ms * 10 > bomb_ms + 50)
        fail_msg("others waited %lld of %lld ms", (long long)longest_ms, (long long)bomb_ms);
    assert_int_equal(close(bomb), 0);
    buf_clear(&request);
    buf_clear(&body);
    api_close(&api, 1000);
}

static void a_client_that_leaves_stores_nothing(void **state)
{
    struct fixture *fixture = *state;
    // Says more than it sends, and goes.
    const struct fixture_reply reply = ingest(fixture, NDJSON, slice_text(LINE));
    assert_accepted(&reply, 1);
    for (int i = 0; i < 20; i++)
        fixture_leave(fixture,
                      fixture_format(fixture,
                                     "POST %s HTTP/1.1\r\nHost: x\r\naccess-token: %s\r\n" NDJSON
                                     "Content-Length: 1000\r\n\r\n" LINE,
                                     events_target(fixture, ""), fixture->mine.token));
    // And some that go right after the body: stored once at most, and nothing is lost or leaked.
    for (int i = 0; i < 20; i++)
        fixture_leave(fixture,
                      fixture_format(fixture,
                                     "POST %s HTTP/1.1\r\nHost: x\r\naccess-token: %s\r\n" NDJSON
                                     "Content-Length: %zu\r\n\r\n" LINE,
                                     events_target(fixture, ""), fixture->mine.token,
                                     sizeof LINE - 1));
    const struct fixture_reply last = ingest(fixture, NDJSON, slice_text(LINE));
    assert_accepted(&last, 1);
    assert_in_range(event_count(fixture), 2, 22);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        API_TEST(events_are_taken),
        API_TEST(bad_lines_are_named),
        API_TEST(an_oversized_line_is_413),
        API_TEST(large_batches_are_taken),
        API_TEST(media_types_are_checked),
        API_TEST(a_second_content_type_is_400),
        API_TEST(tokens_and_apps_are_checked),
        API_TEST(operators_name_the_app_in_each_line),
        API_TEST(a_key_replays_the_first_answer),
        API_TEST(gzip_bodies_are_decoded),
        API_TEST(too_many_blank_lines_are_refused),
        API_TEST(refusals_come_before_the_body),
        API_TEST(a_body_that_is_asked_for_is_taken),
        API_TEST(targets_may_name_the_base_url),
        API_TEST(a_gzip_bomb_lets_others_in),
        API_TEST(a_client_that_leaves_stores_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
