// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"
#include "destination/destination.h"
#include "net/address_guard.h"

// Private networks, this host, and networks that carriers and laboratories use as such. Not
// link-local addresses, where clouds answer with credentials, nor any that no host has.
static const char *const destination_operator_networks[] = {
    "10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10",
    "198.18.0.0/15", "::1",           "fc00::/7",
};

bool destination_operator_guard_new(struct address_guard **ret_guard, struct err *err)
{
    return address_guard_new(destination_operator_networks,
                             ARRAY_COUNT(destination_operator_networks), ret_guard, err);
}
