// SPDX-License-Identifier: Apache-2.0
#include "fake_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define FAKE_BODY_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define FAKE_HEAD_BYTES_MAX ((size_t)256 * 1024)

const char *fake_header(struct fake_http *fake, const struct fake_request *request,
                        const char *name)
{
    const size_t name_chars = strlen(name);
    for (const char *line = request->head; line != NULL; line = strchr(line + 1, '\n')) {
        const char *at = *line == '\n' ? line + 1 : line;
        if (strncasecmp(at, name, name_chars) != 0 || at[name_chars] != ':')
            continue;
        at += name_chars + 1;
        at += strspn(at, " ");
        return arena_copy_slice(&fake->arena, slice_of(at, strcspn(at, "\r\n")));
    }
    return "";
}

static void fake_send(struct scripted_peer *peer, const struct fake_reply *reply)
{
    if (reply->fault == FAKE_RESET) {
        scripted_reset(peer);
        return;
    }
    struct buf gone CLEANUP(buf_clear);
    buf_init(&gone, 1024);
    if (reply->fault == FAKE_STALL) {
        (void)scripted_read(peer, 1, &gone);
        return;
    }
    if (reply->fault == FAKE_GARBAGE) {
        (void)scripted_send(peer, "\x16\x03\x01 what?\r\n\r\n");
        return;
    }
    struct buf head CLEANUP(buf_clear);
    buf_init(&head, FAKE_HEAD_BYTES_MAX);
    buf_append_format(
        &head, "HTTP/1.1 %d Said\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
        reply->status, reply->body.size_bytes, reply->headers == NULL ? "" : reply->headers);
    const size_t head_bytes = reply->fault == FAKE_CUT_HEAD ? head.size_bytes / 2 : head.size_bytes;
    if (!scripted_send_bytes(peer, head.data, head_bytes) || reply->fault == FAKE_CUT_HEAD)
        return;
    size_t body_bytes = reply->body.size_bytes;
    if (reply->fault == FAKE_CUT_BODY)
        body_bytes /= 2;
    if (reply->fault == FAKE_STALL_BODY && body_bytes > 0)
        body_bytes = 1;
    (void)scripted_send_bytes(peer, reply->body.data, body_bytes);
    if (reply->fault == FAKE_STALL_BODY)
        (void)scripted_read(peer, 1, &gone);
}

static void fake_serve(void *context, struct scripted_peer *peer)
{
    struct fake_http *fake = context;
    struct buf head CLEANUP(buf_clear);
    struct buf body CLEANUP(buf_clear);
    buf_init(&head, FAKE_HEAD_BYTES_MAX);
    buf_init(&body, FAKE_BODY_BYTES_MAX);
    if (!scripted_read_until(peer, "\r\n\r\n", &head))
        return;
    struct fake_request request = {.number = atomic_fetch_add(&fake->request_count, 1) + 1,
                                   .head = arena_copy_slice(&fake->arena, buf_slice(&head))};
    const size_t method_chars = strcspn(request.head, " ");
    request.method = arena_copy_slice(&fake->arena, slice_of(request.head, method_chars));
    const char *target = request.head + method_chars + 1;
    request.target = arena_copy_slice(&fake->arena, slice_of(target, strcspn(target, " \r")));
    buf_append_format(&fake->log, "%s %s\n", request.method, request.target);
    const size_t body_bytes = strtoul(fake_header(fake, &request, "Content-Length"), NULL, 10);
    if (!scripted_read(peer, body_bytes, &body))
        return;
    request.body = buf_slice(&body);
    struct fake_reply reply = {.status = 500};
    fake->answer(fake->context, fake, &request, &reply);
    fake_send(peer, &reply);
}

void fake_http_open(struct fake_http *fake,
                    void (*answer)(void *context, struct fake_http *fake,
                                   const struct fake_request *request,
                                   struct fake_reply *ret_reply),
                    void *context)
{
    *fake = (struct fake_http){.answer = answer, .context = context};
    arena_init(&fake->arena);
    buf_init(&fake->log, FAKE_BODY_BYTES_MAX);
    scripted_open(&fake->server, fake_serve, fake);
    (void)snprintf(fake->url, sizeof fake->url, "http://127.0.0.1:%d", fake->server.port);
}

void fake_http_close(struct fake_http *fake)
{
    scripted_close(&fake->server);
    buf_clear(&fake->log);
    arena_clear(&fake->arena);
}
