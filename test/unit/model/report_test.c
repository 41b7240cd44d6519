// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "model/report.h"

static int setup(void **state)
{
    struct arena *arena = mem_alloc(sizeof *arena);
    arena_init(arena);
    *state = arena;
    return 0;
}

static int teardown(void **state)
{
    struct arena *arena = *state;
    arena_clear(arena);
    mem_free(arena);
    return 0;
}

static bool try_parse(struct arena *arena, const char *json, struct report *ret_report,
                      struct err *err)
{
    struct json_tree *tree = NULL;
    struct err broken = {0};
    if (!json_tree_parse(slice_text(json), &tree, &broken))
        fail_msg("the test's own JSON: %s", broken.message);
    const bool is_parsed = report_parse(json_tree_root(tree), arena, ret_report, err);
    json_tree_free(&tree); // the report has copied what it needs
    return is_parsed;
}

static struct report parse(struct arena *arena, const char *json)
{
    struct report report = {0};
    struct err err = {0};
    if (!try_parse(arena, json, &report, &err))
        fail_msg("%s: %s", json, err.message);
    return report;
}

static void assert_refused(struct arena *arena, const char *json, const char *message)
{
    struct report report = {.topic_name = "untouched"};
    struct err err = {0};
    if (try_parse(arena, json, &report, &err))
        fail_msg("accepted: %.200s", json);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, message);
    assert_string_equal(report.topic_name, "untouched");
}

#define MINIMAL "\"report_type\":\"eo_install\",\"report_fields\":[\"name\"]"
#define BRANCH  "\"destination\":{\"subscription_type\":\"branch\"}"
#define ROLE    "\"resource_access_id\":\"arn:aws:iam::123456789012:role/path/role-name\""

// The body with these members of the report added.
static const char *with_report(struct arena *arena, const char *members)
{
    return arena_format(arena, "{\"report\":{%s%s},%s}", MINIMAL, members, BRANCH);
}

// The body with a destination of these members.
static const char *with_destination(struct arena *arena, const char *members)
{
    return arena_format(arena, "{\"report\":{%s},\"destination\":{%s}}", MINIMAL, members);
}

static void the_documented_body_is_read(void **state)
{
    const struct report report = parse(
        *state,
        "{\"report\":{\"cadence\":\"daily\",\"response_format\":\"parquet\","
        "\"response_format_compression\":\"snappy\",\"report_type\":\"eo_install\","
        "\"report_fields\":[\"name\",\"id\"],\"filter\":[\"eq\",\"name\",\"PURCHASE\"],\"x\":1},"
        "\"destination\":{\"prefix\":\"my-folder/a\",\"subscription_type\":\"cloud\","
        "\"bucket\":\"my-branch-export-bucket\",\"cloud\":\"s3\",\"endpoint\":\"http://x\"," ROLE
        ","
        "\"recipient_emails\":[\"example@branch.io\"]},\"external_id\":\"mine\"}");
    assert_int_equal(report.cadence, CADENCE_DAILY);
    assert_int_equal(report.format, REPORT_PARQUET);
    assert_int_equal(report.compression, REPORT_SNAPPY);
    assert_string_equal(report.topic_name, "eo_install");
    assert_int_equal(report.field_count, 2);
    assert_string_equal(report.fields[0], "name");
    assert_string_equal(report.fields[1], "id");
    assert_false(report.wants_all);
    assert_string_equal(report.filter_json, "[\"eq\",\"name\",\"PURCHASE\"]");
    assert_null(report.filter_typed);
    assert_int_equal(report.destination, REPORT_CLOUD);
    assert_string_equal(report.destination_json,
                        "{\"subscription_type\":\"cloud\",\"cloud\":\"s3\","
                        "\"bucket\":\"my-branch-export-bucket\",\"prefix\":\"my-folder/a\"," ROLE
                        ",\"endpoint\":\"http://x\"}");
}

