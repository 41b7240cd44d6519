// SPDX-License-Identifier: Apache-2.0
// Connections of the operator: who may use which, what is sealed, and what keeps them.
#include "jobs_fixture.h"

#include <string.h>

#include "base/json_text.h"
#include "catalog/audit.h"
#include "catalog/catalog_internal.h"
#include "catalog/connections.h"
#include "test_keys.h"

#define NOW_MS FIXTURE_NOW_MS
#define SECRET "s3cr3t/Key+with=signs"

static const struct cipher_key keys[] = {{{1, 2, 3}}, {{4, 5, 6}}};
static const struct connection_ring ring = {keys, 1};

static struct connection_request request_of(const char *name, const char *organization_id)
{
    return (struct connection_request){
        .name = name,
        .kind = CONNECTION_S3,
        .organization_id = organization_id,
        .settings = {.endpoint = "http://minio:9000", .region = "eu-1"},
        .key = {.access_key_id = "AKID", .secret = slice_text(SECRET)},
    };
}

static struct connection create(struct fixture *fixture, const struct connection_request *request)
{
    struct connection connection;
    assert_done(fixture, connection_create(fixture->catalog, request, &ring, NOW_MS,
                                           &fixture->arena, &connection, &fixture->err));
    return connection;
}

static struct connection create_for(struct fixture *fixture, const char *name,
                                    const char *organization_id)
{
    const struct connection_request request = request_of(name, organization_id);
    return create(fixture, &request);
}

// The JSON key of a service account.
static struct slice json_key(struct fixture *fixture, const char *account, const char *pem)
{
    struct buf text;
    struct json_text json;
    buf_init(&text, 16384);
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    json_text_member_text(&json, "type", "service_account");
    json_text_member_text(&json, "client_email", account);
    json_text_member_text(&json, "private_key", pem);
    json_text_close(&json, '}');
    const struct slice copy = slice_text(arena_copy_text(&fixture->arena, buf_text(&text)));
    buf_clear(&text);
    return copy;
}

static struct connection_request account_request(struct fixture *fixture, const char *name,
                                                 const char *organization_id, const char *account)
{
    return (struct connection_request){
        .name = name,
        .kind = CONNECTION_GCS_KEY,
        .organization_id = organization_id,
        .key = {.secret = json_key(fixture, account, test_key_pkcs8)},
    };
}

static struct connection get(struct fixture *fixture, const char *name)
{
    struct connection connection;
    assert_done(fixture, connection_get(fixture->catalog, name, &fixture->arena, &connection,
                                        &fixture->err));
    return connection;
}

static void assert_opens(struct fixture *fixture, const struct connection *connection,
                         const char *expected)
{
    struct secret secret;
    assert_done(fixture, connection_open_secret(connection, &ring, &secret, &fixture->err));
    assert_true(slice_equal_text(secret_reveal(&secret), expected));
    secret_clear(&secret);
}

static void what_was_made_is_read_back(void **state)
{
    struct fixture *fixture = *state;
    struct connection_request request = request_of("minio", fixture->organization_id);
    request.settings.ca_file = "/etc/ca.pem";
    request.settings.style = CONNECTION_STYLE_HOST;
    (void)create(fixture, &request);
    const struct connection connection = get(fixture, "minio");
    assert_string_equal(connection.name, "minio");
    assert_int_equal(connection.kind, CONNECTION_S3);
    assert_string_equal(connection.organization_id, fixture->organization_id);
    assert_string_equal(connection.settings.endpoint, "http://minio:9000");
    assert_string_equal(connection.settings.region, "eu-1");
    assert_string_equal(connection.settings.ca_file, "/etc/ca.pem");
    assert_int_equal(connection.settings.style, CONNECTION_STYLE_HOST);
    assert_string_equal(connection.access_key_id, "AKID");
    assert_null(connection.account);
    assert_int_equal(connection.created_at_ms, NOW_MS);
    assert_int_equal(connection.changed_at_ms, NOW_MS);
    assert_opens(fixture, &connection, SECRET);
    assert_null(strstr(connection.sealed_secret, "s3cr3t"));

    request = request_of("bare", NULL);
    request.kind = CONNECTION_GCS_HMAC;
    request.settings = (struct connection_settings){0};
    (void)create(fixture, &request);
    const struct connection bare = get(fixture, "bare");
    assert_int_equal(bare.kind, CONNECTION_GCS_HMAC);
    assert_null(bare.organization_id);
    assert_null(bare.settings.endpoint);
    assert_null(bare.settings.region);
    assert_null(bare.settings.ca_file);
    assert_int_equal(bare.settings.style, CONNECTION_STYLE_BY_ENDPOINT);
}

