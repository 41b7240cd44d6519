// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api_media.h"
#include "base/check.h"

static void assert_range(const char *header, uint64_t object_bytes, struct api_range expected)
{
    const struct api_range range = api_range_parse(slice_text(header), object_bytes);
    assert_int_equal(range.kind, expected.kind);
    assert_true(range.offset_bytes == expected.offset_bytes);
    assert_true(range.size_bytes == expected.size_bytes);
}

static void ranges_are_cut_to_the_object(void **state)
{
    (void)state;
    assert_range("bytes=0-0", 10, (struct api_range){API_RANGE_PART, 0, 1});
    assert_range("bytes=0-9", 10, (struct api_range){API_RANGE_PART, 0, 10});
    assert_range("bytes=2-", 10, (struct api_range){API_RANGE_PART, 2, 8});
    assert_range("bytes=9-100", 10, (struct api_range){API_RANGE_PART, 9, 1});
    assert_range("bytes=9-99999999999999999999999", 10, (struct api_range){API_RANGE_PART, 9, 1});
    assert_range("bytes=-3", 10, (struct api_range){API_RANGE_PART, 7, 3});
    assert_range("bytes=-30", 10, (struct api_range){API_RANGE_PART, 0, 10});
    assert_range("Bytes=1-2", 10, (struct api_range){API_RANGE_PART, 1, 2});
}

static void ranges_beyond_the_end_are_unsatisfiable(void **state)
{
    (void)state;
    static const char *const headers[] = {"bytes=-0",
                                          "bytes=10-",
                                          "bytes=99999999999-",
                                          "bytes=18446744073709551615-",
                                          "bytes=99999999999999999999-",
                                          "bytes=10-20"};
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++)
        assert_range(headers[i], 10, (struct api_range){.kind = API_RANGE_UNSATISFIABLE});
    assert_range("bytes=-5", 0, (struct api_range){.kind = API_RANGE_UNSATISFIABLE});
    assert_range("bytes=0-", 0, (struct api_range){.kind = API_RANGE_UNSATISFIABLE});
}

static void other_ranges_are_ignored(void **state)
{
    (void)state;
    static const char *const headers[] = {"",           "bytes=",     "bytes=-",       "bytes=5-2",
                                          "bytes=a-b",  "lines=0-1",  "bytes=0-1,3-4", "bytes 0-1",
                                          "bytes=1 -2", "bytes=+1-2", "bytes=0x1-2",   "bytes=5"};
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++)
        assert_range(headers[i], 10, (struct api_range){.kind = API_RANGE_WHOLE});
}

static void tags_are_found_in_lists(void **state)
{
    (void)state;
    assert_true(api_etag_list_has(slice_text("\"a\""), "\"a\""));
    assert_true(api_etag_list_has(slice_text("*"), "\"a\""));
    assert_true(api_etag_list_has(slice_text("\"b\", W/\"a\""), "\"a\""));
    assert_true(api_etag_list_has(slice_text(" \"b\" ,\t\"a\" "), "\"a\""));
    assert_false(api_etag_list_has(slice_text("\"ab\""), "\"a\""));
    assert_false(api_etag_list_has(slice_text("a"), "\"a\""));
    assert_false(api_etag_list_has(slice_text(""), "\"a\""));
    assert_false(api_etag_list_has(slice_text(",,"), "\"a\""));
    assert_true(api_etag_list_has_strong(slice_text("W/\"b\", \"a\""), "\"a\""));
    assert_true(api_etag_list_has_strong(slice_text("*"), "\"a\""));
    assert_false(api_etag_list_has_strong(slice_text("W/\"a\""), "\"a\""));
}

static void media_types_ignore_case_and_parameters(void **state)
{
    (void)state;
    assert_true(api_media_type_is(slice_text("application/json"), "application/json"));
    assert_true(
        api_media_type_is(slice_text("Application/JSON ; charset=utf-8"), "application/json"));
    assert_false(api_media_type_is(slice_text("application/json5"), "application/json"));
    assert_false(api_media_type_is(slice_text(""), "application/json"));
    assert_false(api_media_type_is(slice_text(";application/json"), "application/json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_cut_to_the_object),
        cmocka_unit_test(ranges_beyond_the_end_are_unsatisfiable),
        cmocka_unit_test(other_ranges_are_ignored),
        cmocka_unit_test(tags_are_found_in_lists),
        cmocka_unit_test(media_types_ignore_case_and_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