static void absent_members_have_defaults(void **state)
{
    static const char *const bodies[] = {
        "",
        (",\"cadence\":null,\"response_format\":null,\"response_format_compression\":null,"
         "\"filter\":null"),
        ",\"filter\":[]",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        const struct report report = parse(*state, with_report(*state, bodies[i]));
        assert_int_equal(report.cadence, CADENCE_HOURLY);
        assert_int_equal(report.format, REPORT_CSV);
        assert_int_equal(report.compression, REPORT_GZ);
        assert_null(report.filter_json);
        assert_int_equal(report.destination, REPORT_BRANCH);
        assert_string_equal(report.destination_json, "{\"subscription_type\":\"branch\"}");
    }
}

static void required_members_are_named(void **state)
{
    static const struct {
        const char *body;
        const char *message;
    } cases[] = {
        {"null", "JSON object expected"},
        {"[]", "JSON object expected"},
        {"\"x\"", "JSON object expected"},
        {"1", "JSON object expected"},
        {"{}", "Missing required field: report"},
        {"{\"report\":null," BRANCH "}", "Missing required field: report"},
        {"{\"report\":{" MINIMAL "}}", "Missing required field: destination"},
        {"{\"report\":{" MINIMAL "},\"destination\":null}", "Missing required field: destination"},
        {"{\"report\":[]," BRANCH "}", "Invalid type: object expected"},
        {"{\"report\":{" MINIMAL "},\"destination\":\"branch\"}", "Invalid type: object expected"},
        {"{\"report\":{\"report_fields\":[\"name\"]}," BRANCH "}",
         "Missing required field: report.report_type"},
        {"{\"report\":{\"report_type\":\"eo_open\"}," BRANCH "}",
         "Missing required field: report.report_fields"},
        {"{\"report\":{\"report_type\":null,\"report_fields\":[\"name\"]}," BRANCH "}",
         "Missing required field: report.report_type"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_refused(*state, cases[i].body, cases[i].message);
}

static void report_members_are_checked(void **state)
{
    static const struct {
        const char *report;
        const char *message;
    } cases[] = {
        {"\"cadence\":\"minutely\"," MINIMAL, "Invalid cadence"},
        {"\"cadence\":\"\"," MINIMAL, "Invalid cadence"},
        {"\"cadence\":\"HOURLY\"," MINIMAL, "Invalid cadence"},
        {"\"cadence\":3600," MINIMAL, "Invalid cadence"},
        {"\"response_format\":\"xml\",\"response_format_compression\":\"zip\"," MINIMAL,
         "Invalid response_format"},
        {"\"response_format\":true," MINIMAL, "Invalid type: string expected"},
        {"\"response_format_compression\":\"zip\"," MINIMAL, "Invalid response_format_compression"},
        {"\"report_fields\":[\"name\"],\"report_type\":[]", "Invalid report_type"},
        {"\"report_fields\":[\"name\"],\"report_type\":[\"eo_install\",\"eo_open\"]",
         "Invalid report_type"},
        {"\"report_fields\":[\"name\"],\"report_type\":\"eo open\"", "Invalid report_type"},
        {"\"report_fields\":[\"name\"],\"report_type\":true", "Invalid type: string expected"},
        {"\"report_fields\":[\"name\"],\"report_type\":0", "Invalid type: string expected"},
        {"\"report_fields\":[\"name\"],\"report_type\":\"\"", "Invalid type: string expected"},
        {"\"report_fields\":[\"name\"],\"report_type\":[7]", "Invalid type: string expected"},
        {"\"report_type\":\"eo_open\",\"report_fields\":\"name\"", "Invalid type: array expected"},
        {"\"report_type\":\"eo_open\",\"report_fields\":[1]", "Invalid type: string expected"},
        {"\"report_type\":\"eo_open\",\"report_fields\":[\"\"]", "Invalid type: string expected"},
        {"\"report_type\":\"eo_open\",\"report_fields\":[null]", "Invalid type: string expected"},
        {"\"report_type\":\"eo_open\",\"report_fields\":[]",
         "Invalid report_fields: at least one field expected"},
        {"\"report_type\":\"eo_open\",\"report_fields\":[\"all\",\"name\"]",
         "Invalid report_fields: all stands alone"},
        {"\"report_type\":\"eo_open\",\"report_fields\":[\"name\",\"all\"]",
         "Invalid report_fields: all stands alone"},
        {"\"filter\":\"eq\"," MINIMAL, "Invalid filter: array expected"},
        {"\"filter\":{}," MINIMAL, "Invalid filter: array expected"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *body = arena_format(*state, "{\"report\":{%s}," BRANCH "}", cases[i].report);
        assert_refused(*state, body, cases[i].message);
    }
}

static void one_topic_may_stand_in_an_array(void **state)
{
    const struct report report =
        parse(*state, "{\"report\":{\"report_type\":[\"my.topic-2\"],\"report_fields\":[\"all\"]},"
                      "\"destination\":{\"subscription_type\":\"branch\",\"bucket\":7}}");
    assert_string_equal(report.topic_name, "my.topic-2");
    assert_true(report.wants_all);
    assert_int_equal(report.field_count, 1);
}

static const char *many_fields(struct arena *arena, size_t count, const char *format)
{
    struct buf text;
    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_char(&text, ',');
        buf_append_text(&text, arena_format(arena, "\"f%zu\"%s", i, format));
    }
    char *copy = arena_copy_slice(arena, buf_slice(&text));
    buf_clear(&text);
    return copy;
}

static void counts_are_bounded(void **state)
{
    for (size_t count = 2003; count <= 2004; count++) {
        struct buf text;
        buf_init(&text, 1024 * 1024);
        buf_append_text(&text, "{\"report\":{\"report_type\":\"t\",\"report_fields\":[");
        buf_append_text(&text, many_fields(*state, count, ""));
        buf_append_text(&text, "]}," BRANCH "}");
        if (count == 2003)
            assert_int_equal(parse(*state, buf_text(&text)).field_count, 2003);
        else
            assert_refused(*state, buf_text(&text), "Too many fields");
        buf_clear(&text);
    }
    const char *keys = many_fields(*state, 1001, ":1");
    assert_refused(*state, arena_format(*state, "{%s}", keys), "Too many fields");
    assert_refused(*state, arena_format(*state, "{\"report\":{%s}," BRANCH "}", keys),
                   "Too many fields");
    assert_refused(*state, with_destination(*state, keys), "Too many fields");
}

static const struct schema *install_schema(void)
{
    return schema_builtin(slice_text("eo_install"));
}

static void fields_are_checked_against_the_schema(void **state)
{
    struct report_bad_fields bad = {.count = 77};
    struct err err = {0};
    struct report report =
        parse(*state, "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"nope\","
                      "\"name\",\"timestamp\",\"Name\",\"app_id\",\"x;y\"]}," BRANCH "}");
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, "nope field is not available for exports");
    assert_int_equal(bad.count, 3);
    assert_string_equal(bad.names[0], "nope");
    assert_string_equal(bad.names[1], "Name");
    assert_string_equal(bad.names[2], "x;y");

    bad = (struct report_bad_fields){.count = 77};
    report = parse(*state,
                   "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"nope\","
                   "\"id\",\"name\",\"id\"]}," BRANCH "}");
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_string_equal(err.message, "Duplicate field: id");
    assert_int_equal(bad.count, 77);
}

static void filters_are_checked_against_the_schema(void **state)
{
    struct report_bad_fields bad = {.count = 77};
    struct err err = {0};
    struct report report = parse(
        *state, with_report(*state, ",\"filter\":\"%5B%22eq%22,%22attributed%22,%22true%22%5D\""));
    assert_string_equal(report.filter_json, "[\"eq\",\"attributed\",\"true\"]");
    assert_true(report_check(&report, install_schema(), *state, &bad, &err));
    assert_string_equal(report.filter_typed,
                        "[\"eq\",{\"f\":\"attributed\",\"t\":\"boolean\"},true]");
    report = parse(*state, with_report(*state, ",\"filter\":[\"eq\",\"nope\",1]"));
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_string_equal(err.message, "nope field is not available for exports");
    assert_int_equal(bad.count, 1);
    assert_string_equal(bad.names[0], "nope");
    report = parse(*state, with_report(*state, ""));
    assert_true(report_check(&report, install_schema(), *state, &bad, &err));
    assert_null(report.filter_typed);
}

static void unknown_fields_are_named_wherever_they_stand(void **state)
{
    struct report_bad_fields bad = {.count = 77};
    struct err err = {0};
    struct report report = parse(
        *state,
        "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"f1\",\"name\"],"
        "\"filter\":[[\"not\",[\"or\",[\"in\",\"f2\",[\"a\",\"b\"]],[\"eq\",\"name\",\"f9\"]]],"
        "[\"between\",\"f3\",1,2],[\"eq\",\"f1\",1],[\"huh\",\"f8\",1],[\"and\"],[],"
        "[\"eq\",[\"f7\"],1],[\"and\",[\"and\",[\"gt\",\"f4\",3]]]]}," BRANCH "}");
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_string_equal(err.message, "f1 field is not available for exports");
    static const char *const expected[] = {"f1", "f2", "f3", "f4"};
    assert_int_equal(bad.count, ARRAY_COUNT(expected));
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        assert_string_equal(bad.names[i], expected[i]);
    // ["all"] asks for no field by name.
    report = parse(*state,
                   "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"all\"],"
                   "\"filter\":[\"eq\",\"f1\",1]}," BRANCH "}");
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_int_equal(bad.count, 1);
}

static void the_look_for_unknown_fields_is_bounded(void **state)
{
    struct buf json CLEANUP(buf_clear) = {0};
    buf_init(&json, 1 << 20);
    buf_append_text(&json, "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"f\"],"
                           "\"filter\":[\"and\"");
    for (int i = 0; i < 3000; i++)
        buf_append_format(&json, ",[\"eq\",\"f%d\",1]", i);
    buf_append_text(&json, "]}," BRANCH "}");
    struct report_bad_fields bad = {0};
    struct err err = {0};
    struct report report = parse(*state, buf_text(&json));
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_in_range(bad.count, 1000, 1001);

    buf_reset(&json);
    buf_append_text(&json,
                    "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"],"
                    "\"filter\":");
    for (int i = 0; i < 50; i++)
        buf_append_text(&json, "[\"not\",");
    buf_append_text(&json, "[\"eq\",\"f\",1]");
    for (int i = 0; i < 50; i++)
        buf_append_text(&json, "]");
    buf_append_text(&json, "}," BRANCH "}");
    report = parse(*state, buf_text(&json));
    assert_false(report_check(&report, install_schema(), *state, &bad, &err));
    assert_non_null(strstr(err.message, "Filter too complex"));
}

