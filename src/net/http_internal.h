// SPDX-License-Identifier: Apache-2.0
// What the files of the HTTP server share. What a client sends comes through http_intake.c and
// http_gate.c to libmicrohttpd, which http_server.c talks to; http_keeper.c owns the sockets'
// deadlines; http_request.c is what handlers see; the rest are pure functions.
//
// A connection belongs to one of the library's threads, which runs its handlers. The keeper's
// thread looks at it from outside: what both touch is guarded by the connection's lock, the list of
// connections by the server's lock. Order: server, then connection.
#pragma once

#include <stdatomic.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/thread.h"
#include "base/wake.h"
#include "net/http_check.h"
#include "net/http_gate.h"
#include "net/http_intake.h"
#include "net/http_keeper.h"
#include "net/http_server.h"
#include "net/http_target.h"

#define HTTP_REQUESTS_PER_CONNECTION 1000
#define HTTP_IGNORED_BODY_BYTES      ((int64_t)8 * 1024) // what a GET may send along
// After an answer was found in the middle of a body, this much more is read and dropped, so that
// the connection can live on; what comes then is answered from outside the library and cut.
#define HTTP_DISCARD_BYTES ((int64_t)1024 * 1024)

struct MHD_Connection;
struct MHD_Daemon;

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_limits limits;
    struct http_handler handler;
    const char *const *authorities;
    size_t authority_count;
    bool is_tls;
    int listen_fd;
    struct wake wake; // of the keeper
    struct thread keeper;

    struct mutex lock;     // guards what follows
    struct condition idle; // signalled when request_count reaches 0
    struct http_connection *connections;
    struct http_intake *intakes;
    int64_t connection_count; // with those that are not on the list yet
    int64_t request_count;    // between the first and the last call for a request
    bool is_draining;         // no new connections; replies close
    bool is_cutting;          // no new requests
    bool is_stopping;         // the keeper ends
    struct http_linger lingers[HTTP_LINGER_MAX];
    size_t linger_count;
};

enum http_step {
    HTTP_STEP_START, // the request line was read
    HTTP_STEP_BODY,
    HTTP_STEP_DONE, // body complete: `complete` was called, or a reply was there before
};

struct http_header_line {
    const char *name;
    const char *value;
    struct http_header_line *next;
};

struct http_request {
    struct http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *library;
    struct http_message *message; // its head
    struct arena arena;
    enum http_step step;
    bool is_counted;    // in server->request_count
    bool is_head_given; // handler.head was called
    bool is_queued;     // the reply is the library's affair now
    bool is_suspended;
    _Atomic bool is_resumed;
    void *state;

    struct http_target target;
    char id[65];
    bool ignores_body;
    int64_t body_limit_bytes;
    int64_t body_bytes;
    int64_t discarded_bytes;

    bool has_reply;
    bool closes; // after the reply
    int status;
    struct http_header_line *headers; // as added
    struct http_header_line **headers_end;
    char *body; // heap
    size_t body_size_bytes;
    int file_fd; // -1: none
    uint64_t file_offset_bytes;
    uint64_t file_size_bytes;
};

// --- http_request.c

// Takes message over.
struct http_request *http_request_new(struct http_server *server,
                                      struct http_connection *connection,
                                      struct http_message *message);
void http_request_free(struct http_request **request);
// Takes the client's X-Request-Id when it is fit to be repeated, else makes one.
void http_request_choose_id(struct http_request *request);
// The server's own answer, with the handler's error body.
void http_request_refuse(struct http_request *request, struct http_refusal refusal);
// Adds the headers that every reply has; once, before the reply is sent.
void http_request_finish_headers(struct http_request *request);

// --- http_wire.c: an answer past the library, where that cannot give one (in the middle of a
// body).

// Without a reply to the last byte: the socket may be full, and nobody waits. Never on TLS.
void http_wire_send_reply(int fd, const struct http_request *request);
void http_wire_send_timeout(int fd, const struct http_request *request);

// --- http_server.c

// Gives an accepted socket to the library; false: it was closed, the address has too many.
bool http_server_adopt(struct http_server *server, int fd, const struct sockaddr *address,
                       socklen_t address_size);
const char *http_server_reason(int status); // "Not Found"