static void secrets_stay_with_their_connection_and_keys(void **state)
{
    struct fixture *fixture = *state;
    struct secret secret = {0};
    const struct connection first = create_for(fixture, "first", NULL);
    struct connection second = create_for(fixture, "second", NULL);
    second.sealed_secret = first.sealed_secret;
    assert_refused(fixture, connection_open_secret(&second, &ring, &secret, &fixture->err),
                   ERR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "connection second"));
    // Another key seals now; the old one still opens, until it is gone.
    const struct cipher_key both[] = {keys[1], keys[0]};
    const struct connection_ring rotated = {both, 2};
    assert_done(fixture, connection_open_secret(&first, &rotated, &secret, &fixture->err));
    secret_clear(&secret);
    const struct connection_ring without = {both, 1};
    assert_refused(fixture, connection_open_secret(&first, &without, &secret, &fixture->err),
                   ERR_CORRUPT);
    assert_null(strstr(fixture->err.message, "s3cr3t"));
}

static void bad_ones_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct connection_request good = request_of("good", NULL);
    static const struct {
        const char *name;
        const char *region;
        const char *ca_file;
        const char *access_key_id;
        const char *secret;
        const char *message;
    } cases[] = {
        {"", "r", "/x", "A", "s", "Invalid connection name"},
        {"Upper", "r", "/x", "A", "s", "Invalid connection name"},
        {"arn:aws", "r", "/x", "A", "s", "Invalid connection name"},
        {"a@b", "r", "/x", "A", "s", "Invalid connection name"},
        {"-a", "r", "/x", "A", "s", "Invalid connection name"},
        {"a", "eu/west", "/x", "A", "s", "Invalid region"},
        {"a", "", "/x", "A", "s", "Invalid region"},
        {"a", "r", "ca.pem", "A", "s", "Invalid ca_file: an absolute path expected"},
        {"a", "r", "", "A", "s", "Invalid ca_file: an absolute path expected"},
        {"a", "r", "/x", NULL, "s", "Invalid access_key_id"},
        {"a", "r", "/x", "A/B", "s", "Invalid access_key_id"},
        {"a", "r", "/x", "A\nB", "s", "Invalid access_key_id"},
        {"a", "r", "/x", "A", "", "Invalid secret_access_key"},
        {"a", "r", "/x", "A", "s\r\n", "Invalid secret_access_key"},
        {"a", "r", "/x", "A", "\xc3\xa9", "Invalid secret_access_key"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct connection_request request = good;
        struct connection connection;
        request.name = cases[i].name;
        request.settings.region = cases[i].region;
        request.settings.ca_file = cases[i].ca_file;
        request.key.access_key_id = cases[i].access_key_id;
        request.key.secret = slice_text(cases[i].secret);
        assert_refused(fixture,
                       connection_create(fixture->catalog, &request, &ring, NOW_MS, &fixture->arena,
                                         &connection, &fixture->err),
                       ERR_INVALID);
        assert_string_equal(fixture->err.message, cases[i].message);
    }
    struct connection_request request = good;
    struct connection connection;
    request.organization_id = "123456789012345678";
    assert_refused(fixture,
                   connection_create(fixture->catalog, &request, &ring, NOW_MS, &fixture->arena,
                                     &connection, &fixture->err),
                   ERR_NOT_FOUND);
    (void)create(fixture, &good);
    request = request_of("good", fixture->organization_id);
    assert_refused(fixture,
                   connection_create(fixture->catalog, &request, &ring, NOW_MS, &fixture->arena,
                                     &connection, &fixture->err),
                   ERR_CONFLICT);
    assert_string_equal(fixture->err.message, "Connection exists");
}

