// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "model/event.h"

#define NOW_MS INT64_C(1700000000000)
#define TIME   "\"timestamp\":1700000000000"

static bool scan(struct slice line, struct event *event, char detail[256], struct err *err)
{
    return event_scan(line, NOW_MS, event, detail, err);
}

static void assert_accepts(const char *line)
{
    struct event event;
    char detail[256];
    struct err err = {0};
    if (!scan(slice_text(line), &event, detail, &err))
        fail_msg("refused (%s): %s", err.message, line);
    assert_string_equal(detail, "");
}

static void assert_refuses(const char *line, const char *message)
{
    struct event event;
    char detail[256];
    struct err err = {0};
    if (scan(slice_text(line), &event, detail, &err))
        fail_msg("accepted: %s", line);
    if (strcmp(err.message, message) != 0)
        fail_msg("\"%s\" and not \"%s\": %s", err.message, message, line);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(detail, strcmp(message, "Missing field") == 0 ? "timestamp" : "");
}

static void test_gives_properties(void **state)
{
    (void)state;
    struct event event;
    char detail[256];
    struct err err = {0};
    const char *line = " { \"a\" : 1 , \"\\u0062\":\"x\\ny\", " TIME " ,\"c\":-2.5e3,\"d\":null,"
                       "\"e\":true,\"f\":false,\"g\":[1,{\"h\":2}],\"i\":{} ,"
                       "\"app_id\":\"123456789012345678\",\"id\":\"e-1\"}\r";
    assert_true(scan(slice_text(line), &event, detail, &err));
    assert_int_equal(event.time_ms, NOW_MS);
    assert_true(slice_equal_text(event.app_id, "123456789012345678"));
    static const struct {
        const char *name;
        const char *value;
        enum event_value_kind kind;
        bool name_has_escapes;
        bool value_has_escapes;
    } expected[] = {
        {"a", "1", EVENT_INT64, false, false},
        {"\\u0062", "x\\ny", EVENT_TEXT, true, true},
        {"c", "-2.5e3", EVENT_DOUBLE, false, false},
        {"d", "null", EVENT_NULL, false, false},
        {"e", "true", EVENT_TRUE, false, false},
        {"f", "false", EVENT_FALSE, false, false},
        {"g", "[1,{\"h\":2}]", EVENT_ARRAY, false, false},
        {"i", "{}", EVENT_OBJECT, false, false},
        {"id", "e-1", EVENT_TEXT, false, false},
    };
    assert_int_equal(event.property_count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        const struct event_property *property = &event.properties[i];
        assert_true(slice_equal_text(property->name, expected[i].name));
        assert_true(slice_equal_text(property->value, expected[i].value));
        assert_int_equal(property->kind, expected[i].kind);
        assert_int_equal(property->name_has_escapes, expected[i].name_has_escapes);
        assert_int_equal(property->value_has_escapes, expected[i].value_has_escapes);
    }
    assert_int_equal(event.properties[0].number, 1);
}

