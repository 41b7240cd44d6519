// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/xml_text.h"

static void texts_are_escaped(void **state)
{
    (void)state;
    struct buf xml CLEANUP(buf_clear);
    buf_init(&xml, 1000);
    xml_text_open(&xml, "A");
    xml_text_member(&xml, "B", slice_text("a&b<c>d\"e'f\tg\r\nh"));
    xml_text_member(&xml, "C", slice_text("\xc3\xa9 \xf0\x9f\x98\x80"));
    xml_text_member(&xml, "D", slice_of(NULL, 0));
    xml_text_append(&xml, slice_text("]]>"));
    xml_text_close(&xml, "A");
    assert_string_equal(buf_text(&xml), "<A><B>a&amp;b&lt;c&gt;d&quot;e'f&#9;g&#13;&#10;h</B>"
                                        "<C>\xc3\xa9 \xf0\x9f\x98\x80</C><D></D>]]&gt;</A>");
}

static void what_no_document_can_hold_is_known(void **state)
{
    (void)state;
    static const char *const fit[] = {"", "\t\r\n ~", "\xef\xbf\xbd", "\x7f", "\xed\x9f\xbf"};
    static const char *const unfit[] = {"\x01", "a\x1f", "\x0b", "\xef\xbf\xbe", "x\xef\xbf\xbf"};
    for (size_t i = 0; i < ARRAY_COUNT(fit); i++)
        assert_true(xml_text_is_fit(slice_text(fit[i])));
    for (size_t i = 0; i < ARRAY_COUNT(unfit); i++)
        assert_false(xml_text_is_fit(slice_text(unfit[i])));
    assert_false(xml_text_is_fit(slice_of("a\0b", 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(what_no_document_can_hold_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
