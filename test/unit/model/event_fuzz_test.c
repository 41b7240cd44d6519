// SPDX-License-Identifier: Apache-2.0
// The scanner against jansson's strict parser, on seeded mutations of events: both must agree on
// what is JSON. Where only the scanner refuses, its text must be one of the rules that events have
// besides.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/event.h"

#define NOW_MS     INT64_C(1700000000000)
#define CASE_COUNT 100000
#define LINE_MAX_  ((size_t)4096)

static const char *const seeds[] = {
    "{\"timestamp\":1699999999999}",
    "{\"timestamp\":1699999999999,\"a\":1,\"b\":-2.5e10,\"c\":true,\"d\":null,\"e\":false}",
    "{\"timestamp\":1699999999999,\"a\":\"caf\\u00e9 \\ud83d\\ude00 "
    "\\n\\\"\",\"b\":\"x\xc3\xa9y\"}",
    "{ \"timestamp\" : 1699999999999 , \"a\" : [ 1 , [ ] , { } , { \"a\" : { \"b\" : [ 0 ] } } ] }",
    "{\"timestamp\":1699999999999,\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":"
    "1e308}",
    "{\"timestamp\":1699999999999,\"a\":\"\xf0\x9f\x98\x80\xe2\x82\xac\",\"\\u0062\":{\"x\":1,"
    "\"y\":2}}",
    "{\"timestamp\":1699999999999,\"a\":[{\"k\":1,\"l\":2},{\"k\":1,\"l\":2}],\"k\":0,\"l\":-0}",
    "{\"timestamp\":1699999999999,\"name\":\"PURCHASE\",\"abcdefghijklmnopqrstuvwxyz0123456789\":0."
    "1}",
};

// Pieces that turn up the corners of the grammar more often than single bytes do.
static const char *const pieces[] = {
    "\"a\":1,",
    "\"\\u0061\":1,",
    "\\u0000",
    "\\ud800",
    "\\udc00",
    "\\ud83d\\ude00",
    "\xed\xa0\x80",
    "\xc0\xaf",
    "\xf4\x90\x80\x80",
    "\xe0\x80\x80",
    "\xff",
    "1e999",
    "-",
    "01",
    "1.",
    ".5",
    "1e",
    "9223372036854775808",
    "-9223372036854775809",
    "[[",
    "]]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\",
    "\x01",
    "true",
    "nul",
    "NaN",
    " ",
    "\t",
    "\r",
    "\v",
    "\xef\xbb\xbf",
    "1e-999",
    "-0.0",
    "0e0",
    "\\/",
    "\\x",
    "\x7f",
    "\xc2\x80",
};

static size_t mutate(struct rng *rng, char *line, size_t size)
{
    const uint64_t choice = rng_below(rng, 6);
    const size_t at = (size_t)rng_below(rng, size + 1);
    if (choice == 0 && at < size) {
        line[at] = (char)rng_below(rng, 256);
    } else if (choice == 1 && at < size) {
        const size_t count = (size_t)rng_below(rng, size - at < 8 ? size - at : 8) + 1;
        const size_t gone = count > size - at ? size - at : count;
        memmove(line + at, line + at + gone, size - at - gone);
        return size - gone;
    } else if (choice == 2 && size > 0) {
        const size_t from = (size_t)rng_below(rng, size);
        const size_t count = (size_t)rng_below(rng, size - from < 40 ? size - from : 40) + 1;
        char copy[64];
        memcpy(copy, line + from, count > size - from ? size - from : count);
        if (size + count > LINE_MAX_ || count > size - from)
            return size;
        memmove(line + at + count, line + at, size - at);
        memcpy(line + at, copy, count);
        return size + count;
    } else if (choice >= 3) {
        const char *piece = pieces[rng_below(rng, ARRAY_COUNT(pieces))];
        const size_t count = strlen(piece);
        if (size + count > LINE_MAX_)
            return size;
        memmove(line + at + count, line + at, size - at);
        memcpy(line + at, piece, count);
        return size + count;
    }
    return size;
}