static void test_wants_one_object(void **state)
{
    (void)state;
    assert_accepts("{" TIME "}");
    static const char *const lines[] = {
        "",
        "{",
        "}",
        "[]",
        "1",
        "\"x\"",
        "null",
        "{" TIME "}{" TIME "}",
        "{" TIME "},",
        "{" TIME ",}",
        "{," TIME "}",
        "{" TIME " \"a\":1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":tru}",
        "{\"a\":nul}",
        "{\"a\":True}",
        "{\"a\":NaN}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":{\"b\"}}",
        "{\"a\":[}",
        "{\"a\":{]}",
        "{\"a\":[1}",
        "\xef\xbb\xbf{" TIME "}",
        "{" TIME "}x",
        "\v{" TIME "}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++)
        assert_refuses(lines[i], "Invalid event");
    struct event event;
    char detail[256];
    struct err err = {0};
    assert_false(scan(slice_of("{" TIME "\0}", sizeof "{" TIME "\0}" - 1), &event, detail, &err));
    assert_string_equal(err.message, "Invalid event");
}

static void test_strings_are_strict(void **state)
{
    (void)state;
    static const char *const good[] = {
        "caf\xc3\xa9",    "\xe2\x82\xac",         "\xf0\x9f\x98\x80",
        "\\ud83d\\ude00", "\\\"\\\\\\/\\b\\f\\n", "\x7f",
        "\xed\x9f\xbf",   "\xee\x80\x80",         "\xf4\x8f\xbf\xbf",
        "\\u0001",        "0123456789abcdef",     "0123456789abcdef\xc3\xa9 0123456789abcdef",
    };
    static const char *const bad[] = {
        "\xc3",
        "\xc0\xaf",
        "\xc1\x81",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\x80",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\\u0000",
        "\\ud800",
        "\\ud800x",
        "\\ud800\\n",
        "\\udc00",
        "\\ud83d\\ud83d",
        "\\u12g4",
        "\\u12",
        "\\x41",
        "\\a",
        "\\",
        "\x01",
        "\t",
        "0123456789abcdef\x1f",
        "\\ud83d\\u",
    };
    char line[128];
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":\"%s\"}", good[i]);
        assert_accepts(line);
        (void)snprintf(line, sizeof line, "{" TIME ",\"%s\":[\"%s\"]}", good[i], good[i]);
        assert_accepts(line);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":\"%s\"}", bad[i]);
        assert_refuses(line, "Invalid event");
        (void)snprintf(line, sizeof line, "{" TIME ",\"%s\":1}", bad[i]);
        assert_refuses(line, "Invalid event");
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":{\"b\":[\"%s\"]}}", bad[i]);
        assert_refuses(line, "Invalid event");
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum event_value_kind kind;
        int64_t number;
    } good[] = {
        {"0", EVENT_INT64, 0},
        {"-0", EVENT_INT64, 0},
        {"9223372036854775807", EVENT_INT64, INT64_MAX},
        {"-9223372036854775808", EVENT_INT64, INT64_MIN},
        {"12.0", EVENT_DOUBLE, 0},
        {"1e2", EVENT_DOUBLE, 0},
        {"-1E+308", EVENT_DOUBLE, 0},
        {"1e-999", EVENT_DOUBLE, 0},
        {"0.1", EVENT_DOUBLE, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":%s}", good[i].text);
        struct event event;
        char detail[256];
        struct err err = {0};
        assert_true(scan(slice_text(line), &event, detail, &err));
        assert_int_equal(event.properties[0].kind, good[i].kind);
        if (good[i].kind == EVENT_INT64)
            assert_int_equal(event.properties[0].number, good[i].number);
    }
    static const char *const too_large[] = {"9223372036854775808",
                                            "-9223372036854775809",
                                            "18446744073709551616",
                                            "100000000000000000000",
                                            "1e309",
                                            "-1e999"};
    static const char *const bad[] = {"01",  "-",   "+1",   "1.",  ".5",  "1e",      "1e+",
                                      "--1", "0x1", "1.e1", "-01", "1 2", "Infinity"};
    char line[128];
    for (size_t i = 0; i < ARRAY_COUNT(too_large); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":%s}", too_large[i]);
        assert_refuses(line, "Number out of range");
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":[{\"b\":%s}]}", too_large[i]);
        assert_refuses(line, "Number out of range");
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":%s}", bad[i]);
        assert_refuses(line, "Invalid event");
    }
}

static void test_a_double_of_many_digits(void **state)
{
    (void)state;
    char line[1024];
    char digits[400];
    memset(digits, '9', sizeof digits);
    (void)snprintf(line, sizeof line, "{" TIME ",\"a\":%.308s.0}", digits);
    assert_accepts(line);
    (void)snprintf(line, sizeof line, "{" TIME ",\"a\":%.310s.0}", digits);
    assert_refuses(line, "Number out of range");
}

