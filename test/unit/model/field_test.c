// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "model/field.h"

static void types_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"string", "long", "double", "boolean", "timestamp", "json"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        enum field_type type;
        assert_true(field_type_parse(slice_text(names[i]), &type));
        assert_string_equal(field_type_name(type), names[i]);
    }
    enum field_type untouched = FIELD_JSON;
    assert_false(field_type_parse(slice_text("Long"), &untouched));
    assert_false(field_type_parse(slice_text(""), &untouched));
    assert_int_equal(untouched, FIELD_JSON);
}

static void assert_physical(const char *name, enum field_type type, const char *expected)
{
    struct buf physical;
    struct buf back;
    buf_init(&physical, 1000);
    buf_init(&back, 1000);
    field_append_physical_name(&physical, name, type);
    assert_string_equal(buf_text(&physical), expected);
    enum field_type back_type;
    assert_true(field_parse_physical_name(buf_slice(&physical), &back, &back_type));
    assert_string_equal(buf_text(&back), name);
    assert_int_equal(back_type, type);
    buf_clear(&back);
    buf_clear(&physical);
}

static void physical_names_survive_folding(void **state)
{
    (void)state;
    assert_physical("referrer", FIELD_TEXT, "referrer:t");
    assert_physical("UserId", FIELD_INT64, "^user^id:i");
    assert_physical("userid", FIELD_INT64, "userid:i");
    assert_physical("a^b^", FIELD_DOUBLE, "a^^b^^:d");
    assert_physical("^A", FIELD_BOOL, "^^^a:b");
    assert_physical("a:t", FIELD_TIME, "a:t:m");
    assert_physical("\xc3\x89t\xc3\xa9", FIELD_JSON, "\xc3\x89t\xc3\xa9:j");
}

static void other_names_are_not_ours(void **state)
{
    (void)state;
    static const char *const names[] = {"",    "t",    ":t",   "_seq", "a:x", "A:t",
                                        "^:t", "a^:t", "^1:t", "a-t",  "a:T"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct buf name;
        buf_init(&name, 100);
        enum field_type type = FIELD_JSON;
        assert_false(field_parse_physical_name(slice_text(names[i]), &name, &type));
        assert_int_equal(name.size_bytes, 0);
        assert_int_equal(type, FIELD_JSON);
        buf_clear(&name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names),
        cmocka_unit_test(physical_names_survive_folding),
        cmocka_unit_test(other_names_are_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
