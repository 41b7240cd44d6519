// SPDX-License-Identifier: Apache-2.0
// Request targets: origin form, absolute form and "*", percent-decoding, and query strings. Pure
// functions; private to net/.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/slice.h"
#include "net/http_check.h"

struct http_pair {
    struct slice name;
    struct slice value;
};

struct http_target {
    bool is_asterisk; // "*": all else is empty
    struct slice raw_path;
    struct slice raw_query;        // after '?'
    struct slice path;             // decoded
    const struct http_pair *pairs; // of the query, decoded
    size_t pair_count;
};

// What the authority of an absolute target may be: the Host header, or one of our own names.
struct http_authorities {
    struct slice host;
    const char *const *own;
    size_t own_count;
};

// Results live in arena and in raw. False: *ret_refusal says what to answer.
bool http_target_parse(struct slice raw, const struct http_authorities *authorities,
                       struct arena *arena, struct http_target *ret_target,
                       struct http_refusal *ret_refusal);

bool http_utf8_is_valid(struct slice text);
