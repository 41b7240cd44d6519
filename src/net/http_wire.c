// SPDX-License-Identifier: Apache-2.0
// Answers that are written to the socket past the library: it can answer before a body or after it,
// but not in its middle, where a client that sends too slowly or too much has to be told why it is
// cut off. Nothing of this request has been sent before, and the connection ends with it.
#include <string.h>

#include "base/buf.h"
#include "base/civil.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define HTTP_WIRE_HEAD_BYTES ((size_t)64 * 1024)

static void http_wire_append_status(struct buf *out, int status)
{
    char now[CIVIL_HTTP_CHARS + 1];
    civil_format_http(clock_wall_ms(clock_system()), now);
    buf_append_format(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, http_server_reason(status),
                      now);
}

static void http_wire_send(int fd, const struct buf *out)
{
    // A full socket or a peer that has gone: the cut that follows says enough.
    (void)!send(fd, out->data, out->size_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void http_wire_send_reply(int fd, const struct http_request *request)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, HTTP_WIRE_HEAD_BYTES + request->body_size_bytes);
    http_wire_append_status(&out, request->status);
    for (const struct http_header_line *line = request->headers; line != NULL; line = line->next)
        buf_append_format(&out, "%s: %s\r\n", line->name, line->value);
    buf_append_format(&out, "Content-Length: %zu\r\n\r\n", request->body_size_bytes);
    if (!http_method_is(http_method(request), "HEAD"))
        buf_append(&out, slice_of(request->body, request->body_size_bytes));
    if (!out.overflowed)
        http_wire_send(fd, &out);
}

void http_wire_send_timeout(int fd, const struct http_request *request)
{
    // Not the request's own arena: that belongs to another thread.
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct http_handler *handler = &request->server->handler;
    struct slice body = {0};
    handler->error_body(408, "Request timeout", &arena, &body, handler->context);
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, HTTP_WIRE_HEAD_BYTES + body.size_bytes);
    http_wire_append_status(&out, 408);
    buf_append_format(&out,
                      "X-Content-Type-Options: nosniff\r\n"
                      "X-Request-Id: %s\r\n"
                      "Cache-Control: no-store\r\n"
                      "Content-Type: application/json; charset=utf-8\r\n"
                      "Connection: close\r\n"
                      "Content-Length: %zu\r\n\r\n",
                      request->id, body.size_bytes);
    buf_append(&out, body);
    if (!out.overflowed)
        http_wire_send(fd, &out);
}
