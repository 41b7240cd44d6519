// SPDX-License-Identifier: Apache-2.0
// The operator's calls about connections: what comes in, what never goes out.
#include "api_fixture.h"

#include <string.h>

#include "base/check.h"
#include "base/json_text.h"
#include "fake_names.h"
#include "test_keys.h"

#define CONNECTIONS "/v1/admin/connections"
#define ACCOUNT     "exports@project.iam.gserviceaccount.com"

static struct fake_name names[] = {
    {.name = "inside.test", .addresses = {"10.0.0.8"}},
    {.name = "metadata.test", .addresses = {"10.0.0.8", "169.254.169.254"}},
};

static struct fixture_reply post(struct fixture *fixture, const char *body)
{
    return fixture_post(fixture, fixture->admin_token, CONNECTIONS, body);
}

static struct fixture_reply patch(struct fixture *fixture, const char *name, const char *body)
{
    return fixture_call(fixture, "PATCH", fixture_format(fixture, CONNECTIONS "/%s", name),
                        fixture_format(fixture, "Access-Token: %s\r\n", fixture->admin_token),
                        slice_text(body));
}

static struct fixture_reply get(struct fixture *fixture, const char *name)
{
    return fixture_get(fixture, fixture->admin_token,
                       fixture_format(fixture, CONNECTIONS "/%s", name));
}

static struct fixture_reply make(struct fixture *fixture, const char *name, const char *members)
{
    return post(fixture, fixture_format(fixture,
                                        "{\"name\":\"%s\",\"kind\":\"s3\",\"access_key_id\":"
                                        "\"AKID\",\"secret_access_key\":\"s3cr3t\"%s}",
                                        name, members));
}

static void assert_no_secret(const struct fixture_reply *reply)
{
    assert_null(strstr(slice_chars(reply->body), "s3cr3t"));
    assert_null(strstr(slice_chars(reply->body), "sealed"));
    assert_null(strstr(slice_chars(reply->body), "v1."));
    assert_null(strstr(slice_chars(reply->body), "PRIVATE KEY"));
}

static void a_connection_is_made_seen_changed_and_deleted(void **state)
{
    struct fixture *fixture = *state;
    struct fixture_reply reply = make(fixture, "minio",
                                      ",\"endpoint\":\"http://10.1.2.3:9000\",\"region\":\"eu\"");
    assert_int_equal(reply.status, 200);
    assert_string_equal(slice_chars(reply.body),
                        "{\"name\":\"minio\",\"kind\":\"s3\",\"organization_id\":null,"
                        "\"endpoint\":\"http://10.1.2.3:9000\",\"region\":\"eu\","
                        "\"path_style\":null,\"ca_file\":null,\"access_key_id\":\"AKID\","
                        "\"service_account\":null,\"created_at\":\"2026-11-23T10:20:00.000-00:00\","
                        "\"changed_at\":\"2026-11-23T10:20:00.000-00:00\"}");
    const struct fixture_reply seen = get(fixture, "minio");
    assert_string_equal(slice_chars(seen.body), slice_chars(reply.body));

    fixture->clock.now_wall_ms = FIXTURE_NOW_MS + 1000;
    reply = patch(fixture, "minio",
                  "{\"path_style\":false,\"region\":null,\"ca_file\":\"/etc/ca.pem\","
                  "\"access_key_id\":\"AKID2\",\"secret_access_key\":\"s3cr3t2\"}");
    assert_int_equal(reply.status, 200);
    assert_no_secret(&reply);
    assert_string_equal(fixture_text(&reply, "access_key_id"), "AKID2");
    assert_string_equal(fixture_text(&reply, "ca_file"), "/etc/ca.pem");
    assert_string_equal(fixture_text(&reply, "endpoint"), "http://10.1.2.3:9000");
    assert_string_equal(fixture_text(&reply, "changed_at"), "2026-11-23T10:20:01.000-00:00");
    assert_int_equal(json_node_kind(json_node_get(reply.json, "region")), JSON_KIND_NULL);
    assert_false(json_node_bool(json_node_get(reply.json, "path_style")));
    assert_int_equal(json_node_kind(json_node_get(reply.json, "path_style")), JSON_KIND_BOOL);
    reply = patch(fixture, "minio", "{\"path_style\":null,\"endpoint\":null}");
    assert_int_equal(json_node_kind(json_node_get(reply.json, "path_style")), JSON_KIND_NULL);
    assert_int_equal(json_node_kind(json_node_get(reply.json, "endpoint")), JSON_KIND_NULL);

    const char *target = CONNECTIONS "/minio";
    reply = fixture_delete(fixture, fixture->admin_token, target);
    assert_string_equal(slice_chars(reply.body),
                        "{\"status\":\"SUCCESS\",\"description\":\"Connection deleted\"}");
    reply = fixture_delete(fixture, fixture->admin_token, target);
    fixture_assert_error(&reply, 404, "Not found");
    reply = get(fixture, "minio");
    fixture_assert_error(&reply, 404, "Not found");
    reply = patch(fixture, "minio", "{\"region\":\"eu\"}");
    fixture_assert_error(&reply, 404, "Not found");

    const struct fixture_reply audit = fixture_get(fixture, fixture->admin_token,
                                                   "/v1/admin/audit");
    assert_no_secret(&audit);
    assert_int_equal(json_node_count(audit.json), 4);
}

