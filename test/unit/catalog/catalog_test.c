// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/catalog_internal.h"
#include "db/db.h"

#define NOW_MS   INT64_C(1700000000000)
#define LEASE_MS INT64_C(10000)

struct fixture {
    char directory[32];
    char path[64];
    struct catalog *catalog;
    struct arena arena;
};

static int set_up(void **state)
{
    struct err err = {0};
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/catalog_test.XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/catalog.db", fixture->directory);
    if (!catalog_create(fixture->path, &fixture->catalog, &err))
        fail_msg("%s", err.message);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-gate", "-lock"};
    catalog_close(&fixture->catalog);
    catalog_close(&fixture->catalog); // NULL is fine
    arena_clear(&fixture->arena);
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        char path[80];
        (void)snprintf(path, sizeof path, "%s%s", fixture->path, suffixes[i]);
        (void)unlink(path);
    }
    const int result = rmdir(fixture->directory);
    mem_free(fixture);
    return result;
}

static void run_sql(const char *path, const char *sql)
{
    struct err err = {0};
    struct db *db = NULL;
    if (!db_sqlite_open(path, true, &db, &err) || !db_script(db, sql, &err))
        fail_msg("%s: %s", sql, err.message);
    db_close(&db);
}

// --- Opening

static void a_catalog_opens_again(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    const char *value = NULL;
    assert_true(catalog_set_value(fixture->catalog, "colour", "green", &err));
    catalog_close(&fixture->catalog);
    assert_true(catalog_open(fixture->path, &fixture->catalog, &err));
    assert_true(catalog_get_value(fixture->catalog, "colour", &fixture->arena, &value, &err));
    assert_string_equal(value, "green");
    assert_true(
        catalog_get_value(fixture->catalog, "format_version", &fixture->arena, &value, &err));
    assert_string_equal(value, "3");
}

static void making_one_twice_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct catalog *other = NULL;
    assert_false(catalog_create(fixture->path, &other, &err));
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_null(other);
}