// --- Edits

static struct report edit(struct arena *arena, const struct report *report, const char *patch)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct report edited = {0};
    struct err err = {0};
    assert_true(json_tree_parse(slice_text(patch), &tree, &err));
    if (!report_edit(report, json_tree_root(tree), arena, &edited, &err))
        fail_msg("%s: %s", patch, err.message);
    return edited;
}

static void assert_edit_refused(struct arena *arena, const struct report *report, const char *patch,
                                const char *message)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct report edited;
    struct err err = {0};
    assert_true(json_tree_parse(slice_text(patch), &tree, &err));
    assert_false(report_edit(report, json_tree_root(tree), arena, &edited, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.message, message);
}

static void an_edit_takes_members_one_by_one(void **state)
{
    const struct report first = parse(
        *state,
        "{\"report\":{\"cadence\":\"daily\",\"response_format\":\"json\",\"report_type\":"
        "\"eo_install\",\"report_fields\":[\"name\"],\"filter\":[\"eq\",\"name\",\"A\"]},"
        "\"destination\":{\"subscription_type\":\"cloud\",\"cloud\":\"gcs\",\"bucket\":\"old\","
        "\"prefix\":\"p\",\"resource_access_id\":\"a@b.iam.gserviceaccount.com\"}}");
    const struct report other = edit(*state, &first,
                                     "{\"report\":{\"report_fields\":[\"id\",\"name\"],\"x\":1},"
                                     "\"destination\":{\"bucket\":\"new\"},\"more\":[]}");
    assert_int_equal(other.cadence, CADENCE_DAILY);
    assert_int_equal(other.format, REPORT_JSON);
    assert_int_equal(other.field_count, 2);
    assert_string_equal(other.fields[0], "id");
    assert_string_equal(other.filter_json, "[\"eq\",\"name\",\"A\"]");
    assert_string_equal(other.destination_json,
                        "{\"subscription_type\":\"cloud\",\"cloud\":\"gcs\",\"bucket\":\"new\","
                        "\"prefix\":\"p\",\"resource_access_id\":\"a@b.iam.gserviceaccount.com\"}");
    // null brings the default back; an object that is null is not there.
    const struct report plain =
        edit(*state, &other,
             "{\"report\":{\"cadence\":null,\"response_format\":null,\"filter\":null},"
             "\"destination\":null}");
    assert_int_equal(plain.cadence, CADENCE_HOURLY);
    assert_int_equal(plain.format, REPORT_CSV);
    assert_null(plain.filter_json);
    assert_int_equal(plain.destination, REPORT_CLOUD);
    assert_int_equal(
        edit(*state, &other, "{\"destination\":{\"subscription_type\":\"branch\"}}").destination,
        REPORT_BRANCH);
    assert_edit_refused(*state, &first, "{\"report\":{\"report_type\":null}}",
                        "Missing required field: report.report_type");
    assert_edit_refused(*state, &first, "{\"report\":[]}", "Invalid type: object expected");
    assert_edit_refused(*state, &first, "{\"destination\":5}", "Invalid type: object expected");
    assert_edit_refused(*state, &first, "{\"report\":{\"cadence\":\"weekly\"}}", "Invalid cadence");
}

