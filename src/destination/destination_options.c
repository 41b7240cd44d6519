// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "base/check.h"
#include "destination/destination.h"

const struct option destination_option_table[] = {
    {.name = "destinations.customer_endpoints",
     .type = OPTION_BOOL,
     .offset = offsetof(struct destination_settings, customer_endpoints),
     .doc = "Subscriptions may name the https endpoint of an S3-compatible store, beside a "
            "connection that has none of its own"},
    {.name = "destinations.allowed_networks",
     .type = OPTION_LIST,
     .offset = offsetof(struct destination_settings, allowed_networks),
     .doc = "Networks, such as 10.1.0.0/16, in which endpoints that customers name may be besides "
            "public addresses; may be repeated (default: none)"},
    {.name = "destinations.proxy",
     .type = OPTION_TEXT,
     .offset = offsetof(struct destination_settings, proxy),
     .doc = "Proxy for uploads to customers' buckets, http://HOST:PORT; proxies of the environment "
            "are not used"},
    {.name = "destinations.ca_file",
     .type = OPTION_TEXT,
     .offset = offsetof(struct destination_settings, ca_file),
     .doc = "Certificates (PEM) to trust in uploads instead of the system's; a connection may have "
            "its own"},
};

const size_t destination_option_count = ARRAY_COUNT(destination_option_table);
