// SPDX-License-Identifier: Apache-2.0
// The gate: every byte that a client sends passes it before libmicrohttpd sees any. That library is
// lenient (0.9.75 takes bare LF, drops any number of empty lines, cuts values at NUL, lets
// Transfer-Encoding win over Content-Length, takes chunk extensions of any length, and answers what
// it does refuse in HTML), so it is told nothing that could be taken in two ways: the gate parses
// the heads, checks the framing of the bodies, and lets through a rewriting that only says what the
// library has to know.
//
//   client                                      library
//   POST /v1/x?y HTTP/1.1                       POST /------------...-- HTTP/1.1
//   Host: a                                     Transfer-Encoding:chunked
//   Transfer-Encoding:  Chunked
//   X-Any: thing
//
//   3;name=value                                3
//   abc                                         abc
//   0                                           0
//   A-Trailer: 1
//
// A head is held back until it is complete, and its rewriting has its size: so nobody who reads
// until a socket is empty is misled about that, and what the library has in its buffer is never
// more than what came. The parsed heads wait in a queue for those who answer.
//
// The first violation shuts the gate: nothing behind it gets through. The library still gets what
// it needs to ask for an answer: the end of the chunked body, or a request that stands for the bad
// head. So the refusal comes in its turn, after the answers to all requests before it, through TLS
// as well.
//
// Pure: no I/O. One thread at a time. Private to net/.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/http_check.h"
#include "net/http_chunk.h"

struct http_limits;

#define HTTP_FIELD_BYTES_MAX     ((size_t)8192)      // of a header line without its CRLF
#define HTTP_EXTENSION_BYTES_MAX ((size_t)16 * 1024) // of all chunks of a body

// A head and what became of it. One allocation: http_message_free.
struct http_message {
    struct http_message *next;
    uint64_t number;             // 1: the connection's first
    struct http_refusal refusal; // status 0: none; else the head is empty but for its method
    struct http_head head;
    struct http_framing framing;
    struct http_field fields[]; // the bytes follow
};

enum http_gate_place {
    HTTP_GATE_BETWEEN,    // messages
    HTTP_GATE_EMPTY_LINE, // behind its CR, before a head
    HTTP_GATE_HEAD,
    HTTP_GATE_BODY, // of known length
    HTTP_GATE_CHUNK_LINE,
    HTTP_GATE_CHUNK,
    HTTP_GATE_CHUNK_END,    // its CR
    HTTP_GATE_CHUNK_END_LF, // its LF
    HTTP_GATE_TRAILER,
    HTTP_GATE_SHUT,
};

struct http_gate {
    const struct http_limits *limits;
    uint64_t message_max; // then it is shut
    enum http_gate_place place;
    bool has_empty_line; // one was dropped before this head

    struct buf held;     // received bytes of an unfinished head, or of one line of a trailer
    size_t line_start;   // in the head
    size_t fields_start; // in the head; 0: still in its first line
    size_t field_count;  // lines of head or trailer
    bool is_head_method; // the head's, once its first line is known
    size_t trailer_bytes;

    uint64_t left_bytes; // of body or chunk
    struct http_chunk_line chunk_line;
    size_t extension_bytes; // of the body's chunks so far
    bool closes;            // after this message

    uint64_t message_count;
    struct http_message *messages;
    struct http_message **messages_end;
    struct http_refusal body_refusal; // of the last message; status 0: none
    struct slice ending;              // what the library still gets after the gate was shut
};

// limits live as long as the gate.
void http_gate_init(struct http_gate *gate, const struct http_limits *limits, uint64_t message_max);
void http_gate_clear(struct http_gate *gate);

// Most bytes that http_gate_pass may give beyond those it is given.
size_t http_gate_held(const struct http_gate *gate);
// area has held_bytes (http_gate_held) of room and then new_bytes received. Returns how many bytes,
// from the start of area, are for the library. Free of cost for bodies: they are not even moved as
// long as nothing before them was dropped.
size_t http_gate_pass(struct http_gate *gate, uint8_t *area, size_t held_bytes, size_t new_bytes);
// Moves what is left of the ending to `to`; returns its size.
size_t http_gate_take_ending(struct http_gate *gate, uint8_t *to, size_t room_bytes);
// Nothing will pass any more.
bool http_gate_is_shut(const struct http_gate *gate);
// How many messages have come whole, or were refused.
uint64_t http_gate_whole_count(const struct http_gate *gate);
// A head has begun to come.
bool http_gate_is_in_head(const struct http_gate *gate);

// The oldest message that was not taken yet, NULL: none. The caller's from then on.
struct http_message *http_gate_take_message(struct http_gate *gate);
void http_message_free(struct http_message **message);
// What was wrong with the body of that message; status 0: nothing so far.
struct http_refusal http_gate_body_refusal(const struct http_gate *gate, uint64_t message_number);