static void test_names(void **state)
{
    (void)state;
    assert_accepts("{" TIME ",\"__proto__\":1,\"constructor\":2,\"A\":1,\"a\":2}");
    assert_refuses("{" TIME ",\"\":1}", "Invalid property name");
    assert_accepts("{" TIME ",\"a\":{\"\":1}}");
    assert_refuses("{" TIME ",\"a\":1,\"a\":2}", "Duplicate field");
    assert_refuses("{" TIME ",\"a\":1,\"\\u0061\":2}", "Duplicate field");
    assert_refuses("{" TIME ",\"\\u0061\":1,\"a\":2}", "Duplicate field");
    assert_refuses("{" TIME ",\"\\u0061\":1,\"\\u0061\":2}", "Duplicate field");
    assert_refuses("{" TIME "," TIME "}", "Duplicate field");
    assert_refuses("{" TIME ",\"a\":{\"b\":1,\"b\":2}}", "Duplicate field");
    assert_refuses("{" TIME ",\"a\":[{\"b\":{\"c\":1,\"d\":[],\"\\u0063\":2}}]}",
                   "Duplicate field");
    // The same name in different objects is fine.
    assert_accepts("{" TIME
                   ",\"a\":{\"a\":{\"a\":1},\"b\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}");
    char line[4096];
    char name[257];
    memset(name, 'n', sizeof name);
    (void)snprintf(line, sizeof line, "{" TIME ",\"%.256s\":1}", name);
    assert_accepts(line);
    (void)snprintf(line, sizeof line, "{" TIME ",\"%.257s\":1}", name);
    assert_refuses(line, "Invalid property name");
    struct buf escaped;
    buf_init(&escaped, 8192);
    buf_append_text(&escaped, "{" TIME ",\"");
    for (int i = 0; i < 256; i++)
        buf_append_text(&escaped, "\\u006e");
    buf_append_text(&escaped, "\":1}");
    assert_accepts(buf_text(&escaped));
    escaped.size_bytes -= 4;
    buf_append_text(&escaped, "n\":1}");
    assert_refuses(buf_text(&escaped), "Invalid property name");
    escaped.size_bytes -= 5;
    buf_append_text(&escaped, "\\u006e\":1}");
    assert_refuses(buf_text(&escaped), "Invalid property name");
    buf_clear(&escaped);
}

static void test_special_names(void **state)
{
    (void)state;
    static const char *const reserved[] = {"received_at", "_seq", "org_id", "organization_id",
                                           "_topic",      "_app", "_time",  "\\u005fseq"};
    char line[512];
    for (size_t i = 0; i < ARRAY_COUNT(reserved); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"%s\":1}", reserved[i]);
        assert_refuses(line, "Reserved field");
        (void)snprintf(line, sizeof line, "{" TIME ",\"a\":{\"%s\":1}}", reserved[i]);
        assert_accepts(line);
    }
    static const char *const good_ids[] = {"\"x\"", "null", "\"\\u0061\""};
    static const char *const bad_ids[] = {"\"\"", "1", "true", "[]", "{}"};
    for (size_t i = 0; i < ARRAY_COUNT(good_ids); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"id\":%s}", good_ids[i]);
        assert_accepts(line);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad_ids); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"id\":%s}", bad_ids[i]);
        assert_refuses(line, "Invalid id");
    }
    (void)snprintf(line, sizeof line, "{" TIME ",\"id\":\"%0256d\"}", 1);
    assert_accepts(line);
    (void)snprintf(line, sizeof line, "{" TIME ",\"\\u0069d\":\"%0257d\"}", 1);
    assert_refuses(line, "Invalid id");
    static const char *const good_apps[] = {"123456789012345678", "\"123456789012345678\"",
                                            "\"9223372036854775807\"", "1234567890123456789"};
    static const char *const bad_apps[] = {"12345678901234567",
                                           "\"12345678901234567\"",
                                           "\"9223372036854775808\"",
                                           "\"012345678901234567\"",
                                           "\"12345678901234567x\"",
                                           "null",
                                           "-123456789012345678",
                                           "1.5",
                                           "\"\""};
    for (size_t i = 0; i < ARRAY_COUNT(good_apps); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"app_id\":%s}", good_apps[i]);
        assert_accepts(line);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad_apps); i++) {
        (void)snprintf(line, sizeof line, "{" TIME ",\"app_id\":%s}", bad_apps[i]);
        assert_refuses(line, "Invalid app_id");
    }
}

