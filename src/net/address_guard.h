// SPDX-License-Identifier: Apache-2.0
// Which addresses may be talked to when somebody else names the host: customers' endpoints and
// webhooks. Allowed is what is globally routable unicast, and the networks that the operator names.
// Refused is everything else: this host, private and link-local networks, shared address space,
// multicast, test networks, reserved blocks. An IPv4 address inside an IPv6 one (mapped, NAT64,
// 6to4) is judged as what it is; so no spelling leads around the guard.
//
// Judge the address that is connected to (struct http_client_config has a guard for that): a name
// may resolve to another address the next time. Immutable: any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"

struct address_guard;

// allowed_networks: "192.168.0.0/16", "fd12::/16", "10.1.2.3" (one address). An address that a
// cloud answers metadata at is allowed only by a network of that one address. INVALID for what is
// no network, or has bits behind its prefix.
NODISCARD bool address_guard_new(const char *const *allowed_networks, size_t count,
                                 struct address_guard **ret_guard, struct err *err);
void address_guard_free(struct address_guard **guard);

// The port is not looked at. False for families other than IPv4 and IPv6.
bool address_guard_allows(const struct address_guard *guard, const struct sockaddr *address);
