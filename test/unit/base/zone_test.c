// SPDX-License-Identifier: Apache-2.0
// The C library reads the same files with code of its own; so it is the oracle for every zone that
// this machine has, whatever the version of its database. What must not depend on that are tables.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/zone.h"

#define DAY_S  86400
#define YEAR_S (INT64_C(31556952))

struct names {
    size_t count;
    char *texts[2000];
};

struct fixture {
    struct arena arena;
    struct err err;
    struct names names;
    struct rng_seeded rng;
};

static struct names *walked_names; // nftw has no argument for it

// Remembers what a zone of the database is: it begins with a capital, and its file with "TZif".
static int visit_file(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status;
    (void)position;
    const char *name = path + strlen(ZONE_DIRECTORY) + 1;
    if ((type != FTW_F && type != FTW_SL) || name[0] < 'A' || name[0] > 'Z')
        return 0;
    char magic[4] = {0};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t got = fread(magic, 1, sizeof magic, file);
    (void)fclose(file);
    if (got != sizeof magic || memcmp(magic, "TZif", sizeof magic) != 0)
        return 0;
    assert_true(walked_names->count < ARRAY_COUNT(walked_names->texts));
    walked_names->texts[walked_names->count++] = mem_copy_text(name);
    return 0;
}

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    rng_seeded_init(&fixture->rng, 1);
    walked_names = &fixture->names;
    assert_int_equal(nftw(ZONE_DIRECTORY, visit_file, 16, FTW_PHYS), 0);
    assert_true(fixture->names.count > 400);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->names.count; i++)
        mem_free(fixture->names.texts[i]);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static const struct zone *load(struct fixture *fixture, const char *name)
{
    const struct zone *zone = NULL;
    if (!zone_load(ZONE_DIRECTORY, slice_text(name), &fixture->arena, &zone, &fixture->err))
        fail_msg("%s: %s", name, fixture->err.message);
    return zone;
}

static void oracle_use(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, ":%s/%s", ZONE_DIRECTORY, name);
    assert_int_equal(setenv("TZ", path, 1), 0);
    tzset();
}

static int64_t oracle_offset(int64_t time_s)
{
    const time_t time = (time_t)time_s;
    struct tm local;
    assert_non_null(localtime_r(&time, &local));
    return local.tm_gmtoff;
}

static void check_offset(const struct zone *zone, const char *name, int64_t time_s)
{
    const int64_t offset_s = zone_offset_ms(zone, time_s * 1000) / 1000;
    if (offset_s != oracle_offset(time_s))
        fail_msg("%s at %lld: %lld, not %lld", name, (long long)time_s, (long long)offset_s,
                 (long long)oracle_offset(time_s));
}

// Compares both picks of a local time with all instants that show it, by the oracle's offsets
// around.
static void check_local(const struct zone *zone, const char *name, int64_t local_s,
                        int64_t before_s, int64_t after_s)
{
    const int64_t one_s = local_s - before_s;
    const int64_t two_s = local_s - after_s;
    const bool is_one = oracle_offset(one_s) == before_s;
    const bool is_two = oracle_offset(two_s) == after_s;
    int64_t first_s = one_s; // skipped: with the offset before
    int64_t last_s = one_s;
    if (is_one && is_two) {
        first_s = one_s < two_s ? one_s : two_s;
        last_s = one_s < two_s ? two_s : one_s;
    } else if (is_two) {
        first_s = last_s = two_s;
    }
    const struct civil local = civil_from_ms(local_s * 1000 + 999);
    const int64_t first_ms = zone_local_to_ms(zone, local, ZONE_PICK_FIRST);
    const int64_t last_ms = zone_local_to_ms(zone, local, ZONE_PICK_LAST);
    if (first_ms != first_s * 1000 + 999 || last_ms != last_s * 1000 + 999)
        fail_msg("%s, local %lld: %lld and %lld, not %lld and %lld", name, (long long)local_s,
                 (long long)first_ms / 1000, (long long)last_ms / 1000, (long long)first_s,
                 (long long)last_s);
}

// The change of offset in (low, high], found in the oracle.
static int64_t oracle_change(int64_t low_s, int64_t high_s)
{
    const int64_t before_s = oracle_offset(low_s);
    while (high_s - low_s > 1) {
        const int64_t middle_s = low_s + (high_s - low_s) / 2;
        if (oracle_offset(middle_s) == before_s)
            low_s = middle_s;
        else
            high_s = middle_s;
    }
    return high_s;
}

