// SPDX-License-Identifier: Apache-2.0
// Files that are damaged, cut, or lie; rules at the end of files; and where files come from.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/zone.h"

#define HOUR_MS CIVIL_HOUR_MS

struct fixture {
    char directory[64];
    char path[160];
    struct arena arena;
    struct err err;
    struct buf bytes;
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    arena_init(&fixture->arena);
    buf_init(&fixture->bytes, 4 * ZONE_FILE_BYTES_MAX);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/milkrun-zone-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    *state = fixture;
    return 0;
}

static const char *at(struct fixture *fixture, const char *name)
{
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->directory, name);
    return fixture->path;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"tzdata.zi", "+VERSION", "Home", "Large", ""};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        (void)remove(at(fixture, names[i]));
    arena_clear(&fixture->arena);
    buf_clear(&fixture->bytes);
    mem_free(fixture);
    return 0;
}

static void put(struct fixture *fixture, const char *name, struct slice bytes)
{
    assert_true(file_replace(at(fixture, name), bytes, &fixture->err));
}

// --- building files

struct file_plan {
    char version; // '\0' for version 1
    const char *footer;
    uint32_t counts[6]; // as in the header: ut, standard, leap, time, type, char
    const int64_t *times_s;
    const uint8_t *indexes;
    const int32_t *offsets_s;
    uint8_t abbreviation;
    uint8_t daylight;
    char last_char;
};

static void add_number(struct buf *buf, uint64_t value, size_t size_bytes)
{
    for (size_t i = size_bytes; i-- > 0;)
        buf_append_char(buf, (char)(value >> (8 * i) & 0xff));
}

static void add_header(struct buf *buf, char version, const uint32_t counts[6])
{
    buf_append_text(buf, "TZif");
    buf_append_char(buf, version);
    add_number(buf, 0, 8);
    add_number(buf, 0, 7);
    for (size_t i = 0; i < 6; i++)
        add_number(buf, counts[i], 4);
}

// Writes what the plan says; counts beyond a small number are lies and have no bytes.
static struct slice build(struct fixture *fixture, const struct file_plan *plan)
{
    struct buf *buf = &fixture->bytes;
    const size_t time_bytes = plan->version == '\0' ? 4 : 8;
    buf_reset(buf);
    if (plan->version != '\0')
        add_header(buf, plan->version, (const uint32_t[6]){0});
    add_header(buf, plan->version, plan->counts);
    for (size_t i = 0; i < plan->counts[3] && plan->times_s != NULL; i++)
        add_number(buf, (uint64_t)plan->times_s[i], time_bytes);
    for (size_t i = 0; i < plan->counts[3] && plan->times_s != NULL; i++)
        add_number(buf, plan->indexes[i], 1);
    for (size_t i = 0; i < plan->counts[4] && i < 300; i++) {
        add_number(buf, (uint32_t)(plan->offsets_s == NULL ? 0 : plan->offsets_s[i]), 4);
        buf_append_char(buf, (char)plan->daylight);
        buf_append_char(buf, (char)plan->abbreviation);
    }
    for (size_t i = 0; i + 1 < plan->counts[5] && i < 300; i++)
        buf_append_char(buf, 'A');
    buf_append_char(buf, plan->last_char);
    for (size_t i = 0; i < plan->counts[2] && i < 300; i++)
        add_number(buf, 0, time_bytes + 4 < 8 ? 8 : time_bytes);
    if (plan->footer != NULL)
        buf_append_text(buf, plan->footer);
    return buf_slice(buf);
}

// From an allocation of exactly that size, so that a byte too far is seen.
static bool parse(struct fixture *fixture, struct slice bytes, const struct zone **ret_zone)
{
    char *copy CLEANUP(mem_free_at) = mem_alloc(bytes.size_bytes);
    memcpy(copy, bytes.data, bytes.size_bytes);
    err_clear(&fixture->err);
    return zone_parse(slice_of(copy, bytes.size_bytes), &fixture->arena, ret_zone, &fixture->err);
}

