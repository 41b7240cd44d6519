// SPDX-License-Identifier: Apache-2.0
#include "base/hex.h"

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