static void check_change(struct fixture *fixture, const struct zone *zone, const char *name,
                         int64_t change_s)
{
    const int64_t before_s = oracle_offset(change_s - 1);
    const int64_t after_s = oracle_offset(change_s);
    const int64_t low_s = change_s + (before_s < after_s ? before_s : after_s);
    const int64_t high_s = change_s + (before_s < after_s ? after_s : before_s);
    for (int64_t time_s = change_s - 2; time_s <= change_s + 2; time_s++)
        check_offset(zone, name, time_s);
    for (int64_t edge_s = -2; edge_s <= 2; edge_s++) {
        check_local(zone, name, low_s + edge_s, before_s, after_s);
        check_local(zone, name, high_s + edge_s, before_s, after_s);
    }
    for (int i = 0; i < 10; i++) {
        const uint64_t width_s = (uint64_t)(high_s - low_s) + 7200;
        const int64_t local_s = low_s - 3600 + (int64_t)rng_below(&fixture->rng.base, width_s);
        check_local(zone, name, local_s, before_s, after_s);
    }
}

// Every change of a year, and how many there were.
static size_t check_year(struct fixture *fixture, const struct zone *zone, const char *name,
                         int64_t year)
{
    size_t change_count = 0;
    int64_t time_s = civil_day_number(year, 1, 1) * DAY_S;
    for (const int64_t end_s = time_s + 365 * DAY_S; time_s < end_s; time_s += 3 * DAY_S) {
        if (oracle_offset(time_s) == oracle_offset(time_s + 3 * DAY_S))
            continue;
        check_change(fixture, zone, name, oracle_change(time_s, time_s + 3 * DAY_S));
        change_count++;
    }
    return change_count;
}

static void check_random_instants(struct fixture *fixture, const struct zone *zone,
                                  const char *name, int64_t from_year, int64_t to_year)
{
    const int64_t from_s = civil_day_number(from_year, 1, 1) * DAY_S;
    const uint64_t width_s = (uint64_t)((to_year - from_year) * YEAR_S);
    for (int i = 0; i < 100; i++)
        check_offset(zone, name, from_s + (int64_t)rng_below(&fixture->rng.base, width_s));
}

static void test_every_zone_agrees_with_the_c_library(void **state)
{
    struct fixture *fixture = *state;
    size_t change_count = 0;
    for (size_t i = 0; i < fixture->names.count; i++) {
        const char *name = fixture->names.texts[i];
        const struct zone *zone = load(fixture, name);
        oracle_use(name);
        check_random_instants(fixture, zone, name, 1850, 1970);
        check_random_instants(fixture, zone, name, 1970, 2038);
        check_random_instants(fixture, zone, name, 2038, 2600);
        static const int64_t from_years[] = {1970, 1987, 2004, 2021, 2038, 2100};
        static const int64_t to_years[] = {1987, 2004, 2021, 2038, 2100, 2900};
        for (size_t j = 0; j < ARRAY_COUNT(from_years); j++) {
            const uint64_t years = (uint64_t)(to_years[j] - from_years[j]);
            const int64_t year = from_years[j] + (int64_t)rng_below(&fixture->rng.base, years);
            change_count += check_year(fixture, zone, name, year);
        }
    }
    assert_true(change_count > 1500);
}

struct local_case {
    const char *zone;
    const char *local;
    const char *first;
    const char *last;
};

