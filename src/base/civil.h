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

struct civil civil_from_ms(int64_t time_ms);
int64_t civil_to_ms(struct civil civil);
bool civil_is_valid(struct civil civil);

// ISO 8601 as our API takes it: YYYY-MM-DD, or YYYY-MM-DDTHH:MM[:SS[(.|:)fff...]] followed by
// nothing (read as UTC), Z, z, or +-HH:MM, +-HHMM, +-HH (at most 23:59). One to nine digits of
// fraction, truncated to the millisecond, never rounded. No white space, no leap second, no 24:00.
// False for anything else, *ret_time_ms untouched.
bool civil_parse(struct slice text, int64_t *ret_time_ms);

// "2023-05-19T00:00:00.000-00:00", as in the documented example; 29 characters and NUL.
#define CIVIL_API_CHARS 29
void civil_format_api(int64_t time_ms, char ret_text[CIVIL_API_CHARS + 1]);

// "20230519T000000Z", for signatures; 16 characters and NUL.
void civil_format_basic(int64_t time_ms, char ret_text[17]);