static void check_corrupt(struct fixture *fixture, const struct file_plan *plan, const char *what)
{
    const struct zone *zone = NULL;
    if (parse(fixture, build(fixture, plan), &zone))
        fail_msg("read in spite of: %s", what);
    assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    if (strstr(fixture->err.message, what) == NULL)
        fail_msg("%s, not: %s", fixture->err.message, what);
    assert_null(zone);
}

static const int64_t two_times_s[] = {0, 1000000};
static const uint8_t two_indexes[] = {1, 0};
static const int32_t two_offsets_s[] = {-3600, 7200};
static const struct file_plan good_plan = {
    .version = '2',
    .footer = "\n<+02>-2\n",
    .counts = {0, 0, 0, 2, 2, 4},
    .times_s = two_times_s,
    .indexes = two_indexes,
    .offsets_s = two_offsets_s,
};

static void test_what_a_small_file_says(void **state)
{
    struct fixture *fixture = *state;
    const struct zone *zone = NULL;
    assert_true(parse(fixture, build(fixture, &good_plan), &zone));
    assert_int_equal(zone_offset_ms(zone, -1), -HOUR_MS);
    assert_int_equal(zone_offset_ms(zone, 0), 2 * HOUR_MS);
    assert_int_equal(zone_offset_ms(zone, 999999999), 2 * HOUR_MS);
    assert_int_equal(zone_offset_ms(zone, 1000000000), 2 * HOUR_MS); // the rule's, not the list's

    struct file_plan plan = good_plan; // without a rule the list's last offset stays
    plan.footer = "\n\n";
    assert_true(parse(fixture, build(fixture, &plan), &zone));
    assert_int_equal(zone_offset_ms(zone, CIVIL_LAST_MS), -HOUR_MS);

    plan.version = '\0'; // the first version has 4 bytes per time and no rule
    plan.footer = NULL;
    assert_true(parse(fixture, build(fixture, &plan), &zone));
    assert_int_equal(zone_offset_ms(zone, 999999999), 2 * HOUR_MS);
    assert_int_equal(zone_offset_ms(zone, 1000000000), -HOUR_MS);
    assert_int_equal(zone_offset_ms(zone, CIVIL_FIRST_MS), -HOUR_MS);

    plan = (struct file_plan){.version = '4', .footer = "\nEST5\n", .counts = {1, 1, 0, 0, 1, 1}};
    struct buf *buf = &fixture->bytes; // no times at all; indicators for its one type
    (void)build(fixture, &plan);
    buf->size_bytes -= strlen(plan.footer);
    buf_append(buf, slice_of("\0\0\nEST5\n", 8));
    assert_true(parse(fixture, buf_slice(buf), &zone));
    assert_int_equal(zone_offset_ms(zone, 0), -5 * HOUR_MS);
}

