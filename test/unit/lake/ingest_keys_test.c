// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lake/ingest_keys.h"

#define KEY_COUNT 5000

static void scope_of(int number, uint8_t ret_scope[SHA256_BYTES])
{
    sha256_of(slice_of(&number, sizeof number), ret_scope);
}

static void add_keys(struct ingest_keys *keys)
{
    ingest_keys_init(keys);
    for (int i = 0; i < KEY_COUNT; i++) {
        uint8_t scope[SHA256_BYTES];
        uint8_t body[SHA256_BYTES] = {(uint8_t)i};
        scope_of(i, scope);
        struct ingest_key *key = ingest_keys_add(keys, scope, body, slice_text("answer"));
        key->file_id = i % 10;
        key->expires_at_ms = i;
    }
    assert_int_equal(keys->count, KEY_COUNT);
}

static void test_finds_what_was_added(void **state)
{
    (void)state;
    struct ingest_keys keys;
    add_keys(&keys);
    uint8_t scope[SHA256_BYTES];
    for (int i = 0; i < KEY_COUNT; i++) {
        scope_of(i, scope);
        const struct ingest_key *key = ingest_keys_find(&keys, scope);
        assert_non_null(key);
        assert_int_equal(key->body_sha256[0], (uint8_t)i);
        assert_string_equal(key->answer, "answer");
    }
    scope_of(KEY_COUNT, scope);
    assert_null(ingest_keys_find(&keys, scope));
    ingest_keys_clear(&keys);
}

static void test_replaces_and_removes(void **state)
{
    (void)state;
    struct ingest_keys keys;
    add_keys(&keys);
    const int64_t byte_count = keys.byte_count;
    uint8_t scope[SHA256_BYTES];
    const uint8_t body[SHA256_BYTES] = {0};
    scope_of(7, scope);
    (void)ingest_keys_add(&keys, scope, body, slice_text("other"));
    assert_int_equal(keys.count, KEY_COUNT);
    assert_string_equal(ingest_keys_find(&keys, scope)->answer, "other");
    assert_int_equal(keys.byte_count, byte_count - 1);
    ingest_keys_remove(&keys, scope);
    ingest_keys_remove(&keys, scope);
    assert_null(ingest_keys_find(&keys, scope));
    assert_int_equal(keys.count, KEY_COUNT - 1);
    ingest_keys_clear(&keys);
}

static void test_drops_what_is_sealed_or_old(void **state)
{
    (void)state;
    struct ingest_keys keys;
    add_keys(&keys);
    uint8_t scope[SHA256_BYTES];
    scope_of(0, scope);
    ingest_keys_find(&keys, scope)->is_pending = true;
    ingest_keys_drop(&keys, 4, 1000);
    for (int i = 0; i < KEY_COUNT; i++) {
        scope_of(i, scope);
        const bool is_kept = i == 0 || (i % 10 > 4 && i > 1000);
        assert_int_equal(ingest_keys_find(&keys, scope) != NULL, is_kept);
    }
    ingest_keys_clear(&keys);
    assert_int_equal(keys.byte_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_was_added),
        cmocka_unit_test(test_replaces_and_removes),
        cmocka_unit_test(test_drops_what_is_sealed_or_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
