// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <string.h>

#include "base/cipher.h"
#include "base/mem.h"
#include "base/secret.h"

static struct cipher_key key_of(uint8_t byte)
{
    struct cipher_key key;
    memset(key.bytes, byte, sizeof key.bytes);
    return key;
}

static void assert_damaged(const struct cipher_key *key, const char *context, const char *text,
                           struct arena *arena)
{
    struct err err = {0};
    struct slice plain = {0};
    if (cipher_open(key, 1, slice_text(context), slice_text(text), arena, &plain, &err))
        fail_msg("opened: %s", text);
    assert_int_equal(err.kind, ERR_CORRUPT);
    assert_null(plain.data);
}

static void test_what_was_sealed_opens_with_any_of_the_keys(void **state)
{
    struct arena *arena = *state;
    struct err err = {0};
    const struct cipher_key keys[] = {key_of(1), key_of(2), key_of(3)};
    for (size_t i = 0; i < 3; i++) {
        const char *text = cipher_seal(&keys[i], slice_text("row 1"), slice_text("the secret"),
                                       arena);
        assert_null(strstr(text, "secret"));
        struct slice plain;
        assert_true(
            cipher_open(keys, 3, slice_text("row 1"), slice_text(text), arena, &plain, &err));
        assert_true(slice_equal_text(plain, "the secret"));
        assert_int_equal(slice_chars(plain)[plain.size_bytes], '\0');
    }
    const char *empty = cipher_seal(&keys[0], slice_text(""), slice_text(""), arena);
    struct slice plain;
    assert_true(cipher_open(keys, 1, slice_text(""), slice_text(empty), arena, &plain, &err));
    assert_int_equal(plain.size_bytes, 0);
}

static void test_no_text_is_sealed_twice_alike(void **state)
{
    struct arena *arena = *state;
    const struct cipher_key key = key_of(1);
    const char *one = cipher_seal(&key, slice_text("c"), slice_text("x"), arena);
    const char *two = cipher_seal(&key, slice_text("c"), slice_text("x"), arena);
    assert_string_not_equal(one, two);
    assert_memory_equal(one, two, 3 + CIPHER_KEY_ID_CHARS + 1);
}

static void test_every_changed_bit_is_found(void **state)
{
    struct arena *arena = *state;
    const struct cipher_key key = key_of(1);
    char *text = cipher_seal(&key, slice_text("c"), slice_text("a secret of any size"), arena);
    const size_t size_bytes = strlen(text);
    for (size_t i = 0; i < size_bytes; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            if (text[i] != '\0')
                assert_damaged(&key, "c", text, arena);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
        char *shorter = arena_copy_slice(arena, slice_of(text, i));
        assert_damaged(&key, "c", shorter, arena);
    }
    assert_damaged(&key, "c", arena_format(arena, "%sA", text), arena);
    assert_damaged(&key, "c", arena_format(arena, "%s=", text), arena);
}

static void test_another_context_or_key_does_not_open_it(void **state)
{
    struct arena *arena = *state;
    const struct cipher_key key = key_of(1);
    const struct cipher_key other = key_of(2);
    const char *text = cipher_seal(&key, slice_text("row 1"), slice_text("x"), arena);
    assert_damaged(&key, "row 2", text, arena);
    assert_damaged(&key, "row 1 ", text, arena);
    assert_damaged(&key, "", text, arena);
    assert_damaged(&other, "row 1", text, arena);
    struct err err = {0};
    struct slice plain;
    assert_false(cipher_open(NULL, 0, slice_text("row 1"), slice_text(text), arena, &plain, &err));
    assert_non_null(strstr(err.message, "a key that is not there"));
}

static void test_ids_tell_keys_apart(void **state)
{
    (void)state;
    const struct cipher_key one = key_of(1);
    const struct cipher_key two = key_of(2);
    char ids[2][CIPHER_KEY_ID_CHARS + 1];
    cipher_key_id(&one, ids[0]);
    cipher_key_id(&two, ids[1]);
    assert_string_not_equal(ids[0], ids[1]);
    assert_int_equal(strlen(ids[0]), CIPHER_KEY_ID_CHARS);
}

static void test_secrets_are_copies_with_one_way_out(void **state)
{
    struct arena *arena = *state;
    char text[] = "hush";
    struct secret secret;
    secret_init(&secret, slice_text(text));
    const struct secret copy = secret_copy(arena, slice_text(text));
    memset(text, 'x', sizeof text - 1);
    assert_true(slice_equal_text(secret_reveal(&secret), "hush"));
    assert_string_equal(slice_chars(secret_reveal(&copy)), "hush");
    assert_false(secret_is_empty(&secret));
    secret_clear(&secret);
    assert_true(secret_is_empty(&secret));
    assert_string_equal(slice_chars(secret_reveal(&secret)), "");
    secret_clear(&secret);
    assert_true(slice_equal_text(secret_reveal(&copy), "hush"));
}

static int start(void **state)
{
    static struct arena arena;
    arena_init(&arena);
    *state = &arena;
    return 0;
}

static int end(void **state)
{
    arena_clear(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_sealed_opens_with_any_of_the_keys, start,
                                        end),
        cmocka_unit_test_setup_teardown(test_no_text_is_sealed_twice_alike, start, end),
        cmocka_unit_test_setup_teardown(test_every_changed_bit_is_found, start, end),
        cmocka_unit_test_setup_teardown(test_another_context_or_key_does_not_open_it, start, end),
        cmocka_unit_test(test_ids_tell_keys_apart),
        cmocka_unit_test_setup_teardown(test_secrets_are_copies_with_one_way_out, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
