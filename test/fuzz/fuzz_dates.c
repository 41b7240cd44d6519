// SPDX-License-Identifier: Apache-2.0
// Dates, files of time zones and the rules at their end. The first byte says what the rest is:
// 'D' a date, 'F' a TZif file, 'R' a POSIX rule, a line feed and a date that is read in it.
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "model/export_dates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What is read can be written, and is read again as the same.
static void check_date(struct slice text, const struct zone *zone)
{
    struct export_dates dates = {0};
    int64_t time_ms = 0;
    if (civil_parse(text, &time_ms)) {
        char again[CIVIL_API_CHARS + 1];
        int64_t again_ms = 0;
        civil_format_api(time_ms, again);
        const bool is_read = civil_parse(slice_text(again), &again_ms);
        ASSERT(is_read);
        ASSERT(again_ms == time_ms);
    }
    const bool is_start = export_dates_parse_start(text, zone, &dates.start_ms, NULL);
    const bool is_end = export_dates_parse_end(text, zone, &dates.end_ms, NULL);
    const struct export_dates_limits limits = {.span_days = 1, .look_back_days = 1};
    if (is_start && is_end) {
        // A gap of over a day, as only a made-up zone has, can move the start past the end.
        ASSERT(zone != NULL || dates.start_ms < dates.end_ms);
        (void)!export_dates_check(&dates, zone, &limits, 1700000000000, NULL);
    }
    struct export_dates hour;
    struct export_dates day;
    if (export_dates_parse_hour(text, &hour, NULL)) {
        ASSERT(!is_start); // one reader for each form
        ASSERT(hour.start_ms % CIVIL_HOUR_MS == 0);
    }
    if (export_dates_parse_day(text, &day, NULL))
        ASSERT(day.end_ms - day.start_ms == CIVIL_DAY_MS);
}

// Both picks show the local time, or it is shown never and both are the same.
static void check_local(const struct zone *zone, int64_t local_ms)
{
    const struct civil local = civil_from_ms(local_ms);
    const int64_t first_ms = zone_local_to_ms(zone, local, ZONE_PICK_FIRST);
    const int64_t last_ms = zone_local_to_ms(zone, local, ZONE_PICK_LAST);
    ASSERT(first_ms <= last_ms);
    ASSERT(first_ms > local_ms - 26 * CIVIL_HOUR_MS);
    ASSERT(last_ms < local_ms + 26 * CIVIL_HOUR_MS);
    const bool is_shown = first_ms + zone_offset_ms(zone, first_ms) == local_ms;
    ASSERT(is_shown == (last_ms + zone_offset_ms(zone, last_ms) == local_ms));
    ASSERT(is_shown || first_ms == last_ms);
}

static void check_zone(const struct zone *zone, struct slice seed)
{
    int64_t random = 0;
    for (size_t i = 0; i < seed.size_bytes; i++)
        random = (random * 31 + (uint8_t)slice_chars(seed)[i]) % (CIVIL_LAST_MS / 2);
    const int64_t times_ms[] = {CIVIL_FIRST_MS + 7 * CIVIL_DAY_MS, 0,      1700000000999,
                                CIVIL_LAST_MS - 7 * CIVIL_DAY_MS,  random, -random / 8};
    for (size_t i = 0; i < ARRAY_COUNT(times_ms); i++) {
        check_local(zone, times_ms[i]);
        for (int64_t step_ms = -CIVIL_DAY_MS; step_ms <= CIVIL_DAY_MS; step_ms += CIVIL_HOUR_MS)
            check_local(zone, times_ms[i] + zone_offset_ms(zone, times_ms[i]) + step_ms);
    }
}

// A file of one type and no transitions, whose rule is the text.
static bool parse_rule(struct slice rule, struct arena *arena, const struct zone **ret_zone)
{
    static const char header[44] = "TZif2";
    static const char one_type[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 1};
    struct buf file CLEANUP(buf_clear) = {0};
    buf_init(&file, 64 * 1024);
    buf_append(&file, slice_of(header, sizeof header));
    buf_append(&file, slice_of(one_type, sizeof one_type));
    buf_append(&file, slice_of("\0\0\0\0\0\0\0\n", 8));
    buf_append(&file, rule);
    buf_append_char(&file, '\n');
    return zone_parse(buf_slice(&file), arena, ret_zone, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct slice rest = slice_of(data + 1, size - 1);
    const struct zone *zone = NULL;
    struct err err = {0};
    if (data[0] == 'D') {
        check_date(rest, NULL);
    } else if (data[0] == 'F') {
        if (zone_parse(rest, &arena, &zone, &err))
            check_zone(zone, rest);
        else
            ASSERT(err.kind == ERR_CORRUPT);
    } else if (data[0] == 'R' && rest.size_bytes > 0) {
        const char *end = memchr(rest.data, '\n', rest.size_bytes);
        const size_t rule_bytes = end == NULL ? rest.size_bytes : (size_t)(end - slice_chars(rest));
        if (parse_rule(slice_part(rest, 0, rule_bytes), &arena, &zone)) {
            check_zone(zone, rest);
            if (end != NULL)
                check_date(slice_from(rest, rule_bytes + 1), zone);
        }
    }
    return 0;
}
