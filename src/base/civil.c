// SPDX-License-Identifier: Apache-2.0
#include "base/civil.h"

#include <stdio.h>

#include "base/check.h"

// Here and in civil_from_ms years are counted from March, so that the leap day is last, in eras of
// 400 years (146,097 days).
int64_t civil_day_number(int64_t year, int month, int64_t day)
{
    const int64_t march_year = month <= 2 ? year - 1 : year;
    const int64_t era = (march_year >= 0 ? march_year : march_year - 399) / 400;
    const int64_t year_of_era = march_year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
                               day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int civil_days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

bool civil_is_valid(struct civil civil)
{
    return civil.year >= 0 && civil.year <= 9999 && civil.month >= 1 && civil.month <= 12 &&
           civil.day >= 1 && civil.day <= civil_days_in_month(civil.year, civil.month) &&
           civil.hour >= 0 && civil.hour <= 23 && civil.minute >= 0 && civil.minute <= 59 &&
           civil.second >= 0 && civil.second <= 59 && civil.millisecond >= 0 &&
           civil.millisecond <= 999;
}

int64_t civil_to_ms(struct civil civil)
{
    ASSERT(civil_is_valid(civil));
    return civil_day_number(civil.year, civil.month, civil.day) * CIVIL_DAY_MS +
           civil.hour * CIVIL_HOUR_MS + civil.minute * CIVIL_MINUTE_MS +
           civil.second * CIVIL_SECOND_MS + civil.millisecond;
}

struct civil civil_from_ms(int64_t time_ms)
{
    int64_t days = time_ms / CIVIL_DAY_MS;
    int64_t rest_ms = time_ms % CIVIL_DAY_MS;
    if (rest_ms < 0) {
        rest_ms += CIVIL_DAY_MS;
        days--;
    }
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era -
                                (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted_month = (5 * day_of_year + 2) / 153;
    const int month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    return (struct civil){
        .year = (int)(year_of_era + era * 400 + (month <= 2 ? 1 : 0)),
        .month = month,
        .day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1),
        .hour = (int)(rest_ms / CIVIL_HOUR_MS),
        .minute = (int)(rest_ms / CIVIL_MINUTE_MS % 60),
        .second = (int)(rest_ms / CIVIL_SECOND_MS % 60),
        .millisecond = (int)(rest_ms % 1000),
    };
}

// Reads exactly digit_count digits at *cursor and moves it on.
static bool civil_take_digits(struct slice text, size_t *cursor, size_t digit_count, int *ret_value)
{
    if (text.size_bytes - *cursor < digit_count)
        return false;
    int value = 0;
    for (size_t i = 0; i < digit_count; i++) {
        const char character = slice_chars(text)[*cursor + i];
        if (character < '0' || character > '9')
            return false;
        value = value * 10 + (character - '0');
    }
    *cursor += digit_count;
    *ret_value = value;
    return true;
}

static bool civil_take_char(struct slice text, size_t *cursor, char wanted)
{
    if (*cursor >= text.size_bytes || slice_chars(text)[*cursor] != wanted)
        return false;
    (*cursor)++;
    return true;
}

static bool civil_take_fraction(struct slice text, size_t *cursor, int *ret_millisecond)
{
    int millisecond = 0;
    int scale = 100;
    size_t digits = 0;
    int digit;
    while (digits < 10 && civil_take_digits(text, cursor, 1, &digit)) {
        millisecond += digit * scale;
        scale /= 10;
        digits++;
    }
    *ret_millisecond = millisecond;
    return digits >= 1 && digits <= 9;
}

static bool civil_take_offset(struct slice text, size_t *cursor, struct civil_text *ret_text)
{
    if (*cursor == text.size_bytes)
        return true;
    ret_text->has_offset = true;
    if (civil_take_char(text, cursor, 'Z') || civil_take_char(text, cursor, 'z'))
        return true;
    const bool is_negative = civil_take_char(text, cursor, '-');
    if (!is_negative && !civil_take_char(text, cursor, '+'))
        return false;
    int hour = 0;
    int minute = 0;
    if (!civil_take_digits(text, cursor, 2, &hour))
        return false;
    if (*cursor < text.size_bytes) {
        (void)civil_take_char(text, cursor, ':'); // the colon may be left out
        if (!civil_take_digits(text, cursor, 2, &minute))
            return false;
    }
    if (hour > 23 || minute > 59)
        return false;
    const int64_t offset_ms = hour * CIVIL_HOUR_MS + minute * CIVIL_MINUTE_MS;
    ret_text->offset_ms = is_negative ? -offset_ms : offset_ms;
    return true;
}

static bool civil_take_date(struct slice text, size_t *cursor, struct civil *ret_civil)
{
    return civil_take_digits(text, cursor, 4, &ret_civil->year) &&
           civil_take_char(text, cursor, '-') &&
           civil_take_digits(text, cursor, 2, &ret_civil->month) &&
           civil_take_char(text, cursor, '-') &&
           civil_take_digits(text, cursor, 2, &ret_civil->day);
}

static bool civil_take_minutes(struct slice text, size_t *cursor, struct civil *ret_civil)
{
    return civil_take_digits(text, cursor, 2, &ret_civil->hour) &&
           civil_take_char(text, cursor, ':') &&
           civil_take_digits(text, cursor, 2, &ret_civil->minute);
}

static bool civil_take_time(struct slice text, size_t *cursor, struct civil_text *ret_text)
{
    if (!civil_take_char(text, cursor, 'T') || !civil_take_minutes(text, cursor, &ret_text->civil))
        return false;
    ret_text->unit = CIVIL_UNIT_MINUTE;
    if (civil_take_char(text, cursor, ':')) {
        if (!civil_take_digits(text, cursor, 2, &ret_text->civil.second))
            return false;
        ret_text->unit = CIVIL_UNIT_SECOND;
        if (civil_take_char(text, cursor, '.') || civil_take_char(text, cursor, ':')) {
            if (!civil_take_fraction(text, cursor, &ret_text->civil.millisecond))
                return false;
            ret_text->unit = CIVIL_UNIT_MILLISECOND;
        }
    }
    return civil_take_offset(text, cursor, ret_text);
}

bool civil_read(struct slice text, struct civil_text *ret_text)
{
    struct civil_text read = {.unit = CIVIL_UNIT_DAY};
    size_t cursor = 0;
    if (!civil_take_date(text, &cursor, &read.civil))
        return false;
    if (cursor < text.size_bytes && !civil_take_time(text, &cursor, &read))
        return false;
    if (cursor != text.size_bytes || !civil_is_valid(read.civil))
        return false;
    *ret_text = read;
    return true;
}

bool civil_read_spaced(struct slice text, struct civil_text *ret_text)
{
    struct civil_text read = {.unit = CIVIL_UNIT_SECOND};
    size_t cursor = 0;
    if (!civil_take_date(text, &cursor, &read.civil) || !civil_take_char(text, &cursor, ' ') ||
        !civil_take_minutes(text, &cursor, &read.civil) || !civil_take_char(text, &cursor, ':') ||
        !civil_take_digits(text, &cursor, 2, &read.civil.second) || cursor != text.size_bytes ||
        !civil_is_valid(read.civil))
        return false;
    *ret_text = read;
    return true;
}

bool civil_parse(struct slice text, int64_t *ret_time_ms)
{
    struct civil_text read;
    if (!civil_read(text, &read))
        return false;
    const int64_t time_ms = civil_to_ms(read.civil) - read.offset_ms;
    if (time_ms < CIVIL_FIRST_MS || time_ms > CIVIL_LAST_MS)
        return false;
    *ret_time_ms = time_ms;
    return true;
}

void civil_format_api(int64_t time_ms, char ret_text[CIVIL_API_CHARS + 1])
{
    const struct civil civil = civil_from_ms(time_ms);
    ASSERT(civil_is_valid(civil));
    char text[96];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03d-00:00", civil.year,
                   civil.month, civil.day, civil.hour, civil.minute, civil.second,
                   civil.millisecond);
    memcpy(ret_text, text, CIVIL_API_CHARS + 1);
}

