// SPDX-License-Identifier: Apache-2.0
// The keeper of connections: a thread beside the library's, which accepts connections and ends
// those whose client is too slow (http_keeper.c says when). Private to net/.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/thread.h"
#include "net/http_gate.h"

#define HTTP_RATE_WINDOW_MS    10000
#define HTTP_REPLY_STALL_MS    30000
#define HTTP_REPLY_STALL_BYTES 1024 // less than this per stall time: the reader is gone
// Closing a socket with unread bytes resets the connection, and the reset may overtake our answer.
// So such a socket is read on for a moment.
#define HTTP_LINGER_MS    2000
#define HTTP_LINGER_BYTES ((size_t)16 * 1024 * 1024)
#define HTTP_LINGER_MAX   1024

struct http_intake;
struct http_request;
struct http_server;

enum http_phase {
    HTTP_PHASE_HEAD,  // between requests, or a head is coming
    HTTP_PHASE_BODY,  // the client must send
    HTTP_PHASE_WORK,  // we must answer
    HTTP_PHASE_REPLY, // the client must read
};

struct http_connection {
    struct http_connection *next; // list: guarded by the server's lock
    struct http_connection *previous;
    int fd; // the library's; valid while the connection is on the list
    char peer[64];

    // Of the owning thread:
    int request_count;
    uint64_t done_count; // messages that the library is done with
    bool has_ended;      // the client sends no more
    bool lingers;        // we close, the client may still be sending
    bool awaits_head;    // and none of its bytes has come
    struct http_gate gate;
    struct buf pending; // passed the gate, and the library had no room for it
    struct http_intake *intake;

    struct mutex lock; // guards what follows
    enum http_phase phase;
    bool is_cut;          // the keeper has closed the socket: let the request go
    int64_t deadline_ms;  // of a head
    int64_t window_at_ms; // since when the following is counted
    uint64_t window_bytes;
    const struct http_request *request; // in phase BODY, for the keeper's answer
};

struct http_linger {
    int fd;
    int64_t until_ms;
    size_t read_bytes;
};

// The thread: accepts, watches deadlines, reads lingering sockets to their end.
void http_keeper_run(void *server);
struct http_connection *http_keeper_add(struct http_server *server, int fd, const char *peer);
// Takes it off the list and frees it; keeps a duplicate of the socket when it has to linger.
void http_keeper_remove(struct http_server *server, struct http_connection **connection);
void http_keeper_enter(struct http_connection *connection, enum http_phase phase,
                       int64_t deadline_ms, const struct http_request *request);
// Enters phase HEAD: the next head has the idle time to begin, and then its own time to be
// complete.
void http_keeper_await_head(struct http_connection *connection);
// A piece of a body came. False: the connection was cut.
bool http_keeper_count(struct http_connection *connection, size_t size_bytes);
// False: the connection was cut.
bool http_keeper_lives(struct http_connection *connection);
// Closes every connection's socket, so that the library lets its request go.
void http_keeper_cut_all(struct http_server *server);