static void an_edit_keeps_the_types_of_the_filter(void **state)
{
    struct report_bad_fields bad = {0};
    struct err err = {0};
    struct report first =
        parse(*state, with_report(*state, ",\"filter\":[\"eq\",\"attributed\",\"true\"]"));
    assert_true(report_check(&first, install_schema(), *state, &bad, &err));
    // The field has got another type, or has gone, since the filter was written.
    first.filter_typed = "[\"eq\",{\"f\":\"gone\",\"t\":\"long\"},1]";
    first.filter_json = "[\"eq\",\"gone\",1]";
    struct report other = edit(*state, &first, "{\"report\":{\"report_fields\":[\"id\"]}}");
    assert_true(report_check(&other, install_schema(), *state, &bad, &err));
    assert_string_equal(other.filter_typed, first.filter_typed);
    other = edit(*state, &first, "{\"report\":{\"report_type\":\"eo_open\"}}");
    assert_false(report_check(&other, install_schema(), *state, &bad, &err));
    other = edit(*state, &first, "{\"report\":{\"filter\":[\"eq\",\"attributed\",false]}}");
    assert_true(report_check(&other, install_schema(), *state, &bad, &err));
    assert_string_equal(other.filter_typed,
                        "[\"eq\",{\"f\":\"attributed\",\"t\":\"boolean\"},false]");
}

