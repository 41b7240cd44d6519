// SPDX-License-Identifier: Apache-2.0
// Destinations over the network: customers' buckets at AWS, Google and in S3-compatible stores, and
// the operator's mail server.
#pragma once

#include "base/cipher.h"
#include "base/clock.h"
#include "cloud/aws_credentials.h"
#include "cloud/gcp_token.h"
#include "destination/destination.h"
#include "destination/destinations.h"
#include "destination/hosted.h"
#include "net/smtp_mailer.h"

// All of it is borrowed.
struct destinations_net_config {
    const struct destination_settings *settings;
    const struct hosted_settings *hosted;
    const struct aws_settings *aws;
    const struct gcp_settings *gcp;
    const struct smtp_settings *smtp;
    const char *const *environment;       // "NAME=value", NULL at the end
    const struct cipher_key *secret_keys; // of the catalog's secrets
    size_t secret_key_count;
    const char *base_url; // of links in mail; no slash at its end
    struct slice url_key;
    const struct clock *clock;
};

// Whether the operator has given what roles and service accounts of customers need. A metadata
// service, which nobody can know of without asking it, counts when it alone is named
// (aws.credentials = instance), or gcp.use_metadata is set.
bool destinations_have_aws(const struct destinations_net_config *config);
bool destinations_have_gcp(const struct destinations_net_config *config);

// INVALID: settings that cannot be right; for the start, and said again by open.
NODISCARD bool destinations_net_check(const struct destinations_net_config *config,
                                      struct err *err);
NODISCARD bool destinations_net_open(const struct destinations_net_config *config,
                                     struct destinations **ret_destinations, struct err *err);