static void test_skipped_and_repeated_times(void **state)
{
    struct fixture *fixture = *state;
    static const struct local_case cases[] = {
        {"UTC", "2024-03-31T02:30:00", "2024-03-31T02:30:00Z", "2024-03-31T02:30:00Z"},
        {"Etc/GMT+5", "2024-03-31T02:30:00", "2024-03-31T07:30:00Z", "2024-03-31T07:30:00Z"},
        {"Europe/Berlin", "2024-03-31T01:59:59.999", "2024-03-31T00:59:59.999Z",
         "2024-03-31T00:59:59.999Z"},
        {"Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T01:30:00Z", "2024-03-31T01:30:00Z"},
        {"Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"},
        {"Europe/Berlin", "2024-10-27T03:00:00", "2024-10-27T02:00:00Z", "2024-10-27T02:00:00Z"},
        {"America/New_York", "2024-03-10T02:00:00", "2024-03-10T07:00:00Z", "2024-03-10T07:00:00Z"},
        {"America/New_York", "2024-11-03T01:59:59.999", "2024-11-03T05:59:59.999Z",
         "2024-11-03T06:59:59.999Z"},
        {"US/Pacific", "2199-07-01T00:00:00", "2199-07-01T07:00:00Z", "2199-07-01T07:00:00Z"},
        // Summer time of half an hour.
        {"Australia/Lord_Howe", "2024-04-07T01:45:00", "2024-04-06T14:45:00Z",
         "2024-04-06T15:15:00Z"},
        // Midnight itself comes twice, or never.
        {"America/Havana", "2024-11-03T00:30:00", "2024-11-03T04:30:00Z", "2024-11-03T05:30:00Z"},
        {"America/Havana", "2024-03-10T00:00:00", "2024-03-10T05:00:00Z", "2024-03-10T05:00:00Z"},
        // A whole day that the island never had.
        {"Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z", "2011-12-30T22:00:00Z"},
        // A quarter of an hour, once.
        {"Asia/Kathmandu", "1986-01-01T00:10:00", "1985-12-31T18:40:00Z", "1985-12-31T18:40:00Z"},
        // Two hours at the pole; winter time that is called daylight time in Ireland.
        {"Antarctica/Troll", "2024-10-27T01:30:00", "2024-10-26T23:30:00Z", "2024-10-27T01:30:00Z"},
        {"Europe/Dublin", "2024-10-27T01:30:00", "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"},
        // Before the first transition: local mean time, 53 minutes and 28 seconds.
        {"Europe/Berlin", "1850-01-01T00:00:00", "1849-12-31T23:06:32Z", "1849-12-31T23:06:32Z"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const struct zone *zone = load(fixture, cases[i].zone);
        struct civil_text local;
        int64_t first_ms = 0;
        int64_t last_ms = 0;
        assert_true(civil_read(slice_text(cases[i].local), &local));
        assert_true(civil_parse(slice_text(cases[i].first), &first_ms));
        assert_true(civil_parse(slice_text(cases[i].last), &last_ms));
        if (zone_local_to_ms(zone, local.civil, ZONE_PICK_FIRST) != first_ms ||
            zone_local_to_ms(zone, local.civil, ZONE_PICK_LAST) != last_ms)
            fail_msg("%s %s", cases[i].zone, cases[i].local);
    }
}

static void test_no_zone_is_utc_from_end_to_end(void **state)
{
    (void)state;
    static const int64_t times_ms[] = {CIVIL_FIRST_MS, -1, 0, 1700000000123, CIVIL_LAST_MS};
    for (size_t i = 0; i < ARRAY_COUNT(times_ms); i++) {
        assert_int_equal(zone_offset_ms(NULL, times_ms[i]), 0);
        assert_int_equal(zone_local_to_ms(NULL, civil_from_ms(times_ms[i]), ZONE_PICK_LAST),
                         times_ms[i]);
    }
}

static void test_the_ends_of_time_have_an_instant(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < fixture->names.count; i++) {
        const struct zone *zone = load(fixture, fixture->names.texts[i]);
        const int64_t first_ms = zone_local_to_ms(zone, civil_from_ms(CIVIL_FIRST_MS),
                                                  ZONE_PICK_FIRST);
        const int64_t last_ms = zone_local_to_ms(zone, civil_from_ms(CIVIL_LAST_MS),
                                                 ZONE_PICK_LAST);
        assert_in_range(first_ms - CIVIL_FIRST_MS + CIVIL_DAY_MS, 0, 2 * CIVIL_DAY_MS);
        assert_int_equal(last_ms, CIVIL_LAST_MS - zone_offset_ms(zone, CIVIL_LAST_MS));
    }
}

static void test_names_that_are_none(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {
        "",
        "/",
        "Europe",
        "Europe/",
        "/Europe/Berlin",
        "Europe//Berlin",
        "Europe/berlin",
        "utc",
        "europe/Berlin",
        "Europe/Berlin ",
        " Europe/Berlin",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "./UTC",
        "posix/UTC",
        "right/UTC",
        "localtime",
        "posixrules",
        "tzdata.zi",
        "leapseconds",
        "UTC/UTC",
        "Mars/Olympus",
        "PST",
        "GMT+5",
        "UTC+2",
        "+02:00",
        "Europe\\Berlin",
        "EST5EDT,M",
        "Europe/Berlin%00",
        "Europ\xc3\xa9/Paris",
        "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    for (size_t i = 0; i <= ARRAY_COUNT(names); i++) {
        const struct zone *zone = NULL;
        const struct slice name = i < ARRAY_COUNT(names) ? slice_text(names[i])
                                                         : slice_of("UTC\0x", 5);
        err_clear(&fixture->err);
        if (zone_load(ZONE_DIRECTORY, name, &fixture->arena, &zone, &fixture->err))
            fail_msg("%zu is a zone", i);
        assert_int_equal(fixture->err.kind, ERR_INVALID);
        assert_string_equal(fixture->err.message, "Invalid timezone");
        assert_null(zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_zone_agrees_with_the_c_library),
        cmocka_unit_test(test_skipped_and_repeated_times),
        cmocka_unit_test(test_no_zone_is_utc_from_end_to_end),
        cmocka_unit_test(test_the_ends_of_time_have_an_instant),
        cmocka_unit_test(test_names_that_are_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
