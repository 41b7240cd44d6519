// SPDX-License-Identifier: Apache-2.0
// Where somebody else wants us to connect to: an object store or a webhook of a customer. What
// may be talked to is decided in this order, and the first that fails is what is said: the form,
// the class of the address, https, what the name resolves to.
//
// The answer holds for now only: names change. So whoever connects gives the same guard to the HTTP
// client, which judges each address as it connects. No state; any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "net/address_guard.h"

#define ENDPOINT_CHARS_MAX ((size_t)2048)

struct endpoint {
    bool is_https;
    const char *host; // small letters; an IPv6 address has no brackets
    uint16_t port;
    const char *authority; // for the Host header: with brackets, without the scheme's own port
    const char *path;      // with the query; empty, or begins with '/'
};

// http(s)://HOST[:PORT][/PATH[?QUERY]] in visible ASCII: no user, no fragment, no backslash, no
// escapes in the host, no other scheme. INVALID "Invalid endpoint URL". The texts are the arena's.
NODISCARD bool endpoint_parse(struct slice text, struct arena *arena, struct endpoint *ret_endpoint,
                              struct err *err);

// Without I/O. DENIED "Endpoint not allowed" for addresses that the guard refuses, in any spelling
// that the system's functions take as an address; for IPv4 addresses that are not four decimal
// numbers, zone ids, names of one label and names of local networks. Then INVALID "Endpoint must
// use https".
NODISCARD bool endpoint_check(const struct endpoint *endpoint, const struct address_guard *guard,
                              struct err *err);

// DENIED "Endpoint not allowed" when both have the same host, whatever the ports.
NODISCARD bool endpoint_check_other(const struct endpoint *endpoint, const struct endpoint *own,
                                    struct err *err);

// Every address of the name must be allowed: else DENIED "Endpoint not allowed". UNAVAILABLE when
// it does not resolve, or not in time. Not for hosts behind a proxy, which may have names of its
// own.
NODISCARD bool endpoint_resolve(const struct endpoint *endpoint, const struct address_guard *guard,
                                int64_t timeout_ms, struct err *err);