static void test_files_that_lie(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 6; i++) {
        struct file_plan plan = good_plan;
        const struct zone *zone = NULL;
        plan.counts[i] = UINT32_MAX;
        plan.times_s = i == 3 ? NULL : plan.times_s;
        plan.offsets_s = NULL;
        assert_false(parse(fixture, build(fixture, &plan), &zone));
        assert_int_equal(fixture->err.kind, ERR_CORRUPT);
    }
    struct file_plan plan = good_plan;
    plan.counts[4] = 0;
    check_corrupt(fixture, &plan, "no types");
    plan = good_plan;
    plan.offsets_s = NULL;
    plan.counts[4] = 257;
    check_corrupt(fixture, &plan, "no types, or too many");
    plan = good_plan;
    plan.counts[0] = 1;
    check_corrupt(fixture, &plan, "indicators");
    plan = good_plan;
    plan.counts[2] = 1;
    check_corrupt(fixture, &plan, "leap seconds");
    plan = good_plan;
    plan.indexes = (const uint8_t[]){0, 2};
    check_corrupt(fixture, &plan, "unknown type");
    plan = good_plan;
    plan.times_s = (const int64_t[]){5, 5};
    check_corrupt(fixture, &plan, "out of order");
    plan.times_s = (const int64_t[]){INT64_MIN, 5};
    check_corrupt(fixture, &plan, "impossible time");
    plan.times_s = (const int64_t[]){5, INT64_MAX};
    check_corrupt(fixture, &plan, "impossible time");
    plan = good_plan;
    plan.offsets_s = (const int32_t[]){0, 93600};
    check_corrupt(fixture, &plan, "impossible type");
    plan.offsets_s = (const int32_t[]){-90000, 0};
    check_corrupt(fixture, &plan, "impossible type");
    plan = good_plan;
    plan.abbreviation = 4;
    check_corrupt(fixture, &plan, "impossible type");
    plan = good_plan;
    plan.daylight = 2;
    check_corrupt(fixture, &plan, "impossible type");
    plan = good_plan;
    plan.last_char = 'A';
    check_corrupt(fixture, &plan, "without an end");
    plan = good_plan;
    plan.version = '1';
    check_corrupt(fixture, &plan, "version");
    plan.version = '\0';
    check_corrupt(fixture, &plan, "after the end");
}

static void test_every_cut_is_found_and_no_flipped_bit_harms(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"Europe/Berlin", "America/Nuuk", "UTC"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct buf file CLEANUP(buf_clear) = {0};
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", ZONE_DIRECTORY, names[i]);
        buf_init(&file, ZONE_FILE_BYTES_MAX);
        assert_true(file_read(path, &file, &fixture->err));
        for (size_t size = 0; size < file.size_bytes; size++) {
            const struct zone *zone = NULL;
            if (parse(fixture, slice_part(buf_slice(&file), 0, size), &zone))
                fail_msg("%s is read after a cut at %zu", names[i], size);
            assert_int_equal(fixture->err.kind, ERR_CORRUPT);
        }
        size_t refused_count = 0;
        for (size_t bit = 0; bit < file.size_bytes * 8; bit++) {
            const struct zone *zone = NULL;
            file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
            if (!parse(fixture, buf_slice(&file), &zone))
                refused_count++;
            else
                (void)zone_local_to_ms(zone, civil_from_ms(1700000000000), ZONE_PICK_LAST);
            file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
        }
        assert_true(refused_count > 100);
    }
}

// --- rules

struct rule_case {
    const char *rule;
    const char *time;
    int offset_minutes;
};

