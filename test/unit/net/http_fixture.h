// SPDX-License-Identifier: Apache-2.0
// A server on a loopback port with a handler that does what the path says:
//
//   /hello       200 {"hello":true}; also for unknown paths
//   /info        what the handler was told about the request, as text
//   /echo        the body, at most 1 MiB
//   /count       counts a body of up to 4 GiB
//   /early       400 from `head`
//   /midway      409 from the first piece of the body; 4 GiB may come
//   /suspend     as /echo, but answered by another thread
//   /sip         as /echo, but takes 1,000 bytes of the body at a time
//   /sip-suspend as /sip, but answered by another thread
//   /slow        counts the body, a byte at a time, a millisecond each
//   /file        200 with bytes [offset, offset + size) of the fixture's file
//   /silent      never replies
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/thread.h"
#include "net/http_server.h"

#define FIXTURE_QUEUE_MAX 4096

struct fixture {
    struct http_server *server;
    int port;
    int listen_fd; // the server's
    char file_path[64];
    _Atomic int head_count;
    _Atomic int complete_count;
    _Atomic int ended_count;
    _Atomic int64_t body_bytes;
    _Atomic int body_call_count;

    struct thread worker; // answers what is suspended
    struct mutex lock;
    struct condition changed;
    struct http_request *queue[FIXTURE_QUEUE_MAX];
    size_t queue_count;
    bool is_stopping;
};

struct http_limits fixture_limits(void);
void fixture_handler(struct fixture *fixture, struct http_handler *ret_handler);
void fixture_open(struct fixture *fixture, const struct http_limits *limits);
void fixture_open_tls(struct fixture *fixture, const struct http_limits *limits,
                      const char *certificate, const char *key);
void fixture_close(struct fixture *fixture);
// Makes file_path with that many bytes: byte i is i % 251.
void fixture_make_file(struct fixture *fixture, size_t size_bytes);
// Waits (at most 5 s) until every head has had its end.
bool fixture_all_ended(struct fixture *fixture);
