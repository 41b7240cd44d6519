// SPDX-License-Identifier: Apache-2.0
// The only file that includes OpenSSL's digest headers.
#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"
#include "base/mem.h"

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

void hex_encode(struct slice bytes, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *data = bytes.data;
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        ret_text[2 * i] = digits[data[i] >> 4];
        ret_text[2 * i + 1] = digits[data[i] & 15];
    }
    ret_text[2 * bytes.size_bytes] = '\0';
}

int hex_digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

bool hex_decode(struct slice text, uint8_t *ret_bytes, size_t size_bytes)
{
    if (text.size_bytes != 2 * size_bytes)
        return false;
    const char *digits = slice_chars(text);
    for (size_t i = 0; i < size_bytes; i++) {
        const int high = hex_digit(digits[2 * i]);
        const int low = hex_digit(digits[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}
