// SPDX-License-Identifier: Apache-2.0
#include "model/export_dates.h"

#include <inttypes.h>

// What an inclusive end can add to a span: its last second or minute. A whole last day counts.
#define EXPORT_DATES_SLACK_MS CIVIL_MINUTE_MS

static bool export_dates_is_in_range(int64_t time_ms)
{
    return time_ms >= CIVIL_FIRST_MS && time_ms <= CIVIL_LAST_MS;
}

static bool export_dates_refuse(struct err *err, const char *field)
{
    return err_set(err, ERR_INVALID, "Invalid date: %s", field);
}

static int64_t export_dates_instant(const struct civil_text *read, const struct zone *zone,
                                    enum zone_pick pick)
{
    if (read->has_offset)
        return civil_to_ms(read->civil) - read->offset_ms;
    return zone_local_to_ms(zone, read->civil, pick);
}

bool export_dates_parse_start(struct slice text, const struct zone *zone, int64_t *ret_start_ms,
                              struct err *err)
{
    struct civil_text read;
    if (!civil_read(text, &read))
        return export_dates_refuse(err, "start_date");
    const int64_t start_ms = export_dates_instant(&read, zone, ZONE_PICK_FIRST);
    if (!export_dates_is_in_range(start_ms))
        return export_dates_refuse(err, "start_date");
    *ret_start_ms = start_ms;
    return true;
}

// The last millisecond that the date covers. A time zone is applied to this one, not to the begin
// of what follows: where clocks go back at midnight, 00:00 is ambiguous and the day before is not.
static struct civil export_dates_last(const struct civil_text *read)
{
    struct civil last = read->civil;
    switch (read->unit) {
    case CIVIL_UNIT_DAY:
        last.hour = 23;
        last.minute = 59;
        last.second = 59;
        last.millisecond = 999;
        break;
    case CIVIL_UNIT_MINUTE:
        last.second = 59;
        last.millisecond = 999;
        break;
    case CIVIL_UNIT_SECOND:
        last.millisecond = 999;
        break;
    case CIVIL_UNIT_MILLISECOND:
        break;
    }
    return last;
}

bool export_dates_parse_end(struct slice text, const struct zone *zone, int64_t *ret_end_ms,
                            struct err *err)
{
    struct civil_text read;
    if (!civil_read(text, &read))
        return export_dates_refuse(err, "end_date");
    read.civil = export_dates_last(&read);
    const int64_t end_ms = export_dates_instant(&read, zone, ZONE_PICK_LAST) + 1;
    if (!export_dates_is_in_range(end_ms))
        return export_dates_refuse(err, "end_date");
    *ret_end_ms = end_ms;
    return true;
}

bool export_dates_parse_hour(struct slice text, struct export_dates *ret_dates, struct err *err)
{
    struct civil_text read;
    if (!civil_read_spaced(text, &read))
        return export_dates_refuse(err, "date");
    read.civil.minute = 0;
    read.civil.second = 0;
    const int64_t start_ms = civil_to_ms(read.civil);
    if (!export_dates_is_in_range(start_ms + CIVIL_HOUR_MS))
        return export_dates_refuse(err, "date");
    *ret_dates = (struct export_dates){start_ms, start_ms + CIVIL_HOUR_MS};
    return true;
}

bool export_dates_parse_day(struct slice text, struct export_dates *ret_dates, struct err *err)
{
    struct civil_text read;
    if (!civil_read(text, &read) || read.unit != CIVIL_UNIT_DAY)
        return export_dates_refuse(err, "export_date");
    const int64_t start_ms = civil_to_ms(read.civil);
    if (!export_dates_is_in_range(start_ms + CIVIL_DAY_MS))
        return export_dates_refuse(err, "export_date");
    *ret_dates = (struct export_dates){start_ms, start_ms + CIVIL_DAY_MS};
    return true;
}

// The shorter of what a clock of UTC and one of the zone count, so that both whole days in the zone
// and whole days of 24 hours fit.
static int64_t export_dates_span_ms(const struct export_dates *dates, const struct zone *zone)
{
    const int64_t span_ms = dates->end_ms - dates->start_ms;
    const int64_t local_ms = span_ms + zone_offset_ms(zone, dates->end_ms) -
                             zone_offset_ms(zone, dates->start_ms);
    return local_ms < span_ms ? local_ms : span_ms;
}

bool export_dates_check(const struct export_dates *dates, const struct zone *zone,
                        const struct export_dates_limits *limits, int64_t now_ms, struct err *err)
{
    if (dates->end_ms <= dates->start_ms)
        return err_set(err, ERR_INVALID, "Invalid date range: start_date is after end_date");
    if (limits->span_days > 0 && export_dates_span_ms(dates, zone) - EXPORT_DATES_SLACK_MS >
                                     limits->span_days * CIVIL_DAY_MS)
        return err_set(err, ERR_INVALID,
                       "Invalid date range: at most %" PRId64
                       " days between start_date and end_date",
                       limits->span_days);
    if (limits->look_back_days > 0 &&
        (now_ms - dates->start_ms) / CIVIL_DAY_MS > limits->look_back_days)
        return err_set(err, ERR_INVALID,
                       "Invalid date: start_date is more than %" PRId64 " days ago",
                       limits->look_back_days);
    return true;
}
