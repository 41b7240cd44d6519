// SPDX-License-Identifier: Apache-2.0
// Civil time in UTC (proleptic Gregorian calendar), by arithmetic alone: no time zone of the
// process, no locale, no leap seconds. Milliseconds since 1970-01-01T00:00:00Z.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CIVIL_SECOND_MS INT64_C(1000)
#define CIVIL_MINUTE_MS INT64_C(60000)
#define CIVIL_HOUR_MS   INT64_C(3600000)
#define CIVIL_DAY_MS    INT64_C(86400000)

struct civil {
    int year;  // 0 to 9999
    int month; // 1 to 12
    int day;   // 1 to 31
    int hour;
    int minute;
    int second;
    int millisecond;
};

// The first and last instant that the formats below can write: years 0 to 9999.
#define CIVIL_FIRST_MS INT64_C(-62167219200000)
#define CIVIL_LAST_MS  INT64_C(253402300799999)

struct civil civil_from_ms(int64_t time_ms);
int64_t civil_to_ms(struct civil civil);
bool civil_is_valid(struct civil civil);

// Days since 1970-01-01; any year, month 1 to 12, day 1 or later (days past the month's end count
// on).
int64_t civil_day_number(int64_t year, int month, int64_t day);

// A date as it was written, before an offset or a time zone makes it an instant.
enum civil_unit {
    CIVIL_UNIT_DAY,
    CIVIL_UNIT_MINUTE,
    CIVIL_UNIT_SECOND,
    CIVIL_UNIT_MILLISECOND,
};

struct civil_text {
    struct civil civil;
    enum civil_unit unit; // the last one that was written
    bool has_offset;      // Z, z or +-HH:MM was written
    int64_t offset_ms;    // local minus UTC
};

// ISO 8601 as our API takes it: YYYY-MM-DD, or YYYY-MM-DDTHH:MM[:SS[(.|:)fff...]] followed by
// nothing, Z, z, or +-HH:MM, +-HHMM, +-HH (at most 23:59). One to nine digits of fraction,
// truncated to the millisecond, never rounded. No white space, no leap second, no 24:00. False for
// anything else, *ret_text untouched.
bool civil_read(struct slice text, struct civil_text *ret_text);

// YYYY-MM-DD hh:mm:ss and nothing else.
bool civil_read_spaced(struct slice text, struct civil_text *ret_text);

// As civil_read, to the instant; without an offset it is UTC. False, too, when the offset leads out
// of the years 0 to 9999.
bool civil_parse(struct slice text, int64_t *ret_time_ms);

// "2023-05-19T00:00:00.000-00:00", as in the documented example; 29 characters and NUL.
#define CIVIL_API_CHARS 29
void civil_format_api(int64_t time_ms, char ret_text[CIVIL_API_CHARS + 1]);

// "20230519T000000Z", for signatures; 16 characters and NUL.
void civil_format_basic(int64_t time_ms, char ret_text[17]);

// "Sun, 06 Nov 1994 08:49:37 GMT", as HTTP has it; 29 characters and NUL.
#define CIVIL_HTTP_CHARS 29
void civil_format_http(int64_t time_ms, char ret_text[CIVIL_HTTP_CHARS + 1]);
// That form and nothing else; false otherwise, *ret_time_ms untouched.
bool civil_parse_http(struct slice text, int64_t *ret_time_ms);
