// SPDX-License-Identifier: Apache-2.0
// An HTTP service on a loopback port whose answers a test decides, right or wrong. One request at a
// time, each on a connection of its own. What it saw may be read after fake_http_close(), and
// between calls of the one client that there is.
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "scripted_server.h"

enum fake_fault {
    FAKE_NONE,
    FAKE_RESET,      // after the request, without an answer
    FAKE_CUT_HEAD,   // in the middle of the answer's head
    FAKE_CUT_BODY,   // in the middle of the answer's body; its head promises all
    FAKE_STALL,      // nothing, until the client goes
    FAKE_STALL_BODY, // nothing behind the first byte of the answer's body
    FAKE_GARBAGE,    // an answer that is not HTTP
    FAKE_FAULTS,     // how many there are
};

struct fake_request {
    int number; // from 1
    const char *method;
    const char *target;
    const char *head; // the whole of it
    struct slice body;
};

struct fake_reply {
    int status;
    const char *headers; // "Name: value\r\n..."; may be NULL
    struct slice body;
    enum fake_fault fault;
};

struct fake_http {
    struct scripted_server server;
    char url[64]; // "http://127.0.0.1:PORT"
    void (*answer)(void *context, struct fake_http *fake, const struct fake_request *request,
                   struct fake_reply *ret_reply);
    void *context;
    struct arena arena; // for answers; cleared at the end
    struct buf log;     // "METHOD target\n" for each request
    _Atomic int request_count;
};

void fake_http_open(struct fake_http *fake,
                    void (*answer)(void *context, struct fake_http *fake,
                                   const struct fake_request *request,
                                   struct fake_reply *ret_reply),
                    void *context);
void fake_http_close(struct fake_http *fake);

// Value of a header of the request in the fake's arena; "" when there is none.
const char *fake_header(struct fake_http *fake, const struct fake_request *request,
                        const char *name);
