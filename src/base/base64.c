// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct base64_alphabet {
    const char *digits;
    bool is_padded;
};

static const struct base64_alphabet base64_alphabets[] = {
    [BASE64_STANDARD] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true},
    [BASE64_URL] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false},
};

char *base64_encode(enum base64_form form, struct slice bytes, struct arena *arena)
{
    const struct base64_alphabet *alphabet = &base64_alphabets[form];
    const uint8_t *from = bytes.data;
    ASSERT(bytes.size_bytes <= SIZE_MAX / 2);
    char *text = arena_alloc(arena, (bytes.size_bytes + 2) / 3 * 4 + 1);
    char *to = text;
    for (size_t i = 0; i < bytes.size_bytes; i += 3) {
        const size_t count = bytes.size_bytes - i < 3 ? bytes.size_bytes - i : 3;
        uint32_t group = 0;
        for (size_t j = 0; j < 3; j++)
            group = group << 8 | (j < count ? from[i + j] : 0u);
        for (size_t j = 0; j < 4; j++) {
            if (j <= count)
                *to++ = alphabet->digits[group >> (18 - 6 * j) & 63];
            else if (alphabet->is_padded)
                *to++ = '=';
        }
    }
    *to = '\0';
    return text;
}

static bool base64_digit(const struct base64_alphabet *alphabet, char character,
                         uint32_t *ret_value)
{
    const char *at = character == '\0' ? NULL : strchr(alphabet->digits, character);
    if (at == NULL)
        return false;
    *ret_value = (uint32_t)(at - alphabet->digits);
    return true;
}

// Without the padding of a whole text: 0, 1 or 2 signs at its end.
static bool base64_unpad(const struct base64_alphabet *alphabet, struct slice *text)
{
    if (!alphabet->is_padded)
        return text->size_bytes % 4 != 1;
    if (text->size_bytes % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text->size_bytes > 0; i++) {
        if (slice_chars(*text)[text->size_bytes - 1] == '=')
            text->size_bytes--;
    }
    return true;
}

bool base64_decode(enum base64_form form, struct slice text, struct arena *arena,
                   struct slice *ret_bytes)
{
    const struct base64_alphabet *alphabet = &base64_alphabets[form];
    if (!base64_unpad(alphabet, &text))
        return false;
    const char *from = slice_chars(text);
    uint8_t *bytes = arena_alloc(arena, text.size_bytes / 4 * 3 + 3);
    size_t size_bytes = 0;
    for (size_t i = 0; i < text.size_bytes; i += 4) {
        const size_t count = text.size_bytes - i < 4 ? text.size_bytes - i : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            uint32_t digit = 0;
            if (j < count && !base64_digit(alphabet, from[i + j], &digit))
                return false;
            group = group << 6 | digit;
        }
        // Bits that no byte takes must be 0: else several texts would mean the same.
        if ((group & (count == 2 ? 0xffffu : count == 3 ? 0xffu : 0u)) != 0)
            return false;
        for (size_t j = 0; j + 1 < count; j++)
            bytes[size_bytes++] = (uint8_t)(group >> (16 - 8 * j) & 255);
    }
    *ret_bytes = slice_of(bytes, size_bytes);
    return true;
}