static void json_keys_come_as_object_or_text(void **state)
{
    struct fixture *fixture = *state;
    struct buf key;
    struct buf quoted;
    struct json_text json;
    buf_init(&key, 16384);
    buf_init(&quoted, 16384);
    json_text_init(&json, &key);
    json_text_open(&json, '{');
    json_text_member_text(&json, "type", "service_account");
    json_text_member_text(&json, "client_email", ACCOUNT);
    json_text_member_text(&json, "private_key", test_key_pkcs8);
    json_text_close(&json, '}');
    json_text_append_quoted(&quoted, buf_slice(&key));
    const char *const forms[] = {buf_text(&key), buf_text(&quoted)};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        const struct fixture_reply reply =
            post(fixture, fixture_format(fixture,
                                         "{\"name\":\"gcs-%zu\",\"kind\":\"gcs_key\","
                                         "\"organization_id\":\"%s\",\"service_account_key\":%s}",
                                         i, fixture->mine.organization_id, forms[i]));
        assert_int_equal(reply.status, 200);
        assert_no_secret(&reply);
        assert_string_equal(fixture_text(&reply, "service_account"), ACCOUNT);
        assert_string_equal(fixture_text(&reply, "organization_id"), fixture->mine.organization_id);
    }
    struct fixture_reply reply =
        patch(fixture, "gcs-0", fixture_format(fixture, "{\"service_account_key\":%s}", forms[0]));
    assert_int_equal(reply.status, 200);
    reply = patch(fixture, "gcs-0", "{\"service_account_key\":\"{}\"}");
    fixture_assert_error(&reply, 400, "Invalid service_account_key: type service_account expected");
    reply = patch(fixture, "gcs-0", "{\"service_account_key\":[]}");
    fixture_assert_error(&reply, 400, "Invalid type: object expected");
    buf_clear(&key);
    buf_clear(&quoted);
}

