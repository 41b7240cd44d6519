// SPDX-License-Identifier: Apache-2.0
// What a server says is shown, and moves no cursor.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/cli_admin_table.h"
#include "cli/cli_call.h"

static void test_refusals_hold_no_control_characters(void **state)
{
    (void)state;
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err err = {0};
    assert_true(json_tree_parse(
        slice_text("{\"error\":{\"message\":\"\\u001b[2Jno\\r\\u009b1m caf\\u00e9\\u007f\"}}"),
        &tree, &err));
    assert_false(cli_call_fail(404, json_tree_root(tree), &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(err.message, "status 404: ?[2Jno??1m caf\xc3\xa9?");
}

static void test_refusals_without_a_message(void **state)
{
    (void)state;
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct err err = {0};
    assert_true(json_tree_parse(slice_text("{\"error\":[]}"), &tree, &err));
    assert_false(cli_call_fail(500, json_tree_root(tree), &err));
    assert_string_equal(err.message, "status 500: ");
}

static void test_tables_hold_no_control_characters(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        const char *shown;
    } rows[] = {
        {"[{\"na\\u001bme\":\"\\u001b]0;x\\u0007\",\"list\":[\"a\\nb\"]}]",
         "na?me   list\n?]0;x?  a?b\n"},
        {"{\"na\\u001bme\":{\"a\":\"\\u009b\"}}", "na?me  {\"a\":\"?\"}\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_tree *tree CLEANUP(json_tree_free) = NULL;
        struct err err = {0};
        struct buf text CLEANUP(buf_clear);
        buf_init(&text, 4096);
        assert_true(json_tree_parse(slice_text(rows[i].reply), &tree, &err));
        cli_admin_write_table(json_tree_root(tree), &text);
        assert_string_equal(buf_text(&text), rows[i].shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_hold_no_control_characters),
        cmocka_unit_test(test_refusals_without_a_message),
        cmocka_unit_test(test_tables_hold_no_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
