// SPDX-License-Identifier: Apache-2.0
// Rules that a request's head must keep before a handler sees it. Pure functions; private to net/.
//
// libmicrohttpd 0.9.75 is lenient: it cuts values at NUL, joins folded lines to the header's
// *name*, takes bare LF for CRLF, lets Transfer-Encoding win over Content-Length and takes the
// first of two lengths. It parses in place and allocates header lines from elsewhere, so the pieces
// that it reports still lie in the bytes as received: where two of them are not apart by exactly
// one CRLF, one of these things has happened.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct http_limits;

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

// Where the pieces of a head were found.
struct http_layout {
    const char *start;  // of the method
    size_t size_bytes;  // up to the body
    const char *target; // as reported; its size as received:
    size_t target_bytes;
    const char *version;
    const struct http_field *fields;
    size_t field_count;
};

// False: not one line after the other, *ret_refusal says what to answer.
bool http_check_layout(const struct http_layout *layout, struct http_refusal *ret_refusal);

struct http_head {
    struct slice method;
    struct slice target; // raw
    bool is_version_1_0;
    const struct http_field *fields;
    size_t field_count;
    size_t field_bytes; // of all lines
};

struct http_framing {
    bool is_chunked;
    int64_t length_bytes; // -1: no Content-Length
    bool expects_continue;
};

bool http_check_head(const struct http_head *head, const struct http_limits *limits,
                     struct http_framing *ret_framing, struct http_refusal *ret_refusal);

#define HTTP_METHODS_ALLOWED "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

bool http_method_is(struct slice method, const char *name);
bool http_name_equal(struct slice name, const char *other); // without regard to case
// [A-Za-z0-9._-]{1,64}
bool http_request_id_is_valid(struct slice id);
