// SPDX-License-Identifier: Apache-2.0
// What we take from OpenSSL: the only file that includes its headers.
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/aes_gcm.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rsa.h"

struct sha256 {
    EVP_MD_CTX *context;
};

static void sha256_start(struct sha256 *hash)
{
    const int done = EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL);
    ASSERT(done == 1);
}

struct sha256 *sha256_new(void)
{
    struct sha256 *hash = mem_alloc(sizeof *hash);
    hash->context = EVP_MD_CTX_new();
    ASSERT(hash->context != NULL);
    sha256_start(hash);
    return hash;
}

void sha256_free(struct sha256 **hash)
{
    if (*hash == NULL)
        return;
    EVP_MD_CTX_free((*hash)->context);
    mem_free(*hash);
    *hash = NULL;
}

void sha256_update(struct sha256 *hash, struct slice bytes)
{
    const int done = EVP_DigestUpdate(hash->context, bytes.data, bytes.size_bytes);
    ASSERT(done == 1);
}

void sha256_finish(struct sha256 *hash, uint8_t ret_digest[32])
{
    unsigned size = 0;
    const int done = EVP_DigestFinal_ex(hash->context, ret_digest, &size);
    ASSERT(done == 1);
    ASSERT(size == SHA256_BYTES);
    sha256_start(hash);
}

void sha256_of(struct slice bytes, uint8_t ret_digest[32])
{
    unsigned size = 0;
    const int done = EVP_Digest(bytes.data, bytes.size_bytes, ret_digest, &size, EVP_sha256(),
                                NULL);
    ASSERT(done == 1);
    ASSERT(size == SHA256_BYTES);
}

void hmac_sha256(struct slice key, struct slice message, uint8_t ret_digest[32])
{
    ASSERT(key.size_bytes <= 1u << 20);
    unsigned size = 0;
    const unsigned char *done = HMAC(EVP_sha256(), key.data, (int)key.size_bytes, message.data,
                                     message.size_bytes, ret_digest, &size);
    ASSERT(done != NULL);
    ASSERT(size == SHA256_BYTES);
}

// --- MD5

struct md5 {
    EVP_MD_CTX *context;
    EVP_MD *algorithm;
};

static void md5_start(struct md5 *hash)
{
    const int done = EVP_DigestInit_ex(hash->context, hash->algorithm, NULL);
    ASSERT(done == 1);
}

struct md5 *md5_new(void)
{
    struct md5 *hash = mem_alloc(sizeof *hash);
    hash->context = EVP_MD_CTX_new();
    // "-fips": also where only approved algorithms are the default; it guards nothing secret here.
    hash->algorithm = EVP_MD_fetch(NULL, "MD5", "-fips");
    ASSERT(hash->context != NULL);
    ASSERT(hash->algorithm != NULL);
    md5_start(hash);
    return hash;
}

void md5_free(struct md5 **hash)
{
    if (*hash == NULL)
        return;
    EVP_MD_CTX_free((*hash)->context);
    EVP_MD_free((*hash)->algorithm);
    mem_free(*hash);
    *hash = NULL;
}

void md5_update(struct md5 *hash, struct slice bytes)
{
    const int done = EVP_DigestUpdate(hash->context, bytes.data, bytes.size_bytes);
    ASSERT(done == 1);
}

void md5_finish(struct md5 *hash, uint8_t ret_digest[16])
{
    unsigned size = 0;
    const int done = EVP_DigestFinal_ex(hash->context, ret_digest, &size);
    ASSERT(done == 1);
    ASSERT(size == MD5_BYTES);
    md5_start(hash);
}

// --- AES-256-GCM

static void crypto_free_cipher(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

// Key, nonce and associated data are in; what is left are the text and its tag.
static EVP_CIPHER_CTX *crypto_begin_gcm(const struct aes_gcm *gcm, bool is_encrypting)
{
    ASSERT(gcm->associated.size_bytes <= AES_GCM_BYTES_MAX);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    ASSERT(context != NULL);
    int done = EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, gcm->key, gcm->nonce,
                                 is_encrypting ? 1 : 0);
    ASSERT(done == 1);
    int size = 0;
    done = EVP_CipherUpdate(context, NULL, &size, gcm->associated.data,
                            (int)gcm->associated.size_bytes);
    ASSERT(done == 1);
    return context;
}