void civil_format_basic(int64_t time_ms, char ret_text[17])
{
    const struct civil civil = civil_from_ms(time_ms);
    ASSERT(civil_is_valid(civil));
    char text[96];
    (void)snprintf(text, sizeof text, "%04d%02d%02dT%02d%02d%02dZ", civil.year, civil.month,
                   civil.day, civil.hour, civil.minute, civil.second);
    memcpy(ret_text, text, 17);
}

// --- HTTP

static const char *const civil_month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const civil_day_names[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};

static const char *civil_day_name(int64_t time_ms)
{
    const int64_t day = time_ms / CIVIL_DAY_MS - (time_ms % CIVIL_DAY_MS < 0 ? 1 : 0);
    return civil_day_names[(day % 7 + 7) % 7];
}

void civil_format_http(int64_t time_ms, char ret_text[CIVIL_HTTP_CHARS + 1])
{
    const struct civil civil = civil_from_ms(time_ms);
    ASSERT(civil_is_valid(civil));
    char text[96];
    (void)snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                   civil_day_name(time_ms), civil.day, civil_month_names[civil.month - 1],
                   civil.year, civil.hour, civil.minute, civil.second);
    memcpy(ret_text, text, CIVIL_HTTP_CHARS + 1);
}

bool civil_parse_http(struct slice text, int64_t *ret_time_ms)
{
    if (text.size_bytes != CIVIL_HTTP_CHARS)
        return false;
    struct civil civil = {0};
    for (int month = 1; month <= 12; month++)
        if (slice_equal_text(slice_part(text, 8, 3), civil_month_names[month - 1]))
            civil.month = month;
    size_t cursor = 5;
    if (!civil_take_digits(text, &cursor, 2, &civil.day))
        return false;
    cursor = 12;
    if (!civil_take_digits(text, &cursor, 4, &civil.year) || !civil_take_char(text, &cursor, ' ') ||
        !civil_take_minutes(text, &cursor, &civil) || !civil_take_char(text, &cursor, ':') ||
        !civil_take_digits(text, &cursor, 2, &civil.second) || !civil_is_valid(civil))
        return false;
    const int64_t time_ms = civil_to_ms(civil);
    char expected[CIVIL_HTTP_CHARS + 1];
    civil_format_http(time_ms, expected); // the day of the week and what is between, too
    if (!slice_equal_text(text, expected))
        return false;
    *ret_time_ms = time_ms;
    return true;
}
