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
    {.name = "destinations.connect_timeout_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct destination_settings, connect_timeout_ms),
     .default_text = "10000",
     .min = 100,
     .max = 600000,
     .unit = "ms",
     .doc = "How long a connection to a store or a service of a cloud may take"},
    {.name = "destinations.stall_timeout_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct destination_settings, stall_timeout_ms),
     .default_text = "30000",
     .min = 1000,
     .max = 600000,
     .unit = "ms",
     .doc = "How long it may keep still"},
    {.name = "destinations.call_timeout_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct destination_settings, call_timeout_ms),
     .default_text = "60000",
     .min = 1000,
     .max = 3600000,
     .unit = "ms",
     .doc =
         "How long a call without a file may take in all; with one, the time grows with its size"},
    {.name = "destinations.attempts",
     .type = OPTION_INT64,
     .offset = offsetof(struct destination_settings, attempts),
     .default_text = "8",
     .min = 1,
     .max = 100,
     .doc = "How often a call is made whose failure may pass, before the job is put off"},
    {.name = "destinations.back_off_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct destination_settings, back_off_ms),
     .default_text = "250",
     .min = 1,
     .max = 600000,
     .unit = "ms",
     .doc = "Longest pause before the second attempt; it doubles with each"},
    {.name = "destinations.back_off_max_ms",
     .type = OPTION_INT64,
     .offset = offsetof(struct destination_settings, back_off_max_ms),
     .default_text = "20000",
     .min = 1,
     .max = 3600000,
     .unit = "ms",
     .doc = "Longest pause before any"},
};

const size_t destination_option_count = ARRAY_COUNT(destination_option_table);