static void test_rules(void **state)
{
    struct fixture *fixture = *state;
    static const struct rule_case cases[] = {
        {"UTC0", "2024-01-01", 0},
        {"<+0545>-5:45", "2024-01-01", 345},
        {"EST5EDT,M3.2.0,M11.1.0", "2024-03-10T06:59:59.999Z", -300},
        {"EST5EDT,M3.2.0,M11.1.0", "2024-03-10T07:00:00Z", -240},
        {"EST5EDT,M3.2.0,M11.1.0", "2024-11-03T05:59:59Z", -240},
        {"EST5EDT,M3.2.0,M11.1.0", "2024-11-03T06:00:00Z", -300},
        // The south: summer spans the new year.
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", "2023-12-31T23:59:59Z", 780},
        {"NZST-12NZDT,M9.5.0,M4.1.0/3", "2024-07-01", 720},
        // The last Sunday of a month of 30, 31 or 29 days; week 5 that is the 4th.
        {"CET-1CEST,M2.5.0,M4.5.0", "2024-02-25T00:59:59Z", 60},
        {"CET-1CEST,M2.5.0,M4.5.0", "2024-02-25T01:00:00Z", 120},
        {"CET-1CEST,M2.5.0,M4.5.0", "2024-04-28T00:00:00Z", 60},
        // Jn never counts 29 February, n does.
        {"AAA0BBB,J60/0,J300/0", "2024-02-29T23:59:59Z", 0},
        {"AAA0BBB,J60/0,J300/0", "2024-03-01T00:00:00Z", 60},
        {"AAA0BBB,59/0,300/0", "2024-02-29T00:00:00Z", 60},
        {"AAA0BBB,59/0,300/0", "2023-02-28T23:59:59Z", 0},
        {"AAA0BBB,59/0,300/0", "2023-03-01T00:00:00Z", 60},
        // Times of day before and after the day: Friday 22:00 by way of Saturday -2, Thursday + 50
        // h.
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59Z", -120},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00Z", -60},
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-03-29T23:59:59Z", 120},
        {"EET-2EEST,M3.4.4/50,M10.4.4/50", "2024-03-30T00:00:00Z", 180},
        {"AAA0BBB,J365/167,J100", "2024-01-06T22:59:59Z", 0},
        {"AAA0BBB,J365/167,J100", "2024-01-06T23:00:00Z", 60},
        // Daylight time all year, as RFC 9636 writes it, and winter time that is the daylight time.
        {"XXX3EDT4,0/0,J365/23", "2024-12-31T23:59:59Z", -240},
        {"XXX3EDT4,0/0,J365/23", "2025-01-01T03:30:00Z", -240},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2024-07-01", 60},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2024-12-01", 0},
        {"AAA-24:59:59BBB,M3.1.0,M4.1.0", "2024-03-15", 1559},
        {"AAA+24:59", "9999-12-31", -1499},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char footer[80];
        int64_t time_ms = 0;
        const struct zone *zone = NULL;
        (void)snprintf(footer, sizeof footer, "\n%s\n", cases[i].rule);
        const struct file_plan plan = {'2', footer, {0, 0, 0, 0, 1, 1}, NULL, NULL, NULL, 0, 0, 0};
        assert_true(civil_parse(slice_text(cases[i].time), &time_ms));
        if (!parse(fixture, build(fixture, &plan), &zone))
            fail_msg("%s: %s", cases[i].rule, fixture->err.message);
        const int64_t offset_ms = zone_offset_ms(zone, time_ms);
        if (offset_ms / CIVIL_MINUTE_MS != cases[i].offset_minutes)
            fail_msg("%s at %s: %lld", cases[i].rule, cases[i].time, (long long)offset_ms);
    }
}

static void test_rules_that_are_none(void **state)
{
    struct fixture *fixture = *state;
    static const char *const rules[] = {
        "EST",
        "ES5",
        "5",
        "<+02",
        "<>5",
        "<+ä2>5",
        ":Europe/Berlin",
        "EST25",
        "EST5:60",
        "EST5:00:60",
        "EST5:",
        "EST5EDT", // without dates
        "EST5EDT,M3.2.0",
        "EST5EDT,M3.2.0,M11.1.0,",
        "EST5EDT,M3.2.0,M11.1.0 ",
        "EST5EDT,M3.2.0,M11.1.0/",
        "EST5EDT,M3.2.0,M11.1.0/168",
        "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M0.2.0,M11.1.0",
        "EST5EDT,M3.6.0,M11.1.0",
        "EST5EDT,M3.0.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,J0,J100",
        "EST5EDT,J366,J100",
        "EST5EDT,366,100",
        "EST5EDT,0001,100",
        "EST5EDT,-1,100",
        "\n",
        "UTC0\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        char footer[80];
        (void)snprintf(footer, sizeof footer, "\n%s\n", rules[i]);
        const struct file_plan plan = {'2', footer, {0, 0, 0, 0, 1, 1}, NULL, NULL, NULL, 0, 0, 0};
        check_corrupt(fixture, &plan, "rule that is none");
    }
    static const char *const footers[] = {"", "\n", "UTC0\n", "\nUTC0"};
    for (size_t i = 0; i < ARRAY_COUNT(footers); i++) {
        const struct file_plan plan = {'2', footers[i], {0, 0, 0, 0, 1, 1}, NULL, NULL, NULL, 0,
                                       0,   0};
        check_corrupt(fixture, &plan, "no footer");
    }
}

