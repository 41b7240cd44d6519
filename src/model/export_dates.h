// SPDX-License-Identifier: Apache-2.0
// The dates of exports on request: start_date and end_date of custom exports, the hour of a
// readiness question, the day of a daily export. Pure functions; any thread. All results are
// [start, end) in milliseconds of UTC, between CIVIL_FIRST_MS and CIVIL_LAST_MS.
//
// start_date and end_date take what clients send (base/civil.h, civil_read):
//
//   2023-05-15T00:00:00Z          2023-05-15T00:00:00.000-07:00     2023-05-15T00:00 (no seconds)
//   2016-01-01T23:59:59:999Z      2026-11-23T11:56:11.086419Z       2023-05-15
//
// An offset that is written counts; else the date is read in the request's time zone. Where clocks
// went back, an ambiguous start is the first occurrence and an ambiguous end the last one; a local
// time that clocks skipped moves forward by what they skipped.
//
// The end is inclusive to the last unit that is written, as Branch's own examples mean it
// (00:00:00 to 01:59:59 are two hours):
//
//   2023-05-15                    covers the local day to its end, be it 23, 24 or 25 hours
//   2023-05-15T19:59              covers the minute, to 19:59:59.999
//   2023-05-15T19:59:59           covers the second, to 19:59:59.999
//   2023-05-15T19:59:59.5         covers the millisecond .500, however many digits there are: the
//                                 next digits are zeros that some clients leave out
//   2023-05-15T19:59:59.0864190   covers the millisecond .086, as events have no finer times
//
// So start_date and end_date may be the same, and whole days or hours are written with an end of
// 23:59:59 and the like, or with the day alone; an end of 00:00:00 brings the first second of that
// hour along, as with Branch.
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/zone.h"

struct export_dates {
    int64_t start_ms;
    int64_t end_ms; // exclusive
};

// One bound each, so that a request with two bad dates can be told of both. zone NULL: UTC.
// INVALID "Invalid date: start_date", "Invalid date: end_date".
NODISCARD bool export_dates_parse_start(struct slice text, const struct zone *zone,
                                        int64_t *ret_start_ms, struct err *err);
NODISCARD bool export_dates_parse_end(struct slice text, const struct zone *zone,
                                      int64_t *ret_end_ms, struct err *err);

// The hour of UTC that holds "YYYY-MM-DD hh:mm:ss", the only form of a readiness question. INVALID
// "Invalid date: date".
NODISCARD bool export_dates_parse_hour(struct slice text, struct export_dates *ret_dates,
                                       struct err *err);

// The day of UTC "YYYY-MM-DD", the only form of a daily export. INVALID "Invalid date:
// export_date".
NODISCARD bool export_dates_parse_day(struct slice text, struct export_dates *ret_dates,
                                      struct err *err);

// 0 is no limit.
struct export_dates_limits {
    int64_t span_days;      // from start to end
    int64_t look_back_days; // from the start to now
};

// Both limits are meant for people: 60 days from midnight to midnight pass also when one of them
// has 25 hours, and so do 60 days whose inclusive end brings a last second or minute along; a start
// 120 days and some hours ago is 120 days ago. Dates in the future are the caller's business. A
// skipped start can move past an end that was not skipped, which is an error as well. zone is the
// request's; NULL: UTC. INVALID "Invalid date range: start_date is after end_date", "Invalid date
// range: at most 60 days between start_date and end_date", "Invalid date: start_date is more than
// 120 days ago".
NODISCARD bool export_dates_check(const struct export_dates *dates, const struct zone *zone,
                                  const struct export_dates_limits *limits, int64_t now_ms,
                                  struct err *err);
