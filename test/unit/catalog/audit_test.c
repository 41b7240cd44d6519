// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"

#define NOW_MS INT64_C(1700000000000)

struct fixture {
    struct catalog *catalog;
    struct arena arena;
    struct catalog_actor actor;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof *fixture);
    if (!catalog_create(":memory:", &fixture->catalog, &fixture->err))
        return -1;
    arena_init(&fixture->arena);
    fixture->actor = (struct catalog_actor){
        .key_id = "0123456789",
        .user_id = 7,
        .peer = "192.0.2.1",
        .request_id = "r-1",
        .now_ms = NOW_MS,
    };
    catalog_act_for(fixture->catalog, &fixture->actor);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(&fixture->catalog);
    arena_clear(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static bool record(struct fixture *fixture, const struct audit_change *change, bool is_done)
{
    if (!db_begin(fixture->catalog->db, &fixture->err))
        return false;
    return catalog_end(fixture->catalog,
                       audit_record(fixture->catalog, change, &fixture->err) && is_done,
                       &fixture->err);
}

static void must_record(struct fixture *fixture, const char *organization_id, const char *object_id)
{
    const struct audit_change change = {
        .organization_id = organization_id, .action = "thing.create", .object_id = object_id};
    if (!record(fixture, &change, true))
        fail_msg("%s", fixture->err.message);
}

static size_t list(struct fixture *fixture, const char *organization_id, int64_t before_id,
                   int64_t limit, struct audit_entry **ret_entries)
{
    const struct audit_query query = {organization_id, before_id, limit};
    size_t count = 0;
    if (!audit_list(fixture->catalog, &query, &fixture->arena, ret_entries, &count, &fixture->err))
        fail_msg("%s", fixture->err.message);
    return count;
}

static void an_entry_says_who_what_and_when(void **state)
{
    struct fixture *fixture = *state;
    const struct audit_change change = {
        .organization_id = "42",
        .action = "token.revoke",
        .object_id = "abc",
        .details = "{\"name\":\"x\"}",
    };
    assert_true(record(fixture, &change, true));
    struct audit_entry *entries = NULL;
    assert_int_equal(list(fixture, NULL, 0, 10, &entries), 1);
    assert_int_equal(entries[0].at_ms, NOW_MS);
    assert_string_equal(entries[0].organization_id, "42");
    assert_string_equal(entries[0].key_id, "0123456789");
    assert_int_equal(entries[0].user_id, 7);
    assert_string_equal(entries[0].peer, "192.0.2.1");
    assert_string_equal(entries[0].request_id, "r-1");
    assert_string_equal(entries[0].action, "token.revoke");
    assert_string_equal(entries[0].object_id, "abc");
    assert_string_equal(entries[0].details, "{\"name\":\"x\"}");
}

static void what_was_rolled_back_leaves_no_entry(void **state)
{
    struct fixture *fixture = *state;
    const struct audit_change change = {.action = "thing.create", .object_id = "abc"};
    fixture->err.kind = ERR_NONE;
    assert_false(record(fixture, &change, false));
    struct audit_entry *entries = NULL;
    assert_int_equal(list(fixture, NULL, 0, 10, &entries), 0);
}

static void the_server_itself_is_not_in_the_log(void **state)
{
    struct fixture *fixture = *state;
    catalog_act_for(fixture->catalog, NULL);
    must_record(fixture, "42", "abc");
    struct audit_entry *entries = NULL;
    assert_int_equal(list(fixture, NULL, 0, 10, &entries), 0);
}

static void entries_are_read_backwards_page_by_page(void **state)
{
    struct fixture *fixture = *state;
    must_record(fixture, "1", "a");
    must_record(fixture, "2", "b");
    must_record(fixture, NULL, "c");
    must_record(fixture, "1", "d");
    struct audit_entry *entries = NULL;
    assert_int_equal(list(fixture, NULL, 0, 3, &entries), 3);
    assert_string_equal(entries[0].object_id, "d");
    assert_string_equal(entries[1].object_id, "c");
    assert_null(entries[1].organization_id);
    assert_string_equal(entries[2].object_id, "b");
    assert_int_equal(list(fixture, NULL, entries[2].id, 3, &entries), 1);
    assert_string_equal(entries[0].object_id, "a");
    assert_int_equal(list(fixture, NULL, entries[0].id, 3, &entries), 0);
    assert_int_equal(list(fixture, "1", 0, 10, &entries), 2);
    assert_string_equal(entries[0].object_id, "d");
    assert_int_equal(list(fixture, "1", entries[0].id, 10, &entries), 1);
    assert_string_equal(entries[0].object_id, "a");
    assert_int_equal(list(fixture, "3", 0, 10, &entries), 0);
}

static bool create(struct fixture *fixture, const char *object_id)
{
    const struct audit_change change = {
        .organization_id = "42",
        .action = "thing.create",
        .object_id = object_id,
        .is_creation = true,
    };
    return record(fixture, &change, true);
}

static void a_key_makes_one_thing_and_says_which(void **state)
{
    struct fixture *fixture = *state;
    struct audit_creation creation = {0};
    fixture->actor.idempotency_scope = "api\n42\n/things\nkey";
    fixture->actor.body_sha256 = "feed";
    assert_false(audit_find_creation(fixture->catalog, fixture->actor.idempotency_scope, NOW_MS,
                                     &fixture->arena, &creation, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
    assert_true(create(fixture, "first"));
    assert_true(audit_find_creation(fixture->catalog, fixture->actor.idempotency_scope, NOW_MS,
                                    &fixture->arena, &creation, &fixture->err));
    assert_string_equal(creation.object_id, "first");
    assert_string_equal(creation.body_sha256, "feed");
    // Of two requests at once, the later one makes nothing: its entry is gone as well.
    assert_false(create(fixture, "second"));
    assert_int_equal(fixture->err.kind, ERR_CONFLICT);
    struct audit_entry *entries = NULL;
    assert_int_equal(list(fixture, NULL, 0, 10, &entries), 1);
}

static void changes_that_make_nothing_take_no_key(void **state)
{
    struct fixture *fixture = *state;
    struct audit_creation creation = {0};
    fixture->actor.idempotency_scope = "scope";
    fixture->actor.body_sha256 = "feed";
    must_record(fixture, "42", "abc");
    assert_false(audit_find_creation(fixture->catalog, "scope", NOW_MS, &fixture->arena, &creation,
                                     &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_NOT_FOUND);
}

static void a_key_is_free_again_after_a_day(void **state)
{
    struct fixture *fixture = *state;
    struct audit_creation creation = {0};
    fixture->actor.idempotency_scope = "scope";
    fixture->actor.body_sha256 = "feed";
    assert_true(create(fixture, "first"));
    fixture->actor.now_ms = NOW_MS + CIVIL_DAY_MS - 1;
    assert_false(create(fixture, "second"));
    fixture->actor.now_ms = NOW_MS + CIVIL_DAY_MS;
    fixture->actor.body_sha256 = "beef";
    assert_false(audit_find_creation(fixture->catalog, "scope", fixture->actor.now_ms,
                                     &fixture->arena, &creation, &fixture->err));
    assert_true(create(fixture, "second"));
    assert_true(audit_find_creation(fixture->catalog, "scope", fixture->actor.now_ms,
                                    &fixture->arena, &creation, &fixture->err));
    assert_string_equal(creation.object_id, "second");
    assert_string_equal(creation.body_sha256, "beef");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_entry_says_who_what_and_when, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_rolled_back_leaves_no_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_server_itself_is_not_in_the_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(entries_are_read_backwards_page_by_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_makes_one_thing_and_says_which, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_that_make_nothing_take_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_free_again_after_a_day, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