static void a_half_made_one_can_be_made_again(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    catalog_close(&fixture->catalog);
    assert_int_equal(unlink(fixture->path), 0);
    run_sql(fixture->path, "SELECT 1"); // the file is there, the tables are not
    assert_false(catalog_open(fixture->path, &fixture->catalog, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_true(catalog_create(fixture->path, &fixture->catalog, &err));
}

static void a_newer_one_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct catalog *newer = NULL;
    assert_true(catalog_set_value(fixture->catalog, "format_version", "4", &err));
    assert_false(catalog_open(fixture->path, &newer, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.message, "newer than this program"));
    assert_true(catalog_set_value(fixture->catalog, "format_version", "one", &err));
    assert_false(catalog_open(fixture->path, &newer, &err));
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_null(newer);
}

// What format 1 had stays: subscriptions with their report, tokens with their user, files with
// their organization and app.
static void an_older_one_is_migrated(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct db *db = NULL;
    catalog_close(&fixture->catalog);
    assert_int_equal(unlink(fixture->path), 0);
    assert_true(db_sqlite_open(fixture->path, true, &db, &err));
    for (const char *const *script = catalog_schema_sql; *script != NULL; script++)
        assert_true(db_script(db, *script, &err));
    db_close(&db);
    run_sql(fixture->path,
            "INSERT INTO meta(name, value) VALUES('format_version', '1');"
            "INSERT INTO organizations(id, name, external_id, created_at_ms)"
            " VALUES('100000000000000001', 'first', 'e', 5);"
            "INSERT INTO tokens(key_id, token_sha256, organization_id, name, user_id, permissions,"
            " created_at_ms) VALUES('k', 'h', '100000000000000001', 'ours', 7, 1, 6);"
            "INSERT INTO subscriptions(id, organization_id, app_id, version, status, report,"
            " duplicate_key, cadence, topic_id, created_at_ms, live_from_ms, scheduled_to_ms,"
            " next_end_ms) VALUES('s', '100000000000000001', 'a', 1, 1, 'what', 'd', 1, 9, 6, 7, 7,"
            " 8);"
            "INSERT INTO jobs(id, subscription_id, organization_id, app_id, subscription_version,"
            " topic_id, start_ms, end_ms, revision, kind, priority, state, is_visible,"
            " created_at_ms) VALUES('j', 's', '100000000000000001', 'a', 1, 9, 0, 1, 0, 1, 1, 3, 1,"
            " 6);"
            "INSERT INTO job_files(job_id, part, key, row_count, byte_count, sha256)"
            " VALUES('j', 0, 'v2/x', 1, 1, 'h')");
    assert_true(catalog_open(fixture->path, &fixture->catalog, &err));
    int64_t count = 0;
    assert_true(catalog_query_int64(
        fixture->catalog,
        "SELECT count(*) FROM subscriptions s JOIN subscription_versions v"
        " ON v.subscription_id = s.id AND v.version = s.version AND v.from_ms = 0"
        " AND v.report = 'what' AND v.topic_id = 9 AND v.cadence = 1 AND s.kind = 0",
        NULL, 0, &count, &err));
    assert_int_equal(count, 1);
    assert_true(catalog_query_int64(fixture->catalog,
                                    "SELECT count(*) FROM tokens t JOIN users u ON u.id = t.user_id"
                                    " AND u.id = 7 AND u.name = 'ours' AND t.key_id = 'k'",
                                    NULL, 0, &count, &err));
    assert_int_equal(count, 1);
    assert_true(catalog_query_int64(fixture->catalog,
                                    "SELECT count(*) FROM job_files WHERE key = 'v2/x'"
                                    " AND organization_id = '100000000000000001'"
                                    " AND app_id = 'a'",
                                    NULL, 0, &count, &err));
    assert_int_equal(count, 1);
}

static void other_files_are_not_catalogs(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    catalog_close(&fixture->catalog);
    assert_int_equal(unlink(fixture->path), 0);
    assert_false(catalog_open(fixture->path, &fixture->catalog, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_int_equal(access(fixture->path, F_OK), -1);
    run_sql(fixture->path, "CREATE TABLE shopping(item TEXT)");
    assert_false(catalog_open(fixture->path, &fixture->catalog, &err));
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.message, "not a catalog"));
    assert_null(fixture->catalog);
}

static void a_catalog_may_live_in_memory(void **state)
{
    (void)state;
    struct err err = {0};
    struct catalog *catalog = NULL;
    bool changed = true;
    assert_true(catalog_create(":memory:", &catalog, &err));
    assert_true(catalog_poll(catalog, &changed, &err));
    assert_false(changed);
    catalog_close(&catalog);
}

// --- Values and polling

static void values_are_kept_and_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    const char *value = NULL;
    assert_false(catalog_get_value(fixture->catalog, "a", &fixture->arena, &value, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_null(value);
    assert_true(catalog_set_value(fixture->catalog, "a", "1", &err));
    assert_true(catalog_set_value(fixture->catalog, "b", "", &err));
    assert_true(catalog_set_value(fixture->catalog, "a", "2", &err));
    assert_true(catalog_get_value(fixture->catalog, "a", &fixture->arena, &value, &err));
    assert_string_equal(value, "2");
    assert_true(catalog_get_value(fixture->catalog, "b", &fixture->arena, &value, &err));
    assert_string_equal(value, "");
}

static void a_poll_sees_the_commits_of_others(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct catalog *other = NULL;
    bool changed = true;
    assert_true(catalog_open(fixture->path, &other, &err));
    assert_true(catalog_poll(fixture->catalog, &changed, &err));
    assert_true(catalog_set_value(fixture->catalog, "a", "own", &err));
    assert_true(catalog_poll(fixture->catalog, &changed, &err));
    assert_false(changed);
    assert_true(catalog_set_value(other, "a", "foreign", &err));
    assert_true(catalog_poll(fixture->catalog, &changed, &err));
    assert_true(changed);
    assert_true(catalog_poll(fixture->catalog, &changed, &err));
    assert_false(changed);
    catalog_close(&other);
}

// --- Rights

static bool hold(struct fixture *fixture, const char *holder_id, int64_t now_ms)
{
    struct err err = {0};
    bool held = false;
    if (!catalog_hold(fixture->catalog, "seal", holder_id, now_ms, LEASE_MS, &held, &err))
        fail_msg("%s", err.message);
    return held;
}

static void a_right_has_one_holder(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    bool held = false;
    assert_true(hold(fixture, "one", NOW_MS));
    assert_false(hold(fixture, "two", NOW_MS));
    assert_true(catalog_hold(fixture->catalog, "sweep", "two", NOW_MS, LEASE_MS, &held, &err));
    assert_true(held);                                        // another right
    assert_true(hold(fixture, "one", NOW_MS + LEASE_MS - 1)); // renewed
    assert_false(hold(fixture, "two", NOW_MS + LEASE_MS + 1));
    assert_true(hold(fixture, "two", NOW_MS + 2 * LEASE_MS - 1)); // lapsed
    assert_false(hold(fixture, "one", NOW_MS + 2 * LEASE_MS));
}

static void a_right_is_given_back_by_its_holder_alone(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    assert_true(hold(fixture, "one", NOW_MS));
    assert_true(catalog_release(fixture->catalog, "seal", "two", &err));
    assert_false(hold(fixture, "two", NOW_MS));
    assert_true(catalog_release(fixture->catalog, "seal", "one", &err));
    assert_true(catalog_release(fixture->catalog, "seal", "one", &err));
    assert_true(hold(fixture, "two", NOW_MS));
}

static void a_right_from_the_far_future_lapses(void **state)
{
    struct fixture *fixture = *state;
    assert_true(hold(fixture, "one", NOW_MS + INT64_C(315360000000))); // the clock was wrong
    assert_true(hold(fixture, "two", NOW_MS));
    assert_false(hold(fixture, "one", NOW_MS - 5)); // clocks that were read a little apart
    assert_true(hold(fixture, "two", NOW_MS));
}

// --- Several processes

static int set_values(const char *path, int process)
{
    struct err err = {0};
    struct catalog *catalog = NULL;
    bool is_done = catalog_open(path, &catalog, &err);
    for (int i = 0; is_done && i < 20; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "value-%d-%d", process, i);
        is_done = catalog_set_value(catalog, name, "x", &err);
    }
    if (!is_done)
        (void)fprintf(stderr, "process %d: %s\n", process, err.message);
    catalog_close(&catalog);
    return is_done ? 0 : 1;
}

static void several_processes_share_it(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    catalog_close(&fixture->catalog); // no connection goes through a fork
    pid_t pids[4];
    for (size_t i = 0; i < ARRAY_COUNT(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(set_values(fixture->path, (int)i));
    }
    for (size_t i = 0; i < ARRAY_COUNT(pids); i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_true(catalog_open(fixture->path, &fixture->catalog, &err));
    int64_t count = 0;
    assert_true(catalog_query_int64(fixture->catalog,
                                    "SELECT count(*) FROM meta WHERE name LIKE 'value-%'", NULL, 0,
                                    &count, &err));
    assert_int_equal(count, 80);
}

// --- What the folder shares

static bool fail_after_writing(struct catalog *catalog, void *context, struct err *err)
{
    const bool *is_done = context;
    TRY(catalog_set_value(catalog, "a", "written", err));
    return *is_done ? true : err_set(err, ERR_LIMIT, "enough");
}

static void a_failed_body_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    const char *value = NULL;
    bool is_done = false;
    assert_false(catalog_run(fixture->catalog, fail_after_writing, &is_done, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_false(catalog_get_value(fixture->catalog, "a", &fixture->arena, &value, &err));
    is_done = true;
    assert_true(catalog_run(fixture->catalog, fail_after_writing, &is_done, &err));
    assert_true(catalog_get_value(fixture->catalog, "a", &fixture->arena, &value, &err));
}

static void lists_grow(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_list list = {0};
    for (int64_t i = 0; i < 100; i++) {
        int64_t *item = catalog_list_add(&list, &fixture->arena, sizeof *item);
        assert_int_equal(*item, 0);
        *item = i;
    }
    assert_int_equal(list.count, 100);
    const int64_t *items = list.items;
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(items[i], i);
}

static void uuids_have_their_form(void **state)
{
    (void)state;
    static const uint8_t bytes[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                      0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    char text[CATALOG_UUID_CHARS + 1];
    catalog_format_uuid(bytes, text);
    assert_string_equal(text, "01234567-89ab-cdef-fedc-ba9876543210");
    struct rng_seeded rng;
    rng_seeded_init(&rng, 7);
    for (int i = 0; i < 50; i++) {
        catalog_new_uuid(&rng.base, text);
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
    }
}

static void writers_are_seen_without_a_lock(void **state)
{
    struct fixture *fixture = *state;
    struct err err = {0};
    struct catalog_writer before[CATALOG_WRITERS];
    struct catalog_writer writers[CATALOG_WRITERS];
    assert_true(catalog_read_writers(fixture->path, before, &err));
    assert_int_equal(before[0].pid, 0);
    assert_true(db_begin(fixture->catalog->db, &err));
    assert_true(catalog_read_writers(fixture->path, writers, &err));
    assert_int_equal(writers[0].pid, getpid());
    assert_int_equal(writers[0].ticket, before[0].ticket + 1);
    assert_int_equal(writers[1].pid, 0);
    db_rollback(fixture->catalog->db);
    assert_true(catalog_read_writers(fixture->path, writers, &err));
    assert_int_equal(writers[0].pid, 0);
    assert_false(catalog_read_writers("/nonexistent/catalog.db", writers, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_catalog_opens_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(making_one_twice_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_half_made_one_can_be_made_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writers_are_seen_without_a_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_one_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_one_is_migrated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_files_are_not_catalogs, set_up, tear_down),
        cmocka_unit_test(a_catalog_may_live_in_memory),
        cmocka_unit_test_setup_teardown(values_are_kept_and_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_poll_sees_the_commits_of_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_right_has_one_holder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_right_is_given_back_by_its_holder_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_right_from_the_far_future_lapses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_processes_share_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_body_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_grow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uuids_have_their_form, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
