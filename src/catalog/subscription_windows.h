// SPDX-License-Identifier: Apache-2.0
// Which windows a subscription has: computed from what is kept of it, never from the jobs that
// happen to exist.
//
//   active set   the windows from its first regular one on, and those that were backfilled
//   versions     part time: a window belongs to the version that is for its start, and has that
//                one's cadence. Changes of cadence are at midnight, so windows always tile
//   pauses       leave out the windows that end in them, unless these were backfilled
#pragma once

#include "catalog/catalog.h"
#include "model/report.h"

// Windows of one version that follow each other.
struct subscription_stretch {
    int64_t start_ms;
    int64_t end_ms; // INT64_MAX: open
    enum cadence cadence;
    int64_t version;
};
// The active set, in order. After deactivation the live part ends with the last window that was
// gone through. Unknown id, and FAILED without backfills: none.
NODISCARD bool subscription_stretches(struct catalog *catalog, const char *id, struct arena *arena,
                                      struct subscription_stretch **ret_stretches,
                                      size_t *ret_count, struct err *err);

struct subscription_pauses {
    const struct subscription_pause {
        int64_t from_ms; // leaves out what ends later than it,
        int64_t to_ms;   // and not later than this; INT64_MAX: not resumed yet
    } * items;
    size_t count;
};
NODISCARD bool subscription_get_pauses(struct catalog *catalog, const char *id, struct arena *arena,
                                       struct subscription_pauses *ret_pauses, struct err *err);
bool subscription_pauses_leave_out(const struct subscription_pauses *pauses, int64_t end_ms);

struct subscription_version {
    int64_t version;
    int64_t from_ms; // for windows that start then or later; 0: the first
    int64_t created_at_ms;
    struct report report;
};
// Newest first, at most limit.
NODISCARD bool subscription_versions(struct catalog *catalog, const char *id, int64_t limit,
                                     struct arena *arena,
                                     struct subscription_version **ret_versions, size_t *ret_count,
                                     struct err *err);