static void columns_follow_the_request(void **state)
{
    struct column *columns = NULL;
    struct report report = parse(
        *state, "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"timestamp\","
                "\"attributed\",\"id\"]}," BRANCH "}");
    assert_int_equal(report_columns(&report, install_schema(), *state, &columns), 3);
    assert_string_equal(columns[0].name, "timestamp");
    assert_int_equal(columns[0].type, FIELD_TIME);
    assert_int_equal(columns[1].type, FIELD_BOOL);
    assert_int_equal(columns[2].type, FIELD_TEXT);
    const struct schema empty = {.topic_name = "empty"};
    columns = NULL;
    assert_int_equal(report_columns(&report, &empty, *state, &columns), 0);
    assert_null(columns);
    report = parse(
        *state,
        "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"all\"]}," BRANCH "}");
    struct err err = {0};
    struct report_bad_fields bad;
    assert_true(report_check(&report, install_schema(), *state, &bad, &err));
    assert_int_equal(report_columns(&report, install_schema(), *state, &columns), 355);
}

static const char *store(struct arena *arena, const struct report *report)
{
    struct buf text;
    buf_init(&text, 100000);
    report_store(report, &text);
    char *copy = arena_copy_slice(arena, buf_slice(&text));
    buf_clear(&text);
    return copy;
}

