// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/mem.h"
#include "model/report.h"
#include "model/report_destination.h"

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
#define ROLE    "\"resource_access_id\":\"arn:aws:iam::123456789012:role/path/role-name\""
#define ACCOUNT "\"resource_access_id\":\"branch-sle@your-project.iam.gserviceaccount.com\""

// The body with a destination of these members.
static const char *with_destination(struct arena *arena, const char *members)
{
    return arena_format(arena, "{\"report\":{%s},\"destination\":{%s}}", MINIMAL, members);
}

static void destinations_are_checked(void **state)
{
    static const struct {
        const char *destination;
        const char *message;
    } cases[] = {
        {"", "Missing required field: destination.subscription_type"},
        {"\"subscription_type\":\"ftp\"", "Invalid subscription_type"},
        {"\"subscription_type\":0", "Invalid type: string expected"},
        {"\"subscription_type\":\"\"", "Invalid type: string expected"},
        {"\"subscription_type\":\"cloud\"", "Missing required field: destination.bucket"},
        {"\"subscription_type\":\"cloud\",\"bucket\":\"abc\"",
         "Missing required field: destination.cloud"},
        {"\"subscription_type\":\"cloud\",\"bucket\":\"abc\",\"cloud\":\"s3\"",
         "Missing required field: destination.resource_access_id"},
        {"\"subscription_type\":\"cloud\",\"bucket\":\"abc\",\"cloud\":\"azure\"," ROLE,
         "Invalid cloud"},
        {"\"subscription_type\":\"cloud\",\"bucket\":7,\"cloud\":\"s3\"," ROLE,
         "Invalid type: string expected"},
        {"\"subscription_type\":\"cloud\",\"bucket\":\"abc\",\"cloud\":\"s3\",\"prefix\":7," ROLE,
         "Invalid type: string expected"},
        {"\"subscription_type\":\"email\"", "Missing required field: destination.recipient_emails"},
        {"\"subscription_type\":\"email\",\"recipient_emails\":[]",
         "Missing required field: destination.recipient_emails"},
        {"\"subscription_type\":\"email\",\"recipient_emails\":\"a@b.com\"",
         "Invalid type: array expected"},
        {"\"subscription_type\":\"email\",\"recipient_emails\":[7]",
         "Invalid type: string expected"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_refused(*state, with_destination(*state, cases[i].destination), cases[i].message);
}

static const char *with_bucket(struct arena *arena, const char *cloud, const char *bucket)
{
    return with_destination(
        arena,
        arena_format(arena, "\"subscription_type\":\"cloud\",\"cloud\":\"%s\",\"bucket\":\"%s\",%s",
                     cloud, bucket, strcmp(cloud, "s3") == 0 ? ROLE : ACCOUNT));
}

static void buckets_have_names(void **state)
{
    static const char *const bad[] = {
        "good/../other", "good?x",  "good#", "good%2f",     "good@evil", "ab",
        "Good",          "a..b",    ".abc",  "abc.",        "-abc",      "abc-",
        "a_b_c",         "1.2.3.4", "a b c", "abc\\u0001x", "a.-b",      "\xc3\xa9\xc3\xa9",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(*state, with_bucket(*state, "s3", bad[i]), "Invalid bucket name");
    char longest[65];
    memset(longest, 'a', sizeof longest);
    longest[64] = '\0';
    assert_refused(*state, with_bucket(*state, "s3", longest), "Invalid bucket name");
    longest[63] = '\0';
    static const char *const good[] = {"abc", "my-branch-export-bucket", "a.b-c.d", "123", "1.2.x"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        (void)parse(*state, with_bucket(*state, "s3", good[i]));
    (void)parse(*state, with_bucket(*state, "s3", longest));
    (void)parse(*state, with_bucket(*state, "gcs", "my_bucket.x"));
}

static const char *with_prefix(struct arena *arena, const char *prefix)
{
    return with_destination(
        arena, arena_format(arena,
                            "\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":\"abc\","
                            "\"prefix\":\"%s\"," ROLE,
                            prefix));
}

static void prefixes_stay_below_the_bucket(void **state)
{
    static const char *const bad[] = {"../../etc", "/abs",     "a//b",     "./a", "a/./b",
                                      "a/../b",    "a/",       "..",       ".",   "a\\\\b",
                                      "a\\r\\nb",  "a\\u007f", "a\\u0001b"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(*state, with_prefix(*state, bad[i]), "Invalid prefix");
    static const char *const templates[] = {"{org_id}", "{secret}", "${jndi:ldap://x}", "%(x)s",
                                            "%n%n"};
    for (size_t i = 0; i < ARRAY_COUNT(templates); i++)
        assert_refused(*state, with_prefix(*state, templates[i]), "Unknown placeholder in prefix");
    char longest[514];
    memset(longest, 'a', sizeof longest);
    longest[513] = '\0';
    assert_refused(*state, with_prefix(*state, longest), "Prefix too long");
    longest[512] = '\0';
    (void)parse(*state, with_prefix(*state, longest));
    (void)parse(*state, with_prefix(*state, "branch/important_reports/..x/\xc3\xa9 y"));
    const struct report root = parse(*state, with_prefix(*state, ""));
    assert_null(strstr(root.destination_json, "prefix"));
}

static const char *with_role(struct arena *arena, const char *cloud, const char *role)
{
    return with_destination(
        arena, arena_format(arena,
                            "\"subscription_type\":\"cloud\",\"cloud\":\"%s\",\"bucket\":\"abc\","
                            "\"resource_access_id\":\"%s\"",
                            cloud, role));
}

static void roles_are_checked(void **state)
{
    static const char *const bad[] = {
        "arn:aws:iam::12345678901:role/x",
        "arn:aws:iam::1234567890123:role/x",
        "arn:aws:iam::12345678901a:role/x",
        "arn:aws:iam::123456789012:user/x",
        "arn:aws:s3:::b",
        "arn:aws:sts::123456789012:assumed-role/x/y",
        "ARN:AWS:iam::123456789012:role/x",
        " arn:aws:iam::123456789012:role/x",
        "arn:aws:iam::123456789012:role/x ",
        "arn:aws:iam::123456789012:role/x\\n",
        "arn:aws:iam::*:role/*",
        "arn:aws:iam::123456789012:role/*",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role//x",
        "arn:aws:iam::123456789012:role/x/",
        "arn:aws:iam::123456789012:role/x:y",
        "arn:aws:iam:eu:123456789012:role/x",
        "arn:other:iam::123456789012:role/x",
        "arn:",
        "a_b",
        "A",
        "-a",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(*state, with_role(*state, "s3", bad[i]), "Invalid role ARN");
    (void)parse(*state, with_role(*state, "s3", "arn:aws-cn:iam::123456789012:role/a/b/C_d+=,.@-"));
    char path[2100];
    memset(path, 'a', sizeof path);
    for (size_t i = 49; i < sizeof path; i += 50)
        path[i] = '/';
    const char *start = "arn:aws:iam::123456789012:role/";
    for (size_t size = 2048; size <= 2049; size++) {
        path[size - strlen(start)] = '\0';
        path[size - strlen(start) - 1] = 'x';
        const char *body = with_role(*state, "s3", arena_format(*state, "%s%s", start, path));
        if (size == 2048)
            (void)parse(*state, body);
        else
            assert_refused(*state, body, "Invalid role ARN");
        path[size - strlen(start)] = 'a';
    }
}

static void service_accounts_are_checked(void **state)
{
    static const char *const bad[] = {
        "a@b.com",
        "@p.iam.gserviceaccount.com",
        "a@.iam.gserviceaccount.com",
        "a.iam.gserviceaccount.com",
        "a b@p.iam.gserviceaccount.com",
        ".iam.gserviceaccount.com",
        "a@b@p.iam.gserviceaccount.com",
        "a@p.iam.gserviceaccount.com.evil",
        "a@p..iam.gserviceaccount.com",
        "-a@p.iam.gserviceaccount.com",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(*state, with_role(*state, "gcs", bad[i]), "Invalid service account");
    const struct report report =
        parse(*state, with_role(*state, "gcs", "sle-acct@p.example.iam.gserviceaccount.com"));
    assert_string_equal(report.destination_json,
                        "{\"subscription_type\":\"cloud\",\"cloud\":\"gcs\",\"bucket\":\"abc\","
                        "\"resource_access_id\":\"sle-acct@p.example.iam.gserviceaccount.com\"}");
}

static const char *with_mail(struct arena *arena, const char *addresses)
{
    return with_destination(
        arena, arena_format(arena, "\"subscription_type\":\"email\",\"recipient_emails\":[%s]",
                            addresses));
}

static void mail_addresses_are_checked(void **state)
{
    static const char *const bad[] = {
        "\"a@b.com\\r\\nBcc: x@evil\"",
        "\"\\\"a b\\\"@b.com\"",
        "\"a@[127.0.0.1]\"",
        "\"a@127.0.0.1\"",
        "\"a@localhost\"",
        "\"@b.com\"",
        "\"a@\"",
        "\"a\"",
        "\"a@b@c.com\"",
        "\"Eve <a@b.com>\"",
        "\"=?utf-8?q?a?=@b.com\"",
        "\"-oQ/tmp -X/tmp/x@b.com\"",
        "\"-a@b.com\"",
        "\".a@b.com\"",
        "\"a..b@c.com\"",
        "\"a@b..com\"",
        "\"a@-b.com\"",
        "\"a@b-.com\"",
        "\"a@b.com.\"",
        "\"\xc3\xa9@b.com\"",
        "\"a@b.com,c@d.com\"",
        "\"a@b.com \"",
        "\"\"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(*state, with_mail(*state, bad[i]), "Invalid e-mail address");
    char text[300];
    memset(text, 'a', sizeof text);
    text[65] = '\0';
    assert_refused(*state, with_mail(*state, arena_format(*state, "\"%s@b.com\"", text)),
                   "Invalid e-mail address");
    (void)parse(*state, with_mail(*state, arena_format(*state, "\"%s@b.com\"", text + 1)));
    // 255 and 254 characters in all, in labels of 50.
    for (size_t i = 50; i < 250; i += 51)
        text[i] = '.';
    text[65] = 'a';
    text[250] = '\0';
    assert_refused(*state, with_mail(*state, arena_format(*state, "\"x@%sbco\"", text)),
                   "Invalid e-mail address");
    (void)parse(*state, with_mail(*state, arena_format(*state, "\"x@%sco\"", text)));
}

static void recipients_are_kept_once(void **state)
{
    const struct report report =
        parse(*state, with_mail(*state, "\"a+b@c.example\",\"x_y@d.co\",\"a+b@c.example\""));
    assert_int_equal(report.destination, REPORT_EMAIL);
    assert_string_equal(report.destination_json,
                        "{\"subscription_type\":\"email\","
                        "\"recipient_emails\":[\"a+b@c.example\",\"x_y@d.co\"]}");
    const char *ten =
        "\"a@b.co\",\"b@b.co\",\"c@b.co\",\"d@b.co\",\"e@b.co\",\"f@b.co\",\"g@b.co\","
        "\"h@b.co\",\"i@b.co\",\"j@b.co\"";
    (void)parse(*state, with_mail(*state, ten));
    assert_refused(*state, with_mail(*state, arena_format(*state, "%s,\"k@b.co\"", ten)),
                   "Too many recipients");
}

// --- What only milkrun has.

static const char *with_s3(struct arena *arena, const char *members)
{
    return with_destination(arena, arena_format(arena,
                                                "\"subscription_type\":\"cloud\",\"cloud\":\"s3\","
                                                "\"bucket\":\"abc\",%s",
                                                members));
}

static void connections_are_told_by_their_form(void **state)
{
    char longest[65];
    memset(longest, 'c', sizeof longest);
    longest[64] = '\0';
    assert_refused(*state, with_role(*state, "s3", longest), "Invalid role ARN");
    assert_refused(*state, with_role(*state, "gcs", longest), "Invalid service account");
    longest[63] = '\0';
    const char *const names[] = {"minio", "0", "a-b-", "arn", longest};
    static const char *const clouds[] = {"s3", "gcs"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        for (size_t j = 0; j < ARRAY_COUNT(clouds); j++) {
            struct report_cloud cloud;
            struct err err = {0};
            const struct report report = parse(*state, with_role(*state, clouds[j], names[i]));
            assert_true(report_read_cloud(&report, *state, &cloud, &err));
            assert_int_equal(cloud.access, REPORT_CONNECTION);
            assert_string_equal(cloud.resource_access_id, names[i]);
        }
    }
    assert_false(report_connection_name_is_valid(slice_text("")));
    assert_false(report_connection_name_is_valid(slice_text("a:b")));
    assert_false(report_connection_name_is_valid(slice_text("a@b")));
}

static void a_cloud_is_read_back(void **state)
{
    struct report_cloud cloud;
    struct err err = {0};
    const struct report report =
        parse(*state, with_s3(*state, ROLE ",\"prefix\":\"p/q\",\"endpoint\":\"https://x.example\","
                                           "\"kms_key_arn\":\"arn:aws:kms:eu-west-1:210987654321:"
                                           "alias/exports\",\"external_id\":\"mine\""));
    assert_string_equal(report.destination_json,
                        "{\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":\"abc\","
                        "\"prefix\":\"p/q\"," ROLE ",\"endpoint\":\"https://x.example\","
                        "\"kms_key_arn\":\"arn:aws:kms:eu-west-1:210987654321:alias/exports\"}");
    assert_true(report_read_cloud(&report, *state, &cloud, &err));
    assert_false(cloud.is_gcs);
    assert_int_equal(cloud.access, REPORT_ROLE);
    assert_string_equal(cloud.bucket, "abc");
    assert_string_equal(cloud.prefix, "p/q");
    assert_string_equal(cloud.endpoint, "https://x.example");
    assert_string_equal(cloud.kms_key_arn, "arn:aws:kms:eu-west-1:210987654321:alias/exports");
    assert_true(slice_equal_text(report_role_account(slice_text(cloud.resource_access_id)),
                                 "123456789012"));
    assert_true(slice_is_empty(report_role_account(slice_text("minio"))));

    const struct report plain = parse(*state, with_bucket(*state, "gcs", "abc"));
    assert_true(report_read_cloud(&plain, *state, &cloud, &err));
    assert_true(cloud.is_gcs);
    assert_int_equal(cloud.access, REPORT_ACCOUNT);
    assert_null(cloud.prefix);
    assert_null(cloud.endpoint);
    assert_null(cloud.kms_key_arn);

    const struct report damaged = {.destination = REPORT_CLOUD,
                                   .destination_json = "{\"bucket\":\"abc\"}"};
    assert_false(report_read_cloud(&damaged, *state, &cloud, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
}

static void keys_for_encryption_are_checked(void **state)
{
#define KEY_ID "1234abcd-12ab-34cd-56ef-1234567890ab"
    static const char *const bad[] = {
        "x",
        "arn:aws:kms:x",
        "arn:aws:kms::123456789012:key/" KEY_ID,
        "arn:aws:kms:us-west-1:12345678901:key/" KEY_ID,
        "arn:aws:kms:us-west-1:123456789012:key/x",
        "arn:aws:kms:us-west-1:123456789012:key/" KEY_ID "0",
        "arn:aws:kms:us-west-1:123456789012:key/1234ABCD-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-west-1:123456789012:key/mrk-" KEY_ID,
        "arn:aws:kms:us-west-1:123456789012:alias/",
        "arn:aws:kms:us-west-1:123456789012:alias/a b",
        "arn:aws:kms:us west:123456789012:key/" KEY_ID,
        "arn:aws:iam::123456789012:role/x",
        "arn:aws-cn:kms:cn-north-1:123456789012:key/" KEY_ID, // another partition than the role's
        " arn:aws:kms:us-west-1:123456789012:key/" KEY_ID,
    };
    static const char *const good[] = {
        ("arn:aws:kms:us-west-1:123456789012:key/" KEY_ID),
        "arn:aws:kms:us-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-west-1:999999999999:alias/a/b_c-D",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_refused(
            *state, with_s3(*state, arena_format(*state, ROLE ",\"kms_key_arn\":\"%s\"", bad[i])),
            "Invalid KMS key ARN");
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        (void)parse(*state,
                    with_s3(*state, arena_format(*state, ROLE ",\"kms_key_arn\":\"%s\"", good[i])));
    // A connection is of no partition that we know.
    (void)parse(*state,
                with_s3(*state, "\"resource_access_id\":\"minio\",\"kms_key_arn\":"
                                "\"arn:aws-cn:kms:cn-north-1:123456789012:key/" KEY_ID "\""));
    assert_refused(*state,
                   with_destination(*state,
                                    "\"subscription_type\":\"cloud\",\"cloud\":\"gcs\","
                                    "\"bucket\":\"abc\"," ACCOUNT ",\"kms_key_arn\":"
                                    "\"arn:aws:kms:us-west-1:123456789012:key/" KEY_ID "\""),
                   "Invalid KMS key ARN");
    assert_refused(*state, with_s3(*state, ROLE ",\"kms_key_arn\":5"),
                   "Invalid type: string expected");
}

static void endpoints_are_texts_of_some_length(void **state)
{
    const char *connection = "\"resource_access_id\":\"minio\"";
    char text[2050];
    memset(text, 'h', sizeof text);
    text[2049] = '\0';
    assert_refused(
        *state, with_s3(*state, arena_format(*state, "%s,\"endpoint\":\"%s\"", connection, text)),
        "Invalid endpoint URL");
    text[2048] = '\0';
    (void)parse(*state,
                with_s3(*state, arena_format(*state, "%s,\"endpoint\":\"%s\"", connection, text)));
    assert_refused(*state, with_s3(*state, arena_format(*state, "%s,\"endpoint\":[]", connection)),
                   "Invalid type: string expected");
    const struct report none =
        parse(*state, with_s3(*state, arena_format(*state, "%s,\"endpoint\":null", connection)));
    assert_null(strstr(none.destination_json, "endpoint"));
}

static void mail_is_read_back(void **state)
{
    struct report_email email;
    struct err err = {0};
    const struct report links = parse(*state,
                                      with_mail(*state, "\"a@b.co\",\"c@d.co\",\"a@b.co\""));
    assert_true(report_read_email(&links, *state, &email, &err));
    assert_int_equal(email.count, 2);
    assert_string_equal(email.addresses[0], "a@b.co");
    assert_string_equal(email.addresses[1], "c@d.co");
    assert_false(email.wants_attachment);

    const struct report attached =
        parse(*state, with_mail(*state, "\"a@b.co\"],\"attachment\":true,\"x\":["));
    assert_string_equal(attached.destination_json,
                        "{\"subscription_type\":\"email\",\"recipient_emails\":[\"a@b.co\"],"
                        "\"attachment\":true}");
    assert_true(report_read_email(&attached, *state, &email, &err));
    assert_true(email.wants_attachment);
    assert_refused(*state, with_mail(*state, "\"a@b.co\"],\"attachment\":\"yes\",\"x\":["),
                   "Invalid type: boolean expected");
    const struct report damaged = {.destination = REPORT_EMAIL, .destination_json = "{"};
    assert_false(report_read_email(&damaged, *state, &email, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(destinations_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(buckets_have_names, setup, teardown),
        cmocka_unit_test_setup_teardown(prefixes_stay_below_the_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(roles_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(service_accounts_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(mail_addresses_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(recipients_are_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_are_told_by_their_form, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cloud_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_for_encryption_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(endpoints_are_texts_of_some_length, setup, teardown),
        cmocka_unit_test_setup_teardown(mail_is_read_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