static void test_timestamps(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message; // NULL: accepted
    } cases[] = {
        {"946684800000", NULL},
        {"\"2000-01-01\"", NULL},
        {"\"2023-11-14T22:13:20.000Z\"", NULL},
        {"\"2023-11-14T22\\u003a13\"", NULL},
        {"1700086400000", NULL},
        {"1700086400001", "Timestamp out of range"},
        {"946684799999", "Timestamp out of range"},
        {"1700000000", "Timestamp out of range"},
        {"\"1999-12-31T23:59:59.999Z\"", "Timestamp out of range"},
        {"\"2023-11-16\"", "Timestamp out of range"},
        {"-1", "Invalid timestamp"},
        {"0", "Invalid timestamp"},
        {"1e18", "Invalid timestamp"},
        {"1000000000000000000", "Invalid timestamp"},
        {"1700000000000.0", "Invalid timestamp"},
        {"\"yesterday\"", "Invalid timestamp"},
        {"\"1700000000000\"", "Invalid timestamp"},
        {"{}", "Invalid timestamp"},
        {"[]", "Invalid timestamp"},
        {"null", "Invalid timestamp"},
        {"true", "Invalid timestamp"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "{\"a\":1,\"timestamp\":%s}", cases[i].text);
        if (cases[i].message == NULL)
            assert_accepts(line);
        else
            assert_refuses(line, cases[i].message);
    }
    assert_refuses("{}", "Missing field");
    assert_refuses("{\"a\":{" TIME "}}", "Missing field");
    assert_refuses("{\"Timestamp\":1700000000000}", "Missing field");
}

// Appends `count` values of size_bytes bytes, named p0, p1, ...
static void append_properties(struct buf *line, int count)
{
    for (int i = 0; i < count; i++)
        buf_append_format(line, ",\"p%d\":%d", i, i);
}

static void test_bounds(void **state)
{
    (void)state;
    struct buf line;
    buf_init(&line, 4 * 1024 * 1024);
    buf_append_text(&line, "{" TIME ",\"app_id\":123456789012345678");
    append_properties(&line, 1000);
    buf_append_char(&line, '}');
    assert_accepts(buf_text(&line));
    line.size_bytes--;
    buf_append_text(&line, ",\"one_more\":1}");
    assert_refuses(buf_text(&line), "Too many properties");
    // The same with the timestamp last.
    buf_reset(&line);
    buf_append_text(&line, "{\"first\":1");
    append_properties(&line, 999);
    buf_append_text(&line, "," TIME "}");
    assert_accepts(buf_text(&line));

    // Many small objects are fine, an object of many names is not.
    buf_reset(&line);
    buf_append_text(&line, "{" TIME ",\"items\":[");
    for (int i = 0; i < 2000; i++)
        buf_append_format(&line, "%s{\"a\":1,\"b\":2}", i == 0 ? "" : ",");
    buf_append_text(&line, "]}");
    assert_accepts(buf_text(&line));
    buf_reset(&line);
    buf_append_text(&line, "{" TIME ",\"items\":{\"z\":1");
    append_properties(&line, 2000);
    buf_append_text(&line, "}}");
    assert_refuses(buf_text(&line), "Too many properties");

    for (int depth = 7; depth <= 8; depth++) {
        for (int kind = 0; kind < 2; kind++) {
            buf_reset(&line);
            buf_append_text(&line, "{" TIME ",\"a\":");
            for (int i = 1; i < depth; i++)
                buf_append_text(&line, kind == 0 ? "[" : "{\"a\":");
            buf_append_text(&line, kind == 0 ? "[]" : "{}");
            for (int i = 1; i < depth; i++)
                buf_append_text(&line, kind == 0 ? "]" : "}");
            buf_append_char(&line, '}');
            if (depth == 7) // and the event around it
                assert_accepts(buf_text(&line));
            else
                assert_refuses(buf_text(&line), "Event nested too deeply");
        }
    }
    buf_clear(&line);
}

static void assert_value_bound(const char *piece, int fitting_count, const char *before,
                               const char *after)
{
    struct buf line;
    buf_init(&line, 4 * 1024 * 1024);
    for (int extra = 0; extra < 2; extra++) {
        buf_reset(&line);
        buf_append_format(&line, "{" TIME ",\"a\":%s", before);
        for (int i = 0; i < fitting_count + extra; i++)
            buf_append_text(&line, piece);
        buf_append_format(&line, "%s}", after);
        if (extra == 0)
            assert_accepts(buf_text(&line));
        else
            assert_refuses(buf_text(&line), "Property too long");
    }
    buf_clear(&line);
}