static void bad_bodies_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *body;
        int status;
        const char *message;
    } rows[] = {
        {"[]", 400, "JSON object expected"},
        {"{}", 400, "Missing required field: name"},
        {"{\"name\":5}", 400, "Invalid type: string expected"},
        {"{\"name\":\"a\"}", 400, "Missing required field: kind"},
        {"{\"name\":\"a\",\"kind\":\"ftp\"}", 400,
         "Invalid kind: s3, gcs_hmac or gcs_key expected"},
        {"{\"name\":\"a\",\"kind\":\"s3\"}", 400, "Missing required field: access_key_id"},
        {"{\"name\":\"a\",\"kind\":\"s3\",\"access_key_id\":\"A\"}", 400,
         "Missing required field: secret_access_key"},
        {"{\"name\":\"a\",\"kind\":\"gcs_key\",\"access_key_id\":\"A\",\"secret_access_key\":"
         "\"s\"}",
         400, "Missing required field: service_account_key"},
        {"{\"name\":\"a\",\"kind\":\"gcs_key\",\"service_account_key\":true}", 400,
         "Invalid type: object expected"},
        {"{\"name\":\"A\",\"kind\":\"s3\",\"access_key_id\":\"A\",\"secret_access_key\":\"s\"}",
         400, "Invalid connection name"},
        {"{\"name\":\"a\",\"kind\":\"s3\",\"access_key_id\":\"A\",\"secret_access_key\":7}", 400,
         "Invalid type: string expected"},
        {"{\"name\":\"a\",\"kind\":\"s3\",\"access_key_id\":\"A\",\"secret_access_key\":\"s\","
         "\"path_style\":\"yes\"}",
         400, "Invalid type: boolean expected"},
        {"{\"name\":\"a\",\"kind\":\"s3\",\"access_key_id\":\"A\",\"secret_access_key\":\"s\","
         "\"region\":5}",
         400, "Invalid type: string expected"},
        {"{\"name\":\"a\",\"kind\":\"s3\",\"access_key_id\":\"A\",\"secret_access_key\":\"s\","
         "\"organization_id\":\"123456789012345678\"}",
         404, "Organization not found"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fixture_reply reply = post(fixture, rows[i].body);
        fixture_assert_error(&reply, rows[i].status, rows[i].message);
    }
    struct fixture_reply reply = make(fixture, "one", "");
    assert_int_equal(reply.status, 200);
    reply = make(fixture, "one", "");
    fixture_assert_error(&reply, 409, "Connection exists");
    reply = patch(fixture, "one", "{\"access_key_id\":\"B\"}");
    fixture_assert_error(&reply, 400, "Missing required field: secret_access_key");
    // A JSON key is nothing to a connection with an access key.
    reply = patch(fixture, "one", "{\"service_account_key\":\"{}\"}");
    assert_int_equal(reply.status, 200);
    assert_string_equal(fixture_text(&reply, "access_key_id"), "AKID");
}

static void endpoints_are_the_operators_word(void **state)
{
    struct fixture *fixture = *state;
    static const char *const good[] = {
        "http://127.0.0.1:9000", "http://localhost:9000", "https://[::1]",
        "http://10.0.0.1/",      "http://[fd12::1]:80",   "https://192.168.1.1",
        "http://inside.test",    "http://nowhere.test",   "https://s3.example.com",
    };
    static const struct {
        const char *endpoint;
        const char *message;
    } bad[] = {
        {"", "Invalid endpoint URL"},
        {"ftp://x", "Invalid endpoint URL"},
        {"http://a@b", "Invalid endpoint URL"},
        {"http://10.0.0.1/path", "Invalid endpoint URL"},
        {"10.0.0.1:9000", "Invalid endpoint URL"},
        {"http://169.254.169.254", "Endpoint not allowed"},
        {"http://2852039166", "Endpoint not allowed"},
        {"http://169.254.1.1", "Endpoint not allowed"},
        {"http://[fe80::1]", "Endpoint not allowed"},
        {"http://[fd00:ec2::254]", "Endpoint not allowed"},
        {"http://[::ffff:169.254.169.254]", "Endpoint not allowed"},
        {"http://100.100.100.200", "Endpoint not allowed"},
        {"http://0.0.0.0", "Endpoint not allowed"},
        {"http://[::]", "Endpoint not allowed"},
        {"http://224.0.0.1", "Endpoint not allowed"},
        {"http://[ff02::1]", "Endpoint not allowed"},
        {"http://metadata.test", "Endpoint not allowed"},
    };
    assert_int_equal(make(fixture, "one", "").status, 200);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        const char *member = fixture_format(fixture, "\"endpoint\":\"%s\"", bad[i].endpoint);
        struct fixture_reply reply = make(fixture, "bad", fixture_format(fixture, ",%s", member));
        if (reply.status != 400)
            fail_msg("%s: %d", bad[i].endpoint, reply.status);
        fixture_assert_error(&reply, 400, bad[i].message);
        reply = patch(fixture, "one", fixture_format(fixture, "{%s}", member));
        fixture_assert_error(&reply, 400, bad[i].message);
    }
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        const struct fixture_reply reply =
            make(fixture, fixture_format(fixture, "good-%zu", i),
                 fixture_format(fixture, ",\"endpoint\":\"%s\"", good[i]));
        if (reply.status != 200)
            fail_msg("%s: %s", good[i], slice_chars(reply.body));
    }
}

