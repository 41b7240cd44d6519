// SPDX-License-Identifier: Apache-2.0
#include "http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/number.h"

#define FIXTURE_SIP_BYTES ((size_t)1000)

struct fixture_state {
    struct buf body;
    int64_t body_bytes;
};

static void fixture_head(struct http_request *request, void *context)
{
    struct fixture *fixture = context;
    atomic_fetch_add(&fixture->head_count, 1);
    struct fixture_state *state = mem_alloc(sizeof *state);
    buf_init(&state->body, (size_t)1024 * 1024);
    http_set_state(request, state);
    const struct slice path = http_path(request);
    if (slice_equal_text(path, "/early"))
        http_reply(request, 400, slice_text("{\"early\":true}"));
    else if (slice_equal_text(path, "/count") || slice_equal_text(path, "/midway"))
        http_set_body_limit(request, INT64_C(4) * 1024 * 1024 * 1024);
    else if (slice_equal_text(path, "/echo") || slice_equal_text(path, "/suspend") ||
             slice_equal_text(path, "/sip") || slice_equal_text(path, "/sip-suspend") ||
             slice_equal_text(path, "/slow"))
        http_set_body_limit(request, 1024 * 1024);
}

static size_t fixture_body(struct http_request *request, struct slice bytes, void *context)
{
    struct fixture *fixture = context;
    struct fixture_state *state = http_state(request);
    const struct slice path = http_path(request);
    atomic_fetch_add(&fixture->body_call_count, 1);
    if (slice_starts_with(path, slice_text("/sip")) && bytes.size_bytes > FIXTURE_SIP_BYTES)
        bytes.size_bytes = FIXTURE_SIP_BYTES;
    if (slice_equal_text(path, "/slow")) {
        (void)usleep(1000);
        bytes.size_bytes = 1;
    }
    state->body_bytes += (int64_t)bytes.size_bytes;
    atomic_fetch_add(&fixture->body_bytes, (int64_t)bytes.size_bytes);
    if (slice_equal_text(path, "/midway"))
        http_reply(request, 409, slice_text("{\"midway\":true}"));
    else if (!slice_equal_text(path, "/count"))
        buf_append(&state->body, bytes);
    return bytes.size_bytes;
}

static void fixture_append_query(struct slice name, struct slice value, void *context)
{
    struct buf *out = context;
    buf_append_text(out, " query=");
    buf_append(out, name);
    buf_append_text(out, ":");
    buf_append(out, value);
}

static void fixture_append_header(struct slice name, struct slice value, void *context)
{
    struct buf *out = context;
    if (!slice_starts_with(name, slice_text("X-Each")))
        return;
    buf_append_char(out, ' ');
    buf_append(out, name);
    buf_append_text(out, "=");
    buf_append(out, value);
}

static void fixture_reply_info(struct http_request *request)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, 65536);
    size_t count = 0;
    const struct slice header = http_header(request, "x-test", &count);
    buf_append_text(&out, "method=");
    buf_append(&out, http_method(request));
    buf_append_text(&out, " path=");
    buf_append(&out, http_path(request));
    buf_append_text(&out, " raw=");
    buf_append(&out, http_raw_target(request));
    buf_append_text(&out, " peer=");
    buf_append(&out, http_peer(request));
    buf_append_format(&out, " size=%lld x-test=%zu:", (long long)http_body_size(request), count);
    buf_append(&out, header);
    http_each_query(request, fixture_append_query, &out);
    http_each_header(request, fixture_append_header, &out);
    http_add_header(request, "Content-Type", "text/plain");
    http_add_header(request, "X-Split", "a\r\nX-Injected: 1");
    http_reply(request, 200, buf_slice(&out));
}