// --- where files come from

static void check_load(struct fixture *fixture, const char *name, enum err_kind kind)
{
    const struct zone *zone = NULL;
    err_clear(&fixture->err);
    assert_false(
        zone_load(fixture->directory, slice_text(name), &fixture->arena, &zone, &fixture->err));
    assert_int_equal(fixture->err.kind, kind);
}

static void test_another_directory_and_its_damage(void **state)
{
    struct fixture *fixture = *state;
    const struct zone *zone = NULL;
    put(fixture, "Home", build(fixture, &good_plan));
    assert_true(
        zone_load(fixture->directory, slice_text("Home"), &fixture->arena, &zone, &fixture->err));
    assert_int_equal(zone_offset_ms(zone, 0), 2 * HOUR_MS);
    check_load(fixture, "UTC", ERR_INVALID);

    put(fixture, "Home", slice_text("TZif2"));
    check_load(fixture, "Home", ERR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "/Home: time zone data: cut short"));
    put(fixture, "Home", slice_text(""));
    check_load(fixture, "Home", ERR_CORRUPT);

    char *large CLEANUP(mem_free_at) = mem_alloc(ZONE_FILE_BYTES_MAX);
    put(fixture, "Large", slice_of(large, ZONE_FILE_BYTES_MAX));
    check_load(fixture, "Large", ERR_CORRUPT);

    (void)remove(at(fixture, "Home"));
    assert_int_equal(mkdir(at(fixture, "Home"), 0700), 0);
    check_load(fixture, "Home", ERR_INVALID); // a folder of zones is no zone
}

static void test_no_database_is_not_the_clients_fault(void **state)
{
    struct fixture *fixture = *state;
    const struct zone *zone = NULL;
    assert_false(
        zone_load(at(fixture, "absent"), slice_text("UTC"), &fixture->arena, &zone, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_IO);
    assert_non_null(strstr(fixture->err.message, "no time zone database in"));
}

static void check_version(struct fixture *fixture, const char *expected)
{
    char version[ZONE_VERSION_CHARS + 1];
    zone_database_version(fixture->directory, version);
    assert_string_equal(version, expected);
}

static void test_the_version_of_the_database(void **state)
{
    struct fixture *fixture = *state;
    check_version(fixture, "unknown");
    put(fixture, "+VERSION", slice_text("2024a\n"));
    check_version(fixture, "2024a");
    put(fixture, "tzdata.zi", slice_text("# version 2025b\n# ddeps\nR d 1916\n"));
    check_version(fixture, "2025b");
    put(fixture, "tzdata.zi", slice_text("# This file has no version\n"));
    check_version(fixture, "2024a");
    put(fixture, "tzdata.zi", slice_text("# version 2025b-0+own.1"));
    check_version(fixture, "2025b-0+own.1");
    put(fixture, "tzdata.zi", slice_text("# version \n"));
    put(fixture, "+VERSION", slice_text("2024a\"}\n"));
    check_version(fixture, "unknown");
    put(fixture, "+VERSION", slice_text("1234567890123456789012345678901"));
    check_version(fixture, "1234567890123456789012345678901");
    put(fixture, "+VERSION", slice_text("12345678901234567890123456789012"));
    check_version(fixture, "unknown");

    char version[ZONE_VERSION_CHARS + 1];
    zone_database_version(ZONE_DIRECTORY, version);
    assert_true(strncmp(version, "20", 2) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_a_small_file_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_lie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_cut_is_found_and_no_flipped_bit_harms, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_rules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rules_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_directory_and_its_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_database_is_not_the_clients_fault, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_version_of_the_database, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
