// SPDX-License-Identifier: Apache-2.0
// Rules of a request's head, as RFC 9110 and 9112 have them where a server may be strict. Pure
// functions; private to net/. Slices of results lie in the bytes given.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct http_field {
    struct slice name;
    struct slice value; // without the white space around it
};

// An answer of the server itself.
struct http_refusal {
    int status;
    const char *message;
    bool closes; // nothing after this request can be trusted
};

struct http_head {
    struct slice method;
    struct slice target; // raw
    bool is_version_1_0;
    const struct http_field *fields;
    size_t field_count;
};

// How the connection goes on behind the head.
struct http_framing {
    bool is_chunked;
    int64_t length_bytes; // -1: no Content-Length
    bool expects_continue;
    bool closes; // the client wants no second answer
};

bool http_is_token_char(uint8_t byte);

// Lines come without their CRLF. False: *ret_refusal says what to answer; all of these close.
bool http_check_request_line(struct slice line, struct http_head *ret_head,
                             struct http_refusal *ret_refusal);
bool http_check_field_line(struct slice line, struct http_field *ret_field,
                           struct http_refusal *ret_refusal);
// Host, lengths, codings and expectations of a head whose lines are sound.
bool http_check_head(const struct http_head *head, struct http_framing *ret_framing,
                     struct http_refusal *ret_refusal);
// 405 for TRACE, 501 for methods that nobody here knows; the connection lives.
bool http_check_method(struct slice method, struct http_refusal *ret_refusal);

#define HTTP_METHODS_ALLOWED "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

bool http_method_is(struct slice method, const char *name);
bool http_name_equal(struct slice name, const char *other); // without regard to case
// [A-Za-z0-9._-]{1,64}
bool http_request_id_is_valid(struct slice id);
