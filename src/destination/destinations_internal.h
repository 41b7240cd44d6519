// SPDX-License-Identifier: Apache-2.0
// For those who implement destinations. Contracts of the public calls.
#pragma once

#include "destination/destinations.h"

struct destinations_ops {
    const char *name;
    // Required.
    bool (*open_bucket)(struct destinations *destinations,
                        const struct destination_request *request, struct arena *arena,
                        struct destination_bucket *ret_bucket, struct err *err);
    // Required.
    bool (*send_mail)(struct destinations *destinations, const struct destination_mail *mail,
                      struct destination_mail_result *ret_result, struct err *err);
    // Required.
    const char *(*sign)(const struct destinations *destinations, const char *subscription_id,
                        const char *key, int64_t now_ms, struct arena *arena);
    // Required.
    void (*close)(struct destinations *destinations);
};

struct destinations {
    const struct destinations_ops *ops;
    uint64_t attachment_bytes;
};