static void documents_come_back(void **state)
{
    static const char *const bodies[] = {
        "{\"report\":{\"cadence\":\"daily\",\"response_format\":\"json\","
        "\"response_format_compression\":\"zstd\",\"report_type\":\"eo_install\","
        "\"report_fields\":[\"id\",\"name\"],\"filter\":[\"in\",\"name\",[\"\\u00e9\",5]]},"
        "\"destination\":{\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":\"abc\"," ROLE
        "}}",
        "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"all\"]}," BRANCH "}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        struct report report = parse(*state, bodies[i]);
        struct report_bad_fields bad;
        struct err err = {0};
        assert_true(report_check(&report, install_schema(), *state, &bad, &err));
        const char *stored = store(*state, &report);
        struct report loaded;
        assert_true(report_load(slice_text(stored), *state, &loaded, &err));
        assert_string_equal(store(*state, &loaded), stored);
        assert_int_equal(loaded.wants_all, report.wants_all);
        assert_int_equal(loaded.filter_typed == NULL, report.filter_typed == NULL);
        if (i == 0)
            assert_string_equal(loaded.filter_typed,
                                "[\"in\",{\"f\":\"name\",\"t\":\"string\"},[\"\xc3\xa9\",\"5\"]]");
    }
}

static void members_are_echoed(void **state)
{
    const struct report report = parse(*state,
                                       with_report(*state, ",\"response_format\":\"json\""));
    struct buf text;
    buf_init(&text, 10000);
    struct json_text json;
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    report_write_members(&report, &json);
    json_text_member_text(&json, "subscription_status", "ACTIVE");
    json_text_close(&json, '}');
    assert_string_equal(buf_text(&text),
                        "{\"cadence\":\"hourly\",\"response_format\":\"json\",\"response_format_"
                        "compression\":\"gz\","
                        "\"report_type\":\"eo_install\",\"report_fields\":[\"name\"],\"filter\":[],"
                        "\"subscription_status\":\"ACTIVE\"}");
    buf_clear(&text);
}

static void damaged_documents_are_corrupt(void **state)
{
    static const char *const documents[] = {"", "{}", "[]", "{\"report\":{}," BRANCH "}"};
    for (size_t i = 0; i < ARRAY_COUNT(documents); i++) {
        struct report report = {.topic_name = "untouched"};
        struct err err = {0};
        assert_false(report_load(slice_text(documents[i]), *state, &report, &err));
        assert_int_equal(err.kind, ERR_CORRUPT);
        assert_string_equal(report.topic_name, "untouched");
    }
}

static const char *with_mail(struct arena *arena, const char *address)
{
    return with_destination(
        arena,
        arena_format(arena, "\"subscription_type\":\"email\",\"recipient_emails\":[%s]", address));
}

static const char *duplicate_key(struct arena *arena, const char *body)
{
    const struct report report = parse(arena, body);
    struct buf text;
    buf_init(&text, 10000);
    report_append_duplicate_key(&report, &text);
    char *copy = arena_copy_slice(arena, buf_slice(&text));
    buf_clear(&text);
    return copy;
}

