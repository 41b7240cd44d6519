// SPDX-License-Identifier: Apache-2.0
// Published vectors: RFC 1321 (MD5), test cases 13 to 16 of the GCM specification, RFC 7515 A.2
// (RS256).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka wants the four above first
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/aes_gcm.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rsa.h"
#include "test_keys.h"

#define GCM_BYTES 64

static void assert_md5(struct md5 *hash, const char *text, const char *expected)
{
    uint8_t digest[MD5_BYTES];
    char hex[2 * MD5_BYTES + 1];
    md5_update(hash, slice_text(text));
    md5_finish(hash, digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    assert_string_equal(hex, expected);
}

static void test_md5_vectors(void **state)
{
    (void)state;
    struct md5 *hash CLEANUP(md5_free) = md5_new();
    assert_md5(hash, "", "d41d8cd98f00b204e9800998ecf8427e");
    assert_md5(hash, "a", "0cc175b9c0f1b6a831c399e269772661");
    assert_md5(hash, "message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    assert_md5(hash, "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b");
    md5_update(hash, slice_text("1234567890123456789012345678901234567890"));
    assert_md5(hash, "1234567890123456789012345678901234567890",
               "57edf4a22be3c955ac49da2e2107b67a");
}

struct gcm_case {
    const char *key;
    const char *nonce;
    const char *associated;
    const char *plain;
    const char *sealed;
    const char *tag;
};

#define GCM_ZERO_KEY "0000000000000000000000000000000000000000000000000000000000000000"
#define GCM_KEY      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define GCM_NONCE    "cafebabefacedbaddecaf888"
#define GCM_PLAIN                                                                                  \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define GCM_SEALED                                                                                 \
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"                             \
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"

static const struct gcm_case gcm_cases[] = {
    {GCM_ZERO_KEY, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {GCM_ZERO_KEY, "000000000000000000000000", "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {GCM_KEY, GCM_NONCE, "", GCM_PLAIN "1aafd255", GCM_SEALED "898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {GCM_KEY, GCM_NONCE, "feedfacedeadbeeffeedfacedeadbeefabaddad2", GCM_PLAIN, GCM_SEALED,
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static struct slice from_hex(const char *text, uint8_t *bytes)
{
    const size_t size_bytes = strlen(text) / 2;
    assert_true(size_bytes <= GCM_BYTES);
    assert_true(hex_decode(slice_text(text), bytes, size_bytes));
    return slice_of(bytes, size_bytes);
}

static void test_gcm_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof gcm_cases / sizeof gcm_cases[0]; i++) {
        const struct gcm_case *one = &gcm_cases[i];
        uint8_t bytes[6][GCM_BYTES];
        const struct slice plain = from_hex(one->plain, bytes[0]);
        const struct slice sealed = from_hex(one->sealed, bytes[1]);
        const struct slice tag = from_hex(one->tag, bytes[2]);
        const struct aes_gcm gcm = {.key = from_hex(one->key, bytes[3]).data,
                                    .nonce = from_hex(one->nonce, bytes[4]).data,
                                    .associated = from_hex(one->associated, bytes[5])};
        uint8_t got[GCM_BYTES];
        uint8_t got_tag[AES_GCM_TAG_BYTES];
        aes_gcm_encrypt(&gcm, plain, got, got_tag);
        assert_memory_equal(got, sealed.data, sealed.size_bytes);
        assert_memory_equal(got_tag, tag.data, tag.size_bytes);
        assert_true(aes_gcm_decrypt(&gcm, sealed, got_tag, got));
        assert_memory_equal(got, plain.data, plain.size_bytes);
        got_tag[15] ^= 1;
        assert_false(aes_gcm_decrypt(&gcm, sealed, got_tag, got));
        for (size_t j = 0; j < plain.size_bytes; j++)
            assert_int_equal(got[j], 0);
    }
}

static void test_rs256_vector(void **state)
{
    (void)state;
    static const char message[] = "eyJhbGciOiJSUzI1NiJ9."
                                  "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                                  "cGxlLmNvbS9pc19yb290Ijp0cnVl"
                                  "fQ";
    static const char expected[] =
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
        "O8W2Fp5"
        "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
        "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
        "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
        "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
        "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const char *const keys[] = {test_key_pkcs8, test_key_pkcs1};
    for (size_t i = 0; i < 2; i++) {
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        struct err err = {0};
        struct slice signature;
        if (!rsa_sign_sha256(slice_text(keys[i]), slice_text(message), &arena, &signature, &err))
            fail_msg("%s", err.message);
        assert_string_equal(base64_encode(BASE64_URL, signature, &arena), expected);
    }
}

static void assert_no_key(struct slice pem)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct err err = {0};
    struct slice signature;
    assert_false(rsa_sign_sha256(pem, slice_text("x"), &arena, &signature, &err));
    assert_int_equal(err.kind, ERR_INVALID);
}

static void test_what_is_no_good_key_is_refused(void **state)
{
    (void)state;
    assert_no_key(slice_text(""));
    assert_no_key(slice_text("secret"));
    assert_no_key(slice_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
    assert_no_key(slice_text(test_key_small));
    assert_no_key(slice_text(test_key_curve));
    assert_no_key(slice_text(test_key_locked)); // and nobody is asked for its password
    assert_no_key(slice_part(slice_text(test_key_pkcs8), 0, 900));
    static char huge[RSA_PEM_BYTES_MAX + 1];
    memset(huge, 'x', sizeof huge);
    assert_no_key(slice_of(huge, sizeof huge));
}

// Whatever a byte of the key turns into: an error or a signature, nothing worse.
static void test_damaged_keys_do_no_harm(void **state)
{
    (void)state;
    const size_t size_bytes = strlen(test_key_pkcs8);
    for (size_t i = 0; i < size_bytes; i += 7) {
        char *damaged CLEANUP(mem_free_at) = mem_copy_text(test_key_pkcs8);
        damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
        struct arena arena CLEANUP(arena_clear);
        arena_init(&arena);
        struct err err = {0};
        struct slice signature = {0};
        if (!rsa_sign_sha256(slice_text(damaged), slice_text("x"), &arena, &signature, &err))
            assert_int_equal(err.kind, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md5_vectors),
        cmocka_unit_test(test_gcm_vectors),
        cmocka_unit_test(test_rs256_vector),
        cmocka_unit_test(test_what_is_no_good_key_is_refused),
        cmocka_unit_test(test_damaged_keys_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