static bool jansson_accepts(const char *line, size_t size)
{
    json_error_t error;
    json_t *root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
    const bool accepts = json_is_object(root);
    json_decref(root);
    return accepts;
}

// Rules of events that are none of JSON's.
static bool is_extra_rule(const char *message)
{
    static const char *const texts[] = {
        "Invalid property name",   "Property too long", "Too many properties",
        "Event nested too deeply", "Reserved field",    "Invalid id",
        "Invalid app_id",          "Missing field",     "Invalid timestamp",
        "Timestamp out of range",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (strcmp(message, texts[i]) == 0)
            return true;
    }
    return false;
}

static void check_case(const char *line, size_t size, size_t *accepted_count)
{
    // A piece of heap of exactly that size, so that AddressSanitizer sees every overrun.
    char *exact = mem_alloc(size);
    memcpy(exact, line, size);
    struct event event;
    char detail[256];
    struct err err = {0};
    const bool ours = event_scan(slice_of(exact, size), NOW_MS, &event, detail, &err);
    const bool theirs = jansson_accepts(exact, size);
    *accepted_count += ours ? 1 : 0;
    if (ours != theirs && (ours || !is_extra_rule(err.message)))
        fail_msg("we %s, jansson %s: %.*s (%s)", ours ? "accept" : "refuse",
                 theirs ? "accepts" : "refuses", (int)size, exact, err.message);
    mem_free(exact);
}

static void test_agrees_with_jansson(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 20240229);
    size_t accepted_count = 0;
    char line[LINE_MAX_];
    for (int i = 0; i < CASE_COUNT; i++) {
        const char *seed = seeds[rng_below(&rng.base, ARRAY_COUNT(seeds))];
        size_t size = strlen(seed);
        memcpy(line, seed, size);
        const uint64_t rounds = rng_below(&rng.base, 4);
        for (uint64_t j = 0; j < rounds; j++)
            size = mutate(&rng.base, line, size);
        check_case(line, size, &accepted_count);
    }
    // The cases are worth something: neither all good nor all bad.
    assert_in_range(accepted_count, CASE_COUNT / 10, CASE_COUNT * 9 / 10);
}

// What was decoded must be what jansson decodes.
static void check_texts(const char *line, size_t size)
{
    struct event event;
    char detail[256];
    struct err err = {0};
    if (!event_scan(slice_of(line, size), NOW_MS, &event, detail, &err))
        return;
    json_error_t error;
    json_t *root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(root);
    for (size_t i = 0; i < event.property_count; i++) {
        const struct event_property *property = &event.properties[i];
        struct buf name;
        buf_init(&name, LINE_MAX_);
        event_append_unescaped(&name, property->name);
        json_t *value = json_object_get(root, buf_text(&name));
        assert_non_null(value);
        if (property->kind == EVENT_TEXT) {
            buf_reset(&name);
            event_append_unescaped(&name, property->value);
            assert_int_equal(name.size_bytes, json_string_length(value));
            assert_memory_equal(buf_text(&name), json_string_value(value), name.size_bytes);
        }
        if (property->kind == EVENT_INT64)
            assert_int_equal(property->number, json_integer_value(value));
        assert_int_equal(property->kind == EVENT_DOUBLE, json_is_real(value));
        assert_int_equal(property->kind == EVENT_NULL, json_is_null(value));
        assert_int_equal(property->kind == EVENT_OBJECT, json_is_object(value));
        assert_int_equal(property->kind == EVENT_ARRAY, json_is_array(value));
        buf_clear(&name);
    }
    json_decref(root);
}

static void test_values_are_those_of_jansson(void **state)
{
    (void)state;
    struct rng_seeded rng;
    rng_seeded_init(&rng, 7);
    char line[LINE_MAX_];
    for (int i = 0; i < CASE_COUNT / 10; i++) {
        const char *seed = seeds[rng_below(&rng.base, ARRAY_COUNT(seeds))];
        size_t size = strlen(seed);
        memcpy(line, seed, size);
        size = mutate(&rng.base, line, size);
        check_texts(line, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_jansson),
        cmocka_unit_test(test_values_are_those_of_jansson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
