// SPDX-License-Identifier: Apache-2.0
// A client for the tests of the HTTP server that sends bytes as told, right or wrong, and reads
// replies without believing anything. Failing calls end the test.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct raw_client {
    int fd;
    struct buf received; // beyond the last reply
};

struct raw_reply {
    int status; // 0: the connection was closed instead
    char head[8192];
    struct buf body;
};

void raw_connect(struct raw_client *client, int port);
// As raw_connect, with a receive buffer of that size: a reader that makes the server wait.
void raw_connect_small(struct raw_client *client, int port, int receive_bytes);
void raw_close(struct raw_client *client);
void raw_send(struct raw_client *client, const char *text);
void raw_send_bytes(struct raw_client *client, const void *bytes, size_t size_bytes);
// False when the peer has gone.
bool raw_try_send(struct raw_client *client, const void *bytes, size_t size_bytes);
// Reads one reply; is_head: it has no body. "100 Continue" is a reply, too.
void raw_read(struct raw_client *client, struct raw_reply *ret_reply, bool is_head);
void raw_reply_clear(struct raw_reply *reply);
// Value of the header, or NULL.
const char *raw_header(const struct raw_reply *reply, const char *name);
// Waits up to timeout_ms for the end of the connection; drops what comes before it.
bool raw_is_closed(struct raw_client *client, int timeout_ms);

// Connects, sends the text, reads one reply and returns its status (0: closed). *ret_closed says
// whether the connection ended after it.
int raw_once(int port, const char *text, char ret_body[1024], bool *ret_closed);
int raw_once_bytes(int port, const void *bytes, size_t size_bytes, char ret_body[1024],
                   bool *ret_closed);
