// SPDX-License-Identifier: Apache-2.0
#include "raw_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define RAW_TIMEOUT_S    20
#define RAW_REPLY_BYTES  ((size_t)64 * 1024 * 1024)
#define RAW_CLOSED_IN_MS 200

void raw_connect_small(struct raw_client *client, int port, int receive_bytes)
{
    *client = (struct raw_client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(client->fd >= 0);
    buf_init(&client->received, RAW_REPLY_BYTES);
    const struct timeval timeout = {.tv_sec = RAW_TIMEOUT_S};
    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), 0);
    if (receive_bytes > 0)
        assert_int_equal(
            setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes), 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
}

void raw_connect(struct raw_client *client, int port)
{
    raw_connect_small(client, port, 0);
}

void raw_close(struct raw_client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
    buf_clear(&client->received);
}

bool raw_try_send(struct raw_client *client, const void *bytes, size_t size_bytes)
{
    const char *at = bytes;
    while (size_bytes > 0) {
        const ssize_t sent = send(client->fd, at, size_bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size_bytes -= (size_t)sent;
    }
    return true;
}

void raw_send_bytes(struct raw_client *client, const void *bytes, size_t size_bytes)
{
    assert_true(raw_try_send(client, bytes, size_bytes));
}

void raw_send(struct raw_client *client, const char *text)
{
    raw_send_bytes(client, text, strlen(text));
}

// False at the end of the connection.
static bool raw_receive(struct raw_client *client)
{
    char bytes[16384];
    const ssize_t got = recv(client->fd, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EAGAIN)
        fail_msg("no reply within %d s", RAW_TIMEOUT_S);
    if (got <= 0)
        return false;
    buf_append(&client->received, slice_of(bytes, (size_t)got));
    return true;
}

const char *raw_header(const struct raw_reply *reply, const char *name)
{
    static _Thread_local char value[1024];
    const size_t name_chars = strlen(name);
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, name_chars) != 0 || line[2 + name_chars] != ':')
            continue;
        const char *start = line + 2 + name_chars + 1;
        start += strspn(start, " ");
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
        return value;
    }
    return NULL;
}

void raw_read(struct raw_client *client, struct raw_reply *ret_reply, bool is_head)
{
    *ret_reply = (struct raw_reply){0};
    buf_init(&ret_reply->body, RAW_REPLY_BYTES);
    const char *end;
    while ((end = strstr(buf_text(&client->received), "\r\n\r\n")) == NULL)
        if (!raw_receive(client))
            return;
    const size_t head_bytes = (size_t)(end - client->received.data) + 4;
    assert_true(head_bytes < sizeof ret_reply->head);
    memcpy(ret_reply->head, client->received.data, head_bytes);
    buf_consume(&client->received, head_bytes);
    ret_reply->status = atoi(ret_reply->head + strlen("HTTP/1.1 "));
    const char *length = raw_header(ret_reply, "Content-Length");
    const size_t body_bytes = is_head || length == NULL ? 0 : strtoul(length, NULL, 10);
    while (client->received.size_bytes < body_bytes)
        if (!raw_receive(client))
            fail_msg("reply cut short: %s", ret_reply->head);
    buf_append(&ret_reply->body, slice_of(client->received.data, body_bytes));
    buf_consume(&client->received, body_bytes);
}

void raw_reply_clear(struct raw_reply *reply)
{
    buf_clear(&reply->body);
}

bool raw_is_closed(struct raw_client *client, int timeout_ms)
{
    const int64_t until_ms = clock_boot_ms(clock_system()) + timeout_ms;
    for (;;) {
        const int64_t left_ms = until_ms - clock_boot_ms(clock_system());
        struct pollfd fd = {.fd = client->fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&fd, 1, (int)left_ms) == 0)
            return false;
        char bytes[16384];
        if (recv(client->fd, bytes, sizeof bytes, 0) <= 0)
            return true;
    }
}

int raw_once_bytes(int port, const void *bytes, size_t size_bytes, char ret_body[1024],
                   bool *ret_closed)
{
    struct raw_client client;
    raw_connect(&client, port);
    (void)raw_try_send(&client, bytes, size_bytes); // a refusal may come before the end
    struct raw_reply reply;
    raw_read(&client, &reply, strncmp(bytes, "HEAD", 4) == 0);
    (void)snprintf(ret_body, 1024, "%s", buf_text(&reply.body));
    if (ret_closed != NULL)
        *ret_closed = reply.status == 0 || raw_is_closed(&client, RAW_CLOSED_IN_MS);
    const int status = reply.status;
    raw_reply_clear(&reply);
    raw_close(&client);
    return status;
}

int raw_once(int port, const char *text, char ret_body[1024], bool *ret_closed)
{
    return raw_once_bytes(port, text, strlen(text), ret_body, ret_closed);
}
