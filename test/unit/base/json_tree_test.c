// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"

static void assert_refused(struct slice text, const char *message)
{
    struct json_tree *tree = NULL;
    struct err err = {0};
    assert_false(json_tree_parse(text, &tree, &err));
    assert_null(tree);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, message);
}

static struct json_tree *parse(const char *text)
{
    struct json_tree *tree = NULL;
    struct err err = {0};
    if (!json_tree_parse(slice_text(text), &tree, &err))
        fail_msg("%s: %s", text, err.message);
    return tree;
}

static void assert_written(const char *text, const char *expected)
{
    struct json_tree *tree = parse(text);
    struct buf written;
    buf_init(&written, 4096);
    json_node_write(json_tree_root(tree), &written);
    assert_string_equal(buf_text(&written), expected);
    buf_clear(&written);
    json_tree_free(&tree);
    assert_null(tree);
    json_tree_free(&tree); // NULL is fine
}

static void values_are_read(void **state)
{
    (void)state;
    struct json_tree *tree = parse(
        " {\"text\":\"a\\u00e9\\n\",\"int\":-9223372036854775808,\"big\":9007199254740993,\"real\":"
        "1.5,"
        "\"yes\":true,\"no\":false,\"nil\":null,\"list\":[1,[2]],\"empty\":{}} ");
    const struct json_node *root = json_tree_root(tree);
    assert_int_equal(json_node_kind(root), JSON_KIND_OBJECT);
    assert_int_equal(json_node_count(root), 9);
    const struct slice text = json_node_text(json_node_get(root, "text"));
    assert_true(slice_equal_text(text, "a\xc3\xa9\n"));
    assert_int_equal(slice_chars(text)[text.size_bytes], 0);
    assert_true(json_node_int64(json_node_get(root, "int")) == INT64_MIN);
    assert_true(json_node_int64(json_node_get(root, "big")) == INT64_C(9007199254740993));
    assert_true(json_node_double(json_node_get(root, "real")) == 1.5);
    assert_true(json_node_double(json_node_get(root, "big")) == 9007199254740992.0);
    assert_true(json_node_bool(json_node_get(root, "yes")));
    assert_false(json_node_bool(json_node_get(root, "no")));
    assert_int_equal(json_node_kind(json_node_get(root, "no")), JSON_KIND_BOOL);
    assert_non_null(json_node_get(root, "nil"));
    assert_int_equal(json_node_kind(json_node_get(root, "nil")), JSON_KIND_NULL);
    const struct json_node *list = json_node_get(root, "list");
    assert_int_equal(json_node_count(list), 2);
    assert_int_equal(json_node_int64(json_node_at(json_node_at(list, 1), 0)), 2);
    assert_null(json_node_at(list, 2));
    assert_int_equal(json_node_count(json_node_get(root, "empty")), 0);
    assert_null(json_node_get(root, "absent"));
    json_tree_free(&tree);
}

static void absent_and_other_kinds_are_empty(void **state)
{
    (void)state;
    struct json_tree *tree = parse("[\"x\",7]");
    const struct json_node *text = json_node_at(json_tree_root(tree), 0);
    assert_int_equal(json_node_kind(NULL), JSON_KIND_NULL);
    assert_int_equal(json_node_count(NULL), 0);
    assert_int_equal(json_node_text(NULL).size_bytes, 0);
    assert_null(json_node_get(NULL, "x"));
    assert_null(json_node_at(NULL, 0));
    assert_false(json_node_bool(NULL));
    assert_int_equal(json_node_int64(text), 0);
    assert_true(json_node_double(text) == 0);
    assert_null(json_node_get(text, "x"));
    assert_null(json_node_at(text, 0));
    assert_int_equal(json_node_text(json_node_at(json_tree_root(tree), 1)).size_bytes, 0);
    json_node_each(json_tree_root(tree), NULL, NULL); // not an object: nothing to visit
    json_tree_free(&tree);
}

static void append_key(struct slice key, const struct json_node *value, void *context)
{
    struct buf *seen = context;
    buf_append(seen, key);
    buf_append_char(seen, '=');
    json_node_write(value, seen);
    buf_append_char(seen, ';');
}

static void members_come_in_order(void **state)
{
    (void)state;
    struct json_tree *tree = parse("{\"z\":1,\"a\":[],\"m\":{\"k\":null}}");
    struct buf seen;
    buf_init(&seen, 100);
    json_node_each(json_tree_root(tree), append_key, &seen);
    assert_string_equal(buf_text(&seen), "z=1;a=[];m={\"k\":null};");
    buf_clear(&seen);
    json_tree_free(&tree);
}

static void writing_is_compact(void **state)
{
    (void)state;
    assert_written(" [ 1 , { \"b\" : [ ] , \"a\" : { } } , \"q\\\"\\u0001\" ] ",
                   "[1,{\"b\":[],\"a\":{}},\"q\\\"\\u0001\"]");
    assert_written("5", "5");
    assert_written("\"x\"", "\"x\"");
    assert_written("null", "null");
    assert_written("[]", "[]");
    assert_written("{}", "{}");
    assert_written("[[],[[]],{\"a\":[{}]},0.1,1e300,true,false]",
                   "[[],[[]],{\"a\":[{}]},0.1,1e+300,true,false]");
    struct buf written;
    buf_init(&written, 10);
    json_node_write(NULL, &written);
    assert_string_equal(buf_text(&written), "null");
    buf_clear(&written);
}

