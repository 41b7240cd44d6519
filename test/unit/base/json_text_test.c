// SPDX-License-Identifier: Apache-2.0
// What is written: lines of the log, and JSON texts, which the reader of JSON takes back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/json_tree.h"
#include "base/log.h"
#include "base/mem.h"

// --- Log

// What the calls of write_lines say on standard error.
static void capture(void (*write_lines)(void), char *ret_text, size_t capacity)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    const int kept_fd = dup(STDERR_FILENO);
    (void)dup2(fileno(file), STDERR_FILENO);
    write_lines();
    (void)dup2(kept_fd, STDERR_FILENO);
    (void)close(kept_fd);
    const ssize_t size = pread(fileno(file), ret_text, capacity - 1, 0);
    assert_true(size >= 0);
    ret_text[size] = '\0';
    (void)fclose(file);
}

static void write_pairs(void)
{
    log_setup(LOG_INFO, "tester");
    log_event(LOG_WARN, "job_failed", "job", "17", "left_out", NULL, "reason",
              "disk \"full\"\\\nat=last", "empty", "", NULL);
}

static void test_line_has_time_and_pairs(void **state)
{
    (void)state;
    char text[2048];
    capture(write_pairs, text, sizeof text);
    assert_true(strncmp(text, "time=20", 7) == 0);
    assert_int_equal(text[28], 'Z');
    assert_non_null(strstr(text, " level=warn role=tester pid="));
    assert_non_null(strstr(text,
                           " event=job_failed job=17 reason=\"disk \\\"full\\\"\\\\\\u000aat=last\""
                           " empty=\"\"\n"));
    assert_null(strstr(text, "left_out"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void write_levels(void)
{
    log_setup(LOG_WARN, "tester");
    log_event(LOG_DEBUG, "one", NULL);
    log_event(LOG_INFO, "two", NULL);
    log_event(LOG_WARN, "three", NULL);
    log_event(LOG_ERROR, "four", NULL);
    log_setup(LOG_INFO, "tester");
}

static void test_lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    char text[2048];
    capture(write_levels, text, sizeof text);
    assert_null(strstr(text, "event=one"));
    assert_null(strstr(text, "event=two"));
    assert_non_null(strstr(text, "event=three\n"));
    assert_non_null(strstr(text, "event=four\n"));
}

static void write_long(void)
{
    char value[10000];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    log_event(LOG_ERROR, "long", "value", value, "next", "n", NULL);
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    char text[20000];
    capture(write_long, text, sizeof text);
    assert_true(strlen(text) < 1000);
    assert_non_null(strstr(text, "vv next=n\n"));
}

static void test_names_of_levels(void **state)
{
    (void)state;
    enum log_level level = LOG_INFO;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse("Error", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_ERROR);
}

// --- JSON

static void test_every_kind_of_value(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4096);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "text", "a\"b");
    json_text_member_text(&json, "none", NULL);
    json_text_member_int64(&json, "least", INT64_MIN);
    json_text_member_bool(&json, "yes", true);
    json_text_key(&json, "list");
    json_text_open(&json, '[');
    json_text_int64(&json, INT64_MAX);
    json_text_double(&json, 0.1);
    json_text_double(&json, (double)NAN);
    json_text_double(&json, (double)-INFINITY);
    json_text_bool(&json, false);
    json_text_null(&json);
    json_text_open(&json, '[');
    json_text_close(&json, ']');
    json_text_open(&json, '{');
    json_text_close(&json, '}');
    json_text_raw(&json, slice_text("{\"raw\":1}"));
    json_text_string(&json, slice_of("", 0));
    json_text_close(&json, ']');
    json_text_member_int64(&json, "last", 0);
    json_text_close(&json, '}');
    assert_string_equal(buf_text(&text),
                        "{\"text\":\"a\\\"b\",\"none\":null,\"least\":-9223372036854775808,"
                        "\"yes\":true,\"list\":[9223372036854775807,0.1,null,null,false,null,[],{},"
                        "{\"raw\":1},\"\"],\"last\":0}");
}

static void test_strings_come_back_through_the_reader(void **state)
{
    (void)state;
    char all[256];
    size_t size = 0;
    for (char character = 1; character < 127; character++)
        all[size++] = character;
    memcpy(all + size, "\177\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x84", 10);
    size += 10;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 4096);
    json_text_append_quoted(&text, slice_of(all, size));
    assert_null(memchr(text.data, '\n', text.size_bytes));
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err err = {0};
    if (!json_tree_parse(buf_slice(&text), &tree, &err))
        fail_msg("%s", err.message);
    assert_true(slice_equal(json_node_text(json_tree_root(tree)), slice_of(all, size)));
}

static void test_slash_and_other_letters_stay(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, 100);
    json_text_append_quoted(&text, slice_text("a/b\t\x01\xc3\xa9"));
    assert_string_equal(buf_text(&text), "\"a/b\\t\\u0001\xc3\xa9\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_has_time_and_pairs),
        cmocka_unit_test(test_lines_below_the_level_are_dropped),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_names_of_levels),
        cmocka_unit_test(test_every_kind_of_value),
        cmocka_unit_test(test_strings_come_back_through_the_reader),
        cmocka_unit_test(test_slash_and_other_letters_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