static void duplicates_have_equal_keys(void **state)
{
    const char *key = duplicate_key(*state, with_report(*state, ""));
    static const char *const same[] = {",\"cadence\":\"hourly\"", ",\"response_format\":\"json\"",
                                       ",\"response_format_compression\":\"snappy\"",
                                       ",\"filter\":[]"};
    for (size_t i = 0; i < ARRAY_COUNT(same); i++)
        assert_string_equal(duplicate_key(*state, with_report(*state, same[i])), key);
    assert_string_not_equal(duplicate_key(*state, with_report(*state, ",\"cadence\":\"daily\"")),
                            key);
    const char *filtered = duplicate_key(*state,
                                         with_report(*state, ",\"filter\":[\"eq\",\"name\",1]"));
    assert_string_not_equal(filtered, key);
    assert_string_equal(
        duplicate_key(*state, with_report(*state, ",\"filter\":[ \"eq\" ,\"name\", 1 ]")),
        filtered);
    assert_string_not_equal(duplicate_key(*state, with_mail(*state, "\"a@b.co\"")), key);
    assert_string_equal(duplicate_key(*state, with_mail(*state, "\"a@b.co\"")),
                        duplicate_key(*state, with_mail(*state, "\"c@b.co\"")));
    assert_string_not_equal(
        duplicate_key(*state, "{\"report\":{\"report_type\":\"eo_install\","
                              "\"report_fields\":[\"id\",\"name\"]}," BRANCH "}"),
        duplicate_key(*state, "{\"report\":{\"report_type\":\"eo_install\","
                              "\"report_fields\":[\"name\",\"id\"]}," BRANCH "}"));
}

static void what_a_request_says_once_is_kept(void **state)
{
    struct arena *arena = *state;
    struct report report = parse(
        arena, with_report(arena, ",\"response_format_compression\":\"none\",\"row_limit\":5"));
    assert_int_equal(report.compression, REPORT_UNCOMPRESSED);
    assert_int_equal(report.row_limit, 0); // no client of a subscription can say it
    struct report loaded = {0};
    struct err err = {0};
    assert_true(report_load(slice_text(store(arena, &report)), arena, &loaded, &err));
    assert_int_equal(loaded.row_limit, 0);
    assert_null(loaded.zone_name);
    report.row_limit = 100;
    report.part_rows = 5000000;
    report.zone_name = "Europe/Zurich";
    report.zone_version = "2026a";
    assert_true(report_load(slice_text(store(arena, &report)), arena, &loaded, &err));
    assert_int_equal(loaded.row_limit, 100);
    assert_int_equal(loaded.part_rows, 5000000);
    assert_string_equal(loaded.zone_name, "Europe/Zurich");
    assert_string_equal(loaded.zone_version, "2026a");
}

static void names_are_stable(void **state)
{
    (void)state;
    assert_string_equal(report_format_name(REPORT_PARQUET), "parquet");
    assert_string_equal(report_compression_name(REPORT_ZSTD), "zstd");
    assert_string_equal(report_destination_name(REPORT_CLOUD), "cloud");
    assert_string_equal(report_file_extension(REPORT_CSV, REPORT_GZ), "csv.gz");
    assert_string_equal(report_file_extension(REPORT_CSV, REPORT_ZSTD), "csv.zst");
    assert_string_equal(report_file_extension(REPORT_JSON, REPORT_SNAPPY), "json.snappy");
    assert_string_equal(report_file_extension(REPORT_CSV, REPORT_UNCOMPRESSED), "csv");
    assert_string_equal(report_file_extension(REPORT_PARQUET, REPORT_UNCOMPRESSED), "parquet");
    assert_string_equal(report_file_extension(REPORT_PARQUET, REPORT_SNAPPY), "parquet");
    enum report_destination destination = REPORT_BRANCH;
    assert_true(report_destination_parse(slice_text("email"), &destination));
    assert_int_equal(destination, REPORT_EMAIL);
    assert_false(report_destination_parse(slice_text("Cloud"), &destination));
    assert_int_equal(destination, REPORT_EMAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_documented_body_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(absent_members_have_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(required_members_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(report_members_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(one_topic_may_stand_in_an_array, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(fields_are_checked_against_the_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(filters_are_checked_against_the_schema, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_fields_are_named_wherever_they_stand, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_look_for_unknown_fields_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(an_edit_takes_members_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(an_edit_keeps_the_types_of_the_filter, setup, teardown),
        cmocka_unit_test_setup_teardown(columns_follow_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(members_are_echoed, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_documents_are_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(duplicates_have_equal_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_request_says_once_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_stable, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