static void lists_are_paged_and_of_who_may_use_them(void **state)
{
    struct fixture *fixture = *state;
    const char *mine = fixture_format(fixture, ",\"organization_id\":\"%s\"",
                                      fixture->mine.organization_id);
    const char *theirs = fixture_format(fixture, ",\"organization_id\":\"%s\"",
                                        fixture->theirs.organization_id);
    assert_int_equal(make(fixture, "c", mine).status, 200);
    assert_int_equal(make(fixture, "a", "").status, 200);
    assert_int_equal(make(fixture, "b", theirs).status, 200);
    struct fixture_reply reply = fixture_get(fixture, fixture->admin_token, CONNECTIONS);
    assert_int_equal(json_node_count(reply.json), 3);
    reply = fixture_get(
        fixture, fixture->admin_token,
        fixture_format(fixture, CONNECTIONS "?organization_id=%s", fixture->mine.organization_id));
    assert_int_equal(json_node_count(reply.json), 2);
    reply = fixture_get(fixture, fixture->admin_token, CONNECTIONS "?limit=2");
    assert_int_equal(json_node_count(reply.json), 2);
    assert_true(
        slice_equal_text(json_node_text(json_node_get(json_node_at(reply.json, 0), "name")), "a"));
    assert_non_null(fixture_header(fixture, &reply, "Link"));
    reply = fixture_get(fixture, fixture->admin_token,
                        CONNECTIONS "?organization_id=123456789012345678");
    fixture_assert_error(&reply, 404, "Organization not found");
}

static void live_subscriptions_keep_a_connection(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(make(fixture, "minio", "").status, 200);
    const char *base = "/scheduled-exports/logs";
    struct fixture_reply reply =
        fixture_post(fixture, fixture->mine.token,
                     fixture_format(fixture, "%s/subscribe?app_id=%s", base, fixture->mine.app_id),
                     "{\"report\":{\"report_type\":\"eo_install\",\"report_fields\":[\"name\"]},"
                     "\"destination\":{\"subscription_type\":\"cloud\",\"cloud\":\"s3\",\"bucket\":"
                     "\"my-bucket\","
                     "\"resource_access_id\":\"minio\"}}");
    assert_int_equal(reply.status, 200);
    const char *id = fixture_text(&reply, "subscription_id");
    reply = fixture_delete(fixture, fixture->admin_token, CONNECTIONS "/minio");
    fixture_assert_error(&reply, 409, "Connection is in use by 1 subscription");
    reply = fixture_delete(
        fixture, fixture->mine.token,
        fixture_format(fixture, "%s/subscription/%s?app_id=%s", base, id, fixture->mine.app_id));
    assert_int_equal(reply.status, 200);
    reply = fixture_delete(fixture, fixture->admin_token, CONNECTIONS "/minio");
    assert_int_equal(reply.status, 200);
}

#define API_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    fake_names_set(names, ARRAY_COUNT(names)); // before there are threads
    const struct CMUnitTest tests[] = {
        API_TEST(a_connection_is_made_seen_changed_and_deleted),
        API_TEST(json_keys_come_as_object_or_text),
        API_TEST(bad_bodies_are_refused),
        API_TEST(endpoints_are_the_operators_word),
        API_TEST(lists_are_paged_and_of_who_may_use_them),
        API_TEST(live_subscriptions_keep_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