void aes_gcm_encrypt(const struct aes_gcm *gcm, struct slice plain, uint8_t *ret_bytes,
                     uint8_t ret_tag[AES_GCM_TAG_BYTES])
{
    ASSERT(plain.size_bytes <= AES_GCM_BYTES_MAX);
    EVP_CIPHER_CTX *context CLEANUP(crypto_free_cipher) = crypto_begin_gcm(gcm, true);
    int size = 0;
    int end = 0;
    int done = EVP_EncryptUpdate(context, ret_bytes, &size, plain.data, (int)plain.size_bytes);
    ASSERT(done == 1);
    ASSERT((size_t)size == plain.size_bytes);
    done = EVP_EncryptFinal_ex(context, ret_bytes + size, &end);
    ASSERT(done == 1);
    ASSERT(end == 0);
    done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, (int)AES_GCM_TAG_BYTES, ret_tag);
    ASSERT(done == 1);
}

bool aes_gcm_decrypt(const struct aes_gcm *gcm, struct slice sealed,
                     const uint8_t tag[AES_GCM_TAG_BYTES], uint8_t *ret_bytes)
{
    ASSERT(sealed.size_bytes <= AES_GCM_BYTES_MAX);
    EVP_CIPHER_CTX *context CLEANUP(crypto_free_cipher) = crypto_begin_gcm(gcm, false);
    uint8_t expected[AES_GCM_TAG_BYTES]; // the library's door takes no const
    memcpy(expected, tag, sizeof expected);
    int size = 0;
    int end = 0;
    int done = EVP_DecryptUpdate(context, ret_bytes, &size, sealed.data, (int)sealed.size_bytes);
    ASSERT(done == 1);
    done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, (int)AES_GCM_TAG_BYTES, expected);
    ASSERT(done == 1);
    if (EVP_DecryptFinal_ex(context, ret_bytes + size, &end) == 1)
        return true;
    OPENSSL_cleanse(ret_bytes, sealed.size_bytes); // nobody may use what is not authentic
    ERR_clear_error();
    return false;
}

// --- RSA

static void crypto_free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void crypto_free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void crypto_free_digest(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

// Instead of the library's own, which asks whoever sits at the terminal.
static int crypto_refuse_password(char *text, int capacity, int is_writing, void *context)
{
    (void)text;
    (void)capacity;
    (void)is_writing;
    (void)context;
    return -1;
}

static bool crypto_read_key(struct slice pem, EVP_PKEY **ret_key, struct err *err)
{
    if (pem.size_bytes == 0 || pem.size_bytes > RSA_PEM_BYTES_MAX)
        return err_set(err, ERR_INVALID, "not a private key in PEM form");
    BIO *bio CLEANUP(crypto_free_bio) = BIO_new_mem_buf(pem.data, (int)pem.size_bytes);
    ASSERT(bio != NULL); // only without memory
    EVP_PKEY *key CLEANUP(crypto_free_key) = PEM_read_bio_PrivateKey(bio, NULL,
                                                                     crypto_refuse_password, NULL);
    ERR_clear_error();
    if (key == NULL)
        return err_set(err, ERR_INVALID, "not a private key in PEM form, or one with a password");
    const int bits = EVP_PKEY_get_bits(key);
    if (!EVP_PKEY_is_a(key, "RSA") || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return err_set(err, ERR_INVALID, "not an RSA key of %d to %d bits", RSA_BITS_MIN,
                       RSA_BITS_MAX);
    *ret_key = key;
    key = NULL;
    return true;
}

bool rsa_sign_sha256(struct slice private_key_pem, struct slice message, struct arena *arena,
                     struct slice *ret_signature, struct err *err)
{
    EVP_PKEY *key CLEANUP(crypto_free_key) = NULL;
    TRY(crypto_read_key(private_key_pem, &key, err));
    EVP_MD_CTX *context CLEANUP(crypto_free_digest) = EVP_MD_CTX_new();
    ASSERT(context != NULL);
    // PKCS #1 v1.5 is the library's default padding.
    const int begun = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key);
    ASSERT(begun == 1);
    size_t size_bytes = (size_t)EVP_PKEY_get_size(key);
    uint8_t *signature = arena_alloc(arena, size_bytes);
    const int done = EVP_DigestSign(context, signature, &size_bytes, message.data,
                                    message.size_bytes);
    ERR_clear_error();
    if (done != 1) // the numbers in it do not belong together
        return err_set(err, ERR_INVALID, "the private key cannot sign");
    *ret_signature = slice_of(signature, size_bytes);
    return true;
}