static void broken_json_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[1,]",
        "[1] x",
        "{\"a\":1,}",
        "{a:1}",
        "'x'",
        "[01]",
        "[1.]",
        "nul",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "[NaN]",
        "[\"a\"",
        "\xef\xbb\xbf{}",
        "[\"\\ud800\\u\"]",
        "]",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        assert_refused(slice_text(texts[i]), "Invalid JSON");
    assert_refused(slice_of("[\0]", 3), "Invalid JSON");
    assert_refused(slice_of("\xff\xfe[\0]\0", 6), "Invalid JSON"); // UTF-16 with its mark
    assert_refused(slice_of("[\0]\0", 4), "Invalid JSON");         // and without
    assert_refused(slice_of(NULL, 0), "Invalid JSON");
}

static void bad_text_is_named(void **state)
{
    (void)state;
    static const char *const texts[] = {"[\"\xff\"]", "[\"\xc3\x28\"]", "[\"\xc0\x80\"]",
                                        "[\"\xed\xa0\x80\"]", "[\"\xf4\x90\x80\x80\"]"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        assert_refused(slice_text(texts[i]), "Invalid UTF-8");
    assert_refused(slice_text("[\"\\ud800\"]"), "Invalid Unicode escape");
    assert_refused(slice_text("[\"\\udc00\\ud800\"]"), "Invalid Unicode escape");
    assert_refused(slice_text("[\"\\ud800\\u0041\"]"), "Invalid Unicode escape");
}

static void numbers_are_bounded(void **state)
{
    (void)state;
    assert_refused(slice_text("[1e400]"), "Number out of range");
    assert_refused(slice_text("[-1e400]"), "Number out of range");
    assert_refused(slice_text("18446744073709551616"), "Number out of range");
    assert_refused(slice_text("9223372036854775808"), "Number out of range");
    assert_refused(slice_text("-9223372036854775809"), "Number out of range");
    struct buf digits;
    buf_init(&digits, 100000);
    for (size_t i = 0; i < 60000; i++)
        buf_append_char(&digits, '7');
    assert_refused(buf_slice(&digits), "Number out of range");
    buf_clear(&digits);
    struct json_tree *tree = parse("1e-400"); // too small is zero
    assert_true(json_node_double(json_tree_root(tree)) == 0);
    json_tree_free(&tree);
}

static void duplicate_keys_are_named(void **state)
{
    (void)state;
    assert_refused(slice_text("{\"cadence\":1,\"cadence\":2}"), "Duplicate field: cadence");
    assert_refused(slice_text("{\"r\":{\"a\":1,\"b\":2,  \"a\" :3}}"), "Duplicate field: a");
    assert_refused(slice_text("{\"a_key_of_more_than_twenty_characters\":1,"
                              "\"a_key_of_more_than_twenty_characters\":2}"),
                   "Duplicate field: a_key_of_more_than_twenty_characters");
    assert_refused(slice_text("{\"a\\\"b\":1,\"a\\\"b\":2}"), "Duplicate field: a\\\"b");
    assert_refused(slice_text("{\"a\":1,\"\\u0061\":2}"), "Duplicate field: \\u0061");
    assert_refused(slice_text("{\"\":1,\"\":2}"), "Duplicate field: ");
}

// 300 bytes of two-byte characters, shifted by one: the cut must not split one.
static void long_duplicate_keys_are_cut_between_characters(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 4096);
    for (size_t repeat = 0; repeat < 2; repeat++) {
        buf_append_text(&text, repeat == 0 ? "{\"x" : ",\"x");
        for (size_t i = 0; i < 150; i++)
            buf_append_text(&text, "\xc3\xa9");
        buf_append_text(&text, "\":1");
    }
    struct json_tree *tree = NULL;
    struct err err = {0};
    assert_false(json_tree_parse(buf_slice(&text), &tree, &err));
    const size_t size = strlen(err.message);
    assert_int_equal(size, strlen("Duplicate field: ") + 199);
    assert_int_equal((unsigned char)err.message[size - 1], 0xa9);
    buf_clear(&text);
}

static void append_nested(struct buf *text, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buf_append_text(text, i % 2 == 0 ? "[" : "{\"a\":");
    buf_append_text(text, "0");
    for (size_t i = depth; i > 0; i--)
        buf_append_text(text, (i - 1) % 2 == 0 ? "]" : "}");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1024 * 1024);
    append_nested(&text, 64);
    assert_written(buf_text(&text), buf_text(&text));
    buf_reset(&text);
    append_nested(&text, 65);
    assert_refused(buf_slice(&text), "JSON nested too deeply");
    buf_reset(&text);
    for (size_t i = 0; i < 60000; i++)
        buf_append_char(&text, '[');
    assert_refused(buf_slice(&text), "JSON nested too deeply");
    buf_reset(&text);
    buf_append_text(&text, "[\"\\\""); // brackets inside a text do not count
    for (size_t i = 0; i < 100; i++)
        buf_append_char(&text, '[');
    buf_append_text(&text, "\"]");
    assert_written(buf_text(&text), buf_text(&text));
    buf_reset(&text);
    buf_append_char(&text, '[');
    for (size_t i = 0; i < 100; i++)
        buf_append_text(&text, "[],"); // siblings are not depth
    buf_append_text(&text, "0]");
    assert_written(buf_text(&text), buf_text(&text));
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(absent_and_other_kinds_are_empty),
        cmocka_unit_test(members_come_in_order),
        cmocka_unit_test(writing_is_compact),
        cmocka_unit_test(broken_json_is_refused),
        cmocka_unit_test(bad_text_is_named),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(duplicate_keys_are_named),
        cmocka_unit_test(long_duplicate_keys_are_cut_between_characters),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
