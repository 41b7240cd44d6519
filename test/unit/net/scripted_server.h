// SPDX-License-Identifier: Apache-2.0
// A server on a loopback port that says what the test tells it to, right or wrong. It serves one
// connection after another on a thread of its own; what it saw may be read after scripted_close().
// Nothing here ends the test by itself, as that works on the test's thread only.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/thread.h"

#define SCRIPTED_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct scripted_peer {
    int fd;
    struct ssl_st *tls;  // NULL: plain text
    struct buf received; // and not yet read
    int number;          // of the connection, from 1
};

struct scripted_server {
    int port;
    int listen_fd;
    void (*serve)(void *context, struct scripted_peer *peer);
    void *context;
    struct thread thread;
    _Atomic int connection_count;
};

// serve is called for each connection, which is closed when it returns.
void scripted_open(struct scripted_server *server,
                   void (*serve)(void *context, struct scripted_peer *peer), void *context);
void scripted_close(struct scripted_server *server);

// Up to and with `end`, appended to ret_bytes; false when the connection ends before or nothing
// comes for ten seconds.
bool scripted_read_until(struct scripted_peer *peer, const char *end, struct buf *ret_bytes);
bool scripted_read(struct scripted_peer *peer, size_t size_bytes, struct buf *ret_bytes);
// False when the client has gone.
bool scripted_send(struct scripted_peer *peer, const char *text);
bool scripted_send_bytes(struct scripted_peer *peer, const void *bytes, size_t size_bytes);
// The server's side of a handshake.
bool scripted_start_tls(struct scripted_peer *peer, const char *certificate, const char *key);
// The connection will end with a reset.
void scripted_reset(struct scripted_peer *peer);
