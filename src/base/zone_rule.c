// SPDX-License-Identifier: Apache-2.0
// POSIX TZ strings, with the times of day of -167 to 167 hours that RFC 9636 allows.
#include "base/zone_internal.h"

#include "base/check.h"
#include "base/civil.h"

#define ZONE_MINUTE_S               60
#define ZONE_HOUR_S                 3600
#define ZONE_DAY_S                  86400
#define ZONE_RULE_HOURS_MAX         167
#define ZONE_ABBREVIATION_CHARS_MIN 3
#define ZONE_RULE_DEFAULT_S         (2 * ZONE_HOUR_S) // dates without a time of day are at 02:00
#define ZONE_THURSDAY               4                 // the weekday of 1970-01-01

static bool zone_is_letter(char character)
{
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z');
}

static bool zone_is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static bool zone_take_char(struct slice *text, char wanted)
{
    if (slice_is_empty(*text) || slice_chars(*text)[0] != wanted)
        return false;
    *text = slice_from(*text, 1);
    return true;
}

// A number of one to three digits in [min, max].
static bool zone_take_number(struct slice *text, int min, int max, int *ret_value)
{
    int value = 0;
    size_t digits = 0;
    while (digits < text->size_bytes && digits < 3 && zone_is_digit(slice_chars(*text)[digits]))
        value = value * 10 + (slice_chars(*text)[digits++] - '0');
    if (digits == 0 || value < min || value > max)
        return false;
    *text = slice_from(*text, digits);
    *ret_value = value;
    return true;
}

// The abbreviation itself is of no use to us: letters, or in <> also digits and signs.
static bool zone_take_abbreviation(struct slice *text)
{
    const bool is_quoted = zone_take_char(text, '<');
    size_t chars = 0;
    for (; chars < text->size_bytes; chars++) {
        const char character = slice_chars(*text)[chars];
        const bool is_quoted_only = zone_is_digit(character) || character == '+' ||
                                    character == '-';
        if (!zone_is_letter(character) && !(is_quoted && is_quoted_only))
            break;
    }
    if (chars < ZONE_ABBREVIATION_CHARS_MIN)
        return false;
    *text = slice_from(*text, chars);
    return !is_quoted || zone_take_char(text, '>');
}

// [+-]hh[:mm[:ss]]
static bool zone_take_seconds(struct slice *text, int hours_max, int32_t *ret_seconds)
{
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    const bool is_negative = zone_take_char(text, '-');
    if (!is_negative)
        (void)zone_take_char(text, '+'); // may be left out
    if (!zone_take_number(text, 0, hours_max, &hours))
        return false;
    if (zone_take_char(text, ':')) {
        if (!zone_take_number(text, 0, 59, &minutes))
            return false;
        if (zone_take_char(text, ':') && !zone_take_number(text, 0, 59, &seconds))
            return false;
    }
    const int32_t total = hours * ZONE_HOUR_S + minutes * ZONE_MINUTE_S + seconds;
    *ret_seconds = is_negative ? -total : total;
    return true;
}

static bool zone_take_date(struct slice *text, struct zone_rule_date *ret_date)
{
    struct zone_rule_date date = {.time_s = ZONE_RULE_DEFAULT_S};
    if (!zone_take_char(text, ','))
        return false;
    if (zone_take_char(text, 'M')) {
        date.kind = ZONE_RULE_WEEKDAY;
        if (!zone_take_number(text, 1, 12, &date.month) || !zone_take_char(text, '.') ||
            !zone_take_number(text, 1, 5, &date.week) || !zone_take_char(text, '.') ||
            !zone_take_number(text, 0, 6, &date.day))
            return false;
    } else if (zone_take_char(text, 'J')) {
        date.kind = ZONE_RULE_JULIAN;
        if (!zone_take_number(text, 1, 365, &date.day))
            return false;
    } else {
        date.kind = ZONE_RULE_YEARDAY;
        if (!zone_take_number(text, 0, 365, &date.day))
            return false;
    }
    if (zone_take_char(text, '/') && !zone_take_seconds(text, ZONE_RULE_HOURS_MAX, &date.time_s))
        return false;
    *ret_date = date;
    return true;
}

