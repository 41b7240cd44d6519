// SPDX-License-Identifier: Apache-2.0
// Whether the buckets of subscriptions can still be written to: tried once in a while by workers
// that have nothing else to do, so that a customer hears of a right that was taken away before the
// next window fails.
#pragma once

#include "catalog/catalog.h"
#include "destination/destinations.h"

struct bucket_probe {
    struct catalog *catalog;
    struct destinations *destinations;
    int64_t now_ms;
    int64_t interval_ms;
};

// Tries at most one that is due. What came of it is kept with the subscription, and told once; a
// failure that may pass says nothing about it. *ret_has_probed false: none was due.
NODISCARD bool bucket_probe_one(const struct bucket_probe *probe, bool *ret_has_probed,
                                struct err *err);
