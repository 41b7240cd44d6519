// SPDX-License-Identifier: Apache-2.0
// How a customer's bucket is reached, by what the destination names:
//
//     role ARN          the operator's credentials assume it (STS, external id)   -> S3 at AWS
//     service account   a registered key of it, or the operator's impersonate it  -> Google, JSON
//     connection        its sealed keys                        -> S3 anywhere, Google (XML or JSON)
//
// Of this folder alone. One thread per object.
#pragma once

#include "destination/destinations_net.h"
#include "model/report_destination.h"

struct bucket_access;

// config and what it points to are borrowed. INVALID: settings that cannot be right.
NODISCARD bool bucket_access_open(const struct destinations_net_config *config,
                                  struct bucket_access **ret_access, struct err *err);
void bucket_access_close(struct bucket_access **access);

// The arena outlives the bucket.
NODISCARD bool bucket_access_use(struct bucket_access *access,
                                 const struct destination_request *request,
                                 const struct report_cloud *cloud, struct arena *arena,
                                 struct destination_bucket *ret_bucket, struct err *err);
