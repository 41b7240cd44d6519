// SPDX-License-Identifier: Apache-2.0
// Digests against published vectors: FIPS 180-4 and RFC 4231.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

static void assert_digest(const uint8_t digest[SHA256_BYTES], const char *expected)
{
    char hex[SHA256_HEX_CHARS + 1];
    hex_encode(slice_of(digest, SHA256_BYTES), hex);
    assert_string_equal(hex, expected);
}

static void test_sha256_vectors(void **state)
{
    (void)state;
    uint8_t digest[SHA256_BYTES];
    sha256_of(slice_of(NULL, 0), digest);
    assert_digest(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_of(slice_text("abc"), digest);
    assert_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_of(slice_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), digest);
    assert_digest(digest, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_sha256_in_parts_and_again(void **state)
{
    (void)state;
    struct sha256 *hash CLEANUP(sha256_free) = sha256_new();
    uint8_t digest[SHA256_BYTES];
    for (int i = 0; i < 2; i++) { // it starts anew after finish
        sha256_update(hash, slice_text("a"));
        sha256_update(hash, slice_of(NULL, 0));
        sha256_update(hash, slice_text("bc"));
        sha256_finish(hash, digest);
        assert_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    sha256_finish(hash, digest);
    assert_digest(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_hmac_vectors(void **state)
{
    (void)state;
    uint8_t digest[SHA256_BYTES];
    hmac_sha256(slice_text("Jefe"), slice_text("what do ya want for nothing?"), digest);
    assert_digest(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    memset(key, 0xaa, sizeof key); // longer than a block
    hmac_sha256(slice_of(key, sizeof key),
                slice_text("Test Using Larger Than Block-Size Key - Hash Key First"), digest);
    assert_digest(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hex_goes_both_ways(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char text[9];
    uint8_t back[4];
    hex_encode(slice_of(bytes, sizeof bytes), text);
    assert_string_equal(text, "000fa5ff");
    assert_true(hex_decode(slice_text("000FA5fF"), back, sizeof back));
    assert_memory_equal(back, bytes, sizeof back);
}

static void test_what_is_not_hex_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "00",       "000102030", "0001020",  "0001020g",
                                        "00 10203", "0x010203", "000102-3",  "0001020\n"};
    uint8_t bytes[4];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(hex_decode(slice_text(texts[i]), bytes, sizeof bytes));
    assert_false(hex_decode(slice_of("0001020\0", 8), bytes, sizeof bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_sha256_in_parts_and_again),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_hex_goes_both_ways),
        cmocka_unit_test(test_what_is_not_hex_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