bool zone_rule_parse(struct slice text, struct zone_rule *ret_rule)
{
    struct zone_rule rule = {0};
    int32_t west_s = 0; // POSIX counts offsets to the west
    if (!zone_take_abbreviation(&text) || !zone_take_seconds(&text, 24, &west_s))
        return false;
    rule.standard_s = -west_s;
    if (!slice_is_empty(text)) {
        if (!zone_take_abbreviation(&text))
            return false;
        rule.has_daylight = true;
        rule.daylight_s = rule.standard_s + ZONE_HOUR_S;
        if (!slice_is_empty(text) && slice_chars(text)[0] != ',') {
            if (!zone_take_seconds(&text, 24, &west_s))
                return false;
            rule.daylight_s = -west_s;
        }
        if (!zone_take_date(&text, &rule.daylight_start) ||
            !zone_take_date(&text, &rule.daylight_end) || !slice_is_empty(text))
            return false;
    }
    *ret_rule = rule;
    return true;
}

// Days since 1970-01-01 of the date in that year.
static int64_t zone_rule_day_number(const struct zone_rule_date *date, int64_t year)
{
    const int64_t new_year = civil_day_number(year, 1, 1);
    const int64_t march = civil_day_number(year, 3, 1);
    switch (date->kind) {
    case ZONE_RULE_JULIAN:
        return date->day < 60 ? new_year + date->day - 1 : march + date->day - 60;
    case ZONE_RULE_YEARDAY:
        return new_year + date->day;
    case ZONE_RULE_WEEKDAY:
        break;
    }
    const int64_t first = civil_day_number(year, date->month, 1);
    const int64_t next_month = date->month == 12 ? civil_day_number(year + 1, 1, 1)
                                                 : civil_day_number(year, date->month + 1, 1);
    int64_t weekday = (first + ZONE_THURSDAY) % 7;
    if (weekday < 0)
        weekday += 7;
    const int64_t day = first + (date->day - weekday + 7) % 7 + (date->week - 1) * 7;
    return day < next_month ? day : day - 7;
}

static int64_t zone_rule_time(const struct zone_rule_date *date, int64_t year, int32_t offset_s)
{
    return zone_rule_day_number(date, year) * ZONE_DAY_S + date->time_s - offset_s;
}

// Takes the change at change_s into the span around time_s. Of two changes at one instant the one
// that is given later wins: daylight time that ends when it begins again lasts all year.
static void zone_span_cut(struct zone_span *span, int64_t time_s, int64_t change_s,
                          int32_t offset_s)
{
    if (change_s > time_s) {
        if (change_s < span->end_s)
            span->end_s = change_s;
    } else if (change_s >= span->start_s) {
        span->start_s = change_s;
        span->offset_s = offset_s;
    }
}

struct zone_span zone_rule_span(const struct zone_rule *rule, int64_t time_s)
{
    struct zone_span span = {INT64_MIN, INT64_MAX, rule->standard_s};
    if (!rule->has_daylight)
        return span;
    // A date can move a week out of its year by its time of day, so two years either way hold the
    // change before and the change after.
    const int64_t year = civil_from_ms(time_s * CIVIL_SECOND_MS).year;
    for (int64_t near = year - 2; near <= year + 2; near++)
        zone_span_cut(&span, time_s, zone_rule_time(&rule->daylight_end, near, rule->daylight_s),
                      rule->standard_s);
    for (int64_t near = year - 2; near <= year + 2; near++)
        zone_span_cut(&span, time_s, zone_rule_time(&rule->daylight_start, near, rule->standard_s),
                      rule->daylight_s);
    ASSERT(span.start_s <= time_s);
    ASSERT(span.end_s > time_s);
    return span;
}