static void fixture_reply_file(struct http_request *request, const struct fixture *fixture)
{
    int64_t offset = 0;
    int64_t size = 0;
    assert_true(number_parse_int64(http_query(request, "offset", NULL), &offset));
    assert_true(number_parse_int64(http_query(request, "size", NULL), &size));
    const int fd = open(fixture->file_path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    http_add_header(request, "Cache-Control", "private");
    http_reply_file(request, 200, fd, (uint64_t)offset, (uint64_t)size);
}

static void fixture_enqueue(struct fixture *fixture, struct http_request *request)
{
    http_suspend(request);
    mutex_lock(&fixture->lock);
    assert_true(fixture->queue_count < FIXTURE_QUEUE_MAX);
    fixture->queue[fixture->queue_count++] = request;
    condition_signal(&fixture->changed);
    mutex_unlock(&fixture->lock);
}

static void fixture_complete(struct http_request *request, void *context)
{
    struct fixture *fixture = context;
    atomic_fetch_add(&fixture->complete_count, 1);
    const struct fixture_state *state = http_state(request);
    const struct slice path = http_path(request);
    if (slice_equal_text(path, "/info")) {
        fixture_reply_info(request);
    } else if (slice_equal_text(path, "/echo") || slice_equal_text(path, "/sip")) {
        http_reply(request, 200, buf_slice(&state->body));
    } else if (slice_equal_text(path, "/count") || slice_equal_text(path, "/slow")) {
        char text[NUMBER_CHARS_MAX];
        const size_t chars = number_format_int64(state->body_bytes, text);
        http_reply(request, 200, slice_of(text, chars));
    } else if (slice_equal_text(path, "/file")) {
        fixture_reply_file(request, fixture);
    } else if (slice_equal_text(path, "/suspend") || slice_equal_text(path, "/sip-suspend")) {
        fixture_enqueue(fixture, request);
    } else if (!slice_equal_text(path, "/silent")) {
        http_reply(request, 200, slice_text("{\"hello\":true}"));
    }
}

static void fixture_ended(struct http_request *request, void *context)
{
    struct fixture *fixture = context;
    struct fixture_state *state = http_state(request);
    buf_clear(&state->body);
    mem_free(state);
    atomic_fetch_add(&fixture->ended_count, 1);
}

static void fixture_error_body(int status, const char *message, struct arena *arena,
                               struct slice *ret_body, void *context)
{
    (void)context;
    *ret_body = slice_text(
        arena_format(arena, "{\"error\":{\"message\":\"%s\",\"code\":%d}}", message, status));
}

static void fixture_work(void *context)
{
    struct fixture *fixture = context;
    mutex_lock(&fixture->lock);
    while (!fixture->is_stopping || fixture->queue_count > 0) {
        if (fixture->queue_count == 0) {
            condition_wait(&fixture->changed, &fixture->lock);
            continue;
        }
        struct http_request *request = fixture->queue[--fixture->queue_count];
        mutex_unlock(&fixture->lock);
        const struct fixture_state *state = http_state(request);
        http_reply(request, 200, buf_slice(&state->body));
        http_resume(request);
        mutex_lock(&fixture->lock);
    }
    mutex_unlock(&fixture->lock);
}

struct http_limits fixture_limits(void)
{
    return (struct http_limits){.request_line_bytes = 8192,
                                .header_bytes = 32768,
                                .header_count = 100,
                                .connection_count = 2000,
                                .connections_per_address = 1500,
                                .head_timeout_ms = 10000,
                                .idle_timeout_ms = 60000,
                                .body_rate_bytes_per_s = 1024};
}

void fixture_handler(struct fixture *fixture, struct http_handler *ret_handler)
{
    *ret_handler = (struct http_handler){.context = fixture,
                                         .head = fixture_head,
                                         .body = fixture_body,
                                         .complete = fixture_complete,
                                         .ended = fixture_ended,
                                         .error_body = fixture_error_body};
}

void fixture_open_tls(struct fixture *fixture, const struct http_limits *limits,
                      const char *certificate, const char *key)
{
    memset(fixture, 0, sizeof *fixture);
    mutex_init(&fixture->lock);
    condition_init(&fixture->changed);
    static const char *const authorities[] = {"own.example:8443"};
    struct http_server_config config = {
        .thread_count = 2,
        .limits = *limits,
        .authorities = authorities,
        .authority_count = 1,
        .tls_certificate_pem = certificate,
        .tls_key_pem = key,
    };
    fixture_handler(fixture, &config.handler);
    struct err err = {0};
    if (!http_listen("127.0.0.1:0", &fixture->listen_fd, &fixture->port, &err))
        fail_msg("%s", err.message);
    config.listen_fd = fixture->listen_fd;
    if (!http_server_open(&config, &fixture->server, &err))
        fail_msg("%s", err.message);
    thread_start(&fixture->worker, fixture_work, fixture);
}

void fixture_open(struct fixture *fixture, const struct http_limits *limits)
{
    fixture_open_tls(fixture, limits, NULL, NULL);
}

void fixture_close(struct fixture *fixture)
{
    http_server_close(&fixture->server, 1000);
    assert_null(fixture->server);
    mutex_lock(&fixture->lock);
    fixture->is_stopping = true;
    condition_signal(&fixture->changed);
    mutex_unlock(&fixture->lock);
    thread_join(&fixture->worker);
    condition_clear(&fixture->changed);
    mutex_clear(&fixture->lock);
    if (fixture->file_path[0] != '\0')
        (void)unlink(fixture->file_path);
    assert_int_equal(atomic_load(&fixture->head_count), atomic_load(&fixture->ended_count));
}

void fixture_make_file(struct fixture *fixture, size_t size_bytes)
{
    (void)snprintf(fixture->file_path, sizeof fixture->file_path, "/tmp/http_fixture.XXXXXX");
    const int fd = mkstemp(fixture->file_path);
    assert_true(fd >= 0);
    uint8_t bytes[251 * 256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i % 251);
    while (size_bytes > 0) {
        const size_t part = size_bytes < sizeof bytes ? size_bytes : sizeof bytes;
        assert_int_equal(write(fd, bytes, part), part);
        size_bytes -= part;
    }
    assert_int_equal(close(fd), 0);
}

bool fixture_all_ended(struct fixture *fixture)
{
    for (int i = 0; i < 500; i++) {
        if (atomic_load(&fixture->head_count) == atomic_load(&fixture->ended_count))
            return true;
        (void)usleep(10000);
    }
    return false;
}
