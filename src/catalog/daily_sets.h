// SPDX-License-Identifier: Apache-2.0
// Daily exports: of an app's day, one request per topic that has events of it. All who ask for a
// day share its set, and so does the scheduler, which may have made it ahead.
#pragma once

#include "catalog/requests.h"

struct daily_day {
    const char *organization_id;
    const char *app_id;
    int64_t start_ms;
};

struct daily_topic {
    int64_t id;
    const char *name;
};

// Topics of which the lake has or had events of the app's day, by name.
NODISCARD bool daily_find_topics(struct catalog *catalog, const struct daily_day *day,
                                 struct arena *arena, struct daily_topic **ret_topics,
                                 size_t *ret_count, struct err *err);

struct daily_making {
    struct daily_day day;
    int64_t file_rows;
    int64_t now_ms;
    bool is_awaited; // a client waits for it
};
// The set's request of a topic: CSV with all fields, gzipped. Its files may have expired: then they
// are being restored.
NODISCARD bool daily_make(struct catalog *catalog, const struct daily_making *making,
                          const struct daily_topic *topic, struct arena *arena,
                          struct request *ret_request, struct err *err);

// Start of the last day that was over at the instant.
int64_t daily_last_day(int64_t now_ms);

// Makes the day's sets of at most app_limit apps, in the order of their ids; called again it goes
// on, also in another process. *ret_is_done: all apps have theirs.
NODISCARD bool daily_make_ahead(struct catalog *catalog, int64_t day_start_ms, int64_t file_rows,
                                int64_t now_ms, int64_t app_limit, bool *ret_is_done,
                                struct err *err);