static void json_keys_are_tried_out(void **state)
{
    struct fixture *fixture = *state;
    const char *account = "exports@project.iam.gserviceaccount.com";
    struct connection connection;
    const struct {
        struct slice secret;
        const char *message;
    } cases[] = {
        {slice_text(""), "not the JSON key of a service account"},
        {slice_text("[]"), "type service_account expected"},
        {slice_text("{\"type\":\"authorized_user\"}"), "type service_account expected"},
        {slice_text("{\"type\":\"service_account\"}"), "no client_email"},
        {json_key(fixture, "nobody", test_key_pkcs8), "no client_email"},
        {json_key(fixture, account, ""), "private_key cannot be used"},
        {json_key(fixture, account, test_key_curve), "private_key cannot be used"},
        {json_key(fixture, account, test_key_locked), "private_key cannot be used"},
    };
    struct connection_request request = account_request(fixture, "gcs", NULL, account);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        request.key.secret = cases[i].secret;
        assert_refused(fixture,
                       connection_create(fixture->catalog, &request, &ring, NOW_MS, &fixture->arena,
                                         &connection, &fixture->err),
                       ERR_INVALID);
        assert_string_equal(
            fixture->err.message,
            arena_format(&fixture->arena, "Invalid service_account_key: %s", cases[i].message));
    }
    request = account_request(fixture, "gcs", NULL, account);
    (void)create(fixture, &request);
    connection = get(fixture, "gcs");
    assert_string_equal(connection.account, account);
    assert_null(connection.access_key_id);
    assert_opens(fixture, &connection, slice_chars(request.key.secret));
}

