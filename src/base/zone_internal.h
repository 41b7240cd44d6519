// SPDX-License-Identifier: Apache-2.0
// A zone between its file (zone_file.c), its rule (zone_rule.c) and its questions (zone.c). All
// times are seconds since 1970 without leap seconds, all offsets seconds of local time minus UTC.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

// RFC 9636, 3.2: offsets are above -25 hours and below 26 hours.
#define ZONE_OFFSET_MIN_S (-89999)
#define ZONE_OFFSET_MAX_S 93599

// What one offset is in force for: [start_s, end_s). The ends of time are INT64_MIN and INT64_MAX.
struct zone_span {
    int64_t start_s;
    int64_t end_s;
    int32_t offset_s;
};

enum zone_rule_day {
    ZONE_RULE_JULIAN,  // Jn: 1 to 365, 29 February is not counted
    ZONE_RULE_YEARDAY, // n: 0 to 365, it is counted
    ZONE_RULE_WEEKDAY, // Mm.w.d: the w-th weekday d (0: Sunday) of month m; w = 5: the last one
};

struct zone_rule_date {
    enum zone_rule_day kind;
    int month;
    int week;
    int day;
    int32_t time_s; // after local midnight, -167 to 167 hours
};

// What a POSIX TZ string says: what holds after the last transition of the file.
struct zone_rule {
    int32_t standard_s;
    int32_t daylight_s;
    bool has_daylight;
    struct zone_rule_date daylight_start; // in standard time
    struct zone_rule_date daylight_end;   // in daylight time
};

struct zone {
    size_t transition_count;
    const int64_t *times_s;   // ascending
    const int32_t *offsets_s; // offsets_s[i] holds from times_s[i] on
    int32_t first_offset_s;   // before times_s[0]
    bool has_rule;            // from the last transition on
    struct zone_rule rule;
};

// std offset [dst [offset] , start [/time] , end [/time]], as in "CET-1CEST,M3.5.0,M10.5.0/3".
// Daylight time without its dates is refused: POSIX leaves open when it is, and no file does it.
// False for anything else, *ret_rule untouched.
bool zone_rule_parse(struct slice text, struct zone_rule *ret_rule);

// The span of the rule around an instant of a year that is far from the ends of int64_t.
struct zone_span zone_rule_span(const struct zone_rule *rule, int64_t time_s);
