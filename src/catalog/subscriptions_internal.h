// SPDX-License-Identifier: Apache-2.0
// What the files about subscriptions share.
#pragma once

#include "catalog/catalog_internal.h"
#include "catalog/subscriptions.h"
#include "model/window.h"

bool subscription_set_not_found(struct err *err);
bool subscription_is_live(enum subscription_status status); // PENDING or ACTIVE

// What is kept of a report.
struct subscription_texts {
    struct buf document;
    struct buf duplicate_key;
};
// LIMIT when it is too large. Cleared also after a failure.
NODISCARD bool subscription_texts_init(struct subscription_texts *texts,
                                       const struct report *report, struct err *err);
void subscription_texts_clear(struct subscription_texts *texts);

// CONFLICT when another live one of the same app (NULL: of the whole organization) has the key.
struct subscription_duplicate {
    const char *organization_id;
    const char *app_id;
    const char *id; // itself, NULL: not made yet
    struct slice key;
};
NODISCARD bool subscription_check_duplicate(struct catalog *catalog,
                                            const struct subscription_duplicate *duplicate,
                                            struct err *err);

struct subscription_version_row {
    const char *subscription_id;
    int64_t version;
    int64_t from_ms;
    enum cadence cadence;
    int64_t topic_id;
    struct slice document;
    int64_t now_ms;
};
NODISCARD bool subscription_insert_version(struct catalog *catalog,
                                           const struct subscription_version_row *row,
                                           struct err *err);

// The version that a window belongs to, by the window's start, and the starts that it is for.
struct subscription_piece {
    int64_t version;
    int64_t topic_id;
    enum cadence cadence;
    int64_t from_ms;
    int64_t until_ms; // INT64_MAX: no later version
};
// NOT_FOUND.
NODISCARD bool subscription_piece_at(struct catalog *catalog, const char *id, int64_t start_ms,
                                     struct subscription_piece *ret_piece, struct err *err);