static void test_bounds_values(void **state)
{
    (void)state;
    assert_value_bound("x", 65536, "\"", "\"");
    assert_value_bound("\\n", 65536, "\"", "\"");
    assert_value_bound("\\u20ac", 65536 / 3, "\"", "\"");
    assert_value_bound(" ", 65536 - 2, "[", "]");
    struct event event;
    char detail[256];
    struct err err = {0};
    char *line = mem_alloc(EVENT_LINE_BYTES_MAX + 1);
    memset(line, ' ', EVENT_LINE_BYTES_MAX + 1);
    memcpy(line, "{" TIME "}", sizeof "{" TIME "}" - 1);
    assert_true(scan(slice_of(line, EVENT_LINE_BYTES_MAX), &event, detail, &err));
    assert_false(scan(slice_of(line, EVENT_LINE_BYTES_MAX + 1), &event, detail, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.message, "Event too large");
    mem_free(line);
}

static void test_unescapes(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 100);
    event_append_unescaped(&text,
                           slice_text("a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00z"));
    assert_string_equal(buf_text(&text), "a\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z");
    buf_reset(&text);
    event_append_unescaped(&text, slice_text(""));
    event_append_unescaped(&text, slice_text("plain"));
    assert_string_equal(buf_text(&text), "plain");
    buf_clear(&text);
    buf_init(&text, 3);
    event_append_unescaped(&text, slice_text("long"));
    assert_true(text.overflowed);
    buf_clear(&text);
}

static void scan_value(const char *value, struct event *event)
{
    static char line[256]; // the event points into it
    char detail[256];
    struct err err = {0};
    (void)snprintf(line, sizeof line, "{" TIME ",\"a\":%s}", value);
    assert_true(scan(slice_text(line), event, detail, &err));
}

static void test_types(void **state)
{
    (void)state;
    // Letters of the types that the value fits: Text, Int64, Double, Bool, tiMe, Json.
    static const struct {
        const char *value;
        int type; // -1: none
        bool is_wide;
        const char *fits;
    } cases[] = {
        {"null", -1, false, "TIDBMJ"},
        {"true", FIELD_BOOL, false, "BJ"},
        {"false", FIELD_BOOL, false, "BJ"},
        {"1", FIELD_INT64, false, "IDMJ"},
        {"9007199254740992", FIELD_INT64, false, "IDJ"},
        {"-9007199254740993", FIELD_INT64, true, "IDJ"},
        {"9007199254740993", FIELD_INT64, true, "IDJ"},
        {"1.0", FIELD_DOUBLE, false, "DJ"},
        {"\"x\"", FIELD_TEXT, false, "TJ"},
        {"\"2024-02-29T00:00Z\"", FIELD_TEXT, false, "TMJ"},
        {"\"2023-02-29\"", FIELD_TEXT, false, "TJ"},
        {"253402300799999", FIELD_INT64, false, "IDMJ"},
        {"253402300800000", FIELD_INT64, false, "IDJ"},
        {"-62167219200000", FIELD_INT64, false, "IDMJ"},
        {"-62167219200001", FIELD_INT64, false, "IDJ"},
        {"[]", FIELD_JSON, false, "J"},
        {"{\"a\":1}", FIELD_JSON, false, "J"},
    };
    static const char letters[] = {'T', 'I', 'D', 'B', 'M', 'J'};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct event event;
        scan_value(cases[i].value, &event);
        enum field_type type = FIELD_TEXT;
        bool is_wide = false;
        assert_int_equal(event_property_type(&event.properties[0], &type, &is_wide),
                         cases[i].type >= 0);
        if (cases[i].type >= 0)
            assert_int_equal(type, cases[i].type);
        assert_int_equal(is_wide, cases[i].is_wide);
        for (int j = 0; j < FIELD_TYPE_COUNT; j++)
            assert_int_equal(event_property_fits(&event.properties[0], (enum field_type)j),
                             strchr(cases[i].fits, letters[j]) != NULL);
    }
}

static void test_times(void **state)
{
    (void)state;
    struct event event;
    int64_t time_ms = 7;
    scan_value("\"1970-01-01T00:00:01Z\"", &event);
    assert_true(event_property_time(&event.properties[0], &time_ms));
    assert_int_equal(time_ms, 1000);
    scan_value("-5", &event);
    assert_true(event_property_time(&event.properties[0], &time_ms));
    assert_int_equal(time_ms, -5);
    scan_value("1.5", &event);
    assert_false(event_property_time(&event.properties[0], &time_ms));
    assert_int_equal(time_ms, -5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_properties),
        cmocka_unit_test(test_wants_one_object),
        cmocka_unit_test(test_strings_are_strict),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_a_double_of_many_digits),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_special_names),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_bounds_values),
        cmocka_unit_test(test_unescapes),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
