// SPDX-License-Identifier: Apache-2.0
// What handlers see of a request and say in their reply; nothing here talks to the library or to
// the socket.
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/http_internal.h"

#define HTTP_REQUEST_ID_MADE_CHARS ((size_t)20)

struct http_request *http_request_new(struct http_server *server,
                                      struct http_connection *connection,
                                      struct http_message *message)
{
    struct http_request *request = mem_alloc(sizeof *request);
    request->server = server;
    request->connection = connection;
    request->file_fd = -1;
    request->headers_end = &request->headers;
    arena_init(&request->arena);
    request->message = message;
    atomic_init(&request->is_resumed, false);
    return request;
}

void http_request_free(struct http_request **request)
{
    if (*request == NULL)
        return;
    if ((*request)->file_fd >= 0)
        (void)close((*request)->file_fd); // was only read
    mem_free((*request)->body);
    http_message_free(&(*request)->message);
    arena_clear(&(*request)->arena);
    mem_free(*request);
    *request = NULL;
}

void http_request_choose_id(struct http_request *request)
{
    size_t count = 0;
    const struct slice given = http_header(request, "X-Request-Id", &count);
    if (count == 1 && http_request_id_is_valid(given)) {
        memcpy(request->id, given.data, given.size_bytes);
        request->id[given.size_bytes] = '\0';
        return;
    }
    rng_text(rng_system(), request->id, HTTP_REQUEST_ID_MADE_CHARS);
}

struct slice http_request_id(const struct http_request *request)
{
    return slice_text(request->id);
}

void http_request_refuse(struct http_request *request, struct http_refusal refusal)
{
    const struct http_handler *handler = &request->server->handler;
    struct slice body = {0};
    handler->error_body(refusal.status, refusal.message, &request->arena, &body, handler->context);
    if (refusal.status == 405)
        http_add_header(request, "Allow", HTTP_METHODS_ALLOWED);
    http_reply(request, refusal.status, body);
    if (refusal.closes)
        request->closes = true;
}

static bool http_has_header_line(const struct http_request *request, const char *name)
{
    for (const struct http_header_line *line = request->headers; line != NULL; line = line->next)
        if (http_name_equal(slice_text(name), line->name))
            return true;
    return false;
}

void http_request_finish_headers(struct http_request *request)
{
    ASSERT(request->has_reply);
    http_add_header(request, "X-Content-Type-Options", "nosniff");
    http_add_header(request, "X-Request-Id", request->id);
    if (!http_has_header_line(request, "Cache-Control"))
        http_add_header(request, "Cache-Control", "no-store");
    const bool has_no_body = request->status == 204 || request->status == 304;
    if (!has_no_body && !http_has_header_line(request, "Content-Type"))
        http_add_header(request, "Content-Type", "application/json; charset=utf-8");
    if (request->closes)
        http_add_header(request, "Connection", "close");
}

struct slice http_method(const struct http_request *request)
{
    return request->message->head.method;
}

struct slice http_raw_target(const struct http_request *request)
{
    return request->message->head.target;
}

struct slice http_raw_path(const struct http_request *request)
{
    return request->target.raw_path;
}

struct slice http_raw_query(const struct http_request *request)
{
    return request->target.raw_query;
}

struct slice http_path(const struct http_request *request)
{
    return request->target.path;
}

struct slice http_header(const struct http_request *request, const char *name, size_t *ret_count)
{
    const struct http_head *head = &request->message->head;
    struct slice first = {0};
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_name_equal(head->fields[i].name, name))
            continue;
        if (count == 0)
            first = head->fields[i].value;
        count++;
    }
    if (ret_count != NULL)
        *ret_count = count;
    return first;
}

void http_each_header(const struct http_request *request,
                      void (*visit)(struct slice name, struct slice value, void *context),
                      void *context)
{
    const struct http_head *head = &request->message->head;
    for (size_t i = 0; i < head->field_count; i++)
        visit(head->fields[i].name, head->fields[i].value, context);
}

struct slice http_query(const struct http_request *request, const char *name, size_t *ret_count)
{
    struct slice first = {0};
    size_t count = 0;
    for (size_t i = 0; i < request->target.pair_count; i++) {
        const struct http_pair *pair = &request->target.pairs[i];
        if (!slice_equal_text(pair->name, name))
            continue;
        if (count == 0)
            first = pair->value;
        count++;
    }
    if (ret_count != NULL)
        *ret_count = count;
    return first;
}

void http_each_query(const struct http_request *request,
                     void (*visit)(struct slice name, struct slice value, void *context),
                     void *context)
{
    for (size_t i = 0; i < request->target.pair_count; i++)
        visit(request->target.pairs[i].name, request->target.pairs[i].value, context);
}

struct arena *http_arena(struct http_request *request)
{
    return &request->arena;
}

struct slice http_peer(const struct http_request *request)
{
    return slice_text(request->connection->peer);
}

int64_t http_body_size(const struct http_request *request)
{
    return request->message->framing.length_bytes;
}

bool http_expects_continue(const struct http_request *request)
{
    return request->message->framing.expects_continue;
}

void http_set_state(struct http_request *request, void *state)
{
    request->state = state;
}

void *http_state(const struct http_request *request)
{
    return request->state;
}

void http_set_body_limit(struct http_request *request, int64_t limit_bytes)
{
    ASSERT(request->step == HTTP_STEP_START);
    ASSERT(limit_bytes >= 0);
    request->body_limit_bytes = limit_bytes;
}

// Whatever a handler puts into a header, it stays one header.
static const char *http_copy_header_value(struct arena *arena, const char *value)
{
    char *copy = arena_copy_text(arena, value);
    for (char *at = copy; *at != '\0'; at++)
        if ((uint8_t)*at < 0x20 || *at == 0x7f)
            *at = ' ';
    return copy;
}

void http_add_header(struct http_request *request, const char *name, const char *value)
{
    if (value[0] == '\0')
        return; // says nothing, and the library knows none
    struct http_header_line *line = arena_alloc(&request->arena, sizeof *line);
    line->name = arena_copy_text(&request->arena, name);
    line->value = http_copy_header_value(&request->arena, value);
    *request->headers_end = line;
    request->headers_end = &line->next;
}

static void http_set_status(struct http_request *request, int status)
{
    ASSERT(!request->has_reply);
    ASSERT(status >= 200);
    ASSERT(status <= 599);
    request->has_reply = true;
    request->status = status;
}

void http_reply(struct http_request *request, int status, struct slice body)
{
    http_set_status(request, status);
    if (body.size_bytes == 0)
        return;
    request->body = mem_alloc(body.size_bytes);
    memcpy(request->body, body.data, body.size_bytes);
    request->body_size_bytes = body.size_bytes;
}

void http_reply_file(struct http_request *request, int status, int fd, uint64_t offset_bytes,
                     uint64_t size_bytes)
{
    ASSERT(fd >= 0);
    http_set_status(request, status);
    if (size_bytes == 0) {
        (void)close(fd); // was only read
        return;
    }
    request->file_fd = fd;
    request->file_offset_bytes = offset_bytes;
    request->file_size_bytes = size_bytes;
}

bool http_has_reply(const struct http_request *request)
{
    return request->has_reply;
}

int http_reply_status(const struct http_request *request)
{
    return request->status;
}

void http_close_after(struct http_request *request)
{
    request->closes = true;
}