static void an_organization_finds_its_own_and_those_for_all(void **state)
{
    struct fixture *fixture = *state;
    const char *app_id = NULL;
    const char *other = fixture_organization(fixture, "other", &app_id);
    const char *account = "a@p.iam.gserviceaccount.com";
    struct connection found;
    (void)create_for(fixture, "own", fixture->organization_id);
    (void)create_for(fixture, "theirs", other);
    (void)create_for(fixture, "for-all", NULL);
    static const char *const hidden[] = {"theirs", "unknown", ""};
    for (size_t i = 0; i < ARRAY_COUNT(hidden); i++)
        assert_refused(fixture,
                       connection_find(fixture->catalog, fixture->organization_id, hidden[i],
                                       &fixture->arena, &found, &fixture->err),
                       ERR_NOT_FOUND);
    static const char *const seen[] = {"own", "for-all"};
    for (size_t i = 0; i < ARRAY_COUNT(seen); i++)
        assert_done(fixture, connection_find(fixture->catalog, fixture->organization_id, seen[i],
                                             &fixture->arena, &found, &fixture->err));

    assert_refused(fixture,
                   connection_find_account(fixture->catalog, fixture->organization_id, account,
                                           &fixture->arena, &found, &fixture->err),
                   ERR_NOT_FOUND);
    const struct {
        const char *name;
        const char *organization_id;
        const char *found; // from then on
    } accounts[] = {
        {"key-theirs", other, NULL},
        {"key-for-all", NULL, "key-for-all"},
        {"key-own", fixture->organization_id, "key-own"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(accounts); i++) {
        const struct connection_request request =
            account_request(fixture, accounts[i].name, accounts[i].organization_id, account);
        (void)create(fixture, &request);
        const bool is_found = connection_find_account(fixture->catalog, fixture->organization_id,
                                                      account, &fixture->arena, &found,
                                                      &fixture->err);
        assert_int_equal(is_found, accounts[i].found != NULL);
        if (is_found)
            assert_string_equal(found.name, accounts[i].found);
    }

    struct connection *list = NULL;
    size_t count = 0;
    assert_done(fixture, connection_list(fixture->catalog, other, &fixture->arena, &list, &count,
                                         &fixture->err));
    assert_int_equal(count, 4);
    assert_done(fixture, connection_list(fixture->catalog, NULL, &fixture->arena, &list, &count,
                                         &fixture->err));
    assert_int_equal(count, 6);
}

// --- Changes and the audit log

static const struct catalog_actor actor = {
    .key_id = "0123456789",
    .user_id = 7,
    .peer = "192.0.2.1",
    .request_id = "r-1",
    .now_ms = NOW_MS,
};

static size_t audit_count(struct fixture *fixture, struct audit_entry *ret_last)
{
    const struct audit_query query = {.limit = 100};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    assert_done(fixture, audit_list(fixture->catalog, &query, &fixture->arena, &entries, &count,
                                    &fixture->err));
    *ret_last = count == 0 ? (struct audit_entry){0} : entries[0];
    return count;
}

static struct connection update(struct fixture *fixture, const char *name,
                                const struct connection_change *change)
{
    struct connection connection;
    assert_done(fixture, connection_update(fixture->catalog, name, change, &ring, NOW_MS + 5,
                                           &fixture->arena, &connection, &fixture->err));
    return connection;
}

static void changes_are_recorded_without_secrets(void **state)
{
    struct fixture *fixture = *state;
    struct audit_entry last;
    catalog_act_for(fixture->catalog, &actor);
    (void)create_for(fixture, "minio", fixture->organization_id);
    assert_int_equal(audit_count(fixture, &last), 1);
    assert_string_equal(last.action, "connection.create");
    assert_string_equal(last.object_id, "minio");
    assert_string_equal(last.organization_id, fixture->organization_id);
    assert_string_equal(last.details, "{\"kind\":\"s3\",\"endpoint\":\"http://minio:9000\","
                                      "\"access_key_id\":\"AKID\"}");

    struct connection_change change = {.has_region = true, .settings = {.region = "eu-2"}};
    struct connection connection = update(fixture, "minio", &change);
    assert_string_equal(connection.settings.region, "eu-2");
    assert_string_equal(connection.settings.endpoint, "http://minio:9000");
    assert_int_equal(connection.changed_at_ms, NOW_MS + 5);
    assert_opens(fixture, &connection, SECRET);
    assert_int_equal(audit_count(fixture, &last), 2);
    assert_string_equal(last.action, "connection.update");
    assert_string_equal(last.details, "{\"region\":\"eu-2\"}");
    (void)update(fixture, "minio", &change);
    assert_int_equal(audit_count(fixture, &last), 2); // what is as it was is no change

    change =
        (struct connection_change){.has_endpoint = true,
                                   .has_ca_file = true,
                                   .has_style = true,
                                   .settings = {.ca_file = "/ca", .style = CONNECTION_STYLE_PATH}};
    connection = update(fixture, "minio", &change);
    assert_null(connection.settings.endpoint);
    assert_int_equal(audit_count(fixture, &last), 3);
    assert_string_equal(last.details, "{\"endpoint\":null,\"ca_file\":\"/ca\",\"style\":\"path\"}");

    const struct connection_key key = {.access_key_id = "AKID2", .secret = slice_text("n3w")};
    connection = update(fixture, "minio", &(struct connection_change){.key = &key});
    assert_string_equal(connection.access_key_id, "AKID2");
    assert_opens(fixture, &connection, "n3w");
    assert_int_equal(audit_count(fixture, &last), 4);
    assert_string_equal(last.details, "{\"key_changed\":true,\"access_key_id\":\"AKID2\"}");
    const struct connection_key same_id = {.secret = slice_text("n3w3r")};
    (void)update(fixture, "minio", &(struct connection_change){.key = &same_id});
    connection = get(fixture, "minio");
    assert_string_equal(connection.access_key_id, "AKID2");
    assert_int_equal(connection.settings.style, CONNECTION_STYLE_PATH);
    assert_opens(fixture, &connection, "n3w3r");

    assert_done(fixture, connection_delete(fixture->catalog, "minio", &fixture->err));
    assert_int_equal(audit_count(fixture, &last), 6);
    assert_string_equal(last.action, "connection.delete");
    assert_refused(fixture, connection_delete(fixture->catalog, "minio", &fixture->err),
                   ERR_NOT_FOUND);
}

static void bad_changes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct connection connection;
    const struct connection_request request = account_request(fixture, "gcs", NULL,
                                                              "a@p.iam.gserviceaccount.com");
    (void)create(fixture, &request);
    (void)create_for(fixture, "minio", NULL);
    const struct connection_key empty = {0};
    const struct connection_key other = {
        .secret = json_key(fixture, "b@p.iam.gserviceaccount.com", test_key_pkcs8)};
    const struct {
        const char *name;
        struct connection_change change;
        enum err_kind kind;
        const char *message;
    } cases[] = {
        {"none", {.has_region = true}, ERR_NOT_FOUND, "no such connection"},
        {"none", {.key = &other}, ERR_NOT_FOUND, "no such connection"},
        {"minio",
         {.has_region = true, .settings = {.region = "a b"}},
         ERR_INVALID,
         "Invalid region"},
        {"minio", {.key = &empty}, ERR_INVALID, "Invalid secret_access_key"},
        {"gcs", {.key = &other}, ERR_CONFLICT, "Key of another service account"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_refused(fixture,
                       connection_update(fixture->catalog, cases[i].name, &cases[i].change, &ring,
                                         NOW_MS, &fixture->arena, &connection, &fixture->err),
                       cases[i].kind);
        assert_string_equal(fixture->err.message, cases[i].message);
    }
}

// --- Use

static const struct report *cloud_report(struct fixture *fixture, const char *cloud,
                                         const char *access)
{
    const char *body = arena_format(
        &fixture->arena,
        "{\"report\":{\"report_type\":\"eo_click\",\"report_fields\":[\"%s\"]},\"destination\":{"
        "\"subscription_type\":\"cloud\",\"cloud\":\"%s\",\"bucket\":\"abc\","
        "\"resource_access_id\":\"%s\"}}",
        access, cloud, access);
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    struct report *report = arena_alloc(&fixture->arena, sizeof *report);
    assert_done(fixture, json_tree_parse(slice_text(body), &tree, &fixture->err));
    assert_done(fixture,
                report_parse(json_tree_root(tree), &fixture->arena, report, &fixture->err));
    return report;
}

static const char *subscribe(struct fixture *fixture, const struct report *report)
{
    struct subscription_request request = fixture_request(fixture, CADENCE_HOURLY, "name");
    request.report = report;
    return fixture_create(fixture, &request).id;
}

static void assert_in_use(struct fixture *fixture, const char *name)
{
    assert_refused(fixture, connection_delete(fixture->catalog, name, &fixture->err), ERR_CONFLICT);
    assert_string_equal(fixture->err.message, "Connection is in use by 1 subscription");
}

static void live_subscriptions_keep_their_connection(void **state)
{
    struct fixture *fixture = *state;
    (void)create_for(fixture, "minio", NULL);
    (void)create_for(fixture, "min", NULL);
    const char *id = subscribe(fixture, cloud_report(fixture, "s3", "minio"));
    assert_in_use(fixture, "minio"); // PENDING
    assert_done(fixture,
                subscription_settle(fixture->catalog, id, true, NULL, NOW_MS, &fixture->err));
    assert_in_use(fixture, "minio"); // ACTIVE
    assert_done(fixture, connection_delete(fixture->catalog, "min", &fixture->err));
    fixture_deactivate(fixture, id, NOW_MS);
    assert_done(fixture, connection_delete(fixture->catalog, "minio", &fixture->err));

    const char *account = "a@p.iam.gserviceaccount.com";
    const struct connection_request request = account_request(fixture, "gcs", NULL, account);
    (void)create(fixture, &request);
    id = subscribe(fixture, cloud_report(fixture, "gcs", account));
    assert_in_use(fixture, "gcs");
    assert_done(fixture, subscription_settle(fixture->catalog, id, false, "no bucket", NOW_MS,
                                             &fixture->err));
    assert_done(fixture, connection_delete(fixture->catalog, "gcs", &fixture->err));
}

static void an_edit_lets_go_of_a_connection_when_its_windows_are_made(void **state)
{
    struct fixture *fixture = *state;
    struct subscription subscription;
    (void)create_for(fixture, "old", NULL);
    (void)create_for(fixture, "new", NULL);
    const char *id = subscribe(fixture, cloud_report(fixture, "s3", "old"));
    assert_done(fixture,
                subscription_settle(fixture->catalog, id, true, NULL, NOW_MS, &fixture->err));
    const struct subscription_change change = {
        .scope = fixture_scope(fixture),
        .id = slice_text(id),
        .change_count = -1,
        .now_ms = NOW_MS,
        .report = cloud_report(fixture, "s3", "new"),
        .topic_id = FIXTURE_TOPIC_ID,
    };
    assert_done(fixture, subscription_change(fixture->catalog, &change, &fixture->arena,
                                             &subscription, &fixture->err));
    assert_in_use(fixture, "old"); // the open window is its own
    assert_in_use(fixture, "new");
    (void)fixture_schedule(fixture, NOW_MS + 2 * CIVIL_HOUR_MS, 100);
    assert_done(fixture, connection_delete(fixture->catalog, "old", &fixture->err));
    assert_in_use(fixture, "new");
}

int main(void)
{
#define connection_test(function)                                                                  \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)
    const struct CMUnitTest tests[] = {
        connection_test(what_was_made_is_read_back),
        connection_test(secrets_stay_with_their_connection_and_keys),
        connection_test(bad_ones_are_refused),
        connection_test(json_keys_are_tried_out),
        connection_test(an_organization_finds_its_own_and_those_for_all),
        connection_test(changes_are_recorded_without_secrets),
        connection_test(bad_changes_are_refused),
        connection_test(live_subscriptions_keep_their_connection),
        connection_test(an_edit_lets_go_of_a_connection_when_its_windows_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
